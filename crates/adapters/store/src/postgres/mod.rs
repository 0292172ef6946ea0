//! The PostgreSQL adapter: many tenants in one database (shared placement) or a database of its own for one
//! (dedicated placement), any number of replicas at work at the same time. Two roles: the owner migrates;
//! the application owns nothing, is bound by forced row-level security, and cannot change or remove a
//! version or a ledger entry. Writers stage ledger entries in the transaction of what they describe; a
//! sequencer gives them their places within a quarter of a second.
//!
//! ```text
//! schema theriac        record and ledger, the tenant first in every key
//! schema theriac_keys   wrapped keys, apart, so that a backup can leave them out
//! <data>/lock           held while a process uses the folder
//! <data>/heads/         published heads of this process, to notice an older copy put back
//! <data>/journals/      looks on their way into the access log, where a window is configured
//! ```

mod connect;
mod docs;
mod evidence;
mod failure;
mod keys;
mod ledger;
mod looks;
mod migrate;
mod open;
mod read;
mod reindex;
mod search;
mod settings;
mod snapshot;
mod store;
mod tenant;
mod tls;
mod writer;

pub use open::PostgresStore;
pub use settings::PostgresSettings;
pub use tls::{is_verified, with_root_certificate};
