//! JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396) over the exact source of a resource: what a patch does not touch keeps its
//! bytes, numbers as they were written among them. Must not know FHIR: the result is validated like any
//! other content before it is stored.

mod merge;
mod number;
mod operation;
mod pointer;
#[cfg(test)]
mod tests;
mod tree;

pub use merge::merge;
pub use operation::{Operation, parse};

use kernel::{Categorised, Category};

use crate::json::Value;
use tree::Node;

/// What a patch may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations in a patch.
    pub max_operations: usize,
    /// Bytes of the result.
    pub max_bytes: usize,
    /// Open arrays and objects at one place of the result.
    pub max_depth: usize,
    /// Bytes that all operations together may copy, compare or open.
    pub max_work: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_operations: 500,
            max_bytes: 8 << 20,
            max_depth: 128,
            max_work: 256 << 20,
        }
    }
}

/// A refused patch, and which of its operations is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", at(*.operation))]
pub struct PatchError {
    /// The operation, from 0; `None` for the patch as a whole.
    pub operation: Option<usize>,
    /// What is wrong.
    pub kind: PatchErrorKind,
}

fn at(operation: Option<usize>) -> String {
    operation.map_or_else(String::new, |index| format!("operation {index}: "))
}

/// What is wrong with a patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchErrorKind {
    /// Not an array of operations.
    #[error("a JSON Patch is an array of operations: send [{{\"op\": .., \"path\": ..}}]")]
    NotAPatch,
    /// Not a resource in part.
    #[error("a JSON Merge Patch is an object with the members to change: send one")]
    NotAMerge,
    /// A merge patch that names nothing.
    #[error("the patch has no members: send at least one")]
    NoMembers,
    /// No operations at all.
    #[error("the patch has no operations: send at least one")]
    Empty,
    /// More operations than allowed.
    #[error("the patch has more than {0} operations: send it in parts")]
    TooMany(usize),
    /// An `op` that RFC 6902 does not have.
    #[error("op is not add, remove, replace, move, copy or test: use one of them")]
    Op,
    /// A member that the operation needs.
    #[error("{0:?} is missing or of the wrong kind: add it")]
    Member(&'static str),
    /// Not a JSON Pointer (RFC 6901).
    #[error("{0:?} is no JSON Pointer: begin it with / and write ~ as ~0, / as ~1")]
    Pointer(String),
    /// Nothing is at the place, or its parent is missing.
    #[error("there is nothing at {0:?}: correct the path")]
    Nothing(String),
    /// Not an index of the array.
    #[error("{0:?} is no index of the array: use 0 to its length, or - to append")]
    Index(String),
    /// A value moved into itself.
    #[error("{0:?} cannot be moved into itself: copy it instead")]
    IntoItself(String),
    /// The whole document cannot go.
    #[error("the whole resource cannot be removed: delete it instead")]
    Whole,
    /// A `test` whose value is another.
    #[error("the value at {0:?} is not the one tested for")]
    Test(String),
    /// The result nests too deep.
    #[error("the result nests deeper than {0} levels: flatten it")]
    TooDeep(usize),
    /// The result is too large.
    #[error("the result has more than {0} bytes: send less")]
    TooLarge(usize),
    /// The operations copy or compare too much.
    #[error("the operations together touch more than {0} bytes: send them in parts")]
    TooCostly(usize),
}

impl Categorised for PatchError {
    fn category(&self) -> Category {
        match self.kind {
            PatchErrorKind::TooMany(_)
            | PatchErrorKind::TooDeep(_)
            | PatchErrorKind::TooLarge(_)
            | PatchErrorKind::TooCostly(_) => Category::TooLarge,
            PatchErrorKind::Nothing(_)
            | PatchErrorKind::Index(_)
            | PatchErrorKind::Test(_)
            | PatchErrorKind::IntoItself(_)
            | PatchErrorKind::Whole => Category::Unprocessable,
            _ => Category::Invalid,
        }
    }
}

impl PatchErrorKind {
    pub(self) const fn of(self, operation: usize) -> PatchError {
        PatchError {
            operation: Some(operation),
            kind: self,
        }
    }
    pub(self) const fn of_all(self) -> PatchError {
        PatchError {
            operation: None,
            kind: self,
        }
    }
}

/// What becomes of an array or object that operations leave without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// It stays, as RFC 6902 has it.
    Keep,
    /// It goes: FHIR knows no empty arrays or objects (FHIR R4, json.html).
    Drop,
}

/// The target with all operations done, printed compactly; or none of them.
///
/// # Errors
/// The first operation that cannot be done, and results beyond the limits.
pub fn apply(
    target: Value<'_>,
    operations: &[Operation<'_>],
    emptied: Emptied,
    limits: &Limits,
) -> Result<Vec<u8>, PatchError> {
    let mut patching = tree::Patching::new(target, limits);
    for (index, operation) in operations.iter().enumerate() {
        patching.apply(operation).map_err(|kind| kind.of(index))?;
    }
    let mut root: Node<'_> = patching.into_root();
    if emptied == Emptied::Drop {
        root.drop_emptied();
    }
    let mut out = Vec::with_capacity(target.raw().len() + 256);
    root.print(&mut out);
    if out.len() > limits.max_bytes {
        return Err(PatchErrorKind::TooLarge(limits.max_bytes).of_all());
    }
    Ok(out)
}
