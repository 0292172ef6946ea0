//! People who sign in: making them, their roles, state, passwords and locks.

use identity::lockout::LockOut;
use identity::totp::Totp;
use identity::{Interaction, Role, RoleAssignment, SignInName, User, UserState};
use kernel::{LogicalId, TenantId, UserId};
use ledger::leaf::Class;
use store::{DocExpected, DocKind, DocWrite};
use zeroize::Zeroizing;

use crate::App;
use crate::admin::{Versioned, all, allow, changed, refuse, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::sign_in::account::hashed;
use crate::sign_in::password::user_write;
use crate::sign_in::session::end_all_of;
use crate::sign_in::{self, NAME};
use crate::unit::UnitOfWork;

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The sign-in name.
    pub sign_in_name: String,
    /// The name shown to people.
    pub display_name: String,
    /// Roles; each at most once.
    pub roles: Vec<RoleAssignment>,
    /// The Practitioner resource of this person.
    pub practitioner: Option<LogicalId>,
    /// The Patient resources that the role `patient` may see.
    pub patients: Vec<LogicalId>,
    /// A password; `None` makes one, which must be changed at the first sign-in.
    pub password: Option<Zeroizing<String>>,
}

/// A user that was made or whose password was reset.
#[derive(Debug, Clone)]
pub struct MadeUser {
    /// The user.
    pub user: User,
    /// The password that was made, to be told once; `None` where one was given.
    pub password: Option<Zeroizing<String>>,
}

/// The tenant's users, by sign-in name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<User>, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    let found: Vec<Versioned<User>> = all(app, &caller.scope, DocKind::User).await?;
    let mut users: Vec<User> = found.into_iter().map(|found| found.value).collect();
    users.sort_by(|a, b| a.sign_in_name.cmp(&b.sign_in_name));
    Ok(users)
}

/// One user.
pub async fn get(app: &App, caller: &Caller, id: UserId) -> Result<User, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    Ok(load(app, caller, id).await?.value)
}

async fn load(app: &App, caller: &Caller, id: UserId) -> Result<Versioned<User>, AppError> {
    sign_in::user(app, &caller.scope, id)
        .await?
        .ok_or_else(|| AppError::not_found("user"))
}

/// A password that is easy to read out: four groups of four letters and digits.
fn made_password(app: &App) -> Zeroizing<String> {
    let mut random = [0; 10];
    app.ids().fill(&mut random);
    let text = data_encoding::BASE32_NOPAD
        .encode(&random)
        .to_ascii_lowercase();
    let mut grouped = Zeroizing::new(String::with_capacity(20));
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(letter);
    }
    grouped
}

fn check_roles(roles: &[RoleAssignment], tenant: TenantId) -> Result<(), AppError> {
    let mut seen: Vec<Role> = Vec::new();
    for assignment in roles {
        let role = assignment.role;
        if seen.contains(&role) {
            return Err(AppError::Unprocessable(format!(
                "role {role} is given twice: give it once, with all its branches"
            )));
        }
        if !role.is_for_people() || (role == Role::Operator) != tenant.is_instance() {
            return Err(AppError::Unprocessable(format!(
                "role {role} cannot be held by a person here: choose another one"
            )));
        }
        seen.push(role);
    }
    if seen.is_empty() {
        return Err(AppError::Unprocessable(
            "a user needs at least one role: give one".to_owned(),
        ));
    }
    Ok(())
}

/// The document of a new user; its entry is the caller's matter.
pub(crate) async fn prepare(
    app: &App,
    tenant: TenantId,
    new: NewUser,
) -> Result<(MadeUser, DocWrite), AppError> {
    let sign_in_name: SignInName =
        new.sign_in_name
            .parse()
            .map_err(|error: identity::documents::SignInNameError| {
                AppError::Unprocessable(error.to_string())
            })?;
    let display_name = new.display_name.trim().to_owned();
    if display_name.is_empty() || display_name.chars().count() > 120 {
        return Err(AppError::Unprocessable(
            "the name shown to people has 1 to 120 characters: correct it".to_owned(),
        ));
    }
    check_roles(&new.roles, tenant)?;
    let now = app.now();
    let mut user = User {
        schema: Default::default(),
        tenant,
        id: UserId::from_uuid(app.ids().uuid()),
        sign_in_name,
        display_name,
        roles: new.roles,
        password: None,
        password_changed: Some(now),
        must_change: new.password.is_none(),
        totp: Totp::Off,
        lock_out: LockOut::cleared(),
        practitioner: new.practitioner,
        patients: new.patients,
        state: UserState::Active,
        created: now,
    };
    let (password, made) = if let Some(password) = new.password {
        (password, None)
    } else {
        let made = made_password(app);
        (made.clone(), Some(made))
    };
    user.password = Some(hashed(app, &user, password).await?);
    let lookups = vec![(NAME, user.sign_in_name.as_str().to_owned())];
    let doc = write(
        app,
        DocKind::User,
        user.id,
        DocExpected::Absent,
        &user,
        lookups,
    )?;
    let made = MadeUser {
        user,
        password: made,
    };
    Ok((made, doc))
}

/// Makes a user.
pub async fn create(app: &App, caller: &Caller, new: NewUser) -> Result<MadeUser, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    let (made, doc) = prepare(app, caller.scope.tenant(), new).await?;
    let detail = described(&made.user);
    let entry = changed(app, caller, Class::User, "user-create", detail);
    UnitOfWork::begin(app, &caller.scope)
        .doc(doc)
        .entry(entry)
        .commit()
        .await?;
    Ok(made)
}

