//! Rounds against the record: who is on one, taking it along, two devices that bring back the same dose,
//! clocks that were wrong, orders that changed meanwhile, effects, and handing over.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use app::medicines::give::{Dose, give};
use app::medicines::register::Signing;
use app::medicines::rounds::{
    Brought, NewEffect, RoundRequest, State, Taken, Taking, bring_back, effects_due, handover,
    record_effect, round, stop, take,
};
use app::sign_in::confirm::Proof;
use app::{AppError, Caller};
use identity::Role;
use kernel::{Clock as _, Timestamp};
use medication::administration::{Effect, NeedRecord, Outcome, Record};
use medication::rounds::{ClockReading, Clocks, Return, Skew};
use serde_json::{Value, json};

use crate::doses::{MORNING, dose, needed, order, scheduled, ward};
use crate::house::{House, PASSWORD};

pub const PHONE: &str = "11111111-1111-4111-8111-111111111111";
pub const TABLET: &str = "22222222-2222-4222-8222-222222222222";

pub async fn home() -> (House, Caller) {
    ward(&[
        order("fixed", "Paracetamol 500mg tablet", &scheduled(2)),
        order("needed", "Codeine 30mg tablet", &needed()),
        json!({ "resourceType": "Encounter", "id": "stay", "status": "in-progress",
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
            "subject": { "reference": "Patient/p1" },
            "location": [{ "location": { "display": "Room 4" } }] }),
    ])
    .await
}

pub fn taking(house: &House, device: &str) -> Taking {
    Taking {
        round: RoundRequest::default(),
        device: device.parse().unwrap(),
        hours: 8,
        clock: house.clock.now(),
    }
}

pub fn record(taken: &Taken, id: &str, at: Timestamp) -> Record {
    record_of(taken, "fixed", id, at)
}

/// A dose of an order of the pack as its device records it.
pub fn record_of(taken: &Taken, order: &str, id: &str, at: Timestamp) -> Record {
    let person = &taken.people[0];
    let lines = &person.stop.lines;
    let line = lines.iter().find(|own| own.order == order).unwrap();
    let offers = &person.offers;
    let offer = offers.iter().find(|own| own.order == order).unwrap();
    Record {
        id: id.parse().unwrap(),
        order: order.parse().unwrap(),
        slot: line.due.as_ref().map(|due| due.key.clone()),
        dosage: Some(line.dosage).filter(|_| line.due.is_none()),
        outcome: Outcome::Given,
        reason: None,
        happened: at,
        entered: at,
        giver: taken.person.clone(),
        enterer: None,
        witness: None,
        dose: Some(offer.planned[0].dose.clone()),
        contents: offer.planned[0].contents.clone(),
        product: line.name.clone(),
        rights: dose(Outcome::Given).rights,
        device: Some(taken.pack.device.clone()),
        corrects: None,
        need: None,
    }
}

pub fn back(house: &House, taken: &Taken, records: Vec<Record>) -> Return {
    let now = house.clock.now();
    Return {
        pack: taken.pack.id.clone(),
        device: taken.pack.device.clone(),
        clocks: Clocks {
            taken: taken.clock,
            back: ClockReading {
                server: now,
                device: now,
            },
        },
        corrected: false,
        records,
        scans: std::collections::BTreeMap::new(),
        effects: Vec::new(),
    }
}

pub async fn bring(house: &House, caller: &Caller, taken: &Taken, back: &Return) -> Brought {
    bring_back(&house.app, caller, back, &taken.signature)
        .await
        .unwrap()
}

pub async fn found(house: &House, query: &str) -> Vec<Value> {
    let doctor = house.doctor().await;
    let names = house.search(&doctor, query).await.unwrap().0;
    let mut found = Vec::new();
    let ty = query.split('?').next().unwrap();
    for id in names {
        let name = format!("{ty}/{id}");
        found.push(house.read(&doctor, &name).await.unwrap());
    }
    found
}

/// What there is of the patient with a code.
pub async fn of_code(house: &House, ty: &str, code: &str) -> Vec<Value> {
    let all = found(house, &format!("{ty}?patient=p1")).await;
    let own = all
        .into_iter()
        .filter(|own| own["code"]["coding"][0]["code"] == code);
    own.collect()
}

