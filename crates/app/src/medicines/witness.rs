//! `MedicationAdministration/[id]/$witness`: the person who was named as witness signs with a sign-in of
//! their own. Until then the record says only that they were asked.

use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use kernel::LogicalId;
use medication::ids::PersonId;
use medication::resources::person;
use serde_json::json;
use store::ResourceKey;

use super::give::{ASKED, SIGNED, about, performer_of};
use super::ground::names;
use super::prescribe::signer;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::bundle::{BundleAnswer, guarded};
use crate::record::name_of;

fn refuse<T>(text: &str) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.to_owned()))
}

/// Signs a record as the witness that it names.
pub async fn witness(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<BundleAnswer, AppError> {
    let (held, about_whom, version) = about(app, caller, key, Interaction::Update, |own| {
        patient(app, own)
    })
    .await?;
    let root = held.root();
    let Some(asked) = who(root, ASKED)? else {
        return Err(AppError::Conflict(format!(
            "{} waits for no witness: read who signed it",
            name_of(key)
        )));
    };
    let me = names(caller);
    let gave = [who(root, "giver")?, who(root, "enterer")?];
    if gave.iter().flatten().any(|own| me.contains(own)) {
        return refuse("the witness is the giver: ask another person to sign");
    }
    if !me.contains(&asked) {
        return refuse("another person is named as the witness: they sign with their own sign-in");
    }
    if root.get_str("status").as_deref() == Some("entered-in-error") {
        return refuse("the record was withdrawn: there is nothing to sign");
    }
    let mut resource: serde_json::Value = serde_json::from_slice(root.raw())?;
    sign(&mut resource, &signer(caller));
    let name = name_of(key);
    let provenance = json!({
        "resourceType": "Provenance",
        // With the patient, so that it belongs to those who may see the patient.
        "target": [{ "reference": name }, { "reference": name_of(&about_whom) }],
        "recorded": app.now().to_fhir_instant(),
        "activity": { "text": "Signed as the witness" },
        "agent": [{ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "verifier",
        }]}, "who": signer(caller) }],
    });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": name, "ifMatch": format!("W/\"{version}\"") }, "resource": resource },
        { "request": { "method": "POST", "url": "Provenance" }, "resource": provenance },
    ]});
    guarded(app, caller, bundle.to_string().into(), None, Vec::new()).await
}

fn patient(app: &App, own: Value<'_>) -> Result<ResourceKey, AppError> {
    let reference = own.get("subject").and_then(|own| own.get_str("reference"));
    let id = reference
        .as_deref()
        .and_then(|own| own.strip_prefix("Patient/"))
        .and_then(|id| id.parse::<LogicalId>().ok());
    match id {
        Some(id) => Ok(app.patient_key(&id)),
        None => refuse("the record is about no patient: correct its subject"),
    }
}

/// Who has a function in a record.
fn who(root: Value<'_>, function: &str) -> Result<Option<PersonId>, AppError> {
    let Some(actor) = performer_of(root, function) else {
        return Ok(None);
    };
    let document = Document::parse(actor.to_string().into_bytes(), &Limits::default())?;
    Ok(person(document.root()).and_then(|own| own.parse().ok()))
}

/// Turns who was asked into who signed.
fn sign(resource: &mut serde_json::Value, by: &serde_json::Value) {
    let list = resource.get_mut("performer");
    let list = list.and_then(serde_json::Value::as_array_mut);
    for performer in list.into_iter().flatten() {
        let code = performer.pointer_mut("/function/coding/0/code");
        if let Some(code) = code.filter(|own| own.as_str() == Some(ASKED)) {
            *code = SIGNED.into();
            super::issue::set(performer, "actor", by.clone());
        }
    }
}
