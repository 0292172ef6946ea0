//! Whether a case lies outside what a model knows. Distances to its reference cases (Mahalanobis with a given
//! precision; mean distance to the nearest k) and the energy of its logits (Liu et al., NeurIPS 2020) become
//! conformal p-values on calibration cases (Bates et al., Annals of Statistics 51, 2023), so that the share of
//! false alarms is declared. [`Known`] has no other maker than a passed check, and risk classes ask for a
//! [`Known`]: an answer about a case outside cannot carry one. Must not soften: a check that could not be made
//! is kept as "not checked".

use kernel::{Categorised, Category};

use crate::conformal::{Level, Scores};
use crate::intake::{self, Feature, Finding, Given};
use crate::linear::{is_positive_definite, quadratic, standardised};
use crate::matrix::Matrix;
use crate::special::log_sum_exp;

/// Why a detector could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectorError {
    /// Sides that must agree do not.
    #[error("{what} of a detector has {found} entries where {wanted} are due")]
    Size {
        /// The part.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Entries due.
        wanted: usize,
    },
    /// A number is not finite, or a scale not positive.
    #[error("{what} of a detector holds a number that cannot be used; {remedy}")]
    Number {
        /// The part.
        what: &'static str,
        /// What to give.
        remedy: &'static str,
    },
}

impl Categorised for DetectorError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

fn positive(what: &'static str, values: &[f64]) -> Result<(), DetectorError> {
    if values.iter().all(|v| v.is_finite() && *v > 0.0) {
        return Ok(());
    }
    let remedy = "give positive, finite numbers";
    Err(DetectorError::Number { what, remedy })
}

fn finite(what: &'static str, values: &[f64]) -> Result<(), DetectorError> {
    if values.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    let remedy = "give finite numbers";
    Err(DetectorError::Number { what, remedy })
}

fn sized(what: &'static str, found: usize, wanted: usize) -> Result<(), DetectorError> {
    if found == wanted {
        return Ok(());
    }
    Err(DetectorError::Size {
        what,
        found,
        wanted,
    })
}

/// How strange a row is.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    center: Vec<f64>,
    scale: Vec<f64>,
    measure: Measure,
}

#[derive(Debug, Clone, PartialEq)]
enum Measure {
    Mahalanobis(Matrix),
    Nearest { rows: Matrix, k: usize },
}

impl Distance {
    /// sqrt(z' P z) of the standardised row z.
    ///
    /// # Errors
    /// [`DetectorError`] unless the sides agree and the precision is positive definite.
    pub fn mahalanobis(
        center: Vec<f64>,
        scale: Vec<f64>,
        precision: Matrix,
    ) -> Result<Self, DetectorError> {
        finite("center", &center)?;
        sized("scale", scale.len(), center.len())?;
        positive("scale", &scale)?;
        sized("precision", precision.rows(), center.len())?;
        sized("precision", precision.columns(), center.len())?;
        if !is_positive_definite(&precision) {
            let remedy = "give the inverse of a shrunken covariance: symmetric, positive definite";
            let what = "precision";
            return Err(DetectorError::Number { what, remedy });
        }
        let measure = Measure::Mahalanobis(precision);
        Ok(Self {
            center,
            scale,
            measure,
        })
    }

    /// The mean Euclidean distance of the standardised row to its k nearest reference rows, which are given
    /// in the same measure as cases are and standardised here.
    ///
    /// # Errors
    /// [`DetectorError`] unless the sides agree and there are at least k rows.
    pub fn nearest(
        center: Vec<f64>,
        scale: Vec<f64>,
        rows: &Matrix,
        k: usize,
    ) -> Result<Self, DetectorError> {
        finite("center", &center)?;
        sized("scale", scale.len(), center.len())?;
        positive("scale", &scale)?;
        finite("reference rows", rows.values())?;
        sized("reference rows", rows.columns(), center.len())?;
        if k == 0 || rows.rows() < k {
            return Err(DetectorError::Size {
                what: "reference rows",
                found: rows.rows(),
                wanted: k.max(1),
            });
        }
        let values: Vec<f64> = rows
            .iter()
            .flat_map(|row| standardised(row, &center, &scale))
            .collect();
        let what = "reference rows";
        let rows = Matrix::new(rows.rows(), rows.columns(), values).ok_or(DetectorError::Size {
            what,
            found: 0,
            wanted: k,
        })?;
        let measure = Measure::Nearest { rows, k };
        Ok(Self {
            center,
            scale,
            measure,
        })
    }

