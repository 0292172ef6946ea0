//! The papers of a resident over HTTP: a medicine is given covertly, or taken alone, on what the record
//! says at that time, and not otherwise.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

struct Home {
    server: TestServer,
    program: String,
    carer: String,
    nurse: String,
}

impl Home {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let program = server.program(ROSEWOOD).await;
        let (north, ward) = server.branch(ROSEWOOD, "north").await;
        let ward = json!({ "reference": format!("Organization/{ward}") });
        let covert = json!([{ "url": "https://theriac.example.org/fhir/StructureDefinition/order-covert", "valueBoolean": true }]);
        for resource in [
            json!({ "resourceType": "Patient", "id": "p", "birthDate": "1940-01-01", "managingOrganization": ward }),
            json!({ "resourceType": "Patient", "id": "other", "managingOrganization": ward }),
            json!({ "resourceType": "AllergyIntolerance", "id": "a", "patient": { "reference": "Patient/p" },
                "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
                "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] } }),
            order("o", "p", &covert),
            order("plain", "p", &json!([])),
            order("theirs", "other", &json!([])),
        ] {
            server.put(ROSEWOOD, &program, &resource).await;
        }
        let carer = server.person_at(ROSEWOOD, Role::Carer, north).await;
        let nurse = server.person_at(ROSEWOOD, Role::Nurse, north).await;
        Self {
            server,
            program,
            carer,
            nurse,
        }
    }

    async fn give(&self, order: &str, outcome: &str, status: u16) -> String {
        let mut parts = vec![
            json!({ "name": "outcome", "valueCode": outcome }),
            json!({ "name": "asNeeded", "valueString": "cannot sleep" }),
            json!({ "name": "reason", "valueString": "known to tolerate it" }),
        ];
        for right in ["resident", "medicine", "dose", "route", "time", "decline"] {
            parts.push(json!({ "name": "right", "part": [
                { "name": "right", "valueCode": right }, { "name": "how", "valueCode": "read" },
                { "name": "fits", "valueBoolean": true },
            ]}));
        }
        let body = json!({ "resourceType": "Parameters", "parameter": parts });
        let call = Call::post(format!("{BASE}/MedicationRequest/{order}/$give"));
        let answer = self.server.send(call.bearer(&self.carer).json(&body)).await;
        answer.expect(status).text()
    }

    async fn file(&self, who: &str, parts: &[Value], status: u16) -> Value {
        let body = json!({ "resourceType": "Parameters", "parameter": parts });
        let call = Call::post(format!("{BASE}/Patient/p/$medicines-paper"));
        let answer = self.server.send(call.bearer(who).json(&body)).await;
        answer.expect(status).json()
    }
}

fn order(id: &str, patient: &str, extension: &Value) -> Value {
    let product = if id == "o" {
        "Senna 7.5mg tablet"
    } else {
        "Folic acid 5mg tablet"
    };
    let mut order = json!({ "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": product },
        "subject": { "reference": format!("Patient/{patient}") },
        "authoredOn": "2026-01-01T00:00:00Z",
        "dosageInstruction": [{
            "asNeededCodeableConcept": { "text": "sleep" },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }] });
    if extension != &json!([]) {
        order["extension"] = extension.clone();
    }
    order
}

fn code(name: &str, value: &str) -> Value {
    json!({ "name": name, "valueCode": value })
}

fn text(name: &str, value: &str) -> Value {
    json!({ "name": name, "valueString": value })
}

fn refer(name: &str, value: &str) -> Value {
    json!({ "name": name, "valueReference": { "reference": value } })
}

fn lacking() -> Vec<Value> {
    vec![code("kind", "capacity"), code("finding", "lacks-capacity")]
}

fn permit(review: &str) -> Vec<Value> {
    vec![
        code("kind", "covert-administration"),
        code("finding", "permit"),
        refer("order", "MedicationRequest/o"),
        text("review", review),
        text("party", "Daughter"),
        text("method", "crushed in yoghurt"),
        json!({ "name": "pharmacist", "valueReference": { "display": "A pharmacist" } }),
    ]
}

/// The day so many days from now.
fn day(home: &Home, days: i64) -> String {
    let then = home.server.app.now().plus_seconds(days * 86_400);
    then.to_fhir_instant()[..10].to_owned()
}

