//! Models through the whole adapter: parity with Python onnxruntime, hostile files. Must not need anything
//! installed where the built-in runtime is enough.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cases;
mod classical;
mod embedded;
mod host;
mod hostile;
mod node_tests;
mod onnx_runtime;
mod operators;
mod proto;
