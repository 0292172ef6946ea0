//! Orders of medicines: those that wait, what is to be chased, one order with its lines and what happened to
//! it, and its steps. Must not decide who may: a step that is refused says so on the page.

use app::AppError;
use app::medicines::orders::{self as use_case, Arrived, Filter, NewDelivery, Sending, Shown};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use identity::Interaction;
use kernel::ActorId;
use medication::Quantity;
use medication::ids::OrderId;
use medication::stock::{Batch, Units};
use medication::supply::{Event, Kind, State};

use super::super::Web;
use super::super::answer::{self, redirect, sentence};
use super::super::form::Form;
use super::super::named;
use super::super::tools::{empty, refused};
use super::super::visit::Visit;
use crate::clinical::When;
use crate::clinical::code::words;
use crate::clinical::date::typed;
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, Field, Notice, Piece, Table, Tone};
use crate::pages::tools::ToolPage;

const HERE: &str = "/medicines/orders";
/// What a list of orders says of each.
pub(super) const COLUMNS: [&str; 6] = ["Order", "State", "Medicines", "For", "Of", "Since"];

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/medicines/orders", get(page))
        .route("/medicines/orders/{id}", get(one))
        .route(
            "/medicines/orders/{id}/receive",
            get(delivery).post(receive),
        )
        .route(
            "/medicines/orders/{id}/cancel",
            get(calling_off).post(cancel),
        )
        .route("/medicines/orders/{id}/report", get(telling).post(report))
        .route("/medicines/orders/{id}/{step}", axum::routing::post(step))
}

fn blank(visit: &Visit, title: &str, below: &str, button: &str) -> ToolPage {
    let mut page = empty(visit, title, below, button);
    page.back = (visit.href(HERE), "Orders".to_owned());
    page
}

async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    let (filter, title) = match visit.query.text("show") {
        "chase" => (Filter::Chase, "To chase"),
        "done" => (Filter::Done, "Finished"),
        _ => (Filter::Open, "Open"),
    };
    let found = use_case::list(visit.app(), &visit.caller, filter).await?;
    let mut page = blank(visit, "Orders of medicines", HERE, "");
    page.back = (visit.href("/medicines"), "Medicines".to_owned());
    page.lead = String::from(
        "Drafted by one person, approved by another, sent, and booked in as it arrives. Those that wait longest stand first.",
    );
    page.links = [
        ("", "Open"),
        ("?show=chase", "To chase"),
        ("?show=done", "Finished"),
    ]
    .map(|(query, words)| (visit.href(&format!("{HERE}{query}")), words.to_owned()))
    .to_vec();
    let automatic = visit.href(&format!("{HERE}/automatic"));
    page.links
        .push((automatic, "What would be ordered".to_owned()));
    let mut table = Table::new(title, &COLUMNS, "None.");
    for own in &found {
        let attention = !own.chase.is_empty() || own.sending.iter().any(|own| own.error.is_some());
        let cells = row(visit, own);
        table = if attention {
            table.raised_row(cells)
        } else {
            table.row(cells)
        };
    }
    page.sections = vec![("orders".to_owned(), title.to_owned(), table)];
    Ok(answer::page(StatusCode::OK, &page))
}

pub(super) fn row(visit: &Visit, own: &Shown) -> Vec<Cell> {
    let href = visit.href(&format!("{HERE}/{}", own.kept.id));
    let first = own.lines.first().map_or("", |own| own.line.name.as_str());
    let more = match own.lines.len() {
        0 | 1 => String::new(),
        count => format!("and {} more", count - 1),
    };
    let chase = match own.chase.len() {
        0 => String::new(),
        count => format!("{count} to chase"),
    };
    vec![
        Cell::link(&href, kind(own.kept.kind)).minor(&own.kept.cycle),
        state(own).minor(&chase),
        Cell::text(first).minor(&more),
        whom(visit, own),
        Cell::text(&own.partner),
        Cell::when(When::at(own.since, visit.zone())),
    ]
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Repeat => "Request for a prescription",
        Kind::Direct => "Order of goods",
    }
}

fn whom(visit: &Visit, own: &Shown) -> Cell {
    match &own.kept.resident {
        None => Cell::text("Common stock"),
        Some(id) => Cell::link(&visit.href(&format!("/patients/{id}")), "A resident"),
    }
}

