//! Each rule, with what breaks it: a body, and the issues it must give as `code expression`.

mod noise;
mod parts;
mod values;

use super::*;
use crate::json::{Document, Limits};

fn issues(body: &str) -> Vec<Issue> {
    let document = Document::parse(body.as_bytes().to_vec(), &Limits::default())
        .unwrap_or_else(|error| panic!("{body}: {error}"));
    validate(Definitions::r4(), document.root())
}

fn short(body: &str) -> Vec<String> {
    let issues = issues(body);
    for issue in &issues {
        assert!(
            !issue.diagnostics.ends_with('.') && !issue.diagnostics.is_empty(),
            "{issue:?}"
        );
        assert_eq!(issue.severity, Severity::Error);
    }
    issues
        .iter()
        .map(|issue| format!("{} {}", issue.code, issue.expression))
        .collect()
}

/// Each body gives these issues in this order; none for a valid body.
fn check(table: &[(&str, &[&str])]) {
    for (body, expected) in table {
        assert_eq!(short(body), *expected, "{body}");
    }
}

/// Each snippet of members, put into a Patient.
fn check_patient(table: &[(&str, &[&str])]) {
    for (members, expected) in table {
        let body = format!("{{\"resourceType\":\"Patient\",{members}}}");
        assert_eq!(short(&body), *expected, "{members}");
    }
}

/// Each value is taken (true) or refused as `code` at the element.
fn check_values(head: &str, expression: &str, code: &str, table: &[(&str, bool)]) {
    for (value, good) in table {
        let body = head.replace('?', value);
        let expected = if *good {
            vec![]
        } else {
            vec![format!("{code} {expression}")]
        };
        assert_eq!(short(&body), expected, "{body}");
    }
}

