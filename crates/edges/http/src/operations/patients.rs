//! Operations on the identity of patients: finding the same person, and making two records one.

use app::ResourceKey;
use app::operations::matching::MatchRequest;
use app::operations::merge::{MergeRequest, Merged};
use app::operations::{matching, merge};
use app::record::{WriteReceipt, render};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use fhir::validate::{Issue, Severity};
use kernel::Category;

use super::parameters::{Parameters, RESOURCE};
use super::record::{given, searchset};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::{RECEIPT, failed, fhir, put};
use crate::routing::Route;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    vec![
        Route::post("/t/{tenant}/fhir/Patient/$match", "match", failed, same),
        Route::post("/t/{tenant}/fhir/Patient/$merge", "merge", failed, merged),
    ]
}

fn missing(text: &str) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.to_owned())
}

async fn same(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let parameters = given(&mut arrival).await?;
    let patient = parameters.resources(RESOURCE).next().ok_or_else(|| {
        missing("the parameter resource is missing: send what is known of a Patient in it")
    })?;
    let count = parameters.text("count").map(|count| {
        let count = count.parse().ok().filter(|count| *count > 0);
        count.ok_or_else(|| missing("parameter count is no number above 0: correct it"))
    });
    let request = MatchRequest {
        patient,
        only_certain: parameters.flag("onlyCertainMatches")?.unwrap_or(false),
        count: count.transpose()?,
    };
    let found = matching::matches(arrival.app(), &caller, &request).await?;
    Ok(searchset(&found, &caller.context.base))
}

async fn merged(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    merge::check(arrival.app(), &caller).await?;
    let parameters = given(&mut arrival).await?;
    let request = MergeRequest {
        source: patient(&parameters, "source-patient")?,
        target: patient(&parameters, "target-patient")?,
        result: parameters
            .resources("result-patient")
            .next()
            .map(|result| Bytes::copy_from_slice(result.raw())),
        preview: parameters.flag("preview")?.unwrap_or(false),
    };
    let merged = merge::merge(arrival.app(), &caller, &request).await?;
    let mut response = fhir(StatusCode::OK, answer(&request, &merged));
    if let Some(receipt) = &merged.receipt {
        put(
            response.headers_mut(),
            RECEIPT,
            &WriteReceipt::to_string(receipt),
        );
    }
    Ok(response)
}

fn patient(parameters: &Parameters, name: &'static str) -> Result<ResourceKey, EdgeError> {
    let reference = parameters
        .values(name)
        .next()
        .and_then(|value| value.get_str("reference"))
        .ok_or_else(|| {
            missing(&format!(
                "the parameter {name} is missing: send a Reference"
            ))
        })?;
    let id = reference.strip_prefix("Patient/").ok_or_else(|| {
        missing(&format!(
            "{name} is no reference such as Patient/1: correct it"
        ))
    })?;
    Ok(ResourceKey {
        ty: resource_type("Patient")?,
        id: logical_id(id)?,
    })
}

fn answer(request: &MergeRequest, merged: &Merged) -> Vec<u8> {
    let done = if request.preview {
        "would be changed"
    } else {
        "were changed"
    };
    let mut text = format!(
        "{} resources that refer to the source {done}, beside the patients",
        merged.referrers
    );
    if merged.remains {
        text.push_str(
            "; more refer to it, for further commits: send the same again until nothing remains",
        );
    }
    if let Some(provenance) = &merged.provenance {
        text.push_str("; every version before and after stands in ");
        text.push_str(provenance);
    }
    let outcome = render::outcome(&[Issue {
        severity: Severity::Information,
        code: "informational",
        expression: String::new(),
        diagnostics: text,
    }]);
    let mut out =
        br#"{"resourceType":"Parameters","parameter":[{"name":"outcome","resource":"#.to_vec();
    out.extend_from_slice(&outcome);
    out.extend_from_slice(br#"},{"name":"result","resource":"#);
    out.extend_from_slice(&merged.result);
    if merged.remains {
        out.extend_from_slice(br#"},{"name":"remains","valueBoolean":true"#);
    }
    out.extend_from_slice(b"}]}");
    out
}
