//! Queries: what is read, what is refused, and what matches which resource.

use kernel::{Categorised, Category, Timestamp};
use proptest::prelude::*;

use super::{document, extracted, param, ty};
use crate::definitions::Definitions;
use crate::search::{
    CODED_TEXT_LIMIT, ConceptQuery, Modifier, ParamKind, QueryValue, SearchError, coded_text,
    escape, matches, parse_query_value, split_alternatives, unescape,
};

/// 2026-03-05T08:09:10Z.
const NOW: Timestamp = Timestamp::from_micros(1_772_698_150_000_000);

fn ask(type_name: &str, clause: &str) -> Result<QueryValue, SearchError> {
    let (name, value) = clause.split_once('=').unwrap();
    let (code, suffix) = name.split_once(':').unwrap_or((name, ""));
    let modifier = Modifier::parse(Definitions::r4(), suffix).unwrap();
    parse_query_value(param(type_name, code), modifier, value, NOW)
}

/// Whether a resource matches a clause of one alternative.
fn finds(json: &str, clause: &str) -> bool {
    let document = document(json);
    let root = document.root();
    let type_name = root.get("resourceType").unwrap().as_str().unwrap();
    let (name, _) = clause.split_once('=').unwrap();
    let (code, suffix) = name.split_once(':').unwrap_or((name, ""));
    let modifier = Modifier::parse(Definitions::r4(), suffix).unwrap();
    let value = ask(&type_name, clause).unwrap_or_else(|error| panic!("{clause}: {error}"));
    matches(
        &extracted(&document),
        param(&type_name, code),
        modifier,
        &value,
    )
}

fn table(json: &str, clauses: &[(&str, bool)]) {
    for (clause, expected) in clauses {
        assert_eq!(finds(json, clause), *expected, "{clause}");
    }
}

#[test]
fn tokens() {
    let patient = r#"{"resourceType":"Patient","active":true,"gender":"male",
        "identifier":[{"system":"urn:nhs","value":"943"},{"value":"a|b,c"}],
        "telecom":[{"system":"phone","value":"555"}]}"#;
    table(
        patient,
        &[
            ("identifier=943", true),
            ("identifier=urn:nhs|943", true),
            ("identifier=urn:nhs|", true),
            ("identifier=|943", false),
            ("identifier=urn:other|943", false),
            (r"identifier=a\|b\,c", true),
            (r"identifier=|a\|b\,c", true),
            ("identifier:not=943", false),
            ("identifier:not=944", true),
            ("identifier:missing=false", true),
            ("identifier:missing=true", false),
            ("gender=male", true),
            ("gender=Male", false),
            (
                "gender=http://hl7.org/fhir/administrative-gender|male",
                true,
            ),
            ("active=true", true),
            ("active=false", false),
            ("phone=555", true),
            ("email=555", false),
            ("email:missing=true", true),
            ("deceased=false", true),
        ],
    );
}

#[test]
fn strings() {
    let patient = r#"{"resourceType":"Patient","name":[{"family":"van der Müller","given":["Ann"]}],
        "address":[{"line":["12 Low Lane"],"city":"York"}]}"#;
    table(
        patient,
        &[
            ("family=Van Der", true),
            ("family=VAN DER MULLER", true),
            ("family=muller", false),
            ("family:contains=MÜLL", true),
            ("family:exact=van der Müller", true),
            ("family:exact=van der muller", false),
            ("name=ann", true),
            ("name=york", false),
            ("address=12 low", true),
            ("address-city=yo", true),
            ("given:missing=false", true),
            ("address-state:missing=true", true),
        ],
    );
}

