//! Medicines against allergies, with the pairs known not to cross-react. Must not let a clearing rule
//! hide a stronger one: the same ingredient and identical side chains always speak.

use std::sync::{Arc, LazyLock};

use super::{Allergen, Allergies, Cleared, Finding, NotChecked, Place, Report};
use crate::knowledge::{Evidence, IngredientId, Kind, Knowledge, Release, Rule, Set, Tier};

static SAME: LazyLock<Arc<Rule>> = LazyLock::new(|| {
    Arc::new(Rule {
        id: "allergy-same-ingredient".to_owned(),
        kind: Kind::Allergy,
        tier: Tier::Contraindicated,
        effect: "An allergy to this ingredient is recorded.".to_owned(),
        mechanism: "Same substance.".to_owned(),
        management: "Do not give unless the allergy is refuted.".to_owned(),
        evidence: Evidence::Label,
        citations: vec!["the patient's own record".to_owned()],
        high_priority: None,
        separate_minutes: None,
        any_route: true,
        release: Arc::new(Release {
            source: "Theriac checks".to_owned(),
            version: "1".to_owned(),
            effective: "2026-11-23".to_owned(),
            licence: "Apache-2.0".to_owned(),
            sha256: String::new(),
        }),
    })
});

pub(super) fn check(
    knowledge: &Knowledge,
    allergies: &Allergies,
    parts: &[Place<'_>],
    report: &mut Report,
) {
    let known = match allergies {
        Allergies::NotAsked => {
            report.not_checked.push(NotChecked::Allergies);
            return;
        }
        Allergies::NoneKnown => return,
        Allergies::Known(known) => known,
    };
    for (number, allergen) in known.iter().enumerate() {
        let mut single = Set::default();
        let members = match allergen {
            Allergen::Ingredient(id) if usize::from(id.0) < knowledge.ingredients.len() => {
                single.insert(*id);
                &single
            }
            Allergen::Class(key) => {
                let Some(class) = knowledge.class(key) else {
                    report.not_checked.push(NotChecked::Allergy(key.clone()));
                    continue;
                };
                &class.members
            }
            Allergen::Ingredient(id) => {
                report
                    .not_checked
                    .push(NotChecked::Allergy(format!("ingredient {}", id.0)));
                continue;
            }
            Allergen::Unresolved(text) => {
                report.not_checked.push(NotChecked::Allergy(text.clone()));
                continue;
            }
        };
        for place in parts {
            one(knowledge, members, number, place, report);
        }
    }
}

fn one(
    knowledge: &Knowledge,
    members: &Set,
    number: usize,
    place: &Place<'_>,
    report: &mut Report,
) {
    let given = place.part.ingredient;
    let finding = |rule: &Arc<Rule>| Finding {
        rule: Arc::clone(rule),
        tier: rule.tier,
        demoted: None,
        medicines: vec![place.at],
        ingredients: vec![given],
        allergy: Some(number),
    };
    if members.contains(given) {
        report.findings.push(finding(&SAME));
        return;
    }
    let any = |set: &Set| members.iter().any(|id: IngredientId| set.contains(id));
    let all = |set: &Set| members.iter().all(|id: IngredientId| set.contains(id));
    let crossing = knowledge
        .allergies
        .iter()
        .filter(|body| body.second.contains(given) && any(&body.first))
        .max_by_key(|body| body.rule.tier);
    let clearing = knowledge
        .clears
        .iter()
        .find(|body| body.second.contains(given) && all(&body.first));
    match (crossing, clearing) {
        (Some(body), None) => report.findings.push(finding(&body.rule)),
        (Some(body), Some(_)) if body.rule.tier.interrupts() => {
            report.findings.push(finding(&body.rule));
        }
        (_, Some(body)) => report.cleared.push(Cleared {
            rule: Arc::clone(&body.rule),
            medicine: place.at,
            allergy: number,
        }),
        (None, None) => {}
    }
}
