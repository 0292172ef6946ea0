//! Answers as FHIR JSON bytes: OperationOutcome, searchset and history bundles. Stored bytes are copied,
//! never parsed.

use fhir::definitions::Definitions;
use fhir::validate::{Issue, Severity};
use serde_json::to_writer;
use store::{ChangeKind, StoredVersion};

use crate::record::history::HistoryAnswer;
use crate::record::plan::CURSOR;
use crate::record::search::SearchAnswer;
use crate::record::{etag, location, name_of, query_string};

/// Appends a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a string to a vector cannot fail.
    let _ = to_writer(out, text);
}

fn member(out: &mut Vec<u8>, name: &str, text: &str) {
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
    string(out, text);
}

/// The code of a severity.
#[must_use]
pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Fatal => "fatal",
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
    }
}

/// An OperationOutcome of issues.
#[must_use]
pub fn outcome(issues: &[Issue]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + issues.len() * 160);
    out.extend_from_slice(b"{\"resourceType\":\"OperationOutcome\",\"issue\":[");
    for (index, issue) in issues.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'{');
        member(&mut out, "severity", severity(issue.severity));
        member(&mut out, "code", issue.code);
        member(&mut out, "diagnostics", &issue.diagnostics);
        if !issue.expression.is_empty() {
            out.extend_from_slice(b",\"expression\":[");
            string(&mut out, &issue.expression);
            out.push(b']');
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// The issue that names ignored parameters.
fn ignored_issue(ignored: &[String]) -> Issue {
    Issue {
        severity: Severity::Warning,
        code: "not-supported",
        expression: String::new(),
        diagnostics: format!(
            "these parameters were ignored (lenient handling): {}",
            ignored.join(", ")
        ),
    }
}

fn links(out: &mut Vec<u8>, address: &str, params: &[(String, String)], next: Option<&str>) {
    let pairs = || params.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    let with = |query: String| {
        if query.is_empty() {
            address.to_owned()
        } else {
            format!("{address}?{query}")
        }
    };
    out.extend_from_slice(b",\"link\":[{\"relation\":\"self\"");
    member(out, "url", &with(query_string::print(pairs())));
    out.push(b'}');
    if let Some(cursor) = next {
        out.extend_from_slice(b",{\"relation\":\"next\"");
        let query = query_string::print(pairs().chain([(CURSOR, cursor)]));
        member(out, "url", &with(query));
        out.push(b'}');
    }
    out.push(b']');
}

/// A searchset bundle. `base` is the tenant's FHIR base address, `path` what is searched below it: a type,
/// a compartment's path, or nothing for the system.
#[must_use]
pub fn searchset(base: &str, path: &str, answer: &SearchAnswer) -> Vec<u8> {
    let bodies: usize = answer
        .matches
        .iter()
        .chain(&answer.included)
        .map(|version| version.body.as_ref().map_or(0, bytes::Bytes::len) + base.len() + 160)
        .sum();
    let mut out = Vec::with_capacity(bodies + 512);
    out.extend_from_slice(b"{\"resourceType\":\"Bundle\",\"type\":\"searchset\"");
    if let Some(total) = answer.total {
        out.extend_from_slice(format!(",\"total\":{total}").as_bytes());
    }
    links(
        &mut out,
        &if path.is_empty() {
            base.to_owned()
        } else {
            format!("{base}/{path}")
        },
        &answer.self_params,
        answer.next.as_deref(),
    );
    let notices = notices(answer);
    let shown = answer.matches.iter().map(|version| (version, "match"));
    let brought = answer.included.iter().map(|version| (version, "include"));
    let mut first = true;
    let mut next = |out: &mut Vec<u8>| {
        out.extend_from_slice(if first { b",\"entry\":[{" } else { b",{" });
        first = false;
    };
    for (version, mode) in shown.chain(brought) {
        next(&mut out);
        member(
            &mut out,
            "fullUrl",
            &format!("{base}/{}", name_of(&version.key)),
        );
        if let Some(body) = &version.body {
            out.extend_from_slice(b",\"resource\":");
            out.extend_from_slice(body);
        }
        out.extend_from_slice(b",\"search\":{\"mode\":\"");
        out.extend_from_slice(mode.as_bytes());
        out.extend_from_slice(b"\"}}");
    }
    if !notices.is_empty() {
        next(&mut out);
        out.extend_from_slice(b"\"resource\":");
        out.extend_from_slice(&outcome(&notices));
        out.extend_from_slice(b",\"search\":{\"mode\":\"outcome\"}}");
    }
    if !first {
        out.push(b']');
    }
    out.push(b'}');
    out
}

/// What the entry of mode `outcome` says.
fn notices(answer: &SearchAnswer) -> Vec<Issue> {
    let mut notices = answer.notices.clone();
    if !answer.ignored.is_empty() {
        notices.push(ignored_issue(&answer.ignored));
    }
    notices
}

/// A history bundle. `path` is what the history is of: `Patient/1`, `Patient` or empty.
#[must_use]
pub fn history(base: &str, path: &str, answer: &HistoryAnswer) -> Vec<u8> {
    let mut out = Vec::with_capacity(answer.versions.len() * 1024 + 512);
    out.extend_from_slice(b"{\"resourceType\":\"Bundle\",\"type\":\"history\"");
    let address = if path.is_empty() {
        format!("{base}/_history")
    } else {
        format!("{base}/{path}/_history")
    };
    links(
        &mut out,
        &address,
        &answer.self_params,
        answer.next.as_deref(),
    );
    if !answer.versions.is_empty() {
        out.extend_from_slice(b",\"entry\":[");
        for (index, version) in answer.versions.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            history_entry(&mut out, base, version);
        }
        out.push(b']');
    }
    out.push(b'}');
    out
}

