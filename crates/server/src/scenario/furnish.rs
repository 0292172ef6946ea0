//! What the demo's care home has beside its record when it is opened first: a stock with what is low,
//! expires soon or was called back, the controlled-drug register, a pharmacy with orders in several states,
//! alerts that were followed and overridden. All of it through the addresses that programs and pages use, by
//! people of the house; the register alone is taken over. Must not do anything twice.

use std::sync::Arc;

use app::admin::users;
use app::init::acting_as;
use app::medicines::orders::partners::{self, Partner, Way};
use app::medicines::stock::takeover::{Book, take_over};
use axum::http::Method;
use identity::SystemTask;
use kernel::{ActorId, Category, PurposeOfUse, TenantId};
use population::Population;
use serde_json::{Value, json};

use super::House;
use super::book::{self, Accounts, Dose};
use super::homely::{agreement, remedy};
use super::residents::{daily, order, prescription};
use super::stage::{Answer, Stage, Stop, Who};
use super::town::Sold;
use crate::console;
use crate::failure::Failure;
use crate::output::Printer;

/// The pharmacy, as a partner that orders go to.
pub const PARTNER: &str = "fairmere-pharmacy";

/// A medicine on the shelf: product, unit, threshold, and of each batch lot, days to its last, and amount.
type Shelf = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, i32, &'static str)],
);

const SHELVES: [Shelf; 7] = [
    (
        "Paracetamol 500mg tablet",
        "{tablet}",
        "50",
        &[("P118", 400, "96"), ("P097", 12, "24")],
    ),
    (
        "Senna 7.5mg tablet",
        "{tablet}",
        "20",
        &[("S31", 300, "11")],
    ),
    (
        "Lactulose 3.35g/5ml oral solution",
        "mL",
        "300",
        &[("L5", 200, "1500")],
    ),
    (
        "Omeprazole 20mg capsule",
        "{capsule}",
        "28",
        &[("OM77", 250, "56"), ("OM80", 500, "56")],
    ),
    (
        "Co-careldopa 100mg/25mg tablet",
        "{tablet}",
        "56",
        &[("CC2", 310, "84")],
    ),
    (
        "Lorazepam 1mg tablet",
        "{tablet}",
        "7",
        &[("LZ9", 600, "28")],
    ),
    (
        "Buprenorphine 5 micrograms/hour transdermal patch",
        "{patch}",
        "2",
        &[("BU3", 420, "8")],
    ),
];

/// What is given against hay fever without a prescription.
const REMEDY: &str = "Loratadine 10mg tablet";

fn stopped(stop: Stop) -> Failure {
    match stop {
        Stop::Failed(failure) => failure,
        Stop::Unexpected(text) => Failure::new(Category::Fault, text),
    }
}

/// Calls an address of the product's API; what is refused ends it.
async fn made(
    stage: &Stage,
    (who, method, below): (Who, Method, &str),
    body: &Value,
) -> Result<Value, Failure> {
    let address = stage.api(below);
    let answer = stage.ask(who, (method, &address), body).await?;
    accepted(below, answer)
}

fn accepted(what: &str, answer: Answer) -> Result<Value, Failure> {
    if answer.status < 300 {
        return Ok(answer.body);
    }
    let (status, words) = (answer.status, answer.words());
    let text = format!("the demo could not be furnished: {what} answered {status}: {words}");
    Err(Failure::new(Category::Fault, text))
}

fn day(stage: &Stage, days: i32) -> String {
    let at = stage.begun().plus_seconds(i64::from(days) * 86_400);
    at.to_fhir_instant()
        .get(..10)
        .unwrap_or_default()
        .to_owned()
}

