//! Slices by value, pattern, type, profile and presence; open, closed, at the end, ordered, nested.

#![expect(
    clippy::too_many_lines,
    reason = "tables of cases tell their story in one piece"
)]

use serde_json::{Value as Json, json};

use super::{Rule, check};
use crate::samples::{extension, library, lines, profile, report};

fn identifiers(rules: &str, ordered: bool) -> Json {
    json!([
        {"path": "Patient"},
        {"path": "Patient.identifier", "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": rules, "ordered": ordered}},
        {"path": "Patient.identifier", "sliceName": "nhs", "min": 1, "max": "1"},
        {"path": "Patient.identifier.system", "fixedUri": "urn:nhs"},
        {"path": "Patient.identifier.value", "min": 1},
        {"path": "Patient.identifier", "sliceName": "local", "max": "1"},
        {"path": "Patient.identifier.system", "fixedUri": "urn:local"}
    ])
}

fn patient(systems: &[&str]) -> Json {
    let all: Vec<Json> = systems
        .iter()
        .map(|system| json!({"system": system, "value": "1"}))
        .collect();
    json!({"identifier": all})
}

#[test]
fn slices_by_value_are_counted_and_checked() {
    check(vec![Rule {
        ty: "Patient",
        differential: identifiers("open", false),
        keep: vec![
            patient(&["urn:nhs"]),
            patient(&["urn:x", "urn:local", "urn:nhs", "urn:y"]),
        ],
        broken: vec![
            (
                patient(&["urn:local"]),
                "Error Patient.identifier Patient.identifier:nhs: identifier (slice nhs) is required at least 1 times, there are 0",
            ),
            (
                patient(&["urn:nhs", "urn:nhs"]),
                "identifier (slice nhs) may stand at most 1 times",
            ),
            (
                json!({"identifier": [{"system": "urn:nhs", "assigner": {"display": "x"}}]}),
                "Error Patient.identifier[0].value Patient.identifier:nhs.value",
            ),
        ],
    }]);
}

#[test]
fn closed_ordered_and_open_at_end() {
    check(vec![
        Rule {
            ty: "Patient",
            differential: identifiers("closed", false),
            keep: vec![patient(&["urn:local", "urn:nhs"])],
            broken: vec![(
                patient(&["urn:nhs", "urn:x"]),
                "Error Patient.identifier[1] Patient.identifier: identifier is none of the slices",
            )],
        },
        Rule {
            ty: "Patient",
            differential: identifiers("open", true),
            keep: vec![patient(&["urn:nhs", "urn:x", "urn:local"])],
            broken: vec![(
                patient(&["urn:local", "urn:nhs"]),
                "slice nhs of identifier comes too late",
            )],
        },
        Rule {
            ty: "Patient",
            differential: identifiers("openAtEnd", false),
            keep: vec![patient(&["urn:local", "urn:nhs", "urn:x"])],
            broken: vec![(
                patient(&["urn:x", "urn:nhs"]),
                "slice nhs of identifier comes behind others",
            )],
        },
    ]);
}

