//! Any text as a `_filter`: read or refused, never a panic, whatever it nests.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = app::record::check_filter(text, 8, 64);
});
