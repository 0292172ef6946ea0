//! From query values to predicates. Must agree with `pack`.

use fhir::Definitions;
use fhir::search::{
    Prefix, QueryValue, ReferenceQuery, SearchParam, TextMode, TokenQuery, UnitQuery,
};
use kernel::LogicalId;

use super::code_text;
use super::presence::{has_value, is_own};
use super::union::union_of;
use crate::port::error::StoreError;
use crate::port::search::{Clause, KeyForm, Predicate, RangeOp};

/// The predicates of one alternative of a clause: a resource matches when any of them holds (a
/// reference by bare id may mean several types). `:not` is the clause's matter; the value inside counts.
///
/// # Errors
/// [`StoreError::Unsupported`] for tuples of two ranges that are no numbers, and for a system without a code beside a range.
pub fn predicate(param: &SearchParam, value: &QueryValue) -> Result<Vec<Predicate>, StoreError> {
    let id = param.id;
    let one = match value {
        QueryValue::Missing(missing) if is_own(id) => Predicate::All(vec![Clause {
            negated: *missing,
            any_of: vec![has_value(id)],
        }]),
        QueryValue::Missing(missing) => Predicate::Missing {
            param: id,
            missing: *missing,
        },
        QueryValue::Text {
            mode,
            folded,
            exact,
        } => match mode {
            TextMode::Exact => Predicate::Key {
                param: id,
                form: KeyForm::Exact(exact.clone()),
            },
            TextMode::Prefix => Predicate::TextPrefix {
                param: id,
                scope: None,
                folded: folded.clone(),
            },
            TextMode::Contains => Predicate::TextContains {
                param: id,
                folded: folded.clone(),
            },
        },
        QueryValue::Range { prefix, lo, hi } | QueryValue::Number { prefix, lo, hi } => {
            Predicate::Range {
                param: id,
                unit: None,
                op: op(*prefix),
                lo: *lo,
                hi: *hi,
            }
        }
        QueryValue::Quantity {
            prefix,
            lo,
            hi,
            unit,
        } => Predicate::Range {
            param: id,
            unit: unit_form(unit),
            op: op(*prefix),
            lo: *lo,
            hi: *hi,
        },
        QueryValue::Composite(components) => return composite(param, components),
        other => return by_modifier(param, other),
    };
    Ok(vec![one])
}

/// What only a modifier asks for, and every hashed value.
fn by_modifier(param: &SearchParam, value: &QueryValue) -> Result<Vec<Predicate>, StoreError> {
    let id = param.id;
    Ok(match value {
        QueryValue::CodedText(folded) => vec![text_prefix(param, folded.clone())],
        QueryValue::CodeText(folded) => vec![text_prefix(param, code_text(folded))],
        QueryValue::UriBelow(root) => {
            let own = Predicate::Key {
                param: id,
                form: KeyForm::Url(root.clone()),
            };
            vec![own, text_prefix(param, format!("{root}/"))]
        }
        QueryValue::Hierarchy { .. } => {
            return Err(StoreError::Unsupported("hierarchies that nobody resolved"));
        }
        QueryValue::Near(around) => vec![Predicate::Near {
            param: id,
            around: *around,
        }],
        QueryValue::Concepts(_) => {
            return Err(StoreError::Unsupported("codes that nobody resolved"));
        }
        hashed => {
            let forms = key_forms(hashed);
            if forms.is_empty() {
                return Ok(vec![Predicate::Nothing]);
            }
            let key = |form| Predicate::Key { param: id, form };
            forms.into_iter().map(key).collect()
        }
    })
}

fn text_prefix(param: &SearchParam, folded: String) -> Predicate {
    Predicate::TextPrefix {
        param: param.id,
        scope: None,
        folded,
    }
}

/// Every URI that a URI lies below, itself among them: cut at each `/`, with the `/` and without.
fn ancestors(uri: &str) -> Vec<KeyForm> {
    let cuts = uri.match_indices('/').map(|(at, _)| at);
    cuts.chain([uri.len()])
        .filter_map(|end| uri.get(..end))
        .filter(|root| !root.is_empty())
        .flat_map(|root| [root.to_owned(), format!("{root}/")])
        .map(KeyForm::Url)
        .collect()
}

