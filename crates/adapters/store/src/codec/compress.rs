//! Compression with dictionaries trained on what is stored: small JSON shrinks to a third of what it
//! shrinks to alone, in less time, since the tables come ready. Dictionaries are numbered and never
//! changed, as stored bytes need theirs: a better one gets a new number. `cargo xtask dictionaries` makes
//! them. Must not seal.

use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::CParameter;

use super::damaged;
use crate::port::error::StoreError;

/// zstd's fastest level with entropy coding.
const LEVEL: i32 = 1;

/// What is compressed: which dictionary suits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A FHIR resource's version.
    Resource,
    /// A ledger entry's payload.
    Entry,
    /// A document of the platform: few and of many kinds, so none.
    Document,
}

impl Content {
    /// The number of the dictionary that new bytes are compressed with.
    pub(super) const fn dictionary(self) -> Option<u8> {
        match self {
            Self::Resource => Some(1),
            Self::Entry => Some(2),
            Self::Document => None,
        }
    }
}

struct Dictionary {
    encoder: EncoderDictionary<'static>,
    decoder: DecoderDictionary<'static>,
}

impl Dictionary {
    fn new(bytes: &'static [u8]) -> Self {
        Self {
            encoder: EncoderDictionary::copy(bytes, LEVEL),
            decoder: DecoderDictionary::copy(bytes),
        }
    }
}

/// By number, from 1 on.
static DICTIONARIES: [LazyLock<Dictionary>; 2] = [
    LazyLock::new(|| Dictionary::new(include_bytes!("../../dictionaries/resource-1.zdict"))),
    LazyLock::new(|| Dictionary::new(include_bytes!("../../dictionaries/entry-2.zdict"))),
];

fn dictionary(number: u8) -> Option<&'static Dictionary> {
    let place = usize::from(number).checked_sub(1)?;
    DICTIONARIES.get(place).map(|dictionary| &**dictionary)
}

type Slots<T> = RefCell<[Option<T>; DICTIONARIES.len() + 1]>;

thread_local! {
    // By number of dictionary; 0 without one.
    static COMPRESSORS: Slots<Compressor<'static>> = const { RefCell::new([const { None }; DICTIONARIES.len() + 1]) };
    static DECOMPRESSORS: Slots<Decompressor<'static>> = const { RefCell::new([const { None }; DICTIONARIES.len() + 1]) };
}

/// A zstd frame of `plain`.
pub(super) fn compress(content: Content, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let failed = |error: std::io::Error| StoreError::Engine(format!("compression: {error}"));
    let number = content.dictionary();
    COMPRESSORS.with_borrow_mut(|slots| {
        let slot = slots
            .get_mut(usize::from(number.unwrap_or_default()))
            .ok_or_else(|| StoreError::Engine("a dictionary is missing".to_owned()))?;
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(compressor(number).map_err(failed)?),
        };
        compressor.compress(plain).map_err(failed)
    })
}

fn compressor(number: Option<u8>) -> std::io::Result<Compressor<'static>> {
    let mut compressor = match number.and_then(dictionary) {
        Some(dictionary) => Compressor::with_prepared_dictionary(&dictionary.encoder)?,
        None => Compressor::new(LEVEL)?,
    };
    // Both are kept beside the frame.
    compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    Ok(compressor)
}

/// The bytes of a frame, `length` of them.
pub(super) fn decompress(
    number: Option<u8>,
    frame: &[u8],
    length: usize,
) -> Result<Vec<u8>, StoreError> {
    let failed = |error: std::io::Error| damaged(&error.to_string());
    DECOMPRESSORS.with_borrow_mut(|slots| {
        let slot = slots
            .get_mut(usize::from(number.unwrap_or_default()))
            .ok_or_else(|| damaged("its dictionary is unknown: use a newer program"))?;
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(
                match number.and_then(dictionary) {
                    Some(dictionary) => Decompressor::with_prepared_dictionary(&dictionary.decoder),
                    None => Decompressor::new(),
                }
                .map_err(failed)?,
            ),
        };
        let plain = decompressor.decompress(frame, length).map_err(failed)?;
        if plain.len() == length {
            Ok(plain)
        } else {
            Err(damaged("it is shorter than it was"))
        }
    })
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    /// Stored bytes open with the very dictionary that made them: a new one gets a new number.
    #[test]
    fn dictionaries_never_change() {
        let files: [(&[u8], &str); 2] = [
            (
                include_bytes!("../../dictionaries/resource-1.zdict"),
                "XmA8ai5YAvHICzwxVLLVyYGSrR2iW8wTlPMyizg1zpc=",
            ),
            (
                include_bytes!("../../dictionaries/entry-2.zdict"),
                "3k8YbWhqy8MHfWUwGqJI+FUvOoXILwFNHlT4Px51sRE=",
            ),
        ];
        for (bytes, expected) in files {
            let found: [u8; 32] = Sha256::digest(bytes).into();
            assert_eq!(ledger::Hash(found).to_base64(), expected);
        }
    }
}
