//! A code system packed for memory: immutable, its concepts numbered in preorder of the hierarchy, every
//! text in a few arenas, codes found by a hash table, words by a sorted vocabulary. Must not know where it
//! comes from.

mod builder;
pub mod hierarchy;
mod index;
mod resource;
#[cfg(test)]
pub(crate) mod tests;
pub mod words;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

pub use self::builder::{BuildError, Builder, ConceptDraft};
pub use self::resource::from_resource;
pub(crate) use self::resource::usage;

use self::hierarchy::Hierarchy;
use self::index::CodeIndex;
use self::words::Words;
use crate::arena::{Rows, Texts};

/// How much of the code system is here (CodeSystem.content).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Content {
    /// Nothing but its name and properties.
    NotPresent,
    /// A few concepts, to illustrate.
    Example,
    /// Some of its concepts.
    Fragment,
    /// All of it.
    Complete,
    /// Designations and properties for another code system.
    Supplement,
}

impl Content {
    /// The code of FHIR R4 value set codesystem-content-mode.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "not-present" => Self::NotPresent,
            "example" => Self::Example,
            "fragment" => Self::Fragment,
            "complete" => Self::Complete,
            "supplement" => Self::Supplement,
            _ => return None,
        })
    }

    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotPresent => "not-present",
            Self::Example => "example",
            Self::Fragment => "fragment",
            Self::Complete => "complete",
            Self::Supplement => "supplement",
        }
    }
}

/// What is known of a code system as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Canonical URL.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// Name for people or, lacking one, for machines.
    pub name: String,
    /// Publication status: draft, active, retired, unknown.
    pub status: String,
    /// How much of it is here.
    pub content: Content,
    /// Whether codes that differ in case are different codes.
    pub case_sensitive: bool,
    /// The value set of all its codes.
    pub value_set: Option<String>,
    /// The code system this one supplements.
    pub supplements: Option<String>,
    /// The language of its displays.
    pub language: Option<String>,
}

impl Head {
    /// A complete, active, case-sensitive code system.
    #[must_use]
    pub fn new(url: &str, version: Option<&str>, name: &str) -> Self {
        Self {
            url: url.to_owned(),
            version: version.map(str::to_owned),
            name: name.to_owned(),
            status: "active".to_owned(),
            content: Content::Complete,
            case_sensitive: true,
            value_set: None,
            supplements: None,
            language: None,
        }
    }
}

/// What a designation is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// Its code system; empty for none.
    pub system: String,
    /// Its code; empty where the designation has no use.
    pub code: String,
    /// Its display.
    pub display: String,
}

/// The data type of a property (FHIR R4 value set concept-property-type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PropertyKind {
    /// A code of the same code system.
    Code,
    /// A coding; its text is `system|code`, perhaps with `|display`.
    Coding,
    /// A string.
    String,
    /// An integer.
    Integer,
    /// A boolean.
    Boolean,
    /// A date and time.
    DateTime,
    /// A decimal.
    Decimal,
}

impl PropertyKind {
    /// The type's name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Coding => "Coding",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
            Self::Decimal => "decimal",
        }
    }

    /// By the type's name.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [
            Self::Code,
            Self::Coding,
            Self::String,
            Self::Integer,
            Self::Boolean,
            Self::DateTime,
            Self::Decimal,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

/// A property concepts may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyDefinition {
    /// Its code.
    pub code: String,
    /// Its URI.
    pub uri: Option<String>,
    /// The type of its values.
    pub kind: PropertyKind,
}

/// A value of a property, packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PackedValue {
    property: u16,
    kind: PropertyKind,
    /// Which values belong together; 0 for none. It lies where the layout in memory has room, and is stored
    /// behind the tables.
    #[serde(skip)]
    group: u8,
    text: u32,
}

/// A value of a property by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relation {
    pub property: u16,
    pub kind: PropertyKind,
    pub group: u8,
    /// The place of its text in the pool.
    pub text: u32,
}

/// A value of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyValue<'a> {
    /// The property.
    pub code: &'a str,
    /// The type of the value.
    pub kind: PropertyKind,
    /// The value as text.
    pub text: &'a str,
}

/// Another name of a concept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Designation<'a> {
    /// Its language; empty where none is given.
    pub language: &'a str,
    /// What it is for; a usage without a code for nothing in particular.
    pub usage: &'a Usage,
    /// The name.
    pub value: &'a str,
}

/// The concept must not be used in records any more.
pub const INACTIVE: u8 = 1;
/// The concept groups others and is not for use by itself.
pub const ABSTRACT: u8 = 2;

