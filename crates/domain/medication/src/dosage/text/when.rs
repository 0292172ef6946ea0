//! The timing in words. Must not say a time that the structure does not.

use jiff::civil::{Date, Time};
use kernel::WrittenDecimal;
use rust_decimal::Decimal;

use super::{amount, list};
use crate::dosage::Dosage;
use crate::dosage::timing::{Bounds, EventTime, Moment, Repeat, TimeUnit};
use crate::quantity::Quantity;

fn day(date: Date) -> String {
    date.strftime("%d-%b-%Y").to_string()
}

fn clock(time: Time) -> String {
    if time.second() == 0 {
        time.strftime("%H:%M").to_string()
    } else {
        time.strftime("%H:%M:%S").to_string()
    }
}

/// The day, and the clock time as it was written, with its offset: in summer 08:00 of UTC is not 08:00 of
/// the ward.
fn moment(moment: &Moment) -> String {
    let Some(time) = moment.text.get(11..16) else {
        return day(moment.day);
    };
    let offset = match moment.text.rfind(['+', '-']).filter(|at| *at > 10) {
        Some(at) => moment.text.get(at..).unwrap_or_default(),
        None => "UTC",
    };
    format!("{} {time} {offset}", day(moment.day))
}

fn event(when: EventTime) -> &'static str {
    match when {
        EventTime::Morning => "in the morning",
        EventTime::EarlyMorning => "early in the morning",
        EventTime::LateMorning => "late in the morning",
        EventTime::Noon => "at noon",
        EventTime::Afternoon => "in the afternoon",
        EventTime::EarlyAfternoon => "early in the afternoon",
        EventTime::LateAfternoon => "late in the afternoon",
        EventTime::Evening => "in the evening",
        EventTime::EarlyEvening => "early in the evening",
        EventTime::LateEvening => "late in the evening",
        EventTime::Night => "at night",
        EventTime::AfterSleep => "after falling asleep",
        EventTime::BeforeSleep => "before sleep",
        EventTime::Waking => "on waking",
        EventTime::Meal => "with each meal",
        EventTime::Breakfast => "with breakfast",
        EventTime::Lunch => "with lunch",
        EventTime::Dinner => "with the evening meal",
        EventTime::BeforeMeal => "before each meal",
        EventTime::BeforeBreakfast => "before breakfast",
        EventTime::BeforeLunch => "before lunch",
        EventTime::BeforeDinner => "before the evening meal",
        EventTime::AfterMeal => "after each meal",
        EventTime::AfterBreakfast => "after breakfast",
        EventTime::AfterLunch => "after lunch",
        EventTime::AfterDinner => "after the evening meal",
    }
}

fn minutes(minutes: i64) -> String {
    let (hours, rest) = (minutes / 60, minutes % 60);
    let part = |n: i64, name: &str| match n {
        1 => format!("1 {name}"),
        _ => format!("{n} {name}s"),
    };
    match (hours, rest) {
        (0, rest) => part(rest, "minute"),
        (hours, 0) => part(hours, "hour"),
        (hours, rest) => format!("{} {}", part(hours, "hour"), part(rest, "minute")),
    }
}

fn offset_event(when: EventTime, offset: Option<i64>) -> String {
    let phrase = event(when);
    let Some(offset) = offset.filter(|offset| *offset != 0) else {
        return phrase.to_owned();
    };
    let time = minutes(offset);
    if when.side() < 0 || phrase.starts_with("after ") {
        return format!("{time} {phrase}");
    }
    let named = phrase
        .trim_start_matches("in the ")
        .trim_start_matches("at ")
        .trim_start_matches("on ");
    format!("{time} after {named}")
}

fn times(from: i64, to: Option<i64>) -> String {
    match (from, to) {
        (low, Some(high)) if high != low => format!("{low} to {high} times"),
        (1, _) => "once".to_owned(),
        (2, _) => "twice".to_owned(),
        (n, _) => format!("{} times", amount::number(Decimal::from(n))),
    }
}

/// `6 hours`, `4 to 6 hours`, `week`
fn length(low: Option<&WrittenDecimal>, high: Option<&WrittenDecimal>, unit: TimeUnit) -> String {
    let low = low.map(WrittenDecimal::value);
    let high = high
        .map(WrittenDecimal::value)
        .filter(|high| Some(*high) != low);
    let name = unit.name();
    match (low, high) {
        (Some(low), Some(high)) => {
            format!(
                "{} to {} {name}s",
                amount::number(low),
                amount::number(high)
            )
        }
        (Some(one), None) | (None, Some(one)) if one == Decimal::ONE => format!("1 {name}"),
        (Some(n), None) | (None, Some(n)) => format!("{} {name}s", amount::number(n)),
        (None, None) => format!("1 {name}"),
    }
}

fn every(length: &str) -> String {
    format!("every {}", length.strip_prefix("1 ").unwrap_or(length))
}

