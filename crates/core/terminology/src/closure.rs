//! Closure tables (FHIR R4, section 4.7.7): which of the concepts a client has named subsume which, built
//! as they are named. Each addition is a version, so that a client asks for what is new. Must not be kept
//! here: the caller stores it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::TerminologyError;
use crate::library::Library;
use crate::lookup::find;
use crate::system::CodeSystem;

/// Most concepts of a table.
pub const LARGEST: usize = 5_000;

/// A concept of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its code system.
    pub system: String,
    /// Its version, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its code.
    pub code: String,
}

/// A pair: the first is a kind of the second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The version of the table that brought it.
    pub since: u32,
    /// Place of the narrower concept.
    pub narrow: u32,
    /// Place of the wider concept.
    pub wide: u32,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosureTable {
    /// Grows with each addition that brought something.
    pub version: u32,
    /// The concepts.
    pub members: Vec<Member>,
    /// The pairs.
    pub pairs: Vec<Pair>,
}

impl ClosureTable {
    /// Adds concepts; returns the pairs they bring.
    ///
    /// # Errors
    /// A concept is not known, or the table would be too large. The table is then as before.
    pub fn add(&mut self, library: &Library, more: &[Member]) -> Result<&[Pair], TerminologyError> {
        let mut members = self.members.clone();
        for one in more {
            let known = members
                .iter()
                .any(|known| known.system == one.system && known.code == one.code);
            if !known {
                members.push(one.clone());
            }
        }
        if members.len() > LARGEST {
            return Err(TerminologyError::TooCostly {
                what: "the closure table".to_owned(),
                limit: LARGEST,
            });
        }
        let places: Vec<(Arc<CodeSystem>, u32)> = members
            .iter()
            .map(|one| find(library, &one.system, one.version.as_deref(), &one.code))
            .collect::<Result<_, _>>()?;
        let old = self.members.len();
        let before = self.pairs.len();
        if members.len() == old {
            return Ok(&[]);
        }
        self.version += 1;
        for (new, (system, at)) in places.iter().enumerate().skip(old) {
            for (other, (theirs, with)) in places.iter().enumerate().take(new) {
                if !Arc::ptr_eq(system, theirs) {
                    continue;
                }
                let pair = if system.hierarchy().subsumes(*with, *at) {
                    (new, other)
                } else if system.hierarchy().subsumes(*at, *with) {
                    (other, new)
                } else {
                    continue;
                };
                self.pairs.push(Pair {
                    since: self.version,
                    narrow: pair.0 as u32,
                    wide: pair.1 as u32,
                });
            }
        }
        self.members = members;
        Ok(self.pairs.get(before..).unwrap_or_default())
    }

    /// The pairs that came after a version.
    pub fn since(&self, version: u32) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.since > version)
    }

    /// The concept at a place.
    #[must_use]
    pub fn member(&self, at: u32) -> Option<&Member> {
        self.members.get(at as usize)
    }
}
