//! Searches by every kind of parameter, orders, paging, totals, narrowing.

use std::collections::BTreeSet;

use fhir::Definitions;
use store::{
    Clause, Counting, Predicate, RangeOp, SearchPlan, Sort, SortKey, Store, StoreError, Total,
    WordScope,
};

use super::world::{World, id, ids_of, observation, patient, ty};
use super::{Bed, WINDOW};

async fn clinic(world: &World, store: &dyn Store) {
    world.found(store).await;
    let resources = [
        r#"{"resourceType":"Organization","id":"north","name":"North Wing"}"#.to_owned(),
        r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"7"}],"name":[{"family":"Müller","given":["Ana"]}],"birthDate":"1970-02-03","gender":"female","managingOrganization":{"reference":"Organization/north"}}"#.to_owned(),
        r#"{"resourceType":"Patient","id":"p2","identifier":[{"value":"7"}],"name":[{"family":"Mueller"}],"birthDate":"1980","generalPractitioner":[{"identifier":{"system":"urn:gp","value":"g9"}}]}"#.to_owned(),
        r#"{"resourceType":"Patient","id":"p3","name":[{"text":"Zoë Smith-Miller"}]}"#.to_owned(),
        observation("o1", "p1", "8480-6", "5.4", "2026-01-02T10:00:00Z"),
        observation("o2", "p1", "8462-4", "120", "2026-01-03"),
        observation("o3", "p2", "8480-6", "7", "2026-02"),
        r#"{"resourceType":"ValueSet","id":"v","url":"http://example.org/vs","status":"active"}"#.to_owned(),
        r#"{"resourceType":"RiskAssessment","id":"r","status":"final","subject":{"reference":"Patient/p1"},"prediction":[{"probabilityDecimal":0.8}]}"#.to_owned(),
        r#"{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"code":"AMB"},"period":{"start":"2026-01-01T00:00:00Z"},"subject":{"reference":"Patient/p1"}}"#.to_owned(),
    ];
    for json in &resources {
        world.put(store, &[json]).await.unwrap();
        world.clock.advance(1);
    }
}

pub async fn every_kind_finds_what_it_should(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    clinic(&world, &*store).await;
    let cases: &[(&str, &str, &[&str])] = &[
        ("Patient", "", &["p3", "p2", "p1"]),
        ("Patient", "identifier=7", &["p2", "p1"]),
        ("Patient", "identifier=urn:mrn|7", &["p1"]),
        ("Patient", "identifier=|7", &["p2"]),
        ("Patient", "identifier=urn:mrn|", &["p1"]),
        ("Patient", "identifier:not=urn:mrn|7", &["p3", "p2"]),
        ("Patient", "identifier=7,8&gender=female", &["p1"]),
        ("Patient", "gender:missing=true", &["p3", "p2"]),
        ("Patient", "gender:missing=false", &["p1"]),
        ("Patient", "family=mull", &["p1"]),
        ("Patient", "name=muel", &["p2"]),
        ("Patient", "name:contains=mith", &["p3"]),
        ("Patient", "family:exact=Müller", &["p1"]),
        ("Patient", "family:exact=müller", &[]),
        ("Patient", "birthdate=1970-02-03", &["p1"]),
        ("Patient", "birthdate=ge1980", &["p2"]),
        ("Patient", "birthdate=lt1975", &["p1"]),
        ("Patient", "birthdate=ne1980", &["p1"]),
        ("Patient", "organization=Organization/north", &["p1"]),
        ("Patient", "organization=north", &["p1"]),
        (
            "Patient",
            "general-practitioner:identifier=urn:gp|g9",
            &["p2"],
        ),
        ("Patient", "_id=p2", &["p2"]),
        ("Observation", "code=http://loinc.org|8480-6", &["o3", "o1"]),
        ("Observation", "code=8480-6&subject=Patient/p1", &["o1"]),
        ("Observation", "date=2026-01", &["o2", "o1"]),
        ("Observation", "date=sa2026-01-31", &["o3"]),
        ("Observation", "date=eb2026-01-03", &["o1"]),
        ("Observation", "value-quantity=5.4", &["o1"]),
        ("Observation", "value-quantity=gt6", &["o3", "o2"]),
        (
            "Observation",
            "value-quantity=5.4|http://unitsofmeasure.org|mg/dL",
            &["o1"],
        ),
        ("Observation", "value-quantity=5.4||mg/dL", &["o1"]),
        (
            "Observation",
            "value-quantity=5.4|http://unitsofmeasure.org|mmol/L",
            &[],
        ),
        ("Observation", "code-value-quantity=8480-6$gt6", &["o3"]),
        (
            "Observation",
            "code-value-quantity=http://loinc.org|8480-6$le5.4|http://unitsofmeasure.org|mg/dL",
            &["o1"],
        ),
        ("ValueSet", "url=http://example.org/vs", &["v"]),
        ("ValueSet", "url=http://example.org/v", &[]),
        ("RiskAssessment", "probability=gt0.7", &["r"]),
        ("RiskAssessment", "probability=lt0.7", &[]),
        ("Encounter", "date=gt2030", &["e"]),
        ("Encounter", "date=lt2025", &[]),
    ];
    for (kind, query, expected) in cases {
        let found = match *query {
            "_id=p2" => {
                let mut plan = world.plan(kind, "");
                plan.all_of = vec![Clause {
                    negated: false,
                    any_of: vec![Predicate::Id(id("p2"))],
                }];
                ids_of(&store.search(&world.scope, &plan).await.unwrap())
            }
            _ => world.search(&*store, kind, query).await,
        };
        assert_eq!(found, *expected, "{kind}?{query}");
    }
}

