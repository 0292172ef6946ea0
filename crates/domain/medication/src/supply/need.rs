//! What a cycle needs beyond what is there: the schedules' doses until its end, less the stock that is
//! left at its start. Must not count stock that may not be used by then: the caller passes what may.

use kernel::Timestamp;
use rust_decimal::Decimal;

use crate::quantity::Unit;
use crate::stock::{ForecastError, Regimen, Side, Units, demand};

/// A cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cycle {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// Days beyond its end that should be there too.
    pub reserve_days: u16,
}

/// What a cycle needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Need {
    /// What is used until its start.
    pub before: Decimal,
    /// What is used in it and its reserve.
    pub during: Decimal,
    /// What is left at its start; never below nothing.
    pub left: Decimal,
    /// What is missing.
    pub missing: Option<Units>,
}

impl Need {
    /// The same with so much more: what must be there whether or not a schedule uses it.
    ///
    /// # Errors
    /// More than 28 digits.
    pub fn and_more(mut self, more: Decimal) -> Result<Self, ForecastError> {
        let missing = self.missing.map_or(Decimal::ZERO, Units::get);
        let missing = missing.checked_add(more).ok_or(ForecastError::Range)?;
        if missing > Decimal::ZERO {
            self.missing = Some(Units::new(missing).map_err(|_| ForecastError::Range)?);
        }
        Ok(self)
    }
}

/// What a cycle needs, at the most doses of ranges and the busiest week's use when needed.
///
/// # Errors
/// A schedule, a dose or a unit that cannot be counted with.
pub fn need(
    regimens: &[Regimen<'_>],
    unit: &Unit,
    usable: Decimal,
    now: Timestamp,
    cycle: &Cycle,
) -> Result<Need, ForecastError> {
    let until = cycle
        .end
        .plus_seconds(i64::from(cycle.reserve_days) * 86_400);
    let sum = |from: Timestamp, to: Timestamp| -> Result<Decimal, ForecastError> {
        if to <= from {
            return Ok(Decimal::ZERO);
        }
        let wanted = demand(regimens, unit, now, (from, to), Side::Most)?;
        let mut all = wanted.iter().map(|(_, units)| *units);
        all.try_fold(Decimal::ZERO, Decimal::checked_add)
            .ok_or(ForecastError::Range)
    };
    let start = cycle.start.max(now);
    let before = sum(now, start)?;
    let during = sum(start, until)?;
    let left = (usable - before).max(Decimal::ZERO);
    // A thirtieth of a tablet is ordered as a whole millionth more.
    let missing =
        (during - left).round_dp_with_strategy(6, rust_decimal::RoundingStrategy::AwayFromZero);
    let missing = (missing > Decimal::ZERO)
        .then(|| Units::new(missing).map_err(|_| ForecastError::Range))
        .transpose()?;
    Ok(Need {
        before,
        during,
        left,
        missing,
    })
}
