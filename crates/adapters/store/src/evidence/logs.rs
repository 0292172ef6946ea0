//! The logs of an open store as the verifier reads them: what is missing or cut is given as missing, so
//! that the verifier names the place. Must not repair or skip anything silently.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::ledger::checkpoint::Checkpoint;
use ::ledger::export::{HeadLine, push_payload};
use ::ledger::note::VerifierKey;
use ::ledger::origin::{LogKind, Origin};
use ::ledger::tile::{Bundle, TILE_WIDTH, Tile, push_entry};
use ::ledger::verify::{LogSource, SourceError};
use identity::{SystemTask, system_scope};
use kernel::{TenantId, TenantScope};
use tokio::runtime::Handle;

use crate::head_file::HeadFile;
use crate::port::Store;
use crate::port::error::StoreError;
use crate::port::ledger::{Log, LogEntry};

/// Checkpoints asked for at a time.
const CHECKPOINTS_AT_A_TIME: u32 = 1000;
const LOGS: [Log; 2] = [Log::Changes, Log::Access];

/// The logs of an open store. Its calls block.
pub struct StoreLogs<P: FnMut(&str, u64, u64)> {
    store: Arc<dyn Store>,
    handle: Handle,
    heads: Option<PathBuf>,
    logs: BTreeMap<String, Place>,
    progress: P,
    last: Option<(String, u64, Vec<LogEntry>)>,
    /// The failure behind the last source error, whose category says more.
    pub failure: Option<StoreError>,
}

struct Place {
    scope: TenantScope,
    log: Log,
    checkpoint: Option<String>,
    /// How many checkpoints were given, and the size of the last of them.
    given: (u64, Option<u64>),
    /// Entries by the newest checkpoint seen.
    size: u64,
}

