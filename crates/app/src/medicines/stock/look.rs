//! What is there of the house's medicines: the list with the lowest first, one medicine by place and batch,
//! its movements. Must not show what belongs to a resident out of the caller's reach.

use std::collections::BTreeSet;

use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class as Word;
use medication::ids::{ItemId, MovementId};
use medication::stock::{Account, Batch, Opened, Status, Unusable};
use rust_decimal::Decimal;
use store::{DocKind, Log};

use super::places::Place;
use super::shelf::{Shelf, name};
use super::{Item, Moved};
use crate::App;
use crate::admin::{all, allow};
use crate::authorise::{Ask, would_allow};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// What is there of one batch at one place.
#[derive(Debug, Clone)]
pub struct There {
    /// Where, and whose.
    pub place: Place,
    /// Which batch.
    pub batch: Batch,
    /// How much.
    pub units: Decimal,
    /// Until when it may be used, where that is known.
    pub until: Option<Timestamp>,
    /// Why it may not be used, if so.
    pub unusable: Option<Unusable>,
    /// That it was opened.
    pub opened: Option<Opened>,
}

/// A medicine with what is there of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The medicine.
    pub item: Item,
    /// What is there, place by place, what must be used first before the rest.
    pub there: Vec<There>,
    /// Everything the house holds of it, also what is out of the caller's reach.
    pub total: Decimal,
    /// What of the total may be used now.
    pub usable: Decimal,
    /// The last day that comes first of what is held and not over.
    pub soonest: Option<Timestamp>,
    /// Whether it is at its threshold or below.
    pub low: bool,
    /// Where its reorder stands.
    pub status: Status,
    /// How many steps the reorder has: what the next one names.
    pub steps: usize,
}

impl Seen {
    fn of(shelf: Shelf, hidden: &BTreeSet<LogicalId>, now: Timestamp) -> Result<Self, AppError> {
        let book = &shelf.book;
        let accounts: Vec<Account> = book
            .accounts()
            .filter(|own| own.is_held())
            .cloned()
            .collect();
        let mut there = Vec::new();
        let (mut usable, mut soonest) = (Decimal::ZERO, None);
        for account in &accounts {
            usable += book.usable(account, now);
            let of_other = account
                .resident()
                .is_some_and(|own| hidden.contains(&own.0));
            for (batch, units) in book.batches(account) {
                let until = book.usable_until(account, batch);
                let unusable = book.unusable(account, batch, now);
                if let (None, Some(until)) = (unusable, until) {
                    soonest = Some(soonest.map_or(until, |own: Timestamp| own.min(until)));
                }
                let Some(place) = Place::of(account).filter(|_| !of_other) else {
                    continue;
                };
                there.push(There {
                    place,
                    batch: batch.clone(),
                    units,
                    until,
                    unusable,
                    opened: book.opening(account, batch),
                });
            }
        }
        there.sort_by(|a, b| {
            let of = |own: &There| {
                let place = &own.place;
                let (location, resident) = (place.location.clone(), place.resident.clone());
                (location, resident, own.until.is_none(), own.until)
            };
            of(a).cmp(&of(b))
        });
        let total = shelf.item.total();
        let reorder = shelf.item.reorder()?;
        Ok(Self {
            low: shelf.item.threshold.is_some_and(|own| total <= own),
            status: reorder.status(),
            steps: reorder.version(),
            item: shelf.item,
            there,
            total,
            usable,
            soonest,
        })
    }
}

/// The residents of some accounts whom the caller reaches, and those they do not.
pub(super) async fn reached<'a>(
    app: &App,
    caller: &Caller,
    accounts: impl Iterator<Item = &'a Account>,
) -> Result<(Vec<LogicalId>, BTreeSet<LogicalId>), AppError> {
    let residents: BTreeSet<LogicalId> = accounts
        .filter_map(|own| own.resident().map(|own| own.0.clone()))
        .collect();
    parted(app, caller, residents).await
}

/// Of some residents those whom the caller reaches, and those they do not.
pub(super) async fn parted(
    app: &App,
    caller: &Caller,
    residents: BTreeSet<LogicalId>,
) -> Result<(Vec<LogicalId>, BTreeSet<LogicalId>), AppError> {
    let (mut seen, mut hidden) = (Vec::new(), BTreeSet::new());
    for resident in residents {
        let key = app.patient_key(&resident);
        let patients = [resident.clone()];
        let ask = Ask::record(Interaction::Read, &key, &patients);
        if would_allow(app, caller, &ask).await? {
            seen.push(resident);
        } else {
            hidden.insert(resident);
        }
    }
    Ok((seen, hidden))
}

