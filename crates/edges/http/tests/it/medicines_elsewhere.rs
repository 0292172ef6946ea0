//! Prescribing and giving with sources of knowledge elsewhere: what they say is merged, and when they are
//! down everything else still answers, with the gap in the answer and with the order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use app::medicines::elsewhere::Elsewhere;
use connect::knowledge::{SourceSetting, source};
use connect::{Client, ClientSettings, EgressPolicy, Limits, SystemResolver};
use identity::Role;
use medication::checks::elsewhere::Severities;
use serde_json::{Value, json};
use testkit::receiver::{Receiver, Reply};
use zeroize::Zeroizing;

use crate::server::{Answer, Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";
const FORMULARY: &str = "formulary";

/// An order for what is given when needed: one tablet by mouth.
fn order(name: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": name }, "subject": { "reference": "Patient/p" },
        "authoredOn": "2026-03-01T00:00:00Z",
        "dosageInstruction": [{
            "asNeededCodeableConcept": { "text": "pain" },
            "timing": { "repeat": { "frequency": 1, "period": 6, "periodUnit": "h" } },
            "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006" }] },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }],
    })
}

/// A patient who takes ramipril, a doctor and a carer; sources at a receiver.
struct Ward {
    server: TestServer,
    doctor: String,
    carer: String,
}

impl Ward {
    async fn new(entries: &[(&str, &Receiver, &str)]) -> Self {
        let server = TestServer::start().await;
        let mut allow = Vec::new();
        let mut sources = Vec::new();
        for (kind, receiver, words) in entries {
            let address = format!("http://127.0.0.1:{}", receiver.address().port());
            allow.push(format!("{address} private"));
            let entry = format!("{kind} {kind} {address} key=/none {words}");
            let mut setting = SourceSetting::parse(&entry).unwrap();
            setting.key = Some(Zeroizing::new("k".to_owned()));
            sources.push(source(setting));
        }
        let settings = ClientSettings {
            policy: EgressPolicy::parse(allow.iter().map(String::as_str)).unwrap(),
            limits: Limits::default(),
            root_certificates: None,
            mail: None,
        };
        let client = Client::new(settings, Arc::new(SystemResolver), server.clock.clone());
        let severities = Severities::built_in().unwrap().clone();
        let _ = server.app.clone().reaching_out(Arc::new(client.unwrap()));
        let elsewhere = Elsewhere::new(sources, severities);
        let _ = server.app.clone().consulting(Arc::new(elsewhere));
        let program = server.program(ROSEWOOD).await;
        let (north, ward) = server.branch(ROSEWOOD, "north").await;
        let ward = json!({ "reference": format!("Organization/{ward}") });
        let mut ramipril = order("Ramipril 5mg capsule");
        ramipril["id"] = json!("r");
        for resource in [
            json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01", "gender": "male",
                "name": [{ "family": "Hidden" }], "managingOrganization": ward }),
            json!({ "resourceType": "AllergyIntolerance", "id": "a", "patient": { "reference": "Patient/p" },
                "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
                "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] } }),
            ramipril,
        ] {
            server.put(ROSEWOOD, &program, &resource).await;
        }
        let doctor = server.person_at(ROSEWOOD, Role::Doctor, north).await;
        let carer = server.person_at(ROSEWOOD, Role::Carer, north).await;
        Self {
            server,
            doctor,
            carer,
        }
    }

    async fn prescribe(&self, body: &Value) -> Answer {
        let call = Call::post(format!("{BASE}/MedicationRequest/$prescribe")).bearer(&self.doctor);
        self.server.send(call.json(body)).await
    }

    async fn read(&self, name: &str) -> Value {
        let call = Call::get(format!("{BASE}/{name}")).bearer(&self.doctor);
        self.server.send(call).await.expect(200).json()
    }

    /// Gives a tablet with every right verified.
    async fn give(&self, name: &str) -> Answer {
        let mut parts = vec![
            json!({ "name": "outcome", "valueCode": "given" }),
            json!({ "name": "asNeeded", "valueString": "headache" }),
            json!({ "name": "reason", "valueString": "weighs about 70 kg" }),
        ];
        for right in ["resident", "medicine", "dose", "route", "time", "decline"] {
            parts.push(json!({ "name": "right", "part": [
                { "name": "right", "valueCode": right }, { "name": "how", "valueCode": "read" },
                { "name": "fits", "valueBoolean": true },
            ]}));
        }
        let body = json!({ "resourceType": "Parameters", "parameter": parts });
        let call = Call::post(format!("{BASE}/{name}/$give")).bearer(&self.carer);
        self.server.send(call.json(&body)).await
    }
}

fn named<'a>(answer: &'a Value, name: &str) -> Vec<&'a Value> {
    let parts = answer["parameter"].as_array().unwrap();
    parts.iter().filter(|part| part["name"] == name).collect()
}

