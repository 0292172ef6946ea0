//! Stock of medicines: what is kept, what is there of it, movements, days left. Must not decide: each
//! handler translates one request into one use-case.

use app::medicines::register::Signing;
use app::medicines::stock::keep::{self as keeping, Keep, Stated};
use app::medicines::stock::moves::{Move, Wanted, make};
use app::medicines::stock::{Item, Moved, Place, forecast, look};
use app::sign_in::Proof;
use axum::response::Response;
use kernel::Timestamp;
use medication::register::Class;
use medication::stock::{Batch, Discrepancy, Lasts, Opened, Recall, Step};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{ProblemResponses, created, failed, id, input, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    let all = "/t/{tenant}/api/v1/stock";
    let one = "/t/{tenant}/api/v1/stock/{id}";
    let moved = "/t/{tenant}/api/v1/stock/{id}/movements";
    let days = "/t/{tenant}/api/v1/stock/{id}/days-left";
    let low = "/t/{tenant}/api/v1/stock/{id}/threshold";
    let opened = "/t/{tenant}/api/v1/stock/{id}/opened";
    let recalls = "/t/{tenant}/api/v1/stock/{id}/recalls";
    let again = "/t/{tenant}/api/v1/stock/{id}/reorder";
    vec![
        Route::get(all, "stock-list", failed, list),
        Route::post(all, "stock-keep", failed, keep),
        Route::get(one, "stock-read", failed, show),
        Route::get(moved, "stock-movements", failed, movements),
        Route::post(moved, "stock-move", failed, act),
        Route::get(days, "stock-days-left", failed, days_left),
        Route::post(low, "stock-threshold", failed, threshold),
        Route::post(opened, "stock-open", failed, open),
        Route::post(recalls, "stock-recall", failed, recall),
        Route::post(again, "stock-reorder", failed, reorder),
    ]
}

/// Somebody who proves to be there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofInput {
    /// Sign-in name.
    name: String,
    /// Password.
    password: String,
    /// One-time or recovery code, for those who have a second step.
    code: Option<String>,
}

impl From<ProofInput> for Proof {
    fn from(own: ProofInput) -> Self {
        Self {
            name: own.name,
            password: Zeroizing::new(own.password),
            code: own.code,
        }
    }
}

/// The two people who sign.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningInput {
    /// Whoever does it.
    by: Option<ProofInput>,
    /// Whoever sees it.
    witness: Option<ProofInput>,
}

impl From<SigningInput> for Signing {
    fn from(own: SigningInput) -> Self {
        Self {
            by: own.by.map(Proof::from),
            witness: own.witness.map(Proof::from),
        }
    }
}

/// An instant with an offset.
pub(super) fn instant(text: Option<String>, what: &str) -> Result<Option<Timestamp>, EdgeError> {
    let read = |text: String| {
        Timestamp::from_rfc3339(&text)
            .ok_or_else(|| malformed(format!("{what} is no instant: send one with an offset")))
    };
    text.map(read).transpose()
}

fn classes() -> utoipa::openapi::schema::Schema {
    super::one_of([
        "none",
        "one",
        "two",
        "two_exempt",
        "three",
        "three_exempt",
        "phenobarbital",
        "temazepam",
        "four_anabolic",
        "four_benzodiazepine",
        "five",
    ])
}

/// A medicine to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeepInput {
    /// The id of its Medication.
    medication: Option<String>,
    /// Or the name of the product in the dictionary.
    product: Option<String>,
    /// What it is counted in: a UCUM code such as `{tablet}` or `mL`.
    unit: String,
    /// Its class as a controlled drug, where the dictionary does not say; `none` where it is none.
    #[schema(schema_with = classes)]
    control: Option<String>,
    /// Its form, where the dictionary does not say.
    form: Option<String>,
    /// Its strength, where the dictionary does not say.
    strength: Option<String>,
    /// At so much or below it is low.
    #[schema(value_type = Option<String>)]
    threshold: Option<Decimal>,
    /// Its dm+d code, by which it is ordered, where the dictionary does not say.
    code: Option<String>,
}

