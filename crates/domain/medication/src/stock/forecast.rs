//! For how long stock lasts: the real schedules are expanded forward, dose by dose, and what is given
//! when needed is taken from recent use, as a range. Must not guess a dose that an order does not state
//! or a unit that does not convert.

use kernel::{Categorised, Category, Timestamp};
use rust_decimal::Decimal;

use super::{Account, Book, Units};
use crate::dosage::Dosage;
use crate::quantity::{NotComparable, Quantity, Unit};
use crate::schedule::{ScheduleError, Setting, due};

/// How far ahead is looked: nobody plans medicines beyond it.
pub const HORIZON_DAYS: i64 = 366;
/// Over how many days use when needed is looked at.
pub const LOOK_BACK_DAYS: i64 = 28;
/// The days of the busiest week.
const WEEK_DAYS: i64 = 7;
const DAY_SECONDS: i64 = 86_400;
/// The window of one expansion.
const STEP_DAYS: i64 = 28;

/// A dose that was taken when needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// How much of the item's unit.
    pub units: Units,
}

/// An order that draws on the stock.
#[derive(Debug, Clone, Copy)]
pub struct Regimen<'a> {
    /// Its instructions.
    pub dosages: &'a [Dosage],
    /// Zone, rounds, start and stop.
    pub setting: &'a Setting,
    /// What one unit of the item contains, where doses are stated by strength: 500 mg of a tablet.
    pub contains: Option<&'a Quantity>,
    /// What was taken of it when needed, in any order.
    pub uses: &'a [Use],
}

/// Which end of a range is counted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The least doses, and use when needed as on an average day.
    Least,
    /// The most doses, and use when needed as in the busiest week.
    Most,
}

/// Until when it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "lasts")]
pub enum Lasts {
    /// The first dose that finds too little.
    Until {
        /// When it is due.
        at: Timestamp,
        /// Whole days from now until then.
        days: i64,
    },
    /// Every dose of the horizon is there.
    Throughout,
}

/// For how long stock lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DaysLeft {
    /// At the most use.
    pub soonest: Lasts,
    /// At the least use.
    pub latest: Lasts,
    /// Whether something is given when needed that nobody took in the days looked at: it is counted as
    /// not used.
    pub needed_unused: bool,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForecastError {
    /// A schedule has no place on the calendar.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// An instruction does not state its dose.
    #[error("instruction {} states no dose: it cannot be counted", .0 + 1)]
    NoDose(usize),
    /// A dose does not convert to the unit that is counted.
    #[error("instruction {}: {why}", .dosage + 1)]
    Unit {
        /// Which instruction.
        dosage: usize,
        /// Why.
        why: NotComparable,
    },
    /// More than 28 digits.
    #[error("the doses add up beyond 28 digits: check the dose")]
    Range,
}

impl Categorised for ForecastError {
    fn category(&self) -> Category {
        match self {
            Self::Schedule(own) => own.category(),
            _ => Category::Unprocessable,
        }
    }
}

fn plus_days(time: Timestamp, days: i64) -> Timestamp {
    time.plus_seconds(days.saturating_mul(DAY_SECONDS))
}

/// How many units one dose takes, for every instruction that is not given when needed.
fn doses(
    regimen: &Regimen<'_>,
    unit: &Unit,
    side: Side,
) -> Result<Vec<Option<Decimal>>, ForecastError> {
    let each = |(dosage, own): (usize, &Dosage)| {
        if own.as_needed.is_needed() {
            return Ok(None);
        }
        let dose = own.dose().and_then(|dose| match side {
            Side::Least => dose.least().or(dose.most()),
            Side::Most => dose.most().or(dose.least()),
        });
        let dose = dose.ok_or(ForecastError::NoDose(dosage))?;
        units_of(dose, unit, regimen.contains)
            .map(Some)
            .map_err(|why| ForecastError::Unit { dosage, why })
    };
    regimen.dosages.iter().enumerate().map(each).collect()
}

