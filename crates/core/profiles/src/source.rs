//! Where definitions come from. Must not cache: users of a source do.

use std::sync::Arc;

use crate::model::StructureDefinition;

/// The URL of R4's own definitions up to their name.
pub const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Knows definitions by their canonical.
pub trait Source: Send + Sync {
    /// The definition of this canonical, perhaps with `|version`; without one the newest.
    fn structure(&self, canonical: &str) -> Option<Arc<StructureDefinition>>;
}

/// A canonical's URL and version; a fragment is no part of either.
#[must_use]
pub fn split(canonical: &str) -> (&str, Option<&str>) {
    let canonical = canonical.split('#').next().unwrap_or_default();
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version).filter(|version| !version.is_empty())),
        None => (canonical, None),
    }
}

/// The canonical of a type: a name alone is one of R4's own.
#[must_use]
pub fn type_url(code: &str) -> String {
    if code.contains(':') {
        code.to_owned()
    } else {
        format!("{CORE}{code}")
    }
}
