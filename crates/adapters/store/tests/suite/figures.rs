//! What a store says about itself agrees with what was done.

use std::time::Duration;

use ledger::leaf::Class;
use store::{Log, LogFigures};

use super::Bed;
use super::world::{World, patient};

pub async fn figures_tell_what_happened(bed: &mut impl Bed) {
    let world = World::new();
    // So long that looks stay in the journal until they are settled.
    let store = bed.open(&world, Duration::from_secs(5)).await;
    world.found(&*store).await;
    store.settle(&world.scope).await.unwrap();
    let before = store.figures();
    let sizes = |logs: [LogFigures; 2]| logs.map(|log| (log.log, log.entries));
    world.put(&*store, &[&patient("p", "P")]).await.unwrap();
    let look = world.entry(Log::Access, Class::Read, Some("p"));
    store
        .record_access(&world.scope, vec![look.clone(), look])
        .await
        .unwrap();
    let waiting = store.figures();
    assert_eq!(waiting.looks, 2);
    assert!(waiting.look_bytes > 200, "{waiting:?}");
    store.settle(&world.scope).await.unwrap();
    let after = store.figures();
    assert_eq!((after.looks, after.look_bytes, after.queue), (0, 0, 0));
    assert_eq!(after.open_tenants, 1);
    assert!(after.commits > before.commits, "{after:?}");
    assert_eq!(after.sync_seconds.count, after.commits);
    assert_eq!(after.failed_commits, 0);
    let units = after.batch_units.sum - before.batch_units.sum;
    assert!((units - 1.0).abs() < 0.1, "{after:?}");
    assert_eq!(after.wait_seconds.count, before.wait_seconds.count + 1);
    assert!(after.readers > 0 && after.readers_in_use <= after.readers);
    for log in [Log::Changes, Log::Access] {
        let head = store.log_head(&world.scope, log).await.unwrap();
        assert!(sizes(after.logs).contains(&(log, head.size)), "{after:?}");
    }
    assert!(after.logs.iter().all(|log| log.staged == 0), "{after:?}");
    assert!(
        after.logs.iter().all(|log| log.checkpoint_age.is_some()),
        "{after:?}"
    );
    // Opened again, the logs' sizes are known before anything is written.
    let store = bed.open(&world, Duration::ZERO).await;
    store.log_head(&world.scope, Log::Access).await.unwrap();
    assert_eq!(sizes(store.figures().logs), sizes(after.logs));
}
