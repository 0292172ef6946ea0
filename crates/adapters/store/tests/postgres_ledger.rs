//! Somebody with the owner's password goes behind the program's back: what was changed, removed, swapped or
//! put back is found, with its place. And connections that are cut cost nothing acknowledged.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "test code outside of test functions; tests tell their story in one piece"
)]

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod server;
#[expect(
    dead_code,
    reason = "the suite's world is shared; not every case is used here"
)]
mod suite;

use std::sync::Arc;
use std::time::Duration;

use ledger::leaf::Class;
use ledger::verify::Verdict;
use server::Server;
use store::postgres::PostgresStore;
use store::{CommitError, HistoryQuery, HistoryScope, Log, Store, StoreError};
use suite::adversary::{Expected, of_changes, verify_open, worst};
use suite::source::Logs;
use suite::world::{World, key, patient};

async fn set_up(entries: usize) -> Option<(Server, World, Arc<PostgresStore>)> {
    let server = Server::fresh()?;
    let world = World::new();
    let store = server
        .replica(Arc::clone(&world.ids) as _, "replica", Duration::ZERO)
        .await;
    world.found(&*store).await;
    for number in 0..entries {
        world
            .put(&*store, &[&patient(&format!("p{number}"), "Kept")])
            .await
            .unwrap();
    }
    store.settle(&world.scope).await.unwrap();
    Some((server, world, store))
}

