//! Services of CDS Hooks elsewhere, asked when an order is written here: registered by an administrator, told
//! only what they asked for beforehand, each within its own time. Their cards are shown with their name beside
//! ours. What a service did not answer is said; it must never look like a service without advice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connect::Request as Call;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Method, header};
use identity::Interaction;
use kernel::{LogicalId, TenantId};
use ledger::leaf::Class;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use store::{DocExpected, DocKind, Log, ResourceKey};

use super::request::Hook;
use crate::App;
use crate::admin::{all, allow, changed, commit, load, write};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::orders::partners::{plain, secret};
use crate::record::search::{SearchRequest, whole};
use crate::record::{query_string, read};

/// How long cards for the same question are shown again.
const FRESH: Duration = Duration::from_mins(1);
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1 << 20;
/// Most cards that are shown of one answer.
const CARDS: usize = 20;
/// Most resources of one list that is sent along.
const MOST: u32 = 500;
/// Shortest and longest time that a service may take, in milliseconds.
const BUDGET: core::ops::RangeInclusive<u32> = 50..=3_000;

/// What is registered of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookService {
    /// Its id here.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The address that its `cds-services` is below.
    pub base: String,
    /// Its id there.
    pub service: String,
    /// Milliseconds that it may take.
    pub budget_ms: u32,
    /// The name of the file with its bearer token; none where it wants none.
    pub secret: Option<String>,
    /// Whether it is asked.
    pub active: bool,
    /// Its hook, as it said when it was registered.
    #[serde(default)]
    pub hook: String,
    /// What it wants beforehand, as it said then.
    #[serde(default)]
    pub prefetch: Vec<(String, String)>,
}

/// A card of a service elsewhere; texts as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// `info`, `warning` or `critical`.
    pub indicator: String,
    /// One sentence.
    pub summary: String,
    /// More, as Markdown; may be empty.
    pub detail: String,
    /// Whose advice it is, by the card.
    pub source: String,
}

/// What a service answered.
#[derive(Debug, Clone)]
pub struct Advice {
    /// Its name.
    pub name: String,
    /// Its cards, or why there is no answer.
    pub cards: Result<Arc<Vec<Card>>, String>,
    /// Whether they were answered before to the same question.
    pub kept: bool,
}

/// Answers of services, by tenant and question; all of it can be lost.
pub(crate) struct Board(moka::sync::Cache<(TenantId, [u8; 32]), Arc<Vec<Card>>>);

impl Default for Board {
    fn default() -> Self {
        let cache = moka::sync::Cache::builder().max_capacity(10_000);
        Self(cache.time_to_live(FRESH).build())
    }
}

/// The services, by id.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<HookService>, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    known(app, caller).await
}

async fn known(app: &App, caller: &Caller) -> Result<Vec<HookService>, AppError> {
    let found = all::<HookService>(app, &caller.scope, DocKind::HookService).await?;
    Ok(found.into_iter().map(|own| own.value).collect())
}

fn no<T>(text: impl Into<String>) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.into()))
}

