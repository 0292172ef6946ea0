//! Support vector machines. Must not fit anything.

use super::Labels;
use super::linear::best;
use super::transform::{Second, Transform, logistic, two};
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::Value;
use crate::error::RuntimeError;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

/// Kernel and its three numbers.
struct Likeness {
    kind: Kind,
    gamma: f32,
    added: f32,
    degree: f32,
}

impl Likeness {
    fn of(settings: &Settings<'_, '_>) -> Result<Self, RuntimeError> {
        let kind = match settings.text("kernel_type", "LINEAR") {
            "LINEAR" => Kind::Linear,
            "POLY" => Kind::Poly,
            "RBF" => Kind::Rbf,
            "SIGMOID" => Kind::Sigmoid,
            other => return Err(settings.wrong(format!("kernel_type {other:?} does not exist"))),
        };
        let [gamma, added, degree] = match settings.floats("kernel_params") {
            Some([gamma, added, degree, ..]) => [*gamma, *added, *degree],
            _ => [0.0, 0.0, 0.0],
        };
        Ok(Self {
            kind,
            gamma,
            added,
            degree,
        })
    }

    fn between(&self, a: &[f32], b: &[f32]) -> f32 {
        let dot = || -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        match self.kind {
            Kind::Linear => dot(),
            Kind::Poly => (self.gamma * dot() + self.added).powf(self.degree),
            Kind::Sigmoid => (self.gamma * dot() + self.added).tanh(),
            Kind::Rbf => {
                let distance: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
                (-self.gamma * distance).exp()
            }
        }
    }
}

fn rows_of<'v>(
    call: &Call<'v>,
) -> Result<(usize, usize, std::borrow::Cow<'v, [f32]>), RuntimeError> {
    let value = call.input(0)?;
    let (rows, columns) = value.rows();
    Ok((rows, columns, value.floats()?))
}

/// `SVMRegressor`.
pub fn regressor(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let likeness = Likeness::of(settings)?;
    let transform = Transform::of(settings)?;
    let vectors = settings
        .floats("support_vectors")
        .unwrap_or_default()
        .to_vec();
    let weights = settings.floats("coefficients").unwrap_or_default().to_vec();
    let added = settings
        .floats("rho")
        .and_then(<[f32]>::first)
        .copied()
        .unwrap_or(0.0);
    let count = usize::try_from(settings.int("n_supports", 0)).unwrap_or(0);
    let one_class = settings.int("one_class", 0) != 0;
    if (count > 0 && weights.len() != count) || !vectors.len().is_multiple_of(count.max(1)) {
        return Err(settings.wrong("supports, coefficients and n_supports do not agree"));
    }
    Ok(kernel(move |call| {
        let (rows, columns, values) = rows_of(call)?;
        let width = if count > 0 {
            vectors.len().checked_div(count).unwrap_or(0)
        } else {
            weights.len()
        };
        if columns != width {
            return Err(call.wrong(format!("{columns} features came, the model has {width}")));
        }
        let mut out = Vec::with_capacity(rows);
        for row in values.chunks_exact(columns.max(1)).take(rows) {
            call.go_on()?;
            let sum: f32 = if count > 0 {
                vectors
                    .chunks_exact(width.max(1))
                    .zip(&weights)
                    .map(|(vector, weight)| weight * likeness.between(row, vector))
                    .sum()
            } else {
                likeness.between(row, &weights)
            };
            let mut score = [sum + added];
            if one_class {
                score = [if score[0] > 0.0 { 1.0 } else { -1.0 }];
            } else if transform == Transform::Probit {
                transform.apply(&mut score);
            }
            out.extend(score);
        }
        Ok(vec![Value::f32(vec![rows, 1], out)])
    }))
}

/// A classifier by pairs of classes, or linear where it has no vectors.
struct Machine {
    likeness: Likeness,
    transform: Transform,
    labels: Labels,
    vectors: Vec<f32>,
    weights: Vec<f32>,
    added: Vec<f32>,
    slopes: Vec<f32>,
    shifts: Vec<f32>,
    /// Vectors of each class; empty: the model is linear.
    counts: Vec<usize>,
    classes: usize,
}

