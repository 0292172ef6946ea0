//! One writer task per tenant and process: it takes all units that wait, decides and writes them in one
//! transaction, and answers everybody after the commit. Writers of other replicas may be at work at the same
//! time: rows are locked, and what they did first is met again. Must be the only one who writes the record.

mod batch;
mod docs;
mod erase;
mod guards;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use kernel::{Ids, TenantId};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(super) use self::batch::Staged;
use self::batch::{Answer, Around, Batch, Counters};
pub(super) use self::rows::{IndexRows, storable};
use super::connect::{Database, begin};
use super::failure::{Failure, again};
use super::keys::Keyring;
use super::ledger::Sequencer;
use super::looks::Looks;
use crate::assemble::PreparedEntry;
use crate::journal::Waiting as Look;
use crate::keys::SubjectTag;
use crate::meters::WriteMeters;
use crate::port::change::{CommitError, EntryReceipt};
use crate::port::error::StoreError;
use crate::prepare::PreparedUnit;

/// Changes in one transaction, at most (but for a single larger unit).
const CHANGES: usize = 4096;
/// How often one unit is tried against other replicas.
const ATTEMPTS: u32 = 12;
/// Looks moved in one transaction, and along with units.
const LOOKS: usize = 4096;
const LOOKS_PER_BATCH: usize = 512;
/// The shortest window, and the pause after looks could not be moved.
const MOMENT: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(500);

type Reply<T> = oneshot::Sender<Result<T, CommitError>>;

enum Job {
    Unit {
        unit: Box<PreparedUnit>,
        since: Instant,
        reply: Reply<Vec<EntryReceipt>>,
    },
    Erase {
        tag: SubjectTag,
        entry: Box<PreparedEntry>,
        reply: Reply<u64>,
    },
    Settle {
        reply: Reply<()>,
    },
    /// Looks wait in the journal.
    Wake,
    Close,
}

/// What a writer works with.
pub(super) struct WriterParts {
    pub(super) tenant: TenantId,
    pub(super) db: Arc<Database>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) keys: Arc<Keyring>,
    pub(super) sequencer: Arc<Sequencer>,
    pub(super) meters: Arc<WriteMeters>,
    pub(super) looks: Arc<Looks>,
    pub(super) window: Duration,
    pub(super) queue: usize,
    pub(super) batch: usize,
}

/// The writer as others see it.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task.
    pub(super) fn start(parts: WriterParts) -> Self {
        let (jobs, queue) = mpsc::channel(parts.queue.max(1));
        let counters = Counters::new(parts.ids.uuid());
        let looper = Looper {
            parts,
            queue,
            counters,
        };
        Self {
            jobs,
            task: Mutex::new(Some(tokio::spawn(looper.run()))),
        }
    }

    pub(super) async fn commit(
        &self,
        unit: PreparedUnit,
    ) -> Result<Vec<EntryReceipt>, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Unit {
            unit: Box::new(unit),
            since: Instant::now(),
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

    /// Moves all looks that wait in the journal.
    pub(super) async fn settle(&self) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Settle { reply })?;
        answer
            .await
            .unwrap_or(Err(CommitError::Store(StoreError::Closed)))
    }

    /// Says that looks wait in the journal. A full queue needs no waking.
    pub(super) fn wake(&self) {
        let _ = self.jobs.try_send(Job::Wake);
    }

    /// How many jobs wait.
    pub(super) fn queue(&self) -> u64 {
        (self.jobs.max_capacity() - self.jobs.capacity()) as u64
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Finishes what was accepted, then ends the task.
    pub(super) async fn close(&self) {
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = self.jobs.send(Job::Close).await;
            let _ = task.await;
        }
    }
}

type Waiting = (Box<PreparedUnit>, Reply<Vec<EntryReceipt>>);

struct Looper {
    parts: WriterParts,
    queue: mpsc::Receiver<Job>,
    counters: Counters,
}

