//! Finding the same person, and making two records one.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Answer, Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

fn ann(id: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "birthDate": "1970-05-03", "gender": "female",
        "name": [{ "family": "Ångström", "given": ["Ann"] }],
        "identifier": [{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9434765919" }],
        "telecom": [{ "system": "phone", "value": "+44 7700 900123" }],
        "address": [{ "line": ["12 Mill Lane"], "postalCode": "BS1 4DJ" }] })
}

async fn ask(server: &TestServer, token: &str, body: &Value) -> Answer {
    let call = Call::post(format!("{BASE}/Patient/$match")).bearer(token);
    server.send(call.json(body)).await
}

fn grades(bundle: &Value) -> Vec<(String, String)> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|entry| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let score = entry["search"]["score"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&score), "{entry}");
            let grade = &entry["search"]["extension"][0];
            assert_eq!(
                grade["url"],
                "http://hl7.org/fhir/StructureDefinition/match-grade"
            );
            (text(&entry["resource"]["id"]), text(&grade["valueCode"]))
        })
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn the_same_person_is_found_by_what_is_known() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    server.put(ROSEWOOD, &token, &ann("a")).await;
    let other = json!({ "resourceType": "Patient", "id": "b", "birthDate": "1981-01-01", "gender": "male",
        "name": [{ "family": "Jones", "given": ["Bob"] }] });
    server.put(ROSEWOOD, &token, &other).await;
    let patient = |body: Value| {
        let mut body = body;
        body["resourceType"] = json!("Patient");
        body
    };
    for (known, expected) in [
        (
            json!({ "identifier": [{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "943 476 5919" }], "birthDate": "1970-05-03" }),
            Some("certain"),
        ),
        (
            json!({ "name": [{ "family": "angstrom", "given": ["ann"] }], "birthDate": "1970-05-03" }),
            Some("certain"),
        ),
        (
            json!({ "name": [{ "family": "Ann", "given": ["Angstrom"] }], "birthDate": "1970-05-03" }),
            Some("probable"),
        ),
        (
            json!({ "name": [{ "family": "Angstrom", "given": ["Ann"] }], "birthDate": "1970-03-05", "address": [{ "postalCode": "BS1 4DJ" }] }),
            Some("probable"),
        ),
        (
            json!({ "name": [{ "family": "Angstrom", "given": ["Ann"] }], "birthDate": "1970-05-03", "gender": "male" }),
            Some("probable"),
        ),
        (
            json!({ "name": [{ "family": "Nobody" }], "birthDate": "2001-01-01" }),
            None,
        ),
        (json!({ "name": [{ "family": "O,x|y$z\\" }] }), None),
        (json!({}), None),
    ] {
        let answer = ask(&server, &token, &patient(known.clone()))
            .await
            .expect(200)
            .json();
        let expected: Vec<_> = expected
            .iter()
            .map(|grade| ("a".to_owned(), (*grade).to_owned()))
            .collect();
        assert_eq!(grades(&answer), expected, "{known}");
    }
    let certain = |known: Value, count: u32| {
        json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": patient(known) },
        { "name": "onlyCertainMatches", "valueBoolean": true }, { "name": "count", "valueInteger": count } ] })
    };
    let known =
        json!({ "name": [{ "family": "Angstrom", "given": ["Ann"] }], "birthDate": "1970-05-03" });
    let answer = ask(&server, &token, &certain(known.clone(), 1))
        .await
        .expect(200)
        .json();
    assert_eq!(grades(&answer).len(), 1);
    // Two certain ones are for a person to look at.
    server.put(ROSEWOOD, &token, &ann("c")).await;
    let answer = ask(&server, &token, &certain(known.clone(), 5))
        .await
        .expect(200)
        .json();
    assert_eq!(grades(&answer), []);
    let both = ask(&server, &token, &patient(known))
        .await
        .expect(200)
        .json();
    assert_eq!(grades(&both).len(), 2);
    for bad in [
        json!({ "resourceType": "Parameters" }),
        json!({ "resourceType": "Basic" }),
        certain(json!({}), 0),
    ] {
        ask(&server, &token, &bad).await.expect(400);
    }
}

