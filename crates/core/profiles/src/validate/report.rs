//! What was found. Must not hold content of the resource beyond codes, types and element names.

use core::fmt::Write as _;

/// How bad it is (FHIR value set issue-severity).
pub use fhir::validate::Severity;

/// Something found in a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// FHIR value set issue-type.
    pub code: &'static str,
    /// Where, in FHIRPath: `Patient.contact[0].name.given[1]`.
    pub expression: String,
    /// Where, in bytes from the start of the document.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// The profile that asks for it; none for R4 itself.
    pub profile: Option<String>,
    /// The rule: a constraint's key, or the element's id in the profile.
    pub key: Option<String>,
}

impl Issue {
    /// Message, remedy, profile and rule in one text.
    #[must_use]
    pub fn diagnostics(&self) -> String {
        let mut text = format!("{}: {}", self.message, self.remedy);
        if let Some(key) = &self.key {
            let _ = write!(text, " [{key}]");
        }
        if let Some(profile) = &self.profile {
            let _ = write!(text, " (profile {profile})");
        }
        text
    }

    /// Whether the resource is not valid because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error | Severity::Fatal)
    }
}

/// The outcome of a validation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found, in the order of the walk.
    pub issues: Vec<Issue>,
    /// How many more there were beyond the limit.
    pub more: usize,
}

impl Report {
    /// Whether nothing found makes the resource invalid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.more == 0 && !self.issues.iter().any(Issue::is_error)
    }
}

/// Line and column of offsets, both from 1; columns count characters. The source is read once.
#[must_use]
pub fn positions(source: &[u8], offsets: &[usize]) -> Vec<(usize, usize)> {
    let mut order: Vec<(usize, usize)> = offsets.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut found = vec![(1, 1); offsets.len()];
    let (mut read, mut line, mut column) = (0, 1, 1);
    for (offset, place) in order {
        let offset = offset.min(source.len());
        for byte in source.get(read..offset).unwrap_or_default() {
            match byte {
                b'\n' => (line, column) = (line + 1, 1),
                // Bytes that continue a character are none of their own.
                0x80..=0xBF => {}
                _ => column += 1,
            }
        }
        read = read.max(offset);
        if let Some(found) = found.get_mut(place) {
            *found = (line, column);
        }
    }
    found
}
