//! Labels to numbers and back, and one column per category. Must not guess: an unknown category becomes the
//! declared default.

use std::collections::HashMap;

use crate::embedded::kernel::{Built, Settings, kernel};
use crate::embedded::ops::pick;
use crate::embedded::value::Value;
use crate::error::RuntimeError;
use crate::tensor::{TensorData, TensorKind};

/// A key that can be looked up: floats by their bits, so that NaN finds itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Text(Vec<u8>),
    Whole(i64),
    Float(u64),
}

fn float_key(value: f64) -> Key {
    if value.is_nan() {
        Key::Float(f64::NAN.to_bits())
    } else {
        Key::Float((value + 0.0).to_bits()) // -0 is 0
    }
}

fn keys(data: &TensorData) -> Option<Vec<Key>> {
    Some(match data {
        TensorData::Bytes(values) => values.iter().cloned().map(Key::Text).collect(),
        TensorData::I64(values) => values.iter().copied().map(Key::Whole).collect(),
        TensorData::F32(values) => values.iter().map(|v| float_key(f64::from(*v))).collect(),
        TensorData::F64(values) => values.iter().map(|v| float_key(*v)).collect(),
        TensorData::I32(values) => values.iter().map(|v| Key::Whole(i64::from(*v))).collect(),
        TensorData::I16(values) => values.iter().map(|v| Key::Whole(i64::from(*v))).collect(),
        TensorData::Bool(values) => values.iter().map(|v| Key::Whole(i64::from(*v))).collect(),
        _ => return None,
    })
}

fn list(settings: &Settings<'_, '_>, stem: &str) -> Result<Option<TensorData>, RuntimeError> {
    if let Some(texts) = settings.texts(&format!("{stem}_strings")) {
        return Ok(Some(TensorData::Bytes(
            texts.iter().map(|text| text.to_vec()).collect(),
        )));
    }
    if let Some(numbers) = settings.ints(&format!("{stem}_int64s")) {
        return Ok(Some(TensorData::I64(numbers.to_vec())));
    }
    if let Some(numbers) = settings.floats(&format!("{stem}_floats")) {
        return Ok(Some(TensorData::F32(numbers.to_vec())));
    }
    Ok(settings
        .tensor(&format!("{stem}_tensor"))?
        .map(|value| value.data))
}

/// What stands for an unknown key, of the type of the values.
fn default_of(settings: &Settings<'_, '_>, kind: TensorKind) -> Result<TensorData, RuntimeError> {
    if let Some(value) = settings.tensor("default_tensor")? {
        return Ok(value.data);
    }
    Ok(match kind {
        TensorKind::Bytes => TensorData::Bytes(vec![
            settings
                .text("default_string", "_Unused")
                .as_bytes()
                .to_vec(),
        ]),
        TensorKind::I64 => TensorData::I64(vec![settings.int("default_int64", -1)]),
        TensorKind::F64 => TensorData::F64(vec![-0.0]),
        TensorKind::I16 => TensorData::I16(vec![-1]),
        _ => TensorData::F32(vec![settings.float("default_float", -0.0)]),
    })
}

/// The values with the default behind them, so that an unknown key has a place too.
fn with_default(values: &TensorData, default: &TensorData) -> Option<TensorData> {
    macro_rules! joined {
        ($($variant:ident),*) => {
            match (values, default) {
                $((TensorData::$variant(values), TensorData::$variant(default)) => {
                    Some(TensorData::$variant(values.iter().chain(default.first()).cloned().collect()))
                })*
                _ => None,
            }
        };
    }
    joined!(F32, F64, I16, I64, Bytes)
}

/// `LabelEncoder`, operator sets 1, 2 and 4.
pub fn label_encoder(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    if let Some(classes) = settings.texts("classes_strings") {
        let classes: Vec<Vec<u8>> = classes.iter().map(|text| text.to_vec()).collect();
        return Ok(by_class(settings, &classes));
    }
    let names = list(settings, "keys")?.ok_or_else(|| settings.wrong("there are no keys"))?;
    let values = list(settings, "values")?.ok_or_else(|| settings.wrong("there are no values"))?;
    if names.len() != values.len() {
        return Err(settings.wrong(format!("{} keys and {} values", names.len(), values.len())));
    }
    let default = default_of(settings, values.kind())?;
    let unknown = values.len();
    let values = with_default(&values, &default)
        .ok_or_else(|| settings.wrong("the default is of another type than the values"))?;
    let places: HashMap<Key, usize> = keys(&names)
        .ok_or_else(|| settings.unsupported("keys of this type"))?
        .into_iter()
        .enumerate()
        .map(|(place, key)| (key, place))
        .rev() // the first of equal keys stays
        .collect();
    let kind = names.kind();
    Ok(kernel(move |call| {
        let value = call.input(0)?;
        if value.kind() != kind {
            return Err(call.wrong(format!(
                "wanted {}, got {}",
                kind.word(),
                value.kind().word()
            )));
        }
        let found: Vec<usize> = keys(&value.data)
            .unwrap_or_default()
            .iter()
            .map(|key| places.get(key).copied().unwrap_or(unknown))
            .collect();
        Ok(vec![Value {
            shape: value.shape.clone(),
            data: pick(&values, &found),
        }])
    }))
}

