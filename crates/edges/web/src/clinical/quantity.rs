//! Numbers and units as CUI Medication Line writes them: `0.5 mg`, `5,000 units`, `125 micrograms`.
//! Must not calculate doses: it only writes what is recorded.

use fhir::json::Value;
use kernel::WrittenDecimal;

use super::code::text;

/// A space that keeps a number and its unit on one line (MEDi-041, MEDi-008).
pub const NO_BREAK_SPACE: char = '\u{a0}';

/// A number for a dose or strength: no trailing zero, a leading zero, commas from 1,000 (MEDi-015,
/// MEDi-016, MEDi-017). A text that is no number is given back as it is.
#[must_use]
pub fn dose_number(written: &str) -> String {
    written.parse::<WrittenDecimal>().map_or_else(
        |_| written.to_owned(),
        |number| with_commas(&number.value().normalize().to_string()),
    )
}

/// A number of a measurement: the precision it was written with has meaning and stays, up to two
/// decimals from 1 and four below; longer ones are rounded for display, and the exact value stands in
/// the table beside the plot.
#[must_use]
pub fn measured_number(written: &str) -> String {
    written.parse::<WrittenDecimal>().map_or_else(
        |_| written.to_owned(),
        |number| {
            let value = number.value();
            let below_one = value.trunc().is_zero();
            let places = if below_one { 4 } else { 2 };
            let shown = if value.scale() > places {
                value.round_dp(places)
            } else {
                value
            };
            with_commas(&shown.to_string())
        },
    )
}

