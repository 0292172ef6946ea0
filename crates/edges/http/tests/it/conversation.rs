//! The life of one resource, its versions and its history, as answers on the wire.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::server::{Answer, Call, ROSEWOOD, TestServer, Transcript};

const BASE: &str = "/t/rosewood/fhir";

fn patient(family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "active": true,
        "name": [{ "family": family, "given": ["Ann"] }],
        "birthDate": "1941-03-05",
        "_birthDate": { "extension": [{ "url": "http://example.org/born-at", "valueDecimal": 10.50 }] },
    })
}

fn with_id(mut resource: Value, id: &str) -> Value {
    resource["id"] = json!(id);
    resource
}

fn in_use(at: &str, id: &str) -> Vec<(&'static str, Call)> {
    vec![
        ("read", Call::get(at)),
        (
            "update",
            Call::put(at)
                .json(&with_id(patient("Baker"), id))
                .header("if-match", "W/\"1\""),
        ),
        (
            "update from a stale version",
            Call::put(at)
                .json(&with_id(patient("Cook"), id))
                .header("if-match", "W/\"1\""),
        ),
        ("read again", Call::get(at)),
        (
            "read the first version",
            Call::get(format!("{at}/_history/1")),
        ),
        (
            "read a version that never was",
            Call::get(format!("{at}/_history/9")),
        ),
        (
            "read what the reader has",
            Call::get(at).header("if-none-match", "W/\"2\""),
        ),
        (
            "read what has not changed since",
            Call::get(at).header("if-modified-since", "Thu, 05 Mar 2026 09:00:00 GMT"),
        ),
        (
            "history of the instance",
            Call::get(format!("{at}/_history")),
        ),
    ]
}

fn at_its_end(at: &str, id: &str) -> Vec<(&'static str, Call)> {
    vec![
        (
            "delete from a stale version",
            Call::delete(at).header("if-match", "W/\"1\""),
        ),
        ("delete", Call::delete(at)),
        ("delete again", Call::delete(at)),
        ("read what was deleted", Call::get(at)),
        (
            "read the version of the deletion",
            Call::get(format!("{at}/_history/3")),
        ),
        (
            "history with the deletion",
            Call::get(format!("{at}/_history?_count=1")),
        ),
        (
            "bring back",
            Call::put(at).json(&with_id(patient("Dyer"), id)),
        ),
        (
            "update as create",
            Call::put(format!("{BASE}/Patient/own-id.1"))
                .json(&with_id(patient("Eden"), "own-id.1")),
        ),
        (
            "delete what never was",
            Call::delete(format!("{BASE}/Patient/never")),
        ),
        (
            "read what never was",
            Call::get(format!("{BASE}/Patient/never")),
        ),
        (
            "history of what never was",
            Call::get(format!("{BASE}/Patient/never/_history")),
        ),
        (
            "history of the type",
            Call::get(format!("{BASE}/Patient/_history?_count=2")),
        ),
        (
            "history of the system since",
            Call::get(format!("{BASE}/_history?_since=2026-03-05T08:00:14Z")),
        ),
    ]
}

#[tokio::test]
async fn a_resource_lives_and_its_versions_stay() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let mut transcript = Transcript::default();
    let created = server
        .send(
            Call::post(format!("{BASE}/Patient"))
                .bearer(&token)
                .json(&patient("Archer")),
        )
        .await;
    transcript.note("create", &created);
    let id = created.id();
    let at = format!("{BASE}/Patient/{id}");
    let steps = in_use(&at, &id).into_iter().chain(at_its_end(&at, &id));
    for (heading, call) in steps {
        let answer = server.send(call.bearer(&token)).await;
        transcript.note(heading, &answer);
    }
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn history_is_paged_to_its_end() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    for number in 0..5 {
        let at = format!("{BASE}/Patient/p{number}");
        server
            .send(
                Call::put(at)
                    .bearer(&token)
                    .json(&with_id(patient("Archer"), &format!("p{number}"))),
            )
            .await
            .expect(201);
    }
    let mut address = format!("{BASE}/Patient/_history?_count=2");
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let page = server
            .send(Call::get(&address).bearer(&token))
            .await
            .expect(200)
            .json();
        pages += 1;
        let entries = page["entry"].as_array().unwrap();
        seen.extend(
            entries
                .iter()
                .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()),
        );
        match next_link(&page) {
            Some(next) => address = next,
            None => break,
        }
    }
    assert_eq!(seen, ["p4", "p3", "p2", "p1", "p0"]);
    assert_eq!(pages, 3);
}

/// The `next` link of a bundle as a path of this server.
pub fn next_link(page: &Value) -> Option<String> {
    let link = page["link"]
        .as_array()?
        .iter()
        .find(|link| link["relation"] == "next")?;
    let url = link["url"].as_str().unwrap();
    Some(
        url.strip_prefix(crate::server::PUBLIC_URL)
            .unwrap()
            .to_owned(),
    )
}

