//! Operators of one array, element by element. Must not change a shape.

use crate::embedded::kernel::{Built, Settings, kernel};
use crate::embedded::value::Value;
use crate::error::RuntimeError;
use crate::tensor::TensorData;

/// The error function to single precision and better (Abramowitz and Stegun 7.1.26 is too coarse; this is
/// the series for small and the continued fraction for large arguments).
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 2.5 {
        let mut term = a;
        let mut sum = a;
        for n in 1..60 {
            let n = f64::from(n);
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        return x.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for n in (1..60).rev() {
        fraction = f64::from(n) / 2.0 / (a + fraction);
    }
    let tail = (-a * a).exp() / ((a + fraction) * std::f64::consts::PI.sqrt());
    x.signum() * (1.0 - tail)
}

fn function(op: &str) -> fn(f64) -> f64 {
    match op {
        "Neg" => |x| -x,
        "Abs" => f64::abs,
        "Sqrt" => f64::sqrt,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Sigmoid" => |x| {
            let e = (-x.abs()).exp();
            if x < 0.0 {
                e / (1.0 + e)
            } else {
                1.0 / (1.0 + e)
            }
        },
        "Tanh" => f64::tanh,
        "Relu" => |x| if x < 0.0 { 0.0 } else { x },
        "Reciprocal" => |x| 1.0 / x,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Round" => f64::round_ties_even,
        "Sign" => |x| if x == 0.0 { 0.0 } else { x.signum() },
        "Erf" => |x| if x.is_nan() || x == 0.0 { x } else { erf(x) },
        "Sin" => f64::sin,
        "Cos" => f64::cos,
        "Tan" => f64::tan,
        "Asin" => f64::asin,
        "Acos" => f64::acos,
        "Atan" => f64::atan,
        "Sinh" => f64::sinh,
        "Cosh" => f64::cosh,
        "Asinh" => f64::asinh,
        "Acosh" => f64::acosh,
        "Atanh" => f64::atanh,
        "Softplus" => |x| if x > 30.0 { x } else { x.exp().ln_1p() },
        _ => |x| x / (1.0 + x.abs()), // Softsign
    }
}

fn applied(value: &Value, run: impl Fn(f64) -> f64) -> Result<Value, RuntimeError> {
    let data = match &value.data {
        TensorData::F32(values) => {
            TensorData::F32(values.iter().map(|v| run(f64::from(*v)) as f32).collect())
        }
        TensorData::F64(values) => TensorData::F64(values.iter().map(|v| run(*v)).collect()),
        TensorData::I64(values) => {
            TensorData::I64(values.iter().map(|v| run(*v as f64) as i64).collect())
        }
        TensorData::I32(values) => {
            TensorData::I32(values.iter().map(|v| run(f64::from(*v)) as i32).collect())
        }
        TensorData::I16(values) => {
            TensorData::I16(values.iter().map(|v| run(f64::from(*v)) as i16).collect())
        }
        TensorData::I8(values) => {
            TensorData::I8(values.iter().map(|v| run(f64::from(*v)) as i8).collect())
        }
        TensorData::U8(values) => {
            TensorData::U8(values.iter().map(|v| run(f64::from(*v)) as u8).collect())
        }
        TensorData::U16(values) => {
            TensorData::U16(values.iter().map(|v| run(f64::from(*v)) as u16).collect())
        }
        TensorData::U32(values) => {
            TensorData::U32(values.iter().map(|v| run(f64::from(*v)) as u32).collect())
        }
        TensorData::U64(values) => {
            TensorData::U64(values.iter().map(|v| run(*v as f64) as u64).collect())
        }
        TensorData::Bool(_) | TensorData::Bytes(_) => {
            return Err(RuntimeError::shape("numbers", "wanted numbers"));
        }
    };
    Ok(Value {
        shape: value.shape.clone(),
        data,
    })
}

/// Functions of a number.
pub fn numbers(settings: &Settings<'_, '_>) -> Built {
    let run = function(settings.node.op);
    kernel(move |call| Ok(vec![applied(call.input(0)?, run)?]))
}

