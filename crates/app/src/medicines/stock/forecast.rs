//! For how long what is there lasts, by the real schedules of the residents' orders. Must not leave an order
//! out silently: what cannot be counted with is said, and the days are unknown then.

use std::collections::{BTreeMap, BTreeSet};

use fhir::json::Value;
use identity::Interaction;
use kernel::LogicalId;
use medication::facts;
use medication::ids::{ItemId, LocationId, ResidentId};
use medication::order::Order;
use medication::schedule::Setting;
use medication::stock::{Account, DaysLeft, ForecastError, Kind, Regimen, Use};
use medication::supply::{Cycle, Need, need};
use rust_decimal::Decimal;
use store::ResourceKey;

use super::look::{between, reached};
use super::places::Place;
use super::shelf::Shelf;
use super::{Moved, refuse};
use crate::App;
use crate::admin::allow;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::ground::Ground;
use crate::medicines::prescribe::resource_type;
use crate::record::search::{SearchRequest, whole};

/// For how long what is at a place lasts.
#[derive(Debug, Clone)]
pub struct Lasting {
    /// Where, and whose.
    pub place: Place,
    /// For how long; none where it cannot be told.
    pub days: Option<DaysLeft>,
    /// The orders that draw on it: `MedicationRequest/1`.
    pub orders: Vec<String>,
    /// What could not be counted with.
    pub unknown: Vec<String>,
}

/// An order that draws on the stock.
struct Drawing {
    name: String,
    order: Order,
    setting: Setting,
    uses: Vec<Use>,
}

/// What one resident's orders draw.
#[derive(Default)]
struct Draws {
    orders: Vec<Drawing>,
    unknown: Vec<String>,
}

/// Most residents whose orders are looked at.
const MOST: usize = 200;
/// Days of use that are looked at.
const LOOK_BACK: i64 = 28 * 86_400;

/// What a cycle needs of a medicine at a place.
#[derive(Debug, Clone)]
pub struct Needed {
    /// Where, and whose; none where nobody said where it goes.
    pub location: Option<LocationId>,
    /// Whose; none for common stock.
    pub resident: Option<ResidentId>,
    /// What is needed; none where that cannot be told.
    pub need: Option<Need>,
    /// What could not be counted with.
    pub unknown: Vec<String>,
}

/// Where what is not kept anywhere yet goes.
#[derive(Debug, Clone, Copy)]
pub struct Otherwise<'a> {
    /// The place; none where nobody said one.
    pub location: Option<&'a LocationId>,
    /// Whether each resident has their own, as what needs a prescription.
    pub own: bool,
}

/// The patients of the orders in force that the caller reaches, by the product of the dictionary.
pub struct Prescribed(BTreeMap<String, BTreeSet<LogicalId>>);

/// Most orders in force that are looked at.
const ORDERS: u32 = 20_000;

impl Prescribed {
    /// Reads them.
    pub async fn load(app: &App, caller: &Caller) -> Result<Self, AppError> {
        let request = SearchRequest {
            ty: resource_type(app, "MedicationRequest")?,
            params: vec![("status".to_owned(), "active".to_owned())],
            lenient: false,
        };
        let known = crate::medicines::sources(app).await?;
        let (found, _) = whole(app, caller, &request, ORDERS).await?;
        let mut all: BTreeMap<String, BTreeSet<LogicalId>> = BTreeMap::new();
        for version in found {
            let held = crate::medicines::regimen::held(version)?;
            let product = facts::product(&known.dictionary, held.root(), &());
            if let (Some(product), Some(patient)) = (product, patient_of(held.root())) {
                all.entry(product.name.clone()).or_default().insert(patient);
            }
        }
        Ok(Self(all))
    }

    fn of(&self, product: Option<&str>) -> BTreeSet<LogicalId> {
        product
            .and_then(|own| self.0.get(own))
            .cloned()
            .unwrap_or_default()
    }
}

fn patient_of(order: Value<'_>) -> Option<LogicalId> {
    let subject = order.get("subject")?;
    let reference = subject.get_str("reference")?;
    reference.strip_prefix("Patient/")?.parse().ok()
}

/// Who draws on a medicine, and from where.
struct Drawn {
    /// The places where something is.
    accounts: Vec<Account>,
    /// Residents out of the caller's reach.
    hidden: BTreeSet<LogicalId>,
    /// What each resident's orders draw.
    draws: BTreeMap<LogicalId, Draws>,
    /// From where each drew last.
    last: BTreeMap<LogicalId, Account>,
}