#[test]
fn dates_compare_as_ranges() {
    let day = r#"{"resourceType":"Patient","birthDate":"2026-02-10"}"#;
    table(
        day,
        &[
            ("birthdate=2026-02-10", true),
            ("birthdate=2026-02", true),
            ("birthdate=2026-02-10T10:00:00Z", false),
            ("birthdate=ne2026-02", false),
            ("birthdate=ne2026-02-11", true),
            ("birthdate=gt2026-02-09", true),
            ("birthdate=gt2026-02-10", false),
            ("birthdate=gt2026-02", false),
            ("birthdate=ge2026-02", true),
            ("birthdate=lt2026-02-11", true),
            ("birthdate=lt2026-02-10", false),
            ("birthdate=le2026-02-10", true),
            ("birthdate=sa2026-02-09", true),
            ("birthdate=sa2026-02-10", false),
            ("birthdate=eb2026-02-11", true),
            ("birthdate=eb2026-02-10", false),
            ("birthdate=ap2026-02-11", true),
            ("birthdate=ap2026-03-04", false),
            ("birthdate=ap2025-11", false),
        ],
    );
    let open = r#"{"resourceType":"Encounter","status":"in-progress","class":{"code":"IMP"},"period":{"start":"2026-02-10T12:00:00+02:00"}}"#;
    table(
        open,
        &[
            ("date=gt2030", true),
            ("date=2026", false),
            ("date=ge2026-02-10", true),
            ("date=lt2026-02-10", false),
            ("date=sa2026-02-10", false),
            ("date=sa2026-02-10T09:59", true),
            ("date=eb2030", false),
            ("date=ap2030", true),
        ],
    );
}

#[test]
fn numbers_and_quantities() {
    let sample = r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"l","code":"1"}]},
        "valueQuantity":{"value":5.40,"unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"}}"#;
    table(
        sample,
        &[
            ("value-quantity=5.4", true),
            ("value-quantity=5", true),
            ("value-quantity=5.41", false),
            ("value-quantity=5.4|http://unitsofmeasure.org|mg", true),
            ("value-quantity=5.4|http://unitsofmeasure.org|g", false),
            ("value-quantity=5.4||mg", true),
            ("value-quantity=5.4||milligram", true),
            ("value-quantity=5.4||g", false),
            ("value-quantity=gt5.4", false),
            ("value-quantity=gt5.39", true),
            ("value-quantity=ge5.4", true),
            ("value-quantity=le5.40||mg", true),
            ("value-quantity=lt5.4", false),
            ("value-quantity=ne5.4", false),
            ("value-quantity=ne6", true),
            ("value-quantity=ap5.9", true),
            ("value-quantity=ap6.1", false),
            ("value-quantity=sa5.3", true),
            ("value-quantity=eb5.5", true),
            ("code-value-quantity=l|1$gt5", true),
            ("code-value-quantity=1$lt5||mg", false),
            ("code-value-quantity=2$gt5", false),
            ("combo-code-value-quantity=1$5.4", true),
            ("component-code-value-quantity:missing=true", true),
        ],
    );
    let risk = r#"{"resourceType":"RiskAssessment","status":"final","subject":{"reference":"Patient/a"},
        "prediction":[{"probabilityRange":{"low":{"value":0.1},"high":{"value":0.2}}}]}"#;
    table(
        risk,
        &[
            ("probability=gt0.15", true),
            ("probability=gt0.2", false),
            ("probability=ge0.1", true),
            ("probability=0.1", false),
            ("probability=sa0.09", true),
            ("probability=eb0.3", true),
            ("probability=ap0.21", true),
        ],
    );
    assert!(finds(
        r#"{"resourceType":"ImmunizationRecommendation","patient":{"reference":"Patient/a"},"date":"2026","recommendation":[]}"#,
        "date=2026"
    ));
}

