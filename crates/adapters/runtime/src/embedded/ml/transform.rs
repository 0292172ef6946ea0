//! What a model's raw scores become: the `post_transform` of ai.onnx.ml. Must not know which model made them.

use crate::embedded::kernel::Settings;
use crate::error::RuntimeError;

/// The transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// As they are.
    None,
    /// Each through the logistic function.
    Logistic,
    /// Over the row.
    Softmax,
    /// Over the row, zeros left alone.
    SoftmaxZero,
    /// Each through the inverse of the normal distribution.
    Probit,
}

impl Transform {
    /// From the setting's text.
    pub fn of(settings: &Settings<'_, '_>) -> Result<Self, RuntimeError> {
        Ok(match settings.text("post_transform", "NONE") {
            "NONE" => Self::None,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX" => Self::Softmax,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            other => return Err(settings.wrong(format!("post_transform {other:?} does not exist"))),
        })
    }

    /// From the number that `TreeEnsemble` uses.
    pub fn of_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Logistic,
            2 => Self::Softmax,
            3 => Self::SoftmaxZero,
            4 => Self::Probit,
            _ => return None,
        })
    }

    /// Applied to one row.
    pub fn apply(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => row.iter_mut().for_each(|v| *v = logistic(*v)),
            Self::Softmax => softmax(row),
            Self::SoftmaxZero => softmax_zero(row),
            Self::Probit => row.iter_mut().for_each(|v| *v = probit(*v)),
        }
    }
}

/// 1 / (1 + e^-x), without overflow.
pub fn logistic(x: f32) -> f32 {
    let v = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - v } else { v }
}

fn probit(x: f32) -> f32 {
    std::f32::consts::SQRT_2 * inverse_erf(2.0 * x - 1.0)
}

/// Winitzki's approximation, with the constants that ONNX Runtime uses, so that answers agree.
#[expect(
    clippy::approx_constant,
    reason = "the digits of the runtime it agrees with"
)]
fn inverse_erf(x: f32) -> f32 {
    let sign = if x < 0.0 { -1.0 } else { 1.0 };
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let first = 2.0 / (3.14159 * 0.147) + 0.5 * log;
    let second = 1.0 / 0.147 * log;
    sign * (-first + (first * first - second).sqrt()).sqrt()
}

fn greatest(row: &[f32]) -> f32 {
    row.iter().copied().fold(f32::MIN, f32::max)
}

/// Over the row; the greatest is taken off first.
pub fn softmax(row: &mut [f32]) {
    let top = greatest(row);
    for v in row.iter_mut() {
        *v = (*v - top).exp();
    }
    let sum: f32 = row.iter().sum();
    for v in row.iter_mut() {
        *v /= sum;
    }
}

fn softmax_zero(row: &mut [f32]) {
    let top = greatest(row);
    let scale = (-top).exp();
    let mut sum = 0.0;
    for v in row.iter_mut() {
        if v.abs() > 1e-7 {
            *v = (*v - top).exp();
            sum += *v;
        } else {
            *v *= scale;
        }
    }
    for v in row.iter_mut() {
        *v /= sum;
    }
}

/// How one score of two classes becomes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// Scores are probabilities: 1 - p and p.
    Complement,
    /// Scores have a sign: -s and s (through the logistic function where asked).
    Mirror,
}

/// The row of a binary model with one raw score. Its probit has no second column that anybody defines: it is
/// the complement of the first.
pub fn two(score: f32, second: Second, transform: Transform) -> [f32; 2] {
    match (second, transform) {
        (_, Transform::Logistic) => [logistic(-score), logistic(score)],
        (_, Transform::Probit) => [probit(score), 1.0 - probit(score)],
        (Second::Complement, _) => [1.0 - score, score],
        (Second::Mirror, _) => [-score, score],
    }
}
