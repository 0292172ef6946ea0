//! The SQLite schema, its migrations and how connections are opened. Migrations only go forward: each
//! entry of [`MIGRATIONS`] lifts the database by one version and is never changed after a release.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::failed;
use super::functions;
use crate::port::error::StoreError;

/// One step per schema version.
pub(super) const MIGRATIONS: [&str; 2] =
    [include_str!("record-1.sql"), include_str!("record-2.sql")];
/// The same for the file of wrapped keys.
pub(super) const KEY_MIGRATIONS: [&str; 1] = [include_str!("keys-1.sql")];

/// How long the engine waits for a lock.
pub(super) const BUSY: Duration = Duration::from_secs(10);
const STATEMENTS: usize = 128;
/// What the file of the write-ahead log keeps when the log begins anew.
const LOG_BYTES: i64 = 64 << 20;

/// Opens a database for writing, makes it where it is missing and allowed, and migrates it.
pub(super) fn open_writer(
    path: &Path,
    migrations: &[&str],
    cache_kib: u32,
) -> Result<Connection, StoreError> {
    check_file(path)?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| failed(path, error))?;
    let prepare = || -> rusqlite::Result<u32> {
        functions::add(&connection)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        stable_plans(&connection)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    };
    let version = prepare().map_err(|error| failed(path, error))?;
    migrate(&connection, path, migrations, version)?;
    Ok(connection)
}

/// Opens a database for reading only.
pub(super) fn open_reader(path: &Path, cache_kib: u32) -> Result<Connection, StoreError> {
    read_only(path, OpenFlags::empty(), cache_kib).map_err(|error| failed(path, error))
}

fn read_only(
    name: impl AsRef<Path>,
    how: OpenFlags,
    cache_kib: u32,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | how;
    let connection = Connection::open_with_flags(name, flags)?;
    functions::add(&connection)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    Ok(connection)
}

/// Opens a database that is only looked at, also on a medium that cannot be written. Refuses newer schemas.
pub(super) fn open_examiner(
    path: &Path,
    migrations: &[&str],
    cache_kib: u32,
) -> Result<Connection, StoreError> {
    check_file(path)?;
    let connection = match open_reader(path, cache_kib) {
        // The shared memory beside it cannot be made. Nobody writes here, so none is needed.
        Err(StoreError::ReadOnly { .. }) if !has_wal(path) => {
            read_only(immutable(path), OpenFlags::SQLITE_OPEN_URI, cache_kib)
                .map_err(|error| failed(path, error))?
        }
        opened => opened?,
    };
    let (found, known) = (
        connection.pragma_query_value(None, "user_version", |row| row.get(0)),
        migrations.len() as u32,
    );
    match found.map_err(|error| failed(path, error))? {
        found if found > known => Err(StoreError::NewerSchema {
            place: path.display().to_string(),
            found,
            known,
        }),
        _ => Ok(connection),
    }
}

/// The name of a database that does not change while it is open.
fn immutable(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Whether something waits in the write-ahead log.
fn has_wal(path: &Path) -> bool {
    let wal = std::path::PathBuf::from(format!("{}-wal", path.display()));
    std::fs::metadata(wal).is_ok_and(|wal| wal.len() > 0)
}

/// Plans that do not depend on bound values: otherwise a statement with another limit is parsed again.
fn stable_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn migrate(
    connection: &Connection,
    path: &Path,
    migrations: &[&str],
    found: u32,
) -> Result<(), StoreError> {
    let known = migrations.len() as u32;
    if found > known {
        return Err(StoreError::NewerSchema {
            place: path.display().to_string(),
            found,
            known,
        });
    }
    for (step, sql) in migrations.iter().enumerate().skip(found as usize) {
        let sql = sql.replace("{links}", &crate::index::link_list());
        let script = format!(
            "BEGIN IMMEDIATE; {sql}; PRAGMA user_version = {}; COMMIT;",
            step + 1
        );
        if let Err(error) = connection.execute_batch(&script) {
            let _ = connection.execute_batch("ROLLBACK");
            return Err(failed(path, error));
        }
    }
    Ok(())
}

/// Refuses a file that cannot be a whole database, before the engine touches it.
fn check_file(path: &Path) -> Result<(), StoreError> {
    use std::io::Read as _;
    let damaged = |detail: &str| StoreError::Damaged {
        place: path.display().to_string(),
        detail: detail.to_owned(),
    };
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(crate::files::io_error(path, &error)),
    };
    let length = file
        .metadata()
        .map_err(|error| crate::files::io_error(path, &error))?
        .len();
    if length == 0 {
        // A crash between making the file and writing its first page; nothing was ever acknowledged.
        return Ok(());
    }
    let mut header = [0u8; 100];
    file.read_exact(&mut header)
        .map_err(|_| damaged("it is shorter than a database header"))?;
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(damaged("it has no database header"));
    }
    let number = |at: usize, len: usize| {
        header
            .get(at..at + len)
            .unwrap_or_default()
            .iter()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let page = match number(16, 2) {
        1 => 65_536,
        size => size,
    };
    if !has_wal(path) && length < number(28, 4) * page {
        return Err(damaged("it was cut off"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_an_older_database_are_there_by_resource() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.db");
        let link = (1..u16::MAX).find(|p| crate::index::is_link(*p)).unwrap();
        let other = (1..u16::MAX).find(|p| !crate::index::is_link(*p)).unwrap();
        let old = open_writer(&path, &MIGRATIONS[..1], 1024).unwrap();
        for (p, v, rid) in [(link, 5, 1), (link, 6, 1), (other, 7, 1), (link, 5, 2)] {
            old.execute(
                "INSERT INTO ix_key (p, v, rid) VALUES (?1, ?2, ?3)",
                (p, v, rid),
            )
            .unwrap();
        }
        drop(old);
        let new = open_writer(&path, &MIGRATIONS, 1024).unwrap();
        let mut statement = new
            .prepare("SELECT rid, v FROM ix_ref WHERE p = ?1")
            .unwrap();
        let rows = statement
            .query_map([link], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let rows: Vec<(i64, i64)> = rows.map(Result::unwrap).collect();
        assert_eq!(rows, [(1, 5), (1, 6), (2, 5)]);
        let all: i64 = new
            .query_row("SELECT count(*) FROM ix_ref", [], |row| row.get(0))
            .unwrap();
        assert_eq!(all, 3);
    }
}