/// Activations with settings of their own.
pub fn activation(settings: &Settings<'_, '_>) -> Built {
    let get = |name, default| f64::from(settings.float(name, default));
    let run: Box<dyn Fn(f64) -> f64 + Send + Sync> = match settings.node.op {
        "LeakyRelu" => {
            let alpha = get("alpha", 0.01);
            Box::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "Elu" => {
            let alpha = get("alpha", 1.0);
            Box::new(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "Celu" => {
            let alpha = get("alpha", 1.0);
            Box::new(move |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
        }
        "Selu" => {
            let (alpha, gamma) = (get("alpha", 1.673_263_2), get("gamma", 1.050_701));
            Box::new(move |x| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() })
        }
        "HardSigmoid" => {
            let (alpha, beta) = (get("alpha", 0.2), get("beta", 0.5));
            Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "HardSwish" => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        _ => {
            let alpha = get("alpha", 1.0);
            Box::new(move |x| if x > alpha { x } else { 0.0 })
        }
    };
    kernel(move |call| Ok(vec![applied(call.input(0)?, &run)?]))
}

/// Not.
pub fn negation() -> Built {
    kernel(|call| {
        let value = call.input(0)?;
        let TensorData::Bool(values) = &value.data else {
            return Err(call.wrong("wanted truth values"));
        };
        Ok(vec![Value {
            shape: value.shape.clone(),
            data: TensorData::Bool(values.iter().map(|v| !v).collect()),
        }])
    })
}

/// `IsNaN` and `IsInf`.
pub fn tests(settings: &Settings<'_, '_>) -> Built {
    let nan = settings.node.op == "IsNaN";
    let negative = settings.int("detect_negative", 1) != 0;
    let positive = settings.int("detect_positive", 1) != 0;
    let test = move |v: f64| {
        if nan {
            v.is_nan()
        } else {
            (positive && v == f64::INFINITY) || (negative && v == f64::NEG_INFINITY)
        }
    };
    kernel(move |call| {
        let value = call.input(0)?;
        let data = match &value.data {
            TensorData::F32(values) => values.iter().map(|v| test(f64::from(*v))).collect(),
            TensorData::F64(values) => values.iter().map(|v| test(*v)).collect(),
            _ => return Err(call.wrong("wanted floats")),
        };
        Ok(vec![Value {
            shape: value.shape.clone(),
            data: TensorData::Bool(data),
        }])
    })
}

/// Clip: bounds are settings before operator set 11 and inputs after.
pub fn clip(settings: &Settings<'_, '_>) -> Built {
    let bounds = (
        settings.has("min").then(|| settings.float("min", 0.0)),
        settings.has("max").then(|| settings.float("max", 0.0)),
    );
    kernel(move |call| {
        let value = call.input(0)?;
        macro_rules! clipped {
            ($($variant:ident as $kind:ty),*) => {
                match &value.data {
                    $(TensorData::$variant(values) => {
                        let bound = |place: usize, setting: Option<f32>| match call.optional(place).map(|v| &v.data) {
                            Some(TensorData::$variant(bound)) => bound.first().copied(),
                            _ => setting.map(|v| v as $kind),
                        };
                        let (low, high) = (bound(1, bounds.0), bound(2, bounds.1));
                        TensorData::$variant(values.iter().map(|v| {
                            let v = match low { Some(low) if *v < low => low, _ => *v };
                            match high { Some(high) if v > high => high, _ => v }
                        }).collect())
                    })*
                    _ => return Err(call.wrong("wanted numbers")),
                }
            };
        }
        let data = clipped!(
            F32 as f32, F64 as f64, I64 as i64, I32 as i32, I16 as i16, I8 as i8, U8 as u8,
            U16 as u16, U32 as u32, U64 as u64
        );
        Ok(vec![Value {
            shape: value.shape.clone(),
            data,
        }])
    })
}

/// Identity, and what is one when a model is not being trained.
pub fn identity(settings: &Settings<'_, '_>) -> Built {
    let masked = settings.node.outputs.len() > 1;
    kernel(move |call| {
        let value = call.input(0)?.clone();
        let mask = masked.then(|| Value {
            shape: value.shape.clone(),
            data: TensorData::Bool(vec![true; value.len()]),
        });
        Ok(std::iter::once(value).chain(mask).collect())
    })
}
