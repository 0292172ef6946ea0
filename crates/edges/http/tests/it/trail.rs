//! Emergency access, erasure and the audit trail, as answers on the wire.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer, Transcript};

const API: &str = "/t/rosewood/api/v1";

/// Emergency access asked for in ways that are refused.
fn refused_grants() -> [(&'static str, Value); 2] {
    [
        (
            "too short a reason",
            json!({ "patient": "a", "reason": "other", "text": "short" }),
        ),
        (
            "too long",
            json!({ "patient": "a", "reason": "other", "text": "a reason in words", "minutes": 241 }),
        ),
    ]
}

#[tokio::test]
async fn emergency_access_is_asked_for_used_and_reviewed() {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let nurse = server.person(ROSEWOOD, Role::Nurse).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let patient = json!({ "resourceType": "Patient", "id": "a" });
    server.put(ROSEWOOD, &program, &patient).await;
    server
        .send(Call::get("/t/rosewood/fhir/Patient/a").bearer(&nurse))
        .await
        .expect(404);
    let mut transcript = Transcript::default();
    let wanted = json!({ "patient": "a", "reason": "urgent-care", "text": "found unconscious in the corridor", "minutes": 30 });
    let ask = |wanted: &Value| {
        let call = Call::post(format!("{API}/break-glass"));
        server.send(call.bearer(&nurse).json(wanted))
    };
    let waiting =
        || server.send(Call::get(format!("{API}/break-glass?waiting=true")).bearer(&auditor));
    let granted = ask(&wanted).await;
    transcript.note("ask", &granted);
    let id = granted.id();
    let usual = Call::get("/t/rosewood/fhir/Patient/a");
    server.send(usual.bearer(&nurse)).await.expect(404);
    let emergency = || Call::get("/t/rosewood/fhir/Patient/a").header("x-purpose-of-use", "ETREAT");
    server.send(emergency().bearer(&nurse)).await.expect(200);
    for (heading, wanted) in refused_grants() {
        transcript.note(heading, &ask(&wanted).await);
    }
    transcript.note("waiting", &waiting().await);
    let review = Call::post(format!("{API}/break-glass/{id}/review"))
        .json(&json!({ "outcome": "justified", "note": "seen on the ward" }));
    transcript.note("review", &server.send(review.bearer(&auditor)).await);
    let again = Call::post(format!("{API}/break-glass/{id}/review"))
        .json(&json!({ "outcome": "justified" }));
    transcript.note("review again", &server.send(again.bearer(&auditor)).await);
    transcript.note("waiting no more", &waiting().await);
    insta::assert_snapshot!(transcript.finish());
    server.clock.advance(31 * 60);
    server.send(emergency().bearer(&nurse)).await.expect(404);
}

#[tokio::test]
async fn an_erased_patient_is_gone_and_the_trail_stays() {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let patient = json!({ "resourceType": "Patient", "id": "a", "name": [{ "family": "Canary" }] });
    let observation = json!({ "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "Canary" }, "subject": { "reference": "Patient/a" } });
    server
        .send(
            Call::put("/t/rosewood/fhir/Patient/a")
                .bearer(&program)
                .json(&patient),
        )
        .await
        .expect(201);
    server
        .send(
            Call::put("/t/rosewood/fhir/Observation/o")
                .bearer(&program)
                .json(&observation),
        )
        .await
        .expect(201);
    let erase = |reason: &str| {
        Call::post(format!("{API}/patients/a/erase"))
            .json(&json!({ "reason": reason }))
            .bearer(&administrator)
    };
    server.send(erase("not a code")).await.expect(400);
    let erased = server.send(erase("gdpr-17")).await.expect(200);
    assert_eq!(erased.json()["resources"], 2);
    for address in [
        "Patient/a",
        "Observation/o",
        "Patient/a/_history/1",
        "Observation/o/_history/1",
    ] {
        let gone = server
            .send(Call::get(format!("/t/rosewood/fhir/{address}")).bearer(&program))
            .await
            .expect(410);
        assert!(!gone.everything().contains("Canary"));
    }
    let found = server
        .send(Call::get("/t/rosewood/fhir/Observation?code:text=Canary").bearer(&program))
        .await;
    assert!(!found.everything().contains("\"id\":\"o\""));
    let trail = server
        .send(Call::get(format!("{API}/audit/entries?class=erase")).bearer(&auditor))
        .await
        .expect(200)
        .json();
    assert_eq!(trail["entries"][0]["reason"], "gdpr-17", "{trail}");
    let back = server
        .send(
            Call::put("/t/rosewood/fhir/Patient/a")
                .bearer(&program)
                .json(&patient),
        )
        .await;
    assert_eq!(back.status, 410, "{}", back.text());
}

/// A server with two patients, each looked at once, and somebody who may see the trail.
async fn looked_at() -> (TestServer, String) {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    for id in ["a", "b"] {
        let patient = json!({ "resourceType": "Patient", "id": id });
        server.put(ROSEWOOD, &program, &patient).await;
        let read = Call::get(format!("/t/rosewood/fhir/Patient/{id}"));
        server.send(read.bearer(&program)).await.expect(200);
    }
    (server, auditor)
}

#[tokio::test]
async fn the_trail_is_filtered_and_proven() {
    let (server, auditor) = looked_at().await;
    let ask = async |query: &str| {
        let call = Call::get(format!("{API}/audit/{query}"));
        server.send(call.bearer(&auditor)).await
    };
    let created = ask("entries?class=create&count=1").await.expect(200).json();
    assert_eq!(created["entries"].as_array().unwrap().len(), 1);
    assert_eq!(
        created["entries"][0]["event"]["resourceType"], "AuditEvent",
        "{created}"
    );
    let next = created["next"].as_u64().unwrap();
    let second = ask(&format!("entries?class=create&count=1&before={next}"))
        .await
        .expect(200)
        .json();
    assert_ne!(
        created["entries"][0]["index"],
        second["entries"][0]["index"]
    );
    let by_actor = ask("entries?log=access&actor=FEED&class=read")
        .await
        .expect(200)
        .json();
    assert_eq!(
        by_actor["entries"].as_array().unwrap().len(),
        2,
        "{by_actor}"
    );
    let late = ask("entries?from=2027-01-01T00:00:00Z")
        .await
        .expect(200)
        .json();
    assert_eq!(late["entries"].as_array().unwrap().len(), 0);
    let about = ask("patients/a").await.expect(200).json();
    assert_eq!(about["entries"].as_array().unwrap().len(), 1, "{about}");
    let proof = about["entries"][0]["proof"].as_str().unwrap();
    assert!(
        proof.contains(about["checkpoint"].as_str().unwrap()),
        "{proof}"
    );
    let looks = ask("patients/a?log=access").await.expect(200).json();
    let classes: Vec<&str> = looks["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["class"].as_str().unwrap())
        .collect();
    // The two looks at the trail above and this one are looks at the patient too.
    assert_eq!(classes, ["audit-read", "audit-read", "read"], "{looks}");
}

#[tokio::test]
async fn filters_that_mean_nothing_are_refused() {
    let (server, auditor) = looked_at().await;
    for bad in [
        "entries?log=nonsense",
        "entries?class=nonsense",
        "entries?outcome=maybe",
        "entries?from=yesterday",
        "entries?count=0",
        "entries?count=1001",
        "entries?before=x",
        "entries?nonsense=1",
        "patients/a%20b",
    ] {
        let call = Call::get(format!("{API}/audit/{bad}"));
        let answer = server.send(call.bearer(&auditor)).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 404),
            "{bad}: {}",
            answer.status
        );
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{bad}"
        );
    }
}
