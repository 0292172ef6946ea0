//! Snapshots: what was current at a moment, while others go on writing.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::{Clock as _, Ids as _, RowId};
use store::{CommitError, SnapshotQuery, Store, StoreError, Unit};

use super::world::{World, observation, patient, ty};
use super::{Bed, WINDOW};

fn query(name: &str, at: RowId, limit: u32) -> SnapshotQuery {
    SnapshotQuery {
        ty: ty(name),
        at,
        since: None,
        after: None,
        limit,
        bytes: usize::MAX,
    }
}

/// Everything of a snapshot: id to body, read in pages; fails when something comes twice.
async fn whole(
    store: &dyn Store,
    world: &World,
    mut query: SnapshotQuery,
) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    loop {
        let page = store.snapshot(&world.scope, &query).await.unwrap();
        assert!(page.versions.len() <= query.limit as usize);
        for version in &page.versions {
            assert!(version.version_row <= query.at);
            let body = version.body.as_ref();
            let body = body.map(|body| String::from_utf8(body.to_vec()).unwrap());
            let before = found.insert(version.key.id.as_str().to_owned(), body);
            assert!(before.is_none(), "{} comes once", version.key.id);
        }
        match page.next {
            Some(next) => {
                assert!(query.after.is_none_or(|after| after < next));
                query.after = Some(next);
            }
            None => return found,
        }
    }
}

pub async fn a_snapshot_is_what_was_current_at_its_moment(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for name in ["a", "b", "c", "d"] {
        world.clock.advance(1);
        world.put(&*store, &[&patient(name, "One")]).await.unwrap();
    }
    let before_updates = world.ids.row_id();
    world.clock.advance(10);
    let since = world.clock.now();
    world.put(&*store, &[&patient("b", "Two")]).await.unwrap();
    world.delete(&*store, "Patient/c", Some("c")).await.unwrap();
    world.put(&*store, &[&patient("e", "One")]).await.unwrap();
    let seen = observation("o", "a", "1-1", "5", "2026-01-01");
    world.put(&*store, &[&seen]).await.unwrap();
    let after_updates = world.ids.row_id();
    world.clock.advance(10);
    world.put(&*store, &[&patient("a", "Three")]).await.unwrap();
    world.put(&*store, &[&patient("c", "Again")]).await.unwrap();

    let body = |name: &str, family: &str| (name.to_owned(), Some(patient(name, family)));
    let first: BTreeMap<_, _> = ["a", "b", "c", "d"].map(|name| body(name, "One")).into();
    let mut second: BTreeMap<_, _> = [
        body("a", "One"),
        body("b", "Two"),
        body("d", "One"),
        body("e", "One"),
    ]
    .into();
    second.insert("c".to_owned(), None);
    for limit in [1, 2, 3, 100] {
        let found = whole(&*store, &world, query("Patient", before_updates, limit)).await;
        assert_eq!(found, first, "by {limit}");
        let found = whole(&*store, &world, query("Patient", after_updates, limit)).await;
        assert_eq!(found, second, "by {limit}");
    }
    let few_bytes = SnapshotQuery {
        bytes: 1,
        ..query("Patient", after_updates, 100)
    };
    let page = store.snapshot(&world.scope, &few_bytes).await.unwrap();
    assert_eq!((page.versions.len(), page.next.is_some()), (1, true));
    assert_eq!(whole(&*store, &world, few_bytes).await, second);

    let changed = SnapshotQuery {
        since: Some(since),
        ..query("Patient", after_updates, 2)
    };
    let names: Vec<String> = whole(&*store, &world, changed).await.into_keys().collect();
    assert_eq!(names, ["b", "c", "e"]);
    let other = whole(&*store, &world, query("Observation", after_updates, 9)).await;
    assert_eq!(other.into_keys().collect::<Vec<_>>(), ["o"]);
    let twin = world.beside(2);
    twin.found(&*store).await;
    assert!(
        whole(&*store, &twin, query("Patient", after_updates, 9))
            .await
            .is_empty()
    );
}

pub async fn a_snapshot_stays_while_others_write(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for number in 0..40 {
        let name = format!("p{number:02}");
        world
            .put(&*store, &[&patient(&name, "Before")])
            .await
            .unwrap();
    }
    let at = world.ids.row_id();
    store.fence(&world.scope, at).await.unwrap();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (world, store) = (world.clone(), Arc::clone(&store));
            tokio::spawn(async move {
                for round in 0..20 {
                    let known = format!("p{:02}", (round * 4 + writer) % 40);
                    let fresh = format!("n{writer}-{round}");
                    let (known, fresh) = (patient(&known, "After"), patient(&fresh, "After"));
                    world.put(&*store, &[&known, &fresh]).await.unwrap();
                }
            })
        })
        .collect();
    for limit in [1, 7, 40] {
        let found = whole(&*store, &world, query("Patient", at, limit)).await;
        assert_eq!(found.len(), 40);
        assert!(
            found
                .iter()
                .all(|(name, body)| *body == Some(patient(name, "Before")))
        );
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let found = whole(&*store, &world, query("Patient", at, 9)).await;
    assert!(
        found
            .iter()
            .all(|(name, body)| *body == Some(patient(name, "Before")))
    );
    let now = whole(&*store, &world, query("Patient", world.ids.row_id(), 50)).await;
    assert_eq!(now.len(), 40 + 80);
}

pub async fn nothing_passes_a_fence_late(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    // Prepared before the fence, brought after it.
    let late = world.change(&*store, &patient("late", "Slow"), None);
    let at = world.ids.row_id();
    store.fence(&world.scope, at).await.unwrap();
    let unit = Unit {
        changes: vec![late],
        ..Unit::default()
    };
    let refused = store.commit(&world.scope, unit).await;
    assert!(
        matches!(refused, Err(CommitError::Store(StoreError::Busy))),
        "{refused:?}"
    );
    assert!(
        whole(&*store, &world, query("Patient", at, 9))
            .await
            .is_empty()
    );
    // Prepared again it goes through, and a fence of another tenant is not in its way.
    world
        .put(&*store, &[&patient("late", "Slow")])
        .await
        .unwrap();
    let twin = world.beside(2);
    twin.found(&*store).await;
    store.fence(&world.scope, world.ids.row_id()).await.unwrap();
    let change = twin.change(&*store, &patient("p", "Quick"), None);
    store.fence(&world.scope, world.ids.row_id()).await.unwrap();
    let unit = Unit {
        changes: vec![change],
        ..Unit::default()
    };
    store.commit(&twin.scope, unit).await.unwrap();
}
