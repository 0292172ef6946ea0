//! The stored form of one code system: a mark, the layout's number, and a zstd frame with a checksum
//! around the tables. Reading it refuses everything that is not whole.

use crate::system::{CodeSystem, Damaged};

const MARK: &[u8; 7] = b"THRTERM";
/// The layout; another number is another layout.
const LAYOUT: u8 = 1;
/// Bytes a code system may unpack to.
const LARGEST: usize = 4 << 30;
const LEVEL: i32 = 9;

/// Packs a code system with its words.
///
/// # Errors
/// A fault of the encoder.
pub fn pack(system: &CodeSystem) -> Result<Vec<u8>, Damaged> {
    let tables = system.encode()?;
    let mut bytes = Vec::with_capacity(tables.len() / 3);
    bytes.extend(MARK);
    bytes.push(LAYOUT);
    bytes.extend((tables.len() as u64).to_le_bytes());
    let failed = |error: std::io::Error| Damaged(error.to_string());
    let mut encoder = zstd::Encoder::new(&mut bytes, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    std::io::Write::write_all(&mut encoder, &tables).map_err(failed)?;
    encoder.finish().map_err(failed)?;
    Ok(bytes)
}

/// Reads it back.
///
/// # Errors
/// Another mark or layout, a damaged frame, tables that do not fit together.
pub fn unpack(bytes: &[u8]) -> Result<CodeSystem, Damaged> {
    let damaged = |what: &str| Damaged(what.to_owned());
    let rest = bytes
        .strip_prefix(MARK.as_slice())
        .ok_or_else(|| damaged("it is no packed code system"))?;
    let (layout, rest) = rest.split_first().ok_or_else(|| damaged("it is cut"))?;
    if *layout != LAYOUT {
        return Err(Damaged(format!(
            "its layout is {layout}, this version reads {LAYOUT}: load the code system again"
        )));
    }
    let (size, frame) = rest
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged("it is cut"))?;
    let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
    if size > LARGEST || size / 4096 > frame.len() {
        return Err(damaged("it claims to be larger than it can be"));
    }
    let tables = zstd::bulk::decompress(frame, size).map_err(|error| Damaged(error.to_string()))?;
    if tables.len() != size {
        return Err(damaged("it is cut"));
    }
    CodeSystem::decode(&tables)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::system::tests::zoo;

    #[test]
    fn a_code_system_is_packed_and_unpacked() {
        let mut system = zoo();
        system.store_words();
        let bytes = pack(&system).unwrap();
        let again = unpack(&bytes).unwrap();
        assert_eq!(again.canonical(), "http://zoo|2");
        assert_eq!(again.display(again.find("4").unwrap()), "Cat");
        assert_eq!(again.words().search("dog").iter().count(), 1);
        let mut other = bytes.clone();
        other[7] = 9;
        let error = unpack(&other).unwrap_err().to_string();
        assert!(error.contains("load the code system again"), "{error}");
    }

    proptest! {
        #[test]
        fn damage_is_always_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = pack(&zoo()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // The frame's own header has bits that mean nothing.
            if let Ok(system) = unpack(&bytes) {
                prop_assert_eq!(system.canonical(), "http://zoo|2");
            }
            prop_assert!(unpack(&bytes[..at]).is_err());
        }

        #[test]
        fn noise_is_always_refused(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(unpack(&noise).is_err());
            let mut marked = MARK.to_vec();
            marked.push(LAYOUT);
            marked.extend(noise);
            prop_assert!(unpack(&marked).is_err());
        }
    }
}
