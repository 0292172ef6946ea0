//! Conditional create, update, delete and read, and idempotency keys.

use serde_json::{Value, json};

use crate::server::{Call, LAKESIDE, ROSEWOOD, TestServer, Transcript};

const BASE: &str = "/t/rosewood/fhir";

fn numbered(number: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:mrn", "value": number }],
        "name": [{ "family": family }],
    })
}

const CRITERIA: &str = "identifier=urn:mrn%7C1";

fn where_one_matches() -> Vec<(&'static str, Call)> {
    vec![
        (
            "conditional create, nothing matches",
            Call::post(format!("{BASE}/Patient"))
                .header("if-none-exist", CRITERIA)
                .json(&numbered("1", "Archer")),
        ),
        (
            "conditional create, one matches",
            Call::post(format!("{BASE}/Patient"))
                .header("if-none-exist", CRITERIA)
                .json(&numbered("1", "Baker")),
        ),
        (
            "conditional create, criteria in the address",
            Call::post(format!("{BASE}/Patient?{CRITERIA}")).json(&numbered("1", "Baker")),
        ),
        (
            "conditional create, criteria in both places",
            Call::post(format!("{BASE}/Patient?{CRITERIA}"))
                .header("if-none-exist", CRITERIA)
                .json(&numbered("1", "Baker")),
        ),
        (
            "conditional update, one matches",
            Call::put(format!("{BASE}/Patient?{CRITERIA}")).json(&numbered("1", "Cook")),
        ),
        (
            "conditional update, none matches",
            Call::put(format!("{BASE}/Patient?identifier=urn:mrn%7C2"))
                .json(&numbered("2", "Dyer")),
        ),
        (
            "conditional update, stale",
            Call::put(format!("{BASE}/Patient?{CRITERIA}"))
                .header("if-match", "W/\"1\"")
                .json(&numbered("1", "Eden")),
        ),
        (
            "a second one with the same number",
            Call::post(format!("{BASE}/Patient")).json(&numbered("1", "Fisher")),
        ),
    ]
}

fn where_several_match() -> Vec<(&'static str, Call)> {
    vec![
        (
            "conditional create, several match",
            Call::post(format!("{BASE}/Patient"))
                .header("if-none-exist", CRITERIA)
                .json(&numbered("1", "Groom")),
        ),
        (
            "conditional update, several match",
            Call::put(format!("{BASE}/Patient?{CRITERIA}")).json(&numbered("1", "Hunter")),
        ),
        (
            "conditional delete, several match",
            Call::delete(format!("{BASE}/Patient?{CRITERIA}")),
        ),
        (
            "conditional delete, one matches",
            Call::delete(format!("{BASE}/Patient?identifier=urn:mrn%7C2")),
        ),
        (
            "conditional delete, none matches",
            Call::delete(format!("{BASE}/Patient?identifier=urn:mrn%7C9")),
        ),
        (
            "conditional delete without a condition",
            Call::delete(format!("{BASE}/Patient")),
        ),
        (
            "conditional update without a condition",
            Call::put(format!("{BASE}/Patient")).json(&numbered("1", "Inman")),
        ),
        (
            "conditional create with an unknown parameter",
            Call::post(format!("{BASE}/Patient"))
                .header("if-none-exist", "nonsense=1")
                .json(&numbered("1", "Joiner")),
        ),
        (
            "conditional create with no condition in the header",
            Call::post(format!("{BASE}/Patient"))
                .header("if-none-exist", "")
                .json(&numbered("1", "Knight")),
        ),
    ]
}

#[tokio::test]
async fn conditions_decide() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let mut transcript = Transcript::default();
    for (heading, call) in where_one_matches().into_iter().chain(where_several_match()) {
        transcript.note(heading, &server.send(call.bearer(&token)).await);
    }
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn parallel_conditional_creates_make_one() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let calls = (0..16).map(|_| {
        let call =
            Call::post(format!("{BASE}/Patient")).header("if-none-exist", "identifier=urn:mrn%7C7");
        server.send_now(call.bearer(&token).json(&numbered("7", "Archer")))
    });
    let answers = futures_util::future::join_all(calls).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let found = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, found), (1, 15));
}

#[tokio::test]
async fn conditions_never_see_another_tenant() {
    let server = TestServer::start().await;
    for tenant in [ROSEWOOD, LAKESIDE] {
        let token = server.program(tenant).await;
        let call = Call::post(format!("/t/{tenant}/fhir/Patient"))
            .header("if-none-exist", "identifier=urn:mrn%7C1");
        server
            .send(call.bearer(&token).json(&numbered("1", "Archer")))
            .await
            .expect(201);
    }
}

#[tokio::test]
async fn the_same_idempotency_key_is_done_once() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let create = |key: &str, family: &str| {
        Call::post(format!("{BASE}/Patient"))
            .header("idempotency-key", key)
            .bearer(&token)
            .json(&numbered("1", family))
    };
    let first = server.send(create("key-1", "Archer")).await.expect(201);
    let second = server.send(create("key-1", "Archer")).await.expect(201);
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("location"), second.header("location"));
    let other = server.send(create("key-1", "Baker")).await.expect(409);
    assert_eq!(other.first_issue().0, "conflict");
    let too_long = "k".repeat(201);
    server.send(create(&too_long, "Cook")).await.expect(400);
    server.send(create("", "Cook")).await.expect(400);
    let all = server
        .send(Call::get(format!("{BASE}/Patient?_total=accurate")).bearer(&token))
        .await
        .expect(200);
    assert_eq!(all.json()["total"], 1);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": numbered("2", "Dyer"), "request": { "method": "POST", "url": "Patient" } },
    ]});
    let send = || {
        Call::post(BASE)
            .header("idempotency-key", "key-2")
            .bearer(&token)
            .json(&bundle)
    };
    let first = server.send(send()).await.expect(200);
    let second = server.send(send()).await.expect(200);
    assert_eq!(
        first.json()["entry"][0]["response"]["location"],
        second.json()["entry"][0]["response"]["location"]
    );
}
