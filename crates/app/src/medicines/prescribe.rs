//! `MedicationRequest/$prescribe`: an order is checked against what is on the record and stored only when
//! every alert that interrupts was answered. A contraindicated one is stored as a draft, which a second
//! person signs ([`super::countersign`]). Order, alerts and their reasons are one commit, made only if
//! the list and the allergies are still those that were checked.

use std::borrow::Cow;

use bytes::Bytes;
use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use medication::checks::overrides::{Fingerprint, Override, Reason, accept, stands};
use medication::dosage::{Dosage, Weight};
use medication::knowledge::Tier;
use serde_json::json;
use store::{DocExpected, ResourceKey};

use super::check::{CheckAnswer, Shown, check, judge, replaces};
use super::elsewhere::When;
use super::ground::names;
use super::issue::{FINGERPRINT, REASON, Stand, detected_issue, set, unchecked};
use super::regimen::Regimen;
use super::signatures::{self, OrderSigned};
use super::status::stop;
use super::{regimen, sources};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::idempotency;
use crate::record::bundle::{Beside, BundleAnswer, guarded, guarded_with};
use crate::record::search::{SearchRequest, whole};
use crate::retry::Retry;

/// What is asked for.
#[derive(Debug)]
pub struct Prescription<'a> {
    /// The MedicationRequest, without an id.
    pub order: Value<'a>,
    /// Overrides of alerts that were shown before.
    pub overrides: Vec<Override>,
}

/// What came of it.
#[derive(Debug)]
pub struct Prescribed {
    /// What was found.
    pub checked: CheckAnswer,
    /// How it ended.
    pub end: End,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// The order was not stored: these alerts, by place, want an answer, and why the one given is none.
    Held(Vec<(usize, String)>),
    /// Stored: the address of the order, and whether it waits for a second person.
    Stored {
        /// `MedicationRequest/1`.
        order: String,
        /// Stored as a draft.
        waits: bool,
        /// The answer of the transaction.
        bundle: BundleAnswer,
    },
}

/// Who signs, as a FHIR Reference: always with the account, which tells two people apart even where they
/// have, or later get, a Practitioner resource.
pub(super) fn signer(caller: &Caller) -> serde_json::Value {
    let actor = caller.subject.actor();
    let mut signer = json!({
        "identifier": { "system": "urn:ietf:rfc:3986", "value": account(caller) },
        "display": actor.name,
    });
    if let Some(practitioner) = caller.subject.practitioner() {
        let reference = format!("Practitioner/{}", practitioner.as_str());
        set(&mut signer, "reference", reference);
    }
    signer
}

/// The account of the caller, as [`signer`] names it.
pub(super) fn account(caller: &Caller) -> String {
    format!("urn:uuid:{}", caller.subject.actor().id.as_uuid())
}

/// Checks an order and stores it, or says what keeps it.
pub async fn prescribe(
    app: &App,
    caller: &Caller,
    request: &Prescription<'_>,
) -> Result<Prescribed, AppError> {
    let order = request.order;
    let patient = subject(app, order)?;
    let ty = resource_type(app, "MedicationRequest")?;
    authorise(app, caller, &Ask::of_type(Interaction::Create, ty)).await?;
    acceptable(order)?;
    let key = idempotency::Request::of(caller, "prescribe", order.raw());
    if idempotency::look_up(app, caller, key.as_ref())
        .await?
        .is_some()
    {
        return again(app, caller, &patient, key).await;
    }
    let mut retry = Retry::new();
    loop {
        let mut regimen = regimen::load(app, caller, &patient, "$prescribe").await?;
        regimen::extend(app, caller, &mut regimen, &[order]).await?;
        let sources = sources(app).await?;
        let checked = judge(app, caller, &sources, &regimen, (&[order], When::Now)).await;
        let standing = standing(app, caller, &checked, &regimen, For::Order).await?;
        let answers = match answered(caller, &checked, &request.overrides, &standing) {
            Ok(answers) => answers,
            Err(held) => {
                keep_shown(app, caller, &checked, &held).await?;
                return Ok(Prescribed {
                    checked,
                    end: End::Held(held),
                });
            }
        };
        let waits = waits(&answers);
        let (ended, mut beside) = if waits {
            (None, held(app, caller, &patient.id, answers.len()))
        } else {
            (ended(&regimen, order, app.now())?, Beside::default())
        };
        let bundle = transaction(app, caller, (order, ended), &checked, &answers)?;
        beside.guards = std::mem::take(&mut regimen.guards);
        match guarded_with(app, caller, bundle, key.clone(), beside).await {
            Ok(bundle) => {
                let order = stored(&bundle, "MedicationRequest")?;
                return Ok(Prescribed {
                    checked,
                    end: End::Stored {
                        order,
                        waits,
                        bundle,
                    },
                });
            }
            Err(AppError::Conflict(_)) if retry.again().await => {}
            Err(error) => return Err(error),
        }
    }
}

