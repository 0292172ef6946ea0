//! People who sign in. A password is shown once, in the answer to the request that made it.

use app::admin::users::{self as use_case, MadeUser, NewUser};
use app::{App, Caller};
use axum::response::Response;
use identity::totp::Totp;
use identity::{Role, RoleAssignment, User, UserState};
use kernel::{BranchId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{ProblemResponses, created, failed, id, input, json_answer, takes_json};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get("/t/{tenant}/api/v1/users", "users-list", failed, list),
        Route::post("/t/{tenant}/api/v1/users", "user-create", failed, create),
        Route::get("/t/{tenant}/api/v1/users/{id}", "user", failed, show),
        Route::post(
            "/t/{tenant}/api/v1/users/{id}/enable",
            "user-enable",
            failed,
            enable,
        ),
        Route::post(
            "/t/{tenant}/api/v1/users/{id}/disable",
            "user-disable",
            failed,
            disable,
        ),
        Route::put(
            "/t/{tenant}/api/v1/users/{id}/roles",
            "user-roles",
            failed,
            set_roles,
        ),
        Route::post(
            "/t/{tenant}/api/v1/users/{id}/reset-password",
            "user-reset-password",
            failed,
            reset_password,
        ),
        Route::post(
            "/t/{tenant}/api/v1/users/{id}/unlock",
            "user-unlock",
            failed,
            unlock,
        ),
        Route::post(
            "/t/{tenant}/api/v1/users/{id}/reset-second-step",
            "user-reset-second-step",
            failed,
            reset_second_step,
        ),
    ]
}

pub(super) fn roles() -> utoipa::openapi::schema::Schema {
    super::one_of(Role::ALL.iter().map(|role| role.as_str()))
}

pub(super) fn states() -> utoipa::openapi::schema::Schema {
    super::one_of(["active", "suspended", "left"])
}

/// A role, and where it counts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleGrant {
    /// The role.
    #[schema(schema_with = roles)]
    role: Role,
    /// Ids of the branches it is bound to; the role's own reach where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    branches: Option<Vec<BranchId>>,
}

impl From<RoleAssignment> for RoleGrant {
    fn from(assignment: RoleAssignment) -> Self {
        Self {
            role: assignment.role,
            branches: assignment.branches,
        }
    }
}

impl From<RoleGrant> for RoleAssignment {
    fn from(grant: RoleGrant) -> Self {
        Self {
            role: grant.role,
            branches: grant.branches,
        }
    }
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The id; never given again.
    id: String,
    /// The sign-in name.
    sign_in_name: String,
    /// The name shown to people.
    display_name: String,
    /// The roles.
    roles: Vec<RoleGrant>,
    /// Whether the user may sign in.
    #[schema(schema_with = states)]
    state: UserState,
    /// Whether the password must be changed at the next sign-in.
    must_change_password: bool,
    /// Whether a second step is asked for at sign-in.
    second_step: bool,
    /// Whether sign-in is locked after failed attempts.
    locked: bool,
    /// The logical id of the Practitioner of this person.
    practitioner: Option<String>,
    /// The logical ids of the Patients that the role `patient` may see.
    patients: Vec<String>,
    /// When it was made.
    created: String,
}

impl UserView {
    fn new(app: &App, user: User) -> Self {
        Self {
            id: user.id.to_string(),
            sign_in_name: user.sign_in_name.as_str().to_owned(),
            display_name: user.display_name,
            roles: user.roles.into_iter().map(RoleGrant::from).collect(),
            state: user.state,
            must_change_password: user.must_change,
            second_step: matches!(user.totp, Totp::On { .. }),
            locked: user.lock_out.check(app.now()).is_err(),
            practitioner: user.practitioner.map(|id| id.as_str().to_owned()),
            patients: user
                .patients
                .iter()
                .map(|id| id.as_str().to_owned())
                .collect(),
            created: user.created.to_string(),
        }
    }
}

/// A user with a password that was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeUserView {
    /// The user.
    user: UserView,
    /// The password that was made, shown this once; null where one was given.
    password: Option<String>,
}

