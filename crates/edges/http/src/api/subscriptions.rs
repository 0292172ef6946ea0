//! Subscriptions as those who run the tenant see them: how they stand, deliveries and dead letters, and
//! sending again. Names neither patients nor endpoints.

use app::subscriptions::operate::{self, DeliveryView, Overview};
use app::subscriptions::{ChannelKind, DeliveryState, Status};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, failed, input, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    let all = "/t/{tenant}/api/v1/subscriptions";
    let deliveries = "/t/{tenant}/api/v1/subscriptions/{id}/deliveries";
    let again = "/t/{tenant}/api/v1/subscriptions/{id}/replay";
    let key = "/t/{tenant}/api/v1/subscriptions/{id}/signing-key";
    vec![
        Route::get(all, "subscriptions-list", failed, list),
        Route::get(deliveries, "deliveries-list", failed, deliveries_of),
        Route::post(again, "subscription-replay", failed, replay),
        Route::get(key, "subscription-key", failed, signing_key),
    ]
}

fn statuses() -> utoipa::openapi::schema::Schema {
    super::one_of(["requested", "active", "error", "off"])
}

fn channels() -> utoipa::openapi::schema::Schema {
    super::one_of(ChannelKind::ALL.map(ChannelKind::as_str))
}

fn states() -> utoipa::openapi::schema::Schema {
    super::one_of(["waiting", "delivered", "dead", "dropped"])
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView {
    /// The logical id of the Subscription.
    id: String,
    /// How it stands.
    #[schema(schema_with = statuses)]
    status: Status,
    /// How it is notified.
    #[schema(schema_with = channels)]
    channel: ChannelKind,
    /// Events so far.
    events: u64,
    /// Events that wait.
    waiting: u64,
    /// Failures in a row.
    failures: u32,
    /// When the next attempt is made, while it fails.
    next_attempt: Option<String>,
    /// When something was acknowledged last.
    last_acknowledged: Option<String>,
    /// The last failure.
    error: Option<String>,
    /// Entries of the change ledger that were not compared with it yet.
    behind: u64,
    /// What it was not told of since it was written, where it stood still for longer than things are kept.
    gap: Option<String>,
}

impl From<Overview> for SubscriptionView {
    fn from(found: Overview) -> Self {
        Self {
            id: found.id,
            status: found.status,
            channel: found.channel,
            events: found.events,
            waiting: found.waiting,
            failures: found.failures,
            next_attempt: found.next.map(|time| time.to_string()),
            last_acknowledged: found.last.map(|time| time.to_string()),
            error: found.error,
            behind: found.behind,
            gap: found.gap,
        }
    }
}

/// One event of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Its number: contiguous from 1 in a subscription.
    number: u64,
    /// When it happened.
    time: String,
    /// The type of the resource it happened to.
    resource_type: String,
    /// How it stands; `dead` was given up, `dropped` had nothing left that may be sent.
    #[schema(schema_with = states)]
    state: DeliveryState,
    /// Attempts so far.
    attempts: u32,
    /// The last failure.
    error: Option<String>,
    /// When it ended.
    ended: Option<String>,
}

impl From<DeliveryView> for EventView {
    fn from(found: DeliveryView) -> Self {
        Self {
            number: found.number,
            time: found.time.to_string(),
            resource_type: found.resource_type,
            state: found.state,
            attempts: found.attempts,
            error: found.error,
            ended: found.ended.map(|time| time.to_string()),
        }
    }
}

/// What is to be sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayInput {
    /// Event numbers; left out: every dead letter.
    events: Option<Vec<u64>>,
}

/// How many are sent again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayView {
    /// Events.
    events: usize,
}

/// A signing key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKeyView {
    /// `whsec_` and base64: give it to the receiver.
    secret: String,
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/subscriptions", tag = "subscriptions",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the subscriptions", body = Vec<SubscriptionView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = operate::list(arrival.app(), &caller).await?;
    let shown: Vec<_> = found.into_iter().map(SubscriptionView::from).collect();
    json_answer(&shown)
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/subscriptions/{id}/deliveries", tag = "subscriptions",
    params(
        ("tenant" = String, Path), ("id" = String, Path),
        ("state" = Option<String>, Query, description = "only those in this state, such as dead"),
        ("after" = Option<u64>, Query, description = "only those after this event number"),
    ),
    responses((status = 200, description = "at most 500, in order", body = Vec<EventView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn deliveries_of(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let params = query(arrival.raw_query())?;
    let value = |name: &str| {
        let found = params.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    };
    let state = match value("state") {
        None => None,
        Some("waiting") => Some(DeliveryState::Waiting),
        Some("delivered") => Some(DeliveryState::Delivered),
        Some("dead") => Some(DeliveryState::Dead),
        Some("dropped") => Some(DeliveryState::Dropped),
        Some(_) => {
            return Err(malformed(
                "state is none of waiting, delivered, dead, dropped",
            ));
        }
    };
    let after = value("after").map_or(Ok(0), str::parse);
    let after = after.map_err(|_| malformed("after is no event number: give a whole number"))?;
    let id = logical_id(&id)?;
    let found = operate::deliveries(arrival.app(), &caller, &id, after, state).await?;
    let shown: Vec<_> = found.into_iter().map(EventView::from).collect();
    json_answer(&shown)
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/subscriptions/{id}/replay", tag = "subscriptions",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = ReplayInput,
    responses((status = 200, description = "how many are sent again", body = ReplayView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn replay(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: ReplayInput = input(&mut arrival).await?;
    let id = logical_id(&id)?;
    let events = wanted.events.as_deref();
    let events = operate::replay(arrival.app(), &caller, &id, events).await?;
    json_answer(&ReplayView { events })
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/subscriptions/{id}/signing-key", tag = "subscriptions",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the key that calls of this subscription are signed with", body = SigningKeyView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn signing_key(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let id = logical_id(&id)?;
    let secret = operate::signing_key(arrival.app(), &caller, &id).await?;
    json_answer(&SigningKeyView {
        secret: secret.to_string(),
    })
}
