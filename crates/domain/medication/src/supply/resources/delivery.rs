//! What was delivered as SupplyDelivery, and what a pharmacy dispensed as MedicationDispense. Must not
//! take a dispensing without the code that says how much of the item it was.

use fhir::json::Value;
use jiff::civil::Date;
use kernel::Timestamp;

use super::super::book_in::{Delivered, Delivery};
use super::super::state::Dispensed;
use super::{
    BATCH, DISPENSED, ITEM, NOTE, ORDER, ReadError, SNOMED, code_in, coded, extension, fault,
    identified, identifier, identifiers, is, medicine, need, parsed, reference, referred,
    referred_maybe, resource, text, time,
};
use crate::dosage::Concept;
use crate::dosage::print::{concept, object, quantity};
use crate::dosage::read;
use crate::ids::{ItemId, LocationId, OrderId, PartyId, ResidentId};
use crate::quantity::{Quantity, Unit};
use crate::stock::{Batch, Units};

/// One thing of a delivery as SupplyDelivery.
#[must_use]
pub fn supply_delivery(
    order: &OrderId,
    delivery: &Delivery,
    thing: &Delivered,
    unit: &Unit,
    location: &LocationId,
) -> String {
    resource("SupplyDelivery", |o| {
        let parts = batch_parts(&thing.batch);
        if !parts.is_empty() {
            let into = o.key("extension");
            into.push(b'[');
            object(into, |o| {
                o.text("url", Some(BATCH));
                o.list("extension", &parts, |(url, name, value), into| {
                    object(into, |o| {
                        o.text("url", Some(url));
                        o.text(name, Some(value));
                    });
                });
            });
            into.push(b']');
        }
        identifiers(o, &[(NOTE, &delivery.note)]);
        o.list("basedOn", &[order], |order, into| {
            object(into, |o| {
                o.text("type", Some("SupplyRequest"));
                identifier(o, "identifier", ORDER, order.as_str());
            });
        });
        o.text("status", Some("completed"));
        if let Some(resident) = &thing.resident {
            reference(o, "patient", "Patient", resident.as_str());
        }
        let item = thing.item.as_ref();
        object(o.key("suppliedItem"), |o| {
            let amount = Quantity::new(thing.quantity.get(), unit.clone());
            quantity(&amount, o.key("quantity"));
            let mut what = item.map_or_else(Concept::default, |item| {
                Concept::of_code(ITEM, item.as_str(), "")
            });
            what.text = Some(thing.label.clone());
            concept(&what, o.key("itemCodeableConcept"));
        });
        o.text("occurrenceDateTime", Some(&delivery.at.to_fhir_instant()));
        reference(o, "supplier", "Organization", delivery.from.as_str());
        reference(o, "destination", "Location", location.as_str());
    })
}

fn batch_parts(batch: &Batch) -> Vec<(&'static str, &'static str, String)> {
    let lot = batch.lot.clone().map(|own| ("lot", "valueString", own));
    let serial = batch.serial.clone();
    let serial = serial.map(|own| ("serial", "valueString", own));
    let expiry = batch.expiry;
    let expiry = expiry.map(|own| ("expiry", "valueDate", own.to_string()));
    [lot, serial, expiry].into_iter().flatten().collect()
}

/// What a SupplyDelivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// For which order.
    pub order: OrderId,
    /// The delivery note.
    pub note: String,
    /// Who brought it.
    pub from: PartyId,
    /// When.
    pub at: Timestamp,
    /// Where to.
    pub location: LocationId,
    /// What.
    pub thing: Delivered,
    /// In which unit.
    pub unit: Unit,
}

