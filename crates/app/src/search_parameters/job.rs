//! The job that keeps tables up with what is defined, and builds what is new: page by page under a lease, its
//! place kept after every page, so that a killed process loses at most a page of work.

use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits};
use fhir::search::ParamId;
use identity::{SystemTask, system_scope};
use kernel::{RowId, TenantId, TenantScope};
use store::{Clause, Position, Reindexed, SearchPage, SearchPlan, Sort, SortKey, Total};
use uuid::Uuid;

use super::compiled::{self, Compiled};
use super::definition::{self, Defined};
use super::table::{self, Pass};
use crate::App;
use crate::error::AppError;
use crate::jobs::Lease;
use crate::record::prepare;

/// Versions of a page.
const PAGE: u32 = 500;
/// Bytes of bodies of a page.
const PAGE_BYTES: usize = 8 << 20;
/// Pages after which the lease is renewed and others may have their turn.
const PAGES: usize = 8;
/// Definitions of a tenant at most.
const MOST_DEFINITIONS: usize = 2000;

/// Whether resources of a type define search parameters.
pub(super) fn defines(app: &App, ty: TypeId) -> bool {
    app.definitions().resource("SearchParameter") == Some(ty)
}

/// How a tenant's table stands after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// There is nothing to build.
    Settled,
    /// Something waits until it may be built, or for another replica.
    Waiting,
    /// There is more to build now.
    Going,
}

/// One round over the tenants that need it; answers how the least advanced stands.
pub async fn round(app: &App, holder: Uuid) -> Result<Standing, AppError> {
    let mut least = Standing::Settled;
    for tenant in app
        .caches()
        .search_parameters_due
        .among(app.store().tenants().await?)
    {
        if tenant == TenantId::INSTANCE {
            continue;
        }
        let scope = system_scope(tenant, SystemTask::Jobs);
        match of_tenant(app, &scope, holder).await {
            Ok(Standing::Settled) => {}
            Ok(standing) => {
                least = least.max(standing);
                app.caches().search_parameters_due.changed(tenant);
            }
            Err(error) => {
                least = least.max(Standing::Waiting);
                app.caches().search_parameters_due.changed(tenant);
                tracing::warn!(%tenant, %error, "search parameters were not brought up to date");
            }
        }
    }
    Ok(least)
}

/// Brings one tenant's table up to date and builds some pages.
pub async fn of_tenant(app: &App, scope: &TenantScope, holder: Uuid) -> Result<Standing, AppError> {
    let Some(lease) = Lease::take(app, scope, "search-parameters", holder, 60).await? else {
        return Ok(Standing::Waiting);
    };
    let outcome = build(app, scope).await;
    lease.release(app).await?;
    outcome
}

async fn build(app: &App, scope: &TenantScope) -> Result<Standing, AppError> {
    let (mut table, mut version) = table::load(app, scope).await?;
    let mut defined = definitions_of(app, scope).await?;
    let now = app.now();
    let room = compiled::room(scope.tenant());
    table.refuse_beyond(app.definitions(), &mut defined, room);
    let failures = app
        .caches()
        .search_parameters_due
        .take_failures(scope.tenant());
    let failed = table.add_failures(&failures);
    let changed = table.settle(app.definitions(), &defined, now) || failed;
    let since = now.as_micros() - app.settings().reindex_grace_ms * 1000;
    let renews = table.needs_renewal();
    if renews {
        let types = held(app, scope).await?;
        tracing::info!(tenant = %scope.tenant(), types = types.len(), "the search index is built anew");
        table.renew(&types);
    }
    if table.begin_passes(since) || changed || renews {
        if !table::save(app, scope, &table, version).await? {
            return Ok(Standing::Going);
        }
        version += 1;
    }
    // From the table in hand: what this process knew before may lack what was just announced.
    let own = Arc::new(Compiled::new(
        app.definitions(),
        scope.tenant(),
        &table,
        version,
    )?);
    for _ in 0..PAGES {
        let Some(pass) = table.passes.first().cloned() else {
            return Ok(table.standing());
        };
        let base = pass.base.clone();
        let (next, ended) = page(app, scope, pass, &own).await?;
        if let Some(place) = table.passes.first_mut() {
            *place = next;
        }
        if ended {
            table.end_pass(&base);
        }
        if !table::save(app, scope, &table, version).await? {
            return Ok(Standing::Going);
        }
        version += 1;
    }
    Ok(table.standing())
}

