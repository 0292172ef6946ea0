//! Plain R4 subscriptions against a real receiver: what is sent, in what order, how failures end, and
//! with whose authority.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use app::subscriptions::Engine;
use app::subscriptions::operate;
use app::{AppError, Log};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::{InteractionSet, Scope, Types};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use testkit::receiver::{Received, Receiver, Reply};
use uuid::Uuid;

use crate::house::{House, observation, patient};
use crate::subscribed::{Subscribed, event_number, hook};

// HMAC after RFC 2104, written out: the receiver's own implementation.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let digest = |byte: u8, text: &[u8]| {
        Sha256::new()
            .chain_update(block.map(|own| own ^ byte))
            .chain_update(text)
            .finalize()
            .to_vec()
    };
    digest(0x5c, &digest(0x36, text))
}

fn is_signed(secret: &str, request: &Received) -> bool {
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let id = request.header("webhook-id").unwrap();
    let stamp = request.header("webhook-timestamp").unwrap();
    let mut text = format!("{id}.{stamp}.").into_bytes();
    text.extend_from_slice(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac(&key, &text)));
    request.header("webhook-signature") == Some(&expected)
}

#[tokio::test]
async fn a_hook_is_called_for_what_its_criteria_find_and_signed() {
    let receiver = Receiver::start(|_, _| Reply::status(204));
    let place = Subscribed::to(&[&receiver]).await;
    place.put(&patient("p1", "Ash")).await;
    let mut body = hook("s1", "Observation?code=8867-4", &receiver.url("/in"));
    body["channel"]["header"] = json!(["Authorization: Bearer s3cret"]);
    place.house.put(&place.program, &body).await.unwrap();
    assert_eq!(place.status("s1").await, "requested");
    place.work().await;
    assert_eq!(place.status("s1").await, "active");
    assert!(receiver.seen().is_empty(), "plain R4 knows no handshake");

    place.put(&observation("o1", "p1")).await;
    let mut other = observation("o2", "p1");
    other["code"]["coding"][0]["code"] = json!("1234-5");
    place.put(&other).await;
    place.work().await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("POST", "/in")
    );
    assert!(seen[0].body.is_empty());
    assert_eq!(seen[0].header("webhook-id"), Some("s1.1"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer s3cret"));
    let id = "s1".parse().unwrap();
    let secret = operate::signing_key(&place.house.app, &place.program, &id)
        .await
        .unwrap();
    assert!(is_signed(&secret, &seen[0]));
    let mut forged = seen[0].clone();
    forged.body = b"x".to_vec();
    assert!(!is_signed(&secret, &forged));

    // A change that moves it out of the criteria is none; one that moves it in is.
    other["code"]["coding"][0]["code"] = json!("8867-4");
    place.put(&other).await;
    place.work().await;
    assert_eq!(receiver.seen().len(), 2);
    other["code"]["coding"][0]["code"] = json!("1234-5");
    place.put(&other).await;
    place.work().await;
    assert_eq!(receiver.seen().len(), 2);
    // Nothing more after it is off.
    body["status"] = json!("off");
    place.put(&body).await;
    place.put(&observation("o3", "p1")).await;
    place.work().await;
    assert_eq!(
        (receiver.seen().len(), place.status("s1").await.as_str()),
        (2, "off")
    );
}

#[tokio::test]
async fn header_values_are_used_and_never_shown() {
    let receiver = Receiver::start(|_, _| Reply::status(204));
    let place = Subscribed::to(&[&receiver]).await;
    place.put(&patient("p1", "Ash")).await;
    let mut body = hook("s1", "Observation?code=8867-4", &receiver.url("/in"));
    body["channel"]["header"] = json!(["Authorization: Bearer s3cret", "X-Ward: north"]);
    place.house.put(&place.program, &body).await.unwrap();
    place.work().await;
    let house = &place.house;
    let mut stored = house.read(&place.program, "Subscription/s1").await.unwrap();
    assert_eq!(stored["status"], "active");
    let shown = json!(["Authorization: (withheld)", "X-Ward: (withheld)"]);
    assert_eq!(stored["channel"]["header"], shown);
    let history = app::record::history::HistoryRequest {
        scope: app::HistoryScope::Instance(house.key("Subscription/s1")),
        params: Vec::new(),
        lenient: false,
    };
    let history = app::record::history::history(&house.app, &place.program, &history).await;
    for version in history.unwrap().versions {
        let text = String::from_utf8(version.body.unwrap().to_vec()).unwrap();
        assert!(
            text.contains("withheld") && !text.contains("s3cret"),
            "{text}"
        );
    }
    // Written again as it was read, it goes on with what it knows; but nowhere else.
    stored["status"] = json!("requested");
    let endpoint = stored["channel"]["endpoint"].clone();
    stored["channel"]["endpoint"] = json!(receiver.url("/elsewhere"));
    let elsewhere = house.put(&place.program, &stored).await;
    assert!(
        matches!(elsewhere, Err(AppError::Unprocessable(_))),
        "{elsewhere:?}"
    );
    stored["channel"]["endpoint"] = endpoint;
    house.put(&place.program, &stored).await.unwrap();
    place.work().await;
    place.put(&observation("o1", "p1")).await;
    place.work().await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].header("authorization"), Some("Bearer s3cret"));
    assert_eq!(seen[0].header("x-ward"), Some("north"));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
