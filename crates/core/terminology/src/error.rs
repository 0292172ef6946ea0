//! Why a terminology question has no answer. "Not a member" is an answer; "not loaded" is one of these.

use kernel::{Categorised, Category};

/// Why a question could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TerminologyError {
    /// The code system, or the version asked for, is not here.
    #[error(
        "code system {0} is not loaded, so nothing can be said about its codes: store it as a CodeSystem or load it with `theriac terminology load`"
    )]
    SystemUnknown(String),
    /// Only a part of the code system is here, and the code is not in that part.
    #[error(
        "code system {0} is here only in part, so nothing can be said about codes outside it: load the whole of it"
    )]
    SystemIncomplete(String),
    /// The value set is not here.
    #[error("value set {0} is not known: store it as a ValueSet or give it with the request")]
    ValueSetUnknown(String),
    /// The concept map is not here.
    #[error("concept map {0} is not known: store it as a ConceptMap or give it with the request")]
    ConceptMapUnknown(String),
    /// The code is not in its (complete) code system.
    #[error(
        "code {code:?} is not in code system {system}: check the code and the system's version"
    )]
    CodeUnknown {
        /// The code system.
        system: String,
        /// The code.
        code: String,
    },
    /// A value set imports itself.
    #[error("value set {0} imports itself: take one of the imports out")]
    Circular(String),
    /// A stored or given resource cannot be used.
    #[error("{what} cannot be used: {why}")]
    Faulty {
        /// The resource.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// A filter that is not understood.
    #[error(
        "filter {property} {op} {value:?} on {system} is not supported: use one of the operators of FHIR R4 on a property the code system has"
    )]
    Filter {
        /// The code system.
        system: String,
        /// The property.
        property: String,
        /// The operator.
        op: String,
        /// The value.
        value: String,
    },
    /// An expression constraint beyond the supported forms.
    #[error(
        "expression constraint {0:?} is not supported: use concepts with <, <<, >, >>, ^ joined by AND, OR, MINUS and brackets"
    )]
    Expression(String),
    /// The answer would be too large.
    #[error(
        "{what} has more than {limit} concepts: ask for a page with count, or narrow it with filter"
    )]
    TooCostly {
        /// What.
        what: String,
        /// How many are allowed.
        limit: usize,
    },
    /// The question itself is wrong.
    #[error("{0}")]
    Asked(String),
}

impl Categorised for TerminologyError {
    fn category(&self) -> Category {
        match self {
            Self::CodeUnknown { .. } | Self::ValueSetUnknown(_) | Self::ConceptMapUnknown(_) => {
                Category::NotFound
            }
            Self::SystemUnknown(_)
            | Self::SystemIncomplete(_)
            | Self::Circular(_)
            | Self::Faulty { .. }
            | Self::Filter { .. }
            | Self::Expression(_) => Category::Unprocessable,
            Self::TooCostly { .. } => Category::TooCostly,
            Self::Asked(_) => Category::Invalid,
        }
    }
}

impl TerminologyError {
    /// OperationOutcome.issue.code: finer than the category's.
    #[must_use]
    pub const fn issue_code(&self) -> &'static str {
        match self {
            Self::CodeUnknown { .. } => "code-invalid",
            Self::SystemUnknown(_) | Self::ValueSetUnknown(_) | Self::ConceptMapUnknown(_) => {
                "not-found"
            }
            Self::SystemIncomplete(_) => "incomplete",
            Self::Circular(_) => "business-rule",
            Self::Faulty { .. } => "processing",
            Self::Filter { .. } | Self::Expression(_) => "not-supported",
            Self::TooCostly { .. } => "too-costly",
            Self::Asked(_) => "invalid",
        }
    }
}
