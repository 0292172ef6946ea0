//! Reads of documents.

use kernel::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::readers::ReadError;
use super::tenant::Sealing;
use crate::codec;
use crate::port::doc::{Doc, DocKind};
use crate::port::error::StoreError;

pub(super) fn doc(
    connection: &Connection,
    keys: &Sealing,
    kind: DocKind,
    id: &str,
) -> Result<Option<Doc>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, version, updated, expires, body FROM doc WHERE kind = ?1 AND id = ?2",
    )?;
    let mut rows = statement.query(params![kind.number(), id])?;
    rows.next()?.map(|row| open(keys, kind, row)).transpose()
}

pub(super) fn doc_by(
    connection: &Connection,
    keys: &Sealing,
    kind: DocKind,
    name: &str,
    value: &str,
) -> Result<Option<Doc>, ReadError> {
    let hash = keys.keys.lookup(kind.number(), name, value);
    let id: Option<String> = connection
        .prepare_cached("SELECT id FROM doc_lookup WHERE v = ?1 AND kind = ?2")?
        .query_row(params![hash.as_slice(), kind.number()], |row| row.get(0))
        .optional()?;
    id.map_or(Ok(None), |id| doc(connection, keys, kind, &id))
}

pub(super) fn docs(
    connection: &Connection,
    keys: &Sealing,
    kind: DocKind,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Doc>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, version, updated, expires, body FROM doc WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = statement.query(params![kind.number(), after.unwrap_or_default(), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(open(keys, kind, row)?);
    }
    Ok(found)
}

fn open(keys: &Sealing, kind: DocKind, row: &Row<'_>) -> Result<Doc, ReadError> {
    let id: String = row.get(0)?;
    let stored = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
    let binding = codec::doc_binding(keys.keys.tenant(), kind.number(), &id);
    let kid = codec::kid_of(stored).unwrap_or_default();
    let dek = keys.dek(&kid)?.ok_or_else(|| StoreError::Key {
        key: uuid::Uuid::from_bytes(kid).to_string(),
    })?;
    Ok(Doc {
        kind,
        version: row.get(1)?,
        updated: Timestamp::from_micros(row.get(2)?),
        expires: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_micros),
        body: codec::open(&dek, &binding, stored)?.to_vec(),
        id,
    })
}
