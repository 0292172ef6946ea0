//! Recording doses against the record: what is decided, what is stored, what two people do at once, who
//! signs as the witness, and that the chart shows every due dose once.

use app::admin::branches;
use app::medicines::chart::chart;
use app::medicines::countersign::countersign;
use app::medicines::give::{Dose, Given, give};
use app::medicines::prescribe::{End, Prescription, prescribe};
use app::medicines::reasons::{self, verdict};
use app::medicines::register::Signing;
use app::medicines::stock::From;
use app::medicines::witness::{Witnessing, witness};
use app::{AppError, Caller};
use fhir::json::{Document, Limits};
use identity::{BranchKind, Role, RoleAssignment};
use kernel::Timestamp;
use medication::Quantity;
use medication::administration::{Correction, How, Outcome, Right, Verified};
use medication::checks::overrides::{Override, Reason};
use medication::quantity::Unit;
use serde_json::{Value, json};

use crate::house::{House, patient};

const SCHEDULED: &str = "scheduled";
pub const MORNING: &str = "2026-03-05T08:00:00Z";
pub const EVENING: &str = "2026-03-05T20:00:00Z";

pub fn order(id: &str, name: &str, dosage: &Value) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": name }, "subject": { "reference": "Patient/p1" },
        "authoredOn": "2026-03-01T00:00:00Z", "dosageInstruction": [dosage],
    })
}

pub fn scheduled(tablets: u32) -> Value {
    json!({
        "timing": { "repeat": { "timeOfDay": ["08:00:00", "20:00:00"] } },
        "doseAndRate": [{ "doseQuantity": { "value": tablets, "unit": "tablet" } }],
    })
}

pub fn needed() -> Value {
    json!({
        "asNeededCodeableConcept": { "text": "pain" },
        "timing": { "repeat": { "frequency": 1, "period": 4, "periodUnit": "h" } },
        "doseAndRate": [{ "doseQuantity": { "value": 2, "unit": "tablet" } }],
        "maxDosePerPeriod": { "numerator": { "value": 8, "unit": "tablet" },
            "denominator": { "value": 1, "system": "http://unitsofmeasure.org", "code": "d" } },
    })
}