/// Writes down who was looked at.
pub(super) async fn looked(
    app: &App,
    caller: &Caller,
    what: &'static str,
    residents: Vec<LogicalId>,
) -> Result<(), AppError> {
    let one = |patient: Option<LogicalId>| {
        let mut entry = house_entry(app, caller, Log::Access, Word::Read, what, None);
        entry.payload.patient = patient.as_ref().map(|own| own.as_str().to_owned());
        entry.subject = patient;
        entry
    };
    let entries = if residents.is_empty() {
        vec![one(None)]
    } else {
        residents.into_iter().map(|own| one(Some(own))).collect()
    };
    app.store().record_access(&caller.scope, entries).await?;
    Ok(())
}

/// All medicines that are kept: what is low first, then what must be used soonest.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Seen>, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let now = app.now();
    let mut found = Vec::new();
    for doc in all::<Item>(app, &caller.scope, DocKind::StockItem).await? {
        let shelf = Shelf::of(app, caller, doc.value, doc.version).await?;
        let mut seen = Seen::of(shelf, &BTreeSet::new(), now)?;
        // The list says how much there is, and not whose.
        seen.there.clear();
        found.push(seen);
    }
    found.sort_by(|a, b| {
        let of = |own: &Seen| {
            let soonest = (own.soonest.is_none(), own.soonest);
            (!own.low, soonest, own.item.name.to_lowercase())
        };
        of(a).cmp(&of(b))
    });
    Ok(found)
}

/// One medicine, by place and batch.
pub async fn read(app: &App, caller: &Caller, id: &ItemId) -> Result<Seen, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    let (seen, hidden) = reached(app, caller, shelf.book.accounts()).await?;
    looked(app, caller, "stock-read", seen).await?;
    Seen::of(shelf, &hidden, app.now())
}

/// Movements of a medicine, the newest first, below a number; what concerns a resident out of reach is left
/// out, and how many those are is said.
pub async fn movements(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    below: Option<u32>,
    most: u32,
) -> Result<(Vec<Moved>, usize), AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    let top = below.map_or(shelf.item.movements, |own| own.saturating_sub(1));
    let top = top.min(shelf.item.movements);
    let from = top.saturating_sub(most.clamp(1, 200));
    let found = between(app, caller, id, from, top).await?;
    let lines = found.iter().flat_map(|own| &own.movement.lines);
    let accounts = lines.flat_map(|line| [&line.from, &line.to]);
    let (seen, hidden) = reached(app, caller, accounts).await?;
    looked(app, caller, "stock-movements", seen).await?;
    let before = found.len();
    let mut shown: Vec<Moved> = found
        .into_iter()
        .filter(|own| {
            let mut sides = own
                .movement
                .lines
                .iter()
                .flat_map(|line| [&line.from, &line.to]);
            !sides.any(|own| own.resident().is_some_and(|own| hidden.contains(&own.0)))
        })
        .collect();
    let left_out = before - shown.len();
    shown.reverse();
    Ok((shown, left_out))
}

/// The movements with numbers above `from` and up to `to`, in order.
pub(super) async fn between(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    from: u32,
    to: u32,
) -> Result<Vec<Moved>, AppError> {
    let mut found = Vec::new();
    let mut after = from;
    while after < to {
        let part = (to - after).min(500);
        let docs = app
            .store()
            .docs(
                &caller.scope,
                DocKind::StockMovement,
                Some(&name(id, after)),
                part,
            )
            .await?;
        let last = name(id, to);
        let start = format!("{id}/");
        let own = docs
            .into_iter()
            .filter(|doc| doc.id.starts_with(&start) && doc.id <= last);
        let before = found.len();
        for doc in own {
            found.push(serde_json::from_slice(&doc.body)?);
        }
        if found.len() == before {
            break;
        }
        after += part;
    }
    Ok(found)
}

/// One movement.
pub async fn movement(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    movement: &MovementId,
) -> Result<Moved, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    let none = || AppError::not_found(format!("movement {movement}"));
    let found = shelf.moved(app, caller, movement).await?.ok_or_else(none)?;
    let sides = found.movement.lines.iter();
    let sides = sides.flat_map(|line| [&line.from, &line.to]);
    let (seen, hidden) = reached(app, caller, sides).await?;
    if !hidden.is_empty() {
        return Err(none());
    }
    looked(app, caller, "stock-movement", seen).await?;
    Ok(found)
}
