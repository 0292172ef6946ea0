//! The golden path of medicines: what is held and what lets it go on, what is refused, and what is kept
//! though it should not have been. Each chapter has a resident of its own.

use axum::http::Method;
use serde_json::{Value, json};

use super::clock::HOUR;
use super::residents::{
    New, admit, created, daily, dose, for_pain, instant, order, prescribe, prescription, text,
};
use super::stage::{Answer, Expect, Stage, Stop, Who};
use super::town::{FORMULARY, Town};

/// A capsule by mouth once a day.
fn capsule(at: &str) -> Value {
    let mut own = daily(1, at);
    if let Some(members) = own.as_object_mut() {
        let one = json!([{ "doseQuantity": { "value": 1, "unit": "capsule" } }]);
        members.insert("doseAndRate".to_owned(), one);
    }
    own
}

const PRESCRIBE: (Method, &str) = (Method::POST, "MedicationRequest/$prescribe");

/// Plays it.
pub async fn play(stage: &mut Stage, town: &Town) -> Result<(), Stop> {
    anticoagulant(stage).await?;
    allergy(stage).await?;
    midnight(stage).await?;
    controlled(stage).await?;
    twice(stage).await?;
    super::rounds::play(stage).await?;
    super::supply::play(stage, town).await?;
    super::shelf::play(stage).await?;
    alone_and_covert(stage).await?;
    super::homely::play(stage).await?;
    unknown(stage).await?;
    away(stage, town).await
}

/// A step that an answer names something of.
fn name(answer: &Answer, part: &str) -> Result<String, Stop> {
    let missing = || Stop::Unexpected(format!("the answer names no {part}: {}", answer.words()));
    answer.named(part).ok_or_else(missing)
}

