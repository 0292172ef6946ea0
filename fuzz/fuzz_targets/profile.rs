//! Any JSON as a StructureDefinition and any as a resource that claims it: a snapshot or an error, a
//! report within the limits. The first line is the definition, the rest the resource.
#![no_main]

use fhir::json::{Document, Limits as JsonLimits};
use fhir::terminology::NoTerminology;
use libfuzzer_sys::fuzz_target;
use profiles::Library;
use profiles::model::StructureDefinition;
use profiles::validate::{Context, Limits, validate};

const PATIENT: &[u8] = br#"{"resourceType":"Patient","id":"p","name":[{"family":"a","given":["c","d"]},{"use":"old"}],"extension":[{"url":"http://x/d","valueDecimal":1.50}]}"#;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (definition, rest) = bytes.split_at(at);
    let resource = if rest.len() > 1 { &rest[1..] } else { PATIENT };
    let read = |bytes: &[u8]| Document::parse(bytes.to_vec(), &JsonLimits::default());
    let (Ok(definition), Ok(resource)) = (read(definition), read(resource)) else { return };
    let Ok(definition) = StructureDefinition::read(definition.root()) else { return };
    let url = definition.url.clone();
    let library = Library::over(&Library::base(), vec![definition]);
    let mut context = Context::new(&library, &NoTerminology);
    context.limits = Limits { issues: 50, steps: 50_000, depth: 8, ..Limits::default() };
    let report = validate(&context, resource.root(), &[&url]);
    assert!(report.issues.len() <= 51);
});
