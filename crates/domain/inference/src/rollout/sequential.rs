//! A/B tests that may be looked at after every answer. Both ways give a sequence of intervals for the
//! difference of two shares that holds the true difference at all times together with the stated chance.
//! `Mixture` is the mixture sequential probability ratio test (Johari, Koomen, Pekelis and Walsh, Operations
//! Research 70, 2022, section 5.2) with estimated variances: short, right for large numbers. `Bounded` is the
//! normal mixture bound for bounded observations (Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics
//! 49, 2021, equation 14), one for each arm: longer, right at every size.

use kernel::{Categorised, Category};
use serde::{Deserialize, Serialize};

use crate::conformal::Interval;

/// Fewest answers in each arm before the mixture test speaks.
const LEAST: u64 = 100;

/// Which intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Mixture sequential probability ratio test.
    Mixture,
    /// Bound for bounded observations.
    Bounded,
}

/// How a test decides, fixed before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredDesign", into = "StoredDesign")]
pub struct Design {
    way: Way,
    alpha: f64,
    effect: f64,
    margin: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDesign {
    way: Way,
    alpha: f64,
    effect: f64,
    margin: f64,
}

impl From<Design> for StoredDesign {
    fn from(design: Design) -> Self {
        Self {
            way: design.way,
            alpha: design.alpha,
            effect: design.effect,
            margin: design.margin,
        }
    }
}

impl TryFrom<StoredDesign> for Design {
    type Error = DesignError;
    fn try_from(stored: StoredDesign) -> Result<Self, DesignError> {
        Self::new(stored.way, stored.alpha, stored.effect, stored.margin)
    }
}

impl core::fmt::Display for Design {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let way = match self.way {
            Way::Mixture => "mixture",
            Way::Bounded => "bounded",
        };
        let Self {
            alpha,
            effect,
            margin,
            ..
        } = self;
        write!(f, "{way} at {alpha} for {effect} with margin {margin}")
    }
}

/// Why a design was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{what} of a test is {value}; give a number above 0 and below {below}")]
pub struct DesignError {
    what: &'static str,
    value: f64,
    below: f64,
}

impl Categorised for DesignError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl Design {
    /// A design: the chance of a wrong decision, the difference it is tuned to notice, and how much worse
    /// still counts as not worse.
    ///
    /// # Errors
    /// [`DesignError`].
    pub fn new(way: Way, alpha: f64, effect: f64, margin: f64) -> Result<Self, DesignError> {
        for (what, value, below) in [
            ("error rate", alpha, 0.5),
            ("effect", effect, 1.0),
            ("margin", margin, 1.0),
        ] {
            if !(value > 0.0 && value < below) {
                return Err(DesignError { what, value, below });
            }
        }
        Ok(Self {
            way,
            alpha,
            effect,
            margin,
        })
    }

    /// The interval of challenger minus champion at these counts; everything where nothing can be said yet.
    #[must_use]
    pub fn interval(&self, champion: Counts, challenger: Counts) -> Interval {
        let all = Interval {
            low: -1.0,
            high: 1.0,
        };
        let (Some(old), Some(new)) = (champion.share(), challenger.share()) else {
            return all;
        };
        let half = match self.way {
            Way::Mixture => self.mixture(champion, challenger),
            Way::Bounded => Some(self.bounded(champion.cases) + self.bounded(challenger.cases)),
        };
        half.map_or(all, |half| Interval {
            low: (new - old - half).max(-1.0),
            high: (new - old + half).min(1.0),
        })
    }

    /// Half the width of Johari et al.: sqrt(2 V (V + t) / t * ln(sqrt((V + t) / V) / alpha)), with the
    /// mixing variance t set to the square of the effect. Shares are taken half a hit from 0 and 1, so that
    /// a run of equal answers has a variance.
    fn mixture(&self, champion: Counts, challenger: Counts) -> Option<f64> {
        if champion.cases < LEAST || challenger.cases < LEAST {
            return None;
        }
        let variance = |counts: Counts| {
            let p = (counts.hits as f64 + 0.5) / (counts.cases as f64 + 1.0);
            p * (1.0 - p) / counts.cases as f64
        };
        let spread = variance(champion) + variance(challenger);
        let mixing = self.effect * self.effect;
        let ratio = ((spread + mixing) / spread).sqrt() / self.alpha;
        Some((2.0 * spread * (spread + mixing) / mixing * ratio.ln()).sqrt())
    }

    /// sqrt((v + r) ln((v + r) / (r a^2))) / n for one arm with v = n / 4 (observations in 0..1 are
    /// sub-Gaussian with variance 1/4) and a = alpha / 2; r is tuned to the size at which the effect is
    /// about as large as the half width.
    fn bounded(&self, cases: u64) -> f64 {
        let alpha = self.alpha / 2.0;
        let n = cases as f64;
        let due = 2.0 * (2.0 / alpha).ln() / (self.effect * self.effect);
        // Howard et al., section 3.5: r = v / (-W_{-1}(-a^2 / e) - 1), with -W close to 1 - 2 ln a here.
        let log = -2.0 * alpha.ln();
        let tuned = (due / 4.0) / (log + (1.0 + log).ln());
        let v = n / 4.0;
        ((v + tuned) * ((v + tuned) / (tuned * alpha * alpha)).ln()).sqrt() / n
    }
}

/// Hits among the answers of an arm whose metric is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Answers for which the metric holds.
    pub hits: u64,
    /// Answers.
    pub cases: u64,
}

impl Counts {
    /// The share; nothing of no answers, or of more hits than answers.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.cases > 0 && self.hits <= self.cases).then(|| self.hits as f64 / self.cases as f64)
    }
}

/// What a test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Not yet.
    Undecided,
    /// The challenger is better.
    Better,
    /// The challenger is worse by less than the margin, if at all.
    NotWorse,
    /// The challenger is worse.
    Worse,
    /// The intervals contradict each other: the answers are not those of a steady pair of shares.
    Unsteady,
}

/// A test under way: the intersection of its intervals so far, which holds as they do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sequence {
    design: Design,
    low: f64,
    high: f64,
}

impl Sequence {
    /// Before the first answer.
    #[must_use]
    pub const fn new(design: Design) -> Self {
        Self {
            design,
            low: -1.0,
            high: 1.0,
        }
    }

    /// Goes on from an interval reached earlier.
    #[must_use]
    pub const fn resumed(design: Design, interval: Interval) -> Self {
        Self {
            design,
            low: interval.low,
            high: interval.high,
        }
    }

    /// After another look.
    #[must_use]
    pub fn after(self, champion: Counts, challenger: Counts) -> Self {
        let now = self.design.interval(champion, challenger);
        Self {
            low: self.low.max(now.low),
            high: self.high.min(now.high),
            ..self
        }
    }

    /// The interval of challenger minus champion.
    #[must_use]
    pub const fn interval(self) -> Interval {
        Interval {
            low: self.low,
            high: self.high,
        }
    }

    /// What it says.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        if self.low > self.high {
            Verdict::Unsteady
        } else if self.low > 0.0 {
            Verdict::Better
        } else if self.high < 0.0 {
            Verdict::Worse
        } else if self.low > -self.design.margin {
            Verdict::NotWorse
        } else {
            Verdict::Undecided
        }
    }
}
