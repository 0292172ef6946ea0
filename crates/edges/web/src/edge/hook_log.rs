//! The log of calls of CDS Hooks, for auditors: who asked what, what was answered, what it rests on, and
//! repeating it. Must not pass a difference over.

use app::AppError;
use app::cds_hooks::facts::Side;
use app::cds_hooks::log::{self, HookCall};
use app::cds_hooks::replay::{Replayed, replay};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use uuid::Uuid;

use super::hooks::{pretty, table};
use super::tools::{Tool, check, empty};
use super::visit::Visit;
use super::{answer, named};
use crate::clinical::When;
use crate::clinical::quantity::dose_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Notice, Paging, Piece, Table, Tone};
use crate::pages::tools::ToolPage;

pub const HERE: &str = "/cds-hooks/log";
/// Calls of one page.
const PAGE: u32 = 25;

/// The list.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::HookLog)?;
    let after = visit.query.text("after");
    let after = (!after.is_empty()).then_some(after);
    let found = log::list(visit.app(), &visit.caller, after, PAGE).await?;
    let mut page = empty(visit, "CDS Hooks log", HERE, "Show");
    page.lead = String::from(
        "Every call that was answered, the newest first, until its time is over. Its entry in the ledger stays.",
    );
    let columns = ["When", "Service", "Asked by", "Patient", "#Cards", "#Took"];
    let mut calls = Table::new(
        "Calls",
        &columns,
        "No call was answered, or its time is over.",
    );
    for call in &found.calls {
        calls = calls.row(vec![
            Cell::when(When::at(call.at, visit.zone())),
            Cell::link(&visit.href(&format!("{HERE}/{}", call.id)), &call.service),
            Cell::text(&call.by).minor(call.user.as_deref().unwrap_or_default()),
            Cell::text(&call.patient).minor(of_whom(call.side)),
            Cell::text(&call.cards.len().to_string()),
            Cell::text(&took(call)),
        ]);
    }
    page.sections = vec![("calls".to_owned(), "Calls".to_owned(), calls)];
    page.paging = Paging {
        words: String::new(),
        first: after.map(|_| visit.query.without("after")),
        next: found.next.map(|next| visit.query.with("after", &next)),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

const fn of_whom(side: Side) -> &'static str {
    match side {
        Side::Ours => "of this record",
        Side::Theirs => "of the caller's record",
    }
}

fn took(call: &HookCall) -> String {
    let tenths = call.took_us / 100;
    format!(
        "{}.{} ms",
        dose_number(&(tenths / 10).to_string()),
        tenths % 10
    )
}

/// One call.
pub async fn one(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_one(&visit, named(&params, "id")).await;
    visit.answer(result)
}

fn id_of(id: &str) -> Result<Uuid, AppError> {
    Uuid::try_parse(id).map_err(|_| AppError::NotFound {
        what: "call".to_owned(),
    })
}

async fn show_one(visit: &Visit, id: &str) -> Result<Response, AppError> {
    check(visit, Tool::HookLog)?;
    let call = log::one(visit.app(), &visit.caller, id_of(id)?).await?;
    Ok(answer::page(StatusCode::OK, &filled(visit, &call)))
}

fn filled(visit: &Visit, call: &HookCall) -> ToolPage {
    let mut page = empty(visit, "Call of a service", HERE, "Show");
    page.back = (visit.href(HERE), "Back to the log".to_owned());
    page.lead = format!("{} at {}, for {}.", call.service, call.hook, call.by);
    let answered: Value = serde_json::from_str(&call.response).unwrap_or_default();
    let cards = answered.get("cards").and_then(Value::as_array);
    let cards = cards.map_or(&[][..], Vec::as_slice);
    let section = |id: &str, title: &str, table: Table| (id.to_owned(), title.to_owned(), table);
    page.sections = vec![
        section("rests", "What it rests on", rests(visit, call)),
        section("cards", "Cards", table(cards, None)),
    ];
    page.steps = vec![(
        "Repeat it".to_owned(),
        "Makes the cards again from what was kept, without asking anybody, and compares them bit for bit.".to_owned(),
        PostButton {
            action: visit.href(&format!("{HERE}/{}", call.id)),
            label: "Repeat".to_owned(),
            about: "this call".to_owned(),
            csrf: visit.csrf(),
            confirm: String::new(),
            hidden: Vec::new(),
            danger: false,
        },
    )];
    page.code = Some((
        "Request and answer".to_owned(),
        format!("{}\n\n{}", pretty(&call.request), pretty(&call.response)),
    ));
    page
}

fn rests(visit: &Visit, call: &HookCall) -> Table {
    let release = &call.release;
    let knowledge = format!("{} {}", release.source, release.version);
    let mut rows = vec![
        ("When", Cell::when(When::at(call.at, visit.zone()))),
        ("Took", Cell::text(&took(call))),
        (
            "Patient",
            Cell::text(&call.patient).minor(of_whom(call.side)),
        ),
        ("Moment there", Cell::code(&call.instance.to_string())),
        (
            "Knowledge",
            Cell::text(&knowledge).and(Piece::Code(release.sha256.clone())),
        ),
    ];
    rows.extend(call.user.iter().map(|own| ("User there", Cell::text(own))));
    let lists = call.products.iter();
    rows.extend(lists.map(|own| ("List of products", Cell::text(own))));
    rows.extend([
        ("SHA-256 of the request", Cell::code(&call.request_sha256)),
        ("SHA-256 of the facts", Cell::code(&call.facts_sha256)),
        ("SHA-256 of the answer", Cell::code(&call.response_sha256)),
    ]);
    let table = Table::new("What it rests on", &["What", "Value"], "Nothing.");
    rows.into_iter().fold(table, |table, (what, value)| {
        table.row(vec![Cell::text(what), value])
    })
}

/// Repeats one.
pub async fn again(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = repeat(&visit, named(&params, "id"), &body).await;
    visit.answer(result)
}

async fn repeat(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    check(visit, Tool::HookLog)?;
    visit.form(body)?;
    let done = replay(visit.app(), &visit.caller, id_of(id)?).await?;
    let mut page = filled(visit, &done.call);
    page.summary = Some(verdict(&done));
    Ok(answer::page(StatusCode::OK, &page))
}

fn verdict(done: &Replayed) -> Notice {
    let changed = done.changed.join("; ");
    match (done.equal, changed.is_empty()) {
        (true, true) => Notice::new(
            Tone::Good,
            "The same",
            "The cards were made again and are the same, bit for bit.",
        ),
        (true, false) => Notice::new(
            Tone::Good,
            "The same",
            &format!("The cards are the same, bit for bit, although {changed}."),
        ),
        (false, true) => Notice::new(
            Tone::Bad,
            "Not the same",
            "The cards were made again and are others, from the same facts and releases: tell support.",
        ),
        (false, false) => Notice::new(
            Tone::Warn,
            "Not the same",
            &format!("The cards were made again and are others: {changed}."),
        ),
    }
}
