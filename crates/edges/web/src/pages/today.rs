//! Today: what each role starts the day with. Must not call a thing done or safe that was not checked.

use askama::Template;

use super::shell::Shell;
use crate::components::Table;

/// The page.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "today.html")]
pub struct TodayPage {
    /// Shell.
    pub shell: Shell,
    /// `Thursday 5 March 2026`.
    pub date: String,
    /// Figures on top.
    pub figures: Vec<Figure>,
    /// The lists, most urgent first.
    pub sections: Vec<Section>,
    /// Whether the patient search box stands on top.
    pub search: bool,
}

/// A figure with a link to what it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The number, or "Not available".
    pub value: String,
    /// What it counts.
    pub label: String,
    /// Where to see them; empty for none.
    pub href: String,
    /// Whether it asks for attention.
    pub raised: bool,
}

/// A list with a heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The id of its heading.
    pub id: String,
    /// The heading.
    pub title: String,
    /// A sentence below it; may be empty.
    pub lead: String,
    /// The list.
    pub table: Table,
    /// Where to see all: address, words; empty for none.
    pub more: Option<(String, String)>,
}