#[test]
fn references_and_uris() {
    let observation = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},
        "subject":{"reference":"Patient/a","identifier":{"system":"urn:nhs","value":"943"}},
        "performer":[{"reference":"https://other.org/fhir/Practitioner/9"}],
        "meta":{"profile":["http://example.org/p|2"]}}"#;
    table(
        observation,
        &[
            ("subject=Patient/a", true),
            ("subject=Patient/a/_history/3", true),
            ("subject=a", true),
            ("subject=Group/a", false),
            ("subject:Patient=a", true),
            ("subject:Patient=Patient/a", true),
            ("subject:Group=a", false),
            ("subject:identifier=urn:nhs|943", true),
            ("subject:identifier=943", true),
            ("subject:identifier=|943", false),
            ("patient=a", true),
            ("performer=https://other.org/fhir/Practitioner/9", true),
            ("performer=Practitioner/9", false),
            ("encounter:missing=true", true),
            ("_profile=http://example.org/p", true),
            ("_profile=http://example.org/p|2", true),
            ("_profile=http://example.org/p|3", false),
        ],
    );
}

#[test]
fn refusals_say_what_would_be_accepted() {
    for (type_name, clause, says) in [
        ("Patient", "birthdate=2026-02-30", "2026-03-05"),
        ("Patient", "birthdate=xx2026", "eq, ne, gt"),
        ("Patient", "birthdate=", "give a value"),
        ("Patient", "birthdate:exact=2026", r#"["missing"]"#),
        ("Patient", "birthdate:missing=yes", "true or false"),
        ("Patient", "identifier=|", "system|code"),
        ("Patient", "identifier=a|b|c", "one '|'"),
        ("Patient", r"identifier=a\b", "backslash"),
        (
            "Patient",
            "identifier:exact=x",
            r#"["missing", "not", "text", "#,
        ),
        ("Patient", "identifier:text= ", "one letter"),
        (
            "Patient",
            "organization:exact=x",
            r#"["missing", "not", "identifier""#,
        ),
        (
            "Patient",
            "name:not=x",
            r#"["missing", "exact", "contains"]"#,
        ),
        ("Patient", "name= ", "letter"),
        ("Patient", "_text=x", "not offered"),
        ("Patient", "_filter=x", "not offered"),
        ("Location", "near=1", "latitude|longitude"),
        ("Location", "near=1|2|3|lb", "latitude|longitude"),
        ("Location", "near:missing=true", "not offered"),
        ("RiskAssessment", "probability=abc", "5.40"),
        ("RiskAssessment", "probability=gt", "5.40"),
        ("Observation", "value-quantity=5|mg", "number||unit"),
        ("Observation", "value-quantity=5|s|", "number||unit"),
        ("Observation", "value-quantity=5|a|b|c", "number||unit"),
        ("Observation", "code-value-quantity=8480-6", "joined by '$'"),
        ("Observation", "code-value-quantity=a$b$c", "joined by '$'"),
        ("Observation", "code-value-quantity=a$b", "5.40"),
        ("Observation", "subject=Nothing/1", "Type/id"),
        ("Observation", "subject=a b", "Type/id"),
        ("Observation", "subject:Patient=Group/a", "type named"),
        (
            "Observation",
            "code-value-quantity:not=1$2",
            r#"["missing"]"#,
        ),
    ] {
        let error = ask(type_name, clause).expect_err(clause);
        assert_eq!(error.category(), Category::Invalid);
        assert!(error.to_string().contains(says), "{clause}: {error}");
    }
    assert_eq!(Modifier::parse(Definitions::r4(), "nonsense"), None);
    assert_eq!(
        Modifier::parse(Definitions::r4(), "Patient"),
        Some(Modifier::Type(ty("Patient")))
    );
}

#[test]
fn every_modifier_is_offered_as_announced() {
    let patient = ty("Patient");
    for (type_name, code) in [
        ("Patient", "name"),
        ("Patient", "gender"),
        ("Patient", "birthdate"),
        ("RiskAssessment", "probability"),
        ("Observation", "value-quantity"),
        ("Observation", "subject"),
        ("Patient", "_profile"),
        ("Observation", "code-value-quantity"),
        ("Location", "near"),
    ] {
        let param = param(type_name, code);
        for modifier in [
            Modifier::Missing,
            Modifier::Exact,
            Modifier::Contains,
            Modifier::Not,
            Modifier::Identifier,
            Modifier::Type(patient),
            Modifier::Text,
            Modifier::In,
            Modifier::NotIn,
            Modifier::Above,
            Modifier::Below,
            Modifier::OfType,
            Modifier::CodeText,
        ] {
            let name = match modifier {
                Modifier::Type(_) => "[type]",
                other => other.as_str(),
            };
            let announced = Modifier::offered(param.kind).contains(&name);
            let refused = matches!(
                parse_query_value(param, modifier, "x", NOW),
                Err(SearchError::Modifier { .. } | SearchError::NotOffered { .. })
            );
            assert_eq!(announced, !refused, "{code} :{name}");
        }
    }
    assert!(Modifier::offered(ParamKind::Special).is_empty());
}

#[test]
fn modifiers_of_codes_identifiers_and_uris_compare_as_documented() {
    let patient = r#"{"resourceType":"Patient","id":"p",
        "identifier":[{"system":"urn:mrn","value":"4711","type":{"text":"Hospital number","coding":[{"system":"urn:types","code":"MR"},{"code":"X"}]}}],
        "communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en-AU","display":"English (Australia)"}],"text":"Strine"}}],
        "managingOrganization":{"reference":"Organization/o","display":"Élan Clinic"}}"#;
    let value_set =
        r#"{"resourceType":"ValueSet","id":"v","url":"http://acme.org/fhir/ValueSet/123"}"#;
    for (json, clause, found) in [
        (patient, "identifier:of-type=urn:types|MR|4711", true),
        (patient, "identifier:of-type=urn:types|MR|471", false),
        (patient, "identifier:of-type=urn:types|X|4711", false),
        (patient, "identifier:of-type=urn:mrn|MR|4711", false),
        (patient, "identifier:text=hospital", true),
        (patient, "identifier:text=number", false),
        (patient, "identifier:code-text=47", true),
        (patient, "language:text=english (aus", true),
        (patient, "language:text=strine", true),
        (patient, "language:text=australia", false),
        (patient, "language:code-text=EN", true),
        (patient, "language:code-text=au", false),
        (patient, "language:not=urn:ietf:bcp:47|en-AU", false),
        (patient, "language:not=de", true),
        (patient, "organization:text=elan", true),
        (patient, "organization:not=Organization/o", false),
        (patient, "organization:not=Organization/x", true),
        (value_set, "url:below=http://acme.org/fhir", true),
        (value_set, "url:below=http://acme.org/fhir/", true),
        (
            value_set,
            "url:below=http://acme.org/fhir/ValueSet/123",
            true,
        ),
        (value_set, "url:below=http://acme.org/fhi", false),
        (
            value_set,
            "url:below=http://acme.org/fhir/ValueSet/123/1",
            false,
        ),
        (
            value_set,
            "url:above=http://acme.org/fhir/ValueSet/123/_history/5",
            true,
        ),
        (
            value_set,
            "url:above=http://acme.org/fhir/ValueSet/123",
            true,
        ),
        (
            value_set,
            "url:above=http://acme.org/fhir/ValueSet/1234",
            false,
        ),
        (value_set, "url:above=http://acme.org/fhir", false),
        (value_set, "url:not=http://acme.org/fhir", true),
    ] {
        assert_eq!(finds(json, clause), found, "{clause}");
    }
}

