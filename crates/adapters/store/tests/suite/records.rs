//! Versions, heads, histories, conditions.

use std::sync::Arc;

use kernel::{Clock as _, Ids as _, RowId, VersionId};
use store::{ChangeKind, CommitError, Expected, Guard, HistoryQuery, HistoryScope, Unit};

use super::world::{World, id, key, observation, patient, ty};
use super::{Bed, WINDOW};

pub async fn first_versions_updates_and_deletions(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let (first, second) = (patient("p1", "Quinn"), patient("p1", "Price"));
    let receipt = world.put(&*store, &[&first]).await.unwrap();
    assert_eq!(receipt.entries.len(), 1);
    let read = store
        .read(&world.scope, &key("Patient/p1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.body.as_deref(), Some(first.as_bytes()));
    assert_eq!(
        (read.version, read.kind, read.row),
        (VersionId(1), ChangeKind::Create, read.version_row)
    );
    assert_eq!(read.last_updated(), world.clock.now());

    world.clock.advance(5);
    world.put(&*store, &[&second]).await.unwrap();
    let read = store
        .read(&world.scope, &key("Patient/p1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (read.body.as_deref(), read.version),
        (Some(second.as_bytes()), VersionId(2))
    );
    assert_eq!(read.last_updated(), world.clock.now());

    world
        .delete(&*store, "Patient/p1", Some("p1"))
        .await
        .unwrap();
    let read = store
        .read(&world.scope, &key("Patient/p1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (read.body, read.kind, read.erased),
        (None, ChangeKind::Delete, false)
    );
    let old = store
        .vread(&world.scope, &key("Patient/p1"), VersionId(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (old.body.as_deref(), old.kind),
        (Some(first.as_bytes()), ChangeKind::Create)
    );
    assert_eq!(
        store
            .vread(&world.scope, &key("Patient/p1"), VersionId(9))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store.read(&world.scope, &key("Patient/p2")).await.unwrap(),
        None
    );

    world.put(&*store, &[&second]).await.unwrap();
    let heads = store
        .heads(&world.scope, &[key("Patient/p2"), key("Patient/p1")])
        .await
        .unwrap();
    assert_eq!(heads[0], None);
    assert_eq!(
        heads[1].map(|head| (head.version, head.kind)),
        Some((VersionId(4), ChangeKind::Create))
    );
    assert_eq!(
        store.greatest_row(&world.scope).await.unwrap(),
        heads[1].map(|head| head.version_row)
    );
    assert_eq!(
        world.search(&*store, "Patient", "family=price").await,
        ["p1"]
    );
}

pub async fn histories_page_newest_first(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for round in 0..3 {
        for name in ["a", "b"] {
            world.clock.advance(1);
            world
                .put(&*store, &[&patient(name, &format!("R{round}"))])
                .await
                .unwrap();
        }
    }
    world.clock.advance(1);
    world.delete(&*store, "Patient/a", Some("a")).await.unwrap();
    world
        .put(&*store, &[&observation("o", "b", "1-1", "5", "2026-01-01")])
        .await
        .unwrap();

    let query = |scope, limit| HistoryQuery {
        scope,
        since: None,
        until: None,
        before: None,
        limit,
        bytes: usize::MAX,
        restriction: None,
    };
    let mut all: Vec<(String, u32)> = Vec::new();
    let mut next = query(HistoryScope::Type(ty("Patient")), 3);
    loop {
        let page = store.history(&world.scope, &next).await.unwrap();
        assert!(page.versions.len() <= 3);
        all.extend(
            page.versions
                .iter()
                .map(|v| (v.key.id.to_string(), v.version.0)),
        );
        match page.next {
            Some(before) => next.before = Some(before),
            None => break,
        }
    }
    let expected = [
        ("a", 4),
        ("b", 3),
        ("a", 3),
        ("b", 2),
        ("a", 2),
        ("b", 1),
        ("a", 1),
    ];
    assert_eq!(
        all,
        expected.map(|(name, version)| (name.to_owned(), version))
    );

    let page = store
        .history(
            &world.scope,
            &query(HistoryScope::Instance(key("Patient/a")), 10),
        )
        .await
        .unwrap();
    let versions: Vec<_> = page
        .versions
        .iter()
        .map(|v| (v.version.0, v.kind, v.body.is_some()))
        .collect();
    let expected = [
        (4, ChangeKind::Delete, false),
        (3, ChangeKind::Update, true),
        (2, ChangeKind::Update, true),
        (1, ChangeKind::Create, true),
    ];
    assert_eq!(
        (versions.as_slice(), page.next),
        (expected.as_slice(), None)
    );
    let page = store
        .history(&world.scope, &query(HistoryScope::System, 100))
        .await
        .unwrap();
    assert_eq!(page.versions.len(), 8);

    let middle = page.versions[4].last_updated();
    let mut since = query(HistoryScope::System, 100);
    since.since = Some(middle);
    assert_eq!(
        store
            .history(&world.scope, &since)
            .await
            .unwrap()
            .versions
            .len(),
        5
    );
    let mut until = query(HistoryScope::System, 100);
    until.until = Some(middle);
    assert_eq!(
        store
            .history(&world.scope, &until)
            .await
            .unwrap()
            .versions
            .len(),
        4
    );
    let nothing = query(HistoryScope::Instance(key("Patient/zzz")), 10);
    assert!(
        store
            .history(&world.scope, &nothing)
            .await
            .unwrap()
            .versions
            .is_empty()
    );
    let mut narrowed = query(HistoryScope::System, 100);
    narrowed.restriction = Some(store::Clause {
        negated: false,
        any_of: vec![store::Predicate::Compartment(id("a"))],
    });
    let found = store.history(&world.scope, &narrowed).await.unwrap();
    assert_eq!(
        found.versions.len(),
        4,
        "a deleted patient's history stays in the compartment"
    );
    assert!(
        found
            .versions
            .iter()
            .all(|version| version.key.id == id("a"))
    );
}

pub async fn heads_that_moved_are_refused(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let commit = |change| {
        store.commit(
            &world.scope,
            Unit {
                changes: vec![change],
                ..Unit::default()
            },
        )
    };
    let json = patient("p", "A");
    let again = world.change(&*store, &json, None);
    commit(world.change(&*store, &json, None)).await.unwrap();
    let head = world.head(&*store, &key("Patient/p")).await.unwrap();
    match commit(again).await {
        Err(CommitError::Stale { current, .. }) => assert_eq!(current, Some(head)),
        other => panic!("{other:?}"),
    }
    let late = world.change(&*store, &json, Some(head));
    commit(world.change(&*store, &json, Some(head)))
        .await
        .unwrap();
    assert!(matches!(commit(late).await, Err(CommitError::Stale { .. })));
    let missing = world.change(&*store, &patient("q", "B"), Some(head));
    assert!(matches!(
        commit(missing).await,
        Err(CommitError::Stale { current: None, .. })
    ));

    // A clock that jumped back gives rows below the head's.
    let head = world.head(&*store, &key("Patient/p")).await.unwrap();
    let mut back = world.change(&*store, &json, Some(head));
    back.version_row = RowId(head.version_row.0 - 1);
    assert!(matches!(commit(back).await, Err(CommitError::Malformed(_))));
    let mut taken = world.change(&*store, &patient("r", "C"), None);
    (taken.row, taken.version_row) = (head.version_row, head.version_row);
    assert!(matches!(
        commit(taken).await,
        Err(CommitError::Malformed(_))
    ));
    let mut skips = world.change(&*store, &json, Some(head));
    skips.version = VersionId(9);
    assert!(matches!(
        commit(skips).await,
        Err(CommitError::Malformed(_))
    ));
    assert_eq!(world.head(&*store, &key("Patient/p")).await, Some(head));
}

pub async fn a_unit_is_stored_whole_or_not_at_all(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    world.put(&*store, &[&patient("old", "A")]).await.unwrap();
    store.settle(&world.scope).await.unwrap();
    let before = store
        .log_head(&world.scope, store::Log::Changes)
        .await
        .unwrap();
    let changes: Vec<_> = ["new1", "old", "new2"]
        .iter()
        .map(|name| world.change(&*store, &patient(name, "B"), None))
        .collect();
    let refused = store
        .commit(
            &world.scope,
            Unit {
                changes,
                ..Unit::default()
            },
        )
        .await;
    assert!(matches!(refused, Err(CommitError::Stale { .. })));
    for name in ["Patient/new1", "Patient/new2"] {
        assert_eq!(store.read(&world.scope, &key(name)).await.unwrap(), None);
    }
    assert!(
        world
            .search(&*store, "Patient", "family=B")
            .await
            .is_empty()
    );
    store.settle(&world.scope).await.unwrap();
    assert_eq!(
        store
            .log_head(&world.scope, store::Log::Changes)
            .await
            .unwrap(),
        before
    );
    assert!(matches!(
        store.commit(&world.scope, Unit::default()).await,
        Err(CommitError::Malformed(_))
    ));

    let changes: Vec<_> = (0..100)
        .map(|n| world.change(&*store, &patient(&format!("m{n}"), "Many"), None))
        .collect();
    let receipt = store
        .commit(
            &world.scope,
            Unit {
                changes,
                ..Unit::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(receipt.entries.len(), 100);
    assert_eq!(
        world.search(&*store, "Patient", "family=many").await.len(),
        100
    );
}

/// A unit that creates a patient if none has the identifier.
fn conditional(
    world: &World,
    store: &dyn store::Store,
    name: &str,
    mrn: &str,
    seen: Vec<RowId>,
) -> Unit {
    let json = format!(
        r#"{{"resourceType":"Patient","id":"{name}","identifier":[{{"system":"urn:mrn","value":"{mrn}"}}]}}"#
    );
    let plan = world.plan("Patient", &format!("identifier=urn:mrn|{mrn}"));
    Unit {
        changes: vec![world.change(store, &json, None)],
        guards: vec![Guard { plan, seen }],
        ..Unit::default()
    }
}

pub async fn parallel_conditional_creates_make_one(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (store, world) = (Arc::clone(&store), world.clone());
            tokio::spawn(async move {
                let unit = conditional(&world, &*store, &format!("c{number}"), "42", Vec::new());
                store.commit(&world.scope, unit).await
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(CommitError::GuardChanged { guard: 0 }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(
        world
            .search(&*store, "Patient", "identifier=urn:mrn|42")
            .await
            .len(),
        1
    );
}

pub async fn a_guard_sees_what_was_committed(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    store
        .commit(
            &world.scope,
            conditional(&world, &*store, "a", "1", Vec::new()),
        )
        .await
        .unwrap();
    let row = world.head(&*store, &key("Patient/a")).await.unwrap().row;
    let seen = conditional(&world, &*store, "b", "1", vec![row]);
    store.commit(&world.scope, seen).await.unwrap();
    let outdated = conditional(&world, &*store, "c", "1", vec![row]);
    assert!(matches!(
        store.commit(&world.scope, outdated).await,
        Err(CommitError::GuardChanged { guard: 0 })
    ));
    world.delete(&*store, "Patient/b", Some("b")).await.unwrap();
    let fits = conditional(&world, &*store, "c", "1", vec![row]);
    store.commit(&world.scope, fits).await.unwrap();
}

/// Each start is a process of its own, with a clock that is a year ahead or behind of the one before.
pub async fn clocks_may_jump_by_a_year(bed: &mut impl Bed) {
    const YEAR: i64 = 365 * 24 * 3600;
    let mut rows: Vec<RowId> = Vec::new();
    for (start, years) in [0, 1, -1, -3, 0].into_iter().enumerate() {
        let world = World::of_seed(50 + start as u64);
        world.clock.advance(years * YEAR);
        let store = bed.open(&world, WINDOW).await;
        world.found(&*store).await;
        if let Some(floor) = store.greatest_row(&world.scope).await.unwrap() {
            assert_eq!(Some(&floor), rows.last());
            world.ids.raise_row_floor(floor);
        }
        for jump in [0, YEAR, -2 * YEAR] {
            world.clock.advance(jump);
            let json = patient("p", &format!("Start{start}"));
            world.put(&*store, &[&json]).await.unwrap();
            let look = world.entry(store::Log::Access, ledger::leaf::Class::Read, Some("p"));
            store.record_access(&world.scope, vec![look]).await.unwrap();
            let head = world.head(&*store, &key("Patient/p")).await.unwrap();
            assert!(rows.iter().all(|row| *row < head.version_row), "{rows:?}");
            rows.push(head.version_row);
        }
        store.settle(&world.scope).await.unwrap();
        let report = super::source::Logs::read(&*store, &world.scope)
            .await
            .verify(&store.log_verifier());
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let query = format!("family=start{start}");
        assert_eq!(world.search(&*store, "Patient", &query).await, ["p"]);
        store.close().await;
    }
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    let mut versions = Vec::new();
    for version in 1..=rows.len() as u32 {
        let read = store
            .vread(&world.scope, &key("Patient/p"), VersionId(version))
            .await;
        versions.push(read.unwrap().unwrap().version_row);
    }
    assert_eq!(versions, rows);
}

pub async fn everything_is_there_after_opening_again(bed: &mut impl Bed) {
    let world = World::new();
    let json = patient("p", "Quinn");
    let (head, verifier) = {
        let store = bed.open(&world, WINDOW).await;
        world.found(&*store).await;
        world.put(&*store, &[&json]).await.unwrap();
        store.settle(&world.scope).await.unwrap();
        let head = store
            .log_head(&world.scope, store::Log::Changes)
            .await
            .unwrap();
        store.close().await;
        (head, store.log_verifier())
    };
    let store = bed.open(&world, WINDOW).await;
    assert_eq!(store.tenants().await.unwrap(), [world.scope.tenant()]);
    assert_eq!(store.log_verifier(), verifier);
    assert_eq!(
        store
            .log_head(&world.scope, store::Log::Changes)
            .await
            .unwrap(),
        head
    );
    let read = store
        .read(&world.scope, &key("Patient/p"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.body.as_deref(), Some(json.as_bytes()));
    assert_eq!(
        world.search(&*store, "Patient", "family=quinn").await,
        ["p"]
    );
    world.found(&*store).await;
    world.put(&*store, &[&patient("p", "Price")]).await.unwrap();
    store.health(&world.scope).await.unwrap();
}

pub async fn large_and_odd_bodies_come_back_exactly(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let noise: String = (0..300_000u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
        .collect();
    let bodies = [
        r#"{"resourceType":"Basic","id":"small"}"#.to_owned(),
        format!(
            r#"{{"resourceType":"Basic","id":"long","text":{{"div":"{}"}}}}"#,
            "ä€😀".repeat(90_000)
        ),
        format!(r#"{{"resourceType":"Basic","id":"noise","text":{{"div":"{noise}"}}}}"#),
    ];
    for body in &bodies {
        let mut change = world.change(&*store, r#"{"resourceType":"Basic","id":"x"}"#, None);
        change.key.id = world.ids_from(body);
        change.entry.object = Some((change.key.clone(), Some(VersionId(1))));
        change.body = body.as_bytes().to_vec();
        assert_eq!(change.expected, Expected::Absent);
        let name = change.key.clone();
        store
            .commit(
                &world.scope,
                Unit {
                    changes: vec![change],
                    ..Unit::default()
                },
            )
            .await
            .unwrap();
        let read = store.read(&world.scope, &name).await.unwrap().unwrap();
        assert!(read.body.as_deref() == Some(body.as_bytes()));
    }
}

impl World {
    fn ids_from(&self, body: &str) -> kernel::LogicalId {
        let _ = self;
        id(body
            .split("\"id\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap())
    }
}

/// A page is bounded in bytes as well as in items: it ends early, and goes on where it ended.
pub async fn pages_end_early_when_bodies_are_large(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let long = "long ".repeat(2000);
    let mut bytes = 0;
    for name in ["a", "b", "c", "d", "e"] {
        let body = patient(name, &long);
        world.put(&*store, &[&body]).await.unwrap();
        bytes = body.len();
    }
    world.delete(&*store, "Patient/c", Some("c")).await.unwrap();
    // What one page may hold, and how many items that is at most.
    for (most, items) in [(1, 1), (bytes, 1), (2 * bytes, 2), (bytes * 9, 10)] {
        let mut plan = world.plan("Patient", "");
        plan.bytes = most;
        let mut found = Vec::new();
        loop {
            let page = store.search(&world.scope, &plan).await.unwrap();
            assert!((1..=items).contains(&page.matches.len()), "{most}");
            found.extend(page.matches.iter().map(|one| one.key.id.to_string()));
            let Some(next) = page.next else { break };
            plan.after = Some(next);
        }
        assert_eq!(found, ["e", "d", "b", "a"], "{most}");

        let mut query = HistoryQuery {
            scope: HistoryScope::Type(ty("Patient")),
            since: None,
            until: None,
            before: None,
            limit: 100,
            bytes: most,
            restriction: None,
        };
        let mut found = Vec::new();
        loop {
            let page = store.history(&world.scope, &query).await.unwrap();
            let bodies = page.versions.iter().filter(|one| one.body.is_some());
            assert!(bodies.count() <= items, "{most}");
            assert!(!page.versions.is_empty(), "{most}");
            found.extend(page.versions.iter().map(|one| one.key.id.to_string()));
            let Some(next) = page.next else { break };
            query.before = Some(next);
        }
        assert_eq!(found, ["c", "e", "d", "c", "b", "a"], "{most}");
    }
}
