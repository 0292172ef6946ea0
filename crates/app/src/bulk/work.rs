//! Working on jobs: each in a task of its own, under a lease, so that one replica does and another goes on
//! when it dies. What ends a job is written down; what may pass leaves it for later.

use std::time::Duration;

use kernel::{Categorised as _, Category, TenantId, TenantScope};
use store::StoreError;
use uuid::Uuid;

use crate::App;
use crate::bulk::job::{self, State, Stored, Work};
use crate::bulk::{export, import, sweep};
use crate::error::AppError;
use crate::jobs::Lease;

/// How long a lease lasts without being renewed, in seconds.
pub(super) const LEASE_S: i64 = 30;
/// How long to wait after something that may pass.
const PAUSE: Duration = Duration::from_secs(2);
/// How long to wait before a job that was let go is taken again.
const AGAIN: Duration = Duration::from_millis(50);
/// How often something that may pass is waited for before the job is left to the next round.
const TRIES: u32 = 5;

/// Why work on a job stopped without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything is done.
    Done,
    /// Somebody else has it, or it was stopped.
    Lost,
}

/// Begins to work on a job in a task of its own, unless this process does already.
pub(super) fn start(app: &App, tenant: TenantId, id: Uuid) {
    if !app.bulk().running.lock().insert(id) {
        return;
    }
    let app = app.clone();
    tokio::spawn(async move {
        let _running = Running(app.clone(), id);
        let Ok(_place) = app.bulk().places.acquire().await else {
            return;
        };
        if let Err(error) = go_on(&app, &job::scope(tenant), id).await {
            tracing::warn!(%tenant, job = %id, %error, "a bulk job was left for later");
        }
    });
}

/// Takes the job off the list of what this process works on, whatever happens.
struct Running(App, Uuid);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.bulk().running.lock().remove(&self.1);
    }
}

async fn go_on(app: &App, scope: &TenantScope, id: Uuid) -> Result<(), AppError> {
    let holder = *app.bulk().holder.get_or_init(|| app.ids().uuid());
    let name = format!("bulk-{id}");
    loop {
        let Some(lease) = Lease::take(app, scope, &name, holder, LEASE_S).await? else {
            return Ok(());
        };
        let outcome = attempts(app, scope, id, &lease).await;
        lease.release(app).await?;
        outcome?;
        match job::load(app, scope, id).await? {
            // The lease ran out while this process slept, and nobody else took it.
            Some(stored) if stored.job.is_going() => tokio::time::sleep(AGAIN).await,
            _ => return Ok(()),
        }
    }
}

async fn attempts(app: &App, scope: &TenantScope, id: Uuid, lease: &Lease) -> Result<(), AppError> {
    let mut tries = 0;
    loop {
        let Some(stored) = job::load(app, scope, id).await? else {
            return Ok(());
        };
        if !stored.job.is_going() {
            return Ok(());
        }
        match once(app, scope, stored, lease).await {
            Ok(()) => return Ok(()),
            Err(error) if may_pass(&error) && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
                if !lease.renew(app).await? {
                    return Ok(());
                }
            }
            Err(error) if may_pass(&error) => return Err(error),
            Err(error) => return fail(app, scope, id, &error).await,
        }
    }
}

async fn once(
    app: &App,
    scope: &TenantScope,
    stored: Stored,
    lease: &Lease,
) -> Result<(), AppError> {
    let id = stored.job.id;
    let end = match &stored.job.work {
        Work::Export(spec) => {
            let spec = spec.clone();
            export::run(app, scope, stored, spec, lease).await?
        }
        Work::Import(spec) => {
            let spec = spec.clone();
            import::run(app, scope, stored, spec, lease).await?
        }
    };
    if end == End::Lost {
        sweep::drop_files_of_ended(app, scope, id).await?;
    }
    Ok(())
}

/// Whether the same work may succeed later.
fn may_pass(error: &AppError) -> bool {
    matches!(error, AppError::Store(StoreError::Closed))
        || matches!(
            error.category(),
            Category::Throttled | Category::Unavailable
        )
}

/// Gives a job up, with the reason for its owner.
async fn fail(app: &App, scope: &TenantScope, id: Uuid, error: &AppError) -> Result<(), AppError> {
    tracing::error!(job = %id, %error, "a bulk job failed");
    let why = error.public_text().into_owned();
    end(app, scope, id, State::Failed(why)).await?;
    sweep::drop_files_of_ended(app, scope, id).await
}

/// Ends a job that is going; does nothing to one that ended before.
pub(super) async fn end(
    app: &App,
    scope: &TenantScope,
    id: Uuid,
    state: State,
) -> Result<(), AppError> {
    // Lost races are lost to whoever works on it, piece by piece.
    for _ in 0..100 {
        let Some(mut stored) = job::load(app, scope, id).await? else {
            return Ok(());
        };
        if !stored.job.is_going() {
            return Ok(());
        }
        stored.job.state = state.clone();
        stored.job.ended = Some(app.now());
        stored.job.secret.clear();
        if job::save(app, scope, &mut stored, Vec::new()).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(AppError::Conflict(
        "the job changed too often to be ended: repeat".to_owned(),
    ))
}

/// Goes on with every job that nobody works on: at start, and after another replica died.
pub async fn resume_all(app: &App) -> Result<u64, AppError> {
    if app.files().is_err() {
        return Ok(0);
    }
    let mut begun = 0;
    for tenant in app.store().tenants().await? {
        for stored in job::all(app, &job::scope(tenant)).await? {
            if stored.job.is_going() {
                start(app, tenant, stored.job.id);
                begun += 1;
            }
        }
    }
    Ok(begun)
}
