//! Each medicine against the facts of the patient: doses, cautions, routes. Must not take a missing fact
//! for a normal one.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::{Finding, NotChecked, Place, Report};
use crate::knowledge::condition::Answer;
use crate::knowledge::{Body, Facts, IngredientId, Kind, Knowledge, Maximum, Measured, Rule};

pub(super) fn check(
    knowledge: &Knowledge,
    facts: &Facts,
    parts: &[Place<'_>],
    report: &mut Report,
) {
    let taken: Vec<IngredientId> = parts.iter().map(|place| place.part.ingredient).collect();
    for place in parts {
        let rules = knowledge
            .by_ingredient
            .get(usize::from(place.part.ingredient.0));
        for body in rules
            .into_iter()
            .flatten()
            .filter_map(|at| knowledge.patient.get(usize::from(*at)))
        {
            match holds(body, facts, &taken) {
                Answer::Yes => {}
                Answer::No => continue,
                Answer::Missing(fact) => {
                    missing(place.at, fact, body, report);
                    continue;
                }
            }
            let own = || vec![place.at];
            let fires = match body.rule.kind {
                Kind::Caution => (!place.local()).then(own),
                Kind::Route => route(body, place, report).then(own),
                Kind::Dose => dose(body, facts, place, parts, report),
                Kind::Interaction | Kind::Allergy | Kind::Clear | Kind::Duplicate => None,
            };
            let Some(medicines) = fires else { continue };
            let finding = Finding {
                rule: Arc::clone(&body.rule),
                tier: body.rule.tier,
                demoted: None,
                ingredients: vec![place.part.ingredient; medicines.len()],
                medicines,
                allergy: None,
            };
            // A day's total is found once, not with each medicine that adds to it.
            if !report.findings.contains(&finding) {
                report.findings.push(finding);
            }
        }
    }
}

/// All conditions; one that fails for certain outweighs one that is not known.
fn holds(body: &Body, facts: &Facts, taken: &[IngredientId]) -> Answer {
    let mut answer = Answer::Yes;
    for condition in &body.conditions {
        match condition.holds(facts, taken) {
            Answer::No => return Answer::No,
            Answer::Missing(fact) => answer = Answer::Missing(fact),
            Answer::Yes => {}
        }
    }
    answer
}

/// One gap for each medicine and fact, with the loudest rule behind it.
fn missing(at: usize, fact: &'static str, body: &Body, report: &mut Report) {
    for gap in &mut report.not_checked {
        if let NotChecked::Fact(own, name, rule) = gap
            && *own == at
            && *name == fact
        {
            if body.rule.tier > rule.tier {
                *rule = Arc::clone(&body.rule);
            }
            return;
        }
    }
    report
        .not_checked
        .push(NotChecked::Fact(at, fact, Arc::clone(&body.rule)));
}

fn route(body: &Body, place: &Place<'_>, report: &mut Report) -> bool {
    // Words that no list knows may mean the very route that harms.
    if let Some(route) = place
        .medicine
        .route
        .as_ref()
        .filter(|route| route.is_known())
    {
        return body.routes.contains(&route.name);
    }
    missing(place.at, "route", body, report);
    false
}

/// The medicines whose dose is too much: this one by itself, or all that add to the day's total, so that
/// whoever adds to it is asked about it, and those that were there before are not held up unasked.
fn dose(
    body: &Body,
    facts: &Facts,
    place: &Place<'_>,
    parts: &[Place<'_>],
    report: &mut Report,
) -> Option<Vec<usize>> {
    if place.local() {
        return None;
    }
    // The day's total is of the ingredient, in whatever products it comes.
    let same = || {
        parts
            .iter()
            .filter(|own| own.part.ingredient == place.part.ingredient && !own.local())
    };
    let add = |sum: Option<Measured>, more: Measured| match sum {
        None => Some(Some(more)),
        Some(sum) => sum.plus(more).map(Some),
    };
    let total = same()
        .try_fold(None, |sum, own| add(sum, own.part.daily?))
        .flatten();
    let stated = same()
        .filter_map(|own| own.part.daily)
        .try_fold(None, add)
        .flatten();
    let over =
        |value: Option<Measured>, maximum: Option<Maximum>, report: &mut Report| -> Option<bool> {
            let Some(maximum) = maximum else {
                return Some(false);
            };
            let Some(limit) = for_person(maximum, facts) else {
                missing(place.at, "weight", body, report);
                return Some(false);
            };
            value?.exceeds(limit)
        };
    let single = over(place.part.single, body.single, report);
    let daily = over(total, body.daily, report);
    // What is stated may be too much already, though a part is not stated.
    let partly = total.is_none() && over(stated, body.daily, report) == Some(true);
    if (single.is_none() || daily.is_none()) && !partly {
        let told = report
            .not_checked
            .iter()
            .any(|gap| matches!(gap, NotChecked::Dose(at, _) if *at == place.at));
        if !told {
            report
                .not_checked
                .push(NotChecked::Dose(place.at, Arc::clone(&body.rule)));
        }
    }
    let alone = over(place.part.daily, body.daily, report) == Some(true);
    if single == Some(true) || alone {
        return Some(vec![place.at]);
    }
    if daily != Some(true) && !partly {
        return None;
    }
    let mut medicines: Vec<usize> = same().map(|own| own.at).collect();
    medicines.sort_unstable();
    medicines.dedup();
    Some(medicines)
}

/// A maximum for this person; none where it asks for a weight that is not known.
fn for_person(maximum: Maximum, facts: &Facts) -> Option<Measured> {
    if !maximum.per_kilogram {
        return Some(maximum.most);
    }
    let grams = facts.weight_grams.known()?;
    maximum.most.times(Decimal::new(i64::from(grams), 3))
}

/// What a rule allows this person of an ingredient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The most at once.
    pub single: Option<Measured>,
    /// The most in 24 hours.
    pub daily: Option<Measured>,
    /// The least time between two doses, in minutes.
    pub apart_minutes: Option<u32>,
}

/// What all rules allow this person of an ingredient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ceilings {
    /// Those that hold.
    pub known: Vec<Ceiling>,
    /// Facts that a rule asks for and the record lacks.
    pub missing: Vec<(&'static str, Arc<Rule>)>,
}

/// The doses that the knowledge allows this person of an ingredient, beside what else is `taken`.
#[must_use]
pub fn ceilings(
    knowledge: &Knowledge,
    facts: &Facts,
    taken: &[IngredientId],
    ingredient: IngredientId,
) -> Ceilings {
    let mut found = Ceilings::default();
    let rules = knowledge.by_ingredient.get(usize::from(ingredient.0));
    let bodies = rules.into_iter().flatten();
    for body in bodies.filter_map(|at| knowledge.patient.get(usize::from(*at))) {
        if body.rule.kind != Kind::Dose {
            continue;
        }
        match holds(body, facts, taken) {
            Answer::No => continue,
            Answer::Missing(fact) => {
                found.missing.push((fact, Arc::clone(&body.rule)));
                continue;
            }
            Answer::Yes => {}
        }
        let single = body.single.map(|own| for_person(own, facts));
        let daily = body.daily.map(|own| for_person(own, facts));
        if single == Some(None) || daily == Some(None) {
            found.missing.push(("weight", Arc::clone(&body.rule)));
        }
        found.known.push(Ceiling {
            rule: Arc::clone(&body.rule),
            single: single.flatten(),
            daily: daily.flatten(),
            apart_minutes: body.apart_minutes,
        });
    }
    found
}
