//! Doses that may have been taken twice become a DetectedIssue and a Task that somebody must look at, once
//! however often the records come in. Must not decide which record is true.

use identity::{Subject, SystemTask, admit};
use kernel::LogicalId;
use medication::administration::{Book, Double};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::ResourceKey;

use super::load::{Person, Whom, people};
use super::today::lately;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::brought::absent;
use crate::medicines::prescribe::resource_type;
use crate::record::bundle::guarded;

/// System of the code of such an issue.
pub const ISSUES: &str = "https://theriac.example.org/fhir/CodeSystem/round-issue";
/// The code.
pub const POSSIBLE_DOUBLE: &str = "possible-double-dose";

/// Looks at the doses of patients, and writes what was not written before.
pub(in crate::medicines) async fn doubles(
    app: &App,
    caller: &Caller,
    patients: &[LogicalId],
) -> Result<Vec<Double>, AppError> {
    if patients.is_empty() {
        return Ok(Vec::new());
    }
    let found = people(
        app,
        caller,
        Whom::These(patients),
        lately(app),
        "medication-round/return",
    )
    .await?;
    let platform = platform(app, caller)?;
    let mut all = Vec::new();
    for person in &found {
        for double in person.records.book.possible_doubles() {
            write(app, &platform, person, &double).await?;
            all.push(double);
        }
    }
    Ok(all)
}

/// The platform itself: whoever brings doses back need not be allowed to write findings.
fn platform(app: &App, caller: &Caller) -> Result<Caller, AppError> {
    let tenant = caller.scope.tenant();
    let subject = Subject::system(tenant, SystemTask::Findings);
    let scope = admit(tenant, &subject, app.now()).map_err(|_| AppError::not_found("tenant"))?;
    let mut context = (*caller.context).clone();
    context.idempotency = None;
    Ok(Caller {
        scope,
        subject: std::sync::Arc::new(subject),
        context: std::sync::Arc::new(context),
        tenant: caller.tenant.clone(),
    })
}

/// The id of what is written about a double: of the same records always the same.
fn id(patient: &str, double: &Double) -> String {
    let mut records: Vec<&str> = double
        .records
        .iter()
        .map(medication::ids::RecordId::as_str)
        .collect();
    records.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(patient.as_bytes());
    for record in records {
        hash.update([0]);
        hash.update(record.as_bytes());
    }
    let text = data_encoding::HEXLOWER.encode(&hash.finalize());
    format!("double-{}", text.get(..32).unwrap_or(&text))
}

async fn write(
    app: &App,
    platform: &Caller,
    person: &Person,
    double: &Double,
) -> Result<(), AppError> {
    let id = id(person.id().as_str(), double);
    let key = ResourceKey {
        ty: resource_type(app, "DetectedIssue")?,
        id: id
            .parse()
            .map_err(|_| AppError::Fault("an id is none".to_owned()))?,
    };
    let heads = app
        .store()
        .heads(&platform.scope, core::slice::from_ref(&key))
        .await?;
    if heads.into_iter().flatten().next().is_some() {
        return Ok(());
    }
    let guard = absent(&key);
    let bundle = bundle(app, person, &person.records.book, double, &id);
    match guarded(app, platform, bundle.to_string().into(), None, vec![guard]).await {
        // Somebody else wrote the same one meanwhile.
        Ok(_) | Err(AppError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn bundle(app: &App, person: &Person, book: &Book, double: &Double, id: &str) -> Value {
    let now = app.now().to_fhir_instant();
    let patient = format!("Patient/{}", person.id().as_str());
    let records = double.records.iter();
    let records: Vec<Value> = records
        .map(|own| json!({ "reference": format!("MedicationAdministration/{own}") }))
        .collect();
    let told: Vec<String> = double
        .records
        .iter()
        .filter_map(|id| book.get(id))
        .map(|own| format!("{} at {}", own.outcome.code(), own.happened))
        .collect();
    let first = double.records.first().and_then(|id| book.get(id));
    let product = first.map_or("a medicine", |own| own.product.as_str());
    let text = format!(
        "Possible double dose of {product}: {}. Both records are kept. Look at the patient and correct the one that is wrong.",
        told.join("; ")
    );
    let code = json!({ "coding": [{ "system": ISSUES, "code": POSSIBLE_DOUBLE }], "text": "Possible double dose" });
    let issue = json!({
        "resourceType": "DetectedIssue", "id": id, "status": "preliminary", "severity": "high",
        "code": code, "patient": { "reference": patient }, "identifiedDateTime": now,
        "implicated": records, "detail": text,
    });
    let task = json!({
        "resourceType": "Task", "id": id, "status": "requested", "intent": "order", "priority": "urgent",
        "code": code, "description": text, "for": { "reference": patient },
        "focus": { "reference": format!("DetectedIssue/{id}") }, "authoredOn": now,
    });
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": format!("DetectedIssue/{id}") }, "resource": issue },
        { "request": { "method": "PUT", "url": format!("Task/{id}") }, "resource": task },
    ]})
}
