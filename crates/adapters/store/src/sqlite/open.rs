//! Opening the data folder and its tenants.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ::ledger::SigningKey;
use ::ledger::note::KeyKind;
use kernel::{Clock, Ids, TenantId, TenantScope};
use parking_lot::{Mutex, RwLock};

use super::erased::ErasedList;
use super::settings::SqliteSettings;
use super::tenant::{Places, Shared, Tenant, pointer};
use crate::files::{hold_folder, io_error, lock_folder};
use crate::keys::{FileKeyRing, KeyRing};
use crate::meters::WriteMeters;
use crate::port::TenantSpec;
use crate::port::error::StoreError;
use crate::port::figures::{Figures, LogFigures};
use crate::port::ledger::Log;

/// The SQLite adapter.
pub struct SqliteStore {
    pub(super) shared: Arc<Shared>,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    // One tenant is opened at a time: two writers on one file must never be.
    opening: Mutex<bool>,
    // Held while open: closing lets another process in.
    lock: Mutex<Option<File>>,
}

impl core::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("data", &self.shared.settings.data)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens a data folder with the file key ring in it; makes both where nothing is there yet.
    pub fn open(
        settings: SqliteSettings,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, StoreError> {
        let lock = lock_folder(&settings.data)?;
        // A new root key only where no tenant's keys could be wrapped by an older one.
        let may_create = !settings.data.join("tenants").exists();
        let ring = FileKeyRing::open(
            &settings.data.join("keys").join("root.key"),
            may_create,
            Arc::clone(&ids),
        )?;
        Self::with_lock(settings, clock, ids, Arc::new(ring), (lock, false))
    }

    /// Opens a data folder to be examined: nothing is written, repaired or made, so that what is found is
    /// what was there. Writes answer [`StoreError::ReadOnly`].
    pub fn examine(
        settings: SqliteSettings,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, StoreError> {
        let lock = hold_folder(&settings.data)?;
        let root = settings.data.join("keys").join("root.key");
        let ring = FileKeyRing::open(&root, false, Arc::clone(&ids))?;
        Self::with_lock(settings, clock, ids, Arc::new(ring), (lock, true))
    }

    /// Opens a data folder with another key ring.
    pub fn open_with_ring(
        settings: SqliteSettings,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        ring: Arc<dyn KeyRing>,
    ) -> Result<Self, StoreError> {
        let lock = lock_folder(&settings.data)?;
        Self::with_lock(settings, clock, ids, ring, (lock, false))
    }

    fn with_lock(
        settings: SqliteSettings,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        ring: Arc<dyn KeyRing>,
        (lock, examined): (File, bool),
    ) -> Result<Self, StoreError> {
        let seed = ring.signing_seed()?;
        let signer = SigningKey::from_seed(&settings.instance, KeyKind::Log, &seed)
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        let erased = ErasedList::open(&settings.data)?;
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                clock,
                ids,
                ring,
                signer,
                erased,
                examined,
                meters: WriteMeters::default(),
            }),
            tenants: RwLock::new(HashMap::new()),
            opening: Mutex::new(false),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// An open tenant; opens it on first use.
    pub(super) fn tenant(&self, scope: &TenantScope) -> Result<Arc<Tenant>, StoreError> {
        let id = scope.tenant();
        if let Some(tenant) = self.tenants.read().get(&id) {
            return Ok(Arc::clone(tenant));
        }
        let closed = self.opening.lock();
        if *closed {
            return Err(StoreError::Closed);
        }
        if let Some(tenant) = self.tenants.read().get(&id) {
            return Ok(Arc::clone(tenant));
        }
        let places = Places::of(&self.shared.settings.data, id)?;
        let tenant = Arc::new(Tenant::open(&self.shared, id, &places)?);
        self.tenants.write().insert(id, Arc::clone(&tenant));
        Ok(tenant)
    }

    pub(super) fn create(&self, scope: &TenantScope, spec: &TenantSpec) -> Result<(), StoreError> {
        let id = scope.tenant();
        if spec.tenant != id {
            return Err(StoreError::UnknownTenant(spec.tenant));
        }
        let data = &self.shared.settings.data;
        if self.shared.examined {
            return Err(StoreError::ReadOnly {
                place: data.display().to_string(),
            });
        }
        if let Some(folder) = &spec.dedicated {
            place(data, id, folder)?;
        }
        Tenant::create(&self.shared, id, &Places::of(data, id)?)?;
        self.tenant(scope).map(|_| ())
    }

    /// The tenants whose making got as far as their keys; making one that did not is repeated.
    pub(super) fn list(&self) -> Result<Vec<TenantId>, StoreError> {
        let found = found(&self.shared.settings.data.join("tenants"))?;
        let mut made = Vec::with_capacity(found.len());
        for tenant in found {
            let places = Places::of(&self.shared.settings.data, tenant)?;
            if Tenant::is_half_made(&self.shared, &places)? {
                tracing::warn!(%tenant, "a tenant whose making was cut short is left out: make it again");
            } else {
                made.push(tenant);
            }
        }
        Ok(made)
    }

    pub(super) fn counted(&self) -> Figures {
        let meters = &self.shared.meters;
        let (commits, failed_commits) = meters.commits();
        let tenants = self.tenants.read();
        let mut figures = Figures {
            kind: "sqlite",
            open_tenants: tenants.len() as u64,
            commits,
            failed_commits,
            batch_units: meters.batch_units(),
            wait_seconds: meters.wait_seconds(),
            sync_seconds: meters.sync_seconds(),
            queue: 0,
            readers_in_use: 0,
            readers: 0,
            looks: 0,
            look_bytes: 0,
            logs: [Log::Changes, Log::Access].map(LogFigures::empty),
        };
        let now = self.shared.clock.monotonic_ns();
        for tenant in tenants.values() {
            figures.queue += tenant.writer.queue();
            for readers in [&tenant.points, &tenant.scans] {
                let (in_use, most) = readers.in_use();
                figures.readers_in_use += in_use;
                figures.readers += most;
            }
            let (looks, bytes) = tenant.journal.size();
            figures.looks += looks;
            figures.look_bytes += bytes;
            for log in &mut figures.logs {
                // An entry has its index when it is committed: none is ever staged.
                log.add(&tenant.writer.meter(log.log).figures(log.log, 0, now));
            }
        }
        figures
    }

    /// Ends all writers after what they accepted; nothing opens again.
    pub(super) fn shut(&self) {
        *self.opening.lock() = true;
        let tenants: Vec<Arc<Tenant>> = self
            .tenants
            .write()
            .drain()
            .map(|(_, tenant)| tenant)
            .collect();
        for tenant in tenants {
            tenant.writer.close();
        }
        self.lock.lock().take();
    }
}

/// The tenants that have a folder or a pointer to one, ascending.
fn found(folder: &Path) -> Result<Vec<TenantId>, StoreError> {
    let failed = |error: std::io::Error| io_error(folder, &error);
    let mut found = Vec::new();
    let items = match std::fs::read_dir(folder) {
        Ok(items) => items,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(failed(error)),
    };
    for item in items {
        let name = item.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        found.extend(
            name.strip_suffix(".place")
                .unwrap_or(&name)
                .parse::<TenantId>()
                .ok(),
        );
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Notes that a tenant lies in a folder of its own.
fn place(data: &Path, tenant: TenantId, folder: &str) -> Result<(), StoreError> {
    let pointer = pointer(data, tenant);
    if pointer.exists() || data.join("tenants").join(tenant.to_string()).exists() {
        return Ok(());
    }
    let folder = data.join(folder);
    let failed = |error: std::io::Error| io_error(&pointer, &error);
    std::fs::create_dir_all(data.join("tenants")).map_err(failed)?;
    std::fs::write(&pointer, folder.display().to_string()).map_err(failed)?;
    File::open(&pointer)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    crate::files::sync_folder(&pointer);
    Ok(())
}