/// The tables, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tables {
    head: Head,
    codes: Texts,
    displays: Texts,
    definitions: Texts,
    flags: Vec<u8>,
    hierarchy: Hierarchy,
    languages: Vec<String>,
    usages: Vec<Usage>,
    /// (language, usage); the text of each stands at the same place in `names`.
    designations: Rows<(u16, u16)>,
    names: Texts,
    properties: Vec<PropertyDefinition>,
    values: Rows<PackedValue>,
    pool: Texts,
    /// Named subsets (reference sets), sorted by name.
    subsets: Vec<(String, Vec<u32>)>,
    words: Option<Words>,
}

/// A code system.
#[derive(Debug)]
pub struct CodeSystem {
    tables: Tables,
    index: CodeIndex,
    words: OnceLock<Words>,
    children: OnceLock<Rows<u32>>,
}

/// Why bytes are no code system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packed code system is damaged: {0}")]
pub struct Damaged(pub String);

impl CodeSystem {
    fn new(tables: Tables) -> Self {
        let index = CodeIndex::new(&tables.codes, tables.head.case_sensitive);
        Self {
            tables,
            index,
            words: OnceLock::new(),
            children: OnceLock::new(),
        }
    }

    /// The stored form.
    ///
    /// # Errors
    /// A fault of the encoder.
    pub fn encode(&self) -> Result<Vec<u8>, Damaged> {
        let mut bytes =
            postcard::to_stdvec(&self.tables).map_err(|error| Damaged(error.to_string()))?;
        let values = self.tables.values.items();
        if values.iter().any(|value| value.group != 0) {
            bytes.extend(values.iter().map(|value| value.group));
        }
        Ok(bytes)
    }

    /// Reads the stored form and checks that everything in it fits together.
    ///
    /// # Errors
    /// Anything that does not.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (mut tables, groups): (Tables, &[u8]) =
            postcard::take_from_bytes(bytes).map_err(|error| Damaged(error.to_string()))?;
        let values = tables.values.items_mut();
        if !groups.is_empty() && groups.len() != values.len() {
            return Err(Damaged("groups are not one each".to_owned()));
        }
        for (value, group) in values.iter_mut().zip(groups) {
            value.group = *group;
        }
        tables.check().map_err(|what| Damaged(what.to_owned()))?;
        Ok(Self::new(tables))
    }

    /// What is known of it as a whole.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.tables.head
    }

    /// `url|version`, or the URL.
    #[must_use]
    pub fn canonical(&self) -> String {
        let head = self.head();
        match &head.version {
            Some(version) => format!("{}|{version}", head.url),
            None => head.url.clone(),
        }
    }

    /// How many concepts are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.codes.len()
    }

    /// Whether no concept is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.codes.is_empty()
    }

    /// Whether a code that is not here does not exist.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.head().content == Content::Complete
    }

    /// The number of a code.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<u32> {
        self.index.find(&self.tables.codes, code)
    }

    /// The code of a concept.
    #[must_use]
    pub fn code(&self, at: u32) -> &str {
        self.tables.codes.get(at)
    }

    /// The display of a concept; empty where it has none.
    #[must_use]
    pub fn display(&self, at: u32) -> &str {
        self.tables.displays.get(at)
    }

    /// The definition of a concept; empty where it has none.
    #[must_use]
    pub fn definition(&self, at: u32) -> &str {
        self.tables.definitions.get(at)
    }

    /// Whether a concept must not be used any more.
    #[must_use]
    pub fn is_inactive(&self, at: u32) -> bool {
        self.has(at, INACTIVE)
    }

    /// Whether a concept only groups others.
    #[must_use]
    pub fn is_abstract(&self, at: u32) -> bool {
        self.has(at, ABSTRACT)
    }

    fn has(&self, at: u32, flag: u8) -> bool {
        let flags = self.tables.flags.get(at as usize);
        flags.is_some_and(|flags| flags & flag != 0)
    }

    /// The is-a hierarchy.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.tables.hierarchy
    }

    /// The concepts right below one.
    #[must_use]
    pub fn children(&self, at: u32) -> &[u32] {
        self.children
            .get_or_init(|| self.tables.hierarchy.children())
            .row(at)
    }

    /// Other names of a concept, in order.
    pub fn designations(&self, at: u32) -> impl Iterator<Item = Designation<'_>> {
        let rows = self.tables.designations.row(at).iter();
        rows.zip(self.tables.designations.places(at))
            .filter_map(|((language, usage), place)| {
                Some(Designation {
                    language: self.tables.languages.get(usize::from(*language))?,
                    usage: self.tables.usages.get(usize::from(*usage))?,
                    value: self.tables.names.get(place),
                })
            })
    }

    /// The properties its concepts may have.
    #[must_use]
    pub fn properties(&self) -> &[PropertyDefinition] {
        &self.tables.properties
    }

    /// The number of a property.
    pub(crate) fn property(&self, code: &str) -> Option<u16> {
        let place = self
            .tables
            .properties
            .iter()
            .position(|one| one.code == code);
        place.map(|place| place as u16)
    }

    /// The values of a concept's properties, in order.
    pub fn values(&self, at: u32) -> impl Iterator<Item = PropertyValue<'_>> {
        self.tables.values.row(at).iter().filter_map(|value| {
            let definition = self.tables.properties.get(usize::from(value.property))?;
            Some(PropertyValue {
                code: &definition.code,
                kind: value.kind,
                text: self.tables.pool.get(value.text),
            })
        })
    }

    /// The values of one property of a concept.
    pub(crate) fn values_of(&self, at: u32, property: u16) -> impl Iterator<Item = &str> {
        self.tables
            .values
            .row(at)
            .iter()
            .filter(move |value| value.property == property)
            .map(|value| self.tables.pool.get(value.text))
    }

    /// The values of a concept's properties by their numbers.
    pub(crate) fn relations(&self, at: u32) -> impl Iterator<Item = Relation> {
        self.tables.values.row(at).iter().map(|value| Relation {
            property: value.property,
            kind: value.kind,
            group: value.group,
            text: value.text,
        })
    }

    /// A text of the pool.
    pub(crate) fn pooled(&self, text: u32) -> &str {
        self.tables.pool.get(text)
    }

    /// A named subset (SNOMED CT: reference set), sorted.
    #[must_use]
    pub fn subset(&self, name: &str) -> Option<&[u32]> {
        let subsets = &self.tables.subsets;
        let place = subsets
            .binary_search_by(|(known, _)| known.as_str().cmp(name))
            .ok()?;
        subsets.get(place).map(|(_, members)| members.as_slice())
    }

    /// The names of its subsets.
    pub fn subsets(&self) -> impl Iterator<Item = &str> {
        self.tables.subsets.iter().map(|(name, _)| name.as_str())
    }

    /// Its words; made at the first call where they are not stored.
    #[must_use]
    pub fn words(&self) -> &Words {
        match &self.tables.words {
            Some(words) => words,
            None => self.words.get_or_init(|| self.make_words()),
        }
    }

    fn make_words(&self) -> Words {
        Words::build(self.len(), |at| {
            let others = self.designations(at).map(|one| one.value);
            (self.display(at), others)
        })
    }

    /// Makes its words now, so that they are stored with it.
    pub fn store_words(&mut self) {
        if self.tables.words.is_none() {
            self.tables.words = Some(self.make_words());
        }
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tables = &self.tables;
        let words = tables.words.as_ref().or_else(|| self.words.get());
        tables.codes.bytes()
            + tables.displays.bytes()
            + tables.definitions.bytes()
            + tables.flags.len()
            + tables.hierarchy.bytes()
            + tables.designations.bytes()
            + tables.names.bytes()
            + tables.values.bytes()
            + tables.pool.bytes()
            + tables
                .subsets
                .iter()
                .map(|(_, of)| 4 * of.len())
                .sum::<usize>()
            + words.map_or(0, Words::bytes)
            + self.index.bytes()
    }
}

