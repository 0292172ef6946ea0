//! Stock and the controlled-drug register over HTTP: a medicine is kept, received, given with its witness
//! and counted; what is wrong is refused with its status.

use serde_json::{Value, json};

use crate::medicines_given::{dose, home, named, part};
use crate::server::{Answer, Call, ROSEWOOD, TestServer};

const API: &str = "/t/rosewood/api/v1";
const MORPHINE: &str = "Morphine 10mg modified-release tablet";

async fn post(server: &TestServer, token: &str, below: &str, body: &Value) -> Answer {
    let call = Call::post(format!("{API}{below}")).bearer(token);
    server.send(call.json(body)).await
}

async fn get(server: &TestServer, token: &str, below: &str) -> Value {
    let call = Call::get(format!("{API}{below}")).bearer(token);
    server.send(call).await.expect(200).json()
}

/// The proofs of the two people of the home.
fn signing() -> Value {
    json!({
        "by": { "name": "nurse", "password": crate::server::PASSWORD },
        "witness": { "name": "carer", "password": crate::server::PASSWORD },
    })
}

fn receipt(id: &str, units: &str, expiry: &str) -> Value {
    json!({ "id": id, "what": {
        "kind": "receipt", "to": { "location": "home" }, "from": "pharmacy", "units": units,
        "batch": { "lot": "A1", "expiry": expiry },
    }})
}

fn signed(mut body: Value) -> Value {
    body["signing"] = signing();
    body
}

/// A home that keeps morphine, with a page of the register.
async fn keeping() -> (TestServer, String, String, String) {
    let (server, carer, nurse) = home(MORPHINE).await;
    let program = server.program_with(ROSEWOOD, "estates", &[]).await;
    let patient = server
        .send(Call::get("/t/rosewood/fhir/Patient/p").bearer(&program))
        .await
        .json();
    for resource in [
        json!({ "resourceType": "Location", "id": "home", "name": "Home",
            "managingOrganization": patient["managingOrganization"] }),
        json!({ "resourceType": "Organization", "id": "pharmacy", "name": "High Street Pharmacy",
            "address": [{ "text": "1 High Street" }] }),
    ] {
        server.put(ROSEWOOD, &program, &resource).await;
    }
    let kept = json!({ "product": MORPHINE, "unit": "{tablet}", "threshold": "5" });
    let kept = post(&server, &nurse, "/stock", &kept)
        .await
        .expect(201)
        .json();
    assert_eq!(kept["control"], "two");
    let item = kept["id"].as_str().unwrap().to_owned();
    (server, carer, nurse, item)
}

#[tokio::test]
async fn a_controlled_drug_is_received_given_and_counted_by_two() {
    let (server, carer, nurse, item) = keeping().await;
    let moves = format!("/stock/{item}/movements");
    let first = receipt("r1", "6", "2030-01-31");
    post(&server, &nurse, &moves, &signed(first.clone()))
        .await
        .expect(422);
    let begin = json!({ "item": item, "premises": "home" });
    let page = post(&server, &nurse, "/register", &begin)
        .await
        .expect(201)
        .json();
    let page = format!("/register/{}", page["id"].as_str().unwrap());
    for (body, status) in [
        (first.clone(), 422),
        (signed(receipt("r1", "6", "2020-01-31")), 422),
        (signed(receipt("r1", "-6", "2030-01-31")), 400),
        (signed(first.clone()), 201),
        (signed(first), 200),
        (signed(receipt("r1", "7", "2030-01-31")), 409),
    ] {
        post(&server, &nurse, &moves, &body).await.expect(status);
    }
    given_by_two(&server, &nurse).await;
    let seen = get(&server, &nurse, &format!("/stock/{item}")).await;
    assert_eq!((&seen["held"], &seen["low"]), (&json!("5"), &json!(true)));
    assert_eq!(seen["reorder"], "needed");
    let listed = get(&server, &carer, &moves).await;
    assert_eq!(listed["movements"][0]["what"]["kind"], "given");
    assert_eq!(listed["movements"][0]["lines"][0]["to"]["resident"], "p");
    let open = get(&server, &carer, &page).await;
    assert_eq!(
        (&open["balance"], &open["entries"]),
        (&json!("5"), &json!(2))
    );
    let sheets = get(&server, &carer, &format!("{page}/sheets?lines=5")).await;
    let row = &sheets[0]["rows"][1];
    assert_eq!(row["Quantity supplied"], "1");
    assert!(
        row["Witnessed"].as_str().unwrap().contains("carer"),
        "{row}"
    );
    one_is_missing(&server, &nurse, &item, &page).await;
}

