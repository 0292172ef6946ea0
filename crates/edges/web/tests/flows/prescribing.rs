//! Prescribing through forms alone: what interrupts, who signs, what is refused before anything is stored.

#![expect(
    clippy::too_many_lines,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use std::sync::Arc;
use std::time::Duration;

use app::cds_hooks::external::{self, HookService};
use connect::{Client, ClientSettings, EgressPolicy, Limits, SystemResolver};
use kernel::Clock;
use serde_json::json;
use testkit::cds::{self, CdsService};
use testkit::receiver::Reply;

use crate::browser::{Answer, Browser};
use crate::house::House;

const LIST: &str = "/t/ash/patients/ash-p1/medicines";

struct Writing {
    fields: Vec<(String, String)>,
}

impl Writing {
    fn of(medicine: &str) -> Self {
        let fields = [
            ("medicine", medicine),
            ("steps", "1"),
            ("dose-1", "1"),
            ("unit-1", "{tablet}"),
            ("how-1", "daily"),
            ("number-1", "1"),
            ("route", "26643006"),
        ];
        Self {
            fields: fields.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec(),
        }
    }
    fn set(&mut self, name: &str, value: &str) {
        self.fields.retain(|(own, _)| own != name);
        self.fields.push((name.to_owned(), value.to_owned()));
    }
    /// Sends it, and carries on what the page answered.
    async fn send(&mut self, browser: &mut Browser, wanted: &str) -> Answer {
        let new = format!("{LIST}/new");
        if !self.fields.iter().any(|(name, _)| name == "csrf") {
            let medicine = self.fields[0].1.replace(' ', "+");
            let form = browser.get(&format!("{new}?medicine={medicine}")).await;
            assert_eq!(form.status, 200, "{}", form.body);
            self.set("csrf", &form.hidden("csrf"));
            self.set("key", &form.hidden("key"));
        }
        self.set("do", wanted);
        let answer = browser.post(&new, &order_fields(&self.fields)).await;
        self.set("seen", &answer.hidden("seen"));
        for number in 0..10 {
            let name = format!("alert-{number}");
            let fingerprint = answer.hidden(&name);
            if !fingerprint.is_empty() {
                self.set(&name, &fingerprint);
            }
        }
        answer
    }
}

