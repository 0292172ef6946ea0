//! A round: who gets what now, in the order one walks, with what the limits say of every dose; and the
//! pack that a device takes where there is no network. Must not leave a resident or an order out because
//! something about it cannot be told: it stands there and says so.

mod device;
mod pack;
mod packs;
mod standing;
#[cfg(test)]
mod tests;

use kernel::Timestamp;

pub use device::{Counted, DeviceDose, DeviceLimit, DeviceLimits, Kind};
pub use pack::{ClockReading, Clocks, MOST_SKEW, Pack, PackLine, PackVisit, Return, Skew};
pub use standing::{Said, Standing, standing, stands};

pub use packs::{DevicePack, DevicePacks, MOST_NUMBERS, Packs};

use crate::administration::Book;
use crate::dosage::Amount;
use crate::ids::{PrescriptionId, RecordId, ResidentId};
use crate::limits::{self, Entry, Evaluation, History, Limit, Moment, Verdict};
use crate::order::{DueSlot, Home, Order, Status};
use crate::quantity::Quantity;
use crate::schedule::ScheduleError;

/// A resident with what a round is built from.
#[derive(Debug, Clone, Copy)]
pub struct Resident<'a> {
    /// Who.
    pub id: &'a ResidentId,
    /// Name as it is sorted by.
    pub name: &'a str,
    /// Where, from the house to the room, each part as it is sorted by.
    pub location: &'a [String],
    /// All orders.
    pub orders: &'a [Order],
    /// All records.
    pub book: &'a Book,
    /// The limits of the knowledge for this resident; those of the orders are added.
    pub limits: &'a [Limit],
    /// What the knowledge could not decide for want of a fact.
    pub missing: &'a [limits::Reason],
}

/// Why a medicine is on the round.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// After its window, and not missed yet.
    Overdue,
    /// In its window.
    Due,
    /// Its window begins during the round.
    Soon,
    /// It may be given if it is needed.
    AsNeeded,
    /// Its doses have no place on the calendar: ask.
    Unplaced,
}

/// A medicine on the round.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RoundLine {
    /// The order.
    pub order: PrescriptionId,
    /// Its name.
    pub name: String,
    /// Why it is here.
    pub turn: Turn,
    /// The due dose.
    pub due: Option<DueSlot>,
    /// Which of the order's dosages it is, by place.
    pub dosage: usize,
    /// How much at most; none where the order does not say.
    pub dose: Option<Quantity>,
    /// What the limits say of that dose now.
    pub limits: Evaluation,
    /// Why it has no place, where it has none.
    pub unplaced: Option<ScheduleError>,
}

/// A resident on the round.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Visit {
    /// Who.
    pub resident: ResidentId,
    /// Name.
    pub name: String,
    /// Where.
    pub location: Vec<String>,
    /// Whether a dose is due whose minutes matter.
    pub critical: bool,
    /// The medicines: overdue, due, soon, as needed.
    pub lines: Vec<RoundLine>,
}

/// Seconds back in which a due dose without a record is looked for; it is missed long before.
const BACK: i64 = 24 * 3600;

/// Builds a round as of `now`, with what becomes due within `ahead` seconds. Sorted by location; in one
/// location those first for whom minutes matter, then by name. Who has nothing is left out.
#[must_use]
pub fn build(residents: &[Resident<'_>], home: &Home, now: Timestamp, ahead: i64) -> Vec<Visit> {
    let visits = residents
        .iter()
        .filter_map(|own| visit(own, home, now, ahead));
    let mut visits: Vec<Visit> = visits.collect();
    visits.sort_by(|a, b| {
        let key = |own: &Visit| (!own.critical, own.name.to_lowercase());
        (&a.location, key(a), &a.resident).cmp(&(&b.location, key(b), &b.resident))
    });
    visits
}

fn visit(resident: &Resident<'_>, home: &Home, now: Timestamp, ahead: i64) -> Option<Visit> {
    // An order's maximum holds for its ingredient in every other product too.
    let limits = all_limits(resident.orders, resident.limits);
    let reach = limits.iter().map(limits::reach).max().unwrap_or(0);
    let since = now.plus_seconds(reach.saturating_add(BACK).saturating_neg());
    let building = Building {
        resident,
        home,
        now,
        until: now.plus_seconds(ahead.max(0)),
        history: resident.book.history_since(since),
        limits,
    };
    let replaced = crate::chart::replaced(resident.orders);
    let placed = resident.book.placed_since(now.plus_seconds(-2 * BACK));
    let mut lines = Vec::new();
    for order in resident
        .orders
        .iter()
        .filter(|own| own.status == Status::Active)
    {
        let until = replaced.get(&order.id).map(|(_, at)| *at);
        building.order(order, until, &placed, &mut lines);
    }
    if lines.is_empty() {
        return None;
    }
    let key = |line: &RoundLine| {
        let critical = line.due.as_ref().is_some_and(|due| due.slot.critical);
        let at = line.due.as_ref().map(|due| due.slot.at);
        (line.turn, !critical, at, line.name.to_lowercase())
    };
    lines.sort_by_key(key);
    let critical = |line: &RoundLine| line.due.as_ref().is_some_and(|due| due.slot.critical);
    Some(Visit {
        resident: resident.id.clone(),
        name: resident.name.to_owned(),
        location: resident.location.to_vec(),
        critical: lines.iter().any(critical),
        lines,
    })
}

/// The limits of the knowledge and of every order that is given.
#[must_use]
pub fn all_limits(orders: &[Order], knowledge: &[Limit]) -> Vec<Limit> {
    let active = orders.iter().filter(|own| own.status == Status::Active);
    let own = active.flat_map(limits::of_order);
    let mut all: Vec<Limit> = Vec::new();
    for limit in knowledge.iter().cloned().chain(own) {
        let same = |known: &Limit| {
            known.scope == limit.scope && known.bound == limit.bound && known.effect >= limit.effect
        };
        if !all.iter().any(same) {
            all.push(limit);
        }
    }
    all
}

struct Building<'a> {
    resident: &'a Resident<'a>,
    home: &'a Home,
    now: Timestamp,
    until: Timestamp,
    history: History,
    limits: Vec<Limit>,
}

