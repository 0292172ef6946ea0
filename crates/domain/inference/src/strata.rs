//! Risk strata: names for stretches of a model's number, by thresholds the package declares. A stratum is
//! given for a [`Known`] case only. Must not compare a probability that was not calibrated as declared: the
//! caller hands over the calibrated one.

use kernel::{Categorised, Category};

use crate::outside::Known;

/// A stretch of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Stratum {
    /// Its name, such as "high".
    pub name: String,
    /// Its least value; nothing for the lowest stratum.
    pub from: Option<f64>,
    /// What the package says to do about it.
    pub advice: Option<String>,
    /// Ids of guidelines that say so.
    pub guidelines: Vec<String>,
}

/// Strata from the lowest to the highest.
#[derive(Debug, Clone, PartialEq)]
pub struct Strata(Vec<Stratum>);

/// Why strata were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrataError {
    /// None, or only one.
    #[error("{0} risk strata; declare at least two, or none at all")]
    TooFew(usize),
    /// The lowest has a threshold, or another one has none.
    #[error("risk stratum '{0}' is wrong about its threshold; only the lowest has none")]
    Threshold(String),
    /// Thresholds do not rise.
    #[error("risk stratum '{0}' does not start above the one before it")]
    Falling(String),
    /// Two of one name.
    #[error("two risk strata are named '{0}'")]
    Twice(String),
    /// No stratum of that name starts at a threshold.
    #[error("no risk stratum '{0}' starts at a threshold that could be moved")]
    Unknown(String),
    /// Further than the change-control plan allows.
    #[error(
        "risk stratum '{name}' would start at {to}; its change-control plan allows {low} to {high}, beyond it a new version is due"
    )]
    Shift {
        /// The stratum.
        name: String,
        /// The threshold asked for.
        to: String,
        /// Least allowed.
        low: String,
        /// Largest allowed.
        high: String,
    },
}

impl Categorised for StrataError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl Strata {
    /// Strata in rising order, the lowest without a threshold.
    ///
    /// # Errors
    /// [`StrataError`].
    pub fn new(strata: Vec<Stratum>) -> Result<Self, StrataError> {
        if strata.len() < 2 {
            return Err(StrataError::TooFew(strata.len()));
        }
        let mut last: Option<f64> = None;
        for (place, stratum) in strata.iter().enumerate() {
            let name = || stratum.name.clone();
            match (place, stratum.from) {
                (0, None) => {}
                (0, Some(_)) | (_, None) => return Err(StrataError::Threshold(name())),
                (_, Some(from)) => {
                    if !from.is_finite() || last.is_some_and(|last| from <= last) {
                        return Err(StrataError::Falling(name()));
                    }
                    last = Some(from);
                }
            }
            if strata.iter().take(place).any(|s| s.name == stratum.name) {
                return Err(StrataError::Twice(name()));
            }
        }
        Ok(Self(strata))
    }

    /// The strata with some thresholds moved, each by no more than the package's change-control plan allows
    /// (`change_control.threshold_shift`), counted from the package's own threshold.
    ///
    /// # Errors
    /// [`StrataError::Unknown`], [`StrataError::Shift`], or another where thresholds would cross.
    pub fn moved(&self, thresholds: &[(&str, f64)], most: f64) -> Result<Self, StrataError> {
        let mut strata = self.0.clone();
        for (name, to) in thresholds {
            let unknown = || StrataError::Unknown((*name).to_owned());
            let stratum = strata.iter_mut().find(|stratum| stratum.name == *name);
            let stratum = stratum.ok_or_else(unknown)?;
            let own = stratum.from.ok_or_else(unknown)?;
            // Rounding of a shift that is written in decimals is no breach.
            let within = (to - own).abs() <= most + 1e-9;
            if !within {
                return Err(StrataError::Shift {
                    name: (*name).to_owned(),
                    to: to.to_string(),
                    low: (own - most).to_string(),
                    high: (own + most).to_string(),
                });
            }
            stratum.from = Some(*to);
        }
        Self::new(strata)
    }

    /// From the lowest to the highest.
    #[must_use]
    pub fn all(&self) -> &[Stratum] {
        &self.0
    }

    /// The stratum of a value, for a case inside what the model knows. Nothing for NaN.
    #[must_use]
    pub fn of(&self, _case: &Known, value: f64) -> Option<&Stratum> {
        if value.is_nan() {
            return None;
        }
        self.0
            .iter()
            .rev()
            .find(|stratum| stratum.from.is_none_or(|from| value >= from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::Gate;

    fn stratum(name: &str, from: Option<f64>) -> Stratum {
        Stratum {
            name: name.to_owned(),
            from,
            advice: None,
            guidelines: Vec::new(),
        }
    }

    #[test]
    fn a_threshold_belongs_to_the_stratum_it_starts() {
        let strata = Strata::new(vec![
            stratum("low", None),
            stratum("middle", Some(0.2)),
            stratum("high", Some(0.5)),
        ])
        .unwrap();
        let known = Gate::default().admit_row(vec![]).unwrap();
        let cases = [
            (-1.0, "low"),
            (0.199, "low"),
            (0.2, "middle"),
            (0.5, "high"),
            (9.0, "high"),
        ];
        for (value, name) in cases {
            assert_eq!(strata.of(&known, value).unwrap().name, name, "{value}");
        }
        assert_eq!(strata.of(&known, f64::NAN), None);
    }

    #[test]
    fn strata_that_do_not_rise_are_refused() {
        let wrong = [
            vec![],
            vec![stratum("low", None)],
            vec![stratum("low", Some(0.0)), stratum("high", Some(0.5))],
            vec![stratum("low", None), stratum("high", None)],
            vec![stratum("low", None), stratum("low", Some(0.5))],
            vec![stratum("low", None), stratum("high", Some(f64::NAN))],
            vec![
                stratum("a", None),
                stratum("b", Some(0.5)),
                stratum("c", Some(0.5)),
            ],
        ];
        for strata in wrong {
            assert!(Strata::new(strata.clone()).is_err(), "{strata:?}");
        }
    }

    #[test]
    fn thresholds_move_within_the_plan_only() {
        let strata = Strata::new(vec![
            stratum("low", None),
            stratum("middle", Some(0.2)),
            stratum("high", Some(0.5)),
        ])
        .unwrap();
        let from = |changes: &[(&str, f64)], most| {
            let moved = strata.moved(changes, most)?;
            Ok::<_, StrataError>(
                moved
                    .all()
                    .iter()
                    .filter_map(|s| s.from)
                    .collect::<Vec<f64>>(),
            )
        };
        assert_eq!(from(&[("high", 0.45)], 0.05), Ok(vec![0.2, 0.45]));
        assert_eq!(from(&[], 0.0), Ok(vec![0.2, 0.5]));
        for to in [0.44, 0.56, f64::NAN] {
            let found = from(&[("high", to)], 0.05);
            assert!(matches!(found, Err(StrataError::Shift { .. })), "{to}");
        }
        let unknown = |name: &str| Err(StrataError::Unknown(name.to_owned()));
        assert_eq!(from(&[("low", 0.1)], 1.0), unknown("low"));
        assert_eq!(from(&[("none", 0.1)], 1.0), unknown("none"));
        let crossed = from(&[("middle", 0.6)], 1.0);
        assert_eq!(crossed, Err(StrataError::Falling("high".to_owned())));
    }
}
