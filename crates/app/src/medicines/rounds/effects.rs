//! What doses given when needed brought about: an Observation that is part of the administration. Must not
//! close a question that nobody answered.

use fhir::json::Value;
use identity::Interaction;
use kernel::Timestamp;
use medication::administration::{Effect, EffectRecord, Outcome};
use medication::ids::{PersonId, RecordId};
use medication::resources::{person, read_administration};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{Guard, ResourceKey};

use super::load::Person;
use super::questions;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::brought::absent;
use crate::medicines::give::about;
use crate::medicines::issue::set;
use crate::medicines::prescribe::{resource_type, signer, stored};
use crate::medicines::regimen::held;
use crate::medicines::witness::patient;
use crate::record::bundle::{Beside, guarded_with};
use crate::record::name_of;
use crate::record::search::{SearchRequest, whole};

/// System of the codes of this file: what is observed, and the effects.
pub const EFFECTS: &str = "https://theriac.example.org/fhir/CodeSystem/medication-effect";
/// Most effects that are looked at.
const MOST: u32 = 50_000;
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
    let (observation, whom) = observation(app, caller, dose, new).await?;
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "request": { "method": "POST", "url": "Observation" }, "resource": observation,
    }]});
    let beside = closing(app, &whom, dose, Vec::new());
    let done = guarded_with(app, caller, bundle.to_string().into(), None, beside).await?;
    stored(&done, "Observation")
}

/// Records what a device brings of a dose: the same is taken in once. Answers whether it is new.
pub(super) async fn brought(
    app: &App,
    caller: &Caller,
    dose: &ResourceKey,
    new: &NewEffect,
) -> Result<bool, AppError> {
    let (mut observation, whom) = observation(app, caller, dose, new).await?;
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
    let beside = closing(app, &whom, dose, vec![absent(&key)]);
    guarded_with(app, caller, bundle.to_string().into(), None, beside).await?;
    Ok(true)
}

/// What is committed with the record of an effect: the question is closed.
fn closing(app: &App, whom: &ResourceKey, dose: &ResourceKey, guards: Vec<Guard>) -> Beside {
    Beside {
        guards,
        docs: vec![questions::closed(app, &whom.id, dose.id.as_str())],
        ..Beside::default()
    }
}

async fn observation(
    app: &App,
    caller: &Caller,
    dose: &ResourceKey,
    new: &NewEffect,
) -> Result<(serde_json::Value, ResourceKey), AppError> {
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
    Ok((observation, whom))
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

/// Doses named in one search.
const AT_A_TIME: usize = 100;

/// The effects that were recorded of some doses, by patient.
pub(super) async fn of_doses(
    app: &App,
    caller: &Caller,
    doses: &[RecordId],
) -> Result<Vec<(String, EffectRecord)>, AppError> {
    let code = format!("{EFFECTS}|{OBSERVED}");
    let mut found = Vec::new();
    for part in doses.chunks(AT_A_TIME) {
        let names = part
            .iter()
            .map(|id| format!("MedicationAdministration/{id}"));
        let names: Vec<String> = names.collect();
        let request = SearchRequest {
            ty: resource_type(app, "Observation")?,
            params: vec![
                ("code".to_owned(), code.clone()),
                ("part-of".to_owned(), names.join(",")),
            ],
            lenient: false,
        };
        for version in whole(app, caller, &request, MOST).await?.0 {
            let own = held(version)?;
            let subject = own.root().get("subject");
            let whose = subject.and_then(|own| own.get_str("reference"));
            let whose = whose.and_then(|own| own.strip_prefix("Patient/").map(str::to_owned));
            found.extend(whose.zip(read(own.root())));
        }
    }
    Ok(found)
}

/// Of some doses those of which somebody said what they brought about.
pub(super) async fn told(
    app: &App,
    caller: &Caller,
    doses: &[RecordId],
) -> Result<Vec<RecordId>, AppError> {
    let found = of_doses(app, caller, doses).await?;
    Ok(found.into_iter().map(|(_, own)| own.of).collect())
}

/// What of a patient is to be asked by now.
pub(super) fn due(person: &Person, now: Timestamp) -> Vec<EffectDue> {
    let told: Vec<RecordId> = person.effects.iter().map(|own| own.of.clone()).collect();
    let book = &person.records.book;
    let heads = book.heads();
    let mut found: Vec<EffectDue> = heads
        .filter_map(|head| {
            let record = head.record;
            let need = record.need.as_ref()?;
            let due = need.effect_due.filter(|due| *due <= now)?;
            let told = questions::is_told(book, record, &told);
            (record.outcome.is_taken() && !told).then(|| EffectDue {
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
