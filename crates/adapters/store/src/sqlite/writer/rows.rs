//! Index rows of a batch, collected and written in key order: neighbours share pages. Must be flushed
//! before anything in the same transaction searches.

use rusqlite::{Connection, params};

use crate::index::{COMPARTMENT, Difference, PackedIndex, is_link};

#[derive(Default)]
pub(super) struct PendingRows {
    keys: Vec<(u16, i64, i64, bool)>,
    ranges: Vec<(u16, i64, i64, i64, i64, bool)>,
    texts: Vec<(u16, String, i64, bool)>,
}

impl PendingRows {
    /// Collects what an update removes and adds for a row.
    pub(super) fn change(&mut self, rid: i64, difference: &Difference) {
        self.collect(rid, &difference.removed, false);
        self.collect(rid, &difference.added, true);
    }

    /// Collects all of an index, to add or to remove.
    pub(super) fn collect(&mut self, rid: i64, index: &PackedIndex, add: bool) {
        self.keys
            .extend(index.keys().iter().map(|row| (row.p, row.v, rid, add)));
        self.ranges.extend(
            index
                .ranges()
                .iter()
                .map(|row| (row.p, row.u, row.lo, row.hi, rid, add)),
        );
        self.texts.extend(
            index
                .texts()
                .iter()
                .map(|row| (row.p, row.v.clone(), rid, add)),
        );
    }

    /// Writes all, in key order; of several changes of the same row the last one counts, as sorting is
    /// stable.
    pub(super) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.flush_links(connection)?;
        self.keys.sort_by_key(|(p, v, rid, _)| (*p, *v, *rid));
        if !self.keys.is_empty() {
            let mut insert = connection
                .prepare_cached("INSERT OR IGNORE INTO ix_key (p, v, rid) VALUES (?1, ?2, ?3)")?;
            let mut delete = connection
                .prepare_cached("DELETE FROM ix_key WHERE p = ?1 AND v = ?2 AND rid = ?3")?;
            for (p, v, rid, add) in self.keys.drain(..) {
                if add {
                    insert.execute(params![p, v, rid])?
                } else {
                    delete.execute(params![p, v, rid])?
                };
            }
        }
        self.ranges
            .sort_by_key(|(p, u, lo, hi, rid, _)| (*p, *u, *lo, *hi, *rid));
        if !self.ranges.is_empty() {
            let mut insert = connection.prepare_cached(
                "INSERT OR IGNORE INTO ix_rng (p, u, lo, hi, rid) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            let mut delete = connection.prepare_cached(
                "DELETE FROM ix_rng WHERE p = ?1 AND u = ?2 AND lo = ?3 AND hi = ?4 AND rid = ?5",
            )?;
            for (p, u, lo, hi, rid, add) in self.ranges.drain(..) {
                let row = params![p, u, lo, hi, rid];
                if add {
                    insert.execute(row)?
                } else {
                    delete.execute(row)?
                };
            }
        }
        self.texts
            .sort_by(|(p, v, rid, _), (q, w, sid, _)| (p, v, rid).cmp(&(q, w, sid)));
        if !self.texts.is_empty() {
            let mut insert = connection
                .prepare_cached("INSERT OR IGNORE INTO ix_txt (p, v, rid) VALUES (?1, ?2, ?3)")?;
            let mut delete = connection
                .prepare_cached("DELETE FROM ix_txt WHERE p = ?1 AND v = ?2 AND rid = ?3")?;
            for (p, v, rid, add) in self.texts.drain(..) {
                if add {
                    insert.execute(params![p, v, rid])?
                } else {
                    delete.execute(params![p, v, rid])?
                };
            }
        }
        Ok(())
    }

    /// What resources refer to, also by resource.
    fn flush_links(&self, connection: &Connection) -> rusqlite::Result<()> {
        let links = self.keys.iter().filter(|(p, ..)| is_link(*p));
        let mut links: Vec<_> = links.map(|(p, v, rid, add)| (*rid, *p, *v, *add)).collect();
        if links.is_empty() {
            return Ok(());
        }
        links.sort_by_key(|(rid, p, v, _)| (*rid, *p, *v));
        let mut insert = connection
            .prepare_cached("INSERT OR IGNORE INTO ix_ref (rid, p, v) VALUES (?1, ?2, ?3)")?;
        let mut delete =
            connection.prepare_cached("DELETE FROM ix_ref WHERE rid = ?1 AND p = ?2 AND v = ?3")?;
        for (rid, p, v, add) in links {
            if add {
                insert.execute(params![rid, p, v])?
            } else {
                delete.execute(params![rid, p, v])?
            };
        }
        Ok(())
    }
}

/// Writes a row's compartments. They are few and lie at the end of their table: no sorting.
pub(super) fn write_compartments(
    connection: &Connection,
    rid: i64,
    index: &PackedIndex,
    replace: bool,
) -> rusqlite::Result<()> {
    if replace {
        connection
            .prepare_cached("DELETE FROM ix_pat WHERE rid = ?1")?
            .execute([rid])?;
    }
    for row in index.keys().iter().take_while(|row| row.p == COMPARTMENT) {
        connection
            .prepare_cached("INSERT OR IGNORE INTO ix_pat (rid, v) VALUES (?1, ?2)")?
            .execute([rid, row.v])?;
    }
    Ok(())
}
