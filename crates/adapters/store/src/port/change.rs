//! A unit of change and what its commit answers. A [`Unit`] carries its ledger entries; an adapter
//! refuses one whose changes and entries do not pair up.

use fhir::TypeId;
use kernel::{Categorised, Category, LogicalId, RowId, VersionId};

use super::access::Entry;
use super::doc::{DocKind, DocWrite};
use super::error::StoreError;
use super::resource::{Head, ResourceKey};
use super::search::SearchPlan;
use crate::index::PackedIndex;

/// What makes a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChangeKind {
    /// The first version, or the first after a deletion, by an update of a name that the client chose.
    CreateByUpdate = 0,
    /// The first version, under a name that the server chose.
    Create = 1,
    /// A later version.
    Update = 2,
    /// A deletion.
    Delete = 3,
    /// The subject's key was destroyed.
    Erase = 4,
}

impl ChangeKind {
    /// Whether nothing (or a deletion) was there before.
    #[must_use]
    pub const fn is_create(self) -> bool {
        matches!(self, Self::Create | Self::CreateByUpdate)
    }
}

/// What the head must be for a change to apply; decided inside the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No such resource was ever stored.
    Absent,
    /// The head is this version (also a deletion's).
    Version(VersionId),
}

/// A condition on other resources, decided inside the writer, so that parallel conditional creates
/// cannot make duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The criteria; `count` is ignored.
    pub plan: SearchPlan,
    /// The rows that the criteria were seen to match when the unit was prepared: the commit fails with
    /// [`CommitError::GuardChanged`] when the writer sees another set (empty: none may match).
    pub seen: Vec<RowId>,
}

/// One new version of one resource, with its entry.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which resource.
    pub key: ResourceKey,
    /// What its head must be.
    pub expected: Expected,
    /// The resource's row: new for `Absent`, otherwise the head's.
    pub row: RowId,
    /// The new version: 1 for `Absent`, otherwise the expected one plus 1.
    pub version: VersionId,
    /// The new version's row; greater than every row of the same resource.
    pub version_row: RowId,
    /// What makes it.
    pub kind: ChangeKind,
    /// The exact bytes to serve; empty for a deletion.
    pub body: Vec<u8>,
    /// What it is found by; empty for a deletion.
    pub index: PackedIndex,
    /// The patient whose key seals it: the one patient in whose compartment it lies; `None` seals it
    /// under the tenant's key.
    pub subject: Option<LogicalId>,
    /// Its ledger entry (log `Changes`).
    pub entry: Entry,
}

/// All that one commit does.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    /// New versions; no resource twice.
    pub changes: Vec<Change>,
    /// Conditions.
    pub guards: Vec<Guard>,
    /// Governed or operational documents.
    pub docs: Vec<DocWrite>,
    /// Entries beside those of the changes: at least one when a governed document is written.
    pub entries: Vec<Entry>,
}

/// Where an entry landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryReceipt {
    /// RFC 6962 leaf hash.
    pub leaf: ::ledger::Hash,
    /// Its index, where the adapter sequences in the same transaction (SQLite).
    pub index: Option<u64>,
}

/// What a commit answers: the receipts of the changes' entries, then of the further entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The log's origin line.
    pub origin: String,
    /// In the order given.
    pub entries: Vec<EntryReceipt>,
}

/// Why a unit was not committed. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A head is not what was expected.
    #[error("resource {key:?} changed meanwhile: read it again and repeat the change")]
    Stale {
        /// Which resource.
        key: ResourceKey,
        /// Its head now.
        current: Option<Head>,
    },
    /// Criteria match other rows than were seen.
    #[error("the resources matching the condition changed meanwhile: repeat the request")]
    GuardChanged {
        /// Index into [`Unit::guards`].
        guard: usize,
    },
    /// A document exists, is missing or has another version.
    #[error(
        "{kind:?} document {id:?} is not in the expected state: read it again and repeat the change"
    )]
    DocConflict {
        /// Its kind.
        kind: DocKind,
        /// Its id.
        id: String,
        /// The unique look-up that is taken, if that is the reason.
        lookup: Option<&'static str>,
    },
    /// The unit itself is malformed (a defect above the port).
    #[error("unit of change is malformed: {0}")]
    Malformed(&'static str),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Categorised for CommitError {
    fn category(&self) -> Category {
        match self {
            Self::Stale { .. } | Self::GuardChanged { .. } | Self::DocConflict { .. } => {
                Category::Conflict
            }
            Self::Malformed(_) => Category::Fault,
            Self::Store(error) => error.category(),
        }
    }
}

impl Unit {
    /// Checks what every adapter relies on: entries pair with changes, no resource twice, versions
    /// follow, governed documents come with an entry.
    pub fn check(&self) -> Result<(), CommitError> {
        let mut keys: Vec<(TypeId, &LogicalId)> =
            self.changes.iter().map(|c| (c.key.ty, &c.key.id)).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(CommitError::Malformed("a resource appears twice"));
        }
        for change in &self.changes {
            let follows = match change.expected {
                Expected::Absent => {
                    change.version == VersionId::FIRST && change.row == change.version_row
                }
                Expected::Version(version) => {
                    change.version == version.next() && change.version_row > change.row
                }
            };
            if !follows {
                return Err(CommitError::Malformed("a version does not follow its head"));
            }
            if (change.kind == ChangeKind::Delete) != change.body.is_empty() {
                return Err(CommitError::Malformed("only a deletion has no body"));
            }
        }
        if self.docs.iter().any(|doc| doc.kind.is_governed()) && self.entries.is_empty() {
            return Err(CommitError::Malformed(
                "a governed document needs a ledger entry",
            ));
        }
        if self.changes.is_empty() && self.docs.is_empty() && self.entries.is_empty() {
            return Err(CommitError::Malformed("an empty unit"));
        }
        Ok(())
    }
}