impl Drawn {
    async fn load(
        app: &App,
        caller: &Caller,
        shelf: &Shelf,
        more: BTreeSet<LogicalId>,
    ) -> Result<Self, AppError> {
        let recent = recent(app, caller, shelf).await?;
        let last = drawn_from(&recent);
        let accounts: Vec<Account> = shelf
            .book
            .accounts()
            .filter(|own| own.is_held() && !shelf.book.balance(own).is_zero())
            .cloned()
            .collect();
        let (_, hidden) = reached(app, caller, accounts.iter()).await?;
        let mut residents: BTreeSet<LogicalId> = last.keys().cloned().collect();
        residents.extend(
            accounts
                .iter()
                .filter_map(|own| own.resident().map(|own| own.0.clone())),
        );
        residents.extend(ordered(app, caller, shelf).await?);
        residents.extend(more);
        residents.retain(|own| !hidden.contains(own));
        if residents.len() > MOST {
            return refuse(format!(
                "{} residents have this medicine: ask for places of fewer",
                residents.len()
            ));
        }
        let mut draws: BTreeMap<LogicalId, Draws> = BTreeMap::new();
        for resident in residents {
            let own = of_resident(app, caller, shelf, (&resident, &recent)).await?;
            draws.insert(resident, own);
        }
        Ok(Self {
            accounts,
            hidden,
            draws,
            last,
        })
    }

    /// The residents who draw on a place.
    fn on<'a>(&'a self, account: &'a Account) -> impl Iterator<Item = (&'a LogicalId, &'a Draws)> {
        self.draws
            .iter()
            .filter(move |(resident, _)| match account.resident() {
                Some(own) => own.0 == **resident,
                None => self.draws_from(account, resident),
            })
    }

    /// Whether a resident draws on a common stock: who has none of their own, from where they drew last.
    fn draws_from(&self, account: &Account, resident: &LogicalId) -> bool {
        let own = |own: &Account| own.resident().is_some_and(|own| own.0 == *resident);
        if self.accounts.iter().any(own) {
            return false;
        }
        let mut common = self.accounts.iter().filter(|own| own.resident().is_none());
        let last = self.last.get(resident);
        match last.filter(|last| last.resident().is_none() && self.accounts.contains(last)) {
            Some(last) => last == account,
            None => common.next() == Some(account),
        }
    }

    /// The places that the caller reaches.
    fn places(&self) -> impl Iterator<Item = (&Account, Place)> {
        let seen = |own: &&Account| {
            let resident = own.resident();
            !resident.is_some_and(|own| self.hidden.contains(&own.0))
        };
        let seen = self.accounts.iter().filter(seen);
        seen.filter_map(|own| Some((own, Place::of(own)?)))
    }
}

/// For how long what is there of a medicine lasts, place by place.
pub async fn days_left(app: &App, caller: &Caller, id: &ItemId) -> Result<Vec<Lasting>, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    let drawn = Drawn::load(app, caller, &shelf, BTreeSet::new()).await?;
    let each = drawn.places().map(|(account, place)| {
        let draws = drawn.on(account).map(|own| own.1);
        lasting(app, &shelf, (account, place), draws)
    });
    Ok(each.collect())
}

/// What a cycle needs of a medicine beyond what is there, place by place: at the most doses of the orders,
/// less what expires before its turn. Who draws on no place is counted with `otherwise`; what is low is
/// filled above its threshold, whether or not an order uses it.
pub async fn needed(
    app: &App,
    caller: &Caller,
    id: &ItemId,
    (cycle, otherwise, prescribed): (&Cycle, Otherwise<'_>, &Prescribed),
) -> Result<Vec<Needed>, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    let more = prescribed.of(shelf.item.product.as_deref());
    let drawn = Drawn::load(app, caller, &shelf, more).await?;
    let now = app.now();
    let mut found = Vec::new();
    let mut homeless: BTreeSet<&LogicalId> = drawn.draws.keys().collect();
    for (account, place) in drawn.places() {
        let draws: Vec<(&LogicalId, &Draws)> = drawn.on(account).collect();
        for (resident, _) in &draws {
            homeless.remove(resident);
        }
        let draws: Vec<&Draws> = draws.into_iter().map(|own| own.1).collect();
        let own = |regimens: &[Regimen<'_>], until| {
            let book = &shelf.book;
            book.usable_in_time(account, regimens, now, until)
        };
        let told = told(&shelf, (cycle, now), &draws, own);
        found.push(Needed {
            location: Some(place.location),
            resident: place.resident,
            need: told.0,
            unknown: told.1,
        });
    }
    let homeless: Vec<&LogicalId> = homeless.into_iter().collect();
    let groups: Vec<&[&LogicalId]> = if otherwise.own {
        homeless.chunks(1).collect()
    } else {
        homeless.chunks(homeless.len().max(1)).collect()
    };
    for group in groups {
        let draws: Vec<&Draws> = group
            .iter()
            .filter_map(|own| drawn.draws.get(*own))
            .collect();
        if draws
            .iter()
            .all(|own| own.orders.is_empty() && own.unknown.is_empty())
        {
            continue;
        }
        let told = told(&shelf, (cycle, now), &draws, |_, _| Ok(Decimal::ZERO));
        let resident = group.first().filter(|_| otherwise.own);
        found.push(Needed {
            location: otherwise.location.cloned(),
            resident: resident.map(|own| ResidentId((*own).clone())),
            need: told.0,
            unknown: told.1,
        });
    }
    filled(&shelf, &mut found, otherwise)?;
    Ok(found)
}

