//! Reads of the logs: heads, checkpoints, tiles, entries.

use ::ledger::origin::{LogKind, Origin};
use ::ledger::tile::{TILE_WIDTH, Tile};
use ::ledger::{Edge, Hash};
use kernel::TenantId;
use tokio_postgres::Row;

use super::super::connect::{Database, Value};
use crate::port::error::StoreError;
use crate::port::ledger::{Log, LogEntry, LogHead, StoredCheckpoint};

const HEAD: &str = "SELECT epoch, size, root, note FROM log_head WHERE tn = $1 AND log = $2";
const CHECKPOINTS: &str = "SELECT size, note FROM log_checkpoint WHERE tn = $1 AND log = $2 AND size > $3 ORDER BY size LIMIT $4";
// The head and the tile in one statement, so that they belong together.
const TILE: &str = "SELECT h.size, h.edge, t.hashes FROM log_head h
    LEFT JOIN log_tile t ON t.tn = h.tn AND t.log = h.log AND t.level = $3 AND t.idx = $4 WHERE h.tn = $1 AND h.log = $2";
const ENTRIES: &str = "SELECT e.idx, s.leaf, s.payload FROM log_entry e
    LEFT JOIN log_stage s ON s.tn = e.tn AND s.log = e.log AND s.w = e.w AND s.n = e.n
    WHERE e.tn = $1 AND e.log = $2 AND e.idx >= $3 ORDER BY e.idx LIMIT $4";
const RECENT: &str = "SELECT e.idx, s.leaf, s.payload FROM log_entry e
    LEFT JOIN log_stage s ON s.tn = e.tn AND s.log = e.log AND s.w = e.w AND s.n = e.n
    WHERE e.tn = $1 AND e.log = $2 AND e.idx < $3 ORDER BY e.idx DESC LIMIT $4";
const OF_SUBJECT: &str = "SELECT e.idx, s.leaf, s.payload FROM log_subject b
    JOIN log_entry e ON e.tn = b.tn AND e.log = b.log AND e.idx = b.idx
    LEFT JOIN log_stage s ON s.tn = e.tn AND s.log = e.log AND s.w = e.w AND s.n = e.n
    WHERE b.tn = $1 AND b.log = $2 AND b.s = $5 AND b.idx < $3 ORDER BY b.idx DESC LIMIT $4";

/// The origin line of a log.
pub(in crate::postgres) fn origin(
    instance: &str,
    tenant: TenantId,
    log: Log,
    epoch: u32,
) -> String {
    let kind = match log {
        Log::Changes => LogKind::Changes,
        Log::Access => LogKind::Access,
    };
    Origin {
        instance: instance.to_owned(),
        tenant,
        kind,
        epoch,
    }
    .to_string()
}

pub(in crate::postgres) fn damaged(log: Log, detail: &str) -> StoreError {
    StoreError::Damaged {
        place: format!("log {}", log.as_str()),
        detail: detail.to_owned(),
    }
}

pub(in crate::postgres) async fn head(
    db: &Database,
    instance: &str,
    tenant: TenantId,
    log: Log,
) -> Result<LogHead, StoreError> {
    let row = db
        .query_one(tenant, HEAD, &[&tenant.as_uuid(), &(log as i16)])
        .await?;
    let row = row.ok_or_else(|| damaged(log, "its head is missing"))?;
    Ok(LogHead {
        origin: origin(instance, tenant, log, row.get::<_, i32>(0) as u32),
        size: row.get::<_, i64>(1) as u64,
        root: Hash::from_slice(row.get(2))
            .ok_or_else(|| damaged(log, "its root cannot be read"))?,
        checkpoint: row.get(3),
    })
}

pub(in crate::postgres) async fn checkpoints(
    db: &Database,
    tenant: TenantId,
    log: Log,
    after: Option<u64>,
    limit: u32,
) -> Result<Vec<StoredCheckpoint>, StoreError> {
    let after = after.map_or(-1, clamp);
    let rows = db
        .query(
            tenant,
            CHECKPOINTS,
            &[&tenant.as_uuid(), &(log as i16), &after, &i64::from(limit)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| StoredCheckpoint {
            size: row.get::<_, i64>(0) as u64,
            note: row.get(1),
        })
        .collect())
}

/// A tile as the tree of the current size has it.
pub(in crate::postgres) async fn tile(
    db: &Database,
    tenant: TenantId,
    log: Log,
    level: u8,
    index: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let values: [Value<'_>; 4] = [
        &tenant.as_uuid(),
        &(log as i16),
        &i16::from(level),
        &clamp(index),
    ];
    let row = db
        .query_one(tenant, TILE, &values)
        .await?
        .ok_or_else(|| damaged(log, "its head is missing"))?;
    if level >= 8 {
        return Ok(None);
    }
    let Some(tile) = Tile::in_tree(row.get::<_, i64>(0) as u64, level, index) else {
        return Ok(None);
    };
    if tile.width == TILE_WIDTH {
        return Ok(row.get(2));
    }
    let edge = Edge::decode(row.get(1)).map_err(|_| damaged(log, "its edge cannot be read"))?;
    let partial = edge.partial(level).filter(|(found, _)| *found == tile);
    partial
        .map(|(_, hashes)| Some(hashes.to_vec()))
        .ok_or_else(|| damaged(log, "its edge has another size"))
}

pub(in crate::postgres) async fn entries(
    db: &Database,
    tenant: TenantId,
    log: Log,
    from: u64,
    limit: u32,
) -> Result<Vec<LogEntry>, StoreError> {
    let rows = db
        .query(
            tenant,
            ENTRIES,
            &[
                &tenant.as_uuid(),
                &(log as i16),
                &clamp(from),
                &i64::from(limit),
            ],
        )
        .await?;
    rows.iter().map(|row| entry(log, row)).collect()
}

pub(in crate::postgres) async fn recent(
    db: &Database,
    tenant: TenantId,
    log: Log,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<LogEntry>, StoreError> {
    let before = before.map_or(i64::MAX, clamp);
    let rows = db
        .query(
            tenant,
            RECENT,
            &[&tenant.as_uuid(), &(log as i16), &before, &i64::from(limit)],
        )
        .await?;
    rows.iter().map(|row| entry(log, row)).collect()
}

pub(in crate::postgres) async fn of_subject(
    db: &Database,
    tenant: TenantId,
    log: Log,
    subject: i64,
    (before, limit): (Option<u64>, u32),
) -> Result<Vec<LogEntry>, StoreError> {
    let before = before.map_or(i64::MAX, clamp);
    let values: [Value<'_>; 5] = [
        &tenant.as_uuid(),
        &(log as i16),
        &before,
        &i64::from(limit),
        &subject,
    ];
    let rows = db.query(tenant, OF_SUBJECT, &values).await?;
    rows.iter().map(|row| entry(log, row)).collect()
}

fn entry(log: Log, row: &Row) -> Result<LogEntry, StoreError> {
    let index = row.get::<_, i64>(0) as u64;
    let missing = || StoreError::Damaged {
        place: format!("entry {index} of log {}", log.as_str()),
        detail: "what its writer staged is missing".to_owned(),
    };
    Ok(LogEntry {
        log,
        index,
        leaf: row.get::<_, Option<Vec<u8>>>(1).ok_or_else(missing)?,
        payload: row.get::<_, Option<Vec<u8>>>(2).ok_or_else(missing)?,
    })
}

fn clamp(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
