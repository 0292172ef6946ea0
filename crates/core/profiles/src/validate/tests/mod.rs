//! What profiles ask, rule by rule: each with what passes and what does not.

#![expect(
    clippy::too_many_lines,
    reason = "tables of cases tell their story in one piece"
)]

mod slicing;
mod whole;

use serde_json::{Value as Json, json};

use crate::samples::{extension, library, lines, profile, report};
use crate::validate::Severity;

/// A rule in a profile on a type, resources that keep it, and those that break it with what is said.
struct Rule {
    ty: &'static str,
    differential: Json,
    keep: Vec<Json>,
    broken: Vec<(Json, &'static str)>,
}

fn check(rules: Vec<Rule>) {
    for rule in rules {
        let library = library(vec![profile("p", rule.ty, &rule.differential)]);
        let compiled = library.profile("http://t/p").unwrap();
        assert!(compiled.is_ok(), "{compiled:?}");
        let with_type = |resource: &Json| {
            let mut resource = resource.clone();
            resource["resourceType"] = json!(rule.ty);
            resource
        };
        for resource in &rule.keep {
            let report = report(&library, &with_type(resource), &["http://t/p"]);
            assert_eq!(lines(&report), Vec::<String>::new(), "{resource}");
        }
        for (resource, expected) in &rule.broken {
            let report = report(&library, &with_type(resource), &["http://t/p"]);
            let found = lines(&report);
            assert!(
                found.iter().any(|line| line.contains(expected)),
                "{resource}\nexpected {expected}\nfound {found:#?}"
            );
        }
    }
}

#[test]
fn cardinality_is_narrowed() {
    check(vec![Rule {
        ty: "Patient",
        differential: json!([
            {"path": "Patient"},
            {"path": "Patient.identifier", "min": 1, "max": "2"},
            {"path": "Patient.contact", "max": "0"},
            {"path": "Patient.name.family", "min": 1}
        ]),
        keep: vec![
            json!({"identifier": [{"value": "1"}], "name": [{"family": "A"}]}),
            json!({"identifier": [{"value": "1"}, {"value": "2"}]}),
            json!({"identifier": [{"value": "1"}],
                   "name": [{"_family": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}}]}),
        ],
        broken: vec![
            (
                json!({"active": true}),
                "Error Patient.identifier Patient.identifier: identifier is required at least 1 times, there are 0",
            ),
            (
                json!({"identifier": [{"value": "1"}, {"value": "2"}, {"value": "3"}]}),
                "identifier may stand at most 2 times, there are 3",
            ),
            (
                json!({"identifier": [{"value": "1"}], "contact": [{"gender": "male"}]}),
                "contact is not used here",
            ),
            (
                json!({"identifier": [{"value": "1"}], "name": [{"family": "A"}, {"given": ["B"]}]}),
                "Error Patient.name[1].family Patient.name.family",
            ),
        ],
    }]);
}

#[test]
fn fixed_values_and_patterns_hold() {
    let fixed = json!({"coding": [{"system": "s", "code": "a"}]});
    check(vec![
        Rule {
            ty: "Observation",
            differential: json!([
                {"path": "Observation"},
                {"path": "Observation.status", "fixedCode": "final"},
                {"path": "Observation.code", "patternCodeableConcept": fixed}
            ]),
            keep: vec![
                json!({"status": "final", "code": {"coding": [{"system": "x", "code": "y"}, {"system": "s", "code": "a", "display": "A"}]}}),
            ],
            broken: vec![
                (
                    json!({"status": "amended", "code": fixed}),
                    "status has a fixed value",
                ),
                (
                    json!({"status": "final", "code": {"coding": [{"system": "s", "code": "b"}, {"system": "t", "code": "a"}]}}),
                    "code does not hold the pattern",
                ),
            ],
        },
        Rule {
            ty: "Observation",
            differential: json!([
                {"path": "Observation"},
                {"path": "Observation.code", "fixedCodeableConcept": fixed}
            ]),
            keep: vec![json!({"status": "final", "code": fixed})],
            broken: vec![(
                json!({"status": "final", "code": {"coding": [{"system": "s", "code": "a", "display": "A"}]}}),
                "code has a fixed value",
            )],
        },
    ]);
}

