//! The operations on the record: what they answer, page by page, to whom, and what stands in the ledger.

use std::collections::BTreeSet;

use identity::Role;
use serde_json::{Value, json};

use crate::conversation::next_link;
use crate::server::{Answer, Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

/// Two patients with a visit and observations each, and who cared for them.
async fn house() -> (TestServer, String) {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let practitioner =
        json!({ "resourceType": "Practitioner", "id": "dr", "name": [{ "family": "Dee" }] });
    server.put(ROSEWOOD, &token, &practitioner).await;
    for id in ["a", "b"] {
        let subject = json!({ "reference": format!("Patient/{id}") });
        let of = |n: u8| format!("{id}{n}");
        let mut resources = vec![
            json!({ "resourceType": "Patient", "id": id, "generalPractitioner": [{ "reference": "Practitioner/dr" }] }),
            json!({ "resourceType": "Encounter", "id": id, "status": "finished", "class": { "code": "AMB" },
                "subject": subject, "period": { "start": "2026-01-10", "end": "2026-01-11" },
                "participant": [{ "individual": { "reference": "Practitioner/dr" } }] }),
        ];
        for (n, day, code) in [
            (1, "2026-01-01", "x"),
            (2, "2026-01-10", "x"),
            (3, "2026-02-01", "y"),
        ] {
            resources.push(json!({ "resourceType": "Observation", "id": of(n), "status": "final",
                "code": { "coding": [{ "system": "urn:c", "code": code }] }, "subject": subject,
                "effectiveDateTime": day, "encounter": { "reference": format!("Encounter/{id}") } }));
        }
        for resource in resources {
            server.put(ROSEWOOD, &token, &resource).await;
        }
    }
    (server, token)
}

async fn get(server: &TestServer, token: &str, path: &str) -> Answer {
    server
        .send(Call::get(format!("{BASE}/{path}")).bearer(token))
        .await
}

/// `Type/id` of the entries, with `+` before what is included.
fn names(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry["resource"][name].as_str().unwrap().to_owned();
            let mark = if entry["search"]["mode"] == "include" {
                "+"
            } else {
                ""
            };
            format!("{mark}{}/{}", text("resourceType"), text("id"))
        })
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn everything_about_a_patient_and_nothing_about_another() {
    let (server, token) = house().await;
    let whole = set(&[
        "Patient/a",
        "Encounter/a",
        "Observation/a1",
        "Observation/a2",
        "Observation/a3",
        "+Practitioner/dr",
    ]);
    let all = get(&server, &token, "Patient/a/$everything")
        .await
        .expect(200)
        .json();
    assert_eq!(names(&all).into_iter().collect::<BTreeSet<_>>(), whole);
    assert_eq!(names(&all)[0], "Patient/a");
    for (query, expected) in [
        (
            "_type=Observation",
            &["Observation/a1", "Observation/a2", "Observation/a3"][..],
        ),
        (
            "_type=Patient,Practitioner",
            &["Patient/a", "+Practitioner/dr"],
        ),
        (
            "_type=Observation&start=2026-01-05&end=2026-01-31",
            &["Observation/a2"],
        ),
        (
            "_type=Observation&start=2026-01-10",
            &["Observation/a2", "Observation/a3"],
        ),
        ("_type=Encounter&end=2026-01-09", &[]),
        ("_since=2100-01-01T00:00:00Z", &[]),
    ] {
        let found = get(&server, &token, &format!("Patient/a/$everything?{query}"))
            .await
            .expect(200);
        assert_eq!(
            names(&found.json()).into_iter().collect::<BTreeSet<_>>(),
            set(expected),
            "{query}"
        );
    }
    // Page by page, while something new is written, each once.
    let mut seen = Vec::new();
    let mut address = format!("{BASE}/Patient/a/$everything?_count=2");
    for _ in 0..9 {
        let page = server
            .send(Call::get(&address).bearer(&token))
            .await
            .expect(200)
            .json();
        let found = names(&page);
        let matches = found.iter().filter(|name| !name.starts_with('+')).count();
        assert!(matches <= 2, "{found:?}");
        seen.extend(found);
        let note = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "new" },
            "subject": { "reference": "Patient/b" } });
        server
            .send(
                Call::post(format!("{BASE}/Observation"))
                    .bearer(&token)
                    .json(&note),
            )
            .await
            .expect(201);
        match next_link(&page) {
            Some(next) => address = next,
            None => break,
        }
    }
    let matches: Vec<_> = seen.iter().filter(|name| !name.starts_with('+')).collect();
    assert_eq!(matches.len(), 5, "{seen:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), whole);
    for (path, status) in [
        ("Patient/none/$everything", 404),
        ("Patient/a/$everything?_sort=date", 400),
        ("Patient/a/$everything?_type=Nothing", 400),
        ("Patient/a/$everything?start=then", 400),
        ("Patient/a/$everything?_cursor=AAAA", 400),
    ] {
        get(&server, &token, path).await.expect(status);
    }
    let posted = json!({ "resourceType": "Parameters", "parameter": [{ "name": "_type", "valueCode": "Encounter" }] });
    let posted = Call::post(format!("{BASE}/Patient/a/$everything"))
        .bearer(&token)
        .json(&posted);
    assert_eq!(
        names(&server.send(posted).await.expect(200).json()),
        ["Encounter/a"]
    );
}

