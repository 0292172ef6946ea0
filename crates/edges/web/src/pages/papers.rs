//! The papers of a resident: what holds, what is missing, and the form that files one. Must not show what
//! cannot be read as none.

use askama::Template;

use super::shell::Shell;
use crate::clinical::Banner;
use crate::components::{ErrorSummary, Field, Notice, Table};

/// The form that files a paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filing {
    /// The kind, for the address.
    pub kind: String,
    /// Its heading.
    pub title: String,
    /// A sentence below it.
    pub lead: String,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// The fields.
    pub fields: Vec<Field>,
}

/// The page.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "papers.html")]
pub struct PapersPage {
    /// Shell.
    pub shell: Shell,
    /// Banner.
    pub banner: Banner,
    /// The patient's summary.
    pub patient: String,
    /// What holds, and what asks for somebody.
    pub notices: Vec<Notice>,
    /// Heading id, heading, list.
    pub sections: Vec<(String, String, Table)>,
    /// Papers that can be filed: address, words; none for who may not.
    pub actions: Vec<(String, String)>,
    /// The form, where one is open.
    pub filing: Option<Filing>,
    /// Where it posts.
    pub action: String,
}
