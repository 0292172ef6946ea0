//! Whether the world a model meets is still the one it was made in: inputs and outputs against the
//! package's reference cases, coverage and calibration against late truth, performance by slice. Every alarm
//! has a declared rate of false alarms, which simulation tests check. Must not alarm on a number whose noise
//! is larger than its threshold, and must not show a share of a handful of people.

mod psi;
mod slices;
mod two_samples;
mod watch;

pub use psi::{FeatureDrift, FeatureState, LEAST_EXPECTED, Psi, bin, psi, screen};
pub use slices::{Case, Estimate, Slice, SlicePolicy, slice, wilson};
pub use two_samples::{Ks, Mmd, ks, mmd};
pub use watch::{Watch, WatchError};

/// Which hypotheses are rejected while the expected share of false rejections stays below the level
/// (Benjamini and Hochberg, JRSS B 57, 1995). Keeps the order of the p-values.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64], level: f64) -> Vec<bool> {
    let count = p_values.len() as f64;
    let mut sorted: Vec<f64> = p_values.iter().copied().filter(|p| !p.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let limit = sorted
        .iter()
        .enumerate()
        .filter(|(place, p)| **p <= level * (*place + 1) as f64 / count)
        .map(|(_, p)| *p)
        .next_back();
    p_values
        .iter()
        .map(|p| limit.is_some_and(|limit| *p <= limit))
        .collect()
}

#[cfg(test)]
mod tests;
