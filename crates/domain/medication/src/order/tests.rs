//! What is refused as an order, and the keys of its doses.

use fhir::json::{Document, Limits};
use kernel::ZoneName;

use super::*;
use crate::knowledge::builtin;

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

pub(crate) fn facts(dosage: &str) -> OrderFacts {
    let document = Document::parse(dosage.as_bytes().to_vec(), &Limits::default()).unwrap();
    OrderFacts {
        id: "order-1".parse().unwrap(),
        resident: "resident-1".parse().unwrap(),
        article: Article::of_name("levodopa", builtin::built_in().unwrap()),
        dosages: vec![Dosage::read(document.root()).unwrap()],
        status: Status::Active,
        start: at("2026-03-01T00:00:00Z"),
        stop: None,
        pauses: Vec::new(),
        window: Window::default(),
        apart_seconds: None,
        need: NeedPlan::default(),
        covert: false,
        witness: false,
        replaces: None,
    }
}

/// Four fixed times a day, of a product.
pub(crate) fn order(id: &str, product: &str, dosage: &str) -> OrderFacts {
    let mut own = facts(dosage);
    own.id = id.parse().unwrap();
    own.article = article(product);
    own
}

static PRODUCTS: std::sync::LazyLock<crate::dictionary::Dictionary> =
    std::sync::LazyLock::new(|| crate::dictionary::built_in(builtin::built_in().unwrap()).unwrap());

pub(crate) fn article(name: &str) -> Article {
    let product = PRODUCTS.by_name(name).unwrap_or_else(|| panic!("{name}"));
    Article::of(product, builtin::built_in().unwrap())
}

pub(crate) fn home() -> Home {
    Home {
        zone: "Europe/London".parse::<ZoneName>().unwrap().zone(),
        rounds: Rounds::default(),
    }
}

const DAILY: &str = r#"{"timing":{"repeat":{"timeOfDay":["01:30:00","02:30:00"]}}}"#;

/// What is wrong with it and what it is refused as.
type Case = (fn(&mut OrderFacts), &'static str);

#[test]
fn what_contradicts_itself_is_no_order() {
    let cases: [Case; 7] = [
        (|o| o.status = Status::Stopped, "NoStop"),
        (|o| o.dosages.clear(), "NoDosage"),
        (
            |o| o.stop = Some(at("2026-02-28T23:59:59Z")),
            "StopBeforeStart",
        ),
        (|o| o.apart_seconds = Some(0), "Apart"),
        (|o| o.replaces = Some(o.id.clone()), "ReplacesItself"),
        (|o| o.dosages[0].sequence = Some(0), "Dosage"),
        (
            |o| {
                o.pauses.push(Pause {
                    from: at("2026-03-05T00:00:00Z"),
                    to: Some(at("2026-03-04T00:00:00Z")),
                    reason: "hospital".to_owned(),
                });
            },
            "PauseBackwards",
        ),
    ];
    assert!(Order::check(facts(DAILY)).is_ok());
    for (change, expected) in cases {
        let mut own = facts(DAILY);
        change(&mut own);
        let error = format!("{:?}", Order::check(own).unwrap_err());
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
}

/// Dosages, whether it was needed, which was named, which is meant.
type Meant<'a> = (&'a [&'a str], bool, Option<usize>, Option<usize>);

#[test]
fn a_dose_is_one_of_the_dosages_that_could_be_meant() {
    const NEEDED: &str = r#"{"asNeededBoolean":true}"#;
    let of = |dosages: &[&str]| {
        let mut own = facts(DAILY);
        own.dosages = dosages
            .iter()
            .flat_map(|text| facts(text).dosages)
            .collect();
        Order::check(own).unwrap()
    };
    let cases: [Meant<'_>; 10] = [
        (&[DAILY], false, None, Some(0)),
        (&[NEEDED], false, None, Some(0)),
        (&[DAILY, NEEDED], true, None, Some(1)),
        (&[DAILY, NEEDED], false, None, None),
        (&[DAILY, DAILY], false, None, None),
        (&[NEEDED, NEEDED], true, None, None),
        (&[NEEDED, NEEDED], true, Some(1), Some(1)),
        (&[DAILY, DAILY], false, Some(0), Some(0)),
        (&[DAILY], true, None, None),
        (&[DAILY], false, Some(1), None),
    ];
    for (dosages, needed, named, meant) in cases {
        let found = of(dosages).dosage_of(None, needed, named);
        assert_eq!(found, meant, "{dosages:?} {needed} {named:?}");
    }
    let order = of(&[NEEDED, DAILY]);
    let day = (at("2026-03-05T00:00:00Z"), at("2026-03-06T00:00:00Z"));
    let slots = order.slots(&home(), day.0, day.1).unwrap();
    let due = slots.first();
    assert_eq!(order.dosage_of(due, true, Some(0)), Some(1));
}

#[test]
fn an_as_needed_order_says_what_is_missing() {
    let bare = Order::check(facts(r#"{"asNeededBoolean":true}"#)).unwrap();
    assert_eq!(
        bare.need_gaps(),
        [
            NeedGap::Reason,
            NeedGap::Dose,
            NeedGap::Maximum,
            NeedGap::Interval,
            NeedGap::Effect,
            NeedGap::FollowUp,
        ]
    );
    let mut full = facts(
        r#"{"asNeededCodeableConcept":{"text":"pain"},"timing":{"repeat":{"frequency":1,"period":4,"periodUnit":"h"}},"doseAndRate":[{"doseQuantity":{"value":1,"unit":"tablet"}}],"maxDosePerPeriod":{"numerator":{"value":4,"unit":"tablet"},"denominator":{"value":1,"system":"http://unitsofmeasure.org","code":"d"}}}"#,
    );
    full.need.expected = Some("less pain".to_owned());
    full.need.effect_after = Some(60);
    assert!(Order::check(full).unwrap().need_gaps().is_empty());
}

#[test]
fn two_clock_times_at_one_instant_are_two_doses() {
    let order = Order::check(facts(DAILY)).unwrap();
    let home = home();
    let slots = |from, to| order.slots(&home, at(from), at(to)).unwrap();
    let spring = slots("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
    // 01:30 does not exist: due at 02:30 of summer time, where the other is due as well.
    let keys: Vec<(Timestamp, u16)> = spring.iter().map(|s| (s.key.at, s.key.nth)).collect();
    let both = at("2026-03-29T01:30:00Z");
    assert_eq!(keys, [(both, 0), (both, 1)]);
    assert!(spring.iter().any(DueSlot::moved));
    assert_ne!(spring[0].key, spring[1].key);
    let again: SlotKey = spring[1].key.to_string().parse().unwrap();
    assert_eq!(again, spring[1].key);
    for bad in [
        "",
        "a/b/c/d",
        "order-1/0/2026-03-29/0",
        "order-1/0/2026-03-29T01:30:00Z/0/1",
    ] {
        assert!(bad.parse::<SlotKey>().is_err(), "{bad}");
    }
}
