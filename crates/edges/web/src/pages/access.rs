//! Who may sign in: users, API clients, tenants, branches, emergency access, and the state of the
//! system. Lists and forms. Must not show a secret but once, on the page that made it.

use askama::Template;

use super::shell::Shell;
use crate::components::table::PostButton;
use crate::components::{ErrorSummary, Field, Notice, Paging, Table};

/// A page of lists: users, clients, tenants, reviews, health.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "list.html")]
pub struct ListPage {
    /// Shell.
    pub shell: Shell,
    /// A sentence below the heading; may be empty.
    pub lead: String,
    /// The main step: address, words.
    pub action: Option<(String, String)>,
    /// Something shown this once: what, value, what to do with it.
    pub secret: Option<(String, String, String)>,
    /// The state of the whole, on top.
    pub summary: Option<Notice>,
    /// The lists: heading id, heading, list.
    pub sections: Vec<(String, String, Table)>,
    /// Pages of the last list.
    pub paging: Paging,
}

/// A page of one form, with further steps below it.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "form.html")]
pub struct FormPage {
    /// Shell.
    pub shell: Shell,
    /// A sentence below the heading; may be empty.
    pub lead: String,
    /// A warning above the form.
    pub warning: Option<Notice>,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// What is in force already, above the form.
    pub running: Option<Table>,
    /// Where it posts.
    pub action: String,
    /// The fields.
    pub fields: Vec<Field>,
    /// Hidden fields.
    pub hidden: Vec<(String, String)>,
    /// The words of the button.
    pub button: String,
    /// Whether the button is a dangerous one.
    pub danger: bool,
    /// Facts beside the form: label, text.
    pub facts: Vec<(String, String)>,
    /// Further steps: heading, sentence, button.
    pub steps: Vec<(String, String, PostButton)>,
    /// Back: address, words.
    pub back: Option<(String, String)>,
}

/// One emergency access with its review.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "review.html")]
pub struct ReviewPage {
    /// Shell.
    pub shell: Shell,
    /// Whose it was.
    pub who: String,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Label, text.
    pub facts: Vec<(String, String)>,
    /// The review there is.
    pub review: Option<String>,
    /// What was looked at; `None` where the reader may not see the trail.
    pub looks: Option<Table>,
    /// The patient's whole trail.
    pub trail: String,
    /// Where the review posts.
    pub action: String,
    /// The fields of the review; none where there is nothing to review.
    pub fields: Vec<Field>,
    /// Whether it is the reader's own.
    pub own: bool,
    /// Back to the list.
    pub back: String,
}
