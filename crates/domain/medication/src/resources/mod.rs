//! Orders, records and papers as FHIR R4: MedicationRequest to the facts of an order,
//! MedicationAdministration from a record and back with nothing lost, Observation and Consent to papers. What R4 has no place for stands in extensions, each with its
//! StructureDefinition. Must not fill in what a resource does not say.

mod administration;
mod order;
mod papers;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use fhir::json::Value;
use kernel::{Categorised, Category, Timestamp};

pub use administration::{administration, person, read_administration};
pub use order::{Resolved, read_order};
pub use papers::{PAPERS, paper_kind, read_paper};

use crate::dosage::print::{Object, object};

/// The StructureDefinitions of the extensions, as a collection Bundle.
pub const DEFINITIONS: &str = include_str!("data/extensions.json");

/// The start of every address below.
pub const BASE: &str = "https://theriac.example.org/fhir/StructureDefinition/";
/// Codes of outcomes.
pub const OUTCOMES: &str = "https://theriac.example.org/fhir/CodeSystem/medication-outcome";
/// HL7's reasons for a medicine not given.
pub const NOT_GIVEN: &str = "http://terminology.hl7.org/CodeSystem/reason-medication-not-given";
/// Functions of performers.
pub const FUNCTIONS: &str = "https://theriac.example.org/fhir/CodeSystem/administration-function";

/// Names of the extensions.
pub const EXTENSIONS: [&str; 25] = [
    "administration-outcome",
    "administration-slot",
    "administration-dosage",
    "administration-entered",
    "administration-reason",
    "administration-right",
    "administration-content",
    "administration-corrects",
    "administration-need",
    "administration-pack",
    "administration-brought",
    "order-stop",
    "order-pause",
    "order-window",
    "order-apart",
    "order-need-plan",
    "order-covert",
    "order-homely",
    "order-witness",
    "order-review",
    "dosage-cycle",
    "paper-review",
    "paper-party",
    "covert-method",
    "paper-note",
];

/// Why a resource cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct ReadError {
    /// Where.
    pub path: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl Categorised for ReadError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

fn refused(path: &str, what: &str) -> ReadError {
    ReadError {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

/// An extension being written: its name below [`BASE`] and what it holds.
fn extension(name: &str, into: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    let url = format!("{BASE}{name}");
    object(into, |o| {
        o.text("url", Some(&url));
        fill(o);
    });
}

/// A part of a complex extension.
type Part = (&'static str, &'static str, String);

/// A complex extension of texts and codes; the parts are url, name of the value, text.
fn complex(name: &str, into: &mut Vec<u8>, parts: &[Part]) {
    extension(name, into, |o| {
        o.list("extension", parts, |(url, value, text), into| {
            object(into, |o| {
                o.text("url", Some(url));
                match *value {
                    "valueBoolean" | "valueInteger" => o.plain(value, Some(text)),
                    _ => o.text(value, Some(text)),
                }
            });
        });
    });
}

/// The extensions of a name.
fn all<'a>(value: Value<'a>, name: &str) -> impl Iterator<Item = Value<'a>> {
    let url = format!("{BASE}{name}");
    let list = value.get("extension").into_iter().flat_map(Value::items);
    list.filter(move |one| one.get_str("url").as_deref() == Some(url.as_str()))
}

fn one<'a>(value: Value<'a>, name: &str) -> Option<Value<'a>> {
    all(value, name).next()
}

/// A value of a part of a complex extension.
fn part<'a>(extension: Value<'a>, url: &str, value: &str) -> Option<Value<'a>> {
    let parts = extension
        .get("extension")
        .into_iter()
        .flat_map(Value::items);
    let mut own = parts.filter(|part| part.get_str("url").as_deref() == Some(url));
    own.next()?.get(value)
}

fn part_text<'a>(extension: Value<'a>, url: &str, value: &str) -> Option<Cow<'a, str>> {
    part(extension, url, value)?.as_str()
}

fn time(text: &str, path: &str) -> Result<Timestamp, ReadError> {
    Timestamp::from_rfc3339(text).ok_or_else(|| refused(path, "is no instant with an offset"))
}

/// The id of a reference to a type.
fn referred(value: Value<'_>, kind: &str) -> Option<String> {
    let reference = value.get_str("reference")?;
    let (own, id) = reference.split_once('/')?;
    (own == kind).then(|| id.to_owned())
}

fn reference(kind: &str, id: &str, into: &mut Vec<u8>) {
    object(into, |o| {
        o.text("reference", Some(&format!("{kind}/{id}")));
    });
}

fn id<T: core::str::FromStr>(text: Option<String>, path: &str) -> Result<T, ReadError> {
    let text = text.ok_or_else(|| refused(path, "is missing: name it"))?;
    text.parse().map_err(|_| refused(path, "is no id"))
}
