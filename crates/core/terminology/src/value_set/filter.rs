//! The filters of a value set (FHIR R4, section 4.9.5.1) over one code system. A filter that is not
//! understood is an error, never empty.

use regex::{Regex, RegexBuilder};

use super::Filter;
use crate::ecl::{self, at_or_below};
use crate::error::TerminologyError;
use crate::members::Members;
use crate::system::CodeSystem;

/// The concepts that satisfy a filter.
pub(super) fn evaluate(system: &CodeSystem, filter: &Filter) -> Result<Members, TerminologyError> {
    let unsupported = || TerminologyError::Filter {
        system: system.canonical(),
        property: filter.property.clone(),
        op: filter.op.clone(),
        value: filter.value.clone(),
    };
    let found = match filter.property.as_str() {
        "concept" | "code" => by_code(system, filter)?,
        "constraint" | "expression" if filter.op == "=" => {
            Some(ecl::evaluate(system, &filter.value)?)
        }
        "parent" | "child" | "ancestor" | "descendant" => by_relation(system, filter),
        _ => by_property(system, filter)?,
    };
    found.ok_or_else(unsupported)
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn listed(system: &CodeSystem, value: &str) -> Members {
    let mut members = Members::none(system.len());
    for code in list(value) {
        if let Some(at) = system.find(code) {
            members.insert(at);
        }
    }
    members
}

fn without(system: &CodeSystem, these: &Members) -> Members {
    let mut members = Members::all(system.len());
    members.take_out(these);
    members
}

fn by_code(system: &CodeSystem, filter: &Filter) -> Result<Option<Members>, TerminologyError> {
    let none = || Members::none(system.len());
    let value = filter.value.as_str();
    let at = system.find(value);
    let below = || at.map_or_else(none, |at| at_or_below(system, at));
    Ok(Some(match filter.op.as_str() {
        "is-a" => below(),
        "descendent-of" => {
            let mut members = below();
            members.remove_all(at.as_slice());
            members
        }
        "is-not-a" => without(system, &below()),
        "generalizes" => {
            let above = at.and_then(|at| system.hierarchy().ancestors(at, usize::MAX));
            let mut members = none();
            for at in above.unwrap_or_default() {
                members.insert(at);
            }
            members
        }
        "in" => members_of(system, value)?,
        "not-in" => without(system, &members_of(system, value)?),
        "=" => listed(system, value),
        "exists" if value == "true" => Members::all(system.len()),
        "exists" if value == "false" => none(),
        "regex" => {
            let pattern = pattern(filter, system)?;
            Members::filtered(system.len(), |at| pattern.is_match(system.code(at)))
        }
        _ => return Ok(None),
    }))
}

/// In SNOMED CT the value names a reference set; elsewhere it lists codes.
fn members_of(system: &CodeSystem, value: &str) -> Result<Members, TerminologyError> {
    match ecl::subset(system, value) {
        Some(members) => Ok(members),
        None if system.head().url == "http://snomed.info/sct" => {
            ecl::evaluate(system, &format!("^ {value}"))
        }
        None => Ok(listed(system, value)),
    }
}

fn by_relation(system: &CodeSystem, filter: &Filter) -> Option<Members> {
    let values: Vec<&str> = match filter.op.as_str() {
        "=" => vec![filter.value.as_str()],
        "in" => list(&filter.value).collect(),
        "exists" => {
            let wanted = filter.value == "true";
            return Some(Members::filtered(system.len(), |at| {
                let has = match filter.property.as_str() {
                    "parent" | "ancestor" => !system.hierarchy().parents(at).is_empty(),
                    _ => !system.children(at).is_empty(),
                };
                has == wanted
            }));
        }
        _ => return None,
    };
    let mut members = Members::none(system.len());
    for at in values.into_iter().filter_map(|code| system.find(code)) {
        match filter.property.as_str() {
            "parent" => system.children(at).iter().for_each(|child| {
                members.insert(*child);
            }),
            "child" => system.hierarchy().parents(at).iter().for_each(|parent| {
                members.insert(*parent);
            }),
            "ancestor" => {
                let mut below = at_or_below(system, at);
                below.remove(at);
                members.add(&below);
            }
            _ => {
                let above = system.hierarchy().ancestors(at, usize::MAX);
                above.unwrap_or_default().iter().skip(1).for_each(|at| {
                    members.insert(*at);
                });
            }
        }
    }
    Some(members)
}

/// What a property reads of a concept.
enum Source {
    Display,
    Definition,
    Inactive,
    Abstract,
    Property(u16),
}

fn source(system: &CodeSystem, property: &str) -> Option<Source> {
    if let Some(number) = system.property(property) {
        return Some(Source::Property(number));
    }
    Some(match property {
        "display" => Source::Display,
        "definition" => Source::Definition,
        "inactive" => Source::Inactive,
        "notSelectable" | "abstract" => Source::Abstract,
        _ => return None,
    })
}

fn any(system: &CodeSystem, source: &Source, at: u32, test: impl Fn(&str) -> bool) -> bool {
    let flag = |set: bool| test(if set { "true" } else { "false" });
    match source {
        Source::Display => test(system.display(at)),
        Source::Definition => test(system.definition(at)),
        Source::Inactive => flag(system.is_inactive(at)),
        Source::Abstract => flag(system.is_abstract(at)),
        Source::Property(number) => system.values_of(at, *number).any(test),
    }
}

fn by_property(system: &CodeSystem, filter: &Filter) -> Result<Option<Members>, TerminologyError> {
    let Some(source) = source(system, &filter.property) else {
        return Ok(None);
    };
    let with = |test: &dyn Fn(&str) -> bool| {
        Members::filtered(system.len(), |at| any(system, &source, at, test))
    };
    Ok(Some(match filter.op.as_str() {
        "=" => with(&|text| same(text, &filter.value)),
        "in" => with(&|text| list(&filter.value).any(|value| same(text, value))),
        "not-in" => {
            let these = with(&|text| list(&filter.value).any(|value| same(text, value)));
            without(system, &these)
        }
        "exists" => {
            let these = with(&|text| !text.is_empty());
            match filter.value.as_str() {
                "true" => these,
                "false" => without(system, &these),
                _ => return Ok(None),
            }
        }
        "regex" => {
            let pattern = pattern(filter, system)?;
            with(&|text| pattern.is_match(text))
        }
        // A property whose values are codes of the same system.
        "is-a" | "descendent-of" => {
            let root = system.find(&filter.value);
            let strict = filter.op == "descendent-of";
            with(&|text| match (root, system.find(text)) {
                (Some(root), Some(at)) => {
                    system.hierarchy().subsumes(root, at) && !(strict && root == at)
                }
                _ => false,
            })
        }
        _ => return Ok(None),
    }))
}

/// Whether a stored value is the one asked for; a coding (`system|code|display`) is by its code.
fn same(stored: &str, value: &str) -> bool {
    if stored == value {
        return true;
    }
    let mut parts = stored.splitn(3, '|');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(system), Some(code), Some(display)) => {
            code == value || display == value || value.split_once('|') == Some((system, code))
        }
        _ => false,
    }
}

/// A pattern matches the whole value; it is run in linear time.
fn pattern(filter: &Filter, system: &CodeSystem) -> Result<Regex, TerminologyError> {
    RegexBuilder::new(&format!("^(?:{})$", filter.value))
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(|error| TerminologyError::Faulty {
            what: format!("pattern {:?} on {}", filter.value, system.canonical()),
            why: error.to_string(),
        })
}
