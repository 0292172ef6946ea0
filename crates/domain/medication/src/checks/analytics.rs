//! How often each rule is shown, followed and overridden. Must not change a rule: it proposes, a clinical
//! safety officer decides.

use std::collections::BTreeMap;

use super::overrides::Reason;

/// What became of an alert that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The order was changed or left.
    Accepted,
    /// Went on, for a reason.
    Overridden(Reason),
    /// Neither: it does not interrupt, or was left open.
    Shown,
}

/// Counts of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times shown.
    pub shown: u64,
    /// Times followed.
    pub accepted: u64,
    /// Times overridden.
    pub overridden: u64,
    /// Overrides by reason.
    pub reasons: BTreeMap<Reason, u64>,
}

/// Counts by rule id.
pub fn count<'a>(events: impl IntoIterator<Item = (&'a str, Outcome)>) -> BTreeMap<String, Counts> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    for (rule, outcome) in events {
        let counts = all.entry(rule.to_owned()).or_default();
        counts.shown += 1;
        match outcome {
            Outcome::Accepted => counts.accepted += 1,
            Outcome::Overridden(reason) => {
                counts.overridden += 1;
                *counts.reasons.entry(reason).or_default() += 1;
            }
            Outcome::Shown => {}
        }
    }
    all
}

/// Rules decided at least `least` times of which at least `percent` in 100 were overridden: to be looked
/// at, the most overridden first.
#[must_use]
pub fn to_review(counts: &BTreeMap<String, Counts>, least: u64, percent: u64) -> Vec<&str> {
    let mut found: Vec<(&str, u64)> = counts
        .iter()
        .filter_map(|(rule, own)| {
            let decided = own
                .accepted
                .checked_add(own.overridden)
                .filter(|decided| *decided > 0)?;
            let rate = own.overridden.saturating_mul(100) / decided;
            (decided >= least && rate >= percent).then_some((rule.as_str(), rate))
        })
        .collect();
    found.sort_by_key(|(_, rate)| core::cmp::Reverse(*rate));
    found.into_iter().map(|(rule, _)| rule).collect()
}
