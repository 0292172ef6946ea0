//! Emergency access: asking, ending, reviewing. Must not tell whether a patient exists before access was
//! taken.

use app::admin::break_glass;
use app::audit::{Filter, Sought};
use app::{AppError, Log};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{BreakGlassGrant, BreakGlassReason, Interaction, ReviewOutcome};

use super::answer::{self, redirect, sentence, status_of};
use super::audit_entry::entry_table;
use super::form::Form;
use super::named;
use super::summary::banner;
use super::users::id_of;
use super::visit::Visit;
use crate::clinical::When;
use crate::clinical::identifier::typed_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Notice, Paging, Piece, Table, Tone};
use crate::pages::access::{FormPage, ListPage, ReviewPage};

fn reason_words(reason: BreakGlassReason) -> &'static str {
    match reason {
        BreakGlassReason::LifeThreatening => "Danger to life",
        BreakGlassReason::UrgentCare => "Urgent care without danger to life",
        BreakGlassReason::UnplannedTransfer => {
            "The patient came from another branch without notice"
        }
        BreakGlassReason::Safeguarding => "Protection of the patient or of others",
        BreakGlassReason::Other => "Another reason",
    }
}

/// The review queue for those who review, else the form; both show what one has in force.
pub async fn page(visit: Visit) -> Response {
    let reviews = visit.offers(Interaction::ReviewBreakGlass);
    let result = if reviews && visit.query.text("ask").is_empty() {
        queue(&visit).await
    } else {
        asked(&visit).await
    };
    visit.answer(result)
}

async fn asked(visit: &Visit) -> Result<Response, AppError> {
    if !visit.caller.subject.may_break_glass() {
        return Err(AppError::NotFound {
            what: "page".to_owned(),
        });
    }
    form_page(visit, &visit.query, None).await
}

/// One's own emergency access in force, each with a way to end it; `None` where there is none.
async fn own(visit: &Visit) -> Result<Option<Table>, AppError> {
    let grants = break_glass::own(visit.app(), &visit.caller).await?;
    let columns = ["Patient", "Why", "Until", "Action"];
    let mut table = Table::new("Your emergency access", &columns, "None.");
    for grant in &grants {
        let href = visit.href(&format!("/patients/{}", grant.patient));
        let name = banner(visit, &grant.patient)
            .await
            .map(|banner| banner.name);
        let end = PostButton {
            action: visit.href(&format!("/break-glass/{}/end", grant.id)),
            label: "End it now".to_owned(),
            about: name.clone().unwrap_or_else(|| grant.patient.to_string()),
            csrf: visit.csrf(),
            confirm: String::new(),
            hidden: Vec::new(),
            danger: false,
        };
        table = table.raised_row(vec![
            Cell::link(&href, name.as_deref().unwrap_or("Open the record"))
                .minor(&format!("Record {}", grant.patient)),
            Cell::text(reason_words(grant.reason)).minor(&grant.text),
            Cell::when(When::at(grant.expires, visit.zone())),
            Cell(vec![Piece::Post(Box::new(end))]),
        ]);
    }
    Ok((!grants.is_empty()).then_some(table))
}

