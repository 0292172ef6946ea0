//! Days left, from schedules as they are: tapers, weekly doses, strengths, use when needed.

use fhir::json::{Document, Limits};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::dosage::Dosage;
use crate::quantity::{Quantity, Unit};
use crate::schedule::{Rounds, Setting, Window};

const UCUM: &str = r#""system":"http://unitsofmeasure.org""#;

fn dosage(repeat: &str, value: &str, unit: &str, sequence: u8) -> Dosage {
    let json = format!(
        r#"{{"sequence":{sequence},"timing":{{"repeat":{{{repeat}}}}},"doseAndRate":[{{"doseQuantity":{{"value":{value},{UCUM},"code":"{unit}"}}}}]}}"#
    );
    read(&json)
}

fn read(json: &str) -> Dosage {
    let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
    Dosage::read(document.root()).unwrap()
}

fn setting() -> Setting {
    Setting {
        zone: zone().zone(),
        rounds: Rounds::default(),
        start: at("2026-01-05T00:00:00Z"),
        stop: None,
        window: Window::default(),
    }
}

fn tablets() -> Unit {
    Unit::ucum("{tablet}")
}

fn lasting(dosages: &[Dosage], setting: &Setting, stock: &str) -> Result<DaysLeft, ForecastError> {
    let mg = Quantity::ucum(500.into(), "mg");
    let regimen = Regimen {
        dosages,
        setting,
        contains: Some(&mg),
        uses: &[],
    };
    days_left(
        &[regimen],
        &tablets(),
        stock.parse().unwrap(),
        at("2026-01-05T00:00:00Z"),
    )
}

fn days(lasts: Lasts) -> Option<i64> {
    match lasts {
        Lasts::Until { days, .. } => Some(days),
        Lasts::Throughout => None,
    }
}

const TWICE: &str = r#""frequency":2,"period":1,"periodUnit":"d""#;
const DAILY: &str = r#""frequency":1,"period":1,"periodUnit":"d""#;
const WEEKLY: &str = r#""frequency":1,"period":1,"periodUnit":"wk","dayOfWeek":["mon"]"#;

#[test]
fn stock_lasts_as_long_as_the_schedule_says() {
    for (repeat, value, unit, stock, expected) in [
        (TWICE, "1", "{tablet}", "28", Some(14)),
        (TWICE, "2", "{tablet}", "28", Some(7)),
        (TWICE, "0.5", "{tablet}", "28", Some(28)),
        // By strength: a gram is two tablets of 500 mg.
        (TWICE, "1", "g", "28", Some(7)),
        (TWICE, "250", "mg", "28", Some(28)),
        // Four Mondays; the fifth finds nothing.
        (WEEKLY, "1", "{tablet}", "4", Some(28)),
        (DAILY, "1", "{tablet}", "0", Some(0)),
        (DAILY, "1", "{tablet}", "0.5", Some(0)),
        (DAILY, "1", "{tablet}", "366", None),
        (DAILY, "1", "{tablet}", "365", Some(365)),
    ] {
        let found = lasting(&[dosage(repeat, value, unit, 1)], &setting(), stock).unwrap();
        assert_eq!(
            days(found.soonest),
            expected,
            "{repeat} {value} {unit} of {stock}"
        );
        assert_eq!(found.soonest, found.latest);
        assert!(!found.needed_unused);
    }
}

