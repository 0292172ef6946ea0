//! From an entry in the clear to what is stored of it: the leaf with its keyed commitments, and the
//! payload sealed under the subject's key. Runs on the caller's thread; only the writer's counter is
//! left open. Must not let a clear identifier into a leaf.

use ::ledger::leaf::{KeyId, Leaf};
use ::ledger::{Hash, leaf_hash};
use kernel::LogicalId;
use uuid::Uuid;

use crate::codec::{self, Content};
use crate::keys::{Dek, TenantKeys};
use crate::port::access::Entry;
use crate::port::change::CommitError;
use crate::port::error::StoreError;
use crate::port::ledger::Log;

/// An entry, ready for the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedEntry {
    /// Its log.
    pub log: Log,
    /// The leaf; writer and counter are set by [`PreparedEntry::number`].
    pub leaf: Leaf,
    /// The sealed payload, as stored.
    pub payload: Vec<u8>,
    /// The patient it is about, as `log_subject` keys it.
    pub subject: Option<i64>,
}

/// Seals and commits to an entry. `dek` is the subject's data key, or the tenant's for an entry about
/// nobody (and about a patient of whom nothing is stored); `content` is the served bytes of the version
/// that a change makes.
pub fn assemble(
    keys: &TenantKeys,
    dek: &Dek,
    nonce: [u8; 12],
    entry: &Entry,
    content: Option<&[u8]>,
) -> Result<PreparedEntry, CommitError> {
    let payload = codec::seal(
        dek,
        nonce,
        &codec::payload_binding(keys.tenant(), entry.id),
        Content::Entry,
        &entry.payload.to_bytes(),
    )?;
    let commit = dek.commitment_key();
    let resource = entry.object.as_ref().map(|(key, version)| {
        commit.resource(
            fhir::Definitions::r4().resource_name(key.ty),
            &key.id,
            *version,
            content,
        )
    });
    let leaf = Leaf {
        id: entry.id,
        time: entry.time,
        writer: Uuid::nil(),
        counter: 1,
        class: entry.class,
        outcome: entry.outcome,
        actor: keys.pseudonym(entry.payload.actor.id),
        subject: entry
            .subject
            .as_ref()
            .map(|patient| commit.subject(patient)),
        resource,
        payload: Some(Hash::of(&payload)),
        key: Some(KeyId(dek.kid())),
        reason: entry.reason.clone(),
        prior: entry.prior,
        erased: None,
        mark: entry.mark.clone(),
        gap: None,
    };
    // Refused here, on the caller's thread, so that the writer never meets a leaf it cannot write.
    leaf.to_bytes()
        .map_err(|_| CommitError::Malformed("an entry's fields are outside their ranges"))?;
    Ok(PreparedEntry {
        log: entry.log,
        leaf,
        payload,
        subject: entry
            .subject
            .as_ref()
            .map(|patient| subject_key(keys, patient)),
    })
}

/// How `log_subject` names a patient.
#[must_use]
pub fn subject_key(keys: &TenantKeys, patient: &LogicalId) -> i64 {
    keys.hasher().subject(patient)
}

impl PreparedEntry {
    /// Gives the entry its place in the writer's sequence: the leaf's bytes and hash.
    pub fn number(&mut self, writer: Uuid, counter: u64) -> Result<(Vec<u8>, Hash), StoreError> {
        self.leaf.writer = writer;
        self.leaf.counter = counter;
        let bytes = self
            .leaf
            .to_bytes()
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        let hash = leaf_hash(&bytes);
        Ok((bytes, hash))
    }
}
