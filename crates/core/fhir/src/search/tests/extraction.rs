//! What each kind of element gives, in hand-written resources; one test per tricky construct.

use super::{document, extracted, lines, param};
use crate::search::IndexValue;

/// The values of one parameter of a resource, shown.
fn of(json: &str, code: &str) -> Vec<String> {
    lines(json)
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{code} ")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn patient() {
    insta::assert_snapshot!(lines(r#"{"resourceType":"Patient","id":"p1",
        "meta":{"lastUpdated":"2026-03-05T08:09:10.123Z","profile":["http://example.org/p|2"],"source":"urn:x","tag":[{"system":"s","code":"t"}]},
        "identifier":[{"system":"urn:nhs","value":"943","type":{"text":"NHS number"}}],
        "active":true,
        "name":[{"family":"Müller","given":["Ann","Marie"],"use":"official"},null],
        "telecom":[{"system":"phone","value":"555"},{"system":"email","value":"a@b.c"}],
        "gender":"female","birthDate":"1970-05","deceasedDateTime":"2025",
        "address":[{"line":["1 High St"],"city":"Leeds","postalCode":"LS1","use":"home"}],
        "communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en","display":"English"}],"text":"English"}}],
        "generalPractitioner":[{"reference":"Practitioner/g"}],
        "link":[{"other":{"reference":"Patient/p0"},"type":"seealso"}]}"#), @r#"
    deceased token http://terminology.hl7.org/CodeSystem/special-values|true "-"
    _id token -|p1 "-"
    _lastUpdated range 2026-03-05T08:09:10.123Z 2026-03-05T08:09:10.124Z
    _profile uri http://example.org/p
    _profile uri http://example.org/p|2
    _source uri urn:x
    _tag token s|t "-"
    identifier token urn:nhs|943 "NHS number"
    active token http://terminology.hl7.org/CodeSystem/special-values|true "-"
    name text "muller" "Müller"
    name text "ann" "Ann"
    name text "marie" "Marie"
    phonetic text "muller" "Müller"
    phonetic text "ann" "Ann"
    phonetic text "marie" "Marie"
    family text "muller" "Müller"
    given text "ann" "Ann"
    given text "marie" "Marie"
    telecom token -|555 "-"
    phone token -|555 "-"
    telecom token -|a@b.c "-"
    email token -|a@b.c "-"
    gender token http://hl7.org/fhir/administrative-gender|female "-"
    birthdate range 1970-05-01T00:00:00Z 1970-06-01T00:00:00Z
    death-date range 2025-01-01T00:00:00Z 2026-01-01T00:00:00Z
    address text "1 high st" "1 High St"
    address text "leeds" "Leeds"
    address text "ls1" "LS1"
    address-city text "leeds" "Leeds"
    address-postalcode text "ls1" "LS1"
    address-use token http://hl7.org/fhir/address-use|home "-"
    language token urn:ietf:bcp:47|en "English"
    language token -|- "English"
    general-practitioner local Practitioner/g
    link local Patient/p0
    in compartment of p0
    in compartment of p1
    "#);
}

#[test]
fn observation_with_components() {
    insta::assert_snapshot!(lines(r#"{"resourceType":"Observation","status":"final",
        "code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},
        "subject":{"reference":"Patient/p1/_history/4"},
        "effectivePeriod":{"start":"2026-01-01"},
        "component":[
          {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":120,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
          {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"dataAbsentReason":{"text":"moved"}}]}"#), @r#"
    status token http://hl7.org/fhir/observation-status|final "-"
    code token http://loinc.org|85354-9 "-"
    combo-code token http://loinc.org|85354-9 "-"
    patient local Patient/p1
    subject local Patient/p1
    date range 2026-01-01T00:00:00Z ..
    combo-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] any)
    combo-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] http://unitsofmeasure.org|mm[Hg])
    combo-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] label mm[Hg])
    combo-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] label mmHg)
    component-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] any)
    component-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] http://unitsofmeasure.org|mm[Hg])
    component-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] label mm[Hg])
    component-code-value-quantity (token http://loinc.org|8480-6 "-" $ quantity 120 120] label mmHg)
    combo-code token http://loinc.org|8480-6 "-"
    component-code token http://loinc.org|8480-6 "-"
    combo-value-quantity quantity 120 120] any
    combo-value-quantity quantity 120 120] http://unitsofmeasure.org|mm[Hg]
    combo-value-quantity quantity 120 120] label mm[Hg]
    combo-value-quantity quantity 120 120] label mmHg
    component-value-quantity quantity 120 120] any
    component-value-quantity quantity 120 120] http://unitsofmeasure.org|mm[Hg]
    component-value-quantity quantity 120 120] label mm[Hg]
    component-value-quantity quantity 120 120] label mmHg
    combo-code token http://loinc.org|8462-4 "-"
    component-code token http://loinc.org|8462-4 "-"
    combo-data-absent-reason token -|- "moved"
    component-data-absent-reason token -|- "moved"
    in compartment of p1
    "#);
}

