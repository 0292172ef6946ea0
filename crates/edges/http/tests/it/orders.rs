//! Orders over HTTP, against pharmacies that speak each format: from a draft to what arrived in parts, what
//! goes wrong on the way out, what comes in signed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use app::medicines::orders::round;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect::signature::SigningKey;
use connect::{Client, ClientSettings, EgressPolicy, Limits, MailSecurity, MailSettings, Resolver};
use identity::{Role, SystemTask, system_scope};
use kernel::Clock as _;
use serde_json::{Value, json};
use store::{DocExpected, DocKind, DocWrite};
use testkit::pharmacy::{Pharmacy, html};
use testkit::receiver::Reply;
use testkit::smtp::{MailServer, Manners};
use testkit::tls::TestCertificate;
use uuid::Uuid;

use crate::server::{Answer, Call, ROSEWOOD, TestServer};

pub const API: &str = "/t/rosewood/api/v1";
pub const FHIR: &str = "/t/rosewood/fhir";
const GTIN_CODE: &str = "322236009";

/// Every name is this machine.
struct Local;

#[async_trait::async_trait]
impl Resolver for Local {
    async fn resolve(&self, _: &str, _: u16) -> Vec<IpAddr> {
        vec![IpAddr::from([127, 0, 0, 1])]
    }
}

pub struct House {
    pub server: TestServer,
    pub nurse: String,
    pub doctor: String,
    pub admin: String,
}

impl House {
    pub async fn with(pharmacy: &Pharmacy) -> Self {
        Self::over(&[pharmacy.egress()], None, None).await
    }

