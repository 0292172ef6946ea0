//! What keeps subscriptions going: follows commits, retries and heartbeats, in every tenant, with bounds
//! on what runs at a time. Work is found from the documents alone, so that a restart goes on where a kill
//! stopped it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use identity::{SystemTask, system_scope};
use kernel::{TenantId, TenantScope};
use parking_lot::Mutex;
use store::{DocKind, Log};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::board::Standing;
use super::deliver::{self, Due};
use super::documents::{Progress, Registration};
use super::matcher::Matcher;
use super::resume;
use crate::App;
use crate::admin::{self, Versioned};
use crate::consumers::catch_up;
use crate::error::AppError;

/// Between two looks at a tenant that somebody subscribes in, when nothing wakes the engine.
const LOOK: Duration = Duration::from_secs(1);
/// After a commit the ledger of some stores has the entry a little later: looks go on for so long.
const HOT: Duration = Duration::from_secs(2);
/// Between two looks at such a tenant.
const TICK: Duration = Duration::from_millis(100);
/// Tenants looked at together.
const TENANTS: usize = 8;

pub(crate) fn instance_scope() -> TenantScope {
    system_scope(TenantId::INSTANCE, SystemTask::Consumers)
}

/// The engine of one replica.
pub struct Engine {
    app: App,
    holder: Uuid,
    senders: Arc<Semaphore>,
    turns: Semaphore,
    // Subscriptions being served, and with an empty name tenants being looked at.
    busy: Mutex<HashSet<(TenantId, String)>>,
    // The size of a tenant's change ledger when it was followed to its end.
    followed: Mutex<HashMap<TenantId, u64>>,
}

struct Place<'a> {
    engine: &'a Engine,
    name: (TenantId, String),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.engine.busy.lock().remove(&self.name);
    }
}

impl Engine {
    /// `holder` names this replica: no two that run at the same time may have the same.
    #[must_use]
    pub fn new(app: App, holder: Uuid) -> Arc<Self> {
        let senders = app.settings().subscriptions.senders.max(1);
        Arc::new(Self {
            app,
            holder,
            senders: Arc::new(Semaphore::new(senders)),
            turns: Semaphore::new(TENANTS),
            busy: Mutex::default(),
            followed: Mutex::default(),
        })
    }

    /// Follows a tenant's ledger to its end, then sends everything that is due now, and returns when it
    /// was sent or has failed.
    pub async fn round(self: &Arc<Self>, tenant: TenantId) -> Result<(), AppError> {
        let mut work = JoinSet::new();
        self.step(tenant, &mut work).await?;
        while work.join_next().await.is_some() {}
        Ok(())
    }

    // Matches, and starts what is due. Whether somebody subscribes here.
    async fn step(
        self: &Arc<Self>,
        tenant: TenantId,
        work: &mut JoinSet<()>,
    ) -> Result<bool, AppError> {
        let scope = system_scope(tenant, SystemTask::Consumers);
        // What was matched before is sent, whatever keeps the rest from being matched.
        let followed = self.follow(&scope).await;
        let served = self.serve(&scope, work).await;
        followed?;
        served
    }

    // Starts what is due. Whether somebody subscribes here.
    async fn serve(
        self: &Arc<Self>,
        scope: &TenantScope,
        work: &mut JoinSet<()>,
    ) -> Result<bool, AppError> {
        let tenant = scope.tenant();
        let subscriptions: Vec<Versioned<Registration>> =
            admin::all(&self.app, scope, DocKind::Subscription).await?;
        if subscriptions.is_empty() {
            self.app.board().subscriptions.no_interest(tenant);
            self.app
                .board()
                .subscriptions
                .stands(tenant, Standing::default());
            return Ok(false);
        }
        self.app.board().subscriptions.interest_quietly(tenant);
        let progresses = self.progresses(scope).await?;
        // What is due is sent, whatever keeps one from catching up.
        let resumed = self.resumed(scope, &subscriptions, &progresses).await;
        let subscriptions = match resumed {
            Ok(Some(resumed)) => resumed,
            Ok(None) => subscriptions,
            Err(error) => {
                tracing::warn!(%error, "subscriptions that stood still were not caught up with; they are again");
                subscriptions
            }
        };
        let replays = self.replays(scope).await?;
        let mut standing = Standing::default();
        for found in &subscriptions {
            let registration = &found.value;
            let progress = progresses
                .get(&registration.id)
                .cloned()
                .unwrap_or_default();
            let stopped = progress.stopped == Some(registration.asked);
            standing.active += u64::from(registration.is_active() && !stopped);
            standing.failing += u64::from(stopped || progress.failures > 0);
            standing.waiting += registration.events.saturating_sub(progress.done);
            let now = self.app.now();
            let asked = replays.contains(&registration.id);
            let over =
                registration.is_active() && registration.spec.end.is_some_and(|end| end <= now);
            if deliver::due(registration, &progress, now) == Due::Now || asked {
                self.start(tenant, &registration.id, work);
            } else if over {
                self.end(tenant, registration).await?;
            }
        }
        self.app.board().subscriptions.stands(tenant, standing);
        Ok(true)
    }

