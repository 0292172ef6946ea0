//! Decisions as tables from one good case, what each change makes of it; what records may follow each
//! other; and the laws of joining records.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

mod further;

use proptest::prelude::*;

use super::*;
use crate::limits::{Next, Verdict};
use crate::order::tests::{at, home, order};
use crate::order::{DueSlot, Order, OrderFacts, Status};

pub(crate) const TABLETS: &str = r#"{"doseAndRate":[{"doseQuantity":{"value":2,"unit":"tablet"}}],"timing":{"repeat":{"timeOfDay":["08:00:00","20:00:00"]}}}"#;
pub(crate) const NEEDED: &str = r#"{"asNeededCodeableConcept":{"text":"pain"},"timing":{"repeat":{"frequency":1,"period":4,"periodUnit":"h"}},"doseAndRate":[{"doseQuantity":{"value":2,"unit":"tablet"}}],"maxDosePerPeriod":{"numerator":{"value":8,"unit":"tablet"},"denominator":{"value":1,"system":"http://unitsofmeasure.org","code":"d"}}}"#;

/// A dose of two tablets, all rights verified.
pub(crate) fn record(id: &str, order: &Order, due: Option<&DueSlot>, happened: &str) -> Record {
    let dose = Quantity::new(2.into(), crate::quantity::Unit::named("tablet"));
    let verified = |right| Verified {
        right,
        how: How::Read,
        fits: true,
    };
    Record {
        id: id.parse().unwrap(),
        order: order.id.clone(),
        slot: due.map(|due| due.key.clone()),
        dosage: due.is_none().then_some(0),
        outcome: Outcome::Given,
        reason: None,
        happened: at(happened),
        entered: at(happened),
        giver: "nurse-1".parse().unwrap(),
        enterer: None,
        witness: None,
        contents: order.article.contents(&dose),
        dose: Some(dose),
        product: order.article.name.clone(),
        rights: Right::ALL.map(verified).to_vec(),
        device: None,
        corrects: None,
        need: None,
    }
}

/// The parts of a decision that cases change.
struct Case {
    facts: OrderFacts,
    record: fn(&mut Record),
    alerts: Alerts,
    allergies: AllergyState,
    covert: Option<Covert>,
    homely: Option<Homely>,
    self_care: Option<SelfCare>,
    pack: PackState,
    done: bool,
    needed: bool,
    before: Vec<Record>,
    now: &'static str,
}

fn good(product: &str, dosage: &str) -> Case {
    Case {
        facts: order("order-1", product, dosage),
        record: |_| {},
        alerts: Alerts::default(),
        allergies: AllergyState::Asked,
        covert: None,
        homely: None,
        self_care: None,
        pack: PackState::Fits,
        done: false,
        needed: false,
        before: Vec::new(),
        now: "2026-03-05T08:05:00Z",
    }
}

const PARACETAMOL: &str = "Paracetamol 500mg tablet";

fn decide(case: Case) -> Decision {
    let order = Order::check(case.facts).unwrap();
    let slots = order.slots(
        &home(),
        at("2026-03-05T00:00:00Z"),
        at("2026-03-06T00:00:00Z"),
    );
    let slots = slots.unwrap();
    let due = slots.first().filter(|_| !case.needed);
    let mut own = record("new", &order, due, case.now);
    (case.record)(&mut own);
    let book = Book::of(case.before.into_iter().map(|mut before| {
        if before.slot.is_some() {
            before.slot = due.map(|due| due.key.clone());
        }
        before
    }));
    let limits = crate::limits::of_order(&order);
    decide_giving(Giving {
        order: &order,
        due,
        named: None,
        record: &own,
        done: case.done,
        book: &book,
        limits: &limits,
        missing: &[],
        alerts: &case.alerts,
        allergies: case.allergies,
        covert: case.covert.as_ref(),
        homely: case.homely.as_ref(),
        self_care: case.self_care.as_ref(),
        pack: case.pack,
        policy: &Policy::default(),
        now: at(case.now),
        zone: &home().zone,
    })
}

/// An agreement on homely remedies that holds.
fn agreed() -> Homely {
    Homely {
        agreed: Some(at("2026-02-01T00:00:00Z")),
        review: Some(at("2026-06-01T00:00:00Z")),
    }
}

