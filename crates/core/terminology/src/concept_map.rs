//! Concept maps (FHIR R4, section 4.10) and translation by them, in both directions. Must not choose among
//! the maps a caller did not name: every one that fits is asked.

use std::borrow::Cow;

use fhir::json::Value;
use serde::{Deserialize, Serialize};

use crate::error::TerminologyError;
use crate::version;

/// A condition on other elements, or their products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The element.
    pub property: String,
    /// The code system of the value.
    pub system: Option<String>,
    /// The value.
    pub value: String,
    /// Its display.
    pub display: Option<String>,
}

/// What a code is mapped to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The code; `None` where nothing matches.
    pub code: Option<String>,
    /// Its display.
    pub display: Option<String>,
    /// How the two relate (FHIR R4 value set concept-map-equivalence), seen from the source.
    pub equivalence: String,
    /// What must hold as well.
    pub depends_on: Vec<Dependency>,
    /// What follows as well.
    pub product: Vec<Dependency>,
}

/// What happens to codes that no element maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unmapped {
    /// The same code in the target system.
    Provided,
    /// A fixed code.
    Fixed(String, Option<String>),
    /// Another map is asked.
    Other(String),
}

/// Mappings between two code systems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The source system.
    pub source: Option<String>,
    /// The target system.
    pub target: Option<String>,
    /// (source code, its targets).
    pub elements: Vec<(String, Vec<Target>)>,
    /// What happens to other codes.
    pub unmapped: Option<Unmapped>,
}

/// A concept map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConceptMap {
    /// Canonical URL; empty for one that was given with a request and has none.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// Source value set.
    pub source: Option<String>,
    /// Target value set.
    pub target: Option<String>,
    /// The groups.
    pub groups: Vec<Group>,
}

fn text(value: Value<'_>, member: &str) -> Option<String> {
    value.get_str(member).map(Cow::into_owned)
}

impl ConceptMap {
    /// Reads a ConceptMap resource.
    #[must_use]
    pub fn from_resource(resource: Value<'_>) -> Self {
        let one_of = |a, b| text(resource, a).or_else(|| text(resource, b));
        Self {
            url: text(resource, "url").unwrap_or_default(),
            version: text(resource, "version"),
            source: one_of("sourceUri", "sourceCanonical"),
            target: one_of("targetUri", "targetCanonical"),
            groups: items(resource, "group").map(group).collect(),
        }
    }

    /// `url|version`, or the URL.
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.version {
            Some(version) => format!("{}|{version}", self.url),
            None => self.url.clone(),
        }
    }

    /// Whether it is the one asked for.
    #[must_use]
    pub fn answers(&self, canonical: &str) -> bool {
        let (url, wanted) = version::split(canonical);
        self.url == url && wanted.is_none_or(|wanted| self.version.as_deref() == Some(wanted))
    }
}

fn items<'a>(of: Value<'a>, member: &str) -> impl Iterator<Item = Value<'a>> + use<'a> {
    of.get(member).into_iter().flat_map(Value::items)
}

fn group(group: Value<'_>) -> Group {
    let unmapped = group.get("unmapped").and_then(|unmapped| {
        Some(match &*unmapped.get_str("mode")? {
            "provided" => Unmapped::Provided,
            "fixed" => Unmapped::Fixed(text(unmapped, "code")?, text(unmapped, "display")),
            "other-map" => Unmapped::Other(text(unmapped, "url")?),
            _ => return None,
        })
    });
    Group {
        source: text(group, "source"),
        target: text(group, "target"),
        elements: items(group, "element")
            .map(|element| {
                let targets = items(element, "target").map(target).collect();
                (text(element, "code").unwrap_or_default(), targets)
            })
            .collect(),
        unmapped,
    }
}

fn target(target: Value<'_>) -> Target {
    let dependencies = |member| -> Vec<Dependency> {
        items(target, member)
            .map(|one| Dependency {
                property: text(one, "property").unwrap_or_default(),
                system: text(one, "system"),
                value: text(one, "value").unwrap_or_default(),
                display: text(one, "display"),
            })
            .collect()
    };
    Target {
        code: text(target, "code"),
        display: text(target, "display"),
        equivalence: text(target, "equivalence").unwrap_or_else(|| "equivalent".to_owned()),
        depends_on: dependencies("dependsOn"),
        product: dependencies("product"),
    }
}

/// What is translated.
#[derive(Debug, Clone, Copy)]
pub struct Translated<'a> {
    /// The code's system; without it, groups of any.
    pub system: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// The system wanted.
    pub target_system: Option<&'a str>,
    /// From target to source.
    pub reverse: bool,
    /// What is known of other elements: (element, system, value).
    pub known: &'a [(String, Option<String>, String)],
}

