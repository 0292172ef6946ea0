//! `kill -9` at random moments while many write: every acknowledged version and look is there afterwards,
//! entries pair with versions, the ledger is sound. `THERIAC_KILL_ROUNDS` sets the rounds.

#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod server;
#[expect(
    dead_code,
    reason = "the suite's world is shared; not every case is used here"
)]
mod suite;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kernel::{Ids as _, TenantScope};
use ledger::leaf::Class;
use ledger::verify::Verdict;
use server::Server;
use store::{HistoryQuery, HistoryScope, Log, Store};
use suite::source::Logs;
use suite::world::{World, key, patient};
use testkit::peers::setting;
use testkit::postgres::TestDatabase;

const FOLDER: &str = "THERIAC_KILL_FOLDER";
const SOCKET: &str = "THERIAC_KILL_SOCKET";
const DATABASE: &str = "THERIAC_KILL_DATABASE";
const ROUND: &str = "THERIAC_KILL_ROUND";
const WRITERS: usize = 64;

/// The window of a round: strict in every other one.
fn window(round: u64) -> Duration {
    Duration::from_millis(round % 2 * 10)
}

/// Every process is a later one: ids and rows of former ones are not made again.
fn later(process: u64) -> World {
    let world = World::new();
    world.clock.advance(i64::try_from(process).unwrap() * 1000);
    let mut fresh = [0u8; 8];
    for _ in 0..process * 200_000 {
        world.ids.fill(&mut fresh);
    }
    world
}

/// Not a test of its own: the process that is killed. Prints each name once it is acknowledged.
#[test]
fn child() {
    let (Some(folder), Some(socket), Some(name), Some(round)) = (
        setting(FOLDER),
        setting(SOCKET),
        setting(DATABASE),
        setting(ROUND),
    ) else {
        return;
    };
    let round: u64 = round.parse().unwrap();
    let database = TestDatabase {
        socket_folder: socket.into(),
        name,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = later(round * 2);
        let ids = Arc::clone(&world.ids) as _;
        let store =
            server::open(&database, Path::new(&folder), ids, "replica", window(round)).await;
        world.found(&*store).await;
        if let Some(floor) = store.greatest_row(&world.scope).await.unwrap() {
            world.ids.raise_row_floor(floor);
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (world, store) = (world.clone(), Arc::clone(&store));
                tokio::spawn(async move {
                    for number in 0.. {
                        let name = format!("r{round}-w{writer}-{number}");
                        world
                            .put(&*store, &[&patient(&name, "Kill")])
                            .await
                            .unwrap();
                        let look = world.entry(Log::Access, Class::Read, Some(&name));
                        store
                            .record_access(&world.scope, vec![look.clone()])
                            .await
                            .unwrap();
                        let line = format!("ack {name} {}\n", look.id);
                        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

fn spawn(server: &Server, round: u64) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(FOLDER, server.folder.path())
        .env(SOCKET, &server.database.socket_folder)
        .env(DATABASE, &server.database.name)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    if setting(FOLDER).is_some() {
        return;
    }
    let Some(server) = Server::fresh() else {
        return;
    };
    let rounds = setting("THERIAC_KILL_ROUNDS")
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10);
    let (mut names, mut looks) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..rounds {
        let mut child = spawn(&server, round);
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines
                .filter_map(|line| line.split_once("ack ").map(|(_, rest)| rest.to_owned()))
                .collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis(900 + (round * 37 % 11) * 53));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            if let Some((name, look)) = line.split_once(' ')
                && look.len() == 36
            {
                names.insert(name.to_owned());
                looks.insert(look.to_owned());
            }
        }
        check(&server, round, &names, &looks).await;
    }
    assert!(
        names.len() > rounds as usize * 5,
        "the rounds did something: {}",
        names.len()
    );
}

async fn check(server: &Server, round: u64, names: &BTreeSet<String>, looks: &BTreeSet<String>) {
    let world = later(round * 2 + 1);
    let store = server
        .replica(Arc::clone(&world.ids) as _, "replica", window(round))
        .await;
    if store.tenants().await.unwrap().is_empty() {
        assert!(names.is_empty());
        return;
    }
    world.found(&*store).await;
    store.settle(&world.scope).await.unwrap();
    for name in names {
        let read = store
            .read(&world.scope, &key(&format!("Patient/{name}")))
            .await
            .unwrap();
        assert!(
            read.is_some_and(|read| read.body.is_some()),
            "{name} was acknowledged"
        );
    }
    let mut logs = Logs::read(&*store, &world.scope).await;
    let report = logs.verify(&store.log_verifier());
    assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings);
    let log = |kind: &str| {
        logs.0
            .values()
            .find(|log| log.head.origin.contains(kind))
            .unwrap()
    };
    assert_eq!(
        log("/changes/").entries.len(),
        versions(&*store, &world.scope).await,
        "entries pair with versions"
    );
    let mut seen = BTreeSet::new();
    for entry in &log("/access/").entries {
        let leaf = ledger::Leaf::parse(&entry.leaf).unwrap();
        assert!(seen.insert(leaf.id.to_string()), "a look is there once");
    }
    assert!(looks.is_subset(&seen), "every acknowledged look is there");
    store.close().await;
}

async fn versions(store: &dyn Store, scope: &TenantScope) -> usize {
    let mut count = 0;
    let mut query = HistoryQuery {
        scope: HistoryScope::System,
        since: None,
        until: None,
        before: None,
        limit: 1000,
        bytes: usize::MAX,
        restriction: None,
    };
    loop {
        let page = store.history(scope, &query).await.unwrap();
        count += page.versions.len();
        query.before = page.next;
        if page.next.is_none() {
            return count;
        }
    }
}
