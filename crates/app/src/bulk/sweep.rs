//! Removing what jobs left: files when they expire, files of jobs that were stopped, files that a crash
//! left behind, and every export when a patient is erased, since no file must outlive a patient's key.

use std::collections::HashSet;

use kernel::{LogicalId, TenantScope, Timestamp};
use store::{DocExpected, DocKind, DocWrite};
use uuid::Uuid;

use crate::App;
use crate::bulk::input::{self, Input};
use crate::bulk::job::{self, Job, State, Stored, Work};
use crate::bulk::work;
use crate::error::AppError;

/// When a finished job's files go.
pub(super) fn expiry(app: &App, job: &Job) -> Timestamp {
    let ended = job.ended.unwrap_or(job.created);
    ended.plus_seconds(app.settings().bulk.keep_s)
}

/// Whether a finished job's files are due to go.
pub(super) fn is_expired(app: &App, job: &Job) -> bool {
    job.ended.is_some() && expiry(app, job) <= app.now()
}

/// Removes files and documents of a job. The document goes first: without the secret in it, whatever is
/// left of the files is noise.
pub(super) async fn remove(app: &App, scope: &TenantScope, id: Uuid) -> Result<(), AppError> {
    if let Some(stored) = job::load(app, scope, id).await? {
        forget_secret(app, scope, stored).await?;
    }
    drop_files(app, scope, id).await?;
    let gone = |kind, id: String| DocWrite {
        kind,
        id,
        expected: DocExpected::Any,
        body: None,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    };
    let mut writes: Vec<DocWrite> = job::parts(app, scope, id)
        .await?
        .into_iter()
        .map(|(name, _)| job::part_write(app, id, &name, None))
        .collect();
    writes.push(gone(DocKind::Job, job::doc_id(id)));
    app.store().operate(scope, writes).await?;
    Ok(())
}

async fn forget_secret(app: &App, scope: &TenantScope, mut stored: Stored) -> Result<(), AppError> {
    if stored.job.secret.is_empty() {
        return Ok(());
    }
    stored.job.secret.clear();
    // Whoever wrote it meanwhile removes it, too, or the next sweep does.
    job::save(app, scope, &mut stored, Vec::new()).await?;
    Ok(())
}

pub(super) async fn drop_files(app: &App, scope: &TenantScope, id: Uuid) -> Result<(), AppError> {
    app.files()?.remove_files(scope, &job::folder(id)).await?;
    Ok(())
}

/// Removes the files of a job that was stopped or failed; a piece may have been written after that.
pub(super) async fn drop_files_of_ended(
    app: &App,
    scope: &TenantScope,
    id: Uuid,
) -> Result<(), AppError> {
    let stored = job::load(app, scope, id).await?;
    let keeps = stored.is_some_and(|stored| matches!(stored.job.state, State::Going | State::Done));
    if !keeps {
        drop_files(app, scope, id).await?;
    }
    Ok(())
}

/// What names of notes of erasures begin with, among other jobs' documents.
const ERASURE: &str = "erasure-";
/// After so many seconds an erasure that was announced and not done is not going to be.
const ANNOUNCED_S: i64 = 3600;

/// Notes that a patient is going to be erased, before it is done: whatever happens then, the sweep finds what
/// exports and imports still hold.
pub(crate) async fn announce_erasure(
    app: &App,
    scope: &TenantScope,
    patient: &LogicalId,
) -> Result<(), AppError> {
    let write = note(app, patient.as_str(), Some(b"{}".to_vec()));
    Ok(app.store().operate(scope, vec![write]).await?)
}

fn note(app: &App, patient: &str, body: Option<Vec<u8>>) -> DocWrite {
    DocWrite {
        kind: DocKind::Job,
        id: format!("{ERASURE}{patient}"),
        expected: DocExpected::Any,
        body,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    }
}

/// Does what an erasure leaves to do, and takes the note of it away.
pub(crate) async fn after_erasure(
    app: &App,
    scope: &TenantScope,
    patient: &LogicalId,
) -> Result<(), AppError> {
    if app.files().is_ok() {
        forget_copies(app, scope).await?;
        let done = note(app, patient.as_str(), None);
        app.store().operate(scope, vec![done]).await?;
    }
    Ok(())
}

