//! FHIR XML on the wire: bodies in XML become the JSON that the use-cases take, answers in JSON become the
//! XML that was asked for. Every route gets both here, errors too. Must not look at what a resource says.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use fhir::Definitions;
use fhir::json::{Document, Limits};
use fhir::xml::{self, XmlError};
use http_body_util::BodyExt as _;
use kernel::{Categorised as _, Category, RequestId};

use crate::edge::EdgeError;
use crate::negotiation::{self, Format};
use crate::outcome::{FHIR_JSON, FHIR_XML, Failure};

/// Up to this size a body is turned where it is; larger ones on a thread that may block.
const SMALL_BYTES: usize = 64 << 10;

/// Whether a body is a resource in XML.
pub(crate) fn is_sent(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(negotiation::is_xml)
}

/// Whether an answer is wanted in XML. What cannot be answered in any form is refused elsewhere.
pub(crate) fn is_wanted(headers: &HeaderMap, query: Option<&str>) -> bool {
    let format = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("_format="))
        .and_then(app::record::query_string::decode);
    // The common case of no header at all costs nothing.
    if format.is_none() && !headers.contains_key(header::ACCEPT) {
        return false;
    }
    negotiation::accepted(headers, format.as_deref()) == Ok(Format::Xml)
}

/// The JSON of a body in XML.
pub(crate) async fn read(bytes: Bytes, limit: usize) -> Result<Bytes, EdgeError> {
    let size = bytes.len();
    let work = move || {
        let limits = xml::Limits {
            max_bytes: limit,
            ..xml::Limits::default()
        };
        xml::to_json(Definitions::r4(), &bytes, &limits)
    };
    let json = on_worker(size, work).await?;
    json.map(Bytes::from)
        .map_err(|error| EdgeError::Address(error.category(), error.to_string()))
}

/// The answer in XML, where it is a resource in JSON.
pub(crate) async fn answer(response: Response, request: RequestId) -> Response {
    let is_json = |value: &HeaderValue| value.as_bytes() == FHIR_JSON.as_bytes();
    if !response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(is_json)
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let turned = match body.collect().await {
        Ok(body) => turn(body.to_bytes()).await,
        Err(_) => Err(EdgeError::Address(
            Category::Fault,
            "the answer could not be put together".to_owned(),
        )),
    };
    let xml = match turned {
        Ok(xml) => xml,
        Err(error) => {
            let failure: Failure = error.failure(request);
            parts.status = failure.status();
            parts.headers.remove(header::ETAG);
            parts.headers.remove(header::LAST_MODIFIED);
            let outcome = failure.operation_outcome();
            write(&outcome).unwrap_or_default()
        }
    };
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_XML));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(xml))
}

async fn turn(json: Bytes) -> Result<Vec<u8>, EdgeError> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    let size = json.len();
    let xml = on_worker(size, move || write(&json)).await?;
    xml.map_err(|error| EdgeError::Address(error.category(), error.to_string()))
}

fn write(json: &[u8]) -> Result<Vec<u8>, XmlError> {
    // What we answer is JSON of ours: it can only be beyond the limits, which then says the XML error.
    let document = Document::parse(json.to_vec(), &Limits::default()).map_err(|_| XmlError {
        kind: xml::XmlErrorKind::NotFhir("an answer of this size".to_owned()),
        offset: 0,
        line: 1,
        column: 1,
    })?;
    xml::from_json(Definitions::r4(), document.root())
}

async fn on_worker<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EdgeError> {
    if size <= SMALL_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| EdgeError::Address(Category::Fault, "a worker thread failed".to_owned()))
}