#[test]
fn texts_longer_than_the_index_keeps_are_refused_and_cut_ones_compare_exactly() {
    let long = "\u{e9}".repeat(60);
    let error = ask("Patient", &format!("language:text={long}")).unwrap_err();
    assert!(error.to_string().contains("48 bytes"), "{error}");
    assert_eq!(coded_text(&"a".repeat(60)).len(), CODED_TEXT_LIMIT);
    assert_eq!(coded_text(&format!("a{}", "\u{df}".repeat(60))).len(), 47);
    assert_eq!(coded_text("short"), "short");
}

#[test]
fn sets_and_hierarchies_are_left_to_terminology() {
    let read = |clause: &str| ask("Observation", clause).unwrap();
    assert_eq!(
        read("code:in=http://x/vs|1"),
        QueryValue::Concepts(ConceptQuery::ValueSet("http://x/vs|1".into()))
    );
    assert_eq!(
        read("code:not-in=http://x/vs|1"),
        read("code:in=http://x/vs|1")
    );
    let (system, code) = ("urn:s".to_owned(), "c".to_owned());
    assert_eq!(
        read("code:below=urn:s|c"),
        QueryValue::Concepts(ConceptQuery::Below {
            system: system.clone(),
            code: code.clone()
        })
    );
    assert_eq!(
        read("code:above=urn:s|c"),
        QueryValue::Concepts(ConceptQuery::Above { system, code })
    );
    for bad in [
        "code:below=c",
        "code:below=urn:s|",
        "identifier:of-type=a|b",
        "identifier:of-type=a||c",
    ] {
        assert!(ask("Observation", bad).is_err(), "{bad}");
    }
}

