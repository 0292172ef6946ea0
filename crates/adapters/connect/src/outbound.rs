//! The port: what the use-cases may ask of the outside. [`crate::Client`] is the real one; tests bring
//! their own, and [`Closed`] refuses everything.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::error::ConnectError;

/// A call over HTTP.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Headers; values may be secrets and are never written to a log.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// A shorter deadline than the client's own.
    pub deadline: Option<Duration>,
    /// Another bound of the answer's body than the client's own, in bytes.
    pub answer_bytes: Option<usize>,
}

impl core::fmt::Debug for Request {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &names)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What was answered. Redirects are answers like any other: they are not followed.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, within the limit.
    pub body: Bytes,
}

/// A mail message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The recipient's address.
    pub to: String,
    /// The subject; names no patient.
    pub subject: String,
    /// The text.
    pub text: String,
    /// Something attached: file name, media type, bytes.
    pub attachment: Option<(String, String, Bytes)>,
    /// An id that is the same in every attempt.
    pub id: String,
}

impl core::fmt::Debug for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The outside.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Whether an address could be called at all by the allow list; resolves nothing.
    fn permits(&self, url: &str) -> Result<(), ConnectError>;
    /// Whether files could be imported from an address by the allow list; resolves nothing.
    fn permits_import(&self, url: &str) -> Result<(), ConnectError>;
    /// Whether a host of an address resolves to what may be called now.
    async fn reaches(&self, url: &str) -> Result<(), ConnectError>;
    /// Makes a call; any status is an answer.
    async fn call(&self, request: Request) -> Result<Answer, ConnectError>;
    /// Whether mail may be sent to an address.
    fn permits_mail(&self, to: &str) -> Result<(), ConnectError>;
    /// Sends a message; returns when the mail server has it.
    async fn mail(&self, message: Message) -> Result<(), ConnectError>;
}

/// Refuses everything: what there is where nothing is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Closed;

#[async_trait]
impl Outbound for Closed {
    fn permits(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    fn permits_import(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn reaches(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn call(&self, _: Request) -> Result<Answer, ConnectError> {
        Err(ConnectError::Off)
    }
    fn permits_mail(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn mail(&self, _: Message) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
}
