//! A tenant's keys with the tables they lie in, wrapped. New data keys are committed before anything is
//! sealed under them; destroyed ones open no more, whatever a backup of the keys brought back.

use std::collections::HashSet;
use std::sync::Arc;

use kernel::{Ids, LogicalId, TenantId};
use parking_lot::Mutex;

use super::connect::{Database, begin};
use crate::keys::{
    Dek, KeyRing, Kid, SubjectTag, TENANT_SUBJECT, TenantKeys, WrappedDek, WrappedSecret,
};
use crate::port::error::StoreError;
use crate::prepare::DataKeys;

const SECRETS: &str = "SELECT name, wrapped FROM secret WHERE tn = $1";
const BY_KID: &str = "SELECT d.kid, d.subject, d.wrapped, e.kid IS NOT NULL FROM (SELECT $2::bytea AS kid) k
    LEFT JOIN dek d ON d.tn = $1 AND d.kid = k.kid LEFT JOIN erasure e ON e.tn = $1 AND e.kid = k.kid";
const BY_SUBJECT: &str =
    "SELECT d.kid, d.subject, d.wrapped FROM dek d WHERE d.tn = $1 AND d.subject = ANY($2)
    AND NOT EXISTS (SELECT 1 FROM erasure e WHERE e.tn = d.tn AND e.kid = d.kid)";
const INSERT: &str = "INSERT INTO dek (tn, kid, subject, wrapped)
    SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::bytea[]) ON CONFLICT DO NOTHING";
const ERASURES: &str = "SELECT kid, subject FROM erasure WHERE tn = $1";

/// An open tenant's keys.
pub(super) struct Keyring {
    pub(super) keys: TenantKeys,
    tenant: TenantId,
    db: Arc<Database>,
    forgotten: Mutex<HashSet<Kid>>,
}

impl Keyring {
    /// Makes a tenant's secrets; does nothing where they are.
    pub(super) async fn create(
        db: &Database,
        tenant: TenantId,
        ring: &dyn KeyRing,
        ids: &dyn Ids,
    ) -> Result<(), StoreError> {
        let failed = |error: tokio_postgres::Error| db.failed(&error);
        let (secrets, dek) = TenantKeys::generate(tenant, ring, ids)?;
        let mut connection = db.connection().await?;
        let transaction = begin(&mut connection, tenant).await.map_err(failed)?;
        let mut made = 0;
        for secret in &secrets {
            let sql =
                "INSERT INTO secret (tn, name, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            made += transaction
                .execute(sql, &[&tenant.as_uuid(), &secret.name, &secret.wrapped])
                .await
                .map_err(failed)?;
        }
        // Another replica made them at the same time, or they were there: its own are used, ours dropped.
        if made == secrets.len() as u64 {
            insert(&transaction, tenant, &[&dek])
                .await
                .map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
        }
        Ok(())
    }

    /// Opens them; `None` where the tenant has none.
    pub(super) async fn open(
        db: &Arc<Database>,
        tenant: TenantId,
        ring: &dyn KeyRing,
    ) -> Result<Option<Self>, StoreError> {
        let tn = tenant.as_uuid();
        let secrets: Vec<WrappedSecret> = db
            .query(tenant, SECRETS, &[&tn])
            .await?
            .iter()
            .map(|row| WrappedSecret {
                name: row.get(0),
                wrapped: row.get(1),
            })
            .collect();
        if secrets.is_empty() {
            return Ok(None);
        }
        let dek = db
            .query_one(tenant, BY_SUBJECT, &[&tn, &vec![TENANT_SUBJECT.as_slice()]])
            .await?;
        let missing = || StoreError::Key {
            key: format!("data key of tenant {tenant}"),
        };
        let dek = dek.as_ref().and_then(wrapped).ok_or_else(missing)?;
        let keys = TenantKeys::open(tenant, ring, &secrets, &dek)?;
        Ok(Some(Self {
            keys,
            tenant,
            db: Arc::clone(db),
            forgotten: Mutex::new(HashSet::new()),
        }))
    }

