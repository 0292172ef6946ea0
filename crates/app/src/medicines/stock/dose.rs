//! What a recorded dose does to the stock and to the register, in the same commit as its record: taken,
//! destroyed, put back where the record is withdrawn, taken anew where it is corrected. Must not be silent
//! where it does nothing: what is not kept here, and what waits, is said.

use fhir::json::Value;
use medication::administration::{Outcome, Record};
use medication::facts;
use medication::ids::{ItemId, MovementId, RecordId, ResidentId};
use medication::quantity::Quantity;
use medication::stock::{Account, Meta, Units, WasteReason, What, units_of};
use serde_json::json;

use super::given::{self, From, take};
use super::places;
use super::register::{self, Entering, Given};
use super::shelf::{MEDICATION, PRODUCT, Shelf, Staged, With, fresh};
use super::{Moved, ruled};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::ground::Records;
use crate::medicines::regimen::Medications;
use crate::medicines::register::Signers;
use crate::medicines::sources;

/// The system of the identifier by which a record of a dose names its movement: `item/movement`.
pub const MOVEMENTS: &str = "https://theriac.example.org/fhir/stock-movement";

/// What the stock did about a dose.
#[derive(Debug, Clone)]
pub enum Said {
    /// No such medicine is kept here.
    NotKept,
    /// It moved.
    Moved {
        /// The medicine.
        item: ItemId,
        /// The movement.
        moved: Box<Moved>,
        /// What the house holds after it.
        held: rust_decimal::Decimal,
        /// Its unit.
        unit: String,
    },
    /// It did not move yet; why.
    Waits {
        /// The medicine.
        item: ItemId,
        /// Why.
        why: String,
    },
}

impl Said {
    /// As a part of the answer.
    #[must_use]
    pub fn part(&self) -> serde_json::Value {
        let mut parts = Vec::new();
        let mut text =
            |name: &str, value: &str| parts.push(json!({ "name": name, "valueString": value }));
        let state = match self {
            Self::NotKept => {
                text(
                    "text",
                    "this medicine is not kept in the stock here: nothing was moved",
                );
                "not-kept"
            }
            Self::Waits { item, why } => {
                text("item", item.as_str());
                text("text", why);
                "waits"
            }
            Self::Moved {
                item,
                moved,
                held,
                unit,
            } => {
                text("item", item.as_str());
                text("movement", moved.id().as_str());
                text("held", &format!("{} {unit}", held.normalize()));
                for line in &moved.movement.lines {
                    if let Some(lot) = &line.batch.lot {
                        text("lot", lot);
                    }
                }
                if let Some(place) = moved.movement.lines.iter().find_map(|own| {
                    let held = [&own.from, &own.to].into_iter().find(|own| own.is_held());
                    held.and_then(Account::location)
                }) {
                    text("location", &format!("Location/{place}"));
                }
                if let Some(entered) = &moved.entered {
                    text(
                        "register",
                        &format!("{} No. {}", entered.page, entered.entry),
                    );
                }
                if let Some(crossing) = moved.crossing {
                    text("crossing", &format!("{crossing:?}").to_lowercase());
                }
                if moved.movement.meta.discrepancy.is_some() {
                    text("discrepancy", "the book had less than was given: count it");
                }
                match moved.movement.what {
                    What::Correction { .. } => "put-back",
                    _ => "moved",
                }
            }
        };
        let mut list = vec![json!({ "name": "state", "valueCode": state })];
        list.extend(parts);
        json!({ "name": "stock", "part": list })
    }
}

/// What the stock adds to the commit of a dose.
#[derive(Default)]
pub(crate) struct Effect {
    pub said: Vec<Said>,
    pub staged: Staged,
    /// `item/movement` of what moved, for the record's identifiers.
    pub links: Vec<String>,
    /// What moved, as this commit leaves it, the last one first.
    shelves: Vec<Shelf>,
}

/// A dose that is recorded.
pub(crate) struct Dosed<'a> {
    /// The order.
    pub order: Value<'a>,
    /// `MedicationRequest/1`.
    pub name: &'a str,
    /// What the order refers to.
    pub medications: &'a Medications,
    pub resident: ResidentId,
    /// The record that is added.
    pub record: &'a Record,
    /// The records that are there.
    pub records: &'a Records,
    /// How much was ordered, where a record of something destroyed does not say.
    pub ordered: Option<Quantity>,
    pub from: &'a From,
    pub signers: &'a Signers,
    pub late: Option<String>,
    /// Whether it happened: it is never refused then.
    pub done: bool,
}