    /// The word of the record.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.measure {
            Measure::Mahalanobis(_) => "mahalanobis",
            Measure::Nearest { .. } => "nearest",
        }
    }

    /// Numbers a row must have.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.center.len()
    }

    /// The distance; nothing for a row of another width or with a number that is not finite.
    #[must_use]
    pub fn of(&self, row: &[f64]) -> Option<f64> {
        if row.len() != self.center.len() || row.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let z = standardised(row, &self.center, &self.scale);
        match &self.measure {
            Measure::Mahalanobis(precision) => Some(quadratic(precision, &z).max(0.0).sqrt()),
            Measure::Nearest { rows, k } => {
                let mut squares: Vec<f64> = rows
                    .iter()
                    .map(|known| known.iter().zip(&z).map(|(a, b)| (a - b).powi(2)).sum())
                    .collect();
                let place = k.saturating_sub(1).min(squares.len().saturating_sub(1));
                squares.select_nth_unstable_by(place, f64::total_cmp);
                let nearest = squares.iter().take(*k).map(|square| square.sqrt());
                Some(nearest.sum::<f64>() / *k as f64)
            }
        }
    }
}

/// -T logsumexp(z / T): high where no class is favoured.
#[must_use]
pub fn energy(logits: &[f64], temperature: f64) -> f64 {
    let scaled: Vec<f64> = logits.iter().map(|z| z / temperature).collect();
    -temperature * log_sum_exp(&scaled)
}

/// What a check of strangeness found.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// Not stranger than the level allows.
    Passed {
        /// Which check.
        by: &'static str,
        /// Its conformal p-value.
        p: f64,
    },
    /// Stranger.
    Strange {
        /// Which check.
        by: &'static str,
        /// Its conformal p-value.
        p: f64,
        /// The declared share of false alarms.
        level: f64,
    },
    /// It could not be made.
    NotChecked {
        /// Which check.
        by: &'static str,
        /// Why not.
        why: &'static str,
    },
}

/// A score against calibration scores at a declared share of false alarms.
#[must_use]
pub fn check(by: &'static str, score: Option<f64>, known: &Scores, level: Level) -> Check {
    let Some(score) = score.filter(|score| !score.is_nan()) else {
        let why = "a value is missing";
        return Check::NotChecked { by, why };
    };
    let p = known.p_value(score);
    if p <= level.alpha() {
        let level = level.alpha();
        return Check::Strange { by, p, level };
    }
    Check::Passed { by, p }
}

/// A distance with its calibration scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    /// The distance.
    pub distance: Distance,
    /// Distances of calibration cases.
    pub known: Scores,
    /// The declared share of false alarms.
    pub level: Level,
}

impl Detector {
    /// The check of a row.
    #[must_use]
    pub fn check(&self, row: &[f64]) -> Check {
        let (by, score) = (self.distance.word(), self.distance.of(row));
        check(by, score, &self.known, self.level)
    }
}

/// Energies of calibration cases.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyDetector {
    /// The temperature of the energy.
    pub temperature: f64,
    /// Energies of calibration cases.
    pub known: Scores,
    /// The declared share of false alarms.
    pub level: Level,
}

/// Why a case is outside what a model knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Outside {
    findings: Vec<Finding>,
    checks: Vec<Check>,
}

