//! What a value set comes to: sets of concepts of loaded code systems, codes listed from others, and the
//! gaps, where something is not here. Bounded: imports are followed once each and not in circles, and all
//! work is counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Clause, Filter, ListedConcept, ValueSet, filter, implicit};
use crate::error::TerminologyError;
use crate::grammar::Grammar;
use crate::library::{Library, Pins};
use crate::members::Members;
use crate::system::{CodeSystem, Content};
use crate::version;

/// How deep value sets may import each other.
const DEEPEST: usize = 64;
/// Work one value set may cost, in concepts looked at.
const BUDGET: usize = 200_000_000;

/// Concepts of one loaded code system.
#[derive(Debug, Clone)]
pub struct Part {
    /// The code system.
    pub system: Arc<CodeSystem>,
    /// Which of its concepts.
    pub members: Members,
    /// Those that were listed, in the order they were.
    pub listed: Vec<u32>,
}

/// A code listed from a code system that is not here.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// Its code system.
    pub system: Arc<str>,
    /// The version named with it.
    pub version: Option<Arc<str>>,
    /// The code with its names.
    pub concept: Arc<ListedConcept>,
}

/// Something that is not known.
#[derive(Debug, Clone)]
pub struct Gap {
    /// The code system it is about; `None` for any.
    pub system: Option<String>,
    /// Why.
    pub error: TerminologyError,
}

/// What is in a value set.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Concepts of loaded code systems.
    pub parts: Vec<Part>,
    /// Codes of others.
    pub foreign: Vec<Foreign>,
    /// Code systems told by their form.
    pub grammars: Vec<Grammar>,
    /// Codes taken out of those.
    except: HashSet<(String, String)>,
    /// What may be in it as well.
    pub gaps: Vec<Gap>,
    /// What may have to be taken out of it.
    pub doubts: Vec<Gap>,
    /// Names given in the value set itself, by code system and code.
    names: HashMap<(Arc<str>, String), Arc<ListedConcept>>,
    /// Places in `foreign` by code.
    index: HashMap<String, Vec<u32>>,
}

