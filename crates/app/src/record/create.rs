//! Create: the server gives the id; a client's is ignored (FHIR R4 http.html, create). With criteria,
//! only where nothing matches, decided inside the writer, so that parallel ones make no duplicate.

use bytes::Bytes;
use fhir::definitions::TypeId;
use kernel::LogicalId;
use store::{CommitError, Guard, ResourceKey, StoredVersion};

use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::idempotency::{self, Kept};
use crate::record::condition::{Condition, Matched};
use crate::record::prepare::{self, Slot};
use crate::record::{Outcome, read};
use crate::retry::Retry;
use crate::unit::UnitOfWork;

/// Creates a resource. `if_none_exist` is the query of `If-None-Exist`.
pub async fn create(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    body: Bytes,
    if_none_exist: Option<&str>,
) -> Result<Outcome, AppError> {
    let request = idempotency::Request::of(caller, "create", &body);
    if let Some(kept) = idempotency::look_up(app, caller, request.as_ref()).await? {
        return replay(app, caller, &kept).await;
    }
    let document = prepare::parse(app, body)?;
    prepare::check(app, document.root(), ty)?;
    let condition = if_none_exist
        .map(|query| Condition::parse(app, caller, ty, query))
        .transpose()?;
    let mut retry = Retry::new();
    loop {
        let guard = match &condition {
            None => None,
            Some(condition) => match condition.find_any(app, caller).await? {
                Matched::None => Some(Guard {
                    plan: condition.plan.clone(),
                    seen: Vec::new(),
                }),
                Matched::One(found) => return existing(app, caller, &found.key).await,
                Matched::Several => return Err(condition.ambiguous(app)),
            },
        };
        let key = ResourceKey {
            ty,
            id: LogicalId::from_uuid(app.ids().uuid()),
        };
        let slot = Slot::first(app, key);
        let prepared = prepare::change(app, caller, slot, document.root(), None)?;
        let change = prepared.allow(app, caller, None, false).await?;
        let version = stored(&change);
        let mut unit = UnitOfWork::begin(app, &caller.scope);
        if let Some(guard) = guard {
            unit = unit.guard(guard);
        }
        if let Some(request) = &request {
            unit = unit.doc(request.keep(app, &Kept::created(&version)));
        }
        match unit.change(change).commit().await {
            Ok(receipt) => {
                return Ok(Outcome {
                    version,
                    created: true,
                    receipt: super::first_receipt(receipt),
                });
            }
            Err(CommitError::GuardChanged { .. }) if retry.again().await => {}
            Err(error) if idempotency::is_taken(&error) => {
                let kept = idempotency::look_up(app, caller, request.as_ref()).await?;
                return match kept {
                    Some(kept) => replay(app, caller, &kept).await,
                    None => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The version a change makes, as a read would answer it.
pub(crate) fn stored(change: &store::Change) -> StoredVersion {
    StoredVersion {
        key: change.key.clone(),
        row: change.row,
        version: change.version,
        version_row: change.version_row,
        kind: change.kind,
        body: (!change.body.is_empty()).then(|| Bytes::copy_from_slice(&change.body)),
        erased: false,
    }
}

async fn existing(app: &App, caller: &Caller, key: &ResourceKey) -> Result<Outcome, AppError> {
    Ok(Outcome {
        version: matched(app, caller, key).await?,
        created: false,
        receipt: None,
    })
}

/// The one resource that the criteria of a conditional create match. One that the caller may not see
/// stops the create without being named.
pub(crate) async fn matched(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<StoredVersion, AppError> {
    read::read(app, caller, key)
        .await
        .map_err(|error| match error {
            AppError::NotFound { .. } | AppError::Denied { .. } => AppError::Conflict(
                "a resource that you may not see matches the condition: ask somebody who may"
                    .to_owned(),
            ),
            other => other,
        })
}

pub(crate) async fn replay(app: &App, caller: &Caller, kept: &Kept) -> Result<Outcome, AppError> {
    let (key, version) = kept.version(app)?;
    Ok(Outcome {
        version: read::vread(app, caller, &key, version).await?,
        created: kept.created,
        receipt: None,
    })
}
