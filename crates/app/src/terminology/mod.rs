//! The terminology a tenant sees: its own stored CodeSystem, ValueSet and ConceptMap resources before
//! what is installed on the instance, and that before the definitions of R4. Kept compiled, within bounds;
//! a change by this process is seen at once, one by another replica within seconds. Must not answer
//! questions: the engine does.

pub mod install;
mod installed;
mod own;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel::{TenantId, TenantScope};
use moka::sync::Cache;
use parking_lot::Mutex;
use store::Change;
use terminology::{Engine, Library};

use self::installed::Installed;
use self::own::Own;
use crate::App;
use crate::error::AppError;

/// How long what another replica changed may stay unseen, in milliseconds.
const UNSEEN_MS: i64 = 3_000;
/// KiB of tenants' own terminology kept compiled, all tenants together.
const KEPT_KIB: u64 = 256 << 10;

/// The types that terminology is made from.
const TYPES: [&str; 3] = ["CodeSystem", "ValueSet", "ConceptMap"];

/// What is kept between requests.
pub(crate) struct Board {
    tenants: Cache<TenantId, Arc<Kept>>,
    installed: Mutex<Option<Arc<Installed>>>,
    /// Commits of this process that touched anybody's terminology.
    commits: AtomicU64,
}

impl Default for Board {
    fn default() -> Self {
        let weigh = |_: &TenantId, kept: &Arc<Kept>| (kept.own.bytes >> 10) as u32 + 1;
        Self {
            tenants: Cache::builder()
                .max_capacity(KEPT_KIB)
                .weigher(weigh)
                .build(),
            installed: Mutex::new(None),
            commits: AtomicU64::new(0),
        }
    }
}

impl Board {
    /// Has every tenant's terminology looked at again before it answers, after a commit that touched
    /// somebody's.
    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::AcqRel);
    }
}

/// A tenant's terminology with what it was made from.
struct Kept {
    own: Own,
    /// Of what was installed when it was made.
    generation: u64,
    checked_ms: i64,
    /// The commits counted before it was looked at.
    commits: u64,
    engine: Arc<Engine>,
}

impl App {
    /// Whether changes are of resources that terminology is made from.
    pub(crate) fn touches_terminology(&self, changes: &[Change]) -> bool {
        let name = |change: &Change| self.definitions().resource_name(change.key.ty);
        changes.iter().any(|change| TYPES.contains(&name(change)))
    }

    /// The terminology of a tenant, as an `Arc<dyn fhir::terminology::Terminology>` may be. Everything
    /// asked of it is answered from memory.
    ///
    /// # Errors
    /// The tenant's own resources, or what is installed, cannot be read.
    pub async fn terminology(&self, scope: &TenantScope) -> Result<Arc<Engine>, AppError> {
        let now = self.now().as_millis();
        let installed = installed::current(self, now).await?;
        let tenant = scope.tenant();
        let commits = self.caches().terminology.commits.load(Ordering::Acquire);
        let known = self.caches().terminology.tenants.get(&tenant);
        if let Some(kept) = &known
            && kept.generation == installed.generation
            && kept.commits == commits
            && now.saturating_sub(kept.checked_ms) < UNSEEN_MS
        {
            return Ok(Arc::clone(&kept.engine));
        }
        let before = known.as_ref().map(|kept| &kept.own);
        let own = own::refresh(self, scope, before).await?;
        let engine = match &known {
            Some(kept) if kept.generation == installed.generation && own.same(&kept.own) => {
                Arc::clone(&kept.engine)
            }
            _ if own.shelf.is_empty() => Arc::clone(&installed.engine),
            _ => {
                let library = installed.engine.library().behind(Arc::clone(&own.shelf));
                Arc::new(Engine::new(library))
            }
        };
        let kept = Kept {
            own,
            generation: installed.generation,
            checked_ms: now,
            commits,
            engine: Arc::clone(&engine),
        };
        self.caches()
            .terminology
            .tenants
            .insert(tenant, Arc::new(kept));
        Ok(engine)
    }
}

/// The library of R4 alone.
fn base() -> Result<Library, AppError> {
    terminology::base::library()
        .map_err(|error| AppError::Fault(format!("the R4 terminology: {error}")))
}
