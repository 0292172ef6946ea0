//! Searches of the record for those who know FHIR: a type, up to three conditions built from its parameters
//! or a whole query as text, the matches, and how the search would be run. Must not search around the
//! use-case.

use app::AppError;
use app::record::search::{CURSOR, SearchAnswer, SearchRequest, search};
use app::record::{explain, query_string};
use axum::http::StatusCode;
use axum::response::Response;
use fhir::definitions::TypeId;
use fhir::json::Document;
use fhir::search::SearchParam;

use super::answer::{self, sentence, status_of};
use super::found::parse;
use super::tools::empty;
use super::visit::Visit;
use crate::clinical::When;
use crate::components::{Cell, Choice, ErrorSummary, Field, Notice, Paging, Table, Tone};
use crate::diff;
use crate::pages::tools::ToolPage;

const HERE: &str = "/tools/search";
/// Conditions that the form builds.
const CONDITIONS: [&str; 3] = ["1", "2", "3"];
/// Modifiers the form offers; the query as text takes every other.
const MODIFIERS: [&str; 8] = [
    "",
    "exact",
    "contains",
    "not",
    "missing",
    "identifier",
    "text",
    "of-type",
];

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

fn types(visit: &Visit) -> Vec<Choice> {
    let chosen = type_name(visit);
    let definitions = visit.app().definitions();
    let mut names: Vec<&str> = definitions
        .resource_types()
        .map(|ty| definitions.resource_name(ty))
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| Choice::new(name, name, name == chosen))
        .collect()
}

fn type_name(visit: &Visit) -> &str {
    match visit.query.text("type") {
        "" => "Patient",
        name => name,
    }
}

/// The query of the form: the conditions built, then the text.
fn params(visit: &Visit) -> Result<Vec<(String, String)>, AppError> {
    let mut params: Vec<(String, String)> = Vec::new();
    for number in CONDITIONS {
        let of = |part: &str| visit.query.text(&format!("{part}{number}")).to_owned();
        let (name, modifier, value) = (of("name"), of("modifier"), of("value"));
        if name.is_empty() || value.is_empty() {
            continue;
        }
        let name = if modifier.is_empty() {
            name
        } else {
            format!("{name}:{modifier}")
        };
        params.push((name, value));
    }
    let text = visit.query.text("query").trim_start_matches('?');
    let more = query_string::parse(text).ok_or_else(|| {
        AppError::Invalid("the query as text has a broken percent escape: correct it".to_owned())
    })?;
    params.extend(more);
    Ok(params)
}

fn fields(visit: &Visit, known: &[SearchParam]) -> Vec<Field> {
    let mut fields = vec![Field::select("type", "Resource type", types(visit))];
    for number in CONDITIONS {
        let of = |part: &str| visit.query.text(&format!("{part}{number}")).to_owned();
        let chosen = of("name");
        let mut names = vec![Choice::new("", "Choose a parameter", chosen.is_empty())];
        names.extend(known.iter().map(|param| {
            let label = format!("{} ({})", param.code, param.kind.code());
            Choice::new(param.code, &label, param.code == chosen)
        }));
        let modifier = of("modifier");
        let modifiers = MODIFIERS
            .iter()
            .map(|name| {
                let label = if name.is_empty() { "is" } else { name };
                Choice::new(name, label, *name == modifier)
            })
            .collect();
        fields.extend([
            Field::select(
                &format!("name{number}"),
                &format!("Condition {number}"),
                names,
            )
            .optional(),
            Field::select(
                &format!("modifier{number}"),
                &format!("How condition {number} compares"),
                modifiers,
            )
            .optional(),
            Field::text(&format!("value{number}"), &format!("Value {number}"))
                .optional()
                .value(&of("value"))
                .hint(if number == "1" {
                    "A prefix such as ge stands before dates and numbers; commas mean or"
                } else {
                    ""
                }),
        ]);
    }
    fields.push(
        Field::text("query", "Query as text")
            .optional()
            .value(visit.query.text("query"))
            .hint("Everything else, such as _include=Observation:subject&_sort=-date"),
    );
    fields
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    super::tools::check(visit)?;
    let definitions = visit.app().definitions();
    let ty = definitions
        .resource(type_name(visit))
        .ok_or_else(|| AppError::NotFound {
            what: "resource type".to_owned(),
        })?;
    let mut page = empty(visit, "Search of the record", HERE, "Search");
    page.fields = fields(visit, definitions.search_params(ty));
    let mut status = StatusCode::OK;
    let asked = !visit.query.text("type").is_empty();
    if asked && let Err(error) = answered(visit, ty, &mut page).await {
        status = status_of(&error);
        if status.is_server_error() {
            return Err(error);
        }
        page.problem = Some(ErrorSummary::whole(&sentence(&error.public_text())));
    }
    Ok(answer::page(status, &page))
}

