//! Emergency access: asked for with a reason, limited in time, reviewed by somebody else.

use identity::{
    BreakGlassGrant, BreakGlassPolicy, BreakGlassReason, Interaction, ReviewOutcome, User,
};
use kernel::{LogicalId, UserId};
use ledger::leaf::{Class, Outcome};
use store::{DocExpected, DocKind, Log};
use uuid::Uuid;

use crate::App;
use crate::admin::{Versioned, acting_user, all, allow, changed, commit, load, refuse, write};
use crate::audit::subject::{self, Sought};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// To which patient: by the record's id or by a number.
    pub patient: Sought,
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
    let nobody = nobody(app)?;
    let made = BreakGlassGrant::request(
        caller.scope.tenant(),
        app.ids().uuid(),
        acting_user(caller.subject.actor()),
        nobody,
        wanted.reason,
        &wanted.text,
        wanted.minutes,
        &BreakGlassPolicy::default(),
        app.now(),
    );
    let mut grant = match made {
        Ok(grant) => grant,
        Err(error) => return Err(refused(app, caller, error).await),
    };
    // Looked up last: what is asked without a reason must not find anybody.
    if let Some(patient) = patient_of(app, caller, &wanted.patient).await? {
        grant.patient = patient;
    }
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
    if let Sought::Number(forms) = &wanted.patient {
        entry.payload.query = Some(format!("number={}", forms.join(",")));
    }
    entry.reason = Some(grant.reason.as_str().to_owned());
    entry.payload.purpose = kernel::PurposeOfUse::EmergencyTreatment;
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(grant)
}

/// An id that no record has.
fn nobody(app: &App) -> Result<LogicalId, AppError> {
    let id = app.ids().uuid().to_string();
    id.parse()
        .map_err(|_| AppError::Fault("an id could not be made".to_owned()))
}

/// The one patient that is meant; `None` for a number that nobody has: the grant is made and recorded like
/// any other, opens nothing, and so the answer does not tell whether there is a patient. What has a letter
/// may be a record's id; digits alone never are, since another's record may have the number as its id.
async fn patient_of(
    app: &App,
    caller: &Caller,
    sought: &Sought,
) -> Result<Option<LogicalId>, AppError> {
    let forms = match sought {
        Sought::Id(id) => return Ok(Some(id.clone())),
        Sought::Number(forms) => forms,
    };
    let mut found = subject::of_number(app, caller, forms).await?;
    if found.len() > 1 {
        let (log, class) = (Log::Access, Class::BreakGlass);
        let mut entry = house_entry(app, caller, log, class, "break-glass", None);
        entry.outcome = Outcome::Failed;
        entry.payload.query = Some(format!("number={}", forms.join(",")));
        app.store()
            .record_access(&caller.scope, vec![entry])
            .await?;
        return Err(AppError::Conflict(
            "this number does not name one record alone: give the record id".to_owned(),
        ));
    }
    let is_id = |form: &&String| form.bytes().any(|byte| byte.is_ascii_alphabetic());
    Ok(found.pop().or_else(|| {
        forms
            .iter()
            .filter(is_id)
            .find_map(|form| form.parse().ok())
    }))
}

/// One's own emergency access that is in force, newest first.
pub async fn own(app: &App, caller: &Caller) -> Result<Vec<BreakGlassGrant>, AppError> {
    let user = acting_user(caller.subject.actor());
    let found: Vec<Versioned<BreakGlassGrant>> =
        all(app, &caller.scope, DocKind::BreakGlass).await?;
    let mut grants: Vec<BreakGlassGrant> = found
        .into_iter()
        .map(|found| found.value)
        .filter(|grant| grant.user == user && grant.is_active(app.now()))
        .collect();
    grants.sort_by_key(|grant| core::cmp::Reverse(grant.granted));
    Ok(grants)
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

/// Names of users, for those who review: whose emergency access it was, and who reviewed it.
pub async fn people(app: &App, caller: &Caller) -> Result<Vec<(UserId, String)>, AppError> {
    allow(app, caller, Interaction::ReviewBreakGlass).await?;
    let users: Vec<Versioned<User>> = all(app, &caller.scope, DocKind::User).await?;
    let names = users
        .into_iter()
        .map(|found| (found.value.id, found.value.display_name));
    Ok(names.collect())
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
