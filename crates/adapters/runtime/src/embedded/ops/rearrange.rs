//! Operators that move, repeat, join or cut elements. Must not compute with them.

use super::binary::{pick, same_kinds};
use super::broadcast::{Walk, joined, steps};
use super::select::around;
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::{Value, axis_of, strides_of};
use crate::error::RuntimeError;

/// Picks by a walk of its own over the source.
fn walked(
    call: &Call<'_>,
    value: &Value,
    shape: Vec<usize>,
    steps: Vec<usize>,
    start: usize,
) -> Result<Value, RuntimeError> {
    call.claim(&shape, value.kind())?;
    let places: Vec<usize> = Walk::with_steps(steps, start, &shape).collect();
    let data = pick(&value.data, &places);
    if data.len() != places.len() {
        return Err(call.wrong("a place outside the array"));
    }
    Ok(Value { shape, data })
}

/// Expand.
pub fn expand() -> Built {
    kernel(|call| {
        let value = call.input(0)?;
        let wanted = call
            .input(1)?
            .integers()?
            .into_iter()
            .map(|dim| usize::try_from(dim).map_err(|_| call.wrong("a dimension is negative")))
            .collect::<Result<Vec<_>, _>>()?;
        let shape = joined(&value.shape, &wanted)?;
        let steps = steps(&value.shape, &shape);
        Ok(vec![walked(call, value, shape, steps, 0)?])
    })
}

/// Concat.
pub fn concat(settings: &Settings<'_, '_>) -> Built {
    let axis = settings.int("axis", 1);
    kernel(move |call| {
        let first = call.input(0)?;
        let kind = same_kinds(call)?;
        let place = axis_of(axis, first.shape.len())?;
        let mut shape = first.shape.clone();
        let mut length = 0;
        for value in call.inputs.iter().flatten() {
            let fits = value.shape.len() == shape.len()
                && value
                    .shape
                    .iter()
                    .zip(&shape)
                    .enumerate()
                    .all(|(at, (a, b))| at == place || a == b);
            if !fits {
                return Err(call.wrong(format!(
                    "{:?} does not join {shape:?} along axis {place}",
                    value.shape
                )));
            }
            length += value.shape.get(place).copied().unwrap_or(0);
        }
        if let Some(dim) = shape.get_mut(place) {
            *dim = length;
        }
        call.claim(&shape, kind)?;
        let (outer, _, inner) = around(&shape, place);
        let mut data = pick(&first.data, &[]);
        for block in 0..outer {
            for value in call.inputs.iter().flatten() {
                let width = value.shape.get(place).copied().unwrap_or(0) * inner;
                append(&mut data, value, block * width, width);
            }
        }
        Ok(vec![Value { shape, data }])
    })
}

fn append(into: &mut crate::tensor::TensorData, value: &Value, start: usize, width: usize) {
    macro_rules! extend {
        ($($variant:ident),*) => {
            match (into, &value.data) {
                $((crate::tensor::TensorData::$variant(into), crate::tensor::TensorData::$variant(from)) => {
                    into.extend_from_slice(from.get(start..start + width).unwrap_or_default());
                })*
                _ => {}
            }
        };
    }
    extend!(F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool, Bytes);
}

/// Transpose.
pub fn transpose(settings: &Settings<'_, '_>) -> Built {
    let set: Option<Vec<i64>> = settings.ints("perm").map(<[i64]>::to_vec);
    kernel(move |call| {
        let value = call.input(0)?;
        let rank = value.shape.len();
        let order: Vec<usize> = match &set {
            Some(order) => order
                .iter()
                .map(|axis| axis_of(*axis, rank))
                .collect::<Result<_, _>>()?,
            None => (0..rank).rev().collect(),
        };
        let mut seen = order.clone();
        seen.sort_unstable();
        if !seen.into_iter().eq(0..rank) {
            return Err(call.wrong("perm is not a permutation of the axes"));
        }
        let strides = strides_of(&value.shape);
        let take = |from: &[usize]| -> Vec<usize> {
            order
                .iter()
                .filter_map(|place| from.get(*place).copied())
                .collect()
        };
        let (shape, steps) = (take(&value.shape), take(&strides));
        Ok(vec![walked(call, value, shape, steps, 0)?])
    })
}

