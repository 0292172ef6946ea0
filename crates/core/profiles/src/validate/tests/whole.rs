//! Whole resources: base profiles of R4, bundles, claims, limits, noise.

use proptest::prelude::*;
use serde_json::json;

use crate::Library;
use crate::samples::{Few, definition, document, library, lines, profile, profile_on, report};
use crate::validate::{Context, Limits, Report, Severity, positions, validate};

const BP: &str = "http://hl7.org/fhir/StructureDefinition/bp";

fn blood_pressure() -> serde_json::Value {
    let part = |code: &str, value: u32| {
        json!({"code": {"coding": [{"system": "http://loinc.org", "code": code}]},
               "valueQuantity": {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}})
    };
    json!({"resourceType": "Observation", "status": "final",
        "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2020-01-01",
        "component": [part("8480-6", 120), part("8462-4", 80)]})
}

#[test]
fn the_vital_sign_profiles_of_r4_work() {
    let base = Library::base();
    let good = blood_pressure();
    assert_eq!(lines(&report(&base, &good, &[BP])), Vec::<String>::new());
    let mut one = good.clone();
    one["component"].as_array_mut().unwrap().pop();
    let found = lines(&report(&base, &one, &[BP]));
    assert!(
        found
            .iter()
            .any(|line| line.contains("component is required at least 2 times")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|line| line.contains("slice DiastolicBP")),
        "{found:#?}"
    );
    let mut unit = good.clone();
    unit["component"][0]["valueQuantity"]["code"] = json!("kPa");
    let found = lines(&report(&base, &unit, &[BP]));
    assert!(
        found
            .iter()
            .any(|line| line.contains("Observation.component[0].value")
                && line.contains("fixed value")),
        "{found:#?}"
    );
    let mut subject = good;
    subject.as_object_mut().unwrap().remove("subject");
    let found = lines(&report(&base, &subject, &[BP]));
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("Error Observation.subject")),
        "{found:#?}"
    );
}

#[test]
fn claims_are_checked_and_unknown_ones_are_named() {
    let library = library(vec![profile(
        "p",
        "Patient",
        &json!([{"path": "Patient"}, {"path": "Patient.name", "min": 1}]),
    )]);
    let claiming = |canonical: &str| json!({"resourceType": "Patient", "active": true, "meta": {"profile": [canonical]}});
    for (canonical, expected) in [
        (
            "http://t/p",
            "Error Patient.name Patient.name: name is required",
        ),
        (
            "http://t/q",
            "Warning Patient -: not checked: profile \"http://t/q\" is not known",
        ),
        (BP, "Error Patient -: profile"),
    ] {
        let found = lines(&report(&library, &claiming(canonical), &[]));
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{found:#?}"
        );
    }
    let asked = lines(&report(
        &library,
        &json!({"resourceType": "Patient"}),
        &["http://t/q"],
    ));
    assert_eq!(
        asked,
        ["Error Patient -: profile \"http://t/q\" is not known"]
    );
    // In bundles and contained resources too.
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": claiming("http://t/p")}]});
    let found = lines(&report(&library, &bundle, &[]));
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("Error Bundle.entry[0].resource.name")),
        "{found:#?}"
    );
}

#[test]
fn references_inside_a_bundle_are_followed_to_the_target_profile() {
    let library = library(vec![
        profile(
            "named",
            "Patient",
            &json!([{"path": "Patient"}, {"path": "Patient.name", "min": 1}]),
        ),
        profile(
            "p",
            "Observation",
            &json!([{"path": "Observation"},
                {"path": "Observation.subject", "type": [{"code": "Reference", "targetProfile": ["http://t/named"]}]}]),
        ),
    ]);
    let bundle = |patient: serde_json::Value| {
        json!({"resourceType": "Bundle", "type": "collection", "entry": [
            {"fullUrl": "http://x/fhir/Patient/1", "resource": patient},
            {"fullUrl": "http://x/fhir/Observation/1", "resource": {"resourceType": "Observation", "status": "final",
                "meta": {"profile": ["http://t/p"]}, "code": {"text": "x"}, "subject": {"reference": "Patient/1"}}}]})
    };
    let good = bundle(json!({"resourceType": "Patient", "id": "1", "name": [{"text": "x"}]}));
    assert_eq!(lines(&report(&library, &good, &[])), Vec::<String>::new());
    let bad = bundle(json!({"resourceType": "Patient", "id": "1", "active": true}));
    let found = lines(&report(&library, &bad, &[]));
    assert_eq!(
        found,
        [
            "Error Bundle.entry[1].resource.subject Observation.subject: what this refers to does not conform to http://t/named"
        ]
    );
}

