//! Puts a code system together concept by concept, in any order, and packs it. Must not read formats:
//! loaders and resources do.

use std::collections::HashMap;

use super::hierarchy::{Fault, Hierarchy, Ordered};
use super::{CodeSystem, Head, PackedValue, PropertyDefinition, PropertyKind, Tables, Usage};
use crate::arena::{Rows, Texts, TooLarge};

/// Why no code system came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Too much text or too many rows.
    #[error("{0}")]
    TooLarge(#[from] TooLarge),
    /// A concept is its own ancestor.
    #[error("concept {0:?} is an ancestor of itself: correct its parents")]
    Cycle(String),
    /// The closure would not fit.
    #[error(
        "the hierarchy has so many parents per concept that it cannot be closed in memory: load fewer relationships"
    )]
    TooDense,
    /// Over [`MANY`] properties, languages or uses.
    #[error("more than 1024 different {0}: split the code system")]
    TooMany(&'static str),
}

/// How many properties, languages and uses there may be: they are found by walking a list.
pub const MANY: usize = 1024;

/// What is known of a concept when it is first met.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConceptDraft<'a> {
    /// Its code.
    pub code: &'a str,
    /// Its display.
    pub display: Option<&'a str>,
    /// Its definition.
    pub definition: Option<&'a str>,
    /// [`super::INACTIVE`] and [`super::ABSTRACT`].
    pub flags: u8,
}

/// A code system in the making.
#[derive(Debug)]
pub struct Builder {
    head: Head,
    known: HashMap<Box<str>, u32>,
    codes: Texts,
    texts: Texts,
    displays: Vec<Option<u32>>,
    definitions: Vec<Option<u32>>,
    flags: Vec<u8>,
    edges: Vec<(u32, u32)>,
    languages: Vec<String>,
    usages: Vec<Usage>,
    designations: Vec<(u32, (u16, u16, u32))>,
    properties: Vec<PropertyDefinition>,
    values: Vec<(u32, PackedValue)>,
    pool: Texts,
    pooled: HashMap<Box<str>, u32>,
    subsets: HashMap<String, Vec<u32>>,
}

impl Builder {
    /// Begins.
    #[must_use]
    pub fn new(head: Head) -> Self {
        Self {
            head,
            known: HashMap::new(),
            codes: Texts::default(),
            texts: Texts::default(),
            displays: Vec::new(),
            definitions: Vec::new(),
            flags: Vec::new(),
            edges: Vec::new(),
            languages: Vec::new(),
            usages: Vec::new(),
            designations: Vec::new(),
            properties: Vec::new(),
            values: Vec::new(),
            pool: Texts::default(),
            pooled: HashMap::new(),
            subsets: HashMap::new(),
        }
    }

