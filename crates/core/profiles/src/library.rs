//! The definitions in force, in layers: R4 itself, the instance's packages, a tenant's own. Profiles are
//! compiled when first asked for and kept. Must not load anything: definitions are handed in.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use crate::compile::{self, Profile};
use crate::error::ProfileError;
use crate::model::StructureDefinition;
use crate::pack::BaseDefinitions;
use crate::source::{Source, split};

/// Most compiled profiles kept in one layer; beyond it all are dropped and made again as needed.
const MAX_COMPILED: usize = 2_048;

/// Longest canonical that is remembered as unknown, in bytes.
const MAX_REMEMBERED: usize = 300;

type Compiled = Result<Arc<Profile>, Arc<ProfileError>>;

/// Definitions by canonical, over a layer below.
pub struct Library {
    below: Option<Arc<Library>>,
    own: HashMap<String, Vec<Arc<StructureDefinition>>>,
    compiled: RwLock<HashMap<String, Option<Compiled>>>,
}

static BASE: LazyLock<Arc<Library>> = LazyLock::new(|| {
    Arc::new(Library {
        below: None,
        own: HashMap::new(),
        compiled: RwLock::default(),
    })
});

impl Library {
    /// R4 alone.
    #[must_use]
    pub fn base() -> Arc<Self> {
        BASE.clone()
    }

    /// A layer over another. R4's own definitions cannot be replaced: what has the URL of one is left out.
    #[must_use]
    pub fn over(below: &Arc<Self>, definitions: Vec<StructureDefinition>) -> Arc<Self> {
        let mut own: HashMap<String, Vec<Arc<StructureDefinition>>> = HashMap::new();
        for definition in definitions {
            if !BaseDefinitions::r4().contains(&definition.url) {
                let versions = own.entry(definition.url.clone()).or_default();
                versions.push(Arc::new(definition));
            }
        }
        for versions in own.values_mut() {
            versions.sort_by(|a, b| newest_first(a.version.as_deref(), b.version.as_deref()));
        }
        Arc::new(Self {
            below: Some(below.clone()),
            own,
            compiled: RwLock::default(),
        })
    }

    /// How many definitions this layer has of its own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.values().map(Vec::len).sum()
    }

    /// Whether this layer has no definitions of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// The profiles of resources in force: canonical URL, type, name; by type and URL. What a layer has
    /// hides nothing of those below: R4's own are not replaced.
    #[must_use]
    pub fn profiles(&self) -> Vec<(String, String, String)> {
        let of_resource = |one: &StructureDefinition| {
            one.is_constraint && one.kind == crate::model::StructureKind::Resource
        };
        let named = |one: &StructureDefinition| (one.url.clone(), one.ty.clone(), one.name.clone());
        let mut found: Vec<_> = self
            .own
            .values()
            .filter_map(|versions| versions.first())
            .filter(|one| of_resource(one))
            .map(|one| named(one))
            .collect();
        if let Some(below) = &self.below {
            found.extend(below.profiles());
        } else {
            let base = BaseDefinitions::r4();
            let entries = base.entries().iter().filter(|entry| entry.is_constraint);
            let ones = entries.filter_map(|entry| base.structure(entry.url));
            found.extend(ones.filter(|one| of_resource(one)).map(|one| named(&one)));
        }
        found.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
        found.dedup_by(|a, b| a.0 == b.0);
        found
    }

    fn own_structure(&self, canonical: &str) -> Option<Arc<StructureDefinition>> {
        let (url, version) = split(canonical);
        if self.below.is_none() {
            return BaseDefinitions::r4().structure(canonical);
        }
        let versions = self.own.get(url)?;
        let found = versions.iter().find(|one| match version {
            Some(wanted) => one.version.as_deref() == Some(wanted),
            None => true,
        });
        found.cloned()
    }

    /// The compiled profile of a canonical; none where no layer knows it.
    #[must_use]
    pub fn profile(&self, canonical: &str) -> Option<Compiled> {
        let known = self.compiled.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(canonical) {
            return known.clone();
        }
        drop(known);
        let made = match self.own_structure(canonical) {
            Some(definition) => Some(
                compile::profile(self, &definition)
                    .map(Arc::new)
                    .map_err(Arc::new),
            ),
            None => self
                .below
                .as_ref()
                .and_then(|below| below.profile(canonical)),
        };
        if made.is_none() && canonical.len() > MAX_REMEMBERED {
            return None;
        }
        let mut known = self
            .compiled
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_COMPILED {
            known.clear();
        }
        known.insert(canonical.to_owned(), made.clone());
        made
    }
}

impl Source for Library {
    fn structure(&self, canonical: &str) -> Option<Arc<StructureDefinition>> {
        self.own_structure(canonical)
            .or_else(|| self.below.as_ref()?.structure(canonical))
    }
}

impl core::fmt::Debug for Library {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Library")
            .field("own", &self.own.len())
            .field("below", &self.below)
            .finish_non_exhaustive()
    }
}

/// Orders versions, the newest first: numbers by value, a release before its candidates.
fn newest_first(a: Option<&str>, b: Option<&str>) -> Ordering {
    order(b.unwrap_or_default(), a.unwrap_or_default())
}

fn order(a: &str, b: &str) -> Ordering {
    let (a, a_label) = a
        .split_once('-')
        .map_or((a, None), |(a, label)| (a, Some(label)));
    let (b, b_label) = b
        .split_once('-')
        .map_or((b, None), |(b, label)| (b, Some(label)));
    let parts = |text: &str| -> Vec<u64> {
        text.split('.')
            .map(|part| part.parse().unwrap_or_default())
            .collect()
    };
    parts(a)
        .cmp(&parts(b))
        .then_with(|| match (a_label, b_label) {
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (a, b) => a.cmp(&b),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers() {
        for (newer, older) in [
            ("2.10.0", "2.9.9"),
            ("1.0.0", "1.0.0-ballot"),
            ("3.0.1", "3.0"),
            ("1.0.0-rc.2", "1.0.0-rc.1"),
        ] {
            assert_eq!(order(newer, older), Ordering::Greater, "{newer} {older}");
            assert_eq!(newest_first(Some(newer), Some(older)), Ordering::Less);
        }
    }
}
