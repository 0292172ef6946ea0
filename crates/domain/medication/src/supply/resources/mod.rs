//! Orders, deliveries and dispensings as FHIR R4 resources and back: SupplyRequest, Task, SupplyDelivery,
//! MedicationDispense, and the message that carries a request. Must not make an order out of what it
//! reads: an order is made by its constructors, which ask what may be bought.

mod delivery;
mod message;
mod request;
#[cfg(test)]
mod tests;
mod wire;

use fhir::json::{Kind as Json, Value};
use kernel::{Categorised, Category, Timestamp};

pub use delivery::{
    Dispensing, Stored, dispense, read_delivery, read_dispense, status_of, supply_delivery,
};
pub use message::{
    Content, NUMBER, Parties, Patient, Prescriber, ShortFormError, message, short_form,
};
pub use request::{Requested, Tracked, read_request, read_task, statuses, supply_request, task};
pub use wire::{
    Answered, Notification, Notified, STANDING, read_answer, read_notification, read_standing,
    standing,
};

use crate::dosage::print::{Object, object};
use crate::dosage::{Concept, DosageError};

/// SNOMED CT, whose codes dm+d's are.
pub const SNOMED: &str = "http://snomed.info/sct";
/// Identifiers of orders.
pub const ORDER: &str = "https://theriac.example.org/fhir/Id/supply-order";
/// Identifiers of delivery notes.
pub const NOTE: &str = "https://theriac.example.org/fhir/Id/delivery-note";
/// Codes of the house's own medicines.
pub const ITEM: &str = "https://theriac.example.org/fhir/Id/medicine";
/// Codes of [`super::State`].
pub const STATE: &str = "https://theriac.example.org/fhir/CodeSystem/supply-state";
/// Codes of [`super::Kind`].
pub const KIND: &str = "https://theriac.example.org/fhir/CodeSystem/supply-kind";
/// Extension of SupplyRequest: for whom it is, a `valueReference` to a Patient.
pub const FOR: &str = "https://theriac.example.org/fhir/StructureDefinition/supply-for";
/// Extension of SupplyRequest: where it stands, a `valueCode` of [`STATE`].
pub const STANDS: &str = "https://theriac.example.org/fhir/StructureDefinition/supply-state";
/// Extension of SupplyRequest: the packs, with the extensions `count` (`valuePositiveInt`) and `holds`
/// (`valueQuantity`).
pub const PACKS: &str = "https://theriac.example.org/fhir/StructureDefinition/supply-packs";
/// Extension of SupplyDelivery: the batch, with the extensions `lot`, `serial` (`valueString`) and
/// `expiry` (`valueDate`), each where it is known.
pub const BATCH: &str = "https://theriac.example.org/fhir/StructureDefinition/supply-batch";
/// Dispensing of one item, as the electronic prescription service codes it.
pub const DISPENSED: &str = "https://fhir.nhs.uk/CodeSystem/medicationdispense-type";

/// Why a resource cannot be read as one of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {what}")]
pub struct ReadError {
    /// Where.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl Categorised for ReadError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl From<DosageError> for ReadError {
    fn from(error: DosageError) -> Self {
        Self {
            path: error.path,
            what: error.what.to_owned(),
        }
    }
}

fn fault(path: &str, what: &(impl ToString + ?Sized)) -> ReadError {
    ReadError {
        path: path.to_owned(),
        what: what.to_string(),
    }
}

/// A resource as JSON.
fn resource(kind: &str, fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut into = Vec::new();
    object(&mut into, |o| {
        o.text("resourceType", Some(kind));
        fill(o);
    });
    String::from_utf8(into).unwrap_or_default()
}

fn identifier(o: &mut Object<'_>, name: &str, system: &str, value: &str) {
    object(o.key(name), |o| {
        o.text("system", Some(system));
        o.text("value", Some(value));
    });
}

fn identifiers(o: &mut Object<'_>, list: &[(&str, &str)]) {
    o.list("identifier", list, |(system, value), into| {
        object(into, |o| {
            o.text("system", Some(system));
            o.text("value", Some(value));
        });
    });
}

