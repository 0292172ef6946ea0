//! What a model is given, checked before it is asked: every declared input there, in a unit that converts,
//! within its range, missing only where the package allows it. Must not guess: what is wrong is a finding
//! with its remedy, and a filled-in value is named.

use kernel::ucum::UcumUnit;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// What a missing input means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Missing {
    /// The model is not asked.
    Refuse,
    /// This number takes its place, and the answer says so.
    Fill(f64),
    /// The model takes NaN for it.
    Nan,
}

/// What an input is.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureKind {
    /// A number within a closed range, in a UCUM unit where it has one.
    Number {
        /// The unit's code.
        unit: Option<String>,
        /// Least plausible value.
        low: f64,
        /// Largest plausible value.
        high: f64,
    },
    /// One of some words; the model is given the word's place.
    Choice(Vec<String>),
    /// Yes or no; the model is given 1 or 0.
    Flag,
}

/// A declared input.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Its name, unique in the package.
    pub name: String,
    /// What it is.
    pub kind: FeatureKind,
    /// What its absence means.
    pub missing: Missing,
}

/// A value as it was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// A number with its UCUM unit, where one was recorded.
    Number(f64, Option<String>),
    /// A word or code.
    Word(String),
    /// Yes or no.
    Flag(bool),
}

/// What is wrong with an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The input.
    pub feature: String,
    /// What is wrong.
    pub problem: Problem,
}

/// Kinds of wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// Nothing was found for it.
    Missing,
    /// The package declares no such input.
    Undeclared,
    /// It was given more than once.
    Repeated,
    /// It is a number where a word is due, or the like.
    WrongKind {
        /// What is due.
        wanted: &'static str,
    },
    /// Not a finite number.
    NotFinite,
    /// No unit where one is due, or one that does not convert.
    Unit {
        /// The unit found.
        found: Option<String>,
        /// The unit due.
        wanted: String,
    },
    /// Beyond the plausible range.
    Range {
        /// The value, in the package's unit.
        value: f64,
        /// Least.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// Not one of the words.
    Choice {
        /// The word found.
        found: String,
    },
}

impl core::fmt::Display for Finding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = &self.feature;
        match &self.problem {
            Problem::Missing => write!(f, "{name} is missing; record it and ask again"),
            Problem::Undeclared => write!(f, "{name} is not an input of this model; leave it out"),
            Problem::Repeated => write!(f, "{name} was given twice; give one value"),
            Problem::WrongKind { wanted } => write!(f, "{name} is not a {wanted}"),
            Problem::NotFinite => write!(f, "{name} is not a finite number"),
            Problem::Unit { found, wanted } => match found {
                Some(found) => write!(
                    f,
                    "{name} is in {found}, which does not convert to {wanted}"
                ),
                None => write!(f, "{name} has no unit; record it in {wanted}"),
            },
            Problem::Range { value, low, high } => {
                write!(
                    f,
                    "{name} is {value}, outside {low} to {high}: check value and unit"
                )
            }
            Problem::Choice { found } => {
                write!(f, "{name} is '{found}', which the model does not know")
            }
        }
    }
}

/// The row a model is asked with, and what was filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Intake {
    /// One number for each declared input, in their order.
    pub row: Vec<f64>,
    /// Inputs whose value was filled in or left as NaN.
    pub absent: Vec<String>,
    /// Inputs whose unit was converted, with the unit found.
    pub converted: Vec<(String, String)>,
}

