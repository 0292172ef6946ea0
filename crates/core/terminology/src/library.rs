//! Where terminology is looked for: shelves of code systems, value sets and concept maps, the nearest
//! first. A tenant's own shelf stands before the installed one, and that before the base definitions. What
//! is packed on a shelf is unpacked when it is first taken. Must not cache answers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::concept_map::ConceptMap;
use crate::error::TerminologyError;
use crate::system::{CodeSystem, Content};
use crate::value_set::ValueSet;
use crate::version;

/// Something on a shelf, perhaps still packed.
#[derive(Debug)]
struct Slot<T> {
    version: Option<String>,
    packed: Packed,
    taken: OnceLock<Option<Arc<T>>>,
}

#[derive(Debug)]
enum Packed {
    No,
    At(Arc<[u8]>, usize, usize),
}

impl<T> Slot<T> {
    fn ready(version: Option<String>, thing: Arc<T>) -> Self {
        Self {
            version,
            packed: Packed::No,
            taken: OnceLock::from(Some(thing)),
        }
    }

    fn packed(version: Option<String>, bytes: &Arc<[u8]>, (start, end): (usize, usize)) -> Self {
        Self {
            version,
            packed: Packed::At(Arc::clone(bytes), start, end),
            taken: OnceLock::new(),
        }
    }

    fn take(&self, unpack: impl Fn(&[u8]) -> Option<T>) -> Option<Arc<T>> {
        self.taken
            .get_or_init(|| match &self.packed {
                Packed::No => None,
                Packed::At(bytes, start, end) => {
                    bytes.get(*start..*end).and_then(unpack).map(Arc::new)
                }
            })
            .clone()
    }
}

/// One source of terminology.
#[derive(Debug, Default)]
pub struct Shelf {
    systems: HashMap<String, Vec<Slot<CodeSystem>>>,
    /// By the code system they supplement.
    supplements: HashMap<String, Vec<Arc<CodeSystem>>>,
    value_sets: HashMap<String, Vec<Slot<ValueSet>>>,
    /// The code system of each value set that is all of one.
    whole: HashMap<String, String>,
    maps: Vec<Arc<ConceptMap>>,
    /// Why something that was stored here cannot be used, by its URL.
    faults: HashMap<String, String>,
}

/// What a pack holds: where each thing stands in its bytes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) systems: Vec<Item>,
    pub(crate) value_sets: Vec<Item>,
    /// (code system, the value set of all its codes).
    pub(crate) whole: Vec<(String, String)>,
    pub(crate) maps: Vec<Item>,
}

/// A thing in a pack.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) url: String,
    pub(crate) version: Option<String>,
    /// Bytes it takes.
    pub(crate) length: u32,
}

impl Shelf {
    /// Puts a code system on it; a supplement beside what it supplements.
    pub fn add_system(&mut self, system: &Arc<CodeSystem>) {
        let head = system.head();
        if head.content == Content::Supplement
            && let Some(of) = &head.supplements
        {
            let (url, _) = version::split(of);
            self.supplements
                .entry(url.to_owned())
                .or_default()
                .push(Arc::clone(system));
        }
        if let Some(set) = &head.value_set {
            let (set, _) = version::split(set);
            self.whole.insert(set.to_owned(), head.url.clone());
        }
        let slot = Slot::ready(head.version.clone(), Arc::clone(system));
        self.systems.entry(head.url.clone()).or_default().push(slot);
    }

    /// Puts a value set on it.
    pub fn add_value_set(&mut self, set: &Arc<ValueSet>) {
        let slot = Slot::ready(set.version.clone(), Arc::clone(set));
        self.value_sets
            .entry(set.url.clone())
            .or_default()
            .push(slot);
    }

    /// Puts a concept map on it.
    pub fn add_map(&mut self, map: Arc<ConceptMap>) {
        self.maps.push(map);
    }

    /// Remembers why something cannot be used.
    pub fn add_fault(&mut self, url: &str, why: String) {
        self.faults.insert(url.to_owned(), why);
    }

