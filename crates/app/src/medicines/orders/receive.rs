//! A delivery held against its order: what fits is booked in, what does not belong is set aside, what is
//! missing is owed and chased. Each delivery note counts once. Must not put into stock what the order did
//! not ask for, or a controlled drug without its two signatures.

use identity::Interaction;
use kernel::{Category, Timestamp};
use medication::ids::{ItemId, OrderId, ResidentId};
use medication::stock::{Account, Batch, Units};
use medication::supply::resources::supply_delivery;
use medication::supply::{BookedIn, Delivered, Delivery, Moved, Problem, State, book_in};
use sha2::{Digest as _, Sha256};
use store::DocExpected;

use super::kept::{Kept, Note, Stored, stands};
use super::mirror;
use super::permitted;
use super::send::{Out, What};
use super::shown::{Shown, shown};
use super::steps::{Step, once};
use super::stocked::Shelves;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::stock::{known, zone};
use crate::retry::Retry;

/// One thing that came.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Which medicine of the order; none where it is not known.
    pub item: Option<ItemId>,
    /// What the label says.
    pub label: String,
    /// For whom, by the label.
    pub resident: Option<ResidentId>,
    /// How much.
    pub quantity: Units,
    /// Its batch.
    pub batch: Batch,
}

/// A delivery that came.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The number of the note.
    pub note: String,
    /// When; now.
    pub at: Option<Timestamp>,
    /// What.
    pub things: Vec<Arrived>,
}

/// A problem, in words.
fn words(problem: &Problem) -> String {
    match problem {
        Problem::NotKnown { label } => format!("{label} is not known: set aside"),
        Problem::WrongItem { label, .. } => format!("nobody asked for {label}: set aside"),
        Problem::WrongResident { item, labelled } => match labelled {
            Some(labelled) => format!("{item} is labelled for {labelled}: set aside"),
            None => format!("{item} is labelled for nobody: set aside"),
        },
        Problem::Expired { item, batch } => {
            let lot = batch.lot.as_deref().unwrap_or("without a number");
            format!("batch {lot} of {item} is past its last day: set aside")
        }
        Problem::TooMuch { item, extra } => {
            format!("{extra} of {item} more than was asked for: set aside")
        }
    }
}

/// Books a delivery in.
pub async fn receive(
    app: &App,
    caller: &Caller,
    id: &OrderId,
    new: &NewDelivery,
) -> Result<Shown, AppError> {
    let before = permitted(app, caller, Interaction::OrderMedicines, id).await?;
    let now = app.now();
    let note = new.note.trim();
    let refuse = |text: &str| Err(AppError::Unprocessable(text.to_owned()));
    if note.is_empty() || note.len() > 100 {
        return refuse("a delivery note has a number of at most 100 letters: give it");
    }
    if new.things.is_empty() {
        return refuse("nothing is in the delivery: say what came");
    }
    if new.at.is_some_and(|at| at > now) {
        return refuse("a delivery cannot come in the future: correct the time");
    }
    let delivery = Delivery {
        note: note.to_owned(),
        from: before.of_whom.clone(),
        at: new.at.unwrap_or(now),
        things: new.things.iter().map(thing).collect(),
    };
    // What came is put where it was sent: to a place of the caller's own.
    let location = before.location.clone();
    known(app, caller, &Account::Location { location }).await?;
    let mut retry = Retry::busy();
    let kept = loop {
        // The shelves are read anew with the order: what goes onto them is of the same commit.
        let mut shelves = Shelves::open(app, caller, &before).await?;
        let mut decide = |stored: &Stored| booked(app, caller, stored, (&delivery, &mut shelves));
        match once(app, caller, id, &mut decide).await {
            Err(AppError::Conflict(_)) if retry.again().await => {}
            done => break done?,
        }
    };
    app.board().orders.notify_one();
    shown(app, caller, kept).await
}

/// What came, whatever the order in which it is listed: by it a note that is sent again is known.
fn hash(delivery: &Delivery) -> String {
    let mut things: Vec<String> = delivery
        .things
        .iter()
        .map(|own| {
            serde_json::json!([
                own.item.as_ref().map(ToString::to_string),
                own.label.trim(),
                own.resident.as_ref().map(ToString::to_string),
                own.quantity.get().normalize().to_string(),
                own.batch,
            ])
            .to_string()
        })
        .collect();
    things.sort_unstable();
    data_encoding::HEXLOWER.encode(&Sha256::digest(things.join("\n")))
}

