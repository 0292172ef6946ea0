//! Search: plan, authorise, narrow to what the role may see, ask the store, bring in what goes with the
//! matches, record the look once per patient found, and cut the answer to what was asked.

use fhir::definitions::TypeId;
use fhir::search::SearchParam;
use fhir::validate::{Issue, Severity};
use identity::Interaction;
use kernel::LogicalId;
use store::{Clause, Predicate, SearchPage, SearchPlan, StoredVersion, Total};

use crate::App;
use crate::authorise::{Allowed, Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::{AppError, QueryError};
use crate::record::include::{self, Included};
use crate::record::narrow::{self, Reach};
use crate::record::place::Place;
use crate::record::plan::{self, Planned};
use crate::record::project::Projection;
use crate::record::{cursor, query_string};
use crate::search_parameters;

pub use crate::record::plan::CURSOR;

/// A search of one type.
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
    /// What `_include` and `_revinclude` brought in, each once.
    pub included: Vec<StoredVersion>,
    /// What there is to say about the answer: an entry of mode `outcome`.
    pub notices: Vec<Issue>,
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

/// Searches a type.
pub async fn search(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
) -> Result<SearchAnswer, AppError> {
    search_within(app, caller, request, app.settings().limits.answer_bytes).await
}

/// Searches a type, a compartment or the system.
pub async fn search_in(
    app: &App,
    caller: &Caller,
    place: &Place,
    params: &[(String, String)],
    lenient: bool,
) -> Result<SearchAnswer, AppError> {
    let bytes = app.settings().limits.answer_bytes;
    answered(app, caller, place, params, lenient, bytes).await
}

/// Searches, with a page of at most about so many bytes.
pub(crate) async fn search_within(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
    bytes: usize,
) -> Result<SearchAnswer, AppError> {
    let place = Place::Type(request.ty);
    answered(app, caller, &place, &request.params, request.lenient, bytes).await
}

/// Refuses a search that would be refused, without searching.
pub(crate) async fn check(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
) -> Result<(), AppError> {
    let place = Place::Type(request.ty);
    planned(app, caller, &place, &request.params, request.lenient).await?;
    Ok(())
}

/// Whether a search by the caller finds one resource now. Records nothing.
pub(crate) async fn finds(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
    id: &LogicalId,
) -> Result<bool, AppError> {
    let found = peek(app, caller, request, Some(id), 1).await?;
    Ok(!found.is_empty())
}

/// What a search by the caller finds now, at most so many, without recording a look: for what shows
/// nothing of it, or records it itself.
pub(crate) async fn peek(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
    only: Option<&LogicalId>,
    most: u32,
) -> Result<Vec<StoredVersion>, AppError> {
    let place = Place::Type(request.ty);
    let (_, mut planned) = planned(app, caller, &place, &request.params, request.lenient).await?;
    if let Some(id) = only {
        planned.plan.all_of.push(Clause {
            negated: false,
            any_of: vec![Predicate::Id(id.clone())],
        });
    }
    planned.plan.count = most;
    planned.plan.total = Total::None;
    let page = app.store().search(&caller.scope, &planned.plan).await?;
    Ok(page.matches)
}

/// All that a search by the caller finds, with the plan it was found by; more than `most` is an error.
/// Records no look: that is the caller's of this.
pub(crate) async fn whole(
    app: &App,
    caller: &Caller,
    request: &SearchRequest,
    most: u32,
) -> Result<(Vec<StoredVersion>, SearchPlan), AppError> {
    let place = Place::Type(request.ty);
    let (_, mut planned) = planned(app, caller, &place, &request.params, request.lenient).await?;
    planned.plan.count = most;
    planned.plan.bytes = usize::MAX;
    planned.plan.total = Total::None;
    let page = app.store().search(&caller.scope, &planned.plan).await?;
    if page.next.is_some() {
        let ty = app.definitions().resource_name(request.ty);
        return Err(AppError::TooLarge(format!(
            "there are more than {most} resources of type {ty} to look at: close or remove what is no longer in force"
        )));
    }
    Ok((page.matches, planned.plan))
}

async fn answered(
    app: &App,
    caller: &Caller,
    place: &Place,
    params: &[(String, String)],
    lenient: bool,
    bytes: usize,
) -> Result<SearchAnswer, AppError> {
    let (allowed, mut planned) = planned(app, caller, place, params, lenient).await?;
    planned.plan.bytes = bytes;
    let page = app.store().search(&caller.scope, &planned.plan).await?;
    let size = |version: &StoredVersion| version.body.as_ref().map_or(0, bytes::Bytes::len);
    let left = bytes.saturating_sub(page.matches.iter().map(size).sum());
    let mut included =
        include::collect(app, caller, &planned.includes, &page.matches, left).await?;
    included
        .notices
        .extend(unchecked(app, caller, &planned.own).await?);
    record_looks(app, caller, &allowed, place, &planned, &page, &included).await?;
    answer(app, caller, planned, page, included)
}

/// Says of which parameters something that the caller may see could not be judged: whether it matches is
/// not known, and it is not among the matches.
async fn unchecked(
    app: &App,
    caller: &Caller,
    own: &[&'static SearchParam],
) -> Result<Vec<Issue>, AppError> {
    let mut notices = Vec::new();
    for param in own {
        let mut all_of = vec![Clause {
            negated: false,
            any_of: vec![store::index::is_unchecked(param.id)],
        }];
        match narrow::reach(app, caller, param.ty) {
            Reach::All => {}
            Reach::Within(clause) => all_of.push(clause),
            Reach::Nothing => continue,
        }
        let plan = SearchPlan {
            types: vec![param.ty],
            all_of,
            sort: Vec::new(),
            count: 1,
            bytes: 1,
            rows: u64::MAX,
            after: None,
            total: Total::None,
        };
        let found = app.store().search(&caller.scope, &plan).await?;
        if found.matches.is_empty() {
            continue;
        }
        let (code, ty) = (param.code, app.definitions().resource_name(param.ty));
        notices.push(Issue {
            severity: Severity::Warning,
            code: "incomplete",
            expression: String::new(),
            diagnostics: format!(
                "{code} was not checked for every {ty}: the expression of {} could not be evaluated for some, and whether they match is not known; correct it",
                param.definition
            ),
        });
    }
    Ok(notices)
}

/// Authorises and plans: what each type searched rests on, first the one asked for.
pub(crate) async fn planned(
    app: &App,
    caller: &Caller,
    place: &Place,
    params: &[(String, String)],
    lenient: bool,
) -> Result<(Vec<(TypeId, Allowed)>, Planned), AppError> {
    let mut allowed = Vec::new();
    if let Place::Type(ty) | Place::Compartment { ty: Some(ty), .. } = place {
        allowed.push((*ty, allow(app, caller, *ty).await?));
    }
    let lenient = lenient || app.settings().lenient;
    search_parameters::current(app, &caller.scope).await?;
    let planned = match plan::plan_narrowed(app, caller, place, params, lenient).await {
        Err(AppError::Query(QueryError::Denied { resource })) => {
            return Err(denied(app, caller, resource).await);
        }
        planned => planned?,
    };
    if allowed.is_empty() {
        for ty in &planned.plan.types {
            allowed.push((*ty, allow(app, caller, *ty).await?));
        }
    }
    Ok((allowed, planned))
}

async fn allow(app: &App, caller: &Caller, ty: TypeId) -> Result<Allowed, AppError> {
    authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await
}

/// A parameter that looks at what the caller may not search is refused, and recorded, as a search of it is.
async fn denied(app: &App, caller: &Caller, resource: String) -> AppError {
    if let Some(ty) = app.definitions().resource(&resource)
        && let Err(error) = allow(app, caller, ty).await
    {
        return error;
    }
    QueryError::Denied { resource }.into()
}

async fn record_looks(
    app: &App,
    caller: &Caller,
    allowed: &[(TypeId, Allowed)],
    place: &Place,
    planned: &Planned,
    page: &SearchPage,
    included: &Included,
) -> Result<(), AppError> {
    let pairs = planned
        .applied
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()));
    let query = format!("{}?{}", place.path(), query_string::print(pairs));
    let mut entries = Vec::new();
    let mut recorded: Vec<LogicalId> = Vec::new();
    let groups = allowed
        .iter()
        .map(|(ty, allowed)| (*ty, *allowed, &page.matches))
        .chain(
            included
                .allowed
                .iter()
                .map(|(ty, allowed)| (*ty, *allowed, &included.versions)),
        );
    for (ty, allowed, versions) in groups {
        let mut patients: Vec<LogicalId> = Vec::new();
        for version in versions.iter().filter(|version| version.key.ty == ty) {
            patients.extend(app.patients_of(caller, version)?.iter().cloned());
        }
        patients.sort_unstable();
        patients.dedup();
        // One entry for each patient, unless a second one rests on something that must be reviewed.
        if !allowed.must_be_reviewed() {
            patients.retain(|patient| !recorded.contains(patient));
        }
        if patients.is_empty() {
            continue;
        }
        entries.extend(look(app, caller, &query, &patients, &allowed));
        recorded.extend(patients);
    }
    if let (true, Some((_, allowed))) = (entries.is_empty(), allowed.first()) {
        entries = look(app, caller, &query, &[], allowed);
    }
    app.store().record_access(&caller.scope, entries).await?;
    Ok(())
}

