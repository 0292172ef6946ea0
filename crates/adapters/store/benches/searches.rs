//! Prints what common searches cost on SQLite with many resources: median and greatest time and mean CPU
//! time of twenty pages each, with other values every time, and the bytes that each kind of index takes.
//! `cargo bench -p theriac-store --bench searches -- --resources 1000000 [--words] [--keep FOLDER]`; a
//! folder kept is used again. Measures only; asserts nothing.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::too_many_lines, reason = "the searches are one list")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench may stop at once"
)]

#[path = "../tests/suite/mod.rs"]
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir::Definitions;
use store::sqlite::{SqliteSettings, SqliteStore};
use store::{Clause, Counting, FullText, Predicate, SearchPlan, Sort, SortKey, Store, Total, Unit};
use suite::world::{World, ty};

/// Resources of one patient: the patient, its encounters, and observations.
const PER_PATIENT: usize = 300;
const ENCOUNTERS: usize = 20;
const ROUNDS: usize = 20;

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// CPU time of all threads of this process, in nanoseconds: what a search costs, also on a busy machine.
fn cpu_ns() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn organization(n: usize) -> String {
    format!(r#"{{"resourceType":"Organization","id":"org{n}","name":"Clinic {n}"}}"#)
}

fn resources(n: usize, organizations: usize) -> Vec<String> {
    let mut all = vec![format!(
        r#"{{"resourceType":"Patient","id":"p{n}","identifier":[{{"system":"urn:mrn","value":"{n:07}"}}],"name":[{{"family":"Family{}","given":["Given{}"]}}],"gender":"{}","birthDate":"19{:02}-{:02}-11","managingOrganization":{{"reference":"Organization/org{}"}}}}"#,
        n % 701,
        n % 97,
        if n.is_multiple_of(2) {
            "male"
        } else {
            "female"
        },
        n % 90 + 10,
        n % 12 + 1,
        n % organizations
    )];
    for e in 0..ENCOUNTERS {
        all.push(format!(
            r#"{{"resourceType":"Encounter","id":"e{n}-{e}","status":"{}","class":{{"system":"urn:class","code":"{}"}},"subject":{{"reference":"Patient/p{n}"}},"serviceProvider":{{"reference":"Organization/org{}"}},"period":{{"start":"20{:02}-{:02}-{:02}"}}}}"#,
            if e + 1 == ENCOUNTERS && n.is_multiple_of(50) { "in-progress" } else { "finished" },
            ["AMB", "IMP", "EMER"][e % 3],
            (n + e) % organizations,
            e % 20 + 5,
            e % 12 + 1,
            n % 28 + 1
        ));
    }
    for o in 0..PER_PATIENT - ENCOUNTERS - 1 {
        let code = (o * 7 + n) % 200;
        all.push(format!(
            r#"{{"resourceType":"Observation","id":"o{n}-{o}","status":"final","category":[{{"coding":[{{"system":"urn:category","code":"c{}"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}-1","display":"Measurement number {code} in serum or plasma"}}],"text":"Measurement {code}"}},"subject":{{"reference":"Patient/p{n}"}},"encounter":{{"reference":"Encounter/e{n}-{}"}},"performer":[{{"reference":"Organization/org{}"}}],"effectiveDateTime":"20{:02}-{:02}-{:02}T10:{:02}:00Z","valueQuantity":{{"value":{}.{},"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}}}"#,
            o % 4,
            o % ENCOUNTERS,
            (n + o) % organizations,
            o % 20 + 5,
            o % 12 + 1,
            (n + o) % 28 + 1,
            o % 60,
            o % 300,
            o % 10
        ));
    }
    all
}

async fn fill(world: &World, store: &dyn Store, patients: usize, organizations: usize) {
    let mut waiting: Vec<String> = (0..organizations).map(organization).collect();
    for n in 0..patients {
        waiting.extend(resources(n, organizations));
        if waiting.len() >= 2000 || n + 1 == patients {
            let changes = waiting
                .drain(..)
                .map(|json| world.change(store, &json, None))
                .collect();
            let unit = Unit {
                changes,
                ..Unit::default()
            };
            store.commit(&world.scope, unit).await.unwrap();
            world.clock.advance(1);
        }
    }
}

fn plan(world: &World, kind: &str, query: &str) -> SearchPlan {
    let mut plan = world.plan(kind, query);
    plan.count = 20;
    plan
}

fn one(predicate: Predicate) -> Clause {
    Clause {
        negated: false,
        any_of: vec![predicate],
    }
}

fn chain(world: &World, from: (&str, &str), to: &str, query: &str) -> Clause {
    let param = Definitions::r4().search_param(ty(from.0), from.1).unwrap();
    let inner = query.split('&').map(|part| world.clause(ty(to), part));
    one(Predicate::Chain {
        param: param.id,
        targets: vec![(ty(to), inner.collect())],
    })
}

fn has(world: &World, from: &str, by: &str, query: &str) -> Clause {
    let param = Definitions::r4().search_param(ty(from), by).unwrap();
    let inner = query.split('&').map(|part| world.clause(ty(from), part));
    one(Predicate::Has {
        ty: ty(from),
        param: param.id,
        all_of: inner.collect(),
    })
}

fn by(code: &str) -> Vec<Sort> {
    let param = Definitions::r4()
        .search_param(ty("Observation"), code)
        .unwrap();
    vec![Sort {
        key: SortKey::Range(param.id),
        descending: true,
    }]
}

/// The searches, for the n-th round.
fn searches(world: &World, patients: usize, n: usize) -> Vec<(&'static str, SearchPlan)> {
    let p = (n * 37 + 5) % patients;
    let code = (n * 13 + 3) % 200;
    let with = |kind: &str, query: &str, clause: Clause| {
        let mut plan = plan(world, kind, query);
        plan.all_of.push(clause);
        plan
    };
    let patient_code_date = format!("patient=Patient/p{p}&code={code}-1&date=ge2010");
    let mut newest = plan(
        world,
        "Observation",
        &format!("patient=Patient/p{p}&code={code}-1"),
    );
    newest.sort = by("date");
    let mut by_date = plan(
        world,
        "Observation",
        &format!("code=http://loinc.org|{code}-1"),
    );
    by_date.sort = by("date");
    let mut sorted_all = plan(world, "Observation", &format!("patient=Patient/p{p}"));
    sorted_all.sort = by("date");
    let observation = |by| ("Observation", by);
    let mut several = plan(world, "Patient", "");
    several.types = vec![ty("Patient"), ty("Encounter"), ty("Observation")];
    several.all_of = vec![one(Predicate::Compartment(
        format!("p{p}").parse().unwrap(),
    ))];
    let name = format!("family=family{}", n * 31 % 701);
    vec![
        (
            "patient + code + date",
            plan(world, "Observation", &patient_code_date),
        ),
        ("patient + code, by date", newest),
        ("patient, by date", sorted_all),
        (
            "code, newest",
            plan(world, "Observation", &format!("code={code}-1")),
        ),
        ("code, by date", by_date),
        (
            "code + value",
            plan(
                world,
                "Observation",
                &format!("code-value-quantity={code}-1$gt290||mg/dL"),
            ),
        ),
        (
            "identifier",
            plan(world, "Patient", &format!("identifier=urn:mrn|{p:07}")),
        ),
        ("name", plan(world, "Patient", &name)),
        ("compartment, 3 types", several),
        (
            "chain: patient.identifier",
            with(
                "Observation",
                "",
                chain(
                    world,
                    observation("patient"),
                    "Patient",
                    &format!("identifier={p:07}"),
                ),
            ),
        ),
        (
            "chain: patient.name + code",
            with(
                "Observation",
                &format!("code={code}-1"),
                chain(world, observation("patient"), "Patient", &name),
            ),
        ),
        (
            "chain: patient.gender + code",
            with(
                "Observation",
                &format!("code={code}-1"),
                chain(world, observation("patient"), "Patient", "gender=female"),
            ),
        ),
        (
            "chain: encounter.class + patient",
            with(
                "Observation",
                &format!("patient=Patient/p{p}"),
                chain(world, observation("encounter"), "Encounter", "class=EMER"),
            ),
        ),
        ("chain: patient.organization.name", {
            let org = chain(
                world,
                ("Patient", "organization"),
                "Organization",
                &format!("name=clinic {}", n % 50),
            );
            let param = Definitions::r4()
                .search_param(ty("Observation"), "patient")
                .unwrap();
            let targets = vec![(ty("Patient"), vec![org])];
            with(
                "Observation",
                "",
                one(Predicate::Chain {
                    param: param.id,
                    targets,
                }),
            )
        }),
        (
            "_has: Observation:patient:code",
            with(
                "Patient",
                "",
                has(world, "Observation", "patient", &format!("code={code}-1")),
            ),
        ),
        (
            "_has: Observation:patient:code + value",
            with(
                "Patient",
                "gender=female",
                has(
                    world,
                    "Observation",
                    "patient",
                    &format!("code-value-quantity={code}-1$gt290||mg/dL"),
                ),
            ),
        ),
        (
            "_has: Encounter:patient:status",
            with(
                "Patient",
                "",
                has(world, "Encounter", "patient", "status=in-progress"),
            ),
        ),
    ]
}

async fn measure(world: &World, store: &dyn Store, patients: usize) {
    let names: Vec<&str> = searches(world, patients, 0)
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let mut times = vec![Vec::new(); names.len()];
    let mut found = vec![0usize; names.len()];
    let mut busy = vec![0u64; names.len()];
    for n in 0..=ROUNDS {
        for (at, (_, plan)) in searches(world, patients, n).into_iter().enumerate() {
            let (start, before) = (now(), cpu_ns());
            let page = store
                .search(&world.scope, &plan)
                .await
                .expect("the search is answered");
            // The first round fills caches.
            if n > 0 {
                times[at].push(start.elapsed().as_secs_f64() * 1e3);
                busy[at] += cpu_ns() - before;
                found[at] += page.matches.len();
            }
        }
    }
    println!("\nsearch, page of 20                          p50 ms  greatest   CPU ms   found");
    for (at, name) in names.iter().enumerate() {
        times[at].sort_by(f64::total_cmp);
        let (p50, most) = (times[at][ROUNDS / 2], times[at][ROUNDS - 1]);
        let cpu = busy[at] as f64 / 1e6 / ROUNDS as f64;
        let found = found[at] as f64 / ROUNDS as f64;
        println!("{name:<42} {p50:>7.2} {most:>9.2} {cpu:>8.2} {found:>7.1}");
    }
    let mut slow: Vec<usize> = (0..names.len()).collect();
    slow.sort_by(|a, b| times[*b][ROUNDS / 2].total_cmp(&times[*a][ROUNDS / 2]));
    for at in slow.into_iter().take(3) {
        let (name, plan) = searches(world, patients, 1).swap_remove(at);
        let explained = store
            .explain(&world.scope, &plan, Counting::Exact)
            .await
            .unwrap();
        println!(
            "\n{name}: {}\n  {}",
            explained.strategy,
            explained.engine.join("\n  ")
        );
    }
}

fn sizes(data: &Path, resources: usize) {
    let tenants = std::fs::read_dir(data.join("tenants")).unwrap();
    let file = tenants
        .map(|entry| entry.unwrap().path().join("record.db"))
        .find(|path| path.exists())
        .unwrap();
    let connection = rusqlite::Connection::open(file).unwrap();
    let bytes: i64 = connection
        .query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )
        .unwrap();
    println!(
        "\n{:.0} bytes per resource in all",
        bytes as f64 / resources as f64
    );
    let mut counts = connection
        .prepare("SELECT 'ix_key', count(*) FROM ix_key UNION ALL SELECT 'of words', count(*) FROM ix_key WHERE p >= 65280 UNION ALL SELECT 'ix_ref', count(*) FROM ix_ref")
        .unwrap();
    let rows = counts.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    });
    for row in rows.unwrap() {
        let (table, rows) = row.unwrap();
        println!(
            "{table}: {:.2} rows per resource",
            rows as f64 / resources as f64
        );
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let resources: usize = after("--resources").map_or(30_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data = after("--keep").map_or_else(|| folder.path().to_owned(), PathBuf::from);
    let is_there = data.join("tenants").is_dir();
    let patients = (resources / PER_PATIENT).max(1);
    let world = World::new();
    let mut settings = SqliteSettings::new(data.clone(), "bench.example");
    if arguments.iter().any(|argument| argument == "--words") {
        settings.full_text = FullText::All;
    }
    let store = SqliteStore::open(
        settings,
        Arc::clone(&world.clock) as _,
        Arc::clone(&world.ids) as _,
    )
    .unwrap();
    if !is_there {
        world.found(&store).await;
        let start = now();
        fill(&world, &store, patients, 50).await;
        println!(
            "{resources} resources in {:.0} s",
            start.elapsed().as_secs_f64()
        );
    }
    measure(&world, &store, patients).await;
    let total = {
        let mut plan = plan(&world, "Observation", "");
        (plan.count, plan.total) = (0, Total::Accurate);
        store.search(&world.scope, &plan).await.unwrap().total
    };
    println!("\nobservations: {}", total.unwrap_or_default());
    store.close().await;
    sizes(&data, patients * PER_PATIENT);
}