/// `SVMClassifier`.
pub fn classifier(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let floats = |name: &str| settings.floats(name).unwrap_or_default().to_vec();
    let labels = Labels::of(settings, "classlabels_ints", "classlabels_strings");
    let counts: Vec<usize> = settings
        .ints("vectors_per_class")
        .unwrap_or_default()
        .iter()
        .map(|count| usize::try_from(*count).unwrap_or(0))
        .collect();
    let machine = Machine {
        likeness: Likeness::of(settings)?,
        transform: Transform::of(settings)?,
        classes: if counts.is_empty() {
            labels.len()
        } else {
            counts.len()
        },
        labels,
        vectors: floats("support_vectors"),
        weights: floats("coefficients"),
        added: floats("rho"),
        slopes: floats("prob_a"),
        shifts: floats("prob_b"),
        counts,
    };
    machine.check(settings)?;
    Ok(kernel(move |call| machine.run(call)))
}

impl Machine {
    fn supports(&self) -> usize {
        self.counts
            .iter()
            .fold(0, |sum, count| usize::saturating_add(sum, *count))
    }

    fn check(&self, settings: &Settings<'_, '_>) -> Result<(), RuntimeError> {
        let pairs = self.classes * self.classes.saturating_sub(1) / 2;
        let supports = self.supports();
        let fits = if self.counts.is_empty() {
            self.classes > 0
                && self.weights.len().is_multiple_of(self.classes)
                && !self.added.is_empty()
        } else {
            self.classes > 1
                && self.classes <= 4096
                && supports > 0
                && self.vectors.len().is_multiple_of(supports)
                && self.weights.len() == supports.saturating_mul(self.classes - 1)
                && self.added.len() == pairs
                && self.labels.len() == self.classes
                && (self.slopes.is_empty() || self.slopes.len() == pairs)
                && self.slopes.len() == self.shifts.len()
        };
        if fits {
            Ok(())
        } else {
            Err(settings.wrong("vectors, coefficients, rho, prob_a and labels do not agree"))
        }
    }

    fn run(&self, call: &Call<'_>) -> Result<Vec<Value>, RuntimeError> {
        let (rows, columns, values) = rows_of(call)?;
        let width = if self.counts.is_empty() {
            self.weights.len() / self.classes
        } else {
            self.vectors.len() / self.supports()
        };
        if columns != width {
            return Err(call.wrong(format!("{columns} features came, the model has {width}")));
        }
        let (mut places, mut out) = (Vec::with_capacity(rows), Vec::new());
        for row in values.chunks_exact(columns.max(1)).take(rows) {
            call.go_on()?;
            places.push(if self.counts.is_empty() {
                self.linear(row, &mut out)
            } else {
                self.by_pairs(row, &mut out)
            });
        }
        let each = out.len().checked_div(rows).unwrap_or(self.classes);
        Ok(vec![
            self.labels.pick(&places),
            Value::f32(vec![rows, each], out),
        ])
    }

    fn linear(&self, row: &[f32], out: &mut Vec<f32>) -> usize {
        let added = self.added.first().copied().unwrap_or(0.0);
        let from = out.len();
        out.extend(
            self.weights
                .chunks_exact(row.len().max(1))
                .map(|weights| self.likeness.between(row, weights) + added),
        );
        let scores = out.get_mut(from..).unwrap_or_default();
        let place = best(scores);
        self.transform.apply(scores);
        place
    }

    fn by_pairs(&self, row: &[f32], out: &mut Vec<f32>) -> usize {
        let (scores, votes) = self.duel(row);
        if !self.slopes.is_empty() {
            let estimates = self.probabilities(&scores);
            let place = most(&votes); // as training does; the likeliest class may be another
            let from = out.len();
            out.extend(estimates);
            self.transform
                .apply(out.get_mut(from..).unwrap_or_default());
            return place;
        }
        let place = most(&votes);
        match scores.as_slice() {
            [one] => {
                // Two classes: one score becomes two.
                let how = match self.transform {
                    Transform::None => Second::Mirror,
                    _ => Second::Complement,
                };
                out.extend(two(*one, how, self.transform));
            }
            many => {
                let from = out.len();
                out.extend_from_slice(many);
                self.transform
                    .apply(out.get_mut(from..).unwrap_or_default());
            }
        }
        place
    }

