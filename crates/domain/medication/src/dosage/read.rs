//! Reads a Dosage. Every member is understood, kept as it is, or refused; none is dropped. Must not judge
//! what it reads: see `check`.

use fhir::json::{Kind, Value};
use fhir::print::compact;
use jiff::civil::Time;
use kernel::WrittenDecimal;

use super::timing::{Bounds, Cycle, EventTime, Moment, Repeat, TimeUnit, Timing, Weekday};
use super::{
    Amount, AsNeeded, CYCLE, Coding, Concept, Dosage, DosageError, DoseAndRate, Rate, Ratio, Rest,
};
use crate::quantity::{Quantity, Unit};

type Read<T> = Result<T, DosageError>;

fn refuse<T>(path: &str, what: &'static str) -> Read<T> {
    Err(DosageError {
        path: path.to_owned(),
        what,
    })
}

fn at(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn object(value: Value<'_>, path: &str) -> Read<()> {
    if value.kind() == Kind::Object {
        Ok(())
    } else {
        refuse(path, "is no object")
    }
}

fn text(value: Value<'_>, path: &str) -> Read<String> {
    match value.as_str() {
        Some(text) => Ok(text.into_owned()),
        None => refuse(path, "is no string"),
    }
}

fn integer(value: Value<'_>, path: &str) -> Read<i64> {
    let number = value.number_text().and_then(|text| text.parse().ok());
    number.map_or_else(|| refuse(path, "is no whole number"), Ok)
}

fn decimal(value: Value<'_>, path: &str) -> Read<WrittenDecimal> {
    let number = value.number_text().and_then(|text| text.parse().ok());
    number.map_or_else(|| refuse(path, "is no decimal of at most 28 digits"), Ok)
}

fn list<T>(
    value: Value<'_>,
    path: &str,
    each: impl Fn(Value<'_>, &str) -> Read<T>,
) -> Read<Vec<T>> {
    if value.kind() != Kind::Array {
        return refuse(path, "is no array");
    }
    let numbered = value.items().enumerate();
    numbered
        .map(|(n, item)| each(item, &format!("{path}[{n}]")))
        .collect()
}

fn coded<T>(value: Value<'_>, path: &str, of: impl Fn(&str) -> Option<T>) -> Read<T> {
    match of(&text(value, path)?) {
        Some(code) => Ok(code),
        None => refuse(path, "is no code of its value set"),
    }
}

fn keep(rest: &mut Rest, key: &str, value: Value<'_>) {
    let mut raw = Vec::new();
    compact(value, &mut raw);
    rest.0.push((key.to_owned(), raw));
}

fn coding(value: Value<'_>, path: &str) -> Read<Coding> {
    object(value, path)?;
    let mut read = Coding::default();
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "system" => read.system = Some(text(member, &here)?),
            "code" => read.code = Some(text(member, &here)?),
            "display" => read.display = Some(text(member, &here)?),
            _ => keep(&mut read.rest, &key, member),
        }
    }
    Ok(read)
}

pub(crate) fn concept(value: Value<'_>, path: &str) -> Read<Concept> {
    object(value, path)?;
    let mut read = Concept::default();
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "coding" => read.coding = list(member, &here, coding)?,
            "text" => read.text = Some(text(member, &here)?),
            _ => keep(&mut read.rest, &key, member),
        }
    }
    Ok(read)
}

pub(crate) fn quantity(value: Value<'_>, path: &str) -> Read<Quantity> {
    object(value, path)?;
    let mut amount = None;
    let mut unit = Unit::default();
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "value" => amount = Some(decimal(member, &here)?),
            "unit" => unit.display = Some(text(member, &here)?),
            "system" => unit.system = Some(text(member, &here)?),
            "code" => unit.code = Some(text(member, &here)?),
            "comparator" => {
                return refuse(&here, "no dose is more or less than stated: leave it out");
            }
            _ => return refuse(&here, "has no place in a dose: leave it out"),
        }
    }
    match amount {
        Some(value) => Ok(Quantity { value, unit }),
        None => refuse(path, "has no value"),
    }
}

fn range(value: Value<'_>, path: &str) -> Read<(Option<Quantity>, Option<Quantity>)> {
    object(value, path)?;
    let (mut low, mut high) = (None, None);
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "low" => low = Some(quantity(member, &here)?),
            "high" => high = Some(quantity(member, &here)?),
            _ => return refuse(&here, "has no place in a range: leave it out"),
        }
    }
    if low.is_none() && high.is_none() {
        return refuse(path, "has neither low nor high");
    }
    Ok((low, high))
}

