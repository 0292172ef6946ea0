//! Search by GET and POST, and the three histories.

use app::record::history::HistoryRequest;
use app::record::search::SearchRequest;
use app::record::{name_of, render};
use app::{HistoryScope, ResourceKey};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kernel::Category;

use super::{Peer, failed, fhir, query, take_format};
use crate::body;
use crate::edge::{Arrival, Edge, EdgeError, logical_id, resource_type};
use crate::negotiation::{Preferences, check_accept, text};

/// Form bodies are short: parameters of one search.
const FORM_LIMIT: usize = 1 << 20;

/// `GET {type}?...`.
pub(super) async fn search(
    State(edge): State<Edge>,
    Path((tenant, ty)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run(
        "search-type",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                let params = query(raw.as_deref())?;
                answer(&edge, &arrival, &tenant, &ty, params).await
            }
        },
    )
    .await
}

/// `POST {type}/_search` with a form.
pub(super) async fn search_form(
    State(edge): State<Edge>,
    Path((tenant, ty)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
    form: Body,
) -> Response {
    edge.run(
        "search-type",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                let content = text(arrival.headers, "content-type")?.unwrap_or_default();
                if !content
                    .to_ascii_lowercase()
                    .starts_with("application/x-www-form-urlencoded")
                {
                    let text =
                        "a search by POST has a form: send application/x-www-form-urlencoded";
                    return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
                }
                let bytes = body::read(arrival.headers, form, FORM_LIMIT).await?;
                let form = std::str::from_utf8(&bytes).map_err(|_| {
                    EdgeError::Address(
                        Category::Invalid,
                        "the form is not UTF-8: send it escaped".to_owned(),
                    )
                })?;
                let mut params = query(raw.as_deref())?;
                params.extend(query(Some(form.trim_end()))?);
                answer(&edge, &arrival, &tenant, &ty, params).await
            }
        },
    )
    .await
}

async fn answer(
    edge: &Edge,
    arrival: &Arrival<'_>,
    tenant: &str,
    ty: &str,
    mut params: Vec<(String, String)>,
) -> Result<Response, EdgeError> {
    let format = take_format(&mut params);
    check_accept(arrival.headers, format.as_deref())?;
    let caller = edge.caller(arrival, tenant).await?;
    let ty_id = resource_type(ty)?;
    let lenient = Preferences::parse(arrival.headers).lenient;
    let request = SearchRequest {
        ty: ty_id,
        params,
        lenient,
    };
    let found = app::record::search::search(edge.app(), &caller, &request).await?;
    Ok(fhir(
        StatusCode::OK,
        render::searchset(&caller.context.base, ty, &found),
    ))
}

/// `GET _history`.
pub(super) async fn system_history(
    State(edge): State<Edge>,
    Path(tenant): Path<String>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run(
        "history-system",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                history(&edge, &arrival, &tenant, raw.as_deref(), || {
                    Ok(HistoryScope::System)
                })
                .await
            }
        },
    )
    .await
}

/// `GET {type}/_history`.
pub(super) async fn type_history(
    State(edge): State<Edge>,
    Path((tenant, ty)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run(
        "history-type",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                let scope = || Ok(HistoryScope::Type(resource_type(&ty)?));
                history(&edge, &arrival, &tenant, raw.as_deref(), scope).await
            }
        },
    )
    .await
}

/// `GET {type}/{id}/_history`.
pub(super) async fn instance_history(
    State(edge): State<Edge>,
    Path((tenant, ty, id)): Path<(String, String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run(
        "history-instance",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                let scope = || {
                    Ok(HistoryScope::Instance(ResourceKey {
                        ty: resource_type(&ty)?,
                        id: logical_id(&id)?,
                    }))
                };
                history(&edge, &arrival, &tenant, raw.as_deref(), scope).await
            }
        },
    )
    .await
}

async fn history(
    edge: &Edge,
    arrival: &Arrival<'_>,
    tenant: &str,
    raw: Option<&str>,
    scope: impl FnOnce() -> Result<HistoryScope, EdgeError>,
) -> Result<Response, EdgeError> {
    let mut params = query(raw)?;
    let format = take_format(&mut params);
    check_accept(arrival.headers, format.as_deref())?;
    // Before the address is looked at: whoever is not signed in learns nothing from it.
    let caller = edge.caller(arrival, tenant).await?;
    let scope = scope()?;
    let path = match &scope {
        HistoryScope::Instance(key) => name_of(key),
        HistoryScope::Type(ty) => render::type_name(*ty).to_owned(),
        HistoryScope::System => String::new(),
    };
    let lenient = Preferences::parse(arrival.headers).lenient;
    let request = HistoryRequest {
        scope,
        params,
        lenient,
    };
    let page = app::record::history::history(edge.app(), &caller, &request).await?;
    Ok(fhir(
        StatusCode::OK,
        render::history(&caller.context.base, &path, &page),
    ))
}
