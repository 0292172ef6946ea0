//! Reads of documents.

use kernel::{TenantId, Timestamp};
use tokio_postgres::Row;

use super::connect::Database;
use super::keys::Keyring;
use crate::codec;
use crate::port::doc::{Doc, DocKind};
use crate::port::error::StoreError;

const ONE: &str =
    "SELECT id, version, updated, expires, body FROM doc WHERE tn = $1 AND kind = $2 AND id = $3";
const BY: &str = "SELECT d.id, d.version, d.updated, d.expires, d.body FROM doc_lookup l
    JOIN doc d ON d.tn = l.tn AND d.kind = l.kind AND d.id = l.id WHERE l.tn = $1 AND l.kind = $2 AND l.v = $3";
const SOME: &str =
    "SELECT id, version, updated, expires, body FROM doc WHERE tn = $1 AND kind = $2 AND id > $3
    ORDER BY id LIMIT $4";

pub(super) async fn doc(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    kind: DocKind,
    id: &str,
) -> Result<Option<Doc>, StoreError> {
    if id.contains('\0') {
        return Ok(None);
    }
    let row = db
        .query_one(
            tenant,
            ONE,
            &[&tenant.as_uuid(), &i16::from(kind.number()), &id],
        )
        .await?;
    optional(keys, kind, row).await
}

pub(super) async fn doc_by(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    kind: DocKind,
    (name, value): (&str, &str),
) -> Result<Option<Doc>, StoreError> {
    let hash = keys.keys.lookup(kind.number(), name, value);
    let row = db
        .query_one(
            tenant,
            BY,
            &[
                &tenant.as_uuid(),
                &i16::from(kind.number()),
                &hash.as_slice(),
            ],
        )
        .await?;
    optional(keys, kind, row).await
}

pub(super) async fn docs(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    kind: DocKind,
    (after, limit): (Option<&str>, u32),
) -> Result<Vec<Doc>, StoreError> {
    let after = super::writer::storable(after.unwrap_or_default());
    let rows = db
        .query(
            tenant,
            SOME,
            &[
                &tenant.as_uuid(),
                &i16::from(kind.number()),
                &after,
                &i64::from(limit),
            ],
        )
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(open(keys, kind, &row).await?);
    }
    Ok(found)
}

async fn optional(
    keys: &Keyring,
    kind: DocKind,
    row: Option<Row>,
) -> Result<Option<Doc>, StoreError> {
    match row {
        Some(row) => open(keys, kind, &row).await.map(Some),
        None => Ok(None),
    }
}

async fn open(keys: &Keyring, kind: DocKind, row: &Row) -> Result<Doc, StoreError> {
    let id: String = row.get(0);
    let stored: &[u8] = row.get(4);
    let binding = codec::doc_binding(keys.keys.tenant(), kind.number(), &id);
    let kid = codec::kid_of(stored).unwrap_or_default();
    let missing = || StoreError::Key {
        key: uuid::Uuid::from_bytes(kid).to_string(),
    };
    let dek = keys.dek(&kid).await?.ok_or_else(missing)?;
    Ok(Doc {
        kind,
        version: row.get::<_, i32>(1) as u32,
        updated: Timestamp::from_micros(row.get(2)),
        expires: row.get::<_, Option<i64>>(3).map(Timestamp::from_micros),
        body: codec::open(&dek, &binding, stored)?.to_vec(),
        id,
    })
}
