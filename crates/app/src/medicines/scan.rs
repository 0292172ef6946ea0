//! What a scanner read from a pack: which product it is, whether it is in date, and how it stands to an
//! order. Looks products up and nobody else; with an order, it is a look at that order's patient.

use fhir::json::{Document, Limits};
use identity::Interaction;
use medication::administration::PackState;
use medication::dictionary::Strength;
use medication::dictionary::pack::{Day, Scanned, scan as read};
use medication::gs1::{Pack, ScanError};
use medication::stock::{Batch, Unusable};
use serde_json::{Value, json};
use store::ResourceKey;

use super::give::Dose;
use super::ground::{Ground, Ordered};
use super::prescribe::{resource_type, subject};
use super::regimen;
use super::stock::dose::shelf_of;
use super::stock::{From, PRODUCT, Shelf};
use super::{Sources, sources};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::read::read as resource;

/// An ingredient of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Name.
    pub name: String,
    /// How much, as on a label: `250 mg/5 mL`.
    pub strength: Option<String>,
}

/// A product, as far as a list tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Name for people.
    pub name: String,
    /// Form.
    pub form: Option<String>,
    /// Route.
    pub route: Option<String>,
    /// Number of the controlled-drug schedule.
    pub schedule: Option<u8>,
    /// What it holds.
    pub ingredients: Vec<Held>,
}

/// What came of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What the pack says of itself.
    pub pack: Pack,
    /// The product; none where no list has the number.
    pub product: Option<Found>,
    /// Whether its last day is over.
    pub expired: bool,
    /// The notice by which it was recalled, or may have been.
    pub recall: Option<String>,
    /// How it stands to the order that was named.
    pub state: Option<PackState>,
}

/// Resolves a scan; with an order, says how the pack stands to it.
pub async fn scan(
    app: &App,
    caller: &Caller,
    text: &str,
    order: Option<&ResourceKey>,
) -> Result<Scan, AppError> {
    let ty = resource_type(app, "MedicationAdministration")?;
    authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    let known = sources(app).await?;
    let refuse = |error: ScanError| AppError::Unprocessable(error.to_string());
    let found = read(&known.dictionary, &known.recalls, text, today(app, caller)?);
    let found = found.map_err(refuse)?;
    let (state, shelf) = match order {
        Some(order) => {
            let (state, shelf) = against(app, caller, (order, &known), &found).await?;
            (Some(state), shelf)
        }
        None => (None, of_product(app, caller, &found).await?),
    };
    let stock = in_stock(shelf.as_ref(), &found.pack, app.now());
    let state = state.map(|own| stock.over(own));
    Ok(Scan {
        product: found.product.map(|own| Found {
            name: own.name.clone(),
            form: own.form.clone(),
            route: own.route.clone(),
            schedule: own.schedule.map(|own| own as u8 + 1),
            ingredients: own
                .components
                .iter()
                .map(|one| Held {
                    name: one.name.clone(),
                    strength: one.strength.as_ref().map(Strength::to_string),
                })
                .collect(),
        }),
        expired: found.expired || stock.ended,
        recall: found.recall.map(|own| own.notice.clone()).or(stock.recall),
        pack: found.pack,
        state,
    })
}

async fn against(
    app: &App,
    caller: &Caller,
    (order, known): (&ResourceKey, &Sources),
    found: &Scanned<'_>,
) -> Result<(PackState, Option<Shelf>), AppError> {
    let version = resource(app, caller, order).await?;
    let body = version.body.unwrap_or_default();
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let patient = subject(app, document.root())?;
    let mut regimen = regimen::load(app, caller, &patient, "$scan").await?;
    regimen::extend(app, caller, &mut regimen, &[document.root()]).await?;
    let article = super::ground::article(known, &regimen.medications, document.root());
    let shelf = shelf_of(app, caller, document.root(), &regimen.medications).await?;
    Ok((found.against(&article, known.knowledge), shelf))
}

/// The medicine of a pack, where its product is kept.
async fn of_product(
    app: &App,
    caller: &Caller,
    found: &Scanned<'_>,
) -> Result<Option<Shelf>, AppError> {
    match found.product {
        Some(product) => Shelf::find(app, caller, PRODUCT, &product.name.to_lowercase()).await,
        None => Ok(None),
    }
}

/// What the stock knows against a pack.
#[derive(Default)]
struct InStock {
    recall: Option<String>,
    /// Over, or open too long.
    ended: bool,
}

