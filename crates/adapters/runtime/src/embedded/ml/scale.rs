//! Preparation of features: scaling, norms, filling in, joining and picking columns. Must not change the
//! order of rows.

use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::ops::pick;
use crate::embedded::value::Value;
use crate::error::RuntimeError;
use crate::tensor::TensorData;

/// Scaler: (x - offset) * scale, each one number or one for each column.
pub fn scaler(settings: &Settings<'_, '_>) -> Built {
    let offset = settings.floats("offset").unwrap_or(&[0.0]).to_vec();
    let scale = settings.floats("scale").unwrap_or(&[1.0]).to_vec();
    kernel(move |call| {
        let value = call.input(0)?;
        let columns = value.shape.last().copied().unwrap_or(1).max(1);
        let fits = |list: &[f32]| list.len() == 1 || list.len() == columns;
        if !fits(&offset) || !fits(&scale) {
            return Err(call.wrong(format!(
                "{columns} columns came, the scaler has {} offsets and {} scales",
                offset.len(),
                scale.len()
            )));
        }
        let values = value.floats()?;
        let made = values
            .chunks(columns)
            .flat_map(|row| {
                row.iter()
                    .zip(offset.iter().cycle())
                    .zip(scale.iter().cycle())
                    .map(|((v, offset), scale)| (v - offset) * scale)
            })
            .collect();
        Ok(vec![Value::f32(value.shape.clone(), made)])
    })
}

/// Normalizer: each row divided by its norm.
pub fn normalizer(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let norm: fn(&[f32]) -> f32 = match settings.text("norm", "MAX") {
        "MAX" => |row| row.iter().copied().fold(f32::MIN, f32::max),
        "L1" => |row| row.iter().map(|v| v.abs()).sum(),
        "L2" => |row| row.iter().map(|v| v * v).sum::<f32>().sqrt(),
        other => return Err(settings.wrong(format!("norm {other:?} does not exist"))),
    };
    Ok(kernel(move |call| {
        let value = call.input(0)?;
        let (_, columns) = value.rows();
        let mut values = value.floats()?.into_owned();
        for row in values.chunks_mut(columns.max(1)) {
            let by = norm(row);
            if by != 0.0 {
                for v in row {
                    *v /= by;
                }
            }
        }
        Ok(vec![Value::f32(value.shape.clone(), values)])
    }))
}

#[expect(
    clippy::float_cmp,
    reason = "a missing number is written as one exact number"
)]
/// Imputer: a stated value in place of a missing one.
pub fn imputer(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let floats = settings
        .floats("imputed_value_floats")
        .filter(|list| !list.is_empty())
        .map(<[f32]>::to_vec);
    let ints = settings
        .ints("imputed_value_int64s")
        .filter(|list| !list.is_empty())
        .map(<[i64]>::to_vec);
    let gap = settings.float("replaced_value_float", 0.0);
    let whole_gap = settings.int("replaced_value_int64", 0);
    if floats.is_none() && ints.is_none() {
        return Err(settings.wrong("there is no value to fill in"));
    }
    Ok(kernel(move |call| {
        let value = call.input(0)?;
        let columns = value.shape.last().copied().unwrap_or(1).max(1);
        let data = match (&value.data, &floats, &ints) {
            (TensorData::F32(values), Some(fill), _) => {
                fits(call, fill.len(), columns)?;
                let missing = |v: f32| if gap.is_nan() { v.is_nan() } else { v == gap };
                TensorData::F32(filled(values, fill, columns, |v| missing(*v)))
            }
            (TensorData::F64(values), Some(fill), _) => {
                fits(call, fill.len(), columns)?;
                let fill: Vec<f64> = fill.iter().map(|v| f64::from(*v)).collect();
                let gap = f64::from(gap);
                let missing = |v: f64| if gap.is_nan() { v.is_nan() } else { v == gap };
                TensorData::F64(filled(values, &fill, columns, |v| missing(*v)))
            }
            (TensorData::I64(values), _, Some(fill)) => {
                fits(call, fill.len(), columns)?;
                TensorData::I64(filled(values, fill, columns, |v| *v == whole_gap))
            }
            _ => {
                return Err(
                    call.wrong("the values to fill in are of another type than the features")
                );
            }
        };
        Ok(vec![Value {
            shape: value.shape.clone(),
            data,
        }])
    }))
}

