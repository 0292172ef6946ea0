//! Tensors in the file: how many elements their bytes hold, and their copy as a [`Value`] for the built-in
//! interpreter. Must not trust a declared size before it is compared with the bytes.

use super::model::TensorView;
use super::wire::{Field, Reader};
use crate::embedded::value::Value;
use crate::error::RuntimeError;
use crate::tensor::{TensorData, TensorKind};

/// Our element type for `TensorProto.DataType`; half precision, complex and sub-byte types have none.
pub fn element_of(data_type: i64) -> Option<TensorKind> {
    Some(match data_type {
        1 => TensorKind::F32,
        2 => TensorKind::U8,
        3 => TensorKind::I8,
        4 => TensorKind::U16,
        5 => TensorKind::I16,
        6 => TensorKind::I32,
        7 => TensorKind::I64,
        8 => TensorKind::Bytes,
        9 => TensorKind::Bool,
        11 => TensorKind::F64,
        12 => TensorKind::U32,
        13 => TensorKind::U64,
        _ => return None,
    })
}

/// Bits of one element in `raw_data`, `None` for text and unknown types.
const fn bits(data_type: i64) -> Option<u64> {
    Some(match data_type {
        1 | 6 | 12 => 32,
        7 | 11 | 13 | 14 => 64,
        15 => 128,
        4 | 5 | 10 | 16 => 16,
        2 | 3 | 9 | 17..=20 | 24 => 8,
        21..=23 => 4,
        _ => return None,
    })
}

/// The field that holds the elements where `raw_data` does not, and how many of its entries make one
/// element (negative: how many elements one entry holds).
const fn typed_field(data_type: i64) -> Option<(u32, i64)> {
    Some(match data_type {
        1 => (4, 1),
        14 => (4, 2),
        2..=6 | 9 | 10 | 16..=20 | 24 => (5, 1),
        21..=23 => (5, -2),
        8 => (6, 1),
        7 => (7, 1),
        11 => (10, 1),
        15 => (10, 2),
        12 | 13 => (11, 1),
        _ => return None,
    })
}

fn entries(number: u32, field: Field<'_>) -> Result<u64, RuntimeError> {
    Ok(match (number, field) {
        (6, _) | (_, Field::Varint(_) | Field::Fixed32(_) | Field::Fixed64(_)) => 1,
        (4, Field::Bytes(bytes)) => bytes.len() as u64 / 4,
        (10, Field::Bytes(bytes)) => bytes.len() as u64 / 8,
        (_, Field::Bytes(bytes)) => {
            let mut reader = Reader::new(bytes);
            let mut count = 0;
            while !reader.rest().is_empty() {
                reader.varint()?;
                count += 1;
            }
            count
        }
    })
}

