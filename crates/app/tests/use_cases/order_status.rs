//! Stopping, holding, resuming and renewing orders: who may, what is asked for, and what the chart and the
//! checks then see.

use app::medicines::chart::chart;
use app::medicines::listing::list;
use app::medicines::prescribe::End;
use app::medicines::status::{Change, Changing, change, renew};
use app::{AppError, Caller};
use serde_json::{Value, json};

use crate::house::{House, patient};

fn order(id: &str, name: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": name }, "authoredOn": "2025-01-01T08:00:00Z",
        "subject": { "reference": "Patient/p1" },
        "dosageInstruction": [{
            "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
            "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006" }] },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }],
    })
}

async fn ward(orders: &[Value]) -> (House, Caller) {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let mut person = patient("p1", "Ward");
    person["birthDate"] = json!("1950-01-01");
    house.put(&doctor, &person).await.unwrap();
    for own in orders {
        house.put(&doctor, own).await.unwrap();
    }
    (house, doctor)
}

async fn taken(
    (house, caller): (&House, &Caller),
    id: &str,
    wanted: Change,
    reason: (Option<&str>, Option<&str>),
) -> Result<(), AppError> {
    let key = house.key(&format!("MedicationRequest/{id}"));
    let changing = Changing {
        change: wanted,
        code: reason.0.map(str::to_owned),
        text: reason.1.map(str::to_owned),
        version: None,
    };
    let done = change(&house.app, caller, &key, &changing).await;
    done.map(|_| ())
}

async fn status(house: &House, caller: &Caller, id: &str) -> Value {
    let key = house.key(&format!("MedicationRequest/{id}"));
    let version = app::record::read::read(&house.app, caller, &key)
        .await
        .unwrap();
    serde_json::from_slice(&version.body.unwrap()).unwrap()
}

#[tokio::test]
async fn a_stopped_order_says_when_why_and_by_whom() {
    let (house, doctor) = ward(&[order("m1", "Ramipril 5mg capsule")]).await;
    let place = (&house, &doctor);
    let none = taken(place, "m1", Change::Stop, (None, Some(" "))).await;
    assert!(
        matches!(&none, Err(AppError::Unprocessable(text)) if text.contains("reason")),
        "{none:?}"
    );
    let unknown = taken(place, "m1", Change::Stop, (Some("because"), None)).await;
    assert!(matches!(unknown, Err(AppError::Unprocessable(_))));
    let carer = house.caller("ash", identity::Role::Nurse).await;
    let denied = taken((&house, &carer), "m1", Change::Stop, (Some("sintol"), None)).await;
    assert!(denied.is_err(), "a carer stopped an order");
    taken(place, "m1", Change::Stop, (Some("sintol"), Some("cough")))
        .await
        .unwrap();
    let stopped = status(&house, &doctor, "m1").await;
    assert_eq!(stopped["status"], "stopped");
    assert_eq!(stopped["statusReason"]["coding"][0]["code"], "sintol");
    assert_eq!(stopped["statusReason"]["text"], "cough");
    // The chart can still place what was due before.
    let drawn = chart(&house.app, &doctor, &house.key("Patient/p1"), (None, None))
        .await
        .unwrap();
    let told = drawn.parameters(house.app.now());
    assert!(
        !told.to_string().contains("unreadable"),
        "the chart cannot read a stopped order: {told}"
    );
    let again = taken(place, "m1", Change::Stop, (Some("sintol"), None)).await;
    assert!(matches!(again, Err(AppError::Conflict(_))), "{again:?}");
    let listed = list(&house.app, &doctor, &house.key("Patient/p1"))
        .await
        .unwrap();
    assert_eq!(listed.medicines.len(), 1, "what was stopped stays listed");
    assert!(listed.checked.medicines.is_empty(), "and is not checked");
}

