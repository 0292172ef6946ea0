//! Looking around in what terminology there is: its code systems, value sets and maps by the words of
//! their addresses, and concepts with those above and below them. Like the operations it tells nothing
//! about patients, asks for the same right, and leaves the same entry.

use std::sync::Arc;

use terminology::lookup::{find, lookup};
use terminology::system::CodeSystem;
use terminology::{Engine, Library};

use super::{aside, begin};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::input::{Given, Input};

/// Most things, or concepts, of one page.
pub const PAGE: usize = 50;
/// Most steps of the way up to a top concept.
const MOST_STEPS: usize = 40;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Code systems.
    Systems,
    /// Value sets.
    Sets,
    /// Concept maps.
    Maps,
}

impl Kind {
    const fn type_name(self) -> &'static str {
        match self {
            Self::Systems => "CodeSystem",
            Self::Sets => "ValueSet",
            Self::Maps => "ConceptMap",
        }
    }
}

/// A code system, value set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its canonical URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// Its name; of a map, what it leads from and to.
    pub name: String,
    /// Publication status; empty where there is none.
    pub status: String,
    /// Of a code system: how much of it is here, and how many concepts.
    pub content: Option<(&'static str, usize)>,
}

/// A page of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Sorted by address.
    pub things: Vec<Thing>,
    /// How many there are in all.
    pub total: usize,
    /// Stored ones that cannot be used: address, why.
    pub faults: Vec<(String, String)>,
}

fn asked(pairs: &[(&str, &str)]) -> Input {
    let parameters = pairs.iter().filter(|(_, value)| !value.is_empty());
    Input {
        parameters: parameters
            .map(|(name, value)| ((*name).to_owned(), Given::Text((*value).to_owned())))
            .collect(),
    }
}

/// What there is of a kind, whose address holds every one of the words; a page from an offset.
///
/// # Errors
/// Not allowed.
pub async fn contents(
    app: &App,
    caller: &Caller,
    kind: Kind,
    words: &str,
    offset: usize,
) -> Result<Contents, AppError> {
    let begun = begin(app, caller, kind.type_name()).await?;
    let input = asked(&[("url:contains", words)]);
    begun.record(app, caller, kind.type_name(), &input).await?;
    let engine = begun.engine;
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    aside(move || Ok(listed(engine.library(), kind, &words, offset))).await
}

fn listed(library: &Library, kind: Kind, words: &[String], offset: usize) -> Contents {
    let fits = |url: &str| {
        let url = url.to_lowercase();
        words.iter().all(|word| url.contains(word))
    };
    let mut names = match kind {
        Kind::Systems => library.system_names(),
        Kind::Sets => library.value_set_names(),
        Kind::Maps => {
            let mut names: Vec<_> = library
                .maps()
                .map(|map| (map.url.clone(), map.version.clone()))
                .collect();
            names.sort_unstable();
            names
        }
    };
    names.retain(|(url, _)| fits(url));
    let total = names.len();
    let things = names
        .into_iter()
        .skip(offset)
        .take(PAGE)
        .map(|(url, version)| thing(library, kind, url, version))
        .collect();
    let mut faults: Vec<(String, String)> = library
        .faults()
        .filter(|(url, _)| fits(url))
        .map(|(url, why)| (url.to_owned(), why.to_owned()))
        .collect();
    faults.sort_unstable();
    Contents {
        things,
        total,
        faults,
    }
}

fn thing(library: &Library, kind: Kind, url: String, version: Option<String>) -> Thing {
    let (name, status, content) = match kind {
        Kind::Systems => library.system(&url, version.as_deref()).map(|system| {
            let head = system.head();
            let content = Some((head.content.code(), system.len()));
            (head.name.clone(), head.status.clone(), content)
        }),
        Kind::Sets => library
            .value_set(&url, version.as_deref())
            .map(|set| (set.name.clone(), set.status.clone(), None)),
        Kind::Maps => library
            .maps()
            .find(|map| map.url == url && map.version == version)
            .map(|map| {
                let end = |end: &Option<String>| end.clone().unwrap_or_default();
                let name = format!("{} to {}", end(&map.source), end(&map.target));
                (name, String::new(), None)
            }),
    }
    .unwrap_or_default();
    Thing {
        url,
        version,
        name,
        status,
        content,
    }
}

/// A concept, by its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its code.
    pub code: String,
    /// Its display, which may be empty.
    pub display: String,
    /// How many concepts stand right below it.
    pub below: usize,
}

/// A page of concepts that stand on one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// In the order of the code system.
    pub concepts: Vec<Named>,
    /// How many there are in all.
    pub total: usize,
}

/// A code system and its top concepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// The code system.
    pub system: Thing,
    /// Whether no concept stands below another.
    pub flat: bool,
    /// Concepts that stand below none.
    pub level: Level,
}

fn level(system: &CodeSystem, places: &mut dyn Iterator<Item = u32>, offset: usize) -> Level {
    let mut total = 0;
    let mut concepts = Vec::new();
    for at in places {
        if total >= offset && concepts.len() < PAGE {
            concepts.push(named(system, at));
        }
        total += 1;
    }
    Level { concepts, total }
}

