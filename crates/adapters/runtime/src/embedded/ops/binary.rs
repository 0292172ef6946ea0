//! Operators of two or more arrays of one type, element by element. Must not convert types: ONNX does not.

#![expect(
    unused_comparisons,
    clippy::cast_lossless,
    reason = "one macro for all whole numbers, with and without a sign"
)]

use super::broadcast::{Walk, joined, zip};
use crate::embedded::kernel::{Built, Call, Settings, kernel};
use crate::embedded::value::{Value, map_each};
use crate::error::RuntimeError;
use crate::tensor::{TensorData, TensorKind};

/// What the numeric types have in common here.
trait Number: Copy + PartialOrd {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `None`: an integer divided by zero.
    fn div(self, other: Self) -> Option<Self>;
    fn raised(self, other: f64) -> Self;
    /// With the sign of the divisor, or of the dividend (`fmod`).
    fn modulo(self, other: Self, fmod: bool) -> Option<Self>;
}

macro_rules! float_number {
    ($($kind:ty),*) => {$(
        impl Number for $kind {
            fn add(self, other: Self) -> Self { self + other }
            fn sub(self, other: Self) -> Self { self - other }
            fn mul(self, other: Self) -> Self { self * other }
            fn div(self, other: Self) -> Option<Self> { Some(self / other) }
            fn raised(self, other: f64) -> Self { self.powf(other as $kind) }
            fn modulo(self, other: Self, fmod: bool) -> Option<Self> {
                let rest = self % other;
                Some(if !fmod && rest != 0.0 && (rest < 0.0) != (other < 0.0) { rest + other } else { rest })
            }
        }
    )*};
}
macro_rules! whole_number {
    ($($kind:ty),*) => {$(
        impl Number for $kind {
            fn add(self, other: Self) -> Self { self.wrapping_add(other) }
            fn sub(self, other: Self) -> Self { self.wrapping_sub(other) }
            fn mul(self, other: Self) -> Self { self.wrapping_mul(other) }
            fn div(self, other: Self) -> Option<Self> { (other != 0).then(|| self.wrapping_div(other)) }
            fn raised(self, other: f64) -> Self { (self as f64).powf(other) as Self }
            fn modulo(self, other: Self, fmod: bool) -> Option<Self> {
                if other == 0 { return None; }
                let rest = self.wrapping_rem(other);
                let crossed = rest != 0 && (rest < 0) != (other < 0);
                Some(if !fmod && crossed { rest.wrapping_add(other) } else { rest })
            }
        }
    )*};
}
float_number!(f32, f64);
whole_number!(i8, i16, i32, i64, u8, u16, u32, u64);

#[derive(Clone, Copy)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod(bool),
}

fn pair<T: Number>(
    call: &Call<'_>,
    (left, left_shape): (&[T], &[usize]),
    (right, right_shape): (&[T], &[usize]),
    shape: &[usize],
    what: Arithmetic,
) -> Result<Vec<T>, RuntimeError> {
    let (l, r) = ((left, left_shape), (right, right_shape));
    let mut zero = false;
    let mut checked = |result: Option<T>, other: T| {
        zero |= result.is_none();
        result.unwrap_or(other)
    };
    let made = match what {
        Arithmetic::Add => zip(l, r, shape, |a, b| a.add(*b)),
        Arithmetic::Sub => zip(l, r, shape, |a, b| a.sub(*b)),
        Arithmetic::Mul => zip(l, r, shape, |a, b| a.mul(*b)),
        Arithmetic::Div => zip(l, r, shape, |a, b| checked(a.div(*b), *a)),
        Arithmetic::Mod(fmod) => zip(l, r, shape, |a, b| checked(a.modulo(*b, fmod), *a)),
    };
    if zero {
        return Err(call.wrong("an integer is divided by zero"));
    }
    Ok(made)
}

macro_rules! same_kind {
    ($call:expr, $left:expr, $right:expr, $a:ident, $b:ident, [$($variant:ident),*] => $body:expr) => {
        match (&$left.data, &$right.data) {
            $((TensorData::$variant($a), TensorData::$variant($b)) => TensorData::$variant($body),)*
            _ => return Err($call.wrong(format!(
                "elements of types {} and {} do not go together",
                $left.kind().word(), $right.kind().word()
            ))),
        }
    };
}

