//! Our tensors to those of ONNX Runtime and back. Must not copy what goes in: the library reads our memory.

use std::borrow::Cow;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor as OrtTensor, TensorElementType};

use super::failed;
use crate::error::RuntimeError;
use crate::tensor::{Tensor, TensorData};

/// A named input.
pub fn to_ort(
    tensor: Tensor,
) -> Result<(Cow<'static, str>, SessionInputValue<'static>), RuntimeError> {
    let (name, shape, data) = tensor.into_parts();
    macro_rules! owned {
        ($values:expr) => {
            OrtTensor::from_array((shape, $values))
                .map_err(failed)?
                .into_dyn()
        };
    }
    let value = match data {
        TensorData::F32(values) => owned!(values),
        TensorData::F64(values) => owned!(values),
        TensorData::I8(values) => owned!(values),
        TensorData::I16(values) => owned!(values),
        TensorData::I32(values) => owned!(values),
        TensorData::I64(values) => owned!(values),
        TensorData::U8(values) => owned!(values),
        TensorData::U16(values) => owned!(values),
        TensorData::U32(values) => owned!(values),
        TensorData::U64(values) => owned!(values),
        TensorData::Bool(values) => owned!(values),
        TensorData::Bytes(values) => {
            let texts = values
                .into_iter()
                .map(|bytes| {
                    String::from_utf8(bytes)
                        .map_err(|_| RuntimeError::shape(&name, "a text is not UTF-8"))
                })
                .collect::<Result<Vec<_>, _>>()?;
            OrtTensor::from_string_array((shape, texts.as_slice()))
                .map_err(failed)?
                .into_dyn()
        }
    };
    Ok((Cow::Owned(name), SessionInputValue::Owned(value)))
}

/// A named output.
pub fn from_ort(name: &str, value: &DynValue) -> Result<Tensor, RuntimeError> {
    let ort::value::ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(RuntimeError::shape(name, "this output is not a tensor"));
    };
    macro_rules! copied {
        ($variant:ident, $kind:ty) => {{
            let (shape, values) = value.try_extract_tensor::<$kind>().map_err(failed)?;
            (dims(shape), TensorData::$variant(values.to_vec()))
        }};
    }
    let (shape, data) = match ty {
        TensorElementType::Float32 => copied!(F32, f32),
        TensorElementType::Float64 => copied!(F64, f64),
        TensorElementType::Int8 => copied!(I8, i8),
        TensorElementType::Int16 => copied!(I16, i16),
        TensorElementType::Int32 => copied!(I32, i32),
        TensorElementType::Int64 => copied!(I64, i64),
        TensorElementType::Uint8 => copied!(U8, u8),
        TensorElementType::Uint16 => copied!(U16, u16),
        TensorElementType::Uint32 => copied!(U32, u32),
        TensorElementType::Uint64 => copied!(U64, u64),
        TensorElementType::Bool => copied!(Bool, bool),
        TensorElementType::String => {
            let (shape, texts) = value.try_extract_strings().map_err(failed)?;
            let bytes = texts.into_iter().map(String::into_bytes).collect();
            (dims(shape), TensorData::Bytes(bytes))
        }
        other => {
            return Err(RuntimeError::shape(
                name,
                format!("this output has element type {other}, which is not taken"),
            ));
        }
    };
    Tensor::new(name, shape, data).map_err(|error| RuntimeError::shape(name, error.to_string()))
}

fn dims(shape: &[i64]) -> Vec<usize> {
    shape
        .iter()
        .map(|dim| usize::try_from(*dim).unwrap_or(0))
        .collect()
}
