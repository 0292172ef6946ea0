//! Whether a tenant serves hooks, and how long it keeps what was answered. Off until an administrator
//! switches it on. Must not answer for a tenant that is not there.

use std::sync::Arc;

use identity::{Interaction, Tenant};
use kernel::TenantScope;
use ledger::leaf::Class;
use serde::{Deserialize, Serialize};
use store::{DocExpected, DocKind};

use crate::App;
use crate::admin::{allow, changed, commit, load, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::sign_in::scope;
use crate::tenants;

const ID: &str = "cds-hooks";
/// Longest that calls are kept, in days: ten years.
pub const MOST_DAYS: u32 = 3_653;

/// The setting of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Whether the services are there.
    pub enabled: bool,
    /// How many days a call is kept for replay; what was answered stays in the ledger for ever.
    pub keep_days: u32,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            enabled: false,
            keep_days: 90,
        }
    }
}

pub(super) async fn load_for(app: &App, scope: &TenantScope) -> Result<Setting, AppError> {
    let found = load::<Setting>(app, scope, DocKind::Setting, ID).await?;
    Ok(found.map(|own| own.value).unwrap_or_default())
}

/// The tenant of an address that serves hooks; every other answers like one that is not there.
pub async fn serving(app: &App, slug: &str) -> Result<Arc<Tenant>, AppError> {
    let missing = || AppError::not_found("a service of CDS Hooks at this address");
    let tenant = tenants::by_slug(app, slug).await.map_err(|_| missing())?;
    if !tenant.accepts_sign_in() || !load_for(app, &scope(tenant.id)).await?.enabled {
        return Err(missing());
    }
    Ok(tenant)
}

/// Reads the setting.
pub async fn read(app: &App, caller: &Caller) -> Result<Setting, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    load_for(app, &caller.scope).await
}

/// Whether hooks are on, for pages of anybody who is signed in.
pub async fn is_on(app: &App, caller: &Caller) -> Result<bool, AppError> {
    Ok(load_for(app, &caller.scope).await?.enabled)
}

/// Changes the setting. What is kept already keeps its day.
pub async fn change(app: &App, caller: &Caller, new: Setting) -> Result<Setting, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    if !(1..=MOST_DAYS).contains(&new.keep_days) {
        return Err(AppError::Unprocessable(format!(
            "calls are kept for 1 to {MOST_DAYS} days: correct it"
        )));
    }
    let before = load::<Setting>(app, &caller.scope, DocKind::Setting, ID).await?;
    let expected = before.map_or(DocExpected::Absent, |own| DocExpected::Version(own.version));
    let doc = write(app, DocKind::Setting, ID, expected, &new, Vec::new())?;
    let state = if new.enabled { "on" } else { "off" };
    let detail = format!("hooks {state}, calls are kept for {} days", new.keep_days);
    let entry = changed(app, caller, Class::Config, "cds-hooks", detail);
    commit(app, &caller.scope, doc, entry).await?;
    Ok(new)
}
