//! What was acknowledged by this process and is not seen in the logs yet. An entry that does not arrive in
//! time was taken away between its commit and its sequencing: an alarm that only a restart clears.

use std::collections::HashMap;
use std::time::Duration;

use ::ledger::Hash;
use kernel::TenantId;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::writer::Staged;
use crate::port::error::StoreError;
use crate::port::ledger::Log;

/// How long an acknowledged entry may take into its log.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of an entry before it has an index.
pub(in crate::postgres) type Name = (Log, Uuid, u64);

struct Awaited {
    leaf: Hash,
    since: Instant,
}

/// Acknowledged entries that are awaited, and what was found wrong.
#[derive(Default)]
pub(in crate::postgres) struct Watch {
    awaited: Mutex<HashMap<Name, Awaited>>,
    alarm: Mutex<Option<String>>,
}

impl Watch {
    /// Entries whose commit is acknowledged.
    pub(in crate::postgres) fn expect(&self, staged: &[Staged]) {
        let since = Instant::now();
        let mut awaited = self.awaited.lock();
        for entry in staged {
            awaited.insert(
                (entry.log, entry.writer, entry.counter),
                Awaited {
                    leaf: entry.leaf,
                    since,
                },
            );
        }
    }
    /// An entry seen in its log; false when it is not what was acknowledged.
    pub(in crate::postgres) fn seen(&self, name: &Name, leaf: Hash) -> bool {
        self.awaited
            .lock()
            .remove(name)
            .is_none_or(|awaited| awaited.leaf == leaf)
    }
    /// Whether an entry is what was acknowledged, if it was by this process.
    pub(in crate::postgres) fn agrees(&self, name: &Name, leaf: Hash) -> bool {
        self.awaited
            .lock()
            .get(name)
            .is_none_or(|awaited| awaited.leaf == leaf)
    }
    /// Whether everything acknowledged in a log so far was seen.
    pub(in crate::postgres) fn is_settled(&self) -> bool {
        self.awaited.lock().is_empty()
    }
    /// How many acknowledged entries of a log were not seen in it yet.
    pub(in crate::postgres) fn staged(&self, log: Log) -> u64 {
        let awaited = self.awaited.lock();
        awaited.keys().filter(|(of, _, _)| *of == log).count() as u64
    }
    /// What has been awaited for longer than a moment: another replica may have sequenced it.
    pub(in crate::postgres) fn late(&self, moment: Duration) -> Vec<Name> {
        let awaited = self.awaited.lock();
        awaited
            .iter()
            .filter(|(_, entry)| entry.since.elapsed() >= moment)
            .map(|(name, _)| *name)
            .collect()
    }
    /// Raises the alarm when something is overdue. To be called when the queue was seen empty and what
    /// others sequenced was looked up, so that a database that was away raises none.
    pub(in crate::postgres) fn check(&self, tenant: TenantId) {
        if let Some((log, writer, counter)) = self.late(PATIENCE).first() {
            let log = log.as_str();
            self.raise(
                tenant,
                format!(
                    "entry {counter} of writer {writer} was acknowledged and is not in log {log}"
                ),
            );
        }
    }
    /// Raises the alarm.
    pub(in crate::postgres) fn raise(&self, tenant: TenantId, what: String) {
        let mut alarm = self.alarm.lock();
        if alarm.is_none() {
            tracing::error!(%tenant, what, "ledger alarm");
            *alarm = Some(what);
        }
    }
    /// An error when the alarm was raised.
    pub(in crate::postgres) fn health(&self) -> Result<(), StoreError> {
        match &*self.alarm.lock() {
            None => Ok(()),
            Some(what) => Err(StoreError::Damaged {
                place: "ledger".to_owned(),
                detail: what.clone(),
            }),
        }
    }
}
