//! Subscriptions for those who run the organisation: how each stands, how far behind it is, what was
//! delivered and what was given up. Must not show whom an event is about.

use app::AppError;
use app::subscriptions::operate::{self, DELIVERIES, DeliveryView, Overview};
use app::subscriptions::{ChannelKind, DeliveryState, Status};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::LogicalId;

use super::answer::{self, sentence};
use super::last;
use super::tools::{Tool, check, empty};
use super::visit::Visit;
use crate::clinical::When;
use crate::clinical::quantity::dose_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, Field, Notice, Paging, Piece, Table, Tone};

pub const HERE: &str = "/tools/subscriptions";

/// The list.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

fn number(number: u64) -> Cell {
    Cell::text(&dose_number(&number.to_string()))
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Subscriptions)?;
    let found = operate::list(visit.app(), &visit.caller).await?;
    let unseen = operate::unseen(visit.app(), &visit.caller).await?;
    let mut page = empty(visit, "Subscriptions", HERE, "Show");
    page.lead = String::from(
        "Programs and people who are told when the record changes. Each sees only what its author may see at that moment.",
    );
    page.links = vec![(
        visit.href(&format!("{HERE}/new")),
        "Add a subscription".to_owned(),
    )];
    if unseen > 0 && !found.is_empty() {
        page.summary = Some(Notice::new(
            Tone::Info,
            &format!(
                "{} changes not compared yet",
                dose_number(&unseen.to_string())
            ),
            "They are compared with every subscription within seconds. A number that keeps growing is a fault: see Health.",
        ));
    }
    if !found.is_empty() {
        page.fields = vec![states(visit.query.text("state"))];
    }
    let table = list(visit, &found);
    page.sections = vec![(
        "subscriptions".to_owned(),
        "Subscriptions".to_owned(),
        table,
    )];
    Ok(answer::page(StatusCode::OK, &page))
}

fn list(visit: &Visit, found: &[Overview]) -> Table {
    let columns = [
        "Subscription",
        "State",
        "#Events",
        "#Waiting",
        "#Changes behind",
        "Waits since",
        "Delivered last",
    ];
    let none = if found.is_empty() {
        "No subscriptions. Add one here, or let a program write a Subscription."
    } else {
        "None stands like this. Show all to see the others."
    };
    let mut table = Table::new("Subscriptions", &columns, none);
    let wanted = visit.query.text("state");
    for one in found.iter().filter(|one| is_wanted(one, wanted)) {
        let href = visit.href(&format!("{HERE}/{}", one.id));
        let cells = vec![
            Cell::link(&href, &one.id).minor(channel(one.channel)),
            state(visit, one),
            number(one.events),
            number(one.waiting),
            number(one.behind),
            waits(visit, one),
            last_of(visit, one),
        ];
        table = if one.status == Status::Error || one.failures > 0 {
            table.raised_row(cells)
        } else {
            table.row(cells)
        };
    }
    table
}

const fn channel(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::RestHook => "HTTP call",
        ChannelKind::Websocket => "WebSocket",
        ChannelKind::Email => "E-mail",
    }
}

/// States a list can be narrowed to.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("active", "Active"),
    ("failing", "Active, failing"),
    ("waiting", "With events that wait"),
    ("error", "Given up"),
    ("off", "Paused"),
];

fn states(wanted: &str) -> Field {
    let choices = STATES
        .iter()
        .map(|(value, words)| Choice::new(value, words, *value == wanted))
        .collect();
    Field::select("state", "Subscriptions to show", choices).optional()
}

fn is_wanted(one: &Overview, wanted: &str) -> bool {
    match wanted {
        "active" => one.status == Status::Active && one.failures == 0,
        "failing" => one.status == Status::Active && one.failures > 0,
        "waiting" => one.waiting > 0,
        "error" => one.status == Status::Error,
        "off" => one.status == Status::Off,
        _ => true,
    }
}

/// Since when an event waits: when the one that has waited longest happened.
fn waits(visit: &Visit, one: &Overview) -> Cell {
    match (one.oldest, one.waiting) {
        (Some(at), _) => Cell::when(When::at_second(at, visit.zone())),
        (None, 0) => Cell::text("Nothing waits"),
        (None, _) => Cell::text("Not known"),
    }
}

fn last_of(visit: &Visit, one: &Overview) -> Cell {
    match one.last {
        Some(at) => Cell::when(When::at_second(at, visit.zone())),
        None => Cell::text("Nothing yet"),
    }
}

fn state(visit: &Visit, one: &Overview) -> Cell {
    let (tone, words) = match one.status {
        Status::Requested => (Tone::Info, "About to be checked"),
        Status::Active if one.failures > 0 => (Tone::Warn, "Active, failing"),
        Status::Active => (Tone::Good, "Active"),
        Status::Error => (Tone::Bad, "Given up"),
        Status::Off => (Tone::Plain, "Paused"),
    };
    let error = one.error.as_deref().or(one.gap.as_deref());
    let error = error.map(sentence).unwrap_or_default();
    let mut cell = Cell::tag(tone, words).minor(&error);
    if let Some(next) = one.next.filter(|_| one.failures > 0) {
        cell = cell
            .and(Piece::Label("Tried again".to_owned()))
            .and(Piece::When(When::at_second(next, visit.zone())));
    }
    cell
}