fn amount_range(value: Value<'_>, path: &str) -> Read<Amount> {
    range(value, path).map(|(low, high)| Amount::Range { low, high })
}

fn ratio(value: Value<'_>, path: &str) -> Read<Ratio> {
    object(value, path)?;
    let (mut over, mut under, mut rest) = (None, None, Rest::default());
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "numerator" => over = Some(quantity(member, &here)?),
            "denominator" => under = Some(quantity(member, &here)?),
            _ => keep(&mut rest, &key, member),
        }
    }
    match (over, under) {
        (Some(numerator), Some(denominator)) => Ok(Ratio {
            numerator,
            denominator,
            rest,
        }),
        _ => refuse(path, "needs a numerator and a denominator"),
    }
}

fn once<T>(slot: &mut Option<T>, value: T, path: &str) -> Read<()> {
    if slot.replace(value).is_some() {
        return refuse(path, "is stated twice in different forms: keep one");
    }
    Ok(())
}

fn dose_and_rate(value: Value<'_>, path: &str) -> Read<DoseAndRate> {
    object(value, path)?;
    let mut read = DoseAndRate::default();
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "type" => read.kind = Some(concept(member, &here)?),
            "doseQuantity" => {
                once(
                    &mut read.dose,
                    Amount::Exact(quantity(member, &here)?),
                    &here,
                )?;
            }
            "doseRange" => once(&mut read.dose, amount_range(member, &here)?, &here)?,
            "rateRatio" => once(&mut read.rate, Rate::Ratio(ratio(member, &here)?), &here)?,
            "rateQuantity" => {
                let amount = Amount::Exact(quantity(member, &here)?);
                once(&mut read.rate, Rate::Amount(amount), &here)?;
            }
            "rateRange" => {
                let amount = amount_range(member, &here)?;
                once(&mut read.rate, Rate::Amount(amount), &here)?;
            }
            _ => keep(&mut read.rest, &key, member),
        }
    }
    Ok(read)
}

fn moment(value: Value<'_>, path: &str) -> Read<Moment> {
    match Moment::parse(&text(value, path)?) {
        Some(moment) => Ok(moment),
        None => refuse(
            path,
            "is no day and no instant with an offset: write 2026-03-05 or 2026-03-05T08:00:00Z",
        ),
    }
}

fn period(value: Value<'_>, path: &str) -> Read<Bounds> {
    object(value, path)?;
    let (mut start, mut end, mut rest) = (None, None, Rest::default());
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "start" => start = Some(moment(member, &here)?),
            "end" => end = Some(moment(member, &here)?),
            _ => keep(&mut rest, &key, member),
        }
    }
    Ok(Bounds::Period { start, end, rest })
}

fn clock_time(value: Value<'_>, path: &str) -> Read<Time> {
    let text = text(value, path)?;
    let time = text.parse::<Time>().ok();
    match time.filter(|time| text.len() == 8 && time.second() < 60) {
        Some(time) => Ok(time),
        None => refuse(
            path,
            "is no clock time: write it like 08:00:00, up to 23:59:59",
        ),
    }
}

/// Takes the cycle out of the extensions; the other extensions stay.
fn cycle(value: Value<'_>, path: &str) -> Read<Option<Cycle>> {
    let mut found = value
        .items()
        .filter(|item| item.get_str("url").as_deref() == Some(CYCLE));
    let Some(extension) = found.next() else {
        return Ok(None);
    };
    if value.len() != 1 {
        return refuse(path, "a cycle stands alone: remove the other extensions");
    }
    let days = |name: &str| {
        let parts = extension.get("extension")?;
        let part = parts
            .items()
            .find(|part| part.get_str("url").as_deref() == Some(name))?;
        part.get("valuePositiveInt")?.number_text()?.parse().ok()
    };
    match (days("on"), days("off")) {
        (Some(on), Some(off)) => Ok(Some(Cycle { on, off })),
        _ => refuse(path, "a cycle needs on and off as valuePositiveInt"),
    }
}