/// Names of the types that hold something.
async fn held(app: &App, scope: &TenantScope) -> Result<Vec<&'static str>, AppError> {
    let mut types = Vec::new();
    for ty in app.definitions().resource_types() {
        let plan = SearchPlan {
            count: 1,
            bytes: 1,
            rows: u64::MAX,
            ..whole(ty)
        };
        if !app.store().search(scope, &plan).await?.matches.is_empty() {
            types.push(app.definitions().resource_name(ty));
        }
    }
    Ok(types)
}

/// A type from its oldest row on.
fn whole(ty: TypeId) -> SearchPlan {
    SearchPlan {
        types: vec![ty],
        all_of: Vec::<Clause>::new(),
        sort: vec![Sort {
            key: SortKey::Row,
            descending: false,
        }],
        count: PAGE,
        bytes: PAGE_BYTES,
        rows: u64::MAX,
        after: None,
        total: Total::None,
    }
}

/// What the tenant's SearchParameter resources define.
async fn definitions_of(app: &App, scope: &TenantScope) -> Result<Vec<Defined>, AppError> {
    let definitions = app.definitions();
    let Some(ty) = definitions.resource("SearchParameter") else {
        return Ok(Vec::new());
    };
    let mut defined = Vec::new();
    let mut after = None;
    loop {
        let found = walk(app, scope, ty, after).await?;
        for version in &found.matches {
            let Some(body) = &version.body else { continue };
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            for mut one in definition::read(definitions, document.root()) {
                if one.refused.is_none()
                    && let Err(error) = fhirpath::compile(&one.expression)
                {
                    one.refused = Some(error.to_string());
                }
                defined.push(one);
            }
        }
        after = found.next;
        if after.is_none() || defined.len() > MOST_DEFINITIONS {
            return Ok(defined);
        }
    }
}

/// A page of a type's current versions, oldest row first.
async fn walk(
    app: &App,
    scope: &TenantScope,
    ty: TypeId,
    after: Option<Position>,
) -> Result<SearchPage, AppError> {
    let plan = SearchPlan { after, ..whole(ty) };
    Ok(app.store().search(scope, &plan).await?)
}

/// Builds the next page of a pass; how far it is then, and whether it was the last.
async fn page(
    app: &App,
    scope: &TenantScope,
    mut pass: Pass,
    own: &Arc<Compiled>,
) -> Result<(Pass, bool), AppError> {
    let Some(ty) = app.definitions().resource(&pass.base) else {
        return Ok((pass, true));
    };
    if pass.done == 0 {
        pass.of = count(app, scope, ty).await?;
    }
    let after = pass.after.map(|row| Position {
        values: Vec::new(),
        row: RowId(row),
    });
    let found = walk(app, scope, ty, after).await?;
    let own = Arc::clone(own);
    let Some(last) = found.matches.last().map(|version| version.row) else {
        return Ok((pass, true));
    };
    let (work_app, work_scope) = (app.clone(), scope.clone());
    let matches = found.matches;
    let looked_at = matches.len() as u64;
    let work = move || indexed(&work_app, &work_scope, &own, &matches);
    let (rows, failed) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| AppError::Fault(error.to_string()))??;
    app.store().reindex(scope, rows).await?;
    pass.after = Some(last.0);
    pass.done += looked_at;
    for parameter in failed {
        pass.failed += 1;
        *pass.failures.entry(parameter.0).or_default() += 1;
    }
    Ok((pass, found.next.is_none()))
}

async fn count(app: &App, scope: &TenantScope, ty: TypeId) -> Result<u64, AppError> {
    let plan = SearchPlan {
        count: 0,
        bytes: 0,
        rows: u64::MAX,
        total: Total::Accurate,
        ..whole(ty)
    };
    let found = app.store().search(scope, &plan).await?;
    Ok(found.total.unwrap_or_default())
}

/// Everything versions are found by, made anew.
fn indexed(
    app: &App,
    scope: &TenantScope,
    own: &Compiled,
    versions: &[store::StoredVersion],
) -> Result<(Vec<Reindexed>, Vec<ParamId>), AppError> {
    let mut rows = Vec::with_capacity(versions.len());
    let mut failures = Vec::new();
    for version in versions {
        let Some(body) = &version.body else { continue };
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let root = document.root();
        let mut extracted = prepare::extracted(app, &version.key, root);
        let (values, failed) = own.values(app.definitions(), version.key.ty, root);
        extracted.values.extend(values);
        failures.extend(failed);
        rows.push(Reindexed {
            key: version.key.clone(),
            version: version.version,
            index: app.store().pack_index(scope, version.key.ty, &extracted)?,
        });
    }
    Ok((rows, failures))
}
