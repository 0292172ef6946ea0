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
