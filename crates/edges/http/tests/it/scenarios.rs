//! What can go wrong with doses, as a program on the other side sees it: two products with one ingredient
//! over midnight, a dose when needed too early, a controlled drug beside a witness. The rest of the
//! scenarios are listed in `docs/clinical-safety/scenarios.md`.

use identity::Role;
use serde_json::{Value, json};

use crate::medicines::overriding;
use crate::medicines_given::{dose, named, part};
use crate::server::{Answer, Call, PASSWORD, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

fn order(id: &str, product: &str, dosage: &Value) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": product }, "subject": { "reference": "Patient/p" },
        "authoredOn": "2026-03-01T00:00:00Z", "dosageInstruction": [dosage],
    })
}

fn at(times: &[&str], tablets: u32) -> Value {
    json!({
        "timing": { "repeat": { "timeOfDay": times } },
        "doseAndRate": [{ "doseQuantity": { "value": tablets, "unit": "tablet" } }],
    })
}

/// Two tablets at most every four hours, at most eight a day.
fn needed() -> Value {
    json!({
        "asNeededCodeableConcept": { "text": "pain" },
        "timing": { "repeat": { "frequency": 1, "period": 4, "periodUnit": "h" } },
        "doseAndRate": [{ "doseQuantity": { "value": 2, "unit": "tablet" } }],
        "maxDosePerPeriod": { "numerator": { "value": 8, "unit": "tablet" },
            "denominator": { "value": 1, "system": "http://unitsofmeasure.org", "code": "d" } },
    })
}

/// A resident of 70 kg without allergies, with these orders, and two who may give.
struct Ward {
    server: TestServer,
    doctor: String,
    nurse: String,
    carer: String,
}

