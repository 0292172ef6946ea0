//! What every route shares: the edge's state, the request's context, the caller behind a bearer token,
//! and the one place where a request is counted, timed and logged. Must not decide who may do what.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use app::App;
use app::context::{Caller, RequestContext};
use app::error::AppError;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use fhir::definitions::{Definitions, TypeId};
use kernel::{Categorised as _, Category, LogicalId, PurposeOfUse, RequestId, Timestamp};

use crate::body::BodyError;
use crate::metrics::Metrics;
use crate::negotiation::NegotiationError;
use crate::outcome::Failure;

/// The header that names a request, echoed when a client sends one.
pub const REQUEST_ID: &str = "x-request-id";

/// What the routes share. Cheap to clone.
#[derive(Clone)]
pub struct Edge {
    inner: Arc<Inner>,
}

struct Inner {
    app: App,
    metrics: Metrics,
    public_url: String,
    trust_forwarded: bool,
    started: Timestamp,
}

/// How the edge is told where it is reached.
#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// Scheme and authority, such as `https://theriac.example.org`, without a trailing `/`.
    pub public_url: String,
    /// Whether `X-Forwarded-For` comes from a proxy of ours.
    pub trust_forwarded: bool,
}

/// A failure on the way to an answer.
#[derive(Debug)]
pub enum EdgeError {
    /// A use-case failed.
    App(AppError),
    /// The request's headers cannot be used.
    Negotiation(NegotiationError),
    /// The body could not be read.
    Body(BodyError),
    /// The address or a parameter is malformed.
    Address(Category, String),
}

impl From<AppError> for EdgeError {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}
impl From<NegotiationError> for EdgeError {
    fn from(error: NegotiationError) -> Self {
        Self::Negotiation(error)
    }
}
impl From<BodyError> for EdgeError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl EdgeError {
    /// As the answer's content; the internal text of faults stays here, in the log.
    #[must_use]
    pub fn failure(&self, request: RequestId) -> Failure {
        match self {
            Self::App(error) => {
                let category = error.category();
                if matches!(
                    category,
                    Category::Fault | Category::Altered | Category::Unavailable
                ) {
                    tracing::error!(request_id = %request, error = %error, "request failed: {request}");
                }
                let issues = if matches!(error, AppError::Validation(_) | AppError::Entry { .. }) {
                    error.issues()
                } else {
                    Vec::new()
                };
                Failure {
                    category,
                    text: error.public_text().into_owned(),
                    issues,
                    request,
                }
            }
            Self::Negotiation(error @ NegotiationError::MediaType(_)) => {
                Failure::new(Category::Unsupported, error.to_string(), request)
            }
            Self::Negotiation(error) => Failure::new(Category::Invalid, error.to_string(), request),
            Self::Body(error) => Failure::new(error.category(), error.to_string(), request),
            Self::Address(category, text) => Failure::new(*category, text.clone(), request),
        }
    }
}

/// The parts of a request that every route needs.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// The connection's other end.
    pub peer: Option<SocketAddr>,
    /// Its id.
    pub id: RequestId,
    /// When it arrived.
    pub received: Timestamp,
}

impl Edge {
    /// Over the use-cases.
    #[must_use]
    pub fn new(app: App, metrics: Metrics, settings: EdgeSettings) -> Self {
        let started = app.clock().now();
        Self {
            inner: Arc::new(Inner {
                app,
                metrics,
                public_url: settings.public_url,
                trust_forwarded: settings.trust_forwarded,
                started,
            }),
        }
    }

