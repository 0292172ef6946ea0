//! What is kept of calls about a patient of this record goes when the patient is erased: calls and what
//! became of their cards. The digests in the ledger stay and say nothing. Must not touch another patient's.

use kernel::LogicalId;
use ledger::leaf::Class;
use store::{DocExpected, DocKind, DocWrite, Log};

use super::facts::Side;
use super::feedback::Outcome;
use super::log::HookCall;
use crate::App;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::unit::UnitOfWork;

/// Documents that are looked at, or go, at a time.
const PAGE: u32 = 100;

/// Forgets what is kept about a patient. Done before the key is destroyed and after it, so that a call that
/// was answered meanwhile goes too.
pub(crate) async fn forget(
    app: &App,
    caller: &Caller,
    patient: &LogicalId,
) -> Result<(), AppError> {
    of_kind(app, caller, DocKind::HookCall, |body| {
        let call: HookCall = serde_json::from_slice(body)?;
        Ok(call.side == Side::Ours && call.patient == patient.as_str())
    })
    .await?;
    of_kind(app, caller, DocKind::HookFeedback, |body| {
        let outcome: Outcome = serde_json::from_slice(body)?;
        Ok(outcome.side == Side::Ours && outcome.patient == patient.as_str())
    })
    .await
}

async fn of_kind(
    app: &App,
    caller: &Caller,
    kind: DocKind,
    about: impl Fn(&[u8]) -> Result<bool, AppError> + Send,
) -> Result<(), AppError> {
    let mut after: Option<String> = None;
    loop {
        let docs = app
            .store()
            .docs(&caller.scope, kind, after.as_deref(), PAGE)
            .await?;
        let full = docs.len() == PAGE as usize;
        after = docs.last().map(|doc| doc.id.clone());
        let mut writes = Vec::new();
        for doc in docs {
            if about(&doc.body)? {
                writes.push(DocWrite {
                    kind,
                    id: doc.id,
                    expected: DocExpected::Any,
                    body: None,
                    time: app.now(),
                    expires: None,
                    lookups: Vec::new(),
                });
            }
        }
        if !writes.is_empty() {
            let detail = format!(
                "{} documents of hooks about an erased patient",
                writes.len()
            );
            let entry = house_entry(
                app,
                caller,
                Log::Changes,
                Class::Purge,
                "cds-hook-purge",
                Some(detail),
            );
            let unit = UnitOfWork::begin(app, &caller.scope);
            let unit = writes.into_iter().fold(unit, UnitOfWork::doc);
            unit.entry(entry).commit().await?;
        }
        if !full {
            return Ok(());
        }
    }
}