#[test]
fn values_have_their_limits() {
    check(vec![Rule {
        ty: "Patient",
        differential: json!([
            {"path": "Patient"},
            {"path": "Patient.birthDate", "minValueDate": "1900-01-01", "maxValueDate": "2020"},
            {"path": "Patient.name.text", "maxLength": 5},
            {"path": "Patient.multipleBirth[x]", "type": [{"code": "integer"}], "minValueInteger": 1, "maxValueInteger": 9},
            {"path": "Patient.identifier.value", "type": [{"code": "string", "extension": [
                {"url": "http://hl7.org/fhir/StructureDefinition/regex", "valueString": "[0-9]{3}"}]}]}
        ]),
        keep: vec![
            json!({"birthDate": "1950-02-03", "name": [{"text": "\u{e4}bcde"}], "multipleBirthInteger": 2}),
            json!({"birthDate": "2020-12-31", "identifier": [{"value": "123"}]}),
        ],
        broken: vec![
            (
                json!({"birthDate": "1899-12-31"}),
                "birthDate is beyond the smallest value",
            ),
            (
                json!({"birthDate": "2021"}),
                "birthDate is beyond the largest value",
            ),
            (
                json!({"name": [{"text": "abcdef"}]}),
                "text has 6 characters, at most 5 are taken",
            ),
            (
                json!({"multipleBirthInteger": 10}),
                "multipleBirth is beyond the largest value",
            ),
            (
                json!({"multipleBirthBoolean": true}),
                "Error Patient.multipleBirth.ofType(boolean) Patient.multipleBirth[x]: multipleBirth is a boolean here",
            ),
            (
                json!({"identifier": [{"value": "1234"}]}),
                "value does not have the form asked for",
            ),
        ],
    }]);
}

#[test]
fn bindings_of_every_strength() {
    let bound = |strength: &str, set: &str| {
        json!([
            {"path": "Observation"},
            {"path": "Observation.code", "binding": {"strength": strength, "valueSet": set}},
            {"path": "Observation.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}],
             "binding": {"strength": strength, "valueSet": set}}
        ])
    };
    let observation = |system: &str, code: &str| json!({"status": "final", "code": {"coding": [{"system": system, "code": code}]}});
    check(vec![
        Rule {
            ty: "Observation",
            differential: bound("required", "http://t/vs"),
            keep: vec![
                observation("s", "a"),
                json!({"status": "final", "code": {"coding": [{"system": "s", "code": "z"}, {"system": "s", "code": "b"}]}}),
                json!({"status": "final", "code": {"coding": [{"system": "s", "code": "a"}]}, "valueQuantity": {"value": 1, "system": "s", "code": "b"}}),
            ],
            broken: vec![
                (
                    observation("s", "c"),
                    "Error Observation.code Observation.code: \"c\" is not in the required value set http://t/vs",
                ),
                (observation("t", "a"), "is not in the required value set"),
                (
                    json!({"status": "final", "code": {"coding": [{"code": "a"}]}}),
                    "is not in the required value set",
                ),
                (
                    json!({"status": "final", "code": {"text": "a"}}),
                    "a code of value set http://t/vs is required",
                ),
                (
                    json!({"status": "final", "code": {"coding": [{"system": "s", "code": "a"}]}, "valueQuantity": {"value": 1, "system": "s", "code": "c"}}),
                    "Error Observation.value.ofType(Quantity)",
                ),
                (
                    json!({"status": "final", "code": {"coding": [{"system": "s", "code": "a"}]}, "valueString": "c"}),
                    "Error Observation.value.ofType(string)",
                ),
            ],
        },
        Rule {
            ty: "Observation",
            differential: bound("required", "http://t/other"),
            keep: vec![],
            broken: vec![(
                observation("s", "a"),
                "Warning Observation.code -: not checked: codes against value set http://t/other",
            )],
        },
        Rule {
            ty: "Observation",
            differential: bound("extensible", "http://t/vs"),
            keep: vec![
                observation("s", "a"),
                json!({"status": "final", "code": {"text": "c"}}),
            ],
            broken: vec![(
                observation("s", "c"),
                "Warning Observation.code Observation.code: \"c\" is not in the extensible value set",
            )],
        },
        Rule {
            ty: "Observation",
            differential: bound("preferred", "http://t/vs"),
            keep: vec![observation("s", "a")],
            broken: vec![(observation("s", "c"), "Information Observation.code")],
        },
        Rule {
            ty: "Observation",
            differential: bound("example", "http://t/vs"),
            keep: vec![observation("s", "c")],
            broken: vec![],
        },
        Rule {
            ty: "Observation",
            differential: json!([
                {"path": "Observation"},
                {"path": "Observation.code", "binding": {"strength": "extensible", "valueSet": "http://t/vs", "extension": [
                    {"url": "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet", "valueCanonical": "http://t/vs"}]}}
            ]),
            keep: vec![observation("s", "a")],
            broken: vec![(
                observation("s", "c"),
                "Error Observation.code Observation.code: \"c\" is not in the required value set",
            )],
        },
    ]);
}

