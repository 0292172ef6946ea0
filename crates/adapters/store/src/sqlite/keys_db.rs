//! A tenant's wrapped keys in their own database file, so that a copy of the data alone opens nothing and
//! a destroyed key is in no copy of the data.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::failure::failed;
use super::schema::{KEY_MIGRATIONS, open_examiner, open_writer};
use crate::keys::{Kid, SubjectTag, TENANT_SUBJECT, WrappedDek, WrappedSecret};
use crate::port::error::StoreError;

pub(super) struct KeysDb {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl KeysDb {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open_writer(path, &KEY_MIGRATIONS, 512)?;
        // Destroyed keys are overwritten, not only unlinked.
        connection
            .pragma_update(None, "secure_delete", "ON")
            .map_err(|error| failed(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
        })
    }

    /// Opens it to be read only.
    pub(super) fn examine(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(open_examiner(path, &KEY_MIGRATIONS, 512)?),
        })
    }

    fn run<R>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
        work(&mut self.connection.lock()).map_err(|error| failed(&self.path, error))
    }

    pub(super) fn secrets(&self) -> Result<Vec<WrappedSecret>, StoreError> {
        self.run(|connection| {
            connection
                .prepare_cached("SELECT name, wrapped FROM secret")?
                .query_map([], |row| {
                    Ok(WrappedSecret {
                        name: row.get(0)?,
                        wrapped: row.get(1)?,
                    })
                })?
                .collect()
        })
    }

    /// Stores a new tenant's secrets and its own data key, at once.
    pub(super) fn init(
        &self,
        secrets: &[WrappedSecret],
        dek: &WrappedDek,
    ) -> Result<(), StoreError> {
        self.run(|connection| {
            let transaction = connection.transaction()?;
            for secret in secrets {
                transaction.execute(
                    "INSERT INTO secret (name, wrapped) VALUES (?1, ?2)",
                    params![secret.name, secret.wrapped],
                )?;
            }
            insert(&transaction, dek)?;
            transaction.commit()
        })
    }

    pub(super) fn add(&self, keys: &[WrappedDek]) -> Result<(), StoreError> {
        self.run(|connection| {
            let transaction = connection.transaction()?;
            for dek in keys {
                insert(&transaction, dek)?;
            }
            transaction.commit()
        })
    }

    pub(super) fn tenant_dek(&self) -> Result<Option<WrappedDek>, StoreError> {
        self.by_subject(&TENANT_SUBJECT)
            .map(|found| found.into_iter().next())
    }

    pub(super) fn by_kid(&self, kid: &Kid) -> Result<Option<WrappedDek>, StoreError> {
        self.run(|connection| {
            connection
                .prepare_cached("SELECT kid, subject, wrapped FROM dek WHERE kid = ?1")?
                .query_row([kid.as_slice()], read)
                .optional()
        })
    }

    pub(super) fn by_subject(&self, subject: &SubjectTag) -> Result<Vec<WrappedDek>, StoreError> {
        self.run(|connection| {
            connection
                .prepare_cached("SELECT kid, subject, wrapped FROM dek WHERE subject = ?1")?
                .query_map([subject.as_slice()], read)?
                .collect()
        })
    }

    /// Destroys keys: overwritten in the file, and the write-ahead log that held them is cut off.
    pub(super) fn destroy(&self, kids: &[Kid]) -> Result<(), StoreError> {
        self.run(|connection| {
            let transaction = connection.transaction()?;
            for kid in kids {
                transaction.execute("DELETE FROM dek WHERE kid = ?1", [kid.as_slice()])?;
            }
            transaction.commit()?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
    }

    pub(super) fn copy_into(&self, target: &Path) -> Result<(), StoreError> {
        let target = target.display().to_string();
        self.run(|connection| connection.execute("VACUUM INTO ?1", [&target]).map(|_| ()))
    }
}

fn insert(connection: &Connection, dek: &WrappedDek) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO dek (kid, subject, wrapped) VALUES (?1, ?2, ?3)")?
        .execute(params![
            dek.kid.as_slice(),
            dek.subject.as_slice(),
            dek.wrapped
        ])
        .map(|_| ())
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<WrappedDek> {
    Ok(WrappedDek {
        kid: row.get(0)?,
        subject: row.get(1)?,
        wrapped: row.get(2)?,
    })
}
