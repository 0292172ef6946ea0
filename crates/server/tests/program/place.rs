//! What the tests of the program share: running it, a place for its files, bundles, a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

pub fn theriac() -> Command {
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

pub fn run(arguments: &[&str]) -> Output {
    theriac().args(arguments).output().unwrap()
}

#[track_caller]
pub fn ok(arguments: &[&str]) -> Value {
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
pub fn fails(arguments: &[&str], code: i32, says: &str) {
    let output = run(arguments);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {shown}");
    assert!(shown.contains(says), "{arguments:?}: {shown}");
}

/// Bundles in the manner of Synthea: POST with `urn:uuid`, one hospital that stands in each.
pub fn bundles(folder: &Path, count: usize) -> usize {
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

pub fn entry(uuid: &str, resource: &str) -> String {
    let ty = resource.split('"').nth(3).unwrap();
    format!(
        r#"{{"fullUrl":"urn:uuid:{uuid}","resource":{resource},"request":{{"method":"POST","url":"{ty}"}}}}"#
    )
}

pub struct Place {
    _keep: tempfile::TempDir,
    pub root: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path().to_owned();
        Self { _keep: keep, root }
    }
    pub fn at(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

#[track_caller]
pub fn total(report: &Value, what: &str) -> u64 {
    report["total"][what]
        .as_u64()
        .unwrap_or_else(|| panic!("{report}"))
}

/// The record of the only tenant beside the instance.
pub fn record(data: &str) -> PathBuf {
    let instance = "00000000-0000-0000-0000-000000000000";
    let tenants = std::fs::read_dir(Path::new(data).join("tenants")).unwrap();
    let mut tenants = tenants
        .map(|item| item.unwrap().path())
        .filter(|path| !path.ends_with(instance));
    let tenant = tenants.next().unwrap();
    assert!(tenants.next().is_none());
    tenant.join("record.db")
}

pub fn find(folder: &Path, below: &str) -> PathBuf {
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

pub struct Server {
    child: std::process::Child,
    address: String,
}

impl Server {
    pub fn start(data: &str) -> Self {
        Self::start_with(&["--data", data])
    }

    pub fn start_with(flags: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let child = theriac()
            .args(flags)
            .args(["--quiet", "serve", "--listen", &address])
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

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn get(&self, path: &str, token: &str) -> String {
        self.send("GET", path, token, "")
    }

    /// Sends a request with a JSON body; answers status line, headers and body.
    pub fn send(&self, method: &str, path: &str, token: &str, body: &str) -> String {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = std::net::TcpStream::connect(&self.address) else {
            return String::new();
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = String::new();
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    pub fn post(&self, path: &str, token: &str, body: &str) -> String {
        self.send("POST", path, token, body)
    }

    #[cfg(unix)]
    pub fn end(mut self) -> Option<i32> {
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
