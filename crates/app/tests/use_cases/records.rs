//! Create, read, update, delete, history, conditions and idempotency.

use app::record::{create, delete, history, read, render, update};
use app::{AppError, HistoryScope};
use kernel::VersionId;
use serde_json::{Value, json};

use crate::house::{House, observation, patient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_lives_and_dies() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let made = house
        .create(&doctor, &patient("mine", "Quill"))
        .await
        .unwrap();
    assert!(made.created);
    assert_ne!(
        made.version.key.id.as_str(),
        "mine",
        "the server gives the id"
    );
    assert!(made.receipt.is_some());
    let id = made.version.key.id.as_str().to_owned();
    let name = format!("Patient/{id}");

    let shown = house.read(&doctor, &name).await.unwrap();
    assert_eq!(shown["meta"]["versionId"], "1");
    assert_eq!(shown["meta"]["lastUpdated"], "2026-03-05T08:00:00.000Z");
    assert_eq!(shown["id"], id.as_str());

    house.clock.advance(60);
    let second = house
        .put(&doctor, &patient(&id, "Quillfeather"))
        .await
        .unwrap();
    assert!(!second.created);
    assert_eq!(second.version.version, VersionId(2));
    let first = read::vread(&house.app, &doctor, &house.key(&name), VersionId(1))
        .await
        .unwrap();
    assert_eq!(
        first.body, made.version.body,
        "bytes served are the bytes stored"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_changes_nothing_makes_no_version() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    house.clock.advance(60);
    let same = house.put(&doctor, &patient("p1", "One")).await.unwrap();
    assert_eq!(same.version.version, VersionId(1));
    assert!(!same.created && same.receipt.is_none());
    let other = house.put(&doctor, &patient("p1", "Two")).await.unwrap();
    assert_eq!(other.version.version, VersionId(2));
    // What it was once is a change again.
    let back = house.put(&doctor, &patient("p1", "One")).await.unwrap();
    assert_eq!(back.version.version, VersionId(3));
    assert!(back.receipt.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion_is_a_version_and_happens_once() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let name = "Patient/p1".to_owned();
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    house.put(&doctor, &patient("p1", "Two")).await.unwrap();
    let gone = delete::delete(&house.app, &doctor, &house.key(&name), None).await;
    assert!(
        matches!(gone, Err(AppError::Denied { .. })),
        "doctors do not delete"
    );
    let service = house.integration("ash").await;
    let gone = delete::delete(&house.app, &service, &house.key(&name), None)
        .await
        .unwrap();
    assert_eq!(gone.version, Some(VersionId(3)));
    let again = delete::delete(&house.app, &service, &house.key(&name), None)
        .await
        .unwrap();
    assert_eq!((again.version, again.receipt), (Some(VersionId(3)), None));
    assert!(matches!(
        house.read(&doctor, &name).await,
        Err(AppError::Gone {
            version: Some(VersionId(3)),
            erased: false,
            ..
        })
    ));

    let back = house.put(&doctor, &patient("p1", "Again")).await.unwrap();
    assert!(back.created);
    assert_eq!(back.version.version, VersionId(4));

    let request = history::HistoryRequest {
        scope: HistoryScope::Instance(house.key(&name)),
        params: vec![("_count".to_owned(), "3".to_owned())],
        lenient: false,
    };
    let page = history::history(&house.app, &doctor, &request)
        .await
        .unwrap();
    let versions: Vec<u32> = page.versions.iter().map(|v| v.version.0).collect();
    assert_eq!(versions, [4, 3, 2]);
    let mut rest = request.clone();
    rest.params
        .push(("_cursor".to_owned(), page.next.clone().unwrap()));
    let last = history::history(&house.app, &doctor, &rest).await.unwrap();
    assert_eq!(last.versions.len(), 1);
    assert_eq!(last.next, None);
}

type Fits = fn(&AppError) -> bool;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_fit_are_refused() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let ty = house.app.definitions().resource("Patient").unwrap();
    let cases: [(&str, Fits); 7] = [
        ("{", |e| matches!(e, AppError::Json(_))),
        ("[]", |e| matches!(e, AppError::Invalid(_))),
        ("{}", |e| matches!(e, AppError::Invalid(_))),
        (r#"{"resourceType":"Nope"}"#, |e| {
            matches!(e, AppError::Invalid(_))
        }),
        (r#"{"resourceType":"Observation"}"#, |e| {
            matches!(e, AppError::Invalid(_))
        }),
        (
            r#"{"resourceType":"Patient","birthDate":"2026-02-30"}"#,
            |e| matches!(e, AppError::Validation(_)),
        ),
        (r#"{"resourceType":"Patient","nope":1}"#, |e| {
            matches!(e, AppError::Validation(_))
        }),
    ];
    for (body, fits) in cases {
        let body_bytes = bytes::Bytes::from(body.to_owned());
        let error = create::create(&house.app, &doctor, ty, body_bytes, None)
            .await
            .unwrap_err();
        assert!(fits(&error), "{body}: {error:?}");
        assert!(!error.issues().is_empty());
    }
    let key = house.key("Patient/p1");
    for body in [
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Patient","id":"p2"}"#,
    ] {
        let body_bytes = bytes::Bytes::from(body.to_owned());
        let error = update::update(&house.app, &doctor, &key, body_bytes, None)
            .await
            .unwrap_err();
        assert!(matches!(error, AppError::Invalid(_)), "{body}");
    }
    assert!(matches!(
        house.read(&doctor, "Patient/p1").await,
        Err(AppError::NotFound { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_match_refuses_another_version_and_plain_updates_win_races() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    let key = house.key("Patient/p1");
    let body = || bytes::Bytes::from(patient("p1", "Two").to_string());
    let stale = update::update(&house.app, &doctor, &key, body(), Some(VersionId(2))).await;
    assert!(matches!(
        stale,
        Err(AppError::Stale {
            current: Some(VersionId(1)),
            ..
        })
    ));
    update::update(&house.app, &doctor, &key, body(), Some(VersionId(1)))
        .await
        .unwrap();
    let racing = (0..8).map(|number| {
        let body = patient("p1", &format!("Racer {number}")).to_string();
        update::update(&house.app, &doctor, &key, body.into(), None)
    });
    for outcome in futures_util::future::join_all(racing).await {
        outcome.unwrap();
    }
    let shown = house.read(&doctor, "Patient/p1").await.unwrap();
    assert_eq!(shown["meta"]["versionId"], "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_conditional_creates_make_one() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let ty = house.app.definitions().resource("Patient").unwrap();
    let body =
        json!({"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "7"}]});
    let calls = (0..16).map(|_| {
        let body = bytes::Bytes::from(body.to_string());
        create::create(&house.app, &doctor, ty, body, Some("identifier=urn:x|7"))
    });
    let outcomes = futures_util::future::join_all(calls).await;
    let created = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().unwrap().created)
        .count();
    assert_eq!(created, 1);
    let (ids, _) = house
        .search(&doctor, "Patient?identifier=urn:x|7")
        .await
        .unwrap();
    assert_eq!(ids.len(), 1);

    house.create(&doctor, &body).await.unwrap();
    let bytes = bytes::Bytes::from(body.to_string());
    let several = create::create(
        &house.app,
        &doctor,
        ty,
        bytes.clone(),
        Some("identifier=urn:x|7"),
    )
    .await;
    assert!(matches!(several, Err(AppError::MultipleMatches { .. })));
    let none = create::create(&house.app, &doctor, ty, bytes.clone(), Some("")).await;
    assert!(matches!(none, Err(AppError::Invalid(_))));
    let unknown = create::create(&house.app, &doctor, ty, bytes, Some("nope=1")).await;
    assert!(matches!(unknown, Err(AppError::Query(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_updates_and_deletes_need_one_match() {
    let house = House::build().await;
    let service = house.integration("ash").await;
    let ty = house.app.definitions().resource("Patient").unwrap();
    let criteria = vec![("family".to_owned(), "Vane".to_owned())];
    let body = bytes::Bytes::from(
        json!({"resourceType": "Patient", "name": [{"family": "Vane"}]}).to_string(),
    );
    let put = || update::update_where(&house.app, &service, ty, &criteria, body.clone(), None);
    let first = put().await.unwrap();
    assert!(first.created);
    let second = put().await.unwrap();
    assert!(!second.created);
    assert_eq!(second.version.key, first.version.key);
    let gone = delete::delete_where(&house.app, &service, ty, &criteria)
        .await
        .unwrap();
    assert_eq!(gone.version, Some(VersionId(3)));
    let nothing = delete::delete_where(&house.app, &service, ty, &criteria)
        .await
        .unwrap();
    assert_eq!(nothing.version, None);
    for _ in 0..2 {
        house.create(&service, &patient("x", "Vane")).await.unwrap();
    }
    assert!(matches!(put().await, Err(AppError::MultipleMatches { .. })));
    let several = delete::delete_where(&house.app, &service, ty, &criteria).await;
    assert!(matches!(several, Err(AppError::MultipleMatches { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_does_a_thing_once() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    let keyed = House::with_key(&doctor, "k-1");
    let body = observation("x", "p1");
    let calls = (0..4).map(|_| house.create(&keyed, &body));
    let outcomes = futures_util::future::join_all(calls).await;
    let ids: Vec<String> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().unwrap().version.key.id.as_str().to_owned())
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    let (found, _) = house
        .search(&doctor, "Observation?subject=Patient/p1")
        .await
        .unwrap();
    assert_eq!(found, ids[..1]);
    let other = house.create(&keyed, &observation("y", "p1")).await;
    assert!(matches!(other, Err(AppError::Conflict(_))));
    house.clock.advance(25 * 3600);
    let later = house.create(&keyed, &observation("y", "p1")).await.unwrap();
    assert!(!ids.contains(&later.version.key.id.as_str().to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_say_how_each_version_was_made() {
    let house = House::build().await;
    let service = house.integration("ash").await;
    let versions = async |name: &str| {
        let request = history::HistoryRequest {
            scope: HistoryScope::Instance(house.key(name)),
            params: Vec::new(),
            lenient: false,
        };
        let answer = history::history(&house.app, &service, &request)
            .await
            .unwrap();
        let bundle = render::history("http://h/fhir", name, &answer);
        let bundle: Value = serde_json::from_slice(&bundle).unwrap();
        let entries = bundle["entry"].as_array().unwrap();
        let lines: Vec<String> = entries
            .iter()
            .map(|entry| {
                let response = &entry["response"];
                assert!(response["lastModified"].is_string(), "{entry}");
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                format!(
                    "{} {}: {} {}",
                    text(&entry["request"]["method"]),
                    text(&entry["request"]["url"]),
                    text(&response["status"]),
                    text(&response["etag"])
                )
            })
            .collect();
        lines
    };
    let made = house.create(&service, &patient("x", "One")).await.unwrap();
    let id = made.version.key.id.as_str().to_owned();
    let name = format!("Patient/{id}");
    house.put(&service, &patient(&id, "Two")).await.unwrap();
    house.put(&service, &patient("named", "One")).await.unwrap();
    for name in [name.as_str(), "Patient/named"] {
        delete::delete(&house.app, &service, &house.key(name), None)
            .await
            .unwrap();
    }
    house.put(&service, &patient("named", "Two")).await.unwrap();
    assert_eq!(
        versions(&name).await,
        [
            format!("DELETE {name}: 204 No Content W/\"3\""),
            format!("PUT {name}: 200 OK W/\"2\""),
            "POST Patient: 201 Created W/\"1\"".to_owned(),
        ]
    );
    assert_eq!(
        versions("Patient/named").await,
        [
            "PUT Patient/named: 201 Created W/\"3\"",
            "DELETE Patient/named: 204 No Content W/\"2\"",
            "PUT Patient/named: 201 Created W/\"1\"",
        ]
    );
    let (live, _) = house.search(&service, "Patient?family=two").await.unwrap();
    assert_eq!(live, ["named"], "made by an update, and found");
}