fn sorts() -> Vec<(&'static str, Sort)> {
    let param = |code| {
        Definitions::r4()
            .search_param(ty("Patient"), code)
            .unwrap()
            .id
    };
    let keys = [
        ("row", SortKey::Row),
        ("updated", SortKey::Updated),
        ("id", SortKey::Id),
        ("birthdate", SortKey::Range(param("birthdate"))),
        ("family", SortKey::Text(param("family"))),
    ];
    keys.into_iter()
        .flat_map(|(name, key)| [false, true].map(|descending| (name, Sort { key, descending })))
        .collect()
}

async fn all_pages(world: &World, store: &dyn Store, plan: &SearchPlan) -> Vec<String> {
    let mut plan = plan.clone();
    let mut found = Vec::new();
    loop {
        let page = store.search(&world.scope, &plan).await.unwrap();
        assert!(page.matches.len() <= plan.count as usize);
        found.extend(ids_of(&page));
        match page.next {
            Some(next) => plan.after = Some(next),
            None => return found,
        }
    }
}

/// A bare id stands for a key per type: engines limit how much a statement joins.
pub async fn references_by_bare_id_are_many_keys(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let focus = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"focus":[{"reference":"Patient/p7"},{"reference":"Device/p3"}]}"#;
    world.put(&*store, &[focus]).await.unwrap();
    let ids = |count: usize| {
        let ids: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        ids.join(",")
    };
    // Both references are asked for, and the resource is found once: driven by the list, and tested by it.
    for query in [
        format!("focus={}", ids(20)),
        format!("focus={}&focus=Device/p3", ids(20)),
        format!("status=final&focus={}", ids(100)),
    ] {
        assert_eq!(world.search(&*store, "Observation", &query).await, ["o"]);
        let mut plan = world.plan("Observation", &query);
        plan.total = Total::Accurate;
        let page = store.search(&world.scope, &plan).await.unwrap();
        assert_eq!(page.total, Some(1));
    }
    assert!(
        world
            .search(&*store, "Observation", "focus=q1,q2,q3,q4,q5")
            .await
            .is_empty()
    );
    let beyond = world.plan("Observation", &format!("focus={}", ids(400)));
    let refused = store.search(&world.scope, &beyond).await;
    assert!(matches!(refused, Err(StoreError::TooCostly)), "{refused:?}");
}

