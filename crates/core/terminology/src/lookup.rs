//! What is known of one concept, and how two concepts relate.

use std::sync::Arc;

use crate::error::TerminologyError;
use crate::library::Library;
use crate::names::{best_name, names_of};
use crate::system::{CodeSystem, Content, PropertyKind};
use crate::value_set::Name;

/// Most children a look-up names; the rest is left to an expansion.
pub const MOST_CHILDREN: usize = 1000;

/// A property of a concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its code.
    pub code: String,
    /// The type of its value.
    pub kind: PropertyKind,
    /// The value as text.
    pub value: String,
    /// The display of a value that is a code of the same system.
    pub description: Option<String>,
}

/// What is known of a concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The code system's name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// The display.
    pub display: Option<String>,
    /// The definition.
    pub definition: Option<String>,
    /// Whether it only groups others.
    pub is_abstract: bool,
    /// Other names.
    pub names: Vec<Name>,
    /// Properties, `parent`, `child` and `inactive` among them.
    pub properties: Vec<Property>,
}

/// Finds a concept.
///
/// # Errors
/// The code system is not here, or the code is not in it.
pub fn find(
    library: &Library,
    system: &str,
    version: Option<&str>,
    code: &str,
) -> Result<(Arc<CodeSystem>, u32), TerminologyError> {
    let found = library.require(system, version)?;
    match found.find(code) {
        Some(at) => Ok((found, at)),
        None if found.is_complete() => Err(TerminologyError::CodeUnknown {
            system: found.canonical(),
            code: code.to_owned(),
        }),
        None if found.head().content == Content::NotPresent => {
            Err(TerminologyError::SystemUnknown(system.to_owned()))
        }
        None => Err(TerminologyError::SystemIncomplete(found.canonical())),
    }
}

/// Everything about a concept; `wanted` restricts the properties, unless it is empty.
#[must_use]
pub fn lookup(
    library: &Library,
    system: &CodeSystem,
    at: u32,
    wanted: &[String],
    language: Option<&str>,
) -> Looked {
    let asked =
        |code: &str| wanted.is_empty() || wanted.iter().any(|one| one == code || one == "*");
    let head = system.head();
    Looked {
        name: head.name.clone(),
        version: head.version.clone(),
        display: best_name(library, system, at, None, language),
        definition: some(system.definition(at)).filter(|_| asked("definition")),
        is_abstract: system.is_abstract(at),
        names: if asked("designation") {
            names_of(library, system, at, None)
        } else {
            Vec::new()
        },
        properties: properties(library, system, at, &asked),
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn properties(
    library: &Library,
    system: &CodeSystem,
    at: u32,
    asked: &dyn Fn(&str) -> bool,
) -> Vec<Property> {
    let mut properties = Vec::new();
    let mut relatives = |code: &str, these: &[u32]| {
        if asked(code) {
            properties.extend(these.iter().take(MOST_CHILDREN).map(|at| Property {
                code: code.to_owned(),
                kind: PropertyKind::Code,
                value: system.code(*at).to_owned(),
                description: some(system.display(*at)),
            }));
        }
    };
    relatives("parent", system.hierarchy().parents(at));
    if !system.hierarchy().is_flat() {
        relatives("child", system.children(at));
    }
    if asked("inactive") {
        properties.push(Property {
            code: "inactive".to_owned(),
            kind: PropertyKind::Boolean,
            value: system.is_inactive(at).to_string(),
            description: None,
        });
    }
    let mut add = |from: &CodeSystem, at: u32| {
        for value in from.values(at) {
            let known = matches!(value.code, "parent" | "child" | "inactive");
            if known || !asked(value.code) {
                continue;
            }
            let described = (value.kind == PropertyKind::Code)
                .then(|| system.find(value.text))
                .flatten();
            properties.push(Property {
                code: value.code.to_owned(),
                kind: value.kind,
                value: value.text.to_owned(),
                description: described.and_then(|at| some(system.display(at))),
            });
        }
    };
    add(system, at);
    for supplement in library.supplements(&system.head().url) {
        if let Some(at) = supplement.find(system.code(at)) {
            add(supplement, at);
        }
    }
    properties
}

/// How two concepts relate (FHIR R4 value set concept-subsumption-outcome).
///
/// # Errors
/// The code system is not here, or one of the codes is not in it.
pub fn relation(
    library: &Library,
    system: &str,
    version: Option<&str>,
    a: &str,
    b: &str,
) -> Result<&'static str, TerminologyError> {
    let (found, a) = find(library, system, version, a)?;
    let (_, b) = find(library, system, version, b)?;
    let hierarchy = found.hierarchy();
    Ok(if a == b {
        "equivalent"
    } else if hierarchy.subsumes(a, b) {
        "subsumes"
    } else if hierarchy.subsumes(b, a) {
        "subsumed-by"
    } else {
        "not-subsumed"
    })
}