/// Whether a code is in it.
#[derive(Debug, Clone, Copy)]
pub enum Membership<'a> {
    /// As this concept.
    Concept(&'a Arc<CodeSystem>, u32),
    /// As a code of a system that is not here.
    Listed(&'a Foreign),
    /// By its form.
    Formed(Grammar),
    /// It is not.
    No,
    /// It cannot be told.
    Unknown(&'a TerminologyError),
}

impl Contents {
    /// Whether a code is in it. Without a system, any with this code counts.
    #[must_use]
    pub fn find(&self, system: Option<&str>, code: &str) -> Membership<'_> {
        let found = self.find_plain(system, code);
        let of = match found {
            Membership::Concept(system, _) => Some(system.head().url.as_str()),
            Membership::Listed(foreign) => Some(&*foreign.system),
            Membership::Formed(grammar) => Some(grammar.system()),
            _ => system,
        };
        let open = if matches!(found, Membership::No) {
            &self.gaps
        } else {
            &self.doubts
        };
        let gap = open.iter().find(|gap| match (&gap.system, of) {
            (Some(gap), Some(of)) => gap == of,
            _ => true,
        });
        gap.map_or(found, |gap| Membership::Unknown(&gap.error))
    }

    fn find_plain(&self, system: Option<&str>, code: &str) -> Membership<'_> {
        let wanted = |url: &str| system.is_none_or(|system| system == url);
        for part in self
            .parts
            .iter()
            .filter(|part| wanted(&part.system.head().url))
        {
            if let Some(at) = part.system.find(code)
                && part.members.contains(at)
            {
                return Membership::Concept(&part.system, at);
            }
        }
        let places = self.index.get(code).into_iter().flatten();
        let listed = places
            .filter_map(|at| self.foreign.get(*at as usize))
            .find(|foreign| wanted(&foreign.system));
        if let Some(foreign) = listed {
            return Membership::Listed(foreign);
        }
        let formed = self.grammars.iter().find(|grammar| {
            wanted(grammar.system())
                && grammar.allows(code)
                && !self
                    .except
                    .contains(&(grammar.system().to_owned(), code.to_owned()))
        });
        formed.map_or(Membership::No, |grammar| Membership::Formed(*grammar))
    }

    /// The names a value set itself gives a code.
    #[must_use]
    pub fn names(&self, system: &str, code: &str) -> Option<&ListedConcept> {
        if self.names.is_empty() {
            return None;
        }
        self.names
            .get(&(Arc::from(system), code.to_owned()))
            .map(|names| &**names)
    }

    /// About how many bytes it takes in memory, code systems not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let parts = self.parts.iter();
        parts
            .map(|part| part.members.bytes() + 4 * part.listed.capacity())
            .sum::<usize>()
            + 200 * (self.foreign.len() + self.names.len())
            + 1024
    }

    /// Adds concepts of a code system.
    fn add_part(&mut self, part: Part) {
        let known = self
            .parts
            .iter_mut()
            .find(|known| Arc::ptr_eq(&known.system, &part.system));
        match known {
            Some(known) => {
                known.members.add(&part.members);
                known.listed.extend(part.listed);
            }
            None => self.parts.push(part),
        }
    }

    fn add_foreign(&mut self, foreign: Foreign) {
        let places = self.index.entry(foreign.concept.code.clone()).or_default();
        let known = places.iter().any(|at| {
            self.foreign
                .get(*at as usize)
                .is_some_and(|known| known.system == foreign.system)
        });
        if !known {
            places.push(self.foreign.len() as u32);
            self.foreign.push(foreign);
        }
    }

    fn retain_foreign(&mut self, keep: impl Fn(&Foreign) -> bool) {
        let all = core::mem::take(&mut self.foreign);
        self.index = HashMap::new();
        for foreign in all {
            if keep(&foreign) {
                self.add_foreign(foreign);
            }
        }
    }

    /// Adds everything of another.
    fn unite(&mut self, other: Self) {
        for part in other.parts {
            self.add_part(part);
        }
        for foreign in other.foreign {
            self.add_foreign(foreign);
        }
        for grammar in other.grammars {
            if !self.grammars.contains(&grammar) {
                self.grammars.push(grammar);
                let own = other.except.iter();
                self.except.extend(
                    own.filter(|(system, _)| system == grammar.system())
                        .cloned(),
                );
            }
        }
        self.gaps.extend(other.gaps);
        self.doubts.extend(other.doubts);
        self.names.extend(other.names);
    }

    /// Keeps what is in another as well. What cannot be told is a gap.
    fn intersect(&mut self, other: &Self) {
        let mut formed = Vec::new();
        for grammar in &self.grammars {
            let own = |foreign: &&Foreign| {
                *foreign.system == *grammar.system() && grammar.allows(&foreign.concept.code)
            };
            formed.extend(other.foreign.iter().filter(own).cloned());
        }
        for part in &mut self.parts {
            let same = other
                .parts
                .iter()
                .find(|theirs| Arc::ptr_eq(&theirs.system, &part.system));
            match same {
                Some(theirs) => part.members.keep(&theirs.members),
                None => retain(part, |system, code| other.has(system, code)),
            }
        }
        self.retain_foreign(|one| other.has(&one.system, &one.concept.code));
        self.grammars
            .retain(|grammar| other.grammars.contains(grammar));
        for foreign in formed {
            self.add_foreign(foreign);
        }
        self.gaps.extend(other.gaps.iter().cloned());
        self.doubts.extend(other.doubts.iter().cloned());
    }

    /// Takes everything of another out. What cannot be told is a doubt.
    fn subtract(&mut self, other: &Self) {
        for part in &mut self.parts {
            let same = other
                .parts
                .iter()
                .find(|theirs| Arc::ptr_eq(&theirs.system, &part.system));
            if let Some(theirs) = same {
                part.members.take_out(&theirs.members);
            }
            let others = other
                .foreign
                .iter()
                .any(|one| *one.system == *part.system.head().url)
                || other.parts.iter().any(|theirs| {
                    !Arc::ptr_eq(&theirs.system, &part.system)
                        && theirs.system.head().url == part.system.head().url
                });
            if others {
                retain(part, |system, code| !other.has(system, code));
            }
        }
        self.retain_foreign(|one| !other.has(&one.system, &one.concept.code));
        for one in &other.foreign {
            self.except
                .insert((one.system.to_string(), one.concept.code.clone()));
        }
        self.grammars
            .retain(|grammar| !other.grammars.contains(grammar));
        self.doubts.extend(other.gaps.iter().cloned());
        self.doubts.extend(other.doubts.iter().cloned());
    }

    fn has(&self, system: &str, code: &str) -> bool {
        !matches!(
            self.find_plain(Some(system), code),
            Membership::No | Membership::Unknown(_)
        )
    }
}

