//! What the server says about itself: log lines and metrics hold no patient data and no unbounded names.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Mutex;

use http_edge::metrics::families::FAMILIES;
use identity::Role;
use serde_json::json;

use crate::server::{Call, ROSEWOOD, TestServer};

/// Everything the process logs while a test captures. One subscriber for the whole process: one for a
/// thread misses what other threads' first events of a place decide.
struct Captured;

static LINES: Mutex<Option<Vec<u8>>> = Mutex::new(None);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(lines) = LINES.lock().unwrap().as_mut() {
            lines.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn capture() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(|| Captured)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    *LINES.lock().unwrap() = Some(Vec::new());
}

fn captured() -> String {
    let lines = LINES.lock().unwrap().take();
    String::from_utf8(lines.unwrap()).unwrap()
}

const CANARY: &str = "canary7531";

/// Requests that carry the canary wherever a client can put it.
async fn run(server: &TestServer) {
    let token = server.program(ROSEWOOD).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let base = "/t/rosewood/fhir";
    let patient =
        json!({ "resourceType": "Patient", "id": CANARY, "name": [{ "family": CANARY }] });
    let broken = json!({ "resourceType": "Patient", "id": CANARY, "gender": CANARY, CANARY: 1 });
    let calls = [
        Call::put(format!("{base}/Patient/{CANARY}")).json(&patient),
        Call::get(format!("{base}/Patient/{CANARY}")),
        Call::get(format!("{base}/Patient/{CANARY}/_history")),
        Call::get(format!("{base}/Patient?family={CANARY}")),
        Call::get(format!("{base}/Patient?{CANARY}=1")),
        Call::get(format!("{base}/{CANARY}/1")),
        Call::get(format!("{base}/{CANARY}%FF/1")),
        Call::post(format!("{base}/Patient/_search")).form(&format!("family={CANARY}")),
        Call::post(format!("{base}/Patient")).json(&broken),
        Call::post(format!("{base}/Patient")).header("if-none-exist", format!("family={CANARY}")).json(&patient),
        Call::post(base).json(&json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{ "fullUrl": CANARY, "resource": broken, "request": { "method": "POST", "url": CANARY } }] })),
        Call::get(format!("{base}/Patient/{CANARY}")).header("x-request-id", CANARY).header("user-agent", CANARY).header("accept", CANARY),
        Call::get(format!("/t/rosewood/ledger/{CANARY}/checkpoint")),
        Call::get(format!("/t/{CANARY}/fhir/Patient")),
        Call::get(format!("/t/rosewood/api/v1/{CANARY}")),
        Call::delete(format!("{base}/Patient/{CANARY}")),
        Call::get(format!("{base}/Patient/{CANARY}")),
    ];
    for call in calls {
        server.send(call.bearer(&token)).await;
    }
    for path in [
        format!("/t/rosewood/api/v1/audit/patients/{CANARY}"),
        format!("/t/rosewood/api/v1/audit/entries?actor={CANARY}"),
    ] {
        server.send(Call::get(path).bearer(&auditor)).await;
    }
    let stolen = format!("Bearer {CANARY}");
    server
        .send(Call::get(format!("{base}/Patient")).header("authorization", stolen))
        .await;
}

#[tokio::test]
async fn log_lines_are_json_without_patient_data() {
    capture();
    let server = TestServer::start().await;
    run(&server).await;
    let text = captured();
    assert!(
        !text.contains(CANARY),
        "{}",
        text.lines()
            .find(|line| line.contains(CANARY))
            .unwrap_or_default()
    );
    let answered: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .filter(|line: &serde_json::Value| line["fields"]["interaction"].is_string())
        .collect();
    // Other tests of the process are in it too.
    assert!(answered.len() >= 20, "one line for each request: {text}");
    for line in answered {
        let fields: BTreeSet<&str> = line["fields"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            fields,
            BTreeSet::from([
                "message",
                "request_id",
                "interaction",
                "status",
                "duration_ms"
            ]),
            "{line}"
        );
    }
}

#[tokio::test]
async fn metrics_have_bounded_labels_and_no_patient_data() {
    let server = TestServer::start().await;
    run(&server).await;
    let text = server.send(Call::get("/metrics")).await.expect(200).text();
    assert!(!text.contains(CANARY), "{text}");
    assert!(!text.contains(ROSEWOOD), "{text}");
    let known: BTreeSet<&str> = http_edge::table()
        .iter()
        .map(|route| route.interaction)
        .chain(["unknown"])
        .collect();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(rest) = line.split("interaction=\"").nth(1) {
            seen.insert(rest.split('"').next().unwrap());
        }
    }
    assert!(seen.is_subset(&known), "{seen:?}");
    assert!(seen.len() > 8, "{seen:?}");
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_one_exposed() {
    let server = TestServer::start().await;
    run(&server).await;
    app::jobs::run(
        server.app.clone(),
        uuid::Uuid::from_u128(1),
        app::jobs::Schedule::default(),
        tokio::time::sleep(std::time::Duration::from_millis(500)),
    )
    .await;
    let text = server.send(Call::get("/metrics")).await.expect(200).text();
    let mut exposed = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(exposed.insert((name, kind)), "{name} twice");
        }
    }
    let declared: BTreeSet<(&str, &str)> = FAMILIES
        .iter()
        .map(|family| (family.name, family.kind.as_str()))
        .collect();
    assert_eq!(exposed, declared);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = FAMILIES
            .iter()
            .filter(|family| name.starts_with(family.name))
            .max_by_key(|family| family.name.len())
            .unwrap_or_else(|| panic!("{line}"));
        let labels: BTreeSet<&str> = line
            .split(['{', ','])
            .skip(1)
            .filter_map(|pair| pair.split_once('=').map(|(label, _)| label))
            .collect();
        let known: BTreeSet<&str> = family.labels.iter().copied().chain(["le"]).collect();
        assert!(labels.is_subset(&known), "{line}");
    }
    // What this server did is in it.
    for part in [
        "theriac_store_commits_total{store=\"sqlite\",outcome=\"failed\"} 0\n",
        "theriac_job_runs_total{job=\"checkpoints\",outcome=\"done\"} 1\n",
        "theriac_jobs{state=\"waiting\"} 6\n",
        "theriac_ledger_staged_entries{log=\"access\"} 0\n",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let units = value("theriac_store_commit_units_sum");
    assert!(units >= 4.0, "{text}");
    assert!((value("theriac_store_commit_wait_seconds_count") - units).abs() < 0.5);
    assert!(value("theriac_ledger_entries{log=\"changes\"}") >= 4.0);
    assert!(value("theriac_ledger_entries{log=\"access\"}") >= 1.0);
    assert!(value("theriac_ledger_checkpoint_age_seconds{log=\"changes\"}") >= 0.0);
}

#[test]
fn the_reference_page_of_metrics_is_fresh() {
    let page =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/metrics.md");
    let fresh = http_edge::metrics::families::reference();
    if std::fs::read_to_string(&page).ok().as_deref() != Some(fresh.as_str()) {
        std::fs::write(&page, fresh).unwrap();
        panic!(
            "{} was stale and has been rewritten: commit it",
            page.display()
        );
    }
}
