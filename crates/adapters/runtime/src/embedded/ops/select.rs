//! Operators that find or pick elements along an axis: `ArgMax`, `TopK`, Gather. Must not read beyond an
//! axis: a place outside it is an error, never a wrong element.

use super::binary::pick;
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::{Value, axis_of};
use crate::error::RuntimeError;

/// Outer count, length and inner count around an axis.
pub fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    let length = shape.get(axis).copied().unwrap_or(1);
    let outer = shape.iter().take(axis).product();
    let inner = shape.iter().skip(axis + 1).product();
    (outer, length, inner)
}

fn numbers(call: &Call<'_>, value: &Value) -> Result<Vec<f64>, RuntimeError> {
    value
        .data
        .to_f64()
        .ok_or_else(|| call.wrong("wanted numbers"))
}

#[expect(clippy::float_cmp, reason = "equal scores are looked for")]
/// `ArgMax` and `ArgMin`.
pub fn arg(settings: &Settings<'_, '_>) -> Built {
    let greatest = settings.node.op == "ArgMax";
    let axis = settings.int("axis", 0);
    let keep = settings.int("keepdims", 1) != 0;
    let last = settings.int("select_last_index", 0) != 0;
    kernel(move |call| {
        let value = call.input(0)?;
        let place = axis_of(axis, value.shape.len())?;
        let (outer, length, inner) = around(&value.shape, place);
        let values = numbers(call, value)?;
        let mut found = Vec::with_capacity(outer * inner);
        for block in 0..outer {
            for offset in 0..inner {
                let start = block * length * inner + offset;
                let mut best: Option<(usize, f64)> = None;
                for (at, next) in values
                    .iter()
                    .skip(start)
                    .step_by(inner.max(1))
                    .take(length)
                    .enumerate()
                {
                    let better = best.is_none_or(|(_, so_far)| {
                        (if greatest {
                            *next > so_far
                        } else {
                            *next < so_far
                        }) || (last && *next == so_far)
                    });
                    if better {
                        best = Some((at, *next));
                    }
                }
                found.push(best.map_or(0, |(at, _)| at as i64));
            }
        }
        let mut shape = value.shape.clone();
        if keep {
            if let Some(dim) = shape.get_mut(place) {
                *dim = 1;
            }
        } else if place < shape.len() {
            shape.remove(place);
        }
        Ok(vec![Value::i64(shape, found)])
    })
}

/// `TopK`.
pub fn top_k(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    if settings.opset < 10 {
        return Err(settings.unsupported("operator sets before 10"));
    }
    let axis = settings.int("axis", -1);
    let largest = settings.int("largest", 1) != 0;
    Ok(kernel(move |call| {
        let value = call.input(0)?;
        let count = call.input(1)?.integers()?.first().copied().unwrap_or(0);
        let place = axis_of(axis, value.shape.len())?;
        let (outer, length, inner) = around(&value.shape, place);
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= length)
            .ok_or_else(|| call.wrong(format!("{count} of {length} elements were asked for")))?;
        let values = numbers(call, value)?;
        let mut places = vec![0; outer * count * inner];
        let mut indices = vec![0_i64; outer * count * inner];
        for block in 0..outer {
            for offset in 0..inner {
                let at = |index: usize| (block * length + index) * inner + offset;
                let mut order: Vec<usize> = (0..length).collect();
                order.sort_by(|a, b| {
                    let (a, b) = (values.get(at(*a)), values.get(at(*b)));
                    let order = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
                    if largest { order.reverse() } else { order }
                });
                for (rank, index) in order.into_iter().take(count).enumerate() {
                    let to = (block * count + rank) * inner + offset;
                    if let (Some(place), Some(number)) = (places.get_mut(to), indices.get_mut(to)) {
                        *place = at(index);
                        *number = index as i64;
                    }
                }
            }
        }
        let mut shape = value.shape.clone();
        if let Some(dim) = shape.get_mut(place) {
            *dim = count;
        }
        let top = Value {
            shape: shape.clone(),
            data: pick(&value.data, &places),
        };
        Ok(vec![top, Value::i64(shape, indices)])
    }))
}

/// Gather.
pub fn gather(settings: &Settings<'_, '_>) -> Built {
    let axis = settings.int("axis", 0);
    kernel(move |call| {
        let (value, wanted) = (call.input(0)?, call.input(1)?);
        let place = axis_of(axis, value.shape.len())?;
        let (outer, length, inner) = around(&value.shape, place);
        let mut shape: Vec<usize> = value.shape.iter().take(place).copied().collect();
        shape.extend(&wanted.shape);
        shape.extend(value.shape.iter().skip(place + 1));
        call.claim(&shape, value.kind())?;
        let indices = wanted
            .integers()?
            .into_iter()
            .map(|index| {
                let at = if index < 0 {
                    index + length as i64
                } else {
                    index
                };
                usize::try_from(at)
                    .ok()
                    .filter(|at| *at < length)
                    .ok_or_else(|| call.wrong(format!("place {index} of an axis of {length}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let places: Vec<usize> = (0..outer)
            .flat_map(|block| {
                indices
                    .iter()
                    .flat_map(move |at| (0..inner).map(move |i| (block * length + at) * inner + i))
            })
            .collect();
        Ok(vec![Value {
            shape,
            data: pick(&value.data, &places),
        }])
    })
}
