//! The sandbox of CDS Hooks: plays another system that calls the services, shows what was sent and what came
//! back, and says what became of a card. Must not store an order, and must not call what others may not.

use app::AppError;
use app::cds_hooks::answer::Asker;
use app::cds_hooks::cards::KeptCard;
use app::cds_hooks::feedback::feedback;
use app::cds_hooks::sandbox::{self, Facts, Played, Scene};
use app::cds_hooks::services::SERVICES;
use app::cds_hooks::setting::{self, Setting};
use app::medicines::issue::REASON;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::Interaction;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{self, redirect};
use super::form::Form;
use super::tools::{Tool, check, empty, refused};
use super::visit::Visit;
use super::{hook_log, named};
use crate::clinical::quantity::dose_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Notice, Piece, Table, Tone};
use crate::pages::medicines::alert::REASONS;
use crate::pages::tools::ToolPage;

pub const HERE: &str = "/cds-hooks";

/// The form.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Hooks)?;
    let page = blank(visit, &visit.query).await?;
    Ok(answer::page(StatusCode::OK, &page))
}

async fn blank(visit: &Visit, form: &Form) -> Result<ToolPage, AppError> {
    let mut page = empty(visit, "CDS Hooks sandbox", HERE, "Call the service");
    page.lead = String::from(
        "Plays another system at the moment it asks for advice. Nothing is ordered; the call is in the log like every call.",
    );
    page.posts = true;
    if visit.offers(Interaction::ViewAudit) {
        page.links = vec![(visit.href(hook_log::HERE), "Log of calls".to_owned())];
    }
    if !setting::is_on(visit.app(), &visit.caller).await? {
        page.summary = Some(Notice::new(
            Tone::Warn,
            "CDS Hooks are off",
            "Nobody is answered, and this sandbox neither, until an administrator switches them on.",
        ));
        if visit.offers(Interaction::ManageSettings) {
            page.steps = vec![switch(visit)];
        }
        return Ok(page);
    }
    page.fields = fields(form);
    Ok(page)
}

fn switch(visit: &Visit) -> (String, String, PostButton) {
    (
        "Switch them on".to_owned(),
        "Calls are kept for 90 days; another time is set through the API.".to_owned(),
        PostButton {
            action: visit.href("/cds-hooks/switch"),
            label: "Switch on".to_owned(),
            about: "CDS Hooks".to_owned(),
            csrf: visit.csrf(),
            confirm: String::new(),
            hidden: Vec::new(),
            danger: false,
        },
    )
}

fn fields(form: &Form) -> Vec<Field> {
    let of = |name: &str| form.text(name);
    let services = SERVICES.iter();
    let services = services.map(|own| {
        let label = format!("{} ({})", own.title, own.hook.name());
        Choice::new(own.id, &label, of("service") == own.id)
    });
    let facts = [
        ("record", "It says that the patient is one of this record"),
        ("sent", "It sends what this record holds, as its own"),
        ("invented", "It sends an invented patient"),
    ];
    let chosen = if of("facts").is_empty() {
        "record"
    } else {
        of("facts")
    };
    let facts = facts.map(|(word, label)| Choice::new(word, label, word == chosen));
    let area = |name: &str, label: &str, hint: &str| {
        let hint = format!("{hint}; one name on a line");
        Field::area(name, label)
            .value(of(name))
            .hint(&hint)
            .optional()
    };
    vec![
        Field::select("service", "Service", services.collect()),
        Field::radios("facts", "What the other system knows", facts.to_vec()),
        Field::text("patient", "Patient")
            .value(of("patient"))
            .hint("Its id in this record; empty for an invented one")
            .optional(),
        area(
            "taken",
            "Medicines that an invented patient takes",
            "A man born in 1950 without allergies",
        ),
        area(
            "drafts",
            "Draft orders",
            "The first is the one that is selected, once a day by mouth",
        ),
    ]
}