fn composite(param: &SearchParam, components: &[QueryValue]) -> Result<Vec<Predicate>, StoreError> {
    match union_of(param.id) {
        None => tuples(param, components),
        Some([own, component]) => {
            let mut both = tuples(own, components)?;
            both.append(&mut tuples(component, components)?);
            Ok(both)
        }
    }
}

fn tuples(param: &SearchParam, components: &[QueryValue]) -> Result<Vec<Predicate>, StoreError> {
    let mut scopes: Vec<Option<KeyForm>> = vec![None];
    let mut open: Vec<&QueryValue> = Vec::new();
    for component in components {
        if is_range(component) || matches!(component, QueryValue::Text { .. }) {
            open.push(component);
            continue;
        }
        let forms = key_forms(component);
        if components.iter().any(is_range)
            && forms.iter().any(|form| matches!(form, KeyForm::System(_)))
        {
            return Err(StoreError::Unsupported(
                "a system without a code beside a range",
            ));
        }
        scopes = scopes
            .iter()
            .flat_map(|scope| {
                forms
                    .iter()
                    .map(move |form| combine(scope.clone(), Some(form.clone())))
            })
            .collect();
    }
    let predicates = scopes
        .into_iter()
        .map(|scope| match open.as_slice() {
            [] => tuple(param, scope, None),
            [one] => tuple(param, scope, Some(*one)),
            [first, second] => numbers(param, scope, first, second),
            _ => Err(StoreError::Unsupported("a tuple of three ranges")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(if predicates.is_empty() {
        vec![Predicate::Nothing]
    } else {
        predicates
    })
}

/// Stored numbers are points: two of a tuple lie in one row.
fn numbers(
    param: &SearchParam,
    scope: Option<KeyForm>,
    first: &QueryValue,
    second: &QueryValue,
) -> Result<Predicate, StoreError> {
    let number = |value: &QueryValue| match value {
        QueryValue::Number { prefix, lo, hi } => Ok((op(*prefix), *lo, *hi)),
        _ => Err(StoreError::Unsupported("searches by a tuple of two ranges")),
    };
    Ok(Predicate::Numbers {
        param: param.id,
        scope,
        first: number(first)?,
        second: number(second)?,
    })
}

const fn is_range(value: &QueryValue) -> bool {
    matches!(
        value,
        QueryValue::Range { .. } | QueryValue::Number { .. } | QueryValue::Quantity { .. }
    )
}

fn tuple(
    param: &SearchParam,
    scope: Option<KeyForm>,
    open: Option<&QueryValue>,
) -> Result<Predicate, StoreError> {
    let id = param.id;
    Ok(match open {
        None => scope.map_or(Predicate::Nothing, |form| Predicate::Key {
            param: id,
            form,
        }),
        Some(QueryValue::Range { prefix, lo, hi } | QueryValue::Number { prefix, lo, hi }) => {
            Predicate::Range {
                param: id,
                unit: scope,
                op: op(*prefix),
                lo: *lo,
                hi: *hi,
            }
        }
        Some(QueryValue::Quantity {
            prefix,
            lo,
            hi,
            unit,
        }) => Predicate::Range {
            param: id,
            unit: combine(scope, unit_form(unit)),
            op: op(*prefix),
            lo: *lo,
            hi: *hi,
        },
        Some(QueryValue::Text {
            mode: TextMode::Prefix,
            folded,
            ..
        }) => Predicate::TextPrefix {
            param: id,
            scope,
            folded: folded.clone(),
        },
        Some(_) => return Err(StoreError::Unsupported("this tuple of search values")),
    })
}

fn combine(scope: Option<KeyForm>, form: Option<KeyForm>) -> Option<KeyForm> {
    match (scope, form) {
        (Some(scope), Some(form)) => Some(KeyForm::Pair(Box::new(scope), Box::new(form))),
        (scope, form) => scope.or(form),
    }
}

fn unit_form(unit: &UnitQuery) -> Option<KeyForm> {
    match unit {
        UnitQuery::Any => None,
        UnitQuery::Coded { system, code } => {
            Some(KeyForm::SystemCode(system.clone(), code.clone()))
        }
        UnitQuery::Label(label) => Some(KeyForm::Code(label.clone())),
    }
}

fn key_forms(value: &QueryValue) -> Vec<KeyForm> {
    match value {
        QueryValue::Token { token, .. } => vec![match token {
            TokenQuery::Code(code) => KeyForm::Code(code.clone()),
            TokenQuery::SystemCode { system, code } => {
                KeyForm::SystemCode(system.clone(), code.clone())
            }
            TokenQuery::NoSystem(code) => KeyForm::NoSystem(code.clone()),
            TokenQuery::System(system) => KeyForm::System(system.clone()),
        }],
        QueryValue::Uri(uri) => vec![KeyForm::Url(uri.clone())],
        QueryValue::UriAbove(uri) => ancestors(uri),
        QueryValue::OfType {
            system,
            code,
            value,
        } => vec![KeyForm::Pair(
            Box::new(KeyForm::SystemCode(system.clone(), code.clone())),
            Box::new(KeyForm::Code(value.clone())),
        )],
        QueryValue::Reference(reference) => reference_forms(reference),
        _ => Vec::new(),
    }
}

fn reference_forms(reference: &ReferenceQuery) -> Vec<KeyForm> {
    match reference {
        ReferenceQuery::Absolute(url) => vec![KeyForm::Url(url.clone())],
        ReferenceQuery::Local { types, id } => {
            let Ok(id) = id.parse::<LogicalId>() else {
                return Vec::new();
            };
            if types.is_empty() {
                Definitions::r4()
                    .resource_types()
                    .map(|ty| KeyForm::Local(ty, id.clone()))
                    .collect()
            } else {
                types
                    .iter()
                    .map(|ty| KeyForm::Local(*ty, id.clone()))
                    .collect()
            }
        }
        ReferenceQuery::Identifier(token) => vec![match token {
            TokenQuery::Code(value) => KeyForm::Identifier(None, value.clone()),
            TokenQuery::SystemCode { system, code } => {
                KeyForm::Identifier(Some(system.clone()), code.clone())
            }
            TokenQuery::NoSystem(value) => KeyForm::Identifier(Some(String::new()), value.clone()),
            TokenQuery::System(system) => KeyForm::Identifier(Some(system.clone()), String::new()),
        }],
    }
}

const fn op(prefix: Prefix) -> RangeOp {
    match prefix {
        Prefix::Eq => RangeOp::Within,
        Prefix::Ne => RangeOp::NotWithin,
        Prefix::Gt => RangeOp::Above,
        Prefix::Lt => RangeOp::Below,
        Prefix::Ge => RangeOp::AboveOrWithin,
        Prefix::Le => RangeOp::BelowOrWithin,
        Prefix::Sa => RangeOp::After,
        Prefix::Eb => RangeOp::Before,
        Prefix::Ap => RangeOp::Overlaps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::search::{Modifier, ParamKind, parse_query_value};

    #[test]
    fn every_base_composite_can_be_asked_for() {
        let definitions = Definitions::r4();
        let sample = |kind: ParamKind| match kind {
            ParamKind::Token => "urn:x|c",
            ParamKind::Quantity => "gt5.4|http://unitsofmeasure.org|mg",
            ParamKind::Date => "ge2026-01",
            ParamKind::Number => "le7",
            ParamKind::Reference => "Patient/p",
            ParamKind::Uri => "http://x",
            _ => "text",
        };
        let mut kinds = std::collections::BTreeMap::new();
        let params = definitions
            .resource_types()
            .flat_map(|ty| definitions.search_params(ty));
        for param in params.filter(|param| param.kind == ParamKind::Composite) {
            let parts: Vec<&str> = param.components.iter().map(|c| sample(c.kind)).collect();
            let names: Vec<&str> = param.components.iter().map(|c| c.kind.code()).collect();
            let now = kernel::Timestamp::from_millis(0);
            let value = parse_query_value(param, Modifier::None, &parts.join("$"), now).unwrap();
            let asked = predicate(param, &value);
            assert!(asked.is_ok(), "{}: {asked:?}", param.code);
            *kinds.entry(names.join("$")).or_insert(0) += 1;
        }
        let kinds: Vec<String> = kinds.iter().map(|(k, n)| format!("{k} {n}")).collect();
        insta::assert_snapshot!(kinds.join("\n"), @r"
        token$date 1
        token$number$number 4
        token$quantity 32
        token$reference 1
        token$string 1
        token$token 33
        ");
    }
}
