//! Update: a new version over what is there, or the first where there is nothing (update as create).
//! With `If-Match` only over that version; with criteria over what they match. Content that is there
//! already makes no version.

use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::Document;
use identity::Interaction;
use kernel::{LogicalId, VersionId};
use store::{CommitError, Guard, Head, ResourceKey};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::idempotency::{self, Kept};
use crate::medicines::signatures::refuse_held;
use crate::record::condition::{Condition, Matched};
use crate::record::create::{replay, stored};
use crate::record::prepare::{self, Slot};
use crate::record::{Outcome, integrity, name_of, narrow, read};
use crate::retry::Retry;
use crate::unit::UnitOfWork;

/// Updates a resource. `if_match` refuses any other current version than that one.
pub async fn update(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    body: Bytes,
    if_match: Option<VersionId>,
) -> Result<Outcome, AppError> {
    let request = idempotency::Request::of(caller, &name_of(key), &body);
    if let Some(kept) = idempotency::look_up(app, caller, request.as_ref()).await? {
        return replay(app, caller, &kept).await;
    }
    let document = prepare::parse(app, body)?;
    prepare::check(app, document.root(), key.ty)?;
    prepare::check_id(document.root(), &key.id)?;
    let job = Job {
        app,
        caller,
        document: &document,
        if_match,
        request: request.as_ref(),
    };
    let mut retry = Retry::new();
    loop {
        match job.attempt(key, None).await? {
            Attempt::Done(outcome) => return Ok(*outcome),
            Attempt::Lost(_) if if_match.is_none() && retry.again().await => {}
            Attempt::Lost(error) => return job.lost(error).await,
        }
    }
}

/// Updates the one resource that criteria match; creates where none matches (with the body's id, if it
/// has one); refuses where several match.
pub async fn update_where(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    criteria: &[(String, String)],
    body: Bytes,
    if_match: Option<VersionId>,
) -> Result<Outcome, AppError> {
    let name = app.definitions().resource_name(ty);
    let request = idempotency::Request::of(caller, name, &body);
    if let Some(kept) = idempotency::look_up(app, caller, request.as_ref()).await? {
        return replay(app, caller, &kept).await;
    }
    let document = prepare::parse(app, body)?;
    prepare::check(app, document.root(), ty)?;
    let condition = Condition::from_params(app, caller, ty, criteria).await?;
    let job = Job {
        app,
        caller,
        document: &document,
        if_match,
        request: request.as_ref(),
    };
    let mut retry = Retry::new();
    loop {
        let matched = condition.find(app, caller).await?;
        let guard = condition.guard(app, caller, &matched);
        let key =
            target(app, ty, &document, &matched).ok_or_else(|| condition.ambiguous(app))??;
        match job.attempt(&key, Some(guard)).await? {
            Attempt::Done(outcome) => return Ok(*outcome),
            Attempt::Lost(_) if if_match.is_none() && retry.again().await => {}
            Attempt::Lost(error) => return job.lost(error).await,
        }
    }
}

/// The resource a conditional update writes: `None` where several match.
pub(crate) fn target(
    app: &App,
    ty: TypeId,
    document: &Document,
    matched: &Matched,
) -> Option<Result<ResourceKey, AppError>> {
    let sent = match document
        .root()
        .get("id")
        .and_then(fhir::json::Value::as_str)
    {
        None => None,
        Some(text) => match text.parse::<LogicalId>() {
            Ok(id) => Some(id),
            Err(error) => return Some(Err(AppError::Invalid(error.to_string()))),
        },
    };
    target_of(app, ty, sent, matched)
}

/// The same, from the body's id.
pub(crate) fn target_of(
    app: &App,
    ty: TypeId,
    sent: Option<LogicalId>,
    matched: &Matched,
) -> Option<Result<ResourceKey, AppError>> {
    match matched {
        Matched::Several => None,
        Matched::One(found) => Some(match sent {
            Some(id) if id != found.key.id => Err(AppError::Invalid(format!(
                "the body's id is {}, the condition matches {}: make them equal or leave the id out",
                id.as_str(),
                found.key.id.as_str()
            ))),
            _ => Ok(found.key.clone()),
        }),
        Matched::None => Some(Ok(ResourceKey {
            ty,
            id: sent.unwrap_or_else(|| LogicalId::from_uuid(app.ids().uuid())),
        })),
    }
}

