//! A snapshot of a type: exactly the versions that were current at a row, read page by page while others
//! write. Rows ascend with time and versions are never changed, so that the same question has the same
//! answer whenever it is asked, but for what was erased since.

use fhir::TypeId;
use kernel::{RowId, Timestamp};

use super::resource::StoredVersion;

/// A page of a snapshot, oldest version first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// The type.
    pub ty: TypeId,
    /// The moment: versions with a greater row do not count. A caller who must not miss any puts up a
    /// fence there first ([`super::Store::fence`]).
    pub at: RowId,
    /// Only versions made at or after this time.
    pub since: Option<Timestamp>,
    /// Only versions whose row is above this one (the cursor).
    pub after: Option<RowId>,
    /// At most this many.
    pub limit: u32,
    /// Bytes of bodies after which a page ends early; it has at least one version, where there is one.
    pub bytes: usize,
}

impl SnapshotQuery {
    /// The first row that counts.
    pub(crate) fn first(&self) -> RowId {
        let after = self
            .after
            .map_or(RowId(0), |row| RowId(row.0.saturating_add(1)));
        let since = self.since.map_or(RowId(0), |since| {
            // Versions have whole milliseconds: the first at or after `since`.
            RowId::floor_of_ms(since.as_micros().saturating_add(999).div_euclid(1000))
        });
        after.max(since)
    }
}

/// A page of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPage {
    /// Oldest version first; deletions are among them, without a body, and so is what was erased since.
    pub versions: Vec<StoredVersion>,
    /// Give this as `after` for the next page.
    pub next: Option<RowId>,
}
