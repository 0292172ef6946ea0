//! What a caller did not send beforehand, fetched from its record with the token it gave: through the way
//! out, so only where the operator's allow list has its address. Must not follow a link to another server,
//! and must not keep the token.

use std::time::Duration;

use connect::Request as Call;
use fhir::json::{Document, Value};
use http::{HeaderValue, Method, header};

use super::request::{MOST_BYTES, Request, limits};
use crate::App;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_millis(1_500);
/// Most pages of one list.
const PAGES: usize = 10;

/// Fetches an address below the caller's server: every page of it.
pub(super) async fn fetch(
    app: &App,
    request: &Request<'_>,
    path: &str,
) -> Result<Vec<Document>, String> {
    let (Some(server), Some(authorization)) = (&request.server, &request.authorization) else {
        return Err("it was not sent, and no access to the caller's record was given".to_owned());
    };
    let bearer = format!("Bearer {}", *authorization.token);
    let mut bearer =
        HeaderValue::from_str(&bearer).map_err(|_| "the token is not one".to_owned())?;
    bearer.set_sensitive(true);
    let mut url = format!("{server}/{path}");
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let call = Call {
            method: Method::GET,
            url: url.clone(),
            headers: vec![
                (header::AUTHORIZATION, bearer.clone()),
                (
                    header::ACCEPT,
                    HeaderValue::from_static("application/fhir+json"),
                ),
            ],
            body: bytes::Bytes::new(),
            deadline: Some(DEADLINE),
            answer_bytes: Some(MOST_BYTES),
        };
        let answer = app.outbound().call(call).await;
        let answer =
            answer.map_err(|error| format!("the caller's record was not reached: {error}"))?;
        if !answer.status.is_success() {
            return Err(format!(
                "the caller's record answered {}",
                answer.status.as_u16()
            ));
        }
        let document = Document::parse(answer.body.to_vec(), &limits())
            .map_err(|error| format!("the caller's record answered no FHIR: {error}"))?;
        let next = next(document.root());
        found.push(document);
        match next {
            None => return Ok(found),
            Some(next)
                if next.starts_with(&format!("{server}/"))
                    || next.starts_with(&format!("{server}?")) =>
            {
                url = next;
            }
            Some(_) => return Err("the list goes on at another server".to_owned()),
        }
    }
    Err(format!("the list has more than {PAGES} pages"))
}

/// Where a list goes on.
pub(super) fn next(bundle: Value<'_>) -> Option<String> {
    let links = bundle.get("link").into_iter().flat_map(Value::items);
    links
        .filter(|own| own.get_str("relation").as_deref() == Some("next"))
        .find_map(|own| own.get_str("url").map(std::borrow::Cow::into_owned))
}
