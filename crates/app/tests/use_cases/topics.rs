//! Topics of the R5 backport: handshake, notification bundles, triggers, filters, heartbeats, what was
//! missed; and notifications by mail.

use app::AppError;
use app::subscriptions::operate::{self, Range};
use connect::{MailSecurity, MailSettings};
use serde_json::{Value, json};
use testkit::receiver::{Receiver, Reply};
use testkit::smtp::{MailServer, Manners};
use testkit::tls::TestCertificate;

use crate::house::{observation, patient};
use crate::subscribed::{Subscribed, hook};

const TOPIC: &str = "https://house.example/topics/final";
const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

fn element(name: &str) -> String {
    format!("http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.{name}")
}

/// A topic of observations that become amended, and of deleted ones.
fn topic() -> Value {
    json!({
        "resourceType": "Basic", "id": "topic",
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
        "extension": [
            {"url": element("url"), "valueUri": TOPIC},
            {"url": element("status"), "valueCode": "active"},
            {"url": element("resourceTrigger"), "extension": [
                {"url": "resource", "valueUri": "http://hl7.org/fhir/StructureDefinition/Observation"},
                {"url": "supportedInteraction", "valueCode": "update"},
                {"url": "queryCriteria", "extension": [
                    {"url": "previous", "valueString": "status=final"},
                    {"url": "current", "valueString": "status=amended"},
                    {"url": "requireBoth", "valueBoolean": true},
                ]},
            ]},
            {"url": element("resourceTrigger"), "extension": [
                {"url": "resource", "valueUri": "Observation"},
                {"url": "supportedInteraction", "valueCode": "delete"},
            ]},
            {"url": element("canFilterBy"), "extension": [
                {"url": "resource", "valueUri": "Observation"},
                {"url": "filterParameter", "valueString": "subject"},
            ]},
            {"url": element("notificationShape"), "extension": [
                {"url": "resource", "valueUri": "Observation"},
                {"url": "include", "valueString": "Observation:subject"},
            ]},
        ],
    })
}

fn subscription(id: &str, content: &str, endpoint: &str) -> Value {
    let mut body = hook(id, TOPIC, endpoint);
    body["_criteria"] = json!({"extension": [{
        "url": format!("{BACKPORT}backport-filter-criteria"),
        "valueString": "Observation?subject=Patient/p1",
    }]});
    body["channel"]["payload"] = json!("application/fhir+json");
    body["channel"]["_payload"] = json!({"extension": [{
        "url": format!("{BACKPORT}backport-payload-content"), "valueCode": content,
    }]});
    body["channel"]["extension"] = json!([
        {"url": format!("{BACKPORT}backport-heartbeat-period"), "valueUnsignedInt": 120},
        {"url": format!("{BACKPORT}backport-max-count"), "valuePositiveInt": 10},
    ]);
    body
}

async fn amend(place: &Subscribed, id: &str, patient: &str) {
    let mut body = observation(id, patient);
    place.put(&body).await;
    body["status"] = json!("amended");
    place.put(&body).await;
}

