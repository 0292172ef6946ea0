//! Erasing a patient: the key is destroyed, the ledger stays.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, failed, input, json_answer};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![Route::post(
        "/t/{tenant}/api/v1/patients/{id}/erase",
        "erase",
        failed,
        erase,
    )]
}

/// Why a patient is erased.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EraseInput {
    /// A code of 1 to 64 letters, digits, `.`, `_` or `-`, such as `gdpr-17`; kept in the ledger for ever.
    reason: String,
}

/// What an erasure did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasedView {
    /// How many resources cannot be read any more.
    resources: u64,
    /// `Type/id` of the resources that still mention the patient: they are about several patients, or about
    /// somebody else, and stay readable. Deal with each by hand.
    shared: Vec<String>,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/patients/{id}/erase", tag = "erasure",
    params(("tenant" = String, Path), ("id" = String, Path, description = "logical id of the Patient")),
    request_body = EraseInput,
    responses((status = 200, description = "the patient's key is destroyed; this cannot be undone", body = ErasedView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn erase(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: EraseInput = input(&mut arrival).await?;
    let patient = logical_id(&id)?;
    let erased = app::erase::erase(arrival.app(), &caller, &patient, &wanted.reason).await?;
    json_answer(&ErasedView {
        resources: erased.resources,
        shared: erased.shared,
    })
}
