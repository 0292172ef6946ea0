//! WebSockets: which subscriptions a connection is bound to, and what it is to be sent. Only whom a
//! subscription belongs to may bind it, because it speaks with that authority. What was written to the
//! connection counts as acknowledged; what was missed is there with `$events`.

use std::net::IpAddr;

use identity::{SystemTask, system_scope};
use kernel::{ActorId, LogicalId, TenantId, TenantScope, Timestamp};
use store::DocKind;
use tokio::sync::watch;

use super::documents::{self, Delivery, Progress, Registration, expected, numbered};
use super::events::{Item, Reader};
use super::gap;
use super::notice::{self, Kind};
use super::resource::{ChannelKind, Status};
use super::{owner, topic};
use crate::App;
use crate::admin::{self, Versioned};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::cursor::{self, Binding};
use crate::retry::Retry;
use crate::tenants;

/// How long a binding token may be used, in seconds.
const TOKEN_S: i64 = 300;
/// Subscriptions of one connection.
pub const BOUND: usize = 32;
/// Events looked at for one connection and subscription at a time.
const PAGE: u32 = 50;

#[derive(serde::Serialize, serde::Deserialize)]
struct Token {
    ids: Vec<String>,
    actor: ActorId,
    until: Timestamp,
}

fn binding() -> Binding {
    Binding::new("websocket", "Subscription", [])
}

pub(crate) fn token(
    app: &App,
    caller: &Caller,
    ids: &[LogicalId],
) -> Result<(String, Timestamp), AppError> {
    let until = app.now().plus_seconds(TOKEN_S);
    let token = Token {
        ids: ids.iter().map(|id| id.as_str().to_owned()).collect(),
        actor: caller.subject.actor().id,
        until,
    };
    let sealed = cursor::seal(app.settings(), caller.scope.tenant(), &binding(), &token)?;
    Ok((sealed, until))
}

/// Whether a subscription is the caller's, and a WebSocket's.
pub(crate) fn own(caller: &Caller, registration: &Registration) -> Result<(), AppError> {
    check(caller.subject.actor().id, registration)
}

fn check(actor: ActorId, registration: &Registration) -> Result<(), AppError> {
    if registration.owner.actor != actor {
        return Err(AppError::not_found(format!(
            "Subscription/{}",
            registration.id
        )));
    }
    if registration.spec.channel.kind != ChannelKind::Websocket {
        return Err(AppError::Unprocessable(
            "the subscription's channel is no websocket: write one whose is".to_owned(),
        ));
    }
    if registration.spec.status != Status::Active {
        return Err(AppError::Conflict(
            "the subscription is not active: wait until it is".to_owned(),
        ));
    }
    Ok(())
}

/// One place among the connections of this process; given back when dropped.
pub struct Seat(App, TenantId);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.board().subscriptions.close_socket(self.1);
    }
}

/// A place for a connection of somebody who showed a valid token of a tenant, while there is one.
#[must_use]
pub fn seat(app: &App, tenant: TenantId) -> Option<Seat> {
    let most = app.settings().subscriptions.sockets;
    let free = app.board().subscriptions.open_socket(tenant, most);
    free.then(|| Seat(app.clone(), tenant))
}

/// A place for a connection that has shown no token yet; given back when dropped.
pub struct Waiting(App, Option<IpAddr>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.board().subscriptions.end_waiting(self.1);
    }
}

/// A place to show a token in, for somebody at an address, while there is one.
#[must_use]
pub fn waiting(app: &App, from: Option<IpAddr>) -> Option<Waiting> {
    let free = app.board().subscriptions.begin_waiting(from);
    free.then(|| Waiting(app.clone(), from))
}

/// Changes whenever deliveries were added in this process.
#[must_use]
pub fn arrivals(app: &App) -> watch::Receiver<u64> {
    app.board().subscriptions.arrivals()
}

/// A subscription that a connection is bound to.
#[derive(Debug)]
pub struct Bound {
    scope: TenantScope,
    /// The logical id.
    pub id: String,
    next: u64,
    last: Timestamp,
    greeted: bool,
}

impl Bound {
    /// Whose subscription it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.scope.tenant()
    }
}

/// Something to write to the connection.
#[derive(Debug)]
pub struct Frame {
    /// The text.
    pub text: String,
    upto: u64,
}

/// `bind :id` of plain R4, for somebody who is signed in.
pub async fn bind(app: &App, caller: &Caller, id: &str) -> Result<Bound, AppError> {
    let id: LogicalId = id
        .parse()
        .map_err(|_| AppError::Invalid("after bind stands no subscription's id".to_owned()))?;
    let key = super::lifecycle::key(app, id.as_str())?;
    crate::record::read::read(app, caller, &key).await?;
    bound(app, &caller.scope, id.as_str(), caller.subject.actor().id).await
}

/// `bind-with-token :token` of the backport.
pub async fn bind_with_token(app: &App, slug: &str, token: &str) -> Result<Vec<Bound>, AppError> {
    let refused = || AppError::from(crate::error::SignInError::Token);
    let tenant = tenants::by_slug(app, slug).await.map_err(|_| refused())?;
    let opened = cursor::open(app.settings(), tenant.id, &binding(), token);
    let token: Token = opened.map_err(|_| refused())?;
    if token.until <= app.now() || !tenant.accepts_sign_in() {
        return Err(refused());
    }
    let scope = scope(tenant.id);
    let mut all = Vec::with_capacity(token.ids.len());
    for id in &token.ids {
        all.push(bound(app, &scope, id, token.actor).await?);
    }
    Ok(all)
}

fn scope(tenant: TenantId) -> TenantScope {
    system_scope(tenant, SystemTask::Consumers)
}

