//! Checkpoints, tiles, bundles and proofs: what verifiers and monitors ask for. None of it names
//! anybody.

use std::collections::{BTreeMap, BTreeSet};

use identity::Interaction;
use kernel::TenantScope;
use ledger::note::Note;
use ledger::proof::{self, TlogProof};
use ledger::tile::{Bundle, Tile};
use store::{Log, LogHead};

use crate::App;
use crate::audit::{AuditEntry, allow};
use crate::context::Caller;
use crate::error::AppError;

/// The newest signed checkpoint of a log.
pub async fn checkpoint(app: &App, caller: &Caller, log: Log) -> Result<String, AppError> {
    allow(app, caller, Interaction::VerifyLedger).await?;
    Ok(app.store().log_head(&caller.scope, log).await?.checkpoint)
}

/// A tile by its path (`tile/0/x001/067`, `tile/0/000.p/12`).
pub async fn tile(app: &App, caller: &Caller, log: Log, path: &str) -> Result<Vec<u8>, AppError> {
    allow(app, caller, Interaction::VerifyLedger).await?;
    let tile = Tile::parse(path).map_err(|error| AppError::Invalid(error.to_string()))?;
    read_tile(app, &caller.scope, log, tile)
        .await?
        .ok_or_else(|| AppError::not_found("tile"))
}

pub(super) async fn read_tile(
    app: &App,
    scope: &TenantScope,
    log: Log,
    tile: Tile,
) -> Result<Option<Vec<u8>>, AppError> {
    let found = app
        .store()
        .log_tile(scope, log, tile.level, tile.index)
        .await?;
    // A tile that has grown since still answers for its earlier width: tiles only grow.
    let wanted = usize::from(tile.width) * ledger::Hash::LEN;
    Ok(found.and_then(|mut bytes| {
        (bytes.len() >= wanted).then(|| {
            bytes.truncate(wanted);
            bytes
        })
    }))
}

/// An entry bundle by its path (`tile/entries/x001/067`): leaves, each behind its length.
pub async fn entries_bundle(
    app: &App,
    caller: &Caller,
    log: Log,
    path: &str,
) -> Result<Vec<u8>, AppError> {
    allow(app, caller, Interaction::VerifyLedger).await?;
    let bundle =
        Bundle::parse_entries(path).map_err(|error| AppError::Invalid(error.to_string()))?;
    let entries = bundle_entries(app, &caller.scope, log, bundle).await?;
    let entries = entries.ok_or_else(|| AppError::not_found("entry bundle"))?;
    let mut bytes = Vec::new();
    for entry in &entries {
        push_entry(&mut bytes, &entry.leaf)?;
    }
    Ok(bytes)
}

pub(super) fn push_entry(bundle: &mut Vec<u8>, leaf: &[u8]) -> Result<(), AppError> {
    let length = u16::try_from(leaf.len())
        .map_err(|_| AppError::Fault("a leaf is longer than a bundle can hold".to_owned()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(leaf);
    Ok(())
}

pub(super) async fn bundle_entries(
    app: &App,
    scope: &TenantScope,
    log: Log,
    bundle: Bundle,
) -> Result<Option<Vec<store::LogEntry>>, AppError> {
    let Some(from) = bundle.index.checked_mul(256) else {
        return Ok(None);
    };
    let entries = app
        .store()
        .log_entries(scope, log, from, u32::from(bundle.width))
        .await?;
    Ok((entries.len() == usize::from(bundle.width)).then_some(entries))
}

/// The proof that an entry is in the log as of its newest checkpoint (C2SP tlog-proof).
pub async fn proof(app: &App, caller: &Caller, log: Log, index: u64) -> Result<String, AppError> {
    allow(app, caller, Interaction::VerifyLedger).await?;
    app.store().settle(&caller.scope).await?;
    let head = app.store().log_head(&caller.scope, log).await?;
    Prover::new(app, &caller.scope, log, &head)
        .proof(index)
        .await
}

/// The proof that the log of `from` entries is a prefix of the log of `to` (the newest checkpoint's size
/// when `None`): hashes, from the leaves upwards.
pub async fn consistency(
    app: &App,
    caller: &Caller,
    log: Log,
    from: u64,
    to: Option<u64>,
) -> Result<Vec<ledger::Hash>, AppError> {
    allow(app, caller, Interaction::VerifyLedger).await?;
    let head = app.store().log_head(&caller.scope, log).await?;
    let to = to.unwrap_or(head.size);
    if to > head.size {
        return Err(AppError::Invalid(format!(
            "size {to} is outside a log of {} entries: ask within it",
            head.size
        )));
    }
    let prover = Prover::new(app, &caller.scope, log, &head);
    let tiles = prover.tiles(proof::consistency_tiles(from, to)?).await?;
    Ok(proof::consistency(from, to, &tiles)?)
}

/// Makes proofs against one state of a log.
pub(super) struct Prover<'a> {
    app: &'a App,
    scope: &'a TenantScope,
    log: Log,
    head: &'a LogHead,
}

impl<'a> Prover<'a> {
    pub(super) fn new(app: &'a App, scope: &'a TenantScope, log: Log, head: &'a LogHead) -> Self {
        Self {
            app,
            scope,
            log,
            head,
        }
    }

    pub(super) async fn proof(&self, index: u64) -> Result<String, AppError> {
        let tiles = self
            .tiles(proof::inclusion_tiles(index, self.head.size)?)
            .await?;
        self.of_tiles(index, &tiles)
    }

    fn of_tiles(&self, index: u64, tiles: &BTreeMap<Tile, Vec<u8>>) -> Result<String, AppError> {
        let checkpoint = Note::parse(&self.head.checkpoint)
            .map_err(|error| AppError::Fault(format!("the stored checkpoint: {error}")))?;
        let proof = TlogProof {
            extra: None,
            index,
            hashes: proof::inclusion(index, self.head.size, tiles)?,
            checkpoint,
        };
        Ok(proof.to_string())
    }

    /// Adds each entry's proof, reading every tile once; entries newer than the checkpoint have none yet.
    pub(super) async fn prove(&self, entries: &mut [AuditEntry]) -> Result<(), AppError> {
        let size = self.head.size;
        let mut wanted = BTreeSet::new();
        for entry in entries.iter().filter(|entry| entry.index < size) {
            wanted.extend(proof::inclusion_tiles(entry.index, size)?);
        }
        let tiles = self.tiles(wanted).await?;
        for entry in entries.iter_mut().filter(|entry| entry.index < size) {
            entry.proof = Some(self.of_tiles(entry.index, &tiles)?);
        }
        Ok(())
    }

    async fn tiles(
        &self,
        wanted: impl IntoIterator<Item = Tile>,
    ) -> Result<BTreeMap<Tile, Vec<u8>>, AppError> {
        let mut tiles = BTreeMap::new();
        for tile in wanted {
            if let Some(bytes) = read_tile(self.app, self.scope, self.log, tile).await? {
                tiles.insert(tile, bytes);
            }
        }
        Ok(tiles)
    }
}
