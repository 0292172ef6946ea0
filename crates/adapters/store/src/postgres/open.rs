//! Opening the databases and their tenants, wherever each was placed.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use ::ledger::SigningKey;
use ::ledger::note::KeyKind;
use kernel::{Ids, TenantId, TenantScope};
use parking_lot::{Mutex, RwLock};

use super::connect::Database;
use super::keys::Keyring;
use super::migrate;
use super::settings::PostgresSettings;
use super::tenant::{Shared, Tenant};
use crate::files::lock_folder;
use crate::index::KeyHasher;
use crate::keys::KeyRing;
use crate::port::TenantSpec;
use crate::port::error::StoreError;
use crate::port::figures::{Figures, LogFigures};
use crate::port::ledger::Log;

const PLACE: &str = "INSERT INTO placement (tn, dedicated) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const PLACED: &str = "SELECT dedicated FROM placement WHERE tn = $1";
const ALL: &str = "SELECT tn FROM placement ORDER BY tn";

/// The PostgreSQL adapter.
pub struct PostgresStore {
    pub(super) shared: Arc<Shared>,
    main: Arc<Database>,
    dedicated: RwLock<HashMap<String, Arc<Database>>>,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    hashers: RwLock<HashMap<TenantId, KeyHasher>>,
    // One tenant is opened at a time; true when the store is closed.
    opening: tokio::sync::Mutex<bool>,
    // Given back when the store is shut, whoever still holds it.
    lock: Mutex<Option<File>>,
}

