//! Calibration of probabilities: temperature (Guo et al., ICML 2017, section 4.2), Platt (1999, with the
//! fitting of Lin, Lin and Weng, Machine Learning 68, 2007) and isotonic (pool adjacent violators; Zadrozny
//! and Elkan, KDD 2002), applied and fitted, and the measures that say whether it helped. Must not choose a
//! method: the package declares one.

use kernel::{Categorised, Category};

use crate::matrix::Matrix;
use crate::special::{logit, mean, sigmoid, softmax};

/// Why a calibration could not be made or fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// A parameter is out of its range.
    #[error("{what} of a calibration is {value}; {remedy}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        remedy: &'static str,
    },
    /// Lists that must be equally long are not, or are empty.
    #[error("{what} of a calibration do not fit together: {left} and {right}; give one for each")]
    Lengths {
        /// The lists.
        what: &'static str,
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// Steps that must rise do not.
    #[error("isotonic steps fall at place {place}; list them in rising order")]
    Falling {
        /// The first place that falls.
        place: usize,
    },
    /// Every outcome is the same, so there is nothing to fit.
    #[error("all {count} outcomes are the same; calibrate on cases of both kinds")]
    OneClass {
        /// How many.
        count: usize,
    },
}

impl Categorised for CalibrationError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// What is done to a model's scores before they are called probabilities.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Calibration {
    /// Nothing: the model's own probabilities.
    #[default]
    Identity,
    /// softmax(z / T) over the classes.
    Temperature(Temperature),
    /// sigmoid(a z + b) of the logit z of a binary probability.
    Platt(Platt),
    /// A rising step function of a binary probability, joined by straight lines.
    Isotonic(Isotonic),
}

impl Calibration {
    /// Class probabilities from class probabilities. For two classes Platt and isotonic calibrate the second
    /// one (the event) and give the first the rest; for more they calibrate each class against the others and
    /// divide by the sum (Zadrozny and Elkan 2002, section 4). A row that sums to nothing stays even.
    #[must_use]
    pub fn apply(&self, probabilities: &[f64]) -> Vec<f64> {
        let each = |of: &dyn Fn(f64) -> f64| -> Vec<f64> {
            if let [_, event] = probabilities {
                let event = of(*event);
                return vec![1.0 - event, event];
            }
            let values: Vec<f64> = probabilities.iter().map(|p| of(*p)).collect();
            if let [_] = probabilities {
                return values;
            }
            let total: f64 = values.iter().sum();
            if total > 0.0 {
                values.iter().map(|v| v / total).collect()
            } else {
                vec![1.0 / values.len().max(1) as f64; values.len()]
            }
        };
        match self {
            Self::Identity => probabilities.to_vec(),
            Self::Temperature(temperature) => match probabilities {
                [event] => vec![sigmoid(logit(*event) / temperature.0)],
                _ => temperature.of_probabilities(probabilities),
            },
            Self::Platt(platt) => each(&|p| platt.of_score(logit(p))),
            Self::Isotonic(isotonic) => each(&|p| isotonic.at(p)),
        }
    }

    /// The word packages and records use.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Identity => "none",
            Self::Temperature(_) => "temperature",
            Self::Platt(_) => "platt",
            Self::Isotonic(_) => "isotonic",
        }
    }
}

/// A temperature: positive and finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature(f64);

impl Temperature {
    /// A temperature.
    ///
    /// # Errors
    /// [`CalibrationError::Parameter`] unless it is positive and finite.
    pub const fn new(value: f64) -> Result<Self, CalibrationError> {
        if value.is_finite() && value > 0.0 {
            return Ok(Self(value));
        }
        Err(CalibrationError::Parameter {
            what: "temperature",
            value,
            remedy: "give a positive number",
        })
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }

    /// Probabilities of logits.
    #[must_use]
    pub fn of_logits(self, logits: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = logits.iter().map(|z| z / self.0).collect();
        softmax(&scaled)
    }

    /// Probabilities of uncalibrated probabilities, whose logarithms serve as logits.
    #[must_use]
    pub fn of_probabilities(self, probabilities: &[f64]) -> Vec<f64> {
        let logits: Vec<f64> = probabilities.iter().map(|p| p.max(1e-300).ln()).collect();
        self.of_logits(&logits)
    }

