//! What became of a dose: the outcomes, how each right was verified, who gave and who watched, and what
//! a record means in FHIR. Must not change a record: corrections are records of their own.

pub(crate) mod book;
mod decide;
mod people;
#[cfg(test)]
pub(crate) mod tests;

use kernel::{Categorised, Category, Timestamp};

pub use book::{AGAIN_SECONDS, Book, DOUBLE_SECONDS, Double, Head, Placed, Refused, SlotState};
pub use decide::{
    Alerts, AllergyState, Decision, Giving, Need, PackState, Policy, Why, decide_giving,
};
pub use people::{
    Covert, CovertGap, Homely, HomelyGap, Paper, PaperKind, Papers, Says, SelfCare, SelfGap,
    SelfLevel, UnreadPaper,
};

use crate::content::Content;
use crate::ids::{DeviceId, PersonId, PrescriptionId, RecordId};
use crate::order::SlotKey;
use crate::quantity::Quantity;

/// What became of a dose.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Given by staff.
    Given,
    /// Taken by the resident alone.
    SelfAdministered,
    /// Offered and declined.
    Refused,
    /// Held back on purpose.
    Withheld,
    /// Not in stock.
    NotAvailable,
    /// The resident was asleep.
    Asleep,
    /// The resident was away: leave, hospital.
    Away,
    /// Given, then vomited.
    Vomited,
    /// Prepared, then spoilt and destroyed.
    Destroyed,
    /// Something else, in words.
    Other,
}

/// What an outcome means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// `MedicationAdministration.status`.
    pub status: &'static str,
    /// Whether it counts as taken where doses add up. What was vomited counts: nobody knows how much
    /// stayed.
    pub counts: bool,
    /// Whether it must say why.
    pub reason: bool,
    /// Whether medicine left the stock.
    pub used: bool,
    /// HL7's code for why it was not given (`reason-medication-not-given`), where there is one.
    pub hl7: Option<&'static str>,
    /// For people.
    pub display: &'static str,
    /// On a chart.
    pub letter: &'static str,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Given,
        Self::SelfAdministered,
        Self::Refused,
        Self::Withheld,
        Self::NotAvailable,
        Self::Asleep,
        Self::Away,
        Self::Vomited,
        Self::Destroyed,
        Self::Other,
    ];

    /// Its stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::SelfAdministered => "self-administered",
            Self::Refused => "refused",
            Self::Withheld => "withheld",
            Self::NotAvailable => "not-available",
            Self::Asleep => "asleep",
            Self::Away => "away",
            Self::Vomited => "vomited",
            Self::Destroyed => "destroyed",
            Self::Other => "other",
        }
    }

    /// By code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> Meaning {
        let (status, counts, reason, used, hl7, display, letter) = match self {
            Self::Given => ("completed", true, false, true, None, "Given", "G"),
            Self::SelfAdministered => (
                "completed",
                true,
                false,
                true,
                None,
                "Self-administered",
                "S",
            ),
            Self::Refused => ("not-done", false, true, false, None, "Refused", "R"),
            Self::Withheld => ("not-done", false, true, false, None, "Withheld", "W"),
            Self::NotAvailable => ("not-done", false, false, false, None, "Not available", "N"),
            Self::Asleep => ("not-done", false, false, false, Some("c"), "Asleep", "A"),
            Self::Away => ("not-done", false, true, false, Some("b"), "Away", "L"),
            Self::Vomited => ("completed", true, true, true, Some("d"), "Vomited", "V"),
            Self::Destroyed => ("not-done", false, true, true, None, "Destroyed", "D"),
            Self::Other => ("not-done", false, true, false, None, "Other", "O"),
        };
        Meaning {
            status,
            counts,
            reason,
            used,
            hl7,
            display,
            letter,
        }
    }

    /// Whether the medicine went into the resident.
    #[must_use]
    pub const fn is_taken(self) -> bool {
        self.meaning().counts
    }
}

/// One of the six rights.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// The right resident.
    Resident,
    /// The right medicine.
    Medicine,
    /// The right dose.
    Dose,
    /// The right route.
    Route,
    /// The right time.
    Time,
    /// The right to decline.
    Decline,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Resident,
        Self::Medicine,
        Self::Dose,
        Self::Route,
        Self::Time,
        Self::Decline,
    ];
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Resident => "resident",
            Self::Medicine => "medicine",
            Self::Dose => "dose",
            Self::Route => "route",
            Self::Time => "time",
            Self::Decline => "decline",
        }
    }
    /// By code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }
}

/// How a right was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// A code was scanned and compared.
    Scan,
    /// Somebody read and compared.
    Read,
    /// The resident, or one who knows, told.
    Told,
    /// The system compared: the clock with the window.
    Computed,
}

impl How {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Scan, Self::Read, Self::Told, Self::Computed];
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Read => "read",
            Self::Told => "told",
            Self::Computed => "computed",
        }
    }
    /// By code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }
}

/// A right, how it was verified, and whether it was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verified {
    /// Which.
    pub right: Right,
    /// How.
    pub how: How,
    /// Whether what was found is what was ordered.
    pub fits: bool,
}

