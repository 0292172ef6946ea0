//! Checking and prescribing against the record: what is shown, what is held, who signs, and what two
//! prescribers do at once.

use app::medicines::check::{CheckAnswer, check};
use app::medicines::countersign::countersign;
use app::medicines::issue::{self, title};
use app::medicines::prescribe::{End, Prescribed, Prescription, prescribe};
use app::{AppError, Caller};
use fhir::json::{Document, Limits};
use identity::Role;
use medication::checks::overrides::{Override, Reason};
use medication::knowledge::Tier;
use serde_json::{Value, json};

use crate::house::{House, patient};

fn allergy(id: &str, code: &Value) -> Value {
    json!({
        "resourceType": "AllergyIntolerance", "id": id, "patient": { "reference": "Patient/p1" },
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
        "code": code,
    })
}

fn none_known() -> Value {
    allergy(
        "none",
        &json!({ "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] }),
    )
}

fn order(name: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": name },
        "subject": { "reference": "Patient/p1" },
        "dosageInstruction": [{
            "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
            "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006" }] },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }],
    })
}

/// A patient born in 1950 with what is given, and a doctor.
async fn ward(resources: &[Value]) -> (House, Caller) {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let mut person = patient("p1", "Ward");
    person["birthDate"] = json!("1950-01-01");
    house.put(&doctor, &person).await.unwrap();
    for resource in resources {
        house.put(&doctor, resource).await.unwrap();
    }
    (house, doctor)
}

fn stored(name: &str, id: &str) -> Value {
    let mut order = order(name);
    order["id"] = json!(id);
    order
}

async fn looked_at(
    house: &House,
    caller: &Caller,
    proposed: &[Value],
) -> Result<CheckAnswer, AppError> {
    let documents: Vec<Document> = proposed.iter().map(document).collect();
    let roots: Vec<_> = documents.iter().map(Document::root).collect();
    check(&house.app, caller, &house.key("Patient/p1"), &roots).await
}

fn document(value: &Value) -> Document {
    Document::parse(value.to_string().into_bytes(), &Limits::default()).unwrap()
}

async fn prescribed(
    house: &House,
    caller: &Caller,
    order: &Value,
    overrides: Vec<Override>,
) -> Result<Prescribed, AppError> {
    let order = document(order);
    let request = Prescription {
        order: order.root(),
        overrides,
    };
    prescribe(&house.app, caller, &request).await
}

/// What an alert wants, answered.
fn answer(held: &Prescribed, reason: Reason, text: Option<&str>) -> Vec<Override> {
    let End::Held(open) = &held.end else {
        panic!("{:?}", held.end)
    };
    open.iter()
        .map(|(at, _)| Override {
            fingerprint: held.checked.alerts[*at].fingerprint.clone(),
            reason,
            text: text.map(str::to_owned),
            by: String::new(),
            second: None,
        })
        .collect()
}

fn titles(answer: &CheckAnswer, least: Tier) -> Vec<String> {
    let loud = answer
        .alerts
        .iter()
        .filter(|shown| shown.alert.tier >= least);
    loud.map(|shown| title(answer, shown)).collect()
}

#[tokio::test]
async fn what_is_not_known_is_said() {
    let (house, doctor) = ward(&[stored("Magic drops", "m1")]).await;
    let answer = looked_at(&house, &doctor, &[]).await.unwrap();
    assert!(answer.alerts.is_empty());
    let plain: Vec<_> = answer
        .medicines
        .iter()
        .map(|one| one.medicine.clone())
        .collect();
    let gaps: Vec<String> = answer
        .not_checked
        .iter()
        .map(|gap| gap.words(&plain))
        .collect();
    assert!(gaps.iter().any(|gap| gap.contains("Magic")), "{gaps:?}");
    assert!(
        gaps.iter()
            .any(|gap| gap.contains("allergies were not asked for")),
        "{gaps:?}"
    );
    let parameters = issue::parameters(&answer, "2026-01-01T00:00:00Z");
    let said = parameters["parameter"].as_array().unwrap();
    assert_eq!(
        said.iter()
            .filter(|part| part["name"] == "not-checked")
            .count(),
        gaps.len()
    );
}

