//! Documents: versions, unique look-ups, pages, governed kinds.

use kernel::{Clock as _, Timestamp};
use ledger::leaf::Class;
use store::{CommitError, DocExpected, DocKind, DocWrite, Log, Unit};

use super::world::World;
use super::{Bed, WINDOW};

fn write(
    world: &World,
    kind: DocKind,
    id: &str,
    expected: DocExpected,
    body: Option<&str>,
) -> DocWrite {
    DocWrite {
        kind,
        id: id.to_owned(),
        expected,
        body: body.map(|body| body.as_bytes().to_vec()),
        time: world.clock.now(),
        expires: Some(Timestamp::from_micros(9)),
        lookups: Vec::new(),
    }
}

pub async fn versions_look_ups_and_pages(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let operate = |write| store.operate(&world.scope, vec![write]);
    let session = |id, expected, body| write(&world, DocKind::Session, id, expected, body);
    operate(session("b", DocExpected::Absent, Some("one")))
        .await
        .unwrap();
    let twice = operate(session("b", DocExpected::Absent, Some("two"))).await;
    assert!(matches!(
        twice,
        Err(CommitError::DocConflict { lookup: None, .. })
    ));
    operate(session("b", DocExpected::Version(1), Some("two")))
        .await
        .unwrap();
    let late = operate(session("b", DocExpected::Version(1), Some("three"))).await;
    assert!(matches!(late, Err(CommitError::DocConflict { .. })));
    let found = store
        .doc(&world.scope, DocKind::Session, "b")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.version, found.body.as_slice(), found.expires),
        (2, b"two".as_slice(), Some(Timestamp::from_micros(9)))
    );
    assert_eq!(found.updated, world.clock.now());
    assert_eq!(
        store.doc(&world.scope, DocKind::Job, "b").await.unwrap(),
        None
    );

    let mut named = session("c", DocExpected::Any, Some("c"));
    named.lookups = vec![("token", "t1".to_owned()), ("user", "u".to_owned())];
    operate(named.clone()).await.unwrap();
    let by = |value| store.doc_by(&world.scope, DocKind::Session, "token", value);
    assert_eq!(
        by("t1").await.unwrap().map(|doc| doc.id),
        Some("c".to_owned())
    );
    assert_eq!(
        store
            .doc_by(&world.scope, DocKind::Session, "user", "t1")
            .await
            .unwrap(),
        None
    );
    let mut taken = session("d", DocExpected::Any, Some("d"));
    taken.lookups = vec![("token", "t1".to_owned())];
    assert!(matches!(
        operate(taken).await,
        Err(CommitError::DocConflict {
            lookup: Some("token"),
            ..
        })
    ));
    named.lookups = vec![("token", "t2".to_owned())];
    operate(named).await.unwrap();
    assert_eq!(by("t1").await.unwrap(), None);
    assert!(by("t2").await.unwrap().is_some());

    for id in ["a", "e", "f"] {
        operate(session(id, DocExpected::Any, Some(id)))
            .await
            .unwrap();
    }
    let page = |after| store.docs(&world.scope, DocKind::Session, after, 3);
    let ids = |docs: Vec<store::Doc>| docs.into_iter().map(|doc| doc.id).collect::<Vec<_>>();
    assert_eq!(ids(page(None).await.unwrap()), ["a", "b", "c"]);
    assert_eq!(ids(page(Some("c")).await.unwrap()), ["e", "f"]);
    operate(session("c", DocExpected::Version(2), None))
        .await
        .unwrap();
    assert_eq!(
        store
            .doc(&world.scope, DocKind::Session, "c")
            .await
            .unwrap(),
        None
    );
    assert_eq!(by("t2").await.unwrap(), None);
    assert!(matches!(
        operate(session("c", DocExpected::Version(2), None)).await,
        Err(CommitError::DocConflict { .. })
    ));
}

pub async fn governed_kinds_need_an_entry(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let user = || write(&world, DocKind::User, "u1", DocExpected::Absent, Some("{}"));
    assert!(matches!(
        store.operate(&world.scope, vec![user()]).await,
        Err(CommitError::Malformed(_))
    ));
    let bare = Unit {
        docs: vec![user()],
        ..Unit::default()
    };
    assert!(matches!(
        store.commit(&world.scope, bare).await,
        Err(CommitError::Malformed(_))
    ));
    let entry = world.entry(Log::Changes, Class::User, None);
    let receipt = store
        .commit(
            &world.scope,
            Unit {
                docs: vec![user()],
                entries: vec![entry],
                ..Unit::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(receipt.entries.len(), 1);
    assert!(
        store
            .doc(&world.scope, DocKind::User, "u1")
            .await
            .unwrap()
            .is_some()
    );
    // A refused document leaves no entry behind.
    store.settle(&world.scope).await.unwrap();
    let size = store
        .log_head(&world.scope, Log::Changes)
        .await
        .unwrap()
        .size;
    let entry = world.entry(Log::Changes, Class::User, None);
    let refused = store
        .commit(
            &world.scope,
            Unit {
                docs: vec![user()],
                entries: vec![entry],
                ..Unit::default()
            },
        )
        .await;
    assert!(matches!(refused, Err(CommitError::DocConflict { .. })));
    store.settle(&world.scope).await.unwrap();
    assert_eq!(
        store
            .log_head(&world.scope, Log::Changes)
            .await
            .unwrap()
            .size,
        size
    );
}
