//! Read, version read, and the CapabilityStatement.

use app::{ResourceKey, StoredVersion};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kernel::{Category, IdError, TenantSlug, VersionId};

use super::{describe, fhir, query, take_format, versioned};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::negotiation::{check_accept, reader_has};

/// `GET {type}/{id}`.
pub(super) async fn read(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    accepts(&arrival)?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let version = app::record::read::read(arrival.app(), &caller, &key).await?;
    Ok(answer(arrival.headers(), version))
}

/// `GET {type}/{id}/_history/{version}`.
pub(super) async fn vread(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id, version): (String, String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    accepts(&arrival)?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let number: VersionId = version
        .parse()
        .map_err(|error: IdError| EdgeError::Address(Category::Invalid, error.to_string()))?;
    let version = app::record::read::vread(arrival.app(), &caller, &key, number).await?;
    Ok(answer(arrival.headers(), version))
}

fn accepts(arrival: &Arrival) -> Result<(), EdgeError> {
    let Some(raw) = arrival.raw_query().filter(|raw| !raw.is_empty()) else {
        return Ok(check_accept(arrival.headers(), None)?);
    };
    let mut params = query(Some(raw))?;
    let format = take_format(&mut params);
    check_accept(arrival.headers(), format.as_deref())?;
    match params.iter().find(|(name, _)| name != "_pretty") {
        None => Ok(()),
        Some((name, _)) => {
            let name: String = name.chars().take(64).collect();
            Err(EdgeError::Address(
                Category::Invalid,
                format!("a read has no parameter {name:?}: leave it out"),
            ))
        }
    }
}

fn answer(headers: &HeaderMap, mut version: StoredVersion) -> Response {
    if reader_has(headers, version.version, version.last_updated()) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), &version);
        return response;
    }
    let body = version.body.take().unwrap_or_default();
    versioned(StatusCode::OK, &version, body)
}

/// `GET metadata`: needs no sign-in and says the same for every tenant name, so that it tells nothing
/// about which tenants exist.
pub(super) async fn metadata(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let mut params = query(arrival.raw_query())?;
    let format = take_format(&mut params);
    check_accept(arrival.headers(), format.as_deref())?;
    let slug: TenantSlug = tenant.parse().map_err(|_| {
        let text = "this is no tenant's name: check the address".to_owned();
        EdgeError::Address(Category::NotFound, text)
    })?;
    // What a tenant is set to is told to those who are let in; to everybody else every name is alike.
    let several = arrival.headers().contains_key(header::AUTHORIZATION)
        && (arrival.caller(&tenant).await)
            .is_ok_and(|caller| caller.tenant.deletions == Some(identity::DeletionMode::Multiple));
    Ok(fhir(
        StatusCode::OK,
        arrival.edge().statement(slug.as_str(), several),
    ))
}
