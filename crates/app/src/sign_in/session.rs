//! Browser sessions: look-up by cookie, anti-forgery tokens, sign-out.

use std::sync::Arc;

use identity::credential::{Credential, CredentialKind};
use identity::{AuthenticationLevel, Session, csrf};
use kernel::TenantId;
use ledger::leaf::Class;
use store::{CommitError, DocExpected, DocKind, DocWrite};

use crate::App;
use crate::admin;
use crate::admin::Versioned;
use crate::context::{Caller, RequestContext};
use crate::error::{AppError, SignInError};
use crate::sign_in::cache::Principals;
use crate::sign_in::password::{policy, session_write};
use crate::sign_in::{self, entry, scope};
use crate::tenants;
use crate::unit::UnitOfWork;

/// A caller with a live session.
#[derive(Debug, Clone)]
pub struct SessionCaller {
    /// Who.
    pub caller: Caller,
    /// The session.
    pub session: Arc<Session>,
}

/// The live session of a cookie, straight from the store.
pub(crate) async fn load(
    app: &App,
    tenant: TenantId,
    cookie: &str,
) -> Result<Versioned<Session>, AppError> {
    let credential = Credential::parse(cookie).map_err(|_| SignInError::Session)?;
    if credential.kind != CredentialKind::Session {
        return Err(SignInError::Session.into());
    }
    let id = credential.id.to_string();
    let found: Option<Versioned<Session>> =
        admin::load(app, &scope(tenant), DocKind::Session, &id).await?;
    let matches = credential.matches(found.as_ref().map(|found| &found.value.hash));
    match found {
        Some(found)
            if matches && found.value.tenant == tenant && found.value.check(app.now()).is_ok() =>
        {
            Ok(found)
        }
        _ => Err(SignInError::Session.into()),
    }
}

/// Looks up a session by its cookie, and notes its use at most once a minute.
pub async fn session(
    app: &App,
    slug: &str,
    cookie: &str,
    context: RequestContext,
) -> Result<SessionCaller, AppError> {
    let tenant = tenants::by_slug(app, slug).await?;
    if !tenant.accepts_sign_in() {
        return Err(SignInError::Session.into());
    }
    let key = Principals::key(tenant.id, cookie);
    let now = app.now();
    let staleness = app.settings().session.staleness_s;
    let principals = &app.caches().principals;
    if let Some(known) = principals.get(tenant.id, &key, now, staleness)
        && let Some(session) = &known.session
        && session.check(now).is_ok()
    {
        return Ok(SessionCaller {
            caller: sign_in::caller(app, &tenant, known.subject.clone(), context)?,
            session: session.clone(),
        });
    }
    let generation = principals.generation(tenant.id);
    let found = load(app, tenant.id, cookie).await?;
    let scope = scope(tenant.id);
    let user = sign_in::user(app, &scope, found.value.user).await?;
    let user = user.ok_or(SignInError::Session)?.value;
    let session = touch(app, tenant.id, found).await?;
    let level = session.level;
    let subject = sign_in::subject_of_user(app, &scope, &user, level, session.branch).await?;
    let session = Arc::new(session);
    let until = session.idle_until;
    let principal = principals.remember(
        key,
        Arc::new(subject),
        Some(session.clone()),
        until,
        (generation, now),
    );
    Ok(SessionCaller {
        caller: sign_in::caller(app, &tenant, principal.subject.clone(), context)?,
        session,
    })
}

async fn touch(
    app: &App,
    tenant: TenantId,
    found: Versioned<Session>,
) -> Result<Session, AppError> {
    let now = app.now();
    if found.value.level == AuthenticationLevel::PasswordOnly {
        return Ok(found.value);
    }
    let Some(touched) = found.value.touched(&policy(app), now) else {
        return Ok(found.value);
    };
    let doc = session_write(&touched, DocExpected::Version(found.version), now)?;
    match app.store().operate(&scope(tenant), vec![doc]).await {
        Ok(()) => Ok(touched),
        // Another request noted the use, or signed out: what was read was live a moment ago.
        Err(CommitError::DocConflict { .. }) => Ok(found.value),
        Err(error) => Err(error.into()),
    }
}

/// An anti-forgery token for a form of this session; another one each time.
#[must_use]
pub fn form_token(app: &App, session: &Session) -> String {
    let mut mask = [0; 32];
    app.ids().fill(&mut mask);
    csrf::token(session, mask)
}

/// Refuses a form whose token was not made for this session.
pub fn check_form(session: &Session, token: &str) -> Result<(), AppError> {
    if csrf::verify(session, token) {
        Ok(())
    } else {
        Err(SignInError::Forgery.into())
    }
}

/// Ends a session. A cookie that is nothing any more is no error.
pub async fn sign_out(
    app: &App,
    slug: &str,
    cookie: &str,
    context: RequestContext,
) -> Result<(), AppError> {
    let tenant = tenants::by_slug(app, slug).await?;
    let key = Principals::key(tenant.id, cookie);
    app.caches().principals.forget(&key);
    let found = match load(app, tenant.id, cookie).await {
        Ok(found) => found,
        Err(AppError::SignIn(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let scope = scope(tenant.id);
    let actor = match sign_in::user(app, &scope, found.value.user).await? {
        Some(user) => sign_in::actor_of(&user.value),
        None => sign_in::unknown_actor(tenant.id),
    };
    let ended = end(&found.value, app.now())?;
    UnitOfWork::begin(app, &scope)
        .doc(ended)
        .entry(entry(
            app,
            &context,
            &actor,
            Class::Logout,
            "sign-out",
            None,
        ))
        .commit()
        .await?;
    // A request that loaded the session before the commit may have remembered it since.
    app.caches().principals.forget(&key);
    Ok(())
}

/// The write that ends a session.
pub(crate) fn end(session: &Session, now: kernel::Timestamp) -> Result<DocWrite, AppError> {
    Ok(DocWrite {
        body: None,
        expires: None,
        ..session_write(session, DocExpected::Any, now)?
    })
}

/// The writes that end every session of a user.
pub(crate) async fn end_all_of(
    app: &App,
    tenant: TenantId,
    user: kernel::UserId,
    but: Option<kernel::SessionId>,
) -> Result<Vec<DocWrite>, AppError> {
    let sessions: Vec<Versioned<Session>> =
        admin::all(app, &scope(tenant), DocKind::Session).await?;
    sessions
        .iter()
        .filter(|found| found.value.user == user && Some(found.value.id) != but)
        .map(|found| end(&found.value, app.now()))
        .collect()
}
