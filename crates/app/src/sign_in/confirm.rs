//! Somebody proves to be there, beside whoever is signed in: a witness, the second person of a
//! controlled-drug register. The same locks, the same ledger entries and the same time as signing in, and
//! one answer whatever was wrong. Must not begin a session.

use identity::lockout::LockOut;
use identity::{AuthenticationLevel, Pending, Subject, User};
use kernel::{Actor, ActorId, Timestamp};
use ledger::leaf::Class;
use medication::ids::PersonId;
use medication::register::{Method, Signature};
use store::CommitError;
use zeroize::Zeroizing;

use crate::App;
use crate::context::{Caller, RequestContext};
use crate::error::{AppError, SignInError};
use crate::retry::Retry;
use crate::sign_in::password::{compare, failed, use_code, user_write};
use crate::sign_in::{self, actor_of, entry, scope};
use crate::tenants;
use crate::unit::UnitOfWork;

/// What somebody types to prove who they are.
#[derive(Clone)]
pub struct Proof {
    /// The sign-in name.
    pub name: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// A one-time or recovery code, for those who have a second step.
    pub code: Option<String>,
}

impl core::fmt::Debug for Proof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Proof")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Somebody who proved to be there.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// Who, as ledger entries name them.
    pub actor: Actor,
    /// When they proved it.
    pub at: Timestamp,
    /// How.
    pub method: Method,
    /// As whom they could act; asked what they may do, and nothing is done as them.
    caller: Caller,
}

impl Confirmed {
    /// The person.
    #[must_use]
    pub const fn person(&self) -> ActorId {
        self.actor.id
    }

    /// As whom it is asked what they may do.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What they may do.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.caller.subject
    }

    /// The signature that it makes.
    #[must_use]
    pub fn signature(&self) -> Signature {
        Signature {
            person: self.actor.id,
            practitioner: self.subject().practitioner().cloned().map(PersonId),
            name: self.actor.name.clone(),
            role: self.actor.role.clone(),
            proved: self.at,
            method: self.method,
        }
    }
}

/// What entries call it.
const WHAT: &str = "confirmation";

/// Checks name, password and, where the account has a second step, a code, which is used up by it. `why` is
/// what it is for, as the ledger keeps it.
///
/// # Errors
/// [`SignInError::Proof`] whatever was wrong, [`SignInError::Locked`] after too many tries, a refusal where
/// the password was made by somebody else and not changed since.
pub async fn confirm(
    app: &App,
    caller: &Caller,
    proof: Proof,
    why: &str,
) -> Result<Confirmed, AppError> {
    let silent = |error| match error {
        AppError::SignIn(SignInError::Credentials) => SignInError::Proof.into(),
        other => other,
    };
    let context = &caller.context;
    let tenant = tenants::by_slug(app, caller.tenant.slug.as_str()).await?;
    let typed = (proof.name.as_str(), proof.password);
    let (id, tried) = compare(app, &tenant, typed, context, WHAT)
        .await
        .map_err(silent)?;
    let mut retry = Retry::patient();
    loop {
        let Some(found) = sign_in::user(app, &scope(tenant.id), id).await? else {
            return Err(SignInError::Proof.into());
        };
        let now = app.now();
        let code = proof.code.as_deref().unwrap_or_default();
        let (totp, _) = use_code(&found.value, code, now);
        let with_code = found.value.totp.is_on();
        let right = tried.holds(&found.value, now) && (!with_code || totp.is_ok());
        if !right {
            failed(app, tenant.id, found, context, WHAT).await?;
            return Err(SignInError::Proof.into());
        }
        let mut user = found.value;
        if let (true, Ok(totp)) = (with_code, totp) {
            user.totp = totp;
        }
        user.lock_out = LockOut::cleared();
        let actor = actor_of(&user);
        let detail = format!("{why}, at the side of {}", caller.subject.actor().name);
        // The account is written even where nothing of it changes: a lock, a suspension or the use of the
        // same code at this moment comes before, or fails.
        let committed = UnitOfWork::begin(app, &scope(tenant.id))
            .doc(user_write(app, &user, found.version)?)
            .entry(entry(
                app,
                context,
                &actor,
                Class::Login,
                WHAT,
                Some(detail),
            ))
            .commit()
            .await;
        match committed {
            Ok(_) => return confirmed(app, &tenant, &user, context, with_code).await,
            Err(CommitError::DocConflict { .. }) if retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn confirmed(
    app: &App,
    tenant: &identity::Tenant,
    user: &User,
    context: &RequestContext,
    with_code: bool,
) -> Result<Confirmed, AppError> {
    let (level, method) = if with_code {
        (
            AuthenticationLevel::PasswordAndCode,
            Method::PasswordAndCode,
        )
    } else {
        (AuthenticationLevel::Password, Method::Password)
    };
    let subject = sign_in::subject_of_user(app, &scope(tenant.id), user, level, None).await?;
    // Whoever made the password knows it too.
    if subject.pending() == Some(Pending::PasswordChange) {
        return Err(AppError::Denied {
            reason: format!(
                "{} signs with a password that somebody else made: change it first",
                user.display_name
            ),
            code: "password-change".to_owned(),
        });
    }
    let mut context = context.clone();
    context.idempotency = None;
    let caller = sign_in::caller(app, tenant, std::sync::Arc::new(subject), context)?;
    Ok(Confirmed {
        actor: caller.subject.actor().clone(),
        at: app.now(),
        method,
        caller,
    })
}
