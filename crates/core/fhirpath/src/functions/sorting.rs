//! `sort()` (N1 2.1): by the items themselves or by keys; a minus before a key turns its order round.
//! Items without a key come first either way.

use core::cmp::Ordering;

use super::Call;
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::{Evaluator, Outcome, order, single};
use crate::expr::Expr;
use crate::item::Item;

/// An item with its keys.
type Keyed<'a> = (Vec<Option<Item<'a>>>, Item<'a>);

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let keys: Vec<(&'a Expr, bool)> = call
        .arguments
        .iter()
        .map(|key| match key {
            Expr::Negate(inner) => (inner.as_ref(), true),
            key => (key, false),
        })
        .collect();
    let count = call.input.len() as u64;
    evaluator.charge(count * u64::from(count.checked_ilog2().unwrap_or(0) + 1))?;
    let mut rows: Vec<Keyed<'a>> = Vec::with_capacity(call.input.len());
    for (index, item) in call.input.iter().enumerate() {
        let values = if keys.is_empty() {
            vec![item.system()]
        } else {
            keys.iter()
                .map(|(key, _)| {
                    let value = evaluator.for_item(key, item, index, call.frame)?;
                    single("sort()", &value)
                })
                .collect::<Result<_, _>>()?
        };
        rows.push((values, item.clone()));
    }
    let mut unlike = false;
    let rows = merged(rows, &mut |(a, _), (b, _)| {
        a.iter()
            .zip(b)
            .enumerate()
            .map(|(at, (a, b))| {
                let (Some(a), Some(b)) = (a, b) else {
                    return a.is_some().cmp(&b.is_some());
                };
                let order = compare(a, b, &mut unlike);
                let descending = keys.get(at).is_some_and(|(_, descending)| *descending);
                if descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    if unlike {
        return Err(EvaluationError::wrong_type(
            "sort()",
            "keys of one type",
            "keys of several types",
        ));
    }
    Ok(rows
        .into_iter()
        .map(|(_, item)| item)
        .collect::<Collection<'a>>())
}

/// A stable merge sort. The standard one may panic on orders that are not total, and dates of several
/// precisions have none.
fn merged<T>(rows: Vec<T>, order: &mut dyn FnMut(&T, &T) -> Ordering) -> Vec<T> {
    let mut runs: Vec<Vec<T>> = rows.into_iter().map(|row| vec![row]).collect();
    while runs.len() > 1 {
        let mut next = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pairs = runs.into_iter();
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => merge(left, right, order),
                None => left,
            });
        }
        runs = next;
    }
    runs.pop().unwrap_or_default()
}

fn merge<T>(left: Vec<T>, right: Vec<T>, order: &mut dyn FnMut(&T, &T) -> Ordering) -> Vec<T> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let from = if order(b, a).is_lt() {
            &mut right
        } else {
            &mut left
        };
        all.extend(from.next());
    }
    all.extend(left);
    all.extend(right);
    all
}

fn compare(a: &Item<'_>, b: &Item<'_>, unlike: &mut bool) -> Ordering {
    let order = order(a, b);
    *unlike |= order.is_none();
    order.flatten().unwrap_or(Ordering::Equal)
}