/// What those who draw on one place need, and what could not be counted with.
fn told(
    shelf: &Shelf,
    (cycle, now): (&Cycle, kernel::Timestamp),
    draws: &[&Draws],
    usable: impl FnOnce(&[Regimen<'_>], kernel::Timestamp) -> Result<Decimal, ForecastError>,
) -> (Option<Need>, Vec<String>) {
    let regimens = regimens(shelf, draws);
    let mut unknown: Vec<String> = draws.iter().flat_map(|own| own.unknown.clone()).collect();
    let until = cycle
        .end
        .plus_seconds(i64::from(cycle.reserve_days) * 86_400);
    let own = usable(&regimens, until)
        .and_then(|usable| need(&regimens, &shelf.item.unit, usable, now, cycle));
    match own {
        Ok(own) => (Some(own).filter(|_| unknown.is_empty()), unknown),
        Err(error) => {
            unknown.push(error.to_string());
            (None, unknown)
        }
    }
}

/// Fills what would be low after that: one unit above the threshold, at the first common place.
fn filled(
    shelf: &Shelf,
    found: &mut Vec<Needed>,
    otherwise: Otherwise<'_>,
) -> Result<(), AppError> {
    let Some(threshold) = shelf.item.threshold else {
        return Ok(());
    };
    let coming: Decimal = found
        .iter()
        .filter_map(|own| own.need?.missing)
        .map(medication::stock::Units::get)
        .sum();
    let there = shelf.item.total() + coming;
    if there > threshold || found.iter().any(|own| own.need.is_none()) {
        return Ok(());
    }
    let more = threshold + Decimal::ONE - there;
    if !found.iter().any(|own| own.resident.is_none()) {
        found.push(Needed {
            location: otherwise.location.cloned(),
            resident: None,
            need: Some(Need {
                before: Decimal::ZERO,
                during: Decimal::ZERO,
                left: Decimal::ZERO,
                missing: None,
            }),
            unknown: Vec::new(),
        });
    }
    let common = found.iter_mut().find(|own| own.resident.is_none());
    if let Some(common) = common
        && let Some(own) = common.need
    {
        common.need = Some(own.and_more(more).map_err(super::ruled)?);
    }
    Ok(())
}

fn regimens<'a>(shelf: &'a Shelf, draws: &[&'a Draws]) -> Vec<Regimen<'a>> {
    draws
        .iter()
        .flat_map(|own| &own.orders)
        .map(|own| Regimen {
            dosages: &own.order.dosages,
            setting: &own.setting,
            contains: shelf.item.contains.as_ref(),
            uses: &own.uses,
        })
        .collect()
}

fn lasting<'a>(
    app: &App,
    shelf: &Shelf,
    (account, place): (&Account, Place),
    draws: impl Iterator<Item = &'a Draws>,
) -> Lasting {
    let draws: Vec<&Draws> = draws.collect();
    let regimens = regimens(shelf, &draws);
    let mut unknown: Vec<String> = draws.iter().flat_map(|own| own.unknown.clone()).collect();
    let days = match shelf.book.days_left(account, &regimens, app.now()) {
        Ok(days) => Some(days),
        Err(error) => {
            unknown.push(error.to_string());
            None
        }
    };
    let orders = draws.iter().flat_map(|own| &own.orders);
    Lasting {
        place,
        days: days.filter(|_| unknown.is_empty()),
        orders: orders.map(|own| own.name.clone()).collect(),
        unknown,
    }
}

/// The movements of the days that are looked at.
async fn recent(app: &App, caller: &Caller, shelf: &Shelf) -> Result<Vec<Moved>, AppError> {
    const PART: u32 = 200;
    let since = app.now().plus_seconds(-LOOK_BACK);
    let mut found: Vec<Moved> = Vec::new();
    let mut top = shelf.item.movements;
    while top > 0 {
        let from = top.saturating_sub(PART);
        let mut part = between(app, caller, &shelf.item.id, from, top).await?;
        let old = part.iter().any(|own| own.movement.meta.recorded < since);
        part.retain(|own| own.movement.meta.recorded >= since);
        part.extend(found);
        found = part;
        if old {
            break;
        }
        top = from;
    }
    Ok(found)
}

/// From where each resident drew last.
fn drawn_from(recent: &[Moved]) -> BTreeMap<LogicalId, Account> {
    let given = recent
        .iter()
        .filter(|own| own.movement.what.kind() == Kind::Given);
    let lines = given.flat_map(|own| &own.movement.lines);
    lines
        .filter_map(|line| Some((line.to.resident()?.0.clone(), line.from.clone())))
        .filter(|(_, from)| from.is_held())
        .collect()
}

/// The patients who have an order of this very Medication.
async fn ordered(
    app: &App,
    caller: &Caller,
    shelf: &Shelf,
) -> Result<BTreeSet<LogicalId>, AppError> {
    let Some(medication) = &shelf.item.medication else {
        return Ok(BTreeSet::new());
    };
    let request = SearchRequest {
        ty: resource_type(app, "MedicationRequest")?,
        params: vec![
            ("medication".to_owned(), medication.clone()),
            ("status".to_owned(), "active".to_owned()),
        ],
        lenient: false,
    };
    let (found, _) = whole(app, caller, &request, 1000).await?;
    let mut patients = BTreeSet::new();
    for version in found {
        let held = crate::medicines::regimen::held(version)?;
        patients.extend(patient_of(held.root()));
    }
    Ok(patients)
}

/// Whether an order is of this medicine.
fn is_of(shelf: &Shelf, ground: &Ground, order: Value<'_>) -> bool {
    let reference = order.get("medicationReference");
    let reference = reference.and_then(|own| own.get_str("reference"));
    if reference.is_some() && reference.as_deref() == shelf.item.medication.as_deref() {
        return true;
    }
    let dictionary = &ground.sources().dictionary;
    let product = facts::product(dictionary, order, &ground.regimen.medications);
    product.is_some_and(|own| Some(own.name.as_str()) == shelf.item.product.as_deref())
}

async fn of_resident(
    app: &App,
    caller: &Caller,
    shelf: &Shelf,
    (resident, recent): (&LogicalId, &[Moved]),
) -> Result<Draws, AppError> {
    let patient: ResourceKey = app.patient_key(resident);
    let ground = match Ground::load(app, caller, &patient, "stock-forecast").await {
        Ok(ground) => ground,
        Err(AppError::NotFound { .. } | AppError::Denied { .. } | AppError::Gone { .. }) => {
            return Ok(Draws {
                orders: Vec::new(),
                unknown: vec!["the orders of a resident are out of reach".to_owned()],
            });
        }
        Err(error) => return Err(error),
    };
    let mut found = Draws::default();
    for held in &ground.regimen.medicines {
        let name = held.name();
        if !name.starts_with("MedicationRequest/") || !is_of(shelf, &ground, held.root()) {
            continue;
        }
        let own = ground.orders.iter().find(|own| own.name == name);
        match own.map(|own| &own.order) {
            Some(Ok(order)) => found.orders.push(Drawing {
                setting: Setting {
                    zone: ground.home.zone.clone(),
                    rounds: ground.home.rounds.clone(),
                    start: order.start,
                    stop: order.stop,
                    window: order.window,
                },
                uses: if order.is_needed() {
                    uses(resident, &name, recent)
                } else {
                    Vec::new()
                },
                order: order.clone(),
                name,
            }),
            Some(Err(why)) => found.unknown.push(why.clone()),
            None => found.unknown.push(format!("{name} cannot be read")),
        }
    }
    Ok(found)
}

/// What a resident took of an order.
fn uses(resident: &LogicalId, order: &str, recent: &[Moved]) -> Vec<Use> {
    let given = recent.iter().filter(|own| {
        own.movement.what.kind() == Kind::Given
            && own.order.as_deref().is_none_or(|own| own == order)
    });
    given
        .flat_map(|own| own.movement.lines.iter().map(move |line| (own, line)))
        .filter(|(_, line)| line.to.resident().is_some_and(|own| own.0 == *resident))
        .map(|(own, line)| Use {
            at: own.movement.meta.happened,
            units: line.units,
        })
        .collect()
}
