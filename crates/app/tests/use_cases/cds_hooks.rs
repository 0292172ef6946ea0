//! Calls of hooks below the edges: what is kept of them, repeating them bit for bit, when they go, and what
//! becomes of cards in the report on overrides.

use app::cds_hooks::answer::{Answered, Asker, answer};
use app::cds_hooks::facts::Side;
use app::cds_hooks::feedback::feedback;
use app::cds_hooks::log::{list, one};
use app::cds_hooks::replay::replay;
use app::cds_hooks::setting::{self, Setting};
use app::medicines::analytics::report;
use app::{AppError, Caller};
use identity::{Role, SystemTask, system_scope};
use serde_json::{Value, json};

use crate::house::{House, patient};

fn order(id: &str, status: &str, name: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": status, "intent": "order",
        "medicationCodeableConcept": { "text": name }, "subject": { "reference": "Patient/p1" },
        "dosageInstruction": [{
            "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
            "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006" }] },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }],
    })
}

fn bundle(resources: &[Value]) -> Value {
    let entries: Vec<Value> = resources
        .iter()
        .map(|own| json!({ "resource": own }))
        .collect();
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
}

/// A house that serves hooks, with a patient who takes warfarin.
async fn ward(days: u32) -> (House, Caller) {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let mut person = patient("p1", "Ward");
    person["birthDate"] = json!("1950-01-01");
    house.put(&doctor, &person).await.unwrap();
    let warfarin = order("w", "active", "Warfarin 1mg tablet");
    house.put(&doctor, &warfarin).await.unwrap();
    let admin = house.admin("ash").await;
    let on = Setting {
        enabled: true,
        keep_days: days,
    };
    setting::change(&house.app, &admin, on).await.unwrap();
    (house, doctor)
}

fn call(caller: &Caller, drafts: &[Value]) -> Value {
    json!({
        "hook": "order-sign", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": &*caller.context.base,
        "context": { "userId": "Practitioner/d", "patientId": "p1", "draftOrders": bundle(drafts) },
    })
}

async fn sign(house: &House, caller: &Caller, body: &Value) -> Result<Answered, AppError> {
    let asker = Asker::of_record(caller.clone());
    let body = body.to_string();
    answer(&house.app, &asker, "medication-order-sign", body.as_bytes()).await
}

