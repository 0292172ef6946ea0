//! Pharmacies: the port that orders and requests for prescriptions go through, and its adapters: our own
//! published HTTP interface, messages in the shape of the electronic prescription service, and mail with a
//! form. Must not decide what is asked for, repeat a call, or take for an answer what is none.

pub mod api;
mod form;
mod http_api;
mod letter;
mod messaging;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use kernel::{Categorised, Category, Timestamp, ZoneName};
use medication::supply::resources::Parties;
use medication::supply::{Chase, IdempotencyKey, Order, Product, Received, State};
use zeroize::Zeroizing;

use crate::error::ConnectError;
use crate::outbound::{Answer, Outbound, Request};

pub use form::{FormError, Written, form};
pub use http_api::{Api, PRODUCTS};
pub use letter::Letter;
pub use messaging::Messaging;

/// What is asked of the other side, with what it needs to know it again.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The order.
    pub order: &'a Order,
    /// The key by which it is known again.
    pub key: &'a IdempotencyKey,
    /// When it was approved.
    pub authored: Timestamp,
    /// The home's zone, for times that people read.
    pub zone: &'a ZoneName,
    /// Whether the other side said, or may have said, that it has the order.
    pub acknowledged: bool,
    /// Who stands in a message; none where that is not known.
    pub parties: Option<&'a Parties>,
    /// Doses in words, in the order of lines; what is missing is not said.
    pub doses: &'a [String],
    /// The home's name.
    pub home: &'a str,
    /// Where it goes, for people.
    pub deliver_to: &'a str,
    /// For whom, for people: name and date of birth; none for common stock.
    pub resident: Option<&'a str>,
}

/// What the other side made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its own number.
    pub reference: Option<String>,
    /// Where it says that the order stands; none where it says nothing but that it was sent.
    pub state: Option<State>,
    /// What it says to a person.
    pub note: Option<String>,
}

/// Where the other side stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The state.
    pub state: State,
    /// Since when.
    pub at: Option<Timestamp>,
    /// What it says to a person.
    pub note: Option<String>,
}

/// What became of calling it off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalledOff {
    /// It is called off.
    Yes,
    /// It was told; nobody says whether it was done.
    Told,
    /// It cannot be any more, with why.
    No(String),
}

/// What arrived, for the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// The delivery note.
    pub note: &'a str,
    /// When.
    pub at: Timestamp,
    /// What was taken in.
    pub received: &'a [Received],
    /// What is missing.
    pub missing: &'a [Chase],
    /// What was set aside, in words.
    pub problems: &'a [String],
}

/// Why a pharmacy did not take or say something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PharmacyError {
    /// The call itself.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It asks to be left alone for a while.
    #[error("the pharmacy is busy ({status}): it is asked again later")]
    Busy {
        /// The status.
        status: u16,
        /// For how long, where it says so.
        wait: Option<Duration>,
    },
    /// It failed itself.
    #[error("the pharmacy failed with {status}: it is asked again later")]
    Failing {
        /// The status.
        status: u16,
    },
    /// It does not take our token.
    #[error("the pharmacy does not take our token ({status}): correct the partner's secret")]
    NoToken {
        /// The status.
        status: u16,
    },
    /// It answered something that is no answer.
    #[error("the pharmacy answered something else than was agreed ({what}): ask whoever runs it")]
    Garbage {
        /// What is wrong with it.
        what: String,
    },
    /// It said no.
    #[error("the pharmacy refused with {status}: {detail}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// It does not know the order.
    #[error("the pharmacy does not know the order: look whether it was sent")]
    NotKnown,
    /// This way does not have it.
    #[error("{0}")]
    NotHere(&'static str),
    /// What is asked for cannot be written in its form.
    #[error("the order cannot be written for the pharmacy: {0}")]
    Content(String),
}

impl PharmacyError {
    /// Whether sending the same again cannot help.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_permanent(),
            Self::Refused { .. } | Self::NotHere(_) | Self::Content(_) => true,
            // The token can be set right, and what waits goes out then.
            Self::Busy { .. }
            | Self::Failing { .. }
            | Self::NoToken { .. }
            | Self::Garbage { .. }
            | Self::NotKnown => false,
        }
    }

    /// Whether the other side may have it although it did not say so.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Connect(error) => !error.is_before_sending(),
            Self::Garbage { .. } | Self::Failing { .. } => true,
            Self::Busy { .. }
            | Self::NoToken { .. }
            | Self::Refused { .. }
            | Self::NotKnown
            | Self::NotHere(_)
            | Self::Content(_) => false,
        }
    }

    /// How long to leave it alone, where it said so or was told.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait, .. } => *wait,
            Self::Connect(ConnectError::Resting { wait, .. }) => Some(*wait),
            _ => None,
        }
    }
}

