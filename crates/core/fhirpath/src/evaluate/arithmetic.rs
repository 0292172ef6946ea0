//! `+ - * / div mod &` and signs over integers, decimals, strings, quantities, dates and times (N1, section
//! 6.6). Overflow and division by zero are empty; types that do not go together are errors.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::operators::as_decimal;
use super::{Evaluator, Outcome, single, string, wrong};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::expr::Operator;
use crate::item::Item;
use crate::quantity::Quantity;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn arithmetic(
        &mut self,
        operator: Operator,
        left: &Collection<'a>,
        right: &Collection<'a>,
    ) -> Outcome<'a> {
        let what = operator.text();
        if operator == Operator::Concatenate {
            let left = string(what, left)?.unwrap_or_default();
            let right = string(what, right)?.unwrap_or_default();
            return self.text(left.into_owned() + &right);
        }
        let (a, b) = (single(what, left)?, single(what, right)?);
        let (Some(a), Some(b)) = (a, b) else {
            return match [left, right].into_iter().find(|side| is_complex(side)) {
                Some(side) => Err(wrong(what, "numbers, strings, quantities or dates", side)),
                None => Ok(Collection::empty()),
            };
        };
        if let (Item::String(a), Item::String(b), Operator::Add) = (&a, &b, operator) {
            return self.text(format!("{a}{b}"));
        }
        calculate(operator, &a, &b).map(Collection::maybe)
    }
}

/// A minus before a value.
pub(super) fn negate<'a>(value: &Collection<'a>) -> Outcome<'a> {
    let item = match single("-", value)? {
        None if !is_complex(value) => None,
        Some(Item::Integer(value)) => value.checked_neg().map(Item::Integer),
        Some(Item::Decimal(value)) => Some(Item::Decimal(-value)),
        Some(Item::Quantity(quantity)) => Some(Item::Quantity(Quantity {
            value: -quantity.value,
            unit: quantity.unit,
        })),
        _ => return Err(wrong("-", "a number or quantity", value)),
    };
    Ok(Collection::maybe(item))
}

/// A plus before a value.
pub(super) fn signed<'a>(value: &Collection<'a>) -> Outcome<'a> {
    match single("+", value)? {
        None if !is_complex(value) => Ok(Collection::empty()),
        Some(item @ (Item::Integer(_) | Item::Decimal(_) | Item::Quantity(_))) => {
            Ok(Collection::of(item))
        }
        _ => Err(wrong("+", "a number or quantity", value)),
    }
}

fn is_complex(side: &Collection<'_>) -> bool {
    side.first()
        .and_then(Item::as_node)
        .is_some_and(|node| !node.is_primitive() && node.ty().name() != "Quantity")
}

fn calculate<'a>(
    operator: Operator,
    a: &Item<'a>,
    b: &Item<'a>,
) -> Result<Option<Item<'a>>, EvaluationError> {
    match (a, b) {
        (Item::Temporal(value), Item::Quantity(quantity))
            if matches!(operator, Operator::Add | Operator::Subtract) =>
        {
            shifted(operator, *value, quantity)
        }
        (Item::Integer(a), Item::Integer(b)) => Ok(integers(operator, *a, *b)),
        (Item::Quantity(a), Item::Quantity(b)) => quantities(operator, a, b),
        (Item::Quantity(a), number) if as_decimal(number).is_some() => quantities(
            operator,
            a,
            &Quantity::number(as_decimal(number).unwrap_or_default()),
        ),
        (number, Item::Quantity(b)) if as_decimal(number).is_some() => quantities(
            operator,
            &Quantity::number(as_decimal(number).unwrap_or_default()),
            b,
        ),
        _ => match (as_decimal(a), as_decimal(b)) {
            (Some(a), Some(b)) => Ok(decimals(operator, a, b)),
            _ => Err(EvaluationError::wrong_type(
                operator.text(),
                "two values of one type, or a date and a quantity",
                format!("{} and {}", a.type_info().name, b.type_info().name),
            )),
        },
    }
}

fn integers<'a>(operator: Operator, a: i32, b: i32) -> Option<Item<'a>> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Div => a.checked_div(b),
        Operator::Mod => a.checked_rem(b),
        _ => return decimals(operator, Decimal::from(a), Decimal::from(b)),
    };
    result.map(Item::Integer)
}

fn decimals<'a>(operator: Operator, a: Decimal, b: Decimal) -> Option<Item<'a>> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => a.checked_div(b),
        Operator::Mod => a.checked_rem(b),
        Operator::Div => {
            let whole = a.checked_div(b)?.trunc();
            return whole.to_i32().map(Item::Integer);
        }
        _ => None,
    };
    result.map(Item::Decimal)
}

fn quantities<'a>(
    operator: Operator,
    a: &Quantity<'a>,
    b: &Quantity<'a>,
) -> Result<Option<Item<'a>>, EvaluationError> {
    let result = match operator {
        Operator::Add => a.plus(b, Decimal::ONE),
        Operator::Subtract => a.plus(b, Decimal::NEGATIVE_ONE),
        Operator::Multiply => a.times(b),
        Operator::Divide => a.over(b),
        _ => {
            return Err(EvaluationError::wrong_type(
                operator.text(),
                "numbers",
                "quantities",
            ));
        }
    };
    Ok(result.map(Item::Quantity))
}

/// A date or time plus or minus a duration; fractions of it are dropped.
fn shifted<'a>(
    operator: Operator,
    value: crate::Temporal,
    quantity: &Quantity<'_>,
) -> Result<Option<Item<'a>>, EvaluationError> {
    let Some(unit) = quantity.unit.calendar() else {
        return Err(EvaluationError::wrong_type(
            operator.text(),
            "a calendar duration like 4 days",
            format!("a quantity in {:?}", quantity.unit.text()),
        ));
    };
    let sign = if operator == Operator::Add { 1 } else { -1 };
    let count = quantity.value.trunc().to_i64();
    Ok(count
        .and_then(|count| value.plus(count.checked_mul(sign)?, unit))
        .map(Item::Temporal))
}
