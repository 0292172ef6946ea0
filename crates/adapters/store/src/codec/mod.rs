//! How bodies and payloads lie in storage: one tag byte, then the bytes as they are, compressed, or
//! sealed. Must not choose keys: callers bring the data key and the nonce.

mod compress;

use bytes::Bytes;
use kernel::{TenantId, VersionId};
use smallvec::SmallVec;

pub use self::compress::Content;
use self::compress::{compress, decompress};
use crate::keys::{Dek, Kid};
use crate::port::error::StoreError;
use crate::port::resource::ResourceKey;

/// Tag: the bytes follow as they are.
const PLAIN: u8 = 0;
/// Tag: length (4, little endian), then a zstd frame.
const ZSTD: u8 = 1;
/// Tag: key id (16), nonce (12), AES-256-GCM of an inner plain or zstd coding, tag (16).
const SEALED: u8 = 2;
/// Tag: number of the dictionary, length (4, little endian), then a zstd frame made with it.
const ZSTD_WITH_DICTIONARY: u8 = 3;

const KID_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + KID_BYTES + NONCE_BYTES;
/// Smaller ones rarely shrink.
const COMPRESS_FROM: usize = 64;
/// Largest body accepted back from a compressed form, so that damage cannot ask for much memory.
const PLAIN_LIMIT: u64 = 1 << 30;

/// Associated data: what a sealed form is bound to, so that it opens nowhere else.
pub type Binding = SmallVec<[u8; 128]>;

/// Binds a body to its tenant, resource and version.
#[must_use]
pub fn body_binding(tenant: TenantId, key: &ResourceKey, version: VersionId) -> Binding {
    let mut binding = Binding::new();
    binding.extend_from_slice(b"body");
    binding.extend_from_slice(tenant.as_uuid().as_bytes());
    binding.extend_from_slice(&key.ty.0.to_le_bytes());
    binding.extend_from_slice(&version.0.to_le_bytes());
    binding.extend_from_slice(key.id.as_str().as_bytes());
    binding
}

/// Binds a payload to its tenant and entry.
#[must_use]
pub fn payload_binding(tenant: TenantId, entry: uuid::Uuid) -> Binding {
    let mut binding = Binding::new();
    binding.extend_from_slice(b"entry");
    binding.extend_from_slice(tenant.as_uuid().as_bytes());
    binding.extend_from_slice(entry.as_bytes());
    binding
}

/// Binds a document to its tenant, kind and id.
#[must_use]
pub fn doc_binding(tenant: TenantId, kind: u8, id: &str) -> Binding {
    let mut binding = Binding::new();
    binding.extend_from_slice(b"doc");
    binding.extend_from_slice(tenant.as_uuid().as_bytes());
    binding.push(kind);
    binding.extend_from_slice(id.as_bytes());
    binding
}

