//! Operations of subscriptions (Subscriptions R5 Backport for R4): `$status`, `$events` and
//! `$get-ws-binding-token`.

use app::subscriptions::Content;
use app::subscriptions::operate::{self, Range};
use axum::http::StatusCode;
use axum::response::Response;
use kernel::{Category, LogicalId};

use super::parameters::Parameters;
use super::websocket;
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::{failed, fhir};
use crate::routing::Route;

/// Parameters of these operations are short.
const LIMIT: usize = 64 << 10;

pub(super) fn table() -> Vec<Route> {
    let of_all = "/t/{tenant}/fhir/Subscription/$status";
    let of_one = "/t/{tenant}/fhir/Subscription/{id}/$status";
    let events = "/t/{tenant}/fhir/Subscription/{id}/$events";
    let tokens = "/t/{tenant}/fhir/Subscription/$get-ws-binding-token";
    let token = "/t/{tenant}/fhir/Subscription/{id}/$get-ws-binding-token";
    vec![
        Route::get(of_all, "subscription-status", failed, statuses),
        Route::post(of_all, "subscription-status", failed, statuses),
        Route::get(of_one, "subscription-status", failed, status),
        Route::post(of_one, "subscription-status", failed, status),
        Route::get(events, "subscription-events", failed, missed),
        Route::post(events, "subscription-events", failed, missed),
        Route::get(tokens, "websocket-token", failed, binding_tokens),
        Route::post(tokens, "websocket-token", failed, binding_tokens),
        Route::get(token, "websocket-token", failed, binding_token),
        Route::post(token, "websocket-token", failed, binding_token),
    ]
}

fn ids(parameters: &Parameters, names: &[&str]) -> Result<Vec<LogicalId>, EdgeError> {
    names
        .iter()
        .flat_map(|name| parameters.texts(name))
        .map(|text| logical_id(text.strip_prefix("Subscription/").unwrap_or(&text)))
        .collect()
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, EdgeError> {
    let Some(text) = parameters.text(name) else {
        return Ok(None);
    };
    let wrong = || {
        let text = format!("parameter {name} is no event number: give a whole number");
        EdgeError::Address(Category::Invalid, text)
    };
    text.parse().map(Some).map_err(|_| wrong())
}

async fn statuses(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let parameters = Parameters::read(&mut arrival, LIMIT).await?;
    let ids = ids(&parameters, &["id", "ids"])?;
    let answer = operate::status(arrival.app(), &caller, &ids).await?;
    Ok(fhir(StatusCode::OK, answer))
}

async fn status(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let id = logical_id(&id)?;
    let answer = operate::status(arrival.app(), &caller, &[id]).await?;
    Ok(fhir(StatusCode::OK, answer))
}

async fn missed(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let id = logical_id(&id)?;
    let parameters = Parameters::read(&mut arrival, LIMIT).await?;
    let content = match parameters.text("content") {
        None => None,
        Some(code) => Some(Content::parse(&code).ok_or_else(|| {
            let text = "parameter content is none of empty, id-only, full-resource";
            EdgeError::Address(Category::Invalid, text.to_owned())
        })?),
    };
    let range = Range {
        since: number(&parameters, "eventsSinceNumber")?,
        until: number(&parameters, "eventsUntilNumber")?,
        content,
    };
    let answer = operate::events(arrival.app(), &caller, &id, range).await?;
    Ok(fhir(StatusCode::OK, answer))
}

async fn binding_tokens(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let parameters = Parameters::read(&mut arrival, LIMIT).await?;
    let ids = ids(&parameters, &["id", "ids"])?;
    token(&arrival, &tenant, &caller, &ids).await
}

async fn binding_token(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let id = logical_id(&id)?;
    token(&arrival, &tenant, &caller, &[id]).await
}

async fn token(
    arrival: &Arrival,
    tenant: &str,
    caller: &app::Caller,
    ids: &[LogicalId],
) -> Result<Response, EdgeError> {
    let url = websocket::address(&arrival.edge().fhir_base(tenant));
    let answer = operate::binding_token(arrival.app(), caller, ids, &url).await?;
    Ok(fhir(StatusCode::OK, answer))
}
