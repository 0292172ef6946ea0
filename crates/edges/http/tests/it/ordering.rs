//! From low stock to what arrived, over HTTP and against a pharmacy: the reorder of a medicine follows its
//! order, the shelf fills in the commit of the delivery; and what a program proposes, with what holds it.

#![expect(clippy::too_many_lines, reason = "a test tells its story in one piece")]

use identity::Role;
use serde_json::{Value, json};
use testkit::pharmacy::Pharmacy;

use crate::orders::{API, FHIR, House};
use crate::server::{Call, ROSEWOOD};

const PARACETAMOL: &str = "322236009";
const AMOXICILLIN: &str = "323510009";
const IBUPROFEN: &str = "329652003";

fn sold(code: &str, name: &str, unit: &str, legal: &str, price: &str) -> Value {
    json!({ "code": code, "name": name, "unit": unit, "legal": legal, "control": "0000",
        "packs": [{ "holds": "28", "price": { "amount": price, "currency": "GBP" } }] })
}

fn catalogue() -> Vec<Value> {
    vec![
        sold(
            PARACETAMOL,
            "Paracetamol 500 mg tablets",
            "{tablet}",
            "general_sale",
            "0.80",
        ),
        sold(
            IBUPROFEN,
            "Ibuprofen 200mg tablets",
            "{tablet}",
            "general_sale",
            "3.00",
        ),
        sold(
            AMOXICILLIN,
            "Amoxicillin 500mg capsules",
            "{capsule}",
            "prescription_only",
            "1.20",
        ),
    ]
}

/// A house whose pharmacy sells three medicines.
async fn house(pharmacy: &Pharmacy) -> House {
    let house = House::with(pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    pharmacy.sells(catalogue());
    let fetched = house
        .post(&house.nurse, "partners/corner/catalogue", &json!({}))
        .await;
    assert_eq!(fetched.expect(200).json()["products"], 3);
    house
}

impl House {
    /// Keeps a medicine and has so much of it in the cupboard.
    async fn keeps(&self, product: &str, unit: &str, held: u32) -> String {
        let kept = json!({ "product": product, "unit": unit, "threshold": "10" });
        let kept = self
            .post(&self.nurse, "stock", &kept)
            .await
            .expect(201)
            .json();
        let item = kept["id"].as_str().unwrap().to_owned();
        if held > 0 {
            let body = json!({ "id": "first", "what": { "kind": "receipt", "to": { "location": "cupboard" },
                "from": "corner", "units": held.to_string(), "batch": { "lot": "A1", "expiry": "2028-01-31" } } });
            let moves = format!("stock/{item}/movements");
            self.post(&self.nurse, &moves, &body).await.expect(201);
        }
        item
    }

    /// So much of the first batch is destroyed.
    async fn loses(&self, item: &str, id: &str, units: u32) {
        let body = json!({ "id": id, "what": { "kind": "waste", "from": { "location": "cupboard" },
            "units": units.to_string(), "batch": { "lot": "A1", "expiry": "2028-01-31" },
            "reason": "damaged", "method": "denatured" } });
        let moves = format!("stock/{item}/movements");
        self.post(&self.nurse, &moves, &body).await.expect(201);
    }

    async fn stock(&self, item: &str) -> Value {
        let seen = self.get(&self.nurse, &format!("stock/{item}")).await;
        seen.expect(200).json()
    }

    /// Where the reorder stands, and how much is held.
    async fn shelf(&self, item: &str) -> (String, String) {
        let seen = self.stock(item).await;
        let text = |name: &str| seen[name].as_str().unwrap().to_owned();
        (text("reorder"), text("held"))
    }

    async fn prescribed(&self, id: &str, medicine: &str, dose: u32, unit: &str) {
        let program = self.server.program_with(ROSEWOOD, id, &[]).await;
        let order = json!({ "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
            "medicationCodeableConcept": { "text": medicine }, "subject": { "reference": "Patient/ada" },
            "authoredOn": "2026-03-01T00:00:00Z", "dosageInstruction": [{
                "timing": { "repeat": { "timeOfDay": ["12:00:00", "14:00:00", "16:00:00"] } },
                "doseAndRate": [{ "doseQuantity": { "value": dose, "unit": unit } }] }] });
        self.server.put(ROSEWOOD, &program, &order).await;
    }

    async fn plan(&self, who: &str, plan: &Value, status: u16) -> Value {
        let call = Call::put(format!("{API}/ordering/plan"))
            .bearer(who)
            .json(plan);
        self.server.send(call).await.expect(status).json()
    }

    async fn decided(&self, who: &str, how: &str) -> Vec<Value> {
        let found = match how {
            "run" => self.post(who, "ordering/run", &json!({})).await,
            _ => self.get(who, "ordering/dry-run").await,
        };
        found.expect(200).json().as_array().unwrap().clone()
    }

    async fn open(&self) -> Vec<Value> {
        let open = self.get(&self.nurse, "orders").await.expect(200).json();
        open.as_array().unwrap().clone()
    }
}

fn of<'a>(found: &'a [Value], item: &str) -> &'a Value {
    let own = found.iter().find(|own| own["item"] == item);
    own.unwrap_or_else(|| panic!("{item} is not in {found:?}"))
}

