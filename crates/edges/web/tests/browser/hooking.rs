//! CDS Hooks in a real browser: another system signs an order, the card is overridden with a reason, and the
//! report on alerts shows it.

use app::cds_hooks::setting::{self, Setting};
use serde_json::json;
use testkit::browser::Browser;
use testkit::peers::required;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_card_at_signing_is_overridden_and_counted() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    house.clock.advance(60);
    let ward = format!("Organization/{}", house.ward);
    house
        .put(&json!({
            "resourceType": "Patient", "id": "p1", "birthDate": "1950-01-01", "gender": "female",
            "name": [{ "family": "Ashworth", "given": ["Edith"] }],
            "managingOrganization": { "reference": ward },
        }))
        .await;
    house
        .put(&json!({ "resourceType": "MedicationRequest", "id": "w", "status": "active", "intent": "order",
            "subject": {"reference": "Patient/p1"}, "medicationCodeableConcept": {"text": "Warfarin 1mg tablet"},
            "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}] }))
        .await;
    let on = Setting {
        enabled: true,
        ..Setting::default()
    };
    let admin = house.caller("admin").await;
    setting::change(&house.app, &admin, on).await.unwrap();
    let device = browser.device(1280, 900).await;
    let page = house.signed_in(&device, "doctor", "/cds-hooks").await;
    page.fill("select[name=service]", "medication-order-sign")
        .await;
    page.fill("input[name=patient]", "p1").await;
    page.fill("textarea[name=drafts]", "Ibuprofen 400mg tablet")
        .await;
    page.follow("form[data-keep] button").await;
    page.wait_for_text("Warfarin 1mg tablet with Ibuprofen 400mg tablet")
        .await;
    page.wait_for_text("Critical").await;
    page.follow("table a[href*='/cds-hooks/cards/']").await;
    page.click("input[value=overridden]").await;
    page.fill("select[name=reason]", "monitored").await;
    page.fill("input[name=text]", "INR daily").await;
    page.follow("form[data-keep] button").await;
    page.wait_for_text("Saved.").await;
    house.clock.advance(1);
    page.go(&house.address("/t/rosewood/medicines/alerts"))
        .await;
    page.wait_for_text("1 × It is watched by tests or observation")
        .await;
    page.clean();
}
