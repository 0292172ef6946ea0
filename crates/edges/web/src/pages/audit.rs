//! The audit explorer: who changed or saw what, with the proof of each entry. Must not claim a proof
//! that was not checked.

use askama::Template;

use super::shell::Shell;
use crate::clinical::{Banner, When};
use crate::components::{ErrorSummary, Field, Paging, Table, Tone};

/// The explorer.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "audit.html")]
pub struct AuditPage {
    /// Shell.
    pub shell: Shell,
    /// The patient, where one was asked for.
    pub banner: Option<Banner>,
    /// The patient's summary.
    pub patient_href: String,
    /// What is wrong with the filters.
    pub problem: Option<ErrorSummary>,
    /// Where the filters are sent.
    pub action: String,
    /// The filters.
    pub filters: Vec<Field>,
    /// The patient record asked for.
    pub about: Option<String>,
    /// How many entries match and how their proofs stand; none where nothing was asked.
    pub found: Option<String>,
    /// The entries.
    pub table: Table,
    /// The same filters in the other log: address, words.
    pub other: Option<(String, String)>,
    /// Pages.
    pub paging: Paging,
    /// The logs' heads.
    pub checkpoints: Vec<Checkpoint>,
    /// Where the export of what matches starts; empty where it is not allowed.
    pub export_href: String,
    /// Where the export of the whole log starts; empty where it is not allowed.
    pub whole_href: String,
}

/// A log's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// `Changes` or `Access`.
    pub log: String,
    /// How many entries.
    pub size: String,
    /// The root hash.
    pub root: String,
    /// When it was read for this page.
    pub read: When,
    /// The signed note.
    pub note: String,
}

/// One entry with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "audit_entry.html")]
pub struct AuditEntryPage {
    /// Shell.
    pub shell: Shell,
    /// `Access log, entry 1,204`.
    pub name: String,
    /// What it says: label, text.
    pub facts: Vec<(String, String)>,
    /// How the proof stands.
    pub proof: Proof,
    /// The leaf, as logged.
    pub leaf: String,
    /// Back to the list.
    pub back: String,
}

/// How an entry's proof stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its meaning.
    pub tone: Tone,
    /// `Proven`, `Not yet in a checkpoint`, `Not proven`.
    pub words: String,
    /// A sentence.
    pub detail: String,
    /// The hashes from leaf to root.
    pub path: Vec<String>,
    /// The root they lead to.
    pub root: String,
}