impl Ward {
    async fn with(orders: &[Value]) -> Self {
        let server = TestServer::start().await;
        let program = server.program(ROSEWOOD).await;
        let (north, ward) = server.branch(ROSEWOOD, "north").await;
        let ward = json!({ "reference": format!("Organization/{ward}") });
        let person = [
            json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01", "managingOrganization": ward }),
            json!({ "resourceType": "AllergyIntolerance", "id": "a", "patient": { "reference": "Patient/p" },
                "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
                "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] } }),
            json!({ "resourceType": "Observation", "id": "w", "status": "final", "subject": { "reference": "Patient/p" },
                "code": { "coding": [{ "system": "http://loinc.org", "code": "29463-7" }] },
                "effectiveDateTime": "2026-03-01T08:00:00Z",
                "valueQuantity": { "value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg" } }),
        ];
        for resource in person.iter().chain(orders) {
            server.put(ROSEWOOD, &program, resource).await;
        }
        let doctor = server.person_at(ROSEWOOD, Role::Doctor, north).await;
        let nurse = server.person_at(ROSEWOOD, Role::Nurse, north).await;
        let carer = server.person_at(ROSEWOOD, Role::Carer, north).await;
        Self {
            server,
            doctor,
            nurse,
            carer,
        }
    }

    async fn give(&self, order: &str, more: &[Value]) -> Answer {
        let more: Vec<Value> = more
            .iter()
            .cloned()
            .chain([part("reason", "valueString", json!("known here"))])
            .collect();
        let call = Call::post(format!("{BASE}/MedicationRequest/{order}/$give"));
        let call = call.bearer(&self.nurse).json(&dose("given", &more));
        self.server.send(call).await
    }

    /// Prescribes beside what is taken already, with a reason for what interrupts; the order's id.
    async fn prescribe(&self, mut order: Value) -> String {
        order.as_object_mut().unwrap().remove("id");
        let send = |body: &Value| {
            let call = Call::post(format!("{BASE}/MedicationRequest/$prescribe"));
            self.server.send(call.bearer(&self.doctor).json(body))
        };
        let held = send(&order).await.expect(422).json();
        assert!(held.to_string().contains("Paracetamol"), "{held}");
        let done = send(&overriding(&order, &held, "monitored")).await;
        let done = done.expect(201).json();
        let name = named(&done, "order")[0]["valueReference"]["reference"].clone();
        name.as_str().unwrap().split_once('/').unwrap().1.to_owned()
    }

    async fn read(&self, name: &Value) -> Value {
        let call = Call::get(format!("{BASE}/{}", name.as_str().unwrap())).bearer(&self.carer);
        self.server.send(call).await.expect(200).json()
    }

    async fn doses(&self) -> u64 {
        let path = format!("{BASE}/MedicationAdministration?patient=p&_summary=count");
        let call = Call::get(path).bearer(&self.carer);
        let found = self.server.send(call).await.expect(200).json();
        found["total"].as_u64().unwrap()
    }
}

fn pain() -> Value {
    part("asNeeded", "valueString", json!("pain"))
}

/// What keeps a dose back: code, words.
fn issues(held: &Value) -> Vec<(String, String)> {
    let all = held["issue"].as_array().unwrap().iter();
    all.map(|own| {
        let text = |of: &Value| of.as_str().unwrap().to_owned();
        let code = text(&own["details"]["coding"][0]["code"]);
        (code, text(&own["diagnostics"]))
    })
    .collect()
}

#[tokio::test]
async fn one_ingredient_in_two_products_counts_over_midnight() {
    let times = ["08:00:00", "12:00:00", "16:00:00", "20:00:00"];
    let ward = Ward::with(&[order("para", "Paracetamol 500mg tablet", &at(&times, 2))]).await;
    let cod = order("", "Co-codamol 500mg/8mg tablet", &needed());
    let cod = ward.prescribe(cod).await;
    for (hours, slot) in [(0, "08:00"), (4, "12:00"), (4, "16:00"), (4, "20:00")] {
        ward.server.clock.advance(hours * 3600);
        let slot = part(
            "slot",
            "valueString",
            json!(format!("2026-03-05T{slot}:00Z")),
        );
        // What the prescriber answered for the sum of both holds for the doses of the first order too.
        ward.give("para", &[slot]).await.expect(201);
    }
    // Half past midnight: another day, the same 24 hours, and longer than four hours since.
    ward.server.clock.advance(4 * 3600 + 1800);
    let held = ward.give(&cod, &[pain()]).await.expect(422).json();
    let found = issues(&held);
    let (_, words) = found.iter().find(|(code, _)| code == "too-much").unwrap();
    let sum = "5000 mg with this dose, at most 4000 mg";
    assert!(words.contains(sum), "{words}");
    assert_eq!(ward.doses().await, 4);
    // A reason does not open it, and neither does an hour before the first dose is a day old.
    ward.server.clock.advance(7 * 3600);
    let held = ward.give(&cod, &[pain()]).await.expect(422).json();
    let found = issues(&held);
    assert!(
        found.iter().any(|(code, _)| code == "too-much"),
        "{found:?}"
    );
    // A day after the first dose there is room for two tablets.
    ward.server.clock.advance(2 * 3600);
    ward.give(&cod, &[pain()]).await.expect(201);
    assert_eq!(ward.doses().await, 5);
}

#[tokio::test]
async fn as_needed_too_early_is_held_with_its_time() {
    let ward = Ward::with(&[order("o", "Paracetamol 500mg tablet", &needed())]).await;
    ward.give("o", &[pain()]).await.expect(201);
    ward.server.clock.advance(3600);
    let held = ward.give("o", &[pain()]).await.expect(422).json();
    let found = issues(&held);
    assert!(
        found.iter().any(|(code, _)| code == "too-close"),
        "{found:?}"
    );
    let (code, next) = found.last().unwrap();
    assert_eq!(code, "next");
    assert!(next.contains("2026-03-05T12:00"), "{next}");
    assert_eq!(ward.doses().await, 1);
    // What was given all the same is kept, with what speaks against it.
    let done = part("done", "valueBoolean", json!(true));
    let kept = ward.give("o", &[pain(), done]).await.expect(201).json();
    assert_eq!(named(&kept, "decision")[0]["valueCode"], "block");
    // The time that was named counts from the last dose, which is now an hour later.
    ward.server.clock.advance(3 * 3600);
    ward.give("o", &[pain()]).await.expect(422);
    ward.server.clock.advance(3600);
    ward.give("o", &[pain()]).await.expect(201);
}

#[tokio::test]
async fn a_controlled_drug_is_given_beside_a_witness() {
    let product = "Morphine 10mg modified-release tablet";
    let ward = Ward::with(&[order("m", product, &at(&["08:00:00"], 1))]).await;
    let slot = part("slot", "valueString", json!("2026-03-05T08:00:00Z"));
    let beside = |name: &str, password: &str| {
        json!({ "name": "witnessProof", "part": [
            { "name": "name", "valueString": name }, { "name": "password", "valueString": password },
        ]})
    };
    let held = ward.give("m", std::slice::from_ref(&slot)).await;
    let found = issues(&held.expect(422).json());
    assert!(
        found.iter().any(|(code, _)| code == "no-witness"),
        "{found:?}"
    );
    // The giver is no witness, and a name alone is none.
    let own = [slot.clone(), beside("nurse", PASSWORD)];
    assert!(!ward.give("m", &own).await.status.is_success());
    let wrong = [slot.clone(), beside("carer", "of nobody here")];
    assert!(!ward.give("m", &wrong).await.status.is_success());
    assert_eq!(ward.doses().await, 0);
    let right = [slot, beside("carer", PASSWORD)];
    let given = ward.give("m", &right).await.expect(201).json();
    let record = named(&given, "administration")[0]["valueReference"]["reference"].clone();
    let record = ward.read(&record).await;
    let second = &record["performer"][1];
    assert_eq!(second["function"]["coding"][0]["code"], "witness");
    assert_ne!(second["actor"], record["performer"][0]["actor"]);
}