fn gaps(answer: &Value) -> Vec<&str> {
    let all = named(answer, "not-checked");
    let texts = all.iter().map(|own| own["valueString"].as_str().unwrap());
    texts.filter(|own| own.contains(FORMULARY)).collect()
}

fn overriding(order: &Value, outcome: &Value) -> Value {
    let mut parts = vec![json!({ "name": "order", "resource": order })];
    for issue in outcome["issue"].as_array().unwrap() {
        parts.push(json!({ "name": "override", "part": [
            { "name": "fingerprint", "valueString": issue["details"]["coding"][0]["code"] },
            { "name": "reason", "valueCode": "monitored" },
        ]}));
    }
    json!({ "resourceType": "Parameters", "parameter": parts })
}

fn stored(answer: &Value) -> String {
    let name = &named(answer, "order")[0]["valueReference"]["reference"];
    name.as_str().unwrap().to_owned()
}

/// A formulary with one interaction between all that it is asked about, as long as it is up.
fn formulary(up: &Arc<AtomicBool>, severity: &'static str) -> Receiver {
    let up = Arc::clone(up);
    Receiver::start(move |request, _| {
        if !up.load(Ordering::SeqCst) {
            return Reply::status(503);
        }
        let asked: Value = serde_json::from_str(&request.text()).unwrap();
        let count = asked["ingredients"].as_array().unwrap().len();
        let body = json!({
            "release": { "version": "2026-03", "effective": "2026-03-01", "licence": "licensed" },
            "known": vec![true; count],
            "interactions": [{
                "id": "F-1", "between": [0, 1], "severity": severity, "effect": "Something rare.",
                "management": "Watch.",
            }],
        });
        Reply {
            body: body.to_string().into_bytes(),
            ..Reply::status(200)
        }
    })
}

#[tokio::test]
async fn a_connector_that_is_down_is_named_in_the_answer_and_with_the_order() {
    let down = formulary(&Arc::new(AtomicBool::new(false)), "severe");
    let ward = Ward::new(&[(FORMULARY, &down, "")]).await;
    // Our own knowledge still holds what it knows.
    let potassium = ward.prescribe(&order("Spironolactone 25mg tablet")).await;
    let own = potassium.json();
    let text = own.to_string();
    assert!(
        text.contains("Ramipril 5mg capsule with Spironolactone"),
        "{text}"
    );
    // And what it does not know of is prescribed, with the gap.
    let done = ward
        .prescribe(&order("Paracetamol 500mg tablet"))
        .await
        .expect(201)
        .json();
    assert_eq!(
        gaps(&done),
        ["formulary did not answer: it answers with status 503"]
    );
    assert_eq!(named(&done, "source")[0]["part"][1]["valueCode"], "failed");
    let order = ward.read(&stored(&done)).await;
    let kept = order["detectedIssue"].as_array().unwrap();
    let mut found = Vec::new();
    for reference in kept {
        let issue = ward.read(reference["reference"].as_str().unwrap()).await;
        if issue["code"]["text"] == "Not checked" {
            found.push(issue);
        }
    }
    assert_eq!(found.len(), 1, "{order}");
    assert_eq!(
        found[0]["detail"],
        "formulary did not answer: it answers with status 503"
    );
    assert_eq!(found[0]["extension"][0]["valueString"], "formulary");
    let call = Call::post(format!("{BASE}/DetectedIssue/$validate")).bearer(&ward.doctor);
    let valid = ward
        .server
        .send(call.json(&found[0]))
        .await
        .expect(200)
        .text();
    assert!(!valid.contains("\"error\""), "{valid}");
    let metrics = ward
        .server
        .send(Call::get("/metrics"))
        .await
        .expect(200)
        .text();
    let counted = "theriac_knowledge_questions_total{source=\"formulary\",outcome=\"status\"}";
    assert!(metrics.contains(counted), "{metrics}");
    // Nothing but ingredients was sent.
    for request in down.seen() {
        let sent = format!("{} {:?} {}", request.path, request.headers, request.text());
        for secret in ["Hidden", "Patient", "rosewood", "tablet"] {
            assert!(!sent.contains(secret), "{secret} in {sent}");
        }
    }
}

