//! Create: the server gives the id; a client's is ignored (FHIR R4 http.html, create). With criteria,
//! only where nothing matches, decided inside the writer, so that parallel ones make no duplicate.

use bytes::Bytes;
use fhir::definitions::TypeId;
use identity::{Interaction, ReasonCode};
use kernel::LogicalId;
use ledger::leaf::Class;
use store::{CommitError, Guard, ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Refused, refusal_entry};
use crate::error::AppError;
use crate::idempotency::{self, Kept};
use crate::record::condition::{Condition, Matched};
use crate::record::prepare::{self, Slot};
use crate::record::{Outcome, integrity, read};
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
    let condition = match if_none_exist {
        Some(query) => Some(Condition::parse(app, caller, ty, query).await?),
        None => None,
    };
    let mut retry = Retry::new();
    loop {
        let guard = match &condition {
            None => None,
            Some(condition) => match matched(app, caller, condition).await? {
                Ok(version) => {
                    return Ok(Outcome {
                        version,
                        created: false,
                        receipt: None,
                    });
                }
                Err(guard) => Some(guard),
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
        let whole = integrity::guards(app, caller, std::slice::from_ref(&change)).await?;
        let guards = guard.into_iter().chain(whole);
        let mut unit = UnitOfWork::begin(app, &caller.scope).guards(guards);
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

/// The one resource that the criteria of a conditional create match, or the guard under which it may be
/// made. Whatever the caller may not see, one or several, stops the create without being named.
pub(crate) async fn matched(
    app: &App,
    caller: &Caller,
    condition: &Condition,
) -> Result<Result<StoredVersion, Guard>, AppError> {
    let ty = condition.ty;
    // The look is at the whole tenant: nobody takes it who may neither create nor search.
    for interaction in [Interaction::Create, Interaction::Search] {
        authorise(app, caller, &Ask::of_type(interaction, ty)).await?;
    }
    match condition.find_any(app, caller).await? {
        Matched::None => Ok(Err(Guard {
            plan: condition.plan.clone(),
            seen: Vec::new(),
        })),
        Matched::One(found) => match read::read(app, caller, &found.key).await {
            Ok(version) => Ok(Ok(version)),
            Err(AppError::NotFound { .. } | AppError::Denied { .. }) => Err(hidden()),
            Err(other) => Err(other),
        },
        Matched::Several => match condition.find(app, caller).await? {
            Matched::Several => Err(condition.ambiguous(app)),
            Matched::None | Matched::One(_) => {
                let entry = refusal_entry(
                    app,
                    caller,
                    &Refused {
                        class: Class::Create,
                        key: None,
                        type_name: Some(app.definitions().resource_name(ty)),
                        patient: None,
                        code: ReasonCode::OutOfReach.as_str(),
                        sentence: "the condition matches resources out of reach",
                    },
                );
                app.store()
                    .record_access(&caller.scope, vec![entry])
                    .await?;
                Err(hidden())
            }
        },
    }
}

fn hidden() -> AppError {
    AppError::Conflict(
        "a resource that you may not see matches the condition: ask somebody who may".to_owned(),
    )
}

pub(crate) async fn replay(app: &App, caller: &Caller, kept: &Kept) -> Result<Outcome, AppError> {
    let (key, version) = kept.version(app)?;
    Ok(Outcome {
        version: read::vread(app, caller, &key, version).await?,
        created: kept.created,
        receipt: None,
    })
}
