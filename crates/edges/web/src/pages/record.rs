//! One resource: readable fields and JSON, and its history with differences. Must not leave a field
//! out: what the readable view cannot name it shows by its path.

use askama::Template;

use super::shell::Shell;
use crate::clinical::{Banner, When};
use crate::components::{Paging, Table};
use crate::diff::Change;
use crate::narrative::Narrative;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "resource.html")]
pub struct ResourcePage {
    /// Shell.
    pub shell: Shell,
    /// The patient it is about, where it is about one.
    pub banner: Option<Banner>,
    /// The patient's summary.
    pub patient_href: String,
    /// `Observation`.
    pub type_name: String,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Whether it is the current one.
    pub current: bool,
    /// When the version was made.
    pub updated: When,
    /// The narrative, safe to show.
    pub narrative: Option<Narrative>,
    /// Groups of fields: heading, lines.
    pub groups: Vec<(String, Vec<Line>)>,
    /// `JSON` or `XML`.
    pub format: &'static str,
    /// The other formats: address, name.
    pub formats: Vec<(String, &'static str)>,
    /// Every value as stored, indented for reading.
    pub source: String,
    /// The history's address.
    pub history_href: String,
    /// The entries of the ledger about it, for those who may see them.
    pub ledger_href: String,
    /// The address of the FHIR resource itself.
    pub fhir_href: String,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `given[1]`; empty for the whole.
    pub path: String,
    /// Its value.
    pub text: String,
    /// Where a reference leads; empty for what leads nowhere here.
    pub href: String,
}

/// The history of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "history.html")]
pub struct HistoryPage {
    /// Shell.
    pub shell: Shell,
    /// The patient it is about.
    pub banner: Option<Banner>,
    /// The patient's summary.
    pub patient_href: String,
    /// `Observation/123`.
    pub name: String,
    /// The resource's own page.
    pub resource_href: String,
    /// The versions: number, whether "from", whether "to".
    pub versions: Vec<(String, bool, bool)>,
    /// The list of versions.
    pub table: Table,
    /// The differences, where two versions were picked.
    pub comparison: Option<Comparison>,
    /// Pages.
    pub paging: Paging,
}

/// Two versions side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The older version.
    pub from: String,
    /// The newer one.
    pub to: String,
    /// The differences; empty where there are none.
    pub changes: Vec<Change>,
    /// Why they cannot be compared (a deletion, an erasure); empty where they can.
    pub obstacle: String,
}
