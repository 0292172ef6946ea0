//! The knowledge that ships with the house: five text files of this crate, bound by hashes to one
//! release. Must not answer from files that are not what was released.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::{Knowledge, KnowledgeError, Release, read};

pub(crate) const MANIFEST: &str = include_str!("data/release.txt");
pub(crate) const PARTS: [(&str, &str); 5] = [
    ("ingredients", include_str!("data/ingredients.txt")),
    ("classes", include_str!("data/classes.txt")),
    ("interactions", include_str!("data/interactions.txt")),
    ("patient", include_str!("data/patient.txt")),
    ("demotions", include_str!("data/demotions.txt")),
];

static BUILT_IN: LazyLock<Result<Knowledge, KnowledgeError>> =
    LazyLock::new(|| load(MANIFEST, &PARTS));

/// The built-in knowledge.
///
/// # Errors
/// Files that differ from their release.
pub fn built_in() -> Result<&'static Knowledge, &'static KnowledgeError> {
    BUILT_IN.as_ref()
}

/// SHA-256 in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    digits(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub(crate) fn digits(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a release: the manifest names the hash of every part; the release's own hash is the manifest's.
///
/// # Errors
/// A part that is missing, altered or not readable.
pub fn load(manifest: &str, parts: &[(&str, &str)]) -> Result<Knowledge, KnowledgeError> {
    let field = |name: &str| {
        manifest
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map(|value| value.trim().to_owned())
            .ok_or_else(|| KnowledgeError::Altered("release".to_owned()))
    };
    for (name, content) in parts {
        if field(name)? != hex(content.as_bytes()) {
            return Err(KnowledgeError::Altered((*name).to_owned()));
        }
    }
    let release = Release {
        source: field("source")?,
        version: field("version")?,
        effective: field("effective")?,
        licence: field("licence")?,
        sha256: hex(manifest.as_bytes()),
    };
    read::compile(release, parts)
}
