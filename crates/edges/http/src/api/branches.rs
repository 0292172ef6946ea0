//! Branches of a tenant.

use app::admin::branches::{self as use_case, NewBranch};
use axum::response::Response;
use identity::{Branch, BranchKind, BranchState};
use kernel::LogicalId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, created, failed, id, input, json_answer, takes_json};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get("/t/{tenant}/api/v1/branches", "branches-list", failed, list),
        Route::post(
            "/t/{tenant}/api/v1/branches",
            "branch-create",
            failed,
            create,
        ),
        Route::post(
            "/t/{tenant}/api/v1/branches/{id}/open",
            "branch-open",
            failed,
            open,
        ),
        Route::post(
            "/t/{tenant}/api/v1/branches/{id}/close",
            "branch-close",
            failed,
            close,
        ),
    ]
}

fn kinds() -> utoipa::openapi::schema::Schema {
    super::one_of([
        "care-home",
        "clinic",
        "hospital",
        "ward",
        "pharmacy",
        "diagnostics",
        "other",
    ])
}

fn states() -> utoipa::openapi::schema::Schema {
    super::one_of(["active", "closed"])
}

/// A branch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BranchView {
    /// Its id.
    id: String,
    /// Its name for people.
    name: String,
    /// What kind of place it is.
    #[schema(schema_with = kinds)]
    kind: BranchKind,
    /// The logical id of its Organization.
    organization: String,
    /// Whether it is in use.
    #[schema(schema_with = states)]
    state: BranchState,
}

impl From<Branch> for BranchView {
    fn from(branch: Branch) -> Self {
        Self {
            id: branch.id.to_string(),
            name: branch.name,
            kind: branch.kind,
            organization: branch.organization.as_str().to_owned(),
            state: branch.state,
        }
    }
}

/// A branch to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BranchInput {
    /// Its name, unique in the tenant; 1 to 120 characters.
    name: String,
    /// What kind of place it is.
    #[schema(schema_with = kinds)]
    kind: BranchKind,
    /// The logical id of the Organization it stands for; one is made where it is left out.
    organization: Option<String>,
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/branches", tag = "branches",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the branches, by name", body = Vec<BranchView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::list(arrival.app(), &caller).await?;
    json_answer(&found.into_iter().map(BranchView::from).collect::<Vec<_>>())
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/branches", tag = "branches",
    params(("tenant" = String, Path)), request_body = BranchInput,
    responses((status = 201, description = "the branch", body = BranchView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: BranchInput = input(&mut arrival).await?;
    let organization: Option<LogicalId> =
        wanted.organization.as_deref().map(logical_id).transpose()?;
    let new = NewBranch {
        name: wanted.name,
        kind: wanted.kind,
        organization,
    };
    let made = use_case::create(arrival.app(), &caller, new).await?;
    created(&BranchView::from(made))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/branches/{id}/open", tag = "branches",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the branch, in use", body = BranchView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn open(arrival: Arrival) -> Result<Response, EdgeError> {
    set_state(arrival, BranchState::Active).await
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/branches/{id}/close", tag = "branches",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the branch, closed", body = BranchView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn close(arrival: Arrival) -> Result<Response, EdgeError> {
    set_state(arrival, BranchState::Closed).await
}

async fn set_state(mut arrival: Arrival, state: BranchState) -> Result<Response, EdgeError> {
    let (tenant, branch): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let changed = use_case::set_state(arrival.app(), &caller, id(&branch)?, state).await?;
    json_answer(&BranchView::from(changed))
}
