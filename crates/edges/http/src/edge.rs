//! What every route shares: the edge's state, the request's context, the caller behind a bearer token,
//! and the one place where a request is counted, timed and logged. Must not decide who may do what.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use app::App;
use app::context::{Caller, RequestContext};
use app::error::AppError;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, FromRequestParts as _, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use fhir::definitions::{Definitions, TypeId};
use kernel::{Categorised as _, Category, LogicalId, PurposeOfUse, RequestId, Timestamp};
use serde::de::DeserializeOwned;

use crate::body::{self, BodyError};
use crate::capability::Rendered;
use crate::metrics::Metrics;
use crate::negotiation::{Format, NegotiationError};
use crate::outcome::Failure;
use crate::xml;

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
    statement: OnceLock<Rendered>,
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
                let is_ours = matches!(
                    category,
                    Category::Fault | Category::Altered | Category::Unavailable
                );
                if is_ours {
                    tracing::error!(request_id = %request, error = %error, "request failed: {request}");
                }
                let issues = if is_ours { Vec::new() } else { error.issues() };
                Failure {
                    category,
                    text: error.public_text().into_owned(),
                    issues,
                    request,
                    status: None,
                }
            }
            Self::Negotiation(error) => Failure {
                status: error.status(),
                ..Failure::new(error.category(), error.to_string(), request)
            },
            Self::Body(error) => Failure::new(error.category(), error.to_string(), request),
            Self::Address(category, text) => Failure::new(*category, text.clone(), request),
        }
    }
}

/// A request as the routes take it: moved in, so that nothing of it is copied.
pub struct Arrival {
    edge: Edge,
    parts: Parts,
    // Bodies cannot be shared between threads; a future that borrows its arrival can be, with this. It is
    // never locked.
    body: Mutex<Body>,
    id: RequestId,
    received: Timestamp,
    /// The form that the body names for the answer, where it does.
    format: Arc<OnceLock<Format>>,
}

impl Arrival {
    /// Has the answer in a form that the body of the request names.
    pub(crate) fn answer_as(&self, format: Format) {
        let _ = self.format.set(format);
    }

    /// The edge it arrived at.
    #[must_use]
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The use-cases.
    #[must_use]
    pub fn app(&self) -> &App {
        self.edge.app()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Its query, still escaped.
    #[must_use]
    pub fn raw_query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    /// The path of its address, still escaped.
    #[must_use]
    pub fn uri_path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The parameters of its address, decoded.
    pub async fn path<T: DeserializeOwned + Send>(&mut self) -> Result<T, EdgeError> {
        let found = Path::<T>::from_request_parts(&mut self.parts, &()).await;
        found.map(|path| path.0).map_err(|_| {
            let text = "the address has a broken percent escape or is not UTF-8".to_owned();
            EdgeError::Address(Category::Invalid, text)
        })
    }

    /// Its body, of at most `limit` bytes also when unpacked; can be taken once. A resource in XML comes
    /// as the JSON it means.
    pub async fn body(&mut self, limit: usize) -> Result<Bytes, EdgeError> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let body = std::mem::take(body);
        let bytes = body::read(&self.parts.headers, body, limit).await?;
        if xml::is_sent(&self.parts.headers) && !bytes.is_empty() {
            return xml::read(bytes, limit).await;
        }
        Ok(bytes)
    }

    /// Turns it into a WebSocket; an error where that was not asked for.
    pub async fn upgrade(&mut self) -> Result<WebSocketUpgrade, EdgeError> {
        let upgrade = WebSocketUpgrade::from_request_parts(&mut self.parts, &()).await;
        upgrade.map_err(|_| {
            let text = "this address speaks WebSocket: open it with a WebSocket client".to_owned();
            EdgeError::Address(Category::Invalid, text)
        })
    }

    /// Its context for the use-cases.
    #[must_use]
    pub fn context(&self, tenant: &str) -> RequestContext {
        RequestContext {
            id: self.id,
            client_address: self.client_address(),
            received: self.received,
            purpose: purpose(self.headers()),
            base: self.edge.fhir_base(tenant).into(),
            // A key that is no text counts as an empty one, which the use-cases refuse.
            idempotency: self
                .headers()
                .get("idempotency-key")
                .map(|value| value.to_str().unwrap_or_default().to_owned()),
            advice: Default::default(),
        }
    }

