//! Electronic signatures of steps: who, what it means, when, and what exactly was signed (21 CFR 11.50 and
//! 11.70). That somebody proved to be themselves when signing is the caller's to establish.

use kernel::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::package::{ContentHash, ModelName, Version};

/// What a signature means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// "I have looked at the evidence for this use here."
    Reviewed,
    /// "I am responsible for patients being answered by it."
    Approved,
}

/// The hash of what is signed: model, version, content, both stages with what belongs to them, and the
/// revision of the table, so that a signature serves one step once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Statement([u8; 32]);

impl Statement {
    /// The statement of a step, from its parts in words.
    pub(super) fn new(
        model: &ModelName,
        version: Version,
        hash: ContentHash,
        (from, to): (&str, &str),
        revision: u64,
    ) -> Self {
        let mut hasher = Sha256::new();
        hasher.update("theriac rollout step 1\n");
        for part in [
            model.as_str(),
            &version.to_string(),
            &hash.to_string(),
            from,
            to,
            &revision.to_string(),
        ] {
            // Length first: no two lists of parts read the same.
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The person: one id for one person, whatever their accounts.
    pub person: String,
    /// Their printed name.
    pub name: String,
    /// What it means.
    pub meaning: Meaning,
    /// What was signed.
    pub statement: Statement,
    /// When.
    pub at: Timestamp,
}