/// How often; the clock is said apart.
fn frequency(repeat: &Repeat, needed: bool) -> Option<String> {
    let unit = repeat.period_unit?;
    let spelt = length(repeat.period.as_ref(), repeat.period_max.as_ref(), unit);
    let one = spelt.starts_with("1 ");
    let (low, high) = match (repeat.frequency, repeat.frequency_max) {
        (None, Some(high)) => {
            let often = times(high, None);
            return Some(if one {
                format!("up to {often} a {}", unit.name())
            } else {
                format!("up to {often} {}", every(&spelt))
            });
        }
        (low, high) => (low.unwrap_or(1), high),
    };
    let single = low == 1 && high.is_none_or(|high| high == 1);
    let clocked = unit.seconds().is_some();
    if single && (clocked || !one) {
        return Some(every(&spelt));
    }
    let often = times(low, high);
    let up_to = if needed && !single { "up to " } else { "" };
    Some(if one {
        let article = if unit == TimeUnit::Hour { "an" } else { "a" };
        format!("{up_to}{often} {article} {}", unit.name())
    } else {
        format!("{up_to}{often} {}", every(&spelt))
    })
}

fn rule(repeat: &Repeat, needed: bool) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(unit) = repeat.duration_unit {
        let long = length(repeat.duration.as_ref(), repeat.duration_max.as_ref(), unit);
        said.push(format!("over {long}"));
    }
    let often = frequency(repeat, needed);
    let clocked = !repeat.time_of_day.is_empty() || !repeat.when.is_empty();
    match often {
        Some(often) => said.push(often),
        None if clocked && repeat.day_of_week.is_empty() && repeat.count != Some(1) => {
            said.push("every day".to_owned());
        }
        None => {}
    }
    if !repeat.time_of_day.is_empty() {
        let clocks: Vec<String> = repeat.time_of_day.iter().copied().map(clock).collect();
        said.push(format!("at {}", list(&clocks)));
    }
    if !repeat.when.is_empty() {
        let events = repeat.when.iter();
        let events: Vec<String> = events.map(|w| offset_event(*w, repeat.offset)).collect();
        said.push(list(&events));
    }
    if !repeat.day_of_week.is_empty() {
        let days = repeat.day_of_week.iter().map(|d| d.name().to_owned());
        said.push(format!("on {}", list(&days.collect::<Vec<_>>())));
    }
    said
}

/// How often, at what times and on which days.
pub(super) fn phrases(dosage: &Dosage) -> Vec<String> {
    let Some(timing) = &dosage.timing else {
        return Vec::new();
    };
    let mut said = Vec::new();
    if let Some(repeat) = timing.rule() {
        said.extend(rule(&repeat, dosage.as_needed.is_needed()));
        if said.is_empty() && repeat.count == Some(1) {
            said.push("once only".to_owned());
        }
    }
    if !timing.event.is_empty() {
        let moments: Vec<String> = timing.event.iter().map(moment).collect();
        said.push(format!("on {}", list(&moments)));
    }
    said
}

fn long(low: Option<&Quantity>, high: Option<&Quantity>) -> String {
    let range = crate::dosage::Amount::Range {
        low: low.cloned(),
        high: high.cloned(),
    };
    amount::amount(&range)
}

fn bounds(bounds: &Bounds) -> Option<String> {
    Some(match bounds {
        Bounds::Duration(stated) => format!("for {}", amount::quantity(stated)),
        Bounds::Range { low, high } => format!("for {}", long(low.as_ref(), high.as_ref())),
        Bounds::Period { start, end, .. } => match (start, end) {
            (Some(start), Some(end)) => format!("from {} until {}", moment(start), moment(end)),
            (Some(start), None) => format!("from {}", moment(start)),
            (None, Some(end)) => format!("until {}", moment(end)),
            (None, None) => return None,
        },
    })
}

/// For how long.
pub(super) fn course(dosage: &Dosage) -> Vec<String> {
    let Some(repeat) = dosage.timing.as_ref().and_then(crate::dosage::Timing::rule) else {
        return Vec::new();
    };
    let mut said = Vec::new();
    if let Some(cycle) = repeat.cycle {
        let days = |n: u32| {
            if n == 1 {
                "1 day".to_owned()
            } else {
                format!("{n} days")
            }
        };
        let (on, off) = (days(cycle.on), days(cycle.off));
        said.push(format!("in cycles of {on} with and {off} without"));
    }
    said.extend(repeat.bounds.as_ref().and_then(bounds));
    let doses = |n: i64| {
        if n == 1 {
            "1 dose".to_owned()
        } else {
            format!("{n} doses")
        }
    };
    match (repeat.count, repeat.count_max) {
        (Some(1), None) if repeat.period.is_none() && repeat.period_unit.is_none() => {
            if !repeat.time_of_day.is_empty() || !repeat.when.is_empty() {
                said.push("once only".to_owned());
            }
        }
        (Some(n), None) => said.push(format!("for {} in all", doses(n))),
        (Some(low), Some(high)) => said.push(format!("for {low} to {} in all", doses(high))),
        (None, Some(high)) => said.push(format!("for at most {} in all", doses(high))),
        (None, None) => {}
    }
    said
}
