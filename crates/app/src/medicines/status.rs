//! Stopping, holding, resuming and renewing an order that is on the record. Each is one commit of the order
//! and a Provenance that says who and why. Must not put an order back in force unchecked: what is resumed is
//! checked against the list of today, what is renewed is prescribed anew.

use bytes::Bytes;
use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use jiff::civil::Date;
use kernel::Timestamp;
use medication::resources::BASE;
use serde_json::json;
use store::{Guard, ResourceKey};

use super::check::{CheckAnswer, judge, without};
use super::countersign::{signed, unsigned};
use super::elsewhere::When;
use super::issue::{set, title};
use super::prescribe::{
    For, Prescribed, Prescription, prescribe, resource_type, signer, standing, subject,
};
use super::sources;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::bundle::{BundleAnswer, guarded};
use crate::record::{name_of, read};
use medication::checks::overrides::Override;

/// HL7's reasons for the status of a MedicationRequest, with what people read.
pub const REASONS: [(&str, &str); 10] = [
    ("altchoice", "Another treatment is tried first"),
    ("sintol", "Not tolerated"),
    ("salg", "Allergy"),
    ("drughigh", "Level in the blood too high"),
    ("labint", "Interferes with a test"),
    ("preg", "Pregnant or breast-feeding"),
    ("sddi", "Interacts with another medicine"),
    ("sdupther", "Duplicate treatment"),
    ("hospadm", "Admitted to hospital"),
    ("surg", "Surgery or another procedure"),
];
/// Their system.
pub const REASON_SYSTEM: &str =
    "http://terminology.hl7.org/CodeSystem/medicationrequest-status-reason";

/// What is to become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ends now; a draft is withdrawn.
    Stop,
    /// Nothing is due until then; without a time, until somebody resumes it.
    Hold(Option<Timestamp>),
    /// It goes on.
    Resume,
}

impl Change {
    const fn done(self) -> &'static str {
        match self {
            Self::Stop => "Stopped",
            Self::Hold(_) => "Held",
            Self::Resume => "Resumed",
        }
    }
}

/// A change with why.
#[derive(Debug, Clone)]
pub struct Changing {
    /// What.
    pub change: Change,
    /// One of [`REASONS`].
    pub code: Option<String>,
    /// Why, in words; asked for where there is no code.
    pub text: Option<String>,
    /// The version that was looked at; the change is refused where the order was changed since.
    pub version: Option<u32>,
}

/// What came of it.
#[derive(Debug)]
pub struct Changed {
    /// The answer of the transaction.
    pub bundle: BundleAnswer,
    /// What was found, where the order was put back in force.
    pub checked: Option<CheckAnswer>,
}

fn refuse<T>(text: &str) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.to_owned()))
}

/// The reason as a FHIR CodeableConcept.
fn reason(changing: &Changing) -> Result<serde_json::Value, AppError> {
    let text = changing.text.as_deref().map(str::trim);
    let text = text.filter(|text| !text.is_empty());
    let mut concept = json!({});
    if let Some(code) = changing.code.as_deref().filter(|code| !code.is_empty()) {
        let Some((code, display)) = REASONS.iter().find(|(own, _)| *own == code) else {
            return refuse("the reason is none of the list: choose one of it, or say why in words");
        };
        let coding = json!([{ "system": REASON_SYSTEM, "code": code, "display": display }]);
        set(&mut concept, "coding", coding);
    } else if text.is_none() {
        return refuse("a reason is missing: choose one, or say why in words");
    }
    if let Some(text) = text {
        set(&mut concept, "text", text);
    }
    Ok(concept)
}

/// Changes the status of an order.
pub async fn change(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    changing: &Changing,
) -> Result<Changed, AppError> {
    let ty = resource_type(app, "MedicationRequest")?;
    authorise(app, caller, &Ask::of_type(Interaction::Update, ty)).await?;
    let version = read::read(app, caller, key).await?;
    if changing
        .version
        .is_some_and(|seen| seen != version.version.0)
    {
        return Err(AppError::Conflict(format!(
            "{} was changed since it was shown: look at it again",
            name_of(key)
        )));
    }
    let body = version.body.clone().unwrap_or_default();
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let order = document.root();
    let patient = subject(app, order)?;
    let why = reason(changing)?;
    let mut resource: serde_json::Value = serde_json::from_slice(&body)?;
    let now = app.now();
    apply(&mut resource, changing.change, (now, &why))?;
    let (checked, guards) = if changing.change == Change::Resume {
        let (checked, guards) = again(app, caller, &patient, order).await?;
        (Some(checked), guards)
    } else {
        (None, Vec::new())
    };
    let entry = (key, version.version.to_string(), resource);
    let told = (changing.change.done(), &why, name_of(&patient));
    let bundle = transaction(app, caller, entry, told);
    let bundle = guarded(app, caller, bundle, None, guards).await?;
    Ok(Changed { bundle, checked })
}

