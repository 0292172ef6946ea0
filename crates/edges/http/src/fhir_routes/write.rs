//! Create, update, patch, delete, their conditional forms, and bundles. An answer of success leaves after the
//! commit is on disk, with a receipt that names the ledger entry.

use app::record::patch::Patch;
use app::record::{Deleted, Outcome, WriteReceipt, etag, location, name_of, query_string, render};
use app::{RequestContext, ResourceKey};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use fhir::validate::{Issue, Severity};
use kernel::Category;

use super::{describe, fhir, put, query, take_format};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::negotiation::{
    PatchForm, Preferences, Return, check_accept, check_content, if_match, only_if_absent,
    patch_form, text,
};

use crate::operations::batch;

/// Names the ledger entry of a change.
pub(crate) const RECEIPT: HeaderName = HeaderName::from_static("audit-receipt");

/// `POST {type}`.
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let mut criteria = negotiate(&arrival)?;
    criteria.retain(|(name, _)| name != "_pretty");
    let ty = resource_type(&ty)?;
    let content = resource_body(&mut arrival).await?;
    let header = text(arrival.headers(), "if-none-exist")?;
    // Criteria in the address mean what the header means: to pass over them would make a second resource.
    let condition = match (header, criteria.is_empty()) {
        (None, false) => Some(query_string::print(
            criteria.iter().map(|(name, value)| (&**name, &**value)),
        )),
        (Some(_), false) => {
            let text = "criteria stand in the address and in If-None-Exist: send them once";
            return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
        }
        (header, true) => header.map(str::to_owned),
    };
    let condition = condition.as_deref();
    let outcome =
        app::record::create::create(arrival.app(), &caller, ty, content, condition).await?;
    Ok(written(&caller.context, arrival.headers(), outcome))
}

/// `PUT {type}/{id}`.
pub(super) async fn update(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    negotiate(&arrival)?;
    refuse_only_if_absent(arrival.headers())?;
    let expected = if_match(arrival.headers())?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let content = resource_body(&mut arrival).await?;
    let outcome =
        app::record::update::update(arrival.app(), &caller, &key, content, expected).await?;
    Ok(written(&caller.context, arrival.headers(), outcome))
}

/// `PUT {type}?criteria`.
pub(super) async fn update_where(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let criteria = negotiate(&arrival)?;
    refuse_only_if_absent(arrival.headers())?;
    let expected = if_match(arrival.headers())?;
    let ty = resource_type(&ty)?;
    let content = resource_body(&mut arrival).await?;
    let outcome =
        app::record::update::update_where(arrival.app(), &caller, ty, &criteria, content, expected)
            .await?;
    Ok(written(&caller.context, arrival.headers(), outcome))
}

/// `PATCH {type}/{id}`.
pub(super) async fn patch(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    negotiate(&arrival)?;
    let expected = if_match(arrival.headers())?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let patch = patch_body(&mut arrival).await?;
    let outcome = app::record::patch::patch(arrival.app(), &caller, &key, &patch, expected).await?;
    Ok(written(&caller.context, arrival.headers(), outcome))
}

/// `PATCH {type}?criteria`.
pub(super) async fn patch_where(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let criteria = negotiate(&arrival)?;
    let expected = if_match(arrival.headers())?;
    let ty = resource_type(&ty)?;
    let patch = patch_body(&mut arrival).await?;
    let app = arrival.app();
    let outcome =
        app::record::patch::patch_where(app, &caller, ty, &criteria, &patch, expected).await?;
    Ok(written(&caller.context, arrival.headers(), outcome))
}

async fn patch_body(arrival: &mut Arrival) -> Result<Patch, EdgeError> {
    let form = patch_form(arrival.headers())?;
    let limit = arrival.app().settings().limits.resource_bytes;
    let bytes = arrival.body(limit).await?;
    Ok(match form {
        PatchForm::Json => Patch::json(arrival.app(), bytes.into())?,
        PatchForm::Xml => Patch::xml(arrival.app(), bytes.into())?,
        PatchForm::Merge => Patch::merge(arrival.app(), bytes.into())?,
        PatchForm::Plain => Patch::plain(arrival.app(), bytes.into())?,
        PatchForm::FhirPath => Patch::fhirpath(arrival.app(), bytes.into())?,
    })
}

/// `DELETE {type}/{id}`.
pub(super) async fn delete(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty, id): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    negotiate(&arrival)?;
    let expected = if_match(arrival.headers())?;
    let key = ResourceKey {
        ty: resource_type(&ty)?,
        id: logical_id(&id)?,
    };
    let deleted = app::record::delete::delete(arrival.app(), &caller, &key, expected).await?;
    Ok(removed(&caller.context, arrival.headers(), &deleted))
}

