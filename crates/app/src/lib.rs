//! Use-cases: what can be done with the record and the house around it, one file each. Every one
//! authorises before it acts, changes only through the [`unit`] of work, and records every look before
//! it answers. Edges translate to and from these calls; nothing here knows HTTP, HTML or SQL.

pub mod admin;
pub mod audit;
mod authorise;
pub mod backup;
pub mod bulk;
pub mod cds_hooks;
pub mod consumers;
pub mod context;
mod entry;
pub mod erase;
pub mod error;
pub mod export;
pub mod figures;
pub mod files;
mod idempotency;
pub mod import;
pub mod init;
pub mod jobs;
pub mod medicines;
pub mod operations;
pub mod profiles;
pub mod record;
mod retry;
pub mod search_parameters;
pub mod settings;
pub mod sign_in;
pub mod subscriptions;
pub mod tenants;
pub mod terminology;
pub mod unit;

use std::sync::{Arc, OnceLock};

use connect::{Closed, Outbound};
use fhir::definitions::{Definitions, TypeId};
use kernel::{Clock, Ids, LogicalId, RowId, TenantId, Timestamp};
use store::Store;

pub use context::{Caller, RequestContext, TenantInfo};
pub use error::{AppError, QueryError, SignInError};
pub use settings::{Limits, SessionTimes, Settings};
// What edges need of the port's plain types; the port itself is not theirs.
pub use store::{ChangeKind, HistoryScope, Log, ResourceKey, StoredVersion};

/// Everything the use-cases work with. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    definitions: &'static Definitions,
    patient: TypeId,
    settings: Settings,
    caches: Caches,
    board: figures::Board,
    bulk: bulk::Board,
    outbound: OnceLock<Arc<dyn Outbound>>,
    elsewhere: OnceLock<Arc<medicines::elsewhere::Elsewhere>>,
}

/// What is remembered between requests. Nothing here decides: all of it can be lost.
struct Caches {
    /// Which patients a version is about; versions never change.
    patients: moka::sync::Cache<(TenantId, RowId), Arc<[LogicalId]>>,
    /// The managing organisation a version of a Patient names.
    organizations: moka::sync::Cache<(TenantId, RowId), Option<LogicalId>>,
    /// Tenants by their name in addresses.
    tenants: tenants::Cache,
    /// Failed sign-ins of names that nobody has.
    unknown_names: sign_in::password::UnknownNames,
    /// When uses of tokens were written down.
    token_uses: sign_in::token_use::Noted,
    /// Tables of search parameters.
    search_parameters: search_parameters::Cache,
    /// Tenants whose table may be behind.
    search_parameters_due: search_parameters::Due,
    /// Signed-in principals by session or token.
    principals: sign_in::cache::Principals,
    /// Compiled terminology.
    terminology: terminology::Board,
    /// Profiles in force.
    profiles: profiles::shelf::Shelf,
    /// Answers of sources of drug knowledge.
    elsewhere: medicines::elsewhere::Board,
    /// Products that are installed.
    products: medicines::dictionary::Board,
    /// Keys of clients of hooks.
    hook_keys: cds_hooks::trust::Keys,
    /// Answers of services of hooks elsewhere.
    hook_advice: cds_hooks::external::Board,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`AppError::Fault`] when the definitions lack the type Patient.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        settings: Settings,
    ) -> Result<Self, AppError> {
        let definitions = Definitions::r4();
        let patient = definitions
            .resource("Patient")
            .ok_or_else(|| AppError::Fault("the definitions lack Patient".to_owned()))?;
        let caches = Caches {
            patients: moka::sync::Cache::new(200_000),
            organizations: moka::sync::Cache::new(200_000),
            tenants: tenants::Cache::default(),
            unknown_names: sign_in::password::UnknownNames::default(),
            token_uses: sign_in::token_use::Noted::default(),
            search_parameters: search_parameters::Cache::new(10_000),
            search_parameters_due: search_parameters::Due::default(),
            principals: sign_in::cache::Principals::default(),
            terminology: terminology::Board::default(),
            profiles: profiles::shelf::Shelf::default(),
            elsewhere: medicines::elsewhere::Board::default(),
            products: medicines::dictionary::Board::default(),
            hook_keys: cds_hooks::trust::Keys::default(),
            hook_advice: cds_hooks::external::Board::default(),
        };
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            ids,
            definitions,
            patient,
            settings,
            caches,
            board: figures::Board::default(),
            bulk: bulk::Board::default(),
            outbound: OnceLock::new(),
            elsewhere: OnceLock::new(),
        })))
    }

    /// Opens the way out; once, at the start. Until then, and where it is never opened, every outbound
    /// call is refused.
    #[must_use]
    pub fn reaching_out(self, outbound: Arc<dyn Outbound>) -> Self {
        if self.0.outbound.set(outbound).is_err() {
            tracing::error!("the way out was opened before; the first one stays");
        }
        self
    }

    /// The way out.
    pub(crate) fn outbound(&self) -> &dyn Outbound {
        static CLOSED: Closed = Closed;
        match self.0.outbound.get() {
            Some(outbound) => &**outbound,
            None => &CLOSED,
        }
    }

    /// The store. For use-cases only; edges have no business with it.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// The id source.
    #[must_use]
    pub fn ids(&self) -> &dyn Ids {
        &*self.0.ids
    }

    /// The R4 definitions.
    #[must_use]
    pub fn definitions(&self) -> &'static Definitions {
        self.0.definitions
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whether a type is Patient.
    pub(crate) fn is_patient(&self, ty: TypeId) -> bool {
        ty == self.0.patient
    }

    /// The type Patient.
    pub(crate) fn patient_type(&self) -> TypeId {
        self.0.patient
    }

    /// The key of a patient.
    pub(crate) fn patient_key(&self, id: &LogicalId) -> ResourceKey {
        ResourceKey {
            ty: self.0.patient,
            id: id.clone(),
        }
    }

    pub(crate) fn caches(&self) -> &Caches {
        &self.0.caches
    }

    pub(crate) fn board(&self) -> &figures::Board {
        &self.0.board
    }

    pub(crate) fn bulk(&self) -> &bulk::Board {
        &self.0.bulk
    }

    /// The patients a version is about; none for a deletion. A Patient is about itself, without a look
    /// at its body.
    pub(crate) fn patients_of(
        &self,
        caller: &Caller,
        version: &StoredVersion,
    ) -> Result<Arc<[LogicalId]>, AppError> {
        if self.is_patient(version.key.ty) {
            return Ok(Arc::new([version.key.id.clone()]));
        }
        let place = (caller.scope.tenant(), version.version_row);
        if let Some(known) = self.0.caches.patients.get(&place) {
            return Ok(known);
        }
        let Some(body) = &version.body else {
            return Ok(Arc::new([]));
        };
        let document = fhir::json::Document::parse(body.to_vec(), &fhir::json::Limits::default())?;
        let found = fhir::search::extract(self.0.definitions, version.key.ty, document.root());
        let patients: Arc<[LogicalId]> = found.patients.into();
        self.0.caches.patients.insert(place, patients.clone());
        Ok(patients)
    }

    /// Checks that the store works now.
    pub async fn health(&self) -> Result<(), AppError> {
        let scope = identity::system_scope(TenantId::INSTANCE, identity::SystemTask::Health);
        Ok(self.0.store.health(&scope).await?)
    }

    /// Finishes what was acknowledged and stops.
    pub async fn close(&self) {
        self.0.store.close().await;
    }
}
