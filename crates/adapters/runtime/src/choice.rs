//! Which runtime an installation uses, and why: ONNX Runtime where its library is found, the built-in one
//! elsewhere, or as the configuration says. Must not switch while it runs: answers are recorded with the name
//! of the runtime that gave them.

use std::sync::Arc;

use crate::embedded::Embedded;
use crate::error::RuntimeError;
use crate::onnx_runtime::{OnnxRuntime, Search, Settings};
use crate::port::{LoadLimits, Runtime, Session};

/// What the configuration wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// ONNX Runtime where it is found, else the built-in one.
    #[default]
    Either,
    /// ONNX Runtime; it is an error where it is missing.
    OnnxRuntime,
    /// The built-in one, whatever is installed.
    BuiltIn,
}

/// The runtime of an installation.
pub struct Choice {
    runtime: Box<dyn Runtime>,
    because: String,
}

impl Choice {
    /// Decides once, at start.
    pub fn make(wanted: Wanted, search: &Search, settings: Settings) -> Result<Self, RuntimeError> {
        if wanted == Wanted::BuiltIn {
            return Ok(Self::built_in("the configuration asks for it".to_owned()));
        }
        match OnnxRuntime::open(search, settings) {
            Ok(runtime) => Ok(Self {
                because: format!("its library was found at {}", runtime.path().display()),
                runtime: Box::new(runtime),
            }),
            // A library that was named and cannot be used is a mistake to be told, not to be worked around.
            Err(error) if wanted == Wanted::Either && search.library.is_none() => {
                Ok(Self::built_in(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn built_in(because: String) -> Self {
        Self {
            runtime: Box::new(Embedded),
            because,
        }
    }

    /// Why this one, for `theriac doctor`.
    #[must_use]
    pub fn because(&self) -> &str {
        &self.because
    }
}

impl Runtime for Choice {
    fn name(&self) -> String {
        self.runtime.name()
    }

    fn load(&self, model: &[u8], limits: &LoadLimits) -> Result<Arc<dyn Session>, RuntimeError> {
        self.runtime.load(model, limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_library_that_is_missing_is_an_error() {
        let search = Search {
            library: Some("/nowhere/libonnxruntime.so".into()),
            ..Search::default()
        };
        for wanted in [Wanted::Either, Wanted::OnnxRuntime] {
            let error = Choice::make(wanted, &search, Settings::default()).err();
            assert!(
                matches!(&error, Some(RuntimeError::LibraryMissing { searched }) if searched.contains("/nowhere")),
                "{error:?}"
            );
        }
    }

    #[test]
    fn what_is_no_library_is_named_with_what_was_wanted() {
        let folder = std::env::temp_dir().join(format!("theriac-choice-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let fake = folder.join("libonnxruntime.so");
        std::fs::write(&fake, b"no library").unwrap();
        let search = Search {
            library: Some(fake),
            ..Search::default()
        };
        let error = Choice::make(Wanted::OnnxRuntime, &search, Settings::default())
            .err()
            .unwrap();
        assert!(
            matches!(error, RuntimeError::LibraryVersion { .. }),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .contains("version 1.17 or later is needed"),
            "{error}"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_configuration_may_ask_for_the_built_in_one() {
        let made = Choice::make(Wanted::BuiltIn, &Search::default(), Settings::default());
        let made = made.ok().unwrap();
        assert!(made.name().starts_with("theriac "));
        assert_eq!(made.because(), "the configuration asks for it");
    }
}
