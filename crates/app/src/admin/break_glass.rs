//! Emergency access: asked for with a reason, limited in time, reviewed by somebody else.

use identity::{BreakGlassGrant, BreakGlassPolicy, BreakGlassReason, Interaction, ReviewOutcome};
use kernel::LogicalId;
use ledger::leaf::Class;
use store::{DocExpected, DocKind};
use uuid::Uuid;

use crate::App;
use crate::admin::{Versioned, acting_user, all, allow, changed, commit, load, refuse, write};
use crate::context::Caller;
use crate::error::AppError;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// To which patient.
    pub patient: LogicalId,
    /// Why, coded.
    pub reason: BreakGlassReason,
    /// Why, in words: 10 to 1000 characters.
    pub text: String,
    /// For how many minutes; `None` for the policy's default.
    pub minutes: Option<u32>,
}

async fn refused(app: &App, caller: &Caller, error: identity::GrantError) -> AppError {
    use kernel::{Categorised as _, Category};
    let sentence = error.to_string();
    match error.category() {
        Category::Forbidden => refuse(app, caller, Class::BreakGlassReview, "own-grant", &sentence)
            .await
            .unwrap_or_else(|error| error),
        Category::Conflict => AppError::Conflict(sentence),
        _ => AppError::Unprocessable(sentence),
    }
}

/// Takes emergency access. The grant counts from the next request of the same person on. One to a
/// patient who is not there is made and recorded like any other: whether there is such a patient is
/// told by no answer to somebody who may not know, and the grant opens nothing.
pub async fn request(
    app: &App,
    caller: &Caller,
    wanted: Wanted,
) -> Result<BreakGlassGrant, AppError> {
    allow(app, caller, Interaction::BreakGlass).await?;
    let made = BreakGlassGrant::request(
        caller.scope.tenant(),
        app.ids().uuid(),
        acting_user(caller.subject.actor()),
        wanted.patient,
        wanted.reason,
        &wanted.text,
        wanted.minutes,
        &BreakGlassPolicy::default(),
        app.now(),
    );
    let grant = match made {
        Ok(grant) => grant,
        Err(error) => return Err(refused(app, caller, error).await),
    };
    let doc = write(
        app,
        DocKind::BreakGlass,
        grant.id,
        DocExpected::Absent,
        &grant,
        Vec::new(),
    )?;
    let mut entry = changed(
        app,
        caller,
        Class::BreakGlass,
        "break-glass",
        grant.text.clone(),
    );
    about(&mut entry, &grant);
    entry.reason = Some(grant.reason.as_str().to_owned());
    entry.payload.purpose = kernel::PurposeOfUse::EmergencyTreatment;
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(grant)
}

/// Ends one's own emergency access.
pub async fn end(app: &App, caller: &Caller, id: Uuid) -> Result<BreakGlassGrant, AppError> {
    let found = grant(app, caller, id).await?;
    if found.value.user != acting_user(caller.subject.actor()) {
        return Err(AppError::not_found("emergency access"));
    }
    let ended = found.value.ended(app.now());
    store_changed(
        app,
        caller,
        found.version,
        &ended,
        Class::BreakGlass,
        "break-glass-end",
    )
    .await?;
    Ok(ended)
}

/// Emergency access that waits for a review, oldest first.
pub async fn waiting(app: &App, caller: &Caller) -> Result<Vec<BreakGlassGrant>, AppError> {
    let mut grants = list(app, caller).await?;
    grants.retain(|grant| {
        grant
            .reviewed
            .as_ref()
            .is_none_or(|review| review.outcome == ReviewOutcome::Escalated)
    });
    Ok(grants)
}

/// Every emergency access, oldest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<BreakGlassGrant>, AppError> {
    allow(app, caller, Interaction::ReviewBreakGlass).await?;
    let found: Vec<Versioned<BreakGlassGrant>> =
        all(app, &caller.scope, DocKind::BreakGlass).await?;
    let mut grants: Vec<BreakGlassGrant> = found.into_iter().map(|found| found.value).collect();
    grants.sort_by_key(|grant| grant.granted);
    Ok(grants)
}

/// Reviews emergency access of somebody else.
pub async fn review(
    app: &App,
    caller: &Caller,
    id: Uuid,
    outcome: ReviewOutcome,
    note: &str,
) -> Result<BreakGlassGrant, AppError> {
    allow(app, caller, Interaction::ReviewBreakGlass).await?;
    let found = grant(app, caller, id).await?;
    let by = acting_user(caller.subject.actor());
    let reviewed = match found.value.reviewed(by, outcome, note, app.now()) {
        Ok(reviewed) => reviewed,
        Err(error) => return Err(refused(app, caller, error).await),
    };
    store_changed(
        app,
        caller,
        found.version,
        &reviewed,
        Class::BreakGlassReview,
        "break-glass-review",
    )
    .await?;
    Ok(reviewed)
}

async fn grant(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<Versioned<BreakGlassGrant>, AppError> {
    load(app, &caller.scope, DocKind::BreakGlass, &id.to_string())
        .await?
        .ok_or_else(|| AppError::not_found("emergency access"))
}

async fn store_changed(
    app: &App,
    caller: &Caller,
    version: u32,
    grant: &BreakGlassGrant,
    class: Class,
    what: &'static str,
) -> Result<(), AppError> {
    let expected = DocExpected::Version(version);
    let doc = write(
        app,
        DocKind::BreakGlass,
        grant.id,
        expected,
        grant,
        Vec::new(),
    )?;
    let detail = grant
        .reviewed
        .as_ref()
        .map_or_else(String::new, |review| format!("{:?}", review.outcome));
    let mut entry = changed(app, caller, class, what, detail);
    about(&mut entry, grant);
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(())
}

fn about(entry: &mut store::Entry, grant: &BreakGlassGrant) {
    entry.subject = Some(grant.patient.clone());
    entry.payload.patient = Some(grant.patient.as_str().to_owned());
    entry.prior = Some(grant.id);
}
