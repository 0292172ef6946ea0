//! What can go wrong between a file and an answer, each with its remedy in the text.

use kernel::{Categorised, Category};

/// Why a model was not loaded or a call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The bytes are not an ONNX model.
    #[error("not a readable ONNX model: {0}")]
    Corrupt(String),
    /// A number in the model or the call is over a limit.
    #[error("{what} is {found}, the limit is {limit}")]
    TooLarge {
        /// What was counted.
        what: String,
        /// How much there is.
        found: u64,
        /// How much there may be.
        limit: u64,
    },
    /// A tensor lives in a file beside the model.
    #[error(
        "tensor {tensor:?} keeps its data outside the model (external data); save the model as one file"
    )]
    ExternalData {
        /// Which tensor.
        tensor: String,
    },
    /// An operator that the standard domains do not have, or that this runtime cannot run.
    #[error("{engine} does not know operator {operator:?}{}", told(.remedy))]
    UnknownOperator {
        /// `domain:name`.
        operator: String,
        /// Who does not know it.
        engine: String,
        /// What to do.
        remedy: String,
    },
    /// An operator domain outside the allowed ones.
    #[error("operator domain {domain:?} (node {node:?}) is not allowed; allowed: {allowed}")]
    CustomDomain {
        /// The domain.
        domain: String,
        /// A node that uses it.
        node: String,
        /// The allowed ones.
        allowed: String,
    },
    /// The graph feeds itself.
    #[error("the graph has a cycle through node {node:?}")]
    Cycle {
        /// One node on it.
        node: String,
    },
    /// The graph contradicts itself in another way.
    #[error("the graph is not sound: {0}")]
    Unsound(String),
    /// A shape or type that does not fit.
    #[error("{name:?}: {detail}")]
    Shape {
        /// The input, output or node.
        name: String,
        /// What was wanted and what came.
        detail: String,
    },
    /// The call took longer than it may.
    #[error("the model did not answer within {limit_ms} ms")]
    Deadline {
        /// The limit.
        limit_ms: u64,
    },
    /// Every worker of the model hangs in a call that passed its deadline.
    #[error(
        "all {workers} workers of the model hang in calls past their deadline; the model takes no calls until one returns"
    )]
    Quarantined {
        /// How many workers hang.
        workers: u32,
    },
    /// The shared library was not found.
    #[error(
        "the ONNX Runtime library was not found ({searched}); set inference.onnx_runtime to its path, or install it, for instance with pip install onnxruntime"
    )]
    LibraryMissing {
        /// Where was looked.
        searched: String,
    },
    /// The shared library is too old, or is not one.
    #[error(
        "{path} is no usable ONNX Runtime library: {found}; version {wanted} or later is needed"
    )]
    LibraryVersion {
        /// The file.
        path: String,
        /// What it said.
        found: String,
        /// The least version.
        wanted: String,
    },
    /// An execution provider that the library or machine lacks.
    #[error("execution provider {provider} is not available: {detail}")]
    Provider {
        /// Its name.
        provider: String,
        /// What the library said.
        detail: String,
    },
    /// Too many calls wait.
    #[error("{what} is busy: {waiting} calls wait, the limit is {limit}; try again later")]
    Overloaded {
        /// The tenant's or the model's share.
        what: String,
        /// How many wait.
        waiting: u64,
        /// How many may.
        limit: u64,
    },
    /// The runtime itself failed.
    #[error("{engine} failed: {detail}")]
    Failed {
        /// Which.
        engine: String,
        /// Its words.
        detail: String,
    },
}

fn told(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("; {text}")
    }
}

impl RuntimeError {
    pub(crate) fn too_large(what: impl Into<String>, found: u64, limit: u64) -> Self {
        Self::TooLarge {
            what: what.into(),
            found,
            limit,
        }
    }

    pub(crate) fn shape(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Shape {
            name: name.into(),
            detail: detail.into(),
        }
    }
}

impl Categorised for RuntimeError {
    fn category(&self) -> Category {
        match self {
            Self::Corrupt(_) | Self::Shape { .. } => Category::Invalid,
            Self::TooLarge { .. } => Category::TooLarge,
            Self::ExternalData { .. }
            | Self::UnknownOperator { .. }
            | Self::CustomDomain { .. }
            | Self::Cycle { .. }
            | Self::Unsound(_) => Category::Unprocessable,
            Self::Deadline { .. }
            | Self::Quarantined { .. }
            | Self::LibraryMissing { .. }
            | Self::LibraryVersion { .. }
            | Self::Provider { .. } => Category::Unavailable,
            Self::Overloaded { .. } => Category::Throttled,
            Self::Failed { .. } => Category::Fault,
        }
    }
}
