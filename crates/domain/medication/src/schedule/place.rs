//! Places one dosage on the calendar. Must not know of other dosages.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, ToSpan as _};
use kernel::{Timestamp, WrittenDecimal};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::{MOST_SLOTS, ScheduleError, Setting, Shift, Slot};
use crate::dosage::{Bounds, Dosage, Repeat, TimeUnit, Weekday};
use crate::quantity::Quantity;

/// No order is looked at for longer than a century.
const HORIZON_SECONDS: i64 = 100 * 366 * 86_400;

/// One dosage with the moment it is counted from.
pub(super) struct Placing<'a> {
    dosage: &'a Dosage,
    number: usize,
    setting: &'a Setting,
    anchor: Timestamp,
}

/// When on a day, in seconds after midnight, and who says so.
struct Clocks {
    seconds: Vec<i64>,
    prescribed: bool,
}

/// On which days.
enum Cadence {
    /// Every so many days from the first.
    Days(i64),
    /// On these days of every so many weeks.
    Weekdays(i64),
    /// Every so many months.
    Months(i64),
}

impl<'a> Placing<'a> {
    pub(super) const fn new(
        dosage: &'a Dosage,
        number: usize,
        setting: &'a Setting,
        anchor: Timestamp,
    ) -> Self {
        Self {
            dosage,
            number,
            setting,
            anchor,
        }
    }

    fn civil(&self, time: Timestamp) -> DateTime {
        let instant = jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or_default();
        self.setting.zone.to_datetime(instant)
    }

    fn slot(&self, at: Timestamp, prescribed: bool, shift: Option<Shift>) -> Slot {
        Slot {
            at,
            earliest: at,
            latest: at,
            dosage: self.number,
            prescribed,
            critical: false,
            shift,
        }
    }

    fn at(&self, civil: DateTime) -> (Timestamp, Option<Shift>) {
        let placed = self.setting.zone.to_ambiguous_timestamp(civil);
        let shift = match placed.offset() {
            jiff::tz::AmbiguousOffset::Unambiguous { .. } => None,
            jiff::tz::AmbiguousOffset::Gap { .. } => Some(Shift::Skipped),
            jiff::tz::AmbiguousOffset::Fold { .. } => Some(Shift::Twice),
        };
        let instant = placed
            .compatible()
            .map_or(i64::MAX, jiff::Timestamp::as_microsecond);
        (Timestamp::from_micros(instant), shift)
    }

    fn plus(&self, long: &Quantity) -> Option<Timestamp> {
        let unit = TimeUnit::of(long.unit.ucum_code()?)?;
        let value = long.value.value();
        if let Some(seconds) = unit.seconds() {
            let micros = value
                .checked_mul(Decimal::from(seconds * 1_000_000))?
                .to_i64()?;
            return Some(Timestamp::from_micros(
                self.anchor.as_micros().checked_add(micros)?,
            ));
        }
        let count = value.is_integer().then(|| value.to_i64())??;
        let span = match unit {
            TimeUnit::Week => Span::new().try_weeks(count),
            TimeUnit::Month => Span::new().try_months(count),
            TimeUnit::Year => Span::new().try_years(count),
            _ => Span::new().try_days(count),
        };
        let end = self.civil(self.anchor).checked_add(span.ok()?).ok()?;
        Some(self.at(end).0)
    }

    /// The first moment after it by its bounds; none where it is open.
    fn bound(&self) -> Result<Option<Timestamp>, ScheduleError> {
        let wrong = || ScheduleError::Wrong {
            path: "timing.repeat.bounds".to_owned(),
        };
        let repeat = self.dosage.repeat();
        Ok(match repeat.and_then(|repeat| repeat.bounds.as_ref()) {
            Some(Bounds::Duration(long)) => Some(self.plus(long).ok_or_else(wrong)?),
            Some(Bounds::Range {
                high: Some(high), ..
            }) => Some(self.plus(high).ok_or_else(wrong)?),
            Some(Bounds::Period { end, .. }) => {
                end.as_ref().map(|end| end.ends(&self.setting.zone))
            }
            Some(Bounds::Range { .. }) | None => None,
        })
    }