fn id(body: &Value) -> &str {
    body.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// Names the pharmacy in town as a partner, at the address it has today.
pub async fn settle(house: House<'_>) -> Result<(), Failure> {
    let app = &house.instance.app;
    let mut staff = population::staff(population::Tenant::RosewoodHouse);
    let Some(administrator) = staff.find(|own| own.role == "administrator") else {
        return Ok(());
    };
    let purpose = PurposeOfUse::Treatment;
    let caller = acting_as(app, house.slug, administrator.sign_in, purpose).await?;
    let partner = Partner {
        id: PARTNER.to_owned(),
        name: "Fairmere Pharmacy".to_owned(),
        organization: "rh-org-pharmacy".parse().map_err(Failure::of_id)?,
        way: Way::Api {
            base: house.town.pharmacy(),
        },
        secret: None,
        active: true,
    };
    partners::put(app, &caller, partner).await?;
    Ok(())
}

/// Furnishes the care home.
pub async fn furnish(
    house: House<'_>,
    (tenant, population): (TenantId, Arc<Population>),
    printer: Printer,
) -> Result<(), Failure> {
    let stage = Stage::open(&house, printer).await?;
    let done = all(&stage, house, (tenant, population)).await;
    stage.close().await?;
    done
}

async fn all(
    stage: &Stage,
    house: House<'_>,
    (tenant, population): (TenantId, Arc<Population>),
) -> Result<(), Failure> {
    let mut items = Vec::new();
    for shelf in &SHELVES {
        items.push(stocked(stage, shelf).await?);
    }
    irregular(stage, &items).await?;
    let doses = register(stage, house, (tenant, population)).await?;
    settle(house).await?;
    let sells = format!("partners/{PARTNER}/catalogue");
    made(stage, (Who::Nurse, Method::POST, &sells), &Value::Null).await?;
    orders(stage, &items).await?;
    alerts(stage, &doses).await?;
    homely(stage, &doses).await
}

/// Keeps a product, or finds it kept; answers its id.
async fn kept(stage: &Stage, (product, unit, low): (&str, &str, &str)) -> Result<String, Failure> {
    let own = |own: &Value| own.get("name") == Some(&json!(product));
    let found = super::supply::listed(stage, "stock", own).await;
    if let Some(found) = found.map_err(stopped)? {
        return Ok(id(&found).to_owned());
    }
    let body = json!({ "product": product, "unit": unit, "threshold": low });
    let call = (Who::Nurse, Method::POST, "stock");
    Ok(id(&made(stage, call, &body).await?).to_owned())
}

fn batch(stage: &Stage, (lot, days): (&str, i32)) -> Value {
    json!({ "lot": lot, "expiry": day(stage, days) })
}

/// Keeps a product, as much of it in each wing.
async fn stocked(stage: &Stage, shelf: &Shelf) -> Result<String, Failure> {
    let (product, unit, low, batches) = *shelf;
    let item = kept(stage, (product, unit, low)).await?;
    let counted = batches
        .iter()
        .map(|(lot, days, found)| json!({ "batch": batch(stage, (lot, *days)), "found": found }));
    let counted: Vec<Value> = counted.collect();
    for wing in population::branches(population::Tenant::RosewoodHouse) {
        let number = format!("opening-{}", wing.location);
        let what = (number.as_str(), "opening", counted.clone());
        count(stage, &item, wing.location, what).await?;
    }
    Ok(item)
}

/// A count under an id of its own: made once.
async fn count(
    stage: &Stage,
    item: &str,
    place: &str,
    (number, reason, counted): (&str, &str, Vec<Value>),
) -> Result<(), Failure> {
    let id = format!("demo-{number}");
    let moves = format!("stock/{item}/movements");
    let known = made(stage, (Who::Nurse, Method::GET, &moves), &Value::Null).await?;
    let known = known.get("movements").and_then(Value::as_array);
    let mut known = known.into_iter().flatten();
    if known.any(|own| own.get("id") == Some(&json!(id))) {
        return Ok(());
    }
    let there = format!("stock/{item}");
    let there = made(stage, (Who::Nurse, Method::GET, &there), &Value::Null).await?;
    let seen = there.get("movements");
    let body = json!({ "id": id, "what": { "kind": "count", "of": { "location": place },
        "counted": counted, "seen": seen, "reason": reason } });
    made(stage, (Who::Nurse, Method::POST, &moves), &body).await?;
    Ok(())
}

/// Senna is low, a lot of omeprazole was called back, lactulose is open.
async fn irregular(stage: &Stage, items: &[String]) -> Result<(), Failure> {
    let [_, senna, lactulose, omeprazole, ..] = items else {
        return Ok(());
    };
    let found = vec![json!({ "batch": batch(stage, ("S31", 300)), "found": "9" })];
    let recount = ("recount", "given_not_recorded", found);
    count(stage, senna, super::supply::wing(), recount).await?;
    let body =
        json!({ "lot": "OM77", "notice": "The maker: capsules of another strength in the pack" });
    let recalls = format!("stock/{omeprazole}/recalls");
    made(stage, (Who::Pharmacist, Method::POST, &recalls), &body).await?;
    let body = json!({ "place": { "location": super::supply::wing() },
        "batch": batch(stage, ("L5", 200)), "lifeDays": 90 });
    let opened = format!("stock/{lactulose}/opened");
    made(stage, (Who::Carer, Method::POST, &opened), &body).await?;
    Ok(())
}

/// Takes the registers of both wings over; answers their doses.
async fn register(
    stage: &Stage,
    house: House<'_>,
    (tenant, population): (TenantId, Arc<Population>),
) -> Result<Vec<Dose>, Failure> {
    let wings = population::branches(population::Tenant::RosewoodHouse);
    let item = kept(stage, (book::PRODUCT, "{tablet}", "14")).await?;
    let doses = tokio::task::spawn_blocking(move || book::doses(&population)).await;
    let doses = doses.map_err(|error| Failure::new(Category::Fault, error.to_string()))?;
    let caller = console::task(&house.instance.app, tenant, SystemTask::Setup)?;
    let known = users::list(&house.instance.app, &caller).await?;
    let accounts: Accounts = known
        .into_iter()
        .filter_map(|own| {
            let person = own.practitioner?.as_str().to_owned();
            Some((person, ActorId::from_uuid(own.id.as_uuid())))
        })
        .collect();
    let mut books = Vec::new();
    for wing in wings {
        books.push(Book {
            premises: Some(wing.location.parse().map_err(Failure::of_id)?),
            past: book::book(&doses, wing, &accounts)?,
        });
    }
    let item = item.parse().map_err(Failure::of_id)?;
    take_over(&house.instance.app, &caller, &item, books).await?;
    Ok(doses)
}

/// An order of packs of what the shelf has; answers its address.
async fn drafted(
    stage: &Stage,
    item: &str,
    (sold, packs, cycle): (&Sold, u32, &str),
) -> Result<String, Failure> {
    let quantity = (sold.pack * packs).to_string();
    let packs = json!({ "count": packs, "holds": sold.pack.to_string() });
    let body = json!({ "kind": "direct", "partner": PARTNER, "location": super::supply::wing(),
        "cycle": cycle, "lines": [
            { "code": sold.code, "item": item, "quantity": quantity, "packs": packs } ] });
    let drafted = made(stage, (Who::Nurse, Method::POST, "orders"), &body).await?;
    Ok(format!("orders/{}", id(&drafted)))
}

async fn step(stage: &Stage, who: Who, order: &str, what: &str) -> Result<Value, Failure> {
    let address = format!("{order}/{what}");
    made(stage, (who, Method::POST, &address), &Value::Null).await
}

/// Approves an order, sends it and asks where it stands.
async fn sent(stage: &Stage, order: &str) -> Result<(), Failure> {
    step(stage, Who::Pharmacist, order, "approve").await?;
    step(stage, Who::Nurse, order, "submit").await?;
    stage.send_what_waits().await?;
    step(stage, Who::Nurse, order, "status").await?;
    Ok(())
}

async fn arrived(
    stage: &Stage,
    (order, item): (&str, &str),
    (sold, packs, lot): (&Sold, u32, &str),
) -> Result<(), Failure> {
    let quantity = (sold.pack * packs).to_string();
    let body = json!({ "note": format!("FP-{lot}"), "things": [{ "item": item, "label": sold.name,
        "quantity": quantity, "lot": lot, "expiry": day(stage, 540) }] });
    let receive = format!("{order}/receive");
    made(stage, (Who::Nurse, Method::POST, &receive), &body).await?;
    Ok(())
}

/// One order of each kind of state: a draft that waits for approval, one with the pharmacy, one of which
/// half is owed, one that is closed.
async fn orders(stage: &Stage, items: &[String]) -> Result<(), Failure> {
    let [paracetamol, senna, lactulose, ..] = items else {
        return Ok(());
    };
    let [_, tablets, laxative, syrup] = &super::town::SOLD;
    let closed = drafted(stage, paracetamol, (tablets, 1, "last month")).await?;
    sent(stage, &closed).await?;
    arrived(stage, (&closed, paracetamol), (tablets, 1, "P131")).await?;
    step(stage, Who::Nurse, &closed, "close").await?;
    let half = drafted(stage, lactulose, (syrup, 4, "this month")).await?;
    sent(stage, &half).await?;
    arrived(stage, (&half, lactulose), (syrup, 2, "L9")).await?;
    let with_them = drafted(stage, paracetamol, (tablets, 2, "this month")).await?;
    sent(stage, &with_them).await?;
    drafted(stage, senna, (laxative, 2, "this month")).await?;
    stage.send_what_waits().await
}

/// Whether a resident has an order of a product: a start that was killed may have made it.
async fn ordered(stage: &Stage, patient: &str, product: &str) -> Result<bool, Failure> {
    let id = patient.trim_start_matches("Patient/");
    let all = format!("MedicationRequest?patient={id}&_count=200");
    let found = stage.ask(Who::Doctor, (Method::GET, &all), &Value::Null);
    let found = accepted("MedicationRequest", found.await?)?;
    Ok(found.to_string().contains(product))
}

/// A remedy against hay fever, agreed with the doctor.
async fn homely(stage: &Stage, doses: &[Dose]) -> Result<(), Failure> {
    let Some(patient) = doses.last().map(|own| own.patient.as_str()) else {
        return Ok(());
    };
    if ordered(stage, patient, REMEDY).await? {
        return Ok(());
    }
    let mut dosage = daily(1, "08:00:00");
    if let Some(members) = dosage.as_object_mut() {
        let timing = json!({ "repeat": { "frequency": 1, "period": 24, "periodUnit": "h" } });
        members.insert("timing".to_owned(), timing);
        let need = json!({ "text": "hay fever" });
        members.insert("asNeededCodeableConcept".to_owned(), need);
    }
    let own = order(patient, REMEDY, stage.now(), &dosage);
    let body = prescription(&remedy(own, 3), None);
    let call = (Method::POST, "MedicationRequest/$prescribe");
    let answer = stage.ask(Who::Doctor, call, &body).await?;
    let made = answer.named("order").unwrap_or_default();
    accepted("$prescribe", answer)?;
    let file = format!("{patient}/$medicines-paper");
    let agreed = agreement(&made, &day(stage, 180));
    let answer = stage
        .ask(Who::Doctor, (Method::POST, &file), &agreed)
        .await?;
    accepted("$medicines-paper", answer)?;
    Ok(())
}

/// A benzodiazepine for somebody who takes morphine: once overridden with a reason, once not prescribed.
async fn alerts(stage: &Stage, doses: &[Dose]) -> Result<(), Failure> {
    let Some(patient) = doses.first().map(|own| own.patient.as_str()) else {
        return Ok(());
    };
    let call = || (Method::POST, "MedicationRequest/$prescribe");
    for (product, reason) in [
        ("Lorazepam 1mg tablet", None),
        (
            "Diazepam 2mg tablet",
            Some("Palliative team: for panic at night, breathing watched every hour"),
        ),
    ] {
        if ordered(stage, patient, product).await? {
            continue;
        }
        let own = order(patient, product, stage.now(), &daily(1, "22:00:00"));
        let body = prescription(&own, None);
        let held = stage.ask(Who::Doctor, call(), &body).await?;
        if let (422, Some(why)) = (held.status, reason) {
            let body = prescription(&own, Some((&held.body, "specialist-advice", why)));
            let answer = stage.ask(Who::Doctor, call(), &body).await?;
            accepted("$prescribe", answer)?;
        }
    }
    Ok(())
}
