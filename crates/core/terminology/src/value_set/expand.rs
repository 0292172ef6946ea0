//! Expansion of a value set: a page of its concepts, in order or best match first. Must not build what is
//! not on the page.

use fhir::search::fold;

use super::compile::{Contents, Foreign, Part};
use super::{ListedConcept, Name};
use crate::engine::Compiled;
use crate::error::TerminologyError;
use crate::grammar::Grammar;
use crate::library::Library;
use crate::names::{best_name, names_of};
use crate::system::words::{Found, matches, words_of};
use crate::system::{CodeSystem, Designation};

/// What is wanted of an expansion.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only concepts that have, for every word of it, a word that starts with it.
    pub filter: Option<String>,
    /// Concepts to pass over.
    pub offset: usize,
    /// Concepts wanted; `None` for all, which must then be at most `limit`.
    pub count: Option<usize>,
    /// Most concepts an answer may have.
    pub limit: usize,
    /// Without inactive concepts.
    pub active_only: bool,
    /// Without concepts that only group others.
    pub selectable_only: bool,
    /// The language of displays.
    pub language: Option<String>,
    /// With the other names of each concept.
    pub designations: bool,
    /// Concepts below the ones that subsume them, where nothing else is asked.
    pub nested: bool,
}

/// A concept of an expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its code system.
    pub system: String,
    /// The version of that.
    pub version: Option<String>,
    /// Its code.
    pub code: String,
    /// Its display.
    pub display: Option<String>,
    /// Whether it only groups others.
    pub is_abstract: bool,
    /// Whether it must not be used any more.
    pub inactive: bool,
    /// Its other names, where wanted.
    pub names: Vec<Name>,
    /// The concepts below it, where nesting is wanted.
    pub contains: Vec<Entry>,
}

/// A page of a value set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// How many concepts there are in all.
    pub total: usize,
    /// How many were passed over.
    pub offset: usize,
    /// The page.
    pub entries: Vec<Entry>,
    /// The code systems and versions it was made from.
    pub used: Vec<String>,
    /// Code systems of which only a part is here: the expansion may lack concepts.
    pub incomplete: Vec<String>,
}

/// Members a part may have for them to be looked through one by one rather than by the word index.
const FEW: usize = 512;

/// Expands a value set.
///
/// # Errors
/// Something it needs is not here, it cannot be enumerated, or it has more concepts than an answer may.
pub fn expand(
    library: &Library,
    compiled: &Compiled,
    wanted: &Wanted,
) -> Result<Expansion, TerminologyError> {
    let contents = &compiled.contents;
    let mut incomplete = Vec::new();
    for gap in contents.gaps.iter().chain(&contents.doubts) {
        match &gap.error {
            TerminologyError::SystemIncomplete(system) => incomplete.push(system.clone()),
            error => return Err(error.clone()),
        }
    }
    incomplete.sort_unstable();
    incomplete.dedup();
    if let Some(grammar) = contents.grammars.first() {
        return Err(not_enumerable(*grammar));
    }
    let mut used: Vec<String> = contents
        .parts
        .iter()
        .map(|part| part.system.canonical())
        .collect();
    used.extend(contents.foreign.iter().map(|one| match &one.version {
        Some(version) => format!("{}|{version}", one.system),
        None => one.system.to_string(),
    }));
    used.sort_unstable();
    used.dedup();
    let mut page = Page::new(library, contents, wanted);
    let nested = wanted.nested
        && wanted.filter.is_none()
        && wanted.offset == 0
        && wanted.count.is_none_or(|count| count >= wanted.limit);
    for part in &contents.parts {
        if nested && part.listed.is_empty() && !part.system.hierarchy().is_flat() {
            page.tree(part)?;
        } else {
            page.part(part);
        }
        page.check(compiled)?;
    }
    page.foreign(&contents.foreign);
    page.check(compiled)?;
    Ok(Expansion {
        total: page.total,
        offset: wanted.offset,
        entries: page.entries,
        used,
        incomplete,
    })
}

fn not_enumerable(grammar: Grammar) -> TerminologyError {
    TerminologyError::TooCostly {
        what: format!(
            "{} is a syntax whose codes cannot be listed: it",
            grammar.system()
        ),
        limit: 0,
    }
}