// What was announced by a process that ended before it came to the rest.
async fn go_on_erasing(app: &App, scope: &TenantScope) -> Result<(), AppError> {
    const PAGE: u32 = 100;
    let mut after = Some(ERASURE.to_owned());
    loop {
        let kind = DocKind::Job;
        let docs = app
            .store()
            .docs(scope, kind, after.as_deref(), PAGE)
            .await?;
        let full = docs.len() == PAGE as usize;
        after = docs.last().map(|doc| doc.id.clone());
        for doc in docs {
            let Some(id) = doc.id.strip_prefix(ERASURE) else {
                return Ok(());
            };
            let Ok(patient) = id.parse::<LogicalId>() else {
                continue;
            };
            let found = app.store().read(scope, &app.patient_key(&patient)).await?;
            let over = app.now().seconds_since(doc.updated) > ANNOUNCED_S;
            if found.is_some_and(|found| found.erased) {
                after_erasure(app, scope, &patient).await?;
            } else if over {
                let nothing = note(app, id, None);
                app.store().operate(scope, vec![nothing]).await?;
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// Stops and removes every export of a tenant, every import that ended, and those that go on with what was
/// sent: a patient was erased, and their files may hold what was known. Files of the import folder are the
/// operator's.
async fn forget_copies(app: &App, scope: &TenantScope) -> Result<u64, AppError> {
    let mut forgotten = 0;
    for stored in job::all(app, scope).await? {
        if let Work::Import(spec) = &stored.job.work
            && stored.job.is_going()
            && !spec.inputs.iter().any(Input::is_sent)
        {
            continue;
        }
        let why = "a patient was erased since: begin again".to_owned();
        work::end(app, scope, stored.job.id, State::Stopped(why)).await?;
        remove(app, scope, stored.job.id).await?;
        forgotten += 1;
    }
    Ok(forgotten)
}

/// Removes what is due of a tenant; returns how many jobs went.
pub async fn sweep(app: &App, scope: &TenantScope) -> Result<u64, AppError> {
    let Ok(files) = app.files() else {
        return Ok(0);
    };
    go_on_erasing(app, scope).await?;
    let mut removed = 0;
    let mut kept = HashSet::new();
    let mut read = HashSet::new();
    for stored in job::all(app, scope).await? {
        if is_expired(app, &stored.job) {
            remove(app, scope, stored.job.id).await?;
            removed += 1;
        } else {
            if stored.job.state == State::Done {
                read.insert(stored.job.folder());
            }
            kept.insert(stored.job.folder());
        }
    }
    // Folders of jobs that are not there any more.
    let mut strays: HashSet<String> = HashSet::new();
    for path in files.files(scope, "bulk").await? {
        if let Some(folder) = path
            .match_indices('/')
            .nth(1)
            .and_then(|(at, _)| path.get(..at))
        {
            if !kept.contains(folder) {
                strays.insert(folder.to_owned());
            } else if read.contains(folder) && input::is_sent(&path) {
                let whole = path.rsplit_once('/').map_or(folder, |(whole, _)| whole);
                files.remove_files(scope, whole).await?;
            }
        }
    }
    remove_strays(app, scope, strays).await?;
    Ok(removed)
}

async fn remove_strays(
    app: &App,
    scope: &TenantScope,
    strays: HashSet<String>,
) -> Result<(), AppError> {
    // A job's inputs are written before its document: what was stray the last time, too, is removed.
    let before = app
        .bulk()
        .strays
        .lock()
        .insert(scope.tenant(), strays.clone());
    for folder in strays {
        if before
            .as_ref()
            .is_none_or(|before| !before.contains(&folder))
        {
            continue;
        }
        // A job may have begun since the list was made.
        let id = folder
            .rsplit('/')
            .next()
            .and_then(|id| Uuid::try_parse(id).ok());
        let there = match id {
            Some(id) => job::load(app, scope, id).await?.is_some(),
            None => false,
        };
        if !there {
            app.files()?.remove_files(scope, &folder).await?;
        }
    }
    Ok(())
}
