//! Laws of the schedule that the oracle does not see: steps, windows, refusals, splitting of windows.

use fhir::json::{Document, Limits};
use kernel::{Timestamp, ZoneName};
use proptest::prelude::*;

use super::{Rounds, ScheduleError, Setting, Shift, Slot, Window, due};
use crate::dosage::Dosage;

fn read(repeat: &str, sequence: u8) -> Dosage {
    let json = format!(r#"{{"sequence":{sequence},"timing":{{"repeat":{{{repeat}}}}}}}"#);
    let document = Document::parse(json.into_bytes(), &Limits::default()).unwrap();
    Dosage::read(document.root()).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

fn setting(start: &str) -> Setting {
    Setting {
        zone: "Europe/London".parse::<ZoneName>().unwrap().zone(),
        rounds: Rounds::default(),
        start: at(start),
        stop: None,
        window: Window::default(),
    }
}

fn slots(dosages: &[Dosage], start: &str, from: &str, to: &str) -> Vec<Slot> {
    due(dosages, &setting(start), at(from), at(to)).unwrap()
}

const DAILY: &str = r#""frequency":1,"period":1,"periodUnit":"d""#;

#[test]
fn a_taper_goes_from_step_to_step() {
    let days = |n: u8| {
        format!(
            r#"{DAILY},"boundsDuration":{{"value":{n},"system":"http://unitsofmeasure.org","code":"d"}}"#
        )
    };
    let steps = [read(&days(3), 1), read(&days(2), 2), read(DAILY, 3)];
    let found = slots(
        &steps,
        "2026-03-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2026-03-08T00:00:00Z",
    );
    let which: Vec<usize> = found.iter().map(|slot| slot.dosage).collect();
    assert_eq!(which, [0, 0, 0, 1, 1, 2, 2]);
    let open = [read(DAILY, 1), read(DAILY, 2)];
    let refused = due(
        &open,
        &setting("2026-03-01T00:00:00Z"),
        at("2026-03-01T00:00:00Z"),
        at("2026-03-02T00:00:00Z"),
    );
    assert_eq!(refused, Err(ScheduleError::NoEnd));
}

#[test]
fn a_counted_step_ends_with_its_last_dose() {
    let steps = [read(&format!(r#"{DAILY},"count":2"#), 1), read(DAILY, 2)];
    let found = slots(
        &steps,
        "2026-03-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2026-03-05T00:00:00Z",
    );
    let which: Vec<usize> = found.iter().map(|slot| slot.dosage).collect();
    assert_eq!(which, [0, 0, 1, 1]);
}

#[test]
fn nights_on_which_the_clocks_change_are_marked() {
    let night = [read(r#""timeOfDay":["01:30:00"]"#, 1)];
    let spring = slots(
        &night,
        "2026-03-01T00:00:00Z",
        "2026-03-29T00:00:00Z",
        "2026-03-30T00:00:00Z",
    );
    let marks: Vec<_> = spring.iter().map(|slot| (slot.at, slot.shift)).collect();
    // 01:30 does not exist: due at 02:30 of summer time. The next falls on 30 March at 00:30 UTC.
    assert_eq!(marks, [(at("2026-03-29T01:30:00Z"), Some(Shift::Skipped))]);
    let autumn = slots(
        &night,
        "2026-03-01T00:00:00Z",
        "2026-10-25T00:00:00Z",
        "2026-10-26T00:00:00Z",
    );
    let marks: Vec<_> = autumn.iter().map(|slot| (slot.at, slot.shift)).collect();
    assert_eq!(marks, [(at("2026-10-25T00:30:00Z"), Some(Shift::Twice))]);
}

#[test]
fn windows_never_overlap_and_minutes_matter_where_said() {
    let close = [read(r#""timeOfDay":["08:00:00","09:00:00"]"#, 1)];
    let found = slots(
        &close,
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
    );
    assert_eq!(found[0].latest, at("2026-01-01T08:30:00Z"));
    assert_eq!(found[1].earliest, at("2026-01-01T08:30:00Z"));
    assert_eq!(found[1].latest, at("2026-01-01T10:00:00Z"));
    let mut strict = setting("2026-01-01T00:00:00Z");
    strict.window = Window {
        early: 30,
        late: 30,
        critical: true,
    };
    let found = due(
        &close[..],
        &strict,
        at("2026-01-01T00:00:00Z"),
        at("2026-01-02T00:00:00Z"),
    )
    .unwrap();
    assert!(found.iter().all(|slot| slot.critical));
    assert_eq!(found[0].earliest, at("2026-01-01T07:30:00Z"));
}

#[test]
fn what_has_no_place_is_an_error() {
    let refusal = |repeat: &str| {
        due(
            &[read(repeat, 1)],
            &setting("2026-01-01T00:00:00Z"),
            at("2026-01-01T00:00:00Z"),
            at("2026-02-01T00:00:00Z"),
        )
    };
    for (repeat, expected) in [
        (r#""frequency":0,"period":1,"periodUnit":"d""#, "Wrong"),
        (r#""frequency":9,"period":1,"periodUnit":"d""#, "NoPlace"),
        (r#""frequency":2,"period":1,"periodUnit":"mo""#, "NoPlace"),
        (r#""frequency":1,"period":1.5,"periodUnit":"d""#, "NoPlace"),
        (r#""frequency":7,"period":1,"periodUnit":"s""#, "NoPlace"),
        (r#""frequency":1,"period":1,"periodUnit":"s""#, "TooMany"),
        (r#""count":3"#, "NoTiming"),
    ] {
        let error = format!("{:?}", refusal(repeat).unwrap_err());
        assert!(error.starts_with(expected), "{repeat}: {error}");
    }
}

proptest! {
    /// A window is the sum of its parts: no dose is lost or doubled where two meet.
    #[test]
    fn parts_make_the_whole(hours in 1u32..100, cut in 0i64..2_000, count in 1u32..60) {
        for repeat in [
            format!(r#""frequency":1,"period":{hours},"periodUnit":"h""#),
            format!(r#"{DAILY},"count":{count}"#),
            r#""frequency":3,"period":1,"periodUnit":"d""#.to_owned(),
        ] {
            let dosages = [read(&repeat, 1)];
            let place = setting("2026-03-01T07:10:00Z");
            let (from, to) = (at("2026-03-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
            let middle = from.plus_seconds(cut * 1_800);
            let times = |a, b| -> Vec<Timestamp> {
                due(&dosages, &place, a, b).unwrap().iter().map(|slot| slot.at).collect()
            };
            let (mut parts, rest) = (times(from, middle), times(middle, to.max(middle)));
            parts.extend(rest);
            let whole = times(from, to.max(middle));
            prop_assert!(whole.is_sorted());
            prop_assert_eq!(parts, whole);
        }
    }
}