/// Each type by its own parameter, and what has no value last.
pub async fn orders_of_several_types_are_one(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let bodies = [
        r#"{"resourceType":"Patient","id":"p1","name":[{"family":"Birke"}]}"#,
        r#"{"resourceType":"Organization","id":"o1","name":"Ahorn"}"#,
        r#"{"resourceType":"Patient","id":"p2"}"#,
        r#"{"resourceType":"Organization","id":"o2","name":"Ceder"}"#,
        r#"{"resourceType":"Organization","id":"o3","active":true}"#,
        r#"{"resourceType":"Patient","id":"p3","name":[{"family":"Zeder","given":["Ase"]}],"active":true}"#,
    ];
    for body in bodies {
        world.put(&*store, &[body]).await.unwrap();
        world.clock.advance(1);
    }
    let param = |code| {
        let organization = Definitions::r4().search_param(ty("Organization"), code);
        organization.unwrap().id
    };
    let cases: [(SortKey, bool, [&str; 6]); 4] = [
        (
            SortKey::Text(param("name")),
            false,
            ["o1", "p3", "p1", "o2", "p2", "o3"],
        ),
        (
            SortKey::Text(param("name")),
            true,
            ["p3", "o2", "p1", "o1", "o3", "p2"],
        ),
        (
            SortKey::Code(param("active")),
            false,
            ["o3", "p3", "p1", "o1", "p2", "o2"],
        ),
        (
            SortKey::Code(param("active")),
            true,
            ["p3", "o3", "o2", "p2", "o1", "p1"],
        ),
    ];
    for (key, descending, expected) in cases {
        let mut plan = world.plan("Patient", "");
        plan.types.push(ty("Organization"));
        plan.sort = vec![Sort { key, descending }];
        for count in [100, 1, 2] {
            plan.count = count;
            let found = all_pages(&world, &*store, &plan).await;
            assert_eq!(found, expected, "{key:?} {descending} by {count}");
        }
    }
}

/// What is changed of a plan.
type Change<'a> = &'a dyn Fn(&mut SearchPlan);

pub async fn what_would_walk_too_much_is_refused_before(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for number in 0..40 {
        let gender = if number % 2 == 0 { "male" } else { "other" };
        let body = format!(
            r#"{{"resourceType":"Patient","id":"n{number:02}","gender":"{gender}","name":[{{"family":"F{number}"}}]}}"#
        );
        world.put(&*store, &[&body]).await.unwrap();
        world.clock.advance(1);
    }
    let reference = Definitions::r4()
        .search_param(ty("Patient"), "general-practitioner")
        .unwrap()
        .id;
    let with = |query: &str, change: Change<'_>| {
        let mut plan = world.plan("Patient", query);
        plan.count = 3;
        change(&mut plan);
        plan
    };
    let nothing: Change<'_> = &|_| {};
    let cases: [(&str, Change<'_>, &str); 4] = [
        ("gender:not=male,other", nothing, "not (gender)"),
        ("family:contains=q", nothing, "family contains"),
        (
            "gender:missing=false",
            &|plan| plan.total = Total::Accurate,
            "_total=estimate",
        ),
        (
            "",
            &|plan| {
                plan.sort = vec![Sort {
                    key: SortKey::Reference(reference),
                    descending: false,
                }];
            },
            "_sort",
        ),
    ];
    for (query, change, said) in cases {
        let mut plan = with(query, change);
        plan.rows = 39;
        let refused = store.search(&world.scope, &plan).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooWide(_)), "{refused:?}");
        let text = refused.to_string();
        assert!(
            text.contains(said) && text.contains("add a criterion"),
            "{text}"
        );
        let explained = store.explain(&world.scope, &plan, Counting::Exact).await;
        let explained = explained.unwrap();
        assert_eq!(explained.refused, Some(text));
        assert_eq!(explained.walked, 40, "{query}");
        // The same within the limit, and what drives, is run.
        plan.rows = 40;
        store.search(&world.scope, &plan).await.unwrap();
        plan = with(&format!("{query}&family=f7"), change);
        plan.rows = 39;
        store.search(&world.scope, &plan).await.unwrap();
    }
    // Every second matches: the walk ends soon.
    let plan = SearchPlan {
        rows: 500,
        ..with("gender:not=male", nothing)
    };
    assert_eq!(
        store
            .search(&world.scope, &plan)
            .await
            .unwrap()
            .matches
            .len(),
        3
    );
}