#[test]
fn invariants_hold_on_resources_and_elements() {
    check(vec![Rule {
        ty: "Patient",
        differential: json!([
            {"path": "Patient", "constraint": [
                {"key": "t-1", "severity": "error", "human": "a name or an identifier", "expression": "name.exists() or identifier.exists()"},
                {"key": "t-2", "severity": "warning", "human": "a birth date", "expression": "birthDate.exists()"}]},
            {"path": "Patient.name", "constraint": [
                {"key": "t-3", "severity": "error", "human": "family or text", "expression": "family.exists() or text.exists()"}]},
            {"path": "Patient.birthDate", "constraint": [
                {"key": "t-4", "severity": "error", "human": "not before 1900", "expression": "$this >= @1900-01-01"}]}
        ]),
        keep: vec![json!({"name": [{"family": "A"}], "birthDate": "2000-01-01"})],
        broken: vec![
            (
                json!({"birthDate": "2000-01-01"}),
                "Error Patient t-1: a name or an identifier",
            ),
            (
                json!({"name": [{"family": "A"}]}),
                "Warning Patient t-2: a birth date",
            ),
            (
                json!({"name": [{"family": "A"}, {"given": ["B"]}], "birthDate": "2000-01-01"}),
                "Error Patient.name[1] t-3: family or text",
            ),
            (
                json!({"name": [{"family": "A"}], "birthDate": "1800-01-01"}),
                "Error Patient.birthDate t-4",
            ),
        ],
    }]);
}

#[test]
fn rules_of_r4_itself_are_checked_without_a_profile() {
    let library = library(vec![]);
    for (resource, expected) in [
        (
            json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                   "valueString": "1", "dataAbsentReason": {"text": "y"}}),
            "Error Observation obs-6",
        ),
        (
            json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                   "valueQuantity": {"value": 1, "code": "kg"}}),
            "Error Observation.value.ofType(Quantity) qty-3",
        ),
        (
            json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                   "referenceRange": [{"appliesTo": [{"text": "y"}]}]}),
            "Error Observation.referenceRange[0] obs-3",
        ),
        (
            json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
                   "period": {"start": "2020-02-02", "end": "2020-02-01"}}),
            "Error Encounter.period per-1",
        ),
        (
            json!({"resourceType": "Patient", "contact": [{"gender": "male"}]}),
            "Error Patient.contact[0] pat-1",
        ),
        (
            json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource":
                {"resourceType": "Patient", "telecom": [{"value": "1"}]}}]}),
            "Error Bundle.entry[0].resource.telecom[0] cpt-2",
        ),
    ] {
        let found = lines(&report(&library, &resource, &[]));
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{resource} {found:#?}"
        );
    }
    let narrative = report(
        &library,
        &json!({"resourceType": "Patient", "active": true}),
        &[],
    );
    assert_eq!(narrative.issues.len(), 1);
    assert_eq!(narrative.issues[0].severity, Severity::Information);
    assert!(narrative.is_valid());
}

#[test]
fn references_point_to_what_the_profile_lets_them() {
    let target = |name: &str| format!("http://hl7.org/fhir/StructureDefinition/{name}");
    check(vec![Rule {
        ty: "Observation",
        differential: json!([
            {"path": "Observation"},
            {"path": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [target("Patient")]}]},
            {"path": "Observation.device", "type": [{"code": "Reference", "targetProfile": [target("Device")], "aggregation": ["contained"]}]}
        ]),
        keep: vec![
            json!({"status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/1"}}),
            json!({"status": "final", "code": {"text": "x"}, "subject": {"reference": "http://a.b/fhir/Patient/1/_history/2"}}),
            json!({"status": "final", "code": {"text": "x"}, "subject": {"identifier": {"value": "1"}}}),
            json!({"status": "final", "code": {"text": "x"}, "subject": {"reference": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"}}),
            json!({"status": "final", "code": {"text": "x"}, "contained": [{"resourceType": "Device", "id": "d"}], "device": {"reference": "#d"}}),
        ],
        broken: vec![
            (
                json!({"status": "final", "code": {"text": "x"}, "subject": {"reference": "Group/1"}}),
                "Error Observation.subject Observation.subject: a Group cannot be referred to here",
            ),
            (
                json!({"status": "final", "code": {"text": "x"}, "subject": {"type": "Group", "identifier": {"value": "1"}}}),
                "a Group cannot be referred to here",
            ),
            (
                json!({"status": "final", "code": {"text": "x"}, "device": {"reference": "Device/1"}}),
                "travels in a way that is not allowed here",
            ),
        ],
    }]);
}

