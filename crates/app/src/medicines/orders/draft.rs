//! A draft of an order. What a medicine may be asked for as is decided on what the partner's catalogue and
//! the dictionary say of it; where they differ on control, the stricter counts. Must not take a caller's
//! word for the class of a medicine.

use connect::pharmacy::api::unit_of;
use identity::Interaction;
use kernel::Categorised as _;
use medication::dictionary::Dictionary;
use medication::dictionary::System;
use medication::ids::{ItemId, LocationId, OrderId, PersonId, ResidentId};
use medication::stock::Units;
use medication::supply::{
    Control, IdempotencyKey, Kind, Money, Packs, Product, Verb, Why, order_supply, request_repeat,
};

use super::kept::{self, Kept};
use super::partners::{self, Partner};
use super::shown::{Shown, shown};
use super::stocked::Shelves;
use super::{commit, entry, may};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::sources;
use crate::medicines::stock::Staged;
use crate::retry::Retry;
use store::DocWrite;

/// A line of a draft.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// The dm+d code.
    pub code: String,
    /// The home's own medicine; named by its code where it is none.
    pub item: Option<ItemId>,
    /// Its name, where neither catalogue nor dictionary has it.
    pub name: Option<String>,
    /// How much.
    pub quantity: Units,
    /// Of which unit, where the catalogue does not say.
    pub unit: Option<String>,
    /// In which packs.
    pub packs: Option<Packs>,
    /// The dose in words.
    pub dose: Option<String>,
}

/// A draft to be made.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// A request or an order.
    pub kind: Kind,
    /// The partner.
    pub partner: String,
    /// For whom; none for common stock.
    pub resident: Option<ResidentId>,
    /// Where it goes.
    pub location: LocationId,
    /// Which cycle it is for, such as `2026-03`.
    pub cycle: String,
    /// Tells one that is made again on purpose from the first; 0.
    pub attempt: u32,
    /// What is asked for.
    pub lines: Vec<NewLine>,
}

/// Most lines of one order.
const LINES: usize = 100;

fn refuse<T>(text: impl Into<String>) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.into()))
}

/// What is known of a medicine: by the catalogue, by the dictionary.
pub(super) fn known(
    dictionary: &Dictionary,
    catalogue: &[Product],
    code: &str,
    item: Option<&ItemId>,
) -> Result<Option<Product>, AppError> {
    let listed = dictionary.by_code(System::Dmd, code);
    let control = listed.and_then(Control::of);
    let sold = catalogue.iter().find(|own| own.code == code).cloned();
    let mut product = match (sold, listed) {
        (Some(mut sold), _) => {
            // What one of the two holds for controlled is controlled.
            if let Some(Control::Yes(_)) = control {
                sold.control = control;
            }
            sold
        }
        (None, Some(listed)) => Product {
            item: code.parse().map_err(bad_code)?,
            code: code.to_owned(),
            name: listed.name.clone(),
            unit: medication::quantity::Unit::default(),
            legal: None,
            control,
            packs: Vec::new(),
        },
        (None, None) => return Ok(None),
    };
    if let Some(item) = item {
        product.item = item.clone();
    }
    Ok(Some(product))
}

fn bad_code(_: kernel::IdError) -> AppError {
    AppError::Unprocessable("the code of a medicine has letters and digits: correct it".to_owned())
}

impl NewLine {
    /// What neither catalogue nor dictionary has: nobody knows what it may be asked for as.
    fn unlisted(&self) -> Result<Product, AppError> {
        let name = self.name.clone().filter(|own| !own.trim().is_empty());
        let Some(name) = name else {
            return refuse(format!(
                "nobody knows a medicine with the code {}: correct it, or give its name",
                self.code
            ));
        };
        Ok(Product {
            item: match &self.item {
                Some(item) => item.clone(),
                None => self.code.parse().map_err(bad_code)?,
            },
            code: self.code.clone(),
            name,
            unit: medication::quantity::Unit::default(),
            legal: None,
            control: None,
            packs: Vec::new(),
        })
    }

    fn product(&self, dictionary: &Dictionary, catalogue: &[Product]) -> Result<Product, AppError> {
        let unit = self.unit.as_deref().map(unit_of);
        let mut product = match known(dictionary, catalogue, &self.code, self.item.as_ref())? {
            Some(product) => product,
            None => self.unlisted()?,
        };
        if product.unit.measure().is_none() {
            product.unit = match unit {
                Some(unit) => unit,
                None => {
                    return refuse(format!("give the unit of {}, such as tablet", product.name));
                }
            };
        } else if unit.is_some_and(|own| own.measure() != product.unit.measure()) {
            return refuse(format!(
                "{} is counted in {}: order it so",
                product.name,
                product.unit.words()
            ));
        }
        if let Some(packs) = self.packs {
            let holds = packs.holds.get().checked_mul(packs.count.into());
            if holds != Some(self.quantity.get()) {
                return refuse(format!(
                    "{} packs of {} are not {} of {}: correct one of them",
                    packs.count, packs.holds, self.quantity, product.name
                ));
            }
        }
        Ok(product)
    }
}

/// What the lines cost, where every price is known.
fn cost(lines: &[NewLine], products: &[Product]) -> Option<Money> {
    let mut sum: Option<Money> = None;
    for (line, product) in lines.iter().zip(products) {
        let packs = line.packs?;
        let pack = product.packs.iter().find(|own| own.holds == packs.holds)?;
        let price = pack.price?.times(packs.count).ok()?;
        sum = Some(match sum {
            None => price,
            Some(sum) => sum.plus(&price).ok()?,
        });
    }
    sum
}