    /// The temperature of least log loss. In 1/T the loss is convex, so the sign of its slope is bisected
    /// between temperatures of 0.01 and 100.
    ///
    /// # Errors
    /// [`CalibrationError::Lengths`] unless there is one label for each row and it names a column.
    pub fn fit(logits: &Matrix, labels: &[usize]) -> Result<Self, CalibrationError> {
        if labels.is_empty() || labels.len() != logits.rows() {
            return Err(CalibrationError::Lengths {
                what: "rows and labels",
                left: logits.rows(),
                right: labels.len(),
            });
        }
        if let Some(label) = labels.iter().find(|label| **label >= logits.columns()) {
            return Err(CalibrationError::Lengths {
                what: "classes and labels",
                left: logits.columns(),
                right: *label,
            });
        }
        let slope = |beta: f64| -> f64 {
            let mut sum = 0.0;
            for (row, label) in logits.iter().zip(labels) {
                let scaled: Vec<f64> = row.iter().map(|z| z * beta).collect();
                let expected: f64 = softmax(&scaled).iter().zip(row).map(|(p, z)| p * z).sum();
                sum += expected - row.get(*label).copied().unwrap_or_default();
            }
            sum
        };
        let beta = crate::special::bisect(0.01, 100.0, |beta| slope(beta) < 0.0);
        Self::new(1.0 / beta)
    }
}

/// sigmoid(a z + b).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Platt {
    a: f64,
    b: f64,
}

impl Platt {
    /// Slope and offset.
    ///
    /// # Errors
    /// [`CalibrationError::Parameter`] where one is not finite.
    pub const fn new(a: f64, b: f64) -> Result<Self, CalibrationError> {
        let remedy = "give a finite number";
        if !a.is_finite() {
            let what = "slope";
            return Err(CalibrationError::Parameter {
                what,
                value: a,
                remedy,
            });
        }
        if !b.is_finite() {
            let what = "offset";
            return Err(CalibrationError::Parameter {
                what,
                value: b,
                remedy,
            });
        }
        Ok(Self { a, b })
    }

    /// The slope.
    #[must_use]
    pub const fn a(self) -> f64 {
        self.a
    }

    /// The offset.
    #[must_use]
    pub const fn b(self) -> f64 {
        self.b
    }

    /// The probability of a score.
    #[must_use]
    pub fn of_score(self, z: f64) -> f64 {
        sigmoid(self.a * z + self.b)
    }

    /// Fits by Newton's method with backtracking, on Platt's smoothed targets (Lin, Lin and Weng 2007,
    /// algorithm 1).
    ///
    /// # Errors
    /// [`CalibrationError::Lengths`], or [`CalibrationError::OneClass`].
    pub fn fit(scores: &[f64], outcomes: &[bool]) -> Result<Self, CalibrationError> {
        both_kinds(scores.len(), outcomes)?;
        let positives = outcomes.iter().filter(|o| **o).count() as f64;
        let negatives = outcomes.len() as f64 - positives;
        let high = (positives + 1.0) / (positives + 2.0);
        let low = 1.0 / (negatives + 2.0);
        let targets: Vec<f64> = outcomes
            .iter()
            .map(|outcome| if *outcome { high } else { low })
            .collect();
        let start = ((positives + 1.0) / (negatives + 1.0)).ln();
        let (a, b) = logistic_fit(scores, &targets, (0.0, start), 1e-12);
        Self::new(a, b)
    }
}

