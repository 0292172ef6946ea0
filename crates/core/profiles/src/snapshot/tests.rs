//! Snapshots made from differentials. That those of all 437 profiles of R4 come out as published, but for
//! the differences it lists, `cargo xtask snapshots` shows.

use serde_json::{Value as Json, json};

use super::Generator;
use crate::model::{Element, UNBOUNDED};
use crate::samples::{extension, library, profile, profile_on};
use crate::{Library, ProfileError};

fn snapshot(ty: &str, differential: &Json) -> Result<Vec<Element>, ProfileError> {
    let base = Library::base();
    Generator::new(&*base).snapshot(&profile("p", ty, differential))
}

fn element<'e>(elements: &'e [Element], id: &str) -> &'e Element {
    let found = elements.iter().find(|one| one.id == id);
    found.unwrap_or_else(|| panic!("{id} is not there"))
}

#[test]
fn an_empty_differential_is_the_base() {
    let base = Library::base();
    let made = Generator::new(&*base)
        .snapshot(&profile("p", "Patient", &json!([{"path": "Patient"}])))
        .unwrap();
    assert_eq!(made[0].path, "Patient");
    assert_eq!(made.len(), 45);
    assert_eq!(
        element(&made, "Patient.contact.name").types[0].code,
        "HumanName"
    );
}

#[test]
fn types_and_content_references_are_opened_where_needed() {
    let made = snapshot(
        "Questionnaire",
        &json!([
            {"path": "Questionnaire"},
            {"path": "Questionnaire.contact.telecom.system", "min": 1},
            {"path": "Questionnaire.item.item.linkId", "maxLength": 5}
        ]),
    )
    .unwrap();
    assert_eq!(
        element(&made, "Questionnaire.contact.telecom.system").min,
        Some(1)
    );
    let link = element(&made, "Questionnaire.item.item.linkId");
    assert_eq!((link.max_length, link.min), (Some(5), Some(1)));
    // The outer one is another element.
    assert_eq!(element(&made, "Questionnaire.item.linkId").max_length, None);
    assert!(
        made.iter()
            .any(|one| one.id == "Questionnaire.item.item.answerOption.value[x]")
    );
}

#[test]
fn slices_begin_as_what_they_slice_but_are_not_required() {
    let made = snapshot(
        "Observation",
        &json!([
            {"path": "Observation"},
            {"path": "Observation.category", "min": 1, "mustSupport": true,
             "slicing": {"discriminator": [{"type": "pattern", "path": "$this"}], "rules": "open"}},
            {"path": "Observation.category", "sliceName": "lab", "patternCodeableConcept": {"text": "x"}},
            {"path": "Observation.category.coding", "min": 1},
            {"path": "Observation.category", "sliceName": "lab/chem", "max": "1"}
        ]),
    );
    // A slice of a slice needs slicing of its own.
    assert!(made.unwrap_err().to_string().contains("without slicing"));
    let made = snapshot(
        "Observation",
        &json!([
            {"id": "Observation", "path": "Observation"},
            {"id": "Observation.category", "path": "Observation.category", "min": 1, "mustSupport": true,
             "slicing": {"discriminator": [{"type": "pattern", "path": "$this"}], "rules": "open"}},
            {"id": "Observation.category:lab", "path": "Observation.category", "sliceName": "lab",
             "patternCodeableConcept": {"text": "x"},
             "slicing": {"discriminator": [{"type": "value", "path": "coding.code"}], "rules": "open"}},
            {"id": "Observation.category:lab.coding", "path": "Observation.category.coding", "min": 1},
            {"id": "Observation.category:lab/chem", "path": "Observation.category", "sliceName": "lab/chem", "max": "1"}
        ]),
    )
    .unwrap();
    let lab = element(&made, "Observation.category:lab");
    assert_eq!(
        (lab.min, lab.max, lab.must_support),
        (Some(0), Some(UNBOUNDED), Some(true))
    );
    assert_eq!(
        element(&made, "Observation.category:lab.coding").min,
        Some(1)
    );
    assert!(
        !made
            .iter()
            .any(|one| one.id == "Observation.category.coding")
    );
    let inner = element(&made, "Observation.category:lab/chem");
    assert_eq!(inner.max, Some(1));
    assert!(inner.pattern.is_some());
}

