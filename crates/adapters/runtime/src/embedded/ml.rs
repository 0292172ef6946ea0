//! The ai.onnx.ml operators: what classical models are made of. Where the specification is silent they do as
//! ONNX Runtime does, which the parity tests hold. Must not depend on how a graph is run.

mod encode;
mod linear;
mod scale;
mod svm;
mod transform;
mod trees;

use super::kernel::{Built, Settings, kernel};
use super::value::Value;
use super::{INTERPRETER, REMEDY};
use crate::error::RuntimeError;
use crate::tensor::TensorData;

/// The operator of a node, ready to run.
pub fn build(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let built = match settings.node.op {
        "TreeEnsembleClassifier" => trees::classifier(settings)?,
        "TreeEnsembleRegressor" => trees::regressor(settings)?,
        "TreeEnsemble" => trees::ensemble(settings)?,
        "LinearClassifier" => linear::classifier(settings)?,
        "LinearRegressor" => linear::regressor(settings)?,
        "SVMClassifier" => svm::classifier(settings)?,
        "SVMRegressor" => svm::regressor(settings)?,
        "Scaler" => scale::scaler(settings),
        "Normalizer" => scale::normalizer(settings)?,
        "Imputer" => scale::imputer(settings)?,
        "Binarizer" => scale::binarizer(settings),
        "FeatureVectorizer" => scale::feature_vectorizer(settings),
        "ArrayFeatureExtractor" => scale::array_feature_extractor(),
        "LabelEncoder" => encode::label_encoder(settings)?,
        "CategoryMapper" => encode::category_mapper(settings)?,
        "OneHotEncoder" => encode::one_hot(settings)?,
        // Scores pass through as a matrix: see the guard.
        "ZipMap" => kernel(|call| Ok(vec![call.input(0)?.clone()])),
        _ => {
            return Err(RuntimeError::UnknownOperator {
                operator: settings.node.operator(),
                engine: INTERPRETER.to_owned(),
                remedy: REMEDY.to_owned(),
            });
        }
    };
    Ok(built)
}

/// The labels of a classifier, numbers or texts.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<Vec<u8>>),
}

impl Labels {
    fn of(settings: &Settings<'_, '_>, numbers: &str, texts: &str) -> Self {
        match settings.texts(texts).filter(|texts| !texts.is_empty()) {
            Some(texts) => Self::Texts(texts.iter().map(|text| text.to_vec()).collect()),
            None => Self::Numbers(settings.ints(numbers).unwrap_or_default().to_vec()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// One label for each row, by place.
    fn pick(&self, places: &[usize]) -> Value {
        let data = match self {
            Self::Numbers(labels) => TensorData::I64(
                places
                    .iter()
                    .map(|place| labels.get(*place).copied().unwrap_or(*place as i64))
                    .collect(),
            ),
            Self::Texts(labels) => TensorData::Bytes(
                places
                    .iter()
                    .map(|place| {
                        let bare = || place.to_string().into_bytes();
                        labels.get(*place).cloned().unwrap_or_else(bare)
                    })
                    .collect(),
            ),
        };
        Value {
            shape: vec![places.len()],
            data,
        }
    }
}
