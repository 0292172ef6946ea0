//! Inputs of an import that lie on other servers: fetched piece by piece, from what the egress allow list
//! opens for imports, as ranges of bytes, so that a job that was killed goes on where it was and holds one
//! piece in memory. Must not follow redirects, and names hosts, never paths or queries, which may hold
//! secrets.

use bytes::Bytes;
use connect::{Answer, ConnectError, Request};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::bulk::input::{Block, LINE};
use crate::error::AppError;

/// What is known of a file after its first piece: it must stay so to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its length in bytes.
    pub length: u64,
    /// `ETag`, or when it was last changed, as its server said.
    pub tag: Option<String>,
}

/// Which file, and how far it was read.
pub(super) struct Place<'a> {
    /// The input's number, from 0.
    pub number: usize,
    /// The whole address.
    pub url: &'a str,
    /// The next byte.
    pub at: u64,
    /// What was known when it was read that far.
    pub known: Option<&'a Known>,
    /// When its server last gave something, or the job was accepted.
    pub since: Timestamp,
}

/// The most of a file that is taken whole from a server that does not answer ranges, in bytes.
const WHOLE: usize = 16 << 20;
/// How long a server that does not answer is waited for, in seconds.
const WAIT_S: i64 = 24 * 3600;
/// How long one block may take, in seconds: a server that trickles gives its place to other jobs.
const BLOCK_S: i64 = 60;

/// Whether an address may be fetched from at all; said when the import is asked for.
pub(super) fn check(app: &App, url: &str) -> Result<(), AppError> {
    if url.len() > 4_000 || url.contains(char::is_whitespace) {
        return Err(AppError::Invalid(
            "an input's url is no address: give one such as https://files.example.org/a.ndjson"
                .to_owned(),
        ));
    }
    app.outbound()
        .permits_import(url)
        .map_err(|error| AppError::Unprocessable(format!("an input cannot be fetched: {error}")))
}

/// Fetches whole lines.
pub(super) async fn block(
    app: &App,
    place: &Place<'_>,
) -> Result<(Block, Option<Known>), AppError> {
    let about = app.settings().bulk.chunk_bytes.clamp(1, WHOLE);
    let mut known = place.known.cloned();
    let mut text: Vec<u8> = Vec::new();
    let begun = app.now();
    loop {
        if app.now().seconds_since(begun) > BLOCK_S {
            return Err(later(app, place, "its server gives too little at a time"));
        }
        let from = place.at + text.len() as u64;
        if known.as_ref().is_some_and(|known| from >= known.length) {
            return Ok((whole(text), None));
        }
        let answer = fetch(app, place, (from, about)).await?;
        let found = match piece(&answer, from, about) {
            Ok(found) => found,
            Err(why) => return Err(refused(place.number, why)),
        };
        let Some((now, bytes)) = found else {
            return match from {
                0 => Ok((whole(answer.body.to_vec()), None)),
                _ => Err(refused(place.number, "its server answers ranges no more")),
            };
        };
        if known.as_ref().is_some_and(|known| *known != now) {
            return Err(refused(
                place.number,
                "it changed while it was imported: begin again",
            ));
        }
        text.extend_from_slice(&bytes);
        let end = from + bytes.len() as u64 >= now.length;
        known = Some(now);
        if end {
            return Ok((whole(text), None));
        }
        if let Some(last) = text.iter().rposition(|byte| *byte == b'\n') {
            text.truncate(last + 1);
            let next = Some(place.at + text.len() as u64);
            let text = text.into();
            return Ok((Block { text, next }, known));
        }
        if text.len() > LINE {
            return Err(AppError::TooLarge(format!(
                "input {} has a line of more than {LINE} bytes: no resource is that large",
                place.number + 1
            )));
        }
    }
}

fn whole(text: Vec<u8>) -> Block {
    Block {
        text: text.into(),
        next: None,
    }
}

fn refused(number: usize, why: impl core::fmt::Display) -> AppError {
    AppError::Unprocessable(format!("input {}: {why}", number + 1))
}

async fn fetch(
    app: &App,
    place: &Place<'_>,
    (from, about): (u64, usize),
) -> Result<Answer, AppError> {
    let until = from + about as u64 - 1;
    let range = HeaderValue::try_from(format!("bytes={from}-{until}"))
        .map_err(|error| AppError::Fault(error.to_string()))?;
    let plain = HeaderValue::from_static("identity");
    let lines = HeaderValue::from_static("application/fhir+ndjson, */*;q=0.1");
    let request = Request {
        method: Method::GET,
        url: place.url.to_owned(),
        headers: vec![
            (header::RANGE, range),
            (header::ACCEPT_ENCODING, plain),
            (header::ACCEPT, lines),
        ],
        body: Bytes::new(),
        deadline: None,
        answer_bytes: Some(about.max(WHOLE)),
    };
    // The list may have changed since the import was asked for.
    let outcome = match app.outbound().permits_import(place.url) {
        Ok(()) => app.outbound().call(request).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(answer) if may_pass(answer.status) => {
            let why = format!("its server answered {}", answer.status);
            Err(later(app, place, &why))
        }
        Ok(answer) => Ok(answer),
        Err(ConnectError::AnswerTooLarge { limit, .. }) => Err(refused(
            place.number,
            format!(
                "its server answers no ranges, and more than {limit} bytes cannot be taken at once: use a server that does"
            ),
        )),
        Err(error) if error.is_permanent() => Err(refused(place.number, error)),
        Err(error) => Err(later(app, place, &error.to_string())),
    }
}

