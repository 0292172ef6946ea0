//! What can be wrong with an expression, before and while it runs. Must not quote values of a resource:
//! errors travel to logs.

use kernel::{Categorised, Category};

/// Text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("FHIRPath at character {position}: {problem}")]
pub struct CompileError {
    /// Where, in characters from 0.
    pub position: usize,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl Categorised for CompileError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// An expression that has no value for this input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Several items where the language takes one.
    #[error(
        "{what} takes a single item, but there are {count}: select one with first() or where()"
    )]
    NotSingle {
        /// The operator or function.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// An item of a type the operation does not take.
    #[error("{what} takes {expected}, not {found}")]
    WrongType {
        /// The operator or function.
        what: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: String,
    },
    /// Strict paths only: the type has no such element.
    #[error("{ty} has no element {name:?}: check the spelling, and name a choice without its type")]
    UnknownElement {
        /// The type.
        ty: String,
        /// The element.
        name: String,
    },
    /// A variable nobody gave.
    #[error("variable %{0} is not defined: give it to the evaluation or define it before")]
    UnknownVariable(String),
    /// `defineVariable()` of a name that is taken.
    #[error("variable %{0} is already defined: choose another name")]
    Redefined(String),
    /// A regular expression that does not compile or is too large.
    #[error("regular expression is not accepted: {0}")]
    Pattern(String),
    /// Arguments the function cannot work with.
    #[error("{what} cannot be computed: {problem}")]
    Argument {
        /// The operator or function.
        what: &'static str,
        /// Why, and what would do.
        problem: String,
    },
    /// A limit of the evaluation.
    #[error("the expression costs more than {limit} {what}: make it narrower or raise the limit")]
    TooCostly {
        /// `steps`, `items`, `characters of text` or `levels`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl EvaluationError {
    pub(crate) fn wrong_type(
        what: &'static str,
        expected: &'static str,
        found: impl Into<String>,
    ) -> Self {
        Self::WrongType {
            what,
            expected,
            found: found.into(),
        }
    }

    pub(crate) fn argument(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Argument {
            what,
            problem: problem.into(),
        }
    }
}

impl Categorised for EvaluationError {
    fn category(&self) -> Category {
        match self {
            Self::TooCostly { .. } => Category::TooCostly,
            _ => Category::Unprocessable,
        }
    }
}
