//! One round on two devices without a network: both record the same dose, both records are kept, and
//! somebody is asked to look.

use axum::http::Method;
use serde_json::{Value, json};

use super::clock::HOUR;
use super::residents::{New, admit, daily, order, prescribe};
use super::stage::{Answer, Expect, Stage, Stop, Who};

const fn expect<'a>(status: u16, words: &'a [&'a str]) -> Expect<'a> {
    Expect { status, words }
}

/// Plays it.
pub async fn play(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("A round without a network, on two devices");
    let new = New {
        name: ("Kirkbride", "Mabel"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let due = stage.clocks().minute()?;
    let since = stage.now().plus_seconds(-HOUR);
    let own = order(&patient, "Simvastatin 20mg tablet", since, &daily(1, &due));
    prescribe(stage, "Simvastatin is prescribed", &own).await?;
    let one = take(stage, Who::Nurse, "The nurse takes the round along").await?;
    let other = take(stage, Who::Carer, "A carer takes the same round along").await?;
    let own = back(stage, &one, &patient)?;
    let title = "The nurse is back in the network: the dose given meanwhile is stored";
    bring(stage, Who::Nurse, title, (&one, &own), &["\"stored\""]).await?;
    let title = "The device sends it again: it is known";
    bring(stage, Who::Nurse, title, (&one, &own), &["\"known\""]).await?;
    let own = back(stage, &other, &patient)?;
    let title = "The carer gave it, too: both are kept, and it may be a double dose";
    let words = ["\"stored\"", "\"doubles\":[{"];
    bring(stage, Who::Carer, title, (&other, &own), &words).await?;
    let chart = format!("{patient}/$medication-chart?days=1");
    let call = ((Method::GET, chart.as_str()), &Value::Null);
    let title = "The chart shows both and says so";
    stage
        .step(title, Who::Nurse, call, expect(200, &["possible-double"]))
        .await?;
    let id = patient.trim_start_matches("Patient/");
    let tasks = format!("Task?patient={id}");
    let call = ((Method::GET, tasks.as_str()), &Value::Null);
    let title = "A task asks somebody to look at it";
    stage
        .step(
            title,
            Who::Nurse,
            call,
            expect(200, &["\"resourceType\":\"Task\""]),
        )
        .await?;
    Ok(())
}

async fn take(stage: &mut Stage, who: Who, title: &str) -> Result<Value, Stop> {
    let clock = stage.now().to_fhir_instant();
    let body = json!({ "device": stage.fresh(), "hours": 4, "clock": clock });
    let address = stage.api("rounds");
    let call = ((Method::POST, address.as_str()), &body);
    let taken = stage.step(title, who, call, expect(201, &["signature"]));
    Ok(taken.await?.body)
}

/// What a device brings back: the resident's dose, given.
fn back(stage: &Stage, taken: &Value, patient: &str) -> Result<Value, Stop> {
    let id = patient.trim_start_matches("Patient/");
    let people = taken.get("people").and_then(Value::as_array);
    let own = people.into_iter().flatten().find(|own| {
        let patient = own.pointer("/stop/patient").and_then(Value::as_str);
        patient.is_some_and(|own| own.trim_start_matches("Patient/") == id)
    });
    let at = |path: &str| {
        let found = own.and_then(|own| own.pointer(path)).cloned();
        let missing = || Stop::Unexpected(format!("the round of {patient} has no {path}: {own:?}"));
        found.ok_or_else(missing)
    };
    let device = taken.pointer("/pack/device");
    let now = stage.now().as_micros();
    let record = json!({
        "id": stage.fresh(), "order": at("/offers/0/order")?, "slot": at("/stop/lines/0/due/key")?,
        "outcome": "given", "happened": now, "entered": now, "giver": device, "device": device,
        "dose": at("/offers/0/planned/0/dose")?, "contents": at("/offers/0/planned/0/contents")?,
        "product": at("/stop/lines/0/name")?,
    });
    Ok(json!({ "signature": taken.get("signature"), "return": {
        "pack": taken.pointer("/pack/id"), "device": device,
        "clocks": { "taken": taken.get("clock"), "back": { "server": now, "device": now } },
        "records": [record],
    }}))
}

async fn bring(
    stage: &mut Stage,
    who: Who,
    title: &str,
    (taken, body): (&Value, &Value),
    words: &[&str],
) -> Result<Answer, Stop> {
    let id = taken.get("id").and_then(Value::as_str).unwrap_or_default();
    let address = stage.api(&format!("rounds/{id}/return"));
    let call = ((Method::POST, address.as_str()), body);
    stage.step(title, who, call, expect(200, words)).await
}