#[tokio::test]
async fn a_round_holds_who_is_due_with_place_and_allergies() {
    let (house, nurse) = home().await;
    let request = RoundRequest::default();
    let now = round(&house.app, &nurse, &request).await.unwrap();
    assert_eq!(now.places, ["Room 4"]);
    let stop = &now.stops[0];
    assert_eq!(
        (stop.place[0].as_str(), stop.allergies.asked),
        ("Room 4", true)
    );
    let turns: Vec<_> = stop
        .lines
        .iter()
        .map(|own| (own.order.as_str(), own.needed))
        .collect();
    assert_eq!(turns, [("fixed", false), ("needed", true)]);
    assert_eq!(stop.lines[0].doses[0].text, "2 tablets");
    let elsewhere = RoundRequest {
        location: Some("Room 5".to_owned()),
        ..RoundRequest::default()
    };
    let none = round(&house.app, &nurse, &elsewhere).await.unwrap();
    assert!(none.stops.is_empty());
    // Who has no role there has no round there.
    let admin = house.admin("ash").await;
    let refused = round(&house.app, &admin, &request).await;
    assert!(
        matches!(refused, Err(AppError::Denied { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_read_stays_on_the_round() {
    let broken = json!({ "resourceType": "MedicationRequest", "id": "odd", "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": "Mystery 1mg tablet" }, "subject": { "reference": "Patient/p1" } });
    let (house, nurse) = ward(&[broken]).await;
    let now = round(&house.app, &nurse, &RoundRequest::default())
        .await
        .unwrap();
    let said = now.stops[0].unreadable.join(" ");
    assert!(said.contains("MedicationRequest/odd"), "{said}");
}

#[tokio::test]
async fn two_devices_bring_back_the_same_dose_in_any_order() {
    for first_is_phone in [true, false] {
        let (house, nurse) = home().await;
        let carer = house.caller("ash", Role::Carer).await;
        let phone = take(&house.app, &nurse, &taking(&house, PHONE))
            .await
            .unwrap();
        let tablet = take(&house.app, &carer, &taking(&house, TABLET))
            .await
            .unwrap();
        house.clock.advance(300);
        let at = house.clock.now();
        let a = record(&phone, "aaaaaaaa-0000-4000-8000-000000000001", at);
        let b = record(
            &tablet,
            "bbbbbbbb-0000-4000-8000-000000000002",
            at.plus_seconds(-60),
        );
        house.clock.advance(3600);
        let phone = (&nurse, &phone, back(&house, &phone, vec![a]));
        let tablet = (&carer, &tablet, back(&house, &tablet, vec![b]));
        let (one, other) = if first_is_phone {
            (phone, tablet)
        } else {
            (tablet, phone)
        };
        let first = bring(&house, one.0, one.1, &one.2).await;
        assert_eq!(first.records[0].state, State::Stored, "{first:?}");
        assert!(first.doubles.is_empty());
        let second = bring(&house, other.0, other.1, &other.2).await;
        assert_eq!(second.records[0].state, State::Stored, "both are kept");
        assert!(
            second.records[0]
                .words
                .join(" ")
                .contains("possible double dose")
        );
        assert_eq!(second.doubles.len(), 1);
        // Sent again by a device that heard no answer: nothing changes.
        for (caller, taken, back) in [&one, &other] {
            let again = bring(&house, caller, taken, back).await;
            assert_eq!(again.records[0].state, State::Known, "{again:?}");
            assert_eq!(again.doubles.len(), 1);
        }
        assert_eq!(
            found(&house, "MedicationAdministration?patient=p1")
                .await
                .len(),
            2
        );
        let issues = of_code(&house, "DetectedIssue", "possible-double-dose").await;
        assert_eq!(issues.len(), 1, "{issues:?}");
        assert_eq!(issues[0]["implicated"].as_array().unwrap().len(), 2);
        let tasks = of_code(&house, "Task", "possible-double-dose").await;
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0]["priority"], "urgent");
        let shift = (house.clock.now().plus_seconds(-7200), house.clock.now());
        let report = handover(&house.app, &nurse, None, shift).await.unwrap();
        assert!(
            report[0].words[0].starts_with("Possible double dose"),
            "{:?}",
            report[0].words
        );
    }
}

#[tokio::test]
async fn a_double_dose_with_more_against_it_is_one_task_with_every_reason() {
    let (house, nurse) = home().await;
    let carer = house.caller("ash", Role::Carer).await;
    let taking = [(&nurse, PHONE), (&carer, TABLET)];
    let mut packs = Vec::new();
    for (who, device) in taking {
        let taken = take(&house.app, who, &self::taking(&house, device)).await;
        packs.push((who, taken.unwrap()));
    }
    // The prescriber changes the order meanwhile.
    house.clock.advance(60);
    let doctor = house.doctor().await;
    let mut stopped = house
        .read(&doctor, "MedicationRequest/fixed")
        .await
        .unwrap();
    stopped["note"] = json!([{ "text": "looked at again" }]);
    house.put(&doctor, &stopped).await.unwrap();
    house.clock.advance(240);
    let at = house.clock.now();
    let ids = [
        "aaaaaaaa-0000-4000-8000-000000000001",
        "bbbbbbbb-0000-4000-8000-000000000002",
    ];
    for ((who, taken), id) in packs.iter().zip(ids) {
        let own = back(&house, taken, vec![record(taken, id, at)]);
        let done = bring(&house, who, taken, &own).await;
        assert!(done.records[0].stale && done.records[0].look, "{done:?}");
    }
    let of_second = async |code: &str| {
        let tasks = of_code(&house, "Task", code).await;
        let text = |own: &Value| own["description"].as_str().unwrap().to_owned();
        tasks.iter().map(text).collect::<Vec<String>>()
    };
    let doubles = of_second("possible-double-dose").await;
    assert_eq!(doubles.len(), 1, "{doubles:?}");
    assert!(doubles[0].contains("the order was changed"), "{doubles:?}");
    // The first came back alone, and had its own; the second has none beside the double dose.
    let against = of_second("given-against").await;
    assert_eq!(against.len(), 1, "{against:?}");
}

#[tokio::test]
async fn clocks_stale_orders_and_strangers_are_said() {
    let (house, nurse) = home().await;
    let mut wrong = taking(&house, PHONE);
    wrong.clock = house.clock.now().plus_seconds(600);
    let taken = take(&house.app, &nurse, &wrong).await.unwrap();
    let doctor = house.doctor().await;
    house.clock.advance(60);
    let mut changed = order("fixed", "Paracetamol 500mg tablet", &scheduled(1));
    changed["note"] = json!([{ "text": "less" }]);
    house.put(&doctor, &changed).await.unwrap();
    let at = house.clock.now().plus_seconds(600);
    let own = record(&taken, "aaaaaaaa-0000-4000-8000-000000000001", at);
    let mut unknown = own.clone();
    unknown.id = "aaaaaaaa-0000-4000-8000-000000000009".parse().unwrap();
    unknown.order = "elsewhere".parse().unwrap();
    unknown.slot = None;
    let mut sent = back(&house, &taken, vec![own, unknown]);
    sent.clocks.back.device = house.clock.now().plus_seconds(600);
    let done = bring(&house, &nurse, &taken, &sent).await;
    assert_eq!(done.clock, Skew::Off { seconds: 600 });
    assert!(done.records[0].stale);
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    let said = done.records[0].words.join("; ");
    assert!(
        said.contains("600 s ahead") && said.contains("more than ordered"),
        "{said}"
    );
    assert_eq!(done.records[1].state, State::Refused, "{done:?}");
    let stored = found(&house, "MedicationAdministration?patient=p1").await;
    assert!(
        stored[0]["note"][0]["text"]
            .as_str()
            .unwrap()
            .contains("clock")
    );
    // Another signature is another round.
    let forged = bring_back(&house.app, &nurse, &sent, "AAAA").await;
    assert!(
        matches!(forged, Err(AppError::Unprocessable(_))),
        "{forged:?}"
    );
    let mut other = sent.clone();
    other.device = TABLET.parse().unwrap();
    let other = bring_back(&house.app, &nurse, &other, &taken.signature).await;
    assert!(
        matches!(other, Err(AppError::Unprocessable(_))),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_colleague_brings_back_what_another_gave() {
    let (house, nurse) = home().await;
    let carer = house.caller("ash", Role::Carer).await;
    let taken = take(&house.app, &nurse, &taking(&house, PHONE))
        .await
        .unwrap();
    house.clock.advance(60);
    let own = record(
        &taken,
        "aaaaaaaa-0000-4000-8000-000000000001",
        house.clock.now(),
    );
    let done = bring(&house, &carer, &taken, &back(&house, &taken, vec![own])).await;
    assert_eq!(done.records[0].state, State::Stored, "{done:?}");
    let stored = found(&house, "MedicationAdministration?patient=p1").await;
    let performers = stored[0]["performer"].as_array().unwrap();
    let by = |at: usize| performers[at]["actor"]["display"].as_str().unwrap();
    assert_ne!(by(0), by(1));
    assert_eq!(performers[1]["function"]["coding"][0]["code"], "enterer");
}

#[tokio::test]
async fn effects_are_asked_for_once() {
    let (house, nurse) = home().await;
    house.clock.advance(60);
    let plan = Dose {
        need: Some("headache".to_owned()),
        reason: Some("known here".to_owned()),
        ..dose(Outcome::Given)
    };
    let given = give(
        &house.app,
        &nurse,
        &house.key("MedicationRequest/needed"),
        &plan,
    )
    .await
    .unwrap();
    let (name, _) = given.stored.unwrap();
    let key = house.key(&name);
    let early = NewEffect {
        effect: Effect::Helped,
        note: None,
        at: Some(house.clock.now().plus_seconds(-3600)),
    };
    let early = record_effect(&house.app, &nurse, &key, &early).await;
    assert!(
        matches!(early, Err(AppError::Unprocessable(_))),
        "{early:?}"
    );
    // An order that says when to look asks for it then.
    let due = NeedRecord {
        reason: "headache".to_owned(),
        effect_due: Some(house.clock.now().plus_seconds(1800)),
    };
    let mut stored = house.read(&nurse, &name).await.unwrap();
    let extensions = stored["extension"].as_array_mut().unwrap();
    extensions.retain(|own| {
        !own["url"]
            .as_str()
            .unwrap()
            .ends_with("administration-need")
    });
    extensions.push(json!({
        "url": "https://theriac.example.org/fhir/StructureDefinition/administration-need",
        "extension": [{ "url": "reason", "valueString": due.reason },
            { "url": "effectDue", "valueInstant": due.effect_due.unwrap().to_fhir_instant() }],
    }));
    let doctor = house.doctor().await;
    house.put(&doctor, &stored).await.unwrap();
    let request = RoundRequest::default();
    assert!(
        effects_due(&house.app, &nurse, &request)
            .await
            .unwrap()
            .is_empty()
    );
    house.clock.advance(3600);
    let waits = effects_due(&house.app, &nurse, &request).await.unwrap();
    assert_eq!(waits[0].1.needed_for, "headache");
    let new = NewEffect {
        effect: Effect::Partly,
        note: Some("pain 4 of 10".to_owned()),
        at: None,
    };
    record_effect(&house.app, &nurse, &key, &new).await.unwrap();
    assert!(
        effects_due(&house.app, &nurse, &request)
            .await
            .unwrap()
            .is_empty()
    );
    let seen = found(&house, "Observation?patient=p1&code=effect").await;
    assert_eq!(seen[0]["partOf"][0]["reference"], name);
}

#[tokio::test]
async fn an_effect_is_asked_for_until_somebody_says_it() {
    let mut plan = order("needed", "Codeine 30mg tablet", &needed());
    plan["extension"] = json!([{
        "url": "https://theriac.example.org/fhir/StructureDefinition/order-need-plan",
        "extension": [{ "url": "effectAfter", "valueInteger": 30 }],
    }]);
    let (house, nurse) = ward(&[plan]).await;
    house.clock.advance(60);
    let key = house.key("MedicationRequest/needed");
    let taken = Dose {
        need: Some("headache".to_owned()),
        reason: Some("known here".to_owned()),
        ..dose(Outcome::Given)
    };
    let kept = async |dose: &Dose| {
        let given = give(&house.app, &nurse, &key, dose).await.unwrap();
        given.stored.unwrap().0
    };
    let asked = async || -> Vec<String> {
        let request = RoundRequest::default();
        let round = round(&house.app, &nurse, &request).await.unwrap();
        let shift = (house.clock.now().plus_seconds(-28_800), house.clock.now());
        let report = handover(&house.app, &nurse, None, shift).await.unwrap();
        let on_round = round.stops.iter().flat_map(|own| &own.effects);
        let on_round: Vec<String> = on_round.map(|own| own.record.clone()).collect();
        let handed = report.iter().flat_map(|own| &own.handover.effects_due);
        let handed: Vec<String> = handed.map(ToString::to_string).collect();
        assert_eq!(on_round, handed);
        on_round
    };
    let one = kept(&taken).await;
    let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    house.clock.advance(29 * 60);
    assert_eq!(asked().await, Vec::<String>::new());
    // Overdue for three weeks it is asked for as on the first day.
    for days in [0, 1, 3, 17] {
        house.clock.advance(days * 86_400 + 120);
        assert_eq!(asked().await, [id(&one)], "{days}");
    }
    // Corrected it is asked for once, of what stands.
    let correcting = |of: &str, void: bool| Dose {
        corrects: Some(medication::administration::Correction {
            of: id(of).parse().unwrap(),
            reason: "written down wrong".to_owned(),
            void,
        }),
        reason: Some("known here".to_owned()),
        ..dose(Outcome::Given)
    };
    let right = Dose {
        need: Some("toothache".to_owned()),
        ..correcting(&one, false)
    };
    let two = kept(&right).await;
    house.clock.advance(3 * 86_400);
    assert_eq!(asked().await, [id(&two)]);
    let new = NewEffect {
        effect: Effect::Partly,
        note: None,
        at: None,
    };
    record_effect(&house.app, &nurse, &house.key(&two), &new)
        .await
        .unwrap();
    assert_eq!(asked().await, Vec::<String>::new());
    house.clock.advance(5 * 86_400);
    assert_eq!(asked().await, Vec::<String>::new());
    // What was said of it is said of a later correction, too.
    let three = kept(&Dose {
        need: Some("earache".to_owned()),
        ..correcting(&two, false)
    })
    .await;
    house.clock.advance(5 * 86_400);
    assert_eq!(asked().await, Vec::<String>::new(), "{three}");
    // Withdrawn it is asked for no more; brought back by withdrawing that, it is again.
    let four = kept(&taken).await;
    let void = kept(&correcting(&four, true)).await;
    house.clock.advance(5 * 86_400);
    assert_eq!(asked().await, Vec::<String>::new());
    kept(&correcting(&void, true)).await;
    house.clock.advance(5 * 86_400);
    assert_eq!(asked().await, [id(&four)]);
    // Somebody closes it without an answer.
    let closed = NewEffect {
        effect: Effect::NotKnown,
        ..new
    };
    record_effect(&house.app, &nurse, &house.key(&four), &closed)
        .await
        .unwrap();
    assert_eq!(asked().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_witness_at_the_bedside_signs_with_their_own_password() {
    let (house, nurse) = ward(&[order(
        "morphine",
        "Morphine 10mg modified-release tablet",
        &scheduled(1),
    )])
    .await;
    house.clock.advance(60);
    let proof = |name: &str| Proof {
        name: name.to_owned(),
        password: zeroize::Zeroizing::new(PASSWORD.to_owned()),
        code: None,
    };
    let base = Dose {
        slot: Some(MORNING.to_owned()),
        reason: Some("the dose is known here".to_owned()),
        ..dose(Outcome::Given)
    };
    let stop = stop(&house.app, &nurse, &"p1".parse().unwrap())
        .await
        .unwrap();
    assert!(stop.lines[0].witness);
    let key = house.key("MedicationRequest/morphine");
    let by = |name: &str| Dose {
        signing: Signing {
            by: None,
            witness: Some(proof(name)),
        },
        ..base.clone()
    };
    let own = give(&house.app, &nurse, &key, &by("nurse")).await;
    let kept = own.is_ok_and(|own| own.stored.is_some());
    assert!(!kept, "nobody is their own witness");
    let signed = by("carer");
    let given = give(&house.app, &nurse, &key, &signed).await.unwrap();
    let (stored, _) = given
        .stored
        .unwrap_or_else(|| panic!("{:?}", given.decision));
    let stored = house.read(&nurse, &stored).await.unwrap();
    assert_eq!(
        stored["performer"][1]["function"]["coding"][0]["code"],
        "witness"
    );
    let signed = found(&house, "Provenance?patient=p1").await;
    assert_eq!(signed.len(), 1, "{signed:?}");
}