impl<P: FnMut(&str, u64, u64)> StoreLogs<P> {
    /// Over an open store; `data` is the folder with head files, where there is one.
    pub fn new(store: Arc<dyn Store>, handle: Handle, data: Option<&Path>, progress: P) -> Self {
        Self {
            store,
            handle,
            heads: data.map(|data| data.join("heads")),
            logs: BTreeMap::new(),
            progress,
            last: None,
            failure: None,
        }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
    pub(super) fn wait<R>(&self, work: impl Future<Output = R>) -> R {
        self.handle.block_on(work)
    }
    /// The change log of every tenant.
    pub(super) fn change_logs(&self) -> Vec<(String, TenantScope)> {
        let changes = self.logs.iter();
        let changes = changes.filter(|(_, place)| place.log == Log::Changes);
        changes
            .map(|(origin, place)| (origin.clone(), place.scope.clone()))
            .collect()
    }
    pub(super) fn origin_of(&self, scope: &TenantScope, log: Log) -> Option<String> {
        let mut logs = self.logs.iter();
        logs.find(|(_, place)| place.log == log && place.scope.tenant() == scope.tenant())
            .map(|(origin, _)| origin.clone())
    }
    pub(super) fn size_of(&self, origin: &str) -> Option<u64> {
        self.logs.get(origin).map(|place| place.size)
    }
    pub(super) fn tell(&mut self, origin: &str, checked: u64, size: u64) {
        (self.progress)(origin, checked, size);
    }

    fn failed(&mut self, place: &str, error: StoreError) -> SourceError {
        let shown = SourceError {
            place: place.to_owned(),
            detail: error.to_string(),
        };
        self.failure = Some(error);
        shown
    }

    /// A log by its head; by its stored checkpoints where the head is gone.
    fn place(&self, tenant: TenantId, log: Log) -> Result<(String, Place), StoreError> {
        let scope = system_scope(tenant, SystemTask::Ledger);
        let place = |checkpoint, size| Place {
            scope: scope.clone(),
            log,
            checkpoint,
            given: (0, None),
            size,
        };
        match self.wait(self.store.log_head(&scope, log)) {
            Ok(head) => Ok((head.origin, place(Some(head.checkpoint), head.size))),
            Err(StoreError::Damaged { .. }) => {
                let stored = self.wait(self.store.log_checkpoints(&scope, log, None, 1))?;
                let first = stored.first().and_then(|stored| stored.note.lines().next());
                let origin = match first.and_then(|line| line.parse::<Origin>().ok()) {
                    Some(origin) => origin,
                    None => self.first_epoch(tenant, log)?,
                };
                Ok((origin.to_string(), place(None, 0)))
            }
            Err(error) => Err(error),
        }
    }

    fn first_epoch(&self, tenant: TenantId, log: Log) -> Result<Origin, StoreError> {
        let verifier: VerifierKey = self
            .store
            .log_verifier()
            .parse()
            .map_err(|error: ::ledger::FormatError| StoreError::Engine(error.to_string()))?;
        Ok(Origin {
            instance: verifier.name().to_owned(),
            tenant,
            kind: match log {
                Log::Changes => LogKind::Changes,
                Log::Access => LogKind::Access,
            },
            epoch: 1,
        })
    }

    /// The entries of a bundle, up to the first that is missing.
    fn bundle(
        &mut self,
        origin: &str,
        bundle: Bundle,
    ) -> Result<Option<Vec<LogEntry>>, SourceError> {
        let Some(place) = self.logs.get(origin) else {
            return Ok(None);
        };
        let first = bundle.index * u64::from(TILE_WIDTH);
        // Entries and payloads of a bundle are asked for one after the other: read once.
        if let Some((_, _, entries)) = self
            .last
            .take_if(|(of, from, _)| of == origin && *from == first)
        {
            return Ok(Some(entries));
        }
        let reading = self.entries_from(&place.scope, place.log, first);
        let whole = match reading {
            Ok(entries) => without_gap(entries, first),
            Err(error) => return Err(self.failed(origin, error)),
        };
        if whole.is_empty() {
            return Ok(None);
        }
        self.last = Some((origin.to_owned(), first, whole.clone()));
        Ok(Some(whole))
    }

    /// The entries of a tile's width from an index on that can be read.
    pub(super) fn entries_from(
        &self,
        scope: &TenantScope,
        log: Log,
        first: u64,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let read = |from, limit| self.wait(self.store.log_entries(scope, log, from, limit));
        let width = u32::from(TILE_WIDTH);
        let whole = read(first, width);
        let Err(StoreError::Damaged { .. }) = whole else {
            return whole;
        };
        // One of them cannot be read: the others one by one.
        let mut entries = Vec::new();
        for index in first..first + u64::from(width) {
            match read(index, 1) {
                Ok(one) => entries.extend(one.into_iter().filter(|entry| entry.index == index)),
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }
}

fn without_gap(entries: Vec<LogEntry>, first: u64) -> Vec<LogEntry> {
    entries
        .into_iter()
        .zip(first..)
        .take_while(|(entry, index)| entry.index == *index)
        .map(|(entry, _)| entry)
        .collect()
}

impl<P: FnMut(&str, u64, u64)> LogSource for StoreLogs<P> {
    fn origins(&mut self) -> Result<Vec<String>, SourceError> {
        let tenants = match self.wait(self.store.tenants()) {
            Ok(tenants) => tenants,
            Err(error) => return Err(self.failed("tenants", error)),
        };
        for tenant in tenants {
            for log in LOGS {
                match self.place(tenant, log) {
                    Ok((origin, place)) => {
                        self.logs.insert(origin, place);
                    }
                    Err(error) => {
                        let place = format!("{} log of tenant {tenant}", log.as_str());
                        return Err(self.failed(&place, error));
                    }
                }
            }
        }
        Ok(self.logs.keys().cloned().collect())
    }

    fn checkpoint(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        let place = self.logs.get(origin);
        Ok(place.and_then(|place| place.checkpoint.clone()))
    }

    fn checkpoints(&mut self, origin: &str, given: u64) -> Result<Vec<String>, SourceError> {
        let Some(place) = self.logs.get_mut(origin) else {
            return Ok(Vec::new());
        };
        if given == 0 {
            place.given = (0, None);
        }
        let after = place.given.1;
        let reading =
            self.store
                .log_checkpoints(&place.scope, place.log, after, CHECKPOINTS_AT_A_TIME);
        match self.handle.block_on(reading) {
            Ok(stored) => {
                place.given = (
                    given + stored.len() as u64,
                    stored.last().map(|last| last.size).or(after),
                );
                place.size = place.size.max(place.given.1.unwrap_or_default());
                Ok(stored
                    .into_iter()
                    .map(|checkpoint| checkpoint.note)
                    .collect())
            }
            Err(error) => Err(self.failed(origin, error)),
        }
    }

    fn tile(&mut self, origin: &str, tile: Tile) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(place) = self.logs.get(origin) else {
            return Ok(None);
        };
        let reading = self
            .store
            .log_tile(&place.scope, place.log, tile.level, tile.index);
        match self.wait(reading) {
            Ok(bytes) => Ok(bytes),
            // Its head or what it is made of is gone: the verifier says which tile.
            Err(StoreError::Damaged { .. }) => Ok(None),
            Err(error) => Err(self.failed(origin, error)),
        }
    }

    fn entries(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(entries) = self.bundle(origin, bundle)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        for entry in &entries {
            // A leaf that is too long for the format cannot be what was hashed: the verifier misses it.
            if push_entry(&mut bytes, &entry.leaf).is_err() {
                break;
            }
        }
        Ok(Some(bytes))
    }

    fn payloads(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(entries) = self.bundle(origin, bundle)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        for entry in &entries {
            let payload = (!entry.payload.is_empty()).then_some(entry.payload.as_slice());
            if push_payload(&mut bytes, payload).is_err() {
                break;
            }
        }
        Ok(Some(bytes))
    }

    fn head(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        let (Some(heads), Some(place)) = (&self.heads, self.logs.get(origin)) else {
            return Ok(None);
        };
        let name = format!("{}-{}.head", place.scope.tenant(), place.log.as_str());
        let path = heads.join(name);
        match HeadFile::read(&path) {
            Ok(known) => Ok(known.map(|head| {
                let checkpoint = Checkpoint {
                    origin: origin.to_owned(),
                    size: head.size,
                    root: ::ledger::Hash(head.root),
                };
                format!("{}\n", HeadLine(checkpoint))
            })),
            Err(error) => Err(self.failed(&path.display().to_string(), error)),
        }
    }

    fn progress(&mut self, origin: &str, checked: u64, size: u64) {
        (self.progress)(origin, checked, size);
    }
}
