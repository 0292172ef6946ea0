//! Any text as a GraphQL document: read or refused, never a panic; what is read stays within its limits.
#![no_main]

use app::operations::graphql::syntax;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(query) = syntax::parse(text) {
        assert!(text.len() <= syntax::BYTES && !query.operations.is_empty());
    }
});