fn named(system: &CodeSystem, at: u32) -> Named {
    let below = if system.hierarchy().is_flat() {
        0
    } else {
        system.children(at).len()
    };
    Named {
        code: system.code(at).to_owned(),
        display: system.display(at).to_owned(),
        below,
    }
}

/// A code system with its top concepts, a page from an offset.
///
/// # Errors
/// Not allowed, or the code system is not here.
pub async fn top(
    app: &App,
    caller: &Caller,
    url: &str,
    version: Option<&str>,
    offset: usize,
) -> Result<Top, AppError> {
    let begun = begin(app, caller, "CodeSystem").await?;
    let input = asked(&[("url", url), ("version", version.unwrap_or_default())]);
    begun.record(app, caller, "CodeSystem", &input).await?;
    let engine = begun.engine;
    let (url, version) = (url.to_owned(), version.map(str::to_owned));
    aside(move || {
        let system = engine.library().require(&url, version.as_deref())?;
        let hierarchy = system.hierarchy();
        let mut roots = (0u32..)
            .take(system.len())
            .filter(|at| hierarchy.is_flat() || hierarchy.parents(*at).is_empty());
        let head = system.head();
        Ok(Top {
            flat: hierarchy.is_flat(),
            level: level(&system, &mut roots, offset),
            system: Thing {
                url: head.url.clone(),
                version: head.version.clone(),
                name: head.name.clone(),
                status: head.status.clone(),
                content: Some((head.content.code(), system.len())),
            },
        })
    })
    .await
}

/// A concept and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concept {
    /// Its code system's address, name and version.
    pub system: (String, String, Option<String>),
    /// Code and display.
    pub named: Named,
    /// The definition; empty where there is none.
    pub definition: String,
    /// Whether it is no longer used.
    pub inactive: bool,
    /// Whether it only groups others.
    pub is_abstract: bool,
    /// Other names: language, what for, name.
    pub names: Vec<(String, String, String)>,
    /// Other properties: code, value, the display of a value that is a code of the same system.
    pub properties: Vec<(String, String, Option<String>)>,
    /// A way up: the first parents, from the top.
    pub path: Vec<Named>,
    /// Right above it.
    pub parents: Vec<Named>,
    /// Right below it, a page.
    pub children: Level,
}

/// What is known of a code, with a page of those below it.
///
/// # Errors
/// Not allowed, the code system is not here, or the code is not in it.
pub async fn concept(
    app: &App,
    caller: &Caller,
    (system, version): (&str, Option<&str>),
    code: &str,
    offset: usize,
) -> Result<Concept, AppError> {
    let begun = begin(app, caller, "CodeSystem").await?;
    let input = asked(&[
        ("system", system),
        ("version", version.unwrap_or_default()),
        ("code", code),
    ]);
    begun
        .record(app, caller, "CodeSystem/$lookup", &input)
        .await?;
    let engine: Arc<Engine> = begun.engine;
    let (url, code) = (system.to_owned(), code.to_owned());
    let version = version.map(str::to_owned);
    aside(move || {
        let library = engine.library();
        let (system, at) = find(library, &url, version.as_deref(), &code)?;
        Ok(described(library, &system, at, offset))
    })
    .await
}

fn described(library: &Library, system: &CodeSystem, at: u32, offset: usize) -> Concept {
    let looked = lookup(library, system, at, &[], None);
    let hierarchy = system.hierarchy();
    let parents = |at: u32| -> &[u32] {
        if hierarchy.is_flat() {
            &[]
        } else {
            hierarchy.parents(at)
        }
    };
    let mut path: Vec<Named> = Vec::new();
    let mut place = at;
    while let Some(parent) = parents(place).first()
        && path.len() < MOST_STEPS
    {
        path.push(named(system, *parent));
        place = *parent;
    }
    path.reverse();
    let below: &[u32] = if hierarchy.is_flat() {
        &[]
    } else {
        system.children(at)
    };
    let mut name = named(system, at);
    if let Some(display) = looked.display {
        name.display = display;
    }
    let properties = looked
        .properties
        .into_iter()
        .filter(|property| !matches!(&*property.code, "parent" | "child" | "inactive"));
    Concept {
        system: (system.head().url.clone(), looked.name, looked.version),
        named: name,
        definition: looked.definition.unwrap_or_default(),
        inactive: system.is_inactive(at),
        is_abstract: looked.is_abstract,
        names: looked
            .names
            .into_iter()
            .map(|name| {
                let usage = if name.usage.display.is_empty() {
                    name.usage.code
                } else {
                    name.usage.display
                };
                (name.language, usage, name.value)
            })
            .collect(),
        properties: properties
            .map(|property| (property.code, property.value, property.description))
            .collect(),
        path,
        parents: parents(at).iter().map(|at| named(system, *at)).collect(),
        children: level(system, &mut below.iter().copied(), offset),
    }
}
