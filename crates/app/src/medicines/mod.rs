//! Medicines of a patient: what is on the record, whether it goes together, prescribing it. The decisions
//! are `medication`'s; this loads what they are made from and writes what comes of them. Must not decide,
//! and must not leave out what it could not load.

pub mod again;
pub mod analytics;
pub mod brought;
pub mod chart;
pub mod check;
pub mod countersign;
pub mod dictionary;
pub mod elsewhere;
pub mod give;
mod ground;
pub mod issue;
pub mod listing;
pub mod orders;
pub mod people;
pub mod prescribe;
pub mod products;
pub mod reasons;
pub(crate) mod regimen;
pub mod register;
pub mod rounds;
pub mod scan;
pub(crate) mod signatures;
pub mod status;
pub mod stock;
pub mod timeline;
pub mod typed;
pub mod witness;

pub(crate) use dictionary::{Known as Sources, known as sources};
