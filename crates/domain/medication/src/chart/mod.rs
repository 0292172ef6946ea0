//! The chart: every due dose of every order with what became of it, for up to [`MOST_DAYS`] days. Each due
//! dose ends in exactly one outcome or shows as a gap; a record that fits no due dose stands beside its
//! order. Must not leave out a record, an order or a dose that cannot be placed.

mod handover;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kernel::{Categorised, Category, Timestamp};

pub use handover::{Handover, Refusals, handover};

use crate::administration::book::state;
use crate::administration::{Book, Outcome, Placed, Record, SlotState};
use crate::ids::{PrescriptionId, RecordId};
use crate::order::{DueSlot, Home, Order, Status};
use crate::schedule::{ScheduleError, Slot};

/// Days that a chart holds.
pub const DAYS: i64 = 28;
/// Most days that a chart is drawn for.
pub const MOST_DAYS: i64 = 366;
/// Seconds after its window at which a dose that nobody recorded is missed, if the next is not due before.
pub const MISSED_AFTER: i64 = 4 * 3600;
/// The same where minutes matter.
pub const MISSED_AFTER_CRITICAL: i64 = 3600;

/// What a due dose shows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CellState {
    /// Its window has not begun.
    Upcoming,
    /// In its window.
    Due,
    /// After its window, and it may still be given.
    Late,
    /// Nobody recorded anything: a gap.
    Missed,
    /// The order pauses.
    Paused {
        /// Why.
        reason: String,
    },
    /// It has its outcome.
    Done {
        /// The record that stands.
        record: RecordId,
        /// Its outcome.
        outcome: Outcome,
        /// Whether it happened before the window, in it, or after it.
        timing: Timing,
        /// Whether it was entered long after it happened.
        late_entry: bool,
        /// Other records that hold of this dose.
        others: Vec<RecordId>,
        /// Whether more than one was taken.
        possible_double: bool,
    },
}

/// When it happened, by its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// Before it.
    Early,
    /// In it.
    InWindow,
    /// After it.
    Late,
}

/// A due dose on the chart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Cell {
    /// Which, when, with its window.
    pub due: DueSlot,
    /// What it shows.
    pub state: CellState,
}

impl Cell {
    /// Its outcome, where it has one.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match &self.state {
            CellState::Done { outcome, .. } => Some(*outcome),
            _ => None,
        }
    }
    /// Whether it is a gap.
    #[must_use]
    pub const fn is_gap(&self) -> bool {
        matches!(self.state, CellState::Missed)
    }
}

/// An order on the chart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// Which.
    pub order: PrescriptionId,
    /// Name of the medicine.
    pub name: String,
    /// What it is at.
    pub status: Status,
    /// Its due doses, by time.
    pub cells: Vec<Cell>,
    /// Records of no due dose, by time: given when needed, or off the schedule.
    pub free: Vec<RecordId>,
    /// Records of due doses that the order no longer has.
    pub off_schedule: Vec<RecordId>,
    /// Why its doses have no place on the calendar, where they have none: somebody must look.
    pub unplaced: Option<ScheduleError>,
    /// The order that took its place, and from when.
    pub replaced_by: Option<(PrescriptionId, Timestamp)>,
}

/// The chart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Chart {
    /// From.
    pub from: Timestamp,
    /// Until, not included.
    pub to: Timestamp,
    /// The orders, in the order they were passed in.
    pub lines: Vec<Line>,
    /// Records of orders that were not passed in.
    pub orphans: Vec<RecordId>,
}

/// A chart that cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// Too long, or backwards.
    #[error("a chart holds one to {MOST_DAYS} days: ask for fewer")]
    Span,
}

impl Categorised for ChartError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// Draws the chart of a resident for `[from, to)`, as of `now`.
///
/// # Errors
/// A span that is too long or backwards.
pub fn chart(
    orders: &[Order],
    book: &Book,
    home: &Home,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<Chart, ChartError> {
    let span = to.seconds_since(from);
    if span <= 0 || span > MOST_DAYS * 86_400 {
        return Err(ChartError::Span);
    }
    let replaced = replaced(orders);
    let placed = book.placed();
    let drawing = Drawing {
        home,
        from,
        to,
        now,
        placed: &placed,
    };
    let lines: Vec<Line> = orders
        .iter()
        .map(|order| drawing.line(order, replaced.get(&order.id).copied()))
        .collect();
    let known = |record: &Record| orders.iter().any(|order| order.id == record.order);
    let within = |record: &Record| from <= record.happened && record.happened < to;
    let heads = book.heads().map(|head| head.record);
    let orphans = heads.filter(|record| within(record) && !known(record));
    Ok(Chart {
        from,
        to,
        orphans: orphans.map(|record| record.id.clone()).collect(),
        lines,
    })
}

/// Which order was replaced, by which, from when.
pub(crate) fn replaced(
    orders: &[Order],
) -> BTreeMap<&PrescriptionId, (&PrescriptionId, Timestamp)> {
    let mut found: BTreeMap<&PrescriptionId, (&PrescriptionId, Timestamp)> = BTreeMap::new();
    for order in orders.iter().filter(|own| own.status.was_given()) {
        if let Some(old) = &order.replaces {
            let own = (&order.id, order.start);
            let first = found.entry(old).or_insert(own);
            if (own.1, own.0) < (first.1, first.0) {
                *first = own;
            }
        }
    }
    found
}

struct Drawing<'a> {
    home: &'a Home,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    placed: &'a Placed<'a>,
}