/// Registers a service, or changes what is registered: the whole of it. It is asked what it is called at and
/// what it wants beforehand.
pub async fn put(
    app: &App,
    caller: &Caller,
    mut own: HookService,
) -> Result<HookService, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    if !plain(&own.id) {
        return no("a service's id has 1 to 40 lower-case letters, digits and dashes: correct it");
    }
    if own.name.trim().is_empty() || own.name.chars().count() > 120 {
        return no("a service's name has 1 to 120 characters: correct it");
    }
    let path = |own: &u8| own.is_ascii_alphanumeric() || b"-._".contains(own);
    if own.service.is_empty() || own.service.len() > 200 || !own.service.as_bytes().iter().all(path)
    {
        return no("service is the id there, of letters, digits, dashes and points: correct it");
    }
    if own.base.ends_with('/') || own.base.contains(['?', '#', '@']) {
        return no("base ends without a slash and has no query: correct it");
    }
    if !BUDGET.contains(&own.budget_ms) {
        return no("a service may take 50 to 3000 milliseconds: correct it");
    }
    let permitted = app.outbound().permits(&own.base);
    permitted.map_err(|error| AppError::Unprocessable(error.to_string()))?;
    let before = load::<HookService>(app, &caller.scope, DocKind::HookService, &own.id).await?;
    if own.active {
        discover(app, caller, &mut own).await?;
    } else if let Some(before) = &before {
        own.hook.clone_from(&before.value.hook);
        own.prefetch.clone_from(&before.value.prefetch);
    }
    let expected = before.map_or(DocExpected::Absent, |own| DocExpected::Version(own.version));
    let doc = write(
        app,
        DocKind::HookService,
        &own.id,
        expected,
        &own,
        Vec::new(),
    )?;
    let state = if own.active { "asked" } else { "not asked" };
    let detail = format!(
        "{} at {}/cds-services/{}, {state}",
        own.name, own.base, own.service
    );
    let entry = changed(app, caller, Class::Config, "cds-service", detail);
    commit(app, &caller.scope, doc, entry).await?;
    Ok(own)
}

/// Asks a service what it is.
async fn discover(app: &App, caller: &Caller, own: &mut HookService) -> Result<(), AppError> {
    let url = format!("{}/cds-services", own.base);
    let budget = Duration::from_secs(5);
    let answer = call(app, caller, own, (Method::GET, url, Bytes::new(), budget)).await;
    let answer = answer
        .map_err(|why| AppError::Unprocessable(format!("the service was not found: {why}")))?;
    let found = answer.get("services").and_then(Value::as_array);
    let found = found
        .into_iter()
        .flatten()
        .find(|one| one.get("id").and_then(Value::as_str) == Some(own.service.as_str()));
    let Some(found) = found else {
        return no("the other side has no service of this id: see its cds-services");
    };
    let hook = found
        .get("hook")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let asked = [Hook::OrderSelect, Hook::OrderSign];
    if !asked.iter().any(|own| own.name() == hook) {
        return no(format!(
            "the service is called at {hook:?}: only order-select and order-sign are asked from here"
        ));
    }
    hook.clone_into(&mut own.hook);
    let wanted = found.get("prefetch").and_then(Value::as_object);
    let wanted = wanted.into_iter().flatten().take(50);
    own.prefetch = wanted
        .filter_map(|(key, template)| Some((key.clone(), template.as_str()?.to_owned())))
        .collect();
    Ok(())
}

