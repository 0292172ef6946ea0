//! Tables: every high-priority pair interrupts in both orders, demoted pairs never do, allergies cross
//! and do not cross as they should, and nothing unknown is silent.

mod allergies;
mod people;
mod sources;

use super::*;
use crate::knowledge::builtin::built_in;
use crate::knowledge::{DrugKnowledge as _, Fact, Hepatic, Kind, Pregnancy};

pub(super) fn known() -> &'static Knowledge {
    built_in().unwrap()
}

pub(super) fn id(name: &str) -> IngredientId {
    known().ingredient(name).unwrap_or_else(|| panic!("{name}"))
}

pub(super) fn of(id: IngredientId) -> Medicine {
    Medicine {
        name: known().name(id).unwrap().to_owned(),
        parts: vec![Part {
            ingredient: id,
            single: None,
            daily: None,
        }],
        unresolved: Vec::new(),
        route: Some(Route {
            name: "oral".to_owned(),
        }),
    }
}

pub(super) fn medicine(name: &str) -> Medicine {
    of(id(name))
}

pub(super) fn dosed(name: &str, single: &str, daily: &str) -> Medicine {
    let mut medicine = medicine(name);
    medicine.parts[0].single = Some(Measured::Milligrams(single.parse().unwrap()));
    medicine.parts[0].daily = Some(Measured::Milligrams(daily.parse().unwrap()));
    medicine
}

/// A healthy adult of 40 years and 80 kg.
pub(super) fn adult() -> Facts {
    Facts {
        age_months: Fact::Known(480),
        weight_grams: Fact::Known(80_000),
        egfr: Fact::Known(90),
        creatinine_clearance: Fact::Known(90),
        hepatic: Fact::Known(Hepatic::Normal),
        pregnancy: Fact::Known(Pregnancy::No),
        breastfeeding: Fact::Known(false),
    }
}

pub(super) fn list(medicines: &[Medicine]) -> Report {
    check(known(), &adult(), &Allergies::NoneKnown, medicines)
}

fn interaction(a: IngredientId, b: IngredientId) -> Option<Tier> {
    let report = list(&[of(a), of(b)]);
    report
        .findings
        .iter()
        .filter(|one| one.rule.kind == Kind::Interaction)
        .map(|one| one.tier)
        .max()
}

#[test]
fn every_high_priority_pair_interrupts_in_both_orders() {
    let mut numbers = std::collections::BTreeSet::new();
    let mut pairs = 0;
    for body in &known().interactions {
        let Some(number) = body.rule.high_priority else {
            continue;
        };
        numbers.insert(number);
        for a in body.first.iter() {
            for b in body.second.iter().filter(|b| *b != a) {
                pairs += 1;
                for tier in [interaction(a, b), interaction(b, a)] {
                    assert!(
                        tier.is_some_and(Tier::interrupts),
                        "{} {a:?} {b:?}",
                        body.rule.id
                    );
                }
            }
        }
    }
    assert_eq!(
        numbers.into_iter().collect::<Vec<_>>(),
        (1..=15).collect::<Vec<_>>()
    );
    assert!(pairs > 1_000, "{pairs}");
}

/// Membership stated apart from the data, so that a member lost there fails here.
#[test]
fn the_high_priority_sets_have_their_members() {
    for (rule, first, second) in [
        ("onc-01", 12, 5),
        ("onc-02", 1, 6),
        ("onc-03", 1, 2),
        ("onc-04", 11, 5),
        ("onc-05", 1, 23),
        ("onc-06", 6, 5),
        ("onc-07", 8, 5),
        ("onc-09", 1, 4),
        ("onc-10", 10, 6),
        ("onc-12", 4, 17),
        ("onc-14", 1, 1),
        ("onc-15", 3, 7),
    ] {
        let (a, b) = known().sides(rule).unwrap();
        assert_eq!(
            (a.iter().count(), b.iter().count()),
            (first, second),
            "{rule}"
        );
    }
    let count = |rule: &str| known().sides(rule).unwrap().1.iter().count();
    assert_eq!(count("onc-11a") + count("onc-11b"), 20);
    assert_eq!(count("onc-13a") + count("onc-13b"), 7);
}

