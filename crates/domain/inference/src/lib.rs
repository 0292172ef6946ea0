//! Clinical models as decisions without effects: what a package declares, which version answers, how sure it
//! is, what it does not know, why it said so, and whether the world has moved since. A model's own arithmetic
//! is a function given by the caller; whatever needs chance takes a seed and says so. Must not read files,
//! clocks or records, run a model, or answer "fine" where something could not be checked.

pub mod assess;
pub mod calibrate;
pub mod chance;
pub mod conformal;
pub mod drift;
pub mod ensemble;
pub mod explain;
pub mod intake;
pub mod linear;
pub mod matrix;
pub mod outside;
pub mod package;
pub mod rollout;
pub mod routing;
pub mod special;
pub mod steps;
pub mod strata;
pub mod tensor;

pub use matrix::Matrix;
pub use tensor::{Tensor, TensorData, TensorError, TensorKind};
