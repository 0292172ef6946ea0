//! TLS to a real PostgreSQL: each `sslmode` against a server that offers TLS, one that shows another name or
//! another authority's certificate, and one that offers none.

#![expect(clippy::expect_used, reason = "test code outside of test functions")]

use std::path::Path;
use std::sync::Arc;

use kernel::{Clock, Ids};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use store::StoreError;
use store::keys::FileKeyRing;
use store::postgres::{PostgresSettings, PostgresStore};
use testkit::clock::FixedClock;
use testkit::ids::SeededIds;
use testkit::postgres::TlsCluster;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut about = CertificateParams::new(Vec::new()).expect("parameters");
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = about.self_signed(&key).expect("a certificate").pem();
        Self {
            pem,
            issuer: Issuer::new(about, key),
        }
    }

    /// Certificate and key of a server of this name.
    fn server(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let about = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = about.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// Opens a store with what a connection string says beyond host and database, and closes it.
async fn open(cluster: &TlsCluster, folder: &Path, more: &str) -> Result<(), StoreError> {
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::default());
    let ids: Arc<dyn Ids> = Arc::new(SeededIds::new(1, clock));
    let ring = FileKeyRing::open(&folder.join("root.key"), true, Arc::clone(&ids))?;
    let connection = |user: &str| {
        format!(
            "host=localhost port={} user={user} dbname=t {more}",
            cluster.port
        )
    };
    // Sessions of a store closed before may take a moment to end.
    for _ in 0..100 {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'theriac'";
        if cluster.execute(count).expect("psql runs").trim() == "0" {
            break;
        }
        tokio::time::sleep(core::time::Duration::from_millis(50)).await;
    }
    let settings = PostgresSettings::new(
        Some(connection("postgres")),
        connection("theriac_app"),
        folder.join("data"),
        "test.example",
    );
    let store = PostgresStore::open(settings, Arc::new(ring), ids).await?;
    // What the pool opens asks for the same as what migrated.
    let listed = store::Store::tenants(&store).await;
    let sessions = cluster
        .execute(
            "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
             WHERE a.application_name = 'theriac' AND a.client_addr IS NOT NULL",
        )
        .expect("psql runs");
    store::Store::close(&store).await;
    listed?;
    let encrypted = !more.contains("disable") && server_offers(cluster);
    assert_eq!(sessions.trim() == "t", encrypted, "{more}: {sessions}");
    Ok(())
}

fn server_offers(cluster: &TlsCluster) -> bool {
    cluster.execute("SHOW ssl").expect("psql runs").trim() == "on"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_what_was_asked_for_or_an_error() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.server("localhost");
    let Some(cluster) = testkit::peers::required(TlsCluster::start(&certificate, &key)) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).expect("a file");
        path.display().to_string()
    };
    let (root, foreign) = (file("root.pem", &ours.pem), file("other.pem", &other.pem));
    cluster.execute("CREATE DATABASE t").expect("a database");
    let works = [
        String::new(),
        "sslmode=disable".to_owned(),
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=require sslrootcert={root}"),
        format!("sslmode=verify-ca sslrootcert={root}"),
        format!("sslmode=verify-full sslrootcert={root}"),
    ];
    for more in &works {
        let opened = open(&cluster, folder.path(), more).await;
        assert!(opened.is_ok(), "{more}: {opened:?}");
    }
    let refused = |more: String| {
        let (cluster, folder) = (&cluster, folder.path());
        async move {
            let error = open(cluster, folder, &more)
                .await
                .expect_err("it is refused");
            let told = error.to_string();
            assert!(
                matches!(error, StoreError::Unreachable { .. }) && told.contains("TLS"),
                "{more}: {told}"
            );
        }
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        refused(format!("sslmode={mode} sslrootcert={foreign}")).await;
    }
    // Another name on the certificate.
    let (certificate, key) = ours.server("elsewhere.example");
    cluster.replace(&certificate, &key).expect("it reloads");
    let opened = open(
        &cluster,
        folder.path(),
        &format!("sslmode=verify-ca sslrootcert={root}"),
    )
    .await;
    assert!(opened.is_ok(), "{opened:?}");
    refused(format!("sslmode=verify-full sslrootcert={root}")).await;
    // A server, or somebody between, that says it has no TLS.
    cluster.set("ssl", "off").expect("it reloads");
    for mode in ["require", "verify-ca", "verify-full"] {
        refused(format!("sslmode={mode} sslrootcert={root}")).await;
    }
    let opened = open(&cluster, folder.path(), "sslmode=prefer").await;
    assert!(opened.is_ok(), "{opened:?}");
}
