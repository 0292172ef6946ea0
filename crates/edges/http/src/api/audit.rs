//! The audit trail: newest entries with filters, and everything about one patient with proofs. Looking is
//! itself an entry.

use app::audit::{AuditEntry, AuditPage, Filter};
use axum::response::Response;
use kernel::Timestamp;
use ledger::leaf::{Class, Outcome};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{ProblemResponses, failed, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::query;
use crate::ledger_routes::{log_named, number};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get(
            "/t/{tenant}/api/v1/audit/entries",
            "audit-entries",
            failed,
            entries,
        ),
        Route::get(
            "/t/{tenant}/api/v1/audit/patients/{id}",
            "audit-patient",
            failed,
            about_patient,
        ),
    ]
}

/// A page of entries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPageView {
    /// How many entries the log had.
    size: u64,
    /// The signed checkpoint over that size (C2SP tlog-checkpoint).
    checkpoint: String,
    /// Give this as `before` to go on; nothing follows where it is null.
    next: Option<u64>,
    /// Newest first.
    entries: Vec<AuditEntryView>,
}

/// One entry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntryView {
    /// `changes` or `access`.
    log: &'static str,
    /// Its number in the log, from 0.
    index: u64,
    /// Its RFC 6962 leaf hash in base64.
    hash: String,
    /// When it happened.
    time: String,
    /// What happened.
    #[schema(schema_with = classes)]
    class: &'static str,
    /// How it ended.
    #[schema(schema_with = outcomes)]
    outcome: &'static str,
    /// A reason code: of a refusal, of emergency access, of an erasure.
    reason: Option<String>,
    /// The readable entry as a FHIR AuditEvent; null when the patient's key was destroyed.
    event: Option<Value>,
    /// The proof that it is in the log (C2SP tlog-proof), where asked for.
    proof: Option<String>,
}

impl AuditPageView {
    /// A page as it is shown; `base` is the tenant's FHIR base address.
    #[must_use]
    pub fn new(page: &AuditPage, base: &str) -> Self {
        let entries = page.entries.iter();
        Self {
            size: page.size,
            checkpoint: page.checkpoint.clone(),
            next: page.next,
            entries: entries
                .map(|entry| AuditEntryView::new(entry, base))
                .collect(),
        }
    }
}

impl AuditEntryView {
    fn new(entry: &AuditEntry, base: &str) -> Self {
        let payload = entry.payload.as_ref();
        Self {
            log: entry.log.as_str(),
            index: entry.index,
            hash: entry.hash.to_base64(),
            time: entry.leaf.time.to_string(),
            class: entry.leaf.class.as_str(),
            outcome: entry.leaf.outcome.as_str(),
            reason: entry.leaf.reason.clone(),
            event: payload.map(|payload| payload.to_audit_event(&entry.leaf, base)),
            proof: entry.proof.clone(),
        }
    }
}

pub(super) fn classes() -> utoipa::openapi::schema::Schema {
    super::one_of(Class::ALL.iter().map(|class| class.as_str()))
}

pub(super) fn outcomes() -> utoipa::openapi::schema::Schema {
    super::one_of(Outcome::ALL.iter().map(|outcome| outcome.as_str()))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/audit/entries", tag = "audit",
    params(
        ("tenant" = String, Path),
        ("log" = Option<String>, Query, description = "changes (the default) or access"),
        ("class" = Option<String>, Query, description = "classes of entries, separated by commas"),
        ("outcome" = Option<String>, Query, description = "success, denied or failed"),
        ("actor" = Option<String>, Query, description = "an actor's id, or part of a name"),
        ("from" = Option<String>, Query, description = "at or after this instant"),
        ("until" = Option<String>, Query, description = "before this instant"),
        ("before" = Option<u64>, Query, description = "only entries below this number"),
        ("count" = Option<u32>, Query, description = "at most this many, 1 to 1000; 100 where it is left out"),
    ),
    responses((status = 200, description = "entries, newest first", body = AuditPageView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn entries(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let filter = filter(&query(arrival.raw_query())?)?;
    let page = app::audit::recent(arrival.app(), &caller, &filter).await?;
    json_answer(&AuditPageView::new(&page, &caller.context.base))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/audit/patients/{id}", tag = "audit",
    params(
        ("tenant" = String, Path), ("id" = String, Path, description = "logical id of the Patient"),
        ("log" = Option<String>, Query, description = "changes (the default) or access"),
        ("class" = Option<String>, Query, description = "classes of entries, separated by commas"),
        ("outcome" = Option<String>, Query, description = "success, denied or failed"),
        ("actor" = Option<String>, Query, description = "an actor's id, or part of a name"),
        ("from" = Option<String>, Query, description = "at or after this instant"),
        ("until" = Option<String>, Query, description = "before this instant"),
        ("before" = Option<u64>, Query, description = "only entries below this number"),
        ("count" = Option<u32>, Query, description = "at most this many, 1 to 1000; 100 where it is left out"),
    ),
    responses((status = 200, description = "everything about the patient, newest first, each with its proof", body = AuditPageView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn about_patient(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let asked = Filter {
        patient: Some(logical_id(&id)?),
        prove: true,
        ..filter(&query(arrival.raw_query())?)?
    };
    let page = app::audit::recent(arrival.app(), &caller, &asked).await?;
    json_answer(&AuditPageView::new(&page, &caller.context.base))
}

fn filter(params: &[(String, String)]) -> Result<Filter, EdgeError> {
    let mut filter = Filter::newest(app::Log::Changes, 100);
    for (name, value) in params {
        match name.as_str() {
            "log" => filter.log = log_named(value)?,
            "class" => filter.classes = value.split(',').map(class).collect::<Result<_, _>>()?,
            "outcome" => filter.outcome = Some(outcome(value)?),
            "actor" => filter.actor = Some(value.clone()),
            "from" => filter.from = Some(instant(name, value)?),
            "until" => filter.until = Some(instant(name, value)?),
            "before" => filter.before = number(params, name)?,
            "count" => filter.count = count(value)?,
            _ => {
                let shown: String = name.chars().take(64).collect();
                return Err(malformed(format!(
                    "there is no parameter {shown:?}: see /api/openapi.json"
                )));
            }
        }
    }
    Ok(filter)
}

fn class(word: &str) -> Result<Class, EdgeError> {
    Class::from_word(word)
        .ok_or_else(|| malformed("class has an unknown word: see /api/openapi.json"))
}

fn outcome(word: &str) -> Result<Outcome, EdgeError> {
    Outcome::from_word(word)
        .ok_or_else(|| malformed("outcome has an unknown word: see /api/openapi.json"))
}

fn instant(name: &str, value: &str) -> Result<Timestamp, EdgeError> {
    Timestamp::from_rfc3339(value).ok_or_else(|| {
        malformed(format!(
            "{name} is no instant: give one such as 2026-03-05T08:09:10Z"
        ))
    })
}

fn count(value: &str) -> Result<u32, EdgeError> {
    let number = value
        .parse()
        .ok()
        .filter(|count| (1..=1000).contains(count));
    number.ok_or_else(|| malformed("count is not a number from 1 to 1000: correct it"))
}
