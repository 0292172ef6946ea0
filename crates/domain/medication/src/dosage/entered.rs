//! A Dosage from what a prescriber typed, field by field. What can be misread is refused in words: trailing
//! zeros, a point without a zero before it, commas, units inside an amount, parts of a milligram. Must not
//! repair what was typed: the prescriber does.

use jiff::civil::{Date, Time};
use kernel::WrittenDecimal;
use rust_decimal::Decimal;

use super::timing::{Bounds, Moment, Repeat, TimeUnit, Timing, Weekday};
use super::{Amount, AsNeeded, Concept, Dosage, DoseAndRate, EventTime, Ratio, Rest, Weight};
use crate::quantity::{Quantity, UCUM, Unit};

/// Units a dose may be typed in: UCUM code, what people read.
pub const UNITS: [(&str, &str); 17] = [
    ("{tablet}", "tablets"),
    ("{capsule}", "capsules"),
    ("mg", "mg"),
    ("ug", "micrograms"),
    ("g", "g"),
    ("mL", "mL"),
    ("[iU]", "units"),
    ("{puff}", "puffs"),
    ("{drop}", "drops"),
    ("{patch}", "patches"),
    ("{sachet}", "sachets"),
    ("{suppository}", "suppositories"),
    ("{pessary}", "pessaries"),
    ("{spray}", "sprays"),
    ("{application}", "applications"),
    ("{injection}", "injections"),
    ("mmol", "mmol"),
];

/// Routes a medicine may be prescribed by: SNOMED CT code, what people read.
pub const ROUTES: [(&str, &str); 14] = [
    ("26643006", "Oral"),
    ("37839007", "Sublingual"),
    ("54471007", "Buccal"),
    ("18679011000001101", "Inhalation"),
    ("34206005", "Subcutaneous"),
    ("78421000", "Intramuscular"),
    ("47625008", "Intravenous"),
    ("45890007", "Transdermal"),
    ("6064005", "Topical"),
    ("54485002", "Ophthalmic"),
    ("46713006", "Nasal"),
    ("10547007", "Auricular"),
    ("37161004", "Rectal"),
    ("16857009", "Vaginal"),
];

/// Ways to say when: code, what people read.
pub const HOWS: [(&str, &str); 6] = [
    ("daily", "a number of times a day"),
    ("times", "at clock times every day"),
    ("moments", "at times of the day: morning, bedtime, meals"),
    ("hours", "every so many hours"),
    ("week", "on days of the week"),
    ("once", "once only"),
];

/// Times of the day that may be chosen: code, what people read.
pub const MOMENTS: [(&str, &str); 10] = [
    ("MORN", "Morning"),
    ("NOON", "Noon"),
    ("EVE", "Evening"),
    ("NIGHT", "Night"),
    ("HS", "Bedtime"),
    ("AC", "Before meals"),
    ("C", "With meals"),
    ("PC", "After meals"),
    ("CM", "With breakfast"),
    ("CV", "With dinner"),
];

const SNOMED: &str = "http://snomed.info/sct";

/// One step as typed: a plain order has one, a taper several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// How much.
    pub dose: String,
    /// At most how much, where the giver decides.
    pub most: String,
    /// A code of [`UNITS`].
    pub unit: String,
    /// A code of [`HOWS`].
    pub how: String,
    /// How many times a day, or every how many hours.
    pub number: String,
    /// Clock times, such as `08:00, 20:00`.
    pub times: String,
    /// Codes of [`MOMENTS`].
    pub moments: Vec<String>,
    /// Codes of days of the week.
    pub days: Vec<String>,
    /// For how many days.
    pub length: String,
}

/// A whole dosage as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entered {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// A code of [`ROUTES`].
    pub route: String,
    /// Whether it is given when needed only.
    pub needed: bool,
    /// What it is needed for.
    pub need: String,
    /// The most in 24 hours, in the unit of the first step.
    pub max: String,
    /// From which day; today where there is none.
    pub start: Option<Date>,
    /// The last day.
    pub until: Option<Date>,
    /// Words for the patient.
    pub instruction: String,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The field: `dose-1`, `route`.
    pub field: String,
    /// What is wrong and what would be right.
    pub text: String,
}

