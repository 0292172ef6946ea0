//! Pages of those who look after the record and its interfaces: a form on top, what it found below. Must not
//! know any tool.

use askama::Template;

use super::shell::Shell;
use crate::components::table::PostButton;
use crate::components::{ErrorSummary, Field, Notice, Paging, Table};

/// A tool: asked by a form, answered by notices, tables and text.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "tool.html")]
pub struct ToolPage {
    /// Shell.
    pub shell: Shell,
    /// Back: address, words.
    pub back: (String, String),
    /// The way here from the top, in place of `back`; may be empty.
    pub crumbs: Vec<(String, String)>,
    /// Where it stands among others.
    pub tree: Option<Tree>,
    /// A sentence below the heading; may be empty.
    pub lead: String,
    /// Pages that go with this one: address, words.
    pub links: Vec<(String, String)>,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Where the form goes.
    pub action: String,
    /// Whether it posts; otherwise the answer has an address of its own.
    pub posts: bool,
    /// The fields; none: no form.
    pub fields: Vec<Field>,
    /// The words of the button.
    pub button: String,
    /// The answer in a sentence.
    pub summary: Option<Notice>,
    /// The answer's lists: heading id, heading, list.
    pub sections: Vec<(String, String, Table)>,
    /// Pages of a list.
    pub paging: Paging,
    /// The heading id of that list; empty for the first.
    pub paged: &'static str,
    /// What can be done: heading, what it does, the button.
    pub steps: Vec<(String, String, PostButton)>,
    /// Text as it is: heading, text.
    pub code: Option<(String, String)>,
}

/// Where something stands: what is above it, and what is right below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// From the top: address, words, code.
    pub above: Vec<(String, String, String)>,
    /// Itself.
    pub here: (String, String),
    /// Right below it: address, words, code, how many stand below that in words.
    pub below: Vec<(String, String, String, String)>,
    /// What is said where nothing stands below.
    pub none: String,
    /// Other pages of what stands below.
    pub paging: Paging,
}