/// The state in words; what is on its way out says so.
fn state(own: &Shown) -> Cell {
    let tone = match own.state {
        State::Received | State::Reconciled => Tone::Good,
        State::Owing | State::Rejected | State::Expired => Tone::Bad,
        State::Draft | State::Cancelled => Tone::Plain,
        _ => Tone::Info,
    };
    let cell = Cell::tag(tone, &words(own.state.code()));
    match own.sending.iter().find(|own| own.what == "order") {
        Some(out) if out.next.is_none() => cell.and(Piece::Tag(Tone::Bad, "Not sent".to_owned())),
        Some(out) if out.unknown => cell.and(Piece::Tag(Tone::Bad, "Perhaps sent".to_owned())),
        Some(_) => cell.and(Piece::Tag(Tone::Info, "Being sent".to_owned())),
        None => cell,
    }
}

fn id_of(params: &[(String, String)]) -> Result<OrderId, AppError> {
    named(params, "id").parse().map_err(|_| AppError::NotFound {
        what: "order".to_owned(),
    })
}

async fn one(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match id_of(&params) {
        Ok(id) => show_one(&visit, &id, None).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

async fn show_one(
    visit: &Visit,
    id: &OrderId,
    wrong: Option<AppError>,
) -> Result<Response, AppError> {
    let own = use_case::show(visit.app(), &visit.caller, id).await?;
    let mut page = blank(visit, kind(own.kept.kind), HERE, "");
    let resident = match own.kept.resident {
        Some(_) => "a resident",
        None => "common stock",
    };
    page.lead = format!("Of {} for {resident}, {}.", own.partner, own.kept.cycle);
    page.summary = Some(notice(visit, &own));
    page.links = links(visit, &own);
    page.sections = vec![
        ("lines".to_owned(), "Medicines".to_owned(), lines(&own)),
        (
            "trail".to_owned(),
            "What happened".to_owned(),
            trail(visit, &own),
        ),
    ];
    if !own.kept.notes.is_empty() {
        let table = deliveries(visit, &own);
        page.sections
            .push(("deliveries".to_owned(), "Deliveries".to_owned(), table));
    }
    if !own.kept.said.is_empty() {
        let table = said(visit, &own);
        page.sections
            .push(("said".to_owned(), "What was said".to_owned(), table));
    }
    page.steps = steps(visit, &own);
    let status = match wrong {
        Some(error) => refused(&mut page, error)?,
        None => StatusCode::OK,
    };
    Ok(answer::page(status, &page))
}

/// What is next, in a sentence.
fn notice(visit: &Visit, own: &Shown) -> Notice {
    let waits = own.sending.first();
    if let Some(out) = waits.filter(|own| own.error.is_some()) {
        return failing(visit, out);
    }
    let (tone, title, text) = match own.state {
        State::Draft => (
            Tone::Info,
            "A draft",
            "Somebody else than who drafted it approves it.",
        ),
        State::Approved if waits.is_some() => (
            Tone::Info,
            "Being sent",
            "It is sent within seconds; look again.",
        ),
        State::Approved => (Tone::Info, "Approved", "It waits to be sent."),
        State::Owing => (
            Tone::Bad,
            "Something is owed",
            "Chase what is missing below.",
        ),
        State::Dispatched => (Tone::Info, "On its way", "Book it in when it comes."),
        State::Received => (
            Tone::Good,
            "All of it arrived",
            "Close it when it was compared with what was asked for.",
        ),
        State::Rejected => (
            Tone::Bad,
            "Rejected",
            "Read below what was said, and order elsewhere.",
        ),
        State::Reconciled | State::Cancelled | State::Expired => {
            (Tone::Plain, "Finished", "Nothing follows.")
        }
        _ => (
            Tone::Info,
            "With the other side",
            "It says when something changes, or is asked.",
        ),
    };
    Notice::new(tone, title, text)
}

fn failing(visit: &Visit, out: &Sending) -> Notice {
    let error = sentence(out.error.as_deref().unwrap_or_default());
    let may = if out.unknown {
        " The other side may have it all the same: the same key goes with every attempt."
    } else {
        ""
    };
    let next = match out.next {
        Some(at) => format!(
            " It is tried again at {}.",
            When::at_second(at, visit.zone())
        ),
        None => " It waits for you: correct what is wrong, then send it again.".to_owned(),
    };
    let title = format!("Not sent after {} attempts", out.attempts);
    Notice::new(Tone::Bad, &title, &format!("{error}{may}{next}"))
}

fn lines(own: &Shown) -> Table {
    let columns = ["Medicine", "#Asked for", "#Arrived", "#Missing"];
    let mut table = Table::new("Medicines", &columns, "None.");
    for line in &own.lines {
        let asked = Quantity::new(line.line.quantity.get(), line.line.unit.clone());
        let packs = line.line.packs.as_ref();
        let packs = packs.map_or_else(String::new, |own| {
            format!("{} packs of {}", own.count, own.holds)
        });
        let missing = own.chase.iter().find(|own| own.item == line.line.item);
        let cells = vec![
            Cell::text(&line.line.name).minor(&line.dose),
            Cell::text(&asked.words()).minor(&packs),
            Cell::text(&line.arrived.normalize().to_string()),
            Cell::text(&missing.map_or_else(|| "0".to_owned(), |own| own.missing.to_string())),
        ];
        table = if missing.is_some() {
            table.raised_row(cells)
        } else {
            table.row(cells)
        };
    }
    table
}

fn who(own: &Shown, by: Option<ActorId>) -> String {
    let Some(by) = by else {
        return "The other side".to_owned();
    };
    let found = own.people.iter().find(|known| known.0 == by);
    found.map_or_else(|| "A program".to_owned(), |known| known.1.clone())
}

/// The states as they followed.
fn trail(visit: &Visit, own: &Shown) -> Table {
    let mut table = Table::new("What happened", &["When", "What", "Who"], "Nothing.").row(vec![
        Cell::when(When::at(own.kept.drafted, visit.zone())),
        Cell::text("Draft"),
        Cell::text(&who(own, Some(own.kept.drafted_by))),
    ]);
    for step in &own.kept.trail {
        table = table.row(vec![
            Cell::when(When::at(step.at, visit.zone())),
            Cell::text(event(step.event)),
            Cell::text(&who(own, step.by)),
        ]);
    }
    table
}

const fn event(event: Event) -> &'static str {
    match event {
        Event::Approve => "Approved",
        Event::Submit => "Sent",
        Event::Acknowledge => "Acknowledged",
        Event::Prescribe => "Prescribed",
        Event::Accept => "With the dispenser",
        Event::DispensePart => "Dispensed in part",
        Event::Owe => "Owed in part",
        Event::Dispatch => "Sent out",
        Event::Receive => "Received",
        Event::Reconcile => "Closed",
        Event::Reject => "Rejected",
        Event::Cancel => "Called off",
        Event::Expire => "Expired",
    }
}

fn deliveries(visit: &Visit, own: &Shown) -> Table {
    let columns = ["Note", "When", "Booked in by", "Set aside"];
    let mut table = Table::new("Deliveries", &columns, "None.");
    for note in &own.kept.notes {
        let set_aside = match note.problems.as_slice() {
            [] => Cell::text("Nothing"),
            some => {
                Cell::tag(Tone::Bad, &format!("{} set aside", some.len())).minor(&some.join("; "))
            }
        };
        table = table.row(vec![
            Cell::text(&note.note),
            Cell::when(When::at(note.at, visit.zone())),
            Cell::text(&who(own, Some(note.by))),
            set_aside,
        ]);
    }
    table
}

fn said(visit: &Visit, own: &Shown) -> Table {
    let mut table = Table::new("What was said", &["When", "Who", "What"], "Nothing.");
    for one in &own.kept.said {
        table = table.row(vec![
            Cell::when(When::at(one.at, visit.zone())),
            Cell::text(&who(own, one.by)),
            Cell::text(&sentence(&one.text)),
        ]);
    }
    table
}

/// Whether a delivery can be booked in.
fn is_out(own: &Shown) -> bool {
    !own.state.is_final() && !matches!(own.state, State::Draft | State::Received)
}

fn links(visit: &Visit, own: &Shown) -> Vec<(String, String)> {
    let to = |step: &str| visit.href(&format!("{HERE}/{}/{step}", own.kept.id));
    let mut links = Vec::new();
    if let Some(resident) = &own.kept.resident {
        links.push((
            visit.href(&format!("/patients/{resident}")),
            "The resident".to_owned(),
        ));
    }
    if is_out(own) {
        links.push((to("receive"), "Book in a delivery".to_owned()));
    }
    if is_out(own) && own.state != State::Approved {
        links.push((to("report"), "Note what they said".to_owned()));
    }
    if own.state.after(Event::Cancel, own.kept.kind).is_some() {
        links.push((to("cancel"), "Call it off".to_owned()));
    }
    links
}

fn steps(visit: &Visit, own: &Shown) -> Vec<(String, String, PostButton)> {
    let step = |step: &str, label: &str, text: &str| {
        let post = PostButton {
            action: visit.href(&format!("{HERE}/{}/{step}", own.kept.id)),
            label: label.to_owned(),
            about: "this order".to_owned(),
            csrf: visit.csrf(),
            confirm: String::new(),
            hidden: Vec::new(),
            danger: false,
        };
        (label.to_owned(), text.to_owned(), post)
    };
    let stopped = own
        .sending
        .iter()
        .any(|own| own.what == "order" && own.next.is_none());
    match own.state {
        State::Draft if visit.offers(Interaction::ApproveOrders) => {
            vec![step("approve", "Approve", "Not by who drafted it.")]
        }
        State::Approved if own.sending.is_empty() || stopped => {
            vec![step(
                "submit",
                "Send",
                "It goes to the other side within seconds, once.",
            )]
        }
        State::Received => vec![step(
            "close",
            "Close",
            "What came was compared with what was asked for.",
        )],
        state if state.is_final() || state == State::Draft => Vec::new(),
        _ => vec![step(
            "status",
            "Ask where it stands",
            "The other side is asked now, where it can be.",
        )],
    }
}

async fn step(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let result = stepped(&visit, &params, &body).await;
    visit.answer(result)
}

async fn stepped(
    visit: &Visit,
    params: &[(String, String)],
    body: &str,
) -> Result<Response, AppError> {
    visit.form(body)?;
    let id = id_of(params)?;
    let (app, caller) = (visit.app(), &visit.caller);
    let done = match named(params, "step") {
        "approve" => use_case::approve(app, caller, &id).await,
        "submit" => use_case::submit(app, caller, &id).await,
        "status" => use_case::refresh(app, caller, &id).await,
        "close" => use_case::reconcile(app, caller, &id).await,
        _ => {
            return Err(AppError::NotFound {
                what: "page".to_owned(),
            });
        }
    };
    after(visit, &id, done).await
}

async fn after(
    visit: &Visit,
    id: &OrderId,
    done: Result<Shown, AppError>,
) -> Result<Response, AppError> {
    match done {
        Ok(_) => Ok(redirect(&visit.href(&format!("{HERE}/{id}?done=saved")))),
        Err(error) => show_one(visit, id, Some(error)).await,
    }
}

/// The form of a step about an order.
async fn about(
    visit: &Visit,
    id: &OrderId,
    (title, step, button): (&str, &str, &str),
) -> Result<(Shown, ToolPage), AppError> {
    let own = use_case::show(visit.app(), &visit.caller, id).await?;
    let mut page = blank(visit, title, &format!("{HERE}/{id}/{step}"), button);
    page.back = (visit.href(&format!("{HERE}/{id}")), "The order".to_owned());
    page.posts = true;
    Ok((own, page))
}

async fn delivery(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match id_of(&params) {
        Ok(id) => booking(&visit, &id, &Form::default()).await,
        Err(error) => Err(error),
    };
    visit.answer(result.map(|page| answer::page(StatusCode::OK, &page)))
}

async fn booking(visit: &Visit, id: &OrderId, form: &Form) -> Result<ToolPage, AppError> {
    let (own, mut page) = about(visit, id, ("Book in a delivery", "receive", "Book in")).await?;
    page.lead = String::from(
        "Say what came of each medicine, as the pack says it. What is missing is chased; what does not belong goes through whoever brought it.",
    );
    page.fields = vec![
        Field::text("note", "Number of the delivery note")
            .value(form.text("note"))
            .hint("The same note counts once"),
    ];
    for (place, line) in own.lines.iter().enumerate() {
        let name = |what: &str| format!("{what}-{place}");
        let field = |what: &str, label: &str| {
            Field::text(&name(what), &format!("{}: {label}", line.line.name))
                .optional()
                .value(form.text(&name(what)))
        };
        let unit = line.line.unit.words();
        let left = line.line.quantity.get() - line.arrived;
        let hint = format!("In {unit}; {} expected. Empty: none came", left.normalize());
        page.fields.push(field("quantity", "how much").hint(&hint));
        page.fields.push(field("lot", "batch"));
        page.fields
            .push(field("expiry", "last day").hint("For example 31-Jan-2027"));
    }
    Ok(page)
}

async fn receive(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = received(&visit, &params, &body).await;
    visit.answer(result)
}

async fn received(
    visit: &Visit,
    params: &[(String, String)],
    body: &str,
) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let id = id_of(params)?;
    let done = match read(visit, &id, &form).await {
        Ok(new) => use_case::receive(visit.app(), &visit.caller, &id, &new).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => Ok(redirect(&visit.href(&format!("{HERE}/{id}?done=saved")))),
        Err(error) => {
            let mut page = booking(visit, &id, &form).await?;
            let status = refused(&mut page, error)?;
            Ok(answer::page(status, &page))
        }
    }
}