/// The first form: texts to their places, or places to texts.
fn by_class(settings: &Settings<'_, '_>, classes: &[Vec<u8>]) -> Built {
    let unknown = settings.int("default_int64", -1);
    let nameless = settings
        .text("default_string", "_Unused")
        .as_bytes()
        .to_vec();
    let classes = classes.to_vec();
    let places: HashMap<Vec<u8>, i64> = classes
        .iter()
        .enumerate()
        .map(|(place, class)| (class.clone(), place as i64))
        .rev()
        .collect();
    kernel(move |call| {
        let value = call.input(0)?;
        let data = match &value.data {
            TensorData::Bytes(texts) => TensorData::I64(
                texts
                    .iter()
                    .map(|text| places.get(text).copied().unwrap_or(unknown))
                    .collect(),
            ),
            TensorData::I64(numbers) => TensorData::Bytes(
                numbers
                    .iter()
                    .map(|number| {
                        let class = usize::try_from(*number)
                            .ok()
                            .and_then(|place| classes.get(place));
                        class.unwrap_or(&nameless).clone()
                    })
                    .collect(),
            ),
            _ => return Err(call.wrong("wanted texts or 64-bit integers")),
        };
        Ok(vec![Value {
            shape: value.shape.clone(),
            data,
        }])
    })
}

/// `CategoryMapper`: a two-way table.
pub fn category_mapper(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let numbers = settings.ints("cats_int64s").unwrap_or_default().to_vec();
    let texts: Vec<Vec<u8>> = settings
        .texts("cats_strings")
        .unwrap_or_default()
        .iter()
        .map(|text| text.to_vec())
        .collect();
    if numbers.len() != texts.len() {
        return Err(settings.wrong("there are not as many texts as numbers"));
    }
    let unknown = settings.int("default_int64", -1);
    let nameless = settings
        .text("default_string", "_Unused")
        .as_bytes()
        .to_vec();
    let to: HashMap<Vec<u8>, i64> = texts.iter().cloned().zip(numbers.iter().copied()).collect();
    let back: HashMap<i64, Vec<u8>> = numbers.into_iter().zip(texts).collect();
    Ok(kernel(move |call| {
        let value = call.input(0)?;
        let data = match &value.data {
            TensorData::Bytes(texts) => TensorData::I64(
                texts
                    .iter()
                    .map(|text| to.get(text).copied().unwrap_or(unknown))
                    .collect(),
            ),
            TensorData::I64(numbers) => TensorData::Bytes(
                numbers
                    .iter()
                    .map(|number| back.get(number).unwrap_or(&nameless).clone())
                    .collect(),
            ),
            _ => return Err(call.wrong("wanted texts or 64-bit integers")),
        };
        Ok(vec![Value {
            shape: value.shape.clone(),
            data,
        }])
    }))
}

/// `OneHotEncoder`: a new last dimension with one place per category.
pub fn one_hot(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let texts = settings
        .texts("cats_strings")
        .filter(|list| !list.is_empty());
    let categories: Vec<Key> = match texts {
        Some(texts) => texts.iter().map(|text| Key::Text(text.to_vec())).collect(),
        None => settings
            .ints("cats_int64s")
            .unwrap_or_default()
            .iter()
            .map(|v| Key::Whole(*v))
            .collect(),
    };
    let zeros = settings.int("zeros", 1) != 0;
    let width = categories.len();
    if width == 0 {
        return Err(settings.wrong("there are no categories"));
    }
    let places: HashMap<Key, usize> = categories
        .into_iter()
        .enumerate()
        .map(|(place, key)| (key, place))
        .rev()
        .collect();
    Ok(kernel(move |call| {
        let value = call.input(0)?;
        let found: Vec<Key> = match &value.data {
            TensorData::Bytes(texts) => texts.iter().cloned().map(Key::Text).collect(),
            other => other
                .to_f64()
                .unwrap_or_default()
                .into_iter()
                .map(|v| Key::Whole(v as i64))
                .collect(),
        };
        let mut shape = value.shape.clone();
        shape.push(width);
        let count = call.claim(&shape, TensorKind::F32)?;
        let mut made = vec![0.0_f32; count];
        for (key, row) in found.iter().zip(made.chunks_exact_mut(width)) {
            match places.get(key).and_then(|place| row.get_mut(*place)) {
                Some(place) => *place = 1.0,
                None if zeros => {}
                None => return Err(call.wrong("a category is unknown to the encoder")),
            }
        }
        Ok(vec![Value::f32(shape, made)])
    }))
}
