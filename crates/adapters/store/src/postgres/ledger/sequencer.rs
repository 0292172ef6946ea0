//! The sequencer of a tenant's logs: takes what writers of any replica staged, gives it the next indexes,
//! reads it back, recomputes every hash, signs and commits. The head's row is locked for the length of a
//! pass and swapped only from the size and root that were read, so that replicas never fork a log.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ::ledger::{Checkpoint, Edge, Hash, Leaf, Note, SigningKey, leaf_hash};
use deadpool_postgres::Transaction;
use kernel::TenantId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_postgres::Error;
use uuid::Uuid;

use super::super::connect::{Database, begin};
use super::super::failure::Failure;
use super::super::keys::Keyring;
use super::read::{damaged, origin};
use super::rows::{CHECKPOINT, Grown, PASS, Placed, placed_from, take, write};
use super::watch::Watch;
use crate::head_file::{HeadFile, PublishedHead};
use crate::meters::LogMeter;
use crate::port::error::StoreError;
use crate::port::figures::LogFigures;
use crate::port::ledger::Log;

const LOCK: &str =
    "SELECT epoch, size, root FROM log_head WHERE tn = $1 AND log = $2 FOR UPDATE SKIP LOCKED";
const EDGE: &str = "SELECT edge, note FROM log_head WHERE tn = $1 AND log = $2";
const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM log_queue WHERE tn = $1 AND log = $2)";
const BY_OTHERS: &str = "SELECT e.w, e.n, s.leaf FROM log_entry e JOIN unnest($3::uuid[], $4::int8[]) AS a (w, n)
    ON e.w = a.w AND e.n = a.n JOIN log_stage s ON s.tn = e.tn AND s.log = e.log AND s.w = e.w AND s.n = e.n
    WHERE e.tn = $1 AND e.log = $2";

/// Between two passes while entries arrive.
const PACE: Duration = Duration::from_millis(100);
/// Between two looks for what replicas that ended left behind: of a tenant in use, and of one that is not.
const IDLE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));
/// After this an entry may have been sequenced by another replica.
const MOMENT: Duration = Duration::from_millis(300);
/// Between two rounds of upkeep.
const TEND: Duration = Duration::from_secs(1);
const LOGS: [Log; 2] = [Log::Changes, Log::Access];

/// A database that is behind what was published.
#[derive(Debug, Clone, Copy)]
struct RolledBack {
    log: Log,
    found: u64,
    known: u64,
}

struct LogState {
    log: Log,
    edge: Option<Edge>,
    head_file: Arc<Mutex<HeadFile>>,
    meter: Arc<LogMeter>,
}

/// What a pass found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// Nothing waits any more.
    Drained,
    /// More waits.
    More,
    /// Another replica is at it.
    Elsewhere,
}

/// The sequencer of one tenant.
pub(in crate::postgres) struct Sequencer {
    tenant: TenantId,
    instance: String,
    signer: Arc<SigningKey>,
    db: Arc<Database>,
    keys: Arc<Keyring>,
    pub(in crate::postgres) watch: Arc<Watch>,
    logs: tokio::sync::Mutex<[LogState; 2]>,
    rolled_back: RwLock<Option<RolledBack>>,
    wake: Notify,
    used: AtomicBool,
    closed: AtomicBool,
    epoch: AtomicU32,
    tended: Mutex<Instant>,
    opened: Instant,
    meters: [Arc<LogMeter>; 2],
}

