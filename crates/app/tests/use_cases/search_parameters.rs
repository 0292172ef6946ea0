//! Search parameters that a tenant defines: built while everything goes on, offered only when complete.

use app::search_parameters::job::{Standing, of_tenant, round};
use app::search_parameters::status;
use app::{AppError, Caller};
use identity::{SystemTask, system_scope};
use kernel::{Categorised as _, Category};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::House;

fn definition(id: &str, code: &str, expression: &str) -> Value {
    json!({
        "resourceType": "SearchParameter", "id": id, "url": format!("urn:test:{id}"),
        "name": id, "status": "active", "description": "of a test", "code": code,
        "base": ["Patient"], "type": "string", "expression": expression
    })
}

fn nicknamed(id: &str, nickname: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id,
        "name": [{ "family": "Adler" }, { "use": "nickname", "given": [nickname] }]
    })
}

const NICKNAME: &str = "Patient.name.where(use = 'nickname').given";

async fn advance(house: &House, caller: &Caller) -> Standing {
    let scope = system_scope(caller.scope.tenant(), SystemTask::Jobs);
    of_tenant(&house.app, &scope, Uuid::from_u128(5))
        .await
        .unwrap()
}

async fn states(house: &House, caller: &Caller) -> Vec<(String, &'static str)> {
    let found = status::status(&house.app, caller).await.unwrap();
    let state = |one: status::Parameter| (one.code, one.state);
    found.parameters.into_iter().map(state).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
async fn a_parameter_finds_everything_or_is_not_offered() {
    let house = House::build().await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    house
        .put(&doctor, &nicknamed("before", "Biscuit"))
        .await
        .unwrap();
    let unknown = house.search(&doctor, "Patient?nickname=bis").await;
    assert_eq!(unknown.unwrap_err().category(), Category::Invalid);

    house
        .put(&admin, &definition("n", "nickname", NICKNAME))
        .await
        .unwrap();
    assert_eq!(advance(&house, &admin).await, Standing::Waiting);
    assert_eq!(
        states(&house, &admin).await,
        [("nickname".to_owned(), "announced")]
    );
    house.clock.advance(2_000);
    house
        .put(&doctor, &nicknamed("meanwhile", "Bismarck"))
        .await
        .unwrap();
    // Known, and not offered: an answer would miss what is not built yet.
    let building = house
        .search(&doctor, "Patient?nickname=bis")
        .await
        .unwrap_err();
    assert!(building.to_string().contains("being built"), "{building}");

    house.clock.advance(house.app.settings().reindex_grace_ms);
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    assert_eq!(
        states(&house, &admin).await,
        [("nickname".to_owned(), "ready")]
    );
    house.clock.advance(2_000);
    house
        .put(&doctor, &nicknamed("after", "Bisou"))
        .await
        .unwrap();
    for (query, expected) in [
        ("Patient?nickname=bis", vec!["after", "meanwhile", "before"]),
        ("Patient?nickname:exact=Bisou", vec!["after"]),
        ("Patient?nickname=bis&_id=before", vec!["before"]),
        (
            "Patient?nickname:missing=false&_sort=_id",
            vec!["after", "before", "meanwhile"],
        ),
        ("Patient?nickname:missing=true", vec![]),
        (
            "Patient?_sort=nickname",
            vec!["before", "meanwhile", "after"],
        ),
    ] {
        let (ids, _) = house.search(&doctor, query).await.unwrap();
        assert_eq!(ids, expected, "{query}");
    }
    house
        .put(&doctor, &nicknamed("before", "Renamed"))
        .await
        .unwrap();
    let (ids, _) = house.search(&doctor, "Patient?nickname=bis").await.unwrap();
    assert_eq!(ids, ["after", "meanwhile"]);
    // The neighbour has no such parameter.
    let other = house.caller("birch", identity::Role::Doctor).await;
    let unknown = house.search(&other, "Patient?nickname=bis").await;
    assert_eq!(unknown.unwrap_err().category(), Category::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_changes_or_goes_is_not_offered_any_more() {
    let house = House::build_with(|settings| settings.reindex_grace_ms = 0).await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    house
        .put(&doctor, &nicknamed("p", "Biscuit"))
        .await
        .unwrap();
    house
        .put(&admin, &definition("n", "nickname", NICKNAME))
        .await
        .unwrap();
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    house.clock.advance(2_000);
    let ids = async |query: &str| house.search(&doctor, query).await.map(|(ids, _)| ids);
    assert_eq!(ids("Patient?nickname=bis").await.unwrap(), ["p"]);

    house
        .put(&admin, &definition("n", "nickname", "Patient.name.family"))
        .await
        .unwrap();
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    house.clock.advance(2_000);
    assert!(ids("Patient?nickname=bis").await.unwrap().is_empty());
    assert_eq!(ids("Patient?nickname=adler").await.unwrap(), ["p"]);

    let mut retired = definition("n", "nickname", NICKNAME);
    retired["status"] = json!("retired");
    house.put(&admin, &retired).await.unwrap();
    advance(&house, &admin).await;
    house.clock.advance(2_000);
    assert_eq!(
        ids("Patient?nickname=bis").await.unwrap_err().category(),
        Category::Invalid
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_offered_is_refused_with_its_reason() {
    let house = House::build_with(|settings| settings.reindex_grace_ms = 0).await;
    let admin = house.admin("ash").await;
    for (id, code, expression) in [
        ("a", "broken", "Patient.name.where("),
        ("b", "family", NICKNAME),
        ("c", "good", NICKNAME),
    ] {
        house
            .put(&admin, &definition(id, code, expression))
            .await
            .unwrap();
    }
    advance(&house, &admin).await;
    let found = status::status(&house.app, &admin).await.unwrap();
    let shown: Vec<_> = found
        .parameters
        .iter()
        .map(|one| (one.code.as_str(), one.state, one.reason.is_some()))
        .collect();
    assert_eq!(
        shown,
        [
            ("broken", "refused", true),
            ("family", "refused", true),
            ("good", "ready", false)
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tenant_is_looked_at_after_a_start_and_then_those_that_changed() {
    let house = House::build_with(|settings| settings.reindex_grace_ms = 0).await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    let holder = Uuid::from_u128(5);
    house
        .put(&doctor, &nicknamed("p", "Biscuit"))
        .await
        .unwrap();
    assert_eq!(round(&house.app, holder).await.unwrap(), Standing::Settled);
    house
        .put(&admin, &definition("n", "nickname", NICKNAME))
        .await
        .unwrap();
    assert_eq!(round(&house.app, holder).await.unwrap(), Standing::Settled);
    house.clock.advance(2_000);
    let (ids, _) = house.search(&doctor, "Patient?nickname=bis").await.unwrap();
    assert_eq!(ids, ["p"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_is_indexed_anew_on_order_by_those_who_may() {
    let house = House::build().await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    house
        .put(&doctor, &nicknamed("p", "Biscuit"))
        .await
        .unwrap();
    let patient = house.app.definitions().resource("Patient").unwrap();
    let refused = status::reindex(&house.app, &doctor, &[patient]).await;
    assert!(
        matches!(refused, Err(AppError::Denied { .. })),
        "{refused:?}"
    );
    status::reindex(&house.app, &admin, &[patient])
        .await
        .unwrap();
    let passes = status::status(&house.app, &admin).await.unwrap().passes;
    assert_eq!(passes.len(), 1);
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    let (ids, _) = house.search(&doctor, "Patient?family=adler").await.unwrap();
    assert_eq!(ids, ["p"]);
}
