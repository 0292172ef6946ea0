//! Rounds in a real browser: two devices without a network that give the same dose, a controlled drug with
//! a witness, a dose too early, and one ingredient in two products over midnight.

#![expect(
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its house is built in one go"
)]

use app::medicines::give::{Dose, give};
use app::medicines::register::Signing;
use app::medicines::stock::From;
use app::record::search::{SearchRequest, search};
use identity::{Role, RoleAssignment};
use kernel::Timestamp;
use medication::administration::{How, Outcome, Right, Verified};
use serde_json::{Value, json};
use testkit::browser::{Browser, Device, Page};
use testkit::clock::FixedClock;
use testkit::peers::required;

use crate::house::{House, PASSWORD};

pub fn order(id: &str, name: &str, dosage: &Value) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": name }, "subject": { "reference": "Patient/p1" },
        "authoredOn": "2026-03-01T00:00:00Z", "dosageInstruction": [dosage],
    })
}

pub fn at(times: &[&str], tablets: u32) -> Value {
    json!({
        "timing": { "repeat": { "timeOfDay": times } },
        "doseAndRate": [{ "doseQuantity": { "value": tablets, "unit": "tablet" } }],
    })
}

fn needed() -> Value {
    json!({
        "asNeededCodeableConcept": { "text": "pain" },
        "timing": { "repeat": { "frequency": 1, "period": 4, "periodUnit": "h" } },
        "doseAndRate": [{ "doseQuantity": { "value": 2, "unit": "tablet" } }],
        "maxDosePerPeriod": { "numerator": { "value": 8, "unit": "tablet" },
            "denominator": { "value": 1, "system": "http://unitsofmeasure.org", "code": "d" } },
    })
}

