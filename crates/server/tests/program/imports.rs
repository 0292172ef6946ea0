//! Imports from outside: killed and resumed, done twice, with bad resources among good ones.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::place::{Place, bundles, fails, ok, run, theriac, total};

#[test]
fn imports_are_idempotent_and_survive_being_killed() {
    let place = Place::new();
    let (data, source) = (place.at("data"), place.at("source"));
    let resources = bundles(Path::new(&source), 24) as u64;
    std::fs::write(Path::new(&source).join("notes.csv"), "not,fhir").unwrap();
    let import = ["--data", &data, "-o", "json", "--quiet", "import", &source];
    // Killed somewhere in the middle: what is there must be whole, and the next run goes on.
    let mut child = theriac()
        .args(import)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();
    let first = ok(&import);
    assert_eq!(total(&first, "refused"), 0, "{first}");
    assert_eq!(total(&first, "read"), 24 * 22);
    assert_eq!(first["files_not_fhir"][0], "notes.csv");
    let second = ok(&import);
    assert_eq!(
        (total(&second, "stored"), total(&second, "unchanged")),
        (0, 24 * 22)
    );
    let anew = ok(&[
        "--data",
        &data,
        "-o",
        "json",
        "--quiet",
        "import",
        &source,
        "--restart",
    ]);
    assert_eq!(
        (total(&anew, "stored"), total(&anew, "unchanged")),
        (0, 24 * 22)
    );
    let exported = place.at("export");
    let files = ok(&[
        "--data", &data, "-o", "json", "--quiet", "export", &exported,
    ]);
    let counted: u64 = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["resources"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, resources);
    // What was exported can be imported elsewhere.
    let other = ok(&[
        "--data",
        &place.at("other"),
        "-o",
        "json",
        "--quiet",
        "import",
        &exported,
    ]);
    assert_eq!(
        (total(&other, "stored"), total(&other, "refused")),
        (resources, 0),
        "{other}"
    );
    assert_eq!(run(&["--quiet", "verify", &data]).status.code(), Some(0));
}

#[test]
fn one_bad_resource_does_not_lose_the_rest() {
    let place = Place::new();
    let (data, source, report) = (
        place.at("data"),
        place.at("a.ndjson"),
        place.at("report.json"),
    );
    let lines = [
        r#"{"resourceType":"Patient","id":"p1","gender":"female"}"#,
        r#"{"resourceType":"Patient","id":"p2","gender":"sideways"}"#,
        r#"{"resourceType":"Patient","id":"p3","birthDate":"2026-02-30"}"#,
        r#"{"resourceType":"Nothing","id":"x"}"#,
        "{broken",
        r#"{"resourceType":"Patient","id":"p4"}"#,
    ];
    std::fs::write(&source, lines.join("\n")).unwrap();
    let summary = ok(&[
        "--data", &data, "-o", "json", "--quiet", "import", &source, "--report", &report,
    ]);
    assert_eq!(
        (
            total(&summary, "read"),
            total(&summary, "stored"),
            total(&summary, "refused")
        ),
        (6, 2, 4),
        "{summary}"
    );
    let written: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let refused: Vec<&str> = written["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["place"].as_str().unwrap())
        .collect();
    assert_eq!(refused.len(), 4, "{written}");
    for line in ["line 2", "line 3", "line 4", "line 5"] {
        assert!(refused.contains(&line), "{written}");
    }
    fails(
        &["--data", &data, "import", &place.at("missing")],
        3,
        "missing",
    );
    std::fs::write(place.root.join("x.csv"), "a,b").unwrap();
    fails(
        &["--data", &data, "import", &place.at("x.csv")],
        2,
        "neither .json nor .ndjson",
    );
}

#[test]
fn an_erasure_names_what_still_mentions_the_patient() {
    let place = Place::new();
    let (data, source) = (place.at("data"), place.at("some.ndjson"));
    let lines = [
        r#"{"resourceType":"Patient","id":"p1"}"#,
        r#"{"resourceType":"Patient","id":"p2"}"#,
        r#"{"resourceType":"Basic","id":"own","code":{"text":"note"},"subject":{"reference":"Patient/p1"}}"#,
        r#"{"resourceType":"Group","id":"both","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p1"}},{"entity":{"reference":"Patient/p2"}}]}"#,
    ];
    std::fs::write(&source, lines.join("\n")).unwrap();
    let summary = ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    assert_eq!(total(&summary, "stored"), 4, "{summary}");
    let tenants = ok(&["--data", &data, "-o", "json", "tenant", "list"]);
    let tenant = tenants[0]["tenant"].as_str().unwrap().to_owned();
    let erase = [
        "--data", &data, "-o", "json", "erase", "--tenant", &tenant, "p1", "--reason", "gdpr-17",
    ];
    let preview = ok(&erase);
    assert_eq!(preview["resources_that_would_be_erased"], 2, "{preview}");
    assert_eq!(preview["resources_still_mentioning"][0], "Group/both");
    let output = run(&[&erase[..], &["--confirm"]].concat());
    assert!(output.status.success());
    let erased: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(erased["resources_erased"], 2, "{erased}");
    assert_eq!(erased["resources_still_mentioning"][0], "Group/both");
    let hint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        hint.contains("1 shared resources still mention this patient: Group/both;"),
        "{hint}"
    );
}