enum Attempt {
    Done(Box<Outcome>),
    Lost(CommitError),
}

struct Job<'a> {
    app: &'a App,
    caller: &'a Caller,
    document: &'a Document,
    if_match: Option<VersionId>,
    request: Option<&'a idempotency::Request>,
}

impl Job<'_> {
    async fn attempt(&self, key: &ResourceKey, guard: Option<Guard>) -> Result<Attempt, AppError> {
        let (app, caller) = (self.app, self.caller);
        let keys = std::slice::from_ref(key);
        let head = app.store().heads(&caller.scope, keys).await?;
        let head = head.into_iter().next().flatten();
        allow_over(app, caller, key, head.as_ref(), self.if_match).await?;
        expect(key, head.as_ref(), self.if_match)?;
        let slot = Slot::upsert(app, key.clone(), head.as_ref())?;
        if !slot.creates()
            && let Some(current) = app.store().read(&caller.scope, key).await?
            && prepare::is_same(self.document.root(), &current, None)
        {
            return Ok(Attempt::Done(Box::new(Outcome {
                version: current,
                created: false,
                receipt: None,
            })));
        }
        let created = slot.creates();
        let prepared = prepare::change(app, caller, slot, self.document.root(), None)?;
        let change = prepared.allow(app, caller, None, true).await?;
        let version = stored(&change);
        let mut unit = UnitOfWork::begin(app, &caller.scope);
        let whole = integrity::guards(app, caller, std::slice::from_ref(&change)).await?;
        refuse_held(app, caller, std::slice::from_ref(&change), &[]).await?;
        for guard in guard.into_iter().chain(whole) {
            unit = unit.guard(guard);
        }
        if let Some(request) = self.request {
            let kept = Kept {
                created,
                ..Kept::created(&version)
            };
            unit = unit.doc(request.keep(app, &kept));
        }
        match unit.change(change).commit().await {
            Ok(receipt) => Ok(Attempt::Done(Box::new(Outcome {
                version,
                created,
                receipt: super::first_receipt(receipt),
            }))),
            Err(
                error @ (CommitError::Stale { .. }
                | CommitError::GuardChanged { .. }
                | CommitError::DocConflict { .. }),
            ) => Ok(Attempt::Lost(error)),
            Err(error) => Err(error.into()),
        }
    }

    async fn lost(&self, error: CommitError) -> Result<Outcome, AppError> {
        if idempotency::is_taken(&error)
            && let Some(kept) = idempotency::look_up(self.app, self.caller, self.request).await?
        {
            return replay(self.app, self.caller, &kept).await;
        }
        Err(error.into())
    }
}

/// Checks `If-Match` against a head.
pub(crate) fn expect(
    key: &ResourceKey,
    head: Option<&Head>,
    if_match: Option<VersionId>,
) -> Result<(), AppError> {
    match if_match {
        Some(version) if head.map(|head| head.version) != Some(version) => Err(AppError::Stale {
            what: name_of(key),
            current: head.map(|head| head.version),
        }),
        _ => Ok(()),
    }
}

/// Whether the caller may change what is there now: what it is about may differ from what the new
/// version is about. Costs a read only for roles that are narrowed to some patients. Out of reach
/// answers as if nothing were there, a deletion no less than a version with a body.
pub(crate) async fn allow_over(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    head: Option<&Head>,
    if_match: Option<VersionId>,
) -> Result<(), AppError> {
    authorise(app, caller, &Ask::of_type(Interaction::Update, key.ty)).await?;
    let narrowed = narrow::is_narrowed(app, caller, Interaction::Update, key.ty);
    if head.is_none() || !narrowed {
        return Ok(());
    }
    let Some(found) = app.store().read(&caller.scope, key).await? else {
        return Ok(());
    };
    match read::allow_existing(app, caller, Interaction::Update, &found).await {
        Ok(_) => Ok(()),
        Err(error @ AppError::NotFound { .. }) => {
            expect(key, None, if_match)?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}
