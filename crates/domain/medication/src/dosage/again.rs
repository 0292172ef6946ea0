//! The fields of a dosage that is on the record, as they would be typed: an order that is changed begins with
//! what it says. Must not drop anything in silence: what the fields have no place for is named.

use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::entered::{Entered, MOMENTS, ROUTES, Step, UNITS};
use super::{Amount, Bounds, Dosage, Ratio, Repeat, TimeUnit};
use crate::quantity::{Quantity, Unit};

/// Dosages as they would be typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// The fields.
    pub entered: Entered,
    /// What the fields have no place for, in words.
    pub left: Vec<String>,
}

/// The days that matter.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// When the order was written.
    pub written: Option<Date>,
    /// Today: what began before goes on, and what ends before ended.
    pub today: Date,
}

impl Again {
    /// The fields of dosages; a first day that is over is left out, as the new order begins now.
    #[must_use]
    pub fn of(dosages: &[Dosage], days: Days) -> Self {
        let mut own = Self::default();
        let several = dosages.len() > 1;
        for dosage in dosages {
            let step = own.step(dosage, several, days);
            own.entered.steps.push(step);
        }
        if several {
            own.leave("which of its steps are over: the steps begin anew");
        }
        if let Some(first) = dosages.first() {
            own.whole(first);
        }
        let parts = |own: &Dosage| {
            let need = own.as_needed.clone();
            (need, own.route.clone(), own.patient_instruction.clone())
        };
        if dosages
            .windows(2)
            .any(|two| matches!(two, [a, b] if parts(a) != parts(b)))
        {
            own.leave("what is said of one step alone");
        }
        own
    }

    fn leave(&mut self, what: &str) {
        if !self.left.iter().any(|own| own == what) {
            self.left.push(what.to_owned());
        }
    }

    /// What is said once for all steps.
    fn whole(&mut self, dosage: &Dosage) {
        let route = dosage.route.as_ref();
        let known = ROUTES.iter().find(|(code, name)| {
            route.is_some_and(|own| {
                let said = own.words().unwrap_or_default();
                own.code_in("http://snomed.info/sct") == Some(code)
                    || said.eq_ignore_ascii_case(name)
            })
        });
        match known {
            Some((code, _)) => (*code).clone_into(&mut self.entered.route),
            None if route.is_some() => self.leave("the route"),
            None => {}
        }
        self.entered.needed = dosage.as_needed.is_needed();
        if let super::AsNeeded::For(need) = &dosage.as_needed {
            need.words()
                .unwrap_or_default()
                .clone_into(&mut self.entered.need);
        }
        let said = dosage.patient_instruction.as_deref().unwrap_or_default();
        said.clone_into(&mut self.entered.instruction);
        if let Some(limit) = &dosage.max_dose_per_period {
            let unit = self
                .entered
                .steps
                .first()
                .map_or("", |own| own.unit.as_str());
            match in_a_day(limit, unit) {
                Some(most) => self.entered.max = most,
                None => self.leave("the most in a time"),
            }
        }
    }

    fn step(&mut self, dosage: &Dosage, several: bool, days: Days) -> Step {
        let mut step = Step::default();
        self.amount(dosage, &mut step);
        self.strange(dosage);
        let Some(timing) = &dosage.timing else {
            return step;
        };
        if !timing.event.is_empty() {
            self.leave("the moments that are named");
        }
        if !timing.rest.is_empty() {
            self.leave("a part of its timing");
        }
        let Some(rule) = timing.rule() else {
            return step;
        };
        if let Some(bounds) = &rule.bounds {
            self.bounds(bounds, several, days, &mut step);
        }
        if !when(&rule, &mut step) {
            self.leave("when it is given");
        }
        step
    }

    /// How much at once.
    fn amount(&mut self, dosage: &Dosage, step: &mut Step) {
        let of = |own: &Quantity| own.value.value().normalize().to_string();
        let unit = match dosage.dose() {
            Some(Amount::Exact(own)) => {
                step.dose = of(own);
                Some(&own.unit)
            }
            Some(Amount::Range {
                low: Some(low),
                high: Some(high),
            }) if low.unit == high.unit => {
                step.dose = of(low);
                step.most = of(high);
                Some(&low.unit)
            }
            Some(Amount::Range { .. }) => {
                self.leave("how much is given");
                None
            }
            None => None,
        };
        let known = unit.map(|own| unit_of(own).ok_or(own.name().to_owned()));
        match known {
            Some(Ok(code)) => code.clone_into(&mut step.unit),
            Some(Err(name)) => self.leave(&format!("the unit {name}")),
            None => {}
        }
    }

