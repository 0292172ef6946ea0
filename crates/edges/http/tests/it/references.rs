//! Referential integrity where a tenant asks for it: on writes, on deletions, in bundles, in a race.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Answer, Call, LAKESIDE, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

fn observation(id: &str, subject: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "x" },
        "subject": { "reference": subject } })
}

async fn house() -> (TestServer, String) {
    let server = TestServer::start().await;
    let operator = server.person("instance", Role::Operator).await;
    let set = Call::put("/operator/api/v1/tenants/rosewood/references").bearer(&operator);
    let set = server
        .send(set.json(&json!({ "references": "enforce" })))
        .await
        .expect(200);
    assert_eq!(set.json()["references"], "enforce");
    let token = server.program(ROSEWOOD).await;
    let patient = json!({ "resourceType": "Patient", "id": "p" });
    server.put(ROSEWOOD, &token, &patient).await;
    (server, token)
}

async fn put(server: &TestServer, token: &str, body: &Value) -> Answer {
    let at = format!(
        "{BASE}/{}/{}",
        body["resourceType"].as_str().unwrap(),
        body["id"].as_str().unwrap()
    );
    server.send(Call::put(at).bearer(token).json(body)).await
}

#[tokio::test]
async fn validation_says_what_a_write_or_deletion_would_be_refused_for() {
    let (server, token) = house().await;
    put(&server, &token, &observation("o", "Patient/p"))
        .await
        .expect(201);
    let delete = || Call::post(format!("{BASE}/Patient/p/$validate?mode=delete")).bearer(&token);
    let refused = server.send(delete()).await.expect(200).text();
    assert!(
        refused.contains("Observation/o") && !refused.contains("no errors"),
        "{refused}"
    );
    let write = |mode: &str, subject: &str| {
        Call::post(format!("{BASE}/Observation/o/$validate?mode={mode}"))
            .bearer(&token)
            .json(&observation("o", subject))
    };
    for (mode, subject, is_good) in [
        ("update", "Patient/none", false),
        ("update", "Patient/p", true),
        ("update", "Observation/o", true),
        ("create", "Patient/none", false),
    ] {
        let said = server.send(write(mode, subject)).await.expect(200).text();
        assert_eq!(
            !said.contains("which does not exist"),
            is_good,
            "{mode} {subject}: {said}"
        );
    }
    let gone = Call::delete(format!("{BASE}/Observation/o")).bearer(&token);
    server.send(gone).await.expect(204);
    let free = server.send(delete()).await.expect(200).text();
    assert!(free.contains("no errors"), "{free}");
}

#[tokio::test]
async fn what_is_referred_to_exists_and_stays() {
    let (server, token) = house().await;
    let answer = put(&server, &token, &observation("o", "Patient/none"))
        .await
        .expect(422);
    assert!(
        answer
            .text()
            .contains("Observation.subject refers to Patient/none"),
        "{}",
        answer.text()
    );
    for (subject, status) in [
        ("Patient/p", 201),
        ("https://records.example.org/t/rosewood/fhir/Patient/p", 200),
        ("Patient/p/_history/1", 200),
        ("Patient/p/_history/9", 422),
        ("https://elsewhere.example.org/fhir/Patient/none", 200),
        ("Patient/p", 200),
    ] {
        let answer = put(&server, &token, &observation("o", subject)).await;
        assert_eq!(answer.status, status, "{subject}: {}", answer.text());
    }
    let delete = || Call::delete(format!("{BASE}/Patient/p")).bearer(&token);
    let refused = server.send(delete()).await.expect(409);
    assert!(
        refused.text().contains("Observation/o"),
        "{}",
        refused.text()
    );
    let patch = json!([{ "op": "replace", "path": "/subject/reference", "value": "Patient/none" }]);
    let patch = Call::new("PATCH", format!("{BASE}/Observation/o"))
        .bearer(&token)
        .patch(&patch);
    server.send(patch).await.expect(422);
    server
        .send(Call::delete(format!("{BASE}/Observation/o")).bearer(&token))
        .await
        .expect(204);
    server.send(delete()).await.expect(204);
    put(&server, &token, &observation("o", "Patient/p"))
        .await
        .expect(422);
    // The other tenant did not ask for it.
    let other = server.program(LAKESIDE).await;
    server
        .put(LAKESIDE, &other, &observation("o", "Patient/none"))
        .await;
}

