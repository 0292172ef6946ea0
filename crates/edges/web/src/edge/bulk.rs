//! Bulk jobs of the organisation, for those who run it: those there are, how far they are, and stopping
//! one. Must not lead to their files, which are for the program that asked for them.

use app::AppError;
use app::bulk::{self, Listed};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{self, redirect, sentence};
use super::last;
use super::tools::{check, empty};
use super::visit::Visit;
use crate::clinical::When;
use crate::clinical::code::words;
use crate::clinical::quantity::dose_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Table, Tone};

const HERE: &str = "/tools/bulk";

/// The list.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

fn number(number: u64) -> Cell {
    Cell::text(&dose_number(&number.to_string()))
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    check(visit)?;
    let jobs = bulk::list(visit.app(), &visit.caller).await?;
    let mut page = empty(visit, "Bulk jobs", HERE, "");
    page.lead = format!(
        "Programs begin them: an export with a call of {}/$export, an import with $import. Their files are for the program that asked.",
        visit.caller.context.base
    );
    let columns = ["Job", "State", "Steps", "#Resources", "Asked for", "Ended"];
    let mut table = Table::new(
        "Jobs",
        &columns,
        "No jobs. One stays here until its files are removed.",
    );
    for job in &jobs {
        let href = visit.href(&format!("{HERE}/{}", job.id));
        table = table.row(vec![
            Cell::link(&href, &words(job.kind)).minor(&job.owner),
            state(job),
            Cell::text(&format!("{} of {}", job.steps.0, job.steps.1)),
            number(job.resources),
            Cell::when(When::at(job.created, visit.zone())),
            ended(visit, job),
        ]);
    }
    page.sections = vec![("jobs".to_owned(), "Jobs, newest first".to_owned(), table)];
    Ok(answer::page(StatusCode::OK, &page))
}

fn state(job: &Listed) -> Cell {
    let (tone, words) = match job.state {
        "done" => (Tone::Good, "Done"),
        "going" => (Tone::Info, "Going on"),
        "failed" => (Tone::Bad, "Failed"),
        _ => (Tone::Plain, "Stopped"),
    };
    let why = job.why.as_deref().map(sentence).unwrap_or_default();
    Cell::tag(tone, words).minor(&why)
}

fn ended(visit: &Visit, job: &Listed) -> Cell {
    match job.ended {
        Some(at) => Cell::when(When::at(at, visit.zone())),
        None => Cell::text("Not yet"),
    }
}

/// One job.
pub async fn job(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_job(&visit, last(&params)).await;
    visit.answer(result)
}

async fn show_job(visit: &Visit, id: &str) -> Result<Response, AppError> {
    check(visit)?;
    let job = bulk::overview(visit.app(), &visit.caller, id).await?;
    let mut page = empty(visit, &format!("Bulk {}", job.kind), HERE, "");
    page.back = (visit.href(HERE), "Bulk jobs".to_owned());
    let unit = if job.kind == "export" {
        "resource types"
    } else {
        "inputs"
    };
    let steps = format!("{} of {} {unit} finished", job.steps.0, job.steps.1);
    let row = |name: &str, cell: Cell| vec![Cell::text(name), cell];
    let table = Table::new("Job", &["What", "Found"], "")
        .row(row("State", state(&job)))
        .row(row("How far", Cell::text(&steps)))
        .row(row("Resources", number(job.resources)))
        .row(row("Bytes", number(job.bytes)))
        .row(row("Asked for by", Cell::text(&job.owner)))
        .row(row(
            "Asked for",
            Cell::when(When::at(job.created, visit.zone())),
        ))
        .row(row("Ended", ended(visit, &job)));
    page.sections = vec![("job".to_owned(), "How it stands".to_owned(), table)];
    if job.state == "going" {
        page.links = vec![(
            visit.href(&format!("{HERE}/{id}")),
            "Look again at how far it is".to_owned(),
        )];
    }
    if job.state != "stopped" {
        let (label, words) = if job.state == "going" {
            ("Stop", "It ends where it is, and its files are removed.")
        } else {
            ("Remove", "Its files are removed before their time.")
        };
        page.steps = vec![(
            format!("{label} this job"),
            words.to_owned(),
            PostButton {
                action: visit.href(&format!("{HERE}/{id}")),
                label: label.to_owned(),
                about: "this job".to_owned(),
                csrf: visit.csrf(),
                confirm: format!("{label} this job? Its files are removed."),
                hidden: Vec::new(),
                danger: true,
            },
        )];
    }
    Ok(answer::page(StatusCode::OK, &page))
}

/// Stops a job, or removes its files.
pub async fn stop(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = stopped(&visit, last(&params), &body).await;
    visit.answer(result)
}

async fn stopped(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    check(visit)?;
    visit.form(body)?;
    bulk::stop(visit.app(), &visit.caller, id).await?;
    Ok(redirect(&visit.href(&format!("{HERE}?done=saved"))))
}
