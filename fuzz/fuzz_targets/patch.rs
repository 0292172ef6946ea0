//! Any JSON as a patch of any resource, as JSON Patch and as FHIRPath Patch: done or refused, never a
//! panic; what is done is JSON within the limits. The first line is the patch, the rest the resource.
#![no_main]

use fhir::json::{Document, Limits};
use fhir::patch::{self, Emptied};
use libfuzzer_sys::fuzz_target;

const PATIENT: &[u8] = br#"{"resourceType":"Patient","id":"p","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],"active":true}"#;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (change, rest) = bytes.split_at(at);
    let resource = if rest.len() > 1 { &rest[1..] } else { PATIENT };
    let read = |bytes: &[u8]| Document::parse(bytes.to_vec(), &Limits::default());
    let (Ok(change), Ok(resource)) = (read(change), read(resource)) else { return };
    let limits = patch::Limits { max_bytes: 1 << 20, ..patch::Limits::default() };
    for emptied in [Emptied::Keep, Emptied::Drop] {
        let Ok(operations) = patch::parse(change.root(), &limits) else { break };
        if let Ok(out) = patch::apply(resource.root(), &operations, emptied, &limits) {
            assert!(out.len() <= limits.max_bytes);
            read(&out).expect("what a patch makes is JSON");
        }
    }
    let limits = fhirpath::patch::Limits { max_bytes: 1 << 20, ..fhirpath::patch::Limits::default() };
    if let Ok(out) = fhirpath::patch::apply(resource.root().raw(), change.root(), &limits) {
        assert!(out.len() <= limits.max_bytes);
        read(&out).expect("what a patch makes is JSON");
    }
});
