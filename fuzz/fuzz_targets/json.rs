//! Any bytes: the JSON parser refuses or reads them, never panics, and what it prints reads back to the
//! same print.
#![no_main]

use fhir::json::{Document, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse(bytes.to_vec(), &Limits::default()) else { return };
    let printed = compact(&document);
    let again = Document::parse(printed.clone(), &Limits::default()).expect("a print is JSON");
    assert_eq!(compact(&again), printed);
});

fn compact(document: &Document) -> Vec<u8> {
    let mut out = Vec::new();
    fhir::print::compact(document.root(), &mut out);
    out
}
