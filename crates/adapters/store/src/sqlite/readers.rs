//! Read-only connections, opened as they are needed. Point reads and long scans have pools of their own,
//! so that a search never keeps a read by id waiting.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use super::failure::failed;
use super::schema::{MIGRATIONS, open_examiner, open_reader};
use crate::port::error::StoreError;

const CONNECTIONS: usize = 4;
const CACHE_KIB: u32 = 4096;

pub(super) struct Readers {
    path: PathBuf,
    examined: bool,
    slots: [Mutex<Option<Connection>>; CONNECTIONS],
}

thread_local! {
    static FIRST: usize = {
        let mut hasher = DefaultHasher::new();
        std::thread::current().id().hash(&mut hasher);
        hasher.finish() as usize % CONNECTIONS
    };
}

impl Readers {
    /// `examined`: the medium may be read-only.
    pub(super) fn new(path: &Path, examined: bool) -> Self {
        Self {
            path: path.to_owned(),
            examined,
            slots: [const { Mutex::new(None) }; CONNECTIONS],
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a read on a free connection; each thread begins at its own, so that statements stay cached.
    pub(super) fn run<R>(
        &self,
        work: impl FnOnce(&Connection) -> Result<R, ReadError>,
    ) -> Result<R, StoreError> {
        self.with(self.take(), work)
    }

    /// The same, but waits for a connection no longer than `limit`: long searches must not gather threads
    /// that wait for them. `None` where none came free.
    pub(super) fn run_within<R>(
        &self,
        limit: Duration,
        work: impl FnOnce(&Connection) -> Result<R, ReadError>,
    ) -> Option<Result<R, StoreError>> {
        let free = || self.slots.iter().find_map(Mutex::try_lock);
        let own = self.slots.get(FIRST.with(|first| *first));
        let slot = free().or_else(|| own.and_then(|own| own.try_lock_for(limit)))?;
        Some(self.with(slot, work))
    }

    /// The same, but only where a connection is free: for threads that must not wait.
    pub(super) fn run_if_free<R>(
        &self,
        work: impl FnOnce(&Connection) -> Result<R, ReadError>,
    ) -> Option<Result<R, StoreError>> {
        let slot = self.slots.iter().find_map(Mutex::try_lock)?;
        Some(self.with(slot, work))
    }

    fn with<R>(
        &self,
        slot: MutexGuard<'_, Option<Connection>>,
        work: impl FnOnce(&Connection) -> Result<R, ReadError>,
    ) -> Result<R, StoreError> {
        let mut slot = Tidied(slot);
        let connection = match &mut *slot.0 {
            Some(connection) => connection,
            None if self.examined => {
                slot.0
                    .insert(open_examiner(&self.path, &MIGRATIONS, CACHE_KIB)?)
            }
            None => slot.0.insert(open_reader(&self.path, CACHE_KIB)?),
        };
        work(connection).map_err(|error| match error {
            ReadError::Engine(error) => failed(&self.path, error),
            ReadError::Store(error) => error,
        })
    }

    /// Connections in use now, and how many there may be.
    pub(super) fn in_use(&self) -> (u64, u64) {
        let busy = self.slots.iter().filter(|slot| slot.is_locked()).count();
        (busy as u64, CONNECTIONS as u64)
    }

    fn take(&self) -> MutexGuard<'_, Option<Connection>> {
        let first = FIRST.with(|first| *first);
        let mut slots = self
            .slots
            .iter()
            .cycle()
            .skip(first)
            .take(CONNECTIONS)
            .peekable();
        let own = slots.peek().copied();
        slots
            .find_map(Mutex::try_lock)
            .unwrap_or_else(|| own.map_or_else(|| self.slots[0].lock(), Mutex::lock))
    }
}

/// A connection in use; given back without an open transaction, also when the work panicked.
struct Tidied<'s>(MutexGuard<'s, Option<Connection>>);

impl Drop for Tidied<'_> {
    fn drop(&mut self) {
        let Some(connection) = &*self.0 else { return };
        if connection.is_autocommit() {
            return;
        }
        let free = connection.progress_handler(0, None::<fn() -> bool>).is_ok();
        if !free || connection.execute_batch("ROLLBACK").is_err() {
            *self.0 = None;
        }
    }
}

/// A read failed in the engine or above it.
#[derive(Debug)]
pub(super) enum ReadError {
    Engine(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}
impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
