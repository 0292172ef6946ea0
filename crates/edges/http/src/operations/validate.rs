//! `$validate`: at a type and at a resource. The answer is an OperationOutcome with status 200, whatever
//! was found.

use app::ResourceKey;
use app::operations::validate::{Mode, Validation};
use app::record::render;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::Category;

use super::parameters::{Parameters, RESOURCE};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::{failed, fhir, query, take_format};
use crate::negotiation::{check_accept, check_content};
use crate::routing::Route;

/// Most profiles of one request.
const MAX_PROFILES: usize = 20;

pub(super) fn table() -> Vec<Route> {
    let at_type = "/t/{tenant}/fhir/{type}/$validate";
    let at_instance = "/t/{tenant}/fhir/{type}/{id}/$validate";
    vec![
        Route::post(at_type, "validate", failed, of_type),
        Route::post(at_instance, "validate", failed, of_instance),
        Route::get(at_instance, "validate", failed, of_instance),
    ]
}

async fn of_type(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    answer(arrival, &tenant, &ty, None).await
}

async fn of_instance(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    answer(arrival, &tenant, &ty, Some(&id)).await
}

async fn answer(
    mut arrival: Arrival,
    tenant: &str,
    ty: &str,
    id: Option<&str>,
) -> Result<Response, EdgeError> {
    let caller = arrival.caller(tenant).await?;
    let ty = resource_type(ty)?;
    let id = id.map(logical_id).transpose()?;
    let mut pairs = query(arrival.raw_query())?;
    let format = take_format(&mut pairs);
    check_accept(arrival.headers(), format.as_deref())?;
    let limit = arrival.app().settings().limits.resource_bytes;
    let body = arrival.body(limit).await?;
    if !body.is_empty() {
        check_content(arrival.headers())?;
    }
    let parameters = Parameters::new(pairs, body.to_vec())?;
    let profiles: Vec<String> = parameters
        .texts("profile")
        .map(std::borrow::Cow::into_owned)
        .collect();
    if profiles.len() > MAX_PROFILES {
        let text = format!("more than {MAX_PROFILES} profiles: ask about fewer at a time");
        return Err(EdgeError::Address(Category::Invalid, text));
    }
    let asked = Validation {
        ty,
        key: id.map(|id| ResourceKey { ty, id }),
        resource: parameters.resources(RESOURCE).next(),
        source: &body,
        mode: mode(&parameters)?,
        profiles,
    };
    let issues = app::operations::validate::validate(arrival.app(), &caller, &asked).await?;
    Ok(fhir(StatusCode::OK, render::outcome(&issues)))
}

fn mode(parameters: &Parameters) -> Result<Mode, EdgeError> {
    match parameters.text("mode").as_deref() {
        None => Ok(Mode::Any),
        Some("create") => Ok(Mode::Create),
        Some("update") => Ok(Mode::Update),
        Some("delete") => Ok(Mode::Delete),
        Some(_) => {
            let text = "parameter mode is none of create, update, delete: give one of them";
            Err(EdgeError::Address(Category::Invalid, text.to_owned()))
        }
    }
}