async fn read(visit: &Visit, id: &OrderId, form: &Form) -> Result<NewDelivery, AppError> {
    let own = use_case::show(visit.app(), &visit.caller, id).await?;
    let wrong = |text: String| AppError::Unprocessable(text);
    let mut things = Vec::new();
    for (place, line) in own.lines.iter().enumerate() {
        let text = |what: &str| form.text(&format!("{what}-{place}")).to_owned();
        let (quantity, name) = (text("quantity"), &line.line.name);
        if quantity.is_empty() {
            continue;
        }
        let number = quantity
            .parse()
            .map_err(|_| wrong(format!("{quantity} of {name} is no number: correct it")))?;
        let expiry = match text("expiry") {
            day if day.is_empty() => None,
            day => Some(typed(&day).ok_or_else(|| {
                wrong(format!(
                    "{day} of {name} is no day: write one such as 31-Jan-2027"
                ))
            })?),
        };
        things.push(Arrived {
            item: Some(line.line.item.clone()),
            label: name.clone(),
            // Whoever books in holds the pack of this order in hand.
            resident: own.kept.resident.clone(),
            quantity: Units::new(number).map_err(|error| wrong(error.to_string()))?,
            batch: Batch {
                expiry,
                lot: Some(text("lot")).filter(|own| !own.is_empty()),
                serial: None,
            },
        });
    }
    Ok(NewDelivery {
        note: form.text("note").to_owned(),
        at: None,
        things,
    })
}

