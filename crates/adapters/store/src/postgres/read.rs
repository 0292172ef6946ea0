//! Point reads and histories.

use core::fmt::Write as _;

use bytes::Bytes;
use fhir::search::ParamId;
use kernel::{RowId, TenantId, VersionId};
use tokio_postgres::Row;

use super::connect::{Database, within};
use super::keys::Keyring;
use super::search::{self, Postgres, damaged_id};
use crate::codec;
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::resource::{
    Head, HistoryPage, HistoryQuery, HistoryScope, PageBytes, ResourceKey, StoredVersion,
};
use crate::query::Query;
use crate::query::render::{self, Bind, Sql};

const HEADS: &str = "SELECT rid, ver, vid, kind, ty, fid FROM res WHERE tn = $1 AND rh = ANY($2)";
const READ: &str = "SELECT r.rid, r.ver, r.vid, r.kind, v.body FROM res r JOIN ver v ON v.tn = r.tn AND v.vid = r.vid
    WHERE r.tn = $1 AND r.rh = $2 AND r.ty = $3 AND r.fid = $4";
const VREAD: &str = "SELECT r.rid, v.ver, v.vid, v.kind, v.body FROM res r JOIN ver v ON v.tn = r.tn AND v.rid = r.rid AND v.ver = $5
    WHERE r.tn = $1 AND r.rh = $2 AND r.ty = $3 AND r.fid = $4";

/// Skips from one value of a parameter to the next, and gives a resource for each.
const IN_USE: &str = "SELECT r.ty, r.fid, d.rid FROM unnest($2::int[]) q(p) CROSS JOIN LATERAL (
    WITH RECURSIVE d AS (
      (SELECT k.v, k.rid FROM ix_key k WHERE k.tn = $1 AND k.p = q.p ORDER BY k.v, k.rid LIMIT 1)
      UNION ALL
      SELECT n.v, n.rid FROM d CROSS JOIN LATERAL
        (SELECT k.v, k.rid FROM ix_key k WHERE k.tn = $1 AND k.p = q.p AND k.v > d.v ORDER BY k.v, k.rid LIMIT 1) n
    ) SELECT d.rid FROM d LIMIT $3) d
    JOIN res r ON r.tn = $1 AND r.rid = d.rid LIMIT $3";

/// The kind stored as a number; an unknown one reads as a deletion, which serves nothing.
pub(super) const fn kind_of(number: i16) -> ChangeKind {
    match number {
        0 => ChangeKind::CreateByUpdate,
        1 => ChangeKind::Create,
        2 => ChangeKind::Update,
        4 => ChangeKind::Erase,
        _ => ChangeKind::Delete,
    }
}

/// Opens a stored body.
pub(super) async fn open_version(
    keys: &Keyring,
    key: ResourceKey,
    row: RowId,
    version: VersionId,
    version_row: RowId,
    kind: ChangeKind,
    stored: Option<&[u8]>,
) -> Result<StoredVersion, StoreError> {
    let mut found = StoredVersion {
        key,
        row,
        version,
        version_row,
        kind,
        body: None,
        erased: false,
    };
    let Some(stored) = stored else {
        return Ok(found);
    };
    match open_body(keys, &found.key, version, stored).await? {
        None => found.erased = true,
        body => found.body = body,
    }
    Ok(found)
}

/// `None` where the key was destroyed.
async fn open_body(
    keys: &Keyring,
    key: &ResourceKey,
    version: VersionId,
    stored: &[u8],
) -> Result<Option<Bytes>, StoreError> {
    let kid = codec::kid_of(stored).ok_or_else(|| StoreError::Damaged {
        place: "ver".to_owned(),
        detail: "a body is not sealed".to_owned(),
    })?;
    let Some(dek) = keys.dek(&kid).await? else {
        return Ok(None);
    };
    let binding = codec::body_binding(keys.keys.tenant(), key, version);
    codec::open(&dek, &binding, stored).map(Some)
}

fn rh(keys: &Keyring, key: &ResourceKey) -> i64 {
    keys.keys.hasher().local(key.ty, key.id.as_str())
}