impl Sequencer {
    /// Opens the logs' head files and compares them with the database.
    pub(in crate::postgres) async fn open(
        (tenant, instance): (TenantId, &str),
        signer: Arc<SigningKey>,
        db: Arc<Database>,
        keys: Arc<Keyring>,
        heads: &Path,
    ) -> Result<Self, StoreError> {
        let state = |log: Log| -> Result<LogState, StoreError> {
            let head_file = HeadFile::open(&heads.join(format!("{tenant}-{}.head", log.as_str())))?;
            Ok(LogState {
                log,
                edge: None,
                head_file: Arc::new(Mutex::new(head_file)),
                meter: Arc::default(),
            })
        };
        let logs = [state(Log::Changes)?, state(Log::Access)?];
        let sql = "SELECT log, epoch, size FROM log_head WHERE tn = $1";
        let mut epoch = 1;
        for row in db.query(tenant, sql, &[&tenant.as_uuid()]).await? {
            for state in logs
                .iter()
                .filter(|state| state.log as i16 == row.get::<_, i16>(0))
            {
                if state.log == Log::Changes {
                    epoch = row.get::<_, i32>(1) as u32;
                }
                state.meter.seen(row.get::<_, i64>(2) as u64);
            }
        }
        let mut rolled_back = None;
        for log in &logs {
            if rolled_back.is_none() {
                rolled_back = compare(&db, tenant, log).await?;
            }
        }
        Ok(Self {
            tenant,
            instance: instance.to_owned(),
            signer,
            db,
            keys,
            watch: Arc::new(Watch::default()),
            meters: logs.each_ref().map(|state| Arc::clone(&state.meter)),
            logs: tokio::sync::Mutex::new(logs),
            rolled_back: RwLock::new(rolled_back),
            wake: Notify::new(),
            used: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            epoch: AtomicU32::new(epoch),
            tended: Mutex::new(Instant::now()),
            opened: Instant::now(),
        })
    }

    /// Makes both logs of a tenant, empty and signed; does nothing where they are.
    pub(in crate::postgres) async fn create(
        db: &Database,
        (tenant, instance): (TenantId, &str),
        signer: &SigningKey,
    ) -> Result<(), StoreError> {
        let mut connection = db.connection().await?;
        let failed = |error: Error| db.failed(&error);
        let transaction = begin(&mut connection, tenant).await.map_err(failed)?;
        for log in LOGS {
            let edge = Edge::empty();
            let note = signed(&origin(instance, tenant, log, 1), &edge, signer)?;
            let sql = "INSERT INTO log_head (tn, log, epoch, size, root, edge, note) VALUES ($1, $2, 1, 0, $3, $4, $5)
                 ON CONFLICT DO NOTHING";
            let (tn, number, root) = (tenant.as_uuid(), log as i16, edge.root());
            let made = transaction
                .execute(
                    sql,
                    &[&tn, &number, &root.0.as_slice(), &edge.encode(), &note],
                )
                .await
                .map_err(failed)?;
            if made == 1 {
                transaction
                    .execute(CHECKPOINT, &[&tn, &number, &0i64, &note])
                    .await
                    .map_err(failed)?;
            }
        }
        transaction.commit().await.map_err(failed)
    }

    /// An error where writes are refused until recovery.
    pub(in crate::postgres) fn check(&self) -> Result<(), StoreError> {
        self.used.store(true, Ordering::Relaxed);
        match *self.rolled_back.read() {
            None => Ok(()),
            Some(RolledBack { log, found, known }) => Err(StoreError::RolledBack {
                tenant: self.tenant,
                log: log.as_str(),
                found,
                known,
            }),
        }
    }