fn described(user: &User) -> String {
    let roles: Vec<&str> = user.roles.iter().map(|a| a.role.as_str()).collect();
    format!("{} ({})", user.sign_in_name, roles.join(", "))
}

/// Gives a user other roles; nobody does so to themselves. The last active administrator keeps that role.
pub async fn set_roles(
    app: &App,
    caller: &Caller,
    id: UserId,
    roles: Vec<RoleAssignment>,
) -> Result<User, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    check_roles(&roles, caller.scope.tenant())?;
    let found = load(app, caller, id).await?;
    let mut user = found.value;
    let loses = keeps_house(&user) && !roles.iter().any(|a| runs_house(a.role));
    if loses {
        refuse_last(app, caller, id).await?;
    }
    refuse_oneself(app, caller, id).await?;
    user.roles = roles;
    let what = "user-roles";
    save(app, caller, &user, found.version, what, Vec::new()).await?;
    Ok(user)
}

fn runs_house(role: Role) -> bool {
    matches!(role, Role::Administrator | Role::Operator)
}

fn keeps_house(user: &User) -> bool {
    user.state == UserState::Active && user.roles.iter().any(|a| runs_house(a.role))
}

async fn refuse_last(app: &App, caller: &Caller, id: UserId) -> Result<(), AppError> {
    let users: Vec<Versioned<User>> = all(app, &caller.scope, DocKind::User).await?;
    let others = users
        .iter()
        .any(|found| found.value.id != id && keeps_house(&found.value));
    if others {
        Ok(())
    } else {
        Err(AppError::Conflict(
            "this is the last administrator: make another one first".to_owned(),
        ))
    }
}

/// Refuses somebody who administers their own account: nobody gives themselves anything, and nobody who
/// took over a session gets round the questions that the account's owner is asked.
async fn refuse_oneself(app: &App, caller: &Caller, id: UserId) -> Result<(), AppError> {
    if caller.subject.may_administer(id) {
        return Ok(());
    }
    let sentence = "nobody administers their own account: change the password under your account, and \
         ask another administrator for the rest";
    Err(refuse(app, caller, Class::User, "own-account", sentence).await?)
}

/// Suspends, readmits or retires a user, never oneself. Sessions end at once.
pub async fn set_state(
    app: &App,
    caller: &Caller,
    id: UserId,
    state: UserState,
) -> Result<User, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    let found = load(app, caller, id).await?;
    let mut user = found.value;
    if keeps_house(&user) && state != UserState::Active {
        refuse_last(app, caller, id).await?;
    }
    refuse_oneself(app, caller, id).await?;
    user.state = state;
    let ended = match state {
        UserState::Active => Vec::new(),
        _ => end_all_of(app, caller.scope.tenant(), id, None).await?,
    };
    let what = match state {
        UserState::Active => "user-admit",
        UserState::Suspended => "user-suspend",
        UserState::Left => "user-retire",
    };
    save(app, caller, &user, found.version, what, ended).await?;
    Ok(user)
}

/// Makes a new password for somebody else, to be changed at the next sign-in; ends all sessions and
/// lifts a lock. One's own is changed with the current one
/// ([`change_password`](crate::sign_in::account::change_password)).
pub async fn reset_password(app: &App, caller: &Caller, id: UserId) -> Result<MadeUser, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    refuse_oneself(app, caller, id).await?;
    let found = load(app, caller, id).await?;
    let mut user = found.value;
    let made = made_password(app);
    user.password = Some(hashed(app, &user, made.clone()).await?);
    user.password_changed = Some(app.now());
    user.must_change = true;
    user.lock_out = LockOut::cleared();
    let ended = end_all_of(app, caller.scope.tenant(), id, None).await?;
    let what = "user-reset-password";
    save(app, caller, &user, found.version, what, ended).await?;
    Ok(MadeUser {
        user,
        password: Some(made),
    })
}

/// Lifts somebody else's lock after failed attempts.
pub async fn unlock(app: &App, caller: &Caller, id: UserId) -> Result<User, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    refuse_oneself(app, caller, id).await?;
    let found = load(app, caller, id).await?;
    let mut user = found.value;
    user.lock_out = LockOut::cleared();
    let what = "user-unlock";
    save(app, caller, &user, found.version, what, Vec::new()).await?;
    Ok(user)
}

/// Turns the second step off, for a lost phone; ends all sessions.
pub async fn reset_second_step(app: &App, caller: &Caller, id: UserId) -> Result<User, AppError> {
    allow(app, caller, Interaction::ManageUsers).await?;
    refuse_oneself(app, caller, id).await?;
    let found = load(app, caller, id).await?;
    let mut user = found.value;
    user.totp = Totp::Off;
    let ended = end_all_of(app, caller.scope.tenant(), id, None).await?;
    let what = "user-reset-second-step";
    save(app, caller, &user, found.version, what, ended).await?;
    Ok(user)
}

async fn save(
    app: &App,
    caller: &Caller,
    user: &User,
    version: u32,
    what: &'static str,
    ended: Vec<DocWrite>,
) -> Result<(), AppError> {
    let mut unit = UnitOfWork::begin(app, &caller.scope).doc(user_write(app, user, version)?);
    for doc in ended {
        unit = unit.doc(doc);
    }
    let entry = changed(app, caller, Class::User, what, described(user));
    unit.entry(entry).commit().await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(())
}