/// A ward with a patient of 70 kg without allergies and what is given, a carer and a nurse.
pub async fn ward(resources: &[Value]) -> (House, Caller) {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let admin = house.admin("ash").await;
    let north = branches::NewBranch {
        name: "north".to_owned(),
        kind: BranchKind::Ward,
        organization: None,
    };
    let north = branches::create(&house.app, &admin, north).await.unwrap();
    let mut person = patient("p1", "Ward");
    person["birthDate"] = json!("1950-01-01");
    let at = format!("Organization/{}", north.organization.as_str());
    person["managingOrganization"] = json!({ "reference": at });
    house.put(&doctor, &person).await.unwrap();
    let known = [
        json!({ "resourceType": "AllergyIntolerance", "id": "none", "patient": { "reference": "Patient/p1" },
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
            "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] } }),
        json!({ "resourceType": "Observation", "id": "weight", "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "29463-7" }] },
            "subject": { "reference": "Patient/p1" }, "effectiveDateTime": "2026-03-01T08:00:00Z",
            "valueQuantity": { "value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg" } }),
    ];
    for resource in known.iter().chain(resources) {
        house.put(&doctor, resource).await.unwrap();
    }
    let of = |role| RoleAssignment::at(role, vec![north.id]);
    house.caller_with("ash", of(Role::Carer)).await;
    let nurse = house.caller_with("ash", of(Role::Nurse)).await;
    (house, nurse)
}

async fn paracetamol() -> (House, Caller) {
    ward(&[order(SCHEDULED, "Paracetamol 500mg tablet", &scheduled(2))]).await
}

/// A dose with every right verified.
pub fn dose(outcome: Outcome) -> Dose {
    Dose {
        outcome,
        dose: None,
        reason: None,
        happened: None,
        slot: None,
        rights: Right::ALL
            .map(|right| Verified {
                right,
                how: How::Read,
                fits: true,
            })
            .to_vec(),
        witness: None,
        need: None,
        done: false,
        corrects: None,
        from: From::default(),
        signing: Signing::default(),
        late: None,
        scan: None,
        dosage: None,
        offline: None,
    }
}

/// A witness who brings nothing but their own sign-in.
fn alone() -> Witnessing {
    Witnessing::default()
}

pub fn due(slot: &str) -> Dose {
    Dose {
        slot: Some(slot.to_owned()),
        ..dose(Outcome::Given)
    }
}

pub async fn record(
    house: &House,
    caller: &Caller,
    order: &str,
    dose: &Dose,
) -> Result<Given, AppError> {
    let key = house.key(&format!("MedicationRequest/{order}"));
    give(&house.app, caller, &key, dose).await
}

/// The address of what was stored.
pub fn name(given: &Given) -> String {
    let stored = given.stored.as_ref();
    stored
        .unwrap_or_else(|| panic!("{:?}", given.decision))
        .0
        .clone()
}

/// The codes of the reasons that block.
pub fn blocked(given: &Given) -> Vec<String> {
    let decision = given.decision.as_ref().unwrap();
    let reasons = decision.reasons.iter();
    reasons
        .filter(|(own, _)| verdict(*own) == "block")
        .map(|(_, why)| reasons::code(why))
        .collect()
}

fn held(given: &Given) -> Vec<String> {
    assert!(given.stored.is_none(), "{given:?}");
    blocked(given)
}

async fn charted(house: &House, caller: &Caller, from: &str, days: i64) -> Value {
    let patient = house.key("Patient/p1");
    let drawn = chart(&house.app, caller, &patient, (Some(from), Some(days))).await;
    drawn.unwrap().parameters(house.app.now())
}

fn parts<'a>(of: &'a Value, list: &str, name: &str) -> Vec<&'a Value> {
    let parts = of[list].as_array().unwrap();
    parts.iter().filter(|part| part["name"] == name).collect()
}

fn value<'a>(of: &'a Value, name: &str) -> &'a str {
    let found = parts(of, "part", name);
    let own = found.first().unwrap_or_else(|| panic!("{name}: {of}"));
    let own = own.as_object().unwrap().values().nth(1).unwrap();
    own.as_str().unwrap()
}

/// Due time and state of every dose of the first order.
fn states(chart: &Value) -> Vec<(String, String)> {
    let order = parts(chart, "parameter", "order")[0];
    let doses = parts(order, "part", "dose");
    doses
        .iter()
        .map(|own| {
            assert_eq!(parts(own, "part", "state").len(), 1, "{own}");
            (value(own, "due").to_owned(), value(own, "state").to_owned())
        })
        .collect()
}

async fn administrations(house: &House, caller: &Caller) -> usize {
    let found = house
        .search(caller, "MedicationAdministration?patient=p1")
        .await;
    found.unwrap().0.len()
}

#[tokio::test]
async fn a_dose_is_given_and_stands_on_the_chart() {
    let (house, nurse) = paracetamol().await;
    let given = record(&house, &nurse, SCHEDULED, &due(MORNING))
        .await
        .unwrap();
    let stored = house.read(&nurse, &name(&given)).await.unwrap();
    assert_eq!(stored["status"], "completed");
    assert_eq!(stored["dosage"]["dose"]["value"], json!(2));
    let own = format!("urn:uuid:{}", nurse.subject.actor().id.as_uuid());
    assert_eq!(
        stored["performer"][0]["actor"]["identifier"]["value"],
        json!(own)
    );
    assert_eq!(
        stored["request"]["reference"],
        "MedicationRequest/scheduled"
    );
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    // In its window the one due dose needs no naming: it has its outcome.
    let unnamed = record(&house, &nurse, SCHEDULED, &dose(Outcome::Given)).await;
    assert!(held(&unnamed.unwrap()).contains(&"possible-double".to_owned()));
    let [morning, evening] = states(&chart).try_into().unwrap();
    assert_eq!(morning.1, "given");
    assert_eq!(evening.1, "upcoming");
    let now = parts(parts(&chart, "parameter", "order")[0], "part", "now")[0];
    assert_eq!(value(now, "decision"), "block", "its time has not come");
    assert!(value(now, "next").starts_with("2026-03-05T19"), "{now}");
}

