//! The FHIR R4 tree, definition tables, validation and search-parameter extraction. Resources stay the
//! JSON they were sent as: one parsed tree per request over the exact bytes, with everything else
//! driven by tables made from the R4 definitions. Must not do I/O, read a clock or log, and holds no
//! Rust type per resource.

pub mod definitions;
pub mod json;
pub mod patch;
pub mod print;
pub mod search;
pub mod terminology;
pub mod validate;
pub mod xml;

pub use definitions::{Definitions, TypeId};