#[test]
fn choices_narrow_by_their_short_names() {
    let one = snapshot(
        "Observation",
        &json!([{"path": "Observation"}, {"path": "Observation.valueQuantity", "min": 1}]),
    )
    .unwrap();
    let types = |id: &str, made: &[Element]| -> Vec<String> {
        element(made, id)
            .types
            .iter()
            .map(|ty| ty.code.clone())
            .collect()
    };
    assert_eq!(types("Observation.value[x]", &one), ["Quantity"]);
    assert_eq!(
        types("Observation.value[x]:valueQuantity", &one),
        ["Quantity"]
    );
    let two = snapshot(
        "Observation",
        &json!([{"path": "Observation"}, {"path": "Observation.valueQuantity.code", "min": 1},
            {"path": "Observation.valueString", "maxLength": 9}]),
    )
    .unwrap();
    assert_eq!(types("Observation.value[x]", &two).len(), 11);
    assert_eq!(
        element(&two, "Observation.value[x]:valueQuantity.code").min,
        Some(1)
    );
    assert_eq!(
        element(&two, "Observation.value[x]:valueString").max_length,
        Some(9)
    );
}

#[test]
fn extensions_need_no_slicing_and_open_their_profile() {
    let race = extension(
        "race",
        &["Patient"],
        &json!([{"path": "Extension"}, {"path": "Extension.url", "fixedUri": "http://t/race"},
            {"path": "Extension.value[x]", "type": [{"code": "code"}]}]),
    );
    let on = profile(
        "p",
        "Patient",
        &json!([{"path": "Patient"},
            {"path": "Patient.extension", "sliceName": "race", "type": [{"code": "Extension", "profile": ["http://t/race"]}]},
            {"path": "Patient.extension.value[x]", "min": 1}]),
    );
    let library = library(vec![race]);
    let made = Generator::new(&*library).snapshot(&on).unwrap();
    assert!(element(&made, "Patient.extension").slicing.is_some());
    let value = element(&made, "Patient.extension:race.value[x]");
    assert_eq!((value.min, value.types.len()), (Some(1), 1));
    let url = element(&made, "Patient.extension:race.url");
    assert_eq!(url.fixed.as_ref().unwrap().json, "\"http://t/race\"");
}

#[test]
fn profiles_on_profiles_add_up() {
    let first = profile(
        "first",
        "Patient",
        &json!([{"path": "Patient", "constraint": [{"key": "a-1", "severity": "error", "human": "a", "expression": "true"}]},
            {"path": "Patient.name", "min": 1}]),
    );
    let second = profile_on(
        "second",
        "Patient",
        "http://t/first",
        &json!([{"path": "Patient", "constraint": [{"key": "b-1", "severity": "error", "human": "b", "expression": "true"}]},
            {"path": "Patient.name", "max": "1"}]),
    );
    let library = library(vec![first]);
    let made = Generator::new(&*library).snapshot(&second).unwrap();
    let name = element(&made, "Patient.name");
    assert_eq!((name.min, name.max), (Some(1), Some(1)));
    let keys: Vec<&str> = made[0]
        .constraints
        .iter()
        .map(|one| one.key.as_str())
        .collect();
    assert!(
        keys.contains(&"a-1") && keys.contains(&"b-1") && keys.contains(&"dom-2"),
        "{keys:?}"
    );
}

#[test]
fn what_does_not_fit_is_named() {
    for (differential, expected) in [
        (
            json!([{"path": "Patient"}, {"path": "Patient.nothing"}]),
            "Patient.nothing is no element of Patient",
        ),
        (
            json!([{"path": "Patient"}, {"path": "Observation.code"}]),
            "is not below the first element",
        ),
        (
            json!([{"path": "Patient"}, {"path": "Patient.identifier", "sliceName": "a", "min": 1}]),
            "is a slice of an element without slicing",
        ),
        (
            json!([{"path": "Patient"}, {"path": "Patient.identifier", "type": [{"code": "Identifier", "profile": ["http://t/none"]}]},
                {"path": "Patient.identifier.system", "min": 1}]),
            "needs http://t/none, which is not known",
        ),
    ] {
        let error = snapshot("Patient", &differential).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
