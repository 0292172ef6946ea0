//! A unit made ready for a writer, on the caller's thread: bodies sealed, entries assembled, criteria and
//! look-ups hashed. Must not touch storage: data keys are brought by the caller.

use std::collections::HashMap;
use std::sync::Arc;

use kernel::{Ids, LogicalId, RowId, VersionId};

use crate::assemble::{PreparedEntry, assemble};
use crate::codec::{self, Content};
use crate::index::PackedIndex;
use crate::keys::{Dek, Kid, SubjectTag, TenantKeys};
use crate::port::access::Entry;
use crate::port::change::{Change, ChangeKind, CommitError, Expected, Unit};
use crate::port::doc::{DocExpected, DocKind, DocWrite};
use crate::port::error::StoreError;
use crate::port::resource::ResourceKey;
use crate::query::Query;

/// A change, ready to be written.
#[derive(Debug)]
pub struct PreparedChange {
    /// Which resource.
    pub key: ResourceKey,
    /// Hash of its name.
    pub rh: i64,
    /// What its head must be.
    pub expected: Expected,
    /// Its row.
    pub row: RowId,
    /// The new version.
    pub version: VersionId,
    /// The new version's row.
    pub version_row: RowId,
    /// What makes it.
    pub kind: ChangeKind,
    /// The sealed body; `None` for a deletion.
    pub body: Option<Vec<u8>>,
    /// The key it is sealed under.
    pub kid: Kid,
    /// What it is found by.
    pub index: PackedIndex,
    /// The same, encoded.
    pub ix: Vec<u8>,
    /// Its entry.
    pub entry: PreparedEntry,
}

/// A guard, ready to be run.
#[derive(Debug)]
pub struct PreparedGuard {
    /// The criteria.
    pub query: Query,
    /// The rows seen, sorted.
    pub seen: Vec<RowId>,
}

/// A document's write, ready to be written.
#[derive(Debug)]
pub struct PreparedDoc {
    /// Its kind.
    pub kind: DocKind,
    /// Its id.
    pub id: String,
    /// What must be there.
    pub expected: DocExpected,
    /// The sealed body; `None` deletes.
    pub body: Option<Vec<u8>>,
    /// When written, in microseconds.
    pub updated: i64,
    /// When it may be swept, in microseconds.
    pub expires: Option<i64>,
    /// Keyed hashes of its look-ups, with their names.
    pub lookups: Vec<(&'static str, [u8; 16])>,
}

/// A unit, ready for a writer.
#[derive(Debug, Default)]
pub struct PreparedUnit {
    /// New versions.
    pub changes: Vec<PreparedChange>,
    /// Conditions.
    pub guards: Vec<PreparedGuard>,
    /// Documents.
    pub docs: Vec<PreparedDoc>,
    /// Further entries.
    pub entries: Vec<PreparedEntry>,
}

/// Data keys by subject, brought by the adapter.
pub type DataKeys = HashMap<SubjectTag, Arc<Dek>>;

/// The patients whose data keys a unit needs, made where there are none; each once.
#[must_use]
pub fn subjects(unit: &Unit) -> Vec<&LogicalId> {
    let mut found: Vec<&LogicalId> = unit
        .changes
        .iter()
        .filter_map(|change| change.subject.as_ref())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Prepares a unit. `deks` holds the keys of [`subjects`], and of whatever other patients the entries are
/// about and have keys; an entry about a patient without one is sealed under the tenant's.
pub fn prepare(
    keys: &TenantKeys,
    deks: &DataKeys,
    ids: &dyn Ids,
    unit: Unit,
) -> Result<PreparedUnit, CommitError> {
    let maker = Maker { keys, deks, ids };
    Ok(PreparedUnit {
        changes: unit
            .changes
            .into_iter()
            .map(|change| maker.change(change))
            .collect::<Result<_, _>>()?,
        guards: unit
            .guards
            .into_iter()
            .map(|guard| {
                let mut seen = guard.seen;
                seen.sort_unstable();
                seen.dedup();
                Ok(PreparedGuard {
                    query: Query::new(keys.hasher(), &guard.plan)?,
                    seen,
                })
            })
            .collect::<Result<_, CommitError>>()?,
        docs: unit
            .docs
            .into_iter()
            .map(|doc| maker.doc(doc))
            .collect::<Result<_, _>>()?,
        entries: unit
            .entries
            .iter()
            .map(|entry| maker.entry(entry, None))
            .collect::<Result<_, _>>()?,
    })
}

/// Prepares entries alone: looks, and the entry of an erasure.
pub fn prepare_entries(
    keys: &TenantKeys,
    deks: &DataKeys,
    ids: &dyn Ids,
    entries: &[Entry],
) -> Result<Vec<PreparedEntry>, CommitError> {
    let maker = Maker { keys, deks, ids };
    entries
        .iter()
        .map(|entry| maker.entry(entry, None))
        .collect()
}

struct Maker<'a> {
    keys: &'a TenantKeys,
    deks: &'a DataKeys,
    ids: &'a dyn Ids,
}

impl Maker<'_> {
    fn dek(&self, patient: Option<&LogicalId>) -> &Arc<Dek> {
        patient
            .and_then(|patient| self.deks.get(&self.keys.subject_tag(patient)))
            .unwrap_or_else(|| self.keys.tenant_dek())
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        self.ids.fill(&mut nonce);
        nonce
    }

