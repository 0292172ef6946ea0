//! CDS Hooks 2.0 over HTTP: what the specification asks of a service, request by request, and what is
//! refused. The table in `docs/conformance-cds-hooks.md`
//! names these tests.

use identity::Role;
use kernel::Clock as _;
use serde_json::{Value, json};

use crate::server::{Answer, Call, PUBLIC_URL, ROSEWOOD, TestServer};

/// Makes a request wrong.
type Change = fn(&mut Value);

const ALL: &str = "/t/rosewood/cds-services";
const SIGN: &str = "/t/rosewood/cds-services/medication-order-sign";
const SELECT: &str = "/t/rosewood/cds-services/medication-order-select";
const VIEW: &str = "/t/rosewood/cds-services/medication-review";

/// A client that can be registered.
pub fn registration() -> Value {
    let zeroes = "A".repeat(64);
    json!({ "name": "EHR", "issuer": "https://ehr.example.org", "keys": [
        { "kid": "k", "alg": "ES384", "kty": "EC", "crv": "P-384", "x": zeroes, "y": zeroes },
    ]})
}

/// A server whose tenant serves hooks, and a token of a program.
pub async fn serving() -> (TestServer, String) {
    let server = TestServer::start().await;
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let on = json!({ "enabled": true, "keepDays": 30 });
    let put = Call::put("/t/rosewood/api/v1/cds-hooks").bearer(&administrator);
    server.send(put.json(&on)).await.expect(200);
    let program = server.program(ROSEWOOD).await;
    (server, program)
}

pub fn order(id: &str, name: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "draft", "intent": "order",
        "medicationCodeableConcept": { "text": name }, "subject": { "reference": "Patient/p" },
        "dosageInstruction": [{
            "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
            "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006" }] },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }],
    })
}

pub fn bundle(resources: &[Value]) -> Value {
    let entries: Vec<Value> = resources
        .iter()
        .map(|own| json!({ "resource": own }))
        .collect();
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
}

fn taken(id: &str, name: &str) -> Value {
    let mut order = order(id, name);
    order["status"] = json!("active");
    order
}