    /// The first moment after it; none where it is open.
    pub(super) fn end(&self) -> Result<Option<Timestamp>, ScheduleError> {
        if let Some(bound) = self.bound()? {
            return Ok(Some(bound));
        }
        let repeat = self
            .dosage
            .timing
            .as_ref()
            .and_then(crate::dosage::Timing::rule);
        if repeat.is_none_or(|repeat| repeat.count.is_none() && repeat.count_max.is_none()) {
            return Ok(None);
        }
        let mut slots = Vec::new();
        self.slots(self.anchor, Timestamp::from_micros(i64::MAX), &mut slots)?;
        let Some(last) = slots.last() else {
            return Ok(Some(self.anchor));
        };
        let next = self.civil(last.at).date().tomorrow();
        Ok(next
            .ok()
            .map(|day| self.at(day.to_datetime(Time::midnight())).0))
    }

    /// Adds the slots in `[from, to)`.
    pub(super) fn slots(
        &self,
        from: Timestamp,
        to: Timestamp,
        into: &mut Vec<Slot>,
    ) -> Result<(), ScheduleError> {
        let timing = self.dosage.timing.as_ref().ok_or(ScheduleError::NoTiming)?;
        let horizon = self.anchor.plus_seconds(HORIZON_SECONDS);
        let mut end = self.bound()?.unwrap_or(to).min(to).min(horizon);
        if let Some(stop) = self.setting.stop {
            end = end.min(stop);
        }
        let mut found = Found {
            from: from.max(self.anchor),
            end,
            left: None,
            into,
        };
        for event in &timing.event {
            let (at, shift) = match event.instant {
                Some(at) => (at, None),
                None => self.at(event.day.to_datetime(self.first_round())),
            };
            if at < end {
                found.add(self.slot(at, event.instant.is_some(), shift))?;
            }
        }
        match timing.rule() {
            Some(repeat) => self.rule(&repeat, &mut found),
            None if timing.event.is_empty() => Err(ScheduleError::NoTiming),
            None => Ok(()),
        }
    }

    fn first_round(&self) -> Time {
        let times = self.setting.rounds.times_a_day(1);
        times
            .and_then(|times| times.first().copied())
            .unwrap_or(self.setting.rounds.morning)
    }

    fn rule(&self, repeat: &Repeat, found: &mut Found<'_>) -> Result<(), ScheduleError> {
        found.left = repeat.count_max.or(repeat.count);
        let clocked = !repeat.time_of_day.is_empty() || !repeat.when.is_empty();
        let Some(unit) = repeat.period_unit else {
            if clocked || !repeat.day_of_week.is_empty() {
                return self.on_days(repeat, TimeUnit::Day, 1, found);
            }
            if repeat.count == Some(1) {
                return found.offer(self.slot(self.anchor, true, None)).map(|_| ());
            }
            return Err(ScheduleError::NoTiming);
        };
        let period = repeat
            .period
            .as_ref()
            .map_or(Decimal::ONE, WrittenDecimal::value);
        if let Some(seconds) = unit.seconds() {
            return self.elapsed(repeat, period, seconds, found);
        }
        match period.is_integer().then(|| period.to_i64()).flatten() {
            Some(whole) => self.on_days(repeat, unit, whole, found),
            None => Err(no_place(repeat)),
        }
    }

    /// Every so many hours, minutes or seconds.
    fn elapsed(
        &self,
        repeat: &Repeat,
        period: Decimal,
        seconds: i64,
        found: &mut Found<'_>,
    ) -> Result<(), ScheduleError> {
        let times = Decimal::from(often(repeat));
        let micros = period.checked_mul(Decimal::from(seconds * 1_000_000));
        let step = micros.and_then(|micros| micros.checked_div(times));
        let step = step
            .filter(Decimal::is_integer)
            .and_then(|step| step.to_i64());
        let step = step
            .filter(|step| *step >= 1_000_000)
            .ok_or_else(|| no_place(repeat))?;
        let mut at = self.anchor.as_micros();
        if found.left.is_none() && found.from.as_micros() > at {
            at += (found.from.as_micros() - at) / step * step;
        }
        loop {
            let moment = Timestamp::from_micros(at);
            let day = self.civil(moment).date();
            if (moment >= found.end || self.wanted(repeat, day))
                && !found.offer(self.slot(moment, true, None))?
            {
                return Ok(());
            }
            at = at.saturating_add(step);
        }
    }

