//! The port over an open data folder. Point reads run on the caller's thread (tens of microseconds);
//! searches, histories and copies run where they may block.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::ledger::Leaf;
use ::ledger::payload::Payload;
use async_trait::async_trait;
use fhir::search::ParamId;
use kernel::{LogicalId, RowId, TenantId, TenantScope, VersionId};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open::SqliteStore;
use super::readers::ReadError;
use super::recent::Known;
use super::tenant::{Shared, Tenant};
use super::writer::ReindexRow;
use super::{docs, evidence, log, read, search, snapshot};
use crate::codec;
use crate::index::{self, PackedIndex};
use crate::journal::Appended;
use crate::port::access::Entry;
use crate::port::change::{CommitError, Receipt, Unit};
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

/// Units with more changes are prepared off the caller's thread.
const LARGE_UNIT: usize = 32;
/// Large units prepared at a time, one per core, so that the first reach the writer while others wait.
static PREPARING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)));
/// Engine steps between two looks at the clock.
const STEPS: i32 = 1024;
/// How long a search may take on the caller's thread before it goes where it may block.
const AT_ONCE: Duration = Duration::from_millis(2);
/// Bodies opened on the caller's thread, in bytes: about as long as it may take.
const AT_ONCE_BYTES: usize = 256 << 10;
/// The largest page that is searched for on the caller's thread.
const AT_ONCE_ROWS: u32 = 100;

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, StoreError> + Send + 'static,
) -> Result<R, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(StoreError::Engine(format!("a storage task ended: {error}"))),
    }
}

/// Runs a scan under the time limit; waits as long, at most, for a connection.
fn scan<R>(
    tenant: &Tenant,
    work: impl FnOnce(&Connection) -> Result<R, ReadError>,
) -> Result<R, StoreError> {
    let limit = tenant.shared.settings.search_limit;
    tenant
        .scans
        .run_within(limit, |connection| limited(tenant, limit, connection, work))
        .unwrap_or(Err(StoreError::Busy))
}

/// The same on the caller's thread: given up after a moment, or at once where it would have to wait.
fn scan_at_once<R>(
    tenant: &Tenant,
    work: impl FnOnce(&Connection) -> Result<R, ReadError>,
) -> Option<Result<R, StoreError>> {
    let scanned = tenant
        .scans
        .run_if_free(|connection| limited(tenant, AT_ONCE, connection, work))?;
    (!matches!(scanned, Err(StoreError::TooCostly))).then_some(scanned)
}

fn limited<R>(
    tenant: &Tenant,
    limit: Duration,
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<R, ReadError>,
) -> Result<R, ReadError> {
    let clock = Arc::clone(&tenant.shared.clock);
    let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    // One read transaction: all is as of one moment, and the locks of the log are taken once. It begins
    // and ends outside the time limit: an interrupted end would leave it open.
    connection.prepare_cached("BEGIN")?.execute([])?;
    let deadline = clock.monotonic_ns().saturating_add(limit);
    let outcome = connection
        .progress_handler(STEPS, Some(move || clock.monotonic_ns() >= deadline))
        .map_err(ReadError::from)
        .and_then(|()| work(connection));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    outcome
}

/// The data keys of a unit: made for the patients of its changes, found for those of its entries.
fn data_keys(tenant: &Tenant, unit: &Unit) -> Result<DataKeys, StoreError> {
    let mut keys = DataKeys::new();
    let ids = tenant.shared.ids.as_ref();
    tenant
        .sealing
        .of_subjects(subjects(unit).into_iter(), Some(ids), &mut keys)?;
    let about = unit
        .changes
        .iter()
        .map(|change| &change.entry)
        .chain(&unit.entries);
    tenant.sealing.of_subjects(
        about.filter_map(|entry| entry.subject.as_ref()),
        None,
        &mut keys,
    )?;
    Ok(keys)
}

pub(super) fn prepared(tenant: &Tenant, unit: Unit) -> Result<PreparedUnit, CommitError> {
    let keys = data_keys(tenant, &unit)?;
    prepare(tenant.keys(), &keys, tenant.shared.ids.as_ref(), unit)
}