async fn form_page(
    visit: &Visit,
    form: &Form,
    problem: Option<(&'static str, &AppError)>,
) -> Result<Response, AppError> {
    let mut fields = fields(form);
    if let Some((name, error)) = problem
        && let Some(field) = fields.iter_mut().find(|field| field.name == name)
    {
        field.error = Some(sentence(&error.public_text()));
    }
    let page = FormPage {
        shell: visit.shell("Emergency access"),
        lead: "Use this only when a patient needs care now and your role does not show you the record.".to_owned(),
        warning: Some(Notice::new(
            Tone::Warn,
            "This will be reviewed",
            "Everything you open is recorded with your reason, and somebody else reviews it.",
        )),
        problem: ErrorSummary::of(&fields)
            .or_else(|| problem.map(|(_, error)| ErrorSummary::whole(&sentence(&error.public_text())))),
        running: own(visit).await?,
        action: visit.href("/break-glass"),
        fields,
        hidden: Vec::new(),
        button: "Take emergency access".to_owned(),
        danger: true,
        facts: Vec::new(),
        steps: Vec::new(),
        back: None,
    };
    Ok(answer::page(
        problem.map_or(StatusCode::OK, |(_, error)| status_of(error)),
        &page,
    ))
}

fn fields(form: &Form) -> Vec<Field> {
    let reason = |reason: &BreakGlassReason| {
        let chosen = form.text("reason") == reason.as_str();
        Choice::new(reason.as_str(), reason_words(*reason), chosen)
    };
    let minutes = [("15", "15 minutes"), ("60", "1 hour"), ("240", "4 hours")];
    let chosen = if form.text("minutes").is_empty() {
        "60"
    } else {
        form.text("minutes")
    };
    let minutes = minutes
        .iter()
        .map(|(value, words)| Choice::new(value, words, *value == chosen))
        .collect();
    vec![
        Field::text("patient", "Patient")
            .value(form.text("patient"))
            .hint("NHS No., ABHA No., MRN or record id, with or without spaces")
            .autocomplete("off"),
        Field::radios(
            "reason",
            "Why",
            BreakGlassReason::ALL.iter().map(reason).collect(),
        ),
        Field::area("words", "What is happening")
            .value(form.text("words"))
            .hint("At least ten characters; do not name other patients"),
        Field::select("minutes", "For how long", minutes),
    ]
}

/// Takes emergency access.
pub async fn request(visit: Visit, body: String) -> Response {
    let result = request_of(&visit, &body).await;
    visit.answer(result)
}

async fn request_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let reason = BreakGlassReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == form.text("reason"));
    let Some(typed) = typed_number(form.text("patient")) else {
        let error = AppError::Unprocessable("name the patient by a number".to_owned());
        return form_page(visit, &form, Some(("patient", &error))).await;
    };
    // Said before anything is looked up: it tells nothing of who is there.
    if let Some(problem) = typed.problem {
        let words = format!("{problem}. A number of another kind: give the record id instead");
        let error = AppError::Unprocessable(words);
        return form_page(visit, &form, Some(("patient", &error))).await;
    }
    let Some(reason) = reason else {
        let error = AppError::Unprocessable("choose why you need emergency access".to_owned());
        return form_page(visit, &form, Some(("reason", &error))).await;
    };
    let wanted = break_glass::Wanted {
        patient: Sought::Number(typed.forms),
        reason,
        text: form.text("words").to_owned(),
        minutes: form.text("minutes").parse().ok(),
    };
    match break_glass::request(visit.app(), &visit.caller, wanted).await {
        Ok(grant) => Ok(redirect(
            &visit.href(&format!("/patients/{}", grant.patient)),
        )),
        Err(AppError::Conflict(words)) => {
            let error = AppError::Unprocessable(words);
            form_page(visit, &form, Some(("patient", &error))).await
        }
        Err(error @ AppError::Unprocessable(_)) => {
            form_page(visit, &form, Some(("words", &error))).await
        }
        Err(error) => Err(error),
    }
}

/// Ends one's own emergency access.
pub async fn end(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = end_of(&visit, named(&params, "id"), &body).await;
    visit.answer(result)
}

async fn end_of(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    visit.form(body)?;
    break_glass::end(visit.app(), &visit.caller, id_of(id)?).await?;
    Ok(redirect(&visit.href("/?done=ended")))
}

const OUTCOMES: [(ReviewOutcome, &str, &str); 3] = [
    (ReviewOutcome::Justified, "justified", "Justified"),
    (ReviewOutcome::Escalated, "escalated", "Look into it"),
    (
        ReviewOutcome::NotJustified,
        "not-justified",
        "Not justified",
    ),
];

