//! Search parameters that a tenant defines by SearchParameter resources: read, numbered and kept in a table
//! per tenant, built for what is stored already while everything goes on, and offered to searches only when
//! they would miss nothing. The steps of one parameter:
//!
//! 1. **Announced**: it is in the table. Every process sees the table at most [`TTL`] later, and from then on
//!    gives each new version its values at the commit ([`complete`]).
//! 2. **Building**: after `reindex_grace_ms`, when no commit can be under way that does not know it, a pass over its
//!    type gives stored versions their values, page by page, with the place kept ([`job`]).
//! 3. **Ready**: searches may use it.
//!
//! The table also says which release's index rows everything stored has. Where that is not this one's, passes over
//! all types make them so after a start, and until then searches that need the new rows are refused.
//!
//! A parameter that cannot be offered is refused, with the reason, in the same table.

pub(crate) mod compiled;
mod complete;
mod definition;
pub mod job;
pub mod status;
pub(crate) mod table;

pub(crate) use compiled::Found;
pub(crate) use complete::complete;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fhir::search::ParamId;
use kernel::{TenantId, TenantScope, Timestamp};

use crate::App;
use crate::error::AppError;
use compiled::Compiled;

/// How long a process believes the table it has read, in milliseconds.
pub(crate) const TTL_MS: i64 = 1000;

/// Tables by tenant, with the time they were read.
pub(crate) type Cache = moka::sync::Cache<TenantId, (Timestamp, Arc<Compiled>)>;

/// The tenant's table, at most [`TTL_MS`] old.
pub(crate) async fn current(app: &App, scope: &TenantScope) -> Result<Arc<Compiled>, AppError> {
    let (now, tenant) = (app.now(), scope.tenant());
    if let Some((read, known)) = app.caches().search_parameters.get(&tenant)
        && (0..TTL_MS * 1000).contains(&(now.as_micros() - read.as_micros()))
    {
        return Ok(known);
    }
    let (stored, version) = table::load(app, scope).await?;
    let known = match app.caches().search_parameters.get(&tenant) {
        Some((_, known)) if known.version() == version => known,
        _ => Arc::new(Compiled::new(app.definitions(), tenant, &stored, version)?),
    };
    app.caches()
        .search_parameters
        .insert(tenant, (now, Arc::clone(&known)));
    Ok(known)
}

/// Marks a new tenant: what is stored from now on has all index rows of this release.
pub(crate) async fn begin(app: &App, scope: &TenantScope) -> Result<(), AppError> {
    table::save(app, scope, &table::Table::fresh(), 0).await?;
    Ok(())
}

/// The table as last read by this process; empty before the first time.
pub(crate) fn last_known(app: &App, tenant: TenantId) -> Arc<Compiled> {
    app.caches()
        .search_parameters
        .get(&tenant)
        .map_or_else(|| Arc::new(Compiled::default()), |(_, known)| known)
}

/// Tenants whose table may not be what their resources define: all of them after a start.
#[derive(Debug, Default)]
pub(crate) struct Due(
    parking_lot::Mutex<HashSet<TenantId>>,
    parking_lot::Mutex<HashMap<TenantId, BTreeMap<u16, u64>>>,
);

impl Due {
    /// A definition changed, or there is more to build.
    pub(crate) fn changed(&self, tenant: TenantId) {
        self.0.lock().remove(&tenant);
    }

    /// Parameters could not be evaluated for a new version: their table is to say so.
    fn failed(&self, tenant: TenantId, parameters: &[ParamId]) {
        let mut failures = self.1.lock();
        let failures = failures.entry(tenant).or_default();
        for parameter in parameters {
            *failures.entry(parameter.0).or_default() += 1;
        }
        self.changed(tenant);
    }

    /// What was noted of a tenant, and is not in its table yet.
    fn take_failures(&self, tenant: TenantId) -> BTreeMap<u16, u64> {
        self.1.lock().remove(&tenant).unwrap_or_default()
    }

    /// Those of some tenants that are due; they are taken as settled from now on.
    fn among(&self, tenants: Vec<TenantId>) -> Vec<TenantId> {
        let mut settled = self.0.lock();
        tenants
            .into_iter()
            .filter(|tenant| settled.insert(*tenant))
            .collect()
    }
}
