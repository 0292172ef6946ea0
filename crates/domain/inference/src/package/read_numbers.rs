//! The numeric part of a manifest: steps, calibration, conformal scores and reference cases, each fitting
//! the inputs and outputs it is about.

use std::collections::BTreeMap;

use crate::calibrate::{Calibration, Isotonic, Platt, Temperature};
use crate::conformal::{Groups, Interval, Level, Scores, SetMethod, least_cases};
use crate::intake::FeatureKind;
use crate::matrix::Matrix;
use crate::outside::{Detector, Distance, EnergyDetector};
use crate::steps::{AfterStep, ImageStep, RowStep};

use super::error::ManifestError;
use super::manifest::{
    Bins, CalibrationSummary, Conformal, ConformalKind, Gives, Input, Inputs, Neighbours, Output,
    Reference, TensorSpec,
};
use super::raw;
use super::read::{Read, wrong};

/// Longest side of a resized image.
const SIDE: usize = 8_192;
/// Most values of a choice.
const CHOICES: usize = 4_096;

/// The fields a step was given, taken one by one: what is left over belongs to another step.
struct Fields {
    at: String,
    word: String,
    step: raw::Step,
}

impl Fields {
    fn new(list: &str, place: usize, mut step: raw::Step) -> Self {
        Self {
            at: format!("{list}[{place}]"),
            word: core::mem::take(&mut step.word),
            step,
        }
    }
    fn need<T>(&self, name: &str, value: Option<T>) -> Read<T> {
        value.ok_or_else(|| {
            let problem = format!("lacks {name}");
            ManifestError::new(
                self.at.clone(),
                problem,
                format!("step {} needs it", self.word),
            )
        })
    }
    fn number(&mut self, name: &str, of: fn(&mut raw::Step) -> &mut Option<f64>) -> Read<f64> {
        let value = of(&mut self.step).take();
        self.need(name, value)
    }
    fn count(
        &mut self,
        name: &str,
        most: usize,
        of: fn(&mut raw::Step) -> &mut Option<usize>,
    ) -> Read<usize> {
        let value = of(&mut self.step).take();
        let value = self.need(name, value)?;
        if value == 0 || value > most {
            let remedy = format!("give 1 to {most}");
            return Err(ManifestError::new(
                format!("{}.{name}", self.at),
                "is out of range",
                remedy,
            ));
        }
        Ok(value)
    }
    fn list(
        &mut self,
        name: &str,
        of: fn(&mut raw::Step) -> &mut Option<Vec<f64>>,
    ) -> Read<Vec<f64>> {
        let value = of(&mut self.step).take();
        self.need(name, value)
    }
    fn unknown<T>(&self, known: &str) -> Read<T> {
        let remedy = format!("use one of {known}");
        Err(ManifestError::new(
            format!("{}.step", self.at),
            "is no step here",
            remedy,
        ))
    }
    /// Nothing may be left.
    fn done<T>(self, made: T) -> Read<T> {
        let step = self.step;
        let left = [
            ("center", step.center.is_some()),
            ("scale", step.scale.is_some()),
            ("low", step.low.is_some()),
            ("high", step.high.is_some()),
            ("feature", step.feature.is_some()),
            ("slope", step.slope.is_some()),
            ("intercept", step.intercept.is_some()),
            ("middle", step.middle.is_some()),
            ("width", step.width.is_some()),
            ("rows", step.rows.is_some()),
            ("columns", step.columns.is_some()),
            ("mean", step.mean.is_some()),
            ("deviation", step.deviation.is_some()),
            ("channels", step.channels.is_some()),
        ];
        match left.into_iter().find(|(_, there)| *there) {
            Some((name, _)) => {
                let problem = format!("is not a field of step {}", self.word);
                Err(ManifestError::new(
                    format!("{}.{name}", self.at),
                    problem,
                    "take it out",
                ))
            }
            None => Ok(made),
        }
    }
}

fn positive(at: &str, name: &str, values: &[f64]) -> Read<()> {
    if values.iter().all(|value| *value > 0.0) {
        return Ok(());
    }
    wrong(
        format!("{at}.{name}"),
        "is not positive",
        "give positive numbers",
    )
}