pub(super) async fn heads(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    asked: &[ResourceKey],
) -> Result<Vec<Option<Head>>, StoreError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let hashes: Vec<i64> = asked.iter().map(|key| rh(keys, key)).collect();
    let rows = db
        .query(tenant, HEADS, &[&tenant.as_uuid(), &hashes])
        .await?;
    let found: std::collections::HashMap<(u16, &str), Head> = rows
        .iter()
        .map(|row| {
            let head = Head {
                row: RowId(row.get(0)),
                version: VersionId(row.get::<_, i32>(1) as u32),
                version_row: RowId(row.get(2)),
                kind: kind_of(row.get(3)),
            };
            ((row.get::<_, i32>(4) as u16, row.get(5)), head)
        })
        .collect();
    Ok(asked
        .iter()
        .map(|key| found.get(&(key.ty.0, key.id.as_str())).copied())
        .collect())
}

/// A resource for every value of parameters.
pub(super) async fn in_use(
    db: &Database,
    tenant: TenantId,
    params: &[ParamId],
    limit: u32,
) -> Result<Vec<ResourceKey>, StoreError> {
    let params: Vec<i32> = params.iter().map(|param| i32::from(param.0)).collect();
    let most = i64::from(limit) + 1;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant.as_uuid(), &params, &most];
    let rows = db.query(tenant, IN_USE, values).await?;
    if rows.len() as u64 > u64::from(limit) {
        return Err(StoreError::TooCostly);
    }
    let mut found = std::collections::BTreeMap::new();
    for row in &rows {
        let id = row.get::<_, &str>(1).parse().map_err(|_| damaged_id())?;
        let ty = fhir::TypeId(row.get::<_, i32>(0) as u16);
        found.insert(row.get::<_, i64>(2), ResourceKey { ty, id });
    }
    Ok(found.into_values().collect())
}