/// Slope and offset of least cross entropy between sigmoid(a z + b) and targets in [0, 1].
pub(crate) fn logistic_fit(
    scores: &[f64],
    targets: &[f64],
    start: (f64, f64),
    ridge: f64,
) -> (f64, f64) {
    let loss = |a: f64, b: f64| -> f64 {
        scores
            .iter()
            .zip(targets)
            .map(|(z, t)| {
                let f = a * z + b;
                // ln(1 + e^f) - t f, without overflow.
                f.max(0.0) + (-f.abs()).exp().ln_1p() - t * f
            })
            .sum()
    };
    let (mut a, mut b) = start;
    let mut now = loss(a, b);
    for _ in 0..200 {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, ridge, 0.0, ridge);
        for (z, t) in scores.iter().zip(targets) {
            let p = sigmoid(a * z + b);
            let (difference, weight) = (p - t, p * (1.0 - p));
            ga += difference * z;
            gb += difference;
            haa += weight * z * z;
            hab += weight * z;
            hbb += weight;
        }
        if ga.abs() < 1e-9 && gb.abs() < 1e-9 {
            break;
        }
        let determinant = haa * hbb - hab * hab;
        let da = -(hbb * ga - hab * gb) / determinant;
        let db = -(haa * gb - hab * ga) / determinant;
        let slope = ga * da + gb * db;
        let mut step = 1.0;
        let moved = loop {
            let next = loss(a + step * da, b + step * db);
            if next < now + 1e-4 * step * slope {
                break Some(next);
            }
            step /= 2.0;
            if step < 1e-10 {
                break None;
            }
        };
        let Some(next) = moved else { break };
        a += step * da;
        b += step * db;
        now = next;
    }
    (a, b)
}

fn both_kinds(count: usize, outcomes: &[bool]) -> Result<(), CalibrationError> {
    if count != outcomes.len() || outcomes.is_empty() {
        return Err(CalibrationError::Lengths {
            what: "scores and outcomes",
            left: count,
            right: outcomes.len(),
        });
    }
    if outcomes.iter().all(|o| *o) || outcomes.iter().all(|o| !*o) {
        return Err(CalibrationError::OneClass {
            count: outcomes.len(),
        });
    }
    Ok(())
}

/// A rising function through points, straight between them and flat beyond.
#[derive(Debug, Clone, PartialEq)]
pub struct Isotonic {
    points: Vec<(f64, f64)>,
}

impl Isotonic {
    /// A function through the points.
    ///
    /// # Errors
    /// [`CalibrationError`] where there is none, one is not finite or not a probability, or they fall.
    pub fn new(x: &[f64], y: &[f64]) -> Result<Self, CalibrationError> {
        if x.is_empty() || x.len() != y.len() {
            return Err(CalibrationError::Lengths {
                what: "isotonic x and y",
                left: x.len(),
                right: y.len(),
            });
        }
        let remedy = "give finite x, and y from 0 to 1";
        if let Some(value) = x.iter().find(|v| !v.is_finite()) {
            let (what, value) = ("isotonic x", *value);
            return Err(CalibrationError::Parameter {
                what,
                value,
                remedy,
            });
        }
        if let Some(value) = y.iter().find(|v| !(0.0..=1.0).contains(*v)) {
            let (what, value) = ("isotonic y", *value);
            return Err(CalibrationError::Parameter {
                what,
                value,
                remedy,
            });
        }
        let points: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
        let falls = points
            .windows(2)
            .position(|pair| matches!(pair, [(x0, y0), (x1, y1)] if x1 <= x0 || y1 < y0));
        match falls {
            Some(place) => Err(CalibrationError::Falling { place: place + 1 }),
            None => Ok(Self { points }),
        }
    }