pub async fn a_payload_is_the_stored_resource_and_a_look_by_the_subscription() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let mut body = hook(
        "s1",
        "Observation?subject=Patient/p1",
        &receiver.url("/fhir/"),
    );
    body["channel"]["payload"] = json!("application/fhir+json");
    place.subscribe(&body).await;
    body["id"] = json!("s2");
    body["channel"]["payload"] = json!("application/fhir+xml");
    place.subscribe(&body).await;
    place.put(&patient("p1", "Ash")).await;
    place.put(&observation("o1", "p1")).await;
    place.work().await;
    let stored = place
        .house
        .read(&place.program, "Observation/o1")
        .await
        .unwrap();
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2);
    let json = seen
        .iter()
        .find(|one| one.header("webhook-id") == Some("s1.1"))
        .unwrap();
    assert_eq!(
        (json.method.as_str(), json.path.as_str()),
        ("PUT", "/fhir/Observation/o1")
    );
    assert_eq!(json.header("content-type"), Some("application/fhir+json"));
    let sent: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(sent, stored);
    assert!(json.text().contains(r#""value":72.5,"#), "{}", json.text());
    let xml = seen
        .iter()
        .find(|one| one.header("webhook-id") == Some("s2.1"))
        .unwrap();
    assert_eq!(xml.header("content-type"), Some("application/fhir+xml"));
    assert!(
        xml.text().contains("<value value=\"72.5\"/>"),
        "{}",
        xml.text()
    );
    let auditor = place.house.caller("ash", identity::Role::Auditor).await;
    let filter = app::audit::Filter::newest(Log::Access, 30);
    let page = app::audit::recent(&place.house.app, &auditor, &filter)
        .await
        .unwrap();
    let agents: Vec<_> = page
        .entries
        .iter()
        .filter_map(|entry| entry.payload.as_ref())
        .filter(|payload| payload.actor.role == "subscription")
        .map(|payload| (payload.actor.name.clone(), payload.patient.clone()))
        .collect();
    assert_eq!(agents.len(), 2, "{agents:?}");
    assert!(
        agents
            .iter()
            .all(|(_, patient)| patient.as_deref() == Some("p1"))
    );
    assert!(
        agents
            .iter()
            .any(|(name, _)| name.starts_with("Subscription/s1 of engine"))
    );
}

#[tokio::test]
async fn order_is_kept_under_retries_and_pauses_grow() {
    let status = Arc::new(AtomicU16::new(503));
    let answers = status.clone();
    let receiver = Receiver::start(move |_, _| Reply::status(answers.load(Ordering::SeqCst)));
    let place = Subscribed::to(&[&receiver]).await;
    place
        .subscribe(&hook("s1", "Patient?", &receiver.url("/")))
        .await;
    for n in 0..5 {
        place.put(&patient(&format!("p{n}"), "Ash")).await;
    }
    place.work().await;
    assert_eq!(
        receiver.seen().len(),
        1,
        "the first fails; nobody overtakes it"
    );
    place.work().await;
    assert_eq!(receiver.seen().len(), 1, "not before its pause is over");
    place.later(1).await;
    place.later(2).await;
    assert_eq!(receiver.seen().len(), 3);
    place.later(1).await;
    assert_eq!(receiver.seen().len(), 3, "pauses grow");
    status.store(200, Ordering::SeqCst);
    place.later(40).await;
    let numbers: Vec<u64> = receiver
        .seen()
        .iter()
        .map(|one| event_number(one.header("webhook-id")))
        .collect();
    assert_eq!(numbers, [1, 1, 1, 1, 2, 3, 4, 5]);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
async fn what_is_given_up_is_kept_named_and_sent_again_on_demand() {
    let well = Arc::new(AtomicBool::new(false));
    let answers = well.clone();
    let receiver = Receiver::start(move |_, _| {
        Reply::status(if answers.load(Ordering::SeqCst) {
            200
        } else {
            500
        })
    });
    let place = Subscribed::to(&[&receiver]).await;
    let body = hook("s1", "Patient?", &receiver.url("/"));
    place.subscribe(&body).await;
    for n in 0..3 {
        place.put(&patient(&format!("p{n}"), "Ash")).await;
    }
    for _ in 0..30 {
        place.later(300).await;
    }
    assert_eq!(place.status("s1").await, "error");
    let stored = place
        .house
        .read(&place.program, "Subscription/s1")
        .await
        .unwrap();
    assert!(
        stored["error"].as_str().unwrap().contains("500"),
        "{stored}"
    );
    let tried = receiver.seen().len();
    // Changes while it is given up wait in the ledger.
    place.put(&patient("p9", "Ash")).await;
    place.later(4000).await;
    assert_eq!(receiver.seen().len(), tried);

    let admin = place.house.admin("ash").await;
    let app = &place.house.app;
    let id = "s1".parse().unwrap();
    let overview = operate::list(app, &admin).await.unwrap();
    assert_eq!(overview[0].status.as_str(), "error");
    let dead = operate::deliveries(app, &admin, &id, 0, None)
        .await
        .unwrap();
    let states: Vec<_> = dead
        .iter()
        .map(|one| (one.number, one.state.as_str()))
        .collect();
    assert_eq!(states, [(1, "dead"), (2, "dead"), (3, "dead")]);
    assert!(
        operate::list(app, &place.program).await.is_err(),
        "not for programs"
    );
    let early = operate::replay(app, &admin, &id, None).await;
    assert!(matches!(early, Err(AppError::Conflict(_))));

    well.store(true, Ordering::SeqCst);
    place.subscribe(&body).await;
    place.later(60).await;
    assert_eq!(place.status("s1").await, "active");
    place.put(&patient("p4", "Ash")).await;
    place.work().await;
    let again = Some([2u64].as_slice());
    assert_eq!(operate::replay(app, &admin, &id, again).await.unwrap(), 1);
    place.work().await;
    let numbers: Vec<u64> = receiver.seen()[tried..]
        .iter()
        .map(|one| event_number(one.header("webhook-id")))
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 2]);
    let left = operate::deliveries(
        app,
        &admin,
        &id,
        0,
        Some(app::subscriptions::DeliveryState::Dead),
    );
    assert!(left.await.unwrap().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_ends_it_at_once() {
    let receiver = Receiver::start(|_, _| Reply::status(410));
    let place = Subscribed::to(&[&receiver]).await;
    place
        .subscribe(&hook("s1", "Patient?", &receiver.url("/")))
        .await;
    place.put(&patient("p1", "Ash")).await;
    place.work().await;
    assert_eq!(
        (receiver.seen().len(), place.status("s1").await.as_str()),
        (1, "error")
    );
}

#[tokio::test]
async fn a_slow_subscriber_delays_nobody() {
    let slow = Receiver::start(|_, _| Reply::status(200).after(Duration::from_millis(1500)));
    let quick = Receiver::start(|_, _| Reply::status(200));
    let place = Arc::new(Subscribed::to(&[&slow, &quick]).await);
    place
        .subscribe(&hook("slow", "Patient?", &slow.url("/")))
        .await;
    place
        .subscribe(&hook("quick", "Patient?", &quick.url("/")))
        .await;
    place.put(&patient("p1", "Ash")).await;
    place.put(&patient("p2", "Ash")).await;
    let working = place.clone();
    let work = tokio::spawn(async move { working.work().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((quick.seen().len(), slow.seen().len()), (2, 1));
    work.await.unwrap();
    assert_eq!(slow.seen().len(), 2);
}

#[tokio::test]
async fn a_revoked_creator_is_notified_of_nothing_more() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    place
        .subscribe(&hook("s1", "Patient?", &receiver.url("/")))
        .await;
    place.put(&patient("p1", "Ash")).await;
    place.work().await;
    assert_eq!(receiver.seen().len(), 1);
    let admin = place.house.admin("ash").await;
    let client = kernel::ClientId::from_uuid(place.program.subject.actor().id.as_uuid());
    place.put(&patient("p2", "Ash")).await;
    app::admin::clients::set_state(
        &place.house.app,
        &admin,
        client,
        identity::UserState::Suspended,
    )
    .await
    .unwrap();
    let doctor = place.house.doctor().await;
    place
        .house
        .put(&doctor, &patient("p3", "Ash"))
        .await
        .unwrap();
    place.work().await;
    assert_eq!(receiver.seen().len(), 1);
    let other = place.house.integration("ash").await;
    let stored = place.house.read(&other, "Subscription/s1").await.unwrap();
    assert_eq!(stored["status"], "error", "{stored}");
}

#[tokio::test]
async fn a_token_s_scopes_stay_the_subscription_s_limit() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let scopes = vec![Scope {
        types: Types::Named(vec!["Patient".to_owned(), "Subscription".to_owned()]),
        interactions: InteractionSet::ALL,
    }];
    let (token, _) = place.house.client_token("ash", Some(scopes)).await;
    let context = place.house.context();
    let narrow = app::sign_in::bearer(&place.house.app, "ash", &token, context)
        .await
        .unwrap();
    let refused = place
        .house
        .put(&narrow, &hook("s1", "Observation?", &receiver.url("/")))
        .await;
    assert!(
        matches!(refused, Err(AppError::Denied { .. })),
        "{refused:?}"
    );
    place
        .house
        .put(&narrow, &hook("s2", "Patient?", &receiver.url("/")))
        .await
        .unwrap();
    place.work().await;
    place.put(&patient("p1", "Ash")).await;
    place.work().await;
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
pub async fn twins_and_the_erased_are_not_delivered() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let mut body = hook("s1", "Patient?", &receiver.url("/"));
    body["channel"]["payload"] = json!("application/fhir+json");
    place.subscribe(&body).await;
    let twin = place.house.integration("birch").await;
    place
        .house
        .put(&twin, &patient("p1", "Birch"))
        .await
        .unwrap();
    place.engine.round(twin.tenant.id).await.unwrap();
    place.work().await;
    assert!(receiver.seen().is_empty());
    // Changed, then erased before it was sent.
    place.put(&patient("p1", "Ash")).await;
    place.put(&patient("p2", "Ash")).await;
    let admin = place.house.admin("ash").await;
    let erased = "p1".parse().unwrap();
    app::erase::erase(&place.house.app, &admin, &erased, "test")
        .await
        .unwrap();
    place.work().await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].path, "/Patient/p2");
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_when_it_is_written() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let good = hook("s1", "Patient?name=x", &receiver.url("/"));
    for (pointer, value, part) in [
        ("/criteria", json!("Patient?nam=x"), "nam"),
        ("/criteria", json!("Pateint?name=x"), "Pateint"),
        ("/criteria", json!("Patient?_count=3"), "_count"),
        ("/criteria", json!("Patient?_content=x"), "full_text"),
        ("/criteria", json!("https://nobody.example/topic"), "topic"),
        ("/status", json!("active"), "status"),
        ("/channel/endpoint", json!("http://10.0.0.1/"), "egress"),
        (
            "/channel/endpoint",
            json!("http://169.254.169.254/latest"),
            "egress",
        ),
        ("/channel/endpoint", json!("ftp://127.0.0.1/"), "https://"),
        ("/channel/type", json!("sms"), "sms"),
        ("/channel/type", json!("email"), "mailto"),
        ("/channel/header", json!(["Host: evil"]), "header"),
        ("/channel/header", json!(["webhook-signature: x"]), "header"),
        ("/end", json!("2020-01-01T00:00:00Z"), "end"),
    ] {
        let mut body = good.clone();
        body["end"] = json!("2030-01-01T00:00:00Z");
        body["channel"]["header"] = json!(["X-A: b"]);
        *body.pointer_mut(pointer).unwrap() = value;
        let refused = place.house.put(&place.program, &body).await.unwrap_err();
        assert!(
            refused.to_string().contains(part),
            "{pointer} {part}: {refused}"
        );
    }
    let closed = House::build().await;
    let program = closed.integration("ash").await;
    let refused = closed.put(&program, &good).await.unwrap_err();
    assert!(refused.to_string().contains("egress.allow"), "{refused}");
}

