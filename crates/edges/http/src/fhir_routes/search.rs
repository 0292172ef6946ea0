//! Search by GET and POST, and the three histories.

use app::record::history::HistoryRequest;
use app::record::place::Place;
use app::record::search::search_in;
use app::record::{name_of, render};
use app::{Caller, HistoryScope, ResourceKey};
use axum::http::StatusCode;
use axum::response::Response;
use kernel::Category;

use super::{fhir, query, take_format};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::negotiation::{Preferences, accepted, check_accept, text};

/// Form bodies are short: parameters of one search.
const FORM_LIMIT: usize = 1 << 20;

/// `GET {type}?...`.
pub(super) async fn search(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let params = query(arrival.raw_query())?;
    let place = Place::Type(resource_type(&ty)?);
    answer(&arrival, &caller, &place, params).await
}

/// `POST {type}/_search` with a form.
pub(super) async fn search_form(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let params = form(&mut arrival).await?;
    let place = Place::Type(resource_type(&ty)?);
    answer(&arrival, &caller, &place, params).await
}

/// `GET ?_type=...`.
pub(super) async fn search_system(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let params = query(arrival.raw_query())?;
    answer(&arrival, &caller, &Place::System, params).await
}

/// `POST _search` with a form.
pub(super) async fn search_system_form(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let params = form(&mut arrival).await?;
    answer(&arrival, &caller, &Place::System, params).await
}

/// `GET {type}/{id}/{member}?...`, `*` for every type of the compartment.
pub(super) async fn search_compartment(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id, member): (String, String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let params = query(arrival.raw_query())?;
    let place = compartment(&ty, &id, &member)?;
    answer(&arrival, &caller, &place, params).await
}

/// `POST {type}/{id}/{member}/_search` with a form.
pub(super) async fn search_compartment_form(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id, member): (String, String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let params = form(&mut arrival).await?;
    let place = compartment(&ty, &id, &member)?;
    answer(&arrival, &caller, &place, params).await
}

/// `GET {type}/$explain?...`.
pub(super) async fn explain(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let mut params = query(arrival.raw_query())?;
    let format = take_format(&mut params);
    check_accept(arrival.headers(), format.as_deref())?;
    let ty = resource_type(&ty)?;
    let body = app::record::explain::explain(arrival.app(), &caller, ty, &params).await?;
    Ok(fhir(StatusCode::OK, body))
}

fn compartment(ty: &str, id: &str, member: &str) -> Result<Place, EdgeError> {
    Ok(Place::Compartment {
        of: ResourceKey {
            ty: resource_type(ty)?,
            id: logical_id(id)?,
        },
        ty: match member {
            "*" => None,
            member => Some(resource_type(member)?),
        },
    })
}

/// The parameters of a search by POST: those of the address, then those of the form.
async fn form(arrival: &mut Arrival) -> Result<Vec<(String, String)>, EdgeError> {
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
    let in_address = params.iter().any(|(name, _)| name == "_format");
    let sent = query(Some(form.trim_end()))?;
    // The address was looked at before the form came.
    let named = sent.iter().find(|(name, _)| name == "_format");
    if let (Some((_, format)), false) = (named, in_address) {
        arrival.answer_as(accepted(arrival.headers(), Some(format))?);
    }
    params.extend(sent);
    Ok(params)
}

async fn answer(
    arrival: &Arrival,
    caller: &Caller,
    place: &Place,
    mut params: Vec<(String, String)>,
) -> Result<Response, EdgeError> {
    let format = take_format(&mut params);
    check_accept(arrival.headers(), format.as_deref())?;
    let lenient = Preferences::parse(arrival.headers()).lenient;
    let found = search_in(arrival.app(), caller, place, &params, lenient).await?;
    let body = render::searchset(&caller.context.base, &place.path(), &found);
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
