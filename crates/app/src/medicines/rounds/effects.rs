//! What doses given when needed brought about: an Observation that is part of the administration. Must not
//! close a question that nobody answered.

use std::collections::HashMap;

use fhir::json::Value;
use identity::Interaction;
use kernel::Timestamp;
use medication::administration::{Effect, EffectRecord, Outcome};
use medication::ids::{PersonId, RecordId};
use medication::resources::{person, read_administration};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::ResourceKey;

use super::load::{Loading, Person};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::brought::absent;
use crate::medicines::give::about;
use crate::medicines::issue::set;
use crate::medicines::prescribe::{resource_type, signer, stored};
use crate::medicines::witness::patient;
use crate::record::bundle::guarded;
use crate::record::name_of;

/// System of the codes of this file: what is observed, and the effects.
pub const EFFECTS: &str = "https://theriac.example.org/fhir/CodeSystem/medication-effect";
/// The code of what is observed.
const OBSERVED: &str = "effect";

/// A dose whose effect is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectDue {
    /// The id of the MedicationAdministration.
    pub record: String,
    /// What was given.
    pub name: String,
    /// What for.
    pub needed_for: String,
    /// When it was given.
    #[serde(serialize_with = "super::today::instant")]
    pub given: Timestamp,
    /// Since when its effect is to be asked for.
    #[serde(serialize_with = "super::today::instant")]
    pub due: Timestamp,
}

/// What came of asking.
#[derive(Debug, Clone)]
pub struct NewEffect {
    /// What came of it.
    pub effect: Effect,
    /// In words.
    pub note: Option<String>,
    /// When it was asked; now.
    pub at: Option<Timestamp>,
}

/// The code of an effect.
fn code(effect: Effect) -> String {
    let value = serde_json::to_value(effect).unwrap_or_default();
    value.as_str().unwrap_or("not-known").to_owned()
}

/// An effect by code.
#[must_use]
pub fn effect(code: &str) -> Option<Effect> {
    serde_json::from_value(json!(code)).ok()
}

/// Records what a dose brought about; answers the name of the Observation.
pub async fn record_effect(
    app: &App,
    caller: &Caller,
    dose: &ResourceKey,
    new: &NewEffect,
) -> Result<String, AppError> {
    let observation = observation(app, caller, dose, new).await?;
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "request": { "method": "POST", "url": "Observation" }, "resource": observation,
    }]});
    let done = guarded(app, caller, bundle.to_string().into(), None, Vec::new()).await?;
    stored(&done, "Observation")
}

/// Records what a device brings of a dose: the same is taken in once. Answers whether it is new.
pub(super) async fn brought(
    app: &App,
    caller: &Caller,
    dose: &ResourceKey,
    new: &NewEffect,
) -> Result<bool, AppError> {
    let mut observation = observation(app, caller, dose, new).await?;
    let mut hash = Sha256::new();
    let at = new.at.unwrap_or(app.now()).to_string();
    for part in [
        dose.id.as_str(),
        &at,
        &code(new.effect),
        new.note.as_deref().unwrap_or_default(),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let text = data_encoding::HEXLOWER.encode(&hash.finalize());
    let id = format!("effect-{}", text.get(..32).unwrap_or(&text));
    let key = ResourceKey {
        ty: resource_type(app, "Observation")?,
        id: id
            .parse()
            .map_err(|_| AppError::Fault("an id is none".to_owned()))?,
    };
    let keys = core::slice::from_ref(&key);
    let heads = app.store().heads(&caller.scope, keys).await?;
    if heads.into_iter().flatten().next().is_some() {
        return Ok(false);
    }
    set(&mut observation, "id", id.as_str());
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "request": { "method": "PUT", "url": format!("Observation/{id}") }, "resource": observation,
    }]});
    guarded(
        app,
        caller,
        bundle.to_string().into(),
        None,
        vec![absent(&key)],
    )
    .await?;
    Ok(true)
}

