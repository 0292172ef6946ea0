//! Why a package is refused: always the field and what to write instead.

use kernel::{Categorised, Category};

use super::archive::ArchiveError;

/// A field of the manifest that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}; {remedy}")]
pub struct ManifestError {
    /// The field, as a path from the top of the manifest.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl ManifestError {
    /// A wrong field.
    pub(super) fn new(
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// A field whose typed value refused to be made; its own words are kept.
    pub(super) fn of(field: &str, error: &impl core::fmt::Display) -> Self {
        Self::new(field, format!("is refused ({error})"), "change it as said")
    }
}

impl Categorised for ManifestError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// Why a package is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// The file around it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A member that must be there is not.
    #[error("package has no member '{0}'; pack it again with `theriac model pack`")]
    Lacks(&'static str),
    /// A member nobody asked for.
    #[error("package holds '{0}', which no package holds; take it out")]
    Unknown(String),
    /// The manifest is no TOML, or has words it must not have.
    #[error("manifest.toml cannot be read: {0}")]
    Syntax(String),
    /// A field of the manifest.
    #[error("manifest.toml: {0}")]
    Manifest(#[from] ManifestError),
    /// Nobody signed it.
    #[error("package is not signed; sign it with `theriac model pack --key`")]
    Unsigned,
    /// The signature is by a key that is not trusted here.
    #[error(
        "package is signed by {0}, which is not a trusted key; add the key if you trust its owner"
    )]
    Untrusted(String),
    /// The signature does not match the content.
    #[error("signature of the package does not match its content: it was changed after signing")]
    Mismatch,
    /// The key that signed is not the one the manifest names.
    #[error(
        "package is signed by {signed} but its manifest names {named}; sign it with the named key"
    )]
    OtherSigner {
        /// The key that signed.
        signed: String,
        /// The key named.
        named: String,
    },
}

impl Categorised for PackageError {
    fn category(&self) -> Category {
        match self {
            Self::Archive(error) => error.category(),
            Self::Mismatch => Category::Altered,
            Self::Unsigned | Self::Untrusted(_) | Self::OtherSigner { .. } => Category::Forbidden,
            Self::Lacks(_) | Self::Unknown(_) | Self::Syntax(_) | Self::Manifest(_) => {
                Category::Unprocessable
            }
        }
    }
}
