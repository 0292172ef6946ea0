//! Conformal prediction: sets of labels and intervals that hold the truth with a stated probability,
//! whatever the model (Vovk, Gammerman and Shafer 2005; Angelopoulos and Bates, arXiv 2107.07511). Scores
//! come from cases the model was not trained on; exchangeability is the one assumption. Must not turn an
//! empty set into an error or a full one: that no label fits is an answer.

use std::collections::BTreeMap;

use kernel::{Categorised, Category};

/// Why scores or a level were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConformalError {
    /// No scores.
    #[error("conformal scores of {group} are empty; calibrate on at least one case")]
    Empty {
        /// Whose scores.
        group: String,
    },
    /// A score is NaN or infinite.
    #[error("conformal score {place} of {group} is not finite; leave the case out")]
    NotFinite {
        /// Whose scores.
        group: String,
        /// The first such place.
        place: usize,
    },
    /// The level is not between 0 and 1.
    #[error("conformal level {0} is not between 0 and 1; 0.1 asks for 90 % coverage")]
    Level(f64),
    /// A constant of the method is out of its range.
    #[error("conformal {what} is {value}; give a finite number that is not negative")]
    Constant {
        /// The constant.
        what: &'static str,
        /// Its value.
        value: f64,
    },
}

impl Categorised for ConformalError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// The share of answers allowed to miss the truth: between 0 and 1, both excluded.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Level(f64);

impl Level {
    /// A level.
    ///
    /// # Errors
    /// [`ConformalError::Level`].
    pub fn new(alpha: f64) -> Result<Self, ConformalError> {
        if alpha > 0.0 && alpha < 1.0 {
            Ok(Self(alpha))
        } else {
            Err(ConformalError::Level(alpha))
        }
    }

    /// The number.
    #[must_use]
    pub const fn alpha(self) -> f64 {
        self.0
    }
}

/// Where sets end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// Scores up to this one are in.
    At(f64),
    /// Too few calibration cases for the level: everything is in.
    Unbounded,
    /// Nothing is in (only online adjustment asks for this).
    Nothing,
}

impl Threshold {
    /// Whether a score is in.
    #[must_use]
    pub fn admits(self, score: f64) -> bool {
        match self {
            Self::At(limit) => score <= limit,
            Self::Unbounded => true,
            Self::Nothing => false,
        }
    }
}

/// Nonconformity scores of calibration cases, in rising order.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(Vec<f64>);

impl Scores {
    /// Sorts the scores; `group` names them in errors.
    ///
    /// # Errors
    /// [`ConformalError::Empty`] or [`ConformalError::NotFinite`].
    pub fn new(mut scores: Vec<f64>, group: &str) -> Result<Self, ConformalError> {
        let group = || group.to_owned();
        if scores.is_empty() {
            return Err(ConformalError::Empty { group: group() });
        }
        if let Some(place) = scores.iter().position(|score| !score.is_finite()) {
            return Err(ConformalError::NotFinite {
                group: group(),
                place,
            });
        }
        scores.sort_by(f64::total_cmp);
        Ok(Self(scores))
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The scores, rising.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.0
    }

    /// The ceil((n + 1)(1 - alpha))-th smallest score (Angelopoulos and Bates, section 1): computed as
    /// n + 1 - floor((n + 1) alpha), which rounding of 1 - alpha does not disturb.
    #[must_use]
    pub fn threshold(&self, level: Level) -> Threshold {
        self.threshold_at(level.0)
    }

    /// The threshold at a level that online adjustment may have pushed to 0 or below, or to 1 or above.
    #[must_use]
    pub fn threshold_at(&self, alpha: f64) -> Threshold {
        if alpha <= 0.0 {
            return Threshold::Unbounded;
        }
        if alpha >= 1.0 {
            return Threshold::Nothing;
        }
        let spare = spare(self.0.len(), alpha);
        let rank = self.0.len() + 1 - spare;
        match rank.checked_sub(1).and_then(|place| self.0.get(place)) {
            Some(score) => Threshold::At(*score),
            None => Threshold::Unbounded,
        }
    }

    /// The conformal p-value of a score: (1 + how many are at least as large) / (n + 1).
    #[must_use]
    pub fn p_value(&self, score: f64) -> f64 {
        let below = self.0.partition_point(|known| *known < score);
        let at_least = self.0.len() - below;
        (1 + at_least) as f64 / (self.0.len() + 1) as f64
    }
}

