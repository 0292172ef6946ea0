//! A closed-loop HTTP/1.1 load generator: each connection sends a prepared request, reads the whole
//! answer and sends the next. Light enough that the server, not the generator, is measured; both share
//! the machine, as the reports say. Must not be pointed at another machine: it connects to loopback only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kernel::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Requests answered with a 2xx status.
    pub succeeded: u64,
    /// Requests answered otherwise.
    pub refused: u64,
    /// Seconds measured.
    pub seconds: f64,
    /// Latencies in microseconds, sorted.
    pub latencies_us: Vec<u32>,
    /// The first answer that was not 2xx, cut short.
    pub first_refusal: Option<String>,
}

impl Measured {
    /// Successful requests per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        if self.seconds > 0.0 {
            self.succeeded as f64 / self.seconds
        } else {
            0.0
        }
    }
    /// A percentile of the latencies, in milliseconds; `share` in 0..=1.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let last = self.latencies_us.len().saturating_sub(1);
        let place = (share * last as f64).round() as usize;
        self.latencies_us
            .get(place)
            .map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

/// Why the generator stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The address is not on this machine.
    #[error("{0} is not a loopback address: the load generator measures this machine only")]
    NotLoopback(SocketAddr),
    /// The connection failed.
    #[error("the connection to the measured server failed: {0}")]
    Connection(#[from] std::io::Error),
    /// The answer was no HTTP.
    #[error("the measured server's answer could not be read: {0}")]
    Answer(&'static str),
}

/// Makes the n-th request of a connection: whole request bytes.
pub type MakeRequest = Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync>;

/// Runs `connections` closed loops for `duration`.
pub async fn run(
    address: SocketAddr,
    connections: usize,
    duration: Duration,
    clock: Arc<dyn Clock>,
    make: MakeRequest,
) -> Result<Measured, LoadError> {
    if !address.ip().is_loopback() {
        return Err(LoadError::NotLoopback(address));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let begun = clock.monotonic_ns();
    let loops: Vec<_> = (0..connections)
        .map(|number| {
            let (stop, make, clock) = (Arc::clone(&stop), Arc::clone(&make), Arc::clone(&clock));
            tokio::spawn(
                async move { one_connection(address, number, &stop, &*clock, &*make).await },
            )
        })
        .collect();
    tokio::time::sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut total = Measured::default();
    for handle in loops {
        let part = handle
            .await
            .map_err(|_| LoadError::Answer("a connection's task ended early"))??;
        total.succeeded += part.succeeded;
        total.refused += part.refused;
        total.latencies_us.extend(part.latencies_us);
        total.first_refusal = total.first_refusal.or(part.first_refusal);
    }
    total.seconds = clock.monotonic_ns().saturating_sub(begun) as f64 / 1e9;
    total.latencies_us.sort_unstable();
    Ok(total)
}

async fn one_connection(
    address: SocketAddr,
    number: usize,
    stop: &AtomicBool,
    clock: &dyn Clock,
    make: &(dyn Fn(usize, u64) -> Vec<u8> + Send + Sync),
) -> Result<Measured, LoadError> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut measured = Measured::default();
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut sent = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let request = make(number, sent);
        sent += 1;
        let begun = clock.monotonic_ns();
        stream.write_all(&request).await?;
        let status = read_answer(&mut stream, &mut buffer).await?;
        let took_us = clock.monotonic_ns().saturating_sub(begun) / 1000;
        measured
            .latencies_us
            .push(u32::try_from(took_us).unwrap_or(u32::MAX));
        if (200..300).contains(&status) {
            measured.succeeded += 1;
        } else {
            measured.refused += 1;
            let shown: String = String::from_utf8_lossy(&buffer).chars().take(600).collect();
            measured.first_refusal.get_or_insert(shown);
        }
    }
    Ok(measured)
}

async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16, LoadError> {
    buffer.clear();
    let header_end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(LoadError::Answer(
                "it closed the connection within the headers",
            ));
        }
        if buffer.len() > 1 << 20 && find(buffer, b"\r\n\r\n").is_none() {
            return Err(LoadError::Answer("its headers exceed 1 MiB"));
        }
    };
    let head = buffer.get(..header_end).unwrap_or_default();
    let status = head
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or(LoadError::Answer("it has no status"))?;
    if status == 204 || status == 304 {
        return Ok(status);
    }
    let length = content_length(head).ok_or(LoadError::Answer("it has no content-length"))?;
    while buffer.len() < header_end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(LoadError::Answer(
                "it closed the connection within the body",
            ));
        }
    }
    Ok(status)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn content_length(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?;
    text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_in_any_case() {
        assert_eq!(
            content_length(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"),
            Some(12)
        );
        assert_eq!(
            content_length(b"HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\n"),
            Some(3)
        );
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }

    #[test]
    fn percentiles_come_from_the_sorted_list() {
        let measured = Measured {
            latencies_us: (1..=100).map(|ms| ms * 1000).collect(),
            ..Measured::default()
        };
        assert!((measured.percentile_ms(0.5) - 51.0).abs() < 1.01);
        assert!((measured.percentile_ms(1.0) - 100.0).abs() < f64::EPSILON);
    }
}
