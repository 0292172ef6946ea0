//! Erasure: entry, heads, index rows, the list of destroyed keys and the keys themselves change in one
//! commit, so that there is nothing to finish after a crash.

use ::ledger::leaf::KeyId;
use deadpool_postgres::Transaction;
use kernel::RowId;
use tokio_postgres::Error;
use uuid::Uuid;

use super::super::connect::begin;
use super::super::failure::Failure;
use super::batch::{Around, Batch, Counters, Staged};
use super::rows::IndexRows;
use super::{ATTEMPTS, Looper, Uncommitted, WriterParts, backoff};
use crate::assemble::PreparedEntry;
use crate::index::PackedIndex;
use crate::keys::{Kid, SubjectTag};
use crate::port::change::{ChangeKind, CommitError};
use crate::port::error::StoreError;

const KEYS: &str = "DELETE FROM dek WHERE tn = $1 AND subject = $2 RETURNING kid";
const LIST: &str = "INSERT INTO erasure (tn, kid, subject) SELECT $1, kid, $3 FROM unnest($2::bytea[]) AS k (kid) ON CONFLICT DO NOTHING";
const HEADS: &str = "SELECT rid, pm, ix FROM res WHERE tn = $1 AND kid = ANY($2) AND kind <> $3 ORDER BY rid FOR UPDATE";
const EMPTY: &str = "UPDATE res SET kind = $3, pm = 0, ix = '' WHERE tn = $1 AND rid = ANY($2)";
const COMPARTMENTS: &str = "DELETE FROM ix_pat WHERE tn = $1 AND rid = ANY($2)";

/// What an erasure did.
struct Erased {
    affected: u64,
    kids: Vec<Kid>,
}

impl Looper {
    /// Destroys a patient's data keys; answers how many resources lost their content.
    pub(super) async fn erase(
        &mut self,
        tag: &SubjectTag,
        entry: &PreparedEntry,
    ) -> Result<u64, CommitError> {
        self.parts.sequencer.check()?;
        for attempt in 0..ATTEMPTS {
            let mut counters = self.counters.clone();
            let outcome = self.parts.erase(tag, entry, &mut counters).await;
            match self.conclude(outcome, counters).await {
                Ok(erased) => {
                    for kid in erased.kids {
                        self.parts.keys.forget(tag, kid);
                    }
                    return Ok(erased.affected);
                }
                Err(Failure::Collision) => tokio::time::sleep(backoff(attempt)).await,
                Err(failure) => return Err(failure.into_store(&self.parts.db.name).into()),
            }
        }
        Err(StoreError::Busy.into())
    }
}

impl WriterParts {
    async fn erase(
        &self,
        tag: &SubjectTag,
        entry: &PreparedEntry,
        counters: &mut Counters,
    ) -> Result<(Erased, Vec<Staged>), Uncommitted<Erased>> {
        let mut connection = self.db.connection().await?;
        let transaction = begin(&mut connection, self.tenant)
            .await
            .map_err(|error| self.failed(&error))?;
        let tn = self.tenant.as_uuid();
        // Whoever seals under these keys right now holds them: this waits for their commit.
        let rows = transaction
            .query(KEYS, &[&tn, &tag.as_slice()])
            .await
            .map_err(|error| self.failed(&error))?;
        let kids: Vec<Kid> = rows
            .iter()
            .filter_map(|row| Kid::try_from(row.get::<_, &[u8]>(0)).ok())
            .collect();
        let affected = self.empty(&transaction, tn, tag, &kids).await?;
        let mut entry = entry.clone();
        entry.leaf.erased = kids.first().map(|kid| KeyId(*kid));
        let around = Around {
            transaction: &transaction,
            tenant: self.tenant,
            place: &self.db.name,
            ids: self.ids.as_ref(),
            tenant_kid: self.keys.keys.tenant_dek().kid(),
        };
        let mut batch = Batch::load(around, &[], false).await?;
        batch.stage(&entry, counters)?;
        batch.finish().await?;
        let staged = core::mem::take(&mut batch.staged);
        drop(batch);
        let erased = Erased { affected, kids };
        match transaction.commit().await {
            Ok(()) => Ok((erased, staged)),
            Err(error) => {
                let failure = Failure::of_commit(&self.db.name, &error);
                Err(Uncommitted {
                    failure,
                    attempt: Some((erased, staged)),
                })
            }
        }
    }

    /// Marks the heads sealed under keys as erased and drops what they were found by.
    async fn empty(
        &self,
        transaction: &Transaction<'_>,
        tn: Uuid,
        tag: &SubjectTag,
        kids: &[Kid],
    ) -> Result<u64, Failure> {
        if kids.is_empty() {
            return Ok(0);
        }
        let failed = |error: Error| self.failed(&error);
        let asked: Vec<&[u8]> = kids.iter().map(Kid::as_slice).collect();
        transaction
            .execute(LIST, &[&tn, &asked, &tag.as_slice()])
            .await
            .map_err(failed)?;
        let erased = ChangeKind::Erase as i16;
        let rows = transaction
            .query(HEADS, &[&tn, &asked, &erased])
            .await
            .map_err(failed)?;
        let mut index = IndexRows::default();
        let mut heads: Vec<i64> = Vec::with_capacity(rows.len());
        for row in &rows {
            let rid = RowId(row.get(0));
            let packed =
                PackedIndex::decode(row.get(2), row.get::<_, i64>(1) as u64).map_err(|error| {
                    StoreError::Damaged {
                        place: "res.ix".to_owned(),
                        detail: error.to_string(),
                    }
                })?;
            index.collect(rid.0, &packed);
            heads.push(rid.0);
        }
        index.remove(transaction, tn).await.map_err(failed)?;
        transaction
            .execute(EMPTY, &[&tn, &heads, &erased])
            .await
            .map_err(failed)?;
        transaction
            .execute(COMPARTMENTS, &[&tn, &heads])
            .await
            .map_err(failed)?;
        Ok(heads.len() as u64)
    }
}
