//! CDS Hooks 2.0 at `/t/{tenant}/cds-services`: discovery, the services, feedback. Each route translates a
//! request into one use-case. Who calls is told by a bearer token of this server or by the signed token of a
//! registered client; pages of other origins are answered where a client registered theirs. Must not read
//! what is sent: `app::cds_hooks` does.

use app::cds_hooks::answer::{Asker, answer};
use app::cds_hooks::feedback::feedback;
use app::cds_hooks::request::MOST_BYTES;
use app::cds_hooks::{services, setting, trust};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kernel::Category;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{ProblemResponses, failed, json_text};
use crate::edge::{Arrival, EdgeError};
use crate::negotiation::{check_accept_json, check_content_json};
use crate::routing::Route;

/// Largest message of feedback.
const FEEDBACK_BYTES: usize = 256 << 10;

/// Addresses below the services that mean nothing.
pub(crate) const UNKNOWN: [&str; 1] = ["/t/{tenant}/cds-services/{id}/{*rest}"];

/// The routes of CDS Hooks.
#[must_use]
pub fn table() -> Vec<Route> {
    let all = "/t/{tenant}/cds-services";
    let one = "/t/{tenant}/cds-services/{id}";
    let told = "/t/{tenant}/cds-services/{id}/feedback";
    vec![
        Route::get(all, "cds-services", failed, discovery),
        Route::post(one, "cds-service", failed, called),
        Route::post(told, "cds-feedback", failed, told_of),
        Route::options(all, "cds-services-preflight", failed, preflight_all),
        Route::options(one, "cds-service-preflight", failed, preflight_one),
        Route::options(told, "cds-feedback-preflight", failed, preflight_told),
    ]
}

/// The services (CDS Hooks 2.0, "Discovery").
#[derive(Serialize, ToSchema)]
pub struct CdsServices {
    /// Each with hook, title, description, id, prefetch and usageRequirements.
    #[schema(value_type = Vec<Object>)]
    services: serde_json::Value,
}

/// The cards of an answer (CDS Hooks 2.0, "CDS Service Response").
#[derive(Serialize, ToSchema)]
pub struct CdsCards {
    /// Each with uuid, summary, detail, indicator, source and, of an alert, overrideReasons.
    #[schema(value_type = Vec<Object>)]
    cards: serde_json::Value,
}

#[utoipa::path(
    get, path = "/t/{tenant}/cds-services", tag = "cds-hooks",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the services", body = CdsServices), ProblemResponses),
)]
pub(crate) async fn discovery(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let done = async {
        setting::serving(arrival.app(), &tenant).await?;
        check_accept_json(arrival.headers())?;
        Ok(json_text(StatusCode::OK, services::discovery().to_string()))
    };
    let done = done.await;
    Ok(shared(&arrival, &tenant, done).await)
}

#[utoipa::path(
    post, path = "/t/{tenant}/cds-services/{id}", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path)),
    request_body(content = Object, description = "hook, hookInstance, context, and prefetch or fhirServer with fhirAuthorization"),
    responses(
        (status = 200, description = "the cards", body = CdsCards),
        (status = 412, description = "the medicines of the patient were not sent and could not be fetched", body = crate::api::Problem, content_type = "application/problem+json"),
        ProblemResponses,
    ),
)]
pub(crate) async fn called(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let done = call(&mut arrival, &tenant, &id).await;
    Ok(shared(&arrival, &tenant, done).await)
}

async fn call(arrival: &mut Arrival, tenant: &str, id: &str) -> Result<Response, EdgeError> {
    let asker = asker(arrival, tenant, &format!("cds-services/{id}")).await?;
    check_accept_json(arrival.headers())?;
    check_content_json(arrival.headers())?;
    let body = arrival.body(MOST_BYTES).await?;
    let answered = answer(arrival.app(), &asker, id, &body).await?;
    Ok(json_text(StatusCode::OK, answered.body))
}

#[utoipa::path(
    post, path = "/t/{tenant}/cds-services/{id}/feedback", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path)),
    request_body(content = Object, description = "feedback: what became of cards"),
    responses((status = 200, description = "all of it was kept"), ProblemResponses),
)]
pub(crate) async fn told_of(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let done = take(&mut arrival, &tenant, &id).await;
    Ok(shared(&arrival, &tenant, done).await)
}

async fn take(arrival: &mut Arrival, tenant: &str, id: &str) -> Result<Response, EdgeError> {
    let asker = asker(arrival, tenant, &format!("cds-services/{id}/feedback")).await?;
    check_content_json(arrival.headers())?;
    let body = arrival.body(FEEDBACK_BYTES).await?;
    feedback(arrival.app(), &asker, id, &body).await?;
    Ok(StatusCode::OK.into_response())
}

/// Who calls: the client of a signed token, or whoever a token of this server stands for.
async fn asker(arrival: &Arrival, tenant: &str, address: &str) -> Result<Asker, EdgeError> {
    let token = arrival.bearer();
    if !trust::is_signed(token) {
        return Ok(Asker::of_record(arrival.caller(tenant).await?));
    }
    let context = arrival.context(tenant);
    Ok(trust::asker(arrival.app(), tenant, token, address, context).await?)
}

/// An answer as pages of a registered origin may read it; failures too.
async fn shared(arrival: &Arrival, tenant: &str, done: Result<Response, EdgeError>) -> Response {
    let mut response = match done {
        Ok(response) => response,
        Err(error) => failed(error.failure(arrival.id())),
    };
    if let Some(origin) = origin(arrival, tenant).await {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(crate::edge::REQUEST_ID),
        );
    }
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

/// The origin of the page that asks, where a client of the tenant registered it.
async fn origin(arrival: &Arrival, tenant: &str) -> Option<HeaderValue> {
    let origin = arrival.headers().get(header::ORIGIN)?;
    let allowed = trust::allows_origin(arrival.app(), tenant, origin.to_str().ok()?).await;
    matches!(allowed, Ok(true)).then(|| origin.clone())
}

#[utoipa::path(
    options, path = "/t/{tenant}/cds-services", tag = "cds-hooks",
    params(("tenant" = String, Path)),
    responses((status = 204, description = "a page of this origin may ask"), ProblemResponses),
)]
pub(crate) async fn preflight_all(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    preflight(&arrival, &tenant, "GET").await
}

#[utoipa::path(
    options, path = "/t/{tenant}/cds-services/{id}", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "a page of this origin may call"), ProblemResponses),
)]
pub(crate) async fn preflight_one(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, _): (String, String) = arrival.path().await?;
    preflight(&arrival, &tenant, "POST").await
}

#[utoipa::path(
    options, path = "/t/{tenant}/cds-services/{id}/feedback", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "a page of this origin may tell"), ProblemResponses),
)]
pub(crate) async fn preflight_told(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, _): (String, String) = arrival.path().await?;
    preflight(&arrival, &tenant, "POST").await
}

/// What a browser asks before it sends a page's request.
async fn preflight(
    arrival: &Arrival,
    tenant: &str,
    method: &'static str,
) -> Result<Response, EdgeError> {
    let Some(origin) = origin(arrival, tenant).await else {
        let text = "pages of this origin may not ask here: register it with a client of hooks";
        return Err(EdgeError::Address(Category::Forbidden, text.to_owned()));
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, method),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
        (header::VARY, "Origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
