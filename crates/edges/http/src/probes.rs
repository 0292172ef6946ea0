//! Liveness, readiness and metrics: for machines, without sign-in and without anything about patients
//! or tenants.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::edge::Edge;

/// `/healthz`, `/readyz`, `/metrics`.
pub fn routes() -> Router<Edge> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn alive() -> Response {
    plain(StatusCode::OK, "alive\n")
}

async fn ready(State(edge): State<Edge>) -> Response {
    match edge.app().health().await {
        Ok(()) => plain(StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(error = %error, "not ready: {error}");
            plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: see the log\n")
        }
    }
}

async fn metrics(State(edge): State<Edge>) -> Response {
    let mut response = (StatusCode::OK, edge.metrics().render()).into_response();
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = (status, text).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
