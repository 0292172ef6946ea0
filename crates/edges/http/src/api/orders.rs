//! Orders of medicines: drafts, their steps, what arrived. Must not say more of a resident than the order
//! does.

use app::medicines::orders::{
    self as use_case, Arrived, Filter, NewDelivery, NewLine, NewOrder, Sending, Shown,
};
use axum::response::Response;
use kernel::Timestamp;
use medication::ids::{ItemId, LocationId, OrderId, ResidentId};
use medication::stock::{Batch, Units};
use medication::supply::{Kind, Packs, State, Why};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, created, failed, id, input, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    let one = "/t/{tenant}/api/v1/orders/{id}";
    let all = "/t/{tenant}/api/v1/orders";
    vec![
        Route::get(all, "orders-list", failed, list),
        Route::post(all, "order-draft", failed, draft),
        Route::get(one, "order-show", failed, show),
        Route::post(
            "/t/{tenant}/api/v1/orders/{id}/approve",
            "order-approve",
            failed,
            approve,
        ),
        Route::post(
            "/t/{tenant}/api/v1/orders/{id}/submit",
            "order-submit",
            failed,
            submit,
        ),
        Route::post(
            "/t/{tenant}/api/v1/orders/{id}/cancel",
            "order-cancel",
            failed,
            cancel,
        ),
        Route::post(
            "/t/{tenant}/api/v1/orders/{id}/report",
            "order-report",
            failed,
            report,
        ),
        Route::post(
            "/t/{tenant}/api/v1/orders/{id}/status",
            "order-status",
            failed,
            status,
        ),
        Route::post(
            "/t/{tenant}/api/v1/orders/{id}/receive",
            "order-receive",
            failed,
            receive,
        ),
        Route::post(
            "/t/{tenant}/api/v1/orders/{id}/close",
            "order-close",
            failed,
            close,
        ),
    ]
}

fn kinds() -> utoipa::openapi::schema::Schema {
    super::one_of(Kind::ALL.iter().map(|own| own.code()))
}
fn states() -> utoipa::openapi::schema::Schema {
    super::one_of(State::ALL.iter().map(|own| own.code()))
}

/// Packs of one size.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PacksView {
    /// How many.
    pub(super) count: u32,
    /// How much each holds, a decimal as text.
    #[schema(value_type = String)]
    pub(super) holds: Units,
}

/// A line of an order with what arrived.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderLineView {
    /// The medicine.
    item: String,
    /// Its dm+d code.
    code: String,
    /// Its name.
    name: String,
    /// How much is asked for.
    quantity: String,
    /// Of which unit.
    unit: String,
    /// In which packs.
    packs: Option<PacksView>,
    /// The dose in words.
    dose: Option<String>,
    /// How much arrived.
    arrived: String,
}

/// A step of an order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderStepView {
    /// What happened.
    event: String,
    /// When.
    at: String,
    /// Who; null for what the other side reported.
    by: Option<String>,
}

/// A message that waits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderSendingView {
    /// `order`, `cancel` or `receipt-1`.
    what: String,
    /// Attempts so far.
    attempts: u32,
    /// When it is tried next; null where it waits for a person.
    next: Option<String>,
    /// Whether the other side may have it although nobody knows.
    unknown: bool,
    /// What went wrong last.
    error: Option<String>,
}

/// What is missing of a medicine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderChaseView {
    /// The medicine.
    item: String,
    /// Its name.
    name: String,
    /// How much is missing.
    missing: String,
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderDeliveryView {
    /// The number of its note.
    note: String,
    /// When it came.
    at: String,
    /// What was set aside.
    problems: Vec<String>,
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    /// Its id: that of its Task, too.
    id: String,
    /// A request for a prescription, or an order of goods.
    #[schema(schema_with = kinds)]
    kind: Kind,
    /// Where it stands.
    #[schema(schema_with = states)]
    state: State,
    /// Since when.
    since: String,
    /// The partner.
    partner: String,
    /// The logical id of the Patient it is for; null for common stock.
    resident: Option<String>,
    /// The logical id of the Location it goes to.
    location: String,
    /// Which cycle it is for.
    cycle: String,
    /// What it costs, where the prices are known.
    cost: Option<String>,
    /// The other side's number.
    reference: Option<String>,
    /// Who drafted it.
    drafted_by: String,
    /// When.
    drafted: String,
    /// Why a program drafted it and did not send it; null where a person did.
    automatic: Option<Vec<String>>,
    /// What is asked for.
    lines: Vec<OrderLineView>,
    /// What happened.
    trail: Vec<OrderStepView>,
    /// What waits to be sent.
    sending: Vec<OrderSendingView>,
    /// What is missing.
    chase: Vec<OrderChaseView>,
    /// The deliveries.
    deliveries: Vec<OrderDeliveryView>,
    /// What was said.
    said: Vec<String>,
}

fn sending(own: Sending) -> OrderSendingView {
    OrderSendingView {
        what: own.what,
        attempts: own.attempts,
        next: own.next.map(|own| own.to_string()),
        unknown: own.unknown,
        error: own.error,
    }
}

