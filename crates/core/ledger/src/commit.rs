//! Keyed commitments: what a leaf says about a patient, a resource or an actor without naming it. Nobody
//! without the key can guess or link them; with the key gone they are noise. Must not hold keys longer
//! than its caller does.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use kernel::{ActorId, LogicalId, VersionId};
use sha2::Sha256;

use crate::hash::Hash;
use crate::leaf::Pseudonym;

/// A key for commitments: the subject's for `subj` and `res`, the tenant's for `actor`. Keeps the keyed
/// state ready, so that a commitment costs no key set-up.
#[derive(Clone)]
pub struct CommitKey(Hmac<Sha256>);

impl fmt::Debug for CommitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitKey(secret)")
    }
}

impl CommitKey {
    /// From 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        Self(Hmac::new(&block))
    }

    /// The commitment to a patient.
    #[must_use]
    pub fn subject(&self, patient: &LogicalId) -> Hash {
        self.over("theriac/subject/v1", &[patient.as_str().as_bytes()])
    }
    /// The commitment to a resource version: type, id, version where one is, and the served bytes where
    /// the entry is about a change.
    #[must_use]
    pub fn resource(
        &self,
        ty: &str,
        id: &LogicalId,
        version: Option<VersionId>,
        content: Option<&[u8]>,
    ) -> Hash {
        let version = version.map_or(0, |version| version.0).to_be_bytes();
        let name = [ty.as_bytes(), id.as_str().as_bytes(), version.as_slice()];
        match content {
            Some(content) => {
                let [ty, id, version] = name;
                self.over("theriac/content/v1", &[ty, id, version, content])
            }
            None => self.over("theriac/resource/v1", &name),
        }
    }
    /// The actor's pseudonym.
    #[must_use]
    pub fn actor(&self, actor: ActorId) -> Pseudonym {
        let full = self.over("theriac/actor/v1", &[actor.as_uuid().as_bytes()]);
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(full.0) {
            *to = from;
        }
        Pseudonym(half)
    }

    /// HMAC-SHA256 over the domain and the parts, each behind its length, so that no two lists of parts
    /// give the same input.
    #[must_use]
    pub fn over(&self, domain: &str, parts: &[&[u8]]) -> Hash {
        let mut mac = self.0.clone();
        for part in core::iter::once(&domain.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Hash(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn commitments_are_hmac_sha256_over_length_prefixed_parts() {
        let key = CommitKey::new(&[0x0b; 32]);
        // Computed with Python's hmac module over the documented input.
        let id: LogicalId = "p1".parse().unwrap();
        assert_eq!(
            HEXLOWER.encode(&key.subject(&id).0),
            "f92a721d431247d7210bc7ad56da608fe86a8d496f303197defe0ce24e732442"
        );
    }

    #[test]
    fn keys_domains_and_parts_separate() {
        let key = CommitKey::new(&[1; 32]);
        let (one, two): (LogicalId, LogicalId) = ("a".parse().unwrap(), "aa".parse().unwrap());
        let version = Some(VersionId::FIRST);
        let actor = ActorId::from_uuid(Uuid::from_u128(1));
        let all = [
            key.subject(&one),
            key.subject(&two),
            CommitKey::new(&[2; 32]).subject(&one),
            key.resource("A", &one, None, None),
            key.resource("A", &one, version, None),
            key.resource("A", &one, version, Some(b"")),
            key.resource("A", &one, version, Some(b"x")),
            key.resource("Aa", &one, version, None),
            key.resource("A", &two, version, None),
            key.over("x", &[b"ab", b"c"]),
            key.over("x", &[b"a", b"bc"]),
        ];
        for (at, hash) in all.iter().enumerate() {
            assert!(!all[..at].contains(hash), "{at}");
        }
        assert_ne!(key.actor(actor), CommitKey::new(&[2; 32]).actor(actor));
        assert_eq!(format!("{key:?}"), "CommitKey(secret)");
    }
}
