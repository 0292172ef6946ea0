//! The medicines of a patient as a list: every order and statement whatever its status, what the checks say
//! of those in force, which alerts were answered, and the last dose that was taken. Must not leave out a
//! record that it cannot read: it is named.

use std::collections::BTreeMap;

use fhir::json::Document;
use identity::Interaction;
use kernel::Timestamp;
use medication::administration::{Book, Outcome};
use medication::checks::overrides::Override;
use medication::resources::read_administration;
use store::ResourceKey;

use super::check::{CheckAnswer, judge};
use super::elsewhere::When;
use super::prescribe::{For, resource_type, standing};
use super::regimen::{self, Held, every, is_order};
use super::sources;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;

/// Most orders, and most statements, of one patient.
const MOST: u32 = 2_000;
/// Most records of doses that are looked at.
const MOST_DOSES: u32 = 20_000;
/// Days back in which the last dose is looked for.
pub const DOSE_DAYS: i64 = 60;

/// An order or a statement.
pub struct Listing {
    /// `MedicationRequest/1`.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The resource.
    pub document: Document,
}

/// The last dose of an order that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDose {
    /// When.
    pub at: Timestamp,
    /// How much, in words; none where it was not stated.
    pub dose: Option<String>,
    /// How it was taken.
    pub outcome: Outcome,
}

/// The list.
pub struct Listed {
    /// Orders and statements, those entered in error left out.
    pub medicines: Vec<Listing>,
    /// What the checks say of those in force.
    pub checked: CheckAnswer,
    /// What was answered to alerts of today, and still holds for doses.
    pub overrides: Vec<Override>,
    /// The last dose by the id of the order, of the last [`DOSE_DAYS`] days.
    pub last: BTreeMap<String, LastDose>,
    /// Records of doses that cannot be read: name and why.
    pub unread: Vec<(String, String)>,
}

/// Loads the list, and records one look at the patient.
pub async fn list(app: &App, caller: &Caller, patient: &ResourceKey) -> Result<Listed, AppError> {
    let ty = resource_type(app, "MedicationAdministration")?;
    authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    let regimen = regimen::load(app, caller, patient, "medicines").await?;
    let sources = sources(app).await?;
    let checked = judge(app, caller, &sources, &regimen, (&[], When::AtBedside)).await;
    let overrides = standing(app, caller, &checked, &regimen, For::Dose).await?;
    let mut medicines = Vec::new();
    for ty in ["MedicationRequest", "MedicationStatement"] {
        let (found, _) = every(app, caller, patient, (ty, &[]), MOST).await?;
        medicines.extend(found.into_iter().filter(|held| is_order(held.root())));
    }
    let since = app.now().plus_seconds(-DOSE_DAYS * 86_400);
    let since = format!("ge{}", since.to_fhir_instant());
    let asked = (
        "MedicationAdministration",
        [("effective-time", since.as_str())],
    );
    let asked = (asked.0, asked.1.as_slice());
    let (doses, _) = every(app, caller, patient, asked, MOST_DOSES).await?;
    let (last, unread) = last(&doses);
    Ok(Listed {
        medicines: medicines.into_iter().filter_map(listing).collect(),
        checked,
        overrides,
        last,
        unread,
    })
}

fn listing(held: Held) -> Option<Listing> {
    let status = held.root().get_str("status");
    if status.as_deref() == Some("entered-in-error") {
        return None;
    }
    Some(Listing {
        name: held.name(),
        version: held.version.0,
        document: held.document,
    })
}

/// The last taken dose of each order, by its corrections, and what cannot be read.
fn last(doses: &[Held]) -> (BTreeMap<String, LastDose>, Vec<(String, String)>) {
    let mut book = Book::default();
    let mut unread = Vec::new();
    for own in doses {
        let root = own.root();
        let withdrawn = root.get_str("status").as_deref() == Some("entered-in-error");
        match read_administration(root) {
            Ok(record) if !withdrawn || record.corrects.as_ref().is_some_and(|own| own.void) => {
                book.merge(record);
            }
            Err(error) if !withdrawn => unread.push((own.name(), error.to_string())),
            Ok(_) | Err(_) => {}
        }
    }
    let mut last: BTreeMap<String, LastDose> = BTreeMap::new();
    for head in book.heads().filter(|head| head.record.outcome.is_taken()) {
        let record = head.record;
        let known = last.get(record.order.as_str());
        if known.is_some_and(|known| known.at >= record.happened) {
            continue;
        }
        let dose = record.dose.as_ref();
        let dose = dose.map(medication::Quantity::words);
        let own = LastDose {
            at: record.happened,
            dose,
            outcome: record.outcome,
        };
        last.insert(record.order.as_str().to_owned(), own);
    }
    (last, unread)
}
