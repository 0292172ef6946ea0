//! Patient search and list. Must not count what the person may not see.

use app::AppError;
use app::record::search::CURSOR;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::form::Form;
use super::found::{Matches, escaped, find};
use super::names;
use super::visit::Visit;
use crate::clinical::identifier::typed_number;
use crate::clinical::{Banner, date};
use crate::components::{ErrorSummary, Field, Notice, Paging, Table, Tone};
use crate::pages::patients::{PatientRow, PatientsPage, patient_table, search_fields};

const PAGE: &str = "25";

/// The rows of a search.
pub fn rows(visit: &Visit, matches: &Matches) -> Vec<PatientRow> {
    matches
        .found
        .iter()
        .map(|found| PatientRow {
            banner: Banner::of(found.document.root(), visit.app().now(), visit.zone()),
            href: visit.href(&format!("/patients/{}", found.id)),
        })
        .collect()
}

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

/// The orders a list may be sorted in: name in the address, column, search parameter.
const SORTS: [(&str, &str); 2] = [("family", "Name"), ("birthdate", "Born")];

/// The order asked for; by name where none is.
fn sort(visit: &Visit) -> String {
    let asked = visit.query.text("sort");
    let known = SORTS
        .iter()
        .any(|(param, _)| *param == asked.trim_start_matches('-'));
    if known { asked } else { "family" }.to_owned()
}

/// The list with links that sort it.
fn sortable(visit: &Visit, mut table: Table, sort: &str) -> Table {
    for (param, column) in SORTS {
        let current = sort.trim_start_matches('-') == param;
        let descending = sort.starts_with('-');
        let next = if current && !descending {
            format!("-{param}")
        } else {
            param.to_owned()
        };
        let kept = Form::parse(visit.query.without("after").trim_start_matches('?'));
        table = table.sorted_by(
            column,
            kept.with("sort", &next),
            current.then_some(descending),
        );
    }
    table
}

/// What is searched for, as typed and as read.
struct Wanted {
    words: Vec<String>,
    forms: String,
    born: String,
    sort: String,
    /// Whether a date was typed that cannot be read.
    unreadable: bool,
    /// Whether anything is searched for.
    searched: bool,
    /// What is wrong with the number.
    problem: Option<String>,
}

impl Wanted {
    fn of(visit: &Visit) -> Self {
        let query = &visit.query;
        let (name, born, typed) = (query.text("name"), query.text("born"), query.text("number"));
        let number = typed_number(typed);
        let forms = number.iter().flat_map(|number| &number.forms);
        let forms: Vec<String> = forms.map(|form| escaped(form)).collect();
        let date = date::typed(born);
        Self {
            words: escaped(name)
                .split_whitespace()
                .map(|word| word.trim_end_matches("\\,").to_owned())
                .collect(),
            forms: forms.join(","),
            born: date.map(|date| date.to_string()).unwrap_or_default(),
            sort: sort(visit),
            unreadable: !born.is_empty() && date.is_none(),
            searched: !(name.is_empty() && born.is_empty() && typed.is_empty()),
            problem: number.and_then(|number| number.problem),
        }
    }

    async fn find(&self, visit: &Visit) -> Result<Matches, AppError> {
        if self.unreadable {
            return Ok(Matches::default()); // nothing is searched for by a date that cannot be read
        }
        let mut params = vec![("_count", PAGE), ("_sort", self.sort.as_str())];
        // Each word must be the beginning of a family or given name, in whatever order.
        params.extend(self.words.iter().map(|word| ("name", word.as_str())));
        for (param, value) in [
            ("birthdate", self.born.as_str()),
            ("identifier", self.forms.as_str()),
            (CURSOR, visit.query.text("after")),
        ] {
            if !value.is_empty() {
                params.push((param, value));
            }
        }
        find(visit, &visit.caller, "Patient", &params).await
    }

    /// The fields with what is wrong with them, and a notice about a doubtful number that was found.
    fn fields(&self, visit: &Visit, found: bool) -> (Vec<Field>, Option<Notice>) {
        let query = &visit.query;
        let mut fields =
            search_fields(query.text("name"), query.text("born"), query.text("number"));
        let mut notice = None;
        for field in &mut fields {
            match (field.name.as_str(), &self.problem) {
                ("born", _) if self.unreadable => {
                    let words = "Write the date with the month in letters, like 05-Mar-1941";
                    field.error = Some(words.to_owned());
                }
                ("number", Some(problem)) if found => {
                    let words = format!(
                        "{problem}. What is shown has this number of another kind, or with a mistake in it."
                    );
                    notice = Some(Notice::new(Tone::Warn, "Check the number", &words));
                }
                ("number", Some(problem)) => field.error = Some(problem.clone()),
                _ => {}
            }
        }
        (fields, notice)
    }
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    let query = &visit.query;
    let wanted = Wanted::of(visit);
    let matches = wanted.find(visit).await?;
    let mut rows = rows(visit, &matches);
    let banners = rows.iter_mut().map(|row| &mut row.banner).collect();
    names::of_banners(visit, &visit.caller, banners).await;
    let empty = if wanted.searched {
        "No patient you may see matches. Check the spelling, or search by number."
    } else {
        "There is no patient you may see."
    };
    let (fields, notice) = wanted.fields(visit, !rows.is_empty());
    let mut shell = visit.shell("Patients");
    shell.notices.extend(notice);
    let shown = PatientsPage {
        shell,
        problem: ErrorSummary::of(&fields),
        fields,
        searched: wanted.searched,
        table: sortable(visit, patient_table(&rows, empty), &wanted.sort),
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
