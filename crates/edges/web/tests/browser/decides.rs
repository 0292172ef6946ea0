//! A device decides on a dose as `$give` does: random orders, alerts, papers, doses and forms, once in Rust
//! where everything is known, once in the module that the browser runs, on what the device took along.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its cases are made in one go"
)]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use app::medicines::reasons;
use app::medicines::rounds::Stands;
use fhir::json::{Document, Limits};
use kernel::Timestamp;
use medication::administration::{
    Alerts, AllergyState, Book, Covert, Giving, How, NeedRecord, Outcome, PackState, Policy,
    Record, Right, SelfCare, SelfLevel, Verified, decide_giving,
};
use medication::content::Article;
use medication::dictionary::Dictionary;
use medication::ids::PersonId;
use medication::knowledge::{Tier, builtin};
use medication::limits::{self, Entry, Limit, Reason, Verdict, Why};
use medication::order::{DueSlot, Home, Order};
use medication::quantity::{Quantity, Unit};
use medication::resources::{Resolved, read_order};
use medication::rounds::{DeviceDose, DeviceLimits, Said, standing};
use medication::schedule::Rounds;
use serde_json::{Value, json};
use testkit::browser::Browser;
use testkit::peers::required;

use crate::house::House;
use crate::limits::{Dice, limit};

static PRODUCTS: LazyLock<Dictionary> =
    LazyLock::new(|| medication::dictionary::built_in(builtin::built_in().unwrap()).unwrap());

const MADE: &str = "2026-03-05T06:30:00Z";
const HOURS: i64 = 8;

fn article(name: &str) -> Article {
    Article::of(
        PRODUCTS.by_name(name).unwrap(),
        builtin::built_in().unwrap(),
    )
}

fn at(dice: &mut Dice) -> Timestamp {
    let made = Timestamp::from_rfc3339(MADE).unwrap();
    let quarters = i64::try_from(dice.roll(32)).unwrap();
    made.plus_seconds(quarters * 900)
}

fn maybe<T>(dice: &mut Dice, one_in: u64, make: impl FnOnce(&mut Dice) -> T) -> Option<T> {
    (dice.roll(one_in) == 0).then(|| make(dice))
}

fn order(dice: &mut Dice, home: &Home) -> Order {
    let base = "https://theriac.example.org/fhir/StructureDefinition/";
    let product = [
        "Paracetamol 500mg tablet",
        "Morphine 10mg modified-release tablet",
        "Codeine 30mg tablet",
    ][dice.roll(3) as usize];
    let amount = json!([{ "doseQuantity": { "value": 2, "unit": "tablet" } }]);
    let dosage = if dice.roll(3) == 0 {
        json!({ "asNeededCodeableConcept": { "text": "pain" }, "doseAndRate": amount,
            "timing": { "repeat": { "frequency": 1, "period": 4, "periodUnit": "h" } } })
    } else {
        json!({ "timing": { "repeat": { "timeOfDay": ["08:00:00", "12:00:00"] } }, "doseAndRate": amount })
    };
    let mut extensions = Vec::new();
    for name in ["order-covert", "order-witness"] {
        if dice.roll(4) == 0 {
            extensions.push(json!({ "url": format!("{base}{name}"), "valueBoolean": true }));
        }
    }
    if dice.roll(4) == 0 {
        extensions.push(json!({ "url": format!("{base}order-pause"), "extension": [
            { "url": "from", "valueDateTime": at(dice).to_fhir_instant() },
            { "url": "reason", "valueString": "theatre" },
        ]}));
    }
    let mut resource = json!({
        "resourceType": "MedicationRequest", "id": "one", "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": product }, "subject": { "reference": "Patient/p" },
        "authoredOn": "2026-03-01T00:00:00Z", "dosageInstruction": [dosage],
    });
    if !extensions.is_empty() {
        resource["extension"] = json!(extensions);
    }
    let document = Document::parse(resource.to_string().into_bytes(), &Limits::default()).unwrap();
    let resolved = Resolved {
        article: article(product),
        zone: &home.zone,
    };
    let mut facts = read_order(document.root(), resolved).unwrap();
    facts.window.critical = dice.roll(3) == 0;
    Order::check(facts).unwrap()
}

