//! The token endpoint: OAuth 2.0 client credentials with a signed assertion (RFC 6749 section 4.4,
//! RFC 7523, as SMART Backend Services uses them). Answers in OAuth's own error form.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kernel::Category;
use serde_json::json;

use crate::api::json_answer;
use crate::edge::{Arrival, EdgeError};
use crate::fhir_routes::query;
use crate::outcome::Failure;
use crate::routing::Route;

const FORM_LIMIT: usize = 64 << 10;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The token endpoint.
#[must_use]
pub fn table() -> Vec<Route> {
    vec![Route::post("/t/{tenant}/token", "token", failed, token)]
}

fn failed(failure: Failure) -> Response {
    let error = match failure.category {
        Category::Unauthenticated | Category::NotFound | Category::Forbidden => "invalid_client",
        Category::Unprocessable => "invalid_scope",
        Category::Throttled | Category::Unavailable => "temporarily_unavailable",
        Category::Fault | Category::Altered => "server_error",
        _ => "invalid_request",
    };
    let status = match failure.category {
        // A tenant that does not exist answers as a client that does not.
        Category::NotFound | Category::Forbidden => StatusCode::UNAUTHORIZED,
        Category::Unprocessable => StatusCode::BAD_REQUEST,
        _ => failure.status(),
    };
    let text = if error == "invalid_client" {
        "the client assertion is not accepted".to_owned()
    } else {
        failure.text
    };
    answer(
        status,
        &json!({ "error": error, "error_description": text }),
    )
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A token that was issued (RFC 6749 section 5.1).
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Issued {
    /// To be sent as `Authorization: Bearer`.
    access_token: String,
    /// `bearer`.
    token_type: &'static str,
    /// Its life in seconds.
    expires_in: i64,
    /// What it may do.
    scope: String,
}

#[utoipa::path(
    post, path = "/t/{tenant}/token", tag = "tokens",
    params(("tenant" = String, Path)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "grant_type=client_credentials, client_assertion_type, client_assertion, scope"),
    responses(
        (status = 200, description = "an access token", body = Issued),
        (status = 400, description = "malformed, in OAuth's own form"),
        (status = 401, description = "the client is not accepted, in OAuth's own form"),
    ),
)]
pub(crate) async fn token(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let bytes = arrival.body(FORM_LIMIT).await?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let params = query(Some(text.trim_end()))?;
    let (assertion, scope) = grant(&params)?;
    let context = arrival.context(&tenant);
    let issued = app::sign_in::client_credentials::client_credentials(
        arrival.app(),
        &tenant,
        assertion,
        scope,
        context,
    )
    .await?;
    json_answer(&Issued {
        access_token: (*issued.access_token).clone(),
        token_type: "bearer",
        expires_in: issued.expires_in,
        scope: issued.scope,
    })
}

/// The assertion and the scope of a request.
fn grant(params: &[(String, String)]) -> Result<(&str, Option<&str>), EdgeError> {
    let named = |name: &str| {
        let found = params.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let refuse = |text: &str| Err(EdgeError::Address(Category::Invalid, text.to_owned()));
    if named("grant_type") != Some("client_credentials") {
        return refuse("grant_type is not client_credentials: use that");
    }
    if named("client_assertion_type") != Some(ASSERTION_TYPE) {
        return refuse("client_assertion_type is not the JWT bearer type: see RFC 7523");
    }
    match named("client_assertion") {
        Some(assertion) => Ok((assertion, named("scope"))),
        None => refuse("client_assertion is missing: send the signed assertion"),
    }
}
