//! A log as its writer holds it: the tree's right edge in memory, rows appended in the transaction, one
//! signed checkpoint per batch, the head file after the commit.

use std::sync::Arc;

use ::ledger::origin::LogKind;
use ::ledger::{Checkpoint, Edge, Hash, Origin, SigningKey, leaf_hash};
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::super::readers::ReadError;
use crate::assemble::PreparedEntry;
use crate::head_file::{HeadFile, PublishedHead};
use crate::meters::LogMeter;
use crate::port::change::EntryReceipt;
use crate::port::error::StoreError;
use crate::port::ledger::Log;

/// The table of a log's entries.
pub(in crate::sqlite) const fn entry_table(log: Log) -> &'static str {
    match log {
        Log::Changes => "log_changes",
        Log::Access => "log_access",
    }
}

/// A log's writer state.
pub(super) struct LogState {
    pub(super) log: Log,
    pub(super) origin: Origin,
    edge: Edge,
    counter: u64,
    /// Entries in committed batches.
    committed: u64,
    /// Whether the batch filled a tile, so that the stored edge moves on.
    filled: bool,
    /// Whom entries of the batch are about: written in the order of their keys, so that a page is touched
    /// once.
    subjects: Vec<(i64, u64)>,
    head_file: HeadFile,
    pub(super) meter: Arc<LogMeter>,
}

/// What a failed batch goes back to.
pub(super) struct Undo {
    edge: Edge,
    counter: u64,
}

