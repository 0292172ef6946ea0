//! The controlled-drug register: pages, counts, corrections, discrepancies, printed sheets. What comes and
//! goes is written by movements of stock and by doses. Must not decide: each handler translates.

use app::medicines::register::incidents::{self, Adjusted, Note, Settle};
use app::medicines::register::pages::{self, Begin, Count, Open, Opening};
use app::medicines::register::{Line, PageHead};
use app::medicines::stock::Place;
use axum::response::Response;
use medication::register::{Column, Incident, Notified, Printed};
use medication::stock::{Batch, Counted};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::stock::{SigningInput, instant};
use super::{ProblemResponses, created, failed, id, input, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    let all = "/t/{tenant}/api/v1/register";
    let one = "/t/{tenant}/api/v1/register/{id}";
    let sheet = "/t/{tenant}/api/v1/register/{id}/sheets";
    let counts = "/t/{tenant}/api/v1/register/{id}/counts";
    let fixes = "/t/{tenant}/api/v1/register/{id}/corrections";
    let told = "/t/{tenant}/api/v1/register/{id}/incidents/{incident}/notes";
    let ends = "/t/{tenant}/api/v1/register/{id}/incidents/{incident}/settlement";
    vec![
        Route::get(all, "register-list", failed, list),
        Route::post(all, "register-begin", failed, begin),
        Route::get(one, "register-read", failed, show),
        Route::get(sheet, "register-sheets", failed, sheets),
        Route::post(counts, "register-count", failed, count),
        Route::post(fixes, "register-correct", failed, correct),
        Route::post(told, "register-note", failed, note),
        Route::post(ends, "register-settle", failed, settle),
    ]
}

fn head(page: &PageHead) -> Value {
    json!({
        "id": page.id, "premises": page.premises, "heading": page.heading, "unit": page.unit.name(),
        "items": page.items, "entries": page.entries, "balance": page.balance.normalize().to_string(),
        "open": page.open, "begun": page.begun.to_fhir_instant(),
        "counted": page.counted.map(kernel::Timestamp::to_fhir_instant),
    })
}

fn line(line: &Line) -> Value {
    let entry = &line.entry;
    let person = |own: &medication::register::Signature| {
        json!({
            "person": own.person, "name": own.name, "role": own.role, "method": own.method,
            "proved": own.proved.to_fhir_instant(),
        })
    };
    json!({
        "number": entry.number, "what": entry.what, "balance": entry.balance.normalize().to_string(),
        "happened": entry.happened.to_fhir_instant(), "entered": entry.entered.to_fhir_instant(),
        "late": entry.late, "signed": person(entry.signed.by()), "witnessed": person(entry.signed.witness()),
        "item": line.item, "movement": line.movement, "order": line.order,
    })
}

fn incident(own: &Incident) -> Value {
    let told = own.told.iter();
    let told: Vec<Value> = told
        .map(|(whom, at)| json!({ "whom": whom, "at": at.to_fhir_instant() }))
        .collect();
    json!({
        "id": own.id, "entry": own.entry, "expected": own.expected.normalize().to_string(),
        "found": own.found.normalize().to_string(), "opened": own.opened.to_fhir_instant(),
        "stage": own.stage, "told": told, "mustTell": own.must_tell(), "settledBy": own.settled_by,
    })
}

fn open(page: &Open) -> Value {
    let mut body = head(&page.head);
    if let Some(members) = body.as_object_mut() {
        let lines = page.lines.iter().map(line).collect();
        members.insert("lines".to_owned(), Value::Array(lines));
        let incidents = page.incidents.iter().map(incident).collect();
        members.insert("incidents".to_owned(), Value::Array(incidents));
    }
    body
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/register", tag = "register",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the pages of the caller's premises", body = Vec<Object>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = pages::list(arrival.app(), &caller).await?;
    json_answer(&found.iter().map(head).collect::<Vec<Value>>())
}

/// A page to be begun.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BeginInput {
    /// The medicine that is kept.
    item: String,
    /// Of which premises: the id of a Location or an Organization.
    premises: String,
    /// What was there before the register.
    opening: Option<OpeningInput>,
    /// Who signs what was there before.
    #[serde(default)]
    signing: SigningInput,
}

/// What was there before the register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpeningInput {
    /// The id of the count, made by its sender.
    id: String,
    /// Where it is.
    #[schema(value_type = Object)]
    place: Place,
    /// Every batch as it was counted.
    #[schema(value_type = Vec<Object>)]
    counted: Vec<Counted>,
    /// Where it is brought forward from: the book before.
    from: String,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/register", tag = "register",
    params(("tenant" = String, Path)), request_body = BeginInput,
    responses((status = 201, description = "the page", body = Object), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn begin(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: BeginInput = input(&mut arrival).await?;
    let opening = |own: OpeningInput| {
        Ok::<_, EdgeError>(Opening {
            id: id(&own.id)?,
            place: own.place,
            counted: own.counted,
            from: own.from,
        })
    };
    let begin = Begin {
        item: id(&wanted.item)?,
        premises: id(&wanted.premises)?,
        opening: wanted.opening.map(opening).transpose()?,
        signing: wanted.signing.into(),
    };
    let page = pages::begin(arrival.app(), &caller, &begin).await?;
    created(&open(&page))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/register/{id}", tag = "register",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the page with its entries and discrepancies", body = Object), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, page): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let page = pages::read(arrival.app(), &caller, &page).await?;
    json_answer(&open(&page))
}

