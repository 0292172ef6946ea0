//! From low stock to what arrived in a real browser: a medicine runs low on its page, is ordered from there,
//! approved by somebody else, sent to a pharmacy, and half of it is booked in.

#![expect(
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use std::net::IpAddr;
use std::sync::Arc;

use app::ResourceKey;
use app::medicines::orders::{partners, round};
use app::record::update::update;
use connect::{Client, ClientSettings, EgressPolicy, Limits, Resolver};
use serde_json::json;
use testkit::browser::{Browser, Page};
use testkit::peers::required;
use testkit::pharmacy::Pharmacy;
use uuid::Uuid;

use crate::house::House;

/// Every name is this machine.
struct Local;

#[async_trait::async_trait]
impl Resolver for Local {
    async fn resolve(&self, _: &str, _: u16) -> Vec<IpAddr> {
        vec![IpAddr::from([127, 0, 0, 1])]
    }
}

/// A house that reaches a pharmacy which sells paracetamol.
async fn home(pharmacy: &Pharmacy) -> House {
    let house = House::start().await;
    let settings = ClientSettings {
        policy: EgressPolicy::parse([pharmacy.egress().as_str()]).unwrap(),
        limits: Limits::default(),
        root_certificates: None,
        mail: None,
    };
    let client = Client::new(settings, Arc::new(Local), house.clock.clone()).unwrap();
    let _ = house.app.clone().reaching_out(Arc::new(client));
    let admin = house.caller("admin").await;
    for resource in [
        json!({ "resourceType": "Organization", "id": "corner", "name": "Corner pharmacy" }),
        json!({ "resourceType": "Location", "id": "cupboard", "name": "Cupboard" }),
    ] {
        let ty = resource["resourceType"].as_str().unwrap();
        let key = ResourceKey {
            ty: house.app.definitions().resource(ty).unwrap(),
            id: resource["id"].as_str().unwrap().parse().unwrap(),
        };
        let bytes = resource.to_string().into_bytes().into();
        update(&house.app, &admin, &key, bytes, None).await.unwrap();
    }
    let partner = partners::Partner {
        id: "corner".to_owned(),
        name: "Corner pharmacy".to_owned(),
        organization: "corner".parse().unwrap(),
        way: partners::Way::Api {
            base: pharmacy.base(),
        },
        secret: None,
        active: true,
    };
    partners::put(&house.app, &admin, partner).await.unwrap();
    pharmacy.sells(vec![
        json!({ "code": "322236009", "name": "Paracetamol 500 mg tablets",
        "unit": "{tablet}", "legal": "general_sale", "control": "0000",
        "packs": [{ "holds": "28", "price": { "amount": "0.80", "currency": "GBP" } }] }),
    ]);
    let nurse = house.caller("nurse").await;
    let fetched = partners::fetch_catalogue(&house.app, &nurse, "corner").await;
    assert_eq!(fetched.unwrap(), 1);
    house
}

/// Fills the form of an address and sends it.
async fn send(page: &Page, action: &str, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        page.fill(&format!("main [name='{name}']"), value).await;
    }
    page.follow(&format!("main form[action*='{action}'] button"))
        .await;
}

