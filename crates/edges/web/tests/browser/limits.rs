//! The device decides as the server does: random doses under random limits, once in Rust and once in the
//! module that the browser runs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its cases are made in one go"
)]

use kernel::Timestamp;
use medication::content::{Content, Substance, Unmeasured};
use medication::ids::RecordId;
use medication::limits::{
    Bound, Entry, History, Limit, Moment, Scope, Source, Verdict, Why, evaluate,
};
use medication::quantity::{Quantity, Unit};
use medication::rounds::{DeviceDose, DeviceLimits};
use serde_json::{Value, json};
use testkit::browser::Browser;
use testkit::peers::required;

use crate::house::House;

/// splitmix64, so that the cases are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

const SUBSTANCES: [&str; 2] = ["paracetamol", "codeine"];
/// Midnight before the night in which the clocks of London go forward.
pub const NIGHT: &str = "2026-03-29T00:00:00Z";

pub fn amount(dice: &mut Dice) -> Quantity {
    let written = ["250", "500", "0.5", "1000", "62.5", "1"];
    let value = written[dice.roll(6) as usize];
    let unit = if value == "0.5" || value == "1" {
        "g"
    } else {
        "mg"
    };
    Quantity::ucum(value.parse().unwrap(), unit)
}

pub fn entry(dice: &mut Dice, id: &str, from: Timestamp) -> Entry {
    let much = amount(dice);
    let contents = match dice.roll(12) {
        0 => Vec::new(),
        1 => vec![Content {
            substance: Substance::recorded(SUBSTANCES[0]),
            much: Err(Unmeasured::NoStrength),
        }],
        own => vec![Content {
            substance: Substance::recorded(SUBSTANCES[(own % 2) as usize]),
            much: Ok(much.clone()),
        }],
    };
    let order = ["one", "two"][dice.roll(2) as usize];
    let dose = match dice.roll(15) {
        0 => Quantity::new("0".parse().unwrap(), Unit::named("tablet")),
        1 => Quantity::new("1".parse().unwrap(), Unit::named("puff")),
        own => Quantity::new((own % 3 + 1).into(), Unit::named("tablet")),
    };
    Entry {
        id: id.parse().unwrap(),
        order: Some(order.parse().unwrap()),
        // Whole quarters of an hour, so that doses stand exactly at the ends of windows.
        at: from.plus_seconds(i64::try_from(dice.roll(4 * 40)).unwrap() * 900),
        name: "a medicine".to_owned(),
        dose: Some(dose),
        contents,
    }
}

pub fn limit(dice: &mut Dice) -> Limit {
    let by_order = dice.roll(3) == 0;
    let most = if by_order {
        Quantity::new((dice.roll(6) + 1).into(), Unit::named("tablet"))
    } else {
        Quantity::ucum(((dice.roll(8) + 1) * 250).into(), "mg")
    };
    let seconds = [3600, 4 * 3600, 6 * 3600, 86_400][dice.roll(4) as usize];
    let times = u32::try_from(dice.roll(4) + 1).unwrap();
    let bound = match dice.roll(7) {
        0 => Bound::Single { most },
        1 => Bound::Rolling { most, seconds },
        2 => Bound::Day { most },
        3 => Bound::Times {
            most: times,
            seconds,
        },
        4 => Bound::TimesADay { most: times },
        5 => Bound::Apart { seconds },
        _ => Bound::Ever { most },
    };
    Limit {
        scope: if by_order {
            Scope::Order("one".parse().unwrap())
        } else {
            Scope::Ingredient(Substance::recorded(SUBSTANCES[dice.roll(2) as usize]))
        },
        bound,
        effect: [Verdict::Block, Verdict::Warn][dice.roll(2) as usize],
        source: Source::Home {
            name: "test".to_owned(),
        },
    }
}

