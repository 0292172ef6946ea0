//! What an operator of the built-in interpreter is, and how it reads its settings. Must not know which
//! operators there are: see `ops` and `ml`.

use super::value::Value;
use crate::error::RuntimeError;
use crate::guard::model::{AttributeValue, Node};
use crate::port::Budget;
use crate::tensor::TensorKind;

/// An operator with its settings, ready to run.
pub trait Kernel: Send + Sync {
    /// The outputs, in order.
    fn run(&self, call: &mut Call<'_>) -> Result<Vec<Value>, RuntimeError>;
}

impl<F> Kernel for F
where
    F: Fn(&mut Call<'_>) -> Result<Vec<Value>, RuntimeError> + Send + Sync,
{
    fn run(&self, call: &mut Call<'_>) -> Result<Vec<Value>, RuntimeError> {
        self(call)
    }
}

/// An operator, boxed.
pub type Built = Box<dyn Kernel>;

/// Boxes a closure as an operator; fixes its type.
pub fn kernel<F>(run: F) -> Built
where
    F: Fn(&mut Call<'_>) -> Result<Vec<Value>, RuntimeError> + Send + Sync + 'static,
{
    Box::new(run)
}

/// Bytes that a call may still use.
#[derive(Debug)]
pub struct Memory {
    /// In use.
    pub used: u64,
    /// May be used.
    pub limit: u64,
}

impl Memory {
    /// Refuses what would go over the limit, before it is allocated.
    pub fn claim(&self, bytes: u64) -> Result<(), RuntimeError> {
        let wanted = self.used.saturating_add(bytes);
        if wanted > self.limit {
            return Err(RuntimeError::too_large(
                "the memory of the call in bytes",
                wanted,
                self.limit,
            ));
        }
        Ok(())
    }
}

/// One run of one node.
pub struct Call<'v> {
    /// The node's name, for messages.
    pub node: &'v str,
    /// Inputs; an absent one is `None`.
    pub inputs: &'v [Option<&'v Value>],
    /// What may be allocated.
    pub memory: &'v Memory,
    /// Whether to go on.
    pub budget: &'v Budget,
}

impl<'v> Call<'v> {
    /// A required input.
    pub fn input(&self, place: usize) -> Result<&'v Value, RuntimeError> {
        self.optional(place)
            .ok_or_else(|| self.wrong(format!("input {place} is missing")))
    }

    /// An optional input.
    pub fn optional(&self, place: usize) -> Option<&'v Value> {
        self.inputs.get(place).copied().flatten()
    }

    /// A refusal that names the node.
    pub fn wrong(&self, detail: impl Into<String>) -> RuntimeError {
        RuntimeError::shape(self.node, detail)
    }

    /// Refuses to make a tensor that would not fit, before it is made; gives its number of elements.
    pub fn claim(&self, shape: &[usize], kind: TensorKind) -> Result<usize, RuntimeError> {
        let elements = super::value::elements_of(shape)
            .ok_or_else(|| self.wrong(format!("shape {shape:?} is too large")))?;
        let width = kind.width().unwrap_or(24) as u64;
        self.memory.claim((elements as u64).saturating_mul(width))?;
        Ok(elements)
    }

    /// Whether the call was asked to stop; long loops look here now and then.
    pub fn go_on(&self) -> Result<(), RuntimeError> {
        if self.budget.is_stopped() {
            return Err(RuntimeError::Deadline { limit_ms: 0 });
        }
        Ok(())
    }
}

/// A node's settings, read with defaults.
#[derive(Clone, Copy)]
pub struct Settings<'s, 'a> {
    /// The node.
    pub node: &'s Node<'a>,
    /// Version of its operator set.
    pub opset: i64,
}

impl<'a> Settings<'_, 'a> {
    /// A refusal that names the node.
    pub fn wrong(&self, detail: impl Into<String>) -> RuntimeError {
        RuntimeError::shape(self.node.called(), detail)
    }

    /// A refusal of a setting that is not supported here.
    pub fn unsupported(&self, detail: &str) -> RuntimeError {
        RuntimeError::UnknownOperator {
            operator: format!("{} ({detail})", self.node.operator()),
            engine: super::INTERPRETER.to_owned(),
            remedy: super::REMEDY.to_owned(),
        }
    }

    /// Whether it is set.
    pub fn has(&self, name: &str) -> bool {
        self.node.attribute(name).is_some()
    }

    /// An integer.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.node.attribute(name) {
            Some(AttributeValue::Int(value)) => *value,
            _ => default,
        }
    }

    /// A float.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.node.attribute(name) {
            Some(AttributeValue::Float(value)) => *value,
            _ => default,
        }
    }

    /// A text.
    pub fn text(&self, name: &str, default: &'static str) -> &str {
        match self.node.attribute(name) {
            Some(AttributeValue::Text(value)) => std::str::from_utf8(value).unwrap_or(default),
            _ => default,
        }
    }

    /// Integers, `None` where not set.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.node.attribute(name) {
            Some(AttributeValue::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// Floats, `None` where not set.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        match self.node.attribute(name) {
            Some(AttributeValue::Floats(values)) => Some(values),
            _ => None,
        }
    }

    /// Texts, `None` where not set.
    pub fn texts(&self, name: &str) -> Option<&[&'a [u8]]> {
        match self.node.attribute(name) {
            Some(AttributeValue::Texts(values)) => Some(values),
            _ => None,
        }
    }

    /// A tensor, `None` where not set.
    pub fn tensor(&self, name: &str) -> Result<Option<Value>, RuntimeError> {
        match self.node.attribute(name) {
            Some(AttributeValue::Tensor(view)) => {
                crate::guard::tensor_of(view, u64::from(u32::MAX)).map(Some)
            }
            _ => Ok(None),
        }
    }
}
