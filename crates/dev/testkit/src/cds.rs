//! A service of CDS Hooks elsewhere: it says what it is, checks what it is called with as the specification
//! has it, and answers what a test wants. Must not share code with the client that it tests.

#![expect(clippy::indexing_slicing, reason = "JSON without a member gives null")]

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::receiver::{Received, Receiver, Reply};

/// The service; it ends when dropped.
pub struct CdsService {
    receiver: Receiver,
    answer: Arc<Mutex<Reply>>,
}

fn json_of(status: u16, body: &Value) -> Reply {
    let mut reply = Reply::status(status).with("content-type", "application/json");
    reply.body = body.to_string().into_bytes();
    reply
}

/// A card with what every card must have.
#[must_use]
pub fn card(indicator: &str, summary: &str) -> Value {
    json!({ "summary": summary, "indicator": indicator, "source": { "label": "Renal team" } })
}

impl CdsService {
    /// Starts one that is called at `hook`, wants the patient and the conditions beforehand and answers these
    /// cards.
    #[must_use]
    pub fn start(hook: &str, cards: &[Value]) -> Self {
        let answer = Arc::new(Mutex::new(json_of(200, &json!({ "cards": cards }))));
        let (told, hook) = (Arc::clone(&answer), hook.to_owned());
        let receiver = Receiver::start(move |request, _| match request.path.as_str() {
            "/cds-services" => json_of(
                200,
                &json!({ "services": [{
                    "hook": hook, "id": "renal", "title": "Renal dosing", "description": "Looks at the kidneys",
                    "prefetch": {
                        "patient": "Patient/{{context.patientId}}",
                        "problems": "Condition?patient={{context.patientId}}",
                        "other": "Basic/{{context.unknown}}",
                    },
                }]}),
            ),
            "/cds-services/renal" => match wrong(request, &hook) {
                None => told.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                Some(why) => json_of(400, &json!({ "why": why })),
            },
            _ => Reply::status(404),
        });
        Self { receiver, answer }
    }

    /// The address that `cds-services` is below.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.receiver.address().port())
    }

    /// Answers something else from now on.
    pub fn answers(&self, reply: Reply) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    /// Answers these cards from now on.
    pub fn shows(&self, cards: &[Value]) {
        self.answers(json_of(200, &json!({ "cards": cards })));
    }

    /// The calls that came, without the questions what it is.
    #[must_use]
    pub fn calls(&self) -> Vec<Value> {
        let seen = self.receiver.seen().into_iter();
        seen.filter(|own| own.method == "POST")
            .map(|own| serde_json::from_slice(&own.body).unwrap_or_default())
            .collect()
    }
}

/// What is wrong with a call.
fn wrong(request: &Received, hook: &str) -> Option<&'static str> {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return Some("no JSON");
    };
    let text = |value: &Value| value.as_str().is_some_and(|own| !own.is_empty());
    if request.header("content-type") != Some("application/json") {
        return Some("content type");
    }
    if body["hook"] != hook
        || body["hookInstance"]
            .as_str()
            .is_none_or(|own| own.len() != 36)
    {
        return Some("hook or hookInstance");
    }
    if !text(&body["context"]["userId"]) || !text(&body["context"]["patientId"]) {
        return Some("context");
    }
    let drafts = body["context"]["draftOrders"]["entry"].as_array();
    let drafts = drafts.map_or(0, |own| {
        own.iter()
            .filter(|one| one["resource"]["status"] == "draft")
            .count()
    });
    if drafts == 0 {
        return Some("draftOrders");
    }
    let prefetch = body["prefetch"].as_object();
    if prefetch.is_none_or(|own| own.contains_key("other") || own.values().any(Value::is_null)) {
        return Some("prefetch");
    }
    None
}