async fn bound(app: &App, of: &TenantScope, id: &str, actor: ActorId) -> Result<Bound, AppError> {
    let scope = scope(of.tenant());
    let registration = registration(app, &scope, id).await?;
    let registration =
        registration.ok_or_else(|| AppError::not_found(format!("Subscription/{id}")))?;
    check(actor, &registration)?;
    let progress = progress(app, &scope, id).await?;
    Ok(Bound {
        id: id.to_owned(),
        next: progress.map_or(0, |found| found.value.done),
        last: app.now(),
        greeted: !registration.is_topic(),
        scope,
    })
}

async fn registration(
    app: &App,
    scope: &TenantScope,
    id: &str,
) -> Result<Option<Registration>, AppError> {
    let found = admin::load(app, scope, DocKind::Subscription, id).await?;
    Ok(found.map(|found| found.value))
}

async fn progress(
    app: &App,
    scope: &TenantScope,
    id: &str,
) -> Result<Option<Versioned<Progress>>, AppError> {
    admin::load(app, scope, DocKind::SubscriptionProgress, id).await
}

/// What a bound subscription has for its connection now.
///
/// # Errors
/// [`AppError::Gone`] when it is served no more: the connection is to be closed.
pub async fn frames(app: &App, bound: &mut Bound) -> Result<Vec<Frame>, AppError> {
    let scope = bound.scope.clone();
    let gone = || AppError::Gone {
        what: format!("Subscription/{}", bound.id),
        version: None,
        erased: false,
    };
    let registration = registration(app, &scope, &bound.id).await?;
    let registration = registration
        .filter(Registration::is_active)
        .ok_or_else(gone)?;
    let tenant = owner::tenant(app, &scope).await?.ok_or_else(gone)?;
    let caller = registration.owner.caller(app, &scope, &tenant).await?;
    let caller = caller.ok_or_else(gone)?;
    let mut frames = Vec::new();
    if !std::mem::replace(&mut bound.greeted, true) {
        frames.push(whole(app, &registration, Kind::Handshake, &[], bound.next));
    }
    if registration.events > bound.next {
        let (kind, id) = (DocKind::Delivery, &bound.id);
        let found: Vec<Delivery> = numbered(app, &scope, kind, id, bound.next, PAGE).await?;
        // Those that were swept before anybody came are not waited for, but said to be missing.
        let first = found.first().map(|delivery| delivery.number);
        let missing = first.map_or(registration.events, |first| first.saturating_sub(1));
        if missing > bound.next {
            let missing = (bound.next + 1, missing);
            gap::missed(app, &scope, &registration, missing).await?;
            bound.next = missing.1;
        }
        let topics = if registration.is_topic() {
            topic::all(app, scope.tenant()).await?
        } else {
            Vec::new()
        };
        let reader = Reader {
            app,
            scope: &scope,
            caller: &caller,
            agent: Some(&bound.id),
            content: registration.spec.channel.content,
            topics: &topics,
        };
        frames.extend(framed(app, &registration, &reader, &found).await?);
    }
    let beat = registration
        .spec
        .channel
        .heartbeat_s
        .filter(|_| registration.is_topic());
    if frames.is_empty() && beat.is_some_and(|period| app.now().seconds_since(bound.last) >= period)
    {
        frames.push(whole(app, &registration, Kind::Heartbeat, &[], bound.next));
    }
    Ok(frames)
}

async fn framed(
    app: &App,
    registration: &Registration,
    reader: &Reader<'_>,
    found: &[Delivery],
) -> Result<Vec<Frame>, AppError> {
    let mut frames = Vec::new();
    for delivery in found {
        let upto = delivery.number;
        match reader.item(registration, delivery).await? {
            Some(item) if registration.is_topic() => {
                frames.push(whole(app, registration, Kind::Event, &[item], upto));
            }
            Some(_) => frames.push(Frame {
                text: format!("ping {}", registration.id),
                upto,
            }),
            None => frames.push(Frame {
                text: String::new(),
                upto,
            }),
        }
    }
    Ok(frames)
}

fn whole(app: &App, registration: &Registration, kind: Kind, items: &[Item], upto: u64) -> Frame {
    let state = (registration.spec.status, None);
    let status = notice::status(registration, kind, state, items);
    let bundle = notice::bundle(app.ids().uuid(), app.now(), registration, &status, items);
    Frame {
        text: String::from_utf8(bundle).unwrap_or_default(),
        upto,
    }
}

/// Notes what was written to the connection.
pub async fn sent(app: &App, bound: &mut Bound, frame: &Frame) -> Result<(), AppError> {
    bound.last = app.now();
    if frame.upto <= bound.next {
        return Ok(());
    }
    bound.next = frame.upto;
    let counted = if frame.text.is_empty() {
        "dropped"
    } else {
        "delivered"
    };
    app.board()
        .subscriptions
        .count(ChannelKind::Websocket, counted, 1);
    let mut retry = Retry::new();
    loop {
        let found = progress(app, &bound.scope, &bound.id).await?;
        let mut value = found
            .as_ref()
            .map(|found| found.value.clone())
            .unwrap_or_default();
        // Another connection of the same subscription may be further.
        if value.done >= frame.upto {
            return Ok(());
        }
        value.done = frame.upto;
        value.last = Some(bound.last);
        let kind = DocKind::SubscriptionProgress;
        let before = expected(found.as_ref());
        let write = documents::write(app, kind, &bound.id, before, &value, None)?;
        if documents::operate(app, &bound.scope, vec![write]).await? || !retry.again().await {
            return Ok(());
        }
    }
}
