//! Jobs: work of the platform itself that one replica at a time does, held by a lease. A replica that
//! dies loses its lease when it expires; the next one goes on.

use std::time::Duration;

use futures_util::FutureExt as _;
use identity::{SystemTask, system_scope};
use kernel::{TenantId, TenantScope};
use store::{CommitError, Doc, DocExpected, DocKind, DocWrite};
use uuid::Uuid;

use crate::App;
use crate::error::AppError;
use crate::search_parameters::job::Standing;

/// A lease that is held.
#[derive(Debug, Clone)]
pub struct Lease {
    scope: TenantScope,
    name: String,
    holder: Uuid,
    seconds: i64,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Held {
    holder: Uuid,
    /// Microseconds since the Unix epoch.
    until: i64,
}

impl Lease {
    /// Takes a lease for some seconds; `None` when somebody else has it. `holder` names this replica.
    pub async fn take(
        app: &App,
        scope: &TenantScope,
        name: &str,
        holder: Uuid,
        seconds: i64,
    ) -> Result<Option<Self>, AppError> {
        let lease = Self {
            scope: scope.clone(),
            name: name.to_owned(),
            holder,
            seconds,
        };
        let found = app.store().doc(scope, DocKind::Lease, name).await?;
        let expected = match &found {
            None => DocExpected::Absent,
            Some(doc) => {
                let held: Held = serde_json::from_slice(&doc.body)?;
                let free = held.until <= app.now().as_micros();
                if held.holder != holder && !free {
                    return Ok(None);
                }
                DocExpected::Version(doc.version)
            }
        };
        Ok(lease.write(app, expected, seconds).await?.then_some(lease))
    }

    /// Holds on to it for as long again; `false` when it was lost.
    pub async fn renew(&self, app: &App) -> Result<bool, AppError> {
        match self.mine(app).await? {
            Some(doc) => {
                let expected = DocExpected::Version(doc.version);
                self.write(app, expected, self.seconds).await
            }
            None => Ok(false),
        }
    }

    /// Gives it back.
    pub async fn release(self, app: &App) -> Result<(), AppError> {
        if let Some(doc) = self.mine(app).await? {
            self.write(app, DocExpected::Version(doc.version), 0)
                .await?;
        }
        Ok(())
    }

    async fn mine(&self, app: &App) -> Result<Option<Doc>, AppError> {
        let found = app
            .store()
            .doc(&self.scope, DocKind::Lease, &self.name)
            .await?;
        let Some(doc) = found else { return Ok(None) };
        let held: Held = serde_json::from_slice(&doc.body)?;
        let valid = held.holder == self.holder && held.until > app.now().as_micros();
        Ok(valid.then_some(doc))
    }