    async fn over(
        allow: &[String],
        mail: Option<MailSettings>,
        roots: Option<std::path::PathBuf>,
    ) -> Self {
        let server = TestServer::start().await;
        let settings = ClientSettings {
            policy: EgressPolicy::parse(allow.iter().map(String::as_str)).unwrap(),
            limits: Limits::default(),
            root_certificates: roots,
            mail,
        };
        let client = Client::new(settings, Arc::new(Local), server.clock.clone()).unwrap();
        let _ = server.app.clone().reaching_out(Arc::new(client));
        let program = server.program(ROSEWOOD).await;
        let (north, ward) = server.branch(ROSEWOOD, "north").await;
        for resource in [
            json!({ "resourceType": "Organization", "id": "corner", "name": "Corner pharmacy" }),
            json!({ "resourceType": "Location", "id": "cupboard", "name": "Cupboard, ground floor" }),
            json!({ "resourceType": "Patient", "id": "ada", "birthDate": "1940-12-10", "gender": "female",
                "identifier": [{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9446362962" }],
                "name": [{ "family": "Lovelace", "given": ["Ada"] }], "address": [{ "postalCode": "LS1 1AB" }],
                "managingOrganization": { "reference": format!("Organization/{ward}") } }),
        ] {
            server.put(ROSEWOOD, &program, &resource).await;
        }
        Self {
            nurse: server.person_at(ROSEWOOD, Role::Nurse, north).await,
            doctor: server.person(ROSEWOOD, Role::Doctor).await,
            admin: server.person(ROSEWOOD, Role::Administrator).await,
            server,
        }
    }

    pub async fn post(&self, who: &str, path: &str, body: &Value) -> Answer {
        let call = Call::post(format!("{API}/{path}")).bearer(who).json(body);
        self.server.send(call).await
    }

    pub async fn get(&self, who: &str, path: &str) -> Answer {
        self.server
            .send(Call::get(format!("{API}/{path}")).bearer(who))
            .await
    }

    pub async fn partner(&self, way: &str, address: &str) {
        let mut body = json!({ "name": "Corner pharmacy", "organization": "corner", "way": way,
            "address": address, "active": true });
        if way == "messaging" {
            body["names"] = json!({ "sender": "A1B2C", "receiver": "X26", "pharmacy": "FCP99",
                "prescriberRole": "555086415105", "prescriberName": "Dr Byron", "practice": "A83008" });
        }
        let call = Call::put(format!("{API}/partners/corner")).bearer(&self.admin);
        self.server.send(call.json(&body)).await.expect(200);
    }

    pub async fn sells(&self, products: Value) {
        let call = Call::put(format!("{API}/partners/corner/catalogue")).bearer(&self.admin);
        self.server.send(call.json(&products)).await.expect(200);
    }

    /// A draft of the nurse.
    async fn draft(&self, kind: &str, cycle: &str) -> Value {
        let mut body = json!({ "kind": kind, "partner": "corner", "location": "cupboard", "cycle": cycle,
            "lines": [{ "code": GTIN_CODE, "name": "Paracetamol 500 mg tablets", "unit": "{tablet}", "quantity": "56",
                "packs": { "count": 2, "holds": "28" } }] });
        if kind == "repeat" {
            body["resident"] = json!("ada");
        }
        self.post(&self.nurse, "orders", &body)
            .await
            .expect(201)
            .json()
    }

    pub async fn step(&self, who: &str, id: &str, step: &str, body: &Value) -> Value {
        self.post(who, &format!("orders/{id}/{step}"), body)
            .await
            .expect(200)
            .json()
    }

    /// Drafted by the nurse, approved by the doctor, submitted, and the job ran.
    async fn submitted(&self, kind: &str) -> String {
        let draft = self.draft(kind, "2026-03").await;
        let id = draft["id"].as_str().unwrap().to_owned();
        self.step(&self.doctor, &id, "approve", &json!({})).await;
        self.step(&self.nurse, &id, "submit", &json!({})).await;
        self.work().await;
        id
    }

    pub async fn work(&self) -> u64 {
        Box::pin(round(&self.server.app, Uuid::from_u128(1)))
            .await
            .unwrap()
    }

    pub async fn order(&self, id: &str) -> Value {
        self.get(&self.nurse, &format!("orders/{id}"))
            .await
            .expect(200)
            .json()
    }

    async fn state(&self, id: &str) -> String {
        self.order(id).await["state"].as_str().unwrap().to_owned()
    }

    async fn task(&self, id: &str) -> Value {
        let call = Call::get(format!("{FHIR}/Task/{id}")).bearer(&self.doctor);
        self.server.send(call).await.expect(200).json()
    }

    /// A delivery of 28 tablets.
    async fn arrives(&self, id: &str, note: &str, resident: Option<&str>) -> Value {
        let mut thing = json!({ "item": GTIN_CODE, "label": "Paracetamol 500 mg", "quantity": "28", "lot": note,
            "expiry": "2027-01-31" });
        if let Some(resident) = resident {
            thing["resident"] = json!(resident);
        }
        let body = json!({ "note": note, "things": [thing] });
        self.step(&self.nurse, id, "receive", &body).await
    }

    async fn count(&self, query: &str) -> u64 {
        let call = Call::get(format!("{FHIR}/{query}")).bearer(&self.doctor);
        self.server.send(call).await.expect(200).json()["total"]
            .as_u64()
            .unwrap()
    }

    async fn event(&self, key: &SigningKey, (id, late): (&str, i64), body: &str) -> u16 {
        let now = self.server.clock.now().as_micros() / 1_000_000 - late;
        let call = Call::post(format!("{API}/pharmacy/corner/events"))
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", key.sign(id, now, body.as_bytes()))
            .bytes(body.to_owned());
        self.server.send(call).await.status.as_u16()
    }

    async fn key(&self) -> SigningKey {
        let own = self
            .get(&self.admin, "partners/corner/signing-key")
            .await
            .expect(200)
            .json();
        let text = own["secret"]
            .as_str()
            .unwrap()
            .strip_prefix("whsec_")
            .unwrap()
            .to_owned();
        SigningKey::new(STANDARD.decode(text).unwrap().try_into().unwrap())
    }
}

fn paracetamol() -> Value {
    json!([{ "code": GTIN_CODE, "name": "Paracetamol 500 mg tablets", "unit": "{tablet}", "legal": "general_sale",
        "control": "0000", "packs": [{ "holds": "28", "price": { "amount": "0.80", "currency": "GBP" } }] }])
}

/// Parts arrive, the rest is owed, then the rest arrives; each note counts once.
async fn arrives_in_parts(house: &House, id: &str, resident: Option<&str>) {
    let part = house.arrives(id, "note-1", resident).await;
    assert_eq!(part["state"], "owing", "{part}");
    assert_eq!(part["lines"][0]["arrived"], "28");
    assert_eq!(part["chase"][0]["missing"], "28");
    let chased = house
        .get(&house.nurse, "orders?show=chase")
        .await
        .expect(200)
        .json();
    assert_eq!(chased[0]["id"], *id);
    let again = house.arrives(id, "note-1", resident).await;
    assert_eq!(again["lines"][0]["arrived"], "28", "a note counts once");
    assert_eq!(
        house.task(id).await["businessStatus"]["coding"][0]["code"],
        "owing"
    );
    let rest = house.arrives(id, "note-2", resident).await;
    assert_eq!(rest["state"], "received", "{rest}");
    assert_eq!(rest["lines"][0]["arrived"], "56");
    assert_eq!(house.count("SupplyDelivery?_summary=count").await, 2);
    let closed = house.step(&house.nurse, id, "close", &json!({})).await;
    assert_eq!(closed["state"], "reconciled");
    assert_eq!(house.task(id).await["status"], "completed");
    let done = house
        .get(&house.nurse, "orders?show=done")
        .await
        .expect(200)
        .json();
    assert_eq!(done[0]["id"], *id);
    let open = house.get(&house.nurse, "orders").await.expect(200).json();
    assert_eq!(open, json!([]));
}

#[tokio::test]
async fn goods_are_ordered_by_the_interface_and_arrive_in_parts() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    pharmacy.sells(paracetamol().as_array().unwrap().clone());
    let fetched = house
        .post(&house.nurse, "partners/corner/catalogue", &json!({}))
        .await;
    assert_eq!(fetched.expect(200).json()["products"], 1);
    let draft = house.draft("direct", "2026-03").await;
    let id = draft["id"].as_str().unwrap();
    assert_eq!(
        (&draft["state"], &draft["cost"]),
        (&json!("draft"), &json!("1.60 GBP"))
    );
    // The same again is the same draft; who drafted does not approve; nobody sends a draft.
    assert_eq!(house.draft("direct", "2026-03").await["id"], draft["id"]);
    assert_eq!(house.task(id).await["status"], "draft");
    let own = house
        .post(&house.nurse, &format!("orders/{id}/approve"), &json!({}))
        .await;
    assert!(own.expect(422).text().contains("ask somebody else"));
    house
        .post(&house.nurse, &format!("orders/{id}/submit"), &json!({}))
        .await
        .expect(409);
    assert_eq!(house.work().await, 0);
    house.step(&house.doctor, id, "approve", &json!({})).await;
    // Committed, and the process ends before anything is sent: nothing left, nothing is lost.
    let waiting = house.step(&house.nurse, id, "submit", &json!({})).await;
    assert_eq!(
        (&waiting["state"], &waiting["sending"][0]["what"]),
        (&json!("approved"), &json!("order"))
    );
    assert!(pharmacy.orders().is_empty());
    assert_eq!(house.work().await, 1);
    assert_eq!(house.work().await, 0);
    assert_eq!(house.state(id).await, "acknowledged");
    let held = pharmacy.orders();
    assert_eq!((held.len(), held[0].sent), (1, 1));
    assert_eq!(held[0].body["deliverTo"], "Cupboard, ground floor");
    pharmacy.moves(id, "dispatched");
    let asked = house.step(&house.nurse, id, "status", &json!({})).await;
    assert_eq!(asked["state"], "dispatched");
    arrives_in_parts(&house, id, None).await;
    house.work().await;
    let receipts = &pharmacy.orders()[0].receipts;
    assert_eq!(receipts.len(), 2);
    assert_eq!(receipts[0]["note"], "note-1");
}

#[tokio::test]
async fn a_prescription_is_requested_by_messages_and_notified() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("messaging", &pharmacy.base()).await;
    let id = house.submitted("repeat").await;
    let order = house.order(&id).await;
    assert_eq!(order["state"], "acknowledged", "{order}");
    let number = order["reference"].as_str().unwrap().to_owned();
    pharmacy.moves(&number, "0001");
    let asked = house.step(&house.nurse, &id, "status", &json!({})).await;
    assert_eq!(asked["state"], "prescribed");
    let key = house.key().await;
    let notification = json!({ "resourceType": "Bundle", "type": "message", "identifier": { "value": "m-1" }, "entry": [
        { "resource": { "resourceType": "MessageHeader", "eventCoding": {
            "system": "https://fhir.nhs.uk/CodeSystem/message-event", "code": "dispense-notification" } } },
        { "resource": { "resourceType": "MedicationDispense", "status": "in-progress",
            "contained": [{ "resourceType": "MedicationRequest", "id": "m1", "groupIdentifier": {
                "system": "https://fhir.nhs.uk/Id/prescription-order-number", "value": number } }],
            "authorizingPrescription": [{ "reference": "#m1" }],
            "medicationCodeableConcept": { "coding": [{ "system": "http://snomed.info/sct", "code": GTIN_CODE }] },
            "type": { "coding": [{ "system": "https://fhir.nhs.uk/CodeSystem/medicationdispense-type", "code": "0003" }] },
            "quantity": { "value": 28, "unit": "tablet" }, "whenHandedOver": "2026-03-05T07:00:00Z" } }] })
    .to_string();
    assert_eq!(house.event(&key, ("m-1", 0), &notification).await, 204);
    assert_eq!(house.event(&key, ("m-1", 0), &notification).await, 204);
    assert_eq!(house.state(&id).await, "part_dispensed");
    assert_eq!(
        house
            .count("MedicationDispense?patient=ada&_summary=count")
            .await,
        1
    );
    arrives_in_parts(&house, &id, Some("ada")).await;
}