fn shelf(reorder: &str, held: &str) -> (String, String) {
    (reorder.to_owned(), held.to_owned())
}

fn plan(mode: &str, cap: &str) -> Value {
    json!({ "mode": mode, "cap": cap, "currency": "GBP", "days": 28, "reserveDays": 7, "goods": "corner",
        "prescriptions": "corner", "location": "cupboard" })
}

/// A delivery of so many tablets.
fn delivery(note: &str, item: &str, quantity: &str) -> Value {
    json!({ "note": note, "things": [{ "item": item, "label": "Paracetamol 500 mg tablets",
        "quantity": quantity, "lot": "B7", "expiry": "2027-01-31" }] })
}

#[tokio::test]
async fn low_stock_is_needed_requested_approved_ordered_and_received_in_parts() {
    let pharmacy = Pharmacy::start();
    let house = house(&pharmacy).await;
    let item = house
        .keeps("Paracetamol 500mg tablet", "{tablet}", 12)
        .await;
    assert_eq!(house.shelf(&item).await, shelf("none", "12"));
    house.loses(&item, "broken", 2).await;
    assert_eq!(house.shelf(&item).await, shelf("needed", "10"));

    let body = json!({ "kind": "direct", "partner": "corner", "location": "cupboard", "cycle": "2026-03",
        "lines": [{ "code": PARACETAMOL, "item": item, "quantity": "56", "packs": { "count": 2, "holds": "28" } }] });
    let made = house
        .post(&house.nurse, "orders", &body)
        .await
        .expect(201)
        .json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(house.shelf(&item).await, shelf("requested", "10"));
    house.step(&house.doctor, id, "approve", &json!({})).await;
    assert_eq!(house.shelf(&item).await, shelf("approved", "10"));
    // Committed and not sent yet: it is not on order before the pharmacy has it.
    house.step(&house.nurse, id, "submit", &json!({})).await;
    assert_eq!(house.shelf(&item).await.0, "approved");
    assert_eq!(house.work().await, 1);
    assert_eq!(house.shelf(&item).await, shelf("ordered", "10"));
    assert_eq!(pharmacy.orders().len(), 1);

    // Half of it comes: order and shelf move together, the same note moves once.
    let part = house
        .step(&house.nurse, id, "receive", &delivery("n-1", &item, "28"))
        .await;
    assert_eq!(
        (&part["state"], &part["chase"][0]["missing"]),
        (&json!("owing"), &json!("28"))
    );
    assert_eq!(house.shelf(&item).await, shelf("part_received", "38"));
    house
        .step(&house.nurse, id, "receive", &delivery("n-1", &item, "28"))
        .await;
    assert_eq!(house.shelf(&item).await, shelf("part_received", "38"));
    let moves = house
        .get(&house.nurse, &format!("stock/{item}/movements"))
        .await
        .expect(200)
        .json();
    let moves = moves["movements"].as_array().unwrap();
    assert_eq!(moves.len(), 3, "{moves:?}");
    assert_eq!(
        (&moves[0]["what"]["kind"], &moves[0]["what"]["order"]),
        (&json!("receipt"), &json!(id))
    );
    assert_eq!(moves[0]["lines"][0]["batch"]["lot"], "B7");
    assert_eq!(moves[0]["lines"][0]["from"]["party"], "corner");

    // What is too much is set aside and is on no shelf.
    let rest = house
        .step(&house.nurse, id, "receive", &delivery("n-2", &item, "30"))
        .await;
    assert_eq!(rest["state"], "received", "{rest}");
    assert!(
        rest["deliveries"][1]["problems"][0]
            .as_str()
            .unwrap()
            .contains("more than was asked"),
        "{rest}"
    );
    assert_eq!(house.shelf(&item).await, shelf("received", "66"));
    house.step(&house.nurse, id, "close", &json!({})).await;
    assert_eq!(house.shelf(&item).await, shelf("received", "66"));
    house.work().await;
    assert_eq!(pharmacy.orders()[0].receipts.len(), 2);
    // The next time that it is low begins anew.
    house.loses(&item, "more", 10).await;
    let body = json!({ "id": "all", "what": { "kind": "waste", "from": { "location": "cupboard" }, "units": "50",
        "batch": { "lot": "B7", "expiry": "2027-01-31" }, "reason": "damaged", "method": "denatured" } });
    house
        .post(&house.nurse, &format!("stock/{item}/movements"), &body)
        .await
        .expect(201);
    assert_eq!(house.shelf(&item).await, shelf("needed", "6"));
}