impl Outside {
    /// What is wrong with inputs.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What checks of strangeness found; at least one is strange, or there are findings.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}

impl core::fmt::Display for Outside {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("outside what this model knows")?;
        let mut mark = ": ";
        for finding in &self.findings {
            write!(f, "{mark}{finding}")?;
            mark = "; ";
        }
        for check in &self.checks {
            if let Check::Strange { by, p, .. } = check {
                write!(
                    f,
                    "{mark}unlike the cases it was calibrated on ({by}, p {p:.3})"
                )?;
                mark = "; ";
            }
        }
        Ok(())
    }
}

/// A case inside what a model knows. Only a gate makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    row: Vec<f64>,
    absent: Vec<String>,
    converted: Vec<(String, String)>,
    checks: Vec<Check>,
}

impl Known {
    /// The numbers the model is asked with, in the order of the declared inputs.
    #[must_use]
    pub fn row(&self) -> &[f64] {
        &self.row
    }

    /// Inputs that were missing and filled in.
    #[must_use]
    pub fn absent(&self) -> &[String] {
        &self.absent
    }

    /// Inputs whose unit was converted, with the unit found.
    #[must_use]
    pub fn converted(&self) -> &[(String, String)] {
        &self.converted
    }

    /// What was checked, and what could not be.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The same case after its logits were looked at.
    ///
    /// # Errors
    /// [`Outside`] where the energy is strange.
    pub fn with_energy(
        mut self,
        detector: &EnergyDetector,
        logits: &[f64],
    ) -> Result<Self, Outside> {
        let score = energy(logits, detector.temperature);
        let found = check("energy", Some(score), &detector.known, detector.level);
        let strange = matches!(found, Check::Strange { .. });
        self.checks.push(found);
        if strange {
            return Err(Outside {
                findings: Vec::new(),
                checks: self.checks,
            });
        }
        Ok(self)
    }
}

/// The gate before a model: the declared inputs and the checks of strangeness.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gate {
    features: Vec<Feature>,
    most_absent: usize,
    detectors: Vec<Detector>,
}

impl Gate {
    /// A gate; more than `most_absent` filled-in values put a case outside.
    #[must_use]
    pub const fn new(features: Vec<Feature>, most_absent: usize, detectors: Vec<Detector>) -> Self {
        Self {
            features,
            most_absent,
            detectors,
        }
    }

    /// The declared inputs.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Looks at the values of a case: schema, units and ranges, then missingness, then distance. Where an
    /// earlier step fails, distances are not computed: they would be of a row that is not the case's.
    ///
    /// # Errors
    /// [`Outside`] with every finding.
    pub fn admit(&self, given: &[(String, Given)]) -> Result<Known, Outside> {
        let intake = intake::read(&self.features, given).map_err(|findings| Outside {
            findings,
            checks: Vec::new(),
        })?;
        if intake.absent.len() > self.most_absent {
            let findings = intake
                .absent
                .into_iter()
                .map(|feature| Finding {
                    feature,
                    problem: intake::Problem::Missing,
                })
                .collect();
            return Err(Outside {
                findings,
                checks: Vec::new(),
            });
        }
        self.measured(Known {
            row: intake.row,
            absent: intake.absent,
            converted: intake.converted,
            checks: Vec::new(),
        })
    }

    /// Looks at a row of numbers that has no declared inputs, such as the embedding of an image.
    ///
    /// # Errors
    /// [`Outside`] where a check finds it strange.
    pub fn admit_row(&self, row: Vec<f64>) -> Result<Known, Outside> {
        self.measured(Known {
            row,
            absent: Vec::new(),
            converted: Vec::new(),
            checks: Vec::new(),
        })
    }

    fn measured(&self, mut known: Known) -> Result<Known, Outside> {
        known.checks = self
            .detectors
            .iter()
            .map(|detector| detector.check(&known.row))
            .collect();
        if self.detectors.is_empty() {
            known.checks.push(Check::NotChecked {
                by: "distance",
                why: "the package declares no reference cases",
            });
        }
        let strange = |check: &Check| matches!(check, Check::Strange { .. });
        if known.checks.iter().any(strange) {
            return Err(Outside {
                findings: Vec::new(),
                checks: known.checks,
            });
        }
        Ok(known)
    }
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;
