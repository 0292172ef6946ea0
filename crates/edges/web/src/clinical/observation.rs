//! Observations: single results, and series of one measurement for plotting. Must not judge: a flag is
//! shown where the record holds one, or where the value lies outside the range recorded with it.

use std::collections::BTreeMap;

use fhir::json::Value;
use kernel::WrittenDecimal;

use super::code::{concept, concept_at, first_code, has_code, items, text};
use super::date::{FhirDate, When, Zone};
use super::quantity::{measured_number, measured_quantity, unit_of};

/// One result in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultLine {
    /// What was measured.
    pub name: String,
    /// The value, or why there is none.
    pub value: String,
    /// `Above range`, `Critically low`, ...; `None` where neither flag nor range is recorded.
    pub flag: Option<Flag>,
    /// `3.5 to 5.1 mmol/L`, or "No range recorded".
    pub range: String,
    /// When measured.
    pub when: When,
    /// The instant behind `when`, for ordering; `i64::MIN` where unknown.
    pub order: i64,
    /// `Preliminary` and the like; `None` for final ones.
    pub status: Option<String>,
    /// Where to see the whole resource.
    pub href: String,
}

/// How a value stands to its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// In words, so that colour never stands alone.
    pub words: String,
    /// Whether it asks for attention.
    pub raised: bool,
}

/// One point of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Microseconds since the Unix epoch.
    pub micros: i64,
    /// As shown.
    pub when: When,
    /// For the plot only.
    pub height: f64,
    /// As shown.
    pub value: String,
    /// As written in the record, with every digit.
    pub exact: String,
    /// Flag, if any.
    pub flag: Option<Flag>,
}

/// What kind of measurement, in the order they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Blood pressure, pulse, and so on.
    VitalSigns,
    /// From a laboratory.
    Laboratory,
    /// Anything else.
    Other,
}

impl Group {
    /// Its heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::VitalSigns => "Vital signs",
            Self::Laboratory => "Laboratory",
            Self::Other => "Other measurements",
        }
    }
    fn of(resource: Value<'_>) -> Self {
        let coded =
            |code: &str| items(resource, "category").any(|category| has_code(category, &[code]));
        if coded("vital-signs") {
            Self::VitalSigns
        } else if coded("laboratory") {
            Self::Laboratory
        } else {
            Self::Other
        }
    }
}

/// LOINC codes of vital signs in the order clinicians read them; what belongs together stands together.
const READING_ORDER: [&[&str]; 9] = [
    &["8480-6"],
    &["8462-4"],
    &["8867-4"],
    &["9279-1"],
    &["2708-6", "59408-5"],
    &["8310-5"],
    &["88330-6", "88331-4"],
    &["29463-7"],
    &["39156-5"],
];

fn reading_place(part: Value<'_>) -> usize {
    part.get("code").map_or(READING_ORDER.len(), |code| {
        READING_ORDER
            .iter()
            .position(|codes| has_code(code, codes))
            .unwrap_or(READING_ORDER.len())
    })
}

/// Where a series stands: group, place in the reading order, name, unit.
type Place = (Group, usize, String, String);

/// A measurement over time, in one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Under which heading it stands.
    pub group: Group,
    /// What is measured: `Systolic blood pressure`.
    pub name: String,
    /// Its unit as shown.
    pub unit: String,
    /// Oldest first.
    pub points: Vec<Point>,
    /// The reference range of the newest point: low, high.
    pub range: (Option<f64>, Option<f64>),
    /// The range in words.
    pub range_words: String,
}

/// Observations sorted for display.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observations {
    /// Measurements with at least two numeric points, by group, reading order and name.
    pub series: Vec<Series>,
    /// The newest result of everything, newest first.
    pub latest: Vec<ResultLine>,
    /// How many were left out because they were entered in error.
    pub in_error: usize,
}