#[tokio::test]
async fn what_was_said_is_merged_and_counts_at_the_bedside_without_asking_again() {
    let up = Arc::new(AtomicBool::new(true));
    let receiver = formulary(&up, "severe");
    let ward = Ward::new(&[(FORMULARY, &receiver, "keep=10")]).await;
    let paracetamol = order("Paracetamol 500mg tablet");
    let held = ward.prescribe(&paracetamol).await.expect(422).json();
    let said = held["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(
        said.contains("formulary (2026-03): Something rare."),
        "{said}"
    );
    let done = ward
        .prescribe(&overriding(&paracetamol, &held))
        .await
        .expect(201)
        .json();
    assert!(gaps(&done).is_empty());
    let source = named(&done, "source")[0];
    assert_eq!(source["part"][1]["valueCode"], "kept");
    assert_eq!(source["part"][2]["valueString"], "2026-03");
    let asked = receiver.seen().len();
    assert_eq!(asked, 1, "what is fresh is not asked for again");
    // The source goes away: a dose neither waits for it nor loses what it said.
    up.store(false, Ordering::SeqCst);
    let name = stored(&done);
    let given = ward.give(&name).await.expect(201).json();
    assert!(!given.to_string().contains(FORMULARY), "{given}");
    assert_eq!(receiver.seen().len(), asked);
    // Prescribing asks again a day later, and shows what was said before beside the failure.
    ward.server.clock.advance(2 * 86_400);
    let held = ward
        .prescribe(&order("Paracetamol 1000mg tablet"))
        .await
        .expect(422)
        .json();
    assert!(held.to_string().contains("Something rare"), "{held}");
    assert!(receiver.seen().len() > asked);
    // In the end nothing that old counts, and the dose says so without being held by it.
    ward.server.clock.advance(10 * 86_400);
    let asked = receiver.seen().len();
    let given = ward.give(&name).await.expect(201).json();
    let reasons: Vec<&str> = named(&given, "reason")
        .iter()
        .map(|own| own["part"][2]["valueString"].as_str().unwrap())
        .collect();
    let says = "not checked: Paracetamol 500mg tablet was not checked with formulary: no answer of it is kept, and it is not asked at the bedside";
    assert!(reasons.contains(&says), "{reasons:#?}");
    assert_eq!(receiver.seen().len(), asked);
}

#[tokio::test]
async fn an_override_of_what_two_sources_say_stands_while_one_is_away() {
    let up = Arc::new(AtomicBool::new(true));
    let receiver = formulary(&up, "contraindicated");
    let ward = Ward::new(&[(FORMULARY, &receiver, "keep=1")]).await;
    let spironolactone = order("Spironolactone 25mg tablet");
    let held = ward.prescribe(&spironolactone).await.expect(422).json();
    let said = held["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(
        said.starts_with("the order was not stored. contraindicated"),
        "{said}"
    );
    let mut body = overriding(&spironolactone, &held);
    body["parameter"][1]["part"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "text", "valueString": "potassium is watched" }));
    let done = ward.prescribe(&body).await.expect(201).json();
    assert_eq!(
        named(&done, "state")[0]["valueCode"],
        "waits-for-second-person"
    );
    let name = stored(&done);
    let pharmacist = ward.server.person(ROSEWOOD, Role::Pharmacist).await;
    let call = Call::post(format!("{BASE}/{name}/$countersign")).bearer(&pharmacist);
    let nothing = json!({ "resourceType": "Parameters" });
    ward.server.send(call.json(&nothing)).await.expect(200);
    // Two days later nothing of the formulary counts: our own alert is known by the same override.
    up.store(false, Ordering::SeqCst);
    ward.server.clock.advance(2 * 86_400);
    let given = ward.give(&name).await.expect(201).json();
    assert!(gaps_of(&given), "{given}");
}

fn gaps_of(given: &Value) -> bool {
    given.to_string().contains("was not checked with formulary")
}

#[tokio::test]
async fn slow_sources_are_waited_for_at_the_same_time_and_not_longer_than_they_may() {
    let slow = || Receiver::start(|_, _| Reply::status(200).after(Duration::from_secs(8)));
    let (one, two, three) = (slow(), slow(), slow());
    let ward = Ward::new(&[
        ("formulary", &one, "within=700"),
        ("drugbank", &two, "within=700"),
        ("openfda", &three, "within=700"),
    ])
    .await;
    let begun = tokio::time::Instant::now();
    let done = ward
        .prescribe(&order("Paracetamol 500mg tablet"))
        .await
        .expect(201)
        .json();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    let gaps = named(&done, "not-checked");
    for source in ["formulary", "drugbank", "openfda"] {
        let own = gaps.iter().filter(|own| {
            let text = own["valueString"].as_str().unwrap();
            text.starts_with(&format!("{source} did not answer"))
        });
        assert_eq!(own.count(), 1, "{source}: {gaps:?}");
    }
}

#[tokio::test]
async fn a_tenant_that_may_not_ask_a_source_does_not() {
    let receiver = formulary(&Arc::new(AtomicBool::new(true)), "severe");
    let ward = Ward::new(&[(FORMULARY, &receiver, "tenants=lakeside")]).await;
    let done = ward
        .prescribe(&order("Paracetamol 500mg tablet"))
        .await
        .expect(201)
        .json();
    assert!(named(&done, "source").is_empty() && receiver.seen().is_empty());
}