const fn expect<'a>(status: u16, words: &'a [&'a str]) -> Expect<'a> {
    Expect { status, words }
}

/// Prescribes what is held first, and then with a reason; answers the order.
async fn with_reason(
    stage: &mut Stage,
    order: &Value,
    (what, words): (&str, &[&str]),
    (reason, why): (&str, &str),
) -> Result<Answer, Stop> {
    let body = prescription(order, None);
    let title = format!("{what} is prescribed");
    let call = (PRESCRIBE, &body);
    let held = stage
        .step(&title, Who::Doctor, call, expect(422, words))
        .await?;
    let body = prescription(order, Some((&held.body, reason, why)));
    let title = format!("{what} is prescribed with a reason: {why}");
    let call = (PRESCRIBE, &body);
    stage
        .step(&title, Who::Doctor, call, expect(201, &[]))
        .await
}

async fn anticoagulant(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("Warfarin with an anti-inflammatory on board");
    let new = New {
        name: ("Ashcroft", "Edith"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let now = stage.now();
    let own = order(
        &patient,
        "Ibuprofen 200mg tablet",
        now,
        &daily(1, "08:00:00"),
    );
    prescribe(stage, "Ibuprofen is prescribed", &own).await?;
    let own = order(&patient, "Warfarin 3mg tablet", now, &daily(1, "18:00:00"));
    let why = "Cardiology asks for both for five days; INR every second day, omeprazole given";
    let told = ("Warfarin", ["high"].as_slice());
    with_reason(stage, &own, told, ("specialist-advice", why)).await?;
    Ok(())
}

async fn allergy(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("Amoxicillin with an allergy to penicillin");
    let new = New {
        name: ("Pemberton", "Walter"),
        allergy: Some("Penicillin"),
    };
    let patient = admit(stage, &new).await?;
    let dosage = json!({
        "timing": { "repeat": { "frequency": 3, "period": 1, "periodUnit": "d",
            "timeOfDay": ["08:00:00", "14:00:00", "22:00:00"] } },
        "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "capsule" } }],
    });
    let own = order(&patient, "Amoxicillin 500mg capsule", stage.now(), &dosage);
    let why = "Microbiology: no alternative; the rash of 1962 was mild, tolerated since";
    let told = ("Amoxicillin", ["contraindicated"].as_slice());
    let made = with_reason(stage, &own, told, ("specialist-advice", why)).await?;
    let made = name(&made, "order")?;
    let sign = format!("{made}/$countersign");
    let nothing = json!({ "resourceType": "Parameters" });
    let call = ((Method::POST, sign.as_str()), &nothing);
    let title = "The prescriber signs as the second person, too";
    stage
        .step(title, Who::Doctor, call, expect(422, &[]))
        .await?;
    let call = ((Method::POST, sign.as_str()), &nothing);
    let title = "Another person countersigns";
    stage
        .step(title, Who::Pharmacist, call, expect(200, &[]))
        .await?;
    Ok(())
}

/// Records a dose when needed at a time; answers what came of it.
async fn needed(
    stage: &mut Stage,
    title: &str,
    (order, at): (&str, kernel::Timestamp),
    expect: Expect<'_>,
) -> Result<Answer, Stop> {
    let body = dose(
        "given",
        &[
            text("asNeeded", "pain in both knees"),
            text("reason", "entered from the night's paper sheet"),
            instant("happened", at),
        ],
    );
    let give = format!("{order}/$give");
    let call = ((Method::POST, give.as_str()), &body);
    stage.step(title, Who::Carer, call, expect).await
}

async fn midnight(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("Paracetamol and co-codamol across midnight");
    let new = New {
        name: ("Holloway", "Iris"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let midnight = stage.clocks().midnight(8)?;
    let since = midnight.plus_seconds(-72 * HOUR);
    let own = order(&patient, "Paracetamol 500mg tablet", since, &for_pain(2));
    let plain = prescribe(stage, "Paracetamol is prescribed when needed", &own).await?;
    let own = order(&patient, "Co-codamol 500mg/8mg tablet", since, &for_pain(2));
    let told = ("Co-codamol", ["aracetamol"].as_slice());
    let why = "One or the other, at most four tablets of paracetamol in 24 hours";
    let made = with_reason(stage, &own, told, ("adjusted", why)).await?;
    let both = name(&made, "order")?;
    for (hours, what) in [(-10, "14:00"), (-2, "22:00")] {
        let at = midnight.plus_seconds(hours * HOUR);
        let title = format!("Two tablets of paracetamol at {what}");
        needed(stage, &title, (&plain, at), expect(201, &[])).await?;
    }
    let at = midnight.plus_seconds(HOUR);
    let title = "Two tablets of co-codamol at 01:00: too early after 22:00";
    let words = ["too-close"];
    needed(stage, title, (&both, at), expect(422, &words)).await?;
    let at = midnight.plus_seconds(2 * HOUR);
    let title = "The same at 02:00: a third gram within 24 hours, though a new day has begun";
    let words = ["too-much"];
    needed(stage, title, (&both, at), expect(422, &words)).await?;
    Ok(())
}

/// The due dose of an order that waits, as its key.
pub async fn slot(stage: &Stage, patient: &str, order: &str) -> Result<String, Stop> {
    let address = format!("{patient}/$medication-chart?days=1");
    let chart = stage
        .ask(Who::Nurse, (Method::GET, &address), &Value::Null)
        .await?;
    let own = chart.parts("order").find_map(|part| {
        let parts = part.get("part")?.as_array()?;
        let named = |name: &str| {
            parts
                .iter()
                .find(|own| own.get("name") == Some(&json!(name)))
        };
        let reference = named("reference")?.pointer("/valueReference/reference")?;
        (reference.as_str() == Some(order)).then_some(())?;
        let doses = named("dose")?.get("part")?.as_array()?;
        let slot = doses
            .iter()
            .find(|own| own.get("name") == Some(&json!("slot")))?;
        slot.get("valueString")?.as_str().map(str::to_owned)
    });
    own.ok_or_else(|| {
        Stop::Unexpected(format!(
            "the chart shows no due dose of {order}: {}",
            chart.body
        ))
    })
}

async fn controlled(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("A controlled drug and its witness");
    let new = New {
        name: ("Lockwood", "Albert"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let due = stage.clocks().minute()?;
    let since = stage.now().plus_seconds(-HOUR);
    let product = "Morphine 10mg modified-release tablet";
    let own = order(&patient, product, since, &daily(1, &due));
    let made = prescribe(stage, "Morphine is prescribed", &own).await?;
    let slot = slot(stage, &patient, &made).await?;
    let give = format!("{made}/$give");
    let alone = dose("given", &[text("slot", &slot)]);
    let call = ((Method::POST, give.as_str()), &alone);
    let title = "A tablet is given by one person alone";
    stage
        .step(title, Who::Carer, call, expect(422, &["no-witness"]))
        .await?;
    let witness = json!({ "name": "witness", "valueReference": Who::Nurse.reference() });
    let both = dose("given", &[text("slot", &slot), witness]);
    let call = ((Method::POST, give.as_str()), &both);
    let title = "It is given with a witness named";
    let given = stage
        .step(title, Who::Carer, call, expect(201, &["not-signed"]))
        .await?;
    let sign = format!("{}/$witness", name(&given, "administration")?);
    let nothing = json!({ "resourceType": "Parameters" });
    let call = ((Method::POST, sign.as_str()), &nothing);
    let title = "The pharmacist, who did not watch, signs";
    stage
        .step(title, Who::Pharmacist, call, expect(422, &[]))
        .await?;
    let call = ((Method::POST, sign.as_str()), &nothing);
    let title = "The witness signs with a sign-in of their own";
    stage
        .step(title, Who::Nurse, call, expect(200, &["signed"]))
        .await?;
    Ok(())
}

async fn twice(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("One due dose, two people");
    let new = New {
        name: ("Fairbank", "Joan"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let due = stage.clocks().minute()?;
    let since = stage.now().plus_seconds(-HOUR);
    let own = order(&patient, "Bisoprolol 2.5mg tablet", since, &daily(1, &due));
    let made = prescribe(stage, "Bisoprolol is prescribed", &own).await?;
    let slot = slot(stage, &patient, &made).await?;
    let give = format!("{made}/$give");
    let plain = dose("given", &[text("slot", &slot)]);
    let call = ((Method::POST, give.as_str()), &plain);
    stage
        .step("The dose is given", Who::Carer, call, expect(201, &[]))
        .await?;
    let call = ((Method::POST, give.as_str()), &plain);
    let title = "Somebody else gives it, too";
    let words = ["possible-double"];
    stage
        .step(title, Who::Nurse, call, expect(422, &words))
        .await?;
    let why = "found in the cup afterwards: it was taken as well";
    let done = json!({ "name": "done", "valueBoolean": true });
    let kept = dose("given", &[text("slot", &slot), text("reason", why), done]);
    let call = ((Method::POST, give.as_str()), &kept);
    let title = "It has happened: the record is kept, with what speaks against it";
    stage
        .step(title, Who::Nurse, call, expect(201, &words))
        .await?;
    let chart = format!("{patient}/$medication-chart?days=1");
    let call = ((Method::GET, chart.as_str()), &Value::Null);
    let title = "The chart shows both and says that it may be a double dose";
    stage
        .step(title, Who::Nurse, call, expect(200, &words))
        .await?;
    Ok(())
}

/// Parameters of `$medicines-paper`.
fn paper(kind: &str, finding: &str, more: &[Value]) -> Value {
    let mut parts = vec![
        json!({ "name": "kind", "valueCode": kind }),
        json!({ "name": "finding", "valueCode": finding }),
    ];
    parts.extend(more.iter().cloned());
    json!({ "resourceType": "Parameters", "parameter": parts })
}

async fn alone_and_covert(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("Taken alone, and given without the resident knowing");
    let new = New {
        name: ("Merriweather", "Rose"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let due = stage.clocks().minute()?;
    let since = stage.now().plus_seconds(-HOUR);
    let own = order(&patient, "Folic acid 5mg tablet", since, &daily(1, &due));
    let made = prescribe(stage, "Folic acid is prescribed", &own).await?;
    let slot_of = slot(stage, &patient, &made).await?;
    let give = format!("{made}/$give");
    let alone = dose("self-administered", &[text("slot", &slot_of)]);
    let call = ((Method::POST, give.as_str()), &alone);
    let title = "The resident takes a tablet alone, whom nobody assessed";
    stage
        .step(title, Who::Carer, call, expect(422, &["not-assessed"]))
        .await?;
    let review = stage.now().plus_seconds(90 * 24 * HOUR).to_fhir_instant();
    let review = text("review", review.get(..10).unwrap_or_default());
    let file = format!("{patient}/$medicines-paper");
    let own = paper(
        "self-administration",
        "supervised",
        std::slice::from_ref(&review),
    );
    let call = ((Method::POST, file.as_str()), &own);
    let title = "The nurse assesses: takes it alone while somebody watches";
    stage
        .step(title, Who::Nurse, call, expect(201, &[]))
        .await?;
    let call = ((Method::POST, give.as_str()), &alone);
    stage
        .step("The same dose", Who::Carer, call, expect(201, &[]))
        .await?;
    covert(stage, &patient, review).await
}

/// The decision that an order is given covertly.
fn permission(order: &str, review: Value) -> Value {
    paper(
        "covert-administration",
        "permit",
        &[
            json!({ "name": "order", "valueReference": { "reference": order } }),
            review,
            text("party", "Susan Merriweather, daughter"),
            text("method", "crushed, in a spoon of yoghurt, eaten at once"),
            json!({ "name": "pharmacist", "valueReference": Who::Pharmacist.reference() }),
        ],
    )
}

async fn covert(stage: &mut Stage, patient: &str, review: Value) -> Result<(), Stop> {
    let due = stage.clocks().minute()?;
    let since = stage.now().plus_seconds(-HOUR);
    let mut own = order(patient, "Donepezil 5mg tablet", since, &daily(1, &due));
    let covert = "https://theriac.example.org/fhir/StructureDefinition/order-covert";
    if let Some(members) = own.as_object_mut() {
        let extension = json!([{ "url": covert, "valueBoolean": true }]);
        members.insert("extension".to_owned(), extension);
    }
    let made = prescribe(stage, "Donepezil is prescribed, to be given covertly", &own).await?;
    let slot = slot(stage, patient, &made).await?;
    let give = format!("{made}/$give");
    let given = dose("given", &[text("slot", &slot)]);
    let call = ((Method::POST, give.as_str()), &given);
    let title = "It is given in yoghurt without any paper";
    stage
        .step(title, Who::Carer, call, expect(422, &["covert"]))
        .await?;
    let file = format!("{patient}/$medicines-paper");
    let capacity = paper("capacity", "lacks-capacity", &[]);
    let call = ((Method::POST, file.as_str()), &capacity);
    let title = "Capacity is found lacking, and nobody is responsible for the resident";
    stage
        .step(
            title,
            Who::Nurse,
            call,
            expect(422, &["nobody is responsible"]),
        )
        .await?;
    let daughter = json!({
        "resourceType": "RelatedPerson", "active": true, "patient": { "reference": patient },
        "relationship": [{ "text": "Daughter" }], "name": [{ "text": "Susan Merriweather" }],
    });
    created(stage, Who::Nurse, &daughter).await?;
    let call = ((Method::POST, file.as_str()), &capacity);
    let title = "The same with a daughter on the record";
    stage
        .step(title, Who::Nurse, call, expect(201, &[]))
        .await?;
    let permit = permission(&made, review);
    let call = ((Method::POST, file.as_str()), &permit);
    let title = "It is decided in the resident's best interest, with the pharmacist's method";
    stage
        .step(title, Who::Doctor, call, expect(201, &[]))
        .await?;
    let call = ((Method::POST, give.as_str()), &given);
    stage
        .step("The same dose", Who::Carer, call, expect(201, &[]))
        .await?;
    Ok(())
}

async fn unknown(stage: &mut Stage) -> Result<(), Stop> {
    stage.chapter("What nobody can check");
    let new = New {
        name: ("Ravenscroft", "Harold"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let dosage = json!({
        "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
        "doseAndRate": [{ "doseQuantity": { "value": 10, "unit": "drop" } }],
    });
    let own = order(&patient, "Hawthorn tincture", stage.now(), &dosage);
    let body = prescription(&own, None);
    let call = (PRESCRIBE, &body);
    let title = "A tincture is prescribed that no source knows";
    stage
        .step(title, Who::Doctor, call, expect(201, &["not-checked"]))
        .await?;
    let check = format!("{patient}/$medication-check");
    let call = ((Method::GET, check.as_str()), &Value::Null);
    let title = "Every later look says so, and never that there is nothing";
    stage
        .step(title, Who::Nurse, call, expect(200, &["not-checked"]))
        .await?;
    Ok(())
}

/// A source of knowledge goes down: what it would have said is not taken for nothing.
async fn away(stage: &mut Stage, town: &Town) -> Result<(), Stop> {
    stage.chapter("A source of knowledge that is down");
    let new = New {
        name: ("Dunmore", "Agnes"),
        allergy: None,
    };
    let patient = admit(stage, &new).await?;
    let now = stage.now();
    let own = order(&patient, "Ramipril 5mg capsule", now, &capsule("08:00:00"));
    prescribe(stage, "Ramipril is prescribed", &own).await?;
    let own = order(&patient, "Senna 7.5mg tablet", now, &daily(1, "22:00:00"));
    let body = prescription(&own, None);
    let title = "Senna is prescribed; the regional formulary was asked and knows no interaction";
    let made = stage
        .step(title, Who::Doctor, (PRESCRIBE, &body), expect(201, &[]))
        .await?;
    if made.words().contains(FORMULARY) {
        let text = format!("the formulary answered, and yet: {}", made.words());
        return Err(Stop::Unexpected(text));
    }
    town.formulary_goes_down();
    let own = order(
        &patient,
        "Loratadine 10mg tablet",
        now,
        &daily(1, "08:00:00"),
    );
    let body = prescription(&own, None);
    let title = "The formulary is down; loratadine is prescribed with what could not be checked";
    let words = ["not-checked", FORMULARY];
    stage
        .step(title, Who::Doctor, (PRESCRIBE, &body), expect(201, &words))
        .await?;
    let check = format!("{patient}/$medication-check");
    let call = ((Method::GET, check.as_str()), &Value::Null);
    let title = "The list says which source did not answer";
    stage
        .step(title, Who::Nurse, call, expect(200, &words))
        .await?;
    Ok(())
}
