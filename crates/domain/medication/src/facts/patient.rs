//! A Patient and its Observations as facts: age, weight, renal function, pregnancy. Each value holds for a
//! time that is stated here; an older one is unknown. Must not tell a normal value from a missing one by
//! its absence.

use fhir::json::Value;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kernel::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::{LOINC, SNOMED, codings};
use crate::dosage::Moment;
use crate::knowledge::{Fact, Facts, Pregnancy};
use crate::quantity::{Quantity, Unit};

/// The codes of every observation that [`patient`] reads, as a search by `code` takes them.
pub const OBSERVATIONS: &str = "http://loinc.org|29463-7,http://loinc.org|3141-9,http://loinc.org|33914-3,\
http://loinc.org|62238-1,http://loinc.org|77147-7,http://loinc.org|98979-8,http://loinc.org|98980-6,\
http://loinc.org|69405-9,http://loinc.org|2164-2,http://loinc.org|35591-7,http://loinc.org|82810-3";

/// Body weight: any, and measured.
const WEIGHT: [&str; 2] = ["29463-7", "3141-9"];
/// Estimated glomerular filtration rate, by the formulas in use, in mL/min/1.73 m2.
const EGFR: [&str; 6] = [
    "33914-3", "62238-1", "77147-7", "98979-8", "98980-6", "69405-9",
];
/// Creatinine clearance in mL/min.
const CLEARANCE: [&str; 2] = ["2164-2", "35591-7"];
/// Pregnancy status.
const PREGNANCY: &str = "82810-3";
/// Answers to it: pregnant, by SNOMED CT and by LOINC.
const PREGNANT: [&str; 2] = ["77386006", "LA15173-0"];
/// Answers to it: not pregnant.
const NOT_PREGNANT: [&str; 2] = ["60001007", "LA26683-5"];

const DAY: i64 = 86_400_000_000;
/// Days for which a renal value is used.
const RENAL_DAYS: i64 = 365;
/// Days for which a pregnancy is believed, and its absence: 42 weeks and four.
const PREGNANT_DAYS: i64 = 294;
const NOT_PREGNANT_DAYS: i64 = 28;
/// Ages in months between which a pregnancy is asked about: from 10 to 59 completed years.
const CHILDBEARING: core::ops::Range<u16> = 120..720;

/// Reads the facts as of a time, in the zone of the place that cares for the patient.
///
/// A weight is used for 28 days below the age of 2, for 90 below 18 and for 365 after, and where the age
/// is unknown for 28; renal values for 365 days; "pregnant" for 42 weeks and "not pregnant" for 4. These times are the
/// project's own choice. Liver function and breast-feeding are not read from the record: they stay
/// unknown, and rules that ask for them say so.
#[must_use]
pub fn patient(
    patient: Option<Value<'_>>,
    observations: &[Value<'_>],
    now: Timestamp,
    zone: &TimeZone,
) -> Facts {
    let mut facts = Facts::default();
    let today = date(now, zone);
    let born = patient
        .and_then(|patient| patient.get_str("birthDate"))
        .and_then(|text| text.parse::<Date>().ok());
    if let (Some(born), Some(today)) = (born, today) {
        facts.age_months = months(born, today).map_or(Fact::Unknown, Fact::Known);
    }
    let seen = Seen {
        now,
        zone,
        all: observations,
    };
    facts.weight_grams = known(seen.weight(facts.age_months.known()));
    facts.egfr = known(seen.renal(&EGFR, "mL/min"));
    facts.creatinine_clearance = known(seen.renal(&CLEARANCE, "mL/min"));
    facts.pregnancy = seen.pregnancy(patient, facts.age_months.known());
    if !possible(patient, facts.age_months.known()) {
        facts.breastfeeding = Fact::Known(false);
    }
    facts
}

fn known<T>(value: Option<T>) -> Fact<T> {
    value.map_or(Fact::Unknown, Fact::Known)
}

fn date(now: Timestamp, zone: &TimeZone) -> Option<Date> {
    let instant = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?;
    Some(instant.to_zoned(zone.clone()).date())
}

/// Completed months; none for somebody born later than today.
fn months(born: Date, today: Date) -> Option<u16> {
    let span = born.until((jiff::Unit::Month, today)).ok()?;
    u16::try_from(span.get_months())
        .ok()
        .filter(|_| born <= today)
}

/// Whether a pregnancy is to be asked about. The recorded gender `male` counts as no; a recorded
/// pregnancy outweighs it.
fn possible(patient: Option<Value<'_>>, age_months: Option<u16>) -> bool {
    let male = patient
        .and_then(|patient| patient.get_str("gender"))
        .is_some_and(|gender| gender == "male");
    !male && age_months.is_none_or(|age| CHILDBEARING.contains(&age))
}

struct Seen<'a> {
    now: Timestamp,
    zone: &'a TimeZone,
    all: &'a [Value<'a>],
}

