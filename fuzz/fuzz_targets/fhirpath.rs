//! Any text as an expression and any JSON as its resource: an answer or an error, within the limits.
//! The first line is the expression, the rest the resource.
#![no_main]

use fhir::json::{Document, Limits as JsonLimits};
use fhirpath::{Environment, Item, Limits};
use libfuzzer_sys::fuzz_target;

const PATIENT: &[u8] = br#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],"birthDate":"2000-01"}"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, resource) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(expression) = fhirpath::compile(text) else { return };
    let resource = if resource.is_empty() { PATIENT } else { resource.as_bytes() };
    let Ok(document) = Document::parse(resource.to_vec(), &JsonLimits::default()) else { return };
    let item = Item::resource(document.root());
    let limits = Limits { steps: 20_000, items: 1_000, text: 10_000 };
    let environment = Environment::new(item.clone()).limited(limits).resolving_by_type();
    if let Ok(found) = expression.evaluate(&environment, item) {
        for item in found.iter() {
            let _ = (item.to_string(), item.system(), item.type_info());
        }
    }
});
