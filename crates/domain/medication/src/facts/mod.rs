//! What a FHIR record says, as the facts that the checks ask for: allergies, the patient, the medicines.
//! Pure readers of resources that are passed in. Must not fill in what is not recorded: it stays unknown.

mod allergies;
mod medicines;
mod patient;
#[cfg(test)]
mod tests;

use fhir::json::Value;

pub use allergies::{Recorded, allergies};
pub use medicines::{Reference, medicine, product};
pub use patient::{OBSERVATIONS, patient};

/// The codings of a CodeableConcept as system and code, in order.
fn codings(concept: Value<'_>) -> Vec<(String, String)> {
    let list = concept.get("coding").into_iter().flat_map(Value::items);
    list.filter_map(|coding| {
        let system = coding.get_str("system").unwrap_or_default().into_owned();
        Some((system, coding.get_str("code")?.into_owned()))
    })
    .collect()
}

/// What people read of a CodeableConcept, the text first, then every display.
fn names(concept: Value<'_>) -> Vec<String> {
    let text = concept.get_str("text");
    let list = concept.get("coding").into_iter().flat_map(Value::items);
    let displays = list.filter_map(|coding| coding.get_str("display"));
    let mut names: Vec<String> = Vec::new();
    for name in text.into_iter().chain(displays) {
        let name = name.trim();
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Whether a CodeableConcept, or a code, says this.
fn says(concept: Option<Value<'_>>, code: &str) -> bool {
    concept.is_some_and(|concept| codings(concept).iter().any(|(_, own)| own == code))
}

/// SNOMED CT.
const SNOMED: &str = "http://snomed.info/sct";
/// LOINC.
const LOINC: &str = "http://loinc.org";
/// RxNorm.
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
/// ATC, as FHIR names it.
const ATC: &str = "http://www.whocc.no/atc";
/// dm+d, whose codes are SNOMED CT's.
const DMD: &str = "https://dmd.nhs.uk";
