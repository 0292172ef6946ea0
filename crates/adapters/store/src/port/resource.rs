//! Stored resources as they cross the port. A version's time is its row id's time.

use bytes::Bytes;
use fhir::TypeId;
use kernel::{LogicalId, RowId, Timestamp, VersionId};

use super::change::ChangeKind;

/// A resource's name within a tenant: `Type/id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The type.
    pub ty: TypeId,
    /// The logical id.
    pub id: LogicalId,
}

/// What is known of a resource without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The resource's row, from its first version.
    pub row: RowId,
    /// The current version.
    pub version: VersionId,
    /// The row of the current version.
    pub version_row: RowId,
    /// What made the current version.
    pub kind: ChangeKind,
}

impl Head {
    /// Whether the current version is a deletion (or an erasure).
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        matches!(self.kind, ChangeKind::Delete | ChangeKind::Erase)
    }
}

/// One stored version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// Which resource.
    pub key: ResourceKey,
    /// The resource's row.
    pub row: RowId,
    /// Which version.
    pub version: VersionId,
    /// The version's row.
    pub version_row: RowId,
    /// What made it.
    pub kind: ChangeKind,
    /// The exact served bytes; `None` for a deletion, and where the key was destroyed.
    pub body: Option<Bytes>,
    /// Whether the body existed and its key was destroyed.
    pub erased: bool,
}

impl StoredVersion {
    /// `meta.lastUpdated`.
    #[must_use]
    pub const fn last_updated(&self) -> Timestamp {
        Timestamp::from_millis(self.version_row.unix_ms())
    }
}

/// Counts the bytes of a page's bodies.
#[derive(Debug)]
pub(crate) struct PageBytes {
    left: usize,
}

impl PageBytes {
    /// For a page of at most so many bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { left: limit }
    }

    /// Counts one that is in the page; whether another one still fits.
    pub(crate) fn counts(&mut self, version: &StoredVersion) -> bool {
        let bytes = version.body.as_ref().map_or(0, Bytes::len);
        self.left = self.left.saturating_sub(bytes);
        self.left > 0
    }
}

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryScope {
    /// Of one resource.
    Instance(ResourceKey),
    /// Of a type.
    Type(TypeId),
    /// Of the tenant.
    System,
}

/// A page of history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose.
    pub scope: HistoryScope,
    /// Only versions made at or after this time.
    pub since: Option<Timestamp>,
    /// Only versions made at or before this time (`_at` upper bound).
    pub until: Option<Timestamp>,
    /// Only versions whose row is below this one (the cursor).
    pub before: Option<RowId>,
    /// At most this many.
    pub limit: u32,
    /// Bytes of bodies after which a page ends early; it has at least one version, where there is one.
    pub bytes: usize,
    /// Narrowing by role, as in a search: only resources with one of these keys.
    pub restriction: Option<super::search::Clause>,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Newest first.
    pub versions: Vec<StoredVersion>,
    /// Give this as `before` for the next page.
    pub next: Option<RowId>,
}
