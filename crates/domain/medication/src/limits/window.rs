//! One limit against one dose: the stretches of time that hold the dose, and what lies in them. Must not
//! look in one direction only.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use kernel::Timestamp;
use rust_decimal::Decimal;

use super::{Bound, Entry, History, Limit, Looked, Next, Reason, Scope, Verdict, Why};
use crate::quantity::{Quantity, Unit};

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    pub reasons: Vec<Reason>,
    pub looked: Vec<Looked>,
}

impl Found {
    pub(super) fn add(&mut self, verdict: Verdict, limit: Option<usize>, why: Why) {
        let reason = Reason {
            verdict,
            limit,
            why,
        };
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
    pub(super) fn verdict(&self) -> Verdict {
        let worst = self.reasons.iter().map(|reason| reason.verdict).max();
        worst.unwrap_or(Verdict::Allow)
    }
}

/// Whether a limit is of this dose.
pub(crate) fn applies(limit: &Limit, dose: &Entry) -> bool {
    match &limit.scope {
        Scope::Ingredient(substance) => dose.contents.iter().any(|own| own.substance == *substance),
        Scope::Order(order) => dose.order.as_ref() == Some(order),
    }
}

/// How many seconds around a dose a limit looks; [`i64::MAX`] where it looks at every dose.
#[must_use]
pub const fn reach(limit: &Limit) -> i64 {
    match limit.bound {
        Bound::Single { .. } => 0,
        Bound::Rolling { seconds, .. }
        | Bound::Times { seconds, .. }
        | Bound::Apart { seconds } => seconds,
        // The longest day has 25 hours.
        Bound::Day { .. } | Bound::TimesADay { .. } => 90_000,
        Bound::Ever { .. } => i64::MAX,
    }
}

/// The amount of a dose that a limit adds up, in its unit.
pub(crate) fn amount(scope: &Scope, entry: &Entry, unit: &Unit) -> Result<Decimal, Box<Why>> {
    let unmeasured = |what| {
        Box::new(Why::Unmeasured {
            entry: entry.id.clone(),
            what,
        })
    };
    let incomparable = |what| {
        Box::new(Why::Incomparable {
            entry: entry.id.clone(),
            what,
        })
    };
    let value = match scope {
        Scope::Order(_) => {
            let dose = entry.dose.as_ref();
            let dose = dose.ok_or_else(|| unmeasured(crate::content::Unmeasured::NoDose))?;
            dose.in_unit(unit).map_err(incomparable)?
        }
        Scope::Ingredient(substance) => {
            let mut sum = Decimal::ZERO;
            for content in entry
                .contents
                .iter()
                .filter(|own| own.substance == *substance)
            {
                let much = content
                    .much
                    .as_ref()
                    .map_err(|what| unmeasured(what.clone()))?;
                let more = much.in_unit(unit).map_err(incomparable)?;
                let too_long = || unmeasured(crate::content::Unmeasured::Range);
                sum = sum.checked_add(more).ok_or_else(too_long)?;
            }
            sum
        }
    };
    if value <= Decimal::ZERO {
        return Err(Box::new(Why::BadEntry {
            entry: entry.id.clone(),
        }));
    }
    Ok(value)
}

/// A stretch of time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
}

impl Stretch {
    fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// The day of the place that holds a moment, from midnight to midnight: 23 to 25 hours.
fn day(at: Timestamp, zone: &TimeZone) -> Stretch {
    let instant = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
    let date = zone.to_datetime(instant).date();
    let midnight =
        |date: jiff::civil::Date| crate::dosage::at(zone, date.to_datetime(Time::midnight()));
    Stretch {
        from: midnight(date),
        to: midnight(date.tomorrow().unwrap_or(date)),
    }
}

/// Every stretch of this length that holds the dose and is as full as it can be: it begins at the dose or
/// at a dose less than its length before.
fn sliding(dose: &Entry, others: &[&Entry], seconds: i64) -> Vec<Stretch> {
    let mut begins: Vec<Timestamp> = others
        .iter()
        .map(|other| other.at)
        .filter(|at| *at <= dose.at && at.plus_seconds(seconds) > dose.at)
        .chain([dose.at])
        .collect();
    begins.dedup();
    begins
        .into_iter()
        .map(|from| Stretch {
            from,
            to: from.plus_seconds(seconds),
        })
        .collect()
}

/// Judges one limit.
pub(super) fn judge(
    number: usize,
    limit: &Limit,
    dose: &Entry,
    history: &History,
    zone: &TimeZone,
    found: &mut Found,
) {
    let reach = reach(limit);
    let others: Vec<&Entry> = history
        .under(&limit.scope)
        .filter(|other| other.id != dose.id)
        .filter(|other| other.at.seconds_since(dose.at).saturating_abs() <= reach)
        .collect();
    let judged = Judged {
        number,
        limit,
        dose,
        others,
    };
    let alone = Stretch {
        from: dose.at,
        to: dose.at.plus_seconds(1),
    };
    match &limit.bound {
        Bound::Single { most } => judged.sum(most, &[alone], true, found),
        Bound::Rolling { most, seconds } => {
            judged.sum(most, &sliding(dose, &judged.others, *seconds), false, found);
        }
        Bound::Day { most } => judged.sum(most, &[day(dose.at, zone)], false, found),
        Bound::Times { most, seconds } => {
            judged.count(*most, &sliding(dose, &judged.others, *seconds), found);
        }
        Bound::TimesADay { most } => judged.count(*most, &[day(dose.at, zone)], found),
        Bound::Apart { seconds } => judged.apart(*seconds, found),
        Bound::Ever { most } => {
            let ever = Stretch {
                from: Timestamp::from_micros(i64::MIN),
                to: Timestamp::from_micros(i64::MAX),
            };
            judged.sum(most, &[ever], false, found);
        }
    }
}

struct Judged<'a> {
    number: usize,
    limit: &'a Limit,
    dose: &'a Entry,
    others: Vec<&'a Entry>,
}