struct Page<'a> {
    library: &'a Library,
    contents: &'a Contents,
    wanted: &'a Wanted,
    words: Option<Vec<String>>,
    take: usize,
    total: usize,
    entries: Vec<Entry>,
}

impl<'a> Page<'a> {
    fn new(library: &'a Library, contents: &'a Contents, wanted: &'a Wanted) -> Self {
        let take = wanted.count.unwrap_or(wanted.limit).min(wanted.limit);
        let filter = wanted
            .filter
            .as_deref()
            .filter(|text| !text.trim().is_empty());
        Self {
            library,
            contents,
            wanted,
            words: filter.map(|text| words_of(text).into_vec()),
            take,
            total: 0,
            entries: Vec::with_capacity(take.min(1024)),
        }
    }

    fn check(&self, compiled: &Compiled) -> Result<(), TerminologyError> {
        if self.wanted.count.is_none() && self.total > self.wanted.limit {
            return Err(TerminologyError::TooCostly {
                what: format!("value set {}", compiled.set.canonical()),
                limit: self.wanted.limit,
            });
        }
        Ok(())
    }

    fn is_wanted(&self, system: &CodeSystem, at: u32) -> bool {
        !(self.wanted.active_only && system.is_inactive(at)
            || self.wanted.selectable_only && system.is_abstract(at))
    }

    /// Counts a concept; whether it is on the page.
    fn counts(&mut self) -> bool {
        let on_page = self.total >= self.wanted.offset && self.entries.len() < self.take;
        self.total += 1;
        on_page
    }

    fn offer(&mut self, system: &CodeSystem, at: u32) {
        if self.is_wanted(system, at) && self.counts() {
            let entry = self.entry(system, at);
            self.entries.push(entry);
        }
    }

    fn part(&mut self, part: &Part) {
        let system = &*part.system;
        let Some(words) = self.words.take() else {
            self.all(part);
            return;
        };
        // A code typed in full comes first.
        let typed = self.wanted.filter.as_deref().unwrap_or_default().trim();
        let typed = system.find(typed).filter(|at| part.members.contains(*at));
        if let Some(at) = typed {
            self.offer(system, at);
        }
        let others = |at: &u32| Some(*at) != typed;
        if part.members.len() <= FEW {
            let found = self.look_through(part, &words);
            for at in found.into_iter().filter(others) {
                self.offer(system, at);
            }
        } else {
            let found = system.words().search(&words.join(" "));
            self.found(part, &found, typed);
        }
        self.words = Some(words);
    }

    /// Those of the concepts found that are members. What is behind the page is only counted.
    fn found(&mut self, part: &Part, found: &Found<'_>, typed: Option<u32>) {
        let system = &*part.system;
        let every = !(self.wanted.active_only || self.wanted.selectable_only) && typed.is_none();
        if every && part.members.len() == system.len() {
            let skip = self.wanted.offset.saturating_sub(self.total);
            let take = self.take - self.entries.len().min(self.take);
            let page = found.iter().skip(skip).take(take);
            let page: Vec<Entry> = page.map(|at| self.entry(system, at)).collect();
            self.entries.extend(page);
            self.total += found.len();
            return;
        }
        let mut members = found
            .iter()
            .filter(|at| part.members.contains(*at) && Some(*at) != typed);
        let end = self.wanted.offset.saturating_add(self.take);
        while !every || self.total < end {
            let Some(at) = members.next() else {
                return;
            };
            self.offer(system, at);
        }
        self.total += members.count();
    }

    /// Those of a few members that match, best first.
    fn look_through(&self, part: &Part, words: &[String]) -> Vec<u32> {
        let system = &*part.system;
        let mut found: Vec<u32> = part
            .members
            .iter()
            .filter(|at| {
                let own = self.contents.names(&system.head().url, system.code(*at));
                let own = own.into_iter().flat_map(own_names);
                let others = system.designations(*at).map(|one| one.value);
                let display = core::iter::once(system.display(*at));
                !words.is_empty() && matches(words, display.chain(others).chain(own))
            })
            .collect();
        found.sort_by_key(|at| system.display(*at).chars().count());
        found
    }

