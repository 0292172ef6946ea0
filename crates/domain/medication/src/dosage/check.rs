//! What is wrong with a Dosage, and what is likely to be misread. Must not repair: a dose that contradicts
//! itself has no right reading.

use std::collections::HashSet;

use kernel::WrittenDecimal;
use rust_decimal::Decimal;

use super::text::is_misread;
use super::timing::{Bounds, Repeat, TimeUnit, Timing};
use super::{Amount, AsNeeded, Dosage, Rate};
use crate::quantity::Quantity;

/// How heavy a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// It can be given as it stands, but may be misread.
    Warning,
    /// It cannot be given as it stands.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// How heavy it is.
    pub weight: Weight,
    /// A stable code.
    pub code: &'static str,
    /// Where.
    pub path: String,
    /// What is wrong and what would be right.
    pub text: String,
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, weight: Weight, code: &'static str, path: &str, text: &str) {
        self.0.push(Problem {
            weight,
            code,
            path: path.to_owned(),
            text: text.to_owned(),
        });
    }
    fn error(&mut self, code: &'static str, path: &str, text: &str) {
        self.add(Weight::Error, code, path, text);
    }
    fn warn(&mut self, code: &'static str, path: &str, text: &str) {
        self.add(Weight::Warning, code, path, text);
    }

    fn quantity(&mut self, quantity: &Quantity, path: &str) {
        let value = quantity.value.value();
        if value <= Decimal::ZERO {
            self.error(
                "not_positive",
                path,
                "is not above zero: state the amount given",
            );
        }
        let written = quantity.value.as_str();
        if written.contains('.') && written.ends_with('0') {
            let text =
                "is written with a trailing zero, which is read as ten times as much: leave it out";
            self.warn("trailing_zero", path, text);
        }
        if written.contains(['e', 'E']) {
            let text = "is written with an exponent: write it out";
            self.warn("exponent", path, text);
        }
        let unit = &quantity.unit;
        if unit.measure().is_none() {
            self.error("unit", path, "has no unit that is known: state a UCUM unit");
        } else if unit.code.is_none() {
            let text = "has a unit without a code and converts to nothing: state a UCUM unit";
            self.warn("uncoded_unit", path, text);
        }
        if unit.display.as_deref().is_some_and(is_misread) {
            let text = "has an abbreviated unit that is misread: write micrograms or units";
            self.warn("abbreviated_unit", path, text);
        }
        if unit.ucum_code() == Some("mg") && value > Decimal::ZERO && value < Decimal::ONE {
            let text = "is less than 1 mg: state it in micrograms";
            self.warn("below_one", path, text);
        }
        if unit.ucum_code() == Some("U") {
            let text =
                "is in enzyme units of UCUM (umol/min): units of insulin or heparin are [iU]";
            self.warn("enzyme_unit", path, text);
        }
    }

    fn amount(&mut self, amount: &Amount, path: &str) {
        match amount {
            Amount::Exact(exact) => self.quantity(exact, path),
            Amount::Range { low, high } => self.range(low.as_ref(), high.as_ref(), path),
        }
    }

    fn range(&mut self, low: Option<&Quantity>, high: Option<&Quantity>, path: &str) {
        for (bound, name) in [(low, "low"), (high, "high")] {
            if let Some(bound) = bound {
                self.quantity(bound, &format!("{path}.{name}"));
            }
        }
        if let (Some(low), Some(high)) = (low, high) {
            match low.in_unit(&high.unit) {
                Ok(least) if least > high.value.value() => {
                    self.error(
                        "range",
                        path,
                        "has a low above its high: swap or correct them",
                    );
                }
                Ok(_) => {}
                Err(error) => self.error("unit_mismatch", path, &error.to_string()),
            }
        }
    }

    fn not_above(&mut self, dose: &Quantity, most: &Quantity, path: &str) {
        match dose.in_unit(&most.unit) {
            Ok(dose) if dose > most.value.value() => {
                self.error(
                    "above_maximum",
                    path,
                    "is less than one dose: correct the one or the other",
                );
            }
            Ok(_) => {}
            Err(_) => {
                let text = "is in a unit that the dose does not convert to: it cannot be watched without the strength";
                self.warn("maximum_unit", path, text);
            }
        }
    }
}

fn positive(found: &mut Found, value: Option<i64>, path: &str) {
    if value.is_some_and(|value| value < 1) {
        found.error("not_positive", path, "is not above zero: state at least 1");
    }
}

/// A value, its maximum and its unit, as R4 pairs them (tim-1, 2, 4, 5, 6, 7).
fn paired(
    found: &mut Found,
    (value, most, unit): (
        Option<&WrittenDecimal>,
        Option<&WrittenDecimal>,
        Option<TimeUnit>,
    ),
    name: &str,
) {
    let path = format!("timing.repeat.{name}");
    for stated in [value, most].into_iter().flatten() {
        if stated.value() <= Decimal::ZERO {
            found.error(
                "not_positive",
                &path,
                "is not above zero: state a length of time",
            );
        }
    }
    match (value, most) {
        (Some(value), Some(most)) if most.value() < value.value() => {
            found.error(
                "range",
                &path,
                "has a maximum below it: correct one of them",
            );
        }
        (None, Some(_)) => found.error(
            "incomplete",
            &path,
            "has a maximum but no value: state both",
        ),
        _ => {}
    }
    match (value.is_some(), unit.is_some()) {
        (true, false) => found.error("incomplete", &path, "has no unit: state one"),
        (false, true) => found.error("incomplete", &path, "has a unit but no value: state both"),
        _ => {}
    }
}

