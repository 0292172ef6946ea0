//! Filtering and projection (N1, section 5.2), `aggregate()` and `iif()`.

use super::{Call, Function};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::equality::Distinct;
use crate::evaluate::{Evaluator, Frame, Outcome, truth};
use crate::item::Item;

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let Some(argument) = call.expr(0) else {
        return Ok(Collection::empty());
    };
    match call.function {
        Function::Where => {
            let mut kept = Collection::empty();
            for (index, item) in call.input.iter().enumerate() {
                let value = evaluator.for_item(argument, item, index, call.frame)?;
                if truth("where()", &value)? == Some(true) {
                    kept.push(item.clone());
                }
            }
            Ok(kept)
        }
        Function::Select => {
            let mut made = Collection::empty();
            for (index, item) in call.input.iter().enumerate() {
                made.extend(evaluator.for_item(argument, item, index, call.frame)?);
                evaluator.bounded(&made)?;
            }
            Ok(made)
        }
        Function::Repeat => repeat(evaluator, call, true),
        Function::RepeatAll => repeat(evaluator, call, false),
        Function::Aggregate => aggregate(evaluator, call),
        _ => iif(evaluator, call),
    }
}

/// Projects again and again until nothing new comes; equal items once (`distinct`), so that cycles end.
fn repeat<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    distinct: bool,
) -> Outcome<'a> {
    let mut known = Distinct::default();
    let mut all = Collection::empty();
    let mut level = call.input.clone();
    while let Some(argument) = call.expr(0)
        && !level.is_empty()
    {
        let mut next = Collection::empty();
        for (index, item) in level.iter().enumerate() {
            for found in evaluator.for_item(argument, item, index, call.frame)? {
                if !distinct || known.add(evaluator, &found)? {
                    all.push(found.clone());
                    next.push(found);
                }
            }
            evaluator.bounded(&all)?;
        }
        evaluator.charge(1)?;
        level = next;
    }
    Ok(all)
}

fn aggregate<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let mut total = call.value(evaluator, 1)?.unwrap_or_default();
    let Some(argument) = call.expr(0) else {
        return Ok(total);
    };
    for (index, item) in call.input.iter().enumerate() {
        let this = Collection::of(item.clone());
        let frame = Frame {
            this: &this,
            index: Some(index),
            total: Some(&total),
        };
        total = evaluator.scoped(argument, frame)?;
    }
    Ok(total)
}

fn iif<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    if !call.first && call.input.len() > 1 {
        return Err(EvaluationError::NotSingle {
            what: "iif()",
            count: call.input.len(),
        });
    }
    // Invoked on an item, the item is `$this` of condition and results.
    let frame = if call.first || call.input.is_empty() {
        call.frame
    } else {
        Frame {
            this: call.input,
            ..call.frame
        }
    };
    let condition = match call.expr(0) {
        Some(condition) => evaluator.scoped(condition, frame)?,
        None => Collection::empty(),
    };
    let value = match condition.len() {
        0 => false,
        1 => match condition.first().map(|item| (item, item.as_bool())) {
            Some((_, Some(value))) => value,
            Some((item, None)) if !evaluator.environment.strict || item.as_node().is_some() => true,
            _ => {
                return Err(EvaluationError::wrong_type(
                    "iif()",
                    "a boolean condition",
                    condition.first().map_or("", |item| item.type_info().name),
                ));
            }
        },
        count => {
            return Err(EvaluationError::NotSingle {
                what: "the condition of iif()",
                count,
            });
        }
    };
    match call.expr(if value { 1 } else { 2 }) {
        Some(result) => evaluator.scoped(result, frame),
        None => Ok(Collection::empty()),
    }
}

/// The only item of the input, for functions of one item.
pub(super) fn one<'c, 'a>(call: &Call<'c, 'a>) -> Result<Option<&'c Item<'a>>, EvaluationError> {
    match call.input.len() {
        0 => Ok(None),
        1 => Ok(call.input.first()),
        count => Err(EvaluationError::NotSingle {
            what: call.function.name(),
            count,
        }),
    }
}