fn wrong<T>(field: &str, text: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        field: field.to_owned(),
        text: text.into(),
    })
}

/// An amount as typed.
///
/// # Errors
/// What is no amount above zero, and what is easily misread.
pub fn amount(field: &str, typed: &str) -> Result<WrittenDecimal, Wrong> {
    let typed = typed.trim();
    if typed.is_empty() {
        return wrong(field, "state how much");
    }
    if typed.starts_with('-') {
        return wrong(
            field,
            format!("{typed} is below zero: state the amount given"),
        );
    }
    if typed.contains(',') {
        let text = format!(
            "{typed} has a comma, which some read as a point and some as thousands: write 0.5 or 1000"
        );
        return wrong(field, text);
    }
    if typed.chars().any(|c| c.is_alphabetic() || c == '/') {
        let text = format!("{typed} is no plain number: write the number here and choose the unit");
        return wrong(field, text);
    }
    if let Some(digits) = typed.strip_prefix('.') {
        let text = format!("{typed} is misread as {digits}: write 0{typed}");
        return wrong(field, text);
    }
    if let Some((whole, parts)) = typed.split_once('.') {
        let kept = parts.trim_end_matches('0');
        if parts.ends_with('0') || parts.is_empty() {
            let right = if kept.is_empty() {
                whole.to_owned()
            } else {
                format!("{whole}.{kept}")
            };
            let read = typed.replace('.', "");
            return wrong(
                field,
                format!("{typed} is misread as {read}: write {right}"),
            );
        }
    }
    if typed.starts_with('0') && typed.len() > 1 && !typed.starts_with("0.") {
        return wrong(field, format!("{typed} begins with a zero: leave it out"));
    }
    match typed.parse::<WrittenDecimal>() {
        Ok(value) if value.value() > Decimal::ZERO => Ok(value),
        Ok(_) => wrong(
            field,
            format!("{typed} is not above zero: state the amount given"),
        ),
        Err(_) => wrong(
            field,
            format!("{typed} is no number: write it like 500 or 2.5"),
        ),
    }
}

fn unit(field: &str, code: &str) -> Result<Unit, Wrong> {
    let Some((code, name)) = UNITS.iter().find(|(own, _)| *own == code) else {
        return wrong(field, "choose the unit of the dose");
    };
    // Counted things are named in the singular, as products name them.
    let display = code.trim_matches(['{', '}']);
    let counted = code.starts_with('{');
    Ok(Unit {
        display: Some((if counted { display } else { name }).to_owned()),
        system: Some(UCUM.to_owned()),
        code: Some((*code).to_owned()),
    })
}

/// A number of times, hours or days.
fn count(field: &str, typed: &str, (least, most): (i64, i64), what: &str) -> Result<i64, Wrong> {
    match typed.trim().parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => wrong(
            field,
            format!("state {what} as a whole number from {least} to {most}"),
        ),
    }
}

fn clock_times(field: &str, typed: &str) -> Result<Vec<Time>, Wrong> {
    let parts = typed.split([',', ';', ' ']).map(str::trim);
    let mut times = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let read = part
            .split_once(':')
            .filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)
            .and_then(|(hour, minute)| {
                Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
            });
        match read {
            Some(time) if times.contains(&time) => {
                return wrong(field, format!("{part} is named twice: leave one out"));
            }
            Some(time) => times.push(time),
            None => {
                let text = format!("{part} is no clock time of 24 hours: write it like 08:00");
                return wrong(field, text);
            }
        }
    }
    if times.is_empty() {
        return wrong(field, "state the clock times, such as 08:00, 20:00");
    }
    times.sort();
    Ok(times)
}

