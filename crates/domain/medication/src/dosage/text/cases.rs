//! The table of dose texts: one line each in `cases.txt` of dose, route, repeat, further members and the
//! text. Every text was read by eye before it was written down. Must hold no rule of its own.

use fhir::json::{Document, Limits};

use crate::dosage::{Dosage, Weight};

const CASES: &str = include_str!("cases.txt");

fn quantity(text: &str) -> String {
    let (value, unit) = text.split_once(' ').unwrap();
    format!(r#"{{"value":{value},"system":"http://unitsofmeasure.org","code":"{unit}"}}"#)
}

/// `1..2 {tablet}` is a range, `500 mg` an amount.
fn dose(text: &str) -> String {
    match text.split_once("..") {
        Some((low, rest)) => {
            let (high, unit) = rest.split_once(' ').unwrap();
            let (low, high) = (
                quantity(&format!("{low} {unit}")),
                quantity(&format!("{high} {unit}")),
            );
            format!(r#""doseAndRate":[{{"doseRange":{{"low":{low},"high":{high}}}}}]"#)
        }
        None => format!(r#""doseAndRate":[{{"doseQuantity":{}}}]"#, quantity(text)),
    }
}

/// The JSON of a line's first four columns.
fn source(columns: &[&str]) -> String {
    let mut members = Vec::new();
    if !columns[0].is_empty() {
        members.push(dose(columns[0]));
    }
    if !columns[1].is_empty() {
        members.push(format!(r#""route":{{"text":"{}"}}"#, columns[1]));
    }
    if !columns[2].is_empty() {
        members.push(format!(r#""timing":{{"repeat":{{{}}}}}"#, columns[2]));
    }
    if !columns[3].is_empty() {
        members.push(columns[3].to_owned());
    }
    format!("{{{}}}", members.join(","))
}

fn read(json: &str) -> Dosage {
    let document = Document::parse(json.as_bytes().to_vec(), &Limits::default())
        .unwrap_or_else(|error| panic!("{json}: {error}"));
    Dosage::read(document.root()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = CASES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(" | ").map(str::trim).collect())
}

#[test]
fn every_case_reads_as_a_nurse_would_sign_it() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for columns in lines() {
        assert_eq!(columns.len(), 5, "{columns:?}");
        let words = read(&source(&columns)).words();
        if words.text != columns[4] {
            wrong.push(format!("{} | {}", columns[..4].join(" | "), words.text));
        }
        count += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count >= 120, "only {count} cases");
}

#[test]
fn every_case_is_valid_and_printed_back_whole() {
    for columns in lines() {
        let json = source(&columns);
        let dosage = read(&json);
        let errors: Vec<_> = dosage
            .problems()
            .into_iter()
            .filter(|problem| problem.weight == Weight::Error)
            .collect();
        assert!(errors.is_empty(), "{json}: {errors:?}");
        let printed = dosage.to_json();
        assert_eq!(read(&printed), dosage, "{json}");
        let whole = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(whole(&printed), whole(&json));
    }
}

#[test]
fn no_text_holds_what_is_misread() {
    for columns in lines() {
        let text = read(&source(&columns)).words().text;
        for bad in ["µg", "mcg", "IU", " U ", " u ", "QD", " cc ", ".0 "] {
            assert!(!text.contains(bad), "{text}");
        }
        let naked = text
            .as_bytes()
            .windows(2)
            .any(|w| w[0] == b' ' && w[1] == b'.');
        assert!(!naked, "{text}");
        assert!(text.len() < 400, "{text}");
    }
}