#[test]
fn alternatives_split_at_bare_commas() {
    assert_eq!(
        split_alternatives(r"a,b\,c,,\\,d"),
        ["a", r"b\,c", "", r"\\", "d"]
    );
    assert_eq!(split_alternatives(""), [""]);
    assert_eq!(unescape(r"a\"), None);
}

proptest! {
    #[test]
    fn escaping_is_undone(text in "[a-c,$|\\\\ä ]{0,20}") {
        prop_assert_eq!(unescape(&escape(&text)), Some(text.clone()));
        let escaped = escape(&text);
        prop_assert_eq!(split_alternatives(&escaped), [escaped.as_str()]);
    }

    #[test]
    fn an_escaped_identifier_finds_its_resource(system in "[a-c,$|\\\\]{1,8}", value in "[a-c,$|\\\\]{1,8}") {
        let json = serde_json::json!({"resourceType": "Patient", "identifier": [{"system": system, "value": value}]}).to_string();
        let by_both = format!("identifier={}|{}", escape(&system), escape(&value));
        prop_assert!(finds(&json, &by_both));
        let by_value = format!("identifier={}", escape(&value));
        prop_assert!(finds(&json, &by_value));
    }

    #[test]
    fn any_value_is_read_or_refused(raw in "\\PC{0,24}|[a-z0-9|$,.\\\\:/-]{0,24}") {
        for (type_name, code) in [("Patient", "name"), ("Patient", "gender"), ("Patient", "birthdate"), ("RiskAssessment", "probability"), ("Observation", "value-quantity"), ("Observation", "subject"), ("Observation", "code-value-quantity")] {
            if let Err(error) = parse_query_value(param(type_name, code), Modifier::None, &raw, NOW) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn exactly_one_of_below_within_and_above_holds_for_points(stored in -1000i64..1000, asked in -1000i64..1000, places in 0u32..3) {
        let number = |n: i64| rust_decimal::Decimal::new(n, places).to_string();
        let json = format!(r#"{{"resourceType":"RiskAssessment","prediction":[{{"probabilityDecimal":{}}}]}}"#, number(stored));
        let holds = |prefix: &str| finds(&json, &format!("probability={prefix}{}", number(asked)));
        prop_assert_eq!(holds("lt"), stored < asked);
        prop_assert_eq!(holds("gt"), stored > asked);
        prop_assert_eq!(holds("eq"), stored == asked);
        prop_assert_eq!(holds("ne"), stored != asked);
        prop_assert_eq!(holds("ge"), stored >= asked);
        prop_assert_eq!(holds("le"), stored <= asked);
    }
}
