//! The ledger as people and programs ask for it: entries, proofs, tiles, exports. Looking at the audit
//! trail is itself an entry of it.

pub mod entries;
pub mod export;
pub mod extract;
pub mod instance_log;
pub mod proofs;
pub mod subject;

use identity::Interaction;
use kernel::{LogicalId, TenantScope};
use ledger::leaf::{Class, Leaf};
use ledger::payload::Payload;
use store::{Log, LogEntry};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

pub use entries::{Filter, about_patient, recent};
pub use export::{ExportSink, export, policy};
pub use extract::extract;
pub use proofs::{checkpoint, consistency, entries_bundle, proof, tile};
pub use subject::{Sought, patients_named};

/// One entry of a log, readable.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Which log.
    pub log: Log,
    /// Its index.
    pub index: u64,
    /// What the log commits to.
    pub leaf: Leaf,
    /// Its RFC 6962 hash.
    pub hash: ledger::Hash,
    /// The facts; `None` when the key was destroyed.
    pub payload: Option<Payload>,
    /// The proof that it is in the log (C2SP tlog-proof), where asked for.
    pub proof: Option<String>,
}

/// A page of entries, newest first.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Give this as `before` to go on.
    pub next: Option<u64>,
    /// How many entries the log had.
    pub size: u64,
    /// The signed checkpoint over that size.
    pub checkpoint: String,
    /// How many entries fit in all, where that was asked for.
    pub matched: Option<Matched>,
}

/// How many entries fit a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// This many.
    pub entries: u64,
    /// Whether the whole log was looked through; else there may be more.
    pub complete: bool,
}

fn leaf_of(entry: &LogEntry) -> Result<Leaf, AppError> {
    Leaf::parse(&entry.leaf).map_err(|error| {
        AppError::Store(store::StoreError::Damaged {
            place: format!("entry {} of log {}", entry.index, entry.log.as_str()),
            detail: error.to_string(),
        })
    })
}

async fn readable(
    app: &App,
    scope: &TenantScope,
    entry: &LogEntry,
    leaf: Leaf,
) -> Result<AuditEntry, AppError> {
    Ok(AuditEntry {
        log: entry.log,
        index: entry.index,
        hash: ledger::leaf_hash(&entry.leaf),
        leaf,
        payload: app.store().open_payload(scope, entry).await?,
        proof: None,
    })
}

async fn allow(app: &App, caller: &Caller, interaction: Interaction) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(interaction)).await?;
    Ok(())
}

/// Writes down that somebody looked at the trail.
async fn record_view(
    app: &App,
    caller: &Caller,
    what: &'static str,
    query: String,
    patient: Option<&LogicalId>,
) -> Result<(), AppError> {
    let mut entry = house_entry(app, caller, Log::Access, Class::AuditRead, what, None);
    entry.payload.query = Some(query);
    entry.payload.patient = patient.map(|patient| patient.as_str().to_owned());
    entry.subject = patient.cloned();
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    Ok(())
}
