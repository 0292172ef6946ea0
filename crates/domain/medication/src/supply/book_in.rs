//! What arrives, held against what was asked for: line by line, with what is missing to be chased and
//! what does not belong to be set aside. Must not put into stock what was not asked for, what is for
//! somebody else, or what may not be used.

use jiff::tz::TimeZone;
use kernel::Timestamp;
use rust_decimal::Decimal;

use super::order::Order;
use super::state::{Event, State};
use crate::ids::{ItemId, PartyId, ResidentId};
use crate::stock::{self, Account, Batch, Units};

/// One thing of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Delivered {
    /// Which medicine, as scanned and resolved; none where it did not resolve.
    pub item: Option<ItemId>,
    /// What the label says.
    pub label: String,
    /// For whom, by the label; none where it names nobody.
    pub resident: Option<ResidentId>,
    /// How much, in the item's unit.
    pub quantity: Units,
    /// Batch, expiry and serial.
    pub batch: Batch,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Delivery {
    /// The delivery note's number: the same note is booked in once.
    pub note: String,
    /// Who brought it.
    pub from: PartyId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub things: Vec<Delivered>,
}

/// What was booked in before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Received {
    /// The delivery note.
    pub note: String,
    /// Which medicine.
    pub item: ItemId,
    /// How much.
    pub quantity: Units,
}

/// How a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineResult {
    /// The medicine.
    pub item: ItemId,
    /// Asked for.
    pub ordered: Decimal,
    /// Arrived before and now.
    pub arrived: Decimal,
    /// Arrived now.
    pub now: Decimal,
}

impl LineResult {
    /// What is still owed.
    #[must_use]
    pub fn missing(&self) -> Decimal {
        (self.ordered - self.arrived).max(Decimal::ZERO)
    }
}

/// A line to be asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chase {
    /// The medicine.
    pub item: ItemId,
    /// Its name.
    pub name: String,
    /// How much is missing.
    pub missing: Units,
}

/// Something that does not belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It did not resolve to a medicine.
    NotKnown {
        /// What the label says.
        label: String,
    },
    /// Nobody asked for it.
    WrongItem {
        /// The medicine.
        item: ItemId,
        /// What the label says.
        label: String,
    },
    /// It is labelled for somebody else, or for nobody where it should be for one.
    WrongResident {
        /// The medicine.
        item: ItemId,
        /// For whom it is.
        labelled: Option<ResidentId>,
    },
    /// Its last day is over.
    Expired {
        /// The medicine.
        item: ItemId,
        /// The batch.
        batch: Batch,
    },
    /// More than was asked for.
    TooMuch {
        /// The medicine.
        item: ItemId,
        /// How much more.
        extra: Units,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedIn {
    /// The lines of the order.
    pub lines: Vec<LineResult>,
    /// What goes into stock, by medicine: receipts into the resident's own account or the common one.
    pub stock: Vec<(ItemId, stock::Line)>,
    /// What is noted as received.
    pub received: Vec<Received>,
    /// What is set aside, and why.
    pub problems: Vec<Problem>,
    /// What is missing.
    pub chase: Vec<Chase>,
    /// What moves the order: received when nothing is missing, owed otherwise; none where it stands
    /// elsewhere already.
    pub event: Option<Event>,
}

/// Holds a delivery against an order and what arrived for it before. A note that was booked in before
/// brings nothing.
#[must_use]
pub fn book_in(
    order: &Order,
    earlier: &[Received],
    delivery: &Delivery,
    zone: &TimeZone,
) -> BookedIn {
    let again = earlier.iter().any(|own| own.note == delivery.note);
    let mut booked = BookedIn {
        lines: order
            .verb
            .lines()
            .iter()
            .map(|line| LineResult {
                item: line.item.clone(),
                ordered: line.quantity.get(),
                arrived: earlier
                    .iter()
                    .filter(|own| own.item == line.item)
                    .map(|own| own.quantity.get())
                    .sum(),
                now: Decimal::ZERO,
            })
            .collect(),
        stock: Vec::new(),
        received: Vec::new(),
        problems: Vec::new(),
        chase: Vec::new(),
        event: None,
    };
    if !again {
        for thing in &delivery.things {
            take(&mut booked, order, delivery, thing, zone);
        }
    }
    let names = order.verb.lines().iter().zip(&booked.lines);
    booked.chase = names
        .filter_map(|(line, own)| {
            Some(Chase {
                item: own.item.clone(),
                name: line.name.clone(),
                missing: Units::new(own.missing()).ok()?,
            })
        })
        .collect();
    let event = if booked.chase.is_empty() {
        Event::Receive
    } else {
        Event::Owe
    };
    let on_its_way = order.track.state() == State::Dispatched;
    booked.event = (on_its_way && !again).then_some(event);
    booked
}

/// Why a thing does not belong to the order; none where it does.
fn stray(
    order: &Order,
    delivery: &Delivery,
    thing: &Delivered,
    zone: &TimeZone,
) -> Option<Problem> {
    let Some(item) = thing.item.clone() else {
        return Some(Problem::NotKnown {
            label: thing.label.clone(),
        });
    };
    if !order.verb.lines().iter().any(|own| own.item == item) {
        return Some(Problem::WrongItem {
            item,
            label: thing.label.clone(),
        });
    }
    if thing.resident.as_ref() != order.verb.resident() {
        return Some(Problem::WrongResident {
            item,
            labelled: thing.resident.clone(),
        });
    }
    let expired = thing.batch.expires(zone);
    expired
        .is_some_and(|end| end <= delivery.at)
        .then(|| Problem::Expired {
            item,
            batch: thing.batch.clone(),
        })
}

fn take(
    booked: &mut BookedIn,
    order: &Order,
    delivery: &Delivery,
    thing: &Delivered,
    zone: &TimeZone,
) {
    if let Some(problem) = stray(order, delivery, thing, zone) {
        booked.problems.push(problem);
        return;
    }
    let mut lines = booked.lines.iter_mut();
    let Some(line) = lines.find(|own| Some(&own.item) == thing.item.as_ref()) else {
        return;
    };
    let item = line.item.clone();
    let fits = thing.quantity.get().min(line.missing());
    if let Ok(extra) = Units::new(thing.quantity.get() - fits) {
        let item = item.clone();
        booked.problems.push(Problem::TooMuch { item, extra });
    }
    let Ok(units) = Units::new(fits) else {
        return;
    };
    line.arrived += fits;
    line.now += fits;
    let location = order.verb.location().clone();
    let to = match order.verb.resident() {
        Some(resident) => Account::Own {
            resident: resident.clone(),
            location,
        },
        None => Account::Location { location },
    };
    let moved = stock::Line {
        batch: thing.batch.clone(),
        units,
        from: Account::Supplier {
            party: delivery.from.clone(),
        },
        to,
    };
    booked.stock.push((item.clone(), moved));
    booked.received.push(Received {
        note: delivery.note.clone(),
        item,
        quantity: units,
    });
}
