//! An entry of the register, as the law's headings ask for it. Must not be changed once it is written.

use kernel::Timestamp;
use rust_decimal::Decimal;

use super::Signed;
use crate::ids::{IncidentId, ResidentId};
use crate::stock::Units;

/// A name and an address.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Party {
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
}

/// Why it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// Given to the person it was prescribed for.
    Administered,
    /// Handed over: to a person on leave, to another home.
    Supplied,
    /// Back to the pharmacy.
    Returned,
    /// Made irretrievable.
    Destroyed,
}

/// Who took it away.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Collected {
    /// Who: the patient, their representative, or a healthcare professional with name and address.
    pub by: String,
    /// Whether proof of identity was asked for.
    pub proof_asked: bool,
    /// Whether it was given.
    pub proof_given: bool,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "entry")]
pub enum What {
    /// Brought forward from the page or book before, or counted when the register was begun.
    BroughtForward {
        /// How much.
        balance: Decimal,
        /// Where it stood.
        from: String,
    },
    /// It was obtained.
    Obtained {
        /// From whom.
        from: Party,
        /// How much.
        quantity: Units,
    },
    /// It left.
    Left {
        /// Why.
        why: Leaving,
        /// To whom: the person it was given to, or the name and address.
        to: Party,
        /// The resident, where it was given to one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        resident: Option<ResidentId>,
        /// Authority to possess: the prescriber's or licence holder's details.
        authority: String,
        /// How much.
        quantity: Units,
        /// Who took it away, where somebody did.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        collected: Option<Collected>,
    },
    /// It was counted.
    Counted {
        /// What was found.
        found: Decimal,
    },
    /// An earlier entry states the wrong quantity: it stays as it is, and this says what it should be.
    Correction {
        /// The entry's number.
        of: u32,
        /// What it should have said; none where it should not have been made.
        should_be: Decimal,
        /// Why.
        note: String,
    },
    /// A discrepancy was looked into and the balance is set to what is there.
    Settled {
        /// Which.
        incident: IncidentId,
        /// What is there.
        found: Decimal,
        /// What was found out.
        finding: String,
    },
}

/// Why an entry is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// Written after the day that follows the transaction.
    AfterNextDay,
    /// Something that happened later was written before.
    OutOfOrder,
}

/// The label of a late entry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Late {
    /// In which way.
    pub lateness: Lateness,
    /// Why.
    pub reason: String,
}

/// What somebody wants to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What.
    pub what: What,
    /// When it happened.
    pub happened: Timestamp,
    /// When it is written.
    pub entered: Timestamp,
    /// By whom.
    pub signed: Signed,
    /// Why it is late, where it is.
    pub late: Option<String>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Its number on the page, from 1.
    pub number: u32,
    /// What it says.
    pub what: What,
    /// When it happened.
    pub happened: Timestamp,
    /// When it was written.
    pub entered: Timestamp,
    /// By whom.
    pub signed: Signed,
    /// That it is late.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub late: Option<Late>,
    /// The balance after it.
    pub balance: Decimal,
}

impl What {
    /// What it adds to the balance, as it was written; none where that depends on the entries before.
    #[must_use]
    pub fn written(&self) -> Option<Decimal> {
        match self {
            Self::Obtained { quantity, .. } => Some(quantity.get()),
            Self::Left { quantity, .. } => Some(-quantity.get()),
            _ => None,
        }
    }
}
