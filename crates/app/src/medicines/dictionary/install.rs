//! Installing, listing and removing lists of products and call-backs for all tenants of the instance: an
//! operator's work. The blob is written first, the document that names it second, with its entry in the
//! instance's ledger; a list of the same kind is replaced as a whole.

use bytes::Bytes;
use identity::Interaction;
use ledger::leaf::Class;
use medication::dictionary::pack::Recall;
use medication::dictionary::{Product, stored};
use store::blob::BlobName;
use store::{Doc, DocExpected, DocKind, DocWrite, Log};

pub use super::InstalledProducts;
use super::{RECALL, built_in, docs};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::terminology::install::blob_name;
use crate::unit::UnitOfWork;

/// Where a list came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// `dmd` or `rxnorm`.
    pub kind: &'static str,
    /// The release.
    pub release: String,
    /// The file or folder, by its last name.
    pub name: String,
}

/// Installs a list in place of the one of its kind.
///
/// # Errors
/// Not allowed, no place for files, or storage failed; what was there then stays.
pub async fn install(
    app: &App,
    caller: &Caller,
    products: Vec<Product>,
    source: Source,
) -> Result<InstalledProducts, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    let (knowledge, _) = built_in()?;
    let numbers = products.iter().map(|own| own.gtins.len() as u64).sum();
    let count = products.len() as u64;
    let packed = tokio::task::spawn_blocking(move || stored::pack(&products, knowledge)).await?;
    let packed = packed.map_err(|error| AppError::Fault(error.to_string()))?;
    let bytes = packed.len() as u64;
    let name = app.files()?.put(&caller.scope, Bytes::from(packed)).await?;
    let installed = InstalledProducts {
        kind: source.kind.to_owned(),
        release: source.release,
        products: count,
        numbers,
        bytes,
        blob: name.to_string(),
        source: source.name,
    };
    let kind = DocKind::Products;
    let before = app.store().doc(&caller.scope, kind, source.kind).await?;
    let detail = format!(
        "{} {} with {} products and {} numbers from {}, blob {}",
        installed.kind,
        installed.release,
        installed.products,
        installed.numbers,
        installed.source,
        installed.blob
    );
    let body = Some(serde_json::to_vec(&installed)?);
    let write = (source.kind.to_owned(), before.as_ref(), body);
    commit(app, caller, write, ("products-install", detail)).await?;
    // The blob of a replaced list is nobody's any more, unless it is the same.
    if let Some(before) = before {
        let old: InstalledProducts = serde_json::from_slice(&before.body)?;
        if old.blob != installed.blob {
            forget(app, caller, &old.blob).await?;
        }
    }
    Ok(installed)
}

/// One document with its entry.
async fn commit(
    app: &App,
    caller: &Caller,
    (id, before, body): (String, Option<&Doc>, Option<Vec<u8>>),
    (what, detail): (&'static str, String),
) -> Result<(), AppError> {
    let write = DocWrite {
        kind: DocKind::Products,
        id,
        expected: before.map_or(DocExpected::Absent, |doc| DocExpected::Version(doc.version)),
        body,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    };
    let entry = house_entry(app, caller, Log::Changes, Class::Config, what, Some(detail));
    UnitOfWork::begin(app, &caller.scope)
        .doc(write)
        .entry(entry)
        .commit()
        .await?;
    app.caches().products.forget();
    Ok(())
}

/// What is installed.
///
/// # Errors
/// Not allowed, or storage failed.
pub async fn installed(app: &App, caller: &Caller) -> Result<Vec<InstalledProducts>, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    all(app).await
}

/// What is installed, for whoever has been authorised already.
pub(crate) async fn all(app: &App) -> Result<Vec<InstalledProducts>, AppError> {
    let docs = docs(app).await?;
    let lists = docs.iter().filter(|doc| !doc.id.starts_with(RECALL));
    lists
        .map(|doc| serde_json::from_slice(&doc.body).map_err(AppError::from))
        .collect()
}

/// The name of an installed list's blob.
pub(crate) fn blob_of(one: &InstalledProducts) -> Option<BlobName> {
    blob_name(&one.blob)
}

/// Removes the list of a kind.
///
/// # Errors
/// Not allowed, none is there, or storage failed.
pub async fn remove(app: &App, caller: &Caller, kind: &str) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    let found = app
        .store()
        .doc(&caller.scope, DocKind::Products, kind)
        .await?;
    let found = found.ok_or_else(|| AppError::not_found(format!("installed products {kind}")))?;
    let old: InstalledProducts = serde_json::from_slice(&found.body)?;
    let detail = format!("{} {}", old.kind, old.release);
    let write = (kind.to_owned(), Some(&found), None);
    commit(app, caller, write, ("products-remove", detail)).await?;
    forget(app, caller, &old.blob).await
}

async fn forget(app: &App, caller: &Caller, blob: &str) -> Result<(), AppError> {
    if let Some(name) = blob_name(blob) {
        app.files()?.remove(&caller.scope, name).await?;
    }
    Ok(())
}

fn recall_id(gtin: &str, batch: Option<&str>) -> String {
    let batch = batch.map(|own| data_encoding::HEXLOWER.encode(own.as_bytes()));
    format!("{RECALL}{gtin}/{}", batch.unwrap_or_default())
}

/// Keeps a call-back. One of the same packs is replaced.
///
/// # Errors
/// Not allowed, not a call-back, or storage failed.
pub async fn recall(
    app: &App,
    caller: &Caller,
    (gtin, batch, notice): (&str, Option<&str>, &str),
) -> Result<Recall, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    let recall = Recall::read(gtin, batch, notice);
    let recall = recall.map_err(|error| AppError::Unprocessable(error.to_string()))?;
    let id = recall_id(&recall.gtin, recall.batch.as_deref());
    let kind = DocKind::Products;
    let before = app.store().doc(&caller.scope, kind, &id).await?;
    let batch = recall.batch.as_deref().unwrap_or("every batch");
    let detail = format!("{} {batch}: {}", recall.gtin, recall.notice);
    let body = Some(serde_json::to_vec(&recall)?);
    let write = (id, before.as_ref(), body);
    commit(app, caller, write, ("products-recall", detail)).await?;
    Ok(recall)
}

/// The call-backs that are kept.
///
/// # Errors
/// Not allowed, or storage failed.
pub async fn recalls(app: &App, caller: &Caller) -> Result<Vec<Recall>, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    let docs = docs(app).await?;
    let own = docs.iter().filter(|doc| doc.id.starts_with(RECALL));
    own.map(|doc| serde_json::from_slice(&doc.body).map_err(AppError::from))
        .collect()
}

/// Ends a call-back.
///
/// # Errors
/// Not allowed, none is there, or storage failed.
pub async fn end_recall(
    app: &App,
    caller: &Caller,
    (gtin, batch): (&str, Option<&str>),
) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageTenants)).await?;
    let named = Recall::read(gtin, batch, "ended");
    let named = named.map_err(|error| AppError::Unprocessable(error.to_string()))?;
    let id = recall_id(&named.gtin, named.batch.as_deref());
    let kind = DocKind::Products;
    let found = app.store().doc(&caller.scope, kind, &id).await?;
    let found = found.ok_or_else(|| AppError::not_found(format!("recall of {}", named.gtin)))?;
    let write = (id, Some(&found), None);
    let detail = format!("{} ended", named.gtin);
    commit(app, caller, write, ("products-recall-end", detail)).await
}