#[tokio::test]
async fn a_form_goes_by_mail_and_its_answer_is_noted_by_hand() {
    let certificate = TestCertificate::for_names(&["mail.test"]);
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(&certificate, Manners::default());
    let port = server.address().port();
    let mail = MailSettings {
        server: format!("mail.test:{port}"),
        security: MailSecurity::StartTls,
        from: "orders@rosewood.test".to_owned(),
        credentials: None,
        recipients: vec!["*@corner.test".to_owned()],
    };
    let allow = [format!("smtp://mail.test:{port} private")];
    let roots = Some(certificate.write_into(folder.path()));
    let house = House::over(&allow, Some(mail), roots).await;
    house.partner("letter", "orders@corner.test").await;
    house.sells(paracetamol()).await;
    let id = house.submitted("direct").await;
    assert_eq!(house.state(&id).await, "submitted");
    assert_eq!(server.wait_for(1).len(), 1);
    house
        .post(&house.nurse, &format!("orders/{id}/status"), &json!({}))
        .await
        .expect(422);
    let said = json!({ "state": "acknowledged", "note": "Jo rang: Thursday" });
    let noted = house.step(&house.nurse, &id, "report", &said).await;
    assert_eq!(noted["said"][0], "Jo rang: Thursday");
    let ours = json!({ "state": "received" });
    house
        .post(&house.nurse, &format!("orders/{id}/report"), &ours)
        .await
        .expect(422);
    arrives_in_parts(&house, &id, None).await;
}