pub(super) async fn read(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    key: &ResourceKey,
) -> Result<Option<StoredVersion>, StoreError> {
    let (tn, hash, ty, id) = (
        tenant.as_uuid(),
        rh(keys, key),
        i32::from(key.ty.0),
        key.id.as_str(),
    );
    match db.query_one(tenant, READ, &[&tn, &hash, &ty, &id]).await? {
        Some(row) => version_of(keys, key.clone(), &row).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn vread(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    key: &ResourceKey,
    version: VersionId,
) -> Result<Option<StoredVersion>, StoreError> {
    // Versions beyond the column's range are in no row.
    let Ok(ver) = i32::try_from(version.0) else {
        return Ok(None);
    };
    let (tn, hash, ty, id) = (
        tenant.as_uuid(),
        rh(keys, key),
        i32::from(key.ty.0),
        key.id.as_str(),
    );
    match db
        .query_one(tenant, VREAD, &[&tn, &hash, &ty, &id, &ver])
        .await?
    {
        Some(row) => version_of(keys, key.clone(), &row).await.map(Some),
        None => Ok(None),
    }
}

/// From the columns rid, ver, vid, kind, body.
async fn version_of(
    keys: &Keyring,
    key: ResourceKey,
    row: &Row,
) -> Result<StoredVersion, StoreError> {
    let (rid, ver, vid) = (
        RowId(row.get(0)),
        VersionId(row.get::<_, i32>(1) as u32),
        RowId(row.get(2)),
    );
    open_version(keys, key, rid, ver, vid, kind_of(row.get(3)), row.get(4)).await
}

/// A page of history, newest first.
pub(super) async fn history(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    query: &HistoryQuery,
    limit_ms: u128,
) -> Result<HistoryPage, StoreError> {
    let row = match &query.scope {
        HistoryScope::Instance(key) => match heads(db, keys, tenant, core::slice::from_ref(key))
            .await?
            .first()
        {
            Some(Some(head)) => Some(head.row),
            _ => {
                return Ok(HistoryPage {
                    versions: Vec::new(),
                    next: None,
                });
            }
        },
        _ => None,
    };
    let sql = history_sql(keys, tenant, query, row)?;
    let mut connection = db.connection().await?;
    let failed = |error: tokio_postgres::Error| db.failed(&error);
    let transaction = connection
        .build_transaction()
        .read_only(true)
        .start()
        .await
        .map_err(failed)?;
    let setting = format!(
        "{}; SET LOCAL statement_timeout = {limit_ms}",
        within(tenant)
    );
    transaction.batch_execute(&setting).await.map_err(failed)?;
    let rows = search::run(&transaction, &sql).await.map_err(failed)?;
    let vids: Vec<i64> = rows.iter().map(|row| row.get(2)).collect();
    let bodies = search::bodies(&transaction, tenant, &vids, query.bytes)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    drop(connection);
    opened(keys, query, &rows, &bodies).await
}

/// Rows of a history with their bodies, as far as the page goes.
async fn opened(
    keys: &Keyring,
    query: &HistoryQuery,
    rows: &[Row],
    bodies: &[(i64, Option<Vec<u8>>)],
) -> Result<HistoryPage, StoreError> {
    let mut versions: Vec<StoredVersion> = Vec::with_capacity(rows.len());
    let mut bytes = PageBytes::new(query.bytes);
    for row in rows.iter().take(query.limit as usize) {
        let vid: i64 = row.get(2);
        let Ok(at) = bodies.binary_search_by_key(&vid, |(vid, _)| *vid) else {
            // Beyond what the page may hold.
            break;
        };
        let id = row.get::<_, &str>(5).parse().map_err(|_| damaged_id())?;
        let key = ResourceKey {
            ty: fhir::TypeId(row.get::<_, i32>(4) as u16),
            id,
        };
        let version = open_version(
            keys,
            key,
            RowId(row.get(0)),
            VersionId(row.get::<_, i32>(1) as u32),
            RowId(vid),
            kind_of(row.get(3)),
            bodies.get(at).and_then(|(_, body)| body.as_deref()),
        )
        .await?;
        let fits = bytes.counts(&version);
        versions.push(version);
        if !fits {
            break;
        }
    }
    let more = rows.len() > versions.len();
    let next = versions
        .last()
        .filter(|_| more)
        .map(|last| last.version_row);
    Ok(HistoryPage { versions, next })
}

fn history_sql(
    keys: &Keyring,
    tenant: TenantId,
    query: &HistoryQuery,
    row: Option<RowId>,
) -> Result<Sql, StoreError> {
    let mut text = format!(
        "SELECT v.rid, v.ver, v.vid, v.kind, v.ty, r.fid FROM ver v JOIN res r ON r.tn = v.tn AND r.rid = v.rid
         WHERE v.tn = '{tenant}'"
    );
    let mut binds = Vec::new();
    let mut and = |condition: &str, value: i64| {
        binds.push(Bind::Int(value));
        let _ = write!(text, " AND {condition} ${}", binds.len());
    };
    let ty = match &query.scope {
        HistoryScope::Instance(key) => key.ty,
        HistoryScope::Type(ty) => {
            and("v.ty =", i64::from(ty.0));
            *ty
        }
        HistoryScope::System => crate::query::plan::patient_type()?,
    };
    if let Some(row) = row {
        and("v.rid =", row.0);
    }
    if let Some(since) = query.since {
        // Versions have whole milliseconds: the first at or after `since`.
        let first = since.as_micros().saturating_add(999).div_euclid(1000);
        and("v.vid >=", RowId::floor_of_ms(first).0);
    }
    if let Some(until) = query.until {
        and(
            "v.vid <",
            RowId::floor_of_ms(until.as_millis().saturating_add(1)).0,
        );
    }
    if let Some(before) = query.before {
        and("v.vid <", before.0);
    }
    if let Some(clause) = &query.restriction {
        let narrowed = Query::restriction(keys.keys.hasher(), ty, clause)?;
        let restriction = render::restriction(&Postgres(tenant), &narrowed, binds.len());
        text.push_str(&restriction.text);
        binds.extend(restriction.binds);
    }
    let order = if row.is_some() { "v.ver" } else { "v.vid" };
    let _ = write!(
        text,
        " ORDER BY {order} DESC LIMIT {}",
        u64::from(query.limit) + 1
    );
    Ok(Sql { text, binds })
}
