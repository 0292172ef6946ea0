//! Rounds over HTTP: two devices that take the same round along and bring back the same dose, and what is
//! sent wrongly.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer};

const ROUNDS: &str = "/t/rosewood/api/v1/rounds";

async fn home() -> (TestServer, String, String) {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let (north, ward) = server.branch(ROSEWOOD, "north").await;
    let ward = json!({ "reference": format!("Organization/{ward}") });
    for resource in [
        json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01", "managingOrganization": ward,
            "name": [{ "family": "Ashworth", "given": ["Edith"] }] }),
        json!({ "resourceType": "MedicationRequest", "id": "o", "status": "active", "intent": "order",
            "medicationCodeableConcept": { "text": "Paracetamol 500mg tablet" }, "subject": { "reference": "Patient/p" },
            "authoredOn": "2026-03-01T00:00:00Z",
            "dosageInstruction": [{
                "timing": { "repeat": { "timeOfDay": ["08:00:00", "20:00:00"] } },
                "doseAndRate": [{ "doseQuantity": { "value": 2, "unit": "tablet" } }],
            }] }),
    ] {
        server.put(ROSEWOOD, &program, &resource).await;
    }
    let nurse = server.person_at(ROSEWOOD, Role::Nurse, north).await;
    let carer = server.person_at(ROSEWOOD, Role::Carer, north).await;
    (server, nurse, carer)
}

async fn take(server: &TestServer, who: &str, device: &str) -> Value {
    let body = json!({ "device": device, "hours": 8, "clock": "2026-03-05T08:00:00Z" });
    let call = Call::post(ROUNDS).bearer(who).json(&body);
    server.send(call).await.expect(201).json()
}

fn back(taken: &Value, id: &str) -> Value {
    let person = &taken["people"][0];
    let now = taken["clock"]["server"].as_i64().unwrap();
    let device = &taken["pack"]["device"];
    json!({ "signature": taken["signature"], "return": {
        "pack": taken["pack"]["id"], "device": device,
        "clocks": { "taken": taken["clock"], "back": { "server": now, "device": now } },
        "records": [{
            "id": id, "order": "o", "slot": person["stop"]["lines"][0]["due"]["key"], "outcome": "given",
            "happened": now, "entered": now, "giver": device, "device": device,
            "dose": person["offers"][0]["planned"][0]["dose"],
            "contents": person["offers"][0]["planned"][0]["contents"],
            "product": person["stop"]["lines"][0]["name"],
        }],
    }})
}

#[tokio::test]
async fn two_devices_bring_back_one_dose_twice() {
    let (server, nurse, carer) = home().await;
    let call = Call::get(format!("{ROUNDS}/now?ahead=0")).bearer(&nurse);
    let now = server.send(call).await.expect(200).json();
    assert_eq!(now["stops"][0]["name"], "ASHWORTH, Edith");
    assert_eq!(now["stops"][0]["lines"][0]["turn"], "due");
    let one = take(&server, &nurse, "11111111-1111-4111-8111-111111111111").await;
    let other = take(&server, &carer, "22222222-2222-4222-8222-222222222222").await;
    let bring = |taken: &Value, body: Value, who: &str| {
        let address = format!("{ROUNDS}/{}/return", taken["id"].as_str().unwrap());
        server.send(Call::post(address).bearer(who).json(&body))
    };
    let first = back(&one, "aaaaaaaa-0000-4000-8000-000000000001");
    let answer = bring(&one, first.clone(), &nurse).await.expect(200).json();
    assert_eq!(answer["records"][0]["state"], "stored", "{answer}");
    let again = bring(&one, first, &nurse).await.expect(200).json();
    assert_eq!(again["records"][0]["state"], "known");
    let second = back(&other, "bbbbbbbb-0000-4000-8000-000000000002");
    let answer = bring(&other, second, &carer).await.expect(200).json();
    assert_eq!(answer["records"][0]["state"], "stored");
    assert_eq!(answer["doubles"].as_array().unwrap().len(), 1);
    for ty in ["DetectedIssue", "Task", "MedicationAdministration"] {
        let call = Call::get(format!("/t/rosewood/fhir/{ty}?patient=p")).bearer(&nurse);
        let found = server.send(call).await.expect(200).json();
        let found = found["entry"].as_array().unwrap();
        let double =
            |own: &&Value| own["resource"]["code"]["coding"][0]["code"] == "possible-double-dose";
        if ty != "MedicationAdministration" {
            assert_eq!(found.iter().filter(double).count(), 1, "{ty}");
        }
        for own in found {
            let call = Call::post(format!("/t/rosewood/fhir/{ty}/$validate")).bearer(&nurse);
            let outcome = server.send(call.json(&own["resource"])).await;
            let outcome = outcome.expect(200).json();
            let issues = outcome["issue"].as_array().unwrap();
            let wrong = |own: &&Value| own["severity"] == "error" || own["severity"] == "fatal";
            assert_eq!(issues.iter().find(wrong), None, "{ty}");
        }
    }
}

#[tokio::test]
async fn what_is_sent_wrongly_is_said() {
    let (server, nurse, _) = home().await;
    for (body, status) in [
        (
            json!({ "device": "d", "hours": 0, "clock": "2026-03-05T08:00:00Z" }),
            400,
        ),
        (
            json!({ "device": "d", "hours": 13, "clock": "2026-03-05T08:00:00Z" }),
            400,
        ),
        (json!({ "device": "d", "hours": 1, "clock": "now" }), 400),
        (
            json!({ "device": "", "hours": 1, "clock": "2026-03-05T08:00:00Z" }),
            400,
        ),
    ] {
        let call = Call::post(ROUNDS).bearer(&nurse).json(&body);
        server.send(call).await.expect(status);
    }
    for query in [
        "now?ahead=-1",
        "now?ahead=1441",
        "handover?from=x",
        "now?organization=%zz",
        "now?organisation=north",
        "now?ahead=1&ahead=2",
        "effects?ahead=5",
        "handover?until=2026-01-01T00:00:00Z",
        "handover?from=2026-01-01T00:00:00Z",
    ] {
        let call = Call::get(format!("{ROUNDS}/{query}")).bearer(&nurse);
        server.send(call).await.expect(400);
    }
    let taken = take(&server, &nurse, "11111111-1111-4111-8111-111111111111").await;
    let own = back(&taken, "aaaaaaaa-0000-4000-8000-000000000001");
    let call = Call::post(format!("{ROUNDS}/another/return")).bearer(&nurse);
    server.send(call.json(&own)).await.expect(400);
    let mut forged = own.clone();
    forged["signature"] = json!("AAAA");
    let address = format!("{ROUNDS}/{}/return", taken["id"].as_str().unwrap());
    server
        .send(Call::post(address).bearer(&nurse).json(&forged))
        .await
        .expect(422);
}