#[tokio::test]
async fn everything_about_a_visit_and_about_those_a_patient_replaced() {
    let (server, token) = house().await;
    let visit = get(&server, &token, "Encounter/a/$everything")
        .await
        .expect(200)
        .json();
    assert_eq!(
        names(&visit).into_iter().collect::<BTreeSet<_>>(),
        set(&[
            "Encounter/a",
            "Observation/a1",
            "Observation/a2",
            "Observation/a3",
            "+Patient/a",
            "+Practitioner/dr"
        ])
    );
    let mut linked = json!({ "resourceType": "Patient", "id": "a" });
    linked["link"] = json!([{ "other": { "reference": "Patient/b" }, "type": "replaces" }]);
    server.put(ROSEWOOD, &token, &linked).await;
    let all = names(
        &get(
            &server,
            &token,
            "Patient/a/$everything?_type=Observation,Patient",
        )
        .await
        .expect(200)
        .json(),
    );
    assert_eq!(
        all.into_iter().collect::<BTreeSet<_>>(),
        set(&[
            "Patient/a",
            "Patient/b",
            "Observation/a1",
            "Observation/a2",
            "Observation/a3",
            "Observation/b1",
            "Observation/b2",
            "Observation/b3"
        ])
    );
}

#[tokio::test]
async fn a_ward_sees_its_own_and_every_look_is_recorded() {
    let server = TestServer::start().await;
    let feed = server.program(ROSEWOOD).await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    for (id, ward) in [("n", &north), ("s", &south)] {
        let organization = json!({ "reference": format!("Organization/{ward}") });
        let other = json!([{ "other": { "reference": "Patient/s" }, "type": "replaces" }]);
        let mut patient =
            json!({ "resourceType": "Patient", "id": id, "managingOrganization": organization });
        if id == "n" {
            patient["link"] = other;
        }
        server.put(ROSEWOOD, &feed, &patient).await;
        let observation = json!({ "resourceType": "Observation", "id": id, "status": "final",
            "code": { "text": "secret" }, "subject": { "reference": format!("Patient/{id}") } });
        server.put(ROSEWOOD, &feed, &observation).await;
    }
    let nurse = server.person_at(ROSEWOOD, Role::Nurse, here).await;
    let found = get(&server, &nurse, "Patient/n/$everything")
        .await
        .expect(200)
        .json();
    let found: BTreeSet<_> = names(&found)
        .into_iter()
        .filter(|name| !name.contains("Organization"))
        .collect();
    assert_eq!(
        found,
        set(&["Patient/n", "Observation/n"]),
        "a replaced patient out of reach stays out"
    );
    get(&server, &nurse, "Patient/s/$everything")
        .await
        .expect(404);
    get(&server, &nurse, "Observation/$lastn?patient=s")
        .await
        .expect(200);
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let address = "/t/rosewood/api/v1/audit/patients/n?log=access";
    let trail = server
        .send(Call::get(address).bearer(&auditor))
        .await
        .expect(200)
        .text();
    assert!(trail.contains("Patient/n/$everything"), "{trail}");
}

