//! Bulk imports as a client has them: lines sent and files named, refused lines given back, repeats harmless.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use identity::Interaction;
use serde_json::{Value, json};

use crate::bulk::{
    EXPORT, asked, done, exported, exporter, lines, names, observation, patient, place, record,
};
use crate::server::{Call, LAKESIDE, ROSEWOOD, TestServer};

fn ndjson(lines: &[Value]) -> String {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

async fn importer(server: &TestServer, tenant: &str) -> String {
    server
        .program_with(
            tenant,
            "importer",
            &[Interaction::Import, Interaction::Export],
        )
        .await
}

async fn imported(server: &TestServer, token: &str, call: Call) -> Value {
    let answer = asked(server, token, call).await.expect(202);
    done(server, token, &place(&answer)).await
}

fn sent(text: String) -> Call {
    Call::post("/t/rosewood/fhir/$import")
        .header("content-type", "application/fhir+ndjson")
        .bytes(text)
}

/// What an import says of itself.
async fn summary(server: &TestServer, manifest: &Value) -> String {
    let lines = lines(server, &manifest["output"]).await;
    lines[0]["issue"][0]["diagnostics"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn what_was_exported_can_be_imported_elsewhere_and_again() {
    let server = TestServer::start_with(|settings| settings.bulk.chunk_bytes = 700).await;
    let token = exporter(&server, ROSEWOOD).await;
    record(&server, ROSEWOOD, &token).await;
    let manifest = exported(&server, &token, Call::get(EXPORT)).await;
    let text = ndjson(&lines(&server, &manifest["output"]).await);
    let theirs = importer(&server, LAKESIDE).await;
    let call = || {
        Call::post("/t/lakeside/fhir/$import")
            .header("content-type", "application/fhir+ndjson")
            .bytes(text.clone())
    };
    let first = imported(&server, &theirs, call()).await;
    assert_eq!(
        summary(&server, &first).await,
        "read 10, stored 10, unchanged 0, refused 0"
    );
    assert_eq!(first["error"], json!([]));
    let again = imported(&server, &theirs, call()).await;
    assert_eq!(
        summary(&server, &again).await,
        "read 10, stored 0, unchanged 10, refused 0"
    );
    let manifest = exported(&server, &theirs, Call::get("/t/lakeside/fhir/$export")).await;
    assert_eq!(names(&server, &manifest).await.len(), 10);
}

#[tokio::test]
async fn lines_that_are_refused_come_back_with_their_place() {
    let server = TestServer::start().await;
    let token = importer(&server, ROSEWOOD).await;
    let mut text = ndjson(&[
        patient("one", None),
        json!({ "resourceType": "Patient", "id": "two", "shoeSize": 9 }),
        json!({ "resourceType": "Nothing", "id": "three" }),
    ]);
    text.push_str("{\n\n");
    text.push_str(&ndjson(&[
        patient("six", None),
        observation("seven", "one", "1-1"),
    ]));
    let manifest = imported(&server, &token, sent(text.clone())).await;
    assert_eq!(
        summary(&server, &manifest).await,
        "read 6, stored 3, unchanged 0, refused 3"
    );
    let errors = lines(&server, &manifest["error"]).await;
    let errors: Vec<&str> = errors
        .iter()
        .map(|line| line["issue"][0]["diagnostics"].as_str().unwrap())
        .collect();
    for (place, what) in [
        ("line 2", "shoeSize"),
        ("line 3", "Nothing"),
        ("line 4", "input 1"),
    ] {
        assert!(
            errors
                .iter()
                .any(|error| error.contains(place) && error.contains(what)),
            "{place}: {errors:?}"
        );
    }
    // With the type said, what is of another one is refused, too.
    let typed = Call::post("/t/rosewood/fhir/$import?_type=Patient")
        .header("content-type", "application/x-ndjson")
        .bytes(text);
    let manifest = imported(&server, &token, typed).await;
    assert_eq!(
        summary(&server, &manifest).await,
        "read 6, stored 0, unchanged 2, refused 4"
    );
    for (call, status) in [
        (
            Call::post("/t/rosewood/fhir/$import").json(&json!({ "resourceType": "Parameters" })),
            400,
        ),
        (
            Call::post("/t/rosewood/fhir/$import")
                .json(&file_input("https://elsewhere.example/x.ndjson")),
            422,
        ),
        (
            Call::post("/t/rosewood/fhir/$import").json(&file_input("file:x.ndjson")),
            405,
        ),
        (
            Call::post("/t/rosewood/fhir/$import")
                .header("content-type", "text/csv")
                .bytes("a,b"),
            415,
        ),
        (
            Call::post("/t/rosewood/fhir/$import?_type=Nothing")
                .header("content-type", "application/ndjson")
                .bytes("{}"),
            400,
        ),
    ] {
        asked(&server, &token, call).await.expect(status);
    }
}

fn file_input(url: &str) -> Value {
    json!({ "resourceType": "Parameters", "parameter": [
        { "name": "input", "part": [{ "name": "type", "valueCode": "Patient" }, { "name": "url", "valueUri": url }] },
    ]})
}

#[tokio::test]
async fn files_come_from_the_tenants_own_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let server = TestServer::start_with(|settings| {
        settings.bulk.import_folder = Some(root);
        settings.bulk.chunk_bytes = 150;
    })
    .await;
    let token = importer(&server, ROSEWOOD).await;
    let people: Vec<Value> = (0..20)
        .map(|number| patient(&format!("p{number}"), None))
        .collect();
    for tenant in [ROSEWOOD, LAKESIDE] {
        std::fs::create_dir(folder.path().join(tenant)).unwrap();
    }
    std::fs::write(
        folder.path().join("rosewood/people.ndjson"),
        ndjson(&people),
    )
    .unwrap();
    std::fs::write(
        folder.path().join("lakeside/secret.ndjson"),
        ndjson(&people),
    )
    .unwrap();
    let call = |url: &str| Call::post("/t/rosewood/fhir/$import").json(&file_input(url));
    let manifest = imported(&server, &token, call("file:people.ndjson")).await;
    assert_eq!(
        summary(&server, &manifest).await,
        "read 20, stored 20, unchanged 0, refused 0"
    );
    let manifest = json!({
        "inputFormat": "application/fhir+ndjson", "inputSource": "https://other.example/fhir",
        "storageDetail": { "type": "https" },
        "input": [{ "type": "Patient", "url": "file:people.ndjson" }],
    });
    let again = Call::post("/t/rosewood/fhir/$import").json(&manifest);
    let manifest = imported(&server, &token, again).await;
    assert_eq!(
        summary(&server, &manifest).await,
        "read 20, stored 0, unchanged 20, refused 0"
    );
    for (url, status) in [
        ("https://files.example.org/p.ndjson", 422),
        ("ftp://files.example.org/p.ndjson", 400),
        ("file:secret.ndjson", 404),
        ("file:../lakeside/secret.ndjson", 400),
        ("file:/etc/passwd", 400),
        ("file:none.ndjson", 404),
    ] {
        asked(&server, &token, call(url)).await.expect(status);
    }
}