async fn says(page: &Page, words: &[&str]) {
    for words in words {
        page.wait_for_text(words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn low_stock_is_ordered_approved_and_received_in_part() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let pharmacy = Pharmacy::start();
    let house = home(&pharmacy).await;
    let (tablet, desk) = (
        browser.device(768, 1024).await,
        browser.device(1280, 900).await,
    );
    // Kept, received and broken on the pages: it is low.
    let nurse = house
        .signed_in(&tablet, "nurse", "/medicines/stock/new")
        .await;
    let kept = [("product", "Paracetamol 500mg tablet"), ("threshold", "10")];
    send(&nurse, "/stock/new", &kept).await;
    nurse.follow("a[href$='/receive']").await;
    let came = [("units", "12"), ("lot", "A1"), ("expiry", "2028-01-31")];
    send(&nurse, "/receive", &came).await;
    says(&nurse, &["12 tablets held. No order."]).await;
    nurse.follow("a[href$='/waste']").await;
    let broken = [("units", "2"), ("method", "denatured")];
    send(&nurse, "/waste", &broken).await;
    says(&nurse, &["10 tablets held. To be ordered."]).await;
    let item = nurse.address().await;
    let item = item.split('?').next().unwrap().to_owned();

    // Ordered from its page; who drafted does not approve.
    nurse.follow("a[href*='/orders/new?item=']").await;
    says(
        &nurse,
        &[
            "Order Paracetamol 500mg tablet",
            "packs of 28, 0.80 GBP each",
        ],
    )
    .await;
    send(&nurse, "/orders/new", &[("packs", "2")]).await;
    says(&nurse, &["A draft", "2 packs of 28"]).await;
    let order = nurse.address().await;
    let order = order.split('?').next().unwrap().to_owned();
    let id = order.rsplit('/').next().unwrap().to_owned();
    nurse.follow("form[action$='/approve'] button").await;
    says(&nurse, &["ask somebody else"]).await;
    nurse.go(&item).await;
    says(&nurse, &["10 tablets held. Requested.", "Order of goods"]).await;
    let below = format!("/medicines/orders/{id}");
    let doctor = house.signed_in(&desk, "doctor", &below).await;
    doctor.follow("form[action$='/approve'] button").await;
    says(&doctor, &["Approved", "It waits to be sent."]).await;
    nurse.go(&order).await;
    nurse.follow("form[action$='/submit'] button").await;
    says(&nurse, &["Being sent"]).await;
    assert!(pharmacy.orders().is_empty());
    assert_eq!(round(&house.app, Uuid::from_u128(1)).await.unwrap(), 1);
    assert_eq!(pharmacy.orders().len(), 1);
    nurse.go(&item).await;
    says(&nurse, &["10 tablets held. Ordered."]).await;

    // Half of it comes, and is booked in twice with the same note.
    nurse.go(&order).await;
    for _ in 0..2 {
        nurse.follow("a[href$='/receive']").await;
        let came = [
            ("note", "n-1"),
            ("quantity-0", "28"),
            ("lot-0", "B7"),
            ("expiry-0", "2027-01-31"),
        ];
        send(&nurse, "/receive", &came).await;
        says(&nurse, &["Something is owed"]).await;
    }
    nurse.go(&item).await;
    says(
        &nurse,
        &[
            "38 tablets held. Partly received.",
            "B7",
            "Owing",
            "1 to chase",
        ],
    )
    .await;
    let rows = nurse
        .run("document.querySelectorAll(\"[aria-labelledby='moves-title'] tbody tr\").length")
        .await;
    assert_eq!(rows, json!(3), "received, broken, booked in once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_would_order_is_looked_at_and_drafted() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let pharmacy = Pharmacy::start();
    let house = home(&pharmacy).await;
    let (tablet, desk) = (
        browser.device(390, 844).await,
        browser.device(1280, 900).await,
    );
    let nurse = house
        .signed_in(&tablet, "nurse", "/medicines/stock/new")
        .await;
    for product in [
        "Paracetamol 500mg tablet",
        "Morphine 10mg modified-release tablet",
    ] {
        nurse
            .go(&house.address("/t/rosewood/medicines/stock/new"))
            .await;
        let kept = [("product", product), ("threshold", "10")];
        send(&nurse, "/stock/new", &kept).await;
    }
    let automatic = "/medicines/orders/automatic";
    let doctor = house
        .signed_in(&desk, "doctor", &format!("{automatic}/plan"))
        .await;
    let chosen = [("cap", "5"), ("goods", "corner"), ("location", "cupboard")];
    send(&doctor, "/automatic/plan", &chosen).await;
    says(
        &doctor,
        &["A person approves", "buying 1 pack of 28", "0.80 GBP"],
    )
    .await;
    says(
        &doctor,
        &["It is a controlled drug: a program asks for none."],
    )
    .await;
    // Nothing was ordered by looking.
    let orders = house.address("/t/rosewood/medicines/orders");
    nurse.go(&orders).await;
    says(&nurse, &["None."]).await;
    nurse
        .go(&house.address(&format!("/t/rosewood{automatic}")))
        .await;
    nurse.follow("form[action$='/automatic'] button").await;
    nurse.go(&orders).await;
    says(&nurse, &["Paracetamol 500 mg tablets", "Draft"]).await;
    nurse
        .go(&house.address(&format!("/t/rosewood{automatic}")))
        .await;
    says(&nurse, &["It is on order already"]).await;
}
