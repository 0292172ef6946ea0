//! What a use-case can fail with. Every error names its category, a text that may be shown to the
//! caller (never an internal detail, never another tenant's data), and, where there are several
//! findings, the issues.

use std::borrow::Cow;

use fhir::validate::{Issue, Severity};
use kernel::{Categorised, Category, VersionId};
use store::{CommitError, StoreError};

/// A search that cannot be answered as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No such parameter for the type.
    #[error(
        "{resource} has no search parameter {name:?}: see the CapabilityStatement, or send `Prefer: handling=lenient` to ignore it"
    )]
    Unknown {
        /// The type.
        resource: String,
        /// What was given.
        name: String,
    },
    /// A parameter or modifier of R4 that this server does not offer.
    #[error("{name} is not offered by this server: leave it out")]
    NotOffered {
        /// What was given.
        name: String,
    },
    /// It needs what the index lacks until it is built anew: an answer could miss something.
    #[error(
        "{name} is not ready: the search index is being built anew after an upgrade; try again later, SearchParameter/$status shows how far it is"
    )]
    NotReady {
        /// What was given.
        name: String,
    },
    /// A value that cannot be read.
    #[error("{name} has a value that cannot be read: {detail}")]
    Malformed {
        /// The parameter.
        name: String,
        /// Why, and what is accepted.
        detail: String,
    },
    /// Codes that only a code system or value set knows, which is not here or not complete.
    #[error(
        "{name} asks for the codes of {what}, which this server does not know completely: load it, or list the codes"
    )]
    Terminology {
        /// The parameter.
        name: String,
        /// The value set or concept.
        what: String,
    },
    /// A parameter looks at a type that the caller may not search.
    #[error("searching {resource} is not allowed: leave out what looks at it")]
    Denied {
        /// The type.
        resource: String,
    },
    /// A cursor that was not made by this server for this search and tenant.
    #[error("this page link is not valid for this search: begin the search again")]
    Cursor,
    /// More parameters or values than the limits allow.
    #[error("{detail}")]
    TooMany {
        /// What and how many.
        detail: String,
    },
}

impl QueryError {
    /// Whether lenient handling may leave the parameter out: what is refused to the caller, or asks for
    /// too much, it may not.
    pub(crate) const fn may_be_ignored(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::NotOffered { .. } | Self::Malformed { .. }
        )
    }
}

impl Categorised for QueryError {
    fn category(&self) -> Category {
        match self {
            Self::Denied { .. } => Category::Forbidden,
            Self::NotReady { .. } => Category::Unavailable,
            _ => Category::Invalid,
        }
    }
}

/// Why nobody is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Wrong name, password or tenant; never says which.
    #[error("name or password is wrong: try again")]
    Credentials,
    /// Too many failures.
    #[error("too many failed attempts: wait {0} minutes, or ask an administrator to unlock")]
    Locked(u32),
    /// The second step's code is wrong or was used.
    #[error("the code is wrong or was used already: wait for the next one")]
    Code,
    /// Somebody beside the caller did not prove who they are; never says which part was wrong.
    #[error("who that is was not proved: check name, password and, where there is one, the code")]
    Proof,
    /// No session, or it ended.
    #[error("the session has ended: sign in again")]
    Session,
    /// No token, or it is not accepted.
    #[error("the bearer token is missing, expired or revoked: get a new one")]
    Token,
    /// A client assertion that is not accepted.
    #[error("the client assertion is not accepted: {0}")]
    Assertion(&'static str),
    /// The form's anti-forgery token is missing or not this session's.
    #[error("the form has expired: open the page again and repeat")]
    Forgery,
}

