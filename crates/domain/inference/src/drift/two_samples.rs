//! Two samples compared without bins: Kolmogorov and Smirnov for one feature, the maximum mean discrepancy
//! for many at once.

use crate::chance::Chance;
use crate::matrix::Matrix;

/// Largest product of sample sizes whose exact distribution is computed.
const EXACT: usize = 1_000_000;

/// The largest distance of two distribution functions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ks {
    /// The distance.
    pub statistic: f64,
    /// The chance of at least this distance where both samples are of one distribution; with ties it is
    /// smaller than that, so that false alarms are rarer than stated.
    pub p: f64,
    /// Whether `p` is from the exact distribution.
    pub exact: bool,
}

/// Compares two samples; nothing where one is empty or holds NaN.
#[must_use]
pub fn ks(left: &[f64], right: &[f64]) -> Option<Ks> {
    let usable = |sample: &[f64]| !sample.is_empty() && sample.iter().all(|v| !v.is_nan());
    if !usable(left) || !usable(right) {
        return None;
    }
    let (mut left, mut right) = (left.to_vec(), right.to_vec());
    left.sort_by(f64::total_cmp);
    right.sort_by(f64::total_cmp);
    let (n, m) = (left.len(), right.len());
    // The distance in units of 1 / (n m), so that equal distances are equal.
    let steps = left
        .iter()
        .chain(&right)
        .map(|value| {
            let below = |sample: &[f64]| sample.partition_point(|v| v <= value);
            (below(&left) * m).abs_diff(below(&right) * n)
        })
        .max()?;
    let statistic = steps as f64 / (n * m) as f64;
    let exact = n.saturating_mul(m) <= EXACT;
    let p = if exact {
        exact_tail(n, m, steps)
    } else {
        let size = (n as f64 * m as f64 / (n + m) as f64).sqrt();
        smirnov_tail((size + 0.12 + 0.11 / size) * statistic)
    };
    Some(Ks {
        statistic,
        p,
        exact,
    })
}

/// P(D >= d) over all interleavings, by the recursion along lattice paths that stay below d (Kim and
/// Jennrich 1973, as in R's `psmirnov`).
fn exact_tail(n: usize, m: usize, steps: usize) -> f64 {
    if steps == 0 {
        return 1.0;
    }
    let (few, many) = (n.min(m), n.max(m));
    let inside = |i: usize, j: usize| (i * many).abs_diff(j * few) < steps;
    let mut line: Vec<f64> = (0..=many)
        .map(|j| f64::from(u8::from(inside(0, j))))
        .collect();
    for i in 1..=few {
        let weight = i as f64 / (i + many) as f64;
        let mut before = 0.0;
        for (j, cell) in line.iter_mut().enumerate() {
            *cell = if inside(i, j) {
                weight * *cell + before
            } else {
                0.0
            };
            before = *cell;
        }
    }
    (1.0 - line.last().copied().unwrap_or_default()).clamp(0.0, 1.0)
}

/// 2 sum (-1)^(k-1) exp(-2 k^2 z^2), the limit distribution with Stephens' correction made by the caller
/// (Press et al., "Numerical Recipes", 14.3).
fn smirnov_tail(z: f64) -> f64 {
    if z < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    let mut sign = 2.0;
    for k in 1..=100 {
        let k = f64::from(k);
        let term = (-2.0 * k * k * z * z).exp();
        sum += sign * term;
        if term < 1e-17 {
            break;
        }
        sign = -sign;
    }
    sum.clamp(0.0, 1.0)
}

/// A maximum mean discrepancy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mmd {
    /// The squared discrepancy (biased estimate, never negative).
    pub statistic: f64,
    /// The share of relabellings with at least this discrepancy, the observed one among them.
    pub p: f64,
    /// The kernel's bandwidth: the median distance of pairs.
    pub bandwidth: f64,
}

/// Compares two samples of rows with a Gaussian kernel whose bandwidth is the median distance (Gretton et
/// al., JMLR 13, 2012, equation 5 and section 5), by `relabellings` permutations drawn from the seed. Costs
/// (n + m)^2 for each of them. Columns must be of one scale: standardise first. Nothing where widths differ,
/// a sample has fewer than two rows or a number is NaN.
#[must_use]
pub fn mmd(left: &Matrix, right: &Matrix, relabellings: usize, seed: u64) -> Option<Mmd> {
    let fits = left.columns() == right.columns() && left.rows() > 1 && right.rows() > 1;
    let rows: Vec<&[f64]> = left.iter().chain(right.iter()).collect();
    if !fits || rows.iter().any(|row| row.iter().any(|v| v.is_nan())) {
        return None;
    }
    let mut squares: Vec<Vec<f64>> = rows
        .iter()
        .map(|a| {
            let to = |b: &&[f64]| a.iter().zip(*b).map(|(a, b)| (a - b).powi(2)).sum();
            rows.iter().map(to).collect()
        })
        .collect();
    let mut pairs: Vec<f64> = squares
        .iter()
        .enumerate()
        .flat_map(|(place, line)| line.iter().skip(place + 1).copied())
        .collect();
    let middle = pairs.len() / 2;
    let (_, median, _) = pairs.select_nth_unstable_by(middle, f64::total_cmp);
    let bandwidth = if *median > 0.0 { median.sqrt() } else { 1.0 };
    for line in &mut squares {
        for cell in line {
            *cell = (-*cell / (2.0 * bandwidth * bandwidth)).exp();
        }
    }
    // s' K s with s = 1/n for the left rows and -1/m for the right ones.
    let (n, m) = (left.rows() as f64, right.rows() as f64);
    let mut signs: Vec<f64> = (0..rows.len())
        .map(|place| {
            if place < left.rows() {
                1.0 / n
            } else {
                -1.0 / m
            }
        })
        .collect();
    let discrepancy = |signs: &[f64]| -> f64 {
        squares
            .iter()
            .zip(signs)
            .map(|(line, own)| own * line.iter().zip(signs).map(|(k, s)| k * s).sum::<f64>())
            .sum()
    };
    let statistic = discrepancy(&signs);
    let mut chance = Chance::new(seed);
    let mut at_least = 1_usize;
    for _ in 0..relabellings {
        chance.shuffle(&mut signs);
        // A relabelling that swaps nothing gives the same number up to rounding.
        at_least += usize::from(discrepancy(&signs) >= statistic - 1e-12);
    }
    Some(Mmd {
        statistic,
        p: at_least as f64 / (relabellings + 1) as f64,
        bandwidth,
    })
}