#[tokio::test]
async fn what_needs_a_prescription_is_not_bought() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    let body = |code: &str| {
        json!({ "kind": "direct", "partner": "corner", "location": "cupboard", "cycle": "2026-03",
        "lines": [{ "code": code, "name": "Something", "unit": "{tablet}", "quantity": "28" }] })
    };
    let mut products = paracetamol();
    products.as_array_mut().unwrap().extend([
        json!({ "code": "1", "name": "Amoxicillin 500 mg capsules", "unit": "{capsule}", "legal": "prescription_only",
            "control": "0000", "packs": [] }),
        json!({ "code": "2", "name": "Morphine 10 mg tablets", "unit": "{tablet}", "legal": "pharmacy",
            "control": "0002", "packs": [] }),
        json!({ "code": "3", "name": "Odd drops", "unit": "{drop}", "control": "0000", "packs": [] }),
    ]);
    house.sells(products).await;
    for (code, word) in [
        ("1", "needs a prescription"),
        ("2", "controlled drug"),
        ("3", "is not known"),
        ("4", "is not known"),
    ] {
        let mut body = body(code);
        body["lines"][0].as_object_mut().unwrap().remove("unit");
        if code == "4" {
            body["lines"][0]["unit"] = json!("{tablet}");
        }
        let refused = house
            .post(&house.nurse, "orders", &body)
            .await
            .expect(422)
            .text();
        assert!(refused.contains(word), "{code}: {refused}");
    }
    let desk = house.server.person(ROSEWOOD, Role::Receptionist).await;
    house
        .post(&desk, "orders", &body(GTIN_CODE))
        .await
        .expect(403);
    // A carer drafts, and approves nothing; who does not reach the resident does not see the order.
    let (_, _) = house.server.branch(ROSEWOOD, "south").await;
    let (south, _) = house.server.branch(ROSEWOOD, "west").await;
    let carer = house.server.person_at(ROSEWOOD, Role::Carer, south).await;
    let id = house.draft("repeat", "2026-04").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    house
        .post(&carer, &format!("orders/{id}/approve"), &json!({}))
        .await
        .expect(403);
    house.get(&carer, &format!("orders/{id}")).await.expect(404);
    assert_eq!(
        house.get(&carer, "orders").await.expect(200).json(),
        json!([])
    );
}