/// What the verifier finds first.
async fn verified(server: &Server, store: &Arc<PostgresStore>) -> Expected {
    let data = server.folder.path().join("replica");
    let (report, _) = verify_open(Arc::clone(store) as _, data, Vec::new()).await;
    worst(&report)
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_entries_are_named_when_read() {
    let Some((server, world, store)) = set_up(6).await else {
        return;
    };
    server
        .database
        .execute("DELETE FROM theriac.log_stage WHERE log = 1 AND n = 3")
        .unwrap();
    let refused = store
        .log_entries(&world.scope, Log::Changes, 0, 100)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, StoreError::Damaged { place, .. } if place == "entry 2 of log changes"),
        "{refused}"
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_short_or_put_back_refuses_writes_until_recovery() {
    let cut = "DELETE FROM theriac.log_entry WHERE log = 1 AND idx >= 4;
         UPDATE theriac.log_head h SET size = s.size, root = s.root, edge = s.edge, note = s.note
         FROM saved s WHERE h.log = 1 AND s.log = 1";
    for running in [true, false] {
        let Some((server, world, store)) = set_up(4).await else {
            return;
        };
        server
            .database
            .execute("CREATE TABLE saved AS SELECT * FROM theriac.log_head")
            .unwrap();
        world
            .put(&*store, &[&patient("lost", "Later")])
            .await
            .unwrap();
        store.settle(&world.scope).await.unwrap();
        server.database.execute(cut).unwrap();
        let store = if running {
            // The next write is staged before the sequencer notices; nothing after that goes in.
            let _ = world.put(&*store, &[&patient("next", "Later")]).await;
            let _ = store.settle(&world.scope).await;
            store
        } else {
            store.close().await;
            server
                .replica(Arc::clone(&world.ids) as _, "replica", Duration::ZERO)
                .await
        };
        let refused = world
            .put(&*store, &[&patient("more", "Later")])
            .await
            .unwrap_err();
        let CommitError::Store(StoreError::RolledBack {
            found: 4,
            known: 5,
            log: "changes",
            ..
        }) = refused
        else {
            panic!("running {running}: {refused}");
        };
        assert!(matches!(
            store.health(&world.scope).await,
            Err(StoreError::RolledBack { .. })
        ));
        assert!(
            store
                .read(&world.scope, &key("Patient/p0"))
                .await
                .unwrap()
                .is_some(),
            "reads go on"
        );
        store.close().await;
    }
}

/// Holds the sequencer back while something is done to what waits.
async fn with_sequencer_held(server: &Server, work: impl AsyncFnOnce()) {
    let owner = server.database.connection("postgres");
    let (client, connection) = tokio_postgres::connect(&owner, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT 1 FROM theriac.log_head FOR UPDATE")
        .await
        .unwrap();
    work().await;
    client.batch_execute("COMMIT").await.unwrap();
}

async fn unhealthy(world: &World, store: &PostgresStore) -> String {
    for _ in 0..200 {
        if let Err(StoreError::Damaged { detail, .. }) = store.health(&world.scope).await {
            return detail;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_taken_out_of_the_queue_raises_the_alarm() {
    let Some((server, world, store)) = set_up(2).await else {
        return;
    };
    with_sequencer_held(&server, async || {
        world
            .put(&*store, &[&patient("hidden", "Gone")])
            .await
            .unwrap();
        server
            .database
            .execute("DELETE FROM theriac.log_queue")
            .unwrap();
    })
    .await;
    let detail = unhealthy(&world, &store).await;
    assert!(
        detail.contains("acknowledged") && detail.contains("changes"),
        "{detail}"
    );
    // Nobody has to have been there: it was committed and has no place.
    assert_eq!(verified(&server, &store).await, of_changes(2, Some(2)));
    store.close().await;
    let ids = Arc::clone(&world.ids) as _;
    let later = server.replica(ids, "replica", Duration::ZERO).await;
    assert_eq!(verified(&server, &later).await, of_changes(2, Some(2)));
    // The next entry of the same writer would show the gap; another writer's does not hide it.
    world
        .put(&*later, &[&patient("next", "Later")])
        .await
        .unwrap();
    later.settle(&world.scope).await.unwrap();
    assert_eq!(verified(&server, &later).await, of_changes(2, Some(3)));
    later.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_edited_before_it_is_sequenced_is_never_signed() {
    let edits = [
        "UPDATE theriac.log_stage SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'success', 'denied'), 'UTF8') WHERE n = 3",
        "UPDATE theriac.log_stage SET payload = '\\x02'::bytea || payload WHERE n = 3",
        "DELETE FROM theriac.log_stage WHERE n = 3",
    ];
    for edit in edits {
        let Some((server, world, store)) = set_up(2).await else {
            return;
        };
        with_sequencer_held(&server, async || {
            world
                .put(&*store, &[&patient("edited", "Gone")])
                .await
                .unwrap();
            server.database.execute(edit).unwrap();
        })
        .await;
        let detail = unhealthy(&world, &store).await;
        assert!(detail.contains("entry 3"), "{detail}");
        assert_eq!(
            store
                .log_head(&world.scope, Log::Changes)
                .await
                .unwrap()
                .size,
            2,
            "{edit}"
        );
        // Its version has no entry that anybody signed.
        assert_eq!(
            verified(&server, &store).await,
            of_changes(1, None),
            "{edit}"
        );
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_cost_nothing_acknowledged() {
    let Some((server, world, store)) = set_up(0).await else {
        return;
    };
    let tasks: Vec<_> = (0..16)
        .map(|writer| {
            let (world, store) = (world.clone(), Arc::clone(&store));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0..60 {
                    let name = format!("w{writer}-{number}");
                    let change = world.change(&*store, &patient(&name, "Cut"), None);
                    let unit = store::Unit {
                        changes: vec![change],
                        ..store::Unit::default()
                    };
                    match store.commit(&world.scope, unit).await {
                        Ok(_) => acknowledged.push(name),
                        Err(CommitError::Store(StoreError::Unreachable { .. })) => {}
                        Err(other) => panic!("{other}"),
                    }
                    let look = world.entry(Log::Access, Class::Read, None);
                    match store.record_access(&world.scope, vec![look]).await {
                        Ok(()) | Err(StoreError::Unreachable { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND usename = 'theriac_app'";
        server.database.execute(cut).unwrap();
    }
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    store.settle(&world.scope).await.unwrap();
    store.health(&world.scope).await.unwrap();
    for name in &acknowledged {
        assert!(
            store
                .read(&world.scope, &key(&format!("Patient/{name}")))
                .await
                .unwrap()
                .is_some(),
            "{name}"
        );
    }
    let mut logs = Logs::read(&*store, &world.scope).await;
    let report = logs.verify(&store.log_verifier());
    assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings);
    let all = HistoryQuery {
        scope: HistoryScope::System,
        since: None,
        until: None,
        before: None,
        limit: 5000,
        bytes: usize::MAX,
        restriction: None,
    };
    let versions = store
        .history(&world.scope, &all)
        .await
        .unwrap()
        .versions
        .len();
    let changes = logs
        .0
        .values()
        .find(|log| log.head.origin.contains("/changes/"))
        .unwrap();
    assert_eq!(
        changes.entries.len(),
        versions,
        "entries pair with versions"
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_on_top_of_a_head_that_nobody_signed() {
    let Some((server, world, store)) = set_up(3).await else {
        return;
    };
    server
        .database
        .execute("CREATE TABLE saved AS SELECT * FROM theriac.log_head")
        .unwrap();
    world
        .put(&*store, &[&patient("lost", "Later")])
        .await
        .unwrap();
    store.settle(&world.scope).await.unwrap();
    store.close().await;
    // Cut short, but with the newest checkpoint: only the head file of the other replica would notice.
    let forge = "DELETE FROM theriac.log_entry WHERE log = 1 AND idx >= 3;
         UPDATE theriac.log_head h SET size = s.size, root = s.root, edge = s.edge FROM saved s WHERE h.log = 1 AND s.log = 1";
    server.database.execute(forge).unwrap();
    let ids = Arc::clone(&world.ids) as _;
    let fresh = server.replica(ids, "fresh", Duration::ZERO).await;
    world
        .put(&*fresh, &[&patient("next", "Later")])
        .await
        .unwrap();
    let detail = unhealthy(&world, &fresh).await;
    assert!(detail.contains("not what was signed"), "{detail}");
    let head = fresh.log_head(&world.scope, Log::Changes).await.unwrap();
    assert_eq!(head.size, 3);
    fresh.close().await;
}