fn order_fields(carried: &[(String, String)]) -> Vec<(&str, &str)> {
    carried
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

async fn put(house: &House, body: &serde_json::Value) {
    let doctor = house.caller("ash", "doctor").await;
    house.put(&doctor, body).await;
}

fn on_board(name: &str) -> serde_json::Value {
    json!({ "resourceType": "MedicationRequest", "id": "board", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/ash-p1"}, "authoredOn": "2025-01-01T08:00:00Z",
        "medicationCodeableConcept": {"text": name},
        "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warfarin_beside_an_nsaid_wants_a_reason() {
    let house = House::build().await;
    put(&house, &on_board("Ibuprofen 400mg tablet")).await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let found = doctor.get(&format!("{LIST}/new?q=warf")).await;
    assert!(
        found.body.contains("medicine=Warfarin%201mg%20tablet"),
        "{}",
        found.body
    );
    let mut own = Writing::of("Warfarin 1mg tablet");
    // Not shown yet: nothing is prescribed unseen.
    let unseen = own.send(&mut doctor, "prescribe").await;
    assert!(
        unseen.status == 422 && unseen.body.contains("The order was not stored yet"),
        "{}",
        unseen.body
    );
    for part in [
        "1 tablet by mouth once a day.",
        "Warfarin 1mg tablet",
        "Ibuprofen 400mg tablet with Warfarin 1mg tablet",
        "tag tag-warn\">High",
        "To go on, give a reason.",
        "Not checked",
    ] {
        assert!(unseen.body.contains(part), "{part}: {}", unseen.body);
    }
    let bare = own.send(&mut doctor, "prescribe").await;
    assert!(
        bare.status == 422 && bare.body.contains("Give a coded reason to go on"),
        "{}",
        bare.body
    );
    let alert = (0..10).find(|at| {
        own.fields
            .iter()
            .any(|(name, _)| *name == format!("alert-{at}"))
    });
    own.set(&format!("reason-{}", alert.unwrap()), "other");
    let words = own.send(&mut doctor, "prescribe").await;
    assert!(
        words.status == 422 && words.body.contains("needs words"),
        "{}",
        words.body
    );
    own.set(&format!("reason-{}", alert.unwrap()), "monitored");
    let done = own.send(&mut doctor, "prescribe").await;
    assert_eq!(done.status, 303, "{}", done.body);
    let list = doctor.get(done.location()).await;
    for part in [
        "The medicine was prescribed.",
        "Answered: It is watched by tests or observation",
        "doctor ashcanary",
    ] {
        assert!(list.body.contains(part), "{part}: {}", list.body);
    }
    // The same form sent again prescribes nothing more.
    let before = list.body.matches("id=\"MedicationRequest-").count();
    let again = own.send(&mut doctor, "prescribe").await;
    let list = doctor.get(LIST).await;
    assert_eq!(
        list.body.matches("id=\"MedicationRequest-").count(),
        before,
        "{}",
        again.status
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_penicillin_allergy_wants_two_people() {
    let house = House::build().await;
    let allergy = json!({"resourceType": "AllergyIntolerance", "id": "pen", "patient": {"reference": "Patient/ash-p1"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "764146007"}], "text": "Penicillin"}});
    put(&house, &allergy).await;
    house
        .user(
            "ash",
            "pharmacist",
            identity::RoleAssignment::of(identity::Role::Pharmacist),
        )
        .await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let mut own = Writing::of("Amoxicillin 500mg capsule");
    own.set("unit-1", "{capsule}");
    let shown = own.send(&mut doctor, "check").await;
    assert!(
        shown.body.contains("tag tag-bad\">Contraindicated")
            && shown.body.contains("This waits for a second person."),
        "{}",
        shown.body
    );
    for at in 0..10 {
        if own
            .fields
            .iter()
            .any(|(name, _)| *name == format!("alert-{at}"))
        {
            own.set(&format!("reason-{at}"), "specialist-advice");
            own.set(&format!("text-{at}"), "desensitised in 2024");
        }
    }
    let done = own.send(&mut doctor, "prescribe").await;
    assert_eq!(done.status, 303, "{}", done.body);
    let list = doctor.get(done.location()).await;
    assert!(
        list.body.contains("waits for a second person")
            && list.body.contains("Not signed yet: not to be given"),
        "{}",
        list.body
    );
    let sign = list.body.split("href=\"").find_map(|part| {
        let href = part.split('"').next()?;
        href.ends_with("/countersign").then(|| href.to_owned())
    });
    let sign = sign.unwrap();
    let own_hand = doctor.submit(&sign, &sign, &[]).await;
    assert!(
        own_hand.status == 422 && own_hand.body.contains("second person is the first"),
        "{}: {}",
        own_hand.status,
        own_hand.body
    );
    let mut pharmacist = house.signed_in("ash", "pharmacist").await;
    let home = pharmacist.get("/t/ash/medicines").await;
    assert!(home.body.contains(&sign), "{}", home.body);
    let page = pharmacist.get(&sign).await;
    for part in [
        "desensitised in 2024",
        "Contraindicated",
        "doctor ashcanary",
        "I agree: sign",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let signed = pharmacist.submit(&sign, &sign, &[]).await;
    assert_eq!(signed.status, 303, "{}", signed.body);
    let list = pharmacist.get(LIST).await;
    assert!(!list.body.contains("Not signed yet"), "{}", list.body);
    let home = pharmacist.get("/t/ash/medicines").await;
    assert!(
        home.body.contains("No order waits for a second person."),
        "{}",
        home.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_misread_is_refused_at_its_field() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    for (name, typed, words) in [
        ("dose-1", "5.0", "5.0 is misread as 50: write 5"),
        ("dose-1", ".5", "write 0.5"),
        ("dose-1", "500mg", "choose the unit"),
        ("dose-1", "-1", "below zero"),
        ("unit-1", "", "Choose the unit of the dose"),
        ("start", "05/03/2026", "month in letters"),
        ("until", "01-Jan-2020", ""),
    ] {
        let mut own = Writing::of("Ramipril 5mg capsule");
        own.set(name, typed);
        if name == "until" {
            own.set("start", "02-Jan-2020");
        }
        let answer = own.send(&mut doctor, "prescribe").await;
        assert!(
            answer.status == 422
                && answer.body.contains(words)
                && answer.body.contains("error-summary"),
            "{name} {typed}: {}",
            answer.body
        );
    }
    let list = doctor.get(LIST).await;
    assert!(!list.body.contains("ramipril"), "{}", list.body);
    // A taper: one more step, kept through the form.
    let mut own = Writing::of("Prednisolone 5mg tablet");
    own.set("length-1", "5");
    let more = own.send(&mut doctor, "add").await;
    assert!(
        more.status == 200
            && more.body.contains("Step 2 of 2")
            && more.body.contains("id=\"dose-2\""),
        "{}",
        more.body
    );
    own.set("steps", "2");
    own.set("dose-2", "0.5");
    own.set("unit-2", "{tablet}");
    own.set("how-2", "daily");
    own.set("number-2", "1");
    let shown = own.send(&mut doctor, "check").await;
    assert!(shown.body.contains("Then: 0.5"), "{}", shown.body);
}

/// What no source knows is visibly not checked, and the fragment that scripts ask for says the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_knows_is_not_checked() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let mut own = Writing::of("Magic drops");
    let shown = own.send(&mut doctor, "check").await;
    assert!(
        shown.status == 200
            && shown.body.contains("In no list: it may not be checked")
            && shown
                .body
                .contains("Magic drops is not known here: nothing was checked for it."),
        "{}",
        shown.body
    );
    let preview = format!("{LIST}/new/preview");
    let fragment = doctor.post(&preview, &order_fields(&own.fields)).await;
    assert_eq!(fragment.status, 200);
    assert!(
        fragment
            .body
            .starts_with("<input type=\"hidden\" name=\"seen\"")
            && fragment.body.contains("nothing was checked for it")
            && !fragment.body.contains("<html"),
        "{}",
        fragment.body
    );
    // Without the token of the form nothing is answered.
    own.set("csrf", "forged");
    assert!(
        doctor
            .post(&preview, &order_fields(&own.fields))
            .await
            .status
            >= 400
    );
    let mut nurse = house.signed_in("ash", "nurse").await;
    assert_eq!(nurse.get(&format!("{LIST}/new")).await.status, 404);
}

/// A change begins with what is ordered, and the new order takes the place of the old one in one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_begins_with_what_is_ordered_and_replaces_it() {
    let house = House::build().await;
    let mut before = on_board("Paracetamol 500mg tablet");
    before["reasonCode"] = json!([{ "text": "Pain" }]);
    before["note"] = json!([{ "text": "As her daughter asked" }]);
    before["dosageInstruction"] = json!([{
        "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006" }] },
        "timing": { "repeat": { "timeOfDay": ["08:00:00", "20:00:00"] } },
        "doseAndRate": [{ "doseQuantity": { "value": 2, "unit": "tablets" } }],
    }]);
    put(&house, &before).await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let list = doctor.get(LIST).await;
    let change = format!("{LIST}/new?replaces=board");
    for part in [
        change.as_str(),
        "/t/ash/medicines/round/ash-p1",
        "medicines/chart\"",
        "medicines/papers\"",
    ] {
        assert!(list.body.contains(part), "{part}: {}", list.body);
    }
    let form = doctor.get(&change).await;
    assert_eq!(form.status, 200, "{}", form.body);
    for part in [
        "In the place of",
        "Paracetamol 500mg tablet: 2 tablets by mouth every day at 08:00 and 20:00.",
        "The form has no place for: its note.",
        "name=\"dose-1\" type=\"text\" value=\"2\"",
        "name=\"times-1\" type=\"text\" value=\"08:00, 20:00\"",
        "name=\"indication\" type=\"text\" value=\"Pain\"",
        "2 tablets by mouth twice a day at 08:00 and 20:00.",
    ] {
        assert!(form.body.contains(part), "{part}: {}", form.body);
    }
    // Another product is chosen with what it replaces, and begins empty.
    let other = doctor.get(&format!("{change}&other=yes&q=ibuprofen")).await;
    assert!(other.body.contains("replaces=board"), "{}", other.body);
    let fresh = format!("{change}&medicine=Ibuprofen+400mg+tablet");
    let fresh = doctor.get(&fresh).await;
    assert!(
        fresh.body.contains("Nothing of it is filled in"),
        "{}",
        fresh.body
    );
    assert!(
        !fresh
            .body
            .contains("name=\"dose-1\" type=\"text\" value=\"2\"")
    );
    // Half the dose, and it is done.
    let mut own = Writing::of("Paracetamol 500mg tablet");
    own.set("replaces", "board");
    own.set("how-1", "times");
    own.set("number-1", "");
    own.set("times-1", "08:00, 20:00");
    own.send(&mut doctor, "check").await;
    let done = own.send(&mut doctor, "prescribe").await;
    assert_eq!(done.status, 303, "{}", done.body);
    let old = doctor.get("/t/ash/records/MedicationRequest/board").await;
    assert!(
        old.body.contains("Replaced by another order"),
        "{}",
        old.body
    );
    let list = doctor.get(done.location()).await;
    assert!(list.body.contains("1 tablet"), "{}", list.body);
    // Somebody else's order is not there.
    let foreign = doctor
        .get("/t/ash/patients/ash-p2/medicines/new?replaces=board")
        .await;
    assert_eq!(foreign.status, 404, "{}", foreign.body);
}