/// Reads the given values against the declared inputs.
///
/// # Errors
/// Every finding, when there is one; not only the first.
pub fn read(features: &[Feature], given: &[(String, Given)]) -> Result<Intake, Vec<Finding>> {
    let mut findings: Vec<Finding> = given
        .iter()
        .enumerate()
        .filter_map(|(place, (name, _))| {
            let problem = if !features.iter().any(|feature| feature.name == *name) {
                Problem::Undeclared
            } else if given.iter().take(place).any(|(earlier, _)| earlier == name) {
                Problem::Repeated
            } else {
                return None;
            };
            Some(finding(name, problem))
        })
        .collect();
    let mut intake = Intake {
        row: Vec::with_capacity(features.len()),
        absent: Vec::new(),
        converted: Vec::new(),
    };
    for feature in features {
        let value = given.iter().find(|(name, _)| *name == feature.name);
        match number_of(feature, value.map(|(_, value)| value), &mut intake) {
            Ok(number) => intake.row.push(number),
            Err(problem) => findings.push(finding(&feature.name, problem)),
        }
    }
    if findings.is_empty() {
        Ok(intake)
    } else {
        Err(findings)
    }
}

fn finding(feature: &str, problem: Problem) -> Finding {
    Finding {
        feature: feature.to_owned(),
        problem,
    }
}

fn number_of(
    feature: &Feature,
    given: Option<&Given>,
    intake: &mut Intake,
) -> Result<f64, Problem> {
    let Some(given) = given else {
        let value = match feature.missing {
            Missing::Refuse => return Err(Problem::Missing),
            Missing::Fill(value) => value,
            Missing::Nan => f64::NAN,
        };
        intake.absent.push(feature.name.clone());
        return Ok(value);
    };
    match (&feature.kind, given) {
        (FeatureKind::Number { unit, low, high }, Given::Number(value, found)) => {
            if !value.is_finite() {
                return Err(Problem::NotFinite);
            }
            let value = in_unit(*value, found.as_deref(), unit.as_deref())?;
            if let (Some(found), Some(unit)) = (found, unit)
                && found != unit
            {
                let note = (feature.name.clone(), found.clone());
                intake.converted.push(note);
            }
            let (low, high) = (*low, *high);
            if (low..=high).contains(&value) {
                Ok(value)
            } else {
                Err(Problem::Range { value, low, high })
            }
        }
        (FeatureKind::Choice(words), Given::Word(found)) => words
            .iter()
            .position(|word| word == found)
            .map(|place| place as f64)
            .ok_or_else(|| Problem::Choice {
                found: found.chars().take(80).collect(),
            }),
        (FeatureKind::Flag, Given::Flag(flag)) => Ok(f64::from(u8::from(*flag))),
        (FeatureKind::Number { .. }, _) => Err(Problem::WrongKind { wanted: "number" }),
        (FeatureKind::Choice(_), _) => Err(Problem::WrongKind { wanted: "word" }),
        (FeatureKind::Flag, _) => Err(Problem::WrongKind {
            wanted: "yes or no",
        }),
    }
}

