//! Erasure: the record says so first (entry, heads, index rows, the destroyed keys' ids), in one commit;
//! then the list outside the databases; then the keys go. A crash in between is finished at the next open,
//! and a backup put back is brought up to date the same way.

use ::ledger::leaf::KeyId;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::readers::ReadError;
use super::super::schema::BUSY;
use super::batch::{Core, into_store};
use super::rows::PendingRows;
use crate::assemble::PreparedEntry;
use crate::index::PackedIndex;
use crate::keys::{Kid, SubjectTag};
use crate::port::change::{ChangeKind, CommitError};
use crate::port::error::StoreError;

/// How long an erasure waits for readers of the write-ahead log before it is finished later.
const PATIENCE: Duration = Duration::from_secs(1);

impl Core {
    /// Destroys a patient's data keys; answers how many resources lost their content.
    pub(super) fn erase(
        &mut self,
        tag: &SubjectTag,
        mut entry: PreparedEntry,
    ) -> Result<u64, CommitError> {
        if let Some(state) = self.rolled_back {
            return Err(CommitError::Store(state.into()));
        }
        self.store_new_keys()?;
        let kids: Vec<Kid> = self
            .keyring
            .db
            .by_subject(tag)?
            .into_iter()
            .map(|dek| dek.kid)
            .collect();
        entry.leaf.erased = kids.first().map(|kid| KeyId(*kid));
        let undo = [self.logs[0].undo(), self.logs[1].undo()];
        let recent = std::sync::Arc::clone(&self.recent);
        let _closed = recent.close_all();
        let affected = match self.record_erasure(&kids, &mut entry) {
            Ok(affected) => affected,
            Err(error) => {
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                for (log, undo) in self.logs.iter_mut().zip(undo) {
                    log.restore(undo);
                }
                return Err(into_store(&self.path, error).into());
            }
        };
        self.publish();
        self.destroy(tag, &kids)?;
        Ok(affected)
    }

    fn record_erasure(
        &mut self,
        kids: &[Kid],
        entry: &mut PreparedEntry,
    ) -> Result<u64, ReadError> {
        self.connection
            .execute_batch("PRAGMA secure_delete = ON; BEGIN IMMEDIATE")?;
        let mut affected = 0;
        for kid in kids {
            affected += empty_heads(&self.connection, kid)?;
            self.connection.execute(
                "INSERT OR IGNORE INTO erasure (kid, done) VALUES (?1, 0)",
                [kid.as_slice()],
            )?;
        }
        self.append(entry)?;
        self.finish_logs()?;
        self.connection
            .execute_batch("COMMIT; PRAGMA secure_delete = OFF")?;
        Ok(affected)
    }

    fn destroy(&mut self, tag: &SubjectTag, kids: &[Kid]) -> Result<(), StoreError> {
        self.keyring.erased.write().extend(kids.iter().copied());
        self.keyring.keys.forget(tag, kids);
        self.shared.erased.add(self.tenant, kids)?;
        self.keyring.db.destroy(kids)?;
        // Whoever read them from the file before that has let them go or sees that they are destroyed.
        self.keyring.keys.forget(tag, kids);
        self.erasing.extend(kids.iter().copied());
        // Nothing else may be folding, or the log would not be cut off.
        self.fold_finish();
        self.wait_at_most(PATIENCE)?;
        let outcome = self.finish_erasures();
        self.wait_at_most(BUSY)?;
        outcome
    }

    /// Old pages with index rows of the patient lie in the write-ahead log until it is cut off, and an
    /// erasure is done only then; somebody who reads for long puts it off.
    pub(super) fn finish_erasures(&mut self) -> Result<(), StoreError> {
        if self.erasing.is_empty() {
            return Ok(());
        }
        let work = || -> rusqlite::Result<bool> {
            let busy: i64 =
                self.connection
                    .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            if busy != 0 {
                return Ok(false);
            }
            for kid in &self.erasing {
                self.connection.execute(
                    "UPDATE erasure SET done = 1 WHERE kid = ?1",
                    [kid.as_slice()],
                )?;
            }
            Ok(true)
        };
        if work().map_err(|error| into_store(&self.path, error.into()))? {
            self.erasing.clear();
        } else {
            tracing::warn!(tenant = %self.tenant, "an erasure waits for a long read to cut the write-ahead log");
        }
        Ok(())
    }