/// floor((n + 1) alpha), the number of scores allowed above the threshold. Over draws of the calibration
/// cases, coverage follows Beta(n + 1 - l, l) with this l.
#[must_use]
pub fn spare(count: usize, alpha: f64) -> usize {
    ((count + 1) as f64 * alpha + 1e-9).floor() as usize
}

/// Fewest cases with which a group can have its own threshold: ceil(1 / alpha) - 1.
#[must_use]
pub fn least_cases(level: Level) -> usize {
    ((1.0 / level.0 - 1e-9).ceil() as usize)
        .saturating_sub(1)
        .max(1)
}

/// How a label's score comes from the probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SetMethod {
    /// 1 - p of the label (Sadinle, Lei and Wasserman 2019).
    Lac,
    /// Probability of the labels ranked before it, and a uniform share of its own (Romano, Sesia and Candes
    /// 2020).
    Aps,
    /// As `Aps`, plus `lambda` for each rank beyond `from` (Angelopoulos et al. 2021).
    Raps {
        /// What each rank costs.
        lambda: f64,
        /// Ranks that cost nothing.
        from: f64,
    },
}

impl SetMethod {
    /// RAPS with its two constants.
    ///
    /// # Errors
    /// [`ConformalError::Constant`] where one is negative or not finite.
    pub fn raps(lambda: f64, from: f64) -> Result<Self, ConformalError> {
        for (what, value) in [("lambda", lambda), ("k_reg", from)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(ConformalError::Constant { what, value });
            }
        }
        Ok(Self::Raps { lambda, from })
    }

    /// The score of one label. `uniform` in [0, 1] decides APS ties: the caller draws it from a seed that
    /// belongs to the case, or gives 1 for sets without chance, which cover at least as often. Nothing for a
    /// label that does not exist.
    #[must_use]
    pub fn score(self, probabilities: &[f64], label: usize, uniform: f64) -> Option<f64> {
        let own = *probabilities.get(label)?;
        let (lambda, from) = match self {
            Self::Lac => return Some(1.0 - own),
            Self::Aps => (0.0, 0.0),
            Self::Raps { lambda, from } => (lambda, from),
        };
        let mut before = 0.0;
        let mut rank = 1.0_f64;
        for (place, p) in probabilities.iter().enumerate() {
            // Equal probabilities rank by their place, so that ranks are a permutation.
            if *p > own || (place < label && p.total_cmp(&own).is_eq()) {
                before += p;
                rank += 1.0;
            }
        }
        Some(before + uniform * own + lambda * (rank - from).max(0.0))
    }
}

/// Labels that fit, by their places, in the order of the model's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSet {
    labels: Vec<usize>,
    of: usize,
}

impl LabelSet {
    /// Every label whose score the threshold admits.
    #[must_use]
    pub fn predict(
        method: SetMethod,
        threshold: Threshold,
        probabilities: &[f64],
        uniform: f64,
    ) -> Self {
        let labels = (0..probabilities.len())
            .filter(|label| {
                method
                    .score(probabilities, *label, uniform)
                    .is_some_and(|score| threshold.admits(score))
            })
            .collect();
        Self {
            labels,
            of: probabilities.len(),
        }
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// What the set says.
    #[must_use]
    pub fn reading(&self) -> SetReading {
        match self.labels.as_slice() {
            [] => SetReading::NoLabelFits,
            [label] => SetReading::One(*label),
            all if all.len() == self.of => SetReading::CannotTell,
            _ => SetReading::Several,
        }
    }
}

/// What a set of labels says to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetReading {
    /// No label fits: the case is unlike the calibration cases of every label.
    NoLabelFits,
    /// One label fits.
    One(usize),
    /// Some are ruled out, more than one remains.
    Several,
    /// Nothing is ruled out.
    CannotTell,
}

/// A closed interval; its ends may be infinite where there were too few calibration cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Around a prediction, with scores |y - f(x)| (split conformal; Lei et al. 2018). Nothing where the
    /// threshold admits nothing.
    #[must_use]
    pub fn split(prediction: f64, threshold: Threshold) -> Option<Self> {
        Self::quantiles(prediction, prediction, threshold)
    }

    /// Around two predicted quantiles, with scores max(low - y, y - high) (conformalised quantile
    /// regression; Romano, Patterson and Candes 2019). Nothing where no value fits.
    #[must_use]
    pub fn quantiles(low: f64, high: f64, threshold: Threshold) -> Option<Self> {
        let (low, high) = match threshold {
            Threshold::At(by) => (low - by, high + by),
            Threshold::Unbounded => (f64::NEG_INFINITY, f64::INFINITY),
            Threshold::Nothing => return None,
        };
        (low <= high).then_some(Self { low, high })
    }

    /// Whether a value is inside.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The score of an outcome against two predicted quantiles.
