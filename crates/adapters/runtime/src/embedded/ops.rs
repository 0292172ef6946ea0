//! The ai.onnx operators that the interpreter has: those that exporters of tabular models put around
//! ai.onnx.ml operators. Must not grow into a neural engine: convolutions and recurrent layers belong to
//! another.

mod binary;
mod broadcast;
mod cast;
mod matmul;
mod rearrange;
mod reduce;
mod select;
mod shape;
mod softmax;
mod unary;

pub(super) use binary::pick;
pub(super) use cast::cast_to;

use super::kernel::{Built, Settings};
use super::{INTERPRETER, REMEDY};
use crate::error::RuntimeError;

/// The operator of a node, ready to run.
pub fn build(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    let built =
        match settings.node.op {
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" => binary::arithmetic(settings)?,
            "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => {
                binary::comparison(settings)?
            }
            "And" | "Or" | "Xor" => binary::logic(settings)?,
            "Where" => binary::choose(),
            "Max" | "Min" | "Sum" | "Mean" => binary::fold(settings),
            "Neg" | "Abs" | "Sqrt" | "Exp" | "Log" | "Sigmoid" | "Tanh" | "Relu" | "Reciprocal"
            | "Floor" | "Ceil" | "Round" | "Sign" | "Erf" | "Sin" | "Cos" | "Tan" | "Asin"
            | "Acos" | "Atan" | "Sinh" | "Cosh" | "Asinh" | "Acosh" | "Atanh" | "Softplus"
            | "Softsign" => unary::numbers(settings),
            "LeakyRelu" | "Elu" | "Selu" | "HardSigmoid" | "ThresholdedRelu" | "HardSwish"
            | "Celu" => unary::activation(settings),
            "Not" => unary::negation(),
            "IsNaN" | "IsInf" => unary::tests(settings),
            "Clip" => unary::clip(settings),
            "Identity" | "Dropout" => unary::identity(settings),
            "Cast" | "CastLike" => cast::build(settings)?,
            "Softmax" | "LogSoftmax" | "Hardmax" => softmax::build(settings),
            "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1"
            | "ReduceL2" | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => {
                reduce::build(settings)
            }
            "ArgMax" | "ArgMin" => select::arg(settings),
            "TopK" => select::top_k(settings)?,
            "Gather" => select::gather(settings),
            "Reshape" => shape::reshape(settings),
            "Flatten" => shape::flatten(settings),
            "Squeeze" => shape::squeeze(settings),
            "Unsqueeze" => shape::unsqueeze(settings),
            "Shape" => shape::shape_of(settings),
            "Size" => shape::size_of(),
            "Constant" => shape::constant(settings)?,
            "ConstantOfShape" => shape::constant_of_shape(settings)?,
            "Expand" => rearrange::expand(),
            "Concat" => rearrange::concat(settings),
            "Transpose" => rearrange::transpose(settings),
            "Slice" => rearrange::slice(settings),
            "Tile" => rearrange::tile(),
            "Split" => rearrange::split(settings),
            "Gemm" => matmul::gemm(settings),
            "MatMul" => matmul::matmul(),
            _ => {
                return Err(RuntimeError::UnknownOperator {
                    operator: settings.node.operator(),
                    engine: INTERPRETER.to_owned(),
                    remedy: REMEDY.to_owned(),
                });
            }
        };
    Ok(built)
}
