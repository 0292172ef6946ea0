//! The validation playground: a resource as text, a profile perhaps, and the issues with their places in
//! the text. Must not check anything.

use askama::Template;

use super::shell::Shell;
use crate::components::table::Tone;
use crate::components::{Choice, ErrorSummary, Notice};

/// The playground.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "validation.html")]
pub struct ValidationPage {
    /// Shell.
    pub shell: Shell,
    /// Back: address, words.
    pub back: (String, String),
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Where the form goes.
    pub action: String,
    /// Examples: value, words.
    pub examples: Vec<(&'static str, &'static str)>,
    /// The resource as it was sent.
    pub text: String,
    /// What is wrong with the text itself.
    pub text_error: String,
    /// The profile asked for.
    pub profile: String,
    /// Profiles that are known here: address, type and name.
    pub profiles: Vec<Choice>,
    /// The answer in a sentence.
    pub summary: Option<Notice>,
    /// The issues, gravest first.
    pub findings: Vec<Finding>,
    /// The text in lines: number, text, what the gravest issue there means.
    pub lines: Vec<(usize, String, Option<Tone>)>,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub tone: Tone,
    /// The same in a word.
    pub severity: &'static str,
    /// Its line, where it is known.
    pub line: Option<usize>,
    /// Where, as FHIRPath.
    pub place: String,
    /// What is wrong, and what to do.
    pub words: String,
}

impl ValidationPage {
    /// Lines for the text's box: as many as it has, within reason.
    fn rows(&self) -> usize {
        self.text.lines().count().clamp(10, 24)
    }
}