/// Shape of the result, after it was found to fit into memory.
fn target(call: &Call<'_>, left: &Value, right: &Value) -> Result<Vec<usize>, RuntimeError> {
    let shape = joined(&left.shape, &right.shape)?;
    call.claim(&shape, left.kind())?;
    Ok(shape)
}

/// Add, Sub, Mul, Div, Mod, Pow.
pub fn arithmetic(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    if settings.has("broadcast") || settings.has("axis") {
        return Err(settings.unsupported("broadcasting of operator sets before 7"));
    }
    let what = match settings.node.op {
        "Add" => Arithmetic::Add,
        "Sub" => Arithmetic::Sub,
        "Mul" => Arithmetic::Mul,
        "Div" => Arithmetic::Div,
        "Mod" => Arithmetic::Mod(settings.int("fmod", 0) != 0),
        _ => return Ok(kernel(power)),
    };
    Ok(kernel(move |call| {
        let (left, right) = (call.input(0)?, call.input(1)?);
        let shape = target(call, left, right)?;
        let data = same_kind!(call, left, right, a, b,
            [F32, F64, I64, I32, I16, I8, U8, U16, U32, U64] =>
            pair(call, (a, &left.shape), (b, &right.shape), &shape, what)?);
        Ok(vec![Value { shape, data }])
    }))
}

fn power(call: &mut Call<'_>) -> Result<Vec<Value>, RuntimeError> {
    let (left, right) = (call.input(0)?, call.input(1)?);
    let shape = target(call, left, right)?;
    let exponents = right
        .data
        .to_f64()
        .ok_or_else(|| call.wrong("an exponent must be a number"))?;
    let r = (exponents.as_slice(), right.shape.as_slice());
    macro_rules! raise {
        ($($variant:ident),*) => {
            match &left.data {
                $(TensorData::$variant(a) => TensorData::$variant(zip((a.as_slice(), left.shape.as_slice()), r, &shape, |a, b| a.raised(*b))),)*
                TensorData::Bool(_) | TensorData::Bytes(_) => return Err(call.wrong("a base must be a number")),
            }
        };
    }
    let data = raise!(F32, F64, I64, I32, I16, I8, U8, U16, U32, U64);
    Ok(vec![Value { shape, data }])
}

