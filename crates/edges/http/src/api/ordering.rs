//! Orders that a program proposes: how the house wants it, what it would do, doing it. Must not leave out a
//! reason.

use app::medicines::orders::automatic::{self as use_case, Decided, Plan};
use app::medicines::orders::daily::{self, NoTime, Standing};
use axum::response::Response;
use medication::supply::{Action, Currency, Kind, Mode, Money, Policy};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::orders::{PacksView, why};
use super::{ProblemResponses, failed, id, input, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    let plan = "/t/{tenant}/api/v1/ordering/plan";
    vec![
        Route::get(plan, "ordering-plan", failed, show),
        Route::put(plan, "ordering-plan-set", failed, set),
        Route::get(
            "/t/{tenant}/api/v1/ordering/dry-run",
            "ordering-dry-run",
            failed,
            dry_run,
        ),
        Route::post(
            "/t/{tenant}/api/v1/ordering/run",
            "ordering-run",
            failed,
            run,
        ),
    ]
}

fn modes() -> utoipa::openapi::schema::Schema {
    super::one_of(["off", "dry_run", "approval", "automatic"])
}
fn kinds() -> utoipa::openapi::schema::Schema {
    super::one_of(Kind::ALL.iter().map(|own| own.code()))
}
fn actions() -> utoipa::openapi::schema::Schema {
    super::one_of(["nothing", "by_hand", "draft", "would_ask", "send"])
}

/// How a house wants orders to be proposed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderingPlan {
    /// `off`, `dry_run`, `approval` (a person approves each draft) or `automatic` (goods are sent within the cap).
    #[schema(schema_with = modes)]
    mode: Mode,
    /// What may be spent in a cycle, a decimal as text.
    #[schema(value_type = String)]
    cap: Decimal,
    /// Of which currency (ISO 4217).
    currency: String,
    /// Days of a cycle, 1 to 92.
    days: u16,
    /// Days beyond it that should be there too, at most 92.
    reserve_days: u16,
    /// The id of the partner that goods are ordered from.
    goods: Option<String>,
    /// The id of the partner that prescriptions are asked of.
    prescriptions: Option<String>,
    /// The id of the Location where what is not kept anywhere yet goes.
    location: Option<String>,
    /// At what time of the day (`02:30`, by the clocks of the house) the platform runs it by itself; null or left
    /// out, and by default: never.
    daily: Option<String>,
}

/// What a run by the clock came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DailyRun {
    /// When it was due.
    due: String,
    /// When it was tried last.
    at: String,
    /// Drafts that a person approves; null where it failed, as the others.
    drafts: Option<usize>,
    /// Orders that were sent.
    sent: Option<usize>,
    /// What would have been asked for, where it was only said.
    said: Option<usize>,
    /// What is left to a person.
    by_hand: Option<usize>,
    /// Why it failed.
    error: Option<String>,
}

/// The plan, and how its runs by the clock stand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderingState {
    #[serde(flatten)]
    plan: OrderingPlan,
    /// When it runs next by itself; null where it does not.
    next_run: Option<String>,
    /// The last run by the clock.
    last_run: Option<DailyRun>,
}

impl OrderingState {
    fn of(plan: Plan, own: Standing) -> Self {
        let last = own.last.map(|own| DailyRun {
            due: own.due.to_fhir_instant(),
            at: own.at.to_fhir_instant(),
            drafts: own.counts.map(|own| own.drafts),
            sent: own.counts.map(|own| own.sent),
            said: own.counts.map(|own| own.said),
            by_hand: own.counts.map(|own| own.by_hand),
            error: own.error,
        });
        Self {
            plan: plan.into(),
            next_run: own.next.map(kernel::Timestamp::to_fhir_instant),
            last_run: last,
        }
    }
}

impl From<Plan> for OrderingPlan {
    fn from(own: Plan) -> Self {
        Self {
            mode: own.policy.mode,
            cap: own.policy.cap.amount(),
            currency: own.policy.cap.currency().code().to_owned(),
            days: own.days,
            reserve_days: own.reserve_days,
            goods: own.goods,
            prescriptions: own.prescriptions,
            location: own.location.map(|own| own.to_string()),
            daily: own.daily.map(String::from),
        }
    }
}

