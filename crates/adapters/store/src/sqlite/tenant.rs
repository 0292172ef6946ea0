//! One tenant, open: its keys, readers, writer and access journal, and what all of them share.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::{Clock, Ids, LogicalId, TenantId};
use parking_lot::RwLock;

use super::erased::ErasedList;
use super::keys_db::KeysDb;
use super::readers::{ReadError, Readers};
use super::recent::Recent;
use super::settings::SqliteSettings;
use super::writer::{Writer, WriterParts};
use crate::fence::Fence;
use crate::journal::Journal;
use crate::keys::{Dek, KeyRing, Kid, SubjectTag, TenantKeys, WrappedDek};
use crate::meters::WriteMeters;
use crate::port::error::StoreError;
use crate::prepare::DataKeys;

/// What the store and its tenants share.
pub(super) struct Shared {
    pub(super) settings: SqliteSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) ring: Arc<dyn KeyRing>,
    pub(super) signer: ::ledger::SigningKey,
    pub(super) erased: ErasedList,
    /// Nothing may be written, repaired or made: somebody looks at what is there.
    pub(super) examined: bool,
    pub(super) meters: WriteMeters,
}

/// An open tenant.
pub(super) struct Tenant {
    pub(super) shared: Arc<Shared>,
    pub(super) sealing: Arc<Sealing>,
    pub(super) points: Readers,
    pub(super) scans: Readers,
    pub(super) recent: Arc<Recent>,
    pub(super) writer: Writer,
    pub(super) journal: Arc<Journal>,
    pub(super) fence: Fence,
}

/// A tenant's keys with the file they lie in.
pub(super) struct Sealing {
    pub(super) keys: TenantKeys,
    pub(super) db: KeysDb,
    pub(super) erased: RwLock<HashSet<Kid>>,
}

impl Sealing {
    /// Whether a data key was destroyed.
    pub(super) fn is_destroyed(&self, kid: &Kid) -> bool {
        self.erased.read().contains(kid)
    }

    /// A data key; `None` where it was destroyed.
    pub(super) fn dek(&self, kid: &Kid) -> Result<Option<Arc<Dek>>, StoreError> {
        if self.is_destroyed(kid) {
            return Ok(None);
        }
        if let Some(dek) = self.keys.by_kid(kid) {
            return Ok(Some(dek));
        }
        if let Some(stored) = self.db.by_kid(kid)? {
            return self.admit(&stored);
        }
        // An erasure may have ended between the two looks.
        if self.is_destroyed(kid) {
            return Ok(None);
        }
        Err(StoreError::Key {
            key: uuid::Uuid::from_bytes(*kid).to_string(),
        })
    }

    /// Opens a stored data key, unless it is destroyed. Looks again after it is in the cache: an erasure
    /// meanwhile has emptied the cache before, not after.
    fn admit(&self, stored: &WrappedDek) -> Result<Option<Arc<Dek>>, StoreError> {
        let dek = self.keys.admit(stored)?;
        if self.is_destroyed(&stored.kid) {
            self.keys.forget(&stored.subject, &[stored.kid]);
            return Ok(None);
        }
        Ok(Some(dek))
    }

    /// A patient's data key, from memory or storage.
    fn of_subject(&self, tag: &SubjectTag) -> Result<Option<Arc<Dek>>, StoreError> {
        if let Some(dek) = self.keys.by_subject(tag) {
            if !self.is_destroyed(&dek.kid()) {
                return Ok(Some(dek));
            }
            self.keys.forget(tag, &[dek.kid()]);
        }
        for stored in self.db.by_subject(tag)? {
            if let Some(dek) = self.admit(&stored)? {
                return Ok(Some(dek));
            }
        }
        Ok(None)
    }

    /// The data keys of patients; where there is none, `ids` makes one, or it is left out.
    pub(super) fn of_subjects<'p>(
        &self,
        patients: impl Iterator<Item = &'p LogicalId>,
        ids: Option<&dyn Ids>,
        into: &mut DataKeys,
    ) -> Result<(), StoreError> {
        for patient in patients {
            let tag = self.keys.subject_tag(patient);
            if into.contains_key(&tag) {
                continue;
            }
            let dek = match (self.of_subject(&tag)?, ids) {
                (Some(dek), _) => Some(dek),
                (None, Some(ids)) => Some(self.keys.create(tag, ids)?),
                (None, None) => None,
            };
            // What is not on disk yet must not seal a look: the look may be on disk first.
            if let Some(dek) = dek.filter(|dek| ids.is_some() || dek.is_durable()) {
                into.insert(tag, dek);
            }
        }
        Ok(())
    }
}

fn keys_db(shared: &Shared, places: &Places) -> Result<KeysDb, StoreError> {
    if shared.examined {
        KeysDb::examine(&places.keys())
    } else {
        KeysDb::open(&places.keys())
    }
}

