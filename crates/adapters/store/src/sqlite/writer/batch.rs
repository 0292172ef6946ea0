//! A batch: every unit's conditions are read first and only then its rows are written, so that a refused
//! unit leaves nothing behind and no savepoint is needed; a failure of the engine undoes the whole batch.

use ::ledger::Hash;
use kernel::{RowId, TenantId, VersionId};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

use super::super::failure::failed;
use super::super::readers::ReadError;
use super::super::recent::Recent;
use super::super::schema::{MIGRATIONS, open_writer};
use super::super::search;
use super::super::tenant::{Sealing, Shared};
use super::fold::Fold;
use super::guards;
use super::logs::LogState;
use super::rows::{PendingRows, write_compartments};
use super::{Reply, RolledBack, WriterParts};
use crate::assemble::PreparedEntry;
use crate::head_file::HeadFile;
use crate::index::PackedIndex;
use crate::journal::{Journal, JournalPlace, Waiting};
use crate::keys::Kid;
use crate::port::change::{ChangeKind, CommitError, EntryReceipt, Expected, Receipt};
use crate::port::doc::DocExpected;
use crate::port::error::StoreError;
use crate::port::ledger::Log;
use crate::port::resource::Head;
use crate::prepare::{PreparedChange, PreparedDoc, PreparedUnit};

/// The writer's own things; lives on its thread.
pub(super) struct Core {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) tenant: TenantId,
    pub(super) shared: Arc<Shared>,
    pub(super) keyring: Arc<Sealing>,
    journal: Arc<Journal>,
    pub(super) recent: Arc<Recent>,
    pub(super) logs: [LogState; 2],
    /// This run of the process, in leaves.
    writer: Uuid,
    /// The greatest version row: a greater one needs no look whether it is taken.
    greatest: i64,
    pub(super) rolled_back: Option<RolledBack>,
    stuck: bool,
    synced_ns: u64,
    fold: Fold,
    /// Destroyed keys whose patients' old pages may still lie in the write-ahead log.
    pub(super) erasing: Vec<Kid>,
}

/// A head as the writer reads it.
struct HeadRow {
    head: Head,
    pm: i64,
    ix: Vec<u8>,
}

/// A unit's answer: done, or refused by its own conditions.
type Answer = Result<Receipt, CommitError>;

impl Core {
    pub(super) fn open(parts: WriterParts) -> Result<Self, StoreError> {
        let WriterParts {
            shared,
            keyring,
            journal,
            recent,
            tenant,
            places,
        } = parts;
        let path = places.record();
        let connection = open_writer(&path, &MIGRATIONS, shared.settings.cache_kib)?;
        let open_log = |log: Log| {
            let head =
                HeadFile::open(&places.heads.join(format!("{tenant}-{}.head", log.as_str())))?;
            LogState::open(
                &connection,
                log,
                &shared.settings.instance,
                tenant,
                &shared.signer,
                head,
            )
            .map_err(|error| into_store(&path, error))
        };
        let logs = [open_log(Log::Changes)?, open_log(Log::Access)?];
        let engine = |error| failed(&path, error);
        let rolled_back = compare(&connection, tenant, &logs).map_err(engine)?;
        let greatest: Option<i64> = connection
            .query_row("SELECT max(vid) FROM ver", [], |row| row.get(0))
            .map_err(engine)?;
        let moved = connection
            .query_row("SELECT (SELECT v FROM meta WHERE k = 'moved-file'), (SELECT v FROM meta WHERE k = 'moved-offset')", [], |row| {
                Ok((row.get::<_, Option<u64>>(0)?, row.get::<_, Option<u64>>(1)?))
            })
            .map_err(engine)?;
        journal.recover(JournalPlace {
            file: moved.0.unwrap_or_default(),
            offset: moved.1.unwrap_or_default(),
        })?;
        let mut core = Self {
            fold: Fold::new(&path),
            erasing: Vec::new(),
            writer: shared.ids.uuid(),
            synced_ns: shared.clock.monotonic_ns(),
            connection,
            path,
            tenant,
            shared,
            keyring,
            journal,
            recent,
            logs,
            greatest: greatest.unwrap_or_default(),
            rolled_back,
            stuck: false,
        };
        if rolled_back.is_none() {
            core.publish();
        }
        core.repeat_erasures()?;
        Ok(core)
    }

