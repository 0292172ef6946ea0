//! Several processes' worth of stores over one database: what one did first is met by the other.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod server;
#[expect(
    dead_code,
    reason = "the suite's world is shared; not every case is used here"
)]
mod suite;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ledger::leaf::Class;
use ledger::leaf_hash;
use ledger::verify::Verdict;
use server::Server;
use store::postgres::PostgresStore;
use store::{CommitError, DocExpected, DocKind, DocWrite, Guard, Log, Store, StoreError, Unit};
use suite::source::Logs;
use suite::world::{World, id, key, patient};

async fn replicas(count: usize) -> Option<(Server, World, Vec<Arc<PostgresStore>>)> {
    let server = Server::fresh()?;
    let world = World::new();
    let mut stores = Vec::new();
    for number in 0..count {
        let store = server
            .replica(
                Arc::clone(&world.ids) as _,
                &format!("replica-{number}"),
                Duration::ZERO,
            )
            .await;
        world.found(&*store).await;
        stores.push(store);
    }
    Some((server, world, stores))
}

async fn close(stores: Vec<Arc<PostgresStore>>) {
    for store in stores {
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_parallel_conditional_creates_make_one() {
    let Some((_server, world, stores)) = replicas(2).await else {
        return;
    };
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (world, store) = (world.clone(), Arc::clone(&stores[number % 2]));
            tokio::spawn(async move {
                let mut unit = Unit::default();
                unit.changes.push(world.change(
                    &*store,
                    &patient(&format!("c{number}"), "Once"),
                    None,
                ));
                unit.guards.push(Guard {
                    plan: world.plan("Patient", "family=Once"),
                    seen: Vec::new(),
                });
                match store.commit(&world.scope, unit).await {
                    Ok(_) => true,
                    Err(CommitError::GuardChanged { guard: 0 }) => false,
                    Err(other) => panic!("{other}"),
                }
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += usize::from(task.await.unwrap());
    }
    assert_eq!(made, 1);
    assert_eq!(
        world
            .search(&*stores[0], "Patient", "family=Once")
            .await
            .len(),
        1
    );
    close(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_is_created_once_and_updated_in_turn() {
    let Some((_server, world, stores)) = replicas(2).await else {
        return;
    };
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let (world, store) = (world.clone(), Arc::clone(&stores[number % 2]));
            tokio::spawn(async move {
                let mut stale = 0;
                // Until it went through: every writer makes exactly one version.
                while let Err(error) = world
                    .put(&*store, &[&patient("same", &format!("F{number}"))])
                    .await
                {
                    assert!(matches!(error, CommitError::Stale { .. }), "{error}");
                    stale += 1;
                }
                stale
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let head = world.head(&*stores[1], &key("Patient/same")).await.unwrap();
    assert_eq!(head.version.0, 16);
    assert_eq!(world.search(&*stores[0], "Patient", "").await, ["same"]);
    close(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_and_their_look_ups_are_taken_once() {
    let Some((_server, world, stores)) = replicas(2).await else {
        return;
    };
    let write = |id: String, lookup: &str| DocWrite {
        kind: DocKind::Session,
        id,
        expected: DocExpected::Absent,
        body: Some(b"x".to_vec()),
        time: kernel::Clock::now(&*world.clock),
        expires: None,
        lookups: vec![("token", lookup.to_owned())],
    };
    let mut tasks = Vec::new();
    for number in 0..32 {
        let store = Arc::clone(&stores[number % 2]);
        let scope = world.scope.clone();
        // Half fight for an id, half for a look-up.
        let doc = if number % 4 < 2 {
            write("one".to_owned(), &format!("l{number}"))
        } else {
            write(format!("d{number}"), "shared")
        };
        tasks.push(tokio::spawn(async move {
            store.operate(&scope, vec![doc]).await
        }));
    }
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => done += 1,
            Err(CommitError::DocConflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(done, 2);
    assert_eq!(
        stores[0]
            .docs(&world.scope, DocKind::Session, None, 100)
            .await
            .unwrap()
            .len(),
        2
    );
    close(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sequencers_make_one_dense_log_and_lose_nothing() {
    let Some((_server, world, stores)) = replicas(2).await else {
        return;
    };
    let tasks: Vec<_> = (0..16)
        .map(|writer| {
            let (world, store) = (world.clone(), Arc::clone(&stores[writer % 2]));
            tokio::spawn(async move {
                let mut leaves = Vec::new();
                for number in 0..20 {
                    let receipt = world
                        .put(&*store, &[&patient(&format!("w{writer}-{number}"), "Busy")])
                        .await
                        .unwrap();
                    leaves.extend(receipt.entries.iter().map(|entry| entry.leaf));
                    assert!(receipt.entries.iter().all(|entry| entry.index.is_none()));
                    let look = world.entry(Log::Access, Class::Read, Some(&format!("w{writer}-0")));
                    store.record_access(&world.scope, vec![look]).await.unwrap();
                }
                leaves
            })
        })
        .collect();
    let mut acknowledged = BTreeSet::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    for store in &stores {
        store.settle(&world.scope).await.unwrap();
        store.health(&world.scope).await.unwrap();
    }
    let mut logs = Logs::read(&*stores[0], &world.scope).await;
    let report = logs.verify(&stores[0].log_verifier());
    assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings);
    for log in logs.0.values() {
        let indexes: Vec<u64> = log.entries.iter().map(|entry| entry.index).collect();
        assert_eq!(indexes, (0..320).collect::<Vec<u64>>(), "dense");
    }
    let changes = logs
        .0
        .values()
        .find(|log| log.head.origin.contains("/changes/"))
        .unwrap();
    let found: BTreeSet<_> = changes
        .entries
        .iter()
        .map(|entry| leaf_hash(&entry.leaf))
        .collect();
    assert_eq!(found, acknowledged);
    close(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_in_the_log_within_a_quarter_of_a_second() {
    let Some((_server, world, stores)) = replicas(1).await else {
        return;
    };
    let store = &stores[0];
    world
        .put(&**store, &[&patient("warm", "Up")])
        .await
        .unwrap();
    store.settle(&world.scope).await.unwrap();
    let mut waits = Vec::new();
    for number in 2..=11u64 {
        world
            .put(&**store, &[&patient(&format!("q{number}"), "Quick")])
            .await
            .unwrap();
        let start = tokio::time::Instant::now();
        while store
            .log_head(&world.scope, Log::Changes)
            .await
            .unwrap()
            .size
            < number
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        waits.push(start.elapsed());
    }
    waits.sort();
    // The middle one: the machine of a test may be busy.
    assert!(waits[5] < Duration::from_millis(250), "{waits:?}");
    close(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_destroyed_on_one_replica_opens_nothing_on_the_other() {
    let Some((_server, world, stores)) = replicas(2).await else {
        return;
    };
    world
        .put(&*stores[0], &[&patient("gone", "Canary")])
        .await
        .unwrap();
    let read = stores[1]
        .read(&world.scope, &key("Patient/gone"))
        .await
        .unwrap()
        .unwrap();
    assert!(
        read.body.is_some(),
        "the other replica holds the key in memory now"
    );
    let entry = world.entry(Log::Changes, Class::Erase, Some("gone"));
    assert_eq!(
        stores[0]
            .erase(&world.scope, &id("gone"), entry)
            .await
            .unwrap(),
        1
    );
    // The other replica still has the key for a moment: what it would seal with it is refused.
    let mut change = None;
    for _ in 0..200 {
        let head = world.head(&*stores[1], &key("Patient/gone")).await;
        let next = world.change(&*stores[1], &patient("gone", "Again"), head);
        match stores[1]
            .commit(
                &world.scope,
                Unit {
                    changes: vec![next],
                    ..Unit::default()
                },
            )
            .await
        {
            Ok(_) => {
                change = stores[0]
                    .read(&world.scope, &key("Patient/gone"))
                    .await
                    .unwrap();
                break;
            }
            Err(CommitError::Store(StoreError::Busy)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(
        change
            .expect("it goes through with a new key")
            .body
            .is_some()
    );
    let old = stores[1]
        .vread(&world.scope, &key("Patient/gone"), kernel::VersionId(1))
        .await
        .unwrap()
        .unwrap();
    assert!(old.erased && old.body.is_none());
    close(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_a_replica_that_ended_are_sequenced_by_another() {
    let Some((server, world, mut stores)) = replicas(2).await else {
        return;
    };
    // As a replica leaves it that was killed between its commit and its pass.
    let blocker = server.database.connection("postgres");
    let (client, connection) = tokio_postgres::connect(&blocker, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT 1 FROM theriac.log_head FOR UPDATE")
        .await
        .unwrap();
    let first = stores.remove(0);
    world
        .put(&*first, &[&patient("left", "Behind")])
        .await
        .unwrap();
    assert_eq!(
        first
            .log_head(&world.scope, Log::Changes)
            .await
            .unwrap()
            .size,
        0
    );
    drop(first);
    client.batch_execute("COMMIT").await.unwrap();
    let store = &stores[0];
    for _ in 0..200 {
        store
            .read(&world.scope, &key("Patient/left"))
            .await
            .unwrap();
        if store
            .log_head(&world.scope, Log::Changes)
            .await
            .unwrap()
            .size
            == 1
        {
            close(stores).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody sequenced the entry");
}
