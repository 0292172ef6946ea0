//! Searches: parameters, errors, paging and cursors, projections.

use app::record::search::{SearchRequest, search};
use app::record::{query_string, render};
use app::{AppError, QueryError};
use kernel::{Categorised as _, Category};
use serde_json::Value;

use crate::house::{House, observation, patient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_and_or_and_modifiers() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    for (id, family) in [("a", "Adler"), ("b", "Birke"), ("c", "Ådlersen")] {
        house.put(&doctor, &patient(id, family)).await.unwrap();
        house.clock.advance(1);
    }
    let cases = [
        ("Patient?family=adler", vec!["c", "a"]),
        ("Patient?family=adler,birke", vec!["c", "b", "a"]),
        ("Patient?family=adler&_id=a", vec!["a"]),
        ("Patient?_id=a,b", vec!["b", "a"]),
        ("Patient?_id:not=a", vec!["c", "b"]),
        ("Patient?family:exact=Birke", vec!["b"]),
        ("Patient?family:exact=birke", vec![]),
        ("Patient?family:contains=dler", vec!["c", "a"]),
        (
            "Patient?gender:missing=true&_sort=family",
            vec!["a", "c", "b"],
        ),
        ("Patient?_sort=-_id", vec!["c", "b", "a"]),
        ("Patient?_sort=_lastUpdated", vec!["a", "b", "c"]),
        (
            "Patient?_lastUpdated=gt2026-03-05T08:00:00Z",
            vec!["c", "b"],
        ),
        ("Patient?_lastUpdated=lt2026", vec![]),
    ];
    for (query, expected) in cases {
        let (ids, _) = house.search(&doctor, query).await.unwrap();
        assert_eq!(ids, expected, "{query}");
    }
}

