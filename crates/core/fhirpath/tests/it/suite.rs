//! The official R4 suite (fhirpath-r4/tests-fhir-r4.xml under `THERIAC_SUITES`), against the table of
//! cases we answer differently. Without the variable it says that it was not run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fhir::Definitions;
use fhir::json::{Document, Limits};
use fhirpath::{Conformance, Environment, Item};
use kernel::Timestamp;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const TABLE: &str = include_str!("../../../../../docs/conformance-fhirpath.md");

/// A case of the suite.
#[derive(Debug, Default, Clone)]
struct Case {
    name: String,
    input: Option<String>,
    expression: String,
    predicate: bool,
    strict: bool,
    invalid: Option<String>,
    outputs: Vec<(Option<String>, String)>,
}

fn suites() -> Option<PathBuf> {
    std::env::var_os("THERIAC_SUITES").map(PathBuf::from)
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.try_get_attribute(name).unwrap()?;
    Some(
        found
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .unwrap()
            .into_owned(),
    )
}

fn cases(text: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(text);
    let mut cases = Vec::new();
    let mut case = Case::default();
    let mut into: Option<&str> = None;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return cases,
            Event::Start(start) | Event::Empty(start) => match start.local_name().as_ref() {
                "test" => {
                    let mut name = attribute(&start, "name").unwrap();
                    let count = seen.entry(name.clone()).or_default();
                    *count += 1;
                    if *count > 1 {
                        write!(name, "#{count}").unwrap();
                    }
                    case = Case {
                        name,
                        input: attribute(&start, "inputfile"),
                        predicate: attribute(&start, "predicate").as_deref() == Some("true"),
                        strict: attribute(&start, "mode").as_deref() == Some("strict"),
                        ..Case::default()
                    };
                }
                "expression" => {
                    case.invalid = attribute(&start, "invalid");
                    into = Some("expression");
                }
                "output" => {
                    case.outputs
                        .push((attribute(&start, "type"), String::new()));
                    into = Some("output");
                }
                _ => {}
            },
            Event::End(end) => {
                into = None;
                if end.local_name().as_ref() == "test" {
                    cases.push(std::mem::take(&mut case));
                }
            }
            Event::Text(text) => add(&mut case, into, &text),
            Event::CData(text) => add(&mut case, into, &text),
            Event::GeneralRef(entity) => {
                let char = entity
                    .resolve_char_ref()
                    .unwrap()
                    .unwrap_or_else(|| match &*entity {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "quot" => '"',
                        "apos" => '\'',
                        other => panic!("entity {other}"),
                    });
                add(&mut case, into, &char.to_string());
            }
            _ => {}
        }
    }
}

fn add(case: &mut Case, into: Option<&str>, text: &str) {
    match into {
        Some("expression") => case.expression.push_str(text),
        Some("output") => case.outputs.last_mut().unwrap().1.push_str(text),
        _ => {}
    }
}

fn document(folder: &Path, name: &str) -> Document {
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let json = if bytes.trim_ascii_start().starts_with(b"{") {
        bytes
    } else {
        fhir::xml::to_json(Definitions::r4(), &bytes, &fhir::xml::Limits::default()).unwrap()
    };
    Document::parse(json, &Limits::default()).unwrap()
}

struct Base;

impl Conformance for Base {
    fn conforms(&self, value: fhir::json::Value<'_>, profile: &str) -> Option<bool> {
        let name = profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        Some(value.get_str("resourceType").as_deref() == Some(name))
    }
}

/// What an item is written as in the suite.
fn written(item: &Item<'_>, ty: Option<&str>) -> String {
    let value = item.system();
    match &value {
        Some(Item::Temporal(time)) => match time.kind() {
            fhirpath::TemporalKind::Time => format!("@T{time}"),
            _ => format!("@{time}"),
        },
        Some(Item::Decimal(number)) if ty.is_some() => number.normalize().to_string(),
        _ => item.to_string(),
    }
}

