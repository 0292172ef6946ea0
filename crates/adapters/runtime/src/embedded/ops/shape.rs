//! Operators that change or tell a shape and touch no element. Must not copy more than the array itself.

use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::{Value, axis_of, elements_of};
use crate::error::RuntimeError;
use crate::guard::model::AttributeValue;
use crate::tensor::TensorData;

/// Reshape.
pub fn reshape(settings: &Settings<'_, '_>) -> Built {
    let zero_is_zero = settings.int("allowzero", 0) != 0;
    let set: Option<Vec<i64>> = settings.ints("shape").map(<[i64]>::to_vec);
    kernel(move |call| {
        let value = call.input(0)?;
        let wanted = match (call.optional(1), &set) {
            (Some(wanted), _) => wanted.integers()?,
            (None, Some(set)) => set.clone(),
            (None, None) => return Err(call.wrong("the new shape is missing")),
        };
        let shape = reshaped(call, value, &wanted, zero_is_zero)?;
        Ok(vec![Value {
            shape,
            data: value.data.clone(),
        }])
    })
}

fn reshaped(
    call: &Call<'_>,
    value: &Value,
    wanted: &[i64],
    zero_is_zero: bool,
) -> Result<Vec<usize>, RuntimeError> {
    let wrong = || call.wrong(format!("shape {:?} cannot become {wanted:?}", value.shape));
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (place, dim) in wanted.iter().enumerate() {
        shape.push(match dim {
            -1 if open.is_none() => {
                open = Some(place);
                1
            }
            0 if !zero_is_zero => *value.shape.get(place).ok_or_else(wrong)?,
            other => usize::try_from(*other).map_err(|_| wrong())?,
        });
    }
    let known = elements_of(&shape).ok_or_else(wrong)?;
    if let Some(place) = open
        && let Some(dim) = shape.get_mut(place)
    {
        *dim = value.len().checked_div(known).unwrap_or(0);
    }
    if elements_of(&shape) == Some(value.len()) {
        Ok(shape)
    } else {
        Err(wrong())
    }
}

/// Flatten.
pub fn flatten(settings: &Settings<'_, '_>) -> Built {
    let axis = settings.int("axis", 1);
    kernel(move |call| {
        let value = call.input(0)?;
        let rank = value.shape.len();
        let place = if axis == rank as i64 {
            rank
        } else {
            axis_of(axis, rank)?
        };
        let outer = value.shape.iter().take(place).product();
        let inner = value.shape.iter().skip(place).product();
        Ok(vec![Value {
            shape: vec![outer, inner],
            data: value.data.clone(),
        }])
    })
}

fn axes_for(call: &Call<'_>, set: Option<&Vec<i64>>) -> Result<Option<Vec<i64>>, RuntimeError> {
    match call.optional(1) {
        Some(axes) => axes.integers().map(Some),
        None => Ok(set.cloned()),
    }
}

/// Squeeze.
pub fn squeeze(settings: &Settings<'_, '_>) -> Built {
    let set: Option<Vec<i64>> = settings.ints("axes").map(<[i64]>::to_vec);
    kernel(move |call| {
        let value = call.input(0)?;
        let rank = value.shape.len();
        let gone: Vec<usize> = match axes_for(call, set.as_ref())? {
            Some(axes) => axes
                .iter()
                .map(|axis| axis_of(*axis, rank))
                .collect::<Result<_, _>>()?,
            None => (0..rank)
                .filter(|place| value.shape.get(*place) == Some(&1))
                .collect(),
        };
        let mut shape = Vec::with_capacity(rank);
        for (place, dim) in value.shape.iter().enumerate() {
            if !gone.contains(&place) {
                shape.push(*dim);
            } else if *dim != 1 {
                return Err(call.wrong(format!("dimension {place} is {dim}, not 1")));
            }
        }
        Ok(vec![Value {
            shape,
            data: value.data.clone(),
        }])
    })
}

