//! The naive evaluator: does a resource match, judged value by value. It is the oracle the store's
//! index is held against, so it must stay obviously right and must not share planning code with it.

use crate::search::fold::fold;
use crate::search::params::SearchParam;
use crate::search::query::{
    Modifier, Prefix, QueryValue, ReferenceQuery, TextMode, TokenQuery, UnitQuery,
};
use crate::search::values::{Extracted, IndexValue, RefTarget, UnitKey};

/// Whether a resource matches one parsed alternative of a clause on `param`. Alternatives of a clause
/// are joined by "or"; under `:not` each alternative must match ("none of them").
#[must_use]
pub fn matches(
    values: &Extracted<'_>,
    param: &SearchParam,
    modifier: Modifier,
    value: &QueryValue,
) -> bool {
    if let QueryValue::Missing(missing) = value {
        return values.present.contains(param.bit) != *missing;
    }
    let found = values
        .values
        .iter()
        .filter(|(id, _)| *id == param.id)
        .any(|(_, stored)| value_matches(stored, value));
    let negated = modifier.negates() || matches!(value, QueryValue::Token { negated: true, .. });
    found != negated
}

fn value_matches(stored: &IndexValue<'_>, query: &QueryValue) -> bool {
    match (stored, query) {
        (IndexValue::Token { system, code, .. }, QueryValue::Token { token, .. }) => {
            token_matches(system.as_deref(), code.as_deref(), token)
        }
        (
            IndexValue::Text { folded, exact },
            QueryValue::Text {
                mode,
                folded: wanted,
                exact: wanted_exact,
            },
        ) => match mode {
            TextMode::Prefix => folded.starts_with(wanted.as_str()),
            TextMode::Contains => folded.contains(wanted.as_str()),
            TextMode::Exact => exact == wanted_exact,
        },
        (
            IndexValue::Range { lo, hi },
            QueryValue::Range {
                prefix,
                lo: qlo,
                hi: qhi,
            },
        )
        | (
            IndexValue::Number { lo, hi },
            QueryValue::Number {
                prefix,
                lo: qlo,
                hi: qhi,
            },
        ) => prefix.compares((*lo, *hi), (*qlo, *qhi)),
        (
            IndexValue::Quantity { lo, hi, unit },
            QueryValue::Quantity {
                prefix,
                lo: qlo,
                hi: qhi,
                unit: wanted,
            },
        ) => unit_matches(unit, wanted) && prefix.compares((*lo, *hi), (*qlo, *qhi)),
        (IndexValue::Reference { target }, QueryValue::Reference(query)) => {
            reference_matches(target, query)
        }
        (IndexValue::Composite(parts), QueryValue::Composite(wanted)) => {
            parts.len() == wanted.len()
                && parts
                    .iter()
                    .zip(wanted)
                    .all(|(part, wanted)| value_matches(part, wanted))
        }
        _ => by_modifier(stored, query),
    }
}

/// URIs, and the values that only a modifier asks for.
fn by_modifier(stored: &IndexValue<'_>, query: &QueryValue) -> bool {
    match (stored, query) {
        (IndexValue::Uri(uri), QueryValue::Uri(wanted)) => uri == wanted,
        (IndexValue::Position(point), QueryValue::Near(around)) => around.holds(*point),
        (IndexValue::Uri(uri), QueryValue::UriBelow(root)) => is_below(uri, root),
        (IndexValue::Uri(uri), QueryValue::UriAbove(leaf)) => {
            is_below(leaf, uri.strip_suffix('/').unwrap_or(uri))
        }
        (IndexValue::Token { text, .. }, QueryValue::CodedText(wanted)) => text
            .as_deref()
            .is_some_and(|text| fold(text).starts_with(wanted.as_str())),
        (IndexValue::Token { code, .. }, QueryValue::CodeText(wanted)) => code
            .as_deref()
            .is_some_and(|code| fold(code).starts_with(wanted.as_str())),
        (
            IndexValue::Typed {
                system,
                code,
                value,
            },
            QueryValue::OfType {
                system: wanted_system,
                code: wanted_code,
                value: wanted,
            },
        ) => system == wanted_system && code == wanted_code && value == wanted,
        _ => false,
    }
}

/// Whether a URI is another one or goes on after it at a `/`.
fn is_below(uri: &str, root: &str) -> bool {
    uri.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Prefix {
    /// Whether a resource's range compares so with the query's; both half-open.
    #[must_use]
    pub const fn compares(self, (lo, hi): (i64, i64), (query_lo, query_hi): (i64, i64)) -> bool {
        let within = query_lo <= lo && hi <= query_hi;
        match self {
            Self::Eq => within,
            Self::Ne => !within,
            Self::Gt => hi > query_hi,
            Self::Lt => lo < query_lo,
            Self::Ge => hi > query_hi || within,
            Self::Le => lo < query_lo || within,
            Self::Sa => lo >= query_hi,
            Self::Eb => hi <= query_lo,
            Self::Ap => lo < query_hi && query_lo < hi,
        }
    }
}

fn token_matches(system: Option<&str>, code: Option<&str>, query: &TokenQuery) -> bool {
    match query {
        TokenQuery::Code(wanted) => code == Some(wanted),
        TokenQuery::SystemCode {
            system: wanted_system,
            code: wanted,
        } => system == Some(wanted_system) && code == Some(wanted),
        TokenQuery::NoSystem(wanted) => system.is_none() && code == Some(wanted),
        TokenQuery::System(wanted) => system == Some(wanted),
    }
}

fn unit_matches(unit: &UnitKey<'_>, query: &UnitQuery) -> bool {
    match (unit, query) {
        (UnitKey::Any, UnitQuery::Any) => true,
        (
            UnitKey::Coded { system, code },
            UnitQuery::Coded {
                system: wanted_system,
                code: wanted,
            },
        ) => system == wanted_system && code == wanted,
        (UnitKey::Label(label), UnitQuery::Label(wanted)) => label == wanted,
        _ => false,
    }
}

fn reference_matches(target: &RefTarget<'_>, query: &ReferenceQuery) -> bool {
    match (target, query) {
        (RefTarget::Local { ty, id }, ReferenceQuery::Local { types, id: wanted }) => {
            id == wanted && (types.is_empty() || types.contains(ty))
        }
        (RefTarget::Absolute(url), ReferenceQuery::Absolute(wanted)) => url == wanted,
        (RefTarget::Identifier { system, value }, ReferenceQuery::Identifier(token)) => {
            token_matches(system.as_deref(), Some(value), token)
        }
        _ => false,
    }
}
