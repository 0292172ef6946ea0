//! What a chart shows, as tables; and its law: every due dose has exactly one outcome or shows as a gap.

use proptest::prelude::*;

use super::*;
use crate::administration::tests::{TABLETS, record, some_records};
use crate::order::tests::{at, home, order};
use crate::order::{OrderFacts, Pause};

const PARACETAMOL: &str = "Paracetamol 500mg tablet";

fn span() -> (Timestamp, Timestamp) {
    (at("2026-03-05T00:00:00Z"), at("2026-03-06T00:00:00Z"))
}

fn drawn(facts: OrderFacts, book: &Book, now: &str) -> Chart {
    let order = Order::check(facts).unwrap();
    chart(&[order], book, &home(), span(), at(now)).unwrap()
}

fn shown(chart: &Chart) -> Vec<String> {
    let cells = chart.lines.iter().flat_map(|line| &line.cells);
    cells
        .map(|cell| match &cell.state {
            CellState::Done {
                outcome, timing, ..
            } => format!("{} {timing:?}", outcome.code()),
            CellState::Paused { reason } => format!("paused {reason}"),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_due_dose_goes_from_upcoming_to_missed() {
    let facts = || order("order-1", PARACETAMOL, TABLETS);
    for (now, expected) in [
        ("2026-03-05T06:00:00Z", ["Upcoming", "Upcoming"]),
        ("2026-03-05T07:00:00Z", ["Due", "Upcoming"]),
        ("2026-03-05T09:00:00Z", ["Due", "Upcoming"]),
        ("2026-03-05T09:00:01Z", ["Late", "Upcoming"]),
        ("2026-03-05T13:00:00Z", ["Late", "Upcoming"]),
        ("2026-03-05T13:00:01Z", ["Missed", "Upcoming"]),
        ("2026-03-06T12:00:00Z", ["Missed", "Missed"]),
    ] {
        let found = drawn(facts(), &Book::default(), now);
        assert_eq!(shown(&found), expected, "{now}");
    }
    let mut critical = facts();
    critical.window.critical = true;
    let found = drawn(critical, &Book::default(), "2026-03-05T10:00:01Z");
    assert_eq!(shown(&found), ["Missed", "Upcoming"]);
}

#[test]
fn pauses_stops_and_replacements_show() {
    let facts = || order("order-1", PARACETAMOL, TABLETS);
    let now = "2026-03-06T12:00:00Z";
    let mut paused = facts();
    paused.pauses.push(Pause {
        from: at("2026-03-05T19:00:00Z"),
        to: Some(at("2026-03-05T21:00:00Z")),
        reason: "theatre".to_owned(),
    });
    assert_eq!(
        shown(&drawn(paused, &Book::default(), now)),
        ["Missed", "paused theatre"]
    );
    let mut stopped = facts();
    stopped.status = Status::Stopped;
    stopped.stop = Some(at("2026-03-05T12:00:00Z"));
    assert_eq!(shown(&drawn(stopped, &Book::default(), now)), ["Missed"]);
    let mut draft = facts();
    draft.status = Status::Draft;
    assert!(shown(&drawn(draft, &Book::default(), now)).is_empty());
    let mut newer = order("order-2", PARACETAMOL, TABLETS);
    newer.start = at("2026-03-05T12:00:00Z");
    newer.replaces = Some("order-1".parse().unwrap());
    let orders = [Order::check(facts()).unwrap(), Order::check(newer).unwrap()];
    let found = chart(&orders, &Book::default(), &home(), span(), at(now)).unwrap();
    let due: Vec<Vec<Timestamp>> = found
        .lines
        .iter()
        .map(|line| line.cells.iter().map(|cell| cell.due.slot.at).collect())
        .collect();
    assert_eq!(
        due,
        [[at("2026-03-05T08:00:00Z")], [at("2026-03-05T20:00:00Z")]]
    );
    assert_eq!(
        found.lines[0].replaced_by.as_ref().unwrap().0.as_str(),
        "order-2"
    );
    let backwards = (span().1, span().0);
    assert_eq!(
        chart(&orders, &Book::default(), &home(), backwards, at(now)),
        Err(ChartError::Span)
    );
}

#[test]
fn what_fits_no_due_dose_stands_beside_it() {
    let own = Order::check(order("order-1", PARACETAMOL, TABLETS)).unwrap();
    let slots = own.slots(&home(), span().0, span().1).unwrap();
    let mut gone = record("gone", &own, slots.first(), "2026-03-05T09:00:00Z");
    gone.slot.as_mut().unwrap().at = at("2026-03-05T09:00:00Z");
    let free = record("free", &own, None, "2026-03-05T11:00:00Z");
    let other = Order::check(order("order-9", PARACETAMOL, TABLETS)).unwrap();
    let orphan = record("orphan", &other, None, "2026-03-05T11:00:00Z");
    let late = record("late", &own, slots.get(1), "2026-03-05T22:00:00Z");
    let book = Book::of([gone, free, orphan, late]);
    let found = drawn(
        order("order-1", PARACETAMOL, TABLETS),
        &book,
        "2026-03-06T12:00:00Z",
    );
    assert_eq!(shown(&found), ["Missed", "given Late"]);
    let ids = |list: &[RecordId]| {
        list.iter()
            .map(|id| id.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&found.lines[0].off_schedule), ["gone"]);
    assert_eq!(ids(&found.lines[0].free), ["free"]);
    assert_eq!(ids(&found.orphans), ["orphan"]);
}

#[test]
fn a_shift_hands_over_what_the_next_must_know() {
    let facts = order("order-1", PARACETAMOL, TABLETS);
    let own = Order::check(facts).unwrap();
    let (from, to) = (at("2026-03-03T00:00:00Z"), at("2026-03-06T00:00:00Z"));
    let slots = own.slots(&home(), from, to).unwrap();
    let refused = slots.iter().take(5).enumerate().map(|(n, due)| {
        let mut own = record(&format!("r{n}"), &own, Some(due), "2026-03-05T08:00:00Z");
        own.happened = due.slot.at;
        own.entered = due.slot.at;
        if n > 1 {
            own.outcome = crate::administration::Outcome::Refused;
            own.reason = Some("no".to_owned());
        }
        own
    });
    let mut needed = record("n", &own, None, "2026-03-05T10:00:00Z");
    needed.need = Some(crate::administration::NeedRecord {
        reason: "pain".to_owned(),
        effect_due: Some(at("2026-03-05T11:00:00Z")),
    });
    let book = Book::of(refused.chain([needed]));
    let orders = [own];
    let chart = chart(
        &orders,
        &book,
        &home(),
        (from, to),
        at("2026-03-06T12:00:00Z"),
    )
    .unwrap();
    let shift = (at("2026-03-05T00:00:00Z"), to);
    let found = handover(&orders, &book, &chart, &[], shift);
    assert_eq!(found.refused.len(), 1);
    assert_eq!(found.refused[0].times, 3);
    assert_eq!(found.gaps, [slots[5].key.clone()]);
    assert_eq!(found.needed.len(), 1);
    assert_eq!(found.effects_due.len(), 1);
    assert!(found.started.is_empty() && found.doubles.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever records there are: each due dose has exactly one outcome or none; one without is a gap
    /// once its time is over; and every record that holds is somewhere on the chart.
    #[test]
    fn each_due_dose_has_one_outcome_or_is_a_gap(records in some_records()) {
        let book = Book::of(records);
        let found = drawn(order("order-1", PARACETAMOL, TABLETS), &book, "2026-03-08T00:00:00Z");
        let line = &found.lines[0];
        prop_assert_eq!(line.cells.len(), 2);
        let mut seen: Vec<RecordId> = Vec::new();
        for cell in &line.cells {
            prop_assert!(cell.outcome().is_some() != cell.is_gap());
            if let CellState::Done { record, others, possible_double, .. } = &cell.state {
                let taken = [record].into_iter().chain(others).filter(|id| {
                    book.get(id).unwrap().outcome.is_taken()
                });
                prop_assert_eq!(taken.count() > 1, *possible_double);
                seen.push(record.clone());
                seen.extend(others.clone());
            }
        }
        seen.extend(line.free.clone());
        seen.extend(line.off_schedule.clone());
        seen.sort();
        let heads: Vec<RecordId> = book.heads().map(|head| head.record.id.clone()).collect();
        prop_assert_eq!(seen, heads);
    }
}
