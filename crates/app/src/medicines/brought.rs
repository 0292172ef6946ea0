//! Doses that were recorded elsewhere than where they are decided: on a device without a network.
//! Must not take the same record in twice, nor over another one.

use std::borrow::Cow;

use fhir::json::Value as Json;
use kernel::Timestamp;
use medication::Quantity;
use medication::administration::{Decision, Outcome, Record, Refused, Why};
use medication::ids::{DeviceId, PersonId, RecordId};
use medication::limits::Verdict;
use medication::order::DueSlot;
use serde_json::{Value, json};
use store::{Clause, Guard, Predicate, ResourceKey, SearchPlan, Total};

use super::give::{Dose, refuse};
use super::ground::Records;
use super::issue::set;
use super::prescribe::resource_type;
use super::reasons;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// Extension of a MedicationAdministration that a device brought.
const BROUGHT: &str = "https://theriac.example.org/fhir/StructureDefinition/administration-brought";

/// What a device recorded where there was no network: it is taken in once, whatever speaks against it.
#[derive(Debug, Clone)]
pub struct Offline {
    /// The id that the device gave it.
    pub id: RecordId,
    /// When it was entered there.
    pub entered: Timestamp,
    /// The device.
    pub device: DeviceId,
    /// The due dose as the device knew it, for an order that was changed since.
    pub due: Option<DueSlot>,
    /// Who gave it, where that is somebody else than who brings it.
    pub giver: Option<(PersonId, serde_json::Value)>,
    /// What was wrong with its clock.
    pub clock: Option<String>,
    /// By how many seconds its times may be wrong, to either side.
    pub doubt: Option<i64>,
    /// What else is to be known of it, in words.
    pub notes: Vec<String>,
}

fn address(app: &App, offline: &Offline) -> Result<ResourceKey, AppError> {
    Ok(ResourceKey {
        ty: resource_type(app, "MedicationAdministration")?,
        id: offline.id.0.clone(),
    })
}

/// What spoke against what a device recorded, where it is there already. Another record under its id is none.
pub(super) async fn known(
    app: &App,
    caller: &Caller,
    records: &Records,
    dose: &Dose,
) -> Result<Option<Vec<String>>, AppError> {
    let Some(offline) = &dose.offline else {
        return Ok(None);
    };
    if let Some(record) = records.book.get(&offline.id) {
        if !offline.is(record, dose) {
            return refuse(Refused::IdTaken.to_string());
        }
        let name = format!("MedicationAdministration/{}", offline.id);
        let held = records.held.iter().find(|own| own.name() == name);
        return Ok(Some(
            held.map_or_else(Vec::new, |own| marks(own.root()).against),
        ));
    }
    let key = [address(app, offline)?];
    let heads = app.store().heads(&caller.scope, &key).await?;
    if heads.into_iter().flatten().next().is_some() {
        return refuse(Refused::IdTaken.to_string());
    }
    Ok(None)
}

impl Offline {
    /// Whether a record says what the device brings: whoever sends again sends the same.
    fn is(&self, record: &Record, dose: &Dose) -> bool {
        let slot = dose.slot.as_ref();
        let stored = record.slot.as_ref().map(ToString::to_string);
        let much = |own: &Quantity| {
            record.dose.as_ref().is_some_and(|stored| {
                stored == own || stored.in_unit(&own.unit).ok() == Some(own.value.value())
            })
        };
        // Who sent without a due dose or an amount got the only one there was.
        let same_slot = slot.is_none() || slot == stored.as_ref();
        let stated = dose.dose.as_ref().filter(|_| dose.outcome.is_taken());
        record.device.as_ref() == Some(&self.device)
            && record.outcome == dose.outcome
            && dose.happened == Some(record.happened)
            && record.entered == self.entered
            && record.reason == dose.reason
            && record.need.as_ref().map(|own| &own.reason) == dose.need.as_ref()
            && same_slot
            && stated.is_none_or(much)
    }

    /// What spoke against it, in words, for whoever looks at it afterwards. A possible double dose is pointed
    /// out as such, with both records.
    pub(super) fn against(&self, outcome: Outcome, decision: Option<&Decision>) -> Vec<String> {
        let reasons = decision.into_iter().flat_map(|own| &own.reasons);
        let double = |why: &Why| match why {
            Why::PossibleDouble { .. } => true,
            Why::Recorded { outcome: other, .. } => other.is_taken() && outcome.is_taken(),
            _ => false,
        };
        let heavy = reasons.filter(|(verdict, why)| *verdict >= Verdict::Unknown && !double(why));
        let words = heavy.map(|(_, why)| reasons::words(why));
        self.notes.iter().cloned().chain(words).collect()
    }

    /// Marks what is stored: the device, what is to be known of its clock, and what spoke against it.
    pub(super) fn mark(&self, resource: &mut Value, against: &[String]) {
        let device = format!("urn:uuid:{}", self.device);
        let device = json!([{ "identifier": { "system": "urn:ietf:rfc:3986", "value": device } }]);
        set(resource, "device", device);
        let notes = self.clock.iter().chain(against);
        let notes: Vec<Value> = notes.map(|text| json!({ "text": text })).collect();
        if notes.is_empty() {
            return;
        }
        set(resource, "note", notes);
        let doubt = self.doubt.filter(|own| *own > 0);
        let doubt = doubt.map(|own| json!({ "url": "doubt", "valueUnsignedInt": own }));
        let own = against.iter();
        let own = own.map(|text| json!({ "url": "against", "valueString": text }));
        let parts: Vec<Value> = doubt.into_iter().chain(own).collect();
        let list = resource.get_mut("extension");
        if let Some(list) = list
            .and_then(Value::as_array_mut)
            .filter(|_| !parts.is_empty())
        {
            list.push(json!({ "url": BROUGHT, "extension": parts }));
        }
    }
}

/// What is to be known of a dose that a device brought.
#[derive(Default)]
pub(super) struct Marks {
    /// By how many seconds its time may be wrong.
    pub doubt: Option<i64>,
    /// What spoke against it.
    pub against: Vec<String>,
}

/// The marks of a MedicationAdministration.
pub(super) fn marks(resource: Json<'_>) -> Marks {
    let mut marks = Marks::default();
    let list = resource.get("extension").into_iter().flat_map(Json::items);
    let own = list.filter(|own| own.get_str("url").as_deref() == Some(BROUGHT));
    let parts = own.flat_map(|own| own.get("extension").into_iter().flat_map(Json::items));
    for part in parts {
        let doubt = part.get("valueUnsignedInt").map(|own| own.raw().to_vec());
        let doubt = doubt.and_then(|own| String::from_utf8(own).ok()?.parse().ok());
        marks.doubt = marks.doubt.max(doubt);
        let text = part.get_str("valueString").map(Cow::into_owned);
        marks.against.extend(text);
    }
    marks
}

/// That the id of a device's record is still nobody's.
pub(super) fn fresh(app: &App, dose: &Dose) -> Result<Option<Guard>, AppError> {
    let offline = dose.offline.as_ref();
    offline
        .map(|own| Ok(absent(&address(app, own)?)))
        .transpose()
}

/// That there is no such resource.
pub(super) fn absent(key: &ResourceKey) -> Guard {
    let plan = SearchPlan {
        types: vec![key.ty],
        all_of: vec![Clause {
            negated: false,
            any_of: vec![Predicate::Id(key.id.clone())],
        }],
        sort: Vec::new(),
        count: 1,
        bytes: usize::MAX,
        rows: u64::MAX,
        after: None,
        total: Total::None,
    };
    Guard {
        plan,
        seen: Vec::new(),
    }
}
