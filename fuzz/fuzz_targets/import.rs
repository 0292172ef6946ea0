//! Any bytes as a resource to import: parsed, validated, stamped and indexed without a panic, and the
//! stamped bytes are JSON again.
#![no_main]

use fhir::definitions::Definitions;
use fhir::json::{Document, Limits};
use fhir::print::Stamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse(bytes.to_vec(), &Limits::default()) else { return };
    let definitions = Definitions::r4();
    let root = document.root();
    let _ = fhir::validate::validate(definitions, root);
    let stamp = Stamp { id: "x", version: 1, last_updated: "2026-03-05T08:09:10.123Z" };
    let Ok(stamped) = fhir::print::stamp(root, &stamp) else { return };
    let stored = Document::parse(stamped, &Limits::default()).expect("a stamped resource is JSON");
    let name = stored.root().get("resourceType").and_then(|name| name.as_str());
    let Some(ty) = name.and_then(|name| definitions.resource(&name)) else { return };
    let _ = fhir::search::extract(definitions, ty, stored.root());
});