    /// What is known of it as a whole.
    pub fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    /// How many concepts there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no concept yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The number of a concept met before.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<u32> {
        self.known.get(code).copied()
    }

    /// Adds a concept; `None` where there is one with this code.
    pub fn add(&mut self, draft: &ConceptDraft<'_>) -> Result<Option<u32>, BuildError> {
        if self.known.contains_key(draft.code) {
            return Ok(None);
        }
        let at = self.codes.push(draft.code)?;
        self.known.insert(draft.code.into(), at);
        let display = self.text(draft.display)?;
        let definition = self.text(draft.definition)?;
        self.displays.push(display);
        self.definitions.push(definition);
        self.flags.push(draft.flags);
        Ok(Some(at))
    }

    fn text(&mut self, text: Option<&str>) -> Result<Option<u32>, TooLarge> {
        text.filter(|text| !text.is_empty())
            .map(|text| self.texts.push(text))
            .transpose()
    }

    /// Sets the display of a concept, in place of one it had.
    pub fn set_display(&mut self, at: u32, display: &str) -> Result<(), BuildError> {
        let place = self.texts.push(display)?;
        if let Some(slot) = self.displays.get_mut(at as usize) {
            *slot = Some(place);
        }
        Ok(())
    }

    /// Whether a concept has a display.
    #[must_use]
    pub fn has_display(&self, at: u32) -> bool {
        matches!(self.displays.get(at as usize), Some(Some(_)))
    }

    /// Marks a concept.
    pub fn flag(&mut self, at: u32, flags: u8) {
        if let Some(slot) = self.flags.get_mut(at as usize) {
            *slot |= flags;
        }
    }

    /// Puts a concept below another.
    pub fn parent(&mut self, child: u32, parent: u32) {
        self.edges.push((child, parent));
    }

    /// Gives a concept another name.
    pub fn designation(
        &mut self,
        at: u32,
        language: &str,
        usage: &Usage,
        name: &str,
    ) -> Result<(), BuildError> {
        let language =
            place(&mut self.languages, language).ok_or(BuildError::TooMany("languages"))?;
        let usage = match self.usages.iter().position(|known| known == usage) {
            Some(known) => known as u16,
            None if self.usages.len() < MANY => {
                self.usages.push(usage.clone());
                (self.usages.len() - 1) as u16
            }
            None => return Err(BuildError::TooMany("uses of designations")),
        };
        let text = self.texts.push(name)?;
        self.designations.push((at, (language, usage, text)));
        Ok(())
    }

    /// Declares a property, or finds it.
    pub fn property(
        &mut self,
        code: &str,
        uri: Option<&str>,
        kind: PropertyKind,
    ) -> Result<u16, BuildError> {
        if let Some(known) = self.properties.iter().position(|one| one.code == code) {
            return Ok(known as u16);
        }
        if self.properties.len() >= MANY {
            return Err(BuildError::TooMany("properties"));
        }
        let number = self.properties.len() as u16;
        self.properties.push(PropertyDefinition {
            code: code.to_owned(),
            uri: uri.map(str::to_owned),
            kind,
        });
        Ok(number)
    }

    /// Gives a concept a value of a property.
    pub fn value(
        &mut self,
        at: u32,
        property: u16,
        kind: PropertyKind,
        text: &str,
    ) -> Result<(), BuildError> {
        self.value_in_group(at, (property, kind), 0, text)
    }

    /// The same, together with the others of a group; 0 for none.
    pub fn value_in_group(
        &mut self,
        at: u32,
        (property, kind): (u16, PropertyKind),
        group: u8,
        text: &str,
    ) -> Result<(), BuildError> {
        let text = if let Some(known) = self.pooled.get(text) {
            *known
        } else {
            let new = self.pool.push(text)?;
            self.pooled.insert(text.into(), new);
            new
        };
        let value = PackedValue {
            property,
            kind,
            group,
            text,
        };
        self.values.push((at, value));
        Ok(())
    }

    /// Puts a concept into a named subset.
    pub fn subset(&mut self, name: &str, at: u32) {
        match self.subsets.get_mut(name) {
            Some(members) => members.push(at),
            None => {
                self.subsets.insert(name.to_owned(), vec![at]);
            }
        }
    }

    /// Packs it.
    ///
    /// # Errors
    /// A cycle, or more than fits.
    pub fn finish(mut self) -> Result<CodeSystem, BuildError> {
        let count = self.codes.len();
        self.known = HashMap::new();
        self.pooled = HashMap::new();
        let edges = core::mem::take(&mut self.edges);
        let Ordered { hierarchy, order } =
            Hierarchy::build(count, &edges).map_err(|fault| match fault {
                Fault::Cycle(at) => BuildError::Cycle(self.codes.get(at).to_owned()),
                Fault::TooDense => BuildError::TooDense,
                Fault::TooLarge => BuildError::TooLarge(TooLarge),
            })?;
        let mut place = vec![0u32; count];
        for (new, old) in (0u32..).zip(&order) {
            if let Some(slot) = place.get_mut(*old as usize) {
                *slot = new;
            }
        }
        let mut subsets: Vec<(String, Vec<u32>)> =
            core::mem::take(&mut self.subsets).into_iter().collect();
        subsets.sort_unstable();
        for (_, members) in &mut subsets {
            for at in members.iter_mut() {
                *at = place.get(*at as usize).copied().unwrap_or_default();
            }
            members.sort_unstable();
            members.dedup();
        }
        let (designations, names) = self.packed_designations(&place)?;
        let mut codes = Texts::default();
        for old in &order {
            codes.push(self.codes.get(*old))?;
        }
        codes.shrink();
        Ok(CodeSystem::new(Tables {
            displays: self.packed(&order, &self.displays)?,
            definitions: if self.definitions.iter().any(Option::is_some) {
                self.packed(&order, &self.definitions)?
            } else {
                Texts::default()
            },
            flags: order
                .iter()
                .map(|old| self.flags.get(*old as usize).copied().unwrap_or_default())
                .collect(),
            values: packed_rows(count, &place, self.values)?,
            head: self.head,
            codes,
            hierarchy,
            languages: self.languages,
            usages: self.usages,
            designations,
            names,
            properties: self.properties,
            pool: self.pool,
            subsets,
            words: None,
        }))
    }

    fn packed(&self, order: &[u32], places: &[Option<u32>]) -> Result<Texts, TooLarge> {
        let mut texts = Texts::default();
        for old in order {
            let place = places.get(*old as usize).copied().flatten();
            texts.push(place.map_or("", |place| self.texts.get(place)))?;
        }
        texts.shrink();
        Ok(texts)
    }

    fn packed_designations(
        &mut self,
        place: &[u32],
    ) -> Result<(Rows<(u16, u16)>, Texts), TooLarge> {
        let given = core::mem::take(&mut self.designations);
        if given.is_empty() {
            return Ok((Rows::default(), Texts::default()));
        }
        let rows = packed_rows(place.len(), place, given)?;
        let mut names = Texts::default();
        for (_, _, text) in rows.items() {
            names.push(self.texts.get(*text))?;
        }
        names.shrink();
        let mut packed = Rows::default();
        for at in 0..rows.len() as u32 {
            packed.push(
                rows.row(at)
                    .iter()
                    .map(|(language, usage, _)| (*language, *usage)),
            )?;
        }
        Ok((packed, names))
    }
}

fn packed_rows<T: Clone>(
    count: usize,
    place: &[u32],
    mut pairs: Vec<(u32, T)>,
) -> Result<Rows<T>, TooLarge> {
    if pairs.is_empty() {
        return Ok(Rows::default());
    }
    for pair in &mut pairs {
        pair.0 = place.get(pair.0 as usize).copied().unwrap_or(u32::MAX);
    }
    Rows::gather(count, &pairs)
}

/// The place of a text in a short list, added where it is new; `None` when the list is full.
fn place(list: &mut Vec<String>, text: &str) -> Option<u16> {
    if let Some(known) = list.iter().position(|known| known == text) {
        return Some(known as u16);
    }
    (list.len() < MANY).then(|| {
        list.push(text.to_owned());
        (list.len() - 1) as u16
    })
}