#[tokio::test]
pub async fn criteria_that_the_store_refuses_end_one_subscription_and_hold_up_no_other() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    place.put(&patient("p1", "Ash")).await;
    let bad = hook("bad", "Observation?code=8867-4", &receiver.url("/bad"));
    place.subscribe(&bad).await;
    let good = hook("good", "Observation?code=8867-4", &receiver.url("/good"));
    place.subscribe(&good).await;
    // As an earlier release, which only planned, took it.
    let scope = identity::system_scope(place.tenant(), identity::SystemTask::Consumers);
    let kind = store::DocKind::Subscription;
    let found = place
        .house
        .store
        .doc(&scope, kind, "bad")
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(found.body.clone()).unwrap();
    assert!(text.contains("code=8867-4"), "{text}");
    let write = store::DocWrite {
        kind,
        id: "bad".to_owned(),
        expected: store::DocExpected::Version(found.version),
        body: Some(text.replace("code=8867-4", "_content=x").into_bytes()),
        time: place.house.app.now(),
        expires: found.expires,
        lookups: Vec::new(),
    };
    place
        .house
        .store
        .operate(&scope, vec![write])
        .await
        .unwrap();

    place.put(&observation("o1", "p1")).await;
    place.work().await;
    let paths: Vec<String> = receiver.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/good"]);
    assert_eq!(place.status("bad").await, "error");
    assert_eq!(place.status("good").await, "active");
}

