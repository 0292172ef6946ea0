//! From a model's raw numbers to an answer: declared steps, strangeness of logits, calibration, risk stratum,
//! prediction set or interval. The one place that makes an answer, and it leads with "outside": an
//! [`Answer::Outside`] has no field a risk class could stand in.

use kernel::{Categorised, Category};

use crate::chance::Chance;
use crate::conformal::{Basis, Interval, LabelSet, Threshold};
use crate::intake::{FeatureKind, Given};
use crate::outside::{Known, Outside};
use crate::package::{ConformalKind, Gives, Inputs, Manifest};
use crate::steps::{AfterStep, StepError};
use crate::strata::Stratum;

/// What a model's numbers mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Outside what the model knows; no risk class.
    Outside(Outside),
    /// Inside.
    Known(Box<Assessment>),
}

/// An answer about a case inside what the model knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The case with what was checked and filled in.
    pub case: Known,
    /// What was estimated.
    pub estimate: Estimate,
    /// The risk stratum, where the package declares strata.
    pub stratum: Option<Stratum>,
    /// What stands around the estimate, where the package has conformal scores.
    pub uncertainty: Option<Uncertainty>,
    /// Whether a person must sign it off.
    pub sign_off: bool,
}

/// What was estimated.
#[derive(Debug, Clone, PartialEq)]
pub enum Estimate {
    /// Calibrated probability of each label; the risk is that of the event.
    Probabilities {
        /// In the order of the labels.
        each: Vec<f64>,
        /// The event's.
        risk: f64,
    },
    /// A number.
    Number(f64),
}

/// What stands around an estimate, and whose calibration cases it stands on.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncertainty {
    /// The set or interval.
    pub region: Region,
    /// Share of such regions that hold the truth, at least.
    pub coverage: f64,
    /// Own group or everybody.
    pub basis: Basis,
}

/// A set of labels or an interval.
#[derive(Debug, Clone, PartialEq)]
pub enum Region {
    /// Labels that fit; none of them is an answer too.
    Labels(LabelSet),
    /// Values that fit.
    Values(Interval),
    /// No value fits.
    Nothing,
}

/// Why raw numbers are no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssessError {
    /// A declared step does not fit them.
    #[error(transparent)]
    Step(#[from] StepError),
    /// They are not as declared.
    #[error(
        "model gave {found} numbers where its package declares {wanted}; the package and its model disagree"
    )]
    Width {
        /// Numbers found.
        found: usize,
        /// Numbers declared.
        wanted: usize,
    },
    /// A number is NaN or infinite, or no probability.
    #[error("model gave a number that cannot be an answer in place {0}; its answer was dropped")]
    Number(usize),
    /// A mask is no number.
    #[error("model gives a mask, which is not assessed as a number")]
    Mask,
}

impl Categorised for AssessError {
    fn category(&self) -> Category {
        match self {
            Self::Step(error) => error.category(),
            Self::Width { .. } | Self::Number(_) => Category::Fault,
            Self::Mask => Category::Unsupported,
        }
    }
}

/// What the caller adds to the manifest's own declarations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting<'a> {
    /// The group of the case, from [`group`].
    pub group: Option<&'a str>,
    /// A digest of the inputs, from which APS draws: the same case has the same set.
    pub digest: &'a [u8; 32],
    /// The level in use where it is adjusted online; else the package's.
    pub alpha: Option<f64>,
}

/// The word that names a case's group, from its values.
#[must_use]
pub fn group<'a>(manifest: &Manifest, given: &'a [(String, Given)]) -> Option<&'a str> {
    let name = manifest.conformal.as_ref()?.group_by.as_ref()?;
    let Inputs::Features { inputs, .. } = &manifest.inputs else {
        return None;
    };
    let input = inputs.iter().find(|input| input.feature.name == *name)?;
    let FeatureKind::Choice(words) = &input.feature.kind else {
        return None;
    };
    given.iter().find_map(|(given, value)| match value {
        Given::Word(word) if given == name && words.contains(word) => Some(word.as_str()),
        _ => None,
    })
}

/// The numbers the model is asked with: the declared steps on a case's row.
///
/// # Errors
/// [`StepError`].
pub fn prepared(manifest: &Manifest, case: &Known) -> Result<Vec<f64>, StepError> {
    match &manifest.inputs {
        Inputs::Features { steps, .. } => steps
            .iter()
            .try_fold(case.row().to_vec(), |row, step| step.apply(row)),
        Inputs::Image { .. } => Ok(case.row().to_vec()),
    }
}