impl core::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects, migrates where the owner's connection is given, and checks the application's role.
    pub async fn open(
        settings: PostgresSettings,
        ring: Arc<dyn KeyRing>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, StoreError> {
        let lock = lock_folder(&settings.data)?;
        if let Some(owner) = &settings.owner {
            migrate::migrate(owner, &settings.application, None).await?;
        }
        migrate::check(&settings.application, None).await?;
        let seed = ring.signing_seed()?;
        let signer = SigningKey::from_seed(&settings.instance, KeyKind::Log, &seed)
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        let main = Database::new(&settings.application, None, settings.connections)?;
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                ids,
                ring,
                signer: Arc::new(signer),
                meters: Arc::default(),
            }),
            main: Arc::new(main),
            dedicated: RwLock::new(HashMap::new()),
            tenants: RwLock::new(HashMap::new()),
            hashers: RwLock::new(HashMap::new()),
            opening: tokio::sync::Mutex::new(false),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// An open tenant; opens it on first use.
    pub(super) async fn tenant(&self, scope: &TenantScope) -> Result<Arc<Tenant>, StoreError> {
        let id = scope.tenant();
        if let Some(tenant) = self.tenants.read().get(&id) {
            return Ok(Arc::clone(tenant));
        }
        let closed = self.opening.lock().await;
        if *closed {
            return Err(StoreError::Closed);
        }
        if let Some(tenant) = self.tenants.read().get(&id) {
            return Ok(Arc::clone(tenant));
        }
        let place = self
            .main
            .query_one(id, PLACED, &[&id.as_uuid()])
            .await?
            .ok_or(StoreError::UnknownTenant(id))?;
        let db = self.database(place.get(0)).await?;
        let tenant = Arc::new(Tenant::open(&self.shared, db, id).await?);
        self.hashers
            .write()
            .insert(id, tenant.keys().hasher().clone());
        self.tenants.write().insert(id, Arc::clone(&tenant));
        Ok(tenant)
    }

    pub(super) async fn create(
        &self,
        scope: &TenantScope,
        spec: &TenantSpec,
    ) -> Result<(), StoreError> {
        let id = scope.tenant();
        if spec.tenant != id {
            return Err(StoreError::UnknownTenant(spec.tenant));
        }
        if let Some(name) = &spec.dedicated {
            self.make_database(name).await?;
        }
        self.main
            .execute(id, PLACE, &[&id.as_uuid(), &spec.dedicated])
            .await?;
        let place = self
            .main
            .query_one(id, PLACED, &[&id.as_uuid()])
            .await?
            .ok_or(StoreError::UnknownTenant(id))?;
        let db = self.database(place.get(0)).await?;
        Tenant::create(&self.shared, &db, id).await?;
        self.tenant(scope).await.map(|_| ())
    }

    pub(super) async fn list(&self) -> Result<Vec<TenantId>, StoreError> {
        let rows = self.main.query(TenantId::INSTANCE, ALL, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| TenantId::from_uuid(row.get(0)))
            .collect())
    }

    /// A tenant's hasher, for work that cannot wait for a connection; blocks for the first use of a tenant
    /// that was not opened yet.
    pub(super) fn hasher<R>(
        &self,
        scope: &TenantScope,
        work: impl FnOnce(&KeyHasher) -> R,
    ) -> Result<R, StoreError> {
        let id = scope.tenant();
        if !self.hashers.read().contains_key(&id) {
            let hasher = self.fetch_hasher(id)?;
            self.hashers.write().insert(id, hasher);
        }
        self.hashers
            .read()
            .get(&id)
            .map(work)
            .ok_or(StoreError::UnknownTenant(id))
    }

    /// On a thread and connections of its own: the caller's may be the one that the pool needs.
    fn fetch_hasher(&self, id: TenantId) -> Result<KeyHasher, StoreError> {
        let shared = &self.shared;
        let fetch = async {
            let application = &shared.settings.application;
            let main = Database::new(application, None, 1)?;
            let place = main
                .query_one(id, PLACED, &[&id.as_uuid()])
                .await?
                .ok_or(StoreError::UnknownTenant(id))?;
            let name: Option<String> = place.get(0);
            let db = Arc::new(Database::new(application, name.as_deref(), 1)?);
            let keys = Keyring::open(&db, id, shared.ring.as_ref())
                .await?
                .ok_or(StoreError::UnknownTenant(id))?;
            Ok(keys.keys.hasher().clone())
        };
        let failed = |what: &str| StoreError::Engine(format!("keys could not be fetched: {what}"));
        std::thread::scope(|threads| {
            let thread = threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime
                    .map_err(|error| failed(&error.to_string()))?
                    .block_on(fetch)
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(failed("the thread ended")))
        })
    }

    async fn make_database(&self, name: &str) -> Result<(), StoreError> {
        let known = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if name.is_empty() || name.len() > 63 || !known {
            return Err(StoreError::Unsupported(
                "this database name: use 1 to 63 of a-z, 0-9 and _",
            ));
        }
        // Without the owner's connection somebody else makes and migrates it.
        if let Some(owner) = &self.shared.settings.owner {
            migrate::create_database(owner, name).await?;
            migrate::migrate(owner, &self.shared.settings.application, Some(name)).await?;
        }
        Ok(())
    }

    async fn database(&self, dedicated: Option<String>) -> Result<Arc<Database>, StoreError> {
        let Some(name) = dedicated else {
            return Ok(Arc::clone(&self.main));
        };
        if let Some(db) = self.dedicated.read().get(&name) {
            return Ok(Arc::clone(db));
        }
        let settings = &self.shared.settings;
        if let Some(owner) = &settings.owner {
            migrate::migrate(owner, &settings.application, Some(&name)).await?;
        }
        migrate::check(&settings.application, Some(&name)).await?;
        let db = Arc::new(Database::new(
            &settings.application,
            Some(&name),
            settings.connections,
        )?);
        Ok(Arc::clone(self.dedicated.write().entry(name).or_insert(db)))
    }

    pub(super) fn counted(&self) -> Figures {
        let meters = &self.shared.meters;
        let (commits, failed_commits) = meters.commits();
        let tenants = self.tenants.read();
        let (mut readers_in_use, mut readers) = self.main.in_use();
        for database in self.dedicated.read().values() {
            let (in_use, most) = database.in_use();
            readers_in_use += in_use;
            readers += most;
        }
        let mut figures = Figures {
            kind: "postgres",
            open_tenants: tenants.len() as u64,
            commits,
            failed_commits,
            batch_units: meters.batch_units(),
            wait_seconds: meters.wait_seconds(),
            sync_seconds: meters.sync_seconds(),
            queue: 0,
            readers_in_use,
            readers,
            looks: 0,
            look_bytes: 0,
            logs: [Log::Changes, Log::Access].map(LogFigures::empty),
        };
        for tenant in tenants.values() {
            figures.queue += tenant.writer.queue();
            let (looks, bytes) = tenant.looks.journal.size();
            figures.looks += looks;
            figures.look_bytes += bytes;
            for log in &mut figures.logs {
                log.add(&tenant.sequencer.figures(log.log));
            }
        }
        figures
    }

    /// Ends all writers after what they accepted; nothing opens again.
    pub(super) async fn shut(&self) {
        *self.opening.lock().await = true;
        let tenants: Vec<Arc<Tenant>> = self
            .tenants
            .write()
            .drain()
            .map(|(_, tenant)| tenant)
            .collect();
        futures_util::future::join_all(tenants.iter().map(|tenant| tenant.close())).await;
        self.main.close();
        self.dedicated.read().values().for_each(|db| db.close());
        self.lock.lock().take();
    }
}
