//! A round on a device: it takes along what `$give` would hold, and what it brings back is on the record
//! once, with what spoke against it, at times that are doubted where its clock was wrong.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use app::AppError;
use app::medicines::give::give;
use app::medicines::reasons;
use app::medicines::rounds::{Offer, State, Taken, effects_due, handover, take};
use app::medicines::witness::{Witnessing, witness};
use identity::Role;
use kernel::{Clock as _, Timestamp};
use medication::administration::{Correction, Effect, EffectRecord, NeedRecord, Outcome, Record};
use medication::limits::Verdict;
use medication::rounds::{Return, Skew};
use serde_json::{Value, json};

use crate::doses::{MORNING, dose, needed, order, scheduled, ward};
use crate::house::House;
use crate::rounds::{PHONE, TABLET, back, bring, found, home, of_code, record, record_of, taking};

const ONE: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const TWO: &str = "bbbbbbbb-0000-4000-8000-000000000002";

fn offer<'a>(taken: &'a Taken, order: &str) -> &'a Offer {
    let offers = &taken.people[0].offers;
    offers.iter().find(|own| own.order == order).unwrap()
}

/// The codes of what stands for an outcome and keeps a dose from being given.
fn keeps(offer: &Offer, outcome: Outcome) -> Vec<String> {
    let own = offer.standing.iter();
    let own = own.filter(|own| own.verdict == Verdict::Block && own.outcomes.contains(&outcome));
    let mut codes: Vec<String> = own.map(|own| own.code.clone()).collect();
    codes.sort();
    codes.dedup();
    codes
}

fn capsule() -> Value {
    let mut capsule = scheduled(1);
    capsule["doseAndRate"][0]["doseQuantity"]["unit"] = json!("capsule");
    capsule
}

#[tokio::test]
async fn a_device_takes_along_what_give_would_hold() {
    let mut covert = order("covert", "Paracetamol 500mg tablet", &scheduled(2));
    covert["extension"] = json!([{
        "url": "https://theriac.example.org/fhir/StructureDefinition/order-covert", "valueBoolean": true,
    }]);
    let orders = [
        order("penicillin", "Amoxicillin 500mg capsule", &capsule()),
        covert,
        order(
            "morphine",
            "Morphine 10mg modified-release tablet",
            &scheduled(1),
        ),
        order("plain", "Senna 7.5mg tablet", &scheduled(1)),
    ];
    let (house, nurse) = ward(&orders).await;
    let doctor = house.doctor().await;
    let allergy = json!({ "resourceType": "AllergyIntolerance", "id": "penicillin",
        "patient": { "reference": "Patient/p1" }, "code": { "text": "Penicillin" },
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] } });
    house.put(&doctor, &allergy).await.unwrap();
    let mut person = house.read(&doctor, "Patient/p1").await.unwrap();
    person["photo"] = json!([{ "contentType": "image/png", "data": "iVBORw0KGgo=" }]);
    house.put(&doctor, &person).await.unwrap();
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    assert_eq!(taken.people[0].stop.photo, None);
    // What the device holds against a dose is what the operation answers.
    let mut seen = Vec::new();
    for name in ["penicillin", "covert", "morphine", "plain"] {
        for outcome in [Outcome::SelfAdministered, Outcome::Given] {
            let own = app::medicines::give::Dose {
                reason: Some("the dose is known here".to_owned()),
                slot: Some(MORNING.to_owned()),
                ..dose(outcome)
            };
            let key = house.key(&format!("MedicationRequest/{name}"));
            let given = give(&house.app, &nurse, &key, &own).await.unwrap();
            let decision = given.decision.unwrap();
            let blocks = decision.reasons.iter();
            let blocks = blocks.filter(|(verdict, _)| *verdict == Verdict::Block);
            let mut codes: Vec<String> = blocks.map(|(_, why)| reasons::code(why)).collect();
            codes.sort();
            codes.dedup();
            assert_eq!(
                keeps(offer(&taken, name), outcome),
                codes,
                "{name} {outcome:?}"
            );
            seen.extend(codes);
        }
    }
    for code in [
        "not-overridden",
        "no-second-person",
        "covert",
        "not-assessed",
        "no-witness",
    ] {
        assert!(seen.contains(&code.to_owned()), "{code}: {seen:?}");
    }
    assert!(keeps(offer(&taken, "plain"), Outcome::Given).is_empty());
    let alerts = &offer(&taken, "penicillin").alerts;
    assert_eq!(alerts[0].tier, "contraindicated");
    assert!(alerts[0].text.contains("allergy"), "{alerts:?}");
    // What is destroyed wants its witness too; what is refused wants nothing.
    let morphine = offer(&taken, "morphine");
    assert_eq!(keeps(morphine, Outcome::Destroyed), ["no-witness"]);
    assert!(keeps(morphine, Outcome::Refused).is_empty());
}

