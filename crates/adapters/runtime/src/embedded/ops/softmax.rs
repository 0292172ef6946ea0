//! Softmax, `LogSoftmax` and Hardmax along an axis. Before operator set 13 everything from the axis on was
//! one row. Must not overflow: the greatest element is taken off first.

use crate::embedded::kernel::{Built, Settings, kernel};
use crate::embedded::value::{Value, axis_of};
use crate::tensor::TensorData;

#[derive(Clone, Copy)]
enum What {
    Soft,
    Log,
    Hard,
}

fn row(values: &mut [f64], what: What) {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match what {
        What::Soft => {
            for v in values.iter_mut() {
                *v = (*v - greatest).exp();
            }
            let sum: f64 = values.iter().sum();
            for v in values.iter_mut() {
                *v /= sum;
            }
        }
        What::Log => {
            let sum: f64 = values.iter().map(|v| (v - greatest).exp()).sum();
            let shift = greatest + sum.ln();
            for v in values.iter_mut() {
                *v -= shift;
            }
        }
        What::Hard => {
            let first = values.iter().position(|v| *v >= greatest);
            for (place, value) in values.iter_mut().enumerate() {
                *value = if Some(place) == first { 1.0 } else { 0.0 };
            }
        }
    }
}

/// Softmax, `LogSoftmax`, Hardmax.
pub fn build(settings: &Settings<'_, '_>) -> Built {
    let what = match settings.node.op {
        "Softmax" => What::Soft,
        "LogSoftmax" => What::Log,
        _ => What::Hard,
    };
    let flattened = settings.opset < 13;
    let axis = settings.int("axis", if flattened { 1 } else { -1 });
    kernel(move |call| {
        let value = call.input(0)?;
        let place = if flattened && axis == value.shape.len() as i64 {
            value.shape.len()
        } else {
            axis_of(axis, value.shape.len())?
        };
        let (_, rest) = value
            .shape
            .split_at_checked(place)
            .ok_or_else(|| call.wrong("the axis is beyond the shape"))?;
        let (length, inner): (usize, usize) = if flattened {
            (rest.iter().product(), 1)
        } else {
            (
                rest.first().copied().unwrap_or(1),
                rest.iter().skip(1).product(),
            )
        };
        let data = match &value.data {
            TensorData::F32(values) => {
                let mut wide: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
                rows(&mut wide, length, inner, what);
                TensorData::F32(wide.into_iter().map(|v| v as f32).collect())
            }
            TensorData::F64(values) => {
                let mut wide = values.clone();
                rows(&mut wide, length, inner, what);
                TensorData::F64(wide)
            }
            _ => return Err(call.wrong("wanted floats")),
        };
        Ok(vec![Value {
            shape: value.shape.clone(),
            data,
        }])
    })
}

fn rows(values: &mut [f64], length: usize, inner: usize, what: What) {
    let block = length.saturating_mul(inner);
    if block == 0 {
        return;
    }
    let mut line = vec![0.0; length];
    for chunk in values.chunks_exact_mut(block) {
        if inner == 1 {
            row(chunk, what);
            continue;
        }
        for offset in 0..inner {
            let column = chunk.iter().skip(offset).step_by(inner);
            line.iter_mut()
                .zip(column)
                .for_each(|(to, from)| *to = *from);
            row(&mut line, what);
            let column = chunk.iter_mut().skip(offset).step_by(inner);
            column.zip(&line).for_each(|(to, from)| *to = *from);
        }
    }
}