impl Categorised for PharmacyError {
    fn category(&self) -> Category {
        match self {
            Self::Connect(error) => error.category(),
            Self::Busy { .. }
            | Self::Failing { .. }
            | Self::NoToken { .. }
            | Self::Garbage { .. } => Category::Unavailable,
            Self::Refused { .. } | Self::NotHere(_) | Self::Content(_) => Category::Unprocessable,
            Self::NotKnown => Category::NotFound,
        }
    }
}

/// A pharmacy, a wholesaler or a practice, whatever way it is reached.
#[async_trait]
pub trait PharmacyConnector: Send + Sync {
    /// What it sells; of one code, or all of it.
    async fn catalogue(&self, code: Option<&str>) -> Result<Vec<Product>, PharmacyError>;
    /// Asks for a prescription. The same key again asks once.
    async fn request_repeat(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError>;
    /// Orders goods. The same key again orders once.
    async fn order_supply(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError>;
    /// Where an order stands.
    async fn status(&self, asked: &Asked<'_>) -> Result<Report, PharmacyError>;
    /// Calls it off.
    async fn cancel(&self, asked: &Asked<'_>, reason: &str) -> Result<CalledOff, PharmacyError>;
    /// Says what arrived.
    async fn receipt(&self, asked: &Asked<'_>, receipt: &Receipt<'_>) -> Result<(), PharmacyError>;
}

/// How a pharmacy is reached over HTTP.
pub struct Reach<'a> {
    /// The way out.
    pub outbound: &'a dyn Outbound,
    /// The address that the interface begins at; no `/` at the end.
    pub base: &'a str,
    /// The bearer token; none where the other side wants none.
    pub token: Option<Zeroizing<String>>,
    /// A shorter deadline than the client's own.
    pub deadline: Option<Duration>,
}

const JSON: &str = "application/json";

impl Reach<'_> {
    async fn call(
        &self,
        (method, url): (Method, String),
        (media, body): (&'static str, Option<Vec<u8>>),
        extra: Vec<(HeaderName, String)>,
    ) -> Result<Answer, PharmacyError> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static(media))];
        if body.is_some() {
            headers.push((CONTENT_TYPE, HeaderValue::from_static(media)));
        }
        let no = |_| PharmacyError::Content("a header cannot be written".to_owned());
        if let Some(token) = &self.token {
            let text = Zeroizing::new(format!("Bearer {}", token.trim()));
            let mut value = HeaderValue::from_str(&text).map_err(|_| {
                PharmacyError::Content("the secret is no bearer token: correct its file".to_owned())
            })?;
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        for (name, value) in extra {
            headers.push((name, HeaderValue::from_str(&value).map_err(no)?));
        }
        let request = Request {
            method,
            url,
            headers,
            body: Bytes::from(body.unwrap_or_default()),
            deadline: self.deadline,
            answer_bytes: None,
        };
        Ok(self.outbound.call(request).await?)
    }
}

/// What the status of an answer says; none where the body is to be read.
fn failed(answer: &Answer, detail: impl Fn(&[u8]) -> String) -> Option<PharmacyError> {
    let status = answer.status;
    if status.is_success() {
        return None;
    }
    let number = status.as_u16();
    Some(match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => PharmacyError::Busy {
            status: number,
            wait: waits(answer),
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            PharmacyError::NoToken { status: number }
        }
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            PharmacyError::Failing { status: number }
        }
        _ if status.is_client_error() => {
            let detail = detail(&answer.body);
            if detail.is_empty() {
                PharmacyError::Garbage {
                    what: format!("status {number} without a reason"),
                }
            } else {
                PharmacyError::Refused {
                    status: number,
                    detail,
                }
            }
        }
        _ => PharmacyError::Garbage {
            what: format!("status {number}"),
        },
    })
}

/// Most seconds that another side is obeyed in waiting: an hour.
const LONGEST_WAIT_S: u64 = 3600;

fn waits(answer: &Answer) -> Option<Duration> {
    let text = answer.headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT_S)))
}

/// What kind of body it is, for a person; never the body.
fn looks_like(answer: &Answer) -> String {
    let kind = answer.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|own| own.to_str().ok()).unwrap_or("no type");
    let kind: String = kind.chars().take(60).collect();
    let html = answer.body.trim_ascii_start().first() == Some(&b'<');
    let form = if html { "markup" } else { "text" };
    format!("{form} of {kind}, {} bytes", answer.body.len())
}
