//! Bulk jobs of the organisation, for those who run it: those there are, how far and how fast they are,
//! until when their files are kept, and stopping one. Must not lead to their files: they hold the record,
//! which whoever runs the organisation does not read, and are for the program that asked for them.

use app::AppError;
use app::bulk::{self, Listed};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{self, redirect, sentence};
use super::last;
use super::tools::{Tool, check, empty};
use super::visit::Visit;
use crate::clinical::When;
use crate::clinical::code::words;
use crate::clinical::quantity::dose_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Piece, Table, Tone};
use crate::pages::tools::ToolPage;

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
    check(visit, Tool::Bulk)?;
    let jobs = bulk::list(visit.app(), &visit.caller).await?;
    let mut page = empty(visit, "Bulk jobs", HERE, "");
    page.lead = format!(
        "Programs begin them: an export with a call of {}/$export, an import with $import.",
        visit.caller.context.base
    );
    let columns = [
        "Job",
        "State",
        "How far",
        "#Resources",
        "Asked for",
        "Ended",
    ];
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
            Cell(vec![bar(job)]),
            number(job.resources),
            Cell::when(When::at(job.created, visit.zone())),
            ended(visit, job),
        ]);
    }
    page.sections = vec![("jobs".to_owned(), "Jobs, newest first".to_owned(), table)];
    if jobs.iter().any(|job| job.state == "going") {
        page.links = vec![(
            visit.href(HERE),
            "Look again at how far they are".to_owned(),
        )];
    }
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

/// What its steps are.
fn unit(job: &Listed) -> &'static str {
    if job.kind == "export" {
        "types"
    } else {
        "inputs"
    }
}

/// How far it is, by the steps that are finished.
fn bar(job: &Listed) -> Piece {
    let (done, of) = job.steps;
    let share = if job.state == "done" {
        100
    } else {
        done.saturating_mul(100).checked_div(of).unwrap_or(0)
    };
    let words = format!("{done} of {of} {}", unit(job));
    Piece::Bar(u8::try_from(share.min(100)).unwrap_or(100), words)
}

fn ended(visit: &Visit, job: &Listed) -> Cell {
    match job.ended {
        Some(at) => Cell::when(When::at(at, visit.zone())),
        None => Cell::text("Not yet"),
    }
}

/// Seconds it has been worked on, or was: at least one.
fn seconds(visit: &Visit, job: &Listed) -> u64 {
    let until = job.ended.unwrap_or_else(|| visit.app().now());
    u64::try_from(until.seconds_since(job.created).max(1)).unwrap_or(1)
}

/// `3.1 MB`.
fn bytes(number: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => {
            let tenths = number / (size / 10);
            let shown = dose_number(&format!("{}.{}", tenths / 10, tenths % 10));
            format!("{shown} {unit}")
        }
        None => format!("{number} bytes"),
    }
}

/// `4 minutes`; no finer than anybody can wait for.
fn duration(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..=89 => (seconds.max(1), "second"),
        90..=5399 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3600), "hour"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {unit}{plural}", dose_number(&number.to_string()))
}

/// How long it will still take, as far as the finished steps tell: nothing before the first.
fn left(job: &Listed, spent: u64) -> String {
    let (done, of) = (job.steps.0 as u64, job.steps.1 as u64);
    if done == 0 || done >= of {
        return format!(
            "Not known before {} of its {} is finished",
            if done == 0 { "the first" } else { "the last" },
            unit(job)
        );
    }
    let left = spent.saturating_mul(of - done) / done;
    format!(
        "About {}, if the {} left are like those done",
        duration(left),
        unit(job)
    )
}

/// One job.
pub async fn job(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_job(&visit, last(&params)).await;
    visit.answer(result)
}

async fn show_job(visit: &Visit, id: &str) -> Result<Response, AppError> {
    check(visit, Tool::Bulk)?;
    let job = bulk::overview(visit.app(), &visit.caller, id).await?;
    let mut page = empty(visit, &format!("Bulk {}", job.kind), HERE, "");
    page.back = (visit.href(HERE), "Bulk jobs".to_owned());
    page.sections = vec![(
        "job".to_owned(),
        "How it stands".to_owned(),
        facts(visit, &job),
    )];
    if job.state == "going" {
        page.links = vec![(
            visit.href(&format!("{HERE}/{id}")),
            "Look again at how far it is".to_owned(),
        )];
    }
    end_step(visit, &job, &mut page);
    Ok(answer::page(StatusCode::OK, &page))
}

fn facts(visit: &Visit, job: &Listed) -> Table {
    let row = |name: &str, cell: Cell| vec![Cell::text(name), cell];
    let spent = seconds(visit, job);
    let each = job.resources / spent;
    let rate = format!(
        "{} resource{} and {} a second",
        dose_number(&each.to_string()),
        if each == 1 { "" } else { "s" },
        bytes(job.bytes / spent)
    );
    let mut table = Table::new("Job", &["What", "Found"], "")
        .row(row("State", state(job)))
        .row(row("How far", Cell(vec![bar(job)])));
    if job.state == "going" {
        table = table.row(row("Time left", Cell::text(&left(job, spent))));
    }
    table = table
        .row(row("Resources", number(job.resources)))
        .row(row("Written or read", Cell::text(&bytes(job.bytes))))
        .row(row("Speed", Cell::text(&rate)))
        .row(row("Time spent", Cell::text(&duration(spent))))
        .row(row("Asked for by", Cell::text(&job.owner)))
        .row(row(
            "Asked for",
            Cell::when(When::at(job.created, visit.zone())),
        ))
        .row(row("Ended", ended(visit, job)));
    if let Some(expires) = job.expires {
        let words = match job.files {
            1 => "1 file, kept until".to_owned(),
            files => format!("{} files, kept until", dose_number(&files.to_string())),
        };
        let cell = Cell::text(&words)
            .and(Piece::When(When::at(expires, visit.zone())))
            .minor("Only the program that asked is given links to them; each link ends by itself, and each fetch is in the ledger.");
        table = table.row(row("Files", cell));
    }
    table
}

fn end_step(visit: &Visit, job: &Listed, page: &mut ToolPage) {
    if job.state == "stopped" {
        return;
    }
    let (label, words) = if job.state == "going" {
        ("Stop", "It ends where it is, and its files are removed.")
    } else {
        ("Remove", "Its files are removed before their time.")
    };
    page.steps = vec![(
        format!("{label} this job"),
        words.to_owned(),
        PostButton {
            action: visit.href(&format!("{HERE}/{}", job.id)),
            label: label.to_owned(),
            about: "this job".to_owned(),
            csrf: visit.csrf(),
            confirm: format!("{label} this job? Its files are removed."),
            hidden: Vec::new(),
            danger: true,
        },
    )];
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
    check(visit, Tool::Bulk)?;
    visit.form(body)?;
    bulk::stop(visit.app(), &visit.caller, id).await?;
    Ok(redirect(&visit.href(&format!("{HERE}?done=saved"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_in_words() {
        for (number, shown) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1 kB"),
            (3_140_000, "3.1 MB"),
            (2_000_000_000, "2 GB"),
        ] {
            assert_eq!(bytes(number), shown);
        }
        for (seconds, shown) in [
            (0, "1 second"),
            (89, "89 seconds"),
            (90, "2 minutes"),
            (3600, "60 minutes"),
            (5400, "2 hours"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }
}