impl MadeUserView {
    pub(super) fn new(app: &App, made: MadeUser) -> Self {
        Self {
            user: UserView::new(app, made.user),
            password: made.password.map(|password| (*password).clone()),
        }
    }
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserInput {
    /// The sign-in name: 2 to 100 letters, digits or any of `. _ - + @`.
    sign_in_name: String,
    /// The name shown to people; 1 to 120 characters.
    display_name: String,
    /// The roles, each once.
    roles: Vec<RoleGrant>,
    /// A password; one is made where it is left out, to be changed at the first sign-in.
    password: Option<String>,
    /// The logical id of the Practitioner of this person.
    practitioner: Option<String>,
    /// The logical ids of the Patients that the role `patient` may see.
    #[serde(default)]
    patients: Vec<String>,
}

/// Other roles for a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolesInput {
    /// All roles from now on, each once.
    roles: Vec<RoleGrant>,
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/users", tag = "users",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the users, by sign-in name", body = Vec<UserView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::list(arrival.app(), &caller).await?;
    let shown = found
        .into_iter()
        .map(|user| UserView::new(arrival.app(), user));
    json_answer(&shown.collect::<Vec<_>>())
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/users", tag = "users",
    params(("tenant" = String, Path)), request_body = UserInput,
    responses((status = 201, description = "the user", body = MadeUserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: UserInput = input(&mut arrival).await?;
    let new = NewUser {
        sign_in_name: wanted.sign_in_name,
        display_name: wanted.display_name,
        roles: wanted.roles.into_iter().map(RoleAssignment::from).collect(),
        practitioner: wanted.practitioner.as_deref().map(logical_id).transpose()?,
        patients: wanted
            .patients
            .iter()
            .map(|id| logical_id(id))
            .collect::<Result<_, _>>()?,
        password: wanted.password.map(Zeroizing::new),
    };
    let made = use_case::create(arrival.app(), &caller, new).await?;
    created(&MadeUserView::new(arrival.app(), made))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/users/{id}", tag = "users",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the user", body = UserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, user) = addressed(&mut arrival).await?;
    let found = use_case::get(arrival.app(), &caller, user).await?;
    json_answer(&UserView::new(arrival.app(), found))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/users/{id}/enable", tag = "users",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the user, who may sign in", body = UserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn enable(arrival: Arrival) -> Result<Response, EdgeError> {
    set_state(arrival, UserState::Active).await
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/users/{id}/disable", tag = "users",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the user, who may not sign in; sessions have ended", body = UserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn disable(arrival: Arrival) -> Result<Response, EdgeError> {
    set_state(arrival, UserState::Suspended).await
}

async fn set_state(mut arrival: Arrival, state: UserState) -> Result<Response, EdgeError> {
    let (caller, user) = addressed(&mut arrival).await?;
    let changed = use_case::set_state(arrival.app(), &caller, user, state).await?;
    json_answer(&UserView::new(arrival.app(), changed))
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/users/{id}/roles", tag = "users",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = RolesInput,
    responses((status = 200, description = "the user with these roles", body = UserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_roles(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, user) = addressed(&mut arrival).await?;
    let wanted: RolesInput = input(&mut arrival).await?;
    let roles = wanted.roles.into_iter().map(RoleAssignment::from).collect();
    let changed = use_case::set_roles(arrival.app(), &caller, user, roles).await?;
    json_answer(&UserView::new(arrival.app(), changed))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/users/{id}/reset-password", tag = "users",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the user with a new password; sessions have ended", body = MadeUserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn reset_password(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, user) = addressed(&mut arrival).await?;
    let made = use_case::reset_password(arrival.app(), &caller, user).await?;
    json_answer(&MadeUserView::new(arrival.app(), made))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/users/{id}/unlock", tag = "users",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the user, not locked any more", body = UserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn unlock(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, user) = addressed(&mut arrival).await?;
    let changed = use_case::unlock(arrival.app(), &caller, user).await?;
    json_answer(&UserView::new(arrival.app(), changed))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/users/{id}/reset-second-step", tag = "users",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the user, without a second step; sessions have ended", body = UserView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn reset_second_step(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, user) = addressed(&mut arrival).await?;
    let changed = use_case::reset_second_step(arrival.app(), &caller, user).await?;
    json_answer(&UserView::new(arrival.app(), changed))
}

/// The caller, and the user whom the address names.
async fn addressed(arrival: &mut Arrival) -> Result<(Caller, UserId), EdgeError> {
    let (tenant, user): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(arrival)?;
    Ok((caller, id(&user)?))
}
