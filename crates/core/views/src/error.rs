//! What can be wrong with a view, and with a resource under a view. Must not quote values of a resource.

use fhirpath::{CompileError, EvaluationError};
use kernel::{Categorised, Category};

/// A ViewDefinition that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ViewError {
    /// Where in the view: `select[0].column[1].path`.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl ViewError {
    pub(crate) fn new(place: &str, problem: impl Into<String>) -> Self {
        Self {
            place: if place.is_empty() {
                "ViewDefinition".to_owned()
            } else {
                place.to_owned()
            },
            problem: problem.into(),
        }
    }

    pub(crate) fn path(place: &str, error: &CompileError) -> Self {
        Self::new(place, error.to_string())
    }
}

impl Categorised for ViewError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// A resource that the view has no rows for, because of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A path that failed.
    #[error("path of {column:?}: {error}")]
    Path {
        /// The column, or the part of the view.
        column: String,
        /// Why.
        error: EvaluationError,
    },
    /// Several values where the column takes one.
    #[error("column {0:?} has several values: set collection, or take first()")]
    Several(String),
    /// A value the column's type does not take.
    #[error("column {column:?} is {expected}, but the value is {found}: correct its type or path")]
    Type {
        /// The column.
        column: String,
        /// What it holds.
        expected: &'static str,
        /// What the value is.
        found: String,
    },
    /// A `where` that is neither true nor false.
    #[error("where[{0}] is no boolean: compare or use exists()")]
    NotBoolean(usize),
    /// More rows of one resource than the limit.
    #[error("one resource makes more than {0} rows: narrow forEach and repeat")]
    TooMany(usize),
}

impl Categorised for RowError {
    fn category(&self) -> Category {
        match self {
            Self::TooMany(_) => Category::TooCostly,
            Self::Path { error, .. } => error.category(),
            _ => Category::Unprocessable,
        }
    }
}