fn thing(own: &Arrived) -> Delivered {
    Delivered {
        item: own.item.clone(),
        label: own.label.clone(),
        resident: own.resident.clone(),
        quantity: own.quantity,
        batch: own.batch.clone(),
    }
}

/// What came was on its way, whether or not somebody said so.
fn on_its_way(app: &App, own: &mut Kept, stored: &Stored, note: &str) -> Result<(), AppError> {
    if own.state()? == State::Approved {
        if stored
            .waiting(&What::Order)
            .is_none_or(|out| out.0.attempts == 0)
        {
            return Err(AppError::Conflict(
                "it was not sent: nothing can arrive for it".to_owned(),
            ));
        }
        own.sent(connect::pharmacy::Taken::default(), None, app.now())?;
    }
    let mut track = own.order()?.track;
    let name = format!("came-{note}");
    track
        .report(&name, State::Dispatched, app.now())
        .map_err(stands)?;
    own.trail = track.trail().to_vec();
    Ok(())
}

/// Whether a delivery was booked in already. What was booked in before its content was kept is taken for the
/// same.
fn is_known(own: &Kept, delivery: &Delivery, things: &str) -> Result<bool, AppError> {
    let note = &delivery.note;
    let Some(known) = own.notes.iter().find(|known| known.note == *note) else {
        return Ok(false);
    };
    if known.things.as_ref().is_none_or(|own| own == things) {
        return Ok(true);
    }
    Err(AppError::Ruled {
        category: Category::Conflict,
        text: format!(
            "delivery note {note} was booked in with other things: book in what came later under a number of its own, such as {note}/2"
        ),
    })
}

fn booked(
    app: &App,
    caller: &Caller,
    stored: &Stored,
    (delivery, shelves): (&Delivery, &mut Shelves),
) -> Result<Option<Step>, AppError> {
    let mut own = stored.kept.clone();
    let things = hash(delivery);
    if is_known(&own, delivery, &things)? {
        return Ok(None);
    }
    on_its_way(app, &mut own, stored, &delivery.note)?;
    let order = own.order()?;
    let zone = zone(app, caller).zone();
    let BookedIn {
        received,
        problems,
        chase,
        event,
        stock,
        ..
    } = book_in(&order, &own.received, delivery, &zone);
    let problems: Vec<String> = problems.iter().map(words).collect();
    let by = caller.subject.actor().id;
    let mut track = order.track.clone();
    if let Some(event) = event.filter(|_| !received.is_empty()) {
        let moved = Moved {
            id: format!("booked-{}", delivery.note),
            event,
            at: app.now(),
            by: Some(by),
        };
        track.take(moved).map_err(stands)?;
    }
    own.trail = track.trail().to_vec();
    own.received.extend(received.iter().cloned());
    own.notes.push(Note {
        note: delivery.note.clone(),
        at: delivery.at,
        by,
        problems: problems.clone(),
        things: Some(things),
    });
    let shelved = shelves.put(app, caller, (&own, delivery), &stock)?;
    for said in shelved.said {
        own.say(app.now(), Some(by), said);
    }
    let mut step = Step::of(own.clone(), "order-receive");
    step.shelves = Some(std::mem::take(shelves));
    step.docs.extend(shelved.staged.docs);
    step.entries = shelved.staged.entries;
    step.detail = format!("note {}, {} to chase", delivery.note, chase.len());
    step.more = deliveries(&order, delivery)?;
    let what = What::Receipt {
        number: own.notes.len(),
        note: delivery.note.clone(),
        at: delivery.at,
        received,
        problems,
    };
    let out = Out::new(app, caller, &own, what);
    step.docs.push(out.write(app, DocExpected::Absent)?);
    if let Some((out, version)) = stored.waiting(&What::Order) {
        step.docs.push(out.gone(app, *version)?);
    }
    Ok(Some(step))
}

/// What came, as the record has it: everything, with what was set aside.
fn deliveries(
    order: &medication::supply::Order,
    delivery: &Delivery,
) -> Result<Vec<serde_json::Value>, AppError> {
    let mut all = Vec::with_capacity(delivery.things.len());
    for thing in &delivery.things {
        let line = order
            .verb
            .lines()
            .iter()
            .find(|own| Some(&own.item) == thing.item.as_ref());
        let unit = line.map_or_else(
            || medication::quantity::Unit::named("unit"),
            |own| own.unit.clone(),
        );
        let text = supply_delivery(&order.id, delivery, thing, &unit, order.verb.location());
        all.push(mirror::post("SupplyDelivery", &text)?);
    }
    Ok(all)
}