#[test]
fn observation_values() {
    let with = |value: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"code":"c"}}]}},{value}}}"#
        )
    };
    let concept = with(
        r#""valueCodeableConcept":{"coding":[{"system":"s","code":"x"},{"code":"y"}],"text":"Z"}"#,
    );
    assert_eq!(
        of(&concept, "value-concept"),
        [r#"token s|x "-""#, r#"token -|y "-""#, r#"token -|- "Z""#]
    );
    assert_eq!(of(&concept, "value-string"), [r#"text "z" "Z""#]);
    assert_eq!(of(&concept, "code-value-concept").len(), 3);
    let date = with(r#""valueDateTime":"2026-01-02""#);
    assert_eq!(
        of(&date, "value-date"),
        ["range 2026-01-02T00:00:00Z 2026-01-03T00:00:00Z"]
    );
    assert_eq!(of(&date, "code-value-date").len(), 1);
    assert_eq!(
        of(&with(r#""valueString":"Low  Risk""#), "code-value-string"),
        [r#"(token -|c "-" $ text "low risk" "Low  Risk")"#]
    );
    let sampled = with(
        r#""valueSampledData":{"origin":{"value":10,"unit":"mV"},"period":1,"factor":2,"dimensions":1,"data":"1 E -2.5 3"}"#,
    );
    assert_eq!(
        of(&sampled, "combo-value-quantity"),
        ["quantity 5 16] any", "quantity 5 16] label mV"]
    );
    let limits = with(
        r#""valueSampledData":{"origin":{"value":0},"period":1,"lowerLimit":-3,"dimensions":1,"data":"1 L U"}"#,
    );
    assert_eq!(of(&limits, "value-quantity"), ["quantity .. .. any"]);
    let below = with(r#""valueQuantity":{"value":5.0,"comparator":"<","code":"mg"}"#);
    assert_eq!(
        of(&below, "value-quantity"),
        ["quantity .. 5 any", "quantity .. 5 label mg"]
    );
}

#[test]
fn condition_choices() {
    let condition = |onset: &str| {
        format!(
            r#"{{"resourceType":"Condition","subject":{{"reference":"Patient/a"}},{onset},
            "code":{{"coding":[{{"system":"http://snomed.info/sct","code":"44054006"}}]}}}}"#
        )
    };
    let age = condition(
        r#""onsetAge":{"value":52,"system":"http://unitsofmeasure.org","code":"a","unit":"years"}"#,
    );
    assert_eq!(of(&age, "onset-age").len(), 4);
    assert!(of(&age, "onset-date").is_empty() && of(&age, "onset-info").is_empty());
    let range =
        condition(r#""onsetRange":{"low":{"value":50,"unit":"years"},"high":{"value":60}}"#);
    assert_eq!(
        of(&range, "onset-age"),
        ["quantity 50 60] any", "quantity 50 60] label years"]
    );
    assert_eq!(
        of(&condition(r#""onsetString":"long ago""#), "onset-info").len(),
        1
    );
    assert_eq!(
        of(&condition(r#""onsetPeriod":{"end":"2020"}"#), "onset-date"),
        ["range .. 2021-01-01T00:00:00Z"]
    );
}

#[test]
fn references_of_every_form() {
    let encounter = r##"{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},
        "subject":{"reference":"Patient/a"},
        "participant":[
          {"individual":{"reference":"Practitioner/1"}},
          {"individual":{"reference":"http://other.org/fhir/Practitioner/2/_history/1"}},
          {"individual":{"reference":"PractitionerRole/3"}},
          {"individual":{"reference":"urn:uuid:4"}},
          {"individual":{"type":"Practitioner","identifier":{"system":"gmc","value":"5"}}},
          {"individual":{"reference":"#contained"}},
          {"individual":{"reference":"nonsense"}},
          {"individual":{"display":"Dr Who"}}]}"##;
    assert_eq!(
        of(encounter, "participant"),
        [
            "local Practitioner/1",
            "absolute http://other.org/fhir/Practitioner/2",
            "local PractitionerRole/3",
            "absolute urn:uuid:4",
            "identifier gmc|5",
            "token -|- \"Dr Who\"",
        ]
    );
    assert_eq!(
        of(encounter, "practitioner"),
        [
            "local Practitioner/1",
            "absolute http://other.org/fhir/Practitioner/2",
            "identifier gmc|5"
        ]
    );
}

#[test]
fn a_reference_without_address_counts_as_present() {
    let document = document(r#"{"resourceType":"Procedure","subject":{"display":"A patient"}}"#);
    let extracted = extracted(&document);
    assert!(
        extracted
            .present
            .contains(param("Procedure", "subject").bit)
    );
    assert!(
        !extracted
            .present
            .contains(param("Procedure", "patient").bit)
    );
    assert!(!extracted.present.contains(param("Procedure", "date").bit));
    let [(id, IndexValue::Token { system, code, text })] = extracted.values.as_slice() else {
        panic!("{:?}", extracted.values);
    };
    assert_eq!(*id, param("Procedure", "subject").id);
    assert_eq!((system, code), (&None, &None));
    assert_eq!(text.as_deref(), Some("A patient"));
}

#[test]
fn logical_flags_of_the_deceased() {
    for (member, dead) in [
        ("", false),
        (r#","deceasedBoolean":false"#, false),
        (r#","deceasedBoolean":true"#, true),
        (r#","deceasedDateTime":"2025-01-01""#, true),
    ] {
        let json = format!(r#"{{"resourceType":"Patient"{member}}}"#);
        assert_eq!(
            of(&json, "deceased"),
            [format!(
                "token http://terminology.hl7.org/CodeSystem/special-values|{dead} \"-\""
            )]
        );
    }
}

#[test]
fn canonicals_uris_and_filters() {
    let plan = r#"{"resourceType":"PlanDefinition","status":"draft","url":"http://example.org/plan",
        "library":["http://example.org/lib|1.2"],
        "relatedArtifact":[{"type":"depends-on","resource":"http://example.org/dep"},{"type":"successor","resource":"http://example.org/next"}],
        "useContext":[
          {"code":{"code":"age"},"valueRange":{"low":{"value":18,"unit":"a"}}},
          {"code":{"code":"focus"},"valueCodeableConcept":{"coding":[{"code":"dm"}]}}]}"#;
    assert_eq!(
        of(plan, "depends-on"),
        [
            "absolute http://example.org/lib",
            "absolute http://example.org/lib|1.2",
            "absolute http://example.org/dep"
        ]
    );
    assert_eq!(of(plan, "successor"), ["absolute http://example.org/next"]);
    assert_eq!(of(plan, "url"), ["uri http://example.org/plan"]);
    assert_eq!(
        of(plan, "context-type-quantity"),
        [
            r#"(token -|age "-" $ quantity 18 .. any)"#,
            r#"(token -|age "-" $ quantity 18 .. label a)"#
        ]
    );
    assert_eq!(
        of(plan, "context-type-value"),
        [r#"(token -|focus "-" $ token -|dm "-")"#]
    );
}

#[test]
fn bundle_entries_by_place_and_type() {
    let bundle = r#"{"resourceType":"Bundle","type":"document","entry":[
        {"resource":{"resourceType":"Composition","id":"c1"}},
        {"resource":{"resourceType":"Composition","id":"c2"}}]}"#;
    assert_eq!(of(bundle, "composition"), ["local Composition/c1"]);
    assert!(of(bundle, "message").is_empty());
}

#[test]
fn sequences_take_components_from_the_resource() {
    let sequence = r#"{"resourceType":"MolecularSequence","coordinateSystem":0,
        "referenceSeq":{"chromosome":{"coding":[{"code":"7"}]},"windowStart":5,"windowEnd":9,"referenceSeqId":{"coding":[{"code":"NC_7"}]}},
        "variant":[{"start":6,"end":7},{"start":8}]}"#;
    assert_eq!(
        of(sequence, "chromosome-variant-coordinate"),
        [r#"(token -|7 "-" $ number 6 6] $ number 7 7])"#]
    );
    assert_eq!(
        of(sequence, "referenceseqid-window-coordinate"),
        [r#"(token -|NC_7 "-" $ number 5 5] $ number 9 9])"#]
    );
}

#[test]
fn documents_relate_by_code_and_target() {
    let reference = r#"{"resourceType":"DocumentReference","status":"current","content":[],
        "relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/old"}}]}"#;
    assert_eq!(
        of(reference, "relationship"),
        [
            r#"(token http://hl7.org/fhir/document-relationship-type|replaces "-" $ local DocumentReference/old)"#
        ]
    );
}

#[test]
fn timings_money_and_probabilities() {
    let request = r#"{"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"Patient/a"},
        "occurrenceTiming":{"event":["2026-02-01","2026-01-01T10:00:00Z"],"repeat":{"boundsPeriod":{"start":"2026-01-15","end":"2026-03"}}}}"#;
    assert_eq!(
        of(request, "occurrence"),
        ["range 2026-01-01T10:00:00Z 2026-04-01T00:00:00Z"]
    );
    let invoice = r#"{"resourceType":"Invoice","status":"issued","totalGross":{"value":12.50,"currency":"GBP"}}"#;
    assert_eq!(
        of(invoice, "totalgross"),
        [
            "quantity 12.5 12.5] any",
            "quantity 12.5 12.5] urn:iso:std:iso:4217|GBP",
            "quantity 12.5 12.5] label GBP"
        ]
    );
    let risk = r#"{"resourceType":"RiskAssessment","status":"final","subject":{"reference":"Patient/a"},
        "prediction":[{"probabilityDecimal":0.02},{"probabilityRange":{"low":{"value":0.1},"high":{"value":0.2}}}]}"#;
    assert_eq!(
        of(risk, "probability"),
        ["number 0.02 0.02]", "number 0.1 0.2]"]
    );
}

#[test]
fn other_plain_resources() {
    let medication = r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"reference":"Patient/a"},
        "medicationReference":{"reference":"Medication/m"},"authoredOn":"2026-01-01"}"#;
    assert_eq!(of(medication, "medication"), ["local Medication/m"]);
    assert!(of(medication, "code").is_empty());
    assert_eq!(of(medication, "status").len(), 1);
    let group = r#"{"resourceType":"Group","type":"person","actual":true,
        "member":[{"entity":{"reference":"Patient/b"}},{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Device/c"}},{"entity":{"reference":"Patient/b"}}],
        "characteristic":[{"code":{"text":"k"},"valueBoolean":true,"exclude":false}]}"#;
    let text = lines(group);
    assert!(text.ends_with("in compartment of a\nin compartment of b\n"));
    assert_eq!(of(group, "value").len(), 1);
    assert_eq!(of(group, "characteristic-value").len(), 1);
    let plan = r#"{"resourceType":"InsurancePlan","name":"Gold","alias":["Or"]}"#;
    assert_eq!(
        of(plan, "name"),
        [r#"text "gold" "Gold""#, r#"text "or" "Or""#]
    );
}

#[test]
fn malformed_elements_give_no_value_and_no_panic() {
    for json in [
        r#"{"resourceType":"Patient","name":"Smith","birthDate":7,"telecom":[7,{"system":"phone"}],"identifier":{"value":{}},"address":[[]]}"#,
        r#"{"resourceType":"Observation","code":[],"valueQuantity":{"value":"5"},"component":{"code":7},"effectiveDateTime":"2026-02-30","subject":"Patient/1"}"#,
    ] {
        let document = document(json);
        let found = extracted(&document);
        let useful = found
            .values
            .iter()
            .filter(|(_, value)| !matches!(value, IndexValue::Token { .. }))
            .count();
        assert_eq!(useful, 0, "{json}: {:?}", found.values);
    }
}

#[test]
fn escapes_in_the_document_are_undone() {
    let json = r#"{"resourceType":"Observation","status":"\u0066inal","code":{"coding":[{"system":"http:\/\/loinc.org","code":"1"}]},
        "subject":{"reference":"Patient\/a"},"performer":[{"reference":"http:\/\/other.org\/Practitioner\/2"}]}"#;
    assert_eq!(of(json, "code"), [r#"token http://loinc.org|1 "-""#]);
    assert_eq!(of(json, "patient"), ["local Patient/a"]);
    assert_eq!(
        of(json, "performer"),
        ["absolute http://other.org/Practitioner/2"]
    );
    assert_eq!(
        of(json, "status"),
        [r#"token http://hl7.org/fhir/observation-status|final "-""#]
    );
}
