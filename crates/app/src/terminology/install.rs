//! Installing, listing and removing code systems for all tenants of the instance: an operator's work. The
//! blob is written first, the document that names it second, with its entry in the instance's ledger; a
//! version that is there already is replaced as a whole.

use bytes::Bytes;
use identity::Interaction;
use ledger::leaf::Class;
use store::{DocExpected, DocKind, DocWrite, Log};
use terminology::system::CodeSystem;

pub use super::installed::InstalledSystem;
pub(crate) use super::installed::blob_name;
use super::installed::{docs, list, look_again};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::unit::UnitOfWork;
use store::blob::BlobName;

/// Where a code system came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file or folder, by its last name.
    pub name: String,
    /// Lines that could not be used.
    pub refused: u64,
}

fn id_of(url: &str, version: Option<&str>) -> String {
    use sha2::{Digest as _, Sha256};
    let text = format!("{url}|{}", version.unwrap_or_default());
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// Installs a code system.
///
/// # Errors
/// Not allowed, no place for files, or storage failed; nothing is then installed.
pub async fn install(
    app: &App,
    caller: &Caller,
    system: CodeSystem,
    source: Source,
) -> Result<InstalledSystem, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    let head = system.head().clone();
    let concepts = system.len() as u64;
    let packed = tokio::task::spawn_blocking(move || terminology::pack::pack(&system)).await?;
    let packed = packed.map_err(|error| AppError::Fault(error.to_string()))?;
    let bytes = packed.len() as u64;
    let name = app.files()?.put(&caller.scope, Bytes::from(packed)).await?;
    let installed = InstalledSystem {
        url: head.url,
        version: head.version,
        name: head.name,
        concepts,
        bytes,
        blob: name.to_string(),
        source: source.name,
        refused: source.refused,
    };
    let id = id_of(&installed.url, installed.version.as_deref());
    let before = app
        .store()
        .doc(&caller.scope, DocKind::Terminology, &id)
        .await?;
    let detail = format!(
        "{}|{} with {} concepts from {}, blob {}",
        installed.url,
        installed.version.as_deref().unwrap_or_default(),
        installed.concepts,
        installed.source,
        installed.blob
    );
    let write = DocWrite {
        kind: DocKind::Terminology,
        id,
        expected: before
            .as_ref()
            .map_or(DocExpected::Absent, |doc| DocExpected::Version(doc.version)),
        body: Some(serde_json::to_vec(&installed)?),
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    };
    let what = "terminology-install";
    let entry = house_entry(app, caller, Log::Changes, Class::Config, what, Some(detail));
    UnitOfWork::begin(app, &caller.scope)
        .doc(write)
        .entry(entry)
        .commit()
        .await?;
    // The blob of a replaced version is nobody's any more, unless it is the same.
    if let Some(before) = before {
        let old: InstalledSystem = serde_json::from_slice(&before.body)?;
        if old.blob != installed.blob {
            forget(app, caller, &old.blob).await?;
        }
    }
    look_again(app);
    Ok(installed)
}

/// What is installed.
///
/// # Errors
/// Not allowed, or storage failed.
pub async fn installed(app: &App, caller: &Caller) -> Result<Vec<InstalledSystem>, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    list(app).await
}

/// Removes an installed code system; without a version, every version of it. Returns how many.
///
/// # Errors
/// Not allowed, none is there, or storage failed.
pub async fn remove(
    app: &App,
    caller: &Caller,
    url: &str,
    version: Option<&str>,
) -> Result<u64, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    let mut removed = 0;
    for doc in docs(app).await? {
        let system: InstalledSystem = serde_json::from_slice(&doc.body)?;
        let meant =
            system.url == url && version.is_none_or(|one| system.version.as_deref() == Some(one));
        if !meant {
            continue;
        }
        let write = DocWrite {
            kind: DocKind::Terminology,
            id: doc.id,
            expected: DocExpected::Version(doc.version),
            body: None,
            time: app.now(),
            expires: None,
            lookups: Vec::new(),
        };
        let detail = format!("{url}|{}", system.version.as_deref().unwrap_or_default());
        let what = "terminology-remove";
        let entry = house_entry(app, caller, Log::Changes, Class::Config, what, Some(detail));
        UnitOfWork::begin(app, &caller.scope)
            .doc(write)
            .entry(entry)
            .commit()
            .await?;
        forget(app, caller, &system.blob).await?;
        removed += 1;
    }
    look_again(app);
    if removed == 0 {
        return Err(AppError::not_found(format!("installed code system {url}")));
    }
    Ok(removed)
}

/// What is installed, for whoever has been authorised already.
pub(crate) async fn all(app: &App) -> Result<Vec<InstalledSystem>, AppError> {
    list(app).await
}

/// The name of an installed code system's blob.
pub(crate) fn blob_of(one: &InstalledSystem) -> Option<BlobName> {
    blob_name(&one.blob)
}

async fn forget(app: &App, caller: &Caller, blob: &str) -> Result<(), AppError> {
    if let Some(name) = blob_name(blob) {
        app.files()?.remove(&caller.scope, name).await?;
    }
    Ok(())
}
