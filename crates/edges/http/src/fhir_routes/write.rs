//! Create, update, delete, their conditional forms, and bundles. An answer of success leaves after the
//! commit is on disk, with a receipt that names the ledger entry.

use app::ResourceKey;
use app::record::{Deleted, Outcome, WriteReceipt, etag, location, name_of, render};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use fhir::validate::{Issue, Severity};
use kernel::Category;

use super::{Peer, describe, failed, fhir, put, query, take_format};
use crate::body;
use crate::edge::{Edge, EdgeError, logical_id, resource_type};
use crate::negotiation::{
    Preferences, Return, check_accept, check_content, if_match, only_if_absent, text,
};

const RECEIPT: HeaderName = HeaderName::from_static("audit-receipt");

/// `POST {type}`.
pub(super) async fn create(
    State(edge): State<Edge>,
    Path((tenant, ty)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
    content: Body,
) -> Response {
    edge.run("create", &headers, peer.as_deref(), failed, |arrival| {
        let edge = edge.clone();
        async move {
            negotiate(arrival.headers, raw.as_deref())?;
            let caller = edge.caller(&arrival, &tenant).await?;
            let ty = resource_type(&ty)?;
            let condition = text(arrival.headers, "if-none-exist")?.map(str::to_owned);
            let content = resource_body(&edge, arrival.headers, content).await?;
            let outcome =
                app::record::create::create(edge.app(), &caller, ty, content, condition.as_deref())
                    .await?;
            Ok(written(&caller.context.base, arrival.headers, &outcome))
        }
    })
    .await
}

/// `PUT {type}/{id}`.
pub(super) async fn update(
    State(edge): State<Edge>,
    Path((tenant, ty, id)): Path<(String, String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
    content: Body,
) -> Response {
    edge.run("update", &headers, peer.as_deref(), failed, |arrival| {
        let edge = edge.clone();
        async move {
            negotiate(arrival.headers, raw.as_deref())?;
            refuse_only_if_absent(arrival.headers)?;
            let expected = if_match(arrival.headers)?;
            let caller = edge.caller(&arrival, &tenant).await?;
            let key = ResourceKey {
                ty: resource_type(&ty)?,
                id: logical_id(&id)?,
            };
            let content = resource_body(&edge, arrival.headers, content).await?;
            let outcome =
                app::record::update::update(edge.app(), &caller, &key, content, expected).await?;
            Ok(written(&caller.context.base, arrival.headers, &outcome))
        }
    })
    .await
}

/// `PUT {type}?criteria`.
pub(super) async fn update_where(
    State(edge): State<Edge>,
    Path((tenant, ty)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
    content: Body,
) -> Response {
    edge.run(
        "update-conditional",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                let criteria = negotiate(arrival.headers, raw.as_deref())?;
                refuse_only_if_absent(arrival.headers)?;
                let expected = if_match(arrival.headers)?;
                let caller = edge.caller(&arrival, &tenant).await?;
                let ty = resource_type(&ty)?;
                let content = resource_body(&edge, arrival.headers, content).await?;
                let outcome = app::record::update::update_where(
                    edge.app(),
                    &caller,
                    ty,
                    &criteria,
                    content,
                    expected,
                )
                .await?;
                Ok(written(&caller.context.base, arrival.headers, &outcome))
            }
        },
    )
    .await
}

/// `DELETE {type}/{id}`.
pub(super) async fn delete(
    State(edge): State<Edge>,
    Path((tenant, ty, id)): Path<(String, String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run("delete", &headers, peer.as_deref(), failed, |arrival| {
        let edge = edge.clone();
        async move {
            negotiate(arrival.headers, raw.as_deref())?;
            let expected = if_match(arrival.headers)?;
            let caller = edge.caller(&arrival, &tenant).await?;
            let key = ResourceKey {
                ty: resource_type(&ty)?,
                id: logical_id(&id)?,
            };
            let deleted = app::record::delete::delete(edge.app(), &caller, &key, expected).await?;
            Ok(removed(&deleted))
        }
    })
    .await
}

/// `DELETE {type}?criteria`.
pub(super) async fn delete_where(
    State(edge): State<Edge>,
    Path((tenant, ty)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    edge.run(
        "delete-conditional",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| {
            let edge = edge.clone();
            async move {
                let criteria = negotiate(arrival.headers, raw.as_deref())?;
                let caller = edge.caller(&arrival, &tenant).await?;
                let ty = resource_type(&ty)?;
                let deleted =
                    app::record::delete::delete_where(edge.app(), &caller, ty, &criteria).await?;
                Ok(removed(&deleted))
            }
        },
    )
    .await
}

/// `POST /`: a batch or transaction.
pub(super) async fn bundle(
    State(edge): State<Edge>,
    Path(tenant): Path<String>,
    RawQuery(raw): RawQuery,
    peer: Peer,
    headers: HeaderMap,
    content: Body,
) -> Response {
    edge.run("bundle", &headers, peer.as_deref(), failed, |arrival| {
        let edge = edge.clone();
        async move {
            negotiate(arrival.headers, raw.as_deref())?;
            let caller = edge.caller(&arrival, &tenant).await?;
            check_content(arrival.headers)?;
            let limit = edge.app().settings().limits.bundle_bytes;
            let content = body::read(arrival.headers, content, limit).await?;
            let whole = Preferences::parse(arrival.headers).returns == Some(Return::Representation);
            let answer = app::record::bundle::bundle(edge.app(), &caller, content, whole).await?;
            let mut response = fhir(StatusCode::OK, answer.body);
            receipt(response.headers_mut(), answer.receipt.as_ref());
            Ok(response)
        }
    })
    .await
}

fn negotiate(headers: &HeaderMap, raw: Option<&str>) -> Result<Vec<(String, String)>, EdgeError> {
    let mut params = query(raw)?;
    let format = take_format(&mut params);
    check_accept(headers, format.as_deref())?;
    Ok(params)
}

fn refuse_only_if_absent(headers: &HeaderMap) -> Result<(), EdgeError> {
    if only_if_absent(headers) {
        let text = "If-None-Match on an update is not offered: use a conditional create";
        return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
    }
    Ok(())
}

async fn resource_body(
    edge: &Edge,
    headers: &HeaderMap,
    content: Body,
) -> Result<Bytes, EdgeError> {
    check_content(headers)?;
    Ok(body::read(
        headers,
        content,
        edge.app().settings().limits.resource_bytes,
    )
    .await?)
}

fn written(base: &str, headers: &HeaderMap, outcome: &Outcome) -> Response {
    let status = if outcome.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = match Preferences::parse(headers)
        .returns
        .unwrap_or(Return::Representation)
    {
        Return::Minimal => status.into_response(),
        Return::Representation => fhir(status, outcome.version.body.clone().unwrap_or_default()),
        Return::OperationOutcome => {
            let done = if outcome.created { "created" } else { "stored" };
            let text = format!(
                "{} {done} as version {}",
                name_of(&outcome.version.key),
                outcome.version.version
            );
            let issue = Issue {
                severity: Severity::Information,
                code: "informational",
                expression: String::new(),
                diagnostics: text,
            };
            fhir(status, render::outcome(&[issue]))
        }
    };
    describe(response.headers_mut(), &outcome.version);
    if outcome.created {
        put(
            response.headers_mut(),
            header::LOCATION,
            &format!("{base}/{}", location(&outcome.version)),
        );
    }
    receipt(response.headers_mut(), outcome.receipt.as_ref());
    response
}

fn removed(deleted: &Deleted) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(version) = deleted.version {
        put(response.headers_mut(), header::ETAG, &etag(version));
    }
    receipt(response.headers_mut(), deleted.receipt.as_ref());
    response
}

fn receipt(headers: &mut HeaderMap, receipt: Option<&WriteReceipt>) {
    if let Some(receipt) = receipt {
        put(headers, RECEIPT, &receipt.to_string());
    }
}