#[tokio::test]
async fn an_order_that_is_called_off_calls_off_its_own_reorder_alone() {
    let pharmacy = Pharmacy::start();
    let house = house(&pharmacy).await;
    let item = house.keeps("Paracetamol 500mg tablet", "{tablet}", 5).await;
    let draft = async |cycle: &str| {
        let body = json!({ "kind": "direct", "partner": "corner", "location": "cupboard", "cycle": cycle,
            "lines": [{ "code": PARACETAMOL, "item": item, "quantity": "28" }] });
        let made = house
            .post(&house.nurse, "orders", &body)
            .await
            .expect(201)
            .json();
        made["id"].as_str().unwrap().to_owned()
    };
    let first = draft("2026-03").await;
    let second = draft("2026-04").await;
    house
        .step(&house.doctor, &first, "approve", &json!({}))
        .await;
    let off = json!({ "reason": "twice" });
    house.step(&house.nurse, &second, "cancel", &off).await;
    assert_eq!(
        house.shelf(&item).await.0,
        "approved",
        "it is the first one's"
    );
    house.step(&house.nurse, &first, "cancel", &off).await;
    assert_eq!(house.shelf(&item).await.0, "cancelled");
    let third = draft("2026-05").await;
    assert_eq!(house.shelf(&item).await.0, "requested");
    house.step(&house.nurse, &third, "cancel", &off).await;
    assert_eq!(house.shelf(&item).await.0, "cancelled");
}

#[tokio::test]
async fn a_program_proposes_and_a_person_approves() {
    let pharmacy = Pharmacy::start();
    let house = house(&pharmacy).await;
    let tablets = house
        .keeps("Paracetamol 500mg tablet", "{tablet}", 12)
        .await;
    let capsules = house
        .keeps("Amoxicillin 500mg capsule", "{capsule}", 0)
        .await;
    let morphine = house
        .keeps("Morphine 10mg modified-release tablet", "{tablet}", 0)
        .await;
    house
        .prescribed("m1", "Paracetamol 500mg tablet", 2, "tablet")
        .await;
    house
        .prescribed("m2", "Amoxicillin 500mg capsule", 1, "capsule")
        .await;
    house
        .prescribed("m3", "Morphine 10mg modified-release tablet", 1, "tablet")
        .await;
    let carer = house.server.person(ROSEWOOD, Role::Carer).await;
    house.plan(&carer, &plan("approval", "0"), 403).await;
    let program = house.server.program_with(ROSEWOOD, "orderer", &[]).await;
    house.plan(&program, &plan("automatic", "100"), 403).await;
    house.plan(&house.doctor, &plan("approval", "0"), 200).await;

    let before = (house.stock(&tablets).await, house.stock(&capsules).await);
    for _ in 0..2 {
        let found = house.decided(&house.nurse, "dry-run").await;
        // 6 tablets a day for 35 days are 210, 12 are there: 198 are missing, 8 packs of 28.
        let own = of(&found, &tablets);
        assert_eq!(own["action"], "would_ask", "{own}");
        assert_eq!(
            (&own["left"], &own["during"], &own["missing"]),
            (&json!("12"), &json!("210"), &json!("198"))
        );
        assert_eq!(
            own["proposal"]["packs"],
            json!({ "count": 8, "holds": "28" })
        );
        assert_eq!(
            (&own["proposal"]["kind"], &own["proposal"]["cost"]),
            (&json!("direct"), &json!("6.40 GBP"))
        );
        // What needs a prescription is asked of the prescriber, for the resident, and costs nothing.
        let own = of(&found, &capsules);
        assert_eq!(
            (&own["proposal"]["kind"], &own["resident"]),
            (&json!("repeat"), &json!("ada")),
            "{own}"
        );
        assert_eq!(own["proposal"]["cost"], Value::Null);
        let own = of(&found, &morphine);
        assert_eq!(
            (&own["action"], &own["why"]),
            (&json!("by_hand"), &json!(["controlled"])),
            "{own}"
        );
        assert_eq!(own["proposal"], Value::Null);
    }
    // Nothing has changed by it.
    assert_eq!(house.open().await, Vec::<Value>::new());
    assert_eq!(
        (house.stock(&tablets).await, house.stock(&capsules).await),
        before
    );
    assert_eq!((house.work().await, pharmacy.orders().len()), (0, 0));

    let found = house.decided(&house.nurse, "run").await;
    assert_eq!(of(&found, &tablets)["action"], "draft");
    assert_eq!(of(&found, &tablets)["why"], json!(["approval", "over_cap"]));
    assert_eq!(of(&found, &morphine)["order"], Value::Null);
    let open = house.open().await;
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(
        open.iter()
            .all(|own| own["state"] == "draft" && own["automatic"].is_array())
    );
    assert!(
        !open.iter().any(|own| own.to_string().contains("orphine")),
        "no controlled drug"
    );
    assert_eq!(house.shelf(&tablets).await.0, "requested");
    assert_eq!(
        (house.work().await, pharmacy.orders().len()),
        (0, 0),
        "nothing is sent"
    );
    // Once more: it is on order.
    let found = house.decided(&house.nurse, "run").await;
    let own = of(&found, &tablets);
    assert_eq!(own["action"], "nothing");
    assert!(
        own["why"][0].as_str().unwrap().starts_with("duplicate of "),
        "{own}"
    );
    assert_eq!(house.open().await.len(), 2);
    // The nurse drafted by it, so somebody else approves.
    let id = open.iter().find(|own| own["kind"] == "direct").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = house
        .post(&house.nurse, &format!("orders/{id}/approve"), &json!({}))
        .await;
    own.expect(422);
    assert_eq!(
        house.step(&house.doctor, &id, "approve", &json!({})).await["state"],
        "approved"
    );
}

