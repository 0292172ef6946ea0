//! Decisions as a table, and laws: the order of entry makes no difference, what is allowed breaks no
//! window in either direction, the next time is the first.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use kernel::{Timestamp, ZoneName};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::content::Article;
use crate::dictionary;
use crate::knowledge::builtin;
use crate::quantity::Unit;

fn zone() -> TimeZone {
    "Europe/London".parse::<ZoneName>().unwrap().zone()
}

static PRODUCTS: LazyLock<dictionary::Dictionary> =
    LazyLock::new(|| dictionary::built_in(builtin::built_in().unwrap()).unwrap());

fn article(name: &str) -> Article {
    let product = PRODUCTS.by_name(name).unwrap_or_else(|| panic!("{name}"));
    Article::of(product, builtin::built_in().unwrap())
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

fn substance(name: &str) -> Substance {
    Substance::named(name, builtin::built_in().unwrap())
}

fn id(number: usize) -> RecordId {
    format!("r{number}").parse().unwrap()
}

/// `2026-03-05T08:00Z Paracetamol 500mg tablet: 2 tablet`.
fn entry(number: usize, text: &str) -> Entry {
    let (time, rest) = text.split_once(' ').unwrap();
    let (name, dose) = rest.rsplit_once(": ").unwrap();
    let (value, unit) = dose.split_once(' ').unwrap();
    let unit = match unit {
        "mg" | "mL" | "[iU]" | "U" => Unit::ucum(unit),
        other => Unit::named(other),
    };
    let dose = Quantity::new(value.parse().unwrap(), unit);
    let contents = if name == "something" {
        Vec::new()
    } else {
        article(name).contents(&dose)
    };
    Entry {
        id: id(number),
        order: Some(name.replace([' ', '/'], "-").parse().unwrap()),
        at: at(time),
        name: name.to_owned(),
        dose: Some(dose),
        contents,
    }
}

fn paracetamol(bound: Bound) -> Limit {
    Limit {
        scope: Scope::Ingredient(substance("paracetamol")),
        bound,
        effect: Verdict::Block,
        source: Source::Home {
            name: "test".to_owned(),
        },
    }
}

fn grams(value: i64) -> Quantity {
    Quantity::ucum(value.into(), "g")
}

const DAY: i64 = 86_400;

fn decide(dose: &str, before: &[&str], limits: &[Limit], now: &str) -> Evaluation {
    let entries = before
        .iter()
        .enumerate()
        .map(|(n, text)| entry(n + 1, text));
    let history = History::of(entries.collect());
    let zone = zone();
    let moment = Moment {
        now: at(now),
        zone: &zone,
    };
    evaluate(&entry(0, dose), limits, &history, moment)
}

/// Name, limits, dose, doses before, verdict, next.
type Case<'a> = (&'a str, &'a [Limit], String, Vec<String>, Verdict, Next);

#[test]
fn limits_decide_as_the_table_says() {
    let four = [
        paracetamol(Bound::Rolling {
            most: grams(4),
            seconds: DAY,
        }),
        paracetamol(Bound::Day { most: grams(4) }),
    ];
    let apart = [paracetamol(Bound::Apart { seconds: 4 * 3600 })];
    let single = [paracetamol(Bound::Single { most: grams(1) })];
    let para = |time: &str| format!("2026-03-0{time} Paracetamol 500mg tablet: 2 tablet");
    let co = |time: &str| format!("2026-03-0{time} Co-codamol 500mg/30mg tablet: 2 tablets");
    let cases: Vec<Case<'_>> = vec![
        (
            "two products across midnight are one ingredient",
            &four,
            co("6T00:30:00Z"),
            vec![
                para("5T08:00:00Z"),
                para("5T12:00:00Z"),
                para("5T17:00:00Z"),
                co("5T21:30:00Z"),
            ],
            Verdict::Block,
            Next::At(at("2026-03-06T08:00:00Z")),
        ),
        (
            "a day later the first is out of the window",
            &four,
            co("6T08:00:00Z"),
            vec![
                para("5T08:00:00Z"),
                para("5T12:00:00Z"),
                para("5T17:00:00Z"),
                co("5T21:30:00Z"),
            ],
            Verdict::Allow,
            Next::Now,
        ),
        (
            "a back-dated dose in the middle of a full window",
            &four,
            para("5T14:00:00Z"),
            vec![
                para("5T08:00:00Z"),
                para("5T12:00:00Z"),
                para("5T20:00:00Z"),
                para("6T02:00:00Z"),
            ],
            Verdict::Block,
            // From 08:00 on the 6th the first is out; until 02:00 on the 7th three others stay.
            Next::At(at("2026-03-06T08:00:00Z")),
        ),
        (
            "a back-dated dose too close before one that is there",
            &apart,
            para("5T08:00:00Z"),
            vec![para("5T11:59:59Z")],
            Verdict::Block,
            Next::At(at("2026-03-05T15:59:59Z")),
        ),
        (
            "exactly the interval is enough",
            &apart,
            para("5T08:00:00Z"),
            vec![para("5T12:00:00Z"), para("5T04:00:00Z")],
            Verdict::Allow,
            Next::Now,
        ),
        (
            "the same instant is too close",
            &apart,
            para("5T08:00:00Z"),
            vec![co("5T08:00:00Z")],
            Verdict::Block,
            Next::At(at("2026-03-05T12:00:00Z")),
        ),
        (
            "too much at once is never right",
            &single,
            "2026-03-05T08:00:00Z Paracetamol 500mg tablet: 3 tablet".to_owned(),
            vec![],
            Verdict::Block,
            Next::Never,
        ),
        (
            "ten times the dose by a missed point",
            &single,
            "2026-03-05T08:00:00Z Paracetamol 250mg/5ml oral suspension: 200 mL".to_owned(),
            vec![],
            Verdict::Block,
            Next::Never,
        ),
        (
            "millilitres of a suspension count as milligrams",
            &single,
            "2026-03-05T08:00:00Z Paracetamol 250mg/5ml oral suspension: 20 mL".to_owned(),
            vec![],
            Verdict::Allow,
            Next::Now,
        ),
        (
            "zero is no dose",
            &single,
            "2026-03-05T08:00:00Z Paracetamol 500mg tablet: 0 tablet".to_owned(),
            vec![],
            Verdict::Block,
            Next::Never,
        ),
        (
            "less than zero is no dose",
            &four,
            "2026-03-05T08:00:00Z Paracetamol 500mg tablet: -2 tablet".to_owned(),
            vec![],
            Verdict::Block,
            Next::Never,
        ),
        (
            "a unit of something else is not decidable",
            &four,
            "2026-03-05T08:00:00Z Paracetamol 500mg tablet: 2 puff".to_owned(),
            vec![],
            Verdict::Unknown,
            Next::Unknown,
        ),
        (
            "a mass of two ingredients is not decidable",
            &four,
            "2026-03-05T08:00:00Z Co-codamol 500mg/30mg tablet: 1000 mg".to_owned(),
            vec![],
            Verdict::Unknown,
            Next::Unknown,
        ),
        (
            "an entry that cannot be compared makes the sum unknown",
            &four,
            para("5T12:00:00Z"),
            vec!["2026-03-05T08:00:00Z Paracetamol 500mg tablet: 2 puff".to_owned()],
            Verdict::Unknown,
            Next::Unknown,
        ),
        (
            "a negative entry lowers no sum",
            &four,
            para("5T12:00:00Z"),
            vec!["2026-03-05T08:00:00Z Paracetamol 500mg tablet: -8 tablet".to_owned()],
            Verdict::Unknown,
            Next::Unknown,
        ),
        (
            "an unknown product nearby leaves it unknown",
            &four,
            para("5T12:00:00Z"),
            vec!["2026-03-05T08:00:00Z something: 1 tablet".to_owned()],
            Verdict::Unknown,
            Next::Unknown,
        ),
        (
            "an unknown product is not decidable",
            &four,
            "2026-03-05T08:00:00Z something: 1 tablet".to_owned(),
            vec![],
            Verdict::Unknown,
            Next::Unknown,
        ),
        (
            "another ingredient is none of it",
            &apart,
            "2026-03-05T08:00:00Z Ibuprofen 400mg tablet: 1 tablet".to_owned(),
            vec![para("5T08:00:00Z")],
            Verdict::Allow,
            Next::Now,
        ),
    ];
    for (name, limits, dose, before, verdict, next) in cases {
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let found = decide(&dose, &before, limits, "2026-03-09T00:00:00Z");
        assert_eq!(found.verdict, verdict, "{name}: {:?}", found.reasons);
        assert_eq!(found.next, next, "{name}");
        assert_eq!(
            found.reasons.is_empty(),
            verdict == Verdict::Allow,
            "{name}: every decision but allow has its reasons"
        );
    }
}