impl Building<'_> {
    fn order(
        &self,
        order: &Order,
        replaced: Option<Timestamp>,
        placed: &crate::administration::Placed<'_>,
        lines: &mut Vec<RoundLine>,
    ) {
        let to = self.until.plus_seconds(order.window.early.max(0) * 60 + 1);
        let to = replaced.map_or(to, |at| at.min(to));
        match order.slots(self.home, self.now.plus_seconds(-BACK), to) {
            Ok(slots) => {
                let mut nexts: Vec<Timestamp> =
                    slots.iter().skip(1).map(|own| own.slot.earliest).collect();
                nexts.reverse();
                for due in slots {
                    let missed = crate::chart::missed_at(&due.slot, nexts.pop());
                    let open = !placed.slots.contains_key(&due.key);
                    if open && self.now <= missed && order.paused(due.slot.at).is_none() {
                        self.slot(order, due, lines);
                    }
                }
            }
            Err(error) => {
                let mut line = self.line(order, Turn::Unplaced, None, 0);
                line.unplaced = Some(error);
                lines.push(line);
            }
        }
        let ended = replaced.is_some_and(|at| at <= self.now)
            || order.stop.is_some_and(|stop| stop <= self.now)
            || order.start > self.now;
        if ended || order.paused(self.now).is_some() {
            return;
        }
        for (place, dosage) in order.dosages.iter().enumerate() {
            if dosage.as_needed.is_needed() {
                lines.push(self.line(order, Turn::AsNeeded, None, place));
            }
        }
    }

    fn slot(&self, order: &Order, due: DueSlot, lines: &mut Vec<RoundLine>) {
        let turn = if self.now > due.slot.latest {
            Turn::Overdue
        } else if self.now >= due.slot.earliest {
            Turn::Due
        } else if self.until >= due.slot.earliest {
            Turn::Soon
        } else {
            return;
        };
        let place = due.slot.dosage;
        lines.push(self.line(order, turn, Some(due), place));
    }

    fn line(&self, order: &Order, turn: Turn, due: Option<DueSlot>, place: usize) -> RoundLine {
        let dosage = order.dosages.get(place);
        let dose = dosage
            .and_then(|own| own.dose())
            .and_then(Amount::most)
            .cloned();
        let at = due
            .as_ref()
            .map_or(self.now, |due| due.slot.earliest.max(self.now));
        let planned = Entry {
            id: planned(order),
            order: Some(order.id.clone()),
            at,
            name: order.article.name.clone(),
            contents: limits::counted(&order.article, dose.as_ref()),
            dose: dose.clone(),
        };
        let moment = Moment {
            now: self.now,
            zone: &self.home.zone,
        };
        let mut limits = limits::evaluate(&planned, &self.limits, &self.history, moment);
        // A fact that is missing concerns the medicine whose rule asks for it.
        for reason in self.resident.missing {
            limits.verdict = limits.verdict.max(Verdict::Unknown.min(reason.verdict));
            limits.reasons.push(reason.clone());
        }
        RoundLine {
            order: order.id.clone(),
            name: order.article.name.clone(),
            turn,
            due,
            dosage: place,
            dose,
            limits,
            unplaced: None,
        }
    }
}

/// An id that no record has, so that a planned dose hides none.
fn planned(order: &Order) -> RecordId {
    let text: String = format!("planned.{}", order.id).chars().take(64).collect();
    text.parse()
        .unwrap_or_else(|_| RecordId(order.id.0.clone()))
}