pub fn kind(why: &Why) -> &'static str {
    match why {
        Why::NotPositive => "not_positive",
        Why::TooMuch { .. } => "too_much",
        Why::TooOften { .. } => "too_often",
        Why::TooClose { .. } => "too_close",
        Why::Unmeasured { .. } => "unmeasured",
        Why::Incomparable { .. } => "incomparable",
        Why::BadEntry { .. } => "bad_entry",
        Why::Unresolved => "unresolved",
        Why::OpaqueNear { .. } => "opaque_near",
        Why::Later { .. } => "later",
        Why::FactMissing { .. } => "fact_missing",
    }
}

pub fn told(list: Vec<(Value, Value, Value)>) -> Vec<String> {
    let mut list: Vec<String> = list
        .into_iter()
        .map(|(verdict, limit, why)| format!("{verdict} {limit} {why}"))
        .collect();
    list.sort();
    list.dedup();
    list
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_decides_as_the_server_does() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    let device = browser.device(800, 600).await;
    let page = device.open(&house.address("/sign-in")).await;
    let zone = kernel::ZoneName::zone(&"Europe/London".parse().unwrap());
    let night = Timestamp::from_rfc3339(NIGHT).unwrap();
    let midnights: Vec<Timestamp> = [
        "2026-03-27",
        "2026-03-28",
        "2026-03-29",
        "2026-03-30",
        "2026-03-31",
    ]
    .iter()
    .map(|day| {
        medication::dosage::Moment::parse(day)
            .unwrap()
            .starts(&zone)
    })
    .collect();
    let mut dice = Dice(20_260_305);
    let mut cases = Vec::new();
    let mut wanted = Vec::new();
    for _ in 0..400 {
        let from = night.plus_seconds(-20 * 3600);
        let limits: Vec<Limit> = (0..=dice.roll(4)).map(|_| limit(&mut dice)).collect();
        let mut history = Vec::new();
        for number in 0..dice.roll(8) {
            history.push(entry(&mut dice, &format!("h{number}"), from));
        }
        let dose = entry(&mut dice, "new", from);
        let now = night.plus_seconds(i64::try_from(dice.roll(30)).unwrap() * 3600 - 10 * 3600);
        let moment = Moment { now, zone: &zone };
        let own = evaluate(&dose, &limits, &History::of(history.clone()), moment);
        wanted.push((
            serde_json::to_value(own.verdict).unwrap(),
            told(
                own.reasons
                    .iter()
                    .map(|own| (json!(own.verdict), json!(own.limit), json!(kind(&own.why))))
                    .collect(),
            ),
        ));
        cases.push(json!({
            "dose": DeviceDose::of(&dose, &limits), "limits": DeviceLimits::of(&limits, &history),
            "midnights": midnights, "now": now,
        }));
    }
    let module = web_edge::assets::address("round-limits.js");
    let run = format!(
        "import('{module}').then((m) => {}.map((c) => m.evaluate(c.dose, c.limits, c.midnights, c.now)))",
        Value::from(cases.clone())
    );
    let answers = page.run(&run).await;
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), wanted.len());
    let verdicts: std::collections::BTreeSet<String> =
        wanted.iter().map(|own| own.0.to_string()).collect();
    assert_eq!(
        verdicts.len(),
        4,
        "the cases show every verdict: {verdicts:?}"
    );
    for ((answer, wanted), case) in answers.iter().zip(&wanted).zip(&cases) {
        let reasons = answer["reasons"].as_array().unwrap();
        let reasons = told(
            reasons
                .iter()
                .map(|own| {
                    (
                        own["verdict"].clone(),
                        own["limit"].clone(),
                        own["why"].clone(),
                    )
                })
                .collect(),
        );
        assert_eq!(
            (&answer["verdict"], &reasons),
            (&wanted.0, &wanted.1),
            "{case}"
        );
    }
    let known: RecordId = "new".parse().unwrap();
    assert_eq!(cases[0]["dose"]["id"], known.as_str());
    page.clean();
}