#[tokio::test]
async fn what_is_too_early_wants_a_reason() {
    let (house, nurse) = paracetamol().await;
    let early = record(&house, &nurse, SCHEDULED, &due(EVENING))
        .await
        .unwrap();
    assert_eq!(held(&early), ["early"]);
    let outcome = reasons::outcome(early.decision.as_ref().unwrap());
    let said = outcome["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(
        said.starts_with("nothing was stored. block: it is 11 h"),
        "{said}"
    );
    assert_eq!(administrations(&house, &nurse).await, 0);
    let reasoned = Dose {
        reason: Some("leaves at nine".to_owned()),
        ..due(EVENING)
    };
    let given = record(&house, &nurse, SCHEDULED, &reasoned).await.unwrap();
    assert!(given.stored.is_some());
    house.clock.advance(6 * 3600);
    let without = record(&house, &nurse, SCHEDULED, &dose(Outcome::Given)).await;
    assert!(matches!(without, Err(AppError::Unprocessable(text)) if text.contains("send slot")));
    let never = record(&house, &nurse, SCHEDULED, &due("2026-03-05T09:00:00Z")).await;
    assert!(matches!(never, Err(AppError::Unprocessable(text)) if text.contains("is due at")));
}

#[tokio::test]
async fn an_ingredient_is_counted_over_products_and_midnight() {
    let (house, nurse) = ward(&[
        order("plain", "Paracetamol 500mg tablet", &needed()),
        order("mixed", "Co-codamol 500mg/8mg tablet", &needed()),
    ])
    .await;
    house.clock.advance(14 * 3600);
    for hour in ["10", "14", "18", "22"] {
        let before = Dose {
            happened: Timestamp::from_rfc3339(&format!("2026-03-05T{hour}:00:00Z")),
            need: Some("pain".to_owned()),
            done: true,
            ..dose(Outcome::Given)
        };
        let given = record(&house, &nurse, "plain", &before).await.unwrap();
        let blocked = blocked(&given);
        assert!(
            !blocked.contains(&"too-much".to_owned()),
            "{hour}: {blocked:?}"
        );
    }
    house.clock.advance(4 * 3600 + 1800);
    let more = Dose {
        need: Some("pain".to_owned()),
        reason: Some("still in pain".to_owned()),
        ..dose(Outcome::Given)
    };
    let given = record(&house, &nurse, "mixed", &more).await.unwrap();
    assert!(held(&given).contains(&"too-much".to_owned()), "{given:?}");
    let next = reasons::next(given.decision.unwrap().next);
    let next = next["valueInstant"].as_str().unwrap();
    assert!(next.starts_with("2026-03-06T10:00:00"), "{next}");
    // What happened is kept, with what speaks against it.
    let happened = Dose { done: true, ..more };
    let given = record(&house, &nurse, "mixed", &happened).await.unwrap();
    assert!(given.stored.is_some());
    assert!(blocked(&given).contains(&"too-much".to_owned()));
}