fn plain(own: Decimal) -> String {
    own.normalize().to_string()
}

/// A reason of a program, as a word.
pub(super) fn why(own: &Why) -> String {
    match own {
        Why::Duplicate(id) => format!("duplicate of {id}"),
        own => serde_json::to_value(own)
            .ok()
            .and_then(|own| own.as_str().map(str::to_owned))
            .unwrap_or_default(),
    }
}

impl From<Shown> for OrderView {
    fn from(own: Shown) -> Self {
        let kept = own.kept;
        let lines = own.lines.into_iter().map(|own| OrderLineView {
            item: own.line.item.to_string(),
            code: own.line.code,
            name: own.line.name,
            quantity: own.line.quantity.to_string(),
            unit: own.line.unit.name().to_owned(),
            packs: own.line.packs.map(|own| PacksView {
                count: own.count,
                holds: own.holds,
            }),
            dose: Some(own.dose).filter(|own| !own.is_empty()),
            arrived: plain(own.arrived),
        });
        let trail = kept.trail.iter().map(|own| OrderStepView {
            event: own.event.code().to_owned(),
            at: own.at.to_string(),
            by: own.by.map(|own| own.as_uuid().to_string()),
        });
        let chase = own.chase.into_iter().map(|own| OrderChaseView {
            item: own.item.to_string(),
            name: own.name,
            missing: own.missing.to_string(),
        });
        let deliveries = kept.notes.iter().map(|own| OrderDeliveryView {
            note: own.note.clone(),
            at: own.at.to_string(),
            problems: own.problems.clone(),
        });
        let automatic = kept.automatic.as_ref();
        Self {
            state: own.state,
            since: own.since.to_string(),
            lines: lines.collect(),
            trail: trail.collect(),
            sending: own.sending.into_iter().map(sending).collect(),
            chase: chase.collect(),
            deliveries: deliveries.collect(),
            said: kept.said.iter().map(|own| own.text.clone()).collect(),
            id: kept.id.to_string(),
            kind: kept.kind,
            partner: kept.partner.clone(),
            resident: kept.resident.as_ref().map(ToString::to_string),
            location: kept.location.to_string(),
            cycle: kept.cycle.clone(),
            cost: kept
                .cost
                .map(|own| format!("{} {}", own.amount(), own.currency().code())),
            reference: kept.reference.clone(),
            drafted_by: kept.drafted_by.as_uuid().to_string(),
            drafted: kept.drafted.to_string(),
            automatic: automatic.map(|own| own.iter().map(why).collect()),
        }
    }
}

/// A line of a draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderLineInput {
    /// The dm+d code.
    code: String,
    /// The id of the home's own medicine; named by its code where it is left out.
    item: Option<String>,
    /// Its name, where neither the catalogue nor the dictionary has it.
    name: Option<String>,
    /// How much, a decimal as text.
    #[schema(value_type = String)]
    quantity: Units,
    /// Of which unit, where the catalogue does not say.
    unit: Option<String>,
    /// In which packs; they come to the quantity.
    packs: Option<PacksView>,
    /// The dose in words.
    dose: Option<String>,
}

/// A draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderInput {
    /// `repeat` asks for a prescription, `direct` orders goods.
    #[schema(schema_with = kinds)]
    kind: Kind,
    /// The id of the partner.
    partner: String,
    /// The logical id of the Patient it is for; left out for common stock.
    resident: Option<String>,
    /// The logical id of the Location it goes to.
    location: String,
    /// Which cycle it is for, such as `2026-03`: the same content in the same cycle is one order.
    cycle: String,
    /// Raise it to ask for the same again on purpose.
    #[serde(default)]
    attempt: u32,
    /// What is asked for.
    lines: Vec<OrderLineInput>,
}

/// Why an order is called off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderCancelInput {
    /// Why.
    reason: String,
}

/// What the other side said by telephone or mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderReportInput {
    /// Where it stands by them.
    #[schema(schema_with = states)]
    state: State,
    /// In which words.
    note: Option<String>,
}

/// One thing of a delivery.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArrivedInput {
    /// Which medicine of the order; left out where it is not known.
    item: Option<String>,
    /// What the label says.
    label: String,
    /// For whom, by the label: the logical id of the Patient.
    resident: Option<String>,
    /// How much, a decimal as text.
    #[schema(value_type = String)]
    quantity: Units,
    /// The batch.
    lot: Option<String>,
    /// Its last day.
    expiry: Option<String>,
    /// The serial number.
    serial: Option<String>,
}

/// A delivery.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryInput {
    /// The number of the delivery note: the same note counts once.
    note: String,
    /// When it came; now.
    at: Option<String>,
    /// What came.
    things: Vec<ArrivedInput>,
}

