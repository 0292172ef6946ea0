//! How every command behaves towards a new user and a script: JSON that parses, results apart from notes,
//! exit codes of the table, a reader that goes away, Ctrl-C.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::place::{Place, Server, bundles, fails, ok, run, theriac};

/// The one JSON document on standard output.
#[track_caller]
fn document(arguments: &[&str]) -> Value {
    let output = run(arguments);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{arguments:?}: {out} {err}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
}

#[track_caller]
fn fails_as(arguments: &[&str], code: i32, says: &str) {
    let output = run(arguments);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {shown}");
    assert!(shown.contains(says), "{arguments:?}: {shown}");
}

/// Every command that ends by itself, in an order in which each finds what it needs; `{}` stands for the
/// value that an earlier answer had under the name.
const COMMANDS: [(&str, &[&str], &str); 40] = [
    (
        "init --data {data}",
        &["operator", "password", "verifier"],
        "",
    ),
    ("import {source}", &["total", "made"], ""),
    (
        "import {source} --restart --report {report}",
        &["total"],
        "",
    ),
    (
        "tenant create north --name North",
        &["tenant", "password"],
        "",
    ),
    ("tenant set main --time-zone Europe/London", &["tenant"], ""),
    ("package list", &[], ""),
    ("terminology list", &[], ""),
    ("products list", &[], ""),
    (
        "products recall 2000000000107 --batch B1 --notice withdrawn",
        &["gtin", "batch", "notice"],
        "",
    ),
    ("products recalls", &["0/gtin", "0/batch", "0/notice"], ""),
    (
        "products end-recall 2000000000107 --batch B1",
        &["ended", "batch"],
        "",
    ),
    ("model key {signing}", &["key", "secret"], ""),
    ("tenant list", &["0/tenant", "1/created"], ""),
    (
        "branch create --tenant main Wing",
        &["branch", "organization"],
        "",
    ),
    ("branch list --tenant main", &["0/branch", "0/state"], ""),
    (
        "user create --tenant main a.b --name A --role doctor --branch Wing",
        &["user", "password"],
        "",
    ),
    ("user list --tenant main", &["0/roles/0", "1/state"], ""),
    ("user reset-password --tenant main a.b", &["password"], ""),
    ("user disable --tenant main a.b", &["state"], ""),
    ("role list", &["0/role", "0/operations/0"], ""),
    (
        "client create --tenant main lab --scope Patient.read",
        &["client", "id"],
        "",
    ),
    ("client list --tenant main", &["0/scopes/0", "0/keys"], ""),
    (
        "token create --tenant main --client lab t",
        &["token", "expires", "id"],
        "id",
    ),
    ("token list --tenant main", &["0/token", "0/owner"], ""),
    ("token revoke --tenant main {id}", &["state"], ""),
    (
        "export {out} --tenant main --type Patient",
        &["0/resources", "0/file"],
        "",
    ),
    ("export {ledger} --tenant main --ledger", &["2/entries"], ""),
    (
        "verify {ledger} --partial",
        &["verdict", "logs/0/entries"],
        "",
    ),
    ("export {all} --ledger", &["4/entries"], ""),
    ("verify {all}", &["verdict", "logs/4/entries"], ""),
    ("verify {data}", &["verdict", "logs/3/entries"], ""),
    (
        "erase --tenant main p1 --reason asked",
        &["resources_that_would_be_erased"],
        "",
    ),
    (
        "erase --tenant main p1 --reason asked --confirm",
        &["resources_erased"],
        "",
    ),
    (
        "backup {file} --passphrase-file {phrase}",
        &["bytes", "entries"],
        "",
    ),
    (
        "--data {restored} restore {file} --passphrase-file {phrase}",
        &["folder", "erasures_added", "verification/verdict"],
        "",
    ),
    ("doctor", &["healthy", "checks/0/result"], ""),
    ("config show", &["http.listen", "http.max_connections"], ""),
    ("config show --origin", &["0/origin", "0/value"], ""),
    ("config check", &["settings"], ""),
    (
        "demo --folder {demo} --load-only",
        &["url", "sign_ins/0/password"],
        "",
    ),
];