/// The house may call this address from now on.
fn reaching(house: &House, base: &str) {
    let settings = ClientSettings {
        policy: EgressPolicy::parse([format!("{base} private").as_str()]).unwrap(),
        limits: Limits::default(),
        root_certificates: None,
        mail: None,
    };
    let clock: Arc<dyn Clock> = house.clock.clone();
    let client = Client::new(settings, Arc::new(SystemResolver), clock).unwrap();
    let _ = house.app.clone().reaching_out(Arc::new(client));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cards_of_a_service_elsewhere_stand_beside_the_checks() {
    let house = House::build().await;
    let mut problem = json!({ "resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/ash-p1"} });
    problem["code"] = json!({ "text": "Chronic kidney disease" });
    put(&house, &problem).await;
    let detail = "Look at the **creatinine**\n\n<script>x</script>";
    let mut card = cds::card("critical", "Too much for these kidneys");
    card["detail"] = json!(detail);
    let elsewhere = CdsService::start("order-sign", &[cds::card("info", "A leaflet"), card]);
    reaching(&house, &elsewhere.base());
    let admin = house.caller("ash", "admin").await;
    let mut registered = HookService {
        id: "renal".to_owned(),
        name: "Renal advice".to_owned(),
        base: elsewhere.base(),
        service: "renal".to_owned(),
        budget_ms: 1_000,
        secret: None,
        active: true,
        hook: String::new(),
        prefetch: Vec::new(),
    };
    for (change, why) in [
        (
            HookService {
                base: "https://other.example.org".to_owned(),
                ..registered.clone()
            },
            "egress",
        ),
        (
            HookService {
                service: "other".to_owned(),
                ..registered.clone()
            },
            "no service of this id",
        ),
        (
            HookService {
                budget_ms: 9_000,
                ..registered.clone()
            },
            "milliseconds",
        ),
        (
            HookService {
                id: "Re nal".to_owned(),
                ..registered.clone()
            },
            "lower-case",
        ),
    ] {
        let refused = external::put(&house.app, &admin, change).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let made = external::put(&house.app, &admin, registered.clone())
        .await
        .unwrap();
    assert_eq!((made.hook.as_str(), made.prefetch.len()), ("order-sign", 3));
    let mut doctor = house.signed_in("ash", "doctor").await;
    let mut order = Writing::of("Ramipril 5mg capsule");
    let shown = order.send(&mut doctor, "check").await;
    for part in [
        "Advice of other services",
        "Renal advice",
        "Too much for these kidneys",
        "A leaflet",
        "Renal team",
        "&#60;script&#62;",
    ] {
        assert!(shown.body.contains(part), "{part}: {}", shown.body);
    }
    assert!(shown.body.find("Too much for").unwrap() < shown.body.find("A leaflet").unwrap());
    // The same question is asked once.
    order.send(&mut doctor, "check").await;
    let calls = elsewhere.calls();
    assert_eq!(calls.len(), 1);
    let sent = &calls[0]["prefetch"];
    assert_eq!(sent["patient"]["id"], "ash-p1");
    assert_eq!(sent["problems"]["entry"][0]["resource"]["id"], "c1");
    // What does not answer, or not in its time, is said.
    let mut other = Writing::of("Paracetamol 500mg tablet");
    elsewhere.answers(Reply::status(500));
    let shown = other.send(&mut doctor, "check").await;
    assert!(
        shown
            .body
            .contains("<strong>Not checked:</strong> It did not answer: it answered 500."),
        "{}",
        shown.body
    );
    elsewhere.answers(Reply::status(200).after(Duration::from_secs(3)));
    let mut third = Writing::of("Amlodipine 5mg tablet");
    let shown = third.send(&mut doctor, "check").await;
    assert!(
        shown.body.contains("<strong>Not checked:</strong>"),
        "{}",
        shown.body
    );
    elsewhere.shows(&[]);
    let mut fourth = Writing::of("Bisoprolol 5mg tablet");
    let shown = fourth.send(&mut doctor, "check").await;
    assert!(shown.body.contains("It has no advice."), "{}", shown.body);
    registered.active = false;
    external::put(&house.app, &admin, registered).await.unwrap();
    let shown = fourth.send(&mut doctor, "check").await;
    assert!(!shown.body.contains("Renal advice"));
}