/// The steps on a row of features; each fits the width that the one before leaves.
pub(super) fn row_steps(raw: Vec<raw::Step>, inputs: &[Input]) -> Read<Vec<RowStep>> {
    let mut width = inputs.len();
    let mut steps = Vec::with_capacity(raw.len());
    for (place, step) in raw.into_iter().enumerate() {
        let mut fields = Fields::new("before", place, step);
        let made = match fields.word.as_str() {
            "standardise" => {
                let center = fields.list("center", |s| &mut s.center)?;
                let scale = fields.list("scale", |s| &mut s.scale)?;
                positive(&fields.at, "scale", &scale)?;
                if scale.len() != center.len() {
                    return wrong(
                        fields.at,
                        "has center and scale of two lengths",
                        "give one each",
                    );
                }
                RowStep::Standardise { center, scale }
            }
            "clip" => {
                let low = fields.number("low", |s| &mut s.low)?;
                let high = fields.number("high", |s| &mut s.high)?;
                if low >= high {
                    return wrong(fields.at, "has an empty range", "give low below high");
                }
                RowStep::Clip { low, high }
            }
            "log1p" => RowStep::Log1p {
                place: row_place(&mut fields, inputs, steps.as_slice())?,
            },
            "one_hot" => {
                let place = row_place(&mut fields, inputs, steps.as_slice())?;
                let kind = inputs.get(place).map(|input| &input.feature.kind);
                let Some(FeatureKind::Choice(words)) = kind else {
                    return wrong(fields.at, "is of no choice", "name an input of kind choice");
                };
                let count = words.len().min(CHOICES);
                RowStep::OneHot { place, count }
            }
            _ => return fields.unknown("standardise, clip, log1p, one_hot"),
        };
        let Some(next) = made.width(width) else {
            let problem = format!("does not fit a row of {width} numbers");
            return Err(ManifestError::new(
                fields.at,
                problem,
                "give one number for each place",
            ));
        };
        width = next;
        steps.push(fields.done(made)?);
    }
    Ok(steps)
}

/// The place of a named input. Steps that name an input come before steps that move places; several choices
/// are expanded from the last to the first.
fn row_place(fields: &mut Fields, inputs: &[Input], earlier: &[RowStep]) -> Read<usize> {
    let name = fields.step.feature.take();
    let name = fields.need("feature", name)?;
    let Some(place) = inputs.iter().position(|input| input.feature.name == name) else {
        return wrong(
            format!("{}.feature", fields.at),
            "is no input",
            "name a declared input",
        );
    };
    let moved = |step: &RowStep| matches!(step, RowStep::OneHot { place: at, .. } if *at <= place);
    if earlier.iter().any(moved) {
        let problem = "comes after a step that moved its place";
        let remedy = "expand choices from the last input to the first, and after other steps";
        return wrong(fields.at.clone(), problem, remedy);
    }
    Ok(place)
}

/// The steps on an image.
pub(super) fn image_steps(raw: Vec<raw::Step>) -> Read<Vec<ImageStep>> {
    raw.into_iter()
        .enumerate()
        .map(|(place, step)| {
            let mut fields = Fields::new("before", place, step);
            let made = match fields.word.as_str() {
                "rescale" => ImageStep::Rescale {
                    slope: fields.number("slope", |s| &mut s.slope)?,
                    intercept: fields.number("intercept", |s| &mut s.intercept)?,
                },
                "window" => {
                    let center = fields.number("middle", |s| &mut s.middle)?;
                    let width = fields.number("width", |s| &mut s.width)?;
                    positive(&fields.at, "width", &[width])?;
                    ImageStep::Window { center, width }
                }
                "resize" => ImageStep::Resize {
                    height: fields.count("rows", SIDE, |s| &mut s.rows)?,
                    width: fields.count("columns", SIDE, |s| &mut s.columns)?,
                },
                "normalise" => {
                    let mean = fields.list("mean", |s| &mut s.mean)?;
                    let deviation = fields.list("deviation", |s| &mut s.deviation)?;
                    positive(&fields.at, "deviation", &deviation)?;
                    if mean.is_empty() || mean.len() != deviation.len() {
                        let remedy = "give one of each for each channel";
                        return wrong(fields.at, "has mean and deviation of two lengths", remedy);
                    }
                    ImageStep::Normalise { mean, deviation }
                }
                "repeat" => ImageStep::Repeat {
                    channels: fields.count("channels", 16, |s| &mut s.channels)?,
                },
                _ => return fields.unknown("rescale, window, resize, normalise, repeat"),
            };
            fields.done(made)
        })
        .collect()
}