fn parameter<'a>(bundle: &'a Value, name: &str) -> Vec<&'a Value> {
    bundle["entry"][0]["resource"]["parameter"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|part| part["name"] == name)
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
pub async fn a_topic_begins_with_a_handshake_and_notifies_with_bundles() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    for id in ["p1", "p2"] {
        place.put(&patient(id, "Ash")).await;
    }
    place.put(&topic()).await;
    place
        .subscribe(&subscription("s1", "full-resource", &receiver.url("/in")))
        .await;
    let hello: Value = serde_json::from_slice(&receiver.seen()[0].body).unwrap();
    assert_eq!(hello["type"], "history");
    assert_eq!(parameter(&hello, "type")[0]["valueCode"], "handshake");
    assert_eq!(parameter(&hello, "status")[0]["valueCode"], "requested");
    assert_eq!(parameter(&hello, "topic")[0]["valueCanonical"], TOPIC);
    assert_eq!(place.status("s1").await, "active");

    // Another patient's, one that is not amended, and two that are: in one bundle.
    amend(&place, "o1", "p2").await;
    place.put(&observation("o2", "p1")).await;
    amend(&place, "o3", "p1").await;
    amend(&place, "o4", "p1").await;
    place.work().await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    let notice: Value = serde_json::from_slice(&seen[1].body).unwrap();
    assert_eq!(seen[1].header("webhook-id"), Some("s1.1-2"));
    assert_eq!(
        parameter(&notice, "type")[0]["valueCode"],
        "event-notification"
    );
    assert_eq!(
        parameter(&notice, "eventsSinceSubscriptionStart")[0]["valueString"],
        "2"
    );
    let events = parameter(&notice, "notificationEvent");
    let numbers: Vec<_> = events
        .iter()
        .map(|event| &event["part"][0]["valueString"])
        .collect();
    assert_eq!(numbers, ["1", "2"]);
    let entries: Vec<String> = notice["entry"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|entry| {
            let resource = &entry["resource"];
            let name = |name: &str| resource[name].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {}/{}",
                entry["request"]["method"].as_str().unwrap(),
                name("resourceType"),
                name("id")
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            "PUT Observation/o3",
            "GET Patient/p1",
            "PUT Observation/o4",
            "GET Patient/p1"
        ]
    );
    // The whole bundle is R4.
    let issues = fhir_issues(&seen[1].body);
    assert!(issues.is_empty(), "{issues:?}");

    let key = place.house.key("Observation/o3");
    app::record::delete::delete(&place.house.app, &place.program, &key, None)
        .await
        .unwrap();
    place.work().await;
    let gone: Value = serde_json::from_slice(&receiver.seen()[2].body).unwrap();
    let entry = &gone["entry"][1];
    assert_eq!(
        (&entry["request"]["method"], &entry["request"]["url"]),
        (&json!("DELETE"), &json!("Observation/o3"))
    );
    assert!(entry.get("resource").is_none());
}

fn fhir_issues(body: &[u8]) -> Vec<String> {
    let limits = fhir::json::Limits::default();
    let document = fhir::json::Document::parse(body.to_vec(), &limits).unwrap();
    let definitions = fhir::definitions::Definitions::r4();
    fhir::validate::validate(definitions, document.root())
        .into_iter()
        .map(|issue| format!("{}: {}", issue.expression, issue.diagnostics))
        .collect()
}