#[tokio::test]
async fn a_held_order_goes_on_by_itself_or_by_somebody() {
    let (house, doctor) = ward(&[order("m1", "Ramipril 5mg capsule")]).await;
    let place = (&house, &doctor);
    let now = house.app.now();
    let why = (Some("surg"), None);
    let past = taken(place, "m1", Change::Hold(Some(now)), why).await;
    assert!(matches!(past, Err(AppError::Unprocessable(_))), "{past:?}");
    let until = now.plus_seconds(3 * 86_400);
    taken(place, "m1", Change::Hold(Some(until)), why)
        .await
        .unwrap();
    let own = status(&house, &doctor, "m1").await;
    assert_eq!(own["status"], "active", "it goes on by itself");
    assert!(app::medicines::status::held_at(&own, now.plus_seconds(60)));
    assert!(!app::medicines::status::held_at(&own, until));
    let twice = taken(place, "m1", Change::Hold(None), why).await;
    assert!(matches!(twice, Err(AppError::Conflict(_))), "{twice:?}");
    taken(place, "m1", Change::Resume, (None, Some("back early")))
        .await
        .unwrap();
    let own = status(&house, &doctor, "m1").await;
    assert!(!app::medicines::status::held_at(&own, now.plus_seconds(60)));
    taken(place, "m1", Change::Hold(None), why).await.unwrap();
    assert_eq!(status(&house, &doctor, "m1").await["status"], "on-hold");
    taken(place, "m1", Change::Resume, (None, Some("recovered")))
        .await
        .unwrap();
    let own = status(&house, &doctor, "m1").await;
    assert_eq!(own["status"], "active");
    let pauses = own["extension"].as_array().unwrap();
    assert_eq!(pauses.len(), 2, "each pause stays on the record");
    let ended = pauses.iter().all(|pause| {
        let parts = pause["extension"].as_array().unwrap();
        parts.iter().any(|part| part["url"] == "to")
    });
    assert!(ended, "{pauses:?}");
}

/// While it was held, something was prescribed that does not go with it: nobody answered that alert.
#[tokio::test]
async fn what_is_resumed_is_checked_again() {
    let (house, doctor) = ward(&[order("m1", "Warfarin 1mg tablet")]).await;
    let place = (&house, &doctor);
    taken(place, "m1", Change::Hold(None), (Some("surg"), None))
        .await
        .unwrap();
    house
        .put(&doctor, &order("m2", "Ibuprofen 400mg tablet"))
        .await
        .unwrap();
    let resumed = taken(place, "m1", Change::Resume, (None, Some("recovered"))).await;
    assert!(
        matches!(&resumed, Err(AppError::Conflict(text)) if text.contains("Ibuprofen")),
        "{resumed:?}"
    );
    assert_eq!(status(&house, &doctor, "m1").await["status"], "on-hold");
    taken(place, "m2", Change::Stop, (Some("sddi"), None))
        .await
        .unwrap();
    taken(place, "m1", Change::Resume, (None, Some("recovered")))
        .await
        .unwrap();
}

#[tokio::test]
async fn renewing_prescribes_anew_and_ends_the_old_order() {
    let mut until = order("m2", "Amoxicillin 500mg capsule");
    until["dosageInstruction"][0]["timing"]["repeat"]["boundsPeriod"] =
        json!({ "start": "2025-01-01", "end": "2025-01-07" });
    let (house, doctor) = ward(&[order("m1", "Ramipril 5mg capsule"), until]).await;
    let key = house.key("MedicationRequest/m1");
    let review = Some("2027-06-01".parse().unwrap());
    let done = renew(&house.app, &doctor, &key, (Vec::new(), review))
        .await
        .unwrap();
    let End::Stored { order, waits, .. } = done.end else {
        panic!("{:?}", done.end)
    };
    assert!(!waits);
    let id = order.strip_prefix("MedicationRequest/").unwrap();
    let new = status(&house, &doctor, id).await;
    assert_eq!(new["status"], "active");
    assert_eq!(
        new["priorPrescription"]["reference"],
        "MedicationRequest/m1"
    );
    assert_eq!(new["extension"][0]["valueDate"], "2027-06-01");
    let old = status(&house, &doctor, "m1").await;
    assert_eq!(old["status"], "stopped");
    let stop = old["extension"].to_string();
    assert!(
        stop.contains("order-stop"),
        "nobody could tell when it ended: {stop}"
    );
    let key = house.key("MedicationRequest/m2");
    let ended = renew(&house.app, &doctor, &key, (Vec::new(), None)).await;
    assert!(
        matches!(&ended, Err(AppError::Unprocessable(text)) if text.contains("last day")),
        "{ended:?}"
    );
}
