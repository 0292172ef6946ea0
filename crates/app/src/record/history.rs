//! History of a resource, a type or everything, newest first, with `_count`, `_since`, `_at`, `_list` and
//! paging.

mod scan;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use identity::Interaction;
use kernel::{LogicalId, RowId, Timestamp};
use ledger::leaf::Class;
use store::{HistoryQuery, HistoryScope, ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::{Allowed, Ask, authorise, would_allow};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::{AppError, QueryError};
use crate::record::cursor::{self, Binding};
use crate::record::plan::{CURSOR, parse_count};
use crate::record::{name_of, narrow, query_string, read};

/// Whose history, with decoded parameters.
#[derive(Debug, Clone)]
pub struct HistoryRequest {
    /// Whose.
    pub scope: HistoryScope,
    /// Decoded parameters.
    pub params: Vec<(String, String)>,
    /// `Prefer: handling=lenient`.
    pub lenient: bool,
}

/// A page of history.
#[derive(Debug, Clone)]
pub struct HistoryAnswer {
    /// Newest first.
    pub versions: Vec<StoredVersion>,
    /// The value of `_cursor` for the next page, if there is one.
    pub next: Option<String>,
    /// Parameters left out under lenient handling.
    pub ignored: Vec<String>,
    /// What was understood, for the self link.
    pub self_params: Vec<(String, String)>,
}

/// Answers a page of history.
pub async fn history(
    app: &App,
    caller: &Caller,
    request: &HistoryRequest,
) -> Result<HistoryAnswer, AppError> {
    history_within(app, caller, request, app.settings().limits.answer_bytes).await
}

/// Refuses a history that would be refused, without reading it. `made` is whether the same unit makes a
/// version of the resource, so that it is there by the time it is read.
pub(crate) async fn check(
    app: &App,
    caller: &Caller,
    request: &HistoryRequest,
    made: bool,
) -> Result<(), AppError> {
    match (&request.scope, made) {
        (HistoryScope::Instance(key), true) => {
            authorise(app, caller, &Ask::of_type(Interaction::History, key.ty)).await?;
        }
        (scope, _) => {
            allow(app, caller, scope).await?;
        }
    }
    Asked::parse(app, caller, request)?;
    Ok(())
}

/// Answers a page of history of at most about so many bytes.
pub(crate) async fn history_within(
    app: &App,
    caller: &Caller,
    request: &HistoryRequest,
    bytes: usize,
) -> Result<HistoryAnswer, AppError> {
    let allowed = allow(app, caller, &request.scope).await?;
    let mut asked = Asked::parse(app, caller, request)?;
    asked.query.bytes = bytes;
    asked.query.restriction = match &request.scope {
        HistoryScope::Type(ty) => narrow::clause(app, caller, *ty),
        // An instance's head was decided above; the whole system is only for roles not narrowed.
        HistoryScope::Instance(_) | HistoryScope::System => None,
    };
    asked.listed = match &asked.list {
        Some(list) => Some(scan::listed(app, caller, list).await?),
        None => None,
    };
    let is_instance = matches!(request.scope, HistoryScope::Instance(_));
    let mut page = if asked.listed.is_some() || (asked.at.is_some() && !is_instance) {
        scan::page(app, caller, &asked).await?
    } else {
        app.store().history(&caller.scope, &asked.query).await?
    };
    if is_instance
        && page.next.is_none()
        && let Some(at) = asked.at
    {
        page.versions
            .extend(current_before(app, caller, &asked, at).await?);
    }
    page.versions = within_reach(app, caller, &request.scope, page.versions).await?;
    record_looks(app, caller, &allowed, &asked, &page.versions).await?;
    let next = page
        .next
        .map(|row| cursor::seal(app.settings(), caller.scope.tenant(), &asked.binding, &row))
        .transpose()?;
    Ok(HistoryAnswer {
        versions: page.versions,
        next,
        ignored: asked.ignored,
        self_params: asked.applied,
    })
}

async fn allow(app: &App, caller: &Caller, scope: &HistoryScope) -> Result<Allowed, AppError> {
    let (ty, key) = match scope {
        HistoryScope::Instance(key) => (Some(key.ty), Some(key)),
        HistoryScope::Type(ty) => (Some(*ty), None),
        HistoryScope::System => (None, None),
    };
    let ask = Ask {
        ty,
        key,
        ..Ask::operation(Interaction::History)
    };
    let allowed = authorise(app, caller, &ask).await?;
    let Some(key) = key else {
        return Ok(allowed);
    };
    // Whatever the parameters: what is not there answers like what may not be known of.
    let Some(found) = app.store().read(&caller.scope, key).await? else {
        return Err(AppError::not_found(name_of(key)));
    };
    let (_, allowed) = read::allow_existing(app, caller, Interaction::History, &found).await?;
    Ok(allowed)
}

/// Leaves out the versions that the caller may not see: an older one may be about another patient than
/// the current one.
async fn within_reach(
    app: &App,
    caller: &Caller,
    scope: &HistoryScope,
    versions: Vec<StoredVersion>,
) -> Result<Vec<StoredVersion>, AppError> {
    let ty = match scope {
        HistoryScope::Instance(key) => key.ty,
        HistoryScope::Type(ty) => *ty,
        HistoryScope::System => return Ok(versions),
    };
    if !narrow::is_narrowed(app, caller, Interaction::History, ty) {
        return Ok(versions);
    }
    // Versions of a page are about few sets of patients: each set is decided once.
    let mut decided: HashMap<Arc<[LogicalId]>, bool> = HashMap::new();
    let mut kept = Vec::with_capacity(versions.len());
    for version in versions {
        let patients = read::patients_now(app, caller, &version).await?;
        let known = decided.get(&patients).copied();
        let allowed = if let Some(allowed) = known {
            allowed
        } else {
            let ask = Ask::record(Interaction::History, &version.key, &patients);
            let allowed = would_allow(app, caller, &ask).await?;
            decided.insert(patients, allowed);
            allowed
        };
        if allowed {
            kept.push(version);
        }
    }
    Ok(kept)
}

struct Asked {
    query: HistoryQuery,
    at: Option<Timestamp>,
    /// The List whose entries alone are shown, and they.
    list: Option<LogicalId>,
    listed: Option<HashSet<ResourceKey>>,
    ignored: Vec<String>,
    applied: Vec<(String, String)>,
    binding: Binding,
    named: String,
}

impl Asked {
    fn parse(app: &App, caller: &Caller, request: &HistoryRequest) -> Result<Self, QueryError> {
        let limits = &app.settings().limits;
        let named = match &request.scope {
            HistoryScope::Instance(key) => format!("{}/_history", name_of(key)),
            HistoryScope::Type(ty) => format!("{}/_history", app.definitions().resource_name(*ty)),
            HistoryScope::System => "_history".to_owned(),
        };
        let mut asked = Self {
            query: HistoryQuery {
                scope: request.scope.clone(),
                since: None,
                until: None,
                before: None,
                limit: limits.page_default,
                bytes: limits.answer_bytes,
                restriction: None,
            },
            at: None,
            list: None,
            listed: None,
            ignored: Vec::new(),
            applied: Vec::new(),
            binding: Binding::new("history", &named, []),
            named,
        };
        let mut cursor = None;
        for (name, value) in &request.params {
            if name == CURSOR {
                cursor = Some(value);
                continue;
            }
            if matches!(name.as_str(), "_format" | "_pretty") {
                continue;
            }
            match asked.parameter(name, value, limits.page_max) {
                Ok(()) => asked.applied.push((name.clone(), value.clone())),
                Err(_) if request.lenient => asked.ignored.push(name.clone()),
                Err(error) => return Err(error),
            }
        }
        let pairs = asked.applied.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        asked.binding = Binding::new("history", &asked.named, pairs);
        if let Some(text) = cursor {
            let tenant = caller.scope.tenant();
            let row: RowId = cursor::open(app.settings(), tenant, &asked.binding, text)?;
            asked.query.before = Some(row);
        }
        Ok(asked)
    }

    fn parameter(&mut self, name: &str, value: &str, most: u32) -> Result<(), QueryError> {
        let malformed = |detail: &str| QueryError::Malformed {
            name: name.to_owned(),
            detail: detail.to_owned(),
        };
        match name {
            "_count" => self.query.limit = parse_count(value, most)?.max(1),
            "_since" => {
                let time = Timestamp::from_rfc3339(value)
                    .ok_or_else(|| malformed("give an instant such as 2026-03-05T08:09:10Z"))?;
                self.query.since = Some(self.query.since.map_or(time, |since| since.max(time)));
            }
            "_at" => {
                let period = fhir::search::implied_period(value).ok_or_else(|| {
                    malformed("give a date or time such as 2026-03 or 2026-03-05T08:09:10Z")
                })?;
                let from = Timestamp::from_micros(period.lo);
                self.at = Some(from);
                // Of a type or of everything, older versions may still have been current then.
                if matches!(self.query.scope, HistoryScope::Instance(_)) {
                    self.query.since = Some(self.query.since.map_or(from, |since| since.max(from)));
                }
                self.query.until = Some(Timestamp::from_micros(period.hi.saturating_sub(1)));
            }
            "_list" if !matches!(self.query.scope, HistoryScope::Instance(_)) => {
                let id = value.strip_prefix("List/").unwrap_or(value);
                let id = id.parse().map_err(|_| malformed("give the id of a List"))?;
                self.list = Some(id);
            }
            // The order there is; R4 knows no other for histories.
            "_sort" if value == "-_lastUpdated" => {}
            "_list" | "_sort" => {
                return Err(QueryError::NotOffered {
                    name: format!("{name} on {}", self.named),
                });
            }
            _ => {
                return Err(QueryError::Unknown {
                    resource: self.named.clone(),
                    name: name.chars().take(80).collect(),
                });
            }
        }
        Ok(())
    }
}

// With `_at`, the version that was current when the period began belongs to the answer.
async fn current_before(
    app: &App,
    caller: &Caller,
    asked: &Asked,
    at: Timestamp,
) -> Result<Vec<StoredVersion>, AppError> {
    let query = HistoryQuery {
        since: None,
        until: Some(Timestamp::from_micros(at.as_micros().saturating_sub(1))),
        before: None,
        limit: 1,
        ..asked.query.clone()
    };
    Ok(app.store().history(&caller.scope, &query).await?.versions)
}

async fn record_looks(
    app: &App,
    caller: &Caller,
    allowed: &Allowed,
    asked: &Asked,
    versions: &[StoredVersion],
) -> Result<(), AppError> {
    let mut patients: Vec<LogicalId> = Vec::new();
    for version in versions {
        patients.extend(app.patients_of(caller, version)?.iter().cloned());
    }
    patients.sort_unstable();
    patients.dedup();
    let pairs = asked.applied.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    let query = format!("{}?{}", asked.named, query_string::print(pairs));
    let object = match &asked.query.scope {
        HistoryScope::Instance(key) => Some((key, None)),
        _ => None,
    };
    let look = Look {
        class: Class::History,
        object,
        query: Some(&query),
        patients: &patients,
        allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    Ok(())
}