#[tokio::test]
async fn heartbeats_come_in_silence_and_what_was_missed_is_asked_for() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    place.put(&patient("p1", "Ash")).await;
    place.put(&topic()).await;
    place
        .subscribe(&subscription("s1", "id-only", &receiver.url("/in")))
        .await;
    place.later(60).await;
    assert_eq!(receiver.seen().len(), 1);
    place.later(61).await;
    let beat: Value = serde_json::from_slice(&receiver.seen()[1].body).unwrap();
    assert_eq!(parameter(&beat, "type")[0]["valueCode"], "heartbeat");
    for n in 0..3 {
        amend(&place, &format!("o{n}"), "p1").await;
        place.work().await;
    }
    assert_eq!(receiver.seen().len(), 5);
    let notice: Value = serde_json::from_slice(&receiver.seen()[4].body).unwrap();
    assert!(notice["entry"][1].get("resource").is_none());
    assert!(
        notice["entry"][1]["fullUrl"]
            .as_str()
            .unwrap()
            .ends_with("/Observation/o2")
    );

    let (app, id) = (&place.house.app, "s1".parse().unwrap());
    let range = Range {
        since: Some(2),
        until: Some(3),
        content: app::subscriptions::Content::parse("full-resource"),
    };
    let missed = operate::events(app, &place.program, &id, range)
        .await
        .unwrap();
    assert!(fhir_issues(&missed).is_empty());
    let missed: Value = serde_json::from_slice(&missed).unwrap();
    assert_eq!(parameter(&missed, "type")[0]["valueCode"], "query-event");
    assert_eq!(parameter(&missed, "notificationEvent").len(), 2);
    assert_eq!(missed["entry"][1]["resource"]["id"], "o1");
    let status = operate::status(app, &place.program, std::slice::from_ref(&id))
        .await
        .unwrap();
    let status: Value = serde_json::from_slice(&status).unwrap();
    assert_eq!(
        parameter(&status, "eventsSinceSubscriptionStart")[0]["valueString"],
        "3"
    );
    // Whoever may not see the resources is told of none.
    let doctor = place.house.doctor().await;
    let refused = operate::events(app, &doctor, &id, range).await;
    assert!(
        matches!(refused, Err(AppError::Denied { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_handshake_that_fails_ends_in_error_and_nothing_is_sent() {
    let receiver = Receiver::start(|_, _| Reply::status(404));
    let place = Subscribed::to(&[&receiver]).await;
    place.put(&topic()).await;
    place
        .subscribe(&subscription("s1", "empty", &receiver.url("/in")))
        .await;
    assert_eq!(place.status("s1").await, "requested");
    for _ in 0..5 {
        place.later(60).await;
    }
    assert_eq!(
        (place.status("s1").await.as_str(), receiver.seen().len()),
        ("error", 5)
    );
    place.put(&patient("p1", "Ash")).await;
    amend(&place, "o1", "p1").await;
    place.later(60).await;
    assert_eq!(receiver.seen().len(), 5);
}

#[tokio::test]
async fn filters_that_a_topic_does_not_offer_are_refused() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let body = subscription("s1", "empty", &receiver.url("/in"));
    let refused = place.house.put(&place.program, &body).await.unwrap_err();
    assert!(refused.to_string().contains("is not known"), "{refused}");
    place.put(&topic()).await;
    let mut other = body.clone();
    other["_criteria"]["extension"][0]["valueString"] = json!("Observation?code=1");
    let refused = place.house.put(&place.program, &other).await.unwrap_err();
    assert!(refused.to_string().contains("code"), "{refused}");
    place.put(&body).await;
    // A topic with what is not served here is not served at all.
    let mut strange = topic();
    strange["extension"][2]["extension"] = json!([
        {"url": "resource", "valueUri": "Observation"},
        {"url": "fhirPathCriteria", "valueString": "%current.no such"},
    ]);
    place.put(&strange).await;
    let mut again = body.clone();
    again["id"] = json!("s2");
    assert!(place.house.put(&place.program, &again).await.is_err());
}

#[tokio::test]
pub async fn fhirpath_compares_what_was_with_what_is() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let path = "%previous.exists() and %current.value.value > %previous.value.value";
    let mut rising = topic();
    rising["extension"][2]["extension"] = json!([
        {"url": "resource", "valueUri": "Observation"},
        {"url": "fhirPathCriteria", "valueString": path},
    ]);
    place.put(&patient("p1", "Ash")).await;
    place.put(&rising).await;
    place
        .subscribe(&subscription("s1", "id-only", &receiver.url("/in")))
        .await;
    let mut body = observation("o1", "p1");
    for value in [70, 75, 71, 80, 79] {
        body["valueQuantity"]["value"] = json!(value);
        place.put(&body).await;
        place.work().await;
    }
    // A handshake, and the two that rose.
    assert_eq!(receiver.seen().len(), 3);
}

#[tokio::test]
async fn mail_names_no_patient_and_carries_the_resource_only_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = TestCertificate::for_names(&["mail.test"]);
    let server = MailServer::start(&certificate, Manners::default());
    let port = server.address().port();
    let mail = MailSettings {
        server: format!("mail.test:{port}"),
        security: MailSecurity::StartTls,
        from: "record@house.test".to_owned(),
        credentials: None,
        recipients: vec!["*@clinic.test".to_owned()],
    };
    let roots = certificate.write_into(folder.path());
    let allow = vec![format!("smtp://mail.test:{port} private")];
    let place = Subscribed::with(allow, Some((mail, roots))).await;
    let mut body = hook("s1", "Patient?", "mailto:ward@clinic.test");
    body["channel"]["type"] = json!("email");
    let mut stranger = body.clone();
    stranger["channel"]["endpoint"] = json!("mailto:ward@elsewhere.test");
    assert!(place.house.put(&place.program, &stranger).await.is_err());
    place.subscribe(&body).await;
    place.put(&patient("p1", "Ashworth")).await;
    place.work().await;
    let mails = server.wait_for(1);
    assert!(mails[0].secured && mails[0].to == ["<ward@clinic.test>"]);
    assert!(!mails[0].content.contains("Ashworth") && !mails[0].content.contains("p1"));
    assert!(mails[0].content.contains("Message-ID: <s1.1@house.test>"));
    body["id"] = json!("s2");
    body["channel"]["payload"] = json!("application/fhir+json");
    place.subscribe(&body).await;
    place.put(&patient("p2", "Ashworth")).await;
    place.work().await;
    let mails = server.wait_for(3);
    assert!(
        mails.iter().any(|mail| mail.content.contains("Ashworth")),
        "{mails:?}"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
pub async fn what_refers_to_a_focus_goes_along_where_the_creator_may_see_it() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let topic = json!({
        "resourceType": "Basic", "id": "topic",
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
        "extension": [
            {"url": element("url"), "valueUri": TOPIC},
            {"url": element("resourceTrigger"), "extension": [
                {"url": "resource", "valueUri": "Patient"},
                {"url": "supportedInteraction", "valueCode": "update"},
            ]},
            {"url": element("notificationShape"), "extension": [
                {"url": "resource", "valueUri": "Patient"},
                {"url": "include", "valueString": "_include=Patient:general-practitioner:Organization"},
                {"url": "revInclude", "valueString": "_revinclude=Observation:subject&_revinclude=Condition:subject"},
            ]},
        ],
    });
    place.put(&topic).await;
    place.put(&patient("p1", "Ash")).await;
    place.put(&patient("p2", "Ash")).await;
    place.put(&observation("o1", "p1")).await;
    place.put(&observation("o2", "p2")).await;
    place
        .put(&json!({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}}))
        .await;
    place
        .put(&json!({"resourceType": "Organization", "id": "org"}))
        .await;
    let mut body = hook("s1", TOPIC, &receiver.url("/in"));
    body["channel"]["payload"] = json!("application/fhir+json");
    body["channel"]["_payload"] = json!({"extension": [{
        "url": format!("{BACKPORT}backport-payload-content"), "valueCode": "full-resource",
    }]});
    // A token that may not see conditions.
    let named = ["Patient", "Observation", "Organization", "Subscription"];
    let scopes = vec![identity::Scope {
        types: identity::Types::Named(named.map(str::to_owned).to_vec()),
        interactions: identity::InteractionSet::ALL,
    }];
    let (token, _) = place.house.client_token("ash", Some(scopes)).await;
    let context = place.house.context();
    let narrow = app::sign_in::bearer(&place.house.app, "ash", &token, context);
    place
        .house
        .put(&narrow.await.unwrap(), &body)
        .await
        .unwrap();
    body["id"] = json!("s2");
    place.subscribe(&body).await;
    let mut changed = patient("p1", "Birch");
    changed["generalPractitioner"] =
        json!([{"reference": "Organization/org"}, {"reference": "Practitioner/x"}]);
    place.put(&changed).await;
    place.work().await;
    let along = |subscription: &str| -> Vec<String> {
        let seen = receiver.seen();
        let name = format!("{subscription}.1");
        let one = seen
            .iter()
            .find(|one| one.header("webhook-id") == Some(&name));
        let bundle: Value = serde_json::from_slice(&one.unwrap().body).unwrap();
        let entries = bundle["entry"].as_array().unwrap().iter().skip(1);
        entries
            .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(along("s2"), ["p1", "org", "o1", "c1"]);
    assert_eq!(along("s1"), ["p1", "org", "o1"]);
}

#[tokio::test]
async fn a_topic_that_cannot_be_served_is_refused_with_its_reason() {
    let place = Subscribed::with(vec!["http://127.0.0.1:1 private".to_owned()], None).await;
    let shape = |name: &str, text: &str| json!({"url": element("notificationShape"), "extension": [{"url": name, "valueString": text}]});
    for (more, says) in [
        (
            json!({"url": element("eventTrigger"), "extension": [{"url": "description", "valueString": "x"}]}),
            "eventTrigger",
        ),
        (shape("revInclude", "Observation"), "revInclude"),
        (shape("revInclude", "Observation:code"), "Observation:code"),
        (shape("include", "Observation:nonsense"), "nonsense"),
        (
            json!({"url": element("status"), "valueCode": "draft"}),
            "not active",
        ),
    ] {
        let mut body = topic();
        let extensions = body["extension"].as_array_mut().unwrap();
        extensions.retain(|one| one["url"] != more["url"]);
        extensions.push(more);
        place.put(&body).await;
        let subscription = hook("s1", TOPIC, "http://127.0.0.1:1/");
        let refused = place.house.put(&place.program, &subscription).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
    }
}