#[test]
fn every_command_answers_one_json_document() {
    let place = Place::new();
    let source = place.at("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(
        Path::new(&source).join("a.ndjson"),
        r#"{"resourceType":"Patient","id":"p1","gender":"female"}"#,
    )
    .unwrap();
    std::fs::write(place.at("phrase"), "seven otters in a canoe").unwrap();
    let data = place.at("data");
    let mut kept = String::new();
    for (line, members, keep) in COMMANDS {
        let arguments: Vec<String> = line
            .split(' ')
            .map(|word| match word {
                "{id}" => kept.clone(),
                word => match word
                    .strip_prefix('{')
                    .and_then(|word| word.strip_suffix('}'))
                {
                    Some(name) => place.at(name),
                    None => word.to_owned(),
                },
            })
            .collect();
        let mut all = vec!["-o", "json"];
        if !line.contains("--data") && !line.starts_with("demo") {
            all.extend(["--data", &data]);
        }
        all.extend(arguments.iter().map(String::as_str));
        let document = document(&all);
        for member in members {
            let found = document.pointer(&format!("/{member}"));
            assert!(
                found.is_some_and(|value| !value.is_null()),
                "{line}: {member} in {document}"
            );
        }
        if !keep.is_empty() {
            document[keep].as_str().unwrap().clone_into(&mut kept);
        }
    }
    // One tenant's export is not the instance's whole ledger, and says so.
    fails_as(
        &["--quiet", "verify", &place.at("ledger")],
        2,
        "which is not here",
    );
    // A command that is not in the list has no such promise yet.
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let commands = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next());
    for command in commands {
        // A script; a server, tested below; its own tests; clap's.
        if ["completions", "serve", "bench", "help"].contains(&command) {
            continue;
        }
        let is_known = COMMANDS
            .iter()
            .any(|(line, _, _)| line.split(' ').any(|word| word == command));
        assert!(is_known, "{command} is not tested with -o json");
    }
}

