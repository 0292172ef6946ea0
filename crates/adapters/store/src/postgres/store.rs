//! The port over PostgreSQL.

use std::path::Path;
use std::time::Duration;

use ::ledger::Leaf;
use ::ledger::payload::Payload;
use async_trait::async_trait;
use fhir::search::ParamId;
use kernel::{LogicalId, RowId, TenantId, TenantScope, VersionId};

use super::connect::begin;
use super::ledger::read as log;
use super::open::PostgresStore;
use super::tenant::Tenant;
use super::{docs, evidence, read, reindex, search, snapshot};
use crate::assemble::PreparedEntry;
use crate::codec;
use crate::index::{self, PackedIndex};
use crate::journal::Appended;
use crate::port::access::Entry;
use crate::port::change::{CommitError, EntryReceipt, Receipt, Unit};
use crate::port::doc::{Doc, DocKind, DocWrite};
use crate::port::error::StoreError;
use crate::port::evidence::{Unplaced, VersionEvidence};
use crate::port::figures::Figures;
use crate::port::ledger::{Log, LogEntry, LogHead, StoredCheckpoint};
use crate::port::reindex::Reindexed;
use crate::port::resource::{Head, HistoryPage, HistoryQuery, ResourceKey, StoredVersion};
use crate::port::search::{Counting, Explanation, FullText, SearchPage, SearchPlan};
use crate::port::snapshot::{SnapshotPage, SnapshotQuery};
use crate::port::{Store, TenantSpec};
use crate::prepare::{DataKeys, PreparedUnit, prepare, prepare_entries, subjects};
use crate::query::check_words;

impl PostgresStore {
    /// Brings the data keys of a unit: made for the patients of its changes, found for those of its
    /// entries; then seals.
    async fn prepared(&self, tenant: &Tenant, unit: Unit) -> Result<PreparedUnit, CommitError> {
        let ids = self.shared.ids.as_ref();
        let mut keys = DataKeys::new();
        tenant
            .keyring
            .of_subjects(subjects(&unit).into_iter(), Some(ids), &mut keys)
            .await?;
        let about = unit
            .changes
            .iter()
            .map(|change| &change.entry)
            .chain(&unit.entries);
        tenant
            .keyring
            .of_subjects(
                about.filter_map(|entry| entry.subject.as_ref()),
                None,
                &mut keys,
            )
            .await?;
        prepare(tenant.keys(), &keys, ids, unit)
    }

    async fn prepared_entries(
        &self,
        tenant: &Tenant,
        entries: &[Entry],
    ) -> Result<Vec<PreparedEntry>, CommitError> {
        let mut keys = DataKeys::new();
        let about = entries.iter().filter_map(|entry| entry.subject.as_ref());
        tenant.keyring.of_subjects(about, None, &mut keys).await?;
        prepare_entries(tenant.keys(), &keys, self.shared.ids.as_ref(), entries)
    }

    async fn committed(
        &self,
        tenant: &Tenant,
        unit: Unit,
    ) -> Result<Vec<EntryReceipt>, CommitError> {
        tenant.sequencer.check()?;
        let unit = self.prepared(tenant, unit).await?;
        tenant.writer.commit(unit).await
    }

    fn limit_ms(&self) -> u128 {
        self.shared.settings.search_limit.as_millis().max(1)
    }
}

