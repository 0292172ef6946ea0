//! A controlled drug on its shelf: received by two, given with its witness, counted in the register and in
//! stock by one commit; an entry that was wrong is corrected by another one with its date.

use axum::http::Method;
use serde_json::{Value, json};

use super::clock::HOUR;
use super::residents::{New, admit, daily, dose, order, prescribe, text};
use super::stage::{Expect, Stage, Stop, Who};
use super::supply::{keep, listed, send, text_of, whole, wing};

const PRODUCT: &str = "Oxycodone 10mg modified-release tablet";

/// Plays it.
pub async fn play(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("A controlled drug in the register and in stock");
    let kept = keep(stage, PRODUCT).await?;
    let (item, held) = (text_of(&kept, "id")?, whole(&kept, "/held")?);
    let place = wing();
    let signing = json!({ "by": stage.proof(Who::Nurse), "witness": stage.proof(Who::Carer) });
    let page = page(stage, &item, place).await?;
    let what = json!({ "kind": "receipt", "to": { "location": place }, "from": "rh-org-pharmacy",
        "units": "7", "batch": { "lot": "A1", "expiry": "2030-01-31" } });
    let receipt = json!({ "id": stage.fresh(), "what": what });
    let moves = format!("stock/{item}/movements");
    let call = (Who::Nurse, Method::POST, moves.as_str(), &receipt);
    let title = "Tablets arrive and one person signs";
    send(stage, title, call, (422, &["two people sign"])).await?;
    let mut both = receipt;
    if let Some(members) = both.as_object_mut() {
        members.insert("signing".to_owned(), signing.clone());
    }
    let call = (Who::Nurse, Method::POST, moves.as_str(), &both);
    let title = "Two people prove who they are and sign: seven are written";
    let seven = format!("\"held\":\"{}\"", held + 7);
    send(stage, title, call, (201, &[&seven])).await?;
    corrected(stage, &page, &signing).await?;
    given(stage).await?;
    let call = (Who::Nurse, Method::GET, page.address.as_str(), &Value::Null);
    let balance = format!("\"balance\":\"{}\"", page.before + 5);
    let title = "The register's running balance: seven, corrected to six, one given";
    send(stage, title, call, (200, &[&balance])).await?;
    let counts = format!("{}/counts", page.address);
    let found = (page.before + 5).to_string();
    // After what stood there: the receipt, its correction and the dose.
    let seen = page.entries + 3;
    let count = json!({ "id": stage.fresh(), "seen": seen, "found": found, "signing": signing });
    let call = (Who::Nurse, Method::POST, counts.as_str(), &count);
    let title = "Two people count the cupboard: it agrees";
    send(stage, title, call, (201, &["\"incident\":null"])).await?;
    let one = format!("stock/{item}");
    let call = (Who::Nurse, Method::GET, one.as_str(), &Value::Null);
    let five = format!("\"held\":\"{}\"", held + 5);
    let title = "The stock says the same";
    send(stage, title, call, (200, &[&five])).await?;
    Ok(())
}

/// A page, with what stood on it before the story.
struct Page {
    address: String,
    before: i64,
    entries: i64,
}

/// The page of the medicine: it is begun, or goes on where a story before this one began it.
async fn page(stage: &mut Stage, item: &str, place: &str) -> Result<Page, Stop> {
    let own = |own: &Value| {
        let items = own.get("items").and_then(Value::as_array);
        items.is_some_and(|items| items.contains(&json!(item)))
    };
    let page = if let Some(page) = listed(stage, "register", own).await? {
        page
    } else {
        let begin = json!({ "item": item, "premises": place });
        let call = (Who::Nurse, Method::POST, "register", &begin);
        let title = "A page of the register begins";
        send(stage, title, call, (201, &[])).await?.body
    };
    Ok(Page {
        address: format!("register/{}", text_of(&page, "id")?),
        before: whole(&page, "/balance")?,
        entries: whole(&page, "/entries")?,
    })
}

/// Six came, not seven: the entry stays as it is, and another one says what it should have been.
async fn corrected(stage: &mut Stage, page: &Page, signing: &Value) -> Result<(), Stop> {
    let body = json!({ "of": page.entries + 1, "shouldBe": "6",
        "note": "the blister held six: read again with the delivery note",
        "movement": stage.fresh(), "signing": signing });
    let fixes = format!("{}/corrections", page.address);
    let call = (Who::Nurse, Method::POST, fixes.as_str(), &body);
    let balance = format!("\"balance\":\"{}\"", page.before + 6);
    let title = "There were six: a dated entry corrects the line, which stays as it was";
    send(stage, title, call, (201, &[&balance])).await?;
    Ok(())
}

/// A dose with both proofs: record, movement and entry of the register are one commit.
async fn given(stage: &mut Stage) -> Result<(), Stop> {
    let new = New {
        name: ("Thornhill", "Cyril"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let due = stage.clocks().minute()?;
    let since = stage.now().plus_seconds(-HOUR);
    let own = order(&patient, PRODUCT, since, &daily(1, &due));
    let made = prescribe(stage, "Oxycodone is prescribed", &own).await?;
    let slot = super::medicines::slot(stage, &patient, &made).await?;
    let proof = |name: &str, own: &Value| {
        json!({ "name": name, "part": [
            { "name": "name", "valueString": own.get("name") },
            { "name": "password", "valueString": own.get("password") },
        ]})
    };
    let more = [
        text("slot", &slot),
        proof("giverProof", &stage.proof(Who::Nurse)),
        proof("witnessProof", &stage.proof(Who::Carer)),
    ];
    let body = dose("given", &more);
    let give = format!("{made}/$give");
    let call = ((Method::POST, give.as_str()), &body);
    let expect = Expect {
        status: 201,
        words: &["signed", "moved", "register"],
    };
    let title = "It is given; record, register and stock are one commit";
    stage.step(title, Who::Nurse, call, expect).await?;
    Ok(())
}