    /// What no field is for.
    fn strange(&mut self, dosage: &Dosage) {
        let rated = dosage.dose_and_rate.iter().any(|own| own.rate.is_some());
        let more = dosage.dose_and_rate.len() > 1;
        for (there, what) in [
            (rated, "how fast it runs"),
            (more, "a second way to state the dose"),
            (dosage.site.is_some(), "where on the body"),
            (dosage.method.is_some(), "how it is given"),
            (
                !dosage.additional_instruction.is_empty(),
                "further instructions",
            ),
            (
                dosage.max_dose_per_administration.is_some(),
                "the most at once",
            ),
            (dosage.max_dose_per_lifetime.is_some(), "the most in a life"),
            (!dosage.rest.is_empty(), "a part of its dosage"),
        ] {
            if there {
                self.leave(what);
            }
        }
    }

    fn bounds(&mut self, bounds: &Bounds, several: bool, days: Days, step: &mut Step) {
        match bounds {
            Bounds::Period { start, end, .. } => {
                let from = start.as_ref().map(|own| own.day);
                let to = end.as_ref().map(|own| own.day);
                let ahead = from.filter(|own| *own > days.today);
                if self.entered.steps.is_empty() {
                    self.entered.start = ahead;
                }
                if let (true, Some(from), Some(to)) = (several, from, to) {
                    step.length = (length(from, to) + 1).to_string();
                } else {
                    self.entered.until = to;
                }
            }
            Bounds::Duration(long) => match (whole_days(long), days.written) {
                (Some(long), _) if several => step.length = long.to_string(),
                // It goes on until the day on which it would have ended.
                (Some(long), Some(written)) => {
                    let last = jiff::Span::new().try_days(long - 1);
                    let last = last.and_then(|own| written.checked_add(own));
                    self.entered.until = last.ok();
                }
                _ => self.leave("for how long it is given"),
            },
            Bounds::Range { .. } => self.leave("for how long it is given"),
        }
    }
}

fn length(from: Date, to: Date) -> i64 {
    from.until(to).map_or(0, |own| i64::from(own.get_days()))
}

/// Whole days or weeks as days.
fn whole_days(long: &Quantity) -> Option<i64> {
    let times = match long.unit.code.as_deref().or(long.unit.display.as_deref())? {
        "d" | "day" | "days" => 1,
        "wk" | "week" | "weeks" => 7,
        _ => return None,
    };
    whole(long.value.value()).map(|own| own * times)
}

fn whole(value: Decimal) -> Option<i64> {
    value
        .is_integer()
        .then(|| value.to_i64())
        .flatten()
        .filter(|own| *own > 0)
}

/// The code of a unit that may be typed.
fn unit_of(own: &Unit) -> Option<&'static str> {
    let name = own.name();
    let same = |(code, plural): &&(&'static str, &'static str)| {
        let single = code.trim_matches(['{', '}']);
        own.ucum_code() == Some(*code) || name == *plural || name == single
    };
    UNITS.iter().find(same).map(|(code, _)| *code)
}

/// The most in 24 hours, in the unit of the dose.
fn in_a_day(limit: &Ratio, unit: &str) -> Option<String> {
    let per = &limit.denominator;
    let code = per.unit.ucum_code().or(per.unit.display.as_deref())?;
    let day = match code {
        "d" | "day" => Decimal::ONE,
        "h" | "hour" | "hours" => Decimal::from(24),
        _ => return None,
    };
    let same = per.value.value() == day && unit_of(&limit.numerator.unit)? == unit;
    same.then(|| limit.numerator.value.value().normalize().to_string())
}

