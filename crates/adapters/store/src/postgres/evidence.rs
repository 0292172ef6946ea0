//! The record as a verifier sees it: every version row with what its entry must commit to, and entries
//! that were staged and went astray. Must not fail on what does not open.

use ::ledger::leaf::KeyId;
use kernel::{RowId, TenantId};
use tokio_postgres::Row;

use super::connect::Database;
use super::keys::Keyring;
use crate::keys::Kid;
use crate::port::error::StoreError;
use crate::port::evidence::{Unplaced, VersionEvidence};
use crate::port::ledger::Log;
use crate::prove::{HeadRow, Prover, VersionRow};

// The keys of other versions only for those without a body, which are few.
const VERSIONS: &str = "SELECT v.vid, v.ver, v.ty, v.kind, v.body, r.rh, r.ty, r.fid, r.ver, r.vid, r.kind, r.kid,
      CASE WHEN v.body IS NULL THEN (SELECT array_agg(DISTINCT substring(o.body FROM 2 FOR 16)) FROM ver o
        WHERE o.tn = v.tn AND o.rid = v.rid AND o.body IS NOT NULL) END
    FROM ver v LEFT JOIN res r ON r.tn = v.tn AND r.rid = v.rid
    WHERE v.tn = $1 AND v.vid > $2 ORDER BY v.vid LIMIT $3";
const UNPLACED: &str = "SELECT s.w, s.n FROM log_stage s WHERE s.tn = $1 AND s.log = $2
      AND NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.tn = s.tn AND e.log = s.log AND e.w = s.w AND e.n = s.n)
      AND NOT EXISTS (SELECT 1 FROM log_queue q WHERE q.tn = s.tn AND q.log = s.log AND q.w = s.w AND q.n = s.n)
    ORDER BY s.w, s.n LIMIT 1000";

pub(super) async fn versions(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    after: Option<RowId>,
    limit: u32,
) -> Result<Vec<VersionEvidence>, StoreError> {
    let after = after.map_or(i64::MIN, |row| row.0);
    let values: [super::connect::Value<'_>; 3] = [&tenant.as_uuid(), &after, &i64::from(limit)];
    let rows = db.query(tenant, VERSIONS, &values).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let read = version_row(row);
        let mut kids = read.kids();
        let others: Option<Vec<&[u8]>> = row.get(12);
        kids.extend(
            others
                .iter()
                .flatten()
                .filter_map(|kid| Kid::try_from(*kid).ok()),
        );
        let mut prover = Prover::new(&keys.keys);
        for kid in kids {
            match keys.dek(&kid).await {
                Ok(Some(dek)) => prover.has(dek),
                Ok(None) => prover.erased(KeyId(kid)),
                // It is neither in the table of keys nor destroyed.
                Err(StoreError::Key { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.push(prover.prove(RowId(row.get(0)), &read));
    }
    Ok(found)
}

fn version_row(row: &Row) -> VersionRow<'_> {
    let head = row.get::<_, Option<String>>(7).map(|id| HeadRow {
        hash: row.get(5),
        ty: row.get::<_, i32>(6) as u16,
        id,
        version: row.get::<_, i32>(8) as u32,
        version_row: row.get(9),
        kind: row.get::<_, i16>(10) as u8,
        kid: row
            .get::<_, Option<&[u8]>>(11)
            .and_then(|kid| kid.try_into().ok()),
    });
    VersionRow {
        version: row.get::<_, i32>(1) as u32,
        ty: row.get::<_, i32>(2) as u16,
        kind: row.get::<_, i16>(3) as u8,
        body: row.get(4),
        head,
    }
}

pub(super) async fn unplaced(
    db: &Database,
    tenant: TenantId,
    log: Log,
) -> Result<Vec<Unplaced>, StoreError> {
    let rows = db
        .query(tenant, UNPLACED, &[&tenant.as_uuid(), &(log as i16)])
        .await?;
    Ok(rows
        .iter()
        .map(|row| Unplaced {
            writer: row.get(0),
            counter: row.get::<_, i64>(1) as u64,
        })
        .collect())
}