#[test]
fn profiles_in_a_circle_or_broken_ones_are_named_not_fatal() {
    let circle = |name: &str, base: &str| {
        profile_on(
            name,
            "Patient",
            &format!("http://t/{base}"),
            &json!([{"path": "Patient"}]),
        )
    };
    let library = library(vec![
        circle("a", "b"),
        circle("b", "a"),
        profile(
            "wrong",
            "Patient",
            &json!([{"path": "Patient"}, {"path": "Patient.nothing", "min": 1}]),
        ),
        circle("orphan", "nobody"),
    ]);
    for (name, expected) in [
        ("a", "http://t/a -> http://t/b -> http://t/a"),
        ("wrong", "Patient.nothing is no element of Patient"),
        ("orphan", "needs http://t/nobody, which is not known"),
    ] {
        let url = format!("http://t/{name}");
        let found = lines(&report(
            &library,
            &json!({"resourceType": "Patient"}),
            &[&url],
        ));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains("not checked") && found[0].contains(expected),
            "{found:#?}"
        );
    }
}

#[test]
fn the_newest_version_answers_unless_one_is_asked_for() {
    let versioned = |version: &str, min: u32| {
        definition(
            &json!({"resourceType": "StructureDefinition", "url": "http://t/v", "version": version, "name": "v",
            "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
            "differential": {"element": [{"path": "Patient"}, {"path": "Patient.name", "min": min}]}}),
        )
    };
    let library = library(vec![versioned("1.9.0", 0), versioned("1.10.0", 1)]);
    let patient = json!({"resourceType": "Patient"});
    for (canonical, issues) in [
        ("http://t/v", 1),
        ("http://t/v|1.9.0", 0),
        ("http://t/v|1.10.0", 1),
    ] {
        let found = report(&library, &patient, &[canonical]);
        assert_eq!(lines(&found).len(), issues, "{canonical}");
    }
    let found = report(&library, &patient, &["http://t/v|2"]);
    assert_eq!(
        found
            .issues
            .iter()
            .filter(|issue| issue.code == "not-found")
            .count(),
        1
    );
}

#[test]
fn issues_are_bounded_and_errors_are_kept() {
    let base = Library::base();
    let telecom: Vec<_> = (0..50).map(|_| json!({"value": "1"})).collect();
    let patient = json!({"resourceType": "Patient",
        "extension": (0..50).map(|at| json!({"url": format!("http://t/{at}"), "valueCode": "x"})).collect::<Vec<_>>(),
        "telecom": telecom});
    let document = document(&patient);
    let mut context = Context::new(&base, &Few);
    context.limits = Limits {
        issues: 10,
        ..Limits::default()
    };
    let report = validate(&context, document.root(), &[]);
    assert_eq!(report.issues.len(), 10);
    assert!(report.more > 80);
    assert!(
        report
            .issues
            .iter()
            .filter(|issue| issue.is_error())
            .count()
            >= 9
    );
    assert!(!report.is_valid());
    context.limits = Limits {
        steps: 20,
        ..Limits::default()
    };
    let report = validate(&context, document.root(), &[]);
    assert!(
        report
            .issues
            .iter()
            .any(|issue| issue.code == "too-costly" && issue.severity == Severity::Fatal)
    );
}

/// A profile on Bundle whose entries are told apart by the profile of their resource, and that has rules.
fn costly() -> (std::sync::Arc<Library>, serde_json::Value) {
    let lab = profile(
        "lab",
        "Observation",
        &json!([
            {"path": "Observation", "constraint": [{"key": "t-1", "severity": "error", "human": "named",
                "expression": "descendants().where($this is string).all(length() > 0)"}]},
            {"path": "Observation.code.text", "min": 1}
        ]),
    );
    let bundle = profile(
        "b",
        "Bundle",
        &json!([
            {"path": "Bundle"},
            {"path": "Bundle.entry", "slicing": {"discriminator": [{"type": "profile", "path": "resource"}], "rules": "closed"}},
            {"path": "Bundle.entry", "sliceName": "lab", "min": 1},
            {"path": "Bundle.entry.resource", "type": [{"code": "Observation", "profile": ["http://t/lab"]}]}
        ]),
    );
    let entry = |text: Option<&str>| {
        let mut resource = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "c"}]}});
        if let Some(text) = text {
            resource["code"]["text"] = json!(text);
        }
        json!({"resource": resource})
    };
    let body = json!({"resourceType": "Bundle", "type": "collection",
        "entry": [entry(Some("a")), entry(Some("b")), entry(None)]});
    (library(vec![lab, bundle]), body)
}