/// The medicine that an order is given from, where it is kept.
pub(crate) async fn shelf_of(
    app: &App,
    caller: &Caller,
    order: Value<'_>,
    medications: &Medications,
) -> Result<Option<Shelf>, AppError> {
    let reference = order.get("medicationReference");
    if let Some(reference) = reference.and_then(|own| own.get_str("reference"))
        && let Some(found) = Shelf::find(app, caller, MEDICATION, &reference).await?
    {
        return Ok(Some(found));
    }
    let known = sources(app).await?;
    let product = facts::product(&known.dictionary, order, medications);
    match product {
        Some(product) => {
            let name = product.name.to_lowercase();
            Shelf::find(app, caller, PRODUCT, &name).await
        }
        None => Ok(None),
    }
}

/// The first of a chain of corrections.
fn root<'a>(dosed: &'a Dosed<'_>, record: &'a Record) -> &'a RecordId {
    let mut own = record;
    // A chain is no longer than the records there are.
    for _ in 0..=dosed.records.held.len() {
        let before = own.corrects.as_ref().map(|own| &own.of);
        match before.and_then(|of| dosed.records.book.get(of)) {
            Some(before) => own = before,
            None => return before.unwrap_or(&own.id),
        }
    }
    &own.id
}

/// The movements that the records of one dose name.
fn moved_before(dosed: &Dosed<'_>) -> Vec<(ItemId, MovementId)> {
    if dosed.record.corrects.is_none() {
        return Vec::new();
    }
    let first = root(dosed, dosed.record);
    let same = dosed
        .records
        .book
        .all()
        .filter(|own| root(dosed, own) == first);
    let names: Vec<String> = same
        .map(|own| format!("MedicationAdministration/{}", own.id))
        .collect();
    let held = dosed.records.held.iter();
    let held = held.filter(|own| names.contains(&own.name()));
    held.flat_map(|own| links(own.root())).collect()
}

/// The movements that a record names.
pub(crate) fn links(record: Value<'_>) -> Vec<(ItemId, MovementId)> {
    let list = record.get("identifier").into_iter().flat_map(Value::items);
    let own = list.filter(|one| one.get_str("system").as_deref() == Some(MOVEMENTS));
    let texts = own.filter_map(|one| one.get_str("value"));
    texts
        .filter_map(|text| {
            let (item, movement) = text.split_once('/')?;
            Some((item.parse().ok()?, movement.parse().ok()?))
        })
        .collect()
}

/// The record that stands once this one is added.
fn standing(dosed: &Dosed<'_>) -> Option<Record> {
    let Some(_) = &dosed.record.corrects else {
        return Some(dosed.record.clone());
    };
    let first = root(dosed, dosed.record).clone();
    let mut book = dosed.records.book.clone();
    book.merge(dosed.record.clone());
    let mut heads = book.heads().map(|head| head.record);
    heads.find(|own| root(dosed, own) == &first).cloned()
}

/// What the stock does about a dose, to be committed with its record.
pub(crate) async fn stage(
    app: &App,
    caller: &Caller,
    dosed: &Dosed<'_>,
) -> Result<Effect, AppError> {
    let mut effect = Effect::default();
    let standing = standing(dosed).filter(|own| own.outcome.meaning().used);
    let before = moved_before(dosed);
    if standing.is_none() && before.is_empty() {
        return Ok(effect);
    }
    for (of, movement) in before {
        let mut own = Shelf::open(app, caller, &of).await?;
        effect.join(&mut own);
        let back = put_back(app, caller, &mut own, (dosed, &movement)).await;
        if !effect.take(own, back)? {
            // What cannot be put back is not taken anew either: the shelf would have it twice.
            return Ok(effect);
        }
    }
    let Some(standing) = standing else {
        return Ok(effect);
    };
    let own = shelf_of(app, caller, dosed.order, dosed.medications).await?;
    let Some(mut own) = own else {
        effect.said.push(Said::NotKept);
        return Ok(effect);
    };
    effect.join(&mut own);
    let taken = taken(app, caller, &mut own, (dosed, &standing)).await;
    effect.take(own, taken)?;
    Ok(effect)
}

/// What came of a part: made, or why it waits. `None` where there is nothing to do.
type Came = Result<Option<(Said, Staged)>, Waits>;

