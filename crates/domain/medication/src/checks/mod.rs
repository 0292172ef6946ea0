//! Whether a list of medicines suits a patient: interactions, allergies, duplicates, doses, routes and
//! cautions, as findings in four tiers. Pure: the same list, facts and release give the same findings.
//! Must not be silent: what could not be checked is a finding of its own.

mod allergy;
pub mod analytics;
pub mod elsewhere;
mod list;
pub mod merge;
pub mod overrides;
mod patient;

use std::sync::Arc;

pub use patient::{Ceiling, Ceilings, ceilings};

use crate::knowledge::{Facts, IngredientId, Knowledge, Measured, Rule, Tier};

/// Where a medicine goes in; only what the checks ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Lower case: `oral`, `intravenous`, `cutaneous`.
    pub name: String,
}

impl Route {
    /// Whether it is one of the routes that rules speak of.
    #[must_use]
    pub fn is_known(&self) -> bool {
        const KNOWN: [&str; 17] = [
            "oral",
            "sublingual",
            "buccal",
            "intravenous",
            "intramuscular",
            "subcutaneous",
            "intradermal",
            "intraarterial",
            "intrathecal",
            "cutaneous",
            "transdermal",
            "ophthalmic",
            "auricular",
            "nasal",
            "inhalation",
            "rectal",
            "vaginal",
        ];
        KNOWN.contains(&self.name.as_str())
    }

    /// Whether little is absorbed, so that most interactions do not arise.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(
            self.name.as_str(),
            "cutaneous" | "auricular" | "ophthalmic" | "vaginal"
        )
    }
}

/// An ingredient as a medicine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The ingredient.
    pub ingredient: IngredientId,
    /// The most at one time, where known.
    pub single: Option<Measured>,
    /// The most in 24 hours, where known.
    pub daily: Option<Measured>,
}

/// A medicine of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medicine {
    /// Name for people.
    pub name: String,
    /// What it holds.
    pub parts: Vec<Part>,
    /// Names of ingredients that no source knows; a product that is not resolved at all stands here.
    pub unresolved: Vec<String>,
    /// Where it goes in; unknown counts as absorbed.
    pub route: Option<Route>,
}

/// What an allergy is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allergen {
    /// An ingredient.
    Ingredient(IngredientId),
    /// A set of the knowledge, by key.
    Class(String),
    /// A text or code that nothing knows.
    Unresolved(String),
}

/// What is known of allergies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allergies {
    /// Nobody asked.
    NotAsked,
    /// Asked: none known.
    NoneKnown,
    /// These, without those that were refuted.
    Known(Vec<Allergen>),
}

/// Why something was not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotChecked {
    /// A medicine, or a part of it, that nothing knows: its place in the list and the name.
    Medicine(usize, String),
    /// Allergies were not asked for.
    Allergies,
    /// An allergy that nothing knows.
    Allergy(String),
    /// A fact that rules ask for and the record lacks: the medicine, the fact and the loudest rule.
    Fact(usize, &'static str, Arc<Rule>),
    /// A dose that rules limit and the medicine does not state.
    Dose(usize, Arc<Rule>),
    /// A source that did not answer.
    Source(String, String),
    /// A medicine that a source elsewhere told nothing of: its place, the source and why.
    Elsewhere(usize, String, String),
}

impl NotChecked {
    /// The place of the medicine it is about; none where it is about the patient or a source.
    #[must_use]
    pub const fn medicine(&self) -> Option<usize> {
        match self {
            Self::Medicine(at, _)
            | Self::Fact(at, ..)
            | Self::Dose(at, _)
            | Self::Elsewhere(at, ..) => Some(*at),
            Self::Allergies | Self::Allergy(_) | Self::Source(..) => None,
        }
    }

    /// What people read.
    #[must_use]
    pub fn words(&self, medicines: &[Medicine]) -> String {
        let name = |at: &usize| {
            medicines
                .get(*at)
                .map_or("a medicine", |one| one.name.as_str())
        };
        match self {
            Self::Medicine(at, what) if name(at) == what => {
                format!("{what} is not known here: nothing was checked for it")
            }
            Self::Medicine(at, what) => {
                format!(
                    "{what} in {} is not known here: nothing was checked for it",
                    name(at)
                )
            }
            Self::Allergies => {
                "allergies were not asked for: no medicine was checked against them".to_owned()
            }
            Self::Allergy(what) => {
                format!(
                    "the allergy {what:?} is not known here: no medicine was checked against it"
                )
            }
            Self::Fact(at, fact, rule) => format!(
                "{fact} is not recorded or too old: {} was not checked for {}",
                name(at),
                lowered(&rule.effect)
            ),
            Self::Dose(at, _) => {
                format!(
                    "the dose of {} is not stated in figures: it was not checked",
                    name(at)
                )
            }
            Self::Source(source, why) => format!("{source} did not answer: {why}"),
            Self::Elsewhere(at, source, why) => {
                format!("{} was not checked with {source}: {why}", name(at))
            }
        }
    }
}

