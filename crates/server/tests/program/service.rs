//! Running an instance from outside: made, served, ended; and what is wrong is named.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::place::{Place, Server, fails, find, ok, run, theriac};

#[cfg(unix)]
#[test]
fn an_instance_is_made_served_backed_up_and_ended_in_order() {
    let place = Place::new();
    let (data, phrase) = (place.at("data"), place.at("phrase"));
    std::fs::write(&phrase, "seven otters in a canoe\n").unwrap();
    fails(
        &["--data", &data, "serve", "--listen", "127.0.0.1:0"],
        3,
        "theriac init",
    );
    let made = ok(&["--data", &data, "-o", "json", "init"]);
    assert!(made["verifier"].as_str().unwrap().contains('+'), "{made}");
    fails(&["--data", &data, "init"], 5, "already");
    ok(&[
        "--data", &data, "-o", "json", "tenant", "create", "rosewood", "--name", "Rosewood",
    ]);
    ok(&[
        "--data", &data, "-o", "json", "branch", "create", "--tenant", "rosewood", "Garden",
    ]);
    let nurse = [
        "user", "create", "--tenant", "rosewood", "grace", "--name", "Grace", "--role", "nurse",
        "--branch", "Garden",
    ];
    ok(&[&["--data", &data, "-o", "json"], nurse.as_slice()].concat());
    ok(&[
        "--data", &data, "-o", "json", "client", "create", "--tenant", "rosewood", "Lab",
    ]);
    let token = ok(&[
        "--data",
        &data,
        "-o",
        "json",
        "token",
        "create",
        "--tenant",
        "rosewood",
        "--client",
        "Lab",
        "till winter",
    ]);
    let token = token["token"].as_str().unwrap();
    let users = ok(&[
        "--data", &data, "-o", "json", "user", "list", "--tenant", "rosewood",
    ]);
    assert_eq!(users[1]["roles"][0], "nurse (Garden)", "{users}");
    fails(
        &["--data", &data, "user", "list", "--tenant", "elsewhere"],
        3,
        "rosewood",
    );

    let server = Server::start(&data);
    let answer = server.get("/t/rosewood/fhir/Patient", token);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("searchset"),
        "{answer}"
    );
    assert!(
        server
            .get("/t/rosewood/fhir/Patient", "thr_x")
            .starts_with("HTTP/1.1 401")
    );
    // Another process cannot use the folder, but it can ask for a backup.
    fails(&["--data", &data, "tenant", "list"], 6, "in use");
    let file = place.at("served.backup");
    let backup = ok(&[
        "--data",
        &data,
        "-o",
        "json",
        "backup",
        &file,
        "--passphrase-file",
        &phrase,
    ]);
    assert_eq!(backup["tenants"], 2, "{backup}");
    assert_eq!(server.end(), Some(0));
    let healthy = ok(&["--data", &data, "-o", "json", "doctor"]);
    assert_eq!(healthy["healthy"], true, "{healthy}");
    assert_eq!(run(&["--quiet", "verify", &data]).status.code(), Some(0));
}

#[test]
fn what_is_wrong_with_a_folder_is_named() {
    let place = Place::new();
    let data = place.at("data");
    ok(&["--data", &data, "-o", "json", "init"]);
    let key = Path::new(&data).join("keys/root.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    fails(&["--data", &data, "tenant", "list"], 6, "root.key");
    std::fs::write(&key, "0".repeat(64)).unwrap();
    fails(&["--data", &data, "tenant", "list"], 6, "missing or wrong");
    std::fs::write(&key, kept).unwrap();
    let record = find(Path::new(&data), "tenants").with_file_name("record.db");
    let bytes = std::fs::read(&record).unwrap();
    std::fs::write(&record, &bytes[..bytes.len() / 2]).unwrap();
    fails(&["--data", &data, "tenant", "list"], 7, "damaged");
    fails(&["--data", &data, "verify", &data], 7, "damaged");
    let config = place.at("t.toml");
    std::fs::write(&config, "[http]\nlistn = \"x\"\n").unwrap();
    fails(&["--config", &config, "config", "check"], 2, "http.listn");
    std::fs::write(&config, "[http]\nlisten = \"nowhere\"\n").unwrap();
    fails(&["--config", &config, "config", "check"], 2, "http.listen");
    fails(&["frobnicate"], 2, "frobnicate");
    fails(
        &[
            "--data",
            &data,
            "tenant",
            "create",
            "Not A Slug",
            "--name",
            "x",
        ],
        7,
        "damaged",
    );
}

#[test]
fn the_help_is_locked() {
    let mut page = String::new();
    for arguments in [
        &["--help"][..],
        &["import", "--help"],
        &["user", "create", "--help"],
        &["bench", "--help"],
    ] {
        page.push_str(&String::from_utf8(run(arguments).stdout).unwrap());
        page.push_str("\n----\n");
    }
    insta::assert_snapshot!(page);
    let roles = ok(&["-o", "json", "role", "list"]);
    assert_eq!(roles.as_array().unwrap().len(), identity::Role::ALL.len());
    assert!(run(&["completions", "bash"]).stdout.len() > 1000);
}

#[test]
fn a_killed_demo_goes_on_and_the_next_start_says_the_same() {
    let place = Place::new();
    let folder = place.at("demo");
    let load = [
        "-o",
        "json",
        "--quiet",
        "demo",
        "--folder",
        &folder,
        "--load-only",
    ];
    let mut child = theriac()
        .args(load)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    child.kill().unwrap();
    child.wait().unwrap();
    let first = ok(&load);
    let people = first["sign_ins"].as_array().unwrap();
    assert_eq!(people.len(), 13, "{first}");
    assert_eq!(first["tokens"].as_object().unwrap().len(), 2);
    assert_eq!(ok(&load), first);
    let exported = place.at("export");
    let args = [
        "--data", &folder, "-o", "json", "--quiet", "export", &exported,
    ];
    let tenant = ["--tenant", "rosewood-house", "--type", "Patient"];
    let files = ok(&[args.as_slice(), tenant.as_slice()].concat());
    assert_eq!(files[0]["resources"], 40, "{files}");
    assert_eq!(run(&["--quiet", "verify", &folder]).status.code(), Some(0));
    let token = first["tokens"]["rosewood-house"].as_str().unwrap();
    furnished(&folder, token);
    // The story is played beside what the house has.
    let words = ["-o", "json", "--quiet", "demo", "--folder", &folder];
    let told = ok(&[words.as_slice(), &["--scenario", "medicines"]].concat());
    assert_eq!(told["unexpected"], serde_json::Value::Null, "{told}");
}

/// The care home has orders, deliveries, alerts and an agreement.
fn furnished(folder: &str, token: &str) {
    let server = Server::start(folder);
    let read = |below: &str| -> serde_json::Value {
        let answer = server.get(&format!("/t/rosewood-house/{below}"), token);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    };
    for (search, least) in [
        ("SupplyRequest?", 4),
        ("SupplyDelivery?", 2),
        ("DetectedIssue?", 2),
        ("Consent?category=homely-remedies&", 1),
    ] {
        let found = read(&format!("fhir/{search}_summary=count&_total=accurate"));
        assert!(
            found["total"].as_u64().unwrap() >= least,
            "{search}: {found}"
        );
    }
    assert_eq!(server.end(), Some(0));
}