#[test]
fn the_facts_used_are_told() {
    let limit = [paracetamol(Bound::Rolling {
        most: grams(4),
        seconds: DAY,
    })];
    let found = decide(
        "2026-03-05T12:00:00Z Paracetamol 500mg tablet: 2 tablet",
        &[
            "2026-03-05T08:00:00Z Co-codamol 500mg/30mg tablet: 1 tablet",
            "2026-03-04T08:00:00Z Paracetamol 500mg tablet: 2 tablet",
        ],
        &limit,
        "2026-03-05T12:00:00Z",
    );
    assert_eq!(
        found.looked,
        [Looked {
            limit: 0,
            from: at("2026-03-05T08:00:00Z"),
            to: at("2026-03-06T08:00:00Z"),
            entries: vec![id(1)],
            sum: Some(Quantity::new(Decimal::new(15, 1), Unit::ucum("g"))),
            count: 2,
        }]
    );
}

#[test]
fn days_are_those_of_the_place() {
    // 29 March 2026 has 23 hours in London, 25 October has 25.
    let limit = [paracetamol(Bound::Day { most: grams(2) })];
    let para = |time: &str| format!("{time} Paracetamol 500mg tablet: 2 tablet");
    for (dose, before, verdict) in [
        // Midnight between the two, in London.
        (
            "2026-03-29T23:30:00Z",
            ["2026-03-29T10:00:00Z", "2026-03-29T22:30:00Z"],
            Verdict::Allow,
        ),
        (
            "2026-03-29T22:45:00Z",
            ["2026-03-29T10:00:00Z", "2026-03-29T22:30:00Z"],
            Verdict::Block,
        ),
        // 24 hours and a half later it is still the same day.
        (
            "2026-10-25T23:30:00Z",
            ["2026-10-24T23:00:00Z", "2026-10-25T10:00:00Z"],
            Verdict::Block,
        ),
        (
            "2026-10-26T00:00:00Z",
            ["2026-10-24T23:00:00Z", "2026-10-25T10:00:00Z"],
            Verdict::Allow,
        ),
    ] {
        let before = before.map(para);
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let found = decide(&para(dose), &before, &limit, "2027-01-01T00:00:00Z");
        assert_eq!(found.verdict, verdict, "{dose}");
    }
}

