//! The terminology of R4 itself, committed as a pack: the code systems, value sets and concept maps of
//! the definitions, of HL7 v3 and of HL7 v2. Made by `cargo xtask definitions`; unpacked at its first use
//! and item by item. Must not hold anything that is licensed.

use std::sync::{Arc, OnceLock};

use fhir::json::Value;

use crate::concept_map::ConceptMap;
use crate::error::TerminologyError;
use crate::library::{Contents, Item, Library, Shelf};
use crate::system::Damaged;
use crate::value_set::ValueSet;

const PACK: &[u8] = include_bytes!("../definitions/r4-terminology.pack");
/// Bytes the pack may unpack to.
const LARGEST: usize = 64 << 20;

/// The shelf of R4.
///
/// # Errors
/// Never with the committed pack; a test reads all of it.
pub fn shelf() -> Result<Arc<Shelf>, Damaged> {
    static SHELF: OnceLock<Result<Arc<Shelf>, Damaged>> = OnceLock::new();
    SHELF.get_or_init(|| unpack(PACK).map(Arc::new)).clone()
}

/// A library of R4 alone.
///
/// # Errors
/// As [`shelf`].
pub fn library() -> Result<Library, Damaged> {
    Ok(Library::new(vec![shelf()?]))
}

fn unpack(pack: &[u8]) -> Result<Shelf, Damaged> {
    let damaged = |error: &dyn core::fmt::Display| Damaged(error.to_string());
    let bytes = zstd::bulk::decompress(pack, LARGEST).map_err(|error| damaged(&error))?;
    let (contents, rest): (Contents, &[u8]) =
        postcard::take_from_bytes(&bytes).map_err(|error| damaged(&error))?;
    let start = bytes.len() - rest.len();
    Ok(Shelf::packed(contents, &Arc::from(bytes), start))
}

/// A pack in the making.
#[derive(Default)]
pub struct PackMaker {
    contents: Contents,
    systems: Vec<u8>,
    value_sets: Vec<u8>,
    maps: Vec<u8>,
}

impl PackMaker {
    /// Adds a CodeSystem, ValueSet or ConceptMap resource; others are left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, resource: Value<'_>) -> Result<(), TerminologyError> {
        let faulty = |error: &dyn core::fmt::Display| TerminologyError::Faulty {
            what: resource.get_str("url").unwrap_or_default().into_owned(),
            why: error.to_string(),
        };
        match resource.get_str("resourceType").as_deref() {
            Some("CodeSystem") => {
                let system = crate::system::from_resource(resource)?;
                let head = system.head();
                if let Some(set) = &head.value_set {
                    self.contents.whole.push((head.url.clone(), set.clone()));
                }
                let bytes = system.encode().map_err(|error| faulty(&error))?;
                self.contents.systems.push(item(&head.url, head.version.as_ref(), &bytes));
                self.systems.extend(bytes);
            }
            Some("ValueSet") => {
                let set = ValueSet::from_resource(resource)?;
                let bytes = postcard::to_stdvec(&set).map_err(|error| faulty(&error))?;
                self.contents.value_sets.push(item(&set.url, set.version.as_ref(), &bytes));
                self.value_sets.extend(bytes);
            }
            Some("ConceptMap") => {
                let map = ConceptMap::from_resource(resource);
                let bytes = postcard::to_stdvec(&map).map_err(|error| faulty(&error))?;
                self.contents.maps.push(item(&map.url, map.version.as_ref(), &bytes));
                self.maps.extend(bytes);
            }
            _ => {}
        }
        Ok(())
    }

    /// How many code systems, value sets and concept maps it holds.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let of = &self.contents;
        (of.systems.len(), of.value_sets.len(), of.maps.len())
    }

    /// The pack's bytes.
    ///
    /// # Errors
    /// A fault of the encoder.
    pub fn finish(&self) -> Result<Vec<u8>, Damaged> {
        let mut bytes =
            postcard::to_stdvec(&self.contents).map_err(|error| Damaged(error.to_string()))?;
        bytes.extend(&self.systems);
        bytes.extend(&self.value_sets);
        bytes.extend(&self.maps);
        zstd::bulk::compress(&bytes, 19).map_err(|error| Damaged(error.to_string()))
    }
}

fn item(url: &str, version: Option<&String>, bytes: &[u8]) -> Item {
    Item {
        url: url.to_owned(),
        version: version.cloned(),
        length: bytes.len() as u32,
    }
}
