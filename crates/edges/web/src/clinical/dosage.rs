//! Dosage in words: dose, rate, duration, route and frequency, in the order of the medication line.
//! Must not infer: a part that is not recorded is left out, and a dose that is not recorded is said so.

use fhir::json::Value;

use super::code::{concept, concept_at, concepts, items, text, texts};
use super::quantity::{NO_BREAK_SPACE, dose_number, dose_quantity, strength};

/// One dosage instruction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dosage {
    /// `1 g`, `1 g to 2 g`.
    pub dose: Option<String>,
    /// `100 mL per hour`.
    pub rate: Option<String>,
    /// `oral`.
    pub route: Option<String>,
    /// `three times a day`, `every 6 hours — as required for pain`.
    pub frequency: Option<String>,
    /// The author's words, where the record holds no structure.
    pub words: Option<String>,
    /// Additional and patient instructions.
    pub instructions: Vec<String>,
}

impl Dosage {
    /// From a FHIR Dosage.
    #[must_use]
    pub fn of(dosage: Value<'_>) -> Self {
        let first = items(dosage, "doseAndRate").next();
        let dose = first.and_then(|entry| quantity_or_range(entry, "doseQuantity", "doseRange"));
        let rate = first.and_then(|entry| {
            entry
                .get("rateRatio")
                .and_then(strength)
                .or_else(|| quantity_or_range(entry, "rateQuantity", "rateRange"))
        });
        let route = concept_at(dosage, "route").map(|route| lower_first(&route));
        let frequency = frequency(dosage);
        let structured = dose.is_some() || rate.is_some() || frequency.is_some();
        let mut instructions: Vec<String> = concepts(dosage, "additionalInstruction");
        instructions.extend(text(dosage, "patientInstruction"));
        let words = text(dosage, "text");
        // The author's words are kept beside a structure too: dropping them could drop a condition.
        let words = match (&words, structured) {
            (Some(words), true) if instructions.contains(words) => None,
            _ => words,
        };
        Self {
            dose,
            rate,
            route,
            frequency,
            words,
            instructions,
        }
    }
}

fn quantity_or_range(entry: Value<'_>, quantity: &str, range: &str) -> Option<String> {
    if let Some(shown) = entry.get(quantity).and_then(dose_quantity) {
        return Some(shown);
    }
    let range = entry.get(range)?;
    let low = range.get("low").and_then(dose_quantity);
    let high = range.get("high").and_then(dose_quantity);
    match (low, high) {
        (Some(low), Some(high)) => Some(format!("{low} to {high}")),
        (Some(low), None) => Some(format!("at least {low}")),
        (None, Some(high)) => Some(format!("up to {high}")),
        (None, None) => None,
    }
}

fn lower_first(words: &str) -> String {
    let mut letters = words.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => words.to_owned(),
    }
}

