//! Subscriptions: R4 criteria and topics of the R5 backport, followed on the change ledger. Each stage
//! keeps what it did before the next one begins, so that a kill at any moment loses nothing:
//!
//! 1. [`matcher`]: a consumer of the change ledger. It decides which subscriptions a change concerns, and
//!    keeps one numbered delivery for each.
//! 2. [`deliver`]: one replica at a time, by lease, sends a subscription's deliveries in order, and moves
//!    its cursor when the other side has acknowledged.
//! 3. [`engine`]: wakes both when something was committed, when a retry is due, and now and then.
//!
//! A subscription acts with the authority its creator has at that moment; a payload that leaves is a look
//! in the access ledger. Must not open a connection: that is [`connect::Outbound`]'s.

mod admission;
pub(crate) mod backoff;
pub(crate) mod board;
mod channel;
mod criteria;
pub mod deliver;
mod documents;
pub mod engine;
mod events;
mod gap;
mod lifecycle;
pub mod matcher;
mod notice;
pub mod operate;
mod owner;
mod resource;
mod resume;
pub mod socket;
mod topic;
mod trigger;

pub(crate) use admission::admit;
pub use board::Figures;
pub use documents::DeliveryState;
pub use engine::Engine;
pub use resource::{ChannelKind, Content, Status};

/// How subscriptions are served.
#[derive(Debug, Clone)]
pub struct SubscriptionSettings {
    /// Seconds between two looks at every tenant, for what other replicas committed.
    pub sweep_s: u64,
    /// How long a notification is tried before it and all that wait behind it are given up, in seconds.
    pub give_up_s: i64,
    /// Longest pause between two attempts, in seconds.
    pub pause_s: i64,
    /// How long deliveries are kept after they ended, in seconds.
    pub keep_s: i64,
    /// Deliveries that may wait for one subscription.
    pub waiting: u64,
    /// Notifications sent at a time, over all subscriptions.
    pub senders: usize,
    /// WebSocket connections at a time.
    pub sockets: usize,
}

impl Default for SubscriptionSettings {
    fn default() -> Self {
        Self {
            sweep_s: 5,
            give_up_s: 24 * 3600,
            pause_s: 600,
            keep_s: 7 * 24 * 3600,
            waiting: 100_000,
            senders: 64,
            sockets: 256,
        }
    }
}
