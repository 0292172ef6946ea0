//! Sources of drug knowledge elsewhere, each over its own wire format: what they say of ingredients, in one
//! shape. Asks about ingredients by name and code and about nothing else: no patient, no order, no tenant
//! is ever part of a question. Must not judge what is said, and must not read a failure as an answer.

mod drugbank;
mod formulary;
mod openfda;
mod setting;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use kernel::{Categorised, Category};
use serde_json::Value;
use tokio::time::Instant;

pub use self::drugbank::DrugBank;
pub use self::formulary::Formulary;
pub use self::openfda::OpenFda;
pub use self::setting::{SourceEntryError, SourceKind, SourceSetting};

use crate::error::ConnectError;
use crate::outbound::{Answer, Outbound, Request};
use crate::query::escape;

/// An ingredient as sources elsewhere may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concept {
    /// Our own key, which is not sent.
    pub key: String,
    /// Name for people, then other names.
    pub names: Vec<String>,
    /// RxNorm code.
    pub rxnorm: Option<String>,
    /// SNOMED CT code.
    pub snomed: Option<String>,
    /// ATC codes.
    pub atc: Vec<String>,
    /// The source's own id, where it told it before.
    pub own: Option<String>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The ingredients that are taken together.
    pub about: &'a [Concept],
    /// Every ingredient whose name may be looked for in a text.
    pub named: &'a [Concept],
    /// When an answer comes too late.
    pub until: Instant,
}

/// Something a source says of two ingredients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Stable id within the source.
    pub id: String,
    /// Our keys of the two.
    pub between: (String, String),
    /// How bad, in the source's word; none where it does not grade.
    pub severity: Option<String>,
    /// What may happen.
    pub effect: String,
    /// Why.
    pub mechanism: String,
    /// What to do.
    pub management: String,
    /// Where the fact stands.
    pub citations: Vec<String>,
}

/// Which edition of a source answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edition {
    /// Its version; empty where the source names none.
    pub version: String,
    /// Day from which it holds, ISO; empty where the source names none.
    pub effective: String,
    /// Terms of its use.
    pub licence: String,
}

/// What came of a question. Ingredients that are neither answered nor unknown were not told of.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The edition, where anything was answered.
    pub edition: Option<Edition>,
    /// Keys of ingredients that the source told everything of that it has.
    pub answered: Vec<String>,
    /// Keys of ingredients that the source does not know.
    pub unknown: Vec<String>,
    /// What it says.
    pub claims: Vec<Claim>,
    /// Ids of its own that it told, by key.
    pub own: Vec<(String, String)>,
    /// Why the rest is missing.
    pub failed: Option<SourceError>,
}

impl Said {
    fn failing(error: SourceError) -> Self {
        Self {
            failed: Some(error),
            ..Self::default()
        }
    }
}

/// Why a source did not answer. Texts hold no key, no question and nothing of an answer's body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No call, or none that ended.
    #[error(transparent)]
    Call(#[from] ConnectError),
    /// It took too long.
    #[error("it did not answer in time")]
    Late,
    /// The key is refused.
    #[error("it refuses the key (status {0}): look at the file of its key")]
    Key(u16),
    /// Asked too often.
    #[error("it was asked too often and wants to be left alone for {} s", .0.as_secs())]
    TooOften(Duration),
    /// It does not take the question.
    #[error("it does not take the question (status {0})")]
    Refused(u16),
    /// It fails.
    #[error("it answers with status {0}")]
    Status(u16),
    /// The body is no JSON.
    #[error("its answer is no JSON")]
    NoJson,
    /// JSON of another shape.
    #[error("its answer is not as agreed: {0}")]
    Shape(&'static str),
}

impl Categorised for SourceError {
    fn category(&self) -> Category {
        match self {
            Self::Call(error) => error.category(),
            _ => Category::Unavailable,
        }
    }
}

impl SourceError {
    /// One word, for counting.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Call(ConnectError::TimedOut { .. }) | Self::Late => "late",
            Self::Call(ConnectError::Resting { .. }) | Self::TooOften(_) => "resting",
            Self::Call(_) => "unreachable",
            Self::Key(_) => "key",
            Self::Refused(_) => "refused",
            Self::Status(_) => "status",
            Self::NoJson | Self::Shape(_) => "unreadable",
        }
    }
}

/// What a source answers at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Everything about one ingredient.
    Ingredient,
    /// Pairs of those that are asked about.
    Pair,
}

/// A source elsewhere.
#[async_trait]
pub trait KnowledgeSource: Send + Sync {
    /// How it is set up.
    fn setting(&self) -> &SourceSetting;
    /// What it answers at a time.
    fn unit(&self) -> Unit;
    /// Asks it. What failed is part of what is said.
    async fn ask(&self, outbound: &dyn Outbound, question: &Question<'_>) -> Said;
}

/// The connector of a setting.
#[must_use]
pub fn source(setting: SourceSetting) -> Box<dyn KnowledgeSource> {
    match setting.kind {
        SourceKind::OpenFda => Box::new(OpenFda(setting)),
        SourceKind::DrugBank => Box::new(DrugBank(setting)),
        SourceKind::Formulary => Box::new(Formulary(setting)),
    }
}

/// How long a source that does not say is left alone after it was asked too often.
const UNSAID: Duration = Duration::from_mins(1);
/// No source is left alone longer for one answer.
const LONGEST: Duration = Duration::from_hours(1);

/// A request as the connectors make it.
fn request(
    method: Method,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    bytes: usize,
) -> Request {
    let json = HeaderValue::from_static("application/json");
    let mut all = vec![(header::ACCEPT, json.clone())];
    if !body.is_empty() {
        all.push((header::CONTENT_TYPE, json));
    }
    all.extend(headers);
    Request {
        method,
        url,
        headers: all,
        body,
        deadline: None,
        answer_bytes: Some(bytes),
    }
}

/// Calls until a moment. `None` is a status 404, whose meaning is the connector's.
async fn call(
    outbound: &dyn Outbound,
    mut request: Request,
    until: Instant,
) -> Result<Option<Value>, SourceError> {
    request.deadline = Some(until.saturating_duration_since(Instant::now()));
    let called = tokio::time::timeout_at(until, outbound.call(request)).await;
    let answer = called.map_err(|_| SourceError::Late)??;
    match answer.status {
        StatusCode::OK => serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|_| SourceError::NoJson),
        StatusCode::NOT_FOUND => Ok(None),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(SourceError::Key(answer.status.as_u16()))
        }
        StatusCode::TOO_MANY_REQUESTS => Err(SourceError::TooOften(rest(&answer))),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(SourceError::Refused(answer.status.as_u16()))
        }
        other => Err(SourceError::Status(other.as_u16())),
    }
}

/// `Retry-After` in seconds; a date counts as not said.
fn rest(answer: &Answer) -> Duration {
    let said = answer.headers.get(header::RETRY_AFTER);
    let said = said.and_then(|own| own.to_str().ok()?.trim().parse().ok());
    said.map_or(UNSAID, Duration::from_secs).min(LONGEST)
}

/// A header whose value is a secret.
fn secret(name: HeaderName, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// A text in a query.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    escape(text, &mut out);
    out
}

/// The texts of an array, or a text alone.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
