//! Going on in spite of an alert: who may, with which reason, and for how long. Must not outlive what it
//! was given for: another dose, route, medicine or release asks again.

use std::collections::BTreeMap;

use kernel::{Categorised, Category};
use sha2::{Digest as _, Sha256};

use super::merge::Alert;
use super::{Allergen, Allergies, Finding, Medicine};
use crate::knowledge::builtin::digits;
use crate::knowledge::{IngredientId, Knowledge, Measured, Tier};

/// Coded reasons.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Benefit outweighs the risk.
    BenefitOutweighsRisk,
    /// Watched by tests or observation.
    Monitored,
    /// Taken before without harm.
    ToleratedBefore,
    /// Dose or time was changed to lower the risk.
    Adjusted,
    /// A specialist's plan.
    SpecialistAdvice,
    /// Short course.
    ShortCourse,
    /// End of life.
    EndOfLife,
    /// The alert does not fit this patient; needs a text.
    NotApplicable,
    /// Other; needs a text.
    Other,
}

/// What an override holds for: SHA-256 over the rules, their releases and the regimen concerned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint(pub String);

/// An override as recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Override {
    /// What it holds for.
    pub fingerprint: Fingerprint,
    /// Why.
    pub reason: Reason,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// Who.
    pub by: String,
    /// Who agreed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub second: Option<String>,
}

/// Why an override is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// The alert does not ask for one.
    #[error("this alert needs no override: go on")]
    NotNeeded,
    /// No second person.
    #[error("a contraindicated combination needs a second person: ask one to sign")]
    SecondPerson,
    /// The second person is the first.
    #[error("the second person is the first: ask another one to sign")]
    SamePerson,
    /// No text.
    #[error("this reason needs words: say why")]
    Text,
}

impl Categorised for OverrideError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// The fingerprints by which an alert is known, the one it is shown with first: of our own findings where
/// one of them is as loud as the alert, else of the loudest source by name; then of each other source that
/// interrupts. An override holds for all of them, so that it stands when a source is not reached later, and
/// for none that is louder.
#[must_use]
pub fn fingerprints(
    knowledge: &Knowledge,
    alert: &Alert,
    medicines: &[Medicine],
    allergies: &Allergies,
) -> Vec<Fingerprint> {
    let mut sources: BTreeMap<(bool, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &alert.findings {
        let source = finding.rule.release.source.as_str();
        let elsewhere = source != knowledge.release.source;
        sources
            .entry((elsewhere, source))
            .or_default()
            .push(finding);
    }
    let tier = |own: &[&Finding]| own.iter().map(|one| one.tier).max();
    let mut groups: Vec<Vec<&Finding>> = sources.into_values().collect();
    // Stable: within a tier our own come first.
    groups.sort_by_key(|own| core::cmp::Reverse(tier(own)));
    if !alert.tier.interrupts() {
        // What does not interrupt is overridden by nobody; it is known by everything that it says.
        return vec![fingerprint(knowledge, alert, medicines, allergies)];
    }
    let loud = groups
        .into_iter()
        .filter(|own| tier(own).is_some_and(Tier::interrupts));
    loud.map(|own| {
        let part = Alert {
            findings: own.into_iter().cloned().collect(),
            ..alert.clone()
        };
        fingerprint(knowledge, &part, medicines, allergies)
    })
    .collect()
}

/// The fingerprint of an alert in its list, and among the allergies it may be about.
#[must_use]
pub fn fingerprint(
    knowledge: &Knowledge,
    alert: &Alert,
    medicines: &[Medicine],
    allergies: &Allergies,
) -> Fingerprint {
    let mut hash = Sha256::new();
    // Every text with its length, so that no two lists of texts look alike.
    let mut put = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    let mut rules: Vec<(&str, &str, &str, Tier)> = alert
        .findings
        .iter()
        .map(|one| {
            let release = &one.rule.release;
            (
                release.source.as_str(),
                release.sha256.as_str(),
                one.rule.id.as_str(),
                one.tier,
            )
        })
        .collect();
    rules.sort_unstable();
    for (source, sha256, id, tier) in rules {
        put(source);
        put(sha256);
        put(id);
        put(&format!("{tier:?}"));
    }
    let mut regimens: Vec<Vec<String>> = alert
        .medicines
        .iter()
        .filter_map(|at| medicines.get(*at))
        .map(|own| regimen(knowledge, own))
        .collect();
    regimens.sort_unstable();
    for text in regimens.iter().flatten() {
        put(text);
    }
    let about = alert.findings.iter().find_map(|one| one.allergy);
    if let (Some(at), Allergies::Known(known)) = (about, allergies)
        && let Some(allergen) = known.get(at)
    {
        let (kind, name) = match allergen {
            Allergen::Ingredient(id) => ("ingredient", key(knowledge, *id)),
            Allergen::Class(key) => ("class", key.as_str()),
            Allergen::Unresolved(text) => ("text", text.as_str()),
        };
        put(kind);
        put(name);
    }
    Fingerprint(digits(&hash.finalize()))
}

fn regimen(knowledge: &Knowledge, medicine: &Medicine) -> Vec<String> {
    let amount = |value: Option<Measured>| match value {
        None => "?".to_owned(),
        Some(Measured::Milligrams(value)) => value.normalize().to_string(),
        Some(Measured::Units(value)) => format!("{} [iU]", value.normalize()),
    };
    let mut texts = vec![
        medicine.name.clone(),
        medicine
            .route
            .as_ref()
            .map_or_else(|| "?".to_owned(), |route| route.name.clone()),
        medicine.unresolved.join("|"),
    ];
    for part in &medicine.parts {
        let key = key(knowledge, part.ingredient);
        texts.extend([key.to_owned(), amount(part.single), amount(part.daily)]);
    }
    texts
}

fn key(knowledge: &Knowledge, id: IngredientId) -> &str {
    let known = knowledge.ingredients.get(usize::from(id.0));
    known.map_or("?", |one| one.key.as_str())
}

/// Accepts an override of an alert, or says what is missing.
///
/// # Errors
/// See the variants.
pub fn accept(alert: &Alert, given: &Override) -> Result<(), OverrideError> {
    if !alert.tier.interrupts() {
        return Err(OverrideError::NotNeeded);
    }
    let words = given
        .text
        .as_deref()
        .is_some_and(|text| !text.trim().is_empty());
    let contraindicated = alert.tier == Tier::Contraindicated;
    if contraindicated {
        match given
            .second
            .as_deref()
            .map(str::trim)
            .filter(|second| !second.is_empty())
        {
            None => return Err(OverrideError::SecondPerson),
            Some(second) if second == given.by.trim() => return Err(OverrideError::SamePerson),
            Some(_) => {}
        }
    }
    if !words && (contraindicated || matches!(given.reason, Reason::NotApplicable | Reason::Other))
    {
        return Err(OverrideError::Text);
    }
    Ok(())
}

/// Whether an earlier override still holds for an alert of today.
#[must_use]
pub fn stands(earlier: &Override, today: &Fingerprint) -> bool {
    earlier.fingerprint == *today
}
