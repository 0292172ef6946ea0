//! What a tenant's terminology is made from, and when a change of it is seen: by this process at once, by
//! another one within seconds, by another tenant never.

use std::sync::Arc;

use app::operations::input::{Given, Input};
use app::operations::terminology::expand;
use app::terminology::install::{self, Source};
use app::{App, AppError, Settings};
use fhir::terminology::{Answer, Coded, Terminology as _};
use identity::Role;
use kernel::{Categorised as _, Category, Ids as _};
use serde_json::{Value, json};
use store::blob::Blobs;
use terminology::system::{Builder, CodeSystem, ConceptDraft, Head};

use crate::house::House;

fn animals(codes: &[&str]) -> Value {
    let concepts: Vec<Value> = codes.iter().map(|code| json!({ "code": code })).collect();
    json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://animals", "status": "active",
        "content": "complete", "concept": concepts,
    })
}

async fn knows(app: &App, caller: &app::Caller, code: &str) -> Answer {
    let engine = app.terminology(&caller.scope).await.unwrap();
    engine.exists(&Coded {
        system: Some("http://animals"),
        version: None,
        code,
    })
}

fn packed(codes: &[&str]) -> CodeSystem {
    let mut builder = Builder::new(Head::new("http://animals", Some("1"), "Animals"));
    for code in codes {
        let draft = ConceptDraft {
            code,
            ..ConceptDraft::default()
        };
        builder.add(&draft).unwrap();
    }
    builder.finish().unwrap()
}

/// Another process on the same store.
fn replica(house: &House, files: &Blobs) -> App {
    let settings = Settings::with_secret([9; 32]);
    App::new(
        house.store.clone(),
        house.clock.clone(),
        house.ids.clone(),
        settings,
    )
    .unwrap()
    .with_files(files.clone())
}

#[tokio::test]
pub async fn a_change_is_seen_here_at_once_and_elsewhere_within_seconds() {
    let house = House::build().await;
    let folder = tempfile::tempdir().unwrap();
    let files = Blobs::in_folder(folder.path()).unwrap();
    let other = replica(&house, &files);
    let (ash, birch) = (house.admin("ash").await, house.admin("birch").await);
    assert_eq!(knows(&house.app, &ash, "cat").await, Answer::Unknown);
    assert_eq!(knows(&other, &ash, "cat").await, Answer::Unknown);
    house.put(&ash, &animals(&["cat"])).await.unwrap();
    assert_eq!(knows(&house.app, &ash, "cat").await, Answer::Yes);
    assert_eq!(knows(&house.app, &ash, "dog").await, Answer::No);
    assert_eq!(knows(&house.app, &birch, "cat").await, Answer::Unknown);
    house.clock.advance(5);
    assert_eq!(knows(&other, &ash, "cat").await, Answer::Yes);
    assert_eq!(knows(&other, &birch, "cat").await, Answer::Unknown);
    house.put(&ash, &animals(&["dog"])).await.unwrap();
    assert_eq!(knows(&house.app, &ash, "cat").await, Answer::No);
    house.clock.advance(5);
    assert_eq!(knows(&other, &ash, "dog").await, Answer::Yes);
    // A faulty one is not known, rather than what it was before.
    let mut circle = animals(&["cat"]);
    circle["concept"] = json!([
        { "code": "a", "property": [{ "code": "parent", "valueCode": "a" }] },
    ]);
    house.put(&ash, &circle).await.unwrap();
    assert_eq!(knows(&house.app, &ash, "dog").await, Answer::Unknown);
    let key = house.key("CodeSystem/animals");
    app::record::delete::delete(&house.app, &ash, &key, None)
        .await
        .unwrap();
    assert_eq!(knows(&house.app, &ash, "dog").await, Answer::Unknown);
}

#[tokio::test]
pub async fn what_was_slow_to_be_committed_is_seen_too() {
    let house = House::build().await;
    let folder = tempfile::tempdir().unwrap();
    let other = replica(&house, &Blobs::in_folder(folder.path()).unwrap());
    let ash = house.admin("ash").await;
    house.clock.advance(600);
    assert_eq!(knows(&other, &ash, "cat").await, Answer::Unknown);
    let early = house.ids.row_id();
    house.clock.advance(1);
    let mut later = animals(&["x"]);
    later["id"] = json!("plants");
    later["url"] = json!("http://plants");
    house.put(&ash, &later).await.unwrap();
    assert_eq!(knows(&house.app, &ash, "cat").await, Answer::Unknown);
    house.clock.advance(3);
    assert_eq!(knows(&other, &ash, "cat").await, Answer::Unknown);
    // Prepared before the other one, and committed after it.
    house.ids.rows_from(Some(early));
    house.put(&ash, &animals(&["cat"])).await.unwrap();
    house.ids.rows_from(None);
    assert_eq!(knows(&house.app, &ash, "cat").await, Answer::Yes);
    house.clock.advance(3);
    assert_eq!(knows(&other, &ash, "cat").await, Answer::Yes);
}

