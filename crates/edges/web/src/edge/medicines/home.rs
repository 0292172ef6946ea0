//! The home of the area, by role: what waits, the pages of the area, the patients. Must not link to a page
//! that is not there: what is not in [`PAGES`] has none.

use app::AppError;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use identity::{Class, Interaction, Role};

use super::order::Ordered;
use crate::clinical::{MedicationLine, When};
use crate::components::{Cell, Piece, Table};
use crate::edge::Web;
use crate::edge::answer;
use crate::edge::found::find;
use crate::edge::names;
use crate::edge::patients::rows;
use crate::edge::today::{banners, figure, patient_cell, section, subject, unavailable};
use crate::edge::visit::Visit;
use crate::pages::medicines::HomePage;
use crate::pages::patients::identity_cells;
use crate::pages::today::{Figure, Section};

/// Address below the organisation's, name, what it is for, and to whom the link is shown.
type Below = (&'static str, &'static str, &'static str, fn(&Visit) -> bool);

/// Pages of the area. A page that is added stands here.
const PAGES: &[Below] = &[
    (
        "/medicines/round",
        "Round",
        "What is due to whom, and recording it",
        gives,
    ),
    (
        "/medicines/handover",
        "Handover",
        "What the next shift should know",
        gives,
    ),
    (
        "/medicines/stock",
        "Stock",
        "What is kept where, batches, and what runs low",
        |visit| visit.offers(Interaction::ViewStock),
    ),
    (
        "/medicines/register",
        "Controlled-drug register",
        "Every entry with its balance and two signatures",
        |visit| visit.offers(Interaction::ViewRegister),
    ),
    (
        "/medicines/orders",
        "Orders",
        "What is ordered of pharmacies, and what is to be chased",
        |visit| visit.offers(Interaction::OrderMedicines),
    ),
    (
        "/medicines/alerts",
        "Alerts and overrides",
        "What was shown, and why people went on",
        |visit| visit.may(Interaction::Update, Class::Prescriptions),
    ),
];

/// Whether the person gives medicines: those on the record alone are no reason to see a round.
fn gives(visit: &Visit) -> bool {
    visit.may(Interaction::Create, Class::MedicinesGiven)
}

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/medicines", get(page))
}

async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    let own = visit.is(Role::Patient);
    let links = PAGES
        .iter()
        .filter(|(.., shown)| shown(visit))
        .map(|(below, name, what, _)| (visit.href(below), (*name).to_owned(), (*what).to_owned()));
    let mut page = HomePage {
        shell: visit.shell(if own { "My medicines" } else { "Medicines" }),
        figures: Vec::new(),
        links: links.collect(),
        sections: Vec::new(),
    };
    if visit.may(Interaction::Update, Class::Prescriptions) {
        page.sections
            .extend(waiting(visit, &mut page.figures).await);
    }
    if !own {
        page.sections.extend(paused(visit, &mut page.figures).await);
    }
    page.sections.extend(people(visit, own).await);
    Ok(answer::page(StatusCode::OK, &page))
}

