//! The product API at `/t/{tenant}/api/v1` and, for operators, `/operator/api/v1`: running a tenant by
//! program. JSON in camel case; failures are problem documents (RFC 9457). Each handler translates one
//! request into one use-case. Must not show a secret that was not made in the same answer.

pub mod audit;
pub mod branches;
pub mod break_glass;
pub mod cds_hooks;
pub mod clients;
pub mod document;
pub mod erasure;
pub mod me;
pub mod medicines;
pub mod operator;
pub mod ordering;
pub mod orders;
pub mod partners;
pub mod register;
pub mod relationships;
pub mod rounds;
pub mod stock;
pub mod subscriptions;
pub mod tokens;
pub mod users;

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kernel::{Category, IdError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as ResponseDoc, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::edge::{Arrival, EdgeError};
use crate::negotiation::{check_accept_json, check_content_json};
use crate::outcome::Failure;
use crate::routing::Route;

/// Bodies of this API are short.
const BODY_LIMIT: usize = 256 << 10;

/// Addresses among these routes, and the ledger's, that mean nothing.
pub(crate) const UNKNOWN: [&str; 5] = [
    "/t/{tenant}/api/{*rest}",
    "/t/{tenant}/ledger/{log}",
    "/t/{tenant}/ledger/{log}/{*rest}",
    "/operator/api/{*rest}",
    "/api/{*rest}",
];

/// The routes of the product API.
#[must_use]
pub fn table() -> Vec<Route> {
    [
        document::table(),
        me::table(),
        medicines::table(),
        audit::table(),
        branches::table(),
        users::table(),
        relationships::table(),
        clients::table(),
        tokens::table(),
        break_glass::table(),
        erasure::table(),
        rounds::table(),
        subscriptions::table(),
        stock::table(),
        register::table(),
        orders::table(),
        ordering::table(),
        partners::table(),
        cds_hooks::table(),
        operator::table(),
    ]
    .concat()
}

/// Failures of these routes.
pub(crate) fn failed(failure: Failure) -> Response {
    failure.into_problem()
}

/// The problem document of a failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What went wrong and what to do.
    detail: String,
    /// The request's id, to quote to support.
    instance: String,
}

/// The failures that every route can answer: status, name in the document, meaning.
const FAILURES: [(&str, &str, &str); 8] = [
    (
        "400",
        "Invalid",
        "malformed; the detail says what to change",
    ),
    (
        "401",
        "Unauthenticated",
        "no bearer token, or one that is not accepted",
    ),
    ("403", "Forbidden", "the caller's roles do not allow it"),
    ("404", "NotFound", "no such thing in this tenant"),
    (
        "409",
        "Conflict",
        "a duplicate, or a state that does not allow the step",
    ),
    (
        "413",
        "TooLarge",
        "more than is taken or answered at once: send it in parts",
    ),
    ("422", "Unprocessable", "well-formed, but against a rule"),
    (
        "503",
        "Unavailable",
        "the store, or whoever is asked elsewhere, does not answer: try again",
    ),
];

/// The failures that every route can answer, as references to [`problem_responses`].
pub(crate) struct ProblemResponses;

impl IntoResponses for ProblemResponses {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        FAILURES
            .map(|(status, name, _)| {
                let reference = Ref::from_response_name(name);
                (status.to_owned(), RefOr::Ref(reference))
            })
            .into()
    }
}

/// What [`ProblemResponses`] refers to.
fn problem_responses() -> impl Iterator<Item = (String, RefOr<ResponseDoc>)> {
    FAILURES.into_iter().map(|(_, name, text)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description(text)
            .content("application/problem+json", content.build());
        (name.to_owned(), RefOr::T(response.build()))
    })
}

/// The body of a request as a type of this API.
async fn input<T: DeserializeOwned>(arrival: &mut Arrival) -> Result<T, EdgeError> {
    check_content_json(arrival.headers())?;
    let bytes = arrival.body(BODY_LIMIT).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| malformed(format!("the body cannot be read: {error}")))
}

/// A malformed request.
fn malformed(text: impl Into<String>) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.into())
}

/// An id in an address.
fn id<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, EdgeError> {
    text.parse()
        .map_err(|error: IdError| malformed(error.to_string()))
}

/// A UUID in an address.
fn uuid(text: &str) -> Result<uuid::Uuid, EdgeError> {
    uuid::Uuid::try_parse(text)
        .map_err(|_| malformed("the id in the address is no UUID: correct it"))
}

/// Checks that the client takes JSON.
fn takes_json(arrival: &Arrival) -> Result<(), EdgeError> {
    Ok(check_accept_json(arrival.headers())?)
}

/// A body with status 200.
pub(crate) fn json_answer<T: Serialize>(body: &T) -> Result<Response, EdgeError> {
    answer(StatusCode::OK, body)
}

/// A body for something that was made.
fn created<T: Serialize>(body: &T) -> Result<Response, EdgeError> {
    answer(StatusCode::CREATED, body)
}

fn answer<T: Serialize>(status: StatusCode, body: &T) -> Result<Response, EdgeError> {
    let text = serde_json::to_string(body).map_err(|error| {
        let detail = format!("an answer cannot be written: {error}");
        EdgeError::App(app::AppError::Fault(detail))
    })?;
    Ok(json_text(status, text))
}

/// JSON text as an answer.
pub(crate) fn json_text(status: StatusCode, text: impl Into<axum::body::Body>) -> Response {
    let mut response = (status, text.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Done, with nothing to say.
fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The schema of a string that is one of some words.
/// The same, or null.
fn one_of_or_null<'w>(words: impl IntoIterator<Item = &'w str>) -> Schema {
    let words = words.into_iter().map(serde_json::Value::from);
    let words: Vec<serde_json::Value> = words.chain([serde_json::Value::Null]).collect();
    let object = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(words));
    Schema::Object(object.build())
}

/// Some words alone.
fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> Schema {
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let object = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words));
    Schema::Object(object.build())
}
