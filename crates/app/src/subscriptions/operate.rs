//! What people and programs may ask about subscriptions: their status, missed events, tokens for
//! WebSockets; and, for those who run the tenant, deliveries, dead letters and sending them again.

use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class;
use serde_json::json;
use store::{DocExpected, DocKind, Log};
use zeroize::Zeroizing;

use super::deliver::Replay;
use super::documents::{
    self, Delivery, DeliveryState, Progress, Registration, delivery_id, numbered,
};
use super::events::Reader;
use super::notice::{self, Kind};
use super::resource::{ChannelKind, Content, Status};
use super::{channel, gap, lifecycle, matcher, socket, topic};
use crate::App;
use crate::admin::{self, Versioned};
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::record::{read, update};
use crate::unit::UnitOfWork;

/// Most events in one answer.
const EVENTS: u32 = 100;
/// Most deliveries in one page, and in one request to send again.
pub const DELIVERIES: u32 = 500;

async fn load(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<Option<(Registration, Progress)>, AppError> {
    let found = admin::load(app, &caller.scope, DocKind::Subscription, id).await?;
    let Some(Versioned { value, .. }) = found else {
        return Ok(None);
    };
    let kind = DocKind::SubscriptionProgress;
    let progress = admin::load(app, &caller.scope, kind, id).await?;
    Ok(Some((
        value,
        progress.map(|found| found.value).unwrap_or_default(),
    )))
}

// One that was stored and is not registered yet answers as if it were not there, for a moment.
fn missing(id: &str) -> AppError {
    AppError::not_found(format!("Subscription/{id}"))
}

async fn readable(
    app: &App,
    caller: &Caller,
    id: &LogicalId,
) -> Result<(Registration, Progress), AppError> {
    let key = lifecycle::key(app, id.as_str())?;
    read::read(app, caller, &key).await?;
    let found = load(app, caller, id.as_str()).await?;
    found.ok_or_else(|| missing(id.as_str()))
}

/// `$status`: a Bundle with the status of each subscription that the caller may read. None named: all.
pub async fn status(app: &App, caller: &Caller, ids: &[LogicalId]) -> Result<Vec<u8>, AppError> {
    let mut found = Vec::new();
    if ids.is_empty() {
        let key = lifecycle::key(app, "all")?;
        for interaction in [Interaction::Search, Interaction::Read] {
            authorise(app, caller, &Ask::of_type(interaction, key.ty)).await?;
        }
        let all: Vec<Versioned<Registration>> =
            admin::all(app, &caller.scope, DocKind::Subscription).await?;
        for one in all.into_iter().take(DELIVERIES as usize) {
            found.extend(load(app, caller, &one.value.id).await?);
        }
    }
    for id in ids {
        found.push(readable(app, caller, id).await?);
    }
    let entries: Vec<_> = found
        .iter()
        .map(|(registration, progress)| {
            let state = state(registration, progress);
            let error = problem(registration, progress);
            let error = error.as_deref();
            let parameters = notice::status(registration, Kind::QueryStatus, (state, error), &[]);
            json!({
                "fullUrl": format!("{}/Subscription/{}/$status", caller.context.base, registration.id),
                "resource": parameters,
                "search": {"mode": "match"},
            })
        })
        .collect();
    let bundle = json!({
        "resourceType": "Bundle", "type": "searchset", "total": entries.len(), "entry": entries,
    });
    Ok(serde_json::to_vec(&bundle)?)
}

fn state(registration: &Registration, progress: &Progress) -> Status {
    if progress.stopped == Some(registration.asked) {
        Status::Error
    } else {
        registration.spec.status
    }
}

// What went wrong, and what was missed.
fn problem(registration: &Registration, progress: &Progress) -> Option<String> {
    match (progress.error.clone(), gap::notice(registration, progress)) {
        (Some(error), Some(gap)) => Some(format!("{error}; {gap}")),
        (error, gap) => error.or(gap),
    }
}

/// Which events to show again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// The first.
    pub since: Option<u64>,
    /// The last.
    pub until: Option<u64>,
    /// How much of them; the subscription's own content where not said.
    pub content: Option<Content>,
}

/// `$events`: events that happened already, as a notification Bundle. Shown is what the caller may see.
pub async fn events(
    app: &App,
    caller: &Caller,
    id: &LogicalId,
    range: Range,
) -> Result<Vec<u8>, AppError> {
    let (registration, progress) = readable(app, caller, id).await?;
    let since = range.since.unwrap_or(1).max(1);
    let kind = DocKind::Delivery;
    let found: Vec<Delivery> =
        numbered(app, &caller.scope, kind, id.as_str(), since - 1, EVENTS).await?;
    let topics = topic::all(app, caller.scope.tenant()).await?;
    let reader = Reader {
        app,
        scope: &caller.scope,
        caller,
        agent: None,
        content: range.content.unwrap_or(registration.spec.channel.content),
        topics: &topics,
    };
    let until = range.until.unwrap_or(u64::MAX);
    let mut items = Vec::new();
    for delivery in found.iter().filter(|delivery| delivery.number <= until) {
        items.extend(reader.item(&registration, delivery).await?);
    }
    let error = problem(&registration, &progress);
    let state = (state(&registration, &progress), error.as_deref());
    let status = notice::status(&registration, Kind::QueryEvent, state, &items);
    let id = app.ids().uuid();
    Ok(notice::bundle(
        id,
        app.now(),
        &registration,
        &status,
        &items,
    ))
}

