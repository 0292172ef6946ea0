//! The built program from outside: an instance is made, filled, killed, filled again, exported, verified,
//! tampered with, backed up and restored; exit codes are those of the table.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn theriac() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_theriac"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("THERIAC__") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    theriac().args(arguments).output().unwrap()
}

#[track_caller]
fn ok(arguments: &[&str]) -> Value {
    let output = run(arguments);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{arguments:?}: {} {shown}",
        output.status
    );
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, says: &str) {
    let output = run(arguments);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {shown}");
    assert!(shown.contains(says), "{arguments:?}: {shown}");
}

/// Bundles in the manner of Synthea: POST with `urn:uuid`, one hospital that stands in each.
fn bundles(folder: &Path, count: usize) -> usize {
    std::fs::create_dir_all(folder).unwrap();
    let hospital = "f99c74cc-7d1a-3f95-9a33-4a9357bf2f2a";
    for number in 0..count {
        let patient = format!("018f428e-34f6-4707-8009-{number:012}");
        let mut entries = vec![
            entry(&patient, r#"{"resourceType":"Patient","gender":"female"}"#),
            entry(
                hospital,
                r#"{"resourceType":"Organization","name":"Harbour"}"#,
            ),
        ];
        for event in 0..20 {
            let id = format!("{event:08}-34f6-4707-8009-{number:012}");
            let body = format!(
                r#"{{"resourceType":"Condition","subject":{{"reference":"urn:uuid:{patient}"}},"code":{{"text":"c{event}"}}}}"#
            );
            entries.push(entry(&id, &body));
        }
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
            entries.join(",")
        );
        std::fs::write(folder.join(format!("{number}.json")), text).unwrap();
    }
    // Per bundle a patient and 20 conditions, and one hospital for all.
    count * 21 + 1
}

fn entry(uuid: &str, resource: &str) -> String {
    let ty = resource.split('"').nth(3).unwrap();
    format!(
        r#"{{"fullUrl":"urn:uuid:{uuid}","resource":{resource},"request":{{"method":"POST","url":"{ty}"}}}}"#
    )
}

struct Place {
    _keep: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path().to_owned();
        Self { _keep: keep, root }
    }
    fn at(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

#[track_caller]
fn total(report: &Value, what: &str) -> u64 {
    report["total"][what]
        .as_u64()
        .unwrap_or_else(|| panic!("{report}"))
}

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
        .map(|file| file["resources"].as_str().unwrap().parse::<u64>().unwrap())
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
fn exports_verify_and_changed_ones_do_not() {
    let place = Place::new();
    let (data, source, export) = (place.at("data"), place.at("source"), place.at("ledger"));
    bundles(Path::new(&source), 2);
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    ok(&[
        "--data", &data, "-o", "json", "--quiet", "export", &export, "--ledger",
    ]);
    let sound = run(&["-o", "json", "--quiet", "verify", &export]);
    assert_eq!(
        sound.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&sound.stdout)
    );
    let entries = find(Path::new(&export), "main/changes/tile/entries");
    let mut bytes = std::fs::read(&entries).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entries, &bytes).unwrap();
    let altered = run(&["-o", "json", "--quiet", "verify", &export]);
    assert_eq!(
        altered.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&altered.stdout)
    );
    std::fs::remove_file(&entries).unwrap();
    assert_eq!(run(&["--quiet", "verify", &export]).status.code(), Some(2));
    let stranger = place.at("stranger");
    ok(&["--data", &stranger, "-o", "json", "--quiet", "init"]);
    ok(&[
        "--data", &stranger, "-o", "json", "--quiet", "tenant", "create", "main", "--name", "Main",
    ]);
    let theirs = place.at("theirs");
    ok(&[
        "--data", &stranger, "-o", "json", "--quiet", "export", &theirs, "--ledger",
    ]);
    let policy = Path::new(&theirs).join("keys.txt").display().to_string();
    let fresh = place.at("fresh");
    ok(&[
        "--data", &data, "-o", "json", "--quiet", "export", &fresh, "--ledger",
    ]);
    assert_eq!(
        run(&["--quiet", "verify", &fresh, "--policy", &policy])
            .status
            .code(),
        Some(3)
    );
}

fn find(folder: &Path, below: &str) -> PathBuf {
    let mut folders = vec![folder.join(below)];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).unwrap().flatten() {
            if item.path().is_dir() {
                folders.push(item.path());
            } else {
                return item.path();
            }
        }
    }
    panic!("no file below {}", folder.display());
}

#[test]
fn backups_are_restored_whole_or_not_at_all() {
    let place = Place::new();
    let (data, source, file, phrase) = (
        place.at("data"),
        place.at("source"),
        place.at("b.backup"),
        place.at("phrase"),
    );
    bundles(Path::new(&source), 1);
    std::fs::write(&phrase, "seven otters in a canoe\n").unwrap();
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    let made = ok(&[
        "--data",
        &data,
        "-o",
        "json",
        "--quiet",
        "backup",
        &file,
        "--passphrase-file",
        &phrase,
    ]);
    assert!(made["entries"].as_u64().unwrap() > 20, "{made}");
    fails(
        &[
            "--data",
            &data,
            "backup",
            &file,
            "--passphrase-file",
            &phrase,
        ],
        5,
        "exists",
    );
    let restored = place.at("restored");
    ok(&[
        "--data",
        &restored,
        "-o",
        "json",
        "--quiet",
        "restore",
        &file,
        "--passphrase-file",
        &phrase,
    ]);
    let again = ok(&[
        "--data",
        &restored,
        "-o",
        "json",
        "--quiet",
        "import",
        &source,
        "--restart",
    ]);
    assert_eq!(
        (total(&again, "stored"), total(&again, "unchanged")),
        (0, 22)
    );
    fails(
        &[
            "--data",
            &restored,
            "restore",
            &file,
            "--passphrase-file",
            &phrase,
        ],
        5,
        "not empty",
    );
    let wrong = place.at("wrong");
    std::fs::write(&wrong, "eight otters").unwrap();
    fails(
        &[
            "--data",
            &place.at("r2"),
            "restore",
            &file,
            "--passphrase-file",
            &wrong,
        ],
        7,
        "pass phrase",
    );
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 100);
    std::fs::write(&file, bytes).unwrap();
    fails(
        &[
            "--data",
            &place.at("r3"),
            "restore",
            &file,
            "--passphrase-file",
            &phrase,
        ],
        7,
        "cut off",
    );
    assert!(!Path::new(&place.at("r3")).exists());
}

struct Server {
    child: std::process::Child,
    address: String,
}

impl Server {
    fn start(data: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let child = theriac()
            .args(["--data", data, "--quiet", "serve", "--listen", &address])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, address };
        for _ in 0..200 {
            if server.get("/readyz", "").starts_with("HTTP/1.1 200") {
                return server;
            }
            assert!(
                server.child.try_wait().unwrap().is_none(),
                "the server ended"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server did not begin");
    }

    fn get(&self, path: &str, token: &str) -> String {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = std::net::TcpStream::connect(&self.address) else {
            return String::new();
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let mut answer = String::new();
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[cfg(unix)]
    fn end(mut self) -> Option<i32> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    assert_eq!(users[1]["roles"], "nurse (Garden)", "{users}");
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
