//! Explicit relationships between staff and patients.

use app::admin::relationships::{self as use_case, NewRelationship};
use axum::response::Response;
use identity::{Party, Relationship, RelationshipKind};
use kernel::{LogicalId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, created, failed, input, json_answer, malformed, takes_json, uuid};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get(
            "/t/{tenant}/api/v1/relationships",
            "relationships-list",
            failed,
            list,
        ),
        Route::post(
            "/t/{tenant}/api/v1/relationships",
            "relationship-create",
            failed,
            create,
        ),
        Route::post(
            "/t/{tenant}/api/v1/relationships/{id}/end",
            "relationship-end",
            failed,
            end,
        ),
    ]
}

fn kinds() -> utoipa::openapi::schema::Schema {
    super::one_of(["care-team", "referral", "cover"])
}

/// A relationship.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelationshipView {
    /// Its id.
    id: String,
    /// The user it is with.
    user: Option<String>,
    /// The branch it is with.
    branch: Option<String>,
    /// The logical id of the Patient.
    patient: String,
    /// What it is.
    #[schema(schema_with = kinds)]
    kind: RelationshipKind,
    /// From when it counts.
    from: String,
    /// Until when; null while it lasts.
    until: Option<String>,
}

impl From<Relationship> for RelationshipView {
    fn from(found: Relationship) -> Self {
        let (user, branch) = match found.party {
            Party::User(id) => (Some(id.to_string()), None),
            Party::Branch(id) => (None, Some(id.to_string())),
        };
        Self {
            id: found.id.to_string(),
            user,
            branch,
            patient: found.patient.as_str().to_owned(),
            kind: found.kind,
            from: found.from.to_string(),
            until: found.until.map(|until| until.to_string()),
        }
    }
}

/// A relationship to be made, from now on: with a user or with a branch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelationshipInput {
    /// Id of the user.
    user: Option<String>,
    /// Id of the branch.
    branch: Option<String>,
    /// The logical id of the Patient.
    patient: String,
    /// What it is.
    #[schema(schema_with = kinds)]
    kind: RelationshipKind,
    /// Until when; left out while it lasts.
    until: Option<String>,
}

impl RelationshipInput {
    fn read(self) -> Result<NewRelationship, EdgeError> {
        let party = match (self.user.as_deref(), self.branch.as_deref()) {
            (Some(user), None) => Party::User(super::id(user)?),
            (None, Some(branch)) => Party::Branch(super::id(branch)?),
            _ => return Err(malformed("give a user or a branch, not both")),
        };
        let instant = |text: &str| {
            Timestamp::from_rfc3339(text).ok_or_else(|| {
                malformed("until is no instant: give one such as 2026-03-05T08:09:10Z")
            })
        };
        Ok(NewRelationship {
            party,
            patient: logical_id(&self.patient)?,
            kind: self.kind,
            until: self.until.as_deref().map(instant).transpose()?,
        })
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/relationships", tag = "relationships",
    params(("tenant" = String, Path), ("patient" = Option<String>, Query, description = "only those of this Patient")),
    responses((status = 200, description = "the relationships", body = Vec<RelationshipView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let params = query(arrival.raw_query())?;
    let patient = params.iter().find(|(name, _)| name == "patient");
    let patient: Option<LogicalId> = patient.map(|(_, id)| logical_id(id)).transpose()?;
    let found = use_case::list(arrival.app(), &caller, patient.as_ref()).await?;
    json_answer(
        &found
            .into_iter()
            .map(RelationshipView::from)
            .collect::<Vec<_>>(),
    )
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/relationships", tag = "relationships",
    params(("tenant" = String, Path)), request_body = RelationshipInput,
    responses((status = 201, description = "the relationship", body = RelationshipView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: RelationshipInput = input(&mut arrival).await?;
    let made = use_case::create(arrival.app(), &caller, wanted.read()?).await?;
    created(&RelationshipView::from(made))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/relationships/{id}/end", tag = "relationships",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the relationship, ended", body = RelationshipView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn end(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let ended = use_case::end(arrival.app(), &caller, uuid(&id)?).await?;
    json_answer(&RelationshipView::from(ended))
}
