//! What goes wrong with files: a second process, lost keys, older copies, cut and foreign files, newer
//! schemas, crashes in the middle of an erasure. Each is a typed error or repaired, and nothing is lost.

#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod folder;
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use folder::{copy_folder, settings};
use ledger::leaf::Class;
use ledger::verify::Verdict;
use store::sqlite::SqliteStore;
use store::{CommitError, Guard, Log, Store, StoreError, Unit};
use suite::adversary::{Expected, verify_open, worst};
use suite::source::Logs;
use suite::world::{World, id, key, observation, patient};

fn open(world: &World, data: &Path) -> Result<SqliteStore, StoreError> {
    folder::open(world, settings(data))
}

fn record(world: &World, data: &Path) -> PathBuf {
    folder::record(data, &world.scope)
}

/// A closed store with one patient in it.
async fn filled(world: &World, data: &Path) {
    let store = open(world, data).unwrap();
    world.found(&store).await;
    world.put(&store, &[&patient("p", "Quinn")]).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let first = open(&world, folder.path()).unwrap();
    assert!(matches!(
        open(&world, folder.path()),
        Err(StoreError::InUse { .. })
    ));
    first.close().await;
    drop(open(&world, folder.path()).unwrap());
}

#[tokio::test]
async fn lost_keys_are_an_error_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    filled(&world, folder.path()).await;
    let root = folder.path().join("keys/root.key");
    let kept = std::fs::read(&root).unwrap();
    std::fs::remove_file(&root).unwrap();
    assert!(matches!(
        open(&world, folder.path()),
        Err(StoreError::Key { .. })
    ));
    assert!(!root.exists());
    std::fs::write(&root, "00".repeat(32)).unwrap();
    let wrong = open(&world, folder.path()).unwrap();
    assert!(matches!(
        wrong.read(&world.scope, &key("Patient/p")).await,
        Err(StoreError::Key { .. })
    ));
    drop(wrong);
    std::fs::write(&root, kept).unwrap();
    let keys = record(&world, folder.path()).with_file_name("keys.db");
    let aside = keys.with_extension("aside");
    std::fs::rename(&keys, &aside).unwrap();
    let without = open(&world, folder.path()).unwrap();
    assert!(matches!(
        without.read(&world.scope, &key("Patient/p")).await,
        Err(StoreError::Key { .. })
    ));
    let spec = store::TenantSpec {
        tenant: world.scope.tenant(),
        dedicated: None,
    };
    assert!(matches!(
        without.create_tenant(&world.scope, &spec).await,
        Err(StoreError::Key { .. })
    ));
    drop(without);
    std::fs::rename(&aside, &keys).unwrap();
    let again = open(&world, folder.path()).unwrap();
    assert!(
        again
            .read(&world.scope, &key("Patient/p"))
            .await
            .unwrap()
            .unwrap()
            .body
            .is_some()
    );
}

#[tokio::test]
async fn an_older_copy_put_back_is_read_but_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let world = World::new();
    filled(&world, &data).await;
    copy_folder(&data.join("tenants"), &folder.path().join("backup"));
    let store = open(&world, &data).unwrap();
    world.put(&store, &[&patient("q", "Later")]).await.unwrap();
    store.close().await;
    std::fs::remove_dir_all(data.join("tenants")).unwrap();
    copy_folder(&folder.path().join("backup"), &data.join("tenants"));
    for _ in 0..2 {
        let store = open(&world, &data).unwrap();
        assert!(
            store
                .read(&world.scope, &key("Patient/p"))
                .await
                .unwrap()
                .is_some()
        );
        match world.put(&store, &[&patient("r", "New")]).await {
            Err(CommitError::Store(StoreError::RolledBack {
                log: "changes",
                found: 1,
                known: 2,
                ..
            })) => {}
            other => panic!("{other:?}"),
        }
        let look = world.entry(Log::Access, Class::Read, None);
        assert!(matches!(
            store.record_access(&world.scope, vec![look]).await,
            Err(StoreError::RolledBack { .. })
        ));
        assert!(matches!(
            store.health(&world.scope).await,
            Err(StoreError::RolledBack { .. })
        ));
        store.close().await;
    }
}

