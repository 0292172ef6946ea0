//! The shelf follows its orders in the commit of each step: where a reorder stands, and what was booked in.
//! Must not move a controlled drug, which two people sign for, and says what it left.

use data_encoding::HEXLOWER;
use medication::ids::ItemId;
use medication::stock::{self, Meta, Reorder, Status, Step, TRANSITIONS, Taken, What};
use medication::supply::{Delivery, Line, State};
use sha2::{Digest as _, Sha256};

use super::Kept;
use crate::App;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::stock::{Shelf, Staged, With, ruled};

/// The shelves of an order's medicines.
#[derive(Default)]
pub(super) struct Shelves(Vec<(ItemId, Option<Shelf>)>);

/// What goes onto the shelves, and what does not.
#[derive(Default)]
pub(super) struct Shelved {
    pub staged: Staged,
    pub said: Vec<String>,
}

/// How far the reorder of a line is by its order.
fn status(order: &Kept, state: State, line: &Line) -> Status {
    let arrived = order.arrived(line);
    match state {
        State::Draft => Status::Requested,
        State::Approved => Status::Approved,
        State::Rejected | State::Cancelled | State::Expired => Status::Cancelled,
        State::Received | State::Reconciled => Status::Received,
        _ if arrived >= line.quantity.get() => Status::Received,
        _ if arrived.is_zero() => Status::Ordered,
        _ => Status::PartReceived,
    }
}

/// Whether another order than this one takes the steps of a reorder.
fn is_of_another(reorder: &Reorder, prefix: &str) -> bool {
    let trail = reorder.trail();
    let first = trail.iter().rposition(|own| own.step == Step::Request);
    let since = first.map_or(&[][..], |first| trail.get(first..).unwrap_or_default());
    let mut since = since.iter();
    since.any(|own| own.id.starts_with("order-") && !own.id.starts_with(prefix))
}

/// The steps from one status to another.
fn way(from: Status, to: Status) -> Vec<Step> {
    let leads = |from: Status, step: Step| {
        let found = TRANSITIONS
            .iter()
            .find(|own| own.0 == from && own.1 == step);
        found.map(|own| own.2)
    };
    if to == Status::Cancelled {
        return leads(from, Step::Cancel)
            .map(|_| Step::Cancel)
            .into_iter()
            .collect();
    }
    let order = [
        Status::None,
        Status::Requested,
        Status::Approved,
        Status::Ordered,
        Status::PartReceived,
        Status::Received,
    ];
    let mut steps = Vec::new();
    let mut at = from;
    // What is over begins anew.
    if matches!(at, Status::Received | Status::Cancelled) {
        steps.push(Step::Settle);
        at = Status::None;
    }
    let rank = |own: Status| match own {
        Status::Needed => Some(0),
        own => order.iter().position(|known| *known == own),
    };
    for step in [
        Step::Request,
        Step::Approve,
        Step::Order,
        Step::ReceivePart,
        Step::Receive,
    ] {
        // All that was asked for may come at once.
        if step == Step::ReceivePart && to != Status::PartReceived {
            continue;
        }
        if let Some(next) = leads(at, step)
            && rank(next) > rank(at)
            && rank(next) <= rank(to)
        {
            steps.push(step);
            at = next;
        }
    }
    if at == to { steps } else { Vec::new() }
}

