//! The stored form of a list of products: a mark, the layout's number, and a zstd frame with a checksum
//! around the table. Ingredients stand by key and name, so that a list outlives the knowledge it was read
//! with. Reading it refuses everything that is not whole.

use std::collections::HashMap;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use super::{Component, DictionaryError, Product, Schedule, Strength, System, ingredient};
use crate::gs1::Gtin;
use crate::knowledge::{IngredientId, Knowledge};

const MARK: &[u8; 7] = b"THRPROD";
/// The layout; another number is another layout.
const LAYOUT: u8 = 1;
/// Bytes a list may unpack to.
const LARGEST: usize = 1 << 30;
const LEVEL: i32 = 9;

/// A value with the unit, and the same for what it is in.
type Amount = (String, String, Option<(String, String)>);

#[derive(Serialize, Deserialize)]
struct Part {
    name: String,
    key: Option<String>,
    strength: Option<Amount>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    parts: Vec<Part>,
    form: Option<String>,
    route: Option<String>,
    schedule: Option<u8>,
    codes: Vec<(u8, String)>,
    gtins: Vec<u64>,
}

fn damaged(what: impl Into<String>) -> DictionaryError {
    DictionaryError::Damaged(what.into())
}

/// Packs a list.
///
/// # Errors
/// A fault of the encoder.
pub fn pack(products: &[Product], knowledge: &Knowledge) -> Result<Vec<u8>, DictionaryError> {
    let keys: HashMap<IngredientId, &str> = knowledge
        .ingredients()
        .map(|(id, own)| (id, own.key.as_str()))
        .collect();
    let rows: Vec<Row> = products.iter().map(|own| row(own, &keys)).collect();
    let table = postcard::to_stdvec(&rows).map_err(|error| damaged(error.to_string()))?;
    let mut bytes = Vec::with_capacity(table.len() / 4);
    bytes.extend(MARK);
    bytes.push(LAYOUT);
    bytes.extend((table.len() as u64).to_le_bytes());
    let failed = |error: std::io::Error| damaged(error.to_string());
    let mut encoder = zstd::Encoder::new(&mut bytes, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    encoder.write_all(&table).map_err(failed)?;
    encoder.finish().map_err(failed)?;
    Ok(bytes)
}

fn row(own: &Product, keys: &HashMap<IngredientId, &str>) -> Row {
    let parts = own.components.iter().map(|one| Part {
        name: one.name.clone(),
        key: one
            .ingredient
            .and_then(|id| keys.get(&id))
            .map(|key| (*key).to_owned()),
        strength: one.strength.as_ref().map(|own| {
            let per = own.per.as_ref();
            let per = per.map(|(value, unit)| (value.to_string(), unit.clone()));
            (own.value.to_string(), own.unit.clone(), per)
        }),
    });
    let codes = own.codes.iter().map(|(system, code)| {
        let number = match system {
            System::Dmd => 1,
            System::RxNorm => 2,
        };
        (number, code.clone())
    });
    Row {
        name: own.name.clone(),
        parts: parts.collect(),
        form: own.form.clone(),
        route: own.route.clone(),
        schedule: own.schedule.map(|own| own as u8),
        codes: codes.collect(),
        gtins: own.gtins.iter().map(|own| own.number()).collect(),
    }
}

/// Reads it back, with the ingredients of this knowledge.
///
/// # Errors
/// Another mark or layout, a damaged frame, a row that is none.
pub fn unpack(bytes: &[u8], knowledge: &Knowledge) -> Result<Vec<Product>, DictionaryError> {
    let rest = bytes.strip_prefix(MARK.as_slice());
    let rest = rest.ok_or_else(|| damaged("is none"))?;
    let (layout, rest) = rest.split_first().ok_or_else(|| damaged("is cut"))?;
    if *layout != LAYOUT {
        return Err(damaged(format!(
            "has the layout {layout}, and this version reads {LAYOUT}"
        )));
    }
    let (size, frame) = rest
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged("is cut"))?;
    let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
    if size > LARGEST || size / 4096 > frame.len() {
        return Err(damaged("claims to be larger than it can be"));
    }
    let table = zstd::bulk::decompress(frame, size).map_err(|error| damaged(error.to_string()))?;
    if table.len() != size {
        return Err(damaged("is cut"));
    }
    let rows: Vec<Row> =
        postcard::from_bytes(&table).map_err(|error| damaged(error.to_string()))?;
    let ids: HashMap<&str, IngredientId> = knowledge
        .ingredients()
        .map(|(id, own)| (own.key.as_str(), id))
        .collect();
    let read = |own: Row| product(own, &ids, knowledge);
    let all: Option<Vec<Product>> = rows.into_iter().map(read).collect();
    all.ok_or_else(|| damaged("has a row that is none"))
}