    /// The epoch of the logs; a recovery opens the next one in another process.
    pub(in crate::postgres) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Says that entries were staged.
    pub(in crate::postgres) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Works until closed; the last pass comes after that.
    pub(in crate::postgres) async fn run(self: Arc<Self>) {
        let mut pause = Duration::ZERO;
        loop {
            let closed = self.closed.load(Ordering::Acquire);
            pause = match self.round().await {
                Ok(true) => PACE,
                Ok(false) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(tenant = %self.tenant, %error, "entries wait to be sequenced");
                    pause.saturating_mul(2).clamp(PACE, IDLE.0)
                }
            };
            if closed {
                return;
            }
            if pause.is_zero() {
                let idle = if self.used.swap(false, Ordering::Relaxed) {
                    IDLE.0
                } else {
                    IDLE.1
                };
                let _ = tokio::time::timeout(idle, self.wake.notified()).await;
            } else {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Ends [`Sequencer::run`] after one more round.
    pub(in crate::postgres) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    /// Returns when everything acknowledged by this process is in the logs.
    pub(in crate::postgres) async fn settle(&self) -> Result<(), StoreError> {
        self.check()?;
        for _ in 0..600 {
            self.round().await?;
            self.watch.health()?;
            if self.watch.is_settled() {
                self.sync_heads().await;
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(StoreError::Busy)
    }

    /// Passes over both logs; whether something may be left to do soon.
    async fn round(&self) -> Result<bool, StoreError> {
        let mut logs = self.logs.lock().await;
        let mut busy = false;
        let mut drained = true;
        for state in logs.iter_mut() {
            let passed = self.pass(state).await?;
            busy |= passed != Passed::Drained;
            drained &= passed == Passed::Drained;
        }
        drop(logs);
        self.look_for_others(drained).await?;
        Ok(busy || !self.watch.is_settled())
    }

    async fn pass(&self, state: &mut LogState) -> Result<Passed, StoreError> {
        self.check()?;
        let waits = self
            .db
            .query_one(
                self.tenant,
                WAITS,
                &[&self.tenant.as_uuid(), &(state.log as i16)],
            )
            .await?;
        if !waits.is_some_and(|row| row.get(0)) {
            return Ok(Passed::Drained);
        }
        let outcome = self.sequence(state).await;
        if outcome.is_err() {
            // Whether it was committed or not: the next pass reads the head's edge.
            state.edge = None;
        }
        outcome.map_err(|failure| failure.into_store(&self.db.name))
    }

    async fn sequence(&self, state: &mut LogState) -> Result<Passed, Failure> {
        let failed = |error: Error| Failure::of(&self.db.name, &error);
        let (tn, log) = (self.tenant.as_uuid(), state.log as i16);
        let mut connection = self.db.connection().await?;
        let transaction = begin(&mut connection, self.tenant).await.map_err(failed)?;
        let Some(head) = transaction
            .query_opt(LOCK, &[&tn, &log])
            .await
            .map_err(failed)?
        else {
            return Ok(Passed::Elsewhere);
        };
        let (epoch, size, root): (i32, i64, Vec<u8>) = (head.get(0), head.get(1), head.get(2));
        self.compare_running(state, size as u64, &root)?;
        state.meter.seen(size as u64);
        let edge = match state.edge.take() {
            Some(edge) if edge.size() == size as u64 && edge.root().0 == *root => edge,
            _ => {
                self.vouched_edge(&transaction, state.log, epoch as u32, (size, &root))
                    .await?
            }
        };
        let taken = take(&transaction, self.tenant, state.log, size)
            .await
            .map_err(failed)?;
        if taken == 0 {
            state.edge = Some(edge);
            return Ok(Passed::Drained);
        }
        let grown = self.read_back(&transaction, state.log, edge, taken).await?;
        let note = signed(
            &origin(&self.instance, self.tenant, state.log, epoch as u32),
            &grown.edge,
            &self.signer,
        )?;
        let name = (self.tenant, state.log);
        let swapped = write(&transaction, name, (size, &root), &grown, &note).await;
        let swapped = swapped.map_err(failed)?;
        if swapped != 1 {
            return Err(Failure::Collision);
        }
        transaction
            .commit()
            .await
            .map_err(|error| Failure::of_commit(&self.db.name, &error))?;
        for placed in &grown.placed {
            self.watch.seen(&placed.name, placed.hash);
        }
        self.publish(state, &grown.edge);
        state.edge = Some(grown.edge);
        Ok(if taken < PASS as usize {
            Passed::Drained
        } else {
            Passed::More
        })
    }

    /// The edge of a head that this process did not make. It must be what one of ours signed: nothing is
    /// signed on top of a head that somebody else wrote.
    async fn vouched_edge(
        &self,
        transaction: &Transaction<'_>,
        log: Log,
        epoch: u32,
        (size, root): (i64, &[u8]),
    ) -> Result<Edge, Failure> {
        let row = transaction
            .query_one(EDGE, &[&self.tenant.as_uuid(), &(log as i16)])
            .await;
        let row = row.map_err(|error| Failure::of(&self.db.name, &error))?;
        let edge = Edge::decode(row.get(0)).map_err(|_| damaged(log, "its edge cannot be read"))?;
        let expected = Checkpoint {
            origin: origin(&self.instance, self.tenant, log, epoch),
            size: size as u64,
            root: edge.root(),
        };
        let vouched = Note::parse(row.get(1)).is_ok_and(|note| {
            Checkpoint::of_note(&note).is_ok_and(|found| found == expected)
                && note
                    .verify(&[self.signer.verifier()])
                    .is_ok_and(|by| !by.is_empty())
        });
        if vouched && edge.size() == size as u64 && edge.root().0 == *root {
            return Ok(edge);
        }
        let what = "its head is not what was signed";
        self.watch
            .raise(self.tenant, format!("log {}: {what}", log.as_str()));
        Err(Failure::Store(damaged(log, what)))
    }

    /// Reads what was placed, recomputes its hashes and grows the tree by them. Whatever is not what its
    /// writer staged is not signed.
    async fn read_back(
        &self,
        transaction: &Transaction<'_>,
        log: Log,
        edge: Edge,
        taken: usize,
    ) -> Result<Grown, Failure> {
        let rows = placed_from(transaction, self.tenant, log, edge.size()).await;
        let rows = rows.map_err(|error| Failure::of(&self.db.name, &error))?;
        let mut grown = Grown {
            edge,
            placed: Vec::with_capacity(taken),
            tiles: Vec::new(),
            subjects: Default::default(),
        };
        for row in &rows {
            let (index, writer, counter): (i64, Uuid, i64) = (row.get(0), row.get(1), row.get(2));
            let alarm = |what: &str| {
                self.watch.raise(
                    self.tenant,
                    format!(
                        "entry {counter} of writer {writer} in log {}: {what}",
                        log.as_str()
                    ),
                );
                Failure::Store(damaged(log, what))
            };
            let (Some(leaf), Some(payload)) = (
                row.get::<_, Option<&[u8]>>(3),
                row.get::<_, Option<&[u8]>>(4),
            ) else {
                return Err(alarm("what its writer staged is missing"));
            };
            if !is_sound(leaf, payload, writer, counter) || index as u64 != grown.edge.size() {
                return Err(alarm("it is not what its writer staged"));
            }
            let placed = Placed {
                name: (log, writer, counter as u64),
                hash: leaf_hash(leaf),
            };
            if !self.watch.agrees(&placed.name, placed.hash) {
                return Err(alarm("it is not what was acknowledged"));
            }
            let appended = grown.edge.append(placed.hash);
            grown.tiles.extend(appended.tiles);
            if let Some(subject) = row.get::<_, Option<i64>>(5) {
                grown.subjects.0.push(subject);
                grown.subjects.1.push(index);
            }
            grown.placed.push(placed);
        }
        if grown.placed.len() == taken {
            Ok(grown)
        } else {
            Err(Failure::Collision)
        }
    }

    /// The database was put back while this process ran.
    fn compare_running(&self, state: &LogState, found: u64, root: &[u8]) -> Result<(), StoreError> {
        let Some(known) = state.head_file.lock().known() else {
            return Ok(());
        };
        if known.size > found || (known.size == found && known.root != *root) {
            *self.rolled_back.write() = Some(RolledBack {
                log: state.log,
                found,
                known: known.size,
            });
        }
        self.check()
    }

    fn publish(&self, state: &LogState, edge: &Edge) {
        let head = PublishedHead {
            size: edge.size(),
            root: edge.root().0,
        };
        state.meter.signed(edge.size(), self.now_ns());
        // A failure weakens the detection of rollbacks, nothing more.
        if let Err(error) = state.head_file.lock().publish(head) {
            tracing::error!(tenant = %self.tenant, log = state.log.as_str(), %error, "head file not written");
        }
    }

    // Since the sequencer was opened.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// What is known of a log for monitoring.
    pub(in crate::postgres) fn figures(&self, log: Log) -> LogFigures {
        let [changes, access] = &self.meters;
        let meter = match log {
            Log::Changes => changes,
            Log::Access => access,
        };
        meter.figures(log, self.watch.staged(log), self.now_ns())
    }

    /// Makes the head files durable.
    pub(in crate::postgres) async fn sync_heads(&self) {
        let files: Vec<_> = self
            .logs
            .lock()
            .await
            .iter()
            .map(|state| Arc::clone(&state.head_file))
            .collect();
        let synced = tokio::task::spawn_blocking(move || {
            files.iter().try_for_each(|file| file.lock().sync())
        });
        if let Ok(Err(error)) = synced.await {
            tracing::error!(tenant = %self.tenant, %error, "head file not synced");
        }
    }

    /// Looks up what other replicas may have sequenced, and which keys they destroyed.
    async fn look_for_others(&self, drained: bool) -> Result<(), StoreError> {
        let mut late: HashMap<Log, (Vec<Uuid>, Vec<i64>)> = HashMap::new();
        for (log, writer, counter) in self.watch.late(MOMENT) {
            let (writers, counters) = late.entry(log).or_default();
            writers.push(writer);
            counters.push(counter as i64);
        }
        for (log, (writers, counters)) in late {
            let values: [super::super::connect::Value<'_>; 4] =
                [&self.tenant.as_uuid(), &(log as i16), &writers, &counters];
            for row in self.db.query(self.tenant, BY_OTHERS, &values).await? {
                let name = (log, row.get(0), row.get::<_, i64>(1) as u64);
                if !self.watch.seen(&name, leaf_hash(row.get(2))) {
                    self.watch.raise(
                        self.tenant,
                        format!(
                            "an entry in log {} is not what was acknowledged",
                            log.as_str()
                        ),
                    );
                }
            }
        }
        if drained {
            self.watch.check(self.tenant);
        }
        self.tend().await
    }

    /// What is done about once a second: head files durable, keys that other replicas destroyed dropped.
    async fn tend(&self) -> Result<(), StoreError> {
        {
            let mut tended = self.tended.lock();
            if tended.elapsed() < TEND {
                return Ok(());
            }
            *tended = Instant::now();
        }
        self.sync_heads().await;
        self.keys.forget_destroyed().await
    }
}

/// Whether a leaf is its writer's and its payload the one it commits to.
fn is_sound(leaf: &[u8], payload: &[u8], writer: Uuid, counter: i64) -> bool {
    Leaf::parse(leaf).is_ok_and(|leaf| {
        leaf.writer == writer
            && leaf.counter == counter as u64
            && leaf.payload == Some(Hash::of(payload))
    })
}

fn signed(origin: &str, edge: &Edge, signer: &SigningKey) -> Result<String, StoreError> {
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        size: edge.size(),
        root: edge.root(),
    };
    checkpoint
        .sign(&[signer])
        .map_err(|error| StoreError::Engine(error.to_string()))
}

/// Compares a log with what its head file says was published.
async fn compare(
    db: &Database,
    tenant: TenantId,
    state: &LogState,
) -> Result<Option<RolledBack>, StoreError> {
    let Some(known) = state.head_file.lock().known() else {
        return Ok(None);
    };
    let sql = "SELECT h.size, c.note FROM log_head h LEFT JOIN log_checkpoint c
         ON c.tn = h.tn AND c.log = h.log AND c.size = $3 WHERE h.tn = $1 AND h.log = $2";
    let row = db
        .query_one(
            tenant,
            sql,
            &[&tenant.as_uuid(), &(state.log as i16), &(known.size as i64)],
        )
        .await?;
    let row = row.ok_or_else(|| damaged(state.log, "its head is missing"))?;
    let found = row.get::<_, i64>(0) as u64;
    let note: Option<String> = row.get(1);
    let same =
        note.is_some_and(|note| note.lines().nth(2) == Some(Hash(known.root).to_base64().as_str()));
    let rolled_back = RolledBack {
        log: state.log,
        found,
        known: known.size,
    };
    Ok((known.size > found || !same).then_some(rolled_back))
}
