//! The port: what a store must do, in types free of SQL. Every call takes a [`TenantScope`] first.
//! An adapter that answers `Ok` to a write has it on durable storage.

pub mod access;
pub mod change;
pub mod doc;
pub mod error;
pub mod evidence;
pub mod figures;
pub mod ledger;
pub mod reindex;
pub mod resource;
pub mod search;
pub mod snapshot;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use fhir::search::ParamId;
use kernel::{LogicalId, RowId, TenantId, TenantScope};

use self::access::Entry;
use self::change::{CommitError, Receipt, Unit};
use self::doc::{Doc, DocKind, DocWrite};
use self::error::StoreError;
use self::evidence::{Unplaced, VersionEvidence};
use self::figures::Figures;
use self::ledger::{Log, LogEntry, LogHead, StoredCheckpoint};
use self::reindex::Reindexed;
use self::resource::{Head, HistoryPage, HistoryQuery, ResourceKey, StoredVersion};
use self::search::{Counting, Explanation, SearchPage, SearchPlan};
use self::snapshot::{SnapshotPage, SnapshotQuery};

/// What a store needs to know to make room for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSpec {
    /// The tenant.
    pub tenant: TenantId,
    /// `None`: the adapter's default placement. `Some(name)`: a dedicated database of that name
    /// (PostgreSQL) or folder (SQLite).
    pub dedicated: Option<String>,
}

