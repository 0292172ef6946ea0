//! Shapley values of any function: exact by enumeration of coalitions (Shapley 1953; value function v(S) =
//! mean over the background of f(x_S, b_rest)), or by antithetic pairs of permutations (Mitchell et al., JMLR
//! 23, 2022, section 2.3; Strumbelj and Kononenko 2014) stratified over the background. The model is asked in
//! few large batches.

use crate::chance::Chance;
use crate::matrix::Matrix;

use super::{Attribution, ExplainError, Function, Method, column};

/// Most features that are enumerated: 4,096 coalitions.
pub const MOST_EXACT: usize = 12;
/// Most rows in one call of the model.
const BATCH_ROWS: usize = 65_536;

fn fits<E>(row: &[f64], background: &Matrix) -> Result<(), ExplainError<E>> {
    if background.rows() > 0 && background.columns() == row.len() {
        return Ok(());
    }
    Err(ExplainError::Background {
        found: background.columns(),
        wanted: row.len(),
    })
}

/// Exact values of one column of the answer: 2^M coalitions over the background, in batches.
///
/// # Errors
/// [`ExplainError`]; [`ExplainError::TooMany`] beyond [`MOST_EXACT`] features.
pub fn exact<E>(
    row: &[f64],
    background: &Matrix,
    output: usize,
    model: Function<'_, E>,
) -> Result<Attribution, ExplainError<E>> {
    fits(row, background)?;
    let features = row.len();
    if features > MOST_EXACT {
        return Err(ExplainError::TooMany(features));
    }
    let worth = coalitions(row, background, output, model)?;
    let full = worth.len() - 1;
    let weights = weights(features);
    let values = (0..features)
        .map(|feature| {
            let bit = 1_usize << feature;
            worth
                .iter()
                .enumerate()
                .filter(|(set, _)| set & bit == 0)
                .map(|(set, without)| {
                    let with = worth.get(set | bit).copied().unwrap_or_default();
                    let size = set.count_ones() as usize;
                    weights.get(size).copied().unwrap_or_default() * (with - without)
                })
                .sum()
        })
        .collect();
    Ok(Attribution {
        base: worth.first().copied().unwrap_or_default(),
        output: worth.get(full).copied().unwrap_or_default(),
        values,
        errors: vec![0.0; features],
        method: Method::Enumerated,
    })
}

/// |S|! (M - |S| - 1)! / M! by size of S.
fn weights(features: usize) -> Vec<f64> {
    // w(0) = 1/M; w(s) = w(s - 1) s / (M - s).
    let mut weights = Vec::with_capacity(features);
    let mut weight = 1.0 / features.max(1) as f64;
    for size in 0..features {
        if size > 0 {
            weight *= size as f64 / (features - size) as f64;
        }
        weights.push(weight);
    }
    weights
}

/// v(S) for every S, whose bits are features taken from the case. The full set needs one row only.
fn coalitions<E>(
    row: &[f64],
    background: &Matrix,
    output: usize,
    model: Function<'_, E>,
) -> Result<Vec<f64>, ExplainError<E>> {
    let sets = 1_usize << row.len();
    let count = background.rows();
    let at_once = (BATCH_ROWS / count).max(1);
    let mut worth = Vec::with_capacity(sets);
    let mut from = 0;
    while from < sets - 1 {
        let to = (from + at_once).min(sets - 1);
        let mut values = Vec::with_capacity((to - from) * count * row.len());
        for set in from..to {
            for other in background.iter() {
                values.extend(
                    row.iter()
                        .zip(other)
                        .enumerate()
                        .map(
                            |(place, (own, other))| {
                                if set >> place & 1 == 1 { *own } else { *other }
                            },
                        ),
                );
            }
        }
        let rows = rows_of(values, (to - from) * count, row.len());
        let answers = column(model, &rows, output)?;
        worth.extend(
            answers
                .chunks_exact(count)
                .map(|chunk| chunk.iter().sum::<f64>() / count as f64),
        );
        from = to;
    }
    let whole = column(model, &rows_of(row.to_vec(), 1, row.len()), output)?;
    worth.extend(whole);
    Ok(worth)
}

/// A matrix of values that were made to fill it.
fn rows_of(values: Vec<f64>, rows: usize, columns: usize) -> Matrix {
    Matrix::new(rows, columns, values).unwrap_or_else(|| Matrix::of_column(Vec::new()))
}

/// How long to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Seed of the permutations; the same seed gives the same values.
    pub seed: u64,
    /// Standard error of every value to stop at.
    pub bound: f64,
    /// Most rounds; in each round every background case has one pair of permutations.
    pub most_rounds: usize,
}

