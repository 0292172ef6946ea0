//! Cast: one element type to another. Must not round silently where ONNX says otherwise: floats to whole
//! numbers are cut towards zero, to truth values by "not zero".

use crate::embedded::kernel::{Built, Settings, kernel};
use crate::embedded::value::Value;
use crate::error::RuntimeError;
use crate::guard::element_of;
use crate::tensor::{TensorData, TensorKind};

/// Cast and `CastLike`.
pub fn build(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    if settings.node.op == "CastLike" {
        return Ok(kernel(|call| {
            let kind = call.input(1)?.kind();
            Ok(vec![cast_to(call.input(0)?, kind)?])
        }));
    }
    let to = settings.int("to", 0);
    let kind =
        element_of(to).ok_or_else(|| settings.unsupported(&format!("to element type {to}")))?;
    Ok(kernel(move |call| Ok(vec![cast_to(call.input(0)?, kind)?])))
}

fn parse(text: &[u8]) -> Result<f64, RuntimeError> {
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    let number = match text {
        "INF" | "+INF" => Ok(f64::INFINITY),
        "-INF" => Ok(f64::NEG_INFINITY),
        other => other.parse(),
    };
    number.map_err(|_| RuntimeError::shape("Cast", format!("{text:?} is not a number")))
}

fn shown(number: f64, narrow: bool) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "INF" } else { "-INF" }.to_owned();
    }
    if narrow {
        format!("{}", number as f32)
    } else {
        format!("{number}")
    }
}

/// Whole numbers keep their low bits, as a C cast does; everything else goes through a double.
macro_rules! from_source {
    ($data:expr, $kind:ty) => {
        match $data {
            TensorData::F32(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::F64(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::I8(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::I16(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::I32(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::I64(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::U8(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::U16(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::U32(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::U64(values) => values.iter().map(|v| *v as $kind).collect(),
            TensorData::Bool(values) => values.iter().map(|v| u8::from(*v) as $kind).collect(),
            TensorData::Bytes(values) => values
                .iter()
                .map(|text| parse(text).map(|v| v as $kind))
                .collect::<Result<_, _>>()?,
        }
    };
}

/// The same elements as another type.
#[expect(trivial_numeric_casts, reason = "one macro for all pairs of types")]
pub fn cast_to(value: &Value, kind: TensorKind) -> Result<Value, RuntimeError> {
    if value.kind() == kind {
        return Ok(value.clone());
    }
    let data = &value.data;
    let data = match kind {
        TensorKind::F32 => TensorData::F32(from_source!(data, f32)),
        TensorKind::F64 => TensorData::F64(from_source!(data, f64)),
        TensorKind::I8 => TensorData::I8(from_source!(data, i8)),
        TensorKind::I16 => TensorData::I16(from_source!(data, i16)),
        TensorKind::I32 => TensorData::I32(from_source!(data, i32)),
        TensorKind::I64 => TensorData::I64(from_source!(data, i64)),
        TensorKind::U8 => TensorData::U8(from_source!(data, u8)),
        TensorKind::U16 => TensorData::U16(from_source!(data, u16)),
        TensorKind::U32 => TensorData::U32(from_source!(data, u32)),
        TensorKind::U64 => TensorData::U64(from_source!(data, u64)),
        TensorKind::Bool => TensorData::Bool(match data {
            TensorData::Bytes(texts) => texts
                .iter()
                .map(|text| parse(text).map(|v| v != 0.0))
                .collect::<Result<_, _>>()?,
            other => other
                .to_f64()
                .unwrap_or_default()
                .into_iter()
                .map(|v| v != 0.0)
                .collect(),
        }),
        TensorKind::Bytes => TensorData::Bytes(texts(data)),
    };
    Ok(Value {
        shape: value.shape.clone(),
        data,
    })
}

fn texts(data: &TensorData) -> Vec<Vec<u8>> {
    let written: Vec<String> = match data {
        TensorData::F32(values) => values.iter().map(|v| shown(f64::from(*v), true)).collect(),
        TensorData::F64(values) => values.iter().map(|v| shown(*v, false)).collect(),
        TensorData::I64(values) => values.iter().map(ToString::to_string).collect(),
        TensorData::U64(values) => values.iter().map(ToString::to_string).collect(),
        other => other
            .to_f64()
            .unwrap_or_default()
            .into_iter()
            .map(|v| v.to_string())
            .collect(),
    };
    written.into_iter().map(String::into_bytes).collect()
}
