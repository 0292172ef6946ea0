//! Medicines, from a structured dose to the chart, the stock and the register. Everything is decided from
//! what is passed in: time, zone, records, knowledge. Must not read a clock, store, log or guess: what
//! cannot be decided is said to be so.

pub mod checks;
pub mod dictionary;
pub mod dosage;
pub mod gs1;
pub mod knowledge;
pub mod quantity;
pub mod schedule;

pub use dosage::Dosage;
pub use quantity::{Quantity, Unit};