#[tokio::test]
async fn nobody_out_of_reach_is_matched() {
    let server = TestServer::start().await;
    let feed = server.program(ROSEWOOD).await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    for (id, ward) in [("n", &north), ("s", &south)] {
        let mut patient = ann(id);
        patient["managingOrganization"] = json!({ "reference": format!("Organization/{ward}") });
        server.put(ROSEWOOD, &feed, &patient).await;
    }
    let nurse = server.person_at(ROSEWOOD, Role::Nurse, here).await;
    let answer = ask(&server, &nurse, &ann("x")).await.expect(200);
    assert_eq!(
        grades(&answer.json()),
        [("n".to_owned(), "certain".to_owned())]
    );
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let trail = |id: &str| {
        Call::get(format!("/t/rosewood/api/v1/audit/patients/{id}?log=access")).bearer(&auditor)
    };
    let seen = server.send(trail("n")).await.expect(200).text();
    assert!(seen.contains("Patient/$match"), "{seen}");
    let unseen = server.send(trail("s")).await.expect(200).text();
    assert!(!unseen.contains("Patient/$match"), "{unseen}");
}

fn merging(source: &str, target: &str, preview: bool) -> Value {
    let reference = |id: &str| json!({ "reference": format!("Patient/{id}") });
    json!({ "resourceType": "Parameters", "parameter": [
        { "name": "source-patient", "valueReference": reference(source) },
        { "name": "target-patient", "valueReference": reference(target) },
        { "name": "preview", "valueBoolean": preview } ] })
}

async fn merge(server: &TestServer, token: &str, body: &Value) -> Answer {
    let call = Call::post(format!("{BASE}/Patient/$merge")).bearer(token);
    server.send(call.json(body)).await
}

async fn read(server: &TestServer, token: &str, path: &str) -> Value {
    let call = Call::get(format!("{BASE}/{path}")).bearer(token);
    server.send(call).await.expect(200).json()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn two_records_become_one() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    server.put(ROSEWOOD, &token, &ann("target")).await;
    let source = json!({ "resourceType": "Patient", "id": "source", "active": true,
        "identifier": [{ "system": "urn:mrn", "value": "7" }, { "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9434765919" }] });
    server.put(ROSEWOOD, &token, &source).await;
    for n in 0..3 {
        let observation = json!({ "resourceType": "Observation", "id": format!("o{n}"), "status": "final",
            "code": { "text": "x" }, "subject": { "reference": "Patient/source" }, "valueQuantity": { "value": 1 } });
        server.put(ROSEWOOD, &token, &observation).await;
    }
    let pinned = json!({ "resourceType": "Provenance", "id": "pin", "recorded": "2026-01-01T00:00:00Z",
        "target": [{ "reference": "Patient/source/_history/1" }], "agent": [{ "who": { "display": "x" } }] });
    server.put(ROSEWOOD, &token, &pinned).await;
    let preview = merge(&server, &token, &merging("source", "target", true))
        .await
        .expect(200)
        .json();
    assert_eq!(
        preview["parameter"][1]["resource"]["link"][0]["type"],
        "replaces"
    );
    assert_eq!(
        read(&server, &token, "Observation/o0").await["meta"]["versionId"],
        "1"
    );
    let done = merge(&server, &token, &merging("source", "target", false))
        .await
        .expect(200);
    assert!(!done.header("audit-receipt").is_empty());
    let outcome = done.json()["parameter"][0]["resource"]["issue"][0]["diagnostics"]
        .as_str()
        .unwrap()
        .to_owned();
    let source = read(&server, &token, "Patient/source").await;
    assert_eq!(source["active"], false);
    assert_eq!(
        source["link"],
        json!([{ "other": { "reference": "Patient/target" }, "type": "replaced-by" }])
    );
    let target = read(&server, &token, "Patient/target").await;
    assert_eq!(
        target["link"],
        json!([{ "other": { "reference": "Patient/source" }, "type": "replaces" }])
    );
    assert_eq!(
        target["identifier"][1],
        json!({ "system": "urn:mrn", "value": "7", "use": "old" })
    );
    assert_eq!(target["identifier"].as_array().unwrap().len(), 2);
    for n in 0..3 {
        let observation = read(&server, &token, &format!("Observation/o{n}")).await;
        assert_eq!(observation["subject"]["reference"], "Patient/target");
    }
    assert_eq!(
        read(&server, &token, "Provenance/pin").await["target"][0]["reference"],
        "Patient/source/_history/1"
    );
    let provenance = outcome.split("stands in ").nth(1).unwrap();
    let provenance = read(&server, &token, provenance).await.to_string();
    for version in [
        "Observation/o1/_history/1",
        "Observation/o1/_history/2",
        "Patient/source/_history/1",
        "Patient/target/_history/2",
    ] {
        assert!(provenance.contains(version), "{provenance}");
    }
    // What was the source's is found at the target, and by the target's search.
    let found = read(
        &server,
        &token,
        "Observation?patient=target&_total=accurate",
    )
    .await;
    assert_eq!(found["total"], 3);
    for (a, b, status) in [
        ("source", "target", 422),
        ("target", "source", 422),
        ("target", "target", 400),
        ("none", "target", 404),
        ("target", "none", 404),
    ] {
        merge(&server, &token, &merging(a, b, false))
            .await
            .expect(status);
    }
}