#[test]
fn a_dose_sent_twice_is_one_and_a_later_one_is_pointed_out() {
    let limit = [paracetamol(Bound::Apart { seconds: 3600 })];
    let text = "2026-03-05T12:00:00Z Paracetamol 500mg tablet: 2 tablet";
    let zone = zone();
    let moment = Moment {
        now: at("2026-03-05T12:00:00Z"),
        zone: &zone,
    };
    let again = History::of(vec![entry(0, text)]);
    let found = evaluate(&entry(0, text), &limit, &again, moment);
    assert_eq!(found.verdict, Verdict::Allow);
    // The clock was moved back: what was given "later" is there already.
    let later = History::of(vec![entry(
        1,
        "2026-03-05T14:00:00Z Paracetamol 500mg tablet: 2 tablet",
    )]);
    let found = evaluate(&entry(0, text), &limit, &later, moment);
    assert_eq!(found.verdict, Verdict::Warn);
    assert!(matches!(found.reasons[0].why, Why::Later { .. }));
}

#[test]
fn the_knowledge_sets_limits_for_the_person() {
    use crate::knowledge::{DrugKnowledge as _, Fact, Facts};
    let knowledge = builtin::built_in().unwrap();
    let id = |name: &str| knowledge.ingredient(name).unwrap();
    let person = |kilograms: u32| Facts {
        age_months: Fact::Known(480),
        weight_grams: Fact::Known(kilograms * 1000),
        ..Facts::default()
    };
    let of = |name: &str, facts: &Facts| {
        let found = crate::checks::ceilings(knowledge, facts, &[], id(name));
        of_ceilings(&substance(name), &found)
    };
    let daily = |name: &str, facts: &Facts| -> Vec<String> {
        let (limits, _) = of(name, facts);
        limits
            .iter()
            .filter_map(|limit| match &limit.bound {
                Bound::Rolling { most, .. } => Some(format!("{} {}", most.value, most.unit.name())),
                _ => None,
            })
            .collect()
    };
    assert_eq!(daily("paracetamol", &person(80)), ["4000 mg"]);
    assert_eq!(daily("paracetamol", &person(45)), ["4000 mg", "3000 mg"]);
    assert_eq!(daily("insulin glargine", &person(80)), ["200 [iU]"]);
    // Without an age nobody knows which limit holds.
    let (_, missing) = of("paracetamol", &Facts::default());
    assert!(missing.iter().any(|one| one.verdict == Verdict::Unknown));
    // Every interval of the release is there in both directions.
    let (limits, _) = of("methotrexate", &person(80));
    assert!(
        limits
            .iter()
            .any(|limit| limit.bound == Bound::Apart { seconds: 6 * DAY })
    );
}

