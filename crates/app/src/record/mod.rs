//! The record: FHIR resources created, read, changed, deleted and found. One file per use-case; each
//! authorises, loads, decides, writes through the unit of work or records the look, and answers.

pub mod bundle;
mod canonical;
mod clauses;
pub(crate) mod condition;
pub mod create;
pub mod cursor;
pub mod delete;
pub mod explain;
mod filter;
pub mod history;
mod include;
pub(crate) mod integrity;
pub(crate) mod narrow;
pub mod patch;
pub mod place;
pub(crate) mod plan;
pub(crate) mod prepare;
pub mod project;
pub mod query_string;
pub mod read;
pub(crate) mod recent;
pub mod render;
pub mod search;
pub mod update;
mod words;

pub use filter::check_filter;

use fhir::definitions::Definitions;
use kernel::{Timestamp, VersionId};
use store::{ResourceKey, StoredVersion};

/// The receipt of a change: what to ask the ledger for a proof with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReceipt {
    /// The log's origin line.
    pub origin: String,
    /// The leaf hash of the change's entry.
    pub leaf: ledger::Hash,
    /// Its index, where it is known already.
    pub index: Option<u64>,
}

impl std::fmt::Display for WriteReceipt {
    /// `origin leaf-hash-in-hex`, the `Audit-Receipt` header.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}",
            self.origin,
            data_encoding::HEXLOWER.encode(&self.leaf.0)
        )
    }
}

/// What a create or update answers.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The version now current (for a conditional create that matched: the existing one).
    pub version: StoredVersion,
    /// Whether the resource did not exist before: 201, otherwise 200.
    pub created: bool,
    /// The change's receipt; `None` where nothing was changed.
    pub receipt: Option<WriteReceipt>,
}

/// What a delete answers.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// The deletion's version; `None` where there was nothing to delete.
    pub version: Option<VersionId>,
    /// When it was deleted.
    pub last_updated: Option<Timestamp>,
    /// The change's receipt.
    pub receipt: Option<WriteReceipt>,
    /// How many resources were there and are not any more.
    pub count: usize,
}

/// `Type/id`.
#[must_use]
pub fn name_of(key: &ResourceKey) -> String {
    format!(
        "{}/{}",
        Definitions::r4().resource_name(key.ty),
        key.id.as_str()
    )
}

/// The `ETag` of a version: `W/"3"`.
#[must_use]
pub fn etag(version: VersionId) -> String {
    format!("W/\"{version}\"")
}

/// Reads a version from an `If-Match` or `If-None-Match` value (`W/"3"`, `"3"` or `3`).
#[must_use]
pub fn version_of_etag(text: &str) -> Option<VersionId> {
    let text = text.trim();
    let text = text.strip_prefix("W/").unwrap_or(text);
    let text = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    text.parse().ok()
}

/// `Type/id/_history/version`, the relative `Location`.
#[must_use]
pub fn location(version: &StoredVersion) -> String {
    format!("{}/_history/{}", name_of(&version.key), version.version)
}

/// The receipt of a unit's first entry.
pub(crate) fn first_receipt(receipt: store::Receipt) -> Option<WriteReceipt> {
    let origin = receipt.origin;
    receipt
        .entries
        .into_iter()
        .next()
        .map(|entry| WriteReceipt {
            origin,
            leaf: entry.leaf,
            index: entry.index,
        })
}
