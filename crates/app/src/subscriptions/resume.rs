//! Catching up for subscriptions that stood still: what happened from the place in the change ledger where
//! each stopped is compared with it when it is active again, before anything newer. The ledger is the queue,
//! so that one that is given up, or has too much waiting, costs nothing meanwhile.

use kernel::{TenantScope, Timestamp};
use ledger::leaf::Leaf;
use store::{DocKind, Log, LogEntry};
use uuid::Uuid;

use super::documents::{Progress, Registration};
use super::gap::{self, Gap};
use super::matcher::{Batch, NAME};
use crate::App;
use crate::admin::{self, Versioned};
use crate::consumers;
use crate::error::AppError;
use crate::jobs::Lease;

/// Entries compared at a time.
const BATCH: u32 = 256;
/// Batches in one turn: the tenant's newer changes are not held up by one long way.
const TURN: u32 = 16;
/// Seconds that the consumer's lease lasts.
const LEASE_S: i64 = 60;

/// Whether there is something to catch up with, and room for it: half of what may wait.
pub(crate) fn is_behind(app: &App, registration: &Registration, progress: &Progress) -> bool {
    let waiting = registration.events.saturating_sub(progress.done);
    registration.is_active()
        && registration.held.is_some()
        && progress.stopped != Some(registration.asked)
        && waiting <= app.settings().subscriptions.waiting / 2
}

/// Catches up for subscriptions, as the tenant's consumer; whether anything is left to do at once. One that
/// cannot be caught up with holds up no other: it is tried again in the next round.
pub(crate) async fn resume(
    app: &App,
    scope: &TenantScope,
    holder: Uuid,
    ids: &[String],
) -> Result<bool, AppError> {
    let name = format!("consumer-{NAME}");
    let Some(lease) = Lease::take(app, scope, &name, holder, LEASE_S).await? else {
        return Ok(false);
    };
    let mut more = false;
    for id in ids {
        match one(app, scope, &lease, id).await {
            Ok(left) => more |= left,
            Err(error) => {
                tracing::warn!(%error, subscription = id, "a subscription was not caught up with; it is tried again");
            }
        }
    }
    lease.release(app).await?;
    Ok(more)
}

async fn one(app: &App, scope: &TenantScope, lease: &Lease, id: &str) -> Result<bool, AppError> {
    // Under the lease nobody moves it: what is below it was given to everybody who was not held.
    let end = consumers::next(app, scope, NAME).await?;
    let mut batch = Batch::resuming(app, scope, id).await?;
    skip_old(app, scope, &mut batch, end).await?;
    let kind = DocKind::SubscriptionProgress;
    let progress: Option<Versioned<Progress>> = admin::load(app, scope, kind, id).await?;
    let done = progress.map_or(0, |found| found.value.done);
    for _ in 0..TURN {
        let Some(from) = batch.held() else {
            return Ok(false);
        };
        if batch.events().saturating_sub(done) >= app.settings().subscriptions.waiting {
            return Ok(false);
        }
        let room = u32::try_from(end.saturating_sub(from)).unwrap_or(BATCH);
        let entries = entries(app, scope, from, room.min(BATCH)).await?;
        for entry in &entries {
            let event = consumers::event(app, scope, entry).await?;
            batch.again(&event).await?;
        }
        let reached = entries.last().map_or(end, |last| last.index + 1);
        batch.reached((reached < end).then_some(reached)).await?;
        if !lease.renew(app).await? {
            return Ok(false);
        }
    }
    Ok(batch.held().is_some())
}

async fn entries(
    app: &App,
    scope: &TenantScope,
    from: u64,
    limit: u32,
) -> Result<Vec<LogEntry>, AppError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let store = app.store();
    Ok(store.log_entries(scope, Log::Changes, from, limit).await?)
}

/// Leaves out what is older than things are kept, and says so.
async fn skip_old(
    app: &App,
    scope: &TenantScope,
    batch: &mut Batch<'_>,
    end: u64,
) -> Result<(), AppError> {
    let keep = app.settings().subscriptions.keep_s;
    let oldest = app.now().plus_seconds(-keep);
    let Some(from) = batch.held() else {
        return Ok(());
    };
    let Some(since) = time(app, scope, from).await? else {
        return Ok(());
    };
    if from >= end || since >= oldest {
        return Ok(());
    }
    // The first that is young enough: times in a log grow, but for what clocks differ by.
    let (mut old, mut young) = (from, end);
    while young - old > 1 {
        let middle = old + (young - old) / 2;
        match time(app, scope, middle).await? {
            Some(time) if time < oldest => old = middle,
            _ => young = middle,
        }
    }
    let until = time(app, scope, old).await?.unwrap_or(since);
    let gap = Gap {
        first: from,
        last: old,
        since,
        until,
    };
    let Some(registration) = batch.skip(gap, (young < end).then_some(young)).await? else {
        return Ok(());
    };
    let kind = DocKind::SubscriptionProgress;
    let progress = admin::load(app, scope, kind, &registration.id).await?;
    let progress = progress.map(|found| found.value).unwrap_or_default();
    gap::show(app, scope, &registration, &progress).await
}

async fn time(app: &App, scope: &TenantScope, at: u64) -> Result<Option<Timestamp>, AppError> {
    let found = entries(app, scope, at, 1).await?;
    let Some(entry) = found.first() else {
        return Ok(None);
    };
    let leaf = Leaf::parse(&entry.leaf)
        .map_err(|error| AppError::Fault(format!("leaf {}: {error}", entry.index)))?;
    Ok(Some(leaf.time))
}