#[tokio::test]
async fn another_history_of_the_same_length_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let world = World::new();
    filled(&world, &data).await;
    copy_folder(&data.join("tenants"), &folder.path().join("backup"));
    let store = open(&world, &data).unwrap();
    world.put(&store, &[&patient("q", "One")]).await.unwrap();
    store.close().await;
    let heads = folder.path().join("heads");
    copy_folder(&data.join("heads"), &heads);
    std::fs::remove_dir_all(data.join("tenants")).unwrap();
    std::fs::remove_dir_all(data.join("heads")).unwrap();
    copy_folder(&folder.path().join("backup"), &data.join("tenants"));
    let store = open(&world, &data).unwrap();
    world.put(&store, &[&patient("q", "Two")]).await.unwrap();
    store.close().await;
    copy_folder(&heads, &data.join("heads"));
    let store = open(&world, &data).unwrap();
    let refused = world.put(&store, &[&patient("r", "New")]).await;
    assert!(matches!(
        refused,
        Err(CommitError::Store(StoreError::RolledBack {
            found: 2,
            known: 2,
            ..
        }))
    ));
}

#[tokio::test]
async fn cut_and_foreign_files_are_damaged() {
    for (what, damage) in [
        (
            "cut to a page",
            (|bytes: &mut Vec<u8>| bytes.truncate(4096)) as fn(&mut Vec<u8>),
        ),
        ("cut to a stub", |bytes| bytes.truncate(50)),
        ("foreign", |bytes| bytes[..16].fill(b'x')),
        ("scrambled", |bytes| bytes[100..].fill(0x5a)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new();
        filled(&world, folder.path()).await;
        let path = record(&world, folder.path());
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let store = open(&world, folder.path()).unwrap();
        let answer = store.read(&world.scope, &key("Patient/p")).await;
        assert!(
            matches!(answer, Err(StoreError::Damaged { .. })),
            "{what}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_changed_entry_is_noticed_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    filled(&world, folder.path()).await;
    let connection = rusqlite::Connection::open(record(&world, folder.path())).unwrap();
    connection
        .execute(
            "UPDATE log_changes SET leaf = replace(leaf, 'create', 'delete')",
            [],
        )
        .unwrap();
    drop(connection);
    let store = open(&world, folder.path()).unwrap();
    assert!(matches!(
        store.read(&world.scope, &key("Patient/p")).await,
        Err(StoreError::Damaged { .. })
    ));
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    filled(&world, folder.path()).await;
    let connection = rusqlite::Connection::open(record(&world, folder.path())).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let store = open(&world, folder.path()).unwrap();
    let answer = store.read(&world.scope, &key("Patient/p")).await;
    assert!(
        matches!(answer, Err(StoreError::NewerSchema { found: 99, .. })),
        "{answer:?}"
    );
}

/// Opens a store whose patient `gone` was erased, and closes it.
async fn is_erased(world: &World, data: &Path) {
    let store = open(world, data).unwrap();
    let read = store.read(&world.scope, &key("Patient/gone")).await;
    let read = read.unwrap().unwrap();
    assert!(read.erased && read.body.is_none());
    let found = world.search(&store, "Patient", "family=canary").await;
    assert!(found.is_empty());
    store.close().await;
}

#[tokio::test]
async fn an_erasure_cut_short_is_finished_and_one_undone_by_a_restore_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let world = World::new();
    let store = open(&world, &data).unwrap();
    world.found(&store).await;
    world
        .put(
            &store,
            &[
                &patient("gone", "Canary"),
                &observation("o", "gone", "1", "2", "2026-01-01"),
            ],
        )
        .await
        .unwrap();
    store.settle(&world.scope).await.unwrap();
    store.close().await;
    copy_folder(&data, &folder.path().join("before"));
    let store = open(&world, &data).unwrap();
    let entry = world.entry(Log::Changes, Class::Erase, Some("gone"));
    assert_eq!(
        store.erase(&world.scope, &id("gone"), entry).await.unwrap(),
        2
    );
    store.close().await;

    // The crash between the record's commit and the end of the key: keys and list of before, record of after.
    let cut = folder.path().join("cut");
    copy_folder(&data, &cut);
    let (keys, place) = ("keys.db", record(&world, &cut));
    std::fs::copy(
        record(&world, &folder.path().join("before")).with_file_name(keys),
        place.with_file_name(keys),
    )
    .unwrap();
    std::fs::remove_file(cut.join("erased.log")).unwrap();
    let connection = rusqlite::Connection::open(&place).unwrap();
    connection
        .execute("UPDATE erasure SET done = 0", [])
        .unwrap();
    drop(connection);
    is_erased(&world, &cut).await;
    assert!(cut.join("erased.log").exists());

    // A backup put back wholly, but for the list and the heads, which lie outside of it.
    std::fs::remove_dir_all(data.join("tenants")).unwrap();
    copy_folder(&folder.path().join("before/tenants"), &data.join("tenants"));
    is_erased(&world, &data).await;
}

#[tokio::test]
async fn a_copy_taken_in_use_opens_elsewhere_with_the_same_root_key() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let world = World::new();
    filled(&world, &data).await;
    let store = open(&world, &data).unwrap();
    let copy = folder
        .path()
        .join("copy")
        .join("tenants")
        .join(world.scope.tenant().to_string());
    store.copy_tenant(&world.scope, &copy).await.unwrap();
    copy_folder(&data.join("keys"), &folder.path().join("copy/keys"));
    let bytes = std::fs::read(copy.join("record.db")).unwrap();
    assert!(
        !bytes.windows(9).any(|part| part == b"birthDate"),
        "bodies stay sealed"
    );
    let elsewhere = open(&world, &folder.path().join("copy")).unwrap();
    assert!(
        elsewhere
            .read(&world.scope, &key("Patient/p"))
            .await
            .unwrap()
            .unwrap()
            .body
            .is_some()
    );
    let report = Logs::read(&elsewhere, &world.scope)
        .await
        .verify(&elsewhere.log_verifier());
    assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings);
}

