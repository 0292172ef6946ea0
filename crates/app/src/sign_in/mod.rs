//! Signing in: people with password and code, programs with assertions and tokens. Every success,
//! failure and sign-out is an entry of the access ledger. What is made here is a
//! [`Caller`](crate::Caller): nothing else can make one but the platform's own set-up.

pub mod account;
pub mod bearer;
pub(crate) mod cache;
pub mod client_credentials;
pub mod confirm;
pub mod password;
pub mod session;
pub(crate) mod token_use;

use std::borrow::Cow;
use std::sync::Arc;

use identity::{
    AuthenticationLevel, Branch, BreakGlassGrant, Relationship, Subject, Surroundings, SystemTask,
    Tenant, User, admit, system_scope,
};
use kernel::{Actor, BranchId, TenantId, TenantScope, UserId};
use ledger::leaf::{Class, Outcome};
use ledger::payload::Payload;
use store::{DocKind, Entry, Log};

use crate::App;
use crate::admin::{Versioned, all, load};
use crate::context::{Caller, RequestContext};
use crate::error::{AppError, SignInError};
use crate::tenants;

pub use bearer::bearer;
pub use client_credentials::{IssuedToken, client_credentials};
pub use confirm::{Confirmed, Proof, confirm};
pub use password::{SignedIn, password, second_step};
pub use session::{SessionCaller, check_form, form_token, session, sign_out};

/// The unique look-up of users by their sign-in name.
pub(crate) const NAME: &str = "name";

/// The scope of looking up who signs in.
pub(crate) fn scope(tenant: TenantId) -> TenantScope {
    system_scope(tenant, SystemTask::SignIn)
}

/// Everything a person's permissions are made of, as it is now.
pub(crate) async fn subject_of_user(
    app: &App,
    scope: &TenantScope,
    user: &User,
    level: AuthenticationLevel,
    at: Option<BranchId>,
) -> Result<Subject, AppError> {
    let branches = branches(app, scope).await?;
    let relationships: Vec<Versioned<Relationship>> =
        all(app, scope, DocKind::Relationship).await?;
    let relationships: Vec<Relationship> =
        relationships.into_iter().map(|found| found.value).collect();
    let grants: Vec<Versioned<BreakGlassGrant>> = all(app, scope, DocKind::BreakGlass).await?;
    let grants: Vec<BreakGlassGrant> = grants.into_iter().map(|found| found.value).collect();
    let around = Surroundings {
        branches: &branches,
        relationships: &relationships,
        grants: &grants,
        at,
    };
    Subject::user(scope, user, level, &around).map_err(|_| SignInError::Session.into())
}

/// The tenant's branches.
pub(crate) async fn branches(app: &App, scope: &TenantScope) -> Result<Vec<Branch>, AppError> {
    let found: Vec<Versioned<Branch>> = all(app, scope, DocKind::Branch).await?;
    Ok(found.into_iter().map(|found| found.value).collect())
}

/// A user by id.
pub(crate) async fn user(
    app: &App,
    scope: &TenantScope,
    id: UserId,
) -> Result<Option<Versioned<User>>, AppError> {
    load(app, scope, DocKind::User, &id.to_string()).await
}

/// The caller that a subject is in a tenant.
pub(crate) fn caller(
    app: &App,
    tenant: &Tenant,
    subject: Arc<Subject>,
    context: RequestContext,
) -> Result<Caller, AppError> {
    let scope = admit(tenant.id, &subject, app.now()).map_err(|_| AppError::not_found("tenant"))?;
    Ok(Caller {
        scope,
        subject,
        context: Arc::new(context),
        tenant: tenants::info(tenant),
    })
}

/// An entry about signing in.
pub(crate) fn entry(
    app: &App,
    context: &RequestContext,
    actor: &Actor,
    class: Class,
    what: impl Into<Cow<'static, str>>,
    detail: Option<String>,
) -> Entry {
    let mut payload = Payload::new(actor, what, context.purpose);
    payload.client_address = context.client_address.map(|address| address.to_string());
    payload.request = Some(context.id);
    payload.outcome_text = detail;
    let mut entry = Entry::new(app.ids().uuid(), app.now(), Log::Access, class, payload);
    if class == Class::LoginFailed {
        entry.outcome = Outcome::Failed;
    }
    entry
}

/// A user as an actor, before there is a subject.
pub(crate) fn actor_of(user: &User) -> Actor {
    Actor {
        id: user.id.into(),
        kind: kernel::ActorKind::User,
        name: user.display_name.clone(),
        role: user
            .roles
            .first()
            .map_or("none", |assignment| assignment.role.as_str())
            .to_owned(),
        branch: None,
    }
}

/// The platform as the actor of a refusal of somebody unknown.
pub(crate) fn unknown_actor(tenant: TenantId) -> Actor {
    Subject::system(tenant, SystemTask::SignIn).actor().clone()
}

/// Writes down a refusal.
pub(crate) async fn refused(
    app: &App,
    tenant: TenantId,
    context: &RequestContext,
    actor: &Actor,
    what: &'static str,
    detail: String,
) -> Result<(), AppError> {
    let entry = entry(app, context, actor, Class::LoginFailed, what, Some(detail));
    app.store()
        .record_access(&scope(tenant), vec![entry])
        .await?;
    Ok(())
}