#[tokio::test]
async fn nothing_is_lost_or_sent_twice_whatever_is_answered() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    house.sells(paracetamol()).await;
    let draft = house.draft("direct", "2026-03").await;
    let id = draft["id"].as_str().unwrap();
    house.step(&house.doctor, id, "approve", &json!({})).await;
    house.step(&house.nurse, id, "submit", &json!({})).await;
    // It was taken there, but a page came back: the order waits, and says that it may have arrived.
    pharmacy.next_after_work(html(200));
    assert_eq!(house.work().await, 1);
    assert_eq!(house.work().await, 0, "not before its time");
    let order = house.order(id).await;
    assert_eq!(order["state"], "approved");
    let sending = &order["sending"][0];
    assert_eq!(
        (&sending["attempts"], &sending["unknown"]),
        (&json!(1), &json!(true))
    );
    assert!(
        sending["error"]
            .as_str()
            .unwrap()
            .contains("something else"),
        "{sending}"
    );
    let busy = Reply::status(429).with("retry-after", "60");
    pharmacy.next(busy);
    house.server.clock.advance(5);
    assert_eq!(house.work().await, 1);
    house.server.clock.advance(30);
    assert_eq!(house.work().await, 0, "it asked for a minute");
    house.server.clock.advance(60);
    assert_eq!(house.work().await, 1);
    assert_eq!(house.state(id).await, "acknowledged");
    let held = pharmacy.orders();
    assert_eq!(
        (held.len(), held[0].sent),
        (1, 2),
        "the same key, one order"
    );
    // What they refuse is rejected, with their words.
    let mut no = Reply::status(422);
    no.body = br#"{"title":"no","detail":"out of stock"}"#.to_vec();
    pharmacy.next(no);
    let second = house.draft("direct", "2026-04").await;
    let second = second["id"].as_str().unwrap();
    house
        .step(&house.doctor, second, "approve", &json!({}))
        .await;
    house.step(&house.nurse, second, "submit", &json!({})).await;
    house.work().await;
    let order = house.order(second).await;
    assert_eq!(
        (&order["state"], &order["said"][0]),
        (&json!("rejected"), &json!("out of stock"))
    );
}

