//! The browser itself: that it reaches the pages, tells devices apart, can be cut off, and sees errors.

use serde_json::json;
use testkit::browser::Browser;
use testkit::peers::required;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_have_two_sessions() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    let (one, other) = (
        browser.device(390, 844).await,
        browser.device(1280, 900).await,
    );
    let ward = format!("Organization/{}", house.ward);
    house.clock.advance(60);
    house
        .put(&json!({
            "resourceType": "Patient", "id": "p1", "name": [{ "family": "Ashworth", "given": ["Edith"] }],
            "managingOrganization": { "reference": ward },
        }))
        .await;
    let page = house.signed_in(&one, "nurse", "/patients?name=ash").await;
    page.wait_for_text("ASHWORTH").await;
    // The other device is not signed in by it.
    let outside = other.open(&house.address("/t/rosewood/")).await;
    outside.wait_for("input[name=password]").await;
    one.offline(true).await;
    let reached = page
        .try_run("fetch('/help').then(() => true, () => false)")
        .await;
    assert_eq!(reached, Ok(serde_json::Value::Bool(false)));
    let reached = outside
        .run("fetch('/help').then(() => true, () => false)")
        .await;
    assert_eq!(reached, serde_json::Value::Bool(true));
    one.offline(false).await;
    page.reload().await;
    page.clean();
    outside.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_seen() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    let device = browser.device(800, 600).await;
    let page = device.open(&house.address("/sign-in")).await;
    page.clean();
    page.run("console.error('a word to see')").await;
    page.wait_until("the page to go on", "true").await;
    let seen = page.errors();
    assert!(
        seen.iter().any(|own| own.contains("a word to see")),
        "{seen:?}"
    );
}
