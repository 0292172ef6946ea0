//! Read, version read, conditional read, and the CapabilityStatement.

use app::{ResourceKey, StoredVersion};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use fhir::definitions::Definitions;
use kernel::{Category, IdError, VersionId};

use super::{Peer, describe, failed, fhir, query, take_format, versioned};
use crate::capability;
use crate::edge::{Edge, EdgeError, logical_id, resource_type};
use crate::negotiation::{check_accept, reader_has};

/// `GET {type}/{id}`.
pub(super) async fn read(
    State(edge): State<Edge>,
    Path((tenant, ty, id)): Path<(String, String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    let inner = edge.clone();
    edge.run(
        "read",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| async move {
            let edge = &inner;
            accepts(arrival.headers, raw.as_deref())?;
            let caller = edge.caller(&arrival, &tenant).await?;
            let key = ResourceKey {
                ty: resource_type(&ty)?,
                id: logical_id(&id)?,
            };
            let version = app::record::read::read(edge.app(), &caller, &key).await?;
            Ok(answer(arrival.headers, &version))
        },
    )
    .await
}

/// `GET {type}/{id}/_history/{version}`.
pub(super) async fn vread(
    State(edge): State<Edge>,
    Path((tenant, ty, id, version)): Path<(String, String, String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    let inner = edge.clone();
    edge.run(
        "vread",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| async move {
            let edge = &inner;
            accepts(arrival.headers, raw.as_deref())?;
            let caller = edge.caller(&arrival, &tenant).await?;
            let key = ResourceKey {
                ty: resource_type(&ty)?,
                id: logical_id(&id)?,
            };
            let number: VersionId = version.parse().map_err(|error: IdError| {
                EdgeError::Address(Category::Invalid, error.to_string())
            })?;
            let version = app::record::read::vread(edge.app(), &caller, &key, number).await?;
            Ok(answer(arrival.headers, &version))
        },
    )
    .await
}

fn accepts(headers: &HeaderMap, raw: Option<&str>) -> Result<(), EdgeError> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
        return Ok(check_accept(headers, None)?);
    };
    let mut params = query(Some(raw))?;
    let format = take_format(&mut params);
    check_accept(headers, format.as_deref())?;
    match params
        .iter()
        .find(|(name, _)| !matches!(name.as_str(), "_pretty"))
    {
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

fn answer(headers: &HeaderMap, version: &StoredVersion) -> Response {
    if reader_has(headers, version.version, version.last_updated()) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), version);
        return response;
    }
    versioned(
        StatusCode::OK,
        version,
        version.body.clone().unwrap_or_default(),
    )
}

/// `GET metadata`: needs no sign-in and says the same for every tenant name, so that it tells nothing
/// about which tenants exist.
pub(super) async fn metadata(
    State(edge): State<Edge>,
    Path(tenant): Path<String>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run(
        "capabilities",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                let mut params = query(raw.as_deref())?;
                let format = take_format(&mut params);
                check_accept(arrival.headers, format.as_deref())?;
                let statement = capability::statement(
                    Definitions::r4(),
                    &edge.fhir_base(&tenant),
                    edge.started(),
                );
                Ok(fhir(StatusCode::OK, statement.to_string()))
            }
        },
    )
    .await
}