/// The port. Implementations are cheap to share behind an `Arc`.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes room for a tenant (its keys, tables or file, its two logs); does nothing when it is there.
    async fn create_tenant(&self, scope: &TenantScope, spec: &TenantSpec)
    -> Result<(), StoreError>;
    /// The tenants this store holds, including [`TenantId::INSTANCE`].
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;
    /// The greatest row id stored, so that the id port can be raised above it at start.
    async fn greatest_row(&self, scope: &TenantScope) -> Result<Option<RowId>, StoreError>;

    /// The heads of several resources, in the order asked; `None` where none was ever stored.
    async fn heads(
        &self,
        scope: &TenantScope,
        keys: &[ResourceKey],
    ) -> Result<Vec<Option<Head>>, StoreError>;
    /// The current version, also when it is a deletion; `None` where nothing was ever stored.
    async fn read(
        &self,
        scope: &TenantScope,
        key: &ResourceKey,
    ) -> Result<Option<StoredVersion>, StoreError>;
    /// One version.
    async fn vread(
        &self,
        scope: &TenantScope,
        key: &ResourceKey,
        version: kernel::VersionId,
    ) -> Result<Option<StoredVersion>, StoreError>;
    /// Versions, newest first: of an instance, a type or everything.
    async fn history(
        &self,
        scope: &TenantScope,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, StoreError>;
    /// Resources that match a plan, with paging.
    async fn search(
        &self,
        scope: &TenantScope,
        plan: &SearchPlan,
    ) -> Result<SearchPage, StoreError>;
    /// For every value that parameters are indexed with, a living resource that has it; each once, in no
    /// order. Costs by the number of values, not of resources; more than `limit` of them are
    /// [`StoreError::TooCostly`].
    async fn in_use(
        &self,
        scope: &TenantScope,
        params: &[ParamId],
        limit: u32,
    ) -> Result<Vec<ResourceKey>, StoreError>;
    /// How a search would be run: what drives it, what it is estimated to cost, and the engine's plan.
    async fn explain(
        &self,
        scope: &TenantScope,
        plan: &SearchPlan,
        counting: Counting,
    ) -> Result<Explanation, StoreError>;

    /// Which words [`Store::pack_index`] indexes, where the extracted values hold any.
    fn full_text(&self) -> search::FullText;
    /// After how long a search is stopped.
    fn search_limit(&self) -> Duration;
    /// Puts up a fence: when this returns, every version with a row up to `at` that this process was asked
    /// to store is committed, and later ones with such a row are refused as [`StoreError::Busy`].
    async fn fence(&self, scope: &TenantScope, at: RowId) -> Result<(), StoreError>;
    /// The versions of a type that were current at a row, oldest first.
    async fn snapshot(
        &self,
        scope: &TenantScope,
        query: &SnapshotQuery,
    ) -> Result<SnapshotPage, StoreError>;

    /// Packs extracted search values for a [`change::Change`]: hashing is keyed per tenant, so only the
    /// store can do it. Pure CPU; call it on the caller's thread.
    fn pack_index(
        &self,
        scope: &TenantScope,
        ty: fhir::TypeId,
        extracted: &fhir::search::Extracted<'_>,
    ) -> Result<crate::index::PackedIndex, StoreError>;

    /// Commits a unit: all of it or nothing, entries and data in one transaction, durable on return.
    async fn commit(&self, scope: &TenantScope, unit: Unit) -> Result<Receipt, CommitError>;
    /// Replaces the index entries of current versions and answers of how many: those whose head is another
    /// version by now, or deleted or erased, are left out.
    async fn reindex(&self, scope: &TenantScope, rows: Vec<Reindexed>) -> Result<u64, StoreError>;
    /// Appends looks at patient data to the access ledger. Returns when the entries are durable, or
    /// queued in the crash-safe window when one is configured.
    async fn record_access(
        &self,
        scope: &TenantScope,
        entries: Vec<Entry>,
    ) -> Result<(), StoreError>;
    /// Returns when everything recorded so far by this process is in the logs and published.
    async fn settle(&self, scope: &TenantScope) -> Result<(), StoreError>;

    /// One document.
    async fn doc(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        id: &str,
    ) -> Result<Option<Doc>, StoreError>;
    /// The document whose unique look-up `name` has `value`.
    async fn doc_by(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        name: &'static str,
        value: &str,
    ) -> Result<Option<Doc>, StoreError>;
    /// Documents of a kind by ascending id, after `after`, at most `limit`.
    async fn docs(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Doc>, StoreError>;
    /// Writes operational documents (sessions, leases, cursors), which need no ledger entry. Refuses
    /// governed kinds.
    async fn operate(&self, scope: &TenantScope, writes: Vec<DocWrite>) -> Result<(), CommitError>;

    /// The public key that this instance's checkpoints are signed with, as a C2SP verifier key.
    fn log_verifier(&self) -> String;
    /// A log's head: size, root and signed checkpoint.
    async fn log_head(&self, scope: &TenantScope, log: Log) -> Result<LogHead, StoreError>;
    /// Stored checkpoints with a size above `after`, ascending, at most `limit`.
    async fn log_checkpoints(
        &self,
        scope: &TenantScope,
        log: Log,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredCheckpoint>, StoreError>;
    /// The hashes of a tile, concatenated: 256 when full, fewer at the right edge; `None` beyond it. Fewer
    /// than there should be, or `None`, where what it is made of is gone.
    async fn log_tile(
        &self,
        scope: &TenantScope,
        log: Log,
        level: u8,
        index: u64,
    ) -> Result<Option<Vec<u8>>, StoreError>;
    /// Entries from an index on, at most `limit`.
    async fn log_entries(
        &self,
        scope: &TenantScope,
        log: Log,
        from: u64,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError>;
    /// The newest entries below index `before` (all when `None`), newest first.
    async fn log_recent(
        &self,
        scope: &TenantScope,
        log: Log,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError>;
    /// Entries about one patient below index `before`, newest first.
    async fn log_subject(
        &self,
        scope: &TenantScope,
        log: Log,
        patient: &LogicalId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError>;
    /// The readable payload of an entry; `None` when its key was destroyed.
    async fn open_payload(
        &self,
        scope: &TenantScope,
        entry: &LogEntry,
    ) -> Result<Option<::ledger::payload::Payload>, StoreError>;

    /// Version rows above `after`, ascending, at most `limit`, as a verifier must see them.
    async fn version_evidence(
        &self,
        scope: &TenantScope,
        after: Option<RowId>,
        limit: u32,
    ) -> Result<Vec<VersionEvidence>, StoreError>;
    /// Entries that were committed and that the log neither has nor is about to have. To be asked when
    /// everything is settled.
    async fn unplaced(&self, scope: &TenantScope, log: Log) -> Result<Vec<Unplaced>, StoreError>;

    /// Destroys a patient's key: bodies, payloads and commitments of that patient become unreadable in
    /// every copy, index rows go, heads answer as erased; the `entry` records it. Returns how many
    /// resources were affected.
    async fn erase(
        &self,
        scope: &TenantScope,
        patient: &LogicalId,
        entry: Entry,
    ) -> Result<u64, CommitError>;

    /// Writes a consistent copy of the tenant (data and keys, still sealed) into a folder while it is in
    /// use; adapters that cannot say so with [`StoreError::Unsupported`].
    async fn copy_tenant(&self, scope: &TenantScope, into: &Path) -> Result<(), StoreError>;
    /// Checks that reads and writes would work now (disk space, connection, rollback state).
    async fn health(&self, scope: &TenantScope) -> Result<(), StoreError>;
    /// Counters in memory, summed over open tenants; cheap enough to be asked every second.
    fn figures(&self) -> Figures;
    /// Stops writers after finishing what was acknowledged.
    async fn close(&self);
}