/// Unsqueeze.
pub fn unsqueeze(settings: &Settings<'_, '_>) -> Built {
    let set: Option<Vec<i64>> = settings.ints("axes").map(<[i64]>::to_vec);
    kernel(move |call| {
        let value = call.input(0)?;
        let axes = axes_for(call, set.as_ref())?.unwrap_or_default();
        let rank = value.shape.len() + axes.len();
        if rank > crate::tensor::MAX_RANK {
            return Err(call.wrong("the result has too many dimensions"));
        }
        let new: Vec<usize> = axes
            .iter()
            .map(|axis| axis_of(*axis, rank))
            .collect::<Result<_, _>>()?;
        let mut old = value.shape.iter();
        let shape: Vec<usize> = (0..rank)
            .map(|place| {
                if new.contains(&place) {
                    1
                } else {
                    old.next().copied().unwrap_or(1)
                }
            })
            .collect();
        if elements_of(&shape) != Some(value.len()) {
            return Err(call.wrong("an axis is named twice"));
        }
        Ok(vec![Value {
            shape,
            data: value.data.clone(),
        }])
    })
}

/// Shape, from `start` to `end`.
pub fn shape_of(settings: &Settings<'_, '_>) -> Built {
    let (start, end) = (settings.int("start", 0), settings.int("end", i64::MAX));
    kernel(move |call| {
        let shape = &call.input(0)?.shape;
        let rank = shape.len() as i64;
        let within =
            |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
        let (from, to) = (within(start), within(end));
        let dims: Vec<i64> = shape
            .iter()
            .take(to)
            .skip(from)
            .map(|dim| *dim as i64)
            .collect();
        Ok(vec![Value::i64(vec![dims.len()], dims)])
    })
}

/// Size.
pub fn size_of() -> Built {
    kernel(|call| {
        Ok(vec![Value::i64(
            Vec::new(),
            vec![call.input(0)?.len() as i64],
        )])
    })
}

/// Constant.
pub fn constant(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let value = match settings
        .node
        .attributes
        .first()
        .map(|attribute| &attribute.value)
    {
        Some(AttributeValue::Tensor(_)) => settings.tensor("value")?,
        Some(AttributeValue::Float(value)) => Some(Value::f32(Vec::new(), vec![*value])),
        Some(AttributeValue::Int(value)) => Some(Value::i64(Vec::new(), vec![*value])),
        Some(AttributeValue::Floats(values)) => {
            Some(Value::f32(vec![values.len()], values.clone()))
        }
        Some(AttributeValue::Ints(values)) => Some(Value::i64(vec![values.len()], values.clone())),
        Some(AttributeValue::Text(text)) => Some(Value {
            shape: Vec::new(),
            data: TensorData::Bytes(vec![text.to_vec()]),
        }),
        Some(AttributeValue::Texts(texts)) => Some(Value {
            shape: vec![texts.len()],
            data: TensorData::Bytes(texts.iter().map(|text| text.to_vec()).collect()),
        }),
        _ => None,
    };
    let value = value.ok_or_else(|| settings.unsupported("without a dense value"))?;
    Ok(kernel(move |_| Ok(vec![value.clone()])))
}

/// `ConstantOfShape`.
pub fn constant_of_shape(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let value = settings
        .tensor("value")?
        .unwrap_or_else(|| Value::f32(vec![1], vec![0.0]));
    Ok(kernel(move |call| {
        let shape = call
            .input(0)?
            .integers()?
            .into_iter()
            .map(|dim| usize::try_from(dim).map_err(|_| call.wrong("a dimension is negative")))
            .collect::<Result<Vec<_>, _>>()?;
        let count = call.claim(&shape, value.kind())?;
        let data = super::binary::pick(&value.data, &vec![0; count]);
        if data.len() != count {
            return Err(call.wrong("the value to repeat is empty"));
        }
        Ok(vec![Value { shape, data }])
    }))
}
