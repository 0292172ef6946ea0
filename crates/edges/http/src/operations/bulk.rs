//! Bulk data over HTTP (HL7 Bulk Data Access IG 2, asynchronous pattern): asking for an export, how it
//! stands, stopping it, and its files. Must not hold a file in memory.

use app::Caller;
use app::bulk::{
    Access, Download, ExportLevel, ExportRequest, ImportRequest, InputSource, Manifest,
    ManifestFile, Status, begin_export, begin_import, cancel, open, status,
};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use kernel::{Category, LogicalId};
use serde_json::{Value, json};

use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::{failed, put, query};
use crate::negotiation::{Preferences, check_accept, check_content};
use crate::operations::import_manifest;
use crate::operations::parameters::{Parameters, RESOURCE};
use crate::outcome::Failure;
use crate::routing::Route;

const NDJSON: &str = "application/fhir+ndjson";
/// What NDJSON is called when it is sent.
const LINES: [&str; 4] = [
    NDJSON,
    "application/ndjson",
    "application/x-ndjson",
    "text/ndjson",
];
/// Bytes of a request's Parameters at most.
const PARAMETERS: usize = 4 << 20;

/// The routes.
#[must_use]
pub fn table() -> Vec<Route> {
    let system = "/t/{tenant}/fhir/$export";
    let patient = "/t/{tenant}/fhir/Patient/$export";
    let group = "/t/{tenant}/fhir/Group/{id}/$export";
    let job = "/t/{tenant}/bulk/{job}";
    let file = "/t/{tenant}/bulk/{job}/{file}";
    vec![
        Route::get(system, "export-system", failed, of_system),
        Route::post(system, "export-system", failed, of_system),
        Route::get(patient, "export-patient", failed, of_patients),
        Route::post(patient, "export-patient", failed, of_patients),
        Route::get(group, "export-group", failed, of_group),
        Route::post(group, "export-group", failed, of_group),
        Route::post("/t/{tenant}/fhir/$import", "import", failed, import),
        Route::get(job, "bulk-status", failed, state),
        Route::delete(job, "bulk-cancel", failed, stop),
        Route::get(file, "bulk-file", failed, file_of),
    ]
}

async fn of_system(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    export(arrival, caller, ExportLevel::System).await
}

async fn of_patients(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    export(arrival, caller, ExportLevel::Patient).await
}

async fn of_group(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let group: LogicalId = logical_id(&id)?;
    export(arrival, caller, ExportLevel::Group(group)).await
}

async fn export(
    mut arrival: Arrival,
    caller: Caller,
    level: ExportLevel,
) -> Result<Response, EdgeError> {
    check_accept(arrival.headers(), None)?;
    check_content(arrival.headers())?;
    let lenient = Preferences::parse(arrival.headers()).lenient;
    let url = address(&arrival, &caller);
    let given = Parameters::read(&mut arrival, PARAMETERS).await?;
    if given
        .resources(crate::operations::parameters::RESOURCE)
        .next()
        .is_some()
    {
        let text = "the body is no Parameters resource: put the export's parameters into one";
        return Err(EdgeError::Address(Category::Invalid, text.to_owned()));
    }
    let request = ExportRequest {
        level,
        params: parameters(&given),
        lenient,
        url,
    };
    let id = begin_export(arrival.app(), &caller, &request).await?;
    Ok(accepted(&caller, id))
}

/// The address below which a tenant's jobs lie.
fn tenant_base(caller: &Caller) -> &str {
    caller.context.base.trim_end_matches("/fhir")
}

/// The request's whole address.
fn address(arrival: &Arrival, caller: &Caller) -> String {
    let base = tenant_base(caller);
    let path = arrival.uri_path();
    let own = path
        .find("/fhir/")
        .and_then(|at| path.get(at..))
        .unwrap_or_default();
    match arrival.raw_query() {
        Some(query) if !query.is_empty() => format!("{base}{own}?{query}"),
        _ => format!("{base}{own}"),
    }
}

