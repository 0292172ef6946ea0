//! The ceilings that ratios are taken against, measured in the same run: a bare hyper server that
//! answers from memory, and raw SQLite group-committing the same bytes and rows without FHIR, ledger or
//! HTTP. Must not share code with what they are a ceiling for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kernel::Clock;
use tokio::net::TcpListener;

/// Starts a bare hyper server answering every request with `body`; it ends with the runtime.
pub async fn bare_hyper(body: Bytes) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let answer = service_fn(move |_: Request<Incoming>| {
                    let response = Response::new(Full::new(body.clone()));
                    async move { Ok::<_, Infallible>(response) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    });
    Ok(address)
}

/// Raw SQLite, WAL, `synchronous=FULL`: one body row, one head row and `rows` narrow index rows per
/// resource, `batch` resources per transaction, for `duration`. Answers resources per second.
pub fn raw_sqlite(
    folder: &Path,
    body_bytes: usize,
    rows: usize,
    batch: usize,
    duration: Duration,
    clock: &Arc<dyn Clock>,
) -> rusqlite::Result<f64> {
    let mut connection = rusqlite::Connection::open(folder.join(format!("ceiling-{batch}.db")))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.execute_batch(
        "CREATE TABLE head(rid INTEGER PRIMARY KEY, rh INTEGER, ty INTEGER, fid TEXT, ix BLOB);
         CREATE UNIQUE INDEX head_rh ON head(rh);
         CREATE TABLE ver(vid INTEGER PRIMARY KEY, rid INTEGER, ver INTEGER, body BLOB);
         CREATE UNIQUE INDEX ver_rid ON ver(rid, ver);
         CREATE TABLE ix(p INTEGER, v INTEGER, rid INTEGER, PRIMARY KEY(p, v, rid)) WITHOUT ROWID;",
    )?;
    let body = vec![7u8; body_bytes];
    let begun = clock.monotonic_ns();
    let limit = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut rid = 0i64;
    while clock.monotonic_ns().saturating_sub(begun) < limit {
        let transaction = connection.transaction()?;
        {
            let mut head =
                transaction.prepare_cached("INSERT INTO head VALUES(?1, ?2, 1, ?3, ?4)")?;
            let mut version =
                transaction.prepare_cached("INSERT INTO ver VALUES(?1, ?1, 1, ?2)")?;
            let mut index =
                transaction.prepare_cached("INSERT OR IGNORE INTO ix VALUES(?1, ?2, ?3)")?;
            for _ in 0..batch {
                rid += 1;
                let spread = rid.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64);
                head.execute((
                    rid,
                    spread,
                    "018f2c3e-7b1a-7c3d-9e4f-0123456789ab",
                    body.get(..body.len().min(200)).unwrap_or(&body),
                ))?;
                version.execute((rid, &body))?;
                for row in 0..rows as i64 {
                    // Half of the rows repeat few values (codes), half spread (references, identifiers).
                    let value = if row % 2 == 0 {
                        row * 31
                    } else {
                        spread.wrapping_add(row)
                    };
                    index.execute((row, value, rid))?;
                }
            }
        }
        transaction.commit()?;
    }
    let seconds = clock.monotonic_ns().saturating_sub(begun) as f64 / 1e9;
    Ok(rid as f64 / seconds)
}