#[tokio::test]
async fn the_newest_of_each_code() {
    let (server, token) = house().await;
    let of = |path: &str| format!("Observation/$lastn?{path}");
    for (query, expected) in [
        ("patient=a", &["Observation/a3", "Observation/a2"][..]),
        (
            "patient=Patient/a&max=2",
            &["Observation/a3", "Observation/a2", "Observation/a1"],
        ),
        ("subject=Patient/a&code=urn:c%7Cx", &["Observation/a2"]),
        ("patient=a&date=lt2026-01-05", &["Observation/a1"]),
    ] {
        let found = get(&server, &token, &of(query)).await.expect(200).json();
        assert_eq!(names(&found), expected, "{query}");
        assert_eq!(found["total"], expected.len());
    }
    for (query, status) in [
        ("", 400),
        ("code=x", 400),
        ("patient=a&max=0", 400),
        ("patient=a&max=101", 400),
        ("patient=a&_sort=date", 400),
        ("patient=a&nonsense=1", 400),
    ] {
        get(&server, &token, &of(query)).await.expect(status);
    }
}

#[tokio::test]
async fn a_composition_becomes_a_document() {
    let (server, token) = house().await;
    let composition = json!({ "resourceType": "Composition", "id": "c", "status": "final", "type": { "text": "letter" },
        "title": "Letter", "date": "2026-02-02", "subject": { "reference": "Patient/a" },
        "author": [{ "reference": "Practitioner/dr" }],
        "section": [{ "title": "Findings", "entry": [{ "reference": "Observation/a2" }, { "reference": "Observation/b1" }] }] });
    server.put(ROSEWOOD, &token, &composition).await;
    let made = get(&server, &token, "Composition/c/$document")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&made["type"], &made["resourceType"]),
        (&json!("document"), &json!("Bundle"))
    );
    assert!(
        made["identifier"]["value"]
            .as_str()
            .unwrap()
            .starts_with("urn:uuid:")
    );
    let names: Vec<_> = made["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            entry["fullUrl"]
                .as_str()
                .unwrap()
                .rsplit_once("/fhir/")
                .unwrap()
                .1
                .to_owned()
        })
        .collect();
    assert_eq!(names[0], "Composition/c");
    // Another patient's observation is not taken along.
    assert_eq!(
        names.into_iter().collect::<BTreeSet<_>>(),
        set(&[
            "Composition/c",
            "Patient/a",
            "Practitioner/dr",
            "Observation/a2",
            "Encounter/a"
        ])
    );
    get(&server, &token, "Composition/c/$document?persist=true")
        .await
        .expect(400);
    let persist = Call::post(format!("{BASE}/Composition/c/$document?persist=true")).bearer(&token);
    let stored = server.send(persist).await.expect(200);
    let read = get(&server, &token, &format!("Bundle/{}", stored.id()))
        .await
        .expect(200);
    assert_eq!(read.json()["type"], "document");
    get(&server, &token, "Composition/none/$document")
        .await
        .expect(404);
}

