//! Batches and transactions: order, references, conditions, failing entries.

use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer, Transcript};

const BASE: &str = "/t/rosewood/fhir";

fn bundle(kind: &str, entries: &[Value]) -> Value {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

fn observation(subject: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
        "subject": { "reference": subject },
        "valueQuantity": { "value": 72.0, "system": "http://unitsofmeasure.org", "code": "/min" },
    })
}

fn named(family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:mrn", "value": family }],
        "name": [{ "family": family }],
    })
}

const URN: &str = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a";

#[tokio::test]
async fn a_transaction_resolves_references_and_answers_in_place() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    server
        .send(
            Call::put(format!("{BASE}/Patient/old"))
                .bearer(&token)
                .json(&{
                    let mut old = named("Old");
                    old["id"] = json!("old");
                    old
                }),
        )
        .await
        .expect(201);
    let content = bundle(
        "transaction",
        &[
            json!({ "resource": observation("Patient?identifier=urn:mrn|Old"), "request": { "method": "POST", "url": "Observation" } }),
            json!({ "resource": observation(URN), "request": { "method": "POST", "url": "Observation" } }),
            json!({ "fullUrl": URN, "resource": named("New"), "request": { "method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:mrn|New" } }),
            json!({ "request": { "method": "GET", "url": "Patient/old" } }),
            json!({ "request": { "method": "GET", "url": "Patient?family=New&_elements=name" } }),
        ],
    );
    let mut transcript = Transcript::default();
    let answer = server
        .send(Call::post(BASE).bearer(&token).json(&content))
        .await;
    transcript.note("transaction", &answer);
    let place = answer.json()["entry"][1]["response"]["location"]
        .as_str()
        .unwrap()
        .to_owned();
    let place = place
        .strip_prefix("https://records.example.org/t/rosewood/fhir/")
        .unwrap_or(&place)
        .to_owned();
    let read = server
        .send(Call::get(format!("{BASE}/{place}")).bearer(&token))
        .await;
    transcript.note("an observation of it", &read);
    let whole = Call::post(format!("{BASE}/"))
        .header("prefer", "return=representation")
        .bearer(&token);
    let content = bundle(
        "transaction",
        &[
            json!({ "resource": named("Whole"), "request": { "method": "POST", "url": "Patient" } }),
            json!({ "request": { "method": "DELETE", "url": "Patient?identifier=urn:mrn|New" } }),
        ],
    );
    transcript.note(
        "transaction with bodies and a conditional delete",
        &server.send(whole.json(&content)).await,
    );
    insta::assert_snapshot!(transcript.finish());
}

/// Entries that fail, each for its own reason.
fn failing() -> Vec<(&'static str, Value)> {
    let mut broken = named("Broken");
    broken["birthDate"] = json!("2026-02-30");
    vec![
        (
            "structure",
            json!({ "resource": broken, "request": { "method": "POST", "url": "Patient" } }),
        ),
        (
            "missing conditional reference",
            json!({ "resource": observation("Patient?identifier=urn:mrn|Nobody"), "request": { "method": "POST", "url": "Observation" } }),
        ),
        (
            "unresolved urn",
            json!({ "resource": observation("urn:uuid:00000000-0000-4000-8000-000000000000"), "request": { "method": "POST", "url": "Observation" } }),
        ),
        (
            "stale version",
            json!({ "resource": { "resourceType": "Patient", "id": "x" }, "request": { "method": "PUT", "url": "Patient/x", "ifMatch": "W/\"3\"" } }),
        ),
        (
            "unknown type",
            json!({ "resource": { "resourceType": "Nonsense" }, "request": { "method": "POST", "url": "Nonsense" } }),
        ),
        ("no request", json!({ "resource": named("NoRequest") })),
        (
            "patch",
            json!({ "resource": named("Patch"), "request": { "method": "PATCH", "url": "Patient/x" } }),
        ),
        (
            "two entries for one resource",
            json!({ "fullUrl": URN, "resource": named("Twice"), "request": { "method": "POST", "url": "Patient" } }),
        ),
        (
            "address outside",
            json!({ "request": { "method": "DELETE", "url": "https://elsewhere.example.org/fhir/Patient/1" } }),
        ),
        ("not an object", json!("text")),
    ]
}

#[tokio::test]
async fn a_failing_entry_undoes_the_transaction_and_is_named() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let good = json!({ "fullUrl": URN, "resource": named("Kept"), "request": { "method": "POST", "url": "Patient" } });
    let mut transcript = Transcript::default();
    for (heading, entry) in failing() {
        let content = bundle("transaction", &[good.clone(), entry]);
        let answer = server
            .send(Call::post(BASE).bearer(&token).json(&content))
            .await;
        assert!(
            answer.status.is_client_error(),
            "{heading}: {} {}",
            answer.status,
            answer.text()
        );
        transcript.line(heading, &answer);
    }
    let left = server
        .send(Call::get(format!("{BASE}/Patient?_summary=count")).bearer(&token))
        .await
        .expect(200);
    assert_eq!(
        left.json()["total"],
        0,
        "nothing is left of failed transactions"
    );
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn a_batch_answers_each_entry_for_itself() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let content = bundle(
        "batch",
        &[
            json!({ "resource": named("One"), "request": { "method": "POST", "url": "Patient" } }),
            json!({ "request": { "method": "GET", "url": "Patient/never" } }),
            json!({ "resource": { "resourceType": "Patient", "id": "two" }, "request": { "method": "PUT", "url": "Patient/two" } }),
            json!({ "resource": { "resourceType": "Patient", "birthDate": 7 }, "request": { "method": "POST", "url": "Patient" } }),
            json!({ "request": { "method": "GET", "url": "Patient?_id=two" } }),
            json!({ "request": { "method": "GET", "url": "metadata" } }),
            json!({ "request": { "method": "DELETE", "url": "Patient/never" } }),
            json!({ "request": { "method": "GET", "url": "Patient?nonsense=1" } }),
            json!({ "request": { "method": "GET", "url": "Patient/two", "ifNoneMatch": "W/\"1\"" } }),
        ],
    );
    let mut transcript = Transcript::default();
    transcript.note(
        "batch",
        &server
            .send(Call::post(BASE).bearer(&token).json(&content))
            .await,
    );
    for (heading, content) in [
        ("an empty batch", bundle("batch", &[])),
        ("a searchset", bundle("searchset", &[])),
        ("no bundle", named("None")),
        (
            "entries that are no array",
            json!({ "resourceType": "Bundle", "type": "batch", "entry": {} }),
        ),
    ] {
        transcript.note(
            heading,
            &server
                .send(Call::post(BASE).bearer(&token).json(&content))
                .await,
        );
    }
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn a_refused_entry_refuses_the_transaction() {
    let server = TestServer::start().await;
    let nurse = server.person(ROSEWOOD, identity::Role::Receptionist).await;
    let content = bundle(
        "transaction",
        &[
            json!({ "fullUrl": URN, "resource": named("New"), "request": { "method": "POST", "url": "Patient" } }),
            json!({ "resource": observation(URN), "request": { "method": "POST", "url": "Observation" } }),
        ],
    );
    let answer = server
        .send(Call::post(BASE).bearer(&nurse).json(&content))
        .await
        .expect(403);
    assert!(
        answer.first_issue().1.contains("Bundle.entry[1]"),
        "{}",
        answer.text()
    );
    let left = server
        .send(Call::get(format!("{BASE}/Patient?_summary=count")).bearer(&nurse))
        .await
        .expect(200);
    assert_eq!(left.json()["total"], 0);
}
