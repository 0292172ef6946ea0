//! One writer thread per tenant: it takes all units that wait, applies them in one transaction, signs one
//! checkpoint per log and answers everybody after the commit. Must be the only one who writes the record.

mod batch;
mod erase;
mod fold;
mod guards;
mod logs;
mod reindex;
mod rows;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use kernel::TenantId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::batch::Core;
pub(super) use self::logs::entry_table;
pub(super) use self::reindex::ReindexRow;
use super::recent::Recent;
use super::tenant::{Places, Sealing, Shared};
use crate::assemble::PreparedEntry;
use crate::journal::Journal;
use crate::keys::SubjectTag;
use crate::meters::LogMeter;
use crate::port::change::{CommitError, Receipt};
use crate::port::error::StoreError;
use crate::port::ledger::Log;
use crate::prepare::PreparedUnit;

/// How often head files are made durable, and the writer looks around when idle.
const IDLE: Duration = Duration::from_secs(1);
/// Looks moved along with a batch of units, so that units do not wait for a backlog.
const LOOKS_PER_BATCH: usize = 512;

type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// What the writer is asked to do.
enum Job {
    Unit {
        unit: Box<PreparedUnit>,
        /// When it arrived, on the monotonic clock.
        since: u64,
        reply: Reply<Receipt, CommitError>,
    },
    Erase {
        tag: SubjectTag,
        entry: Box<PreparedEntry>,
        reply: Reply<u64, CommitError>,
    },
    Reindex {
        rows: Vec<ReindexRow>,
        reply: Reply<u64, StoreError>,
    },
    Settle {
        reply: Reply<(), StoreError>,
    },
    Wake,
    Close,
}

/// What a writer works with.
pub(super) struct WriterParts {
    pub(super) shared: Arc<Shared>,
    pub(super) keyring: Arc<Sealing>,
    pub(super) journal: Arc<Journal>,
    pub(super) recent: Arc<Recent>,
    pub(super) tenant: TenantId,
    pub(super) places: Places,
}

/// A database that is behind what it published.
#[derive(Debug, Clone, Copy)]
pub(super) struct RolledBack {
    pub(super) tenant: TenantId,
    pub(super) log: Log,
    pub(super) found: u64,
    pub(super) known: u64,
}

impl From<RolledBack> for StoreError {
    fn from(state: RolledBack) -> Self {
        Self::RolledBack {
            tenant: state.tenant,
            log: state.log.as_str(),
            found: state.found,
            known: state.known,
        }
    }
}

/// The writer as others see it.
pub(super) struct Writer {
    jobs: Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    refusal: Option<Refusal>,
    shared: Arc<Shared>,
    meters: [Arc<LogMeter>; 2],
}

/// Why nothing is written.
enum Refusal {
    RolledBack(RolledBack),
    /// The store was opened to be examined.
    Examined {
        place: String,
    },
}