    /// A data key; `None` where it was destroyed.
    pub(super) async fn dek(&self, kid: &Kid) -> Result<Option<Arc<Dek>>, StoreError> {
        if let Some(dek) = self.keys.by_kid(kid) {
            return Ok(Some(dek));
        }
        if self.forgotten.lock().contains(kid) {
            return Ok(None);
        }
        let row = self
            .db
            .query_one(
                self.tenant,
                BY_KID,
                &[&self.tenant.as_uuid(), &kid.as_slice()],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.get::<_, bool>(3) {
            self.forgotten.lock().insert(*kid);
            return Ok(None);
        }
        match wrapped(&row) {
            Some(stored) => self.admit(&stored),
            None => Err(StoreError::Key {
                key: uuid::Uuid::from_bytes(*kid).to_string(),
            }),
        }
    }

    /// The data keys of patients; where there is none, `ids` makes one, or it is left out.
    pub(super) async fn of_subjects<'p>(
        &self,
        patients: impl Iterator<Item = &'p LogicalId>,
        ids: Option<&dyn Ids>,
        into: &mut DataKeys,
    ) -> Result<(), StoreError> {
        let mut missing: Vec<SubjectTag> = Vec::new();
        for patient in patients {
            let tag = self.keys.subject_tag(patient);
            if into.contains_key(&tag) || missing.contains(&tag) {
                continue;
            }
            match self.keys.by_subject(&tag).filter(|dek| dek.is_durable()) {
                Some(dek) => drop(into.insert(tag, dek)),
                None => missing.push(tag),
            }
        }
        self.load(&mut missing, into).await?;
        let Some(ids) = ids.filter(|_| !missing.is_empty()) else {
            return Ok(());
        };
        // Every replica inserts in the same order.
        missing.sort_unstable();
        self.make(&missing, ids).await?;
        // What another replica made first is what is loaded now.
        self.load(&mut missing, into).await
    }

    /// Drops keys that any replica destroyed from memory.
    pub(super) async fn forget_destroyed(&self) -> Result<(), StoreError> {
        for row in self
            .db
            .query(self.tenant, ERASURES, &[&self.tenant.as_uuid()])
            .await?
        {
            if let (Some(kid), Some(subject)) = (fixed(row.get(0)), fixed(row.get(1))) {
                self.forget(&subject, kid);
            }
        }
        Ok(())
    }

    pub(super) fn forget(&self, subject: &SubjectTag, kid: Kid) {
        if self.forgotten.lock().insert(kid) {
            self.keys.forget(subject, &[kid]);
        }
    }

    /// Opens a stored data key, unless it was destroyed while it was read.
    fn admit(&self, stored: &WrappedDek) -> Result<Option<Arc<Dek>>, StoreError> {
        let dek = self.keys.admit(stored)?;
        if self.forgotten.lock().contains(&stored.kid) {
            self.keys.forget(&stored.subject, &[stored.kid]);
            return Ok(None);
        }
        Ok(Some(dek))
    }

    async fn load(
        &self,
        tags: &mut Vec<SubjectTag>,
        into: &mut DataKeys,
    ) -> Result<(), StoreError> {
        if tags.is_empty() {
            return Ok(());
        }
        let asked: Vec<&[u8]> = tags.iter().map(SubjectTag::as_slice).collect();
        let rows = self
            .db
            .query(self.tenant, BY_SUBJECT, &[&self.tenant.as_uuid(), &asked])
            .await?;
        for stored in rows.iter().filter_map(wrapped) {
            if let Some(dek) = self.admit(&stored)? {
                into.insert(stored.subject, dek);
            }
        }
        tags.retain(|tag| !into.contains_key(tag));
        Ok(())
    }

    async fn make(&self, tags: &[SubjectTag], ids: &dyn Ids) -> Result<(), StoreError> {
        for tag in tags {
            self.keys.create(*tag, ids)?;
        }
        let pending = self.keys.pending();
        let ours: Vec<&WrappedDek> = pending
            .iter()
            .filter(|dek| tags.contains(&dek.subject))
            .collect();
        let failed = |error: tokio_postgres::Error| self.db.failed(&error);
        let mut connection = self.db.connection().await?;
        let transaction = begin(&mut connection, self.tenant).await.map_err(failed)?;
        insert(&transaction, self.tenant, &ours)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        // Whether ours or another's is in storage is seen by loading it.
        for dek in ours {
            self.keys.forget(&dek.subject, &[dek.kid]);
        }
        Ok(())
    }
}

async fn insert(
    transaction: &deadpool_postgres::Transaction<'_>,
    tenant: TenantId,
    deks: &[&WrappedDek],
) -> Result<u64, tokio_postgres::Error> {
    let kids: Vec<&[u8]> = deks.iter().map(|dek| dek.kid.as_slice()).collect();
    let subjects: Vec<&[u8]> = deks.iter().map(|dek| dek.subject.as_slice()).collect();
    let wrapped: Vec<&[u8]> = deks.iter().map(|dek| dek.wrapped.as_slice()).collect();
    transaction
        .execute(INSERT, &[&tenant.as_uuid(), &kids, &subjects, &wrapped])
        .await
}

fn wrapped(row: &tokio_postgres::Row) -> Option<WrappedDek> {
    Some(WrappedDek {
        kid: fixed(row.try_get(0).ok()?)?,
        subject: fixed(row.try_get(1).ok()?)?,
        wrapped: row.try_get(2).ok()?,
    })
}

fn fixed(bytes: &[u8]) -> Option<[u8; 16]> {
    bytes.try_into().ok()
}
