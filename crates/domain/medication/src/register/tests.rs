//! Laws of the register, in tables and under random entries.

use kernel::{ActorId, Timestamp};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::dictionary::Schedule;
use crate::quantity::Unit;
use crate::stock::Units;

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

const NOON: &str = "2026-03-10T12:00:00Z";

fn who(number: u8, proved: Timestamp) -> Signature {
    let id = format!("00000000-0000-4000-8000-0000000000{number:02}");
    Signature {
        practitioner: None,
        person: id.parse::<ActorId>().unwrap(),
        name: format!("Person {number}"),
        role: "nurse".to_owned(),
        proved,
        method: Method::PasswordAndCode,
    }
}

fn two(entered: Timestamp) -> Signed {
    Signed::two(who(1, entered), who(2, entered), entered).unwrap()
}

fn party() -> Party {
    Party {
        name: "Mill Road Pharmacy".to_owned(),
        address: "1 Mill Road".to_owned(),
    }
}

fn units(number: i64) -> Units {
    Units::new(number.into()).unwrap()
}

fn obtained(number: i64) -> What {
    What::Obtained {
        from: party(),
        quantity: units(number),
    }
}

fn unnamed() -> What {
    What::Obtained {
        from: Party {
            name: String::new(),
            address: "x".to_owned(),
        },
        quantity: units(1),
    }
}

fn left(number: i64) -> What {
    What::Left {
        why: Leaving::Administered,
        to: Party {
            name: "Ada Byrne".to_owned(),
            address: "Room 4".to_owned(),
        },
        resident: Some("ada".parse().unwrap()),
        authority: "Dr Osei, prescription 24F5DA".to_owned(),
        quantity: units(number),
        collected: None,
    }
}

fn counted(found: i64) -> What {
    What::Counted {
        found: found.into(),
    }
}

fn correction(of: u32, should_be: i64) -> What {
    What::Correction {
        of,
        should_be: should_be.into(),
        note: "misread".to_owned(),
    }
}

fn settled(found: i64) -> What {
    What::Settled {
        incident: incident(),
        found: found.into(),
        finding: "one ampoule broken".to_owned(),
    }
}

fn incident() -> crate::ids::IncidentId {
    "inc-1".parse().unwrap()
}

fn heading() -> Heading {
    Heading {
        class: Class::Two,
        drug: "Morphine sulfate".to_owned(),
        form: "tablets".to_owned(),
        strength: "10 mg".to_owned(),
    }
}

fn page() -> Page {
    let zone = "Europe/London".parse().unwrap();
    let unit = Unit::ucum("{tablet}");
    Page::new("home-1".parse().unwrap(), heading(), unit, &zone)
}

fn draft(what: What, happened: &str, entered: &str) -> Draft {
    Draft {
        what,
        happened: at(happened),
        entered: at(entered),
        signed: two(at(entered)),
        late: None,
    }
}

fn write(page: &mut Page, what: What) -> Result<Written, RegisterError> {
    page.write(draft(what, NOON, NOON), &incident())
}

/// A page with 28 obtained and 2 given: entries 1 and 2, balance 26.
fn begun() -> Page {
    let mut page = page();
    write(&mut page, obtained(28)).unwrap();
    write(&mut page, left(2)).unwrap();
    page
}

