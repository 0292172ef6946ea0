//! Removing what jobs left: files when they expire, files of jobs that were stopped, files that a crash
//! left behind, and every export when a patient is erased, since no file must outlive a patient's key.

use std::collections::HashSet;

use kernel::{TenantScope, Timestamp};
use store::{DocExpected, DocKind, DocWrite};
use uuid::Uuid;

use crate::App;
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

/// Stops and removes every export of a tenant: a patient was erased, and files may hold what was known.
pub async fn forget_exports(app: &App, scope: &TenantScope) -> Result<u64, AppError> {
    if app.files().is_err() {
        return Ok(0);
    }
    let mut forgotten = 0;
    for stored in job::all(app, scope).await? {
        let Work::Export(_) = &stored.job.work else {
            continue;
        };
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
    let mut removed = 0;
    let mut kept = HashSet::new();
    for stored in job::all(app, scope).await? {
        if is_expired(app, &stored.job) {
            remove(app, scope, stored.job.id).await?;
            removed += 1;
        } else {
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
            && !kept.contains(folder)
        {
            strays.insert(folder.to_owned());
        }
    }
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
            files.remove_files(scope, &folder).await?;
        }
    }
    Ok(removed)
}
