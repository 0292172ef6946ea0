//! Laws of the book, of allocation, of forecasts and of reorders, in tables and under random sequences.

mod forecasts;
mod reorders;
mod sequences;

use kernel::{ActorId, Timestamp, ZoneName};
use rust_decimal::Decimal;

use super::*;

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

pub(super) fn zone() -> ZoneName {
    "Europe/London".parse().unwrap()
}

pub(super) fn person(number: u8) -> ActorId {
    format!("00000000-0000-4000-8000-0000000000{number:02}")
        .parse()
        .unwrap()
}

pub(super) fn units(text: &str) -> Units {
    Units::new(text.parse().unwrap()).unwrap()
}

pub(super) fn common(place: &str) -> Account {
    Account::Location {
        location: place.parse().unwrap(),
    }
}

pub(super) fn own(resident: &str) -> Account {
    Account::Own {
        resident: resident.parse().unwrap(),
        location: "cupboard".parse().unwrap(),
    }
}

pub(super) fn supplier() -> Account {
    Account::Supplier {
        party: "pharmacy".parse().unwrap(),
    }
}

pub(super) fn taken(resident: &str) -> Account {
    Account::Administered {
        resident: resident.parse().unwrap(),
    }
}

pub(super) fn batch(lot: &str, expiry: &str) -> Batch {
    Batch {
        expiry: (!expiry.is_empty()).then(|| expiry.parse().unwrap()),
        lot: Some(lot.to_owned()),
        serial: None,
    }
}

pub(super) fn meta(id: &str) -> Meta {
    Meta {
        id: id.parse().unwrap(),
        happened: at("2026-03-10T08:00:00Z"),
        recorded: at("2026-03-10T08:01:00Z"),
        by: person(1),
        witness: None,
        discrepancy: None,
    }
}

pub(super) fn noted(id: &str) -> Meta {
    Meta {
        discrepancy: Some(Discrepancy {
            reason: VarianceReason::Unexplained,
            note: "the shelf has more than the book".to_owned(),
        }),
        ..meta(id)
    }
}

pub(super) fn line(batch: &Batch, amount: &str, from: &Account, to: &Account) -> Line {
    Line {
        batch: batch.clone(),
        units: units(amount),
        from: from.clone(),
        to: to.clone(),
    }
}

pub(super) fn book() -> Book {
    Book::new(
        "paracetamol-500".parse().unwrap(),
        crate::quantity::Unit::ucum("{tablet}"),
        &zone(),
    )
}

/// 28 of one batch for one resident.
fn filled() -> Book {
    let mut book = book();
    let receipt = What::Receipt { order: None };
    let lines = vec![line(
        &batch("A", "2027-01-31"),
        "28",
        &supplier(),
        &own("ada"),
    )];
    book.record(meta("in"), receipt, lines).unwrap();
    book
}

fn waste() -> What {
    What::Waste {
        reason: WasteReason::Damaged,
        method: "denaturing kit 4".to_owned(),
    }
}

#[test]
fn amounts_are_more_than_none() {
    for (text, good) in [
        ("0.5", true),
        ("0.000001", true),
        ("1000000000", true),
        ("0", false),
        ("-1", false),
        ("1000000000.1", false),
        ("0.0000001", false),
    ] {
        let number: Decimal = text.parse().unwrap();
        assert_eq!(Units::new(number).is_ok(), good, "{text}");
    }
}