async fn calling_off(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match id_of(&params) {
        Ok(id) => cancelling(&visit, &id).await,
        Err(error) => Err(error),
    };
    visit.answer(result.map(|page| answer::page(StatusCode::OK, &page)))
}

async fn cancelling(visit: &Visit, id: &OrderId) -> Result<ToolPage, AppError> {
    let (own, mut page) = about(visit, id, ("Call off an order", "cancel", "Call it off")).await?;
    let told = matches!(own.state, State::Draft | State::Approved) && own.sending.is_empty();
    page.lead = String::from(if told {
        "Nobody else has it: it is cancelled at once."
    } else {
        "The other side is asked, and it is cancelled when they say so."
    });
    page.fields = vec![Field::text("reason", "Why")];
    Ok(page)
}

async fn cancel(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let result = cancelled(&visit, &params, &body).await;
    visit.answer(result)
}

async fn cancelled(
    visit: &Visit,
    params: &[(String, String)],
    body: &str,
) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let id = id_of(params)?;
    let done = use_case::cancel(visit.app(), &visit.caller, &id, form.text("reason")).await;
    after(visit, &id, done).await
}

async fn telling(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match id_of(&params) {
        Ok(id) => told(&visit, &id).await,
        Err(error) => Err(error),
    };
    visit.answer(result.map(|page| answer::page(StatusCode::OK, &page)))
}

