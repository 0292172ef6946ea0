//! The consumer of the change ledger: keeps registrations up to date with the Subscription resources, and
//! one numbered delivery for every subscription that a change concerns. Seeing an entry twice adds
//! nothing: a registration says from which entry on it is looked at.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use identity::Tenant;
use kernel::{ActorKind, Categorised as _, Category, TenantScope, VersionId};
use ledger::leaf::{Class, Outcome};
use store::{DocKind, DocWrite, ResourceKey};

use super::documents::{self, Delivery, DeliveryState, Progress, Registration, delivery_id};
use super::gap::Gap;
use super::owner::Owner;
use super::resource::{ChannelKind, Spec, Status};
use super::topic::{self, Topic};
use super::trigger::{self, Changed};
use super::{lifecycle, owner};
use crate::App;
use crate::admin::{self, Versioned};
use crate::consumers::{Consumer, Event};
use crate::context::Caller;
use crate::error::AppError;

/// The name its cursor is kept under.
pub const NAME: &str = "subscriptions";

/// The consumer.
pub struct Matcher {
    app: App,
}

impl Matcher {
    /// Over the use-cases.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self { app }
    }
}

#[async_trait]
impl Consumer for Matcher {
    fn name(&self) -> &str {
        NAME
    }

    async fn take(&self, scope: &TenantScope, events: &[Event]) -> Result<(), AppError> {
        let mut batch = Batch::begin(&self.app, scope).await?;
        for event in events {
            batch.event(event).await?;
        }
        batch.flush().await
    }
}

/// What the events of one batch share.
pub(super) struct Batch<'a> {
    app: &'a App,
    scope: &'a TenantScope,
    subscriptions: BTreeMap<String, Versioned<Registration>>,
    topics: Option<Vec<Topic>>,
    // `None`: nobody of the tenant may do anything now.
    tenant: Option<Tenant>,
    // Owners as callers; `None`: they may do nothing any more.
    callers: HashMap<String, Option<Caller>>,
    added: BTreeMap<String, Vec<Delivery>>,
    // The one subscription that catches up; `None` follows what is new, for all that are not held.
    resuming: Option<String>,
}

fn key_of(app: &App, event: &Event) -> Option<(ResourceKey, VersionId)> {
    let facts = event.payload.as_ref()?.resource.as_ref()?;
    let changes = matches!(
        event.leaf.class,
        Class::Create | Class::Update | Class::Delete
    );
    if !changes || event.leaf.outcome != Outcome::Success {
        return None;
    }
    let ty = app.definitions().resource(&facts.ty)?;
    let id = facts.id.as_ref()?.parse().ok()?;
    Some((ResourceKey { ty, id }, VersionId(facts.version?)))
}

// Where a subscription waits in the ledger once the platform has given it a status.
fn held_by_status(known: &Registration, status: Status, next: u64) -> Option<u64> {
    match status {
        // One that was never active has nothing to go on with.
        Status::Error if known.follows => known.held.or(Some(next)),
        Status::Error | Status::Active | Status::Requested => known.held,
        Status::Off => None,
    }
}

/// Whether an error is a subscription's own, so that it alone ends: criteria that are no search any more, that
/// the store does not answer, or that ask for what the creator may not search. Anything else may pass.
fn is_its_own(error: &AppError) -> bool {
    matches!(
        error.category(),
        Category::Invalid
            | Category::Unprocessable
            | Category::Forbidden
            | Category::Unsupported
            | Category::TooCostly
            | Category::TooLarge
    )
}

impl<'a> Batch<'a> {
    async fn begin(app: &'a App, scope: &'a TenantScope) -> Result<Self, AppError> {
        let found = admin::all(app, scope, DocKind::Subscription).await?;
        Ok(Self {
            app,
            scope,
            subscriptions: found
                .into_iter()
                .map(|found: Versioned<Registration>| (found.value.id.clone(), found))
                .collect(),
            topics: None,
            tenant: owner::tenant(app, scope).await?,
            callers: HashMap::new(),
            added: BTreeMap::new(),
            resuming: None,
        })
    }

    /// For one subscription that was held.
    pub(super) async fn resuming(
        app: &'a App,
        scope: &'a TenantScope,
        id: &str,
    ) -> Result<Self, AppError> {
        let mut batch = Self::begin(app, scope).await?;
        batch.resuming = Some(id.to_owned());
        Ok(batch)
    }