fn retain(part: &mut Part, keep: impl Fn(&str, &str) -> bool) {
    let url = &part.system.head().url;
    let gone: Vec<u32> = part
        .members
        .iter()
        .filter(|at| !keep(url, part.system.code(*at)))
        .collect();
    part.members.remove_all(&gone);
}

/// Makes contents from definitions.
pub struct Compiler<'l> {
    library: &'l Library,
    pins: &'l Pins,
    done: HashMap<String, Arc<Contents>>,
    open: Vec<String>,
    spent: usize,
}

impl<'l> Compiler<'l> {
    /// Over a library; `pins` are the versions wanted of code systems for which the definition names
    /// none.
    #[must_use]
    pub fn new(library: &'l Library, pins: &'l Pins) -> Self {
        Self {
            library,
            pins,
            done: HashMap::new(),
            open: Vec::new(),
            spent: 0,
        }
    }

    /// What a value set comes to.
    ///
    /// # Errors
    /// Imports in a circle or too deep, or too much work. What is merely not here is a gap instead.
    pub fn compile(&mut self, set: &ValueSet) -> Result<Contents, TerminologyError> {
        let canonical = set.canonical();
        if self.open.contains(&canonical) && !set.url.is_empty() {
            return Err(TerminologyError::Circular(set.url.clone()));
        }
        if self.open.len() >= DEEPEST {
            return Err(TerminologyError::Faulty {
                what: format!("value set {}", set.url),
                why: format!("its imports are nested deeper than {DEEPEST}: flatten them"),
            });
        }
        self.open.push(canonical);
        let contents = self.compose(set);
        self.open.pop();
        contents
    }

    fn compose(&mut self, set: &ValueSet) -> Result<Contents, TerminologyError> {
        let mut contents = Contents::default();
        for clause in &set.include {
            let more = self.clause(set, clause)?;
            self.spend(more.bytes() / 8)?;
            contents.unite(more);
        }
        for clause in &set.exclude {
            let less = self.clause(set, clause)?;
            self.spend(less.bytes() / 8 + contents.bytes() / 8)?;
            contents.subtract(&less);
        }
        if set.inactive == Some(false) {
            for part in &mut contents.parts {
                let gone: Vec<u32> = part
                    .members
                    .iter()
                    .filter(|at| part.system.is_inactive(*at))
                    .collect();
                part.members.remove_all(&gone);
            }
        }
        Ok(contents)
    }

    fn spend(&mut self, work: usize) -> Result<(), TerminologyError> {
        self.spent = self.spent.saturating_add(work);
        if self.spent > BUDGET {
            return Err(TerminologyError::TooCostly {
                what: "the definition of the value set looks at concepts that".to_owned(),
                limit: BUDGET,
            });
        }
        Ok(())
    }

    fn clause(&mut self, set: &ValueSet, clause: &Clause) -> Result<Contents, TerminologyError> {
        let mut contents = match &clause.system {
            Some(system) => Some(self.of_system(system, clause)?),
            None => None,
        };
        for import in &clause.value_sets {
            let imported = self.import(import)?;
            contents = Some(match contents {
                None => (*imported).clone(),
                Some(mut contents) => {
                    self.spend(contents.bytes() / 8)?;
                    contents.intersect(&imported);
                    contents
                }
            });
        }
        contents.ok_or_else(|| TerminologyError::Faulty {
            what: format!("value set {}", set.url),
            why: "an include or exclude names neither system nor valueSet: name one".to_owned(),
        })
    }

    /// A value set by its canonical; one that is not here is a gap.
    fn import(&mut self, canonical: &str) -> Result<Arc<Contents>, TerminologyError> {
        if let Some(done) = self.done.get(canonical) {
            return Ok(Arc::clone(done));
        }
        let contents = match resolve(self.library, canonical) {
            Ok(set) => self.compile(&set)?,
            Err(error) => Contents {
                gaps: vec![Gap {
                    system: None,
                    error,
                }],
                ..Contents::default()
            },
        };
        let contents = Arc::new(contents);
        self.done
            .insert(canonical.to_owned(), Arc::clone(&contents));
        Ok(contents)
    }

