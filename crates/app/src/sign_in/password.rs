//! Sign-in by password, and the second step. An unknown name takes as long, locks as soon and answers
//! as a known one.

use std::sync::Arc;

use identity::credential::{Credential, CredentialKind};
use identity::lockout::{LockOut, LockOutPolicy, Locked};
use identity::password::PasswordCost;
use identity::totp::{Totp, TotpError};
use identity::{
    AuthenticationLevel, Pending, SecretBytes, Session, SessionPolicy, SignInName, Tenant, User,
};
use kernel::{SessionId, TenantId, Timestamp, UserId};
use ledger::leaf::Class;
use store::{CommitError, DocExpected, DocKind, DocWrite};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::App;
use crate::admin::{Versioned, write};
use crate::context::{Caller, RequestContext};
use crate::error::{AppError, SignInError};
use crate::retry::Retry;
use crate::sign_in::{self, NAME, actor_of, entry, refused, scope, unknown_actor};
use crate::tenants;
use crate::unit::UnitOfWork;

/// Somebody who signed in, at least as far as the first step.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The session cookie's text; shown to the browser once.
    pub cookie: Zeroizing<String>,
    /// The session.
    pub session: Arc<Session>,
    /// Who, with what they may do now.
    pub caller: Caller,
    /// What must happen before anything else.
    pub pending: Option<Pending>,
}

/// Passwords hashed at a time: each takes 19 MiB and a core.
static HASHING: Semaphore = Semaphore::const_new(4);

/// Failures of names that nobody has, so that they lock like others.
pub(crate) struct UnknownNames(moka::sync::Cache<(TenantId, String), LockOut>);

impl Default for UnknownNames {
    fn default() -> Self {
        Self(moka::sync::Cache::new(50_000))
    }
}

pub(crate) fn policy(app: &App) -> SessionPolicy {
    let times = &app.settings().session;
    SessionPolicy {
        idle_seconds: times.idle_s,
        absolute_seconds: times.absolute_s,
        touch_seconds: times.touch_s,
    }
}

pub(crate) fn locked(locked: Locked) -> AppError {
    SignInError::Locked(u32::try_from(locked.minutes()).unwrap_or(u32::MAX)).into()
}

/// Runs argon2 where it may block.
pub(crate) async fn hashing<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    let _permit = HASHING
        .acquire()
        .await
        .map_err(|error| AppError::Fault(error.to_string()))?;
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// Checks name and password and begins a session. Where a second step is set up, the session admits to
/// nothing but that.
pub async fn password(
    app: &App,
    slug: &str,
    name: &str,
    password: Zeroizing<String>,
    context: RequestContext,
) -> Result<SignedIn, AppError> {
    let tenant = tenants::by_slug(app, slug).await?;
    let (id, tried) = compare(app, &tenant, (name, password), &context, "password").await?;
    settle(app, &tenant, id, tried, context).await
}

/// Compares a password with the one of a name. It takes as long, locks as soon and answers the same for a
/// name that nobody has.
pub(crate) async fn compare(
    app: &App,
    tenant: &Tenant,
    (name, password): (&str, Zeroizing<String>),
    context: &RequestContext,
    what: &'static str,
) -> Result<(UserId, Tried), AppError> {
    let folded: Option<SignInName> = name.parse().ok();
    let found = match &folded {
        Some(name) => find(app, tenant.id, name).await?,
        None => None,
    };
    // All spellings of a name count together.
    let name = folded.as_ref().map_or(name, SignInName::as_str);
    let lock_out = match &found {
        Some(found) => found.value.lock_out,
        None => unknown(app, tenant.id, name),
    };
    if let Err(refusal) = lock_out.check(app.now()) {
        let actor = found
            .as_ref()
            .map_or_else(|| unknown_actor(tenant.id), |found| actor_of(&found.value));
        refused(app, tenant.id, context, &actor, what, LOCKED.to_owned()).await?;
        return Err(locked(refusal));
    }
    let stored = found
        .as_ref()
        .filter(|found| found.value.state == identity::UserState::Active)
        .filter(|_| tenant.accepts_sign_in())
        .and_then(|found| found.value.password.clone());
    let (right, rehashed) = verify(app, password, stored.clone()).await?;
    let Some(found) = found else {
        return Err(nobody(app, tenant.id, name, context, what).await?);
    };
    let tried = Tried {
        right,
        stored,
        rehashed,
    };
    Ok((found.value.id, tried))
}

