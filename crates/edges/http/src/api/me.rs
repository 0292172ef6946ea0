//! Whoever calls, as the platform knows them.

use axum::response::Response;
use identity::{Reach, Standing};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ProblemResponses, failed, json_answer, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![Route::get("/t/{tenant}/api/v1/me", "me", failed, show)]
}

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// Id of the user or client.
    id: String,
    /// Name shown to people.
    name: String,
    /// The tenant's name in addresses.
    tenant: String,
    /// The tenant's name for people.
    tenant_name: String,
    /// Roles and whom they reach.
    roles: Vec<MyRole>,
    /// Whether emergency access can be asked for.
    may_break_glass: bool,
}

/// A role of the caller.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MyRole {
    /// The role.
    #[schema(schema_with = super::users::roles)]
    role: identity::Role,
    /// Every patient of the tenant.
    whole_tenant: bool,
    /// The branches it is bound to.
    branches: Vec<String>,
    /// The patients whose own record it is.
    patients: Vec<String>,
}

impl MyRole {
    fn new(standing: &Standing) -> Self {
        let (mut branches, mut patients) = (Vec::new(), Vec::new());
        match &standing.reach {
            Reach::Tenant => {}
            Reach::Branches(links) => {
                branches = links.iter().map(|link| link.branch.to_string()).collect();
            }
            Reach::OwnRecord(ids) => {
                patients = ids.iter().map(|id| id.as_str().to_owned()).collect();
            }
        }
        Self {
            role: standing.role,
            whole_tenant: standing.reach == Reach::Tenant,
            branches,
            patients,
        }
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/me", tag = "me",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the caller", body = Me), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let actor = caller.subject.actor();
    json_answer(&Me {
        id: actor.id.to_string(),
        name: actor.name.clone(),
        tenant: caller.tenant.slug.to_string(),
        tenant_name: caller.tenant.name.clone(),
        roles: caller.subject.standings().iter().map(MyRole::new).collect(),
        may_break_glass: caller.subject.may_break_glass(),
    })
}
