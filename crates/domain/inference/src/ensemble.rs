//! Several models asked as one: mean, weighted mean, vote, stacking, cascade, and how far the members
//! disagree. A member that did not answer is left out only as far as the declaration allows, and the answer
//! says who was asked. Must not average classes that are not the same.

use kernel::{Categorised, Category};
use serde::{Deserialize, Serialize};

use crate::special::softmax;

/// How answers become one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Combination {
    /// The mean of the probabilities.
    Mean,
    /// The mean with a weight for each member.
    Weighted(Vec<f64>),
    /// Each member's likeliest label, as shares of the votes.
    Vote,
    /// Multinomial logistic regression on the members' probabilities (Wolpert 1992).
    Stacking {
        /// For each class a weight for each member's probability of each class, member by member.
        weights: Vec<Vec<f64>>,
        /// For each class.
        intercepts: Vec<f64>,
    },
    /// One after another, until one is sure enough; the last answers whatever it thinks.
    Cascade {
        /// The least probability of its likeliest label with which each member but the last ends it.
        sure: Vec<f64>,
    },
}

/// A declared ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Ensemble {
    members: usize,
    classes: usize,
    least: usize,
    combination: Combination,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    members: usize,
    classes: usize,
    least: usize,
    combination: Combination,
}

impl From<Ensemble> for Stored {
    fn from(ensemble: Ensemble) -> Self {
        Self {
            members: ensemble.members,
            classes: ensemble.classes,
            least: ensemble.least,
            combination: ensemble.combination,
        }
    }
}

impl TryFrom<Stored> for Ensemble {
    type Error = EnsembleError;
    fn try_from(stored: Stored) -> Result<Self, EnsembleError> {
        Self::new(
            stored.members,
            stored.classes,
            stored.least,
            stored.combination,
        )
    }
}

/// Why an ensemble was refused, or gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnsembleError {
    /// A declaration that cannot be.
    #[error("ensemble has {what}; {remedy}")]
    Declared {
        /// What is wrong.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Too few members answered.
    #[error("{answered} of {members} members of the ensemble answered; {least} are due")]
    TooFew {
        /// Members that answered.
        answered: usize,
        /// Members.
        members: usize,
        /// Members due.
        least: usize,
    },
    /// A member's answer has other classes, or is none.
    #[error("member {0} of the ensemble gave no probabilities of the declared classes")]
    Answer(usize),
}

impl Categorised for EnsembleError {
    fn category(&self) -> Category {
        match self {
            Self::Declared { .. } => Category::Unprocessable,
            Self::TooFew { .. } => Category::Unavailable,
            Self::Answer(_) => Category::Fault,
        }
    }
}

/// The answer of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    /// Probability of each class.
    pub probabilities: Vec<f64>,
    /// Members whose answers are in it.
    pub used: Vec<usize>,
    /// Entropy of the mean minus the mean entropy of those members, in bits: 0 where they agree, at most 1
    /// for two classes (Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017; Houlsby et al. 2011).
    pub disagreement: f64,
}

/// What a cascade does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Ask this member.
    Ask(usize),
    /// Done.
    Answer(Combined),
}

/// Entropy in bits.
#[must_use]
pub fn entropy(probabilities: &[f64]) -> f64 {
    probabilities
        .iter()
        .filter(|p| **p > 0.0)
        .map(|p| -p * p.log2())
        .sum()
}

fn refused<T>(what: &'static str, remedy: &'static str) -> Result<T, EnsembleError> {
    Err(EnsembleError::Declared { what, remedy })
}

