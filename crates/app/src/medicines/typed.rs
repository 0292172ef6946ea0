//! An order from what a prescriber typed: the MedicationRequest with its dosages and what R4 has no place for.
//! Must not fill in what was not typed, and must not store: `prescribe` does.

use jiff::civil::Date;
use medication::dosage::entered::{Entered, Wrong};
use medication::dosage::{Dosage, regimen};
use medication::resources::BASE;
use serde_json::{Value, json};
use store::ResourceKey;

use super::issue::set;
use crate::record::name_of;

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    /// Name of the medicine.
    pub medicine: String,
    /// How much and when.
    pub dosage: Entered,
    /// What it is for.
    pub indication: String,
    /// Hours that must lie between two doses, when needed.
    pub apart: String,
    /// What it should bring about, when needed.
    pub expected: String,
    /// Minutes after which somebody looks whether it did.
    pub look_after: String,
    /// Whether minutes matter.
    pub critical: bool,
    /// Whether every dose wants a second person.
    pub witness: bool,
    /// The day by which somebody looks at it again.
    pub review: Option<Date>,
    /// The order that it takes the place of: `MedicationRequest/1`.
    pub replaces: Option<String>,
}

/// An order that was typed, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The MedicationRequest, without an id.
    pub resource: Value,
    /// Its dosages in words.
    pub words: String,
    /// What the words do not say.
    pub unsaid: Vec<&'static str>,
}

/// Whole hours or minutes as minutes.
fn minutes(field: &str, typed: &str, times: i64) -> Result<Option<i64>, Wrong> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let whole = typed.parse::<u16>().ok().filter(|own| *own > 0);
    let whole = whole.map(|own| i64::from(own) * times);
    whole.map(Some).ok_or_else(|| Wrong {
        field: field.to_owned(),
        text: format!("{typed} is no whole number above zero: write it like 4"),
    })
}

fn extension(name: &str, value: (&str, Value)) -> Value {
    let mut own = json!({ "url": format!("{BASE}{name}") });
    set(&mut own, value.0, value.1);
    own
}

impl Typed {
    /// The order.
    ///
    /// # Errors
    /// Every field that is missing, wrong or easily misread.
    pub fn order(&self, patient: &ResourceKey) -> Result<Order, Vec<Wrong>> {
        let mut found = Vec::new();
        let medicine = self.medicine.trim();
        if medicine.is_empty() {
            found.push(Wrong {
                field: "medicine".to_owned(),
                text: "choose the medicine".to_owned(),
            });
        }
        let extensions = self.extensions().unwrap_or_else(|more| {
            found.extend(more);
            Vec::new()
        });
        let dosages = match self.dosage.dosages() {
            Ok(dosages) if found.is_empty() => dosages,
            Ok(_) => return Err(found),
            Err(more) => {
                found.extend(more);
                return Err(found);
            }
        };
        let words = regimen(&dosages);
        let mut resource = json!({
            "resourceType": "MedicationRequest", "status": "active", "intent": "order",
            "medicationCodeableConcept": { "text": medicine },
            "subject": { "reference": name_of(patient) },
            "dosageInstruction": dosages.iter().map(stated).collect::<Vec<_>>(),
        });
        if !extensions.is_empty() {
            set(&mut resource, "extension", extensions);
        }
        let indication = self.indication.trim();
        if !indication.is_empty() {
            set(&mut resource, "reasonCode", json!([{ "text": indication }]));
        }
        if let Some(prior) = &self.replaces {
            set(
                &mut resource,
                "priorPrescription",
                json!({ "reference": prior }),
            );
        }
        Ok(Order {
            resource,
            words: words.text,
            unsaid: words.unsaid,
        })
    }

    fn extensions(&self) -> Result<Vec<Value>, Vec<Wrong>> {
        let mut found = Vec::new();
        let mut read = |field: &str, typed: &str, times: i64| {
            minutes(field, typed, times).unwrap_or_else(|error| {
                found.push(error);
                None
            })
        };
        let apart = read("apart", &self.apart, 60);
        let look = read("look_after", &self.look_after, 1);
        let mut list = Vec::new();
        list.extend(apart.map(|own| extension("order-apart", ("valueInteger", own.into()))));
        let expected = self.expected.trim();
        let mut plan = Vec::new();
        if !expected.is_empty() {
            plan.push(json!({ "url": "expected", "valueString": expected }));
        }
        plan.extend(look.map(|own| json!({ "url": "effectAfter", "valueInteger": own })));
        if !plan.is_empty() {
            list.push(extension("order-need-plan", ("extension", plan.into())));
        }
        if self.critical {
            let critical = json!([{ "url": "critical", "valueBoolean": true }]);
            list.push(extension("order-window", ("extension", critical)));
        }
        if self.witness {
            list.push(extension("order-witness", ("valueBoolean", true.into())));
        }
        list.extend(
            self.review
                .map(|day| extension("order-review", ("valueDate", day.to_string().into()))),
        );
        if found.is_empty() {
            Ok(list)
        } else {
            Err(found)
        }
    }
}

/// A dosage with its words, as whoever reads the resource elsewhere sees them.
fn stated(dosage: &Dosage) -> Value {
    let mut value: Value = serde_json::from_str(&dosage.to_json()).unwrap_or_default();
    set(&mut value, "text", dosage.words().text);
    value
}