impl OrderInput {
    fn read(self) -> Result<NewOrder, EdgeError> {
        let lines = self.lines.into_iter().map(|own| {
            Ok(NewLine {
                code: own.code,
                item: own.item.as_deref().map(id::<ItemId>).transpose()?,
                name: own.name,
                quantity: own.quantity,
                unit: own.unit,
                packs: own.packs.map(|own| Packs {
                    count: own.count,
                    holds: own.holds,
                }),
                dose: own.dose,
            })
        });
        Ok(NewOrder {
            kind: self.kind,
            partner: self.partner,
            resident: self.resident.as_deref().map(id::<ResidentId>).transpose()?,
            location: id::<LocationId>(&self.location)?,
            cycle: self.cycle,
            attempt: self.attempt,
            lines: lines.collect::<Result<_, EdgeError>>()?,
        })
    }
}

impl DeliveryInput {
    fn read(self) -> Result<NewDelivery, EdgeError> {
        let instant = |text: &str| {
            Timestamp::from_rfc3339(text)
                .ok_or_else(|| malformed("at is no instant: give one such as 2026-03-05T08:09:10Z"))
        };
        let things = self.things.into_iter().map(|own| {
            let expiry = own.expiry.as_deref().map(str::parse).transpose();
            Ok(Arrived {
                item: own.item.as_deref().map(id::<ItemId>).transpose()?,
                label: own.label,
                resident: own.resident.as_deref().map(id::<ResidentId>).transpose()?,
                quantity: own.quantity,
                batch: Batch {
                    expiry: expiry
                        .map_err(|_| malformed("expiry is no day: give one such as 2027-01-31"))?,
                    lot: own.lot,
                    serial: own.serial,
                },
            })
        });
        Ok(NewDelivery {
            note: self.note,
            at: self.at.as_deref().map(instant).transpose()?,
            things: things.collect::<Result<_, EdgeError>>()?,
        })
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/orders", tag = "orders",
    params(("tenant" = String, Path), ("show" = Option<String>, Query, description = "`open`, `chase` or `done`; `open` where it is left out")),
    responses((status = 200, description = "the orders that the caller reaches, those that wait longest first", body = Vec<OrderView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let params = query(arrival.raw_query())?;
    let filter = match params.iter().find(|own| own.0 == "show") {
        None => Filter::Open,
        Some((_, word)) => match word.as_str() {
            "open" => Filter::Open,
            "chase" => Filter::Chase,
            "done" => Filter::Done,
            _ => return Err(malformed("show is open, chase or done")),
        },
    };
    let found = use_case::list(arrival.app(), &caller, filter).await?;
    let shown: Vec<OrderView> = found.into_iter().map(OrderView::from).collect();
    json_answer(&shown)
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders", tag = "orders",
    params(("tenant" = String, Path)), request_body = OrderInput,
    responses((status = 201, description = "the draft; the one of before where the same was drafted", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn draft(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let new: OrderInput = input(&mut arrival).await?;
    let made = use_case::draft(arrival.app(), &caller, new.read()?).await?;
    created(&OrderView::from(made))
}

/// The caller and the order of an address.
async fn addressed(arrival: &mut Arrival) -> Result<(app::Caller, OrderId), EdgeError> {
    let (tenant, order): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(arrival)?;
    Ok((caller, id(&order)?))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/orders/{id}", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the order", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let own = use_case::show(arrival.app(), &caller, &id).await?;
    json_answer(&OrderView::from(own))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders/{id}/approve", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the order, approved by somebody else than who drafted it", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn approve(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let own = use_case::approve(arrival.app(), &caller, &id).await?;
    json_answer(&OrderView::from(own))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders/{id}/submit", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the order; what is sent, and how that stands, is under `sending`", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn submit(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let own = use_case::submit(arrival.app(), &caller, &id).await?;
    json_answer(&OrderView::from(own))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders/{id}/cancel", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = OrderCancelInput,
    responses((status = 200, description = "the order: cancelled where nobody has it, else when the other side says so", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn cancel(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let new: OrderCancelInput = input(&mut arrival).await?;
    let own = use_case::cancel(arrival.app(), &caller, &id, &new.reason).await?;
    json_answer(&OrderView::from(own))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders/{id}/report", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = OrderReportInput,
    responses((status = 200, description = "the order with what the other side said", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn report(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let new: OrderReportInput = input(&mut arrival).await?;
    let said = (new.state, new.note);
    let own = use_case::report(arrival.app(), &caller, &id, said).await?;
    json_answer(&OrderView::from(own))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders/{id}/status", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the order, after the partner was asked where it stands", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn status(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let own = use_case::refresh(arrival.app(), &caller, &id).await?;
    json_answer(&OrderView::from(own))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders/{id}/receive", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = DeliveryInput,
    responses((status = 200, description = "the order with what arrived, what was set aside and what is to be chased", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn receive(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let new: DeliveryInput = input(&mut arrival).await?;
    let own = use_case::receive(arrival.app(), &caller, &id, &new.read()?).await?;
    json_answer(&OrderView::from(own))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/orders/{id}/close", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the order, closed: what came was compared with what was asked for", body = OrderView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn close(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (caller, id) = addressed(&mut arrival).await?;
    let own = use_case::reconcile(arrival.app(), &caller, &id).await?;
    json_answer(&OrderView::from(own))
}
