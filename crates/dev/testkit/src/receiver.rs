//! A real HTTP server that is called by us: what it answers is the test's script, what it was sent is
//! kept. Threads and plain sockets, so that it needs nothing of the runtime under test.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::tls::{TestCertificate, Wire};

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header's first value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Wait first.
    pub delay: Duration,
    /// Close the connection without an answer.
    pub hang_up: bool,
}

impl Reply {
    /// A status without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            hang_up: false,
        }
    }

    /// The same, after a while.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The script: the request and how many came before it.
pub type Script = dyn Fn(&Received, usize) -> Reply + Send + Sync;

/// The server; it ends when dropped.
pub struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Received>>>,
    stop: Arc<AtomicBool>,
}

struct Shared {
    script: Box<Script>,
    seen: Arc<Mutex<Vec<Received>>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Receiver {
    /// Starts one on a free port of 127.0.0.1.
    pub fn start(script: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(Box::new(script), None)
    }

    /// The same over TLS.
    pub fn start_tls(
        certificate: &TestCertificate,
        script: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Box::new(script), Some(certificate.config()))
    }

    #[expect(clippy::expect_used, reason = "a test needs its server")]
    fn serve(script: Box<Script>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            script,
            seen: seen.clone(),
            tls,
        });
        let stopped = stop.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let shared = shared.clone();
                    std::thread::spawn(move || answer(stream, &shared));
                }
            }
        });
        Self {
            address,
            seen,
            stop,
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything it was sent so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Received> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until it was sent so many requests, or ten seconds; answers what it was sent.
    #[must_use]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        for _ in 0..500 {
            let seen = self.seen();
            if seen.len() >= count {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.seen()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut wire = Wire::Clear(stream);
    if let Some(config) = &shared.tls {
        match wire.secured(config.clone()) {
            Some(secured) => wire = secured,
            None => return,
        }
    }
    let Some(request) = read(&mut wire) else {
        return;
    };
    let before = {
        let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(request.clone());
        seen.len() - 1
    };
    let reply = (shared.script)(&request, before);
    std::thread::sleep(reply.delay);
    if reply.hang_up {
        return;
    }
    let mut head = format!(
        "HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let _ = wire.write_all(head.as_bytes());
    let _ = wire.write_all(&reply.body);
    let _ = wire.flush();
}

fn read(wire: &mut Wire) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if let Some(place) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break place;
        }
        let count = wire.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(buffer.get(..count)?);
    };
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let mut request = Received {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: bytes.get(end + 4..)?.to_vec(),
    };
    let length = request.header("content-length");
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    while request.body.len() < length {
        let count = wire.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.body.extend_from_slice(buffer.get(..count)?);
    }
    Some(request)
}