#[tokio::test]
async fn orders_are_called_off_here_or_there() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    house.sells(paracetamol()).await;
    let why = json!({ "reason": "ordered twice" });
    let draft = house.draft("direct", "2026-03").await;
    let draft = draft["id"].as_str().unwrap();
    house
        .post(
            &house.nurse,
            &format!("orders/{draft}/cancel"),
            &json!({ "reason": " " }),
        )
        .await
        .expect(422);
    assert_eq!(
        house.step(&house.nurse, draft, "cancel", &why).await["state"],
        "cancelled"
    );
    house
        .post(
            &house.doctor,
            &format!("orders/{draft}/approve"),
            &json!({}),
        )
        .await
        .expect(409);
    // A new attempt is another order with another key.
    let id = {
        let body = json!({ "kind": "direct", "partner": "corner", "location": "cupboard", "cycle": "2026-03", "attempt": 1,
            "lines": [{ "code": GTIN_CODE, "quantity": "56" }] });
        let made = house
            .post(&house.nurse, "orders", &body)
            .await
            .expect(201)
            .json();
        made["id"].as_str().unwrap().to_owned()
    };
    house.step(&house.doctor, &id, "approve", &json!({})).await;
    house.step(&house.nurse, &id, "submit", &json!({})).await;
    house.work().await;
    let asked = house.step(&house.nurse, &id, "cancel", &why).await;
    assert_eq!(asked["state"], "acknowledged", "they are asked first");
    pharmacy.moves(&id, "dispatched");
    house.work().await;
    let order = house.order(&id).await;
    assert_eq!(order["state"], "acknowledged");
    assert!(
        order["said"].to_string().contains("it is on its way"),
        "{order}"
    );
    pharmacy.moves(&id, "acknowledged");
    house.step(&house.nurse, &id, "cancel", &why).await;
    house.work().await;
    assert_eq!(house.state(&id).await, "cancelled");
    assert_eq!(pharmacy.orders()[0].state, "cancelled");
}

#[tokio::test]
async fn events_are_signed_fresh_and_of_their_own_orders() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    house.sells(paracetamol()).await;
    let id = house.submitted("direct").await;
    let key = house.key().await;
    let event = |state: &str| {
        json!({ "order": id, "state": state, "at": "2026-03-05T07:30:00Z" }).to_string()
    };
    let forged = SigningKey::new([1; 32]);
    assert_eq!(
        house.event(&forged, ("e-1", 0), &event("dispatched")).await,
        401
    );
    assert_eq!(
        house.event(&key, ("e-1", 400), &event("dispatched")).await,
        401
    );
    assert_eq!(house.event(&key, ("e-1", 0), "<html>").await, 400);
    assert_eq!(house.event(&key, ("e-1", 0), &event("received")).await, 422);
    let other = event("dispatched").replace(&id, "00000000-0000-4000-8000-000000000000");
    assert_eq!(house.event(&key, ("e-1", 0), &other).await, 404);
    assert_eq!(house.state(&id).await, "acknowledged");
    assert_eq!(
        house
            .event(&key, ("e-1", 0), &event("with_dispenser"))
            .await,
        204
    );
    assert_eq!(house.state(&id).await, "with_dispenser");
    // The same id says the same for ever; an older report changes nothing; lines say the state.
    assert_eq!(
        house.event(&key, ("e-1", 0), &event("dispatched")).await,
        204
    );
    assert_eq!(house.state(&id).await, "with_dispenser");
    assert_eq!(
        house.event(&key, ("e-2", 0), &event("acknowledged")).await,
        204
    );
    assert_eq!(house.state(&id).await, "with_dispenser");
    let lines = json!({ "order": id, "at": "2026-03-05T07:30:00Z",
        "lines": [{ "item": GTIN_CODE, "dispensed": "0001", "quantity": "56" }] });
    assert_eq!(house.event(&key, ("e-3", 0), &lines.to_string()).await, 204);
    assert_eq!(house.state(&id).await, "dispatched");
}