#[test]
fn mistakes_are_named_with_their_remedy_and_exit_code() {
    let place = Place::new();
    let (data, source, file) = (place.at("data"), place.at("source"), place.at("file"));
    std::fs::write(&file, "x").unwrap();
    fails(&["--data", &data, "serve"], 3, "theriac init");
    assert!(!Path::new(&data).exists(), "a mistake makes no folder");
    fails(&["--data", &file, "init"], 2, "Not a directory");
    bundles(Path::new(&source), 1);
    let output = theriac()
        .args(["--data", &data, "import", &source])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("made tenant main: sign in as \"administrator\" with the password "),
        "{told}"
    );
    assert!(!told.contains('{'), "{told}");
    let at = |arguments: &[&str], code: i32, says: &str| {
        fails(&[&["--data", &data], arguments].concat(), code, says);
    };
    at(
        &["import", &source, "--tenant", "nobody"],
        3,
        "the tenants are main",
    );
    at(&["init"], 5, "an instance here already");
    at(&["tenant", "create"], 2, "--name");
    at(
        &["tenant", "create", "BAD", "--name", "x"],
        2,
        "not a valid tenant name",
    );
    at(&["tenant", "create", "main", "--name", "x"], 5, "taken");
    at(&["branch", "list", "--tenant", "nobody"], 3, "nobody");
    at(
        &[
            "user", "create", "--tenant", "main", "a", "--name", "A", "--role", "docter",
        ],
        2,
        "pharmacist",
    );
    at(
        &["user", "disable", "--tenant", "main", "zz"],
        3,
        "user list",
    );
    at(
        &[
            "client",
            "create",
            "--tenant",
            "main",
            "l",
            "--scope",
            "Patient.fly",
        ],
        2,
        "Patient.read",
    );
    at(
        &[
            "client", "create", "--tenant", "main", "l", "--jwks", "/nowhere",
        ],
        3,
        "/nowhere",
    );
    at(
        &[
            "token", "create", "--tenant", "main", "--client", "none", "t",
        ],
        3,
        "client list",
    );
    at(
        &[
            "token",
            "revoke",
            "--tenant",
            "main",
            "01a20685-e0f2-757f-b613-6e80f8cec809",
        ],
        3,
        "token list",
    );
    at(
        &["export", &place.at("out"), "--type", "Patientt"],
        2,
        "not an R4 resource type",
    );
    at(&["export", &source], 5, "not empty");
    at(&["verify", &place.at("nowhere")], 3, "no folder");
    at(&["verify", &source], 3, "neither a ledger export");
    at(
        &["erase", "--tenant", "main", "nobody", "--reason", "x"],
        3,
        "does not exist",
    );
    at(
        &[
            "erase",
            "--tenant",
            "main",
            "nobody",
            "--reason",
            "not a code",
        ],
        2,
        "not a code",
    );
    at(&["backup", &file, "--passphrase-file", &file], 5, "exists");
    at(
        &["backup", &place.at("no/b"), "--passphrase-file", &file],
        3,
        "make it first",
    );
    at(&["config", "check", "--config", "/nowhere"], 2, "/nowhere");
    at(&["completions", "klingon"], 2, "bash");
    // As JSON an error is one line with the exit code.
    let output = run(&["--data", &data, "-o", "json", "init"]);
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["exit"], 5, "{told}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for arguments in [
        &["config", "show"][..],
        &["completions", "bash"],
        &["role", "list"],
    ] {
        let mut child = theriac()
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let status = child.wait().unwrap();
        let mut told = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        assert!(
            status.success() && !told.contains("panicked"),
            "{arguments:?}: {status} {told}"
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_nothing_behind_and_the_next_run_goes_on() {
    let place = Place::new();
    let (data, source) = (place.at("data"), place.at("source"));
    bundles(Path::new(&source), 60);
    let mut child = theriac()
        .args(["--data", &data, "-o", "json", "import", &source])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let records = || {
        let tenants = std::fs::read_dir(Path::new(&data).join("tenants"));
        tenants.map_or(0, Iterator::count)
    };
    while records() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    let status = child.wait().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!(status.code(), Some(130), "{out} {err}");
    assert!(err.contains("interrupted"), "{err}");
    let report = ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    assert_eq!(report["total"]["refused"], 0, "{report}");
    assert_eq!(report["total"]["read"], 60 * 22, "{report}");
    assert_eq!(run(&["--quiet", "verify", &data]).status.code(), Some(0));
}

/// Every file of a folder with its content, but what SQLite shares between processes.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).unwrap().flatten() {
        let path = item.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            let name = path.to_string_lossy();
            // Its shared memory, and an empty log that readers make.
            let is_of_readers =
                name.ends_with("-shm") || name.ends_with("-wal") && content.is_empty();
            if !is_of_readers {
                found.push((path, content));
            }
        }
    }
    found.sort();
    found
}

#[cfg(unix)]
#[test]
fn verifying_a_folder_only_reads_it_and_names_the_way_where_it_is_served() {
    let place = Place::new();
    let (data, source) = (place.at("data"), place.at("source"));
    bundles(Path::new(&source), 2);
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    let before = files(Path::new(&data));
    let sound = document(&["-o", "json", "verify", &data]);
    assert_eq!(sound["verdict"], "sound", "{sound}");
    assert_eq!(files(Path::new(&data)), before);

    let client = [
        "client", "create", "--tenant", "main", "lab", "--data", &data,
    ];
    ok(&client);
    let token = [
        "token", "create", "--tenant", "main", "--client", "lab", "t", "--data", &data,
    ];
    let token = ok(&[&token[..], &["-o", "json"]].concat());
    let token = token["token"].as_str().unwrap();
    let server = Server::start(&data);
    for _ in 0..3 {
        let answer = server.get("/t/main/fhir/Patient", token);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    fails(&["verify", &data], 6, "theriac backup");
    // Killed: what was committed last lies in the write-ahead log, which must stay as it is.
    drop(server);
    let before = files(Path::new(&data));
    let sound = document(&["-o", "json", "verify", &data]);
    assert_eq!(sound["verdict"], "sound", "{sound}");
    assert_eq!(files(Path::new(&data)), before);
}