    fn resumed(&self) -> Option<&Versioned<Registration>> {
        self.subscriptions.get(self.resuming.as_ref()?)
    }

    /// Where it is; `None` when there is nothing to catch up with.
    pub(super) fn held(&self) -> Option<u64> {
        let found = &self.resumed()?.value;
        let stopped = self.callers.get(&found.id).is_some_and(Option::is_none);
        let may = self.tenant.is_some() && found.is_active() && !stopped;
        may.then_some(found.held).flatten()
    }

    pub(super) fn events(&self) -> u64 {
        self.resumed().map_or(0, |found| found.value.events)
    }

    /// Gives it an event from the time it was held.
    pub(super) async fn again(&mut self, event: &Event) -> Result<(), AppError> {
        match key_of(self.app, event) {
            Some((key, version)) => self.concern(event, key, version).await,
            None => Ok(()),
        }
    }

    /// Keeps how far it is, with the deliveries up to there, in one write.
    pub(super) async fn reached(&mut self, held: Option<u64>) -> Result<(), AppError> {
        let Some(id) = self.resuming.clone() else {
            return Ok(());
        };
        let Some(found) = self.subscriptions.get_mut(&id) else {
            return Ok(());
        };
        // Stopped again meanwhile, at an entry of this batch: it goes on there.
        if found.value.is_active() && !self.callers.get(&id).is_some_and(Option::is_none) {
            found.value.held = held;
            self.added.entry(id).or_default();
        }
        self.flush().await
    }

    /// Leaves out what is too old. Returns the registration as it is then.
    pub(super) async fn skip(
        &mut self,
        gap: Gap,
        held: Option<u64>,
    ) -> Result<Option<Registration>, AppError> {
        let id = self.resuming.clone().unwrap_or_default();
        if let Some(found) = self.subscriptions.get_mut(&id) {
            found.value.gap = Some(gap.after(found.value.gap));
        }
        self.reached(held).await?;
        Ok(self.resumed().map(|found| found.value.clone()))
    }

    async fn event(&mut self, event: &Event) -> Result<(), AppError> {
        let Some((key, version)) = key_of(self.app, event) else {
            return Ok(());
        };
        match self.app.definitions().resource_name(key.ty) {
            "Subscription" => {
                self.flush().await?;
                self.register(event, &key, version).await?;
            }
            "Basic" => self.topics = None,
            _ => {}
        }
        self.concern(event, key, version).await
    }

