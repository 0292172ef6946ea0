//! The token endpoint: OAuth 2.0 client credentials with a signed assertion (RFC 6749 section 4.4,
//! RFC 7523, as SMART Backend Services uses them). Answers in OAuth's own error form.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use kernel::Category;
use serde_json::json;

use crate::body;
use crate::edge::{Edge, EdgeError};
use crate::fhir_routes::{Peer, query};
use crate::outcome::Failure;

const FORM_LIMIT: usize = 64 << 10;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// `POST /t/{tenant}/token`.
pub fn routes() -> Router<Edge> {
    Router::new().route("/t/{tenant}/token", post(token))
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

async fn token(
    State(edge): State<Edge>,
    Path(tenant): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    form: Body,
) -> Response {
    let inner = edge.clone();
    edge.run(
        "token",
        &headers,
        peer.as_deref(),
        failed,
        |arrival| async move {
            let bytes = body::read(arrival.headers, form, FORM_LIMIT).await?;
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            let params = query(Some(text.trim_end()))?;
            let named = |name: &str| {
                params
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.as_str())
            };
            let refuse = |text: &str| Err(EdgeError::Address(Category::Invalid, text.to_owned()));
            if named("grant_type") != Some("client_credentials") {
                return refuse("grant_type is not client_credentials: use that");
            }
            if named("client_assertion_type") != Some(ASSERTION_TYPE) {
                return refuse("client_assertion_type is not the JWT bearer type: see RFC 7523");
            }
            let Some(assertion) = named("client_assertion") else {
                return refuse("client_assertion is missing: send the signed assertion");
            };
            let context = inner.context(&arrival, &tenant);
            let issued = app::sign_in::client_credentials::client_credentials(
                inner.app(),
                &tenant,
                assertion,
                named("scope"),
                context,
            )
            .await?;
            Ok(answer(
                StatusCode::OK,
                &json!({
                    "access_token": *issued.access_token,
                    "token_type": "bearer",
                    "expires_in": issued.expires_in,
                    "scope": issued.scope,
                }),
            ))
        },
    )
    .await
}
