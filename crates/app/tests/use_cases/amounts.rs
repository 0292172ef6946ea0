//! How much was given: of the dosage that is meant, as stated, never made up; and what is sent twice.

use app::AppError;
use app::medicines::chart::chart;
use app::medicines::give::Dose;
use app::medicines::rounds::stop;
use kernel::Timestamp;
use medication::Quantity;
use medication::administration::{Correction, Outcome};
use medication::quantity::Unit;
use serde_json::{Value, json};

use crate::doses::{MORNING, dose, due, name, needed, order, record, scheduled, ward};
use crate::house::House;

const PARACETAMOL: &str = "Paracetamol 500mg tablet";

/// An order of several dosages.
fn of(dosages: &[Value]) -> Value {
    let mut own = order("own", PARACETAMOL, &scheduled(1));
    own["dosageInstruction"] = json!(dosages);
    own
}

fn when_needed(tablets: u32) -> Value {
    let mut own = needed();
    own["doseAndRate"][0]["doseQuantity"]["value"] = json!(tablets);
    own
}

fn on(day: &str, tablets: u32) -> Value {
    let mut own = scheduled(tablets);
    own["timing"]["repeat"]["boundsPeriod"] = json!({ "start": day, "end": day });
    own
}

fn tablets(number: u32) -> Quantity {
    Quantity::new(number.into(), Unit::named("tablet"))
}

fn pain() -> Dose {
    Dose {
        need: Some("pain".to_owned()),
        reason: Some("the order is known here".to_owned()),
        done: true,
        ..dose(Outcome::Given)
    }
}

async fn kept(house: &House, caller: &app::Caller, dose: &Dose) -> Value {
    let given = record(house, caller, "own", dose).await.unwrap();
    house.read(caller, &name(&given)).await.unwrap()
}

#[tokio::test]
async fn what_is_given_when_needed_has_the_amount_of_its_own_dosage() {
    let (house, nurse) = ward(&[of(&[scheduled(1), when_needed(2)])]).await;
    let p1 = "p1".parse().unwrap();
    let shown = stop(&house.app, &nurse, &p1).await.unwrap();
    let line = shown.lines.iter().find(|own| own.needed).unwrap();
    assert_eq!(line.doses.len(), 1);
    assert_eq!(line.doses[0].text, "2 tablets", "not that of eight o'clock");
    assert_eq!(line.dosage, 1);
    let stored = kept(&house, &nurse, &pain()).await;
    assert_eq!(stored["dosage"]["dose"]["value"], json!(2));
    let regular = Dose {
        done: true,
        ..due(MORNING)
    };
    let stored = kept(&house, &nurse, &regular).await;
    assert_eq!(stored["dosage"]["dose"]["value"], json!(1));
    let patient = house.key("Patient/p1");
    let drawn = chart(&house.app, &nurse, &patient, (None, Some(1))).await;
    assert!(drawn.is_ok());
}

#[tokio::test]
async fn of_several_dosages_the_one_that_was_given_is_named() {
    let (house, nurse) = ward(&[of(&[when_needed(1), when_needed(2)])]).await;
    let shown = stop(&house.app, &nurse, &"p1".parse().unwrap())
        .await
        .unwrap();
    let mut amounts: Vec<_> = shown
        .lines
        .iter()
        .map(|own| (own.dosage, own.doses[0].text.clone()))
        .collect();
    amounts.sort_by_key(|(place, _)| *place);
    assert_eq!(
        amounts,
        [(0, "1 tablet".to_owned()), (1, "2 tablets".to_owned())]
    );
    let open = record(&house, &nurse, "own", &pain()).await;
    assert!(
        matches!(&open, Err(AppError::Unprocessable(text)) if text.contains("several dosages")),
        "{open:?}"
    );
    let severe = Dose {
        dosage: Some(1),
        ..pain()
    };
    let stored = kept(&house, &nurse, &severe).await;
    assert_eq!(stored["dosage"]["dose"]["value"], json!(2));
    // More than the dosage that is named says so.
    house.clock.advance(5 * 3600);
    let mild = Dose {
        dosage: Some(0),
        dose: Some(tablets(2)),
        ..pain()
    };
    let given = record(&house, &nurse, "own", &mild).await.unwrap();
    assert!(
        crate::doses::blocked(&given).contains(&"more-than-ordered".to_owned()),
        "{given:?}"
    );
}

