//! Folding the write-ahead log into the database. Most of it happens on a thread of its own while the
//! writer goes on committing; the writer folds the little that came meanwhile and sees to it that the log
//! begins anew. Done by the writer alone it would hold up every request of that moment. Must not change the
//! record.
//!
//! A log begins anew only in a moment in which all of it is folded and nobody reads from it. Where searches
//! follow each other without a gap such a moment never comes by itself, and the log grows without bound:
//! the writer makes it, by waiting for those who read while it commits nothing. Whoever begins to read
//! meanwhile finds everything in the database and holds up nothing.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::schema::BUSY;

/// The log is folded when it has so many pages of 4 KiB.
const FROM: u32 = 4000;
/// With so many the writer waits: the disk is slower than what is written.
const MOST: u32 = 16 * FROM;
/// How long the writer waits for readers so that the log begins anew.
const MOMENT: Duration = Duration::from_millis(10);
/// The same once the log has [`MOST`] pages. Only a copy of a whole record reads for longer than a few of
/// these: the log grows until that is over.
const WHILE: Duration = Duration::from_millis(250);

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
        match self.running.take() {
            None if pages >= self.from => self.begin(connection),
            Some(running) if running.is_finished() || pages >= MOST => {
                let _ = running.join();
                let patience = if pages < MOST { MOMENT } else { WHILE };
                let anew = begin_anew(connection, &self.path, patience);
                // Not to be learnt from the next count: a large transaction alone has more than enough.
                self.from = if anew { 0 } else { pages }.saturating_add(FROM);
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

/// Folds the rest and waits until nobody reads from the log any more; answers whether it begins anew. Where that takes too long the log is
/// folded as far as it goes, and grows.
fn begin_anew(connection: &Connection, path: &Path, patience: Duration) -> bool {
    let folded = connection.busy_timeout(patience).and_then(|()| {
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
            row.get::<_, bool>(0)
        })
    });
    if let Err(error) = connection.busy_timeout(BUSY) {
        unfolded(path, &error);
    }
    match folded {
        Ok(busy) => !busy,
        Err(error) => {
            unfolded(path, &error);
            false
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
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn database(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection
            .pragma_update(None, "synchronous", "OFF")
            .unwrap();
        connection.execute_batch("CREATE TABLE t (b BLOB)").unwrap();
        Fold::watch(&connection);
        connection
    }

    /// Reads without a gap: the next read begins before the one before ends.
    fn read_without_a_gap(path: &Path, stop: &AtomicBool) {
        let open = |_| Connection::open(path).unwrap();
        let readers = [0, 1].map(open);
        let begin = |reader: &Connection| {
            reader
                .execute_batch("BEGIN; SELECT count(*) FROM t")
                .unwrap();
        };
        begin(&readers[0]);
        let mut at = 0;
        while !stop.load(Ordering::Relaxed) {
            begin(&readers[1 - at]);
            readers[at].execute_batch("COMMIT").unwrap();
            at = 1 - at;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_log_begins_anew_while_there_is_always_somebody_who_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.db");
        let connection = database(&path);
        let stop = AtomicBool::new(false);
        let most = std::thread::scope(|scope| {
            scope.spawn(|| read_without_a_gap(&path, &stop));
            let mut fold = Fold::new(&path);
            let body = vec![7u8; 1000 * 4096];
            let mut most = 0;
            // Three times as much as the log may hold before the writer insists.
            for _ in 0..3 * MOST / 1000 {
                connection
                    .execute("INSERT INTO t VALUES (?1)", [&body])
                    .unwrap();
                most = most.max(PAGES.get());
                fold.after_commit(&connection);
                connection.execute("DELETE FROM t", []).unwrap();
                fold.after_commit(&connection);
            }
            fold.finish();
            stop.store(true, Ordering::Relaxed);
            most
        });
        assert!(most < MOST + 2 * FROM, "{most} pages");
    }

    #[test]
    fn the_log_holds_a_few_large_transactions_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.db");
        let connection = database(&path);
        let mut fold = Fold::new(&path);
        let body = vec![7u8; (FROM as usize + 1000) * 4096];
        let mut most = 0;
        for _ in 0..12 {
            connection
                .execute("INSERT INTO t VALUES (?1)", [&body])
                .unwrap();
            most = most.max(PAGES.get());
            fold.after_commit(&connection);
            // What runs beside is given its time.
            while fold.running.as_ref().is_some_and(|it| !it.is_finished()) {
                std::thread::yield_now();
            }
            connection.execute("DELETE FROM t", []).unwrap();
            fold.after_commit(&connection);
        }
        fold.finish();
        assert!(most < 4 * FROM, "{most} pages");
    }

    #[test]
    fn the_log_stays_small_while_much_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.db");
        let connection = database(&path);
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
