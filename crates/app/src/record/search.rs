//! Search: plan, authorise, narrow to what the role may see, ask the store, record the look once per
//! patient found, and cut the matches to what was asked.

use fhir::definitions::TypeId;
use identity::Interaction;
use kernel::LogicalId;
use store::{SearchPage, StoredVersion};

use crate::App;
use crate::authorise::{Allowed, Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::plan::{self, Planned, Request};
use crate::record::{cursor, narrow, query_string};

pub use crate::record::plan::CURSOR;

/// A search.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The type.
    pub ty: TypeId,
    /// Decoded parameters in order, repeats kept.
    pub params: Vec<(String, String)>,
    /// `Prefer: handling=lenient`.
    pub lenient: bool,
}

/// A page of matches.
#[derive(Debug, Clone)]
pub struct SearchAnswer {
    /// In order; bodies already cut to `_summary` or `_elements`.
    pub matches: Vec<StoredVersion>,
    /// How many match in all, if asked.
    pub total: Option<u64>,
    /// The value of `_cursor` for the next page, if there is one.
    pub next: Option<String>,
    /// Parameters left out under lenient handling.
    pub ignored: Vec<String>,
    /// What was understood, for the self link.
    pub self_params: Vec<(String, String)>,
    /// Whether only the total was asked for.
    pub count_only: bool,
}

/// Searches.
pub async fn search(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
) -> Result<SearchAnswer, AppError> {
    search_within(app, caller, request, app.settings().limits.answer_bytes).await
}

/// Searches, with a page of at most about so many bytes.
pub(crate) async fn search_within(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
    bytes: usize,
) -> Result<SearchAnswer, AppError> {
    let (allowed, mut planned) = planned(app, caller, request).await?;
    planned.plan.bytes = bytes;
    let page = app.store().search(&caller.scope, &planned.plan).await?;
    record_looks(app, caller, &allowed, &planned, &page).await?;
    answer(app, caller, planned, page)
}

/// Refuses a search that would be refused, without searching.
pub(crate) async fn check(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
) -> Result<(), AppError> {
    planned(app, caller, request).await?;
    Ok(())
}

async fn planned(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
) -> Result<(Allowed, Planned), AppError> {
    let ask = Ask::of_type(Interaction::Search, request.ty);
    let allowed = authorise(app, caller, &ask).await?;
    let mut planned = plan::plan(
        app,
        caller,
        &Request {
            ty: request.ty,
            params: &request.params,
            lenient: request.lenient || app.settings().lenient,
        },
    )?;
    planned
        .plan
        .all_of
        .extend(narrow::clause(app, caller, request.ty));
    Ok((allowed, planned))
}

async fn record_looks(
    app: &App,
    caller: &Caller,
    allowed: &Allowed,
    planned: &Planned,
    page: &SearchPage,
) -> Result<(), AppError> {
    let mut patients: Vec<LogicalId> = Vec::new();
    for version in &page.matches {
        patients.extend(app.patients_of(caller, version)?.iter().cloned());
    }
    patients.sort_unstable();
    patients.dedup();
    let pairs = planned
        .applied
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()));
    let types: Vec<&str> = planned
        .plan
        .types
        .iter()
        .map(|ty| app.definitions().resource_name(*ty))
        .collect();
    let query = format!("{}?{}", types.join(","), query_string::print(pairs));
    let entries = look_entries(
        app,
        caller,
        &Look {
            class: ledger::leaf::Class::Search,
            object: None,
            query: Some(&query),
            patients: &patients,
            allowed,
        },
    );
    app.store().record_access(&caller.scope, entries).await?;
    Ok(())
}

fn answer(
    app: &App,
    caller: &Caller,
    planned: Planned,
    page: SearchPage,
) -> Result<SearchAnswer, AppError> {
    let mut matches = page.matches;
    if !planned.projection.is_whole() {
        for version in &mut matches {
            if let Some(body) = &version.body {
                let cut = planned
                    .projection
                    .apply(app.definitions(), version.key.ty, body)?;
                version.body = Some(cut);
            }
        }
    }
    let tenant = caller.scope.tenant();
    let next = page
        .next
        .map(|position| cursor::seal(app.settings(), tenant, &planned.binding, &position))
        .transpose()?;
    Ok(SearchAnswer {
        matches,
        total: page.total,
        next,
        ignored: planned.ignored,
        self_params: planned.applied,
        count_only: planned.plan.count == 0,
    })
}