#[tokio::test]
async fn as_needed_keeps_its_interval_and_says_for_what() {
    let (house, nurse) = ward(&[order("plain", "Paracetamol 500mg tablet", &needed())]).await;
    let silent = record(&house, &nurse, "plain", &dose(Outcome::Given))
        .await
        .unwrap();
    assert_eq!(held(&silent), ["no-need"]);
    let pain = Dose {
        need: Some("headache".to_owned()),
        ..dose(Outcome::Given)
    };
    let given = record(&house, &nurse, "plain", &pain).await.unwrap();
    let stored = house.read(&nurse, &name(&given)).await.unwrap();
    assert_eq!(stored["reasonCode"][0]["text"], "headache");
    house.clock.advance(2 * 3600);
    let early = record(&house, &nurse, "plain", &pain).await.unwrap();
    assert!(held(&early).contains(&"too-close".to_owned()));
    let next = reasons::next(early.decision.unwrap().next);
    assert!(
        next["valueInstant"]
            .as_str()
            .unwrap()
            .starts_with("2026-03-05T12:00:00")
    );
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    let now = parts(parts(&chart, "parameter", "order")[0], "part", "now")[0];
    assert!(
        value(now, "next").starts_with("2026-03-05T12:00:00"),
        "{now}"
    );
    house.clock.advance(2 * 3600);
    let given = record(&house, &nurse, "plain", &pain).await.unwrap();
    assert!(given.stored.is_some(), "{given:?}");
}

#[tokio::test]
async fn two_people_at_once_give_one_dose() {
    let (house, nurse) = paracetamol().await;
    let carer = house.caller("ash", Role::Carer).await;
    let morning = due(MORNING);
    let (one, other) = tokio::join!(
        record(&house, &nurse, SCHEDULED, &morning),
        record(&house, &carer, SCHEDULED, &morning),
    );
    let both = [one.unwrap(), other.unwrap()];
    let stored = both.iter().filter(|own| own.stored.is_some()).count();
    assert_eq!(stored, 1, "{both:?}");
    let told = both.iter().find(|own| own.stored.is_none()).unwrap();
    let told = held(told);
    assert!(told.contains(&"recorded".to_owned()), "{told:?}");
    assert!(told.contains(&"possible-double".to_owned()), "{told:?}");
    assert_eq!(administrations(&house, &nurse).await, 1);
    // Both gave it: the second record is kept and pointed out.
    let happened = Dose {
        done: true,
        ..morning
    };
    let given = record(&house, &carer, SCHEDULED, &happened).await.unwrap();
    assert!(given.stored.is_some());
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    assert_eq!(parts(&chart, "parameter", "possible-double").len(), 1);
    assert_eq!(states(&chart).len(), 2);
}

#[tokio::test]
async fn what_was_not_taken_says_why() {
    let (house, nurse) = paracetamol().await;
    let refused = Dose {
        outcome: Outcome::Refused,
        ..due(MORNING)
    };
    let silent = record(&house, &nurse, SCHEDULED, &refused).await.unwrap();
    assert_eq!(held(&silent), ["record"]);
    let said = Dose {
        reason: Some("felt sick".to_owned()),
        ..refused
    };
    let given = record(&house, &nurse, SCHEDULED, &said).await.unwrap();
    let stored = house.read(&nurse, &name(&given)).await.unwrap();
    assert_eq!(stored["status"], "not-done");
    assert_eq!(stored["statusReason"][0]["text"], "felt sick");
    assert!(stored.get("dosage").is_none());
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    assert_eq!(states(&chart)[0].1, "refused");
}

