//! For how long what is there lasts, by the real schedules of the residents' orders. Must not leave an order
//! out silently: what cannot be counted with is said, and the days are unknown then.

use std::collections::{BTreeMap, BTreeSet};

use identity::Interaction;
use kernel::LogicalId;
use medication::ids::{ItemId, LocationId, ResidentId};
use medication::order::Order;
use medication::schedule::Setting;
use medication::stock::{Account, DaysLeft, ForecastError, Kind, Regimen, Use};
use medication::supply::{Cycle, Need, need};
use rust_decimal::Decimal;

use super::look::{between, looked, parted};
use super::places::{Place, home_of, organizations};
pub use super::prescribed::Prescribed;
use super::prescribed::{named, platform};
use super::shelf::Shelf;
use super::{Moved, refuse};
use crate::App;
use crate::admin::allow;
use crate::context::Caller;
use crate::error::AppError;

/// For how long what is at a place lasts.
#[derive(Debug, Clone)]
pub struct Lasting {
    /// Where, and whose.
    pub place: Place,
    /// For how long; none where it cannot be told.
    pub days: Option<DaysLeft>,
    /// The orders that draw on it: `MedicationRequest/1`; those that the caller may be told.
    pub orders: Vec<String>,
    /// How many more draw on it, of residents out of the caller's reach: they count alike.
    pub beyond: usize,
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
    /// Whether the caller may be told which orders these are.
    named: bool,
}

/// What is said of an order that cannot be counted with where the caller may not be told which it is.
const BEYOND: &str = "an order of a resident out of your reach cannot be counted with: ask somebody who reaches everybody";

/// Most residents whose orders are looked at.
const MOST: usize = 2_000;
/// The word of a look in the ledger.
const LOOK: &str = "stock-forecast";
/// Seconds of use that are looked at.
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

impl Needed {
    /// What could not be counted at all.
    pub(crate) fn unknown(why: String) -> Self {
        Self {
            location: None,
            resident: None,
            need: None,
            unknown: vec![why],
        }
    }
}

/// Where what is not kept anywhere yet goes.
#[derive(Debug, Clone, Copy)]
pub struct Otherwise<'a> {
    /// The place; none where nobody said one.
    pub location: Option<&'a LocationId>,
    /// Whether each resident has their own, as what needs a prescription.
    pub own: bool,
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
    /// From where each draws who has not drawn yet: the first common place of where they live.
    first: BTreeMap<LogicalId, Account>,
}

impl Drawn {
    async fn load(
        app: &App,
        caller: &Caller,
        shelf: &Shelf,
        prescribed: &Prescribed,
    ) -> Result<Self, AppError> {
        let recent = recent(app, caller, shelf).await?;
        let last = drawn_from(&recent);
        let accounts: Vec<Account> = shelf
            .book
            .accounts()
            .filter(|own| own.is_held() && !shelf.book.balance(own).is_zero())
            .cloned()
            .collect();
        let mut residents: BTreeSet<LogicalId> = last.keys().cloned().collect();
        residents.extend(
            accounts
                .iter()
                .filter_map(|own| own.resident().map(|own| own.0.clone())),
        );
        residents.extend(prescribed.residents(&shelf.item));
        if residents.len() > MOST {
            return refuse(format!(
                "{} residents have this medicine, {MOST} are counted with: count by hand",
                residents.len()
            ));
        }
        let named = named(app, caller, residents.iter()).await?;
        // Whose orders nobody is told are looked at by the platform, for the total.
        let (shown, rest): (Vec<_>, Vec<_>) = residents
            .iter()
            .cloned()
            .partition(|own| named.contains(own));
        looked(app, caller, LOOK, shown).await?;
        if !rest.is_empty() {
            looked(app, &platform(caller), LOOK, rest).await?;
        }
        let (_, hidden) = parted(app, caller, residents.clone()).await?;
        let common = Common::load(app, caller, &accounts).await?;
        let mut draws: BTreeMap<LogicalId, Draws> = BTreeMap::new();
        let mut first = BTreeMap::new();
        for resident in residents {
            let own = (&resident, named.contains(&resident));
            let own = of_resident(shelf, prescribed, own, &recent);
            let home = home_of(app, caller, &ResidentId(resident.clone())).await?;
            if let Some(account) = common.first_of(home.as_ref()) {
                first.insert(resident.clone(), account.clone());
            }
            draws.insert(resident, own);
        }
        Ok(Self {
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

    /// The first from which a resident of a house is given, as a dose is taken.
    fn first_of(&self, home: Option<&LogicalId>) -> Option<&Account> {
        let near = |of: &[LogicalId]| of.is_empty() || home.is_none_or(|own| of.contains(own));
        let found = self.0.iter().find(|(_, of)| near(of));
        found.map(|(account, _)| account)
    }
}

/// For how long what is there of a medicine lasts, place by place, by the orders of everybody who draws on
/// it.
pub async fn days_left(app: &App, caller: &Caller, id: &ItemId) -> Result<Vec<Lasting>, AppError> {
    allow(app, caller, Interaction::ViewStock).await?;
    let shelf = Shelf::open(app, caller, id).await?;
    let prescribed = Prescribed::load(app, caller).await?;
    let drawn = Drawn::load(app, caller, &shelf, &prescribed).await?;
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
    let drawn = Drawn::load(app, caller, &shelf, prescribed).await?;
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
    // Of their own they have what those who reach them order; what is common is counted for everybody.
    let seen = |own: &&&LogicalId| !otherwise.own || !drawn.hidden.contains(**own);
    let homeless: Vec<&LogicalId> = homeless.iter().filter(seen).copied().collect();
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
    unknown.dedup();
    let (named, beyond): (Vec<&Draws>, Vec<&Draws>) = draws.iter().partition(|own| own.named);
    let orders = named.iter().flat_map(|own| &own.orders);
    Lasting {
        place,
        days: days.filter(|_| unknown.is_empty()),
        orders: orders.map(|own| own.name.clone()).collect(),
        beyond: beyond.iter().map(|own| own.orders.len()).sum(),
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

fn of_resident(
    shelf: &Shelf,
    prescribed: &Prescribed,
    (resident, named): (&LogicalId, bool),
    recent: &[Moved],
) -> Draws {
    let mut found = Draws {
        named,
        ..Draws::default()
    };
    for (name, order) in prescribed.of(&shelf.item, resident) {
        match order {
            Ok(order) => found.orders.push(Drawing {
                setting: Setting {
                    zone: prescribed.home.zone.clone(),
                    rounds: prescribed.home.rounds.clone(),
                    start: order.start,
                    stop: order.stop,
                    window: order.window,
                },
                uses: if order.is_needed() {
                    uses(resident, &name, recent)
                } else {
                    Vec::new()
                },
                order,
                name,
            }),
            Err(why) if named => found.unknown.push(format!("{name}: {why}")),
            Err(_) => found.unknown.push(BEYOND.to_owned()),
        }
    }
    found
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