fn compare<T: PartialOrd>(op: Comparison, a: &T, b: &T) -> bool {
    match op {
        Comparison::Equal => a == b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}

#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Equal, Less, Greater and their kin.
pub fn comparison(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    if settings.has("broadcast") {
        return Err(settings.unsupported("broadcasting of operator sets before 7"));
    }
    let op = match settings.node.op {
        "Equal" => Comparison::Equal,
        "Less" => Comparison::Less,
        "LessOrEqual" => Comparison::LessOrEqual,
        "Greater" => Comparison::Greater,
        _ => Comparison::GreaterOrEqual,
    };
    Ok(kernel(move |call| {
        let (left, right) = (call.input(0)?, call.input(1)?);
        let shape = target(call, left, right)?;
        macro_rules! compared {
            ($($variant:ident),*) => {
                match (&left.data, &right.data) {
                    $((TensorData::$variant(a), TensorData::$variant(b)) => zip(
                        (a.as_slice(), left.shape.as_slice()), (b.as_slice(), right.shape.as_slice()), &shape,
                        |a, b| compare(op, a, b)),)*
                    _ => return Err(call.wrong("the two sides have different types")),
                }
            };
        }
        let data = compared!(F32, F64, I64, I32, I16, I8, U8, U16, U32, U64, Bool, Bytes);
        Ok(vec![Value {
            shape,
            data: TensorData::Bool(data),
        }])
    }))
}

/// And, Or, Xor.
pub fn logic(settings: &Settings<'_, '_>) -> Result<Built, RuntimeError> {
    if settings.has("broadcast") {
        return Err(settings.unsupported("broadcasting of operator sets before 7"));
    }
    let join: fn(&bool, &bool) -> bool = match settings.node.op {
        "And" => |a, b| *a && *b,
        "Or" => |a, b| *a || *b,
        _ => |a, b| *a != *b,
    };
    Ok(kernel(move |call| {
        let (left, right) = (call.input(0)?, call.input(1)?);
        let shape = target(call, left, right)?;
        let (TensorData::Bool(a), TensorData::Bool(b)) = (&left.data, &right.data) else {
            return Err(call.wrong("both sides must be truth values"));
        };
        let data = zip(
            (a.as_slice(), left.shape.as_slice()),
            (b.as_slice(), right.shape.as_slice()),
            &shape,
            join,
        );
        Ok(vec![Value {
            shape,
            data: TensorData::Bool(data),
        }])
    }))
}

#[expect(
    clippy::cloned_instead_of_copied,
    reason = "texts are cloned, numbers copied"
)]
/// Where.
pub fn choose() -> Built {
    kernel(|call| {
        let (condition, left, right) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let TensorData::Bool(conditions) = &condition.data else {
            return Err(call.wrong("the condition must be truth values"));
        };
        let shape = joined(&joined(&condition.shape, &left.shape)?, &right.shape)?;
        call.claim(&shape, left.kind())?;
        let walk = Walk::new(&condition.shape, &shape)
            .zip(Walk::new(&left.shape, &shape).zip(Walk::new(&right.shape, &shape)));
        let data = same_kind!(call, left, right, a, b,
            [F32, F64, I64, I32, I16, I8, U8, U16, U32, U64, Bool, Bytes] =>
            walk.filter_map(|(c, (l, r))| if *conditions.get(c)? { a.get(l).cloned() } else { b.get(r).cloned() })
                .collect());
        Ok(vec![Value { shape, data }])
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Fold {
    Max,
    Min,
    Sum,
}

/// NaN on either side is the result, as in numpy.
fn larger<T: PartialOrd + Copy>(a: T, b: T) -> T {
    #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
    if a != a || a > b { a } else { b }
}

fn smaller<T: PartialOrd + Copy>(a: T, b: T) -> T {
    #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
    if a != a || a < b { a } else { b }
}

/// Max, Min, Sum and Mean of any number of arrays.
pub fn fold(settings: &Settings<'_, '_>) -> Built {
    let (fold, mean) = match settings.node.op {
        "Max" => (Fold::Max, false),
        "Min" => (Fold::Min, false),
        "Sum" => (Fold::Sum, false),
        _ => (Fold::Sum, true),
    };
    kernel(move |call| {
        let mut made = call.input(0)?.clone();
        for place in 1..call.inputs.len() {
            let next = call.input(place)?;
            let shape = target(call, &made, next)?;
            let data = same_kind!(call, made, next, a, b,
            [F32, F64, I64, I32, I16, I8, U8, U16, U32, U64] =>
            zip((a.as_slice(), made.shape.as_slice()), (b.as_slice(), next.shape.as_slice()), &shape, |a, b| match fold {
                Fold::Max => larger(*a, *b),
                Fold::Min => smaller(*a, *b),
                Fold::Sum => Number::add(*a, *b),
            }));
            made = Value { shape, data };
        }
        if mean {
            let count = call.inputs.len() as f64;
            match &mut made.data {
                TensorData::F32(values) => values.iter_mut().for_each(|v| *v /= count as f32),
                TensorData::F64(values) => values.iter_mut().for_each(|v| *v /= count),
                _ => return Err(call.wrong("a mean is of floats")),
            }
        }
        Ok(vec![made])
    })
}

#[expect(
    clippy::cloned_instead_of_copied,
    reason = "texts are cloned, numbers copied"
)]
/// The elements at these places.
pub fn pick(data: &TensorData, places: &[usize]) -> TensorData {
    map_each!(data, values => places.iter().filter_map(|place| values.get(*place).cloned()).collect())
}

/// Whether two arrays are of one type; for operators that join arrays.
pub fn same_kinds(call: &Call<'_>) -> Result<TensorKind, RuntimeError> {
    let kind = call.input(0)?.kind();
    for value in call.inputs.iter().flatten() {
        if value.kind() != kind {
            return Err(call.wrong("the inputs have different types"));
        }
    }
    Ok(kind)
}
