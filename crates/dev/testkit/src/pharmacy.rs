//! The reference server of the pharmacy interface that we publish (`docs/reference/pharmacy-api.json`), which
//! speaks the messages of the prescription service as well. It keeps what it was sent by key, so that a
//! test sees what was ordered twice. Must not share code with the client that it tests.

#![expect(clippy::indexing_slicing, reason = "JSON without a member gives null")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::receiver::{Received, Receiver, Reply};

/// An order as the pharmacy has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The home's id, or the prescription's number.
    pub order: String,
    /// The key it came with.
    pub key: String,
    /// What was sent.
    pub body: Value,
    /// Where it stands.
    pub state: String,
    /// How often it was sent.
    pub sent: usize,
    /// What the home said of deliveries.
    pub receipts: Vec<Value>,
}

#[derive(Default)]
struct Inner {
    orders: BTreeMap<String, Held>,
    /// Answers for the next calls, before anything else is done; `true` does the work first.
    next: VecDeque<(Reply, bool)>,
    catalogue: Vec<Value>,
    token: Option<String>,
}

/// The server; it ends when dropped.
pub struct Pharmacy {
    inner: Arc<Mutex<Inner>>,
    receiver: Receiver,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(status: u16, media: &str, body: &Value) -> Reply {
    let mut reply = Reply::status(status).with("content-type", media);
    reply.body = body.to_string().into_bytes();
    reply
}

fn json_of(status: u16, body: &Value) -> Reply {
    answer(status, "application/json", body)
}

fn problem(status: u16, detail: &str) -> Reply {
    let body = json!({ "title": "refused", "detail": detail });
    answer(status, "application/problem+json", &body)
}

/// A page that a proxy answers instead of the pharmacy.
#[must_use]
pub fn html(status: u16) -> Reply {
    let mut reply = Reply::status(status).with("content-type", "text/html; charset=utf-8");
    reply.body = b"<!doctype html><title>Maintenance</title><p>Back soon".to_vec();
    reply
}

impl Pharmacy {
    /// Starts one on a free port of 127.0.0.1.
    #[must_use]
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = inner.clone();
        let receiver = Receiver::start(move |request, _| served(&shared, request));
        Self { inner, receiver }
    }

    /// The address that the interface begins at.
    #[must_use]
    pub fn base(&self) -> String {
        self.receiver.url("/v1")
    }

    /// Its entry of the egress allow list.
    #[must_use]
    pub fn egress(&self) -> String {
        format!("http://{} private", self.receiver.address())
    }

    /// Everything it was sent.
    #[must_use]
    pub fn seen(&self) -> Vec<Received> {
        self.receiver.seen()
    }

    /// The next call is answered so, and nothing is done.
    pub fn next(&self, reply: Reply) {
        lock(&self.inner).next.push_back((reply, false));
    }

    /// The next call is done and then answered so: what was taken is not said.
    pub fn next_after_work(&self, reply: Reply) {
        lock(&self.inner).next.push_back((reply, true));
    }

    /// What is sold from now on, as in the interface.
    pub fn sells(&self, products: Vec<Value>) {
        lock(&self.inner).catalogue = products;
    }

    /// Only calls with this token are answered from now on.
    pub fn wants(&self, token: &str) {
        lock(&self.inner).token = Some(token.to_owned());
    }

    /// The orders by id.
    #[must_use]
    pub fn orders(&self) -> Vec<Held> {
        lock(&self.inner).orders.values().cloned().collect()
    }

    /// Where an order stands from now on.
    pub fn moves(&self, order: &str, state: &str) {
        if let Some(held) = lock(&self.inner).orders.get_mut(order) {
            state.clone_into(&mut held.state);
        }
    }
}

fn served(inner: &Mutex<Inner>, request: &Received) -> Reply {
    let mut inner = lock(inner);
    match inner.next.pop_front() {
        Some((reply, false)) => return reply,
        Some((reply, true)) => {
            let _ = done(&mut inner, request);
            return reply;
        }
        None => {}
    }
    done(&mut inner, request)
}

fn done(inner: &mut Inner, request: &Received) -> Reply {
    let token = inner.token.as_ref().map(|own| format!("Bearer {own}"));
    if token.is_some() && request.header("authorization") != token.as_deref() {
        return problem(401, "the token is not known");
    }
    let path = request.path.strip_prefix("/v1/").unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["catalogue"]) => catalogue(inner, query),
        ("POST", ["orders"]) => taken(inner, request),
        ("GET", ["orders", order]) => match inner.orders.get(*order) {
            Some(held) => json_of(200, &standing(held)),
            None => problem(404, "no such order"),
        },
        ("POST", ["orders", order, "cancel"]) => match inner.orders.get_mut(*order) {
            Some(held) if held.state == "dispatched" => problem(409, "it is on its way"),
            Some(held) => {
                "cancelled".clone_into(&mut held.state);
                json_of(200, &standing(held))
            }
            None => problem(404, "no such order"),
        },
        ("POST", ["orders", order, "receipts"]) => {
            let body = serde_json::from_slice(&request.body).unwrap_or_default();
            match inner.orders.get_mut(*order) {
                Some(held) => {
                    held.receipts.push(body);
                    Reply::status(204)
                }
                None => problem(404, "no such order"),
            }
        }
        ("POST", ["$process-message"]) => message(inner, request),
        ("GET", ["Task"]) => tasks(inner, query),
        _ => problem(404, "no such address"),
    }
}