#[tokio::test]
async fn nothing_is_made_up_for_a_dose_off_the_schedule() {
    let (house, nurse) = ward(&[of(&[
        on("2026-03-02", 4),
        on("2026-03-03", 3),
        on("2026-03-09", 1),
    ])])
    .await;
    let late = Dose {
        happened: Timestamp::from_rfc3339("2026-03-04T09:00:00Z"),
        reason: Some("found in the paper chart".to_owned()),
        done: true,
        ..dose(Outcome::Given)
    };
    let open = record(&house, &nurse, "own", &late).await;
    assert!(
        matches!(&open, Err(AppError::Unprocessable(text)) if text.contains("how much")),
        "{open:?}"
    );
    let stated = Dose {
        dose: Some(tablets(1)),
        ..late
    };
    let stored = kept(&house, &nurse, &stated).await;
    assert_eq!(stored["dosage"]["dose"]["value"], json!(1));
}

#[tokio::test]
async fn a_range_is_no_amount_and_a_correction_keeps_the_one_that_was_stated() {
    let mut range = scheduled(1);
    range["doseAndRate"] = json!([{ "doseRange": {
        "low": { "value": 1, "unit": "tablet" }, "high": { "value": 2, "unit": "tablet" } } }]);
    let (house, nurse) = ward(&[of(&[range])]).await;
    let open = record(&house, &nurse, "own", &due(MORNING)).await;
    assert!(
        matches!(&open, Err(AppError::Unprocessable(text)) if text.contains("leaves the amount open")),
        "{open:?}"
    );
    let one = Dose {
        dose: Some(tablets(1)),
        ..due(MORNING)
    };
    let given = record(&house, &nurse, "own", &one).await.unwrap();
    let first = name(&given);
    let later = Dose {
        happened: Timestamp::from_rfc3339("2026-03-05T08:05:00Z"),
        corrects: Some(Correction {
            of: first.split_once('/').unwrap().1.parse().unwrap(),
            reason: "the time was wrong".to_owned(),
            void: false,
        }),
        ..dose(Outcome::Given)
    };
    house.clock.advance(600);
    let stored = kept(&house, &nurse, &later).await;
    assert_eq!(stored["dosage"]["dose"]["value"], json!(1));
}

#[tokio::test]
async fn a_dose_that_is_sent_twice_wants_a_reason_and_is_somebodys_to_look_at() {
    let mut free = needed();
    free.as_object_mut().unwrap().remove("timing");
    let (house, nurse) = ward(&[of(&[free])]).await;
    let first = Dose {
        reason: None,
        done: false,
        ..pain()
    };
    record(&house, &nurse, "own", &first).await.unwrap();
    let again = record(&house, &nurse, "own", &first).await.unwrap();
    assert!(again.stored.is_none(), "{again:?}");
    assert!(crate::doses::blocked(&again).contains(&"possible-double".to_owned()));
    let tasks = || async { house.search(&nurse, "Task?patient=p1").await.unwrap().0 };
    assert!(tasks().await.is_empty());
    let happened = Dose {
        done: true,
        ..first
    };
    let kept = record(&house, &nurse, "own", &happened).await.unwrap();
    assert!(kept.stored.is_some(), "{kept:?}");
    assert_eq!(tasks().await.len(), 1);
    let issues = house.search(&nurse, "DetectedIssue?patient=p1").await;
    assert_eq!(issues.unwrap().0.len(), 1);
}

#[tokio::test]
async fn a_due_dose_that_was_taken_twice_is_somebodys_to_look_at() {
    let (house, nurse) = ward(&[of(&[scheduled(1)])]).await;
    let happened = Dose {
        done: true,
        ..due(MORNING)
    };
    for _ in 0..2 {
        let given = record(&house, &nurse, "own", &happened).await.unwrap();
        assert!(given.stored.is_some());
    }
    let found = house.search(&nurse, "Task?patient=p1").await.unwrap().0;
    assert_eq!(found.len(), 1);
}
