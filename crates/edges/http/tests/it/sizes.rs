//! Bodies beyond the limits, packed, endless or broken off: refused with memory bounded by the limits.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use serde_json::json;

use crate::bad_input::is_typed;
use crate::server::{Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

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
    let blanks = vec![b' '; 256 << 10];
    for _ in 0..1024 {
        encoder.write_all(&blanks).unwrap();
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
