//! The official FHIRPath Patch suite (fhir-patch/fhir-patch-tests.xml under `THERIAC_SUITES`). Without the
//! variable it says that it was not run. Every case must pass.

use fhir::Definitions;
use fhir::json::{Document, Limits};
use fhirpath::patch;

/// What stands between two tags.
fn inside<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>"))
        .map(|(inner, _)| inner)
}

fn json(xml: &str) -> Vec<u8> {
    let definitions = Definitions::r4();
    let limits = fhir::xml::Limits::default();
    fhir::xml::to_json(definitions, xml.trim().as_bytes(), &limits)
        .unwrap_or_else(|error| panic!("{error}: {xml}"))
}

#[test]
fn the_official_suite_passes() {
    let Some(folder) = std::env::var_os("THERIAC_SUITES") else {
        println!("not run: THERIAC_SUITES is not set");
        return;
    };
    let file = std::path::Path::new(&folder).join("fhir-patch/fhir-patch-tests.xml");
    let text = std::fs::read_to_string(file).unwrap();
    let mut count = 0;
    let mut problems = Vec::new();
    for case in text.split("<case ").skip(1) {
        let name = case.split('"').nth(1).unwrap();
        let (input, diff) = (
            inside(case, "input").unwrap(),
            inside(case, "diff").unwrap(),
        );
        let parameters = Document::parse(json(diff), &Limits::default()).unwrap();
        let result = patch::apply(&json(input), parameters.root(), &patch::Limits::default());
        let expected = inside(case, "output").map(json);
        count += 1;
        match (result, expected) {
            (Ok(result), Some(expected)) => {
                // A narrative in a value[x] is text, one in a resource is markup: quotes and line ends
                // are written differently and mean the same.
                let read = |bytes: &[u8]| {
                    let text = String::from_utf8_lossy(bytes);
                    let text = text.replace("\\r\\n", "\\n").replace("&quot;", "\\\"");
                    serde_json::from_str::<serde_json::Value>(&text)
                };
                if read(&result).unwrap() != read(&expected).unwrap() {
                    problems.push(format!(
                        "{name}: {} instead of {}",
                        String::from_utf8_lossy(&result),
                        String::from_utf8_lossy(&expected)
                    ));
                }
            }
            (Ok(_), None) => problems.push(format!("{name}: should fail")),
            (Err(error), Some(_)) => problems.push(format!("{name}: {error}")),
            (Err(_), None) => {}
        }
    }
    println!("{count} cases");
    assert!(count > 30, "{count}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