#[tokio::test]
async fn a_search_beyond_its_limit_is_too_costly() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let mut settings = settings(folder.path());
    settings.search_limit = Duration::ZERO;
    let store = SqliteStore::open(
        settings,
        Arc::clone(&world.clock) as _,
        Arc::clone(&world.ids) as _,
    )
    .unwrap();
    world.found(&store).await;
    for round in 0..10 {
        let texts: Vec<String> = (0..100)
            .map(|n| patient(&format!("m{round}-{n}"), "Many"))
            .collect();
        world
            .put(
                &store,
                &texts.iter().map(String::as_str).collect::<Vec<_>>(),
            )
            .await
            .unwrap();
    }
    let answer = store
        .search(
            &world.scope,
            &world.plan("Patient", "name:contains=zzz&gender=female"),
        )
        .await;
    assert!(matches!(answer, Err(StoreError::TooCostly)), "{answer:?}");
    // However many are cut short, the connections stay in order.
    for _ in 0..1500 {
        let plan = world.plan("Patient", "name:contains=zzz&gender=female");
        let answer = store.search(&world.scope, &plan).await;
        assert!(matches!(answer, Err(StoreError::TooCostly)), "{answer:?}");
    }
    let plan = world.plan("Patient", "_id=m0-0");
    let found = store.search(&world.scope, &plan).await.unwrap();
    assert_eq!(found.matches.len(), 1);
    assert!(
        store
            .read(&world.scope, &key("Patient/m0-0"))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_condition_that_takes_too_long_refuses_its_unit_alone() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let mut settings = settings(folder.path());
    settings.search_limit = Duration::ZERO;
    let store = SqliteStore::open(
        settings,
        Arc::clone(&world.clock) as _,
        Arc::clone(&world.ids) as _,
    )
    .unwrap();
    world.found(&store).await;
    let texts: Vec<String> = (0..400)
        .map(|n| patient(&format!("m{n}"), "Many"))
        .collect();
    let many: Vec<&str> = texts.iter().map(String::as_str).collect();
    world.put(&store, &many).await.unwrap();
    let unit = Unit {
        changes: vec![world.change(&store, &patient("late", "Late"), None)],
        guards: vec![Guard {
            plan: world.plan("Patient", "name:contains=zzz&gender=female"),
            seen: Vec::new(),
        }],
        ..Unit::default()
    };
    let (refused, stored) = tokio::join!(
        store.commit(&world.scope, unit),
        store.commit(
            &world.scope,
            Unit {
                changes: vec![world.change(&store, &patient("other", "Other"), None)],
                ..Unit::default()
            }
        )
    );
    assert!(
        matches!(refused, Err(CommitError::Store(StoreError::Busy))),
        "{refused:?}"
    );
    stored.unwrap();
    let late = store.read(&world.scope, &key("Patient/late")).await;
    assert!(late.unwrap().is_none());
}

