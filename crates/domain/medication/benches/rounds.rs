//! How long a round of sixty residents and a month of chart for a thousand take.
//! `cargo bench -p theriac-medication --bench rounds`.

use std::hint::black_box;
use std::time::Instant;

use fhir::json::{Document, Limits};
use kernel::{Timestamp, ZoneName};
use medication::administration::{Book, Outcome, Record};
use medication::chart::chart;
use medication::checks::ceilings;
use medication::content::Article;
use medication::dosage::Dosage;
use medication::ids::ResidentId;
use medication::knowledge::{Fact, Facts, builtin};
use medication::limits::{Limit, of_ceilings};
use medication::order::{Home, NeedPlan, Order, OrderFacts, Status};
use medication::rounds::{Resident, build};
use medication::schedule::{Rounds, Window};
use medication::{Quantity, dictionary};

/// Ten medicines of a resident: name of the product and how often a day; 0 when needed.
const MEDICINES: [(&str, u8); 10] = [
    ("Paracetamol 500mg tablet", 4),
    ("Co-codamol 500mg/8mg tablet", 0),
    ("Warfarin 1mg tablet", 1),
    ("Bisoprolol 2.5mg tablet", 1),
    ("Ramipril 5mg capsule", 1),
    ("Furosemide 40mg tablet", 2),
    ("Metformin 500mg tablet", 3),
    ("Senna 7.5mg tablet", 2),
    ("Omeprazole 20mg gastro-resistant capsule", 1),
    ("Ibuprofen 400mg tablet", 0),
];
const DAY: i64 = 86_400;

/// A resident of the bench.
struct Own {
    id: ResidentId,
    name: String,
    location: Vec<String>,
    orders: Vec<Order>,
    book: Book,
    limits: Vec<Limit>,
}

fn dosage(times: u8) -> Option<Dosage> {
    let dose = r#""doseAndRate":[{"doseQuantity":{"value":1,"unit":"tablet"}}]"#;
    let text = match times {
        0 => format!(
            r#"{{"asNeededCodeableConcept":{{"text":"pain"}},{dose},"timing":{{"repeat":{{"frequency":1,"period":4,"periodUnit":"h"}}}},"maxDosePerPeriod":{{"numerator":{{"value":6,"unit":"tablet"}},"denominator":{{"value":1,"system":"http://unitsofmeasure.org","code":"d"}}}}}}"#
        ),
        _ => format!(
            r#"{{{dose},"timing":{{"repeat":{{"frequency":{times},"period":1,"periodUnit":"d"}}}}}}"#
        ),
    };
    let document = Document::parse(text.into_bytes(), &Limits::default()).ok()?;
    Dosage::read(document.root()).ok()
}

/// Every due dose, given on time.
fn records(orders: &[Order], home: &Home, from: Timestamp, days: i64) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    for order in orders {
        let slots = order
            .slots(home, from, from.plus_seconds(days * DAY))
            .ok()?;
        for (place, due) in slots.into_iter().enumerate() {
            let dose = Quantity::new(1.into(), medication::Unit::named("tablet"));
            records.push(Record {
                id: format!("{}-{place}", order.id).parse().ok()?,
                order: order.id.clone(),
                outcome: Outcome::Given,
                reason: None,
                happened: due.slot.at,
                entered: due.slot.at,
                slot: Some(due.key),
                dosage: None,
                giver: "nurse-1".parse().ok()?,
                enterer: None,
                witness: None,
                contents: order.article.contents(&dose),
                dose: Some(dose),
                product: order.article.name.clone(),
                rights: Vec::new(),
                device: None,
                corrects: None,
                need: None,
            });
        }
    }
    Some(records)
}

fn resident(number: usize, home: &Home, from: Timestamp, days: i64) -> Option<Own> {
    let knowledge = builtin::built_in().ok()?;
    let products = dictionary::built_in(knowledge).ok()?;
    let id: ResidentId = format!("resident-{number}").parse().ok()?;
    let facts = Facts {
        age_months: Fact::Known(1_000),
        weight_grams: Fact::Known(70_000),
        ..Facts::default()
    };
    let mut orders = Vec::new();
    let mut limits = Vec::new();
    for (place, (name, times)) in MEDICINES.iter().enumerate() {
        let article = match products.by_name(name) {
            Some(product) => Article::of(product, knowledge),
            None => Article::of_name(name.split(' ').next()?, knowledge),
        };
        for one in &article.ingredients {
            let found = ceilings(knowledge, &facts, &[], one.known?);
            limits.extend(of_ceilings(&one.substance, &found).0);
        }
        let order = Order::check(OrderFacts {
            id: format!("order-{number}-{place}").parse().ok()?,
            resident: id.clone(),
            article,
            dosages: vec![dosage(*times)?],
            status: Status::Active,
            start: from,
            stop: None,
            pauses: Vec::new(),
            window: Window::default(),
            apart_seconds: None,
            need: NeedPlan::default(),
            covert: false,
            homely: None,
            witness: false,
            replaces: None,
        });
        orders.push(order.ok()?);
    }
    Some(Own {
        id,
        name: format!("Resident {number}"),
        location: vec![format!("{}", number % 4), format!("{}", number / 4)],
        book: Book::of(records(&orders, home, from, days)?),
        orders,
        limits,
    })
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the time")]
fn timed<T>(name: &str, times: usize, mut run: impl FnMut() -> T) {
    let mut taken: Vec<u128> = (0..times)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_micros()
        })
        .collect();
    taken.sort_unstable();
    let middle = taken.get(times / 2).copied().unwrap_or(0);
    let worst = taken.last().copied().unwrap_or(0);
    #[expect(clippy::print_stdout, reason = "a bench prints")]
    {
        println!("{name}: median {middle} us, worst {worst} us");
    }
}

fn main() {
    let (Ok(zone), Some(from)) = (
        "Europe/London".parse::<ZoneName>(),
        Timestamp::from_rfc3339("2026-03-05T00:00:00Z"),
    ) else {
        return;
    };
    let home = Home {
        zone: zone.zone(),
        rounds: Rounds::default(),
    };
    let days = 28;
    let residents: Vec<Own> = (0..60)
        .filter_map(|number| resident(number, &home, from, days - 1))
        .collect();
    let borrowed: Vec<Resident<'_>> = residents
        .iter()
        .map(|own| Resident {
            id: &own.id,
            name: &own.name,
            location: &own.location,
            orders: &own.orders,
            book: &own.book,
            limits: &own.limits,
            missing: &[],
        })
        .collect();
    let now = from.plus_seconds((days - 1) * DAY + 8 * 3600);
    let lines: usize = build(&borrowed, &home, now, 0)
        .iter()
        .map(|own| own.lines.len())
        .sum();
    timed(
        &format!("round of {} residents, {lines} lines", residents.len()),
        50,
        || build(&borrowed, &home, now, 0),
    );
    let to = from.plus_seconds(days * DAY);
    timed("28 days of chart for 1,000 residents", 3, || {
        let mut cells = 0;
        for number in 0..1_000 {
            let Some(own) = residents.get(number % residents.len().max(1)) else {
                continue;
            };
            let drawn = chart(&own.orders, &own.book, &home, (from, to), now);
            cells += drawn.map_or(0, |own| own.lines.iter().map(|line| line.cells.len()).sum());
        }
        cells
    });
}
