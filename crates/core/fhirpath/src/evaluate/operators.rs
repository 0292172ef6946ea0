//! Binary operators: logic in three values, membership, union, comparison. Arithmetic and equality stand in
//! their own files.

use core::cmp::Ordering;

use super::{Evaluator, Frame, Outcome, equality, single, truth, wrong};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::expr::{Expr, Operator};
use crate::item::Item;
use crate::quantity::Quantity;
use rust_decimal::Decimal;

impl<'a> Evaluator<'_, 'a> {
    pub(crate) fn binary(
        &mut self,
        operator: Operator,
        sides: &'a (Expr, Expr),
        frame: Frame<'_, 'a>,
    ) -> Outcome<'a> {
        let left = self.scoped(&sides.0, frame)?;
        if let Some(result) = decided_by_left(operator, &left)? {
            return Ok(Collection::of(Item::Boolean(result)));
        }
        let right = self.scoped(&sides.1, frame)?;
        match operator {
            Operator::And | Operator::Or | Operator::Xor | Operator::Implies => {
                let (a, b) = (
                    truth(operator.text(), &left)?,
                    truth(operator.text(), &right)?,
                );
                Ok(Collection::truth(logic(operator, a, b)))
            }
            Operator::Union => self.union(&left, &right),
            Operator::Equal => Ok(Collection::truth(self.equal(&left, &right)?)),
            Operator::NotEqual => Ok(Collection::truth(
                self.equal(&left, &right)?.map(|equal| !equal),
            )),
            Operator::Equivalent => {
                let same = self.equivalent(&left, &right)?;
                Ok(Collection::of(Item::Boolean(same)))
            }
            Operator::NotEquivalent => {
                let same = self.equivalent(&left, &right)?;
                Ok(Collection::of(Item::Boolean(!same)))
            }
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => compare(operator, &left, &right),
            Operator::In => self.member("in", &left, &right),
            Operator::Contains => self.member("contains", &right, &left),
            _ => self.arithmetic(operator, &left, &right),
        }
    }

    /// Distinct items of both, in order.
    pub(crate) fn union(&mut self, left: &Collection<'a>, right: &Collection<'a>) -> Outcome<'a> {
        let mut found = equality::Distinct::default();
        for item in left.iter().chain(right) {
            found.add(self, item)?;
        }
        let found = found.into_items();
        self.bounded(&found)?;
        Ok(found)
    }

    /// Whether the single item is in the collection.
    fn member(
        &mut self,
        what: &'static str,
        item: &Collection<'a>,
        of: &Collection<'a>,
    ) -> Outcome<'a> {
        if item.len() > 1 {
            return Err(EvaluationError::NotSingle {
                what,
                count: item.len(),
            });
        }
        let Some(item) = item.first() else {
            return Ok(Collection::empty());
        };
        let found = self.holds(of, item)?;
        Ok(Collection::of(Item::Boolean(found)))
    }

    /// Whether an equal item is among them.
    pub(crate) fn holds(
        &mut self,
        of: &Collection<'a>,
        item: &Item<'a>,
    ) -> Result<bool, EvaluationError> {
        self.charge(of.len() as u64)?;
        Ok(of
            .iter()
            .any(|known| equality::equal_items(known, item) == Some(true)))
    }
}

/// What the left side decides alone, so that the right one is not evaluated.
fn decided_by_left(
    operator: Operator,
    left: &Collection<'_>,
) -> Result<Option<bool>, EvaluationError> {
    let deciding = match operator {
        Operator::And => (false, false),
        Operator::Or => (true, true),
        Operator::Implies => (false, true),
        _ => return Ok(None),
    };
    let known = truth(operator.text(), left)?;
    Ok((known == Some(deciding.0)).then_some(deciding.1))
}

/// Three-valued logic (N1, section 6.5).
fn logic(operator: Operator, a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match operator {
        Operator::And => match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Operator::Or => match (a, b) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Operator::Xor => Some(a? != b?),
        _ => match (a, b) {
            (Some(false), _) | (_, Some(true)) => Some(true),
            (Some(true), Some(false)) => Some(false),
            _ => None,
        },
    }
}

fn compare<'a>(operator: Operator, left: &Collection<'a>, right: &Collection<'a>) -> Outcome<'a> {
    let what = operator.text();
    if left.is_empty() || right.is_empty() {
        return Ok(Collection::empty());
    }
    let expected = "numbers, strings, quantities, dates or times of one type";
    let (Some(a), Some(b)) = (single(what, left)?, single(what, right)?) else {
        let complex = [left, right].into_iter().find(|side| {
            side.first()
                .and_then(Item::as_node)
                .is_some_and(|node| !node.is_primitive() && node.ty().name() != "Quantity")
        });
        return match complex {
            Some(side) => Err(wrong(what, expected, side)),
            None => Ok(Collection::empty()),
        };
    };
    let Some(order) = order(&a, &b) else {
        return Err(wrong(what, expected, right));
    };
    Ok(Collection::truth(order.map(|order| match operator {
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })))
}

/// The order of two System values; the outer none for types that do not compare, the inner one for no answer.
#[expect(
    clippy::option_option,
    reason = "not comparable and not known are different answers"
)]
pub(crate) fn order(a: &Item<'_>, b: &Item<'_>) -> Option<Option<Ordering>> {
    Some(match (a, b) {
        (Item::Integer(a), Item::Integer(b)) => Some(a.cmp(b)),
        (Item::String(a), Item::String(b)) => Some(a.cmp(b)),
        (Item::Temporal(a), Item::Temporal(b)) => {
            let time = |value: &crate::Temporal| value.kind() == crate::TemporalKind::Time;
            if time(a) != time(b) {
                return None;
            }
            a.compare(b)
        }
        (Item::Quantity(a), Item::Quantity(b)) => a.compare(b),
        (Item::Quantity(a), number) => a.compare(&Quantity::number(as_decimal(number)?)),
        (number, Item::Quantity(b)) => Quantity::number(as_decimal(number)?).compare(b),
        _ => Some(as_decimal(a)?.cmp(&as_decimal(b)?)),
    })
}

/// A number as a decimal.
pub(crate) fn as_decimal(item: &Item<'_>) -> Option<Decimal> {
    match item {
        Item::Integer(value) => Some(Decimal::from(*value)),
        Item::Decimal(value) => Some(*value),
        _ => None,
    }
}
