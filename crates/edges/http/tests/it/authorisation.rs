//! The golden list: every route, what it answers to nobody, to a role that may not, and to one that may.
//! A route that is not in the list fails the test, as does one that lets the wrong people in.

use std::collections::BTreeMap;

use identity::{Interaction, Role};
use serde_json::json;

use crate::server::{Call, ROSEWOOD, TestServer};

/// Somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Program,
    Person(Role),
    InstanceOperator,
}

const ADMINISTRATOR: Who = Who::Person(Role::Administrator);
const DOCTOR: Who = Who::Person(Role::Doctor);
const AUDITOR: Who = Who::Person(Role::Auditor);
const RECEPTIONIST: Who = Who::Person(Role::Receptionist);

/// A route, somebody who may not with the answer, and somebody who may with the answer.
type Row = (
    &'static str,
    &'static str,
    Option<(Who, u16)>,
    Option<(Who, u16)>,
);

/// Questions about terminology: every role of the tenant may ask; what is asked here is not complete.
const fn asks_terms(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((Who::InstanceOperator, 401)),
        Some((RECEPTIONIST, status)),
    )
}

/// `None` where everybody may, or nobody is asked.
const GOLDEN: &[Row] = &[
    (
        "POST",
        "/t/{tenant}/fhir",
        Some((ADMINISTRATOR, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/",
        Some((ADMINISTRATOR, 403)),
        Some((Who::Program, 200)),
    ),
    ("GET", "/t/{tenant}/fhir/metadata", None, None),
    (
        "POST",
        "/t/{tenant}/fhir/$viewdefinition-run",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/ViewDefinition/$run",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/_history",
        Some((ADMINISTRATOR, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 201)),
    ),
    (
        "PUT",
        "/t/{tenant}/fhir/{type}",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 201)),
    ),
    (
        "PATCH",
        "/t/{tenant}/fhir/{type}",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "DELETE",
        "/t/{tenant}/fhir/{type}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 204)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/_search",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/_history",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "PUT",
        "/t/{tenant}/fhir/{type}/{id}",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "PATCH",
        "/t/{tenant}/fhir/{type}/{id}",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/_history",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/_history/{version}",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    ("GET", "/t/{tenant}/fhir", None, Some((DOCTOR, 200))),
    ("GET", "/t/{tenant}/fhir/", None, Some((DOCTOR, 200))),
    (
        "POST",
        "/t/{tenant}/fhir/_search",
        None,
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/{member}",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/{id}/{member}/_search",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/$validate",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/{id}/$validate",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/$validate",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Patient/{id}/$everything",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Patient/{id}/$everything",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Encounter/{id}/$everything",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Encounter/{id}/$everything",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Observation/$lastn",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Observation/$lastn",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Composition/{id}/$document",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Composition/{id}/$document",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/$meta",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/_history/{version}/$meta",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/{id}/$meta-add",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/{id}/$meta-delete",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Patient/$match",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Patient/$merge",
        Some((RECEPTIONIST, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/$export",
        Some((DOCTOR, 403)),
        Some((Who::Program, 202)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/$export",
        Some((DOCTOR, 403)),
        Some((Who::Program, 202)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Patient/$export",
        Some((DOCTOR, 403)),
        Some((Who::Program, 202)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Patient/$export",
        Some((DOCTOR, 403)),
        Some((Who::Program, 202)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Group/{id}/$export",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Group/{id}/$export",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/$import",
        Some((DOCTOR, 403)),
        Some((Who::Program, 202)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/$graphql",
        None,
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/$graphql",
        None,
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/$graphql",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/{id}/$graphql",
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/bulk/{job}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "DELETE",
        "/t/{tenant}/bulk/{job}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/bulk/{job}/{file}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/$explain",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/checkpoint",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/tile/{*path}",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/proof",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/consistency",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/patient/{id}",
        Some((ADMINISTRATOR, 403)),
        Some((AUDITOR, 200)),
    ),
    ("GET", "/api/openapi.json", None, None),
    (
        "GET",
        "/t/{tenant}/api/v1/me",
        None,
        Some((RECEPTIONIST, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/audit/entries",
        Some((ADMINISTRATOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/audit/patients/{id}",
        Some((ADMINISTRATOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/branches",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/branches",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/branches/{id}/close",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/branches/{id}/open",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/users",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/users/{id}",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/disable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/enable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "PUT",
        "/t/{tenant}/api/v1/users/{id}/roles",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/reset-password",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/unlock",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/reset-second-step",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/relationships",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/relationships",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/relationships/{id}/end",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/clients",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/clients",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/clients/{id}/disable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/clients/{id}/enable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "PUT",
        "/t/{tenant}/api/v1/clients/{id}/scopes",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "PUT",
        "/t/{tenant}/api/v1/clients/{id}/keys",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/tokens",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/tokens",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "DELETE",
        "/t/{tenant}/api/v1/tokens/{id}",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 204)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/break-glass",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/break-glass",
        Some((RECEPTIONIST, 403)),
        Some((DOCTOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/break-glass/{id}/review",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/break-glass/{id}/end",
        Some((AUDITOR, 404)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/patients/{id}/erase",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "DELETE",
        "/t/{tenant}/fhir/{type}/{id}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 204)),
    ),
    (
        "GET",
        "/operator/api/v1/tenants",
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 200)),
    ),
    (
        "POST",
        "/operator/api/v1/tenants",
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 201)),
    ),
    (
        "PUT",
        "/operator/api/v1/tenants/{slug}/state",
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 200)),
    ),
    (
        "PUT",
        "/operator/api/v1/tenants/{slug}/time-zone",
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 200)),
    ),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/$lookup", 400),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/$lookup", 400),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/$validate-code", 400),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/$validate-code", 400),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/$subsumes", 400),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/$subsumes", 400),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/$expand", 400),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/$expand", 400),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/$validate-code", 400),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/$validate-code", 400),
    asks_terms("GET", "/t/{tenant}/fhir/ConceptMap/$translate", 400),
    asks_terms("POST", "/t/{tenant}/fhir/ConceptMap/$translate", 400),
    asks_terms(
        "GET",
        "/t/{tenant}/fhir/CodeSystem/{id}/$validate-code",
        404,
    ),
    asks_terms(
        "POST",
        "/t/{tenant}/fhir/CodeSystem/{id}/$validate-code",
        404,
    ),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/{id}/$subsumes", 404),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/{id}/$subsumes", 404),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/{id}/$expand", 404),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/{id}/$expand", 404),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/{id}/$validate-code", 404),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/{id}/$validate-code", 404),
    asks_terms("GET", "/t/{tenant}/fhir/ConceptMap/{id}/$translate", 404),
    asks_terms("POST", "/t/{tenant}/fhir/ConceptMap/{id}/$translate", 404),
    asks_terms("POST", "/t/{tenant}/fhir/$closure", 400),
    (
        "PUT",
        "/operator/api/v1/tenants/{slug}/references",
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/{id}/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/{id}/$events",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/$get-ws-binding-token",
        Some((DOCTOR, 400)),
        Some((Who::Program, 400)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/{id}/$get-ws-binding-token",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/{id}/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/{id}/$events",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/$get-ws-binding-token",
        Some((DOCTOR, 400)),
        Some((Who::Program, 400)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/{id}/$get-ws-binding-token",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/$subscriptions-websocket",
        None,
        Some((Who::Program, 400)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/subscriptions",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/subscriptions/{id}/deliveries",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/subscriptions/{id}/replay",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/subscriptions/{id}/signing-key",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 404)),
    ),
    ("POST", "/t/{tenant}/token", None, None),
    ("GET", "/healthz", None, None),
    ("GET", "/readyz", None, None),
    ("GET", "/metrics", None, None),
];

#[test]
fn every_route_is_in_the_golden_list() {
    let mut routes: Vec<(&str, &str)> = http_edge::table()
        .iter()
        .map(|route| (route.method, route.path))
        .collect();
    let mut golden: Vec<(&str, &str)> = GOLDEN
        .iter()
        .map(|(method, path, ..)| (*method, *path))
        .collect();
    routes.sort_unstable();
    golden.sort_unstable();
    assert_eq!(routes, golden);
}

struct House {
    server: TestServer,
    tokens: BTreeMap<Who, String>,
    ids: BTreeMap<&'static str, String>,
}

async fn house() -> House {
    let server = TestServer::start_with(|settings| settings.bulk.jobs = 20).await;
    let mut tokens = BTreeMap::new();
    tokens.insert(
        Who::Program,
        server
            .program_with(
                ROSEWOOD,
                "feed",
                &[
                    Interaction::VerifyLedger,
                    Interaction::Export,
                    Interaction::Import,
                ],
            )
            .await,
    );
    for role in [
        Role::Administrator,
        Role::Doctor,
        Role::Auditor,
        Role::Receptionist,
    ] {
        tokens.insert(Who::Person(role), server.person(ROSEWOOD, role).await);
    }
    tokens.insert(
        Who::InstanceOperator,
        server.person("instance", Role::Operator).await,
    );
    for id in ["a", "b"] {
        let patient = json!({ "resourceType": "Patient", "id": id });
        let call =
            Call::put(format!("/t/rosewood/fhir/Patient/{id}")).bearer(&tokens[&Who::Program]);
        server.send(call.json(&patient)).await.expect(201);
    }
    let about = json!({ "reference": "Patient/a" });
    for resource in [
        json!({ "resourceType": "Encounter", "id": "a", "status": "planned", "class": { "code": "AMB" }, "subject": about }),
        json!({ "resourceType": "Composition", "id": "a", "status": "final", "type": { "text": "x" }, "title": "x",
            "date": "2026-01-01", "subject": about, "author": [about] }),
    ] {
        server
            .put(ROSEWOOD, &tokens[&Who::Program], &resource)
            .await;
    }
    House {
        server,
        tokens,
        ids: BTreeMap::from([
            ("fhir", "a".to_owned()),
            ("audit", "a".to_owned()),
            ("patients", "b".to_owned()),
        ]),
    }
}

impl House {
    fn call(&self, method: &str, path: &str) -> Call {
        let kind = path
            .split("/v1/")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .unwrap_or("fhir");
        let unmade = "00000000-0000-4000-8000-000000000000".to_owned();
        let id = self.ids.get(kind).unwrap_or(&unmade);
        let mut address = path
            .replace("{tenant}", ROSEWOOD)
            .replace("{type}", "Patient")
            .replace("{version}", "1")
            .replace("{member}", "Observation")
            .replace("{log}", "changes")
            .replace("{*path}", "0/000.p/1")
            .replace("{slug}", "lakeside")
            .replace("{job}", &unmade)
            .replace("{file}", "1")
            .replace("{id}", id);
        if path.ends_with("/{type}") && matches!(method, "PUT" | "PATCH" | "DELETE") {
            address.push_str("?identifier=urn:mrn%7Cconditional");
        }
        if path.ends_with("/$lastn") {
            address.push_str("?patient=a");
        }
        if path.ends_with("/$graphql") {
            address.push_str("?query=%7B__typename%7D");
        }
        if path.ends_with("/proof") {
            address.push_str("?index=1");
        }
        if path.ends_with("/consistency") {
            address.push_str("?from=1");
        }
        let call = Call::new(method, address);
        match method {
            "POST" if path.ends_with("_search") => call.form(""),
            "POST" if path.ends_with("/token") => call.form("grant_type=client_credentials"),
            "POST" | "PUT" => call.json(&self.body(method, path)),
            "PATCH" => call.patch(&json!([{ "op": "add", "path": "/active", "value": true }])),
            _ => call,
        }
    }

    fn body(&self, method: &str, path: &str) -> serde_json::Value {
        match path.rsplit('/').next().unwrap_or_default() {
            "fhir" | "" => json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
                { "resource": { "resourceType": "Patient" }, "request": { "method": "POST", "url": "Patient" } },
            ]}),
            "$merge" => json!({ "resourceType": "Parameters", "parameter": [
                { "name": "source-patient", "valueReference": { "reference": "Patient/a" } },
                { "name": "target-patient", "valueReference": { "reference": "Patient/b" } },
                { "name": "preview", "valueBoolean": true },
            ]}),
            "$everything" | "$lastn" | "$document" => json!({ "resourceType": "Parameters" }),
            "$meta-add" | "$meta-delete" => {
                json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta", "valueMeta": { "tag": [{ "code": "x" }] } }] })
            }
            "$graphql" => json!({ "query": "{ __typename }" }),
            "$validate" | "$match" => json!({ "resourceType": "Patient", "id": "a" }),
            "$export" => json!({ "resourceType": "Parameters" }),
            "$import" => json!({ "resourceType": "Parameters", "parameter": [
                { "name": "input", "part": [{ "name": "data", "valueString": "" }] },
            ]}),
            "users" => {
                json!({ "signInName": "new.one", "displayName": "New", "roles": [{ "role": "nurse" }], "password": "quiet otter under 7 ferns" })
            }
            "roles" => json!({ "roles": [{ "role": "carer" }] }),
            "branches" => json!({ "name": "New", "kind": "ward" }),
            "clients" => json!({ "name": "New", "roles": [{ "role": "integration-service" }] }),
            "scopes" => json!({ "scopes": [{ "types": ["Patient"], "interactions": "rs" }] }),
            "keys" => json!({ "keys": [] }),
            "tokens" => json!({ "name": "New", "client": self.ids.get("clients"), "days": 1 }),
            "relationships" => {
                json!({ "user": self.ids.get("users"), "patient": "a", "kind": "cover" })
            }
            "break-glass" => {
                json!({ "patient": "a", "reason": "other", "text": "a reason in words" })
            }
            "review" => json!({ "outcome": "justified", "note": "seen" }),
            "references" => json!({ "references": "off" }),
            "replay" => json!({}),
            "time-zone" => json!({ "timeZone": "Europe/London" }),
            "erase" => json!({ "reason": "test" }),
            "$run" | "$viewdefinition-run" => crate::views::names(),
            "tenants" => json!({
                "slug": "hillside", "name": "Hillside", "placement": { "kind": "file" }, "region": "on-premises",
                "administrator": { "signInName": "admin", "displayName": "Ada", "password": "quiet otter under 7 ferns" },
            }),
            "state" => json!({ "state": "suspended" }),
            operation if operation.starts_with('$') => json!({ "resourceType": "Parameters" }),
            "{type}" if method == "PUT" => {
                json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": "conditional" }] })
            }
            "{type}" => json!({ "resourceType": "Patient" }),
            _ => json!({ "resourceType": "Patient", "id": "a" }),
        }
    }
}