#[tokio::test]
async fn corrections_append() {
    let (house, nurse) = paracetamol().await;
    let given = record(&house, &nurse, SCHEDULED, &due(MORNING))
        .await
        .unwrap();
    let first = name(&given);
    let correct = |of: &str, void: bool| Dose {
        outcome: Outcome::Refused,
        reason: Some("spat out".to_owned()),
        corrects: Some(Correction {
            of: of.split_once('/').unwrap().1.parse().unwrap(),
            reason: "pressed the wrong one".to_owned(),
            void,
        }),
        ..dose(Outcome::Refused)
    };
    let second = record(&house, &nurse, SCHEDULED, &correct(&first, false))
        .await
        .unwrap();
    let second = name(&second);
    let before = house.read(&nurse, &first).await.unwrap();
    assert_eq!(before["status"], "completed", "what was written stays");
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    assert_eq!(states(&chart)[0].1, "refused");
    let again = record(&house, &nurse, SCHEDULED, &correct(&first, false)).await;
    assert!(
        matches!(again, Err(AppError::Unprocessable(text)) if text.contains("corrected already"))
    );
    let nothing = correct("MedicationAdministration/nothing", false);
    let nothing = record(&house, &nurse, SCHEDULED, &nothing).await;
    assert!(matches!(nothing, Err(AppError::Unprocessable(text)) if text.contains("not there")));
    let carer = house.caller("ash", Role::Carer).await;
    let void = record(&house, &carer, SCHEDULED, &correct(&second, true))
        .await
        .unwrap();
    let void = house.read(&nurse, &name(&void)).await.unwrap();
    assert_eq!(void["status"], "entered-in-error");
    assert_eq!(void["performer"].as_array().unwrap().len(), 2, "{void}");
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    assert_eq!(states(&chart)[0].1, "given", "what was given stands again");
}

#[tokio::test]
async fn roles_hold() {
    let (house, nurse) = paracetamol().await;
    let carer = house.caller("ash", Role::Carer).await;
    let receptionist = house.caller("ash", Role::Receptionist).await;
    let denied = record(&house, &receptionist, SCHEDULED, &due(MORNING)).await;
    assert!(matches!(denied, Err(AppError::Denied { .. })), "{denied:?}");
    let patient = house.key("Patient/p1");
    let denied = chart(&house.app, &receptionist, &patient, (None, None)).await;
    assert!(matches!(denied, Err(AppError::Denied { .. })));
    let given = record(&house, &carer, SCHEDULED, &due(MORNING))
        .await
        .unwrap();
    assert!(given.stored.is_some());
    let elsewhere = house.caller("birch", Role::Nurse).await;
    let nowhere = record(&house, &elsewhere, SCHEDULED, &due(EVENING)).await;
    assert!(
        matches!(nowhere, Err(AppError::NotFound { .. })),
        "{nowhere:?}"
    );
    let long = chart(&house.app, &nurse, &patient, (None, Some(29))).await;
    assert!(matches!(long, Err(AppError::Invalid(_))));
}

#[tokio::test]
async fn a_controlled_drug_wants_a_witness_who_signs() {
    let (house, nurse) = ward(&[order(
        "morphine",
        "Morphine 10mg modified-release tablet",
        &scheduled(1),
    )])
    .await;
    let carer = house.caller("ash", Role::Carer).await;
    let doctor = house.doctor().await;
    let account = |caller: &Caller| {
        json!({ "identifier": { "system": "urn:ietf:rfc:3986",
            "value": format!("urn:uuid:{}", caller.subject.actor().id.as_uuid()) } })
    };
    let reasoned = Dose {
        reason: Some("the dose is known here".to_owned()),
        ..due(MORNING)
    };
    let without = record(&house, &nurse, "morphine", &reasoned).await.unwrap();
    assert!(
        held(&without).contains(&"no-witness".to_owned()),
        "{without:?}"
    );
    let with = |who: &Caller| Dose {
        witness: Some(account(who)),
        ..reasoned.clone()
    };
    let own = Dose {
        done: true,
        ..with(&nurse)
    };
    let own = record(&house, &nurse, "morphine", &own).await.unwrap();
    assert!(held(&own).contains(&"record".to_owned()), "{own:?}");
    let given = record(&house, &nurse, "morphine", &with(&carer))
        .await
        .unwrap();
    let stored = name(&given);
    let key = house.key(&stored);
    let function = |of: &Value| of["performer"][1]["function"]["coding"][0]["code"].clone();
    let before = house.read(&nurse, &stored).await.unwrap();
    assert_eq!(function(&before), "witness-asked");
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    assert!(chart.to_string().contains("\"not-signed\""), "{chart}");
    for (who, why) in [(&nurse, "the giver"), (&doctor, "another person is named")] {
        let refused = witness(&house.app, who, &key, &alone()).await;
        assert!(
            matches!(&refused, Err(AppError::Unprocessable(text)) if text.contains(why)),
            "{refused:?}"
        );
    }
    witness(&house.app, &carer, &key, &alone()).await.unwrap();
    let after = house.read(&nurse, &stored).await.unwrap();
    assert_eq!(function(&after), "witness");
    let signed = house
        .search(&nurse, &format!("Provenance?target={stored}"))
        .await;
    assert_eq!(signed.unwrap().0.len(), 1);
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    assert!(!chart.to_string().contains("\"not-signed\""), "{chart}");
    let twice = witness(&house.app, &carer, &key, &alone()).await;
    assert!(matches!(twice, Err(AppError::Conflict(_))), "{twice:?}");
}