    /// The points.
    #[must_use]
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The value at a score.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        let after = self.points.partition_point(|(at, _)| *at < x);
        let before = after.checked_sub(1).and_then(|i| self.points.get(i));
        match (before, self.points.get(after)) {
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
            (None, Some((_, y))) | (Some((_, y)), None) => *y,
            (None, None) => x,
        }
    }

    /// Fits by pooling adjacent violators; equal scores count as one point of their mean outcome. Only the
    /// ends of flat stretches are kept.
    ///
    /// # Errors
    /// [`CalibrationError::Lengths`] or [`CalibrationError::OneClass`].
    pub fn fit(scores: &[f64], outcomes: &[bool]) -> Result<Self, CalibrationError> {
        both_kinds(scores.len(), outcomes)?;
        let mut cases: Vec<(f64, f64)> = scores
            .iter()
            .zip(outcomes)
            .map(|(score, outcome)| (*score, f64::from(u8::from(*outcome))))
            .collect();
        cases.sort_by(|left, right| left.0.total_cmp(&right.0));
        // A block: first and last score, sum of outcomes, weight.
        let mut blocks: Vec<(f64, f64, f64, f64)> = Vec::new();
        for (score, outcome) in cases {
            match blocks.last_mut() {
                Some(last) if last.1.total_cmp(&score).is_eq() => {
                    last.2 += outcome;
                    last.3 += 1.0;
                }
                _ => blocks.push((score, score, outcome, 1.0)),
            }
        }
        let mut pooled: Vec<(f64, f64, f64, f64)> = Vec::new();
        for mut block in blocks {
            while let Some(last) = pooled.last() {
                if last.2 * block.3 < block.2 * last.3 {
                    break;
                }
                block = (last.0, block.1, last.2 + block.2, last.3 + block.3);
                pooled.pop();
            }
            pooled.push(block);
        }
        let mut points = Vec::with_capacity(pooled.len() * 2);
        for (first, last, sum, weight) in pooled {
            points.push((first, sum / weight));
            if last > first {
                points.push((last, sum / weight));
            }
        }
        Ok(Self { points })
    }
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Cases in it.
    pub count: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share in which the event happened.
    pub observed: f64,
}

/// The bins of a reliability diagram: equal widths over [0, 1], empty ones left out.
#[must_use]
pub fn reliability(predicted: &[f64], outcomes: &[bool], bins: usize) -> Vec<Bin> {
    let bins = bins.max(1);
    let mut sums = vec![(0_usize, 0.0, 0.0); bins];
    for (p, outcome) in predicted.iter().zip(outcomes) {
        let place = ((p * bins as f64) as usize).min(bins - 1);
        if let Some(bin) = sums.get_mut(place) {
            bin.0 += 1;
            bin.1 += p;
            bin.2 += f64::from(u8::from(*outcome));
        }
    }
    sums.into_iter()
        .filter(|bin| bin.0 > 0)
        .map(|(count, predicted, observed)| Bin {
            count,
            predicted: predicted / count as f64,
            observed: observed / count as f64,
        })
        .collect()
}

/// Expected calibration error: the mean distance of predicted from observed over the bins, weighted by cases
/// (Naeini et al., AAAI 2015).
#[must_use]
pub fn expected_error(predicted: &[f64], outcomes: &[bool], bins: usize) -> f64 {
    let total = predicted.len().min(outcomes.len()).max(1) as f64;
    reliability(predicted, outcomes, bins)
        .iter()
        .map(|bin| bin.count as f64 / total * (bin.predicted - bin.observed).abs())
        .sum()
}

/// The Brier score: the mean squared distance of probability from outcome (Brier 1950).
#[must_use]
pub fn brier(predicted: &[f64], outcomes: &[bool]) -> f64 {
    let squares: Vec<f64> = predicted
        .iter()
        .zip(outcomes)
        .map(|(p, outcome)| (p - f64::from(u8::from(*outcome))).powi(2))
        .collect();
    mean(&squares)
}

/// Mean log loss of the event's probability.
#[must_use]
pub fn log_loss(predicted: &[f64], outcomes: &[bool]) -> f64 {
    let losses: Vec<f64> = predicted
        .iter()
        .zip(outcomes)
        .map(|(p, outcome)| -(if *outcome { *p } else { 1.0 - p }).max(1e-15).ln())
        .collect();
    mean(&losses)
}

/// Slope of a logistic regression of the outcome on the logit of the prediction (Cox 1958): 1 where
/// predictions are as extreme as they should be, below 1 where they are too extreme.
///
/// # Errors
/// [`CalibrationError::Lengths`] or [`CalibrationError::OneClass`].
pub fn slope(predicted: &[f64], outcomes: &[bool]) -> Result<f64, CalibrationError> {
    both_kinds(predicted.len(), outcomes)?;
    let logits: Vec<f64> = predicted.iter().map(|p| logit(*p)).collect();
    let targets: Vec<f64> = outcomes.iter().map(|o| f64::from(u8::from(*o))).collect();
    Ok(logistic_fit(&logits, &targets, (1.0, 0.0), 1e-12).0)
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;