fn alerts(dice: &mut Dice, giver: &PersonId) -> Alerts {
    let tier = [
        None,
        Some(Tier::Moderate),
        Some(Tier::High),
        Some(Tier::Contraindicated),
    ][dice.roll(4) as usize];
    let second: Vec<PersonId> = match dice.roll(3) {
        0 => Vec::new(),
        1 => vec![giver.clone()],
        _ => vec!["second".parse().unwrap()],
    };
    Alerts {
        tier,
        overridden: dice.roll(2) == 0,
        second,
        not_checked: maybe(dice, 4, |_| "the list of another".to_owned())
            .into_iter()
            .collect(),
    }
}

fn covert(dice: &mut Dice) -> Covert {
    Covert {
        capacity: maybe(dice, 2, at),
        best_interest: maybe(dice, 2, at),
        method: maybe(dice, 2, |_| "in jam".to_owned()),
        review: maybe(dice, 2, at),
    }
}

fn alone(dice: &mut Dice) -> SelfCare {
    let level = if dice.roll(3) == 0 {
        SelfLevel::StaffGive
    } else {
        SelfLevel::Independent
    };
    SelfCare {
        level,
        assessed: at(dice),
        review: at(dice),
    }
}

struct Case {
    order: Order,
    due: Option<DueSlot>,
    limits: Vec<Limit>,
    missing: Vec<Reason>,
    alerts: Alerts,
    allergies: AllergyState,
    covert: Covert,
    alone: Option<SelfCare>,
    giver: PersonId,
}

impl Case {
    fn record(&self, id: &str, outcome: Outcome, happened: Timestamp) -> Record {
        let dose = Quantity::new(2.into(), Unit::named("tablet"));
        let taken = outcome.is_taken();
        Record {
            id: id.parse().unwrap(),
            order: self.order.id.clone(),
            slot: self.due.as_ref().map(|due| due.key.clone()),
            dosage: None,
            outcome,
            reason: Some("because".to_owned()),
            happened,
            entered: happened,
            giver: self.giver.clone(),
            enterer: None,
            witness: None,
            contents: limits::counted(&self.order.article, Some(&dose).filter(|_| taken)),
            dose: taken.then_some(dose),
            product: self.order.article.name.clone(),
            rights: Vec::new(),
            device: None,
            corrects: None,
            need: None,
        }
    }

    fn giving<'a>(&'a self, record: &'a Record, book: &'a Book, rest: &'a Rest) -> Giving<'a> {
        Giving {
            order: &self.order,
            due: self.due.as_ref(),
            named: None,
            record,
            done: rest.done,
            book,
            limits: &self.limits,
            missing: &self.missing,
            alerts: &self.alerts,
            allergies: self.allergies,
            homely: None,
            covert: self.order.covert.then_some(&self.covert),
            self_care: self.alone.as_ref(),
            pack: PackState::NotScanned,
            policy: &rest.policy,
            now: rest.now,
            zone: &rest.home.zone,
        }
    }
}

struct Rest {
    done: bool,
    policy: Policy,
    now: Timestamp,
    home: Home,
}

fn counted(case: &Case, record: &Record) -> Option<DeviceDose> {
    let entry: Entry = record.counted()?;
    Some(DeviceDose::of(&entry, &case.limits))
}