/// The steps on the output.
pub(super) fn after_steps(raw: &[raw::Step]) -> Read<Vec<AfterStep>> {
    raw.iter()
        .enumerate()
        .map(|(place, step)| {
            let at = format!("after[{place}]");
            let plain = [step.low, step.high, step.middle, step.width];
            let lists = [&step.center, &step.scale, &step.mean, &step.deviation];
            let counts = [step.rows, step.columns, step.channels];
            let foreign = plain.iter().any(Option::is_some)
                || lists.iter().any(|list| list.is_some())
                || counts.iter().any(Option::is_some)
                || step.feature.is_some();
            match (step.word.as_str(), step.slope, step.intercept) {
                _ if foreign => wrong(at, "has fields of other steps", "take them out"),
                ("softmax", None, None) => Ok(AfterStep::Softmax),
                ("sigmoid", None, None) => Ok(AfterStep::Sigmoid),
                ("complement", None, None) => Ok(AfterStep::Complement),
                ("exp", None, None) => Ok(AfterStep::Exp),
                ("affine", Some(slope), Some(intercept)) => {
                    Ok(AfterStep::Affine { slope, intercept })
                }
                _ => {
                    let remedy =
                        "use softmax, sigmoid, complement, exp, or affine with slope and intercept";
                    wrong(at, "is no step here", remedy)
                }
            }
        })
        .collect()
}

/// The row a model is given has the tensor's elements, and what comes out is what is declared.
pub(super) fn widths(tensor: &TensorSpec, inputs: &Inputs, output: &Output) -> Read<()> {
    if let Inputs::Features { inputs, steps, .. } = inputs {
        let width = steps
            .iter()
            .try_fold(inputs.len(), |width, step| step.width(width));
        if width != Some(tensor.elements()) {
            let problem = format!("has {} elements for a row of {width:?}", tensor.elements());
            let remedy = "make shape, features and steps agree";
            return Err(ManifestError::new("input.shape", problem, remedy));
        }
    }
    let due = match &output.gives {
        Gives::Classes { labels, .. } => labels.len(),
        Gives::Number { .. } => 1,
        Gives::Quantiles { .. } => 3,
        Gives::Mask { .. } => return Ok(()),
    };
    let given = output.tensor.elements();
    let width = output
        .steps
        .iter()
        .try_fold(given, |width, step| step.width(width));
    if width != Some(due) {
        let problem =
            format!("gives {given} numbers, after its steps {width:?}, where {due} are due");
        let remedy = "make shape, steps and labels agree";
        return Err(ManifestError::new("output.shape", problem, remedy));
    }
    Ok(())
}

/// A value with an interval around it.
pub(super) fn around(
    at: &str,
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
) -> Read<Option<Interval>> {
    match (low, high) {
        (None, None) => Ok(None),
        (Some(low), Some(high)) if low <= value && value <= high => {
            Ok(Some(Interval { low, high }))
        }
        _ => wrong(
            at,
            "has an interval that does not hold its value",
            "give low and high around it",
        ),
    }
}

/// Calibration, for probabilities only.
pub(super) fn calibration(
    raw: Option<raw::Calibration>,
    output: &Output,
) -> Read<(Calibration, Option<CalibrationSummary>)> {
    let Some(raw) = raw else {
        return Ok((Calibration::Identity, None));
    };
    let refused = |error| ManifestError::of("calibration", &error);
    if !matches!(output.gives, Gives::Classes { .. }) {
        return wrong(
            "calibration",
            "is of no probability",
            "it belongs to classes",
        );
    }
    let calibration = match (
        raw.method.as_str(),
        raw.temperature,
        raw.a,
        raw.b,
        raw.x,
        raw.y,
    ) {
        ("none", None, None, None, None, None) => Calibration::Identity,
        ("temperature", Some(value), None, None, None, None) => {
            Calibration::Temperature(Temperature::new(value).map_err(refused)?)
        }
        ("platt", None, Some(a), Some(b), None, None) => {
            Calibration::Platt(Platt::new(a, b).map_err(refused)?)
        }
        ("isotonic", None, None, None, Some(x), Some(y)) => {
            Calibration::Isotonic(Isotonic::new(&x, &y).map_err(refused)?)
        }
        _ => {
            let remedy = "write none, temperature with temperature, platt with a and b, or isotonic with x and y";
            return wrong("calibration.method", "does not fit its fields", remedy);
        }
    };
    let pair = |name: &str, before: Option<f64>, after: Option<f64>| match (before, after) {
        (None, None) => Ok(None),
        (Some(before), Some(after))
            if (0.0..=1.0).contains(&before) && (0.0..=1.0).contains(&after) =>
        {
            Ok(Some((before, after)))
        }
        _ => wrong(
            format!("calibration.{name}"),
            "is no pair from 0 to 1",
            "give before and after",
        ),
    };
    let summary = CalibrationSummary {
        cases: raw.cases,
        data: raw.data,
        error: pair("error", raw.error_before, raw.error_after)?,
        brier: pair("brier", raw.brier_before, raw.brier_after)?,
    };
    Ok((calibration, Some(summary)))
}

