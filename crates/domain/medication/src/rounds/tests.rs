//! The order of a round, what stands in it, and joining what devices bring back.

use super::*;
use crate::administration::tests::{NEEDED, TABLETS, record};
use crate::order::tests::{at, home, order};
use kernel::LogicalId;

const PARACETAMOL: &str = "Paracetamol 500mg tablet";

fn turns(visits: &[Visit]) -> Vec<String> {
    let lines = visits.iter().flat_map(|visit| {
        visit.lines.iter().map(|line| {
            format!(
                "{} {} {:?} {:?}",
                visit.name, line.order, line.turn, line.limits.verdict
            )
        })
    });
    lines.collect()
}

#[test]
fn a_round_is_walked_by_place_then_by_minutes_then_by_name() {
    let plain = || order("plain", PARACETAMOL, TABLETS);
    let critical = || {
        let mut own = order("critical", "Senna 7.5mg tablet", TABLETS);
        own.window.critical = true;
        own
    };
    let one = |facts| vec![Order::check(facts).unwrap()];
    let (a, b) = (one(plain()), one(critical()));
    let place = |room: &str| vec!["ground".to_owned(), room.to_owned()];
    let (near, far) = (place("101"), place("102"));
    let book = Book::default();
    let ids: Vec<ResidentId> = ["p1", "p2", "p3"].map(|id| id.parse().unwrap()).to_vec();
    let of = |n: usize, name: &'static str, location, orders| Resident {
        id: &ids[n],
        name,
        location,
        orders,
        book: &book,
        limits: &[],
        missing: &[],
    };
    let residents = [
        of(0, "Adams", &far, &a),
        of(1, "Brown", &near, &a),
        of(2, "Clark", &near, &b),
    ];
    let visits = build(&residents, &home(), at("2026-03-05T08:00:00Z"), 0);
    let names: Vec<&str> = visits.iter().map(|visit| visit.name.as_str()).collect();
    assert_eq!(names, ["Clark", "Brown", "Adams"]);
    assert!(visits[0].critical && !visits[1].critical);
    // Before the window nobody is visited, unless the round lasts into it.
    assert!(build(&residents, &home(), at("2026-03-05T06:00:00Z"), 0).is_empty());
    let soon = build(&residents, &home(), at("2026-03-05T06:00:00Z"), 3600);
    assert!(soon.iter().all(|visit| visit.lines[0].turn == Turn::Soon));
}

#[test]
fn a_round_holds_what_is_due_overdue_and_needed() {
    let mut needed = order("needed", "Co-codamol 500mg/8mg tablet", NEEDED);
    needed.apart_seconds = Some(4 * 3600);
    let mut paused = order("paused", PARACETAMOL, TABLETS);
    paused.pauses.push(crate::order::Pause {
        from: at("2026-03-01T00:00:00Z"),
        to: None,
        reason: "theatre".to_owned(),
    });
    let odd = order(
        "odd",
        PARACETAMOL,
        r#"{"doseAndRate":[{"doseQuantity":{"value":2,"unit":"tablet"}}],"timing":{"repeat":{"frequency":9,"period":1,"periodUnit":"d"}}}"#,
    );
    let facts = [order("due", PARACETAMOL, TABLETS), needed, paused, odd];
    let orders: Vec<Order> = facts
        .into_iter()
        .map(|own| Order::check(own).unwrap())
        .collect();
    let id: ResidentId = "p1".parse().unwrap();
    let place = vec!["101".to_owned()];
    let at_time = |book: &Book, now: &str| {
        let resident = Resident {
            id: &id,
            name: "Adams",
            location: &place,
            orders: &orders,
            book,
            limits: &[],
            missing: &[],
        };
        turns(&build(&[resident], &home(), at(now), 0))
    };
    // Yesterday evening's dose was never recorded: it is a gap, and not given beside this morning's.
    let rest = ["Adams needed AsNeeded Allow", "Adams odd Unplaced Allow"];
    for (now, first) in [
        ("2026-03-05T08:00:00Z", Some("Adams due Due Allow")),
        ("2026-03-05T10:00:00Z", Some("Adams due Overdue Allow")),
        ("2026-03-05T13:30:00Z", None),
    ] {
        let found = at_time(&Book::default(), now);
        let expected: Vec<&str> = first.into_iter().chain(rest).collect();
        assert_eq!(found, expected, "{now}");
    }
    let slots = orders[0].slots(
        &home(),
        at("2026-03-04T12:00:00Z"),
        at("2026-03-05T12:00:00Z"),
    );
    let slots = slots.unwrap();
    let given = [
        record("a", &orders[0], slots.first(), "2026-03-04T20:00:00Z"),
        record("b", &orders[0], slots.get(1), "2026-03-05T08:00:00Z"),
    ];
    // Paracetamol was given: co-codamol holds it too, and its own order keeps four hours.
    let found = at_time(&Book::of(given), "2026-03-05T08:30:00Z");
    assert_eq!(found[0], "Adams needed AsNeeded Warn");
}

