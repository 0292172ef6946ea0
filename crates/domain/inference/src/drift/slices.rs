//! Performance by slice of the people a model was used on, with intervals, and with nothing shown where too
//! few people are in it.

use crate::calibrate;
use crate::conformal::Interval;
use crate::special::normal_point;

/// One answer whose truth is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// The calibrated probability of the event.
    pub predicted: f64,
    /// Whether the model called it.
    pub called: bool,
    /// Whether it happened.
    pub happened: bool,
}

/// What may be shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlicePolicy {
    /// Fewest people under a share that is shown.
    pub least: usize,
    /// Share of intervals allowed to miss: 0.05 for 95 %.
    pub level: f64,
}

impl Default for SlicePolicy {
    fn default() -> Self {
        Self {
            least: 10,
            level: 0.05,
        }
    }
}

/// A number with its interval, or the reason for none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Estimate {
    /// Fewer cases than the policy shows; how many is not said either.
    TooFew,
    /// Estimated.
    Known {
        /// The value.
        value: f64,
        /// Its interval, where the measure has one.
        interval: Option<Interval>,
        /// Cases it stands on.
        cases: usize,
    },
}

/// The performance in a slice.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Answers whose truth is known.
    pub known: Estimate,
    /// Called among those to whom it happened.
    pub sensitivity: Estimate,
    /// Not called among those to whom it did not.
    pub specificity: Estimate,
    /// Happened among those called.
    pub positive_value: Estimate,
    /// Did not happen among those not called.
    pub negative_value: Estimate,
    /// Slope of calibration (1 is right).
    pub slope: Estimate,
}

/// Wilson's interval of a share (Wilson, JASA 22, 1927; without continuity correction); nothing of no
/// cases.
#[must_use]
pub fn wilson(hits: usize, cases: usize, level: f64) -> Option<Interval> {
    if cases == 0 || hits > cases {
        return None;
    }
    let n = cases as f64;
    let share = hits as f64 / n;
    let z = normal_point(level / 2.0);
    let square = z * z / n;
    let center = (share + square / 2.0) / (1.0 + square);
    let half = z / (1.0 + square) * (share * (1.0 - share) / n + square / (4.0 * n)).sqrt();
    // The ends are 0 and 1 exactly where every case is alike.
    let low = if hits == 0 { 0.0 } else { center - half };
    let high = if hits == cases { 1.0 } else { center + half };
    Some(Interval { low, high })
}

fn share(
    cases: &[Case],
    of: impl Fn(&Case) -> bool,
    hit: impl Fn(&Case) -> bool,
    policy: SlicePolicy,
) -> Estimate {
    let within = cases.iter().filter(|case| of(case)).count();
    let hits = cases.iter().filter(|case| of(case) && hit(case)).count();
    estimate(hits, within, policy)
}

fn estimate(hits: usize, cases: usize, policy: SlicePolicy) -> Estimate {
    if cases < policy.least.max(1) {
        return Estimate::TooFew;
    }
    Estimate::Known {
        value: hits as f64 / cases as f64,
        interval: wilson(hits, cases, policy.level),
        cases,
    }
}

/// The performance of the cases of a slice, of which `answers` were given in all.
#[must_use]
pub fn slice(cases: &[Case], answers: usize, policy: SlicePolicy) -> Slice {
    let happened = cases.iter().filter(|case| case.happened).count();
    let few = happened.min(cases.len() - happened) < policy.least.max(1);
    let predicted: Vec<f64> = cases.iter().map(|case| case.predicted).collect();
    let outcomes: Vec<bool> = cases.iter().map(|case| case.happened).collect();
    let slope = match calibrate::slope(&predicted, &outcomes) {
        Ok(value) if !few => Estimate::Known {
            value,
            interval: None,
            cases: cases.len(),
        },
        _ => Estimate::TooFew,
    };
    Slice {
        known: estimate(cases.len().min(answers), answers, policy),
        sensitivity: share(cases, |c| c.happened, |c| c.called, policy),
        specificity: share(cases, |c| !c.happened, |c| !c.called, policy),
        positive_value: share(cases, |c| c.called, |c| c.happened, policy),
        negative_value: share(cases, |c| !c.called, |c| !c.happened, policy),
        slope,
    }
}