    /// The use-cases.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.inner.app
    }
    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }
    /// When the server started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }
    /// The FHIR base address of a tenant, without a trailing `/`.
    #[must_use]
    pub fn fhir_base(&self, tenant: &str) -> String {
        format!("{}/t/{tenant}/fhir", self.inner.public_url)
    }

    /// Runs one request: gives it an id, counts and times it, logs it once without patient data, and
    /// turns a failure into an answer with `on_failure`.
    pub async fn run<'r, F>(
        &self,
        interaction: &'static str,
        headers: &'r HeaderMap,
        peer: Option<&ConnectInfo<SocketAddr>>,
        on_failure: fn(Failure) -> Response,
        work: impl FnOnce(Arrival<'r>) -> F,
    ) -> Response
    where
        F: Future<Output = Result<Response, EdgeError>>,
    {
        let clock = self.app().clock();
        let begun = clock.monotonic_ns();
        self.metrics().begun();
        let id = self.request_id(headers);
        let arrival = Arrival {
            headers,
            peer: peer.map(|info| info.0),
            id,
            received: clock.now(),
        };
        let mut response = match work(arrival).await {
            Ok(response) => response,
            Err(error) => on_failure(error.failure(id)),
        };
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response.headers_mut().insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        let seconds = clock.monotonic_ns().saturating_sub(begun) as f64 / 1e9;
        let status = response.status().as_u16();
        self.metrics().answered(interaction, status, seconds);
        tracing::info!(
            request_id = %id,
            interaction,
            status,
            duration_ms = seconds * 1000.0,
            "{interaction} answered {status}"
        );
        response
    }

    // A client's own id is kept when it is a UUID: anything else could carry patient data into the log.
    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| RequestId::from_uuid(self.app().ids().uuid()))
    }

    /// The context of a request for the use-cases.
    #[must_use]
    pub fn context(&self, arrival: &Arrival<'_>, tenant: &str) -> RequestContext {
        RequestContext {
            id: arrival.id,
            client_address: self.client_address(arrival),
            received: arrival.received,
            purpose: purpose(arrival.headers),
            base: self.fhir_base(tenant).into(),
            idempotency: arrival
                .headers
                .get("idempotency-key")
                .and_then(|value| value.to_str().ok())
                .filter(|value| (1..=200).contains(&value.len()))
                .map(str::to_owned),
        }
    }

    fn client_address(&self, arrival: &Arrival<'_>) -> Option<IpAddr> {
        let forwarded = self.inner.trust_forwarded.then(|| {
            let header = arrival.headers.get("x-forwarded-for")?.to_str().ok()?;
            // The right-most address is the one our own proxy saw.
            header.rsplit(',').next()?.trim().parse().ok()
        });
        forwarded
            .flatten()
            .or_else(|| arrival.peer.map(|peer| peer.ip()))
    }

    /// The caller behind the request's bearer token.
    pub async fn caller(&self, arrival: &Arrival<'_>, tenant: &str) -> Result<Caller, EdgeError> {
        let token = arrival
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, token)| token.trim());
        let context = self.context(arrival, tenant);
        Ok(app::sign_in::bearer::bearer(self.app(), tenant, token, context).await?)
    }
}

fn purpose(headers: &HeaderMap) -> PurposeOfUse {
    // A purpose changes what is recorded, never what is allowed.
    match headers.get("x-purpose-of-use").map(HeaderValue::as_bytes) {
        Some(b"HPAYMT") => PurposeOfUse::Payment,
        Some(b"HOPERAT") => PurposeOfUse::Operations,
        Some(b"HRESCH") => PurposeOfUse::Research,
        Some(b"PATRQT") => PurposeOfUse::PatientRequest,
        Some(b"HCOMPL") => PurposeOfUse::Compliance,
        _ => PurposeOfUse::Treatment,
    }
}

/// A resource type in an address.
pub fn resource_type(name: &str) -> Result<TypeId, EdgeError> {
    Definitions::r4().resource(name).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        EdgeError::Address(
            Category::NotFound,
            format!("{shown:?} is not an R4 resource type: check its spelling and case"),
        )
    })
}

/// A logical id in an address.
pub fn logical_id(text: &str) -> Result<LogicalId, EdgeError> {
    text.parse()
        .map_err(|error: kernel::IdError| EdgeError::Address(Category::Invalid, error.to_string()))
}