#[test]
fn slices_by_pattern_type_and_presence() {
    check(vec![
        Rule {
            ty: "Observation",
            differential: json!([
                {"path": "Observation"},
                {"path": "Observation.category", "slicing": {"discriminator": [{"type": "pattern", "path": "$this"}], "rules": "open"}},
                {"path": "Observation.category", "sliceName": "lab", "min": 1, "max": "1",
                 "patternCodeableConcept": {"coding": [{"system": "c", "code": "laboratory"}]}}
            ]),
            keep: vec![
                json!({"status": "final", "code": {"text": "x"}, "category": [{"text": "other"}, {"coding": [{"system": "c", "code": "laboratory", "display": "Lab"}]}]}),
            ],
            broken: vec![(
                json!({"status": "final", "code": {"text": "x"}, "category": [{"coding": [{"system": "d", "code": "laboratory"}]}]}),
                "category (slice lab) is required",
            )],
        },
        Rule {
            ty: "Observation",
            differential: json!([
                {"path": "Observation"},
                {"path": "Observation.value[x]", "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}},
                {"path": "Observation.value[x]", "sliceName": "valueQuantity", "type": [{"code": "Quantity"}]},
                {"path": "Observation.value[x].code", "min": 1},
                {"path": "Observation.value[x]", "sliceName": "valueString", "type": [{"code": "string"}], "maxLength": 3}
            ]),
            keep: vec![
                json!({"status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 1, "system": "s", "code": "kg"}}),
                json!({"status": "final", "code": {"text": "x"}, "valueString": "abc"}),
                json!({"status": "final", "code": {"text": "x"}}),
            ],
            broken: vec![
                (
                    json!({"status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 1}}),
                    "Error Observation.value.ofType(Quantity).code Observation.value[x]:valueQuantity.code",
                ),
                (
                    json!({"status": "final", "code": {"text": "x"}, "valueString": "abcd"}),
                    "has 4 characters",
                ),
                (
                    json!({"status": "final", "code": {"text": "x"}, "valueInteger": 1}),
                    "value is none of the slices",
                ),
            ],
        },
        Rule {
            ty: "Patient",
            differential: json!([
                {"path": "Patient"},
                {"path": "Patient.contact", "slicing": {"discriminator": [{"type": "exists", "path": "organization"}], "rules": "open"}},
                {"path": "Patient.contact", "sliceName": "house", "max": "1"},
                {"path": "Patient.contact.organization", "min": 1},
                {"path": "Patient.contact.telecom", "min": 1},
                {"path": "Patient.contact", "sliceName": "person"},
                {"path": "Patient.contact.organization", "max": "0"},
                {"path": "Patient.contact.name", "min": 1}
            ]),
            keep: vec![
                json!({"contact": [{"name": {"text": "a"}}, {"organization": {"display": "h"}, "telecom": [{"system": "phone", "value": "1"}]}]}),
            ],
            broken: vec![
                (
                    json!({"contact": [{"organization": {"display": "h"}}]}),
                    "Error Patient.contact[0].telecom Patient.contact:house.telecom",
                ),
                (
                    json!({"contact": [{"telecom": [{"system": "phone", "value": "1"}]}]}),
                    "Error Patient.contact[0].name Patient.contact:person.name",
                ),
            ],
        },
    ]);
}

#[test]
fn slices_of_references_by_type_and_profile_of_the_target() {
    let good = profile(
        "good-device",
        "Device",
        &json!([{"path": "Device"}, {"path": "Device.status", "min": 1}]),
    );
    let on = profile(
        "p",
        "Observation",
        &json!([
            {"path": "Observation"},
            {"path": "Observation.performer", "slicing": {"discriminator": [{"type": "type", "path": "$this.resolve()"}], "rules": "open"}},
            {"path": "Observation.performer", "sliceName": "house", "min": 1,
             "type": [{"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Organization"]}]},
            {"path": "Observation.hasMember", "slicing": {"discriminator": [{"type": "profile", "path": "resolve()"}], "rules": "closed"}},
            {"path": "Observation.hasMember", "sliceName": "only", "type": [{"code": "Reference", "targetProfile": ["http://t/final"]}]}
        ]),
    );
    let last = profile(
        "final",
        "Observation",
        &json!([{"path": "Observation"}, {"path": "Observation.status", "fixedCode": "final"}]),
    );
    let library = library(vec![good, on, last]);
    let observation = |performer: &str, status: &str| {
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
               "performer": [{"reference": performer}], "hasMember": [{"reference": "#o"}],
               "contained": [{"resourceType": "Observation", "id": "o", "status": status, "code": {"text": "y"}}]})
    };
    for (resource, expected) in [
        (observation("Organization/1", "final"), None),
        (
            observation("Practitioner/1", "final"),
            Some("performer (slice house) is required"),
        ),
        (
            observation("Organization/1", "amended"),
            Some("hasMember is none of the slices"),
        ),
    ] {
        let found = lines(&report(&library, &resource, &["http://t/p"]));
        match expected {
            None => assert_eq!(found, Vec::<String>::new()),
            Some(text) => assert!(found.iter().any(|line| line.contains(text)), "{found:#?}"),
        }
    }
}

#[test]
fn slices_in_slices_and_of_extensions() {
    let race = extension(
        "race",
        &["Patient"],
        &json!([
            {"path": "Extension"},
            {"path": "Extension.url", "fixedUri": "http://t/race"},
            {"path": "Extension.value[x]", "min": 1, "type": [{"code": "string"}]}
        ]),
    );
    let on = profile(
        "p",
        "Patient",
        &json!([
            {"path": "Patient"},
            {"path": "Patient.extension", "sliceName": "race", "min": 1, "max": "1", "type": [{"code": "Extension", "profile": ["http://t/race"]}]},
            {"path": "Patient.identifier", "slicing": {"discriminator": [{"type": "value", "path": "use"}], "rules": "open"}},
            {"path": "Patient.identifier", "sliceName": "official", "min": 1,
             "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}},
            {"path": "Patient.identifier.use", "min": 1, "fixedCode": "official"},
            {"path": "Patient.identifier.type.coding", "slicing": {"discriminator": [{"type": "value", "path": "system"}, {"type": "value", "path": "code"}], "rules": "open"}},
            {"path": "Patient.identifier.type.coding", "sliceName": "mr", "min": 1},
            {"path": "Patient.identifier.type.coding.system", "min": 1, "fixedUri": "t"},
            {"path": "Patient.identifier.type.coding.code", "min": 1, "fixedCode": "MR"},
            {"path": "Patient.identifier", "sliceName": "official/nhs", "min": 1},
            {"path": "Patient.identifier.system", "min": 1, "fixedUri": "urn:nhs"}
        ]),
    );
    let library = library(vec![race, on]);
    let patient = |code: &str, extension: Json| {
        json!({"resourceType": "Patient", "extension": extension,
               "identifier": [{"use": "usual", "value": "0"},
                              {"use": "official", "system": "urn:nhs", "type": {"coding": [{"system": "t", "code": code}]}}]})
    };
    let there = json!([{"url": "http://t/race", "valueString": "x"}]);
    for (resource, expected) in [
        (patient("MR", there.clone()), None),
        (
            patient("SS", there),
            Some(
                "Error Patient.identifier[1].type.coding Patient.identifier:official.type.coding:mr",
            ),
        ),
        (
            patient(
                "MR",
                json!([{"url": "http://hl7.org/fhir/StructureDefinition/patient-religion", "valueCodeableConcept": {"text": "x"}}]),
            ),
            Some("extension (slice race) is required"),
        ),
    ] {
        let found = lines(&report(&library, &resource, &["http://t/p"]));
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{resource}"),
            Some(text) => assert!(found.iter().any(|line| line.contains(text)), "{found:#?}"),
        }
    }
}

#[test]
fn what_cannot_be_told_is_not_called_missing() {
    let differential = |set: &str, rules: &str| {
        json!([
            {"path": "Observation"},
            {"path": "Observation.category", "slicing": {"discriminator": [{"type": "value", "path": "$this"}], "rules": rules}},
            {"path": "Observation.category", "sliceName": "told", "min": 1, "max": "1",
             "binding": {"strength": "required", "valueSet": set}},
            {"path": "Observation.category", "sliceName": "lab",
             "patternCodeableConcept": {"coding": [{"system": "c", "code": "laboratory"}]}}
        ])
    };
    let observation = |codes: &[&str]| {
        let categories: Vec<Json> = codes
            .iter()
            .map(|code| json!({"coding": [{"system": "c", "code": code}]}))
            .collect();
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "category": categories})
    };
    let said = |set: &str, rules: &str, codes: &[&str]| {
        let library = library(vec![profile("p", "Observation", &differential(set, rules))]);
        let report = report(&library, &observation(codes), &["http://t/p"]);
        let errors: Vec<String> = lines(&report)
            .into_iter()
            .filter(|line| line.starts_with("Error"))
            .collect();
        (errors, lines(&report).join("\n"))
    };
    // The value set is not loaded: the item may be the slice that is asked for.
    for rules in ["open", "closed", "openAtEnd"] {
        let (errors, all) = said("http://t/not-loaded", rules, &["x", "laboratory"]);
        assert_eq!(errors, Vec::<String>::new(), "{rules}");
        assert!(
            all.contains("not checked: whether what Observation.category:told asks for is there"),
            "{all}"
        );
    }
    // There is nothing that could be it, or the value set says no.
    for (set, codes) in [
        ("http://t/not-loaded", &[][..]),
        ("http://t/vs", &["x"][..]),
    ] {
        let (errors, all) = said(set, "open", codes);
        assert!(
            errors
                .iter()
                .any(|line| line.contains("(slice told) is required at least 1 times")),
            "{set}: {all}"
        );
    }
}
