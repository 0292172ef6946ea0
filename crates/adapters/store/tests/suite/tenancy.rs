//! Two tenants with the same ids never meet.

use kernel::VersionId;
use ledger::leaf::Class;
use store::{DocExpected, DocKind, DocWrite, HistoryQuery, HistoryScope, Log, StoreError, Total};

use super::world::{World, id, key, patient};
use super::{Bed, WINDOW};

pub async fn twins_never_meet(bed: &mut impl Bed) {
    let left = World::new();
    let right = left.beside(2);
    let store = bed.open(&left, WINDOW).await;
    left.found(&*store).await;
    right.found(&*store).await;
    for (world, family) in [(&left, "Leftcanary"), (&right, "Rightcanary")] {
        world.put(&*store, &[&patient("p", family)]).await.unwrap();
        store
            .record_access(
                &world.scope,
                vec![world.entry(Log::Access, Class::Read, Some("p"))],
            )
            .await
            .unwrap();
        let doc = DocWrite {
            kind: DocKind::Session,
            id: "s".to_owned(),
            expected: DocExpected::Absent,
            body: Some(family.as_bytes().to_vec()),
            time: kernel::Clock::now(&*world.clock),
            expires: None,
            lookups: vec![("token", "same".to_owned())],
        };
        store.operate(&world.scope, vec![doc]).await.unwrap();
    }
    left.put(&*store, &[&patient("only-left", "Leftcanary")])
        .await
        .unwrap();
    for (world, own, foreign, count) in [
        (&left, "Leftcanary", "Rightcanary", 2),
        (&right, "Rightcanary", "Leftcanary", 1),
    ] {
        store.settle(&world.scope).await.unwrap();
        let body = store
            .read(&world.scope, &key("Patient/p"))
            .await
            .unwrap()
            .unwrap()
            .body
            .unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains(own) && !text.contains(foreign));
        assert_eq!(
            world
                .search(&*store, "Patient", &format!("family={own}"))
                .await
                .len(),
            count
        );
        assert!(
            world
                .search(&*store, "Patient", &format!("family={foreign}"))
                .await
                .is_empty()
        );
        let mut plan = world.plan("Patient", "");
        plan.total = Total::Accurate;
        assert_eq!(
            store.search(&world.scope, &plan).await.unwrap().total,
            Some(count as u64)
        );
        let all = HistoryQuery {
            scope: HistoryScope::System,
            since: None,
            until: None,
            before: None,
            limit: 10,
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
            count
        );
        let doc = store
            .doc_by(&world.scope, DocKind::Session, "token", "same")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(doc.body, own.as_bytes());
        assert_eq!(
            store
                .log_head(&world.scope, Log::Changes)
                .await
                .unwrap()
                .size,
            count as u64
        );
        assert_eq!(
            store
                .log_subject(&world.scope, Log::Access, &id("p"), None, 9)
                .await
                .unwrap()
                .len(),
            1
        );
    }
    assert_eq!(
        store
            .read(&right.scope, &key("Patient/only-left"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .vread(&right.scope, &key("Patient/only-left"), VersionId(1))
            .await
            .unwrap(),
        None
    );
    // A payload of one tenant opens in no other.
    let foreign = store
        .log_recent(&left.scope, Log::Access, None, 1)
        .await
        .unwrap();
    assert!(store.open_payload(&right.scope, &foreign[0]).await.is_err());
    let (mut tenants, mut expected) = (
        store.tenants().await.unwrap(),
        vec![left.scope.tenant(), right.scope.tenant()],
    );
    tenants.sort();
    expected.sort();
    assert_eq!(tenants, expected);
}

pub async fn unknown_tenants_are_unknown(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let nobody = world.beside(99);
    let unknown = |error| matches!(error, StoreError::UnknownTenant(tenant) if tenant == nobody.scope.tenant());
    assert!(unknown(
        store
            .read(&nobody.scope, &key("Patient/p"))
            .await
            .unwrap_err()
    ));
    assert!(unknown(
        store
            .search(&nobody.scope, &world.plan("Patient", ""))
            .await
            .unwrap_err()
    ));
    assert!(unknown(
        store
            .log_head(&nobody.scope, Log::Changes)
            .await
            .unwrap_err()
    ));
    let look = nobody.entry(Log::Access, Class::Read, None);
    assert!(unknown(
        store
            .record_access(&nobody.scope, vec![look])
            .await
            .unwrap_err()
    ));
}
