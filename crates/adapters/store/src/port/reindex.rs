//! New index entries for versions that stay as they are: what a search parameter added later finds them by.
//! No clinical state changes, so there is no ledger entry.

use kernel::VersionId;

use super::resource::ResourceKey;
use crate::index::PackedIndex;

/// What a current version is to be found by from now on.
#[derive(Debug, Clone)]
pub struct Reindexed {
    /// Which resource.
    pub key: ResourceKey,
    /// The version that the entries were made of; another head keeps its own.
    pub version: VersionId,
    /// All its entries, old and new.
    pub index: PackedIndex,
}
