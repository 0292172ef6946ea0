//! The log of calls: what was asked, what was answered, what it rests on, who asked and how long it took. A
//! call is sealed like every document and goes after the tenant's time; its digests stay in the ledger. Must
//! not keep an access token.

use identity::Interaction;
use kernel::{LogicalId, Timestamp, ZoneName};
use ledger::leaf::Class;
use medication::knowledge::Release;
use serde::{Deserialize, Serialize};
use store::{DocExpected, DocKind, DocWrite, Entry, Log};
use uuid::Uuid;

use super::cards::KeptCard;
use super::facts::{Kept, Side};
use super::heard::KeptHeard;
use crate::App;
use crate::admin::allow;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// Unique look-ups of calls.
pub(super) const CALL: &str = "call";
pub(super) const CARD: &str = "card";

/// A call as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookCall {
    /// Its id.
    pub id: Uuid,
    /// When it was answered.
    pub at: Timestamp,
    /// The service.
    pub service: String,
    /// The hook.
    pub hook: String,
    /// The moment at the caller's.
    pub instance: Uuid,
    /// Who asked.
    pub by: String,
    /// Their id.
    pub(super) actor: Uuid,
    /// The caller's user, as it named them.
    pub user: Option<String>,
    /// Whose record it rests on.
    pub side: Side,
    /// The patient's id there.
    pub patient: String,
    /// SHA-256 of the request as it was sent.
    pub request_sha256: String,
    /// SHA-256 of the answer.
    pub response_sha256: String,
    /// SHA-256 of the facts.
    pub facts_sha256: String,
    /// The request, without the access token.
    pub request: String,
    /// The answer.
    pub response: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The knowledge it rests on.
    pub release: Release,
    /// The lists of products it rests on.
    pub products: Vec<String>,
    /// Its cards.
    pub cards: Vec<KeptCard>,
    /// What addresses in the cards begin with.
    pub(super) base: String,
    pub(super) page: Option<String>,
    pub(super) zone: ZoneName,
    pub(super) facts: Kept,
    pub(super) heard: KeptHeard,
}

/// The page of a call.
pub(super) fn page(base: &str, call: Uuid) -> String {
    format!("{base}/cds-hooks/log/{call}")
}

/// The write of a call: newer ones have smaller ids.
pub(super) fn write(call: &HookCall, days: u32) -> Result<DocWrite, AppError> {
    let mut lookups = vec![(CALL, call.id.to_string())];
    lookups.extend(call.cards.iter().map(|own| (CARD, own.id.to_string())));
    Ok(DocWrite {
        kind: DocKind::HookCall,
        id: format!("{:016x}-{}", i64::MAX - call.at.as_micros(), call.id),
        expected: DocExpected::Absent,
        body: Some(serde_json::to_vec(call)?),
        time: call.at,
        expires: Some(call.at.plus_seconds(i64::from(days) * 86_400)),
        lookups,
    })
}

/// The entry of a call: by its digests somebody can show later what was asked and answered.
pub(super) fn entry(app: &App, caller: &Caller, call: &HookCall) -> Entry {
    let detail = format!(
        "{} cards by {} {} ({})",
        call.cards.len(),
        call.release.source,
        call.release.version,
        call.release.sha256
    );
    let mut entry = house_entry(
        app,
        caller,
        Log::Changes,
        Class::Update,
        "cds-hook",
        Some(detail),
    );
    entry.payload.query = Some(format!(
        "cds-services/{}?hook={}&call={}&request={}&facts={}&response={}",
        call.service,
        call.hook,
        call.id,
        call.request_sha256,
        call.facts_sha256,
        call.response_sha256
    ));
    about(&mut entry, call.side, &call.patient);
    entry
}

/// Names the patient in an entry, where it is one of this record.
pub(super) fn about(entry: &mut Entry, side: Side, patient: &str) {
    if side == Side::Ours
        && let Ok(patient) = patient.parse::<LogicalId>()
    {
        entry.payload.patient = Some(patient.as_str().to_owned());
        entry.subject = Some(patient);
    }
}

/// A page of the log, the newest first.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// The calls.
    pub calls: Vec<HookCall>,
    /// Where the next page begins; none where there is none.
    pub next: Option<String>,
}

/// Lists calls, for auditors. `after` is [`LogPage::next`] of the page before.
pub async fn list(
    app: &App,
    caller: &Caller,
    after: Option<&str>,
    most: u32,
) -> Result<LogPage, AppError> {
    allow(app, caller, Interaction::ViewAudit).await?;
    let most = most.clamp(1, 200);
    let store = app.store();
    let docs = store
        .docs(&caller.scope, DocKind::HookCall, after, most)
        .await?;
    let next = (docs.len() == most as usize)
        .then(|| docs.last().map(|own| own.id.clone()))
        .flatten();
    let calls: Result<Vec<HookCall>, _> = docs
        .iter()
        .map(|own| serde_json::from_slice(&own.body))
        .collect();
    let entry = house_entry(
        app,
        caller,
        Log::Access,
        Class::AuditRead,
        "cds-hook-log",
        None,
    );
    store.record_access(&caller.scope, vec![entry]).await?;
    Ok(LogPage {
        calls: calls?,
        next,
    })
}

/// One call, for auditors.
pub async fn one(app: &App, caller: &Caller, id: Uuid) -> Result<HookCall, AppError> {
    allow(app, caller, Interaction::ViewAudit).await?;
    let found = by(app, caller, CALL, id).await?;
    let call = found.ok_or_else(|| AppError::not_found("the call"))?;
    let mut entry = house_entry(
        app,
        caller,
        Log::Access,
        Class::AuditRead,
        "cds-hook-log",
        Some(format!("call {id}")),
    );
    about(&mut entry, call.side, &call.patient);
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    Ok(call)
}

/// A call by one of its look-ups.
pub(super) async fn by(
    app: &App,
    caller: &Caller,
    name: &'static str,
    id: Uuid,
) -> Result<Option<HookCall>, AppError> {
    let store = app.store();
    let found = store
        .doc_by(&caller.scope, DocKind::HookCall, name, &id.to_string())
        .await?;
    let call = found.map(|own| serde_json::from_slice(&own.body));
    Ok(call.transpose()?)
}
