//! What other parts ask of terminology, as a port: FHIRPath's `memberOf`, bindings of profiles, and search
//! by value set. Must not hold code systems: the `terminology` crate does.

use std::sync::Arc;

/// An answer that may be unknown: a code system that is not loaded says nothing about its codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// The code system, value set or version asked about is not here, or not complete.
    Unknown,
}

/// A code as it is asked about. Strings are as written in the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Coded<'a> {
    /// The code system; `None` where the element has none (a `code` takes the one of its binding).
    pub system: Option<&'a str>,
    /// The version of the system, where the element names one.
    pub version: Option<&'a str>,
    /// The code.
    pub code: &'a str,
}

/// Codes that a question stands for, so that a search can look for each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// All of them, with their systems; without an order.
    Known(Vec<SystemCode>),
    /// More than the limit.
    TooMany,
    /// The code system or value set is not here, or not complete.
    Unknown,
}

/// A code and its system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SystemCode {
    /// The code system.
    pub system: Arc<str>,
    /// The code.
    pub code: Box<str>,
}

/// Terminology as seen by its users. Implementations answer from memory: no I/O happens inside a call.
pub trait Terminology: Send + Sync {
    /// Whether a code is in a value set (canonical, perhaps with `|version`).
    fn member_of(&self, value_set: &str, coded: &Coded<'_>) -> Answer;
    /// Whether a code exists in its code system.
    fn exists(&self, coded: &Coded<'_>) -> Answer;
    /// Whether `ancestor` subsumes `descendant` (or is the same code) in a code system.
    fn subsumes(&self, system: &str, ancestor: &str, descendant: &str) -> Answer;
    /// The preferred display of a code; `None` where it is unknown.
    fn display(&self, coded: &Coded<'_>) -> Option<String>;
    /// Every code of a value set, at most `limit`.
    fn codes_of(&self, value_set: &str, limit: usize) -> Codes;
    /// A code and every code it subsumes, at most `limit`.
    fn descendants(&self, system: &str, code: &str, limit: usize) -> Codes;
    /// A code and every code that subsumes it, at most `limit`.
    fn ancestors(&self, system: &str, code: &str, limit: usize) -> Codes;
}

/// Knows nothing, and says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTerminology;

impl Terminology for NoTerminology {
    fn member_of(&self, _: &str, _: &Coded<'_>) -> Answer {
        Answer::Unknown
    }
    fn exists(&self, _: &Coded<'_>) -> Answer {
        Answer::Unknown
    }
    fn subsumes(&self, _: &str, _: &str, _: &str) -> Answer {
        Answer::Unknown
    }
    fn display(&self, _: &Coded<'_>) -> Option<String> {
        None
    }
    fn codes_of(&self, _: &str, _: usize) -> Codes {
        Codes::Unknown
    }
    fn descendants(&self, _: &str, _: &str, _: usize) -> Codes {
        Codes::Unknown
    }
    fn ancestors(&self, _: &str, _: &str, _: usize) -> Codes {
        Codes::Unknown
    }
}
