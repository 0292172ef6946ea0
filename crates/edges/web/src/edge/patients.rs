//! Patient search and list. Must not count what the person may not see.

use app::AppError;
use app::record::search::CURSOR;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::found::{Matches, escaped, find};
use super::visit::Visit;
use crate::clinical::{Banner, date};
use crate::components::{ErrorSummary, Paging};
use crate::pages::patients::{PatientRow, PatientsPage, patient_table, search_fields};

const PAGE: &str = "25";

/// The rows of a search.
pub fn rows(visit: &Visit, matches: &Matches) -> Vec<PatientRow> {
    matches
        .found
        .iter()
        .map(|found| PatientRow {
            banner: Banner::of(found.document.root(), visit.app().now(), visit.web.zone()),
            href: visit.href(&format!("/patients/{}", found.id)),
        })
        .collect()
}

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

/// A number as typed: blanks and hyphens only group digits.
fn number(typed: &str) -> String {
    let digits: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect();
    let grouped = digits.len() >= 10 && digits.bytes().all(|b| b.is_ascii_digit());
    escaped(if grouped { &digits } else { typed })
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    let query = &visit.query;
    let (name, born, typed) = (query.text("name"), query.text("born"), query.text("number"));
    let escaped_name = escaped(name);
    let number = number(typed);
    let mut params = vec![("_count", PAGE)];
    let words: Vec<String> = escaped_name
        .split_whitespace()
        .map(|word| word.trim_end_matches("\\,").to_owned())
        .collect();
    // Each word must be the beginning of a family or given name, in whatever order.
    params.extend(words.iter().map(|word| ("name", word.as_str())));
    let born_date = date::typed(born);
    let unreadable = !born.is_empty() && born_date.is_none();
    let iso = born_date.map(|date| date.to_string()).unwrap_or_default();
    for (param, value) in [
        ("birthdate", iso.as_str()),
        ("identifier", number.as_str()),
        (CURSOR, query.text("after")),
    ] {
        if !value.is_empty() {
            params.push((param, value));
        }
    }
    let searched = !(name.is_empty() && born.is_empty() && typed.is_empty());
    if !searched {
        params.push(("_sort", "family"));
    }
    let matches = if unreadable {
        Matches::default() // nothing is searched for by a date that cannot be read
    } else {
        find(visit, &visit.caller, "Patient", &params).await?
    };
    let rows = rows(visit, &matches);
    let empty = if searched {
        "No patient you may see matches. Check the spelling, or search by number."
    } else {
        "There is no patient you may see."
    };
    let mut fields = search_fields(name, born, typed);
    if unreadable && let Some(field) = fields.iter_mut().find(|field| field.name == "born") {
        field.error = Some("Write the date with the month in letters, like 05-Mar-1941".to_owned());
    }
    let shown = PatientsPage {
        shell: visit.shell("Patients"),
        problem: ErrorSummary::of(&fields),
        fields,
        searched,
        table: patient_table(&rows, empty),
        paging: Paging {
            words: format!("{} on this page", rows.len()),
            first: (!query.text("after").is_empty()).then(|| query.without("after")),
            next: matches
                .next
                .as_deref()
                .map(|next| query.with("after", next)),
        },
    };
    Ok(answer::page(StatusCode::OK, &shown))
}
