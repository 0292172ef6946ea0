//! The embedded adapter: one SQLite file per tenant (physical isolation, its own backup, its own keys, a
//! writer of its own), a folder for all. Data folder:
//!
//! ```text
//! lock                          held while a process uses the folder
//! keys/root.key                 the file key ring
//! erased.log                    destroyed data keys
//! heads/<tenant>-<log>.head     published heads, to notice an older copy put back
//! tenants/<tenant>/record.db    record and ledger
//! tenants/<tenant>/keys.db      wrapped keys
//! tenants/<tenant>/access-<n>.journal   looks on their way into the access log
//! ```

mod docs;
mod erased;
mod evidence;
mod failure;
mod functions;
mod keys_db;
mod log;
mod open;
#[cfg(test)]
mod races;
mod read;
mod readers;
mod recent;
mod schema;
mod search;
mod settings;
mod snapshot;
mod store;
mod tenant;
mod writer;

pub use open::SqliteStore;
pub use settings::SqliteSettings;
