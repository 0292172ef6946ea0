//! Read and vread: the stored bytes, after a decision and an entry. A resource of another tenant does
//! not exist; neither does one whose existence the decision keeps secret.

use std::sync::Arc;

use identity::Interaction;
use kernel::{LogicalId, VersionId};
use ledger::leaf::Class;
use store::{ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::{Allowed, Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::name_of;

/// The current version.
pub async fn read(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<StoredVersion, AppError> {
    authorise(app, caller, &Ask::of_type(Interaction::Read, key.ty)).await?;
    let found = app.store().read(&caller.scope, key).await?;
    let version = found.ok_or_else(|| AppError::not_found(name_of(key)))?;
    show(app, caller, Class::Read, version).await
}

/// One version.
pub async fn vread(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    version: VersionId,
) -> Result<StoredVersion, AppError> {
    authorise(app, caller, &Ask::of_type(Interaction::Read, key.ty)).await?;
    let found = app.store().vread(&caller.scope, key, version).await?;
    let version = found.ok_or_else(|| AppError::not_found(name_of(key)))?;
    show(app, caller, Class::Vread, version).await
}

/// Refuses a read that the role or token would be refused, whatever is there.
pub(crate) async fn check(app: &App, caller: &Caller, key: &ResourceKey) -> Result<(), AppError> {
    authorise(app, caller, &Ask::of_type(Interaction::Read, key.ty)).await?;
    Ok(())
}

async fn show(
    app: &App,
    caller: &Caller,
    class: Class,
    version: StoredVersion,
) -> Result<StoredVersion, AppError> {
    let patients = patients_now(app, caller, &version).await?;
    let ask = Ask::record(Interaction::Read, &version.key, &patients);
    let allowed = authorise(app, caller, &ask).await?;
    let entries = look_entries(
        app,
        caller,
        &Look {
            class,
            object: Some((&version.key, Some(version.version))),
            query: None,
            patients: subject_only(&version, &patients),
            allowed: &allowed,
        },
    );
    app.store().record_access(&caller.scope, entries).await?;
    if version.body.is_none() {
        return Err(AppError::Gone {
            what: name_of(&version.key),
            version: Some(version.version),
            erased: version.erased,
        });
    }
    Ok(version)
}

// A look at one resource is one entry: about its patient where it has exactly one.
fn subject_only<'a>(version: &StoredVersion, patients: &'a [LogicalId]) -> &'a [LogicalId] {
    match patients {
        [_] => patients,
        _ => patients
            .iter()
            .position(|patient| *patient == version.key.id)
            .and_then(|place| patients.get(place..=place))
            .unwrap_or(&[]),
    }
}

/// The patients a version is about; for a deletion those of the version before it.
pub(crate) async fn patients_now(
    app: &App,
    caller: &Caller,
    version: &StoredVersion,
) -> Result<Arc<[LogicalId]>, AppError> {
    if version.body.is_some() || app.is_patient(version.key.ty) || version.erased {
        return app.patients_of(caller, version);
    }
    let Some(before) = version
        .version
        .0
        .checked_sub(1)
        .filter(|number| *number > 0)
    else {
        return app.patients_of(caller, version);
    };
    let before = app
        .store()
        .vread(&caller.scope, &version.key, VersionId(before))
        .await?;
    match before {
        Some(before) => app.patients_of(caller, &before),
        None => app.patients_of(caller, version),
    }
}

/// Allows an interaction with what is stored now; for changes of existing resources. One out of reach
/// answers as if it were not there.
pub(crate) async fn allow_existing(
    app: &App,
    caller: &Caller,
    interaction: Interaction,
    version: &StoredVersion,
) -> Result<(Arc<[LogicalId]>, Allowed), AppError> {
    let patients = patients_now(app, caller, version).await?;
    let ask = Ask {
        hide: true,
        ..Ask::record(interaction, &version.key, &patients)
    };
    let allowed = authorise(app, caller, &ask).await?;
    Ok((patients, allowed))
}

/// The head a current version is.
pub(crate) fn head_of(version: &StoredVersion) -> store::Head {
    store::Head {
        row: version.row,
        version: version.version,
        version_row: version.version_row,
        kind: version.kind,
    }
}