#[tokio::test]
async fn covert_rests_on_three_papers_and_their_review() {
    let home = Home::start().await;
    let held = home.give("o", "given", 422).await;
    for words in [
        "lacks capacity",
        "best interest",
        "pharmacist",
        "no date of review",
    ] {
        assert!(held.contains(words), "{words}: {held}");
    }
    // Nobody is responsible yet.
    let refused = home.file(&home.nurse, &lacking(), 422).await.to_string();
    assert!(refused.contains("nobody is responsible"), "{refused}");
    let daughter = json!({ "resourceType": "RelatedPerson", "id": "d", "active": true,
        "patient": { "reference": "Patient/p" }, "name": [{ "text": "A daughter" }] });
    home.server.put(ROSEWOOD, &home.program, &daughter).await;
    // A carer decides nothing.
    home.file(&home.carer, &lacking(), 403).await;
    home.file(&home.nurse, &lacking(), 201).await;
    let held = home.give("o", "given", 422).await;
    assert!(!held.contains("lacks capacity") && held.contains("best interest"));
    let tomorrow = day(&home, 1);
    let made = home.file(&home.nurse, &permit(&tomorrow), 201).await;
    let name = made["parameter"][0]["valueReference"]["reference"].as_str();
    let name = name.unwrap().to_owned();
    home.give("o", "given", 201).await;
    // Found valid by our own validator.
    let call = Call::get(format!("{BASE}/{name}")).bearer(&home.nurse);
    let stored = home.server.send(call).await.expect(200).json();
    let call = Call::post(format!("{BASE}/Consent/$validate")).bearer(&home.nurse);
    let outcome = home
        .server
        .send(call.json(&stored))
        .await
        .expect(200)
        .text();
    assert!(!outcome.contains("\"error\""), "{outcome}");
    home.server.clock.advance(3 * 86_400);
    let held = home.give("o", "given", 422).await;
    assert!(held.contains("review is overdue"), "{held}");
    // Withdrawn, it permits nothing, and one that cannot be read neither.
    let later = day(&home, 9);
    let made = home.file(&home.nurse, &permit(&later), 201).await;
    home.give("o", "given", 201).await;
    let name = made["parameter"][0]["valueReference"]["reference"].as_str();
    let call = Call::get(format!("{BASE}/{}", name.unwrap())).bearer(&home.nurse);
    let mut stored = home.server.send(call).await.expect(200).json();
    let mut broken = stored.clone();
    broken["provision"]["data"][0]["reference"] = json!({ "reference": "Medication/1" });
    home.server.put(ROSEWOOD, &home.program, &broken).await;
    let held = home.give("o", "given", 422).await;
    assert!(held.contains("cannot be read"), "{held}");
    stored["status"] = json!("inactive");
    home.server.put(ROSEWOOD, &home.program, &stored).await;
    let held = home.give("o", "given", 422).await;
    assert!(held.contains("best interest"), "{held}");
    assert!(!held.contains("cannot be read"), "{held}");
}

#[tokio::test]
async fn taking_alone_rests_on_an_assessment_in_date() {
    let home = Home::start().await;
    let held = home.give("plain", "self-administered", 422).await;
    assert!(held.contains("nobody assessed"), "{held}");
    let assessed = |level: &str, review: &str| {
        vec![
            code("kind", "self-administration"),
            code("finding", level),
            text("review", review),
        ]
    };
    let tomorrow = day(&home, 1);
    home.file(&home.nurse, &assessed("independent", &tomorrow), 201)
        .await;
    home.give("plain", "self-administered", 201).await;
    home.file(&home.nurse, &assessed("staff-give", &tomorrow), 201)
        .await;
    let held = home.give("plain", "self-administered", 422).await;
    assert!(held.contains("staff give it"), "{held}");
    home.file(&home.nurse, &assessed("supervised", &tomorrow), 201)
        .await;
    home.server.clock.advance(2 * 86_400);
    let held = home.give("plain", "self-administered", 422).await;
    assert!(held.contains("overdue"), "{held}");
}

