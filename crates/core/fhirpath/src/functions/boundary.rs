//! `lowBoundary`, `highBoundary`, `precision` and `comparable` (N1 2.1): what the written digits leave open.

use rust_decimal::{Decimal, RoundingStrategy};

use super::filtering::one;
use super::{Call, Function};
use crate::collection::Collection;
use crate::evaluate::{Evaluator, Outcome, integer, single, wrong};
use crate::item::Item;
use crate::quantity::Quantity;
use crate::temporal::TemporalKind;

/// The most places a decimal has.
const MAX_PLACES: i32 = 28;

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let name = call.function.name();
    one(call)?;
    let Some(item) = single(name, call.input)? else {
        return Ok(Collection::empty());
    };
    match call.function {
        Function::Precision => precision(call, &item),
        Function::Comparable => {
            let other = call.value(evaluator, 0)?.unwrap_or_default();
            let Some(other_item) = single(name, &other)? else {
                return Ok(Collection::empty());
            };
            match (item, other_item) {
                (Item::Quantity(a), Item::Quantity(b)) => {
                    Ok(Collection::of(Item::Boolean(a.comparable(&b))))
                }
                _ => Err(wrong(name, "quantities", call.input)),
            }
        }
        function => {
            let digits = match call.value(evaluator, 0)? {
                Some(digits) => integer(name, &digits)?,
                None => None,
            };
            let high = function == Function::HighBoundary;
            boundary(call, item, digits, high)
        }
    }
}

fn precision<'a>(call: &Call<'_, 'a>, item: &Item<'a>) -> Outcome<'a> {
    let digits = match item {
        Item::Integer(_) => 0,
        Item::Decimal(value) => value.scale(),
        Item::Temporal(value) => value.digits_written(),
        _ => return Err(wrong("precision()", "a decimal, date or time", call.input)),
    };
    Ok(Collection::of(Item::Integer(digits as i32)))
}

fn boundary<'a>(
    call: &Call<'_, 'a>,
    item: Item<'a>,
    digits: Option<i32>,
    high: bool,
) -> Outcome<'a> {
    let places = digits.unwrap_or(8);
    let result = match item {
        Item::Integer(value) => number(Decimal::from(value), places, high).map(Item::Decimal),
        Item::Decimal(value) => number(value, places, high).map(Item::Decimal),
        Item::Quantity(quantity) => number(quantity.value, places, high).map(|value| {
            Item::Quantity(Quantity {
                value,
                unit: quantity.unit,
            })
        }),
        Item::Temporal(value) => {
            let default = match value.kind() {
                TemporalKind::Date => 8,
                TemporalKind::DateTime => 17,
                TemporalKind::Time => 9,
            };
            u32::try_from(digits.unwrap_or(default))
                .ok()
                .and_then(|digits| value.boundary(digits, high))
                .map(Item::Temporal)
        }
        _ => {
            return Err(wrong(
                call.function.name(),
                "a number, quantity, date or time",
                call.input,
            ));
        }
    };
    Ok(Collection::maybe(result))
}

/// Half a unit of the last written place below or above, to a number of places; rounded away from the value.
fn number(value: Decimal, places: i32, high: bool) -> Option<Decimal> {
    if !(0..=MAX_PLACES).contains(&places) {
        return None;
    }
    let half = Decimal::try_new(5, value.scale() + 1).ok()?;
    let edge = if high {
        value.checked_add(half)?
    } else {
        value.checked_sub(half)?
    };
    let strategy = if high {
        RoundingStrategy::ToPositiveInfinity
    } else {
        RoundingStrategy::ToNegativeInfinity
    };
    let mut edge = edge.round_dp_with_strategy(places as u32, strategy);
    edge.rescale(places as u32);
    Some(edge)
}