impl Drawing<'_> {
    fn line(&self, order: &Order, replaced: Option<(&PrescriptionId, Timestamp)>) -> Line {
        let to = replaced.map_or(self.to, |(_, at)| at.min(self.to));
        let (due, unplaced) = match order.slots(self.home, self.from, to) {
            Ok(due) => (due, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut cells: Vec<Cell> = Vec::with_capacity(due.len());
        let nexts: Vec<Timestamp> = due.iter().skip(1).map(|own| own.slot.earliest).collect();
        for (place, due) in due.into_iter().enumerate() {
            let state = self.state(order, &due, nexts.get(place).copied());
            cells.push(Cell { due, state });
        }
        let free = self.placed.free.get(&order.id).into_iter().flatten();
        let free = free.filter(|own| self.from <= own.happened && own.happened < self.to);
        Line {
            order: order.id.clone(),
            name: order.article.name.clone(),
            status: order.status,
            free: free.map(|own| own.id.clone()).collect(),
            off_schedule: self.off_schedule(order, &cells),
            cells,
            unplaced,
            replaced_by: replaced.map(|(by, at)| (by.clone(), at)),
        }
    }

    fn off_schedule(&self, order: &Order, cells: &[Cell]) -> Vec<RecordId> {
        let first = crate::order::SlotKey {
            order: order.id.clone(),
            dosage: 0,
            at: Timestamp::from_micros(i64::MIN),
            nth: 0,
        };
        let own = self
            .placed
            .slots
            .range::<crate::order::SlotKey, _>(&first..);
        let own = own.take_while(|(key, _)| key.order == order.id);
        let span = own.filter(|(key, _)| self.from <= key.at && key.at < self.to);
        let gone = span.filter(|(key, _)| {
            let near = cells.partition_point(|cell| cell.due.key.at < key.at);
            let cells = cells.iter().skip(near);
            let mut same = cells.take_while(|cell| cell.due.key.at == key.at);
            !same.any(|cell| cell.due.key == ***key)
        });
        gone.flat_map(|(_, records)| records.iter().map(|own| own.id.clone()))
            .collect()
    }

    fn state(&self, order: &Order, due: &DueSlot, next: Option<Timestamp>) -> CellState {
        let records = self.placed.slots.get(&due.key);
        let found = records.map_or(SlotState::Open, |records| state(records));
        match found {
            SlotState::Closed(record) => done(due, record, &[], false),
            SlotState::Clash {
                first,
                others,
                double,
            } => done(due, first, &others, double),
            SlotState::Open => self.open(order, due, next),
        }
    }

    fn open(&self, order: &Order, due: &DueSlot, next: Option<Timestamp>) -> CellState {
        let slot = &due.slot;
        if let Some(pause) = order.paused(slot.at) {
            let reason = pause.reason.clone();
            return CellState::Paused { reason };
        }
        if order.status == Status::OnHold && slot.at >= self.now {
            let reason = "on hold".to_owned();
            return CellState::Paused { reason };
        }
        if self.now < slot.earliest {
            return CellState::Upcoming;
        }
        if self.now <= slot.latest {
            return CellState::Due;
        }
        let missed = missed_at(slot, next);
        if self.now <= missed {
            CellState::Late
        } else {
            CellState::Missed
        }
    }
}

/// From when a dose that nobody recorded is missed: it is then not given any more, for the next is near.
pub(crate) fn missed_at(slot: &Slot, next: Option<Timestamp>) -> Timestamp {
    let after = if slot.critical {
        MISSED_AFTER_CRITICAL
    } else {
        MISSED_AFTER
    };
    let missed = slot.latest.plus_seconds(after);
    next.map_or(missed, |next| missed.min(next.max(slot.latest)))
}

fn done(due: &DueSlot, record: &Record, others: &[&Record], possible_double: bool) -> CellState {
    let timing = if record.happened < due.slot.earliest {
        Timing::Early
    } else if record.happened > due.slot.latest {
        Timing::Late
    } else {
        Timing::InWindow
    };
    CellState::Done {
        record: record.id.clone(),
        outcome: record.outcome,
        timing,
        late_entry: record.is_late_entry(),
        others: others.iter().map(|own| own.id.clone()).collect(),
        possible_double,
    }
}
