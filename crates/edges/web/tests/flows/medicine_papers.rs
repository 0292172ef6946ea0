//! The report on alerts, the history, the chart on paper, today's doses and the card, after something happened.

#![expect(
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use identity::{Role, RoleAssignment};
use serde_json::json;

use crate::browser::Browser;
use crate::house::House;

const LIST: &str = "/t/ash/patients/ash-p1/medicines";

async fn page(browser: &mut Browser, path: &str) -> String {
    let answer = browser.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

/// An order of today with a dose that was given and one that is due, and one that was stopped.
async fn ward() -> House {
    let house = House::build().await;
    let doctor = house.caller("ash", "doctor").await;
    let now = house.app.now();
    let order = json!({ "resourceType": "MedicationRequest", "id": "ram", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/ash-p1"}, "authoredOn": now.plus_seconds(-3 * 86_400).to_fhir_instant(),
        "medicationCodeableConcept": {"text": "Ramipril 5mg capsule"}, "reasonCode": [{"text": "High blood pressure"}],
        "requester": {"display": "Dr Asha Rao"},
        "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "timeOfDay": ["08:00:00"]}},
            "route": {"coding": [{"system": "http://snomed.info/sct", "code": "26643006"}]},
            "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "capsule", "system": "http://unitsofmeasure.org", "code": "{capsule}"}}]}] });
    house.put(&doctor, &order).await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_tells_every_change_with_who() {
    let house = ward().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let stop = format!("{LIST}/ram/stop");
    house.clock.advance(60);
    let done = doctor
        .submit(&stop, &stop, &[("reason", "sintol"), ("words", "cough")])
        .await;
    assert_eq!(done.status, 303, "{}", done.body);
    let body = page(&mut doctor, &format!("{LIST}/history")).await;
    for part in [
        "Stopped",
        "Status: stopped; before: active",
        "Reason: cough",
        "doctor ashcanary",
        "1 capsule by mouth once a day at 08:00.",
        "/records/MedicationRequest/ram?version=2",
        "/records/MedicationRequest/ram?version=1",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_card_and_the_chart_say_what_is_taken() {
    let house = ward().await;
    let mut nurse = house.signed_in("ash", "nurse").await;
    let card = page(&mut nurse, &format!("{LIST}/card")).await;
    for part in [
        "ramipril 5mg capsule",
        "High blood pressure",
        "1 capsule by mouth once a day at 08:00.",
        "Known allergies: penicillin ashcanary",
        "Not recorded: ask",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(
        page(&mut nurse, &format!("{LIST}/card?size=a6"))
            .await
            .contains("med-card-small")
    );
    let sheet = page(&mut nurse, &format!("{LIST}/print")).await;
    for part in ["ramipril", "08:00", "Nothing recorded", "28 days before"] {
        assert!(sheet.contains(part), "{part}: {sheet}");
    }
    // Three days without a record are three gaps, said in words and by a mark.
    assert!(sheet.matches(">!</span>").count() >= 2, "{sheet}");
    let ambiguous = nurse.get(&format!("{LIST}/print?from=05/03/2026")).await;
    assert_eq!(ambiguous.status, 400);
}

/// A patient sees the own record alone: today's doses, the list, the card.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_sees_its_own_patient_alone() {
    let house = ward().await;
    let admin = house.caller("ash", "admin").await;
    let new = app::admin::users::NewUser {
        sign_in_name: "jane".to_owned(),
        display_name: "Jane Smith".to_owned(),
        roles: vec![RoleAssignment::of(Role::Patient)],
        practitioner: None,
        patients: vec!["ash-p1".parse().unwrap()],
        password: Some(zeroize::Zeroizing::new(crate::house::PASSWORD.to_owned())),
    };
    app::admin::users::create(&house.app, &admin, new)
        .await
        .unwrap();
    let mut jane = house.signed_in("ash", "jane").await;
    let home = page(&mut jane, "/t/ash/medicines").await;
    assert!(
        home.contains("My medicines") && home.contains(LIST) && !home.contains("ash-p2"),
        "{home}"
    );
    let today = page(&mut jane, &format!("{LIST}/today")).await;
    assert!(
        today.contains("ramipril") && today.contains("08:00"),
        "{today}"
    );
    let list = page(&mut jane, LIST).await;
    assert!(
        list.contains("ramipril") && !list.contains("/ram/stop"),
        "{list}"
    );
    page(&mut jane, &format!("{LIST}/card")).await;
    for foreign in ["today", "card", "print", "history"] {
        let other = format!("/t/ash/patients/ash-p2/medicines/{foreign}");
        assert_eq!(jane.get(&other).await.status, 404, "{other}");
    }
    assert_eq!(jane.get("/t/ash/medicines/alerts").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_counts_what_was_followed_and_overridden() {
    let house = House::build().await;
    let doctor = house.caller("ash", "doctor").await;
    let body = json!({ "resourceType": "MedicationRequest", "id": "ibu", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/ash-p1"}, "authoredOn": house.app.now().to_fhir_instant(),
        "medicationCodeableConcept": {"text": "Ibuprofen 400mg tablet"},
        "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}] });
    house.put(&doctor, &body).await;
    let order = |medicine: &str| {
        let mut own = body.clone();
        own["medicationCodeableConcept"]["text"] = medicine.into();
        own.as_object_mut().unwrap().remove("id");
        own.to_string().into_bytes()
    };
    let warfarin =
        fhir::json::Document::parse(order("Warfarin 1mg tablet"), &fhir::json::Limits::default())
            .unwrap();
    let mut request = app::medicines::prescribe::Prescription {
        order: warfarin.root(),
        overrides: Vec::new(),
    };
    // Held twice, it is one alert.
    for _ in 0..2 {
        let held = app::medicines::prescribe::prescribe(&house.app, &doctor, &request)
            .await
            .unwrap();
        let app::medicines::prescribe::End::Held(_) = held.end else {
            panic!("{:?}", held.end)
        };
        request.overrides = Vec::new();
    }
    let mut browser = house.signed_in("ash", "doctor").await;
    let before = page(&mut browser, "/t/ash/medicines/alerts").await;
    assert!(
        before.contains("Shown") && before.contains("vka-nsaid"),
        "{before}"
    );
    assert!(
        before.contains(">0 + 1</text>"),
        "followed so far: {before}"
    );
    let held = app::medicines::prescribe::prescribe(&house.app, &doctor, &request)
        .await
        .unwrap();
    let loud = held
        .checked
        .alerts
        .iter()
        .filter(|shown| shown.alert.tier.interrupts());
    request.overrides = loud
        .map(|shown| medication::checks::overrides::Override {
            fingerprint: shown.fingerprint.clone(),
            reason: medication::checks::overrides::Reason::Monitored,
            text: None,
            by: String::new(),
            second: None,
        })
        .collect();
    let done = app::medicines::prescribe::prescribe(&house.app, &doctor, &request)
        .await
        .unwrap();
    assert!(
        matches!(done.end, app::medicines::prescribe::End::Stored { .. }),
        "{:?}",
        done.end
    );
    let after = page(&mut browser, "/t/ash/medicines/alerts").await;
    assert!(
        after.contains(">1 + 0</text>"),
        "overridden now, and counted once: {after}"
    );
    for part in [
        "It is watched by tests or observation",
        "doctor ashcanary",
        "Orders written",
    ] {
        assert!(after.contains(part), "{part}: {after}");
    }
    let earlier = page(
        &mut browser,
        "/t/ash/medicines/alerts?from=01-Jan-2020&until=02-Jan-2020",
    )
    .await;
    assert!(
        earlier.contains("No alert held up an order in this time."),
        "{earlier}"
    );
    let wrong = browser.get("/t/ash/medicines/alerts?from=05/03/2026").await;
    assert!(
        wrong.status == 422 && wrong.body.contains("month in letters"),
        "{}",
        wrong.body
    );
    let mut nurse = house.signed_in("ash", "nurse").await;
    assert_eq!(nurse.get("/t/ash/medicines/alerts").await.status, 404);
}