/// What may pass is tried again, for a day.
fn later(app: &App, place: &Place<'_>, why: &str) -> AppError {
    if app.now().seconds_since(place.since) > WAIT_S {
        refused(
            place.number,
            format!("{why}; it was waited for long enough"),
        )
    } else {
        AppError::Throttled(format!("input {}: {why}", place.number + 1))
    }
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// What came: a piece, and what it says of the file; `None` where the whole file came instead.
fn piece(answer: &Answer, from: u64, about: usize) -> Result<Option<(Known, Bytes)>, String> {
    let text = |name: header::HeaderName| {
        let value = answer.headers.get(name)?;
        value.to_str().ok().map(str::trim)
    };
    if text(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err("its server compresses although it was asked not to".to_owned());
    }
    match answer.status {
        StatusCode::OK => return Ok(None),
        StatusCode::PARTIAL_CONTENT => {}
        // An empty file has no ranges.
        StatusCode::RANGE_NOT_SATISFIABLE
            if from == 0 && text(header::CONTENT_RANGE) == Some("bytes */0") =>
        {
            let tag = tag(&answer.headers);
            return Ok(Some((Known { length: 0, tag }, Bytes::new())));
        }
        status if status.is_redirection() => {
            return Err(format!(
                "its server answered {status}, and redirects are not followed: give the address itself"
            ));
        }
        status => return Err(format!("its server answered {status}")),
    }
    let wrong = || "its server answered another range than was asked for".to_owned();
    let range = text(header::CONTENT_RANGE).ok_or_else(wrong)?;
    let (places, length) = range
        .strip_prefix("bytes ")
        .and_then(|range| range.split_once('/'))
        .ok_or_else(wrong)?;
    let length: u64 = length
        .parse()
        .map_err(|_| "its server does not say how long it is".to_owned())?;
    let first = places
        .split_once('-')
        .and_then(|(first, _)| first.parse().ok());
    let fits = first == Some(from)
        && !answer.body.is_empty()
        && answer.body.len() <= about
        && from + answer.body.len() as u64 <= length;
    if !fits {
        return Err(wrong());
    }
    let tag = tag(&answer.headers);
    Ok(Some((Known { length, tag }, answer.body.clone())))
}

fn tag(headers: &HeaderMap) -> Option<String> {
    let tag = headers
        .get(header::ETAG)
        .or(headers.get(header::LAST_MODIFIED));
    tag.and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(header::HeaderName, &'static str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: Bytes::from(body.to_owned()),
        }
    }

    #[test]
    fn a_piece_is_what_was_asked_for_or_refused() {
        let range = header::CONTENT_RANGE;
        let good = answer(
            206,
            &[(range.clone(), "bytes 4-6/9"), (header::ETAG, "\"a\"")],
            "abc",
        );
        let (known, bytes) = piece(&good, 4, 3).unwrap().unwrap();
        assert_eq!(
            (known.length, known.tag.as_deref(), bytes.len()),
            (9, Some("\"a\""), 3)
        );
        assert_eq!(piece(&answer(200, &[], "x"), 0, 3), Ok(None));
        let empty = answer(416, &[(range.clone(), "bytes */0")], "");
        assert_eq!(piece(&empty, 0, 3).unwrap().unwrap().0.length, 0);
        for (bad, says) in [
            (
                answer(206, &[(range.clone(), "bytes 0-2/9")], "abc"),
                "another range",
            ),
            (
                answer(206, &[(range.clone(), "bytes 4-9/9")], "abcde"),
                "another range",
            ),
            (
                answer(206, &[(range.clone(), "bytes 4-6/6")], "abc"),
                "another range",
            ),
            (
                answer(206, &[(range.clone(), "bytes 4-6/9")], ""),
                "another range",
            ),
            (
                answer(206, &[(range.clone(), "bytes 4-6/*")], "abc"),
                "how long",
            ),
            (answer(206, &[], "abc"), "another range"),
            (answer(416, &[(range.clone(), "bytes */3")], ""), "416"),
            (answer(302, &[], ""), "redirects"),
            (answer(404, &[], ""), "404"),
            (
                answer(200, &[(header::CONTENT_ENCODING, "gzip")], ""),
                "compresses",
            ),
        ] {
            let why = piece(&bad, 4, 3).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }
}