impl Looper {
    async fn run(mut self) {
        loop {
            let looks_wait = self.parts.looks.journal.backlog() > 0;
            let first = if looks_wait {
                let window = self.parts.window.max(MOMENT);
                let Ok(job) = tokio::time::timeout(window, self.queue.recv()).await else {
                    if self.move_looks().await.is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    continue;
                };
                job
            } else {
                self.queue.recv().await
            };
            let Some(first) = first else { return };
            let (waiting, last) = self.collect(first);
            self.units(waiting).await;
            match last {
                Some(Job::Erase { tag, entry, reply }) => {
                    let _ = reply.send(self.erase(&tag, &entry).await);
                }
                Some(Job::Settle { reply }) => {
                    let _ = reply.send(self.move_looks().await.map_err(CommitError::Store));
                }
                Some(Job::Close) => {
                    // What cannot be moved now is moved by the next process.
                    let _ = self.move_looks().await;
                    return;
                }
                Some(Job::Unit { .. } | Job::Wake) | None => {}
            }
        }
    }

    /// Takes the units that wait, up to a batch; any other job closes it.
    fn collect(&mut self, first: Job) -> (Vec<Waiting>, Option<Job>) {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut changes = 0;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match job {
                Job::Unit { unit, since, reply } => {
                    self.parts.meters.taken(nanoseconds(since));
                    changes += unit.changes.len();
                    waiting.push((unit, reply));
                }
                Job::Wake => {}
                other => return (waiting, Some(other)),
            }
            if waiting.len() < self.parts.batch && changes < CHANGES {
                next = self.queue.try_recv().ok();
            }
        }
        (waiting, None)
    }

    /// Moves waiting looks into the staging, all of them.
    async fn move_looks(&mut self) -> Result<(), StoreError> {
        while self.parts.looks.journal.backlog() > 0 {
            let looks = self.parts.looks.journal.take(LOOKS);
            if let Err(failure) = self.transact(&[], looks, false).await {
                let error = failure.into_store(&self.parts.db.name);
                tracing::error!(tenant = %self.parts.tenant, %error, "looks stay in the journal");
                return Err(error);
            }
        }
        Ok(())
    }

    /// Commits units together; after a collision with another replica each by itself.
    async fn units(&mut self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        let (units, replies): (Vec<Box<PreparedUnit>>, Vec<_>) = waiting.into_iter().unzip();
        let together: Vec<&PreparedUnit> = units.iter().map(Box::as_ref).collect();
        let looks = self.parts.looks.journal.take(LOOKS_PER_BATCH);
        match self.transact(&together, looks, false).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _ = reply.send(answer);
                }
            }
            // Neither must one bad unit fail its neighbours.
            Err(
                Failure::Collision | Failure::Store(StoreError::Engine(_) | StoreError::TooCostly),
            ) => {
                for (unit, reply) in units.iter().zip(replies) {
                    let _ = reply.send(self.alone(unit).await);
                }
            }
            Err(failure) => {
                let error = failure.into_store(&self.parts.db.name);
                for reply in replies {
                    let _ = reply.send(Err(again(&error)));
                }
            }
        }
    }

    /// Commits one unit, again and again while others are in its way.
    async fn alone(&mut self, unit: &PreparedUnit) -> Answer {
        for attempt in 0..ATTEMPTS {
            match self.transact(&[unit], Vec::new(), true).await {
                Ok(mut answers) => {
                    return answers
                        .pop()
                        .unwrap_or(Err(CommitError::Malformed("no answer")));
                }
                Err(Failure::Collision) => tokio::time::sleep(backoff(attempt)).await,
                Err(failure) => return Err(failure.into_store(&self.parts.db.name).into()),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// A transaction of units, with looks moved along. A connection that was lost before the commit costs
    /// one more attempt.
    async fn transact(
        &mut self,
        units: &[&PreparedUnit],
        looks: Vec<Look>,
        careful: bool,
    ) -> Result<Vec<Answer>, Failure> {
        let mut outcome = self.try_transact(units, &looks, careful).await;
        if let Err(Failure::Store(StoreError::Unreachable { .. })) = outcome {
            outcome = self.try_transact(units, &looks, careful).await;
        }
        match (&outcome, looks.last().map(|last| last.end)) {
            (Ok(_), Some(end)) => self.parts.looks.journal.moved(end),
            // Those that were moved after all are left out the next time.
            (Err(_), Some(_)) => self.parts.looks.journal.put_back(looks),
            (_, None) => {}
        }
        if outcome.is_err() {
            self.parts.meters.failed();
        }
        outcome
    }

    async fn try_transact(
        &mut self,
        units: &[&PreparedUnit],
        looks: &[Look],
        careful: bool,
    ) -> Result<Vec<Answer>, Failure> {
        self.parts.sequencer.check()?;
        let mut counters = self.counters.clone();
        let outcome = self
            .parts
            .transact(units, looks, careful, &mut counters)
            .await;
        self.conclude(outcome, counters).await
    }

    /// After a transaction: counters move on, the sequencer learns what to expect. Where the commit's
    /// outcome is unknown, the entries tell; a new writer goes on, so that no counter is used twice.
    async fn conclude<T>(
        &mut self,
        outcome: Result<(T, Vec<Staged>), Uncommitted<T>>,
        counters: Counters,
    ) -> Result<T, Failure> {
        let (answers, staged) = match outcome {
            Ok(done) => {
                self.counters = counters;
                done
            }
            Err(Uncommitted {
                failure: Failure::Uncertain,
                attempt: Some((answers, staged)),
            }) => {
                self.counters = Counters::new(self.parts.ids.uuid());
                if !self.parts.was_committed(&staged).await {
                    return Err(Failure::Uncertain);
                }
                (answers, staged)
            }
            Err(Uncommitted { failure, .. }) => return Err(failure),
        };
        if !staged.is_empty() {
            self.parts.sequencer.watch.expect(&staged);
            self.parts.sequencer.wake();
        }
        Ok(answers)
    }
}

/// A transaction that was not, or perhaps not, committed.
struct Uncommitted<T> {
    failure: Failure,
    attempt: Option<(T, Vec<Staged>)>,
}

impl<T> From<Failure> for Uncommitted<T> {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            attempt: None,
        }
    }
}
impl<T> From<StoreError> for Uncommitted<T> {
    fn from(error: StoreError) -> Self {
        Failure::Store(error).into()
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(5 << attempt.min(6))
}

impl WriterParts {
    fn failed(&self, error: &tokio_postgres::Error) -> Failure {
        Failure::of(&self.db.name, error)
    }

