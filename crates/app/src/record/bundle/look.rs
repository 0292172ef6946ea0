//! GET entries of bundles: read, vread, history and search, with their answers as response entries, and
//! the bytes that all answers of a bundle may take together.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use fhir::definitions::TypeId;

use crate::App;
use crate::context::Caller;
use crate::error::{AppError, QueryError};
use crate::record::history::HistoryRequest;
use crate::record::render::{self, ResponseEntry};
use crate::record::search::SearchRequest;
use crate::record::{etag, history, name_of, query_string, read, search};
use store::{HistoryScope, StoredVersion};

use super::Done;
use super::address::{Address, Request};

/// Looks done at the same time.
pub(super) const LOOKS_AT_A_TIME: usize = 4;

/// The bytes of resources that the answer to a bundle may still take.
pub(super) struct Budget {
    limit: usize,
    left: AtomicUsize,
}

impl Budget {
    /// A whole one.
    pub(super) fn new(app: &App) -> Self {
        let limit = app.settings().limits.answer_bytes;
        Self {
            limit,
            left: AtomicUsize::new(limit),
        }
    }

    fn spent(&self) -> AppError {
        AppError::TooLarge(format!(
            "the answer to this bundle would have more than {} bytes: send this request by itself, or ask for less",
            self.limit
        ))
    }

    /// What a page may take now, so that all that are read at the same time fit together.
    fn page(&self) -> Result<usize, AppError> {
        match self.left.load(Ordering::Relaxed) {
            0 => Err(self.spent()),
            left => Ok((left / LOOKS_AT_A_TIME).max(1)),
        }
    }

    /// Takes what an answer needs, or refuses it.
    fn take(&self, answer: ResponseEntry) -> Result<ResponseEntry, AppError> {
        let bytes = answer.resource.as_ref().map_or(0, Bytes::len);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        match taken {
            Ok(_) => Ok(answer),
            Err(_) => Err(self.spent()),
        }
    }
}

/// Answers a GET entry.
pub(super) async fn look(
    app: &App,
    caller: &Caller,
    request: &Request,
    budget: &Budget,
) -> Result<ResponseEntry, AppError> {
    let page = budget.page()?;
    let mut answer = looked(app, caller, request, page).await?;
    if request.headers_only {
        answer.resource = None;
    }
    budget.take(answer)
}

/// Refuses a search or history that would be refused, without doing it.
pub(super) async fn check(
    app: &App,
    caller: &Caller,
    request: &Request,
    made: bool,
) -> Result<(), AppError> {
    match &request.address {
        Address::Type(ty, query) => search::check(app, caller, &search_of(*ty, query)?).await,
        Address::History(scope, query) => {
            history::check(app, caller, &history_of(scope, query)?, made).await
        }
        Address::Instance(key) | Address::Version(key, _) => read::check(app, caller, key).await,
    }
}

fn search_of(ty: TypeId, query: &str) -> Result<SearchRequest, QueryError> {
    Ok(SearchRequest {
        ty,
        params: params(query)?,
        lenient: false,
    })
}

fn history_of(scope: &HistoryScope, query: &str) -> Result<HistoryRequest, QueryError> {
    Ok(HistoryRequest {
        scope: scope.clone(),
        params: params(query)?,
        lenient: false,
    })
}

async fn looked(
    app: &App,
    caller: &Caller,
    request: &Request,
    page: usize,
) -> Result<ResponseEntry, AppError> {
    match &request.address {
        Address::Instance(key) => {
            let version = read::read(app, caller, key).await?;
            if has_it(request, &version) {
                return Ok(ResponseEntry {
                    status: "304 Not Modified".to_owned(),
                    etag: Some(etag(version.version)),
                    ..ResponseEntry::default()
                });
            }
            Ok(shown(caller, &version))
        }
        Address::Version(key, version) => {
            let version = read::vread(app, caller, key, *version).await?;
            Ok(shown(caller, &version))
        }
        Address::Type(ty, query) => {
            let request = search_of(*ty, query)?;
            let answer = search::search_within(app, caller, &request, page).await?;
            let name = app.definitions().resource_name(*ty);
            let body = render::searchset(&caller.context.base, name, &answer);
            Ok(found(body))
        }
        Address::History(scope, query) => {
            let path = match scope {
                HistoryScope::Instance(key) => name_of(key),
                HistoryScope::Type(ty) => app.definitions().resource_name(*ty).to_owned(),
                HistoryScope::System => String::new(),
            };
            let request = history_of(scope, query)?;
            let answer = history::history_within(app, caller, &request, page).await?;
            Ok(found(render::history(&caller.context.base, &path, &answer)))
        }
    }
}

/// Whether the reader has this version already; `ifNoneMatch` wins over `ifModifiedSince`.
fn has_it(request: &Request, version: &StoredVersion) -> bool {
    match (request.if_none_match, request.if_modified_since) {
        (Some(known), _) => known == version.version,
        (None, Some(since)) => version.last_updated() <= since,
        (None, None) => false,
    }
}

fn params(query: &str) -> Result<Vec<(String, String)>, QueryError> {
    query_string::parse(query).ok_or_else(|| QueryError::Malformed {
        name: "request.url".to_owned(),
        detail: "a percent escape is broken".to_owned(),
    })
}

fn found(body: Vec<u8>) -> ResponseEntry {
    ResponseEntry {
        status: "200 OK".to_owned(),
        resource: Some(Bytes::from(body)),
        ..ResponseEntry::default()
    }
}

fn shown(caller: &Caller, version: &StoredVersion) -> ResponseEntry {
    ResponseEntry {
        status: "200 OK".to_owned(),
        etag: Some(etag(version.version)),
        last_modified: Some(version.last_updated().to_fhir_instant()),
        full_url: Some(format!("{}/{}", caller.context.base, name_of(&version.key))),
        resource: version.body.clone(),
        ..ResponseEntry::default()
    }
}

/// The response entry of an error.
pub(super) fn failed(error: &AppError) -> ResponseEntry {
    use kernel::Categorised as _;
    let status = error.category().mapping().http_status;
    ResponseEntry {
        status: format!("{status} {}", phrase(status)),
        outcome: Some(render::outcome(&error.issues())),
        done: Done::Failed(error.public_text().into_owned()),
        ..ResponseEntry::default()
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// The response entry of a written version.
pub(super) fn written(
    version: &StoredVersion,
    created: bool,
    resource: Option<Bytes>,
) -> ResponseEntry {
    ResponseEntry {
        status: if created { "201 Created" } else { "200 OK" }.to_owned(),
        location: Some(crate::record::location(version)),
        etag: Some(etag(version.version)),
        last_modified: Some(version.last_updated().to_fhir_instant()),
        resource,
        done: Done::Stored,
        ..ResponseEntry::default()
    }
}
