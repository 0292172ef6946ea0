//! What is there of the house's medicines. Each medicine that is kept has a head document with what its
//! movements come to, and a document for each movement below it, written together in one commit: the head
//! has a version, so that of two who move at once one looks again. Must not change a movement.

pub mod dose;
pub mod forecast;
mod given;
pub mod keep;
pub mod look;
pub mod moves;
mod places;
mod prescribed;
mod register;
mod shelf;
pub mod takeover;

use kernel::{Categorised, Timestamp};
use medication::ids::{ItemId, MovementId};
use medication::quantity::{Quantity, Unit};
use medication::register::Class;
use medication::stock::{Crossing, Folded, Movement, Reorder, Taken};
use serde::{Deserialize, Serialize};

use crate::error::AppError;

pub use given::From;
pub use places::Place;
pub(crate) use places::{belongs, known, known_premises, premises};
pub(crate) use register::of_house;
pub(crate) use shelf::{PRODUCT, Shelf, Staged, With, committed, zone};

/// A medicine that is kept, with what is there of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    /// Its id: that of its Medication, where it is one.
    pub id: ItemId,
    /// Its name for people.
    pub name: String,
    /// `Medication/1`, where it is a resource of the record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub medication: Option<String>,
    /// The product of the dictionary, by its name there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub product: Option<String>,
    /// Its dm+d code, by which it is ordered, where somebody said it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// Its form, for the heading of a register.
    pub form: String,
    /// Its strength, for the heading of a register.
    pub strength: String,
    /// What it is counted in.
    pub unit: Unit,
    /// What one unit contains, where doses are stated by strength.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contains: Option<Quantity>,
    /// Its class as a controlled drug; none where it is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub control: Option<Class>,
    /// At so much of the unit or below it is low.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub threshold: Option<rust_decimal::Decimal>,
    /// The steps of its reorder.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reorder: Vec<Taken>,
    /// How many movements there are.
    pub movements: u32,
    /// What they come to.
    pub folded: Folded,
    /// Since when it is kept.
    pub since: Timestamp,
}

impl Item {
    /// What the house holds of it.
    #[must_use]
    pub fn total(&self) -> rust_decimal::Decimal {
        self.folded.held.iter().map(|own| own.units).sum()
    }

    /// Where its reorder stands.
    ///
    /// # Errors
    /// Stored steps that the table does not have.
    pub fn reorder(&self) -> Result<Reorder, AppError> {
        Reorder::restore(self.reorder.clone()).map_err(ruled)
    }

    /// Whether its movements are written in a register.
    #[must_use]
    pub fn has_register(&self) -> bool {
        self.control.is_some_and(|class| class.demands().register)
    }
}

/// Where the register says the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// The page.
    pub page: String,
    /// The number of the entry.
    pub entry: u32,
}

/// A movement as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moved {
    /// Its number among those of its medicine, from 1.
    pub number: u32,
    /// What happened.
    pub movement: Movement,
    /// What was asked, as a hash: the same id with something else asked is another movement.
    pub asked: String,
    /// The line that it crossed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crossing: Option<Crossing>,
    /// Its entry in the register.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entered: Option<Entered>,
    /// The order that it was given from: `MedicationRequest/1`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<String>,
    /// Why a pack was taken in though no list could say what it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unchecked: Option<String>,
}

impl Moved {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &MovementId {
        &self.movement.meta.id
    }
}

/// What a domain refuses, with its own category and words.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands in map_err, which gives the error away"
)]
pub(crate) fn ruled(error: impl Categorised + core::fmt::Display) -> AppError {
    AppError::Ruled {
        category: error.category(),
        text: error.to_string(),
    }
}

pub(crate) fn refuse<T>(text: impl Into<String>) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.into()))
}
