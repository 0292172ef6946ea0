//! Doses over HTTP: what is answered when one is given, held, witnessed and charted, and that what is
//! stored is valid R4.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Answer, Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

pub fn part(name: &str, value: &str, of: Value) -> Value {
    let mut part = json!({ "name": name });
    part[value] = of;
    part
}

/// A dose with every right verified.
pub fn dose(outcome: &str, more: &[Value]) -> Value {
    let mut parts = vec![part("outcome", "valueCode", json!(outcome))];
    for right in ["resident", "medicine", "dose", "route", "time", "decline"] {
        parts.push(json!({ "name": "right", "part": [
            { "name": "right", "valueCode": right }, { "name": "how", "valueCode": "read" },
            { "name": "fits", "valueBoolean": true },
        ]}));
    }
    parts.extend(more.iter().cloned());
    json!({ "resourceType": "Parameters", "parameter": parts })
}

/// A patient with one order for what is needed, a carer and a nurse.
pub async fn home(product: &str) -> (TestServer, String, String) {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let (north, ward) = server.branch(ROSEWOOD, "north").await;
    let ward = json!({ "reference": format!("Organization/{ward}") });
    for resource in [
        json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01", "managingOrganization": ward }),
        json!({ "resourceType": "AllergyIntolerance", "id": "a", "patient": { "reference": "Patient/p" },
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
            "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] } }),
        json!({ "resourceType": "MedicationRequest", "id": "o", "status": "active", "intent": "order",
            "medicationCodeableConcept": { "text": product }, "subject": { "reference": "Patient/p" },
            "authoredOn": "2026-03-01T00:00:00Z",
            "dosageInstruction": [{
                "asNeededCodeableConcept": { "text": "pain" },
                "timing": { "repeat": { "frequency": 1, "period": 4, "periodUnit": "h" } },
                "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
            }] }),
    ] {
        server.put(ROSEWOOD, &program, &resource).await;
    }
    let carer = server.person_at(ROSEWOOD, Role::Carer, north).await;
    let nurse = server.person_at(ROSEWOOD, Role::Nurse, north).await;
    (server, carer, nurse)
}

pub fn named<'a>(answer: &'a Value, name: &str) -> Vec<&'a Value> {
    let parts = answer["parameter"].as_array().unwrap();
    parts.iter().filter(|part| part["name"] == name).collect()
}