/// A medicine that is kept.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemView {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// `Medication/1`, where it is one.
    medication: Option<String>,
    /// Its dm+d code, where somebody said it.
    code: Option<String>,
    /// What it is counted in.
    unit: String,
    /// Its class as a controlled drug.
    #[schema(value_type = Option<String>)]
    control: Option<Class>,
    /// Everything the house holds of it.
    held: String,
    /// At so much or below it is low.
    threshold: Option<String>,
    /// Where its reorder stands.
    #[schema(value_type = String)]
    reorder: medication::stock::Status,
    /// How many steps the reorder has.
    reorder_version: usize,
    /// How many movements there are.
    movements: u32,
}

impl ItemView {
    pub(super) fn of(item: &Item) -> Result<Self, EdgeError> {
        let reorder = item.reorder().map_err(EdgeError::App)?;
        Ok(Self {
            id: item.id.to_string(),
            name: item.name.clone(),
            medication: item.medication.clone(),
            code: item.code.clone(),
            unit: item.unit.name().to_owned(),
            control: item.control,
            held: item.total().normalize().to_string(),
            threshold: item.threshold.map(|own| own.normalize().to_string()),
            reorder: reorder.status(),
            reorder_version: reorder.version(),
            movements: item.movements,
        })
    }
}

/// What is there of a medicine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockView {
    /// The medicine.
    #[serde(flatten)]
    item: ItemView,
    /// What may be used now.
    usable: String,
    /// Whether it is at its threshold or below.
    low: bool,
    /// Until when what must be used first may be used.
    soonest: Option<String>,
    /// By place and batch, what must be used first before the rest; without what is out of reach.
    there: Vec<ThereView>,
}

/// What is there of one batch at one place.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThereView {
    /// Where, and whose.
    #[schema(value_type = Object)]
    place: Place,
    /// Which batch.
    #[schema(value_type = Object)]
    batch: Batch,
    /// How much.
    units: String,
    /// Until when it may be used.
    until: Option<String>,
    /// Why it may not be used.
    #[schema(value_type = Option<String>)]
    unusable: Option<medication::stock::Unusable>,
}

impl StockView {
    fn of(seen: &look::Seen) -> Result<Self, EdgeError> {
        let until = |own: Timestamp| own.to_fhir_instant();
        let there = seen.there.iter().map(|own| ThereView {
            place: own.place.clone(),
            batch: own.batch.clone(),
            units: own.units.normalize().to_string(),
            until: own.until.map(until),
            unusable: own.unusable,
        });
        Ok(Self {
            item: ItemView::of(&seen.item)?,
            usable: seen.usable.normalize().to_string(),
            low: seen.low,
            soonest: seen.soonest.map(until),
            there: there.collect(),
        })
    }
}

