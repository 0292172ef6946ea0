//! FHIR REST (FHIR R4 http.html) at `/t/{tenant}/fhir`. Each route translates a request into one
//! use-case and its answer back; nothing is decided here.

mod read;
mod search;
mod write;

pub(crate) use write::RECEIPT;

use app::StoredVersion;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use kernel::Category;

use crate::edge::EdgeError;
use crate::outcome::{FHIR_JSON, Failure};
use crate::routing::Route;

/// The routes below `/t/{tenant}/fhir`.
#[must_use]
pub fn table() -> Vec<Route> {
    [of_the_system(), of_a_type(), of_an_instance()].concat()
}

fn of_the_system() -> Vec<Route> {
    let (base, slash) = ("/t/{tenant}/fhir", "/t/{tenant}/fhir/");
    let (metadata, history) = ("/t/{tenant}/fhir/metadata", "/t/{tenant}/fhir/_history");
    let form = "/t/{tenant}/fhir/_search";
    vec![
        Route::post(base, "bundle", failed, write::bundle),
        Route::post(slash, "bundle", failed, write::bundle),
        Route::get(metadata, "capabilities", failed, read::metadata),
        Route::get(history, "history-system", failed, search::system_history),
        Route::get(base, "search-system", failed, search::search_system),
        Route::get(slash, "search-system", failed, search::search_system),
        Route::post(form, "search-system", failed, search::search_system_form),
    ]
}

fn of_a_type() -> Vec<Route> {
    let at = "/t/{tenant}/fhir/{type}";
    let form = "/t/{tenant}/fhir/{type}/_search";
    let history = "/t/{tenant}/fhir/{type}/_history";
    let explain = "/t/{tenant}/fhir/{type}/$explain";
    vec![
        Route::get(at, "search-type", failed, search::search),
        Route::post(form, "search-type", failed, search::search_form),
        Route::post(at, "create", failed, write::create),
        Route::put(at, "update-conditional", failed, write::update_where),
        Route::patch(at, "patch-conditional", failed, write::patch_where),
        Route::delete(at, "delete-conditional", failed, write::delete_where),
        Route::get(history, "history-type", failed, search::type_history),
        Route::get(explain, "explain", failed, search::explain),
    ]
}

fn of_an_instance() -> Vec<Route> {
    let at = "/t/{tenant}/fhir/{type}/{id}";
    let history = "/t/{tenant}/fhir/{type}/{id}/_history";
    let version = "/t/{tenant}/fhir/{type}/{id}/_history/{version}";
    vec![
        Route::get(at, "read", failed, read::read),
        Route::put(at, "update", failed, write::update),
        Route::patch(at, "patch", failed, write::patch),
        Route::delete(at, "delete", failed, write::delete),
        Route::get(
            history,
            "history-instance",
            failed,
            search::instance_history,
        ),
        Route::get(version, "vread", failed, read::vread),
        Route::get(
            "/t/{tenant}/fhir/{type}/{id}/{member}",
            "search-compartment",
            failed,
            search::search_compartment,
        ),
        Route::post(
            "/t/{tenant}/fhir/{type}/{id}/{member}/_search",
            "search-compartment",
            failed,
            search::search_compartment_form,
        ),
    ]
}

/// Addresses below the same base that mean nothing. Written out by depth: the router takes no catch-all
/// beside `{type}`.
pub(crate) const UNKNOWN: [&str; 4] = [
    "/t/{tenant}/fhir/{type}/",
    "/t/{tenant}/fhir/{type}/{id}/",
    "/t/{tenant}/fhir/{type}/{id}/{member}/",
    "/t/{tenant}/fhir/{type}/{id}/{member}/{*rest}",
];

/// Failures of these routes.
pub(crate) fn failed(failure: Failure) -> Response {
    failure.into_fhir()
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

/// Headers that an answer has, about.
const HEADERS: usize = 12;

/// A FHIR body with its status.
pub(crate) fn fhir(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(axum::body::Body::from(body.into()));
    *response.status_mut() = status;
    // At once, for those that are added later, too.
    response.headers_mut().reserve(HEADERS);
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
