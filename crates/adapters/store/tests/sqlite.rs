//! The conformance suite on SQLite.

#![expect(clippy::expect_used, reason = "test code outside of test functions")]

mod suite;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::{Clock, Ids};
use store::Store;
use store::sqlite::{SqliteSettings, SqliteStore};
use suite::Bed;
use suite::world::World;

/// A folder; the store opened last is closed before it is opened again.
struct Folder {
    folder: tempfile::TempDir,
    open: Option<Arc<SqliteStore>>,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            open: None,
        }
    }
    fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

#[async_trait]
impl Bed for Folder {
    async fn open(&mut self, world: &World, window: Duration) -> Arc<dyn Store> {
        if let Some(open) = self.open.take() {
            open.close().await;
            drop(open);
        }
        let mut settings = SqliteSettings::new(self.path(), "test.example");
        settings.access_window = window;
        let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
        let ids: Arc<dyn Ids> = Arc::clone(&world.ids) as _;
        let store = Arc::new(SqliteStore::open(settings, clock, ids).expect("the store opens"));
        self.open = Some(Arc::clone(&store));
        store
    }
}

conformance!(Folder::new());