#[test]
fn what_each_class_demands_is_as_the_sources_say() {
    let table: Vec<String> = DEMANDS
        .iter()
        .map(|own| {
            let flag = |flag: bool, letter: char| if flag { letter } else { '-' };
            format!(
                "{} {:?} {:?} {}{}{}{} {}",
                own.category,
                own.class,
                own.schedule,
                flag(own.register, 'R'),
                flag(own.cupboard, 'C'),
                flag(own.witness, 'W'),
                flag(own.witnessed_destruction, 'D'),
                own.prescription_days
            )
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r"
    0001 One One RCWD 28
    0002 Two Two RCWD 28
    0003 TwoExempt Two R-WD 28
    0004 Three Three -C-D 28
    0005 ThreeExempt Three ---D 28
    0006 Phenobarbital Three ---D 28
    0007 Temazepam Three -C-D 28
    0008 FourAnabolic Four ---D 28
    0009 FourBenzodiazepine Four ---D 28
    0010 Five Five ---- 183
    ");
    for own in DEMANDS {
        assert_eq!(Class::of_category(own.category), Some(own.class));
        assert_eq!(own.class.demands(), &own);
        // The schedule alone demands no less than any of its classes.
        let most = Class::of_schedule(own.schedule).demands();
        assert!(most.register >= own.register && most.cupboard >= own.cupboard);
        assert!(own.witness >= own.register, "a register entry is witnessed");
    }
    assert_eq!(Class::of_category("0000"), None);
    assert_eq!(Class::of_schedule(Schedule::Three), Class::Three);
}

#[test]
fn two_people_sign_each_newly_proved() {
    let entered = at(NOON);
    let mut nameless = who(2, entered);
    nameless.name = " ".to_owned();
    for (by, witness, expected) in [
        (who(1, entered), who(2, entered), None),
        (who(1, entered.plus_seconds(-300)), who(2, entered), None),
        (
            who(1, entered),
            who(1, entered),
            Some(RegisterError::SamePerson),
        ),
        (
            who(1, entered),
            who(2, entered.plus_seconds(-301)),
            Some(RegisterError::NotFresh("Person 2".to_owned())),
        ),
        (
            who(1, entered.plus_seconds(1)),
            who(2, entered),
            Some(RegisterError::NotFresh("Person 1".to_owned())),
        ),
        (
            who(1, entered),
            nameless,
            Some(RegisterError::Words("the name of who signs")),
        ),
    ] {
        assert_eq!(Signed::two(by, witness, entered).err(), expected);
    }
    // Signatures of one moment do not sign an entry of another.
    let mut page = page();
    let late = Draft {
        signed: two(at("2026-03-10T11:00:00Z")),
        ..draft(obtained(1), NOON, NOON)
    };
    let refused = page.write(late, &incident());
    assert!(matches!(refused, Err(RegisterError::NotFresh(_))));
}

#[test]
fn an_entry_that_does_not_hold_is_refused_and_changes_nothing() {
    let collected = |asked, given| {
        let mut what = left(1);
        if let What::Left { collected, .. } = &mut what {
            *collected = Some(Collected {
                by: "daughter".to_owned(),
                proof_asked: asked,
                proof_given: given,
            });
        }
        what
    };
    let brought = What::BroughtForward {
        balance: 5.into(),
        from: "book 1 page 3".to_owned(),
    };
    for (what, expected) in [
        (left(26), "ok 0"),
        (left(27), "BelowNothing"),
        (obtained(1_000_000_000), "Range"),
        (unnamed(), "Words"),
        (collected(true, false), "ok 25"),
        (collected(false, true), "Proof"),
        (brought, "NotFirst"),
        (counted(26), "ok 26"),
        (counted(25), "ok 26"),
        (counted(-1), "Negative"),
        (correction(2, 3), "ok 25"),
        (correction(2, 0), "ok 28"),
        (correction(1, 30), "ok 28"),
        (correction(1, 1), "BelowNothing"),
        (correction(2, 2), "Unchanged"),
        (correction(2, -2), "Negative"),
        (correction(3, 1), "NoSuchEntry"),
        (correction(0, 1), "NoSuchEntry"),
        (settled(25), "NoIncident"),
    ] {
        let mut page = begun();
        let before = page.entries().to_vec();
        let got = write(&mut page, what.clone());
        let text = got.map_or_else(
            |error| format!("{error:?}"),
            |written| format!("ok {}", written.entry.balance),
        );
        assert!(text.starts_with(expected), "{what:?}: {text}");
        assert_eq!(
            page.entries()[..2],
            before[..],
            "nothing written is changed"
        );
        assert_eq!(
            page.entries().len(),
            2 + usize::from(text.starts_with("ok"))
        );
    }
}

#[test]
fn a_late_entry_wears_a_label() {
    for (happened, entered, expected) in [
        ("2026-03-10T12:00:00Z", "2026-03-10T12:00:00Z", None),
        ("2026-03-10T12:00:00Z", "2026-03-11T23:59:59Z", None),
        (
            "2026-03-10T12:00:00Z",
            "2026-03-12T00:00:00Z",
            Some(Lateness::AfterNextDay),
        ),
        (
            "2026-03-10T11:59:59Z",
            "2026-03-10T12:00:00Z",
            Some(Lateness::OutOfOrder),
        ),
        // The day is the home's: 23:30 UTC is the next day in summer time.
        ("2026-06-01T23:30:00Z", "2026-06-03T22:30:00Z", None),
        (
            "2026-06-01T22:30:00Z",
            "2026-06-02T23:30:00Z",
            Some(Lateness::AfterNextDay),
        ),
    ] {
        let mut page = begun();
        let silent = page.write(draft(left(1), happened, entered), &incident());
        match expected {
            None => assert_eq!(silent.unwrap().entry.late, None),
            Some(lateness) => {
                assert_eq!(silent, Err(RegisterError::Late(lateness)), "{happened}");
                let mut said = draft(left(1), happened, entered);
                said.late = Some("the night was busy".to_owned());
                let written = page.write(said, &incident()).unwrap();
                assert_eq!(written.entry.late.map(|late| late.lateness), Some(lateness));
            }
        }
    }
    let mut page = begun();
    let future = draft(left(1), "2026-03-10T12:00:01Z", NOON);
    assert_eq!(page.write(future, &incident()), Err(RegisterError::Future));
    let back = draft(left(1), "2026-03-10T11:00:00Z", "2026-03-10T11:00:00Z");
    assert_eq!(page.write(back, &incident()), Err(RegisterError::ClockBack));
}

#[test]
fn a_count_that_differs_opens_a_discrepancy_that_ends_with_a_finding() {
    let mut page = begun();
    let found = write(&mut page, counted(25)).unwrap();
    let opened = found.incident.unwrap();
    assert_eq!(opened.difference(), Decimal::from(-1));
    assert_eq!((opened.entry, opened.stage), (3, Stage::Open));
    assert_eq!(page.balance(), Decimal::from(26), "a count changes nothing");
    let stage = |from, to| Err(RegisterError::Stage { from, to });
    assert_eq!(
        write(&mut page, settled(25)).map(|_| ()),
        stage(Stage::Open, Stage::Settled)
    );
    let own = page.incident(&incident()).unwrap();
    own.investigate().unwrap();
    assert_eq!(
        own.investigate(),
        stage(Stage::Investigated, Stage::Investigated)
    );
    own.tell(Notified::Manager, at(NOON));
    // A loss is reported to the accountable officer before it is settled.
    let refused = write(&mut page, settled(25));
    assert!(matches!(refused, Err(RegisterError::Words(_))));
    let own = page.incident(&incident()).unwrap();
    own.tell(Notified::AccountableOfficer, at(NOON));
    let written = write(&mut page, settled(25)).unwrap();
    assert_eq!(written.entry.balance, Decimal::from(25));
    let own = page.incident(&incident()).unwrap().clone();
    assert_eq!((own.stage, own.settled_by), (Stage::Settled, Some(4)));
    assert_eq!(
        write(&mut page, settled(24)).map(|_| ()),
        stage(Stage::Settled, Stage::Settled)
    );
    // More than the page says is for the manager alone; no difference is no discrepancy.
    let mut page = begun();
    let found = write(&mut page, counted(27)).unwrap().incident.unwrap();
    assert_eq!(found.must_tell(), [Notified::Manager]);
    assert_eq!(write(&mut begun(), counted(26)).unwrap().incident, None);
}

/// A row of the table below.
type Row<'a> = (i64, Option<What>, &'a [i64], &'a [i64]);

#[test]
fn a_settlement_accounts_for_its_discrepancy_alone() {
    // The page says 26. What was counted, what was written then, and what settlements are taken.
    let rows: [Row<'_>; 4] = [
        (25, None, &[25, 26], &[0, 24, 27]),
        // One more was found: a loss is not settled under it.
        (27, None, &[26, 27], &[0, 25, 28]),
        // The difference moves on with the balance.
        (25, Some(left(2)), &[23, 24], &[22, 25]),
        // A correction explained it: three had left.
        (25, Some(correction(2, 3)), &[25], &[23, 26]),
    ];
    for (number, then, taken, refused) in rows {
        let mut page = begun();
        write(&mut page, counted(number)).unwrap();
        if let Some(then) = then {
            write(&mut page, then).unwrap();
        }
        let own = page.incident(&incident()).unwrap();
        own.investigate().unwrap();
        for whom in own.must_tell() {
            own.tell(*whom, at(NOON));
        }
        for found in refused {
            let tried = write(&mut page.clone(), settled(*found));
            let other = matches!(tried, Err(RegisterError::OtherDifference { .. }));
            assert!(other, "{number} {found}: {tried:?}");
        }
        for found in taken {
            let tried = write(&mut page.clone(), settled(*found));
            assert!(tried.is_ok(), "{number} {found}: {tried:?}");
        }
    }
}

#[test]
fn a_count_is_due_after_so_many_days() {
    let mut page = begun();
    assert!(!super::Page::count_due(&super::tests::page(), 7, at(NOON)));
    assert!(!page.count_due(7, at("2026-03-17T11:59:59Z")));
    assert!(page.count_due(7, at("2026-03-17T12:00:00Z")));
    let later = "2026-03-16T12:00:00Z";
    page.write(draft(counted(26), later, later), &incident())
        .unwrap();
    assert!(!page.count_due(7, at("2026-03-23T11:59:59Z")));
}

#[test]
fn one_page_for_each_drug_form_and_strength() {
    let mut register = Register::new("home-1".parse().unwrap());
    let zone = "Europe/London".parse().unwrap();
    let unit = || Unit::ucum("{tablet}");
    register.begin(heading(), unit(), &zone).unwrap();
    let twice = register.begin(heading(), unit(), &zone).map(|_| ());
    assert_eq!(twice, Err(RegisterError::PageExists));
    let other = Heading {
        strength: "30 mg".to_owned(),
        ..heading()
    };
    register.begin(other.clone(), unit(), &zone).unwrap();
    let nameless = Heading {
        form: String::new(),
        ..heading()
    };
    let refused = register.begin(nameless, unit(), &zone).map(|_| ());
    assert_eq!(refused, Err(RegisterError::Words("the form")));
    assert_eq!(register.pages().count(), 2);
    assert_eq!(register.page(&other).unwrap().heading(), &other);
}

#[test]
fn a_printed_page_has_the_headings_of_the_law_and_every_entry() {
    let statutory: Vec<&str> = Column::ALL
        .into_iter()
        .filter(|column| column.is_statutory())
        .map(Column::heading)
        .collect();
    assert_eq!(
        statutory,
        [
            "Date obtained",
            "Obtained from (name, address)",
            "Quantity obtained",
            "Date supplied",
            "Supplied to (name, address)",
            "Authority to possess",
            "Quantity supplied",
            "Collected by",
            "Proof of identity requested",
            "Proof of identity provided",
        ]
    );
    let mut page = begun();
    write(&mut page, correction(2, 1)).unwrap();
    let sheets = print(&page, 2);
    assert_eq!(
        sheets[0].title,
        "Schedule 2: Morphine sulfate 10 mg tablets ({tablet})"
    );
    let heads: Vec<_> = sheets
        .iter()
        .map(|own| (own.sheet, own.of, own.brought_forward, own.carried_forward))
        .collect();
    assert_eq!(
        heads,
        [(1, 2, None, 26.into()), (2, 2, Some(26.into()), 27.into())]
    );
    let shown: Vec<String> = sheets
        .iter()
        .flat_map(|own| &own.rows)
        .map(|row| Column::ALL.map(|column| row.cell(column)).join("|"))
        .collect();
    let signed = "Person 1, nurse, 10 Mar 2026 12:00|Person 2, nurse, 10 Mar 2026 12:00";
    assert_eq!(
        shown,
        [
            format!("1|10 Mar 2026 12:00|Mill Road Pharmacy, 1 Mill Road|28||||||||28|{signed}|"),
            format!(
                "2||||10 Mar 2026 12:00|Ada Byrne, Room 4|Dr Osei, prescription 24F5DA|2||||26|{signed}|see correction No. 3"
            ),
            format!(
                "3|||||||||||27|{signed}|10 Mar 2026 12:00: correction of No. 2, quantity should be 1: misread"
            ),
        ]
    );
    assert_eq!(print(&super::tests::page(), 0).len(), 1);
}

#[derive(Debug, Clone)]
struct Try {
    kind: u8,
    amount: i64,
    of: u32,
    minutes: i64,
    back: i64,
    said: bool,
}

fn tries() -> impl Strategy<Value = Try> {
    (
        0u8..7,
        0i64..30,
        0u32..12,
        -20i64..3_000,
        -10i64..5_000,
        any::<bool>(),
    )
        .prop_map(|(kind, amount, of, minutes, back, said)| Try {
            kind,
            amount,
            of,
            minutes,
            back,
            said,
        })
}

proptest! {
    /// The laws of the register, whatever is tried: entries stay as they are; each balance is the one
    /// before and what was received less what was supplied, corrections netted out; times rise but for
    /// entries labelled late; every line has two signatures; stored pages are read back, altered ones
    /// are not.
    #[test]
    fn the_register_keeps_its_laws(list in prop::collection::vec(tries(), 1..40), spoil in 0usize..40) {
        let mut page = page();
        let mut now = at(NOON);
        for (number, one) in list.into_iter().enumerate() {
            let before = page.clone();
            let entered = now.plus_seconds(one.minutes * 60);
            let amount = one.amount;
            let what = match one.kind {
                0 | 1 => obtained(amount.max(1)),
                2 | 3 => left(amount.max(1)),
                4 => counted(amount),
                5 => correction(one.of, amount),
                _ => {
                    let open: Option<Incident> = page.incidents().find(|own| own.stage == Stage::Open).cloned();
                    match open {
                        Some(own) => {
                            let incident = page.incident(&own.id).unwrap();
                            incident.tell(Notified::Manager, now);
                            incident.tell(Notified::AccountableOfficer, now);
                            incident.investigate().unwrap();
                            What::Settled { incident: own.id.clone(), found: page.balance() + own.difference(), finding: "found".to_owned() }
                        }
                        None => counted(amount),
                    }
                }
            };
            let draft = Draft {
                what: what.clone(),
                happened: entered.plus_seconds(-one.back * 60),
                entered,
                signed: two(entered),
                late: one.said.then(|| "busy".to_owned()),
            };
            let id = format!("inc-{number}").parse().unwrap();
            let kept = page.entries().len();
            match page.write(draft, &id) {
                Err(_) => prop_assert_eq!(page.entries(), before.entries()),
                Ok(written) => {
                    now = entered;
                    prop_assert_eq!(page.entries().len(), kept + 1);
                    prop_assert_eq!(&page.entries()[..kept], before.entries());
                    let by = match &what {
                        What::Obtained { quantity, .. } => quantity.get(),
                        What::Left { quantity, .. } => -quantity.get(),
                        What::Counted { .. } => Decimal::ZERO,
                        What::Correction { of, .. } => {
                            page.effective(*of).unwrap() - before.effective(*of).unwrap()
                        }
                        What::Settled { found, .. } => *found - before.balance(),
                        What::BroughtForward { balance, .. } => *balance,
                    };
                    prop_assert_eq!(written.entry.balance, before.balance() + by);
                    prop_assert!(written.entry.balance >= Decimal::ZERO);
                    prop_assert_eq!(written.entry.number as usize, kept + 1);
                    prop_assert_ne!(written.entry.signed.by().person, written.entry.signed.witness().person);
                    let latest = before.entries().iter().map(|own| own.happened).max();
                    let in_order = latest.is_none_or(|latest| latest <= written.entry.happened);
                    prop_assert!(in_order || written.entry.late.is_some());
                    prop_assert!(before.entries().iter().all(|own| own.entered <= entered));
                }
            }
        }
        // A page without settlements: as if every entry had been right at once.
        if !page.entries().iter().any(|own| matches!(own.what, What::Settled { .. })) {
            let sum: Decimal = page.entries().iter().filter_map(|own| page.effective(own.number)).sum();
            prop_assert_eq!(page.balance(), sum);
        }
        let entries = page.entries().to_vec();
        let incidents: Vec<Incident> = page.incidents().cloned().collect();
        let again = super::tests::page().restore(entries.clone(), incidents.clone()).unwrap();
        prop_assert_eq!(again.entries(), page.entries());
        prop_assert_eq!(again.incidents().collect::<Vec<_>>(), page.incidents().collect::<Vec<_>>());
        if let Some(place) = (!entries.is_empty()).then(|| spoil % entries.len()) {
            let mut spoilt = entries.clone();
            spoilt[place].balance += Decimal::ONE;
            prop_assert!(super::tests::page().restore(spoilt, incidents.clone()).is_err());
            if place + 1 < entries.len() {
                let mut dropped = entries;
                dropped.remove(place);
                prop_assert!(super::tests::page().restore(dropped, incidents).is_err());
            }
        }
    }
}