fn repeat(value: Value<'_>, path: &str) -> Read<Repeat> {
    object(value, path)?;
    let mut read = Repeat::default();
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "boundsDuration" => {
                let bounds = Bounds::Duration(quantity(member, &here)?);
                once(&mut read.bounds, bounds, &here)?;
            }
            "boundsRange" => {
                let (low, high) = range(member, &here)?;
                once(&mut read.bounds, Bounds::Range { low, high }, &here)?;
            }
            "boundsPeriod" => once(&mut read.bounds, period(member, &here)?, &here)?,
            "count" => read.count = Some(integer(member, &here)?),
            "countMax" => read.count_max = Some(integer(member, &here)?),
            "duration" => read.duration = Some(decimal(member, &here)?),
            "durationMax" => read.duration_max = Some(decimal(member, &here)?),
            "durationUnit" => read.duration_unit = Some(coded(member, &here, TimeUnit::of)?),
            "frequency" => read.frequency = Some(integer(member, &here)?),
            "frequencyMax" => read.frequency_max = Some(integer(member, &here)?),
            "period" => read.period = Some(decimal(member, &here)?),
            "periodMax" => read.period_max = Some(decimal(member, &here)?),
            "periodUnit" => read.period_unit = Some(coded(member, &here, TimeUnit::of)?),
            "dayOfWeek" => {
                read.day_of_week = list(member, &here, |v, p| coded(v, p, Weekday::of))?;
            }
            "timeOfDay" => read.time_of_day = list(member, &here, clock_time)?,
            "when" => read.when = list(member, &here, |v, p| coded(v, p, EventTime::of))?,
            "offset" => read.offset = Some(integer(member, &here)?),
            "extension" => match cycle(member, &here)? {
                Some(cycle) => read.cycle = Some(cycle),
                None => keep(&mut read.rest, &key, member),
            },
            _ => keep(&mut read.rest, &key, member),
        }
    }
    Ok(read)
}

fn timing(value: Value<'_>, path: &str) -> Read<Timing> {
    object(value, path)?;
    let mut read = Timing::default();
    for (key, member) in value.members() {
        let here = at(path, &key);
        match key.as_ref() {
            "event" => read.event = list(member, &here, moment)?,
            "repeat" => read.repeat = Some(repeat(member, &here)?),
            "code" => read.code = Some(concept(member, &here)?),
            _ => keep(&mut read.rest, &key, member),
        }
    }
    Ok(read)
}

impl Dosage {
    /// Reads a Dosage.
    ///
    /// # Errors
    /// A member that has not the form R4 gives it, or that cannot be understood without changing the
    /// dose.
    pub fn read(value: Value<'_>) -> Result<Self, DosageError> {
        object(value, "")?;
        let mut read = Self::default();
        let mut needed = None;
        for (key, member) in value.members() {
            read.member(&key, member, &mut needed)?;
        }
        read.as_needed = needed.unwrap_or_default();
        Ok(read)
    }

    fn member(&mut self, key: &str, value: Value<'_>, needed: &mut Option<AsNeeded>) -> Read<()> {
        match key {
            "sequence" => self.sequence = Some(integer(value, key)?),
            "text" => self.text = Some(text(value, key)?),
            "additionalInstruction" => {
                self.additional_instruction = list(value, key, concept)?;
            }
            "patientInstruction" => self.patient_instruction = Some(text(value, key)?),
            "timing" => self.timing = Some(timing(value, key)?),
            "asNeededBoolean" => match value.as_bool() {
                Some(flag) => once(needed, AsNeeded::Flag(flag), key)?,
                None => return refuse(key, "is no boolean"),
            },
            "asNeededCodeableConcept" => once(needed, AsNeeded::For(concept(value, key)?), key)?,
            "site" => self.site = Some(concept(value, key)?),
            "route" => self.route = Some(concept(value, key)?),
            "method" => self.method = Some(concept(value, key)?),
            "doseAndRate" => self.dose_and_rate = list(value, key, dose_and_rate)?,
            "maxDosePerPeriod" => self.max_dose_per_period = Some(ratio(value, key)?),
            "maxDosePerAdministration" => {
                self.max_dose_per_administration = Some(quantity(value, key)?);
            }
            "maxDosePerLifetime" => self.max_dose_per_lifetime = Some(quantity(value, key)?),
            "modifierExtension" => {
                return refuse(
                    key,
                    "changes the dose in a way that is not known: state the dose without it",
                );
            }
            _ => keep(&mut self.rest, key, value),
        }
        Ok(())
    }
}
