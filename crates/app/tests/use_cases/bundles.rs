//! Batches and transactions.

use app::{AppError, record};
use kernel::Categorised as _;
use serde_json::{Value, json};

use crate::house::{House, entry, observation, patient, transaction};

fn with(mut entry: Value, pairs: &[(&str, &str)]) -> Value {
    for (name, value) in pairs {
        match *name {
            "fullUrl" => entry["fullUrl"] = json!(value),
            name => entry["request"][name] = json!(value),
        }
    }
    entry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_links_its_entries() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house
        .put(&doctor, &patient("known", "Known"))
        .await
        .unwrap();
    let urn = "urn:uuid:018f2c3e-7b1a-7c3d-9e4f-0123456789ab";
    let mut linked = observation("x", "p");
    linked["subject"]["reference"] = json!(urn);
    let mut conditional = observation("y", "p");
    conditional["subject"]["reference"] = json!("Patient?family=known");
    let bundle = transaction(&[
        entry("GET", "Observation?code=8867-4&_summary=count", None),
        with(entry("POST", "Observation", Some(linked)), &[]),
        with(entry("PUT", "Observation/y", Some(conditional)), &[]),
        with(
            entry("POST", "Patient", Some(patient("p", "New"))),
            &[("fullUrl", urn)],
        ),
    ]);
    let answer = house.bundle(&doctor, &bundle).await.unwrap();
    assert_eq!(answer["type"], "transaction-response");
    let status: Vec<&str> = (0..4)
        .map(|i| answer["entry"][i]["response"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        status,
        ["200 OK", "201 Created", "201 Created", "201 Created"]
    );
    assert_eq!(
        answer["entry"][0]["resource"]["total"], 2,
        "GET sees what was written"
    );
    let location = answer["entry"][3]["response"]["location"].as_str().unwrap();
    let made = location.strip_suffix("/_history/1").unwrap();
    assert_eq!(answer["entry"][3]["response"]["etag"], "W/\"1\"");
    let location = answer["entry"][1]["response"]["location"].as_str().unwrap();
    let shown = house
        .read(&doctor, location.strip_suffix("/_history/1").unwrap())
        .await
        .unwrap();
    assert_eq!(shown["subject"]["reference"], made);
    let shown = house.read(&doctor, "Observation/y").await.unwrap();
    assert_eq!(shown["subject"]["reference"], "Patient/known");
    let (ids, _) = house
        .search(&doctor, &format!("Observation?subject={made}"))
        .await
        .unwrap();
    assert_eq!(
        ids.len(),
        1,
        "the rewritten reference is what it is found by"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_all_or_nothing_and_names_the_entry() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("old", "Old")).await.unwrap();
    let good = || entry("PUT", "Patient/p1", Some(patient("p1", "One")));
    let mut dangling = observation("o", "p");
    dangling["subject"]["reference"] = json!("urn:uuid:018f2c3e-7b1a-7c3d-9e4f-000000000000");
    let mut nobody = observation("o", "p");
    nobody["subject"]["reference"] = json!("Patient?family=nobody");
    let bad = [
        entry(
            "PUT",
            "Patient/p2",
            Some(json!({"resourceType": "Patient", "id": "p2", "nope": 1})),
        ),
        entry("PUT", "Patient/p2", Some(patient("p3", "Other"))),
        entry("PUT", "Patient/p2", Some(observation("p2", "p1"))),
        entry("PATCH", "Patient/p2", Some(patient("p2", "Two"))),
        entry("POST", "Nope", Some(patient("p2", "Two"))),
        entry("POST", "Patient/p2", Some(patient("p2", "Two"))),
        entry("PUT", "Patient/p2", None),
        entry("POST", "Observation", Some(dangling)),
        entry("POST", "Observation", Some(nobody)),
        with(
            entry("PUT", "Patient/old", Some(patient("old", "New"))),
            &[("ifMatch", "W/\"7\"")],
        ),
        with(
            entry("POST", "Patient", Some(patient("x", "X"))),
            &[("ifNoneExist", "nope=1")],
        ),
        entry("DELETE", "Patient/old", None),
    ];
    for bad in bad {
        let bundle = transaction(&[good(), bad.clone()]);
        let error = house.bundle(&doctor, &bundle).await.unwrap_err();
        assert!(
            matches!(error, AppError::Entry { index: 1, .. }),
            "{bad}: {error:?}"
        );
        assert!(error.public_text().contains("Bundle.entry[1]"), "{error}");
        assert!(house.read(&doctor, "Patient/p1").await.is_err(), "{bad}");
    }
    let twice = transaction(&[good(), good()]);
    assert!(matches!(
        house.bundle(&doctor, &twice).await,
        Err(AppError::Invalid(_))
    ));
    let shown = house.read(&doctor, "Patient/old").await.unwrap();
    assert_eq!(shown["meta"]["versionId"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_creates_in_transactions_make_one() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let person =
        json!({"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]});
    let post = || {
        with(
            entry("POST", "Patient", Some(person.clone())),
            &[
                ("ifNoneExist", "identifier=urn:x|1"),
                ("fullUrl", "urn:uuid:018f2c3e-7b1a-7c3d-9e4f-0123456789ab"),
            ],
        )
    };
    let bundle = transaction(&[post(), post()]);
    let calls = (0..6).map(|_| house.bundle(&doctor, &bundle));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    let (ids, _) = house
        .search(&doctor, "Patient?identifier=urn:x|1")
        .await
        .unwrap();
    assert_eq!(ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transaction_is_prepared_in_parallel_and_keyed() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let mut entries = vec![entry("PUT", "Patient/p", Some(patient("p", "P")))];
    for number in 0..200 {
        let id = format!("o{number}");
        let url = format!("Observation/{id}");
        entries.push(entry("PUT", &url, Some(observation(&id, "p"))));
    }
    let keyed = House::with_key(&doctor, "import-1");
    let bundle = transaction(&entries);
    let first = house.bundle(&keyed, &bundle).await.unwrap();
    assert_eq!(first["entry"].as_array().unwrap().len(), 201);
    let again = house.bundle(&keyed, &bundle).await.unwrap();
    assert_eq!(first, again, "the kept answer");
    let shown = house.read(&doctor, "Observation/o199").await.unwrap();
    assert_eq!(shown["meta"]["versionId"], "1");
    let (ids, _) = house
        .search(&doctor, "Observation?subject=Patient/p&_count=1000")
        .await
        .unwrap();
    assert_eq!(ids.len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_does_each_entry_for_itself() {
    let house = House::build().await;
    let service = house.integration("ash").await;
    house.put(&service, &patient("dead", "Dead")).await.unwrap();
    let mut bundle = transaction(&[
        entry("GET", "Patient/p1", None),
        entry("PUT", "Patient/p1", Some(patient("p1", "One"))),
        entry(
            "PUT",
            "Patient/p2",
            Some(json!({"resourceType": "Patient", "id": "p2", "nope": 1})),
        ),
        entry("DELETE", "Patient/dead", None),
        entry("GET", "Patient/nobody", None),
        entry("FLY", "Patient/p1", None),
    ]);
    bundle["type"] = json!("batch");
    let answer = house.bundle(&service, &bundle).await.unwrap();
    assert_eq!(answer["type"], "batch-response");
    let status: Vec<&str> = (0..6)
        .map(|i| answer["entry"][i]["response"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        status,
        [
            "200 OK",
            "201 Created",
            "422 Unprocessable Content",
            "204 No Content",
            "404 Not Found",
            "400 Bad Request"
        ]
    );
    let issue = &answer["entry"][2]["response"]["outcome"]["issue"][0];
    assert!(
        issue["expression"][0]
            .as_str()
            .unwrap()
            .starts_with("Patient"),
        "{issue}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bundles_and_limits_are_refused() {
    let house = House::build_with(|settings| {
        settings.limits.bundle_entries = 2;
        settings.limits.resource_bytes = 400;
        settings.limits.bundle_bytes = 4000;
    })
    .await;
    let doctor = house.doctor().await;
    let put = |n: u32| {
        entry(
            "PUT",
            &format!("Patient/p{n}"),
            Some(patient(&format!("p{n}"), "X")),
        )
    };
    let error = house
        .bundle(&doctor, &transaction(&[put(1), put(2), put(3)]))
        .await;
    assert!(matches!(error, Err(AppError::TooLarge(_))));
    let error = house
        .bundle(
            &doctor,
            &transaction(&[entry(
                "PUT",
                "Patient/a",
                Some(patient("a", &"x".repeat(600))),
            )]),
        )
        .await;
    assert!(matches!(error, Err(AppError::Entry { index: 0, .. })));
    let error = house
        .bundle(
            &doctor,
            &transaction(&[entry(
                "PUT",
                "Patient/a",
                Some(patient("a", &"x".repeat(6000))),
            )]),
        )
        .await;
    assert!(matches!(error, Err(AppError::TooLarge(_))));
    for body in [
        json!({"resourceType": "Patient"}),
        json!({"resourceType": "Bundle", "type": "searchset"}),
        json!({"resourceType": "Bundle", "type": "batch", "entry": {}}),
    ] {
        assert!(
            matches!(
                house.bundle(&doctor, &body).await,
                Err(AppError::Invalid(_))
            ),
            "{body}"
        );
    }
    let empty = json!({"resourceType": "Bundle", "type": "transaction"});
    assert_eq!(
        house.bundle(&doctor, &empty).await.unwrap()["type"],
        "transaction-response"
    );
}

/// A look that fails fails the transaction, and nothing of it is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_look_fails_the_transaction() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    for id in ["there", "gone", "going"] {
        house.put(&doctor, &patient(id, "Old")).await.unwrap();
    }
    let service = house.integration("ash").await;
    record::delete::delete(&house.app, &service, &house.key("Patient/gone"), None)
        .await
        .unwrap();
    let looks = [
        ("Patient/nobody", 404),
        ("Patient/nobody/_history", 404),
        ("Patient/nobody/_history/1", 404),
        ("Patient/there/_history/9", 404),
        ("Patient/gone", 410),
        ("Patient/going", 410),
        ("Patient/going/_history/2", 410),
        ("Patient?nonsense=1", 400),
        ("Patient/there/_history?nonsense=1", 400),
        ("_history?_count=x", 400),
        ("AuditEvent", 403),
        ("AuditEvent/a", 403),
        ("AuditEvent/_history", 403),
    ];
    for (url, status) in looks {
        // Deleting is for programs; a program sees no audit events either.
        let entries = [
            entry("PUT", "Patient/made", Some(patient("made", "New"))),
            entry("DELETE", "Patient/going", None),
            entry("GET", url, None),
        ];
        let error = house.bundle(&service, &transaction(&entries)).await;
        let error = error.unwrap_err();
        assert_eq!(
            error.category().mapping().http_status,
            status,
            "{url}: {error}"
        );
        assert!(
            matches!(&error, AppError::Entry { index: 2, .. }),
            "{url}: {error:?}"
        );
        assert_eq!(error.issues()[0].expression, "Bundle.entry[2]");
        assert!(house.read(&doctor, "Patient/made").await.is_err(), "{url}");
        assert!(house.read(&doctor, "Patient/going").await.is_ok(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_of_a_transaction_see_what_it_did() {
    let house = House::build().await;
    let service = house.integration("ash").await;
    house.put(&service, &patient("old", "Old")).await.unwrap();
    house.put(&service, &patient("left", "Left")).await.unwrap();
    let bundle = transaction(&[
        entry("GET", "Patient/new", None),
        entry("GET", "Patient/new/_history", None),
        entry("GET", "Patient/new/_history/1", None),
        entry("GET", "Patient/old", None),
        entry("GET", "Patient/old/_history/1", None),
        entry("GET", "Patient/left", None),
        entry("GET", "Patient?family=new", None),
        entry("PUT", "Patient/new", Some(patient("new", "New"))),
        entry("PUT", "Patient/old", Some(patient("old", "New"))),
    ]);
    let answer = house.bundle(&service, &bundle).await.unwrap();
    let resource = |at: usize| &answer["entry"][at]["resource"];
    for at in 0..7 {
        assert_eq!(answer["entry"][at]["response"]["status"], "200 OK", "{at}");
    }
    let family = |at: usize| resource(at)["name"][0]["family"].clone();
    assert_eq!(family(0), "New");
    assert_eq!(resource(1)["entry"].as_array().unwrap().len(), 1);
    assert_eq!(family(2), "New");
    assert_eq!(family(3), "New");
    assert_eq!(family(4), "Old");
    assert_eq!(family(5), "Left");
    assert_eq!(resource(6)["entry"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_bounded_in_bytes() {
    const MOST: usize = 40_000;
    let house = House::build_with(|settings| settings.limits.answer_bytes = MOST).await;
    let doctor = house.doctor().await;
    for n in 0..12 {
        let long = format!("Long {}", "x".repeat(9_000));
        house
            .put(&doctor, &patient(&format!("p{n}"), &long))
            .await
            .unwrap();
    }
    // A page ends early and links to the next; nothing is left out.
    let mut found = 0;
    let mut query = "Patient?_count=100".to_owned();
    loop {
        let (ids, next) = house.search(&doctor, &query).await.unwrap();
        assert!((1..=5).contains(&ids.len()), "{}", ids.len());
        found += ids.len();
        let Some(next) = next else { break };
        query = format!("Patient?_count=100&_cursor={next}");
    }
    assert_eq!(found, 12);

    let looks: Vec<Value> = (0..12)
        .map(|n| entry("GET", &format!("Patient/p{n}"), None))
        .collect();
    let mut batch = transaction(&looks);
    batch["type"] = json!("batch");
    let answer = house.bundle(&doctor, &batch).await.unwrap();
    assert!(answer.to_string().len() < MOST + 12 * 1000);
    let statuses: Vec<&str> = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["response"]["status"].as_str().unwrap())
        .collect();
    let shown = statuses
        .iter()
        .filter(|status| **status == "200 OK")
        .count();
    let refused = statuses
        .iter()
        .filter(|status| **status == "413 Content Too Large")
        .count();
    assert_eq!((shown, refused), (4, 8), "{statuses:?}");
    let outcome = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["response"]["status"] == "413 Content Too Large")
        .unwrap();
    assert_eq!(
        outcome["response"]["outcome"]["issue"][0]["code"],
        "too-long"
    );

    let error = house.bundle(&doctor, &transaction(&looks)).await;
    assert!(
        matches!(&error, Err(AppError::Entry { source, .. }) if matches!(**source, AppError::TooLarge(_))),
        "{error:?}"
    );
}
