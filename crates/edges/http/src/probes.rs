//! Liveness, readiness and metrics: for machines, without sign-in and without anything about patients
//! or tenants.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::api::failed;
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

/// `/healthz`, `/readyz`, `/metrics`.
#[must_use]
pub fn table() -> Vec<Route> {
    vec![
        Route::get("/healthz", "probe-alive", failed, alive),
        Route::get("/readyz", "probe-ready", failed, ready),
        Route::get("/metrics", "probe-metrics", failed, metrics),
    ]
}

#[utoipa::path(get, path = "/healthz", tag = "probes", responses((status = 200, description = "the process runs", body = String, content_type = "text/plain")))]
pub(crate) async fn alive(_: Arrival) -> Result<Response, EdgeError> {
    Ok(plain(StatusCode::OK, "alive\n"))
}

#[utoipa::path(
    get, path = "/readyz", tag = "probes",
    responses(
        (status = 200, description = "the record can be read and written", body = String, content_type = "text/plain"),
        (status = 503, description = "it cannot; the log says why", body = String, content_type = "text/plain"),
    ),
)]
pub(crate) async fn ready(arrival: Arrival) -> Result<Response, EdgeError> {
    Ok(match arrival.app().health().await {
        Ok(()) => plain(StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(error = %error, "not ready: {error}");
            plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: see the log\n")
        }
    })
}

#[utoipa::path(get, path = "/metrics", tag = "probes", responses((status = 200, description = "Prometheus exposition text", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(arrival: Arrival) -> Result<Response, EdgeError> {
    let text = arrival.edge().metrics().render(&arrival.app().figures());
    let mut response = (StatusCode::OK, text).into_response();
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = (status, text).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