    fn of_system(&mut self, url: &str, clause: &Clause) -> Result<Contents, TerminologyError> {
        let pinned = self.pins.iter().find(|(system, _)| system == url);
        let wanted = clause
            .version
            .as_deref()
            .or(pinned.map(|(_, version)| version.as_str()));
        let mut contents = Contents::default();
        let gap = |error| Gap {
            system: Some(url.to_owned()),
            error,
        };
        let plain = clause.concepts.is_empty() && clause.filters.is_empty();
        let system = self
            .library
            .system(url, wanted)
            .filter(|system| system.head().content != Content::Supplement);
        if let (None, true, Some(grammar)) = (&system, plain, Grammar::of(url)) {
            contents.grammars.push(grammar);
            return Ok(contents);
        }
        if !clause.concepts.is_empty() {
            self.spend(clause.concepts.len())?;
            list(&mut contents, system.as_ref(), url, clause);
            return Ok(contents);
        }
        let system = match self.library.require(url, wanted) {
            Ok(system) if system.head().content == Content::NotPresent => {
                let error = TerminologyError::SystemUnknown(url.to_owned());
                contents.gaps.push(gap(error));
                return Ok(contents);
            }
            Ok(system) => system,
            Err(error) => {
                contents.gaps.push(gap(error));
                return Ok(contents);
            }
        };
        if !system.is_complete() {
            let error = TerminologyError::SystemIncomplete(system.canonical());
            contents.gaps.push(gap(error));
        }
        match self.filtered(&system, &clause.filters)? {
            Ok(members) => contents.parts.push(Part {
                system,
                members,
                listed: Vec::new(),
            }),
            Err(error) => contents.gaps.push(gap(error)),
        }
        Ok(contents)
    }

    /// The concepts that satisfy all filters; inside, why that cannot be told.
    fn filtered(
        &mut self,
        system: &CodeSystem,
        filters: &[Filter],
    ) -> Result<Result<Members, TerminologyError>, TerminologyError> {
        let mut members = Members::all(system.len());
        for one in filters {
            let by_walking = matches!(one.op.as_str(), "is-a" | "descendent-of" | "is-not-a");
            self.spend(if by_walking {
                system.len() / 16
            } else {
                system.len()
            })?;
            match filter::evaluate(system, one) {
                Ok(these) => members.keep(&these),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(members))
    }
}

/// The listed codes of a clause: concepts where the code system is here, foreign codes where it is not. A
/// code that is not in a complete code system is not in the value set either.
fn list(contents: &mut Contents, system: Option<&Arc<CodeSystem>>, url: &str, clause: &Clause) {
    let url: Arc<str> = Arc::from(url);
    let version: Option<Arc<str>> = clause.version.as_deref().map(Arc::from);
    let mut part = system.map(|system| Part {
        system: Arc::clone(system),
        members: Members::none(system.len()),
        listed: Vec::new(),
    });
    for concept in &clause.concepts {
        let named = concept.display.is_some() || !concept.names.is_empty();
        let at = system.and_then(|system| system.find(&concept.code));
        match (at, &mut part) {
            (Some(at), Some(part)) => {
                if part.members.insert(at) {
                    part.listed.push(at);
                }
            }
            (_, Some(part)) if part.system.is_complete() => continue,
            _ => contents.add_foreign(Foreign {
                system: Arc::clone(&url),
                version: version.clone(),
                concept: Arc::new(concept.clone()),
            }),
        }
        if named && at.is_some() {
            let key = (Arc::clone(&url), concept.code.clone());
            contents.names.insert(key, Arc::new(concept.clone()));
        }
    }
    contents
        .parts
        .extend(part.filter(|part| !part.members.is_empty()));
}

/// A value set by its canonical: stored, or implied by a code system.
///
/// # Errors
/// It is neither.
pub fn resolve(library: &Library, canonical: &str) -> Result<Arc<ValueSet>, TerminologyError> {
    let (url, wanted) = version::split(canonical);
    if let Some(set) = library.value_set(url, wanted) {
        return Ok(set);
    }
    if let Some(implied) = implicit::of(library, url, wanted) {
        return implied.map(Arc::new);
    }
    Err(match library.fault(url) {
        Some(why) => TerminologyError::Faulty {
            what: format!("value set {url}"),
            why: why.to_owned(),
        },
        None => TerminologyError::ValueSetUnknown(canonical.to_owned()),
    })
}