#[tokio::test]
async fn a_merge_takes_the_result_that_is_given_or_refuses_it() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    for id in ["a", "b"] {
        server.put(ROSEWOOD, &token, &ann(id)).await;
    }
    let with = |result: Value| {
        let mut body = merging("a", "b", false);
        body["parameter"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "name": "result-patient", "resource": result }));
        body
    };
    let link = json!([{ "other": { "reference": "Patient/a" }, "type": "replaces" }]);
    for (result, status) in [
        (json!({ "resourceType": "Patient", "id": "b" }), 422),
        (
            json!({ "resourceType": "Patient", "id": "a", "link": link }),
            400,
        ),
        (json!({ "resourceType": "Basic", "id": "b" }), 400),
        (
            json!({ "resourceType": "Patient", "id": "b", "link": link, "birthDate": "x" }),
            422,
        ),
    ] {
        merge(&server, &token, &with(result)).await.expect(status);
    }
    assert_eq!(
        read(&server, &token, "Patient/a").await["meta"]["versionId"],
        "1"
    );
    let result =
        json!({ "resourceType": "Patient", "id": "b", "link": link, "birthDate": "1970-05-04" });
    merge(&server, &token, &with(result)).await.expect(200);
    assert_eq!(
        read(&server, &token, "Patient/b").await["birthDate"],
        "1970-05-04"
    );
}