#[test]
fn what_expires_before_its_turn_is_not_counted() {
    let (place, from) = (common("cupboard"), supplier());
    let mut book = book();
    let soon = line(&batch("A1", "2026-01-08"), "10", &from, &place);
    let late = line(&batch("B2", "2027-01-31"), "28", &from, &place);
    let came = Meta {
        happened: at("2026-01-04T08:00:00Z"),
        recorded: at("2026-01-04T08:01:00Z"),
        ..meta("in")
    };
    book.record(came, What::Receipt { order: None }, vec![soon, late])
        .unwrap();
    let dosages = [dosage(TWICE, "1", "{tablet}", 1)];
    let setting = setting();
    let regimen = Regimen {
        dosages: &dosages,
        setting: &setting,
        contains: None,
        uses: &[],
    };
    let now = at("2026-01-05T00:00:00Z");
    let usable = |regimens: &[Regimen<'_>], until: &str| {
        let found = book.usable_in_time(&place, regimens, now, at(until));
        found.unwrap()
    };
    // Two a day for the four days of the first batch: two of it are lost once these are over.
    for (until, expected) in [
        ("2026-01-07T00:00:00Z", 38),
        ("2026-01-10T00:00:00Z", 36),
        ("2026-01-30T00:00:00Z", 36),
        ("2027-03-01T00:00:00Z", 36),
    ] {
        assert_eq!(
            usable(&[regimen], until),
            Decimal::from(expected),
            "{until}"
        );
    }
    // Nobody takes any: all of the first batch is lost, and in the end all.
    assert_eq!(usable(&[], "2026-01-10T00:00:00Z"), Decimal::from(28));
    assert_eq!(usable(&[], "2027-03-01T00:00:00Z"), Decimal::ZERO);
}

#[test]
fn a_taper_and_a_stop_end_the_need() {
    let week = r#""boundsDuration":{"value":7,"system":"http://unitsofmeasure.org","code":"d"}"#;
    let taper = |first: &str, second: &str| {
        [
            dosage(&format!("{DAILY},{week}"), first, "{tablet}", 1),
            dosage(&format!("{DAILY},{week}"), second, "{tablet}", 2),
        ]
    };
    let found = lasting(&taper("4", "2"), &setting(), "42").unwrap();
    assert_eq!(found.soonest, Lasts::Throughout, "42 is just enough");
    let found = lasting(&taper("4", "2"), &setting(), "41").unwrap();
    assert_eq!(days(found.soonest), Some(13));
    let found = lasting(&taper("2", "4"), &setting(), "14").unwrap();
    assert_eq!(days(found.soonest), Some(7));
    let stopped = Setting {
        stop: Some(at("2026-01-08T00:00:00Z")),
        ..setting()
    };
    let found = lasting(&[dosage(DAILY, "1", "{tablet}", 1)], &stopped, "3").unwrap();
    assert_eq!(found.soonest, Lasts::Throughout);
}

#[test]
fn a_range_of_doses_is_a_range_of_days() {
    let json = format!(
        r#"{{"timing":{{"repeat":{{{DAILY}}}}},"doseAndRate":[{{"doseRange":{{"low":{{"value":1,{UCUM},"code":"{{tablet}}"}},"high":{{"value":2,{UCUM},"code":"{{tablet}}"}}}}}}]}}"#
    );
    let found = lasting(&[read(&json)], &setting(), "20").unwrap();
    assert_eq!(
        (days(found.soonest), days(found.latest)),
        (Some(10), Some(20))
    );
}