fn coding(o: &mut Object<'_>, name: &str, system: &str, code: &str) {
    object(o.key(name), |o| {
        o.text("system", Some(system));
        o.text("code", Some(code));
    });
}

fn coded(o: &mut Object<'_>, name: &str, system: &str, code: &str) {
    object(o.key(name), |o| {
        o.list("coding", &[(system, code)], |(system, code), into| {
            object(into, |o| {
                o.text("system", Some(system));
                o.text("code", Some(code));
            });
        });
    });
}

fn reference(o: &mut Object<'_>, name: &str, kind: &str, id: &str) {
    object(o.key(name), |o| {
        o.text("reference", Some(&format!("{kind}/{id}")));
    });
}

/// The medicine as a concept: its dm+d code, and the house's own.
fn medicine(code: &str, item: Option<&str>, name: &str) -> Concept {
    let mut concept = Concept::of_code(SNOMED, code, name);
    concept.coding.extend(
        item.map(|item| Concept::of_code(ITEM, item, ""))
            .into_iter()
            .flat_map(|own| own.coding),
    );
    concept.text = Some(name.to_owned());
    concept
}

fn is(value: Value<'_>, kind: &str) -> Result<(), ReadError> {
    if value.kind() != Json::Object {
        return Err(fault("resource", "is no object"));
    }
    match value.get_str("resourceType") {
        Some(own) if own == kind => Ok(()),
        _ => Err(fault("resourceType", &format!("is not {kind}"))),
    }
}

fn need<'a>(value: Value<'a>, name: &str) -> Result<Value<'a>, ReadError> {
    value.get(name).ok_or_else(|| fault(name, "is missing"))
}

fn text(value: Value<'_>, name: &str) -> Result<String, ReadError> {
    let own = need(value, name)?.as_str();
    own.map(std::borrow::Cow::into_owned)
        .ok_or_else(|| fault(name, "is no string"))
}

fn time(value: Value<'_>, name: &str) -> Result<Timestamp, ReadError> {
    Timestamp::from_rfc3339(&text(value, name)?)
        .ok_or_else(|| fault(name, "is no time with a zone"))
}

/// The id of a local reference of a type.
fn referred<T: core::str::FromStr>(
    value: Value<'_>,
    name: &str,
    kind: &str,
) -> Result<T, ReadError> {
    let own = text(need(value, name)?, "reference").map_err(|own| fault(name, &own.what))?;
    let id = own.strip_prefix(kind).and_then(|id| id.strip_prefix('/'));
    id.and_then(|id| id.parse().ok())
        .ok_or_else(|| fault(name, &format!("is no reference to a {kind}")))
}

/// The same where it is there.
fn referred_maybe<T: core::str::FromStr>(
    value: Value<'_>,
    name: &str,
    kind: &str,
) -> Result<Option<T>, ReadError> {
    value
        .get(name)
        .map(|_| referred(value, name, kind))
        .transpose()
}

/// The value of the identifier of a system.
fn identified(value: Value<'_>, name: &str, system: &str) -> Result<String, ReadError> {
    let list = need(value, name)?;
    let found = list
        .items()
        .find(|own| own.get_str("system").is_some_and(|own| own == system))
        .ok_or_else(|| fault(name, &format!("has none of {system}")))?;
    text(found, "value").map_err(|own| fault(name, &own.what))
}

/// The code of a system in a CodeableConcept.
fn code_in(value: Value<'_>, name: &str, system: &str) -> Result<String, ReadError> {
    let own = crate::dosage::read::concept(need(value, name)?, name)?;
    own.code_in(system)
        .map(str::to_owned)
        .ok_or_else(|| fault(name, &format!("has no code of {system}")))
}

/// The extension of an address.
fn extension<'a>(value: Value<'a>, url: &str) -> Option<Value<'a>> {
    value
        .get("extension")?
        .items()
        .find(|own| own.get_str("url").is_some_and(|own| own == url))
}

fn parsed<T: core::str::FromStr<Err = E>, E: core::fmt::Display>(
    path: &str,
    text: &str,
) -> Result<T, ReadError> {
    text.parse().map_err(|error: E| fault(path, &error))
}