#[test]
fn a_kind_joins_what_its_table_says() {
    let a = batch("A", "2027-01-31");
    let (ada, bob, shelf) = (own("ada"), own("bob"), common("shelf"));
    let receipt = || What::Receipt { order: None };
    for (what, from, to, expected) in [
        (What::Given, &ada, &taken("ada"), "ok"),
        (What::Given, &ada, &taken("bob"), "NotTheirs"),
        (What::Given, &taken("ada"), &ada, "Accounts"),
        (What::Given, &supplier(), &taken("ada"), "Accounts"),
        (What::Transfer, &ada, &bob, "NotTheirs"),
        (What::Transfer, &ada, &shelf, "Accounts"),
        (What::Transfer, &ada, &ada, "Same"),
        (waste(), &ada, &Account::Waste, "ok"),
        (waste(), &ada, &supplier(), "Accounts"),
        (receipt(), &supplier(), &shelf, "ok"),
        (receipt(), &supplier(), &Account::Waste, "Accounts"),
        (receipt(), &shelf, &ada, "Accounts"),
        (
            What::Return {
                reason: ReturnReason::Stopped,
            },
            &ada,
            &supplier(),
            "ok",
        ),
        (What::Given, &bob, &taken("bob"), "Short"),
    ] {
        let mut book = filled();
        let kind = what.kind();
        let got = book.record(meta("m"), what, vec![line(&a, "1", from, to)]);
        let text = got.map_or_else(|error| format!("{error:?}"), |_| "ok".to_owned());
        assert!(
            text.starts_with(expected),
            "{kind:?} {from:?} {to:?}: {text}"
        );
        assert!(book.is_sound());
        assert_eq!(book.movements().len(), 1 + usize::from(text == "ok"));
    }
}

#[test]
fn what_does_not_hold_is_refused_and_changes_nothing() {
    let a = batch("A", "2027-01-31");
    let give = || vec![line(&a, "1", &own("ada"), &taken("ada"))];
    let later = Meta {
        happened: at("2026-03-10T08:02:00Z"),
        ..meta("m")
    };
    let alone = Meta {
        witness: Some(person(1)),
        ..meta("m")
    };
    let mut wordless = noted("m");
    wordless.discrepancy.as_mut().unwrap().note = "  ".to_owned();
    let silent = What::Waste {
        reason: WasteReason::Damaged,
        method: String::new(),
    };
    let bin = vec![line(&a, "1", &own("ada"), &Account::Waste)];
    for (meta, what, lines, expected) in [
        (later, What::Given, give(), StockError::Future),
        (alone, What::Given, give(), StockError::Witness),
        (
            wordless,
            What::Given,
            give(),
            StockError::Words("the note on the discrepancy"),
        ),
        (meta("m"), What::Given, vec![], StockError::Empty),
        (meta("m"), silent, bin, StockError::Words("the method")),
        (
            meta("in"),
            What::Given,
            give(),
            StockError::Taken("in".parse().unwrap()),
        ),
    ] {
        let mut book = filled();
        assert_eq!(book.record(meta, what, lines), Err(expected));
        assert_eq!(book.movements().len(), 1);
        assert_eq!(book.balance(&own("ada")), Decimal::from(28));
    }
}

#[test]
fn a_controlled_drug_moves_before_a_witness() {
    use crate::register::Class;
    let a = batch("A", "2027-01-31");
    for (class, given, wasted) in [
        (None, true, true),
        (Some(Class::Two), false, false),
        (Some(Class::TwoExempt), false, false),
        (Some(Class::Three), true, false),
        (Some(Class::FourBenzodiazepine), true, false),
        (Some(Class::Five), true, true),
    ] {
        for (what, to, alone) in [
            (What::Given, taken("ada"), given),
            (waste(), Account::Waste, wasted),
        ] {
            let mut book = filled();
            if let Some(class) = class {
                book = book.controlled(class);
            }
            let lines = vec![line(&a, "1", &own("ada"), &to)];
            let came = book.record(meta("m"), what.clone(), lines.clone());
            let refused = (!alone).then_some(StockError::NeedsWitness);
            assert_eq!(came.err(), refused, "{class:?} {what:?}");
            let seen = Meta {
                witness: Some(person(2)),
                ..meta("n")
            };
            book.record(seen, what, lines).unwrap();
        }
    }
}

#[test]
fn the_same_movement_twice_moves_once() {
    let mut book = filled();
    let a = batch("A", "2027-01-31");
    let lines = vec![line(&a, "2", &own("ada"), &taken("ada"))];
    let made = book.record(meta("g"), What::Given, lines.clone()).unwrap();
    let change = Change {
        account: own("ada"),
        before: Decimal::from(28),
        after: Decimal::from(26),
    };
    assert_eq!(made, Recorded::Made(vec![change]));
    let again = book.record(meta("g"), What::Given, lines).unwrap();
    assert_eq!(again, Recorded::Already);
    let other = vec![line(&a, "1", &own("ada"), &taken("ada"))];
    let refused = book.record(meta("g"), What::Given, other);
    assert_eq!(refused, Err(StockError::Taken("g".parse().unwrap())));
    assert_eq!(book.balance(&own("ada")), Decimal::from(26));
}

