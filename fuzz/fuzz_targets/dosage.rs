//! Any JSON as a Dosage: read back as it was printed, its words and problems told, its due times in order
//! and within the span that was asked for.
#![no_main]

use fhir::json::{Document, Limits};
use kernel::{Timestamp, ZoneName};
use libfuzzer_sys::fuzz_target;
use medication::Dosage;
use medication::schedule::{Rounds, Setting, Window, due};

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse(bytes.to_vec(), &Limits::default()) else { return };
    let Ok(dosage) = Dosage::read(document.root()) else { return };
    let (_, _) = (dosage.words(), dosage.problems());
    let printed = Document::parse(dosage.to_json().into_bytes(), &Limits::default()).unwrap();
    assert_eq!(Dosage::read(printed.root()).as_ref(), Ok(&dosage));
    let from = Timestamp::from_rfc3339("2026-03-25T00:00:00Z").unwrap();
    let to = from.plus_seconds(10 * 86_400);
    let zone: ZoneName = "Europe/London".parse().unwrap();
    let setting = Setting {
        zone: zone.zone(),
        rounds: Rounds::default(),
        start: from,
        stop: None,
        window: Window::default(),
    };
    if let Ok(slots) = due(&[dosage], &setting, from, to) {
        assert!(slots.is_sorted_by_key(|slot| slot.at));
        assert!(slots.iter().all(|slot| from <= slot.at && slot.at < to));
    }
});
