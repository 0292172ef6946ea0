//! Erasure: a patient's key is destroyed, and with it every copy of what it sealed. The ledger stays
//! sound and says that it happened.

use identity::Interaction;
use kernel::LogicalId;
use ledger::leaf::Class;
use store::Log;

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// How many resources can no longer be read.
    pub resources: u64,
}

/// Erases a patient. `reason` is a code, 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
pub async fn erase(
    app: &App,
    caller: &Caller,
    patient: &LogicalId,
    reason: &str,
) -> Result<Erased, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Erase)).await?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=64).contains(&reason.len()) || !reason.bytes().all(allowed) {
        return Err(AppError::Invalid(
            "the reason is not a code: use 1 to 64 letters, digits, '.', '_' or '-'".to_owned(),
        ));
    }
    let key = app.patient_key(patient);
    let heads = app
        .store()
        .heads(&caller.scope, std::slice::from_ref(&key))
        .await?;
    let Some(head) = heads.into_iter().next().flatten() else {
        return Err(AppError::not_found(crate::record::name_of(&key)));
    };
    let mut entry = house_entry(app, caller, Log::Changes, Class::Erase, "erase", None);
    entry.subject = Some(patient.clone());
    entry.object = Some((key, Some(head.version)));
    entry.reason = Some(reason.to_owned());
    let resources = app.store().erase(&caller.scope, patient, entry).await?;
    app.caches().patients.invalidate_all();
    Ok(Erased { resources })
}
