//! Errors and help. Must not tell a foreign thing from a missing one, and never shows internals.

use askama::Template;

use super::shell::Shell;

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// Shell.
    pub shell: Shell,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a sentence.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Details the person can act on; may be empty.
    pub details: Vec<String>,
    /// The id to quote.
    pub id: String,
    /// Where to go on: address, words.
    pub ways: Vec<(String, String)>,
}

impl ErrorPage {
    /// Title, sentence and remedy of a status.
    #[must_use]
    pub const fn words(status: u16) -> (&'static str, &'static str, &'static str) {
        match status {
            400 => (
                "That request was not understood",
                "Something in the request is not in the form this page expects.",
                "Go back, check what you entered and try again.",
            ),
            401 => (
                "Please sign in",
                "You are not signed in, or your session has ended.",
                "Sign in and try again.",
            ),
            403 => (
                "You may not do this",
                "Your role or branch does not allow this.",
                "If you need it for your work, ask an administrator. In an emergency, use emergency access.",
            ),
            404 => (
                "Page not found",
                "There is nothing here, or nothing that you may see.",
                "Check the address, or search for the patient.",
            ),
            409 | 412 => (
                "Someone changed this before you",
                "The record changed after you opened it. Nothing of yours was saved.",
                "Open it again, look at what changed, and make your change again.",
            ),
            410 => (
                "This was deleted",
                "It existed and was deleted.",
                "Its history shows when and by whom.",
            ),
            413 => (
                "Too large",
                "What you sent is larger than the limit.",
                "Send less at a time.",
            ),
            422 => (
                "That could not be saved",
                "Something in it breaks a rule of the record. Nothing was saved.",
                "Correct what is listed and try again.",
            ),
            429 => (
                "Too many requests",
                "Too many requests came from you in a short time.",
                "Wait a minute and try again.",
            ),
            503 => (
                "Not available at the moment",
                "A part that is needed did not answer. Nothing was saved.",
                "Try again in a minute. If it goes on, tell your administrator.",
            ),
            _ => (
                "Something went wrong",
                "This is a fault of the system, not yours. Nothing was saved.",
                "Try again. If it happens again, tell your administrator and quote the number below.",
            ),
        }
    }
}

/// Help.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "help.html")]
pub struct HelpPage {
    /// Shell.
    pub shell: Shell,
    /// Keys and what they do.
    pub keys: Vec<(&'static str, &'static str)>,
    /// Words and what they mean.
    pub words: Vec<(&'static str, &'static str)>,
}

impl HelpPage {
    /// The page.
    #[must_use]
    pub fn new(shell: Shell) -> Self {
        Self {
            shell,
            keys: vec![
                ("/", "Go to the patient search"),
                ("?", "Open this page"),
                ("Tab", "Go to the next link, button or field"),
                ("Esc", "Close a question without answering it"),
            ],
            words: vec![
                (
                    "Born",
                    "The date of birth, with the age in brackets: years (y), months (m), weeks (w), days (d).",
                ),
                (
                    "Gender",
                    "As recorded for identifying and addressing the patient. It is not for clinical judgement.",
                ),
                (
                    "NHS No.",
                    "The ten-digit number of a patient in England, written 3-3-4.",
                ),
                (
                    "ABHA No.",
                    "The fourteen-digit health account number in India, written 2-4-4-4.",
                ),
                (
                    "Not recorded",
                    "Nobody entered it. It does not mean that there is none.",
                ),
                ("Not available", "It could not be read now. It may exist."),
                (
                    "No known allergies",
                    "Somebody checked and recorded that there are none.",
                ),
                (
                    "Proven",
                    "The entry is in a signed log, and the proof was checked just now.",
                ),
            ],
        }
    }
}
