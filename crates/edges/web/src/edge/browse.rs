//! Searches of the record for those who know FHIR: a type, conditions built from its parameters, the rest
//! of the query as text, the matches, and for those who run the house how the search is run. Must not
//! search around the use-case: what somebody may not see does not come back.

use app::AppError;
use app::record::search::{CURSOR, SearchAnswer, SearchRequest, search};
use app::record::{explain, query_string};
use axum::http::StatusCode;
use axum::response::Response;
use fhir::definitions::TypeId;
use identity::{Class, Interaction};

use super::answer::{self, sentence, status_of};
use super::conditions::{self, Asked};
use super::found::parse;
use super::tools::{self, Tool};
use super::visit::Visit;
use super::{explained, plain};
use crate::clinical::When;
use crate::clinical::glance::glance;
use crate::components::{Cell, Choice, ErrorSummary, Field, Notice, Paging, Table, Tone};
use crate::pages::search::SearchPage;

const HERE: &str = "/tools/search";

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

/// The types a role of the person may search; what it finds of them is another question.
fn types(visit: &Visit) -> Vec<&'static str> {
    let mut names: Vec<&str> = Class::ALL
        .iter()
        .filter(|class| visit.may(Interaction::Search, **class))
        .flat_map(|class| class.types())
        .collect();
    names.sort_unstable();
    names
}