/// When it is given; `false` where the fields cannot say it.
fn when(rule: &Repeat, step: &mut Step) -> bool {
    let plain = rule.count_max.is_none()
        && rule.duration.is_none()
        && rule.frequency_max.is_none()
        && rule.period_max.is_none()
        && rule.offset.is_none()
        && rule.cycle.is_none()
        && rule.rest.is_empty();
    let clocks = rule.time_of_day.iter();
    let clocks: Vec<String> = clocks
        .map(|own| own.strftime("%H:%M").to_string())
        .collect();
    let seconds = rule.time_of_day.iter().any(|own| own.second() != 0);
    let period = rule.period.as_ref().and_then(|own| whole(own.value()));
    let each = |unit: TimeUnit| rule.period_unit == Some(unit) && period == Some(1);
    // Without a period, clock times, days and events come round every day or week.
    let daily = rule.period.is_none() && rule.frequency.is_none() || each(TimeUnit::Day);
    let weekly = rule.period.is_none() && rule.frequency.is_none() || each(TimeUnit::Week);
    step.times = clocks.join(", ");
    let how = if !plain || seconds {
        None
    } else if rule.count == Some(1) && rule.frequency.is_none() && rule.when.is_empty() {
        rule.day_of_week.is_empty().then_some("once")
    } else if rule.count.is_some() {
        None
    } else if !rule.when.is_empty() {
        let codes: Vec<String> = rule.when.iter().map(|own| own.code().to_owned()).collect();
        let known = |own: &String| MOMENTS.iter().any(|(code, _)| code == own);
        let fits = daily && clocks.is_empty() && rule.day_of_week.is_empty();
        let fits = fits && rule.frequency.is_none_or(|own| own == 1) && codes.iter().all(known);
        step.moments = codes;
        fits.then_some("moments")
    } else if !rule.day_of_week.is_empty() {
        let days = rule.day_of_week.iter();
        step.days = days.map(|own| own.code().to_owned()).collect();
        let often = rule.day_of_week.len() * clocks.len().max(1);
        let fits = weekly && rule.frequency.is_none_or(|own| own == often as i64);
        fits.then_some("week")
    } else if !clocks.is_empty() {
        let fits = daily && rule.frequency.is_none_or(|own| own == clocks.len() as i64);
        fits.then_some("times")
    } else {
        often(rule, period, step)
    };
    if how.is_none() {
        *step = Step {
            dose: std::mem::take(&mut step.dose),
            most: std::mem::take(&mut step.most),
            unit: std::mem::take(&mut step.unit),
            length: std::mem::take(&mut step.length),
            ..Step::default()
        };
    }
    how.unwrap_or_default().clone_into(&mut step.how);
    how.is_some()
}

