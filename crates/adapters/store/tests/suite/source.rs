//! A store's logs as the verifier reads them, read beforehand.

use std::collections::BTreeMap;

use kernel::TenantScope;
use ledger::export::push_payload;
use ledger::policy::Policy;
use ledger::tile::{Bundle, Tile, push_entry};
use ledger::verify::{LogSource, Report, Request, SourceError, verify};
use store::{Log, LogEntry, LogHead, Store};

/// One log, read.
pub struct ReadLog {
    pub head: LogHead,
    pub notes: Vec<String>,
    pub tiles: BTreeMap<Tile, Vec<u8>>,
    pub entries: Vec<LogEntry>,
}

#[derive(Default)]
pub struct Logs(pub BTreeMap<String, ReadLog>);

impl Logs {
    /// Reads both logs of a tenant.
    pub async fn read(store: &dyn Store, scope: &TenantScope) -> Self {
        let mut logs = Self::default();
        for log in [Log::Changes, Log::Access] {
            let head = store.log_head(scope, log).await.unwrap();
            let mut tiles = BTreeMap::new();
            for tile in Tile::all_of(head.size) {
                let hashes = store
                    .log_tile(scope, log, tile.level, tile.index)
                    .await
                    .unwrap()
                    .unwrap();
                tiles.insert(tile, hashes);
            }
            let mut entries = Vec::new();
            while (entries.len() as u64) < head.size {
                let more = store
                    .log_entries(scope, log, entries.len() as u64, 500)
                    .await
                    .unwrap();
                assert!(!more.is_empty(), "entries up to the head");
                entries.extend(more);
            }
            entries.truncate(head.size as usize);
            let mut notes: Vec<String> = Vec::new();
            let mut after = None;
            loop {
                let more = store.log_checkpoints(scope, log, after, 100).await.unwrap();
                let Some(last) = more.last() else { break };
                after = Some(last.size);
                notes.extend(
                    more.into_iter()
                        .filter(|checkpoint| checkpoint.size <= head.size)
                        .map(|checkpoint| checkpoint.note),
                );
            }
            logs.0.insert(
                head.origin.clone(),
                ReadLog {
                    head,
                    notes,
                    tiles,
                    entries,
                },
            );
        }
        logs
    }

    pub fn verify(&mut self, verifier: &str) -> Report {
        let policy = Policy::of_logs(vec![verifier.parse().expect("a verifier key")]);
        verify(
            self,
            &Request {
                policy: &policy,
                held: &[],
                payloads: true,
                partial: false,
            },
        )
        .expect("reads")
    }

    fn log(&self, origin: &str) -> Option<&ReadLog> {
        self.0.get(origin)
    }
}

fn bundle_of(log: &ReadLog, bundle: Bundle) -> impl Iterator<Item = &LogEntry> {
    log.entries
        .iter()
        .skip(bundle.index as usize * 256)
        .take(usize::from(bundle.width))
}

impl LogSource for Logs {
    fn origins(&mut self) -> Result<Vec<String>, SourceError> {
        Ok(self.0.keys().cloned().collect())
    }
    fn checkpoint(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        Ok(self.log(origin).map(|log| log.head.checkpoint.clone()))
    }
    fn checkpoints(&mut self, origin: &str, given: u64) -> Result<Vec<String>, SourceError> {
        Ok(self
            .log(origin)
            .map(|log| log.notes.iter().skip(given as usize).cloned().collect())
            .unwrap_or_default())
    }
    fn tile(&mut self, origin: &str, tile: Tile) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self
            .log(origin)
            .and_then(|log| log.tiles.get(&tile).cloned()))
    }
    fn entries(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.log(origin).map(|log| {
            let mut bytes = Vec::new();
            bundle_of(log, bundle)
                .for_each(|entry| push_entry(&mut bytes, &entry.leaf).expect("short"));
            bytes
        }))
    }
    fn payloads(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.log(origin).map(|log| {
            let mut bytes = Vec::new();
            bundle_of(log, bundle)
                .for_each(|entry| push_payload(&mut bytes, Some(&entry.payload)).expect("short"));
            bytes
        }))
    }
}
