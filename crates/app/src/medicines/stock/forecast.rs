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

use super::keep::coded;
use super::look::{between, reached};
use super::places::{Place, home_of, organizations, plain, runs};
use super::shelf::Shelf;
use super::{Item, Moved, refuse};
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

/// The patients of the orders in force that the caller reaches, by what is ordered.
#[derive(Default)]
pub struct Prescribed {
    /// By the product of the dictionary.
    products: BTreeMap<String, BTreeSet<LogicalId>>,
    /// By the Medication that the order refers to.
    medications: BTreeMap<String, BTreeSet<LogicalId>>,
}

/// Most orders in force that are looked at.
const ORDERS: u32 = 20_000;

impl Prescribed {
    /// Reads them, also those of whose status nobody knows.
    pub async fn load(app: &App, caller: &Caller) -> Result<Self, AppError> {
        let request = SearchRequest {
            ty: resource_type(app, "MedicationRequest")?,
            params: vec![("status".to_owned(), "active,unknown".to_owned())],
            lenient: false,
        };
        let known = crate::medicines::sources(app).await?;
        let (found, _) = whole(app, caller, &request, ORDERS).await?;
        let mut all = Self::default();
        for version in found {
            let held = crate::medicines::regimen::held(version)?;
            let order = held.root();
            let Some(patient) = patient_of(order) else {
                continue;
            };
            let reference = order.get("medicationReference");
            if let Some(reference) = reference.and_then(|own| own.get_str("reference")) {
                let own = all.medications.entry(reference.into_owned()).or_default();
                own.insert(patient);
            } else if let Some(product) = facts::product(&known.dictionary, order, &()) {
                let own = all.products.entry(product.name.clone()).or_default();
                own.insert(patient);
            }
        }
        // What an order refers to may be a product by another name.
        for (reference, patients) in &all.medications {
            let id = reference.strip_prefix("Medication/");
            let Some(id) = id.and_then(|own| own.parse::<LogicalId>().ok()) else {
                continue;
            };
            let Some(document) = plain(app, caller, "Medication", &id).await? else {
                continue;
            };
            let Some(request) = coded(&document)? else {
                continue;
            };
            if let Some(product) = facts::product(&known.dictionary, request.root(), &()) {
                let own = all.products.entry(product.name.clone()).or_default();
                own.extend(patients.iter().cloned());
            }
        }
        Ok(all)
    }

    /// The patients with an order of a medicine.
    fn of(&self, item: &Item) -> BTreeSet<LogicalId> {
        let product = item
            .product
            .as_deref()
            .and_then(|own| self.products.get(own));
        let medication = item.medication.as_deref();
        let medication = medication.and_then(|own| self.medications.get(own));
        product
            .into_iter()
            .chain(medication)
            .flatten()
            .cloned()
            .collect()
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
    /// From where each draws who has not drawn yet: the first common place where they live.
    first: BTreeMap<LogicalId, Account>,
    /// Common places on which residents may draw whom the caller does not reach.
    beyond: BTreeSet<Account>,
}

/// What is said where a caller does not reach everybody who draws on a place.
const BEYOND: &str = "orders of residents of other branches are out of reach";

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
        residents.extend(more);
        residents.retain(|own| !hidden.contains(own));
        if residents.len() > MOST {
            return refuse(format!(
                "{} residents have this medicine: ask for places of fewer",
                residents.len()
            ));
        }
        let common = Common::load(app, caller, &accounts).await?;
        let mut draws: BTreeMap<LogicalId, Draws> = BTreeMap::new();
        let mut first = BTreeMap::new();
        for resident in residents {
            let own = of_resident(app, caller, shelf, (&resident, &recent)).await?;
            let home = home_of(app, caller, &ResidentId(resident.clone())).await?;
            if let Some(account) = common.first_of(home.as_ref()) {
                first.insert(resident.clone(), account.clone());
            }
            draws.insert(resident, own);
        }
        Ok(Self {
            beyond: common.beyond(caller),
            accounts,
            hidden,
            draws,
            last,
            first,
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
        let last = self.last.get(resident);
        match last.filter(|last| last.resident().is_none() && self.accounts.contains(last)) {
            Some(last) => last == account,
            None => self.first.get(resident) == Some(account),
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

/// The common places with what is there, each with the Organizations that manage it.
struct Common(Vec<(Account, Vec<LogicalId>)>);

impl Common {
    async fn load(app: &App, caller: &Caller, accounts: &[Account]) -> Result<Self, AppError> {
        let mut found = Vec::new();
        for account in accounts.iter().filter(|own| own.resident().is_none()) {
            if let Some(location) = account.location() {
                let of = organizations(app, caller, location).await?;
                found.push((account.clone(), of));
            }
        }
        Ok(Self(found))
    }

    /// The first on which a resident of a house may draw.
    fn first_of(&self, home: Option<&LogicalId>) -> Option<&Account> {
        let mut own = self.0.iter();
        let near = |of: &[LogicalId]| of.is_empty() || home.is_none_or(|own| of.contains(own));
        own.find(|(_, of)| near(of)).map(|(account, _)| account)
    }

    /// Those of which a caller does not reach everybody who may draw on them.
    fn beyond(&self, caller: &Caller) -> BTreeSet<Account> {
        let own = self.0.iter();
        let out = own.filter(|(_, of)| !runs(&caller.subject, of));
        out.map(|(account, _)| account.clone()).collect()
    }
}

/// For how long what is there of a medicine lasts, place by place.
pub async fn days_left(app: &App, caller: &Caller, id: &ItemId) -> Result<Vec<Lasting>, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    // Too many orders to look through are no reason to show nothing of the stock.
    let (prescribed, many) = match Prescribed::load(app, caller).await {
        Err(AppError::TooLarge(why)) => (Prescribed::default(), Some(why)),
        other => (other?, None),
    };
    let drawn = Drawn::load(app, caller, &shelf, prescribed.of(&shelf.item)).await?;
    let each = drawn.places().map(|(account, place)| {
        let draws = drawn.on(account).map(|own| own.1);
        let mut own = lasting(app, &shelf, (account, place), draws);
        let beyond = drawn.beyond.contains(account).then(|| BEYOND.to_owned());
        own.unknown.extend(beyond.into_iter().chain(many.clone()));
        own.days = own.days.filter(|_| own.unknown.is_empty());
        own
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
    let more = prescribed.of(&shelf.item);
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
        let (need, mut unknown) = told(&shelf, (cycle, now), &draws, own);
        if drawn.beyond.contains(account) {
            unknown.push(BEYOND.to_owned());
        }
        found.push(Needed {
            location: Some(place.location),
            resident: place.resident,
            need: need.filter(|_| unknown.is_empty()),
            unknown,
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
        if held.root().get_str("status").as_deref() == Some("unknown") {
            found
                .unknown
                .push(format!("{name}: its status is unknown, ask the prescriber"));
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