/// An answer from the model's raw numbers for one case.
///
/// # Errors
/// [`AssessError`] where the numbers are not what the package declares.
pub fn assess(
    manifest: &Manifest,
    case: Known,
    raw: &[f64],
    setting: Setting<'_>,
) -> Result<Answer, AssessError> {
    let wanted = manifest.output.tensor.elements();
    if raw.len() != wanted {
        let found = raw.len();
        return Err(AssessError::Width { found, wanted });
    }
    if let Some(place) = raw.iter().position(|value| !value.is_finite()) {
        return Err(AssessError::Number(place));
    }
    let case = match &manifest.reference.energy {
        Some(energy) if manifest.output.steps.first() == Some(&AfterStep::Softmax) => {
            match case.with_energy(energy, raw) {
                Ok(case) => case,
                Err(outside) => return Ok(Answer::Outside(outside)),
            }
        }
        _ => case,
    };
    let numbers = manifest
        .output
        .steps
        .iter()
        .try_fold(raw.to_vec(), |row, step| step.apply(row))?;
    let (estimate, probabilities) = estimate(manifest, &numbers)?;
    let value = match &estimate {
        Estimate::Probabilities { risk, .. } => *risk,
        Estimate::Number(value) => *value,
    };
    let strata = manifest.strata.as_ref();
    let stratum = strata.and_then(|strata| strata.of(&case, value)).cloned();
    let uncertainty = uncertainty(manifest, &probabilities, &numbers, setting);
    Ok(Answer::Known(Box::new(Assessment {
        case,
        estimate,
        stratum,
        uncertainty,
        sign_off: manifest.intended.sign_off,
    })))
}

/// The estimate, and calibrated probabilities where there are labels.
fn estimate(manifest: &Manifest, numbers: &[f64]) -> Result<(Estimate, Vec<f64>), AssessError> {
    match &manifest.output.gives {
        Gives::Classes { event, .. } => {
            let share = |p: &f64| !(-1e-6..=1.0 + 1e-6).contains(p);
            let sum: f64 = numbers.iter().sum();
            if let Some(place) = numbers.iter().position(share) {
                return Err(AssessError::Number(place));
            }
            if (sum - 1.0).abs() > 1e-3 {
                return Err(AssessError::Number(0));
            }
            let each = manifest.calibration.apply(numbers);
            let risk = each
                .get(*event)
                .copied()
                .ok_or(AssessError::Number(*event))?;
            let estimate = Estimate::Probabilities {
                each: each.clone(),
                risk,
            };
            Ok((estimate, each))
        }
        Gives::Number { .. } => {
            let value = numbers.first().ok_or(AssessError::Number(0))?;
            Ok((Estimate::Number(*value), Vec::new()))
        }
        Gives::Quantiles { .. } => {
            let value = numbers.get(1).ok_or(AssessError::Number(1))?;
            Ok((Estimate::Number(*value), Vec::new()))
        }
        Gives::Mask { .. } => Err(AssessError::Mask),
    }
}