/// Checks an order that is put back in force as if it were new: what interrupts must have been answered
/// when it was prescribed.
async fn again(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    order: Value<'_>,
) -> Result<(CheckAnswer, Vec<Guard>), AppError> {
    let regimen = without(app, caller, patient, order).await?;
    let sources = sources(app).await?;
    let checked = judge(app, caller, &sources, &regimen, (&[order], When::Now)).await;
    let standing = standing(app, caller, &checked, &regimen, For::Order).await?;
    let signed = signed(app, caller, order).await?;
    if let Some(shown) = unsigned(&checked, &signed, &standing) {
        return Err(AppError::Conflict(format!(
            "{} interrupts and was not answered for this order: stop it and prescribe again",
            title(&checked, shown)
        )));
    }
    Ok((checked, regimen.guards))
}

fn apply(
    resource: &mut serde_json::Value,
    change: Change,
    (now, why): (Timestamp, &serde_json::Value),
) -> Result<(), AppError> {
    let status = resource.get("status").and_then(serde_json::Value::as_str);
    let status = status.unwrap_or_default().to_owned();
    let held = held_at(resource, now);
    match (change, status.as_str()) {
        (Change::Stop, "draft") => set(resource, "status", "cancelled"),
        (Change::Stop, "active" | "on-hold" | "unknown") => {
            release(resource, now);
            stop(resource, now);
        }
        (Change::Hold(until), "active") if !held => {
            if until.is_some_and(|until| until <= now) {
                return refuse("the end of the hold is not after now: state a later time");
            }
            hold(resource, (now, until), &words(why));
        }
        (Change::Resume, "on-hold") => {
            release(resource, now);
            set(resource, "status", "active");
        }
        (Change::Resume, "active") if held => release(resource, now),
        (Change::Hold(_), "active") => {
            return Err(AppError::Conflict(
                "the order is held already: resume it first".to_owned(),
            ));
        }
        (Change::Resume, "active") => {
            return Err(AppError::Conflict(
                "the order is in force already".to_owned(),
            ));
        }
        (_, status) => {
            return Err(AppError::Conflict(format!(
                "the order is {status}: prescribe it again where it is to go on"
            )));
        }
    }
    set(resource, "statusReason", why.clone());
    Ok(())
}

/// The words of a reason.
fn words(why: &serde_json::Value) -> String {
    let text = |pointer: &str| why.pointer(pointer).and_then(serde_json::Value::as_str);
    let own = text("/text").or_else(|| text("/coding/0/display"));
    own.unwrap_or_default().to_owned()
}

/// Ends an order: from now on nothing of it is due.
pub(super) fn stop(resource: &mut serde_json::Value, now: Timestamp) {
    set(resource, "status", "stopped");
    let stop =
        json!({ "url": format!("{BASE}order-stop"), "valueDateTime": now.to_fhir_instant() });
    extensions(resource, |list| {
        list.retain(|own| !is(own, "order-stop"));
        list.push(stop.clone());
    });
}

fn is(extension: &serde_json::Value, name: &str) -> bool {
    let url = extension.get("url").and_then(serde_json::Value::as_str);
    url.and_then(|url| url.strip_prefix(BASE)) == Some(name)
}

fn extensions(resource: &mut serde_json::Value, change: impl FnOnce(&mut Vec<serde_json::Value>)) {
    let mut list = resource
        .get("extension")
        .and_then(serde_json::Value::as_array)
        .cloned()
        .unwrap_or_default();
    change(&mut list);
    if list.is_empty() {
        if let Some(members) = resource.as_object_mut() {
            members.remove("extension");
        }
    } else {
        set(resource, "extension", list);
    }
}

fn hold(resource: &mut serde_json::Value, (now, until): (Timestamp, Option<Timestamp>), why: &str) {
    let mut parts = vec![json!({ "url": "from", "valueDateTime": now.to_fhir_instant() })];
    match until {
        Some(until) => {
            parts.push(json!({ "url": "to", "valueDateTime": until.to_fhir_instant() }));
        }
        None => set(resource, "status", "on-hold"),
    }
    parts.push(json!({ "url": "reason", "valueString": why }));
    let pause = json!({ "url": format!("{BASE}order-pause"), "extension": parts });
    extensions(resource, |list| list.push(pause));
}

/// From when until when a pause is.
fn pause(extension: &serde_json::Value) -> (Option<Timestamp>, Option<Timestamp>) {
    let at = |name: &str| {
        let parts = extension.get("extension")?.as_array()?;
        let part = parts
            .iter()
            .find(|part| part.get("url") == Some(&json!(name)))?;
        Timestamp::from_rfc3339(part.get("valueDateTime")?.as_str()?)
    };
    (at("from"), at("to"))
}

