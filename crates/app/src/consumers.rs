//! Consumers of a tenant's change ledger: each has a cursor and sees every entry in order, at least
//! once. What a consumer does must be idempotent: after a crash it sees the last batch again.

use async_trait::async_trait;
use kernel::TenantScope;
use ledger::leaf::{Leaf, Outcome};
use ledger::payload::Payload;
use store::{DocExpected, DocKind, DocWrite, Log, LogEntry};
use uuid::Uuid;

use crate::App;
use crate::error::AppError;
use crate::jobs::Lease;

/// One entry as a consumer sees it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its index in the change ledger.
    pub index: u64,
    /// What the ledger commits to.
    pub leaf: Leaf,
    /// The readable facts; `None` when the patient's key was destroyed.
    pub payload: Option<Payload>,
}

impl Event {
    /// `Type/id/_history/version` of the resource it changed, if it changed one.
    #[must_use]
    pub fn resource(&self) -> Option<String> {
        let facts = self.payload.as_ref()?.resource.as_ref()?;
        (self.leaf.outcome == Outcome::Success).then(|| facts.reference())
    }
}

/// Something that follows the change ledger.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Its name, which its cursor is kept under; never change it.
    fn name(&self) -> &str;
    /// Takes events in order. On an error the cursor stays and the same events come again.
    async fn take(&self, scope: &TenantScope, events: &[Event]) -> Result<(), AppError>;
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Position {
    next: u64,
}

/// Entries given to a consumer at a time.
const BATCH: u32 = 256;

/// How many entries of the change ledger a consumer has not looked at yet.
pub(crate) async fn unseen(app: &App, scope: &TenantScope, name: &str) -> Result<u64, AppError> {
    let next = next(app, scope, name).await?;
    let size = app.store().log_head(scope, Log::Changes).await?.size;
    Ok(size.saturating_sub(next))
}

/// The index of the first entry that a consumer has not looked at yet.
pub(crate) async fn next(app: &App, scope: &TenantScope, name: &str) -> Result<u64, AppError> {
    let found = app.store().doc(scope, DocKind::Cursor, name).await?;
    let position: Position = match &found {
        Some(doc) => serde_json::from_slice(&doc.body)?,
        None => Position::default(),
    };
    Ok(position.next)
}

/// An entry as a consumer sees it.
pub(crate) async fn event(
    app: &App,
    scope: &TenantScope,
    entry: &LogEntry,
) -> Result<Event, AppError> {
    let leaf = Leaf::parse(&entry.leaf)
        .map_err(|error| AppError::Fault(format!("leaf {}: {error}", entry.index)))?;
    Ok(Event {
        index: entry.index,
        leaf,
        payload: app.store().open_payload(scope, entry).await?,
    })
}

/// Gives a consumer what is new, until it has everything; returns how many events it took. Does nothing
/// when another replica runs the same consumer.
pub async fn catch_up(
    app: &App,
    scope: &TenantScope,
    consumer: &dyn Consumer,
    holder: Uuid,
) -> Result<u64, AppError> {
    let lease_name = format!("consumer-{}", consumer.name());
    let Some(lease) = Lease::take(app, scope, &lease_name, holder, 60).await? else {
        return Ok(0);
    };
    let result = follow(app, scope, consumer, &lease).await;
    lease.release(app).await?;
    result
}

async fn follow(
    app: &App,
    scope: &TenantScope,
    consumer: &dyn Consumer,
    lease: &Lease,
) -> Result<u64, AppError> {
    let name = consumer.name();
    let found = app.store().doc(scope, DocKind::Cursor, name).await?;
    let (mut position, mut expected) = match &found {
        Some(doc) => (
            serde_json::from_slice(&doc.body)?,
            DocExpected::Version(doc.version),
        ),
        None => (Position::default(), DocExpected::Absent),
    };
    let mut taken = 0;
    loop {
        let entries = app
            .store()
            .log_entries(scope, Log::Changes, position.next, BATCH)
            .await?;
        let Some(last) = entries.last() else {
            app.board().behind(name, scope.tenant(), 0);
            return Ok(taken);
        };
        let next = last.index + 1;
        let mut events = Vec::with_capacity(entries.len());
        for entry in &entries {
            events.push(event(app, scope, entry).await?);
        }
        let size = app.store().log_head(scope, Log::Changes).await?.size;
        let behind = |next: u64| {
            app.board()
                .behind(name, scope.tenant(), size.saturating_sub(next));
        };
        behind(position.next);
        consumer.take(scope, &events).await?;
        behind(next);
        taken += events.len() as u64;
        position.next = next;
        let write = DocWrite {
            kind: DocKind::Cursor,
            id: name.to_owned(),
            expected,
            body: Some(serde_json::to_vec(&position)?),
            time: app.now(),
            expires: None,
            lookups: Vec::new(),
        };
        app.store().operate(scope, vec![write]).await?;
        expected = match expected {
            DocExpected::Version(version) => DocExpected::Version(version + 1),
            _ => DocExpected::Version(1),
        };
        if !lease.renew(app).await? {
            return Ok(taken);
        }
    }
}