    // Lets those catch up that stood still, and reads again what that changed; none where none stood still.
    async fn resumed(
        &self,
        scope: &TenantScope,
        subscriptions: &[Versioned<Registration>],
        progresses: &HashMap<String, Progress>,
    ) -> Result<Option<Vec<Versioned<Registration>>>, AppError> {
        let nothing = Progress::default();
        let behind: Vec<String> = subscriptions
            .iter()
            .map(|found| &found.value)
            .filter(|found| {
                let progress = progresses.get(&found.id).unwrap_or(&nothing);
                resume::is_behind(&self.app, found, progress)
            })
            .map(|found| found.id.clone())
            .collect();
        if behind.is_empty() {
            return Ok(None);
        }
        if resume::resume(&self.app, scope, self.holder, &behind).await? {
            self.app.board().subscriptions.poke(scope.tenant());
        }
        let read = admin::all(&self.app, scope, DocKind::Subscription).await?;
        Ok(Some(read))
    }

    async fn end(&self, tenant: TenantId, registration: &Registration) -> Result<(), AppError> {
        let served = (registration.id.as_str(), registration.version);
        let off = super::resource::Status::Off;
        let reason = Some("Subscription.end is over");
        super::lifecycle::set_status(&self.app, tenant, served, off, reason).await
    }

