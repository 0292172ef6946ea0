//! Bulk jobs: those there are, how far they are, their files, and the form of a new export. Must not read a
//! file itself: links are the use-case's, signed.

use app::AppError;
use app::bulk::{self, ExportLevel, ExportRequest, Listed, ManifestFile, Status};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{self, redirect, sentence, status_of};
use super::form::Form;
use super::last;
use super::tools::{check, empty};
use super::visit::Visit;
use crate::clinical::When;
use crate::clinical::quantity::dose_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Piece, Table, Tone};
use crate::pages::tools::ToolPage;

const HERE: &str = "/tools/bulk";

/// The list, and the form of a new export.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit, &Form::default(), None).await;
    visit.answer(result)
}

async fn show(
    visit: &Visit,
    form: &Form,
    problem: Option<&AppError>,
) -> Result<Response, AppError> {
    check(visit)?;
    let jobs = bulk::list(visit.app(), &visit.caller).await?;
    let mut page = empty(visit, "Bulk jobs", HERE, "Export");
    page.posts = true;
    page.fields = fields(form);
    page.problem = problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text())));
    page.sections = vec![(
        "jobs".to_owned(),
        "Jobs".to_owned(),
        jobs_table(visit, &jobs),
    )];
    let status = problem.map_or(StatusCode::OK, status_of);
    Ok(answer::page(status, &page))
}

fn fields(form: &Form) -> Vec<Field> {
    let patients = form.text("level") == "patients";
    vec![
        Field::radios(
            "level",
            "What to export",
            vec![
                Choice::new("system", "Everything", !patients),
                Choice::new("patients", "What is about patients", patients),
            ],
        ),
        Field::text("types", "Resource types")
            .optional()
            .value(form.text("types"))
            .hint("Names with commas between, such as Patient,Observation; empty for every type"),
        Field::text("since", "Changed since")
            .optional()
            .value(form.text("since"))
            .hint("A FHIR instant, such as 2026-03-05T00:00:00Z"),
    ]
}

fn jobs_table(visit: &Visit, jobs: &[Listed]) -> Table {
    let columns = ["Job", "State", "#Resources", "Asked for", "Ended"];
    let mut table = Table::new("Jobs", &columns, "No jobs.");
    for job in jobs {
        let (tone, words) = match job.state {
            "done" => (Tone::Good, "Done"),
            "going" => (Tone::Info, "Going on"),
            "failed" => (Tone::Bad, "Failed"),
            _ => (Tone::Plain, "Stopped"),
        };
        let ended = job
            .ended
            .map_or_else(Cell::default, |at| Cell::when(When::at(at, visit.zone())));
        table = table.row(vec![
            Cell::link(&visit.href(&format!("{HERE}/{}", job.id)), job.kind).minor(&job.owner),
            Cell::tag(tone, words).minor(job.why.as_deref().unwrap_or_default()),
            Cell::text(&dose_number(&job.resources.to_string())),
            Cell::when(When::at(job.created, visit.zone())),
            ended,
        ]);
    }
    table
}

/// Begins an export.
pub async fn begin(visit: Visit, body: String) -> Response {
    let result = begun(&visit, &body).await;
    visit.answer(result)
}

async fn begun(visit: &Visit, body: &str) -> Result<Response, AppError> {
    check(visit)?;
    let form = visit.form(body)?;
    let mut params = Vec::new();
    for (field, name) in [("types", "_type"), ("since", "_since")] {
        if !form.text(field).is_empty() {
            params.push((name.to_owned(), form.text(field).replace(' ', "")));
        }
    }
    let (level, below) = match form.text("level") {
        "patients" => (ExportLevel::Patient, "Patient/$export"),
        _ => (ExportLevel::System, "$export"),
    };
    let pairs = params.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    let query = app::record::query_string::print(pairs);
    let request = ExportRequest {
        level,
        url: format!("{}/{below}?{query}", visit.caller.context.base),
        params,
        lenient: false,
    };
    match bulk::begin_export(visit.app(), &visit.caller, &request).await {
        Ok(id) => Ok(redirect(&visit.href(&format!("{HERE}/{id}")))),
        Err(error) if status_of(&error).is_server_error() => Err(error),
        Err(error) => show(visit, &form, Some(&error)).await,
    }
}

/// One job.
pub async fn job(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_job(&visit, last(&params)).await;
    visit.answer(result)
}

async fn show_job(visit: &Visit, id: &str) -> Result<Response, AppError> {
    check(visit)?;
    let status = bulk::status(visit.app(), &visit.caller, id).await?;
    let mut page = empty(visit, "Bulk job", HERE, "");
    page.back = (visit.href(HERE), "Bulk jobs".to_owned());
    let stop = |words: &str| {
        Cell(vec![Piece::Post(Box::new(PostButton {
            action: visit.href(&format!("{HERE}/{id}")),
            label: words.to_owned(),
            about: "this job".to_owned(),
            csrf: visit.csrf(),
            confirm: format!("{words}? Its files are removed."),
            hidden: Vec::new(),
            danger: true,
        }))])
    };
    let mut state = Table::new("State", &["State", "More", "Action"], "");
    match status {
        Status::Going { progress, .. } => {
            page.lead = String::from("Open the page again to see how far it is.");
            state = state.row(vec![
                Cell::tag(Tone::Info, "Going on"),
                Cell::text(&progress),
                stop("Stop"),
            ]);
        }
        Status::Done(manifest) => {
            let expires = When::at(manifest.expires, visit.zone());
            state = state.row(vec![
                Cell::tag(Tone::Good, "Done"),
                Cell::text("Files go on their own at").and(Piece::When(expires)),
                stop("Remove"),
            ]);
            files(&mut page, "output", "Files", &manifest.output);
            files(&mut page, "deleted", "What was deleted", &manifest.deleted);
            files(&mut page, "error", "What went wrong", &manifest.error);
        }
        Status::Failed(why) => {
            let words = sentence(&why);
            state = state.raised_row(vec![
                Cell::tag(Tone::Bad, "Given up"),
                Cell::text(&words),
                stop("Remove"),
            ]);
        }
    }
    page.sections
        .insert(0, ("state".to_owned(), "State".to_owned(), state));
    Ok(answer::page(StatusCode::OK, &page))
}

fn files(page: &mut ToolPage, id: &str, title: &str, files: &[ManifestFile]) {
    if files.is_empty() && id != "output" {
        return;
    }
    let mut table = Table::new(title, &["File", "#Lines"], "No file: nothing matched.");
    for file in files {
        table = table.row(vec![
            Cell::link(&file.url, &file.ty),
            Cell::text(&dose_number(&file.count.to_string())),
        ]);
    }
    page.sections.push((id.to_owned(), title.to_owned(), table));
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
    bulk::cancel(visit.app(), &visit.caller, id).await?;
    Ok(redirect(&visit.href(&format!("{HERE}?done=saved"))))
}
