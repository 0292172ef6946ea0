//! Code systems installed on the instance for all its tenants: a governed document names each, a blob
//! holds it packed. Looked at every few seconds, so that every replica has the same soon after. Must not
//! install anything.

use std::sync::Arc;

use identity::{SystemTask, system_scope};
use kernel::TenantId;
use serde::{Deserialize, Serialize};
use store::blob::BlobName;
use store::{Doc, DocKind};
use terminology::Engine;
use terminology::system::CodeSystem;

use super::{UNSEEN_MS, base};
use crate::App;
use crate::error::AppError;

/// An installed code system, as its document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledSystem {
    /// Its canonical URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// Its name.
    pub name: String,
    /// How many concepts it has.
    pub concepts: u64,
    /// Bytes of its blob.
    pub bytes: u64,
    /// The blob: SHA-256 in hexadecimal.
    pub blob: String,
    /// The file or folder it was loaded from, by its last name.
    pub source: String,
    /// Lines of the source that could not be used.
    pub refused: u64,
}

/// What is installed, ready to answer.
pub(super) struct Installed {
    /// Grows with each change seen.
    pub(super) generation: u64,
    pub(super) engine: Arc<Engine>,
    checked_ms: i64,
    /// When blobs were last read.
    read_ms: i64,
    loaded: Vec<Loaded>,
}

/// An installed code system, or why it cannot be used.
#[derive(Clone)]
struct Loaded {
    blob: String,
    url: String,
    system: Result<Arc<CodeSystem>, String>,
}

/// How long after a failure a blob is tried again, in milliseconds.
const RETRY_MS: i64 = 60_000;

/// Has this process look again before it answers, after it changed what is installed.
pub(super) fn look_again(app: &App) {
    let mut known = app.caches().terminology.installed.lock();
    if let Some(before) = known.take() {
        // The generation must go on from where it was: tenants' engines are told apart by it.
        *known = Some(Arc::new(Installed {
            generation: before.generation,
            engine: Arc::clone(&before.engine),
            checked_ms: i64::MIN,
            read_ms: before.read_ms,
            loaded: before.loaded.clone(),
        }));
    }
}

/// What is installed now.
pub(super) async fn current(app: &App, now: i64) -> Result<Arc<Installed>, AppError> {
    let known = app.caches().terminology.installed.lock().clone();
    if let Some(known) = &known
        && now.saturating_sub(known.checked_ms) < UNSEEN_MS
    {
        return Ok(Arc::clone(known));
    }
    let listed = list(app).await?;
    let before = known.as_deref().map_or(&[][..], |known| &known.loaded[..]);
    let same = listed.len() == before.len()
        && listed
            .iter()
            .all(|one| before.iter().any(|known| known.blob == one.blob));
    let failed = before.iter().any(|known| known.system.is_err());
    let retry = known
        .as_deref()
        .is_some_and(|known| failed && now.saturating_sub(known.read_ms) >= RETRY_MS);
    let made = match &known {
        Some(known) if same && !retry => Installed {
            generation: known.generation,
            engine: Arc::clone(&known.engine),
            checked_ms: now,
            read_ms: known.read_ms,
            loaded: known.loaded.clone(),
        },
        _ => {
            let mut loaded = Vec::with_capacity(listed.len());
            for one in &listed {
                let kept = before.iter().find(|known| known.blob == one.blob);
                let kept = kept.and_then(|known| known.system.as_ref().ok());
                let system = match kept {
                    Some(system) => Ok(Arc::clone(system)),
                    None => fetch(app, one).await,
                };
                if let Err(why) = &system {
                    tracing::error!(
                        url = one.url,
                        why,
                        "an installed code system cannot be used"
                    );
                }
                loaded.push(Loaded {
                    blob: one.blob.clone(),
                    url: one.url.clone(),
                    system,
                });
            }
            Installed {
                generation: known.as_ref().map_or(1, |known| known.generation + 1),
                engine: Arc::new(engine(&loaded)?),
                checked_ms: now,
                read_ms: now,
                loaded,
            }
        }
    };
    let made = Arc::new(made);
    *app.caches().terminology.installed.lock() = Some(Arc::clone(&made));
    Ok(made)
}

fn engine(loaded: &[Loaded]) -> Result<Engine, AppError> {
    let base = base()?;
    if loaded.is_empty() {
        return Ok(Engine::new(base));
    }
    let mut shelf = terminology::Shelf::default();
    for one in loaded {
        match &one.system {
            Ok(system) => shelf.add_system(system),
            Err(why) => shelf.add_fault(&one.url, why.clone()),
        }
    }
    Ok(Engine::new(base.behind(Arc::new(shelf))))
}

/// Every document of an installed code system.
pub(super) async fn docs(app: &App) -> Result<Vec<Doc>, AppError> {
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Jobs);
    let mut found: Vec<Doc> = Vec::new();
    loop {
        let after = found.last().map(|doc| doc.id.clone());
        let page = app
            .store()
            .docs(&scope, DocKind::Terminology, after.as_deref(), 100)
            .await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

/// What the documents say.
pub(super) async fn list(app: &App) -> Result<Vec<InstalledSystem>, AppError> {
    let docs = docs(app).await?;
    let read = |doc: &Doc| serde_json::from_slice(&doc.body).map_err(AppError::from);
    docs.iter().map(read).collect()
}

/// Reads a code system from its blob. Why one that is gone or damaged cannot be used is what questions
/// about it are answered with; others are not held up.
async fn fetch(app: &App, one: &InstalledSystem) -> Result<Arc<CodeSystem>, String> {
    let broken = |what: &str| format!("it {what}: load it again with `theriac terminology load`");
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Jobs);
    let name = blob_name(&one.blob).ok_or_else(|| broken("names no blob"))?;
    let files = app.files().map_err(|error| error.to_string())?;
    let bytes = files.get(&scope, name).await;
    let bytes = bytes
        .map_err(|error| broken(&format!("cannot be read ({error})")))?
        .ok_or_else(|| broken("has lost its blob"))?;
    let system = tokio::task::spawn_blocking(move || terminology::pack::unpack(&bytes)).await;
    system
        .map_err(|error| broken(&format!("cannot be unpacked ({error})")))?
        .map(Arc::new)
        .map_err(|error| broken(&format!("cannot be unpacked ({error})")))
}

pub(crate) fn blob_name(text: &str) -> Option<BlobName> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
    Some(BlobName(bytes.try_into().ok()?))
}