/// A dose in the unit that is counted: as it stands, or by what one unit contains.
///
/// # Errors
/// Neither converts.
pub fn units_of(
    dose: &Quantity,
    unit: &Unit,
    contains: Option<&Quantity>,
) -> Result<Decimal, NotComparable> {
    let plain = dose.in_unit(unit);
    let (Err(why), Some(contains)) = (&plain, contains) else {
        return plain;
    };
    let within = dose.in_unit(&contains.unit).map_err(|_| why.clone())?;
    within
        .checked_div(contains.value.value())
        .ok_or_else(|| NotComparable::Range {
            unit: unit.name().to_owned(),
        })
}

/// What is used when needed on one day: on average over the days looked at, or as in the busiest week.
fn needed_a_day(uses: &[Use], now: Timestamp, side: Side) -> Decimal {
    let from = plus_days(now, -LOOK_BACK_DAYS);
    let mut recent: Vec<&Use> = uses
        .iter()
        .filter(|one| one.at >= from && one.at < now)
        .collect();
    recent.sort_by_key(|one| one.at);
    let sum = |uses: &mut dyn Iterator<Item = &&Use>| -> Decimal {
        uses.map(|one| one.units.get()).sum()
    };
    match side {
        Side::Least => sum(&mut recent.iter()) / Decimal::from(LOOK_BACK_DAYS),
        Side::Most => {
            let weeks = recent.iter().enumerate().map(|(first, start)| {
                let end = plus_days(start.at, WEEK_DAYS);
                sum(&mut recent.iter().skip(first).take_while(|one| one.at < end))
            });
            weeks.max().unwrap_or_default() / Decimal::from(WEEK_DAYS)
        }
    }
}

fn has_needed(regimen: &Regimen<'_>) -> bool {
    regimen.dosages.iter().any(|own| own.as_needed.is_needed())
}