    /// Whether the day is one of the days of the week and of the cycle.
    fn wanted(&self, repeat: &Repeat, day: Date) -> bool {
        let week = &repeat.day_of_week;
        let weekday = i64::from(day.weekday().to_monday_zero_offset());
        if !week.is_empty() && !week.iter().any(|d: &Weekday| d.place() == weekday) {
            return false;
        }
        let Some(cycle) = repeat.cycle else {
            return true;
        };
        let length = i64::from(cycle.on) + i64::from(cycle.off);
        let first = self.civil(self.anchor).date();
        let place = days_between(first, day).rem_euclid(length.max(1));
        place < i64::from(cycle.on)
    }

    /// Which days, at which times.
    fn on_days(
        &self,
        repeat: &Repeat,
        unit: TimeUnit,
        period: i64,
        found: &mut Found<'_>,
    ) -> Result<(), ScheduleError> {
        let weekdays = repeat.day_of_week.len() as i64;
        let cadence = match unit {
            TimeUnit::Week if weekdays > 0 => Cadence::Weekdays(period),
            TimeUnit::Week => Cadence::Days(period.saturating_mul(7)),
            TimeUnit::Month => Cadence::Months(period),
            TimeUnit::Year => Cadence::Months(period.saturating_mul(12)),
            _ => Cadence::Days(period),
        };
        let stated = self.stated(repeat);
        let each = stated
            .as_ref()
            .map_or(1, |clocks| clocks.seconds.len().max(1) as i64);
        let often = often(repeat);
        let unplaced = || no_place(repeat);
        // How many days of a period, and how many doses on each.
        let (days, doses) = match cadence {
            Cadence::Weekdays(_) if often > weekdays && often % weekdays == 0 => {
                (1, often / weekdays)
            }
            Cadence::Weekdays(_) => (1, 1),
            Cadence::Months(_) if stated.is_some() || often == 1 => (1, 1),
            Cadence::Days(1) => (1, often),
            Cadence::Days(_) if stated.is_some() && often % each == 0 => (often / each, 1),
            Cadence::Days(_) if stated.is_some() && often == 1 => (1, 1),
            Cadence::Days(length) if often <= length => (often, 1),
            Cadence::Days(length) if often % length == 0 => (length, often / length),
            Cadence::Days(_) | Cadence::Months(_) => return Err(unplaced()),
        };
        let clocks = match stated {
            Some(clocks) => clocks,
            None => self.derived(doses).ok_or_else(unplaced)?,
        };
        self.walk(repeat, &cadence, days, &clocks, found)
    }

    fn stated(&self, repeat: &Repeat) -> Option<Clocks> {
        if !repeat.time_of_day.is_empty() {
            let mut seconds: Vec<i64> = repeat
                .time_of_day
                .iter()
                .copied()
                .map(second_of_day)
                .collect();
            seconds.sort_unstable();
            return Some(Clocks {
                seconds,
                prescribed: true,
            });
        }
        if repeat.when.is_empty() {
            return None;
        }
        let rounds = &self.setting.rounds;
        let events = repeat.when.iter();
        let minutes = events.flat_map(|when| rounds.event(*when, repeat.offset));
        let mut seconds: Vec<i64> = minutes.map(|minute| minute * 60).collect();
        seconds.sort_unstable();
        seconds.dedup();
        Some(Clocks {
            seconds,
            prescribed: false,
        })
    }

    fn derived(&self, doses: i64) -> Option<Clocks> {
        let times = self
            .setting
            .rounds
            .times_a_day(usize::try_from(doses).ok()?)?;
        Some(Clocks {
            seconds: times.iter().copied().map(second_of_day).collect(),
            prescribed: false,
        })
    }