/// Why a part does not move.
enum Waits {
    /// The dose is kept and this is said.
    Said(Said),
    /// Nothing is kept.
    Refused(AppError),
}

impl core::convert::From<AppError> for Waits {
    fn from(error: AppError) -> Self {
        Self::Refused(error)
    }
}

impl Effect {
    /// Makes a medicine, as it was read, what this commit leaves of it and of the register so far.
    fn join(&self, shelf: &mut Shelf) {
        if let Some(own) = self.shelves.iter().find(|own| own.item.id == shelf.item.id) {
            shelf.clone_from(own);
        }
        for folio in self.shelves.iter().rev().flat_map(|own| &own.folios) {
            shelf.leave(folio.clone());
        }
    }

    /// Takes a part in; whether it moved. One that waits leaves everything as it was.
    fn take(&mut self, shelf: Shelf, came: Came) -> Result<bool, AppError> {
        match came {
            Ok(None) => Ok(true),
            Ok(Some((said, staged))) => {
                if let Said::Moved { item, moved, .. } = &said
                    && !matches!(moved.movement.what, What::Correction { .. })
                {
                    self.links.push(format!("{item}/{}", moved.id()));
                }
                self.said.push(said);
                self.staged.and(staged)?;
                // The one that moved last knows of all before it.
                self.shelves.retain(|own| own.item.id != shelf.item.id);
                self.shelves.insert(0, shelf);
                Ok(true)
            }
            Err(Waits::Said(said)) => {
                self.said.push(said);
                Ok(false)
            }
            Err(Waits::Refused(error)) => Err(error),
        }
    }
}

/// Says why it waits where the dose happened, refuses it otherwise.
fn waits(shelf: &Shelf, done: bool, error: AppError) -> Waits {
    match error {
        AppError::Ruled { .. } | AppError::Unprocessable(_) | AppError::NotFound { .. } if done => {
            said(shelf, error.to_string())
        }
        error => Waits::Refused(error),
    }
}

fn said(shelf: &Shelf, why: impl Into<String>) -> Waits {
    Waits::Said(Said::Waits {
        item: shelf.item.id.clone(),
        why: why.into(),
    })
}

fn meta(app: &App, caller: &Caller, dosed: &Dosed<'_>, id: MovementId) -> Meta {
    Meta {
        id,
        happened: dosed.record.happened.min(app.now()),
        recorded: app.now(),
        by: dosed.signers.by(caller),
        witness: dosed.signers.witness(),
        discrepancy: None,
    }
}

const TWO: &str = "the stock and the controlled-drug register wait for two people: sign with both proofs, with $witness or here";