fn fits(call: &Call<'_>, count: usize, columns: usize) -> Result<(), RuntimeError> {
    if count == 1 || count == columns {
        Ok(())
    } else {
        Err(call.wrong(format!(
            "{columns} columns came, {count} values are there to fill in"
        )))
    }
}

fn filled<T: Copy>(
    values: &[T],
    fill: &[T],
    columns: usize,
    missing: impl Fn(&T) -> bool,
) -> Vec<T> {
    values
        .chunks(columns)
        .flat_map(|row| row.iter().zip(fill.iter().cycle()))
        .map(|(v, fill)| if missing(v) { *fill } else { *v })
        .collect()
}

/// Binarizer: 1 above the threshold, 0 elsewhere.
pub fn binarizer(settings: &Settings<'_, '_>) -> Built {
    let threshold = settings.float("threshold", 0.0);
    kernel(move |call| {
        let value = call.input(0)?;
        let made = value
            .floats()?
            .iter()
            .map(|v| if *v > threshold { 1.0 } else { 0.0 })
            .collect();
        let made = Value::f32(value.shape.clone(), made);
        Ok(vec![crate::embedded::ops::cast_to(&made, value.kind())?])
    })
}

/// `FeatureVectorizer`: columns of several inputs side by side, cut or filled with zeros to stated widths.
pub fn feature_vectorizer(settings: &Settings<'_, '_>) -> Built {
    let widths: Vec<usize> = settings
        .ints("inputdimensions")
        .unwrap_or_default()
        .iter()
        .map(|width| usize::try_from(*width).unwrap_or(0))
        .collect();
    kernel(move |call| {
        let mut parts = Vec::new();
        let mut rows = None;
        for (place, value) in call.inputs.iter().flatten().enumerate() {
            let (count, columns) = value.rows();
            if *rows.get_or_insert(count) != count {
                return Err(call.wrong("the inputs have different numbers of rows"));
            }
            let width = widths.get(place).copied().unwrap_or(columns);
            parts.push((value.floats()?, columns, width));
        }
        let rows = rows.unwrap_or(0);
        let total: usize = parts.iter().map(|(_, _, width)| *width).sum();
        call.claim(&[rows, total], crate::tensor::TensorKind::F32)?;
        let mut made = Vec::with_capacity(rows * total);
        for row in 0..rows {
            for (values, columns, width) in &parts {
                let line = values
                    .get(row * columns..(row + 1) * columns)
                    .unwrap_or_default();
                made.extend(
                    line.iter()
                        .copied()
                        .chain(std::iter::repeat(0.0))
                        .take(*width),
                );
            }
        }
        Ok(vec![Value::f32(vec![rows, total], made)])
    })
}

/// `ArrayFeatureExtractor`: columns by place.
pub fn array_feature_extractor() -> Built {
    kernel(|call| {
        let (value, wanted) = (call.input(0)?, call.input(1)?);
        let columns = value.shape.last().copied().unwrap_or(1);
        let wanted = wanted
            .integers()?
            .into_iter()
            .map(|place| {
                usize::try_from(place)
                    .ok()
                    .filter(|place| *place < columns)
                    .ok_or_else(|| call.wrong(format!("column {place} of {columns}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let rows = value.len().checked_div(columns).unwrap_or(0);
        let places: Vec<usize> = (0..rows)
            .flat_map(|row| wanted.iter().map(move |place| row * columns + place))
            .collect();
        let shape = match value.shape.as_slice() {
            [] | [_] => vec![1, wanted.len()],
            [lead @ .., _] => lead.iter().copied().chain([wanted.len()]).collect(),
        };
        Ok(vec![Value {
            shape,
            data: pick(&value.data, &places),
        }])
    })
}
