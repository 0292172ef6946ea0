//! Why an outbound call did not happen or failed. Texts name hosts and settings, never paths, queries or
//! bodies.

use std::net::IpAddr;
use std::time::Duration;

use kernel::{Categorised, Category};

/// A failure of an outbound call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No outbound call is configured at all.
    #[error("outbound calls are off: list what may be called in egress.allow")]
    Off,
    /// The address cannot be used.
    #[error("the address cannot be called: {0}")]
    Address(&'static str),
    /// Not in the allow list.
    #[error("{destination} is not in the egress allow list: add it to egress.allow")]
    NotAllowed {
        /// Scheme, host and port.
        destination: String,
    },
    /// In the allow list, but not for imports.
    #[error(
        "{destination} is not in the egress allow list for imports: add the word import to its entry in egress.allow"
    )]
    NotForImports {
        /// Scheme, host and port.
        destination: String,
    },
    /// An entry of the allow list cannot be read.
    #[error(
        "egress entry {entry:?} cannot be read: {detail}; write scheme://host[:port] [private] [import] [pin=sha256/BASE64]"
    )]
    Entry {
        /// The entry.
        entry: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// The name resolves to an address that may not be called.
    #[error(
        "{host} resolves to {address}, which is not a public address: add the word private to its egress entry if that is meant"
    )]
    Inside {
        /// The host.
        host: String,
        /// The address.
        address: IpAddr,
    },
    /// The name does not resolve.
    #[error("{host} does not resolve: check its spelling and the name server")]
    Unresolved {
        /// The host.
        host: String,
    },
    /// No connection.
    #[error("{host} cannot be connected to ({detail}): check that it runs and can be reached")]
    Unreachable {
        /// The host.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// The connection is not trusted.
    #[error("{host} presents a certificate that is not accepted: {detail}")]
    Untrusted {
        /// The host.
        host: String,
        /// Why.
        detail: String,
    },
    /// It took too long.
    #[error("{host} did not answer within {} ms: make it faster, or raise the deadline", .after.as_millis())]
    TimedOut {
        /// The host.
        host: String,
        /// The deadline.
        after: Duration,
    },
    /// What is to be sent is too large.
    #[error("{bytes} bytes are more than the {limit} that may be sent at once: send less")]
    RequestTooLarge {
        /// Bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer is too large.
    #[error("{host} answered more than {limit} bytes: answer less")]
    AnswerTooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// Several failures in a row: it is left alone for a while.
    #[error("{host} failed several times in a row: it is left alone for another {} s", .wait.as_secs())]
    Resting {
        /// The host.
        host: String,
        /// How much longer.
        wait: Duration,
    },
    /// The peer broke the protocol.
    #[error("{host} did not answer as the protocol demands ({detail}): look at its log")]
    Protocol {
        /// The host.
        host: String,
        /// What happened.
        detail: String,
    },
    /// The mail server refused.
    #[error("the mail server refused the message with {code}: look at its log")]
    Refused {
        /// The reply code.
        code: u16,
        /// Whether trying again is pointless.
        permanent: bool,
    },
    /// Mail is not set up, or not for this recipient.
    #[error("{0}")]
    Mail(&'static str),
}

impl ConnectError {
    /// Whether nothing but a change of settings or of the request can help.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Off
                | Self::Address(_)
                | Self::NotAllowed { .. }
                | Self::NotForImports { .. }
                | Self::Entry { .. }
                | Self::Inside { .. }
                | Self::RequestTooLarge { .. }
                | Self::Mail(_)
                | Self::Refused {
                    permanent: true,
                    ..
                }
        )
    }

    /// Whether no byte reached the other side.
    #[must_use]
    pub const fn is_before_sending(&self) -> bool {
        matches!(
            self,
            Self::Off
                | Self::Address(_)
                | Self::NotAllowed { .. }
                | Self::NotForImports { .. }
                | Self::Entry { .. }
                | Self::Inside { .. }
                | Self::Unresolved { .. }
                | Self::Unreachable { .. }
                | Self::Untrusted { .. }
                | Self::RequestTooLarge { .. }
                | Self::Resting { .. }
                | Self::Mail(_)
        )
    }
}

impl Categorised for ConnectError {
    fn category(&self) -> Category {
        match self {
            Self::Off
            | Self::NotAllowed { .. }
            | Self::NotForImports { .. }
            | Self::Inside { .. }
            | Self::Mail(_) => Category::Unprocessable,
            Self::Address(_) | Self::Entry { .. } => Category::Invalid,
            Self::RequestTooLarge { .. } | Self::AnswerTooLarge { .. } => Category::TooLarge,
            Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::TimedOut { .. }
            | Self::Resting { .. }
            | Self::Protocol { .. }
            | Self::Refused { .. } => Category::Unavailable,
        }
    }
}