impl Writer {
    /// Opens the database for writing, checks the logs, and starts the thread.
    pub(super) fn start(parts: WriterParts) -> Result<Self, StoreError> {
        let window = parts.shared.settings.access_window;
        let batch = parts.shared.settings.batch.max(1);
        let (jobs, queue) = crossbeam_channel::bounded(parts.shared.settings.write_queue.max(1));
        let name = format!("writer-{}", parts.tenant.as_uuid().simple());
        let shared = Arc::clone(&parts.shared);
        let core = Core::open(parts)?;
        let rolled_back = core.rolled_back;
        let meters = core.logs.each_ref().map(|log| Arc::clone(&log.meter));
        let looper = Looper {
            core,
            queue,
            window,
            batch,
        };
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || looper.run())
            .map_err(|error| {
                StoreError::Engine(format!("the writer thread did not start: {error}"))
            })?;
        Ok(Self {
            jobs,
            thread: Mutex::new(Some(thread)),
            refusal: rolled_back.map(Refusal::RolledBack),
            shared,
            meters,
        })
    }

    /// No writer: for a store that is only examined.
    pub(super) fn none(shared: &Arc<Shared>, record: &std::path::Path) -> Self {
        let place = record.display().to_string();
        Self {
            jobs: crossbeam_channel::bounded(0).0,
            thread: Mutex::new(None),
            refusal: Some(Refusal::Examined { place }),
            shared: Arc::clone(shared),
            meters: Default::default(),
        }
    }

    /// An error where writes are refused: until recovery, or because the store is only examined.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &self.refusal {
            None => Ok(()),
            Some(Refusal::RolledBack(state)) => Err((*state).into()),
            Some(Refusal::Examined { place }) => Err(StoreError::ReadOnly {
                place: place.clone(),
            }),
        }
    }

    pub(super) async fn commit(&self, unit: PreparedUnit) -> Result<Receipt, CommitError> {
        self.check()?;
        let (reply, answer) = oneshot::channel();
        self.send(Job::Unit {
            unit: Box::new(unit),
            since: self.shared.clock.monotonic_ns(),
            reply,
        })?;
        answer
            .await
            .unwrap_or(Err(CommitError::Store(StoreError::Closed)))
    }

    pub(super) async fn erase(
        &self,
        tag: SubjectTag,
        entry: PreparedEntry,
    ) -> Result<u64, CommitError> {
        self.check()?;
        let (reply, answer) = oneshot::channel();
        self.send(Job::Erase {
            tag,
            entry: Box::new(entry),
            reply,
        })?;
        answer
            .await
            .unwrap_or(Err(CommitError::Store(StoreError::Closed)))
    }

    pub(super) async fn reindex(&self, rows: Vec<ReindexRow>) -> Result<u64, StoreError> {
        self.check()?;
        let (reply, answer) = oneshot::channel();
        self.send(Job::Reindex { rows, reply })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        self.check()?;
        let (reply, answer) = oneshot::channel();
        self.send(Job::Settle { reply })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Says that looks wait in the journal. A full queue needs no waking.
    pub(super) fn wake(&self) {
        let _ = self.jobs.try_send(Job::Wake);
    }

    /// How many jobs wait.
    pub(super) fn queue(&self) -> u64 {
        self.jobs.len() as u64
    }

    pub(super) fn meter(&self, log: Log) -> &LogMeter {
        let [changes, access] = &self.meters;
        match log {
            Log::Changes => changes,
            Log::Access => access,
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// Finishes what was accepted, then ends the thread.
    pub(super) fn close(&self) {
        if let Some(thread) = self.thread.lock().take() {
            let _ = self.jobs.send(Job::Close);
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct Looper {
    core: Core,
    queue: Receiver<Job>,
    window: Duration,
    batch: usize,
}

/// Jobs of one round, by kind.
#[derive(Default)]
struct Round {
    units: Vec<(Box<PreparedUnit>, Reply<Receipt, CommitError>)>,
    settles: Vec<Reply<(), StoreError>>,
    erase: Option<(SubjectTag, Box<PreparedEntry>, Reply<u64, CommitError>)>,
    reindex: Option<(Vec<ReindexRow>, Reply<u64, StoreError>)>,
    woken: bool,
    close: bool,
}

impl Looper {
    fn run(mut self) {
        self.core.begin_on_this_thread();
        let mut looks_wait = self.core.looks_wait();
        loop {
            let pause = if looks_wait {
                self.window.max(Duration::from_millis(1))
            } else {
                IDLE
            };
            let round = match self.queue.recv_timeout(pause) {
                Ok(job) => self.collect(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.core.move_looks(usize::MAX);
                    looks_wait = self.core.looks_wait();
                    self.core.sync_heads();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let close = round.close;
            let only_woken = round.woken && round.units.is_empty() && round.settles.is_empty();
            self.work(round);
            looks_wait = only_woken || self.core.looks_wait();
            if close {
                self.core.move_looks(usize::MAX);
                self.core.close();
                return;
            }
        }
    }

    /// Takes what waits, up to a batch; an erasure or the end closes it.
    fn collect(&self, first: Job) -> Round {
        let mut round = Round::default();
        let shared = &self.core.shared;
        let now = shared.clock.monotonic_ns();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Unit { unit, since, reply } => {
                    shared.meters.taken(now.saturating_sub(since));
                    round.units.push((unit, reply));
                }
                Job::Settle { reply } => round.settles.push(reply),
                Job::Wake => round.woken = true,
                Job::Erase { tag, entry, reply } => {
                    round.erase = Some((tag, entry, reply));
                    break;
                }
                Job::Reindex { rows, reply } => {
                    round.reindex = Some((rows, reply));
                    break;
                }
                Job::Close => {
                    round.close = true;
                    break;
                }
            }
            if round.units.len() >= self.batch {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        round
    }

    fn work(&mut self, round: Round) {
        let looks = if round.settles.is_empty() {
            LOOKS_PER_BATCH
        } else {
            usize::MAX
        };
        if !round.units.is_empty() {
            self.core.commit(round.units, looks);
        } else if round.woken && self.core.backlog_is_large() {
            self.core.move_looks(usize::MAX);
        }
        if !round.settles.is_empty() {
            self.core.move_looks(usize::MAX);
            let outcome = self.core.settled();
            for reply in round.settles {
                let _ = reply.send(outcome.as_ref().map_err(|()| StoreError::Busy).copied());
            }
        }
        if let Some((tag, entry, reply)) = round.erase {
            let _ = reply.send(self.core.erase(&tag, *entry));
        }
        if let Some((rows, reply)) = round.reindex {
            let _ = reply.send(self.core.reindex(&rows));
        }
    }
}
