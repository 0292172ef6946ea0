//! Repeats a call from what is kept of it, without asking anybody: the same facts, answers of sources and
//! releases give the same bytes. Must not pass a difference over.

use ledger::leaf::Class;
use medication::knowledge::DrugKnowledge as _;
use store::Log;
use uuid::Uuid;

use super::answer::{decide, digest, products};
use super::log::{self, HookCall};
use super::services::service;
use crate::App;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::elsewhere::Heard;
use crate::medicines::sources;

/// What came of it.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The call.
    pub call: HookCall,
    /// The body as it is made now.
    pub body: String,
    /// Whether it is what was answered, bit for bit, and what was answered is what the log says.
    pub equal: bool,
    /// What the call rested on and is not what is installed now.
    pub changed: Vec<String>,
}

/// Repeats a call, for auditors.
pub async fn replay(app: &App, caller: &Caller, id: Uuid) -> Result<Replayed, AppError> {
    let call = log::one(app, caller, id).await?;
    let missing = || AppError::Unprocessable(format!("{} is no service any more", call.service));
    let service = service(&call.service).ok_or_else(missing)?;
    let sources = sources(app).await?;
    let heard = Heard::from(call.heard.clone());
    let (body, _) = decide(app, &sources, &call, service, heard)?;
    let mut changed = Vec::new();
    let release = sources.knowledge.release();
    if call.release != **release {
        changed.push(format!(
            "the knowledge was {} {} ({}), now it is {} {} ({})",
            call.release.source,
            call.release.version,
            call.release.sha256,
            release.source,
            release.version,
            release.sha256
        ));
    }
    if call.products != products(&sources) {
        changed.push("the lists of products are others than then".to_owned());
    }
    let facts = serde_json::to_string(&call.facts)?;
    let sound = digest(call.response.as_bytes()) == call.response_sha256
        && digest(facts.as_bytes()) == call.facts_sha256;
    if !sound {
        changed.push("what is kept of the call is not what its digests say".to_owned());
    }
    let equal = sound && body == call.response;
    let word = if equal { "equal" } else { "different" };
    let mut entry = house_entry(
        app,
        caller,
        Log::Access,
        Class::AuditRead,
        "cds-hook-replay",
        Some(format!("call {id}: {word}")),
    );
    log::about(&mut entry, call.side, &call.patient);
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    Ok(Replayed {
        call,
        body,
        equal,
        changed,
    })
}