/// The first person's signature, beside an order that waits for a second one; its alerts follow it in the
/// transaction.
fn held(app: &App, caller: &Caller, patient: &LogicalId, alerts: usize) -> Beside {
    let entries = vec![signatures::entry(app, caller, "order-held", patient)];
    let (app, patient, first) = (app.clone(), patient.as_str().to_owned(), names(caller));
    Beside {
        entries,
        naming: Some(Box::new(move |stored| {
            let mut stored = stored.iter();
            let Some(order) = stored.next().cloned().flatten() else {
                return Err(AppError::Fault("the order was not stored".to_owned()));
            };
            let own = OrderSigned {
                order,
                patient: patient.clone(),
                issues: stored.take(alerts).flatten().cloned().collect(),
                first: first.clone(),
                second: None,
            };
            Ok(vec![own.write(&app, DocExpected::Absent)?])
        })),
        ..Beside::default()
    }
}

/// Keeps the alerts that held up an order, so that what became of them can be counted: each once for a
/// patient and what it holds for.
async fn keep_shown(
    app: &App,
    caller: &Caller,
    checked: &CheckAnswer,
    held: &[(usize, String)],
) -> Result<(), AppError> {
    let at = app.now().to_fhir_instant();
    let patient = format!("Patient/{}", checked.patient.id.as_str());
    let shown = held
        .iter()
        .filter_map(|(place, _)| checked.alerts.get(*place));
    let entries: Vec<serde_json::Value> = shown
        .map(|shown| {
            let stand = Stand {
                order: None,
                overridden: None,
                at: &at,
            };
            let known = format!(
                "identifier={FINGERPRINT}|{}&patient={patient}",
                shown.fingerprint.0
            );
            json!({
                "request": { "method": "POST", "url": "DetectedIssue", "ifNoneExist": known },
                "resource": detected_issue(checked, shown, &stand),
            })
        })
        .collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    match guarded(app, caller, bundle.to_string().into(), None, Vec::new()).await {
        // Somebody else was shown the same at the same time.
        Ok(_) | Err(AppError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The answer to a key that was used before: what was stored then, checked as the list is now.
async fn again(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    key: Option<idempotency::Request>,
) -> Result<Prescribed, AppError> {
    let empty = Bytes::from_static(br#"{"resourceType":"Bundle","type":"transaction"}"#);
    let bundle = guarded(app, caller, empty, key, Vec::new()).await?;
    let order = stored(&bundle, "MedicationRequest")?;
    let waits = {
        let document = Document::parse(bundle.body.to_vec(), &Limits::default())?;
        let first = document
            .root()
            .get("entry")
            .and_then(|list| list.items().next());
        let order = first.and_then(|entry| entry.get("resource"));
        order.is_some_and(|order| order.get_str("status").as_deref() == Some("draft"))
    };
    Ok(Prescribed {
        checked: check(app, caller, patient, &[]).await?,
        end: End::Stored {
            order,
            waits,
            bundle,
        },
    })
}

pub(crate) fn resource_type(app: &App, name: &str) -> Result<fhir::definitions::TypeId, AppError> {
    app.definitions()
        .resource(name)
        .ok_or_else(|| AppError::Fault(format!("the definitions lack {name}")))
}

/// The patient an order is for.
pub(super) fn subject(app: &App, order: Value<'_>) -> Result<ResourceKey, AppError> {
    if order.get_str("resourceType").as_deref() != Some("MedicationRequest") {
        return Err(AppError::Invalid(
            "the order is no MedicationRequest: send one".to_owned(),
        ));
    }
    let reference = order
        .get("subject")
        .and_then(|subject| subject.get_str("reference"));
    let id = reference
        .as_deref()
        .and_then(|reference| reference.strip_prefix("Patient/"))
        .and_then(|id| id.parse::<LogicalId>().ok())
        .ok_or_else(|| {
            AppError::Invalid(
                "MedicationRequest.subject names no patient: send a reference such as Patient/1"
                    .to_owned(),
            )
        })?;
    Ok(app.patient_key(&id))
}

/// What is refused before anything is looked at: another status than active, an order that does not say
/// what or how much.
fn acceptable(order: Value<'_>) -> Result<(), AppError> {
    let refuse = |text: String| Err(AppError::Unprocessable(text));
    if order.get("id").is_some() {
        return refuse(
            "a new order has no id: leave it out, or replace the old one with priorPrescription"
                .to_owned(),
        );
    }
    match order.get_str("status").as_deref() {
        Some("active") => {}
        other => {
            return refuse(format!(
                "MedicationRequest.status is {}: send active, which is what prescribing makes",
                other.unwrap_or("missing")
            ));
        }
    }
    // Nothing else is looked at by later checks.
    let intent = order.get_str("intent");
    if matches!(
        intent.as_deref(),
        None | Some("proposal" | "plan" | "option")
    ) {
        return refuse(
            "MedicationRequest.intent is no order: send order, which is what prescribing makes"
                .to_owned(),
        );
    }
    let dosages: Vec<Value<'_>> = order
        .get("dosageInstruction")
        .into_iter()
        .flat_map(Value::items)
        .collect();
    if dosages.is_empty() {
        return refuse(
            "MedicationRequest.dosageInstruction is missing: state dose, route and times"
                .to_owned(),
        );
    }
    for (at, value) in dosages.into_iter().enumerate() {
        let dosage = Dosage::read(value)
            .map_err(|error| AppError::Unprocessable(format!("dosageInstruction[{at}].{error}")))?;
        let wrong = dosage
            .problems()
            .into_iter()
            .find(|one| one.weight == Weight::Error);
        if let Some(problem) = wrong {
            return refuse(format!(
                "dosageInstruction[{at}].{}: {}",
                problem.path, problem.text
            ));
        }
    }
    Ok(())
}

/// Days for which an override of tier high holds for later orders.
const STANDING_DAYS: i64 = 90;

/// What an override of earlier is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Another order: only of tier high, not older than [`STANDING_DAYS`] and not for a short course. What is
    /// contraindicated is signed anew for every order.
    Order,
    /// A dose of an order that was overridden: as long as the order is in force.
    Dose,
}

/// Overrides that were given before and may still hold: of this patient's final alerts, while every order
/// they are about is in force and no allergy they are about was changed since.
pub(super) async fn standing(
    app: &App,
    caller: &Caller,
    checked: &CheckAnswer,
    regimen: &Regimen,
    purpose: For,
) -> Result<Vec<Override>, AppError> {
    let wanted: Vec<String> = checked
        .alerts
        .iter()
        .filter(|shown| match purpose {
            For::Order => shown.alert.tier == Tier::High,
            For::Dose => shown.alert.tier.interrupts(),
        })
        .map(|shown| format!("{FINGERPRINT}|{}", shown.fingerprint.0))
        .collect();
    let since = app.now().plus_seconds(-STANDING_DAYS * 86_400);
    let young = (purpose == For::Order).then(|| {
        (
            "identified".to_owned(),
            format!("ge{}", since.to_fhir_instant()),
        )
    });
    let patient = format!("Patient/{}", checked.patient.id.as_str());
    let mut found = Vec::new();
    for part in wanted.chunks(50) {
        let request = SearchRequest {
            ty: resource_type(app, "DetectedIssue")?,
            params: [
                ("patient".to_owned(), patient.clone()),
                ("identifier".to_owned(), part.join(",")),
            ]
            .into_iter()
            .chain(young.clone())
            .collect(),
            lenient: false,
        };
        let (issues, _) = whole(app, caller, &request, 500).await?;
        for issue in issues {
            let Some(body) = issue.body else { continue };
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            found.extend(given(document.root()).into_iter().filter(|own| {
                let lasts = purpose == For::Dose || own.reason != Reason::ShortCourse;
                lasts && still_about(regimen, document.root())
            }));
        }
    }
    Ok(found)
}

/// Whether what an alert is about is still so: its orders in force, its allergies as they were.
fn still_about(regimen: &Regimen, issue: Value<'_>) -> bool {
    let Some(at) = issue.get_str("identifiedDateTime") else {
        return false;
    };
    let at = kernel::Timestamp::from_rfc3339(&at);
    let list = issue.get("implicated").into_iter().flat_map(Value::items);
    list.filter_map(|one| one.get_str("reference"))
        .all(|name| match name.split_once('/') {
            Some(("AllergyIntolerance", _)) => unchanged(regimen, &name, at),
            Some(_) => regimen.medicines.iter().any(|held| held.name() == name),
            None => false,
        })
}

/// Whether an allergy is there and was not changed after a time.
pub(super) fn unchanged(regimen: &Regimen, name: &str, at: Option<Timestamp>) -> bool {
    let mut allergies = regimen.allergies.iter();
    allergies
        .find(|held| held.name() == name)
        .and_then(|held| held.document.root().get("meta")?.get_str("lastUpdated"))
        .and_then(|changed| Timestamp::from_rfc3339(&changed))
        .is_some_and(|changed| at.is_some_and(|at| changed <= at))
}

/// The override that a DetectedIssue holds, once for each fingerprint that it holds for.
pub(super) fn given(issue: Value<'_>) -> Vec<Override> {
    let identifiers = issue.get("identifier").into_iter().flat_map(Value::items);
    let prints = identifiers.filter_map(|identifier| {
        let own = identifier.get_str("system").as_deref() == Some(FINGERPRINT);
        own.then(|| identifier.get_str("value"))?
            .map(Cow::into_owned)
    });
    let Some(first) = override_of(issue) else {
        return Vec::new();
    };
    prints
        .map(|print| Override {
            fingerprint: Fingerprint(print),
            ..first.clone()
        })
        .collect()
}

/// The override of a final issue, without what it holds for.
fn override_of(issue: Value<'_>) -> Option<Override> {
    if issue.get_str("status").as_deref() != Some("final") {
        return None;
    }
    let mitigation = issue.get("mitigation")?.items().next()?;
    let action = mitigation.get("action")?;
    let code = action.get("coding")?.items().find_map(|coding| {
        let own = coding.get_str("system").as_deref() == Some(REASON);
        own.then(|| coding.get_str("code"))?.map(Cow::into_owned)
    })?;
    let author = mitigation.get("author")?;
    let by = author.get("identifier")?.get_str("value")?;
    Some(Override {
        fingerprint: Fingerprint(String::new()),
        reason: serde_json::from_value(code.into()).ok()?,
        text: action.get_str("text").map(Cow::into_owned),
        by: by.into_owned(),
        second: None,
    })
}

/// An alert that interrupts, with the answer to it: given now, or earlier and still holding.
type Answered<'a> = (&'a Shown, &'a Override);

/// Whether a second person must sign.
fn waits(answers: &[Answered<'_>]) -> bool {
    answers
        .iter()
        .any(|(shown, _)| shown.alert.tier == Tier::Contraindicated)
}

/// Pairs every alert that interrupts with an answer, or says which want one.
fn answered<'a>(
    caller: &Caller,
    checked: &'a CheckAnswer,
    given: &'a [Override],
    standing: &'a [Override],
) -> Result<Vec<Answered<'a>>, Vec<(usize, String)>> {
    let mut answers = Vec::new();
    let mut held = Vec::new();
    for (at, shown) in checked.alerts.iter().enumerate() {
        if !shown.alert.tier.interrupts() {
            continue;
        }
        let mut earlier = standing.iter();
        if let Some(earlier) = earlier.find(|one| stands(one, &shown.fingerprint)) {
            answers.push((shown, earlier));
            continue;
        }
        let own = given
            .iter()
            .find(|one| one.fingerprint == shown.fingerprint);
        let Some(own) = own else {
            held.push((
                at,
                "give a coded reason to go on, or change the order".to_owned(),
            ));
            continue;
        };
        // The second person signs afterwards, with a sign-in of their own.
        let complete = Override {
            by: caller.subject.actor().id.as_uuid().to_string(),
            second: Some("afterwards".to_owned()),
            ..own.clone()
        };
        match accept(&shown.alert, &complete) {
            Ok(()) => answers.push((shown, own)),
            Err(error) => held.push((at, error.to_string())),
        }
    }
    if held.is_empty() {
        Ok(answers)
    } else {
        Err(held)
    }
}

/// The address an order has inside its transaction.
const ORDER: &str = "urn:uuid:6f1f0a1e-0d5c-4f0e-9c43-0b1c7a1f0001";

/// The entry that ends the order which a new one takes the place of, where that is in force.
pub(super) fn ended(
    regimen: &Regimen,
    order: Value<'_>,
    now: Timestamp,
) -> Result<Option<serde_json::Value>, AppError> {
    let Some(name) = replaces(order) else {
        return Ok(None);
    };
    let Some(held) = regimen.medicines.iter().find(|held| held.name() == name) else {
        return Ok(None);
    };
    let mut resource: serde_json::Value = serde_json::from_slice(held.document.root().raw())?;
    stop(&mut resource, now);
    set(
        &mut resource,
        "statusReason",
        json!({ "text": "Replaced by another order" }),
    );
    Ok(Some(json!({
        "request": { "method": "PUT", "url": name, "ifMatch": format!("W/\"{}\"", held.version) },
        "resource": resource,
    })))
}

/// An entry that stores something new, with the address it has inside its transaction.
fn post(ty: &str, full: Option<&str>, resource: &serde_json::Value) -> serde_json::Value {
    let mut entry = json!({ "request": { "method": "POST", "url": ty }, "resource": resource });
    if let Some(full) = full {
        set(&mut entry, "fullUrl", full);
    }
    entry
}

fn transaction(
    app: &App,
    caller: &Caller,
    (order, ended): (Value<'_>, Option<serde_json::Value>),
    checked: &CheckAnswer,
    answers: &[Answered<'_>],
) -> Result<Bytes, AppError> {
    let waits = waits(answers);
    let at = app.now().to_fhir_instant();
    let by = signer(caller);
    let mut resource: serde_json::Value = serde_json::from_slice(order.raw())?;
    if waits {
        set(&mut resource, "status", "draft");
    }
    if resource.get("authoredOn").is_none() {
        set(&mut resource, "authoredOn", at.as_str());
    }
    set(&mut resource, "requester", by.clone());
    let mut targets = vec![json!({ "reference": ORDER })];
    let mut issues = Vec::new();
    for (number, (shown, given)) in answers.iter().enumerate() {
        let stand = Stand {
            order: Some(ORDER),
            overridden: Some((given, &by)),
            at: &at,
        };
        let full = format!("urn:uuid:6f1f0a1e-0d5c-4f0e-9c43-0b1c7a2f{number:04x}");
        let issue = detected_issue(checked, shown, &stand);
        targets.push(json!({ "reference": full }));
        issues.push(post("DetectedIssue", Some(&full), &issue));
    }
    // What a source did not tell stays with the order.
    let stand = Stand {
        order: Some(ORDER),
        overridden: None,
        at: &at,
    };
    for (number, issue) in unchecked(checked, &stand).into_iter().enumerate() {
        let full = format!("urn:uuid:6f1f0a1e-0d5c-4f0e-9c43-0b1c7a3f{number:04x}");
        targets.push(json!({ "reference": full }));
        issues.push(post("DetectedIssue", Some(&full), &issue));
    }
    let references: Vec<serde_json::Value> = targets.iter().skip(1).cloned().collect();
    // With the patient, whose it is for those who reach their patients only.
    let patient = format!("Patient/{}", checked.patient.id.as_str());
    targets.push(json!({ "reference": patient }));
    if !references.is_empty() {
        set(&mut resource, "detectedIssue", references);
    }
    let provenance = json!({
        "resourceType": "Provenance", "target": targets, "recorded": at,
        "activity": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE",
        }]},
        "agent": [{ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author",
        }]}, "who": by }],
    });
    let mut entries = vec![post("MedicationRequest", Some(ORDER), &resource)];
    entries.extend(issues);
    entries.push(post("Provenance", None, &provenance));
    entries.extend(ended);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    Ok(bundle.to_string().into())
}

/// The address of what a transaction stored first, which is of type `ty`.
pub(super) fn stored(bundle: &BundleAnswer, ty: &str) -> Result<String, AppError> {
    let document = Document::parse(bundle.body.to_vec(), &Limits::default())?;
    let location = document
        .root()
        .get("entry")
        .and_then(|entries| entries.items().next())
        .and_then(|entry| entry.get("response")?.get_str("location"))
        .ok_or_else(|| {
            AppError::Fault("the transaction named nothing that it stored".to_owned())
        })?;
    let name = location.split("/_history").next().unwrap_or(&location);
    let from = name.rfind(&format!("{ty}/")).unwrap_or(0);
    Ok(name.get(from..).unwrap_or(name).to_owned())
}
