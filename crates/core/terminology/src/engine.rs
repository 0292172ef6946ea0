//! The whole of a library behind one door: questions in, answers out, what was compiled kept. An engine
//! belongs to one tenant, or to the instance where a tenant has no terminology of its own. Must not do
//! I/O: a changed library is a new engine.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use fhir::terminology::{Answer, Coded, Codes, SystemCode, Terminology};

use crate::error::TerminologyError;
use crate::library::{Library, Pins};
use crate::system::{CodeSystem, Content};
use crate::value_set::ValueSet;
use crate::value_set::compile::{Compiler, Contents, Membership, resolve};

/// Bytes of compiled value sets kept; beyond, they are made anew.
const KEPT: usize = 32 << 20;

/// A value set with what it comes to.
#[derive(Debug)]
pub struct Compiled {
    /// Its definition.
    pub set: Arc<ValueSet>,
    /// What is in it.
    pub contents: Contents,
}

type Known = HashMap<String, Result<Arc<Compiled>, TerminologyError>>;

/// A library that answers.
#[derive(Debug, Default)]
pub struct Engine {
    library: Library,
    kept: RwLock<(usize, Known)>,
}

impl Engine {
    /// Over a library.
    #[must_use]
    pub fn new(library: Library) -> Self {
        Self {
            library,
            kept: RwLock::default(),
        }
    }

    /// What it answers from.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// A value set by its canonical, compiled.
    ///
    /// # Errors
    /// It is not here, or cannot be compiled.
    pub fn value_set(&self, canonical: &str) -> Result<Arc<Compiled>, TerminologyError> {
        if let Ok(kept) = self.kept.read()
            && let Some(known) = kept.1.get(canonical)
        {
            return known.clone();
        }
        let made = resolve(&self.library, canonical)
            .and_then(|set| self.compile(set, &Pins::new()))
            .map(Arc::new);
        let size = 200
            + made
                .as_ref()
                .map_or(0, |compiled| compiled.contents.bytes());
        if let Ok(mut kept) = self.kept.write() {
            if kept.0 + size > KEPT {
                *kept = (0, HashMap::new());
            }
            kept.0 += size;
            kept.1.insert(canonical.to_owned(), made.clone());
        }
        made
    }

    /// A value set that came with a request, or with versions wanted.
    ///
    /// # Errors
    /// It cannot be compiled.
    pub fn compile(&self, set: Arc<ValueSet>, pins: &Pins) -> Result<Compiled, TerminologyError> {
        let contents = Compiler::new(&self.library, pins).compile(&set)?;
        Ok(Compiled { set, contents })
    }

    fn system(&self, coded: &Coded<'_>) -> Option<Arc<CodeSystem>> {
        let system = self.library.system(coded.system?, coded.version)?;
        (system.head().content != Content::Supplement).then_some(system)
    }

    fn branch(&self, system: &str, code: &str, limit: usize, up: bool) -> Codes {
        let Some(system) = self.library.system(system, None) else {
            return Codes::Unknown;
        };
        let Some(at) = system.find(code).filter(|_| system.is_complete()) else {
            return Codes::Unknown;
        };
        let found = if up {
            system.hierarchy().ancestors(at, limit)
        } else {
            let members = crate::ecl::at_or_below(&system, at);
            (members.len() <= limit).then(|| members.iter().collect())
        };
        let Some(found) = found.filter(|found| found.len() <= limit) else {
            return Codes::TooMany;
        };
        let url: Arc<str> = Arc::from(system.head().url.as_str());
        Codes::Known(
            found
                .into_iter()
                .map(|at| SystemCode {
                    system: Arc::clone(&url),
                    code: system.code(at).into(),
                })
                .collect(),
        )
    }
}

impl Terminology for Engine {
    fn member_of(&self, value_set: &str, coded: &Coded<'_>) -> Answer {
        let Ok(compiled) = self.value_set(value_set) else {
            return Answer::Unknown;
        };
        match compiled.contents.find(coded.system, coded.code) {
            Membership::Concept(..) | Membership::Listed(_) | Membership::Formed(_) => Answer::Yes,
            Membership::No => Answer::No,
            Membership::Unknown(_) => Answer::Unknown,
        }
    }

    fn exists(&self, coded: &Coded<'_>) -> Answer {
        let Some(url) = coded.system else {
            return Answer::Unknown;
        };
        match self.system(coded) {
            Some(system) if system.find(coded.code).is_some() => Answer::Yes,
            Some(system) if system.is_complete() => Answer::No,
            _ => match crate::grammar::Grammar::of(url) {
                Some(grammar) if grammar.allows(coded.code) => Answer::Yes,
                Some(_) => Answer::No,
                None => Answer::Unknown,
            },
        }
    }

    fn subsumes(&self, system: &str, ancestor: &str, descendant: &str) -> Answer {
        let Some(system) = self.library.system(system, None) else {
            return Answer::Unknown;
        };
        match (system.find(ancestor), system.find(descendant)) {
            (Some(above), Some(below)) if system.hierarchy().subsumes(above, below) => Answer::Yes,
            (Some(_), Some(_)) if system.is_complete() => Answer::No,
            _ => Answer::Unknown,
        }
    }

    fn display(&self, coded: &Coded<'_>) -> Option<String> {
        let system = self.system(coded)?;
        let display = system.display(system.find(coded.code)?);
        (!display.is_empty()).then(|| display.to_owned())
    }

    fn codes_of(&self, value_set: &str, limit: usize) -> Codes {
        let Ok(compiled) = self.value_set(value_set) else {
            return Codes::Unknown;
        };
        let contents = &compiled.contents;
        if !(contents.gaps.is_empty() && contents.doubts.is_empty()) {
            return Codes::Unknown;
        }
        let members = contents.parts.iter().map(|part| part.members.len());
        if !contents.grammars.is_empty() || members.sum::<usize>() + contents.foreign.len() > limit
        {
            return Codes::TooMany;
        }
        let mut codes = Vec::new();
        for part in &contents.parts {
            let url: Arc<str> = Arc::from(part.system.head().url.as_str());
            codes.extend(part.members.iter().map(|at| SystemCode {
                system: Arc::clone(&url),
                code: part.system.code(at).into(),
            }));
        }
        codes.extend(contents.foreign.iter().map(|one| SystemCode {
            system: Arc::clone(&one.system),
            code: one.concept.code.as_str().into(),
        }));
        Codes::Known(codes)
    }

    fn descendants(&self, system: &str, code: &str, limit: usize) -> Codes {
        self.branch(system, code, limit, false)
    }

    fn ancestors(&self, system: &str, code: &str, limit: usize) -> Codes {
        self.branch(system, code, limit, true)
    }
}