    /// Every member in order: those that were listed first, as they were.
    fn all(&mut self, part: &Part) {
        let system = &*part.system;
        if !part.listed.is_empty() {
            let mut left = part.members.clone();
            for at in &part.listed {
                if left.contains(*at) {
                    left.remove(*at);
                    self.offer(system, *at);
                }
            }
            left.iter().for_each(|at| self.offer(system, at));
            return;
        }
        if self.wanted.active_only || self.wanted.selectable_only {
            part.members.iter().for_each(|at| self.offer(system, at));
            return;
        }
        let skip = self.wanted.offset.saturating_sub(self.total);
        let take = self.take - self.entries.len().min(self.take);
        self.total += part.members.len();
        let page: Vec<Entry> = part
            .members
            .iter_from(skip)
            .take(take)
            .map(|at| self.entry(system, at))
            .collect();
        self.entries.extend(page);
    }

    /// Members below those that subsume them in the spanning tree. All of them, or an error.
    fn tree(&mut self, part: &Part) -> Result<(), TerminologyError> {
        let system = &*part.system;
        let mut open: Vec<(u32, Entry)> = Vec::new();
        let mut roots = Vec::new();
        for at in part.members.iter() {
            if !self.is_wanted(system, at) {
                continue;
            }
            if self.total >= self.wanted.limit {
                return Err(TerminologyError::TooCostly {
                    what: format!("the hierarchy of {}", system.canonical()),
                    limit: self.wanted.limit,
                });
            }
            self.total += 1;
            close(&mut open, &mut roots, Some(at));
            open.push((system.hierarchy().subtree(at).end, self.entry(system, at)));
        }
        close(&mut open, &mut roots, None);
        self.entries.extend(roots);
        Ok(())
    }

    fn foreign(&mut self, all: &[Foreign]) {
        let words = self.words.take();
        for one in all {
            let fits = words.as_ref().is_none_or(|words| {
                let typed = self.wanted.filter.as_deref().map(str::trim);
                typed == Some(one.concept.code.as_str())
                    || !words.is_empty() && matches(words, own_names(&one.concept))
            });
            if fits && self.counts() {
                self.entries.push(Entry {
                    system: one.system.to_string(),
                    version: one.version.as_deref().map(str::to_owned),
                    code: one.concept.code.clone(),
                    display: foreign_display(&one.concept, self.wanted.language.as_deref()),
                    names: if self.wanted.designations {
                        one.concept.names.clone()
                    } else {
                        Vec::new()
                    },
                    ..Entry::default()
                });
            }
        }
        self.words = words;
    }

    fn entry(&self, system: &CodeSystem, at: u32) -> Entry {
        let head = system.head();
        let code = system.code(at);
        let own = self.contents.names(&head.url, code);
        Entry {
            system: head.url.clone(),
            version: head.version.clone(),
            code: code.to_owned(),
            display: best_name(
                self.library,
                system,
                at,
                own,
                self.wanted.language.as_deref(),
            ),
            is_abstract: system.is_abstract(at),
            inactive: system.is_inactive(at),
            names: if self.wanted.designations {
                names_of(self.library, system, at, own)
            } else {
                Vec::new()
            },
            contains: Vec::new(),
        }
    }
}

/// Puts every open entry whose subtree ended before `at` below the one that holds it.
fn close(open: &mut Vec<(u32, Entry)>, roots: &mut Vec<Entry>, at: Option<u32>) {
    while let Some((_, done)) = open.pop_if(|(end, _)| at.is_none_or(|at| *end <= at)) {
        match open.last_mut() {
            Some((_, above)) => above.contains.push(done),
            None => roots.push(done),
        }
    }
}

fn own_names(concept: &ListedConcept) -> impl Iterator<Item = &str> {
    let names = concept.names.iter().map(|name| name.value.as_str());
    concept.display.as_deref().into_iter().chain(names)
}

/// The display of a code whose system is not here.
#[must_use]
pub fn foreign_display(concept: &ListedConcept, language: Option<&str>) -> Option<String> {
    let named = language.and_then(|language| {
        let mut names = concept.names.iter();
        names.find(|name| crate::names::speaks(&name.language, language))
    });
    named
        .map(|name| name.value.clone())
        .or_else(|| concept.display.clone())
}

/// Whether two names are the same to a reader: case, accents and spaces do not count.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    a == b || fold(a) == fold(b)
}

impl From<Designation<'_>> for Name {
    fn from(designation: Designation<'_>) -> Self {
        Self {
            language: designation.language.to_owned(),
            usage: designation.usage.clone(),
            value: designation.value.to_owned(),
        }
    }
}
