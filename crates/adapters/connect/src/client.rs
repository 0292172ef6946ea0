//! The HTTP client: allow list, bounds, deadlines and breakers around hyper. Follows no redirect, keeps
//! no cookie, retries nothing: what to repeat, and when, is the caller's.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kernel::Clock;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::breaker::Breaker;
use crate::dial::Dial;
use crate::error::ConnectError;
use crate::mail::{MailSettings, Mailer};
use crate::outbound::{Answer, Message, Outbound, Request};
use crate::pins;
use crate::policy::{EgressPolicy, Scheme, Target};
use crate::resolve::Resolver;

/// Bounds of outbound calls.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To resolve and connect.
    pub connect: Duration,
    /// For a whole call.
    pub total: Duration,
    /// Bytes of a request's body.
    pub request_bytes: usize,
    /// Bytes of an answer's body.
    pub answer_bytes: usize,
    /// Calls at a time to one destination.
    pub per_destination: usize,
    /// Calls at a time in all.
    pub calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(15),
            request_bytes: 16 << 20,
            answer_bytes: 1 << 20,
            per_destination: 8,
            calls: 256,
        }
    }
}

/// How the client is set up.
pub struct ClientSettings {
    /// The allow list.
    pub policy: EgressPolicy,
    /// Bounds.
    pub limits: Limits,
    /// A PEM file of roots to trust instead of the system's.
    pub root_certificates: Option<PathBuf>,
    /// Mail; `None`: no mail is sent.
    pub mail: Option<MailSettings>,
}

struct Destination {
    breaker: Breaker,
    places: Semaphore,
}

/// Destinations remembered before idle ones are forgotten.
const DESTINATIONS: usize = 2_048;

/// The client.
pub struct Client {
    policy: Arc<EgressPolicy>,
    dial: Dial,
    http: legacy::Client<HttpsConnector<Dial>, Full<Bytes>>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    destinations: Mutex<HashMap<Target, Arc<Destination>>>,
    calls: Semaphore,
    mailer: Option<Mailer>,
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Puts the parts together.
    ///
    /// # Errors
    /// What cannot be read of certificates or mail settings.
    pub fn new(
        settings: ClientSettings,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let policy = Arc::new(settings.policy);
        let limits = settings.limits;
        let dial = Dial {
            policy: policy.clone(),
            resolver,
            deadline: limits.connect,
        };
        let roots = settings.root_certificates.as_deref();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(pins::config(roots, &policy)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(dial.clone());
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(2)
            .retry_canceled_requests(false)
            .build(connector);
        let mailer = settings
            .mail
            .map(|mail| Mailer::new(mail, dial.clone(), roots, limits.total))
            .transpose()?;
        Ok(Self {
            policy,
            dial,
            http,
            limits,
            clock,
            destinations: Mutex::default(),
            calls: Semaphore::new(limits.calls),
            mailer,
        })
    }

    fn destination(&self, target: &Target) -> Arc<Destination> {
        let mut known = self.destinations.lock();
        if let Some(found) = known.get(target) {
            return found.clone();
        }
        if known.len() >= DESTINATIONS {
            known.retain(|_, kept| Arc::strong_count(kept) > 1 || !kept.breaker.is_idle());
        }
        let made = Arc::new(Destination {
            breaker: Breaker::default(),
            places: Semaphore::new(self.limits.per_destination),
        });
        known.insert(target.clone(), made.clone());
        made
    }

    fn http_target(&self, url: &str) -> Result<Target, ConnectError> {
        let (target, _) = Target::of(url)?;
        if !matches!(target.scheme, Scheme::Https | Scheme::Http) {
            return Err(ConnectError::Address(
                "it does not begin with https:// or http://",
            ));
        }
        self.policy.allow(&target)?;
        Ok(target)
    }

    async fn exchange(&self, request: Request, target: &Target) -> Result<Answer, ConnectError> {
        let most = request.answer_bytes.unwrap_or(self.limits.answer_bytes);
        let mut built = http::Request::builder()
            .method(request.method)
            .uri(request.url)
            .body(Full::new(request.body))
            .map_err(|_| ConnectError::Address("it is not a URL"))?;
        for (name, value) in request.headers {
            built.headers_mut().append(name, value);
        }
        let host = || target.host.clone();
        let sent = self.http.request(built).await;
        let response = sent.map_err(|error| cause(&error, host()))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                ConnectError::AnswerTooLarge {
                    host: host(),
                    limit: most,
                }
            } else {
                ConnectError::Protocol {
                    host: host(),
                    detail: "the answer broke off".to_owned(),
                }
            }
        })?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}