impl Ensemble {
    /// An ensemble of so many members and classes, of which at least `least` members must answer.
    ///
    /// # Errors
    /// [`EnsembleError::Declared`].
    pub fn new(
        members: usize,
        classes: usize,
        least: usize,
        combination: Combination,
    ) -> Result<Self, EnsembleError> {
        if members < 2 || classes < 2 {
            return refused("fewer than two members or classes", "declare at least two");
        }
        if !(1..=members).contains(&least) {
            return refused("a least number of answers that cannot be", "give 1 to all");
        }
        match &combination {
            Combination::Mean | Combination::Vote => {}
            Combination::Weighted(weights) => {
                let usable = weights.iter().all(|w| w.is_finite() && *w > 0.0);
                if weights.len() != members || !usable {
                    return refused(
                        "weights that do not fit",
                        "give a positive one for each member",
                    );
                }
            }
            Combination::Stacking {
                weights,
                intercepts,
            } => {
                let wide = weights.iter().all(|row| row.len() == members * classes);
                let finite = weights
                    .iter()
                    .flatten()
                    .chain(intercepts)
                    .all(|w| w.is_finite());
                if weights.len() != classes || intercepts.len() != classes || !wide || !finite {
                    return refused(
                        "stacking that does not fit",
                        "give members times classes weights",
                    );
                }
                if least != members {
                    return refused("stacking of some members", "stacking needs every answer");
                }
            }
            Combination::Cascade { sure } => {
                let shares = sure.iter().all(|share| (0.0..=1.0).contains(share));
                if sure.len() != members - 1 || !shares {
                    return refused(
                        "a cascade that does not fit",
                        "give a share for each but the last",
                    );
                }
            }
        }
        Ok(Self {
            members,
            classes,
            least,
            combination,
        })
    }

    /// The answers as one; `None` where a member did not answer.
    ///
    /// # Errors
    /// [`EnsembleError::TooFew`] or [`EnsembleError::Answer`].
    pub fn combine(&self, answers: &[Option<Vec<f64>>]) -> Result<Combined, EnsembleError> {
        let mut given: Vec<(usize, &[f64])> = Vec::with_capacity(self.members);
        for (member, answer) in answers.iter().enumerate() {
            let Some(answer) = answer else { continue };
            let sum: f64 = answer.iter().sum();
            let right = answer.len() == self.classes
                && member < self.members
                && answer.iter().all(|p| (-1e-6..=1.0 + 1e-6).contains(p))
                && (sum - 1.0).abs() < 1e-3;
            if !right {
                return Err(EnsembleError::Answer(member));
            }
            given.push((member, answer));
        }
        if let Combination::Cascade { sure } = &self.combination {
            return self.fallen(sure, &given);
        }
        if given.len() < self.least {
            return Err(self.too_few(given.len()));
        }
        let probabilities = match &self.combination {
            Combination::Weighted(weights) => weighted(&given, self.classes, |member| {
                weights.get(member).copied().unwrap_or_default()
            }),
            Combination::Vote => votes(&given, self.classes),
            Combination::Stacking {
                weights,
                intercepts,
            } => {
                let all: Vec<f64> = given.iter().flat_map(|(_, p)| p.iter().copied()).collect();
                let logits: Vec<f64> = weights
                    .iter()
                    .zip(intercepts)
                    .map(|(row, b)| b + row.iter().zip(&all).map(|(w, p)| w * p).sum::<f64>())
                    .collect();
                softmax(&logits)
            }
            Combination::Mean | Combination::Cascade { .. } => {
                weighted(&given, self.classes, |_| 1.0)
            }
        };
        Ok(self.combined(probabilities, &given))
    }

    fn too_few(&self, answered: usize) -> EnsembleError {
        EnsembleError::TooFew {
            answered,
            members: self.members,
            least: self.least,
        }
    }

    fn combined(&self, probabilities: Vec<f64>, given: &[(usize, &[f64])]) -> Combined {
        let mean = weighted(given, self.classes, |_| 1.0);
        let own: f64 = given.iter().map(|(_, p)| entropy(p)).sum::<f64>() / given.len() as f64;
        Combined {
            probabilities,
            used: given.iter().map(|(member, _)| *member).collect(),
            disagreement: (entropy(&mean) - own).max(0.0),
        }
    }