#[tokio::test]
async fn a_pause_that_begins_during_a_round_is_taken_along() {
    let mut paused = order("paused", "Paracetamol 500mg tablet", &scheduled(2));
    paused["extension"] = json!([{
        "url": "https://theriac.example.org/fhir/StructureDefinition/order-pause",
        "extension": [{ "url": "from", "valueDateTime": "2026-03-05T12:00:00Z" },
            { "url": "reason", "valueString": "theatre" }],
    }]);
    let (house, nurse) = ward(&[paused]).await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    let standing = &offer(&taken, "paused").standing;
    let own = standing.iter().find(|own| own.code == "paused").unwrap();
    let noon = Timestamp::from_rfc3339("2026-03-05T12:00:00Z").unwrap();
    assert_eq!((own.from, own.until), (noon, taken.pack.until));
    assert_eq!(own.verdict, Verdict::Block);
}

#[tokio::test]
async fn nobody_asked_for_allergies_holds_the_first_dose_of_a_device() {
    let (house, nurse) = ward(&[order("fixed", "Senna 7.5mg tablet", &scheduled(1))]).await;
    let doctor = house.doctor().await;
    let mut none = house
        .read(&doctor, "AllergyIntolerance/none")
        .await
        .unwrap();
    none["verificationStatus"] = json!({ "coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "code": "entered-in-error" }] });
    none.as_object_mut().unwrap().remove("clinicalStatus");
    house.put(&doctor, &none).await.unwrap();
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    assert!(!taken.people[0].stop.allergies.asked);
    assert_eq!(
        keeps(offer(&taken, "fixed"), Outcome::Given),
        ["allergies-not-asked"]
    );
}

#[tokio::test]
async fn what_speaks_against_a_dose_that_came_back_waits_for_somebody() {
    let (house, nurse) = home().await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    let doctor = house.doctor().await;
    house.clock.advance(60);
    house
        .put(
            &doctor,
            &order("fixed", "Paracetamol 500mg tablet", &scheduled(1)),
        )
        .await
        .unwrap();
    let own = record(&taken, ONE, house.clock.now());
    let sent = back(&house, &taken, vec![own]);
    let done = bring(&house, &nurse, &taken, &sent).await;
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    assert!(done.records[0].stale);
    let text = |own: &Value, member: &str| own[member].as_str().unwrap().to_owned();
    // The answer is lost on its way: the device asks again and hears the same.
    let again = bring(&house, &nurse, &taken, &sent).await;
    assert_eq!(again.records[0].state, State::Known);
    for words in [&done.records[0].words, &again.records[0].words] {
        let said = words.join("; ");
        assert!(
            said.contains("the order was changed") && said.contains("more than ordered"),
            "{said}"
        );
    }
    let issues = of_code(&house, "DetectedIssue", "given-against").await;
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert!(text(&issues[0], "detail").contains("more than ordered"));
    let tasks = of_code(&house, "Task", "given-against").await;
    assert_eq!(
        (tasks.len(), text(&tasks[0], "priority")),
        (1, "urgent".to_owned())
    );
    let shift = (
        house.clock.now().plus_seconds(-3600),
        house.clock.now().plus_seconds(1),
    );
    let report = handover(&house.app, &nurse, None, shift).await.unwrap();
    let words = report[0].words.join("; ");
    assert!(
        words.contains("Recorded on a device against what the record says"),
        "{words}"
    );
}

#[tokio::test]
async fn a_known_id_with_other_content_is_not_known() {
    let (house, nurse) = home().await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    house.clock.advance(60);
    let given = record(&taken, ONE, house.clock.now());
    let refused = Record {
        outcome: Outcome::Refused,
        reason: Some("not now".to_owned()),
        dose: None,
        contents: Vec::new(),
        ..given.clone()
    };
    let first = back(&house, &taken, vec![refused.clone()]);
    let first = bring(&house, &nurse, &taken, &first).await;
    assert_eq!(first.records[0].state, State::Stored, "{first:?}");
    let later = Record {
        happened: given.happened.plus_seconds(60),
        ..refused.clone()
    };
    for (own, state) in [
        (given, State::Refused),
        (later, State::Refused),
        (refused, State::Known),
    ] {
        let sent = back(&house, &taken, vec![own]);
        let done = bring(&house, &nurse, &taken, &sent).await;
        assert_eq!(done.records[0].state, state, "{done:?}");
    }
    assert_eq!(
        found(&house, "MedicationAdministration?patient=p1")
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn effects_come_back_once() {
    let mut plan = order("needed", "Codeine 30mg tablet", &needed());
    plan["extension"] = json!([{
        "url": "https://theriac.example.org/fhir/StructureDefinition/order-need-plan",
        "extension": [{ "url": "effectAfter", "valueInteger": 30 }],
    }]);
    let (house, nurse) = ward(&[plan]).await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    house.clock.advance(60);
    let at = house.clock.now();
    let mut own = record_of(&taken, "needed", ONE, at);
    own.need = Some(NeedRecord {
        reason: "pain".to_owned(),
        effect_due: None,
    });
    own.reason = Some("known here".to_owned());
    house.clock.advance(3600);
    let effect = |of: &str, effect| EffectRecord {
        of: of.parse().unwrap(),
        at: at.plus_seconds(1800),
        by: taken.person.clone(),
        effect,
        note: Some("4 of 10".to_owned()),
    };
    let mut sent = back(&house, &taken, vec![own]);
    sent.effects = vec![effect(ONE, Effect::Worse), effect(TWO, Effect::Helped)];
    for state in [State::Stored, State::Known] {
        let done = bring(&house, &nurse, &taken, &sent).await;
        assert_eq!(done.effects[0].state, state, "{done:?}");
        // Of a dose that nobody knows: the device keeps it.
        assert_eq!(done.effects[1].state, State::Refused);
        assert!(!done.effects[1].words.is_empty());
    }
    let seen = found(&house, "Observation?patient=p1&code=effect").await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        seen[0]["valueCodeableConcept"]["coding"][0]["code"],
        "worse"
    );
    let waits = effects_due(&house.app, &nurse, &Default::default()).await;
    assert!(waits.unwrap().is_empty());
}

#[tokio::test]
async fn a_late_device_and_a_death_hide_no_double_dose() {
    let (house, nurse) = home().await;
    let first = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    let second = take(&house.app, &nurse, &taking(&house, TABLET))
        .await
        .unwrap();
    house.clock.advance(60);
    let at = house.clock.now();
    let one = back(&house, &first, vec![record(&first, ONE, at)]);
    bring(&house, &nurse, &first, &one).await;
    // The second comes back nine days later, when the patient has died.
    house.clock.advance(9 * 86_400);
    let doctor = house.doctor().await;
    let mut person = house.read(&doctor, "Patient/p1").await.unwrap();
    person["deceasedBoolean"] = json!(true);
    house.put(&doctor, &person).await.unwrap();
    let two = back(
        &house,
        &second,
        vec![record(&second, TWO, at.plus_seconds(60))],
    );
    let done = bring(&house, &nurse, &second, &two).await;
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    assert_eq!(done.doubles.len(), 1, "{done:?}");
    assert_eq!(
        of_code(&house, "Task", "possible-double-dose").await.len(),
        1
    );
}

async fn paracetamol(ahead: i64) -> (House, app::Caller, Taken) {
    let orders = [order("needed", "Paracetamol 500mg tablet", &needed())];
    let (house, nurse) = ward(&orders).await;
    let mut wanted = taking(&house, PHONE);
    wanted.clock = house.clock.now().plus_seconds(ahead);
    let taken = take(&house.app, &nurse, &wanted).await.unwrap();
    (house, nurse, taken)
}

fn wanted(taken: &Taken, at: Timestamp) -> Record {
    let mut own = record_of(taken, "needed", ONE, at);
    own.need = Some(NeedRecord {
        reason: "pain".to_owned(),
        effect_due: None,
    });
    own
}

/// What comes back from a clock that is so far ahead, and says who it was ahead of.
fn by_clock(house: &House, taken: &Taken, own: Record, ahead: i64, corrected: bool) -> Return {
    let mut sent = back(house, taken, vec![own]);
    sent.clocks.back.device = house.clock.now().plus_seconds(ahead);
    sent.corrected = corrected;
    sent
}

#[tokio::test]
async fn a_doubtful_time_keeps_the_limits_from_being_told() {
    // Six hours behind: a dose of now is dated before the interval.
    let (house, nurse, taken) = paracetamol(-6 * 3600).await;
    house.clock.advance(60);
    let own = wanted(&taken, house.clock.now().plus_seconds(-6 * 3600));
    let sent = by_clock(&house, &taken, own, -6 * 3600, false);
    let done = bring(&house, &nurse, &taken, &sent).await;
    assert_eq!(done.clock, Skew::Off { seconds: -6 * 3600 });
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    house.clock.advance(600);
    let key = house.key("MedicationRequest/needed");
    let again = app::medicines::give::Dose {
        need: Some("pain".to_owned()),
        ..dose(Outcome::Given)
    };
    let given = give(&house.app, &nurse, &key, &again).await.unwrap();
    let decision = given.decision.unwrap();
    assert!(
        given.stored.is_none() && decision.verdict == Verdict::Unknown,
        "{decision:?}"
    );
    let said: Vec<String> = decision
        .reasons
        .iter()
        .map(|(_, why)| reasons::words(why))
        .collect();
    assert!(
        said.join("; ").contains("clock that may be 360 min wrong"),
        "{said:?}"
    );
    // The next round takes the doubt along.
    let next = take(&house.app, &nurse, &taking(&house, TABLET))
        .await
        .unwrap();
    let standing = &offer(&next, "needed").standing;
    assert!(
        standing
            .iter()
            .any(|own| own.text.contains("clock that may be")),
        "{standing:?}"
    );
}

#[tokio::test]
async fn a_device_that_corrects_its_times_is_believed() {
    let (house, nurse, taken) = paracetamol(-6 * 3600).await;
    house.clock.advance(60);
    let own = wanted(&taken, house.clock.now());
    let mut sent = by_clock(&house, &taken, own, -6 * 3600, true);
    // What the device says of the clock when it took the round along is not believed.
    sent.clocks.taken.device = house.clock.now();
    let done = bring(&house, &nurse, &taken, &sent).await;
    assert_eq!(done.clock, Skew::None);
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    house.clock.advance(5 * 3600);
    let key = house.key("MedicationRequest/needed");
    let again = app::medicines::give::Dose {
        need: Some("pain".to_owned()),
        ..dose(Outcome::Given)
    };
    let given = give(&house.app, &nurse, &key, &again).await.unwrap();
    assert!(given.stored.is_some(), "{given:?}");
}

#[tokio::test]
async fn times_far_outside_a_round_are_not_taken_in() {
    let (house, nurse, taken) = paracetamol(0).await;
    house.clock.advance(60);
    let now = house.clock.now();
    for days in [-400, -2, 2, 400] {
        let own = wanted(&taken, now.plus_seconds(days * 86_400));
        let done = bring(&house, &nurse, &taken, &back(&house, &taken, vec![own])).await;
        assert_eq!(done.records[0].state, State::Refused, "{days}: {done:?}");
        assert!(
            done.records[0].words[0].contains("outside this round"),
            "{done:?}"
        );
    }
    let mut wrong = taking(&house, TABLET);
    wrong.clock = now.plus_seconds(-2 * 86_400);
    let refused = take(&house.app, &nurse, &wrong).await;
    assert!(
        matches!(refused, Err(AppError::Unprocessable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_controlled_drug_of_a_device_is_witnessed_afterwards() {
    let orders = [order(
        "morphine",
        "Morphine 10mg modified-release tablet",
        &scheduled(1),
    )];
    let (house, nurse) = ward(&orders).await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    house.clock.advance(60);
    let own = record_of(&taken, "morphine", ONE, house.clock.now());
    // A correction is made where the record is.
    let mut corrects = own.clone();
    corrects.id = TWO.parse().unwrap();
    corrects.corrects = Some(Correction {
        of: ONE.parse().unwrap(),
        reason: "wrong time".to_owned(),
        void: false,
    });
    let sent = back(&house, &taken, vec![own, corrects]);
    let done = bring(&house, &nurse, &taken, &sent).await;
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    assert!(
        done.records[0].words.join("; ").contains("witness"),
        "{done:?}"
    );
    assert_eq!(done.records[1].state, State::Refused, "{done:?}");
    let key = house.key(&format!("MedicationAdministration/{ONE}"));
    let with = Witnessing::default();
    let own = witness(&house.app, &nurse, &key, &with).await;
    assert!(matches!(own, Err(AppError::Unprocessable(_))), "{own:?}");
    let carer = house.caller("ash", Role::Carer).await;
    witness(&house.app, &carer, &key, &with).await.unwrap();
    let stored = found(&house, "MedicationAdministration?patient=p1").await;
    let performers = stored[0]["performer"].as_array().unwrap();
    assert_eq!(performers.len(), 2, "{performers:?}");
    assert_eq!(performers[1]["function"]["coding"][0]["code"], "witness");
    let again = witness(&house.app, &carer, &key, &Witnessing::default()).await;
    assert!(matches!(again, Err(AppError::Conflict(_))), "{again:?}");
}

#[tokio::test]
async fn who_did_not_take_the_round_is_pointed_out() {
    let (house, nurse) = home().await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    house.clock.advance(60);
    let mut own = record(&taken, ONE, house.clock.now());
    own.giver = "somebody-else".parse().unwrap();
    let done = bring(&house, &nurse, &taken, &back(&house, &taken, vec![own])).await;
    assert!(
        done.records[0].words.join("; ").contains("somebody-else"),
        "{done:?}"
    );
    let issues = of_code(&house, "DetectedIssue", "given-against").await;
    assert_eq!(issues.len(), 1, "{issues:?}");
}

#[tokio::test]
async fn a_dose_of_a_device_says_which_dosage_it_is_one_of() {
    let mut several = order("several", "Codeine 30mg tablet", &needed());
    let mut more = needed();
    more["doseAndRate"][0]["doseQuantity"]["value"] = json!(1);
    more["text"] = json!("for mild pain");
    several["dosageInstruction"]
        .as_array_mut()
        .unwrap()
        .push(more);
    let (house, nurse) = ward(&[several]).await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    house.clock.advance(600);
    let at = house.clock.now();
    let lines = &taken.people[0].stop.lines;
    assert_eq!(lines.len(), 2, "{lines:?}");
    let second = |id: &str, dosage: Option<usize>| {
        let mut own = record_of(&taken, "several", id, at);
        own.dosage = dosage;
        own.slot = None;
        own.need = Some(NeedRecord {
            reason: "mild pain".to_owned(),
            effect_due: None,
        });
        own.dose.as_mut().unwrap().value = "1".parse().unwrap();
        own
    };
    let done = bring(
        &house,
        &nurse,
        &taken,
        &back(&house, &taken, vec![second(ONE, Some(1))]),
    )
    .await;
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    let said = done.records[0].words.join(" ");
    assert!(!said.contains("does not compare"), "{said}");
    let stored = found(&house, "MedicationAdministration?patient=p1").await;
    let extensions = stored[0]["extension"].as_array().unwrap().iter();
    let place = extensions
        .filter(|own| {
            own["url"]
                .as_str()
                .unwrap()
                .ends_with("administration-dosage")
        })
        .map(|own| own["valueInteger"].as_i64())
        .collect::<Vec<_>>();
    assert_eq!(place, [Some(2)]);
    // Without it, nobody can tell which one it was.
    house.clock.advance(86_400);
    let taken = take(&house.app, &nurse, &taking(&house, TABLET))
        .await
        .unwrap();
    let mut silent = second(TWO, None);
    silent.device = record_of(&taken, "several", TWO, at).device;
    silent.happened = house.clock.now();
    silent.entered = house.clock.now();
    let done = bring(&house, &nurse, &taken, &back(&house, &taken, vec![silent])).await;
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    assert!(done.records[0].look, "{done:?}");
}
