//! Medicines of a patient: what is on the record, whether it goes together, prescribing it. The decisions
//! are `medication`'s; this loads what they are made from and writes what comes of them. Must not decide,
//! and must not leave out what it could not load.

pub mod chart;
pub mod check;
pub mod countersign;
pub mod give;
mod ground;
pub mod issue;
pub mod orders;
pub mod people;
pub mod prescribe;
pub mod reasons;
mod regimen;
pub mod witness;

use medication::dictionary::{Dictionary, DictionaryError};
use medication::knowledge::Knowledge;
use std::sync::OnceLock;

use crate::error::AppError;

/// The knowledge and the products that are built in.
pub(crate) struct Sources {
    pub knowledge: &'static Knowledge,
    pub dictionary: &'static Dictionary,
}

/// What the checks rest on, read once.
pub(crate) fn sources() -> Result<Sources, AppError> {
    static PRODUCTS: OnceLock<Result<Dictionary, DictionaryError>> = OnceLock::new();
    let knowledge = medication::knowledge::builtin::built_in()
        .map_err(|error| AppError::Fault(error.to_string()))?;
    let dictionary = PRODUCTS
        .get_or_init(|| medication::dictionary::built_in(knowledge))
        .as_ref()
        .map_err(|error| AppError::Fault(error.to_string()))?;
    Ok(Sources {
        knowledge,
        dictionary,
    })
}
