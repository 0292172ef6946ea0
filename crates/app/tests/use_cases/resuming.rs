//! Subscriptions that stood still: what changed meanwhile is told when they go on, in order and once, and
//! where it was too long ago that is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use app::subscriptions::operate::{self, Overview, Range};
use serde_json::json;
use testkit::receiver::{Received, Receiver, Reply};

use crate::house::patient;
use crate::subscribed::{Subscribed, event_number, hook};

/// A receiver that answers as it is told.
fn moody(first: u16) -> (Receiver, Arc<AtomicU16>) {
    let mood = Arc::new(AtomicU16::new(first));
    let answers = mood.clone();
    let receiver = Receiver::start(move |_, _| Reply::status(answers.load(Ordering::SeqCst)));
    (receiver, mood)
}

fn numbers(seen: &[Received]) -> Vec<u64> {
    seen.iter()
        .map(|one| event_number(one.header("webhook-id")))
        .collect()
}

fn paths(seen: &[Received]) -> Vec<&str> {
    seen.iter().map(|one| one.path.as_str()).collect()
}

async fn overview(place: &Subscribed) -> Overview {
    let admin = place.house.admin("ash").await;
    let mut all = operate::list(&place.house.app, &admin).await.unwrap();
    all.remove(0)
}

fn with_payload(id: &str, criteria: &str, receiver: &Receiver) -> serde_json::Value {
    let mut body = hook(id, criteria, &receiver.url("/"));
    body["channel"]["payload"] = json!("application/fhir+json");
    body
}

#[tokio::test]
pub async fn what_changes_while_it_is_given_up_is_told_in_order_when_it_goes_on() {
    let (receiver, mood) = moody(200);
    let place = Subscribed::to(&[&receiver]).await;
    let body = with_payload("s1", "Patient?family=Ash", &receiver);
    place.subscribe(&body).await;
    place.put(&patient("p1", "Ash")).await;
    place.work().await;
    mood.store(410, Ordering::SeqCst);
    place.put(&patient("p2", "Ash")).await;
    place.work().await;
    assert_eq!(place.status("s1").await, "error");
    let before = receiver.seen().len();
    // More than one batch of the ledger, with what does not concern it in between.
    for n in 0..300 {
        let family = if n % 10 == 0 { "Ash" } else { "Birch" };
        place.put(&patient(&format!("q{n:03}"), family)).await;
    }
    place.work().await;
    assert_eq!(receiver.seen().len(), before);
    let stood = overview(&place).await;
    assert!(stood.behind >= 300, "{}", stood.behind);
    assert_eq!(stood.gap, None);

    mood.store(200, Ordering::SeqCst);
    place.subscribe(&body).await;
    place.put(&patient("z1", "Ash")).await;
    place.work().await;
    let seen = &receiver.seen()[before..];
    assert_eq!(numbers(seen), (2..=33).collect::<Vec<u64>>());
    let mut expected = vec!["/Patient/p2".to_owned()];
    expected.extend((0..300).step_by(10).map(|n| format!("/Patient/q{n:03}")));
    expected.push("/Patient/z1".to_owned());
    assert_eq!(paths(seen), expected);
    let stood = overview(&place).await;
    assert_eq!((stood.waiting, stood.behind, stood.gap), (0, 0, None));
    // Once.
    place.later(4000).await;
    assert_eq!(receiver.seen().len(), before + 32);
}

#[tokio::test]
async fn one_whose_creator_was_locked_out_goes_on_under_another() {
    let (receiver, _) = moody(200);
    let place = Subscribed::to(&[&receiver]).await;
    let body = with_payload("s1", "Patient?", &receiver);
    place.subscribe(&body).await;
    let admin = place.house.admin("ash").await;
    let client = kernel::ClientId::from_uuid(place.program.subject.actor().id.as_uuid());
    let suspended = identity::UserState::Suspended;
    app::admin::clients::set_state(&place.house.app, &admin, client, suspended)
        .await
        .unwrap();
    let doctor = place.house.doctor().await;
    for id in ["p1", "p2", "p3"] {
        let body = patient(id, "Ash");
        place.house.put(&doctor, &body).await.unwrap();
        place.work().await;
    }
    assert!(receiver.seen().is_empty());
    let other = place.house.client_token("ash", None).await.0;
    let context = place.house.context();
    let other = app::sign_in::bearer(&place.house.app, "ash", &other, context);
    let other = other.await.unwrap();
    place.house.put(&other, &body).await.unwrap();
    place.work().await;
    let seen = receiver.seen();
    assert_eq!(paths(&seen), ["/Patient/p1", "/Patient/p2", "/Patient/p3"]);
}

