//! FHIR XML (FHIR R4, xml.html) to and from the JSON of the same resource, driven by the definition
//! tables. Decimals keep their written text, narratives their exact markup; comments and processing
//! instructions go. Must not load, resolve or expand anything: no document types, no entities beyond
//! the five of XML and character references, no namespaces beyond FHIR's and XHTML's.

mod div;
mod error;
pub mod patch;
mod read;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use error::{XmlError, XmlErrorKind};
pub use read::to_json;
pub use write::from_json;

/// The namespace of FHIR's elements.
pub const FHIR: &str = "http://hl7.org/fhir";
/// The namespace of narratives.
pub const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// The namespace of attributes that say how to validate; they are left out.
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What a document may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the source.
    pub max_bytes: usize,
    /// Open elements at one place; values above 256 count as 256.
    pub max_depth: u32,
    /// Elements in the document.
    pub max_elements: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_depth: 128,
            max_elements: 4_000_000,
        }
    }
}