#[test]
fn below_nothing_only_shows_as_a_difference() {
    let mut book = filled();
    let a = batch("A", "2027-01-31");
    let lines = vec![line(&a, "30", &own("ada"), &taken("ada"))];
    let refused = book.record(meta("g"), What::Given, lines.clone());
    let short = StockError::Short {
        account: Box::new(own("ada")),
        batch: Box::new(a),
        held: Decimal::from(28),
        wanted: Decimal::from(30),
    };
    assert_eq!(refused, Err(short));
    book.record(noted("g"), What::Given, lines.clone()).unwrap();
    assert_eq!(book.balance(&own("ada")), Decimal::ZERO);
    assert_eq!(book.balance(&taken("ada")), Decimal::from(30));
    assert_eq!(book.balance(&Account::Difference), Decimal::from(-2));
    assert!(book.is_sound());
    let again = book.record(noted("g"), What::Given, lines);
    assert_eq!(again, Ok(Recorded::Already));
}

#[test]
fn a_count_names_every_batch_and_says_why_it_differs() {
    let (a, b) = (batch("A", "2027-01-31"), batch("B", "2027-02-28"));
    let found = |batch: &Batch, found: i64| Counted {
        batch: batch.clone(),
        found: found.into(),
    };
    let why = Some(VarianceReason::Miscounted);
    for (counted, reason, expected) in [
        (vec![found(&a, 28)], None, "ok 28"),
        (vec![found(&a, 27)], None, "NeedsReason { by: -1 }"),
        (vec![found(&a, 30)], None, "NeedsReason { by: 2 }"),
        (vec![found(&a, 27)], why, "ok 27"),
        (vec![found(&a, 0)], why, "ok 0"),
        (vec![found(&a, 28), found(&b, 3)], why, "ok 31"),
        (vec![found(&b, 3)], why, "Uncounted"),
        (vec![], why, "Count(\"nothing was counted"),
        (
            vec![found(&a, 28), found(&a, 28)],
            why,
            "Count(\"a batch is there twice",
        ),
        (vec![found(&a, -1)], why, "Count(\"a batch is less"),
    ] {
        let mut book = filled();
        let got = book.count(meta("c"), &own("ada"), counted.clone(), reason);
        let text = got.map_or_else(
            |error| format!("{error:?}"),
            |_| format!("ok {}", book.balance(&own("ada"))),
        );
        assert!(text.starts_with(expected), "{counted:?}: {text}");
        assert!(book.is_sound());
        if text.starts_with("ok") {
            let again = book.count(meta("c"), &own("ada"), counted, reason);
            assert_eq!(again, Ok(Recorded::Already));
        }
    }
    let empty = filled().count(meta("c"), &own("nobody"), vec![], None);
    assert!(matches!(empty, Err(StockError::Count(_))), "{empty:?}");
    let refused = filled().count(meta("c"), &supplier(), vec![found(&a, 1)], None);
    assert!(matches!(refused, Err(StockError::Count(_))));
}

#[test]
fn a_correction_cites_undoes_and_is_not_undone() {
    let mut book = filled();
    let a = batch("A", "2027-01-31");
    let id = |text: &str| text.parse::<crate::ids::MovementId>().unwrap();
    let lines = vec![line(&a, "2", &own("ada"), &taken("ada"))];
    book.record(meta("g"), What::Given, lines).unwrap();
    let note = || "given to nobody".to_owned();
    book.correct(meta("c"), &id("g"), note()).unwrap();
    assert_eq!(book.balance(&own("ada")), Decimal::from(28));
    assert_eq!(book.balance(&taken("ada")), Decimal::ZERO);
    assert_eq!(book.movements().len(), 3, "nothing is taken out");
    let again = book.correct(meta("c"), &id("g"), note());
    assert_eq!(again, Ok(Recorded::Already));
    for (of, expected) in [
        ("g", StockError::Corrected(id("g"))),
        ("c", StockError::Corrected(id("c"))),
        ("x", StockError::Unknown(id("x"))),
    ] {
        assert_eq!(book.correct(meta("d"), &id(of), note()), Err(expected));
    }
    let wordless = book.correct(meta("d"), &id("in"), String::new());
    assert_eq!(wordless, Err(StockError::Words("the reason")));
    // What was given in between cannot be undone with the receipt.
    let lines = vec![line(&a, "1", &own("ada"), &taken("ada"))];
    book.record(meta("h"), What::Given, lines).unwrap();
    let refused = book.correct(meta("d"), &id("in"), note());
    assert!(matches!(refused, Err(StockError::Short { .. })));
}