/// What another side can say, in the order in which it happens.
const TOLD: [(&str, &str); 7] = [
    ("acknowledged", "They have it"),
    ("prescribed", "It is prescribed"),
    ("with_dispenser", "The dispenser has it"),
    ("part_dispensed", "Some of it is dispensed"),
    ("owing", "They owe the rest"),
    ("dispatched", "It is on its way"),
    ("rejected", "They do not take it"),
];

async fn told(visit: &Visit, id: &OrderId) -> Result<ToolPage, AppError> {
    let title = "Note what the other side said";
    let (own, mut page) = about(visit, id, (title, "report", "Note it")).await?;
    page.lead = format!("What {} said by telephone or mail.", own.partner);
    let choices = TOLD.into_iter().enumerate();
    let choices = choices.map(|(place, (value, label))| Choice::new(value, label, place == 0));
    page.fields = vec![
        Field::radios("state", "Where it stands", choices.collect()),
        Field::text("note", "In which words").optional(),
    ];
    Ok(page)
}

async fn report(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let result = reported(&visit, &params, &body).await;
    visit.answer(result)
}

async fn reported(
    visit: &Visit,
    params: &[(String, String)],
    body: &str,
) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let id = id_of(params)?;
    let known = TOLD.iter().any(|own| own.0 == form.text("state"));
    let state = State::of(form.text("state")).filter(|_| known);
    let Some(state) = state else {
        let error = AppError::Unprocessable("choose where it stands".to_owned());
        return show_one(visit, &id, Some(error)).await;
    };
    let note = Some(form.text("note").to_owned()).filter(|own| !own.is_empty());
    let done = use_case::report(visit.app(), &visit.caller, &id, (state, note)).await;
    after(visit, &id, done).await
}
