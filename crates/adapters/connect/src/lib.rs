//! Every outbound call of the platform: the egress allow list, address checks, deadlines, bounds and
//! signatures. Nothing else opens a connection to the outside. Must not decide what is sent, and writes
//! neither bodies nor query strings to a log.

mod address;
mod breaker;
mod client;
mod dial;
mod error;
pub mod knowledge;
mod mail;
mod outbound;
pub mod pharmacy;
mod pins;
mod policy;
mod query;
mod resolve;
pub mod signature;

pub use address::{Reach, reach};
pub use client::{Client, ClientSettings, Limits};
pub use error::ConnectError;
pub use mail::{MailSecurity, MailSettings};
pub use outbound::{Answer, Closed, Message, Outbound, Request};
pub use policy::{EgressPolicy, Entry, Scheme, Target};
pub use resolve::{Resolver, SystemResolver};
