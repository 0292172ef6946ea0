//! Two tenants with the same ids and different canaries: nothing that one is told, by any route, token,
//! id, cursor or proof, has a byte of the other's; and what is another's answers as what is not there.

use std::collections::BTreeMap;

use identity::{Interaction, Role};
use serde_json::{Value, json};

use crate::conversation::next_link;
use crate::finding::example;
use crate::server::{Answer, Call, LAKESIDE, ROSEWOOD, TestServer};

/// What one tenant has that the other must never see.
struct Twin {
    canary: &'static str,
    program: String,
    administrator: String,
    auditor: String,
    doctor: String,
    ids: BTreeMap<&'static str, String>,
}

async fn twin(server: &TestServer, tenant: &'static str, canary: &'static str) -> Twin {
    let mut twin = Twin {
        canary,
        program: server
            .program_with(tenant, "feed", &[Interaction::VerifyLedger])
            .await,
        administrator: server.person(tenant, Role::Administrator).await,
        auditor: server.person(tenant, Role::Auditor).await,
        doctor: server.person(tenant, Role::Doctor).await,
        ids: BTreeMap::new(),
    };
    record(server, tenant, &twin).await;
    let api = format!("/t/{tenant}/api/v1");
    let makes: [(&str, Value); 4] = [
        ("branches", json!({ "name": canary, "kind": "ward" })),
        (
            "users",
            json!({ "signInName": format!("{canary}.user"), "displayName": canary, "roles": [{ "role": "nurse" }] }),
        ),
        (
            "clients",
            json!({ "name": canary, "roles": [{ "role": "integration-service" }] }),
        ),
        (
            "break-glass",
            json!({ "patient": "same", "reason": "urgent-care", "text": format!("{canary} needs care") }),
        ),
    ];
    for (kind, body) in makes {
        let who = if kind == "break-glass" {
            &twin.doctor
        } else {
            &twin.administrator
        };
        let id = make(server, &format!("{api}/{kind}"), who, &body).await;
        twin.ids.insert(kind, id);
    }
    let more = [
        (
            "tokens",
            json!({ "name": canary, "client": twin.ids["clients"], "days": 3 }),
        ),
        (
            "relationships",
            json!({ "user": twin.ids["users"], "patient": "same", "kind": "referral" }),
        ),
    ];
    for (kind, body) in more {
        let id = make(server, &format!("{api}/{kind}"), &twin.administrator, &body).await;
        twin.ids.insert(kind, id);
    }
    twin
}

/// Makes a thing of the house; its id.
async fn make(server: &TestServer, address: &str, who: &str, body: &Value) -> String {
    let made = server
        .send(Call::post(address).bearer(who).json(body))
        .await
        .expect(201)
        .json();
    let ids = [&made["id"], &made["user"]["id"], &made["token"]["id"]];
    ids.into_iter().find_map(Value::as_str).unwrap().to_owned()
}

/// Two patients with an observation each, in two versions, looked at.
async fn record(server: &TestServer, tenant: &str, twin: &Twin) {
    let canary = twin.canary;
    for id in ["same", &format!("only-{tenant}")] {
        let patient = json!({
            "resourceType": "Patient", "id": id, "birthDate": "1950-01-01",
            "name": [{ "family": canary }], "identifier": [{ "system": "urn:mrn", "value": canary }],
        });
        let observation = json!({
            "resourceType": "Observation", "id": id, "status": "final", "code": { "text": canary },
            "subject": { "reference": format!("Patient/{id}") }, "valueString": canary,
        });
        for (ty, mut body) in [("Patient", patient), ("Observation", observation)] {
            let at = format!("/t/{tenant}/fhir/{ty}/{id}");
            server
                .send(Call::put(&at).bearer(&twin.program).json(&body))
                .await
                .expect(201);
            body["language"] = json!("en");
            server
                .send(Call::put(&at).bearer(&twin.program).json(&body))
                .await
                .expect(200);
            server
                .send(Call::get(&at).bearer(&twin.program))
                .await
                .expect(200);
        }
    }
}

async fn twins() -> (TestServer, Twin, Twin) {
    let server = TestServer::start().await;
    let ours = twin(&server, ROSEWOOD, "canary-rosewood-4711").await;
    let theirs = twin(&server, LAKESIDE, "canary-lakeside-0815").await;
    (server, ours, theirs)
}