fn prepared_entries(
    tenant: &Tenant,
    entries: &[Entry],
) -> Result<Vec<crate::assemble::PreparedEntry>, CommitError> {
    let mut keys = DataKeys::new();
    tenant.sealing.of_subjects(
        entries.iter().filter_map(|entry| entry.subject.as_ref()),
        None,
        &mut keys,
    )?;
    prepare_entries(tenant.keys(), &keys, tenant.shared.ids.as_ref(), entries)
}

fn store_error(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        other => StoreError::Engine(other.to_string()),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_tenant(
        &self,
        scope: &TenantScope,
        spec: &TenantSpec,
    ) -> Result<(), StoreError> {
        self.create(scope, spec)
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.list()
    }

    async fn greatest_row(&self, scope: &TenantScope) -> Result<Option<RowId>, StoreError> {
        let greatest: Option<i64> = self.tenant(scope)?.points.run(|connection| {
            Ok(connection.query_row("SELECT max(vid) FROM ver", [], |row| row.get(0))?)
        })?;
        Ok(greatest.map(RowId))
    }

    async fn heads(
        &self,
        scope: &TenantScope,
        keys: &[ResourceKey],
    ) -> Result<Vec<Option<Head>>, StoreError> {
        let tenant = self.tenant(scope)?;
        tenant.points.run(|connection| {
            keys.iter()
                .map(|key| read::head(connection, &tenant.sealing, key))
                .collect()
        })
    }

    async fn read(
        &self,
        scope: &TenantScope,
        key: &ResourceKey,
    ) -> Result<Option<StoredVersion>, StoreError> {
        let tenant = self.tenant(scope)?;
        let rh = read::rh(&tenant.sealing, key);
        let ticket = match tenant.recent.get(rh, key) {
            Known::Version(version) => return Ok(Some(version)),
            Known::Nothing(ticket) => ticket,
        };
        let found = tenant
            .points
            .run(|connection| read::read(connection, &tenant.sealing, rh, key))?;
        if let Some(version) = &found {
            tenant.recent.put(rh, ticket, version);
        }
        Ok(found)
    }

    async fn vread(
        &self,
        scope: &TenantScope,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<Option<StoredVersion>, StoreError> {
        let tenant = self.tenant(scope)?;
        tenant
            .points
            .run(|connection| read::vread(connection, &tenant.sealing, key, version))
    }

    async fn history(
        &self,
        scope: &TenantScope,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, StoreError> {
        let (tenant, query) = (self.tenant(scope)?, query.clone());
        blocking(move || {
            scan(&tenant, |connection| {
                read::history(connection, &tenant.sealing, &query)
            })
        })
        .await
    }

    async fn search(
        &self,
        scope: &TenantScope,
        plan: &SearchPlan,
    ) -> Result<SearchPage, StoreError> {
        let tenant = self.tenant(scope)?;
        check_words(tenant.shared.settings.full_text, &plan.all_of)?;
        let limit = tenant.shared.settings.search_limit;
        if plan.count <= AT_ONCE_ROWS && limit > AT_ONCE {
            // Most searches are over sooner than another thread would begin with them.
            let search = |connection: &Connection| {
                search::search(connection, &tenant.sealing, plan, AT_ONCE_BYTES)
            };
            if let Some(settled) = scan_at_once(&tenant, search) {
                return settled;
            }
        }
        let plan = plan.clone();
        blocking(move || {
            scan(&tenant, |connection| {
                search::search(connection, &tenant.sealing, &plan, usize::MAX)
            })
        })
        .await
    }

    async fn in_use(
        &self,
        scope: &TenantScope,
        params: &[ParamId],
        limit: u32,
    ) -> Result<Vec<ResourceKey>, StoreError> {
        let tenant = self.tenant(scope)?;
        let params = params.to_vec();
        blocking(move || {
            scan(&tenant, |connection| {
                read::in_use(connection, &params, limit)
            })
        })
        .await
    }

    async fn explain(
        &self,
        scope: &TenantScope,
        plan: &SearchPlan,
        counting: Counting,
    ) -> Result<Explanation, StoreError> {
        let (tenant, plan) = (self.tenant(scope)?, plan.clone());
        check_words(tenant.shared.settings.full_text, &plan.all_of)?;
        blocking(move || {
            scan(&tenant, |connection| {
                search::explained(connection, &tenant.sealing, &plan, counting)
            })
        })
        .await
    }

    fn full_text(&self) -> FullText {
        self.shared.settings.full_text
    }

    fn search_limit(&self) -> Duration {
        self.shared.settings.search_limit
    }

    async fn fence(&self, scope: &TenantScope, at: RowId) -> Result<(), StoreError> {
        self.tenant(scope)?.fence.put_up(at).await;
        Ok(())
    }

    async fn snapshot(
        &self,
        scope: &TenantScope,
        query: &SnapshotQuery,
    ) -> Result<SnapshotPage, StoreError> {
        let (tenant, query) = (self.tenant(scope)?, query.clone());
        blocking(move || {
            scan(&tenant, |connection| {
                snapshot::page(connection, &tenant.sealing, &query)
            })
        })
        .await
    }

    fn pack_index(
        &self,
        scope: &TenantScope,
        ty: fhir::TypeId,
        extracted: &fhir::search::Extracted<'_>,
    ) -> Result<PackedIndex, StoreError> {
        let tenant = self.tenant(scope)?;
        Ok(index::pack(
            tenant.keys().hasher(),
            crate::query::plan::patient_type()?,
            (ty, tenant.shared.settings.full_text),
            extracted,
        ))
    }

    async fn commit(&self, scope: &TenantScope, unit: Unit) -> Result<Receipt, CommitError> {
        unit.check()?;
        let tenant = self.tenant(scope)?;
        tenant.writer.check()?;
        let _passing = tenant.fence.pass(&unit).await?;
        let unit = if unit.changes.len() > LARGE_UNIT {
            let tenant = Arc::clone(&tenant);
            let _permit = PREPARING.acquire().await.map_err(|_| StoreError::Closed)?;
            blocking(move || Ok(prepared(&tenant, unit))).await??
        } else {
            prepared(&tenant, unit)?
        };
        tenant.writer.commit(unit).await
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
        let tenant = self.tenant(scope)?;
        tenant.writer.check()?;
        let entries = prepared_entries(&tenant, &entries).map_err(store_error)?;
        if tenant.shared.settings.access_window.is_zero() {
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
        match tenant.journal.append(entries)? {
            Appended::More => {}
            Appended::First => tenant.writer.wake(),
            Appended::Full => {
                tenant.writer.wake();
                tenant.journal.wait_for_room().await;
            }
        }
        Ok(())
    }

    async fn settle(&self, scope: &TenantScope) -> Result<(), StoreError> {
        self.tenant(scope)?.writer.settle().await
    }

    async fn doc(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        id: &str,
    ) -> Result<Option<Doc>, StoreError> {
        let tenant = self.tenant(scope)?;
        tenant
            .points
            .run(|connection| docs::doc(connection, &tenant.sealing, kind, id))
    }

    async fn doc_by(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        name: &'static str,
        value: &str,
    ) -> Result<Option<Doc>, StoreError> {
        let tenant = self.tenant(scope)?;
        tenant
            .points
            .run(|connection| docs::doc_by(connection, &tenant.sealing, kind, name, value))
    }

    async fn docs(
        &self,
        scope: &TenantScope,
        kind: DocKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Doc>, StoreError> {
        let tenant = self.tenant(scope)?;
        tenant
            .points
            .run(|connection| docs::docs(connection, &tenant.sealing, kind, after, limit))
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
        let tenant = self.tenant(scope)?;
        let unit = prepared(
            &tenant,
            Unit {
                docs: writes,
                ..Unit::default()
            },
        )?;
        tenant.writer.commit(unit).await.map(|_| ())
    }

    fn log_verifier(&self) -> String {
        self.shared.signer.verifier().to_string()
    }

    async fn log_head(&self, scope: &TenantScope, log: Log) -> Result<LogHead, StoreError> {
        let tenant = self.tenant(scope)?;
        let instance = &self.shared.settings.instance;
        tenant
            .points
            .run(|connection| log::head(connection, scope.tenant(), instance, log))
    }

    async fn log_checkpoints(
        &self,
        scope: &TenantScope,
        log: Log,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        self.tenant(scope)?
            .points
            .run(|connection| log::checkpoints(connection, log, after, limit))
    }

    async fn log_tile(
        &self,
        scope: &TenantScope,
        log: Log,
        level: u8,
        index: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.tenant(scope)?.points.run(|connection| {
            let transaction = connection.unchecked_transaction()?;
            log::tile(&transaction, log, level, index)
        })
    }

    async fn log_entries(
        &self,
        scope: &TenantScope,
        log: Log,
        from: u64,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.tenant(scope)?
            .points
            .run(|connection| log::entries(connection, log, from, limit))
    }

    async fn log_recent(
        &self,
        scope: &TenantScope,
        log: Log,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.tenant(scope)?
            .points
            .run(|connection| log::recent(connection, log, before, limit))
    }

    async fn log_subject(
        &self,
        scope: &TenantScope,
        log: Log,
        patient: &LogicalId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let tenant = self.tenant(scope)?;
        let subject = crate::assemble::subject_key(tenant.keys(), patient);
        tenant
            .points
            .run(|connection| log::of_subject(connection, log, subject, before, limit))
    }

    async fn open_payload(
        &self,
        scope: &TenantScope,
        entry: &LogEntry,
    ) -> Result<Option<Payload>, StoreError> {
        let tenant = self.tenant(scope)?;
        let damaged = |detail: &str| StoreError::Damaged {
            place: format!("entry {} of log {}", entry.index, entry.log.as_str()),
            detail: detail.to_owned(),
        };
        let leaf = Leaf::parse(&entry.leaf).map_err(|_| damaged("its leaf cannot be read"))?;
        let kid =
            codec::kid_of(&entry.payload).ok_or_else(|| damaged("its payload is not sealed"))?;
        let Some(dek) = tenant.sealing.dek(&kid)? else {
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
        let tenant = self.tenant(scope)?;
        blocking(move || {
            tenant
                .scans
                .run(|connection| evidence::versions(connection, &tenant.sealing, after, limit))
        })
        .await
    }

    async fn unplaced(&self, scope: &TenantScope, _log: Log) -> Result<Vec<Unplaced>, StoreError> {
        // An entry gets its place in the transaction that writes it.
        self.tenant(scope).map(|_| Vec::new())
    }

    async fn erase(
        &self,
        scope: &TenantScope,
        patient: &LogicalId,
        entry: Entry,
    ) -> Result<u64, CommitError> {
        let tenant = self.tenant(scope)?;
        // Sealed under the tenant's key: the subject's is about to go.
        let mut prepared = prepare_entries(
            tenant.keys(),
            &DataKeys::new(),
            tenant.shared.ids.as_ref(),
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
        let tenant = self.tenant(scope)?;
        let hasher = tenant.keys().hasher();
        let rows = rows
            .into_iter()
            .map(|new| ReindexRow {
                rh: hasher.local(new.key.ty, new.key.id.as_str()),
                new,
            })
            .collect();
        tenant.writer.reindex(rows).await
    }

    async fn copy_tenant(&self, scope: &TenantScope, into: &Path) -> Result<(), StoreError> {
        let (tenant, into) = (self.tenant(scope)?, into.to_owned());
        if tenant.writer.check().is_ok() {
            tenant.writer.settle().await?;
        }
        blocking(move || {
            std::fs::create_dir_all(&into)
                .map_err(|error| crate::files::io_error(&into, &error))?;
            // The record first: every key it needs was stored before it.
            let record = into.join("record.db").display().to_string();
            tenant.scans.run(|connection| {
                connection.execute("VACUUM INTO ?1", [&record])?;
                Ok(())
            })?;
            tenant.sealing.db.copy_into(&into.join("keys.db"))
        })
        .await
    }

    async fn health(&self, scope: &TenantScope) -> Result<(), StoreError> {
        let tenant = self.tenant(scope)?;
        tenant.writer.check()?;
        probe(&self.shared, tenant.points.path())?;
        tenant
            .points
            .run(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))
    }

    fn figures(&self) -> Figures {
        self.counted()
    }

    async fn close(&self) {
        self.shut();
    }
}

/// Writes and removes a small file, so that a full or read-only disk is noticed before a write is.
fn probe(shared: &Shared, record: &Path) -> Result<(), StoreError> {
    let path = record.with_file_name(format!("probe-{}", shared.ids.uuid().simple()));
    let outcome = std::fs::write(&path, [0u8; 4096]);
    let _ = std::fs::remove_file(&path);
    outcome.map_err(|error| crate::files::io_error(&path, &error))
}