    /// Walks the days from the first and offers each dose in order.
    fn walk(
        &self,
        repeat: &Repeat,
        cadence: &Cadence,
        days: i64,
        clocks: &Clocks,
        found: &mut Found<'_>,
    ) -> Result<(), ScheduleError> {
        let first = self.civil(self.anchor).date();
        let last = self.last(found);
        let mut turn = self.first_turn(cadence, first, found);
        loop {
            for place in 0..cadence.days(days) {
                let Some(day) = cadence.day(first, turn, place, days) else {
                    return Ok(());
                };
                if day > last {
                    return Ok(());
                }
                if day < first || !self.wanted(repeat, day) {
                    continue;
                }
                let midnight = day.to_datetime(Time::midnight());
                for second in &clocks.seconds {
                    let Ok(civil) = midnight.checked_add(after_midnight(*second)) else {
                        return Ok(());
                    };
                    let (at, shift) = self.at(civil);
                    if at < self.anchor {
                        continue;
                    }
                    if !found.offer(self.slot(at, clocks.prescribed, shift))? {
                        return Ok(());
                    }
                }
            }
            turn += 1;
        }
    }

    /// A day behind which nothing is wanted any more.
    fn last(&self, found: &Found<'_>) -> Date {
        let end = self.civil(found.end).date();
        end.checked_add(2.days()).unwrap_or(Date::MAX)
    }

    /// The period to begin with: without a count, the one before `from`.
    fn first_turn(&self, cadence: &Cadence, first: Date, found: &Found<'_>) -> i64 {
        if found.left.is_some() {
            return 0;
        }
        let ahead = days_between(first, self.civil(found.from).date());
        let length = match cadence {
            Cadence::Days(length) => *length,
            Cadence::Weekdays(weeks) => weeks.saturating_mul(7),
            Cadence::Months(months) => months.saturating_mul(31),
        };
        (ahead / length.max(1) - 2).max(0)
    }
}

impl Cadence {
    /// How many days of a period are looked at.
    const fn days(&self, days: i64) -> i64 {
        match self {
            Self::Weekdays(_) => 7,
            _ => days,
        }
    }

    fn day(&self, first: Date, turn: i64, place: i64, days: i64) -> Option<Date> {
        let plus = |date: Date, days: i64| {
            let span = Span::new().try_days(days).ok()?;
            date.checked_add(span).ok()
        };
        match self {
            Self::Days(length) => {
                let within = place.checked_mul(*length)? / days.max(1);
                plus(first, turn.checked_mul(*length)?.checked_add(within)?)
            }
            Self::Weekdays(weeks) => {
                let monday = -i64::from(first.weekday().to_monday_zero_offset());
                plus(
                    first,
                    turn.checked_mul(weeks.checked_mul(7)?)? + monday + place,
                )
            }
            Self::Months(months) => {
                let span = Span::new().try_months(turn.checked_mul(*months)?).ok()?;
                first.checked_add(span).ok()
            }
        }
    }
}

/// Where slots go.
struct Found<'a> {
    from: Timestamp,
    end: Timestamp,
    /// How many are still to come, where they are counted.
    left: Option<i64>,
    into: &'a mut Vec<Slot>,
}

impl Found<'_> {
    fn add(&mut self, slot: Slot) -> Result<(), ScheduleError> {
        if slot.at >= self.from {
            if self.into.len() >= MOST_SLOTS {
                return Err(ScheduleError::TooMany);
            }
            self.into.push(slot);
        }
        Ok(())
    }

    /// Takes the next slot in order; whether there may be more.
    fn offer(&mut self, slot: Slot) -> Result<bool, ScheduleError> {
        if slot.at >= self.end || self.left == Some(0) {
            return Ok(false);
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        self.add(slot).map(|()| true)
    }
}

fn often(repeat: &Repeat) -> i64 {
    repeat
        .frequency
        .or(repeat.frequency_max)
        .unwrap_or(1)
        .max(1)
}

fn second_of_day(time: Time) -> i64 {
    (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second())
}

/// Negative and beyond a day where an offset reaches the day before or after.
fn after_midnight(seconds: i64) -> Span {
    Span::new().seconds(seconds.clamp(-1_000_000, 1_000_000))
}

fn days_between(from: Date, to: Date) -> i64 {
    to.since(from).map_or(0, |span| i64::from(span.get_days()))
}

fn no_place(repeat: &Repeat) -> ScheduleError {
    let unit = repeat.period_unit.map_or("period", TimeUnit::name);
    let period = repeat.period.as_ref().map_or("1", WrittenDecimal::as_str);
    ScheduleError::NoPlace {
        times: often(repeat),
        period: format!("{period} {unit}"),
    }
}
