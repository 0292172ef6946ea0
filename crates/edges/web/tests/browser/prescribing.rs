//! Prescribing with scripts: the preview follows what is typed, what interrupts is answered, two people sign,
//! and a check that did not come back is said to be missing.

use serde_json::{Value, json};
use testkit::browser::{Browser, Page};
use testkit::peers::required;
use testkit::receiver::{Receiver, Reply};

use crate::house::House;

const LIST: &str = "/t/rosewood/patients/p1/medicines";

async fn ward(resources: &[Value]) -> House {
    let house = House::start().await;
    house.clock.advance(60);
    let ward = format!("Organization/{}", house.ward);
    let person = json!({
        "resourceType": "Patient", "id": "p1", "birthDate": "1950-01-01", "gender": "female",
        "name": [{ "family": "Ashworth", "given": ["Edith"] }],
        "managingOrganization": { "reference": ward },
    });
    house.put(&person).await;
    for own in resources {
        house.put(own).await;
    }
    house
}

fn on_board(name: &str) -> Value {
    json!({ "resourceType": "MedicationRequest", "id": "board", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p1"}, "authoredOn": "2025-01-01T08:00:00Z",
        "medicationCodeableConcept": {"text": name},
        "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}] })
}

/// From the list to the form of a product, with one a day typed.
async fn written(page: &Page, product: &str) {
    page.follow("a[href$='/medicines/new']").await;
    page.fill("input[name=q]", product).await;
    page.follow("form[role=search] button").await;
    page.follow("table a[href*='medicine=']").await;
    page.fill("#number-1", "1").await;
    page.fill("#dose-1", "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn warfarin_beside_an_nsaid_wants_a_reason() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = ward(&[on_board("Ibuprofen 400mg tablet")]).await;
    let device = browser.device(1280, 900).await;
    let page = house
        .signed_in(&device, "doctor", "/patients/p1/medicines")
        .await;
    written(&page, "Warfarin 1mg").await;
    // Without a button: the preview follows.
    page.wait_for_text("1 tablet by mouth once a day.").await;
    page.wait_for(".alert-warn").await;
    let said = page.text(".alert-warn").await;
    assert!(
        said.contains("Warfarin") && said.contains("Ibuprofen"),
        "{said}"
    );
    // What is misread is refused in words while it is typed.
    page.fill("#dose-1", "1.0").await;
    page.wait_for_text("1.0 is misread as 10: write 1.").await;
    page.fill("#dose-1", "1").await;
    page.wait_for(".alert-warn select").await;
    page.follow("button[value=prescribe]").await;
    page.wait_for_text("There is a problem").await;
    let reason = "select[name^=reason-]";
    page.fill(reason, "monitored").await;
    page.follow("button[value=prescribe]").await;
    page.wait_for_text("The medicine was prescribed.").await;
    page.wait_for_text("Answered: It is watched by tests or observation")
        .await;
    // The refused form is an answer of 422, which the browser writes down.
    let errors = page.errors();
    assert!(errors.iter().all(|own| own.contains("422")), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_penicillin_allergy_wants_two_people() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let allergy = json!({"resourceType": "AllergyIntolerance", "id": "pen", "patient": {"reference": "Patient/p1"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "764146007"}], "text": "Penicillin"}});
    let house = ward(&[allergy]).await;
    let (one, other) = (
        browser.device(1280, 900).await,
        browser.device(390, 844).await,
    );
    let page = house
        .signed_in(&one, "doctor", "/patients/p1/medicines")
        .await;
    written(&page, "Amoxicillin 500").await;
    page.wait_for_text("This waits for a second person.").await;
    page.fill("select[name^=reason-]", "specialist-advice")
        .await;
    page.fill("input[name^=text-]", "desensitised in 2024")
        .await;
    page.follow("button[value=prescribe]").await;
    page.wait_for_text("Not signed yet: not to be given").await;
    let second = house.signed_in(&other, "pharmacist", "/medicines").await;
    second.wait_for_text("Waiting for a second person").await;
    second.follow("a[href$='/countersign']").await;
    second.wait_for_text("desensitised in 2024").await;
    second.follow("form[data-keep] button").await;
    second
        .wait_for_text("The order was signed and is in force.")
        .await;
    page.go(&house.address(LIST)).await;
    assert!(!page.text("main").await.contains("Not signed yet"));
    page.clean();
    second.clean();
}

/// A formulary that is set up and down: what it would have said is missing on every page that shows checks,
/// with its name, and nobody is kept from prescribing what our own knowledge allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_knowledge_connector_that_is_down_is_named_on_every_page() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = ward(&[on_board("Ramipril 5mg capsule")]).await;
    let down = Receiver::start(|_, _| Reply::status(503));
    let address = format!("http://127.0.0.1:{}", down.address().port());
    let entry = format!("formulary formulary {address} key=/none");
    house.consulting(&[(entry, address)]);
    let device = browser.device(1280, 900).await;
    let page = house
        .signed_in(&device, "doctor", "/patients/p1/medicines")
        .await;
    // Prescribing: beside the line that is typed.
    written(&page, "Paracetamol 500mg tablet").await;
    page.wait_for_text("1 tablet by mouth once a day.").await;
    page.wait_for(".not-checked").await;
    let said = page.text(".not-checked").await;
    let why = "Formulary did not answer: it answers with status 503";
    assert!(said.contains(why), "{said}");
    assert!(!down.seen().is_empty());
    page.follow("button[value=prescribe]").await;
    page.wait_for_text("The medicine was prescribed.").await;
    // The list of the medicines.
    let gap = "Paracetamol 500mg tablet was not checked with formulary";
    page.wait_for_text(gap).await;
    // Alerts and overrides: how often, and why.
    page.go(&house.address("/t/rosewood/medicines/alerts"))
        .await;
    page.wait_for("#not-checked").await;
    let row = page
        .text("section[aria-labelledby=not-checked] tbody")
        .await;
    assert!(row.contains("formulary") && row.contains(why), "{row}");
    page.clean();
    // The round: on the list of patients, and with the medicine.
    let phone = browser.device(390, 844).await;
    phone.clock_ahead(house.shift());
    let walk = house
        .signed_in(&phone, "nurse", "/medicines/round?ahead=720")
        .await;
    walk.wait_for_text("Not checked with formulary").await;
    walk.follow(".round-go a").await;
    walk.wait_for_text(gap).await;
    assert!(walk.has(".not-checked").await);
    // On the device that goes along.
    walk.go(&house.address("/t/rosewood/medicines/round")).await;
    walk.follow("a[href$='/medicines/round/device']").await;
    walk.wait_for("#round-steps button").await;
    walk.click("#round-steps button").await;
    walk.wait_for_text("Round for 1 patient").await;
    walk.wait_for_text("Ramipril 5mg capsule was not checked with formulary")
        .await;
    walk.clean();
}

/// A check that did not come back is not taken for one that found nothing.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_not_checked() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = ward(&[on_board("Ibuprofen 400mg tablet")]).await;
    let device = browser.device(1280, 900).await;
    let page = house
        .signed_in(&device, "doctor", "/patients/p1/medicines")
        .await;
    written(&page, "Warfarin 1mg").await;
    page.wait_for_text("1 tablet by mouth once a day.").await;
    device.offline(true).await;
    page.fill("#dose-1", "2").await;
    page.wait_for_text("Not checked: the server did not answer. Press Check.")
        .await;
    // The mark of what was seen is gone: the server shows the check again before anything is stored.
    assert_eq!(
        page.run("document.querySelector('input[name=seen]').value")
            .await,
        ""
    );
    device.offline(false).await;
    page.follow("button[value=prescribe]").await;
    page.wait_for_text("The order was not stored yet.").await;
    page.wait_for_text("2 tablets by mouth once a day.").await;
}