#[tokio::test]
async fn the_golden_list_holds() {
    let mut house = house().await;
    let mut wrong = Vec::new();
    for (method, path, denied, allowed) in GOLDEN {
        let nobody = house.server.send(house.call(method, path)).await;
        let is_open = denied.is_none() && allowed.is_none();
        if is_open && path.ends_with("/token") {
            assert_eq!(nobody.status, 400, "{path}");
        } else if is_open {
            assert_eq!(nobody.status, 200, "{path}");
        } else if nobody.status != 401 {
            wrong.push(format!("{method} {path}: {} to nobody", nobody.status));
        }
        if let Some((who, status)) = denied {
            let answer = house
                .server
                .send(house.call(method, path).bearer(&house.tokens[who]))
                .await;
            if answer.status != *status {
                wrong.push(format!(
                    "{method} {path}: {} to {who:?}, who may not: {}",
                    answer.status,
                    answer.text()
                ));
            }
        }
        if let Some((who, status)) = allowed {
            let answer = house
                .server
                .send(house.call(method, path).bearer(&house.tokens[who]))
                .await;
            if answer.status != *status {
                wrong.push(format!(
                    "{method} {path}: {} to {who:?}, who may: {}",
                    answer.status,
                    answer.text()
                ));
                continue;
            }
            let made = *method == "POST"
                && answer.status == 201
                && path.contains("/v1/")
                && !path.starts_with("/operator");
            if made {
                let made = answer.json();
                let id = made["id"]
                    .as_str()
                    .or(made["user"]["id"].as_str())
                    .or(made["token"]["id"].as_str());
                let kind = path.rsplit('/').next().unwrap();
                house.ids.insert(kind, id.unwrap().to_owned());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn refusals_are_in_the_ledger() {
    let house = house().await;
    let answer = house
        .server
        .send(Call::get("/t/rosewood/fhir/Patient/a").bearer(&house.tokens[&ADMINISTRATOR]))
        .await
        .expect(403);
    assert_eq!(answer.first_issue().0, "forbidden");
    let address = "/t/rosewood/api/v1/audit/entries?log=access&outcome=denied";
    let page = house
        .server
        .send(Call::get(address).bearer(&house.tokens[&AUDITOR]))
        .await
        .expect(200)
        .json();
    assert_eq!(page["entries"][0]["class"], "read", "{page}");
    assert_eq!(page["entries"][0]["outcome"], "denied", "{page}");
}
