//! Which medicines are kept, when they are low, what was opened or called back, how far a reorder is. Must
//! not move anything: a balance comes of movements alone.

use identity::Interaction;
use kernel::LogicalId;
use ledger::leaf::Class as Word;
use medication::dictionary::Product;
use medication::facts;
use medication::ids::ItemId;
use medication::quantity::{Quantity, Unit};
use medication::register::Class;
use medication::stock::{Batch, Opened, Recall, Step, Taken};
use rust_decimal::Decimal;
use serde_json::json;
use store::{CommitError, DocExpected, DocKind};

use super::places::{self, Place, plain};
use super::shelf::{Shelf, Staged, committed, lookups};
use super::{Item, refuse, ruled};
use crate::App;
use crate::admin::{allow, changed, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::sources;
use crate::retry::Retry;

/// A medicine to be kept.
#[derive(Debug, Clone)]
pub struct Keep {
    /// The id of its Medication.
    pub medication: Option<LogicalId>,
    /// The name of the product in the dictionary.
    pub product: Option<String>,
    /// What it is counted in: a UCUM code such as `{tablet}` or `mL`.
    pub unit: String,
    /// Whether it is a controlled drug, as it is stated.
    pub control: Stated,
    /// Its form and strength, where the dictionary does not say.
    pub form: Option<String>,
    /// Its strength, where the dictionary does not say.
    pub strength: Option<String>,
    /// At so much or below it is low.
    pub threshold: Option<Decimal>,
    /// Its dm+d code, by which it is ordered, where the dictionary does not say.
    pub code: Option<String>,
}

/// What is stated of a medicine as a controlled drug.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stated {
    /// As the dictionary says.
    #[default]
    AsKnown,
    /// It is none.
    None,
    /// It is of this class.
    Class(Class),
}

impl Stated {
    const fn class(self) -> Option<Class> {
        match self {
            Self::Class(class) => Some(class),
            _ => None,
        }
    }
}

/// A unit by its UCUM code; what is counted is named.
fn unit(code: &str) -> Result<Unit, AppError> {
    let mut unit = Unit::ucum(code.trim());
    if unit.measure().is_none() {
        return refuse(format!(
            "{code:?} is no unit of UCUM: send one such as {{tablet}}, {{capsule}} or mL"
        ));
    }
    let counted = code.trim().strip_prefix('{');
    unit.display = counted
        .and_then(|own| own.strip_suffix('}'))
        .map(str::to_owned)
        .or_else(|| Some(code.trim().to_owned()));
    Ok(unit)
}

/// What one unit contains, where one ingredient's strength says it.
fn contains(product: &Product, unit: &Unit) -> Option<Quantity> {
    let [one] = product.components.as_slice() else {
        return None;
    };
    let strength = one.strength.as_ref()?;
    let value = match &strength.per {
        None => {
            // A strength without a volume is that of one tablet, capsule, patch.
            let counted = unit.code.as_deref().is_some_and(|own| own.starts_with('{'));
            counted.then_some(strength.value)?
        }
        Some((amount, of)) => {
            let of = Quantity::ucum(*amount, of).in_unit(unit).ok()?;
            strength.value.checked_div(of)?
        }
    };
    Some(Quantity::ucum(value, &strength.unit))
}

fn strength(product: &Product) -> String {
    let each = product.components.iter().map(|one| {
        one.strength.as_ref().map_or_else(
            || one.name.clone(),
            |own| match &own.per {
                None => format!("{} {}", own.value.normalize(), own.unit),
                Some((amount, of)) => {
                    let (value, amount) = (own.value.normalize(), amount.normalize());
                    format!("{value} {}/{amount} {of}", own.unit)
                }
            },
        )
    });
    each.collect::<Vec<_>>().join(" + ")
}

/// What the dictionary and the record say of a medicine.
struct Found {
    name: String,
    product: Option<Product>,
    medication: Option<String>,
}

