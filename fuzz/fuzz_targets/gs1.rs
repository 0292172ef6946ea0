//! Any text as the scan of a pack: what is read has a number whose check digit holds, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use medication::gs1::{self, Gtin};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(pack) = gs1::read(text, 2026) else { return };
    assert_eq!(Gtin::read(&pack.gtin.to_string()), Ok(pack.gtin));
});
