//! Point reads and histories. The path of a read by id is short: one index look-up, one row, one key from
//! the cache, one decryption, one decompression.

use std::fmt::Write as _;

use fhir::TypeId;
use fhir::search::ParamId;
use kernel::{LogicalId, RowId, VersionId};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::readers::ReadError;
use super::search::{Sqlite, damaged_id, kind_of};
use super::tenant::Sealing;
use crate::codec;
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::resource::{
    Head, HistoryPage, HistoryQuery, HistoryScope, PageBytes, ResourceKey, StoredVersion,
};
use crate::query::Query;
use crate::query::render::{self, Bind};

/// Opens a stored body.
pub(super) fn open_version(
    keys: &Sealing,
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
    let kid = codec::kid_of(stored).ok_or_else(|| StoreError::Damaged {
        place: "ver".to_owned(),
        detail: "a body is not sealed".to_owned(),
    })?;
    match keys.dek(&kid)? {
        None => found.erased = true,
        Some(dek) => {
            let binding = codec::body_binding(keys.keys.tenant(), &found.key, version);
            found.body = Some(codec::open(&dek, &binding, stored)?);
        }
    }
    Ok(found)
}

/// How a resource is named in the record.
pub(super) fn rh(keys: &Sealing, key: &ResourceKey) -> i64 {
    keys.keys.hasher().local(key.ty, key.id.as_str())
}

pub(super) fn head(
    connection: &Connection,
    keys: &Sealing,
    key: &ResourceKey,
) -> Result<Option<Head>, ReadError> {
    Ok(connection
        .prepare_cached(
            "SELECT rid, ver, vid, kind FROM res INDEXED BY res_rh WHERE rh = ?1 AND ty = ?2 AND fid = ?3",
        )?
        .query_row(params![rh(keys, key), key.ty.0, key.id.as_str()], |row| {
            Ok(Head {
                row: RowId(row.get(0)?),
                version: VersionId(row.get(1)?),
                version_row: RowId(row.get(2)?),
                kind: kind_of(row.get(3)?),
            })
        })
        .optional()?)
}

pub(super) fn read(
    connection: &Connection,
    keys: &Sealing,
    rh: i64,
    key: &ResourceKey,
) -> Result<Option<StoredVersion>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT r.rid, r.ver, r.vid, r.kind, v.body FROM res r INDEXED BY res_rh CROSS JOIN ver v ON v.vid = r.vid
         WHERE r.rh = ?1 AND r.ty = ?2 AND r.fid = ?3",
    )?;
    let mut rows = statement.query(params![rh, key.ty.0, key.id.as_str()])?;
    rows.next()?
        .map(|row| version_of(keys, key.clone(), row))
        .transpose()
}

pub(super) fn vread(
    connection: &Connection,
    keys: &Sealing,
    key: &ResourceKey,
    version: VersionId,
) -> Result<Option<StoredVersion>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT r.rid, v.ver, v.vid, v.kind, v.body FROM res r INDEXED BY res_rh CROSS JOIN ver v ON v.rid = r.rid AND v.ver = ?4
         WHERE r.rh = ?1 AND r.ty = ?2 AND r.fid = ?3",
    )?;
    let mut rows = statement.query(params![rh(keys, key), key.ty.0, key.id.as_str(), version.0])?;
    rows.next()?
        .map(|row| version_of(keys, key.clone(), row))
        .transpose()
}

/// From the columns rid, ver, vid, kind, body.
pub(super) fn version_of(
    keys: &Sealing,
    key: ResourceKey,
    row: &Row<'_>,
) -> Result<StoredVersion, ReadError> {
    let stored = row
        .get_ref(4)?
        .as_blob_or_null()
        .map_err(rusqlite::Error::from)?;
    let (rid, ver, vid) = (
        RowId(row.get(0)?),
        VersionId(row.get(1)?),
        RowId(row.get(2)?),
    );
    Ok(open_version(
        keys,
        key,
        rid,
        ver,
        vid,
        kind_of(row.get(3)?),
        stored,
    )?)
}

/// A statement being written, with its values.
struct Statement {
    text: String,
    binds: Vec<Bind>,
}

impl Statement {
    fn and(&mut self, condition: &str, value: i64) {
        self.binds.push(Bind::Int(value));
        let _ = write!(self.text, " AND {condition} ?{}", self.binds.len());
    }
}