/// So many times a day, or every so many hours.
fn often(rule: &Repeat, period: Option<i64>, step: &mut Step) -> Option<&'static str> {
    let (number, how) = match (rule.frequency, period, rule.period_unit) {
        (Some(times), Some(1), Some(TimeUnit::Day)) => (times, "daily"),
        (None | Some(1), Some(hours), Some(TimeUnit::Hour)) => (hours, "hours"),
        (None, None, None) => return Some(""),
        _ => return None,
    };
    step.number = number.to_string();
    Some(how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dosage::regimen;

    fn read(text: &str) -> Dosage {
        let document =
            fhir::json::Document::parse(text.as_bytes().to_vec(), &fhir::json::Limits::default());
        Dosage::read(document.unwrap().root()).unwrap()
    }

    fn days() -> Days {
        Days {
            written: Some("2026-03-01".parse().unwrap()),
            today: "2026-03-05".parse().unwrap(),
        }
    }

    const TABLET: &str = r#""doseAndRate":[{"doseQuantity":{"value":2.0,"unit":"tablet"}}],"route":{"coding":[{"system":"http://snomed.info/sct","code":"26643006"}]}"#;

    #[test]
    fn what_can_be_typed_is_typed_again() {
        for (timing, said) in [
            (
                r#"{"frequency":3,"period":1,"periodUnit":"d"}"#,
                "2 tablets by mouth 3 times a day.",
            ),
            (
                r#"{"frequency":1,"period":6,"periodUnit":"h"}"#,
                "2 tablets by mouth every 6 hours.",
            ),
            (
                r#"{"timeOfDay":["08:00:00","20:00:00"]}"#,
                "2 tablets by mouth twice a day at 08:00 and 20:00.",
            ),
            (
                r#"{"when":["HS"],"frequency":1,"period":1,"periodUnit":"d"}"#,
                "2 tablets by mouth once a day before sleep.",
            ),
            (
                r#"{"dayOfWeek":["mon","thu"],"timeOfDay":["08:00:00"]}"#,
                "2 tablets by mouth twice a week at 08:00 on Monday and Thursday.",
            ),
            (r#"{"count":1}"#, "2 tablets by mouth once only."),
            // The first day is over, the last one is not.
            (
                r#"{"frequency":1,"period":1,"periodUnit":"d","boundsPeriod":{"start":"2026-03-01","end":"2026-03-09"}}"#,
                "2 tablets by mouth once a day until 09-Mar-2026.",
            ),
            // Seven days from the day on which it was written.
            (
                r#"{"frequency":1,"period":1,"periodUnit":"d","boundsDuration":{"value":7,"code":"d","system":"http://unitsofmeasure.org","unit":"d"}}"#,
                "2 tablets by mouth once a day until 07-Mar-2026.",
            ),
        ] {
            let dosage = read(&format!(r#"{{"timing":{{"repeat":{timing}}},{TABLET}}}"#));
            let again = Again::of(&[dosage], days());
            assert_eq!(again.left, Vec::<String>::new(), "{timing}");
            let dosages = again.entered.dosages().unwrap();
            assert_eq!(regimen(&dosages).text, said, "{timing}");
            // Typed again it stays what it is.
            assert_eq!(Again::of(&dosages, days()).entered, again.entered);
        }
    }

    #[test]
    fn when_needed_comes_with_reason_and_maximum() {
        let dosage = read(&format!(
            r#"{{"asNeededCodeableConcept":{{"text":"pain"}},"patientInstruction":"With water",
            "timing":{{"repeat":{{"frequency":1,"period":4,"periodUnit":"h"}}}},
            "maxDosePerPeriod":{{"numerator":{{"value":8,"unit":"tablets"}},"denominator":{{"value":1,"system":"http://unitsofmeasure.org","code":"d"}}}},{TABLET}}}"#
        ));
        let again = Again::of(&[dosage], days());
        assert_eq!(again.left, Vec::<String>::new());
        let own = &again.entered;
        assert_eq!(
            (own.needed, own.need.as_str(), own.max.as_str()),
            (true, "pain", "8")
        );
        assert_eq!(own.instruction, "With water");
        assert_eq!(
            (own.steps[0].dose.as_str(), own.steps[0].unit.as_str()),
            ("2", "{tablet}")
        );
    }

    #[test]
    fn what_no_field_is_for_is_named() {
        for (dosage, left) in [
            (
                r#"{"site":{"text":"left arm"},"timing":{"repeat":{"frequency":1,"period":1,"periodUnit":"d"}}}"#,
                "where on the body",
            ),
            (
                r#"{"timing":{"repeat":{"frequency":1,"frequencyMax":3,"period":1,"periodUnit":"d"}}}"#,
                "when it is given",
            ),
            (
                r#"{"timing":{"repeat":{"frequency":1,"period":2,"periodUnit":"wk"}}}"#,
                "when it is given",
            ),
            (
                r#"{"timing":{"repeat":{"when":["WAKE"]}}}"#,
                "when it is given",
            ),
            (
                r#"{"timing":{"event":["2026-03-05T08:00:00Z"]}}"#,
                "the moments that are named",
            ),
            (
                r#"{"doseAndRate":[{"doseQuantity":{"value":1,"unit":"spoon"}}]}"#,
                "the unit spoon",
            ),
            (r#"{"route":{"text":"by tube"}}"#, "the route"),
            (
                r#"{"maxDosePerLifetime":{"value":9,"unit":"tablet"}}"#,
                "the most in a life",
            ),
        ] {
            let again = Again::of(&[read(dosage)], days());
            assert_eq!(again.left, [left], "{dosage}");
        }
    }

    #[test]
    fn a_taper_begins_anew_and_says_so() {
        let step = |dose: u32, bounds: &str| {
            read(&format!(
                r#"{{"sequence":{dose},"timing":{{"repeat":{{"frequency":1,"period":1,"periodUnit":"d"{bounds}}}}},
                "doseAndRate":[{{"doseQuantity":{{"value":{dose},"unit":"tablet"}}}}],"route":{{"text":"Oral"}}}}"#
            ))
        };
        let five =
            r#","boundsDuration":{"value":5,"code":"d","system":"http://unitsofmeasure.org"}"#;
        let again = Again::of(&[step(6, five), step(4, "")], days());
        assert_eq!(
            again.left,
            ["which of its steps are over: the steps begin anew"]
        );
        let own = again.entered;
        assert_eq!(
            (own.steps[0].length.as_str(), own.steps[1].dose.as_str()),
            ("5", "4")
        );
        assert!(own.dosages().is_ok());
    }
}
