//! The last step before a commit: versions of types that have parameters of the tenant's own get their
//! values. Every change passes here, whatever made it, so that none is forgotten.

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits};
use fhir::search::Extracted;
use kernel::TenantScope;
use store::{Change, PackedIndex};

use super::compiled::Compiled;
use super::{current, job};
use crate::App;
use crate::error::AppError;

/// Changes whose values are made on the caller's thread; more go to a blocking one.
const INLINE: usize = 32;

/// Adds the values of the tenant's own parameters to changes.
pub(crate) async fn complete(
    app: &App,
    scope: &TenantScope,
    mut changes: Vec<Change>,
) -> Result<Vec<Change>, AppError> {
    if changes.is_empty() || scope.tenant() == kernel::TenantId::INSTANCE {
        return Ok(changes);
    }
    if changes
        .iter()
        .any(|change| job::defines(app, change.key.ty))
    {
        app.caches().search_parameters_due.changed(scope.tenant());
    }
    let own = current(app, scope).await?;
    let concerned = changes
        .iter()
        .filter(|change| own.concerns(change.key.ty) && !change.body.is_empty())
        .count();
    if concerned == 0 {
        return Ok(changes);
    }
    let (app, scope) = (app.clone(), scope.clone());
    let work = move || {
        for change in &mut changes {
            if let Some(added) = values(&app, &scope, &own, change.key.ty, &change.body)? {
                change.index = std::mem::take(&mut change.index).with(added);
            }
        }
        Ok(changes)
    };
    if concerned <= INLINE {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(AppError::Fault(error.to_string())))
}

/// The packed values of one version; none for types without parameters of their own.
fn values(
    app: &App,
    scope: &TenantScope,
    own: &Compiled,
    ty: TypeId,
    body: &[u8],
) -> Result<Option<PackedIndex>, AppError> {
    if !own.concerns(ty) || body.is_empty() {
        return Ok(None);
    }
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let (values, failed) = own.values(app.definitions(), ty, document.root());
    if !failed.is_empty() {
        tracing::warn!(tenant = %scope.tenant(), failed = failed.len(), "search parameters could not be evaluated for a version");
        let due = &app.caches().search_parameters_due;
        due.failed(scope.tenant(), &failed);
    }
    let extracted = Extracted {
        values,
        ..Extracted::default()
    };
    Ok(Some(app.store().pack_index(scope, ty, &extracted)?))
}