/// What a record corrects.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Correction {
    /// The record that no longer holds.
    pub of: RecordId,
    /// Why.
    pub reason: String,
    /// Whether that record should never have been: then this one says nothing but so.
    pub void: bool,
}

/// What is recorded of a dose given when needed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NeedRecord {
    /// What it was given for.
    pub reason: String,
    /// When its effect is to be asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect_due: Option<Timestamp>,
}

/// How well a dose given when needed helped.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It did.
    Helped,
    /// In part.
    Partly,
    /// It did not.
    NotAtAll,
    /// It made things worse, or harmed.
    Worse,
    /// Nobody could tell.
    NotKnown,
}

/// What came of asking for the effect.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EffectRecord {
    /// Of which dose.
    pub of: RecordId,
    /// When it was asked for.
    pub at: Timestamp,
    /// By whom.
    pub by: PersonId,
    /// What came of it.
    pub effect: Effect,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// What became of a dose, as recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Record {
    /// Its id, made by whoever records: sent twice, it is one record.
    pub id: RecordId,
    /// Of which order.
    pub order: PrescriptionId,
    /// Which due dose; none where it was needed, or off the schedule.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slot: Option<SlotKey>,
    /// Of a dose of no due time, which of the order's dosages it is one of: its place, from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dosage: Option<usize>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where the outcome or the time asks for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// When it happened.
    pub happened: Timestamp,
    /// When it was entered.
    pub entered: Timestamp,
    /// Who gave it, or offered it.
    pub giver: PersonId,
    /// Who entered it, where that is somebody else.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enterer: Option<PersonId>,
    /// Who watched and signed too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub witness: Option<PersonId>,
    /// How much, as stated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dose: Option<Quantity>,
    /// What that held, by ingredient.
    #[serde(default)]
    pub contents: Vec<Content>,
    /// Name of what was given.
    pub product: String,
    /// How each right was verified.
    #[serde(default)]
    pub rights: Vec<Verified>,
    /// The device that recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<DeviceId>,
    /// What it corrects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrects: Option<Correction>,
    /// Given when needed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub need: Option<NeedRecord>,
}

/// Seconds after which an entry counts as late.
pub const LATE_ENTRY: i64 = 15 * 60;

impl Record {
    /// Whether it was entered long after it happened: it is then shown with both times.
    #[must_use]
    pub const fn is_late_entry(&self) -> bool {
        self.entered.seconds_since(self.happened) > LATE_ENTRY
    }

    /// The dose as the limits count it; none where nothing was taken.
    #[must_use]
    pub fn counted(&self) -> Option<crate::limits::Entry> {
        let void = self.corrects.as_ref().is_some_and(|own| own.void);
        (self.outcome.is_taken() && !void).then(|| crate::limits::Entry {
            id: self.id.clone(),
            order: Some(self.order.clone()),
            at: self.happened,
            name: self.product.clone(),
            dose: self.dose.clone(),
            contents: self.contents.clone(),
        })
    }

    /// Whether it holds together by itself.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub fn check(&self) -> Result<(), RecordError> {
        let void = self.corrects.as_ref().is_some_and(|own| own.void);
        let blank = |text: &Option<String>| text.as_deref().is_none_or(|own| own.trim().is_empty());
        if let Some(correction) = &self.corrects {
            if correction.of == self.id {
                return Err(RecordError::CorrectsItself);
            }
            if correction.reason.trim().is_empty() {
                return Err(RecordError::CorrectionReason);
            }
        }
        if void {
            return Ok(());
        }
        if self.outcome.meaning().reason && blank(&self.reason) {
            return Err(RecordError::Reason(self.outcome.code()));
        }
        if self.witness.as_ref() == Some(&self.giver) {
            return Err(RecordError::WitnessIsGiver);
        }
        if self
            .slot
            .as_ref()
            .is_some_and(|slot| slot.order != self.order)
        {
            return Err(RecordError::OtherOrder);
        }
        if self.happened.seconds_since(self.entered) > LATE_ENTRY {
            return Err(RecordError::Ahead);
        }
        if !self.outcome.is_taken() {
            return Ok(());
        }
        let Some(dose) = &self.dose else {
            return Err(RecordError::NoDose);
        };
        if dose.value.value() <= rust_decimal::Decimal::ZERO {
            return Err(RecordError::NotPositive);
        }
        Ok(())
    }
}

/// Why a record is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No reason where one is due.
    #[error("{0:?} needs a reason: say why")]
    Reason(&'static str),
    /// A correction that does not say why.
    #[error("a correction needs a reason: say what was wrong")]
    CorrectionReason,
    /// It corrects itself.
    #[error("a record does not correct itself: give it an id of its own")]
    CorrectsItself,
    /// The witness gave it.
    #[error("the witness is the giver: ask another person to sign")]
    WitnessIsGiver,
    /// The due dose is one of another order.
    #[error("the due dose belongs to another order: record it there")]
    OtherOrder,
    /// It happened after it was entered.
    #[error("the dose is dated after its entry: correct the time, or the clock of the device")]
    Ahead,
    /// Taken without an amount.
    #[error("a dose that was taken needs its amount: state how much")]
    NoDose,
    /// Taken and zero or less.
    #[error("the dose is not above zero: state how much was taken")]
    NotPositive,
}

impl Categorised for RecordError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}