    /// Where it was sent from, as the listener saw it.
    pub(crate) fn peer(&self) -> Option<ConnectInfo<SocketAddr>> {
        self.parts.extensions.get().copied()
    }

    fn client_address(&self) -> Option<IpAddr> {
        let forwarded = self.edge.inner.trust_forwarded.then(|| {
            let header = self.headers().get("x-forwarded-for")?.to_str().ok()?;
            // The right-most address is the one our own proxy saw.
            header.rsplit(',').next()?.trim().parse().ok()
        });
        let peer = || {
            let info = self.parts.extensions.get::<ConnectInfo<SocketAddr>>();
            info.map(|info| info.0.ip())
        };
        forwarded.flatten().or_else(peer)
    }

    /// Its id.
    pub(crate) const fn id(&self) -> RequestId {
        self.id
    }

    /// The bearer token it carries; empty where there is none.
    pub(crate) fn bearer(&self) -> &str {
        self.headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, token)| token.trim())
    }

    /// The caller behind the request's bearer token.
    pub async fn caller(&self, tenant: &str) -> Result<Caller, EdgeError> {
        let token = self.bearer();
        let context = self.context(tenant);
        Ok(app::sign_in::bearer::bearer(self.app(), tenant, token, context).await?)
    }
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
                statement: OnceLock::new(),
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
    /// The FHIR base address of a tenant, without a trailing `/`.
    #[must_use]
    pub fn fhir_base(&self, tenant: &str) -> String {
        let url = self.inner.public_url.as_str();
        let mut base = String::with_capacity(url.len() + tenant.len() + 8);
        for part in [url, "/t/", tenant, "/fhir"] {
            base.push_str(part);
        }
        base
    }
    /// The CapabilityStatement of a tenant; `several`: a conditional delete there takes all that match.
    #[must_use]
    pub fn statement(&self, tenant: &str, several: bool) -> String {
        let rendered = || Rendered::new(Definitions::r4(), self.inner.started);
        let rendered = self.inner.statement.get_or_init(rendered);
        rendered.at(&self.fhir_base(tenant), several)
    }

    /// Runs one request: gives it an id, counts and times it, logs it once without patient data, and
    /// turns a failure into an answer with `on_failure`.
    pub async fn run<F>(
        &self,
        interaction: &'static str,
        request: Request,
        on_failure: fn(Failure) -> Response,
        work: impl FnOnce(Arrival) -> F,
    ) -> Response
    where
        F: Future<Output = Result<Response, EdgeError>>,
    {
        let clock = self.app().clock();
        let begun = clock.monotonic_ns();
        // Counted down also when the client goes away and this future is dropped.
        let _in_flight = self.metrics().in_flight();
        let (parts, body) = request.into_parts();
        let id = self.request_id(&parts.headers);
        let wants_xml = xml::is_wanted(&parts.headers, parts.uri.query());
        let named = Arc::new(OnceLock::new());
        let arrival = Arrival {
            edge: self.clone(),
            parts,
            body: Mutex::new(body),
            id,
            received: clock.now(),
            format: Arc::clone(&named),
        };
        let mut response = match work(arrival).await {
            Ok(response) => response,
            Err(error) => on_failure(error.failure(id)),
        };
        if named
            .get()
            .map_or(wants_xml, |format| *format == Format::Xml)
        {
            response = xml::answer(response, id).await;
        }
        let headers = response.headers_mut();
        let mut buffer = uuid::Uuid::encode_buffer();
        let shown = id.as_uuid().hyphenated().encode_lower(&mut buffer);
        if let Ok(value) = HeaderValue::from_str(shown) {
            headers.insert(REQUEST_ID, value);
        }
        headers.insert(
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
}

fn purpose(headers: &HeaderMap) -> PurposeOfUse {
    // What is recorded; and emergency treatment lets a grant of emergency access count.
    match headers.get("x-purpose-of-use").map(HeaderValue::as_bytes) {
        Some(b"ETREAT") => PurposeOfUse::EmergencyTreatment,
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
