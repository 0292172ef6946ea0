//! The adapter with nothing to install. A graph with ai.onnx.ml operators is run by the interpreter here,
//! a neural one by tract. Must not be asked to be as fast as ONNX Runtime on large networks.

mod kernel;
mod ml;
#[cfg(feature = "neural")]
mod neural;
mod ops;
mod program;
pub(crate) mod value;

use std::sync::Arc;

use crate::error::RuntimeError;
use crate::guard::{self, Inspected};
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
        let classical = inspected
            .facts
            .operators
            .iter()
            .any(|operator| operator.starts_with("ai.onnx.ml:"));
        if classical {
            return interpreted(
                inspected,
                limits,
                "the graph uses ai.onnx.ml operators".to_owned(),
            );
        }
        load_neural(inspected, limits)
    }
}

fn interpreted(
    inspected: Inspected<'_>,
    limits: &LoadLimits,
    because: String,
) -> Result<Arc<dyn Session>, RuntimeError> {
    let program = Program::compile(&inspected, limits.guard.max_elements)?;
    Ok(Arc::new(Interpreted {
        signature: inspected.signature,
        limits: limits.call.clone(),
        program,
        because,
    }))
}

/// The neural engine first; the interpreter for what it refuses and the interpreter has.
#[cfg(feature = "neural")]
fn load_neural(
    inspected: Inspected<'_>,
    limits: &LoadLimits,
) -> Result<Arc<dyn Session>, RuntimeError> {
    if let Some(operator) = neural::misread(&inspected.model.graph) {
        return Err(RuntimeError::UnknownOperator {
            operator,
            engine: "the built-in runtime".to_owned(),
            remedy: REMEDY.to_owned(),
        });
    }
    let bytes = inspected.for_runtime()?;
    let signature = inspected.signature.clone();
    let refusal = match neural::Network::load(&bytes, signature, limits.call.clone()) {
        Ok(network) => return Ok(Arc::new(network)),
        Err(refusal) => refusal,
    };
    let because = format!("{} refused the graph ({refusal})", neural::ENGINE);
    interpreted(inspected, limits, because).map_err(|error| match error {
        RuntimeError::UnknownOperator { .. } => RuntimeError::Failed {
            engine: "the built-in runtime".to_owned(),
            detail: format!("{refusal}; {error}"),
        },
        other => other,
    })
}

#[cfg(not(feature = "neural"))]
fn load_neural(
    inspected: Inspected<'_>,
    limits: &LoadLimits,
) -> Result<Arc<dyn Session>, RuntimeError> {
    let because = "no neural engine is built in".to_owned();
    interpreted(inspected, limits, because)
}

struct Interpreted {
    signature: Signature,
    limits: CallLimits,
    program: Program,
    because: String,
}

impl Session for Interpreted {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn describe(&self) -> Description {
        Description {
            engine: INTERPRETER.to_owned(),
            because: self.because.clone(),
        }
    }

    fn run(&self, inputs: Vec<Tensor>, budget: &Budget) -> Result<Vec<Tensor>, RuntimeError> {
        let inputs = self.signature.arrange(inputs, &self.limits)?;
        self.program.run(inputs, &self.limits, budget)
    }
}