    /// The first answer that is sure enough, else that of the last member.
    fn fallen(&self, sure: &[f64], given: &[(usize, &[f64])]) -> Result<Combined, EnsembleError> {
        let ends = given.iter().position(|(member, answer)| {
            let most = answer.iter().copied().fold(0.0, f64::max);
            sure.get(*member).is_none_or(|least| most >= *least)
        });
        let asked = ends.map_or(given, |place| given.get(..=place).unwrap_or(given));
        match (ends, asked.last()) {
            (Some(_), Some((_, answer))) => Ok(self.combined(answer.to_vec(), asked)),
            _ => Err(self.too_few(given.len())),
        }
    }

    /// What comes next, given the answers so far in the order of the members: which member to ask, or the
    /// answer. Other combinations ask everybody. A member that did not answer is passed over.
    ///
    /// # Errors
    /// As [`Ensemble::combine`].
    pub fn next(&self, answers: &[Option<Vec<f64>>]) -> Result<Next, EnsembleError> {
        if let Combination::Cascade { sure } = &self.combination
            && let Some(Some(last)) = answers.last()
        {
            let most = last.iter().copied().fold(0.0, f64::max);
            let member = answers.len() - 1;
            if sure.get(member).is_none_or(|least| most >= *least) {
                return self.combine(answers).map(Next::Answer);
            }
        }
        if answers.len() < self.members {
            return Ok(Next::Ask(answers.len()));
        }
        self.combine(answers).map(Next::Answer)
    }
}

fn weighted(given: &[(usize, &[f64])], classes: usize, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let total: f64 = given.iter().map(|(member, _)| weight(*member)).sum();
    let mut sums = vec![0.0; classes];
    for (member, answer) in given {
        for (sum, p) in sums.iter_mut().zip(*answer) {
            *sum += weight(*member) / total * p;
        }
    }
    sums
}