fn in_stock(shelf: Option<&Shelf>, pack: &Pack, now: kernel::Timestamp) -> InStock {
    let found = shelf.and_then(|own| own.book.unusable_pack(&Batch::of_pack(pack), now));
    match found {
        Some((Unusable::Recalled, notice)) => InStock {
            recall: Some(notice.unwrap_or("called back").to_owned()),
            ended: false,
        },
        Some(_) => InStock {
            recall: None,
            ended: true,
        },
        None => InStock::default(),
    }
}

impl InStock {
    /// How the pack stands with it: there is one answer over the lists and the stock, and what is wrong with
    /// the medicine comes first.
    const fn over(&self, state: PackState) -> PackState {
        match state {
            PackState::Other | PackState::OtherStrength | PackState::Recalled => state,
            _ if self.recall.is_some() => PackState::Recalled,
            _ if self.ended => PackState::Expired,
            _ => state,
        }
    }
}

/// Today by the clocks of the house.
pub(crate) fn today(app: &App, caller: &Caller) -> Result<Day, AppError> {
    let zone = caller.tenant.time_zone.as_ref();
    let zone = zone.unwrap_or(&app.settings().time_zone).zone();
    let now = jiff::Timestamp::from_microsecond(app.now().as_micros());
    let now = now.map_err(|error| AppError::Fault(format!("the clock: {error}")))?;
    let date = now.to_zoned(zone).date();
    let year = u16::try_from(date.year()).unwrap_or(0);
    Ok((year, date.month().unsigned_abs(), date.day().unsigned_abs()))
}

/// The pack that is scanned for a dose.
pub(super) struct AtBedside {
    /// How it stands to the order.
    pub state: PackState,
    pack: Option<Pack>,
}

impl AtBedside {
    /// Reads what was scanned for an order, if anything was. What cannot be read is a state, not an error: the
    /// dose is decided on with it.
    pub async fn read(
        app: &App,
        caller: &Caller,
        ground: &Ground,
        (order, own, dose): (&regimen::Held, &Ordered, &Dose),
    ) -> Result<Self, AppError> {
        let Some(text) = dose.scan.as_deref() else {
            return Ok(Self {
                state: PackState::NotScanned,
                pack: None,
            });
        };
        let known = ground.sources();
        let today = today(app, caller)?;
        let Ok(found) = read(&known.dictionary, &known.recalls, text, today) else {
            return Ok(Self {
                state: PackState::Unreadable,
                pack: None,
            });
        };
        let shelf = shelf_of(app, caller, order.root(), &ground.regimen.medications).await?;
        let stock = in_stock(shelf.as_ref(), &found.pack, app.now());
        Ok(Self {
            state: stock.over(found.against(&own.article, known.knowledge)),
            pack: Some(found.pack),
        })
    }

    /// From where it is taken: the batch that was scanned is the one that leaves the stock, whatever must be
    /// used first.
    pub fn taken_from(&self, stated: &From) -> Result<From, AppError> {
        let is_other = matches!(self.state, PackState::Other | PackState::OtherStrength);
        let read = match &self.pack {
            Some(pack) if !is_other => Batch::of_pack(pack),
            _ => return Ok(stated.clone()),
        };
        let mut from = stated.clone();
        match &mut from.batch {
            _ if read == Batch::default() => {}
            None => from.batch = Some(read),
            Some(own) if own.may_be(&read) => {
                own.lot = own.lot.take().or(read.lot);
                own.serial = own.serial.take().or(read.serial);
                own.expiry = own.expiry.or(read.expiry);
            }
            Some(_) => {
                return Err(AppError::Unprocessable(
                    "the pack that was scanned is of another batch than the one that is named: scan the pack it is given from".to_owned(),
                ));
            }
        }
        Ok(from)
    }

    /// Whether the scan itself shows that it is the right medicine.
    pub fn fits(&self) -> bool {
        self.state == PackState::Fits
    }

    /// The extension that keeps it with the dose.
    pub fn extension(&self) -> Option<Value> {
        if self.state == PackState::NotScanned {
            return None;
        }
        let part = |url: &str, kind: &str, value: String| json!({ "url": url, kind: value });
        let mut parts = vec![part("state", "valueCode", self.state.code().to_owned())];
        if let Some(pack) = &self.pack {
            parts.push(part("gtin", "valueString", pack.gtin.digits()));
            let text = |url, value: &Option<String>| {
                value.clone().map(|own| part(url, "valueString", own))
            };
            parts.extend(text("batch", &pack.batch));
            parts.extend(text("serial", &pack.serial));
            parts.extend(
                pack.expiry
                    .map(|own| part("expiry", "valueDate", own.to_string())),
            );
        }
        Some(json!({
            "url": "https://theriac.example.org/fhir/StructureDefinition/administration-pack",
            "extension": parts,
        }))
    }
}
