//! The port: what a runtime must be able to do. Adapters are `embedded` (nothing to install) and
//! `onnx_runtime` (a shared library). Must not know either of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::RuntimeError;
use crate::guard::GuardLimits;
use crate::tensor::{Tensor, TensorKind};

/// A length of one dimension as the model declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Always this long.
    Fixed(usize),
    /// Free; the name is the model's, possibly empty.
    Dynamic(String),
}

/// A declared input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Type of the elements.
    pub kind: TensorKind,
    /// `None`: the model does not say, any shape is taken.
    pub shape: Option<Vec<Dim>>,
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// Inputs, in the model's order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs, in the model's order.
    pub outputs: Vec<TensorSpec>,
}

/// Bounds on what may be loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadLimits {
    /// Of the file and its graph.
    pub guard: GuardLimits,
    /// Of each call's intermediate values.
    pub call: CallLimits,
}

/// Bounds on what one call may use.
#[derive(Debug, Clone)]
pub struct CallLimits {
    /// Bytes of inputs, intermediate values and outputs together. The built-in interpreter counts them
    /// exactly; for other engines inputs and outputs are counted.
    pub memory_bytes: u64,
    /// Elements of one input.
    pub input_elements: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            input_elements: 1 << 28,
        }
    }
}

/// A call's permission to go on; shared with whoever may withdraw it.
#[derive(Clone, Default)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    stopped: AtomicBool,
    then: Mutex<Vec<Stopper>>,
}

type Stopper = Box<dyn Fn() + Send + Sync>;

impl Budget {
    /// Asks the call to stop as soon as it can.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::Release);
        for stop in self.inner.then.lock().drain(..) {
            stop();
        }
    }

    /// Whether it was asked.
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::Acquire)
    }

    /// What to do when asked; done at once where that was before.
    pub fn on_stop(&self, then: impl Fn() + Send + Sync + 'static) {
        self.inner.then.lock().push(Box::new(then));
        if self.is_stopped() {
            self.stop();
        }
    }
}

/// Which engine runs a model, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The engine.
    pub engine: String,
    /// Why this one.
    pub because: String,
}

/// Loads models.
pub trait Runtime: Send + Sync {
    /// A short name with version, for the record of an answer.
    fn name(&self) -> String;

    /// Looks the bytes over, loads them and runs nothing yet.
    fn load(&self, model: &[u8], limits: &LoadLimits) -> Result<Arc<dyn Session>, RuntimeError>;
}

/// A loaded model. Calls may come from several threads at once.
pub trait Session: Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;

    /// Which engine runs it and why.
    fn describe(&self) -> Description;

    /// One call. Inputs are matched by name; every declared input must be there, none twice and no other.
    fn run(&self, inputs: Vec<Tensor>, budget: &Budget) -> Result<Vec<Tensor>, RuntimeError>;
}

impl Signature {
    /// Puts the inputs into the declared order and checks names, types, shapes and sizes.
    pub fn arrange(
        &self,
        mut given: Vec<Tensor>,
        limits: &CallLimits,
    ) -> Result<Vec<Tensor>, RuntimeError> {
        let mut arranged = Vec::with_capacity(self.inputs.len());
        for spec in &self.inputs {
            let Some(place) = given.iter().position(|tensor| tensor.name() == spec.name) else {
                return Err(RuntimeError::shape(&spec.name, "this input is missing"));
            };
            let tensor = given.swap_remove(place);
            spec.check(&tensor, limits)?;
            arranged.push(tensor);
        }
        if let Some(stray) = given.first() {
            return Err(RuntimeError::shape(
                stray.name(),
                "the model has no such input, or it came twice",
            ));
        }
        Ok(arranged)
    }

    /// Whether calls can be joined along the first dimension: every input and output has a free first one.
    pub fn is_batchable(&self) -> bool {
        let free = |spec: &TensorSpec| {
            spec.shape
                .as_ref()
                .is_some_and(|shape| matches!(shape.first(), Some(Dim::Dynamic(_))))
        };
        !self.inputs.is_empty() && self.inputs.iter().all(free) && self.outputs.iter().all(free)
    }
}

impl TensorSpec {
    /// Whether a tensor fits what is declared.
    pub fn check(&self, tensor: &Tensor, limits: &CallLimits) -> Result<(), RuntimeError> {
        if tensor.kind() != self.kind {
            return Err(RuntimeError::shape(
                &self.name,
                format!(
                    "wanted elements of type {}, got {}",
                    self.kind.word(),
                    tensor.kind().word()
                ),
            ));
        }
        if tensor.data().len() as u64 > limits.input_elements {
            return Err(RuntimeError::too_large(
                format!("the number of elements of input {:?}", self.name),
                tensor.data().len() as u64,
                limits.input_elements,
            ));
        }
        let Some(shape) = &self.shape else {
            return Ok(());
        };
        let fits = shape.len() == tensor.shape().len()
            && shape
                .iter()
                .zip(tensor.shape())
                .all(|(dim, length)| matches!(dim, Dim::Dynamic(_)) || *dim == Dim::Fixed(*length));
        if fits {
            Ok(())
        } else {
            Err(RuntimeError::shape(
                &self.name,
                format!(
                    "wanted shape {}, got {:?}",
                    self.shape_text(),
                    tensor.shape()
                ),
            ))
        }
    }

    /// The declared shape as a person writes it: `[N, 30]`.
    pub fn shape_text(&self) -> String {
        let Some(shape) = &self.shape else {
            return "any".to_owned();
        };
        let dims: Vec<String> = shape
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(length) => length.to_string(),
                Dim::Dynamic(name) if name.is_empty() => "?".to_owned(),
                Dim::Dynamic(name) => name.clone(),
            })
            .collect();
        format!("[{}]", dims.join(", "))
    }
}