#[tokio::test]
pub async fn what_was_overtaken_is_told_where_it_cannot_be_judged_any_more() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    place.put(&patient("p1", "Ash")).await;
    place.put(&patient("p2", "Birch")).await;
    let criteria = "Observation?patient.family=Ash&status=final";
    let body = hook("s1", criteria, &receiver.url("/"));
    place.subscribe(&body).await;
    place.put(&observation("o1", "p1")).await;
    // Before the engine looks: of another patient, which the criteria do not find.
    place.put(&observation("o1", "p2")).await;
    place.work().await;
    assert_eq!(receiver.seen().len(), 1, "the first version was lost");
    // What the version alone tells is believed.
    let mut early = observation("o2", "p1");
    early["status"] = json!("preliminary");
    place.put(&early).await;
    place.put(&observation("o2", "p2")).await;
    place.work().await;
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn deletions_are_notified_where_they_are_asked_for() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let mut body = hook("s1", "Patient?family=Ash", &receiver.url("/"));
    body["channel"]["payload"] = json!("application/fhir+json");
    place.subscribe(&body).await;
    body["id"] = json!("s2");
    body["extension"] = json!([{
        "url": "http://hapifhir.io/fhir/StructureDefinition/subscription-send-delete-messages",
        "valueBoolean": true,
    }]);
    place.subscribe(&body).await;
    for (id, family) in [("p1", "Ash"), ("p2", "Birch")] {
        place.put(&patient(id, family)).await;
        let key = place.house.key(&format!("Patient/{id}"));
        app::record::delete::delete(&place.house.app, &place.program, &key, None)
            .await
            .unwrap();
    }
    place.work().await;
    let mut calls: Vec<String> = receiver
        .seen()
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one.header("webhook-id").unwrap(),
                one.method,
                one.path
            )
        })
        .collect();
    calls.sort();
    assert_eq!(
        calls,
        [
            "s1.1 PUT /Patient/p1",
            "s2.1 PUT /Patient/p1",
            "s2.2 DELETE /Patient/p1"
        ]
    );
}