/// Everything that a query can find, and what it refers to.
const GRAPHQL: &str = "{ PatientList { id name { family } } ObservationList { id valueString subject { resource(optional: true) { ... on Patient { id name { family } } } } } theirs: Patient(id: \"only-lakeside\") { name { family } } }";

/// A body that suits a route, holding nobody's canary.
fn body(path: &str) -> Value {
    match path.rsplit('/').next().unwrap_or_default() {
        "fhir" | "" => json!({ "resourceType": "Bundle", "type": "batch", "entry": [
            { "request": { "method": "GET", "url": "Patient" } },
            { "request": { "method": "GET", "url": "Patient/only-lakeside" } },
            { "request": { "method": "GET", "url": "_history" } },
        ]}),
        "$graphql" => json!({ "query": GRAPHQL }),
        "$export" | "$medication-check" => json!({ "resourceType": "Parameters" }),
        "users" => {
            json!({ "signInName": "new.one", "displayName": "New", "roles": [{ "role": "nurse" }] })
        }
        "roles" => json!({ "roles": [{ "role": "carer" }] }),
        "branches" => json!({ "name": "New", "kind": "ward" }),
        "clients" => json!({ "name": "New", "roles": [{ "role": "integration-service" }] }),
        "$merge" => json!({ "resourceType": "Parameters", "parameter": [
            { "name": "source-patient", "valueReference": { "reference": "Patient/only-lakeside" } },
            { "name": "target-patient", "valueReference": { "reference": "Patient/same" } },
        ]}),
        "$match" => json!({ "resourceType": "Patient", "birthDate": "1950-01-01" }),
        "$give" => json!({ "resourceType": "Parameters", "parameter": [
            { "name": "outcome", "valueCode": "given" },
        ]}),
        "$prescribe" => {
            json!({ "resourceType": "MedicationRequest", "status": "active", "intent": "order",
            "subject": { "reference": "Patient/only-lakeside" }, "medicationCodeableConcept": { "text": "Ramipril" },
            "dosageInstruction": [{ "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
                "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "capsule" } }] }] })
        }
        "$meta-add" | "$meta-delete" => {
            json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta", "valueMeta": { "tag": [{ "code": "x" }] } }] })
        }
        "scopes" => json!({ "scopes": [] }),
        "keys" => json!({ "keys": [] }),
        "tokens" => {
            json!({ "name": "New", "user": "00000000-0000-4000-8000-000000000000", "days": 1 })
        }
        "relationships" => {
            json!({ "user": "00000000-0000-4000-8000-000000000000", "patient": "same", "kind": "cover" })
        }
        "break-glass" => {
            json!({ "patient": "same", "reason": "other", "text": "a reason in words" })
        }
        "review" => json!({ "outcome": "justified" }),
        "replay" | "tenants" => json!({}),
        "erase" => json!({ "reason": "test" }),
        "$run" | "$viewdefinition-run" => crate::views::names(),
        _ => json!({ "resourceType": "Patient", "id": "same" }),
    }
}

/// An address of the table with its parameters filled in.
fn filled(path: &str, tenant: &str, id: &str) -> String {
    path.replace("{tenant}", tenant)
        .replace("{type}", "Patient")
        .replace("{version}", "1")
        .replace("{member}", "Observation")
        .replace("{log}", "changes")
        .replace("{*path}", "0/000.p/1")
        .replace("{slug}", tenant)
        .replace("{job}", "00000000-0000-4000-8000-000000000000")
        .replace("{file}", "1")
        .replace("{id}", id)
}

/// Which id of a tenant a route's `{id}` means.
fn id_for<'t>(path: &str, twin: &'t Twin) -> &'t str {
    let kind = path
        .split("/api/v1/")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default();
    twin.ids.get(kind).map_or("same", String::as_str)
}

fn queries(path: &str) -> &'static [&'static str] {
    if path.ends_with("/proof") {
        &["?index=1"]
    } else if path.ends_with("/$lastn") {
        &["?patient=same", "?patient=only-lakeside"]
    } else if path.ends_with("/$graphql") {
        &["?query=%7Bid%20PatientList(_reference:link)%7Bname%7Bfamily%7D%7D%7D"]
    } else if path.ends_with("/consistency") {
        &["?from=1"]
    } else if path.ends_with("/entries") {
        &["", "?log=access", "?actor=canary"]
    } else {
        &[""]
    }
}

fn call(method: &str, path: &str, address: String) -> Call {
    let call = Call::new(method, address);
    match method {
        "POST" if path.ends_with("_search") => call.form("birthdate=1950-01-01"),
        "POST" if path.ends_with("/token") => call.form("grant_type=client_credentials"),
        "POST" | "PUT" => call.json(&body(path)),
        "PATCH" => call.patch(&json!([{ "op": "add", "path": "/active", "value": true }])),
        _ => call,
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one walk, told in one piece")]
async fn no_route_tells_one_tenant_of_the_other() {
    let (server, ours, theirs) = twins().await;
    let mut seen_own = 0;
    let mut leaks = Vec::new();
    let tokens = [
        &ours.program,
        &ours.administrator,
        &ours.auditor,
        &ours.doctor,
    ];
    for route in http_edge::table() {
        for token in tokens {
            let mut addresses = Vec::new();
            for query in queries(route.path) {
                // Ours with our ids, ours with their ids, theirs with their ids.
                for (tenant, twin) in [(ROSEWOOD, &ours), (ROSEWOOD, &theirs), (LAKESIDE, &theirs)]
                {
                    let address = filled(route.path, tenant, id_for(route.path, twin));
                    addresses.push((tenant, format!("{address}{query}")));
                }
                addresses.push((
                    ROSEWOOD,
                    format!("{}{query}", filled(route.path, ROSEWOOD, "only-lakeside")),
                ));
            }
            for (tenant, address) in addresses {
                // Erasing or disabling the twins themselves would end the walk early.
                let spoils =
                    tenant == ROSEWOOD && (route.method == "DELETE" || address.ends_with("/erase"));
                if spoils {
                    continue;
                }
                let answer = server
                    .send(call(route.method, route.path, address.clone()).bearer(token))
                    .await;
                let all = answer.everything();
                if all.contains(theirs.canary) {
                    leaks.push(format!("{} {address}: {all}", route.method));
                }
                seen_own += usize::from(all.contains(ours.canary));
                let signed_out_of = tenant == LAKESIDE
                    && route.path.contains("{tenant}")
                    && !route.path.ends_with("/metadata")
                    // Public where switched on, and what browsers ask beforehand: neither knows a token.
                    && route.path != "/t/{tenant}/cds-services"
                    && route.method != "OPTIONS";
                if signed_out_of {
                    assert!(
                        matches!(answer.status.as_u16(), 400 | 401),
                        "{} {address}: {all}",
                        route.method
                    );
                }
                assert!(
                    answer.status.as_u16() < 500,
                    "{} {address}: {all}",
                    route.method
                );
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(
        seen_own > 20,
        "the walk saw its own canary only {seen_own} times: it looks at nothing"
    );
}

#[tokio::test]
async fn no_search_parameter_reaches_the_other_tenant() {
    let (server, ours, theirs) = twins().await;
    let statement = server
        .send(Call::get("/t/rosewood/fhir/metadata"))
        .await
        .expect(200)
        .json();
    let mut asked = 0;
    for resource in statement["rest"][0]["resource"].as_array().unwrap() {
        let ty = resource["type"].as_str().unwrap();
        if !matches!(ty, "Patient" | "Observation") {
            continue;
        }
        for param in resource["searchParam"].as_array().unwrap() {
            let (name, kind) = (
                param["name"].as_str().unwrap(),
                param["type"].as_str().unwrap(),
            );
            let canary = theirs.canary;
            let values = match kind {
                "string" => vec![
                    format!("{name}={canary}"),
                    format!("{name}:contains={canary}"),
                    format!("{name}:exact={canary}"),
                ],
                "token" => vec![
                    format!("{name}={canary}"),
                    format!("{name}=urn:mrn%7C{canary}"),
                    format!("{name}:not=x"),
                ],
                "reference" => vec![
                    format!("{name}=Patient/only-lakeside"),
                    format!(
                        "{name}=https://records.example.org/t/lakeside/fhir/Patient/only-lakeside"
                    ),
                ],
                kind => vec![
                    format!("{name}={}", example(kind)),
                    format!("{name}=ne{}", example(kind)),
                ],
            };
            for query in values.into_iter().chain([
                format!("{name}:missing=true"),
                format!("{name}:missing=false"),
            ]) {
                let answer = server
                    .send_now(
                        Call::get(format!("/t/rosewood/fhir/{ty}?{query}")).bearer(&ours.program),
                    )
                    .await;
                asked += 1;
                // The address asked for comes back in the self link: only what is found counts.
                let found = answer.status == 200
                    && answer.json()["entry"].to_string().contains(theirs.canary);
                assert!(!found, "{query}: {}", answer.text());
                let foreign = answer.status == 200
                    && answer.json()["entry"].to_string().contains("only-lakeside");
                assert!(!foreign, "{query}: {}", answer.text());
            }
        }
    }
    assert!(asked > 200, "{asked}");
}

/// An answer without what differs from request to request.
pub fn plain(answer: &Answer, id: &str) -> String {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    let mut body = answer.text().replace(id, "<id>");
    if let Ok(mut json) = serde_json::from_slice::<Value>(body.as_bytes()) {
        // Looking adds an entry: the log's size and signature move with every request.
        for moving in ["instance", "size", "checkpoint"] {
            if let Some(value) = json.get_mut(moving) {
                *value = Value::Null;
            }
        }
        body = json.to_string();
    }
    headers.remove("content-length");
    format!("{} {headers:?} {body}", answer.status)
}

#[tokio::test]
async fn what_is_anothers_answers_as_what_is_not_there() {
    let (server, ours, theirs) = twins().await;
    let mut compared = 0;
    for route in http_edge::table()
        .into_iter()
        .filter(|route| route.path.contains("{id}"))
    {
        for token in [
            &ours.program,
            &ours.administrator,
            &ours.auditor,
            &ours.doctor,
        ] {
            let foreign = match id_for(route.path, &theirs) {
                "same" => "only-lakeside",
                id => id,
            };
            let missing = if foreign == "only-lakeside" {
                "only-nowhere-"
            } else {
                "11111111-1111-4111-8111-111111111111"
            };
            let ask = |id: &str| {
                let answer = call(route.method, route.path, filled(route.path, ROSEWOOD, id));
                server.send_now(
                    match (route.method, route.interaction) {
                        // An update creates; with a version it must be there already.
                        ("PUT", "update") => answer
                            .header("if-match", "W/\"1\"")
                            .json(&json!({ "resourceType": "Patient", "id": id })),
                        _ => answer,
                    }
                    .bearer(token),
                )
            };
            let (theirs, nobodys) = (ask(foreign).await, ask(missing).await);
            assert_eq!(
                plain(&theirs, foreign),
                plain(&nobodys, missing),
                "{} {}",
                route.method,
                route.path
            );
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}

#[tokio::test]
async fn a_tenant_that_is_not_there_answers_as_one_that_is() {
    let (server, ours, _) = twins().await;
    for route in http_edge::table()
        .into_iter()
        .filter(|route| route.path.contains("{tenant}"))
    {
        let ask = |tenant: &'static str| {
            let address = filled(route.path, tenant, "00000000-0000-4000-8000-000000000000");
            server.send_now(call(route.method, route.path, address).bearer(&ours.program))
        };
        let (there, missing) = (ask(LAKESIDE).await, ask("lakesidf").await);
        let (there, missing) = (plain(&there, LAKESIDE), plain(&missing, "lakesidf"));
        assert_eq!(there, missing, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn links_of_one_tenant_are_nothing_in_the_other() {
    let (server, ours, theirs) = twins().await;
    for list in [
        "Patient/same/$everything?_count=1",
        "Patient?_count=1",
        "Observation?_count=1&_sort=_lastUpdated",
        "Patient/_history?_count=1",
        "Patient/same/_history?_count=1",
        "_history?_count=1",
    ] {
        let page = server
            .send(Call::get(format!("/t/lakeside/fhir/{list}")).bearer(&theirs.program))
            .await
            .expect(200);
        let next = next_link(&page.json()).unwrap_or_else(|| panic!("{list}: {}", page.text()));
        let stolen = server
            .send(Call::get(&next).bearer(&ours.program))
            .await
            .expect(401);
        assert!(!stolen.everything().contains(theirs.canary));
        let moved = next.replace("/t/lakeside/", "/t/rosewood/");
        let moved = server
            .send(Call::get(moved).bearer(&ours.program))
            .await
            .expect(400);
        assert!(!moved.everything().contains(theirs.canary));
    }
}
