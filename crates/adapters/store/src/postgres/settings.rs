//! What can be set about the PostgreSQL adapter. Must not read configuration itself.

use std::path::PathBuf;
use std::time::Duration;

use crate::port::search::FullText;

/// Settings of a [`crate::postgres::PostgresStore`].
#[derive(Clone)]
pub struct PostgresSettings {
    /// Connection string of the role that owns the tables and migrates them at start; `None` where
    /// somebody else migrates.
    pub owner: Option<String>,
    /// Connection string of the application's role: not the owner, no superuser, bound by row-level
    /// security. Names the main database.
    pub application: String,
    /// The instance's name in log origins and key names, such as `records.example.org`.
    pub instance: String,
    /// A folder of this process, outside the database: head files and the journal of looks.
    pub data: PathBuf,
    /// How long a look at patient data may wait in the local journal before it is committed. Zero: every
    /// look is committed before its answer leaves.
    pub access_window: Duration,
    /// Looks that may wait in the journal before further ones are held back.
    pub access_backlog: usize,
    /// Units that may wait for a tenant's writer before further ones are refused.
    pub write_queue: usize,
    /// Units merged into one transaction at most.
    pub batch: usize,
    /// How long a search or a history may run.
    pub search_limit: Duration,
    /// Which words of resources are indexed; what was written before a change keeps the index it has.
    pub full_text: FullText,
    /// Connections to each database at most.
    pub connections: usize,
}

impl core::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Connection strings may carry passwords.
        f.debug_struct("PostgresSettings")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl PostgresSettings {
    /// Settings that suit a server beside others: strict looks, searches of at most 10 s, 16 connections.
    #[must_use]
    pub fn new(
        owner: Option<String>,
        application: String,
        data: PathBuf,
        instance: impl Into<String>,
    ) -> Self {
        Self {
            owner,
            application,
            instance: instance.into(),
            data,
            access_window: Duration::ZERO,
            access_backlog: 20_000,
            write_queue: 4096,
            batch: 256,
            search_limit: Duration::from_secs(10),
            full_text: FullText::default(),
            connections: 16,
        }
    }
}