async fn observation(
    app: &App,
    caller: &Caller,
    dose: &ResourceKey,
    new: &NewEffect,
) -> Result<serde_json::Value, AppError> {
    let of = |own: Value<'_>| patient(app, own);
    let (held, whom, _) = about(app, caller, dose, Interaction::Read, of).await?;
    let record = read_administration(held.root())
        .map_err(|error| AppError::Unprocessable(error.to_string()))?;
    let wrong = |text: &str| Err(AppError::Unprocessable(text.to_owned()));
    if !record.outcome.is_taken() || record.outcome == Outcome::Destroyed {
        return wrong("the dose was not taken: it has no effect to record");
    }
    let at = new.at.unwrap_or(app.now());
    if at < record.happened {
        return wrong("the effect is dated before the dose: correct the time");
    }
    let mut observation = json!({
        "resourceType": "Observation", "status": "final",
        "code": {
            "coding": [{ "system": EFFECTS, "code": OBSERVED }],
            "text": format!("Effect of {}", record.product),
        },
        "subject": { "reference": name_of(&whom) },
        "partOf": [{ "reference": name_of(dose) }],
        "effectiveDateTime": at.to_fhir_instant(),
        "performer": [signer(caller)],
        "valueCodeableConcept": { "coding": [{ "system": EFFECTS, "code": code(new.effect) }] },
    });
    if let Some(note) = new.note.as_deref().filter(|own| !own.trim().is_empty()) {
        set(&mut observation, "note", json!([{ "text": note.trim() }]));
    }
    Ok(observation)
}

fn read(own: Value<'_>) -> Option<EffectRecord> {
    if own.get_str("status").as_deref() == Some("entered-in-error") {
        return None;
    }
    let part = own.get("partOf")?.items().next()?.get_str("reference")?;
    let of: RecordId = part
        .strip_prefix("MedicationAdministration/")?
        .parse()
        .ok()?;
    let coding = own.get("valueCodeableConcept")?.get("coding")?;
    let mut codes = coding.items();
    let code = codes.find(|own| own.get_str("system").as_deref() == Some(EFFECTS))?;
    let by = own.get("performer").and_then(|own| own.items().next());
    let by: Option<PersonId> = by.and_then(person).and_then(|own| own.parse().ok());
    let note = own.get("note").and_then(|own| own.items().next());
    Some(EffectRecord {
        of,
        at: Timestamp::from_rfc3339(&own.get_str("effectiveDateTime")?)?,
        by: by?,
        effect: effect(&code.get_str("code")?)?,
        note: note.and_then(|own| own.get_str("text").map(Into::into)),
    })
}

/// The effects that were recorded of many patients since a time.
pub(super) async fn of_many(
    loading: &Loading<'_>,
    since: Timestamp,
) -> Result<HashMap<String, Vec<EffectRecord>>, AppError> {
    let code = format!("{EFFECTS}|{OBSERVED}");
    let since = format!("ge{}", since.to_fhir_instant());
    let criteria = [("code", code.as_str()), ("date", since.as_str())];
    let found = loading
        .search(("Observation", "subject"), &criteria)
        .await?;
    let read = |list: Vec<crate::medicines::regimen::Held>| {
        list.iter().filter_map(|own| read(own.root())).collect()
    };
    Ok(found
        .into_iter()
        .map(|(patient, list)| (patient, read(list)))
        .collect())
}

/// What of a patient is to be asked by now.
pub(super) fn due(person: &Person, now: Timestamp) -> Vec<EffectDue> {
    let asked = |id: &RecordId| person.effects.iter().any(|own| own.of == *id);
    let heads = person.records.book.heads();
    let mut found: Vec<EffectDue> = heads
        .filter_map(|head| {
            let record = head.record;
            let need = record.need.as_ref()?;
            let due = need.effect_due.filter(|due| *due <= now)?;
            (record.outcome.is_taken() && !asked(&record.id)).then(|| EffectDue {
                record: record.id.as_str().to_owned(),
                name: record.product.clone(),
                needed_for: need.reason.clone(),
                given: record.happened,
                due,
            })
        })
        .collect();
    found.sort_by_key(|own| own.due);
    found
}

/// The effects to be asked for by now, of everybody on a round.
pub async fn effects_due(
    app: &App,
    caller: &Caller,
    request: &super::RoundRequest,
) -> Result<Vec<(String, EffectDue)>, AppError> {
    let round = super::round(app, caller, request).await?;
    let each = round.stops.into_iter().flat_map(|stop| {
        let patient = stop.patient;
        let own = stop.effects.into_iter();
        own.map(move |due| (patient.clone(), due))
    });
    Ok(each.collect())
}