/// The set or interval. Scores in a package are of calibrated probabilities, as they are used here.
fn uncertainty(
    manifest: &Manifest,
    probabilities: &[f64],
    numbers: &[f64],
    setting: Setting<'_>,
) -> Option<Uncertainty> {
    let conformal = manifest.conformal.as_ref()?;
    let (scores, basis) = conformal.groups.of(setting.group, conformal.level);
    let alpha = setting.alpha.unwrap_or(conformal.level.alpha());
    let threshold = scores.threshold_at(alpha);
    let interval = |interval: Option<Interval>| interval.map_or(Region::Nothing, Region::Values);
    let region = match (conformal.kind, numbers) {
        (ConformalKind::Sets(method), _) => {
            // 1 - u in (0, 1]: a share of 0 would let labels in for nothing.
            let uniform = 1.0 - Chance::of_digest(setting.digest).unit();
            Region::Labels(LabelSet::predict(method, threshold, probabilities, uniform))
        }
        (ConformalKind::Split, [value, ..]) => interval(Interval::split(*value, threshold)),
        (ConformalKind::Quantiles, [low, _, high]) => {
            interval(Interval::quantiles(*low, *high, threshold))
        }
        (ConformalKind::Split | ConformalKind::Quantiles, _) => return None,
    };
    let bounded = matches!(threshold, Threshold::At(_));
    Some(Uncertainty {
        region,
        coverage: if bounded {
            1.0 - conformal.level.alpha()
        } else {
            1.0
        },
        basis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformal::SetReading;
    use crate::package::{Limits, Package, open, seal};

    fn package(change: impl Fn(String) -> String) -> Package {
        let text = change(crate::package::tests::sample());
        let limits = Limits::default();
        open(&seal(&text, b"model", None, &limits).unwrap(), &limits).unwrap()
    }

    fn given(creatinine: f64, sex: &str) -> Vec<(String, Given)> {
        vec![
            (
                "creatinine".to_owned(),
                Given::Number(creatinine, Some("umol/L".into())),
            ),
            ("age".to_owned(), Given::Number(66.0, Some("a".into()))),
            ("sex".to_owned(), Given::Word(sex.to_owned())),
            ("diuretic".to_owned(), Given::Flag(true)),
        ]
    }

    fn answer(package: &Package, sex: &str, raw: &[f64]) -> Result<Answer, AssessError> {
        let given = given(110.0, sex);
        let case = package.manifest().gate().admit(&given).unwrap();
        let setting = Setting {
            group: group(package.manifest(), &given),
            digest: &[5; 32],
            alpha: None,
        };
        assess(package.manifest(), case, raw, setting)
    }

    fn known(answer: Answer) -> Assessment {
        match answer {
            Answer::Known(assessment) => *assessment,
            Answer::Outside(outside) => panic!("{outside}"),
        }
    }

    #[test]
    fn an_answer_is_calibrated_named_and_bounded() {
        let package = package(|text| text);
        let case = package
            .manifest()
            .gate()
            .admit(&given(110.0, "male"))
            .unwrap();
        assert_eq!(prepared(package.manifest(), &case).unwrap().len(), 5);
        let found = known(answer(&package, "male", &[0.0, 3.0]).unwrap());
        let Estimate::Probabilities { risk, .. } = found.estimate else {
            panic!("a probability")
        };
        // softmax(0, 3) at temperature 1.5 is sigmoid(2).
        assert!((risk - 1.0 / (1.0 + (-2.0_f64).exp())).abs() < 1e-12);
        assert_eq!(found.stratum.unwrap().name, "high");
        assert!(found.sign_off);
        let around = found.uncertainty.unwrap();
        assert!(matches!(around.basis, Basis::Group { cases: 9, .. }));
        let Region::Labels(set) = around.region else {
            panic!("labels")
        };
        assert_eq!(
            set.reading(),
            SetReading::CannotTell,
            "9 cases at 0.1: up to 0.9 is in"
        );
        let low = known(answer(&package, "female", &[3.0, 0.0]).unwrap());
        assert_eq!(low.stratum.unwrap().name, "low");
        let basis = low.uncertainty.unwrap().basis;
        assert!(
            matches!(basis, Basis::Pooled { cases: 3, .. }),
            "three women are too few"
        );
    }

    #[test]
    fn strange_logits_have_no_risk_class() {
        let package = package(|text| {
            text.replace("energies = [-1.0, -2.0, -3.0]", "energies = [-5.0, -6.0, -7.0, -8.0, -9.0, -5.0, -6.0, -7.0, -8.0, -9.0, -5.0, -6.0, -7.0, -8.0, -9.0, -5.0, -6.0, -7.0, -8.0, -9.0]")
        });
        assert!(matches!(
            answer(&package, "male", &[0.0, 0.1]),
            Ok(Answer::Outside(_))
        ));
        assert!(matches!(
            answer(&package, "male", &[0.0, 7.0]),
            Ok(Answer::Known(_))
        ));
    }

    #[test]
    fn numbers_that_cannot_be_answers_are_none() {
        let package = package(|text| text);
        for raw in [&[0.0][..], &[0.0, 1.0, 2.0]] {
            let found = answer(&package, "male", raw);
            assert!(
                matches!(found, Err(AssessError::Width { wanted: 2, .. })),
                "{raw:?}"
            );
        }
        let found = answer(&package, "male", &[0.0, f64::NAN]);
        assert_eq!(found, Err(AssessError::Number(1)));
        let shares = super::tests::package(|text| {
            text.replace("[[after]]\nstep = \"softmax\"\n", "")
                .replace("[reference.energy]\nalpha = 0.25\ntemperature = 1.0\nenergies = [-1.0, -2.0, -3.0]\n", "")
        });
        assert!(answer(&shares, "male", &[0.25, 0.75]).is_ok());
        for wrong in [[0.5, 0.75], [-0.5, 1.5]] {
            assert!(answer(&shares, "male", &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_number_has_an_interval() {
        let number = |method: &str, gives: &str, sides: usize| {
            super::tests::package(|text| {
                let text = text
                    .replace(
                        "gives = \"classes\"\nevent = \"injury\"\n",
                        &format!("gives = \"{gives}\"\nunit = \"d\"\n"),
                    )
                    .replace("shape = [-1, 2]", &format!("shape = [-1, {sides}]"))
                    .replace("method = \"lac\"", &format!("method = \"{method}\""));
                let cut = |text: &str, from: &str, to: &str| {
                    let (start, end) = (text.find(from).unwrap(), text.find(to).unwrap());
                    format!("{}{}", &text[..start], &text[end..])
                };
                let text = cut(
                    &text,
                    "[[output.label]]\nname = \"none\"",
                    "[[stratum]]\nname = \"low\"",
                );
                let text = cut(&text, "[calibration]", "[conformal]");
                cut(&text, "[reference.energy]", "[[reference.bins]]")
            })
        };
        let split = number("split", "number", 1);
        let found = known(answer(&split, "male", &[0.2]).unwrap());
        assert_eq!(found.estimate, Estimate::Number(0.2));
        assert_eq!(found.stratum.unwrap().name, "low");
        let Some(Region::Values(interval)) = found.uncertainty.map(|u| u.region) else {
            panic!("an interval")
        };
        assert!((interval.low + 0.7).abs() < 1e-12 && (interval.high - 1.1).abs() < 1e-12);
        let quantiles = number("quantile", "quantiles", 3);
        let found = known(answer(&quantiles, "male", &[1.0, 2.0, 4.0]).unwrap());
        assert_eq!(found.estimate, Estimate::Number(2.0));
        let Some(Region::Values(interval)) = found.uncertainty.map(|u| u.region) else {
            panic!("an interval")
        };
        assert!((interval.low - 0.1).abs() < 1e-12 && (interval.high - 4.9).abs() < 1e-12);
    }
}
