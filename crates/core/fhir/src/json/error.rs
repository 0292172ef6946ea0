//! Why a source was refused, and where. Must not hold the source: errors travel further than bodies.

use kernel::{Categorised, Category};

/// A refused source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column} (byte {offset})")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset, from 0.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

/// What is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// Not the grammar of RFC 8259.
    #[error("expected {0}")]
    Syntax(&'static str),
    /// A key stands twice in one object.
    #[error("duplicate key {0:?}: send each member once")]
    DuplicateKey(String),
    /// Not UTF-8.
    #[error("invalid UTF-8: send the body encoded as UTF-8")]
    InvalidUtf8,
    /// The source begins with a byte order mark.
    #[error("byte order mark: send UTF-8 without one")]
    ByteOrderMark,
    /// A `\u` escape of half a surrogate pair.
    #[error("lone surrogate escape: write both halves of the pair")]
    LoneSurrogate,
    /// A control character inside a string.
    #[error("raw control character in a string: escape it as \\u00XX")]
    ControlCharacter,
    /// Something behind the value.
    #[error("content behind the end of the value: send one JSON value")]
    Trailing,
    /// Too many open containers.
    #[error("nesting deeper than {0} levels: flatten the content")]
    TooDeep(u32),
    /// Too many bytes.
    #[error("source larger than {0} bytes: send it in parts")]
    TooLarge(usize),
    /// Too many values.
    #[error("more than {0} values: send it in parts")]
    TooManyNodes(u32),
}

impl JsonErrorKind {
    /// At the byte `offset` of `source`.
    pub(super) fn at(self, source: &[u8], offset: usize) -> JsonError {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let is_char_start = |byte: &&u8| **byte & 0xC0 != 0x80;
        JsonError {
            kind: self,
            offset,
            line: before.split(|byte| *byte == b'\n').count(),
            column: before.iter().skip(line_start).filter(is_char_start).count() + 1,
        }
    }
}

impl Categorised for JsonError {
    fn category(&self) -> Category {
        match self.kind {
            JsonErrorKind::TooDeep(_)
            | JsonErrorKind::TooLarge(_)
            | JsonErrorKind::TooManyNodes(_) => Category::TooLarge,
            _ => Category::Invalid,
        }
    }
}