#[tokio::test]
async fn a_process_that_dies_while_it_sends_orders_nothing_twice() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    house.sells(paracetamol()).await;
    let draft = house.draft("direct", "2026-03").await;
    let id = draft["id"].as_str().unwrap();
    house.step(&house.doctor, id, "approve", &json!({})).await;
    house.step(&house.nurse, id, "submit", &json!({})).await;
    // The pharmacy took it and is slow to say so; the process ends while it waits.
    pharmacy.next_after_work(Reply::status(200).after(Duration::from_secs(5)));
    let dies = tokio::time::timeout(Duration::from_millis(500), house.work()).await;
    assert!(dies.is_err(), "it waits for the answer");
    assert_eq!(pharmacy.orders().len(), 1);
    let order = house.order(id).await;
    assert_eq!(
        (&order["state"], &order["sending"][0]["attempts"]),
        (&json!("approved"), &json!(1))
    );
    // Nobody knows that it died: another process waits until the claim is over, and then sends the same.
    let other = Box::pin(round(&house.server.app, Uuid::from_u128(2)));
    assert_eq!(other.await.unwrap(), 0);
    house.server.clock.advance(61);
    let other = Box::pin(round(&house.server.app, Uuid::from_u128(2)));
    assert_eq!(other.await.unwrap(), 1);
    assert_eq!(house.state(id).await, "acknowledged");
    let held = pharmacy.orders();
    assert_eq!((held.len(), held[0].sent), (1, 2));
}

#[tokio::test]
async fn a_partners_key_is_changed_and_its_messages_end_with_it() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    house.sells(paracetamol()).await;
    let id = house.submitted("direct").await;
    let old = house.key().await;
    let event = |state: &str| {
        json!({ "order": id, "state": state, "at": "2026-03-05T07:30:00Z" }).to_string()
    };
    let nothing = json!({});
    house
        .post(&house.nurse, "partners/corner/signing-key", &nothing)
        .await
        .expect(403);
    let shown = house
        .post(&house.admin, "partners/corner/signing-key", &nothing)
        .await
        .expect(200)
        .json();
    assert!(shown["secret"].as_str().unwrap().starts_with("whsec_"));
    let packed = event("with_dispenser");
    assert_eq!(house.event(&old, ("e-1", 0), &packed).await, 401);
    let key = house.key().await;
    assert_eq!(house.event(&key, ("e-1", 0), &packed).await, 204);
    // Whoever is no partner any more says nothing about orders.
    let body = json!({ "name": "Corner pharmacy", "organization": "corner", "way": "api",
        "address": pharmacy.base(), "active": false });
    let call = Call::put(format!("{API}/partners/corner")).bearer(&house.admin);
    house.server.send(call.json(&body)).await.expect(200);
    let gone = event("dispatched");
    assert_eq!(house.event(&key, ("e-2", 0), &gone).await, 401);
    assert_eq!(house.state(&id).await, "with_dispenser");
}

#[tokio::test]
async fn messages_that_cannot_be_sent_hide_no_others() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    house.sells(paracetamol()).await;
    let store = &house.server.store;
    // More than one look takes, before every order by their ids, and no one can be read.
    for tenant in store.tenants().await.unwrap() {
        let scope = system_scope(tenant, SystemTask::Jobs);
        let write = |number: u32| DocWrite {
            kind: DocKind::PharmacyMessage,
            id: format!("out/00000000-{number:04}/order"),
            expected: DocExpected::Absent,
            body: Some(b"{}".to_vec()),
            time: house.server.clock.now(),
            expires: None,
            lookups: Vec::new(),
        };
        let broken: Vec<DocWrite> = (0..250).map(write).collect();
        store.operate(&scope, broken).await.unwrap();
    }
    let id = house.submitted("direct").await;
    assert_eq!(house.state(&id).await, "acknowledged");
    assert_eq!(pharmacy.orders().len(), 1);
}
