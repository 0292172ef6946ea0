//! One structured FHIR R4 Dosage, from which both the text people read and the schedule derive. Read from
//! JSON and printed back with nothing lost: what is not modelled is kept as it was sent. Must not repair
//! what it reads: what is wrong is refused or reported.

pub mod again;
mod check;
mod code;
pub mod entered;
pub(crate) mod print;
pub(crate) mod read;
#[cfg(test)]
mod tests;
mod text;
mod timing;

use kernel::{Categorised, Category};

pub use check::{Problem, Weight};
pub use text::{Words, amount_in_words, regimen};
pub(crate) use timing::at;
pub use timing::{Bounds, Cycle, Moment, Repeat, Timing, TimingCode};
pub use timing::{EventTime, TimeUnit, Weekday};

use crate::quantity::Quantity;

/// Days with and days without a medicine, repeated: an extension of `Timing.repeat` with the extensions
/// `on` and `off`, each a `valuePositiveInt` of days.
pub const CYCLE: &str = "https://theriac.example.org/fhir/StructureDefinition/dosage-cycle";

/// Members that are not modelled, kept as they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rest(pub(crate) Vec<(String, Vec<u8>)>);

impl Rest {
    /// Whether everything was understood.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a member of this name was kept.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

/// A code of a system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coding {
    /// The system.
    pub system: Option<String>,
    /// The code.
    pub code: Option<String>,
    /// What people read.
    pub display: Option<String>,
    /// The rest of it.
    pub rest: Rest,
}

/// A FHIR CodeableConcept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concept {
    /// The codes, each saying the same.
    pub coding: Vec<Coding>,
    /// What people read.
    pub text: Option<String>,
    /// The rest of it.
    pub rest: Rest,
}

impl Concept {
    /// A concept that is words only.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self {
            text: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// A concept of one code.
    #[must_use]
    pub fn of_code(system: &str, code: &str, display: &str) -> Self {
        Self {
            coding: vec![Coding {
                system: Some(system.to_owned()),
                code: Some(code.to_owned()),
                display: (!display.is_empty()).then(|| display.to_owned()),
                rest: Rest::default(),
            }],
            ..Self::default()
        }
    }

    /// The code it has in a system.
    #[must_use]
    pub fn code_in(&self, system: &str) -> Option<&str> {
        self.coding
            .iter()
            .find(|coding| coding.system.as_deref() == Some(system))
            .and_then(|coding| coding.code.as_deref())
    }

    /// What people read: the text, else the first display, else the first code.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        let display = || self.coding.iter().find_map(|c| c.display.as_deref());
        let code = || self.coding.iter().find_map(|c| c.code.as_deref());
        self.text.as_deref().or_else(display).or_else(code)
    }
}

/// One amount, or any amount between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// One amount.
    Exact(Quantity),
    /// The giver decides between the two; at least one is stated.
    Range {
        /// The least.
        low: Option<Quantity>,
        /// The most.
        high: Option<Quantity>,
    },
}

impl Amount {
    /// The most that may be given at once.
    #[must_use]
    pub const fn most(&self) -> Option<&Quantity> {
        match self {
            Self::Exact(quantity) => Some(quantity),
            Self::Range { high, .. } => high.as_ref(),
        }
    }

    /// The least of it.
    #[must_use]
    pub const fn least(&self) -> Option<&Quantity> {
        match self {
            Self::Exact(quantity) => Some(quantity),
            Self::Range { low, .. } => low.as_ref(),
        }
    }
}

/// So much per so much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ratio {
    /// So much.
    pub numerator: Quantity,
    /// Per so much.
    pub denominator: Quantity,
    /// The rest of it.
    pub rest: Rest,
}

/// How fast it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rate {
    /// 100 mL per 8 h.
    Ratio(Ratio),
    /// 2 mL/h, or between two.
    Amount(Amount),
}

/// How much at once and how fast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoseAndRate {
    /// Calculated or ordered.
    pub kind: Option<Concept>,
    /// How much at once.
    pub dose: Option<Amount>,
    /// How fast.
    pub rate: Option<Rate>,
    /// The rest of it.
    pub rest: Rest,
}

/// Whether it is given when needed only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AsNeeded {
    /// Nothing is said: it is given as scheduled.
    #[default]
    Unsaid,
    /// Said to be so or not.
    Flag(bool),
    /// When needed, for this reason.
    For(Concept),
}

impl AsNeeded {
    /// Whether it is given when needed only.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        matches!(self, Self::Flag(true) | Self::For(_))
    }
}

/// One instruction: how much, by which way, when, for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dosage {
    /// Its place: instructions of one number hold together, a higher number follows.
    pub sequence: Option<i64>,
    /// The text that was sent with it.
    pub text: Option<String>,
    /// With food, and the like.
    pub additional_instruction: Vec<Concept>,
    /// For the patient.
    pub patient_instruction: Option<String>,
    /// When.
    pub timing: Option<Timing>,
    /// Whether when needed only.
    pub as_needed: AsNeeded,
    /// Where on the body.
    pub site: Option<Concept>,
    /// By which way.
    pub route: Option<Concept>,
    /// By which technique.
    pub method: Option<Concept>,
    /// How much and how fast.
    pub dose_and_rate: Vec<DoseAndRate>,
    /// The most in a period.
    pub max_dose_per_period: Option<Ratio>,
    /// The most at once.
    pub max_dose_per_administration: Option<Quantity>,
    /// The most in a life.
    pub max_dose_per_lifetime: Option<Quantity>,
    /// The rest of it.
    pub rest: Rest,
}

/// A member that has no place in a Dosage or not this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct DosageError {
    /// Where, as `timing.repeat.count`.
    pub path: String,
    /// What is wrong with it and what would be right.
    pub what: &'static str,
}

impl Categorised for DosageError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl Dosage {
    /// The repeat, where there is one.
    #[must_use]
    pub fn repeat(&self) -> Option<&Repeat> {
        self.timing.as_ref()?.repeat.as_ref()
    }

    /// The first stated dose.
    #[must_use]
    pub fn dose(&self) -> Option<&Amount> {
        self.dose_and_rate.iter().find_map(|d| d.dose.as_ref())
    }
}
