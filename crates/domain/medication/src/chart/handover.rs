//! What the next shift must know: counts, refusals in a row, gaps, what was given when needed and whether
//! it helped, orders that are new, changed or stopped. Must not summarise a gap away.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Timestamp;

use super::{Chart, replaced};
use crate::administration::{Book, Double, EffectRecord, Outcome};
use crate::ids::{PrescriptionId, RecordId};
use crate::order::{Order, SlotKey};

/// Refusals in a row after which the prescriber is told.
pub const REFUSALS: u32 = 3;

/// An order that was refused again and again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refusals {
    /// Which.
    pub order: PrescriptionId,
    /// How many times in a row, up to now.
    pub times: u32,
}

/// What a shift hands over.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Handover {
    /// How many doses ended how.
    pub outcomes: BTreeMap<Outcome, u32>,
    /// Refused at least [`REFUSALS`] times in a row.
    pub refused: Vec<Refusals>,
    /// Due doses that nobody recorded.
    pub gaps: Vec<SlotKey>,
    /// Due doses that may still be given, after their window.
    pub late: Vec<SlotKey>,
    /// Given when needed, or off the schedule.
    pub needed: Vec<RecordId>,
    /// Doses whose effect was to be asked for by now, and was not.
    pub effects_due: Vec<RecordId>,
    /// As-needed orders that were used more often than their plan expects.
    pub escalate: Vec<PrescriptionId>,
    /// Entered long after they happened.
    pub late_entries: Vec<RecordId>,
    /// Doses that may have been taken twice.
    pub doubles: Vec<Double>,
    /// Orders that began.
    pub started: Vec<PrescriptionId>,
    /// Orders that replaced another.
    pub changed: Vec<PrescriptionId>,
    /// Orders that were stopped.
    pub stopped: Vec<PrescriptionId>,
    /// Orders whose doses have no place on the calendar.
    pub unplaced: Vec<PrescriptionId>,
}

/// What the shift `[from, to)` hands over. The chart must reach back far enough to see refusals in a row.
#[must_use]
pub fn handover(
    orders: &[Order],
    book: &Book,
    chart: &Chart,
    effects: &[EffectRecord],
    (from, to): (Timestamp, Timestamp),
) -> Handover {
    let within = |at: Timestamp| from <= at && at < to;
    let mut found = Handover::default();
    for head in book.heads().filter(|head| within(head.record.happened)) {
        let record = head.record;
        *found.outcomes.entry(record.outcome).or_default() += 1;
        if record.slot.is_none() && record.outcome.is_taken() {
            found.needed.push(record.id.clone());
        }
        if record.is_late_entry() {
            found.late_entries.push(record.id.clone());
        }
    }
    let asked: BTreeSet<&RecordId> = effects.iter().map(|own| &own.of).collect();
    for head in book.heads() {
        let record = head.record;
        let due = record.need.as_ref().and_then(|need| need.effect_due);
        // What was said of a dose is said of its correction.
        let corrected = book.corrected_by(record);
        let told = asked.contains(&record.id) || corrected.iter().any(|own| asked.contains(own));
        if due.is_some_and(|due| due < to) && record.outcome.is_taken() && !told {
            found.effects_due.push(record.id.clone());
        }
    }
    for line in &chart.lines {
        for cell in line.cells.iter().filter(|cell| within(cell.due.slot.at)) {
            match cell.state {
                super::CellState::Missed => found.gaps.push(cell.due.key.clone()),
                super::CellState::Late => found.late.push(cell.due.key.clone()),
                _ => {}
            }
        }
        let before = line.cells.iter().filter(|cell| cell.due.slot.at < to);
        let outcomes = before.rev().filter_map(super::Cell::outcome);
        let times = outcomes.take_while(|own| *own == Outcome::Refused).count() as u32;
        if times >= REFUSALS {
            let order = line.order.clone();
            found.refused.push(Refusals { order, times });
        }
        if line.unplaced.is_some() {
            found.unplaced.push(line.order.clone());
        }
    }
    let holds = |double: &Double| {
        let records = double.records.iter().filter_map(|id| book.get(id));
        records.into_iter().any(|record| within(record.happened))
    };
    found.doubles = book.possible_doubles().into_iter().filter(holds).collect();
    changes(orders, book, &mut found, (from, to));
    found
}

fn changes(
    orders: &[Order],
    book: &Book,
    found: &mut Handover,
    (from, to): (Timestamp, Timestamp),
) {
    let within = |at: Timestamp| from <= at && at < to;
    let gone = replaced(orders);
    for order in orders.iter().filter(|own| own.status.was_given()) {
        if within(order.start) {
            let list = if order.replaces.is_some() {
                &mut found.changed
            } else {
                &mut found.started
            };
            list.push(order.id.clone());
        }
        if order.stop.is_some_and(within) && !gone.contains_key(&order.id) {
            found.stopped.push(order.id.clone());
        }
        let Some(plan) = order.need.escalate else {
            continue;
        };
        let since = to.plus_seconds(-i64::from(plan.days) * 86_400);
        let used = book.heads().filter(|head| {
            let own = head.record;
            own.order == order.id
                && own.outcome.is_taken()
                && since <= own.happened
                && own.happened < to
        });
        if used.count() as u32 >= plan.doses {
            found.escalate.push(order.id.clone());
        }
    }
}