#[tokio::test]
async fn two_replicas_send_each_event_once_and_in_order() {
    let receiver = Receiver::start(|_, _| Reply::status(200).after(Duration::from_millis(5)));
    let place = Subscribed::to(&[&receiver]).await;
    let other = Engine::new(place.house.app.clone(), Uuid::from_u128(2));
    for id in ["s1", "s2"] {
        place
            .subscribe(&hook(id, "Patient?", &receiver.url("/")))
            .await;
    }
    let tenant = place.tenant();
    for n in 0..20 {
        place.put(&patient(&format!("p{n}"), "Ash")).await;
        let (a, b) = tokio::join!(place.engine.round(tenant), other.round(tenant));
        // Whoever loses a race says so, and the other has done the work.
        assert!(a.is_ok() || b.is_ok());
    }
    place.work().await;
    other.round(tenant).await.unwrap();
    for id in ["s1", "s2"] {
        let numbers: Vec<u64> = receiver
            .seen()
            .iter()
            .map(|one| one.header("webhook-id").unwrap().to_owned())
            .filter(|name| name.starts_with(&format!("{id}.")))
            .map(|name| event_number(Some(&name)))
            .collect();
        assert_eq!(numbers, (1..=20).collect::<Vec<u64>>(), "{id}");
    }
}

