//! Reads of the logs: heads, checkpoints, tiles, entries. Unfinished tiles are computed from what lies
//! below them, so that nothing but full tiles is ever stored.

use ::ledger::origin::{LogKind, Origin};
use ::ledger::tile::{TILE_WIDTH, Tile};
use ::ledger::{Hash, leaf_hash, node_hash};
use kernel::TenantId;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::readers::ReadError;
use super::writer::entry_table;
use crate::port::error::StoreError;
use crate::port::ledger::{Log, LogEntry, LogHead, StoredCheckpoint};

pub(super) fn head(
    connection: &Connection,
    tenant: TenantId,
    instance: &str,
    log: Log,
) -> Result<LogHead, ReadError> {
    let (epoch, size, root, checkpoint): (u32, u64, [u8; 32], String) = connection
        .prepare_cached(
            "SELECT h.epoch, h.size, h.root, c.note FROM log_head h
             JOIN log_checkpoint c ON c.log = h.log AND c.size = h.size WHERE h.log = ?1",
        )?
        .query_row([log as u8], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?
        .ok_or_else(|| missing(log))?;
    let kind = match log {
        Log::Changes => LogKind::Changes,
        Log::Access => LogKind::Access,
    };
    let origin = Origin {
        instance: instance.to_owned(),
        tenant,
        kind,
        epoch,
    };
    Ok(LogHead {
        origin: origin.to_string(),
        size,
        root: Hash(root),
        checkpoint,
    })
}

fn missing(log: Log) -> StoreError {
    StoreError::Damaged {
        place: format!("log {}", log.as_str()),
        detail: "its head is missing".to_owned(),
    }
}

pub(super) fn checkpoints(
    connection: &Connection,
    log: Log,
    after: Option<u64>,
    limit: u32,
) -> Result<Vec<StoredCheckpoint>, ReadError> {
    let after = after.map_or(-1, |after| after as i64);
    Ok(connection
        .prepare_cached("SELECT size, note FROM log_checkpoint WHERE log = ?1 AND size > ?2 ORDER BY size LIMIT ?3")?
        .query_map(params![log as u8, after, limit], |row| {
            Ok(StoredCheckpoint { size: row.get(0)?, note: row.get(1)? })
        })?
        .collect::<rusqlite::Result<_>>()?)
}

/// A tile as the tree of the current size has it.
pub(super) fn tile(
    connection: &Connection,
    log: Log,
    level: u8,
    index: u64,
) -> Result<Option<Vec<u8>>, ReadError> {
    let size: u64 = connection
        .prepare_cached("SELECT size FROM log_head WHERE log = ?1")?
        .query_row([log as u8], |row| row.get(0))
        .optional()?
        .ok_or_else(|| missing(log))?;
    if level >= 8 {
        return Ok(None);
    }
    let Some(tile) = Tile::in_tree(size, level, index) else {
        return Ok(None);
    };
    if tile.width == TILE_WIDTH {
        return full_tile(connection, log, level, index);
    }
    let first = index * u64::from(TILE_WIDTH);
    let mut hashes = Vec::with_capacity(usize::from(tile.width) * Hash::LEN);
    if level == 0 {
        let stored = entries(connection, log, first, u32::from(tile.width))?;
        for (entry, _) in stored
            .iter()
            .zip(first..)
            .take_while(|(entry, at)| entry.index == *at)
        {
            hashes.extend_from_slice(leaf_hash(&entry.leaf).as_bytes());
        }
    } else {
        for below in first..first + u64::from(tile.width) {
            let Some(below) = full_tile(connection, log, level - 1, below)? else {
                break;
            };
            hashes.extend_from_slice(tile_root(&below).as_bytes());
        }
    }
    Ok(Some(hashes))
}

fn full_tile(
    connection: &Connection,
    log: Log,
    level: u8,
    index: u64,
) -> Result<Option<Vec<u8>>, ReadError> {
    Ok(connection
        .prepare_cached("SELECT hashes FROM log_tile WHERE log = ?1 AND level = ?2 AND idx = ?3")?
        .query_row(params![log as u8, level, index], |row| row.get(0))
        .optional()?)
}

fn tile_root(hashes: &[u8]) -> Hash {
    let mut row: Vec<Hash> = hashes
        .chunks_exact(Hash::LEN)
        .filter_map(Hash::from_slice)
        .collect();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node_hash(left, right),
                [single, ..] => *single,
                [] => Hash([0; 32]),
            })
            .collect();
    }
    row.first().copied().unwrap_or(Hash([0; 32]))
}

pub(super) fn entries(
    connection: &Connection,
    log: Log,
    from: u64,
    limit: u32,
) -> Result<Vec<LogEntry>, ReadError> {
    let sql = format!(
        "SELECT idx, leaf, payload FROM {} WHERE idx >= ?1 ORDER BY idx LIMIT ?2",
        entry_table(log)
    );
    read(connection, log, &sql, params![clamp(from), limit])
}

pub(super) fn recent(
    connection: &Connection,
    log: Log,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<LogEntry>, ReadError> {
    let sql = format!(
        "SELECT idx, leaf, payload FROM {} WHERE idx < ?1 ORDER BY idx DESC LIMIT ?2",
        entry_table(log)
    );
    read(
        connection,
        log,
        &sql,
        params![before.map_or(i64::MAX, clamp), limit],
    )
}

pub(super) fn of_subject(
    connection: &Connection,
    log: Log,
    subject: i64,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<LogEntry>, ReadError> {
    let sql = format!(
        "SELECT e.idx, e.leaf, e.payload FROM log_subject s CROSS JOIN {} e ON e.idx = s.idx
         WHERE s.log = ?1 AND s.s = ?2 AND s.idx < ?3 ORDER BY s.idx DESC LIMIT ?4",
        entry_table(log)
    );
    read(
        connection,
        log,
        &sql,
        params![log as u8, subject, before.map_or(i64::MAX, clamp), limit],
    )
}

fn clamp(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

fn read(
    connection: &Connection,
    log: Log,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<LogEntry>, ReadError> {
    let entry = |row: &Row<'_>| {
        Ok(LogEntry {
            log,
            index: row.get(0)?,
            leaf: row.get(1)?,
            payload: row.get(2)?,
        })
    };
    Ok(connection
        .prepare_cached(sql)?
        .query_map(params, entry)?
        .collect::<rusqlite::Result<_>>()?)
}
