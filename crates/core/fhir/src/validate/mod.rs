//! Structural validation against base R4: elements, cardinality, choice types, primitive formats,
//! required bindings, reference targets, contained resources. What is found is told with its place and
//! a remedy. Must not look beyond the resource: profiles, terminology and other resources are not asked.

mod binding;
mod path;
mod primitive;
mod reference;
mod walk;
mod xhtml;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use crate::definitions::Definitions;
use crate::json::Value;

/// At most this many issues are reported for one resource.
pub const MAX_ISSUES: usize = 100;

/// How bad it is (FHIR value set issue-severity).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing could be checked.
    Fatal,
    /// The content is refused.
    Error,
    /// The content is taken, but is likely not what was meant.
    Warning,
    /// Nothing is wrong.
    Information,
}

/// Something wrong in a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// FHIR value set issue-type.
    pub code: &'static str,
    /// Where, in FHIRPath: `Patient.contact[0].name.given[1]`.
    pub expression: String,
    /// What is wrong, and the remedy. Holds element names, types and codes, no other content.
    pub diagnostics: String,
}

/// What is structurally wrong with a resource; empty when it is valid. At most [`MAX_ISSUES`], the last
/// of which then says that there are more.
#[must_use]
pub fn validate(definitions: &Definitions, resource: Value<'_>) -> Vec<Issue> {
    let mut walk = walk::Walk::new(definitions);
    walk.root(resource);
    walk.finish()
}
