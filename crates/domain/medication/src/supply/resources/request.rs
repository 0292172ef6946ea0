//! A line of an order as SupplyRequest, and where the order stands as Task. Must not hide a state in one
//! of FHIR's fewer: the exact one goes with it.

use fhir::json::Value;
use kernel::Timestamp;

use super::super::order::{Line, Order};
use super::super::packs::Packs;
use super::super::state::{Kind, State};
use super::{
    FOR, ITEM, KIND, ORDER, PACKS, ReadError, SNOMED, STANDS, STATE, code_in, coded, extension,
    fault, identified, identifiers, is, medicine, need, parsed, reference, referred,
    referred_maybe, resource, text, time,
};
use crate::dosage::print::{concept, object, quantity};
use crate::dosage::read;
use crate::ids::{LocationId, OrderId, PartyId, ResidentId};
use crate::quantity::Quantity;
use crate::stock::Units;

/// `SupplyRequest.status` and `Task.status` of a state.
#[must_use]
pub const fn statuses(state: State) -> (&'static str, &'static str) {
    match state {
        State::Draft => ("draft", "draft"),
        State::Approved => ("draft", "ready"),
        State::Submitted => ("active", "requested"),
        State::Acknowledged => ("active", "received"),
        State::Prescribed => ("active", "accepted"),
        State::WithDispenser
        | State::PartDispensed
        | State::Owing
        | State::Dispatched
        | State::Received => ("active", "in-progress"),
        State::Reconciled => ("completed", "completed"),
        State::Rejected => ("cancelled", "rejected"),
        State::Cancelled => ("cancelled", "cancelled"),
        State::Expired => ("cancelled", "failed"),
    }
}

/// A line as SupplyRequest.
#[must_use]
pub fn supply_request(order: &Order, line: &Line, authored: Timestamp) -> String {
    let state = order.track.state();
    let verb = &order.verb;
    resource("SupplyRequest", |o| {
        let packs = line.packs.as_ref();
        let resident = verb.resident();
        let into = o.key("extension");
        into.push(b'[');
        object(into, |o| {
            o.text("url", Some(STANDS));
            o.text("valueCode", Some(state.code()));
        });
        if let Some(resident) = resident {
            into.push(b',');
            object(into, |o| {
                o.text("url", Some(FOR));
                reference(o, "valueReference", "Patient", resident.as_str());
            });
        }
        if let Some(packs) = packs {
            into.push(b',');
            object(into, |o| {
                o.text("url", Some(PACKS));
                let into = o.key("extension");
                into.push(b'[');
                object(into, |o| {
                    o.text("url", Some("count"));
                    o.plain("valuePositiveInt", Some(packs.count));
                });
                into.push(b',');
                object(into, |o| {
                    o.text("url", Some("holds"));
                    let holds = Quantity::new(packs.holds.get(), line.unit.clone());
                    quantity(&holds, o.key("valueQuantity"));
                });
                into.push(b']');
            });
        }
        into.push(b']');
        identifiers(o, &[(ORDER, order.id.as_str())]);
        o.text("status", Some(statuses(state).0));
        coded(o, "category", KIND, verb.kind().code());
        let item = medicine(&line.code, Some(line.item.as_str()), &line.name);
        concept(&item, o.key("itemCodeableConcept"));
        let amount = Quantity::new(line.quantity.get(), line.unit.clone());
        quantity(&amount, o.key("quantity"));
        o.text("authoredOn", Some(&authored.to_fhir_instant()));
        o.list("supplier", &[verb.of_whom()], |party, into| {
            object(into, |o| {
                o.text("reference", Some(&format!("Organization/{party}")));
            });
        });
        reference(o, "deliverTo", "Location", verb.location().as_str());
    })
}

/// What a SupplyRequest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// Of which order.
    pub order: OrderId,
    /// What is asked for.
    pub line: Line,
    /// A request or an order.
    pub kind: Kind,
    /// Of whom.
    pub of_whom: PartyId,
    /// For whom; none for common stock.
    pub resident: Option<ResidentId>,
    /// Where it goes.
    pub location: LocationId,
    /// Where it stands.
    pub state: State,
    /// When it was written.
    pub authored: Timestamp,
}

