//! Where the record and the ledger are kept. [`port`] is what the rest of the house sees: one trait,
//! [`Store`], and the plain types that cross it. Two adapters implement it on one logical schema: `sqlite`
//! (embedded, one file per tenant) and `postgres` (shared or dedicated placement); the conformance suite in
//! `tests/` runs against both. Bodies are compressed and sealed here, commitments are keyed here, and index
//! values are hashed here, so that nothing above sees a key and nothing below sees a readable code. It
//! decides nothing clinical and authorises nobody.

pub mod assemble;
pub mod blob;
pub mod codec;
pub mod evidence;
mod fence;
pub mod files;
pub mod head_file;
pub mod index;
mod journal;
pub mod keys;
mod meters;
pub mod port;
pub mod postgres;
pub mod prepare;
mod prove;
pub mod query;
pub mod sqlite;

pub use index::PackedIndex;
pub use port::{
    Store, TenantSpec,
    access::Entry,
    change::{Change, ChangeKind, CommitError, EntryReceipt, Expected, Guard, Receipt, Unit},
    doc::{Doc, DocExpected, DocKind, DocWrite},
    error::StoreError,
    evidence::{Unplaced, VersionEvidence, VersionProof},
    figures::{Figures, LogFigures, Spread},
    ledger::{Log, LogEntry, LogHead, StoredCheckpoint},
    reindex::Reindexed,
    resource::{Head, HistoryPage, HistoryQuery, HistoryScope, ResourceKey, StoredVersion},
    search::{
        Clause, Counting, ExplainedClause, Explanation, FullText, KeyForm, Position, PositionValue,
        Predicate, RangeOp, SearchPage, SearchPlan, Sort, SortKey, Total, WordScope,
    },
    snapshot::{SnapshotPage, SnapshotQuery},
};