async fn answered(visit: &Visit, ty: TypeId, page: &mut ToolPage) -> Result<(), AppError> {
    let asked = params(visit)?;
    let mut params = asked.clone();
    let after = visit.query.text("after");
    if !after.is_empty() {
        params.push((CURSOR.to_owned(), after.to_owned()));
    }
    let request = SearchRequest {
        ty,
        params,
        lenient: false,
    };
    let found = search(visit.app(), &visit.caller, &request).await?;
    page.summary = Some(summary(&found));
    page.paging = Paging {
        words: format!("{} on this page", found.matches.len()),
        first: (!after.is_empty()).then(|| visit.query.without("after")),
        next: found
            .next
            .as_deref()
            .map(|next| visit.query.with("after", next)),
    };
    let matches = versions(
        visit,
        "Matches",
        "No match that you may see.",
        &found.matches,
    )?;
    page.sections
        .push(("matches".to_owned(), "Matches".to_owned(), matches));
    if !found.included.is_empty() {
        let with = versions(visit, "Included", "Nothing.", &found.included)?;
        page.sections.push((
            "included".to_owned(),
            "What goes with them".to_owned(),
            with,
        ));
    }
    // How it would be run is for operators; others are not told.
    if let Ok(explained) = explain::explain(visit.app(), &visit.caller, ty, &asked).await {
        let document = Document::parse(explained, &fhir::json::Limits::default())?;
        page.code = Some((
            "How the search is run".to_owned(),
            diff::indented(document.root()),
        ));
    }
    Ok(())
}

fn summary(found: &SearchAnswer) -> Notice {
    let words: Vec<String> = found
        .notices
        .iter()
        .map(|issue| sentence(&issue.diagnostics))
        .collect();
    let title = match (found.total, found.matches.len()) {
        (Some(total), _) => format!("{total} in all"),
        (None, 0) => "No match that you may see".to_owned(),
        (None, shown) if found.next.is_some() => format!("The first {shown}; more follow"),
        (None, shown) => format!("{shown} on this page, the last"),
    };
    let tone = if words.is_empty() {
        Tone::Info
    } else {
        Tone::Warn
    };
    Notice::new(tone, &title, &words.join(" "))
}

fn versions(
    visit: &Visit,
    caption: &str,
    none: &str,
    versions: &[app::StoredVersion],
) -> Result<Table, AppError> {
    let columns = ["Resource", "Version", "Changed", "Begins"];
    let mut table = Table::new(caption, &columns, none);
    for version in versions {
        let name = format!(
            "{}/{}",
            visit.app().definitions().resource_name(version.key.ty),
            version.key.id
        );
        let begins = parse(version)?.map_or_else(String::new, |document| {
            let text = diff::indented(document.root()).replace('\n', " ");
            text.chars().filter(|c| *c != ' ').take(120).collect()
        });
        table = table.row(vec![
            Cell::link(&visit.href(&format!("/records/{name}")), &name),
            Cell::text(&version.version.to_string()),
            Cell::when(When::at(version.last_updated(), visit.zone())),
            Cell::code(&begins),
        ]);
    }
    Ok(table)
}