#[tokio::test]
async fn transactions_fire_and_an_end_turns_it_off() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let place = Subscribed::to(&[&receiver]).await;
    let mut body = hook("s1", "Patient?", &receiver.url("/"));
    body["end"] = json!("2026-03-05T09:00:00Z");
    place.subscribe(&body).await;
    let entries = ["p1", "p2"].map(|id| {
        let url = format!("Patient/{id}");
        crate::house::entry("PUT", &url, Some(patient(id, "Ash")))
    });
    place
        .house
        .bundle(&place.program, &crate::house::transaction(&entries))
        .await
        .unwrap();
    place.work().await;
    assert_eq!(receiver.seen().len(), 2);
    place.later(4000).await;
    assert_eq!(place.status("s1").await, "off");
    place.put(&patient("p3", "Ash")).await;
    place.work().await;
    assert_eq!(receiver.seen().len(), 2);
}

#[tokio::test]
async fn who_runs_the_house_sees_how_far_behind_one_is_and_switches_it() {
    let receiver = Receiver::start(|_, _| Reply::status(500));
    let place = Subscribed::to(&[&receiver]).await;
    let (house, app) = (&place.house, &place.house.app);
    place
        .subscribe(&hook("s1", "Location?", &receiver.url("/")))
        .await;
    let admin = house.admin("ash").await;
    let one = async || operate::list(app, &admin).await.unwrap().remove(0);
    let idle = one().await;
    assert_eq!((idle.waiting, idle.oldest), (0, None));
    let ward = |id: &str| json!({"resourceType": "Location", "id": id, "status": "active"});
    let first = app.now();
    place.put(&ward("w1")).await;
    place.later(30).await;
    place.put(&ward("w2")).await;
    place.work().await;
    let behind = one().await;
    assert_eq!(behind.waiting, 2);
    assert!(behind.failures > 0 && behind.error.is_some());
    let oldest = behind.oldest.unwrap();
    assert!(
        oldest >= first && oldest < first.plus_seconds(30),
        "{oldest:?}"
    );
    // Whoever may not write it may not switch it; another house has none of its name.
    let id = "s1".parse().unwrap();
    let doctor = house.doctor().await;
    for on in [true, false] {
        let refused = operate::switch(app, &doctor, &id, on).await;
        assert!(
            matches!(refused, Err(AppError::Denied { .. })),
            "{refused:?}"
        );
        let birch = house.admin("birch").await;
        let foreign = operate::switch(app, &birch, &id, on).await;
        assert!(matches!(foreign, Err(AppError::NotFound { .. })));
    }
    operate::switch(app, &admin, &id, false).await.unwrap();
    place.work().await;
    assert_eq!(one().await.status.as_str(), "off");
    let seen = receiver.seen().len();
    place.put(&ward("w3")).await;
    place.later(4000).await;
    assert_eq!(receiver.seen().len(), seen, "a paused one is called");
    // Switched on again it is served with the rights of whoever did it.
    operate::switch(app, &admin, &id, true).await.unwrap();
    place.work().await;
    assert_eq!(one().await.status.as_str(), "active");
    place.put(&ward("w4")).await;
    place.later(60).await;
    assert!(receiver.seen().len() > seen);
}
