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

async fn takes_several(server: &TestServer, tenant: &str, mode: &str) {
    let operator = server.person("instance", identity::Role::Operator).await;
    let set = Call::put(format!("/operator/api/v1/tenants/{tenant}/deletions")).bearer(&operator);
    let set = set.json(&json!({ "deletions": mode }));
    assert_eq!(
        server.send(set).await.expect(200).json()["deletions"],
        json!(mode)
    );
}

async fn total(server: &TestServer, token: &str) -> Value {
    let count = Call::get(format!("{BASE}/Patient?_summary=count")).bearer(token);
    server.send(count).await.expect(200).json()["total"].clone()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn several_matches_go_together_where_the_tenant_says_so() {
    let server = TestServer::start_with(|settings| settings.limits.deletions = 3).await;
    let token = server.program(ROSEWOOD).await;
    for (number, family) in [
        ("1", "Ash"),
        ("1", "Beech"),
        ("1", "Cedar"),
        ("2", "Dogwood"),
        ("2", "Elm"),
    ] {
        let made = Call::post(format!("{BASE}/Patient")).bearer(&token);
        let made = made.json(&numbered(number, family));
        server.send(made).await.expect(201);
    }
    let delete = |criteria: &str| {
        Call::delete(format!("{BASE}/Patient?{criteria}"))
            .bearer(&token)
            .header("prefer", "return=OperationOutcome")
    };
    let offered = |signed_in: bool| {
        let call = Call::get(format!("{BASE}/metadata"));
        if signed_in { call.bearer(&token) } else { call }
    };
    let says = |answer: crate::server::Answer| {
        answer.json()["rest"][0]["resource"][0]["conditionalDelete"].clone()
    };
    server.send(delete(CRITERIA)).await.expect(412);
    assert_eq!(says(server.send(offered(true)).await), "single");

    takes_several(&server, ROSEWOOD, "multiple").await;
    assert_eq!(says(server.send(offered(true)).await), "multiple");
    // A stranger is told the same of every name.
    assert_eq!(says(server.send(offered(false)).await), "single");
    // Beyond the limit, and beyond what the caller says, nothing goes.
    for (criteria, most) in [
        ("identifier=urn:mrn%7C1,urn:mrn%7C2", "more than 3"),
        ("identifier=urn:mrn%7C1&_count=2", "more than 2"),
    ] {
        let refused = server.send(delete(criteria)).await.expect(403);
        let (code, text) = refused.first_issue();
        assert_eq!(code, "too-costly", "{text}");
        assert!(text.contains(most), "{text}");
    }
    server.send(delete("")).await.expect(400);
    assert_eq!(total(&server, &token).await, 5);
    let gone = server.send(delete(CRITERIA)).await.expect(200);
    assert!(
        gone.text().contains("3 resources were deleted"),
        "{}",
        gone.text()
    );
    assert!(!gone.header("audit-receipt").is_empty());
    assert_eq!(total(&server, &token).await, 2);
    let again = server.send(delete(CRITERIA)).await.expect(200).text();
    assert!(again.contains("nothing to delete"), "{again}");

    // The other tenant did not ask for it.
    let other = server.program(LAKESIDE).await;
    for family in ["Fir", "Gorse"] {
        let made = Call::post("/t/lakeside/fhir/Patient").bearer(&other);
        server
            .send(made.json(&numbered("1", family)))
            .await
            .expect(201);
    }
    let there = Call::delete(format!("/t/lakeside/fhir/Patient?{CRITERIA}")).bearer(&other);
    server.send(there).await.expect(412);

    // In a transaction, all or nothing with the other entries.
    let bundle = |status: &str| {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "request": { "method": "DELETE", "url": "Patient?identifier=urn:mrn%7C2" } },
            { "request": { "method": "PUT", "url": "Observation/o" }, "resource":
                { "resourceType": "Observation", "id": "o", "status": status, "code": { "text": "x" } } },
        ]})
    };
    let send = |body: &Value| server.send(Call::post(BASE).bearer(&token).json(body));
    send(&bundle("no-such")).await.expect(422);
    assert_eq!(total(&server, &token).await, 2);
    let done = send(&bundle("final")).await.expect(200).json();
    assert_eq!(
        done["entry"][0]["response"]["status"], "204 No Content",
        "{done}"
    );
    assert_eq!(total(&server, &token).await, 0);
}

#[tokio::test]
async fn several_go_only_of_what_the_caller_reaches() {
    let server = TestServer::start().await;
    takes_several(&server, ROSEWOOD, "multiple").await;
    let feed = server.program(ROSEWOOD).await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    for (id, ward) in [("a", &north), ("b", &north), ("c", &south)] {
        let mut patient = numbered("1", "Ash");
        patient["id"] = json!(id);
        patient["managingOrganization"] = json!({ "reference": format!("Organization/{ward}") });
        server.put(ROSEWOOD, &feed, &patient).await;
    }
    let ward = server.program_at(ROSEWOOD, here).await;
    let delete = Call::delete(format!("{BASE}/Patient?{CRITERIA}")).bearer(&ward);
    server.send(delete).await.expect(204);
    for (id, status) in [("a", 410), ("b", 410), ("c", 200)] {
        let read = Call::get(format!("{BASE}/Patient/{id}")).bearer(&feed);
        server.send(read).await.expect(status);
    }
}
