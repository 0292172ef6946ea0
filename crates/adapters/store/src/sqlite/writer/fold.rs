//! Folding the write-ahead log into the database. Most of it happens on a thread of its own while the
//! writer goes on committing; the writer folds the little that came meanwhile, after which the log begins
//! anew. Done by the writer alone it would hold up every request of that moment. Must not change the
//! record.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

/// The log is folded when it has so many pages of 4 KiB.
const FROM: u32 = 4000;
/// With so many the writer waits: the disk is slower than what is written.
const MOST: u32 = 16 * FROM;

thread_local! {
    // The engine's hook takes a plain function; it runs on the thread that commits, the writer's.
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

/// What a writer knows of its log.
pub(super) struct Fold {
    path: PathBuf,
    running: Option<JoinHandle<()>>,
    /// Folded from this many pages on; more than [`FROM`] while a reader keeps old pages in use.
    from: u32,
}

impl Fold {
    /// Of the database at `path`, opened for writing on this thread or another.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            running: None,
            from: FROM,
        }
    }

    /// Counts the log's pages from now on, in place of the engine's own folding. On the writer's thread.
    pub(super) fn watch(connection: &Connection) {
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(u32::try_from(pages).unwrap_or_default());
            Ok(())
        }));
    }

    /// After each commit.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = PAGES.get();
        if pages < FROM {
            self.from = FROM;
        }
        match self.running.take() {
            None if pages >= self.from => self.begin(connection),
            Some(running) if running.is_finished() || pages >= MOST => {
                let _ = running.join();
                fold(connection, &self.path);
                self.from = pages.saturating_add(FROM);
            }
            running => self.running = running,
        }
    }

    fn begin(&mut self, connection: &Connection) {
        let path = self.path.clone();
        let beside = std::thread::Builder::new()
            .name("fold".to_owned())
            .spawn(move || {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                match Connection::open_with_flags(&path, flags) {
                    Ok(own) => fold(&own, &path),
                    Err(error) => unfolded(&path, &error),
                }
            });
        match beside {
            Ok(running) => self.running = Some(running),
            Err(_) => fold(connection, &self.path),
        }
    }

    /// Waits for what is under way.
    pub(super) fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

fn fold(connection: &Connection, path: &Path) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        unfolded(path, &error);
    }
}

/// Nothing is lost by it: the log grows until it can be folded.
fn unfolded(path: &Path, error: &rusqlite::Error) {
    tracing::warn!(database = %path.display(), %error, "the write-ahead log was not folded");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_stays_small_while_much_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection.execute_batch("CREATE TABLE t (b BLOB)").unwrap();
        Fold::watch(&connection);
        let mut fold = Fold::new(&path);
        let body = vec![7u8; 400 * 4096];
        let mut folds = 0;
        for _ in 0..60 {
            connection
                .execute("INSERT INTO t VALUES (?1)", [&body])
                .unwrap();
            let running = fold.running.is_some();
            fold.after_commit(&connection);
            folds += u32::from(running && fold.running.is_none());
            // What runs beside is given its time: the test is about the order, not the speed.
            while fold
                .running
                .as_ref()
                .is_some_and(|running| !running.is_finished())
            {
                std::thread::yield_now();
            }
        }
        fold.finish();
        assert!(folds >= 4, "{folds}");
        let log = std::fs::metadata(folder.path().join("record.db-wal"))
            .unwrap()
            .len();
        assert!(log < 60 * 400 * 4096 / 2, "{log}");
    }
}