/// Name and text of each parameter; of a reference, what it refers to.
fn parameters(given: &Parameters) -> Vec<(String, String)> {
    let mut pairs = given.pairs().to_vec();
    let names: Vec<String> = given.parts().map(|(name, _)| name.into_owned()).collect();
    let mut seen: Vec<&String> = Vec::new();
    for name in &names {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        for value in given.values(name) {
            let text = value
                .get_str("reference")
                .or_else(|| value.as_str())
                .map(std::borrow::Cow::into_owned);
            // One of another kind is refused by its name or as malformed.
            pairs.push((name.clone(), text.unwrap_or_default()));
        }
    }
    pairs
}

/// `POST $import`: NDJSON as the body (`?_type=` says of which type), or a manifest: see
/// [`import_manifest`].
async fn import(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    check_accept(arrival.headers(), None)?;
    let url = address(&arrival, &caller);
    let limit = arrival.app().settings().limits.bundle_bytes;
    let sent = arrival
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .is_some_and(|text| LINES.contains(&text.trim()));
    let inputs = if sent {
        let pairs = query(arrival.raw_query())?;
        let ty = pairs.into_iter().find(|(name, _)| name == "_type");
        let body = arrival.body(limit).await?;
        vec![(ty.map(|(_, ty)| ty), InputSource::Lines(body))]
    } else {
        check_content(arrival.headers())?;
        let given = Parameters::read(&mut arrival, limit).await?;
        match given.resources(RESOURCE).next() {
            Some(manifest) => import_manifest::of_json(manifest)?,
            None => import_manifest::of_parameters(&given)?,
        }
    };
    let request = ImportRequest { inputs, url };
    let id = begin_import(arrival.app(), &caller, request).await?;
    Ok(accepted(&caller, id))
}

/// `202 Accepted`, with the address to ask at.
fn accepted(caller: &Caller, id: uuid::Uuid) -> Response {
    let mut response = StatusCode::ACCEPTED.into_response();
    let at = format!("{}/bulk/{id}", tenant_base(caller));
    put(response.headers_mut(), header::CONTENT_LOCATION, &at);
    response
}

/// `GET bulk/{job}`.
async fn state(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, job): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    check_accept(arrival.headers(), None)?;
    match status(arrival.app(), &caller, &job).await? {
        Status::Going { progress, again_s } => {
            let mut response = StatusCode::ACCEPTED.into_response();
            let headers = response.headers_mut();
            put(
                headers,
                header::HeaderName::from_static("x-progress"),
                &progress,
            );
            put(headers, header::RETRY_AFTER, &again_s.to_string());
            put(headers, header::CACHE_CONTROL, "no-store");
            Ok(response)
        }
        Status::Failed(why) => {
            let text = format!("the job was given up: {why}");
            let failure = Failure {
                status: Some(StatusCode::INTERNAL_SERVER_ERROR),
                ..Failure::new(Category::Unprocessable, text, caller.context.id)
            };
            Ok(failure.into_fhir())
        }
        Status::Done(manifest) => {
            let mut response = axum::Json(shown(&manifest)).into_response();
            let headers = response.headers_mut();
            put(headers, header::EXPIRES, &manifest.expires.to_http_date());
            put(headers, header::CACHE_CONTROL, "no-store");
            Ok(response)
        }
    }
}

fn shown(manifest: &Manifest) -> Value {
    let files = |files: &[ManifestFile]| -> Vec<Value> {
        files
            .iter()
            .map(|file| json!({ "type": file.ty, "url": file.url, "count": file.count }))
            .collect()
    };
    json!({
        "transactionTime": manifest.transaction_time.to_fhir_instant(),
        "request": manifest.request,
        "requiresAccessToken": manifest.requires_access_token,
        "output": files(&manifest.output),
        "deleted": files(&manifest.deleted),
        "error": files(&manifest.error),
    })
}

/// `DELETE bulk/{job}`.
async fn stop(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, job): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    cancel(arrival.app(), &caller, &job).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `GET bulk/{job}/{file}`.
async fn file_of(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, job, file): (String, String, String) = arrival.path().await?;
    let access = access(&arrival, &tenant).await?;
    let context = arrival.context(&tenant);
    let place = (job.as_str(), file.as_str());
    let download = open(arrival.app(), &tenant, place, access, &context).await?;
    Ok(sent(arrival.headers(), download))
}

