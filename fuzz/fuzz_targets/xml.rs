//! Any bytes: the XML reader refuses or reads them, never panics; what it reads is JSON, and where that
//! stands as XML again it reads back to the same JSON.
#![no_main]

use fhir::Definitions;
use fhir::json::{Document, Limits};
use fhir::xml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let definitions = Definitions::r4();
    let Ok(json) = xml::to_json(definitions, bytes, &xml::Limits::default()) else { return };
    let document = Document::parse(json, &Limits::default()).expect("what is read is JSON");
    let Ok(printed) = xml::from_json(definitions, document.root()) else { return };
    let again = xml::to_json(definitions, &printed, &xml::Limits::default()).expect("a print is XML");
    let again = Document::parse(again, &Limits::default()).expect("what is read is JSON");
    let twice = xml::from_json(definitions, again.root()).expect("what was printed prints again");
    assert_eq!(twice, printed);
});
