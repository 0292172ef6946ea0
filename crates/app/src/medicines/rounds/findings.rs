//! Doses that may have been taken twice, and doses that a device brought with something against them, become
//! a DetectedIssue and a Task that somebody must look at, once however often the records come in. Must not
//! decide which record is true.

use identity::{Subject, SystemTask, admit};
use kernel::{LogicalId, Timestamp};
use medication::administration::{Double, Record};
use medication::ids::RecordId;
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
/// The code of a possible double dose.
pub const POSSIBLE_DOUBLE: &str = "possible-double-dose";
/// The code of a dose that was brought back with something against it.
pub const AGAINST: &str = "given-against";
/// Seconds around the doses that came back in which others are looked for.
const AROUND: i64 = 2 * 86_400;

/// Looks at the doses of patients since the first that came back, and writes what was not written before: also
/// of who died or left meanwhile.
pub(in crate::medicines) async fn doubles(
    app: &App,
    caller: &Caller,
    patients: &[LogicalId],
    first: Option<Timestamp>,
) -> Result<Vec<Double>, AppError> {
    if patients.is_empty() {
        return Ok(Vec::new());
    }
    let mut span = lately(app);
    if let Some(first) = first {
        span.since = span.since.min(first.plus_seconds(-AROUND));
    }
    let whom = Whom::Ever(patients);
    let found = people(app, caller, whom, span, "medication-round/return").await?;
    let platform = platform(app, caller)?;
    let mut all = Vec::new();
    for person in &found {
        for double in person.records.book.possible_doubles() {
            let issue = double_issue(person, &double);
            write(app, &platform, &issue).await?;
            all.push(double);
        }
    }
    Ok(all)
}

/// A dose that a device brought, with what spoke against it.
pub(super) struct Against<'a> {
    /// Of whom.
    pub patient: LogicalId,
    /// As the device recorded it.
    pub record: &'a Record,
    /// In words.
    pub words: Vec<String>,
}

/// Writes down what spoke against a dose that a device brought. Where it may have been taken twice, that stands
/// with the double dose: one thing to look at, with every reason.
pub(super) async fn against(
    app: &App,
    caller: &Caller,
    told: &Against<'_>,
    doubles: &[Double],
) -> Result<(), AppError> {
    let patient = told.patient.as_str();
    let record = told.record;
    let mut twice = doubles.iter().flat_map(|own| &own.records);
    if twice.any(|id| *id == record.id) {
        return Ok(());
    }
    let issue = Issue {
        id: id("against", patient, &[record.id.as_str()]),
        code: AGAINST,
        title: "Recorded on a device against what the record says",
        text: format!(
            "{} of {} at {} was brought back by a device. Against it: {}. The record is kept. Look at the patient.",
            record.product,
            record.outcome.code(),
            record.happened,
            told.words.join("; ")
        ),
        patient: patient.to_owned(),
        records: vec![record.id.to_string()],
    };
    write(app, &platform(app, caller)?, &issue).await
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

/// The id of what is written about records: of the same ones always the same.
fn id(kind: &str, patient: &str, records: &[&str]) -> String {
    let mut records = records.to_vec();
    records.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(patient.as_bytes());
    for record in records {
        hash.update([0]);
        hash.update(record.as_bytes());
    }
    let text = data_encoding::HEXLOWER.encode(&hash.finalize());
    format!("{kind}-{}", text.get(..32).unwrap_or(&text))
}

/// What is written.
struct Issue {
    id: String,
    code: &'static str,
    title: &'static str,
    text: String,
    patient: String,
    records: Vec<String>,
}

fn double_issue(person: &Person, double: &Double) -> Issue {
    let book = &person.records.book;
    let patient = person.id().as_str().to_owned();
    let records: Vec<&str> = double.records.iter().map(RecordId::as_str).collect();
    let told: Vec<String> = double
        .records
        .iter()
        .filter_map(|id| book.get(id))
        .map(|own| format!("{} at {}", own.outcome.code(), own.happened))
        .collect();
    let first = double.records.first().and_then(|id| book.get(id));
    let product = first.map_or("a medicine", |own| own.product.as_str());
    let mut against: Vec<String> = Vec::new();
    for words in double.records.iter().flat_map(|id| person.against_of(id)) {
        if !against.contains(&words) {
            against.push(words);
        }
    }
    let against = match against.as_slice() {
        [] => String::new(),
        some => format!(" Against it as well: {}.", some.join("; ")),
    };
    Issue {
        id: id("double", &patient, &records),
        code: POSSIBLE_DOUBLE,
        title: "Possible double dose",
        text: format!(
            "Possible double dose of {product}: {}.{against} Both records are kept. Look at the patient and correct the one that is wrong.",
            told.join("; ")
        ),
        records: records.into_iter().map(str::to_owned).collect(),
        patient,
    }
}

async fn write(app: &App, platform: &Caller, issue: &Issue) -> Result<(), AppError> {
    let key = ResourceKey {
        ty: resource_type(app, "DetectedIssue")?,
        id: issue
            .id
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
    let bundle = bundle(app, issue);
    match guarded(app, platform, bundle.to_string().into(), None, vec![guard]).await {
        // Somebody else wrote the same one meanwhile.
        Ok(_) | Err(AppError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn bundle(app: &App, own: &Issue) -> Value {
    let now = app.now().to_fhir_instant();
    let (id, text) = (&own.id, &own.text);
    let patient = format!("Patient/{}", own.patient);
    let records = own.records.iter();
    let records: Vec<Value> = records
        .map(|own| json!({ "reference": format!("MedicationAdministration/{own}") }))
        .collect();
    let code = json!({ "coding": [{ "system": ISSUES, "code": own.code }], "text": own.title });
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