fn sheet(own: &Printed) -> Value {
    let rows = own.rows.iter().map(|row| {
        let cells =
            Column::ALL.map(|column| (column.heading().to_owned(), row.cell(column).into()));
        Value::Object(cells.into_iter().collect())
    });
    json!({
        "title": own.title, "sheet": own.sheet, "of": own.of, "rows": rows.collect::<Vec<Value>>(),
        "broughtForward": own.brought_forward.map(|own| own.normalize().to_string()),
        "carriedForward": own.carried_forward.normalize().to_string(),
    })
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/register/{id}/sheets", tag = "register",
    params(
        ("tenant" = String, Path), ("id" = String, Path),
        ("lines" = Option<usize>, Query, description = "lines of a sheet, 5 to 200; 20"),
    ),
    responses((status = 200, description = "the page as it is printed, with the law's headings", body = Vec<Object>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn sheets(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, page): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let mut lines = 20;
    for (name, value) in query(arrival.raw_query())? {
        if name != "lines" {
            return Err(malformed(format!("{name} is no parameter here")));
        }
        lines = value
            .parse()
            .map_err(|_| malformed("lines is no whole number"))?;
    }
    let (_, sheets) = pages::sheets(arrival.app(), &caller, &page, lines).await?;
    json_answer(&sheets.iter().map(sheet).collect::<Vec<Value>>())
}

/// A count of everything that a page has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CountInput {
    /// Made by the sender: the same id twice is the same count.
    id: String,
    /// How many entries the page had when it was counted; 409 where it has more.
    seen: u32,
    /// What was found.
    #[schema(value_type = String)]
    found: Decimal,
    /// When; now.
    happened: Option<String>,
    /// Why it is late.
    late: Option<String>,
    /// Who counted and who saw it.
    signing: SigningInput,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/register/{id}/counts", tag = "register",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = CountInput,
    responses((status = 201, description = "the entry, and the discrepancy where it differs; the same where the count was sent before", body = Object), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn count(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, page): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: CountInput = input(&mut arrival).await?;
    let count = Count {
        id: id(&wanted.id)?,
        seen: wanted.seen,
        found: wanted.found,
        happened: instant(wanted.happened, "happened")?,
        late: wanted.late,
        signing: wanted.signing.into(),
    };
    let (entry, differs) = pages::count(arrival.app(), &caller, &page, &count).await?;
    let differs = differs.as_ref().map(incident);
    created(&json!({ "entry": line(&entry), "incident": differs }))
}

/// A correction of an entry's quantity.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CorrectInput {
    /// The entry's number.
    of: u32,
    /// What it should have said; 0 where it should not have been made.
    #[schema(value_type = String)]
    should_be: Decimal,
    /// Why.
    note: String,
    /// The id of the movement that puts the shelf right, made by its sender.
    movement: String,
    /// Who signs.
    signing: SigningInput,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/register/{id}/corrections", tag = "register",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = CorrectInput,
    responses((status = 201, description = "the entry that corrects", body = Object), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn correct(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, page): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: CorrectInput = input(&mut arrival).await?;
    let correct = pages::Correct {
        of: wanted.of,
        should_be: wanted.should_be,
        note: wanted.note,
        movement: id(&wanted.movement)?,
        signing: wanted.signing.into(),
    };
    let entry = pages::correct(arrival.app(), &caller, &page, &correct).await?;
    created(&line(&entry))
}

fn notes() -> utoipa::openapi::schema::Schema {
    super::one_of([
        "investigated",
        "manager",
        "accountable_officer",
        "police",
        "regulator",
    ])
}

/// What is noted on a discrepancy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoteInput {
    /// `investigated`, or who was told.
    #[schema(schema_with = notes)]
    note: String,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/register/{id}/incidents/{incident}/notes", tag = "register",
    params(("tenant" = String, Path), ("id" = String, Path), ("incident" = String, Path)), request_body = NoteInput,
    responses((status = 200, description = "the discrepancy", body = Object), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn note(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, page, which): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: NoteInput = input(&mut arrival).await?;
    let note = if wanted.note == "investigated" {
        Note::Investigated
    } else {
        let whom = serde_json::from_value::<Notified>(Value::String(wanted.note));
        Note::Told(whom.map_err(|_| malformed("note is no step of a discrepancy"))?)
    };
    let noted = incidents::note(arrival.app(), &caller, (&page, &which), note).await?;
    json_answer(&incident(&noted))
}

/// How a discrepancy ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettleInput {
    /// What is there.
    #[schema(value_type = String)]
    found: Decimal,
    /// What was found out.
    finding: String,
    /// Which stock is put right, where the balance changes.
    adjust: Option<AdjustInput>,
    /// Who signs.
    signing: SigningInput,
}

/// Where the stock is put right.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdjustInput {
    /// The id of the movement, made by its sender.
    movement: String,
    /// The medicine.
    item: String,
    /// Where.
    #[schema(value_type = Object)]
    place: Place,
    /// Which batch.
    #[schema(value_type = Object)]
    batch: Batch,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/register/{id}/incidents/{incident}/settlement", tag = "register",
    params(("tenant" = String, Path), ("id" = String, Path), ("incident" = String, Path)), request_body = SettleInput,
    responses((status = 201, description = "the page, with the entry that settles it", body = Object), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn settle(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, page, which): (String, String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: SettleInput = input(&mut arrival).await?;
    let adjust = |own: AdjustInput| {
        Ok::<_, EdgeError>(Adjusted {
            movement: id(&own.movement)?,
            item: id(&own.item)?,
            place: own.place,
            batch: own.batch,
        })
    };
    let settle = Settle {
        found: wanted.found,
        finding: wanted.finding,
        adjust: wanted.adjust.map(adjust).transpose()?,
        signing: wanted.signing.into(),
    };
    let page = incidents::settle(arrival.app(), &caller, (&page, &which), &settle).await?;
    created(&open(&page))
}