    /// About once a second: without waiting for readers, so that a long one holds nobody up.
    pub(super) fn retry_erasures(&mut self) -> Result<(), StoreError> {
        if self.erasing.is_empty() {
            return Ok(());
        }
        self.fold_finish();
        self.wait_at_most(Duration::ZERO)?;
        let outcome = self.finish_erasures();
        self.wait_at_most(BUSY)?;
        outcome
    }

    fn wait_at_most(&self, time: Duration) -> Result<(), StoreError> {
        self.connection
            .busy_timeout(time)
            .map_err(|error| into_store(&self.path, error.into()))
    }

    /// At open: finishes erasures that a crash cut short, and repeats those that a backup put back undid.
    pub(super) fn repeat_erasures(&mut self) -> Result<(), StoreError> {
        let pending = || -> rusqlite::Result<Vec<Kid>> {
            self.connection
                .prepare("SELECT kid FROM erasure WHERE done = 0")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        let mut kids = pending().map_err(|error| into_store(&self.path, error.into()))?;
        let listed: Vec<Kid> = self.keyring.erased.read().iter().copied().collect();
        for kid in listed {
            if !kids.contains(&kid) && self.keyring.db.by_kid(&kid)?.is_some() {
                kids.push(kid);
            }
        }
        if kids.is_empty() {
            let known = || -> rusqlite::Result<Vec<Kid>> {
                self.connection
                    .prepare("SELECT kid FROM erasure")?
                    .query_map([], |row| row.get(0))?
                    .collect()
            };
            let known = known().map_err(|error| into_store(&self.path, error.into()))?;
            self.keyring.erased.write().extend(known);
            return Ok(());
        }
        let work = || -> Result<(), ReadError> {
            self.connection
                .execute_batch("PRAGMA secure_delete = ON; BEGIN IMMEDIATE")?;
            for kid in &kids {
                empty_heads(&self.connection, kid)?;
                self.connection.execute(
                    "INSERT OR IGNORE INTO erasure (kid, done) VALUES (?1, 0)",
                    [kid.as_slice()],
                )?;
            }
            self.connection
                .execute_batch("COMMIT; PRAGMA secure_delete = OFF")?;
            Ok(())
        };
        work().map_err(|error| into_store(&self.path, error))?;
        let tags = kids
            .iter()
            .filter_map(|kid| self.keyring.db.by_kid(kid).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        for stored in tags {
            self.destroy(&stored.subject, &[stored.kid])?;
        }
        // Those whose key was gone already only lack the mark.
        self.destroy(&[0xff; 16], &kids)?;
        // Nobody reads yet, so the log was cut off; if not, it is tried again after a commit.
        if self.erasing.is_empty() {
            self.repeat_erasures()
        } else {
            Ok(())
        }
    }
}

/// Marks the heads sealed under a key as erased and drops what they were found by.
fn empty_heads(connection: &Connection, kid: &Kid) -> Result<u64, ReadError> {
    let heads: Vec<(i64, Vec<u8>)> = connection
        .prepare("SELECT rid, ix FROM res WHERE kid = ?1 AND kind <> ?2")?
        .query_map(params![kid.as_slice(), ChangeKind::Erase as u8], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut rows = PendingRows::default();
    for (rid, ix) in &heads {
        let index = PackedIndex::decode(ix, 0).map_err(|error| StoreError::Damaged {
            place: "res.ix".to_owned(),
            detail: error.to_string(),
        })?;
        rows.collect(*rid, &index, false);
        connection
            .prepare_cached("DELETE FROM ix_pat WHERE rid = ?1")?
            .execute([rid])?;
        connection
            .prepare_cached("UPDATE res SET kind = ?2, pm = 0, ix = x'' WHERE rid = ?1")?
            .execute(params![rid, ChangeKind::Erase as u8])?;
    }
    rows.flush(connection)?;
    Ok(heads.len() as u64)
}
