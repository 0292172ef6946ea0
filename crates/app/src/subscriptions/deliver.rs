//! Sending a subscription's deliveries in order, one replica at a time. The cursor moves after the other
//! side has acknowledged; a kill before that sends the same event number again.

use identity::Tenant;
use kernel::{TenantScope, Timestamp};
use store::{DocExpected, DocKind, DocWrite};
use uuid::Uuid;

use super::channel::{Failed, Sender};
use super::documents::{
    self, Delivery, DeliveryState, Progress, Registration, delivery_id, ended, expected, numbered,
};
use super::events::{Item, Reader};
use super::notice::{self, Kind};
use super::resource::{ChannelKind, Status};
use super::topic::Topic;
use super::{backoff, gap, lifecycle, owner, topic};
use crate::App;
use crate::admin::{self, Versioned};
use crate::context::Caller;
use crate::error::AppError;
use crate::jobs::Lease;

/// Seconds that a lease lasts; one notification takes less.
const LEASE_S: i64 = 60;
/// Failed handshakes after which a subscription is given up.
const HANDSHAKES: u32 = 5;
/// Deliveries given up in one write.
const PAGE: u32 = 200;

/// What there is to do for a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// Something, now.
    Now,
    /// Something, at a time.
    At(Timestamp),
}

/// A request to send an event again.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Replay {
    pub number: u64,
    pub asked: Timestamp,
}

/// Judges from the documents alone whether there is something to do.
pub(crate) fn due(registration: &Registration, progress: &Progress, now: Timestamp) -> Due {
    let stopped = progress.stopped == Some(registration.asked);
    let channel = &registration.spec.channel;
    let at = |time: Option<Timestamp>| match time {
        Some(time) if time > now => Due::At(time),
        _ => Due::Now,
    };
    match registration.spec.status {
        _ if stopped => Due::Nothing,
        Status::Requested => at(progress.next),
        Status::Active if channel.kind == ChannelKind::Websocket => Due::Nothing,
        Status::Active if registration.events > progress.done => at(progress.next),
        Status::Active => match (channel.heartbeat_s, progress.last) {
            (Some(period), Some(last)) if registration.is_topic() => {
                let beat = last.plus_seconds(period);
                at(Some(progress.next.map_or(beat, |next| next.max(beat))))
            }
            _ => Due::Nothing,
        },
        Status::Error | Status::Off => Due::Nothing,
    }
}

/// Sends what is due for one subscription; does nothing when another replica is at it.
pub(crate) async fn deliver(
    app: &App,
    scope: &TenantScope,
    id: &str,
    holder: Uuid,
) -> Result<(), AppError> {
    let name = format!("subscription-{id}");
    let Some(lease) = Lease::take(app, scope, &name, holder, LEASE_S).await? else {
        return Ok(());
    };
    let outcome = held(app, scope, id, &lease).await;
    lease.release(app).await?;
    outcome
}

