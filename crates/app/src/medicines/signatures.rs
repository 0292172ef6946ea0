//! Who signed: the two people of an order that overrides something contraindicated, and the witness of a
//! dose. Kept as documents, which no client writes: what the record says of them is for its readers. Must
//! not take a resource's word for a signature.

use std::collections::BTreeSet;

use fhir::json::{Document, Limits};
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class;
use medication::administration::{Book, Record};
use medication::ids::PersonId;
use serde::{Deserialize, Serialize};
use store::{Change, DocExpected, DocKind, DocWrite, Entry, Expected, Log, ResourceKey};

use super::check::{CheckAnswer, Shown};
use super::ground::names;
use super::prescribe::{resource_type, unchanged};
use super::regimen::Regimen;
use super::register::Signers;
use super::register::folio::below;
use super::rounds::questions;
use crate::App;
use crate::admin::write;
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::record::bundle::Beside;
use crate::record::name_of;
use medication::knowledge::Tier;

const KIND: DocKind = DocKind::MedicineSignature;
/// The look-up of an order's signatures.
const ORDER: &str = "order";

/// The two people of an order that overrides something contraindicated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OrderSigned {
    /// `MedicationRequest/1`.
    pub order: String,
    /// The id of the Patient.
    pub patient: String,
    /// The alerts that the first person answered: `DetectedIssue/1`.
    pub issues: Vec<String>,
    /// The first person, by every name.
    pub first: Vec<PersonId>,
    /// The second person; none while the order waits for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub second: Option<Second>,
}

/// The second person's signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Second {
    /// Who, by every name.
    pub who: Vec<PersonId>,
    /// When.
    pub at: Timestamp,
    /// The fingerprints of what was contraindicated then.
    pub prints: Vec<String>,
    /// The allergies that it was about: `AllergyIntolerance/1`.
    pub allergies: Vec<String>,
}

/// A witness's signature of a dose.
#[derive(Debug, Serialize, Deserialize)]
struct DoseSigned {
    record: String,
    who: Vec<PersonId>,
    at: Timestamp,
}

fn id_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, id)| id)
}

impl OrderSigned {
    /// To be written over what `expected` says.
    pub fn write(&self, app: &App, expected: DocExpected) -> Result<DocWrite, AppError> {
        let order = id_of(&self.order);
        let id = format!("order/{}/{order}", self.patient);
        let lookups = vec![(ORDER, order.to_owned())];
        write(app, KIND, id, expected, self, lookups)
    }

    /// The second person, where the signature holds for an alert of today.
    pub fn stands(&self, regimen: &Regimen, shown: &Shown) -> Option<&[PersonId]> {
        let second = self.second.as_ref()?;
        let signed = second.prints.contains(&shown.fingerprint.0);
        let in_force = regimen.medicines.iter().any(|own| own.name() == self.order);
        let mut allergies = second.allergies.iter();
        let as_then = allergies.all(|name| unchanged(regimen, name, Some(second.at)));
        (signed && in_force && as_then).then_some(second.who.as_slice())
    }
}

/// The second person's signature of what is contraindicated in a list, by the caller and now.
pub(super) fn second(app: &App, caller: &Caller, checked: &CheckAnswer) -> Second {
    let alerts = checked.alerts.iter();
    let alerts = alerts.filter(|own| own.alert.tier == Tier::Contraindicated);
    let mut own = Second {
        who: names(caller),
        at: app.now(),
        prints: Vec::new(),
        allergies: Vec::new(),
    };
    for shown in alerts {
        let prints = core::iter::once(&shown.fingerprint).chain(&shown.also);
        own.prints.extend(prints.map(|print| print.0.clone()));
        let about = shown.alert.findings.iter();
        let about = about.filter_map(|finding| checked.allergies.get(finding.allergy?));
        own.allergies.extend(about.map(|(_, name)| name.clone()));
    }
    own
}

/// The signatures of an order, with the version of their document.
pub(super) async fn of_order(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<Option<(OrderSigned, u32)>, AppError> {
    let store = app.store();
    let found = store
        .doc_by(&caller.scope, KIND, ORDER, key.id.as_str())
        .await?;
    let Some(doc) = found else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&doc.body)?, doc.version)))
}

