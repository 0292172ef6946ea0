//! The record as a verifier sees it: every version row with what its entry must commit to. Must not fail
//! on what does not open.

use std::collections::BTreeSet;

use ::ledger::leaf::KeyId;
use kernel::{RowId, VersionId};
use rusqlite::{Connection, Row, params};

use super::readers::ReadError;
use super::tenant::Sealing;
use crate::keys::Kid;
use crate::port::error::StoreError;
use crate::port::evidence::{VersionEvidence, VersionProof};
use crate::prove::{HeadRow, Prover, VersionRow};

const VERSIONS: &str =
    "SELECT v.vid, v.rid, v.ver, v.ty, v.kind, v.body, r.rh, r.ty, r.fid, r.ver, r.vid, r.kind, r.kid
     FROM ver v LEFT JOIN res r ON r.rid = v.rid WHERE v.vid > ?1 ORDER BY v.vid LIMIT ?2";
const KEYS_OF: &str =
    "SELECT DISTINCT substr(body, 2, 16) FROM ver WHERE rid = ?1 AND body IS NOT NULL";

pub(super) fn versions(
    connection: &Connection,
    sealing: &Sealing,
    after: Option<RowId>,
    limit: u32,
) -> Result<Vec<VersionEvidence>, ReadError> {
    let mut statement = connection.prepare_cached(VERSIONS)?;
    let mut rows = statement.query(params![after.map_or(i64::MIN, |row| row.0), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(version(connection, sealing, row)?);
    }
    Ok(found)
}

fn version(
    connection: &Connection,
    sealing: &Sealing,
    row: &Row<'_>,
) -> Result<VersionEvidence, ReadError> {
    let (vid, rid) = (RowId(row.get(0)?), RowId(row.get(1)?));
    let Ok(read) = version_row(row) else {
        return Ok(VersionEvidence {
            row: vid,
            key: None,
            version: VersionId(0),
            creates: false,
            proof: VersionProof::Broken("has columns of other types"),
            head_agrees: true,
        });
    };
    let mut kids: BTreeSet<Kid> = read.kids();
    if read.body.is_none() {
        let mut statement = connection.prepare_cached(KEYS_OF)?;
        let mut rows = statement.query([rid.0])?;
        while let Some(row) = rows.next()? {
            kids.extend(row.get::<_, Kid>(0).ok());
        }
    }
    let mut prover = Prover::new(&sealing.keys);
    for kid in kids {
        match sealing.dek(&kid) {
            Ok(Some(dek)) => prover.has(dek),
            Ok(None) => prover.erased(KeyId(kid)),
            // It is neither in the file of keys nor destroyed.
            Err(StoreError::Key { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(prover.prove(vid, &read))
}

fn version_row<'r>(row: &'r Row<'_>) -> rusqlite::Result<VersionRow<'r>> {
    let head = match row.get::<_, Option<String>>(8)? {
        None => None,
        Some(id) => Some(HeadRow {
            hash: row.get(6)?,
            ty: row.get(7)?,
            id,
            version: row.get(9)?,
            version_row: row.get(10)?,
            kind: row.get(11)?,
            kid: row.get(12)?,
        }),
    };
    Ok(VersionRow {
        version: row.get(2)?,
        ty: row.get(3)?,
        kind: row.get(4)?,
        body: row.get_ref(5)?.as_blob_or_null()?,
        head,
    })
}
