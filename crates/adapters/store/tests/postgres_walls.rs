//! What keeps tenants apart and entries as they are in PostgreSQL, read from the catalogue and tried as the
//! application's role.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "test code outside of test functions"
)]

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod server;
#[expect(
    dead_code,
    reason = "the suite's world is shared; not every case is used here"
)]
mod suite;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kernel::TenantId;
use server::{APPLICATION, Server};
use store::postgres::PostgresStore;
use store::{Log, Store, StoreError, TenantSpec};
use suite::world::{World, key, patient};
use tokio_postgres::NoTls;

async fn set_up() -> Option<(Server, World, Arc<PostgresStore>)> {
    let server = Server::fresh()?;
    let world = World::new();
    let store = server
        .replica(Arc::clone(&world.ids) as _, "replica", Duration::ZERO)
        .await;
    world.found(&*store).await;
    world.put(&*store, &[&patient("p", "Wall")]).await.unwrap();
    let look = world.entry(Log::Access, ledger::leaf::Class::Read, Some("p"));
    store.record_access(&world.scope, vec![look]).await.unwrap();
    store.settle(&world.scope).await.unwrap();
    Some((server, world, store))
}

async fn application(server: &Server) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(&server.database.connection(APPLICATION), NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("SET search_path TO theriac, theriac_keys")
        .await
        .unwrap();
    client
}

