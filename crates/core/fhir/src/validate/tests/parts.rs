//! Extensions, references, contained resources, resources in bundles: what stands inside a resource.

use super::{check, check_patient, short};

#[test]
fn values_have_an_extension_beside_them() {
    let ext = r#"{"extension":[{"url":"http://example.org/x","valueString":"y"}]}"#;
    let cases: &[(&str, &[&str])] = &[
        (r#""birthDate":"2000","_birthDate":EXT"#, &[]),
        (r#""_birthDate":EXT"#, &[]),
        (r#""birthDate":"2000","_birthDate":{"id":"a"}"#, &[]),
        (
            r#""_birthDate":{"id":"a"}"#,
            &["invariant Patient.birthDate"],
        ),
        (r#""_birthDate":{}"#, &["structure Patient.birthDate"]),
        (r#""_birthDate":"x""#, &["structure Patient.birthDate"]),
        (r#""_birthDate":null"#, &["structure Patient.birthDate"]),
        (r#""_birthDate":[EXT]"#, &["structure Patient.birthDate"]),
        (
            r#""_birthDate":{"value":"x"}"#,
            &["structure Patient.birthDate.value"],
        ),
        (r#""name":[{"given":["a",null],"_given":[null,EXT]}]"#, &[]),
        (r#""name":[{"_given":[EXT]}]"#, &[]),
        (r#""name":[{"given":["a","b"],"_given":[null,EXT]}]"#, &[]),
        (
            r#""name":[{"given":[null]}]"#,
            &["structure Patient.name[0].given[0]"],
        ),
        (
            r#""name":[{"given":["a",null],"_given":[EXT,null]}]"#,
            &[
                "structure Patient.name[0].given[1]",
                "structure Patient.name[0].given[1]",
            ],
        ),
        (
            r#""name":[{"given":["a","b"],"_given":[EXT]}]"#,
            &["structure Patient.name[0].given"],
        ),
        (
            r#""name":[{"_given":[null]}]"#,
            &["structure Patient.name[0].given[0]"],
        ),
        (
            r#""name":[{"_given":[]}]"#,
            &["structure Patient.name[0].given"],
        ),
        (
            r#""name":[{"given":["a"],"_given":EXT}]"#,
            &["structure Patient.name[0].given"],
        ),
        (
            r#""name":[{"id":"a","_id":EXT,"text":"x"}]"#,
            &["structure Patient.name[0]._id"],
        ),
    ];
    for (members, expected) in cases {
        check_patient(&[(&members.replace("EXT", ext), expected)]);
    }
}

#[test]
fn extensions_have_a_url_and_either_value_or_extensions() {
    check_patient(&[
        (r#""extension":[{"url":"u","valueString":"x"}]"#, &[]),
        (
            r#""extension":[{"url":"u","extension":[{"url":"v","valueBoolean":false}]}]"#,
            &[],
        ),
        (
            r#""extension":[{"url":"u","_valueString":{"extension":[{"url":"v","valueCode":"c"}]}}]"#,
            &[],
        ),
        (
            r#""extension":[{"valueString":"x"}]"#,
            &["required Patient.extension[0].url"],
        ),
        (
            r#""extension":[{"url":"u"}]"#,
            &["invariant Patient.extension[0]"],
        ),
        (
            r#""extension":[{"url":"u","valueString":"x","extension":[{"url":"v","valueCode":"c"}]}]"#,
            &["invariant Patient.extension[0]"],
        ),
        (
            r#""extension":[{"url":"a b","valueString":"x"}]"#,
            &["value Patient.extension[0].url"],
        ),
        (
            r#""extension":[{"url":"u","_url":{"id":"x"},"valueString":"x"}]"#,
            &["structure Patient.extension[0]._url"],
        ),
        (
            r#""modifierExtension":[{"url":"u","valueAge":{"value":1}}]"#,
            &[],
        ),
        (
            r#""extension":[{"url":"u","valueBackbone":1}]"#,
            &[
                "structure Patient.extension[0].valueBackbone",
                "invariant Patient.extension[0]",
            ],
        ),
    ]);
}

fn check_reference(reference: &str, expected: &[&str]) {
    let body = format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"subject":{reference}}}"#
    );
    assert_eq!(short(&body), expected, "{reference}");
}

#[test]
fn references_point_to_what_may_stand_there() {
    for good in [
        "Patient/1",
        "Group/a.b-C",
        "Patient/1/_history/2",
        "Patient?identifier=a|b",
        "urn:uuid:x",
        "urn:oid:1.2",
        "http://example.org/fhir/Patient/1",
        "http://example.org/Patient/1/_history/3",
        "http://example.org/x",
        "#",
    ] {
        check_reference(&format!(r#"{{"reference":"{good}"}}"#), &[]);
    }
    for bad in [
        "Practitioner/1",
        "Practitioner?name=x",
        "http://example.org/fhir/Practitioner/1",
        "https://a/Practitioner/1/_history/2",
    ] {
        check_reference(
            &format!(r#"{{"reference":"{bad}"}}"#),
            &["structure Observation.subject.reference"],
        );
    }
    for bad in [
        "Foo/1",
        "patient/1",
        "Patient",
        "Patient/",
        "Patient/a b",
        "Patient/1/x",
        "Patient/1/_history",
        "1",
        "/Patient/1",
        "Patient/1/_history/2/3",
        "Patient/1 ",
    ] {
        check_reference(
            &format!(r#"{{"reference":"{bad}"}}"#),
            &["value Observation.subject.reference"],
        );
    }
}

#[test]
fn references_agree_with_what_they_say() {
    check_reference(
        r##"{"reference":"#x"}"##,
        &["invariant Observation.subject.reference"],
    );
    check_reference(r#"{"display":"x","type":"Patient"}"#, &[]);
    check_reference(
        r#"{"type":"Practitioner","identifier":{"value":"1"}}"#,
        &["structure Observation.subject.type"],
    );
    check_reference(
        r#"{"type":"Group","reference":"Patient/1"}"#,
        &["invariant Observation.subject.type"],
    );
    check_reference(
        r#"{"reference":{"reference":"Patient/1"}}"#,
        &["structure Observation.subject.reference"],
    );
}

#[test]
fn contained_resources_are_parts_of_their_container() {
    check_patient(&[
        (
            r##""contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}"##,
            &[],
        ),
        (
            r##""managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","name":"x","partOf":{"reference":"#p"}},{"resourceType":"Organization","id":"p","name":"x"}]"##,
            &[],
        ),
        (
            r##""contained":[{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"#"}}]"##,
            &[],
        ),
        (
            r#""contained":[{"resourceType":"Organization","id":"o","name":"x"}]"#,
            &["invariant Patient.contained[0]"],
        ),
        (
            r#""contained":[{"resourceType":"Organization","name":"x"}]"#,
            &["required Patient.contained[0].id"],
        ),
        (
            r##""contained":[{"resourceType":"Patient","id":"o"}],"managingOrganization":{"reference":"#o"}"##,
            &["structure Patient.managingOrganization.reference"],
        ),
        (
            r##""contained":[{"resourceType":"Organization","id":"o","naem":"x"}],"managingOrganization":{"reference":"#o"}"##,
            &["structure Patient.contained[0].naem"],
        ),
        (
            r##""contained":[{"resourceType":"Organization","id":"o","name":"x","contained":[{"resourceType":"Organization","id":"i","name":"y"}]}],"managingOrganization":{"reference":"#o"}"##,
            &["invariant Patient.contained[0].contained"],
        ),
    ]);
}

#[test]
fn contained_resources_are_checked_as_such() {
    check_patient(&[
        (
            r##""contained":[{"resourceType":"Organization","id":"o","name":"x","meta":{"versionId":"1"}}],"managingOrganization":{"reference":"#o"}"##,
            &["invariant Patient.contained[0].meta"],
        ),
        (
            r##""contained":[{"resourceType":"Organization","id":"o","name":"x"},{"resourceType":"Organization","id":"o","name":"y"}],"managingOrganization":{"reference":"#o"}"##,
            &[
                "invariant Patient.contained[1].id",
                "invariant Patient.contained[1]",
            ],
        ),
        (r#""contained":["x"]"#, &["structure Patient.contained[0]"]),
        (
            r#""contained":[{"resourceType":"Nothing","id":"o"}]"#,
            &[
                "value Patient.contained[0].resourceType",
                "invariant Patient.contained[0]",
            ],
        ),
    ]);
    let questionnaire = r##"{"resourceType":"Questionnaire","status":"draft","contained":[{"resourceType":"ValueSet","id":"v","status":"draft"}],"item":[{"linkId":"1","type":"choice","answerValueSet":"#v"}]}"##;
    assert_eq!(short(questionnaire), [""; 0]);
}

#[test]
fn resources_in_bundles_and_parameters_are_walked() {
    check(&[
        (
            r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gender":"x"}},{"resource":{"resourceType":"Nothing"}},{"resource":{"id":"1"}}]}"#,
            &[
                "code-invalid Bundle.entry[0].resource.gender",
                "value Bundle.entry[1].resource.resourceType",
                "required Bundle.entry[2].resource.resourceType",
            ],
        ),
        (
            r#"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Patient","active":1}}]}]}"#,
            &["structure Parameters.parameter[0].part[0].resource.active"],
        ),
        // Each resource of a bundle has contained resources of its own.
        (
            r##"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}}},{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}}]}"##,
            &["invariant Bundle.entry[1].resource.managingOrganization.reference"],
        ),
        (
            r#"{"resourceType":"Bundle","type":"collection","link":[{"relation":"self","url":"x"}],"entry":[{"link":[{"relation":"self"}]}]}"#,
            &["required Bundle.entry[0].link[0].url"],
        ),
    ]);
}

#[test]
fn recursive_elements_are_walked() {
    check(&[
        (
            r#"{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"2","type":"group","item":[{"linkId":"3","type":"x"}]}]}]}"#,
            &["code-invalid Questionnaire.item[0].item[0].item[0].type"],
        ),
        // A member that is called like the type of the resource.
        (
            r#"{"resourceType":"ExampleScenario","status":"draft","instance":[{"resourceId":"a","resourceType":"Patient"}]}"#,
            &[],
        ),
    ]);
}