fn look(
    app: &App,
    caller: &Caller,
    query: &str,
    patients: &[LogicalId],
    allowed: &Allowed,
) -> Vec<store::Entry> {
    let look = Look {
        class: ledger::leaf::Class::Search,
        object: None,
        query: Some(query),
        patients,
        allowed,
    };
    look_entries(app, caller, &look)
}

fn answer(
    app: &App,
    caller: &Caller,
    planned: Planned,
    page: SearchPage,
    included: Included,
) -> Result<SearchAnswer, AppError> {
    let mut matches = page.matches;
    let mut brought = included.versions;
    cut_to(app, &planned.projection, &mut matches)?;
    cut_to(app, &planned.projection.of_included(), &mut brought)?;
    let tenant = caller.scope.tenant();
    let next = page
        .next
        .map(|position| cursor::seal(app.settings(), tenant, &planned.binding, &position))
        .transpose()?;
    Ok(SearchAnswer {
        matches,
        included: brought,
        notices: included.notices,
        total: page.total,
        next,
        ignored: planned.ignored,
        self_params: planned.applied,
        count_only: planned.plan.count == 0,
    })
}

fn cut_to(
    app: &App,
    projection: &Projection,
    versions: &mut [StoredVersion],
) -> Result<(), AppError> {
    if projection.is_whole() {
        return Ok(());
    }
    for version in versions {
        if let Some(body) = &version.body {
            version.body = Some(projection.apply(app.definitions(), version.key.ty, body)?);
        }
    }
    Ok(())
}
