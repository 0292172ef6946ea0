//! FHIRPath Patch on JSON: what XML cannot show (arrays beside arrays, exact bytes), and refusals.

use fhir::json::{Document, Limits as JsonLimits};

use super::{Limits, PatchErrorKind, apply};

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"o","status":"final","valueQuantity":{"value":1.50,"unit":"mg"},"note":[{"text":"a"}],"component":[{"valueInteger":1}]}"#;
const PATIENT: &str = r#"{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"x"}]}],"birthDate":"1920-01-01"}"#;

fn patched(resource: &str, operations: &str) -> Result<String, PatchErrorKind> {
    let text = format!(r#"{{"resourceType":"Parameters","parameter":[{operations}]}}"#);
    let parameters = Document::parse(text.into_bytes(), &JsonLimits::default()).unwrap();
    apply(resource.as_bytes(), parameters.root(), &Limits::default())
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .map_err(|error| error.kind)
}

fn operation(ty: &str, path: &str, more: &str) -> String {
    format!(
        r#"{{"name":"operation","part":[{{"name":"type","valueCode":"{ty}"}},{{"name":"path","valueString":"{path}"}}{more}]}}"#
    )
}

#[test]
fn keeps_what_it_does_not_touch() {
    for (resource, operation, expected) in [
        (
            OBSERVATION,
            operation("replace", "Observation.status", r#",{"name":"value","valueCode":"amended"}"#),
            OBSERVATION.replace("final", "amended"),
        ),
        (
            OBSERVATION,
            operation("replace", "Observation.value", r#",{"name":"value","valueString":"much"}"#),
            r#"{"resourceType":"Observation","id":"o","status":"final","note":[{"text":"a"}],"component":[{"valueInteger":1}],"valueString":"much"}"#.to_owned(),
        ),
        (
            OBSERVATION,
            operation("delete", "Observation.note", ""),
            OBSERVATION.replace(r#","note":[{"text":"a"}]"#, ""),
        ),
        (
            OBSERVATION,
            operation("delete", "Observation.method", ""),
            OBSERVATION.to_owned(),
        ),
        (
            PATIENT,
            operation("insert", "Patient.name.given", r#",{"name":"index","valueInteger":1},{"name":"value","valueString":"N"}"#),
            PATIENT.replace(r#"["A","B"],"_given":[null,{"id":"x"}]"#, r#"["A","N","B"],"_given":[null,null,{"id":"x"}]"#),
        ),
        (
            PATIENT,
            operation("delete", "Patient.name.given[0]", ""),
            PATIENT.replace(r#"["A","B"],"_given":[null,{"id":"x"}]"#, r#"["B"],"_given":[{"id":"x"}]"#),
        ),
        (
            PATIENT,
            operation("move", "Patient.name.given", r#",{"name":"source","valueInteger":1},{"name":"destination","valueInteger":0}"#),
            PATIENT.replace(r#"["A","B"],"_given":[null,{"id":"x"}]"#, r#"["B","A"],"_given":[{"id":"x"},null]"#),
        ),
        (
            PATIENT,
            operation("add", "Patient.birthDate", r#",{"name":"name","valueString":"id"},{"name":"value","valueString":"b"}"#),
            PATIENT.replace(r#""1920-01-01""#, r#""1920-01-01","_birthDate":{"id":"b"}"#),
        ),
        (
            PATIENT,
            operation("add", "Patient", r#",{"name":"name","valueString":"deceased"},{"name":"value","valueBoolean":true}"#),
            PATIENT.replace(r#""1920-01-01""#, r#""1920-01-01","deceasedBoolean":true"#),
        ),
    ] {
        assert_eq!(patched(resource, &operation), Ok(expected), "{operation}");
    }
}

#[test]
fn refuses_what_cannot_be_done() {
    let value = r#",{"name":"value","valueString":"x"}"#;
    let named = r#",{"name":"name","valueString":"birthDate"},{"name":"value","valueDate":"2000"}"#;
    for (operation, refused) in [
        (operation("add", "Patient", named), "there already"),
        (
            operation("replace", "Patient.gender", value),
            "selects 0 elements",
        ),
        (
            operation("replace", "Patient.name.given", value),
            "selects 2 elements",
        ),
        (
            operation("replace", "Patient.name.count()", value),
            "no element",
        ),
        (operation("replace", "Patient", value), "no element"),
        (
            operation("insert", "Patient.name.given", value),
            "\"index\" is missing",
        ),
        (
            operation(
                "insert",
                "Patient.name.given[0]",
                &format!(r#",{{"name":"index","valueInteger":0}}{value}"#),
            ),
            "one list",
        ),
        (
            operation(
                "insert",
                "Patient.name.given",
                &format!(r#",{{"name":"index","valueInteger":3}}{value}"#),
            ),
            "no index 3",
        ),
        (operation("copy", "Patient", ""), "type is not"),
        (operation("delete", "Patient.", ""), "FHIRPath at character"),
        (
            operation(
                "add",
                "Patient",
                r#",{"name":"name","valueString":"nothing"},{"name":"value","valueDate":"2000"}"#,
            ),
            "no element \"nothing\"",
        ),
        (
            operation(
                "add",
                "Patient",
                r#",{"name":"name","valueString":"deceased"},{"name":"value","valueInteger":1}"#,
            ),
            "no element \"deceased\" of this type",
        ),
    ] {
        let error = patched(PATIENT, &operation).unwrap_err().to_string();
        assert!(error.contains(refused), "{operation}: {error}");
    }
}

#[test]
fn refuses_too_many_operations() {
    let many = vec![operation("delete", "Patient.gender", ""); 201].join(",");
    assert_eq!(patched(PATIENT, &many), Err(PatchErrorKind::TooMany(200)));
}
