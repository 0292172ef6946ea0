//! The product API as answers on the wire, and its OpenAPI document held against the route table.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, LAKESIDE, PASSWORD, ROSEWOOD, TestServer, Transcript};

const API: &str = "/t/rosewood/api/v1";

/// Secrets that an answer may show once, replaced by what they are.
fn without_secrets(mut json: Value) -> Value {
    for name in ["password", "text"] {
        if let Some(value) = json.get_mut(name).filter(|value| value.is_string()) {
            *value = json!(format!("<{name}>"));
        }
    }
    json
}

#[tokio::test]
async fn a_tenant_is_run_by_program() {
    let server = TestServer::start().await;
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let mut transcript = Transcript::default();
    let mut step = async |heading: &str, call: Call| {
        let mut answer = server.send(call.bearer(&administrator)).await;
        if !answer.body.is_empty() {
            answer.body = without_secrets(answer.json()).to_string().into();
        }
        transcript.note(heading, &answer);
        answer
    };
    step("me", Call::get(format!("{API}/me"))).await;
    let branch = step(
        "make a branch",
        Call::post(format!("{API}/branches")).json(&json!({ "name": "Ward 1", "kind": "ward" })),
    )
    .await
    .id();
    step(
        "the same branch again",
        Call::post(format!("{API}/branches")).json(&json!({ "name": "ward 1", "kind": "ward" })),
    )
    .await;
    step("branches", Call::get(format!("{API}/branches"))).await;
    let user = json!({
        "signInName": "Nina.Nurse", "displayName": "Nina Nurse",
        "roles": [{ "role": "nurse", "branches": [branch] }],
    });
    let made = step(
        "make a user",
        Call::post(format!("{API}/users")).json(&user),
    )
    .await;
    let user = made.json()["user"]["id"].as_str().unwrap().to_owned();
    step(
        "disable the user",
        Call::post(format!("{API}/users/{user}/disable")),
    )
    .await;
    step(
        "enable the user",
        Call::post(format!("{API}/users/{user}/enable")),
    )
    .await;
    step(
        "other roles",
        Call::put(format!("{API}/users/{user}/roles"))
            .json(&json!({ "roles": [{ "role": "carer" }] })),
    )
    .await;
    step(
        "no roles",
        Call::put(format!("{API}/users/{user}/roles")).json(&json!({ "roles": [] })),
    )
    .await;
    step("unlock", Call::post(format!("{API}/users/{user}/unlock"))).await;
    step(
        "reset the password",
        Call::post(format!("{API}/users/{user}/reset-password")),
    )
    .await;
    let client = json!({
        "name": "Laboratory", "roles": [{ "role": "integration-service" }],
        "scopes": [{ "types": ["Observation"], "interactions": "rsc" }], "operations": ["verify-ledger"],
        "keys": [{ "kid": "k1", "alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) }],
    });
    let client = step(
        "make a client",
        Call::post(format!("{API}/clients")).json(&client),
    )
    .await
    .id();
    step(
        "narrow the client",
        Call::put(format!("{API}/clients/{client}/scopes"))
            .json(&json!({ "scopes": [{ "interactions": "r" }] })),
    )
    .await;
    let token = json!({ "name": "laboratory", "client": client, "days": 30, "scopes": [{ "types": ["Observation"], "interactions": "r" }] });
    let made = step(
        "make a token",
        Call::post(format!("{API}/tokens")).json(&token),
    )
    .await;
    let token = made.json()["token"]["id"].as_str().unwrap().to_owned();
    step("tokens", Call::get(format!("{API}/tokens"))).await;
    step(
        "revoke the token",
        Call::delete(format!("{API}/tokens/{token}")),
    )
    .await;
    step(
        "revoke it again",
        Call::delete(format!("{API}/tokens/{token}")),
    )
    .await;
    step(
        "close the branch",
        Call::post(format!("{API}/branches/{branch}/close")),
    )
    .await;
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn a_made_token_works_until_it_is_revoked() {
    let server = TestServer::start().await;
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let client = json!({ "name": "lab", "roles": [{ "role": "integration-service" }], "scopes": [{ "interactions": "rs" }] });
    let client = server
        .send(
            Call::post(format!("{API}/clients"))
                .bearer(&administrator)
                .json(&client),
        )
        .await
        .expect(201)
        .id();
    let token = json!({ "name": "lab", "client": client, "days": 1 });
    let made = server
        .send(
            Call::post(format!("{API}/tokens"))
                .bearer(&administrator)
                .json(&token),
        )
        .await
        .expect(201)
        .json();
    let (text, id) = (
        made["text"].as_str().unwrap(),
        made["token"]["id"].as_str().unwrap(),
    );
    let read = || Call::get("/t/rosewood/fhir/Patient").bearer(text);
    server.send(read()).await.expect(200);
    server
        .send(Call::delete(format!("{API}/tokens/{id}")).bearer(&administrator))
        .await
        .expect(204);
    server.send_now(read()).await.expect(401);
}

#[tokio::test]
async fn emergency_access_is_asked_for_used_and_reviewed() {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let nurse = server.person(ROSEWOOD, Role::Nurse).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let patient = json!({ "resourceType": "Patient", "id": "a" });
    server
        .send(
            Call::put("/t/rosewood/fhir/Patient/a")
                .bearer(&program)
                .json(&patient),
        )
        .await
        .expect(201);
    server
        .send(Call::get("/t/rosewood/fhir/Patient/a").bearer(&nurse))
        .await
        .expect(404);
    let mut transcript = Transcript::default();
    let wanted = json!({ "patient": "a", "reason": "urgent-care", "text": "found unconscious in the corridor", "minutes": 30 });
    let granted = server
        .send(
            Call::post(format!("{API}/break-glass"))
                .bearer(&nurse)
                .json(&wanted),
        )
        .await;
    transcript.note("ask", &granted);
    let id = granted.id();
    let usual = Call::get("/t/rosewood/fhir/Patient/a");
    server.send(usual.bearer(&nurse)).await.expect(404);
    let emergency = || Call::get("/t/rosewood/fhir/Patient/a").header("x-purpose-of-use", "ETREAT");
    server.send(emergency().bearer(&nurse)).await.expect(200);
    for (heading, wanted) in [
        (
            "too short a reason",
            json!({ "patient": "a", "reason": "other", "text": "short" }),
        ),
        (
            "too long",
            json!({ "patient": "a", "reason": "other", "text": "a reason in words", "minutes": 241 }),
        ),
        (
            "nobody",
            json!({ "patient": "never", "reason": "other", "text": "a reason in words" }),
        ),
    ] {
        transcript.note(
            heading,
            &server
                .send(
                    Call::post(format!("{API}/break-glass"))
                        .bearer(&nurse)
                        .json(&wanted),
                )
                .await,
        );
    }
    transcript.note(
        "waiting",
        &server
            .send(Call::get(format!("{API}/break-glass?waiting=true")).bearer(&auditor))
            .await,
    );
    let review = Call::post(format!("{API}/break-glass/{id}/review"))
        .json(&json!({ "outcome": "justified", "note": "seen on the ward" }));
    transcript.note("review", &server.send(review.bearer(&auditor)).await);
    let again = Call::post(format!("{API}/break-glass/{id}/review"))
        .json(&json!({ "outcome": "justified" }));
    transcript.note("review again", &server.send(again.bearer(&auditor)).await);
    transcript.note(
        "waiting no more",
        &server
            .send(Call::get(format!("{API}/break-glass?waiting=true")).bearer(&auditor))
            .await,
    );
    insta::assert_snapshot!(transcript.finish());
    server.clock.advance(31 * 60);
    server.send(emergency().bearer(&nurse)).await.expect(404);
}

#[tokio::test]
async fn an_erased_patient_is_gone_and_the_trail_stays() {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let patient = json!({ "resourceType": "Patient", "id": "a", "name": [{ "family": "Canary" }] });
    let observation = json!({ "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "Canary" }, "subject": { "reference": "Patient/a" } });
    server
        .send(
            Call::put("/t/rosewood/fhir/Patient/a")
                .bearer(&program)
                .json(&patient),
        )
        .await
        .expect(201);
    server
        .send(
            Call::put("/t/rosewood/fhir/Observation/o")
                .bearer(&program)
                .json(&observation),
        )
        .await
        .expect(201);
    let erase = |reason: &str| {
        Call::post(format!("{API}/patients/a/erase"))
            .json(&json!({ "reason": reason }))
            .bearer(&administrator)
    };
    server.send(erase("not a code")).await.expect(400);
    let erased = server.send(erase("gdpr-17")).await.expect(200);
    assert_eq!(erased.json()["resources"], 2);
    for address in [
        "Patient/a",
        "Observation/o",
        "Patient/a/_history/1",
        "Observation/o/_history/1",
    ] {
        let gone = server
            .send(Call::get(format!("/t/rosewood/fhir/{address}")).bearer(&program))
            .await
            .expect(410);
        assert!(!gone.everything().contains("Canary"));
    }
    let found = server
        .send(Call::get("/t/rosewood/fhir/Observation?code:text=Canary").bearer(&program))
        .await;
    assert!(!found.everything().contains("\"id\":\"o\""));
    let trail = server
        .send(Call::get(format!("{API}/audit/entries?class=erase")).bearer(&auditor))
        .await
        .expect(200)
        .json();
    assert_eq!(trail["entries"][0]["reason"], "gdpr-17", "{trail}");
    let back = server
        .send(
            Call::put("/t/rosewood/fhir/Patient/a")
                .bearer(&program)
                .json(&patient),
        )
        .await;
    assert_eq!(back.status, 410, "{}", back.text());
}

#[tokio::test]
async fn the_trail_is_filtered_and_proven() {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    for id in ["a", "b"] {
        let patient = json!({ "resourceType": "Patient", "id": id });
        server
            .send(
                Call::put(format!("/t/rosewood/fhir/Patient/{id}"))
                    .bearer(&program)
                    .json(&patient),
            )
            .await
            .expect(201);
        server
            .send(Call::get(format!("/t/rosewood/fhir/Patient/{id}")).bearer(&program))
            .await
            .expect(200);
    }
    let ask = async |query: &str| {
        server
            .send(Call::get(format!("{API}/audit/{query}")).bearer(&auditor))
            .await
    };
    let created = ask("entries?class=create&count=1").await.expect(200).json();
    assert_eq!(created["entries"].as_array().unwrap().len(), 1);
    assert_eq!(
        created["entries"][0]["event"]["resourceType"], "AuditEvent",
        "{created}"
    );
    let next = created["next"].as_u64().unwrap();
    let second = ask(&format!("entries?class=create&count=1&before={next}"))
        .await
        .expect(200)
        .json();
    assert_ne!(
        created["entries"][0]["index"],
        second["entries"][0]["index"]
    );
    let by_actor = ask("entries?log=access&actor=FEED&class=read")
        .await
        .expect(200)
        .json();
    assert_eq!(
        by_actor["entries"].as_array().unwrap().len(),
        2,
        "{by_actor}"
    );
    let late = ask("entries?from=2027-01-01T00:00:00Z")
        .await
        .expect(200)
        .json();
    assert_eq!(late["entries"].as_array().unwrap().len(), 0);
    let about = ask("patients/a").await.expect(200).json();
    assert_eq!(about["entries"].as_array().unwrap().len(), 1, "{about}");
    let proof = about["entries"][0]["proof"].as_str().unwrap();
    assert!(
        proof.contains(about["checkpoint"].as_str().unwrap()),
        "{proof}"
    );
    let looks = ask("patients/a?log=access").await.expect(200).json();
    let classes: Vec<&str> = looks["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["class"].as_str().unwrap())
        .collect();
    // The two looks at the trail above and this one are looks at the patient too.
    assert_eq!(classes, ["audit-read", "audit-read", "read"], "{looks}");
    for bad in [
        "entries?log=nonsense",
        "entries?class=nonsense",
        "entries?outcome=maybe",
        "entries?from=yesterday",
        "entries?count=0",
        "entries?count=1001",
        "entries?before=x",
        "entries?nonsense=1",
        "patients/a%20b",
    ] {
        let answer = ask(bad).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 404),
            "{bad}: {}",
            answer.status
        );
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn bodies_of_the_api_are_checked() {
    let server = TestServer::start().await;
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let own = server
        .acting(ROSEWOOD, "admin")
        .await
        .subject
        .user_id()
        .unwrap();
    let long = "x".repeat(200);
    let table = [
        ("no JSON", "users", "nonsense".to_owned()),
        ("an unknown member", "users", json!({ "signInName": "a.b", "displayName": "A", "roles": [], "admin": true }).to_string()),
        ("a member twice", "users", r#"{"signInName":"a.b","signInName":"c.d","displayName":"A","roles":[]}"#.to_owned()),
        ("a missing member", "users", json!({ "signInName": "a.b" }).to_string()),
        ("an unknown role", "users", json!({ "signInName": "a.b", "displayName": "A", "roles": [{ "role": "root" }] }).to_string()),
        ("no roles", "users", json!({ "signInName": "a.b", "displayName": "A", "roles": [] }).to_string()),
        ("an operator in a tenant", "users", json!({ "signInName": "a.b", "displayName": "A", "roles": [{ "role": "operator" }] }).to_string()),
        ("a sign-in name with spaces", "users", json!({ "signInName": "a b", "displayName": "A", "roles": [{ "role": "nurse" }] }).to_string()),
        ("a weak password", "users", json!({ "signInName": "a.b", "displayName": "A", "roles": [{ "role": "nurse" }], "password": "123" }).to_string()),
        ("a taken name", "users", json!({ "signInName": "admin", "displayName": "A", "roles": [{ "role": "nurse" }], "password": PASSWORD }).to_string()),
        ("a long name", "branches", json!({ "name": long, "kind": "ward" }).to_string()),
        ("an unknown kind", "branches", json!({ "name": "A", "kind": "castle" }).to_string()),
        ("an organisation that is not there", "branches", json!({ "name": "A", "kind": "ward", "organization": "never" }).to_string()),
        ("a key with its private part", "clients", json!({ "name": "A", "roles": [], "keys": [{ "kid": "k", "alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43), "d": "secret" }] }).to_string()),
        ("an unknown operation", "clients", json!({ "name": "A", "roles": [], "operations": ["fly"] }).to_string()),
        ("letters that are none", "clients", json!({ "name": "A", "roles": [], "scopes": [{ "interactions": "rx" }] }).to_string()),
        ("a token for nobody", "tokens", json!({ "name": "A", "days": 1 }).to_string()),
        ("a token for both", "tokens", json!({ "name": "A", "days": 1, "user": own.to_string(), "client": own.to_string() }).to_string()),
        ("a token for ever", "tokens", json!({ "name": "A", "days": 731, "user": own.to_string() }).to_string()),
        ("a token for somebody else", "tokens", json!({ "name": "A", "days": 1, "user": "00000000-0000-4000-8000-000000000000" }).to_string()),
        ("an id that is none", "tokens", json!({ "name": "A", "days": 1, "user": "me" }).to_string()),
        ("depth 1000", "users", format!("{}{}", "[".repeat(1000), "]".repeat(1000))),
    ];
    let mut transcript = Transcript::default();
    for (heading, path, body) in table {
        let call = Call::post(format!("{API}/{path}"))
            .header("content-type", "application/json")
            .bytes(body);
        let answer = server.send(call.bearer(&administrator)).await;
        assert!(
            answer.status.is_client_error(),
            "{heading}: {}",
            answer.status
        );
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{heading}"
        );
        assert!(!answer.text().contains("secret"), "{heading}");
        transcript.line(heading, &answer);
    }
    let last = Call::post(format!("{API}/users/{own}/disable"));
    transcript.line(
        "the last administrator",
        &server.send(last.bearer(&administrator)).await,
    );
    let roles = json!({ "roles": [{ "role": "administrator" }, { "role": "doctor" }] });
    let oneself = Call::put(format!("{API}/users/{own}/roles")).json(&roles);
    transcript.line(
        "oneself",
        &server.send(oneself.bearer(&administrator)).await,
    );
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn operators_make_tenants() {
    let server = TestServer::start().await;
    let operator = server.person("instance", Role::Operator).await;
    let new = json!({
        "slug": "hillside", "name": "Hillside", "placement": { "kind": "file" }, "region": "on-premises",
        "administrator": { "signInName": "admin", "displayName": "Ada" },
    });
    let make = || {
        Call::post("/operator/api/v1/tenants")
            .bearer(&operator)
            .json(&new)
    };
    let made = server.send(make()).await.expect(201).json();
    assert_eq!(made["tenant"]["slug"], "hillside");
    assert!(
        made["administrator"]["password"].as_str().unwrap().len() >= 16,
        "{made}"
    );
    server.send(make()).await.expect(409);
    let listed = server
        .send(Call::get("/operator/api/v1/tenants").bearer(&operator))
        .await
        .expect(200)
        .json();
    let slugs: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| tenant["slug"].as_str().unwrap())
        .collect();
    assert_eq!(slugs, ["hillside", "instance", "lakeside", "rosewood"]);
    let program = server.program(LAKESIDE).await;
    let search = || Call::get("/t/lakeside/fhir/Patient").bearer(&program);
    server.send(search()).await.expect(200);
    for (state, status) in [("suspended", 401), ("active", 200), ("closed", 401)] {
        let change = Call::put("/operator/api/v1/tenants/lakeside/state");
        let change = change.json(&json!({ "state": state }));
        server.send(change.bearer(&operator)).await.expect(200);
        server.send_now(search()).await.expect(status);
    }
}

#[tokio::test]
async fn the_document_is_the_route_table() {
    let server = TestServer::start().await;
    let document = server
        .send(Call::get("/api/openapi.json"))
        .await
        .expect(200)
        .json();
    let mut described: Vec<(String, String)> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            described.push((method.to_uppercase(), path.clone()));
            names.push(operation["operationId"].as_str().unwrap().to_owned());
            let is_open = operation["security"].is_null();
            let needs = path.contains("/api/v1/") || path.contains("/ledger/");
            assert_eq!(is_open, !needs, "{method} {path}");
        }
    }
    let mut routes: Vec<(String, String)> = http_edge::table()
        .iter()
        .filter(|route| !route.path.contains("/fhir"))
        .map(|route| (route.method.to_owned(), route.path.replace("{*", "{")))
        .collect();
    routes.sort_unstable();
    described.sort_unstable();
    assert_eq!(described, routes);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "operation ids are unique");
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} is not described"
        );
    }
    let mut document = document;
    document["info"]["version"] = json!("<version>");
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}
