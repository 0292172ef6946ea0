//! Tables: what is recorded, what the checks are told of it, and what stays unknown.

use fhir::json::{Document, Limits, Value};
use jiff::tz::TimeZone;
use kernel::Timestamp;

use super::*;
use crate::checks::{Allergen, Allergies, Medicine};
use crate::dictionary::built_in as products;
use crate::knowledge::builtin::built_in;
use crate::knowledge::{DrugKnowledge as _, Fact, Facts, Knowledge, Measured, Pregnancy};

fn known() -> &'static Knowledge {
    built_in().unwrap()
}

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap()
}

fn allergens(resources: &[&str]) -> Allergies {
    let documents: Vec<Document> = resources.iter().map(|text| document(text)).collect();
    let values: Vec<Value<'_>> = documents.iter().map(Document::root).collect();
    allergies(known(), &values).allergies
}

fn allergy(code: &str) -> String {
    format!(
        r#"{{"resourceType":"AllergyIntolerance","code":{code},"clinicalStatus":{{"coding":[{{"code":"active"}}]}}}}"#
    )
}

#[test]
fn nobody_asked_is_not_none_known() {
    let none = allergy(r#"{"coding":[{"system":"http://snomed.info/sct","code":"716186003"}]}"#);
    let food = allergy(
        r#"{"coding":[{"system":"http://snomed.info/sct","code":"429625007"}],"text":"No known food allergy"}"#,
    );
    assert_eq!(allergens(&[]), Allergies::NotAsked);
    assert_eq!(allergens(&[&none]), Allergies::NoneKnown);
    assert_ne!(allergens(&[&food]), Allergies::NoneKnown);
    let penicillin = allergy(r#"{"text":"Penicillin"}"#);
    assert_eq!(
        allergens(&[&none, &penicillin]),
        Allergies::Known(vec![Allergen::Class("penicillins".to_owned())]),
        "a known allergy outweighs the statement"
    );
    for gone in [
        r#"{"code":{"text":"Penicillin"},"verificationStatus":{"coding":[{"code":"refuted"}]}}"#,
        r#"{"code":{"text":"Penicillin"},"verificationStatus":{"coding":[{"code":"entered-in-error"}]}}"#,
        r#"{"code":{"text":"Penicillin"},"clinicalStatus":{"coding":[{"code":"resolved"}]}}"#,
    ] {
        assert_eq!(allergens(&[gone]), Allergies::NotAsked, "{gone}");
    }
}

#[test]
fn resolves_allergies_by_name_and_code() {
    let id = |name: &str| Allergen::Ingredient(known().ingredient(name).unwrap());
    let class = |key: &str| Allergen::Class(key.to_owned());
    let lost = |name: &str| Allergen::Unresolved(name.to_owned());
    let table: Vec<(&str, Allergen)> = vec![
        (
            r#"{"text":"Allergy to penicillin (finding)"}"#,
            class("penicillins"),
        ),
        (r#"{"text":"Penicillin allergy"}"#, class("penicillins")),
        (r#"{"text":"Cephalosporin"}"#, class("cephalosporins")),
        (
            r#"{"text":"Sulfonamide antibiotic"}"#,
            class("sulfonamide-antibiotics"),
        ),
        (
            r#"{"text":"NSAID intolerance"}"#,
            class("non-selective-nsaids"),
        ),
        (r#"{"text":"Aspirin"}"#, id("aspirin")),
        (r#"{"text":"Amoxicillin trihydrate"}"#, id("amoxicillin")),
        (
            r#"{"coding":[{"display":"Allergy to ibuprofen"}]}"#,
            id("ibuprofen"),
        ),
        (
            r#"{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"703"}]}"#,
            id("amiodarone"),
        ),
        (r#"{"text":"Shellfish allergy"}"#, id("shellfish")),
        (
            r#"{"text":"House dust mite allergy"}"#,
            lost("House dust mite allergy"),
        ),
        (r#"{"text":"Morphin"}"#, lost("Morphin")),
        ("{}", lost("an allergy without a name")),
    ];
    for (code, expected) in table {
        assert_eq!(
            allergens(&[&allergy(code)]),
            Allergies::Known(vec![expected]),
            "{code}"
        );
    }
    let reaction =
        r#"{"code":{"text":"Bad rash"},"reaction":[{"substance":{"text":"Trimethoprim"}}]}"#;
    assert_eq!(
        allergens(&[reaction]),
        Allergies::Known(vec![lost("Bad rash"), id("trimethoprim")])
    );
}

const NOW: &str = "2026-11-23T12:00:00Z";

fn facts(person: &str, observations: &[&str]) -> Facts {
    let person = document(person);
    let documents: Vec<Document> = observations.iter().map(|text| document(text)).collect();
    let values: Vec<Value<'_>> = documents.iter().map(Document::root).collect();
    let now = Timestamp::from_rfc3339(NOW).unwrap();
    patient(Some(person.root()), &values, now, &TimeZone::UTC)
}

fn observed(code: &str, when: &str, quantity: &str) -> String {
    format!(
        r#"{{"status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"effectiveDateTime":"{when}","valueQuantity":{quantity}}}"#
    )
}

#[test]
fn completed_months_of_life() {
    let table = [
        ("1950-11-23", Some(912)),
        ("1950-11-24", Some(911)),
        ("2026-11-23", Some(0)),
        ("2026-10-31", Some(0)),
        ("2024-02-29", Some(32)),
        ("2027-01-01", None),
        ("1950", None),
        ("1950-11", None),
    ];
    for (born, months) in table {
        let found = facts(&format!(r#"{{"birthDate":"{born}"}}"#), &[]);
        assert_eq!(found.age_months.known(), months, "{born}");
    }
    assert_eq!(facts("{}", &[]).age_months, Fact::Unknown);
}

#[test]
fn values_hold_for_a_time() {
    let kilograms = r#"{"value":70.25,"system":"http://unitsofmeasure.org","code":"kg"}"#;
    let pounds = r#"{"value":100,"system":"http://unitsofmeasure.org","code":"[lb_av]"}"#;
    let adult = r#"{"birthDate":"1950-01-01"}"#;
    let child = r#"{"birthDate":"2020-01-01"}"#;
    let infant = r#"{"birthDate":"2026-01-01"}"#;
    let weight = |person: &str, when: &str, quantity: &str| {
        facts(person, &[&observed("29463-7", when, quantity)])
            .weight_grams
            .known()
    };
    assert_eq!(weight(adult, "2026-01-01", kilograms), Some(70_250));
    assert_eq!(weight(adult, "2025-11-01", kilograms), None, "too old");
    assert_eq!(weight(child, "2026-09-01", kilograms), Some(70_250));
    assert_eq!(weight(child, "2026-08-01", kilograms), None);
    assert_eq!(weight(infant, "2026-10-20", kilograms), None);
    assert_eq!(
        weight("{}", "2026-10-20", kilograms),
        None,
        "age unknown: the shortest time"
    );
    assert_eq!(weight(adult, "2026-11-20", pounds), Some(45_359));
    assert_eq!(
        weight(adult, "2026-11-20", r#"{"value":70,"code":"mL"}"#),
        None
    );
    assert_eq!(
        weight(
            adult,
            "2026-11-20",
            r#"{"value":0,"code":"kg","system":"http://unitsofmeasure.org"}"#
        ),
        None
    );
    assert_eq!(
        weight(adult, "2027-01-01", kilograms),
        None,
        "not measured yet"
    );
}

#[test]
fn the_newest_renal_value_counts() {
    let rate = |value: &str| {
        format!(r#"{{{value},"unit":"mL/min/{{1.73_m2}}","code":"mL/min/{{1.73_m2}}"}}"#)
    };
    let old = observed("33914-3", "2026-01-01", &rate(r#""value":80"#));
    let new = observed("62238-1", "2026-10-01", &rate(r#""value":44.9"#));
    let person = r#"{"birthDate":"1950-01-01"}"#;
    assert_eq!(facts(person, &[&new, &old]).egfr, Fact::Known(44));
    let below = observed(
        "62238-1",
        "2026-10-01",
        &rate(r#""value":15,"comparator":"<""#),
    );
    assert_eq!(facts(person, &[&below]).egfr, Fact::Known(14));
    let above = observed(
        "62238-1",
        "2026-10-01",
        &rate(r#""value":90,"comparator":">""#),
    );
    assert_eq!(facts(person, &[&above]).egfr, Fact::Known(90));
    let draft = new.replace("final", "preliminary");
    assert_eq!(facts(person, &[&draft]).egfr, Fact::Unknown);
}

#[test]
fn pregnancy_is_known_or_asked_for() {
    let answer = |code: &str, when: &str| {
        format!(
            r#"{{"status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"82810-3"}}]}},"effectiveDateTime":"{when}","valueCodeableConcept":{{"coding":[{{"system":"http://snomed.info/sct","code":"{code}"}}]}}}}"#
        )
    };
    let woman = r#"{"birthDate":"1996-01-01","gender":"female"}"#;
    let told = |person: &str, observations: &[&str]| facts(person, observations).pregnancy;
    assert_eq!(told(woman, &[]), Fact::Unknown);
    assert_eq!(
        told(woman, &[&answer("77386006", "2026-06-01")]),
        Fact::Known(Pregnancy::Yes)
    );
    assert_eq!(
        told(woman, &[&answer("77386006", "2025-06-01")]),
        Fact::Unknown
    );
    assert_eq!(
        told(woman, &[&answer("60001007", "2026-11-20")]),
        Fact::Known(Pregnancy::No)
    );
    assert_eq!(
        told(woman, &[&answer("60001007", "2026-06-01")]),
        Fact::Unknown
    );
    assert_eq!(
        told(r#"{"birthDate":"1940-01-01","gender":"female"}"#, &[]),
        Fact::Known(Pregnancy::No)
    );
    assert_eq!(
        told(r#"{"birthDate":"1996-01-01","gender":"male"}"#, &[]),
        Fact::Known(Pregnancy::No)
    );
    assert_eq!(
        told(
            r#"{"birthDate":"1996-01-01","gender":"male"}"#,
            &[&answer("77386006", "2026-11-01")]
        ),
        Fact::Known(Pregnancy::Yes),
        "what is recorded outweighs the gender"
    );
    assert_eq!(told(r#"{"gender":"unknown"}"#, &[]), Fact::Unknown);
}

fn read(text: &str) -> Medicine {
    let dictionary = products(known()).unwrap();
    let document = document(text);
    medicine(known(), &dictionary, document.root(), &())
}

fn parts(medicine: &Medicine) -> Vec<&str> {
    medicine
        .parts
        .iter()
        .map(|part| known().name(part.ingredient).unwrap())
        .collect()
}

#[test]
fn resolves_medicines_or_names_them() {
    let table: [(&str, &[&str], &[&str]); 12] = [
        (
            r#"{"text":"Co-codamol 500mg/30mg tablet"}"#,
            &["paracetamol", "codeine"],
            &[],
        ),
        (
            r#"{"text":"hydrochlorothiazide 25 MG Oral Tablet"}"#,
            &["hydrochlorothiazide"],
            &[],
        ),
        (r#"{"text":"Warfarin"}"#, &["warfarin"], &[]),
        (
            r#"{"text":"Acetaminophen 325 MG / codeine phosphate 30 MG Oral Tablet"}"#,
            &["paracetamol", "codeine"],
            &[],
        ),
        (
            r#"{"text":"Ibuprofen 200 mg / Zzz 5 mg"}"#,
            &["ibuprofen"],
            &["Zzz"],
        ),
        (
            r#"{"coding":[{"system":"http://www.whocc.no/atc","code":"C01BD01"}],"text":"Brand X"}"#,
            &["amiodarone"],
            &[],
        ),
        (r#"{"text":"Magic drops"}"#, &[], &["Magic"]),
        (
            r#"{"text":"Paracetamol 500mg/Codeine 30mg tablets"}"#,
            &["paracetamol"],
            &["Paracetamol 500mg/Codeine 30mg tablets"],
        ),
        (
            r#"{"text":"ASPIRIN 75MG WITH DIPYRIDAMOLE 200MG"}"#,
            &["aspirin", "dipyridamole"],
            &[],
        ),
        (
            r#"{"coding":[{"system":"http://x","code":"17"}]}"#,
            &[],
            &["17"],
        ),
        (r#"{"text":"Oral"}"#, &[], &["Oral"]),
        ("{}", &[], &["a medicine without a name"]),
    ];
    for (concept, ingredients, unresolved) in table {
        let found = read(&format!(r#"{{"medicationCodeableConcept":{concept}}}"#));
        assert_eq!(parts(&found), ingredients, "{concept}");
        assert_eq!(found.unresolved, unresolved, "{concept}");
    }
    let lost = read("{}");
    assert_eq!(lost.unresolved, ["a medicine without a name"]);
}

#[test]
fn follows_contained_medications_and_states_the_route() {
    let found = read(
        r##"{"contained":[{"resourceType":"Medication","id":"m","code":{"text":"Mixture"},
            "ingredient":[{"itemCodeableConcept":{"text":"Morphine sulfate"}},{"itemCodeableConcept":{"text":"Water"}}]}],
            "medicationReference":{"reference":"#m"},
            "dosageInstruction":[{"route":{"coding":[{"system":"http://snomed.info/sct","code":"6064005"}]}}]}"##,
    );
    assert_eq!(parts(&found), ["morphine"]);
    assert_eq!(found.unresolved, ["Water"]);
    assert_eq!(
        found.route.as_ref().map(|route| route.name.as_str()),
        None,
        "little is absorbed only of a product that is made so"
    );
    assert_eq!(found.name, "Mixture");
    let spoken = read(
        r#"{"medicationCodeableConcept":{"text":"Ibuprofen 5% gel"},"dosage":{"route":{"text":"Topical route"}}}"#,
    );
    assert_eq!(
        spoken.route.map(|route| route.name).as_deref(),
        Some("cutaneous")
    );
    let of_product = read(r#"{"medicationCodeableConcept":{"text":"Ibuprofen 5% gel"}}"#);
    assert_eq!(
        of_product.route.map(|route| route.name).as_deref(),
        Some("cutaneous")
    );
}

#[test]
fn every_observation_that_is_read_is_asked_for() {
    let source = include_str!("patient.rs");
    let read = source.split("pub const OBSERVATIONS").nth(1).unwrap();
    let (asked, rest) = read.split_once(';').unwrap();
    let constants = rest.split("/// Answers to it").next().unwrap();
    let codes: Vec<&str> = constants.split('"').skip(1).step_by(2).collect();
    assert_eq!(codes.len(), 11);
    for code in codes {
        assert!(asked.contains(&format!("|{code}")), "{code}");
    }
}

#[test]
fn doses_reach_the_checks() {
    let order = |name: &str, dose: &str| {
        read(&format!(
            r#"{{"medicationCodeableConcept":{{"text":"{name}"}},"dosageInstruction":[{{
            "timing":{{"repeat":{{"frequency":4,"period":1,"periodUnit":"d"}}}},
            "doseAndRate":[{{"doseQuantity":{dose}}}]}}]}}"#
        ))
    };
    let milligrams = |medicine: &Medicine| {
        let part = medicine.parts.first().unwrap();
        let text = |much: Measured| match much {
            Measured::Milligrams(value) => value.normalize().to_string(),
            Measured::Units(_) => panic!("units"),
        };
        (part.single.map(text), part.daily.map(text))
    };
    let of = |single: &str, daily: &str| (Some(single.to_owned()), Some(daily.to_owned()));
    let tablets = r#"{"value":2,"unit":"tablet"}"#;
    let mass = r#"{"value":25,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}"#;
    assert_eq!(
        milligrams(&order("Paracetamol 500mg tablet", tablets)),
        of("1000", "4000")
    );
    assert_eq!(
        milligrams(&order("Hydrochlorothiazide", mass)),
        of("25", "100")
    );
    assert_eq!(
        milligrams(&order("Hydrochlorothiazide", tablets)),
        (None, None)
    );
}

#[test]
fn a_patch_that_is_applied_to_the_skin_is_absorbed() {
    let patch = read(
        r#"{"medicationCodeableConcept":{"text":"Fentanyl"},"dosageInstruction":[{"route":{"text":"To the skin"}}]}"#,
    );
    assert!(!patch.route.is_some_and(|route| route.is_local()));
    let both = read(
        r#"{"medicationCodeableConcept":{"text":"Metronidazole"},"dosageInstruction":[
            {"route":{"text":"vaginal"}},{"route":{"text":"oral"}}]}"#,
    );
    assert_eq!(both.route, None, "steps by different routes have none");
}