#[tokio::test]
async fn a_key_gives_once() {
    let (house, nurse) = paracetamol().await;
    let nurse = House::with_key(&nurse, "one");
    let first = record(&house, &nurse, SCHEDULED, &due(MORNING))
        .await
        .unwrap();
    let second = record(&house, &nurse, SCHEDULED, &due(MORNING))
        .await
        .unwrap();
    assert_eq!(name(&first), name(&second));
    assert_eq!(administrations(&house, &nurse).await, 1);
    let other = record(&house, &nurse, SCHEDULED, &due(EVENING)).await;
    assert!(other.is_err(), "the key is that of another dose");
}

#[tokio::test]
async fn what_cannot_be_read_is_not_safe() {
    let foreign = |id: &str, name: &str| {
        json!({ "resourceType": "MedicationAdministration", "id": id, "status": "in-progress",
            "medicationCodeableConcept": { "text": name }, "subject": { "reference": "Patient/p1" },
            "effectiveDateTime": "2026-03-05T07:00:00Z" })
    };
    let (house, nurse) = paracetamol().await;
    let doctor = house.doctor().await;
    house
        .put(&doctor, &foreign("r", "Ramipril 5mg capsule"))
        .await
        .unwrap();
    let other = record(&house, &nurse, SCHEDULED, &due(MORNING))
        .await
        .unwrap();
    assert!(
        other.stored.is_some(),
        "it is of another medicine: {other:?}"
    );
    house.clock.advance(12 * 3600);
    house
        .put(&doctor, &foreign("p", "Paracetamol"))
        .await
        .unwrap();
    let unsure = record(&house, &nurse, SCHEDULED, &due(EVENING))
        .await
        .unwrap();
    assert!(unsure.stored.is_none());
    assert_eq!(verdict(unsure.decision.unwrap().verdict), "unknown");
    let chart = charted(&house, &nurse, "2026-03-05", 1).await;
    assert_eq!(parts(&chart, "parameter", "unreadable").len(), 2);
    let decided = Dose {
        dose: Some(Quantity::new(1.into(), Unit::named("tablet"))),
        reason: Some("nothing was given at seven".to_owned()),
        ..due(EVENING)
    };
    let given = record(&house, &nurse, SCHEDULED, &decided).await.unwrap();
    assert!(given.stored.is_some(), "{given:?}");
}