/// What the device took along of a case.
fn standing_of(case: &Case, book: &Book, rest: &Rest) -> Vec<Stands> {
    let made = Timestamp::from_rfc3339(MADE).unwrap();
    let planned = case.record("planned", Outcome::Given, made);
    let turns: Vec<Timestamp> = [
        case.covert.capacity,
        case.covert.best_interest,
        case.covert.review,
        case.alone.as_ref().map(|own| own.assessed),
        case.alone.as_ref().map(|own| own.review),
    ]
    .into_iter()
    .flatten()
    .collect();
    let papers = |outcome, _| Said {
        covert: case.order.covert.then(|| case.covert.clone()),
        alone: (outcome == Outcome::SelfAdministered)
            .then(|| case.alone.clone())
            .flatten(),
        homely: None,
        missing: Vec::new(),
    };
    let span = (made, made.plus_seconds(HOURS * 3600));
    let found = standing(case.giving(&planned, book, rest), span, &turns, papers);
    found
        .into_iter()
        .map(|own| Stands {
            code: reasons::code(&own.why),
            verdict: own.verdict,
            text: reasons::words(&own.why),
            outcomes: own.outcomes,
            from: own.from,
            until: own.until,
        })
        .collect()
}

fn told(list: impl Iterator<Item = (Value, String)>) -> BTreeSet<String> {
    list.map(|(verdict, code)| format!("{verdict} {code}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_blocks_what_give_blocks() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    let device = browser.device(800, 600).await;
    let page = device.open(&house.address("/sign-in")).await;
    let made = Timestamp::from_rfc3339(MADE).unwrap();
    let zone = || kernel::ZoneName::zone(&"Europe/London".parse().unwrap());
    let midnights: Vec<Timestamp> = [
        "2026-03-03",
        "2026-03-04",
        "2026-03-05",
        "2026-03-06",
        "2026-03-07",
    ]
    .iter()
    .map(|day| {
        medication::dosage::Moment::parse(day)
            .unwrap()
            .starts(&zone())
    })
    .collect();
    let mut dice = Dice(20_260_306);
    let (mut cases, mut wanted) = (Vec::new(), Vec::new());
    for _ in 0..600 {
        let home = Home {
            zone: zone(),
            rounds: Rounds::default(),
        };
        let own = order(&mut dice, &home);
        let slots = own
            .slots(&home, made, made.plus_seconds(HOURS * 3600))
            .unwrap();
        let due = if slots.is_empty() {
            None
        } else {
            Some(slots[dice.roll(slots.len() as u64) as usize].clone())
        };
        let giver: PersonId = "nurse".parse().unwrap();
        let case = Case {
            limits: (0..dice.roll(3)).map(|_| limit(&mut dice)).collect(),
            missing: maybe(&mut dice, 6, |_| Reason {
                verdict: Verdict::Unknown,
                limit: None,
                why: Why::FactMissing {
                    fact: "no weight".to_owned(),
                    rule: "a limit".to_owned(),
                },
            })
            .into_iter()
            .collect(),
            alerts: alerts(&mut dice, &giver),
            allergies: if dice.roll(3) == 0 {
                AllergyState::NotAsked
            } else {
                AllergyState::Asked
            },
            covert: covert(&mut dice),
            alone: maybe(&mut dice, 2, alone),
            order: own,
            due,
            giver,
        };
        let rest = Rest {
            done: dice.roll(4) == 0,
            policy: Policy::default(),
            now: at(&mut dice),
            home,
        };
        // Doses of the days before, which the pack holds, and one of this device.
        let mut book = Book::default();
        for number in 0..dice.roll(3) {
            let hours = i64::try_from(dice.roll(30)).unwrap();
            let before = made.plus_seconds(-hours * 3600);
            let mut old = case.record(&format!("h{number}"), Outcome::Given, before);
            old.slot = None;
            if dice.roll(2) == 0 {
                old.order = "other".parse().unwrap();
            }
            book.merge(old);
        }
        let stands = standing_of(&case, &book, &rest);
        let history: Vec<Entry> = book.history().entries().to_vec();
        let mut doses = Vec::new();
        let mut whole = book.clone();
        if dice.roll(3) == 0 {
            let outcome = Outcome::ALL[dice.roll(10) as usize];
            let mut own = case.record("here", outcome, at(&mut dice));
            if dice.roll(2) == 0 {
                own.slot = None;
            }
            doses.push(json!({
                "id": "here", "state": "waits", "patient": "p", "pack": "pack", "outcome": outcome,
                "slot": own.slot.as_ref().map(ToString::to_string), "counts": counted(&case, &own),
                "record": { "order": "one", "happened": own.happened },
            }));
            whole.merge(own);
        }
        let outcome = Outcome::ALL[dice.roll(10) as usize];
        let mut record = case.record("new", outcome, rest.now);
        record.reason = maybe(&mut dice, 2, |_| "because".to_owned());
        let needed = case.due.is_none() && case.order.is_needed();
        let need = maybe(&mut dice, 2, |_| "pain".to_owned()).filter(|_| needed);
        record.need = need.clone().map(|reason| NeedRecord {
            reason,
            effect_due: None,
        });
        let left_out = dice.roll(12);
        let rights = Right::ALL.iter().enumerate();
        let rights = rights.filter(|(number, _)| *number as u64 != left_out);
        record.rights = rights
            .map(|(_, right)| Verified {
                right: *right,
                how: How::Read,
                fits: true,
            })
            .collect();
        let decision = decide_giving(case.giving(&record, &whole, &rest));
        wanted.push((
            json!(decision.verdict),
            decision.keep,
            told(
                decision
                    .reasons
                    .iter()
                    .map(|(verdict, why)| (json!(verdict), reasons::code(why))),
            ),
        ));
        let slot = case.due.as_ref().map(|due| due.key.to_string());
        let planned = case.record("planned", Outcome::Given, made);
        cases.push(json!({
            "pack": { "pack": { "id": "pack" }, "midnights": midnights },
            "person": {
                "stop": { "patient": "p" }, "limits": DeviceLimits::of(&case.limits, &history),
                "offers": [{ "order": "one", "slot": slot, "standing": stands }],
            },
            "line": { "order": "one", "slot": slot, "due": case.due, "needed": needed },
            "planned": { "counts": counted(&case, &planned) },
            "filled": {
                "outcome": outcome, "reason": record.reason.clone().unwrap_or_default(),
                "need": need.unwrap_or_default(), "done": rest.done,
                "rights": record.rights.iter().map(|own| own.right).collect::<Vec<_>>(),
            },
            "doses": doses, "now": rest.now,
        }));
    }
    let module = web_edge::assets::address("round-decide.js");
    let run = format!(
        "import('{module}').then((m) => {}.map((c) => m.decide(c.pack, c.person, c.line, c.planned, c.filled, c.doses, c.now)))",
        Value::from(cases.clone())
    );
    let answers = page.run(&run).await;
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), wanted.len());
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for ((answer, (verdict, keep, reasons)), case) in answers.iter().zip(&wanted).zip(&cases) {
        let against = answer["against"].as_array().unwrap();
        let against = against.iter().map(|own| {
            (
                own["verdict"].clone(),
                own["code"].as_str().unwrap().to_owned(),
            )
        });
        assert_eq!(
            (&answer["verdict"], &answer["keep"], &told(against)),
            (verdict, &json!(keep), reasons),
            "{case}"
        );
        seen.extend(reasons.iter().cloned());
    }
    // The cases show every reason that there is to take along, and those of the form.
    for code in [
        "block not-overridden",
        "block no-second-person",
        "block allergies-not-asked",
        "warn allergies-not-asked",
        "block covert",
        "block not-assessed",
        "block no-witness",
        "block paused",
        "warn not-checked",
        "unknown fact-missing",
        "warn need-gap",
        "block right-missing",
        "block early",
        "warn late",
        "block late",
        "block recorded",
        "block possible-double",
        "block no-need",
        "block record",
    ] {
        assert!(
            seen.contains(&format!(
                "\"{}\" {}",
                code.split_once(' ').unwrap().0,
                code.split_once(' ').unwrap().1
            )),
            "{code}: {seen:?}"
        );
    }
    page.clean();
}