    pub(super) fn looks_wait(&self) -> bool {
        self.rolled_back.is_none() && self.journal.backlog() > 0
    }
    pub(super) fn backlog_is_large(&self) -> bool {
        self.journal.backlog() >= self.shared.settings.access_backlog / 2
    }
    /// Whether everything that waited is in the logs.
    pub(super) fn settled(&mut self) -> Result<(), ()> {
        self.logs.iter_mut().for_each(LogState::sync);
        if self.stuck { Err(()) } else { Ok(()) }
    }

    /// Commits units and answers them, moving waiting looks along.
    pub(super) fn commit(
        &mut self,
        units: Vec<(Box<PreparedUnit>, Reply<Receipt, CommitError>)>,
        looks: usize,
    ) {
        let (mut units, replies): (Vec<Box<PreparedUnit>>, Vec<_>) = units.into_iter().unzip();
        let waiting = if self.rolled_back.is_none() {
            self.journal.take(looks)
        } else {
            Vec::new()
        };
        match self.transact(&mut units, waiting) {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _ = reply.send(answer);
                }
            }
            // One bad unit must not fail its neighbours: each by itself.
            Err(StoreError::Engine(_)) if units.len() > 1 => {
                for (unit, reply) in units.into_iter().zip(replies) {
                    let answer = self.transact(&mut [unit], Vec::new());
                    let answer = answer.map_err(CommitError::Store).and_then(|mut answers| {
                        answers
                            .pop()
                            .unwrap_or(Err(CommitError::Malformed("no answer")))
                    });
                    let _ = reply.send(answer);
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(CommitError::Store(again(&error))));
                }
            }
        }
        self.sync_heads_if_due();
        self.fold();
    }

    /// Moves waiting looks into the access log.
    pub(super) fn move_looks(&mut self, at_most: usize) {
        if self.rolled_back.is_some() {
            return;
        }
        let waiting = self.journal.take(at_most);
        if waiting.is_empty() {
            self.stuck = false;
            return;
        }
        if let Err(error) = self.transact(&mut [], waiting) {
            tracing::error!(tenant = %self.tenant, %error, "looks stay in the journal");
        }
        self.fold();
    }

    fn transact(
        &mut self,
        units: &mut [Box<PreparedUnit>],
        mut waiting: Vec<Waiting>,
    ) -> Result<Vec<Answer>, StoreError> {
        let undo = [self.logs[0].undo(), self.logs[1].undo()];
        let greatest = self.greatest;
        let recent = Arc::clone(&self.recent);
        let changes = units.iter().flat_map(|unit| &unit.changes);
        // A first version can hide nothing that was read before.
        let _closed = recent.close(
            changes
                .filter(|change| change.version.0 > 1)
                .map(|change| change.rh),
        );
        let moved = waiting.last().map(|last| last.end);
        let outcome = self.store_new_keys().and_then(|()| {
            self.try_transact(units, &mut waiting, moved)
                .map_err(|error| into_store(&self.path, error))
        });
        match outcome {
            Ok(answers) => {
                self.publish();
                if let Some(moved) = moved {
                    self.journal.moved(moved);
                }
                self.stuck = false;
                Ok(answers)
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                for (log, undo) in self.logs.iter_mut().zip(undo) {
                    log.restore(undo);
                }
                self.greatest = greatest;
                if !waiting.is_empty() {
                    self.journal.put_back(waiting);
                    self.stuck = true;
                }
                self.shared.meters.failed();
                Err(error)
            }
        }
    }

    /// After a commit: head files, and what is shown of the logs.
    pub(super) fn publish(&mut self) {
        let now = self.shared.clock.monotonic_ns();
        for log in &mut self.logs {
            log.committed(now);
        }
    }

    /// New data keys go to their file before anything sealed with them goes to the record.
    pub(super) fn store_new_keys(&self) -> Result<(), StoreError> {
        let pending = self.keyring.keys.pending();
        if !pending.is_empty() {
            self.keyring.db.add(&pending)?;
            self.keyring.keys.stored(&pending);
        }
        Ok(())
    }

    fn try_transact(
        &mut self,
        units: &mut [Box<PreparedUnit>],
        waiting: &mut [Waiting],
        moved: Option<JournalPlace>,
    ) -> Result<Vec<Answer>, ReadError> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        let mut rows = PendingRows::default();
        let mut answers = Vec::with_capacity(units.len());
        for unit in units {
            answers.push(match self.refusal(unit, &mut rows)? {
                Ok(heads) => Ok(self.write(unit, heads, &mut rows)?),
                Err(refused) => Err(refused),
            });
        }
        rows.flush(&self.connection)?;
        for look in waiting {
            if look.after_gap {
                self.logs[1].skip_counter();
            }
            self.append(&mut look.entry)?;
        }
        if let Some(moved) = moved {
            let mut set = self
                .connection
                .prepare_cached("INSERT OR REPLACE INTO meta (k, v) VALUES (?1, ?2)")?;
            set.execute(params!["moved-file", moved.file])?;
            set.execute(params!["moved-offset", moved.offset])?;
        }
        self.finish_logs()?;
        let clock = &self.shared.clock;
        let begun = clock.monotonic_ns();
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        let took = clock.monotonic_ns().saturating_sub(begun);
        self.shared.meters.committed(answers.len(), took);
        Ok(answers)
    }

    pub(super) fn finish_logs(&mut self) -> Result<(), ReadError> {
        for log in &mut self.logs {
            log.finish(&self.connection, &self.shared.signer)?;
        }
        Ok(())
    }

    pub(super) fn append(&mut self, entry: &mut PreparedEntry) -> Result<EntryReceipt, ReadError> {
        let [changes, access] = &mut self.logs;
        let log = match entry.log {
            Log::Changes => changes,
            Log::Access => access,
        };
        log.append(&self.connection, self.writer, entry)
    }

    /// Reads every condition of a unit: the heads of its changes, or why it is refused.
    fn refusal(
        &self,
        unit: &PreparedUnit,
        rows: &mut PendingRows,
    ) -> Result<Result<Vec<Option<HeadRow>>, CommitError>, ReadError> {
        if self.seals_with_a_destroyed_key(unit) {
            // Preparing it again makes a new key.
            return Ok(Err(StoreError::Busy.into()));
        }
        let mut heads = Vec::with_capacity(unit.changes.len());
        for change in &unit.changes {
            let head = self.head(change)?;
            if let Some(refused) = self.stale(change, head.as_ref())? {
                return Ok(Err(refused));
            }
            heads.push(head);
        }
        if !unit.guards.is_empty() {
            rows.flush(&self.connection)?;
            let limit = self.shared.settings.search_limit;
            if let Some(refused) =
                guards::refusal(&self.connection, &self.shared.clock, limit, &unit.guards)?
            {
                return Ok(Err(refused));
            }
        }
        for (at, doc) in unit.docs.iter().enumerate() {
            let twice = unit.docs.iter().take(at).any(|other| {
                (other.kind == doc.kind && other.id == doc.id)
                    || other
                        .lookups
                        .iter()
                        .any(|(_, v)| doc.lookups.iter().any(|(_, w)| v == w))
            });
            if twice {
                return Ok(Err(CommitError::Malformed(
                    "a document or look-up appears twice",
                )));
            }
            if let Some(refused) = self.doc_conflict(doc)? {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(heads))
    }

    /// Whether a patient's key was destroyed since the unit was prepared.
    fn seals_with_a_destroyed_key(&self, unit: &PreparedUnit) -> bool {
        let erased = self.keyring.erased.read();
        let destroyed = |entry: &PreparedEntry| {
            let key = entry.leaf.key.as_ref();
            key.is_some_and(|key| erased.contains(&key.0))
        };
        !erased.is_empty()
            && (unit.entries.iter().any(destroyed)
                || unit
                    .changes
                    .iter()
                    .any(|change| erased.contains(&change.kid) || destroyed(&change.entry)))
    }

    fn head(&self, change: &PreparedChange) -> Result<Option<HeadRow>, ReadError> {
        Ok(self
            .connection
            .prepare_cached("SELECT rid, ver, vid, kind, pm, ix FROM res INDEXED BY res_rh WHERE rh = ?1 AND ty = ?2 AND fid = ?3")?
            .query_row(params![change.rh, change.key.ty.0, change.key.id.as_str()], |row| {
                Ok(HeadRow {
                    head: Head {
                        row: RowId(row.get(0)?),
                        version: VersionId(row.get(1)?),
                        version_row: RowId(row.get(2)?),
                        kind: search::kind_of(row.get(3)?),
                    },
                    pm: row.get(4)?,
                    ix: row.get(5)?,
                })
            })
            .optional()?)
    }

    fn stale(
        &self,
        change: &PreparedChange,
        found: Option<&HeadRow>,
    ) -> Result<Option<CommitError>, ReadError> {
        let current = found.map(|row| row.head);
        let fits = match (change.expected, current) {
            (Expected::Absent, None) => true,
            (Expected::Version(version), Some(head)) => head.version == version,
            _ => false,
        };
        if !fits {
            return Ok(Some(CommitError::Stale {
                key: change.key.clone(),
                current,
            }));
        }
        if let Some(head) = current
            && (head.row != change.row || change.version_row <= head.version_row)
        {
            return Ok(Some(CommitError::Malformed(
                "a version's row does not follow its head",
            )));
        }
        if change.version_row.0 <= self.greatest {
            let taken = self
                .connection
                .prepare_cached("SELECT 1 FROM ver WHERE vid = ?1")?
                .exists([change.version_row.0])?;
            if taken {
                return Ok(Some(CommitError::Malformed("a row id is taken")));
            }
        }
        Ok(None)
    }

    fn doc_conflict(&self, doc: &PreparedDoc) -> Result<Option<CommitError>, ReadError> {
        let kind = doc.kind.number();
        let version: Option<u32> = self
            .connection
            .prepare_cached("SELECT version FROM doc WHERE kind = ?1 AND id = ?2")?
            .query_row(params![kind, doc.id], |row| row.get(0))
            .optional()?;
        let fits = match doc.expected {
            DocExpected::Any => true,
            DocExpected::Absent => version.is_none(),
            DocExpected::Version(expected) => version == Some(expected),
        };
        let conflict = |lookup| {
            Some(CommitError::DocConflict {
                kind: doc.kind,
                id: doc.id.clone(),
                lookup,
            })
        };
        if !fits {
            return Ok(conflict(None));
        }
        for (name, v) in &doc.lookups {
            let holder: Option<String> = self
                .connection
                .prepare_cached("SELECT id FROM doc_lookup WHERE v = ?1")?
                .query_row([v.as_slice()], |row| row.get(0))
                .optional()?;
            if holder.is_some_and(|holder| holder != doc.id) {
                return Ok(conflict(Some(name)));
            }
        }
        Ok(None)
    }

    /// Writes a unit whose conditions hold.
    fn write(
        &mut self,
        unit: &mut PreparedUnit,
        heads: Vec<Option<HeadRow>>,
        rows: &mut PendingRows,
    ) -> Result<Receipt, ReadError> {
        let mut entries = Vec::with_capacity(unit.changes.len() + unit.entries.len());
        for (change, head) in unit.changes.iter_mut().zip(heads) {
            self.write_change(change, head, rows)?;
            entries.push(self.append(&mut change.entry)?);
        }
        for doc in &unit.docs {
            write_doc(&self.connection, doc)?;
        }
        for entry in &mut unit.entries {
            entries.push(self.append(entry)?);
        }
        Ok(Receipt {
            origin: self.logs[0].origin.to_string(),
            entries,
        })
    }

    fn write_change(
        &mut self,
        change: &mut PreparedChange,
        head: Option<HeadRow>,
        rows: &mut PendingRows,
    ) -> Result<(), ReadError> {
        let connection = &self.connection;
        let (rid, vid, kind) = (change.row.0, change.version_row.0, change.kind as u8);
        let (ty, ver, pm) = (
            change.key.ty.0,
            change.version.0,
            change.index.presence() as i64,
        );
        connection
            .prepare_cached(
                "INSERT INTO ver (vid, rid, ver, ty, kind, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![vid, rid, ver, ty, kind, change.body])?;
        let deletes = change.kind == ChangeKind::Delete;
        match head {
            None => {
                statement(connection, "INSERT INTO res (rid, rh, ty, fid, ver, vid, kind, kid, pm, ix) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?
                    .execute(params![rid, change.rh, ty, change.key.id.as_str(), ver, vid, kind, change.kid.as_slice(), pm, change.ix])?;
                rows.collect(rid, &change.index, true);
                write_compartments(connection, rid, &change.index, false)?;
            }
            Some(old) => {
                statement(connection, "UPDATE res SET ver = ?2, vid = ?3, kind = ?4, kid = ?5, pm = ?6, ix = ?7 WHERE rid = ?1")?
                    .execute(params![rid, ver, vid, kind, change.kid.as_slice(), pm, if deletes { &[] } else { change.ix.as_slice() }])?;
                let before = PackedIndex::decode(&old.ix, old.pm as u64).map_err(|error| {
                    StoreError::Damaged {
                        place: "res.ix".to_owned(),
                        detail: error.to_string(),
                    }
                })?;
                rows.change(rid, &PackedIndex::difference(&before, &change.index));
                if !deletes {
                    write_compartments(connection, rid, &change.index, true)?;
                }
            }
        }
        self.greatest = self.greatest.max(vid);
        Ok(())
    }

    fn sync_heads_if_due(&mut self) {
        if self
            .shared
            .clock
            .monotonic_ns()
            .saturating_sub(self.synced_ns)
            >= 1_000_000_000
        {
            self.sync_heads();
        }
    }
    pub(super) fn sync_heads(&mut self) {
        self.logs.iter_mut().for_each(LogState::sync);
        if let Err(error) = self.retry_erasures() {
            tracing::error!(tenant = %self.tenant, %error, "an erasure is not finished");
        }
        self.synced_ns = self.shared.clock.monotonic_ns();
    }
    /// The first thing on the writer's thread.
    pub(super) fn begin_on_this_thread(&self) {
        Fold::watch(&self.connection);
    }
    /// After the answers: keeps the write-ahead log short.
    pub(super) fn fold(&mut self) {
        self.fold.after_commit(&self.connection);
    }
    pub(super) fn fold_finish(&mut self) {
        self.fold.finish();
    }
    /// The last thing: heads durable, the write-ahead log folded into the database.
    pub(super) fn close(&mut self) {
        self.sync_heads();
        self.fold.finish();
        let _ = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

fn statement<'c>(connection: &'c Connection, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
    connection.prepare_cached(sql)
}

fn write_doc(connection: &Connection, doc: &PreparedDoc) -> rusqlite::Result<()> {
    let kind = doc.kind.number();
    connection
        .prepare_cached("DELETE FROM doc_lookup WHERE kind = ?1 AND id = ?2")?
        .execute(params![kind, doc.id])?;
    let Some(body) = &doc.body else {
        connection
            .prepare_cached("DELETE FROM doc WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind, doc.id])?;
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO doc (kind, id, version, updated, expires, body) VALUES (?1, ?2, 1, ?3, ?4, ?5)
             ON CONFLICT (kind, id) DO UPDATE SET version = version + 1, updated = ?3, expires = ?4, body = ?5",
        )?
        .execute(params![kind, doc.id, doc.updated, doc.expires, body])?;
    for (_, v) in &doc.lookups {
        connection
            .prepare_cached("INSERT INTO doc_lookup (v, kind, id) VALUES (?1, ?2, ?3)")?
            .execute(params![v.as_slice(), kind, doc.id])?;
    }
    Ok(())
}

/// Compares the logs with what their head files say was published.
fn compare(
    connection: &Connection,
    tenant: TenantId,
    logs: &[LogState; 2],
) -> rusqlite::Result<Option<RolledBack>> {
    for log in logs {
        let Some(known) = log.published() else {
            continue;
        };
        let rolled_back = RolledBack {
            tenant,
            log: log.log,
            found: log.size(),
            known: known.size,
        };
        if known.size > log.size() {
            return Ok(Some(rolled_back));
        }
        let note: Option<String> = connection
            .query_row(
                "SELECT note FROM log_checkpoint WHERE log = ?1 AND size = ?2",
                params![log.log as u8, known.size],
                |row| row.get(0),
            )
            .optional()?;
        let same = note
            .is_some_and(|note| note.lines().nth(2) == Some(Hash(known.root).to_base64().as_str()));
        if !same {
            return Ok(Some(rolled_back));
        }
    }
    Ok(None)
}

pub(super) fn into_store(path: &std::path::Path, error: ReadError) -> StoreError {
    match error {
        ReadError::Engine(error) => failed(path, error),
        ReadError::Store(error) => error,
    }
}

/// The same error once more, for the next waiting unit.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full { place } => StoreError::Full {
            place: place.clone(),
        },
        StoreError::ReadOnly { place } => StoreError::ReadOnly {
            place: place.clone(),
        },
        StoreError::Damaged { place, detail } => StoreError::Damaged {
            place: place.clone(),
            detail: detail.clone(),
        },
        StoreError::Busy => StoreError::Busy,
        StoreError::Key { key } => StoreError::Key { key: key.clone() },
        other => StoreError::Engine(other.to_string()),
    }
}
