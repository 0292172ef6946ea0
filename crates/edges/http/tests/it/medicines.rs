//! Checking and prescribing over HTTP: what is answered, and that every alert written down is valid R4.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

fn order(name: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": name }, "subject": { "reference": "Patient/p" },
        "dosageInstruction": [{
            "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }],
    })
}

/// A patient who is allergic to penicillin and takes warfarin.
async fn ward() -> (TestServer, String) {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let mut warfarin = order("Warfarin 1mg tablet");
    warfarin["id"] = json!("w");
    for resource in [
        json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01", "gender": "female" }),
        json!({ "resourceType": "AllergyIntolerance", "id": "a", "patient": { "reference": "Patient/p" },
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
            "code": { "text": "Penicillin" } }),
        warfarin,
    ] {
        server.put(ROSEWOOD, &program, &resource).await;
    }
    let doctor = server.person(ROSEWOOD, Role::Doctor).await;
    (server, doctor)
}

pub fn overriding(order: &Value, outcome: &Value, reason: &str) -> Value {
    let mut parts = vec![json!({ "name": "order", "resource": order })];
    for issue in outcome["issue"].as_array().unwrap() {
        parts.push(json!({ "name": "override", "part": [
            { "name": "fingerprint", "valueString": issue["details"]["coding"][0]["code"] },
            { "name": "reason", "valueCode": reason },
            { "name": "text", "valueString": "Told to watch for it" },
        ]}));
    }
    json!({ "resourceType": "Parameters", "parameter": parts })
}

#[tokio::test]
async fn held_then_overridden_then_signed() {
    let (server, doctor) = ward().await;
    let send = |path: &str, who: &str, body: &Value| {
        server.send(Call::post(format!("{BASE}/{path}")).bearer(who).json(body))
    };
    let prescribe = "MedicationRequest/$prescribe";
    let ibuprofen = order("Ibuprofen 400mg tablet");
    let held = send(prescribe, &doctor, &ibuprofen)
        .await
        .expect(422)
        .json();
    assert_eq!(held["resourceType"], "OperationOutcome");
    let said = held["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(
        said.starts_with("the order was not stored. high: Warfarin"),
        "{said}"
    );
    let wrong = overriding(&ibuprofen, &held, "because");
    send(prescribe, &doctor, &wrong).await.expect(400);
    let right = overriding(&ibuprofen, &held, "monitored");
    let done = send(prescribe, &doctor, &right).await.expect(201);
    assert!(done.header("location").contains("/MedicationRequest/"));
    let done = done.json();
    assert_eq!(done["parameter"][1]["valueCode"], "prescribed");
    let amoxicillin = order("Amoxicillin 500mg capsule");
    let held = send(prescribe, &doctor, &amoxicillin)
        .await
        .expect(422)
        .json();
    let right = overriding(&amoxicillin, &held, "tolerated-before");
    let done = send(prescribe, &doctor, &right).await.expect(201).json();
    assert_eq!(done["parameter"][1]["valueCode"], "waits-for-second-person");
    let name = done["parameter"][0]["valueReference"]["reference"]
        .as_str()
        .unwrap();
    let sign = format!("{name}/$countersign");
    let nothing = json!({ "resourceType": "Parameters" });
    send(&sign, &doctor, &nothing).await.expect(422);
    let pharmacist = server.person(ROSEWOOD, Role::Pharmacist).await;
    send(&sign, &pharmacist, &nothing).await.expect(200);
    let order = server
        .send(Call::get(format!("{BASE}/{name}")).bearer(&doctor))
        .await
        .expect(200)
        .json();
    assert_eq!(order["status"], "active");
}

#[tokio::test]
async fn alerts_are_valid_resources() {
    let (server, doctor) = ward().await;
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "medication", "resource": order("Ibuprofen 400mg tablet") },
        { "name": "medication", "resource": order("Amoxicillin 500mg capsule") },
        { "name": "medication", "resource": order("Warfarin 3mg tablet") },
        { "name": "medication", "resource": order("Magic drops") },
    ]});
    let call = Call::post(format!("{BASE}/Patient/p/$medication-check")).bearer(&doctor);
    let answer = server.send(call.json(&body)).await.expect(200).json();
    let parts = answer["parameter"].as_array().unwrap();
    let named = |name: &str| {
        parts
            .iter()
            .filter(|part| part["name"] == name)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(
        named("not-checked")
            .iter()
            .any(|gap| gap["valueString"].as_str().unwrap().contains("Magic"))
    );
    let issues: Vec<Value> = named("alert")
        .iter()
        .map(|alert| alert["part"].as_array().unwrap().last().unwrap()["resource"].clone())
        .collect();
    let mut kinds: Vec<&str> = issues
        .iter()
        .map(|issue| issue["code"]["text"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in ["Allergy", "Duplicate", "Interaction"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    for issue in issues {
        let call = Call::post(format!("{BASE}/DetectedIssue/$validate")).bearer(&doctor);
        let outcome = server.send(call.json(&issue)).await.expect(200).json();
        let wrong: Vec<&Value> = outcome["issue"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|issue| issue["severity"] == "error" || issue["severity"] == "fatal")
            .collect();
        assert!(wrong.is_empty(), "{issue}: {wrong:?}");
    }
}