/// Shares of votes; a member whose likeliest labels are tied gives each of them a part of its vote.
fn votes(given: &[(usize, &[f64])], classes: usize) -> Vec<f64> {
    let mut shares = vec![0.0; classes];
    for (_, answer) in given {
        let most = answer.iter().copied().fold(0.0, f64::max);
        let best = |p: &f64| (most - p).abs() < 1e-12;
        let tied = answer.iter().filter(|p| best(p)).count().max(1) as f64;
        for (share, p) in shares.iter_mut().zip(*answer) {
            if best(p) {
                *share += 1.0 / tied / given.len() as f64;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(least: usize, combination: Combination) -> Ensemble {
        Ensemble::new(3, 2, least, combination).unwrap()
    }

    fn answers(events: &[f64]) -> Vec<Option<Vec<f64>>> {
        events
            .iter()
            .map(|p| (!p.is_nan()).then(|| vec![1.0 - p, *p]))
            .collect()
    }

    #[test]
    fn each_combination_gives_its_hand_worked_answer() {
        let stacking = Combination::Stacking {
            weights: vec![vec![0.0; 6], vec![0.0, 2.0, 0.0, 0.0, 0.0, 0.0]],
            intercepts: vec![0.0, -1.0],
        };
        let cascade = Combination::Cascade {
            sure: vec![0.9, 0.8],
        };
        let missing = f64::NAN;
        let cases = [
            (of(3, Combination::Mean), [0.2, 0.4, 0.9], 0.5, 3),
            (of(2, Combination::Mean), [0.2, missing, 0.9], 0.55, 2),
            (
                of(2, Combination::Weighted(vec![1.0, 1.0, 2.0])),
                [0.2, 0.4, 0.9],
                0.6,
                3,
            ),
            (
                of(2, Combination::Weighted(vec![1.0, 1.0, 3.0])),
                [0.2, missing, 0.6],
                0.5,
                2,
            ),
            (of(3, Combination::Vote), [0.2, 0.6, 0.9], 2.0 / 3.0, 3),
            (of(3, Combination::Vote), [0.2, 0.5, 0.9], 0.5, 3),
            (of(3, stacking), [0.5, 0.1, 0.1], 0.5, 3),
            (of(1, cascade.clone()), [0.95, 0.5, 0.5], 0.95, 1),
            (of(1, cascade.clone()), [0.5, 0.1, 0.5], 0.1, 2),
            (of(1, cascade.clone()), [0.5, 0.5, 0.6], 0.6, 3),
            (of(1, cascade), [missing, 0.5, 0.6], 0.6, 2),
        ];
        for (ensemble, given, event, used) in cases {
            let found = ensemble.combine(&answers(&given)).unwrap();
            assert!(
                (found.probabilities[1] - event).abs() < 1e-12,
                "{ensemble:?}: {found:?}"
            );
            assert_eq!(found.used.len(), used, "{ensemble:?}");
            let stored = serde_json::to_string(&ensemble).unwrap();
            assert_eq!(serde_json::from_str::<Ensemble>(&stored).unwrap(), ensemble);
        }
    }

    #[test]
    fn disagreement_is_what_the_mean_hides() {
        let mean = of(2, Combination::Mean);
        let bits = |given: &[f64]| mean.combine(&answers(given)).unwrap().disagreement;
        assert!(
            bits(&[0.5, 0.5, 0.5]).abs() < 1e-12,
            "unsure together is no disagreement"
        );
        assert!((bits(&[0.0, 1.0]) - 1.0).abs() < 1e-12);
        assert!(bits(&[0.2, 0.8, 0.5]) > bits(&[0.4, 0.6, 0.5]));
        assert!((entropy(&[0.25; 4]) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_cascade_asks_no_more_than_it_must() {
        let cascade = of(
            1,
            Combination::Cascade {
                sure: vec![0.9, 0.8],
            },
        );
        assert_eq!(cascade.next(&[]).unwrap(), Next::Ask(0));
        assert_eq!(cascade.next(&answers(&[0.6])).unwrap(), Next::Ask(1));
        assert!(matches!(
            cascade.next(&answers(&[0.95])).unwrap(),
            Next::Answer(_)
        ));
        assert_eq!(
            cascade.next(&answers(&[0.6, f64::NAN])).unwrap(),
            Next::Ask(2)
        );
        assert!(matches!(
            cascade.next(&answers(&[0.6, 0.6, 0.5])).unwrap(),
            Next::Answer(_)
        ));
        let unsure = cascade.next(&answers(&[0.6, 0.6, f64::NAN]));
        assert!(
            matches!(unsure, Err(EnsembleError::TooFew { .. })),
            "nobody was sure"
        );
        let mean = of(3, Combination::Mean);
        assert_eq!(mean.next(&answers(&[0.99])).unwrap(), Next::Ask(1));
    }

    #[test]
    fn too_few_or_foreign_answers_are_none() {
        let mean = of(2, Combination::Mean);
        let few = mean.combine(&answers(&[0.5, f64::NAN, f64::NAN]));
        assert!(matches!(
            few,
            Err(EnsembleError::TooFew { answered: 1, .. })
        ));
        for wrong in [
            vec![1.0],
            vec![0.7, 0.7],
            vec![f64::NAN, 0.5],
            vec![-0.5, 1.5],
        ] {
            let given = [Some(vec![0.5, 0.5]), Some(wrong.clone())];
            assert_eq!(
                mean.combine(&given),
                Err(EnsembleError::Answer(1)),
                "{wrong:?}"
            );
        }
        let declared = [
            Ensemble::new(1, 2, 1, Combination::Mean),
            Ensemble::new(3, 2, 0, Combination::Mean),
            Ensemble::new(3, 2, 4, Combination::Mean),
            Ensemble::new(3, 2, 1, Combination::Weighted(vec![1.0, 1.0])),
            Ensemble::new(2, 2, 1, Combination::Weighted(vec![1.0, 0.0])),
            Ensemble::new(3, 2, 1, Combination::Cascade { sure: vec![0.5] }),
            Ensemble::new(
                2,
                2,
                1,
                Combination::Stacking {
                    weights: vec![vec![0.0; 4]; 2],
                    intercepts: vec![0.0; 2],
                },
            ),
        ];
        for (place, made) in declared.into_iter().enumerate() {
            assert!(made.is_err(), "declaration {place}");
        }
    }
}