/// The link's signature, and whoever has a token.
async fn access(arrival: &Arrival, tenant: &str) -> Result<Access, EdgeError> {
    let pairs = query(arrival.raw_query())?;
    let text = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    };
    let signed_in = arrival.headers().contains_key(header::AUTHORIZATION);
    let Some(signature) = text("signature") else {
        let caller = arrival.caller(tenant).await?;
        return Ok(Access::Caller(Box::new(caller)));
    };
    let expires = text("expires").and_then(|text| text.parse().ok());
    let caller = if signed_in {
        Some(Box::new(arrival.caller(tenant).await?))
    } else {
        None
    };
    Ok(Access::Link {
        expires: expires.unwrap_or_default(),
        signature,
        caller,
    })
}

/// A file, or the range of it that is asked for (RFC 9110 section 14), read chunk by chunk as it is sent.
fn sent(headers: &HeaderMap, download: Download) -> Response {
    let length = download.length();
    let name = download.name();
    let asked = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
        .map(|text| range(text, length));
    let (status, from, until) = match asked {
        Some(Range::Of(from, until)) => (StatusCode::PARTIAL_CONTENT, from, until),
        Some(Range::Beyond) => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            let whole = format!("bytes */{length}");
            put(response.headers_mut(), header::CONTENT_RANGE, &whole);
            return response;
        }
        Some(Range::Whole) | None => (StatusCode::OK, 0, length),
    };
    let body = Body::from_stream(bytes_of(download, from, until));
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    put(headers, header::CACHE_CONTROL, "no-store");
    put(headers, header::ACCEPT_RANGES, "bytes");
    put(headers, header::CONTENT_LENGTH, &(until - from).to_string());
    let saved = format!("attachment; filename=\"{name}\"");
    put(headers, header::CONTENT_DISPOSITION, &saved);
    if status == StatusCode::PARTIAL_CONTENT {
        let part = format!("bytes {from}-{}/{length}", until.saturating_sub(1));
        put(headers, header::CONTENT_RANGE, &part);
    }
    response
}

/// What a `Range` header means.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first to before the second.
    Of(u64, u64),
    /// Nothing of the file.
    Beyond,
    /// Not understood, or several: the whole file, as RFC 9110 allows.
    Whole,
}

fn range(text: &str, length: u64) -> Range {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|text| text.split_once('-'))
    else {
        return Range::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| text.parse::<u64>().ok();
    let (from, until) = match (number(first), number(last)) {
        (None, Some(tail)) if first.is_empty() => (length.saturating_sub(tail), length),
        (Some(from), None) if last.is_empty() => (from, length),
        (Some(from), Some(last)) if from <= last => (from, last.saturating_add(1).min(length)),
        _ => return Range::Whole,
    };
    if from < until {
        Range::Of(from, until)
    } else {
        Range::Beyond
    }
}

/// The bytes from one place to before another.
fn bytes_of(
    download: Download,
    from: u64,
    until: u64,
) -> impl stream::Stream<Item = Result<Bytes, std::io::Error>> {
    let begin = (0usize, 0u64);
    stream::try_unfold(begin, move |(mut chunk, mut at)| {
        let download = download.clone();
        async move {
            while chunk < download.chunks() && at + download.chunk_length(chunk) <= from {
                at += download.chunk_length(chunk);
                chunk += 1;
            }
            if chunk >= download.chunks() || at >= until {
                return Ok(None);
            }
            let bytes = download
                .chunk(chunk)
                .await
                .map_err(|error| std::io::Error::other(error.public_text().into_owned()))?;
            let end = at + bytes.len() as u64;
            let cut = |place: u64| {
                usize::try_from(place.saturating_sub(at))
                    .unwrap_or(usize::MAX)
                    .min(bytes.len())
            };
            let piece = bytes.slice(cut(from)..cut(until));
            Ok(Some((piece, (chunk + 1, end))))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        for (text, expected) in [
            ("bytes=0-4", Range::Of(0, 5)),
            ("bytes=5-", Range::Of(5, 10)),
            ("bytes=-3", Range::Of(7, 10)),
            ("bytes=-30", Range::Of(0, 10)),
            ("bytes=8-99", Range::Of(8, 10)),
            ("bytes=10-", Range::Beyond),
            ("bytes=-0", Range::Beyond),
            ("bytes=4-2", Range::Whole),
            ("bytes=0-1,4-5", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("bytes=", Range::Whole),
        ] {
            assert_eq!(range(text, 10), expected, "{text}");
        }
    }
}