#[test]
fn what_may_not_be_used_is_not_given_unless_it_is_owned_up_to() {
    let give = |batch: &Batch| vec![line(batch, "1", &own("ada"), &taken("ada"))];
    let receipt = || What::Receipt { order: None };
    let old = batch("old", "2026-03-09");
    let last = batch("last", "2026-03-10");
    for (batch, recalled, opened, expected) in [
        (&old, false, None, Some(Unusable::Expired)),
        (&last, false, None, None),
        (&last, true, None, Some(Unusable::Recalled)),
        (&last, false, Some(28), None),
        (&last, false, Some(7), Some(Unusable::OpenTooLong)),
    ] {
        let mut book = filled();
        let lines = vec![line(batch, "5", &supplier(), &own("ada"))];
        book.record(meta("r"), receipt(), lines).unwrap();
        if recalled {
            let recall = Recall {
                at: at("2026-03-01T00:00:00Z"),
                notice: "EL (26)A/09".to_owned(),
            };
            book.recall(batch.lot.clone(), recall);
        }
        if let Some(life_days) = opened {
            let opened = Opened {
                at: at("2026-03-01T08:00:00Z"),
                life_days,
            };
            book.open(own("ada"), batch.clone(), opened);
        }
        let now = meta("g").happened;
        assert_eq!(book.unusable(&own("ada"), batch, now), expected);
        let given = book.record(meta("g"), What::Given, give(batch));
        assert_eq!(given.is_err(), expected.is_some(), "{batch:?}");
        if expected.is_some() {
            book.record(noted("g"), What::Given, give(batch)).unwrap();
        }
    }
}

#[test]
fn the_batch_that_ends_first_goes_first() {
    let mut book = filled();
    let receipt = || What::Receipt { order: None };
    for (id, batch, amount) in [
        ("1", batch("late", "2027-06-30"), "10"),
        ("2", batch("soon", "2026-04-30"), "3"),
        ("3", batch("open", "2027-05-31"), "4"),
        ("4", batch("gone", "2026-03-01"), "50"),
        ("5", batch("back", "2026-12-31"), "60"),
        ("6", batch("none", ""), "5"),
    ] {
        let lines = vec![line(&batch, amount, &supplier(), &own("ada"))];
        book.record(meta(id), receipt(), lines).unwrap();
    }
    let opened = Opened {
        at: at("2026-03-05T08:00:00Z"),
        life_days: 14,
    };
    book.open(own("ada"), batch("open", "2027-05-31"), opened);
    let recall = Recall {
        at: at("2026-03-01T00:00:00Z"),
        notice: "EL (26)A/09".to_owned(),
    };
    book.recall(Some("back".to_owned()), recall);
    let now = at("2026-03-10T08:00:00Z");
    let lots = |amount: &str| {
        let found = book.allocate(&own("ada"), units(amount), now).unwrap();
        let parts: Vec<String> = found
            .parts
            .iter()
            .map(|(batch, units)| format!("{} {units}", batch.lot.as_deref().unwrap()))
            .collect();
        (parts.join(", "), found.expiry_unknown)
    };
    assert_eq!(lots("1"), ("open 1".to_owned(), false));
    assert_eq!(lots("8"), ("open 4, soon 3, A 1".to_owned(), false));
    let all = "open 4, soon 3, A 28, late 10, none 5".to_owned();
    assert_eq!(lots("50"), (all, true));
    assert_eq!(book.usable(&own("ada"), now), Decimal::from(50));
    let refused = book.allocate(&own("ada"), units("51"), now).unwrap_err();
    let kept = (refused.usable, refused.expired, refused.recalled);
    assert_eq!(kept, (50.into(), 50.into(), 60.into()));
    // Fourteen days after opening it is out.
    let later = at("2026-03-19T08:00:00Z");
    let refused = book.allocate(&own("ada"), units("51"), later).unwrap_err();
    assert_eq!(refused.open_too_long, Decimal::from(4));
}

