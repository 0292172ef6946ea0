//! Operations in batch bundles: entries whose address names one are sent through the routes of the
//! operations, each with its own decision and entry; the other entries go to the record as ever. Only
//! operations that change nothing: the others have no place among entries that stand for themselves.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use fhir::json::{Document, Limits, Value};
use fhir::print::write_string;
use http_body_util::{BodyExt as _, Limited};
use kernel::{Category, RequestId};
use tower::ServiceExt as _;

use crate::edge::{Edge, EdgeError};
use crate::fhir_routes::failed;
use crate::outcome::Failure;
use crate::routing;

/// Most operations in a batch.
const OPERATIONS: usize = 100;
/// Headers of the bundle's request that its operations are sent with, too.
const PASSED: [&str; 4] = [
    "authorization",
    "x-purpose-of-use",
    "x-forwarded-for",
    "x-request-id",
];
/// Operations that may be sent by POST here, for the parameters they take: they only look.
const LOOKS: [&str; 13] = [
    "$closure-of",
    "$everything",
    "$expand",
    "$find-matches",
    "$lastn",
    "$lookup",
    "$match",
    "$meta",
    "$run",
    "$subsumes",
    "$translate",
    "$validate",
    "$validate-code",
];

/// Operations that a GET asks for and that begin something, which would go on behind the batch.
const STARTS: [&str; 3] = [
    "$export",
    "$get-ws-binding-token",
    "$subscriptions-websocket",
];

/// A batch, taken apart.
pub(crate) struct Split {
    /// The batch without its operations; `None` where it has nothing else.
    pub(crate) rest: Option<Bytes>,
    asked: Vec<(usize, Asked)>,
}

/// An operation that is asked for.
struct Asked {
    method: String,
    address: String,
    body: Vec<u8>,
}

/// Takes a batch with operations apart; `None` for any other bundle, which the record answers, or
/// refuses, by itself.
///
/// # Errors
/// Too many operations.
pub(crate) fn split(content: &Bytes, base: &str) -> Result<Option<Split>, EdgeError> {
    if !content.contains(&b'$') {
        return Ok(None);
    }
    let Ok(document) = Document::parse(content.to_vec(), &Limits::default()) else {
        return Ok(None);
    };
    let root = document.root();
    if root.get_str("type").as_deref() != Some("batch") {
        return Ok(None);
    }
    let mut split = Split {
        rest: None,
        asked: Vec::new(),
    };
    let mut rest = br#"{"resourceType":"Bundle","type":"batch","entry":["#.to_vec();
    let mut others = 0;
    let entries = root.get("entry").into_iter().flat_map(Value::items);
    for (place, entry) in entries.enumerate() {
        if let Some(asked) = asked(entry, base) {
            split.asked.push((place, asked));
            continue;
        }
        if others > 0 {
            rest.push(b',');
        }
        others += 1;
        rest.extend_from_slice(entry.raw());
    }
    if split.asked.is_empty() {
        return Ok(None);
    }
    if split.asked.len() > OPERATIONS {
        return Err(EdgeError::Address(
            Category::TooLarge,
            format!("the batch has more than {OPERATIONS} operations: split it"),
        ));
    }
    if others > 0 {
        rest.extend_from_slice(b"]}");
        split.rest = Some(rest.into());
    }
    Ok(Some(split))
}

fn asked(entry: Value<'_>, base: &str) -> Option<Asked> {
    let request = entry.get("request")?;
    let url = request.get_str("url")?;
    let path = url.strip_prefix(base).unwrap_or(&url);
    let path = path.strip_prefix('/').unwrap_or(path);
    let (names, _) = path.split_once('?').unwrap_or((path, ""));
    if !names.split('/').any(|name| name.starts_with('$')) {
        return None;
    }
    Some(Asked {
        method: request.get_str("method").unwrap_or_default().into_owned(),
        address: path.to_owned(),
        body: entry
            .get("resource")
            .map(|resource| resource.raw().to_vec())
            .unwrap_or_default(),
    })
}

