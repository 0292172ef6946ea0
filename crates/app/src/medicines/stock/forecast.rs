//! For how long what is there lasts, by the real schedules of the residents' orders. Must not leave an order
//! out silently: what cannot be counted with is said, and the days are unknown then.

use std::collections::{BTreeMap, BTreeSet};

use fhir::json::Value;
use identity::Interaction;
use kernel::LogicalId;
use medication::facts;
use medication::ids::ItemId;
use medication::order::Order;
use medication::schedule::Setting;
use medication::stock::{Account, DaysLeft, Kind, Regimen, Use};
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

/// For how long what is there of a medicine lasts, place by place.
pub async fn days_left(app: &App, caller: &Caller, id: &ItemId) -> Result<Vec<Lasting>, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    let recent = recent(app, caller, &shelf).await?;
    let drawn = drawn_from(&recent);
    let accounts: Vec<Account> = shelf
        .book
        .accounts()
        .filter(|own| own.is_held() && !shelf.book.balance(own).is_zero())
        .cloned()
        .collect();
    let (_, hidden) = reached(app, caller, accounts.iter()).await?;
    let mut residents: BTreeSet<LogicalId> = drawn.keys().cloned().collect();
    residents.extend(
        accounts
            .iter()
            .filter_map(|own| own.resident().map(|own| own.0.clone())),
    );
    residents.extend(ordered(app, caller, &shelf).await?);
    residents.retain(|own| !hidden.contains(own));
    if residents.len() > MOST {
        return refuse(format!(
            "{} residents have this medicine: ask for places of fewer",
            residents.len()
        ));
    }
    let mut draws: BTreeMap<LogicalId, Draws> = BTreeMap::new();
    for resident in residents {
        let own = of_resident(app, caller, &shelf, (&resident, &recent)).await?;
        draws.insert(resident, own);
    }
    Ok(places(app, &shelf, (&accounts, &hidden), (&draws, &drawn)))
}

/// For how long each place's stock lasts.
fn places(
    app: &App,
    shelf: &Shelf,
    (accounts, hidden): (&[Account], &BTreeSet<LogicalId>),
    (draws, drawn): (&BTreeMap<LogicalId, Draws>, &BTreeMap<LogicalId, Account>),
) -> Vec<Lasting> {
    let common: Vec<&Account> = accounts
        .iter()
        .filter(|own| own.resident().is_none())
        .collect();
    let mut found = Vec::new();
    for account in accounts {
        let Some(place) = Place::of(account) else {
            continue;
        };
        if account
            .resident()
            .is_some_and(|own| hidden.contains(&own.0))
        {
            continue;
        }
        let own = draws
            .iter()
            .filter(|(resident, _)| match account.resident() {
                Some(own) => own.0 == **resident,
                None => from_common(accounts, resident, drawn.get(*resident), (account, &common)),
            });
        found.push(lasting(app, shelf, (account, place), own.map(|own| own.1)));
    }
    found
}

/// Whether a resident draws on a common stock: who has none of their own, from where they drew last.
fn from_common(
    accounts: &[Account],
    resident: &LogicalId,
    last: Option<&Account>,
    (account, common): (&Account, &[&Account]),
) -> bool {
    let own = |own: &Account| own.resident().is_some_and(|own| own.0 == *resident);
    if accounts.iter().any(own) {
        return false;
    }
    match last.filter(|last| common.contains(last)) {
        Some(last) => last == account,
        None => common.first() == Some(&account),
    }
}

fn lasting<'a>(
    app: &App,
    shelf: &Shelf,
    (account, place): (&Account, Place),
    draws: impl Iterator<Item = &'a Draws>,
) -> Lasting {
    let draws: Vec<&Draws> = draws.collect();
    let regimens: Vec<Regimen<'_>> = draws
        .iter()
        .flat_map(|own| &own.orders)
        .map(|own| Regimen {
            dosages: &own.order.dosages,
            setting: &own.setting,
            contains: shelf.item.contains.as_ref(),
            uses: &own.uses,
        })
        .collect();
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
        let subject = held.root().get("subject");
        let reference = subject.and_then(|own| own.get_str("reference"));
        let id = reference
            .as_deref()
            .and_then(|own| own.strip_prefix("Patient/"));
        patients.extend(id.and_then(|own| own.parse::<LogicalId>().ok()));
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
