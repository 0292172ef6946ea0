//! New index entries for versions that stay as they are.

use fhir::Definitions;
use fhir::json::{Document, Limits};
use fhir::search::extract;
use kernel::VersionId;
use store::{Reindexed, Store};

use super::world::{World, key, patient};
use super::{Bed, WINDOW};

/// What `json` is found by, given to version `version` of a patient.
fn rows(world: &World, store: &dyn Store, name: &str, version: u32, json: &str) -> Reindexed {
    let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
    let key = key(&format!("Patient/{name}"));
    let extracted = extract(Definitions::r4(), key.ty, document.root());
    Reindexed {
        version: VersionId(version),
        index: store.pack_index(&world.scope, key.ty, &extracted).unwrap(),
        key,
    }
}

pub async fn entries_are_replaced_for_the_current_version_alone(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let family = async |name: &str| {
        let query = format!("family={name}");
        world.search(&*store, "Patient", &query).await
    };
    for name in ["p", "q", "gone"] {
        world
            .put(&*store, &[&patient(name, "Before")])
            .await
            .unwrap();
    }
    world
        .put(&*store, &[&patient("q", "Meanwhile")])
        .await
        .unwrap();
    world
        .delete(&*store, "Patient/gone", Some("gone"))
        .await
        .unwrap();

    let after = |name: &str, version| rows(&world, &*store, name, version, &patient(name, "After"));
    let asked = vec![
        after("p", 1),
        after("q", 1),
        after("gone", 1),
        after("nobody", 1),
    ];
    assert_eq!(store.reindex(&world.scope, asked).await.unwrap(), 1);
    assert_eq!(family("after").await, ["p"]);
    assert_eq!(family("meanwhile").await, ["q"]);
    assert!(family("before").await.is_empty());
    // The version itself is what it was.
    let stored = store
        .read(&world.scope, &key("Patient/p"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.version, VersionId(1));
    assert!(String::from_utf8_lossy(&stored.body.unwrap()).contains("Before"));
    // An update removes the replaced entries, not those the version was made with.
    world.put(&*store, &[&patient("p", "Last")]).await.unwrap();
    assert_eq!(family("last").await, ["p"]);
    assert!(family("after").await.is_empty());
    let store = bed.open(&world, WINDOW).await;
    assert_eq!(world.search(&*store, "Patient", "family=last").await, ["p"]);
}