#[tokio::test]
pub async fn what_is_too_old_to_be_told_is_said() {
    let (receiver, mood) = moody(410);
    let place = Subscribed::set(&receiver, |settings| settings.keep_s = 3600).await;
    let body = with_payload("s1", "Patient?", &receiver);
    place.subscribe(&body).await;
    for id in ["p1", "p2"] {
        place.put(&patient(id, "Ash")).await;
        place.work().await;
    }
    assert_eq!(place.status("s1").await, "error");
    let before = receiver.seen().len();
    place.put(&patient("p3", "Ash")).await;
    place.later(7200).await;
    place.put(&patient("p4", "Ash")).await;
    mood.store(200, Ordering::SeqCst);
    place.subscribe(&body).await;
    let seen = &receiver.seen()[before..];
    assert!(
        paths(seen).ends_with(&["/Patient/p4"]) && !paths(seen).contains(&"/Patient/p3"),
        "{:?}",
        paths(seen)
    );
    assert_eq!(place.status("s1").await, "active");
    let stored = place.house.read(&place.program, "Subscription/s1").await;
    let told = stored.unwrap()["error"].as_str().unwrap().to_owned();
    assert!(told.contains("too old to be told"), "{told}");
    let stood = overview(&place).await;
    assert_eq!(stood.gap.as_deref(), Some(told.as_str()));
    let ids = ["s1".parse().unwrap()];
    let status = operate::status(&place.house.app, &place.program, &ids).await;
    let status = String::from_utf8(status.unwrap()).unwrap();
    assert!(status.contains("too old to be told"), "{status}");
    // Until somebody writes it again.
    place.subscribe(&body).await;
    assert_eq!(overview(&place).await.gap, None);
    let stored = place.house.read(&place.program, "Subscription/s1").await;
    assert_eq!(stored.unwrap().get("error"), None);
}

#[tokio::test]
pub async fn a_slow_receiver_is_waited_for_in_the_ledger() {
    let (receiver, mood) = moody(503);
    let place = Subscribed::set(&receiver, |settings| settings.waiting = 4).await;
    place
        .subscribe(&with_payload("s1", "Patient?", &receiver))
        .await;
    for n in 0..12 {
        place.put(&patient(&format!("p{n:02}"), "Ash")).await;
        place.work().await;
    }
    let stood = overview(&place).await;
    assert_eq!((stood.status.as_str(), stood.waiting), ("active", 4));
    assert!(stood.behind >= 8, "{}", stood.behind);
    let before = receiver.seen().len();
    mood.store(200, Ordering::SeqCst);
    place.later(600).await;
    place.work().await;
    place.work().await;
    let seen = &receiver.seen()[before..];
    assert_eq!(numbers(seen), (1..=12).collect::<Vec<u64>>());
    assert_eq!(overview(&place).await.behind, 0);
}

#[tokio::test]
async fn one_that_was_turned_off_begins_anew() {
    let (receiver, mood) = moody(410);
    let place = Subscribed::to(&[&receiver]).await;
    let mut body = with_payload("s1", "Patient?", &receiver);
    place.subscribe(&body).await;
    place.put(&patient("p1", "Ash")).await;
    place.work().await;
    assert_eq!(place.status("s1").await, "error");
    place.put(&patient("p2", "Ash")).await;
    body["status"] = json!("off");
    place.subscribe(&body).await;
    place.put(&patient("p3", "Ash")).await;
    mood.store(200, Ordering::SeqCst);
    body["status"] = json!("requested");
    place.subscribe(&body).await;
    let before = receiver.seen().len();
    place.put(&patient("p4", "Ash")).await;
    place.work().await;
    assert_eq!(paths(&receiver.seen()[before..]), ["/Patient/p4"]);
    assert_eq!(before, 1, "only the attempt that ended it");
    let ids = "s1".parse().unwrap();
    let range = Range::default();
    let events = operate::events(&place.house.app, &place.program, &ids, range).await;
    let events: serde_json::Value = serde_json::from_slice(&events.unwrap()).unwrap();
    assert_eq!(events["entry"].as_array().unwrap().len(), 3, "{events}");
}

#[tokio::test]
pub async fn two_replicas_catch_up_once() {
    let (receiver, mood) = moody(410);
    let place = Subscribed::to(&[&receiver]).await;
    let other = app::subscriptions::Engine::new(place.house.app.clone(), uuid::Uuid::from_u128(2));
    let body = with_payload("s1", "Patient?", &receiver);
    place.subscribe(&body).await;
    for n in 0..40 {
        place.put(&patient(&format!("p{n:02}"), "Ash")).await;
        place.work().await;
    }
    let before = receiver.seen().len();
    mood.store(200, Ordering::SeqCst);
    place.put(&body).await;
    for _ in 0..8 {
        let tenant = place.tenant();
        let (a, b) = tokio::join!(place.engine.round(tenant), other.round(tenant));
        assert!(a.is_ok() || b.is_ok());
    }
    let seen = &receiver.seen()[before..];
    assert_eq!(numbers(seen), (1..=40).collect::<Vec<u64>>());
}