    async fn concern(
        &mut self,
        event: &Event,
        key: ResourceKey,
        version: VersionId,
    ) -> Result<(), AppError> {
        let resuming = self.resuming.clone();
        let callers = &self.callers;
        let following = |found: &Versioned<Registration>| {
            let found = &found.value;
            match &resuming {
                Some(id) => {
                    let stopped = callers.get(id).is_some_and(Option::is_none);
                    found.id == *id
                        && !stopped
                        && found.is_active()
                        && found.held.is_some_and(|held| held <= event.index)
                }
                None => found.following() && found.held.is_none() && found.from <= event.index,
            }
        };
        if !self.subscriptions.values().any(following) {
            return Ok(());
        }
        if self.topics.is_none() {
            let found = topic::all(self.app, self.scope.tenant()).await?;
            self.topics = Some(found);
        }
        let topics = self.topics.clone().unwrap_or_default();
        let ids: Vec<String> = self
            .subscriptions
            .values()
            .filter(|found| following(found))
            .filter(|found| trigger::watches(self.app, &found.value, &topics, &key))
            .map(|found| found.value.id.clone())
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let at = (event.index, event.leaf.time);
        let Some(changed) = Changed::load(self.app, self.scope, at, key, version).await? else {
            return Ok(());
        };
        for id in ids {
            let Some(caller) = self.caller(&id, event.index).await? else {
                continue;
            };
            let Some(found) = self.subscriptions.get(&id) else {
                continue;
            };
            let concerned =
                trigger::concerns(self.app, &caller, &found.value, &topics, &changed).await;
            match concerned {
                Ok(true) => self.add(&id, &changed),
                Ok(false) => {}
                Err(error) if is_its_own(&error) => {
                    tracing::warn!(%error, subscription = id, "a subscription's criteria cannot be asked");
                    let reason = "the criteria cannot be searched for by the creator any more: write the Subscription again";
                    self.stop(&id, event.index, reason).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    // Whom a subscription acts for; one whose creator may do nothing any more ends here.
    async fn caller(&mut self, id: &str, at: u64) -> Result<Option<Caller>, AppError> {
        if let Some(known) = self.callers.get(id) {
            return Ok(known.clone());
        }
        let found = self.subscriptions.get(id).map(|found| &found.value.owner);
        let Some(tenant) = &self.tenant else {
            // Closed for a while: what happened before is told when it is open again.
            self.hold(id, at);
            return Ok(None);
        };
        let Some(owner) = found else {
            return Ok(None);
        };
        let caller = owner.caller(self.app, self.scope, tenant).await?;
        self.callers.insert(id.to_owned(), caller.clone());
        if caller.is_none() {
            let reason = "the account that made this subscription is not active any more: let one that is write it again";
            self.stop(id, at, reason).await?;
        }
        Ok(caller)
    }

    // What it has not been given yet, from this entry on, stays for it in the ledger.
    async fn stop(&mut self, id: &str, at: u64, reason: &str) -> Result<(), AppError> {
        self.callers.insert(id.to_owned(), None);
        self.hold(id, at);
        self.flush().await?;
        if let Some(found) = self.subscriptions.get(id) {
            let status = Status::Error;
            let served = (id, found.value.version);
            let tenant = self.scope.tenant();
            lifecycle::set_status(self.app, tenant, served, status, Some(reason)).await?;
        }
        Ok(())
    }

    fn hold(&mut self, id: &str, at: u64) {
        if let Some(found) = self.subscriptions.get_mut(id) {
            found.value.held = Some(at);
            self.added.entry(id.to_owned()).or_default();
        }
    }

    fn add(&mut self, id: &str, changed: &Changed) {
        let Some(found) = self.subscriptions.get_mut(id) else {
            return;
        };
        let registration = &mut found.value;
        registration.events += 1;
        registration.from = registration.from.max(changed.index + 1);
        if self.resuming.is_some() {
            registration.held = Some(changed.index + 1);
        }
        let name = self.app.definitions().resource_name(changed.key.ty);
        let delivery = Delivery {
            subscription: id.to_owned(),
            number: registration.events,
            time: changed.time,
            focus: (name.to_owned(), changed.key.id.as_str().to_owned()),
            version: changed.version.0,
            happened: changed.happened,
            state: DeliveryState::Waiting,
            attempts: 0,
            error: None,
            ended: None,
        };
        self.added.entry(id.to_owned()).or_default().push(delivery);
    }

    // Registration and deliveries in one write: a number is never given twice.
    async fn flush(&mut self) -> Result<(), AppError> {
        for (id, deliveries) in std::mem::take(&mut self.added) {
            self.hold_if_full(&id).await?;
            let Some(found) = self.subscriptions.get(&id) else {
                continue;
            };
            let mut writes = vec![self.registration(found, &found.value)?];
            let keep = self.app.settings().subscriptions.keep_s;
            // Nobody may ever open the WebSocket: what waits for one does not wait for ever.
            let expires = (found.value.spec.channel.kind == ChannelKind::Websocket)
                .then(|| self.app.now().plus_seconds(keep));
            for delivery in &deliveries {
                let id = delivery_id(&id, delivery.number);
                let expected = store::DocExpected::Absent;
                let kind = DocKind::Delivery;
                writes.push(documents::write(
                    self.app, kind, &id, expected, delivery, expires,
                )?);
            }
            self.app.store().operate(self.scope, writes).await?;
            if let Some(found) = self.subscriptions.get_mut(&id) {
                found.version += 1;
            }
            self.app.board().subscriptions.arrive();
        }
        Ok(())
    }

    // Where too much waits, the rest waits in the ledger.
    async fn hold_if_full(&mut self, id: &str) -> Result<(), AppError> {
        let most = self.app.settings().subscriptions.waiting;
        let Some(found) = self.subscriptions.get_mut(id) else {
            return Ok(());
        };
        if self.resuming.is_some() || found.value.held.is_some() || found.value.events < most {
            return Ok(());
        }
        let kind = DocKind::SubscriptionProgress;
        let progress = admin::load::<Progress>(self.app, self.scope, kind, id).await?;
        let done = progress.map_or(0, |found| found.value.done);
        if found.value.events.saturating_sub(done) >= most {
            found.value.held = Some(found.value.from);
        }
        Ok(())
    }

    fn registration(
        &self,
        found: &Versioned<Registration>,
        value: &Registration,
    ) -> Result<DocWrite, AppError> {
        let expected = documents::expected(Some(found));
        let kind = DocKind::Subscription;
        documents::write(self.app, kind, &value.id, expected, value, None)
    }

    async fn register(
        &mut self,
        event: &Event,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<(), AppError> {
        let id = key.id.as_str().to_owned();
        let known = self.subscriptions.get(&id);
        if known
            .is_some_and(|known| known.value.from > event.index || known.value.version >= version.0)
        {
            return Ok(());
        }
        self.callers.remove(&id);
        let found = self.app.store().vread(self.scope, key, version).await?;
        let Some((stored, body)) = found.and_then(|found| Some((found.clone(), found.body?)))
        else {
            return self.forget(&id).await;
        };
        let Ok(mut spec) = Spec::read(&body) else {
            return Ok(());
        };
        let noted = owner::noted(self.app, self.scope, &stored).await?;
        let by_platform = event
            .payload
            .as_ref()
            .is_some_and(|payload| payload.actor.kind == ActorKind::System);
        // The resource does not hold what the headers say: the note of it does, and what is served already.
        spec.channel.headers = match (&noted, known) {
            (Some(owner), _) => owner.headers.clone(),
            (None, Some(known)) => known.value.spec.channel.headers.clone(),
            (None, None) => Vec::new(),
        };
        let noted = noted.map(Owner::without_headers);
        let registration = match (noted, known) {
            (Some(owner), known) => Registration {
                id: id.clone(),
                version: version.0,
                asked: version.0,
                owner,
                follows: spec.status == Status::Requested
                    && known
                        .is_some_and(|known| known.value.following() || known.value.held.is_some()),
                held: known
                    .filter(|_| spec.status == Status::Requested)
                    .and_then(|known| known.value.held),
                goes_on: spec.status == Status::Requested
                    && known.is_some_and(|known| known.value.spec.status != Status::Off),
                gap: None,
                spec,
                events: known.map_or(0, |known| known.value.events),
                from: event.index + 1,
            },
            (None, Some(known)) if by_platform => Registration {
                version: version.0,
                follows: spec.status == Status::Active,
                held: held_by_status(&known.value, spec.status, event.index + 1),
                spec,
                from: event.index + 1,
                ..known.value.clone()
            },
            // Nobody is known to have written it: nobody's authority to serve it with.
            _ => return Ok(()),
        };
        self.keep(registration).await
    }

    async fn keep(&mut self, registration: Registration) -> Result<(), AppError> {
        let id = registration.id.clone();
        let expected = documents::expected(self.subscriptions.get(&id));
        let kind = DocKind::Subscription;
        let write = documents::write(self.app, kind, &id, expected, &registration, None)?;
        self.app.store().operate(self.scope, vec![write]).await?;
        let version = self
            .subscriptions
            .get(&id)
            .map_or(1, |known| known.version + 1);
        self.subscriptions.insert(
            id,
            Versioned {
                value: registration,
                version,
            },
        );
        self.app.board().subscriptions.interest(self.scope.tenant());
        Ok(())
    }

    async fn forget(&mut self, id: &str) -> Result<(), AppError> {
        if self.subscriptions.remove(id).is_none() {
            return Ok(());
        }
        let kinds = [DocKind::Delivery, DocKind::Replay];
        for kind in kinds {
            loop {
                let found: Vec<serde_json::Value> =
                    documents::numbered(self.app, self.scope, kind, id, 0, 200).await?;
                let number = |value: &serde_json::Value| value.get("number")?.as_u64();
                let writes: Vec<DocWrite> = found
                    .iter()
                    .filter_map(number)
                    .map(|number| documents::removal(self.app, kind, &delivery_id(id, number)))
                    .collect();
                if writes.is_empty() {
                    break;
                }
                self.app.store().operate(self.scope, writes).await?;
            }
        }
        let writes = [DocKind::SubscriptionProgress, DocKind::Subscription]
            .map(|kind| documents::removal(self.app, kind, id));
        self.app.store().operate(self.scope, writes.into()).await?;
        Ok(())
    }
}