/// Compresses where it helps, then seals.
pub fn seal(
    dek: &Dek,
    nonce: [u8; NONCE_BYTES],
    binding: &[u8],
    content: Content,
    plain: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::with_capacity(
        HEADER_BYTES + plain.len().min(COMPRESS_FROM.max(plain.len() / 2)) + TAG_BYTES + 8,
    );
    out.push(SEALED);
    out.extend_from_slice(&dek.kid());
    out.extend_from_slice(&nonce);
    pack_into(&mut out, content, plain)?;
    let (header, inner) = out.split_at_mut(HEADER_BYTES);
    let _ = header;
    let tag = dek.encrypt(&nonce, binding, inner)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// The key a sealed form needs; `None` for a form that is not sealed.
#[must_use]
pub fn kid_of(stored: &[u8]) -> Option<Kid> {
    match stored.split_first() {
        Some((&SEALED, rest)) => rest.get(..KID_BYTES)?.try_into().ok(),
        _ => None,
    }
}

/// Opens a sealed form.
pub fn open(dek: &Dek, binding: &[u8], stored: &[u8]) -> Result<Bytes, StoreError> {
    let damaged = || StoreError::Damaged {
        place: "a sealed body".to_owned(),
        detail: "it does not open".to_owned(),
    };
    let nonce: [u8; NONCE_BYTES] = stored
        .get(1 + KID_BYTES..HEADER_BYTES)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(damaged)?;
    let end = stored
        .len()
        .checked_sub(TAG_BYTES)
        .filter(|end| *end > HEADER_BYTES)
        .ok_or_else(damaged)?;
    let mut inner = stored.get(HEADER_BYTES..end).ok_or_else(damaged)?.to_vec();
    let tag: [u8; TAG_BYTES] = stored
        .get(end..)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(damaged)?;
    dek.decrypt(&nonce, binding, &mut inner, &tag)
        .map_err(|_| damaged())?;
    unpack(inner)
}

fn pack_into(out: &mut Vec<u8>, content: Content, plain: &[u8]) -> Result<(), StoreError> {
    if plain.len() >= COMPRESS_FROM {
        let frame = compress(content, plain)?;
        if frame.len() + 6 < plain.len() {
            match content.dictionary() {
                Some(number) => out.extend_from_slice(&[ZSTD_WITH_DICTIONARY, number]),
                None => out.push(ZSTD),
            }
            out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
            out.extend_from_slice(&frame);
            return Ok(());
        }
    }
    out.push(PLAIN);
    out.extend_from_slice(plain);
    Ok(())
}

fn damaged(detail: &str) -> StoreError {
    StoreError::Damaged {
        place: "a stored body".to_owned(),
        detail: detail.to_owned(),
    }
}

fn unpack(inner: Vec<u8>) -> Result<Bytes, StoreError> {
    let (dictionary, rest) = match inner.as_slice() {
        [PLAIN, ..] => return Ok(Bytes::from(inner).slice(1..)),
        [ZSTD, rest @ ..] => (None, rest),
        [ZSTD_WITH_DICTIONARY, number, rest @ ..] => (Some(*number), rest),
        _ => return Err(damaged("its coding is unknown")),
    };
    let (length, frame) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| damaged("its length is missing"))?;
    let length = u64::from(u32::from_le_bytes(*length));
    if length > PLAIN_LIMIT {
        return Err(damaged("its length is absurd"));
    }
    decompress(dictionary, frame, length as usize).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dek() -> Dek {
        Dek::new([3; 16], &[9; 32])
    }

    fn content() -> impl Strategy<Value = Content> {
        prop::sample::select(vec![Content::Resource, Content::Entry, Content::Document])
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(plain in prop::collection::vec(0u8..4, 0..900), nonce in any::<[u8; 12]>(), content in content()) {
            let sealed = seal(&dek(), nonce, b"here", content, &plain).unwrap();
            prop_assert_eq!(kid_of(&sealed), Some([3; 16]));
            let opened = open(&dek(), b"here", &sealed).unwrap();
            prop_assert_eq!(opened.as_ref(), plain.as_slice());
            prop_assert!(open(&dek(), b"elsewhere", &sealed).is_err());
        }

        #[test]
        fn a_flipped_bit_is_found(plain in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), content in content()) {
            let mut sealed = seal(&dek(), [1; 12], b"here", content, &plain).unwrap();
            let at = 17 + at.index(sealed.len() - 17);
            sealed[at] ^= 1;
            prop_assert!(open(&dek(), b"here", &sealed).is_err());
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = kid_of(&bytes);
            prop_assert!(open(&dek(), b"", &bytes).is_err());
            let _ = unpack(bytes);
        }
    }

    #[test]
    fn repetitive_bodies_shrink() {
        let one: &[u8] = br#"{"resourceType":"Observation","status":"final"}"#;
        let plain = one.repeat(20);
        for content in [Content::Resource, Content::Document] {
            let sealed = seal(&dek(), [0; 12], b"", content, &plain).unwrap();
            assert!(sealed.len() < plain.len() / 4);
        }
    }

    #[test]
    fn what_was_stored_without_a_dictionary_still_opens() {
        let plain = b"{\"resourceType\":\"Patient\"}".repeat(9);
        let mut stored = vec![ZSTD];
        stored.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        stored.extend_from_slice(&compress(Content::Document, &plain).unwrap());
        assert_eq!(unpack(stored).unwrap(), plain);
        assert!(unpack([&[ZSTD_WITH_DICTIONARY, 99, 4, 0, 0, 0][..], &plain].concat()).is_err());
    }
}
