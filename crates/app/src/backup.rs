//! Backups as the ledger sees them. Writing one is the wiring's matter; it says so here.

use identity::Interaction;
use ledger::leaf::Class;
use store::Log;

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::unit::UnitOfWork;

/// Records that a backup was written and verified. `detail` names no patient.
pub async fn record(app: &App, caller: &Caller, detail: String) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Backup)).await?;
    let entry = house_entry(
        app,
        caller,
        Log::Changes,
        Class::Backup,
        "backup",
        Some(detail),
    );
    UnitOfWork::begin(app, &caller.scope)
        .entry(entry)
        .commit()
        .await?;
    Ok(())
}
