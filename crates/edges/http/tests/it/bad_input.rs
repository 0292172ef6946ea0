//! Bad input in every shape: always a typed answer with the right status, never a fault, nothing stored,
//! and memory bounded by the limits.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use serde_json::json;

use crate::conversation::next_link;
use crate::server::{Answer, Call, LAKESIDE, ROSEWOOD, TestServer, Transcript};

const BASE: &str = "/t/rosewood/fhir";

fn is_typed(answer: &Answer) -> bool {
    let json: Result<serde_json::Value, _> = serde_json::from_slice(&answer.body);
    let typed = match answer.header("content-type") {
        "application/fhir+json; charset=utf-8" => json.is_ok_and(|json| {
            json["resourceType"] == "OperationOutcome" && json["issue"][0]["code"].is_string()
        }),
        "application/problem+json" => {
            json.is_ok_and(|json| json["status"] == answer.status.as_u16())
        }
        "application/json" => json.is_ok_and(|json| json["error"].is_string()),
        _ => false,
    };
    typed && answer.status.is_client_error() && !answer.header("x-request-id").is_empty()
}

fn deep(levels: usize) -> Vec<u8> {
    let mut body = br#"{"resourceType":"Patient","contact":"#.to_vec();
    body.extend(std::iter::repeat_n(b'[', levels));
    body.extend(std::iter::repeat_n(b']', levels));
    body.push(b'}');
    body
}