/// In pages of one, while others write: codes, references and URIs in order, without a value last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_references_and_uris_sort() {
    let house = House::build().await;
    let (doctor, admin) = (house.doctor().await, house.admin("ash").await);
    for (id, gender) in [("a", Some("male")), ("b", None), ("c", Some("female"))] {
        let mut one = patient(id, "Adler");
        if let Some(gender) = gender {
            one["gender"] = gender.into();
        }
        house.put(&doctor, &one).await.unwrap();
    }
    let about = [
        ("o1", "Patient/c"),
        ("o2", "Patient/a"),
        ("o3", "http://elsewhere.example/fhir/Patient/a"),
        ("o4", "Patient/never"),
    ];
    for (id, subject) in about {
        let observation = serde_json::json!({
            "resourceType": "Observation", "id": id, "status": "final",
            "code": { "text": "x" }, "subject": { "reference": subject }
        });
        house.put(&doctor, &observation).await.unwrap();
    }
    for (id, url) in [("v1", "urn:b"), ("v2", "urn:a")] {
        let set = serde_json::json!({
            "resourceType": "ValueSet", "id": id, "status": "draft", "url": url
        });
        house.put(&admin, &set).await.unwrap();
    }
    let cases = [
        ("Patient?_sort=gender", vec!["c", "a", "b"]),
        ("Patient?_sort=-gender", vec!["a", "c", "b"]),
        ("Observation?_sort=subject", vec!["o2", "o1", "o3", "o4"]),
        ("Observation?_sort=-subject", vec!["o3", "o1", "o2", "o4"]),
        ("ValueSet?_sort=url", vec!["v2", "v1"]),
        ("ValueSet?_sort=-url", vec!["v1", "v2"]),
    ];
    let mut written = 0;
    for (query, expected) in cases {
        let (mut ids, _) = house.search(&doctor, query).await.unwrap();
        ids.retain(|id| !id.starts_with("new"));
        assert_eq!(ids, expected, "{query}");
        let mut found = Vec::new();
        let mut next = None::<String>;
        loop {
            let from = next.map_or_else(String::new, |next| format!("&_cursor={next}"));
            let page = format!("{query}&_count=1{from}");
            let (ids, more) = house.search(&doctor, &page).await.unwrap();
            found.extend(ids.into_iter().filter(|id| !id.starts_with("new")));
            // Without a value, so that it is last.
            if found.len() < expected.len() {
                written += 1;
                let new = patient(&format!("new{written}"), "Neu");
                house.put(&doctor, &new).await.unwrap();
            }
            next = more;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{query} by one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_understood_is_an_error_unless_lenient() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("a", "Adler")).await.unwrap();
    let offered =
        |error: &AppError| matches!(error, AppError::Query(QueryError::NotOffered { .. }));
    for query in [
        "Patient?nope=1",
        "Patient?birthdate=2026-02-30",
        "Patient?_count=x",
        "Patient?_count=-1",
        "Patient?_sort=nope",
        "Patient?_summary=some",
        "Patient?_total=all",
        "Patient?_id=a b",
        "Patient?family:nope=x",
        "Patient?general-practitioner.nope.x",
        "Patient?nope.name=x",
    ] {
        let error = house.search(&doctor, query).await.unwrap_err();
        assert_eq!(error.category(), Category::Invalid, "{query}: {error}");
    }
    for query in [
        "Patient?_contained=true",
        "Patient?_query=x",
        "Patient?_list=$current-problems",
        "Patient?_filter=family ew \"x\"",
        "Location?near:missing=true",
    ] {
        let error = house.search(&doctor, query).await.unwrap_err();
        assert!(offered(&error), "{query}: {error:?}");
    }
    let request = SearchRequest {
        ty: house.app.definitions().resource("Patient").unwrap(),
        params: query_string::parse("nope=1&family=adler&_include=x").unwrap(),
        lenient: true,
    };
    let answer = search(&house.app, &doctor, &request).await.unwrap();
    assert_eq!(answer.ignored, ["nope", "_include"]);
    assert_eq!(answer.matches.len(), 1);
    let shown = render::searchset("http://h/fhir", "Patient", &answer);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["entry"][1]["search"]["mode"], "outcome");
    assert_eq!(
        shown["link"][0]["url"],
        "http://h/fhir/Patient?family=adler"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_complete_and_cursors_are_bound() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    for number in 0..7 {
        let id = format!("p{number}");
        house.put(&doctor, &patient(&id, "Same")).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut query = "Patient?family=same&_count=3".to_owned();
    let mut cursors = Vec::new();
    loop {
        let (ids, next) = house.search(&doctor, &query).await.unwrap();
        seen.extend(ids);
        let Some(next) = next else { break };
        query = format!("Patient?family=same&_count=3&_cursor={next}");
        cursors.push(next);
    }
    assert_eq!(seen, ["p6", "p5", "p4", "p3", "p2", "p1", "p0"]);

    let cursor = &cursors[0];
    let foreign = house.caller("birch", identity::Role::Doctor).await;
    let good = format!("Patient?family=same&_count=3&_cursor={cursor}");
    let refused = [
        (&foreign, good.clone()),
        (
            &doctor,
            format!("Patient?family=other&_count=3&_cursor={cursor}"),
        ),
        (&doctor, format!("Patient?_count=3&_cursor={cursor}")),
        (&doctor, format!("Person?_count=3&_cursor={cursor}")),
        (
            &doctor,
            format!("Patient?family=same&_count=3&_cursor={cursor}A"),
        ),
        (
            &doctor,
            "Patient?family=same&_count=3&_cursor=AAAA".to_owned(),
        ),
    ];
    for (caller, query) in refused {
        let error = house.search(caller, &query).await.unwrap_err();
        assert!(
            matches!(error, AppError::Query(QueryError::Cursor)),
            "{query}: {error}"
        );
    }
    assert!(house.search(&doctor, &good).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_summaries_and_elements() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    house.put(&doctor, &observation("o1", "p1")).await.unwrap();
    let ask = async |query: &str| {
        let request = SearchRequest {
            ty: house.app.definitions().resource("Observation").unwrap(),
            params: query_string::parse(query).unwrap(),
            lenient: false,
        };
        search(&house.app, &doctor, &request).await.unwrap()
    };
    for query in ["_summary=count", "_count=0"] {
        let answer = ask(query).await;
        assert_eq!(
            (answer.total, answer.matches.len()),
            (Some(1), 0),
            "{query}"
        );
    }
    assert_eq!(ask("_total=accurate").await.total, Some(1));
    assert_eq!(ask("code=8867-4").await.total, None);
    let cut = ask("_elements=value").await;
    let body: Value = serde_json::from_slice(cut.matches[0].body.as_ref().unwrap()).unwrap();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "resourceType",
            "id",
            "meta",
            "status",
            "code",
            "valueQuantity"
        ]
    );
    assert_eq!(body["meta"]["tag"][0]["code"], "SUBSETTED");
    let text = std::str::from_utf8(cut.matches[0].body.as_ref().unwrap())
        .unwrap()
        .to_owned();
    assert!(text.contains("72.5"), "{text}");
    let data = ask("_summary=data").await;
    let body: Value = serde_json::from_slice(data.matches[0].body.as_ref().unwrap()).unwrap();
    assert!(body.get("subject").is_some());
    let text = ask("_summary=text").await;
    let body: Value = serde_json::from_slice(text.matches[0].body.as_ref().unwrap()).unwrap();
    assert!(body.get("subject").is_none() && body.get("status").is_some());
}