/// The signatures of a patient's orders.
pub(super) async fn of_patient(
    app: &App,
    caller: &Caller,
    patient: &LogicalId,
) -> Result<Vec<OrderSigned>, AppError> {
    let found = below(app, caller, KIND, &format!("order/{}", patient.as_str())).await?;
    let read = |doc: store::Doc| Ok(serde_json::from_slice(&doc.body)?);
    found.into_iter().map(read).collect()
}

/// The signature of whoever is confirmed as the witness of a dose, `MedicationAdministration/1`.
pub(super) fn witnessed(
    app: &App,
    witness: &Caller,
    patient: &LogicalId,
    record: &str,
) -> Result<DocWrite, AppError> {
    let own = DoseSigned {
        record: record.to_owned(),
        who: names(witness),
        at: app.now(),
    };
    let id = format!("dose/{}/{}", patient.as_str(), id_of(record));
    write(app, KIND, id, DocExpected::Absent, &own, Vec::new())
}

/// Adds the signature of a witness who stands beside, of the dose that a transaction stores first.
fn beside(app: &App, witness: &Caller, patient: &LogicalId, with: &mut Beside) {
    with.entries
        .push(entry(app, witness, "dose-witnessed", patient));
    let (app, witness, patient) = (app.clone(), witness.clone(), patient.clone());
    with.naming = Some(Box::new(move |stored| {
        let Some(record) = stored.first().and_then(Option::as_deref) else {
            return Err(AppError::Fault("the dose was not stored".to_owned()));
        };
        Ok(vec![witnessed(&app, &witness, &patient, record)?])
    }));
}

/// What is committed with a dose: the witness beside it signs, and what it brings about is asked for.
pub(super) async fn accompany(
    app: &App,
    caller: &Caller,
    (patient, record, book): (&LogicalId, &Record, &Book),
    signers: &Signers,
    with: &mut Beside,
) -> Result<(), AppError> {
    if let Some(witness) = &signers.witness {
        beside(app, witness.caller(), patient, with);
    }
    questions::beside(app, caller, (patient, record, book), with).await
}

/// The ids of a patient's doses that a witness signed here.
pub(super) async fn doses(
    app: &App,
    caller: &Caller,
    patient: &LogicalId,
) -> Result<BTreeSet<String>, AppError> {
    let found = below(app, caller, KIND, &format!("dose/{}", patient.as_str())).await?;
    let ids = found.into_iter().filter_map(|doc| {
        let (_, id) = doc.id.rsplit_once('/')?;
        Some(id.to_owned())
    });
    Ok(ids.collect())
}

/// The entry of a signature.
pub(super) fn entry(app: &App, caller: &Caller, what: &'static str, patient: &LogicalId) -> Entry {
    let mut entry = house_entry(app, caller, Log::Changes, Class::Update, what, None);
    entry.payload.patient = Some(patient.as_str().to_owned());
    entry.subject = Some(patient.clone());
    entry
}

/// What an order may become while it waits for a second person.
const WAITING: [&str; 3] = ["draft", "cancelled", "entered-in-error"];

/// Refuses to put an order in force that waits for a second person, unless the signature is in the same
/// commit.
pub(crate) async fn refuse_held(
    app: &App,
    caller: &Caller,
    changes: &[Change],
    with: &[DocWrite],
) -> Result<(), AppError> {
    let ty = resource_type(app, "MedicationRequest")?;
    for change in changes {
        // What was never stored waits for nobody.
        if change.key.ty != ty || change.expected == Expected::Absent || change.body.is_empty() {
            continue;
        }
        let Some((held, _)) = of_order(app, caller, &change.key).await? else {
            continue;
        };
        let signs = |doc: &DocWrite| {
            let own = doc.lookups.first();
            doc.kind == KIND && own.is_some_and(|(_, id)| id == change.key.id.as_str())
        };
        if held.second.is_some() || with.iter().any(signs) {
            continue;
        }
        let document = Document::parse(change.body.clone(), &Limits::default())?;
        let status = document.root().get_str("status").unwrap_or_default();
        if !WAITING.contains(&&*status) {
            return Err(AppError::Unprocessable(format!(
                "{} waits for a second person: let them sign with $countersign, or withdraw it with status cancelled",
                name_of(&change.key)
            )));
        }
    }
    Ok(())
}
