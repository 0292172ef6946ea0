//! `MedicationRequest/[id]/$countersign`: the second person signs an order that overrides something
//! contraindicated. The list is checked again: what was signed by the first must still be what is found.

use bytes::Bytes;
use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use medication::checks::overrides::{Override, OverrideError, stands};
use serde_json::json;
use store::ResourceKey;

use super::check::{CheckAnswer, judge};
use super::issue::{set, title};
use super::prescribe::{account, given, resource_type, signer, subject};
use super::{regimen, sources};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::bundle::{BundleAnswer, guarded};
use crate::record::{name_of, read};

/// What came of it.
#[derive(Debug)]
pub struct Countersigned {
    /// What was found now.
    pub checked: CheckAnswer,
    /// The answer of the transaction.
    pub bundle: BundleAnswer,
}

/// Signs a draft as the second person and puts it in force.
pub async fn countersign(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<Countersigned, AppError> {
    let ty = resource_type(app, "MedicationRequest")?;
    authorise(app, caller, &Ask::of_type(Interaction::Update, ty)).await?;
    let version = read::read(app, caller, key).await?;
    let body = version.body.clone().unwrap_or_default();
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let order = document.root();
    if order.get_str("status").as_deref() != Some("draft") {
        return Err(AppError::Conflict(format!(
            "{} does not wait for a second person: read what became of it",
            name_of(key)
        )));
    }
    let patient = subject(app, order)?;
    let signed = signed(app, caller, order).await?;
    let own = signer(caller);
    let me = account(caller);
    if signed.is_empty() || signed.iter().any(|(_, one)| me == one.by) {
        let error = if signed.is_empty() {
            OverrideError::SecondPerson
        } else {
            OverrideError::SamePerson
        };
        return Err(AppError::Unprocessable(error.to_string()));
    }
    let mut regimen = regimen::load(app, caller, &patient, "$countersign").await?;
    regimen::extend(app, caller, &mut regimen, &[order]).await?;
    let checked = judge(app, caller, &sources()?, &regimen, &[order]);
    let unsigned = checked.alerts.iter().find(|shown| {
        shown.alert.tier.interrupts()
            && !signed
                .iter()
                .any(|(_, one)| stands(one, &shown.fingerprint))
    });
    if let Some(shown) = unsigned {
        return Err(AppError::Conflict(format!(
            "{} is new since the first person signed: cancel this order and prescribe again",
            title(&checked, shown)
        )));
    }
    let patient = name_of(&patient);
    let number = version.version.to_string();
    let bundle = transaction(app, (key, &number), &body, (&signed, &patient), &own)?;
    let bundle = guarded(app, caller, bundle, None, regimen.guards).await?;
    Ok(Countersigned { checked, bundle })
}

/// The alerts that the order names, with the overrides of the first person.
async fn signed(
    app: &App,
    caller: &Caller,
    order: Value<'_>,
) -> Result<Vec<(String, Override)>, AppError> {
    let mut found = Vec::new();
    let named = order
        .get("detectedIssue")
        .into_iter()
        .flat_map(Value::items);
    for reference in named.filter_map(|one| one.get_str("reference")) {
        let Some((name, id)) = reference
            .split_once('/')
            .filter(|(ty, _)| *ty == "DetectedIssue")
        else {
            continue;
        };
        let Ok(id) = id.parse() else { continue };
        let key = ResourceKey {
            ty: resource_type(app, name)?,
            id,
        };
        let version = read::read(app, caller, &key).await?;
        let document = Document::parse(
            version.body.unwrap_or_default().to_vec(),
            &Limits::default(),
        )?;
        if let Some(own) = given(document.root()) {
            found.push((reference.into_owned(), own));
        }
    }
    Ok(found)
}

fn transaction(
    app: &App,
    (key, version): (&ResourceKey, &str),
    body: &[u8],
    (signed, patient): (&[(String, Override)], &str),
    by: &serde_json::Value,
) -> Result<Bytes, AppError> {
    let mut resource: serde_json::Value = serde_json::from_slice(body)?;
    set(&mut resource, "status", "active");
    let name = name_of(key);
    // With the patient, so that whoever gives what was signed sees the signature.
    let targets: Vec<serde_json::Value> = core::iter::once(name.as_str())
        .chain(signed.iter().map(|(name, _)| name.as_str()))
        .chain([patient])
        .map(|name| json!({ "reference": name }))
        .collect();
    let provenance = json!({
        "resourceType": "Provenance", "target": targets, "recorded": app.now().to_fhir_instant(),
        "activity": { "text": "Signed as the second person" },
        "agent": [{ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "verifier",
        }]}, "who": by }],
    });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": name, "ifMatch": format!("W/\"{version}\"") }, "resource": resource },
        { "request": { "method": "POST", "url": "Provenance" }, "resource": provenance },
    ]});
    Ok(bundle.to_string().into())
}