    /// Whether there is nothing on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.systems.is_empty()
            && self.value_sets.is_empty()
            && self.maps.is_empty()
            && self.faults.is_empty()
    }

    /// A shelf of packed things, which stay packed until they are taken. Concept maps are unpacked now.
    pub(crate) fn packed(contents: Contents, bytes: &Arc<[u8]>, mut at: usize) -> Self {
        let mut place = |length: u32| {
            let start = at;
            at = at.saturating_add(length as usize);
            (start, at)
        };
        let mut shelf = Self {
            whole: contents
                .whole
                .into_iter()
                .map(|(system, set)| (set, system))
                .collect(),
            ..Self::default()
        };
        for item in contents.systems {
            let slot = Slot::packed(item.version, bytes, place(item.length));
            shelf.systems.entry(item.url).or_default().push(slot);
        }
        for item in contents.value_sets {
            let slot = Slot::packed(item.version, bytes, place(item.length));
            shelf.value_sets.entry(item.url).or_default().push(slot);
        }
        for item in contents.maps {
            let (start, end) = place(item.length);
            let map = bytes
                .get(start..end)
                .map(postcard::from_bytes::<ConceptMap>);
            if let Some(Ok(map)) = map {
                shelf.maps.push(Arc::new(map));
            }
        }
        shelf
    }
}

/// Shelves, the nearest first. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Library {
    shelves: Vec<Arc<Shelf>>,
}

/// Which versions of code systems a request wants: (URL, version).
pub type Pins = Vec<(String, String)>;

impl Library {
    /// Over shelves, the nearest first.
    #[must_use]
    pub fn new(shelves: Vec<Arc<Shelf>>) -> Self {
        Self { shelves }
    }

    /// This library behind one shelf more.
    #[must_use]
    pub fn behind(&self, shelf: Arc<Shelf>) -> Self {
        let mut shelves = vec![shelf];
        shelves.extend(self.shelves.iter().cloned());
        Self { shelves }
    }

    /// A code system: the version asked for, else the most complete one, on the nearest shelf, newest
    /// version first.
    #[must_use]
    pub fn system(&self, url: &str, wanted: Option<&str>) -> Option<Arc<CodeSystem>> {
        let mut best: Option<Arc<CodeSystem>> = None;
        for shelf in &self.shelves {
            let mut nearest: Option<Arc<CodeSystem>> = None;
            for slot in shelf.systems.get(url).into_iter().flatten() {
                if wanted.is_some_and(|wanted| !version::answers(slot.version.as_deref(), wanted)) {
                    continue;
                }
                let Some(system) = slot.take(|bytes| CodeSystem::decode(bytes).ok()) else {
                    continue;
                };
                if nearest
                    .as_ref()
                    .is_none_or(|known| is_better(&system, known))
                {
                    nearest = Some(system);
                }
            }
            let Some(nearest) = nearest else {
                // What cannot be used here must not be answered for by what stands behind.
                if best.is_none() && shelf.faults.contains_key(url) {
                    return None;
                }
                continue;
            };
            let more = |known: &Arc<CodeSystem>| rank(&nearest) > rank(known);
            if best.as_ref().is_none_or(more) {
                best = Some(nearest);
            }
        }
        best
    }

    /// The code system, or why it cannot be asked.
    ///
    /// # Errors
    /// [`TerminologyError::SystemUnknown`], or what is wrong with the stored one.
    pub fn require(
        &self,
        url: &str,
        wanted: Option<&str>,
    ) -> Result<Arc<CodeSystem>, TerminologyError> {
        let named = || match wanted {
            Some(version) => format!("{url}|{version}"),
            None => url.to_owned(),
        };
        self.system(url, wanted)
            .ok_or_else(|| match self.fault(url) {
                Some(why) => TerminologyError::Faulty {
                    what: format!("code system {url}"),
                    why: why.to_owned(),
                },
                None => TerminologyError::SystemUnknown(named()),
            })
    }

