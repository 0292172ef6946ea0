//! The base of R4: every data type, resource, base profile and base extension, in the committed file
//! `definitions/r4-profiles.pack`, a zstd frame around the postcard form of [`Pack`]. Types carry their
//! snapshots; what constrains a type carries its differential only. Written by `cargo xtask definitions`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::model::{StructureDefinition, StructureKind};
use crate::source::{Source, split};

/// The whole pack; entries are sorted by URL.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pack<'a> {
    /// The definitions.
    #[serde(borrow)]
    pub entries: Vec<PackEntry<'a>>,
}

/// A definition that is unpacked when it is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PackEntry<'a> {
    /// Its canonical URL.
    pub url: &'a str,
    /// What it defines.
    pub kind: StructureKind,
    /// Whether it constrains a type.
    pub is_constraint: bool,
    /// The postcard form of its [`StructureDefinition`].
    pub body: &'a [u8],
}

static PACK: &[u8] = include_bytes!("../definitions/r4-profiles.pack");
static R4: LazyLock<BaseDefinitions> = LazyLock::new(BaseDefinitions::unpack);

/// The definitions of FHIR R4 4.0.1.
#[derive(Debug)]
pub struct BaseDefinitions {
    entries: Vec<PackEntry<'static>>,
    places: HashMap<&'static str, u32>,
}

impl BaseDefinitions {
    /// R4, unpacked on first use and kept: definitions stay in their packed form until asked for.
    #[must_use]
    pub fn r4() -> &'static Self {
        &R4
    }

    #[expect(
        clippy::expect_used,
        reason = "the pack is compiled in and every test unpacks it; without it nothing can be validated"
    )]
    fn unpack() -> Self {
        let plain = zstd::decode_all(PACK).expect("the committed profile pack is a zstd frame");
        let plain: &'static [u8] = Box::leak(plain.into_boxed_slice());
        let pack: Pack<'static> =
            postcard::from_bytes(plain).expect("the committed profile pack has the layout of Pack");
        let places = pack
            .entries
            .iter()
            .map(|entry| entry.url)
            .zip(0..)
            .collect();
        Self {
            entries: pack.entries,
            places,
        }
    }

    /// The entries, sorted by URL.
    #[must_use]
    pub fn entries(&self) -> &[PackEntry<'static>] {
        &self.entries
    }

    /// Whether the URL is one of R4's own definitions.
    #[must_use]
    pub fn contains(&self, url: &str) -> bool {
        self.places.contains_key(url)
    }
}

impl PackEntry<'_> {
    /// The definition itself; none where the pack is not what it should be, which every test rules out.
    #[must_use]
    pub fn definition(&self) -> Option<StructureDefinition> {
        postcard::from_bytes(self.body).ok()
    }
}

impl Source for BaseDefinitions {
    fn structure(&self, canonical: &str) -> Option<Arc<StructureDefinition>> {
        let (url, version) = split(canonical);
        if version.is_some_and(|version| !"4.0.1".starts_with(version)) {
            return None;
        }
        let place = *self.places.get(url)?;
        let entry = self.entries.get(place as usize)?;
        entry.definition().map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_pack_unpacks() {
        let base = BaseDefinitions::r4();
        let mut elements = 0;
        for entry in base.entries() {
            let definition = entry.definition().unwrap();
            assert_eq!(definition.url, entry.url);
            assert_eq!(definition.is_constraint, entry.is_constraint);
            assert_eq!(
                definition.snapshot.is_empty(),
                entry.is_constraint,
                "{}",
                entry.url
            );
            elements += definition.snapshot.len() + definition.differential.len();
        }
        assert!(base.entries().len() > 640, "{}", base.entries().len());
        assert!(elements > 9000, "{elements}");
        assert!(base.entries().is_sorted_by_key(|entry| entry.url));
    }

    #[test]
    fn a_version_is_that_of_r4() {
        let base = BaseDefinitions::r4();
        let patient = "http://hl7.org/fhir/StructureDefinition/Patient";
        for (version, is_there) in [
            ("", true),
            ("|4.0.1", true),
            ("|4.0", true),
            ("|5.0.0", false),
        ] {
            assert_eq!(
                base.structure(&format!("{patient}{version}")).is_some(),
                is_there,
                "{version}"
            );
        }
    }
}
