//! Whether a value is a fixed one, or holds a pattern (FHIR R4, elementdefinition, fixed[x] and
//! pattern[x]).

use fhir::json::{Kind, Value};

/// Whether two values are the same; the order of members does not matter, numbers are compared as written
/// but for exponents.
pub(super) fn same(value: Value<'_>, wanted: Value<'_>) -> bool {
    if value.kind() != wanted.kind() {
        return false;
    }
    match value.kind() {
        Kind::Object => {
            value.len() == wanted.len()
                && wanted
                    .members()
                    .all(|(key, inner)| value.get(&key).is_some_and(|found| same(found, inner)))
        }
        Kind::Array => {
            value.len() == wanted.len()
                && value
                    .items()
                    .zip(wanted.items())
                    .all(|(value, wanted)| same(value, wanted))
        }
        _ => same_scalar(value, wanted),
    }
}

/// Whether a value holds a pattern: all its members, and for each item of an array one that holds it.
pub(super) fn holds(value: Value<'_>, pattern: Value<'_>) -> bool {
    match (value.kind(), pattern.kind()) {
        (Kind::Object, Kind::Object) => pattern
            .members()
            .all(|(key, inner)| value.get(&key).is_some_and(|found| holds(found, inner))),
        (Kind::Array, Kind::Array) => pattern
            .items()
            .all(|wanted| value.items().any(|found| holds(found, wanted))),
        (a, b) => a == b && same_scalar(value, pattern),
    }
}

fn same_scalar(a: Value<'_>, b: Value<'_>) -> bool {
    match (a.number_text(), b.number_text()) {
        (Some(a), Some(b)) => a == b || a.parse::<f64>().ok() == b.parse().ok(),
        _ => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => a == b,
            _ => a.raw() == b.raw(),
        },
    }
}
