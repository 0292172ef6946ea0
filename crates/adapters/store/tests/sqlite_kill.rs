//! Kills on SQLite: see [`suite::kill`].

#![expect(clippy::expect_used, reason = "test code outside of test functions")]

#[expect(dead_code, reason = "shared with the other tests of this adapter")]
mod folder;
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::Store;
use suite::kill::{Place, nothing_acknowledged_is_lost, round};
use suite::world::World;
use testkit::peers::setting;

const FOLDER: &str = "THERIAC_KILL_FOLDER";

struct Data(PathBuf);

#[async_trait]
impl Place for Data {
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![(FOLDER, self.0.display().to_string())]
    }
    async fn open(&self, world: &World, window: Duration) -> Arc<dyn Store> {
        let mut settings = folder::settings(&self.0);
        settings.access_window = window;
        Arc::new(folder::open(world, settings).expect("the store opens"))
    }
    fn data(&self) -> PathBuf {
        self.0.clone()
    }
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    if let (Some(folder), Some(round)) = (setting(FOLDER), round()) {
        suite::kill::child(&Data(folder.into()), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    if round().is_none() {
        let folder = tempfile::tempdir().unwrap();
        nothing_acknowledged_is_lost(&Data(folder.path().join("data"))).await;
    }
}
