//! Value sets (FHIR R4, section 4.9): their definition, and what it comes to once its code systems are
//! known. Must not fetch anything: what is not in the library is a gap, and a gap is never "no".

pub mod compile;
pub mod expand;
mod filter;
pub mod implicit;
#[cfg(test)]
mod tests;

use fhir::json::Value;
use serde::{Deserialize, Serialize};

use crate::error::TerminologyError;
use crate::system::Usage;

/// A name of a concept in some language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// Its language; empty where none is given.
    pub language: String,
    /// What it is for.
    pub usage: Usage,
    /// The name.
    pub value: String,
}

/// A concept listed in a value set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedConcept {
    /// Its code.
    pub code: String,
    /// The display to be used in this value set.
    pub display: Option<String>,
    /// Other names in this value set.
    pub names: Vec<Name>,
}

/// A condition on the concepts of a code system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The property.
    pub property: String,
    /// The operator (FHIR R4 value set filter-operator).
    pub op: String,
    /// The value.
    pub value: String,
}

/// An include or exclude of a compose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// The code system.
    pub system: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The concepts; all of the system where there is neither concept nor filter.
    pub concepts: Vec<ListedConcept>,
    /// The filters, all of which must hold.
    pub filters: Vec<Filter>,
    /// Value sets, in all of which the concepts must be.
    pub value_sets: Vec<String>,
}

/// A value set as defined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueSet {
    /// Canonical URL; empty for one that was given with a request and has none.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// Name for people or, lacking one, for machines.
    pub name: String,
    /// Publication status.
    pub status: String,
    /// Whether inactive concepts are in it; `None` leaves it to the request.
    pub inactive: Option<bool>,
    /// What is in it.
    pub include: Vec<Clause>,
    /// What is not.
    pub exclude: Vec<Clause>,
    /// Whether the definition is an expansion that came with it, in `include`.
    pub is_expansion: bool,
}

impl ValueSet {
    /// `url|version`, or the URL.
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.version {
            Some(version) => format!("{}|{version}", self.url),
            None => self.url.clone(),
        }
    }

    /// The value set of everything in a code system.
    #[must_use]
    pub fn of_system(url: &str, system: &str, version: Option<&str>) -> Self {
        Self {
            url: url.to_owned(),
            version: version.map(str::to_owned),
            name: url.to_owned(),
            status: "active".to_owned(),
            include: vec![Clause {
                system: Some(system.to_owned()),
                version: version.map(str::to_owned),
                ..Clause::default()
            }],
            ..Self::default()
        }
    }

    /// Reads a ValueSet resource. One without a compose is taken by its expansion.
    ///
    /// # Errors
    /// Neither compose nor expansion, or one without content.
    pub fn from_resource(resource: Value<'_>) -> Result<Self, TerminologyError> {
        let url = text(resource, "url").unwrap_or_default();
        let mut set = Self {
            version: text(resource, "version"),
            name: text(resource, "title")
                .or_else(|| text(resource, "name"))
                .unwrap_or_else(|| url.clone()),
            status: text(resource, "status").unwrap_or_else(|| "unknown".to_owned()),
            url,
            ..Self::default()
        };
        if let Some(compose) = resource.get("compose") {
            set.inactive = compose.get("inactive").and_then(Value::as_bool);
            let clauses = |name| compose.get(name).into_iter().flat_map(Value::items);
            set.include = clauses("include").map(clause).collect();
            set.exclude = clauses("exclude").map(clause).collect();
        } else if let Some(expansion) = resource.get("expansion") {
            set.is_expansion = true;
            expanded(expansion, &mut set.include);
        } else {
            return Err(TerminologyError::Faulty {
                what: format!("value set {}", set.url),
                why: "it has neither compose nor expansion: give it one of them".to_owned(),
            });
        }
        Ok(set)
    }
}

fn text(value: Value<'_>, member: &str) -> Option<String> {
    value.get_str(member).map(std::borrow::Cow::into_owned)
}

fn clause(clause: Value<'_>) -> Clause {
    let items = |name| clause.get(name).into_iter().flat_map(Value::items);
    Clause {
        system: text(clause, "system"),
        version: text(clause, "version"),
        concepts: items("concept").map(listed).collect(),
        filters: items("filter")
            .map(|filter| Filter {
                property: text(filter, "property").unwrap_or_default(),
                op: text(filter, "op").unwrap_or_default(),
                value: text(filter, "value").unwrap_or_default(),
            })
            .collect(),
        value_sets: items("valueSet")
            .filter_map(Value::as_str)
            .map(std::borrow::Cow::into_owned)
            .collect(),
    }
}

fn listed(concept: Value<'_>) -> ListedConcept {
    ListedConcept {
        code: text(concept, "code").unwrap_or_default(),
        display: text(concept, "display"),
        names: concept
            .get("designation")
            .into_iter()
            .flat_map(Value::items)
            .map(|designation| Name {
                language: text(designation, "language").unwrap_or_default(),
                usage: crate::system::usage(designation),
                value: text(designation, "value").unwrap_or_default(),
            })
            .collect(),
    }
}

fn nested(of: Value<'_>) -> Vec<Value<'_>> {
    of.get("contains")
        .into_iter()
        .flat_map(Value::items)
        .collect()
}

/// The contents of a stored expansion as includes, one for each run of codes of a system.
fn expanded(expansion: Value<'_>, into: &mut Vec<Clause>) {
    let mut open = nested(expansion);
    open.reverse();
    while let Some(entry) = open.pop() {
        let mut below = nested(entry);
        below.reverse();
        open.extend(below);
        let Some(system) = text(entry, "system") else {
            continue;
        };
        if entry.get("abstract").and_then(Value::as_bool) == Some(true) {
            continue;
        }
        let version = text(entry, "version");
        match into.last_mut() {
            Some(last) if last.system.as_ref() == Some(&system) && last.version == version => {
                last.concepts.push(listed(entry));
            }
            _ => into.push(Clause {
                system: Some(system),
                version,
                concepts: vec![listed(entry)],
                ..Clause::default()
            }),
        }
    }
}