    // A compare-and-swap: `false` when another replica was first.
    async fn write(
        &self,
        app: &App,
        expected: DocExpected,
        seconds: i64,
    ) -> Result<bool, AppError> {
        let now = app.now();
        let until = now.plus_seconds(seconds);
        let held = Held {
            holder: self.holder,
            until: until.as_micros(),
        };
        let write = DocWrite {
            kind: DocKind::Lease,
            id: self.name.clone(),
            expected,
            body: Some(serde_json::to_vec(&held)?),
            time: now,
            expires: None,
            lookups: Vec::new(),
        };
        match app.store().operate(&self.scope, vec![write]).await {
            Ok(()) => Ok(true),
            Err(CommitError::DocConflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Operational documents that expire. Leases and cursors stay.
const SWEPT: [DocKind; 9] = [
    DocKind::Session,
    DocKind::AccessToken,
    DocKind::Idempotency,
    DocKind::Assertion,
    DocKind::Delivery,
    DocKind::SubscriptionOwner,
    DocKind::KnowledgeAnswer,
    DocKind::PharmacyMessage,
    DocKind::HookCall,
];

/// Removes expired documents of a tenant; returns how many.
pub async fn sweep(app: &App, scope: &TenantScope) -> Result<u64, AppError> {
    const PAGE: u32 = 500;
    let now = app.now();
    let mut removed = 0;
    for kind in SWEPT {
        let mut after: Option<String> = None;
        loop {
            let docs = app
                .store()
                .docs(scope, kind, after.as_deref(), PAGE)
                .await?;
            let full = docs.len() == PAGE as usize;
            after = docs.last().map(|doc| doc.id.clone());
            let writes: Vec<DocWrite> = docs
                .into_iter()
                .filter(|doc| doc.expires.is_some_and(|expires| expires < now))
                .map(|doc| DocWrite {
                    kind,
                    id: doc.id,
                    expected: DocExpected::Version(doc.version),
                    body: None,
                    time: now,
                    expires: None,
                    lookups: Vec::new(),
                })
                .collect();
            removed += sweep_page(app, scope, writes).await?;
            if !full {
                break;
            }
        }
    }
    Ok(removed)
}

// One document that was used meanwhile must not keep the others: then each goes by itself.
async fn sweep_page(
    app: &App,
    scope: &TenantScope,
    writes: Vec<DocWrite>,
) -> Result<u64, AppError> {
    if writes.is_empty() {
        return Ok(0);
    }
    let all = writes.len() as u64;
    match app.store().operate(scope, writes.clone()).await {
        Ok(()) => return Ok(all),
        Err(CommitError::DocConflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let mut removed = 0;
    for write in writes {
        match app.store().operate(scope, vec![write]).await {
            Ok(()) => removed += 1,
            Err(CommitError::DocConflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(removed)
}

/// How often the platform's own jobs run.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Between two rounds of fixing tenants' checkpoints in the instance log.
    pub checkpoints: Duration,
    /// Between two sweeps of expired documents.
    pub sweep: Duration,
    /// Between two looks for bulk jobs that nobody works on.
    pub bulk: Duration,
    /// Between two looks for messages to partners; one that was just made does not wait for it.
    pub orders: Duration,
    /// Between two looks at search parameters that tenants define.
    pub search_parameters: Duration,
    /// Between two looks for houses where what is needed of medicines is to be counted.
    pub ordering: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            checkpoints: Duration::from_secs(10),
            sweep: Duration::from_mins(5),
            bulk: Duration::from_secs(15),
            orders: Duration::from_secs(5),
            search_parameters: Duration::from_secs(2),
            ordering: Duration::from_mins(1),
        }
    }
}

/// Runs the platform's own jobs until `stop` resolves. `holder` names this replica.
pub async fn run(
    app: App,
    holder: Uuid,
    schedule: Schedule,
    stop: impl std::future::Future<Output = ()> + Send,
) {
    let stop = stop.shared();
    // Counting a large house takes a while: it keeps none of the others waiting.
    tokio::join!(
        each(&app, holder, &schedule, stop.clone()),
        ordering(&app, holder, &schedule, stop),
    );
}

/// Orders that houses want by the clock.
async fn ordering(app: &App, holder: Uuid, schedule: &Schedule, stop: impl Future<Output = ()>) {
    let mut looks = tokio::time::interval(schedule.ordering);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = looks.tick() => {
                let work = crate::medicines::orders::daily::round(app, holder);
                if let Err(error) = noted(app, "ordering", Box::pin(work)).await {
                    tracing::warn!(%error, "houses were not looked through for what they need");
                }
            }
        }
    }
}

async fn each(app: &App, holder: Uuid, schedule: &Schedule, stop: impl Future<Output = ()>) {
    let mut checkpoints = tokio::time::interval(schedule.checkpoints);
    let mut sweeps = tokio::time::interval(schedule.sweep);
    let mut bulk = tokio::time::interval(schedule.bulk);
    let mut orders = tokio::time::interval(schedule.orders);
    let mut parameters = tokio::time::interval(schedule.search_parameters);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = checkpoints.tick() => {
                if let Err(error) = noted(app, "checkpoints", fix_checkpoints(app, holder)).await {
                    tracing::warn!(%error, "tenants' checkpoints were not fixed in the instance log");
                }
            }
            _ = bulk.tick() => {
                if let Err(error) = noted(app, "bulk", crate::bulk::resume_all(app)).await {
                    tracing::warn!(%error, "bulk jobs were not looked for");
                }
            }
            () = app.board().orders.notified() => orders.reset_immediately(),
            _ = orders.tick() => {
                let work = crate::medicines::orders::round(app, holder);
                if let Err(error) = noted(app, "orders", Box::pin(work)).await {
                    tracing::warn!(%error, "messages to partners were not looked for");
                }
            }
            _ = parameters.tick() => {
                let work = crate::search_parameters::job::round(app, holder);
                match noted(app, "search-parameters", work).await {
                    Ok(Standing::Going) => parameters.reset_immediately(),
                    Ok(Standing::Waiting | Standing::Settled) => {}
                    Err(error) => {
                        tracing::warn!(%error, "search parameters were not brought up to date");
                    }
                }
            }
            _ = sweeps.tick() => {
                if let Err(error) = noted(app, "sweep", sweep_all(app, holder)).await {
                    tracing::warn!(%error, "expired documents were not swept");
                }
            }
        }
    }
}

// Runs a job and notes for monitoring how it stands.
async fn noted<T>(
    app: &App,
    name: &'static str,
    work: impl Future<Output = Result<T, AppError>>,
) -> Result<T, AppError> {
    app.board().begins(name);
    let outcome = work.await;
    app.board().ended(name, outcome.is_ok(), app.now());
    outcome
}

/// One round of fixing checkpoints, if no other replica is at it; returns how many were appended.
pub async fn fix_checkpoints(app: &App, holder: Uuid) -> Result<u64, AppError> {
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Ledger);
    let Some(lease) = Lease::take(app, &scope, "checkpoints", holder, 30).await? else {
        return Ok(0);
    };
    let fixed = crate::audit::instance_log::append_checkpoints(app).await;
    lease.release(app).await?;
    fixed
}

/// One sweep of every tenant, if no other replica is at it; returns how many documents went.
pub async fn sweep_all(app: &App, holder: Uuid) -> Result<u64, AppError> {
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Retention);
    let Some(lease) = Lease::take(app, &scope, "sweep", holder, 120).await? else {
        return Ok(0);
    };
    let mut removed = 0;
    for tenant in app.store().tenants().await? {
        let scope = system_scope(tenant, SystemTask::Retention);
        removed += sweep(app, &scope).await?;
        removed += crate::bulk::sweep(app, &scope).await?;
        lease.renew(app).await?;
    }
    lease.release(app).await?;
    Ok(removed)
}
