//! The terminology a tenant sees: its own stored CodeSystem, ValueSet and ConceptMap resources before
//! what is installed on the instance, and that before the definitions of R4. Kept compiled, within bounds;
//! a change by this process is seen at once, one by another replica within seconds. Must not answer
//! questions: the engine does.

pub mod install;
mod installed;
mod own;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel::{RowId, TenantId, TenantScope};
use moka::sync::Cache;
use parking_lot::Mutex;
use store::Change;
use terminology::{Engine, Library};

use self::installed::Installed;
use self::own::Own;
use crate::App;
use crate::error::AppError;
use crate::record::recent;

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
    /// The lowest row that such a commit gave in each tenant since its terminology was looked at.
    lowest: Mutex<HashMap<TenantId, RowId>>,
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
            lowest: Mutex::default(),
        }
    }
}

impl Board {
    /// Has every tenant's terminology looked at again before it answers, after a commit that touched
    /// somebody's, from this row on.
    pub(crate) fn committed(&self, tenant: TenantId, row: RowId) {
        let mut lowest = self.lowest.lock();
        let known = lowest.entry(tenant).or_insert(row);
        *known = row.min(*known);
        drop(lowest);
        self.commits.fetch_add(1, Ordering::AcqRel);
    }

    // From which row on a tenant's terminology is to be looked at again. What is taken here and then not
    // looked at is seen by the next look that goes by the time.
    fn floor(&self, tenant: TenantId, by_time: Option<i64>) -> RowId {
        let lowest = self.lowest.lock().remove(&tenant);
        match by_time {
            Some(looked_ms) => recent::floor(looked_ms),
            None => lowest.unwrap_or(RowId(i64::MAX)),
        }
    }
}

/// A tenant's terminology with what it was made from.
struct Kept {
    own: Own,
    /// Of what was installed when it was made.
    generation: u64,
    /// When it was last looked at for everything, and not only for what this process committed.
    whole_ms: i64,
    /// The commits counted before it was looked at.
    commits: u64,
    engine: Arc<Engine>,
}

impl App {
    /// The lowest row of changes to resources that terminology is made from, if there are any.
    pub(crate) fn touches_terminology(&self, changes: &[Change]) -> Option<RowId> {
        let name = |change: &Change| self.definitions().resource_name(change.key.ty);
        changes
            .iter()
            .filter(|change| TYPES.contains(&name(change)))
            .map(|change| change.version_row)
            .min()
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
            && now.saturating_sub(kept.whole_ms) < UNSEEN_MS
        {
            return Ok(Arc::clone(&kept.engine));
        }
        // Once in a while whole: what others committed, and what was slow to be committed here.
        let whole = known
            .as_ref()
            .is_none_or(|kept| now.saturating_sub(kept.whole_ms) >= UNSEEN_MS);
        let board = &self.caches().terminology;
        let before = known.as_ref().map(|kept| {
            let floor = board.floor(tenant, whole.then_some(kept.whole_ms));
            (&kept.own, floor)
        });
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
            whole_ms: known.filter(|_| !whole).map_or(now, |kept| kept.whole_ms),
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