fn lines(server: &Server, sql: &str) -> Vec<String> {
    server
        .database
        .execute(sql)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

const OURS: &str = "n.nspname IN ('theriac', 'theriac_keys')";

#[tokio::test(flavor = "multi_thread")]
async fn the_tenant_is_first_in_every_key_and_the_wall_stands_around_every_table() {
    let Some((server, _world, store)) = set_up().await else {
        return;
    };
    let tables = lines(
        &server,
        &format!(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS} AND c.relkind = 'r'"
        ),
    );
    assert!(tables.len() >= 20, "{tables:?}");
    let keys = lines(&server, &format!(
        "SELECT i.indexrelid::regclass, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE {OURS}"
    ));
    assert!(keys.len() >= tables.len(), "every table has a key");
    for line in &keys {
        assert!(
            line.ends_with("|tn"),
            "{line} does not begin with the tenant"
        );
    }
    let without_key = lines(&server, &format!(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS} AND c.relkind = 'r'
         AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)"
    ));
    assert_eq!(
        without_key,
        Vec::<String>::new(),
        "tables without a primary key"
    );
    let open = lines(&server, &format!(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS} AND c.relkind = 'r'
         AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
           SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant' AND p.polpermissive AND p.polcmd = '*'))"
    ));
    assert_eq!(open, Vec::<String>::new(), "tables without the wall");
    let policies = lines(
        &server,
        "SELECT schemaname || '.' || tablename FROM pg_policies WHERE policyname <> 'tenant'",
    );
    assert_eq!(
        policies,
        ["theriac.placement"],
        "no other way over the wall"
    );
    let objects = lines(&server, &format!(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS} AND c.relkind NOT IN ('r', 'i', 't')
         UNION ALL SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS}
         UNION ALL SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE {OURS} AND k.contype = 'f'
         UNION ALL SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {OURS}"
    ));
    assert_eq!(
        objects,
        Vec::<String>::new(),
        "no sequences, views, triggers, foreign keys, functions"
    );
    let role = lines(
        &server,
        &format!(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = '{APPLICATION}'"
        ),
    );
    assert_eq!(role, ["f|f|f|f"]);
    let owned = lines(
        &server,
        &format!(
            "SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = '{APPLICATION}'"
        ),
    );
    assert_eq!(owned, Vec::<String>::new(), "the application owns nothing");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_may_only_add_to_versions_and_entries() {
    let Some((server, _world, store)) = set_up().await else {
        return;
    };
    let granted = |privilege: &str| -> BTreeSet<String> {
        let sql = format!(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE {OURS} AND c.relkind = 'r' AND has_table_privilege('{APPLICATION}', c.oid, '{privilege}')"
        );
        lines(&server, &sql).into_iter().collect()
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let working = [
        "res",
        "ix_key",
        "ix_rng",
        "ix_txt",
        "ix_pat",
        "ix_ref",
        "doc",
        "doc_lookup",
        "crit",
        "journal_place",
        "dek",
    ];
    assert_eq!(
        granted("UPDATE"),
        set(&[&working[..], &["log_head"]].concat())
    );
    assert_eq!(
        granted("DELETE"),
        set(&[&working[..], &["log_queue"]].concat())
    );
    for privilege in ["TRUNCATE", "REFERENCES", "TRIGGER"] {
        assert_eq!(granted(privilege), set(&[]), "{privilege}");
    }
    let client = application(&server).await;
    let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(1));
    for table in [
        "ver",
        "log_stage",
        "log_entry",
        "log_tile",
        "log_checkpoint",
        "log_subject",
        "erasure",
        "secret",
    ] {
        for sql in [
            format!("UPDATE {table} SET tn = tn"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let all = format!(
                "BEGIN; SELECT set_config('theriac.tenant', '{tenant}', true); {sql}; COMMIT"
            );
            let refused = client.batch_execute(&all).await.unwrap_err();
            assert_eq!(
                refused.code().map(tokio_postgres::error::SqlState::code),
                Some("42501"),
                "{sql}"
            );
            client.batch_execute("ROLLBACK").await.unwrap();
        }
    }
    for sql in [
        "ALTER TABLE theriac.ver DISABLE ROW LEVEL SECURITY",
        "DROP TABLE theriac.ver",
        "CREATE TABLE theriac.x (a int)",
        "COMMENT ON SCHEMA theriac IS '9'",
    ] {
        assert!(client.batch_execute(sql).await.is_err(), "{sql}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_tenant_a_connection_sees_and_writes_nothing() {
    let Some((server, world, store)) = set_up().await else {
        return;
    };
    let client = application(&server).await;
    let tables = lines(
        &server,
        &format!(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS} AND c.relkind = 'r'"
        ),
    );
    let filled = lines(&server, "SELECT count(*) FROM theriac.ver");
    assert_eq!(filled, ["1"], "a superuser sees what is there");
    let foreign = TenantId::from_uuid(uuid::Uuid::from_u128(2));
    let settings = [
        "SELECT 1".to_owned(),
        "SELECT set_config('theriac.tenant', '', true)".to_owned(),
        format!("SELECT set_config('theriac.tenant', '{foreign}', true)"),
    ];
    for setting in settings {
        for table in &tables {
            client
                .batch_execute(&format!("BEGIN; {setting}"))
                .await
                .unwrap();
            let row = client
                .query_one(&format!("SELECT count(*) FROM {table}"), &[])
                .await
                .unwrap();
            assert_eq!(row.get::<_, i64>(0), 0, "{table} after {setting}");
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        let own = world.scope.tenant();
        let insert = format!(
            "BEGIN; {setting}; INSERT INTO log_subject (tn, log, s, idx) VALUES ('{own}', 1, 1, 1)"
        );
        let refused = client.batch_execute(&insert).await.unwrap_err();
        assert_eq!(
            refused.code().map(tokio_postgres::error::SqlState::code),
            Some("42501"),
            "{setting}"
        );
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    // The instance sees where tenants lie and nothing else of them.
    let instance = TenantId::INSTANCE;
    client
        .batch_execute(&format!(
            "BEGIN; SELECT set_config('theriac.tenant', '{instance}', true)"
        ))
        .await
        .unwrap();
    for table in &tables {
        let row = client
            .query_one(&format!("SELECT count(*) FROM {table}"), &[])
            .await
            .unwrap();
        let expected = i64::from(table == "theriac.placement");
        assert_eq!(row.get::<_, i64>(0), expected, "{table} for the instance");
    }
    client.batch_execute("ROLLBACK").await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_could_look_over_the_wall_is_refused() {
    let Some((server, world, store)) = set_up().await else {
        return;
    };
    store.close().await;
    let ring = store::keys::FileKeyRing::open(
        &server.folder.path().join("root.key"),
        false,
        Arc::clone(&world.ids) as _,
    )
    .unwrap();
    let superuser = server.database.connection("postgres");
    let settings = store::postgres::PostgresSettings::new(
        None,
        superuser,
        server.folder.path().join("x"),
        "test.example",
    );
    let refused = PostgresStore::open(settings, Arc::new(ring), Arc::clone(&world.ids) as _)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, StoreError::Engine(text) if text.contains("row-level security")),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_of_the_future_lost_keys_and_lost_servers_are_named() {
    let Some((server, world, store)) = set_up().await else {
        return;
    };
    store.close().await;
    let open = |application: String| {
        let ring = store::keys::FileKeyRing::open(
            &server.folder.path().join("root.key"),
            false,
            Arc::clone(&world.ids) as _,
        )
        .unwrap();
        let settings = store::postgres::PostgresSettings::new(
            None,
            application,
            server.folder.path().join("y"),
            "test.example",
        );
        PostgresStore::open(settings, Arc::new(ring), Arc::clone(&world.ids) as _)
    };
    server
        .database
        .execute("COMMENT ON SCHEMA theriac IS '7'")
        .unwrap();
    let refused = open(server.database.connection(APPLICATION))
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::NewerSchema {
                found: 7,
                known: 2,
                ..
            }
        ),
        "{refused}"
    );
    server
        .database
        .execute("COMMENT ON SCHEMA theriac IS '2'")
        .unwrap();
    let refused = open(format!(
        "host=/nowhere user=a password=canary dbname={}",
        server.database.name
    ))
    .await
    .unwrap_err();
    assert!(
        matches!(refused, StoreError::Unreachable { .. })
            && !refused.to_string().contains("canary"),
        "{refused}"
    );
    // A record without its keys gets no new ones.
    server
        .database
        .execute("DELETE FROM theriac_keys.secret; DELETE FROM theriac_keys.dek")
        .unwrap();
    let store = open(server.database.connection(APPLICATION)).await.unwrap();
    let refused = store
        .read(&world.scope, &key("Patient/p"))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Key { .. }), "{refused}");
    let spec = TenantSpec {
        tenant: world.scope.tenant(),
        dedicated: None,
    };
    let refused = store.create_tenant(&world.scope, &spec).await.unwrap_err();
    assert!(matches!(refused, StoreError::Key { .. }), "{refused}");
    store.close().await;
    let closed = store
        .read(&world.scope, &key("Patient/p"))
        .await
        .unwrap_err();
    assert!(matches!(closed, StoreError::Closed), "{closed}");
}