fn standing(held: &Held) -> Value {
    json!({ "order": held.order, "state": held.state, "reference": format!("PH-{}", &held.key.get(..6).unwrap_or_default()) })
}

/// One product a page, so that a client that reads the first alone is found out.
fn catalogue(inner: &Inner, query: &str) -> Reply {
    let of = |name: &str| {
        let own = query
            .split('&')
            .find_map(|own| own.strip_prefix(name)?.strip_prefix('='));
        own.map(str::to_owned)
    };
    let wanted = of("code");
    let products: Vec<&Value> = inner
        .catalogue
        .iter()
        .filter(|own| wanted.is_none() || own["code"].as_str() == wanted.as_deref())
        .collect();
    let after: usize = of("after").and_then(|own| own.parse().ok()).unwrap_or(0);
    let mut body =
        json!({ "products": products.get(after).map(|own| vec![*own]).unwrap_or_default() });
    if after + 1 < products.len() {
        body["next"] = json!((after + 1).to_string());
    }
    json_of(200, &body)
}

fn taken(inner: &mut Inner, request: &Received) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return problem(400, "the body is no JSON");
    };
    let Some(key) = request
        .header("idempotency-key")
        .filter(|own| own.len() == 64)
    else {
        return problem(400, "there is no key of 64 digits");
    };
    let Some(order) = body["order"].as_str().map(str::to_owned) else {
        return problem(422, "there is no order");
    };
    if body["lines"].as_array().is_none_or(Vec::is_empty) {
        return problem(422, "nothing is asked for");
    }
    if let Some(held) = inner.orders.values_mut().find(|own| own.key == key) {
        held.sent += 1;
        return if held.body == body {
            json_of(200, &standing(held))
        } else {
            problem(409, "the key was used for another order")
        };
    }
    let held = Held {
        order: order.clone(),
        key: key.to_owned(),
        body,
        state: "acknowledged".to_owned(),
        sent: 1,
        receipts: Vec::new(),
    };
    let reply = json_of(201, &standing(&held));
    inner.orders.insert(order, held);
    reply
}

fn fhir(status: u16, body: &Value) -> Reply {
    answer(status, "application/fhir+json", body)
}

fn outcome(status: u16, severity: &str, code: &str, text: &str) -> Reply {
    let body = json!({ "resourceType": "OperationOutcome", "issue": [
        { "severity": severity, "code": code, "diagnostics": text }] });
    fhir(status, &body)
}

/// A message as the prescription service takes it: known again by the Bundle's identifier.
fn message(inner: &mut Inner, request: &Received) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return outcome(400, "error", "structure", "the body is no JSON");
    };
    let header = body["entry"][0]["resource"].clone();
    let bundle = body["identifier"]["value"].as_str().unwrap_or_default();
    let first = body["entry"].as_array().and_then(|all| {
        let own = all.iter().map(|own| &own["resource"]);
        own.clone()
            .find(|own| own["resourceType"] == "MedicationRequest")
    });
    let number = first.and_then(|own| own["groupIdentifier"]["value"].as_str());
    let (Some(number), Some(id)) = (number.map(str::to_owned), header["id"].as_str()) else {
        return outcome(
            400,
            "error",
            "required",
            "there is no medicine or no header",
        );
    };
    let event = header["eventCoding"]["code"].as_str().unwrap_or_default();
    match (event, inner.orders.get_mut(&number)) {
        ("prescription-order-update", None) => {
            return outcome(400, "error", "not-found", "no such prescription");
        }
        ("prescription-order-update", Some(held)) if held.state == "0006" => {
            return outcome(400, "error", "business-rule", "it was dispensed");
        }
        ("prescription-order-update", Some(held)) => "0005".clone_into(&mut held.state),
        (_, Some(held)) if held.key == bundle => held.sent += 1,
        (_, Some(_)) => return outcome(400, "error", "duplicate", "the number is taken"),
        (_, None) => {
            let held = Held {
                order: number.clone(),
                key: bundle.to_owned(),
                body: body.clone(),
                state: "0001".to_owned(),
                sent: 1,
                receipts: Vec::new(),
            };
            inner.orders.insert(number, held);
        }
    }
    let reply = json!({ "resourceType": "Bundle", "type": "message", "entry": [{ "resource": {
        "resourceType": "MessageHeader", "eventCoding": header["eventCoding"],
        "source": { "endpoint": "urn:nhs-uk:addressing:ods:X26" },
        "response": { "identifier": id, "code": "ok" },
    }}]});
    fhir(200, &reply)
}

fn tasks(inner: &Inner, query: &str) -> Reply {
    // The system is percent-encoded; the number is not.
    let number = query.rsplit_once("%7C").map_or("", |own| own.1);
    let found = inner.orders.get(number).map(|held| {
        json!({ "resource": { "resourceType": "Task", "status": "in-progress", "intent": "order",
            "focus": { "identifier": { "system": "https://fhir.nhs.uk/Id/prescription-order-number", "value": held.order } },
            "businessStatus": { "coding": [{ "system": "https://fhir.nhs.uk/CodeSystem/EPS-task-business-status", "code": held.state }] },
            "lastModified": "2026-03-05T09:00:00+00:00" } })
    });
    let entry: Vec<Value> = found.into_iter().collect();
    fhir(
        200,
        &json!({ "resourceType": "Bundle", "type": "searchset", "total": entry.len(), "entry": entry }),
    )
}
