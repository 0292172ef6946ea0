//! One entry's request, read: method, address, conditions. Must not look at the resource.

use fhir::definitions::TypeId;
use fhir::json::Value;
use kernel::{Timestamp, VersionId};
use store::{HistoryScope, ResourceKey};

use crate::App;
use crate::error::AppError;
use crate::record::version_of_etag;

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Delete,
    Post,
    Put,
    Patch,
    Get,
}

/// What an entry's address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// `Type` or `Type?query`.
    Type(TypeId, String),
    /// `Type/id`.
    Instance(ResourceKey),
    /// `Type/id/_history/version`.
    Version(ResourceKey, VersionId),
    /// `[Type[/id]/]_history?query`.
    History(HistoryScope, String),
}

/// A read entry; `request` is the error where it could not be read.
#[derive(Debug)]
pub(super) struct Item {
    pub index: usize,
    /// Method and address as sent, for messages.
    pub name: String,
    pub full_url: Option<String>,
    pub request: Result<Request, String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: Method,
    pub address: Address,
    pub if_match: Option<VersionId>,
    pub if_none_match: Option<VersionId>,
    pub if_none_exist: Option<String>,
    pub if_modified_since: Option<Timestamp>,
    /// A HEAD: answered without the resource.
    pub headers_only: bool,
}

impl Item {
    pub(super) fn parse(app: &App, base: &str, index: usize, entry: Value<'_>) -> Self {
        let text = |value: Option<Value<'_>>, name: &str| {
            value
                .and_then(|value| value.get(name))
                .and_then(Value::as_str)
                .map(std::borrow::Cow::into_owned)
        };
        let request = entry.get("request");
        let method = text(request, "method").unwrap_or_default();
        let url = text(request, "url").unwrap_or_default();
        let shown: String = url.chars().take(120).collect();
        let conditions = Conditions {
            version: text(request, "ifMatch"),
            other_version: text(request, "ifNoneMatch"),
            criteria: text(request, "ifNoneExist"),
            since: text(request, "ifModifiedSince"),
        };
        let has_resource = entry.get("resource").is_some();
        Self {
            index,
            name: format!("{method} {shown}"),
            full_url: text(Some(entry), "fullUrl"),
            request: read(app, base, &method, &url, conditions, has_resource),
        }
    }

    /// The request, or the error that names the entry.
    pub(super) fn asked(&self) -> Result<&Request, AppError> {
        self.request
            .as_ref()
            .map_err(|detail| self.error(AppError::Invalid(detail.clone())))
    }

    /// Names the entry an error belongs to.
    pub(super) fn error(&self, source: AppError) -> AppError {
        AppError::Entry {
            index: self.index,
            name: self.name.clone(),
            source: Box::new(source),
        }
    }
}

struct Conditions {
    version: Option<String>,
    other_version: Option<String>,
    criteria: Option<String>,
    since: Option<String>,
}

fn read(
    app: &App,
    base: &str,
    method: &str,
    url: &str,
    conditions: Conditions,
    has_resource: bool,
) -> Result<Request, String> {
    let headers_only = method == "HEAD";
    let method = match method {
        "GET" | "HEAD" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        _ => {
            return Err(
                "request.method is not GET, HEAD, POST, PUT, PATCH or DELETE: correct it"
                    .to_owned(),
            );
        }
    };
    let writes = matches!(method, Method::Post | Method::Put | Method::Patch);
    if writes != has_resource {
        return Err(if writes {
            "the entry has no resource: add it".to_owned()
        } else {
            "the entry has a resource, which its method does not take: leave it out".to_owned()
        });
    }
    let version = |text: Option<String>, name: &str| match text {
        None => Ok(None),
        Some(text) => version_of_etag(&text)
            .map(Some)
            .ok_or_else(|| format!("{name} is not a version: write it as W/\"3\"")),
    };
    let address = address(app, base, url)?;
    let fits = match (&address, method) {
        (Address::Type(_, query), Method::Post) => query.is_empty(),
        (Address::Type(_, query), Method::Put | Method::Patch | Method::Delete) => {
            !query.is_empty()
        }
        (Address::Instance(_), method) => method != Method::Post,
        (_, method) => method == Method::Get,
    };
    if !fits {
        return Err("request.url does not fit request.method: see FHIR R4 http.html".to_owned());
    }
    if conditions.criteria.is_some() && method != Method::Post {
        return Err("ifNoneExist belongs to POST: leave it out".to_owned());
    }
    Ok(Request {
        method,
        address,
        if_match: version(conditions.version, "ifMatch")?,
        if_none_match: version(conditions.other_version, "ifNoneMatch")?,
        if_none_exist: conditions.criteria,
        if_modified_since: conditions.since.map(|text| instant(&text)).transpose()?,
        headers_only,
    })
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_rfc3339(text)
        .ok_or_else(|| "ifModifiedSince is no instant: write it as 2026-03-05T08:09:10Z".to_owned())
}

fn address(app: &App, base: &str, url: &str) -> Result<Address, String> {
    let path = url.strip_prefix(base).unwrap_or(url);
    let path = path.strip_prefix('/').unwrap_or(path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let ty = |name: &str| {
        app.definitions().resource(name).ok_or_else(|| {
            let shown: String = name.chars().take(60).collect();
            format!("{shown:?} in request.url is no resource type of FHIR R4")
        })
    };
    let key = |name: &str, id: &str| -> Result<ResourceKey, String> {
        let ty = ty(name)?;
        let id = id
            .parse()
            .map_err(|error: kernel::IdError| error.to_string())?;
        Ok(ResourceKey { ty, id })
    };
    Ok(match *parts.as_slice() {
        ["_history"] => Address::History(HistoryScope::System, query.to_owned()),
        [name] => Address::Type(ty(name)?, query.to_owned()),
        [name, "_history"] => Address::History(HistoryScope::Type(ty(name)?), query.to_owned()),
        [name, id] => Address::Instance(key(name, id)?),
        [name, id, "_history"] => {
            Address::History(HistoryScope::Instance(key(name, id)?), query.to_owned())
        }
        [name, id, "_history", version] => {
            let version = version
                .parse()
                .map_err(|error: kernel::IdError| error.to_string())?;
            Address::Version(key(name, id)?, version)
        }
        _ => {
            return Err("request.url is not an address of this server: write Type/id".to_owned());
        }
    })
}