/// Counts a try for a name that nobody has, and answers as for one that somebody has.
async fn nobody(
    app: &App,
    tenant: TenantId,
    name: &str,
    context: &RequestContext,
    what: &'static str,
) -> Result<AppError, AppError> {
    let actor = unknown_actor(tenant);
    // Other tries were counted while this one waited for its turn to be hashed.
    let (error, detail) = match count_unknown(app, tenant, name, app.now()) {
        Ok(()) => (SignInError::Credentials.into(), "no such sign-in name"),
        Err(refusal) => (locked(refusal), LOCKED),
    };
    refused(app, tenant, context, &actor, what, detail.to_owned()).await?;
    Ok(error)
}

const LOCKED: &str = "locked after failed attempts";

/// What the hashing found.
pub(crate) struct Tried {
    right: bool,
    /// The hash that the password was compared with.
    stored: Option<String>,
    rehashed: Option<String>,
}

impl Tried {
    /// Whether it was the password that the account has now, of somebody who may sign in now.
    pub(crate) fn holds(&self, user: &User, now: Timestamp) -> bool {
        self.right
            && user.state == identity::UserState::Active
            && user.password == self.stored
            && user.lock_out.check(now).is_ok()
    }
}

/// Judges a try by the account as it is now, and commits against that very version of it: a lock, a
/// suspension or another password committed while this try was hashed or committing undoes it, and no
/// failure is lost to another one counted at the same time.
async fn settle(
    app: &App,
    tenant: &Tenant,
    id: UserId,
    tried: Tried,
    context: RequestContext,
) -> Result<SignedIn, AppError> {
    let mut retry = Retry::patient();
    loop {
        let Some(found) = sign_in::user(app, &scope(tenant.id), id).await? else {
            return Err(SignInError::Credentials.into());
        };
        let user = &found.value;
        if !tried.holds(user, app.now()) {
            failed(app, tenant.id, found, &context, "password").await?;
            return Err(SignInError::Credentials.into());
        }
        let rehashed = tried.rehashed.clone();
        match first_step(app, tenant, found, rehashed, &context).await? {
            Ok((user, session, cookie)) => {
                return finish(app, tenant, &user, session, cookie, context).await;
            }
            Err(CommitError::DocConflict { .. }) if retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn find(
    app: &App,
    tenant: TenantId,
    name: &SignInName,
) -> Result<Option<Versioned<User>>, AppError> {
    let doc = app
        .store()
        .doc_by(&scope(tenant), DocKind::User, NAME, name.as_str())
        .await?;
    let Some(doc) = doc else { return Ok(None) };
    Ok(Some(Versioned {
        value: serde_json::from_slice(&doc.body)?,
        version: doc.version,
    }))
}

fn unknown(app: &App, tenant: TenantId, name: &str) -> LockOut {
    let key = (tenant, name.chars().take(100).collect());
    app.caches()
        .unknown_names
        .0
        .get(&key)
        .unwrap_or_else(LockOut::cleared)
}

/// Counts a failure of a name that nobody has, unless it is locked already.
fn count_unknown(app: &App, tenant: TenantId, name: &str, now: Timestamp) -> Result<(), Locked> {
    let key = (tenant, name.chars().take(100).collect());
    let mut answer = Ok(());
    // One try at a time: none is lost to another one counted at the same moment.
    app.caches()
        .unknown_names
        .0
        .entry(key)
        .and_upsert_with(|known| {
            let before = known.map_or_else(LockOut::cleared, moka::Entry::into_value);
            answer = before.check(now);
            before.failed(&LockOutPolicy::default(), now)
        });
    answer
}

// Whether the password is right, and its hash at today's cost where the stored one is at another.
async fn verify(
    app: &App,
    password: Zeroizing<String>,
    stored: Option<String>,
) -> Result<(bool, Option<String>), AppError> {
    let mut salt = [0; 16];
    app.ids().fill(&mut salt);
    hashing(move || {
        let cost = PasswordCost::default();
        let right = cost.verify(&password, stored.as_deref());
        let rehashed = stored
            .filter(|stored| right && cost.needs_rehash(stored))
            .and_then(|_| cost.hash(&password, &salt).ok());
        (right, rehashed)
    })
    .await
}

/// Counts a failure of a known user, however many count at the same time. One that finds the account
/// locked by then is written down as refused, and answered so.
pub(crate) async fn failed(
    app: &App,
    tenant: TenantId,
    found: Versioned<User>,
    context: &RequestContext,
    what: &'static str,
) -> Result<(), AppError> {
    let id = found.value.id;
    let mut current = Some(found);
    let mut retry = Retry::patient();
    while let Some(found) = current {
        let mut user = found.value;
        let actor = actor_of(&user);
        if let Err(refusal) = user.lock_out.check(app.now()) {
            refused(app, tenant, context, &actor, what, LOCKED.to_owned()).await?;
            return Err(locked(refusal));
        }
        user.lock_out = user.lock_out.failed(&LockOutPolicy::default(), app.now());
        let doc = user_write(app, &user, found.version)?;
        let detail = format!("failure {} in a row", user.lock_out.failures);
        let entry = entry(app, context, &actor, Class::LoginFailed, what, Some(detail));
        let unit = UnitOfWork::begin(app, &scope(tenant)).doc(doc).entry(entry);
        match unit.commit().await {
            Ok(_) => return Ok(()),
            Err(CommitError::DocConflict { .. }) if retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
        current = sign_in::user(app, &scope(tenant), id).await?;
    }
    Ok(())
}

/// A write of a user over the version it was read at.
pub(crate) fn user_write(app: &App, user: &User, version: u32) -> Result<DocWrite, AppError> {
    let lookups = vec![(NAME, user.sign_in_name.as_str().to_owned())];
    let expected = DocExpected::Version(version);
    write(app, DocKind::User, user.id, expected, user, lookups)
}

/// A new session and its cookie.
fn begin(
    app: &App,
    tenant: TenantId,
    user: &User,
    level: AuthenticationLevel,
) -> Result<(Session, Zeroizing<String>, DocWrite), AppError> {
    let (mut secret, mut seed) = ([0; 32], [0; 32]);
    app.ids().fill(&mut secret);
    app.ids().fill(&mut seed);
    let credential = Credential::new(CredentialKind::Session, app.ids().uuid(), secret);
    let now = app.now();
    let mut session = Session::begin(
        tenant,
        SessionId::from_uuid(credential.id),
        user.id,
        credential.hash(),
        SecretBytes::new(seed),
        level,
        &policy(app),
        now,
    );
    if level == AuthenticationLevel::PasswordOnly {
        let until = now.plus_seconds(app.settings().session.second_step_s);
        session.absolute_until = session.absolute_until.min(until);
        session.idle_until = session.idle_until.min(until);
    }
    let doc = session_write(&session, DocExpected::Absent, now)?;
    Ok((session, credential.to_text(), doc))
}

/// A write of a session.
pub(crate) fn session_write(
    session: &Session,
    expected: DocExpected,
    now: Timestamp,
) -> Result<DocWrite, AppError> {
    Ok(DocWrite {
        kind: DocKind::Session,
        id: session.id.to_string(),
        expected,
        body: Some(serde_json::to_vec(session)?),
        time: now,
        expires: Some(session.absolute_until),
        lookups: Vec::new(),
    })
}

type Begun = (User, Session, Zeroizing<String>);

/// Commits a session over the version of the account that was judged: the account is written again even
/// where nothing of it changes, so that whatever else changes it at the same moment comes before or fails.
async fn first_step(
    app: &App,
    tenant: &Tenant,
    found: Versioned<User>,
    rehashed: Option<String>,
    context: &RequestContext,
) -> Result<Result<Begun, CommitError>, AppError> {
    let mut user = found.value;
    user.password = rehashed.or(user.password);
    let (level, what) = if user.totp.is_on() {
        (AuthenticationLevel::PasswordOnly, "password-first-step")
    } else {
        // With a second step, failures are forgotten only after both.
        user.lock_out = LockOut::cleared();
        (AuthenticationLevel::Password, "password")
    };
    let (session, cookie, doc) = begin(app, tenant.id, &user, level)?;
    let actor = actor_of(&user);
    let committed = UnitOfWork::begin(app, &scope(tenant.id))
        .doc(doc)
        .doc(user_write(app, &user, found.version)?)
        .entry(entry(app, context, &actor, Class::Login, what, None))
        .commit()
        .await;
    Ok(committed.map(|_| (user, session, cookie)))
}

async fn finish(
    app: &App,
    tenant: &Tenant,
    user: &User,
    session: Session,
    cookie: Zeroizing<String>,
    context: RequestContext,
) -> Result<SignedIn, AppError> {
    let scope = scope(tenant.id);
    let level = session.level;
    let subject = sign_in::subject_of_user(app, &scope, user, level, session.branch).await?;
    let pending = subject.pending();
    Ok(SignedIn {
        cookie,
        session: Arc::new(session),
        caller: sign_in::caller(app, tenant, Arc::new(subject), context)?,
        pending,
    })
}

/// The write that ends a session, unless it changed.
fn over(session: &Versioned<Session>, now: Timestamp) -> Result<DocWrite, AppError> {
    let expected = DocExpected::Version(session.version);
    Ok(DocWrite {
        body: None,
        expires: None,
        ..session_write(&session.value, expected, now)?
    })
}

/// The second step as it stands after a code was used, a one-time code or a recovery code, and which it is.
pub(crate) fn use_code(
    user: &User,
    code: &str,
    now: Timestamp,
) -> (Result<Totp, TotpError>, &'static str) {
    if code.chars().any(char::is_alphabetic) {
        (user.totp.recover(user.id, code), "recovery-code")
    } else {
        (user.totp.verify(code, now), "one-time-code")
    }
}

/// The second step: a one-time code, or a recovery code. Answers a new session in place of the first
/// step's.
pub async fn second_step(
    app: &App,
    slug: &str,
    cookie: &str,
    code: &str,
    context: RequestContext,
) -> Result<SignedIn, AppError> {
    let tenant = tenants::by_slug(app, slug).await?;
    let scope = scope(tenant.id);
    let first = sign_in::session::load(app, tenant.id, cookie).await?;
    if first.value.level != AuthenticationLevel::PasswordOnly {
        return Err(SignInError::Session.into());
    }
    let found = sign_in::user(app, &scope, first.value.user).await?;
    let found = found.ok_or(SignInError::Session)?;
    let now = app.now();
    if found.value.state != identity::UserState::Active || !tenant.accepts_sign_in() {
        return Err(SignInError::Session.into());
    }
    if let Err(refusal) = found.value.lock_out.check(now) {
        let (actor, what) = (actor_of(&found.value), "one-time-code");
        refused(app, tenant.id, &context, &actor, what, LOCKED.to_owned()).await?;
        return Err(locked(refusal));
    }
    let (next, what) = use_code(&found.value, code, now);
    let Ok(totp) = next else {
        failed(app, tenant.id, found, &context, "one-time-code").await?;
        return Err(SignInError::Code.into());
    };
    let mut user = found.value;
    user.totp = totp;
    user.lock_out = LockOut::cleared();
    let level = AuthenticationLevel::PasswordAndCode;
    let (session, text, doc) = begin(app, tenant.id, &user, level)?;
    let ended = over(&first, now)?;
    let actor = actor_of(&user);
    let committed = UnitOfWork::begin(app, &scope)
        .doc(doc)
        .doc(ended)
        .doc(user_write(app, &user, found.version)?)
        .entry(entry(app, &context, &actor, Class::Login, what, None))
        .commit()
        .await;
    match committed {
        Ok(_) => finish(app, &tenant, &user, session, text, context).await,
        // Somebody else used this code or this session, or changed the account, at the same moment.
        Err(CommitError::DocConflict { .. }) => {
            let detail = "the account changed at the same moment".to_owned();
            refused(app, tenant.id, &context, &actor, what, detail).await?;
            Err(SignInError::Code.into())
        }
        Err(error) => Err(error.into()),
    }
}