/// `$get-ws-binding-token`: Parameters with a token that binds a WebSocket to subscriptions of the
/// caller. `url` is where WebSockets are opened.
pub async fn binding_token(
    app: &App,
    caller: &Caller,
    ids: &[LogicalId],
    url: &str,
) -> Result<Vec<u8>, AppError> {
    if ids.is_empty() {
        return Err(AppError::Invalid(
            "no subscription is named: give its id".to_owned(),
        ));
    }
    for id in ids {
        let (registration, _) = readable(app, caller, id).await?;
        socket::own(caller, &registration)?;
    }
    let (token, until) = socket::token(app, caller, ids)?;
    let mut parts = vec![
        json!({"name": "token", "valueString": token}),
        json!({"name": "expiration", "valueDateTime": until.to_fhir_instant()}),
    ];
    parts.extend(
        ids.iter()
            .map(|id| json!({"name": "subscription", "valueString": id.as_str()})),
    );
    parts.push(json!({"name": "websocket-url", "valueUrl": url}));
    let parameters = json!({"resourceType": "Parameters", "parameter": parts});
    Ok(serde_json::to_vec(&parameters)?)
}

/// A subscription as those who run the tenant see it: no criteria, no endpoint, no headers.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The logical id.
    pub id: String,
    /// How it stands.
    pub status: Status,
    /// How it is notified.
    pub channel: ChannelKind,
    /// Events so far.
    pub events: u64,
    /// Events that wait.
    pub waiting: u64,
    /// When the one that has waited longest happened.
    pub oldest: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// When the next attempt is made, while it fails.
    pub next: Option<Timestamp>,
    /// When something was acknowledged last.
    pub last: Option<Timestamp>,
    /// The last failure.
    pub error: Option<String>,
    /// Entries of the change ledger that were not compared with it yet.
    pub behind: u64,
    /// What it was not told of since it was written, where it stood still for too long.
    pub gap: Option<String>,
}

/// Every subscription of the tenant.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Overview>, AppError> {
    admin::allow(app, caller, Interaction::ViewHealth).await?;
    let all: Vec<Versioned<Registration>> =
        admin::all(app, &caller.scope, DocKind::Subscription).await?;
    let unseen = crate::consumers::unseen(app, &caller.scope, matcher::NAME).await?;
    let size = app
        .store()
        .log_head(&caller.scope, Log::Changes)
        .await?
        .size;
    let mut shown = Vec::with_capacity(all.len());
    for found in all {
        let kind = DocKind::SubscriptionProgress;
        let progress = admin::load(app, &caller.scope, kind, &found.value.id).await?;
        let progress: Progress = progress.map(|found| found.value).unwrap_or_default();
        let registration = found.value;
        let waiting = registration.events.saturating_sub(progress.done);
        let oldest = if waiting > 0 {
            let place = delivery_id(&registration.id, progress.done.saturating_add(1));
            let found = admin::load(app, &caller.scope, DocKind::Delivery, &place).await?;
            found.map(|found: Versioned<Delivery>| found.value.time)
        } else {
            None
        };
        shown.push(Overview {
            status: state(&registration, &progress),
            channel: registration.spec.channel.kind,
            events: registration.events,
            waiting,
            oldest,
            failures: progress.failures,
            next: progress.next,
            last: progress.last,
            gap: gap::notice(&registration, &progress),
            behind: match (registration.held, registration.spec.status) {
                (Some(held), _) => size.saturating_sub(held),
                (None, Status::Off) => 0,
                (None, _) => unseen,
            },
            error: progress.error,
            id: registration.id,
        });
    }
    Ok(shown)
}

/// How many changes of the record have not been compared with the subscriptions yet.
pub async fn unseen(app: &App, caller: &Caller) -> Result<u64, AppError> {
    admin::allow(app, caller, Interaction::ViewHealth).await?;
    crate::consumers::unseen(app, &caller.scope, matcher::NAME).await
}

/// Asks for a subscription to be served again, or ends it: a version with that status, written by the
/// caller, under whose authority it is served from then on. Whoever may not write it is refused.
pub async fn switch(app: &App, caller: &Caller, id: &LogicalId, on: bool) -> Result<(), AppError> {
    let key = lifecycle::key(app, id.as_str())?;
    let current = read::read(app, caller, &key).await?;
    let body = current.body.ok_or_else(|| missing(id.as_str()))?;
    let mut resource: serde_json::Value = serde_json::from_slice(&body)?;
    if let Some(members) = resource.as_object_mut() {
        let status = if on { Status::Requested } else { Status::Off };
        members.insert("status".to_owned(), status.as_str().into());
        members.remove("error");
    }
    let bytes = serde_json::to_vec(&resource)?.into();
    update::update(app, caller, &key, bytes, Some(current.version)).await?;
    app.board().subscriptions.poke(caller.scope.tenant());
    Ok(())
}

