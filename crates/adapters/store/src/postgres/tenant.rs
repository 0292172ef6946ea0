//! One tenant, open: its database, keys, writer and sequencer.

use std::sync::Arc;

use ::ledger::SigningKey;
use kernel::{Ids, TenantId};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::connect::Database;
use super::keys::Keyring;
use super::ledger::Sequencer;
use super::looks::Looks;
use super::settings::PostgresSettings;
use super::writer::{Writer, WriterParts};
use crate::fence::Fence;
use crate::keys::{KeyRing, TenantKeys};
use crate::meters::WriteMeters;
use crate::port::error::StoreError;

/// What the store and its tenants share.
pub(super) struct Shared {
    pub(super) settings: PostgresSettings,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) ring: Arc<dyn KeyRing>,
    pub(super) signer: Arc<SigningKey>,
    pub(super) meters: Arc<WriteMeters>,
}

/// An open tenant.
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) db: Arc<Database>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) sequencer: Arc<Sequencer>,
    pub(super) writer: Writer,
    pub(super) looks: Arc<Looks>,
    pub(super) fence: Fence,
    sequencing: Mutex<Option<JoinHandle<()>>>,
}

impl Tenant {
    /// Makes keys and logs of a new tenant; does nothing where they are.
    pub(super) async fn create(
        shared: &Shared,
        db: &Arc<Database>,
        id: TenantId,
    ) -> Result<(), StoreError> {
        if Keyring::open(db, id, shared.ring.as_ref()).await?.is_none() {
            refuse_lost_keys(db, id).await?;
            Keyring::create(db, id, shared.ring.as_ref(), shared.ids.as_ref()).await?;
        }
        Sequencer::create(db, (id, &shared.settings.instance), &shared.signer).await
    }

    /// Opens a tenant: keys, logs against their head files, writer and sequencer.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        db: Arc<Database>,
        id: TenantId,
    ) -> Result<Self, StoreError> {
        let Some(keys) = Keyring::open(&db, id, shared.ring.as_ref()).await? else {
            refuse_lost_keys(&db, id).await?;
            return Err(StoreError::UnknownTenant(id));
        };
        let keyring = Arc::new(keys);
        let settings = &shared.settings;
        let heads = settings.data.join("heads");
        let sequencer = Sequencer::open(
            (id, &settings.instance),
            Arc::clone(&shared.signer),
            Arc::clone(&db),
            Arc::clone(&keyring),
            &heads,
        );
        let sequencer = Arc::new(sequencer.await?);
        let folder = (settings.data.as_path(), settings.access_backlog);
        let looks = Looks::open(&db, id, folder, shared.ids.as_ref()).await?;
        let writer = Writer::start(WriterParts {
            looks: Arc::clone(&looks),
            window: settings.access_window,
            tenant: id,
            db: Arc::clone(&db),
            ids: Arc::clone(&shared.ids),
            keys: Arc::clone(&keyring),
            sequencer: Arc::clone(&sequencer),
            meters: Arc::clone(&shared.meters),
            queue: settings.write_queue,
            batch: settings.batch.max(1),
        });
        let sequencing = Mutex::new(Some(tokio::spawn(Arc::clone(&sequencer).run())));
        Ok(Self {
            id,
            db,
            keyring,
            sequencer,
            writer,
            looks,
            fence: Fence::default(),
            sequencing,
        })
    }

    pub(super) fn keys(&self) -> &TenantKeys {
        &self.keyring.keys
    }

    /// Finishes what was accepted, then ends the tasks.
    pub(super) async fn close(&self) {
        self.writer.close().await;
        self.sequencer.close();
        let sequencing = self.sequencing.lock().take();
        if let Some(sequencing) = sequencing {
            let _ = sequencing.await;
        }
        self.sequencer.sync_heads().await;
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.sequencer.close();
    }
}

/// New keys must not be made where a record of lost ones is.
async fn refuse_lost_keys(db: &Database, id: TenantId) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM log_head WHERE tn = $1 LIMIT 1";
    match db.query_one(id, sql, &[&id.as_uuid()]).await? {
        None => Ok(()),
        Some(_) => Err(StoreError::Key {
            key: format!("schema theriac_keys of tenant {id}"),
        }),
    }
}