#[tokio::test]
async fn writes_answer_as_preferred() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let mut transcript = Transcript::default();
    for preference in [
        "return=minimal",
        "return=representation",
        "return=OperationOutcome",
        "return=nonsense, respond-async",
    ] {
        let call = Call::post(format!("{BASE}/Patient"))
            .header("prefer", preference)
            .json(&patient("Archer"));
        transcript.note(
            &format!("create with Prefer: {preference}"),
            &server.send(call.bearer(&token)).await,
        );
    }
    let call = Call::put(format!("{BASE}/Patient/a"))
        .header("prefer", "return=minimal")
        .json(&with_id(patient("A"), "a"));
    transcript.note(
        "update as create with minimal",
        &server.send(call.bearer(&token)).await,
    );
    let call = Call::put(format!("{BASE}/Patient/a"))
        .header("prefer", "return=OperationOutcome")
        .json(&with_id(patient("B"), "a"));
    transcript.note(
        "update with OperationOutcome",
        &server.send(call.bearer(&token)).await,
    );
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn formats_are_negotiated() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    server
        .send(
            Call::put(format!("{BASE}/Patient/a"))
                .bearer(&token)
                .json(&with_id(patient("A"), "a")),
        )
        .await
        .expect(201);
    let table = [
        ("?_format=json", "", 200),
        ("?_format=application/fhir+json", "", 200),
        (
            "?_format=application%2Ffhir%2Bjson",
            "application/fhir+xml",
            200,
        ),
        ("?_format=ttl", "application/fhir+json", 406),
        ("?_pretty=false", "", 200),
        ("?_unknown=1", "", 400),
        ("", "application/json", 200),
        ("", "application/fhir+json; fhirVersion=4.0", 200),
        ("", "text/html, application/xhtml+xml, */*;q=0.8", 200),
        ("", "image/png", 406),
        ("", "text/turtle", 406),
    ];
    let mut wrong = Vec::new();
    for (query, accept, status) in table {
        let mut call = Call::get(format!("{BASE}/Patient/a{query}")).bearer(&token);
        if !accept.is_empty() {
            call = call.header("accept", accept);
        }
        let answer = server.send(call).await;
        if answer.status != status {
            wrong.push(format!(
                "{query:?} {accept:?}: {} instead of {status}: {}",
                answer.status,
                answer.text()
            ));
        }
        assert_eq!(
            answer.header("content-type"),
            "application/fhir+json; charset=utf-8"
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let typed = Call::post(format!("{BASE}/Patient"))
        .header("content-type", "text/turtle")
        .bytes("<Patient>");
    let refused = server.send(typed.bearer(&token)).await.expect(415);
    assert_eq!(refused.first_issue().0, "not-supported");
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(answer: &Answer) -> Value {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*answer.body)
        .read_to_end(&mut plain)
        .unwrap();
    serde_json::from_slice(&plain).unwrap()
}

#[tokio::test]
async fn bodies_travel_compressed_both_ways() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let body = gzip(patient("Archer").to_string().as_bytes());
    let call = Call::post(format!("{BASE}/Patient")).header("content-encoding", "gzip");
    let id = server
        .send(call.bearer(&token).bytes(body))
        .await
        .expect(201)
        .id();
    let call = Call::get(format!("{BASE}/Patient/{id}"))
        .header("accept-encoding", "gzip")
        .bearer(&token);
    let answer = server.send(call).await.expect(200);
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(gunzip(&answer)["name"][0]["family"], "Archer");
    let plain = server
        .send(Call::get(format!("{BASE}/Patient/{id}")).bearer(&token))
        .await
        .expect(200);
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(gunzip(&answer), plain.json());
}

#[tokio::test]
async fn what_was_sent_comes_back_byte_for_byte() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let sent = r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x \u00e4 \n"},"valueQuantity":{"value":1.50e2,"unit":"mg"},"extension":[{"url":"http://example.org/e","valueDecimal":0.10}]}"#;
    let call = Call::put(format!("{BASE}/Observation/o1"))
        .header("content-type", "application/json")
        .bytes(sent);
    server.send(call.bearer(&token)).await.expect(201);
    let text = server
        .send(Call::get(format!("{BASE}/Observation/o1")).bearer(&token))
        .await
        .expect(200)
        .text();
    for kept in [
        r#""value":1.50e2"#,
        r#""text":"x \u00e4 \n""#,
        r#""valueDecimal":0.10"#,
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
}

#[tokio::test]
async fn every_success_of_a_write_carries_a_receipt_that_proves() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let created = server
        .send(
            Call::post(format!("{BASE}/Patient"))
                .bearer(&token)
                .json(&patient("A")),
        )
        .await
        .expect(201);
    let receipt = created.header("audit-receipt").to_owned();
    let (origin, leaf) = receipt.split_once(' ').unwrap();
    assert!(origin.contains("/changes/"), "{receipt}");
    assert_eq!(leaf.len(), 64);
    let checkpoint = server
        .send(Call::get("/t/rosewood/ledger/changes/checkpoint").bearer(&token))
        .await
        .expect(200)
        .text();
    assert!(checkpoint.starts_with(origin), "{checkpoint}");
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let proof = format!("/t/rosewood/ledger/changes/proof?index={}", size - 1);
    let proof = server
        .send(Call::get(proof).bearer(&token))
        .await
        .expect(200)
        .text();
    assert!(proof.contains(&checkpoint), "{proof}");
}
