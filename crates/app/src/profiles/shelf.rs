//! Libraries of profiles kept ready: one for the instance (R4 and the packages), one per tenant over it
//! (its stored StructureDefinitions). Made anew when what they are made of has changed; changes made by
//! another replica are seen after a few seconds. Must not validate.

use std::collections::HashSet;
use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits};
use identity::{SystemTask, system_scope};
use kernel::{RowId, TenantId, TenantScope};
use parking_lot::Mutex;
use profiles::Library;
use profiles::model::StructureDefinition;
use profiles::package::{Package, Terms};
use store::{SearchPlan, Sort, SortKey, Total};
use terminology::Engine;

use super::packages;
use crate::App;
use crate::error::AppError;
use crate::record::recent;

/// Longest time a change made elsewhere goes unseen, in nanoseconds.
const STALE_NS: u64 = 2_000_000_000;
/// Most definitions of its own that a tenant is validated with; what is beyond is left out, newest kept.
const MAX_OWN: usize = 2_000;
/// Definitions read at a time.
const PAGE: u32 = 100;

/// What is kept.
pub(crate) struct Shelf {
    instance: Mutex<Option<Instance>>,
    tenants: moka::sync::Cache<TenantId, Tenant>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            instance: Mutex::new(None),
            tenants: moka::sync::Cache::new(2_000),
        }
    }
}

/// R4 and the packages.
#[derive(Clone)]
pub(crate) struct Instance {
    /// Their definitions.
    pub library: Arc<Library>,
    /// Their value sets and code systems, with those of R4; none where the packages bring none.
    pub terms: Option<Arc<Engine>>,
    /// Id and version of every package's document.
    stamp: Vec<(String, u32)>,
    checked_ns: u64,
}

#[derive(Clone)]
struct Tenant {
    library: Arc<Library>,
    below: Arc<Library>,
    /// Versions of StructureDefinitions that were not long committed when it was made; none may come that is not
    /// among them.
    recent: HashSet<RowId>,
    looked_ms: i64,
    checked_ns: u64,
}

impl Shelf {
    /// Looks again at a tenant's definitions when they are needed next.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.tenants.invalidate(&tenant);
    }

    /// Looks again at the packages when they are needed next.
    pub(crate) fn forget_packages(&self) {
        *self.instance.lock() = None;
    }
}

/// The definitions in force for a tenant.
pub(crate) async fn library(app: &App, scope: &TenantScope) -> Result<Arc<Library>, AppError> {
    let below = instance(app).await?.library;
    let Some(ty) = app.definitions().resource("StructureDefinition") else {
        return Ok(below);
    };
    let now = app.clock().monotonic_ns();
    let shelf = &app.caches().profiles;
    let known = shelf.tenants.get(&scope.tenant());
    let known = known.filter(|known| Arc::ptr_eq(&known.below, &below));
    if let Some(known) = &known
        && now.saturating_sub(known.checked_ns) < STALE_NS
    {
        return Ok(known.library.clone());
    }
    let looked_ms = app.now().as_millis();
    // Read before the definitions are: what is committed while they are read is not among these.
    let floor = recent::floor(known.as_ref().map_or(looked_ms, |known| known.looked_ms));
    let recent: HashSet<RowId> = recent::changed(app, scope, ty, Some(floor))
        .await?
        .into_iter()
        .map(|version| version.version_row)
        .collect();
    let library = match known.filter(|known| recent.is_subset(&known.recent)) {
        Some(known) => known.library,
        None => match own(app, scope, ty).await? {
            none if none.is_empty() => below.clone(),
            own => Library::over(&below, own),
        },
    };
    let kept = Tenant {
        library: library.clone(),
        below,
        recent,
        looked_ms,
        checked_ns: now,
    };
    shelf.tenants.insert(scope.tenant(), kept);
    Ok(library)
}

/// R4 and the packages.
pub(crate) async fn instance(app: &App) -> Result<Instance, AppError> {
    let now = app.clock().monotonic_ns();
    let shelf = &app.caches().profiles;
    let known = shelf.instance.lock().clone();
    if let Some(known) = &known
        && now.saturating_sub(known.checked_ns) < STALE_NS
    {
        return Ok(known.clone());
    }
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Setup);
    let stamp = packages::stamp(app, &scope).await?;
    let mut made = match known.filter(|known| known.stamp == stamp) {
        Some(known) => known,
        None if stamp.is_empty() => Instance {
            library: Library::base(),
            terms: None,
            stamp,
            checked_ns: now,
        },
        None => {
            let found = packages::contents(app, &scope).await?;
            tokio::task::spawn_blocking(move || of_packages(found, stamp)).await??
        }
    };
    made.checked_ns = now;
    *shelf.instance.lock() = Some(made.clone());
    Ok(made)
}

fn of_packages(found: Vec<Package>, stamp: Vec<(String, u32)>) -> Result<Instance, AppError> {
    let mut shelf = terminology::Shelf::default();
    let mut definitions = Vec::new();
    for package in found {
        definitions.extend(package.definitions);
        for terms in package.terms {
            add_terms(&mut shelf, &terms)?;
        }
    }
    let base = terminology::base::library()
        .map_err(|error| AppError::Fault(format!("R4 terminology: {error}")))?;
    let terms = (!shelf.is_empty()).then(|| Arc::new(Engine::new(base.behind(Arc::new(shelf)))));
    Ok(Instance {
        library: Library::over(&Library::base(), definitions),
        terms,
        stamp,
        checked_ns: 0,
    })
}

/// What cannot be used is remembered as that.
fn add_terms(shelf: &mut terminology::Shelf, terms: &Terms) -> Result<(), AppError> {
    let document = Document::parse(terms.json.clone().into_bytes(), &Limits::default())?;
    let added = if terms.ty == "CodeSystem" {
        terminology::system::from_resource(document.root())
            .map(|system| shelf.add_system(&Arc::new(system)))
    } else {
        terminology::value_set::ValueSet::from_resource(document.root())
            .map(|set| shelf.add_value_set(&Arc::new(set)))
    };
    if let Err(error) = added {
        shelf.add_fault(&terms.url, error.to_string());
    }
    Ok(())
}

/// The definitions a tenant has stored. One that cannot be read as a profile is passed over: its own
/// validation says why.
async fn own(
    app: &App,
    scope: &TenantScope,
    ty: TypeId,
) -> Result<Vec<StructureDefinition>, AppError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let plan = SearchPlan {
            types: vec![ty],
            all_of: Vec::new(),
            sort: vec![Sort {
                key: SortKey::Row,
                descending: true,
            }],
            count: PAGE,
            bytes: app.settings().limits.answer_bytes,
            rows: u64::MAX,
            after,
            total: Total::None,
        };
        let page = app.store().search(scope, &plan).await?;
        for version in page.matches {
            let Some(body) = version.body else {
                continue;
            };
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            if let Ok(definition) = StructureDefinition::read(document.root()) {
                found.push(definition);
            }
        }
        match page.next {
            Some(next) if found.len() < MAX_OWN => after = Some(next),
            _ => return Ok(found),
        }
    }
}
