//! Values between the nodes of the built-in interpreter, with the few ways they are looked at. Must not
//! compute anything that an operator means.

use crate::error::RuntimeError;
use crate::tensor::{TensorData, TensorKind};

/// An array without a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub data: TensorData,
}

/// Runs one expression on the vector of whichever kind it is, giving a vector of the same kind back.
macro_rules! map_each {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            $crate::tensor::TensorData::F32($values) => $crate::tensor::TensorData::F32($body),
            $crate::tensor::TensorData::F64($values) => $crate::tensor::TensorData::F64($body),
            $crate::tensor::TensorData::I8($values) => $crate::tensor::TensorData::I8($body),
            $crate::tensor::TensorData::I16($values) => $crate::tensor::TensorData::I16($body),
            $crate::tensor::TensorData::I32($values) => $crate::tensor::TensorData::I32($body),
            $crate::tensor::TensorData::I64($values) => $crate::tensor::TensorData::I64($body),
            $crate::tensor::TensorData::U8($values) => $crate::tensor::TensorData::U8($body),
            $crate::tensor::TensorData::U16($values) => $crate::tensor::TensorData::U16($body),
            $crate::tensor::TensorData::U32($values) => $crate::tensor::TensorData::U32($body),
            $crate::tensor::TensorData::U64($values) => $crate::tensor::TensorData::U64($body),
            $crate::tensor::TensorData::Bool($values) => $crate::tensor::TensorData::Bool($body),
            $crate::tensor::TensorData::Bytes($values) => $crate::tensor::TensorData::Bytes($body),
        }
    };
}
pub(crate) use map_each;

/// Length of the whole, `None` where it does not fit a machine word.
pub fn elements_of(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, dim| product.checked_mul(*dim))
}

/// Steps between neighbours of each dimension.
pub fn strides_of(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    let mut step = 1_usize;
    for (stride, dim) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(*dim);
    }
    strides
}

/// The place of an axis that may count from the end.
pub fn axis_of(axis: i64, rank: usize) -> Result<usize, RuntimeError> {
    let place = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(place)
        .ok()
        .filter(|place| *place < rank.max(1))
        .ok_or_else(|| {
            RuntimeError::shape("axis", format!("{axis} of a tensor with {rank} dimensions"))
        })
}

impl Value {
    /// Of 32-bit floats.
    pub const fn f32(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self {
            shape,
            data: TensorData::F32(values),
        }
    }

    /// Of 64-bit integers.
    pub const fn i64(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self {
            shape,
            data: TensorData::I64(values),
        }
    }

    /// How many elements.
    pub const fn len(&self) -> usize {
        self.data.len()
    }

    /// What the elements are.
    pub const fn kind(&self) -> TensorKind {
        self.data.kind()
    }

    /// Integers of any width, for axes, shapes and places.
    pub fn integers(&self) -> Result<Vec<i64>, RuntimeError> {
        Ok(match &self.data {
            TensorData::I64(values) => values.clone(),
            TensorData::I32(values) => values.iter().map(|v| i64::from(*v)).collect(),
            TensorData::I16(values) => values.iter().map(|v| i64::from(*v)).collect(),
            TensorData::I8(values) => values.iter().map(|v| i64::from(*v)).collect(),
            TensorData::U8(values) => values.iter().map(|v| i64::from(*v)).collect(),
            TensorData::U16(values) => values.iter().map(|v| i64::from(*v)).collect(),
            TensorData::U32(values) => values.iter().map(|v| i64::from(*v)).collect(),
            _ => {
                return Err(RuntimeError::shape(
                    "integers",
                    format!("wanted integers, got {}", self.kind().word()),
                ));
            }
        })
    }

    /// Numbers as 32-bit floats, as the ai.onnx.ml operators take them.
    pub fn floats(&self) -> Result<std::borrow::Cow<'_, [f32]>, RuntimeError> {
        use std::borrow::Cow;
        Ok(match &self.data {
            TensorData::F32(values) => Cow::Borrowed(values.as_slice()),
            TensorData::F64(values) => Cow::Owned(values.iter().map(|v| *v as f32).collect()),
            TensorData::I64(values) => Cow::Owned(values.iter().map(|v| *v as f32).collect()),
            TensorData::Bytes(_) => {
                return Err(RuntimeError::shape("numbers", "wanted numbers, got texts"));
            }
            other => Cow::Owned(
                other
                    .to_f64()
                    .unwrap_or_default()
                    .into_iter()
                    .map(|v| v as f32)
                    .collect(),
            ),
        })
    }

    /// Rows and columns as the ai.onnx.ml operators see them: one dimension is one row.
    pub fn rows(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [] => (1, 1),
            [columns] => (1, *columns),
            [rows, rest @ ..] => (*rows, elements_of(rest).unwrap_or(0)),
        }
    }
}