#[test]
fn resources_say_what_they_are() {
    check(&[
        (r#"{"resourceType":"Patient"}"#, &[]),
        (r#"{"resourceType":"Patient","id":"a"}"#, &[]),
        ("{}", &["required Resource.resourceType"]),
        (r#"{"id":"a"}"#, &["required Resource.resourceType"]),
        ("[]", &["structure Resource"]),
        ("\"Patient\"", &["structure Resource"]),
        (
            r#"{"resourceType":1}"#,
            &["structure Resource.resourceType"],
        ),
        (
            r#"{"resourceType":"patient"}"#,
            &["value Resource.resourceType"],
        ),
        (
            r#"{"resourceType":"DomainResource"}"#,
            &["value Resource.resourceType"],
        ),
        (
            r#"{"resourceType":"HumanName"}"#,
            &["value Resource.resourceType"],
        ),
    ]);
}

#[test]
fn every_type_tells_its_required_elements() {
    let definitions = Definitions::r4();
    let mut required = 0;
    for ty in definitions.resource_types() {
        let name = definitions.resource_name(ty);
        let found = short(&format!("{{\"resourceType\":\"{name}\"}}"));
        assert!(
            found
                .iter()
                .all(|issue| issue.starts_with(&format!("required {name}."))),
            "{found:?}"
        );
        required += found.len();
        let found = short(&format!(
            "{{\"resourceType\":\"{name}\",\"id\":\"1\",\"nonsense\":1}}"
        ));
        assert!(
            found.contains(&format!("structure {name}.nonsense")),
            "{found:?}"
        );
    }
    assert!(required > 150, "{required}");
}

#[test]
fn elements_are_known_and_of_the_right_kind() {
    check_patient(&[
        (r#""nonsense":1"#, &["structure Patient.nonsense"]),
        (r#""":1"#, &["structure Patient."]),
        (r#""birthdate":"2000""#, &["structure Patient.birthdate"]),
        (
            r#""name":[{"given":["a"],"middle":"b"}]"#,
            &["structure Patient.name[0].middle"],
        ),
        (r#""name":{"family":"a"}"#, &["structure Patient.name"]),
        (r#""name":["a"]"#, &["structure Patient.name[0]"]),
        (r#""name":[null]"#, &["structure Patient.name[0]"]),
        (
            r#""maritalStatus":"M""#,
            &["structure Patient.maritalStatus"],
        ),
        (
            r#""maritalStatus":[{"text":"x"}]"#,
            &["structure Patient.maritalStatus"],
        ),
        (r#""active":"true""#, &["structure Patient.active"]),
        (r#""active":null"#, &["structure Patient.active"]),
        (r#""active":{}"#, &["structure Patient.active"]),
        (r#""birthDate":20000101"#, &["structure Patient.birthDate"]),
        (r#""birthDate":["2000"]"#, &["structure Patient.birthDate"]),
        (
            r#""contact":[{"name":{"given":["a","",3]}}]"#,
            &[
                "value Patient.contact[0].name.given[1]",
                "structure Patient.contact[0].name.given[2]",
            ],
        ),
        (
            r#""resourceTypes":"x""#,
            &["structure Patient.resourceTypes"],
        ),
        (
            r#""name":[{"resourceType":"x"}]"#,
            &["structure Patient.name[0].resourceType"],
        ),
        (r#""_name":[{"id":"a"}]"#, &["structure Patient._name"]),
    ]);
}

#[test]
fn nothing_is_empty() {
    check_patient(&[
        (r#""name":[]"#, &["structure Patient.name"]),
        (r#""name":[{}]"#, &["structure Patient.name[0]"]),
        (
            r#""maritalStatus":{}"#,
            &["structure Patient.maritalStatus"],
        ),
        (
            r#""maritalStatus":{"id":"a"}"#,
            &["invariant Patient.maritalStatus"],
        ),
        (
            r#""maritalStatus":{"text":""}"#,
            &["value Patient.maritalStatus.text"],
        ),
        (r#""meta":{}"#, &["structure Patient.meta"]),
        (r#""contained":[]"#, &["structure Patient.contained"]),
        (r#""birthDate":"""#, &["value Patient.birthDate"]),
    ]);
}

#[test]
fn required_elements_are_there() {
    check(&[
        (
            r#"{"resourceType":"Observation","status":"final"}"#,
            &["required Observation.code"],
        ),
        (
            r#"{"resourceType":"Observation","code":{"text":"x"}}"#,
            &["required Observation.status"],
        ),
        (
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"valueString":"x"}]}"#,
            &["required Observation.component[0].code"],
        ),
        (
            r#"{"resourceType":"Patient","link":[{"type":"refer"}]}"#,
            &["required Patient.link[0].other"],
        ),
        (
            r#"{"resourceType":"Patient","text":{"status":"empty"}}"#,
            &["required Patient.text.div"],
        ),
        // Its extension stands for the value.
        (
            r#"{"resourceType":"Observation","_status":{"extension":[{"url":"u","valueCode":"unknown"}]},"code":{"text":"x"}}"#,
            &[],
        ),
        (
            r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"display":"x"}}"#,
            &["required MedicationRequest.medication"],
        ),
    ]);
}

#[test]
fn a_choice_is_one_of_its_types() {
    let check = |members: &str, expected: &[&str]| {
        let body = format!(
            "{{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{{\"text\":\"x\"}},{members}}}"
        );
        assert_eq!(short(&body), expected, "{members}");
    };
    check(r#""valueQuantity":{"value":1.50}"#, &[]);
    check(r#""valueBoolean":false,"_valueBoolean":{"id":"a"}"#, &[]);
    check(r#""_valueBoolean":{"id":"a"},"valueBoolean":false"#, &[]);
    check(r#""value":1"#, &["structure Observation.value"]);
    check(
        r#""valueMoney":{"value":1}"#,
        &["structure Observation.valueMoney"],
    );
    check(
        r#""valueString":"a","valueInteger":1"#,
        &["structure Observation.value"],
    );
    check(
        r#""valueString":"a","effectiveDateTime":"2020","valueInteger":1"#,
        &["structure Observation.value"],
    );
    check(
        r#""valueString":"a","_valueInteger":{"id":"a"}"#,
        &[
            "structure Observation.value",
            "invariant Observation.value.ofType(integer)",
        ],
    );
    check(
        r#""valueQuantity":{"value":"1.5"}"#,
        &["structure Observation.value.ofType(Quantity).value"],
    );
    check(
        r#""referenceRange":[{"low":{"value":1,"comparator":"<"}}]"#,
        &["structure Observation.referenceRange[0].low.comparator"],
    );
}

#[test]
fn issues_are_capped() {
    let bad = vec!["{\"x\":1}"; 500].join(",");
    let found = issues(&format!(
        "{{\"resourceType\":\"Patient\",\"name\":[{bad}]}}"
    ));
    assert_eq!(found.len(), MAX_ISSUES);
    assert_eq!(found[99].severity, Severity::Information);
    let members: Vec<_> = (0..300).map(|n| format!("\"x{n}\":1")).collect();
    let found = issues(&format!(
        "{{\"resourceType\":\"Patient\",{}}}",
        members.join(",")
    ));
    assert_eq!(found.len(), MAX_ISSUES);
}

#[test]
fn the_deepest_document_fits_the_stack() {
    let limits = Limits {
        max_depth: u32::MAX,
        ..Limits::default()
    };
    let levels = 254;
    let open = r#"{"url":"u","extension":["#.repeat(levels);
    let close = "]}".repeat(levels);
    let body = format!(r#"{{"resourceType":"Patient","extension":[{open}{{"url":"u"}}{close}]}}"#);
    let document = Document::parse(body.into_bytes(), &limits).unwrap();
    let found = validate(Definitions::r4(), document.root());
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].expression.matches("extension[0]").count(),
        levels + 1
    );
}

#[test]
fn issues_name_the_remedy() {
    let body = r#"{"resourceType":"Observation","Status":"final","code":{"text":""},"valueMoney":{},
        "subject":{"reference":"Practitioner/1"},"category":{"text":"x"},"effectiveDateTime":"2026-02-30","language":"a  b",
        "component":[{"code":{"text":"x"},"valueString":"a","valueInteger":1}],"unknown":1,"device":{"reference":"x"},
        "text":{"status":"made-up","div":"<div>x</div>"}}"#;
    let lines: Vec<String> = issues(body)
        .iter()
        .map(|issue| format!("{} {}: {}", issue.code, issue.expression, issue.diagnostics))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    structure Observation.Status: "Status" is no element of Observation: write it status
    value Observation.code.text: an empty string says nothing: leave the element out
    structure Observation.valueMoney: "valueMoney" is no element of Observation: use one of valueQuantity, valueCodeableConcept, valueString, valueBoolean, valueInteger, valueRange, valueRatio, valueSampledData, valueTime, valueDateTime, valuePeriod
    structure Observation.subject.reference: a Practitioner cannot stand here: refer to Device, Group, Location, Patient
    structure Observation.category: category repeats, so it is an array, not an object: put it in brackets
    value Observation.effective.ofType(dateTime): a dateTime is a moment that exists, written YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz, with a zone when it has a time
    value Observation.language: a code has no spaces around it and single ones inside
    structure Observation.component[0].value: valueString and valueInteger are the same element: send one of them
    structure Observation.unknown: "unknown" is no element of Observation: remove it, or send it as an extension
    value Observation.device.reference: a reference is Type/id, an absolute URL, a urn or #id of a contained resource
    code-invalid Observation.text.status: code "made-up" is not in the required value set: use one of additional, empty, extensions, generated
    required Observation.status: status is required: add it
    "#);
}
