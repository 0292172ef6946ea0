//! The product API as answers on the wire, and its OpenAPI document held against the route table.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Answer, Call, LAKESIDE, PASSWORD, ROSEWOOD, TestServer, Transcript};

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

/// An administrator at work, written down.
struct Work<'s> {
    server: &'s TestServer,
    token: String,
    transcript: Transcript,
}

impl<'s> Work<'s> {
    async fn begin(server: &'s TestServer) -> Self {
        let token = server.person(ROSEWOOD, Role::Administrator).await;
        Self {
            server,
            token,
            transcript: Transcript::default(),
        }
    }

    async fn step(&mut self, heading: &str, call: Call) -> Answer {
        let mut answer = self.server.send(call.bearer(&self.token)).await;
        if !answer.body.is_empty() {
            answer.body = without_secrets(answer.json()).to_string().into();
        }
        self.transcript.note(heading, &answer);
        answer
    }
}

#[tokio::test]
async fn branches_and_users_are_run_by_program() {
    let server = TestServer::start().await;
    let mut work = Work::begin(&server).await;
    work.step("me", Call::get(format!("{API}/me"))).await;
    let branches = || Call::post(format!("{API}/branches"));
    let ward = json!({ "name": "Ward 1", "kind": "ward" });
    let branch = work
        .step("make a branch", branches().json(&ward))
        .await
        .id();
    let again = json!({ "name": "ward 1", "kind": "ward" });
    work.step("the same branch again", branches().json(&again))
        .await;
    work.step("branches", Call::get(format!("{API}/branches")))
        .await;
    let user = json!({
        "signInName": "Nina.Nurse", "displayName": "Nina Nurse",
        "roles": [{ "role": "nurse", "branches": [branch] }],
    });
    let made = work
        .step(
            "make a user",
            Call::post(format!("{API}/users")).json(&user),
        )
        .await;
    let at = format!(
        "{API}/users/{}",
        made.json()["user"]["id"].as_str().unwrap()
    );
    let carer = json!({ "roles": [{ "role": "carer" }] });
    work.step("disable the user", Call::post(format!("{at}/disable")))
        .await;
    work.step("enable the user", Call::post(format!("{at}/enable")))
        .await;
    work.step("other roles", Call::put(format!("{at}/roles")).json(&carer))
        .await;
    work.step("unlock", Call::post(format!("{at}/unlock")))
        .await;
    work.step(
        "reset the second step",
        Call::post(format!("{at}/reset-second-step")),
    )
    .await;
    work.step(
        "reset the password",
        Call::post(format!("{at}/reset-password")),
    )
    .await;
    work.step("the user", Call::get(&at)).await;
    work.step(
        "close the branch",
        Call::post(format!("{API}/branches/{branch}/close")),
    )
    .await;
    insta::assert_snapshot!(work.transcript.finish());
}

#[tokio::test]
async fn clients_and_tokens_are_run_by_program() {
    let server = TestServer::start().await;
    let mut work = Work::begin(&server).await;
    let key = |kid: &str| json!({ "kid": kid, "alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) });
    let client = json!({
        "name": "Laboratory", "roles": [{ "role": "integration-service" }],
        "scopes": [{ "types": ["Observation"], "interactions": "rsc" }], "operations": ["verify-ledger"],
        "keys": [key("k1")],
    });
    let client = work
        .step(
            "make a client",
            Call::post(format!("{API}/clients")).json(&client),
        )
        .await
        .id();
    let at = format!("{API}/clients/{client}");
    let narrow = json!({ "scopes": [{ "interactions": "r" }] });
    work.step(
        "narrow the client",
        Call::put(format!("{at}/scopes")).json(&narrow),
    )
    .await;
    let keys = json!({ "keys": [key("k2"), key("k2")] });
    work.step(
        "the same key twice",
        Call::put(format!("{at}/keys")).json(&keys),
    )
    .await;
    let token = json!({ "name": "laboratory", "client": client, "days": 30, "scopes": [{ "types": ["Observation"], "interactions": "r" }] });
    let made = work
        .step(
            "make a token",
            Call::post(format!("{API}/tokens")).json(&token),
        )
        .await;
    let token = format!(
        "{API}/tokens/{}",
        made.json()["token"]["id"].as_str().unwrap()
    );
    work.step("tokens", Call::get(format!("{API}/tokens")))
        .await;
    work.step("revoke the token", Call::delete(&token)).await;
    work.step("revoke it again", Call::delete(&token)).await;
    work.step("disable the client", Call::post(format!("{at}/disable")))
        .await;
    insta::assert_snapshot!(work.transcript.finish());
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

/// Bodies that are refused: heading, address, body.
fn bad_bodies(own: &str) -> Vec<(&'static str, &'static str, String)> {
    let long = "x".repeat(200);
    vec![
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
        ("a token for both", "tokens", json!({ "name": "A", "days": 1, "user": own, "client": own }).to_string()),
        ("a token for ever", "tokens", json!({ "name": "A", "days": 731, "user": own }).to_string()),
        ("a token for somebody else", "tokens", json!({ "name": "A", "days": 1, "user": "00000000-0000-4000-8000-000000000000" }).to_string()),
        ("an id that is none", "tokens", json!({ "name": "A", "days": 1, "user": "me" }).to_string()),
        ("depth 1000", "users", format!("{}{}", "[".repeat(1000), "]".repeat(1000))),
    ]
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
    let mut transcript = Transcript::default();
    for (heading, path, body) in bad_bodies(&own.to_string()) {
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
    for (zone, status, shown) in [
        (json!("asia/kolkata"), 200, json!("Asia/Kolkata")),
        (json!("Mars/Base"), 422, json!(null)),
        (json!(null), 200, json!(null)),
    ] {
        let change = Call::put("/operator/api/v1/tenants/lakeside/time-zone");
        let change = change.json(&json!({ "timeZone": zone })).bearer(&operator);
        let answer = server.send(change).await.expect(status).json();
        assert_eq!(answer["timeZone"], shown, "{answer}");
    }
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
        // FHIR, and the files of its bulk exports, have the CapabilityStatement.
        .filter(|route| !route.path.contains("/fhir") && !route.path.contains("/bulk/"))
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
