//! A mail submission server that speaks enough SMTP (RFC 5321, STARTTLS of RFC 3207, AUTH PLAIN) to be
//! sent to, and keeps what it was given.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::tls::{TestCertificate, Wire};

/// A message as it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Of `MAIL FROM`.
    pub from: String,
    /// Of `RCPT TO`.
    pub to: Vec<String>,
    /// Header and text.
    pub content: String,
    /// Whether it came over TLS.
    pub secured: bool,
    /// What `AUTH PLAIN` was given, still in base64.
    pub credentials: Option<String>,
}

/// How it behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manners {
    /// Replies to `RCPT TO` with this instead of 250.
    pub refuse: Option<u16>,
    /// Does not offer STARTTLS.
    pub clear_only: bool,
}

/// The server; it ends when dropped.
pub struct MailServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Mail>>>,
    stop: Arc<AtomicBool>,
}

impl MailServer {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test needs its server")]
    pub fn start(certificate: &TestCertificate, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped, tls) = (seen.clone(), stop.clone(), certificate.config());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let (kept, tls) = (kept.clone(), tls.clone());
                    std::thread::spawn(move || {
                        let talk = Talk::new(stream, manners, tls);
                        if let Some(mail) = talk.hold() {
                            kept.lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(mail);
                        }
                    });
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

    /// What it was given so far; waits up to ten seconds for so many messages.
    #[must_use]
    pub fn wait_for(&self, count: usize) -> Vec<Mail> {
        for _ in 0..500 {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= count {
                return seen.clone();
            }
            drop(seen);
            std::thread::sleep(Duration::from_millis(20));
        }
        Vec::new()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

struct Talk {
    wire: Option<Wire>,
    manners: Manners,
    tls: Arc<rustls::ServerConfig>,
    mail: Mail,
}

impl Talk {
    fn new(stream: TcpStream, manners: Manners, tls: Arc<rustls::ServerConfig>) -> Self {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        Self {
            wire: Some(Wire::Clear(stream)),
            manners,
            tls,
            mail: Mail {
                from: String::new(),
                to: Vec::new(),
                content: String::new(),
                secured: false,
                credentials: None,
            },
        }
    }

    fn say(&mut self, line: &str) -> Option<()> {
        let wire = self.wire.as_mut()?;
        wire.write_all(format!("{line}\r\n").as_bytes()).ok()?;
        wire.flush().ok()
    }

    fn line(&mut self) -> Option<String> {
        let wire = self.wire.as_mut()?;
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            wire.read_exact(&mut byte).ok()?;
            line.extend_from_slice(&byte);
        }
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    // The conversation; the message when one was handed over.
    fn hold(mut self) -> Option<Mail> {
        self.say("220 test server")?;
        loop {
            let line = self.line()?;
            let word = line.split(' ').next()?.to_ascii_uppercase();
            match word.as_str() {
                "EHLO" if self.manners.clear_only || self.mail.secured => {
                    self.say("250-hello\r\n250-AUTH PLAIN\r\n250 8BITMIME")?;
                }
                "EHLO" => self.say("250-hello\r\n250-STARTTLS\r\n250 8BITMIME")?,
                "STARTTLS" => {
                    self.say("220 go on")?;
                    let wire = self.wire.take()?;
                    self.wire = wire.secured(self.tls.clone());
                    self.mail.secured = true;
                }
                "AUTH" => {
                    self.mail.credentials = line.split(' ').nth(2).map(str::to_owned);
                    self.say("235 welcome")?;
                }
                "MAIL" => {
                    line.get(10..)?.clone_into(&mut self.mail.from);
                    self.say("250 ok")?;
                }
                "RCPT" => {
                    if let Some(code) = self.manners.refuse {
                        self.say(&format!("{code} not now"))?;
                    } else {
                        self.mail.to.push(line.get(8..)?.to_owned());
                        self.say("250 ok")?;
                    }
                }
                "DATA" => self.data()?,
                "QUIT" => {
                    self.say("221 bye")?;
                    return (!self.mail.content.is_empty()).then_some(self.mail);
                }
                _ => self.say("250 ok")?,
            }
        }
    }

    fn data(&mut self) -> Option<()> {
        self.say("354 go on")?;
        loop {
            let line = self.line()?;
            if line == "." {
                return self.say("250 kept");
            }
            self.mail.content.push_str(&line);
            self.mail.content.push('\n');
        }
    }
}
