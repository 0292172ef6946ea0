//! Any text as a page cursor: refused unless it is, to the byte, what would be signed (the fuzzer sees the
//! signatures made here and can copy them); and what was signed opens again, with its own binding only,
//! and not after an edit.
#![no_main]

use app::record::cursor::{Binding, open, seal};
use app::settings::Settings;
use kernel::TenantId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, u16, u8)| {
    let (text, value, place, flip) = input;
    let settings = Settings::with_secret([7; 32]);
    let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(1));
    let binding = Binding::new("search", "Patient", [("name", value)]);
    if let Ok(position) = open::<(String, i64)>(&settings, tenant, &binding, text) {
        let signed = seal(&settings, tenant, &binding, &position).expect("a position can be written");
        assert_eq!(signed, text);
    }

    let position = (text.chars().take(500).collect::<String>(), i64::from(place));
    let cursor = seal(&settings, tenant, &binding, &position).expect("a position can be written");
    let Ok(opened) = open::<(String, i64)>(&settings, tenant, &binding, &cursor) else {
        // Only one that is too long to be taken back may be refused.
        assert!(cursor.len() > 4096);
        return;
    };
    assert_eq!(opened, position);
    let other = Binding::new("history", "Patient", [("name", value)]);
    assert!(open::<(String, i64)>(&settings, tenant, &other, &cursor).is_err());

    let mut edited = cursor.clone().into_bytes();
    let place = usize::from(place) % edited.len();
    edited[place] ^= flip;
    let Ok(edited) = String::from_utf8(edited) else { return };
    if edited != cursor {
        assert!(open::<(String, i64)>(&settings, tenant, &binding, &edited).is_err());
    }
});
