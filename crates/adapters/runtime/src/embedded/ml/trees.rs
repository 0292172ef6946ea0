//! Tree ensembles of all three operators, brought into one flat form. Must not loop for ever on a forest whose
//! nodes point in a circle: that is refused when the model is loaded.

mod forest;
mod read;

use super::Labels;
use super::transform::{Second, Transform, two};
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::Value;
use crate::error::RuntimeError;
use crate::tensor::{TensorData, TensorKind};
use forest::{Aggregate, Forest, Scores};

/// Rows between two looks at whether to go on.
const ROWS_BETWEEN_LOOKS: usize = 64;

/// Runs `each` for every row of features with its raw scores.
fn for_each_row(
    call: &Call<'_>,
    forest: &Forest,
    mut each: impl FnMut(&mut Scores) -> Result<(), RuntimeError>,
) -> Result<usize, RuntimeError> {
    let value = call.input(0)?;
    let (rows, columns) = value.rows();
    if columns < forest.features {
        return Err(call.wrong(format!(
            "{columns} features came, the trees look at {}",
            forest.features
        )));
    }
    let values = value
        .data
        .to_f64()
        .ok_or_else(|| call.wrong("wanted numbers"))?;
    call.memory.claim((rows * forest.targets * 8) as u64)?;
    let wide = value.kind() == TensorKind::F64;
    let mut scores = Scores::new(forest.targets);
    for (place, row) in values.chunks_exact(columns.max(1)).take(rows).enumerate() {
        if place % ROWS_BETWEEN_LOOKS == 0 {
            call.go_on()?;
        }
        forest.score(row, wide, &mut scores);
        each(&mut scores)?;
    }
    Ok(rows)
}

/// `TreeEnsembleRegressor`.
pub fn regressor(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let targets = read::count(settings, "n_targets", 1)?;
    let aggregate = match settings.text("aggregate_function", "SUM") {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return Err(settings.wrong(format!("aggregate_function {other:?} does not exist"))),
    };
    let forest = read::forest(settings, "target", targets, aggregate)?;
    let transform = Transform::of(settings)?;
    let base = read::base_values(settings)?;
    Ok(kernel(move |call| {
        let mut out: Vec<f32> = Vec::new();
        let rows = for_each_row(call, &forest, |scores| {
            regress(scores, &base, transform, &mut out);
            Ok(())
        })?;
        Ok(vec![Value::f32(vec![rows, targets], out)])
    }))
}

/// Base values are added where there is one for each target and a leaf spoke of the target.
fn regress(scores: &mut Scores, base: &[f64], transform: Transform, out: &mut Vec<f32>) {
    if base.len() == scores.values.len() {
        let alone = scores.values.len() == 1;
        for ((score, told), base) in scores.values.iter_mut().zip(&scores.told).zip(base) {
            if *told || alone {
                *score += base;
            }
        }
    }
    let from = out.len();
    out.extend(scores.values.iter().map(|score| *score as f32));
    // One target is left alone but for the probit: as ONNX Runtime does.
    if scores.values.len() > 1 || transform == Transform::Probit {
        transform.apply(out.get_mut(from..).unwrap_or_default());
    }
}

/// `TreeEnsemble` (ai.onnx.ml 5): answers in the type it was asked in.
pub fn ensemble(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let targets = read::count(settings, "n_targets", 1)?;
    let aggregate = match settings.int("aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => return Err(settings.wrong(format!("aggregate_function {other} does not exist"))),
    };
    let transform = Transform::of_number(settings.int("post_transform", 0))
        .ok_or_else(|| settings.wrong("this post_transform does not exist"))?;
    let forest = read::forest_of_leaves(settings, targets, aggregate)?;
    Ok(kernel(move |call| {
        let wide = call.input(0)?.kind() == TensorKind::F64;
        let (mut narrow, mut doubles) = (Vec::new(), Vec::new());
        let rows = for_each_row(call, &forest, |scores| {
            if wide && transform == Transform::None {
                doubles.extend_from_slice(&scores.values);
            } else {
                regress(scores, &[], transform, &mut narrow);
            }
            Ok(())
        })?;
        let data = match (wide, transform) {
            (true, Transform::None) => TensorData::F64(doubles),
            (true, _) => TensorData::F64(narrow.into_iter().map(f64::from).collect()),
            (false, _) => TensorData::F32(narrow),
        };
        Ok(vec![Value {
            shape: vec![rows, targets],
            data,
        }])
    }))
}