async fn found(app: &App, caller: &Caller, keep: &Keep) -> Result<Found, AppError> {
    let known = sources(app).await?;
    let dictionary = &known.dictionary;
    if let Some(id) = &keep.medication {
        let document = plain(app, caller, "Medication", id).await?;
        let Some(document) = document else {
            return refuse(format!(
                "Medication/{id} is not in the record: add it first"
            ));
        };
        let code = document.root().get("code");
        let code: serde_json::Value = match code {
            Some(code) => serde_json::from_slice(code.raw())?,
            None => return refuse(format!("Medication/{id} has no code: say what it is")),
        };
        let request = json!({ "medicationCodeableConcept": code }).to_string();
        let request = fhir::json::Document::parse(request.into_bytes(), &Default::default())?;
        let knowledge = known.knowledge;
        let name = facts::medicine(knowledge, dictionary, request.root(), &()).name;
        return Ok(Found {
            name,
            product: facts::product(dictionary, request.root(), &()).cloned(),
            medication: Some(format!("Medication/{id}")),
        });
    }
    let Some(name) = &keep.product else {
        return refuse("what is kept is not said: send medication or product");
    };
    match dictionary.by_name(name) {
        Some(product) => Ok(Found {
            name: product.name.clone(),
            product: Some(product.clone()),
            medication: None,
        }),
        None => refuse(format!(
            "{name:?} is no product of the dictionary: send its name as it stands there, or a Medication"
        )),
    }
}

/// The class of a controlled drug: what the dictionary says and what is stated must agree, and where the
/// dictionary does not know it, it must be stated.
fn control(product: Option<&Product>, stated: Stated) -> Result<Option<Class>, AppError> {
    let Some(product) = product else {
        return match stated {
            Stated::AsKnown => refuse(
                "whether this is a controlled drug is not known: say its class, or that it is none",
            ),
            stated => Ok(stated.class()),
        };
    };
    let known = product.schedule;
    if stated == Stated::AsKnown {
        return Ok(known.map(Class::of_schedule));
    }
    if stated.class().map(|own| own.demands().schedule) == known {
        return Ok(stated.class());
    }
    refuse("the class is not the schedule that the dictionary has: correct one of the two")
}

/// A dm+d code as it was said.
fn code(said: Option<String>) -> Result<Option<String>, AppError> {
    let code = said.map(|own| own.trim().to_owned());
    match code.filter(|own| !own.is_empty()) {
        Some(code) if code.len() > 18 || !code.bytes().all(|own| own.is_ascii_digit()) => {
            refuse("a dm+d code has at most 18 digits: correct it, or leave it out")
        }
        code => Ok(code),
    }
}