fn with_commas(plain: &str) -> String {
    let (sign, digits) = plain
        .strip_prefix('-')
        .map_or(("", plain), |rest| ("\u{2212}", rest));
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(w, f)| (w, Some(f)));
    let mut shown = String::with_capacity(plain.len() + 4);
    shown.push_str(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    if let Some(fraction) = fraction {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

/// A unit in words that cannot be misread: micrograms, nanograms and units spelt out (MEDi-023),
/// no full stop (MEDi-024), UCUM annotations opened. `one` asks for the singular.
#[must_use]
pub fn unit(written: &str, one: bool) -> String {
    let plural = |singular: &str| {
        if one {
            singular.to_owned()
        } else {
            format!("{singular}s")
        }
    };
    let trimmed = written.trim().trim_end_matches('.');
    match trimmed {
        "ug" | "µg" | "μg" | "mcg" | "MCG" | "UG" | "microgram" | "micrograms" => {
            plural("microgram")
        }
        "ng" | "nanogram" | "nanograms" => plural("nanogram"),
        "U" | "u" | "IU" | "iu" | "[iU]" | "[IU]" | "UNT" | "unit" | "units" | "Units"
        | "{unit}" | "{units}" => plural("unit"),
        "cc" | "ml" | "ML" => "mL".to_owned(),
        "l" => "L".to_owned(),
        "MG" => "mg".to_owned(),
        "G" | "gm" => "g".to_owned(),
        "mm[Hg]" => "mmHg".to_owned(),
        "Cel" => "°C".to_owned(),
        "[degF]" => "°F".to_owned(),
        "[lb_av]" => "lb".to_owned(),
        "[in_i]" => "in".to_owned(),
        "/min" => "per minute".to_owned(),
        "{score}" | "{Score}" | "1" => String::new(),
        "tablet" | "tablets" | "{tablet}" => plural("tablet"),
        "capsule" | "capsules" | "{capsule}" => plural("capsule"),
        "puff" | "puffs" | "{puff}" => plural("puff"),
        "drop" | "drops" | "[drp]" => plural("drop"),
        // What is counted, such as {patch}.
        other if other.starts_with('{') && other.ends_with('}') => {
            let inside = other.trim_matches(['{', '}']);
            medication::quantity::Unit::named(inside).said(one)
        }
        other => annotation(other),
    }
}

/// `10*3/uL` as `10³/uL`; `{cells}` as `cells`.
fn annotation(unit: &str) -> String {
    let opened: String = unit.chars().filter(|c| !matches!(c, '{' | '}')).collect();
    let mut shown = opened;
    for (power, raised) in [
        ("10*12", "10¹²"),
        ("10*9", "10⁹"),
        ("10*6", "10⁶"),
        ("10*3", "10³"),
    ] {
        shown = shown.replace(power, raised);
    }
    shown
}

/// A Quantity for a dose or strength, with its unit; `None` where it has no value.
#[must_use]
pub fn dose_quantity(quantity: Value<'_>) -> Option<String> {
    let written = quantity.get("value")?.number_text()?;
    let number = dose_number(written);
    let unit = unit_of(quantity, number == "1");
    Some(joined(comparator(quantity), &number, &unit))
}

/// A Quantity of a measurement.
#[must_use]
pub fn measured_quantity(quantity: Value<'_>) -> Option<String> {
    let written = quantity.get("value")?.number_text()?;
    let unit = unit_of(quantity, false);
    Some(joined(
        comparator(quantity),
        &measured_number(written),
        &unit,
    ))
}

/// A number as shown with its unit.
#[must_use]
pub fn with_unit(number: &str, unit: &str) -> String {
    joined("", number, unit)
}

/// The unit of a Quantity, as shown.
#[must_use]
pub fn unit_of(quantity: Value<'_>, one: bool) -> String {
    text(quantity, "unit")
        .or_else(|| text(quantity, "code"))
        .map_or_else(String::new, |written| unit(&written, one))
}

/// Comparators in words: `<` and `>` can be read as digits or as each other (MEDi-026).
fn comparator(quantity: Value<'_>) -> &'static str {
    match text(quantity, "comparator").as_deref() {
        Some("<") => "less than",
        Some("<=") => "at most",
        Some(">") => "more than",
        Some(">=") => "at least",
        _ => "",
    }
}

fn joined(comparator: &str, number: &str, unit: &str) -> String {
    let mut shown = String::new();
    if !comparator.is_empty() {
        shown.push_str(comparator);
        shown.push(' ');
    }
    shown.push_str(number);
    if unit == "%" {
        shown.push('%');
    } else if !unit.is_empty() {
        shown.push(NO_BREAK_SPACE);
        shown.push_str(unit);
    }
    shown
}

/// A strength as a Ratio: `500 mg`, `400 mg in 5 mL` (MEDi-045), `100 units per mL` (MEDi-046).
#[must_use]
pub fn strength(ratio: Value<'_>) -> Option<String> {
    let numerator = ratio.get("numerator").and_then(dose_quantity)?;
    let Some(denominator) = ratio.get("denominator") else {
        return Some(numerator);
    };
    let amount = denominator
        .get("value")
        .and_then(Value::number_text)
        .map_or_else(|| "1".to_owned(), dose_number);
    let unit = unit_of(denominator, amount == "1");
    let solid = ["", "tablet", "capsule", "TAB", "CAP"].contains(&unit.as_str());
    Some(match (amount.as_str(), solid) {
        ("1", true) => numerator,
        ("1", false) => format!("{numerator} per{NO_BREAK_SPACE}{unit}"),
        _ => format!("{numerator} in{NO_BREAK_SPACE}{amount}{NO_BREAK_SPACE}{unit}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    fn shown(body: &str) -> String {
        dose_quantity(parse(body).root())
            .unwrap()
            .replace('\u{a0}', " ")
    }

    #[test]
    fn medi_015_no_trailing_zero() {
        for (written, number) in [
            ("0.50", "0.5"),
            ("1.0", "1"),
            ("10", "10"),
            ("2.500", "2.5"),
            ("100", "100"),
            ("0", "0"),
        ] {
            assert_eq!(dose_number(written), number);
        }
    }

    #[test]
    fn medi_016_leading_zero() {
        assert_eq!(dose_number("5e-1"), "0.5");
        assert_eq!(shown(r#"{"value":0.25,"unit":"mg"}"#), "0.25 mg");
    }

    #[test]
    fn medi_017_comma_from_one_thousand() {
        for (written, number) in [
            ("999", "999"),
            ("1000", "1,000"),
            ("1e6", "1,000,000"),
            ("12345.5", "12,345.5"),
            ("-1500", "−1,500"),
        ] {
            assert_eq!(dose_number(written), number);
        }
    }

    #[test]
    fn medi_023_micrograms_and_units_in_full() {
        for (body, text) in [
            (r#"{"value":125,"unit":"ug"}"#, "125 micrograms"),
            (r#"{"value":1,"unit":"mcg"}"#, "1 microgram"),
            (r#"{"value":5000,"unit":"IU"}"#, "5,000 units"),
            (r#"{"value":1,"code":"[iU]"}"#, "1 unit"),
            (r#"{"value":2,"unit":"cc"}"#, "2 mL"),
            (r#"{"value":500,"unit":"mg."}"#, "500 mg"),
            (r#"{"value":2,"code":"{tablet}"}"#, "2 tablets"),
            (r#"{"value":5,"unit":"ng"}"#, "5 nanograms"),
        ] {
            assert_eq!(shown(body), text);
        }
    }

    #[test]
    fn medi_041_a_space_that_does_not_break_before_the_unit() {
        assert_eq!(
            dose_quantity(parse(r#"{"value":1,"unit":"g"}"#).root()).unwrap(),
            "1\u{a0}g"
        );
    }

    #[test]
    fn medi_026_comparators_in_words() {
        assert_eq!(
            shown(r#"{"value":5,"unit":"mmol/L","comparator":"<"}"#),
            "less than 5 mmol/L"
        );
    }

    #[test]
    fn medi_045_046_strengths_in_fluids() {
        for (body, text) in [
            (
                r#"{"numerator":{"value":400,"unit":"mg"},"denominator":{"value":5,"unit":"mL"}}"#,
                "400 mg in 5 mL",
            ),
            (
                r#"{"numerator":{"value":100,"unit":"U"},"denominator":{"value":1,"unit":"mL"}}"#,
                "100 units per mL",
            ),
            (
                r#"{"numerator":{"value":500,"unit":"mg"},"denominator":{"value":1,"unit":"tablet"}}"#,
                "500 mg",
            ),
        ] {
            assert_eq!(
                strength(parse(body).root()).unwrap().replace('\u{a0}', " "),
                text
            );
        }
    }

    #[test]
    fn measurements_keep_their_precision() {
        for (written, number) in [
            ("7.40", "7.40"),
            ("98.60", "98.60"),
            ("27.6837189", "27.68"),
            ("0.013456", "0.0135"),
            ("1200", "1,200"),
        ] {
            assert_eq!(measured_number(written), number);
        }
    }
}