#[tokio::test]
async fn a_bundle_is_whole_in_itself() {
    let (server, token) = house().await;
    put(&server, &token, &observation("o", "Patient/p"))
        .await
        .expect(201);
    let entry = |method: &str, url: &str, resource: Option<Value>| {
        let mut entry = json!({ "request": { "method": method, "url": url } });
        if let Some(resource) = resource {
            entry["resource"] = resource;
        }
        entry
    };
    let new = json!({ "resourceType": "Patient", "id": "q" });
    for (entries, status) in [
        (vec![entry("DELETE", "Patient/p", None)], 409),
        (
            vec![
                entry("DELETE", "Patient/p", None),
                entry("PUT", "Observation/n", Some(observation("n", "Patient/p"))),
            ],
            409,
        ),
        (
            vec![entry(
                "PUT",
                "Observation/n",
                Some(observation("n", "Patient/q")),
            )],
            422,
        ),
        (
            vec![
                entry("PUT", "Observation/n", Some(observation("n", "Patient/q"))),
                entry("PUT", "Patient/q", Some(new)),
            ],
            200,
        ),
        (
            vec![
                entry("DELETE", "Patient/p", None),
                entry("PUT", "Observation/o", Some(observation("o", "Patient/q"))),
            ],
            200,
        ),
        (
            vec![
                entry("DELETE", "Patient/q", None),
                entry("DELETE", "Observation/o", None),
                entry("DELETE", "Observation/n", None),
            ],
            200,
        ),
    ] {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        let answer = server
            .send(Call::post(BASE).bearer(&token).json(&bundle))
            .await;
        assert_eq!(answer.status, status, "{bundle}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_deletion_and_a_reference_at_the_same_time_never_both_win() {
    let (server, token) = house().await;
    for n in 0..12 {
        let patient = json!({ "resourceType": "Patient", "id": format!("p{n}") });
        put(&server, &token, &patient).await.expect(201);
        let refer = observation(&format!("o{n}"), &format!("Patient/p{n}"));
        let write = Call::put(format!("{BASE}/Observation/o{n}"))
            .bearer(&token)
            .json(&refer);
        let delete = Call::delete(format!("{BASE}/Patient/p{n}")).bearer(&token);
        let (written, deleted) = tokio::join!(server.send_now(write), server.send_now(delete));
        let (written, deleted) = (written.status.as_u16(), deleted.status.as_u16());
        assert!(
            matches!((written, deleted), (201, 409) | (422, 204)),
            "written {written}, deleted {deleted}"
        );
    }
}

#[tokio::test]
async fn a_refusal_names_only_what_the_caller_may_see() {
    let (server, feed) = house().await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    for (id, ward) in [("n", &north), ("s", &south)] {
        let patient = json!({ "resourceType": "Patient", "id": id,
            "managingOrganization": { "reference": format!("Organization/{ward}") } });
        put(&server, &feed, &patient).await.expect(201);
    }
    let mut about = observation("secret", "Patient/s");
    about["focus"] = json!([{ "reference": "Patient/n" }]);
    put(&server, &feed, &about).await.expect(201);
    let ward = server.program_at(ROSEWOOD, here).await;
    let refused = server
        .send(Call::delete(format!("{BASE}/Patient/n")).bearer(&ward))
        .await
        .expect(409);
    assert!(!refused.text().contains("secret"), "{}", refused.text());
    let write = observation("mine", "Patient/n");
    put(&server, &ward, &write).await.expect(201);
    // A reference to what is out of reach answers as one to what is not there.
    let mut hidden = write.clone();
    hidden["focus"] = json!([{ "reference": "Patient/s" }]);
    let mut missing = write;
    missing["focus"] = json!([{ "reference": "Patient/t" }]);
    let hidden = put(&server, &ward, &hidden).await.expect(422);
    let missing = put(&server, &ward, &missing).await.expect(422);
    assert_eq!(
        hidden.text().replace("Patient/s", "Patient/t"),
        missing.text()
    );
}

#[tokio::test]
async fn a_tenant_may_be_warned_only() {
    let (server, token) = house().await;
    put(&server, &token, &observation("o", "Patient/p"))
        .await
        .expect(201);
    let operator = server.person("instance", Role::Operator).await;
    let set = Call::put("/operator/api/v1/tenants/rosewood/references").bearer(&operator);
    let set = set.json(&json!({ "references": "warn" }));
    assert_eq!(
        server.send(set).await.expect(200).json()["references"],
        "warn"
    );
    let dangling = observation("n", "Patient/none");
    let write = Call::put(format!("{BASE}/Observation/n"))
        .bearer(&token)
        .header("prefer", "return=OperationOutcome")
        .json(&dangling);
    let told = server.send(write).await.expect(201);
    assert_eq!(told.header("validation-issues"), "errors=0; warnings=1");
    let issue = &told.json()["issue"][1];
    assert_eq!(
        (&issue["severity"], &issue["code"], &issue["expression"][0]),
        (
            &json!("warning"),
            &json!("not-found"),
            &json!("Observation.subject")
        ),
        "{issue}"
    );
    // A bundle is stored as well, with its warnings counted.
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": "Observation/m" }, "resource": observation("m", "Patient/none") },
        { "request": { "method": "PUT", "url": "Observation/l" }, "resource": observation("l", "Patient/p") },
    ]});
    let stored = server
        .send(Call::post(BASE).bearer(&token).json(&bundle))
        .await
        .expect(200);
    assert_eq!(stored.header("validation-issues"), "errors=0; warnings=1");
    let said = Call::post(format!("{BASE}/Observation/n/$validate?mode=update")).bearer(&token);
    let said = server.send(said.json(&dangling)).await.expect(200).text();
    assert!(
        said.contains("which does not exist") && said.contains("warning"),
        "{said}"
    );
    let delete = Call::delete(format!("{BASE}/Patient/p")).bearer(&token);
    let gone = server
        .send(delete.header("prefer", "return=OperationOutcome"))
        .await
        .expect(200);
    assert_eq!(gone.header("validation-issues"), "errors=0; warnings=1");
    let text = gone.text();
    assert!(
        text.contains("1 resource was deleted") && text.contains("Observation/o"),
        "{text}"
    );
    let read = Call::get(format!("{BASE}/Patient/p")).bearer(&token);
    server.send(read).await.expect(410);
}
