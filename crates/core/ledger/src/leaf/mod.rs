//! The leaf: what the tree commits to for each entry. Canonical JSON (RFC 8785: sorted keys, no white
//! space) of strings and integers only, without any clear identifier. Must not grow: at most 2 KiB.

mod class;
#[cfg(test)]
mod tests;
mod text;

pub use class::{Class, Outcome};
use kernel::Timestamp;
use uuid::Uuid;

use crate::error::FormatError;
use crate::hash::{Hash, leaf_hash};

/// The form of leaves that this program writes.
pub const LEAF_FORM: u64 = 1;
/// The most bytes a leaf may have.
pub const MAX_LEAF_BYTES: usize = 2048;
/// The greatest integer a leaf may hold: 2^53 - 1, the greatest that every JSON reader keeps.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The actor's pseudonym: the first half of a keyed hash of the actor's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub [u8; 16]);

/// The id of a sealing key; random, so that it says nothing about whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

/// A state of a log, named in a leaf: a tenant's checkpoint in the instance log, or the end of the epoch
/// before in the first leaf of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The log's origin line.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// Its root then.
    pub root: Hash,
}

/// Entries that never arrived or were lost, and are explained by this leaf. In a `discontinuity` leaf:
/// counters of a writer. In an `epoch` leaf: indexes of the epoch before that a restore lost; `writer` is
/// then the nil UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Whose counters.
    pub writer: Uuid,
    /// The first that is missing.
    pub from: u64,
    /// The last that is missing.
    pub to: u64,
}

/// An entry's leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// `id`: the entry's id.
    pub id: Uuid,
    /// `t`: when, by the writer's clock, in microseconds since the Unix epoch; not negative.
    pub time: Timestamp,
    /// `w`: the writer: a process, from its start to its end.
    pub writer: Uuid,
    /// `n`: the writer's counter in this log: 1 for its first entry, then one more for each.
    pub counter: u64,
    /// `class`: what happened.
    pub class: Class,
    /// `outcome`: how it ended.
    pub outcome: Outcome,
    /// `actor`: who, as a pseudonym.
    pub actor: Pseudonym,
    /// `subj`: keyed commitment to the patient it is about.
    pub subject: Option<Hash>,
    /// `res`: keyed commitment to the resource, its version and content.
    pub resource: Option<Hash>,
    /// `pc`: SHA-256 of the sealed payload's bytes as stored.
    pub payload: Option<Hash>,
    /// `kid`: the key that the payload is sealed under; present exactly when `pc` is.
    pub key: Option<KeyId>,
    /// `reason`: a code, 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub reason: Option<String>,
    /// `prior`: the consent or break-glass grant it rests on.
    pub prior: Option<Uuid>,
    /// `erased`: in an `erase` leaf, the key that was destroyed.
    pub erased: Option<KeyId>,
    /// `of`, `of_root`, `of_size`: in `checkpoint` and `epoch` leaves, the log's state they name.
    pub mark: Option<Mark>,
    /// `gap_from`, `gap_to`, `gap_w`: in `discontinuity` and `epoch` leaves, what they explain.
    pub gap: Option<Gap>,
}

impl Leaf {
    /// The canonical bytes; refused when a field is outside its range.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::with_capacity(640);
        self.write(&mut bytes)?;
        Ok(bytes)
    }
    /// Appends the canonical bytes to a buffer (the same buffer again and again spares allocations).
    pub fn write(&self, into: &mut Vec<u8>) -> Result<(), FormatError> {
        text::write(self, into)
    }
    /// Reads canonical bytes and refuses everything else: another order of keys, white space, escapes,
    /// unknown keys, numbers written otherwise.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        text::parse(bytes)
    }
    /// The RFC 6962 hash of the canonical bytes.
    pub fn hash(&self) -> Result<Hash, FormatError> {
        self.to_bytes().map(|bytes| leaf_hash(&bytes))
    }
}