/// Undoes the movement of a record that stands no more.
async fn put_back(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    (dosed, movement): (&Dosed<'_>, &MovementId),
) -> Came {
    match shelf.note(app, caller, movement).await {
        Ok(_) => {}
        // It was undone before.
        Err(AppError::Ruled { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let note = dosed.record.corrects.as_ref().map(|own| own.reason.clone());
    let note = note.filter(|own| !own.trim().is_empty());
    let what = What::Correction {
        of: movement.clone(),
        note: note.unwrap_or_else(|| "the record of the dose was corrected".to_owned()),
    };
    let mut meta = meta(app, caller, dosed, fresh(app)?);
    // It happens now: the dose is not undone at the time it was recorded for.
    meta.happened = meta.recorded;
    record(app, caller, shelf, (dosed, meta, what, Vec::new())).await
}

/// Takes what a record says.
async fn taken(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    (dosed, standing): (&Dosed<'_>, &Record),
) -> Came {
    let dose = standing.dose.clone().or_else(|| dosed.ordered.clone());
    let Some(dose) = dose else {
        return Err(said(
            shelf,
            "the dose is not stated: the stock was not moved",
        ));
    };
    let units = units_of(&dose, &shelf.item.unit, shelf.item.contains.as_ref());
    let units = match units.map(|own| Units::new(own.normalize())) {
        Ok(Ok(units)) => units,
        Ok(Err(error)) => return Err(said(shelf, error.to_string())),
        Err(error) => {
            let why = format!("{error}: the stock was not moved");
            return Err(said(shelf, why));
        }
    };
    let destroyed = standing.outcome == Outcome::Destroyed;
    let (what, to) = if destroyed {
        let method = standing.reason.clone();
        let method = method.filter(|own| !own.trim().is_empty());
        let waste = What::Waste {
            reason: WasteReason::NotTaken,
            method: method.unwrap_or_else(|| "as recorded with the dose".to_owned()),
        };
        (waste, Account::Waste)
    } else {
        let resident = dosed.resident.clone();
        (What::Given, Account::Administered { resident })
    };
    let open = candidates(app, caller, shelf, dosed).await;
    let open = open.map_err(|error| waits(shelf, dosed.done, error))?;
    let from = (open.as_slice(), dosed.from.batch.as_ref());
    let taken = take(shelf, from, (units, standing.happened), (&to, dosed.done));
    let taken = taken.map_err(|error| waits(shelf, dosed.done, error))?;
    // Corrected, it is another movement of the same dose.
    let id = if dosed.record.corrects.is_none() {
        MovementId(standing.id.0.clone())
    } else {
        fresh(app)?
    };
    let mut meta = meta(app, caller, dosed, id);
    meta.happened = standing.happened.min(meta.recorded);
    meta.discrepancy = taken.discrepancy;
    record(app, caller, shelf, (dosed, meta, what, taken.lines)).await
}

/// Where a dose may be taken from, the resident's own first: a place that is named, or all that the giver's
/// branches keep of the resident's own and that the resident's house keeps for all.
async fn candidates(
    app: &App,
    caller: &Caller,
    shelf: &Shelf,
    dosed: &Dosed<'_>,
) -> Result<Vec<Account>, AppError> {
    let all = given::candidates(shelf, dosed.from, &dosed.resident);
    if let Some(location) = &dosed.from.location {
        let location = location.clone();
        places::known(app, caller, &Account::Location { location }).await?;
        return Ok(all);
    }
    let home = places::home_of(app, caller, &dosed.resident).await?;
    let mut open = Vec::new();
    for account in all {
        let Some(location) = account.location() else {
            continue;
        };
        let of = places::organizations(app, caller, location).await?;
        let near = of.is_empty() || home.as_ref().is_none_or(|own| of.contains(own));
        if places::is_at_hand(&caller.subject, &of) && (near || account.resident().is_some()) {
            open.push(account);
        }
    }
    Ok(open)
}

/// Records a movement with its entry in the register.
async fn record(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    (dosed, meta, what, lines): (&Dosed<'_>, Meta, What, Vec<medication::stock::Line>),
) -> Came {
    let demands = shelf.item.control.map(medication::register::Class::demands);
    let asks = demands.is_some_and(|own| match what {
        What::Waste { .. } => own.register || own.witnessed_destruction,
        _ => own.register || own.witness,
    });
    let two = dosed.signers.by.is_some() && dosed.signers.witness.is_some();
    if asks && !two {
        return Err(said(shelf, TWO));
    }
    let with = With {
        asked: format!("dose of {}", dosed.name),
        entered: None,
        order: Some(dosed.name.to_owned()),
        unchecked: None,
    };
    let entering = Entering {
        signers: dosed.signers,
        late: dosed.late.clone(),
        dose: Some(Given {
            authority: authority(dosed),
            order: dosed.name.to_owned(),
        }),
    };
    let movement = (meta, what, lines);
    let recorded = register::record(app, caller, shelf, movement, (with, entering)).await;
    let (moved, staged) = recorded.map_err(|error| waits(shelf, dosed.done, error))?;
    let said = Said::Moved {
        item: shelf.item.id.clone(),
        held: shelf.item.total(),
        unit: shelf.item.unit.name().to_owned(),
        moved: Box::new(moved),
    };
    Ok(Some((said, staged)))
}

/// By whose authority the resident has it: the prescriber of the order.
fn authority(dosed: &Dosed<'_>) -> String {
    let requester = dosed.order.get("requester");
    let name = requester.and_then(|own| {
        let display = own.get_str("display");
        display
            .or_else(|| own.get_str("reference"))
            .map(std::borrow::Cow::into_owned)
    });
    match name {
        Some(name) => format!("{name}, {}", dosed.name),
        None => dosed.name.to_owned(),
    }
}

/// Refuses a proof that is of another person than the one who is named.
pub(crate) fn is_named(
    signers: &Signers,
    named: Option<&medication::ids::PersonId>,
) -> Result<(), AppError> {
    let (Some(witness), Some(named)) = (&signers.witness, named) else {
        return Ok(());
    };
    if crate::medicines::ground::names(witness.caller()).contains(named) {
        return Ok(());
    }
    Err(ruled(medication::register::RegisterError::Words(
        "the proof of the witness who is named",
    )))
}
