//! An order on pages: approved by another, sent by mail, told of by telephone, booked in with something owed.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use std::sync::{Arc, Mutex};

use app::medicines::orders::{self, NewLine, NewOrder, partners};
use async_trait::async_trait;
use connect::{Answer, ConnectError, Message, Outbound, Request};
use kernel::LogicalId;
use medication::stock::Units;
use medication::supply::Kind;
use serde_json::json;
use uuid::Uuid;

use crate::house::House;

/// A mail server that takes everything.
#[derive(Default)]
struct Post(Mutex<Vec<String>>);

#[async_trait]
impl Outbound for Post {
    fn permits(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    fn permits_import(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn reaches(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn call(&self, _: Request) -> Result<Answer, ConnectError> {
        Err(ConnectError::Off)
    }
    fn permits_mail(&self, _: &str) -> Result<(), ConnectError> {
        Ok(())
    }
    async fn mail(&self, message: Message) -> Result<(), ConnectError> {
        self.0.lock().unwrap().push(message.subject);
        Ok(())
    }
}

async fn drafted(house: &House) -> String {
    let admin = house.caller("ash", "admin").await;
    for body in [
        json!({ "resourceType": "Organization", "id": "corner", "name": "Corner pharmacy" }),
        json!({ "resourceType": "Location", "id": "cupboard", "name": "Cupboard" }),
    ] {
        house.put(&admin, &body).await;
    }
    let id = |text: &str| text.parse::<LogicalId>().unwrap();
    let partner = partners::Partner {
        id: "corner".to_owned(),
        name: "Corner pharmacy".to_owned(),
        organization: medication::ids::PartyId(id("corner")),
        way: partners::Way::Letter {
            to: "orders@corner.test".to_owned(),
        },
        secret: None,
        active: true,
    };
    partners::put(&house.app, &admin, partner).await.unwrap();
    let sold = serde_json::from_value(
        json!([{ "code": "322236009", "name": "Paracetamol 500 mg tablets",
        "unit": "{tablet}", "legal": "general_sale", "control": "0000", "packs": [] }]),
    );
    partners::set_catalogue(&house.app, &admin, "corner", sold.unwrap())
        .await
        .unwrap();
    let nurse = house.caller("ash", "nurse").await;
    let new = NewOrder {
        kind: Kind::Direct,
        partner: "corner".to_owned(),
        resident: None,
        location: medication::ids::LocationId(id("cupboard")),
        cycle: "2026-03".to_owned(),
        attempt: 0,
        lines: vec![NewLine {
            code: "322236009".to_owned(),
            item: None,
            name: None,
            quantity: Units::new(56.into()).unwrap(),
            unit: None,
            packs: None,
            dose: None,
        }],
    };
    let made = orders::draft(&house.app, &nurse, new).await.unwrap();
    made.kept.id.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_approved_sent_and_booked_in() {
    let house = House::build().await;
    let post = Arc::new(Post::default());
    let app = house.app.clone().reaching_out(post.clone());
    let id = drafted(&house).await;
    let (all, one) = (
        "/t/ash/medicines/orders",
        format!("/t/ash/medicines/orders/{id}"),
    );
    let mut nurse = house.signed_in("ash", "nurse").await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    assert!(nurse.get(all).await.body.contains(&one));
    let step = |name: &str| format!("{one}/{name}");
    // Who drafted is told so on the page; a form that is not ours is refused.
    let own = nurse.submit(&one, &step("approve"), &[]).await;
    assert_eq!(own.status, 422);
    assert!(own.body.contains("ask somebody else"), "{}", own.body);
    let forged = nurse.post(&step("approve"), &[("csrf", "x")]).await;
    assert_eq!(forged.status, 403);
    assert_eq!(doctor.submit(&one, &step("approve"), &[]).await.status, 303);
    assert_eq!(nurse.submit(&one, &step("submit"), &[]).await.status, 303);
    assert!(nurse.get(&one).await.body.contains("Being sent"));
    Box::pin(orders::round(&app, Uuid::from_u128(1)))
        .await
        .unwrap();
    assert_eq!(post.0.lock().unwrap().len(), 1);
    let page = nurse.get(&one).await;
    assert!(page.body.contains("With the other side"), "{}", page.body);
    let said = [("state", "dispatched"), ("note", "Jo rang: today")];
    let form = step("report");
    assert_eq!(nurse.submit(&form, &form, &said).await.status, 303);
    let ours = [("state", "received")];
    assert_eq!(nurse.submit(&form, &form, &ours).await.status, 422);
    let form = step("receive");
    let wrong = [("note", "n-1"), ("quantity-0", "some")];
    let wrong = nurse.submit(&form, &form, &wrong).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("is no number") && wrong.body.contains("n-1"));
    let part = [
        ("note", "n-1"),
        ("quantity-0", "28"),
        ("lot-0", "B7"),
        ("expiry-0", "31-Jan-2027"),
    ];
    assert_eq!(nurse.submit(&form, &form, &part).await.status, 303);
    let page = nurse.get(&one).await.body;
    for words in [
        "Something is owed",
        "Jo rang: today",
        "nurse ashcanary",
        "n-1",
    ] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(
        nurse
            .get(&format!("{all}?show=chase"))
            .await
            .body
            .contains(&one)
    );
    let rest = [("note", "n-2"), ("quantity-0", "28")];
    assert_eq!(nurse.submit(&form, &form, &rest).await.status, 303);
    assert_eq!(nurse.submit(&one, &step("close"), &[]).await.status, 303);
    assert!(!nurse.get(all).await.body.contains(&one));
    assert!(
        nurse
            .get(&format!("{all}?show=done"))
            .await
            .body
            .contains(&one)
    );
    // Others do not see orders, nor those of another house.
    let mut desk = house.signed_in("ash", "receptionist").await;
    assert_eq!(desk.get(all).await.status, 403);
    let mut other = house.signed_in("birch", "nurse").await;
    assert_eq!(
        other
            .get(&format!("/t/birch/medicines/orders/{id}"))
            .await
            .status,
        404
    );
}
