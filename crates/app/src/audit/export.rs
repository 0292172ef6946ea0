//! A log as a folder that `theriac verify` and other people's tools read; the layout is
//! `docs/reference/ledger-format.md`. Must not write files: it gives paths and bytes to a sink.

use identity::Interaction;
use ledger::VerifierKey;
use ledger::leaf::Class;
use ledger::policy::Policy;
use ledger::tile::{Bundle, Tile};
use store::Log;

use crate::App;
use crate::audit::{allow, proofs};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// Takes the files of an export, in no particular order.
pub trait ExportSink: Send {
    /// One whole file, by its path in the export, with `/` between folders.
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), AppError>;
}

/// Gives a log's files to a sink, below the folder `changes` or `access`, and `keys.txt` beside it;
/// returns how many entries it has. The export is itself an entry.
pub async fn export(
    app: &App,
    caller: &Caller,
    log: Log,
    sink: &mut dyn ExportSink,
) -> Result<u64, AppError> {
    allow(app, caller, Interaction::ExportAudit).await?;
    let mut entry = house_entry(
        app,
        caller,
        Log::Access,
        Class::AuditRead,
        "audit-export",
        None,
    );
    entry.payload.query = Some(format!("log={}", log.as_str()));
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    app.store().settle(&caller.scope).await?;
    let head = app.store().log_head(&caller.scope, log).await?;
    let folder = log.as_str();
    sink.file(
        &format!("{folder}/{}", ledger::export::CHECKPOINT),
        head.checkpoint.as_bytes(),
    )?;
    sink.file(ledger::export::KEYS, policy(app)?.to_string().as_bytes())?;
    checkpoints(app, caller, log, head.size, sink).await?;
    tiles(app, caller, log, head.size, sink).await?;
    bundles(app, caller, log, head.size, sink).await?;
    Ok(head.size)
}

/// Whom a verifier may trust for this instance's logs. A careful one takes it from elsewhere.
pub fn policy(app: &App) -> Result<Policy, AppError> {
    let key: VerifierKey = app
        .store()
        .log_verifier()
        .parse()
        .map_err(|error| AppError::Fault(format!("the verifier key: {error}")))?;
    Ok(Policy::of_logs(vec![key]))
}

async fn checkpoints(
    app: &App,
    caller: &Caller,
    log: Log,
    size: u64,
    sink: &mut dyn ExportSink,
) -> Result<(), AppError> {
    let mut file = String::new();
    let mut after = None;
    loop {
        let stored = app
            .store()
            .log_checkpoints(&caller.scope, log, after, 1000)
            .await?;
        let Some(last) = stored.last() else { break };
        after = Some(last.size);
        for checkpoint in stored.iter().filter(|checkpoint| checkpoint.size <= size) {
            ledger::export::push_checkpoint(&mut file, &checkpoint.note);
        }
    }
    let path = format!("{}/{}", log.as_str(), ledger::export::CHECKPOINTS);
    sink.file(&path, file.as_bytes())
}

async fn tiles(
    app: &App,
    caller: &Caller,
    log: Log,
    size: u64,
    sink: &mut dyn ExportSink,
) -> Result<(), AppError> {
    for tile in Tile::all_of(size) {
        let bytes = proofs::read_tile(app, &caller.scope, log, tile).await?;
        let bytes = bytes.ok_or_else(|| damaged(log, &tile.to_string()))?;
        sink.file(&format!("{}/{tile}", log.as_str()), &bytes)?;
    }
    Ok(())
}

async fn bundles(
    app: &App,
    caller: &Caller,
    log: Log,
    size: u64,
    sink: &mut dyn ExportSink,
) -> Result<(), AppError> {
    for bundle in Bundle::all_of(size) {
        let entries = proofs::bundle_entries(app, &caller.scope, log, bundle).await?;
        let entries = entries.ok_or_else(|| damaged(log, &bundle.entries_path()))?;
        let mut leaves = Vec::new();
        let mut payloads = Vec::new();
        for entry in &entries {
            proofs::push_entry(&mut leaves, &entry.leaf)?;
            let payload = (!entry.payload.is_empty()).then_some(entry.payload.as_slice());
            ledger::export::push_payload(&mut payloads, payload)
                .map_err(|error| AppError::Fault(error.to_string()))?;
        }
        let folder = log.as_str();
        sink.file(&format!("{folder}/{}", bundle.entries_path()), &leaves)?;
        sink.file(&format!("{folder}/{}", bundle.payloads_path()), &payloads)?;
    }
    Ok(())
}

fn damaged(log: Log, path: &str) -> AppError {
    AppError::Store(store::StoreError::Damaged {
        place: format!("log {}", log.as_str()),
        detail: format!("{path} is missing"),
    })
}