fn per(frequency: i64, period: i64, unit: TimeUnit) -> Repeat {
    Repeat {
        frequency: Some(frequency),
        period: Some(Decimal::from(period).into()),
        period_unit: Some(unit),
        ..Repeat::default()
    }
}

/// The chosen times of the day.
fn moments(field: &str, step: &Step) -> Result<Repeat, Wrong> {
    let codes = step.moments.iter();
    let when: Vec<EventTime> = codes.filter_map(|code| EventTime::of(code)).collect();
    if when.is_empty() {
        return wrong(field, "choose at least one time of the day");
    }
    Ok(Repeat {
        when,
        ..per(1, 1, TimeUnit::Day)
    })
}

/// The chosen days of the week, at clock times where some are typed.
fn weekdays(field: &str, step: &Step, clocks: Vec<Time>) -> Result<Repeat, Wrong> {
    let codes = step.days.iter();
    let days: Vec<Weekday> = codes.filter_map(|code| Weekday::of(code)).collect();
    if days.is_empty() {
        return wrong(field, "choose at least one day of the week");
    }
    let often = days.len() * clocks.len().max(1);
    Ok(Repeat {
        day_of_week: days,
        time_of_day: clocks,
        ..per(often as i64, 1, TimeUnit::Week)
    })
}

/// When a step is due; nothing for one that is given when needed without an interval.
fn repeat(number: usize, step: &Step, needed: bool) -> Result<Option<Repeat>, Wrong> {
    let field = |name: &str| format!("{name}-{number}");
    let times = || clock_times(&field("times"), &step.times);
    let stated = || {
        if step.times.trim().is_empty() {
            Ok(Vec::new())
        } else {
            times()
        }
    };
    let whole = |most: i64, what: &str| count(&field("number"), &step.number, (1, most), what);
    Ok(Some(match step.how.as_str() {
        "" if needed && step.number.trim().is_empty() => return Ok(None),
        "daily" => per(whole(24, "how many times a day")?, 1, TimeUnit::Day),
        "hours" => per(1, whole(168, "every how many hours")?, TimeUnit::Hour),
        "times" => {
            let times = times()?;
            Repeat {
                time_of_day: times.clone(),
                ..per(times.len() as i64, 1, TimeUnit::Day)
            }
        }
        "moments" => moments(&field("moments"), step)?,
        "week" => weekdays(&field("days"), step, stated()?)?,
        "once" => Repeat {
            count: Some(1),
            time_of_day: stated()?,
            ..Repeat::default()
        },
        _ => return wrong(&field("how"), "choose when it is given"),
    }))
}

/// How much at once.
fn dose(number: usize, step: &Step) -> Result<Amount, Wrong> {
    let field = format!("dose-{number}");
    let least = amount(&field, &step.dose)?;
    let unit = unit(&format!("unit-{number}"), &step.unit)?;
    let of = |value: WrittenDecimal| Quantity {
        value,
        unit: unit.clone(),
    };
    if step.most.trim().is_empty() {
        return Ok(Amount::Exact(of(least)));
    }
    let most = amount(&format!("most-{number}"), &step.most)?;
    if most.value() <= least.value() {
        let text = "the most is not above the least: swap them, or leave it out";
        return wrong(&format!("most-{number}"), text);
    }
    Ok(Amount::Range {
        low: Some(of(least)),
        high: Some(of(most)),
    })
}

fn days(length: i64) -> Quantity {
    let mut long = Quantity::ucum(Decimal::from(length), "d");
    long.unit.display = Some("days".to_owned());
    long
}

fn moment(day: Date) -> Option<Moment> {
    Moment::parse(&day.to_string())
}

