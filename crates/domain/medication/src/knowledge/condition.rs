//! Facts of a patient, each known or not, and the conditions of rules on them. Must not take an unknown
//! fact for a normal one.

use super::{IngredientId, Set};

/// A fact that may not be known.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// Known.
    Known(T),
    /// Not recorded, or too old to use.
    #[default]
    Unknown,
}

impl<T: Copy> Fact<T> {
    /// The value, where it is known.
    #[must_use]
    pub const fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }
}

/// Liver impairment, as Child-Pugh grades it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Hepatic {
    /// None.
    Normal,
    /// Grade A.
    Mild,
    /// Grade B.
    Moderate,
    /// Grade C.
    Severe,
}

/// Pregnancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pregnancy {
    /// Not possible, or excluded.
    No,
    /// Pregnant.
    Yes,
}

/// What is known of the patient besides allergies and medicines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Completed months of life.
    pub age_months: Fact<u16>,
    /// Body weight in grams.
    pub weight_grams: Fact<u32>,
    /// Estimated glomerular filtration rate in whole mL/min/1.73 m2, rounded down.
    pub egfr: Fact<u16>,
    /// Creatinine clearance in whole mL/min, rounded down.
    pub creatinine_clearance: Fact<u16>,
    /// Liver.
    pub hepatic: Fact<Hepatic>,
    /// Pregnancy.
    pub pregnancy: Fact<Pregnancy>,
    /// Breast-feeding.
    pub breastfeeding: Fact<bool>,
}

/// What a rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Younger than so many months.
    Younger(u16),
    /// At least so many months old.
    AtLeast(u16),
    /// Lighter than so many grams.
    Lighter(u32),
    /// Filtration rate below.
    EgfrBelow(u16),
    /// Creatinine clearance below; where it is unknown the filtration rate stands in.
    ClearanceBelow(u16),
    /// Liver at least as impaired.
    HepaticAtLeast(Hepatic),
    /// Pregnant.
    Pregnant,
    /// Breast-feeding.
    Breastfeeding,
    /// One of these is taken as well.
    With(Set),
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// The fact that is missing.
    Missing(&'static str),
}

impl Condition {
    pub(crate) fn holds(&self, facts: &Facts, taken: &[IngredientId]) -> Answer {
        let ask = |value: Option<bool>, name| match value {
            Some(true) => Answer::Yes,
            Some(false) => Answer::No,
            None => Answer::Missing(name),
        };
        match self {
            Self::Younger(months) => ask(facts.age_months.known().map(|age| age < *months), "age"),
            Self::AtLeast(months) => ask(facts.age_months.known().map(|age| age >= *months), "age"),
            Self::Lighter(grams) => {
                ask(facts.weight_grams.known().map(|own| own < *grams), "weight")
            }
            Self::EgfrBelow(rate) => {
                ask(facts.egfr.known().map(|own| own < *rate), "renal function")
            }
            Self::ClearanceBelow(rate) => {
                let own = facts.creatinine_clearance.known().or(facts.egfr.known());
                ask(own.map(|own| own < *rate), "renal function")
            }
            Self::HepaticAtLeast(grade) => ask(
                facts.hepatic.known().map(|own| own >= *grade),
                "liver function",
            ),
            Self::Pregnant => ask(
                facts.pregnancy.known().map(|own| own == Pregnancy::Yes),
                "pregnancy",
            ),
            Self::Breastfeeding => ask(facts.breastfeeding.known(), "breast-feeding"),
            Self::With(set) => ask(
                Some(taken.iter().any(|one| set.contains(*one))),
                "medicines",
            ),
        }
    }
}
