//! The golden list: every route, what it answers to nobody, to a role that may not, and to one that may.
//! A route that is not in the list fails the test, as does one that lets the wrong people in.

use std::collections::BTreeMap;

use identity::{Interaction, Role};
use serde_json::json;

use crate::golden::{ADMINISTRATOR, AUDITOR, GOLDEN, Who};
use crate::server::{Call, ROSEWOOD, TestServer};

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

#[expect(clippy::too_many_lines, reason = "everything that some route asks for")]
async fn house() -> House {
    use Role::{Administrator, Auditor, Doctor, Receptionist};
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
                    Interaction::Merge,
                    Interaction::MoveStock,
                    Interaction::ManageStock,
                ],
            )
            .await,
    );
    for role in [Administrator, Doctor, Auditor, Receptionist] {
        tokens.insert(Who::Person(role), server.person(ROSEWOOD, role).await);
    }
    tokens.insert(
        Who::InstanceOperator,
        server.person("instance", Role::Operator).await,
    );
    let on = json!({ "enabled": true, "keepDays": 90 });
    let hooks = Call::put("/t/rosewood/api/v1/cds-hooks").bearer(&tokens[&ADMINISTRATOR]);
    server.send(hooks.json(&on)).await.expect(200);
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
        json!({ "resourceType": "MedicationRequest", "id": "a", "status": "draft", "intent": "order", "subject": about,
            "medicationCodeableConcept": { "text": "x" } }),
        json!({ "resourceType": "MedicationAdministration", "id": "a", "status": "completed", "subject": about,
            "medicationCodeableConcept": { "text": "x" }, "effectiveDateTime": "2026-01-01" }),
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
            .replace("{incident}", &unmade)
            .replace("{file}", "1")
            .replace("{id}", id);
        if path.ends_with("/{type}") && matches!(method, "PUT" | "PATCH" | "DELETE") {
            address.push_str("?identifier=urn:mrn%7Cconditional");
        }
        if path.ends_with("/medicines/scan") {
            address.push_str("?text=2000000000107");
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

    #[expect(clippy::too_many_lines, reason = "a table of bodies")]
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
            "$prescribe" => {
                json!({ "resourceType": "MedicationRequest", "status": "active", "intent": "order",
                "subject": { "reference": "Patient/a" }, "medicationCodeableConcept": { "text": "Ramipril 5mg capsule" },
                "dosageInstruction": [{ "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
                    "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "capsule" } }] }] })
            }
            "$give" => json!({ "resourceType": "Parameters", "parameter": [
                { "name": "outcome", "valueCode": "given" },
            ]}),
            "$medicines-paper" => json!({ "resourceType": "Parameters", "parameter": [
                { "name": "kind", "valueCode": "capacity" },
                { "name": "finding", "valueCode": "has-capacity" },
            ]}),
            "$everything" | "$lastn" | "$document" | "$export" | "$medication-check"
            | "$countersign" => {
                json!({ "resourceType": "Parameters" })
            }
            "$meta-add" | "$meta-delete" => {
                json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta", "valueMeta": { "tag": [{ "code": "x" }] } }] })
            }
            "$graphql" => json!({ "query": "{ __typename }" }),
            "$validate" | "$match" => json!({ "resourceType": "Patient", "id": "a" }),
            "$import" => json!({ "resourceType": "Parameters", "parameter": [
                { "name": "input", "part": [{ "name": "data", "valueString": "" }] },
            ]}),
            "users" => {
                json!({ "signInName": "new.one", "displayName": "New", "roles": [{ "role": "nurse" }], "password": "quiet otter under 7 ferns" })
            }
            "rounds" => json!({ "device": "d1", "hours": 4, "clock": "2026-03-05T08:00:00Z" }),
            "return" => json!({ "signature": "x", "return": {
                "pack": self.ids.get("rounds"), "device": "d1", "records": [],
                "clocks": { "taken": { "server": 0, "device": 0 }, "back": { "server": 0, "device": 0 } },
            }}),
            "{id}" if path.contains("/rounds/effects/") => json!({ "effect": "helped" }),
            "roles" => json!({ "roles": [{ "role": "carer" }] }),
            "branches" => json!({ "name": "New", "kind": "ward" }),
            "cds-hooks" => json!({ "enabled": true, "keepDays": 90 }),
            "cds-clients" => crate::cds_hooks::registration(),
            "{id}" if path.contains("/cds-services/") && path.contains("/api/") => {
                json!({ "name": "x", "base": "https://cds.example.org", "service": "x",
                    "budgetMs": 500, "active": true })
            }
            "{id}" if path.contains("/cds-clients/") => crate::cds_hooks::registration(),
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
            "orders" => json!({ "kind": "direct", "partner": "none", "location": "a", "cycle": "x",
                "lines": [{ "code": "1", "quantity": "1" }] }),
            "cancel" if path.contains("/orders/") => json!({ "reason": "x" }),
            "plan" => {
                json!({ "mode": "off", "cap": "0", "currency": "GBP", "days": 28, "reserveDays": 7 })
            }
            "report" => json!({ "state": "acknowledged" }),
            "receive" => json!({ "note": "1", "things": [{ "label": "x", "quantity": "1" }] }),
            "catalogue" => json!([]),
            "{id}" if path.ends_with("/partners/{id}") => {
                json!({ "name": "x", "organization": "a", "way": "letter",
                "address": "a@b.test", "active": false })
            }
            "references" => json!({ "references": "off" }),
            "deletions" => json!({ "deletions": "single" }),
            "validation" => json!({ "validation": "off" }),
            "replay" | "run" => json!({}),
            "time-zone" => json!({ "timeZone": "Europe/London" }),
            "erase" => json!({ "reason": "test" }),
            "$run" | "$viewdefinition-run" => crate::views::names(),
            "tenants" => json!({
                "slug": "hillside", "name": "Hillside", "placement": { "kind": "file" }, "region": "on-premises",
                "administrator": { "signInName": "admin", "displayName": "Ada", "password": "quiet otter under 7 ferns" },
            }),
            "state" => json!({ "state": "suspended" }),
            "stock" => json!({ "product": "Paracetamol 500mg tablet", "unit": "{tablet}" }),
            "movements" => {
                json!({ "id": "x", "what": { "kind": "correction", "of": "y", "note": "wrong" } })
            }
            "threshold" => json!({ "threshold": "5" }),
            "opened" => {
                json!({ "place": { "location": "x" }, "batch": { "lot": "A" }, "lifeDays": 28 })
            }
            "recalls" => json!({ "notice": "called back by the maker" }),
            "reorder" => json!({ "id": "x", "step": "request", "seen": 0 }),
            "register" => json!({ "item": "x", "premises": "x" }),
            "counts" => json!({ "id": "x", "seen": 0, "found": "1", "signing": {} }),
            "corrections" => {
                json!({ "of": 1, "shouldBe": "1", "note": "wrong", "movement": "x", "signing": {} })
            }
            "notes" => json!({ "note": "investigated" }),
            "settlement" => json!({ "found": "1", "finding": "it fell", "signing": {} }),
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
        } else if is_open && *method == "OPTIONS" {
            // From no page of a registered origin.
            assert_eq!(nobody.status, 403, "{path}");
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
