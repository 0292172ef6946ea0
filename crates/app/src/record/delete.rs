//! Delete: a new version without a body. Deleting what is not there, or was deleted, changes nothing
//! and is no error (FHIR R4 http.html, delete).

use std::sync::Arc;

use fhir::definitions::TypeId;
use identity::Interaction;
use kernel::{LogicalId, VersionId};
use store::{Change, CommitError, Guard, ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::{Allowed, Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::condition::{Condition, Matched};
use crate::record::prepare;
use crate::record::{Deleted, integrity, read, update};
use crate::retry::Retry;
use crate::unit::UnitOfWork;

const NOTHING: Deleted = Deleted {
    version: None,
    last_updated: None,
    receipt: None,
    count: 0,
};

/// Deletes a resource.
pub async fn delete(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    if_match: Option<VersionId>,
) -> Result<Deleted, AppError> {
    let mut retry = Retry::new();
    loop {
        match attempt(app, caller, key, if_match, None).await? {
            Ok(deleted) => return Ok(deleted),
            Err(_) if if_match.is_none() && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Deletes what criteria match: the one resource, or where the tenant allows several, all of them in one
/// commit.
///
/// # Errors
/// Several matches where the tenant allows one; more of them than the limits, or `_count`, allow.
pub async fn delete_where(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    criteria: &[(String, String)],
) -> Result<Deleted, AppError> {
    authorise(app, caller, &Ask::of_type(Interaction::Delete, ty)).await?;
    let condition = Condition::from_params(app, caller, ty, criteria).await?;
    let mut retry = Retry::new();
    if Condition::takes_several(caller) {
        loop {
            match all_at_once(app, caller, &condition).await? {
                Ok(deleted) => return Ok(deleted),
                Err(_) if retry.again().await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    loop {
        let matched = condition.find(app, caller).await?;
        let found = match &matched {
            Matched::None => return Ok(NOTHING),
            Matched::Several => return Err(condition.ambiguous(app)),
            Matched::One(found) => found,
        };
        let guard = condition.guard(app, caller, &matched);
        match attempt(app, caller, &found.key, None, Some(guard)).await? {
            Ok(deleted) => return Ok(deleted),
            Err(_) if retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Everything that a condition matches goes in one commit, which fails where the matches are others by then.
async fn all_at_once(
    app: &App,
    caller: &Caller,
    condition: &Condition,
) -> Result<Result<Deleted, CommitError>, AppError> {
    let (keys, guard) = condition.all(app, caller).await?;
    let mut changes: Vec<Change> = Vec::with_capacity(keys.len());
    for key in keys {
        let Some((found, patients, allowed)) = self::found(app, caller, &key).await? else {
            continue;
        };
        let head = read::head_of(&found);
        if !head.is_deleted() {
            let mut change = prepare::deletion(app, caller, key, &head, &patients);
            allowed.mark(&mut change.entry);
            changes.push(change);
        }
    }
    let whole = integrity::guards(app, caller, &changes).await?;
    let one = match changes.as_slice() {
        [one] => Some((one.version, one.version_row.unix_ms())),
        _ => None,
    };
    let count = changes.len();
    let unit = UnitOfWork::begin(app, &caller.scope)
        .guard(guard)
        .guards(whole);
    let Some(unit) = unit.changes(changes) else {
        return Ok(Ok(NOTHING));
    };
    match unit.commit().await {
        Ok(receipt) => Ok(Ok(Deleted {
            version: one.map(|(version, _)| version),
            last_updated: one.map(|(_, time)| kernel::Timestamp::from_millis(time)),
            receipt: super::first_receipt(receipt),
            count,
        })),
        Err(error @ (CommitError::Stale { .. } | CommitError::GuardChanged { .. })) => {
            Ok(Err(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is there to delete, also a deletion, with the decision. `None` where nothing was ever stored,
/// and where the caller may not know that something was.
pub(crate) async fn found(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<Option<(StoredVersion, Arc<[LogicalId]>, Allowed)>, AppError> {
    authorise(app, caller, &Ask::of_type(Interaction::Delete, key.ty)).await?;
    let Some(found) = app.store().read(&caller.scope, key).await? else {
        return Ok(None);
    };
    match read::allow_existing(app, caller, Interaction::Delete, &found).await {
        Ok((patients, allowed)) => Ok(Some((found, patients, allowed))),
        Err(AppError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn attempt(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    if_match: Option<VersionId>,
    guard: Option<Guard>,
) -> Result<Result<Deleted, CommitError>, AppError> {
    let Some((found, patients, allowed)) = self::found(app, caller, key).await? else {
        update::expect(key, None, if_match)?;
        return Ok(Ok(NOTHING));
    };
    let head = read::head_of(&found);
    update::expect(key, Some(&head), if_match)?;
    if head.is_deleted() {
        return Ok(Ok(Deleted {
            version: Some(head.version),
            last_updated: Some(found.last_updated()),
            receipt: None,
            count: 0,
        }));
    }
    let mut change = prepare::deletion(app, caller, key.clone(), &head, &patients);
    allowed.mark(&mut change.entry);
    let version = change.version;
    let last_updated = kernel::Timestamp::from_millis(change.version_row.unix_ms());
    let mut unit = UnitOfWork::begin(app, &caller.scope);
    let whole = integrity::guards(app, caller, std::slice::from_ref(&change)).await?;
    for guard in guard.into_iter().chain(whole) {
        unit = unit.guard(guard);
    }
    match unit.change(change).commit().await {
        Ok(receipt) => Ok(Ok(Deleted {
            version: Some(version),
            last_updated: Some(last_updated),
            receipt: super::first_receipt(receipt),
            count: 1,
        })),
        Err(error @ (CommitError::Stale { .. } | CommitError::GuardChanged { .. })) => {
            Ok(Err(error))
        }
        Err(error) => Err(error.into()),
    }
}