impl Shelves {
    /// Brings the reorders of an order's medicines to where the order stands, where that changed. Those
    /// that another order moves, and those that are further already, stay.
    pub(super) fn follow(
        &mut self,
        app: &App,
        caller: &Caller,
        (before, after): (Option<&Kept>, &Kept),
    ) -> Result<Staged, AppError> {
        let was = before
            .map(|own| Ok::<_, AppError>((own, own.state()?)))
            .transpose()?;
        let state = after.state()?;
        let prefix = format!("order-{}-", after.id);
        let mut staged = Staged::default();
        for line in &after.lines {
            let to = status(after, state, line);
            if was.is_some_and(|(own, state)| status(own, state, line) == to) {
                continue;
            }
            let shelf = self.0.iter_mut().find(|own| own.0 == line.item);
            let Some(shelf) = shelf.and_then(|own| own.1.as_mut()) else {
                continue;
            };
            let mut reorder = shelf.item.reorder()?;
            let from = reorder.status();
            if is_of_another(&reorder, &prefix)
                && !matches!(from, Status::Received | Status::Cancelled)
            {
                continue;
            }
            let steps = way(from, to);
            if steps.is_empty() {
                continue;
            }
            for step in steps {
                let seen = reorder.version();
                let taken = Taken {
                    id: format!("{prefix}{seen}"),
                    step,
                    at: app.now(),
                    by: caller.subject.actor().id,
                };
                reorder.take(taken, seen).map_err(ruled)?;
            }
            shelf.item.reorder = reorder.trail().to_vec();
            let (item, id) = (&shelf.item.name, &shelf.item.id);
            let detail = format!("{item} ({id}): {to:?}, by order {}", after.id);
            let (log, class) = (store::Log::Changes, ledger::leaf::Class::Stock);
            staged.and(Staged {
                docs: vec![shelf.head(app)?],
                entries: vec![house_entry(
                    app,
                    caller,
                    log,
                    class,
                    "stock-reorder",
                    Some(detail),
                )],
            })?;
        }
        Ok(staged)
    }

    /// Reads those that there are.
    pub(super) async fn open(app: &App, caller: &Caller, order: &Kept) -> Result<Self, AppError> {
        let mut all = Vec::with_capacity(order.lines.len());
        for line in &order.lines {
            let shelf = match Shelf::open(app, caller, &line.item).await {
                Ok(shelf) => Some(shelf),
                Err(AppError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            all.push((line.item.clone(), shelf));
        }
        Ok(Self(all))
    }

    /// The receipts of a delivery, one for each medicine.
    pub(super) fn put(
        &mut self,
        app: &App,
        caller: &Caller,
        (order, delivery): (&Kept, &Delivery),
        booked: &[(ItemId, stock::Line)],
    ) -> Result<Shelved, AppError> {
        let mut done = Shelved::default();
        for (item, shelf) in &mut self.0 {
            let lines = booked.iter().filter(|own| own.0 == *item);
            let lines: Vec<stock::Line> = lines.map(|own| own.1.clone()).collect();
            let Some(line) = order.lines.iter().find(|own| own.item == *item) else {
                continue;
            };
            if lines.is_empty() {
                continue;
            }
            let name = &line.name;
            let Some(shelf) = shelf else {
                done.said
                    .push(format!("{name} is not kept as stock: nothing moved"));
                continue;
            };
            if shelf.item.control.is_some() {
                let text = "is a controlled drug: book it into the stock with two signatures";
                done.said.push(format!("{name} {text}"));
                continue;
            }
            if shelf.item.unit.measure() != line.unit.measure() {
                let unit = shelf.item.unit.words();
                done.said.push(format!(
                    "{name} is kept in {unit}: book it into the stock by hand"
                ));
                continue;
            }
            let hash = Sha256::digest(format!("{}\n{}\n{item}", order.id, delivery.note));
            let id: String = HEXLOWER.encode(&hash).chars().take(40).collect();
            let meta = Meta {
                id: id
                    .parse()
                    .map_err(|_| AppError::Fault("an id is none".to_owned()))?,
                happened: delivery.at,
                recorded: app.now(),
                by: caller.subject.actor().id,
                witness: None,
                discrepancy: None,
            };
            let what = What::Receipt {
                order: Some(order.id.clone()),
            };
            let with = With {
                asked: HEXLOWER.encode(&hash),
                ..With::default()
            };
            let (_, staged) = shelf.record(app, caller, meta, (what, lines), with)?;
            done.staged.and(staged)?;
        }
        Ok(done)
    }
}