/// One with its deliveries.
pub async fn one(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_one(&visit, last(&params), None).await;
    visit.answer(result)
}

/// The id of an address; what is none is missing.
pub fn id_of(id: &str) -> Result<LogicalId, AppError> {
    id.parse().map_err(|_| AppError::NotFound {
        what: "subscription".to_owned(),
    })
}

/// The page of one, with what went wrong when something was asked of it.
pub async fn show_one(
    visit: &Visit,
    id: &str,
    problem: Option<AppError>,
) -> Result<Response, AppError> {
    check(visit, Tool::Subscriptions)?;
    let id = id_of(id)?;
    let found = operate::list(visit.app(), &visit.caller).await?;
    let one = found
        .iter()
        .find(|one| one.id == id.as_str())
        .ok_or_else(|| AppError::NotFound {
            what: "subscription".to_owned(),
        })?;
    let here = format!("{HERE}/{id}");
    let mut page = empty(visit, &format!("Subscription {id}"), &here, "Show");
    page.back = (visit.href(HERE), "Subscriptions".to_owned());
    page.links = vec![(
        visit.href(&format!("/records/Subscription/{id}")),
        "What it watches, and its history".to_owned(),
    )];
    let wanted = visit.query.text("state");
    let state = [
        DeliveryState::Waiting,
        DeliveryState::Delivered,
        DeliveryState::Dead,
        DeliveryState::Dropped,
    ]
    .into_iter()
    .find(|state| state.as_str() == wanted);
    let mut from = Field::text("from", "Offer to send again from event")
        .optional()
        .value(visit.query.text("from"));
    from.width = "field-short";
    page.fields = vec![filter(state), from];
    let status = match problem {
        Some(error) => super::tools::refused(&mut page, error)?,
        None => StatusCode::OK,
    };
    let after = visit.query.text("after").parse().unwrap_or(0);
    let (app, caller) = (visit.app(), &visit.caller);
    let deliveries = operate::deliveries(app, caller, &id, after, state).await?;
    page.sections = vec![
        (
            "state".to_owned(),
            "How it stands".to_owned(),
            facts(visit, one),
        ),
        (
            "deliveries".to_owned(),
            "Deliveries, in order".to_owned(),
            deliveries_table(visit, one, &deliveries),
        ),
    ];
    page.summary = dead_letters(&deliveries);
    page.paged = "deliveries";
    page.paging = paging(visit, after, &deliveries);
    page.steps = steps(visit, one);
    Ok(answer::page(status, &page))
}

/// What was given up, in a sentence, where it is shown.
fn dead_letters(found: &[DeliveryView]) -> Option<Notice> {
    let dead = |one: &&DeliveryView| one.state == DeliveryState::Dead;
    let count = found.iter().filter(dead).count();
    let reason = found.iter().rev().find(dead)?.error.as_deref()?;
    let title = match count {
        1 => "1 event was given up".to_owned(),
        count => format!("{count} events were given up"),
    };
    let text = format!(
        "The last reason: {} Repair it there, then send them again.",
        sentence(reason)
    );
    Some(Notice::new(Tone::Bad, &title, &text))
}

fn filter(chosen: Option<DeliveryState>) -> Field {
    let choice =
        |state: DeliveryState| Choice::new(state.as_str(), outcome(state).1, chosen == Some(state));
    let choices = vec![
        Choice::new("", "All", chosen.is_none()),
        choice(DeliveryState::Waiting),
        choice(DeliveryState::Delivered),
        choice(DeliveryState::Dead),
        choice(DeliveryState::Dropped),
    ];
    Field::select("state", "Deliveries to show", choices).optional()
}

const fn outcome(state: DeliveryState) -> (Tone, &'static str) {
    match state {
        DeliveryState::Waiting => (Tone::Info, "Waiting"),
        DeliveryState::Delivered => (Tone::Good, "Delivered"),
        DeliveryState::Dead => (Tone::Bad, "Given up"),
        DeliveryState::Dropped => (Tone::Plain, "Nothing left to send"),
    }
}

fn facts(visit: &Visit, one: &Overview) -> Table {
    let row = |name: &str, cell: Cell| vec![Cell::text(name), cell];
    let table = Table::new("How it stands", &["What", "Found"], "")
        .row(row("State", state(visit, one)))
        .row(row("Told by", Cell::text(channel(one.channel))))
        .row(row("Events so far", number(one.events)))
        .row(row("Waiting", number(one.waiting)))
        .row(row("Changes behind", number(one.behind)))
        .row(row("Waits since", waits(visit, one)))
        .row(row("Failures in a row", number(u64::from(one.failures))))
        .row(row("Delivered last", last_of(visit, one)));
    match &one.gap {
        Some(gap) => table.raised_row(row("Not told of", Cell::text(&sentence(gap)))),
        None => table,
    }
}

