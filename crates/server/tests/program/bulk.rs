//! Bulk jobs under `kill -9`: an export and an import that are killed again and again come to their ends
//! with every resource exactly once.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::place::{Place, Server, bundles, ok, run, total};

/// Status, headers and body of an answer.
struct Heard {
    status: u16,
    headers: String,
    body: String,
}

fn heard(answer: &str) -> Option<Heard> {
    let (headers, body) = answer.split_once("\r\n\r\n")?;
    let status = headers.split(' ').nth(1)?.parse().ok()?;
    Some(Heard {
        status,
        headers: headers.to_owned(),
        body: dechunked(headers, body),
    })
}

fn dechunked(headers: &str, body: &str) -> String {
    if !headers
        .to_lowercase()
        .contains("transfer-encoding: chunked")
    {
        return body.to_owned();
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    whole
}

fn header(heard: &Heard, name: &str) -> String {
    heard
        .headers
        .lines()
        .find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
        .unwrap_or_default()
}

/// The path of an address.
fn path(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    after[after.find('/').unwrap()..].to_owned()
}

/// A data folder with people, a token that may do everything, and settings that make chunks small.
fn filled(place: &Place, people: usize) -> (String, String, usize) {
    let data = place.at("data");
    let folder = place.root.join("people");
    let count = bundles(&folder, people);
    let folder = folder.display().to_string();
    let import = ["--data", &data, "-o", "json", "--quiet", "import", &folder];
    let report = ok(&import);
    assert_eq!(total(&report, "stored"), count as u64);
    let token = token(&data, "main");
    (data, token, count)
}

fn token(data: &str, tenant: &str) -> String {
    ok(&[
        "--data", data, "-o", "json", "client", "create", "--tenant", tenant, "Mover",
    ]);
    let made = ok(&[
        "--data", data, "-o", "json", "token", "create", "--tenant", tenant, "--client", "Mover",
        "test",
    ]);
    made["token"].as_str().unwrap().to_owned()
}

/// A configuration with small chunks, so that there is much to be killed in between.
fn config(place: &Place, data: &str, chunk_kib: u32) -> String {
    let path = place.at("theriac.toml");
    let root = place.at("imports");
    let toml = format!(
        "[data]\nfolder = {data:?}\n[bulk]\nchunk_kib = {chunk_kib}\nimport_folder = {root:?}\n"
    );
    std::fs::write(&path, toml).unwrap();
    path
}

fn serve(config: &str) -> Server {
    Server::start_with(&["--config", config])
}

/// Serves and kills in growing intervals until the job is done; the manifest, from a server that stays.
fn killed_until_done(config: &str, token: &str, at: &str) -> (Value, Server, u32) {
    let mut kills = 0;
    loop {
        let server = serve(config);
        // Looks of five milliseconds until it is killed.
        let mut looks = 3u32 << kills.min(9);
        loop {
            let Some(answer) = heard(&server.get(at, token)) else {
                panic!("the server ended");
            };
            match answer.status {
                200 => return (serde_json::from_str(&answer.body).unwrap(), server, kills),
                202 => {}
                other => panic!("{other}: {}", answer.body),
            }
            looks -= 1;
            if looks == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // `Server` kills with SIGKILL when it is dropped.
        drop(server);
        kills += 1;
        assert!(kills < 40, "the job never ends");
    }
}

fn resources(server: &Server, token: &str, manifest: &Value, list: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for file in manifest[list].as_array().unwrap() {
        let at = path(file["url"].as_str().unwrap());
        let answer = heard(&server.get(&at, token)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let lines: Vec<Value> = answer
            .body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(file["count"], lines.len());
        found.extend(lines);
    }
    found
}

#[test]
fn an_export_killed_again_and_again_has_everything_once() {
    let place = Place::new();
    let (data, token, count) = filled(&place, 120);
    let config = config(&place, &data, 16);
    let server = serve(&config);
    let answer = heard(&server.get("/t/main/fhir/$export", &token)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    let at = path(&header(&answer, "content-location"));
    drop(server);
    let (manifest, server, kills) = killed_until_done(&config, &token, &at);
    assert!(kills > 1, "it was killed on the way");
    let lines = resources(&server, &token, &manifest, "output");
    let names: BTreeSet<String> = lines
        .iter()
        .map(|line| format!("{}/{}", line["resourceType"], line["id"]))
        .collect();
    assert_eq!((lines.len(), names.len()), (count, count));
    drop(server);
    // No file shows what is in it.
    let blobs = std::path::Path::new(&data).join("blobs");
    let mut folders = vec![blobs];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).unwrap().flatten() {
            if item.path().is_dir() {
                folders.push(item.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(item.path()).unwrap();
            let shows = bytes.windows(12).any(|window| window == b"resourceType");
            assert!(!shows, "{}", item.path().display());
        }
    }
    assert!(files > 0);
    assert_eq!(run(&["--quiet", "verify", &data]).status.code(), Some(0));
}

#[test]
fn an_import_killed_again_and_again_stores_everything_once() {
    let place = Place::new();
    let data = place.at("data");
    let imports = place.root.join("imports/main");
    std::fs::create_dir_all(&imports).unwrap();
    let folder = place.root.join("people");
    bundles(&folder, 1);
    let folder = folder.display().to_string();
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &folder]);
    let token = token(&data, "main");
    let count = 12_000;
    let padding = "x".repeat(400);
    let lines: Vec<String> = (0..count)
        .map(|number| {
            format!(r#"{{"resourceType":"Basic","id":"b{number}","code":{{"text":"{padding}"}}}}"#)
        })
        .collect();
    std::fs::write(imports.join("basics.ndjson"), lines.join("\n")).unwrap();
    let config = config(&place, &data, 256);
    let body = r#"{"resourceType":"Parameters","parameter":[{"name":"input","part":[{"name":"type","valueCode":"Basic"},{"name":"url","valueUri":"file:basics.ndjson"}]}]}"#;
    let server = serve(&config);
    let answer = heard(&server.post("/t/main/fhir/$import", &token, body)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    let at = path(&header(&answer, "content-location"));
    std::thread::sleep(Duration::from_millis(300));
    drop(server);
    let mut kills = 1u64;
    let server = loop {
        let server = serve(&config);
        std::thread::sleep(Duration::from_millis(400 * kills));
        let answer = heard(&server.get(&at, &token)).unwrap();
        match answer.status {
            200 => break server,
            202 => {}
            other => panic!("{other}: {}", answer.body),
        }
        drop(server);
        kills += 1;
        assert!(kills < 60, "the job never ends");
    };
    let answer = heard(&server.get("/t/main/fhir/Basic?_summary=count", &token)).unwrap();
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(found["total"], count, "{}", answer.body);
    // Whatever was loaded twice changed nothing: there is one version of each.
    for number in [0, 399, 400, 5_000, 11_999] {
        let answer = heard(&server.get(&format!("/t/main/fhir/Basic/b{number}"), &token)).unwrap();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["meta"]["versionId"], "1");
    }
    drop(server);
    assert_eq!(run(&["--quiet", "verify", &data]).status.code(), Some(0));
}
