//! Profiles (FHIR R4, section 5): packages read, snapshots generated from differentials, resources
//! validated against them with location, expression and remedy. Pure: packages come in as bytes.

pub mod base;
pub mod compile;
pub mod error;
mod invariant;
pub mod library;
pub mod model;
pub mod pack;
pub mod package;
#[cfg(test)]
mod samples;
pub mod snapshot;
pub mod source;
pub mod validate;

pub use error::ProfileError;
pub use library::Library;
