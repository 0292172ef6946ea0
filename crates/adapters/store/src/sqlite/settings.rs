//! What can be set about the SQLite adapter. Must not read configuration itself.

use std::path::PathBuf;
use std::time::Duration;

use crate::port::search::FullText;

/// Settings of a [`crate::sqlite::SqliteStore`].
#[derive(Debug, Clone)]
pub struct SqliteSettings {
    /// The data folder; one process at a time.
    pub data: PathBuf,
    /// The instance's name in log origins and key names, such as `records.example.org`.
    pub instance: String,
    /// How long a look at patient data may wait in the access journal before it is in the ledger. Zero:
    /// every look is on disk in the ledger before its answer leaves.
    pub access_window: Duration,
    /// Looks that may wait in the journal before further ones are held back.
    pub access_backlog: usize,
    /// Units that may wait for a tenant's writer before further ones are refused.
    pub write_queue: usize,
    /// Units merged into one transaction at most.
    pub batch: usize,
    /// Page cache of a tenant's writer, in KiB.
    pub cache_kib: u32,
    /// Versions read lately that a tenant keeps in memory, in KiB; 0 keeps none.
    pub recent_kib: u32,
    /// How long a search or a history may run.
    pub search_limit: Duration,
    /// Which words of resources are indexed; what was written before a change keeps the index it has.
    pub full_text: FullText,
}

impl SqliteSettings {
    /// Settings that suit one machine: a window of 50 ms, searches of at most 10 s.
    #[must_use]
    pub fn new(data: PathBuf, instance: impl Into<String>) -> Self {
        Self {
            data,
            instance: instance.into(),
            access_window: Duration::from_millis(50),
            access_backlog: 20_000,
            write_queue: 4096,
            batch: 1024,
            cache_kib: 32 * 1024,
            recent_kib: 4 * 1024,
            search_limit: Duration::from_secs(10),
            full_text: FullText::default(),
        }
    }
}
