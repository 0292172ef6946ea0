//! From a version row, its head and its keys to what the version's entry must commit to. Shared by the
//! adapters; must not read storage.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::ledger::leaf::KeyId;
use fhir::{Definitions, TypeId};
use kernel::{LogicalId, RowId, VersionId};

use crate::codec;
use crate::keys::{Dek, Kid, TenantKeys};
use crate::port::change::ChangeKind;
use crate::port::evidence::{VersionEvidence, VersionProof};
use crate::port::resource::ResourceKey;

/// A version's row.
pub(crate) struct VersionRow<'r> {
    pub(crate) version: u32,
    pub(crate) ty: u16,
    pub(crate) kind: u8,
    pub(crate) body: Option<&'r [u8]>,
    pub(crate) head: Option<HeadRow>,
}

/// Its resource's row.
pub(crate) struct HeadRow {
    pub(crate) hash: i64,
    pub(crate) ty: u16,
    pub(crate) id: String,
    pub(crate) version: u32,
    pub(crate) version_row: i64,
    pub(crate) kind: u8,
    pub(crate) kid: Option<Kid>,
}

impl VersionRow<'_> {
    /// The keys that its entry may have committed under, but for the tenant's own: of the body, or of the
    /// head where there is no body.
    pub(crate) fn kids(&self) -> BTreeSet<Kid> {
        let head = self.head.as_ref().and_then(|head| head.kid);
        match self.body {
            Some(body) => codec::kid_of(body).into_iter().chain(head).collect(),
            None => head.into_iter().collect(),
        }
    }

    fn key(&self) -> Option<ResourceKey> {
        let head = self.head.as_ref()?;
        let id: LogicalId = head.id.parse().ok()?;
        let ty = TypeId(head.ty);
        let known = !Definitions::r4().resource_name(ty).is_empty();
        known.then_some(ResourceKey { ty, id })
    }
}

/// Proves one version with the keys it is given.
pub(crate) struct Prover<'a> {
    keys: &'a TenantKeys,
    deks: Vec<Arc<Dek>>,
    erased: Vec<KeyId>,
}

impl<'a> Prover<'a> {
    pub(crate) const fn new(keys: &'a TenantKeys) -> Self {
        Self {
            keys,
            deks: Vec::new(),
            erased: Vec::new(),
        }
    }
    /// A key that is there.
    pub(crate) fn has(&mut self, dek: Arc<Dek>) {
        self.deks.push(dek);
    }
    /// A key that was destroyed.
    pub(crate) fn erased(&mut self, key: KeyId) {
        self.erased.push(key);
    }

    pub(crate) fn prove(&self, row: RowId, read: &VersionRow<'_>) -> VersionEvidence {
        let key = read.key();
        let proof = match &key {
            None => VersionProof::Broken("belongs to no resource"),
            Some(key) if key.ty.0 != read.ty => {
                VersionProof::Broken("is of another type than its resource")
            }
            Some(key) => self.proof(key, read),
        };
        VersionEvidence {
            row,
            head_agrees: key
                .as_ref()
                .zip(read.head.as_ref())
                .is_none_or(|(key, head)| self.head_agrees(row, key, read, head)),
            version: VersionId(read.version),
            creates: read.kind == ChangeKind::Create as u8
                || read.kind == ChangeKind::CreateByUpdate as u8,
            key,
            proof,
        }
    }

    fn proof(&self, key: &ResourceKey, read: &VersionRow<'_>) -> VersionProof {
        let version = VersionId(read.version);
        let name = Definitions::r4().resource_name(key.ty);
        let commit = |dek: &Dek, content: Option<&[u8]>| {
            dek.commitment_key()
                .resource(name, &key.id, Some(version), content)
        };
        let own = self.keys.tenant_dek();
        let Some(body) = read.body else {
            if read.kind != ChangeKind::Delete as u8 {
                return VersionProof::Broken("has lost its body");
            }
            let deks = self.deks.iter().filter(|dek| dek.kid() != own.kid());
            return VersionProof::Commitments {
                any_of: deks.chain([own]).map(|dek| commit(dek, None)).collect(),
                or_erased: self.erased.first().copied(),
            };
        };
        if read.kind == ChangeKind::Delete as u8 {
            return VersionProof::Broken("has a body although it is a deletion");
        }
        let Some(kid) = codec::kid_of(body) else {
            return VersionProof::Broken("is not sealed");
        };
        if let Some(key) = self.erased.iter().find(|key| key.0 == kid) {
            return VersionProof::Erased(*key);
        }
        let mut deks = self.deks.iter().chain([own]);
        let Some(dek) = deks.find(|dek| dek.kid() == kid) else {
            return VersionProof::Locked(KeyId(kid));
        };
        let binding = codec::body_binding(self.keys.tenant(), key, version);
        match codec::open(dek, &binding, body) {
            Ok(content) => VersionProof::Commitments {
                any_of: core::iter::once(commit(dek, Some(&content))).collect(),
                or_erased: None,
            },
            Err(_) => VersionProof::Broken("does not open"),
        }
    }

    /// Whether the head shows this version, or a later one that it must.
    fn head_agrees(
        &self,
        row: RowId,
        key: &ResourceKey,
        read: &VersionRow<'_>,
        head: &HeadRow,
    ) -> bool {
        if self.keys.hasher().local(key.ty, key.id.as_str()) != head.hash {
            return false;
        }
        if head.version_row != row.0 {
            return head.version_row > row.0;
        }
        // An erased head keeps its version and says that the key is gone.
        let erased = head.kind == ChangeKind::Erase as u8
            && self.erased.iter().any(|key| Some(key.0) == head.kid);
        head.version == read.version && (head.kind == read.kind || erased)
    }
}
