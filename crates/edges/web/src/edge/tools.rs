//! The tools of those who look after the record: what there is, with a line about each. Must not offer what
//! the person may not use.

use app::AppError;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{Interaction, Role};

use super::answer;
use super::visit::Visit;
use crate::clinical::quantity::dose_number;
use crate::components::{Cell, ErrorSummary, Paging, Table};
use crate::pages::access::ListPage;
use crate::pages::shell::Shell;
use crate::pages::tools::ToolPage;

/// Where they are listed.
pub const HOME: &str = "/tools";

/// A tool: address, name, what it is for.
const TOOLS: [(&str, &str, &str); 6] = [
    (
        "/tools/search",
        "Search of the record",
        "Any search of FHIR R4, built step by step, with how it would be run",
    ),
    (
        "/tools/validation",
        "Validation",
        "Whether a resource is valid, against R4 and against profiles",
    ),
    (
        "/tools/bulk",
        "Bulk jobs",
        "Exports and imports: who asked for them, how far they are, and stopping them",
    ),
    (
        "/tools/subscriptions",
        "Subscriptions",
        "Who is told of changes, what was delivered, what was given up, and sending it again",
    ),
    (
        "/tools/terminology",
        "Terminology",
        "Code systems, value sets and maps: looking up, checking and translating codes",
    ),
    (
        "/tools/parameters",
        "Search parameters",
        "Those this organisation defines, and how far they are built",
    ),
];

/// Whether somebody is shown the tools at all.
pub fn are_offered(visit: &Visit) -> bool {
    visit.offers(Interaction::ManageSettings)
        || visit.offers(Interaction::RunJobs)
        || visit.is(Role::IntegrationService)
}

/// The list.
pub async fn home(visit: Visit) -> Response {
    let result = list(&visit);
    visit.answer(result)
}

fn list(visit: &Visit) -> Result<Response, AppError> {
    let mut table = Table::new("Tools", &["Tool", "What it is for"], "No tools.");
    check(visit)?;
    for (below, name, words) in TOOLS {
        table = table.row(vec![
            Cell::link(&visit.href(below), name),
            Cell::text(words),
        ]);
    }
    let page = ListPage {
        shell: visit.shell("Record tools"),
        lead: "For those who look after the record and what is connected to it. What you open is recorded like everywhere else.".to_owned(),
        action: None,
        secret: None,
        summary: None,
        sections: vec![("tools".to_owned(), "Tools".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// Whoever is not shown the tools is not told of them.
pub fn check(visit: &Visit) -> Result<(), AppError> {
    if are_offered(visit) {
        return Ok(());
    }
    Err(AppError::NotFound {
        what: "page".to_owned(),
    })
}

/// A tool's page for a search or question that was refused: what is wrong stands on it. Faults go on.
pub fn refused(page: &mut ToolPage, error: AppError) -> Result<StatusCode, AppError> {
    let status = answer::status_of(&error);
    if status.is_server_error() {
        return Err(error);
    }
    let text = answer::sentence(&error.public_text());
    page.problem = Some(ErrorSummary::whole(&text));
    Ok(status)
}

/// The links to the pages before and after, of a list that is paged by an offset.
pub fn paged(visit: &Visit, offset: usize, shown: usize, total: usize, size: usize) -> Paging {
    let first = offset.saturating_add(usize::from(shown > 0));
    let last = offset.saturating_add(shown);
    let number = |number: usize| dose_number(&number.to_string());
    Paging {
        words: format!("{} to {} of {}", number(first), number(last), number(total)),
        first: (offset > 0).then(|| visit.query.without("offset")),
        next: (last < total).then(|| {
            let next = offset.saturating_add(size);
            visit.query.with("offset", &next.to_string())
        }),
    }
}

/// The offset an address asks for; anything else is the beginning.
pub fn offset(visit: &Visit) -> usize {
    visit.query.text("offset").parse().unwrap_or(0)
}

/// A tool's page with nothing on it yet.
pub fn empty(visit: &Visit, title: &str, below: &str, button: &str) -> ToolPage {
    let shell: Shell = visit.shell(title);
    ToolPage {
        shell,
        back: (visit.href(HOME), "Record tools".to_owned()),
        lead: String::new(),
        links: Vec::new(),
        problem: None,
        action: visit.href(below),
        posts: false,
        fields: Vec::new(),
        button: button.to_owned(),
        summary: None,
        sections: Vec::new(),
        paging: Paging::default(),
        paged: "",
        steps: Vec::new(),
        code: None,
    }
}