#[tokio::test]
async fn what_is_filed_wrongly_is_said() {
    let home = Home::start().await;
    let of = |kind: &str, more: &[Value]| {
        let kind = code("kind", kind);
        std::iter::once(kind).chain(more.iter().cloned()).collect()
    };
    let able = |more: Value| of("capacity", &[code("finding", "has-capacity"), more]);
    let covert =
        |finding: &str, more: Value| of("covert-administration", &[code("finding", finding), more]);
    let table: [(Vec<Value>, u16, &str); 9] = [
        (of("will", &[]), 400, "no paper"),
        (of("capacity", &[]), 422, "finding"),
        (
            of("self-administration", &[code("finding", "checked")]),
            422,
            "review",
        ),
        (covert("permit", text("note", "x")), 422, "each medicine"),
        (
            covert("deny", refer("order", "MedicationRequest/theirs")),
            422,
            "none of this patient",
        ),
        (able(text("when", "2999-01-01")), 422, "lies ahead"),
        (able(text("when", "soon")), 422, "no day"),
        (able(text("review", "2001-01-01")), 422, "lies behind"),
        (able(text("method", "in tea")), 422, "leave it out"),
    ];
    for (parts, status, words) in table {
        let answer = home.file(&home.nurse, &parts, status).await.to_string();
        assert!(answer.contains(words), "{words}: {answer}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
async fn a_homely_remedy_rests_on_an_agreement_and_its_days_in_a_row() {
    let home = Home::start().await;
    let doctor = home.server.person(ROSEWOOD, Role::Doctor).await;
    let remedy = json!({ "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": "Paracetamol 500mg tablet" },
        "subject": { "reference": "Patient/p" }, "authoredOn": "2026-03-05T07:00:00Z",
        "extension": [{ "url": "https://theriac.example.org/fhir/StructureDefinition/order-homely", "valueInteger": 2 }],
        "dosageInstruction": [{ "asNeededCodeableConcept": { "text": "headache" },
            "timing": { "repeat": { "frequency": 1, "period": 6, "periodUnit": "h" } },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
            "maxDosePerPeriod": { "numerator": { "value": 4, "unit": "tablet" },
                "denominator": { "value": 1, "system": "http://unitsofmeasure.org", "code": "d" } } }] });
    let call = Call::post(format!("{BASE}/MedicationRequest/$prescribe"));
    let made = home.server.send(call.bearer(&doctor).json(&remedy)).await;
    let made = made.expect(201).json();
    let named = made["parameter"].as_array().unwrap().iter();
    let name = named
        .filter_map(|own| own["valueReference"]["reference"].as_str())
        .find(|own| own.starts_with("MedicationRequest/"))
        .unwrap()
        .to_owned();
    let id = name.strip_prefix("MedicationRequest/").unwrap();
    let held = home.give(id, "given", 422).await;
    assert!(held.contains("no agreement in force"), "{held}");
    let agreement = [
        code("kind", "homely-remedies"),
        code("finding", "permit"),
        refer("order", &name),
        text("review", &day(&home, 180)),
    ];
    // Who prescribes nothing signs it for nobody.
    for who in [&home.nurse, &home.carer] {
        home.file(who, &agreement, 403).await;
    }
    home.file(&doctor, &agreement, 201).await;
    home.give(id, "given", 201).await;
    let again = home.give(id, "given", 422).await;
    assert!(
        again.contains("too close") || again.contains("Too close"),
        "{again}"
    );
    let call = Call::get(format!("{BASE}/Patient/p/$medication-chart?days=1"));
    let chart = home.server.send(call.bearer(&home.nurse)).await.expect(200);
    assert!(chart.text().contains("homely-days"));
    // Taken on two days in a row: the third, which begins inside the round, is one too many.
    home.server.clock.advance(86_400);
    home.give(id, "given", 201).await;
    home.server.clock.advance(14 * 3_600);
    let now = home.server.app.now();
    assert!(now.to_string().starts_with("2026-03-06T22:"), "{now}");
    let body = json!({ "device": "11111111-1111-4111-8111-111111111111", "hours": 8,
        "clock": now.to_fhir_instant() });
    let call = Call::post("/t/rosewood/api/v1/rounds").bearer(&home.nurse);
    let taken = home.server.send(call.json(&body)).await.expect(201).json();
    let mut people = taken["people"].as_array().unwrap().iter();
    let person = people.find(|own| own["stop"]["patient"] == "p").unwrap();
    let offers = person["offers"].as_array().unwrap();
    let offer = offers.iter().find(|own| own["order"] == id).unwrap();
    let standing = offer["standing"].as_array().unwrap();
    let days = |own: &&Value| own["text"].as_str().unwrap().contains("days in a row");
    let too_long = standing.iter().find(days);
    let too_long = too_long.unwrap_or_else(|| panic!("{offer}"));
    assert_eq!(too_long["verdict"], "block");
    let midnight = kernel::Timestamp::from_rfc3339("2026-03-07T00:00:00Z").unwrap();
    assert_eq!(too_long["from"], json!(midnight), "{too_long}");
    home.server.clock.advance(10 * 3_600);
    let held = home.give(id, "given", 422).await;
    assert!(held.contains("days in a row"), "{held}");
    // After a day without it, it may be given again.
    home.server.clock.advance(86_400);
    home.give(id, "given", 201).await;
}
