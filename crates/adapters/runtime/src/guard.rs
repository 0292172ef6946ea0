//! What is looked at before any runtime sees a model: that the file is sound protobuf, small enough, uses
//! allowed operators of known names, keeps its data inside, does not feed itself, and declares no tensor
//! that its bytes do not hold. Must not run anything.

mod check;
mod constant;
pub mod model;
mod rewrite;
pub mod wire;

use std::borrow::Cow;

use crate::error::RuntimeError;
use crate::port::Signature;
use crate::tensor::Tensor;
pub(crate) use check::order_of;
pub(crate) use constant::{element_of, tensor_of};
use model::{Counted, Model};

/// Bounds on a file and its graph.
#[derive(Debug, Clone)]
pub struct GuardLimits {
    /// Bytes of the file.
    pub max_bytes: u64,
    /// Nodes, those of subgraphs included.
    pub max_nodes: u64,
    /// Nesting of subgraphs; the graph itself counts as one.
    pub max_depth: u32,
    /// Names, settings, inputs, outputs and constants together.
    pub max_items: u64,
    /// Elements of one tensor, declared or constant.
    pub max_elements: u64,
    /// Operator domains that may be used; the empty one is ai.onnx.
    pub domains: Vec<String>,
    /// Greatest version of ai.onnx that is let through.
    pub max_opset: i64,
    /// Greatest version of ai.onnx.ml that is let through.
    pub max_ml_opset: i64,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            max_bytes: 512 << 20,
            max_nodes: 100_000,
            max_depth: 8,
            max_items: 4_000_000,
            max_elements: 1 << 28,
            domains: vec![String::new(), "ai.onnx.ml".to_owned()],
            max_opset: 28,
            max_ml_opset: 5,
        }
    }
}

/// A model that passed.
#[derive(Debug, Clone)]
pub struct Inspected<'a> {
    /// Its parts.
    pub model: Model<'a>,
    /// What it takes and gives, `ZipMap` seen as passing its scores through.
    pub signature: Signature,
    /// What was counted.
    pub facts: Facts,
    bytes: &'a [u8],
}

/// What the guard counted, for `theriac model inspect`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Nodes with those of subgraphs.
    pub nodes: u64,
    /// Elements of all constants.
    pub parameters: u64,
    /// Operators as `domain:name`, sorted, each once.
    pub operators: Vec<String>,
    /// Operator sets as `domain` and version.
    pub opsets: Vec<(String, i64)>,
    /// What wrote the file.
    pub producer: String,
}

/// Looks a file over.
pub fn inspect<'a>(bytes: &'a [u8], limits: &GuardLimits) -> Result<Inspected<'a>, RuntimeError> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(RuntimeError::too_large(
            "the model's size in bytes",
            bytes.len() as u64,
            limits.max_bytes,
        ));
    }
    let model = Model::read(bytes, &mut Counted::new(limits))?;
    let (signature, facts) = check::check(&model, limits)?;
    Ok(Inspected {
        model,
        signature,
        facts,
        bytes,
    })
}

impl<'a> Inspected<'a> {
    /// The bytes for a runtime: those of the file, or, where the graph ends in `ZipMap`, a copy in which the
    /// scores pass through as a tensor, so that every runtime answers the same.
    pub fn for_runtime(&self) -> Result<Cow<'a, [u8]>, RuntimeError> {
        if self.model.graph.nodes.iter().any(rewrite::is_zip_map) {
            rewrite::without_zip_maps(self.bytes, &self.signature).map(Cow::Owned)
        } else {
            Ok(Cow::Borrowed(self.bytes))
        }
    }

    /// Version of the operator set, 1 where the file does not name it.
    pub fn opset(&self, domain: &str) -> i64 {
        self.model
            .opsets
            .iter()
            .find(|(name, _)| *name == domain)
            .map_or(1, |(_, version)| *version)
    }
}

/// One `TensorProto` of its own, as the files beside a model's tests hold it.
pub fn read_tensor(bytes: &[u8], max_elements: u64) -> Result<Tensor, RuntimeError> {
    let limits = GuardLimits::default();
    let view = model::TensorView::read(bytes, &mut Counted::new(&limits))?;
    let value = tensor_of(&view, max_elements)?;
    Tensor::new(view.name, value.shape, value.data)
        .map_err(|error| RuntimeError::shape(view.name, error.to_string()))
}
