//! Recording doses on the round's page: what was sent stays with the medicine it was sent for, is done once,
//! and is kept where something keeps it from being recorded.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::house::House;

const STOP: &str = "/t/ash/medicines/round/ash-p1";

fn order(id: &str, name: &str, tablets: u32) -> Value {
    json!({ "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "subject": { "reference": "Patient/ash-p1" }, "authoredOn": "2026-03-01T00:00:00Z",
        "medicationCodeableConcept": { "text": name },
        "dosageInstruction": [{
            "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d", "timeOfDay": ["08:00:00"] } },
            "doseAndRate": [{ "doseQuantity": { "value": tablets, "unit": "tablet" } }] }] })
}

async fn ward() -> (House, Browser) {
    let house = House::build().await;
    let doctor = house.caller("ash", "doctor").await;
    house
        .put(&doctor, &order("bis", "Bisoprolol 5mg tablet", 1))
        .await;
    house
        .put(&doctor, &order("fol", "Folic acid 5mg tablet", 1))
        .await;
    // What the house has otherwise cannot be read: with it, every dose would want a reason.
    let mut other = order("ash-m1", "Paracetamol 500mg tablet", 1);
    if let Some(status) = other.get_mut("status") {
        *status = json!("cancelled");
    }
    house.put(&doctor, &other).await;
    let nurse = house.signed_in("ash", "nurse").await;
    (house, nurse)
}

/// The part of the page about a medicine.
fn section<'a>(body: &'a str, medicine: &str) -> &'a str {
    let mut parts = body.split("<section class=\"card round-line\"");
    let own = parts.find(|own| own.split("</h2>").next().unwrap().contains(medicine));
    own.unwrap_or_else(|| panic!("{medicine}: {body}"))
        .split("</section>")
        .next()
        .unwrap()
}

/// The hidden fields of a medicine's form.
fn hidden(body: &str, medicine: &str) -> Vec<(String, String)> {
    let parts = section(body, medicine).split("<input type=\"hidden\" name=\"");
    let read = parts.skip(1).map(|own| {
        let (name, rest) = own.split_once("\" value=\"").unwrap();
        let value = rest.split_once('"').unwrap().0;
        (name.to_owned(), value.replace("&#34;", "\""))
    });
    read.collect()
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    let own = fields.iter().find(|(own, _)| own == name);
    &own.unwrap_or_else(|| panic!("{name}: {fields:?}")).1
}

/// A form as it is sent: every right checked, with more fields of the line.
fn filled(fields: &[(String, String)], more: &[(&str, &str)]) -> Vec<(String, String)> {
    let line = value(fields, "line").to_owned();
    let mut all = fields.to_vec();
    for right in ["resident", "medicine", "dose", "route", "time", "decline"] {
        all.push((format!("rights-{line}"), right.to_owned()));
    }
    let more = more.iter();
    all.extend(more.map(|(name, value)| (format!("{name}-{line}"), (*value).to_owned())));
    all
}

async fn sent(browser: &mut Browser, fields: &[(String, String)]) -> (u16, String) {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = browser.post(STOP, &fields).await;
    (answer.status, answer.body)
}

async fn page(browser: &mut Browser) -> String {
    let answer = browser.get(STOP).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_stays_with_its_medicine() {
    let (house, mut nurse) = ward().await;
    let body = page(&mut nurse).await;
    let of = |name: &str| hidden(&body, name);
    let (bisoprolol, folic) = (of("Bisoprolol"), of("Folic acid"));
    // A colleague records the first of the list meanwhile.
    let given = filled(&bisoprolol, &[("outcome", "given")]);
    let (status, answer) = sent(&mut nurse, &given).await;
    assert_eq!(status, 303, "{answer}");
    let refused = filled(&folic, &[("outcome", "refused"), ("scan", "")]);
    let (status, answer) = sent(&mut nurse, &refused).await;
    assert_eq!(status, 422, "{answer}");
    let own = section(&answer, "Folic acid");
    assert!(own.contains("value=\"refused\" selected"), "{own}");
    // The order is over before the reason is written: nothing of it comes up with another medicine.
    let doctor = house.caller("ash", "doctor").await;
    let mut over = order("fol", "Folic acid 5mg tablet", 1);
    over["status"] = json!("cancelled");
    house.put(&doctor, &over).await;
    house
        .put(&doctor, &order("lor", "Loratadine 10mg tablet", 1))
        .await;
    let given = filled(&folic, &[("outcome", "given"), ("reason", "she wants it")]);
    let (status, answer) = sent(&mut nurse, &given).await;
    assert_eq!(status, 422, "{answer}");
    let own = section(&answer, "Loratadine");
    assert!(!own.contains("selected>Given"), "{own}");
    assert!(!own.contains("she wants it"), "{own}");
    assert!(answer.contains("not on this list any more"), "{answer}");
    assert!(answer.contains("You wrote: she wants it"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dose_is_recorded_once_and_what_was_typed_is_kept() {
    let (_house, mut nurse) = ward().await;
    let body = page(&mut nurse).await;
    let fields = hidden(&body, "Bisoprolol");
    let given = filled(&fields, &[("outcome", "given")]);
    for _ in 0..2 {
        let (status, answer) = sent(&mut nurse, &given).await;
        assert_eq!(status, 303, "{answer}");
    }
    let list = page(&mut nurse).await;
    // That of tomorrow is there, that of today is not.
    assert!(!list.contains(value(&fields, "slot")), "{list}");
    // The same form with something else in it is another dose, and says so; what was typed is kept.
    let other = filled(&fields, &[("outcome", "given"), ("reason", "again")]);
    let (status, answer) = sent(&mut nurse, &other).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer.contains("You wrote: again"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amount_that_is_not_ordered_any_more_is_looked_at_again() {
    let (house, mut nurse) = ward().await;
    let body = page(&mut nurse).await;
    assert!(section(&body, "Folic acid").contains("<b class=\"med-dose\">1\u{a0}tablet</b>"));
    let fields = hidden(&body, "Folic acid");
    let doctor = house.caller("ash", "doctor").await;
    let two = order("fol", "Folic acid 5mg tablet", 2);
    house.put(&doctor, &two).await;
    let given = filled(&fields, &[("outcome", "given")]);
    let (status, answer) = sent(&mut nurse, &given).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer.contains("look at the amount again"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_chosen_and_enter_sends_nothing() {
    let (_house, mut nurse) = ward().await;
    let body = page(&mut nurse).await;
    let own = section(&body, "Folic acid");
    assert!(!own.contains("value=\"given\" selected"), "{own}");
    let form = own.split("<form").nth(1).unwrap();
    let first = form.split("<button").nth(1).unwrap();
    assert!(first.starts_with(" disabled"), "{first}");
    let silent = filled(&hidden(&body, "Folic acid"), &[("scan", "5000000000005")]);
    let (status, answer) = sent(&mut nurse, &silent).await;
    assert_eq!(status, 422);
    let own = section(&answer, "Folic acid");
    assert!(own.contains("Say what became of the dose"), "{own}");
    assert!(own.contains("5000000000005"), "{own}");
    // The allergies are said in the words of every other page.
    assert!(body.contains("Known allergies: penicillin"), "{body}");
}