impl Seen<'_> {
    /// The newest usable observation with one of the codes, and its age in microseconds.
    fn newest(&self, codes: &[&str]) -> Option<(Value<'_>, i64)> {
        let asked = self.all.iter().copied().filter(|one| {
            let status = one.get_str("status");
            let usable = matches!(status.as_deref(), Some("final" | "amended" | "corrected"));
            usable
                && one.get("code").is_some_and(|code| {
                    codings(code)
                        .iter()
                        .any(|(system, code)| system == LOINC && codes.contains(&code.as_str()))
                })
        });
        asked
            .filter_map(|one| Some((one, self.now.as_micros() - self.time(one)?)))
            // What is dated later than now is a mistake: it tells nothing.
            .filter(|(_, age)| *age >= -DAY)
            .min_by_key(|(_, age)| *age)
    }

    fn time(&self, observation: Value<'_>) -> Option<i64> {
        let moment = observation
            .get_str("effectiveDateTime")
            .or_else(|| observation.get_str("effectiveInstant"))
            .or_else(|| observation.get("effectivePeriod")?.get_str("start"))
            .or_else(|| observation.get_str("issued"))?;
        Some(Moment::parse(&moment)?.starts(self.zone).as_micros())
    }

    fn weight(&self, age_months: Option<u16>) -> Option<u32> {
        let days = match age_months {
            None | Some(..24) => 28,
            Some(24..216) => 90,
            Some(_) => 365,
        };
        let (found, age) = self.newest(&WEIGHT)?;
        let grams = value(found, "g").filter(|_| age <= days * DAY)?.0;
        grams.floor().to_u32().filter(|grams| *grams > 0)
    }

    /// Whole units, rounded down. `<15` counts as 14; `>90` as 90, which is the least it may be.
    fn renal(&self, codes: &[&str], unit: &str) -> Option<u16> {
        let (found, age) = self.newest(codes)?;
        let (value, comparator) = value(found, unit).filter(|_| age <= RENAL_DAYS * DAY)?;
        let whole = value.floor().to_u16()?;
        Some(match comparator.as_deref() {
            Some("<") if value.is_integer() => whole.saturating_sub(1),
            _ => whole,
        })
    }

    fn pregnancy(&self, patient: Option<Value<'_>>, age_months: Option<u16>) -> Fact<Pregnancy> {
        let recorded = self.newest(&[PREGNANCY]).and_then(|(found, age)| {
            let answers = codings(found.get("valueCodeableConcept")?);
            let is = |codes: &[&str]| {
                answers.iter().any(|(system, code)| {
                    (system == SNOMED || system == LOINC) && codes.contains(&code.as_str())
                })
            };
            if is(&PREGNANT) && age <= PREGNANT_DAYS * DAY {
                Some(Pregnancy::Yes)
            } else if is(&NOT_PREGNANT) && age <= NOT_PREGNANT_DAYS * DAY {
                Some(Pregnancy::No)
            } else {
                None
            }
        });
        match recorded {
            Some(answer) => Fact::Known(answer),
            None if !possible(patient, age_months) => Fact::Known(Pregnancy::No),
            None => Fact::Unknown,
        }
    }
}

/// The value in a unit, with its comparator. Filtration rates are read whether or not the unit names the
/// body surface.
fn value(observation: Value<'_>, unit: &str) -> Option<(Decimal, Option<String>)> {
    let quantity = observation.get("valueQuantity")?;
    let number: Decimal = Decimal::from_str_exact(quantity.get("value")?.number_text()?).ok()?;
    let comparator = quantity
        .get_str("comparator")
        .map(std::borrow::Cow::into_owned);
    let code = quantity
        .get_str("code")
        .or_else(|| quantity.get_str("unit"))?;
    if unit == "mL/min" {
        return code.starts_with("mL/min").then_some((number, comparator));
    }
    let own = Quantity::new(number, Unit::ucum(&code));
    own.in_unit(&Unit::ucum(unit))
        .ok()
        .map(|value| (value, comparator))
}
