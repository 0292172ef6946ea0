//! Medicines: a structured dose, its text and the times it is due; drug knowledge and the checks of a list;
//! products and the scans of their packs; stock, the controlled-drug register and ordering. Everything is
//! decided from what is passed in: time, zone, facts, knowledge. Must not read a clock, store, log or
//! guess: what cannot be decided is said to be so.

pub mod administration;
pub mod chart;
pub mod checks;
mod codes;
pub mod content;
pub mod dictionary;
pub mod dosage;
pub mod facts;
pub mod gs1;
pub mod ids;
pub mod knowledge;
pub mod limits;
pub mod order;
pub mod quantity;
pub mod register;
pub mod resources;
pub mod rounds;
pub mod schedule;
pub mod stock;
pub mod supply;

pub use dosage::Dosage;
pub use quantity::{Quantity, Unit};
