//! GET entries of bundles: read, vread, history and search, with their answers as response entries.

use bytes::Bytes;

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

/// Answers a GET entry.
pub(super) async fn look(
    app: &App,
    caller: &Caller,
    request: &Request,
) -> Result<ResponseEntry, AppError> {
    match &request.address {
        Address::Instance(key) => {
            let version = read::read(app, caller, key).await?;
            if request.if_none_match == Some(version.version) {
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
            let request = SearchRequest {
                ty: *ty,
                params: params(query)?,
                lenient: false,
            };
            let answer = search::search(app, caller, &request).await?;
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
            let request = HistoryRequest {
                scope: scope.clone(),
                params: params(query)?,
                lenient: false,
            };
            let answer = history::history(app, caller, &request).await?;
            Ok(found(render::history(&caller.context.base, &path, &answer)))
        }
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
