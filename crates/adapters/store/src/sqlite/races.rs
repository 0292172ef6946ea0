//! Work prepared before an erasure that arrives after it, and readers that held a destroyed key.

use std::sync::Arc;

use ::ledger::leaf::Class;
use ::ledger::payload::Payload;
use identity::{SystemTask, system_scope};
use kernel::{
    Actor, ActorId, ActorKind, Clock, Ids, LogicalId, PurposeOfUse, TenantId, TenantScope,
    VersionId,
};
use testkit::clock::FixedClock;
use testkit::ids::SeededIds;
use uuid::Uuid;

use super::store::prepared;
use super::{SqliteSettings, SqliteStore};
use crate::index::PackedIndex;
use crate::port::access::Entry;
use crate::port::change::{Change, ChangeKind, CommitError, Expected, Unit};
use crate::port::error::StoreError;
use crate::port::ledger::Log;
use crate::port::resource::ResourceKey;
use crate::port::{Store, TenantSpec};
use crate::prepare::DataKeys;
use crate::query::plan::patient_type;

struct Bench {
    _folder: tempfile::TempDir,
    ids: Arc<SeededIds>,
    clock: Arc<FixedClock>,
    store: SqliteStore,
    scope: TenantScope,
    patient: LogicalId,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(SeededIds::new(7, Arc::clone(&clock) as Arc<dyn Clock>));
        let settings = SqliteSettings::new(folder.path().join("data"), "test.example");
        let store =
            SqliteStore::open(settings, Arc::clone(&clock) as _, Arc::clone(&ids) as _).unwrap();
        let tenant = TenantId::from_uuid(Uuid::from_u128(1));
        let scope = system_scope(tenant, SystemTask::Setup);
        let spec = TenantSpec {
            tenant,
            dedicated: None,
        };
        store.create_tenant(&scope, &spec).await.unwrap();
        Self {
            _folder: folder,
            ids,
            clock,
            store,
            scope,
            patient: "gone".parse().unwrap(),
        }
    }

    fn entry(&self, class: Class) -> Entry {
        let actor = Actor {
            id: ActorId::from_uuid(Uuid::from_u128(2)),
            kind: ActorKind::User,
            name: "Ada Quinn".to_owned(),
            role: "nurse".to_owned(),
            branch: None,
        };
        let payload = Payload::new(&actor, class.as_str(), PurposeOfUse::Treatment);
        let now = self.clock.now();
        let mut entry = Entry::new(self.ids.uuid(), now, Log::Changes, class, payload);
        entry.subject = Some(self.patient.clone());
        entry
    }

    /// A new resource of the patient.
    fn creation(&self, id: &str) -> Unit {
        let row = self.ids.row_id();
        let change = Change {
            key: ResourceKey {
                ty: patient_type().unwrap(),
                id: id.parse().unwrap(),
            },
            expected: Expected::Absent,
            row,
            version: VersionId::FIRST,
            version_row: row,
            kind: ChangeKind::Create,
            body: b"{}".to_vec(),
            index: PackedIndex::default(),
            subject: Some(self.patient.clone()),
            entry: self.entry(Class::Create),
        };
        Unit {
            changes: vec![change],
            ..Unit::default()
        }
    }

    async fn erase(&self) {
        let entry = self.entry(Class::Erase);
        self.store
            .erase(&self.scope, &self.patient, entry)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_was_sealed_before_an_erasure_is_refused_after_it() {
    let bench = Bench::new().await;
    let (store, scope) = (&bench.store, &bench.scope);
    store.commit(scope, bench.creation("gone")).await.unwrap();
    let tenant = store.tenant(scope).unwrap();
    let entries = Unit {
        entries: vec![bench.entry(Class::Read)],
        ..Unit::default()
    };
    let late = [
        prepared(&tenant, bench.creation("late")).unwrap(),
        prepared(&tenant, entries).unwrap(),
    ];
    bench.erase().await;
    for unit in late {
        let answer = tenant.writer.commit(unit).await;
        assert!(
            matches!(answer, Err(CommitError::Store(StoreError::Busy))),
            "{answer:?}"
        );
    }
    // Prepared again it is sealed under a key of its own.
    store.commit(scope, bench.creation("late")).await.unwrap();
}

#[tokio::test]
async fn a_destroyed_key_opens_nothing_although_a_reader_brought_it_back() {
    let bench = Bench::new().await;
    let (store, scope) = (&bench.store, &bench.scope);
    store.commit(scope, bench.creation("gone")).await.unwrap();
    let tenant = store.tenant(scope).unwrap();
    let (keys, sealing) = (tenant.keys(), &tenant.sealing);
    let tag = keys.subject_tag(&bench.patient);
    let stored = sealing.db.by_subject(&tag).unwrap().pop().unwrap();
    bench.erase().await;
    // A reader took it from the file just before it went, and puts it into the cache just after.
    keys.admit(&stored).unwrap();
    assert!(sealing.dek(&stored.kid).unwrap().is_none());
    let mut found = DataKeys::new();
    let patient = || std::iter::once(&bench.patient);
    sealing.of_subjects(patient(), None, &mut found).unwrap();
    assert!(found.is_empty() && keys.by_subject(&tag).is_none());
    // The same where an older file of keys still has it.
    sealing.db.add(std::slice::from_ref(&stored)).unwrap();
    sealing.of_subjects(patient(), None, &mut found).unwrap();
    assert!(found.is_empty() && keys.by_kid(&stored.kid).is_none());
    let ids = bench.ids.as_ref();
    sealing
        .of_subjects(patient(), Some(ids), &mut found)
        .unwrap();
    assert_ne!(found.get(&tag).unwrap().kid(), stored.kid);
}

#[tokio::test]
async fn an_erasure_is_finished_when_a_long_read_ends() {
    let bench = Bench::new().await;
    let (store, scope) = (&bench.store, &bench.scope);
    store.commit(scope, bench.creation("gone")).await.unwrap();
    let tenant = store.tenant(scope).unwrap();
    let open = || rusqlite::Connection::open(tenant.points.path()).unwrap();
    let (long, other) = (open(), open());
    let number = |sql: &str| -> i64 { other.query_row(sql, [], |row| row.get(0)).unwrap() };
    long.execute_batch("BEGIN; SELECT count(*) FROM erasure")
        .unwrap();
    bench.erase().await;
    // The reader keeps its old pages; others are not held up by it.
    store.commit(scope, bench.creation("late")).await.unwrap();
    assert_eq!(number("SELECT done FROM erasure"), 0);
    long.execute_batch("COMMIT").unwrap();
    for _ in 0..100 {
        if number("SELECT done FROM erasure") == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the erasure was never finished");
}
