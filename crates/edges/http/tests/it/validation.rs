//! `$validate` over HTTP, and what a write tells when its tenant only warns or refuses.

use app::Settings;
use identity::{Role, ValidationMode};
use serde_json::json;

use crate::server::{Call, ROSEWOOD, TestServer};

const AT: &str = "/t/rosewood/fhir/Observation/$validate";
const BP: &str = "http://hl7.org/fhir/StructureDefinition/bp";

#[tokio::test]
async fn the_answer_is_an_outcome_whatever_is_found() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let ask = async |address: String, body: serde_json::Value| {
        let answer = server
            .send(Call::post(address).bearer(&token).json(&body))
            .await;
        answer.expect(200).json()
    };
    let good = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
    let outcome = ask(AT.to_owned(), good.clone()).await;
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    assert_eq!(outcome["issue"][0]["diagnostics"], "no errors were found");
    let mut bad = good.clone();
    bad["status"] = json!("done");
    bad["dataAbsentReason"] = json!({"text": "y"});
    bad["valueString"] = json!("z");
    let outcome = ask(AT.to_owned(), bad).await;
    let text = outcome.to_string();
    assert!(text.contains("is not in the required value set"), "{text}");
    assert!(
        text.contains("[obs-6]") && text.contains("line 1, column 1"),
        "{text}"
    );
    assert_eq!(outcome["issue"][0]["expression"][0], "Observation.status");
    // A profile, in the query and in Parameters.
    let outcome = ask(format!("{AT}?profile={BP}"), good.clone()).await;
    assert!(
        outcome
            .to_string()
            .contains("component is required at least 2 times"),
        "{outcome}"
    );
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "resource", "resource": good}, {"name": "profile", "valueUri": BP}, {"name": "mode", "valueCode": "create"}]});
    let outcome = ask(AT.to_owned(), parameters).await;
    assert!(
        outcome
            .to_string()
            .contains("component is required at least 2 times"),
        "{outcome}"
    );
    for (address, body, status) in [
        (
            format!("{AT}?mode=guess"),
            json!({"resourceType": "Observation"}),
            400,
        ),
        (AT.to_owned(), json!({"resourceType": "Parameters"}), 400),
        (
            "/t/rosewood/fhir/Nothing/$validate".to_owned(),
            json!({}),
            404,
        ),
    ] {
        let answer = server
            .send(Call::post(&address).bearer(&token).json(&body))
            .await;
        answer.expect(status);
    }
}

#[tokio::test]
async fn a_write_that_is_only_warned_about_says_so() {
    let server = TestServer::start_with(|settings: &mut Settings| {
        settings.validation = ValidationMode::Warn;
    })
    .await;
    let token = server.program(ROSEWOOD).await;
    let bad = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "referenceRange": [{"appliesTo": [{"text": "y"}]}]});
    let create = || {
        Call::post("/t/rosewood/fhir/Observation")
            .bearer(&token)
            .json(&bad)
    };
    let answer = server.send(create()).await.expect(201);
    assert_eq!(answer.headers["validation-issues"], "errors=1; warnings=0");
    let answer = server
        .send(create().header("prefer", "return=OperationOutcome"))
        .await
        .expect(201);
    assert!(answer.text().contains("[obs-3]"), "{}", answer.text());
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": bad, "request": {"method": "POST", "url": "Observation"}}]});
    let answer = server
        .send(Call::post("/t/rosewood/fhir").bearer(&token).json(&bundle))
        .await
        .expect(200);
    assert_eq!(answer.headers["validation-issues"], "errors=1; warnings=0");
}

#[tokio::test]
async fn a_write_against_the_rules_is_refused_with_422() {
    let server = TestServer::start_with(|settings: &mut Settings| {
        settings.validation = ValidationMode::Enforce;
    })
    .await;
    let token = server.program(ROSEWOOD).await;
    let bad = json!({"resourceType": "Patient", "contact": [{"gender": "male"}]});
    let answer = server
        .send(
            Call::post("/t/rosewood/fhir/Patient")
                .bearer(&token)
                .json(&bad),
        )
        .await
        .expect(422);
    assert!(answer.text().contains("[pat-1]"), "{}", answer.text());
    let good = json!({"resourceType": "Patient", "contact": [{"name": {"text": "A"}}]});
    server
        .send(
            Call::post("/t/rosewood/fhir/Patient")
                .bearer(&token)
                .json(&good),
        )
        .await
        .expect(201);
}

#[tokio::test]
async fn asking_what_one_may_only_search_is_no_refusal() {
    let server = TestServer::start().await;
    let desk = server.person(ROSEWOOD, Role::Receptionist).await;
    let set = json!({ "resourceType": "ValueSet", "status": "active" });
    let write = Call::post("/t/rosewood/fhir/ValueSet").bearer(&desk);
    server.send(write.json(&set)).await.expect(403);
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let refusals = async || {
        let address = "/t/rosewood/api/v1/audit/entries?log=access&outcome=denied";
        let page = server.send(Call::get(address).bearer(&auditor)).await;
        let page = page.expect(200).json();
        page["entries"].as_array().unwrap().len()
    };
    assert_eq!(refusals().await, 1);
    let ask = Call::post("/t/rosewood/fhir/ValueSet/$validate").bearer(&desk);
    let said = server.send(ask.json(&set)).await.expect(200).text();
    assert!(said.contains("no errors"), "{said}");
    assert_eq!(refusals().await, 1);
}