/// `DELETE {type}?criteria`.
pub(super) async fn delete_where(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, ty): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let criteria = negotiate(&arrival)?;
    let ty = resource_type(&ty)?;
    let deleted = app::record::delete::delete_where(arrival.app(), &caller, ty, &criteria).await?;
    Ok(removed(&caller.context, arrival.headers(), &deleted))
}

/// `POST /`: a batch or transaction.
pub(super) async fn bundle(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    negotiate(&arrival)?;
    check_content(arrival.headers())?;
    let limit = arrival.app().settings().limits.bundle_bytes;
    let content = arrival.body(limit).await?;
    let whole = Preferences::parse(arrival.headers()).returns == Some(Return::Representation);
    let split = batch::split(&content, &caller.context.base)?;
    let content = match &split {
        None => Some(content),
        Some(split) => split.rest.clone(),
    };
    let answer = match content {
        None => None,
        Some(content) => {
            Some(app::record::bundle::bundle(arrival.app(), &caller, content, whole).await?)
        }
    };
    let body = answer.as_ref().map(|answer| answer.body.clone());
    let body = match split {
        None => body.unwrap_or_default(),
        Some(split) => {
            let sent = batch::Sent {
                tenant: &tenant,
                headers: arrival.headers(),
                peer: arrival.peer(),
            };
            split.answer(arrival.edge(), &sent, body).await?.into()
        }
    };
    let mut response = fhir(StatusCode::OK, body);
    advise(response.headers_mut(), &caller.context.advice.take());
    let made = answer.and_then(|answer| answer.receipt);
    receipt(response.headers_mut(), made.as_ref());
    Ok(response)
}

fn negotiate(arrival: &Arrival) -> Result<Vec<(String, String)>, EdgeError> {
    let mut params = query(arrival.raw_query())?;
    let format = take_format(&mut params);
    check_accept(arrival.headers(), format.as_deref())?;
    Ok(params)
}

fn refuse_only_if_absent(headers: &HeaderMap) -> Result<(), EdgeError> {
    if only_if_absent(headers) {
        let text = "If-None-Match on an update is not offered: use a conditional create";
        return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
    }
    Ok(())
}

async fn resource_body(arrival: &mut Arrival) -> Result<Bytes, EdgeError> {
    check_content(arrival.headers())?;
    let limit = arrival.app().settings().limits.resource_bytes;
    arrival.body(limit).await
}

/// The header that counts what a validation found that only warns: `errors=1; warnings=2`.
const VALIDATION: HeaderName = HeaderName::from_static("validation-issues");

fn advise(headers: &mut HeaderMap, issues: &[Issue]) {
    let count =
        |wanted: fn(Severity) -> bool| issues.iter().filter(|issue| wanted(issue.severity)).count();
    let errors = count(|severity| severity <= Severity::Error);
    let warnings = count(|severity| severity == Severity::Warning);
    if errors + warnings > 0 {
        put(
            headers,
            VALIDATION,
            &format!("errors={errors}; warnings={warnings}"),
        );
    }
}

fn written(context: &RequestContext, headers: &HeaderMap, mut outcome: Outcome) -> Response {
    let base = &context.base;
    let advice = context.advice.take();
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
        Return::Representation => fhir(status, outcome.version.body.take().unwrap_or_default()),
        Return::OperationOutcome => {
            let done = if outcome.created { "created" } else { "stored" };
            let text = format!(
                "{} {done} as version {}",
                name_of(&outcome.version.key),
                outcome.version.version
            );
            fhir(status, render::outcome(&told(text, &advice)))
        }
    };
    advise(response.headers_mut(), &advice);
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

/// A deletion says nothing beyond its headers, unless an OperationOutcome is asked for.
fn removed(context: &RequestContext, headers: &HeaderMap, deleted: &Deleted) -> Response {
    let advice = context.advice.take();
    let mut response = match Preferences::parse(headers).returns {
        Some(Return::OperationOutcome) => {
            let text = match deleted.count {
                0 => "there was nothing to delete".to_owned(),
                1 => "1 resource was deleted".to_owned(),
                count => format!("{count} resources were deleted"),
            };
            fhir(StatusCode::OK, render::outcome(&told(text, &advice)))
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    };
    advise(response.headers_mut(), &advice);
    if let Some(version) = deleted.version {
        put(response.headers_mut(), header::ETAG, &etag(version));
    }
    receipt(response.headers_mut(), deleted.receipt.as_ref());
    response
}

/// What was done, and what there is to say about it.
fn told(text: String, advice: &[Issue]) -> Vec<Issue> {
    let done = Issue {
        severity: Severity::Information,
        code: "informational",
        expression: String::new(),
        diagnostics: text,
    };
    [done].into_iter().chain(advice.iter().cloned()).collect()
}

fn receipt(headers: &mut HeaderMap, receipt: Option<&WriteReceipt>) {
    if let Some(receipt) = receipt {
        put(headers, RECEIPT, &receipt.to_string());
    }
}