async fn call(
    app: &App,
    caller: &Caller,
    own: &HookService,
    (method, url, body, deadline): (Method, String, Bytes, Duration),
) -> Result<Value, String> {
    let json = HeaderValue::from_static("application/json");
    let mut headers: Vec<(HeaderName, HeaderValue)> =
        vec![(header::ACCEPT, json.clone()), (header::CONTENT_TYPE, json)];
    if let Some(name) = &own.secret {
        let token = secret(app, caller.scope.tenant(), name).await;
        let token = token.map_err(|error| error.public_text().into_owned())?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut value = value.map_err(|_| "its secret is no bearer token".to_owned())?;
        value.set_sensitive(true);
        headers.push((header::AUTHORIZATION, value));
    }
    let request = Call {
        method,
        url,
        headers,
        body,
        deadline: Some(deadline),
        answer_bytes: Some(ANSWER_BYTES),
    };
    let answer = app.outbound().call(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status != http::StatusCode::OK {
        return Err(format!("it answered {}", answer.status.as_u16()));
    }
    serde_json::from_slice(&answer.body).map_err(|_| "its answer is no JSON".to_owned())
}

/// What the services say of an order that is being written. An order has no id before it is stored.
pub async fn advise(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    order: &Value,
) -> Result<Vec<Advice>, AppError> {
    let found = known(app, caller).await?;
    let active: Vec<HookService> = found.into_iter().filter(|own| own.active).collect();
    let asked = active.iter().map(|own| async move {
        let answered = one(app, caller, own, (patient, order)).await;
        let (cards, kept) = match answered {
            Ok((cards, kept)) => (Ok(cards), kept),
            Err(why) => (Err(why), false),
        };
        Advice {
            name: own.name.clone(),
            cards,
            kept,
        }
    });
    Ok(join_all(asked).await)
}

async fn one(
    app: &App,
    caller: &Caller,
    own: &HookService,
    (patient, order): (&ResourceKey, &Value),
) -> Result<(Arc<Vec<Card>>, bool), String> {
    let budget = Duration::from_millis(u64::from(own.budget_ms));
    let body = request(app, caller, own, (&patient.id, order)).await;
    let mut body = body.map_err(|error| error.public_text().into_owned())?;
    let hash = Sha256::new()
        .chain_update(own.base.as_bytes())
        .chain_update([0])
        .chain_update(own.service.as_bytes())
        .chain_update([0])
        .chain_update(body.to_string().as_bytes())
        .finalize();
    let place = (caller.scope.tenant(), hash.into());
    let cache = &app.caches().hook_advice.0;
    if let Some(cards) = cache.get(&place) {
        return Ok((cards, true));
    }
    crate::medicines::issue::set(&mut body, "hookInstance", app.ids().uuid().to_string());
    let detail = format!("{} ({}/cds-services/{})", own.name, own.base, own.service);
    let mut entry = house_entry(
        app,
        caller,
        Log::Access,
        Class::Export,
        "cds-service-call",
        Some(detail),
    );
    entry.payload.patient = Some(patient.id.as_str().to_owned());
    entry.subject = Some(patient.id.clone());
    // Before anything leaves.
    let recorded = app.store().record_access(&caller.scope, vec![entry]).await;
    recorded.map_err(|_| "the ledger did not take the entry".to_owned())?;
    let url = format!("{}/cds-services/{}", own.base, own.service);
    let sent = (Method::POST, url, Bytes::from(body.to_string()), budget);
    let answer = call(app, caller, own, sent).await?;
    let cards = Arc::new(cards(&answer)?);
    cache.insert(place, Arc::clone(&cards));
    Ok((cards, false))
}

/// The cards of an answer; an answer that is none is no answer.
fn cards(answer: &Value) -> Result<Vec<Card>, String> {
    let found = answer.get("cards").and_then(Value::as_array);
    let found = found.ok_or_else(|| "its answer has no cards".to_owned())?;
    let read = |own: &Value| {
        let text = |path: &str, most: usize| -> Option<String> {
            let text = own.pointer(path)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.chars().take(most).collect())
        };
        let indicator = text("/indicator", 10)?;
        let known = ["info", "warning", "critical"].contains(&indicator.as_str());
        known.then_some(Card {
            summary: text("/summary", 140)?,
            detail: text("/detail", 4_000).unwrap_or_default(),
            source: text("/source/label", 200)?,
            indicator,
        })
    };
    let all: Option<Vec<Card>> = found.iter().take(CARDS).map(read).collect();
    let mut all = all.ok_or_else(|| "one of its cards lacks what a card must have".to_owned())?;
    let rank = |own: &Card| {
        ["critical", "warning"]
            .iter()
            .position(|word| own.indicator == *word)
            .unwrap_or(2)
    };
    all.sort_by_key(rank);
    Ok(all)
}