/// What a review found, or that one is missing.
fn review_cell(visit: &Visit, grant: &BreakGlassGrant) -> Cell {
    let Some(review) = &grant.reviewed else {
        return Cell::tag(Tone::Warn, "Not reviewed");
    };
    let words = OUTCOMES
        .iter()
        .find(|(outcome, _, _)| *outcome == review.outcome)
        .map_or("", |(_, _, words)| words);
    let tone = match review.outcome {
        ReviewOutcome::Justified => Tone::Good,
        ReviewOutcome::Escalated => Tone::Warn,
        ReviewOutcome::NotJustified => Tone::Bad,
    };
    Cell::tag(tone, words)
        .minor(&review.note)
        .minor(&When::at(review.when, visit.zone()).text)
}

/// From when until when; the day is said once where it is the same.
fn span(visit: &Visit, grant: &BreakGlassGrant) -> String {
    When::span(grant.granted, grant.expires, visit.zone()).text
}

async fn queue(visit: &Visit) -> Result<Response, AppError> {
    let grants = break_glass::list(visit.app(), &visit.caller).await?;
    let names = break_glass::people(visit.app(), &visit.caller).await?;
    let columns = ["Who", "Patient", "Reason", "When", "Review"];
    let mut waiting = Table::new("To review", &columns, "Nothing waits for a review.");
    let mut done = Table::new("Reviewed", &columns, "Nothing was reviewed yet.");
    for grant in grants.iter().filter(|grant| grant.awaits_review()) {
        waiting = waiting.raised_row(grant_row(visit, grant, &names));
    }
    for grant in grants.iter().rev().filter(|grant| !grant.awaits_review()) {
        done = done.row(grant_row(visit, grant, &names));
    }
    let section = |id: &str, title: &str, table| (id.to_owned(), title.to_owned(), table);
    let mut sections = Vec::new();
    if let Some(own) = own(visit).await? {
        sections.push(section("own", "Your emergency access", own));
    }
    sections.push(section("review", "To review", waiting));
    sections.push(section("done", "Reviewed", done));
    let ask = visit.caller.subject.may_break_glass().then(|| {
        let href = visit.href("/break-glass?ask=1");
        (href, "Take emergency access".to_owned())
    });
    let page = ListPage {
        shell: visit.shell("Emergency access"),
        lead: "The oldest comes first. Nobody reviews their own. Open one to see what was looked at under it.".to_owned(),
        action: ask,
        secret: None,
        summary: None,
        sections,
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn name_of(names: &[(kernel::UserId, String)], user: kernel::UserId) -> String {
    let known = names.iter().find(|(id, _)| *id == user);
    known.map_or_else(|| format!("User {user}"), |(_, name)| name.clone())
}

fn grant_row(
    visit: &Visit,
    grant: &BreakGlassGrant,
    names: &[(kernel::UserId, String)],
) -> Vec<Cell> {
    let href = visit.href(&format!("/break-glass/{}", grant.id));
    let mut when = Cell::text(&span(visit, grant));
    if grant.is_active(visit.app().now()) {
        when = when.and(Piece::Tag(Tone::Warn, "In force".to_owned()));
    }
    vec![
        Cell::link(&href, &name_of(names, grant.user)),
        Cell::text(&format!("Record {}", grant.patient)),
        Cell::text(reason_words(grant.reason)).minor(&grant.text),
        when,
        review_cell(visit, grant),
    ]
}

/// One emergency access: why, what was looked at under it, and the form of the review.
pub async fn grant(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match id_of(named(&params, "id")) {
        Ok(id) => show_grant(&visit, id, &Form::default(), None).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

/// Looks of one grant on its page; the audit explorer has all of them.
const LOOKS: u32 = 200;

/// What was looked at under a grant; `None` where the reader may not see the trail.
async fn looks(visit: &Visit, grant: &BreakGlassGrant) -> Result<Option<Table>, AppError> {
    let filter = Filter {
        patient: Some(grant.patient.clone()),
        from: Some(grant.granted),
        until: Some(grant.expires.plus_seconds(1)),
        prove: true,
        ..Filter::newest(Log::Access, LOOKS)
    };
    match app::audit::recent(visit.app(), &visit.caller, &filter).await {
        Ok(mut page) => {
            page.entries
                .retain(|entry| entry.leaf.prior == Some(grant.id));
            let policy = app::audit::policy(visit.app()).ok();
            let table = entry_table(visit, &page.entries, policy.as_ref());
            Ok(Some(table))
        }
        Err(AppError::Denied { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn show_grant(
    visit: &Visit,
    id: uuid::Uuid,
    form: &Form,
    problem: Option<&AppError>,
) -> Result<Response, AppError> {
    let grants = break_glass::list(visit.app(), &visit.caller).await?;
    let grant = grants
        .into_iter()
        .find(|grant| grant.id == id)
        .ok_or_else(|| AppError::NotFound {
            what: "emergency access".to_owned(),
        })?;
    let names = break_glass::people(visit.app(), &visit.caller).await?;
    let own = visit.caller.subject.user_id() == Some(grant.user);
    let mut fields = review_fields(form);
    if problem.is_some()
        && form.text("outcome").is_empty()
        && let Some(field) = fields.first_mut()
    {
        field.error = Some("Choose what the review found".to_owned());
    }
    let page = ReviewPage {
        shell: visit.shell("Emergency access"),
        who: name_of(&names, grant.user),
        problem: ErrorSummary::of(&fields)
            .or_else(|| problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text())))),
        facts: vec![
            ("Patient record".to_owned(), grant.patient.to_string()),
            ("Why".to_owned(), reason_words(grant.reason).to_owned()),
            ("In their words".to_owned(), grant.text.clone()),
            ("When".to_owned(), span(visit, &grant)),
        ],
        review: grant.reviewed.as_ref().map(|review| {
            let by = name_of(&names, review.by);
            let words = OUTCOMES.iter().find(|(one, _, _)| *one == review.outcome);
            let words = words.map_or("", |(_, _, words)| words);
            let when = When::at(review.when, visit.zone()).text;
            format!("{words}, by {by}, {when}. {}", review.note)
        }),
        looks: looks(visit, &grant).await?,
        trail: visit.href(&format!("/patients/{}/audit", grant.patient)),
        action: visit.href(&format!("/break-glass/{}/review", grant.id)),
        fields: if grant.awaits_review() && !own {
            fields
        } else {
            Vec::new()
        },
        own,
        back: visit.href("/break-glass"),
    };
    Ok(answer::page(
        problem.map_or(StatusCode::OK, status_of),
        &page,
    ))
}

fn review_fields(form: &Form) -> Vec<Field> {
    let choice = |(_, value, words): &(ReviewOutcome, &'static str, &'static str)| {
        let hint = match *value {
            "escalated" => "Stays in the queue until somebody else has looked into it",
            "not-justified" => "Ends the access at once where it is still in force",
            _ => "",
        };
        Choice::new(value, words, form.text("outcome") == *value).hint(hint)
    };
    vec![
        Field::radios(
            "outcome",
            "What the review found",
            OUTCOMES.iter().map(choice).collect(),
        ),
        Field::area("note", "Note")
            .value(form.text("note"))
            .hint("What was checked, and with whom")
            .optional(),
    ]
}

/// Records a review.
pub async fn review(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = review_of(&visit, named(&params, "id"), &body).await;
    visit.answer(result)
}

async fn review_of(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let id = id_of(id)?;
    let chosen = OUTCOMES
        .into_iter()
        .find(|(_, value, _)| *value == form.text("outcome"));
    let Some((outcome, _, _)) = chosen else {
        let error = AppError::Unprocessable("choose what the review found".to_owned());
        return show_grant(visit, id, &form, Some(&error)).await;
    };
    break_glass::review(visit.app(), &visit.caller, id, outcome, form.text("note")).await?;
    Ok(redirect(&visit.href("/break-glass?done=reviewed")))
}
