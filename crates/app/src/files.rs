//! The files that belong to the record and lie beside it: whether they are the ones that the store knows,
//! whether what is installed can be read, and a copy of it for a backup. Must not hold files of jobs to be
//! worth a backup: they are made again.

use bytes::Bytes;
use identity::{Interaction, SystemTask};
use kernel::TenantId;
use store::blob::{BlobName, Blobs};
use store::{CommitError, DocExpected, DocKind, DocWrite};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::init::system_caller;
use crate::medicines::dictionary::install as products;
use crate::terminology::install as terminology;

/// The name, in the place of files and in the store, under which both say which place it is.
const PLACE: &str = "place-id";

/// Whether replicas see the same files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharing {
    /// These are the files that the store knows.
    Same,
    /// Nobody has used files with this store yet.
    New,
    /// These are others: the store knows the place by this id.
    Other {
        /// The id to be found in [`Sharing::mark`]'s file.
        known: String,
    },
}

impl Sharing {
    /// The path, below the place of files, of the file that holds its id.
    #[must_use]
    pub fn mark() -> String {
        format!("{}/files/{PLACE}", TenantId::INSTANCE)
    }
}

async fn known(app: &App, caller: &Caller) -> Result<Option<String>, AppError> {
    let kind = DocKind::FilesPlace;
    let found = app.store().doc(&caller.scope, kind, PLACE).await?;
    let Some(doc) = found else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&doc.body)?))
}

async fn marked(app: &App, caller: &Caller) -> Result<Option<String>, AppError> {
    let found = app.files()?.file(&caller.scope, PLACE).await?;
    Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

fn judged(known: Option<String>, marked: Option<String>) -> Sharing {
    match (known, marked) {
        (None, _) => Sharing::New,
        (Some(known), Some(marked)) if known == marked => Sharing::Same,
        (Some(known), _) => Sharing::Other { known },
    }
}

/// Whether this process sees the files that the store knows.
///
/// # Errors
/// The store or the place of files cannot be read.
pub async fn sharing(app: &App) -> Result<Sharing, AppError> {
    let caller = system_caller(app, TenantId::INSTANCE, SystemTask::Health)?;
    Ok(judged(
        known(app, &caller).await?,
        marked(app, &caller).await?,
    ))
}

/// The same, for a process that is about to use the files: the first marks the place and tells the store.
///
/// # Errors
/// The store or the place of files cannot be read or written.
pub async fn claim(app: &App) -> Result<Sharing, AppError> {
    let caller = system_caller(app, TenantId::INSTANCE, SystemTask::Health)?;
    let found = judged(known(app, &caller).await?, marked(app, &caller).await?);
    if found != Sharing::New {
        return Ok(found);
    }
    // The file first: what the store knows is there.
    let mark = match marked(app, &caller).await? {
        Some(mark) => mark,
        None => app.ids().uuid().to_string(),
    };
    let bytes = Bytes::from(mark.clone().into_bytes());
    app.files()?.put_file(&caller.scope, PLACE, bytes).await?;
    let write = DocWrite {
        kind: DocKind::FilesPlace,
        id: PLACE.to_owned(),
        expected: DocExpected::Absent,
        body: Some(serde_json::to_vec(&mark)?),
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    };
    match app.store().operate(&caller.scope, vec![write]).await {
        Ok(()) => Ok(Sharing::Same),
        // Another replica was first: with files of its own, or over this file.
        Err(CommitError::DocConflict { .. }) => sharing(app).await,
        Err(error) => Err(error.into()),
    }
}

/// Code systems and lists of products that are installed, and whether their content can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// How many can be read.
    pub whole: u64,
    /// Name and reason of those that cannot.
    pub lost: Vec<(String, String)>,
}

/// Everything that is installed: what people call it, and its blob.
async fn installed(app: &App) -> Result<Vec<(String, Option<BlobName>)>, AppError> {
    let systems = terminology::all(app).await?;
    let systems = systems
        .into_iter()
        .map(|one| (one.url.clone(), terminology::blob_of(&one)));
    let lists = products::all(app).await?;
    let lists = lists
        .into_iter()
        .map(|one| (format!("products {}", one.kind), products::blob_of(&one)));
    Ok(systems.chain(lists).collect())
}

async fn content(app: &App, place: &Blobs, name: Option<BlobName>) -> Result<Bytes, String> {
    let caller = system_caller(app, TenantId::INSTANCE, SystemTask::Backup);
    let caller = caller.map_err(|error| error.to_string())?;
    let name = name.ok_or("its document names no blob")?;
    let found = place.get(&caller.scope, name).await;
    found
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "its blob is not there".to_owned())
}

/// Reads the content of everything installed from a place and compares it with its hash.
///
/// # Errors
/// Not allowed, or the store cannot be read.
pub async fn check(app: &App, caller: &Caller, place: Option<&Blobs>) -> Result<Content, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Backup)).await?;
    let own = app.files()?.clone();
    let place = place.unwrap_or(&own);
    let mut found = Content::default();
    for (called, blob) in installed(app).await? {
        match content(app, place, blob).await {
            Ok(_) => found.whole += 1,
            Err(why) => found.lost.push((called, why)),
        }
    }
    Ok(found)
}

/// Copies the content of everything installed to another place. What cannot be read is left out and named.
///
/// # Errors
/// Not allowed, the store cannot be read, or the other place cannot be written.
pub async fn copy(app: &App, caller: &Caller, into: &Blobs) -> Result<Content, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Backup)).await?;
    let mut found = Content::default();
    for (called, blob) in installed(app).await? {
        match content(app, app.files()?, blob).await {
            Ok(bytes) => {
                into.put(&caller.scope, bytes).await?;
                found.whole += 1;
            }
            Err(why) => found.lost.push((called, why)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_judged_by_both_sides() {
        let id = |text: &str| Some(text.to_owned());
        let other = Sharing::Other {
            known: "a".to_owned(),
        };
        for (known, marked, expected) in [
            (None, None, Sharing::New),
            (None, id("a"), Sharing::New),
            (id("a"), id("a"), Sharing::Same),
            (id("a"), id("b"), other.clone()),
            (id("a"), None, other),
        ] {
            assert_eq!(judged(known, marked), expected);
        }
    }
}