/// Whether a pause of the order holds at a time.
#[must_use]
pub fn held_at(resource: &serde_json::Value, now: Timestamp) -> bool {
    let list = resource
        .get("extension")
        .and_then(serde_json::Value::as_array);
    let mut pauses = list
        .into_iter()
        .flatten()
        .filter(|own| is(own, "order-pause"));
    pauses.any(|own| {
        let (from, to) = pause(own);
        from.is_some_and(|from| from <= now) && to.is_none_or(|to| now < to)
    })
}

/// Ends the pauses that hold now.
fn release(resource: &mut serde_json::Value, now: Timestamp) {
    let end = json!({ "url": "to", "valueDateTime": now.to_fhir_instant() });
    extensions(resource, |list| {
        for own in list.iter_mut().filter(|own| is(own, "order-pause")) {
            let (from, to) = pause(own);
            if from.is_none_or(|from| from > now) || to.is_some_and(|to| to <= now) {
                continue;
            }
            if let Some(parts) = own
                .get_mut("extension")
                .and_then(serde_json::Value::as_array_mut)
            {
                parts.retain(|part| part.get("url") != Some(&json!("to")));
                parts.push(end.clone());
            }
        }
    });
}

fn transaction(
    app: &App,
    caller: &Caller,
    (key, version, resource): (&ResourceKey, String, serde_json::Value),
    (done, why, patient): (&str, &serde_json::Value, String),
) -> Bytes {
    let name = name_of(key);
    let provenance = json!({
        "resourceType": "Provenance",
        // With the patient, so that it belongs to those who may see the patient.
        "target": [{ "reference": name }, { "reference": patient }],
        "recorded": app.now().to_fhir_instant(),
        "activity": { "text": done }, "reason": [why],
        "agent": [{ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author",
        }]}, "who": signer(caller) }],
    });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": name, "ifMatch": format!("W/\"{version}\"") }, "resource": resource },
        { "request": { "method": "POST", "url": "Provenance" }, "resource": provenance },
    ]});
    bundle.to_string().into()
}

/// The order that renews another one: the same medicine and dose from now on, in the place of the old one.
///
/// # Errors
/// An order that states its own days, so that from now on it would be another one.
fn renewed(
    name: &str,
    mut resource: serde_json::Value,
    review: Option<Date>,
) -> Result<serde_json::Value, AppError> {
    if let Some(members) = resource.as_object_mut() {
        for gone in [
            "id",
            "meta",
            "text",
            "identifier",
            "detectedIssue",
            "eventHistory",
            "statusReason",
            "authoredOn",
            "requester",
            "recorder",
        ] {
            members.remove(gone);
        }
    }
    let dosages = resource.get_mut("dosageInstruction");
    for dosage in dosages
        .and_then(serde_json::Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(timing) = dosage.get_mut("timing").and_then(|own| own.as_object_mut()) else {
            continue;
        };
        if timing.contains_key("event") {
            return refuse("the order names single days: prescribe it again with those of today");
        }
        let repeat = timing.get_mut("repeat").and_then(|own| own.as_object_mut());
        let Some(repeat) = repeat else { continue };
        let ends = repeat.get("boundsPeriod").and_then(|own| own.get("end"));
        if ends.is_some() {
            return refuse("the order states its last day: prescribe it again with another one");
        }
        repeat.remove("boundsPeriod");
    }
    extensions(&mut resource, |list| {
        let of_before = ["order-stop", "order-pause", "order-review"];
        list.retain(|own| !of_before.iter().any(|name| is(own, name)));
        list.extend(review.map(
            |day| json!({ "url": format!("{BASE}order-review"), "valueDate": day.to_string() }),
        ));
    });
    set(&mut resource, "status", "active");
    set(&mut resource, "intent", "order");
    set(
        &mut resource,
        "priorPrescription",
        json!({ "reference": name }),
    );
    Ok(resource)
}

/// Prescribes an order anew, in the place of the old one and with a new day of review.
pub async fn renew(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    (overrides, review): (Vec<Override>, Option<Date>),
) -> Result<Prescribed, AppError> {
    let ty = resource_type(app, "MedicationRequest")?;
    authorise(app, caller, &Ask::of_type(Interaction::Create, ty)).await?;
    let version = read::read(app, caller, key).await?;
    let resource: serde_json::Value =
        serde_json::from_slice(&version.body.clone().unwrap_or_default())?;
    let status = resource.get("status").and_then(serde_json::Value::as_str);
    if matches!(status, Some("draft" | "entered-in-error")) {
        return Err(AppError::Conflict(
            "an order that never was in force is not renewed: prescribe it".to_owned(),
        ));
    }
    let order = renewed(&name_of(key), resource, review)?;
    let document = Document::parse(order.to_string().into_bytes(), &Limits::default())?;
    let request = Prescription {
        order: document.root(),
        overrides,
    };
    prescribe(app, caller, &request).await
}