impl Entered {
    /// For how long a step lasts.
    fn bounds(&self, number: usize, step: &Step) -> Result<Option<Bounds>, Wrong> {
        let field = format!("length-{number}");
        let typed = step.length.trim();
        let last = number == self.steps.len();
        if step.how == "once" {
            if !typed.is_empty() {
                return wrong(&field, "a single dose has no length: leave the days out");
            }
            return Ok(self.period(number, None));
        }
        if typed.is_empty() {
            if !last {
                return wrong(&field, "state for how many days, as another step follows");
            }
            return Ok(self.period(number, self.until));
        }
        if self.until.is_some() {
            let text = "is beside a number of days: state one of the two";
            return wrong("until", format!("the last day {text}"));
        }
        let length = count(&field, typed, (1, 366), "for how many days")?;
        let first = (number == 1).then_some(self.start).flatten();
        let Some(first) = first else {
            return Ok(Some(Bounds::Duration(days(length))));
        };
        let end = first.checked_add(jiff::Span::new().days(length - 1)).ok();
        Ok(self.period(number, end))
    }

    fn period(&self, number: usize, end: Option<Date>) -> Option<Bounds> {
        let start = self.start.filter(|_| number == 1);
        if start.is_none() && end.is_none() {
            return None;
        }
        Some(Bounds::Period {
            start: start.and_then(moment),
            end: end.and_then(moment),
            rest: Rest::default(),
        })
    }

    fn step(&self, number: usize, step: &Step) -> Result<Dosage, Vec<Wrong>> {
        let mut found = Vec::new();
        let mut keep = |result: Result<(), Wrong>| found.extend(result.err());
        let mut dosage = Dosage::default();
        let field = |name: &str| format!("{name}-{number}");
        keep(dose(number, step).map(|dose| {
            dosage.dose_and_rate = vec![DoseAndRate {
                dose: Some(dose),
                ..DoseAndRate::default()
            }];
        }));
        let timed = repeat(number, step, self.needed);
        let bounded = self.bounds(number, step);
        match (timed, bounded) {
            (Ok(None), Ok(None)) => {}
            (Ok(repeat), Ok(bounds)) => {
                let repeat = Repeat {
                    bounds,
                    ..repeat.unwrap_or_default()
                };
                dosage.timing = Some(Timing {
                    repeat: Some(repeat),
                    ..Timing::default()
                });
            }
            (timed, bounded) => {
                keep(timed.map(|_| ()));
                keep(bounded.map(|_| ()));
            }
        }
        if found.is_empty() {
            // What remains is what the parts say together.
            let problems = dosage.problems();
            let misread = ["below_one", "trailing_zero", "exponent", "unit"];
            found.extend(
                problems
                    .into_iter()
                    .filter(|own| own.weight == Weight::Error || misread.contains(&own.code))
                    .map(|own| Wrong {
                        field: field(if own.path.starts_with("timing") {
                            "how"
                        } else {
                            "dose"
                        }),
                        text: format!("it {}", own.text),
                    }),
            );
        }
        if found.is_empty() {
            Ok(dosage)
        } else {
            Err(found)
        }
    }

    /// The dosages that were typed.
    ///
    /// # Errors
    /// Every field that is missing, wrong or easily misread.
    pub fn dosages(&self) -> Result<Vec<Dosage>, Vec<Wrong>> {
        let mut found = Vec::new();
        let route = ROUTES.iter().find(|(code, _)| *code == self.route);
        if route.is_none() {
            found.extend(wrong::<()>("route", "choose the route").err());
        }
        let limit = self
            .limit()
            .map_err(|error| found.push(error))
            .ok()
            .flatten();
        if self.needed && self.need.trim().is_empty() {
            found.extend(wrong::<()>("need", "say what it is needed for").err());
        }
        if let (Some(start), Some(until)) = (self.start, self.until)
            && until < start
        {
            found.extend(
                wrong::<()>("until", "the last day is before the first: correct one").err(),
            );
        }
        let mut dosages = Vec::new();
        for (number, step) in (1..).zip(&self.steps) {
            match self.step(number, step) {
                Ok(dosage) => dosages.push(dosage),
                Err(more) => found.extend(more),
            }
        }
        if !found.is_empty() {
            return Err(found);
        }
        let several = dosages.len() > 1;
        for (number, dosage) in (1..).zip(&mut dosages) {
            dosage.sequence = several.then_some(number);
            dosage.route = route.map(|(code, name)| Concept::of_code(SNOMED, code, name));
            if self.needed {
                dosage.as_needed = AsNeeded::For(Concept::of_text(self.need.trim()));
            }
            dosage.max_dose_per_period.clone_from(&limit);
            let said = self.instruction.trim();
            dosage.patient_instruction = (!said.is_empty()).then(|| said.to_owned());
        }
        let above = dosages.iter().flat_map(Dosage::problems);
        let above = above.filter(|own| own.weight == Weight::Error);
        let above: Vec<Wrong> = above
            .map(|own| Wrong {
                field: "max".to_owned(),
                text: format!("it {}", own.text),
            })
            .collect();
        if above.is_empty() {
            Ok(dosages)
        } else {
            Err(above)
        }
    }