/// A movement as it is answered.
pub(super) fn movement(moved: &Moved) -> Value {
    let own = &moved.movement;
    let mut what = serde_json::to_value(&own.what).unwrap_or_default();
    if let Some(members) = what.as_object_mut() {
        members.remove("counted");
    }
    json!({
        "id": own.meta.id, "number": moved.number, "what": what, "lines": own.lines,
        "happened": own.meta.happened.to_fhir_instant(), "recorded": own.meta.recorded.to_fhir_instant(),
        "by": own.meta.by, "witness": own.meta.witness, "discrepancy": own.meta.discrepancy,
        "crossing": moved.crossing, "order": moved.order, "unchecked": moved.unchecked,
        "register": moved.entered.as_ref().map(|own| json!({ "page": own.page, "entry": own.entry })),
    })
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/stock", tag = "stock",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the medicines that are kept, the low ones first", body = Vec<StockView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = look::list(arrival.app(), &caller).await?;
    let found: Result<Vec<StockView>, EdgeError> = found.iter().map(StockView::of).collect();
    json_answer(&found?)
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/stock", tag = "stock",
    params(("tenant" = String, Path)), request_body = KeepInput,
    responses((status = 201, description = "the medicine, kept from now on", body = ItemView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn keep(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: KeepInput = input(&mut arrival).await?;
    let control = match wanted.control.as_deref() {
        None => Stated::AsKnown,
        Some("none") => Stated::None,
        Some(text) => {
            let class = serde_json::from_value::<Class>(Value::String(text.to_owned()));
            Stated::Class(class.map_err(|_| malformed("control is no class of controlled drugs"))?)
        }
    };
    let new = Keep {
        medication: wanted.medication.as_deref().map(logical_id).transpose()?,
        product: wanted.product,
        unit: wanted.unit,
        control,
        form: wanted.form,
        strength: wanted.strength,
        threshold: wanted.threshold,
        code: wanted.code,
    };
    let made = keeping::keep(arrival.app(), &caller, new).await?;
    created(&ItemView::of(&made)?)
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/stock/{id}", tag = "stock",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "what is there of it", body = StockView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let seen = look::read(arrival.app(), &caller, &id(&item)?).await?;
    json_answer(&StockView::of(&seen)?)
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/stock/{id}/movements", tag = "stock",
    params(
        ("tenant" = String, Path), ("id" = String, Path),
        ("below" = Option<u32>, Query, description = "only those with a lower number"),
        ("count" = Option<u32>, Query, description = "at most so many, up to 200; 50"),
    ),
    responses((status = 200, description = "movements, the newest first, and how many are out of reach", body = Object), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn movements(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let (mut below, mut count) = (None, 50);
    for (name, value) in query(arrival.raw_query())? {
        let number = value.parse::<u32>();
        let number = number.map_err(|_| malformed(format!("{name} is no whole number")))?;
        match name.as_str() {
            "below" => below = Some(number),
            "count" => count = number,
            _ => return Err(malformed(format!("{name} is no parameter here"))),
        }
    }
    let found = look::movements(arrival.app(), &caller, &id(&item)?, below, count).await?;
    let list: Vec<Value> = found.0.iter().map(movement).collect();
    json_answer(&json!({ "movements": list, "outOfReach": found.1 }))
}

/// A movement to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveInput {
    /// Made by the sender: the same id twice is the same movement.
    id: String,
    /// What happens: `kind` is receipt, return, waste, transfer, count, adjust or correction. A count names in
    /// `seen` how many movements the medicine had when it was counted: 409 where something moved there since.
    /// A receipt of a scanned pack that no list knows needs `unchecked`: why it is taken in.
    #[schema(value_type = Object)]
    what: Wanted,
    /// When it happened; now.
    happened: Option<String>,
    /// That book and shelf are known to differ: reason and note.
    #[schema(value_type = Option<Object>)]
    discrepancy: Option<Discrepancy>,
    /// Why a register's entry is late.
    late: Option<String>,
    /// Who signs, for a controlled drug.
    #[serde(default)]
    signing: SigningInput,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/stock/{id}/movements", tag = "stock",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = MoveInput,
    responses(
        (status = 201, description = "the movement, and the medicine after it", body = Object),
        (status = 200, description = "the movement was made before", body = Object),
        ProblemResponses,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn act(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: MoveInput = input(&mut arrival).await?;
    let wanted = Move {
        id: id(&wanted.id)?,
        what: wanted.what,
        happened: instant(wanted.happened, "happened")?,
        discrepancy: wanted.discrepancy,
        late: wanted.late,
        signing: wanted.signing.into(),
    };
    let came = make(arrival.app(), &caller, &id(&item)?, &wanted).await?;
    let body = json!({ "movement": movement(&came.moved), "stock": ItemView::of(&came.item)? });
    if came.already {
        json_answer(&body)
    } else {
        created(&body)
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/stock/{id}/days-left", tag = "stock",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "for how long each place's stock lasts, by the real schedules", body = Vec<Object>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn days_left(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = Box::pin(forecast::days_left(arrival.app(), &caller, &id(&item)?)).await?;
    let lasts = |own: Lasts| match own {
        Lasts::Until { at, days } => json!({ "until": at.to_fhir_instant(), "days": days }),
        Lasts::Throughout => json!({ "throughout": true }),
    };
    let list: Vec<Value> = found
        .iter()
        .map(|own| {
            json!({
                "place": own.place, "orders": own.orders, "beyond": own.beyond, "unknown": own.unknown,
                "soonest": own.days.map(|own| lasts(own.soonest)),
                "latest": own.days.map(|own| lasts(own.latest)),
                "neededUnused": own.days.map(|own| own.needed_unused),
            })
        })
        .collect();
    json_answer(&list)
}

/// At how much a medicine is low.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThresholdInput {
    /// So much or less; nothing ends it.
    #[schema(value_type = Option<String>)]
    threshold: Option<Decimal>,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/stock/{id}/threshold", tag = "stock",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = ThresholdInput,
    responses((status = 200, description = "the medicine", body = ItemView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn threshold(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: ThresholdInput = input(&mut arrival).await?;
    let app = arrival.app();
    let item = keeping::set_threshold(app, &caller, &id(&item)?, wanted.threshold).await?;
    json_answer(&ItemView::of(&item)?)
}

/// A pack that was opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenInput {
    /// Where it is, and whose.
    #[schema(value_type = Object)]
    place: Place,
    /// Which batch.
    #[schema(value_type = Object)]
    batch: Batch,
    /// When; now.
    at: Option<String>,
    /// For how many days it may be used from then on.
    life_days: u16,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/stock/{id}/opened", tag = "stock",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = OpenInput,
    responses((status = 200, description = "the medicine", body = ItemView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn open(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: OpenInput = input(&mut arrival).await?;
    let at = instant(wanted.at, "at")?.unwrap_or_else(|| arrival.app().now());
    let opened = Opened {
        at,
        life_days: wanted.life_days,
    };
    let which = (&wanted.place, &wanted.batch);
    let item = keeping::opened(arrival.app(), &caller, &id(&item)?, which, opened).await?;
    json_answer(&ItemView::of(&item)?)
}

/// A lot that was called back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecallInput {
    /// The lot; nothing for packs whose lot nobody read.
    lot: Option<String>,
    /// Since when; now.
    at: Option<String>,
    /// Who called it back and why.
    notice: String,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/stock/{id}/recalls", tag = "stock",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = RecallInput,
    responses((status = 200, description = "the medicine", body = ItemView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn recall(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: RecallInput = input(&mut arrival).await?;
    let recall = Recall {
        at: instant(wanted.at, "at")?.unwrap_or_else(|| arrival.app().now()),
        notice: wanted.notice,
    };
    let app = arrival.app();
    let item = keeping::recall(app, &caller, &id(&item)?, wanted.lot, recall).await?;
    json_answer(&ItemView::of(&item)?)
}

/// A step of a reorder.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReorderInput {
    /// Made by the sender: the same id twice is the same step.
    id: String,
    /// need, settle, request, approve, order, receive_part, receive or cancel.
    #[schema(value_type = String)]
    step: Step,
    /// The version that it was decided on.
    seen: usize,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/stock/{id}/reorder", tag = "stock",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = ReorderInput,
    responses((status = 200, description = "the medicine", body = ItemView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn reorder(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, item): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: ReorderInput = input(&mut arrival).await?;
    let step = (wanted.id.as_str(), wanted.step);
    let item = keeping::step(arrival.app(), &caller, &id(&item)?, step, wanted.seen).await?;
    json_answer(&ItemView::of(&item)?)
}
