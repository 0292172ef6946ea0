//! The use-cases behind FHIR operations (`$name`), one file each. Every one authorises, narrows to what
//! the caller reaches, and records what was looked at, like reads and searches do.

pub mod answer;
pub mod document;
pub mod everything;
pub mod graphql;
pub mod input;
pub mod lastn;
pub mod matching;
pub mod merge;
pub mod meta;
pub mod run_view;
pub mod stored_view;
pub mod terminology;
pub mod validate;
