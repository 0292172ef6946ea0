//! The ledger's addresses: checkpoint, tiles, entry bundles (C2SP tlog-tiles paths), proofs, and all
//! entries about a patient. What verifiers ask for names nobody; what people ask for is recorded.

use app::audit::{AuditEntry, AuditPage};
use app::{Caller, Log};
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kernel::Category;
use serde_json::{Value, json};

use crate::edge::{Edge, EdgeError, logical_id};
use crate::fhir_routes::{Peer, query};
use crate::outcome::Failure;

/// The routes below `/t/{tenant}/ledger`.
pub fn routes() -> Router<Edge> {
    Router::new()
        .route("/t/{tenant}/ledger/{log}/checkpoint", get(checkpoint))
        .route("/t/{tenant}/ledger/{log}/tile/{*path}", get(tile))
        .route("/t/{tenant}/ledger/{log}/proof", get(proof))
        .route("/t/{tenant}/ledger/{log}/consistency", get(consistency))
        .route("/t/{tenant}/ledger/{log}/patient/{id}", get(about_patient))
}

fn failed(failure: Failure) -> Response {
    failure.into_problem()
}

fn log_named(name: &str) -> Result<Log, EdgeError> {
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

/// Signs in, reads the log's name, and hands both to `work`.
async fn with_log<F, W>(
    edge: Edge,
    interaction: &'static str,
    tenant: String,
    log: String,
    peer: Peer,
    headers: HeaderMap,
    work: W,
) -> Response
where
    W: FnOnce(Edge, Caller, Log) -> F,
    F: Future<Output = Result<Response, EdgeError>>,
{
    let inner = edge.clone();
    edge.run(
        interaction,
        &headers,
        peer.as_deref(),
        failed,
        |arrival| async move {
            let caller = inner.caller(&arrival, &tenant).await?;
            let log = log_named(&log)?;
            work(inner, caller, log).await
        },
    )
    .await
}

async fn checkpoint(
    State(edge): State<Edge>,
    Path((tenant, log)): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    with_log(
        edge,
        "ledger-checkpoint",
        tenant,
        log,
        peer,
        headers,
        |edge, caller, log| async move {
            let note = app::audit::checkpoint(edge.app(), &caller, log).await?;
            Ok(plain("text/plain; charset=utf-8", note))
        },
    )
    .await
}

async fn tile(
    State(edge): State<Edge>,
    Path((tenant, log, path)): Path<(String, String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    with_log(
        edge,
        "ledger-tile",
        tenant,
        log,
        peer,
        headers,
        |edge, caller, log| async move {
            let path = format!("tile/{path}");
            let bytes = if path.starts_with("tile/entries/") {
                app::audit::entries_bundle(edge.app(), &caller, log, &path).await?
            } else {
                app::audit::tile(edge.app(), &caller, log, &path).await?
            };
            Ok(plain("application/octet-stream", bytes))
        },
    )
    .await
}

fn number(params: &[(String, String)], name: &str) -> Result<Option<u64>, EdgeError> {
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

async fn proof(
    State(edge): State<Edge>,
    Path((tenant, log)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    with_log(
        edge,
        "ledger-proof",
        tenant,
        log,
        peer,
        headers,
        |edge, caller, log| async move {
            let index = needed(number(&query(raw.as_deref())?, "index")?, "index")?;
            let proof = app::audit::proof(edge.app(), &caller, log, index).await?;
            Ok(plain("text/plain; charset=utf-8", proof))
        },
    )
    .await
}

async fn consistency(
    State(edge): State<Edge>,
    Path((tenant, log)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    with_log(
        edge,
        "ledger-consistency",
        tenant,
        log,
        peer,
        headers,
        |edge, caller, log| async move {
            let params = query(raw.as_deref())?;
            let from = needed(number(&params, "from")?, "from")?;
            let hashes =
                app::audit::consistency(edge.app(), &caller, log, from, number(&params, "to")?)
                    .await?;
            let hashes: Vec<String> = hashes.iter().map(ledger::Hash::to_base64).collect();
            Ok(plain(
                "application/json",
                json!({ "from": from, "hashes": hashes }).to_string(),
            ))
        },
    )
    .await
}

async fn about_patient(
    State(edge): State<Edge>,
    Path((tenant, log, id)): Path<(String, String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    with_log(
        edge,
        "ledger-patient",
        tenant,
        log,
        peer,
        headers,
        |edge, caller, log| async move {
            let before = number(&query(raw.as_deref())?, "before")?;
            let patient = logical_id(&id)?;
            let page =
                app::audit::about_patient(edge.app(), &caller, log, &patient, before, 100).await?;
            Ok(plain(
                "application/json",
                page_json(&page, &caller.context.base).to_string(),
            ))
        },
    )
    .await
}

/// A page of entries as the product API shows it.
#[must_use]
pub fn page_json(page: &AuditPage, base: &str) -> Value {
    json!({
        "size": page.size,
        "checkpoint": page.checkpoint,
        "next": page.next,
        "entries": page.entries.iter().map(|entry| entry_json(entry, base)).collect::<Vec<_>>(),
    })
}

fn entry_json(entry: &AuditEntry, base: &str) -> Value {
    json!({
        "log": entry.log.as_str(),
        "index": entry.index,
        "hash": entry.hash.to_base64(),
        "time": entry.leaf.time.to_string(),
        "class": entry.leaf.class.as_str(),
        "outcome": entry.leaf.outcome.as_str(),
        "reason": entry.leaf.reason,
        "event": entry.payload.as_ref().map(|payload| payload.to_audit_event(&entry.leaf, base)),
        "proof": entry.proof,
    })
}