    /// What was remembered of an unusable resource.
    #[must_use]
    pub fn fault(&self, url: &str) -> Option<&str> {
        let faults = self.shelves.iter();
        faults
            .filter_map(|shelf| shelf.faults.get(url))
            .map(String::as_str)
            .next()
    }

    /// Everything that cannot be used: address, why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        let faults = self.shelves.iter().flat_map(|shelf| &shelf.faults);
        faults.map(|(url, why)| (url.as_str(), why.as_str()))
    }

    /// What supplements a code system.
    pub fn supplements(&self, url: &str) -> impl Iterator<Item = &Arc<CodeSystem>> {
        self.shelves
            .iter()
            .filter_map(|shelf| shelf.supplements.get(url))
            .flatten()
    }

    /// A value set by its canonical, perhaps with `|version`.
    #[must_use]
    pub fn value_set(&self, url: &str, wanted: Option<&str>) -> Option<Arc<ValueSet>> {
        for shelf in &self.shelves {
            let mut best: Option<&Slot<ValueSet>> = None;
            for slot in shelf.value_sets.get(url).into_iter().flatten() {
                if wanted.is_some_and(|wanted| slot.version.as_deref() != Some(wanted)) {
                    continue;
                }
                let newer = |known: &Slot<ValueSet>| {
                    version::compare(slot.version.as_deref(), known.version.as_deref()).is_gt()
                };
                if best.is_none_or(newer) {
                    best = Some(slot);
                }
            }
            if let Some(best) = best {
                return best.take(|bytes| postcard::from_bytes(bytes).ok());
            }
            // As above: a faulty one hides those behind it.
            if shelf.faults.contains_key(url) {
                return None;
            }
        }
        None
    }

    /// The code system that a value set is all of.
    #[must_use]
    pub fn system_of_value_set(&self, set: &str) -> Option<Arc<CodeSystem>> {
        let system = self.shelves.iter().find_map(|shelf| shelf.whole.get(set))?;
        self.system(system, None)
    }

    /// Every concept map, the nearest shelf first.
    pub fn maps(&self) -> impl Iterator<Item = &Arc<ConceptMap>> {
        self.shelves.iter().flat_map(|shelf| &shelf.maps)
    }

    /// The code systems there are, with their versions, sorted.
    #[must_use]
    pub fn system_names(&self) -> Vec<(String, Option<String>)> {
        let names: BTreeSet<(String, Option<String>)> = self
            .shelves
            .iter()
            .flat_map(|shelf| &shelf.systems)
            .flat_map(|(url, slots)| slots.iter().map(|slot| (url.clone(), slot.version.clone())))
            .collect();
        names.into_iter().collect()
    }

    /// The value sets there are, with their versions, sorted.
    #[must_use]
    pub fn value_set_names(&self) -> Vec<(String, Option<String>)> {
        let names: BTreeSet<(String, Option<String>)> = self
            .shelves
            .iter()
            .flat_map(|shelf| &shelf.value_sets)
            .flat_map(|(url, slots)| slots.iter().map(|slot| (url.clone(), slot.version.clone())))
            .collect();
        names.into_iter().collect()
    }
}

/// Supplements never stand in for what they supplement.
fn rank(system: &CodeSystem) -> u8 {
    match system.head().content {
        Content::Supplement => 0,
        Content::NotPresent => 1,
        Content::Example => 2,
        Content::Fragment => 3,
        Content::Complete => 4,
    }
}

fn is_better(new: &CodeSystem, known: &CodeSystem) -> bool {
    let retired = |system: &CodeSystem| system.head().status == "retired";
    rank(new)
        .cmp(&rank(known))
        .then(retired(known).cmp(&retired(new)))
        .then_with(|| {
            let (new, known) = (new.head(), known.head());
            version::compare(new.version.as_deref(), known.version.as_deref())
        })
        .is_gt()
}
