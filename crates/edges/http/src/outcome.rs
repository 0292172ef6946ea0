//! Errors as the wire shows them: an OperationOutcome for FHIR addresses, a problem document for the
//! product API. Must not show internal detail: faults get an id to quote, and the log has the rest.

use app::record::render;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fhir::validate::{Issue, Severity};
use kernel::{Category, RequestId};
use serde_json::json;

/// The media type of FHIR JSON.
pub const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";

/// The media type of FHIR XML.
pub const FHIR_XML: &str = "application/fhir+xml; charset=utf-8";

/// A failure, ready to be answered.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Row of the category table.
    pub category: Category,
    /// The sentence for the caller.
    pub text: String,
    /// Findings with locations, where there are any.
    pub issues: Vec<Issue>,
    /// The id to quote.
    pub request: RequestId,
    /// A status finer than the category's.
    pub status: Option<StatusCode>,
}

impl Failure {
    /// A failure with one sentence.
    #[must_use]
    pub fn new(category: Category, text: impl Into<String>, request: RequestId) -> Self {
        Self {
            category,
            text: text.into(),
            issues: Vec::new(),
            request,
            status: None,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| {
            StatusCode::from_u16(self.category.mapping().http_status)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// The OperationOutcome.
    #[must_use]
    pub fn operation_outcome(&self) -> Vec<u8> {
        if !self.issues.is_empty() {
            return render::outcome(&self.issues);
        }
        render::outcome(&[Issue {
            severity: Severity::Error,
            code: self.category.mapping().issue_type,
            expression: String::new(),
            diagnostics: self.sentence(),
        }])
    }

    fn sentence(&self) -> String {
        if matches!(self.category, Category::Fault | Category::Altered) {
            format!("{} (quote {})", self.text, self.request)
        } else {
            self.text.clone()
        }
    }

    /// As a FHIR answer.
    #[must_use]
    pub fn into_fhir(self) -> Response {
        self.answer(FHIR_JSON, self.operation_outcome())
    }

    /// As an answer of the product API (RFC 9457 problem document).
    #[must_use]
    pub fn into_problem(self) -> Response {
        let status = self.status();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.sentence(),
            "instance": self.request.to_string(),
        });
        self.answer("application/problem+json", body.to_string().into_bytes())
    }

    fn answer(&self, media_type: &'static str, body: Vec<u8>) -> Response {
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.category.is_transient() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.category == Category::Unauthenticated {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"theriac\""),
            );
        }
        response
    }
}