    /// The most in 24 hours.
    fn limit(&self) -> Result<Option<Ratio>, Wrong> {
        if self.max.trim().is_empty() {
            if self.needed {
                return wrong(
                    "max",
                    "state the most in 24 hours of a medicine given when needed",
                );
            }
            return Ok(None);
        }
        let value = amount("max", &self.max)?;
        let code = self.steps.first().map_or("", |step| step.unit.as_str());
        Ok(Some(Ratio {
            numerator: Quantity {
                value,
                unit: unit("unit-1", code)?,
            },
            denominator: Quantity::ucum(Decimal::from(24), "h"),
            rest: Rest::default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(dose: &str, unit: &str, how: &str) -> Step {
        Step {
            dose: dose.to_owned(),
            unit: unit.to_owned(),
            how: how.to_owned(),
            ..Step::default()
        }
    }

    fn entered(steps: Vec<Step>) -> Entered {
        Entered {
            steps,
            route: "26643006".to_owned(),
            ..Entered::default()
        }
    }

    fn said(own: &Entered) -> String {
        let dosages = own.dosages().unwrap();
        crate::dosage::regimen(&dosages).text.replace('\u{a0}', " ")
    }

    fn refused(own: &Entered) -> Vec<(String, String)> {
        let found = own.dosages().unwrap_err();
        found.into_iter().map(|one| (one.field, one.text)).collect()
    }

    #[test]
    fn what_is_easily_misread_is_refused_in_words() {
        for (typed, words) in [
            ("5.0", "misread as 50: write 5"),
            ("2.50", "misread as 250: write 2.5"),
            ("1.", "misread as 1: write 1"),
            (".5", "misread as 5: write 0.5"),
            ("1,5", "has a comma"),
            ("1,000", "has a comma"),
            ("500mg", "choose the unit"),
            ("500 mcg", "choose the unit"),
            ("1/2", "no plain number"),
            ("1e3", "no plain number"),
            ("05", "begins with a zero"),
            ("0", "not above zero"),
            ("0.0", "misread"),
            ("-1", "below zero"),
            ("", "state how much"),
            ("1.2.3", "no number"),
        ] {
            let found = amount("dose-1", typed).unwrap_err();
            assert!(found.text.contains(words), "{typed}: {}", found.text);
        }
        for typed in ["5", "50", "0.5", "2.5", "1000", "0.05"] {
            assert_eq!(amount("dose-1", typed).unwrap().as_str(), typed);
        }
    }

    #[test]
    fn less_than_a_milligram_is_asked_for_in_micrograms() {
        let mut own = entered(vec![step("0.125", "mg", "daily")]);
        own.steps[0].number = "1".to_owned();
        let found = refused(&own);
        assert!(found[0].1.contains("micrograms"), "{found:?}");
        own.steps[0].dose = "125".to_owned();
        own.steps[0].unit = "ug".to_owned();
        assert_eq!(said(&own), "125 micrograms by mouth once a day.");
    }

    #[test]
    fn every_way_to_say_when_has_its_words() {
        let mut daily = step("1", "{tablet}", "daily");
        daily.number = "3".to_owned();
        let mut hours = step("1", "{tablet}", "hours");
        hours.number = "6".to_owned();
        let mut times = step("1", "{tablet}", "times");
        times.times = "20:00, 08:00".to_owned();
        let mut moments = step("1", "{tablet}", "moments");
        moments.moments = vec!["HS".to_owned()];
        let mut week = step("1", "{tablet}", "week");
        week.days = vec!["mon".to_owned(), "thu".to_owned()];
        let once = step("1", "{tablet}", "once");
        let mut range = daily.clone();
        range.most = "2".to_owned();
        for (own, words) in [
            (daily, "1 tablet by mouth 3 times a day."),
            (hours, "1 tablet by mouth every 6 hours."),
            (times, "1 tablet by mouth twice a day at 08:00 and 20:00."),
            (moments, "1 tablet by mouth once a day before sleep."),
            (
                week,
                "1 tablet by mouth twice a week on Monday and Thursday.",
            ),
            (once, "1 tablet by mouth once only."),
            (range, "1 to 2 tablets by mouth 3 times a day."),
        ] {
            assert_eq!(said(&entered(vec![own])), words);
        }
    }

    #[test]
    fn a_taper_states_the_days_of_each_step_but_the_last() {
        let mut first = step("6", "{tablet}", "daily");
        first.number = "1".to_owned();
        let mut second = first.clone();
        second.dose = "4".to_owned();
        let own = entered(vec![first.clone(), second.clone()]);
        assert_eq!(refused(&own)[0].0, "length-1");
        first.length = "5".to_owned();
        let mut own = entered(vec![first, second]);
        let dosages = own.dosages().unwrap();
        assert_eq!(
            dosages.iter().map(|one| one.sequence).collect::<Vec<_>>(),
            [Some(1), Some(2)]
        );
        let words = said(&own);
        assert!(
            words.contains("for 5 days") && words.contains("Then: 4 tablets"),
            "{words}"
        );
        own.start = Some("2026-03-05".parse().unwrap());
        let words = said(&own);
        assert!(
            words.contains("05-Mar-2026") && words.contains("09-Mar-2026"),
            "{words}"
        );
    }

    #[test]
    fn when_needed_wants_a_reason_and_a_maximum() {
        let mut one = step("1", "{tablet}", "hours");
        one.number = "4".to_owned();
        let mut own = entered(vec![one]);
        own.needed = true;
        let fields: Vec<String> = refused(&own).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["max", "need"]);
        own.need = "Pain".to_owned();
        own.max = "8".to_owned();
        assert_eq!(
            said(&own),
            "1 tablet by mouth every 4 hours when needed for pain. Maximum 8 tablets in 24 hours."
        );
        own.steps[0].dose = "9".to_owned();
        let found = refused(&own);
        assert!(found[0].1.contains("less than one dose"), "{found:?}");
    }

    #[test]
    fn contradictions_are_named_at_their_fields() {
        let mut own = entered(vec![step("2", "", "times")]);
        own.steps[0].times = "8am".to_owned();
        own.route = String::new();
        let fields: Vec<String> = refused(&own).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["route", "unit-1", "times-1"]);
        let mut own = entered(vec![step("2", "mg", "daily")]);
        own.steps[0].number = "2".to_owned();
        own.steps[0].most = "1".to_owned();
        assert_eq!(refused(&own)[0].0, "most-1");
        own.steps[0].most = String::new();
        own.steps[0].length = "5".to_owned();
        own.until = Some("2026-03-05".parse().unwrap());
        assert_eq!(refused(&own)[0].0, "until");
        own.steps[0].length = String::new();
        own.start = Some("2026-03-06".parse().unwrap());
        assert_eq!(refused(&own)[0].0, "until");
    }
}
