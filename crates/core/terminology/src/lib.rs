//! Terminology (FHIR R4, section 4): code systems packed for memory, value sets expanded and asked,
//! concepts subsumed and translated. Pure: files and stored resources come in as bytes. What is not here
//! is answered as unknown, never as "no".

pub mod arena;
pub mod base;
pub mod closure;
pub mod concept_map;
pub mod ecl;
pub mod engine;
pub mod error;
pub mod grammar;
pub mod library;
pub mod load;
pub mod lookup;
pub mod members;
pub mod names;
pub mod pack;
mod refine;
pub mod system;
pub mod validate;
pub mod value_set;
pub mod version;

pub use self::engine::{Compiled, Engine};
pub use self::error::TerminologyError;
pub use self::library::{Library, Pins, Shelf};
