//! Two people are two people: no write of the record makes a second one, signs an order, or witnesses a
//! dose; a signature holds for the alert that was signed, whichever of its medicines is given.

use app::medicines::chart::chart;
use app::medicines::countersign::countersign;
use app::medicines::rounds::{RoundRequest, handover, round};
use app::medicines::witness::{Witnessing, witness};
use app::{AppError, Caller};
use identity::Role;
use kernel::Clock as _;
use serde_json::{Value, json};

use crate::doses::{MORNING, blocked, due, name, order, prescribed, record, scheduled, ward};

const MORPHINE: &str = "Morphine 10mg modified-release tablet";

fn penicillin() -> Value {
    json!({ "resourceType": "AllergyIntolerance", "id": "penicillin",
        "patient": { "reference": "Patient/p1" }, "code": { "text": "Penicillin" },
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] } })
}

fn capsules() -> Value {
    let mut own = scheduled(1);
    own["doseAndRate"][0]["doseQuantity"]["unit"] = json!("capsule");
    order("amoxicillin", "Amoxicillin 500mg capsule", &own)
}

fn id(name: &str) -> &str {
    name.split_once('/').unwrap().1
}

fn verifier(targets: &[&str], who: &Value) -> Value {
    let targets: Vec<Value> = targets
        .iter()
        .map(|own| json!({ "reference": own }))
        .collect();
    json!({ "resourceType": "Provenance", "target": targets, "recorded": "2026-03-05T08:00:00Z",
        "agent": [{ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "verifier",
        }]}, "who": who }] })
}

fn account(caller: &Caller) -> Value {
    json!({ "identifier": { "system": "urn:ietf:rfc:3986",
        "value": format!("urn:uuid:{}", caller.subject.actor().id.as_uuid()) } })
}