/// A translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// How the two relate.
    pub equivalence: String,
    /// The system of the translation.
    pub system: Option<String>,
    /// Its code; `None` where the map says that nothing matches.
    pub code: Option<String>,
    /// Its display.
    pub display: Option<String>,
    /// What follows as well.
    pub product: Vec<Dependency>,
    /// The map that says so.
    pub source: String,
}

impl Match {
    /// Whether it says what the code is, rather than that there is nothing.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.code.is_some() && !matches!(self.equivalence.as_str(), "unmatched" | "disjoint")
    }
}

/// How many maps may refer to each other for unmapped codes.
const DEEPEST: usize = 8;

/// Every translation by a map; `others` finds the maps it refers to.
///
/// # Errors
/// A map it refers to is not here, or maps refer to each other in a circle.
pub fn translate<'m>(
    map: &'m ConceptMap,
    asked: &Translated<'_>,
    others: &dyn Fn(&str) -> Option<&'m ConceptMap>,
) -> Result<Vec<Match>, TerminologyError> {
    let mut matches = Vec::new();
    let mut left = DEEPEST;
    forward(map, asked, others, &mut left, &mut matches)?;
    Ok(matches)
}

fn forward<'m>(
    map: &'m ConceptMap,
    asked: &Translated<'_>,
    others: &dyn Fn(&str) -> Option<&'m ConceptMap>,
    left: &mut usize,
    matches: &mut Vec<Match>,
) -> Result<(), TerminologyError> {
    for group in &map.groups {
        let (from, to) = if asked.reverse {
            (&group.target, &group.source)
        } else {
            (&group.source, &group.target)
        };
        let fits = |wanted: Option<&str>, has: &Option<String>| match (wanted, has) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        };
        if !fits(asked.system, from) || !fits(asked.target_system, to) {
            continue;
        }
        if asked.reverse {
            backward(map, group, asked, matches);
            continue;
        }
        let found = group.elements.iter().filter(|(code, _)| code == asked.code);
        let mut mapped = false;
        for (_, targets) in found {
            mapped = true;
            let holds = targets.iter().filter(|target| depends(target, asked));
            matches.extend(holds.map(|target| Match {
                equivalence: target.equivalence.clone(),
                system: group.target.clone(),
                code: target.code.clone(),
                display: target.display.clone(),
                product: target.product.clone(),
                source: map.canonical(),
            }));
        }
        if !mapped {
            unmapped(map, group, asked, others, left, matches)?;
        }
    }
    Ok(())
}

fn depends(target: &Target, asked: &Translated<'_>) -> bool {
    target.depends_on.iter().all(|needed| {
        asked.known.iter().any(|(property, system, value)| {
            *property == needed.property
                && *value == needed.value
                && (needed.system.is_none() || system.is_none() || *system == needed.system)
        })
    })
}

fn backward(map: &ConceptMap, group: &Group, asked: &Translated<'_>, matches: &mut Vec<Match>) {
    for (code, targets) in &group.elements {
        let found = targets
            .iter()
            .filter(|target| target.code.as_deref() == Some(asked.code) && depends(target, asked));
        matches.extend(found.map(|target| Match {
            equivalence: reversed(&target.equivalence).to_owned(),
            system: group.source.clone(),
            code: Some(code.clone()),
            display: None,
            product: Vec::new(),
            source: map.canonical(),
        }));
    }
}

/// The relation seen from the other side.
fn reversed(equivalence: &str) -> &str {
    match equivalence {
        "wider" => "narrower",
        "narrower" => "wider",
        "subsumes" => "specializes",
        "specializes" => "subsumes",
        other => other,
    }
}

fn unmapped<'m>(
    map: &'m ConceptMap,
    group: &Group,
    asked: &Translated<'_>,
    others: &dyn Fn(&str) -> Option<&'m ConceptMap>,
    left: &mut usize,
    matches: &mut Vec<Match>,
) -> Result<(), TerminologyError> {
    let (equivalence, code, display) = match &group.unmapped {
        None => return Ok(()),
        Some(Unmapped::Provided) => ("equal", asked.code.to_owned(), None),
        Some(Unmapped::Fixed(code, display)) => ("inexact", code.clone(), display.clone()),
        Some(Unmapped::Other(url)) => {
            let other =
                others(url).ok_or_else(|| TerminologyError::ConceptMapUnknown(url.clone()))?;
            if *left == 0 {
                return Err(TerminologyError::Faulty {
                    what: format!("concept map {}", map.url),
                    why: "maps for unmapped codes refer to each other without end: cut the circle"
                        .to_owned(),
                });
            }
            *left -= 1;
            return forward(other, asked, others, left, matches);
        }
    };
    matches.push(Match {
        equivalence: equivalence.to_owned(),
        system: group.target.clone(),
        code: Some(code),
        display,
        product: Vec::new(),
        source: map.canonical(),
    });
    Ok(())
}
