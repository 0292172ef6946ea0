//! The statements of a sequencer's pass. Must not decide what is signed.

use ::ledger::{Edge, FullTile, Hash};
use deadpool_postgres::Transaction;
use kernel::TenantId;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::super::connect::Value;
use super::watch::Name;
use crate::port::ledger::Log;

const TAKE: &str = "DELETE FROM log_queue d USING (
      SELECT q, w, n FROM log_queue WHERE tn = $1 AND log = $2 ORDER BY q, w, n LIMIT $3) t
    WHERE d.tn = $1 AND d.log = $2 AND d.q = t.q AND d.w = t.w AND d.n = t.n RETURNING d.q, d.w, d.n";
const PLACE: &str = "INSERT INTO log_entry (tn, log, idx, w, n) SELECT $1, $2, * FROM unnest($3::int8[], $4::uuid[], $5::int8[])";
const READ_BACK: &str = "SELECT e.idx, e.w, e.n, s.leaf, s.payload, s.s FROM log_entry e
    LEFT JOIN log_stage s ON s.tn = e.tn AND s.log = e.log AND s.w = e.w AND s.n = e.n
    WHERE e.tn = $1 AND e.log = $2 AND e.idx >= $3 ORDER BY e.idx";
const SWAP: &str = "UPDATE log_head SET size = $5, root = $6, edge = $7, note = $8
    WHERE tn = $1 AND log = $2 AND size = $3 AND root = $4";
const TILES: &str = "INSERT INTO log_tile (tn, log, level, idx, hashes) SELECT $1, $2, * FROM unnest($3::int2[], $4::int8[], $5::bytea[])";
const SUBJECTS: &str = "INSERT INTO log_subject (tn, log, s, idx) SELECT $1, $2, * FROM unnest($3::int8[], $4::int8[])";
pub(super) const CHECKPOINT: &str =
    "INSERT INTO log_checkpoint (tn, log, size, note) VALUES ($1, $2, $3, $4)";
/// Entries sequenced in one pass at most.
pub(super) const PASS: i64 = 4096;

/// An entry as it was read back.
pub(super) struct Placed {
    pub(super) name: Name,
    pub(super) hash: Hash,
}

/// What an append did to a log.
pub(super) struct Grown {
    pub(super) edge: Edge,
    pub(super) placed: Vec<Placed>,
    pub(super) tiles: Vec<FullTile>,
    pub(super) subjects: (Vec<i64>, Vec<i64>),
}

/// Takes the oldest waiting entries and places them from `size` on; answers how many.
pub(super) async fn take(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    log: Log,
    size: i64,
) -> Result<usize, Error> {
    let (tn, log) = (tenant.as_uuid(), log as i16);
    let statement = transaction.prepare_cached(TAKE).await?;
    let rows = transaction.query(&statement, &[&tn, &log, &PASS]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut taken: Vec<(i64, Uuid, i64)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    taken.sort_unstable();
    let indexes: Vec<i64> = (size..).take(taken.len()).collect();
    let writers: Vec<Uuid> = taken.iter().map(|(_, writer, _)| *writer).collect();
    let counters: Vec<i64> = taken.iter().map(|(.., counter)| *counter).collect();
    let statement = transaction.prepare_cached(PLACE).await?;
    transaction
        .execute(&statement, &[&tn, &log, &indexes, &writers, &counters])
        .await?;
    Ok(taken.len())
}

/// Reads back what was placed from an index on.
pub(super) async fn placed_from(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    log: Log,
    from: u64,
) -> Result<Vec<Row>, Error> {
    let statement = transaction.prepare_cached(READ_BACK).await?;
    let values: [Value<'_>; 3] = [&tenant.as_uuid(), &(log as i16), &(from as i64)];
    transaction.query(&statement, &values).await
}

/// Writes what a log grew by and swaps its head; answers how many heads were swapped.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    (tenant, log): (TenantId, Log),
    (size, root): (i64, &[u8]),
    grown: &Grown,
    note: &str,
) -> Result<u64, Error> {
    let (tn, log) = (tenant.as_uuid(), log as i16);
    if !grown.tiles.is_empty() {
        let levels: Vec<i16> = grown
            .tiles
            .iter()
            .map(|tile| i16::from(tile.level))
            .collect();
        let indexes: Vec<i64> = grown.tiles.iter().map(|tile| tile.index as i64).collect();
        let hashes: Vec<&[u8]> = grown
            .tiles
            .iter()
            .map(|tile| tile.hashes.as_slice())
            .collect();
        transaction
            .execute(TILES, &[&tn, &log, &levels, &indexes, &hashes])
            .await?;
    }
    let (subjects, indexes) = &grown.subjects;
    if !subjects.is_empty() {
        let statement = transaction.prepare_cached(SUBJECTS).await?;
        transaction
            .execute(&statement, &[&tn, &log, subjects, indexes])
            .await?;
    }
    let new = grown.edge.size() as i64;
    let statement = transaction.prepare_cached(CHECKPOINT).await?;
    transaction
        .execute(&statement, &[&tn, &log, &new, &note])
        .await?;
    let statement = transaction.prepare_cached(SWAP).await?;
    let new_root = grown.edge.root();
    transaction
        .execute(
            &statement,
            &[
                &tn,
                &log,
                &size,
                &root,
                &new,
                &new_root.0.as_slice(),
                &grown.edge.encode(),
                &note,
            ],
        )
        .await
}
