//! What is refused, what is reported, and how instructions join. Must not test the texts: `text::cases`.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use fhir::json::{Document, Limits};

use super::{Dosage, Weight, regimen};

fn try_read(json: &str) -> Result<Dosage, String> {
    let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
    Dosage::read(document.root()).map_err(|error| error.to_string())
}

fn read(json: &str) -> Dosage {
    try_read(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn what_cannot_be_understood_is_refused() {
    for (json, where_it_is) in [
        ("[]", ""),
        (r#"{"sequence":"1"}"#, "sequence"),
        (r#"{"sequence":1.5}"#, "sequence"),
        (
            r#"{"asNeededBoolean":true,"asNeededCodeableConcept":{"text":"pain"}}"#,
            "asNeededCodeableConcept",
        ),
        (
            r#"{"modifierExtension":[{"url":"x"}]}"#,
            "modifierExtension",
        ),
        (
            r#"{"doseAndRate":[{"doseQuantity":{"value":5,"comparator":"<"}}]}"#,
            "doseAndRate[0].doseQuantity.comparator",
        ),
        (
            r#"{"doseAndRate":[{"doseQuantity":{"unit":"mg"}}]}"#,
            "doseAndRate[0].doseQuantity",
        ),
        (
            r#"{"doseAndRate":[{"doseQuantity":{"value":"5"}}]}"#,
            "doseAndRate[0].doseQuantity.value",
        ),
        (
            r#"{"doseAndRate":[{"doseQuantity":{"value":5},"doseRange":{"low":{"value":1}}}]}"#,
            "doseAndRate[0].doseRange",
        ),
        (
            r#"{"doseAndRate":[{"doseRange":{}}]}"#,
            "doseAndRate[0].doseRange",
        ),
        (r#"{"doseAndRate":{}}"#, "doseAndRate"),
        (r#"{"timing":{"event":["2026-03"]}}"#, "timing.event[0]"),
        (r#"{"timing":{"event":["2026-02-30"]}}"#, "timing.event[0]"),
        (
            r#"{"timing":{"event":["2026-03-05T08:00:00"]}}"#,
            "timing.event[0]",
        ),
        (
            r#"{"timing":{"repeat":{"timeOfDay":["24:00:00"]}}}"#,
            "timing.repeat.timeOfDay[0]",
        ),
        (
            r#"{"timing":{"repeat":{"timeOfDay":["08:00"]}}}"#,
            "timing.repeat.timeOfDay[0]",
        ),
        (
            r#"{"timing":{"repeat":{"when":["TEATIME"]}}}"#,
            "timing.repeat.when[0]",
        ),
        (
            r#"{"timing":{"repeat":{"periodUnit":"day"}}}"#,
            "timing.repeat.periodUnit",
        ),
        (
            r#"{"timing":{"repeat":{"boundsRange":{"low":{"value":1}},"boundsPeriod":{}}}}"#,
            "timing.repeat.boundsPeriod",
        ),
        (
            r#"{"maxDosePerPeriod":{"numerator":{"value":4}}}"#,
            "maxDosePerPeriod",
        ),
    ] {
        let error = try_read(json).expect_err(json);
        assert!(
            error.starts_with(&format!("{where_it_is}: ")),
            "{json}: {error}"
        );
    }
}

fn dose(value: &str, unit: &str) -> String {
    format!(
        r#""doseAndRate":[{{"doseQuantity":{{"value":{value},"system":"http://unitsofmeasure.org","code":"{unit}"}}}}]"#
    )
}

fn with_repeat(repeat: &str) -> String {
    format!(
        r#"{{{},"timing":{{"repeat":{{{repeat}}}}}}}"#,
        dose("5", "mg")
    )
}

fn codes(json: &str) -> Vec<(Weight, &'static str)> {
    let problems = read(json).problems();
    problems.iter().map(|p| (p.weight, p.code)).collect()
}

#[test]
fn a_timing_that_contradicts_itself_is_an_error() {
    let length = |value: &str, unit: &str| {
        format!(r#"{{"value":{value},"system":"http://unitsofmeasure.org","code":"{unit}"}}"#)
    };
    let daily = r#""frequency":1,"period":1,"periodUnit":"d""#;
    for (repeat, code) in [
        (
            r#""frequency":0,"period":1,"periodUnit":"d""#.to_owned(),
            "not_positive",
        ),
        (
            r#""frequency":-1,"period":1,"periodUnit":"d""#.to_owned(),
            "not_positive",
        ),
        (
            r#""frequency":3,"frequencyMax":2,"period":1,"periodUnit":"d""#.to_owned(),
            "range",
        ),
        (
            r#""frequency":1,"period":0,"periodUnit":"d""#.to_owned(),
            "not_positive",
        ),
        (
            r#""frequency":1,"period":6,"periodMax":4,"periodUnit":"h""#.to_owned(),
            "range",
        ),
        (r#""frequency":1,"period":6"#.to_owned(), "incomplete"),
        (r#""frequency":1"#.to_owned(), "incomplete"),
        (r#""periodUnit":"d""#.to_owned(), "incomplete"),
        (format!(r#"{daily},"count":0"#), "not_positive"),
        (format!(r#"{daily},"count":5,"countMax":3"#), "range"),
        (format!(r#"{daily},"duration":5"#), "incomplete"),
        (
            format!(r#"{daily},"when":["C"],"offset":30"#),
            "contradiction",
        ),
        (format!(r#"{daily},"offset":30"#), "incomplete"),
        (format!(r#"{daily},"when":["HS"],"offset":-30"#), "negative"),
        (
            format!(r#"{daily},"when":["HS"],"timeOfDay":["22:00:00"]"#),
            "contradiction",
        ),
        (
            format!(r#"{daily},"timeOfDay":["08:00:00","20:00:00"]"#),
            "contradiction",
        ),
        (
            r#""frequency":2,"period":1,"periodUnit":"d","timeOfDay":["08:00:00","08:00:00"]"#
                .to_owned(),
            "twice",
        ),
        (
            r#""frequency":1,"period":6,"periodUnit":"h","timeOfDay":["08:00:00"]"#.to_owned(),
            "contradiction",
        ),
        (format!(r#"{daily},"dayOfWeek":["mon","mon"]"#), "twice"),
        (
            r#""frequency":1,"period":2,"periodUnit":"d","dayOfWeek":["mon"]"#.to_owned(),
            "contradiction",
        ),
        (
            r#""frequency":1,"period":1,"periodUnit":"mo","dayOfWeek":["mon"]"#.to_owned(),
            "contradiction",
        ),
        (
            r#""frequency":3,"period":1,"periodUnit":"wk","dayOfWeek":["mon","fri"]"#.to_owned(),
            "contradiction",
        ),
        (
            format!(r#"{daily},"boundsPeriod":{{"start":"2026-03-07","end":"2026-03-01"}}"#),
            "stop_before_start",
        ),
        (
            format!(
                r#"{daily},"boundsPeriod":{{"start":"2026-03-07T10:00:00Z","end":"2026-03-07T09:00:00Z"}}"#
            ),
            "stop_before_start",
        ),
        (
            format!(r#"{daily},"boundsDuration":{}"#, length("0", "d")),
            "not_positive",
        ),
        (
            format!(r#"{daily},"boundsDuration":{}"#, length("7", "mg")),
            "unit",
        ),
        (
            format!(
                r#"{daily},"boundsRange":{{"low":{},"high":{}}}"#,
                length("7", "d"),
                length("5", "d")
            ),
            "range",
        ),
    ] {
        let found = codes(&with_repeat(&repeat));
        assert!(
            found.contains(&(Weight::Error, code)),
            "{repeat}: {found:?}"
        );
    }
    assert_eq!(codes(&with_repeat(daily)), []);
}

#[test]
fn a_dose_that_is_wrong_or_misread_is_reported() {
    let daily = r#""timing":{"repeat":{"frequency":1,"period":1,"periodUnit":"d"}}"#;
    let error = |code| Some((Weight::Error, code));
    let warning = |code| Some((Weight::Warning, code));
    for (value, unit, expected) in [
        ("0", "mg", error("not_positive")),
        ("-5", "mg", error("not_positive")),
        ("5.0", "mg", warning("trailing_zero")),
        ("5.10", "mg", warning("trailing_zero")),
        ("5e1", "mg", warning("exponent")),
        ("0.125", "mg", warning("below_one")),
        ("10", "U", warning("enzyme_unit")),
        ("5", "mcg", error("unit")),
        ("50", "mg", None),
        ("2.5", "mg", None),
        ("0.5", "{tablet}", None),
    ] {
        let found = codes(&format!("{{{},{daily}}}", dose(value, unit)));
        assert_eq!(
            found.first().copied(),
            expected,
            "{value} {unit}: {found:?}"
        );
    }
    for (name, code) in [
        ("IU", "abbreviated_unit"),
        ("\u{b5}g", "abbreviated_unit"),
        ("tablet", "uncoded_unit"),
    ] {
        let json = format!(
            r#"{{"doseAndRate":[{{"doseQuantity":{{"value":5,"unit":"{name}"}}}}],{daily}}}"#
        );
        let found = codes(&json);
        assert!(
            found.contains(&(Weight::Warning, code)),
            "{name}: {found:?}"
        );
    }
    let mismatch = format!(
        r#"{{"doseAndRate":[{{"doseRange":{{"low":{{"value":1,"system":"http://unitsofmeasure.org","code":"mg"}},"high":{{"value":2,"system":"http://unitsofmeasure.org","code":"mL"}}}}}}],{daily}}}"#
    );
    assert!(codes(&mismatch).contains(&(Weight::Error, "unit_mismatch")));
}

#[test]
fn a_maximum_below_one_dose_contradicts_it() {
    let most = |value: &str, unit: &str| {
        let amount =
            format!(r#"{{"value":{value},"system":"http://unitsofmeasure.org","code":"{unit}"}}"#);
        let day = r#"{"value":24,"system":"http://unitsofmeasure.org","code":"h"}"#;
        format!(
            r#"{{{},"asNeededCodeableConcept":{{"text":"pain"}},"maxDosePerPeriod":{{"numerator":{amount},"denominator":{day}}}}}"#,
            dose("1", "g")
        )
    };
    assert_eq!(codes(&most("4", "g")), []);
    assert_eq!(
        codes(&most("500", "mg")),
        [(Weight::Error, "above_maximum")]
    );
    assert_eq!(
        codes(&most("8", "{tablet}")),
        [(Weight::Warning, "maximum_unit")]
    );
}

#[test]
fn extensions_are_kept_and_their_silence_is_said() {
    let json = r#"{"timing":{"repeat":{"frequency":1,"period":1,"periodUnit":"d","_count":{"extension":[{"url":"x"}]}}},"extension":[{"url":"y","valueDecimal":1.50}],"doseAndRate":[{"doseQuantity":{"value":1.50,"unit":"mg"}}]}"#;
    let dosage = read(json);
    let whole = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(whole(&dosage.to_json()), whole(json));
    assert!(dosage.to_json().contains("1.50"));
    assert_eq!(
        dosage.words().unsaid,
        ["an extension of the timing", "an extension of the dose"]
    );
    assert_eq!(read("{}").words().unsaid, ["the dose", "when it is due"]);
}

#[test]
fn instructions_join_in_their_order() {
    let step = |sequence: u8, value: &str| {
        let bounds =
            r#""boundsDuration":{"value":5,"system":"http://unitsofmeasure.org","code":"d"}"#;
        let repeat =
            format!(r#""frequency":1,"period":1,"periodUnit":"d","when":["MORN"],{bounds}"#);
        read(&format!(
            r#"{{"sequence":{sequence},{},"timing":{{"repeat":{{{repeat}}}}}}}"#,
            dose(value, "mg")
        ))
    };
    let text = regimen(&[step(2, "20"), step(1, "40"), step(2, "5")]).text;
    assert_eq!(
        text,
        "40 mg once a day in the morning for 5 days. Then: 20 mg once a day in the morning for 5 days. And: 5 mg once a day in the morning for 5 days."
    );
}