fn lines(text: &str) -> Vec<String> {
    let all = text.lines().map(str::trim);
    all.filter(|own| !own.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Plays what the form says.
pub async fn play(visit: Visit, body: String) -> Response {
    let result = played(&visit, &body).await;
    visit.answer(result)
}

async fn played(visit: &Visit, body: &str) -> Result<Response, AppError> {
    check(visit, Tool::Hooks)?;
    let form = visit.form(body)?;
    let mut page = blank(visit, &form).await?;
    if page.fields.is_empty() {
        return Ok(answer::page(StatusCode::CONFLICT, &page));
    }
    let facts = Facts::ALL
        .into_iter()
        .find(|(_, word)| *word == form.text("facts"));
    let scene = Scene {
        service: form.text("service").to_owned(),
        facts: facts.map_or(Facts::Record, |(own, _)| own),
        patient: form.text("patient").to_owned(),
        taken: lines(form.exact("taken")),
        drafts: lines(form.exact("drafts")),
    };
    let begun = visit.app().clock().monotonic_ns();
    let status = match sandbox::play(visit.app(), &visit.caller, &scene).await {
        Ok(done) => {
            let took = visit.app().clock().monotonic_ns().saturating_sub(begun) / 1_000_000;
            fill(visit, &mut page, &done, took);
            StatusCode::OK
        }
        Err(error) => refused(&mut page, error)?,
    };
    Ok(answer::page(status, &page))
}

fn fill(visit: &Visit, page: &mut ToolPage, done: &Played, took: u64) {
    let found: Value = serde_json::from_str(&done.answered.body).unwrap_or_default();
    let cards = list(&found, "cards");
    let counted = match cards.len() {
        0 => "No card".to_owned(),
        1 => "1 card".to_owned(),
        more => format!("{} cards", dose_number(&more.to_string())),
    };
    page.summary = Some(Notice::new(
        if cards.is_empty() {
            Tone::Good
        } else {
            Tone::Info
        },
        &counted,
        &format!(
            "Answered and kept in {took} ms as call {}.",
            done.answered.call
        ),
    ));
    page.sections = vec![(
        "cards".to_owned(),
        "Cards".to_owned(),
        table(cards, Some(visit)),
    )];
    page.code = Some((
        "Request and answer".to_owned(),
        format!(
            "{}\n\n{}",
            pretty(&done.request),
            pretty(&done.answered.body)
        ),
    ));
}

/// A JSON text for people.
pub fn pretty(text: &str) -> String {
    let value: Result<Value, _> = serde_json::from_str(text);
    value
        .and_then(|own| serde_json::to_string_pretty(&own))
        .unwrap_or_else(|_| text.to_owned())
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    let found = value.get(member).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The cards of an answer; with a way to say what became of them for somebody who may.
pub fn table(cards: &[Value], visit: Option<&Visit>) -> Table {
    let columns: &[&str] = if visit.is_some() {
        &["Urgency", "Card", "Source", "What became of it"]
    } else {
        &["Urgency", "Card", "Source"]
    };
    let mut table = Table::new(
        "Cards",
        columns,
        "No card: nothing was found, and everything could be checked.",
    );
    for card in cards {
        let (tone, words) = match text(card, "/indicator") {
            "critical" => (Tone::Bad, "Critical"),
            "warning" => (Tone::Warn, "Warning"),
            _ => (Tone::Info, "Information"),
        };
        let mut said = vec![Piece::Strong(text(card, "/summary").to_owned())];
        said.extend(detail(text(card, "/detail")).into_iter().map(Piece::Minor));
        let suggestions = list(card, "suggestions").iter();
        said.extend(
            suggestions.map(|own| Piece::Minor(format!("Suggested: {}", text(own, "/label")))),
        );
        let mut cells = vec![
            Cell::tag(tone, words),
            Cell(said),
            Cell::text(text(card, "/source/label")).minor(text(card, "/source/topic/display")),
        ];
        if let Some(visit) = visit {
            let href = visit.href(&format!("{HERE}/cards/{}", text(card, "/uuid")));
            cells.push(if list(card, "overrideReasons").is_empty() {
                Cell::text("Read")
            } else {
                Cell::link(&href, "Say what became of it")
            });
        }
        table = table.raised_row(cells);
    }
    table
}

/// The lines of a card's Markdown as plain words.
fn detail(markdown: &str) -> Vec<String> {
    let lines = markdown.lines().skip_while(|line| line.starts_with("**"));
    let lines = lines.map(|line| {
        let line = line.trim().trim_start_matches("- ");
        let mut plain = String::with_capacity(line.len());
        let mut letters = line.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => plain.extend(letters.next()),
                letter => plain.push(letter),
            }
        }
        plain
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// Switches hooks on.
pub async fn switched(visit: Visit, body: String) -> Response {
    let result = on(&visit, &body).await;
    visit.answer(result)
}

async fn on(visit: &Visit, body: &str) -> Result<Response, AppError> {
    check(visit, Tool::Hooks)?;
    visit.form(body)?;
    let on = Setting {
        enabled: true,
        ..Setting::default()
    };
    setting::change(visit.app(), &visit.caller, on).await?;
    Ok(redirect(&visit.href(&format!("{HERE}?done=saved"))))
}

/// What became of a card: the form.
pub async fn card(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = asked(&visit, named(&params, "id")).await;
    visit.answer(result)
}

async fn of(visit: &Visit, id: &str) -> Result<(String, KeptCard), AppError> {
    check(visit, Tool::Hooks)?;
    let id = Uuid::try_parse(id).map_err(|_| AppError::NotFound {
        what: "card".to_owned(),
    })?;
    sandbox::card(visit.app(), &visit.caller, id).await
}

async fn asked(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let (_, card) = of(visit, id).await?;
    Ok(answer::page(
        StatusCode::OK,
        &form_of(visit, &card, &visit.query),
    ))
}

fn form_of(visit: &Visit, card: &KeptCard, form: &Form) -> ToolPage {
    let below = format!("{HERE}/cards/{}", card.id);
    let mut page = empty(visit, "What became of the card", &below, "Save");
    page.back = (visit.href(HERE), "Back to the sandbox".to_owned());
    page.lead.clone_from(&card.summary);
    page.posts = true;
    let chosen = form.text("outcome");
    let mut choices: Vec<Choice> = card
        .suggestions
        .iter()
        .map(|own| {
            let id = own.id.to_string();
            Choice::new(&id, &format!("Accepted: {}", own.label), chosen == id)
        })
        .collect();
    choices.push(Choice::new(
        "overridden",
        "Overridden",
        chosen == "overridden",
    ));
    let mut reasons = vec![Choice::new("", "No reason", form.text("reason").is_empty())];
    let known = REASONS.iter();
    reasons
        .extend(known.map(|(code, words)| Choice::new(code, words, form.text("reason") == *code)));
    let mut words = Field::text("text", "In words")
        .value(form.text("text"))
        .optional();
    words.width = "field-long";
    page.fields = vec![
        Field::radios("outcome", "What became of it", choices),
        Field::select("reason", "Reason to go on", reasons),
        words,
    ];
    page
}

/// What became of a card: kept.
pub async fn told(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = keep(&visit, named(&params, "id"), &body).await;
    visit.answer(result)
}

async fn keep(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    let (service, card) = of(visit, id).await?;
    let form = visit.form(body)?;
    let mut page = form_of(visit, &card, &form);
    let mut outcome = json!({ "card": card.id, "outcomeTimestamp": visit.app().now().to_string() });
    let mut set = |member: &str, value: Value| {
        if let Some(object) = outcome.as_object_mut() {
            object.insert(member.to_owned(), value);
        }
    };
    match (form.text("outcome"), form.text("reason"), form.text("text")) {
        ("", ..) => {
            if let Some(field) = page.fields.first_mut() {
                field.error = Some("Say what became of it: choose one".to_owned());
            }
            page.problem = ErrorSummary::of(&page.fields);
            return Ok(answer::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
        ("overridden", reason, text) => {
            set("outcome", "overridden".into());
            let mut why = serde_json::Map::new();
            if !reason.is_empty() {
                why.insert(
                    "reason".to_owned(),
                    json!({ "system": REASON, "code": reason }),
                );
            }
            if !text.is_empty() {
                why.insert("userComment".to_owned(), text.into());
            }
            if !why.is_empty() {
                set("overrideReason", why.into());
            }
        }
        (suggestion, ..) => {
            set("outcome", "accepted".into());
            set("acceptedSuggestions", json!([{ "id": suggestion }]));
        }
    }
    let message = json!({ "feedback": [outcome] }).to_string();
    let asker = Asker::of_record(visit.caller.clone());
    match feedback(visit.app(), &asker, &service, message.as_bytes()).await {
        Ok(_) => Ok(redirect(&visit.href(&format!("{HERE}?done=saved")))),
        Err(error) => {
            let status = refused(&mut page, error)?;
            Ok(answer::page(status, &page))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_shown_as_it_was_meant() {
        let text = "**Name \\*x\\***\n\n- What may happen: a &lt;b&gt; &amp; \\[c\\]\n\nGoing on needs a second person.\n";
        assert_eq!(
            detail(text),
            [
                "What may happen: a <b> & [c]",
                "Going on needs a second person."
            ]
        );
    }

    #[test]
    fn reasons_say_the_same_on_pages_and_cards() {
        let cards = app::cds_hooks::cards::REASONS.map(|(_, code, words)| (code, words));
        assert_eq!(cards, REASONS);
    }
}