#[tokio::test]
async fn an_nsaid_beside_warfarin_wants_a_reason() {
    let (house, doctor) = ward(&[none_known(), stored("Warfarin 1mg tablet", "w1")]).await;
    let ibuprofen = order("Ibuprofen 400mg tablet");
    let held = prescribed(&house, &doctor, &ibuprofen, Vec::new())
        .await
        .unwrap();
    assert_eq!(
        titles(&held.checked, Tier::High),
        ["Warfarin 1mg tablet with Ibuprofen 400mg tablet"]
    );
    assert_eq!(
        house
            .search(&doctor, "MedicationRequest?patient=p1")
            .await
            .unwrap()
            .0,
        ["w1"]
    );
    let vague = answer(&held, Reason::Other, None);
    let refused = prescribed(&house, &doctor, &ibuprofen, vague)
        .await
        .unwrap();
    assert!(matches!(&refused.end, End::Held(open) if open[0].1.contains("say why")));
    let reasons = answer(&held, Reason::Monitored, Some("INR in three days"));
    let done = prescribed(&house, &doctor, &ibuprofen, reasons)
        .await
        .unwrap();
    let End::Stored {
        order: name,
        waits: false,
        ..
    } = &done.end
    else {
        panic!("{:?}", done.end)
    };
    let order = house.read(&doctor, name).await.unwrap();
    assert_eq!(order["status"], "active");
    let issue = order["detectedIssue"][0]["reference"].as_str().unwrap();
    let issue = house.read(&doctor, issue).await.unwrap();
    assert_eq!(issue["severity"], "high");
    assert_eq!(
        issue["mitigation"][0]["action"]["coding"][0]["code"],
        "monitored"
    );
    assert_eq!(issue["implicated"][1]["reference"], *name);
    assert_eq!(
        house
            .search(&doctor, &format!("Provenance?target={name}"))
            .await
            .unwrap()
            .0
            .len(),
        1
    );
}

#[tokio::test]
async fn an_override_holds_until_the_regimen_changes() {
    let (house, doctor) = ward(&[none_known(), stored("Warfarin 1mg tablet", "w1")]).await;
    let ibuprofen = order("Ibuprofen 400mg tablet");
    let held = prescribed(&house, &doctor, &ibuprofen, Vec::new())
        .await
        .unwrap();
    let reasons = answer(&held, Reason::Monitored, None);
    let done = prescribed(&house, &doctor, &ibuprofen, reasons)
        .await
        .unwrap();
    let End::Stored { order: first, .. } = done.end else {
        panic!("{:?}", done.end)
    };
    // The same again in the place of the first: the reason stands.
    let mut again = ibuprofen.clone();
    again["priorPrescription"] = json!({ "reference": first });
    let renewed = prescribed(&house, &doctor, &again, Vec::new())
        .await
        .unwrap();
    assert!(
        matches!(renewed.end, End::Stored { .. }),
        "{:?}",
        renewed.end
    );
    // Another medicine of the kind: it does not.
    let naproxen = order("Naproxen 250mg tablet");
    let other = prescribed(&house, &doctor, &naproxen, Vec::new())
        .await
        .unwrap();
    assert!(matches!(other.end, End::Held(_)));
}

#[tokio::test]
async fn penicillin_allergy_wants_two_people() {
    let penicillin = allergy("a1", &json!({ "text": "Penicillin" }));
    let (house, doctor) = ward(&[penicillin]).await;
    let amoxicillin = order("Amoxicillin 500mg capsule");
    let held = prescribed(&house, &doctor, &amoxicillin, Vec::new())
        .await
        .unwrap();
    assert_eq!(
        titles(&held.checked, Tier::Contraindicated),
        ["Amoxicillin 500mg capsule; allergy: Penicillin"]
    );
    let silent = answer(&held, Reason::ToleratedBefore, None);
    let refused = prescribed(&house, &doctor, &amoxicillin, silent)
        .await
        .unwrap();
    assert!(matches!(refused.end, End::Held(_)), "words are needed");
    let reasons = answer(
        &held,
        Reason::ToleratedBefore,
        Some("Given last year without harm"),
    );
    let done = prescribed(&house, &doctor, &amoxicillin, reasons)
        .await
        .unwrap();
    let End::Stored {
        order: name,
        waits: true,
        ..
    } = &done.end
    else {
        panic!("{:?}", done.end)
    };
    let key = house.key(name);
    assert_eq!(house.read(&doctor, name).await.unwrap()["status"], "draft");
    let same = countersign(&house.app, &doctor, &key).await;
    assert!(matches!(same, Err(AppError::Unprocessable(text)) if text.contains("the first")));
    let nurse = house.caller("ash", Role::Nurse).await;
    assert!(matches!(
        countersign(&house.app, &nurse, &key).await,
        Err(AppError::Denied { .. })
    ));
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    countersign(&house.app, &pharmacist, &key).await.unwrap();
    assert_eq!(house.read(&doctor, name).await.unwrap()["status"], "active");
    let twice = countersign(&house.app, &pharmacist, &key).await;
    assert!(matches!(twice, Err(AppError::Conflict(_))));
}

