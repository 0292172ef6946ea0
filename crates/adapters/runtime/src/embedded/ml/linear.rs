//! Linear models. Must not fit anything.

use super::Labels;
use super::transform::Transform;
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::Value;
use crate::error::RuntimeError;

/// Weights as rows of one target each, with what is added.
struct Linear {
    weights: Vec<f32>,
    added: Vec<f32>,
    targets: usize,
}

impl Linear {
    fn scores(&self, call: &Call<'_>) -> Result<(usize, Vec<f32>), RuntimeError> {
        let value = call.input(0)?;
        let (rows, columns) = value.rows();
        if columns.saturating_mul(self.targets) != self.weights.len() {
            return Err(call.wrong(format!(
                "{columns} features came, the model has {} weights for {} targets",
                self.weights.len(),
                self.targets
            )));
        }
        call.memory.claim((rows * self.targets * 4) as u64)?;
        let values = value.floats()?;
        let mut scores = Vec::with_capacity(rows * self.targets);
        for row in values.chunks_exact(columns.max(1)).take(rows) {
            for target in 0..self.targets {
                let weights = self
                    .weights
                    .get(target * columns..(target + 1) * columns)
                    .unwrap_or_default();
                let sum: f32 = row.iter().zip(weights).map(|(a, b)| a * b).sum();
                scores.push(sum + self.added.get(target).copied().unwrap_or(0.0));
            }
        }
        Ok((rows, scores))
    }
}

/// `LinearClassifier`.
pub fn classifier(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let transform = Transform::of(settings)?;
    let labels = Labels::of(settings, "classlabels_ints", "classlabels_strings");
    let added = settings.floats("intercepts").unwrap_or_default().to_vec();
    let weights = settings.floats("coefficients").unwrap_or_default().to_vec();
    let targets = if added.is_empty() {
        labels.len()
    } else {
        added.len()
    };
    if targets == 0 || weights.is_empty() {
        return Err(settings.wrong("there are no intercepts or no coefficients"));
    }
    if targets > 1 && labels.len() < targets {
        return Err(settings.wrong(format!("{targets} classes and {} labels", labels.len())));
    }
    let model = Linear {
        weights,
        added,
        targets,
    };
    let second = targets == 1 && labels.len() == 2;
    Ok(kernel(move |call| {
        let (rows, scores) = model.scores(call)?;
        let places: Vec<usize> = scores
            .chunks_exact(targets)
            .map(|row| match row {
                [one] => usize::from(*one > 0.0),
                many => best(many),
            })
            .collect();
        let mut out = Vec::with_capacity(rows * targets.max(2));
        for row in scores.chunks_exact(targets) {
            match row {
                [one] if second => out.extend(binary(*one, transform)),
                many => {
                    let from = out.len();
                    out.extend_from_slice(many);
                    transform.apply(out.get_mut(from..).unwrap_or_default());
                }
            }
        }
        let width = if second { 2 } else { targets };
        Ok(vec![
            labels.pick(&places),
            Value::f32(vec![rows, width], out),
        ])
    }))
}

/// One score of two classes: the complement, of the logistic where asked.
fn binary(score: f32, transform: Transform) -> [f32; 2] {
    match transform {
        Transform::Logistic => {
            let p = super::transform::logistic(score);
            [1.0 - p, p]
        }
        _ => [1.0 - score, score],
    }
}

/// The first of the greatest.
pub fn best(row: &[f32]) -> usize {
    let mut found = (0, f32::NEG_INFINITY);
    for (place, score) in row.iter().enumerate() {
        if place == 0 || *score > found.1 {
            found = (place, *score);
        }
    }
    found.0
}

/// `LinearRegressor`.
pub fn regressor(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let transform = Transform::of(settings)?;
    let targets = usize::try_from(settings.int("targets", 1))
        .ok()
        .filter(|targets| (1..=1_000_000).contains(targets))
        .ok_or_else(|| settings.wrong("the number of targets is not positive"))?;
    let model = Linear {
        weights: settings.floats("coefficients").unwrap_or_default().to_vec(),
        added: settings.floats("intercepts").unwrap_or_default().to_vec(),
        targets,
    };
    Ok(kernel(move |call| {
        let (rows, mut scores) = model.scores(call)?;
        // One target is left alone but for the probit: as ONNX Runtime does.
        if targets > 1 || transform == Transform::Probit {
            scores
                .chunks_exact_mut(targets)
                .for_each(|row| transform.apply(row));
        }
        Ok(vec![Value::f32(vec![rows, targets], scores)])
    }))
}