/// Doses of earlier days, of the same order and of no due dose.
fn days(times: &[&str]) -> Vec<Record> {
    let order = Order::check(order("order-1", PARACETAMOL, TABLETS)).unwrap();
    let own = times.iter().enumerate();
    own.map(|(place, time)| record(&format!("day-{place}"), &order, None, time))
        .collect()
}

/// Name, what is changed, verdict, whether the record is kept, the first reason, a need.
type Row = (
    &'static str,
    fn(&mut Case),
    Verdict,
    bool,
    &'static str,
    Option<Need>,
);

#[test]
fn every_fact_has_its_effect() {
    use Verdict::{Allow, Block, Unknown, Warn};
    let rows: Vec<Row> = vec![
        ("as ordered", |_| {}, Allow, true, "", None),
        (
            "early without a reason",
            |c| c.now = "2026-03-05T06:00:00Z",
            Block,
            false,
            "Early",
            Some(Need::Reason),
        ),
        (
            "early with one",
            |c| {
                c.now = "2026-03-05T06:00:00Z";
                c.record = |r| r.reason = Some("leaves at seven".to_owned());
            },
            Warn,
            true,
            "Early",
            None,
        ),
        (
            "late",
            |c| c.now = "2026-03-05T10:00:00Z",
            Warn,
            true,
            "Late",
            None,
        ),
        (
            "late where minutes matter",
            |c| {
                c.now = "2026-03-05T10:00:00Z";
                c.facts.window.critical = true;
            },
            Block,
            false,
            "Late",
            Some(Need::Reason),
        ),
        (
            "entered late",
            |c| c.record = |r| r.entered = at("2026-03-05T12:00:00Z"),
            Warn,
            true,
            "LateEntry",
            None,
        ),
        (
            "dated ahead",
            |c| c.record = |r| r.entered = at("2026-03-05T06:00:00Z"),
            Block,
            false,
            "Record",
            None,
        ),
        (
            "on hold",
            |c| c.facts.status = Status::OnHold,
            Block,
            false,
            "NotActive",
            Some(Need::Prescriber),
        ),
        (
            "on hold, and it happened",
            |c| {
                c.facts.status = Status::OnHold;
                c.done = true;
            },
            Block,
            true,
            "NotActive",
            Some(Need::Prescriber),
        ),
        (
            "after the stop",
            |c| {
                c.record = |r| {
                    r.happened = at("2026-02-01T08:00:00Z");
                    r.entered = r.happened;
                    r.reason = Some("x".to_owned());
                }
            },
            Block,
            false,
            "OutsideOrder",
            Some(Need::Prescriber),
        ),
        (
            "in a pause",
            |c| {
                c.facts.pauses.push(crate::order::Pause {
                    from: at("2026-03-04T00:00:00Z"),
                    to: None,
                    reason: "vomiting".to_owned(),
                });
            },
            Block,
            false,
            "Paused",
            Some(Need::Prescriber),
        ),
        (
            "more than ordered",
            |c| c.record = |r| r.dose.as_mut().unwrap().value = "20".parse().unwrap(),
            Block,
            false,
            "MoreThanOrdered",
            Some(Need::Prescriber),
        ),
        (
            "less than ordered",
            |c| c.record = |r| r.dose.as_mut().unwrap().value = "1".parse().unwrap(),
            Block,
            false,
            "LessThanOrdered",
            Some(Need::Reason),
        ),
        (
            "another unit",
            |c| c.record = |r| r.dose.as_mut().unwrap().unit = crate::quantity::Unit::ucum("mg"),
            Unknown,
            false,
            "DoseUnknown",
            Some(Need::Reason),
        ),
        (
            "another unit, decided with a reason",
            |c| {
                c.record = |r| {
                    r.dose.as_mut().unwrap().unit = crate::quantity::Unit::ucum("mg");
                    r.reason = Some("the pharmacist says so".to_owned());
                }
            },
            Unknown,
            true,
            "DoseUnknown",
            None,
        ),
        (
            "zero",
            |c| c.record = |r| r.dose.as_mut().unwrap().value = "0".parse().unwrap(),
            Block,
            false,
            "Record",
            None,
        ),
        (
            "no dose",
            |c| c.record = |r| r.dose = None,
            Block,
            false,
            "Record",
            None,
        ),
        (
            "a right nobody verified",
            |c| c.record = |r| r.rights.retain(|v| v.right != Right::Resident),
            Block,
            false,
            "RightMissing",
            Some(Need::Rights),
        ),
        (
            "a wrong resident",
            |c| c.record = |r| r.rights[0].fits = false,
            Block,
            false,
            "RightWrong",
            None,
        ),
        (
            "a resident known to the clock alone",
            |c| c.record = |r| r.rights[0].how = How::Computed,
            Block,
            false,
            "RightMissing",
            Some(Need::Rights),
        ),
        (
            "an expired pack",
            |c| c.pack = PackState::Expired,
            Block,
            false,
            "Pack",
            None,
        ),
        (
            "a recalled pack",
            |c| c.pack = PackState::Recalled,
            Block,
            false,
            "Pack",
            None,
        ),
        (
            "the wrong pack",
            |c| c.pack = PackState::Other,
            Block,
            false,
            "Pack",
            None,
        ),
        (
            "the right pack in another strength",
            |c| c.pack = PackState::OtherStrength,
            Block,
            false,
            "Pack",
            None,
        ),
        (
            "a pack that nobody knows",
            |c| c.pack = PackState::Unlisted,
            Unknown,
            false,
            "Pack",
            Some(Need::Reason),
        ),
        (
            "a high alert",
            |c| c.alerts.tier = Some(crate::knowledge::Tier::High),
            Block,
            false,
            "NotOverridden",
            Some(Need::Override),
        ),
        (
            "a high alert overridden",
            |c| {
                c.alerts.tier = Some(crate::knowledge::Tier::High);
                c.alerts.overridden = true;
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "contraindicated, one person",
            |c| {
                c.alerts.tier = Some(crate::knowledge::Tier::Contraindicated);
                c.alerts.overridden = true;
            },
            Block,
            false,
            "NoSecondPerson",
            Some(Need::SecondPerson),
        ),
        (
            "contraindicated, the giver twice",
            |c| {
                c.alerts.tier = Some(crate::knowledge::Tier::Contraindicated);
                c.alerts.overridden = true;
                c.alerts.second = vec!["nurse-1".parse().unwrap()];
            },
            Block,
            false,
            "NoSecondPerson",
            Some(Need::SecondPerson),
        ),
        (
            "contraindicated, two people",
            |c| {
                c.alerts.tier = Some(crate::knowledge::Tier::Contraindicated);
                c.alerts.overridden = true;
                c.alerts.second = vec!["doctor-1".parse().unwrap()];
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "something not checked",
            |c| c.alerts.not_checked.push("interactions".to_owned()),
            Warn,
            true,
            "NotChecked",
            None,
        ),
        (
            "allergies not asked, first dose",
            |c| c.allergies = AllergyState::NotAsked,
            Block,
            false,
            "AllergiesNotAsked",
            Some(Need::Allergies),
        ),
        (
            "covert without papers",
            |c| c.facts.covert = true,
            Block,
            false,
            "Covert",
            None,
        ),
        (
            "covert with all",
            |c| {
                c.facts.covert = true;
                c.covert = Some(Covert {
                    capacity: Some(at("2026-02-01T00:00:00Z")),
                    best_interest: Some(at("2026-02-01T00:00:00Z")),
                    method: Some("crushed in yoghurt".to_owned()),
                    review: Some(at("2026-06-01T00:00:00Z")),
                });
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "covert, review overdue",
            |c| {
                c.facts.covert = true;
                c.covert = Some(Covert {
                    capacity: Some(at("2026-02-01T00:00:00Z")),
                    best_interest: Some(at("2026-02-01T00:00:00Z")),
                    method: Some("crushed in yoghurt".to_owned()),
                    review: Some(at("2026-03-01T00:00:00Z")),
                });
            },
            Block,
            false,
            "Covert",
            None,
        ),
        (
            "homely without an agreement",
            |c| c.facts.homely = Some(2),
            Block,
            false,
            "Homely",
            Some(Need::Prescriber),
        ),
        (
            "homely, agreed",
            |c| {
                c.facts.homely = Some(2);
                c.homely = Some(agreed());
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "homely, a second day",
            |c| {
                c.facts.homely = Some(2);
                c.homely = Some(agreed());
                c.before = days(&["2026-03-04T08:00:00Z"]);
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "homely, a third day in a row",
            |c| {
                c.facts.homely = Some(2);
                c.homely = Some(agreed());
                c.before = days(&["2026-03-04T08:00:00Z", "2026-03-03T08:00:00Z"]);
            },
            Block,
            false,
            "Homely",
            Some(Need::Prescriber),
        ),
        (
            "homely, a third day after one without",
            |c| {
                c.facts.homely = Some(2);
                c.homely = Some(agreed());
                c.before = days(&["2026-03-03T08:00:00Z", "2026-03-02T08:00:00Z"]);
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "alone, not assessed",
            |c| c.record = |r| r.outcome = Outcome::SelfAdministered,
            Block,
            false,
            "NotAssessed",
            None,
        ),
        (
            "alone, assessed",
            |c| {
                c.record = |r| r.outcome = Outcome::SelfAdministered;
                c.self_care = Some(SelfCare {
                    level: SelfLevel::Independent,
                    assessed: at("2026-02-01T00:00:00Z"),
                    review: at("2026-08-01T00:00:00Z"),
                });
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "refused",
            |c| {
                c.record = |r| {
                    r.outcome = Outcome::Refused;
                    r.reason = Some("feels well".to_owned());
                    r.dose = None;
                    r.rights.clear();
                }
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "refused without a reason",
            |c| c.record = |r| r.outcome = Outcome::Refused,
            Block,
            false,
            "Record",
            None,
        ),
        (
            "asleep on hold",
            |c| {
                c.facts.status = Status::OnHold;
                c.record = |r| r.outcome = Outcome::Asleep;
            },
            Allow,
            true,
            "",
            None,
        ),
        (
            "witness is giver",
            |c| c.record = |r| r.witness = Some(r.giver.clone()),
            Block,
            false,
            "Record",
            None,
        ),
        (
            "witness asked by the order",
            |c| c.facts.witness = true,
            Block,
            false,
            "NoWitness",
            Some(Need::Witness),
        ),
    ];
    for (name, change, verdict, keep, first, need) in rows {
        let mut case = good(PARACETAMOL, TABLETS);
        change(&mut case);
        let found = decide(case);
        let said: Vec<String> = found
            .reasons
            .iter()
            .map(|(_, why)| format!("{why:?}"))
            .collect();
        assert_eq!(found.verdict, verdict, "{name}: {said:?}");
        assert_eq!(found.keep, keep, "{name}: {said:?}");
        let worst = first.is_empty() || said.iter().any(|own| own.starts_with(first));
        assert!(worst, "{name}: {said:?}");
        assert_eq!(said.is_empty(), verdict == Allow, "{name}: {said:?}");
        if let Some(need) = need {
            assert!(found.needs.contains(&need), "{name}: {:?}", found.needs);
        }
    }
}

#[test]
fn a_controlled_drug_is_signed_for_by_two() {
    let dosage = TABLETS.replace("\"value\":2", "\"value\":1");
    let product = "Morphine 10mg modified-release tablet";
    let one: fn(&mut Record) = |r| r.dose.as_mut().unwrap().value = "1".parse().unwrap();
    let two: fn(&mut Record) = |r| {
        r.dose.as_mut().unwrap().value = "1".parse().unwrap();
        r.witness = Some("nurse-2".parse().unwrap());
    };
    let destroyed: fn(&mut Record) = |r| {
        r.outcome = Outcome::Destroyed;
        r.reason = Some("fell".to_owned());
    };
    let refused: fn(&mut Record) = |r| {
        r.outcome = Outcome::Refused;
        r.reason = Some("no pain".to_owned());
    };
    for (change, verdict) in [
        (one, Verdict::Block),
        (two, Verdict::Allow),
        (destroyed, Verdict::Block),
        (refused, Verdict::Allow),
    ] {
        let mut case = good(product, &dosage);
        case.record = change;
        assert_eq!(decide(case).verdict, verdict);
    }
}

#[test]
fn a_second_dose_is_stopped_and_kept_where_it_happened() {
    let order = Order::check(order("order-1", PARACETAMOL, TABLETS)).unwrap();
    let slots = order.slots(
        &home(),
        at("2026-03-05T00:00:00Z"),
        at("2026-03-06T00:00:00Z"),
    );
    let earlier = record(
        "earlier",
        &order,
        slots.unwrap().first(),
        "2026-03-05T07:55:00Z",
    );
    let mut case = good(PARACETAMOL, TABLETS);
    case.before.push(earlier.clone());
    let found = decide(case);
    assert_eq!((found.verdict, found.keep), (Verdict::Block, false));
    let mut case = good(PARACETAMOL, TABLETS);
    case.before.push(earlier);
    case.done = true;
    let found = decide(case);
    assert!(found.keep, "what happened is recorded");
    let double = |(_, why): &(Verdict, Why)| matches!(why, Why::PossibleDouble { .. });
    assert!(found.reasons.iter().any(double));
}

#[test]
fn as_needed_has_a_reason_an_interval_and_a_follow_up() {
    let needed = |change: fn(&mut Record)| {
        let mut case = good(PARACETAMOL, NEEDED);
        case.facts.need.expected = Some("less pain".to_owned());
        case.facts.need.effect_after = Some(60);
        case.needed = true;
        case.record = change;
        case
    };
    let found = decide(needed(|_| {}));
    assert_eq!(found.needs, [Need::NeedReason]);
    let why: fn(&mut Record) = |r| {
        r.need = Some(NeedRecord {
            reason: "headache".to_owned(),
            effect_due: None,
        });
    };
    let found = decide(needed(why));
    assert_eq!(found.verdict, Verdict::Allow, "{:?}", found.reasons);
    assert_eq!(found.effect_due, Some(at("2026-03-05T09:05:00Z")));
    // Too early after the last one, and too close before one that is there already.
    let order = Order::check(order("order-1", PARACETAMOL, NEEDED)).unwrap();
    for (other, next) in [
        ("2026-03-05T05:00:00Z", "2026-03-05T09:00:00Z"),
        ("2026-03-05T11:00:00Z", "2026-03-05T15:00:00Z"),
    ] {
        let mut case = needed(why);
        case.before.push(record("other", &order, None, other));
        let found = decide(case);
        assert_eq!(found.verdict, Verdict::Block);
        assert_eq!(found.next, Next::At(at(next)));
    }
}

/// Records of two due doses and none, from three devices, some corrected, some under one id.
pub(crate) fn some_records() -> impl Strategy<Value = Vec<Record>> {
    let order = Order::check(order("order-1", PARACETAMOL, TABLETS)).unwrap();
    let slots = order.slots(
        &home(),
        at("2026-03-05T00:00:00Z"),
        at("2026-03-06T00:00:00Z"),
    );
    let slots = slots.unwrap();
    let one = (0u8..6, 0usize..3, 0usize..10, 0i64..600, 0u8..8, 0u8..3);
    let one = one.prop_map(move |(id, slot, outcome, minute, corrects, device)| {
        let mut own = record(
            &format!("r{id}"),
            &order,
            slots.get(slot),
            "2026-03-05T07:00:00Z",
        );
        own.happened = own.happened.plus_seconds(minute * 60);
        own.entered = own.happened;
        own.outcome = Outcome::ALL[outcome];
        own.reason = Some("why".to_owned());
        own.device = Some(format!("device-{device}").parse().unwrap());
        if corrects < 6 && corrects != id {
            own.corrects = Some(Correction {
                of: format!("r{corrects}").parse().unwrap(),
                reason: "wrong".to_owned(),
                void: minute % 5 == 0,
            });
        }
        own
    });
    proptest::collection::vec(one, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Joining records is idempotent, commutative and associative, and loses none.
    #[test]
    fn joining_records_has_one_result(records in some_records(), turn in 0usize..8, cut in 0usize..8) {
        let whole = Book::of(records.clone());
        let mut turned = records.clone();
        turned.reverse();
        let turn = turn.min(turned.len());
        turned.rotate_left(turn);
        prop_assert_eq!(&Book::of(turned), &whole);
        prop_assert_eq!(&Book::of(records.iter().chain(&records).cloned()), &whole);
        let (left, right) = records.split_at(cut.min(records.len()));
        let (left, right) = (Book::of(left.to_vec()), Book::of(right.to_vec()));
        prop_assert_eq!(&left.clone().joined(right.clone()), &whole);
        prop_assert_eq!(&right.joined(left), &whole);
        for record in &records {
            let kept = whole.all().chain(whole.clashing()).any(|own| own == record);
            prop_assert!(kept, "{record:?} is lost");
        }
        prop_assert_eq!(whole.possible_doubles(), Book::of(records).possible_doubles());
    }
}
