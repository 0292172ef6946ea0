//! Answers: pages with their headers, redirects, and errors as pages. Must not show internals: the texts
//! are the use-cases' public ones.

use app::AppError;
use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use kernel::{Categorised as _, Category};

use super::plain;
use crate::pages::Shell;
use crate::pages::message::ErrorPage;

/// Scripts, styles and pictures of our own origin alone; nothing inline; nobody frames us.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Gives every answer the headers of a page that holds patient data, unless it set its own.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [
        (
            "permissions-policy",
            "camera=(self), microphone=(), geolocation=(), payment=()",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A page.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (
            status,
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            html,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page could not be made",
            )
                .into_response()
        }
    }
}

/// Goes elsewhere with a GET.
pub fn redirect(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, place);
    response
}

/// Adds a cookie.
pub fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The status an error is shown with.
pub fn status_of(error: &AppError) -> StatusCode {
    StatusCode::from_u16(error.category().mapping().http_status)
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A sentence of a use-case as it stands on a page: capital letter and full stop.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    });
    if !shown.ends_with(['.', '?', '!']) {
        shown.push('.');
    }
    shown
}

/// An error as a page. What may be said stands in the error; a missing thing is never named.
pub fn error_page(
    mut shell: Shell,
    error: &AppError,
    id: String,
    ways: Vec<(String, String)>,
) -> Response {
    let category = error.category();
    if matches!(
        category,
        Category::Fault | Category::Altered | Category::Unavailable
    ) {
        tracing::error!(request_id = %id, %error, "a page failed");
    }
    let status = status_of(error);
    let (title, what, remedy) = ErrorPage::words(status.as_u16());
    title.clone_into(&mut shell.title);
    let details = match category {
        Category::NotFound | Category::Fault | Category::Altered | Category::Unavailable => {
            Vec::new()
        }
        // What was wrong with a search is said for people; programs read the issues.
        _ if matches!(error, AppError::Query(_)) => vec![plain::words(error)],
        _ => error
            .issues()
            .iter()
            .take(20)
            .map(|issue| sentence(&issue.diagnostics))
            .collect(),
    };
    let shown = ErrorPage {
        shell,
        status: status.as_u16(),
        what: what.to_owned(),
        remedy: remedy.to_owned(),
        details,
        id,
        ways,
    };
    page(status, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        assert_eq!(
            sentence("the form has expired: open it again"),
            "The form has expired: open it again."
        );
        assert_eq!(sentence(""), ".");
    }
}
