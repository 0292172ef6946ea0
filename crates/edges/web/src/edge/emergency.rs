//! Emergency access: asking, ending, reviewing. Must not tell whether a patient exists before access was
//! taken.

use app::AppError;
use app::admin::{break_glass, users};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{BreakGlassGrant, BreakGlassReason, Interaction, ReviewOutcome};

use super::answer::{self, redirect, sentence, status_of};
use super::form::Form;
use super::named;
use super::summary::patient_id;
use super::users::id_of;
use super::visit::Visit;
use crate::clinical::When;
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Notice, Paging, Piece, Table, Tone};
use crate::pages::access::{FormPage, ListPage};

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

/// The form, or the review queue for those who review.
pub async fn page(visit: Visit) -> Response {
    let result = if visit.offers(Interaction::ReviewBreakGlass) {
        queue(&visit).await
    } else {
        asked(&visit)
    };
    visit.answer(result)
}

fn asked(visit: &Visit) -> Result<Response, AppError> {
    if !visit.caller.subject.may_break_glass() {
        return Err(AppError::NotFound {
            what: "page".to_owned(),
        });
    }
    Ok(form_page(visit, &visit.query, None))
}

fn form_page(visit: &Visit, form: &Form, problem: Option<&AppError>) -> Response {
    let reasons = BreakGlassReason::ALL
        .iter()
        .map(|reason| {
            Choice::new(
                reason.as_str(),
                reason_words(*reason),
                form.text("reason") == reason.as_str(),
            )
        })
        .collect();
    let minutes = [("15", "15 minutes"), ("60", "1 hour"), ("240", "4 hours")];
    let chosen = if form.text("minutes").is_empty() {
        "60"
    } else {
        form.text("minutes")
    };
    let page = FormPage {
        shell: visit.shell("Emergency access"),
        lead: "Use this only when a patient needs care now and your role does not show you the record.".to_owned(),
        warning: Some(Notice::new(
            Tone::Warn,
            "This will be reviewed",
            "Everything you open is recorded with your reason, and somebody else reviews it.",
        )),
        problem: problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text()))),
        action: visit.href("/break-glass"),
        fields: vec![
            Field::text("patient", "Patient").value(form.text("patient")).hint("The record id, as it stands in the address of the summary").autocomplete("off"),
            Field::radios("reason", "Why", reasons),
            Field::area("words", "What is happening").value(form.text("words")).hint("At least ten characters; do not name other patients"),
            Field::select("minutes", "For how long", minutes.iter().map(|(value, words)| Choice::new(value, words, *value == chosen)).collect()),
        ],
        hidden: Vec::new(),
        button: "Take emergency access".to_owned(),
        danger: true,
        facts: Vec::new(),
        steps: Vec::new(),
        back: None,
    };
    answer::page(problem.map_or(StatusCode::OK, status_of), &page)
}

/// Takes emergency access.
pub async fn request(visit: Visit, body: String) -> Response {
    let result = request_of(&visit, &body).await;
    visit.answer(result)
}

async fn request_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let patient = patient_id(form.text("patient"))?;
    let Some(reason) = BreakGlassReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == form.text("reason"))
    else {
        let error = AppError::Unprocessable("choose why you need emergency access".to_owned());
        return Ok(form_page(visit, &form, Some(&error)));
    };
    let wanted = break_glass::Wanted {
        patient: patient.clone(),
        reason,
        text: form.text("words").to_owned(),
        minutes: form.text("minutes").parse().ok(),
    };
    match break_glass::request(visit.app(), &visit.caller, wanted).await {
        Ok(_) => Ok(redirect(&visit.href(&format!("/patients/{patient}")))),
        Err(error @ AppError::Unprocessable(_)) => Ok(form_page(visit, &form, Some(&error))),
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

/// The last cell of a grant: the buttons of a review, or what it found.
fn review_cell(visit: &Visit, grant: &BreakGlassGrant, who: &str) -> Cell {
    let Some(review) = grant.reviewed.as_ref().filter(|_| !grant.awaits_review()) else {
        let button = |(outcome, value, words): &(ReviewOutcome, &'static str, &'static str)| {
            review_button(visit, grant, (*outcome, value, words), who)
        };
        return Cell(OUTCOMES.iter().map(button).collect());
    };
    let words = OUTCOMES
        .iter()
        .find(|(outcome, _, _)| *outcome == review.outcome)
        .map_or("", |(_, _, words)| words);
    let justified = review.outcome == ReviewOutcome::Justified;
    Cell::tag(if justified { Tone::Good } else { Tone::Bad }, words)
        .minor(&review.note)
        .and(Piece::When(When::at(review.when, visit.web.zone())))
}

async fn queue(visit: &Visit) -> Result<Response, AppError> {
    let grants = break_glass::list(visit.app(), &visit.caller).await?;
    let names = names(visit).await;
    let zone = visit.web.zone();
    let columns = ["Who", "Patient", "Reason", "When", "Review"];
    let mut waiting = Table::new("To review", &columns, "Nothing waits for a review.");
    let mut done = Table::new("Reviewed", &columns, "Nothing was reviewed yet.");
    for grant in &grants {
        let known = names.iter().find(|(id, _)| *id == grant.user);
        let who = known.map_or_else(|| format!("User {}", grant.user), |(_, name)| name.clone());
        let when = Cell::when(When::at(grant.granted, zone))
            .and(Piece::Text("to".to_owned()))
            .and(Piece::When(When::at(grant.expires, zone)));
        let cells = vec![
            Cell::text(&who),
            Cell::code(grant.patient.as_str()),
            Cell::text(reason_words(grant.reason)).minor(&grant.text),
            when,
            review_cell(visit, grant, &who),
        ];
        if grant.awaits_review() {
            waiting = waiting.raised_row(cells);
        } else {
            done = done.row(cells);
        }
    }
    let section = |id: &str, title: &str, table| (id.to_owned(), title.to_owned(), table);
    let page = ListPage {
        shell: visit.shell("Emergency access"),
        lead: "Nobody reviews their own. The audit trail shows what was opened.".to_owned(),
        action: None,
        secret: None,
        summary: None,
        sections: vec![
            section("review", "To review", waiting),
            section("done", "Reviewed", done),
        ],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn review_button(
    visit: &Visit,
    grant: &BreakGlassGrant,
    (outcome, value, words): (ReviewOutcome, &str, &str),
    who: &str,
) -> Piece {
    Piece::Post(Box::new(PostButton {
        action: visit.href(&format!("/break-glass/{}/review", grant.id)),
        label: words.to_owned(),
        about: format!("the access of {who}"),
        csrf: visit.csrf(),
        confirm: String::new(),
        hidden: vec![("outcome".to_owned(), value.to_owned())],
        danger: outcome == ReviewOutcome::NotJustified,
    }))
}

/// Names of users, where the person may see them; else of those this patient list names.
async fn names(visit: &Visit) -> Vec<(kernel::UserId, String)> {
    users::list(visit.app(), &visit.caller).await.map_or_else(
        |_| Vec::new(),
        |users| {
            users
                .into_iter()
                .map(|user| (user.id, user.display_name))
                .collect()
        },
    )
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
    let (outcome, _, words) = OUTCOMES
        .into_iter()
        .find(|(_, value, _)| *value == form.text("outcome"))
        .ok_or_else(|| AppError::Unprocessable("choose what the review found".to_owned()))?;
    let note = if form.text("note").is_empty() {
        words
    } else {
        form.text("note")
    };
    break_glass::review(visit.app(), &visit.caller, id_of(id)?, outcome, note).await?;
    Ok(redirect(&visit.href("/break-glass?done=reviewed")))
}
