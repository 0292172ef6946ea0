//! The logs: entries pair with versions, everything verifies, entries about a patient are found.

use std::collections::BTreeSet;
use std::sync::Arc;

use ledger::leaf::{Class, Leaf};
use ledger::leaf_hash;
use ledger::proof;
use ledger::verify::Verdict;
use store::{HistoryQuery, HistoryScope, Log, Unit};

use super::source::Logs;
use super::world::{World, id, observation, patient};
use super::{Bed, WINDOW};

pub async fn entries_pair_with_versions_and_verify(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let (store, world) = (Arc::clone(&store), world.clone());
            tokio::spawn(async move {
                let mut hashes = Vec::new();
                for number in 0..40 {
                    let json = patient(&format!("w{writer}-{}", number / 2), "Busy");
                    let receipt = world.put(&*store, &[&json]).await.unwrap();
                    hashes.extend(receipt.entries.into_iter().map(|entry| entry.leaf));
                    let look = world.entry(Log::Access, Class::Read, Some(&format!("w{writer}-0")));
                    store.record_access(&world.scope, vec![look]).await.unwrap();
                }
                hashes
            })
        })
        .collect();
    let mut acknowledged = BTreeSet::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    store.settle(&world.scope).await.unwrap();
    let mut logs = Logs::read(&*store, &world.scope).await;
    let report = logs.verify(&store.log_verifier());
    assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings);
    let sizes: Vec<usize> = logs.0.values().map(|log| log.entries.len()).collect();
    assert_eq!(sizes, [320, 320]);
    let changes = logs
        .0
        .values()
        .find(|log| log.head.origin.contains("/changes/"))
        .unwrap();
    let stored: BTreeSet<_> = changes
        .entries
        .iter()
        .map(|entry| leaf_hash(&entry.leaf))
        .collect();
    assert_eq!(stored, acknowledged, "exactly what was acknowledged");
    let all = HistoryQuery {
        scope: HistoryScope::System,
        since: None,
        until: None,
        before: None,
        limit: 1000,
        bytes: usize::MAX,
        restriction: None,
    };
    assert_eq!(
        store
            .history(&world.scope, &all)
            .await
            .unwrap()
            .versions
            .len(),
        320
    );
    for entry in changes
        .entries
        .iter()
        .chain(logs.0.values().flat_map(|log| &log.entries))
    {
        let text = String::from_utf8(entry.leaf.clone()).unwrap();
        assert!(
            !text.contains("w0-") && !text.contains("Quinn"),
            "no clear identifier: {text}"
        );
    }
}

pub async fn tiles_and_proofs_agree(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for round in 0..7 {
        let changes = (0..100)
            .map(|n| world.change(&*store, &patient(&format!("t{round}-{n}"), "T"), None))
            .collect();
        store
            .commit(
                &world.scope,
                Unit {
                    changes,
                    ..Unit::default()
                },
            )
            .await
            .unwrap();
    }
    store.settle(&world.scope).await.unwrap();
    let logs = Logs::read(&*store, &world.scope).await;
    let log = logs.0.values().find(|log| log.head.size == 700).unwrap();
    assert_eq!(proof::root(700, &log.tiles).unwrap(), log.head.root);
    for index in [0u64, 1, 255, 256, 511, 699] {
        let path = proof::inclusion(index, 700, &log.tiles).unwrap();
        let leaf = leaf_hash(&log.entries[index as usize].leaf);
        proof::verify_inclusion(leaf, index, 700, log.head.root, &path).unwrap();
    }
    let tile = |level, index| store.log_tile(&world.scope, Log::Changes, level, index);
    assert_eq!(tile(0, 1).await.unwrap().unwrap().len(), 256 * 32);
    assert_eq!(tile(0, 2).await.unwrap().unwrap().len(), (700 - 512) * 32);
    assert_eq!(tile(1, 0).await.unwrap().unwrap().len(), 2 * 32);
    for (level, index) in [(0, 3), (1, 1), (2, 0), (63, 0)] {
        assert_eq!(tile(level, index).await.unwrap(), None);
    }
    let recent = store
        .log_recent(&world.scope, Log::Changes, None, 3)
        .await
        .unwrap();
    assert_eq!(
        recent.iter().map(|entry| entry.index).collect::<Vec<_>>(),
        [699, 698, 697]
    );
    let before = store
        .log_recent(&world.scope, Log::Changes, Some(2), 9)
        .await
        .unwrap();
    assert_eq!(
        before.iter().map(|entry| entry.index).collect::<Vec<_>>(),
        [1, 0]
    );
}

pub async fn entries_about_a_patient(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    world
        .put(&*store, &[&patient("a", "A"), &patient("b", "B")])
        .await
        .unwrap();
    world
        .put(&*store, &[&observation("o", "a", "1", "2", "2026-01-01")])
        .await
        .unwrap();
    store
        .record_access(
            &world.scope,
            vec![world.entry(Log::Access, Class::Read, Some("a"))],
        )
        .await
        .unwrap();
    store.settle(&world.scope).await.unwrap();
    let about = |log, name, before| {
        let (store, scope) = (&store, &world.scope);
        async move {
            store
                .log_subject(scope, log, &id(name), before, 10)
                .await
                .unwrap()
        }
    };
    let entries = about(Log::Changes, "a", None).await;
    assert_eq!(
        entries.iter().map(|entry| entry.index).collect::<Vec<_>>(),
        [2, 0]
    );
    assert_eq!(about(Log::Changes, "a", Some(2)).await.len(), 1);
    assert_eq!(about(Log::Changes, "b", None).await.len(), 1);
    assert_eq!(about(Log::Access, "a", None).await.len(), 1);
    assert!(about(Log::Access, "b", None).await.is_empty());
    let payload = store
        .open_payload(&world.scope, &entries[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (payload.patient.as_deref(), payload.actor.name.as_str()),
        (Some("a"), "Ada Quinn")
    );
    assert_eq!(Leaf::parse(&entries[0].leaf).unwrap().class, Class::Create);
}