#[tokio::test]
pub async fn an_operator_installs_for_every_tenant_and_each_process() {
    let house = House::build().await;
    let folder = tempfile::tempdir().unwrap();
    let files = Blobs::in_folder(folder.path()).unwrap();
    let (here, other) = (replica(&house, &files), replica(&house, &files));
    let (ash, birch) = (house.admin("ash").await, house.admin("birch").await);
    let source = || Source {
        name: "animals.csv".to_owned(),
        refused: 0,
    };
    let doctor = house.caller("ash", Role::Doctor).await;
    let refused = install::install(&here, &doctor, packed(&["cat"]), source()).await;
    assert!(
        matches!(refused, Err(AppError::Denied { .. })),
        "{refused:?}"
    );
    assert_eq!(knows(&other, &ash, "cat").await, Answer::Unknown);
    let operator = &house.operator;
    install::install(&here, operator, packed(&["cat"]), source())
        .await
        .unwrap();
    for caller in [&ash, &birch] {
        assert_eq!(knows(&here, caller, "cat").await, Answer::Yes);
    }
    house.clock.advance(5);
    assert_eq!(knows(&other, &birch, "cat").await, Answer::Yes);
    // A tenant's own stands before it, for that tenant.
    let app = Arc::new(here.clone());
    house.put(&ash, &animals(&["dog"])).await.unwrap();
    house.clock.advance(5);
    assert_eq!(knows(&app, &ash, "cat").await, Answer::No);
    assert_eq!(knows(&app, &birch, "cat").await, Answer::Yes);
    let listed = install::installed(&here, operator).await.unwrap();
    assert_eq!((listed.len(), listed[0].concepts), (1, 1));
    assert_eq!(
        install::remove(&here, operator, "http://animals", Some("2"))
            .await
            .unwrap_err()
            .category(),
        Category::NotFound
    );
    assert_eq!(
        install::remove(&here, operator, "http://animals", None)
            .await
            .unwrap(),
        1
    );
    assert_eq!(knows(&here, &birch, "cat").await, Answer::Unknown);
    house.clock.advance(5);
    assert_eq!(knows(&other, &birch, "cat").await, Answer::Unknown);
}

#[tokio::test]
pub async fn stored_value_sets_are_expanded_and_searched_by() {
    let house = House::build().await;
    let caller = house.integration("ash").await;
    house
        .put(&caller, &animals(&["cat", "dog", "newt"]))
        .await
        .unwrap();
    let mut pets = json!({
        "resourceType": "ValueSet", "id": "pets", "url": "http://pets", "status": "active",
        "compose": { "include": [{ "system": "http://animals", "concept": [{ "code": "cat" }, { "code": "dog" }] }] },
    });
    house.put(&caller, &pets).await.unwrap();
    for (id, code) in [("a", "cat"), ("b", "newt"), ("c", "dog")] {
        let body = json!({
            "resourceType": "Observation", "id": id, "status": "final",
            "code": { "coding": [{ "system": "http://animals", "code": code }] },
        });
        house.put(&caller, &body).await.unwrap();
    }
    let codes = async || {
        let url = Given::Text("http://pets".to_owned());
        let parameters = vec![("url".to_owned(), url)];
        let input = Input { parameters };
        let answer = expand::expand(&house.app, &caller, None, input).await;
        let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        let contains = answer["expansion"]["contains"].as_array().unwrap();
        let code = |one: &Value| one["code"].as_str().unwrap().to_owned();
        let mut codes: Vec<String> = contains.iter().map(code).collect();
        codes.sort();
        codes
    };
    let found = async |query: &str| {
        let mut ids = house.search(&caller, query).await.unwrap().0;
        ids.sort();
        ids
    };
    assert_eq!(codes().await, ["cat", "dog"]);
    assert_eq!(found("Observation?code:in=http://pets").await, ["a", "c"]);
    assert_eq!(found("Observation?code:not-in=http://pets").await, ["b"]);
    pets["compose"]["include"][0]["concept"] = json!([{ "code": "newt" }]);
    house.put(&caller, &pets).await.unwrap();
    assert_eq!(codes().await, ["newt"]);
    assert_eq!(found("Observation?code:in=http://pets").await, ["b"]);
}
