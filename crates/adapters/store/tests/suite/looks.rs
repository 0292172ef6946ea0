//! Looks at patient data reach the access log exactly once.

use std::time::Duration;

use ledger::leaf::{Class, Leaf};
use ledger::verify::Verdict;
use store::{Log, StoreError};

use super::source::Logs;
use super::world::{World, patient};
use super::{Bed, WINDOW};

pub async fn a_window_moves_looks_into_the_log(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    world.put(&*store, &[&patient("p", "P")]).await.unwrap();
    for number in 0..100 {
        let looks = (0..=number % 3)
            .map(|_| world.entry(Log::Access, Class::Read, Some("p")))
            .collect();
        store.record_access(&world.scope, looks).await.unwrap();
    }
    store.record_access(&world.scope, Vec::new()).await.unwrap();
    // A look at somebody of whom nothing is stored is an entry too.
    store
        .record_access(
            &world.scope,
            vec![world.entry(Log::Access, Class::Search, Some("ghost"))],
        )
        .await
        .unwrap();
    store.settle(&world.scope).await.unwrap();
    let head = store.log_head(&world.scope, Log::Access).await.unwrap();
    assert_eq!(head.size, 199 + 1);
    let newest = store
        .log_recent(&world.scope, Log::Access, None, 1)
        .await
        .unwrap();
    assert_eq!(Leaf::parse(&newest[0].leaf).unwrap().class, Class::Search);
    assert_eq!(
        store
            .open_payload(&world.scope, &newest[0])
            .await
            .unwrap()
            .unwrap()
            .patient
            .as_deref(),
        Some("ghost")
    );
    let misplaced = world.entry(Log::Changes, Class::Read, None);
    assert!(matches!(
        store.record_access(&world.scope, vec![misplaced]).await,
        Err(StoreError::Engine(_))
    ));
    // Without anybody waiting, the window itself moves them.
    store
        .record_access(
            &world.scope,
            vec![world.entry(Log::Access, Class::Read, Some("p"))],
        )
        .await
        .unwrap();
    for _ in 0..200 {
        if store
            .log_head(&world.scope, Log::Access)
            .await
            .unwrap()
            .size
            == 201
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the window did not move the look");
}

pub async fn strict_looks_are_there_at_once(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, Duration::ZERO).await;
    world.found(&*store).await;
    store
        .record_access(
            &world.scope,
            vec![world.entry(Log::Access, Class::Read, None)],
        )
        .await
        .unwrap();
    store
        .record_access(
            &world.scope,
            vec![world.entry(Log::Access, Class::Read, None)],
        )
        .await
        .unwrap();
    store.settle(&world.scope).await.unwrap();
    assert_eq!(
        store
            .log_head(&world.scope, Log::Access)
            .await
            .unwrap()
            .size,
        2
    );
}

pub async fn looks_survive_opening_again(bed: &mut impl Bed) {
    let world = World::new();
    for round in 1..=3u64 {
        // So long a window that only closing moves them.
        let store = bed.open(&world, Duration::from_hours(1)).await;
        world.found(&*store).await;
        for _ in 0..5 {
            store
                .record_access(
                    &world.scope,
                    vec![world.entry(Log::Access, Class::Read, None)],
                )
                .await
                .unwrap();
        }
        store.close().await;
        drop(store);
        let store = bed.open(&world, WINDOW).await;
        store.settle(&world.scope).await.unwrap();
        assert_eq!(
            store
                .log_head(&world.scope, Log::Access)
                .await
                .unwrap()
                .size,
            round * 5
        );
        let report = Logs::read(&*store, &world.scope)
            .await
            .verify(&store.log_verifier());
        assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings);
        store.close().await;
    }
}
