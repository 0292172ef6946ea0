//! New index entries for current versions, in one transaction on the writer's thread: whoever changed a
//! resource meanwhile made its entries anew, and those stay.

use rusqlite::{OptionalExtension as _, params};

use super::super::readers::ReadError;
use super::batch::{Core, into_store};
use super::rows::{PendingRows, write_compartments};
use crate::index::PackedIndex;
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::reindex::Reindexed;

/// A version's new entries with the hash of its name.
pub(in crate::sqlite) struct ReindexRow {
    pub(in crate::sqlite) rh: i64,
    pub(in crate::sqlite) new: Reindexed,
}

struct Found {
    rid: i64,
    version: u32,
    kind: u8,
    pm: i64,
    ix: Vec<u8>,
}

impl Core {
    /// Replaces index entries; answers of how many versions.
    pub(super) fn reindex(&mut self, rows: &[ReindexRow]) -> Result<u64, StoreError> {
        if let Some(state) = self.rolled_back {
            return Err(state.into());
        }
        let outcome = self.try_reindex(rows);
        if outcome.is_err() && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.fold();
        outcome.map_err(|error| into_store(&self.path, error))
    }

    fn try_reindex(&self, rows: &[ReindexRow]) -> Result<u64, ReadError> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        let mut pending = PendingRows::default();
        let mut replaced = 0;
        for row in rows {
            let Some(found) = self.found(row)? else {
                continue;
            };
            let gone = [ChangeKind::Delete as u8, ChangeKind::Erase as u8].contains(&found.kind);
            if gone || found.version != row.new.version.0 {
                continue;
            }
            let damaged = |detail: String| StoreError::Damaged {
                place: "res.ix".to_owned(),
                detail,
            };
            let before = PackedIndex::decode(&found.ix, found.pm as u64)
                .map_err(|error| damaged(error.to_string()))?;
            let after = &row.new.index;
            pending.change(found.rid, &PackedIndex::difference(&before, after));
            write_compartments(&self.connection, found.rid, after, true)?;
            self.connection
                .prepare_cached("UPDATE res SET pm = ?2, ix = ?3 WHERE rid = ?1")?
                .execute(params![found.rid, after.presence() as i64, after.encode()])?;
            replaced += 1;
        }
        pending.flush(&self.connection)?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(replaced)
    }

    fn found(&self, row: &ReindexRow) -> rusqlite::Result<Option<Found>> {
        let key = &row.new.key;
        self.connection
            .prepare_cached("SELECT rid, ver, kind, pm, ix FROM res INDEXED BY res_rh WHERE rh = ?1 AND ty = ?2 AND fid = ?3")?
            .query_row(params![row.rh, key.ty.0, key.id.as_str()], |found| {
                Ok(Found {
                    rid: found.get(0)?,
                    version: found.get(1)?,
                    kind: found.get(2)?,
                    pm: found.get(3)?,
                    ix: found.get(4)?,
                })
            })
            .optional()
    }
}
