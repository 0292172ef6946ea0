//! The ledger's addresses: checkpoint, tiles, entry bundles (C2SP tlog-tiles paths), proofs, and all
//! entries about a patient. What verifiers ask for names nobody; what people ask for is recorded.

use app::Log;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kernel::Category;

use crate::api::audit::AuditPageView;
use crate::api::{ProblemResponses, json_answer};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::query;
use crate::outcome::Failure;
use crate::routing::Route;

/// The routes below `/t/{tenant}/ledger`.
#[must_use]
pub fn table() -> Vec<Route> {
    vec![
        Route::get(
            "/t/{tenant}/ledger/{log}/checkpoint",
            "ledger-checkpoint",
            failed,
            checkpoint,
        ),
        Route::get(
            "/t/{tenant}/ledger/{log}/tile/{*path}",
            "ledger-tile",
            failed,
            tile,
        ),
        Route::get(
            "/t/{tenant}/ledger/{log}/proof",
            "ledger-proof",
            failed,
            proof,
        ),
        Route::get(
            "/t/{tenant}/ledger/{log}/consistency",
            "ledger-consistency",
            failed,
            consistency,
        ),
        Route::get(
            "/t/{tenant}/ledger/{log}/patient/{id}",
            "ledger-patient",
            failed,
            about_patient,
        ),
    ]
}

fn failed(failure: Failure) -> Response {
    failure.into_problem()
}

pub(crate) fn log_named(name: &str) -> Result<Log, EdgeError> {
    match name {
        "changes" => Ok(Log::Changes),
        "access" => Ok(Log::Access),
        _ => Err(EdgeError::Address(
            Category::NotFound,
            "no such log: use changes or access".to_owned(),
        )),
    }
}

fn plain(media_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let mut response = (StatusCode::OK, body.into()).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[utoipa::path(
    get, path = "/t/{tenant}/ledger/{log}/checkpoint", tag = "ledger",
    params(("tenant" = String, Path), ("log" = String, Path, description = "changes or access")),
    responses(
        (status = 200, description = "the newest signed checkpoint (C2SP tlog-checkpoint)", body = String, content_type = "text/plain"),
        ProblemResponses,
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn checkpoint(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, log): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let note = app::audit::checkpoint(arrival.app(), &caller, log_named(&log)?).await?;
    Ok(plain("text/plain; charset=utf-8", note))
}

#[utoipa::path(
    get, path = "/t/{tenant}/ledger/{log}/tile/{path}", tag = "ledger",
    params(
        ("tenant" = String, Path), ("log" = String, Path, description = "changes or access"),
        ("path" = String, Path, description = "level and index as C2SP tlog-tiles writes them, such as 0/x001/067 or entries/000.p/12"),
    ),
    responses(
        (status = 200, description = "a tile of hashes, or a bundle of entries", body = Vec<u8>, content_type = "application/octet-stream"),
        ProblemResponses,
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn tile(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, log, path): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let log = log_named(&log)?;
    let path = format!("tile/{path}");
    let bytes = if path.starts_with("tile/entries/") {
        app::audit::entries_bundle(arrival.app(), &caller, log, &path).await?
    } else {
        app::audit::tile(arrival.app(), &caller, log, &path).await?
    };
    Ok(plain("application/octet-stream", bytes))
}

pub(crate) fn number(params: &[(String, String)], name: &str) -> Result<Option<u64>, EdgeError> {
    let Some((_, value)) = params.iter().find(|(key, _)| key == name) else {
        return Ok(None);
    };
    value.parse().map(Some).map_err(|_| {
        EdgeError::Address(
            Category::Invalid,
            format!("{name} is no entry number: give a whole number from 0"),
        )
    })
}

fn needed(value: Option<u64>, name: &str) -> Result<u64, EdgeError> {
    value.ok_or_else(|| {
        EdgeError::Address(
            Category::Invalid,
            format!("{name} is missing: give a whole number from 0"),
        )
    })
}

#[utoipa::path(
    get, path = "/t/{tenant}/ledger/{log}/proof", tag = "ledger",
    params(
        ("tenant" = String, Path), ("log" = String, Path, description = "changes or access"),
        ("index" = u64, Query, description = "the entry's number, from 0"),
    ),
    responses(
        (status = 200, description = "the proof that the entry is in the log (C2SP tlog-proof)", body = String, content_type = "text/plain"),
        ProblemResponses,
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn proof(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, log): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let log = log_named(&log)?;
    let index = needed(number(&query(arrival.raw_query())?, "index")?, "index")?;
    let proof = app::audit::proof(arrival.app(), &caller, log, index).await?;
    Ok(plain("text/plain; charset=utf-8", proof))
}

/// Hashes that prove one log to be the beginning of another.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Consistency {
    /// Size of the smaller log.
    from: u64,
    /// Hashes in base64, from the leaves upwards (RFC 6962 section 2.1.2).
    hashes: Vec<String>,
}

#[utoipa::path(
    get, path = "/t/{tenant}/ledger/{log}/consistency", tag = "ledger",
    params(
        ("tenant" = String, Path), ("log" = String, Path, description = "changes or access"),
        ("from" = u64, Query, description = "size of the smaller log"),
        ("to" = Option<u64>, Query, description = "size of the greater one; the newest checkpoint's where it is left out"),
    ),
    responses((status = 200, description = "the proof", body = Consistency), ProblemResponses),
    security(("bearer" = [])),
)]
pub(crate) async fn consistency(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, log): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let log = log_named(&log)?;
    let params = query(arrival.raw_query())?;
    let from = needed(number(&params, "from")?, "from")?;
    let to = number(&params, "to")?;
    let hashes = app::audit::consistency(arrival.app(), &caller, log, from, to).await?;
    let hashes = hashes.iter().map(ledger::Hash::to_base64).collect();
    json_answer(&Consistency { from, hashes })
}

#[utoipa::path(
    get, path = "/t/{tenant}/ledger/{log}/patient/{id}", tag = "ledger",
    params(
        ("tenant" = String, Path), ("log" = String, Path, description = "changes or access"),
        ("id" = String, Path, description = "logical id of the Patient"),
        ("before" = Option<u64>, Query, description = "only entries below this number"),
    ),
    responses((status = 200, description = "all entries about the patient, newest first, each with its proof", body = AuditPageView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(crate) async fn about_patient(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, log, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let log = log_named(&log)?;
    let before = number(&query(arrival.raw_query())?, "before")?;
    let patient = logical_id(&id)?;
    let app = arrival.app();
    let page = app::audit::about_patient(app, &caller, log, &patient, before, 100).await?;
    json_answer(&AuditPageView::new(&page, &caller.context.base))
}
