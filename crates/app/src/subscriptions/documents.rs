//! What is kept of subscriptions beside the resources: operational documents, each with one writer.
//! The matcher writes registrations and new deliveries, whoever holds the subscription's lease writes its
//! progress and how deliveries ended.

use fhir::definitions::TypeId;
use kernel::{LogicalId, TenantScope, Timestamp, VersionId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{CommitError, DocExpected, DocKind, DocWrite, ResourceKey};

use super::gap::Gap;
use super::owner::Owner;
use super::resource::{Spec, Status};
use crate::App;
use crate::admin::Versioned;
use crate::error::AppError;

/// A subscription as it is served.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Registration {
    /// The logical id of the Subscription.
    pub id: String,
    /// The resource's version that this was read from.
    pub version: u32,
    /// The version somebody other than the platform wrote last.
    pub asked: u32,
    pub owner: Owner,
    pub spec: Spec,
    /// Whether events are kept for it: from its activation on, also while a change of it is checked.
    pub follows: bool,
    /// Number of the newest event; 0 before the first.
    pub events: u64,
    /// Entries of the change ledger below this index were looked at for it.
    pub from: u64,
    /// Where it stopped: entries from this index on wait in the ledger until it is active, or has room.
    #[serde(default)]
    pub held: Option<u64>,
    /// Whether what was given up comes first when it is active again: not after somebody turned it off.
    #[serde(default)]
    pub goes_on: bool,
    /// What it was not told of since it was written.
    #[serde(default)]
    pub gap: Option<Gap>,
}

impl Registration {
    pub(crate) fn is_active(&self) -> bool {
        self.spec.status == Status::Active
    }
    pub(crate) fn following(&self) -> bool {
        self.follows && matches!(self.spec.status, Status::Active | Status::Requested)
    }
    /// Whether it speaks the backport's language.
    pub(crate) fn is_topic(&self) -> bool {
        matches!(self.spec.watch, super::resource::Watch::Topic { .. })
    }
}

/// How far notifications have come.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Progress {
    /// Number of the newest event that was acknowledged or given up.
    pub done: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Since when.
    pub failing: Option<Timestamp>,
    /// Not before.
    pub next: Option<Timestamp>,
    /// When something was acknowledged last.
    pub last: Option<Timestamp>,
    /// The last failure; names no patient.
    pub error: Option<String>,
    /// Given up while serving this version of `asked`.
    pub stopped: Option<u32>,
    /// What `done` was when it was given up: where to go on.
    #[serde(default)]
    pub resume: Option<u64>,
    /// Events that were removed before anybody took them, the first and the last.
    #[serde(default)]
    pub gap: Option<(u64, u64)>,
}

/// What happened to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// Created.
    Create,
    /// Updated.
    Update,
    /// Deleted.
    Delete,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It waits.
    Waiting,
    /// The other side acknowledged it.
    Delivered,
    /// It was given up: a dead letter.
    Dead,
    /// There was nothing left that may be sent: erased, or out of the creator's reach by then.
    Dropped,
}

impl DeliveryState {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
        }
    }
}

/// One event of one subscription.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Delivery {
    pub subscription: String,
    /// Contiguous from 1 in a subscription.
    pub number: u64,
    /// When it happened.
    pub time: Timestamp,
    /// The type's name and the logical id.
    pub focus: (String, String),
    pub version: u32,
    pub happened: Happened,
    pub state: DeliveryState,
    pub attempts: u32,
    pub error: Option<String>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Delivery {
    pub(crate) fn key(&self, app: &App) -> Option<(ResourceKey, VersionId)> {
        let ty: TypeId = app.definitions().resource(&self.focus.0)?;
        let id: LogicalId = self.focus.1.parse().ok()?;
        Some((ResourceKey { ty, id }, VersionId(self.version)))
    }

    /// The message's id, the same in every attempt.
    pub(crate) fn message(&self) -> String {
        format!("{}.{}", self.subscription, self.number)
    }
}

/// The id of a delivery's document. No logical id holds a `/`, so that no subscription's prefix is
/// another's.
pub(crate) fn delivery_id(subscription: &str, number: u64) -> String {
    format!("{subscription}/{number:015}")
}

pub(crate) fn write<T: Serialize>(
    app: &App,
    kind: DocKind,
    id: &str,
    expected: DocExpected,
    value: &T,
    expires: Option<Timestamp>,
) -> Result<DocWrite, AppError> {
    Ok(DocWrite {
        kind,
        id: id.to_owned(),
        expected,
        body: Some(serde_json::to_vec(value)?),
        time: app.now(),
        expires,
        lookups: Vec::new(),
    })
}

pub(crate) fn removal(app: &App, kind: DocKind, id: &str) -> DocWrite {
    DocWrite {
        kind,
        id: id.to_owned(),
        expected: DocExpected::Any,
        body: None,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    }
}

/// The write of a delivery that ended, kept for a while.
pub(crate) fn ended(app: &App, delivery: &Delivery) -> Result<DocWrite, AppError> {
    let keep = app.settings().subscriptions.keep_s;
    let id = delivery_id(&delivery.subscription, delivery.number);
    let expires = delivery.ended.map(|ended| ended.plus_seconds(keep));
    write(
        app,
        DocKind::Delivery,
        &id,
        DocExpected::Any,
        delivery,
        expires,
    )
}

/// What must be there for a document that was read, or was not there.
pub(crate) fn expected<T>(found: Option<&Versioned<T>>) -> DocExpected {
    found.map_or(DocExpected::Absent, |found| {
        DocExpected::Version(found.version)
    })
}

/// Documents whose id begins with `{subscription}/`, after a number, in order; at most `limit`.
pub(crate) async fn numbered<T: DeserializeOwned>(
    app: &App,
    scope: &TenantScope,
    kind: DocKind,
    subscription: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<T>, AppError> {
    let from = delivery_id(subscription, after);
    let docs = app.store().docs(scope, kind, Some(&from), limit).await?;
    let prefix = format!("{subscription}/");
    docs.iter()
        .take_while(|doc| doc.id.starts_with(&prefix))
        .map(|doc| Ok(serde_json::from_slice(&doc.body)?))
        .collect()
}

/// Writes, and says whether nobody was faster.
pub(crate) async fn operate(
    app: &App,
    scope: &TenantScope,
    writes: Vec<DocWrite>,
) -> Result<bool, AppError> {
    match app.store().operate(scope, writes).await {
        Ok(()) => Ok(true),
        Err(CommitError::DocConflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
