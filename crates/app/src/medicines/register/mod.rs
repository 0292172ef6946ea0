//! The controlled-drug register: a page for each drug, form and strength of a premises. What its entries
//! bring or take is a movement of stock in the same commit, so that page and shelf say the same; both people
//! prove who they are at the moment of signing. Must not write an entry alone, but for a count.

pub(crate) mod folio;
pub mod incidents;
pub mod pages;
mod sign;

use kernel::Timestamp;
use medication::ids::{IncidentId, ItemId, MovementId, PremisesId};
use medication::quantity::Unit;
use medication::register::{Entry, Heading};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub(crate) use folio::{Folio, Source};
pub(crate) use sign::Signers;
pub use sign::Signing;

/// The head of a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageHead {
    /// Its id.
    pub id: String,
    /// Of which premises: a Location or an Organization.
    pub premises: PremisesId,
    /// Class, drug, form and strength.
    pub heading: Heading,
    /// What it is counted in.
    pub unit: Unit,
    /// The medicines whose movements are written on it.
    pub items: Vec<ItemId>,
    /// How many entries there are.
    pub entries: u32,
    /// The balance after the last.
    pub balance: Decimal,
    /// Discrepancies that are not settled.
    pub open: Vec<IncidentId>,
    /// When it was begun.
    pub begun: Timestamp,
    /// When it was last counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counted: Option<Timestamp>,
}

/// An entry as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// The entry.
    pub entry: Entry,
    /// The medicine that moved with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub item: Option<ItemId>,
    /// The movement of stock that it was written with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub movement: Option<MovementId>,
    /// The order that it was given from: `MedicationRequest/1`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<String>,
    /// The id of a count, made by its sender: sent again it is the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent: Option<MovementId>,
}