#[tokio::test]
async fn held_then_given_then_charted() {
    let (server, carer, _) = home("Paracetamol 500mg tablet").await;
    let give = |body: &Value| {
        let call = Call::post(format!("{BASE}/MedicationRequest/o/$give")).bearer(&carer);
        server.send(call.json(body))
    };
    // No weight is recorded: the limits of the knowledge cannot be told, and somebody says so.
    let held = give(&dose("given", &[])).await.expect(422).json();
    assert_eq!(held["resourceType"], "OperationOutcome");
    let codes: Vec<&str> = held["issue"]
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| issue["details"]["coding"][0]["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"no-need"), "{codes:?}");
    assert!(codes.contains(&"fact-missing"), "{codes:?}");
    assert_eq!(codes.last(), Some(&"next"));
    let more = [
        part("asNeeded", "valueString", json!("headache")),
        part("reason", "valueString", json!("weighs about 70 kg")),
        part(
            "dose",
            "valueQuantity",
            json!({ "value": 1.0, "unit": "tablet" }),
        ),
    ];
    let given = give(&dose("given", &more)).await.expect(201);
    assert!(
        given
            .header("location")
            .contains("/MedicationAdministration/")
    );
    let given = given.json();
    let name = named(&given, "administration")[0]["valueReference"]["reference"].clone();
    let name = name.as_str().unwrap();
    assert_eq!(named(&given, "decision")[0]["valueCode"], "unknown");
    let call = Call::get(format!("{BASE}/{name}")).bearer(&carer);
    let stored = server.send(call).await.expect(200);
    assert!(stored.text().contains("\"value\":1.0"), "digits stay");
    let call = Call::post(format!("{BASE}/MedicationAdministration/$validate")).bearer(&carer);
    let outcome = server
        .send(call.json(&stored.json()))
        .await
        .expect(200)
        .json();
    let issues = outcome["issue"].as_array().unwrap();
    let mut severities = issues
        .iter()
        .map(|issue| issue["severity"].as_str().unwrap());
    assert!(
        severities.all(|own| own != "error" && own != "fatal"),
        "{outcome}"
    );
    let early = give(&dose("given", &more)).await.expect(422).text();
    assert!(early.contains("too-close"), "{early}");
    let call = Call::get(format!("{BASE}/Patient/p/$medication-chart?days=2")).bearer(&carer);
    let chart = server.send(call).await.expect(200).json();
    let order = named(&chart, "order")[0];
    let parts = order["part"].as_array().unwrap();
    let records = parts.iter().filter(|part| part["name"] == "record");
    assert_eq!(records.count(), 1, "{order}");
}

#[tokio::test]
async fn what_is_sent_wrongly_is_said() {
    let (server, carer, _) = home("Paracetamol 500mg tablet").await;
    let table = [
        json!({ "resourceType": "Parameters" }),
        dose("swallowed", &[]),
        dose(
            "given",
            &[part("happened", "valueString", json!("this morning"))],
        ),
        dose(
            "given",
            &[part("dose", "valueQuantity", json!({ "unit": "tablet" }))],
        ),
        dose("given", &[part("done", "valueString", json!("perhaps"))]),
        dose("given", &[json!({ "name": "right", "part": [] })]),
        dose("given", &[json!({ "name": "corrects", "part": [] })]),
    ];
    for body in table {
        let call = Call::post(format!("{BASE}/MedicationRequest/o/$give")).bearer(&carer);
        server.send(call.json(&body)).await.expect(400);
    }
    for query in ["days=0", "days=29", "days=x", "from=yesterday"] {
        let address = format!("{BASE}/Patient/p/$medication-chart?{query}");
        server
            .send(Call::get(address).bearer(&carer))
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn a_witness_signs_with_a_sign_in_of_their_own() {
    let (server, carer, nurse) = home("Morphine 10mg modified-release tablet").await;
    let doctor = server.person(ROSEWOOD, Role::Doctor).await;
    let account = server.acting(ROSEWOOD, "nurse").await;
    let account = format!("urn:uuid:{}", account.subject.actor().id.as_uuid());
    let witness = json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": account } });
    let more = [
        part("asNeeded", "valueString", json!("pain")),
        part("reason", "valueString", json!("known to tolerate it")),
        part("witness", "valueReference", witness),
    ];
    let alone = more.get(..2).unwrap();
    let call = Call::post(format!("{BASE}/MedicationRequest/o/$give")).bearer(&carer);
    let held = server.send(call.json(&dose("given", alone))).await;
    assert!(held.expect(422).text().contains("no-witness"));
    let call = Call::post(format!("{BASE}/MedicationRequest/o/$give")).bearer(&carer);
    let given = server.send(call.json(&dose("given", &more))).await;
    let given = given.expect(201).json();
    assert_eq!(named(&given, "witness")[0]["valueCode"], "not-signed");
    let name = named(&given, "administration")[0]["valueReference"]["reference"].clone();
    let sign = format!("{BASE}/{}/$witness", name.as_str().unwrap());
    let nothing = json!({ "resourceType": "Parameters" });
    for (who, status) in [(&carer, 422), (&doctor, 422), (&nurse, 200), (&nurse, 409)] {
        let call = Call::post(sign.clone()).bearer(who);
        server.send(call.json(&nothing)).await.expect(status);
    }
}

/// The number of a built-in product, as an element string.
fn pack(gtin: &str, more: &str) -> String {
    format!("(01)0{gtin}{more}")
}

#[tokio::test]
async fn a_scanned_pack_is_part_of_the_decision_and_of_the_record() {
    let (server, carer, _) = home("Paracetamol 500mg tablet").await;
    let give = |scan: &str| {
        let more = [
            part("asNeeded", "valueString", json!("headache")),
            part("reason", "valueString", json!("weighs about 70 kg")),
            part("scan", "valueString", json!(scan)),
        ];
        let call = Call::post(format!("{BASE}/MedicationRequest/o/$give")).bearer(&carer);
        server.send(call.json(&dose("given", &more)))
    };
    for (scan, says) in [
        (
            pack("2000000001005", ""),
            "the pack holds another medicine than ordered",
        ),
        (
            pack("2000000000206", ""),
            "the pack holds another strength than ordered",
        ),
        (
            pack("2000000000107", "(17)250101"),
            "the pack is out of date",
        ),
    ] {
        let held = give(&scan).await.expect(422).text();
        assert!(held.contains(says), "{scan}: {held}");
    }
    kept_with_the_record(
        &server,
        &carer,
        give("]d20102000000000107172801311020260A\u{1d}21S1"),
    )
    .await;
}

/// The element string is as a reader sends it, with its prefix and the separator.
async fn kept_with_the_record(
    server: &TestServer,
    carer: &str,
    given: impl Future<Output = Answer>,
) {
    let given = given.await.expect(201).json();
    let name = named(&given, "administration")[0]["valueReference"]["reference"].clone();
    let call = Call::get(format!("{BASE}/{}", name.as_str().unwrap())).bearer(carer);
    let stored = server.send(call).await.expect(200).json();
    let kept = stored["extension"].as_array().unwrap();
    let own = kept
        .iter()
        .find(|one| {
            one["url"]
                .as_str()
                .unwrap()
                .ends_with("administration-pack")
        })
        .unwrap();
    let values: Vec<&str> = own["extension"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| {
            let mut members = part.as_object().unwrap().values();
            members.nth(1).unwrap().as_str().unwrap()
        })
        .collect();
    assert_eq!(
        values,
        ["fits", "02000000000107", "20260A", "S1", "2028-01-31"]
    );
    let scanned = kept.iter().any(|one| {
        one["url"]
            .as_str()
            .unwrap()
            .ends_with("administration-right")
            && one.to_string().contains("scan")
    });
    assert!(scanned, "the scan verified the medicine: {stored}");
}

#[tokio::test]
async fn a_scan_is_resolved_for_pages() {
    let (server, carer, _) = home("Paracetamol 500mg tablet").await;
    let ask = |query: &str| {
        let path = format!("/t/rosewood/api/v1/medicines/scan?{query}");
        server.send(Call::get(path).bearer(&carer))
    };
    let found = ask("text=(01)02000000000107(17)280131(10)A&order=o")
        .await
        .expect(200)
        .json();
    assert_eq!(
        found,
        json!({
            "gtin": "02000000000107", "batch": "A", "serial": null, "expiry": "2028-01-31",
            "expired": false, "recall": null,
            "product": {
                "name": "Paracetamol 500mg tablet", "form": "tablet", "route": "oral", "schedule": null,
                "ingredients": [{ "name": "paracetamol", "strength": "500 mg" }],
            },
            "state": "fits",
        })
    );
    let other = ask("text=2000000001005&order=o").await.expect(200).json();
    assert_eq!(other["state"], "other");
    let unlisted = ask("text=5012345678900").await.expect(200).json();
    assert_eq!(
        (&unlisted["product"], &unlisted["state"]),
        (&Value::Null, &Value::Null)
    );
    // A separator as it comes, and what is no code.
    let given = ask("text=%5Dd2010200000000010710A%1D21S")
        .await
        .expect(200)
        .json();
    assert_eq!(given["serial"], "S");
    for wrong in ["text=5012345678901", "text=hello", "text="] {
        ask(wrong).await.expect(422);
    }
    ask("order=o").await.expect(400);
    ask("text=2000000001005&order=nobody").await.expect(404);
}