/// A dose, with both proofs: record, movement and entry at once.
async fn given_by_two(server: &TestServer, nurse: &str) {
    let proofs = signing();
    let proof = |name: &str, of: &Value| {
        json!({ "name": name, "part": [
            { "name": "name", "valueString": of["name"] },
            { "name": "password", "valueString": of["password"] },
        ]})
    };
    let more = [
        part("asNeeded", "valueString", json!("pain")),
        part("reason", "valueString", json!("weighs about 70 kg")),
        proof("giverProof", &proofs["by"]),
        proof("witnessProof", &proofs["witness"]),
    ];
    let call = Call::post("/t/rosewood/fhir/MedicationRequest/o/$give").bearer(nurse);
    let given = server
        .send(call.json(&dose("given", &more)))
        .await
        .expect(201)
        .json();
    assert_eq!(named(&given, "witness")[0]["valueCode"], "signed");
    let stock = named(&given, "stock")[0]["part"].as_array().unwrap();
    assert_eq!(stock[0]["valueCode"], "moved", "{given}");
    assert!(stock.iter().any(|own| own["name"] == "register"), "{given}");
    assert!(
        stock.iter().any(|own| own["valueString"] == "low"),
        "{given}"
    );
}

/// The balance stays until somebody looked into it.
async fn one_is_missing(server: &TestServer, nurse: &str, item: &str, page: &str) {
    let counts = format!("{page}/counts");
    let count =
        |id: &str, seen: u32| json!({ "id": id, "seen": seen, "found": "4", "signing": signing() });
    // Counted before the dose was entered: it is counted again.
    let before = post(server, nurse, &counts, &count("c0", 1)).await;
    before.expect(409);
    let counted = post(server, nurse, &counts, &count("c1", 2)).await;
    let counted = counted.expect(201).json();
    let again = post(server, nurse, &counts, &count("c1", 2)).await;
    assert_eq!(again.expect(201).json(), counted);
    let incident = format!(
        "{page}/incidents/{}",
        counted["incident"]["id"].as_str().unwrap()
    );
    let settle = json!({ "found": "4", "finding": "it fell and was not found", "signing": signing(),
        "adjust": { "movement": "lost", "item": item, "place": { "location": "home" },
            "batch": { "lot": "A1", "expiry": "2030-01-31" } } });
    let ends = format!("{incident}/settlement");
    post(server, nurse, &ends, &settle).await.expect(409);
    for note in ["manager", "accountable_officer", "investigated"] {
        let note = json!({ "note": note });
        post(server, nurse, &format!("{incident}/notes"), &note)
            .await
            .expect(200);
    }
    let settled = post(server, nurse, &ends, &settle).await.expect(201).json();
    assert_eq!(settled["balance"], "4");
    let seen = get(server, nurse, &format!("/stock/{item}")).await;
    assert_eq!(seen["held"], "4");
}

#[tokio::test]
async fn whoever_may_not_is_refused_and_nobody_learns_what_was_wrong() {
    let (server, carer, nurse, item) = keeping().await;
    let threshold = json!({ "threshold": "1" });
    let below = format!("/stock/{item}/threshold");
    post(&server, &carer, &below, &threshold).await.expect(403);
    post(&server, &nurse, "/stock/none/threshold", &threshold)
        .await
        .expect(404);
    let begin = json!({ "item": item, "premises": "home" });
    post(&server, &nurse, "/register", &begin).await.expect(201);
    let moves = format!("/stock/{item}/movements");
    let mut texts = Vec::new();
    for (name, password) in [("carer", "wrong"), ("nobody", "wrong")] {
        let mut body = signed(receipt("r1", "6", "2030-01-31"));
        body["signing"]["witness"] = json!({ "name": name, "password": password });
        let refused = post(&server, &nurse, &moves, &body)
            .await
            .expect(403)
            .json();
        texts.push(refused["detail"].clone());
    }
    assert_eq!(texts[0], texts[1]);
    let mut own = signed(receipt("r1", "6", "2030-01-31"));
    own["signing"]["witness"] = own["signing"]["by"].clone();
    let refused = post(&server, &nurse, &moves, &own).await.expect(403).text();
    assert!(refused.contains("the witness is the giver"), "{refused}");
}