fn repeat(found: &mut Found, repeat: &Repeat) {
    let path = "timing.repeat";
    positive(found, repeat.count, "timing.repeat.count");
    positive(found, repeat.count_max, "timing.repeat.countMax");
    positive(found, repeat.frequency, "timing.repeat.frequency");
    positive(found, repeat.frequency_max, "timing.repeat.frequencyMax");
    for (low, high, name) in [
        (repeat.count, repeat.count_max, "timing.repeat.countMax"),
        (
            repeat.frequency,
            repeat.frequency_max,
            "timing.repeat.frequencyMax",
        ),
    ] {
        if matches!((low, high), (Some(low), Some(high)) if high < low) {
            found.error("range", name, "is below the number it is the maximum of");
        }
    }
    let duration = (repeat.duration.as_ref(), repeat.duration_max.as_ref());
    paired(
        found,
        (duration.0, duration.1, repeat.duration_unit),
        "duration",
    );
    let period = (repeat.period.as_ref(), repeat.period_max.as_ref());
    paired(found, (period.0, period.1, repeat.period_unit), "period");
    let often = repeat.frequency.is_some() || repeat.frequency_max.is_some();
    if often && repeat.period.is_none() {
        found.error(
            "incomplete",
            path,
            "has a frequency without a period: state both",
        );
    }
    if repeat
        .cycle
        .is_some_and(|cycle| cycle.on == 0 || cycle.off == 0)
    {
        found.error(
            "not_positive",
            path,
            "has a cycle without days: state at least 1 with and 1 without",
        );
    }
    events(found, repeat);
    days(found, repeat);
    clocks(found, repeat);
    if let Some(stated) = &repeat.bounds {
        bounds(found, stated);
    }
}

fn events(found: &mut Found, repeat: &Repeat) {
    let path = "timing.repeat.offset";
    let Some(offset) = repeat.offset else { return };
    if offset < 0 {
        found.error(
            "negative",
            path,
            "is below zero: the event says before or after",
        );
    } else if offset >= 24 * 60 {
        found.error(
            "range",
            path,
            "is a day or more: state the time of another event",
        );
    }
    if repeat.when.is_empty() {
        found.error("incomplete", path, "has no event to count from: state when");
    } else if repeat.when.iter().any(|when| when.side() == 0) {
        found.error(
            "contradiction",
            path,
            "counts from a dose with food: state before or after the meal",
        );
    }
}

fn repeated<T: std::hash::Hash + Eq>(values: &[T]) -> bool {
    let mut seen = HashSet::new();
    values.iter().any(|value| !seen.insert(value))
}

fn days(found: &mut Found, repeat: &Repeat) {
    let path = "timing.repeat.dayOfWeek";
    if repeat.day_of_week.is_empty() {
        return;
    }
    if repeated(&repeat.day_of_week) {
        found.error("twice", path, "names a day twice");
    }
    match repeat.period_unit {
        None | Some(TimeUnit::Week) => {}
        Some(TimeUnit::Day) => {
            if repeat
                .period
                .as_ref()
                .is_some_and(|p| p.value() != Decimal::ONE)
            {
                let text =
                    "contradicts a period of several days: state weeks, or leave the days out";
                found.error("contradiction", path, text);
            }
        }
        Some(_) => {
            found.error(
                "contradiction",
                path,
                "contradicts the period: state days or weeks",
            );
        }
    }
    if repeat.period_unit == Some(TimeUnit::Week) {
        let clocks = (repeat.time_of_day.len() + repeat.when.len()).max(1);
        let each = (repeat.day_of_week.len() * clocks) as i64;
        let often = repeat.frequency.unwrap_or(1);
        if often != each && often != repeat.day_of_week.len() as i64 && often != clocks as i64 {
            let text = "names another number of days than the frequency in the week";
            found.error("contradiction", path, text);
        }
    }
}

fn clocks(found: &mut Found, repeat: &Repeat) {
    let path = "timing.repeat.timeOfDay";
    if !repeat.time_of_day.is_empty() && !repeat.when.is_empty() {
        found.error(
            "contradiction",
            path,
            "stands beside events of the day: state one of them",
        );
    }
    if repeated(&repeat.time_of_day) || repeated(&repeat.when) {
        found.error("twice", path, "names a time twice");
    }
    let clocks = (repeat.time_of_day.len() + repeat.when.len()) as i64;
    if clocks == 0 {
        return;
    }
    let clocked = repeat.period_unit.and_then(TimeUnit::seconds).is_some();
    if clocked {
        found.error(
            "contradiction",
            path,
            "contradicts a period of hours: state one of them",
        );
    }
    let Some(often) = repeat.frequency else {
        return;
    };
    let daily = repeat.period_unit == Some(TimeUnit::Day);
    if daily && repeat.when.is_empty() && often != clocks {
        found.error(
            "contradiction",
            path,
            "names another number of times than the frequency",
        );
    }
}

