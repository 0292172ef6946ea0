//! What a verifier sees of the record: version rows as they lie in storage, with what the ledger must say
//! of each. Nothing is joined away, and what does not open is said and not an error.

use kernel::{RowId, VersionId};
use smallvec::SmallVec;

use super::resource::ResourceKey;
use ::ledger::Hash;
use ::ledger::leaf::KeyId;

/// One version row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEvidence {
    /// Its row; rows ascend in about the order in which they were committed.
    pub row: RowId,
    /// What it is a version of; `None` where no head names it.
    pub key: Option<ResourceKey>,
    /// Which version.
    pub version: VersionId,
    /// Whether it says that nothing, or a deletion, was there before.
    pub creates: bool,
    /// What its entry must say.
    pub proof: VersionProof,
    /// Whether the resource's head agrees with it.
    pub head_agrees: bool,
}

/// What the entry of a version must commit to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionProof {
    /// One of these. A deletion has no body that names its key, so that there may be several.
    Commitments {
        /// Under the keys that are there.
        any_of: SmallVec<[Hash; 2]>,
        /// A destroyed key that it may have been made under.
        or_erased: Option<KeyId>,
    },
    /// Unknown: the key was destroyed.
    Erased(KeyId),
    /// Unknown: the key is neither here nor destroyed.
    Locked(KeyId),
    /// It is not what was stored.
    Broken(&'static str),
}

/// An entry that a writer committed and that no log has: neither placed nor waiting for its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unplaced {
    /// Its writer.
    pub writer: uuid::Uuid,
    /// The writer's counter.
    pub counter: u64,
}
