//! What a scanner read from a pack: which product it is, whether it is in date, and how it stands to an
//! order. Looks products up and nobody else; with an order, it is a look at that order's patient.

use fhir::json::{Document, Limits};
use identity::Interaction;
use medication::administration::PackState;
use medication::dictionary::Strength;
use medication::dictionary::pack::{Day, Scanned, scan as read};
use medication::gs1::{Pack, ScanError};
use serde_json::{Value, json};
use store::ResourceKey;

use super::ground::Ground;
use super::prescribe::{resource_type, subject};
use super::{Sources, regimen, sources};
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
    let state = match order {
        Some(order) => Some(against(app, caller, (order, &known), &found).await?),
        None => None,
    };
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
        expired: found.expired,
        recall: found.recall.map(|own| own.notice.clone()),
        pack: found.pack,
        state,
    })
}

async fn against(
    app: &App,
    caller: &Caller,
    (order, known): (&ResourceKey, &Sources),
    found: &Scanned<'_>,
) -> Result<PackState, AppError> {
    let version = resource(app, caller, order).await?;
    let body = version.body.unwrap_or_default();
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let patient = subject(app, document.root())?;
    let mut regimen = regimen::load(app, caller, &patient, "$scan").await?;
    regimen::extend(app, caller, &mut regimen, &[document.root()]).await?;
    let article = super::ground::article(known, &regimen.medications, document.root());
    Ok(found.against(&article, known.knowledge))
}

/// Today by the clocks of the house.
pub(super) fn today(app: &App, caller: &Caller) -> Result<Day, AppError> {
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
    /// Reads what was scanned, if anything was. What cannot be read is a state, not an error: the dose is
    /// decided on with it.
    pub fn read(
        app: &App,
        caller: &Caller,
        ground: &Ground,
        article: &medication::content::Article,
        text: Option<&str>,
    ) -> Result<Self, AppError> {
        let Some(text) = text else {
            return Ok(Self {
                state: PackState::NotScanned,
                pack: None,
            });
        };
        let known = ground.sources();
        Ok(
            match read(&known.dictionary, &known.recalls, text, today(app, caller)?) {
                Ok(found) => Self {
                    state: found.against(article, known.knowledge),
                    pack: Some(found.pack),
                },
                Err(_) => Self {
                    state: PackState::Unreadable,
                    pack: None,
                },
            },
        )
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
