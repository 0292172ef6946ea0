//! The committed models with their inputs and the answers of Python onnxruntime, and how answers are
//! compared. Made by `sdk/python/runtime_models.py`.

use std::path::{Path, PathBuf};

use runtime::{Tensor, TensorData};
use serde_json::Value as Json;

/// One model with a call and its answer.
pub struct Case {
    pub name: String,
    pub model: Vec<u8>,
    pub inputs: Vec<Tensor>,
    pub expected: Vec<Tensor>,
}

/// Where the committed models are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

/// The bytes of one model.
pub fn model(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.onnx"))).unwrap()
}

/// One case.
pub fn case(name: &str) -> Case {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    Case {
        name: name.to_owned(),
        model: model(name),
        inputs: tensors(&json["inputs"]),
        expected: tensors(&json["outputs"]),
    }
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 18, "only {} cases were found", names.len());
    names.iter().map(|name| case(name)).collect()
}

fn tensors(json: &Json) -> Vec<Tensor> {
    json.as_object()
        .unwrap()
        .iter()
        .map(|(name, tensor)| {
            let shape = tensor["shape"].as_array().unwrap();
            let shape = shape.iter().map(|dim| dim.as_u64().unwrap() as usize);
            let data = tensor["data"].as_array().unwrap();
            let float = |v: &Json| v.as_f64().unwrap_or(f64::NAN);
            let data = match tensor["datatype"].as_str().unwrap() {
                "FP32" => TensorData::F32(data.iter().map(|v| float(v) as f32).collect()),
                "FP64" => TensorData::F64(data.iter().map(float).collect()),
                "INT64" => TensorData::I64(data.iter().map(|v| v.as_i64().unwrap()).collect()),
                "BYTES" => TensorData::Bytes(
                    data.iter()
                        .map(|v| v.as_str().unwrap().as_bytes().to_vec())
                        .collect(),
                ),
                other => panic!("no reader for {other}"),
            };
            Tensor::new(name, shape.collect(), data).unwrap()
        })
        .collect()
}

/// The first difference beyond the tolerance (absolute below 1, relative above), in words.
pub fn difference(expected: &[Tensor], found: &[Tensor], tolerance: f64) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!("{} outputs, not {}", found.len(), expected.len()));
    }
    expected.iter().find_map(|wanted| {
        let Some(tensor) = found.iter().find(|tensor| tensor.name() == wanted.name()) else {
            return Some(format!("output {} is missing", wanted.name()));
        };
        if (tensor.shape(), tensor.kind()) != (wanted.shape(), wanted.kind()) {
            return Some(format!(
                "{}: {:?} {}, not {:?} {}",
                wanted.name(),
                tensor.shape(),
                tensor.kind().word(),
                wanted.shape(),
                wanted.kind().word()
            ));
        }
        let (Some(a), Some(b)) = (wanted.data().to_f64(), tensor.data().to_f64()) else {
            return (wanted.data() != tensor.data())
                .then(|| format!("{}: other texts", wanted.name()));
        };
        a.iter().zip(&b).enumerate().find_map(|(place, (a, b))| {
            let same = (a.is_nan() && b.is_nan())
                || (a.is_infinite()
                    && a.signum().to_bits() == b.signum().to_bits()
                    && b.is_infinite())
                || (a - b).abs() <= tolerance * a.abs().max(1.0);
            (!same).then(|| format!("{} at {place}: {b}, not {a}", wanted.name()))
        })
    })
}