fn frequency(dosage: Value<'_>) -> Option<String> {
    let timing = dosage.get("timing");
    let mut parts: Vec<String> = Vec::new();
    if let Some(timing) = timing {
        let repeat = timing.get("repeat");
        parts.extend(
            repeat
                .and_then(every)
                .or_else(|| timing.get("code").and_then(abbreviation)),
        );
        if let Some(repeat) = repeat {
            parts.extend(moments(repeat));
            parts.extend(bounds(repeat));
        }
    }
    parts.extend(as_required(dosage));
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// `asNeeded`: "as required", never PRN (MEDi-023).
fn as_required(dosage: Value<'_>) -> Option<String> {
    if let Some(reason) = concept_at(dosage, "asNeededCodeableConcept") {
        return Some(format!("as required for {}", lower_first(&reason)));
    }
    (dosage.get("asNeededBoolean")?.as_bool()?).then(|| "as required".to_owned())
}

/// Frequency and period in words; never Latin abbreviations (MEDi-023).
fn every(repeat: Value<'_>) -> Option<String> {
    let number = |key: &str| {
        repeat
            .get(key)
            .and_then(Value::number_text)
            .map(dose_number)
    };
    let frequency = number("frequency").unwrap_or_else(|| "1".to_owned());
    let period = number("period")?;
    let unit = match text(repeat, "periodUnit")?.as_str() {
        "s" => "second",
        "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "wk" => "week",
        "mo" => "month",
        "a" => "year",
        _ => return None,
    };
    let top = number("frequencyMax")
        .map(|most| format!(" to {most}"))
        .unwrap_or_default();
    let longest = number("periodMax")
        .map(|most| format!(" to {most}"))
        .unwrap_or_default();
    if frequency == "1" && top.is_empty() && (period != "1" || unit == "hour" || unit == "minute") {
        return Some(match (period.as_str(), longest.is_empty()) {
            ("1", true) => format!("every {unit}"),
            ("2", true) if unit == "day" => "every other day".to_owned(),
            _ => format!("every {period}{longest}{NO_BREAK_SPACE}{unit}s"),
        });
    }
    let times = match (frequency.as_str(), top.as_str()) {
        ("1", "") => "once".to_owned(),
        ("2", "") => "twice".to_owned(),
        ("3", "") => "three times".to_owned(),
        ("4", "") => "four times".to_owned(),
        ("5", "") => "five times".to_owned(),
        ("6", "") => "six times".to_owned(),
        _ => format!("{frequency}{top} times"),
    };
    let article = if unit == "hour" { "an" } else { "a" };
    Some(if period == "1" && longest.is_empty() {
        format!("{times} {article} {unit}")
    } else {
        format!("{times} every {period}{longest}{NO_BREAK_SPACE}{unit}s")
    })
}

/// The codes of the GTSAbbreviation value set, opened; another code in the author's words.
fn abbreviation(code: Value<'_>) -> Option<String> {
    let known = items(code, "coding").find_map(|coding| {
        Some(match text(coding, "code")?.as_str() {
            "QD" => "once a day",
            "BID" => "twice a day",
            "TID" => "three times a day",
            "QID" => "four times a day",
            "QOD" => "every other day",
            "Q1H" => "every hour",
            "Q2H" => "every 2\u{a0}hours",
            "Q3H" => "every 3\u{a0}hours",
            "Q4H" => "every 4\u{a0}hours",
            "Q6H" => "every 6\u{a0}hours",
            "Q8H" => "every 8\u{a0}hours",
            "BED" => "at bedtime",
            "WK" => "once a week",
            "MO" => "once a month",
            "AM" => "every morning",
            "PM" => "every afternoon",
            _ => return None,
        })
    });
    known.map(str::to_owned).or_else(|| concept(code))
}

fn moments(repeat: Value<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    for when in texts(repeat, "when") {
        let words = match when.as_str() {
            "MORN" => "in the morning",
            "NOON" => "at noon",
            "AFT" => "in the afternoon",
            "EVE" => "in the evening",
            "NIGHT" => "at night",
            "HS" => "at bedtime",
            "WAKE" => "on waking",
            "AC" => "before meals",
            "ACM" => "before breakfast",
            "ACD" => "before lunch",
            "ACV" => "before dinner",
            "C" => "with meals",
            "CM" => "with breakfast",
            "CD" => "with lunch",
            "CV" => "with dinner",
            "PC" => "after meals",
            "PCM" => "after breakfast",
            "PCD" => "after lunch",
            "PCV" => "after dinner",
            other => {
                parts.push(format!("at time code {other}"));
                continue;
            }
        };
        parts.push(words.to_owned());
    }
    let times: Vec<String> = texts(repeat, "timeOfDay")
        .iter()
        .map(|time| time.chars().take(5).collect())
        .collect();
    if !times.is_empty() {
        parts.push(format!("at {}", times.join(", ")));
    }
    let days: Vec<String> = texts(repeat, "dayOfWeek")
        .iter()
        .map(|day| super::code::words(day))
        .collect();
    if !days.is_empty() {
        parts.push(format!("on {}", days.join(", ")));
    }
    parts
}

fn bounds(repeat: Value<'_>) -> Option<String> {
    let duration = repeat.get("boundsDuration")?;
    let number = duration.get("value")?.number_text().map(dose_number)?;
    let unit = match text(duration, "code")
        .or_else(|| text(duration, "unit"))?
        .as_str()
    {
        "h" => "hour".to_owned(),
        "d" => "day".to_owned(),
        "wk" => "week".to_owned(),
        "mo" => "month".to_owned(),
        "a" => "year".to_owned(),
        other => other.trim_end_matches('s').to_owned(),
    };
    let plural = if number == "1" { "" } else { "s" };
    Some(format!("for {number}{NO_BREAK_SPACE}{unit}{plural}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    fn frequency_of(body: &str) -> String {
        Dosage::of(parse(body).root())
            .frequency
            .unwrap_or_default()
            .replace('\u{a0}', " ")
    }

    #[test]
    fn medi_023_frequencies_in_words() {
        for (timing, shown) in [
            (
                r#"{"repeat":{"frequency":1,"period":1,"periodUnit":"d"}}"#,
                "once a day",
            ),
            (
                r#"{"repeat":{"frequency":3,"period":1.0,"periodUnit":"d"}}"#,
                "three times a day",
            ),
            (
                r#"{"repeat":{"frequency":1,"period":6,"periodUnit":"h"}}"#,
                "every 6 hours",
            ),
            (
                r#"{"repeat":{"frequency":1,"period":4,"periodMax":6,"periodUnit":"h"}}"#,
                "every 4 to 6 hours",
            ),
            (
                r#"{"repeat":{"frequency":1,"period":2,"periodUnit":"d"}}"#,
                "every other day",
            ),
            (
                r#"{"repeat":{"frequency":1,"frequencyMax":2,"period":1,"periodUnit":"d"}}"#,
                "1 to 2 times a day",
            ),
            (
                r#"{"repeat":{"frequency":1,"period":1,"periodUnit":"d","when":["HS"]}}"#,
                "once a day at bedtime",
            ),
            (
                r#"{"repeat":{"frequency":2,"period":1,"periodUnit":"d","timeOfDay":["08:00:00","20:00:00"]}}"#,
                "twice a day at 08:00, 20:00",
            ),
            (
                r#"{"repeat":{"frequency":3,"period":1,"periodUnit":"d","boundsDuration":{"value":7,"code":"d"}}}"#,
                "three times a day for 7 days",
            ),
            (
                r#"{"code":{"coding":[{"code":"QID"}]}}"#,
                "four times a day",
            ),
            (
                r#"{"code":{"text":"at 4pm on clinic days"}}"#,
                "at 4pm on clinic days",
            ),
        ] {
            assert_eq!(frequency_of(&format!(r#"{{"timing":{timing}}}"#)), shown);
        }
    }

    #[test]
    fn as_required_carries_its_reason() {
        let body = r#"{"asNeededCodeableConcept":{"text":"Pain"},"timing":{"repeat":{"frequency":1,"period":6,"periodUnit":"h"}}}"#;
        assert_eq!(frequency_of(body), "every 6 hours as required for pain");
        assert_eq!(frequency_of(r#"{"asNeededBoolean":true}"#), "as required");
        assert_eq!(frequency_of(r#"{"asNeededBoolean":false}"#), "");
    }

    #[test]
    fn dose_ranges_name_both_ends() {
        let body = r#"{"doseAndRate":[{"doseRange":{"low":{"value":5,"unit":"mg"},"high":{"value":10.0,"unit":"mg"}}}],"route":{"text":"Oral"}}"#;
        let dosage = Dosage::of(parse(body).root());
        assert_eq!(dosage.dose.unwrap().replace('\u{a0}', " "), "5 mg to 10 mg");
        assert_eq!(dosage.route.as_deref(), Some("oral"));
    }
}