#[test]
fn a_tenfold_insulin_dose_is_stopped() {
    let knowledge = builtin::built_in().unwrap();
    let own = article("Insulin glargine 100 units/ml solution for injection");
    let ceilings = crate::checks::ceilings(
        knowledge,
        &crate::knowledge::Facts::default(),
        &[],
        own.ingredients[0].known.unwrap(),
    );
    let (limits, _) = of_ceilings(&own.ingredients[0].substance, &ceilings);
    for (dose, verdict) in [
        ("10 [iU]", Verdict::Allow),
        ("10 U", Verdict::Allow),
        ("80 [iU]", Verdict::Allow),
        ("100 [iU]", Verdict::Block),
        ("0.8 mL", Verdict::Allow),
        ("1 mL", Verdict::Block),
        ("10 mg", Verdict::Unknown),
        ("10 tablet", Verdict::Unknown),
    ] {
        let text = format!(
            "2026-03-05T08:00:00Z Insulin glargine 100 units/ml solution for injection: {dose}"
        );
        let found = decide(&text, &[], &limits, "2026-03-05T08:00:00Z");
        assert_eq!(found.verdict, verdict, "{dose}: {:?}", found.reasons);
    }
}

/// Doses of one or two tablets at any minute of four days.
fn some_doses() -> impl Strategy<Value = Vec<(i64, u8)>> {
    proptest::collection::vec((0i64..5_760, 1u8..3), 0..14)
}

fn tablets(number: usize, minute: i64, count: u8) -> Entry {
    let start = at("2026-03-27T00:00:00Z").plus_seconds(minute * 60);
    entry(
        number,
        &format!("{start} Paracetamol 500mg tablet: {count} tablet"),
    )
}

fn all() -> Vec<Limit> {
    vec![
        paracetamol(Bound::Rolling {
            most: grams(3),
            seconds: DAY,
        }),
        paracetamol(Bound::Day { most: grams(3) }),
        paracetamol(Bound::Apart { seconds: 4 * 3600 }),
        paracetamol(Bound::Times {
            most: 4,
            seconds: DAY,
        }),
        paracetamol(Bound::TimesADay { most: 4 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The order in which doses were entered makes no difference.
    #[test]
    fn order_of_entry_does_not_matter(doses in some_doses(), minute in 0i64..5_760, turn in 0usize..14) {
        let mut entries: Vec<Entry> =
            doses.iter().enumerate().map(|(n, (m, c))| tablets(n + 1, *m, *c)).collect();
        let zone = zone();
        let moment = Moment { now: at("2026-04-02T00:00:00Z"), zone: &zone };
        let own = tablets(0, minute, 2);
        let first = evaluate(&own, &all(), &History::of(entries.clone()), moment);
        entries.reverse();
        let middle = turn.min(entries.len());
        entries.rotate_left(middle);
        prop_assert_eq!(first, evaluate(&own, &all(), &History::of(entries), moment));
    }

    /// Doses that were each allowed, entered in any order of time, break no limit together; checked
    /// minute by minute without the code under test.
    #[test]
    fn what_is_allowed_holds_in_both_directions(doses in some_doses()) {
        let zone = zone();
        let moment = Moment { now: at("2026-04-02T00:00:00Z"), zone: &zone };
        let mut given: Vec<(i64, u8)> = Vec::new();
        let mut entries = Vec::new();
        for (n, (minute, count)) in doses.iter().enumerate() {
            let own = tablets(n, *minute, *count);
            let found = evaluate(&own, &all(), &History::of(entries.clone()), moment);
            if found.verdict == Verdict::Allow {
                given.push((*minute, *count));
                entries.push(own);
            }
        }
        for start in 0..5_760 {
            let within = given.iter().filter(|(m, _)| (start..start + 1_440).contains(m));
            let (doses, tablets) = within.fold((0, 0), |(n, t), (_, c)| (n + 1, t + u32::from(*c)));
            prop_assert!(tablets <= 6 && doses <= 4, "{tablets} tablets in {doses} doses from {start}");
        }
        for (n, (a, _)) in given.iter().enumerate() {
            for (b, _) in given.iter().skip(n + 1) {
                prop_assert!((a - b).abs() >= 240);
            }
        }
    }

    /// At the next time the dose is allowed, and at no minute before.
    #[test]
    fn next_is_the_first_moment(doses in some_doses(), minute in 0i64..5_760) {
        let entries: Vec<Entry> =
            doses.iter().enumerate().map(|(n, (m, c))| tablets(n + 1, *m, *c)).collect();
        let history = History::of(entries);
        let zone = zone();
        let moment = Moment { now: at("2026-04-02T00:00:00Z"), zone: &zone };
        let decide = |minute| evaluate(&tablets(0, minute, 2), &all(), &history, moment);
        let now = decide(minute);
        prop_assert_eq!(now.next == Next::Now, now.verdict == Verdict::Allow);
        let Next::At(next) = now.next else { return Ok(()) };
        let next = next.seconds_since(at("2026-03-27T00:00:00Z")) / 60;
        prop_assert_eq!(decide(next).verdict, Verdict::Allow);
        for early in (minute..next).step_by(31) {
            prop_assert_eq!(decide(early).verdict, Verdict::Block);
        }
    }
}