#[must_use]
pub const fn quantile_score(low: f64, high: f64, outcome: f64) -> f64 {
    (low - outcome).max(outcome - high)
}

/// Whose calibration cases a threshold stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// The case's own group, of so many.
    Group {
        /// The group.
        group: String,
        /// Its calibration cases.
        cases: usize,
    },
    /// Everybody: the group has too few cases for a statement of its own, or is not known.
    Pooled {
        /// The group asked for, where one was.
        group: Option<String>,
        /// Calibration cases of that group.
        cases: usize,
    },
}

/// Scores of everybody and of groups: coverage holds within each group that has enough cases (Mondrian
/// conformal prediction; Vovk et al. 2005, section 4.5).
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    pooled: Scores,
    groups: BTreeMap<String, Scores>,
}

impl Groups {
    /// Scores of everybody, and those of groups.
    #[must_use]
    pub const fn new(pooled: Scores, groups: BTreeMap<String, Scores>) -> Self {
        Self { pooled, groups }
    }

    /// Scores of everybody.
    #[must_use]
    pub const fn pooled(&self) -> &Scores {
        &self.pooled
    }

    /// The groups by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Scores)> {
        self.groups
            .iter()
            .map(|(name, scores)| (name.as_str(), scores))
    }

    /// The scores a case of the group is judged by, and whose they are.
    #[must_use]
    pub fn of(&self, group: Option<&str>, level: Level) -> (&Scores, Basis) {
        let own = group.and_then(|name| self.groups.get_key_value(name));
        match own {
            Some((name, scores)) if scores.count() >= least_cases(level) => (
                scores,
                Basis::Group {
                    group: name.clone(),
                    cases: scores.count(),
                },
            ),
            own => (
                &self.pooled,
                Basis::Pooled {
                    group: group.map(str::to_owned),
                    cases: own.map_or(0, |(_, scores)| scores.count()),
                },
            ),
        }
    }
}

/// Adaptive conformal inference: the level in use moves with every late truth, so that the long-run share
/// of misses approaches the target even when the world drifts (Gibbs and Candes, NeurIPS 2021, equation 2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adaptive {
    target: Level,
    gamma: f64,
    alpha: f64,
}

impl Adaptive {
    /// Starts at the target with a step size between 0 and 1.
    ///
    /// # Errors
    /// [`ConformalError::Constant`] for another step size.
    pub fn new(target: Level, gamma: f64) -> Result<Self, ConformalError> {
        Self::resumed(target, gamma, target.0)
    }

    /// Goes on where an earlier one stood.
    ///
    /// # Errors
    /// [`ConformalError::Constant`] for a step size outside (0, 1) or a level that is not finite.
    pub fn resumed(target: Level, gamma: f64, alpha: f64) -> Result<Self, ConformalError> {
        if !(gamma > 0.0 && gamma < 1.0) {
            return Err(ConformalError::Constant {
                what: "step size (below 1)",
                value: gamma,
            });
        }
        if !alpha.is_finite() {
            return Err(ConformalError::Constant {
                what: "level in use",
                value: alpha,
            });
        }
        Ok(Self {
            target,
            gamma,
            alpha,
        })
    }

    /// The level in use; may leave [0, 1].
    #[must_use]
    pub const fn alpha(self) -> f64 {
        self.alpha
    }

    /// After one truth is known: alpha + gamma (target - missed).
    #[must_use]
    pub fn after(self, covered: bool) -> Self {
        let missed = if covered { 0.0 } else { 1.0 };
        Self {
            alpha: self.alpha + self.gamma * (self.target.0 - missed),
            ..self
        }
    }

    /// The threshold among the scores at the level in use.
    #[must_use]
    pub fn threshold(self, scores: &Scores) -> Threshold {
        scores.threshold_at(self.alpha)
    }
}

#[cfg(test)]
#[path = "conformal_tests.rs"]
mod tests;