/// Reads a SupplyDelivery.
///
/// # Errors
/// What is missing or not of its form.
pub fn read_delivery(value: Value<'_>) -> Result<Stored, ReadError> {
    is(value, "SupplyDelivery")?;
    if text(value, "status")? != "completed" {
        return Err(fault("status", "is not completed: it has not arrived"));
    }
    let based = need(value, "basedOn")?.items().next();
    let based = based.ok_or_else(|| fault("basedOn", "is missing"))?;
    let order = need(based, "identifier")?;
    if text(order, "system")? != ORDER {
        return Err(fault("basedOn", "names no order"));
    }
    let supplied = need(value, "suppliedItem")?;
    let amount = read::quantity(need(supplied, "quantity")?, "suppliedItem.quantity")?;
    let what = need(supplied, "itemCodeableConcept")?;
    let what = read::concept(what, "suppliedItem.itemCodeableConcept")?;
    let item: Option<ItemId> = what
        .code_in(ITEM)
        .map(|own| parsed("suppliedItem", own))
        .transpose()?;
    let part = |url: &str, name: &str| -> Result<Option<String>, ReadError> {
        let own = extension(value, BATCH).and_then(|own| extension(own, url));
        own.map(|own| text(own, name)).transpose()
    };
    let expiry = part("expiry", "valueDate")?;
    let expiry: Option<Date> = expiry.map(|own| parsed(BATCH, &own)).transpose()?;
    let resident: Option<ResidentId> = referred_maybe(value, "patient", "Patient")?;
    Ok(Stored {
        order: parsed("basedOn", &text(order, "value")?)?,
        note: identified(value, "identifier", NOTE)?,
        from: referred(value, "supplier", "Organization")?,
        at: time(value, "occurrenceDateTime")?,
        location: referred(value, "destination", "Location")?,
        thing: Delivered {
            item,
            label: what.text.unwrap_or_default(),
            resident,
            quantity: Units::new(amount.value.value())
                .map_err(|own| fault("suppliedItem.quantity", &own))?,
            batch: Batch {
                expiry,
                lot: part("lot", "valueString")?,
                serial: part("serial", "valueString")?,
            },
        },
        unit: amount.unit,
    })
}

/// What a pharmacy says of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispensing {
    /// Of which order.
    pub order: OrderId,
    /// The item's dm+d code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// For whom.
    pub resident: ResidentId,
    /// What became of it.
    pub dispensed: Dispensed,
    /// How much was dispensed, where any was.
    pub quantity: Option<(Units, Unit)>,
    /// When.
    pub at: Timestamp,
}

/// `MedicationDispense.status` of what became of an item.
#[must_use]
pub const fn status_of(dispensed: Dispensed) -> &'static str {
    match dispensed {
        Dispensed::Fully => "completed",
        Dispensed::Not => "declined",
        Dispensed::Partially | Dispensed::WithDispenser => "in-progress",
        Dispensed::Owing => "on-hold",
        Dispensed::Cancelled => "cancelled",
        Dispensed::Expired => "stopped",
        Dispensed::ToBe => "preparation",
    }
}

/// A dispensing as MedicationDispense.
#[must_use]
pub fn dispense(own: &Dispensing) -> String {
    resource("MedicationDispense", |o| {
        identifiers(o, &[(ORDER, own.order.as_str())]);
        o.text("status", Some(status_of(own.dispensed)));
        let what = medicine(&own.code, None, &own.name);
        concept(&what, o.key("medicationCodeableConcept"));
        reference(o, "subject", "Patient", own.resident.as_str());
        coded(o, "type", DISPENSED, own.dispensed.code());
        if let Some((units, unit)) = &own.quantity {
            let amount = Quantity::new(units.get(), unit.clone());
            quantity(&amount, o.key("quantity"));
        }
        o.text("whenPrepared", Some(&own.at.to_fhir_instant()));
    })
}

/// Reads a MedicationDispense.
///
/// # Errors
/// What is missing or not of its form; a status that the code of the item does not have.
pub fn read_dispense(value: Value<'_>) -> Result<Dispensing, ReadError> {
    is(value, "MedicationDispense")?;
    let code = code_in(value, "type", DISPENSED)?;
    let dispensed = Dispensed::of(&code).ok_or_else(|| fault("type", "is no code of an item"))?;
    if text(value, "status")? != status_of(dispensed) {
        return Err(fault("status", &format!("is not that of {code}")));
    }
    let what = need(value, "medicationCodeableConcept")?;
    let what = read::concept(what, "medicationCodeableConcept")?;
    let code = what
        .code_in(SNOMED)
        .ok_or_else(|| fault("medicationCodeableConcept", "has no dm+d code"))?;
    let amount = value
        .get("quantity")
        .map(|own| read::quantity(own, "quantity"))
        .transpose()?;
    let quantity = amount
        .map(|own| Ok((Units::new(own.value.value())?, own.unit)))
        .transpose()
        .map_err(|own: crate::stock::UnitsError| fault("quantity", &own))?;
    Ok(Dispensing {
        order: parsed("identifier", &identified(value, "identifier", ORDER)?)?,
        code: code.to_owned(),
        name: what.words().unwrap_or_default().to_owned(),
        resident: referred(value, "subject", "Patient")?,
        dispensed,
        quantity,
        at: time(value, "whenPrepared")?,
    })
}