/// Reads a SupplyRequest.
///
/// # Errors
/// What is missing, is not of its form, or has a status that its state does not have.
pub fn read_request(value: Value<'_>) -> Result<Requested, ReadError> {
    is(value, "SupplyRequest")?;
    let stands = extension(value, STANDS).ok_or_else(|| fault(STANDS, "is missing"))?;
    let state = text(stands, "valueCode")?;
    let state = State::of(&state).ok_or_else(|| fault(STANDS, "is no state"))?;
    if text(value, "status")? != statuses(state).0 {
        return Err(fault("status", &format!("is not that of {}", state.code())));
    }
    let kind = code_in(value, "category", KIND)?;
    let amount = read::quantity(need(value, "quantity")?, "quantity")?;
    let item = read::concept(need(value, "itemCodeableConcept")?, "itemCodeableConcept")?;
    let code = item
        .code_in(SNOMED)
        .ok_or_else(|| fault("itemCodeableConcept", "has no dm+d code"))?;
    let own = code_in(value, "itemCodeableConcept", ITEM)?;
    let supplier = need(value, "supplier")?.items().next();
    let supplier = supplier.ok_or_else(|| fault("supplier", "is missing"))?;
    let supplier = text(supplier, "reference")?;
    let supplier = supplier
        .strip_prefix("Organization/")
        .ok_or_else(|| fault("supplier", "is no reference to a Organization"))?;
    let packs = extension(value, PACKS).map(packs).transpose()?;
    let resident = extension(value, FOR)
        .map(|own| referred(own, "valueReference", "Patient"))
        .transpose()?;
    Ok(Requested {
        order: parsed("identifier", &identified(value, "identifier", ORDER)?)?,
        line: Line {
            item: parsed("itemCodeableConcept", &own)?,
            code: code.to_owned(),
            name: item.words().unwrap_or_default().to_owned(),
            quantity: Units::new(amount.value.value()).map_err(|own| fault("quantity", &own))?,
            unit: amount.unit,
            packs,
        },
        kind: Kind::of(&kind).ok_or_else(|| fault("category", "is no kind"))?,
        of_whom: parsed("supplier", supplier)?,
        resident,
        location: referred(value, "deliverTo", "Location")?,
        state,
        authored: time(value, "authoredOn")?,
    })
}

fn packs(value: Value<'_>) -> Result<Packs, ReadError> {
    let of = |url| extension(value, url).ok_or_else(|| fault(PACKS, &format!("has no {url}")));
    let count = need(of("count")?, "valuePositiveInt")?.number_text();
    let holds = read::quantity(need(of("holds")?, "valueQuantity")?, PACKS)?;
    Ok(Packs {
        count: count
            .and_then(|own| own.parse().ok())
            .filter(|own| *own > 0)
            .ok_or_else(|| fault(PACKS, "has no count"))?,
        holds: Units::new(holds.value.value()).map_err(|own| fault(PACKS, &own))?,
    })
}

/// Where an order stands, as Task.
#[must_use]
pub fn task(order: &Order, authored: Timestamp, modified: Timestamp) -> String {
    let state = order.track.state();
    let verb = &order.verb;
    resource("Task", |o| {
        identifiers(o, &[(ORDER, order.id.as_str())]);
        o.text("status", Some(statuses(state).1));
        coded(o, "businessStatus", STATE, state.code());
        let intent = match verb.kind() {
            Kind::Repeat => "proposal",
            Kind::Direct => "order",
        };
        o.text("intent", Some(intent));
        coded(o, "code", KIND, verb.kind().code());
        if let Some(resident) = verb.resident() {
            reference(o, "for", "Patient", resident.as_str());
        }
        o.text("authoredOn", Some(&authored.to_fhir_instant()));
        o.text("lastModified", Some(&modified.to_fhir_instant()));
        reference(o, "owner", "Organization", verb.of_whom().as_str());
    })
}

/// What a Task says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Of which order.
    pub order: OrderId,
    /// A request or an order.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// For whom; none for common stock.
    pub resident: Option<ResidentId>,
    /// Since when.
    pub modified: Timestamp,
}

/// Reads a Task.
///
/// # Errors
/// What is missing, is not of its form, or has a status that its state does not have.
pub fn read_task(value: Value<'_>) -> Result<Tracked, ReadError> {
    is(value, "Task")?;
    let state = code_in(value, "businessStatus", STATE)?;
    let state = State::of(&state).ok_or_else(|| fault("businessStatus", "is no state"))?;
    if text(value, "status")? != statuses(state).1 {
        return Err(fault("status", &format!("is not that of {}", state.code())));
    }
    let kind = code_in(value, "code", KIND)?;
    Ok(Tracked {
        order: parsed("identifier", &identified(value, "identifier", ORDER)?)?,
        kind: Kind::of(&kind).ok_or_else(|| fault("code", "is no kind"))?,
        state,
        resident: referred_maybe(value, "for", "Patient")?,
        modified: time(value, "lastModified")?,
    })
}