    fn entry(&self, entry: &Entry, content: Option<&[u8]>) -> Result<PreparedEntry, CommitError> {
        assemble(
            self.keys,
            self.dek(entry.subject.as_ref()),
            self.nonce(),
            entry,
            content,
        )
    }

    fn change(&self, change: Change) -> Result<PreparedChange, CommitError> {
        let dek = self.dek(change.subject.as_ref());
        if change.subject.is_some() && dek.kid() == self.keys.tenant_dek().kid() {
            return Err(StoreError::Engine("a patient's data key was not made".to_owned()).into());
        }
        let body = if change.kind == ChangeKind::Delete {
            None
        } else {
            let binding = codec::body_binding(self.keys.tenant(), &change.key, change.version);
            Some(codec::seal(
                dek,
                self.nonce(),
                &binding,
                Content::Resource,
                &change.body,
            )?)
        };
        let content = body.is_some().then_some(change.body.as_slice());
        Ok(PreparedChange {
            rh: self
                .keys
                .hasher()
                .local(change.key.ty, change.key.id.as_str()),
            entry: self.entry(&change.entry, content)?,
            kid: dek.kid(),
            ix: change.index.encode(),
            key: change.key,
            expected: change.expected,
            row: change.row,
            version: change.version,
            version_row: change.version_row,
            kind: change.kind,
            body,
            index: change.index,
        })
    }

    fn doc(&self, doc: DocWrite) -> Result<PreparedDoc, CommitError> {
        if doc.id.is_empty() || doc.id.len() > 200 {
            return Err(CommitError::Malformed("a document's id has 1 to 200 bytes"));
        }
        let kind = doc.kind.number();
        let binding = codec::doc_binding(self.keys.tenant(), kind, &doc.id);
        let body = doc
            .body
            .as_ref()
            .map(|body| {
                codec::seal(
                    self.keys.tenant_dek(),
                    self.nonce(),
                    &binding,
                    Content::Document,
                    body,
                )
            })
            .transpose()?;
        Ok(PreparedDoc {
            kind: doc.kind,
            expected: doc.expected,
            updated: doc.time.as_micros(),
            expires: doc.expires.map(kernel::Timestamp::as_micros),
            lookups: doc
                .lookups
                .iter()
                .filter(|_| body.is_some())
                .map(|(name, value)| (*name, self.keys.lookup(kind, name, value)))
                .collect(),
            id: doc.id,
            body,
        })
    }
}
