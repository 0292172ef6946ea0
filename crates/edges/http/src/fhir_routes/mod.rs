//! FHIR REST (FHIR R4 http.html) at `/t/{tenant}/fhir`. Each route translates a request into one
//! use-case and its answer back; nothing is decided here.

mod read;
mod search;
mod write;

use std::net::SocketAddr;

use app::StoredVersion;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use kernel::Category;

use crate::edge::{Edge, EdgeError};
use crate::outcome::{FHIR_JSON, Failure};

/// The connection's other end, where the server knows it.
pub(crate) type Peer = Option<axum::Extension<ConnectInfo<SocketAddr>>>;

/// The routes below `/t/{tenant}/fhir`.
pub fn routes() -> Router<Edge> {
    Router::new()
        .route("/t/{tenant}/fhir", post(write::bundle))
        .route("/t/{tenant}/fhir/", post(write::bundle))
        .route("/t/{tenant}/fhir/metadata", get(read::metadata))
        .route("/t/{tenant}/fhir/_history", get(search::system_history))
        .route(
            "/t/{tenant}/fhir/{type}",
            get(search::search)
                .post(write::create)
                .put(write::update_where)
                .delete(write::delete_where),
        )
        .route("/t/{tenant}/fhir/{type}/_search", post(search::search_form))
        .route(
            "/t/{tenant}/fhir/{type}/_history",
            get(search::type_history),
        )
        .route(
            "/t/{tenant}/fhir/{type}/{id}",
            get(read::read).put(write::update).delete(write::delete),
        )
        .route(
            "/t/{tenant}/fhir/{type}/{id}/_history",
            get(search::instance_history),
        )
        .route(
            "/t/{tenant}/fhir/{type}/{id}/_history/{version}",
            get(read::vread),
        )
        .route("/t/{tenant}/fhir/{*rest}", axum::routing::any(unknown))
}

/// Failures of these routes.
pub(crate) fn failed(failure: Failure) -> Response {
    failure.into_fhir()
}

async fn unknown(
    axum::extract::State(edge): axum::extract::State<Edge>,
    axum::extract::Path((tenant, _)): axum::extract::Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run("unknown", &headers, peer.as_deref(), failed, |arrival| {
        let edge = edge.clone();
        async move {
            // Whoever is not signed in learns nothing of what is offered.
            edge.caller(&arrival, &tenant).await?;
            let text = "this interaction is not offered: see the CapabilityStatement at metadata";
            Err(EdgeError::Address(Category::Unsupported, text.to_owned()))
        }
    })
    .await
}

/// The query of an address, decoded.
pub(crate) fn query(raw: Option<&str>) -> Result<Vec<(String, String)>, EdgeError> {
    app::record::query_string::parse(raw.unwrap_or_default()).ok_or_else(|| {
        EdgeError::Address(
            Category::Invalid,
            "the query has a broken percent escape or is not UTF-8".to_owned(),
        )
    })
}

/// `_format`, which wins over `Accept`; taken out of the parameters.
pub(crate) fn take_format(params: &mut Vec<(String, String)>) -> Option<String> {
    let place = params.iter().position(|(name, _)| name == "_format")?;
    Some(params.remove(place).1)
}

/// A FHIR body with its status.
pub(crate) fn fhir(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = (status, axum::body::Body::from(body.into())).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A resource's version with the headers that describe it.
pub(crate) fn versioned(status: StatusCode, version: &StoredVersion, body: Bytes) -> Response {
    let mut response = fhir(status, body);
    describe(response.headers_mut(), version);
    response
}

/// `ETag` and `Last-Modified` of a version.
pub(crate) fn describe(headers: &mut HeaderMap, version: &StoredVersion) {
    put(headers, header::ETAG, &app::record::etag(version.version));
    put(
        headers,
        header::LAST_MODIFIED,
        &version.last_updated().to_http_date(),
    );
}

/// Sets a header whose text is ours and so always valid.
pub(crate) fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