fn cards(answered: &Answered) -> Vec<Value> {
    let body: Value = serde_json::from_str(&answered.body).unwrap();
    body["cards"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn a_call_is_repeated_to_the_same_bytes_whatever_became_of_the_record() {
    let (house, doctor) = ward(30).await;
    let auditor = house.caller("ash", Role::Auditor).await;
    let body = call(
        &doctor,
        &[
            order("i", "draft", "Ibuprofen 400mg tablet"),
            order("x", "draft", "Magic drops"),
        ],
    );
    let ours = sign(&house, &doctor, &body).await.unwrap();
    let mut sent = body.clone();
    sent.as_object_mut().unwrap().remove("fhirServer");
    sent["prefetch"] = json!({
        "patient": { "resourceType": "Patient", "id": "p1", "birthDate": "2020-02-29", "gender": "female" },
        "medicationRequests": bundle(&[order("m", "active", "Methotrexate 2.5mg tablet")]),
    });
    let theirs = sign(&house, &doctor, &sent).await.unwrap();
    // Years go by, and the record is another one.
    house.clock.advance(3 * 365 * 86_400);
    let stopped = order("w", "stopped", "Warfarin 1mg tablet");
    house.put(&doctor, &stopped).await.unwrap();
    for (answered, side) in [(ours, Side::Ours), (theirs, Side::Theirs)] {
        let again = replay(&house.app, &auditor, answered.call).await.unwrap();
        assert!(again.equal, "{} {}", again.body, answered.body);
        assert_eq!(again.body, answered.body);
        assert_eq!(again.changed, Vec::<String>::new());
        assert_eq!(again.call.side, side);
        assert_eq!(again.call.response, answered.body);
        assert_eq!(again.call.patient, "p1");
    }
    assert!(
        replay(&house.app, &doctor, uuid::Uuid::nil())
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn calls_are_listed_for_auditors_newest_first_and_go_after_their_time() {
    let (house, doctor) = ward(2).await;
    let auditor = house.caller("ash", Role::Auditor).await;
    let mut calls = Vec::new();
    for name in [
        "Ibuprofen 400mg tablet",
        "Aspirin 75mg tablet",
        "Ramipril 5mg capsule",
    ] {
        let body = call(&doctor, &[order("i", "draft", name)]);
        calls.push(sign(&house, &doctor, &body).await.unwrap().call);
        house.clock.advance(60);
    }
    calls.reverse();
    let first = list(&house.app, &auditor, None, 2).await.unwrap();
    let mut seen: Vec<_> = first.calls.iter().map(|own| own.id).collect();
    let next = list(&house.app, &auditor, first.next.as_deref(), 2)
        .await
        .unwrap();
    seen.extend(next.calls.iter().map(|own| own.id));
    assert_eq!(seen, calls);
    assert_eq!(next.next, None);
    assert_eq!(next.calls[0].request_sha256.len(), 64);
    for other in [&doctor, &house.admin("ash").await] {
        assert!(matches!(
            list(&house.app, other, None, 2).await,
            Err(AppError::Denied { .. })
        ));
        assert!(one(&house.app, other, calls[0]).await.is_err());
    }
    let stranger = house.caller("birch", Role::Auditor).await;
    assert!(matches!(
        one(&house.app, &stranger, calls[0]).await,
        Err(AppError::NotFound { .. })
    ));
    house.clock.advance(2 * 86_400 + 120);
    let scope = system_scope(auditor.scope.tenant(), SystemTask::Retention);
    app::jobs::sweep(&house.app, &scope).await.unwrap();
    assert!(
        list(&house.app, &auditor, None, 2)
            .await
            .unwrap()
            .calls
            .is_empty()
    );
    let trail = house.trail("ash", app::Log::Changes, 40).await;
    assert_eq!(
        trail
            .iter()
            .filter(|own| own.starts_with("update success"))
            .count(),
        3,
        "{trail:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn what_became_of_cards_is_in_the_report_on_overrides() {
    let (house, doctor) = ward(30).await;
    let from = house.app.now();
    let body = call(&doctor, &[order("i", "draft", "Ibuprofen 400mg tablet")]);
    let answered = sign(&house, &doctor, &body).await.unwrap();
    let card = cards(&answered).remove(0);
    let asker = Asker::of_record(doctor.clone());
    let told = json!({ "feedback": [{ "card": card["uuid"], "outcome": "overridden",
        "overrideReason": { "reason": card["overrideReasons"][1], "userComment": "INR every day" },
        "outcomeTimestamp": house.app.now().to_string() }] });
    let told = told.to_string();
    let service = "medication-order-sign";
    house.clock.advance(1);
    assert_eq!(
        feedback(&house.app, &asker, service, told.as_bytes())
            .await
            .unwrap(),
        1
    );
    // The last word counts, once.
    feedback(&house.app, &asker, service, told.as_bytes())
        .await
        .unwrap();
    house.clock.advance(1);
    let found = report(&house.app, &doctor, (from, house.app.now()))
        .await
        .unwrap();
    let rule = &found.rules[0];
    assert_eq!((rule.counts.shown, rule.counts.overridden), (1, 1));
    assert_eq!(rule.tier, "high");
    assert!(
        rule.about.starts_with("Warfarin 1mg tablet with Ibuprofen"),
        "{}",
        rule.about
    );
    assert_eq!(
        rule.who.keys().next().unwrap(),
        "Practitioner/d by Test doctor"
    );
    let nobody = report(
        &house.app,
        &doctor,
        (house.app.now(), house.app.now().plus_seconds(1)),
    );
    assert!(nobody.await.unwrap().rules.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn what_is_kept_of_calls_goes_with_an_erased_patient() {
    let (house, doctor) = ward(30).await;
    let auditor = house.caller("ash", Role::Auditor).await;
    let from = house.app.now();
    let mut body = call(&doctor, &[order("i", "draft", "Ibuprofen 400mg tablet")]);
    let ours = sign(&house, &doctor, &body).await.unwrap();
    body.as_object_mut().unwrap().remove("fhirServer");
    body["prefetch"] = json!({ "medicationRequests": bundle(&[]) });
    let theirs = sign(&house, &doctor, &body).await.unwrap();
    let card = cards(&ours).remove(0);
    let told = json!({ "feedback": [{ "card": card["uuid"], "outcome": "overridden",
        "outcomeTimestamp": house.app.now().to_string() }] });
    let asker = Asker::of_record(doctor.clone());
    let told = told.to_string();
    feedback(&house.app, &asker, "medication-order-sign", told.as_bytes())
        .await
        .unwrap();
    let admin = house.admin("ash").await;
    let patient = "p1".parse().unwrap();
    app::erase::erase(&house.app, &admin, &patient, "request")
        .await
        .unwrap();
    let left = list(&house.app, &auditor, None, 10).await.unwrap();
    let left: Vec<_> = left.calls.iter().map(|own| own.id).collect();
    assert_eq!(left, [theirs.call]);
    house.clock.advance(1);
    let found = report(&house.app, &doctor, (from, house.app.now()))
        .await
        .unwrap();
    assert!(found.rules.is_empty());
}
