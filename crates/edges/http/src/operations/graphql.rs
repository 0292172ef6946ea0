//! GraphQL over HTTP: the query in the address, as `application/graphql`, as GraphQL's JSON, or in a
//! Parameters resource. Answers are GraphQL's own JSON; what is refused as a whole is an OperationOutcome.

use app::ResourceKey;
use app::operations::graphql::{Request, of_resource, of_system};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kernel::Category;
use serde_json::{Map, Value as Json};

use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::{failed, query};
use crate::routing::Route;

/// Bytes of a request at most: a query and its variables.
const BODY: usize = 1 << 20;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    let system = "/t/{tenant}/fhir/$graphql";
    let one = "/t/{tenant}/fhir/{type}/{id}/$graphql";
    vec![
        Route::get(system, "graphql-system", failed, system_query),
        Route::post(system, "graphql-system", failed, system_query),
        Route::get(one, "graphql-instance", failed, instance_query),
        Route::post(one, "graphql-instance", failed, instance_query),
    ]
}

async fn system_query(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let request = asked(&mut arrival).await?;
    Ok(answered(
        &of_system(arrival.app(), &caller, &request).await?,
    ))
}

async fn instance_query(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let request = asked(&mut arrival).await?;
    Ok(answered(
        &of_resource(arrival.app(), &caller, &key, &request).await?,
    ))
}

fn answered(answer: &Json) -> Response {
    let mut response = (StatusCode::OK, answer.to_string()).into_response();
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, json);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn invalid(text: impl Into<String>) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.into())
}

async fn asked(arrival: &mut Arrival) -> Result<Request, EdgeError> {
    let mut request = Request::default();
    for (name, value) in query(arrival.raw_query())? {
        match name.as_str() {
            "query" => request.query = value,
            "variables" => request.variables = variables(&value)?,
            "operationName" if !value.is_empty() => request.operation = Some(value),
            _ => {}
        }
    }
    let media_type = arrival
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_owned();
    let body = arrival.body(BODY).await?;
    if !body.is_empty() {
        if media_type == "application/graphql" {
            let text = core::str::from_utf8(&body);
            let text = text.map_err(|_| invalid("the query is not UTF-8"))?;
            text.clone_into(&mut request.query);
        } else {
            in_json(&body, &mut request)?;
        }
    }
    if request.query.is_empty() {
        return Err(invalid(
            "there is no query: give it as the parameter query, as application/graphql, or in JSON",
        ));
    }
    Ok(request)
}

fn variables(text: &str) -> Result<Map<String, Json>, EdgeError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|_| invalid("variables are no JSON object"))
}

/// GraphQL's JSON, or a Parameters resource with the same names.
fn in_json(body: &[u8], request: &mut Request) -> Result<(), EdgeError> {
    let json: Map<String, Json> = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the body is no JSON object: {error}")))?;
    if json.get("resourceType").and_then(Json::as_str) == Some("Parameters") {
        let parts = json.get("parameter").and_then(Json::as_array);
        for part in parts.into_iter().flatten() {
            let text = part.get("valueString").and_then(Json::as_str);
            match (part.get("name").and_then(Json::as_str), text) {
                (Some("query"), Some(text)) => text.clone_into(&mut request.query),
                (Some("operationName"), Some(text)) => request.operation = Some(text.to_owned()),
                (Some("variables"), Some(text)) => request.variables = variables(text)?,
                _ => {}
            }
        }
        return Ok(());
    }
    if let Some(text) = json.get("query").and_then(Json::as_str) {
        text.clone_into(&mut request.query);
    }
    if let Some(name) = json.get("operationName").and_then(Json::as_str) {
        request.operation = Some(name.to_owned());
    }
    match json.get("variables") {
        None | Some(Json::Null) => {}
        Some(Json::Object(variables)) => request.variables.clone_from(variables),
        Some(_) => return Err(invalid("variables are no JSON object")),
    }
    Ok(())
}