/// A page of history, newest first.
pub(super) fn history(
    connection: &Connection,
    keys: &Sealing,
    query: &HistoryQuery,
) -> Result<HistoryPage, ReadError> {
    let nothing = HistoryPage {
        versions: Vec::new(),
        next: None,
    };
    let Some(sql) = history_statement(connection, keys, query)? else {
        return Ok(nothing);
    };
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter(&sql.binds))?;
    let mut page = nothing;
    let mut bytes = PageBytes::new(query.bytes);
    let mut full = false;
    while let Some(row) = rows.next()? {
        if full || page.versions.len() >= query.limit as usize {
            page.next = page.versions.last().map(|last| last.version_row);
            break;
        }
        let id = row.get_ref(6)?.as_str().ok();
        let id = id.and_then(|id| id.parse().ok()).ok_or_else(damaged_id)?;
        let ty = fhir::TypeId(row.get(5)?);
        let version = version_of(keys, ResourceKey { ty, id }, row)?;
        full = !bytes.counts(&version);
        page.versions.push(version);
    }
    Ok(page)
}

/// The statement of a history, one row longer than the page; `None` where there cannot be any.
fn history_statement(
    connection: &Connection,
    keys: &Sealing,
    query: &HistoryQuery,
) -> Result<Option<Statement>, ReadError> {
    let mut sql = Statement {
        text: String::from(
            "SELECT v.rid, v.ver, v.vid, v.kind, v.body, v.ty, r.fid
             FROM ver v CROSS JOIN res r ON r.rid = v.rid WHERE 1 = 1",
        ),
        binds: Vec::new(),
    };
    let (ty, order) = match &query.scope {
        HistoryScope::Instance(key) => {
            let Some(head) = head(connection, keys, key)? else {
                return Ok(None);
            };
            sql.and("v.rid =", head.row.0);
            (key.ty, "v.ver")
        }
        HistoryScope::Type(ty) => {
            sql.and("v.ty =", i64::from(ty.0));
            (*ty, "v.vid")
        }
        HistoryScope::System => (crate::query::plan::patient_type()?, "v.vid"),
    };
    if let Some(since) = query.since {
        // Versions have whole milliseconds: the first at or after `since`.
        let first = since.as_micros().saturating_add(999).div_euclid(1000);
        sql.and("v.vid >=", RowId::floor_of_ms(first).0);
    }
    if let Some(until) = query.until {
        let after = until.as_millis().saturating_add(1);
        sql.and("v.vid <", RowId::floor_of_ms(after).0);
    }
    if let Some(before) = query.before {
        sql.and("v.vid <", before.0);
    }
    if let Some(clause) = &query.restriction {
        let narrowed = Query::restriction(keys.keys.hasher(), ty, clause)?;
        let restriction = render::restriction(&Sqlite, &narrowed, sql.binds.len());
        sql.text.push_str(&restriction.text);
        sql.binds.extend(restriction.binds);
    }
    let limit = u64::from(query.limit) + 1;
    let _ = write!(sql.text, " ORDER BY {order} DESC LIMIT {limit}");
    Ok(Some(sql))
}

/// A resource for every value of parameters, found by skipping from one value to the next.
pub(super) fn in_use(
    connection: &Connection,
    params: &[ParamId],
    limit: u32,
) -> Result<Vec<ResourceKey>, ReadError> {
    let mut next = connection.prepare_cached(
        "SELECT k.v, k.rid, r.ty, r.fid FROM ix_key k CROSS JOIN res r ON r.rid = k.rid
         WHERE k.p = ?1 AND k.v >= ?2 ORDER BY k.v, k.rid LIMIT 1",
    )?;
    let mut found = std::collections::BTreeMap::new();
    let mut values = 0;
    for param in params {
        let mut from = Some(i64::MIN);
        while let Some(least) = from {
            let mut rows = next.query((param.0, least))?;
            let Some(row) = rows.next()? else { break };
            let value: i64 = row.get(0)?;
            let rid: i64 = row.get(1)?;
            from = value.checked_add(1);
            values += 1;
            if values > limit {
                return Err(StoreError::TooCostly.into());
            }
            if let std::collections::btree_map::Entry::Vacant(place) = found.entry(rid) {
                let id = row.get::<_, String>(3)?.parse();
                let id: LogicalId = id.map_err(|_| damaged_id())?;
                let ty = TypeId(row.get(2)?);
                place.insert(ResourceKey { ty, id });
            }
        }
    }
    Ok(found.into_values().collect())
}