// The failure of our own connector inside hyper's, or what hyper says.
fn cause(error: &legacy::Error, host: String) -> ConnectError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(inner) = source {
        if let Some(own) = inner.downcast_ref::<ConnectError>() {
            return own.clone();
        }
        if let Some(own) = inner.downcast_ref::<rustls::Error>() {
            return ConnectError::Untrusted {
                host,
                detail: own.to_string(),
            };
        }
        last = inner.to_string();
        // An I/O error shows what it wraps as itself, not as its source.
        let wrapped = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        source = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    ConnectError::Protocol { host, detail: last }
}

// Frees the place of a call that tries an open breaker when the call is dropped.
struct Watch<'a> {
    breaker: &'a Breaker,
    ended: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.breaker.left();
        }
    }
}

fn is_well(outcome: &Result<Answer, ConnectError>) -> bool {
    match outcome {
        Ok(answer) => !answer.status.is_server_error(),
        Err(error) => error.is_permanent(),
    }
}

#[async_trait]
impl Outbound for Client {
    fn permits(&self, url: &str) -> Result<(), ConnectError> {
        self.http_target(url).map(|_| ())
    }

    fn permits_import(&self, url: &str) -> Result<(), ConnectError> {
        let target = self.http_target(url)?;
        self.policy.allow_import(&target).map(|_| ())
    }

    async fn reaches(&self, url: &str) -> Result<(), ConnectError> {
        let target = self.http_target(url)?;
        self.dial.addresses(&target).await.map(|_| ())
    }

    async fn call(&self, request: Request) -> Result<Answer, ConnectError> {
        let target = self.http_target(&request.url)?;
        let bytes = request.body.len();
        if bytes > self.limits.request_bytes {
            return Err(ConnectError::RequestTooLarge {
                bytes,
                limit: self.limits.request_bytes,
            });
        }
        let after = request
            .deadline
            .map_or(self.limits.total, |own| own.min(self.limits.total));
        let destination = self.destination(&target);
        let work = async {
            // First the destination's place: those who wait for a slow one hold no place of the others.
            let own = destination.places.acquire().await;
            let all = self.calls.acquire().await;
            let admitted = destination.breaker.admit(self.clock.monotonic_ns());
            if let Err(wait) = admitted {
                return Err(ConnectError::Resting {
                    host: target.host.clone(),
                    wait,
                });
            }
            let mut watch = Watch {
                breaker: &destination.breaker,
                ended: false,
            };
            let exchanged = tokio::time::timeout(after, self.exchange(request, &target)).await;
            let outcome = exchanged.unwrap_or_else(|_| {
                Err(ConnectError::TimedOut {
                    host: target.host.clone(),
                    after,
                })
            });
            watch.ended = true;
            let now = self.clock.monotonic_ns();
            destination.breaker.ended(is_well(&outcome), now);
            drop((own, all));
            outcome
        };
        // Waiting for a place counts too, so that no caller waits longer than twice its deadline.
        match tokio::time::timeout(after.saturating_mul(2), work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::Resting {
                host: target.host.clone(),
                wait: Duration::from_secs(1),
            }),
        }
    }

    fn permits_mail(&self, to: &str) -> Result<(), ConnectError> {
        let mailer = self.mailer.as_ref().ok_or(ConnectError::Mail(
            "no mail server is set: give mail.server and mail.from",
        ))?;
        mailer.permits(to)
    }

    async fn mail(&self, message: Message) -> Result<(), ConnectError> {
        let mailer = self.mailer.as_ref().ok_or(ConnectError::Mail(
            "no mail server is set: give mail.server and mail.from",
        ))?;
        let _place = self.calls.acquire().await;
        mailer.send(message).await
    }
}