/// What a classifier knows besides its trees.
struct Classes {
    labels: Labels,
    base: Vec<f64>,
    transform: Transform,
    /// Two classes whose weights all speak of one.
    binary: bool,
    /// No weight is negative: the score of a binary model is a probability.
    positive: bool,
}

/// `TreeEnsembleClassifier`.
pub fn classifier(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let labels = Labels::of(settings, "classlabels_int64s", "classlabels_strings");
    let count = labels.len();
    if count == 0 {
        return Err(settings.wrong("there are no class labels"));
    }
    let forest = read::forest(settings, "class", count, Aggregate::Sum)?;
    let base = read::base_values(settings)?;
    if ![0, count].contains(&base.len()) && (count > 2 || base.len() != 1) {
        return Err(settings.wrong(format!("{} base values for {count} classes", base.len())));
    }
    // ONNX leaves open what a base value is then, and ONNX Runtime drops one of the scores.
    let unclear = match base.len() {
        2 => count == 2 && forest.speaks_of(1),
        1 => count == 2 && !forest.has_one_target(),
        _ => false,
    };
    if unclear {
        return Err(settings.unsupported("base values of two classes that both have weights"));
    }
    let model = Classes {
        base,
        transform: Transform::of(settings)?,
        binary: count == 2 && forest.has_one_target(),
        positive: forest.is_never_negative(),
        labels,
    };
    Ok(kernel(move |call| {
        let (mut places, mut out) = (Vec::new(), Vec::new());
        let rows = for_each_row(call, &forest, |scores| {
            places.push(if count > 2 {
                model.many(scores, &mut out)
            } else {
                model.few(scores, &mut out)
            });
            Ok(())
        })?;
        Ok(vec![
            model.labels.pick(&places),
            Value::f32(vec![rows, count], out),
        ])
    }))
}

impl Classes {
    fn write(&self, values: &[f64], out: &mut Vec<f32>) {
        let from = out.len();
        out.extend(values.iter().map(|score| *score as f32));
        self.transform
            .apply(out.get_mut(from..).unwrap_or_default());
    }

    /// Three classes and more: the greatest score wins, the first of equal ones.
    fn many(&self, scores: &mut Scores, out: &mut Vec<f32>) -> usize {
        for (place, base) in self.base.iter().enumerate() {
            scores.add(place, *base);
        }
        let mut best: Option<(usize, f64)> = None;
        for (place, (score, told)) in scores.values.iter().zip(&scores.told).enumerate() {
            if *told && best.is_none_or(|(_, so_far)| *score > so_far) {
                best = Some((place, *score));
            }
        }
        self.write(&scores.values, out);
        best.map_or(0, |(place, _)| place)
    }

    /// One or two classes. With two, a model may tell the score of one of them only.
    fn few(&self, scores: &mut Scores, out: &mut Vec<f32>) -> usize {
        let told_second = scores.told.get(1).copied().unwrap_or(false);
        let [first, second] = match scores.values.as_slice() {
            [first, second] => [*first, *second],
            [one] => {
                let score = one + self.base.first().copied().unwrap_or(0.0);
                self.write(&[score], out);
                return usize::from(score > 0.0);
            }
            _ => return 0,
        };
        let told_first = scores.told.first().copied().unwrap_or(false);
        let base = |told: bool, place: usize| match self.base.get(place) {
            Some(base) if told => *base,
            _ => 0.0,
        };
        let (first, second) = (first + base(told_first, 0), second + base(told_second, 1));
        if told_second || self.base.len() == 2 {
            let place = self.wins(if told_second { second } else { first });
            self.write(&[first, second], out);
            return place;
        }
        let place = self.wins(first);
        let second = if self.binary && !self.positive {
            Second::Mirror
        } else {
            Second::Complement
        };
        out.extend(two(first as f32, second, self.transform));
        place
    }

    fn wins(&self, score: f64) -> usize {
        let threshold = if self.binary && self.positive {
            0.5
        } else {
            0.0
        };
        usize::from(score > threshold)
    }
}