/// A sentence as a part of another.
fn lowered(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // An abbreviation stays as it is.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// Something to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that fired.
    pub rule: Arc<Rule>,
    /// How loudly it speaks here: the rule's tier, or less after a demotion.
    pub tier: Tier,
    /// Number of the demotion that lowered it.
    pub demoted: Option<u8>,
    /// Places in the list, ascending.
    pub medicines: Vec<usize>,
    /// The ingredients concerned, in the order of the places.
    pub ingredients: Vec<IngredientId>,
    /// Allergy: place among the known allergies.
    pub allergy: Option<usize>,
}

/// A pair of allergy and medicine that needs no alert, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// The rule that clears.
    pub rule: Arc<Rule>,
    /// Place in the list.
    pub medicine: usize,
    /// Place among the known allergies.
    pub allergy: usize,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Findings, the loudest first.
    pub findings: Vec<Finding>,
    /// What could not be checked.
    pub not_checked: Vec<NotChecked>,
    /// What was looked at and needs no alert.
    pub cleared: Vec<Cleared>,
}

impl Report {
    /// The loudest tier, if there is any finding.
    #[must_use]
    pub fn loudest(&self) -> Option<Tier> {
        self.findings.iter().map(|finding| finding.tier).max()
    }
    /// Findings and gaps that concern one medicine of the list: what to show when it is prescribed,
    /// dispensed or given. Gaps of the patient stay.
    #[must_use]
    pub fn about(&self, medicine: usize) -> Self {
        let own = |gap: &&NotChecked| gap.medicine().is_none_or(|at| at == medicine);
        Self {
            findings: self
                .findings
                .iter()
                .filter(|one| one.medicines.contains(&medicine))
                .cloned()
                .collect(),
            not_checked: self.not_checked.iter().filter(own).cloned().collect(),
            cleared: self
                .cleared
                .iter()
                .filter(|one| one.medicine == medicine)
                .cloned()
                .collect(),
        }
    }
}

/// Checks a whole list.
#[must_use]
pub fn check(
    knowledge: &Knowledge,
    facts: &Facts,
    allergies: &Allergies,
    medicines: &[Medicine],
) -> Report {
    let mut report = Report::default();
    let parts: Vec<Place<'_>> = medicines
        .iter()
        .enumerate()
        .flat_map(|(at, medicine)| {
            medicine
                .parts
                .iter()
                .map(move |part| Place { at, medicine, part })
        })
        .collect();
    for (at, medicine) in medicines.iter().enumerate() {
        let gaps = medicine
            .unresolved
            .iter()
            .map(|name| NotChecked::Medicine(at, name.clone()));
        report.not_checked.extend(gaps);
        if medicine.parts.is_empty() && medicine.unresolved.is_empty() {
            report
                .not_checked
                .push(NotChecked::Medicine(at, medicine.name.clone()));
        }
    }
    for place in &parts {
        // An id of another release is no ingredient of this one.
        if usize::from(place.part.ingredient.0) >= knowledge.ingredients.len() {
            report
                .not_checked
                .push(NotChecked::Medicine(place.at, place.medicine.name.clone()));
        }
    }
    list::pairs(knowledge, &parts, &mut report);
    list::triples(knowledge, &parts, &mut report);
    allergy::check(knowledge, allergies, &parts, &mut report);
    patient::check(knowledge, facts, &parts, &mut report);
    report.findings.sort_by(|a, b| {
        (b.tier, &a.medicines, &a.rule.id).cmp(&(a.tier, &b.medicines, &b.rule.id))
    });
    report
}

/// A part and the medicine it is in.
struct Place<'a> {
    at: usize,
    medicine: &'a Medicine,
    part: &'a Part,
}

impl Place<'_> {
    fn local(&self) -> bool {
        self.medicine.route.as_ref().is_some_and(Route::is_local)
    }
}

#[cfg(test)]
mod tests;
