//! A ledger entry before it is sealed: the facts in the clear. The store turns them into a leaf (keyed
//! commitments, no clear identifier) and a payload sealed under the subject's key.

use kernel::{LogicalId, Timestamp, VersionId};
use uuid::Uuid;

use super::ledger::Log;
use super::resource::ResourceKey;

/// What happened, to whom, by whom.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The entry's id.
    pub id: Uuid,
    /// When, by the writer's clock.
    pub time: Timestamp,
    /// Which log.
    pub log: Log,
    /// The leaf's class and outcome.
    pub class: ::ledger::leaf::Class,
    /// How it ended.
    pub outcome: ::ledger::leaf::Outcome,
    /// The patient it is about; commitments and the payload use this patient's key.
    pub subject: Option<LogicalId>,
    /// The resource it is about, with its version where one is.
    pub object: Option<(ResourceKey, Option<VersionId>)>,
    /// A coded reason, where one was given or demanded.
    pub reason: Option<String>,
    /// The consent or break-glass grant it rests on.
    pub prior: Option<Uuid>,
    /// The state of another log that this entry fixes: a tenant's checkpoint, in the instance log.
    pub mark: Option<::ledger::leaf::Mark>,
    /// The readable facts.
    pub payload: ::ledger::payload::Payload,
}

impl Entry {
    /// The least an entry says: a success about nobody; the other facts are set on it.
    #[must_use]
    pub fn new(
        id: Uuid,
        time: Timestamp,
        log: Log,
        class: ::ledger::leaf::Class,
        payload: ::ledger::payload::Payload,
    ) -> Self {
        Self {
            id,
            time,
            log,
            class,
            outcome: ::ledger::leaf::Outcome::Success,
            subject: None,
            object: None,
            reason: None,
            prior: None,
            mark: None,
            payload,
        }
    }
}
