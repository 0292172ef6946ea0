//! A tenant's stored CodeSystem, ValueSet and ConceptMap resources as a shelf. Read by history, newest
//! first, so that only what changed since the last look is read and compiled. Must not see another
//! tenant: the scope it is given is the tenant's.

use std::collections::HashMap;
use std::sync::Arc;

use fhir::json::{Document, Limits};
use kernel::{RowId, TenantScope};
use store::{ResourceKey, StoredVersion};
use terminology::Shelf;
use terminology::concept_map::ConceptMap;
use terminology::system::CodeSystem;
use terminology::value_set::ValueSet;

use super::TYPES;
use crate::App;
use crate::error::AppError;
use crate::record::recent;

/// Bytes of terminology a tenant may have compiled; beyond, its resources are answered as too large.
const MOST: usize = 192 << 20;

/// A resource, compiled.
#[derive(Clone)]
enum Thing {
    System(Arc<CodeSystem>),
    Set(Arc<ValueSet>),
    Map(Arc<ConceptMap>),
    /// Its URL, and why it cannot be used.
    Faulty(String, String),
}

/// What a tenant has of its own.
#[derive(Clone)]
pub(super) struct Own {
    pub(super) shelf: Arc<Shelf>,
    /// About how much memory it takes.
    pub(super) bytes: usize,
    things: HashMap<ResourceKey, (Thing, usize)>,
    /// The version of everything looked at, of what was deleted, too.
    seen: HashMap<ResourceKey, RowId>,
    /// How often something was made anew.
    made: u64,
}

impl Own {
    fn nothing() -> Self {
        Self {
            shelf: Arc::new(Shelf::default()),
            bytes: 0,
            things: HashMap::new(),
            seen: HashMap::new(),
            made: 0,
        }
    }

    /// Whether both were made from the same versions.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.made == other.made
    }
}

/// What the tenant has now: what was kept before with what changed since, in versions with a row of at least
/// `floor`.
pub(super) async fn refresh(
    app: &App,
    scope: &TenantScope,
    before: Option<(&Own, RowId)>,
) -> Result<Own, AppError> {
    let floor = before.map(|(_, floor)| floor);
    let mut own = before.map_or_else(Own::nothing, |(own, _)| own.clone());
    let mut changed: Vec<StoredVersion> = Vec::new();
    for name in TYPES {
        let Some(ty) = app.definitions().resource(name) else {
            continue;
        };
        for version in recent::changed(app, scope, ty, floor).await? {
            if own.seen.get(&version.key) != Some(&version.version_row) {
                own.seen.insert(version.key.clone(), version.version_row);
                changed.push(version);
            }
        }
    }
    if changed.is_empty() {
        return Ok(own);
    }
    own.made += 1;
    Ok(tokio::task::spawn_blocking(move || rebuild(own, &changed)).await?)
}

fn rebuild(mut own: Own, changed: &[StoredVersion]) -> Own {
    for version in changed {
        match &version.body {
            Some(body) => {
                let thing = compile(body);
                let bytes = weight(&thing, body.len());
                own.things.insert(version.key.clone(), (thing, bytes));
            }
            None => {
                own.things.remove(&version.key);
            }
        }
    }
    own.bytes = own.things.values().map(|(_, bytes)| bytes).sum();
    let mut shelf = Shelf::default();
    let mut left = MOST;
    let mut things: Vec<(&ResourceKey, &(Thing, usize))> = own.things.iter().collect();
    things.sort_unstable_by_key(|(key, _)| *key);
    for (_, (thing, bytes)) in things {
        let fits = left.checked_sub(*bytes);
        left = fits.unwrap_or(left);
        place(&mut shelf, thing, fits.is_some());
    }
    own.shelf = Arc::new(shelf);
    own
}

fn place(shelf: &mut Shelf, thing: &Thing, fits: bool) {
    let refused = "the tenant's terminology takes more memory than a tenant may have: load large code systems on the instance".to_owned();
    match thing {
        Thing::System(system) if fits => shelf.add_system(system),
        Thing::Set(set) if fits => shelf.add_value_set(set),
        Thing::Map(map) if fits => shelf.add_map(Arc::clone(map)),
        Thing::System(system) => shelf.add_fault(&system.head().url, refused),
        Thing::Set(set) => shelf.add_fault(&set.url, refused),
        Thing::Map(map) => shelf.add_fault(&map.url, refused),
        Thing::Faulty(url, why) => shelf.add_fault(url, why.clone()),
    }
}

fn compile(body: &[u8]) -> Thing {
    let faulty = |url: &str, why: String| Thing::Faulty(url.to_owned(), why);
    let document = match Document::parse(body.to_vec(), &Limits::default()) {
        Ok(document) => document,
        Err(error) => return faulty("", error.to_string()),
    };
    let root = document.root();
    let url = root.get_str("url").unwrap_or_default();
    match root.get_str("resourceType").as_deref() {
        Some("CodeSystem") => match terminology::system::from_resource(root) {
            Ok(system) => Thing::System(Arc::new(system)),
            Err(error) => faulty(&url, error.to_string()),
        },
        Some("ValueSet") => match ValueSet::from_resource(root) {
            Ok(set) => Thing::Set(Arc::new(set)),
            Err(error) => faulty(&url, error.to_string()),
        },
        _ => Thing::Map(Arc::new(ConceptMap::from_resource(root))),
    }
}

/// About how much memory a thing takes.
fn weight(thing: &Thing, body: usize) -> usize {
    match thing {
        Thing::System(system) => 2 * system.bytes() + 512,
        Thing::Set(_) | Thing::Map(_) => 2 * body + 512,
        Thing::Faulty(..) => 512,
    }
}
