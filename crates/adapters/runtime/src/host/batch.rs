//! Calls joined along the first dimension, and their answers taken apart. Must not join what differs in
//! anything but the number of rows.

use std::sync::atomic::Ordering;

use super::Model;
use crate::error::RuntimeError;
use crate::tensor::{Tensor, TensorData};

/// How many rows a call has, `None` where it cannot be joined.
pub fn rows(model: &Model, inputs: &[Tensor]) -> Option<usize> {
    if !model.joins.load(Ordering::Relaxed) {
        return None;
    }
    let first = *inputs.first()?.shape().first()?;
    let even = inputs
        .iter()
        .all(|tensor| tensor.shape().first() == Some(&first));
    (even && first > 0 && model.session.signature().inputs.len() == inputs.len()).then_some(first)
}

/// Whether two calls differ in nothing but the number of rows.
pub fn alike(left: &[Tensor], right: &[Tensor]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(a, b)| {
            a.name() == b.name() && a.kind() == b.kind() && a.shape().get(1..) == b.shape().get(1..)
        })
}

macro_rules! variants {
    ($use:ident) => {
        $use!(F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool, Bytes)
    };
}

fn append(into: &mut TensorData, from: &TensorData) {
    macro_rules! extend {
        ($($variant:ident),*) => {
            match (into, from) {
                $((TensorData::$variant(into), TensorData::$variant(from)) => into.extend_from_slice(from),)*
                _ => {}
            }
        };
    }
    variants!(extend);
}

fn part(data: &TensorData, from: usize, to: usize) -> Option<TensorData> {
    macro_rules! cut {
        ($($variant:ident),*) => {
            match data {
                $(TensorData::$variant(values) => TensorData::$variant(values.get(from..to)?.to_vec()),)*
            }
        };
    }
    Some(variants!(cut))
}

/// One call of all.
pub fn joined<'j>(calls: impl Iterator<Item = &'j [Tensor]>) -> Result<Vec<Tensor>, RuntimeError> {
    let mut parts: Vec<(String, Vec<usize>, TensorData)> = Vec::new();
    for call in calls {
        if parts.is_empty() {
            parts = call.iter().cloned().map(Tensor::into_parts).collect();
            continue;
        }
        for ((_, shape, data), tensor) in parts.iter_mut().zip(call) {
            if let (Some(rows), Some(more)) = (shape.first_mut(), tensor.shape().first()) {
                *rows += more;
            }
            append(data, tensor.data());
        }
    }
    parts
        .into_iter()
        .map(|(name, shape, data)| {
            Tensor::new(name, shape, data)
                .map_err(|error| RuntimeError::shape("batch", error.to_string()))
        })
        .collect()
}

/// The rows of each call, `None` where the outputs have another number of rows than went in.
pub fn apart(outputs: &[Tensor], rows: &[usize]) -> Option<Vec<Vec<Tensor>>> {
    let total: usize = rows.iter().sum();
    let mut answers = Vec::with_capacity(rows.len());
    let mut start = 0;
    for count in rows {
        let mut answer = Vec::with_capacity(outputs.len());
        for tensor in outputs {
            let (first, rest) = tensor.shape().split_first()?;
            if *first != total {
                return None;
            }
            let width: usize = rest.iter().product();
            let data = part(tensor.data(), start * width, (start + count) * width)?;
            let shape = std::iter::once(*count)
                .chain(rest.iter().copied())
                .collect();
            answer.push(Tensor::new(tensor.name(), shape, data).ok()?);
        }
        answers.push(answer);
        start += count;
    }
    Some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(rows: usize, from: f32) -> Tensor {
        let values = (0..rows * 2).map(|i| from + i as f32).collect();
        Tensor::new("X", vec![rows, 2], TensorData::F32(values)).unwrap()
    }

    #[test]
    fn what_is_joined_comes_apart_again() {
        let calls = [
            vec![tensor(1, 0.0)],
            vec![tensor(3, 10.0)],
            vec![tensor(2, 50.0)],
        ];
        let whole = joined(calls.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(whole[0].shape(), [6, 2]);
        assert_eq!(apart(&whole, &[1, 3, 2]).unwrap(), calls);
        assert_eq!(apart(&whole, &[1, 3]), None, "another number of rows");
    }

    #[test]
    fn only_rows_may_differ() {
        assert!(alike(&[tensor(1, 0.0)], &[tensor(5, 0.0)]));
        let wider = Tensor::new("X", vec![1, 3], TensorData::F32(vec![0.0; 3])).unwrap();
        let whole = Tensor::new("X", vec![1, 2], TensorData::I64(vec![0; 2])).unwrap();
        for other in [wider, whole, tensor(1, 0.0).renamed("Z")] {
            assert!(!alike(&[tensor(1, 0.0)], &[other]));
        }
    }
}
