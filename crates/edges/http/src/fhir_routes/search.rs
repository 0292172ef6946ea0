//! Search by GET and POST, and the three histories.

use app::record::history::HistoryRequest;
use app::record::search::SearchRequest;
use app::record::{name_of, render};
use app::{Caller, HistoryScope, ResourceKey};
use axum::http::StatusCode;
use axum::response::Response;
use kernel::Category;

use super::{fhir, query, take_format};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::negotiation::{Preferences, check_accept, text};

/// Form bodies are short: parameters of one search.
const FORM_LIMIT: usize = 1 << 20;

/// `GET {type}?...`.
pub(super) async fn search(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let params = query(arrival.raw_query())?;
    answer(&arrival, &caller, &ty, params).await
}

/// `POST {type}/_search` with a form.
pub(super) async fn search_form(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let content = text(arrival.headers(), "content-type")?.unwrap_or_default();
    let form = "application/x-www-form-urlencoded";
    if !content.to_ascii_lowercase().starts_with(form) {
        let text = "a search by POST has a form: send application/x-www-form-urlencoded";
        return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
    }
    let bytes = arrival.body(FORM_LIMIT).await?;
    let form = std::str::from_utf8(&bytes).map_err(|_| {
        let text = "the form is not UTF-8: send it escaped".to_owned();
        EdgeError::Address(Category::Invalid, text)
    })?;
    let mut params = query(arrival.raw_query())?;
    params.extend(query(Some(form.trim_end()))?);
    answer(&arrival, &caller, &ty, params).await
}

async fn answer(
    arrival: &Arrival,
    caller: &Caller,
    ty: &str,
    mut params: Vec<(String, String)>,
) -> Result<Response, EdgeError> {
    let format = take_format(&mut params);
    check_accept(arrival.headers(), format.as_deref())?;
    let request = SearchRequest {
        ty: resource_type(ty)?,
        params,
        lenient: Preferences::parse(arrival.headers()).lenient,
    };
    let found = app::record::search::search(arrival.app(), caller, &request).await?;
    let body = render::searchset(&caller.context.base, ty, &found);
    Ok(fhir(StatusCode::OK, body))
}

/// `GET _history`.
pub(super) async fn system_history(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    history(&arrival, &caller, HistoryScope::System).await
}

/// `GET {type}/_history`.
pub(super) async fn type_history(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let scope = HistoryScope::Type(resource_type(&ty)?);
    history(&arrival, &caller, scope).await
}

/// `GET {type}/{id}/_history`.
pub(super) async fn instance_history(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    history(&arrival, &caller, HistoryScope::Instance(key)).await
}

async fn history(
    arrival: &Arrival,
    caller: &Caller,
    scope: HistoryScope,
) -> Result<Response, EdgeError> {
    let mut params = query(arrival.raw_query())?;
    let format = take_format(&mut params);
    check_accept(arrival.headers(), format.as_deref())?;
    let path = match &scope {
        HistoryScope::Instance(key) => name_of(key),
        HistoryScope::Type(ty) => render::type_name(*ty).to_owned(),
        HistoryScope::System => String::new(),
    };
    let request = HistoryRequest {
        scope,
        params,
        lenient: Preferences::parse(arrival.headers()).lenient,
    };
    let page = app::record::history::history(arrival.app(), caller, &request).await?;
    let body = render::history(&caller.context.base, &path, &page);
    Ok(fhir(StatusCode::OK, body))
}
