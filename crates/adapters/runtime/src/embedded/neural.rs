//! Neural graphs, by tract. Free dimensions stay free where tract can work them out once; where it cannot, a
//! plan is made for each shape that comes, and a few are kept. Must not let a panic of the engine out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable,
    IntoTValue, TDim, TValue, Tensor as TractTensor, TypedRunnableModel, tvec,
};

use crate::error::RuntimeError;
use crate::guard::model::{AttributeValue, Graph};
use crate::port::{Budget, CallLimits, Description, Dim, Session, Signature, TensorSpec};
use crate::tensor::{Tensor, TensorData, TensorKind};

/// How the engine is called in messages.
pub const ENGINE: &str = "tract";
/// Plans for fixed shapes that are kept.
const KEPT: usize = 8;

type Plan = Arc<TypedRunnableModel>;
type Shapes = Vec<Vec<usize>>;

enum Plans {
    /// One for all shapes.
    Free(Plan),
    /// One for each shape, the latest first.
    Fixed(Box<InferenceModel>, Mutex<VecDeque<(Shapes, Plan)>>),
}

/// A network ready to run.
pub struct Network {
    signature: Signature,
    limits: CallLimits,
    plans: Plans,
}

fn failed(detail: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Failed {
        engine: ENGINE.to_owned(),
        detail: detail.to_string(),
    }
}

/// Runs something of the engine's; a panic becomes an error.
fn contained<T>(
    run: impl FnOnce() -> Result<T, tract_onnx::prelude::TractError>,
) -> Result<T, RuntimeError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(error)) => Err(failed(format!("{error:#}"))),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(failed(format!(
                "panicked: {}",
                words.unwrap_or("no message")
            )))
        }
    }
}

const fn datum(kind: TensorKind) -> Option<DatumType> {
    Some(match kind {
        TensorKind::F32 => DatumType::F32,
        TensorKind::F64 => DatumType::F64,
        TensorKind::I8 => DatumType::I8,
        TensorKind::I16 => DatumType::I16,
        TensorKind::I32 => DatumType::I32,
        TensorKind::I64 => DatumType::I64,
        TensorKind::U8 => DatumType::U8,
        TensorKind::U16 => DatumType::U16,
        TensorKind::U32 => DatumType::U32,
        TensorKind::U64 => DatumType::U64,
        TensorKind::Bool => DatumType::Bool,
        TensorKind::Bytes => return None,
    })
}

/// A node that the engine reads otherwise than the standard says, found by the node tests of the `onnx`
/// package: it is refused, because a wrong answer is worse than none.
pub fn misread(graph: &Graph<'_>) -> Option<String> {
    graph.nodes.iter().find_map(|node| {
        let text = |name: &str| match node.attribute(name) {
            Some(AttributeValue::Text(text)) => *text,
            _ => b"",
        };
        let wrong = match node.op {
            "GRU" | "LSTM" | "RNN" => text("direction") == b"reverse",
            "SpaceToDepth" => text("mode") == b"CRD",
            "Swish" => node.attribute("alpha").is_some(),
            _ => false,
        };
        if wrong {
            return Some(format!(
                "{} with these settings, which {ENGINE} misreads",
                node.operator()
            ));
        }
        node.attributes
            .iter()
            .find_map(|attribute| match &attribute.value {
                AttributeValue::Graph(graph) => misread(graph),
                AttributeValue::Graphs(graphs) => graphs.iter().find_map(misread),
                _ => None,
            })
    })
}

impl Network {
    /// Reads and plans a model that passed the guard.
    pub fn load(
        bytes: &[u8],
        signature: Signature,
        limits: CallLimits,
    ) -> Result<Self, RuntimeError> {
        let model =
            contained(|| tract_onnx::onnx().model_for_read(&mut std::io::Cursor::new(bytes)))?;
        let free = contained(|| free_plan(model.clone(), &signature.inputs));
        let all_fixed = signature.inputs.iter().all(|spec| {
            let fixed = |shape: &Vec<Dim>| shape.iter().all(|dim| matches!(dim, Dim::Fixed(_)));
            spec.shape.as_ref().is_some_and(fixed)
        });
        let plans = match free {
            Ok(plan) => Plans::Free(plan),
            Err(error) if all_fixed => return Err(error),
            Err(_) => Plans::Fixed(Box::new(model), Mutex::default()),
        };
        Ok(Self {
            signature,
            limits,
            plans,
        })
    }

    fn plan(&self, shapes: &Shapes) -> Result<Plan, RuntimeError> {
        let (model, kept) = match &self.plans {
            Plans::Free(plan) => return Ok(Arc::clone(plan)),
            Plans::Fixed(model, kept) => (model, kept),
        };
        if let Some((_, plan)) = kept.lock().iter().find(|(known, _)| known == shapes) {
            return Ok(Arc::clone(plan));
        }
        let plan = contained(|| fixed_plan((**model).clone(), &self.signature.inputs, shapes))?;
        let mut kept = kept.lock();
        kept.push_front((shapes.clone(), Arc::clone(&plan)));
        kept.truncate(KEPT);
        Ok(plan)
    }
}

