//! Erasure destroys a patient's content everywhere and leaves the ledger sound.

use kernel::VersionId;
use ledger::leaf::{Class, Leaf};
use ledger::verify::Verdict;
use store::{ChangeKind, Log};

use super::source::Logs;
use super::world::{World, id, key, observation, patient};
use super::{Bed, WINDOW};

pub async fn a_patients_content_goes_and_the_ledger_stays_sound(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    world
        .put(
            &*store,
            &[&patient("gone", "Canary"), &patient("stays", "Canary")],
        )
        .await
        .unwrap();
    world
        .put(&*store, &[&patient("gone", "Canary2")])
        .await
        .unwrap();
    world
        .put(
            &*store,
            &[
                &observation("o1", "gone", "1", "2", "2026-01-01"),
                &observation("o2", "stays", "1", "2", "2026-01-01"),
            ],
        )
        .await
        .unwrap();
    world
        .delete(&*store, "Observation/o1", Some("gone"))
        .await
        .unwrap();
    store
        .record_access(
            &world.scope,
            vec![world.entry(Log::Access, Class::Read, Some("gone"))],
        )
        .await
        .unwrap();
    store.settle(&world.scope).await.unwrap();

    let mut entry = world.entry(Log::Changes, Class::Erase, Some("gone"));
    entry.reason = Some("gdpr-17".to_owned());
    assert_eq!(
        store.erase(&world.scope, &id("gone"), entry).await.unwrap(),
        2
    );
    for _ in 0..2 {
        let store = bed.open(&world, WINDOW).await;
        let read = store
            .read(&world.scope, &key("Patient/gone"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (read.body, read.kind, read.erased),
            (None, ChangeKind::Erase, true)
        );
        let old = store
            .vread(&world.scope, &key("Patient/gone"), VersionId(1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((old.body, old.erased), (None, true));
        let old = store
            .vread(&world.scope, &key("Observation/o1"), VersionId(1))
            .await
            .unwrap()
            .unwrap();
        assert!(old.erased);
        let stays = store
            .read(&world.scope, &key("Patient/stays"))
            .await
            .unwrap()
            .unwrap();
        assert!(stays.body.is_some() && !stays.erased);
        assert_eq!(
            world.search(&*store, "Patient", "family=canary").await,
            ["stays"]
        );
        assert_eq!(world.search(&*store, "Patient", "").await, ["stays"]);
        assert_eq!(world.search(&*store, "Observation", "code=1").await, ["o2"]);

        let about = store
            .log_subject(&world.scope, Log::Changes, &id("gone"), None, 100)
            .await
            .unwrap();
        assert_eq!(
            about.len(),
            5,
            "the ledger still knows that there was something"
        );
        let newest = Leaf::parse(&about[0].leaf).unwrap();
        assert_eq!(
            (newest.class, newest.erased.is_some()),
            (Class::Erase, true)
        );
        assert!(
            store
                .open_payload(&world.scope, &about[0])
                .await
                .unwrap()
                .is_some()
        );
        for entry in &about[1..] {
            assert_eq!(store.open_payload(&world.scope, entry).await.unwrap(), None);
        }
        let report = Logs::read(&*store, &world.scope)
            .await
            .verify(&store.log_verifier());
        assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings);
        store.close().await;
    }
    // The same id may be used again; it begins with a new key.
    let store = bed.open(&world, WINDOW).await;
    world
        .put(&*store, &[&patient("gone", "Fresh")])
        .await
        .unwrap();
    let read = store
        .read(&world.scope, &key("Patient/gone"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((read.version, read.body.is_some()), (VersionId(3), true));
    assert_eq!(
        world.search(&*store, "Patient", "family=fresh").await,
        ["gone"]
    );
}
