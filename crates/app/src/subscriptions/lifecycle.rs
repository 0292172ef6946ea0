//! The status the server gives a Subscription: a version of its own in the record, written by the
//! platform with an entry like any other.

use bytes::Bytes;
use identity::SystemTask;
use kernel::{LogicalId, TenantId};
use serde_json::Value;
use store::ResourceKey;

use super::resource::Status;
use crate::App;
use crate::error::AppError;
use crate::init::system_caller;
use crate::record::update;

/// The key of a Subscription.
pub(crate) fn key(app: &App, id: &str) -> Result<ResourceKey, AppError> {
    let ty = app
        .definitions()
        .resource("Subscription")
        .ok_or_else(|| AppError::Fault("the definitions lack Subscription".to_owned()))?;
    let id: LogicalId = id
        .parse()
        .map_err(|_| AppError::Fault("a registration has no logical id".to_owned()))?;
    Ok(ResourceKey { ty, id })
}

/// Sets the status, if the version served is still the current one and says something else.
pub(crate) async fn set_status(
    app: &App,
    tenant: TenantId,
    (id, served): (&str, u32),
    status: Status,
    error: Option<&str>,
) -> Result<(), AppError> {
    let caller = system_caller(app, tenant, SystemTask::Consumers)?;
    let key = key(app, id)?;
    let Some(current) = app.store().read(&caller.scope, &key).await? else {
        return Ok(());
    };
    let Some(body) = current.body.filter(|_| current.version.0 == served) else {
        return Ok(());
    };
    let mut resource: Value = serde_json::from_slice(&body)?;
    let Some(members) = resource.as_object_mut() else {
        return Ok(());
    };
    members.insert("status".to_owned(), status.as_str().into());
    match error {
        Some(error) => members.insert("error".to_owned(), error.into()),
        None => members.remove("error"),
    };
    let bytes = Bytes::from(serde_json::to_vec(&resource)?);
    match update::update(app, &caller, &key, bytes, Some(current.version)).await {
        Ok(_) => {
            app.board().subscriptions.poke(tenant);
            Ok(())
        }
        // Somebody wrote it meanwhile: what they want is seen soon.
        Err(AppError::Stale { .. } | AppError::Gone { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