impl Judged<'_> {
    fn within(&self, stretch: Stretch) -> impl Iterator<Item = &Entry> {
        let others = self.others.iter().copied();
        others.filter(move |other| stretch.holds(other.at))
    }

    fn looked(&self, stretch: Stretch, sum: Option<Quantity>) -> Looked {
        let entries: Vec<_> = self.within(stretch).map(|other| other.id.clone()).collect();
        Looked {
            limit: self.number,
            from: stretch.from,
            to: stretch.to,
            count: entries.len() as u32 + 1,
            entries,
            sum,
        }
    }

    /// Amounts: the fullest stretch decides. An amount that is not known makes the whole unknown, unless
    /// what is known is too much already.
    fn sum(&self, most: &Quantity, stretches: &[Stretch], alone: bool, found: &mut Found) {
        let unit = &most.unit;
        let own = match amount(&self.limit.scope, self.dose, unit) {
            Ok(own) => own,
            Err(why) => {
                found.add(Verdict::Unknown, Some(self.number), *why);
                return;
            }
        };
        let mut fullest: Option<(Decimal, Stretch)> = None;
        let mut unknown = Vec::new();
        for stretch in stretches {
            let mut sum = own;
            for other in self.within(*stretch).filter(|_| !alone) {
                match amount(&self.limit.scope, other, unit) {
                    Ok(more) => sum = sum.saturating_add(more),
                    Err(why) => unknown.push(why),
                }
            }
            if fullest.is_none_or(|(most, _)| sum > most) {
                fullest = Some((sum, *stretch));
            }
        }
        let Some((sum, stretch)) = fullest else {
            return;
        };
        let total = Quantity::new(sum, unit.clone());
        if sum > most.value.value() {
            let why = Why::TooMuch {
                sum: total.clone(),
                most: most.clone(),
            };
            found.add(self.limit.effect, Some(self.number), why);
        }
        for why in unknown {
            found.add(Verdict::Unknown, Some(self.number), *why);
        }
        let mut looked = self.looked(stretch, Some(total));
        if alone {
            looked.entries.clear();
            looked.count = 1;
        }
        found.looked.push(looked);
    }

    fn count(&self, most: u32, stretches: &[Stretch], found: &mut Found) {
        let full = |stretch: &Stretch| self.within(*stretch).count();
        let Some(stretch) = stretches.iter().max_by_key(|stretch| full(stretch)) else {
            return;
        };
        let looked = self.looked(*stretch, None);
        if looked.count > most {
            let why = Why::TooOften {
                count: looked.count,
                most,
            };
            found.add(self.limit.effect, Some(self.number), why);
        }
        found.looked.push(looked);
    }

    /// Before and after alike.
    fn apart(&self, least: i64, found: &mut Found) {
        let at = self.dose.at;
        for other in &self.others {
            let micros = other.at.as_micros().saturating_sub(at.as_micros());
            let micros = micros.saturating_abs();
            if micros < least.saturating_mul(1_000_000) {
                let why = Why::TooClose {
                    other: other.id.clone(),
                    at: other.at,
                    apart: micros / 1_000_000,
                    least,
                };
                found.add(self.limit.effect, Some(self.number), why);
            }
        }
        let around = Stretch {
            from: at.plus_seconds(least.saturating_neg()),
            to: at.plus_seconds(least),
        };
        found.looked.push(self.looked(around, None));
    }
}

/// The first moment at which no limit blocks the dose any more. Only where a window empties or an interval
/// ends can that be.
pub(super) fn next(dose: &Entry, limits: &[Limit], history: &History, zone: &TimeZone) -> Next {
    let positive = dose
        .dose
        .as_ref()
        .is_none_or(|own| own.value.value() > Decimal::ZERO);
    if !positive {
        return Next::Never;
    }
    let own: Vec<(usize, &Limit)> = limits
        .iter()
        .enumerate()
        .filter(|(_, limit)| limit.effect == Verdict::Block && applies(limit, dose))
        .collect();
    let mut moments = Vec::new();
    for (_, limit) in &own {
        let others = history
            .under(&limit.scope)
            .filter(|other| other.id != dose.id);
        match limit.bound {
            Bound::Rolling { seconds, .. }
            | Bound::Times { seconds, .. }
            | Bound::Apart { seconds } => {
                moments.extend(others.map(|other| other.at.plus_seconds(seconds)));
            }
            Bound::Day { .. } | Bound::TimesADay { .. } => {
                moments.push(day(dose.at, zone).to);
                moments.extend(others.map(|other| day(other.at, zone).to));
            }
            Bound::Single { .. } | Bound::Ever { .. } => {}
        }
    }
    moments.retain(|at| *at > dose.at);
    moments.sort_unstable();
    moments.dedup();
    let mut then = dose.clone();
    for at in moments {
        then.at = at;
        let mut found = Found::default();
        for (number, limit) in &own {
            judge(*number, limit, &then, history, zone, &mut found);
        }
        match found.verdict() {
            Verdict::Allow | Verdict::Warn => return Next::At(at),
            Verdict::Unknown => return Next::Unknown,
            Verdict::Block => {}
        }
    }
    Next::Never
}