#[tokio::test]
async fn a_merge_needs_all_of_both_records() {
    let server = TestServer::start().await;
    let feed = server.program(ROSEWOOD).await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    for (id, ward) in [("n", &north), ("m", &north), ("s", &south)] {
        let mut patient = ann(id);
        patient["managingOrganization"] = json!({ "reference": format!("Organization/{ward}") });
        server.put(ROSEWOOD, &feed, &patient).await;
    }
    let shared = json!({ "resourceType": "Appointment", "id": "x", "status": "booked", "participant": [
        { "actor": { "reference": "Patient/s" }, "status": "accepted" },
        { "actor": { "reference": "Patient/n" }, "status": "accepted" } ] });
    server.put(ROSEWOOD, &feed, &shared).await;
    let ward = server.program_at(ROSEWOOD, here).await;
    // Out of reach answers as missing.
    let hidden = merge(&server, &ward, &merging("s", "n", false))
        .await
        .expect(404);
    let missing = merge(&server, &ward, &merging("t", "n", false))
        .await
        .expect(404);
    assert_eq!(hidden.text().replace("/s", "/t"), missing.text());
    let nurse = server.person_at(ROSEWOOD, Role::Receptionist, here).await;
    merge(&server, &nurse, &merging("n", "m", false))
        .await
        .expect(403);
    // No clinical role does it, nor a program it was not listed for.
    let doctor = server.person(ROSEWOOD, Role::Doctor).await;
    let reader = server.program_with(ROSEWOOD, "reader", &[]).await;
    for who in [&doctor, &reader] {
        merge(&server, who, &merging("n", "m", true))
            .await
            .expect(403);
    }
    // It may where it reaches all of it: the appointment that "n" shares is out of reach.
    merge(&server, &ward, &merging("m", "n", true))
        .await
        .expect(200);
    merge(&server, &ward, &merging("n", "m", true))
        .await
        .expect(403);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn a_large_merge_goes_in_parts_and_stays_true_in_between() {
    let server = TestServer::start_with(|settings| settings.limits.referrers = 3).await;
    let token = server.program(ROSEWOOD).await;
    server.put(ROSEWOOD, &token, &ann("target")).await;
    let source = json!({ "resourceType": "Patient", "id": "source", "active": true });
    server.put(ROSEWOOD, &token, &source).await;
    for n in 0..8 {
        let observation = json!({ "resourceType": "Observation", "id": format!("o{n}"), "status": "final",
            "code": { "text": "x" }, "subject": { "reference": "Patient/source" } });
        server.put(ROSEWOOD, &token, &observation).await;
    }
    // Those that refer to a version are found with the others, and stay as they are.
    for n in 0..4 {
        let pinned = json!({ "resourceType": "Provenance", "id": format!("pin{n}"), "recorded": "2026-01-01T00:00:00Z",
            "target": [{ "reference": "Patient/source/_history/1" }], "agent": [{ "who": { "display": "x" } }] });
        server.put(ROSEWOOD, &token, &pinned).await;
    }
    let count = async |patient: &str| {
        let path = format!("Observation?subject=Patient/{patient}&_total=accurate");
        read(&server, &token, &path).await["total"].clone()
    };
    let everything = async || {
        let whole = read(&server, &token, "Patient/target/$everything?_count=100").await;
        let entries = whole["entry"].as_array().unwrap().clone();
        let is_seen = |entry: &&Value| entry["resource"]["resourceType"] == "Observation";
        entries.iter().filter(is_seen).count()
    };
    let preview = merge(&server, &token, &merging("source", "target", true)).await;
    assert!(preview.expect(200).text().contains("remains"));
    assert_eq!(count("target").await, 0);
    for (done, remains) in [(3, true), (6, true), (9, false)] {
        if done == 9 {
            // What comes to refer to the source meanwhile goes with the next part.
            let late = json!({ "resourceType": "Observation", "id": "late", "status": "final",
                "code": { "text": "x" }, "subject": { "reference": "Patient/source" } });
            server.put(ROSEWOOD, &token, &late).await;
        }
        let answer = merge(&server, &token, &merging("source", "target", false))
            .await
            .expect(200);
        let said = answer.json();
        let says = said["parameter"].as_array().unwrap().iter();
        let says = says.filter(|part| part["name"] == "remains").count();
        assert_eq!(says, usize::from(remains), "{said}");
        assert_eq!(count("target").await, done);
        // Whoever asks for the target sees all of it, wherever it is by now.
        assert_eq!(everything().await, if done == 9 { 9 } else { 8 });
        let ended = read(&server, &token, "Patient/source").await;
        assert_eq!(
            (&ended["active"], &ended["link"][0]["type"]),
            (&json!(false), &json!("replaced-by"))
        );
        assert_eq!(ended["meta"]["versionId"], "2");
    }
    let pinned = read(&server, &token, "Provenance/pin0").await;
    assert_eq!(pinned["meta"]["versionId"], "1");
    let over = merge(&server, &token, &merging("source", "target", false)).await;
    assert!(over.expect(422).text().contains("nothing refers to it"));
    let other = json!({ "resourceType": "Patient", "id": "other" });
    server.put(ROSEWOOD, &token, &other).await;
    merge(&server, &token, &merging("source", "other", false))
        .await
        .expect(422);
    // Each part has a Provenance of its own.
    let parts = read(&server, &token, "Provenance?_total=accurate&_summary=count").await;
    assert_eq!(parts["total"], 4 + 3);
}
