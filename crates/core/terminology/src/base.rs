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
                self.contents
                    .systems
                    .push(item(&head.url, head.version.as_ref(), &bytes));
                self.systems.extend(bytes);
            }
            Some("ValueSet") => {
                let set = ValueSet::from_resource(resource)?;
                let bytes = postcard::to_stdvec(&set).map_err(|error| faulty(&error))?;
                self.contents
                    .value_sets
                    .push(item(&set.url, set.version.as_ref(), &bytes));
                self.value_sets.extend(bytes);
            }
            Some("ConceptMap") => {
                let map = ConceptMap::from_resource(resource);
                let bytes = postcard::to_stdvec(&map).map_err(|error| faulty(&error))?;
                self.contents
                    .maps
                    .push(item(&map.url, map.version.as_ref(), &bytes));
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

#[cfg(test)]
mod tests {
    use fhir::terminology::{Answer, Coded, Codes, Terminology};

    use super::*;
    use crate::engine::Engine;

    fn engine() -> Engine {
        Engine::new(library().unwrap())
    }

    #[test]
    fn everything_in_the_pack_unpacks() {
        let library = library().unwrap();
        let systems = library.system_names();
        let sets = library.value_set_names();
        assert!(systems.len() > 1000 && sets.len() > 1300 && library.maps().count() > 15);
        for (url, version) in systems {
            let system = library.system(&url, version.as_deref());
            assert!(system.is_some(), "{url}");
        }
        let engine = Engine::new(library.clone());
        let mut gaps = 0;
        for (url, version) in sets {
            assert!(
                library.value_set(&url, version.as_deref()).is_some(),
                "{url}"
            );
            let compiled = engine.value_set(&url);
            let compiled = compiled.unwrap_or_else(|error| panic!("{url}: {error}"));
            gaps += usize::from(!compiled.contents.gaps.is_empty());
        }
        // Those over SNOMED CT, LOINC and other systems that are licensed or not enumerated.
        assert!((50..250).contains(&gaps), "{gaps}");
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn the_definitions_answer_and_say_when_they_cannot() {
        let engine = engine();
        let ask = |set: &str, system: Option<&str>, code: &str| {
            let coded = Coded {
                system,
                version: None,
                code,
            };
            engine.member_of(set, &coded)
        };
        let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
        let gender_system = Some("http://hl7.org/fhir/administrative-gender");
        let table = [
            (gender, gender_system, "female", Answer::Yes),
            (gender, None, "female", Answer::Yes),
            (gender, gender_system, "fem", Answer::No),
            (gender, Some("http://other"), "female", Answer::No),
            (
                "http://hl7.org/fhir/ValueSet/nowhere",
                None,
                "x",
                Answer::Unknown,
            ),
            (
                "http://hl7.org/fhir/ValueSet/observation-status|4.0.1",
                None,
                "final",
                Answer::Yes,
            ),
            (
                "http://hl7.org/fhir/ValueSet/condition-code",
                Some("http://snomed.info/sct"),
                "386661006",
                Answer::Unknown,
            ),
            (
                "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode",
                Some("http://terminology.hl7.org/CodeSystem/v3-ActCode"),
                "AMB",
                Answer::Yes,
            ),
            (
                "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode",
                Some("http://terminology.hl7.org/CodeSystem/v3-ActCode"),
                "CHLDCARE",
                Answer::No,
            ),
            (
                "http://hl7.org/fhir/ValueSet/mimetypes",
                None,
                "text/plain",
                Answer::Yes,
            ),
            (
                "http://hl7.org/fhir/ValueSet/mimetypes",
                None,
                "text",
                Answer::No,
            ),
            (
                "http://hl7.org/fhir/ValueSet/all-languages",
                Some("urn:ietf:bcp:47"),
                "de-AT",
                Answer::Yes,
            ),
        ];
        for (set, system, code, expected) in table {
            assert_eq!(ask(set, system, code), expected, "{set} {system:?} {code}");
        }
        let act = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
        assert_eq!(
            engine.subsumes(act, "_ActEncounterCode", "AMB"),
            Answer::Yes
        );
        assert_eq!(engine.subsumes(act, "AMB", "_ActEncounterCode"), Answer::No);
        assert_eq!(
            engine.subsumes("http://snomed.info/sct", "1", "2"),
            Answer::Unknown
        );
        let Codes::Known(codes) = engine.codes_of(gender, 10) else {
            panic!("the genders are known")
        };
        assert_eq!(codes.len(), 4);
        assert_eq!(engine.codes_of(gender, 3), Codes::TooMany);
        let Codes::Known(above) = engine.ancestors(act, "AMB", 10) else {
            panic!("its ancestors are known")
        };
        assert!(above.iter().any(|one| &*one.code == "_ActEncounterCode"));
        let coded = Coded {
            system: gender_system,
            version: None,
            code: "female",
        };
        assert_eq!(engine.display(&coded).as_deref(), Some("Female"));
    }
}