#[test]
fn extensions_are_checked_by_their_definition_and_place() {
    let simple = extension(
        "simple",
        &["Patient.name", "Observation"],
        &json!([
            {"path": "Extension"},
            {"path": "Extension.extension", "max": "0"},
            {"path": "Extension.url", "fixedUri": "http://t/simple"},
            {"path": "Extension.value[x]", "min": 1, "type": [{"code": "code"}],
             "binding": {"strength": "required", "valueSet": "http://t/vs"}}
        ]),
    );
    let nested = extension(
        "nested",
        &["Patient"],
        &json!([
            {"path": "Extension"},
            {"path": "Extension.extension", "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "closed"}},
            {"path": "Extension.extension", "sliceName": "part", "min": 1, "max": "1"},
            {"path": "Extension.extension.url", "fixedUri": "part"},
            {"path": "Extension.extension.value[x]", "min": 1, "type": [{"code": "Coding"}]},
            {"path": "Extension.url", "fixedUri": "http://t/nested"},
            {"path": "Extension.value[x]", "max": "0"}
        ]),
    );
    let modifier = extension(
        "modifier",
        &["Element"],
        &json!([{"path": "Extension", "isModifier": true}, {"path": "Extension.url", "fixedUri": "http://t/modifier"}]),
    );
    let library = library(vec![simple, nested, modifier]);
    let patient = |extension: Json| json!({"resourceType": "Patient", "extension": [extension]});
    let named = |extension: Json| json!({"resourceType": "Patient", "name": [{"family": "x", "extension": [extension]}]});
    for (resource, expected) in [
        (
            named(json!({"url": "http://t/simple", "valueCode": "a"})),
            None,
        ),
        (
            named(json!({"url": "http://t/simple", "valueCode": "c"})),
            Some(
                "Error Patient.name[0].extension[0].value.ofType(code) Extension.value[x]: \"c\" is not in the required value set",
            ),
        ),
        (
            named(json!({"url": "http://t/simple", "valueString": "a"})),
            Some("value is a string here"),
        ),
        (
            patient(json!({"url": "http://t/simple", "valueCode": "a"})),
            Some("Error Patient.extension[0] -: extension http://t/simple does not belong here"),
        ),
        (
            patient(
                json!({"url": "http://t/nested", "extension": [{"url": "part", "valueCoding": {"code": "x"}}]}),
            ),
            None,
        ),
        (
            patient(
                json!({"url": "http://t/nested", "extension": [{"url": "part", "valueCode": "x"}]}),
            ),
            Some("Error Patient.extension[0].extension[0].value.ofType(code)"),
        ),
        (
            patient(
                json!({"url": "http://t/nested", "extension": [{"url": "other", "valueCode": "x"}]}),
            ),
            Some("extension is none of the slices, and there may be no others"),
        ),
        (
            patient(json!({"url": "http://t/nested", "valueCode": "x"})),
            Some("Error Patient.extension[0].value Extension.value[x]: value is not used here"),
        ),
        (
            patient(json!({"url": "http://t/modifier", "valueCode": "x"})),
            Some("changes the meaning of what holds it"),
        ),
        (
            patient(json!({"url": "http://t/unknown", "valueCode": "x"})),
            Some(
                "Warning Patient.extension[0] -: not checked: extension \"http://t/unknown\" is not known",
            ),
        ),
        (
            json!({"resourceType": "Patient", "modifierExtension": [{"url": "http://t/modifier", "valueCode": "x"}]}),
            None,
        ),
        (
            json!({"resourceType": "Patient", "modifierExtension": [{"url": "http://t/unknown", "valueCode": "x"}]}),
            Some("Error Patient.modifierExtension[0] -: modifier extension"),
        ),
        (
            json!({"resourceType": "Patient", "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": "2000-01-01T00:00:00Z"}]}}),
            None,
        ),
        (
            json!({"resourceType": "Patient", "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueString": "noon"}]}}),
            Some("Error Patient.birthDate.extension[0].value.ofType(string)"),
        ),
    ] {
        let found = lines(&report(&library, &resource, &[]));
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{resource}"),
            Some(text) => assert!(
                found.iter().any(|line| line.contains(text)),
                "{resource} {found:#?}"
            ),
        }
    }
}
