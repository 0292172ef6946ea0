//! Operations on the record itself: everything about a patient or an encounter, the newest observations,
//! documents, and the tags of a resource.

use app::ResourceKey;
use app::operations::answer::Found;
use app::operations::meta::Change;
use app::operations::{document, everything, lastn, meta};
use axum::http::StatusCode;
use axum::response::Response;
use kernel::{Category, IdError, VersionId};

use super::parameters::Parameters;
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::{describe, failed, fhir};
use crate::negotiation::{check_accept, check_content};
use crate::routing::Route;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    let patient = "/t/{tenant}/fhir/Patient/{id}/$everything";
    let encounter = "/t/{tenant}/fhir/Encounter/{id}/$everything";
    let newest = "/t/{tenant}/fhir/Observation/$lastn";
    let composition = "/t/{tenant}/fhir/Composition/{id}/$document";
    let of_one = "/t/{tenant}/fhir/{type}/{id}/$meta";
    let (of_type, of_all) = ("/t/{tenant}/fhir/{type}/$meta", "/t/{tenant}/fhir/$meta");
    let of_version = "/t/{tenant}/fhir/{type}/{id}/_history/{version}/$meta";
    let add = "/t/{tenant}/fhir/{type}/{id}/$meta-add";
    let delete = "/t/{tenant}/fhir/{type}/{id}/$meta-delete";
    vec![
        Route::get(patient, "everything", failed, of_patient),
        Route::post(patient, "everything", failed, of_patient),
        Route::get(encounter, "everything", failed, of_encounter),
        Route::post(encounter, "everything", failed, of_encounter),
        Route::get(newest, "lastn", failed, newest_observations),
        Route::post(newest, "lastn", failed, newest_observations),
        Route::get(composition, "document", failed, looked_at),
        Route::post(composition, "document", failed, made),
        Route::get(of_one, "meta", failed, meta_now),
        Route::get(of_type, "meta", failed, meta_of_type),
        Route::get(of_all, "meta", failed, meta_of_all),
        Route::get(of_version, "meta", failed, meta_then),
        Route::post(add, "meta-add", failed, add_meta),
        Route::post(delete, "meta-delete", failed, delete_meta),
    ]
}

/// What an operation was given, after the checks that all share.
pub(super) async fn given(arrival: &mut Arrival) -> Result<Parameters, EdgeError> {
    check_content(arrival.headers())?;
    let limit = arrival.app().settings().limits.resource_bytes;
    let parameters = Parameters::read(arrival, limit).await?;
    check_accept(arrival.headers(), parameters.text("_format").as_deref())?;
    Ok(parameters)
}

/// The tenant and resource of an address without a type.
async fn of_type(arrival: &mut Arrival, ty: &str) -> Result<(String, ResourceKey), EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let key = ResourceKey {
        ty: resource_type(ty)?,
        id: logical_id(&id)?,
    };
    Ok((tenant, key))
}

async fn of_patient(arrival: Arrival) -> Result<Response, EdgeError> {
    all_of(arrival, "Patient").await
}

async fn of_encounter(arrival: Arrival) -> Result<Response, EdgeError> {
    all_of(arrival, "Encounter").await
}

async fn all_of(mut arrival: Arrival, ty: &str) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type(ty)?,
        id: logical_id(&id)?,
    };
    let pairs = given(&mut arrival).await?.flat();
    let found = everything::everything(arrival.app(), &caller, &key, &pairs).await?;
    Ok(searchset(&found, &caller.context.base))
}

pub(super) fn searchset(found: &Found, base: &str) -> Response {
    fhir(StatusCode::OK, found.bundle(base))
}

async fn newest_observations(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let pairs = given(&mut arrival).await?.flat();
    let ty = resource_type("Observation")?;
    let found = lastn::lastn(arrival.app(), &caller, ty, &pairs).await?;
    Ok(searchset(&found, &caller.context.base))
}

async fn looked_at(arrival: Arrival) -> Result<Response, EdgeError> {
    document_of(arrival, false).await
}

async fn made(arrival: Arrival) -> Result<Response, EdgeError> {
    document_of(arrival, true).await
}

async fn document_of(mut arrival: Arrival, may_persist: bool) -> Result<Response, EdgeError> {
    let (tenant, key) = of_type(&mut arrival, "Composition").await?;
    let caller = arrival.caller(&tenant).await?;
    let persist = given(&mut arrival).await?.flag("persist")?.unwrap_or(false);
    if persist && !may_persist {
        let text = "a GET stores nothing: send persist with POST";
        return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
    }
    let made = document::document(arrival.app(), &caller, &key, persist).await?;
    let mut response = fhir(StatusCode::OK, made.body);
    if let Some(stored) = &made.stored {
        describe(response.headers_mut(), &stored.version);
    }
    Ok(response)
}

async fn meta_now(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    meta_at(arrival, (tenant, ty, id), None).await
}

async fn meta_of_type(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    given(&mut arrival).await?;
    let ty = resource_type(&ty)?;
    let found = meta::in_use(arrival.app(), &caller, Some(ty)).await?;
    Ok(returned(&found))
}

async fn meta_of_all(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    given(&mut arrival).await?;
    let found = meta::in_use(arrival.app(), &caller, None).await?;
    Ok(returned(&found))
}

async fn meta_then(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id, version): (String, String, String, String) = arrival.path().await?;
    meta_at(arrival, (tenant, ty, id), Some(version)).await
}

async fn meta_at(
    mut arrival: Arrival,
    (tenant, ty, id): (String, String, String),
    version: Option<String>,
) -> Result<Response, EdgeError> {
    let caller = arrival.caller(&tenant).await?;
    given(&mut arrival).await?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let version = version
        .map(|version| version.parse::<VersionId>())
        .transpose()
        .map_err(|error: IdError| EdgeError::Address(Category::Invalid, error.to_string()))?;
    let found = meta::meta(arrival.app(), &caller, &key, version).await?;
    Ok(returned(&found))
}

async fn add_meta(arrival: Arrival) -> Result<Response, EdgeError> {
    change_meta(arrival, Change::Add).await
}

async fn delete_meta(arrival: Arrival) -> Result<Response, EdgeError> {
    change_meta(arrival, Change::Delete).await
}

async fn change_meta(mut arrival: Arrival, change: Change) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let parameters = given(&mut arrival).await?;
    let Some(given) = parameters.values("meta").next() else {
        let text =
            "the parameter meta is missing: send a Parameters resource with meta as valueMeta";
        return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
    };
    let outcome = meta::change(arrival.app(), &caller, &key, given, change).await?;
    let mut response = returned(&meta::meta_of(outcome.version.body.as_deref())?);
    describe(response.headers_mut(), &outcome.version);
    Ok(response)
}

/// A Parameters resource with a meta.
fn returned(meta: &[u8]) -> Response {
    let mut body =
        br#"{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":"#.to_vec();
    body.extend_from_slice(meta);
    body.extend_from_slice(b"}]}");
    fhir(StatusCode::OK, body)
}
