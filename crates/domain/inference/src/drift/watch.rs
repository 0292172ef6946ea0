//! Watches over truth that arrives late, one case at a time: cumulative sums of log likelihood ratios (Page
//! 1954), of misses of prediction sets and of outcomes against their predicted probability (Steiner et al.,
//! Biostatistics 1, 2000). A watch that restarts at 0 and alarms at ln(L) runs at least L cases between false
//! alarms on average, whatever the model (Lorden, Annals of Mathematical Statistics 42, 1971, theorem 2).

use kernel::{Categorised, Category};

/// Why a watch could not be made.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum WatchError {
    /// Shares that must rise do not.
    #[error("watch goes from {from} to {to}; give shares between 0 and 1, the second larger")]
    Shares {
        /// The share in control.
        from: f64,
        /// The share to notice.
        to: f64,
    },
    /// An odds ratio of 1, or none.
    #[error("watch for odds {0} times as high notices nothing; give a positive ratio other than 1")]
    Ratio(f64),
    /// Too few cases between false alarms.
    #[error("watch with a false alarm every {0} cases; give at least 10")]
    Between(f64),
}

impl Categorised for WatchError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// What a watch looks for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    /// More misses than allowed.
    Misses { from: f64, to: f64 },
    /// Odds of the event that are this many times what was predicted.
    Odds(f64),
}

/// A cumulative sum and its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watch {
    target: Target,
    limit: f64,
    sum: f64,
}

impl Watch {
    /// Watches the share of prediction sets that miss the truth: allowed `from`, to be noticed at `to`, with
    /// at least `between` cases between false alarms on average.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn misses(from: f64, to: f64, between: f64) -> Result<Self, WatchError> {
        if !(from > 0.0 && from < to && to < 1.0) {
            return Err(WatchError::Shares { from, to });
        }
        Self::new(Target::Misses { from, to }, between)
    }

    /// Watches outcomes against predicted probabilities: notices odds `ratio` times as high as predicted
    /// (above 1: risk is underestimated; below 1: overestimated).
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn odds(ratio: f64, between: f64) -> Result<Self, WatchError> {
        if !(ratio.is_finite() && ratio > 0.0) || (ratio - 1.0).abs() < 1e-9 {
            return Err(WatchError::Ratio(ratio));
        }
        Self::new(Target::Odds(ratio), between)
    }

    fn new(target: Target, between: f64) -> Result<Self, WatchError> {
        if !(between.is_finite() && between >= 10.0) {
            return Err(WatchError::Between(between));
        }
        Ok(Self {
            target,
            limit: between.ln(),
            sum: 0.0,
        })
    }

    /// The same watch at a sum it reached earlier.
    #[must_use]
    pub fn at(self, sum: f64) -> Self {
        Self {
            sum: if sum.is_finite() { sum.max(0.0) } else { 0.0 },
            ..self
        }
    }

    /// The sum.
    #[must_use]
    pub const fn sum(self) -> f64 {
        self.sum
    }

    /// The sum at which it alarms.
    #[must_use]
    pub const fn limit(self) -> f64 {
        self.limit
    }

    /// Whether it alarms.
    #[must_use]
    pub fn alarms(self) -> bool {
        self.sum >= self.limit
    }

    /// After a case: whether the event (or the miss) happened, and the probability that was predicted for
    /// it (not looked at where misses are watched).
    #[must_use]
    pub fn after(self, happened: bool, predicted: f64) -> Self {
        let step = match self.target {
            Target::Misses { from, to } => {
                if happened {
                    (to / from).ln()
                } else {
                    ((1.0 - to) / (1.0 - from)).ln()
                }
            }
            Target::Odds(ratio) => {
                let p = predicted.clamp(1e-9, 1.0 - 1e-9);
                let share = (1.0 - p + ratio * p).ln();
                if happened { ratio.ln() - share } else { -share }
            }
        };
        Self {
            sum: (self.sum + step).max(0.0),
            ..self
        }
    }
}
