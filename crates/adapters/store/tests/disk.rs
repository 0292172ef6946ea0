//! Disks that are full or cannot be written: a small file system of its own, mounted for a child process
//! alone. Refused with its remedy, nothing acknowledged is lost, nothing is half written, and when there is
//! room again writes go on.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod folder;
#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod server;
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kernel::{Categorised as _, Category};
use ledger::leaf::Class;
use server::Server;
use store::sqlite::SqliteStore;
use store::{CommitError, Log, Store, StoreError};
use suite::adversary::{assert_sound, verify_open};
use suite::world::{World, key, observation, patient};
use testkit::peers::{PeerMissing, required, setting};

const DISK: &str = "THERIAC_SMALL_DISK";

/// The small disk, in the child process.
fn disk() -> Option<PathBuf> {
    setting(DISK).map(PathBuf::from)
}

/// Runs a test of this file again in a child process that has a file system of `megabytes` for itself.
/// `as_root`: user ids must be the real ones, because a server of its own user takes part.
fn on_a_small_disk(test: &str, megabytes: u32, as_root: bool) {
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let Some(unshare) = required(namespace(as_root)) else {
        return;
    };
    let script = format!(
        "mount -t tmpfs -o size={megabytes}m,mode=0777 none '{}' && exec \"$0\" \"$@\"",
        disk.display()
    );
    let status = Command::new("unshare")
        .args([unshare, "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(DISK, &disk)
        .status()
        .unwrap();
    assert!(status.success(), "{test} on a small disk: {status}");
}

/// How a process gets a mount table of its own here.
fn namespace(as_root: bool) -> Result<&'static str, PeerMissing> {
    let tries: &[&str] = if as_root { &["-m"] } else { &["-rm", "-m"] };
    let mut said = String::new();
    for flags in tries {
        let script = "mount -t tmpfs -o size=1m none /mnt";
        match Command::new("unshare")
            .args([flags, "sh", "-c", script])
            .output()
        {
            Ok(output) if output.status.success() => return Ok(flags),
            Ok(output) => said = String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => said = error.to_string(),
        }
    }
    Err(PeerMissing::new("a mount namespace (unshare)", said))
}

/// Takes all the room there is.
fn fill(disk: &Path) -> PathBuf {
    use std::io::Write as _;
    let path = disk.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [1 << 20, 4096, 512, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    path
}

fn is_full(error: &StoreError) -> bool {
    let text = error.to_string();
    matches!(error, StoreError::Full { .. })
        && error.category() == Category::Unavailable
        && text.contains("is full: free space, then repeat")
}

/// What was acknowledged.
#[derive(Default)]
struct Told {
    names: Vec<String>,
    looks: usize,
}

impl Told {
    /// Two resources in a unit, and a look; what is told is kept.
    async fn write(
        &mut self,
        world: &World,
        store: &dyn Store,
        name: &str,
    ) -> Result<(), StoreError> {
        let of = format!("o-{name}");
        let resources = [
            patient(name, "Quinn"),
            observation(&of, name, "8867-4", "72", "2026-01-01"),
        ];
        let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
        match world.put(store, &resources).await {
            Ok(_) => self.names.push(name.to_owned()),
            Err(CommitError::Store(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        }
        let look = world.entry(Log::Access, Class::Read, Some(name));
        store.record_access(&world.scope, vec![look]).await?;
        self.looks += 1;
        Ok(())
    }

    async fn is_there(&self, world: &World, store: &Arc<dyn Store>, data: &Path) {
        store.settle(&world.scope).await.unwrap();
        for name in &self.names {
            for resource in [format!("Patient/{name}"), format!("Observation/o-{name}")] {
                let read = store.read(&world.scope, &key(&resource)).await.unwrap();
                assert!(read.is_some_and(|read| read.body.is_some()), "{resource}");
            }
        }
        let (report, record) = verify_open(Arc::clone(store), data.to_owned(), Vec::new()).await;
        assert_sound(&report);
        let versions: u64 = record.iter().map(|of| of.versions).sum();
        assert_eq!(versions % 2, 0, "units are whole");
        assert!(versions >= 2 * self.names.len() as u64);
        let access = store.log_head(&world.scope, Log::Access).await.unwrap();
        assert!(access.size >= self.looks as u64);
    }
}

/// Fills the disk under a store, and makes room again.
async fn filled_and_emptied(world: &World, store: &Arc<dyn Store>, disk: &Path, data: &Path) {
    let mut told = Told::default();
    for number in 0..20 {
        told.write(world, &**store, &format!("before{number}"))
            .await
            .unwrap();
    }
    store.settle(&world.scope).await.unwrap();
    let filler = fill(disk);
    let mut refused = 0;
    // Files keep some room of their own: the first writes may still find place.
    for number in 0..4000 {
        match told.write(world, &**store, &format!("full{number}")).await {
            Ok(()) => refused = 0,
            Err(error) => {
                assert!(is_full(&error), "{error:?}");
                refused += 1;
            }
        }
        if refused == 20 {
            break;
        }
    }
    assert_eq!(refused, 20, "the disk was never full");
    let read = store.read(&world.scope, &key("Patient/before7")).await;
    assert!(read.unwrap().is_some(), "reads go on");
    std::fs::remove_file(filler).unwrap();
    for number in 0..20 {
        told.write(world, &**store, &format!("after{number}"))
            .await
            .unwrap();
    }
    store.health(&world.scope).await.unwrap();
    told.is_there(world, store, data).await;
}

#[test]
fn a_full_disk_under_sqlite() {
    let Some(disk) = disk() else {
        return on_a_small_disk("a_full_disk_under_sqlite", 24, false);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (folder, window) in [("strict", 0), ("window", 20)] {
        runtime.block_on(async {
            let (world, data) = (World::new(), disk.join(folder));
            let open = || -> Arc<dyn Store> {
                let mut settings = folder::settings(&data);
                settings.access_window = Duration::from_millis(window);
                Arc::new(folder::open(&world, settings).unwrap())
            };
            let store = open();
            world.found(&*store).await;
            filled_and_emptied(&world, &store, &disk, &data).await;
            // Before anything is refused by a write, a look at the store's health says it.
            let filler = fill(&disk);
            let health = store.health(&world.scope).await.unwrap_err();
            assert!(is_full(&health), "{health:?}");
            store.close().await;
            std::fs::remove_file(filler).unwrap();
            let store = open();
            Told::default().is_there(&world, &store, &data).await;
            store.close().await;
            std::fs::remove_dir_all(&data).unwrap();
        });
    }
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    let Some(disk) = disk() else {
        return on_a_small_disk("a_disk_that_is_full_from_the_start", 2, false);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (world, data) = (World::new(), disk.join("data"));
        let filler = fill(&disk);
        let refused = async || -> StoreError {
            match folder::open(&world, folder::settings(&data)) {
                Err(error) => error,
                Ok(store) => {
                    let spec = store::TenantSpec {
                        tenant: world.scope.tenant(),
                        dedicated: None,
                    };
                    store.create_tenant(&world.scope, &spec).await.unwrap_err()
                }
            }
        };
        for _ in 0..3 {
            let error = refused().await;
            assert!(is_full(&error), "{error:?}");
        }
        std::fs::remove_file(filler).unwrap();
        let store: Arc<dyn Store> =
            Arc::new(folder::open(&world, folder::settings(&data)).unwrap());
        world.found(&*store).await;
        let mut told = Told::default();
        told.write(&world, &*store, "p").await.unwrap();
        told.is_there(&world, &store, &data).await;
        store.close().await;
    });
}

/// Mounts the disk again, for reading only or not.
fn remount(disk: &Path, how: &str) {
    let status = Command::new("mount")
        .args(["-o", &format!("remount,{how}")])
        .arg(disk)
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_folder_that_cannot_be_written() {
    let Some(disk) = disk() else {
        return on_a_small_disk("a_folder_that_cannot_be_written", 24, false);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (world, data) = (World::new(), disk.join("data"));
        let open = || folder::open(&world, folder::settings(&data));
        let store: Arc<dyn Store> = Arc::new(open().unwrap());
        world.found(&*store).await;
        let mut told = Told::default();
        told.write(&world, &*store, "p").await.unwrap();
        store.close().await;
        drop(store);
        remount(&disk, "ro");
        for place in [&data, &disk.join("new")] {
            let error = folder::open(&world, folder::settings(place)).unwrap_err();
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
            assert_eq!(error.category(), Category::Unavailable);
            let text = error.to_string();
            assert!(
                text.contains(&place.display().to_string())
                    && text.contains("read-only: give the process write permission"),
                "{text}"
            );
        }
        // What needs no writing works: the evidence can be looked at on a medium that is write-protected.
        let examined: Arc<dyn Store> = Arc::new(
            SqliteStore::examine(
                folder::settings(&data),
                Arc::clone(&world.clock) as _,
                Arc::clone(&world.ids) as _,
            )
            .unwrap(),
        );
        let (report, record) = verify_open(Arc::clone(&examined), data.clone(), Vec::new()).await;
        assert_sound(&report);
        assert_eq!(record.iter().map(|of| of.versions).sum::<u64>(), 2);
        let refused = told.write(&world, &*examined, "q").await.unwrap_err();
        assert!(
            matches!(refused, StoreError::ReadOnly { .. }),
            "{refused:?}"
        );
        let look = world.entry(Log::Access, Class::Read, Some("p"));
        let refused = examined.record_access(&world.scope, vec![look]).await;
        assert!(matches!(refused, Err(StoreError::ReadOnly { .. })));
        examined.close().await;
        drop(examined);
        remount(&disk, "rw");
        let store: Arc<dyn Store> = Arc::new(open().unwrap());
        told.write(&world, &*store, "r").await.unwrap();
        told.is_there(&world, &store, &data).await;
        store.close().await;
    });
}

/// The tables lie on the small disk, the server's own log elsewhere.
#[test]
fn a_full_disk_under_postgres() {
    let Some(disk) = disk() else {
        return on_a_small_disk("a_full_disk_under_postgres", 32, true);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let Some(server) = Server::fresh() else {
            return;
        };
        let space = disk.join("space");
        std::fs::create_dir(&space).unwrap();
        let owned = Command::new("chown").arg("postgres").arg(&space).status();
        assert!(owned.unwrap().success());
        let name = &server.database.name;
        let superuser = testkit::postgres::TestDatabase {
            name: "postgres".to_owned(),
            ..server.database.clone()
        };
        for sql in [
            format!("CREATE TABLESPACE small LOCATION '{}'", space.display()),
            format!("ALTER DATABASE {name} SET TABLESPACE small"),
        ] {
            superuser.execute(&sql).unwrap();
        }
        let world = World::new();
        for (replica, window) in [("strict", 0), ("window", 20)] {
            let ids = Arc::clone(&world.ids) as _;
            let window = Duration::from_millis(window);
            let store: Arc<dyn Store> = server.replica(ids, replica, window).await;
            world.found(&*store).await;
            let data = server.folder.path().join(replica);
            filled_and_emptied(&world, &store, &disk, &data).await;
            store.close().await;
        }
    });
}

/// Waits until connections that were cut are replaced.
async fn reconnected(world: &World, store: &dyn Store) {
    for _ in 0..100 {
        if store.read(&world.scope, &key("Patient/p")).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no connection comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_takes_no_writes() {
    let Some(server) = Server::fresh() else {
        return;
    };
    let world = World::new();
    let ids = Arc::clone(&world.ids) as _;
    let store: Arc<dyn Store> = server.replica(ids, "replica", Duration::ZERO).await;
    world.found(&*store).await;
    let mut told = Told::default();
    told.write(&world, &*store, "p").await.unwrap();
    store.settle(&world.scope).await.unwrap();
    let name = &server.database.name;
    let turn = |to: &str| {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'theriac_app'";
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {to}; {cut}");
        server.database.execute(&sql).unwrap();
    };
    turn("on");
    reconnected(&world, &*store).await;
    let refused = told.write(&world, &*store, "q").await;
    let error = refused.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("write permission"), "{error}");
    assert!(
        store
            .read(&world.scope, &key("Patient/p"))
            .await
            .unwrap()
            .is_some()
    );
    // Said in the database's own session, so that it can be turned off again.
    server
        .database
        .execute(&format!("SET default_transaction_read_only = off; ALTER DATABASE {name} SET default_transaction_read_only = off; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'theriac_app'"))
        .unwrap();
    reconnected(&world, &*store).await;
    told.write(&world, &*store, "r").await.unwrap();
    let data = server.folder.path().join("replica");
    told.is_there(&world, &store, &data).await;
    store.close().await;
}