#[tokio::test]
async fn a_document_has_a_bound_in_bytes() {
    let server = TestServer::start_with(|settings| settings.limits.answer_bytes = 20_000).await;
    let token = server.program(ROSEWOOD).await;
    let binary = |id: &str| json!({ "resourceType": "Binary", "id": id, "contentType": "text/plain", "data": "QUJD".repeat(2_000) });
    for id in ["one", "two", "three"] {
        server.put(ROSEWOOD, &token, &binary(id)).await;
    }
    let composition = |entries: &[&str]| {
        let entries: Vec<_> = entries
            .iter()
            .map(|id| json!({ "reference": format!("Binary/{id}") }))
            .collect();
        json!({ "resourceType": "Composition", "id": "c", "status": "final", "type": { "text": "letter" },
            "title": "Letter", "date": "2026-02-02", "author": [{ "display": "x" }],
            "section": [{ "title": "Scans", "entry": entries }] })
    };
    let ask = || get(&server, &token, "Composition/c/$document");
    server
        .put(ROSEWOOD, &token, &composition(&["one", "two"]))
        .await;
    ask().await.expect(200);
    server
        .put(ROSEWOOD, &token, &composition(&["one", "two", "three"]))
        .await;
    let refused = ask().await.expect(413);
    assert!(
        refused.text().contains("more than 20000 bytes"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn tags_come_and_go() {
    let (server, token) = house().await;
    let given = |tags: Value| json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta", "valueMeta": tags }] });
    let change = |op: &str, tags: Value| {
        Call::post(format!("{BASE}/Observation/a1/${op}"))
            .bearer(&token)
            .json(&given(tags))
    };
    let label = json!({ "security": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R" }],
        "tag": [{ "system": "urn:t", "code": "checked" }] });
    let added = server
        .send(change("meta-add", label.clone()))
        .await
        .expect(200);
    assert_eq!(added.header("etag"), "W/\"2\"");
    assert_eq!(
        added.json()["parameter"][0]["valueMeta"]["tag"],
        label["tag"]
    );
    server
        .send(change("meta-add", label.clone()))
        .await
        .expect(200);
    let found = get(
        &server,
        &token,
        "Observation?_tag=urn:t%7Cchecked&_security=R",
    )
    .await
    .expect(200);
    assert_eq!(names(&found.json()), ["Observation/a1"]);
    let meta = get(&server, &token, "Observation/a1/$meta")
        .await
        .expect(200)
        .json();
    assert_eq!(meta["parameter"][0]["valueMeta"]["versionId"], "2");
    let gone = json!({ "tag": [{ "system": "urn:t", "code": "checked", "display": "any" }] });
    let gone = server
        .send(change("meta-delete", gone))
        .await
        .expect(200)
        .json();
    assert!(gone["parameter"][0]["valueMeta"].get("tag").is_none());
    assert_eq!(
        gone["parameter"][0]["valueMeta"]["security"],
        label["security"]
    );
    let before = get(&server, &token, "Observation/a1/_history/2/$meta")
        .await
        .expect(200)
        .json();
    assert_eq!(before["parameter"][0]["valueMeta"]["tag"], label["tag"]);
    server
        .send(change("meta-add", json!("x")))
        .await
        .expect(200);
    server
        .send(change("meta-add", json!({ "tag": [{ "system": 3 }] })))
        .await
        .expect(422);
    let nothing = Call::post(format!("{BASE}/Observation/a1/$meta-add")).bearer(&token);
    server.send(nothing).await.expect(400);
}

#[tokio::test]
async fn the_tags_in_use_are_told_to_who_sees_everything() {
    let (server, token) = house().await;
    let tagged =
        |ty: &str, id: &str, meta: Value| json!({ "resourceType": ty, "id": id, "meta": meta });
    let tag = |code: &str| json!({ "system": "urn:t", "code": code, "display": code });
    for resource in [
        tagged("Patient", "x", json!({ "tag": [tag("one"), tag("two")] })),
        tagged(
            "Patient",
            "y",
            json!({ "tag": [tag("one")], "security": [{ "code": "R" }], "profile": ["urn:p"] }),
        ),
        tagged("Organization", "z", json!({ "tag": [tag("three")] })),
    ] {
        let mut resource = resource;
        if resource["resourceType"] == "Organization" {
            resource["name"] = json!("z");
        }
        server.put(ROSEWOOD, &token, &resource).await;
    }
    let ask = async |at: &str| {
        let answer = get(&server, &token, at).await.expect(200).json();
        answer["parameter"][0]["valueMeta"].clone()
    };
    let of_patients = json!({ "profile": ["urn:p"], "security": [{ "code": "R" }], "tag": [tag("one"), tag("two")] });
    assert_eq!(ask("Patient/$meta").await, of_patients);
    assert_eq!(ask("Observation/$meta").await, json!({}));
    let all = ask("$meta").await;
    assert_eq!(all["tag"], json!([tag("one"), tag("three"), tag("two")]));
    // What no resource has any more is not in use.
    server
        .put(
            ROSEWOOD,
            &token,
            &tagged("Patient", "x", json!({ "tag": [tag("one")] })),
        )
        .await;
    assert_eq!(ask("Patient/$meta").await["tag"], json!([tag("one")]));
    get(&server, &token, "Nonsense/$meta").await.expect(404);
    // Who sees some patients only would learn of the others; another tenant has nothing of it.
    let (here, _) = server.branch(ROSEWOOD, "North").await;
    let ward = server.program_at(ROSEWOOD, here).await;
    for at in ["Patient/$meta", "$meta"] {
        let refused = get(&server, &ward, at).await.expect(403);
        assert!(
            refused.text().contains("$meta of one of them"),
            "{}",
            refused.text()
        );
    }
    let twin = server.program(crate::server::LAKESIDE).await;
    let there = Call::get("/t/lakeside/fhir/$meta").bearer(&twin);
    let there = server.send(there).await.expect(200).json();
    assert_eq!(there["parameter"][0]["valueMeta"], json!({}));
}

#[tokio::test]
async fn everything_says_what_it_leaves_out() {
    let (server, token) = house().await;
    let whole = get(&server, &token, "Patient/a/$everything")
        .await
        .expect(200);
    assert!(!whole.text().contains("incomplete"), "{}", whole.text());
    let many = |ty: &str, count: usize| -> Vec<String> {
        (0..count).map(|at| format!("{ty}/none-{at}")).collect()
    };
    for (practitioners, replaced, says) in [
        (480, 20, None),
        (501, 0, Some("smaller pages")),
        (0, 21, Some("replaced more than 20")),
    ] {
        let by: Vec<Value> = many("Practitioner", practitioners)
            .iter()
            .map(|name| json!({ "reference": name }))
            .collect();
        let links: Vec<Value> = many("Patient", replaced)
            .iter()
            .map(|name| json!({ "type": "replaces", "other": { "reference": name } }))
            .collect();
        let patient = json!({ "resourceType": "Patient", "id": "c", "active": true,
            "generalPractitioner": by, "link": links });
        let mut patient = patient;
        for name in ["generalPractitioner", "link"] {
            if patient[name] == json!([]) {
                patient.as_object_mut().unwrap().remove(name);
            }
        }
        server.put(ROSEWOOD, &token, &patient).await;
        let answer = get(&server, &token, "Patient/c/$everything")
            .await
            .expect(200)
            .text();
        assert_eq!(
            answer.contains("\"incomplete\""),
            says.is_some(),
            "{answer}"
        );
        assert!(says.is_none_or(|says| answer.contains(says)), "{answer}");
    }
}

#[tokio::test]
async fn batches_start_nothing_that_goes_on_behind_them() {
    let (server, token) = house().await;
    let urls = [
        "$export",
        "Patient/$export",
        "Group/g/$export?_type=Patient",
    ];
    let entries = urls.map(|url| json!({ "request": { "method": "GET", "url": url } }));
    let sent = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
    let call = Call::post(BASE).bearer(&token).json(&sent);
    let answer = server.send(call).await.expect(200).json();
    for at in 0..urls.len() {
        let status = answer["entry"][at]["response"]["status"].as_str().unwrap();
        assert!(status.starts_with("405"), "{}: {answer}", urls[at]);
    }
}

#[tokio::test]
async fn operations_stand_in_batches() {
    let (server, token) = house().await;
    let entry = |method: &str, url: &str| json!({ "request": { "method": method, "url": url } });
    let bundle = |kind: &str, entries: Vec<Value>| json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
    let sent = bundle(
        "batch",
        vec![
            entry("GET", "Patient/a"),
            entry("GET", "Patient/a/$everything?_type=Observation"),
            entry("GET", "Observation/$lastn?patient=a"),
            entry("GET", "Patient/none/$everything"),
            entry("GET", "Patient/b"),
            entry("POST", "Observation/a1/$meta-add"),
            entry("GET", "Patient/a/$nothing"),
            entry(
                "GET",
                "https://records.example.org/t/rosewood/fhir/Observation/a1/$meta",
            ),
        ],
    );
    let answer = server
        .send(Call::post(BASE).bearer(&token).json(&sent))
        .await
        .expect(200)
        .json();
    let statuses: Vec<_> = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["response"]["status"].as_str().unwrap()[..3].to_owned())
        .collect();
    assert_eq!(
        statuses,
        ["200", "200", "200", "404", "200", "405", "404", "200"],
        "{answer}"
    );
    assert_eq!(answer["entry"][0]["resource"]["id"], "a");
    assert_eq!(names(&answer["entry"][1]["resource"]).len(), 3);
    assert_eq!(answer["entry"][4]["resource"]["id"], "b");
    assert_eq!(
        answer["entry"][3]["response"]["outcome"]["issue"][0]["code"],
        "not-found"
    );
    let only = bundle("batch", vec![entry("GET", "Observation/$lastn?patient=a")]);
    let answer = server
        .send(Call::post(BASE).bearer(&token).json(&only))
        .await
        .expect(200)
        .json();
    assert_eq!(answer["entry"].as_array().unwrap().len(), 1);
    let many = bundle("batch", vec![entry("GET", "Patient/a/$meta"); 101]);
    server
        .send(Call::post(BASE).bearer(&token).json(&many))
        .await
        .expect(413);
    let transaction = bundle("transaction", vec![entry("GET", "Patient/a/$meta")]);
    server
        .send(Call::post(BASE).bearer(&token).json(&transaction))
        .await
        .expect(400);
    server.send(Call::post(BASE).json(&only)).await.expect(401);
}