impl TensorView<'_> {
    fn says(&self, detail: &str) -> RuntimeError {
        RuntimeError::Corrupt(format!("tensor {:?} {detail}", self.name))
    }

    /// How many elements are declared, after the bytes were found to hold them.
    pub fn checked_elements(&self, limit: u64) -> Result<u64, RuntimeError> {
        if self.external {
            return Err(RuntimeError::ExternalData {
                tensor: self.name.to_owned(),
            });
        }
        let declared = self.dims.iter().try_fold(1_u64, |product, dim| {
            u64::try_from(*dim)
                .map_err(|_| self.says("has a negative dimension"))
                .map(|dim| product.saturating_mul(dim))
        })?;
        if declared > limit {
            return Err(RuntimeError::too_large(
                format!("the number of elements of tensor {:?}", self.name),
                declared,
                limit,
            ));
        }
        let held = match self.raw {
            Some(raw) => {
                if !self.typed.is_empty() {
                    return Err(self.says("holds its data twice"));
                }
                let bits =
                    bits(self.data_type).ok_or_else(|| self.says("has an unknown element type"))?;
                if raw.len() as u64 != (declared * bits).div_ceil(8) {
                    return Err(self.says(&format!(
                        "declares {declared} elements and holds {} bytes",
                        raw.len()
                    )));
                }
                declared
            }
            None => self.typed_elements()?,
        };
        // Sub-byte elements are padded to a whole entry.
        let fits = held == declared
            || (matches!(self.data_type, 21..=23) && held == declared.div_ceil(2) * 2);
        if fits {
            Ok(declared)
        } else {
            Err(self.says(&format!("declares {declared} elements and holds {held}")))
        }
    }

    fn typed_elements(&self) -> Result<u64, RuntimeError> {
        let (field, per) =
            typed_field(self.data_type).ok_or_else(|| self.says("has an unknown element type"))?;
        let mut count = 0_u64;
        for (number, content) in &self.typed {
            if *number != field {
                return Err(self.says("holds data of another type than it declares"));
            }
            count = count.saturating_add(entries(*number, *content)?);
        }
        Ok(if per < 0 {
            count.saturating_mul(per.unsigned_abs())
        } else {
            count / per.unsigned_abs().max(1)
        })
    }

    fn ints(&self) -> Result<Vec<i64>, RuntimeError> {
        let mut values = Vec::new();
        for (_, field) in &self.typed {
            field.ints(&mut values)?;
        }
        Ok(values)
    }
}

macro_rules! numbers {
    ($view:expr, $kind:ty, $variant:ident, $typed:expr) => {
        TensorData::$variant(match $view.raw {
            Some(raw) => raw
                .as_chunks::<{ size_of::<$kind>() }>()
                .0
                .iter()
                .map(|chunk| <$kind>::from_le_bytes(*chunk))
                .collect(),
            None => $typed,
        })
    };
}

/// A copy of the tensor, checked.
pub fn tensor_of(view: &TensorView<'_>, limit: u64) -> Result<Value, RuntimeError> {
    view.checked_elements(limit)?;
    let Some(element) = element_of(view.data_type) else {
        return Err(RuntimeError::shape(
            view.name,
            "its element type is not supported by the built-in interpreter",
        ));
    };
    let data = match element {
        TensorKind::F32 => numbers!(view, f32, F32, {
            let mut values = Vec::new();
            for (_, field) in &view.typed {
                field.floats(&mut values)?;
            }
            values
        }),
        TensorKind::F64 => numbers!(view, f64, F64, {
            let mut values = Vec::new();
            for (_, field) in &view.typed {
                field.doubles(&mut values)?;
            }
            values
        }),
        TensorKind::I64 => numbers!(view, i64, I64, view.ints()?),
        TensorKind::I8 => numbers!(view, i8, I8, cast(view.ints()?, |v| v as i8)),
        TensorKind::I16 => numbers!(view, i16, I16, cast(view.ints()?, |v| v as i16)),
        TensorKind::I32 => numbers!(view, i32, I32, cast(view.ints()?, |v| v as i32)),
        TensorKind::U8 => numbers!(view, u8, U8, cast(view.ints()?, |v| v as u8)),
        TensorKind::U16 => numbers!(view, u16, U16, cast(view.ints()?, |v| v as u16)),
        TensorKind::U32 => numbers!(view, u32, U32, cast(view.ints()?, |v| v as u32)),
        TensorKind::U64 => numbers!(view, u64, U64, cast(view.ints()?, |v| v as u64)),
        TensorKind::Bool => TensorData::Bool(match view.raw {
            Some(raw) => raw.iter().map(|byte| *byte != 0).collect(),
            None => cast(view.ints()?, |v| v != 0),
        }),
        TensorKind::Bytes => TensorData::Bytes(
            view.typed
                .iter()
                .map(|(_, field)| field.bytes().map(<[u8]>::to_vec))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Value {
        shape: view.dims.iter().map(|dim| *dim as usize).collect(),
        data,
    })
}

fn cast<T>(values: Vec<i64>, convert: fn(i64) -> T) -> Vec<T> {
    values.into_iter().map(convert).collect()
}