#[tokio::test]
async fn bodies_that_are_no_resource_are_refused() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("white space", b" \n\t ".to_vec()),
        ("half an object", br#"{"resourceType":"Patient""#.to_vec()),
        ("text after the end", br#"{"resourceType":"Patient"} x"#.to_vec()),
        ("a trailing comma", br#"{"resourceType":"Patient",}"#.to_vec()),
        ("a comment", br#"{"resourceType":"Patient"/* */}"#.to_vec()),
        ("single quotes", b"{'resourceType':'Patient'}".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a number", b"7".to_vec()),
        ("null", b"null".to_vec()),
        ("NaN", br#"{"resourceType":"Patient","multipleBirthInteger":NaN}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"resourceType\":\"Patient\"}".to_vec()),
        ("invalid UTF-8", b"{\"resourceType\":\"Patient\",\"language\":\"\xff\"}".to_vec()),
        ("an overlong UTF-8 sequence", b"{\"resourceType\":\"Patient\",\"language\":\"\xc0\xaf\"}".to_vec()),
        ("a lone surrogate", br#"{"resourceType":"Patient","language":"\ud800"}"#.to_vec()),
        ("a control character", b"{\"resourceType\":\"Patient\",\"language\":\"a\x00b\"}".to_vec()),
        ("a key twice", br#"{"resourceType":"Patient","active":true,"active":false}"#.to_vec()),
        ("a key twice, once escaped", br#"{"resourceType":"Patient","active":true,"\u0061ctive":false}"#.to_vec()),
        ("a key twice, deep", br#"{"resourceType":"Patient","name":[{"family":"a","family":"b"}]}"#.to_vec()),
        ("depth 10,000", deep(10_000)),
        ("depth 1,000,000", deep(1_000_000)),
        ("no type", br#"{"id":"a"}"#.to_vec()),
        ("a type that is no text", br#"{"resourceType":7}"#.to_vec()),
        ("another type than the address", br#"{"resourceType":"Observation"}"#.to_vec()),
        ("an unknown type", br#"{"resourceType":"Nonsense"}"#.to_vec()),
        ("a type in the wrong case", br#"{"resourceType":"patient"}"#.to_vec()),
        ("an unknown element", br#"{"resourceType":"Patient","nonsense":1}"#.to_vec()),
        ("a text where a truth is wanted", br#"{"resourceType":"Patient","active":"true"}"#.to_vec()),
        ("an object where an array is wanted", br#"{"resourceType":"Patient","name":{"family":"a"}}"#.to_vec()),
        ("a null member", br#"{"resourceType":"Patient","active":null}"#.to_vec()),
        ("an empty array", br#"{"resourceType":"Patient","name":[]}"#.to_vec()),
        ("an empty object", br#"{"resourceType":"Patient","name":[{}]}"#.to_vec()),
        ("an empty text", br#"{"resourceType":"Patient","gender":""}"#.to_vec()),
        ("30 February", br#"{"resourceType":"Patient","birthDate":"2026-02-30"}"#.to_vec()),
        ("month 13", br#"{"resourceType":"Patient","birthDate":"2026-13"}"#.to_vec()),
        ("year 0000", br#"{"resourceType":"Patient","birthDate":"0000"}"#.to_vec()),
        ("a time in a date", br#"{"resourceType":"Patient","birthDate":"2026-01-01T00:00:00Z"}"#.to_vec()),
        ("a time without a zone", br#"{"resourceType":"Patient","deceasedDateTime":"2026-01-01T00:00:00"}"#.to_vec()),
        ("hour 25", br#"{"resourceType":"Patient","deceasedDateTime":"2026-01-01T25:00:00Z"}"#.to_vec()),
        ("two choices", br#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2026"}"#.to_vec()),
        ("a code outside a required binding", br#"{"resourceType":"Patient","gender":"nonsense"}"#.to_vec()),
        ("a fraction where a whole number is wanted", br#"{"resourceType":"Patient","multipleBirthInteger":1.5}"#.to_vec()),
        ("a number with 400 digits", format!(r#"{{"resourceType":"Patient","multipleBirthInteger":{}}}"#, "9".repeat(400)).into_bytes()),
        ("a reference to a wrong type", br#"{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}"#.to_vec()),
        ("an id that is none", br#"{"resourceType":"Patient","id":"a b"}"#.to_vec()),
        ("a script in the narrative", br#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>alert(1)</script></div>"}}"#.to_vec()),
    ];
    let mut transcript = Transcript::default();
    for (heading, body) in table {
        let call = Call::post(format!("{BASE}/Patient"))
            .header("content-type", "application/fhir+json")
            .bytes(body);
        let answer = server.send(call.bearer(&token)).await;
        assert!(
            is_typed(&answer),
            "{heading}: {} {}",
            answer.status,
            answer.text()
        );
        transcript.line(heading, &answer);
    }
    let left = server
        .send(Call::get(format!("{BASE}/Patient?_summary=count")).bearer(&token))
        .await
        .expect(200);
    assert_eq!(left.json()["total"], 0, "nothing was stored");
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn addresses_and_headers_that_mean_nothing_are_refused() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let patient = json!({ "resourceType": "Patient", "id": "a" });
    server
        .send(
            Call::put(format!("{BASE}/Patient/a"))
                .bearer(&token)
                .json(&patient),
        )
        .await
        .expect(201);
    let long_id = "x".repeat(65);
    let table = vec![
        ("an unknown type", Call::get(format!("{BASE}/Nonsense/1"))),
        ("a type in the wrong case", Call::get(format!("{BASE}/patient/1"))),
        ("an abstract type", Call::get(format!("{BASE}/DomainResource/1"))),
        ("an id with a space", Call::get(format!("{BASE}/Patient/a%20b"))),
        ("an id with a slash", Call::get(format!("{BASE}/Patient/a%2Fb"))),
        ("an id with dots alone", Call::get(format!("{BASE}/Patient/..%2F..%2Fetc"))),
        ("an id too long", Call::get(format!("{BASE}/Patient/{long_id}"))),
        ("an id that is not UTF-8", Call::get(format!("{BASE}/Patient/%FF"))),
        ("a type that is not UTF-8", Call::get(format!("{BASE}/%C3%28"))),
        ("a version that is no number", Call::get(format!("{BASE}/Patient/a/_history/x"))),
        ("version 0", Call::get(format!("{BASE}/Patient/a/_history/0"))),
        ("version 4294967296", Call::get(format!("{BASE}/Patient/a/_history/4294967296"))),
        ("an operation that is not offered", Call::post(format!("{BASE}/Patient/a/$everything"))),
        ("an operation on the type", Call::get(format!("{BASE}/Patient/$export/x"))),
        ("a longer address", Call::get(format!("{BASE}/Patient/a/b/c/d/e"))),
        ("a trailing slash", Call::get(format!("{BASE}/Patient/"))),
        ("a patch", Call::new("PATCH", format!("{BASE}/Patient/a")).json(&json!([]))),
        ("a read of the base", Call::get(BASE)),
        ("a PUT on the base", Call::put(BASE).json(&patient)),
        ("a POST on an instance", Call::post(format!("{BASE}/Patient/a")).json(&patient)),
        ("a DELETE on the metadata", Call::delete(format!("{BASE}/metadata"))),
        ("TRACE", Call::new("TRACE", format!("{BASE}/Patient/a"))),
        ("a made-up method", Call::new("FROBNICATE", format!("{BASE}/Patient/a"))),
        ("an update under another id", Call::put(format!("{BASE}/Patient/b")).json(&patient)),
        ("an update without an id", Call::put(format!("{BASE}/Patient/b")).json(&json!({ "resourceType": "Patient" }))),
        ("If-Match that is no version", Call::put(format!("{BASE}/Patient/a")).header("if-match", "yesterday").json(&patient)),
        ("If-Match that is no text", Call::put(format!("{BASE}/Patient/a")).header("if-match", vec![0xff]).json(&patient)),
        ("If-None-Match on an update", Call::put(format!("{BASE}/Patient/a")).header("if-none-match", "*").json(&patient)),
        ("If-None-Exist that is no query", Call::post(format!("{BASE}/Patient")).header("if-none-exist", "%zz").json(&json!({ "resourceType": "Patient" }))),
        ("If-None-Exist that is no text", Call::post(format!("{BASE}/Patient")).header("if-none-exist", vec![0xff]).json(&json!({ "resourceType": "Patient" }))),
        ("Accept that is no text", Call::get(format!("{BASE}/Patient/a")).header("accept", vec![0xff])),
        ("Content-Type that is no text", Call::post(format!("{BASE}/Patient")).header("content-type", vec![0xff]).bytes("{}")),
        ("an unknown encoding", Call::post(format!("{BASE}/Patient")).header("content-encoding", "br").json(&patient)),
        ("gzip that is none", Call::post(format!("{BASE}/Patient")).header("content-encoding", "gzip").json(&patient)),
        ("a length that is too great", Call::post(format!("{BASE}/Patient")).header("content-length", "99999999999").json(&patient)),
        ("an idempotency key that is no text", Call::post(format!("{BASE}/Patient")).header("idempotency-key", vec![0xff]).json(&json!({ "resourceType": "Patient" }))),
        ("a search form that is JSON", Call::post(format!("{BASE}/Patient/_search")).json(&patient)),
        ("a search form that is not UTF-8", Call::post(format!("{BASE}/Patient/_search")).header("content-type", "application/x-www-form-urlencoded").bytes(vec![0xff])),
        ("a search form with a broken escape", Call::post(format!("{BASE}/Patient/_search")).form("family=%")),
        ("_since that is no instant", Call::get(format!("{BASE}/_history?_since=yesterday"))),
        ("_at that is no time", Call::get(format!("{BASE}/Patient/a/_history?_at=2026-02-30"))),
        ("a log that is none", Call::get("/t/rosewood/ledger/nonsense/checkpoint")),
        ("a tile that is none", Call::get("/t/rosewood/ledger/changes/tile/0/../../etc")),
        ("a tile beyond the end", Call::get("/t/rosewood/ledger/changes/tile/0/999")),
        ("a proof of nothing", Call::get("/t/rosewood/ledger/changes/proof")),
        ("a proof beyond the end", Call::get("/t/rosewood/ledger/changes/proof?index=18446744073709551615")),
        ("a proof of a negative entry", Call::get("/t/rosewood/ledger/changes/proof?index=-1")),
        ("consistency backwards", Call::get("/t/rosewood/ledger/changes/consistency?from=2&to=1")),
        ("consistency beyond the end", Call::get("/t/rosewood/ledger/changes/consistency?from=1&to=999999")),
        ("a ledger address that is none", Call::get("/t/rosewood/ledger/changes/nonsense")),
        ("an API address that is none", Call::get("/t/rosewood/api/v1/nonsense")),
        ("an API version that is none", Call::get("/t/rosewood/api/v2/me")),
        ("a token without a grant", Call::post("/t/rosewood/token").form("")),
        ("a token with a broken form", Call::post("/t/rosewood/token").form("grant_type=%")),
        ("a token for nonsense", Call::post("/t/rosewood/token").form("grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=a.b.c")),
    ];
    let mut transcript = Transcript::default();
    let mut wrong = Vec::new();
    for (heading, call) in table {
        let answer = server.send(call.bearer(&token)).await;
        if !is_typed(&answer) {
            wrong.push(format!(
                "{heading}: {} {:?} {}",
                answer.status,
                answer.headers,
                answer.text()
            ));
            continue;
        }
        transcript.line(heading, &answer);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn credentials_that_are_none_are_refused_alike() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let basic = format!("Basic {token}");
    let edited = format!("{}x", &token[..token.len() - 1]);
    let table: Vec<(&str, Option<Vec<u8>>)> = vec![
        ("none", None),
        ("empty", Some(Vec::new())),
        ("no scheme", Some(token.clone().into_bytes())),
        ("another scheme", Some(basic.into_bytes())),
        (
            "an edited token",
            Some(format!("Bearer {edited}").into_bytes()),
        ),
        ("no token", Some(b"Bearer ".to_vec())),
        (
            "a long token",
            Some(format!("Bearer {}", "x".repeat(10_000)).into_bytes()),
        ),
        (
            "bytes",
            Some(vec![b'B', b'e', b'a', b'r', b'e', b'r', b' ', 0xff]),
        ),
    ];
    let mut texts = std::collections::BTreeSet::new();
    for (heading, credential) in table {
        let mut call = Call::get(format!("{BASE}/Patient/a"));
        if let Some(credential) = credential {
            call = call.header("authorization", credential);
        }
        let answer = server.send(call).await;
        assert_eq!(answer.status, 401, "{heading}");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{heading}"
        );
        texts.insert(answer.text());
    }
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let lower =
        Call::get(format!("{BASE}/Patient/a")).header("authorization", format!("bearer {token}"));
    server.send(lower).await.expect(404);
}

#[tokio::test]
async fn cursors_of_others_and_edited_ones_are_refused() {
    let server = TestServer::start().await;
    let (ours, theirs) = (
        server.program(ROSEWOOD).await,
        server.program(LAKESIDE).await,
    );
    for (tenant, token) in [(ROSEWOOD, &ours), (LAKESIDE, &theirs)] {
        for number in 0..3 {
            let patient = json!({ "resourceType": "Patient", "id": format!("p{number}") });
            server
                .send(
                    Call::put(format!("/t/{tenant}/fhir/Patient/p{number}"))
                        .bearer(token)
                        .json(&patient),
                )
                .await
                .expect(201);
        }
    }
    for list in [
        "Patient?_count=1",
        "Patient/_history?_count=1",
        "_history?_count=1",
    ] {
        let page = server
            .send(Call::get(format!("{BASE}/{list}")).bearer(&ours))
            .await
            .expect(200);
        let next = next_link(&page.json()).unwrap();
        server
            .send(Call::get(&next).bearer(&ours))
            .await
            .expect(200);
        let elsewhere = next.replace("/t/rosewood/", "/t/lakeside/");
        server
            .send(Call::get(elsewhere).bearer(&theirs))
            .await
            .expect(400);
        server
            .send(Call::get(next.replace("_count=1", "_count=2")).bearer(&ours))
            .await
            .expect(400);
        let (head, cursor) = next.split_once("_cursor=").unwrap();
        let edited: String = cursor.chars().rev().collect();
        let edited = server
            .send(Call::get(format!("{head}_cursor={edited}")).bearer(&ours))
            .await
            .expect(400);
        assert!(is_typed(&edited));
        server
            .send(Call::get(format!("{head}_cursor={cursor}&_cursor=x")).bearer(&ours))
            .await
            .expect(400);
    }
}

/// A body that makes its bytes when they are asked for, and counts them.
struct Endless {
    chunk: Bytes,
    left: usize,
    given: Arc<AtomicUsize>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.given.fetch_add(self.chunk.len(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}

fn endless(chunk: Vec<u8>, total: usize) -> (Body, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let left = total / chunk.len();
    let body = Endless {
        chunk: chunk.into(),
        left,
        given: given.clone(),
    };
    (Body::new(body), given)
}

#[tokio::test]
async fn a_gigabyte_is_refused_at_the_limit() {
    const MIB: usize = 1 << 20;
    let server = TestServer::start_with(|settings| {
        settings.limits.resource_bytes = 2 * MIB;
        settings.limits.bundle_bytes = 4 * MIB;
    })
    .await;
    let token = server.program(ROSEWOOD).await;
    let administrator = server.person(ROSEWOOD, identity::Role::Administrator).await;
    let table = [
        (format!("{BASE}/Patient"), "application/json", 2 * MIB),
        (BASE.to_owned(), "application/json", 4 * MIB),
        (
            format!("{BASE}/Patient/_search"),
            "application/x-www-form-urlencoded",
            MIB,
        ),
        (
            "/t/rosewood/token".to_owned(),
            "application/x-www-form-urlencoded",
            MIB,
        ),
        (
            "/t/rosewood/api/v1/users".to_owned(),
            "application/json",
            MIB,
        ),
    ];
    for (path, content, most) in table {
        let token = if path.contains("/api/") {
            &administrator
        } else {
            &token
        };
        let (body, given) = endless(vec![b' '; 64 << 10], 1 << 30);
        let call = Call::post(&path).header("content-type", content).body(body);
        let answer = server.send(call.bearer(token)).await.expect(413);
        assert!(is_typed(&answer), "{path}: {}", answer.text());
        let given = given.load(Ordering::Relaxed);
        assert!(given <= most + (128 << 10), "{path} took {given} bytes");
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_refused_without_unpacking_it() {
    let server = TestServer::start_with(|settings| settings.limits.resource_bytes = 1 << 20).await;
    let token = server.program(ROSEWOOD).await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..1024 {
        encoder.write_all(&[b' '; 256 << 10]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20, "256 MiB packed into {}", bomb.len());
    for content in ["application/json", "application/fhir+json"] {
        let call = Call::post(format!("{BASE}/Patient"))
            .header("content-encoding", "gzip")
            .header("content-type", content);
        let answer = server
            .send(call.bearer(&token).bytes(bomb.clone()))
            .await
            .expect(413);
        assert!(is_typed(&answer));
    }
    let call = Call::post(format!("{BASE}/Patient/_search"))
        .header("content-encoding", "gzip")
        .header("content-type", "application/x-www-form-urlencoded");
    server
        .send(call.bearer(&token).bytes(bomb))
        .await
        .expect(413);
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let chunks: Vec<Result<Bytes, std::io::Error>> = vec![
        Ok(Bytes::from_static(br#"{"resourceType":"Patient"}"#)),
        Err(std::io::Error::other("connection reset")),
    ];
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let call = Call::post(format!("{BASE}/Patient"))
        .header("content-type", "application/json")
        .body(body);
    let answer = server.send(call.bearer(&token)).await.expect(400);
    assert!(is_typed(&answer));
    let left = server
        .send(Call::get(format!("{BASE}/Patient?_summary=count")).bearer(&token))
        .await
        .expect(200);
    assert_eq!(left.json()["total"], 0);
}

#[tokio::test]
async fn bundles_over_the_limits_are_refused() {
    let server = TestServer::start_with(|settings| settings.limits.bundle_entries = 3).await;
    let token = server.program(ROSEWOOD).await;
    let entry = json!({ "request": { "method": "GET", "url": "Patient/a" } });
    let bundle = |count: usize| json!({ "resourceType": "Bundle", "type": "batch", "entry": vec![entry.clone(); count] });
    server
        .send(Call::post(BASE).bearer(&token).json(&bundle(3)))
        .await
        .expect(200);
    let refused = server
        .send(Call::post(BASE).bearer(&token).json(&bundle(4)))
        .await
        .expect(413);
    assert!(is_typed(&refused));
}
