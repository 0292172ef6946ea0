//! What sources elsewhere said of a list, as it is kept with a call: only so can the call be repeated to the
//! same cards. Must not lose a finding.

use std::sync::Arc;

use medication::checks::merge::Answer;
use medication::checks::{Finding, NotChecked};
use medication::knowledge::{Evidence, IngredientId, Kind, Release, Rule, Tier};
use serde::{Deserialize, Serialize};

use crate::medicines::elsewhere::Heard;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Said {
    id: String,
    kind: Kind,
    tier: Tier,
    effect: String,
    mechanism: String,
    management: String,
    evidence: Evidence,
    citations: Vec<String>,
    high_priority: Option<u8>,
    separate_minutes: Option<u16>,
    any_route: bool,
    release: Release,
    shown: Tier,
    demoted: Option<u8>,
    medicines: Vec<usize>,
    ingredients: Vec<u16>,
    allergy: Option<usize>,
}

/// What was said, and what was not.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct KeptHeard {
    answers: Vec<(String, Result<Vec<Said>, String>)>,
    /// Place of the medicine, source and why.
    gaps: Vec<(Option<usize>, String, String)>,
}

impl From<&Finding> for Said {
    fn from(finding: &Finding) -> Self {
        let rule = &*finding.rule;
        Self {
            id: rule.id.clone(),
            kind: rule.kind,
            tier: rule.tier,
            effect: rule.effect.clone(),
            mechanism: rule.mechanism.clone(),
            management: rule.management.clone(),
            evidence: rule.evidence,
            citations: rule.citations.clone(),
            high_priority: rule.high_priority,
            separate_minutes: rule.separate_minutes,
            any_route: rule.any_route,
            release: Release::clone(&rule.release),
            shown: finding.tier,
            demoted: finding.demoted,
            medicines: finding.medicines.clone(),
            ingredients: finding.ingredients.iter().map(|own| own.0).collect(),
            allergy: finding.allergy,
        }
    }
}

impl From<Said> for Finding {
    fn from(said: Said) -> Self {
        Self {
            rule: Arc::new(Rule {
                id: said.id,
                kind: said.kind,
                tier: said.tier,
                effect: said.effect,
                mechanism: said.mechanism,
                management: said.management,
                evidence: said.evidence,
                citations: said.citations,
                high_priority: said.high_priority,
                separate_minutes: said.separate_minutes,
                any_route: said.any_route,
                release: Arc::new(said.release),
            }),
            tier: said.shown,
            demoted: said.demoted,
            medicines: said.medicines,
            ingredients: said.ingredients.into_iter().map(IngredientId).collect(),
            allergy: said.allergy,
        }
    }
}

impl From<&Heard> for KeptHeard {
    fn from(heard: &Heard) -> Self {
        let answers = heard.answers.iter().map(|own| {
            let findings = own.findings.as_ref();
            let said = findings.map(|own| own.iter().map(Said::from).collect());
            (own.source.clone(), said.map_err(Clone::clone))
        });
        let gaps = heard.gaps.iter().filter_map(|own| match own {
            NotChecked::Source(source, why) => Some((None, source.clone(), why.clone())),
            NotChecked::Elsewhere(at, source, why) => {
                Some((Some(*at), source.clone(), why.clone()))
            }
            // A source knows of nothing else.
            _ => None,
        });
        Self {
            answers: answers.collect(),
            gaps: gaps.collect(),
        }
    }
}

impl From<KeptHeard> for Heard {
    fn from(kept: KeptHeard) -> Self {
        let answers = kept.answers.into_iter().map(|(source, findings)| Answer {
            source,
            findings: findings.map(|own| own.into_iter().map(Finding::from).collect()),
        });
        let gaps = kept.gaps.into_iter().map(|(at, source, why)| match at {
            Some(at) => NotChecked::Elsewhere(at, source, why),
            None => NotChecked::Source(source, why),
        });
        Self {
            answers: answers.collect(),
            gaps: gaps.collect(),
            sources: Vec::new(),
        }
    }
}
