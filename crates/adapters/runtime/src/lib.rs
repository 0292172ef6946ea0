//! Model execution behind a port: an ONNX file is looked over by a guard, then loaded by one of two
//! adapters (ONNX Runtime, or what is built in), warmed, and called with bounds on time, memory and
//! concurrency. Must not decide which model answers whom, nor what an answer means: that is the domain's.
//!
//! Walk: [`guard::inspect`] reads the bytes once and refuses what no runtime should see. A [`port::Runtime`]
//! ([`choice`] says which) loads it into a [`port::Session`]. A [`host::Host`] runs calls on bounded workers, fairly between tenants.

pub mod choice;
pub mod declared;
pub mod embedded;
pub mod error;
pub mod guard;
pub mod host;
pub mod onnx_runtime;
pub mod port;

pub use error::RuntimeError;
pub use inference::tensor::{self, Tensor, TensorData, TensorKind};
pub use port::{
    Budget, CallLimits, Description, Dim, LoadLimits, Runtime, Session, Signature, TensorSpec,
};