    /// One score for each pair of classes, and how many pairs each class won.
    fn duel(&self, row: &[f32]) -> (Vec<f32>, Vec<u32>) {
        let supports = self.supports();
        let likeness: Vec<f32> = self
            .vectors
            .chunks_exact(row.len().max(1))
            .map(|vector| self.likeness.between(row, vector))
            .collect();
        let mut starts = Vec::with_capacity(self.classes);
        let mut start = 0;
        for count in &self.counts {
            starts.push(start);
            start += count;
        }
        let part = |class: usize, line: usize| -> f32 {
            let (from, count) = (
                starts.get(class).copied().unwrap_or(0),
                self.counts.get(class).copied().unwrap_or(0),
            );
            let weights = self
                .weights
                .get(line * supports + from..line * supports + from + count);
            let likeness = likeness.get(from..from + count);
            weights
                .unwrap_or_default()
                .iter()
                .zip(likeness.unwrap_or_default())
                .map(|(a, b)| a * b)
                .sum()
        };
        let mut scores = Vec::new();
        let mut votes = vec![0; self.classes];
        for i in 0..self.classes {
            for j in i + 1..self.classes {
                let added = self.added.get(scores.len()).copied().unwrap_or(0.0);
                let score = part(i, j - 1) + part(j, i) + added;
                if let Some(vote) = votes.get_mut(if score > 0.0 { i } else { j }) {
                    *vote += 1;
                }
                scores.push(score);
            }
        }
        (scores, votes)
    }

    /// Probabilities of classes from those of pairs (Wu, Lin and Weng 2004, second method).
    fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        let n = self.classes;
        let mut pairs = vec![0.0_f32; n * n];
        let mut number = 0;
        for i in 0..n {
            for j in i + 1..n {
                let at = |list: &[f32]| list.get(number).copied().unwrap_or(0.0);
                let p = 1.0 - logistic(at(scores) * at(&self.slopes) + at(&self.shifts));
                let p = p.clamp(1e-7, 1.0 - 1e-7);
                if let Some(place) = pairs.get_mut(i * n + j) {
                    *place = p;
                }
                if let Some(place) = pairs.get_mut(j * n + i) {
                    *place = 1.0 - p;
                }
                number += 1;
            }
        }
        coupled(n, &pairs)
    }
}

fn coupled(n: usize, pairs: &[f32]) -> Vec<f32> {
    let r = |i: usize, j: usize| pairs.get(i * n + j).copied().unwrap_or(0.0);
    let q = |i: usize, j: usize| {
        if i == j {
            (0..n).filter(|k| *k != i).map(|k| r(k, i) * r(k, i)).sum()
        } else {
            -r(j, i) * r(i, j)
        }
    };
    let mut p = vec![1.0 / n as f32; n];
    for _ in 0..100 {
        let mut products: Vec<f32> = (0..n)
            .map(|i| p.iter().enumerate().map(|(j, p)| q(i, j) * p).sum())
            .collect();
        let mut total: f32 = p.iter().zip(&products).map(|(a, b)| a * b).sum();
        let error = products
            .iter()
            .map(|v| (v - total).abs())
            .fold(0.0, f32::max);
        if error < 0.005 / n as f32 {
            break;
        }
        for i in 0..n {
            let change = (total - products.get(i).copied().unwrap_or(0.0)) / q(i, i);
            let scale = 1.0 + change;
            if let Some(one) = p.get_mut(i) {
                *one += change;
            }
            let own = products.get(i).copied().unwrap_or(0.0);
            total = (total + change * (change * q(i, i) + 2.0 * own)) / scale / scale;
            for (j, (product, one)) in products.iter_mut().zip(p.iter_mut()).enumerate() {
                *product = (*product + change * q(i, j)) / scale;
                *one /= scale;
            }
        }
    }
    p
}

fn most(votes: &[u32]) -> usize {
    let top = votes.iter().max();
    votes.iter().position(|vote| Some(vote) == top).unwrap_or(0)
}
