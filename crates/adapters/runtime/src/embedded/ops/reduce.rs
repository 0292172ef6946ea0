//! Sums, means, extremes and norms over axes. The axes are a setting in older operator sets and an input in
//! newer ones. Must not lose precision: floats are summed as doubles.

use super::broadcast::steps;
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::{Value, axis_of};
use crate::error::RuntimeError;
use crate::tensor::TensorData;

#[derive(Clone, Copy)]
enum What {
    Sum,
    Mean,
    Max,
    Min,
    Product,
    AbsoluteSum,
    Norm,
    Squares,
    LogSum,
    LogSumExp,
}

impl What {
    fn start(self) -> f64 {
        match self {
            Self::Max => f64::NEG_INFINITY,
            Self::Min => f64::INFINITY,
            Self::Product => 1.0,
            _ => 0.0,
        }
    }

    fn step(self, so_far: f64, next: f64) -> f64 {
        match self {
            Self::Sum | Self::Mean | Self::LogSum => so_far + next,
            Self::Max => {
                if next.is_nan() || next > so_far {
                    next
                } else {
                    so_far
                }
            }
            Self::Min => {
                if next.is_nan() || next < so_far {
                    next
                } else {
                    so_far
                }
            }
            Self::Product => so_far * next,
            Self::AbsoluteSum => so_far + next.abs(),
            Self::Norm | Self::Squares => so_far + next * next,
            Self::LogSumExp => so_far + next.exp(),
        }
    }

    fn finish(self, total: f64, count: usize) -> f64 {
        match self {
            Self::Mean => total / count as f64,
            Self::Norm => total.sqrt(),
            Self::LogSum | Self::LogSumExp => total.ln(),
            _ => total,
        }
    }
}

fn what_of(op: &str) -> What {
    match op {
        "ReduceSum" => What::Sum,
        "ReduceMean" => What::Mean,
        "ReduceMax" => What::Max,
        "ReduceMin" => What::Min,
        "ReduceProd" => What::Product,
        "ReduceL1" => What::AbsoluteSum,
        "ReduceL2" => What::Norm,
        "ReduceSumSquare" => What::Squares,
        "ReduceLogSum" => What::LogSum,
        _ => What::LogSumExp,
    }
}

/// All of the Reduce operators.
pub fn build(settings: &Settings<'_, '_>) -> Built {
    let what = what_of(settings.node.op);
    let keep = settings.int("keepdims", 1) != 0;
    let nothing_is_all = settings.int("noop_with_empty_axes", 0) == 0;
    let set: Option<Vec<i64>> = settings.ints("axes").map(<[i64]>::to_vec);
    kernel(move |call| {
        let value = call.input(0)?;
        let axes = match call.optional(1) {
            Some(axes) => Some(axes.integers()?),
            None => set.clone(),
        };
        let axes = axes.filter(|axes| !axes.is_empty());
        if axes.is_none() && !nothing_is_all {
            return Ok(vec![value.clone()]);
        }
        let over = marked(axes.as_deref(), value.shape.len())?;
        reduced(call, value, &over, keep, what).map(|value| vec![value])
    })
}

fn marked(axes: Option<&[i64]>, rank: usize) -> Result<Vec<bool>, RuntimeError> {
    let Some(axes) = axes else {
        return Ok(vec![true; rank]);
    };
    let mut over = vec![false; rank];
    for axis in axes {
        if let Some(mark) = over.get_mut(axis_of(*axis, rank)?) {
            *mark = true;
        }
    }
    Ok(over)
}

fn reduced(
    call: &Call<'_>,
    value: &Value,
    over: &[bool],
    keep: bool,
    what: What,
) -> Result<Value, RuntimeError> {
    let kept: Vec<usize> = value
        .shape
        .iter()
        .zip(over)
        .map(|(dim, over)| if *over { 1 } else { *dim })
        .collect();
    let wide = value
        .data
        .to_f64()
        .ok_or_else(|| call.wrong("wanted numbers"))?;
    let out: usize = kept.iter().product();
    let mut totals = vec![what.start(); out];
    let places = super::broadcast::Walk::with_steps(steps(&kept, &value.shape), 0, &value.shape);
    for (next, place) in wide.iter().zip(places) {
        if let Some(total) = totals.get_mut(place) {
            *total = what.step(*total, *next);
        }
    }
    let count = wide.len().checked_div(out).unwrap_or(0);
    for total in &mut totals {
        *total = what.finish(*total, count);
    }
    let shape = if keep {
        kept
    } else {
        value
            .shape
            .iter()
            .zip(over)
            .filter(|(_, over)| !**over)
            .map(|(dim, _)| *dim)
            .collect()
    };
    let total = Value {
        shape,
        data: TensorData::F64(totals),
    };
    super::cast_to(&total, value.kind())
}
