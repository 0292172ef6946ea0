//! Tensors as they cross between the record, a model and the wire: a name, a shape and numbers, text or
//! flags in row-major order. A tensor whose shape and data disagree cannot be made. Must not know any
//! runtime's own types.

use kernel::{Categorised, Category};

/// Most dimensions a tensor may have.
pub const MAX_RANK: usize = 16;

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorKind {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 8-bit signed.
    I8,
    /// 16-bit signed.
    I16,
    /// 32-bit signed.
    I32,
    /// 64-bit signed.
    I64,
    /// 8-bit unsigned.
    U8,
    /// 16-bit unsigned.
    U16,
    /// 32-bit unsigned.
    U32,
    /// 64-bit unsigned.
    U64,
    /// True or false.
    Bool,
    /// Byte strings; text where it is UTF-8.
    Bytes,
}

impl TensorKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::F32,
        Self::F64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::Bool,
        Self::Bytes,
    ];

    /// The word of the Open Inference Protocol, version 2 ("Tensor Data Types").
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::F32 => "FP32",
            Self::F64 => "FP64",
            Self::I8 => "INT8",
            Self::I16 => "INT16",
            Self::I32 => "INT32",
            Self::I64 => "INT64",
            Self::U8 => "UINT8",
            Self::U16 => "UINT16",
            Self::U32 => "UINT32",
            Self::U64 => "UINT64",
            Self::Bool => "BOOL",
            Self::Bytes => "BYTES",
        }
    }

    /// The kind of a word of the Open Inference Protocol.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Bytes one element takes; nothing for byte strings, whose elements differ.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::I8 | Self::U8 | Self::Bool => Some(1),
            Self::I16 | Self::U16 => Some(2),
            Self::F32 | Self::I32 | Self::U32 => Some(4),
            Self::F64 | Self::I64 | Self::U64 => Some(8),
            Self::Bytes => None,
        }
    }
}

/// The elements of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// 8-bit signed.
    I8(Vec<i8>),
    /// 16-bit signed.
    I16(Vec<i16>),
    /// 32-bit signed.
    I32(Vec<i32>),
    /// 64-bit signed.
    I64(Vec<i64>),
    /// 8-bit unsigned.
    U8(Vec<u8>),
    /// 16-bit unsigned.
    U16(Vec<u16>),
    /// 32-bit unsigned.
    U32(Vec<u32>),
    /// 64-bit unsigned.
    U64(Vec<u64>),
    /// True or false.
    Bool(Vec<bool>),
    /// Byte strings.
    Bytes(Vec<Vec<u8>>),
}

/// Runs one expression on the vector of whichever kind it is.
macro_rules! each {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            TensorData::F32($values) => $body,
            TensorData::F64($values) => $body,
            TensorData::I8($values) => $body,
            TensorData::I16($values) => $body,
            TensorData::I32($values) => $body,
            TensorData::I64($values) => $body,
            TensorData::U8($values) => $body,
            TensorData::U16($values) => $body,
            TensorData::U32($values) => $body,
            TensorData::U64($values) => $body,
            TensorData::Bool($values) => $body,
            TensorData::Bytes($values) => $body,
        }
    };
}

impl TensorData {
    /// What the elements are.
    #[must_use]
    pub const fn kind(&self) -> TensorKind {
        match self {
            Self::F32(_) => TensorKind::F32,
            Self::F64(_) => TensorKind::F64,
            Self::I8(_) => TensorKind::I8,
            Self::I16(_) => TensorKind::I16,
            Self::I32(_) => TensorKind::I32,
            Self::I64(_) => TensorKind::I64,
            Self::U8(_) => TensorKind::U8,
            Self::U16(_) => TensorKind::U16,
            Self::U32(_) => TensorKind::U32,
            Self::U64(_) => TensorKind::U64,
            Self::Bool(_) => TensorKind::Bool,
            Self::Bytes(_) => TensorKind::Bytes,
        }
    }

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the elements take, without what the allocator adds.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Bytes(values) => values.iter().map(Vec::len).sum(),
            other => other
                .len()
                .saturating_mul(other.kind().width().unwrap_or(1)),
        }
    }

    /// The elements as doubles; nothing for byte strings. 64-bit integers beyond 2^53 lose their last digits.
    #[must_use]
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        Some(match self {
            Self::F32(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::F64(values) => values.clone(),
            Self::I8(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::I16(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::I32(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::I64(values) => values.iter().map(|v| *v as f64).collect(),
            Self::U8(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::U16(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::U32(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::U64(values) => values.iter().map(|v| *v as f64).collect(),
            Self::Bool(values) => values.iter().map(|v| f64::from(u8::from(*v))).collect(),
            Self::Bytes(_) => return None,
        })
    }
}

/// A named array.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    name: String,
    shape: Vec<usize>,
    data: TensorData,
}

/// Why a tensor could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// Shape and data disagree.
    #[error(
        "tensor '{name}' has shape {shape:?} and {found} elements; give as many elements as the shape has places"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// The shape given.
        shape: Vec<usize>,
        /// The elements given.
        found: usize,
    },
    /// Too many dimensions.
    #[error("tensor '{name}' has {rank} dimensions; the most is {MAX_RANK}")]
    Rank {
        /// The tensor.
        name: String,
        /// Its dimensions.
        rank: usize,
    },
    /// A number is NaN or infinite.
    #[error(
        "tensor '{name}' is not finite at element {index}; leave a value that is not known out"
    )]
    NotFinite {
        /// The tensor.
        name: String,
        /// The first such element.
        index: usize,
    },
}