#[tokio::test]
async fn the_second_person_sees_what_is_new() {
    let penicillin = allergy("a1", &json!({ "text": "Penicillin" }));
    let (house, doctor) = ward(&[penicillin]).await;
    let amoxicillin = order("Amoxicillin 500mg capsule");
    let held = prescribed(&house, &doctor, &amoxicillin, Vec::new())
        .await
        .unwrap();
    let reasons = answer(
        &held,
        Reason::ToleratedBefore,
        Some("Given last year without harm"),
    );
    let done = prescribed(&house, &doctor, &amoxicillin, reasons)
        .await
        .unwrap();
    let End::Stored { order: name, .. } = &done.end else {
        panic!("{:?}", done.end)
    };
    house
        .put(&doctor, &allergy("a2", &json!({ "text": "Amoxicillin" })))
        .await
        .unwrap();
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    let stopped = countersign(&house.app, &pharmacist, &house.key(name)).await;
    assert!(matches!(stopped, Err(AppError::Conflict(text)) if text.contains("new since")));
}

#[tokio::test]
async fn two_prescribers_at_once_do_not_miss_each_other() {
    let (house, doctor) = ward(&[none_known()]).await;
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    let (warfarin, ibuprofen) = (
        order("Warfarin 1mg tablet"),
        order("Ibuprofen 400mg tablet"),
    );
    let (one, other) = tokio::join!(
        prescribed(&house, &doctor, &warfarin, Vec::new()),
        prescribed(&house, &pharmacist, &ibuprofen, Vec::new()),
    );
    let ends = [one.unwrap().end, other.unwrap().end];
    let stored = ends
        .iter()
        .filter(|end| matches!(end, End::Stored { .. }))
        .count();
    let held = ends
        .iter()
        .filter(|end| matches!(end, End::Held(_)))
        .count();
    assert_eq!((stored, held), (1, 1), "{ends:?}");
}

#[tokio::test]
async fn orders_that_say_too_little_are_refused() {
    let (house, doctor) = ward(&[none_known()]).await;
    let change = |member: &str, value: Value| {
        let mut order = order("Ramipril 5mg capsule");
        order[member] = value;
        order
    };
    let table = [
        change("status", json!("completed")),
        change("id", json!("x")),
        change("dosageInstruction", json!([])),
        change("subject", json!({ "display": "Mrs Ward" })),
        change(
            "dosageInstruction",
            json!([{ "doseAndRate": [{ "doseQuantity": { "value": -1, "unit": "tablet" } }] }]),
        ),
        change("resourceType", json!("Observation")),
    ];
    for order in table {
        let refused = prescribed(&house, &doctor, &order, Vec::new()).await;
        assert!(
            matches!(
                refused,
                Err(AppError::Unprocessable(_) | AppError::Invalid(_))
            ),
            "{order}: {refused:?}"
        );
    }
    let nurse = house.caller("ash", Role::Nurse).await;
    let denied = prescribed(&house, &nurse, &order("Ramipril 5mg capsule"), Vec::new()).await;
    assert!(matches!(denied, Err(AppError::Denied { .. })), "{denied:?}");
}

#[tokio::test]
async fn a_key_prescribes_once() {
    let (house, doctor) = ward(&[none_known()]).await;
    let doctor = House::with_key(&doctor, "one");
    let ramipril = order("Ramipril 5mg capsule");
    let mut names = Vec::new();
    for _ in 0..2 {
        match prescribed(&house, &doctor, &ramipril, Vec::new())
            .await
            .unwrap()
            .end
        {
            End::Stored {
                order,
                waits: false,
                ..
            } => names.push(order),
            end => panic!("{end:?}"),
        }
    }
    assert_eq!(names[0], names[1]);
}

#[tokio::test]
async fn names_that_are_taken_for_each_other_are_shown() {
    let (house, doctor) = ward(&[none_known(), stored("Carbimazole 5mg tablet", "m1")]).await;
    let answer = looked_at(&house, &doctor, &[order("Carbamazepine 200mg tablet")])
        .await
        .unwrap();
    let pairs: Vec<(&str, &str, bool)> = answer
        .alike
        .iter()
        .map(|own| (own.ordered.as_str(), own.other.as_str(), own.taken))
        .collect();
    assert_eq!(
        pairs,
        [
            ("carBAMazepine", "carBIMazole", true),
            ("carBAMazepine", "OXcarbazepine", false)
        ]
    );
    // Looking at the list alone warns of nothing: nobody chooses a name.
    let answer = looked_at(&house, &doctor, &[]).await.unwrap();
    assert!(answer.alike.is_empty());
}
