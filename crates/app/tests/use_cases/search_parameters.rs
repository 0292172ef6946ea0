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
async fn a_parameter_that_fails_for_some_says_so() {
    let house = House::build().await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    // Two names, of which the expression wants one.
    house.put(&doctor, &nicknamed("two", "Bis")).await.unwrap();
    let single = definition("s", "only", "Patient.name.single().family");
    house.put(&admin, &single).await.unwrap();
    advance(&house, &admin).await;
    house.clock.advance(house.app.settings().reindex_grace_ms);
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    let reason = async || {
        let found = status::status(&house.app, &admin).await.unwrap();
        assert_eq!(found.parameters[0].state, "incomplete");
        found.parameters[0].reason.clone().unwrap()
    };
    assert!(reason().await.contains("for 1 versions"));
    // New versions count, too.
    house.clock.advance(2_000);
    house.put(&doctor, &nicknamed("new", "Bis")).await.unwrap();
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    assert!(reason().await.contains("for 2 versions"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
pub async fn a_parameter_finds_everything_or_is_not_offered() {
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
    for (query, expected) in [
        ("_sort=nickname", ["meanwhile", "after", "before"]),
        ("_sort=-nickname", ["before", "after", "meanwhile"]),
    ] {
        let (ids, _) = house
            .search(&doctor, &format!("Patient?{query}"))
            .await
            .unwrap();
        assert_eq!(ids, expected, "{query}");
    }
    // The mark that there is a value is no value.
    let (ids, _) = house
        .search(&doctor, "Patient?nickname:contains=present")
        .await
        .unwrap();
    assert_eq!(ids, Vec::<String>::new());
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
pub async fn a_reference_parameter_of_ones_own_includes_both_ways() {
    let house = House::build_with(|settings| settings.reindex_grace_ms = 0).await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    let mut own = definition(
        "r",
        "replaces",
        "Patient.link.where(type = 'replaces').other",
    );
    own["type"] = "reference".into();
    own["target"] = json!(["Patient"]);
    house.put(&admin, &own).await.unwrap();
    house.put(&doctor, &nicknamed("old", "Bis")).await.unwrap();
    let mut new = nicknamed("new", "Bis");
    new["link"] = json!([{ "other": { "reference": "Patient/old" }, "type": "replaces" }]);
    house.put(&doctor, &new).await.unwrap();
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    house.clock.advance(2_000);
    for (query, expected) in [
        ("_id=new&_include=Patient:replaces", "old"),
        ("_id=old&_revinclude=Patient:replaces", "new"),
        (
            "_id=new&_sort=replaces&_include=Patient:replaces:Patient",
            "old",
        ),
    ] {
        let request = app::record::search::SearchRequest {
            ty: house.app.definitions().resource("Patient").unwrap(),
            params: app::record::query_string::parse(query).unwrap(),
            lenient: false,
        };
        let answer = app::record::search::search(&house.app, &doctor, &request)
            .await
            .unwrap();
        let ids: Vec<&str> = answer
            .included
            .iter()
            .map(|one| one.key.id.as_str())
            .collect();
        assert_eq!(ids, [expected], "{query}");
    }
}

/// What an expression fails for is not among the matches, and the answer says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn what_could_not_be_evaluated_is_named_in_answers() {
    let house = House::build_with(|settings| settings.reindex_grace_ms = 0).await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    // More than one family name: `single()` fails.
    let own = definition("o", "onlyname", "Patient.name.family.single()");
    house.put(&admin, &own).await.unwrap();
    house.put(&doctor, &nicknamed("good", "x")).await.unwrap();
    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    house.clock.advance(2_000);
    let notices = async |query: &str| {
        let request = app::record::search::SearchRequest {
            ty: house.app.definitions().resource("Patient").unwrap(),
            params: app::record::query_string::parse(query).unwrap(),
            lenient: false,
        };
        let answer = app::record::search::search(&house.app, &doctor, &request)
            .await
            .unwrap();
        let ids: Vec<String> = answer
            .matches
            .iter()
            .map(|one| one.key.id.to_string())
            .collect();
        (ids, answer.notices)
    };
    let (ids, said) = notices("onlyname=adler").await;
    assert_eq!((ids, said.len()), (vec!["good".to_owned()], 0));
    let mut bad = nicknamed("bad", "x");
    bad["name"] = json!([{ "family": "Adler" }, { "family": "Birke" }]);
    house.put(&doctor, &bad).await.unwrap();
    let (ids, said) = notices("onlyname=adler").await;
    assert_eq!(ids, ["good"]);
    assert!(
        said[0].diagnostics.contains("onlyname was not checked"),
        "{said:?}"
    );
    assert!(notices("family=adler").await.1.is_empty());
    bad["name"] = json!([{ "family": "Birke" }]);
    house.put(&doctor, &bad).await.unwrap();
    assert!(notices("onlyname=adler").await.1.is_empty());
}

/// A record written by a release that made fewer index rows: what needs the others is refused until they are
/// there, and everything else goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
pub async fn an_older_index_is_built_anew_and_never_answers_with_less() {
    let house = House::build().await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    for id in ["b", "a"] {
        let patient = json!({
            "resourceType": "Patient", "id": id, "gender": "female",
            "name": [{ "family": "Adler" }], "communication": [{ "language": { "text": "Welsh" } }]
        });
        house.put(&doctor, &patient).await.unwrap();
    }
    let scope = &doctor.scope;
    let store = &*house.store;
    let key = house.key("Patient/b");
    let head = store.read(scope, &key).await.unwrap().unwrap();
    let less = store::Reindexed {
        key,
        version: head.version,
        index: store::PackedIndex::default(),
    };
    assert_eq!(store.reindex(scope, vec![less]).await.unwrap(), 1);
    let kept = store
        .doc(scope, store::DocKind::SearchParameters, "table")
        .await
        .unwrap()
        .unwrap();
    let older = store::DocWrite {
        kind: store::DocKind::SearchParameters,
        id: "table".to_owned(),
        expected: store::DocExpected::Version(kept.version),
        body: Some(br#"{"rows":[],"passes":[],"next":32768}"#.to_vec()),
        time: kernel::Timestamp::from_millis(1),
        expires: None,
        lookups: Vec::new(),
    };
    store.operate(scope, vec![older]).await.unwrap();
    house.clock.advance(2_000);
    for query in [
        "Patient?language:text=welsh",
        "Patient?gender:code-text=fem",
        "Patient?_sort=gender",
        "Patient?_text=adler",
        "Patient?_has:Observation:subject:code:text=x",
    ] {
        let error = house.search(&doctor, query).await.unwrap_err();
        assert_eq!(error.category(), Category::Unavailable, "{query}: {error}");
        assert!(error.to_string().contains("is not ready"), "{error}");
    }
    assert!(!status::status(&house.app, &admin).await.unwrap().whole);
    house
        .search(&doctor, "Patient?_sort=birthdate")
        .await
        .unwrap();

    assert_eq!(advance(&house, &admin).await, Standing::Settled);
    house.clock.advance(2_000);
    assert!(status::status(&house.app, &admin).await.unwrap().whole);
    for query in [
        "Patient?language:text=welsh",
        "Patient?_sort=gender,_id",
        "Patient?family=adler",
    ] {
        let (mut ids, _) = house.search(&doctor, query).await.unwrap();
        ids.sort_unstable();
        assert_eq!(ids, ["a", "b"], "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn a_type_is_indexed_anew_on_order_by_those_who_may() {
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