/// What is wanted in `[from, to)`, by time. Use when needed stands at the end of each day; it is taken
/// from the days before `now`.
///
/// # Errors
/// A schedule, a dose or a unit that cannot be counted with.
pub fn demand(
    regimens: &[Regimen<'_>],
    unit: &Unit,
    now: Timestamp,
    (from, to): (Timestamp, Timestamp),
    side: Side,
) -> Result<Vec<(Timestamp, Decimal)>, ForecastError> {
    let mut wanted = Vec::new();
    for regimen in regimens {
        let doses = doses(regimen, unit, side)?;
        for slot in due(regimen.dosages, regimen.setting, from, to)? {
            let dose = doses.get(slot.dosage).copied().flatten();
            wanted.push((slot.at, dose.ok_or(ForecastError::NoDose(slot.dosage))?));
        }
        let a_day = needed_a_day(regimen.uses, now, side);
        if !has_needed(regimen) || a_day.is_zero() {
            continue;
        }
        let ends = regimen.setting.stop.map_or(to, |stop| stop.min(to));
        let days = (1..).map(|day| plus_days(from, day));
        wanted.extend(days.take_while(|day| *day <= ends).map(|day| (day, a_day)));
    }
    wanted.sort_by_key(|(at, _)| *at);
    Ok(wanted)
}

/// Stock, by the first moment at which it may not be used any more.
type Lots = Vec<(Option<Timestamp>, Decimal)>;

/// Takes one dose: what may not be used by then is left out, what ends first goes first. Whether there
/// was enough.
fn consume(lots: &mut Lots, at: Timestamp, wanted: Decimal) -> Result<bool, ForecastError> {
    lots.retain(|(until, _)| until.is_none_or(|until| until > at));
    let mut left = wanted;
    for (_, held) in lots.iter_mut() {
        let part = left.min(*held);
        *held = held.checked_sub(part).ok_or(ForecastError::Range)?;
        left = left.checked_sub(part).ok_or(ForecastError::Range)?;
    }
    Ok(left <= Decimal::ZERO)
}

fn lasts(
    regimens: &[Regimen<'_>],
    unit: &Unit,
    mut lots: Lots,
    now: Timestamp,
    side: Side,
) -> Result<Lasts, ForecastError> {
    // `None` sorts before `Some`: what never ends goes last.
    lots.sort_by_key(|(until, _)| (until.is_none(), *until));
    let end = plus_days(now, HORIZON_DAYS);
    let mut from = now;
    while from < end {
        let to = plus_days(from, STEP_DAYS).min(end);
        for (at, wanted) in demand(regimens, unit, now, (from, to), side)? {
            if !consume(&mut lots, at, wanted)? {
                let days = at.seconds_since(now).div_euclid(DAY_SECONDS);
                return Ok(Lasts::Until { at, days });
            }
        }
        from = to;
    }
    Ok(Lasts::Throughout)
}

/// For how long `stock` lasts from `now` on, were it all to be used up in time.
///
/// # Errors
/// A schedule, a dose or a unit that cannot be counted with.
pub fn days_left(
    regimens: &[Regimen<'_>],
    unit: &Unit,
    stock: Decimal,
    now: Timestamp,
) -> Result<DaysLeft, ForecastError> {
    of_lots(regimens, unit, &vec![(None, stock)], now)
}

fn of_lots(
    regimens: &[Regimen<'_>],
    unit: &Unit,
    lots: &Lots,
    now: Timestamp,
) -> Result<DaysLeft, ForecastError> {
    let needed_unused = regimens.iter().any(|regimen| {
        has_needed(regimen) && needed_a_day(regimen.uses, now, Side::Most).is_zero()
    });
    Ok(DaysLeft {
        soonest: lasts(regimens, unit, lots.clone(), now, Side::Most)?,
        latest: lasts(regimens, unit, lots.clone(), now, Side::Least)?,
        needed_unused,
    })
}

impl Book {
    /// For how long what is on an account lasts from `now` on: batches are used as they are allocated,
    /// and what expires or is open too long before its turn is not counted.
    ///
    /// # Errors
    /// A schedule, a dose or a unit that cannot be counted with.
    pub fn days_left(
        &self,
        account: &Account,
        regimens: &[Regimen<'_>],
        now: Timestamp,
    ) -> Result<DaysLeft, ForecastError> {
        of_lots(regimens, self.unit(), &self.lots(account, now), now)
    }

    fn lots(&self, account: &Account, now: Timestamp) -> Lots {
        let usable = self
            .batches(account)
            .filter(|(batch, _)| self.unusable(account, batch, now).is_none());
        usable
            .map(|(batch, held)| (self.usable_until(account, batch), held))
            .collect()
    }

    /// How much of what is on an account may be used from `now` until `until`: what expires or is open too
    /// long before its turn comes, at the most use, is not counted.
    ///
    /// # Errors
    /// A schedule, a dose or a unit that cannot be counted with.
    pub fn usable_in_time(
        &self,
        account: &Account,
        regimens: &[Regimen<'_>],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Decimal, ForecastError> {
        let mut lots = self.lots(account, now);
        lots.sort_by_key(|(until, _)| (until.is_none(), *until));
        let sum = |lots: &Lots| -> Result<Decimal, ForecastError> {
            let mut all = lots.iter().map(|(_, held)| *held);
            all.try_fold(Decimal::ZERO, Decimal::checked_add)
                .ok_or(ForecastError::Range)
        };
        let mut used = Decimal::ZERO;
        for (at, wanted) in demand(regimens, self.unit(), now, (now, until), Side::Most)? {
            lots.retain(|(last, _)| last.is_none_or(|last| last > at));
            let before = sum(&lots)?;
            consume(&mut lots, at, wanted)?;
            used += before - sum(&lots)?;
        }
        lots.retain(|(last, _)| last.is_none_or(|last| last > until));
        used.checked_add(sum(&lots)?).ok_or(ForecastError::Range)
    }
}