impl OrderingPlan {
    fn read(self) -> Result<Plan, EdgeError> {
        let currency = Currency::of(&self.currency)
            .ok_or_else(|| malformed("currency has three capital letters, such as GBP"))?;
        let cap = Money::new(self.cap, currency).map_err(|error| malformed(error.to_string()))?;
        let daily = self.daily.as_deref().map(str::parse);
        let daily = daily.transpose();
        let daily = daily.map_err(|error: NoTime| malformed(error.to_string()))?;
        Ok(Plan {
            policy: Policy {
                mode: self.mode,
                cap,
            },
            days: self.days,
            reserve_days: self.reserve_days,
            goods: self.goods,
            prescriptions: self.prescriptions,
            location: self.location.as_deref().map(id).transpose()?,
            daily,
            ..Plan::default()
        })
    }
}

/// What would be asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposalView {
    /// A request for a prescription, or an order of goods.
    #[schema(schema_with = kinds)]
    kind: Kind,
    /// In which packs.
    packs: PacksView,
    /// How much that is.
    quantity: String,
    /// What it costs, where it is bought and the price is known.
    cost: Option<String>,
}

/// What was decided of one medicine at one place.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionView {
    /// The medicine.
    item: String,
    /// Its name.
    name: String,
    /// Where it is kept; null where it is kept nowhere, and nobody said where it goes.
    location: Option<String>,
    /// For whom; null for common stock.
    resident: Option<String>,
    /// What is left at the beginning of the cycle; null where that cannot be told.
    left: Option<String>,
    /// What the cycle and its reserve use.
    during: Option<String>,
    /// What is missing.
    missing: Option<String>,
    /// What comes of it.
    #[schema(schema_with = actions)]
    action: Action,
    /// Why it is not more.
    why: Vec<String>,
    /// What is lacking to decide.
    unknown: Vec<String>,
    /// What would be asked for.
    proposal: Option<ProposalView>,
    /// The order that was made of it.
    order: Option<String>,
}

impl From<Decided> for DecisionView {
    fn from(own: Decided) -> Self {
        let need = own.need.as_ref();
        Self {
            item: own.item.to_string(),
            name: own.name,
            location: own.location.map(|own| own.to_string()),
            resident: own.resident.map(|own| own.to_string()),
            left: need.map(|own| own.left.normalize().to_string()),
            during: need.map(|own| own.during.normalize().to_string()),
            missing: need.and_then(|own| own.missing).map(|own| own.to_string()),
            action: own.action,
            why: own.why.iter().map(why).collect(),
            unknown: own.unknown,
            proposal: own.proposal.map(|own| ProposalView {
                kind: own.kind,
                packs: PacksView {
                    count: own.rounded.packs.count,
                    holds: own.rounded.packs.holds,
                },
                quantity: own.rounded.total.to_string(),
                cost: own
                    .cost
                    .map(|own| format!("{} {}", own.amount(), own.currency().code())),
            }),
            order: own.order.map(|own| own.to_string()),
        }
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/ordering/plan", tag = "orders", params(("tenant" = String, Path)),
    responses((status = 200, description = "how the house wants orders to be proposed, and how its runs by the clock stand", body = OrderingState), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let own = use_case::plan(arrival.app(), &caller).await?;
    let standing = daily::standing(arrival.app(), &caller).await?;
    json_answer(&OrderingState::of(own, standing))
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/ordering/plan", tag = "orders",
    params(("tenant" = String, Path)), request_body = OrderingPlan,
    responses((status = 200, description = "set, by somebody who approves orders", body = OrderingPlan), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let new: OrderingPlan = input(&mut arrival).await?;
    let own = use_case::set_plan(arrival.app(), &caller, new.read()?).await?;
    json_answer(&OrderingPlan::from(own))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/ordering/dry-run", tag = "orders", params(("tenant" = String, Path)),
    responses((status = 200, description = "what would be ordered, and why not more; nothing is done", body = Vec<DecisionView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn dry_run(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::dry_run(arrival.app(), &caller).await?;
    let shown: Vec<DecisionView> = found.into_iter().map(DecisionView::from).collect();
    json_answer(&shown)
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/ordering/run", tag = "orders", params(("tenant" = String, Path)),
    responses((status = 200, description = "what was decided, with the orders that were made", body = Vec<DecisionView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn run(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::run(arrival.app(), &caller).await?;
    let shown: Vec<DecisionView> = found.into_iter().map(DecisionView::from).collect();
    json_answer(&shown)
}