pub async fn sorts_page_through_everything_once(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for number in 0..23 {
        // Some have no birth date, some no name, several share both, one has two names.
        let birth = if number % 4 == 0 {
            String::new()
        } else {
            format!(r#","birthDate":"19{}0-01-01""#, number % 3 + 5)
        };
        let name = match number % 5 {
            0 => String::new(),
            1 => r#","name":[{"family":"Zed"},{"family":"Abe"}]"#.to_owned(),
            other => format!(r#","name":[{{"family":"F{other}"}}]"#),
        };
        world.put(&*store, &[&format!(r#"{{"resourceType":"Patient","id":"n{number:02}","gender":"other"{birth}{name}}}"#)]).await.unwrap();
        world.clock.advance(1);
    }
    world.put(&*store, &[r#"{"resourceType":"Patient","id":"n05","gender":"other","name":[{"family":"Moved"}]}"#]).await.unwrap();
    for (name, sort) in sorts() {
        for query in ["", "gender=other", "gender:not=male"] {
            let mut plan = world.plan("Patient", query);
            (plan.sort, plan.count) = (vec![sort], 100);
            let whole = ids_of(&store.search(&world.scope, &plan).await.unwrap());
            assert_eq!(whole.len(), 23, "{name} {query}");
            for count in [1, 2, 7] {
                plan.count = count;
                assert_eq!(
                    all_pages(&world, &*store, &plan).await,
                    whole,
                    "{name} {sort:?} {query} by {count}"
                );
            }
        }
    }
    let mut plan = world.plan("Patient", "");
    plan.sort = vec![Sort {
        key: sorts()[6].1.key,
        descending: false,
    }];
    let order = ids_of(&store.search(&world.scope, &plan).await.unwrap());
    // Least lower bound first; those without a date last, in row order.
    assert_eq!(order[..3], ["n03", "n06", "n09"]);
    assert_eq!(
        order[16..],
        ["n00", "n04", "n05", "n08", "n12", "n16", "n20"]
    );
    plan.sort = vec![sorts()[9].1];
    let order = ids_of(&store.search(&world.scope, &plan).await.unwrap());
    assert_eq!(
        order[..5],
        ["n21", "n16", "n11", "n06", "n01"],
        "the greatest of two names counts"
    );
}

pub async fn pages_are_stable_while_others_write(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for number in 0..20 {
        world
            .put(&*store, &[&patient(&format!("s{number:02}"), "Stable")])
            .await
            .unwrap();
    }
    for (_, sort) in sorts() {
        let mut plan = world.plan("Patient", "family=stable");
        (plan.sort, plan.count) = (vec![sort], 3);
        let mut found = Vec::new();
        let mut round = 0;
        loop {
            let page = store.search(&world.scope, &plan).await.unwrap();
            found.extend(ids_of(&page));
            // Others come and go between the pages.
            let name = format!(
                "x{}",
                uuid::Uuid::from_u128(u128::from(kernel::Ids::row_id(&*world.ids).0 as u64))
                    .simple()
            );
            world
                .put(&*store, &[&patient(&name, "Stable")])
                .await
                .unwrap();
            if round % 2 == 1 {
                world
                    .delete(&*store, &format!("Patient/{name}"), Some(&name))
                    .await
                    .unwrap();
            }
            round += 1;
            match page.next {
                Some(next) => plan.after = Some(next),
                None => break,
            }
            assert!(round < 100, "paging ends");
        }
        let stable: Vec<&String> = found.iter().filter(|id| id.starts_with('s')).collect();
        let distinct: BTreeSet<&String> = stable.iter().copied().collect();
        assert_eq!(
            (stable.len(), distinct.len()),
            (20, 20),
            "{sort:?}: each once"
        );
    }
}

pub async fn totals_count_all_pages(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    clinic(&world, &*store).await;
    let cases = [
        ("Patient", "", 3),
        ("Patient", "identifier=7", 2),
        ("Observation", "code=8480-6&subject=Patient/p1", 1),
        ("Observation", "code=1,8480-6,8462-4", 3),
        ("Patient", "gender:not=female", 2),
        ("Patient", "name=nobody", 0),
    ];
    for (kind, query, expected) in cases {
        let mut plan = world.plan(kind, query);
        (plan.total, plan.count) = (Total::Accurate, 1);
        let page = store.search(&world.scope, &plan).await.unwrap();
        assert_eq!(page.total, Some(expected), "{kind}?{query}");
        assert_eq!(page.matches.len() as u64, expected.min(1));
        plan.count = 0;
        let page = store.search(&world.scope, &plan).await.unwrap();
        assert_eq!(
            (page.total, page.matches.len(), page.next),
            (Some(expected), 0, None)
        );
    }
}

pub async fn words_are_found_where_they_stand(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for json in [
        r#"{"resourceType":"Condition","id":"a","subject":{"reference":"Patient/p"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Herz&#173;infarkt: <b>M\u00fcller</b></div>"},"code":{"text":"Heart attack"}}"#,
        r#"{"resourceType":"Condition","id":"b","subject":{"reference":"Patient/p"},"code":{"text":"A heart valve"},"note":[{"text":"attack ruled out, seen by MULLER"}]}"#,
        r#"{"resourceType":"Patient","id":"p","name":[{"family":"Heart"}]}"#,
    ] {
        world.put(&*store, &[json]).await.unwrap();
    }
    let found = |scope, types: &[&str], text: &str| {
        let mut plan = world.plan(types[0], "");
        plan.types = types.iter().map(|name| ty(name)).collect();
        plan.total = Total::Accurate;
        plan.all_of.push(Clause {
            negated: false,
            any_of: vec![Predicate::Words {
                scope,
                words: fhir::search::fold_words(text),
            }],
        });
        let (store, scope) = (&store, &world.scope);
        async move {
            let page = store.search(scope, &plan).await.unwrap();
            assert_eq!(page.total, Some(page.matches.len() as u64));
            ids_of(&page)
        }
    };
    let (narrative, content) = (WordScope::Narrative, WordScope::Content);
    let none: [&str; 0] = [];
    assert_eq!(found(narrative, &["Condition"], "muller").await, ["a"]);
    assert_eq!(found(narrative, &["Condition"], "heart").await, none);
    assert_eq!(found(narrative, &["Condition"], "").await, none);
    assert_eq!(
        found(content, &["Condition"], "M\u{fc}ller").await,
        ["b", "a"]
    );
    assert_eq!(
        found(content, &["Condition"], "attack HEART").await,
        ["b", "a"]
    );
    assert_eq!(found(content, &["Condition"], "heart valve").await, ["b"]);
    assert_eq!(found(content, &["Condition"], "hear").await, none);
    assert_eq!(
        found(content, &["Condition", "Patient"], "heart").await,
        ["p", "b", "a"]
    );
    // An update moves words, a deletion takes them away.
    world.put(&*store, &[r#"{"resourceType":"Condition","id":"b","subject":{"reference":"Patient/p"},"code":{"text":"A valve"}}"#]).await.unwrap();
    assert_eq!(found(content, &["Condition"], "heart").await, ["a"]);
    world
        .delete(&*store, "Condition/a", Some("p"))
        .await
        .unwrap();
    assert_eq!(found(content, &["Condition"], "heart").await, none);
}

pub async fn two_numbers_of_a_tuple_are_compared_together(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let sequence = |name: &str, variants: &[(u32, u32)]| {
        let variants: Vec<String> = variants
            .iter()
            .map(|(start, end)| format!(r#"{{"start":{start},"end":{end}}}"#))
            .collect();
        format!(
            r#"{{"resourceType":"MolecularSequence","id":"{name}","coordinateSystem":0,"referenceSeq":{{"referenceSeqId":{{"coding":[{{"system":"urn:ncbi","code":"NC_1"}}]}}}},"variant":[{}]}}"#,
            variants.join(",")
        )
    };
    world
        .put(&*store, &[&sequence("a", &[(10, 20), (100, 200)])])
        .await
        .unwrap();
    world
        .put(&*store, &[&sequence("b", &[(10, 200)])])
        .await
        .unwrap();
    for (value, expected) in [
        ("NC_1$10$20", &["a"][..]),
        ("NC_1$10$200", &["b"]),
        ("NC_1$lt50$gt150", &["b"]),
        ("NC_1$le10$le200", &["b", "a"]),
        ("NC_1$ge100$ne20", &["a"]),
        ("urn:ncbi|NC_1$sa9$eb21", &["a"]),
        ("NC_2$10$20", &[]),
    ] {
        let query = format!("referenceseqid-variant-coordinate={value}");
        let found = world.search(&*store, "MolecularSequence", &query).await;
        assert_eq!(found, expected, "{value}");
    }
}

pub async fn an_explanation_says_what_drives_and_no_value(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    clinic(&world, &*store).await;
    let mut plan = world.plan("Observation", "code=8480-6&date=ge2026-01-01");
    let family = world.clause(ty("Patient"), "family=Secretname");
    let subject = Definitions::r4()
        .search_param(ty("Observation"), "subject")
        .unwrap();
    plan.all_of.push(Clause {
        negated: false,
        any_of: vec![Predicate::Chain {
            param: subject.id,
            targets: vec![(ty("Patient"), vec![family])],
        }],
    });
    let explained = store
        .explain(&world.scope, &plan, Counting::Exact)
        .await
        .unwrap();
    assert_eq!(explained.clauses.len(), 3);
    let driver = explained.driver.expect("few rows: one of them drives");
    assert!(explained.clauses[driver].rows.is_some());
    let tests: Vec<&str> = explained.clauses.iter().map(|c| c.tests.as_str()).collect();
    assert_eq!(
        tests,
        [
            "code",
            "date in a range",
            "subject to Patient(family begins with)"
        ]
    );
    assert!(!explained.engine.is_empty() && explained.statement.contains("SELECT"));
    let all = format!("{explained:?}").to_lowercase();
    assert!(
        !all.contains("secretname") && !all.contains("8480"),
        "{all}"
    );
}

pub async fn an_update_moves_and_a_deletion_removes(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    world
        .put(&*store, &[&patient("p", "Quinn"), &patient("q", "Quinn")])
        .await
        .unwrap();
    let start = kernel::Clock::now(&*world.clock).as_millis();
    world.clock.advance(10);
    world.put(&*store, &[&patient("p", "Price")]).await.unwrap();
    assert_eq!(
        world.search(&*store, "Patient", "family=quinn").await,
        ["q"]
    );
    assert_eq!(
        world.search(&*store, "Patient", "family=price").await,
        ["p"]
    );
    assert_eq!(
        world.search(&*store, "Patient", "gender=female").await,
        ["q", "p"]
    );
    let updated = |op, ms| Clause {
        negated: false,
        any_of: vec![Predicate::Updated {
            op,
            lo_ms: ms,
            hi_ms: ms,
        }],
    };
    for (op, expected) in [
        (RangeOp::Above, vec!["p"]),
        (RangeOp::Within, vec!["q"]),
        (RangeOp::AboveOrWithin, vec!["q", "p"]),
        (RangeOp::Below, vec![]),
        (RangeOp::NotWithin, vec!["p"]),
    ] {
        let mut plan = world.plan("Patient", "");
        plan.all_of.push(updated(op, start));
        assert_eq!(
            ids_of(&store.search(&world.scope, &plan).await.unwrap()),
            expected,
            "{op:?}"
        );
    }
    world.delete(&*store, "Patient/p", Some("p")).await.unwrap();
    assert!(
        world
            .search(&*store, "Patient", "family=price")
            .await
            .is_empty()
    );
    assert_eq!(world.search(&*store, "Patient", "").await, ["q"]);
    assert_eq!(
        world
            .search(&*store, "Patient", "birthdate=1970-02-03")
            .await,
        ["q"]
    );
}

pub async fn narrowing_to_a_compartment_and_an_organisation(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    clinic(&world, &*store).await;
    let narrowed = |kind: &str, query: &str, predicate: Predicate| {
        let mut plan = world.plan(kind, query);
        plan.all_of.push(Clause {
            negated: false,
            any_of: vec![predicate],
        });
        let (store, scope) = (&store, &world.scope);
        async move { ids_of(&store.search(scope, &plan).await.unwrap()) }
    };
    let of_p1 = || Predicate::Compartment(id("p1"));
    assert_eq!(narrowed("Observation", "", of_p1()).await, ["o2", "o1"]);
    assert_eq!(narrowed("Patient", "", of_p1()).await, ["p1"]);
    assert_eq!(
        narrowed("Observation", "code=8480-6", of_p1()).await,
        ["o1"]
    );
    let north = |or_none| Predicate::PatientOrganization {
        organization: id("north"),
        or_none,
    };
    assert_eq!(narrowed("Patient", "", north(false)).await, ["p1"]);
    assert_eq!(narrowed("Observation", "", north(true)).await, ["o2", "o1"]);
    assert_eq!(narrowed("ValueSet", "", north(true)).await, ["v"]);
    assert!(narrowed("ValueSet", "", north(false)).await.is_empty());
    assert!(narrowed("Patient", "", Predicate::Nothing).await.is_empty());
}

pub async fn one_resource_stands_for_each_value_in_use(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let tagged = |id: &str, tags: &[&str]| {
        let tags: Vec<String> = tags
            .iter()
            .map(|code| format!(r#"{{"system":"urn:t","code":"{code}"}}"#))
            .collect();
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","meta":{{"tag":[{}]}}}}"#,
            tags.join(",")
        )
    };
    let mut resources = vec![tagged("both", &["a", "b"]), tagged("last", &["c"])];
    resources.extend((0..40).map(|n| tagged(&format!("p{n}"), &["a"])));
    resources.push(r#"{"resourceType":"Patient","id":"none"}"#.to_owned());
    for json in &resources {
        world.put(&*store, &[json]).await.unwrap();
    }
    let tag = Definitions::r4()
        .search_param(ty("Patient"), "_tag")
        .unwrap()
        .id;
    let of_other = Definitions::r4()
        .search_param(ty("Observation"), "_tag")
        .unwrap()
        .id;
    let names = |found: Vec<store::ResourceKey>| -> BTreeSet<String> {
        found
            .into_iter()
            .map(|key| key.id.as_str().to_owned())
            .collect()
    };
    let found = store
        .in_use(&world.scope, &[tag, of_other], 100)
        .await
        .unwrap();
    assert!(found.len() <= 3, "{found:?}");
    let found = names(found);
    assert!(
        found.contains("both") && found.contains("last"),
        "{found:?}"
    );
    assert!(!found.contains("none"), "{found:?}");
    assert_eq!(
        store.in_use(&world.scope, &[of_other], 100).await.unwrap(),
        []
    );
    // More values than allowed.
    let refused = store.in_use(&world.scope, &[tag], 3).await;
    assert!(matches!(refused, Err(StoreError::TooCostly)), "{refused:?}");
    // What is gone is not in use.
    world
        .delete(&*store, "Patient/last", Some("last"))
        .await
        .unwrap();
    let found = names(store.in_use(&world.scope, &[tag], 100).await.unwrap());
    assert!(!found.contains("last"), "{found:?}");
}