fn run(case: &Case, input: Option<&Document>) -> Result<(), String> {
    let outcome = fhirpath::compile(&case.expression)
        .map_err(|error| error.to_string())
        .and_then(|expression| {
            let item = input.map(|document| Item::resource(document.root()));
            let mut environment = item
                .clone()
                .map_or_else(Environment::bare, Environment::new);
            environment = environment
                .at(Timestamp::from_micros(1_772_698_150_123_456), 0)
                .with_conformance(&Base);
            if case.strict || case.invalid.as_deref() == Some("semantic") {
                environment = environment.strict();
            }
            let context = item.into_iter().collect();
            let found = expression
                .evaluate_all(&environment, &context)
                .map_err(|error| error.to_string())?;
            let types: Vec<String> = found
                .iter()
                .map(|item| item.type_info().name.to_owned())
                .collect();
            let found: Vec<String> = if case.predicate {
                let truth = match found.only() {
                    Some(item) => item.as_bool().unwrap_or(true),
                    None => !found.is_empty(),
                };
                vec![truth.to_string()]
            } else {
                let types = case.outputs.iter().map(|(ty, _)| ty.as_deref());
                let types = types.chain(std::iter::repeat(None));
                found
                    .iter()
                    .zip(types)
                    .map(|(item, ty)| written(item, ty))
                    .collect()
            };
            Ok((found, types))
        });
    match (&case.invalid, outcome) {
        (Some(_), Err(_)) => Ok(()),
        (Some(kind), Ok((found, _))) => Err(format!("should fail ({kind}), yields {found:?}")),
        (None, Err(error)) => Err(error),
        (None, Ok((found, types))) => {
            let expected: Vec<&str> = case.outputs.iter().map(|(_, text)| text.as_str()).collect();
            if found != expected {
                return Err(format!("yields {found:?} instead of {expected:?}"));
            }
            let named = case.outputs.iter().zip(&types);
            for ((ty, _), actual) in named {
                if let Some(ty) = ty
                    && !case.predicate
                    && !ty.eq_ignore_ascii_case(actual)
                {
                    return Err(format!("is of type {actual} instead of {ty}"));
                }
            }
            Ok(())
        }
    }
}

/// The names in the first column of the table; what is measured stands in another one.
fn listed() -> Vec<&'static str> {
    TABLE
        .lines()
        .take_while(|line| *line != "## Cost")
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

#[test]
fn the_official_suite_passes_but_for_the_table() {
    let Some(folder) = suites().map(|folder| folder.join("fhirpath-r4")) else {
        println!("not run: THERIAC_SUITES is not set");
        return;
    };
    let text = std::fs::read_to_string(folder.join("tests-fhir-r4.xml")).unwrap();
    let cases = cases(&text);
    assert!(cases.len() > 900, "{}", cases.len());
    let mut inputs: BTreeMap<String, Document> = BTreeMap::new();
    for name in cases.iter().filter_map(|case| case.input.as_ref()) {
        if !inputs.contains_key(name) {
            inputs.insert(name.clone(), document(&folder, name));
        }
    }
    let listed = listed();
    let (mut report, mut failed) = (String::new(), 0);
    for case in &cases {
        let input = case.input.as_ref().and_then(|name| inputs.get(name));
        let known = listed.contains(&case.name.as_str());
        match run(case, input) {
            Ok(()) if known => writeln!(report, "{}: listed, but passes", case.name).unwrap(),
            Ok(()) => {}
            Err(problem) => {
                failed += 1;
                if !known {
                    let text = &case.expression;
                    writeln!(report, "{}: {problem}\n    {text}", case.name).unwrap();
                }
            }
        }
    }
    for name in listed {
        if !cases.iter().any(|case| case.name == name) {
            writeln!(report, "{name}: listed, but not in the suite").unwrap();
        }
    }
    println!("{} cases, {failed} answered differently", cases.len());
    assert!(report.is_empty(), "{report}");
    assert!(failed * 50 <= cases.len(), "{failed} of {}", cases.len());
}