fn bounds(found: &mut Found, bounds: &Bounds) {
    let path = "timing.repeat.bounds";
    match bounds {
        Bounds::Duration(long) => length(found, long, path),
        Bounds::Range { low, high } => {
            found.range(low.as_ref(), high.as_ref(), path);
            for long in [low, high].into_iter().flatten() {
                length(found, long, path);
            }
        }
        Bounds::Period { start, end, .. } => {
            if let (Some(start), Some(end)) = (start, end) {
                let stops_first = match (start.instant, end.instant) {
                    (Some(start), Some(end)) => end < start,
                    _ => end.day < start.day,
                };
                if stops_first {
                    found.error("stop_before_start", path, "stops before it starts");
                }
            }
        }
    }
}

fn length(found: &mut Found, long: &Quantity, path: &str) {
    if long.value.value() <= Decimal::ZERO {
        found.error(
            "not_positive",
            path,
            "is not above zero: state a length of time",
        );
    }
    if long.unit.ucum_code().and_then(TimeUnit::of).is_none() {
        found.error(
            "unit",
            path,
            "is in no unit of time: state s, min, h, d, wk, mo or a of UCUM",
        );
    }
}

fn timing(found: &mut Found, timing: &Timing, needed: bool) {
    if let Some(stated) = &timing.repeat {
        repeat(found, stated);
    }
    if timing.rule().is_none() && timing.event.is_empty() {
        if timing.code.is_some() {
            found.error(
                "timing_code",
                "timing.code",
                "is no timing that is known: state the repeat",
            );
        } else if !needed {
            found.error(
                "incomplete",
                "timing",
                "says nothing: state a repeat or moments",
            );
        }
    }
    if let (Some(_), Some(_)) = (&timing.repeat, timing.abbreviation()) {
        let text = "stands beside a repeat, which alone is followed: leave one of them out";
        found.warn("two_timings", "timing.code", text);
    }
}

impl Dosage {
    /// What is wrong with it; nothing where it can be given as it stands.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        let needed = self.as_needed.is_needed();
        for (n, stated) in self.dose_and_rate.iter().enumerate() {
            let path = format!("doseAndRate[{n}]");
            if let Some(dose) = &stated.dose {
                found.amount(dose, &format!("{path}.dose"));
            }
            match &stated.rate {
                Some(Rate::Ratio(ratio)) => {
                    found.quantity(&ratio.numerator, &format!("{path}.rate"));
                    found.quantity(&ratio.denominator, &format!("{path}.rate"));
                }
                Some(Rate::Amount(amount)) => found.amount(amount, &format!("{path}.rate")),
                None => {}
            }
        }
        if self.dose().is_none() && self.dose_and_rate.iter().all(|d| d.rate.is_none()) {
            found.warn("no_dose", "doseAndRate", "states no dose");
        }
        self.maxima(&mut found);
        match &self.timing {
            Some(stated) => timing(&mut found, stated, needed),
            None if !needed => found.warn("no_timing", "timing", "does not say when it is given"),
            None => {}
        }
        if needed && self.max_dose_per_period.is_none() {
            let text = "is missing: state the most in 24 hours of a medicine given when needed";
            found.warn("no_maximum", "maxDosePerPeriod", text);
        }
        if self.as_needed == AsNeeded::Flag(true) {
            found.warn(
                "no_reason",
                "asNeeded",
                "does not say what it is needed for",
            );
        }
        if self.sequence.is_some_and(|sequence| sequence < 1) {
            found.error(
                "not_positive",
                "sequence",
                "is not above zero: count from 1",
            );
        }
        found.0
    }

    fn maxima(&self, found: &mut Found) {
        if let Some(most) = &self.max_dose_per_period {
            found.quantity(&most.numerator, "maxDosePerPeriod.numerator");
            length(found, &most.denominator, "maxDosePerPeriod.denominator");
        }
        if let Some(most) = &self.max_dose_per_administration {
            found.quantity(most, "maxDosePerAdministration");
        }
        if let Some(most) = &self.max_dose_per_lifetime {
            found.quantity(most, "maxDosePerLifetime");
        }
        let Some(dose) = self.dose().and_then(|d| d.most().or_else(|| d.least())) else {
            return;
        };
        if let Some(most) = &self.max_dose_per_administration {
            found.not_above(dose, most, "maxDosePerAdministration");
        }
        if let Some(most) = &self.max_dose_per_period {
            found.not_above(dose, &most.numerator, "maxDosePerPeriod");
        }
        if let Some(most) = &self.max_dose_per_lifetime {
            found.not_above(dose, most, "maxDosePerLifetime");
        }
    }
}