#[tokio::test]
async fn a_program_sends_goods_within_the_cap_and_nothing_beyond_it() {
    let pharmacy = Pharmacy::start();
    let house = house(&pharmacy).await;
    let cheap = house
        .keeps("Paracetamol 500mg tablet", "{tablet}", 12)
        .await;
    let dear = house.keeps("Ibuprofen 200mg tablet", "{tablet}", 5).await;
    let morphine = house
        .keeps("Morphine 10mg modified-release tablet", "{tablet}", 0)
        .await;
    house
        .prescribed("m1", "Paracetamol 500mg tablet", 2, "tablet")
        .await;
    house
        .prescribed("m2", "Ibuprofen 200mg tablet", 2, "tablet")
        .await;
    house
        .prescribed("m3", "Morphine 10mg modified-release tablet", 1, "tablet")
        .await;
    house
        .plan(&house.doctor, &plan("automatic", "10.00"), 200)
        .await;
    // Whoever set the plan approves nothing of their own by it.
    let own = house.decided(&house.doctor, "dry-run").await;
    assert_eq!(of(&own, &cheap)["action"], "would_ask");

    // Two at once: 6.40 of 10.00 are sent, once; 24.00 are left to a person, once.
    let (one, other) = tokio::join!(
        house.decided(&house.nurse, "run"),
        house.decided(&house.nurse, "run")
    );
    let own = [of(&one, &cheap), of(&other, &cheap)];
    let sent: Vec<&Value> = own
        .iter()
        .filter(|own| own["action"] == "send")
        .map(|own| &own["order"])
        .collect();
    assert!(!sent.is_empty(), "{one:?} {other:?}");
    assert!(sent.iter().all(|own| *own == sent[0]), "{sent:?}");
    let open = house.open().await;
    assert_eq!(open.len(), 2, "{open:?}");
    let order = |item: &str| {
        open.iter()
            .find(|own| own["lines"][0]["item"] == item)
            .unwrap()
    };
    assert_eq!(
        (&order(&cheap)["state"], &order(&cheap)["cost"]),
        (&json!("approved"), &json!("6.40 GBP"))
    );
    assert_eq!(
        (&order(&dear)["state"], &order(&dear)["automatic"]),
        (&json!("draft"), &json!(["over_cap"]))
    );
    assert_eq!(house.work().await, 1);
    assert_eq!(pharmacy.orders().len(), 1);
    assert_eq!(house.shelf(&cheap).await.0, "ordered");
    assert_eq!(house.shelf(&morphine).await.0, "none");
    // What was spent stays spent: the rest of the cap is too little for 5 tablets more of anything.
    house
        .plan(&house.doctor, &plan("automatic", "6.50"), 200)
        .await;
    let fill = house.keeps("Ibuprofen 400mg tablet", "{tablet}", 0).await;
    let found = house.decided(&house.nurse, "run").await;
    assert_eq!(
        of(&found, &fill)["action"],
        "by_hand",
        "no catalogue has it"
    );
    assert_eq!(house.work().await, 0);
    assert_eq!(pharmacy.orders().len(), 1);
    let call = Call::get(format!("{FHIR}/Task?_summary=count")).bearer(&house.doctor);
    assert_eq!(house.server.send(call).await.expect(200).json()["total"], 2);
}