    async fn progresses(&self, scope: &TenantScope) -> Result<HashMap<String, Progress>, AppError> {
        const PAGE: u32 = 500;
        let mut found = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let kind = DocKind::SubscriptionProgress;
            let docs = self
                .app
                .store()
                .docs(scope, kind, after.as_deref(), PAGE)
                .await?;
            let full = docs.len() == PAGE as usize;
            after = docs.last().map(|doc| doc.id.clone());
            for doc in docs {
                found.insert(doc.id, serde_json::from_slice(&doc.body)?);
            }
            if !full {
                return Ok(found);
            }
        }
    }

    // Subscriptions that somebody asked something to be sent again for.
    async fn replays(&self, scope: &TenantScope) -> Result<HashSet<String>, AppError> {
        const PAGE: u32 = 500;
        let docs = self
            .app
            .store()
            .docs(scope, DocKind::Replay, None, PAGE)
            .await?;
        let of = |id: &str| Some(id.split_once('/')?.0.to_owned());
        Ok(docs.iter().filter_map(|doc| of(&doc.id)).collect())
    }

    // Nothing is written where the ledger has not grown.
    async fn follow(&self, scope: &TenantScope) -> Result<(), AppError> {
        let tenant = scope.tenant();
        let size = self.app.store().log_head(scope, Log::Changes).await?.size;
        if self.followed.lock().get(&tenant) == Some(&size) {
            return Ok(());
        }
        let matcher = Matcher::new(self.app.clone());
        catch_up(&self.app, scope, &matcher, self.holder).await?;
        // Where another replica follows, its cursor is looked at again next time.
        let cursor = self
            .app
            .store()
            .doc(scope, DocKind::Cursor, super::matcher::NAME)
            .await?;
        let next = cursor.and_then(|doc| {
            let value: serde_json::Value = serde_json::from_slice(&doc.body).ok()?;
            value.get("next")?.as_u64()
        });
        if let Some(next) = next {
            self.followed.lock().insert(tenant, next);
        }
        Ok(())
    }

    fn start(self: &Arc<Self>, tenant: TenantId, id: &str, work: &mut JoinSet<()>) {
        let name = (tenant, id.to_owned());
        if !self.busy.lock().insert(name.clone()) {
            return;
        }
        let engine = Arc::clone(self);
        work.spawn(async move {
            let place = Place {
                engine: &engine,
                name,
            };
            let Ok(_sender) = engine.senders.acquire().await else {
                return;
            };
            let scope = system_scope(tenant, SystemTask::Consumers);
            let id = &place.name.1;
            let outcome = deliver::deliver(&engine.app, &scope, id, engine.holder).await;
            if let Err(error) = outcome {
                tracing::warn!(%error, subscription = id, "a subscription was not served; it is tried again");
            }
            // What it changed may make more to do.
            engine.app.board().subscriptions.poke(tenant);
        });
    }

    // Looks at a tenant beside the others: one with much to catch up with holds up nobody else.
    fn look(self: &Arc<Self>, tenant: TenantId, work: &mut JoinSet<()>) {
        let name = (tenant, String::new());
        if !self.busy.lock().insert(name.clone()) {
            return;
        }
        let engine = Arc::clone(self);
        work.spawn(async move {
            let place = Place {
                engine: &engine,
                name,
            };
            let mut started = JoinSet::new();
            if let Ok(_turn) = engine.turns.acquire().await
                && let Err(error) = engine.step(tenant, &mut started).await
            {
                tracing::warn!(%error, "a tenant's subscriptions were not looked at; they are again");
            }
            drop(place);
            while started.join_next().await.is_some() {}
        });
    }

    /// Serves until `stop` resolves.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        let mut work = JoinSet::new();
        let mut schedule = Schedule::default();
        tokio::pin!(stop);
        let app = self.app.clone();
        let board = &app.board().subscriptions;
        loop {
            let wait = if schedule.is_hot(self.now()) {
                TICK
            } else {
                LOOK
            };
            tokio::select! {
                () = &mut stop => break,
                () = board.woken() => tokio::time::sleep(Duration::from_millis(5)).await,
                () = tokio::time::sleep(wait) => {}
            }
            while work.try_join_next().is_some() {}
            let now = self.now();
            schedule.heat(board.take_changed(), now);
            if let Err(error) = self.sweep(&mut schedule, now).await {
                tracing::warn!(%error, "tenants could not be listed for subscriptions");
            }
            for tenant in schedule.due(now, |tenant| board.is_interested(tenant)) {
                self.look(tenant, &mut work);
            }
        }
        // What is being sent gets a little time; what does not end is sent again after the start.
        let _ = tokio::time::timeout(Duration::from_secs(5), async {
            while work.join_next().await.is_some() {}
        })
        .await;
    }

    fn now(&self) -> u64 {
        self.app.clock().monotonic_ns()
    }

    async fn sweep(&self, schedule: &mut Schedule, now: u64) -> Result<(), AppError> {
        let every = Duration::from_secs(self.app.settings().subscriptions.sweep_s.max(1));
        if now < schedule.sweep {
            return Ok(());
        }
        schedule.sweep = now.saturating_add(nanos(every));
        let mut tenants = self.app.store().tenants().await?;
        tenants.retain(|tenant| !tenant.is_instance());
        schedule.swept.extend(tenants);
        Ok(())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Which tenants to look at, and when.
#[derive(Default)]
struct Schedule {
    // Until when a tenant is looked at in every turn.
    hot: HashMap<TenantId, u64>,
    looked: HashMap<TenantId, u64>,
    swept: HashSet<TenantId>,
    sweep: u64,
}

impl Schedule {
    fn is_hot(&self, now: u64) -> bool {
        self.hot.values().any(|until| *until > now)
    }

    fn heat(&mut self, changed: HashSet<TenantId>, now: u64) {
        self.hot.retain(|_, until| *until > now);
        for tenant in changed {
            self.hot.insert(tenant, now.saturating_add(nanos(HOT)));
            self.looked.remove(&tenant);
        }
    }

    fn due(&mut self, now: u64, is_interested: impl Fn(TenantId) -> bool) -> Vec<TenantId> {
        let mut due = std::mem::take(&mut self.swept);
        due.extend(self.hot.keys().copied());
        let waited = |looked: &u64| now.saturating_sub(*looked) >= nanos(LOOK);
        let again = self
            .looked
            .iter()
            .filter(|(tenant, looked)| is_interested(**tenant) && waited(looked));
        due.extend(again.map(|(tenant, _)| *tenant));
        for tenant in &due {
            self.looked.insert(*tenant, now);
        }
        due.into_iter().collect()
    }
}
