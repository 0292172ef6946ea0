//! A data folder for the offline verifier: its logs as the store holds them, against the head files that
//! lie outside the databases. Must not decide what is sound, and must not write to the logs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use identity::{SystemTask, system_scope};
use kernel::TenantScope;
use ledger::checkpoint::Checkpoint;
use ledger::export::{HeadLine, push_payload};
use ledger::policy::Policy;
use ledger::tile::{Bundle, TILE_WIDTH, Tile, push_entry};
use ledger::verify::{LogSource, Report, SourceError};
use store::head_file::HeadFile;
use store::{Log, LogEntry, Store, StoreError};
use tokio::runtime::Handle;

use crate::cli::{Format, Verify};
use crate::commands::verify::{Tracker, examine, policy, print};
use crate::config::{Config, Origin};
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::{self, Opening};

/// Checkpoints asked for at a time.
const CHECKPOINTS_AT_A_TIME: u32 = 1000;

/// The logs of an open store. Its calls block: use it where that is allowed, outside the runtime's workers.
pub struct StoreLogs<P: FnMut(&str, u64, u64)> {
    store: Arc<dyn Store>,
    handle: Handle,
    heads: Option<PathBuf>,
    logs: HashMap<String, Place>,
    progress: P,
    last: Option<(String, u64, Vec<LogEntry>)>,
    /// The failure behind the last source error, whose category says more.
    pub failure: Option<StoreError>,
}

struct Place {
    scope: TenantScope,
    log: Log,
    checkpoint: String,
    /// How many checkpoints were given, and the size of the last of them.
    given: (u64, Option<u64>),
}

impl<P: FnMut(&str, u64, u64)> StoreLogs<P> {
    /// Over an open store; `data` is the folder with head files, where there is one.
    pub fn new(store: Arc<dyn Store>, handle: Handle, data: Option<&Path>, progress: P) -> Self {
        let heads = data.map(|data| data.join("heads"));
        Self {
            store,
            handle,
            heads,
            logs: HashMap::new(),
            progress,
            last: None,
            failure: None,
        }
    }

    fn failed(&mut self, place: &str, error: StoreError) -> SourceError {
        let shown = SourceError {
            place: place.to_owned(),
            detail: error.to_string(),
        };
        self.failure = Some(error);
        shown
    }

    // The entries of a bundle, up to the first that is missing.
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
        let reading = self
            .store
            .log_entries(&place.scope, place.log, first, u32::from(TILE_WIDTH));
        let entries = match self.handle.block_on(reading) {
            Ok(entries) => entries,
            Err(error) => return Err(self.failed(origin, error)),
        };
        let whole: Vec<LogEntry> = entries
            .into_iter()
            .zip(first..)
            .take_while(|(entry, index)| entry.index == *index)
            .map(|(entry, _)| entry)
            .collect();
        if whole.is_empty() {
            return Ok(None);
        }
        self.last = Some((origin.to_owned(), first, whole.clone()));
        Ok(Some(whole))
    }
}

impl<P: FnMut(&str, u64, u64)> LogSource for StoreLogs<P> {
    fn origins(&mut self) -> Result<Vec<String>, SourceError> {
        let tenants = match self.handle.block_on(self.store.tenants()) {
            Ok(tenants) => tenants,
            Err(error) => return Err(self.failed("tenants", error)),
        };
        for tenant in tenants {
            let scope = system_scope(tenant, SystemTask::Ledger);
            for log in [Log::Changes, Log::Access] {
                let head = match self.handle.block_on(self.store.log_head(&scope, log)) {
                    Ok(head) => head,
                    Err(error) => {
                        return Err(
                            self.failed(&format!("{} log of tenant {tenant}", log.as_str()), error)
                        );
                    }
                };
                let place = Place {
                    scope: scope.clone(),
                    log,
                    checkpoint: head.checkpoint,
                    given: (0, None),
                };
                self.logs.insert(head.origin, place);
            }
        }
        Ok(self.logs.keys().cloned().collect())
    }

    fn checkpoint(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        Ok(self.logs.get(origin).map(|place| place.checkpoint.clone()))
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
        match self.handle.block_on(reading) {
            Ok(bytes) => Ok(bytes),
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
        let path = heads.join(format!(
            "{}-{}.head",
            place.scope.tenant(),
            place.log.as_str()
        ));
        if !path.exists() {
            return Ok(None);
        }
        let known = match HeadFile::open(&path) {
            Ok(file) => file.known(),
            Err(error) => return Err(self.failed(&path.display().to_string(), error)),
        };
        let line = known.map(|head| {
            let root = ledger::Hash(head.root);
            HeadLine(Checkpoint {
                origin: origin.to_owned(),
                size: head.size,
                root,
            })
        });
        Ok(line.map(|line| format!("{line}\n")))
    }

    fn progress(&mut self, origin: &str, checked: u64, size: u64) {
        (self.progress)(origin, checked, size);
    }
}

/// Verifies an open store; blocks.
pub fn verify_store<P: FnMut(&str, u64, u64)>(
    logs: &mut StoreLogs<P>,
    policy: &Policy,
    held: &[Checkpoint],
) -> Result<Report, Failure> {
    examine(logs, policy, held).map_err(|failure| match logs.failure.take() {
        Some(error) => error.into(),
        None => failure,
    })
}

/// The policy that trusts the instance's own key.
pub fn own_policy(store: &dyn Store) -> Result<Policy, Failure> {
    Ok(Policy::of_logs(vec![store.log_verifier().parse()?]))
}

/// `theriac verify` on a data folder.
pub fn verify(
    arguments: &Verify,
    held: &[Checkpoint],
    config: &Config,
    format: Format,
    printer: Printer,
) -> Result<u8, Failure> {
    let mut config = config.clone();
    config.set(
        "data.folder",
        arguments.source.display().to_string(),
        Origin::Flag("verify"),
    )?;
    config.set("store.kind", "sqlite".to_owned(), Origin::Flag("verify"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(
            kernel::Category::Fault,
            format!("the runtime did not start: {error}"),
        )
    })?;
    let instance = runtime.block_on(wiring::open(&config, Opening::Existing))?;
    let policy = match &arguments.policy {
        Some(_) => policy(arguments, &arguments.source)?,
        None => own_policy(&*instance.store)?,
    };
    let mut tracker = Tracker::new(printer);
    let mut logs = StoreLogs::new(
        Arc::clone(&instance.store),
        runtime.handle().clone(),
        Some(&arguments.source),
        |origin, checked, size| tracker.at(origin, checked, size),
    );
    let report = verify_store(&mut logs, &policy, held);
    runtime.block_on(instance.app.close());
    drop(logs);
    drop(tracker);
    let report = report?;
    print(&report, arguments.policy.is_some(), format, printer);
    Ok(report.verdict().exit_code())
}
