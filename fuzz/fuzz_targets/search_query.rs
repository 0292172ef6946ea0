//! Any query text against every parameter of a type: parsed or refused, never a panic.
#![no_main]

use fhir::definitions::Definitions;
use fhir::search::{Modifier, parse_query_value};
use kernel::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some(pairs) = app::record::query_string::parse(text) else { return };
    let definitions = Definitions::r4();
    for name in ["Patient", "Observation", "MedicationRequest"] {
        let Some(ty) = definitions.resource(name) else { continue };
        for (key, value) in pairs.iter().take(8) {
            let (code, modifier) = key.split_once(':').unwrap_or((key, ""));
            let Some(param) = definitions.search_param(ty, code) else { continue };
            let Some(modifier) = Modifier::parse(definitions, modifier) else { continue };
            let _ = parse_query_value(param, modifier, value, Timestamp::from_millis(1_772_698_150_000));
        }
    }
});