/// A delivery as those who run the tenant see it: of which type, not of whom.
#[derive(Debug, Clone)]
pub struct DeliveryView {
    /// Its event's number.
    pub number: u64,
    /// When it happened.
    pub time: Timestamp,
    /// The resource type.
    pub resource_type: String,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The last failure.
    pub error: Option<String>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// Deliveries of a subscription after an event number, in order; of one state where given.
pub async fn deliveries(
    app: &App,
    caller: &Caller,
    id: &LogicalId,
    after: u64,
    state: Option<DeliveryState>,
) -> Result<Vec<DeliveryView>, AppError> {
    admin::allow(app, caller, Interaction::ViewHealth).await?;
    if load(app, caller, id.as_str()).await?.is_none() {
        return Err(missing(id.as_str()));
    }
    let mut shown = Vec::new();
    let mut after = after;
    // Pages are looked through until enough are found.
    loop {
        let kind = DocKind::Delivery;
        let found: Vec<Delivery> =
            numbered(app, &caller.scope, kind, id.as_str(), after, DELIVERIES).await?;
        let Some(last) = found.last() else {
            return Ok(shown);
        };
        after = last.number;
        let wanted = found
            .into_iter()
            .filter(|delivery| state.is_none_or(|state| delivery.state == state));
        shown.extend(wanted.map(|delivery| DeliveryView {
            number: delivery.number,
            time: delivery.time,
            resource_type: delivery.focus.0,
            state: delivery.state,
            attempts: delivery.attempts,
            error: delivery.error,
            ended: delivery.ended,
        }));
        if shown.len() >= DELIVERIES as usize {
            shown.truncate(DELIVERIES as usize);
            return Ok(shown);
        }
    }
}

/// Asks for events to be sent again: those named, or every dead letter. Returns how many.
pub async fn replay(
    app: &App,
    caller: &Caller,
    id: &LogicalId,
    numbers: Option<&[u64]>,
) -> Result<usize, AppError> {
    admin::allow(app, caller, Interaction::ManageSettings).await?;
    let found = load(app, caller, id.as_str()).await?;
    let (registration, progress) = found.ok_or_else(|| missing(id.as_str()))?;
    if state(&registration, &progress) != Status::Active {
        return Err(AppError::Conflict(
            "the subscription is not active: write it with status requested first".to_owned(),
        ));
    }
    if registration.spec.channel.kind == ChannelKind::Websocket {
        return Err(AppError::Unprocessable(
            "events of a WebSocket are fetched again with $events".to_owned(),
        ));
    }
    let numbers = wanted(app, caller, id, numbers).await?;
    let mut unit = UnitOfWork::begin(app, &caller.scope);
    let mut count = 0;
    for number in numbers {
        let place = delivery_id(id.as_str(), number);
        let there = app
            .store()
            .doc(&caller.scope, DocKind::Delivery, &place)
            .await?;
        if there.is_none() || number > progress.done {
            continue;
        }
        let asked = app.now();
        let replay = Replay { number, asked };
        let any = DocExpected::Any;
        unit = unit.doc(documents::write(
            app,
            DocKind::Replay,
            &place,
            any,
            &replay,
            None,
        )?);
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    let detail = format!("{count} events of Subscription/{}", id.as_str());
    let what = "subscription-replay";
    let entry = house_entry(app, caller, Log::Changes, Class::Job, what, Some(detail));
    unit.entry(entry).commit().await?;
    app.board().subscriptions.poke(caller.scope.tenant());
    Ok(count)
}

// The events named, or every dead letter of a page.
async fn wanted(
    app: &App,
    caller: &Caller,
    id: &LogicalId,
    numbers: Option<&[u64]>,
) -> Result<Vec<u64>, AppError> {
    let Some(numbers) = numbers else {
        let dead = Some(DeliveryState::Dead);
        let found = deliveries(app, caller, id, 0, dead).await?;
        return Ok(found.iter().map(|delivery| delivery.number).collect());
    };
    if numbers.len() > DELIVERIES as usize {
        return Err(AppError::TooLarge(format!(
            "{} events are more than the {DELIVERIES} that may be asked for at once",
            numbers.len()
        )));
    }
    Ok(numbers.to_vec())
}

/// The key that a subscription's calls are signed with, for whoever may change the subscription.
pub async fn signing_key(
    app: &App,
    caller: &Caller,
    id: &LogicalId,
) -> Result<Zeroizing<String>, AppError> {
    let key = lifecycle::key(app, id.as_str())?;
    authorise(app, caller, &Ask::record(Interaction::Update, &key, &[])).await?;
    if load(app, caller, id.as_str()).await?.is_none() {
        return Err(missing(id.as_str()));
    }
    let detail = format!("signing key of Subscription/{}", id.as_str());
    let what = "subscription-key-shown";
    let entry = house_entry(app, caller, Log::Access, Class::Key, what, Some(detail));
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    Ok(channel::signing_key(app, caller.scope.tenant(), id.as_str()).shown())
}
