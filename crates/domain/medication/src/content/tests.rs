//! What doses hold, and what orders give, as tables.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use fhir::json::{Document, Limits};

use super::*;
use crate::dosage::Dosage;
use crate::knowledge::builtin;

fn article(name: &str) -> Article {
    let knowledge = builtin::built_in().unwrap();
    let products = crate::dictionary::built_in(knowledge).unwrap();
    Article::of(
        products.by_name(name).unwrap_or_else(|| panic!("{name}")),
        knowledge,
    )
}

fn quantity(text: &str) -> Quantity {
    let (value, unit) = text.split_once(' ').unwrap();
    let unit = match unit.strip_prefix('\'') {
        Some(named) => Unit::named(named),
        None => Unit::ucum(unit),
    };
    Quantity::new(value.parse().unwrap(), unit)
}

fn shown(contents: &[Content]) -> String {
    let each = contents.iter().map(|one| match &one.much {
        Ok(much) => format!(
            "{} {} {}",
            one.substance.as_str(),
            much.value,
            much.unit.name()
        ),
        Err(why) => {
            let why = format!("{why:?}");
            let name = why.split([' ', '{']).next().unwrap_or_default().to_owned();
            format!("{} {name}", one.substance.as_str())
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

#[test]
fn doses_hold_what_the_product_holds() {
    for (product, dose, expected) in [
        (
            "Paracetamol 500mg tablet",
            "2 {tablet}",
            "paracetamol 1000 mg",
        ),
        (
            "Paracetamol 500mg tablet",
            "2 'tablets",
            "paracetamol 1000 mg",
        ),
        ("Paracetamol 500mg tablet", "1 g", "paracetamol 1000 mg"),
        ("Paracetamol 500mg tablet", "5 mL", "paracetamol Unit"),
        ("Paracetamol 500mg tablet", "1 'capsule", "paracetamol Unit"),
        (
            "Co-codamol 500mg/30mg tablet",
            "2 {tablet}",
            "paracetamol 1000 mg; codeine 60 mg",
        ),
        (
            "Co-codamol 500mg/30mg tablet",
            "1 g",
            "paracetamol Ambiguous; codeine Ambiguous",
        ),
        (
            "Paracetamol 250mg/5ml oral suspension",
            "7.5 mL",
            "paracetamol 375 mg",
        ),
        (
            "Paracetamol 250mg/5ml oral suspension",
            "0.01 L",
            "paracetamol 500 mg",
        ),
        (
            "Paracetamol 250mg/5ml oral suspension",
            "2 {tablet}",
            "paracetamol Unit",
        ),
        (
            "Morphine 10mg modified-release tablet",
            "1 {tablet}",
            "morphine 10 mg",
        ),
        (
            "Fentanyl 12 micrograms/hour transdermal patch",
            "1 {patch}",
            "fentanyl Rate",
        ),
        (
            "Insulin aspart 100 units/ml solution for injection",
            "0.1 mL",
            "insulin aspart 10 [iU]",
        ),
        (
            "Insulin aspart 100 units/ml solution for injection",
            "10 U",
            "insulin aspart 10 [iU]",
        ),
        (
            "Insulin aspart 100 units/ml solution for injection",
            "10 mg",
            "insulin aspart Unit",
        ),
    ] {
        let found = shown(&article(product).contents(&quantity(dose)));
        assert_eq!(found, expected, "{dose} of {product}");
    }
}

fn dosages(json: &str) -> Vec<Dosage> {
    let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
    let items = document.root().items();
    items.map(|item| Dosage::read(item).unwrap()).collect()
}

#[test]
fn orders_give_so_much_at_once_and_in_a_day() {
    let dose = |n: &str, timing: &str| {
        format!(
            r#"{{"doseAndRate":[{{"doseQuantity":{{"value":{n},"unit":"tablet"}}}}],"timing":{{"repeat":{timing}}}}}"#
        )
    };
    let daily = |n: u8| format!(r#"{{"frequency":{n},"period":1,"periodUnit":"d"}}"#);
    let a = dose("1", &daily(4));
    let b = dose("2", r#"{"timeOfDay":["08:00:00","22:00:00"]}"#);
    let weekly = dose("1", r#"{"frequency":1,"period":1,"periodUnit":"wk"}"#);
    let hours = dose("1", r#"{"frequency":1,"period":6,"periodUnit":"h"}"#);
    let needed = r#"{"asNeededCodeableConcept":{"text":"pain"},"doseAndRate":[{"doseRange":{"low":{"value":1,"unit":"tablet"},"high":{"value":2,"unit":"tablet"}}}],"maxDosePerPeriod":{"numerator":{"value":8,"unit":"tablet"},"denominator":{"value":24,"system":"http://unitsofmeasure.org","code":"h"}}}"#;
    let vague = r#"{"asNeededCodeableConcept":{"text":"pain"},"doseAndRate":[{"doseQuantity":{"value":1,"unit":"tablet"}}]}"#;
    let mixed = r#"{"doseAndRate":[{"doseQuantity":{"value":5,"unit":"mL"}}],"timing":{"repeat":{"frequency":1,"period":1,"periodUnit":"d"}}}"#;
    let second = a.replacen('{', r#"{"sequence":2,"#, 1);
    for (json, single, most) in [
        (format!("[{a}]"), Some("1"), Some("4")),
        (format!("[{a},{b}]"), Some("2"), Some("8")),
        (format!("[{b},{second}]"), Some("2"), Some("4")),
        (format!("[{weekly}]"), Some("1"), Some("1")),
        (format!("[{hours}]"), Some("1"), Some("4")),
        (format!("[{needed}]"), Some("2"), Some("8")),
        (format!("[{vague}]"), Some("1"), None),
        (format!("[{a},{mixed}]"), None, None),
    ] {
        let found = regimen(&dosages(&json));
        let plain = |one: Option<Quantity>| one.map(|own| own.value.to_string());
        assert_eq!(plain(found.single).as_deref(), single, "{json}");
        assert_eq!(plain(found.daily).as_deref(), most, "{json}");
    }
}

#[test]
fn a_timing_of_bounds_alone_is_as_often_as_its_code_says() {
    let timed = |timing: &str| {
        format!(
            r#"[{{"doseAndRate":[{{"doseQuantity":{{"value":1,"system":"http://unitsofmeasure.org","code":"g"}}}}],"timing":{timing}}}]"#
        )
    };
    let coded = |code: &str, repeat: &str| {
        timed(&format!(
            r#"{{"code":{{"coding":[{{"code":"{code}"}}]}},"repeat":{{{repeat}}}}}"#
        ))
    };
    let stated = |repeat: &str| timed(&format!(r#"{{"repeat":{{{repeat}}}}}"#));
    let five = r#""boundsDuration":{"value":5,"system":"http://unitsofmeasure.org","code":"d"}"#;
    let dates = r#""boundsPeriod":{"start":"2026-03-01","end":"2026-03-05"}"#;
    for (json, most) in [
        (coded("QID", five), Some("4")),
        (coded("BID", dates), Some("2")),
        (coded("QID", r#""count":20"#), Some("4")),
        (coded("Q4H", five), Some("6")),
        (coded("AM", five), Some("1")),
        // What is stated holds before the code.
        (
            coded("QID", r#""frequency":2,"period":1,"periodUnit":"d""#),
            Some("2"),
        ),
        // A code that nobody knows says nothing.
        (coded("OFTEN", five), None),
        (stated(five), None),
        (stated(dates), None),
        (stated(r#""count":6"#), None),
        (stated(r#""count":1,"countMax":6"#), None),
        (stated(r#""count":1"#), Some("1")),
        (
            stated(&format!(r#"{five},"timeOfDay":["08:00:00","20:00:00"]"#)),
            Some("2"),
        ),
    ] {
        let found = regimen(&dosages(&json)).daily;
        let found = found.map(|own| own.value.to_string());
        assert_eq!(found.as_deref(), most, "{json}");
    }
    // What bounds it stays.
    let kept = dosages(&coded("QID", &format!(r#"{five},"count":20"#)));
    let rule = kept[0].timing.as_ref().unwrap().rule().unwrap();
    assert!(rule.bounds.is_some());
    assert_eq!((rule.count, rule.frequency), (Some(20), Some(4)));
}

#[test]
fn the_checks_see_the_doses_of_the_order() {
    use crate::checks::{Allergies, NotChecked, check};
    use crate::knowledge::{Fact, Facts};
    let knowledge = builtin::built_in().unwrap();
    let of = |product: &str, dosage: &str| medicine(&article(product), &dosages(dosage));
    let four = r#"[{"doseAndRate":[{"doseQuantity":{"value":2,"unit":"tablet"}}],"timing":{"repeat":{"frequency":4,"period":1,"periodUnit":"d"}}}]"#;
    let facts = Facts {
        age_months: Fact::Known(480),
        weight_grams: Fact::Known(80_000),
        ..Facts::default()
    };
    let fired = |list: &[crate::checks::Medicine]| -> Vec<String> {
        let report = check(knowledge, &facts, &Allergies::NoneKnown, list);
        let rules = report.findings.iter().map(|one| one.rule.id.clone());
        rules.filter(|rule| rule.starts_with("dose-")).collect()
    };
    let para = of("Paracetamol 500mg tablet", four);
    let co = of("Co-codamol 500mg/8mg tablet", four);
    assert!(fired(std::slice::from_ref(&para)).is_empty());
    // Each alone is right; together they hold eight grams, which is one finding about both.
    let both = [para, co];
    assert_eq!(fired(&both), ["dose-paracetamol-adult"]);
    let report = check(knowledge, &facts, &Allergies::NoneKnown, &both);
    let mut doses = report.findings.iter();
    let dose = doses.find(|own| own.rule.id == "dose-paracetamol-adult");
    assert_eq!(dose.unwrap().medicines, [0, 1]);
    // Units of insulin are units, not milligrams.
    let insulin = |value: &str, code: &str| {
        let dose = format!(
            r#"[{{"doseAndRate":[{{"doseQuantity":{{"value":{value},"system":"http://unitsofmeasure.org","code":"{code}"}}}}],"timing":{{"repeat":{{"frequency":1,"period":1,"periodUnit":"d"}}}}}}]"#
        );
        of(
            "Insulin glargine 100 units/ml solution for injection",
            &dose,
        )
    };
    assert!(fired(&[insulin("10", "[iU]")]).is_empty());
    assert_eq!(fired(&[insulin("100", "[iU]")]), ["dose-insulin-single"]);
    assert_eq!(
        fired(&[insulin("2.5", "mL")]),
        ["dose-insulin-daily", "dose-insulin-single"]
    );
    let report = check(
        knowledge,
        &facts,
        &Allergies::NoneKnown,
        &[insulin("10", "mg")],
    );
    let said = |gap: &NotChecked| matches!(gap, NotChecked::Dose(0, _));
    assert!(
        report.not_checked.iter().any(said),
        "a mass of insulin is not checked, and says so"
    );
}
