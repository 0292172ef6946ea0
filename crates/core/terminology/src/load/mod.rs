//! Readers of code systems that customers license: SNOMED CT RF2, LOINC, dm+d, ICD-10. Each reads files as
//! streams, line by line or element by element, and counts what it cannot use with file and line. Must not
//! open files, and holds no licensed content.

pub mod dmd;
pub mod icd10;
pub mod lines;
pub mod loinc;
pub mod rf2;
pub mod table;
#[cfg(test)]
mod tests;
mod xml;

use std::io;

use crate::system::BuildError;

/// A line that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// What came of a load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines or elements read.
    pub read: u64,
    /// Those that were not used.
    pub refused: u64,
    /// The first of them.
    pub refusals: Vec<Refusal>,
}

/// Refusals that a report names.
pub const NAMED: usize = 200;

impl Report {
    /// Counts something that was not used.
    pub fn refuse(&mut self, file: &str, line: u64, why: impl Into<String>) {
        self.refused += 1;
        if self.refusals.len() < NAMED {
            self.refusals.push(Refusal {
                file: file.to_owned(),
                line,
                why: why.into(),
            });
        }
    }
}

/// Why a load stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {error}")]
    File {
        /// The file's name.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// A file is not what it should be.
    #[error("{file} is not what it should be: {why}")]
    Format {
        /// The file's name.
        file: String,
        /// Why, and what is expected.
        why: String,
    },
    /// What was read cannot be packed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A file that is needed is not there.
    #[error("there is no {0}: give the folder or archive of a whole release")]
    Missing(&'static str),
}

impl kernel::Categorised for LoadError {
    fn category(&self) -> kernel::Category {
        match self {
            Self::File { .. } | Self::Missing(_) => kernel::Category::NotFound,
            Self::Format { .. } | Self::Build(_) => kernel::Category::Unprocessable,
        }
    }
}

impl LoadError {
    fn format(file: &str, why: impl Into<String>) -> Self {
        Self::Format {
            file: file.to_owned(),
            why: why.into(),
        }
    }
}

/// What the caller says of a code system, in place of what the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Its version.
    pub version: Option<String>,
    /// Its canonical URL.
    pub url: Option<String>,
    /// SNOMED CT: the edition's module, for the version's URI.
    pub edition: Option<String>,
    /// SNOMED CT: language reference sets whose preferred terms are the displays, best first.
    pub languages: Vec<String>,
}