fn product(own: Row, ids: &HashMap<&str, IngredientId>, knowledge: &Knowledge) -> Option<Product> {
    let component = |part: Part| -> Option<Component> {
        let by_key = part.key.as_deref().and_then(|key| ids.get(key)).copied();
        let strength = match part.strength {
            None => None,
            Some((value, unit, per)) => Some(Strength {
                value: value.parse().ok()?,
                unit,
                per: match per {
                    None => None,
                    Some((value, unit)) => Some((value.parse().ok()?, unit)),
                },
            }),
        };
        Some(Component {
            ingredient: by_key.or_else(|| ingredient(knowledge, &part.name)),
            name: part.name,
            strength,
        })
    };
    let code = |(number, code): (u8, String)| match number {
        1 => Some((System::Dmd, code)),
        2 => Some((System::RxNorm, code)),
        _ => None,
    };
    Some(Product {
        name: own.name,
        components: own
            .parts
            .into_iter()
            .map(component)
            .collect::<Option<_>>()?,
        form: own.form,
        route: own.route,
        schedule: match own.schedule {
            None => None,
            Some(number) => Some(schedule(number)?),
        },
        codes: own.codes.into_iter().map(code).collect::<Option<_>>()?,
        gtins: own
            .gtins
            .into_iter()
            .map(Gtin::of_number)
            .collect::<Option<_>>()?,
    })
}

const fn schedule(number: u8) -> Option<Schedule> {
    Some(match number {
        0 => Schedule::One,
        1 => Schedule::Two,
        2 => Schedule::Three,
        3 => Schedule::Four,
        4 => Schedule::Five,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dictionary::{Dictionary, built_in};
    use crate::knowledge::builtin;

    fn known() -> &'static Knowledge {
        builtin::built_in().unwrap()
    }

    #[test]
    fn a_list_comes_back_as_it_was() {
        let list = built_in(known()).unwrap();
        let packed = pack(list.products(), known()).unwrap();
        let back = unpack(&packed, known()).unwrap();
        assert_eq!(back, list.products());
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let list = built_in(known()).unwrap();
        let packed = pack(list.products(), known()).unwrap();
        assert!(unpack(b"", known()).is_err());
        assert!(unpack(b"THRTERM\x01", known()).is_err());
        for at in (0..packed.len()).step_by(97).chain([packed.len() - 1]) {
            assert!(unpack(&packed[..at], known()).is_err(), "cut at {at}");
            let mut other = packed.clone();
            other[at] ^= 1;
            // A bit of the size's upper bytes or of the frame: nothing else than the list comes out.
            if let Ok(read) = unpack(&other, known()) {
                assert_eq!(read, list.products(), "bit at {at}");
            }
        }
        let mut later = packed.clone();
        later[7] = 9;
        let error = unpack(&later, known()).unwrap_err().to_string();
        assert!(
            error.contains("layout 9") && error.ends_with("load it again"),
            "{error}"
        );
    }

    #[test]
    fn a_loaded_list_lies_over_the_built_in_one() {
        let base = Arc::new(built_in(known()).unwrap());
        let mut own = base
            .by_name("Morphine 10mg/5ml oral solution")
            .unwrap()
            .clone();
        own.name = "Oramorph 10mg/5ml".to_owned();
        own.schedule = Some(Schedule::Two);
        let twins: Vec<Product> = (0..2)
            .map(|_| Product {
                name: "Twin".to_owned(),
                gtins: base
                    .by_name("Ibuprofen 200mg tablet")
                    .unwrap()
                    .gtins
                    .clone(),
                ..own.clone()
            })
            .collect();
        let gtin = own.gtins[0];
        let list = Dictionary::of([vec![own], twins].concat()).over(Arc::clone(&base));
        assert_eq!(list.by_gtin(gtin).unwrap().name, "Oramorph 10mg/5ml");
        assert!(list.by_name("Paracetamol 500mg tablet").is_some());
        // Two of the list above share a number: what is below does not decide between them.
        let shared = base.by_name("Ibuprofen 200mg tablet").unwrap().gtins[0];
        assert_eq!(list.by_gtin(shared), None);
        let morphine = ingredient(known(), "morphine").unwrap();
        assert_eq!(list.strictest(morphine), Some(Schedule::Two));
    }
}