fn paging(visit: &Visit, after: u64, found: &[DeliveryView]) -> Paging {
    let full = found.len() >= DELIVERIES as usize;
    Paging {
        words: format!("{} on this page", found.len()),
        first: (after > 0).then(|| visit.query.without("after")),
        next: found
            .last()
            .filter(|_| full)
            .map(|last| visit.query.with("after", &last.number.to_string())),
    }
}

/// Whether events can be sent again: a program with a WebSocket fetches them itself.
fn can_replay(one: &Overview) -> bool {
    one.status == Status::Active && one.channel != ChannelKind::Websocket
}

fn deliveries_table(visit: &Visit, one: &Overview, found: &[DeliveryView]) -> Table {
    let columns = [
        "Event",
        "Outcome",
        "#Attempts",
        "Happened",
        "Ended",
        "Action",
    ];
    let none = "None. An event appears here when something changes that it watches; ended ones are kept for a week unless configured otherwise.";
    let mut table = Table::new("Deliveries", &columns, none);
    for delivery in found {
        let (tone, label) = outcome(delivery.state);
        let error = delivery.error.as_deref().map(sentence).unwrap_or_default();
        let ended = match (delivery.ended, one.next) {
            (Some(at), _) => Cell::when(When::at_second(at, visit.zone())),
            (None, Some(next)) if one.failures > 0 => {
                Cell::text("Next attempt").and(Piece::When(When::at_second(next, visit.zone())))
            }
            _ => Cell::text("Not yet"),
        };
        let mut cells = vec![
            Cell::text(&format!("Event {}", delivery.number)).minor(&delivery.resource_type),
            Cell::tag(tone, label).minor(&error),
            number(u64::from(delivery.attempts)),
            Cell::when(When::at_second(delivery.time, visit.zone())),
            ended,
        ];
        let again = can_replay(one) && delivery.state != DeliveryState::Waiting;
        cells.push(if again {
            let event = delivery.number.to_string();
            let about = format!("event {event}");
            let mut post = button(visit, one, "replay", "Send again", &about);
            post.hidden = vec![("event".to_owned(), event)];
            Cell(vec![Piece::Post(Box::new(post))])
        } else {
            Cell::default()
        });
        let dead = delivery.state == DeliveryState::Dead;
        table = if dead {
            table.raised_row(cells)
        } else {
            table.row(cells)
        };
    }
    table
}

fn button(visit: &Visit, one: &Overview, step: &str, label: &str, about: &str) -> PostButton {
    PostButton {
        action: visit.href(&format!("{HERE}/{}/{step}", one.id)),
        label: label.to_owned(),
        about: about.to_owned(),
        csrf: visit.csrf(),
        confirm: String::new(),
        hidden: Vec::new(),
        danger: false,
    }
}

fn steps(visit: &Visit, one: &Overview) -> Vec<(String, String, PostButton)> {
    let about = "this subscription";
    let mut steps = Vec::new();
    if can_replay(one) {
        let mut all = button(visit, one, "replay", "Send given-up events again", "");
        all.hidden = vec![("event".to_owned(), "dead".to_owned())];
        steps.push((
            "Send what was given up".to_owned(),
            format!("At most {DELIVERIES} at a time, in order, with the ids they had."),
            all,
        ));
        let mut from = button(visit, one, "replay", "Send everything again", about);
        from.hidden = vec![("from".to_owned(), "1".to_owned())];
        from.confirm = format!(
            "Send the {DELIVERIES} oldest kept events again? The receiver sees their ids a second time."
        );
        steps.push((
            "Send everything again".to_owned(),
            format!(
                "The first {DELIVERIES} that are kept. To begin elsewhere, name the event above."
            ),
            from,
        ));
        if let Ok(begin) = visit.query.text("from").parse::<u64>() {
            let label = format!("Send again from event {begin}");
            let mut from = button(visit, one, "replay", &label, "");
            from.hidden = vec![("from".to_owned(), begin.to_string())];
            steps.insert(0, (label, format!("At most {DELIVERIES} events."), from));
        }
    }
    steps.push(switch(visit, one));
    steps
}

/// Activating it, or pausing it, with how far behind it is.
fn switch(visit: &Visit, one: &Overview) -> (String, String, PostButton) {
    let about = "this subscription";
    let behind = dose_number(&one.behind.to_string());
    if one.status == Status::Off || one.status == Status::Error {
        let meanwhile = if one.status == Status::Error {
            format!(
                "It goes on where it stopped, {behind} changes behind: what was given up is sent first, then what changed meanwhile."
            )
        } else {
            "What changed while it was paused is not sent.".to_owned()
        };
        return (
            "Activate".to_owned(),
            format!(
                "It is checked and then served with your rights: it is told only of what you may see. {meanwhile}"
            ),
            button(visit, one, "activate", "Activate", about),
        );
    }
    let mut pause = button(visit, one, "pause", "Pause", about);
    pause.confirm =
        String::from("Pause it? What waits stays, and what changes meanwhile is not sent later.");
    pause.danger = true;
    (
        "Pause".to_owned(),
        format!(
            "Nothing is sent any more, and what changes meanwhile is not kept for it. It is {behind} changes behind, which are not compared any more."
        ),
        pause,
    )
}
