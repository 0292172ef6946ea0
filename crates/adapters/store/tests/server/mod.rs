//! A PostgreSQL database for a test, with stores over it: one, or several as replicas.

#![expect(clippy::expect_used, reason = "test code outside of test functions")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::{Ids, TenantScope};
use store::keys::FileKeyRing;
use store::postgres::{PostgresSettings, PostgresStore};
use store::{FullText, Store, TenantSpec};
use testkit::postgres::{TestDatabase, fresh_database};

use crate::suite::Bed;
use crate::suite::adversary::{Hand, Sql};
use crate::suite::world::World;

/// The application's role; one for all databases of the cluster.
pub const APPLICATION: &str = "theriac_app";

/// A database, and a folder for what replicas keep outside of it.
pub struct Server {
    pub database: TestDatabase,
    pub folder: tempfile::TempDir,
}

impl Server {
    /// None, with the reason printed, where there is no PostgreSQL.
    pub fn fresh() -> Option<Self> {
        let database = testkit::peers::required(fresh_database())?;
        Some(Self {
            database,
            folder: tempfile::tempdir().expect("a temporary folder"),
        })
    }

    /// Opens a replica by its name; each has a folder of its own, all share the root key.
    pub async fn replica(
        &self,
        ids: Arc<dyn Ids>,
        name: &str,
        window: Duration,
    ) -> Arc<PostgresStore> {
        open(&self.database, self.folder.path(), ids, name, window).await
    }
}

/// Opens a store over a database.
pub async fn open(
    database: &TestDatabase,
    folder: &Path,
    ids: Arc<dyn Ids>,
    name: &str,
    window: Duration,
) -> Arc<PostgresStore> {
    let ring = FileKeyRing::open(&folder.join("root.key"), true, Arc::clone(&ids))
        .expect("the key ring opens");
    let owner = Some(database.connection("postgres"));
    let mut settings = PostgresSettings::new(
        owner,
        database.connection(APPLICATION),
        folder.join(name),
        "test.example",
    );
    settings.access_window = window;
    settings.full_text = FullText::All;
    Arc::new(
        PostgresStore::open(settings, Arc::new(ring), ids)
            .await
            .expect("the store opens"),
    )
}

/// A bed of the suite; the store opened last is closed before it is opened again.
pub struct Placed {
    server: Server,
    dedicated: bool,
    open: Option<Arc<PostgresStore>>,
}

impl Placed {
    pub fn fresh(dedicated: bool) -> Option<Self> {
        Some(Self {
            server: Server::fresh()?,
            dedicated,
            open: None,
        })
    }
}

#[async_trait]
impl Bed for Placed {
    async fn open(&mut self, world: &World, window: Duration) -> Arc<dyn Store> {
        if let Some(open) = self.open.take() {
            open.close().await;
        }
        let store = self
            .server
            .replica(Arc::clone(&world.ids) as _, "replica", window)
            .await;
        if self.dedicated {
            let dedicated = Some(format!("{}_own", self.server.database.name));
            let spec = TenantSpec {
                tenant: world.scope.tenant(),
                dedicated,
            };
            store
                .create_tenant(&world.scope, &spec)
                .await
                .expect("the tenant is made");
        }
        self.open = Some(Arc::clone(&store));
        store
    }
}

impl Placed {
    fn superuser(&self) -> TestDatabase {
        TestDatabase {
            name: "postgres".to_owned(),
            ..self.server.database.clone()
        }
    }
    /// Makes a database out of another, in its place.
    fn copy(&self, from: &str, to: &str) {
        let superuser = self.superuser();
        for sql in [
            format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ('{from}', '{to}')"
            ),
            format!("DROP DATABASE IF EXISTS {to}"),
            format!("CREATE DATABASE {to} TEMPLATE {from}"),
        ] {
            superuser.execute(&sql).expect("copies");
        }
    }
    fn kept(&self, name: &str) -> String {
        format!("{}_{name}", self.server.database.name)
    }
}

#[async_trait]
impl Hand for Placed {
    const ONE_NEWEST: bool = false;

    async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.close().await;
        }
    }

    async fn examine(&mut self, world: &World) -> Arc<dyn Store> {
        let store = self.open(world, Duration::ZERO).await;
        // Whatever waits gets its place; a store that refuses that is looked at as it is.
        for tenant in store.tenants().await.expect("tenants") {
            let scope = identity::system_scope(tenant, identity::SystemTask::Ledger);
            let _ = store.settle(&scope).await;
        }
        store
    }

    fn sql(&self, _: &TenantScope, sql: &Sql) {
        let text = format!("SET search_path TO theriac; {}", sql.postgres);
        self.server.database.execute(&text).expect("runs");
    }

    fn keep(&self, name: &str) {
        self.copy(&self.server.database.name, &self.kept(name));
    }

    fn put_back(&self, name: &str) {
        self.copy(&self.kept(name), &self.server.database.name);
    }

    fn swap(&self, one: &TenantScope, other: &TenantScope) {
        let (one, other) = (one.tenant(), other.tenant());
        let aside = "ffffffff-ffff-ffff-ffff-ffffffffffff";
        let step = |from: &dyn core::fmt::Display, to: &dyn core::fmt::Display| {
            format!(
                "EXECUTE format('UPDATE theriac.%I SET tn = ''{to}'' WHERE tn = ''{from}''', t);"
            )
        };
        let sql = format!(
            "DO $$ DECLARE t text; BEGIN
               FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'theriac' AND tablename <> 'placement' LOOP
                 {} {} {}
               END LOOP; END $$",
            step(&one, &aside),
            step(&other, &one),
            step(&aside, &other)
        );
        self.server.database.execute(&sql).expect("runs");
    }

    fn data(&self) -> PathBuf {
        self.server.folder.path().join("replica")
    }
}