fn history_entry(out: &mut Vec<u8>, base: &str, version: &StoredVersion) {
    let name = name_of(&version.key);
    let (method, url, status) = match version.kind {
        ChangeKind::Create => ("POST", type_name(version.key.ty), "201 Created"),
        ChangeKind::CreateByUpdate => ("PUT", name.as_str(), "201 Created"),
        ChangeKind::Update => ("PUT", name.as_str(), "200 OK"),
        ChangeKind::Delete | ChangeKind::Erase => ("DELETE", name.as_str(), "204 No Content"),
    };
    out.push(b'{');
    member(out, "fullUrl", &format!("{base}/{name}"));
    if let Some(body) = &version.body {
        out.extend_from_slice(b",\"resource\":");
        out.extend_from_slice(body);
    }
    out.extend_from_slice(b",\"request\":{");
    member(out, "method", method);
    member(out, "url", url);
    out.extend_from_slice(b"},\"response\":{");
    member(out, "status", status);
    member(out, "location", &location(version));
    member(out, "etag", &etag(version.version));
    member(
        out,
        "lastModified",
        &version.last_updated().to_fhir_instant(),
    );
    out.extend_from_slice(b"}}");
}

/// One entry of a batch or transaction response.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseEntry {
    pub status: String,
    pub location: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub full_url: Option<String>,
    pub resource: Option<bytes::Bytes>,
    pub outcome: Option<Vec<u8>>,
    pub done: super::bundle::Done,
}

/// A batch-response or transaction-response bundle.
pub(crate) fn response(kind: &str, entries: &[ResponseEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * 200 + 128);
    out.extend_from_slice(b"{\"resourceType\":\"Bundle\"");
    member(&mut out, "type", kind);
    if !entries.is_empty() {
        out.extend_from_slice(b",\"entry\":[");
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            response_entry(&mut out, entry);
        }
        out.push(b']');
    }
    out.push(b'}');
    out
}

fn response_entry(out: &mut Vec<u8>, entry: &ResponseEntry) {
    out.push(b'{');
    if let Some(url) = &entry.full_url {
        member(out, "fullUrl", url);
    }
    if let Some(body) = &entry.resource {
        if !matches!(out.last(), Some(b'{')) {
            out.push(b',');
        }
        out.extend_from_slice(b"\"resource\":");
        out.extend_from_slice(body);
    }
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    out.extend_from_slice(b"\"response\":{");
    member(out, "status", &entry.status);
    for (name, value) in [
        ("location", &entry.location),
        ("etag", &entry.etag),
        ("lastModified", &entry.last_modified),
    ] {
        if let Some(value) = value {
            member(out, name, value);
        }
    }
    if let Some(outcome) = &entry.outcome {
        out.extend_from_slice(b",\"outcome\":");
        out.extend_from_slice(outcome);
    }
    out.extend_from_slice(b"}}");
}

/// The name of a type.
#[must_use]
pub fn type_name(ty: fhir::definitions::TypeId) -> &'static str {
    Definitions::r4().resource_name(ty)
}
