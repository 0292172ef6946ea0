//! Pieces that many pages share: tables, form fields, notices, paging. Must not know any page.

pub mod field;
pub mod table;

pub use field::{Choice, Field};
pub use table::{Cell, Column, Piece, Row, Table, Tone};

use askama::Template;

/// A message about what just happened, or about the state of the page.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "components/notice.html")]
pub struct Notice {
    /// Its meaning.
    pub tone: Tone,
    /// Its heading.
    pub title: String,
    /// Further words; may be empty.
    pub text: String,
}
impl askama::filters::HtmlSafe for Notice {}

impl Notice {
    /// A notice.
    #[must_use]
    pub fn new(tone: Tone, title: &str, text: &str) -> Self {
        Self {
            tone,
            title: title.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// Links to the pages before and after; keyset paging has no page numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Template)]
#[template(path = "components/paging.html")]
pub struct Paging {
    /// `Showing 25 of 1,204`.
    pub words: String,
    /// The first page, where this is a later one.
    pub first: Option<String>,
    /// The next page, where there is one.
    pub next: Option<String>,
}
impl askama::filters::HtmlSafe for Paging {}

/// What went wrong with a form: linked to the fields.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "components/error_summary.html")]
pub struct ErrorSummary {
    /// Field id and what to do about it; an empty id for an error of the whole form.
    pub errors: Vec<(String, String)>,
}
impl askama::filters::HtmlSafe for ErrorSummary {}

impl ErrorSummary {
    /// The errors of fields.
    #[must_use]
    pub fn of(fields: &[Field]) -> Option<Self> {
        let errors: Vec<_> = fields
            .iter()
            .filter_map(|field| {
                field
                    .error
                    .as_ref()
                    .map(|error| (field.focus_id(), error.clone()))
            })
            .collect();
        (!errors.is_empty()).then_some(Self { errors })
    }
    /// One error of the whole form.
    #[must_use]
    pub fn whole(error: &str) -> Self {
        Self {
            errors: vec![(String::new(), error.to_owned())],
        }
    }
}
