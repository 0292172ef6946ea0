//! Why a model said what it said. Shapley values are interventional throughout: what a feature is worth is
//! measured against background cases from which the other features are taken, whatever their correlation
//! (Janzing, Minorics and Bloebaum, AISTATS 2020); path-dependent values differ and are not given here. Every
//! attribution carries its sum check. Must not present a picture as a cause: saliency says where the answer
//! changes, not why.

mod occlusion;
mod shapley;
mod trees;

pub use occlusion::{Heat, Patches, occlusion};
pub use shapley::{MOST_EXACT, Sampling, exact, sampled};
pub use trees::{Comparison, Node, TreeError, Trees};

use kernel::{Categorised, Category};

use crate::linear::standardised;
use crate::matrix::Matrix;
use crate::package::Neighbours;

/// A model as explanations see it: rows in, rows out.
pub type Function<'a, E> = &'a mut dyn FnMut(&Matrix) -> Result<Matrix, E>;

/// Why there is no explanation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError<E> {
    /// The model failed.
    #[error("model failed while it was explained: {0}")]
    Model(E),
    /// The model gave another number of rows, or lacks the column.
    #[error("model gave {rows} rows of {columns} for {asked}; explain the package's own output")]
    Answer {
        /// Rows given.
        rows: usize,
        /// Columns given.
        columns: usize,
        /// Rows asked.
        asked: usize,
    },
    /// The background does not fit the case.
    #[error(
        "background has {found} columns and the case {wanted}; explain with the package's background"
    )]
    Background {
        /// Columns of the background; 0 where it has no rows.
        found: usize,
        /// Features of the case.
        wanted: usize,
    },
    /// Too many features to enumerate.
    #[error("{0} features are too many to enumerate; sample permutations instead")]
    TooMany(usize),
    /// Patches that cover nothing.
    #[error("patches of {patch} every {stride} do not cover an image of {height} by {width}")]
    Patches {
        /// Side of a patch.
        patch: usize,
        /// Steps between patches.
        stride: usize,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
}

impl<E: Categorised + 'static> Categorised for ExplainError<E> {
    fn category(&self) -> Category {
        match self {
            Self::Model(error) => error.category(),
            Self::Answer { .. } => Category::Fault,
            Self::TooMany(_) => Category::TooCostly,
            Self::Background { .. } | Self::Patches { .. } => Category::Unprocessable,
        }
    }
}

/// How values were found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Every subset of features was asked.
    Enumerated,
    /// Every path through the trees was followed.
    Trees,
    /// Permutations were drawn.
    Sampled {
        /// Pairs of a permutation and its reverse.
        pairs: usize,
        /// Whether every standard error is within the bound asked for.
        settled: bool,
    },
}

/// What each feature is worth: base + values = output.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// Mean output over the background.
    pub base: f64,
    /// Output for the case.
    pub output: f64,
    /// One value for each feature.
    pub values: Vec<f64>,
    /// Standard error of each value; zeros where nothing was drawn.
    pub errors: Vec<f64>,
    /// How they were found.
    pub method: Method,
}

impl Attribution {
    /// The sum check: output - base - sum of values; 0 up to rounding.
    #[must_use]
    pub fn gap(&self) -> f64 {
        self.output - self.base - self.values.iter().sum::<f64>()
    }

    /// Whether the sum check holds to a share of the largest number in it.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let most = self
            .values
            .iter()
            .chain([&self.base, &self.output])
            .fold(0.0_f64, |most, value| most.max(value.abs()));
        self.gap().abs() <= 1e-6 * most.max(1e-12)
    }

    /// Places of features by falling size of their value.
    #[must_use]
    pub fn ranked(&self) -> Vec<usize> {
        let mut places: Vec<(usize, f64)> = self
            .values
            .iter()
            .map(|value| value.abs())
            .enumerate()
            .collect();
        places.sort_by(|left, right| right.1.total_cmp(&left.1));
        places.into_iter().map(|(place, _)| place).collect()
    }
}

/// One column of a model's answer for some rows.
fn column<E>(
    model: &mut dyn FnMut(&Matrix) -> Result<Matrix, E>,
    rows: &Matrix,
    column: usize,
) -> Result<Vec<f64>, ExplainError<E>> {
    let answer = model(rows).map_err(ExplainError::Model)?;
    if answer.rows() != rows.rows() || column >= answer.columns() {
        return Err(ExplainError::Answer {
            rows: answer.rows(),
            columns: answer.columns(),
            asked: rows.rows(),
        });
    }
    Ok(answer.column(column))
}

/// A reference case near the one explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// Its place among the package's cases.
    pub place: usize,
    /// Euclidean distance of standardised features.
    pub distance: f64,
    /// What became of it.
    pub outcome: String,
}

/// The nearest of the cases that the package allows to be shown, nearest first; none where a value is
/// missing.
#[must_use]
pub fn neighbours(cases: &Neighbours, row: &[f64], scale: &[f64], count: usize) -> Vec<Neighbour> {
    if row.iter().any(|value| value.is_nan()) || row.len() != cases.rows.columns() {
        return Vec::new();
    }
    let mut near: Vec<Neighbour> = cases
        .rows
        .iter()
        .zip(&cases.outcomes)
        .enumerate()
        .map(|(place, (case, outcome))| Neighbour {
            place,
            distance: standardised(case, row, scale)
                .iter()
                .map(|z| z * z)
                .sum::<f64>()
                .sqrt(),
            outcome: outcome.clone(),
        })
        .collect();
    near.sort_by(|left, right| left.distance.total_cmp(&right.distance));
    near.truncate(count);
    near
}

#[cfg(test)]
mod tests;
