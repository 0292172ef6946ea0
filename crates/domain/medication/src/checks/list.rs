//! The medicines of a list against each other. Must not compare texts: ids and bits only.

use std::sync::Arc;

use super::{Finding, Place, Report};
use crate::knowledge::{IngredientId, Knowledge, Rule, Tier};

/// Interactions and duplicates of every pair.
pub(super) fn pairs(knowledge: &Knowledge, parts: &[Place<'_>], report: &mut Report) {
    for (number, one) in parts.iter().enumerate() {
        for other in parts.iter().skip(number + 1) {
            interactions(knowledge, one, other, report);
            if one.at != other.at {
                duplicate(knowledge, one, other, report);
            }
        }
    }
}

fn interactions(knowledge: &Knowledge, one: &Place<'_>, other: &Place<'_>, report: &mut Report) {
    let (a, b) = (one.part.ingredient, other.part.ingredient);
    // Ingredients of one product were put together on purpose; one ingredient is a duplicate, not a pair.
    if a == b || one.at == other.at {
        return;
    }
    let rows = |id: IngredientId| {
        let at = usize::from(id.0);
        Some((
            knowledge.first_bits.get(at)?,
            knowledge.second_bits.get(at)?,
        ))
    };
    let (Some((a_first, a_second)), Some((b_first, b_second))) = (rows(a), rows(b)) else {
        return;
    };
    let words = a_first
        .iter()
        .zip(a_second)
        .zip(b_first.iter().zip(b_second));
    for (word, ((af, sa), (bf, sb))) in words.enumerate() {
        let mut bits = (af & sb) | (bf & sa);
        while bits != 0 {
            let number = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let Some(body) = knowledge.interactions.get(number) else {
                continue;
            };
            if !body.rule.any_route && (one.local() || other.local()) {
                continue;
            }
            report
                .findings
                .push(found(knowledge, &body.rule, one, other));
        }
    }
}

fn found(knowledge: &Knowledge, rule: &Arc<Rule>, one: &Place<'_>, other: &Place<'_>) -> Finding {
    let demotions = knowledge.demotions(one.part.ingredient, other.part.ingredient);
    let lowered = demotions != 0 && rule.high_priority.is_none() && rule.tier.interrupts();
    Finding {
        rule: Arc::clone(rule),
        tier: if lowered { Tier::Moderate } else { rule.tier },
        demoted: lowered.then(|| demotions.trailing_zeros() as u8),
        medicines: vec![one.at, other.at],
        ingredients: vec![one.part.ingredient, other.part.ingredient],
        allergy: None,
    }
}

fn duplicate(knowledge: &Knowledge, one: &Place<'_>, other: &Place<'_>, report: &mut Report) {
    let (a, b) = (one.part.ingredient, other.part.ingredient);
    let bits = |id: IngredientId| {
        knowledge
            .duplicate_bits
            .get(usize::from(id.0))
            .copied()
            .unwrap_or(0)
    };
    let rule = if a == b {
        &knowledge.duplicate_ingredient
    } else if bits(a) & bits(b) != 0 && one.local() == other.local() {
        &knowledge.duplicate_class
    } else {
        return;
    };
    let Some(rule) = rule else { return };
    // A cream beside a tablet adds little: shown, without interrupting.
    let tier = if one.local() == other.local() {
        rule.tier
    } else {
        rule.tier.min(Tier::Moderate)
    };
    report.findings.push(Finding {
        rule: Arc::clone(rule),
        tier,
        demoted: None,
        medicines: vec![one.at, other.at],
        ingredients: vec![a, b],
        allergy: None,
    });
}

/// Rules of three sets: the first member of each that is taken.
pub(super) fn triples(knowledge: &Knowledge, parts: &[Place<'_>], report: &mut Report) {
    for body in &knowledge.triples {
        let Some(third) = &body.third else { continue };
        let mut actors: Vec<&Place<'_>> = Vec::with_capacity(3);
        for set in [&body.first, &body.second, third] {
            let taken = |place: &&Place<'_>| {
                (body.rule.any_route || !place.local())
                    && set.contains(place.part.ingredient)
                    && !actors.iter().any(|own| {
                        own.at == place.at && own.part.ingredient == place.part.ingredient
                    })
            };
            if let Some(place) = parts.iter().find(taken) {
                actors.push(place);
            }
        }
        if actors.len() < 3 {
            continue;
        }
        actors.sort_by_key(|place| place.at);
        let mut medicines: Vec<usize> = actors.iter().map(|place| place.at).collect();
        medicines.dedup();
        report.findings.push(Finding {
            rule: Arc::clone(&body.rule),
            tier: body.rule.tier,
            demoted: None,
            medicines,
            ingredients: actors.iter().map(|place| place.part.ingredient).collect(),
            allergy: None,
        });
    }
}