/// Conformal prediction that fits the output.
pub(super) fn conformal(
    raw: Option<raw::Conformal>,
    inputs: &Inputs,
    output: &Output,
) -> Read<Option<Conformal>> {
    let Some(raw) = raw else { return Ok(None) };
    let refused = |error| ManifestError::of("conformal", &error);
    let kind = match (raw.method.as_str(), raw.lambda, raw.k_reg, &output.gives) {
        ("lac", None, None, Gives::Classes { .. }) => ConformalKind::Sets(SetMethod::Lac),
        ("aps", None, None, Gives::Classes { .. }) => ConformalKind::Sets(SetMethod::Aps),
        ("raps", Some(lambda), Some(from), Gives::Classes { .. }) => {
            ConformalKind::Sets(SetMethod::raps(lambda, from).map_err(refused)?)
        }
        ("split", None, None, Gives::Number { .. }) => ConformalKind::Split,
        ("quantile", None, None, Gives::Quantiles { .. }) => ConformalKind::Quantiles,
        _ => {
            let remedy = "lac, aps and raps (with lambda and k_reg) are of classes, split of a number, quantile of quantiles";
            return wrong(
                "conformal.method",
                "does not fit the output or its fields",
                remedy,
            );
        }
    };
    let group_by = match (raw.group_by, inputs) {
        (None, _) if raw.groups.is_empty() => None,
        (Some(name), Inputs::Features { inputs, .. })
            if inputs.iter().any(|input| names_groups(input, &name)) =>
        {
            Some(name)
        }
        _ => {
            let remedy = "name an input of kind choice, whose words name the groups";
            return wrong("conformal.group_by", "names no input", remedy);
        }
    };
    let groups = raw
        .groups
        .into_iter()
        .map(|(name, scores)| Scores::new(scores, &name).map(|scores| (name, scores)))
        .collect::<Result<BTreeMap<_, _>, _>>()
        .map_err(refused)?;
    Ok(Some(Conformal {
        kind,
        level: Level::new(raw.alpha).map_err(refused)?,
        groups: Groups::new(
            Scores::new(raw.scores, "everybody").map_err(refused)?,
            groups,
        ),
        group_by,
    }))
}

/// Whether an input of this name has words that can name groups.
fn names_groups(input: &Input, name: &str) -> bool {
    input.feature.name == name && matches!(input.feature.kind, FeatureKind::Choice(_))
}

fn matrix(field: &str, rows: &[Vec<f64>], columns: Option<usize>) -> Read<Matrix> {
    let matrix = Matrix::of_rows(rows).filter(|m| m.rows() > 0 && m.columns() > 0);
    match matrix {
        Some(matrix) if columns.is_none_or(|due| due == matrix.columns()) => Ok(matrix),
        _ => wrong(
            field,
            "is no table of the inputs' width",
            "give rows of one number for each input",
        ),
    }
}