#[test]
fn what_cannot_be_counted_is_an_error() {
    let silent = read(&format!(r#"{{"timing":{{"repeat":{{{DAILY}}}}}}}"#));
    for (dosage, expected) in [
        (silent, "instruction 1 states no dose: it cannot be counted"),
        (
            dosage(DAILY, "5", "mL", 1),
            "instruction 1: \"mL\" does not convert to \"{tablet}\": state both in units of one kind",
        ),
        (
            dosage(r#""count":3"#, "1", "{tablet}", 1),
            "the dosage does not say when it is due: state a repeat or moments",
        ),
    ] {
        let error = lasting(&[dosage], &setting(), "10").unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn use_when_needed_is_taken_from_what_was_used() {
    let needed = read(&format!(
        r#"{{"asNeededBoolean":true,"doseAndRate":[{{"doseQuantity":{{"value":1,{UCUM},"code":"{{tablet}}"}}}}]}}"#
    ));
    let setting = setting();
    let now = at("2026-01-05T00:00:00Z");
    let uses = |list: &[(i64, &str)]| -> Vec<Use> {
        list.iter()
            .map(|(days, amount)| Use {
                at: now.plus_seconds(-days * 86_400 + 3_600),
                units: units(amount),
            })
            .collect()
    };
    let look = |used: &[Use], stock: i64| {
        let regimen = Regimen {
            dosages: core::slice::from_ref(&needed),
            setting: &setting,
            contains: None,
            uses: used,
        };
        let found = days_left(&[regimen], &tablets(), stock.into(), now).unwrap();
        (days(found.soonest), days(found.latest), found.needed_unused)
    };
    // 28 in 28 days is one a day; the busiest week had 14, two a day.
    let burst: Vec<(i64, &str)> = (1..=7).map(|day| (day, "2")).collect();
    let mut list = burst.clone();
    list.extend((15..=28).map(|day| (day, "1")));
    assert_eq!(look(&uses(&list), 20), (Some(11), Some(21), false));
    // Older use does not count, and none at all is said.
    assert_eq!(look(&uses(&[(40, "9")]), 20), (None, None, true));
    assert_eq!(look(&[], 0), (None, None, true));
}

#[test]
fn a_look_ahead_does_not_count_what_expires_before_its_turn() {
    let setting = setting();
    let now = setting.start;
    let daily = [dosage(DAILY, "1", "{tablet}", 1)];
    let regimen = Regimen {
        dosages: &daily,
        setting: &setting,
        contains: None,
        uses: &[],
    };
    for (lots, opened, expected) in [
        (&[("A", "2026-12-31", "30")][..], None, 30),
        // Ten days of use, the other twenty are lost.
        (&[("A", "2026-01-14", "30")], None, 10),
        (
            &[("A", "2026-01-14", "30"), ("B", "2026-12-31", "5")],
            None,
            15,
        ),
        (
            &[("A", "2026-12-31", "5"), ("B", "2026-01-14", "8")],
            None,
            13,
        ),
        (&[("A", "2026-01-04", "30")], None, 0),
        (&[("A", "2026-12-31", "30")], Some(7), 7),
        (&[("A", "", "30")], None, 30),
    ] {
        let mut book = book();
        for (number, (lot, expiry, amount)) in lots.iter().enumerate() {
            let line = line(&batch(lot, expiry), amount, &supplier(), &own("ada"));
            let receipt = What::Receipt { order: None };
            book.record(meta(&format!("r{number}")), receipt, vec![line])
                .unwrap();
        }
        if let Some(life_days) = opened {
            let opened = Opened { at: now, life_days };
            let (lot, expiry, _) = lots[0];
            book.open(own("ada"), batch(lot, expiry), opened);
        }
        let found = book.days_left(&own("ada"), &[regimen], now).unwrap();
        assert_eq!(days(found.soonest), Some(expected), "{lots:?}");
    }
}

#[test]
fn orders_that_share_a_stock_draw_on_it_together() {
    let setting = setting();
    let (one, two) = (
        [dosage(DAILY, "1", "{tablet}", 1)],
        [dosage(TWICE, "1", "{tablet}", 1)],
    );
    let regimen = |dosages| Regimen {
        dosages,
        setting: &setting,
        contains: None,
        uses: &[],
    };
    let both = [regimen(&one[..]), regimen(&two[..])];
    let found = days_left(&both, &tablets(), 30.into(), setting.start).unwrap();
    assert_eq!(days(found.soonest), Some(10));
}

proptest! {
    /// Stock is enough for exactly the doses before the first that finds too little.
    #[test]
    fn stock_and_demand_agree(times in 1u8..4, halves in 1i64..6, stock in 0i64..120, day in 0i64..300) {
        let value = Decimal::new(halves * 5, 1).to_string();
        let repeat = format!(r#""frequency":{times},"period":1,"periodUnit":"d""#);
        let dosages = [dosage(&repeat, &value, "{tablet}", 1)];
        let setting = setting();
        let now = setting.start.plus_seconds(day * 86_400 + 1_234);
        let regimen = Regimen { dosages: &dosages, setting: &setting, contains: None, uses: &[] };
        let found = days_left(&[regimen], &tablets(), stock.into(), now).unwrap();
        let Lasts::Until { at: end, .. } = found.soonest else {
            panic!("at most 120 tablets do not last a year");
        };
        let doses = |until: Timestamp| -> Decimal {
            let list = demand(&[regimen], &tablets(), now, (now, until), Side::Most).unwrap();
            list.iter().map(|(_, units)| *units).sum()
        };
        prop_assert!(doses(end) <= Decimal::from(stock));
        prop_assert!(doses(end.plus_seconds(1)) > Decimal::from(stock));
    }
}
