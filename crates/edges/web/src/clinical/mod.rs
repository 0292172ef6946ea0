//! FHIR to what clinicians read: pure functions from parsed resources to view models, following the
//! NHS CUI display guidance (`docs/clinical-display.md`). Must not fetch, decide access or guess: what
//! is unknown is said to be unknown.

pub mod address;
pub mod allergy;
pub mod code;
pub mod date;
pub mod dosage;
pub mod events;
pub mod gender;
pub mod glance;
pub mod identifier;
pub mod medication;
pub mod name;
pub mod observation;
pub mod patient;
pub mod quantity;

pub use allergy::AllergyStatus;
pub use date::{When, Zone};
pub use medication::MedicationLine;
pub use patient::Banner;

/// Shown where the record holds nothing.
pub const NOT_RECORDED: &str = "Not recorded";
/// Shown where the record could not be read.
pub const NOT_AVAILABLE: &str = "Not available";
/// Shown where an identifying item is unknown (PAB-0019: never "?").
pub const NOT_KNOWN: &str = "Not known";

#[cfg(test)]
pub(crate) mod tests_support {
    //! Parsing for the tests of this folder.
    use fhir::json::{Document, Limits};

    /// A document of a literal.
    pub fn parse(text: &str) -> Document {
        Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap()
    }
}