async fn held(app: &App, scope: &TenantScope, id: &str, lease: &Lease) -> Result<(), AppError> {
    let mut renewed = app.now();
    while let Some(mut turn) = Turn::load(app, scope, id).await? {
        if !turn.step().await? {
            return Ok(());
        }
        if app.now().seconds_since(renewed) >= LEASE_S / 3 {
            renewed = app.now();
            if !lease.renew(app).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One subscription with everything needed to send for it.
struct Turn<'a> {
    app: &'a App,
    scope: &'a TenantScope,
    registration: Registration,
    progress: Option<Versioned<Progress>>,
    tenant: Tenant,
}

/// How an attempt ended.
enum Sent {
    Done,
    Failed(Failed),
}

impl<'a> Turn<'a> {
    async fn load(
        app: &'a App,
        scope: &'a TenantScope,
        id: &str,
    ) -> Result<Option<Turn<'a>>, AppError> {
        let found = admin::load(app, scope, DocKind::Subscription, id).await?;
        let Some(Versioned {
            value: registration,
            ..
        }) = found
        else {
            return Ok(None);
        };
        let Some(tenant) = owner::tenant(app, scope).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            app,
            scope,
            registration,
            progress: admin::load(app, scope, DocKind::SubscriptionProgress, id).await?,
            tenant,
        }))
    }

    fn now_done(&self) -> Progress {
        let found = self.progress.as_ref();
        found.map(|found| found.value.clone()).unwrap_or_default()
    }

    // One thing; whether there may be more at once.
    async fn step(&mut self) -> Result<bool, AppError> {
        let progress = self.now_done();
        let replay = self.replay(&progress).await?;
        let is_due = due(&self.registration, &progress, self.app.now()) == Due::Now;
        if !is_due && replay.is_none() {
            return Ok(false);
        }
        let owner = &self.registration.owner;
        let Some(caller) = owner.caller(self.app, self.scope, &self.tenant).await? else {
            let reason = "the account that made this subscription is not active any more: let one that is write it again";
            self.give_up(progress, reason).await?;
            return Ok(false);
        };
        if self.registration.spec.status == Status::Requested {
            return self.activate(progress).await;
        }
        if self.is_over() {
            self.set(Status::Off, Some("Subscription.end is over"))
                .await?;
            return Ok(false);
        }
        let topics = if self.registration.is_topic() {
            topic::all(self.app, self.scope.tenant()).await?
        } else {
            Vec::new()
        };
        if let Some(replay) = replay {
            return self.send_again(progress, &caller, &topics, &replay).await;
        }
        self.send_next(progress, &caller, &topics).await
    }

    fn is_over(&self) -> bool {
        let end = self.registration.spec.end;
        end.is_some_and(|end| end <= self.app.now())
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            app: self.app,
            tenant: self.scope.tenant(),
            registration: &self.registration,
        }
    }

    fn save(&self, progress: &Progress) -> Result<DocWrite, AppError> {
        let kind = DocKind::SubscriptionProgress;
        let before = expected(self.progress.as_ref());
        let id = &self.registration.id;
        documents::write(self.app, kind, id, before, progress, None)
    }

    async fn set(&self, status: Status, error: Option<&str>) -> Result<(), AppError> {
        let served = (self.registration.id.as_str(), self.registration.version);
        lifecycle::set_status(self.app, self.scope.tenant(), served, status, error).await
    }

    async fn replay(&self, progress: &Progress) -> Result<Option<Replay>, AppError> {
        let ready = self.registration.is_active()
            && progress.stopped != Some(self.registration.asked)
            && progress.next.is_none_or(|next| next <= self.app.now());
        if !ready || self.registration.spec.channel.kind == ChannelKind::Websocket {
            return Ok(None);
        }
        let id = &self.registration.id;
        let found = numbered(self.app, self.scope, DocKind::Replay, id, 0, 1).await?;
        Ok(found.into_iter().next())
    }

    async fn activate(&mut self, mut progress: Progress) -> Result<bool, AppError> {
        match self.handshake().await {
            Ok(()) => {
                progress.failures = 0;
                progress.failing = None;
                progress.next = None;
                progress.error = None;
                progress.last = Some(self.app.now());
                progress.gap = None;
                // What was given up is still to be told, and comes before anything newer.
                if let Some(resume) = progress.resume.take()
                    && self.registration.goes_on
                {
                    progress.done = progress.done.min(resume);
                }
                let save = self.save(&progress)?;
                documents::operate(self.app, self.scope, vec![save]).await?;
                self.set(Status::Active, None).await?;
            }
            Err(failed) => {
                let hopeless = failed.permanent || progress.failures + 1 >= HANDSHAKES;
                let text = failed.text.clone();
                if hopeless {
                    self.give_up(progress, &text).await?;
                } else {
                    self.failed(progress, failed, None).await?;
                }
            }
        }
        Ok(false)
    }

    async fn handshake(&self) -> Result<(), Failed> {
        let channel = &self.registration.spec.channel;
        let outbound = self.app.outbound();
        match channel.kind {
            ChannelKind::Websocket => Ok(()),
            ChannelKind::Email => {
                let to = channel.endpoint.strip_prefix("mailto:").unwrap_or_default();
                Ok(outbound.permits_mail(to)?)
            }
            ChannelKind::RestHook => {
                outbound.reaches(&channel.endpoint).await?;
                if !self.registration.is_topic() {
                    return Ok(());
                }
                let id = format!(
                    "{}.handshake.{}",
                    self.registration.id, self.registration.asked
                );
                let bundle = self.bundle(Kind::Handshake, &[]);
                self.sender().bundle(bundle, id).await
            }
        }
    }

    fn bundle(&self, kind: Kind, items: &[Item]) -> Vec<u8> {
        let gap = gap::notice(&self.registration, &self.now_done());
        let state = (self.registration.spec.status, gap.as_deref());
        let status = notice::status(&self.registration, kind, state, items);
        let id = self.app.ids().uuid();
        notice::bundle(id, self.app.now(), &self.registration, &status, items)
    }

    async fn send_next(
        &mut self,
        mut progress: Progress,
        caller: &Caller,
        topics: &[Topic],
    ) -> Result<bool, AppError> {
        let at_once = if self.registration.is_topic() {
            self.registration.spec.channel.at_once
        } else {
            1
        };
        let id = &self.registration.id;
        let kind = DocKind::Delivery;
        let found: Vec<Delivery> =
            numbered(self.app, self.scope, kind, id, progress.done, at_once).await?;
        let first = found.first().map(|delivery| delivery.number);
        // Swept, or removed with an operator's hands: there is nothing to wait for.
        let missing = match first {
            Some(first) => first - 1,
            None => self.registration.events,
        };
        if missing > progress.done {
            let missing = (progress.done + 1, missing);
            return gap::missed(self.app, self.scope, &self.registration, missing).await;
        }
        let Some(last) = found.last().map(|delivery| delivery.number) else {
            return self.heartbeat(progress).await;
        };
        match self.attempt(caller, topics, &found).await? {
            (Sent::Done, writes) => {
                progress.done = last;
                self.acknowledged(progress, writes).await
            }
            (Sent::Failed(failed), _) => {
                let hopeless = failed.permanent || self.is_given_up(&progress);
                if hopeless {
                    let text = failed.text.clone();
                    self.give_up(progress, &text).await?;
                } else {
                    self.failed(progress, failed, Some(&found)).await?;
                }
                Ok(false)
            }
        }
    }

    fn is_given_up(&self, progress: &Progress) -> bool {
        let most = self.app.settings().subscriptions.give_up_s;
        let since = |failing: Timestamp| self.app.now().seconds_since(failing);
        progress
            .failing
            .is_some_and(|failing| since(failing) >= most)
    }

    // Sends deliveries together; also the writes that note how they ended.
    async fn attempt(
        &self,
        caller: &Caller,
        topics: &[Topic],
        deliveries: &[Delivery],
    ) -> Result<(Sent, Vec<DocWrite>), AppError> {
        let channel = &self.registration.spec.channel;
        let reader = Reader {
            app: self.app,
            scope: self.scope,
            caller,
            agent: Some(&self.registration.id),
            content: channel.content,
            topics,
        };
        let mut items = Vec::with_capacity(deliveries.len());
        let mut writes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let item = reader.item(&self.registration, delivery).await?;
            let state = match item {
                Some(_) => DeliveryState::Delivered,
                None => DeliveryState::Dropped,
            };
            let done = Delivery {
                state,
                attempts: delivery.attempts + 1,
                error: None,
                ended: Some(self.app.now()),
                ..delivery.clone()
            };
            writes.push(ended(self.app, &done)?);
            items.extend(item);
        }
        let dropped = deliveries.len() - items.len();
        let board = &self.app.board().subscriptions;
        if dropped > 0 {
            board.count(channel.kind, "dropped", dropped as u64);
        }
        let outcome = match (items.first(), items.last()) {
            (Some(first), Some(last)) if self.registration.is_topic() => {
                let id = if items.len() == 1 {
                    first.delivery.message()
                } else {
                    format!("{}-{}", first.delivery.message(), last.delivery.number)
                };
                let bundle = self.bundle(Kind::Event, &items);
                self.sender().bundle(bundle, id).await
            }
            (Some(only), _) => self.sender().plain(only).await,
            (None, _) => Ok(()),
        };
        Ok(match outcome {
            Ok(()) => {
                board.count(channel.kind, "delivered", items.len() as u64);
                (Sent::Done, writes)
            }
            Err(failed) => (Sent::Failed(failed), Vec::new()),
        })
    }

    async fn acknowledged(
        &self,
        mut progress: Progress,
        mut writes: Vec<DocWrite>,
    ) -> Result<bool, AppError> {
        progress.failures = 0;
        progress.failing = None;
        progress.next = None;
        progress.error = None;
        progress.last = Some(self.app.now());
        writes.push(self.save(&progress)?);
        documents::operate(self.app, self.scope, writes).await
    }

    async fn heartbeat(&mut self, progress: Progress) -> Result<bool, AppError> {
        let now = self.app.now();
        let id = format!("{}.heartbeat.{}", self.registration.id, now.as_millis());
        let bundle = self.bundle(Kind::Heartbeat, &[]);
        match self.sender().bundle(bundle, id).await {
            Ok(()) => {
                self.acknowledged(progress, Vec::new()).await?;
            }
            Err(failed) if self.is_given_up(&progress) => {
                self.give_up(progress, &failed.text.clone()).await?;
            }
            Err(failed) => self.failed(progress, failed, None).await?,
        }
        Ok(false)
    }

    async fn send_again(
        &mut self,
        progress: Progress,
        caller: &Caller,
        topics: &[Topic],
        replay: &Replay,
    ) -> Result<bool, AppError> {
        let id = self.registration.id.clone();
        let place = delivery_id(&id, replay.number);
        let found: Option<Versioned<Delivery>> =
            admin::load(self.app, self.scope, DocKind::Delivery, &place).await?;
        let done = documents::removal(self.app, DocKind::Replay, &place);
        let Some(found) = found else {
            return documents::operate(self.app, self.scope, vec![done]).await;
        };
        match self.attempt(caller, topics, &[found.value]).await? {
            (Sent::Done, mut writes) => {
                writes.push(done);
                self.acknowledged(progress, writes).await
            }
            (Sent::Failed(failed), _) if failed.permanent || self.is_given_up(&progress) => {
                self.give_up(progress, &failed.text.clone()).await?;
                Ok(false)
            }
            (Sent::Failed(failed), _) => {
                self.failed(progress, failed, None).await?;
                Ok(false)
            }
        }
    }

    async fn failed(
        &self,
        mut progress: Progress,
        failed: Failed,
        deliveries: Option<&[Delivery]>,
    ) -> Result<(), AppError> {
        let now = self.app.now();
        let pause = self.app.settings().subscriptions.pause_s;
        progress.failures = progress.failures.saturating_add(1);
        progress.failing.get_or_insert(now);
        let mut next = backoff::next(self.app.ids(), now, progress.failures, pause);
        if let Some(wait) = failed.wait_s {
            next = next.max(now.plus_seconds(wait.clamp(0, pause)));
        }
        progress.next = Some(next);
        progress.error = Some(failed.text.clone());
        let mut writes = vec![self.save(&progress)?];
        for delivery in deliveries.unwrap_or_default() {
            let tried = Delivery {
                state: DeliveryState::Waiting,
                ended: None,
                attempts: delivery.attempts + 1,
                error: Some(failed.text.clone()),
                ..delivery.clone()
            };
            let id = delivery_id(&tried.subscription, tried.number);
            let kind = DocKind::Delivery;
            let any = DocExpected::Any;
            writes.push(documents::write(self.app, kind, &id, any, &tried, None)?);
        }
        documents::operate(self.app, self.scope, writes).await?;
        let channel = self.registration.spec.channel.kind;
        self.app.board().subscriptions.count(channel, "failed", 1);
        tracing::warn!(
            subscription = self.registration.id,
            channel = channel.as_str(),
            failures = progress.failures,
            reason = failed.text,
            "a notification failed; it is tried again"
        );
        Ok(())
    }

    // Everything that waits becomes a dead letter, and the Subscription says why.
    async fn give_up(&mut self, mut progress: Progress, reason: &str) -> Result<(), AppError> {
        let channel = self.registration.spec.channel.kind;
        progress.stopped = Some(self.registration.asked);
        progress.resume.get_or_insert(progress.done);
        progress.error = Some(reason.to_owned());
        progress.failures = 0;
        progress.failing = None;
        progress.next = None;
        let id = self.registration.id.clone();
        let now = self.app.now();
        loop {
            let kind = DocKind::Delivery;
            let found: Vec<Delivery> =
                numbered(self.app, self.scope, kind, &id, progress.done, PAGE).await?;
            let Some(last) = found.last().map(|delivery| delivery.number) else {
                break;
            };
            let mut writes = Vec::with_capacity(found.len() + 1);
            for delivery in found {
                let dead = Delivery {
                    state: DeliveryState::Dead,
                    error: Some(reason.to_owned()),
                    ended: Some(now),
                    ..delivery
                };
                writes.push(ended(self.app, &dead)?);
            }
            progress.done = last;
            let count = writes.len() as u64;
            writes.push(self.save(&progress)?);
            if !documents::operate(self.app, self.scope, writes).await? {
                return Ok(());
            }
            self.app.board().subscriptions.count(channel, "dead", count);
            let kind = DocKind::SubscriptionProgress;
            self.progress = admin::load(self.app, self.scope, kind, &id).await?;
        }
        let save = self.save(&progress)?;
        documents::operate(self.app, self.scope, vec![save]).await?;
        self.set(Status::Error, Some(reason)).await?;
        tracing::warn!(
            subscription = id,
            channel = channel.as_str(),
            reason,
            "a subscription was given up; what waited is kept as dead letters"
        );
        Ok(())
    }
}
