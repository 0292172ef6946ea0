//! Emergency access: asked for with a reason, reviewed by somebody else.

use app::admin::break_glass::{self as use_case, Wanted};
use axum::response::Response;
use identity::{BreakGlassGrant, BreakGlassReason, ReviewOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, created, failed, input, json_answer, malformed, takes_json, uuid};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get(
            "/t/{tenant}/api/v1/break-glass",
            "break-glass-list",
            failed,
            list,
        ),
        Route::post(
            "/t/{tenant}/api/v1/break-glass",
            "break-glass",
            failed,
            request,
        ),
        Route::post(
            "/t/{tenant}/api/v1/break-glass/{id}/review",
            "break-glass-review",
            failed,
            review,
        ),
        Route::post(
            "/t/{tenant}/api/v1/break-glass/{id}/end",
            "break-glass-end",
            failed,
            end,
        ),
    ]
}

fn reasons() -> utoipa::openapi::schema::Schema {
    super::one_of(BreakGlassReason::ALL.iter().map(|reason| reason.as_str()))
}

fn outcomes() -> utoipa::openapi::schema::Schema {
    super::one_of(["justified", "not-justified", "escalated"])
}

/// Emergency access.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantView {
    /// Its id.
    id: String,
    /// Whose it is.
    user: String,
    /// The logical id of the Patient.
    patient: String,
    /// Why, coded.
    #[schema(schema_with = reasons)]
    reason: BreakGlassReason,
    /// Why, in words.
    text: String,
    /// From when.
    granted: String,
    /// Until when.
    expires: String,
    /// The review, once there is one.
    review: Option<ReviewView>,
}

/// A review of emergency access.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewView {
    /// Who reviewed.
    by: String,
    /// When.
    when: String,
    /// What was found.
    #[schema(schema_with = outcomes)]
    outcome: ReviewOutcome,
    /// In words.
    note: String,
}

impl From<BreakGlassGrant> for GrantView {
    fn from(grant: BreakGlassGrant) -> Self {
        Self {
            id: grant.id.to_string(),
            user: grant.user.to_string(),
            patient: grant.patient.as_str().to_owned(),
            reason: grant.reason,
            text: grant.text,
            granted: grant.granted.to_string(),
            expires: grant.expires.to_string(),
            review: grant.reviewed.map(|review| ReviewView {
                by: review.by.to_string(),
                when: review.when.to_string(),
                outcome: review.outcome,
                note: review.note,
            }),
        }
    }
}

/// Emergency access asked for. It counts from the next request on that says `X-Purpose-Of-Use: ETREAT`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantInput {
    /// The logical id of the Patient.
    patient: String,
    /// Why, coded.
    #[schema(schema_with = reasons)]
    reason: BreakGlassReason,
    /// Why, in words: 10 to 1000 characters.
    text: String,
    /// For how many minutes; 60 where it is left out, at most 240.
    minutes: Option<u32>,
}

/// A review.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReviewInput {
    /// What was found.
    #[schema(schema_with = outcomes)]
    outcome: ReviewOutcome,
    /// In words.
    #[serde(default)]
    note: String,
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/break-glass", tag = "emergency access",
    params(("tenant" = String, Path), ("waiting" = Option<bool>, Query, description = "true: only what waits for a review")),
    responses((status = 200, description = "emergency access, oldest first", body = Vec<GrantView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let params = query(arrival.raw_query())?;
    let waiting = params.iter().find(|(name, _)| name == "waiting");
    let found = match waiting.map(|(_, value)| value.as_str()) {
        None | Some("false") => use_case::list(arrival.app(), &caller).await?,
        Some("true") => use_case::waiting(arrival.app(), &caller).await?,
        Some(_) => return Err(malformed("waiting is neither true nor false: correct it")),
    };
    json_answer(&found.into_iter().map(GrantView::from).collect::<Vec<_>>())
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/break-glass", tag = "emergency access",
    params(("tenant" = String, Path)), request_body = GrantInput,
    responses((status = 201, description = "the emergency access", body = GrantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn request(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let asked: GrantInput = input(&mut arrival).await?;
    let wanted = Wanted {
        patient: logical_id(&asked.patient)?.into(),
        reason: asked.reason,
        text: asked.text,
        minutes: asked.minutes,
    };
    let granted = use_case::request(arrival.app(), &caller, wanted).await?;
    created(&GrantView::from(granted))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/break-glass/{id}/review", tag = "emergency access",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = ReviewInput,
    responses((status = 200, description = "the emergency access with its review", body = GrantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn review(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, grant): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let found: ReviewInput = input(&mut arrival).await?;
    let (app, id) = (arrival.app(), uuid(&grant)?);
    let reviewed = use_case::review(app, &caller, id, found.outcome, &found.note).await?;
    json_answer(&GrantView::from(reviewed))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/break-glass/{id}/end", tag = "emergency access",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "one's own emergency access, ended", body = GrantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn end(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, grant): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let ended = use_case::end(arrival.app(), &caller, uuid(&grant)?).await?;
    json_answer(&GrantView::from(ended))
}