/// A value in the unit due. Equal codes are not touched, so that nothing is lost on the common way.
fn in_unit(value: f64, found: Option<&str>, wanted: Option<&str>) -> Result<f64, Problem> {
    let Some(wanted) = wanted else {
        // Annotations such as {score} are units of 1 (UCUM, section 2.2, paragraph 6).
        let plain = |code: &str| code == "1" || (code.starts_with('{') && code.ends_with('}'));
        return match found {
            None => Ok(value),
            Some(found) if plain(found) => Ok(value),
            Some(found) => Err(Problem::Unit {
                found: Some(found.to_owned()),
                wanted: "1".to_owned(),
            }),
        };
    };
    if found == Some(wanted) {
        return Ok(value);
    }
    let refused = || Problem::Unit {
        found: found.map(str::to_owned),
        wanted: wanted.to_owned(),
    };
    let convert = |found: &str| -> Option<f64> {
        let from = UcumUnit::parse(found).ok()?;
        let to = UcumUnit::parse(wanted).ok()?;
        from.convert(Decimal::try_from(value).ok()?, &to)?.to_f64()
    };
    found.and_then(convert).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Vec<Feature> {
        let number = |name: &str, unit: Option<&str>, low, high, missing| Feature {
            name: name.to_owned(),
            kind: FeatureKind::Number {
                unit: unit.map(str::to_owned),
                low,
                high,
            },
            missing,
        };
        let words = vec!["female".to_owned(), "male".to_owned()];
        vec![
            number("creatinine", Some("umol/L"), 10.0, 2_000.0, Missing::Refuse),
            number("weight", Some("kg"), 1.0, 400.0, Missing::Fill(70.0)),
            number("score", None, 0.0, 10.0, Missing::Nan),
            Feature {
                name: "sex".to_owned(),
                kind: FeatureKind::Choice(words),
                missing: Missing::Refuse,
            },
            Feature {
                name: "smoker".to_owned(),
                kind: FeatureKind::Flag,
                missing: Missing::Fill(0.0),
            },
        ]
    }

    fn number(name: &str, value: f64, unit: &str) -> (String, Given) {
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        (name.to_owned(), Given::Number(value, unit))
    }

    fn word(name: &str, value: &str) -> (String, Given) {
        (name.to_owned(), Given::Word(value.to_owned()))
    }

    #[test]
    fn units_convert_and_gaps_are_named() {
        let given = [
            number("creatinine", 0.09, "mmol/L"),
            number("weight", 71_000.0, "g"),
            word("sex", "male"),
        ];
        for unit in ["", "1", "{score}"] {
            let given = [&given[..], &[number("score", 3.0, unit)]].concat();
            let row = read(&features(), &given).unwrap().row;
            assert!((row[2] - 3.0).abs() < 1e-12, "{unit}");
        }
        let intake = read(&features(), &given).unwrap();
        assert!((intake.row[0] - 90.0).abs() < 1e-9 && (intake.row[1] - 71.0).abs() < 1e-12);
        assert!(intake.row[2].is_nan());
        assert_eq!(intake.row[3..], [1.0, 0.0]);
        assert_eq!(intake.absent, ["score", "smoker"]);
        let converted: Vec<&str> = intake.converted.iter().map(|(_, u)| u.as_str()).collect();
        assert_eq!(converted, ["mmol/L", "g"]);
    }

    #[test]
    fn what_is_wrong_is_said_for_every_input() {
        let right = || vec![number("creatinine", 90.0, "umol/L"), word("sex", "female")];
        assert!(read(&features(), &right()).is_ok());
        let cases: Vec<((String, Given), &str)> = vec![
            (
                number("creatinine", 90.0, "mg/dL"),
                "does not convert to umol/L",
            ),
            (
                number("creatinine", 90.0, ""),
                "has no unit; record it in umol/L",
            ),
            (number("creatinine", 90.0, "nonsense"), "does not convert"),
            (
                number("creatinine", 9_000.0, "umol/L"),
                "outside 10 to 2000",
            ),
            (number("creatinine", 90.0, "mmol/L"), "is 90000, outside"),
            (number("creatinine", f64::NAN, "umol/L"), "not a finite"),
            (word("creatinine", "high"), "not a number"),
            (word("sex", "unknown"), "does not know"),
            (number("sex", 1.0, ""), "not a word"),
            (word("smoker", "yes"), "not a yes or no"),
            (number("score", 3.0, "kg"), "does not convert to 1"),
            (number("hat", 3.0, "kg"), "not an input"),
        ];
        for (wrong, said) in cases {
            let mut given = right();
            given.retain(|(name, _)| *name != wrong.0);
            given.push(wrong.clone());
            let findings = read(&features(), &given).unwrap_err();
            let text = findings[0].to_string();
            assert!(text.contains(said), "{wrong:?}: {text}");
            assert_eq!(findings.len(), 1, "{wrong:?}");
        }
        let findings = read(&features(), &[]).unwrap_err();
        assert_eq!(findings.len(), 2, "both required inputs are named");
        let twice = [right(), right()].concat();
        assert_eq!(
            read(&features(), &twice).unwrap_err()[0].problem,
            Problem::Repeated
        );
    }
}
