//! Which tenant an address means. Kept in memory for a few seconds; a suspended tenant is not found by
//! those who sign in.

use std::sync::Arc;
use std::time::Duration;

use identity::{SystemTask, Tenant, system_scope};
use kernel::{TenantId, TenantSlug};
use store::DocKind;

use crate::App;
use crate::context::TenantInfo;
use crate::error::AppError;

/// The unique look-up of tenants by their name in addresses.
pub(crate) const SLUG: &str = "slug";

/// Tenants by name.
pub(crate) struct Cache(moka::sync::Cache<String, Arc<Tenant>>);

impl Default for Cache {
    fn default() -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(10_000)
            .time_to_live(Duration::from_secs(5))
            .build();
        Self(cache)
    }
}

impl Cache {
    /// Forgets a tenant after a change.
    pub(crate) fn forget(&self, slug: &TenantSlug) {
        self.0.invalidate(slug.as_str());
    }
}

fn missing() -> AppError {
    AppError::not_found("tenant")
}

/// The tenant of an address; missing ones, and names that cannot be one, are alike.
pub async fn by_slug(app: &App, slug: &str) -> Result<Arc<Tenant>, AppError> {
    if let Some(known) = app.caches().tenants.0.get(slug) {
        return Ok(known);
    }
    let slug: TenantSlug = slug.parse().map_err(|_| missing())?;
    let scope = system_scope(TenantId::INSTANCE, SystemTask::SignIn);
    let doc = app
        .store()
        .doc_by(&scope, DocKind::Tenant, SLUG, slug.as_str())
        .await?
        .ok_or_else(missing)?;
    let tenant: Arc<Tenant> = Arc::new(serde_json::from_slice(&doc.body)?);
    app.caches()
        .tenants
        .0
        .insert(slug.as_str().to_owned(), tenant.clone());
    Ok(tenant)
}

/// What a caller needs to know of it.
pub(crate) fn info(tenant: &Tenant) -> Arc<TenantInfo> {
    Arc::new(TenantInfo {
        id: tenant.id,
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        time_zone: tenant.time_zone.clone(),
        validation: tenant.validation,
        references: tenant.references,
        deletions: tenant.deletions,
    })
}
