//! What ends a command: a sentence and an exit code from the error category table.

use kernel::{Categorised, Category};

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// The sentence, as it is printed.
    pub text: String,
    /// The category, which gives the exit code.
    pub category: Category,
    /// The command was ended from outside: 128 and the signal's number, as shells have it.
    interrupted: bool,
}

impl Failure {
    /// With a category.
    #[must_use]
    pub fn new(category: Category, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            category,
            interrupted: false,
        }
    }
    /// Ctrl-C or SIGTERM came before the end.
    #[must_use]
    pub fn interrupted() -> Self {
        Self {
            interrupted: true,
            ..Self::new(
                Category::Unavailable,
                "interrupted: what was acknowledged is kept, and the command can be run again",
            )
        }
    }
    /// Something named does not exist.
    #[must_use]
    pub fn missing(text: impl Into<String>) -> Self {
        Self::new(Category::NotFound, text)
    }
    /// From an error of the house.
    #[must_use]
    pub fn from_error<E: Categorised>(error: &E) -> Self {
        Self::new(error.category(), error.to_string())
    }
    /// A file or folder that the system refused.
    #[must_use]
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let category = match error.kind() {
            ErrorKind::NotFound => Category::NotFound,
            ErrorKind::PermissionDenied => Category::Forbidden,
            ErrorKind::AlreadyExists => Category::Conflict,
            ErrorKind::NotADirectory | ErrorKind::IsADirectory => Category::Invalid,
            ErrorKind::StorageFull | ErrorKind::ReadOnlyFilesystem => Category::Unavailable,
            _ => Category::Fault,
        };
        Self::new(category, format!("{}: {error}", path.display()))
    }
    /// An id on the command line that is none.
    #[must_use]
    pub fn of_id(error: impl Into<kernel::IdError>) -> Self {
        Self::new(Category::Invalid, error.into().to_string())
    }
    /// The process exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.interrupted {
            130
        } else {
            self.category.mapping().exit_code
        }
    }
}

impl<E: Categorised> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::from_error(&error)
    }
}
