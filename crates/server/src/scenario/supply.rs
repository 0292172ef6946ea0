//! A medicine on its shelf: counted in, given until it is low, ordered from the pharmacy with a second
//! person's approval, and a part of it received.

use axum::http::Method;
use serde_json::{Value, json};

use super::clock::HOUR;
use super::furnish::PARTNER;
use super::residents::{New, admit, daily, dose, order, prescribe, text};
use super::stage::{Answer, Expect, Stage, Stop, Who};
use super::town::{SOLD, Sold, Town};

/// What is ordered.
const ORDERED: Sold = SOLD[0];

/// A step at the product's API.
pub async fn send(
    stage: &mut Stage,
    title: &str,
    (who, method, below, body): (Who, Method, &str, &Value),
    (status, words): (u16, &[&str]),
) -> Result<Answer, Stop> {
    let address = stage.api(below);
    let call = ((method, address.as_str()), body);
    stage.step(title, who, call, Expect { status, words }).await
}

/// A text of what was answered.
pub fn text_of(body: &Value, name: &str) -> Result<String, Stop> {
    let own = body.get(name).and_then(Value::as_str);
    let missing = || Stop::Unexpected(format!("the answer has no {name}: {body}"));
    own.map(str::to_owned).ok_or_else(missing)
}

/// The wing that the residents of the story live in.
pub fn wing() -> &'static str {
    let wings = population::branches(population::Tenant::RosewoodHouse);
    wings.first().map_or("", |own| own.location)
}

/// The one of a list of the product's API that fits, where there is one.
pub async fn listed(
    stage: &Stage,
    below: &str,
    fits: impl Fn(&Value) -> bool + Send,
) -> Result<Option<Value>, Stop> {
    let address = stage.api(below);
    let call = (Method::GET, address.as_str());
    let found = stage.ask(Who::Nurse, call, &Value::Null).await?;
    let mut list = found.body.as_array().into_iter().flatten();
    Ok(list.find(|own| fits(own)).cloned())
}

/// Keeps a product, or goes on keeping it where a story before this one did; answers the stock of it.
pub async fn keep(stage: &mut Stage, product: &str) -> Result<Value, Stop> {
    let own = |own: &Value| own.get("name") == Some(&json!(product));
    if let Some(kept) = listed(stage, "stock", own).await? {
        let address = stage.api(&format!("stock/{}", text_of(&kept, "id")?));
        let call = (Method::GET, address.as_str());
        return Ok(stage.ask(Who::Nurse, call, &Value::Null).await?.body);
    }
    let kept = json!({ "product": product, "unit": "{tablet}" });
    let call = (Who::Nurse, Method::POST, "stock", &kept);
    let made = send(stage, "It is kept in the stock", call, (201, &[])).await?;
    Ok(made.body)
}

/// A number that stands in an answer, as text or as itself.
pub fn whole(body: &Value, at: &str) -> Result<i64, Stop> {
    let own = body.pointer(at);
    let number = own.and_then(|own| own.as_i64().or_else(|| own.as_str()?.parse().ok()));
    number.ok_or_else(|| Stop::Unexpected(format!("{at} is no whole number: {body}")))
}

/// Counts five tablets of a batch in, beside what is there; answers how many there are then.
async fn counted(stage: &mut Stage, kept: &Value, item: &str) -> Result<i64, Stop> {
    let batch = json!({ "lot": "C7", "expiry": "2031-06-30" });
    let there = kept.get("there").and_then(Value::as_array);
    let mut counted: Vec<Value> = there
        .into_iter()
        .flatten()
        .filter(|own| own.get("batch") != Some(&batch))
        .map(|own| json!({ "batch": own.get("batch"), "found": own.get("units") }))
        .collect();
    let mut total = 5;
    for own in &counted {
        total += whole(own, "/found")?;
    }
    counted.push(json!({ "batch": batch, "found": "5" }));
    let seen = whole(kept, "/movements")?;
    let reason = if seen == 0 { "opening" } else { "miscounted" };
    let count = json!({ "id": stage.fresh(), "what": { "kind": "count", "of": { "location": wing() },
        "counted": counted, "seen": seen, "reason": reason } });
    let moves = format!("stock/{item}/movements");
    let call = (Who::Nurse, Method::POST, moves.as_str(), &count);
    let held = format!("\"held\":\"{total}\"");
    let title = "Five tablets are counted in";
    send(stage, title, call, (201, &[&held])).await?;
    let low = json!({ "threshold": (total - 1).to_string() });
    let threshold = format!("stock/{item}/threshold");
    let call = (Who::Nurse, Method::POST, threshold.as_str(), &low);
    let title = format!("At {} or less it is low", total - 1);
    send(stage, &title, call, (200, &[])).await?;
    Ok(total)
}