fn free_plan(
    mut model: InferenceModel,
    inputs: &[TensorSpec],
) -> Result<Plan, tract_onnx::prelude::TractError> {
    let mut symbols = std::collections::HashMap::new();
    for (place, spec) in inputs.iter().enumerate() {
        let (Some(kind), Some(shape)) = (datum(spec.kind), &spec.shape) else {
            tract_onnx::prelude::tract_data::internal::bail!("input {:?} has no shape", spec.name);
        };
        let dims: Vec<TDim> = shape
            .iter()
            .enumerate()
            .map(|(at, dim)| match dim {
                Dim::Fixed(length) => TDim::from(*length),
                Dim::Dynamic(name) => {
                    // Nameless first dimensions are the batch in every exporter's files.
                    let name = match (name.as_str(), at) {
                        ("", 0) => "batch".to_owned(),
                        ("", _) => format!("{place} {at}"),
                        (name, _) => name.to_owned(),
                    };
                    let symbol = symbols
                        .entry(name)
                        .or_insert_with(|| model.symbols.new_with_prefix("n"));
                    TDim::from(symbol.clone())
                }
            })
            .collect();
        model.set_input_fact(place, InferenceFact::dt_shape(kind, dims))?;
    }
    model.into_optimized()?.into_runnable()
}

fn fixed_plan(
    mut model: InferenceModel,
    inputs: &[TensorSpec],
    shapes: &Shapes,
) -> Result<Plan, tract_onnx::prelude::TractError> {
    for (place, (spec, shape)) in inputs.iter().zip(shapes).enumerate() {
        let Some(kind) = datum(spec.kind) else {
            tract_onnx::prelude::tract_data::internal::bail!("input {:?} holds texts", spec.name);
        };
        model.set_input_fact(place, InferenceFact::dt_shape(kind, shape))?;
    }
    model.into_optimized()?.into_runnable()
}

impl Session for Network {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn describe(&self) -> Description {
        Description {
            engine: ENGINE.to_owned(),
            because: match &self.plans {
                Plans::Free(_) => "the graph is a neural network".to_owned(),
                Plans::Fixed(..) => {
                    "the graph is a neural network; it is planned anew for each shape of input"
                        .to_owned()
                }
            },
        }
    }

    fn run(&self, inputs: Vec<Tensor>, budget: &Budget) -> Result<Vec<Tensor>, RuntimeError> {
        let inputs = self.signature.arrange(inputs, &self.limits)?;
        if budget.is_stopped() {
            return Err(RuntimeError::Deadline { limit_ms: 0 });
        }
        let shapes: Shapes = inputs
            .iter()
            .map(|tensor| tensor.shape().to_vec())
            .collect();
        let plan = self.plan(&shapes)?;
        let mut values = tvec!();
        for tensor in inputs {
            values.push(to_tract(tensor)?);
        }
        let made = contained(|| plan.run(values))?;
        if budget.is_stopped() {
            return Err(RuntimeError::Deadline { limit_ms: 0 });
        }
        self.signature
            .outputs
            .iter()
            .zip(made)
            .map(|(spec, value)| from_tract(spec, &value))
            .collect()
    }
}

fn to_tract(tensor: Tensor) -> Result<TValue, RuntimeError> {
    let (name, shape, data) = tensor.into_parts();
    macro_rules! made {
        ($values:expr) => {
            TractTensor::from_shape(&shape, &$values).map_err(failed)?
        };
    }
    let tensor = match data {
        TensorData::F32(values) => made!(values),
        TensorData::F64(values) => made!(values),
        TensorData::I8(values) => made!(values),
        TensorData::I16(values) => made!(values),
        TensorData::I32(values) => made!(values),
        TensorData::I64(values) => made!(values),
        TensorData::U8(values) => made!(values),
        TensorData::U16(values) => made!(values),
        TensorData::U32(values) => made!(values),
        TensorData::U64(values) => made!(values),
        TensorData::Bool(values) => made!(values),
        TensorData::Bytes(_) => {
            return Err(RuntimeError::shape(
                name,
                "the neural engine takes no texts",
            ));
        }
    };
    Ok(tensor.into_tvalue())
}

/// Symbolic numbers (shapes) come out as whole ones; the type is the declared one.
fn from_tract(spec: &TensorSpec, value: &TValue) -> Result<Tensor, RuntimeError> {
    let wanted = datum(spec.kind)
        .ok_or_else(|| RuntimeError::shape(&spec.name, "the neural engine makes no texts"))?;
    let tensor = value.cast_to_dt(wanted).map_err(failed)?;
    macro_rules! copied {
        ($variant:ident, $kind:ty) => {
            TensorData::$variant(
                tensor
                    .to_plain_array_view::<$kind>()
                    .map_err(failed)?
                    .iter()
                    .copied()
                    .collect(),
            )
        };
    }
    let data = match spec.kind {
        TensorKind::F32 => copied!(F32, f32),
        TensorKind::F64 => copied!(F64, f64),
        TensorKind::I8 => copied!(I8, i8),
        TensorKind::I16 => copied!(I16, i16),
        TensorKind::I32 => copied!(I32, i32),
        TensorKind::I64 => copied!(I64, i64),
        TensorKind::U8 => copied!(U8, u8),
        TensorKind::U16 => copied!(U16, u16),
        TensorKind::U32 => copied!(U32, u32),
        TensorKind::U64 => copied!(U64, u64),
        _ => copied!(Bool, bool),
    };
    Tensor::new(&spec.name, tensor.shape().to_vec(), data)
        .map_err(|error| RuntimeError::shape(&spec.name, error.to_string()))
}
