//! Point reads and histories. The path of a read by id is short: one index look-up, one row, one key from
//! the cache, one decryption, one decompression.

use kernel::{RowId, VersionId};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::readers::ReadError;
use super::search::{Sqlite, damaged_id, kind_of};
use super::tenant::Keys;
use crate::codec;
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::resource::{
    Head, HistoryPage, HistoryQuery, HistoryScope, ResourceKey, StoredVersion,
};
use crate::query::plan::clause_of;
use crate::query::render::{self, Bind};

/// Opens a stored body.
pub(super) fn open_version(
    keys: &Keys,
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

fn rh(keys: &Keys, key: &ResourceKey) -> i64 {
    keys.keys.hasher().local(key.ty, key.id.as_str())
}

pub(super) fn head(
    connection: &Connection,
    keys: &Keys,
    key: &ResourceKey,
) -> Result<Option<Head>, ReadError> {
    Ok(connection
        .prepare_cached(
            "SELECT rid, ver, vid, kind FROM res WHERE rh = ?1 AND ty = ?2 AND fid = ?3",
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
    keys: &Keys,
    key: &ResourceKey,
) -> Result<Option<StoredVersion>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT r.rid, r.ver, r.vid, r.kind, v.body FROM res r CROSS JOIN ver v ON v.vid = r.vid
         WHERE r.rh = ?1 AND r.ty = ?2 AND r.fid = ?3",
    )?;
    let mut rows = statement.query(params![rh(keys, key), key.ty.0, key.id.as_str()])?;
    rows.next()?
        .map(|row| version_of(keys, key.clone(), row))
        .transpose()
}

pub(super) fn vread(
    connection: &Connection,
    keys: &Keys,
    key: &ResourceKey,
    version: VersionId,
) -> Result<Option<StoredVersion>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT r.rid, v.ver, v.vid, v.kind, v.body FROM res r CROSS JOIN ver v ON v.rid = r.rid AND v.ver = ?4
         WHERE r.rh = ?1 AND r.ty = ?2 AND r.fid = ?3",
    )?;
    let mut rows = statement.query(params![rh(keys, key), key.ty.0, key.id.as_str(), version.0])?;
    rows.next()?
        .map(|row| version_of(keys, key.clone(), row))
        .transpose()
}

/// From the columns rid, ver, vid, kind, body.
fn version_of(keys: &Keys, key: ResourceKey, row: &Row<'_>) -> Result<StoredVersion, ReadError> {
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

/// A page of history, newest first.
pub(super) fn history(
    connection: &Connection,
    keys: &Keys,
    query: &HistoryQuery,
) -> Result<HistoryPage, ReadError> {
    let mut sql = String::from(
        "SELECT v.rid, v.ver, v.vid, v.kind, v.body, v.ty, r.fid FROM ver v CROSS JOIN res r ON r.rid = v.rid WHERE ",
    );
    let mut binds = Vec::new();
    let mut bind = |value: i64| {
        binds.push(Bind::Int(value));
        format!("?{}", binds.len())
    };
    let (ty, order) = match &query.scope {
        HistoryScope::Instance(key) => {
            let Some(head) = head(connection, keys, key)? else {
                return Ok(HistoryPage {
                    versions: Vec::new(),
                    next: None,
                });
            };
            sql.push_str(&format!("v.rid = {}", bind(head.row.0)));
            (key.ty, "v.ver")
        }
        HistoryScope::Type(ty) => {
            sql.push_str(&format!("v.ty = {}", bind(i64::from(ty.0))));
            (*ty, "v.vid")
        }
        HistoryScope::System => {
            sql.push_str("1 = 1");
            (crate::query::plan::patient_type()?, "v.vid")
        }
    };
    if let Some(since) = query.since {
        // Versions have whole milliseconds: the first at or after `since`.
        let first = since.as_micros().saturating_add(999).div_euclid(1000);
        sql.push_str(&format!(
            " AND v.vid >= {}",
            bind(RowId::floor_of_ms(first).0)
        ));
    }
    if let Some(until) = query.until {
        sql.push_str(&format!(
            " AND v.vid < {}",
            bind(RowId::floor_of_ms(until.as_millis().saturating_add(1)).0)
        ));
    }
    if let Some(before) = query.before {
        sql.push_str(&format!(" AND v.vid < {}", bind(before.0)));
    }
    if let Some(clause) = &query.restriction {
        let clause = clause_of(keys.keys.hasher(), ty, clause)?;
        let restriction = render::restriction(&Sqlite, &clause, binds.len());
        sql.push_str(&restriction.text);
        binds.extend(restriction.binds);
    }
    sql.push_str(&format!(
        " ORDER BY {order} DESC LIMIT {}",
        u64::from(query.limit) + 1
    ));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&binds))?;
    let mut versions = Vec::new();
    let mut more = false;
    while let Some(row) = rows.next()? {
        if versions.len() >= query.limit as usize {
            more = true;
            break;
        }
        let id = row
            .get_ref(6)?
            .as_str()
            .ok()
            .and_then(|id| id.parse().ok())
            .ok_or_else(damaged_id)?;
        versions.push(version_of(
            keys,
            ResourceKey {
                ty: fhir::TypeId(row.get(5)?),
                id,
            },
            row,
        )?);
    }
    let next = versions
        .last()
        .filter(|_| more)
        .map(|last| last.version_row);
    Ok(HistoryPage { versions, next })
}
