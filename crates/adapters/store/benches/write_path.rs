//! Prints what writing and reading cost on SQLite: resources per second and CPU microseconds per resource,
//! in transactions of several sizes, single creates at 64 at a time, reads by id, looks, searches.
//! `cargo bench -p theriac-store`. Measures only; asserts nothing.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::too_many_lines, reason = "one story from top to bottom")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may stop at once"
)]

#[path = "../tests/suite/mod.rs"]
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use std::sync::Arc;
use std::time::Duration;

use ledger::leaf::Class;
use store::sqlite::{SqliteSettings, SqliteStore};
use store::{Log, Store, Unit};
use suite::world::{World, key, observation, patient};

/// CPU time of this process, in seconds (user and system).
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn report(what: &str, count: usize, wall: Duration, cpu_seconds: f64) {
    let rate = count as f64 / wall.as_secs_f64();
    println!(
        "{what:<44} {count:>7} in {:>6.2} s  {rate:>9.0}/s  {:>7.1} us CPU each",
        wall.as_secs_f64(),
        cpu_seconds * 1e6 / count as f64
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `--keep FOLDER` leaves the data there to be looked at.
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != "--keep")
        .skip(1);
    let folder = tempfile::tempdir().unwrap();
    let data = arguments
        .next()
        .map_or_else(|| folder.path().to_owned(), std::path::PathBuf::from);
    let world = World::new();
    let settings = SqliteSettings::new(data.clone(), "bench.example");
    let store = Arc::new(
        SqliteStore::open(
            settings,
            Arc::clone(&world.clock) as _,
            Arc::clone(&world.ids) as _,
        )
        .unwrap(),
    );
    world.found(&*store).await;
    let patients: Vec<String> = (0..100)
        .map(|n| patient(&format!("p{n}"), "Bench"))
        .collect();
    world
        .put(
            &*store,
            &patients.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await
        .unwrap();

    let mut made = 0usize;
    for size in [500usize, 50, 5] {
        let units = 5000 / size;
        let (start, before) = (now(), cpu());
        for _ in 0..units {
            let changes = (0..size)
                .map(|_| {
                    made += 1;
                    let time = format!("2026-01-{:02}T10:00:{:02}Z", made % 28 + 1, made % 60);
                    world.change(
                        &*store,
                        &observation(
                            &format!("o{made}"),
                            &format!("p{}", made % 100),
                            &format!("{}-1", made % 40),
                            "5.4",
                            &time,
                        ),
                        None,
                    )
                })
                .collect();
            store
                .commit(
                    &world.scope,
                    Unit {
                        changes,
                        ..Unit::default()
                    },
                )
                .await
                .unwrap();
        }
        report(
            &format!("observations in transactions of {size}"),
            units * size,
            start.elapsed(),
            cpu() - before,
        );
    }

    let (start, before) = (now(), cpu());
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let (world, store) = (world.clone(), Arc::clone(&store));
            tokio::spawn(async move {
                for number in 0..100 {
                    let json = observation(
                        &format!("s{task}-{number}"),
                        &format!("p{task}"),
                        "9-9",
                        "5.4",
                        "2026-03-01",
                    );
                    let change = world.change(&*store, &json, None);
                    store
                        .commit(
                            &world.scope,
                            Unit {
                                changes: vec![change],
                                ..Unit::default()
                            },
                        )
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    report(
        "single creates, 64 at a time",
        6400,
        start.elapsed(),
        cpu() - before,
    );

    let (start, before) = (now(), cpu());
    for number in 0..50_000 {
        let read = store
            .read(
                &world.scope,
                &key(&format!("Observation/o{}", number % made + 1)),
            )
            .await
            .unwrap();
        assert!(read.is_some());
    }
    report(
        "reads by id, one thread",
        50_000,
        start.elapsed(),
        cpu() - before,
    );

    let (start, before) = (now(), cpu());
    for number in 0..20_000 {
        let look = world.entry(
            Log::Access,
            Class::Read,
            Some(&format!("p{}", number % 100)),
        );
        store.record_access(&world.scope, vec![look]).await.unwrap();
    }
    store.settle(&world.scope).await.unwrap();
    report(
        "looks recorded and settled",
        20_000,
        start.elapsed(),
        cpu() - before,
    );

    for (what, query) in [
        ("rare token", "subject=Patient/p7&code=7-1"),
        ("common token", "code=9-9"),
        ("date", "date=2026-01-05"),
    ] {
        let mut plan = world.plan("Observation", query);
        plan.count = 20;
        let (start, before) = (now(), cpu());
        for _ in 0..2000 {
            store.search(&world.scope, &plan).await.unwrap();
        }
        report(
            &format!("searches, {what}, pages of 20"),
            2000,
            start.elapsed(),
            cpu() - before,
        );
    }
    store.close().await;
    let bytes: u64 = walk(&data);
    println!(
        "{:<44} {:>7.0} bytes each, all in",
        "stored resources",
        bytes as f64 / (made as f64 + 6500.0)
    );
}

fn walk(folder: &std::path::Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|item| {
            let item = item.unwrap();
            let meta = item.metadata().unwrap();
            if meta.is_dir() {
                walk(&item.path())
            } else {
                meta.len()
            }
        })
        .sum()
}