/// Begins to keep a medicine. Nothing is there of it until something is received or counted.
pub async fn keep(app: &App, caller: &Caller, keep: Keep) -> Result<Item, AppError> {
    allow(app, caller, Interaction::ManageStock).await?;
    if keep.threshold.is_some_and(|own| own < Decimal::ZERO) {
        return refuse("the threshold is below nothing: send 0 or more");
    }
    let found = found(app, caller, &keep).await?;
    let unit = unit(&keep.unit)?;
    let made = app.ids().uuid().to_string().parse();
    let made = made.map_err(|_| AppError::Fault("an id is none".to_owned()))?;
    let id = ItemId(keep.medication.clone().unwrap_or(made));
    let said = |own: Option<String>| own.map(|own| own.trim().to_owned()).unwrap_or_default();
    let product = found.product.as_ref();
    let item = Item {
        id,
        name: found.name,
        form: product
            .and_then(|own| own.form.clone())
            .unwrap_or_else(|| said(keep.form)),
        strength: product.map_or_else(|| said(keep.strength), strength),
        contains: product.and_then(|own| contains(own, &unit)),
        control: control(product, keep.control)?,
        medication: found.medication,
        product: product.map(|own| own.name.clone()),
        code: code(keep.code)?,
        unit,
        threshold: keep.threshold,
        reorder: Vec::new(),
        movements: 0,
        folded: medication::stock::Folded::default(),
        since: app.now(),
    };
    let doc = write(
        app,
        DocKind::StockItem,
        item.id.as_str(),
        DocExpected::Absent,
        &item,
        lookups(&item),
    )?;
    let detail = format!("{} ({}) in {}", item.name, item.id, item.unit.name());
    let staged = Staged {
        docs: vec![doc],
        entries: vec![changed(app, caller, Word::Stock, "stock-keep", detail)],
    };
    match committed(app, caller, staged).await? {
        Ok(()) => Ok(item),
        Err(CommitError::DocConflict { .. }) => Err(AppError::Conflict(format!(
            "{} is kept already: read its stock",
            item.name
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Changes a head until nobody else changes it at the same moment.
async fn change(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    what: &'static str,
    mut with: impl FnMut(&mut Shelf) -> Result<String, AppError>,
) -> Result<Item, AppError> {
    let mut retry = Retry::busy();
    loop {
        let mut shelf = Shelf::open(app, caller, id).await?;
        let detail = with(&mut shelf)?;
        let detail = format!("{} ({id}): {detail}", shelf.item.name);
        let staged = Staged {
            docs: vec![shelf.head(app)?],
            entries: vec![changed(app, caller, Word::Stock, what, detail)],
        };
        match committed(app, caller, staged).await? {
            Ok(()) => return Ok(shelf.item),
            Err(CommitError::DocConflict { .. }) if retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sets at how much it is low; `None` ends it.
pub async fn set_threshold(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    threshold: Option<Decimal>,
) -> Result<Item, AppError> {
    allow(app, caller, Interaction::ManageStock).await?;
    if threshold.is_some_and(|own| own < Decimal::ZERO) {
        return refuse("the threshold is below nothing: send 0 or more");
    }
    change(app, caller, id, "stock-threshold", |shelf| {
        shelf.item.threshold = threshold;
        Ok(threshold.map_or_else(|| "none".to_owned(), |own| own.to_string()))
    })
    .await
}

/// Notes that a pack was opened, and for how many days it may be used from then on.
pub async fn opened(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    (place, batch): (&Place, &Batch),
    opened: Opened,
) -> Result<Item, AppError> {
    allow(app, caller, Interaction::MoveStock).await?;
    places::known(app, caller, &place.account()).await?;
    if opened.at > app.now() {
        return refuse("a pack cannot be opened in the future: correct the time");
    }
    change(app, caller, id, "stock-open", |shelf| {
        let account = place.account();
        if shelf.book.balance_of(&account, batch).is_zero() {
            return refuse("there is nothing of this batch at this place: name one that is there");
        }
        shelf.book.open(account, batch.clone(), opened);
        shelf.item.folded = shelf.book.fold();
        Ok(format!("lot {:?} for {} days", batch.lot, opened.life_days))
    })
    .await
}

/// Notes that a lot was called back: it is given from no more.
pub async fn recall(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    lot: Option<String>,
    recall: Recall,
) -> Result<Item, AppError> {
    allow(app, caller, Interaction::ManageStock).await?;
    if recall.notice.trim().is_empty() {
        return refuse("the notice is empty: say who called it back and why");
    }
    change(app, caller, id, "stock-recall", |shelf| {
        shelf.book.recall(lot.clone(), recall.clone());
        shelf.item.folded = shelf.book.fold();
        Ok(format!("lot {lot:?}: {}", recall.notice))
    })
    .await
}

/// Takes a step of the reorder, decided on version `seen` of it.
pub async fn step(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    (step_id, step): (&str, Step),
    seen: usize,
) -> Result<Item, AppError> {
    allow(app, caller, Interaction::ManageStock).await?;
    if step_id.trim().is_empty() {
        return refuse("the step has no id: send one, so that sending it twice takes it once");
    }
    let before = Shelf::open(app, caller, id).await?;
    // The same step sent again keeps its first time.
    let earlier = before.item.reorder.iter().find(|own| own.id == step_id);
    let at = earlier.map_or_else(|| app.now(), |own| own.at);
    let taken = Taken {
        id: step_id.to_owned(),
        step,
        at,
        by: caller.subject.actor().id,
    };
    if earlier == Some(&taken) {
        return Ok(before.item);
    }
    change(app, caller, id, "stock-reorder", |shelf| {
        let mut reorder = shelf.item.reorder()?;
        let status = reorder.take(taken.clone(), seen).map_err(ruled)?;
        shelf.item.reorder = reorder.trail().to_vec();
        Ok(format!("{status:?}"))
    })
    .await
}