impl Tables {
    /// Whether every number in the tables stands for something.
    fn check(&self) -> Result<(), &'static str> {
        let count = self.codes.len();
        let fits = |ok: bool, what: &'static str| if ok { Ok(()) } else { Err(what) };
        fits(count < u32::MAX as usize, "too many concepts")?;
        fits(self.displays.len() == count, "displays are not one each")?;
        fits(
            self.definitions.is_empty() || self.definitions.len() == count,
            "definitions are not one each",
        )?;
        fits(self.flags.len() == count, "flags are not one each")?;
        fits(self.hierarchy.is_sound(count), "the hierarchy does not fit")?;
        fits(
            self.designations.is_empty() || self.designations.len() == count,
            "designations do not fit",
        )?;
        fits(
            self.names.len() == self.designations.items().len(),
            "designations lack their texts",
        )?;
        fits(
            self.designations.items().iter().all(|(language, usage)| {
                usize::from(*language) < self.languages.len()
                    && usize::from(*usage) < self.usages.len()
            }),
            "a designation has no language or use",
        )?;
        fits(
            self.values.is_empty() || self.values.len() == count,
            "property values do not fit",
        )?;
        fits(
            self.values.items().iter().all(|value| {
                usize::from(value.property) < self.properties.len()
                    && (value.text as usize) < self.pool.len()
            }),
            "a property value has no text",
        )?;
        fits(
            self.subsets.iter().all(|(_, members)| {
                members.is_sorted() && members.last().is_none_or(|last| (*last as usize) < count)
            }) && self.subsets.is_sorted_by(|a, b| a.0 < b.0),
            "a subset does not fit",
        )?;
        fits(
            self.words
                .as_ref()
                .is_none_or(|words| words.is_sound(count)),
            "the word index does not fit",
        )
    }
}