/// Sampled values of one column of the answer. Each pair starts at a background case and turns one feature
/// after another into the case's, in the order of a permutation and of its reverse. Rounds go over the whole
/// background, so that the values add up exactly; the error is that of the stratified mean, known after two
/// rounds.
///
/// # Errors
/// [`ExplainError`].
pub fn sampled<E>(
    row: &[f64],
    background: &Matrix,
    output: usize,
    sampling: Sampling,
    model: Function<'_, E>,
) -> Result<Attribution, ExplainError<E>> {
    fits(row, background)?;
    let features = row.len();
    let starts = column(model, background, output)?;
    let whole = column(model, &rows_of(row.to_vec(), 1, features), output)?;
    let end = whole.first().copied().unwrap_or_default();
    let mut chance = Chance::new(sampling.seed);
    let mut tally = Tally::new(background.rows(), features);
    let mut errors = vec![f64::INFINITY; features];
    let mut settled = false;
    for round in 1..=sampling.most_rounds.max(2) {
        one_round(
            row,
            background,
            output,
            model,
            &mut chance,
            &mut tally,
            (&starts, end),
        )?;
        if round >= 2 {
            errors = tally.errors(round);
            settled = errors.iter().all(|error| *error <= sampling.bound);
            if settled {
                break;
            }
        }
    }
    let pairs = tally.pairs;
    Ok(Attribution {
        base: starts.iter().sum::<f64>() / starts.len() as f64,
        output: end,
        values: tally.means(),
        errors,
        method: Method::Sampled { pairs, settled },
    })
}

/// Sums and squares of pair estimates, for each background case and feature.
struct Tally {
    features: usize,
    pairs: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Tally {
    fn new(cases: usize, features: usize) -> Self {
        Self {
            features,
            pairs: 0,
            sums: vec![0.0; cases * features],
            squares: vec![0.0; cases * features],
        }
    }
    fn add(&mut self, case: usize, estimate: &[f64]) {
        let from = case * self.features;
        let sums = self.sums.iter_mut().skip(from);
        let squares = self.squares.iter_mut().skip(from);
        for ((value, sum), square) in estimate.iter().zip(sums).zip(squares) {
            *sum += value;
            *square += value * value;
        }
        self.pairs += 1;
    }
    fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.features];
        for case in self.sums.chunks_exact(self.features.max(1)) {
            for (mean, sum) in means.iter_mut().zip(case) {
                *mean += sum / self.pairs as f64;
            }
        }
        means
    }
    /// sqrt(within-case variance / pairs).
    fn errors(&self, rounds: usize) -> Vec<f64> {
        let mut within = vec![0.0; self.features];
        let sums = self.sums.chunks_exact(self.features.max(1));
        let squares = self.squares.chunks_exact(self.features.max(1));
        for (sums, squares) in sums.zip(squares) {
            for ((within, sum), square) in within.iter_mut().zip(sums).zip(squares) {
                *within += (square - sum * sum / rounds as f64).max(0.0);
            }
        }
        let cases = self.pairs / rounds;
        let freedom = (cases * (rounds - 1)) as f64;
        within
            .into_iter()
            .map(|within| (within / freedom / self.pairs as f64).sqrt())
            .collect()
    }
}

/// One pair for every background case, in batches of whole pairs.
fn one_round<E>(
    row: &[f64],
    background: &Matrix,
    output: usize,
    model: Function<'_, E>,
    chance: &mut Chance,
    tally: &mut Tally,
    (starts, end): (&[f64], f64),
) -> Result<(), ExplainError<E>> {
    let features = row.len();
    let steps = features.saturating_sub(1);
    let at_once = (BATCH_ROWS / (2 * steps).max(1)).max(1);
    let cases: Vec<usize> = (0..background.rows()).collect();
    for batch in cases.chunks(at_once) {
        let mut orders = Vec::with_capacity(batch.len());
        let mut values = Vec::with_capacity(batch.len() * 2 * steps * features);
        for case in batch {
            let mut order: Vec<usize> = (0..features).collect();
            chance.shuffle(&mut order);
            path(row, background.row(*case), order.iter(), &mut values);
            path(row, background.row(*case), order.iter().rev(), &mut values);
            orders.push(order);
        }
        let answers = if steps == 0 {
            Vec::new()
        } else {
            let rows = rows_of(values, batch.len() * 2 * steps, features);
            column(model, &rows, output)?
        };
        let mut rest = answers.as_slice();
        for (case, order) in batch.iter().zip(&orders) {
            let start = starts.get(*case).copied().unwrap_or_default();
            let mut estimate = vec![0.0; features];
            let forward = rest.split_off(..steps).unwrap_or_default();
            credit(start, forward, end, order.iter(), &mut estimate);
            let backward = rest.split_off(..steps).unwrap_or_default();
            credit(start, backward, end, order.iter().rev(), &mut estimate);
            tally.add(*case, &estimate);
        }
    }
    Ok(())
}

/// The rows between a background case and the case: without both ends.
fn path<'a>(
    row: &[f64],
    start: &[f64],
    order: impl ExactSizeIterator<Item = &'a usize>,
    into: &mut Vec<f64>,
) {
    let mut now = start.to_vec();
    let inner = order.len().saturating_sub(1);
    for place in order.take(inner) {
        if let (Some(cell), Some(own)) = (now.get_mut(*place), row.get(*place)) {
            *cell = *own;
        }
        into.extend_from_slice(&now);
    }
}

/// Half of each step's difference, to the feature that was turned.
fn credit<'a>(
    start: f64,
    between: &[f64],
    end: f64,
    order: impl Iterator<Item = &'a usize>,
    estimate: &mut [f64],
) {
    let mut before = start;
    for (place, after) in order.zip(between.iter().chain([&end])) {
        if let Some(cell) = estimate.get_mut(*place) {
            *cell += (after - before) / 2.0;
        }
        before = *after;
    }
}