/// Looks that wait in the journal when the process is killed, and one taken out before the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_taken_out_of_the_journal_is_found_by_every_verifier() {
    let folder = tempfile::tempdir().unwrap();
    let (data, killed) = (folder.path().join("data"), folder.path().join("killed"));
    let world = World::new();
    filled(&world, &data).await;
    let mut settings = settings(&data);
    settings.access_window = Duration::from_hours(1);
    let store = folder::open(&world, settings).unwrap();
    for _ in 0..4 {
        let look = world.entry(Log::Access, Class::Read, Some("p"));
        store.record_access(&world.scope, vec![look]).await.unwrap();
    }
    // What the disk holds now is what a kill leaves.
    copy_folder(&data, &killed);
    store.close().await;
    let journals = std::fs::read_dir(record(&world, &killed).parent().unwrap()).unwrap();
    let journal = journals
        .map(|item| item.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "journal")
        })
        .max()
        .unwrap();
    let mut bytes = std::fs::read(&journal).unwrap();
    let frame = 12 + u32::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    assert!(bytes.len() >= 3 * frame);
    bytes.drain(frame..2 * frame);
    std::fs::write(&journal, bytes).unwrap();
    let store: Arc<dyn Store> = Arc::new(open(&world, &killed).unwrap());
    store.settle(&world.scope).await.unwrap();
    store.close().await;
    drop(store);
    let store: Arc<dyn Store> = Arc::new(open(&world, &killed).unwrap());
    let (report, _) = verify_open(Arc::clone(&store), killed, Vec::new()).await;
    let expected = Expected {
        code: 2,
        log: Log::Access,
        index: Some(1),
    };
    assert_eq!(worst(&report), expected, "{:#?}", report.findings);
    store.close().await;
}

/// A process may end at any moment of a tenant's making: the next start and the next attempt must work.
#[tokio::test]
async fn a_tenant_whose_making_was_cut_short_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let place = record(&world, folder.path());
    // The folder, before its keys.
    drop(open(&world, folder.path()).unwrap());
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    let store = open(&world, folder.path()).unwrap();
    assert!(store.tenants().await.unwrap().is_empty());
    world.found(&store).await;
    assert_eq!(store.tenants().await.unwrap(), [world.scope.tenant()]);
    store.close().await;
    drop(store);
    // The keys, before the logs.
    std::fs::remove_file(&place).unwrap();
    std::fs::remove_dir_all(folder.path().join("heads")).unwrap();
    let store = open(&world, folder.path()).unwrap();
    assert_eq!(store.tenants().await.unwrap(), [world.scope.tenant()]);
    store.greatest_row(&world.scope).await.unwrap();
    store.close().await;
    drop(store);
    // A checkpoint, before the head it belongs to.
    let connection = rusqlite::Connection::open(&place).unwrap();
    connection.execute("DELETE FROM log_head", []).unwrap();
    drop(connection);
    let store = open(&world, folder.path()).unwrap();
    world.put(&store, &[&patient("p", "Quinn")]).await.unwrap();
    store.close().await;
    drop(store);
    // A record without keys is no such case.
    std::fs::remove_file(place.with_file_name("keys.db")).unwrap();
    let store = open(&world, folder.path()).unwrap();
    assert_eq!(store.tenants().await.unwrap(), [world.scope.tenant()]);
}

/// What the schema promises: no sequences, triggers or foreign keys; the index holds hashes only.
#[tokio::test]
async fn the_schema_is_plain() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    filled(&world, folder.path()).await;
    let connection = rusqlite::Connection::open(record(&world, folder.path())).unwrap();
    let mut statement = connection
        .prepare("SELECT type, coalesce(sql, '') FROM sqlite_schema")
        .unwrap();
    let items: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (kind, sql) in &items {
        assert_ne!(kind, "trigger");
        for word in ["AUTOINCREMENT", "REFERENCES"] {
            assert!(!sql.contains(word), "{sql}");
        }
    }
    let version: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
    let plan: Vec<String> = connection
        .prepare("EXPLAIN QUERY PLAN SELECT rid FROM ix_rng WHERE p = 1 AND u = 0 AND hi > 5")
        .unwrap()
        .query_map([], |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(plan[0].contains("ix_rng_hi"), "{plan:?}");
}
