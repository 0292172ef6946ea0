//! `kill -9` at random moments while many write: every acknowledged version and look is there afterwards,
//! once, the ledger is sound and the record is what it says. `THERIAC_KILL_ROUNDS` sets the rounds.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::Ids as _;
use ledger::leaf::Class;
use store::{Log, Store};
use testkit::peers::setting;

use super::adversary::{assert_sound, verify_open};
use super::source::Logs;
use super::world::{World, key, patient};

const WRITERS: usize = 64;
const ROUND: &str = "THERIAC_KILL_ROUND";

/// Where an adapter keeps its data, for the process that is killed and the one that looks afterwards.
#[async_trait]
pub trait Place: Sync {
    /// What the process to be killed needs to find it, as environment variables.
    fn environment(&self) -> Vec<(&'static str, String)>;
    /// Opens the store.
    async fn open(&self, world: &World, window: Duration) -> Arc<dyn Store>;
    /// The folder with the head files in `heads`.
    fn data(&self) -> PathBuf;
}

/// The window of a round: strict in every other one.
fn window(round: u64) -> Duration {
    Duration::from_millis(round % 2 * 10)
}

/// Whether this process is the one to be killed, and in which round.
pub fn round() -> Option<u64> {
    setting(ROUND)?.parse().ok()
}

/// The process that is killed: writes without end and prints each name and look once it is acknowledged.
pub fn child(place: &(impl Place + Send), round: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::of_seed(round);
        let store = place.open(&world, window(round)).await;
        world.found(&*store).await;
        if let Some(floor) = store.greatest_row(&world.scope).await.unwrap() {
            world.ids.raise_row_floor(floor);
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (world, store) = (world.clone(), Arc::clone(&store));
                tokio::spawn(async move {
                    for number in 0.. {
                        write(&world, &*store, &format!("r{round}-w{writer}-{number}")).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write(world: &World, store: &dyn Store, name: &str) {
    world.put(store, &[&patient(name, "Kill")]).await.unwrap();
    let look = world.entry(Log::Access, Class::Read, Some(name));
    store
        .record_access(&world.scope, vec![look.clone()])
        .await
        .unwrap();
    let line = format!("ack {name} {}\n", look.id);
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// The process that kills and looks.
pub async fn nothing_acknowledged_is_lost(place: &impl Place) {
    let rounds = setting("THERIAC_KILL_ROUNDS")
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10);
    let (mut names, mut looks) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..rounds {
        for line in run_and_kill(place, round) {
            // A line may be cut off.
            if let Some((name, look)) = line.split_once(' ')
                && look.len() == 36
            {
                names.insert(name.to_owned());
                looks.insert(look.to_owned());
            }
        }
        let fresh = format!("r{round}-");
        let fresh: Vec<&String> = names
            .range(fresh.clone()..)
            .take_while(|name| name.starts_with(&fresh))
            .collect();
        check(place, round, &fresh, names.len(), &looks).await;
        report(round, names.len());
    }
    // At the end once more what all rounds were promised.
    let all: Vec<&String> = names.iter().collect();
    check(place, rounds, &all, names.len(), &looks).await;
    assert!(
        names.len() > rounds as usize * 5,
        "the rounds did something: {}",
        names.len()
    );
}

#[expect(clippy::print_stderr, reason = "long runs say how far they are")]
fn report(round: u64, acknowledged: usize) {
    eprintln!("round {round}: {acknowledged} acknowledged so far, all there");
}

fn run_and_kill(place: &impl Place, round: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .envs(place.environment())
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    // From the first acknowledgement on, so that every round kills in the middle of work.
    let mut first = String::new();
    while !first.contains("ack ") {
        first.clear();
        if output.read_line(&mut first).unwrap() == 0 {
            break;
        }
    }
    let reader = std::thread::spawn(move || {
        let lines = std::iter::once(Ok(first)).chain(output.lines());
        let lines = lines.map_while(Result::ok);
        lines
            .filter_map(|line| Some(line.trim_end().split_once("ack ")?.1.to_owned()))
            .collect::<Vec<_>>()
    });
    std::thread::sleep(Duration::from_micros(1_000 + round * 7_919_000 % 613_000));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// `fresh`: the names acknowledged in this round, of `all` in all rounds.
async fn check(
    place: &impl Place,
    round: u64,
    fresh: &[&String],
    all: usize,
    looks: &BTreeSet<String>,
) {
    let world = World::of_seed(1_000_000 + round);
    let store = place.open(&world, window(round)).await;
    if store.tenants().await.unwrap().is_empty() {
        assert_eq!(all, 0);
        store.close().await;
        return;
    }
    world.found(&*store).await;
    store.settle(&world.scope).await.unwrap();
    for name in fresh {
        let read = store
            .read(&world.scope, &key(&format!("Patient/{name}")))
            .await;
        assert!(
            read.unwrap().is_some_and(|read| read.body.is_some()),
            "{name} was acknowledged"
        );
    }
    let (report, record) = verify_open(Arc::clone(&store), place.data(), Vec::new()).await;
    assert_sound(&report);
    let versions: u64 = record.iter().map(|of| of.versions).sum();
    let logs = Logs::read(&*store, &world.scope).await;
    let log = |kind: &str| {
        let mut logs = logs.0.values();
        logs.find(|log| log.head.origin.contains(kind)).unwrap()
    };
    assert!(versions >= all as u64);
    assert_eq!(log("/changes/").entries.len() as u64, versions);
    let mut seen = BTreeSet::new();
    for entry in &log("/access/").entries {
        let leaf = ledger::Leaf::parse(&entry.leaf).unwrap();
        assert!(seen.insert(leaf.id.to_string()), "a look is there once");
    }
    assert!(looks.is_subset(&seen), "every acknowledged look is there");
    store.close().await;
}