impl Categorised for TensorError {
    fn category(&self) -> Category {
        match self {
            Self::Shape { .. } | Self::NotFinite { .. } => Category::Unprocessable,
            Self::Rank { .. } => Category::TooLarge,
        }
    }
}

impl Tensor {
    /// A tensor whose shape and data agree. A shape without dimensions is a scalar: one element.
    ///
    /// # Errors
    /// [`TensorError::Shape`] if they disagree, [`TensorError::Rank`] beyond [`MAX_RANK`] dimensions.
    pub fn new(
        name: impl Into<String>,
        shape: Vec<usize>,
        data: TensorData,
    ) -> Result<Self, TensorError> {
        let name = name.into();
        if shape.len() > MAX_RANK {
            let rank = shape.len();
            return Err(TensorError::Rank { name, rank });
        }
        let places = shape
            .iter()
            .try_fold(1_usize, |product, side| product.checked_mul(*side));
        if places != Some(data.len()) {
            let found = data.len();
            return Err(TensorError::Shape { name, shape, found });
        }
        Ok(Self { name, shape, data })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sides, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    #[must_use]
    pub const fn data(&self) -> &TensorData {
        &self.data
    }

    /// What the elements are.
    #[must_use]
    pub const fn kind(&self) -> TensorKind {
        self.data.kind()
    }

    /// Name, shape and elements.
    #[must_use]
    pub fn into_parts(self) -> (String, Vec<usize>, TensorData) {
        (self.name, self.shape, self.data)
    }

    /// The same tensor under another name.
    #[must_use]
    pub fn renamed(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// The tensor itself, if every number in it is finite.
    ///
    /// # Errors
    /// [`TensorError::NotFinite`] with the first element that is not.
    pub fn finite(self) -> Result<Self, TensorError> {
        let wrong = match &self.data {
            TensorData::F32(values) => values.iter().position(|v| !v.is_finite()),
            TensorData::F64(values) => values.iter().position(|v| !v.is_finite()),
            _ => None,
        };
        match wrong {
            Some(index) => Err(TensorError::NotFinite {
                name: self.name,
                index,
            }),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_and_data_agree() {
        let cases: [(&[usize], usize, bool); 7] = [
            (&[], 1, true),
            (&[], 0, false),
            (&[0, 3], 0, true),
            (&[2, 3], 6, true),
            (&[2, 3], 5, false),
            (&[usize::MAX, 2], 0, false),
            (&[1; MAX_RANK + 1], 1, false),
        ];
        for (shape, count, fits) in cases {
            let made = Tensor::new("x", shape.to_vec(), TensorData::F32(vec![0.0; count]));
            assert_eq!(made.is_ok(), fits, "{shape:?} with {count}");
        }
    }

    #[test]
    fn words_are_those_of_the_protocol_and_come_back() {
        for kind in TensorKind::ALL {
            assert_eq!(TensorKind::of_word(kind.word()), Some(kind));
        }
        assert_eq!(TensorKind::of_word("FP8"), None);
    }

    #[test]
    fn numbers_that_are_none_are_found() {
        let data = TensorData::F64(vec![1.0, f64::NAN, f64::INFINITY]);
        let refused = Tensor::new("x", vec![3], data).and_then(Tensor::finite);
        let error = TensorError::NotFinite {
            name: "x".into(),
            index: 1,
        };
        assert_eq!(refused, Err(error));
        let texts = TensorData::Bytes(vec![b"a".to_vec(), b"bc".to_vec()]);
        assert_eq!((texts.size(), texts.to_f64()), (3, None));
        assert_eq!(TensorData::I16(vec![-2, 7]).to_f64(), Some(vec![-2.0, 7.0]));
    }
}