fn none_known() -> Value {
    json!({ "resourceType": "AllergyIntolerance", "id": "none", "patient": { "reference": "Patient/p" },
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
        "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] } })
}

/// A call with everything sent beforehand: a man of 76 who takes warfarin.
pub fn signing(drafts: &[Value]) -> Value {
    json!({
        "hook": "order-sign", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": { "userId": "Practitioner/d", "patientId": "p", "draftOrders": bundle(drafts) },
        "prefetch": {
            "patient": { "resourceType": "Patient", "id": "p", "gender": "male", "birthDate": "1950-01-01" },
            "allergies": bundle(&[none_known()]),
            "medicationRequests": bundle(&[taken("w", "Warfarin 1mg tablet")]),
            "medicationStatements": bundle(&[]),
            "observations": bundle(&[]),
        },
    })
}

async fn post(server: &TestServer, path: &str, token: &str, body: &Value) -> Answer {
    server.send(Call::post(path).bearer(token).json(body)).await
}

fn cards(answer: Answer) -> Vec<Value> {
    answer.expect(200).json()["cards"]
        .as_array()
        .unwrap()
        .clone()
}

fn indicators(cards: &[Value]) -> Vec<&str> {
    let all = cards.iter();
    all.map(|own| own["indicator"].as_str().unwrap()).collect()
}

/// Every value of a JSON text that is null or empty, but for an empty list of cards.
fn hollow(value: &Value, path: &str, found: &mut Vec<String>) {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty() && path != "/cards",
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    if empty {
        found.push(path.to_owned());
    }
    match value {
        Value::Array(list) => {
            for (at, one) in list.iter().enumerate() {
                hollow(one, &format!("{path}/{at}"), found);
            }
        }
        Value::Object(members) => {
            for (name, one) in members {
                hollow(one, &format!("{path}/{name}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn discovery_is_public_where_it_is_switched_on() {
    let (server, _) = serving().await;
    for path in ["/t/lakeside/cds-services", "/t/nobody/cds-services"] {
        let answer = server.send(Call::get(path)).await.expect(404);
        assert_eq!(
            answer.first_issue(),
            server
                .send(Call::get("/t/other/cds-services"))
                .await
                .expect(404)
                .first_issue()
        );
    }
    let answer = server.send(Call::get(ALL)).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let found = answer.json();
    let mut empty = Vec::new();
    hollow(&found, "", &mut empty);
    assert_eq!(empty, Vec::<String>::new());
    let services = found["services"].as_array().unwrap();
    for own in services {
        for member in ["hook", "title", "description", "id"] {
            assert!(own[member].is_string(), "{member} of {own}");
        }
        let id = own["id"].as_str().unwrap();
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    }
    let mut hooks: Vec<&str> = services
        .iter()
        .map(|own| own["hook"].as_str().unwrap())
        .collect();
    hooks.sort_unstable();
    assert_eq!(
        hooks,
        [
            "appointment-book",
            "encounter-discharge",
            "encounter-start",
            "order-dispatch",
            "order-select",
            "order-sign",
            "patient-view"
        ]
    );
}

#[tokio::test]
async fn nobody_calls_without_a_token_or_where_it_is_off() {
    let (server, program) = serving().await;
    let body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    server.send(Call::post(SIGN).json(&body)).await.expect(401);
    post(&server, SIGN, "thr_none", &body).await.expect(401);
    post(&server, "/t/rosewood/cds-services/other", &program, &body)
        .await
        .expect(404);
    let other = server.program("lakeside").await;
    let path = "/t/lakeside/cds-services/medication-order-sign";
    post(&server, path, &other, &body).await.expect(404);
    post(&server, SIGN, &other, &body).await.expect(401);
    let desk = server.person(ROSEWOOD, Role::Receptionist).await;
    post(&server, SIGN, &desk, &body).await.expect(403);
}

#[tokio::test]
async fn each_alert_is_a_card_as_the_specification_has_it() {
    let (server, program) = serving().await;
    let body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    let answer = post(&server, SIGN, &program, &body).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let found = answer.json();
    let mut empty = Vec::new();
    hollow(&found, "", &mut empty);
    assert_eq!(empty, Vec::<String>::new());
    assert!(found.get("systemActions").is_none());
    let cards = found["cards"].as_array().unwrap();
    let card = &cards[0];
    assert_eq!(card["indicator"], "critical");
    let summary = card["summary"].as_str().unwrap();
    assert!(
        summary.contains("Warfarin 1mg tablet with Ibuprofen 400mg tablet"),
        "{summary}"
    );
    for card in cards {
        assert!(card["summary"].as_str().unwrap().chars().count() < 140);
        assert!(uuid::Uuid::try_parse(card["uuid"].as_str().unwrap()).is_ok());
        assert!(["info", "warning", "critical"].contains(&card["indicator"].as_str().unwrap()));
        assert!(card["source"]["label"].is_string());
        let url = card["source"]["url"].as_str().unwrap();
        assert!(
            url.starts_with(&format!("{PUBLIC_URL}/t/rosewood/cds-hooks/log/")),
            "{url}"
        );
        for member in ["system", "code", "display"] {
            assert!(card["source"]["topic"][member].is_string(), "{member}");
        }
        // Suggestions never come without their behaviour, nor the other way round.
        assert_eq!(
            card.get("suggestions").is_some(),
            card.get("selectionBehavior").is_some()
        );
    }
    assert_eq!(card["selectionBehavior"], "at-most-one");
    let suggestion = &card["suggestions"][0];
    assert_eq!(suggestion["label"], "Do not order Ibuprofen 400mg tablet");
    assert!(uuid::Uuid::try_parse(suggestion["uuid"].as_str().unwrap()).is_ok());
    assert_eq!(suggestion["actions"][0]["type"], "delete");
    assert_eq!(
        suggestion["actions"][0]["resourceId"],
        "MedicationRequest/d"
    );
    assert!(suggestion["actions"][0]["description"].is_string());
    let reasons = card["overrideReasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 9);
    for reason in reasons {
        for member in ["code", "system", "display"] {
            assert!(reason[member].is_string(), "{reason}");
        }
    }
    let rule = &card["extension"]["org.example.theriac.alert"]["rules"][0];
    assert_eq!(rule["sha256"].as_str().unwrap().len(), 64);
    assert!(rule["id"].is_string() && rule["version"].is_string());
}

#[tokio::test]
async fn what_was_not_sent_or_not_known_is_a_card() {
    let (server, program) = serving().await;
    let drafts = [order("d", "Magic drops")];
    let mut body = signing(&drafts);
    body["prefetch"]
        .as_object_mut()
        .unwrap()
        .remove("allergies");
    body["prefetch"]["observations"] = Value::Null;
    body["prefetch"]["medicationStatements"] = json!({ "resourceType": "OperationOutcome", "issue": [
        { "severity": "error", "code": "timeout", "diagnostics": "the list took too long" },
    ]});
    let cards = cards(post(&server, SIGN, &program, &body).await);
    assert_eq!(indicators(&cards), ["warning"]);
    let detail = cards[0]["detail"].as_str().unwrap();
    for part in [
        "allergies: it was not sent",
        "weight, renal function and pregnancy: it was not sent",
        "the list took too long",
        "Magic drops is not known here",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert!(
        cards[0]["summary"]
            .as_str()
            .unwrap()
            .starts_with("Not checked, ")
    );
}

#[tokio::test]
async fn no_guidance_is_an_empty_list() {
    let (server, program) = serving().await;
    let mut body = signing(&[]);
    body["prefetch"]["medicationRequests"] = bundle(&[]);
    let answer = post(&server, SIGN, &program, &body).await.expect(200);
    assert_eq!(answer.text(), r#"{"cards":[]}"#);
}

#[tokio::test]
async fn without_the_medicines_it_is_412() {
    let (server, program) = serving().await;
    let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    body["prefetch"]
        .as_object_mut()
        .unwrap()
        .remove("medicationRequests");
    let answer = post(&server, SIGN, &program, &body).await.expect(412);
    assert!(
        answer
            .first_issue()
            .1
            .contains("prefetch.medicationRequests")
    );
    body.as_object_mut().unwrap().remove("prefetch");
    post(&server, SIGN, &program, &body).await.expect(412);
    body["fhirServer"] = json!("https://ehr.example.org/fhir");
    body["fhirAuthorization"] = json!({ "access_token": "some-opaque-token", "token_type": "Bearer",
        "expires_in": 300, "scope": "patient/*.rs", "subject": "theriac" });
    // Nothing leaves where nobody allowed it.
    let answer = post(&server, SIGN, &program, &body).await.expect(412);
    assert!(!answer.text().contains("some-opaque-token"));
}

#[tokio::test]
async fn order_select_speaks_of_the_selections() {
    let (server, program) = serving().await;
    let drafts = [
        order("i", "Ibuprofen 400mg tablet"),
        order("c", "Ciprofloxacin 500mg tablet"),
        order("t", "Tizanidine 2mg tablet"),
    ];
    let mut body = signing(&drafts);
    body["hook"] = json!("order-select");
    let about = |cards: &[Value], name: &str| {
        cards
            .iter()
            .any(|own| own["summary"].as_str().unwrap().contains(name))
    };
    body["context"]["selections"] = json!(["MedicationRequest/i"]);
    let one = cards(post(&server, SELECT, &program, &body).await);
    assert!(about(&one, "Warfarin 1mg tablet with Ibuprofen"));
    assert!(!about(&one, "Tizanidine"), "{one:#?}");
    // A selection is compared with drafts that are not selected.
    body["context"]["selections"] = json!(["MedicationRequest/t"]);
    let other = cards(post(&server, SELECT, &program, &body).await);
    assert!(
        about(
            &other,
            "Ciprofloxacin 500mg tablet with Tizanidine 2mg tablet"
        ),
        "{other:#?}"
    );
    assert!(!about(&other, "Ibuprofen"));
    body["context"]["selections"] = json!(["MedicationRequest/x"]);
    post(&server, SELECT, &program, &body).await.expect(400);
    body["context"]["selections"] = json!([]);
    post(&server, SELECT, &program, &body).await.expect(400);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn the_record_counts_where_the_caller_names_it() {
    let (server, program) = serving().await;
    for resource in [
        json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01", "gender": "male" }),
        none_known(),
        taken("w", "Warfarin 1mg tablet"),
        taken("i", "Ibuprofen 400mg tablet"),
    ] {
        server.put(ROSEWOOD, &program, &resource).await;
    }
    let ours = format!("{PUBLIC_URL}/t/rosewood/fhir/");
    let mut body = json!({ "hook": "patient-view", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": { "userId": "Practitioner/d", "patientId": "p" } });
    // Whose patient p is, is not said.
    post(&server, VIEW, &program, &body).await.expect(412);
    body["fhirServer"] = json!(ours);
    let found = cards(post(&server, VIEW, &program, &body).await);
    let both = |summary: &str| {
        summary.contains("Warfarin 1mg tablet")
            && summary.contains(" with ")
            && summary.contains("Ibuprofen 400mg tablet")
    };
    assert!(both(found[0]["summary"].as_str().unwrap()), "{found:?}");
    assert_eq!(
        found[0]["links"][0]["url"],
        format!("{PUBLIC_URL}/t/rosewood/patients/p/medicines")
    );
    assert_eq!(found[0]["links"][0]["type"], "absolute");
    // Nothing was proposed that could be left out.
    assert!(found[0].get("suggestions").is_none());
    for (service, hook, more) in [
        (
            "admission-medicines",
            "encounter-start",
            json!({ "encounterId": "e" }),
        ),
        (
            "discharge-medicines",
            "encounter-discharge",
            json!({ "encounterId": "e" }),
        ),
        (
            "appointment-medicines",
            "appointment-book",
            json!({ "appointments": bundle(&[json!({
            "resourceType": "Appointment", "status": "proposed",
            "participant": [{ "actor": { "reference": "Patient/p" }, "status": "needs-action" }] })]) }),
        ),
        (
            "medication-dispatch",
            "order-dispatch",
            json!({
            "dispatchedOrders": ["MedicationRequest/i"], "performer": "Organization/o" }),
        ),
    ] {
        let mut body = body.clone();
        body["hook"] = json!(hook);
        for (name, value) in more.as_object().unwrap() {
            body["context"][name] = value.clone();
        }
        let path = format!("{ALL}/{service}");
        let found = cards(post(&server, &path, &program, &body).await);
        let summary = found[0]["summary"].as_str().unwrap();
        assert!(both(summary), "{service}: {summary}");
    }
    body["context"]["patientId"] = json!("missing");
    post(&server, VIEW, &program, &body).await.expect(404);
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    post(&server, VIEW, &administrator, &body).await.expect(403);
}

#[tokio::test]
async fn two_patients_never_meet() {
    let (server, program) = serving().await;
    let cases: [(&str, Change); 4] = [
        ("patient", |b| b["prefetch"]["patient"]["id"] = json!("q")),
        ("taken", |b| {
            b["prefetch"]["medicationRequests"]["entry"][0]["resource"]["subject"]["reference"] =
                json!("https://ehr.example.org/fhir/Patient/q");
        }),
        ("draft", |b| {
            b["context"]["draftOrders"]["entry"][0]["resource"]["subject"]["reference"] =
                json!("Patient/q");
        }),
        ("allergy", |b| {
            b["prefetch"]["allergies"]["entry"][0]["resource"]["patient"]["reference"] =
                json!("Patient/q");
        }),
    ];
    for (name, change) in cases {
        let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
        change(&mut body);
        let answer = post(&server, SIGN, &program, &body).await.expect(400);
        let text = answer.first_issue().1;
        assert!(text.contains("another patient"), "{name}: {text}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of what is refused")]
async fn what_is_not_as_specified_is_refused() {
    let (server, program) = serving().await;
    let cases: [(&str, Change); 22] = [
        ("hook", |b| b["hook"] = json!("patient-view")),
        ("hook", |b| b["hook"] = Value::Null),
        ("hookInstance", |b| b["hookInstance"] = json!("1")),
        ("hookInstance", |b| {
            b.as_object_mut().unwrap().remove("hookInstance");
        }),
        ("context", |b| {
            b.as_object_mut().unwrap().remove("context");
        }),
        ("context", |b| b["context"] = json!([])),
        ("userId", |b| {
            b["context"].as_object_mut().unwrap().remove("userId");
        }),
        ("userId", |b| b["context"]["userId"] = json!("d")),
        ("patientId", |b| b["context"]["patientId"] = json!("p/../q")),
        ("patientId", |b| b["context"]["patientId"] = json!("")),
        ("draftOrders", |b| {
            b["context"].as_object_mut().unwrap().remove("draftOrders");
        }),
        ("draftOrders", |b| {
            b["context"]["draftOrders"] = json!({ "resourceType": "Patient" });
        }),
        ("draftOrders", |b| {
            b["context"]["draftOrders"]["entry"][0]["resource"]["intent"] = json!(5);
        }),
        ("draftOrders", |b| {
            b["context"]["draftOrders"]["entry"][0] = json!({});
        }),
        ("fhirServer", |b| {
            b["fhirServer"] = json!("ftp://ehr.example.org");
        }),
        ("fhirServer", |b| {
            b["fhirServer"] = json!("https://user@ehr.example.org");
        }),
        ("fhirServer", |b| {
            b["fhirAuthorization"] = json!({ "access_token": "t", "token_type": "Bearer",
            "expires_in": 1, "scope": "s", "subject": "s" });
        }),
        ("fhirAuthorization", |b| {
            b["fhirServer"] = json!("https://ehr.example.org");
            b["fhirAuthorization"] = json!({ "access_token": "t", "token_type": "mac", "expires_in": 1, "scope": "s", "subject": "s" });
        }),
        ("fhirAuthorization", |b| {
            b["fhirServer"] = json!("https://ehr.example.org");
            b["fhirAuthorization"] = json!({ "access_token": "a b", "token_type": "Bearer", "expires_in": 1, "scope": "s", "subject": "s" });
        }),
        ("prefetch", |b| b["prefetch"] = json!([])),
        ("prefetch", |b| {
            b["prefetch"]["patient"] = json!("Patient/p");
        }),
        ("prefetch", |b| {
            b["prefetch"]["allergies"] = bundle(&[json!({ "resourceType": "Observation" })]);
        }),
    ];
    for (at, (named, change)) in cases.into_iter().enumerate() {
        let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
        change(&mut body);
        let answer = post(&server, SIGN, &program, &body).await;
        let text = answer.text();
        assert_eq!(answer.status.as_u16(), 400, "case {at}: {text}");
        assert!(answer.first_issue().1.contains(named), "case {at}: {text}");
    }
    let send = |bytes: Vec<u8>| {
        let call = Call::post(SIGN).bearer(&program);
        server.send(call.header("content-type", "application/json").bytes(bytes))
    };
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"\xff\xfe",
        br#"{"hook":"order-sign","hook":"order-sign"}"#,
    ] {
        send(bytes.to_vec()).await.expect(400);
    }
    send([b"[".repeat(100_000), b"]".repeat(100_000)].concat())
        .await
        .expect(413);
    send(vec![b' '; (4 << 20) + 1]).await.expect(413);
    let plain = Call::post(SIGN)
        .bearer(&program)
        .header("content-type", "text/plain");
    server.send(plain.bytes("{}")).await.expect(415);
    // What is not understood is left alone.
    let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    body["extension"] = json!({ "org.example.other": { "a": 1 } });
    body["prefetch"]["other"] = json!({ "resourceType": "Basic" });
    post(&server, SIGN, &program, &body).await.expect(200);
}

#[tokio::test]
async fn a_resource_that_is_no_r4_counts_and_is_said() {
    let (server, program) = serving().await;
    let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    let taken = &mut body["prefetch"]["medicationRequests"]["entry"][0]["resource"];
    taken.as_object_mut().unwrap().remove("intent");
    let cards = cards(post(&server, SIGN, &program, &body).await);
    assert!(cards[0]["summary"].as_str().unwrap().contains("Warfarin"));
    let text = cards.last().unwrap()["detail"].as_str().unwrap();
    assert!(
        text.contains("MedicationRequest/w as it was sent is no valid FHIR R4"),
        "{text}"
    );
}

#[tokio::test]
async fn a_list_that_is_cut_short_is_said() {
    let (server, program) = serving().await;
    let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    body["prefetch"]["allergies"]["link"] =
        json!([{ "relation": "next", "url": "https://ehr.example.org/fhir?page=2" }]);
    let found = cards(post(&server, SIGN, &program, &body).await);
    let text = found.last().unwrap()["detail"].as_str().unwrap();
    assert!(text.contains("cut short"), "{text}");
    // A cut list of medicines is no list.
    body["prefetch"]["medicationRequests"]["link"] = body["prefetch"]["allergies"]["link"].take();
    body["prefetch"]["allergies"]
        .as_object_mut()
        .unwrap()
        .remove("link");
    post(&server, SIGN, &program, &body).await.expect(412);
}

#[tokio::test]
async fn names_from_elsewhere_are_no_mark_up() {
    let (server, program) = serving().await;
    let name = "<script>x</script> [a](javascript:b)";
    let found = cards(post(&server, SIGN, &program, &signing(&[order("d", name)])).await);
    let detail = found[0]["detail"].as_str().unwrap();
    assert!(
        !detail.contains("<script>") && !detail.contains("[a]("),
        "{detail}"
    );
}

#[expect(clippy::too_many_lines, reason = "one conversation")]
#[tokio::test]
async fn feedback_is_kept_and_counted() {
    let (server, program) = serving().await;
    let body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    let shown = cards(post(&server, SIGN, &program, &body).await);
    let card = &shown[0];
    let path = format!("{SIGN}/feedback");
    let reason = card["overrideReasons"][1].clone();
    let now = server.clock.now().to_string();
    let overridden = |card: &Value, reason: &Value| {
        json!({ "feedback": [{ "card": card["uuid"], "outcome": "overridden",
            "overrideReason": { "reason": reason, "userComment": "INR every day" },
            "outcomeTimestamp": now }] })
    };
    let good = overridden(card, &reason);
    server.send(Call::post(&path).json(&good)).await.expect(401);
    let accepted = json!({ "feedback": [{ "card": card["uuid"], "outcome": "accepted",
        "acceptedSuggestions": [{ "id": card["suggestions"][0]["uuid"] }],
        "outcomeTimestamp": now }] });
    post(&server, &path, &program, &accepted).await.expect(200);
    let answer = post(&server, &path, &program, &good).await.expect(200);
    assert_eq!(answer.text(), "");
    let stranger = server.program_with(ROSEWOOD, "stranger", &[]).await;
    post(&server, &path, &stranger, &good).await.expect(404);
    post(&server, &format!("{SELECT}/feedback"), &program, &good)
        .await
        .expect(404);
    let mut unknown = good.clone();
    unknown["feedback"][0]["card"] = json!("d1577c69-dfbe-44ad-ba6d-3e05e953b2ea");
    post(&server, &path, &program, &unknown).await.expect(404);
    let cases: [(&str, Change); 8] = [
        ("feedback", |b| b["feedback"] = json!([])),
        ("feedback", |b| *b = json!({})),
        ("card", |b| b["feedback"][0]["card"] = json!("1")),
        ("outcome", |b| {
            b["feedback"][0]["outcome"] = json!("ignored");
        }),
        ("acceptedSuggestions", |b| {
            b["feedback"][0]["outcome"] = json!("accepted");
        }),
        ("outcomeTimestamp", |b| {
            b["feedback"][0]["outcomeTimestamp"] = json!("yesterday");
        }),
        ("outcomeTimestamp", |b| {
            b["feedback"][0]["outcomeTimestamp"] = json!("2099-01-01T00:00:00Z");
        }),
        ("reason", |b| {
            b["feedback"][0]["overrideReason"]["reason"]["code"] = json!("because");
        }),
    ];
    for (named, change) in cases {
        let mut body = good.clone();
        change(&mut body);
        let answer = post(&server, &path, &program, &body).await.expect(400);
        assert!(
            answer.first_issue().1.contains(named),
            "{named}: {}",
            answer.text()
        );
    }
    let mut twice = good.clone();
    let one = twice["feedback"][0].clone();
    twice["feedback"].as_array_mut().unwrap().push(one);
    post(&server, &path, &program, &twice).await.expect(400);
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let entries = "/t/rosewood/api/v1/audit/entries?log=changes";
    let trail = server
        .send(Call::get(entries).bearer(&auditor))
        .await
        .expect(200)
        .text();
    assert!(
        trail.contains("cards by") && trail.contains("overridden, monitored"),
        "{trail}"
    );
}

#[tokio::test]
async fn the_token_of_the_callers_record_is_kept_nowhere() {
    let (server, program) = serving().await;
    let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    body["fhirServer"] = json!("https://ehr.example.org/fhir");
    body["fhirAuthorization"] = json!({ "access_token": "some-opaque-token", "token_type": "Bearer",
        "expires_in": 300, "scope": "patient/*.rs", "subject": "theriac" });
    let answer = post(&server, SIGN, &program, &body).await.expect(200);
    assert!(!answer.everything().contains("some-opaque-token"));
    let auditor = server.acting(ROSEWOOD, "admin").await;
    let refused = app::cds_hooks::log::list(&server.app, &auditor, None, 10).await;
    assert!(refused.is_err(), "an administrator reads no patient data");
    server.person(ROSEWOOD, Role::Auditor).await;
    let auditor = server.acting(ROSEWOOD, "auditor").await;
    let page = app::cds_hooks::log::list(&server.app, &auditor, None, 10)
        .await
        .unwrap();
    assert_eq!(page.calls.len(), 1);
    let call = &page.calls[0];
    assert!(call.request.contains("\"not kept\"") && !call.request.contains("some-opaque-token"));
    assert_eq!(call.response, answer.text());
    let again = app::cds_hooks::replay::replay(&server.app, &auditor, call.id)
        .await
        .unwrap();
    assert!(again.equal, "{} {}", again.body, call.response);
}

#[test]
fn every_row_names_a_test() {
    let table = include_str!("../../../../../docs/conformance-cds-hooks.md");
    let tests = [
        include_str!("cds_hooks.rs"),
        include_str!("cds_trust.rs"),
        include_str!("../../../../app/src/cds_hooks/cards.rs"),
        include_str!("../../../../app/src/cds_hooks/services.rs"),
    ];
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut count = 0;
    for row in rows {
        let named = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in named.split(", ") {
            let test = format!("fn {}(", name.trim_matches('`'));
            assert!(tests.iter().any(|own| own.contains(&test)), "{name}");
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}
