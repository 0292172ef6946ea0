//! Findings of several sources about the same thing become one alert that keeps every source. Must not
//! drop a source, and must not read a failure as an answer of none.

use crate::knowledge::{IngredientId, Kind, Knowledge, Tier};

use super::{Finding, NotChecked, Report};

/// What another source said, or why it said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Name of the source.
    pub source: String,
    /// Its findings with places in the same list; or what went wrong.
    pub findings: Result<Vec<Finding>, String>,
}

/// One thing to show, with every finding behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub kind: Kind,
    /// The loudest tier of the findings.
    pub tier: Tier,
    /// Places in the list.
    pub medicines: Vec<usize>,
    /// The findings, the loudest first.
    pub findings: Vec<Finding>,
}

/// Alerts and gaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// Alerts, the loudest first.
    pub alerts: Vec<Alert>,
    /// What could not be checked.
    pub not_checked: Vec<NotChecked>,
}

/// Merges our own report with the answers of others. A pair of the demotion list does not interrupt
/// whoever says so, unless it is of the high-priority list.
#[must_use]
pub fn merge(knowledge: &Knowledge, own: Report, answers: Vec<Answer>) -> Merged {
    let mut not_checked = own.not_checked;
    let mut findings = own.findings;
    for answer in answers {
        match answer.findings {
            Ok(more) => findings.extend(more.into_iter().map(|one| lowered(knowledge, one))),
            Err(why) => not_checked.push(NotChecked::Source(answer.source, why)),
        }
    }
    let mut alerts: Vec<Alert> = Vec::new();
    for mut finding in findings {
        finding.medicines.sort_unstable();
        let same = |alert: &&mut Alert| same(alert, &finding);
        if let Some(alert) = alerts.iter_mut().find(same) {
            alert.tier = alert.tier.max(finding.tier);
            alert.findings.push(finding);
        } else {
            alerts.push(Alert {
                kind: finding.rule.kind,
                tier: finding.tier,
                medicines: finding.medicines.clone(),
                findings: vec![finding],
            });
        }
    }
    for alert in &mut alerts {
        alert
            .findings
            .sort_by_key(|finding| core::cmp::Reverse(finding.tier));
    }
    alerts.sort_by_key(|alert| core::cmp::Reverse(alert.tier));
    Merged {
        alerts,
        not_checked,
    }
}

/// Allergies are told apart by what the allergy is to.
fn same(alert: &Alert, finding: &Finding) -> bool {
    alert.kind == finding.rule.kind
        && alert.medicines == finding.medicines
        && alert
            .findings
            .first()
            .is_some_and(|own| own.allergy == finding.allergy)
}

fn lowered(knowledge: &Knowledge, mut finding: Finding) -> Finding {
    let pair: Option<(IngredientId, IngredientId)> = match finding.ingredients.as_slice() {
        [a, b] => Some((*a, *b)),
        _ => None,
    };
    let demotions = pair.map_or(0, |(a, b)| knowledge.demotions(a, b));
    let asked = finding.rule.kind == Kind::Interaction && finding.rule.high_priority.is_none();
    if asked && demotions != 0 && finding.tier.interrupts() {
        finding.tier = Tier::Moderate;
        finding.demoted = Some(demotions.trailing_zeros() as u8);
    }
    finding
}
