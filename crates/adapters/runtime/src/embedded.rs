//! The adapter with nothing to install. A graph with ai.onnx.ml operators is run by the interpreter here.
//! Must not be asked to be as fast as ONNX Runtime on large networks.

mod kernel;
mod ml;
mod ops;
mod program;
pub(crate) mod value;

use std::sync::Arc;

use crate::error::RuntimeError;
use crate::guard;
use crate::port::{Budget, CallLimits, Description, LoadLimits, Runtime, Session, Signature};
use crate::tensor::Tensor;
use program::Program;

/// How the interpreter is called in messages.
pub(crate) const INTERPRETER: &str = "the built-in interpreter";
/// What helps where it cannot run a model.
pub(crate) const REMEDY: &str = "run this model with ONNX Runtime";

/// The built-in runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embedded;

impl Runtime for Embedded {
    fn name(&self) -> String {
        concat!("theriac ", env!("CARGO_PKG_VERSION")).to_owned()
    }

    fn load(&self, model: &[u8], limits: &LoadLimits) -> Result<Arc<dyn Session>, RuntimeError> {
        let inspected = guard::inspect(model, &limits.guard)?;
        let program = Program::compile(&inspected, limits.guard.max_elements)?;
        Ok(Arc::new(Interpreted {
            signature: inspected.signature,
            limits: limits.call.clone(),
            program,
        }))
    }
}

struct Interpreted {
    signature: Signature,
    limits: CallLimits,
    program: Program,
}

impl Session for Interpreted {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn describe(&self) -> Description {
        Description {
            engine: INTERPRETER.to_owned(),
            because: "the graph uses ai.onnx.ml operators".to_owned(),
        }
    }

    fn run(&self, inputs: Vec<Tensor>, budget: &Budget) -> Result<Vec<Tensor>, RuntimeError> {
        let inputs = self.signature.arrange(inputs, &self.limits)?;
        self.program.run(inputs, &self.limits, budget)
    }
}