impl Split {
    /// Does the operations and puts their answers between those of the other entries.
    pub(crate) async fn answer(
        self,
        edge: &Edge,
        sent: &Sent<'_>,
        rest: Option<Bytes>,
    ) -> Result<Vec<u8>, EdgeError> {
        let rest = rest.unwrap_or_else(|| Bytes::from_static(b"{}"));
        let document = Document::parse(rest.to_vec(), &Limits::default())
            .map_err(|error| EdgeError::Address(Category::Fault, error.to_string()))?;
        let others = document.root().get("entry");
        let mut others = others.into_iter().flat_map(Value::items);
        let mut left = edge.app().settings().limits.answer_bytes;
        let mut out = br#"{"resourceType":"Bundle","type":"batch-response","entry":["#.to_vec();
        let mut place = 0;
        let next = |place: &mut usize, out: &mut Vec<u8>, entry: &[u8]| {
            if *place > 0 {
                out.push(b',');
            }
            *place += 1;
            out.extend_from_slice(entry);
        };
        for (at, asked) in self.asked {
            while place < at {
                let Some(entry) = others.next() else { break };
                next(&mut place, &mut out, entry.raw());
            }
            let (status, body) = one(edge, sent, asked, left).await;
            left = left.saturating_sub(body.len());
            next(&mut place, &mut out, &entry(status, &body));
        }
        for entry in others {
            next(&mut place, &mut out, entry.raw());
        }
        out.extend_from_slice(b"]}");
        Ok(out)
    }
}

/// The request that the batch came in.
pub(crate) struct Sent<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: Option<ConnectInfo<SocketAddr>>,
}

async fn one(edge: &Edge, sent: &Sent<'_>, asked: Asked, left: usize) -> (StatusCode, Bytes) {
    let refused = |category: Category, text: &str| {
        let request = RequestId::from_uuid(uuid::Uuid::nil());
        let failure = Failure::new(category, text, request);
        (failure.status(), Bytes::from(failure.operation_outcome()))
    };
    let (names, _) = asked
        .address
        .split_once('?')
        .unwrap_or((&asked.address, ""));
    let last = names.rsplit('/').next().unwrap_or_default();
    let looks = match asked.method.as_str() {
        "GET" => !STARTS.contains(&last),
        "POST" => LOOKS.contains(&last),
        _ => false,
    };
    if !looks {
        let text = "this operation is not offered in bundles: send it by itself";
        return refused(Category::Unsupported, text);
    }
    let mut request = Request::builder()
        .method(asked.method.as_str())
        .uri(format!("/t/{}/fhir/{}", sent.tenant, asked.address))
        .header(header::ACCEPT, "application/fhir+json");
    for name in PASSED {
        if let Some(value) = sent.headers.get(name) {
            request = request.header(name, value);
        }
    }
    if !asked.body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/fhir+json");
    }
    if let Some(peer) = sent.peer {
        request = request.extension(peer);
    }
    let Ok(request) = request.body(Body::from(asked.body)) else {
        return refused(Category::Invalid, "request.url is no address: escape it");
    };
    let routes = routing::router(super::table(), &crate::fhir_routes::UNKNOWN, failed);
    let Ok(response) = routes.with_state(edge.clone()).oneshot(request).await;
    let status = response.status();
    match Limited::new(response.into_body(), left).collect().await {
        Ok(body) => (status, body.to_bytes()),
        Err(_) => refused(
            Category::TooLarge,
            "the answer to this bundle would be too large: send this operation by itself",
        ),
    }
}

fn entry(status: StatusCode, body: &[u8]) -> Vec<u8> {
    let mut out = vec![b'{'];
    let is_done = status.is_success();
    if is_done && !body.is_empty() {
        out.extend_from_slice(b"\"resource\":");
        out.extend_from_slice(body);
        out.push(b',');
    }
    out.extend_from_slice(b"\"response\":{\"status\":");
    let reason = status.canonical_reason().unwrap_or("Error");
    write_string(&format!("{} {reason}", status.as_u16()), &mut out);
    if !is_done && !body.is_empty() {
        out.extend_from_slice(b",\"outcome\":");
        out.extend_from_slice(body);
    }
    out.extend_from_slice(b"}}");
    out
}