/// Why a use-case failed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The body is not JSON as RFC 8259 has it.
    #[error(transparent)]
    Json(#[from] fhir::json::JsonError),
    /// A JSON Patch that cannot be done.
    #[error(transparent)]
    Patch(#[from] fhir::patch::PatchError),
    /// An XML Patch that cannot be done.
    #[error(transparent)]
    XmlPatch(#[from] fhir::xml::patch::PatchError),
    /// XML that cannot be read, or written.
    #[error(transparent)]
    Xml(#[from] fhir::xml::XmlError),
    /// A FHIRPath Patch that cannot be done.
    #[error(transparent)]
    FhirPathPatch(#[from] fhirpath::patch::PatchError),
    /// The body breaks the structure of its type.
    #[error("{}", first_issue(.0))]
    Validation(Vec<Issue>),
    /// The request is malformed.
    #[error("{0}")]
    Invalid(String),
    /// Well-formed, but against a rule of the record.
    #[error("{0}")]
    Unprocessable(String),
    /// No such thing, or none the caller may know of.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// It was deleted.
    #[error("{what} was deleted")]
    Gone {
        /// What was asked for.
        what: String,
        /// The deletion's version.
        version: Option<VersionId>,
        /// Whether its key was destroyed: no version can be read any more.
        erased: bool,
    },
    /// Known caller, not allowed.
    #[error("not allowed: {reason}")]
    Denied {
        /// The decision's sentence.
        reason: String,
        /// The decision's code.
        code: String,
    },
    /// Nobody is signed in.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// `If-Match` names another version than the current one.
    #[error("{what} is not at that version any more: read it again and repeat the change")]
    Stale {
        /// What.
        what: String,
        /// Its version now.
        current: Option<VersionId>,
    },
    /// A condition matches several resources.
    #[error("the condition on {what} matches more than one resource: make it more precise")]
    MultipleMatches {
        /// The type.
        what: String,
    },
    /// A duplicate, or a state that does not allow the step.
    #[error("{0}")]
    Conflict(String),
    /// Too much of it at once; the same may succeed later.
    #[error("{0}")]
    Throttled(String),
    /// More work than one request may ask for.
    #[error("{0}")]
    TooCostly(String),
    /// A search that cannot be answered.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The interaction is not offered.
    #[error("{0}")]
    Unsupported(String),
    /// Larger than the limits.
    #[error("{0}")]
    TooLarge(String),
    /// An entry of a transaction failed, and so nothing was stored.
    #[error("Bundle.entry[{index}] ({name}): {source}")]
    Entry {
        /// Its place in the bundle, from 0.
        index: usize,
        /// Its method and address.
        name: String,
        /// Why.
        source: Box<AppError>,
    },
    /// A terminology question has no answer.
    #[error(transparent)]
    Terminology(#[from] terminology::TerminologyError),
    /// A proof could not be made.
    #[error(transparent)]
    Proof(#[from] ledger::proof::ProofError),
    /// A pharmacy did not take or say something.
    #[error(transparent)]
    Pharmacy(connect::pharmacy::PharmacyError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of ours.
    #[error("internal defect: {0}")]
    Fault(String),
}

fn first_issue(issues: &[Issue]) -> String {
    match issues {
        [] => "the resource is not valid".to_owned(),
        [only] => format!("{}: {}", only.expression, only.diagnostics),
        [first, ..] => format!(
            "{}: {} (and {} more)",
            first.expression,
            first.diagnostics,
            issues.len() - 1
        ),
    }
}

impl AppError {
    /// A missing resource, as it is named in answers.
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// The text for the caller.
    #[must_use]
    pub fn public_text(&self) -> Cow<'static, str> {
        match self {
            Self::Store(StoreError::UnknownTenant(_)) => Cow::Borrowed("tenant does not exist"),
            Self::Store(error) => match error.category() {
                Category::Unavailable => {
                    Cow::Borrowed("the record is not available at the moment: repeat later")
                }
                Category::Throttled | Category::TooCostly | Category::Unsupported => {
                    Cow::Owned(error.to_string())
                }
                _ => Cow::Borrowed("something went wrong here: give the request id to support"),
            },
            Self::Fault(_) => {
                Cow::Borrowed("something went wrong here: give the request id to support")
            }
            Self::Entry {
                index,
                name,
                source,
            } => Cow::Owned(format!(
                "Bundle.entry[{index}] ({name}): {}",
                source.public_text()
            )),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// The findings, at least one: for an OperationOutcome.
    #[must_use]
    pub fn issues(&self) -> Vec<Issue> {
        match self {
            Self::Validation(issues) if !issues.is_empty() => issues.clone(),
            Self::Entry {
                index,
                name,
                source,
            } => {
                let mut issues = source.issues();
                for issue in &mut issues {
                    issue.diagnostics =
                        format!("Bundle.entry[{index}] ({name}): {}", issue.diagnostics);
                    issue.expression = if issue.expression.is_empty() {
                        format!("Bundle.entry[{index}]")
                    } else {
                        format!("Bundle.entry[{index}].resource/{}", issue.expression)
                    };
                }
                issues
            }
            other => vec![Issue {
                severity: Severity::Error,
                code: other.issue_code(),
                expression: String::new(),
                diagnostics: other.public_text().into_owned(),
            }],
        }
    }

    fn issue_code(&self) -> &'static str {
        match self {
            Self::Query(QueryError::NotOffered { .. }) => "not-supported",
            Self::Query(QueryError::Terminology { .. }) => "not-found",
            Self::Query(QueryError::TooMany { .. }) => "too-costly",
            Self::MultipleMatches { .. } => "multiple-matches",
            Self::Validation(_) => "structure",
            Self::Terminology(error) => error.issue_code(),
            _ => self.category().mapping().issue_type,
        }
    }
}

impl Categorised for AppError {
    fn category(&self) -> Category {
        match self {
            Self::Json(error) => error.category(),
            Self::Patch(error) => error.category(),
            Self::FhirPathPatch(error) => error.category(),
            Self::XmlPatch(error) => error.category(),
            Self::Xml(error) => error.category(),
            Self::Validation(_) | Self::Unprocessable(_) => Category::Unprocessable,
            Self::Invalid(_) => Category::Invalid,
            Self::Query(error) => error.category(),
            Self::NotFound { .. } => Category::NotFound,
            Self::Gone { .. } => Category::Gone,
            Self::Denied { .. } | Self::SignIn(SignInError::Forgery | SignInError::Proof) => {
                Category::Forbidden
            }
            Self::SignIn(SignInError::Locked(_)) | Self::Throttled(_) => Category::Throttled,
            Self::SignIn(_) => Category::Unauthenticated,
            Self::Stale { .. } | Self::MultipleMatches { .. } => Category::Stale,
            Self::Conflict(_) => Category::Conflict,
            Self::TooCostly(_) => Category::TooCostly,
            Self::Unsupported(_) => Category::Unsupported,
            Self::TooLarge(_) => Category::TooLarge,
            Self::Entry { source, .. } => source.category(),
            Self::Terminology(error) => error.category(),
            Self::Proof(error) => error.category(),
            Self::Pharmacy(error) => error.category(),
            Self::Store(error) => error.category(),
            Self::Fault(_) => Category::Fault,
        }
    }
}

impl From<CommitError> for AppError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Stale { key, current } => Self::Stale {
                what: crate::record::name_of(&key),
                current: current.map(|head| head.version),
            },
            CommitError::GuardChanged { .. } => Self::Conflict(error.to_string()),
            CommitError::DocConflict { kind, lookup, .. } => Self::Conflict(match lookup {
                Some(name) => {
                    format!("this {name} is taken by another {kind:?}: choose another one")
                }
                None => format!("this {kind:?} changed meanwhile: read it again and repeat"),
            }),
            CommitError::Malformed(what) => Self::Fault(what.to_owned()),
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<serde_json::Error> for AppError {
    fn from(error: serde_json::Error) -> Self {
        Self::Fault(format!("a stored document cannot be read: {error}"))
    }
}

impl From<tokio::task::JoinError> for AppError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Fault(format!("a worker failed: {error}"))
    }
}
