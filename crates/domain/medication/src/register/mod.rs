//! The controlled-drug register: for each premises and each drug, form and strength a page to which
//! entries are added and in which none is ever changed, with the balance at every line and two people's
//! signatures. Must not be corrected but by an entry that cites the wrong one, or show less than nothing.

mod entry;
mod incident;
mod page;
mod print;
mod rules;
mod sign;
#[cfg(test)]
mod tests;

use kernel::{Categorised, Category};
use rust_decimal::Decimal;

pub use entry::{Collected, Draft, Entry, Late, Lateness, Leaving, Party, What};
pub use incident::{Incident, Notified, Stage};
pub use page::{Heading, Page, Register, Written};
pub use print::{Column, Printed, Row, print};
pub use rules::{Class, DEMANDS, Demands, KEPT_YEARS};
pub use sign::{FRESH_SECONDS, Method, Signature, Signed};

use crate::ids::IncidentId;

/// Why an entry is refused. The page is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The witness is the giver.
    #[error("the witness is the giver: ask another person to sign")]
    SamePerson,
    /// Something was entered after it was counted.
    #[error("something was entered since it was counted: read the page and count again")]
    Outdated,
    /// A proof of identity that is of the future or too old.
    #[error("{0} has to prove who they are again: a proof holds for five minutes")]
    NotFresh(String),
    /// A text that the law asks for.
    #[error("{0} is missing: the register needs it")]
    Words(&'static str),
    /// It would fall below nothing.
    #[error("the balance is {balance}: {quantity} cannot leave; count, and report the discrepancy")]
    BelowNothing {
        /// What the page has.
        balance: Decimal,
        /// What would leave.
        quantity: Decimal,
    },
    /// Less than nothing was counted or stated.
    #[error("{0} is less than nothing: count again")]
    Negative(Decimal),
    /// It happens later than it is written.
    #[error("an entry cannot be of the future: correct the time")]
    Future,
    /// It is written earlier than the entry before it.
    #[error("the clock is behind the last entry: correct the clock")]
    ClockBack,
    /// It is late and nobody says why.
    #[error("this entry is late ({0:?}): say why")]
    Late(Lateness),
    /// A correction of an entry that is not there, or that states no quantity.
    #[error("entry {0} is none that can be corrected: cite one that obtained or supplied")]
    NoSuchEntry(u32),
    /// A correction that changes nothing.
    #[error("entry {0} says that already: nothing is to be corrected")]
    Unchanged(u32),
    /// A balance can only be brought forward to an empty page.
    #[error("a balance is brought forward to an empty page alone")]
    NotFirst,
    /// There is no such discrepancy, or it is settled.
    #[error("discrepancy {0} is not open")]
    NoIncident(IncidentId),
    /// A discrepancy moves on by steps.
    #[error("a discrepancy that is {from:?} cannot become {to:?}")]
    Stage {
        /// Where it stands.
        from: Stage,
        /// Where it should go.
        to: Stage,
    },
    /// A settlement of something else than the discrepancy.
    #[error(
        "{found} with a balance of {balance} is not the discrepancy of {difference}: count again, and report what differs"
    )]
    OtherDifference {
        /// What is said to be there.
        found: Decimal,
        /// What the page has.
        balance: Decimal,
        /// What the discrepancy is.
        difference: Decimal,
    },
    /// Proof given and not asked for.
    #[error("proof of identity cannot be given without being asked for")]
    Proof,
    /// Stored entries do not follow from one another.
    #[error("entry {0} is not as it was written")]
    Altered(u32),
    /// The page is there already.
    #[error("there is a page for this drug, form and strength already")]
    PageExists,
    /// More than can be counted.
    #[error("the balance would be beyond what is ever kept: check the quantity")]
    Range,
}

impl Categorised for RegisterError {
    fn category(&self) -> Category {
        match self {
            Self::SamePerson | Self::NotFresh(_) => Category::Forbidden,
            Self::NoIncident(_) | Self::NoSuchEntry(_) => Category::NotFound,
            Self::BelowNothing { .. }
            | Self::OtherDifference { .. }
            | Self::Stage { .. }
            | Self::NotFirst
            | Self::PageExists
            | Self::Unchanged(_)
            | Self::Outdated => Category::Conflict,
            Self::Altered(_) => Category::Altered,
            _ => Category::Unprocessable,
        }
    }
}