/// Sorts resources (each with its address) into series and latest results.
#[must_use]
pub fn observations(resources: &[(Value<'_>, String)], zone: &Zone) -> Observations {
    let mut series: BTreeMap<Place, Series> = BTreeMap::new();
    let mut latest: BTreeMap<String, ResultLine> = BTreeMap::new();
    let mut in_error = 0;
    for (resource, href) in resources {
        if text(*resource, "status").as_deref() == Some("entered-in-error") {
            in_error += 1;
            continue;
        }
        for part in parts(*resource) {
            if let Some(point) = point(*resource, part, zone) {
                add_point(&mut series, Group::of(*resource), part, point);
            }
        }
        let line = result_line(*resource, zone, href.clone());
        match latest.get(&line.name) {
            Some(known) if known.order >= line.order => {}
            _ => {
                latest.insert(line.name.clone(), line);
            }
        }
    }
    let mut series: Vec<Series> = series
        .into_values()
        .filter(|series| series.points.len() > 1)
        .collect();
    for one in &mut series {
        one.points.sort_by_key(|point| point.micros);
    }
    let mut latest: Vec<ResultLine> = latest.into_values().collect();
    latest.sort_by(|a, b| b.order.cmp(&a.order).then_with(|| a.name.cmp(&b.name)));
    Observations {
        series,
        latest,
        in_error,
    }
}

/// The measured parts: the observation itself, or its components.
fn parts(resource: Value<'_>) -> Vec<Value<'_>> {
    if resource.get("valueQuantity").is_some() {
        return vec![resource];
    }
    items(resource, "component").collect()
}

fn name_of(value: Value<'_>) -> String {
    concept_at(value, "code").unwrap_or_else(|| "Measurement not named".to_owned())
}

fn point(resource: Value<'_>, part: Value<'_>, zone: &Zone) -> Option<Point> {
    let quantity = part.get("valueQuantity")?;
    if quantity.get("comparator").is_some() {
        return None; // "less than 5" has no place on an axis; it stands in the results
    }
    let written = quantity.get("value")?.number_text()?;
    let height = written
        .parse::<f64>()
        .ok()
        .filter(|height| height.is_finite())?;
    let (when, micros) = effective(resource, zone);
    (micros != i64::MIN).then(|| Point {
        micros,
        when,
        height,
        value: measured_number(written),
        exact: written.to_owned(),
        flag: flag(part),
    })
}

fn add_point(series: &mut BTreeMap<Place, Series>, group: Group, part: Value<'_>, point: Point) {
    let unit = part
        .get("valueQuantity")
        .map_or_else(String::new, |quantity| unit_of(quantity, false));
    let name = name_of(part);
    let entry = series
        .entry((group, reading_place(part), name.clone(), unit.clone()))
        .or_insert_with(|| Series {
            group,
            name,
            unit,
            points: Vec::new(),
            range: (None, None),
            range_words: "No range recorded".to_owned(),
        });
    let newest = entry
        .points
        .iter()
        .all(|known| known.micros <= point.micros);
    if newest && let Some(range) = items(part, "referenceRange").next() {
        let bound = |key: &str| {
            range
                .get(key)?
                .get("value")?
                .number_text()?
                .parse::<f64>()
                .ok()
        };
        entry.range = (bound("low"), bound("high"));
        entry.range_words = range_words(part);
    }
    entry.points.push(point);
}

fn effective(resource: Value<'_>, zone: &Zone) -> (When, i64) {
    let written = text(resource, "effectiveDateTime")
        .or_else(|| text(resource, "effectiveInstant"))
        .or_else(|| {
            resource
                .get("effectivePeriod")
                .and_then(|period| text(period, "start"))
        })
        .or_else(|| text(resource, "issued"));
    let Some(written) = written else {
        return (When::unknown("Time not recorded"), i64::MIN);
    };
    let micros = match FhirDate::parse(&written) {
        Some(FhirDate::Instant(time)) => time.as_microsecond(),
        Some(FhirDate::Day(day) | FhirDate::Month(day)) => day
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(i64::MIN, |zoned| zoned.timestamp().as_microsecond()),
        _ => i64::MIN,
    };
    (When::fhir(&written, zone), micros)
}

/// A result in words.
#[must_use]
pub fn result_line(resource: Value<'_>, zone: &Zone, href: String) -> ResultLine {
    let (when, order) = effective(resource, zone);
    let status = text(resource, "status");
    ResultLine {
        name: name_of(resource),
        value: value(resource),
        flag: flag(resource).or_else(|| flag_of_parts(resource)),
        range: match items(resource, "component").next() {
            Some(_) if resource.get("referenceRange").is_none() => {
                "By part, see the plots".to_owned()
            }
            _ => range_words(resource),
        },
        when,
        order,
        status: match status.as_deref() {
            Some("final") => None,
            None => Some("Status not recorded".to_owned()),
            Some(code) => Some(super::code::words(code)),
        },
        href,
    }
}

/// The first flag of a part that asks for attention, with the part's name.
fn flag_of_parts(resource: Value<'_>) -> Option<Flag> {
    items(resource, "component").find_map(|part| {
        let flag = flag(part).filter(|flag| flag.raised)?;
        Some(Flag {
            words: format!("{}: {}", name_of(part), flag.words),
            raised: true,
        })
    })
}

fn value(resource: Value<'_>) -> String {
    if let Some(shown) = single_value(resource) {
        return shown;
    }
    let parts: Vec<String> = items(resource, "component")
        .map(|part| {
            let shown = single_value(part).unwrap_or_else(|| absent(part));
            format!("{} {shown}", name_of(part))
        })
        .collect();
    if parts.is_empty() {
        absent(resource)
    } else {
        parts.join("; ")
    }
}

fn single_value(value: Value<'_>) -> Option<String> {
    if let Some(quantity) = value.get("valueQuantity") {
        return measured_quantity(quantity);
    }
    if let Some(concept_value) = value.get("valueCodeableConcept") {
        return concept(concept_value);
    }
    if let Some(yes) = value.get("valueBoolean").and_then(Value::as_bool) {
        return Some(if yes { "Yes" } else { "No" }.to_owned());
    }
    text(value, "valueString")
        .or_else(|| text(value, "valueDateTime"))
        .or_else(|| text(value, "valueTime"))
        .or_else(|| {
            value
                .get("valueInteger")
                .and_then(Value::number_text)
                .map(measured_number)
        })
}

fn absent(value: Value<'_>) -> String {
    concept_at(value, "dataAbsentReason").map_or_else(
        || "Value not recorded".to_owned(),
        |reason| format!("Not available: {reason}"),
    )
}

fn range_words(value: Value<'_>) -> String {
    let Some(range) = items(value, "referenceRange").next() else {
        return "No range recorded".to_owned();
    };
    if let Some(words) = text(range, "text") {
        return words;
    }
    let low = range.get("low").and_then(measured_quantity);
    let high = range.get("high").and_then(measured_quantity);
    match (low, high) {
        (Some(low), Some(high)) => {
            let bare = range
                .get("low")
                .and_then(|low| low.get("value")?.number_text())
                .map(measured_number);
            format!("{} to {high}", bare.unwrap_or(low))
        }
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("up to {high}"),
        (None, None) => "No range recorded".to_owned(),
    }
}

fn flag(value: Value<'_>) -> Option<Flag> {
    let interpretation = items(value, "interpretation").next();
    if let Some(found) = interpretation {
        let code = items(found, "coding").find_map(|coding| text(coding, "code"));
        let known = match code.as_deref() {
            Some("N") => Some(("In range", false)),
            Some("H" | "HU") => Some(("High", true)),
            Some("L" | "LU") => Some(("Low", true)),
            Some("HH") => Some(("Critically high", true)),
            Some("LL") => Some(("Critically low", true)),
            Some("A") => Some(("Abnormal", true)),
            Some("AA") => Some(("Critically abnormal", true)),
            _ => None,
        };
        if let Some((words, raised)) = known {
            return Some(Flag {
                words: words.to_owned(),
                raised,
            });
        }
        if let Some(words) = concept(found) {
            return Some(Flag {
                words,
                raised: true,
            });
        }
    }
    against_range(value)
}

/// Compared with the recorded range, only where the units are the same text.
fn against_range(value: Value<'_>) -> Option<Flag> {
    let quantity = value.get("valueQuantity")?;
    let range = items(value, "referenceRange").next()?;
    let number = |q: Value<'_>| {
        q.get("value")?
            .number_text()?
            .parse::<WrittenDecimal>()
            .ok()
    };
    let measured = number(quantity)?;
    let unit = unit_of(quantity, false);
    let bound = |key: &str| {
        let bound = range.get(key)?;
        let bound_unit = unit_of(bound, false);
        (bound_unit.is_empty() || bound_unit == unit)
            .then(|| number(bound))
            .flatten()
    };
    let (low, high) = (bound("low"), bound("high"));
    if low.is_none() && high.is_none() {
        return None;
    }
    let flagged = if high.is_some_and(|high| measured.value() > high.value()) {
        ("Above range", true)
    } else if low.is_some_and(|low| measured.value() < low.value()) {
        ("Below range", true)
    } else {
        ("In range", false)
    };
    Some(Flag {
        words: flagged.0.to_owned(),
        raised: flagged.1,
    })
}

/// Whether an observation belongs to a category such as `vital-signs` or `laboratory`.
#[must_use]
pub fn in_category(resource: Value<'_>, category: &str) -> bool {
    items(resource, "category").any(|found| super::code::has_code(found, &[category]))
}

/// The code a page may sort panels by.
#[must_use]
pub fn code_of(resource: Value<'_>) -> Option<String> {
    first_code(resource, "code")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    fn line(body: &str) -> ResultLine {
        result_line(parse(body).root(), &Zone::named("UTC"), String::new())
    }

    #[test]
    fn values_in_words() {
        for (body, shown) in [
            (
                r#"{"valueQuantity":{"value":5.10,"unit":"mmol/L"}}"#,
                "5.10 mmol/L",
            ),
            (
                r#"{"valueCodeableConcept":{"text":"Never smoker"}}"#,
                "Never smoker",
            ),
            (r#"{"valueBoolean":false}"#, "No"),
            (
                r#"{"dataAbsentReason":{"text":"Asleep"}}"#,
                "Not available: Asleep",
            ),
            (r"{}", "Value not recorded"),
            (
                r#"{"component":[{"code":{"text":"Systolic"},"valueQuantity":{"value":120,"unit":"mm[Hg]"}},{"code":{"text":"Diastolic"}}]}"#,
                "Systolic 120 mmHg; Diastolic Value not recorded",
            ),
        ] {
            assert_eq!(line(body).value.replace('\u{a0}', " "), shown);
        }
    }

    #[test]
    fn flags_come_from_the_record_or_its_range() {
        let range = r#""referenceRange":[{"low":{"value":3.5,"unit":"mmol/L"},"high":{"value":5.1,"unit":"mmol/L"}}]"#;
        for (body, flag) in [
            (
                format!(r#"{{"valueQuantity":{{"value":5.2,"unit":"mmol/L"}},{range}}}"#),
                Some("Above range"),
            ),
            (
                format!(r#"{{"valueQuantity":{{"value":3.50,"unit":"mmol/L"}},{range}}}"#),
                Some("In range"),
            ),
            (
                format!(r#"{{"valueQuantity":{{"value":3.4,"unit":"mmol/L"}},{range}}}"#),
                Some("Below range"),
            ),
            (
                format!(r#"{{"valueQuantity":{{"value":3400,"unit":"umol/L"}},{range}}}"#),
                None,
            ),
            (r#"{"valueQuantity":{"value":9}}"#.to_owned(), None),
            (
                r#"{"valueQuantity":{"value":9},"interpretation":[{"coding":[{"code":"HH"}]}]}"#
                    .to_owned(),
                Some("Critically high"),
            ),
        ] {
            assert_eq!(line(&body).flag.map(|f| f.words).as_deref(), flag, "{body}");
        }
    }

    #[test]
    fn series_never_mix_units_and_skip_errors() {
        let bodies = [
            r#"{"status":"final","code":{"text":"Weight"},"effectiveDateTime":"2026-01-01","valueQuantity":{"value":80,"unit":"kg"}}"#,
            r#"{"status":"final","code":{"text":"Weight"},"effectiveDateTime":"2026-02-01","valueQuantity":{"value":81.5,"unit":"kg"}}"#,
            r#"{"status":"final","code":{"text":"Weight"},"effectiveDateTime":"2026-03-01","valueQuantity":{"value":180,"unit":"lb"}}"#,
            r#"{"status":"entered-in-error","code":{"text":"Weight"},"effectiveDateTime":"2026-03-02","valueQuantity":{"value":8,"unit":"kg"}}"#,
        ];
        let documents: Vec<_> = bodies.iter().map(|body| parse(body)).collect();
        let values: Vec<_> = documents
            .iter()
            .map(|d| (d.root(), String::new()))
            .collect();
        let shown = observations(&values, &Zone::named("UTC"));
        assert_eq!(shown.series.len(), 1);
        assert_eq!(shown.series[0].points.len(), 2);
        assert_eq!(
            (
                shown.in_error,
                shown.latest[0].value.replace('\u{a0}', " ").as_str()
            ),
            (1, "180 lb")
        );
    }
}
