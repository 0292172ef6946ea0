//! The language by table, on a small patient: what each expression yields, or that it fails.

use fhir::json::{Document, Limits as JsonLimits};
use fhirpath::{Environment, EvaluationError, Item, Limits};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,
 "name":[{"use":"official","given":["Ada",null],"_given":[null,{"extension":[{"url":"http://x/y","valueCode":"z"}]}],"family":"Lovelace"},{"given":["Countess"]}],
 "multipleBirthInteger":2,"birthDate":"1815-12-10","deceasedDateTime":"1852-11-27T10:00:00Z",
 "contact":[{"gender":"female"}],"managingOrganization":{"reference":"Organization/o1"},
 "contained":[{"resourceType":"Organization","id":"c","name":"Inside"}],
 "generalPractitioner":[{"reference":"\#c"}]}"#;

fn patient() -> Document {
    let text = PATIENT.replace("\\#", "#");
    Document::parse(text.into_bytes(), &JsonLimits::default()).unwrap()
}

fn run(text: &str) -> Result<String, String> {
    let expression = fhirpath::compile(text).map_err(|error| error.to_string())?;
    let document = patient();
    let item = Item::resource(document.root());
    let environment = Environment::new(item.clone());
    let found = expression
        .evaluate(&environment, item)
        .map_err(|error| error.to_string())?;
    Ok(found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", "))
}

#[test]
fn navigates_by_element() {
    for (text, expected) in [
        ("Patient.name.given", "Ada, , Countess"),
        ("name[1].given", "Countess"),
        ("Patient.multipleBirth", "2"),
        ("deceased", "1852-11-27T10:00:00Z"),
        ("Patient.multipleBirthInteger", ""),
        ("name.given.extension('http://x/y').value", "z"),
        ("name.given.select(hasValue())", "true, false, true"),
        ("contact.gender is code", "true"),
        ("contact.type().name", "Patient.contact"),
        ("contact is BackboneElement", "true"),
        ("Patient is DomainResource", "true"),
        ("Organization.name", ""),
        ("generalPractitioner.resolve().name", "Inside"),
        ("managingOrganization.getReferenceKey(Organization)", "o1"),
        ("managingOrganization.getReferenceKey(Patient)", ""),
        ("descendants().where($this is Organization).id", "c"),
        ("%resource.id", "p"),
        ("%`vs-x`", "http://hl7.org/fhir/ValueSet/x"),
    ] {
        assert_eq!(run(text), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn computes() {
    for (text, expected) in [
        ("1 + 2 * 3", "7"),
        ("0.1 + 0.2 = 0.3", "true"),
        ("10 'mg' + 1 'g'", "1010 'mg'"),
        ("1 'kg' > 999 'g'", "true"),
        ("37 'Cel' = 98.6 '[degF]'", "true"),
        ("1 year = 1 'a'", ""),
        ("1 year ~ 1 'a'", "true"),
        ("2147483647 + 1", ""),
        (
            "defineVariable('n', name.first()).select(%n.family)",
            "Lovelace",
        ),
        ("name.defineVariable('f', family).given.count() + 1", "4"),
        ("(3|1|2).sort(-$this)", "3, 2, 1"),
        ("(1|2|3).aggregate($this + $total, 0)", "6"),
        ("'a.b'.split('.').join('/')", "a/b"),
        ("'abc'.matchesFull('a.c')", "true"),
        ("2.power(-1) = 0.5", "true"),
        ("2.sqrt().round(10)", "1.4142135624"),
        ("1.exp().round(6)", "2.718282"),
        ("@2024-01-31 + 1 month", "2024-02-29"),
        ("now()", ""),
        ("name.repeat($this).count()", "2"),
        ("iif(false, 1/0)", ""),
        ("'x'.encode('base64').decode('base64')", "x"),
        ("'<&>'.escape('html').unescape('html')", "<&>"),
    ] {
        assert_eq!(run(text), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn refuses_with_a_place_or_a_reason() {
    for text in [
        "",
        "name.",
        "name..given",
        "(1",
        "'a",
        "1 +",
        "nothing()",
        "name.where()",
        "name.single()",
        "name.ofType(Nonsense)",
        "%unknown",
        "2147483648",
        "@2024-02-30",
        "'a'.matches('(')",
        "-'a'",
        "1 + 'a'",
        "name + 1",
        "defineVariable('a').defineVariable('a')",
        "99999999999999999999999999999.0",
        "'\\q'",
    ] {
        assert!(run(text).is_err(), "{text}: {:?}", run(text));
    }
}

#[test]
fn bombs_end_with_a_limit() {
    let deep = format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000));
    assert!(run(&deep).is_err());
    let long = format!("1{}", "+1".repeat(20_000));
    assert!(run(&long).is_err());
    let minus = format!("{}1", "-".repeat(20_000));
    assert!(run(&minus).is_err());
    let document = patient();
    let item = Item::resource(document.root());
    for text in [
        "descendants().select(%resource.descendants()).select(%resource.descendants()).select(%resource.descendants())",
        "'aaaaaaaaaa'.replace('a','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')",
        "name.repeatAll($this)",
        "'x'.repeat($this & 'x')",
        "'x'.matches('(((((((((a{1,100}){1,100}){1,100}){1,100}))))))')",
    ] {
        let expression = fhirpath::compile(text).unwrap();
        let limits = Limits {
            steps: 300_000,
            ..Limits::default()
        };
        let environment = Environment::new(item.clone()).limited(limits);
        let error = expression.evaluate(&environment, item.clone()).unwrap_err();
        assert!(
            matches!(
                error,
                EvaluationError::TooCostly { .. } | EvaluationError::Pattern(_)
            ),
            "{text}: {error}"
        );
    }
}

#[test]
fn the_deepest_expression_evaluates() {
    let deep = format!("{}1{}", "(1 + ".repeat(45), ")".repeat(45));
    assert_eq!(run(&deep), Ok("46".to_owned()));
    let chain = format!("name{}", ".select($this)".repeat(3000));
    assert!(run(&chain).is_ok());
}

#[test]
fn modifiers_that_are_not_known_are_no_silent_pass() {
    let document = |modifier: &str| {
        let text = format!(
            r#"{{"resourceType":"Patient","id":"p","name":[{{"family":"A"}},{{"family":"B"{modifier}}}]}}"#
        );
        Document::parse(text.into_bytes(), &JsonLimits::default()).unwrap()
    };
    let ask = |document: &Document, text: &str| {
        let expression = fhirpath::compile(text).unwrap();
        let item = Item::resource(document.root());
        let environment = Environment::new(item.clone());
        let found = expression.evaluate(&environment, item);
        found
            .map(|found| found.len())
            .map_err(|error| error.to_string())
    };
    let modified = r#","modifierExtension":[{"url":"http://x/not","valueBoolean":true}]"#;
    let (plain, modified) = (document(""), document(modified));
    for text in [
        "name.checkModifiers()",
        "name.checkModifiers('http://x/not')",
    ] {
        assert_eq!(ask(&plain, text), Ok(2), "{text}");
    }
    for known in ["'http://x/not'", "'http://x/other', 'http://x/not'"] {
        let text = format!("name.checkModifiers({known}).family");
        assert_eq!(ask(&modified, &text), Ok(2), "{known}");
    }
    for text in [
        "name.checkModifiers()",
        "name.checkModifiers('http://x/other')",
    ] {
        let refused = ask(&modified, text).unwrap_err();
        assert!(refused.contains("modifier extension"), "{refused}");
    }
    assert_eq!(ask(&modified, "name.first().checkModifiers()"), Ok(1));
}
