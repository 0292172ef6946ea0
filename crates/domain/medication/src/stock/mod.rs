//! What is there of a medicine, where and whose, as double-entry movements: what leaves one account
//! enters another, and a balance is the sum of the movements, always. Must not let a held account fall
//! below nothing, change a movement, or give one resident what belongs to another.

mod allocate;
mod batch;
mod book;
mod fold;
mod forecast;
mod low;
mod movement;
mod reorder;
#[cfg(test)]
mod tests;

use kernel::{Categorised, Category};
use rust_decimal::Decimal;

pub use allocate::{Allocation, AllocationError};
pub use batch::{Batch, CallBack, Opened, Recall, Unusable};
pub use book::{Book, Change, Recorded, StockError};
pub use fold::{Folded, Held, Open};
pub use forecast::{
    DaysLeft, ForecastError, Lasts, Regimen, Side, Use, days_left, demand, units_of,
};
pub use low::{Crossing, crossing};
pub use movement::{
    Counted, Discrepancy, Kind, Line, Meta, Movement, ReturnReason, VarianceReason, WasteReason,
    What,
};
pub use reorder::{Reorder, ReorderError, Status, Step, TRANSITIONS, Taken};

use crate::ids::{LocationId, PartyId, ResidentId};

/// More than none and at most a thousand million, with at most six decimal places, of an item's unit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct Units(Decimal);

/// Why a number is no amount that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitsError {
    /// Nothing, or less.
    #[error("{0} is no amount that moves: state more than none")]
    NotPositive(Decimal),
    /// Beyond a thousand million.
    #[error("{0} is more than is ever kept: check the unit")]
    TooMuch(Decimal),
    /// Finer than a millionth.
    #[error("{0} is finer than a millionth: check the unit")]
    TooFine(Decimal),
}

impl Categorised for UnitsError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl Units {
    /// The most of it.
    pub const MOST: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

    /// Checks a number.
    ///
    /// # Errors
    /// Nothing or less, too much, too fine.
    pub fn new(value: Decimal) -> Result<Self, UnitsError> {
        let value = value.normalize();
        if value <= Decimal::ZERO {
            Err(UnitsError::NotPositive(value))
        } else if value > Self::MOST {
            Err(UnitsError::TooMuch(value))
        } else if value.scale() > 6 {
            Err(UnitsError::TooFine(value))
        } else {
            Ok(Self(value))
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Units {
    type Error = UnitsError;
    fn try_from(value: Decimal) -> Result<Self, UnitsError> {
        Self::new(value)
    }
}
impl From<Units> for Decimal {
    fn from(value: Units) -> Self {
        value.0
    }
}
impl core::fmt::Display for Units {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// One side of a movement.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case", tag = "account")]
pub enum Account {
    /// The common stock of a place: homely remedies, ward stock.
    Location {
        /// The place.
        location: LocationId,
    },
    /// What was dispensed for one resident and belongs to them.
    Own {
        /// Whose.
        resident: ResidentId,
        /// Where it is kept.
        location: LocationId,
    },
    /// Whoever brings it and takes it back.
    Supplier {
        /// Who.
        party: PartyId,
    },
    /// Taken.
    Administered {
        /// By whom.
        resident: ResidentId,
    },
    /// Destroyed.
    Waste,
    /// What counting found more or less than the book said.
    Difference,
}

/// What an account is, for the table of movements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Common stock.
    Common,
    /// A resident's own.
    Own,
    /// Outside: whoever brings it.
    Supplier,
    /// Outside: taken.
    Administered,
    /// Outside: destroyed.
    Waste,
    /// Outside: found or missing.
    Difference,
}

impl Account {
    /// What it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Location { .. } => Class::Common,
            Self::Own { .. } => Class::Own,
            Self::Supplier { .. } => Class::Supplier,
            Self::Administered { .. } => Class::Administered,
            Self::Waste => Class::Waste,
            Self::Difference => Class::Difference,
        }
    }

    /// Whether the house holds what is on it: such an account never falls below nothing.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Location { .. } | Self::Own { .. })
    }

    /// The place, where it has one.
    #[must_use]
    pub const fn location(&self) -> Option<&LocationId> {
        match self {
            Self::Location { location } | Self::Own { location, .. } => Some(location),
            _ => None,
        }
    }

    /// The resident it concerns.
    #[must_use]
    pub const fn resident(&self) -> Option<&ResidentId> {
        match self {
            Self::Own { resident, .. } | Self::Administered { resident } => Some(resident),
            _ => None,
        }
    }
}