/// Slice.
pub fn slice(settings: &Settings<'_, '_>) -> Built {
    let get = |name| settings.ints(name).map(<[i64]>::to_vec);
    let set = (get("starts"), get("ends"), get("axes"));
    kernel(move |call| {
        let value = call.input(0)?;
        let list = |place: usize, set: &Option<Vec<i64>>| match call.optional(place) {
            Some(values) => values.integers().map(Some),
            None => Ok(set.clone()),
        };
        let missing = || call.wrong("starts or ends are missing");
        let starts = list(1, &set.0)?.ok_or_else(missing)?;
        let ends = list(2, &set.1)?.ok_or_else(missing)?;
        let axes = list(3, &set.2)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let jumps = list(4, &None)?.unwrap_or_else(|| vec![1; starts.len()]);
        let rank = value.shape.len();
        let mut shape = value.shape.clone();
        let mut steps = strides_of(&value.shape);
        let mut start = 0_usize;
        for (((from, to), axis), jump) in starts.iter().zip(&ends).zip(&axes).zip(&jumps) {
            let place = axis_of(*axis, rank)?;
            if let (Some(dim), Some(step)) = (shape.get_mut(place), steps.get_mut(place)) {
                let (first, count) = span(call, *dim as i64, *from, *to, *jump)?;
                start = start.saturating_add(first * *step);
                *dim = count;
                *step = step.wrapping_mul(*jump as usize);
            }
        }
        Ok(vec![walked(call, value, shape, steps, start)?])
    })
}

/// First place and number of places of a slice of an axis.
fn span(
    call: &Call<'_>,
    dim: i64,
    from: i64,
    to: i64,
    jump: i64,
) -> Result<(usize, usize), RuntimeError> {
    if jump == 0 {
        return Err(call.wrong("a step of 0"));
    }
    let within = |at: i64| if at < 0 { at.saturating_add(dim) } else { at };
    let (first, last) = if jump > 0 {
        (within(from).clamp(0, dim), within(to).clamp(0, dim))
    } else {
        (
            within(from).clamp(0, (dim - 1).max(0)),
            within(to).clamp(-1, dim - 1),
        )
    };
    let distance = if jump > 0 { last - first } else { first - last };
    let step = jump.unsigned_abs();
    let count = if distance <= 0 || dim == 0 {
        0
    } else {
        (distance as u64).div_ceil(step)
    };
    Ok((if count == 0 { 0 } else { first as usize }, count as usize))
}

/// Tile.
pub fn tile() -> Built {
    kernel(|call| {
        let value = call.input(0)?;
        let repeats = call.input(1)?.integers()?;
        if repeats.len() != value.shape.len() {
            return Err(call.wrong("one repeat for each dimension is needed"));
        }
        let mut folded = Vec::new();
        let mut from = Vec::new();
        let mut shape = Vec::new();
        let strides = strides_of(&value.shape);
        for ((dim, repeat), stride) in value.shape.iter().zip(&repeats).zip(strides) {
            let repeat =
                usize::try_from(*repeat).map_err(|_| call.wrong("a repeat is negative"))?;
            folded.extend([repeat, *dim]);
            from.extend([0, stride]);
            shape.push(dim.saturating_mul(repeat));
        }
        let made = walked(call, value, folded, from, 0)?;
        Ok(vec![Value {
            shape,
            data: made.data,
        }])
    })
}

/// Split.
pub fn split(settings: &Settings<'_, '_>) -> Built {
    let axis = settings.int("axis", 0);
    let set: Option<Vec<i64>> = settings.ints("split").map(<[i64]>::to_vec);
    let parts = settings.node.outputs.len();
    kernel(move |call| {
        let value = call.input(0)?;
        let place = axis_of(axis, value.shape.len())?;
        let dim = value.shape.get(place).copied().unwrap_or(0);
        let lengths: Vec<usize> = match (call.optional(1), &set) {
            (Some(lengths), _) => lengths.integers()?,
            (None, Some(set)) => set.clone(),
            (None, None) => {
                let each = dim.div_ceil(parts.max(1));
                (0..parts)
                    .map(|part| dim.saturating_sub(part * each).min(each) as i64)
                    .collect()
            }
        }
        .into_iter()
        .map(|length| usize::try_from(length).map_err(|_| call.wrong("a length is negative")))
        .collect::<Result<_, _>>()?;
        if lengths.iter().sum::<usize>() != dim {
            return Err(call.wrong(format!("lengths {lengths:?} do not add up to {dim}")));
        }
        let steps = strides_of(&value.shape);
        let stride = steps.get(place).copied().unwrap_or(1);
        let mut start = 0;
        lengths
            .into_iter()
            .map(|length| {
                let mut shape = value.shape.clone();
                if let Some(dim) = shape.get_mut(place) {
                    *dim = length;
                }
                let part = walked(call, value, shape, steps.clone(), start * stride);
                start += length;
                part
            })
            .collect()
    })
}