/// The edge with the entries behind it.
fn replayed(connection: &Connection, log: Log, mut edge: Edge) -> Result<Edge, ReadError> {
    let sql = format!(
        "SELECT leaf FROM {} WHERE idx >= ?1 ORDER BY idx",
        entry_table(log)
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([edge.size()])?;
    while let Some(row) = rows.next()? {
        let leaf = row.get_ref(0)?.as_blob();
        edge.append(leaf_hash(leaf.map_err(rusqlite::Error::from)?));
    }
    Ok(edge)
}

impl LogState {
    /// Reads the log's state, or begins the log; replays entries onto the stored edge.
    pub(super) fn open(
        connection: &Connection,
        log: Log,
        instance: &str,
        tenant: kernel::TenantId,
        signer: &SigningKey,
        head_file: HeadFile,
    ) -> Result<Self, ReadError> {
        let kind = match log {
            Log::Changes => LogKind::Changes,
            Log::Access => LogKind::Access,
        };
        let stored: Option<(u32, u64, [u8; 32], Vec<u8>)> = connection
            .query_row(
                "SELECT epoch, size, root, edge FROM log_head WHERE log = ?1",
                [log as u8],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .optional()?;
        let origin = |epoch| Origin {
            instance: instance.to_owned(),
            tenant,
            kind,
            epoch,
        };
        let Some((epoch, size, root, edge)) = stored else {
            let mut state = Self {
                log,
                origin: origin(1),
                edge: Edge::empty(),
                counter: 0,
                committed: 0,
                filled: true,
                subjects: Vec::new(),
                head_file,
                meter: Arc::default(),
            };
            state.begin(connection, signer)?;
            return Ok(state);
        };
        let damaged = |detail: &str| StoreError::Damaged {
            place: format!("log {}", log.as_str()),
            detail: detail.to_owned(),
        };
        let edge = Edge::decode(&edge).map_err(|_| damaged("its edge cannot be read"))?;
        let edge = replayed(connection, log, edge)?;
        if edge.size() != size || edge.root() != Hash(root) {
            return Err(damaged("its entries do not give its root").into());
        }
        Ok(Self {
            log,
            origin: origin(epoch),
            edge,
            counter: 0,
            committed: size,
            filled: false,
            subjects: Vec::new(),
            head_file,
            meter: LogMeter::over(size),
        })
    }

    /// How many entries the log has.
    pub(super) fn size(&self) -> u64 {
        self.edge.size()
    }
    pub(super) fn published(&self) -> Option<PublishedHead> {
        self.head_file.known()
    }
    pub(super) fn undo(&self) -> Undo {
        Undo {
            edge: self.edge.clone(),
            counter: self.counter,
        }
    }
    pub(super) fn restore(&mut self, undo: Undo) {
        self.edge = undo.edge;
        self.counter = undo.counter;
        self.filled = false;
        self.subjects.clear();
    }

    /// Leaves out a counter: an entry that was acknowledged will never come.
    pub(super) fn skip_counter(&mut self) {
        self.counter += 1;
    }

    /// Appends an entry within the transaction.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        writer: Uuid,
        entry: &mut PreparedEntry,
    ) -> Result<EntryReceipt, ReadError> {
        self.counter += 1;
        let (bytes, leaf) = entry.number(writer, self.counter)?;
        let appended = self.edge.append(leaf);
        let insert = match self.log {
            Log::Changes => "INSERT INTO log_changes (idx, leaf, payload) VALUES (?1, ?2, ?3)",
            Log::Access => "INSERT INTO log_access (idx, leaf, payload) VALUES (?1, ?2, ?3)",
        };
        connection.prepare_cached(insert)?.execute(params![
            appended.index,
            bytes,
            entry.payload
        ])?;
        if let Some(subject) = entry.subject {
            self.subjects.push((subject, appended.index));
        }
        for tile in appended.tiles {
            connection
                .prepare_cached(
                    "INSERT INTO log_tile (log, level, idx, hashes) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![self.log as u8, tile.level, tile.index, tile.hashes])?;
            self.filled = true;
        }
        Ok(EntryReceipt {
            leaf,
            index: Some(appended.index),
        })
    }

    /// Writes head and checkpoint of what the batch appended, within its transaction.
    pub(super) fn finish(
        &mut self,
        connection: &Connection,
        signer: &SigningKey,
    ) -> Result<(), ReadError> {
        if !self.subjects.is_empty() {
            self.subjects.sort_unstable();
            let mut insert = connection
                .prepare_cached("INSERT INTO log_subject (log, s, idx) VALUES (?1, ?2, ?3)")?;
            for (subject, index) in self.subjects.drain(..) {
                insert.execute(params![self.log as u8, subject, index])?;
            }
        }
        if self.edge.size() > self.committed {
            self.write_head(connection, signer)
        } else {
            Ok(())
        }
    }

    /// Stores the empty log at once: one with a checkpoint and no head would not begin again. One that an
    /// older program left so is begun anew.
    fn begin(&mut self, connection: &Connection, signer: &SigningKey) -> Result<(), ReadError> {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute(
            "DELETE FROM log_checkpoint WHERE log = ?1 AND size = 0",
            [self.log as u8],
        )?;
        self.write_head(&transaction, signer)?;
        transaction.commit()?;
        Ok(())
    }

    fn write_head(
        &mut self,
        connection: &Connection,
        signer: &SigningKey,
    ) -> Result<(), ReadError> {
        let (size, root) = (self.edge.size(), self.edge.root());
        let checkpoint = Checkpoint {
            origin: self.origin.to_string(),
            size,
            root,
        };
        let note = checkpoint
            .sign(&[signer])
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        connection
            .prepare_cached("INSERT INTO log_checkpoint (log, size, note) VALUES (?1, ?2, ?3)")?
            .execute(params![self.log as u8, size, note])?;
        if self.filled {
            connection
                .prepare_cached("INSERT OR REPLACE INTO log_head (log, epoch, size, root, edge) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![self.log as u8, self.origin.epoch, size, root.0.as_slice(), self.edge.encode()])?;
        } else {
            connection
                .prepare_cached("UPDATE log_head SET size = ?2, root = ?3 WHERE log = ?1")?
                .execute(params![self.log as u8, size, root.0.as_slice()])?;
        }
        Ok(())
    }

    /// After the commit: the head file, and what is shown of the log. A failure weakens the detection of rollbacks, nothing more.
    pub(super) fn committed(&mut self, now_ns: u64) {
        self.filled = false;
        let size = self.edge.size();
        if size == self.committed && self.head_file.known().is_some_and(|head| head.size == size) {
            return;
        }
        if size > self.committed {
            self.meter.signed(size, now_ns);
        }
        self.committed = size;
        if let Err(error) = self.head_file.publish(PublishedHead {
            size,
            root: self.edge.root().0,
        }) {
            tracing::error!(log = self.log.as_str(), %error, "head file not written");
        }
    }

    pub(super) fn sync(&mut self) {
        if let Err(error) = self.head_file.sync() {
            tracing::error!(log = self.log.as_str(), %error, "head file not synced");
        }
    }
}
