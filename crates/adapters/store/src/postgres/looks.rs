//! Looks that wait in this process's journal, and how far they were moved: a row per journal and tenant,
//! written in the transaction that stages them, so that each goes in exactly once.

use std::path::Path;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use kernel::{Ids, TenantId};
use tokio_postgres::Error;
use uuid::Uuid;

use super::connect::Database;
use crate::files::io_error;
use crate::journal::{Journal, JournalPlace};
use crate::port::error::StoreError;

const BEGIN: &str = "INSERT INTO journal_place (tn, journal, file, place) VALUES ($1, $2, 0, 0) ON CONFLICT DO NOTHING";
const MOVED: &str = "SELECT file, place FROM journal_place WHERE tn = $1 AND journal = $2";
const LOCK: &str =
    "SELECT file, place FROM journal_place WHERE tn = $1 AND journal = $2 FOR UPDATE";
const MOVE: &str = "UPDATE journal_place SET file = $3, place = $4 WHERE tn = $1 AND journal = $2";

/// A tenant's journal in this process's folder.
pub(super) struct Looks {
    pub(super) journal: Journal,
    tenant: TenantId,
    id: Uuid,
}

impl Looks {
    /// Opens it and reads what a former process left.
    pub(super) async fn open(
        db: &Database,
        tenant: TenantId,
        (data, limit): (&Path, usize),
        ids: &dyn Ids,
    ) -> Result<Arc<Self>, StoreError> {
        let id = journal_id(data, ids)?;
        let folder = data.join("journals").join(tenant.to_string());
        std::fs::create_dir_all(&folder).map_err(|error| io_error(&folder, &error))?;
        let looks = Self {
            journal: Journal::new(&folder, limit),
            tenant,
            id,
        };
        let moved = db
            .query_one(tenant, MOVED, &[&tenant.as_uuid(), &id])
            .await?;
        looks
            .journal
            .recover(moved.map_or_else(JournalPlace::default, |row| place(&row)))?;
        Ok(Arc::new(looks))
    }

    /// How far looks were moved, locked: a commit of unknown outcome has ended when this answers.
    pub(super) async fn moved(&self, transaction: &Transaction<'_>) -> Result<JournalPlace, Error> {
        let tn = self.tenant.as_uuid();
        let statement = transaction.prepare_cached(LOCK).await?;
        if let Some(row) = transaction.query_opt(&statement, &[&tn, &self.id]).await? {
            return Ok(place(&row));
        }
        transaction.execute(BEGIN, &[&tn, &self.id]).await?;
        Ok(JournalPlace::default())
    }

    /// Notes how far they are moved by this transaction.
    pub(super) async fn set_moved(
        &self,
        transaction: &Transaction<'_>,
        to: JournalPlace,
    ) -> Result<(), Error> {
        let statement = transaction.prepare_cached(MOVE).await?;
        let (file, offset) = (to.file as i64, to.offset as i64);
        transaction
            .execute(
                &statement,
                &[&self.tenant.as_uuid(), &self.id, &file, &offset],
            )
            .await
            .map(|_| ())
    }
}

fn place(row: &tokio_postgres::Row) -> JournalPlace {
    JournalPlace {
        file: row.get::<_, i64>(0) as u64,
        offset: row.get::<_, i64>(1) as u64,
    }
}

/// The folder's own id: the place in the database belongs to this folder's journals and no others.
fn journal_id(data: &Path, ids: &dyn Ids) -> Result<Uuid, StoreError> {
    let path = data.join("journal.id");
    match std::fs::read_to_string(&path) {
        Ok(text) => Uuid::try_parse(text.trim()).map_err(|_| StoreError::Damaged {
            place: path.display().to_string(),
            detail: "it holds no id".to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = ids.uuid();
            let fresh = data.join("journal.id.new");
            std::fs::write(&fresh, id.to_string())
                .and_then(|()| std::fs::File::open(&fresh)?.sync_all())
                .and_then(|()| std::fs::rename(&fresh, &path))
                .map_err(|error| io_error(&path, &error))?;
            crate::files::sync_folder(&path);
            Ok(id)
        }
        Err(error) => Err(io_error(&path, &error)),
    }
}