#[tokio::test]
async fn every_due_dose_has_one_outcome_or_is_a_gap() {
    let (house, nurse) = paracetamol().await;
    for (slot, outcome) in [
        ("2026-03-03T08:00:00Z", Outcome::Given),
        ("2026-03-03T20:00:00Z", Outcome::Asleep),
    ] {
        let late = Dose {
            happened: Timestamp::from_rfc3339(slot),
            outcome,
            ..due(slot)
        };
        let given = record(&house, &nurse, SCHEDULED, &late).await.unwrap();
        assert!(given.stored.is_some(), "{given:?}");
    }
    let chart = charted(&house, &nurse, "2026-03-01", 7).await;
    let states: Vec<String> = states(&chart).into_iter().map(|(_, state)| state).collect();
    assert_eq!(
        states,
        [
            "gap", "gap", "gap", "gap", "given", "asleep", "gap", "gap", "due", "upcoming",
            "upcoming", "upcoming", "upcoming", "upcoming",
        ]
    );
    let order = parts(&chart, "parameter", "order")[0];
    assert!(
        value(order, "dosage").contains("2 tablets every day at 08:00"),
        "{order}"
    );
    let patient = house.key("Patient/p1");
    let whole = app::medicines::chart::chart(&house.app, &nurse, &patient, (None, None));
    let whole = whole.await.unwrap().parameters(house.app.now());
    assert_eq!(
        whole["parameter"][0]["valueInstant"],
        "2026-02-06T00:00:00.000Z"
    );
}

#[tokio::test]
async fn what_was_not_signed_for_is_held() {
    let (house, nurse) = ward(&[]).await;
    let doctor = house.doctor().await;
    let allergy = json!({ "resourceType": "AllergyIntolerance", "id": "penicillin",
        "patient": { "reference": "Patient/p1" }, "code": { "text": "Penicillin" },
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] } });
    house.put(&doctor, &allergy).await.unwrap();
    let mut capsule = scheduled(1);
    capsule["doseAndRate"][0]["doseQuantity"]["unit"] = json!("capsule");
    let imported = order("imported", "Amoxicillin 500mg capsule", &capsule);
    house.put(&doctor, &imported).await.unwrap();
    let given = record(&house, &nurse, "imported", &due(MORNING))
        .await
        .unwrap();
    let reasons = held(&given);
    for reason in ["not-overridden", "no-second-person"] {
        assert!(reasons.contains(&reason.to_owned()), "{reasons:?}");
    }
    let mut stopped = imported.clone();
    stopped["status"] = json!("cancelled");
    house.put(&doctor, &stopped).await.unwrap();
    let signed = prescribed(&house, &doctor, &imported).await;
    let id = signed.strip_prefix("MedicationRequest/").unwrap();
    let draft = record(&house, &nurse, id, &due(MORNING)).await;
    assert!(
        matches!(draft, Err(AppError::Unprocessable(_))),
        "{draft:?}"
    );
    let pharmacist = house.caller("ash", Role::Pharmacist).await;
    countersign(&house.app, &pharmacist, &house.key(&signed))
        .await
        .unwrap();
    let given = record(&house, &nurse, id, &due(MORNING)).await.unwrap();
    assert!(given.stored.is_some(), "{given:?}");
}

/// Prescribes with words for every alert that interrupts.
pub async fn prescribed(house: &House, doctor: &Caller, order: &Value) -> String {
    let mut order = order.clone();
    order.as_object_mut().unwrap().remove("id");
    let order = Document::parse(order.to_string().into_bytes(), &Limits::default()).unwrap();
    let mut request = Prescription {
        order: order.root(),
        overrides: Vec::new(),
    };
    let first = prescribe(&house.app, doctor, &request).await.unwrap();
    let End::Held(open) = &first.end else {
        panic!("{:?}", first.end)
    };
    let overrides = open.iter().map(|(at, _)| Override {
        fingerprint: first.checked.alerts[*at].fingerprint.clone(),
        reason: Reason::ToleratedBefore,
        text: Some("given last year without harm".to_owned()),
        by: String::new(),
        second: None,
    });
    request.overrides = overrides.collect();
    match prescribe(&house.app, doctor, &request).await.unwrap().end {
        End::Stored { order, .. } => order,
        end @ End::Held(_) => panic!("{end:?}"),
    }
}
