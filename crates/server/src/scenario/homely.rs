//! A homely remedy: given without a prescription, on an agreement that a prescriber signed, and checked,
//! recorded and counted as any other dose.

use axum::http::Method;
use serde_json::{Value, json};

use super::clock::HOUR;
use super::residents::{New, admit, dose, for_pain, order, prescribe, text};
use super::stage::{Expect, Stage, Stop, Who};

const EXTENSION: &str = "https://theriac.example.org/fhir/StructureDefinition/order-homely";

/// The same order as a homely remedy, given on so many days in a row.
pub fn remedy(mut order: Value, days: u32) -> Value {
    if let Some(members) = order.as_object_mut() {
        let own = json!([{ "url": EXTENSION, "valueInteger": days }]);
        members.insert("extension".to_owned(), own);
    }
    order
}

/// The agreement that names it, until a day.
pub fn agreement(order: &str, review: &str) -> Value {
    json!({ "resourceType": "Parameters", "parameter": [
        { "name": "kind", "valueCode": "homely-remedies" },
        { "name": "finding", "valueCode": "permit" },
        { "name": "order", "valueReference": { "reference": order } },
        { "name": "review", "valueString": review },
    ]})
}

/// Plays it.
pub async fn play(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("A homely remedy");
    let new = New {
        name: ("Loxley", "Winifred"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let since = stage.now().plus_seconds(-HOUR);
    let own = order(&patient, "Paracetamol 500mg tablet", since, &for_pain(1));
    let title = "Paracetamol is put on the list of homely remedies, for two days in a row";
    let made = prescribe(stage, title, &remedy(own, 2)).await?;
    let give = format!("{made}/$give");
    let body = dose("given", &[text("asNeeded", "headache")]);
    let step = |status, words| Expect { status, words };
    let call = ((Method::POST, give.as_str()), &body);
    let title = "It is given before anybody agreed";
    let words = ["no agreement in force"];
    stage
        .step(title, Who::Carer, call, step(422, &words))
        .await?;
    let review = stage.now().plus_seconds(180 * 24 * HOUR).to_fhir_instant();
    let agreed = agreement(&made, review.get(..10).unwrap_or_default());
    let file = format!("{patient}/$medicines-paper");
    let call = ((Method::POST, file.as_str()), &agreed);
    let title = "The nurse signs the agreement, who prescribes nothing";
    stage.step(title, Who::Nurse, call, step(403, &[])).await?;
    let call = ((Method::POST, file.as_str()), &agreed);
    let title = "The doctor signs it";
    stage.step(title, Who::Doctor, call, step(201, &[])).await?;
    let call = ((Method::POST, give.as_str()), &body);
    stage
        .step("The same dose", Who::Carer, call, step(201, &[]))
        .await?;
    let call = ((Method::POST, give.as_str()), &body);
    let title = "Another one at once: it counts against every limit of paracetamol";
    let words = ["too close"];
    stage
        .step(title, Who::Carer, call, step(422, &words))
        .await?;
    let chart = format!("{patient}/$medication-chart?days=1");
    let call = ((Method::GET, chart.as_str()), &Value::Null);
    let title = "The chart marks it as a homely remedy";
    let words = ["homely-days"];
    stage
        .step(title, Who::Nurse, call, step(200, &words))
        .await?;
    Ok(())
}
