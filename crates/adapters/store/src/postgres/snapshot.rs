//! Pages of a snapshot: a walk over the versions of a type in the order of their rows, which leaves out
//! those that another one had replaced by then. No time limit of searches applies: a page is bounded.

use kernel::{RowId, TenantId, VersionId};

use tokio_postgres::Row;

use super::connect::{Database, within};
use super::keys::Keyring;
use super::read::{kind_of, open_version};
use super::search::{self, damaged_id};
use crate::port::error::StoreError;
use crate::port::resource::{PageBytes, ResourceKey};
use crate::port::snapshot::{SnapshotPage, SnapshotQuery};

const PAGE: &str = "SELECT v.rid, v.ver, v.vid, v.kind, r.fid
    FROM ver v JOIN res r ON r.tn = v.tn AND r.rid = v.rid
    WHERE v.tn = $1 AND v.ty = $2 AND v.vid >= $3 AND v.vid <= $4
      AND (r.vid = v.vid OR NOT EXISTS (
        SELECT 1 FROM ver n WHERE n.tn = v.tn AND n.rid = v.rid AND n.ver = v.ver + 1 AND n.vid <= $4))
    ORDER BY v.vid LIMIT $5";

/// A page.
pub(super) async fn page(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    query: &SnapshotQuery,
) -> Result<SnapshotPage, StoreError> {
    // One row more than the page tells whether another follows.
    let limit = i64::from(query.limit) + 1;
    let (tn, ty) = (tenant.as_uuid(), i32::from(query.ty.0));
    let mut connection = db.connection().await?;
    let failed = |error: tokio_postgres::Error| db.failed(&error);
    let transaction = connection
        .build_transaction()
        .read_only(true)
        .start()
        .await
        .map_err(failed)?;
    transaction
        .batch_execute(&within(tenant))
        .await
        .map_err(failed)?;
    let statement = transaction.prepare_cached(PAGE).await.map_err(failed)?;
    let rows = transaction
        .query(
            &statement,
            &[&tn, &ty, &query.first().0, &query.at.0, &limit],
        )
        .await
        .map_err(failed)?;
    let vids: Vec<i64> = rows.iter().map(|row| row.get(2)).collect();
    let bodies = search::bodies(&transaction, tenant, &vids, query.bytes)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    drop(connection);
    opened(keys, query, &rows, &bodies).await
}

/// The rows with their bodies, as far as the page goes.
async fn opened(
    keys: &Keyring,
    query: &SnapshotQuery,
    rows: &[Row],
    bodies: &[(i64, Option<Vec<u8>>)],
) -> Result<SnapshotPage, StoreError> {
    let mut page = SnapshotPage {
        versions: Vec::with_capacity(rows.len()),
        next: None,
    };
    let mut bytes = PageBytes::new(query.bytes);
    for row in rows.iter().take(query.limit as usize) {
        let vid: i64 = row.get(2);
        let Ok(at) = bodies.binary_search_by_key(&vid, |(vid, _)| *vid) else {
            // Beyond what the page may hold.
            break;
        };
        let id = row.get::<_, &str>(4).parse().map_err(|_| damaged_id())?;
        let version = open_version(
            keys,
            ResourceKey { ty: query.ty, id },
            RowId(row.get(0)),
            VersionId(row.get::<_, i32>(1) as u32),
            RowId(vid),
            kind_of(row.get(3)),
            bodies.get(at).and_then(|(_, body)| body.as_deref()),
        )
        .await?;
        let fits = bytes.counts(&version);
        page.versions.push(version);
        if !fits {
            break;
        }
    }
    if rows.len() > page.versions.len() {
        page.next = page.versions.last().map(|last| last.version_row);
    }
    Ok(page)
}
