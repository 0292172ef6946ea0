//! `kill -9` at random moments while many write: every acknowledged version and look is there afterwards,
//! entries pair with versions, the ledger is sound. `THERIAC_KILL_ROUNDS` sets the rounds.

#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kernel::Ids as _;
use ledger::leaf::Class;
use ledger::verify::Verdict;
use store::sqlite::{SqliteSettings, SqliteStore};
use store::{HistoryQuery, HistoryScope, Log, Store};
use suite::source::Logs;
use suite::world::{World, key, patient};

const FOLDER: &str = "THERIAC_KILL_FOLDER";
const WRITERS: usize = 16;

fn open(world: &World, data: &Path) -> Arc<SqliteStore> {
    let mut settings = SqliteSettings::new(data.to_owned(), "test.example");
    settings.access_window = Duration::from_millis(10);
    Arc::new(
        SqliteStore::open(
            settings,
            Arc::clone(&world.clock) as _,
            Arc::clone(&world.ids) as _,
        )
        .unwrap(),
    )
}

/// Not a test of its own: the process that is killed. Prints each name once it is acknowledged.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let round = std::fs::read_dir(Path::new(&folder).join("rounds"))
            .unwrap()
            .count() as u64;
        let world = World::of_seed(round);
        let store = open(&world, &Path::new(&folder).join("data"));
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

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    if std::env::var_os(FOLDER).is_some() {
        return;
    }
    let rounds = std::env::var_os("THERIAC_KILL_ROUNDS")
        .and_then(|n| n.to_str()?.parse().ok())
        .unwrap_or(10u64);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rounds")).unwrap();
    let (mut names, mut looks) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..rounds {
        std::fs::write(folder.path().join("rounds").join(format!("{round}")), "").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines
                .filter_map(|line| line.split_once("ack ").map(|(_, rest)| rest.to_owned()))
                .collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis(700 + (round * 37 % 11) * 53));
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
        check(&folder.path().join("data"), round, &names, &looks).await;
    }
    assert!(
        names.len() > rounds as usize * 5,
        "the rounds did something: {}",
        names.len()
    );
}

async fn check(data: &Path, round: u64, names: &BTreeSet<String>, looks: &BTreeSet<String>) {
    let world = World::of_seed(1_000_000 + round);
    let store = open(&world, data);
    if store.tenants().await.unwrap().is_empty() {
        assert!(names.is_empty());
        return;
    }
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
    let mut versions = 0;
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
        let page = store.history(&world.scope, &query).await.unwrap();
        versions += page.versions.len();
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let log = |kind: &str| {
        logs.0
            .values()
            .find(|log| log.head.origin.contains(kind))
            .unwrap()
    };
    assert_eq!(
        log("/changes/").entries.len(),
        versions,
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
