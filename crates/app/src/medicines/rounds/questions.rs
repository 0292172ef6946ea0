//! Which doses given when needed wait for somebody to say what they brought about: noted in the commit of the
//! dose, until it is said, or the dose is withdrawn, however long that takes. Must not close a question that
//! nobody answered.

use std::collections::BTreeMap;

use kernel::{LogicalId, Timestamp};
use medication::administration::{Book, Record};
use medication::ids::RecordId;
use serde::{Deserialize, Serialize};
use store::{DocExpected, DocKind, DocWrite};

use super::effects;
use crate::App;
use crate::admin;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::bundle::Beside;

const KIND: DocKind = DocKind::EffectQuestion;

/// A question.
#[derive(Serialize, Deserialize)]
struct Question {
    /// Of whom: the id of the Patient.
    patient: String,
    /// Of which dose: the id of the MedicationAdministration.
    record: String,
    /// Since when it is to be asked.
    due: Timestamp,
}

fn place(patient: &LogicalId, record: &str) -> String {
    format!("{}/{record}", patient.as_str())
}

fn asked(
    app: &App,
    patient: &LogicalId,
    record: &str,
    due: Timestamp,
) -> Result<DocWrite, AppError> {
    let id = place(patient, record);
    let own = Question {
        patient: patient.as_str().to_owned(),
        record: record.to_owned(),
        due,
    };
    admin::write(app, KIND, id, DocExpected::Any, &own, Vec::new())
}

/// The write that closes a question, where there is one.
pub(super) fn closed(app: &App, patient: &LogicalId, record: &str) -> DocWrite {
    DocWrite {
        kind: KIND,
        id: place(patient, record),
        expected: DocExpected::Any,
        body: None,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    }
}

/// When the effect of a dose is to be asked for, where it was taken.
fn due_of(record: &Record) -> Option<Timestamp> {
    let need = record.need.as_ref().filter(|_| record.outcome.is_taken());
    need?.effect_due
}

/// What a record changes about what is asked, for the commit that stores it first: it is asked for itself, no
/// longer for what it corrects, and for what its withdrawal brings back.
pub(crate) async fn beside(
    app: &App,
    caller: &Caller,
    (patient, record, book): (&LogicalId, &Record, &Book),
    with: &mut Beside,
) -> Result<(), AppError> {
    let correction = record.corrects.as_ref();
    let void = correction.is_some_and(|own| own.void);
    let told = if let Some(correction) = correction {
        let of = correction.of.as_str();
        with.docs.push(closed(app, patient, of));
        let mut about = book.corrected_by(record);
        about.push(record.id.clone());
        effects::told(app, caller, &about).await?
    } else {
        Vec::new()
    };
    if let Some(correction) = correction.filter(|own| own.void) {
        let taken_away = book
            .get(&correction.of)
            .and_then(|own| own.corrects.as_ref());
        let back = taken_away.and_then(|own| book.get(&own.of));
        if let Some(back) = back
            && let Some(due) = due_of(back)
            && !told.contains(&back.id)
        {
            with.docs.push(asked(app, patient, back.id.as_str(), due)?);
        }
    }
    let Some(due) = due_of(record).filter(|_| !void && told.is_empty()) else {
        return Ok(());
    };
    let before = with.naming.take();
    let (app, patient) = (app.clone(), patient.clone());
    with.naming = Some(Box::new(move |stored| {
        let mut docs = match &before {
            Some(before) => before(stored)?,
            None => Vec::new(),
        };
        let name = stored.first().and_then(Option::as_deref);
        let id = name.and_then(|own| own.strip_prefix("MedicationAdministration/"));
        let id = id.ok_or_else(|| AppError::Fault("the dose was not stored".to_owned()))?;
        docs.push(asked(&app, &patient, id, due)?);
        Ok(docs)
    }));
    Ok(())
}

/// The doses of some patients that wait, by patient.
pub(super) async fn open(
    app: &App,
    caller: &Caller,
    patients: &[LogicalId],
) -> Result<BTreeMap<String, Vec<String>>, AppError> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for doc in admin::all::<Question>(app, &caller.scope, KIND).await? {
        let Question {
            patient, record, ..
        } = doc.value;
        if patients.iter().any(|own| own.as_str() == patient) {
            found.entry(patient).or_default().push(record);
        }
    }
    Ok(found)
}

/// Of a patient's doses those that the record of an effect is of, or of what they correct.
pub(super) fn is_told(book: &Book, record: &Record, told: &[RecordId]) -> bool {
    let corrected = book.corrected_by(record);
    told.contains(&record.id) || corrected.iter().any(|own| told.contains(own))
}
