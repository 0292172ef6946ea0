//! Idempotency keys: the same key with the same request is done once, and answered alike again; with
//! another request it is a conflict. The key is kept in the same commit as what it did, so that no
//! crash can separate them.

use data_encoding::HEXLOWER;
use fhir::definitions::Definitions;
use kernel::{LogicalId, VersionId};
use sha2::{Digest as _, Sha256};
use store::{CommitError, DocExpected, DocKind, DocWrite, ResourceKey, StoredVersion};

use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// Longest key accepted, in bytes.
const KEY_BYTES: usize = 200;

/// A request that carries a key.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    id: String,
    hash: String,
    too_long: bool,
}

/// What was answered to a key.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    pub hash: String,
    pub created: bool,
    /// `Type/id` and version of what was written.
    pub resource: String,
    pub version: u32,
    /// The answers to a transaction's entries.
    #[serde(default)]
    pub entries: Vec<KeptEntry>,
}

/// What was answered to an entry of a transaction, without its body.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeptEntry {
    pub status: String,
    /// `Type/id/_history/version`.
    pub location: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Whether a version was stored; not known of what an earlier release kept.
    #[serde(default)]
    pub stored: Option<bool>,
}

impl KeptEntry {
    /// Which version it was; none for a deletion.
    pub(crate) fn version(&self, app: &App) -> Result<Option<(ResourceKey, VersionId)>, AppError> {
        let Some(location) = &self.location else {
            return Ok(None);
        };
        let (name, version) = location.split_once("/_history/").ok_or_else(unreadable)?;
        let version = version.parse().map_err(|_| unreadable())?;
        Ok(Some((key_of(app, name)?, version)))
    }
}

fn unreadable() -> AppError {
    AppError::Fault("a kept answer names no resource".to_owned())
}

fn key_of(app: &App, name: &str) -> Result<ResourceKey, AppError> {
    let definitions: &Definitions = app.definitions();
    let (ty, id) = name.split_once('/').ok_or_else(unreadable)?;
    let ty = definitions.resource(ty).ok_or_else(unreadable)?;
    let id: LogicalId = id.parse().map_err(|_| unreadable())?;
    Ok(ResourceKey { ty, id })
}

impl Kept {
    /// For a version that was written.
    pub(crate) fn created(version: &StoredVersion) -> Self {
        Self {
            created: true,
            resource: super::record::name_of(&version.key),
            version: version.version.0,
            ..Self::default()
        }
    }

    /// Which version it was.
    pub(crate) fn version(&self, app: &App) -> Result<(ResourceKey, VersionId), AppError> {
        Ok((key_of(app, &self.resource)?, VersionId(self.version)))
    }
}

impl Request {
    /// Reads the caller's key, if there is one. `operation` and `body` are what the key is bound to.
    pub(crate) fn of(caller: &Caller, operation: &str, body: &[u8]) -> Option<Self> {
        let key = caller.context.idempotency.as_deref()?;
        let actor = caller.subject.actor().id.as_uuid();
        let id = Sha256::new()
            .chain_update(actor.as_bytes())
            .chain_update(key.as_bytes())
            .finalize();
        let hash = Sha256::new()
            .chain_update(operation.as_bytes())
            .chain_update([0])
            .chain_update(body)
            .finalize();
        Some(Self {
            id: HEXLOWER.encode(&id),
            hash: HEXLOWER.encode(&hash),
            too_long: key.is_empty() || key.len() > KEY_BYTES,
        })
    }

    /// The document that keeps the answer, for the same unit.
    pub(crate) fn keep(&self, app: &App, kept: &Kept) -> DocWrite {
        let kept = Kept {
            hash: self.hash.clone(),
            ..kept.clone()
        };
        let now = app.now();
        DocWrite {
            kind: DocKind::Idempotency,
            id: self.id.clone(),
            expected: DocExpected::Absent,
            body: Some(serde_json::to_vec(&kept).unwrap_or_default()),
            time: now,
            expires: Some(now.plus_seconds(app.settings().idempotency_s)),
            lookups: Vec::new(),
        }
    }
}

/// The kept answer, if this key was used before with this request.
pub(crate) async fn look_up(
    app: &App,
    caller: &Caller,
    request: Option<&Request>,
) -> Result<Option<Kept>, AppError> {
    let Some(request) = request else {
        return Ok(None);
    };
    if request.too_long {
        return Err(AppError::Invalid(format!(
            "the Idempotency-Key must have 1 to {KEY_BYTES} bytes: use a UUID"
        )));
    }
    let found = app
        .store()
        .doc(&caller.scope, DocKind::Idempotency, &request.id)
        .await?;
    let Some(doc) = found else { return Ok(None) };
    if doc.expires.is_some_and(|expires| expires < app.now()) {
        let gone = DocWrite {
            kind: DocKind::Idempotency,
            id: doc.id,
            expected: DocExpected::Version(doc.version),
            body: None,
            time: app.now(),
            expires: None,
            lookups: Vec::new(),
        };
        // Another request may have removed it first; the commit decides either way.
        let _ = app.store().operate(&caller.scope, vec![gone]).await;
        return Ok(None);
    }
    let kept: Kept = serde_json::from_slice(&doc.body)?;
    if kept.hash != request.hash {
        return Err(AppError::Conflict(
            "this Idempotency-Key was used for another request: use a new key".to_owned(),
        ));
    }
    Ok(Some(kept))
}

/// Whether a commit failed because the key was used meanwhile.
pub(crate) fn is_taken(error: &CommitError) -> bool {
    matches!(
        error,
        CommitError::DocConflict {
            kind: DocKind::Idempotency,
            ..
        }
    )
}
