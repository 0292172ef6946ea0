//! Histories of what was current at a time, and of what a List names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::conversation::next_link;
use crate::server::{Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

/// `id/version` of every entry, over all pages.
async fn walk(server: &TestServer, token: &str, path: &str) -> Vec<String> {
    let mut address = format!("{BASE}/{path}");
    let mut seen = Vec::new();
    for _ in 0..20 {
        let page = server
            .send(Call::get(&address).bearer(token))
            .await
            .expect(200)
            .json();
        for entry in page["entry"].as_array().cloned().unwrap_or_default() {
            let location = entry["response"]["location"].as_str().unwrap();
            let mut parts = location.split('/').skip(1);
            seen.push(format!(
                "{}/{}",
                parts.next().unwrap(),
                parts.nth(1).unwrap()
            ));
        }
        match next_link(&page) {
            Some(next) => address = next,
            None => return seen,
        }
    }
    panic!("no end of {path}");
}

#[tokio::test]
async fn what_was_current_at_a_time() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let basic = |id: &str, language: &str| json!({ "resourceType": "Basic", "id": id, "code": { "text": "x" }, "language": language });
    let mut times = Vec::new();
    // a: 1, 2 and then 3; b: 1; c: 1 and then deleted; d only after.
    for (id, language) in [("a", "en"), ("b", "en"), ("c", "en"), ("a", "de")] {
        server.put(ROSEWOOD, &token, &basic(id, language)).await;
        times.push(server.app.now());
    }
    server
        .send(Call::delete(format!("{BASE}/Basic/c")).bearer(&token))
        .await
        .expect(204);
    server.clock.advance(60);
    let then = server.app.now().to_fhir_instant();
    server.clock.advance(60);
    let since = server.app.now().to_fhir_instant();
    server.put(ROSEWOOD, &token, &basic("a", "fr")).await;
    server.put(ROSEWOOD, &token, &basic("d", "en")).await;
    let escaped = |text: &str| text.replace(':', "%3A").replace('+', "%2B");
    let at = escaped(&then);
    for path in ["Basic/_history", "_history"] {
        for count in [1, 2, 50] {
            let seen = walk(&server, &token, &format!("{path}?_at={at}&_count={count}")).await;
            let basics: BTreeSet<_> = seen
                .iter()
                .filter(|name| !name.starts_with('o'))
                .cloned()
                .collect();
            assert_eq!(
                basics,
                BTreeSet::from(["a/2".to_owned(), "b/1".to_owned()]),
                "{path} {count}"
            );
            assert_eq!(seen.len(), basics.len(), "each once: {seen:?}");
        }
    }
    // A period: what was current at its beginning, and all that was made in it.
    let day = then.get(..10).unwrap();
    let seen = walk(&server, &token, &format!("Basic/_history?_at={day}")).await;
    assert_eq!(seen.len(), 7, "{seen:?}");
    let late = walk(
        &server,
        &token,
        &format!(
            "Basic/_history?_since={}&_sort=-_lastUpdated",
            escaped(&since)
        ),
    )
    .await;
    assert_eq!(late, ["d/1", "a/3"]);
    let before = escaped(&times.first().unwrap().plus_seconds(-3600).to_fhir_instant());
    assert!(
        walk(&server, &token, &format!("Basic/_history?_at={before}"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn what_a_list_names() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    for (ty, id) in [("Basic", "a"), ("Basic", "b"), ("Patient", "a")] {
        let mut resource = json!({ "resourceType": ty, "id": id });
        if ty == "Basic" {
            resource["code"] = json!({ "text": "x" });
        }
        server.put(ROSEWOOD, &token, &resource).await;
        resource["language"] = json!("en");
        server.put(ROSEWOOD, &token, &resource).await;
    }
    let item = |reference: &str| json!({ "item": { "reference": reference } });
    let list: Value = json!({ "resourceType": "List", "id": "l", "status": "current", "mode": "working",
        "entry": [item("Basic/b"), item("Patient/a")] });
    server.put(ROSEWOOD, &token, &list).await;
    assert_eq!(
        walk(&server, &token, "Basic/_history?_list=l").await,
        ["b/2", "b/1"]
    );
    assert_eq!(
        walk(&server, &token, "_history?_list=List/l&_count=1").await,
        ["a/2", "a/1", "b/2", "b/1"]
    );
    for (path, status) in [
        ("Basic/_history?_list=none", 404),
        ("Basic/_history?_list=a%20b", 400),
        ("Basic/a/_history?_list=l", 400),
        ("Basic/_history?_sort=_lastUpdated", 400),
    ] {
        server
            .send(Call::get(format!("{BASE}/{path}")).bearer(&token))
            .await
            .expect(status);
    }
}