/// Makes a draft. The same content for the same cycle and attempt is one order: it is answered again.
pub async fn draft(app: &App, caller: &Caller, new: NewOrder) -> Result<Shown, AppError> {
    may(
        app,
        caller,
        Interaction::OrderMedicines,
        new.resident.as_ref(),
    )
    .await?;
    let kept = make(app, caller, &new, (None, Vec::new())).await?;
    shown(app, caller, kept).await
}

/// Makes a draft without asking who may; `automatic` says why a program did not send it, `docs` are written
/// in the same commit.
pub(super) async fn make(
    app: &App,
    caller: &Caller,
    new: &NewOrder,
    (automatic, docs): (Option<Vec<Why>>, Vec<DocWrite>),
) -> Result<Kept, AppError> {
    sized(new)?;
    let partner = partners::partner(app, caller, &new.partner).await?;
    if !partner.active {
        return refuse(format!(
            "nothing is ordered from {}: choose another",
            partner.name
        ));
    }
    let listed = sources(app).await?;
    let catalogue = partners::catalogue_of(app, caller, &partner.id).await?;
    let catalogue = catalogue.map(|own| own.1).unwrap_or_default();
    let mut products = Vec::with_capacity(new.lines.len());
    for line in &new.lines {
        products.push(line.product(&listed.dictionary, &catalogue)?);
    }
    let verb = verb(new, &partner, &products)?;
    let tenant = caller.scope.tenant();
    let key = IdempotencyKey::derive(tenant, &verb, &new.cycle, new.attempt);
    // The id comes from the key, so that a draft that is sent again is the same draft.
    let id = uuid::Uuid::from_bytes(first_bytes(key.as_str())).to_string();
    let id = id.parse().map_err(bad_code)?;
    match kept::load(app, caller, &id).await {
        Ok(found) => return Ok(found.kept),
        Err(AppError::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let made = Made {
        id,
        key,
        verb,
        cost: cost(&new.lines, &products),
        automatic,
    };
    let own = made.kept(app, caller, new);
    let entry = entry(app, caller, "order-draft", &own, &partner.id);
    let mut retry = Retry::busy();
    loop {
        let mut staged = Staged {
            docs: kept::writes(app, &own, None)?,
            entries: vec![entry.clone()],
        };
        staged.docs.extend(docs.iter().cloned());
        let mut shelves = Shelves::open(app, caller, &own).await?;
        staged.and(shelves.follow(app, caller, (None, &own))?)?;
        let Staged { docs, entries } = staged;
        match commit(app, caller, &own, Vec::new(), (docs, entries)).await {
            // Somebody drafted the same at the same time, or something moved on a shelf.
            Err(error) if error.category() == kernel::Category::Conflict => {
                match kept::load(app, caller, &own.id).await {
                    Ok(found) => return Ok(found.kept),
                    Err(AppError::NotFound { .. }) if retry.again().await => {}
                    Err(AppError::NotFound { .. }) => return Err(error),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(own),
        }
    }
}

/// What a draft is made of.
struct Made {
    id: OrderId,
    key: IdempotencyKey,
    verb: Verb,
    cost: Option<Money>,
    automatic: Option<Vec<Why>>,
}

impl Made {
    fn kept(self, app: &App, caller: &Caller, new: &NewOrder) -> Kept {
        let doses = new.lines.iter();
        Kept {
            id: self.id,
            kind: new.kind,
            partner: new.partner.clone(),
            of_whom: self.verb.of_whom().clone(),
            resident: self.verb.resident().cloned(),
            location: self.verb.location().clone(),
            lines: self.verb.lines().to_vec(),
            doses: doses
                .map(|own| own.dose.clone().unwrap_or_default())
                .collect(),
            cycle: new.cycle.clone(),
            attempt: new.attempt,
            key: self.key,
            cost: self.cost,
            drafted_by: caller.subject.actor().id,
            drafter: caller.subject.practitioner().cloned().map(PersonId),
            drafted: app.now(),
            automatic: self.automatic,
            trail: Vec::new(),
            reference: None,
            received: Vec::new(),
            notes: Vec::new(),
            said: Vec::new(),
        }
    }
}

/// Refuses what is too long to be meant.
fn sized(new: &NewOrder) -> Result<(), AppError> {
    if new.lines.len() > LINES {
        return refuse(format!("an order has at most {LINES} lines: make several"));
    }
    if new.cycle.len() > 40 {
        return refuse("a cycle has at most 40 letters: shorten its name");
    }
    if new
        .lines
        .iter()
        .any(|own| own.dose.as_ref().is_some_and(|own| own.len() > 500))
    {
        return refuse("a dose has at most 500 letters: shorten it");
    }
    Ok(())
}

fn first_bytes(hexadecimal: &str) -> [u8; 16] {
    let decoded = data_encoding::HEXLOWER.decode(hexadecimal.as_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(decoded.unwrap_or_default()) {
        *to = from;
    }
    bytes
}

fn verb(new: &NewOrder, partner: &Partner, products: &[Product]) -> Result<Verb, AppError> {
    let wanted: Vec<(&Product, Units, Option<Packs>)> = products
        .iter()
        .zip(&new.lines)
        .map(|(product, line)| (product, line.quantity, line.packs))
        .collect();
    let (whom, place) = (partner.organization.clone(), new.location.clone());
    let made = match (new.kind, new.resident.clone()) {
        (Kind::Direct, resident) => order_supply(whom, resident, place, &wanted),
        (Kind::Repeat, Some(resident)) => request_repeat(whom, resident, place, &wanted),
        (Kind::Repeat, None) => {
            return refuse("a prescription is asked for somebody: name the resident");
        }
    };
    made.map_err(|error| AppError::Unprocessable(error.to_string()))
}
