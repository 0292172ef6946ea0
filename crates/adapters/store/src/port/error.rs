//! Why storage failed. Texts name the thing and the remedy and carry no patient data.

use kernel::{Categorised, Category, TenantId};

/// A failure of storage. Nothing was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such tenant here.
    #[error("tenant {0} is not in this store: create it first")]
    UnknownTenant(TenantId),
    /// The disk is full.
    #[error("storage at {place} is full: free space, then repeat")]
    Full {
        /// Folder or database name.
        place: String,
    },
    /// The folder or database cannot be written.
    #[error("storage at {place} is read-only: give the process write permission")]
    ReadOnly {
        /// Folder or database name.
        place: String,
    },
    /// Another process has the folder.
    #[error("data folder {place} is in use by another process: stop it or choose another folder")]
    InUse {
        /// Folder.
        place: String,
    },
    /// The file is damaged.
    #[error("{place} is damaged ({detail}): restore it from a backup")]
    Damaged {
        /// Which file or table.
        place: String,
        /// What was found.
        detail: String,
    },
    /// The database is behind its head file: an older copy was put back.
    #[error(
        "ledger {log} of tenant {tenant} has {found} entries but {known} were published: an older copy was restored; run recovery before writing"
    )]
    RolledBack {
        /// Tenant.
        tenant: TenantId,
        /// Log.
        log: &'static str,
        /// Entries in the database.
        found: u64,
        /// Entries published before.
        known: u64,
    },
    /// A key is missing or does not open what it should.
    #[error("key {key} is missing or wrong: put the key ring of this instance back in place")]
    Key {
        /// Which key (an id, never its value).
        key: String,
    },
    /// Made by a newer version.
    #[error("{place} has schema {found}, this program knows up to {known}: use a newer theriac")]
    NewerSchema {
        /// Which file or database.
        place: String,
        /// Found.
        found: u32,
        /// Known.
        known: u32,
    },
    /// The store is shutting down.
    #[error("the store is closing: repeat on another replica or after the restart")]
    Closed,
    /// The queue of writes is full, or all connections for searches are taken.
    #[error("too many requests are waiting for storage: repeat in a moment")]
    Busy,
    /// The search was stopped by its limits.
    #[error("the search would cost more than its limit allows: narrow it")]
    TooCostly,
    /// The search would walk more than its limit, by estimate: it was not run. Says what makes it costly
    /// and what to add.
    #[error("{0}")]
    TooWide(String),
    /// This adapter does not offer it.
    #[error("this store does not offer {0}")]
    Unsupported(&'static str),
    /// The connection string cannot be used.
    #[error("the connection string of the database cannot be used: {detail}")]
    Connection {
        /// Without credentials.
        detail: String,
    },
    /// The database is not reachable.
    #[error(
        "the database is not reachable ({detail}): check that it runs and its address is right"
    )]
    Unreachable {
        /// Without credentials.
        detail: String,
    },
    /// Something else the engine said.
    #[error("storage failed: {0}")]
    Engine(String),
}

impl Categorised for StoreError {
    fn category(&self) -> Category {
        match self {
            Self::UnknownTenant(_) => Category::NotFound,
            Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::InUse { .. }
            | Self::Closed
            | Self::RolledBack { .. }
            | Self::Key { .. }
            | Self::NewerSchema { .. }
            | Self::Unreachable { .. } => Category::Unavailable,
            Self::Connection { .. } => Category::Invalid,
            Self::Busy => Category::Throttled,
            Self::TooCostly | Self::TooWide(_) => Category::TooCostly,
            Self::Unsupported(_) => Category::Unsupported,
            Self::Damaged { .. } => Category::Altered,
            Self::Engine(_) => Category::Fault,
        }
    }
}
