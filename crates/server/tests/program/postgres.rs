//! The program on a real PostgreSQL, from outside: made, filled, served, exported, verified, erased, started
//! again.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::path::Path;

use serde_json::Value;

use crate::place::{Place, Server, bundles, fails, ok, run, total};

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[cfg(unix)]
#[test]
fn an_instance_on_postgresql_is_made_filled_served_verified_erased_and_started_again() {
    let Some(database) = testkit::peers::required(testkit::postgres::fresh_database()) else {
        return;
    };
    let place = Place::new();
    let (data, source, config) = (place.at("data"), place.at("source"), place.at("t.toml"));
    bundles(Path::new(&source), 3);
    std::fs::write(place.at("owner"), database.connection("postgres")).unwrap();
    std::fs::write(place.at("app"), database.connection("theriac_app")).unwrap();
    let settings = format!(
        "[data]\nfolder = {data:?}\n[store]\nkind = \"postgres\"\npostgres_file = {:?}\npostgres_owner_file = {:?}\n",
        place.at("app"),
        place.at("owner")
    );
    std::fs::write(&config, settings).unwrap();
    let at = |arguments: &[&str]| ok(&[&["--config", &config, "-o", "json"], arguments].concat());
    fails(&["--config", &config, "tenant", "list"], 3, "theriac init");
    let made = at(&["init"]);
    assert!(made["verifier"].as_str().is_some(), "{made}");
    fails(&["--config", &config, "init"], 5, "an instance here");
    at(&["tenant", "create", "main", "--name", "Main"]);
    let report = at(&["import", &source]);
    assert_eq!(
        (total(&report, "stored"), total(&report, "refused")),
        (3 * 21 + 1, 0),
        "{report}"
    );
    let again = at(&["import", &source, "--restart"]);
    assert_eq!(total(&again, "stored"), 0, "{again}");
    at(&["client", "create", "--tenant", "main", "lab"]);
    let token = at(&[
        "token", "create", "--tenant", "main", "--client", "lab", "t",
    ]);
    let token = token["token"].as_str().unwrap();

    let server = Server::start_with(&["--config", &config]);
    let patients = body(&server.get("/t/main/fhir/Patient?_count=1", token));
    assert_eq!(patients["entry"].as_array().unwrap().len(), 1, "{patients}");
    let patient = patients["entry"][0]["resource"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let read = server.get(&format!("/t/main/fhir/Patient/{patient}"), token);
    assert!(read.starts_with("HTTP/1.1 200"), "{read}");
    let of_patient = format!("/t/main/fhir/Condition?subject=Patient/{patient}&_summary=count");
    assert_eq!(body(&server.get(&of_patient, token))["total"], 20);
    let metrics = server.get("/metrics", "");
    assert!(
        metrics.contains("theriac_store_open_tenants{store=\"postgres\"} "),
        "{metrics}"
    );
    assert_eq!(server.end(), Some(0));

    let ledger = place.at("ledger");
    let logs = at(&["export", &ledger, "--ledger", "--tenant", "main"]);
    let entries = |log: &str| -> u64 {
        let found = logs.as_array().unwrap().iter();
        let mut found = found.filter(|row| row["tenant"] == "main" && row["log"] == log);
        found.next().unwrap()["entries"].as_u64().unwrap()
    };
    assert!(entries("changes") > 64, "{logs}");
    assert!(entries("access") >= 3, "{logs}");
    let sound = run(&["-o", "json", "--quiet", "verify", &ledger]);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    fails(
        &["--config", &config, "verify", &data],
        3,
        "export --ledger",
    );
    let whole = at(&["verify"]);
    assert_eq!(whole["verdict"], "sound", "{whole}");

    let erase = ["erase", "--tenant", "main", &patient, "--reason", "asked"];
    let would = at(&erase);
    assert_eq!(would["resources_that_would_be_erased"], 21, "{would}");
    let erased = at(&[&erase[..], &["--confirm"]].concat());
    assert_eq!(erased["resources_erased"], 21, "{erased}");
    let server = Server::start_with(&["--config", &config]);
    let gone = server.get(&format!("/t/main/fhir/Patient/{patient}"), token);
    assert!(gone.starts_with("HTTP/1.1 410"), "{gone}");
    assert_eq!(body(&server.get(&of_patient, token))["total"], 0);
    assert_eq!(server.end(), Some(0));
    let after = place.at("after");
    at(&["export", &after, "--ledger", "--tenant", "main"]);
    assert_eq!(run(&["--quiet", "verify", &after]).status.code(), Some(0));
    let healthy = at(&["doctor"]);
    assert_eq!(healthy["healthy"], true, "{healthy}");

    // A backup is PostgreSQL's own matter, and the remedy can be pasted.
    let phrase = place.at("phrase");
    std::fs::write(&phrase, "seven otters in a canoe").unwrap();
    let file = place.at("b.backup");
    let backup = [
        "--config",
        &config,
        "backup",
        &file,
        "--passphrase-file",
        &phrase,
    ];
    let folder = format!("tar -C {data} -cf theriac-folder.tar");
    let dump = format!("-d \"$(head -n 1 {})\"", place.at("owner"));
    for says in [
        folder.as_str(),
        "pg_dump -Fc --exclude-schema=theriac_keys",
        &dump,
    ] {
        fails(&backup, 2, says);
    }
}