fn choices(offered: &[&'static str], chosen: &str) -> Vec<Choice> {
    let mut choices: Vec<Choice> = offered
        .iter()
        .map(|name| Choice::new(name, name, *name == chosen))
        .collect();
    if !offered.contains(&chosen) {
        let label = format!("{chosen} (not for your role)");
        choices.insert(0, Choice::new(chosen, &label, true));
    }
    choices
}

/// The type that is asked for; the first page begins with what the role sees.
fn chosen<'v>(visit: &'v Visit, offered: &[&'v str]) -> &'v str {
    match visit.query.text("type") {
        "" => ["Patient", "Organization"]
            .into_iter()
            .find(|name| offered.contains(name))
            .or_else(|| offered.first().copied())
            .unwrap_or("Organization"),
        name => name,
    }
}

fn blank(visit: &Visit) -> SearchPage {
    SearchPage {
        shell: visit.shell("Search of the record"),
        back: (visit.href(tools::HOME), "Record tools".to_owned()),
        lead: String::from("You find what your role may see, and each search is recorded."),
        problem: None,
        action: visit.href(HERE),
        types: Vec::new(),
        conditions: Vec::new(),
        room: true,
        more: more(visit),
        address: String::new(),
        asks: Vec::new(),
        summary: None,
        sections: Vec::new(),
        paging: Paging::default(),
        plan: None,
    }
}

fn more(visit: &Visit) -> Field {
    let mut field = Field::text("query", "Rest of the query, as text")
        .optional()
        .value(visit.query.text("query"))
        .hint(
            "Sorting, what goes with the matches, chains: _sort=-date&_include=Observation:subject",
        );
    field.width = "field-long";
    field
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    tools::check(visit, Tool::Search)?;
    let definitions = visit.app().definitions();
    let offered = types(visit);
    let name = chosen(visit, &offered);
    let ty = definitions
        .resource(name)
        .ok_or_else(|| AppError::NotFound {
            what: "resource type".to_owned(),
        })?;
    let known = definitions.search_params(ty);
    let asked = conditions::of(&visit.query);
    let step = visit.query.text("step");
    let edits = !step.is_empty() || !visit.query.text("less").is_empty();
    let mut page = blank(visit);
    page.types = choices(&offered, name);
    page.conditions = conditions::edited(&asked, step == "more", known);
    page.room = page.conditions.len() < conditions::MOST;
    let mut status = StatusCode::OK;
    if !visit.query.text("type").is_empty() {
        match conditions::params(&asked, visit.query.text("query")) {
            Ok(params) => {
                page.asks = conditions::asks(&params, known);
                page.address = address(visit, name, &params);
                if !edits {
                    status = answered(visit, ty, &asked, &params, &mut page).await?;
                }
            }
            Err(error) => status = refuse(&mut page, error)?,
        }
    }
    Ok(answer::page(status, &page))
}

/// The address a program would call.
fn address(visit: &Visit, name: &str, params: &[(String, String)]) -> String {
    let base = &visit.caller.context.base;
    let pairs = params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    match query_string::print(pairs) {
        query if query.is_empty() => format!("{base}/{name}"),
        query => format!("{base}/{name}?{query}"),
    }
}

/// What was refused stands on the page; faults go on.
fn refuse(page: &mut SearchPage, error: AppError) -> Result<StatusCode, AppError> {
    let status = status_of(&error);
    if status.is_server_error() && !matches!(error, AppError::Query(_)) {
        return Err(error);
    }
    page.problem = Some(ErrorSummary::whole(&plain::words(&error)));
    Ok(status)
}

async fn answered(
    visit: &Visit,
    ty: TypeId,
    asked: &[Asked<'_>],
    params: &[(String, String)],
    page: &mut SearchPage,
) -> Result<StatusCode, AppError> {
    let unfinished = conditions::unfinished(asked);
    if !unfinished.is_empty() {
        let errors = unfinished.into_iter().map(|number| {
            let words = format!("Condition {number} is not complete: choose a parameter and give a value, or remove it.");
            (format!("v{number}"), words)
        });
        page.problem = Some(ErrorSummary {
            errors: errors.collect(),
        });
        return Ok(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let status = match found(visit, ty, params, page).await {
        Ok(()) => StatusCode::OK,
        Err(error) => refuse(page, error)?,
    };
    // How it is run is for those who run the house; others are not told, and not asked about.
    if visit.offers(Interaction::ViewHealth)
        && let Ok(answer) = explain::explain(visit.app(), &visit.caller, ty, params).await
    {
        page.plan = Some(explained::plan(answer, &visit.app().settings().limits)?);
    }
    Ok(status)
}

async fn found(
    visit: &Visit,
    ty: TypeId,
    params: &[(String, String)],
    page: &mut SearchPage,
) -> Result<(), AppError> {
    let mut params = params.to_vec();
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
        words: String::new(),
        first: (!after.is_empty()).then(|| visit.query.without("after")),
        next: found
            .next
            .as_deref()
            .map(|next| visit.query.with("after", next)),
    };
    let none = "Nothing that you may see matches. Remove a condition, or compare in another way.";
    let matches = versions(visit, "Matches", none, &found.matches)?;
    page.sections
        .push(("matches".to_owned(), "Matches".to_owned(), matches));
    if !found.included.is_empty() {
        let with = versions(visit, "Included", "Nothing.", &found.included)?;
        let title = "What goes with them".to_owned();
        page.sections.push(("included".to_owned(), title, with));
    }
    Ok(())
}

fn summary(found: &SearchAnswer) -> Notice {
    let words: Vec<String> = found
        .notices
        .iter()
        .map(|issue| sentence(&issue.diagnostics))
        .collect();
    let one = |number: usize| if number == 1 { "match" } else { "matches" };
    let title = match (found.total, found.matches.len()) {
        (Some(total), _) => format!("{total} in all"),
        (None, 0) => "No match".to_owned(),
        (None, shown) if found.next.is_some() => {
            format!("{shown} {} on this page; more follow", one(shown))
        }
        (None, shown) => format!("{shown} {} on this page, the last", one(shown)),
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
    let columns = ["Resource", "What it is", "Changed", "#Version"];
    let mut table = Table::new(caption, &columns, none);
    for version in versions {
        let name = format!(
            "{}/{}",
            visit.app().definitions().resource_name(version.key.ty),
            version.key.id
        );
        let (what, standing) =
            parse(version)?.map_or_else(Default::default, |document| glance(document.root()));
        let what = if what.is_empty() { "Not named" } else { &what };
        table = table.row(vec![
            Cell::link(&visit.href(&format!("/records/{name}")), &name),
            Cell::text(what).minor(&standing),
            Cell::when(When::at(version.last_updated(), visit.zone())),
            Cell::text(&version.version.to_string()),
        ]);
    }
    Ok(table)
}
