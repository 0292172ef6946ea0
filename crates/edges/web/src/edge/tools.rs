//! The tools for questions to the record and for looking after it: what there is, who is shown what, with a
//! line about each. Must not offer what the person may not use; the use-cases decide again.

use app::AppError;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{Class, Interaction, Role};

use super::visit::Visit;
use super::{answer, plain};
use crate::clinical::quantity::dose_number;
use crate::components::{Cell, ErrorSummary, Paging, Table};
use crate::pages::access::ListPage;
use crate::pages::shell::Shell;
use crate::pages::tools::ToolPage;

/// Where they are listed.
pub const HOME: &str = "/tools";

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Searching the record.
    Search,
    /// Looking around in terminology.
    Terminology,
    /// Checking resources.
    Validation,
    /// Exports and imports.
    Bulk,
    /// Who is told of changes.
    Subscriptions,
    /// The organisation's own search parameters.
    Parameters,
    /// Playing another system that calls the services of CDS Hooks.
    Hooks,
    /// The calls of these services.
    HookLog,
}

impl Tool {
    const ALL: [Self; 8] = [
        Self::Search,
        Self::Terminology,
        Self::Validation,
        Self::Bulk,
        Self::Subscriptions,
        Self::Parameters,
        Self::Hooks,
        Self::HookLog,
    ];

    /// Address, name, what it is for.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Search => (
                "/tools/search",
                "Search of the record",
                "Any search of FHIR R4, built condition by condition, over what your role may see",
            ),
            Self::Terminology => (
                "/tools/terminology",
                "Terminology",
                "Code systems, value sets and maps: looking up, checking and translating codes",
            ),
            Self::Validation => (
                "/tools/validation",
                "Validation",
                "Whether a resource is valid, against R4 and against profiles",
            ),
            Self::Bulk => (
                "/tools/bulk",
                "Bulk jobs",
                "Exports and imports: who asked for them, how far they are, and stopping them",
            ),
            Self::Subscriptions => (
                "/tools/subscriptions",
                "Subscriptions",
                "Who is told of changes, what was delivered, what was given up, and sending it again",
            ),
            Self::Parameters => (
                "/tools/parameters",
                "Search parameters",
                "Those this organisation defines, and how far they are built",
            ),
            Self::Hooks => (
                super::hooks::HERE,
                "CDS Hooks sandbox",
                "Calls the services as another system does, and shows the cards",
            ),
            Self::HookLog => (
                super::hook_log::HERE,
                "CDS Hooks log",
                "Who called a service, what was answered and what it rests on; repeating it",
            ),
        }
    }

    /// Whether somebody is shown it. Searching and terminology are for those whose work asks questions of
    /// the record: clinicians who write it, auditors, administrators; each finds what the role may see, and
    /// no more. Validation is for those of them who write. The rest is for those who run the organisation. Carers, receptionists and patients have
    /// pages of their own for all they do.
    pub fn is_offered(self, visit: &Visit) -> bool {
        let asks = [
            Role::Administrator,
            Role::Doctor,
            Role::Nurse,
            Role::Pharmacist,
            Role::Auditor,
        ];
        let asks = asks.into_iter().any(|role| visit.is(role));
        match self {
            Self::Search => asks,
            Self::Terminology => asks && visit.may(Interaction::Search, Class::Knowledge),
            Self::Validation => {
                let mut classes = Class::ALL.into_iter();
                asks && classes.any(|class| visit.may(Interaction::Create, class))
            }
            Self::Parameters => visit.offers(Interaction::ManageSettings),
            Self::Hooks => app::cds_hooks::sandbox::may_play(&visit.caller),
            Self::HookLog => visit.offers(Interaction::ViewAudit),
            Self::Bulk | Self::Subscriptions => visit.offers(Interaction::ViewHealth),
        }
    }
}

/// Whether somebody is shown a tool at all.
pub fn are_offered(visit: &Visit) -> bool {
    Tool::ALL.into_iter().any(|tool| tool.is_offered(visit))
}

/// The list.
pub async fn home(visit: Visit) -> Response {
    let result = list(&visit);
    visit.answer(result)
}

fn list(visit: &Visit) -> Result<Response, AppError> {
    if !are_offered(visit) {
        return Err(missing());
    }
    let mut table = Table::new("Tools", &["Tool", "What it is for"], "No tools.");
    for tool in Tool::ALL.into_iter().filter(|tool| tool.is_offered(visit)) {
        let (below, name, words) = tool.words();
        table = table.row(vec![
            Cell::link(&visit.href(below), name),
            Cell::text(words),
        ]);
    }
    let page = ListPage {
        shell: visit.shell("Record tools"),
        lead: "For questions to the record itself and for looking after it. What you open is recorded like everywhere else.".to_owned(),
        action: None,
        secret: None,
        summary: None,
        sections: vec![("tools".to_owned(), "Tools".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn missing() -> AppError {
    AppError::NotFound {
        what: "page".to_owned(),
    }
}

/// Whoever is not shown a tool is not told of it.
pub fn check(visit: &Visit, tool: Tool) -> Result<(), AppError> {
    if tool.is_offered(visit) {
        Ok(())
    } else {
        Err(missing())
    }
}

/// A tool's page for a search or question that was refused: what is wrong stands on it. Faults go on.
pub fn refused(page: &mut ToolPage, error: AppError) -> Result<StatusCode, AppError> {
    let status = answer::status_of(&error);
    if status.is_server_error() {
        return Err(error);
    }
    page.problem = Some(ErrorSummary::whole(&plain::words(&error)));
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
        crumbs: Vec::new(),
        tree: None,
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