#[test]
fn demoted_pairs_never_interrupt_but_for_the_high_priority_list() {
    let known = known();
    let mut numbers = 0_u64;
    for (a, _) in known.ingredients() {
        for (b, _) in known.ingredients().filter(|(b, _)| *b != a) {
            let demotions = known.demotions(a, b);
            if demotions == 0 {
                continue;
            }
            numbers |= demotions;
            let report = list(&[of(a), of(b)]);
            for one in report
                .findings
                .iter()
                .filter(|one| one.rule.kind == Kind::Interaction)
            {
                assert!(
                    !one.tier.interrupts() || one.rule.high_priority.is_some(),
                    "{} {a:?} {b:?}",
                    one.rule.id
                );
            }
        }
    }
    assert_eq!(numbers.count_ones(), 33);
    for (a, b) in [("citalopram", "sotalol"), ("escitalopram", "sotalol")] {
        assert_eq!(interaction(id(a), id(b)), Some(Tier::High), "{a} {b}");
    }
}

#[test]
fn known_pairs_have_their_tier() {
    let (c, h, m, l) = (Tier::Contraindicated, Tier::High, Tier::Moderate, Tier::Low);
    for (a, b, tier) in [
        ("warfarin", "ibuprofen", Some(h)),
        ("warfarin", "aspirin", Some(h)),
        ("warfarin", "miconazole", Some(h)),
        ("warfarin", "paracetamol", Some(l)),
        ("simvastatin", "clarithromycin", Some(c)),
        ("simvastatin", "amlodipine", Some(m)),
        ("methotrexate", "trimethoprim", Some(c)),
        ("sildenafil", "glyceryl trinitrate", Some(c)),
        ("clopidogrel", "omeprazole", Some(h)),
        ("clopidogrel", "lansoprazole", None),
        ("lithium", "ramipril", Some(h)),
        ("digoxin", "verapamil", Some(h)),
        ("sacubitril", "ramipril", Some(c)),
        ("ramipril", "ibuprofen", Some(m)),
        ("ramipril", "losartan", Some(m)),
        ("levothyroxine", "calcium carbonate", Some(m)),
        ("morphine", "diazepam", Some(h)),
        ("azathioprine", "allopurinol", Some(h)),
        ("tamoxifen", "paroxetine", Some(h)),
        ("paracetamol", "lactulose", None),
        ("amlodipine", "metformin", None),
    ] {
        assert_eq!(interaction(id(a), id(b)), tier, "{a} {b}");
        assert_eq!(interaction(id(b), id(a)), tier, "{b} {a}");
    }
}

#[test]
fn three_together_are_found_whatever_the_order() {
    let names = ["ramipril", "furosemide", "naproxen"];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let report = list(&order.map(|at| medicine(names[at])));
        let found = report
            .findings
            .iter()
            .find(|one| one.rule.id == "triple-whammy")
            .unwrap();
        assert_eq!(found.medicines, [0, 1, 2]);
    }
    let two = list(&[medicine("ramipril"), medicine("naproxen")]);
    assert!(
        two.findings
            .iter()
            .all(|one| one.rule.id != "triple-whammy")
    );
}

#[test]
fn little_absorbed_means_no_interaction_unless_the_rule_says_so() {
    let on_skin = |name: &str| Medicine {
        route: Some(Route {
            name: "cutaneous".to_owned(),
        }),
        ..medicine(name)
    };
    let unknown = |name: &str| Medicine {
        route: None,
        ..medicine(name)
    };
    let loudest = |other: Medicine| {
        list(&[medicine("warfarin"), other])
            .findings
            .iter()
            .map(|one| one.tier)
            .max()
    };
    assert_eq!(loudest(on_skin("ibuprofen")), None);
    assert_eq!(loudest(on_skin("miconazole")), Some(Tier::High));
    assert_eq!(loudest(unknown("ibuprofen")), Some(Tier::High));
}

#[test]
fn duplicates_by_ingredient_and_class() {
    let rules = |a: &str, b: &str| -> Vec<String> {
        let report = list(&[medicine(a), medicine(b)]);
        report
            .findings
            .iter()
            .filter(|one| one.rule.kind == Kind::Duplicate)
            .map(|one| one.rule.id.clone())
            .collect()
    };
    assert_eq!(
        rules("paracetamol", "acetaminophen"),
        ["duplicate-ingredient"]
    );
    assert_eq!(rules("ibuprofen", "naproxen"), ["duplicate-class"]);
    assert_eq!(rules("codeine", "morphine"), ["duplicate-class"]);
    assert_eq!(rules("ibuprofen", "paracetamol"), Vec::<String>::new());
}

#[test]
fn a_report_about_one_medicine_leaves_the_others_out() {
    let report = list(&[
        medicine("warfarin"),
        medicine("ibuprofen"),
        medicine("morphine"),
        medicine("diazepam"),
    ]);
    let about = report.about(1);
    assert!(!about.findings.is_empty());
    assert!(about.findings.iter().all(|one| one.medicines.contains(&1)));
    assert!(report.findings.len() > about.findings.len());
    assert_eq!(report.loudest(), Some(Tier::High));
}