#[test]
fn an_expiry_day_counts_whole_where_the_home_is() {
    let batch = batch("A", "2026-06-30");
    let mut book = book();
    let lines = vec![line(&batch, "1", &supplier(), &own("ada"))];
    let receipt = What::Receipt { order: None };
    book.record(meta("in"), receipt, lines).unwrap();
    let end = book.usable_until(&own("ada"), &batch).unwrap();
    assert_eq!(end, at("2026-06-30T23:00:00Z"), "midnight of summer time");
}

#[test]
fn low_is_said_when_the_line_is_crossed_and_not_again() {
    for (before, after, expected) in [
        (11, 10, Some(Crossing::Low)),
        (10, 9, None),
        (9, 1, None),
        (1, 0, Some(Crossing::Out)),
        (20, 0, Some(Crossing::Out)),
        (0, 0, None),
        (0, 5, None),
        (0, 11, Some(Crossing::Filled)),
        (10, 11, Some(Crossing::Filled)),
        (11, 38, None),
        (12, 11, None),
    ] {
        let got = crossing(before.into(), after.into(), 10.into());
        assert_eq!(got, expected, "{before} to {after}");
    }
    // Without a threshold only running out is said.
    assert_eq!(crossing(1.into(), 0.into(), 0.into()), Some(Crossing::Out));
    assert_eq!(crossing(2.into(), 1.into(), 0.into()), None);
}

#[test]
fn a_scan_names_its_batch() {
    let scan = "(01)05012617019844(17)270200(10)AB12(21)7";
    let pack = crate::gs1::read(scan, 2026).unwrap();
    let expected = Batch {
        expiry: Some("2027-02-28".parse().unwrap()),
        lot: Some("AB12".to_owned()),
        serial: Some("7".to_owned()),
    };
    assert_eq!(Batch::of_pack(&pack), expected);
}

#[test]
fn a_whole_number_is_called_back_by_the_number_that_was_read() {
    let lot = |lot: &str| Batch {
        lot: Some(lot.to_owned()),
        ..Batch::default()
    };
    let call = |alone: bool, of: Option<&str>| CallBack {
        gtin: "02000000000107".to_owned(),
        alone,
        lot: of.map(str::to_owned),
        recall: Recall {
            at: Timestamp::from_micros(0),
            notice: "class 2".to_owned(),
        },
    };
    let numbered = |calls: &[CallBack]| {
        let mut book = Book::new(
            "i".parse().unwrap(),
            crate::quantity::Unit::ucum("{tablet}"),
            &"UTC".parse().unwrap(),
        );
        book.number(lot("A"), "02000000000107".to_owned());
        book.number(lot("B"), "02000000000206".to_owned());
        for own in calls {
            book.call_back(own.clone());
        }
        let account = Account::Location {
            location: "cupboard".parse().unwrap(),
        };
        let now = at("2026-03-05T08:00:00Z");
        ["A", "B", "unread"].map(|own| book.unusable(&account, &lot(own), now).is_some())
    };
    // Of a medicine with several numbers, those packs alone whose number was read.
    assert_eq!(numbered(&[call(false, None)]), [true, false, false]);
    // Of one with a single number, also what nobody read.
    assert_eq!(numbered(&[call(true, None)]), [true, false, true]);
    // A lot is a lot; of another number it is another.
    assert_eq!(numbered(&[call(false, Some("B"))]), [false, false, false]);
    assert_eq!(
        numbered(&[call(false, Some("unread"))]),
        [false, false, true]
    );
    assert_eq!(numbered(&[call(false, Some("A"))]), [true, false, false]);
}
