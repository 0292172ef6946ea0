//! One's own account: password and second step.

use identity::lockout::LockOut;
use identity::password::{PasswordCost, PasswordError, PasswordPolicy};
use identity::totp::{RECOVERY_CODES, recovery_codes};
use identity::{Interaction, SessionPolicy, User};
use kernel::{Category, SessionId, UserId};
use ledger::leaf::Class;
use store::CommitError;
use zeroize::Zeroizing;

use crate::App;
use crate::admin::{Versioned, allow, changed};
use crate::context::Caller;
use crate::error::{AppError, SignInError};
use crate::sign_in::password::{failed, hashing, user_write};
use crate::sign_in::session::end_all_of;
use crate::sign_in::{self, scope};
use crate::unit::UnitOfWork;

/// What somebody scans to set up the second step.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// `otpauth://` address, for a QR code.
    pub uri: String,
    /// The secret for typing in.
    pub typed: String,
}

/// The session times in force, for pages that count down.
#[must_use]
pub fn session_policy(app: &App) -> SessionPolicy {
    sign_in::password::policy(app)
}

async fn own(app: &App, caller: &Caller) -> Result<Versioned<User>, AppError> {
    allow(app, caller, Interaction::ManageOwnAccount).await?;
    let id = UserId::from_uuid(caller.subject.actor().id.as_uuid());
    sign_in::user(app, &scope(caller.scope.tenant()), id)
        .await?
        .ok_or_else(|| AppError::not_found("account"))
}

/// The password as it may be kept: checked against the policy and hashed.
pub(crate) async fn hashed(
    app: &App,
    user: &User,
    password: Zeroizing<String>,
) -> Result<String, AppError> {
    PasswordPolicy::default()
        .check(&password, &user.sign_in_name)
        .map_err(refused)?;
    let mut salt = [0; 16];
    app.ids().fill(&mut salt);
    hashing(move || PasswordCost::default().hash(&password, &salt))
        .await?
        .map_err(refused)
}

fn refused(error: PasswordError) -> AppError {
    use kernel::Categorised as _;
    match error.category() {
        Category::Fault => AppError::Fault(error.to_string()),
        _ => AppError::Unprocessable(error.to_string()),
    }
}

/// Changes one's own password. Other sessions of the same person end; `keep` is the present one.
pub async fn change_password(
    app: &App,
    caller: &Caller,
    current: Zeroizing<String>,
    new: Zeroizing<String>,
    keep: Option<SessionId>,
) -> Result<(), AppError> {
    let found = own(app, caller).await?;
    let mut user = found.value;
    let now = app.now();
    user.lock_out
        .check(now)
        .map_err(sign_in::password::locked)?;
    let stored = user.password.clone();
    let right =
        hashing(move || PasswordCost::default().verify(&current, stored.as_deref())).await?;
    if !right {
        let found = Versioned {
            value: user,
            version: found.version,
        };
        let what = "password-change";
        failed(app, caller.scope.tenant(), found, &caller.context, what).await?;
        return Err(SignInError::Credentials.into());
    }
    user.password = Some(hashed(app, &user, new).await?);
    user.password_changed = Some(now);
    user.must_change = false;
    user.lock_out = LockOut::cleared();
    let ended = end_all_of(app, caller.scope.tenant(), user.id, keep).await?;
    save(app, caller, &user, found.version, "password-change", ended).await
}

/// Begins to set up the second step; asked for only after [`confirm_second_step`].
pub async fn begin_second_step(app: &App, caller: &Caller) -> Result<Enrolment, AppError> {
    let found = own(app, caller).await?;
    let mut user = found.value;
    let mut random = [0; 20];
    app.ids().fill(&mut random);
    user.totp = user.totp.enrol(random).map_err(conflict)?;
    let issuer = format!("Theriac {}", caller.tenant.name);
    let uri = user.totp.uri(&issuer, user.sign_in_name.as_str());
    let typed = user.totp.typed_secret();
    let what = "second-step-begin";
    save(app, caller, &user, found.version, what, Vec::new()).await?;
    Ok(Enrolment {
        uri: uri.unwrap_or_default(),
        typed: typed.unwrap_or_default(),
    })
}

/// Ends the set-up with the first code; answers the recovery codes, shown once.
pub async fn confirm_second_step(
    app: &App,
    caller: &Caller,
    code: &str,
) -> Result<Vec<String>, AppError> {
    let found = own(app, caller).await?;
    let mut user = found.value;
    let mut random = vec![[0; 10]; RECOVERY_CODES];
    for bytes in &mut random {
        app.ids().fill(bytes);
    }
    let (texts, hashes) = recovery_codes(user.id, &random);
    user.totp = user
        .totp
        .confirm(code, hashes, app.now())
        .map_err(conflict)?;
    let what = "second-step-on";
    save(app, caller, &user, found.version, what, Vec::new()).await?;
    Ok(texts)
}

fn conflict(error: identity::totp::TotpError) -> AppError {
    match error {
        identity::totp::TotpError::Code => SignInError::Code.into(),
        other => AppError::Conflict(other.to_string()),
    }
}

async fn save(
    app: &App,
    caller: &Caller,
    user: &User,
    version: u32,
    what: &'static str,
    ended: Vec<store::DocWrite>,
) -> Result<(), AppError> {
    let mut unit = UnitOfWork::begin(app, &caller.scope).doc(user_write(app, user, version)?);
    for doc in ended {
        unit = unit.doc(doc);
    }
    let detail = user.sign_in_name.as_str().to_owned();
    let entry = changed(app, caller, Class::User, what, detail);
    let committed: Result<_, CommitError> = unit.entry(entry).commit().await;
    committed?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(())
}