#[test]
fn what_was_given_up_is_never_valid_wherever_it_was_given_up() {
    let (library, body) = costly();
    let document = document(&body);
    let run = |limits: Limits| {
        let mut context = Context::new(&library, &Few);
        context.limits = limits;
        validate(&context, document.root(), &["http://t/b"])
    };
    let whole = run(Limits::default());
    assert!(!whole.is_valid(), "the third entry is of no slice");
    let is_given_up = |report: &Report| {
        let last = report.issues.last();
        last.is_some_and(|issue| issue.code == "too-costly" && issue.severity == Severity::Fatal)
    };
    for by_rules in [false, true] {
        let (mut given_up, mut finished) = (0, 0);
        for most in 0..2_000 {
            let mut limits = Limits::default();
            if by_rules {
                limits.rules = most;
            } else {
                limits.steps = most;
            }
            let report = run(limits);
            if is_given_up(&report) {
                assert!(!report.is_valid());
                // What was said before is what is said of the whole.
                let said = &report.issues[..report.issues.len() - 1];
                assert!(whole.issues.starts_with(said), "{most}: {said:?}");
                assert_eq!(finished, 0, "{most}: more was allowed and it was given up");
                given_up += 1;
            } else {
                assert_eq!(report, whole, "{most}");
                finished += 1;
            }
        }
        assert!(given_up > 10 && finished > 10, "{given_up} {finished}");
    }
}

#[test]
fn rules_share_one_budget() {
    let base = Library::base();
    let telecom: Vec<_> = (0..400)
        .map(|at| json!({"system": "phone", "value": format!("{at}")}))
        .collect();
    let body = json!({"resourceType": "Patient", "telecom": telecom});
    let document = document(&body);
    let mut context = Context::new(&base, &Few);
    assert!(validate(&context, document.root(), &[]).is_valid());
    // Enough for each rule, not for all of them.
    context.limits.rules = 1_000;
    let report = validate(&context, document.root(), &[]);
    assert!(report.issues.iter().any(|issue| issue.code == "too-costly"));
}

#[test]
fn issues_say_where() {
    let text = "{\"resourceType\":\"Patient\",\n \"name\":[{\"text\":\"\u{e4}\"},\n  {\"period\":{\"start\":\"2020\",\"end\":\"2019\"}}]}";
    let document =
        fhir::json::Document::parse(text.as_bytes().to_vec(), &fhir::json::Limits::default())
            .unwrap();
    let base = Library::base();
    let report = validate(&Context::new(&base, &Few), document.root(), &[]);
    let issue = report
        .issues
        .iter()
        .find(|issue| issue.key.as_deref() == Some("per-1"))
        .unwrap();
    assert_eq!(issue.expression, "Patient.name[1].period");
    assert_eq!(
        positions(text.as_bytes(), &[usize::MAX, issue.offset, 0])[1..],
        [(3, 13), (1, 1)]
    );
    assert!(
        issue.diagnostics().contains("[per-1]"),
        "{}",
        issue.diagnostics()
    );
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let names = prop::sample::select(vec![
        "resourceType",
        "extension",
        "url",
        "valueCode",
        "contained",
        "identifier",
        "system",
        "coding",
        "code",
        "value",
        "valueQuantity",
        "component",
        "_birthDate",
        "birthDate",
        "reference",
        "subject",
        "meta",
        "profile",
        "entry",
        "resource",
        "fullUrl",
        "name",
        "category",
        "text",
    ]);
    let words = prop::sample::select(vec![
        "Patient",
        "Observation",
        "Bundle",
        "#",
        "#a",
        "http://t/p",
        BP,
        "a",
        "",
        "2020",
        "Patient/1",
        "urn:nhs",
        "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        words.prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::hash_map(names.clone(), inner, 0..6).prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn noise_never_panics(mut noise in any_json(), ty in prop::sample::select(vec!["Patient", "Observation", "Bundle"])) {
        if let Some(object) = noise.as_object_mut() {
            object.insert("resourceType".to_owned(), json!(ty));
        }
        let base = Library::base();
        let document = document(&noise);
        let report = validate(&Context::new(&base, &Few), document.root(), &[BP]);
        prop_assert!(report.issues.len() <= Limits::default().issues);
    }

    #[test]
    fn noise_as_a_definition_never_panics(elements in any_json(), base in prop::sample::select(vec!["Patient", "Extension", "Bundle"])) {
        let json = json!({"resourceType": "StructureDefinition", "url": "http://t/n", "name": "n", "kind": "resource",
            "type": base, "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{base}"),
            "derivation": "constraint", "differential": {"element": [{"path": base}, elements]}});
        let document = document(&json);
        if let Ok(definition) = crate::model::StructureDefinition::read(document.root()) {
            let library = library(vec![definition]);
            let _ = library.profile("http://t/n");
        }
    }
}