/// Plays it.
pub async fn play(stage: &mut Stage, town: &Town) -> Result<(), Stop> {
    stage.chapter("Counted in, given, low, ordered, received in part");
    let new = New {
        name: ("Whitcombe", "Stanley"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let kept = keep(stage, ORDERED.name).await?;
    let item = text_of(&kept, "id")?;
    let total = counted(stage, &kept, &item).await?;
    let due = stage.clocks().minute()?;
    let since = stage.now().plus_seconds(-HOUR);
    let own = order(&patient, ORDERED.name, since, &daily(1, &due));
    let made = prescribe(stage, "Cetirizine is prescribed", &own).await?;
    let slot = super::medicines::slot(stage, &patient, &made).await?;
    let body = dose("given", &[text("slot", &slot)]);
    let give = format!("{made}/$give");
    let call = ((Method::POST, give.as_str()), &body);
    let expect = Expect {
        status: 201,
        words: &["moved", "\"low\""],
    };
    let title = "A tablet is given; the same commit takes it from the shelf, which is low now";
    stage.step(title, Who::Carer, call, expect).await?;
    let one = format!("stock/{item}");
    let call = (Who::Nurse, Method::GET, one.as_str(), &Value::Null);
    let title = "The stock says that a reorder is needed";
    let held = format!("\"held\":\"{}\"", total - 1);
    send(stage, title, call, (200, &[&held, "\"low\":true"])).await?;
    partner(stage, town).await?;
    ordered(stage, &item, wing()).await
}

async fn partner(stage: &mut Stage, town: &Town) -> Result<(), Stop> {
    let own = json!({ "name": "Fairmere Pharmacy", "organization": "rh-org-pharmacy", "way": "api",
        "address": town.pharmacy(), "active": true });
    let one = format!("partners/{PARTNER}");
    let call = (Who::Administrator, Method::PUT, one.as_str(), &own);
    let title = "The pharmacy is a partner that orders go to";
    send(stage, title, call, (200, &[])).await?;
    let all = format!("partners/{PARTNER}/catalogue");
    let call = (Who::Nurse, Method::POST, all.as_str(), &Value::Null);
    let title = "What it sells is fetched";
    send(stage, title, call, (200, &["\"products\":4"])).await?;
    Ok(())
}

async fn ordered(stage: &mut Stage, item: &str, place: &str) -> Result<(), Stop> {
    let packs = json!({ "count": 2, "holds": ORDERED.pack.to_string() });
    let draft = json!({ "kind": "direct", "partner": PARTNER, "location": place, "cycle": stage.fresh(),
        "lines": [{ "code": ORDERED.code, "item": item, "quantity": "60", "packs": packs }] });
    let call = (Who::Nurse, Method::POST, "orders", &draft);
    let title = "The nurse drafts an order of two packs";
    let made = send(stage, title, call, (201, &["\"draft\"", "4.80 GBP"])).await?;
    let one = format!("orders/{}", text_of(&made.body, "id")?);
    let step = |name: &str| format!("{one}/{name}");
    let nothing = Value::Null;
    let approve = step("approve");
    let call = (Who::Nurse, Method::POST, approve.as_str(), &nothing);
    let title = "Who drafted it approves it";
    send(stage, title, call, (422, &["ask somebody else"])).await?;
    let call = (Who::Pharmacist, Method::POST, approve.as_str(), &nothing);
    send(
        stage,
        "Another person approves it",
        call,
        (200, &["approved"]),
    )
    .await?;
    let submit = step("submit");
    let call = (Who::Nurse, Method::POST, submit.as_str(), &nothing);
    let title = "It is sent: the message waits in the same commit, and a job sends it";
    send(stage, title, call, (200, &["\"sending\":[{"])).await?;
    stage.send_what_waits().await?;
    let status = step("status");
    let call = (Who::Nurse, Method::POST, status.as_str(), &nothing);
    let title = "The pharmacy is asked where it stands: it works on it";
    let words = ["with_dispenser", "\"reference\":\"FP-1\"", "\"sending\":[]"];
    send(stage, title, call, (200, &words)).await?;
    let receive = step("receive");
    let note = format!("DN-{}", stage.fresh());
    let batch = ("C8", "2031-09-30");
    let came = json!({ "note": note, "things": [{ "item": item, "label": ORDERED.name, "quantity": "30",
        "lot": batch.0, "expiry": batch.1 }] });
    let call = (Who::Nurse, Method::POST, receive.as_str(), &came);
    let title = "One of the two packs arrives: the other is owed and chased";
    let words = ["\"owing\"", "\"missing\":\"30\"", "\"arrived\":\"30\""];
    send(stage, title, call, (200, &words)).await?;
    let call = (Who::Nurse, Method::POST, receive.as_str(), &came);
    let title = "The same delivery note again counts once";
    send(stage, title, call, (200, &["\"arrived\":\"30\""])).await?;
    Ok(())
}
