//! The search tool: conditions built line by line, the address they make, what was found, and how the
//! search is run. Must not know what a parameter means.

use askama::Template;

use super::shell::Shell;
use crate::components::{Choice, ErrorSummary, Field, Notice, Paging, Table};

/// A condition as it is edited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Its parameter: name, and the kind in words.
    pub names: Vec<Choice>,
    /// How it compares: groups with their kinds, and the choices of each.
    pub comparisons: Vec<(&'static str, &'static str, Vec<Choice>)>,
    /// What it compares with.
    pub value: String,
    /// What kind of parameter was chosen; empty while none is.
    pub kind: String,
    /// Where its values stand in the resource; empty while none is chosen.
    pub place: String,
    /// How a value is written.
    pub hint: String,
    /// Whether it takes the focus: it was just added.
    pub focus: bool,
}

/// The search page.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "search.html")]
pub struct SearchPage {
    /// Shell.
    pub shell: Shell,
    /// Back: address, words.
    pub back: (String, String),
    /// A sentence below the heading.
    pub lead: String,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Where the form goes.
    pub action: String,
    /// The resource types.
    pub types: Vec<Choice>,
    /// The conditions; at least one.
    pub conditions: Vec<Condition>,
    /// Whether one more can be added.
    pub room: bool,
    /// The rest of the query.
    pub more: Field,
    /// The FHIR address it makes.
    pub address: String,
    /// What it asks, part by part: parameter, in words, value.
    pub asks: Vec<(String, String, String)>,
    /// The answer in a sentence.
    pub summary: Option<Notice>,
    /// The answer's lists: heading id, heading, list.
    pub sections: Vec<(String, String, Table)>,
    /// Pages of the first list.
    pub paging: Paging,
    /// How it is run.
    pub plan: Option<Plan>,
}

/// How a search is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In a sentence.
    pub lead: String,
    /// Its steps in order.
    pub steps: Table,
    /// What bounds it: what, how much.
    pub limits: Vec<(String, String)>,
    /// The statement, without values.
    pub statement: String,
    /// The engine's own plan.
    pub engine: String,
    /// The whole answer as JSON.
    pub json: String,
}
