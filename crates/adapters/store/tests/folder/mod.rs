//! A data folder for a test, with stores over it, and an adversary's hand in it.

#![expect(clippy::expect_used, reason = "test code outside of test functions")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::{Clock, Ids, TenantScope};
use store::FullText;
use store::sqlite::{SqliteSettings, SqliteStore};
use store::{Store, StoreError};

use crate::suite::Bed;
use crate::suite::adversary::{Hand, Sql};
use crate::suite::world::World;

/// A folder; the store opened last is closed before it is opened again.
pub struct Folder {
    folder: tempfile::TempDir,
    open: Option<Arc<SqliteStore>>,
}

impl Folder {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            open: None,
        }
    }
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }
    fn kept(&self, name: &str) -> PathBuf {
        self.folder.path().join("kept").join(name)
    }
}

pub fn settings(data: &Path) -> SqliteSettings {
    SqliteSettings {
        full_text: FullText::All,
        ..SqliteSettings::new(data.to_owned(), "test.example")
    }
}

pub fn open(world: &World, settings: SqliteSettings) -> Result<SqliteStore, StoreError> {
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let ids: Arc<dyn Ids> = Arc::clone(&world.ids) as _;
    SqliteStore::open(settings, clock, ids)
}

pub fn record(data: &Path, scope: &TenantScope) -> PathBuf {
    let tenant = scope.tenant().to_string();
    data.join("tenants").join(tenant).join("record.db")
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for item in std::fs::read_dir(from).expect("a folder") {
        let item = item.expect("an item");
        let target = to.join(item.file_name());
        if item.file_type().expect("its type").is_dir() {
            copy_folder(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).expect("copies");
        }
    }
}

/// Puts a folder in the place of another.
pub fn replace_folder(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).expect("removes");
    }
    copy_folder(from, to);
}

#[async_trait]
impl Bed for Folder {
    async fn open(&mut self, world: &World, window: Duration) -> Arc<dyn Store> {
        self.close().await;
        let mut settings = settings(&self.path());
        settings.access_window = window;
        let store = Arc::new(open(world, settings).expect("the store opens"));
        self.open = Some(Arc::clone(&store));
        store
    }
}

#[async_trait]
impl Hand for Folder {
    const ONE_NEWEST: bool = true;

    async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.close().await;
        }
    }

    async fn examine(&mut self, world: &World) -> Arc<dyn Store> {
        self.close().await;
        let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
        let ids: Arc<dyn Ids> = Arc::clone(&world.ids) as _;
        let store = SqliteStore::examine(settings(&self.path()), clock, ids);
        let store = Arc::new(store.expect("it can be looked at"));
        self.open = Some(Arc::clone(&store));
        store
    }

    fn sql(&self, scope: &TenantScope, sql: &Sql) {
        let record = record(&self.path(), scope);
        let keys = record.with_file_name("keys.db").display().to_string();
        let connection = rusqlite::Connection::open(record).expect("opens");
        connection
            .execute("ATTACH ?1 AS theriac_keys", [keys])
            .expect("attaches");
        connection.execute_batch(sql.sqlite).expect("runs");
    }

    fn keep(&self, name: &str) {
        copy_folder(&self.path().join("tenants"), &self.kept(name));
    }

    fn put_back(&self, name: &str) {
        replace_folder(&self.kept(name), &self.path().join("tenants"));
    }

    fn swap(&self, one: &TenantScope, other: &TenantScope) {
        let (one, other) = (record(&self.path(), one), record(&self.path(), other));
        let aside = one.with_extension("aside");
        std::fs::rename(&one, &aside).expect("moves");
        std::fs::rename(&other, &one).expect("moves");
        std::fs::rename(&aside, &other).expect("moves");
    }

    fn data(&self) -> PathBuf {
        self.path()
    }
}