/// The keys that the record says are destroyed.
fn destroyed(connection: &rusqlite::Connection) -> Result<Vec<Kid>, ReadError> {
    Ok(connection
        .prepare("SELECT kid FROM erasure")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}

/// Where a tenant's files are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) folder: PathBuf,
    pub(super) heads: PathBuf,
}

impl Places {
    pub(super) fn of(data: &Path, tenant: TenantId) -> Result<Self, StoreError> {
        let folder = data.join("tenants").join(tenant.to_string());
        let pointer = pointer(data, tenant);
        let folder = match std::fs::read_to_string(&pointer) {
            Ok(text) => PathBuf::from(text.trim()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => folder,
            Err(error) => return Err(crate::files::io_error(&pointer, &error)),
        };
        Ok(Self {
            folder,
            heads: data.join("heads"),
        })
    }
    pub(super) fn record(&self) -> PathBuf {
        self.folder.join("record.db")
    }
    pub(super) fn keys(&self) -> PathBuf {
        self.folder.join("keys.db")
    }
}

/// The file that says where a tenant in a folder of its own lies.
pub(super) fn pointer(data: &Path, tenant: TenantId) -> PathBuf {
    data.join("tenants").join(format!("{tenant}.place"))
}

impl Tenant {
    /// Makes the keys of a new tenant; does nothing when they are there.
    pub(super) fn create(
        shared: &Shared,
        tenant: TenantId,
        places: &Places,
    ) -> Result<(), StoreError> {
        std::fs::create_dir_all(&places.folder)
            .map_err(|error| crate::files::io_error(&places.folder, &error))?;
        let keys = KeysDb::open(&places.keys())?;
        if keys.tenant_dek()?.is_none() {
            if places.record().exists() {
                return Err(StoreError::Key {
                    key: format!("keys.db of tenant {tenant}"),
                });
            }
            let (secrets, dek) =
                TenantKeys::generate(tenant, shared.ring.as_ref(), shared.ids.as_ref())?;
            keys.init(&secrets, &dek)?;
        }
        crate::files::sync_folder(&places.keys());
        Ok(())
    }

    /// Whether making the tenant was cut short: no key was stored yet, so nothing can be there that needs
    /// one. A record without keys is no such case: its keys were lost.
    pub(super) fn is_half_made(shared: &Shared, places: &Places) -> Result<bool, StoreError> {
        if places.record().exists() {
            return Ok(false);
        }
        if !places.keys().exists() {
            return Ok(true);
        }
        Ok(keys_db(shared, places)?.tenant_dek()?.is_none())
    }

    /// Opens a tenant: keys, erasures to repeat, logs against their head files, journal, writer thread.
    pub(super) fn open(
        shared: &Arc<Shared>,
        tenant: TenantId,
        places: &Places,
    ) -> Result<Self, StoreError> {
        if !places.keys().exists() {
            return Err(if places.record().exists() {
                StoreError::Key {
                    key: format!("keys.db of tenant {tenant}"),
                }
            } else {
                StoreError::UnknownTenant(tenant)
            });
        }
        let db = keys_db(shared, places)?;
        let secrets = db.secrets()?;
        let Some(tenant_dek) = db.tenant_dek()? else {
            return Err(StoreError::Key {
                key: format!("data key of tenant {tenant}"),
            });
        };
        let keys = TenantKeys::open(tenant, shared.ring.as_ref(), &secrets, &tenant_dek)?;
        let keyring = Arc::new(Sealing {
            keys,
            db,
            erased: RwLock::new(shared.erased.of_tenant(tenant)),
        });
        let journal = Arc::new(Journal::new(&places.folder, shared.settings.access_backlog));
        let record = places.record();
        let readers = || Readers::new(&record, shared.examined);
        let (points, scans) = (readers(), readers());
        // What is examined is read as it lies.
        let recent_kib = if shared.examined {
            0
        } else {
            shared.settings.recent_kib
        };
        let recent = Arc::new(Recent::new(recent_kib));
        let writer = if shared.examined {
            keyring.erased.write().extend(points.run(destroyed)?);
            Writer::none(shared, &record)
        } else {
            Writer::start(WriterParts {
                shared: Arc::clone(shared),
                keyring: Arc::clone(&keyring),
                journal: Arc::clone(&journal),
                recent: Arc::clone(&recent),
                tenant,
                places: places.clone(),
            })?
        };
        Ok(Self {
            shared: Arc::clone(shared),
            sealing: keyring,
            points,
            scans,
            recent,
            writer,
            journal,
            fence: Fence::default(),
        })
    }

    pub(super) fn keys(&self) -> &TenantKeys {
        &self.sealing.keys
    }
}
