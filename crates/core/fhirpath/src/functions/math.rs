//! Mathematics (N1, section 5.7). `abs`, `ceiling`, `floor`, `round`, `truncate`, `sqrt` and whole powers are
//! decimal. `exp`, `ln`, `log` and broken powers have no decimal form: they are computed in binary floating
//! point and rounded to 12 significant digits. Results beyond a decimal are empty.

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};

use super::filtering::one;
use super::{Call, Function};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::{Evaluator, Outcome, as_decimal, integer, single, wrong};
use crate::item::Item;
use crate::quantity::Quantity;

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let name = call.function.name();
    if one(call)?.is_none() {
        return Ok(Collection::empty());
    }
    let input = match single(name, call.input)? {
        Some(Item::Quantity(quantity)) => return of_quantity(evaluator, call, quantity),
        Some(item @ (Item::Integer(_) | Item::Decimal(_))) => item,
        None if valueless(call.input) => return Ok(Collection::empty()),
        _ => return Err(wrong(name, "a number", call.input)),
    };
    let value = as_decimal(&input).unwrap_or_default();
    if let (Item::Integer(whole), Function::Abs) = (&input, call.function) {
        return Ok(Collection::maybe(whole.checked_abs().map(Item::Integer)));
    }
    let result = match call.function {
        Function::Abs => Some(Item::Decimal(value.abs())),
        Function::Ceiling => whole(value.ceil()),
        Function::Floor => whole(value.floor()),
        Function::Truncate => whole(value.trunc()),
        Function::Round => Some(Item::Decimal(rounded(evaluator, call, value)?)),
        Function::Sqrt => square_root(value).map(Item::Decimal),
        Function::Exp => floating(value, f64::exp).map(Item::Decimal),
        Function::Ln if value <= Decimal::ZERO => None,
        Function::Ln => floating(value, f64::ln).map(Item::Decimal),
        Function::Log | Function::Power => return with_argument(evaluator, call, &input, value),
        _ => None,
    };
    Ok(Collection::maybe(result))
}

fn valueless(input: &Collection<'_>) -> bool {
    input
        .first()
        .and_then(Item::as_node)
        .is_some_and(|node| node.is_primitive() && node.value().is_none())
}

fn whole<'a>(value: Decimal) -> Option<Item<'a>> {
    value.to_i32().map(Item::Integer)
}

fn rounded<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    value: Decimal,
) -> Result<Decimal, EvaluationError> {
    let places = match call.value(evaluator, 0)? {
        Some(places) => integer("round()", &places)?.unwrap_or(0),
        None => 0,
    };
    let places = u32::try_from(places).map_err(|_| {
        EvaluationError::argument("round()", "the number of places is negative: give 0 to 28")
    })?;
    Ok(value.round_dp_with_strategy(places.min(28), RoundingStrategy::MidpointAwayFromZero))
}

/// The quantity forms of the functions that have one.
fn of_quantity<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    quantity: Quantity<'a>,
) -> Outcome<'a> {
    let value = match call.function {
        Function::Abs => quantity.value.abs(),
        Function::Ceiling => quantity.value.ceil(),
        Function::Floor => quantity.value.floor(),
        Function::Truncate => quantity.value.trunc(),
        Function::Round => rounded(evaluator, call, quantity.value)?,
        function => return Err(wrong(function.name(), "a number", call.input)),
    };
    Ok(Collection::of(Item::Quantity(Quantity {
        value,
        unit: quantity.unit,
    })))
}

fn with_argument<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    input: &Item<'a>,
    value: Decimal,
) -> Outcome<'a> {
    let name = call.function.name();
    let argument = call.value(evaluator, 0)?.unwrap_or_default();
    let Some(argument) = single(name, &argument)? else {
        return Ok(Collection::empty());
    };
    let Some(other) = as_decimal(&argument) else {
        return Err(EvaluationError::wrong_type(
            name,
            "a number",
            argument.type_info().name,
        ));
    };
    let result = if call.function == Function::Log {
        logarithm(value, other)
    } else {
        power(value, other)
    };
    let both_whole = matches!((input, &argument), (Item::Integer(_), Item::Integer(_)));
    Ok(Collection::maybe(result.and_then(|result| {
        if call.function == Function::Power && both_whole && result.fract().is_zero() {
            whole(result)
        } else {
            Some(Item::Decimal(result))
        }
    })))
}

fn logarithm(value: Decimal, base: Decimal) -> Option<Decimal> {
    if value <= Decimal::ZERO || base <= Decimal::ZERO || base == Decimal::ONE {
        return None;
    }
    significant(value.to_f64()?.ln() / base.to_f64()?.ln())
}

/// Whole exponents by multiplication, others in floating point; none for a root of a negative number.
fn power(value: Decimal, exponent: Decimal) -> Option<Decimal> {
    if exponent.fract().is_zero()
        && let Some(count) = exponent.to_i32().filter(|count| count.abs() <= 512)
    {
        let product = (0..count.unsigned_abs())
            .try_fold(Decimal::ONE, |product, _| product.checked_mul(value))?;
        return if count < 0 {
            Decimal::ONE.checked_div(product)
        } else {
            Some(product)
        };
    }
    if value < Decimal::ZERO {
        return None;
    }
    significant(value.to_f64()?.powf(exponent.to_f64()?))
}

/// By Newton's steps on decimals, from a floating-point guess.
fn square_root(value: Decimal) -> Option<Decimal> {
    if value < Decimal::ZERO {
        return None;
    }
    if value.is_zero() {
        return Some(Decimal::ZERO);
    }
    let mut root = Decimal::from_f64(value.to_f64()?.sqrt())?;
    if root.is_zero() {
        root = Decimal::new(1, 14);
    }
    let two = Decimal::TWO;
    for _ in 0..8 {
        let next = value
            .checked_div(root)?
            .checked_add(root)?
            .checked_div(two)?;
        if next == root {
            break;
        }
        root = next;
    }
    Some(root.round_dp(20).normalize())
}

fn floating(value: Decimal, function: fn(f64) -> f64) -> Option<Decimal> {
    significant(function(value.to_f64()?))
}

/// A floating-point result as a decimal of 12 significant digits.
fn significant(value: f64) -> Option<Decimal> {
    if !value.is_finite() {
        return None;
    }
    Decimal::from_f64_retain(value)?
        .round_sf(12)
        .map(|value| value.normalize())
}