/// The request, but for the moment's id, which would make every question another one.
async fn request(
    app: &App,
    caller: &Caller,
    own: &HookService,
    (patient, order): (&LogicalId, &Value),
) -> Result<Value, AppError> {
    const DRAFT: &str = "draft-1";
    let mut draft = order.clone();
    crate::medicines::issue::set(&mut draft, "id", DRAFT);
    crate::medicines::issue::set(&mut draft, "status", "draft");
    let user = caller.subject.practitioner().map_or_else(
        || caller.subject.actor().id.as_uuid().to_string(),
        |own| own.as_str().to_owned(),
    );
    let user = format!("Practitioner/{user}");
    let mut context = json!({
        "userId": user, "patientId": patient.as_str(),
        "draftOrders": { "resourceType": "Bundle", "type": "collection", "entry": [{ "resource": draft }] },
    });
    if own.hook == Hook::OrderSelect.name() {
        let selected = json!([format!("MedicationRequest/{DRAFT}")]);
        crate::medicines::issue::set(&mut context, "selections", selected);
    }
    let mut prefetch = Map::new();
    for (key, template) in &own.prefetch {
        let filled = template
            .replace("{{context.patientId}}", patient.as_str())
            .replace("{{context.userId}}", &user);
        if filled.contains("{{") {
            continue;
        }
        match satisfied(app, caller, &filled).await {
            Ok(Some(value)) => {
                prefetch.insert(key.clone(), value);
            }
            // What the person may not see, or nobody understands, is not sent.
            Ok(None)
            | Err(
                AppError::Denied { .. }
                | AppError::NotFound { .. }
                | AppError::Query(_)
                | AppError::TooCostly(_),
            ) => {}
            Err(error) => return Err(error),
        }
    }
    let mut body = json!({ "hook": own.hook, "context": context });
    if !prefetch.is_empty() {
        crate::medicines::issue::set(&mut body, "prefetch", prefetch);
    }
    Ok(body)
}

/// What a template stands for: a resource, or a list.
async fn satisfied(app: &App, caller: &Caller, filled: &str) -> Result<Option<Value>, AppError> {
    let (path, query) = filled.split_once('?').unwrap_or((filled, ""));
    let named = |name: &str| app.definitions().resource(name);
    if let Some((ty, id)) = path.split_once('/') {
        let (Some(ty), Ok(id)) = (named(ty), id.parse()) else {
            return Ok(None);
        };
        let found = read::read(app, caller, &ResourceKey { ty, id }).await?;
        return Ok(match found.body {
            Some(body) => Some(serde_json::from_slice(&body)?),
            None => None,
        });
    }
    let (Some(ty), Some(params)) = (named(path), query_string::parse(query)) else {
        return Ok(None);
    };
    let request = SearchRequest {
        ty,
        params,
        lenient: false,
    };
    let (found, _) = whole(app, caller, &request, MOST).await?;
    let mut entries: Vec<Value> = Vec::new();
    for version in found {
        let Some(body) = version.body else { continue };
        let resource: Value = serde_json::from_slice(&body)?;
        entries.push(json!({ "resource": resource, "search": { "mode": "match" } }));
    }
    let mut bundle =
        json!({ "resourceType": "Bundle", "type": "searchset", "total": entries.len() });
    if !entries.is_empty() {
        crate::medicines::issue::set(&mut bundle, "entry", entries);
    }
    Ok(Some(bundle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cards_or_none() {
        let card = |indicator: &str| json!({ "summary": "x", "indicator": indicator, "source": { "label": "y" } });
        let found = cards(&json!({ "cards": [card("info"), card("critical")] })).unwrap();
        let order: Vec<&str> = found.iter().map(|own| own.indicator.as_str()).collect();
        assert_eq!(order, ["critical", "info"]);
        assert_eq!(cards(&json!({ "cards": [] })), Ok(Vec::new()));
        for bad in [
            json!({}),
            json!({ "cards": {} }),
            json!({ "cards": [card("loud")] }),
            json!({ "cards": [{ "summary": "x", "indicator": "info" }] }),
            json!({ "cards": [{ "indicator": "info", "source": { "label": "y" } }] }),
        ] {
            assert!(cards(&bad).is_err(), "{bad}");
        }
    }
}