#[tokio::test]
async fn no_write_of_the_record_signs_as_the_second_person() {
    let (house, nurse) = ward(&[penicillin()]).await;
    let doctor = house.doctor().await;
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    let held = prescribed(&house, &doctor, &capsules()).await;
    let mut resource = house.read(&doctor, &held).await.unwrap();
    assert_eq!(resource["status"], "draft");
    // The doctor alone: the order put in force, and somebody else named as the verifier.
    for status in ["active", "on-hold", "unknown", "completed"] {
        resource["status"] = json!(status);
        let forced = house.put(&doctor, &resource).await;
        assert!(
            matches!(&forced, Err(AppError::Unprocessable(text)) if text.contains("$countersign")),
            "{status}: {forced:?}"
        );
    }
    let entry = json!({ "request": { "method": "PUT", "url": held }, "resource": resource });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry] });
    let forced = house.bundle(&doctor, &bundle).await;
    assert!(forced.is_err(), "{forced:?}");
    let same = countersign(&house.app, &doctor, &house.key(&held)).await;
    assert!(matches!(same, Err(AppError::Unprocessable(_))), "{same:?}");
    // What the house may still do with a draft: change its words, withdraw it.
    resource["status"] = json!("draft");
    resource["note"] = json!([{ "text": "waits" }]);
    house.put(&doctor, &resource).await.unwrap();

    // An order that nobody held back, with a verifier written by hand: it is given by nobody.
    house.put(&doctor, &capsules()).await.unwrap();
    let forged = verifier(
        &["MedicationRequest/amoxicillin", "Patient/p1"],
        &account(&pharmacist),
    );
    house.create(&doctor, &forged).await.unwrap();
    let given = record(&house, &nurse, "amoxicillin", &due(MORNING)).await;
    let reasons = blocked(&given.unwrap());
    assert!(
        reasons.contains(&"no-second-person".to_owned()),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn a_draft_with_somebody_elses_reason_is_signed_by_nobody() {
    let (house, _) = ward(&[penicillin()]).await;
    let doctor = house.doctor().await;
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    // A real one, to copy its issue from, and a draft of the doctor's own that names the copy.
    let held = prescribed(&house, &doctor, &capsules()).await;
    let held = house.read(&doctor, &held).await.unwrap();
    let issue = held["detectedIssue"][0]["reference"].as_str().unwrap();
    let mut copy = house.read(&doctor, issue).await.unwrap();
    copy["id"] = json!("copy");
    copy["mitigation"][0]["author"] = account(&pharmacist);
    house.put(&doctor, &copy).await.unwrap();
    let mut draft = capsules();
    draft["status"] = json!("draft");
    draft["detectedIssue"] = json!([{ "reference": "DetectedIssue/copy" }]);
    house.put(&doctor, &draft).await.unwrap();
    let key = house.key("MedicationRequest/amoxicillin");
    let signed = countersign(&house.app, &doctor, &key).await;
    assert!(
        matches!(&signed, Err(AppError::Unprocessable(text)) if text.contains("first person")),
        "{signed:?}"
    );
    // Nor does the copy count for an order that was prescribed.
    let mut other = held.clone();
    other["detectedIssue"] = json!([{ "reference": "DetectedIssue/copy" }]);
    house.put(&doctor, &other).await.unwrap();
    let name = format!("MedicationRequest/{}", other["id"].as_str().unwrap());
    let signed = countersign(&house.app, &pharmacist, &house.key(&name)).await;
    assert!(
        matches!(signed, Err(AppError::Unprocessable(_))),
        "{signed:?}"
    );
}

#[tokio::test]
async fn a_signature_holds_for_the_alert_with_either_medicine() {
    let statin = order("statin", "Simvastatin 20mg tablet", &scheduled(1));
    let (house, nurse) = ward(&[statin]).await;
    let doctor = house.doctor().await;
    let macrolide = order("macrolide", "Clarithromycin 500mg tablet", &scheduled(1));
    let held = prescribed(&house, &doctor, &macrolide).await;
    let before = record(&house, &nurse, "statin", &due(MORNING))
        .await
        .unwrap();
    assert!(before.stored.is_some(), "a draft speaks against nothing");
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    countersign(&house.app, &pharmacist, &house.key(&held))
        .await
        .unwrap();
    house.clock.advance(12 * 3600);
    let evening = due(crate::doses::EVENING);
    for order in ["statin", id(&held)] {
        let given = record(&house, &nurse, order, &evening).await.unwrap();
        assert!(given.stored.is_some(), "{order}: {:?}", given.decision);
    }
    // Once the order that it was signed with is over, so is the signature.
    let mut ended = house.read(&doctor, &held).await.unwrap();
    ended["status"] = json!("cancelled");
    house.put(&doctor, &ended).await.unwrap();
    house.put(&doctor, &macrolide).await.unwrap();
    house.clock.advance(12 * 3600);
    let next = due("2026-03-06T08:00:00Z");
    let given = record(&house, &nurse, "statin", &next).await.unwrap();
    let reasons = blocked(&given);
    assert!(
        reasons.contains(&"no-second-person".to_owned()),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn the_second_person_does_not_give_what_they_signed() {
    let (house, _) = ward(&[penicillin()]).await;
    let doctor = house.doctor().await;
    let held = prescribed(&house, &doctor, &capsules()).await;
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    countersign(&house.app, &pharmacist, &house.key(&held))
        .await
        .unwrap();
    let given = record(&house, &pharmacist, id(&held), &due(MORNING)).await;
    match given {
        Ok(given) => assert!(blocked(&given).contains(&"no-second-person".to_owned())),
        Err(error) => assert!(matches!(error, AppError::Denied { .. }), "{error:?}"),
    }
}

#[tokio::test]
async fn no_write_of_the_record_witnesses_a_dose() {
    let (house, nurse) = ward(&[order("morphine", MORPHINE, &scheduled(1))]).await;
    let carer = house.caller("ash", Role::Carer).await;
    let asked = app::medicines::give::Dose {
        reason: Some("the dose is known here".to_owned()),
        witness: Some(account(&carer)),
        ..due(MORNING)
    };
    let given = record(&house, &nurse, "morphine", &asked).await.unwrap();
    let stored = name(&given);
    let mut resource = house.read(&nurse, &stored).await.unwrap();
    let coding = &mut resource["performer"][1]["function"]["coding"][0]["code"];
    assert_eq!(*coding, "witness-asked");
    *coding = json!("witness");
    house.put(&nurse, &resource).await.unwrap();
    house
        .create(
            &nurse,
            &verifier(&[&stored, "Patient/p1"], &account(&carer)),
        )
        .await
        .unwrap();
    let drawn = || async {
        let patient = house.key("Patient/p1");
        let drawn = chart(&house.app, &nurse, &patient, (Some("2026-03-05"), Some(1))).await;
        drawn.unwrap().parameters(house.app.now()).to_string()
    };
    let forged = drawn().await;
    assert!(!forged.contains("\"signed\""), "{forged}");
    assert!(forged.contains("\"stated\""), "{forged}");
    // The witness themselves.
    resource["performer"][1]["function"]["coding"][0]["code"] = json!("witness-asked");
    house.put(&nurse, &resource).await.unwrap();
    witness(
        &house.app,
        &carer,
        &house.key(&stored),
        &Witnessing::default(),
    )
    .await
    .unwrap();
    let signed = drawn().await;
    assert!(signed.contains("\"signed\""), "{signed}");
}

#[tokio::test]
async fn no_write_of_the_record_changes_who_gave_and_who_was_asked() {
    let (house, nurse) = ward(&[order("morphine", MORPHINE, &scheduled(1))]).await;
    let carer = house.caller("ash", Role::Carer).await;
    let doctor = house.doctor().await;
    let asked = app::medicines::give::Dose {
        reason: Some("the dose is known here".to_owned()),
        witness: Some(account(&carer)),
        ..due(MORNING)
    };
    let given = record(&house, &nurse, "morphine", &asked).await.unwrap();
    let stored = name(&given);
    let made = house.read(&nurse, &stored).await.unwrap();
    let sign = async |who: &app::Caller| {
        let with = Witnessing::default();
        let own = witness(&house.app, who, &house.key(&stored), &with).await;
        own.map(|_| ()).map_err(|error| error.to_string())
    };
    // Whoever gave it names somebody else as the giver, and themselves as the witness.
    let mut turned = made.clone();
    turned["performer"][0]["actor"] = made["performer"][1]["actor"].clone();
    turned["performer"][1]["actor"] = made["performer"][0]["actor"].clone();
    house.put(&nurse, &turned).await.unwrap();
    let refused = sign(&nurse).await.unwrap_err();
    assert!(refused.contains("is the giver"), "{refused}");
    let refused = sign(&carer).await.unwrap_err();
    assert!(refused.contains("is the giver"), "{refused}");
    // Another witness than the one who was asked.
    let mut other = made.clone();
    other["performer"][1]["actor"] = account(&doctor);
    house.put(&nurse, &other).await.unwrap();
    for who in [&doctor, &carer] {
        let refused = sign(who).await.unwrap_err();
        assert!(refused.contains("another witness than"), "{refused}");
    }
    // Another giver.
    let mut other = made.clone();
    other["performer"][0]["actor"] = account(&doctor);
    house.put(&nurse, &other).await.unwrap();
    let refused = sign(&carer).await.unwrap_err();
    assert!(refused.contains("another giver than"), "{refused}");
    // As it was made, who was asked signs.
    house.put(&nurse, &made).await.unwrap();
    sign(&carer).await.unwrap();
}

#[tokio::test]
async fn a_witness_has_an_account_that_may_sign() {
    let (house, nurse) = ward(&[order("morphine", MORPHINE, &scheduled(1))]).await;
    let receptionist = house.caller("ash", Role::Receptionist).await;
    let stranger = json!({ "identifier": { "system": "urn:ietf:rfc:3986",
        "value": "urn:uuid:99999999-9999-4999-8999-999999999999" } });
    for nobody in [
        stranger,
        json!({ "reference": "Practitioner/none" }),
        account(&receptionist),
    ] {
        let asked = app::medicines::give::Dose {
            witness: Some(nobody.clone()),
            ..due(MORNING)
        };
        let given = record(&house, &nurse, "morphine", &asked).await;
        assert!(
            matches!(&given, Err(AppError::Unprocessable(text)) if text.contains("may sign")),
            "{nobody}: {given:?}"
        );
    }
}

#[tokio::test]
async fn who_was_asked_and_did_not_sign_is_handed_over() {
    let (house, nurse) = ward(&[order("morphine", MORPHINE, &scheduled(1))]).await;
    let carer = house.caller("ash", Role::Carer).await;
    let asked = app::medicines::give::Dose {
        reason: Some("the dose is known here".to_owned()),
        witness: Some(account(&carer)),
        ..due(MORNING)
    };
    let given = record(&house, &nurse, "morphine", &asked).await.unwrap();
    let stored = name(&given);
    // A day later still, whose shift it is now.
    house.clock.advance(86_400);
    let words = || async {
        let to = house.clock.now();
        let shift = (to.plus_seconds(-8 * 3600), to);
        let report = handover(&house.app, &nurse, None, shift).await.unwrap();
        report[0].words.join("; ")
    };
    let said = words().await;
    assert!(said.contains("The witness has not signed"), "{said}");
    witness(
        &house.app,
        &carer,
        &house.key(&stored),
        &Witnessing::default(),
    )
    .await
    .unwrap();
    let said = words().await;
    assert!(!said.contains("has not signed"), "{said}");
}

#[tokio::test]
async fn an_order_that_does_not_say_whether_it_is_in_force_is_seen() {
    let mut unsure = order("unsure", "Paracetamol 500mg tablet", &scheduled(2));
    unsure["status"] = json!("unknown");
    let (house, nurse) = ward(&[unsure]).await;
    let now = round(&house.app, &nurse, &RoundRequest::default())
        .await
        .unwrap();
    let said = now.stops[0].unreadable.join(" ");
    assert!(said.contains("ask the prescriber"), "{said}");
    let patient = house.key("Patient/p1");
    let drawn = chart(&house.app, &nurse, &patient, (None, None)).await;
    let drawn = drawn.unwrap().parameters(house.app.now()).to_string();
    assert!(drawn.contains("ask the prescriber"), "{drawn}");
}