    async fn transact(
        &self,
        units: &[&PreparedUnit],
        looks: &[Look],
        careful: bool,
        counters: &mut Counters,
    ) -> Result<(Vec<Answer>, Vec<Staged>), Uncommitted<Vec<Answer>>> {
        let mut connection = self.db.connection().await?;
        let transaction = begin(&mut connection, self.tenant)
            .await
            .map_err(|error| self.failed(&error))?;
        let around = Around {
            transaction: &transaction,
            tenant: self.tenant,
            place: &self.db.name,
            ids: self.ids.as_ref(),
            tenant_kid: self.keys.keys.tenant_dek().kid(),
        };
        let mut batch = Batch::load(around, units, careful).await?;
        let mut answers = Vec::with_capacity(units.len());
        for unit in units {
            answers.push(batch.unit(unit, counters).await?);
        }
        if let Some(last) = looks.last() {
            let moved = self.looks.moved(&transaction).await;
            let moved = moved.map_err(|error| self.failed(&error))?;
            for look in looks.iter().filter(|look| look.end > moved) {
                if look.after_gap {
                    counters.skip(look.entry.log);
                }
                batch.stage(&look.entry, counters)?;
            }
            let set = self
                .looks
                .set_moved(&transaction, last.end.max(moved))
                .await;
            set.map_err(|error| self.failed(&error))?;
        }
        batch.finish().await?;
        let staged = core::mem::take(&mut batch.staged);
        drop(batch);
        let begun = Instant::now();
        match transaction.commit().await {
            Ok(()) => {
                self.meters.committed(units.len(), nanoseconds(begun));
                Ok((answers, staged))
            }
            Err(error) => {
                let failure = Failure::of_commit(&self.db.name, &error);
                Err(Uncommitted {
                    failure,
                    attempt: Some((answers, staged)),
                })
            }
        }
    }

    /// Whether entries were committed although nobody said so.
    async fn was_committed(&self, staged: &[Staged]) -> bool {
        let Some(entry) = staged.first() else {
            return false;
        };
        let sql = "SELECT 1 FROM log_stage WHERE tn = $1 AND log = $2 AND w = $3 AND n = $4";
        let values: [super::connect::Value<'_>; 4] = [
            &self.tenant.as_uuid(),
            &(entry.log as i16),
            &entry.writer,
            &(entry.counter as i64),
        ];
        for attempt in 0..6 {
            tokio::time::sleep(backoff(attempt) * 4).await;
            match self.db.query_one(self.tenant, sql, &values).await {
                Ok(found) if found.is_some() || attempt == 5 => return found.is_some(),
                _ => {}
            }
        }
        false
    }
}
