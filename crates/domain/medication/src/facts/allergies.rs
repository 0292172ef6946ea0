//! AllergyIntolerance resources as what is known of allergies. Must not take "nobody asked" for "none".

use fhir::json::Value;

use super::{ATC, RXNORM, SNOMED, codings, names, says};
use crate::checks::{Allergen, Allergies};
use crate::knowledge::{DrugKnowledge as _, Knowledge};

/// What is recorded of allergies, with what people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// As the checks ask for it.
    pub allergies: Allergies,
    /// Name of each known allergy and the place of its resource among those passed in; in the order of
    /// [`Allergies::Known`].
    pub names: Vec<(String, usize)>,
}

/// SNOMED CT: no known allergy; no known drug allergy. Statements about food or the surroundings alone
/// say nothing of medicines.
const NONE_KNOWN: [&str; 2] = ["716186003", "409137002"];

/// Reads every AllergyIntolerance of a patient. Entered in error and refuted ones, inactive and resolved
/// ones do not count. One that is known outweighs a statement that there is none.
#[must_use]
pub fn allergies(knowledge: &Knowledge, resources: &[Value<'_>]) -> Recorded {
    let mut none_known = false;
    let mut found: Vec<Allergen> = Vec::new();
    let mut labels = Vec::new();
    for (place, resource) in resources.iter().copied().enumerate() {
        if !counts(resource) {
            continue;
        }
        let code = resource.get("code");
        if NONE_KNOWN.iter().any(|none| says(code, none)) {
            none_known = true;
            continue;
        }
        let substances = resource
            .get("reaction")
            .into_iter()
            .flat_map(Value::items)
            .filter_map(|reaction| reaction.get("substance"));
        let mut concepts: Vec<Value<'_>> = code.into_iter().chain(substances).collect();
        // One without any code is still an allergy to something.
        if concepts.is_empty() {
            concepts.push(resource);
        }
        for allergen in read(knowledge, &concepts) {
            if !found.contains(&allergen) {
                labels.push((label(&concepts), place));
                found.push(allergen);
            }
        }
    }
    let allergies = match (found.is_empty(), none_known) {
        (false, _) => Allergies::Known(found),
        (true, true) => Allergies::NoneKnown,
        (true, false) => Allergies::NotAsked,
    };
    Recorded {
        allergies,
        names: labels,
    }
}

fn counts(resource: Value<'_>) -> bool {
    let verification = resource.get("verificationStatus");
    let clinical = resource.get("clinicalStatus");
    let gone = ["entered-in-error", "refuted"]
        .iter()
        .any(|code| says(verification, code));
    !gone
        && !["inactive", "resolved"]
            .iter()
            .any(|code| says(clinical, code))
}

fn label(concepts: &[Value<'_>]) -> String {
    let first = concepts
        .iter()
        .find_map(|one| names(*one).into_iter().next());
    first.unwrap_or_else(|| "an allergy without a name".to_owned())
}

/// What the concepts of one resource resolve to; each that does not stays, by name: it may be wider than
/// those that do.
fn read(knowledge: &Knowledge, concepts: &[Value<'_>]) -> Vec<Allergen> {
    let mut found: Vec<Allergen> = Vec::new();
    for concept in concepts {
        let allergen = resolve(knowledge, *concept)
            .unwrap_or_else(|| Allergen::Unresolved(label(core::slice::from_ref(concept))));
        if !found.contains(&allergen) {
            found.push(allergen);
        }
    }
    found
}

fn resolve(knowledge: &Knowledge, concept: Value<'_>) -> Option<Allergen> {
    let by_code = codings(concept).into_iter().find_map(|(system, code)| {
        let system = match system.as_str() {
            SNOMED => "snomed",
            RXNORM => "rxnorm",
            ATC => "atc",
            _ => return None,
        };
        knowledge.ingredient_by_code(system, &code)
    });
    if let Some(ingredient) = by_code {
        return Some(Allergen::Ingredient(ingredient));
    }
    names(concept)
        .iter()
        .find_map(|name| by_name(knowledge, &bare(name)))
}

fn by_name(knowledge: &Knowledge, name: &str) -> Option<Allergen> {
    if let Some(ingredient) = crate::dictionary::ingredient(knowledge, name) {
        return Some(Allergen::Ingredient(ingredient));
    }
    let key = name.replace(' ', "-");
    let group = GROUPS.iter().find(|(own, _)| *own == name);
    let keys = group.map(|(_, key)| (*key).to_owned()).into_iter().chain([
        key.clone(),
        format!("{key}s"),
        plural(&key),
    ]);
    let key = keys
        .into_iter()
        .find(|key| knowledge.class(key).is_some())?;
    Some(Allergen::Class(key))
}

/// Names of groups that are not the plural of one.
const GROUPS: [(&str, &str); 13] = [
    ("sulfonamide", "sulfonamide-antibiotics"),
    ("sulfonamides", "sulfonamide-antibiotics"),
    ("sulphonamide", "sulfonamide-antibiotics"),
    ("sulphonamides", "sulfonamide-antibiotics"),
    ("sulfonamide antibiotic", "sulfonamide-antibiotics"),
    ("nsaid", "non-selective-nsaids"),
    ("nsaids", "non-selective-nsaids"),
    (
        "non-steroidal anti-inflammatory agent",
        "non-selective-nsaids",
    ),
    (
        "non-steroidal anti-inflammatory drug",
        "non-selective-nsaids",
    ),
    (
        "non-steroidal anti-inflammatory drugs",
        "non-selective-nsaids",
    ),
    ("ace inhibitor", "ace-inhibitors"),
    ("angiotensin-converting enzyme inhibitor", "ace-inhibitors"),
    ("salicylate", "salicylates"),
];

fn plural(key: &str) -> String {
    key.strip_suffix('y')
        .map_or_else(|| key.to_owned(), |stem| format!("{stem}ies"))
}

/// The name of what somebody is allergic to, out of a finding: `Allergy to penicillin (finding)`.
fn bare(name: &str) -> String {
    const BEFORE: [&str; 8] = [
        "allergy to ",
        "allergic reaction to ",
        "hypersensitivity to ",
        "intolerance to ",
        "intolerance of ",
        "adverse reaction to ",
        "anaphylaxis caused by ",
        "anaphylaxis due to ",
    ];
    const AFTER: [&str; 9] = [
        "(finding)",
        "(disorder)",
        "(substance)",
        "(product)",
        "adverse reaction",
        "allergy",
        "hypersensitivity",
        "intolerance",
        "antibiotic",
    ];
    let mut text = name.trim().to_lowercase();
    loop {
        let before = text.len();
        for end in AFTER {
            if let Some(stem) = text.strip_suffix(end) {
                text = stem.trim_end().to_owned();
            }
        }
        for start in BEFORE {
            if let Some(rest) = text.strip_prefix(start) {
                text = rest.trim_start().to_owned();
            }
        }
        if text.len() == before {
            return text;
        }
    }
}
