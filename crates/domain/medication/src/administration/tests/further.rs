//! What the second reading asked for: doses off the schedule, needed ones, unknown schedules, own contents.

use super::*;

#[test]
fn a_dose_off_the_schedule_needs_a_reason() {
    let mut case = good(PARACETAMOL, TABLETS);
    case.needed = true;
    let found = decide(case);
    assert_eq!((found.verdict, found.keep), (Verdict::Block, false));
    assert_eq!(found.reasons, [(Verdict::Block, Why::OffSchedule)]);
    assert_eq!(found.needs, [Need::Reason]);
    let mut case = good(PARACETAMOL, TABLETS);
    case.needed = true;
    case.record = |r| r.reason = Some("the doctor said so by telephone".to_owned());
    let found = decide(case);
    assert_eq!(found.reasons, [(Verdict::Warn, Why::OffSchedule)]);
}

#[test]
fn a_dose_when_needed_is_compared_with_what_is_ordered_when_needed() {
    let regular = TABLETS.replace("\"value\":2", "\"value\":4");
    for (dosages, verdict) in [
        ([regular.as_str(), NEEDED], Verdict::Allow),
        ([NEEDED, NEEDED], Verdict::Unknown),
    ] {
        let mut case = good(PARACETAMOL, NEEDED);
        let each = dosages.iter();
        let each = each.flat_map(|own| order("order-1", PARACETAMOL, own).dosages);
        case.facts.dosages = each.collect();
        case.facts.need.expected = Some("less pain".to_owned());
        case.facts.need.effect_after = Some(60);
        case.needed = true;
        case.record = |r| {
            r.need = Some(NeedRecord {
                reason: "headache".to_owned(),
                effect_due: None,
            });
        };
        let found = decide(case);
        assert_eq!(found.verdict, verdict, "{:?}", found.reasons);
    }
}

#[test]
fn a_medicine_by_name_alone_may_be_a_controlled_drug() {
    let named = || {
        let mut case = good(PARACETAMOL, TABLETS);
        let knowledge = crate::knowledge::builtin::built_in().unwrap();
        case.facts.article = crate::content::Article::of_name("morphine", knowledge);
        case
    };
    let unknown = |found: &Decision| {
        let own = (Verdict::Unknown, Why::ScheduleUnknown);
        found.reasons.contains(&own)
    };
    let found = decide(named());
    assert_eq!((found.verdict, found.keep), (Verdict::Unknown, false));
    assert!(unknown(&found) && found.needs.contains(&Need::Witness));
    let mut case = named();
    case.record = |r| r.witness = Some("nurse-2".parse().unwrap());
    assert!(!unknown(&decide(case)));
}

#[test]
fn the_contents_are_those_of_the_ordered_product() {
    let mut case = good(PARACETAMOL, TABLETS);
    case.record = |r| r.contents.clear();
    assert_eq!(decide(case).verdict, Verdict::Allow);
    let mut case = good(PARACETAMOL, TABLETS);
    case.facts.article.ingredients.clear();
    case.record = |r| {
        let knowledge = crate::knowledge::builtin::built_in().unwrap();
        let other = crate::content::Article::of_name("paracetamol", knowledge);
        r.contents = other.contents(&Quantity::ucum(500.into(), "mg"));
    };
    let found = decide(case);
    assert_eq!(found.verdict, Verdict::Unknown, "{:?}", found.reasons);
}

#[test]
fn a_voided_dose_is_not_the_first() {
    let order = Order::check(order("order-1", PARACETAMOL, TABLETS)).unwrap();
    let earlier = record("earlier", &order, None, "2026-03-04T08:00:00Z");
    let mut void = record("void", &order, None, "2026-03-04T09:00:00Z");
    void.corrects = Some(Correction {
        of: earlier.id.clone(),
        reason: "another resident".to_owned(),
        void: true,
    });
    for (before, verdict) in [
        (vec![earlier.clone()], Verdict::Warn),
        (vec![earlier, void], Verdict::Block),
    ] {
        let mut case = good(PARACETAMOL, TABLETS);
        case.allergies = AllergyState::NotAsked;
        case.before = before;
        let found = decide(case);
        let own = (verdict, Why::AllergiesNotAsked);
        assert!(found.reasons.contains(&own), "{:?}", found.reasons);
    }
}

