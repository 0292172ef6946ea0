//! New index entries for current versions, in one transaction that locks their heads: whoever changed a
//! resource meanwhile made its entries anew, and those stay.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::connect::begin;
use super::failure::Failure;
use super::tenant::Tenant;
use super::writer::IndexRows;
use crate::index::{COMPARTMENT, PackedIndex};
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::reindex::Reindexed;

const HEADS: &str = "SELECT rid, ty, fid, ver, kind, pm, ix FROM res WHERE tn = $1 AND rh = ANY($2) ORDER BY rid FOR UPDATE";
const UPDATE: &str =
    "UPDATE res r SET pm = d.pm, ix = d.ix FROM unnest($2::int8[], $3::int8[], $4::bytea[])
    AS d (rid, pm, ix) WHERE r.tn = $1 AND r.rid = d.rid";
const PATIENT_DELETE: &str = "DELETE FROM ix_pat WHERE tn = $1 AND rid = ANY($2)";
const PATIENT: &str = "INSERT INTO ix_pat (tn, rid, v) SELECT $1, * FROM unnest($2::int8[], $3::int8[]) ON CONFLICT DO NOTHING";
/// How often it is tried against writers.
const ATTEMPTS: u32 = 8;

/// Columns to write.
#[derive(Default)]
struct Columns {
    rid: Vec<i64>,
    pm: Vec<i64>,
    ix: Vec<Vec<u8>>,
    patients: (Vec<i64>, Vec<i64>),
    removed: IndexRows,
    added: IndexRows,
}

/// Replaces index entries; answers of how many versions.
pub(super) async fn reindex(tenant: &Tenant, rows: &[Reindexed]) -> Result<u64, StoreError> {
    let mut attempt = 0;
    loop {
        match once(tenant, rows).await {
            Ok(replaced) => return Ok(replaced),
            Err(Failure::Collision) if attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(std::time::Duration::from_millis(5 << attempt)).await;
            }
            Err(failure) => return Err(failure.into_store(&tenant.db.name)),
        }
    }
}

async fn once(tenant: &Tenant, rows: &[Reindexed]) -> Result<u64, Failure> {
    let failed = |error: tokio_postgres::Error| Failure::of(&tenant.db.name, &error);
    let tn = tenant.id.as_uuid();
    let mut connection = tenant.db.connection().await?;
    let transaction = begin(&mut connection, tenant.id).await.map_err(failed)?;
    let columns = load(tenant, &transaction, tn, rows).await?;
    if !columns.rid.is_empty() {
        write(&transaction, tn, &columns).await.map_err(failed)?;
    }
    transaction
        .commit()
        .await
        .map_err(|error| Failure::of_commit(&tenant.db.name, &error))?;
    Ok(columns.rid.len() as u64)
}

async fn load(
    tenant: &Tenant,
    transaction: &Transaction<'_>,
    tn: Uuid,
    rows: &[Reindexed],
) -> Result<Columns, Failure> {
    let failed = |error: tokio_postgres::Error| Failure::of(&tenant.db.name, &error);
    let hasher = tenant.keys().hasher();
    let asked: HashMap<(u16, &str), &Reindexed> = rows
        .iter()
        .map(|row| ((row.key.ty.0, row.key.id.as_str()), row))
        .collect();
    let hashes: Vec<i64> = rows
        .iter()
        .map(|row| hasher.local(row.key.ty, row.key.id.as_str()))
        .collect();
    let statement = transaction.prepare_cached(HEADS).await.map_err(failed)?;
    let heads = transaction
        .query(&statement, &[&tn, &hashes])
        .await
        .map_err(failed)?;
    let gone = [ChangeKind::Delete as i16, ChangeKind::Erase as i16];
    let mut columns = Columns::default();
    for head in &heads {
        let name = (head.get::<_, i32>(1) as u16, head.get::<_, &str>(2));
        let Some(row) = asked.get(&name) else {
            continue;
        };
        let version = head.get::<_, i32>(3) as u32;
        if version != row.version.0 || gone.contains(&head.get::<_, i16>(4)) {
            continue;
        }
        let before = PackedIndex::decode(head.get(6), head.get::<_, i64>(5) as u64);
        let before = before.map_err(|error| StoreError::Damaged {
            place: "res.ix".to_owned(),
            detail: error.to_string(),
        })?;
        columns.add(head.get(0), &before, &row.index);
    }
    Ok(columns)
}

impl Columns {
    fn add(&mut self, rid: i64, before: &PackedIndex, after: &PackedIndex) {
        let difference = PackedIndex::difference(before, after);
        self.removed.collect(rid, &difference.removed);
        self.added.collect(rid, &difference.added);
        self.rid.push(rid);
        self.pm.push(after.presence() as i64);
        self.ix.push(after.encode());
        for row in after.keys().iter().take_while(|row| row.p == COMPARTMENT) {
            self.patients.0.push(rid);
            self.patients.1.push(row.v);
        }
    }
}

async fn write(
    transaction: &Transaction<'_>,
    tn: Uuid,
    columns: &Columns,
) -> Result<(), tokio_postgres::Error> {
    let Columns { rid, pm, ix, .. } = columns;
    columns.removed.remove(transaction, tn).await?;
    columns.added.add(transaction, tn).await?;
    transaction.execute(UPDATE, &[&tn, rid, pm, ix]).await?;
    transaction.execute(PATIENT_DELETE, &[&tn, rid]).await?;
    let (rid, v) = &columns.patients;
    transaction.execute(PATIENT, &[&tn, rid, v]).await?;
    Ok(())
}
