//! Matrix products. Must not be used for large networks: it is a plain loop, ordered so that the inner one
//! runs along memory.

use super::broadcast::{Walk, joined, zip};
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::Value;
use crate::error::RuntimeError;
use crate::tensor::TensorData;

/// `left` (rows x depth) times `right` (depth x columns), added to `out`.
fn product(left: &[f32], right: &[f32], out: &mut [f32], depth: usize, columns: usize) {
    if depth == 0 || columns == 0 {
        return;
    }
    for (row, into) in left.chunks_exact(depth).zip(out.chunks_exact_mut(columns)) {
        for (factor, line) in row.iter().zip(right.chunks_exact(columns)) {
            for (to, from) in into.iter_mut().zip(line) {
                *to += factor * from;
            }
        }
    }
}

fn product_wide(left: &[f64], right: &[f64], out: &mut [f64], depth: usize, columns: usize) {
    if depth == 0 || columns == 0 {
        return;
    }
    for (row, into) in left.chunks_exact(depth).zip(out.chunks_exact_mut(columns)) {
        for (factor, line) in row.iter().zip(right.chunks_exact(columns)) {
            for (to, from) in into.iter_mut().zip(line) {
                *to += factor * from;
            }
        }
    }
}

fn turned<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns)
        .flat_map(|column| {
            values
                .iter()
                .skip(column)
                .step_by(columns.max(1))
                .take(rows)
                .copied()
        })
        .collect()
}

fn same_depth(call: &Call<'_>, depth: usize, height: usize) -> Result<(), RuntimeError> {
    if depth == height {
        Ok(())
    } else {
        Err(call.wrong(format!("{depth} columns meet {height} rows")))
    }
}

fn sides(call: &Call<'_>, value: &Value) -> Result<[usize; 2], RuntimeError> {
    let sides = value.shape.as_slice().try_into();
    sides.map_err(|_| call.wrong("both factors must be matrices"))
}

/// Gemm: alpha A' B' + beta C.
pub fn gemm(settings: &Settings<'_, '_>) -> Built {
    let (alpha, beta) = (settings.float("alpha", 1.0), settings.float("beta", 1.0));
    let (turn_a, turn_b) = (
        settings.int("transA", 0) != 0,
        settings.int("transB", 0) != 0,
    );
    kernel(move |call| {
        let (a, b) = (call.input(0)?, call.input(1)?);
        let ([a0, a1], [b0, b1]) = (sides(call, a)?, sides(call, b)?);
        let (rows, depth) = if turn_a { (a1, a0) } else { (a0, a1) };
        let (height, columns) = if turn_b { (b1, b0) } else { (b0, b1) };
        same_depth(call, depth, height)?;
        let shape = vec![rows, columns];
        let count = call.claim(&shape, a.kind())?;
        macro_rules! multiplied {
            ($variant:ident, $kind:ty, $product:ident) => {{
                let (TensorData::$variant(left), TensorData::$variant(right)) = (&a.data, &b.data)
                else {
                    return Err(call.wrong("the factors have different types"));
                };
                let left = if turn_a {
                    turned(left, a0, a1)
                } else {
                    left.clone()
                };
                let right = if turn_b {
                    turned(right, b0, b1)
                } else {
                    right.clone()
                };
                let mut out = vec![<$kind>::default(); count];
                $product(&left, &right, &mut out, depth, columns);
                let (alpha, beta) = (<$kind>::from(alpha), <$kind>::from(beta));
                for v in &mut out {
                    *v *= alpha;
                }
                if let Some(added) = call.optional(2) {
                    let TensorData::$variant(extra) = &added.data else {
                        return Err(call.wrong("what is added has another type"));
                    };
                    if joined(&shape, &added.shape)? != shape {
                        return Err(call.wrong("what is added has another shape"));
                    }
                    out = zip((&out, &shape), (extra, &added.shape), &shape, |v, c| {
                        v + beta * c
                    });
                }
                TensorData::$variant(out)
            }};
        }
        let data = match &a.data {
            TensorData::F32(_) => multiplied!(F32, f32, product),
            TensorData::F64(_) => multiplied!(F64, f64, product_wide),
            _ => return Err(call.wrong("wanted floats")),
        };
        Ok(vec![Value { shape, data }])
    })
}

/// `MatMul`, as numpy's: leading dimensions are repeated where needed.
pub fn matmul() -> Built {
    kernel(|call| {
        let (a, b) = (call.input(0)?, call.input(1)?);
        let (mut left, mut right) = (a.shape.clone(), b.shape.clone());
        if left.is_empty() || right.is_empty() {
            return Err(call.wrong("a factor has no dimension"));
        }
        let (vector_left, vector_right) = (left.len() == 1, right.len() == 1);
        if vector_left {
            left.insert(0, 1);
        }
        if vector_right {
            right.push(1);
        }
        let mut shape = multiply_shapes(call, &left, &right)?;
        let data = multiply(call, (a, &left), (b, &right), &shape)?;
        let rank = shape.len();
        if vector_right {
            shape.truncate(rank - 1);
        }
        if vector_left {
            shape.remove(rank.saturating_sub(2));
        }
        Ok(vec![Value { shape, data }])
    })
}

fn split_last(shape: &[usize]) -> (&[usize], usize, usize) {
    match shape {
        [lead @ .., rows, columns] => (lead, *rows, *columns),
        _ => (&[], 1, 1),
    }
}

fn multiply_shapes(
    call: &Call<'_>,
    left: &[usize],
    right: &[usize],
) -> Result<Vec<usize>, RuntimeError> {
    let ((lead_a, rows, depth), (lead_b, height, columns)) = (split_last(left), split_last(right));
    if depth != height {
        return Err(call.wrong(format!("{left:?} and {right:?} do not go together")));
    }
    let mut shape = joined(lead_a, lead_b)?;
    shape.extend([rows, columns]);
    Ok(shape)
}

fn multiply(
    call: &Call<'_>,
    (a, left): (&Value, &[usize]),
    (b, right): (&Value, &[usize]),
    shape: &[usize],
) -> Result<TensorData, RuntimeError> {
    let ((lead_a, rows, depth), (lead_b, _, columns)) = (split_last(left), split_last(right));
    let count = call.claim(shape, a.kind())?;
    let (lead, _, _) = split_last(shape);
    let blocks: Vec<(usize, usize)> = Walk::new(lead_a, lead)
        .zip(Walk::new(lead_b, lead))
        .collect();
    macro_rules! blocks {
        ($variant:ident, $kind:ty, $product:ident) => {{
            let (TensorData::$variant(l), TensorData::$variant(r)) = (&a.data, &b.data) else {
                return Err(call.wrong("the factors have different types"));
            };
            let mut out = vec![<$kind>::default(); count];
            for ((at_a, at_b), into) in blocks.iter().zip(out.chunks_mut((rows * columns).max(1))) {
                call.go_on()?;
                let one = l
                    .get(at_a * rows * depth..(at_a + 1) * rows * depth)
                    .unwrap_or_default();
                let two = r
                    .get(at_b * depth * columns..(at_b + 1) * depth * columns)
                    .unwrap_or_default();
                $product(one, two, into, depth, columns);
            }
            TensorData::$variant(out)
        }};
    }
    Ok(match &a.data {
        TensorData::F32(_) => blocks!(F32, f32, product),
        TensorData::F64(_) => blocks!(F64, f64, product_wide),
        _ => return Err(call.wrong("wanted floats")),
    })
}