/// A resident of 70 kg without allergies in room 4, with these orders.
pub async fn home(now: Timestamp, orders: &[Value]) -> House {
    let house = House::start_at(now).await;
    let ward = format!("Organization/{}", house.ward);
    for resource in [
        json!({ "resourceType": "Patient", "id": "p1", "birthDate": "1941-03-05",
            "name": [{ "family": "Ashworth", "given": ["Edith"] }],
            "managingOrganization": { "reference": ward } }),
        json!({ "resourceType": "AllergyIntolerance", "id": "none", "patient": { "reference": "Patient/p1" },
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
            "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] } }),
        json!({ "resourceType": "Observation", "id": "weight", "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "29463-7" }] },
            "subject": { "reference": "Patient/p1" }, "effectiveDateTime": "2026-03-01T08:00:00Z",
            "valueQuantity": { "value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg" } }),
        json!({ "resourceType": "Encounter", "id": "stay", "status": "in-progress",
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
            "subject": { "reference": "Patient/p1" }, "location": [{ "location": { "display": "Room 4" } }] }),
    ]
    .iter()
    .chain(orders)
    {
        house.put(resource).await;
    }
    house
}

pub async fn found(house: &House, ty: &str) -> Vec<Value> {
    let doctor = house.caller("doctor").await;
    let request = SearchRequest {
        ty: house.app.definitions().resource(ty).unwrap(),
        params: vec![("patient".to_owned(), "Patient/p1".to_owned())],
        lenient: false,
    };
    let found = search(&house.app, &doctor, &request).await.unwrap();
    let bodies = found.matches.into_iter().map(|own| own.body.unwrap());
    bodies
        .map(|own| serde_json::from_slice(&own).unwrap())
        .collect()
}

pub async fn taken_along(house: &House, device: &Device, name: &str) -> Page {
    device.clock_ahead(house.shift());
    let page = house.signed_in(device, name, "/medicines/round").await;
    page.wait_for_text("ASHWORTH, Edith").await;
    page.follow("a[href$='/medicines/round/device']").await;
    page.wait_until(
        "the page to be kept",
        "document.body.dataset.kept === 'yes'",
    )
    .await;
    page.click("#round-steps button").await;
    page.wait_for_text("Round for 1 patient").await;
    page
}

/// Fills the first form of the device and records.
pub async fn given_on(page: &Page) {
    page.click("#round-people summary").await;
    for right in ["resident", "medicine", "dose", "route", "time", "decline"] {
        page.click(&format!("#p0-0-{right}")).await;
    }
    page.click("#round-people form button").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_without_a_network_give_the_same_dose() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let orders = [order(
        "fixed",
        "Paracetamol 500mg tablet",
        &at(&["08:00:00", "20:00:00"], 2),
    )];
    let house = home(FixedClock::START, &orders).await;
    let (phone, tablet) = (
        browser.device(390, 844).await,
        browser.device(768, 1024).await,
    );
    let one = taken_along(&house, &phone, "nurse").await;
    let other = taken_along(&house, &tablet, "carer").await;
    for (device, page) in [(&phone, &one), (&tablet, &other)] {
        device.offline(true).await;
        // The page comes from what the device keeps, with what it holds.
        page.reload().await;
        page.wait_for_text("No network.").await;
        // Without a network whoever records says that the round is theirs.
        assert!(!page.has("#round-people section").await);
        page.click("#round-gate button").await;
        page.wait_for("#round-people summary").await;
        given_on(page).await;
        page.wait_for_text("1 dose waits to be sent.").await;
        assert!(found(&house, "MedicationAdministration").await.len() < 2);
    }
    // Recorded once on a device, it is not offered there again.
    assert!(!one.has("#p0-0-outcome").await);
    phone.offline(false).await;
    one.wait_for_text("Everything is sent.").await;
    tablet.offline(false).await;
    other.wait_for_text("Possible double dose").await;
    other.wait_for_text("Everything is sent.").await;
    // What is to be looked at stays until somebody says so, also when the page is opened anew.
    other.reload().await;
    other.wait_for_text("1 to look at.").await;
    other.wait_for_text("Possible double dose").await;
    other.click("#round-people .round-line button").await;
    other
        .wait_until(
            "the words to be gone",
            "!document.body.innerText.includes('Possible double dose')",
        )
        .await;
    // It is on the record, and stays recorded here while the round is.
    assert!(!other.has("#p0-0-outcome").await);
    let records = found(&house, "MedicationAdministration").await;
    assert_eq!(records.len(), 2, "both are kept");
    for ty in ["DetectedIssue", "Task"] {
        let all = found(&house, ty).await;
        let double = |own: &&Value| own["code"]["coding"][0]["code"] == "possible-double-dose";
        assert_eq!(all.iter().filter(double).count(), 1, "{all:?}");
    }
    // Somebody must look: the handover says it first.
    house.clock.advance(600);
    other
        .go(&house.address("/t/rosewood/medicines/handover"))
        .await;
    other.wait_for_text("Possible double dose").await;
    // Who signs out leaves no round behind.
    one.follow("a[href$='/medicines/round']").await;
    one.follow("form[action$='/sign-out'] button").await;
    one.wait_until(
        "the round to be gone",
        "new Promise((done) => { const asked = indexedDB.open('theriac-round-rosewood'); asked.onsuccess = () => { const all = asked.result.transaction('pack').objectStore('pack').count(); all.onsuccess = () => done(all.result === 0); }; })",
    )
    .await;
    one.clean();
    other.clean();
}

/// The name that the line of a medicine has in the page.
async fn line_of(page: &Page, medicine: &str) -> String {
    let place = format!(
        "[...document.querySelectorAll('.round-line')].find((own) => own.innerText.includes('{medicine}')).id.slice(5)"
    );
    page.run(&place).await.as_str().unwrap().to_owned()
}

/// Fills the form of a medicine and sends it.
pub async fn recorded(page: &Page, medicine: &str, more: &[(&str, &str)]) {
    let key = line_of(page, medicine).await;
    let line = format!("#line-{key}");
    if !page.has(&format!("{line} details[open]")).await {
        page.click(&format!("{line} summary")).await;
    }
    for number in 0..6 {
        let tick = format!("#rights-{key}-{number}");
        if page
            .run(&format!("document.querySelector('{tick}').checked"))
            .await
            == json!(false)
        {
            page.click(&tick).await;
        }
    }
    page.run(&format!(
        "document.querySelector('#outcome-{key}').value = 'given'"
    ))
    .await;
    for (field, value) in more {
        page.fill(&format!("#{field}-{key}"), value).await;
    }
    page.follow(&format!(
        "{line} form button:not([disabled], [type=button])"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controlled_drug_is_given_beside_a_witness() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let orders = [order(
        "morphine",
        "Morphine 10mg modified-release tablet",
        &at(&["08:00:00"], 1),
    )];
    let house = home(FixedClock::START, &orders).await;
    let device = browser.device(390, 844).await;
    let page = house.signed_in(&device, "nurse", "/medicines/round").await;
    page.follow(".round-go a").await;
    page.wait_for_text("A witness signs for it.").await;
    // A scanner ends with Enter: it writes what it read, and sends nothing.
    let key = line_of(&page, "Morphine").await;
    page.click(&format!("#line-{key} summary")).await;
    page.fill(&format!("#scan-{key}"), "5000000000005").await;
    page.run("window.stays = true").await;
    page.press("Enter").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(page.run("window.stays === true").await, json!(true));
    let read = format!("document.querySelector('#scan-{key}').value");
    assert_eq!(page.run(&read).await, json!("5000000000005"));
    page.fill(&format!("#scan-{key}"), "").await;
    recorded(&page, "Morphine", &[("reason", "known here")]).await;
    page.wait_for_text("This dose wants a witness").await;
    let own = [("witness", "nurse"), ("proof", PASSWORD)];
    recorded(&page, "Morphine", &own).await;
    page.wait_for(".round-line details[open]").await;
    let other = [("witness", "carer"), ("proof", "of nobody here")];
    recorded(&page, "Morphine", &other).await;
    page.wait_for(".round-line details[open]").await;
    assert!(found(&house, "MedicationAdministration").await.is_empty());
    recorded(
        &page,
        "Morphine",
        &[("witness", "carer"), ("proof", PASSWORD)],
    )
    .await;
    page.wait_for_text("Saved.").await;
    let stored = found(&house, "MedicationAdministration").await;
    assert_eq!(
        stored[0]["performer"][1]["function"]["coding"][0]["code"],
        "witness"
    );
    // Every refusal is an answer with status 422, which the browser writes down.
    assert!(
        page.errors().iter().all(|own| own.contains("422")),
        "{:?}",
        page.errors()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn as_needed_too_early_is_held_with_its_time() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let orders = [order("needed", "Paracetamol 500mg tablet", &needed())];
    let house = home(FixedClock::START, &orders).await;
    let device = browser.device(390, 844).await;
    let page = house
        .signed_in(&device, "carer", "/medicines/round/p1")
        .await;
    let filled = [("need", "headache"), ("reason", "known here")];
    recorded(&page, "Paracetamol", &filled).await;
    page.wait_for_text("Saved.").await;
    house.clock.advance(3600);
    // An hour later the session has ended.
    let page = house
        .signed_in(&device, "carer", "/medicines/round/p1")
        .await;
    page.wait_for_text("Not before 05\u{2011}Mar\u{2011}2026 12:00")
        .await;
    recorded(&page, "Paracetamol", &filled).await;
    page.wait_for("details[open]").await;
    page.wait_for_text("Too close").await;
    assert_eq!(found(&house, "MedicationAdministration").await.len(), 1);
    page.go(&house.address("/t/rosewood/patients/p1/medicines/chart"))
        .await;
    page.wait_for_text("Last dose 05\u{2011}Mar\u{2011}2026 08:00")
        .await;
    page.wait_for_text("Not before 05\u{2011}Mar\u{2011}2026 12:00")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ingredient_in_two_products_counts_over_midnight() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let orders = [
        order(
            "para",
            "Paracetamol 500mg tablet",
            &at(&["12:00:00", "16:00:00", "20:00:00", "23:00:00"], 2),
        ),
        order("cod", "Co-codamol 500mg/8mg tablet", &needed()),
    ];
    let start = Timestamp::from_rfc3339("2026-03-05T12:00:00Z").unwrap();
    let house = home(start, &orders).await;
    let nurse = house.caller("nurse").await;
    let key = app::ResourceKey {
        ty: house
            .app
            .definitions()
            .resource("MedicationRequest")
            .unwrap(),
        id: "para".parse().unwrap(),
    };
    for (wait, slot) in [(0, "12:00"), (4, "16:00"), (4, "20:00"), (3, "23:00")] {
        house.clock.advance(wait * 3600);
        let rights = Right::ALL.map(|right| Verified {
            right,
            how: How::Read,
            fits: true,
        });
        let dose = Dose {
            outcome: Outcome::Given,
            dose: None,
            reason: Some("known here".to_owned()),
            happened: None,
            slot: Some(format!("2026-03-05T{slot}:00Z")),
            rights: rights.to_vec(),
            witness: None,
            need: None,
            done: true,
            corrects: None,
            from: From::default(),
            signing: Signing::default(),
            late: None,
            scan: None,
            dosage: None,
            offline: None,
        };
        let given = give(&house.app, &nurse, &key, &dose).await.unwrap();
        assert!(given.stored.is_some(), "{:?}", given.decision);
    }
    // Half past three in the night: another day, the same 24 hours.
    house.clock.advance(4 * 3600 + 1800);
    let device = browser.device(390, 844).await;
    let page = house
        .signed_in(&device, "nurse", "/medicines/round/p1")
        .await;
    page.wait_for_text("Co-codamol").await;
    let filled = [("need", "pain"), ("reason", "known here")];
    recorded(&page, "Co-codamol", &filled).await;
    page.wait_for("details[open]").await;
    page.wait_for_text("Too much").await;
    assert_eq!(found(&house, "MedicationAdministration").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_part_in_rounds_sees_none() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = home(FixedClock::START, &[]).await;
    house
        .person("desk", RoleAssignment::of(Role::Receptionist))
        .await;
    let device = browser.device(390, 844).await;
    let page = house.signed_in(&device, "desk", "/medicines/round").await;
    page.wait_for_text("do not allow").await;
    assert!(!page.has(".round").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contraindicated_medicine_is_held_without_a_network() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let mut dosage = at(&["08:00:00"], 1);
    dosage["doseAndRate"][0]["doseQuantity"]["unit"] = json!("capsule");
    let orders = [
        order("amoxicillin", "Amoxicillin 500mg capsule", &dosage),
        json!({ "resourceType": "AllergyIntolerance", "id": "penicillin", "patient": { "reference": "Patient/p1" },
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
            "code": { "text": "Penicillin" } }),
    ];
    let house = home(FixedClock::START, &orders).await;
    let tablet = browser.device(768, 1024).await;
    let page = taken_along(&house, &tablet, "nurse").await;
    // It says so before anybody fills anything in.
    page.wait_for_text("Contraindicated").await;
    page.wait_for_text("no second person signed").await;
    page.wait_for_text("Known allergies: Penicillin").await;
    tablet.offline(true).await;
    page.wait_for_text("No network.").await;
    page.click("#round-people summary").await;
    for right in ["resident", "medicine", "dose", "route", "time", "decline"] {
        page.click(&format!("#p0-0-{right}")).await;
    }
    page.fill("#p0-0-reason", "due").await;
    page.click("#round-people form button:not(.button-quiet)")
        .await;
    page.wait_for_text("Nothing was recorded.").await;
    // What is half filled in stays while the page shows what is new.
    page.run("dispatchEvent(new Event('offline'))").await;
    page.run("new Promise((done) => setTimeout(done, 300))")
        .await;
    assert_eq!(
        page.run("document.querySelector('#p0-0-reason').value + document.querySelector('#p0-0-time').checked").await,
        json!("duetrue")
    );
    // What happened already is recorded once the reasons against it were seen, which they were above.
    page.click("#p0-0-done").await;
    page.click("#round-people form button:not(.button-quiet)")
        .await;
    page.wait_for_text("1 dose waits to be sent.").await;
    tablet.offline(false).await;
    page.wait_for_text("1 to look at.").await;
    page.wait_for_text("contraindicated").await;
    assert_eq!(found(&house, "MedicationAdministration").await.len(), 1);
    let issues = found(&house, "DetectedIssue").await;
    assert!(
        issues
            .iter()
            .any(|own| own["code"]["coding"][0]["code"] == "given-against"),
        "{issues:?}"
    );
    // Somebody else who signs in on this device records nothing in it, and sees nobody of it.
    house.clock.advance(3600);
    let other = house
        .signed_in(&tablet, "carer", "/medicines/round/device")
        .await;
    other.wait_for_text("You are signed in as").await;
    assert!(!other.has("#round-people section").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_whose_time_is_over_goes_with_any_page() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    let device = browser.device(390, 844).await;
    let page = device.open(&house.address("/sign-in")).await;
    // One round whose time is over, one whose is not, each with a dose that was sent and one that was not.
    let holds = |name: &str, until: &str| {
        format!(
            "new Promise((done) => {{ const asked = indexedDB.open('theriac-round-{name}', 1);
            asked.onupgradeneeded = () => {{ asked.result.createObjectStore('pack'); asked.result.createObjectStore('doses', {{ keyPath: 'id' }}); }};
            asked.onsuccess = () => {{ const work = asked.result.transaction(['pack', 'doses'], 'readwrite');
              work.objectStore('pack').put({{ pack: {{ until: {until} }}, clock: {{ server: 0, device: 0 }} }}, 'pack');
              for (const state of ['sent', 'waits', 'told']) work.objectStore('doses').put({{ id: state, state }});
              work.oncomplete = () => {{ asked.result.close(); done(true); }}; }}; }})"
        )
    };
    page.run(&holds("old", "1")).await;
    page.run(&holds("young", "Date.now() * 1000 + 3600e6"))
        .await;
    page.reload().await;
    let left = |name: &str| {
        format!(
            "new Promise((done) => {{ const asked = indexedDB.open('theriac-round-{name}'); asked.onsuccess = () => {{
              const work = asked.result.transaction(['pack', 'doses']); const packs = work.objectStore('pack').count(); const doses = work.objectStore('doses').getAllKeys();
              work.oncomplete = () => {{ asked.result.close(); done(`${{packs.result}} ${{doses.result.join()}}`); }}; }}; }})"
        )
    };
    page.wait_until(
        "the old round to be gone",
        &format!("{}.then((own) => own === '0 told,waits')", left("old")),
    )
    .await;
    assert_eq!(page.run(&left("young")).await, json!("1 sent,told,waits"));
    page.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ill_server_is_as_good_as_none() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    let device = browser.device(390, 844).await;
    let page = device.open(&house.address("/sign-in")).await;
    let worker = web_edge::assets::WORKER;
    let run = format!(
        "(async () => {{ const answers = {{ ok: {{ status: 200 }}, out: {{ status: 0 }}, ill: {{ status: 503 }} }};
        const told = []; const dropped = [];
        for (const how of ['ok', 'out', 'ill', 'hangs', 'none']) {{
          const own = {{ name: 'r/a/2', family: 'r/a/', page: '/p', kept: ['/p'] }};
          const caches = {{ open: async () => ({{ match: async () => 'kept' }}), keys: async () => ['r/a/1', 'r/a/2', 'r/ab/1'], delete: async (name) => dropped.push(name) }};
          const handlers = {{}}; const addEventListener = (name, own) => {{ handlers[name] = own; }};
          const clients = {{ claim: async () => {{}} }}; const skipWaiting = () => {{}};
          const fetch = async () => {{ if (how === 'hangs') return new Promise(() => {{}}); if (how === 'none') throw new Error('none'); return answers[how]; }};
          {worker}
          let answer; handlers.fetch({{ request: {{ method: 'GET', url: 'https://t/p' }}, respondWith: (own) => {{ answer = own; }} }});
          const given = await answer; told.push(given === 'kept' ? 'kept' : String(given.status));
          if (how === 'ok') {{ let done; handlers.activate({{ waitUntil: (own) => {{ done = own; }} }}); await done; }}
        }}
        return `${{told.join()}} ${{dropped.join()}}`; }})()"
    );
    // Only what this organisation kept of an earlier build goes.
    assert_eq!(page.run(&run).await, json!("200,0,kept,kept,kept r/a/1"));
    page.clean();
}
