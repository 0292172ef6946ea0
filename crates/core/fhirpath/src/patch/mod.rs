//! FHIRPath Patch (FHIR R4, fhirpatch.html): add, insert, delete, replace and move over the exact source of a
//! resource. Every operation is turned into JSON Patch at the places its path selects, so that what is
//! not touched keeps its bytes. Must not validate the result: that is done like for any other content.

mod operation;
mod place;
#[cfg(test)]
mod tests;
mod value;

use fhir::json::{Document, JsonError, Value};
use fhir::patch as json_patch;
use kernel::{Categorised, Category};

use crate::error::{CompileError, EvaluationError};

/// What a patch may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations in a patch.
    pub max_operations: usize,
    /// Bytes of the result.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_operations: 200,
            max_bytes: 8 << 20,
        }
    }
}

/// A refused patch, and which of its operations is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", operation.map_or_else(String::new, |at| format!("operation {at}: ")))]
pub struct PatchError {
    /// The operation, from 0; `None` for the patch as a whole.
    pub operation: Option<usize>,
    /// What is wrong.
    pub kind: PatchErrorKind,
}

/// What is wrong with a patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchErrorKind {
    /// Not Parameters with operations.
    #[error("a FHIRPath Patch is a Parameters resource: send parameters named operation")]
    NotAPatch,
    /// More operations than allowed.
    #[error("the patch has more than {0} operations: send it in parts")]
    TooMany(usize),
    /// A type that R4 does not have.
    #[error("type is not add, insert, delete, replace or move: use one of them")]
    Type,
    /// A part the operation needs.
    #[error("part {0:?} is missing or of the wrong kind: add it")]
    Part(&'static str),
    /// A path that is no FHIRPath.
    #[error("path: {0}")]
    Path(#[from] CompileError),
    /// A path that has no value.
    #[error("path: {0}")]
    Evaluation(#[from] EvaluationError),
    /// Nothing or several elements where one is taken.
    #[error("the path selects {0} elements instead of one: make it name one")]
    NotOne(usize),
    /// Items that are not one whole list.
    #[error("the path does not select the items of one list: name the list, without an index")]
    NotAList,
    /// Not an index of the list.
    #[error("there is no index {index} in a list of {len}: use 0 to its length")]
    Index {
        /// The index.
        index: i64,
        /// Items in the list.
        len: usize,
    },
    /// An element the type does not have.
    #[error("{ty} has no element {name:?} of this type: check name and value")]
    Element {
        /// The type added to.
        ty: String,
        /// The name given.
        name: String,
    },
    /// An element that is there already and does not repeat.
    #[error("{0:?} is there already and does not repeat: use replace")]
    Exists(String),
    /// The path selects a computed value, or the whole resource.
    #[error("the path selects no element of the resource that could be changed")]
    NotAnElement,
    /// The result is no JSON any more, or beyond the limits.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// The places cannot be changed so.
    #[error("{0}")]
    Change(json_patch::PatchErrorKind),
}

impl Categorised for PatchError {
    fn category(&self) -> Category {
        match &self.kind {
            PatchErrorKind::TooMany(_) => Category::TooLarge,
            PatchErrorKind::Evaluation(error) => error.category(),
            PatchErrorKind::NotAPatch
            | PatchErrorKind::Type
            | PatchErrorKind::Part(_)
            | PatchErrorKind::Path(_)
            | PatchErrorKind::Json(_) => Category::Invalid,
            _ => Category::Unprocessable,
        }
    }
}

/// The resource with all operations of the Parameters done, printed compactly; or none of them.
///
/// # Errors
/// Parameters that are no patch, the first operation that cannot be done, and results beyond the limits.
pub fn apply(
    resource: &[u8],
    parameters: Value<'_>,
    limits: &Limits,
) -> Result<Vec<u8>, PatchError> {
    let whole = |kind| PatchError {
        operation: None,
        kind,
    };
    let operations = operation::read(parameters, limits)?;
    let json = fhir::json::Limits {
        max_bytes: limits.max_bytes,
        ..fhir::json::Limits::default()
    };
    let parse = |bytes: Vec<u8>| Document::parse(bytes, &json).map_err(PatchErrorKind::from);
    let mut document = parse(resource.to_vec()).map_err(whole)?;
    for (at, operation) in operations.iter().enumerate() {
        let here = |kind| PatchError {
            operation: Some(at),
            kind,
        };
        let changes = operation.changes(&document).map_err(here)?;
        if changes.is_empty() {
            continue;
        }
        let changed = change(&document, &changes, limits).map_err(here)?;
        document = parse(changed).map_err(here)?;
    }
    Ok(document.into_source())
}

/// Does the JSON Patch operations an operation became.
fn change(document: &Document, changes: &str, limits: &Limits) -> Result<Vec<u8>, PatchErrorKind> {
    let patch = Document::parse(changes.as_bytes().to_vec(), &fhir::json::Limits::default())?;
    let bounds = json_patch::Limits {
        max_bytes: limits.max_bytes,
        ..json_patch::Limits::default()
    };
    let changed = json_patch::parse(patch.root(), &bounds).and_then(|operations| {
        json_patch::apply(
            document.root(),
            &operations,
            json_patch::Emptied::Drop,
            &bounds,
        )
    });
    changed.map_err(|error| PatchErrorKind::Change(error.kind))
}