fn store_error(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        other => StoreError::Engine(other.to_string()),
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn create_tenant(
        &self,
        scope: &TenantScope,
        spec: &TenantSpec,
    ) -> Result<(), StoreError> {
        self.create(scope, spec).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.list().await
    }

    async fn greatest_row(&self, scope: &TenantScope) -> Result<Option<RowId>, StoreError> {
        let tenant = self.tenant(scope).await?;
        let sql = "SELECT vid FROM ver WHERE tn = $1 ORDER BY vid DESC LIMIT 1";
        let row = tenant
            .db
            .query_one(tenant.id, sql, &[&tenant.id.as_uuid()])
            .await?;
        Ok(row.map(|row| RowId(row.get(0))))
    }

    async fn heads(
        &self,
        scope: &TenantScope,
        keys: &[ResourceKey],
    ) -> Result<Vec<Option<Head>>, StoreError> {
        let tenant = self.tenant(scope).await?;
        read::heads(&tenant.db, &tenant.keyring, tenant.id, keys).await
    }

    async fn read(
        &self,
        scope: &TenantScope,
        key: &ResourceKey,
    ) -> Result<Option<StoredVersion>, StoreError> {
        let tenant = self.tenant(scope).await?;
        read::read(&tenant.db, &tenant.keyring, tenant.id, key).await
    }

    async fn vread(
        &self,
        scope: &TenantScope,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<Option<StoredVersion>, StoreError> {
        let tenant = self.tenant(scope).await?;
        read::vread(&tenant.db, &tenant.keyring, tenant.id, key, version).await
    }

    async fn history(
        &self,
        scope: &TenantScope,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, StoreError> {
        let tenant = self.tenant(scope).await?;
        read::history(
            &tenant.db,
            &tenant.keyring,
            tenant.id,
            query,
            self.limit_ms(),
        )
        .await
    }

    async fn search(
        &self,
        scope: &TenantScope,
        plan: &SearchPlan,
    ) -> Result<SearchPage, StoreError> {
        check_words(self.shared.settings.full_text, &plan.all_of)?;
        let tenant = self.tenant(scope).await?;
        search::search(
            &tenant.db,
            &tenant.keyring,
            tenant.id,
            plan,
            self.limit_ms(),
        )
        .await
    }

    async fn in_use(
        &self,
        scope: &TenantScope,
        params: &[ParamId],
        limit: u32,
    ) -> Result<Vec<ResourceKey>, StoreError> {
        let tenant = self.tenant(scope).await?;
        read::in_use(&tenant.db, tenant.id, params, limit).await
    }

    async fn explain(
        &self,
        scope: &TenantScope,
        plan: &SearchPlan,
        counting: Counting,
    ) -> Result<Explanation, StoreError> {
        check_words(self.shared.settings.full_text, &plan.all_of)?;
        let tenant = self.tenant(scope).await?;
        search::explained(
            &tenant.db,
            &tenant.keyring,
            tenant.id,
            (plan, counting),
            self.limit_ms(),
        )
        .await
    }

    fn full_text(&self) -> FullText {
        self.shared.settings.full_text
    }

    fn search_limit(&self) -> Duration {
        self.shared.settings.search_limit
    }

    async fn fence(&self, scope: &TenantScope, at: RowId) -> Result<(), StoreError> {
        self.tenant(scope).await?.fence.put_up(at).await;
        Ok(())
    }

    async fn snapshot(
        &self,
        scope: &TenantScope,
        query: &SnapshotQuery,
    ) -> Result<SnapshotPage, StoreError> {
        let tenant = self.tenant(scope).await?;
        snapshot::page(&tenant.db, &tenant.keyring, tenant.id, query).await
    }

    fn pack_index(
        &self,
        scope: &TenantScope,
        ty: fhir::TypeId,
        extracted: &fhir::search::Extracted<'_>,
    ) -> Result<PackedIndex, StoreError> {
        let patient = crate::query::plan::patient_type()?;
        let of = (ty, self.shared.settings.full_text);
        self.hasher(scope, |hasher| index::pack(hasher, patient, of, extracted))
    }

    async fn commit(&self, scope: &TenantScope, unit: Unit) -> Result<Receipt, CommitError> {
        unit.check()?;
        let tenant = self.tenant(scope).await?;
        let _passing = tenant.fence.pass(&unit).await?;
        let entries = self.committed(&tenant, unit).await?;
        let origin = log::origin(
            &self.shared.settings.instance,
            tenant.id,
            Log::Changes,
            tenant.sequencer.epoch(),
        );
        Ok(Receipt { origin, entries })
    }

    async fn record_access(
        &self,
        scope: &TenantScope,
        entries: Vec<Entry>,
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        if entries.iter().any(|entry| entry.log != Log::Access) {
            return Err(StoreError::Engine(
                "a look belongs to the access log".to_owned(),
            ));
        }
        let tenant = self.tenant(scope).await?;
        tenant.sequencer.check()?;
        let entries = self
            .prepared_entries(&tenant, &entries)
            .await
            .map_err(store_error)?;
        if self.shared.settings.access_window.is_zero() {
            let unit = PreparedUnit {
                entries,
                ..PreparedUnit::default()
            };
            return tenant
                .writer
                .commit(unit)
                .await
                .map(|_| ())
                .map_err(store_error);
        }
        match tenant.looks.journal.append(entries)? {
            Appended::More => {}
            Appended::First => tenant.writer.wake(),
            Appended::Full => {
                tenant.writer.wake();
                tenant.looks.journal.wait_for_room().await;
            }
        }
        Ok(())
    }

    async fn settle(&self, scope: &TenantScope) -> Result<(), StoreError> {
        let tenant = self.tenant(scope).await?;
        tenant.sequencer.check()?;
        tenant.writer.settle().await.map_err(store_error)?;
        tenant.sequencer.settle().await
    }

    async fn doc(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        id: &str,
    ) -> Result<Option<Doc>, StoreError> {
        let tenant = self.tenant(scope).await?;
        docs::doc(&tenant.db, &tenant.keyring, tenant.id, kind, id).await
    }

    async fn doc_by(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        name: &'static str,
        value: &str,
    ) -> Result<Option<Doc>, StoreError> {
        let tenant = self.tenant(scope).await?;
        docs::doc_by(&tenant.db, &tenant.keyring, tenant.id, kind, (name, value)).await
    }

    async fn docs(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Doc>, StoreError> {
        let tenant = self.tenant(scope).await?;
        docs::docs(&tenant.db, &tenant.keyring, tenant.id, kind, (after, limit)).await
    }

    async fn operate(&self, scope: &TenantScope, writes: Vec<DocWrite>) -> Result<(), CommitError> {
        if writes.iter().any(|write| write.kind.is_governed()) {
            return Err(CommitError::Malformed(
                "a governed document needs a ledger entry",
            ));
        }
        if writes.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant(scope).await?;
        self.committed(
            &tenant,
            Unit {
                docs: writes,
                ..Unit::default()
            },
        )
        .await
        .map(|_| ())
    }

    fn log_verifier(&self) -> String {
        self.shared.signer.verifier().to_string()
    }

    async fn log_head(&self, scope: &TenantScope, log: Log) -> Result<LogHead, StoreError> {
        let tenant = self.tenant(scope).await?;
        log::head(&tenant.db, &self.shared.settings.instance, tenant.id, log).await
    }

    async fn log_checkpoints(
        &self,
        scope: &TenantScope,
        log: Log,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let tenant = self.tenant(scope).await?;
        log::checkpoints(&tenant.db, tenant.id, log, after, limit).await
    }

    async fn log_tile(
        &self,
        scope: &TenantScope,
        log: Log,
        level: u8,
        index: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let tenant = self.tenant(scope).await?;
        log::tile(&tenant.db, tenant.id, log, level, index).await
    }

    async fn log_entries(
        &self,
        scope: &TenantScope,
        log: Log,
        from: u64,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let tenant = self.tenant(scope).await?;
        log::entries(&tenant.db, tenant.id, log, from, limit).await
    }

    async fn log_recent(
        &self,
        scope: &TenantScope,
        log: Log,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let tenant = self.tenant(scope).await?;
        log::recent(&tenant.db, tenant.id, log, before, limit).await
    }

    async fn log_subject(
        &self,
        scope: &TenantScope,
        log: Log,
        patient: &LogicalId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let tenant = self.tenant(scope).await?;
        let subject = crate::assemble::subject_key(tenant.keys(), patient);
        log::of_subject(&tenant.db, tenant.id, log, subject, (before, limit)).await
    }

    async fn open_payload(
        &self,
        scope: &TenantScope,
        entry: &LogEntry,
    ) -> Result<Option<Payload>, StoreError> {
        let tenant = self.tenant(scope).await?;
        let damaged = |detail: &str| StoreError::Damaged {
            place: format!("entry {} of log {}", entry.index, entry.log.as_str()),
            detail: detail.to_owned(),
        };
        let leaf = Leaf::parse(&entry.leaf).map_err(|_| damaged("its leaf cannot be read"))?;
        let kid =
            codec::kid_of(&entry.payload).ok_or_else(|| damaged("its payload is not sealed"))?;
        let Some(dek) = tenant.keyring.dek(&kid).await? else {
            return Ok(None);
        };
        let plain = codec::open(
            &dek,
            &codec::payload_binding(scope.tenant(), leaf.id),
            &entry.payload,
        )?;
        Payload::parse(&plain)
            .map(Some)
            .map_err(|_| damaged("its payload cannot be read"))
    }

    async fn version_evidence(
        &self,
        scope: &TenantScope,
        after: Option<RowId>,
        limit: u32,
    ) -> Result<Vec<VersionEvidence>, StoreError> {
        let tenant = self.tenant(scope).await?;
        evidence::versions(&tenant.db, &tenant.keyring, tenant.id, after, limit).await
    }

    async fn unplaced(&self, scope: &TenantScope, log: Log) -> Result<Vec<Unplaced>, StoreError> {
        let tenant = self.tenant(scope).await?;
        evidence::unplaced(&tenant.db, tenant.id, log).await
    }

    async fn erase(
        &self,
        scope: &TenantScope,
        patient: &LogicalId,
        entry: Entry,
    ) -> Result<u64, CommitError> {
        let tenant = self.tenant(scope).await?;
        // Sealed under the tenant's key: the subject's is about to go.
        let mut prepared = prepare_entries(
            tenant.keys(),
            &DataKeys::new(),
            self.shared.ids.as_ref(),
            &[entry],
        )?;
        let entry = prepared
            .pop()
            .ok_or(CommitError::Malformed("an erasure needs an entry"))?;
        tenant
            .writer
            .erase(tenant.keys().subject_tag(patient), entry)
            .await
    }

    async fn reindex(&self, scope: &TenantScope, rows: Vec<Reindexed>) -> Result<u64, StoreError> {
        let tenant = self.tenant(scope).await?;
        reindex::reindex(&tenant, &rows).await
    }

    async fn copy_tenant(&self, _scope: &TenantScope, _into: &Path) -> Result<(), StoreError> {
        Err(StoreError::Unsupported(
            "copy_tenant: use pg_dump or pgBackRest",
        ))
    }

    async fn health(&self, scope: &TenantScope) -> Result<(), StoreError> {
        let tenant = self.tenant(scope).await?;
        tenant.sequencer.check()?;
        tenant.sequencer.watch.health()?;
        // A small write, taken back in the same transaction.
        let failed = |error: tokio_postgres::Error| tenant.db.failed(&error);
        let (tn, number) = (tenant.id.as_uuid(), self.shared.ids.row_id().0);
        let mut connection = tenant.db.connection().await?;
        let transaction = begin(&mut connection, tenant.id).await.map_err(failed)?;
        transaction
            .execute("INSERT INTO crit (tn, h) VALUES ($1, $2)", &[&tn, &number])
            .await
            .map_err(failed)?;
        transaction
            .execute("DELETE FROM crit WHERE tn = $1 AND h = $2", &[&tn, &number])
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    fn figures(&self) -> Figures {
        self.counted()
    }

    async fn close(&self) {
        self.shut().await;
    }
}