#[test]
fn clocks_of_devices_are_checked() {
    let reading = |server: &str, device: &str| ClockReading {
        server: at(server),
        device: at(device),
    };
    for (taken, back, expected) in [
        ("08:00:30", "10:00:20", Skew::None),
        ("08:10:00", "10:10:00", Skew::Off { seconds: 600 }),
        ("08:00:00", "09:00:00", Skew::Moved { from: 0, to: -3600 }),
        ("07:00:00", "10:00:00", Skew::Moved { from: -3600, to: 0 }),
    ] {
        let clocks = Clocks {
            taken: reading("2026-03-05T08:00:00Z", &format!("2026-03-05T{taken}Z")),
            back: reading("2026-03-05T10:00:00Z", &format!("2026-03-05T{back}Z")),
        };
        assert_eq!(clocks.skew(), expected, "{taken} {back}");
    }
}

#[test]
fn a_known_difference_is_taken_off_and_the_rest_is_doubted() {
    let reading = |server: &str, device: &str| ClockReading {
        server: at(server),
        device: at(device),
    };
    let taken = reading("2026-03-05T08:00:00Z", "2026-03-05T02:00:00Z");
    let mut own = back("d1", Vec::new());
    // What is sent of the server's clocks is not asked.
    own.clocks.back = reading("2020-01-01T00:00:00Z", "2026-03-05T04:00:00Z");
    let now = at("2026-03-05T10:00:00Z");
    let clocks = own.clocks(taken, now);
    assert_eq!(clocks.skew(), Skew::Off { seconds: -6 * 3600 });
    assert_eq!(clocks.skew().seconds(), 6 * 3600);
    assert_eq!(clocks.outside(at("2026-03-05T03:00:00Z")), 0);
    own.corrected = true;
    let clocks = own.clocks(taken, now);
    assert_eq!(clocks.skew(), Skew::None);
    for (entered, outside) in [
        ("2026-03-05T09:00:00Z", 0),
        ("2026-03-05T07:59:00Z", 0),
        ("2026-03-05T07:00:00Z", 3600 - 120),
        ("2026-03-05T11:00:00Z", 3600 - 120),
        ("2024-03-05T09:00:00Z", 730 * 86_400 - 3600 - 120),
    ] {
        assert_eq!(clocks.outside(at(entered)), outside, "{entered}");
    }
}

fn back(device: &str, records: Vec<Record>) -> Return {
    let reading = |time: &str| ClockReading {
        server: at(time),
        device: at(time),
    };
    Return {
        pack: "pack-1".parse().unwrap(),
        device: device.parse().unwrap(),
        clocks: Clocks {
            taken: reading("2026-03-05T06:00:00Z"),
            back: reading("2026-03-05T23:00:00Z"),
        },
        corrected: false,
        records,
        scans: std::collections::BTreeMap::new(),
        effects: Vec::new(),
    }
}

use crate::administration::Record;

#[test]
fn two_devices_that_gave_one_dose_are_both_kept() {
    let own = Order::check(order("order-1", PARACETAMOL, TABLETS)).unwrap();
    let slots = own.slots(
        &home(),
        at("2026-03-05T00:00:00Z"),
        at("2026-03-06T00:00:00Z"),
    );
    let slots = slots.unwrap();
    let given = |id: &str, device: &str, time: &str| {
        let mut own = record(id, &own, slots.first(), time);
        own.device = Some(device.parse().unwrap());
        own
    };
    let one = back("d1", vec![given("a", "d1", "2026-03-05T08:00:00Z")]);
    let two = back("d2", vec![given("b", "d2", "2026-03-05T08:10:00Z")]);
    let joined = |returns: [&Return; 2]| {
        let mut book = Book::default();
        for record in returns.into_iter().flat_map(|own| &own.records) {
            book.merge(record.clone());
        }
        book
    };
    let found = joined([&one, &two]);
    assert_eq!(found.all().count(), 2);
    let doubles = found.possible_doubles();
    assert_eq!(doubles.len(), 1);
    assert_eq!(doubles[0].records.len(), 2);
    assert_eq!(
        found.history().entries().len(),
        2,
        "both count for the limits"
    );
    assert_eq!(joined([&two, &one]), found);
    let text = serde_json::to_string(&back("d1", vec![given("a", "d1", "2026-03-05T08:00:00Z")]));
    let text = text.unwrap();
    let again: Return = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

#[test]
fn the_id_of_a_planned_dose_is_no_record() {
    // Orders and records share the shape of ids; a planned dose never hides a record of the same text.
    let _: LogicalId = "same".parse().unwrap();
    let own = Order::check(order("same", PARACETAMOL, TABLETS)).unwrap();
    let book = Book::of([record("same", &own, None, "2026-03-05T07:59:00Z")]);
    let id: ResidentId = "p1".parse().unwrap();
    let mut limited = order("same", PARACETAMOL, TABLETS);
    limited.apart_seconds = Some(4 * 3600);
    let orders = [Order::check(limited).unwrap()];
    let resident = Resident {
        id: &id,
        name: "Adams",
        location: &[],
        orders: &orders,
        book: &book,
        limits: &[],
        missing: &[],
    };
    let visits = build(&[resident], &home(), at("2026-03-05T08:00:00Z"), 0);
    let due = visits[0].lines.iter().find(|line| line.turn == Turn::Due);
    assert_eq!(due.unwrap().limits.verdict, Verdict::Block);
}
