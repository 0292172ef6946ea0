//! Kills of a replica on PostgreSQL: see [`suite::kill`].

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod server;
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use server::Server;
use store::Store;
use suite::kill::{Place, nothing_acknowledged_is_lost, round};
use suite::world::World;
use testkit::peers::setting;
use testkit::postgres::TestDatabase;

const FOLDER: &str = "THERIAC_KILL_FOLDER";
const SOCKET: &str = "THERIAC_KILL_SOCKET";
const DATABASE: &str = "THERIAC_KILL_DATABASE";

struct Replica {
    database: TestDatabase,
    folder: PathBuf,
}

#[async_trait]
impl Place for Replica {
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (FOLDER, self.folder.display().to_string()),
            (SOCKET, self.database.socket_folder.display().to_string()),
            (DATABASE, self.database.name.clone()),
        ]
    }
    async fn open(&self, world: &World, window: Duration) -> Arc<dyn Store> {
        let ids = Arc::clone(&world.ids) as _;
        server::open(&self.database, &self.folder, ids, "replica", window).await
    }
    fn data(&self) -> PathBuf {
        self.folder.join("replica")
    }
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    let settings = (setting(FOLDER), setting(SOCKET), setting(DATABASE), round());
    if let (Some(folder), Some(socket), Some(name), Some(round)) = settings {
        let database = TestDatabase {
            socket_folder: socket.into(),
            name,
        };
        let folder = folder.into();
        suite::kill::child(&Replica { database, folder }, round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    if round().is_some() {
        return;
    }
    let Some(server) = Server::fresh() else {
        return;
    };
    let replica = Replica {
        database: server.database.clone(),
        folder: server.folder.path().to_owned(),
    };
    nothing_acknowledged_is_lost(&replica).await;
}