/// Orders of one status as a table with a link each.
async fn orders(
    visit: &Visit,
    status: &str,
    (id, title, empty): (&str, &str, &str),
    link: (Option<&str>, &str),
) -> Result<(Section, usize, bool), Option<Section>> {
    let params = [
        ("status", status),
        ("_sort", "authoredon"),
        ("_count", "100"),
    ];
    let found = find(visit, &visit.caller, "MedicationRequest", &params).await;
    let matches = found.map_err(|error| unavailable(id, title, "The orders", &error))?;
    let values = matches.values(visit, "MedicationRequest");
    let patients = banners(
        visit,
        values.iter().filter_map(|(value, _)| subject(*value)),
    )
    .await;
    let mut by: Vec<String> = values
        .iter()
        .map(|(value, _)| Ordered::by(*value))
        .collect();
    names::of_texts(visit, &visit.caller, by.iter_mut().collect()).await;
    let mut table = Table::new(
        title,
        &["Patient", "Medicine", "By", "Written", "To do"],
        empty,
    );
    let mut count = 0;
    for ((value, _), by) in values.into_iter().zip(by) {
        let Some(line) = MedicationLine::of(value, visit.zone(), String::new()) else {
            continue;
        };
        let patient = subject(value);
        let order = crate::clinical::code::text(value, "id").unwrap_or_default();
        let whose = patient.clone().unwrap_or_default();
        let step = link.0.map(|step| format!("/{order}/{step}"));
        let step = step.unwrap_or_default();
        let href = visit.href(&format!("/patients/{whose}/medicines{step}"));
        let written = When::member(value, "authoredOn", visit.zone());
        count += 1;
        table = table.raised_row(vec![
            patient_cell(visit, patient.as_deref(), &patients),
            Cell(vec![Piece::Medicine(Box::new(line))]),
            Cell::text(&by),
            Cell::when(written.unwrap_or_else(|| When::unknown(crate::clinical::NOT_RECORDED))),
            Cell::link(&href, link.1),
        ]);
    }
    let mut shown = section(id, title, table);
    if matches.next.is_some() {
        "The oldest 100. There are more.".clone_into(&mut shown.lead);
    }
    Ok((shown, count, matches.next.is_some()))
}

fn number(count: usize, more: bool) -> String {
    if more {
        format!("more than {count}")
    } else {
        count.to_string()
    }
}

async fn waiting(visit: &Visit, figures: &mut Vec<Figure>) -> Option<Section> {
    let words = (
        "countersign",
        "To sign as the second person",
        "No order waits for a second person.",
    );
    match orders(
        visit,
        "draft",
        words,
        (Some("countersign"), "Look and sign"),
    )
    .await
    {
        Ok((mut shown, count, more)) => {
            let label = "Waiting for a second person";
            figures.push(figure(
                &number(count, more),
                label,
                "#countersign".to_owned(),
                count > 0,
            ));
            if count > 0 {
                let lead = format!("{} Whoever gave the reason cannot sign.", shown.lead);
                lead.trim().clone_into(&mut shown.lead);
            }
            Some(shown)
        }
        Err(shown) => shown,
    }
}

async fn paused(visit: &Visit, figures: &mut Vec<Figure>) -> Option<Section> {
    let words = (
        "held",
        "Held until somebody resumes them",
        "No order is held.",
    );
    let may = visit.may(Interaction::Update, Class::Prescriptions);
    let link = if may {
        (Some("resume"), "Resume")
    } else {
        (None, "See the medicines")
    };
    match orders(visit, "on-hold", words, link).await {
        Ok((shown, count, more)) => {
            figures.push(figure(
                &number(count, more),
                "Held",
                "#held".to_owned(),
                count > 0,
            ));
            Some(shown)
        }
        Err(shown) => shown,
    }
}

/// The patients, each with a link to the medicines.
async fn people(visit: &Visit, own: bool) -> Option<Section> {
    let title = if own { "My records" } else { "Patients" };
    let caller = if own {
        visit.with_purpose(kernel::PurposeOfUse::PatientRequest)
    } else {
        visit.caller.clone()
    };
    let params = [
        ("_count", "50"),
        ("_sort", "family"),
        ("active:not", "false"),
    ];
    let matches = match find(visit, &caller, "Patient", &params).await {
        Ok(matches) => matches,
        Err(error) => return unavailable("patients", title, "The patients", &error),
    };
    let columns = ["Name", "Born", "Gender", "Number", "Medicines"];
    let empty = if own {
        "No record is linked to you."
    } else {
        "No patient you may see is recorded."
    };
    let mut table = Table::new(title, &columns, empty).filtered("patients-table");
    for row in rows(visit, &matches) {
        let mut cells = identity_cells(&row);
        let href = format!("{}/medicines", row.href);
        let about = format!("Medicines of {}", row.banner.name);
        cells.push(Cell::link(&href, &about));
        table = table.row(cells);
    }
    let mut shown = section("patients", title, table);
    if matches.next.is_some() {
        "The first 50 by name.".clone_into(&mut shown.lead);
        shown.more = Some((visit.href("/patients"), "Search all patients".to_owned()));
    }
    Some(shown)
}
