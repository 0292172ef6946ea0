//! Conversions (N1, section 5.5): what does not convert is empty, and `convertsTo...` says whether it would.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::filtering::one;
use super::{Call, Function};
use crate::collection::Collection;
use crate::evaluate::{Evaluator, Outcome, string};
use crate::item::{Item, decimal};
use crate::quantity::{Quantity, Unit, is_number};
use crate::temporal::{Temporal, TemporalKind};

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let Some(item) = one(call)? else {
        return Ok(Collection::empty());
    };
    let unit = match call.value(evaluator, 0)? {
        Some(unit) => string(call.function.name(), &unit)?.map(Cow::into_owned),
        None => None,
    };
    let value = item.system();
    let (to, asks) = target(call.function);
    let converted = value.and_then(|value| convert(to, value, unit));
    if asks {
        return Ok(Collection::of(Item::Boolean(converted.is_some())));
    }
    match converted {
        Some(Item::String(text)) => evaluator.text(text.into_owned()),
        other => Ok(Collection::maybe(other)),
    }
}

/// The conversion, and whether only its possibility is asked for.
const fn target(function: Function) -> (Function, bool) {
    match function {
        Function::ConvertsToBoolean => (Function::ToBoolean, true),
        Function::ConvertsToInteger => (Function::ToInteger, true),
        Function::ConvertsToDecimal => (Function::ToDecimal, true),
        Function::ConvertsToString => (Function::ToString, true),
        Function::ConvertsToDate => (Function::ToDate, true),
        Function::ConvertsToDateTime => (Function::ToDateTime, true),
        Function::ConvertsToTime => (Function::ToTime, true),
        Function::ConvertsToQuantity => (Function::ToQuantity, true),
        other => (other, false),
    }
}

fn convert(to: Function, value: Item<'_>, unit: Option<String>) -> Option<Item<'_>> {
    match to {
        Function::ToBoolean => boolean(&value).map(Item::Boolean),
        Function::ToInteger => integer(&value).map(Item::Integer),
        Function::ToDecimal => number(&value).map(Item::Decimal),
        Function::ToDate => temporal(&value, TemporalKind::Date).map(Item::Temporal),
        Function::ToDateTime => temporal(&value, TemporalKind::DateTime).map(Item::Temporal),
        Function::ToTime => temporal(&value, TemporalKind::Time).map(Item::Temporal),
        Function::ToQuantity => quantity(&value, unit).map(Item::Quantity),
        _ => match value {
            Item::Type(_) => None,
            other => Some(Item::string(other.to_string())),
        },
    }
}

fn boolean(value: &Item<'_>) -> Option<bool> {
    match value {
        Item::Boolean(value) => Some(*value),
        Item::Integer(1) => Some(true),
        Item::Integer(0) => Some(false),
        Item::Decimal(value) if *value == Decimal::ONE => Some(true),
        Item::Decimal(value) if value.is_zero() => Some(false),
        Item::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn integer(value: &Item<'_>) -> Option<i32> {
    match value {
        Item::Integer(value) => Some(*value),
        Item::Boolean(value) => Some(i32::from(*value)),
        Item::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn number(value: &Item<'_>) -> Option<Decimal> {
    match value {
        Item::Integer(value) => Some(Decimal::from(*value)),
        Item::Decimal(value) => Some(*value),
        Item::Boolean(value) => Some(if *value {
            Decimal::new(10, 1)
        } else {
            Decimal::new(0, 1)
        }),
        Item::String(text) => {
            let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
            let plain = text.strip_prefix('+').unwrap_or(text);
            is_number(unsigned).then(|| decimal(plain)).flatten()
        }
        _ => None,
    }
}

fn temporal(value: &Item<'_>, to: TemporalKind) -> Option<Temporal> {
    match (value, to) {
        (Item::Temporal(value), _) if value.kind() == to => Some(*value),
        (Item::Temporal(value), TemporalKind::Date) if value.kind() == TemporalKind::DateTime => {
            Some(value.date())
        }
        (Item::Temporal(value), TemporalKind::DateTime) if value.kind() == TemporalKind::Date => {
            Some(value.datetime())
        }
        (Item::String(text), TemporalKind::Date) => {
            Temporal::parse_datetime(text).map(Temporal::date)
        }
        (Item::String(text), TemporalKind::DateTime) => {
            Temporal::parse_datetime(text).or_else(|| {
                // Strings may stop after the hour.
                let (date, time) = text.split_once('T')?;
                let day = Temporal::parse_date(date)?;
                let time = Temporal::parse_time(time)?;
                (day.precision() == crate::Precision::Day).then_some(Temporal {
                    year: day.year,
                    month: day.month,
                    day: day.day,
                    kind: TemporalKind::DateTime,
                    ..time
                })
            })
        }
        (Item::String(text), TemporalKind::Time) => Temporal::parse_time(text),
        _ => None,
    }
}

fn quantity<'a>(value: &Item<'a>, unit: Option<String>) -> Option<Quantity<'a>> {
    let quantity = match value {
        Item::Quantity(quantity) => quantity.clone(),
        Item::Integer(value) => Quantity::number(Decimal::from(*value)),
        Item::Decimal(value) => Quantity::number(*value),
        Item::Boolean(value) => Quantity::number(if *value {
            Decimal::new(10, 1)
        } else {
            Decimal::new(0, 1)
        }),
        Item::String(text) => Quantity::parse(text)?,
        _ => return None,
    };
    match unit {
        None => Some(quantity),
        Some(unit) => {
            let to = Unit::of_word(&unit).map_or(Unit::Ucum(unit.into()), |word| match word {
                Unit::Calendar(word) => Unit::Calendar(word),
                other => Unit::Ucum(other.text().to_owned().into()),
            });
            quantity.converted(to)
        }
    }
}