#[test]
fn what_is_sent_twice_off_the_schedule_is_pointed_out() {
    let order = Order::check(order("order-1", PARACETAMOL, NEEDED)).unwrap();
    let free = |id: &str, at: &str| record(id, &order, None, at);
    // The seconds between, whether another person, whether another device: whether it is pointed out.
    for (second, other, device, double) in [
        (59, false, false, true),
        (61, false, false, false),
        (1799, true, false, true),
        (1801, true, false, false),
        (1799, false, true, true),
    ] {
        let first = free("first", "2026-03-05T08:00:00Z");
        let mut next = first.clone();
        next.id = "next".parse().unwrap();
        next.happened = first.happened.plus_seconds(second);
        if other {
            next.giver = "nurse-2".parse().unwrap();
        }
        next.device = device.then(|| "phone".parse().unwrap());
        let found = Book::of([first, next]).possible_doubles();
        assert_eq!(
            found.len(),
            usize::from(double),
            "{second} {other} {device}"
        );
    }
    // Before it is stored it wants a reason.
    let mut case = good(PARACETAMOL, NEEDED);
    case.needed = true;
    case.before.push(free("earlier", "2026-03-05T08:04:30Z"));
    let double = |found: &Decision| {
        let mut reasons = found.reasons.iter();
        let own = reasons.find(|(_, why)| matches!(why, Why::PossibleDouble { .. }));
        own.map(|(verdict, _)| *verdict)
    };
    assert_eq!(double(&decide(case)), Some(Verdict::Block));
    let mut case = good(PARACETAMOL, NEEDED);
    case.needed = true;
    case.before.push(free("earlier", "2026-03-05T08:04:30Z"));
    case.record = |own| own.reason = Some("two patches were due".to_owned());
    assert_eq!(double(&decide(case)), Some(Verdict::Warn));
}

#[test]
fn a_due_dose_gets_one_outcome_and_a_record_one_correction() {
    let order = Order::check(order("order-1", PARACETAMOL, TABLETS)).unwrap();
    let slots = order.slots(
        &home(),
        at("2026-03-05T00:00:00Z"),
        at("2026-03-06T00:00:00Z"),
    );
    let slots = slots.unwrap();
    let of = |id: &str| record(id, &order, slots.first(), "2026-03-05T08:00:00Z");
    let correcting = |id: &str, of_id: &str, void: bool| Record {
        corrects: Some(Correction {
            of: of_id.parse().unwrap(),
            reason: "wrong line".to_owned(),
            void,
        }),
        outcome: Outcome::Refused,
        reason: Some("spat out".to_owned()),
        ..of(id)
    };
    let mut book = Book::default();
    assert_eq!(book.record(of("a")), Ok(()));
    assert_eq!(book.record(of("a")), Ok(()), "sent twice is once");
    assert!(matches!(book.record(of("b")), Err(Refused::Closed { .. })));
    let mut changed = of("a");
    changed.outcome = Outcome::Vomited;
    changed.reason = Some("at once".to_owned());
    assert_eq!(book.record(changed), Err(Refused::IdTaken));
    assert_eq!(
        book.record(correcting("c", "nothing", false)),
        Err(Refused::NothingToCorrect)
    );
    assert_eq!(book.record(correcting("c", "a", false)), Ok(()));
    assert_eq!(
        book.record(correcting("d", "a", false)),
        Err(Refused::CorrectedAlready)
    );
    let state = book.state(&slots[0].key);
    assert!(matches!(state, SlotState::Closed(one) if one.outcome == Outcome::Refused));
    assert_eq!(book.all().count(), 2, "nothing is overwritten");
    assert_eq!(
        book.history().entries().len(),
        0,
        "a refused dose does not count"
    );
    // A void of a mistaken correction: what was given stands again, and counts.
    assert_eq!(book.record(correcting("e", "c", true)), Ok(()));
    let state = book.state(&slots[0].key);
    assert!(matches!(state, SlotState::Closed(one) if one.outcome == Outcome::Given));
    assert_eq!(book.history().entries().len(), 1);
    assert!(matches!(book.record(of("f")), Err(Refused::Closed { .. })));
    // A void of the dose itself takes the outcome away: the due dose is open again.
    assert_eq!(book.record(correcting("g", "a", true)), Ok(()));
    assert_eq!(book.state(&slots[0].key), SlotState::Open);
    // A void of that void brings it back.
    let mut back = book.clone();
    assert_eq!(back.record(correcting("h", "g", true)), Ok(()));
    assert!(matches!(back.state(&slots[0].key), SlotState::Closed(one) if one.id == of("a").id));
    assert_eq!(book.record(of("f")), Ok(()));
}

#[test]
fn every_outcome_means_something_in_fhir() {
    let shown: Vec<String> = Outcome::ALL
        .iter()
        .map(|own| {
            let meaning = own.meaning();
            assert_eq!(Outcome::of(own.code()), Some(*own));
            let flags = [
                (meaning.counts, "counts"),
                (meaning.reason, "reason"),
                (meaning.used, "used"),
            ];
            let flags: Vec<&str> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
            format!("{} {} {}", own.code(), meaning.status, flags.join(" "))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    given completed counts used
    self-administered completed counts used
    refused not-done reason
    withheld not-done reason
    not-available not-done 
    asleep not-done 
    away not-done reason
    vomited completed counts reason used
    destroyed not-done reason used
    other not-done reason
    ");
}