/// Reference cases that fit the inputs.
pub(super) fn reference(raw: raw::Reference, inputs: &Inputs, output: &Output) -> Read<Reference> {
    let width = match inputs {
        Inputs::Features { inputs, .. } => Some(inputs.len()),
        Inputs::Image { .. } => None,
    };
    let refused = |error| ManifestError::of("reference", &error);
    let detector = |distance: Distance, known: Vec<f64>, alpha: f64| -> Read<Detector> {
        if width.is_some_and(|width| width != distance.width()) {
            return wrong(
                "reference",
                "is of another width than the inputs",
                "measure the inputs",
            );
        }
        let (known, level) = alarming("reference", distance.word(), known, alpha)?;
        Ok(Detector {
            distance,
            known,
            level,
        })
    };
    let mut detectors = Vec::new();
    if let Some(raw) = raw.mahalanobis {
        let precision = matrix("reference.mahalanobis.precision", &raw.precision, None)?;
        let distance = Distance::mahalanobis(raw.center, raw.scale, precision).map_err(refused)?;
        detectors.push(detector(distance, raw.distances, raw.alpha)?);
    }
    if let Some(raw) = raw.nearest {
        let rows = matrix("reference.nearest.rows", &raw.rows, None)?;
        let distance = Distance::nearest(raw.center, raw.scale, &rows, raw.k).map_err(refused)?;
        detectors.push(detector(distance, raw.distances, raw.alpha)?);
    }
    let energy = raw.energy.map(|raw| energy(raw, output)).transpose()?;
    let background = raw.background;
    Ok(Reference {
        cases: raw.cases,
        detectors,
        energy,
        bins: bins(raw.bins, inputs)?,
        background: background
            .map(|rows| matrix("reference.background", &rows, width))
            .transpose()?,
        neighbours: raw
            .neighbours
            .map(|raw| neighbours(raw, width))
            .transpose()?,
    })
}

fn energy(raw: raw::Energy, output: &Output) -> Read<EnergyDetector> {
    let at = "reference.energy";
    if output.steps.first() != Some(&AfterStep::Softmax) {
        return wrong(
            at,
            "is of no logits",
            "it belongs to outputs whose first step is softmax",
        );
    }
    positive(at, "temperature", &[raw.temperature])?;
    let (known, level) = alarming(at, "energy", raw.energies, raw.alpha)?;
    Ok(EnergyDetector {
        temperature: raw.temperature,
        known,
        level,
    })
}

/// Calibration scores and a level at which the strangest case of all is strange: with fewer scores a check
/// would pass everything.
fn alarming(at: &str, group: &str, known: Vec<f64>, alpha: f64) -> Read<(Scores, Level)> {
    let refused = |error| ManifestError::of(at, &error);
    let known = Scores::new(known, group).map_err(refused)?;
    let level = Level::new(alpha).map_err(refused)?;
    let least = least_cases(level);
    if known.count() < least {
        let problem = format!(
            "has {} cases of {group}, too few ever to alarm",
            known.count()
        );
        let remedy = format!("give at least {least}, or a larger alpha");
        return Err(ManifestError::new(at, problem, remedy));
    }
    Ok((known, level))
}

fn bins(raw: Vec<raw::Bins>, inputs: &Inputs) -> Read<Vec<Bins>> {
    let mut kept: Vec<Bins> = Vec::with_capacity(raw.len());
    for bins in raw {
        let at = format!("reference.bins of '{}'", bins.feature);
        let declared = match inputs {
            Inputs::Features { inputs, .. } => {
                inputs.iter().any(|i| i.feature.name == bins.feature)
            }
            Inputs::Image { .. } => true,
        };
        if !declared || kept.iter().any(|known| known.feature == bins.feature) {
            return wrong(
                at,
                "is of no input, or the second of one",
                "give one for each input",
            );
        }
        let rising = bins
            .edges
            .windows(2)
            .all(|pair| matches!(pair, [low, high] if low < high));
        if !rising || bins.edges.is_empty() || bins.counts.len() != bins.edges.len() + 1 {
            let remedy = "give rising inner edges and one count more than edges";
            return wrong(at, "is no histogram", remedy);
        }
        if bins.counts.contains(&0) {
            return wrong(
                at,
                "has an empty bin",
                "join it to the next: reference bins hold cases",
            );
        }
        kept.push(Bins {
            feature: bins.feature,
            edges: bins.edges,
            counts: bins.counts,
        });
    }
    Ok(kept)
}

fn neighbours(raw: raw::Neighbours, width: Option<usize>) -> Read<Neighbours> {
    let rows = matrix("reference.neighbours.rows", &raw.rows, width)?;
    if raw.outcomes.len() != rows.rows() {
        let remedy = "give one outcome for each row";
        return wrong(
            "reference.neighbours.outcomes",
            "do not fit the rows",
            remedy,
        );
    }
    Ok(Neighbours {
        rows,
        outcomes: raw.outcomes,
        statement: raw.statement,
    })
}
