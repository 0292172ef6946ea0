//! A MedicationRequest as the facts of an order. Must not take an order that was stopped for one that
//! runs: without the time of the stop it is refused by [`crate::order::Order::check`].

use std::borrow::Cow;

use fhir::json::Value;
use kernel::Timestamp;

use super::{ReadError, all, id, one, part, part_text, referred, refused, time};
use crate::content::Article;
use crate::dosage::{Bounds, Dosage};
use crate::ids::PrescriptionId;
use crate::order::{Escalate, NeedPlan, OrderFacts, Pause, Status};
use crate::schedule::Window;

/// What the reading needs beside the resource.
#[derive(Debug, Clone)]
pub struct Resolved<'a> {
    /// The product or ingredient that was ordered.
    pub article: Article,
    /// The zone of the home, for days without a clock time.
    pub zone: &'a jiff::tz::TimeZone,
}

/// Reads a MedicationRequest. It starts where its dosages do, else when it was written.
///
/// # Errors
/// What is missing or cannot be understood.
pub fn read_order(value: Value<'_>, resolved: Resolved<'_>) -> Result<OrderFacts, ReadError> {
    if value.get_str("resourceType").as_deref() != Some("MedicationRequest") {
        return Err(refused("resourceType", "is no MedicationRequest"));
    }
    let text = |name: &str| value.get_str(name).map(Cow::into_owned);
    let status = text("status").unwrap_or_default();
    let status = Status::of(&status).ok_or_else(|| refused("status", "is no status of R4"))?;
    if value.get("modifierExtension").is_some() {
        return Err(refused(
            "modifierExtension",
            "changes the order in a way that is not known",
        ));
    }
    if value.get("doNotPerform").and_then(Value::as_bool) == Some(true) {
        return Err(refused(
            "doNotPerform",
            "forbids the medicine: this is no order to give",
        ));
    }
    let list = value
        .get("dosageInstruction")
        .into_iter()
        .flat_map(Value::items);
    let dosages: Result<Vec<Dosage>, ReadError> = list
        .map(|one| {
            let wrong = |error: crate::dosage::DosageError| {
                refused(&format!("dosageInstruction.{}", error.path), error.what)
            };
            Dosage::read(one).map_err(wrong)
        })
        .collect();
    let dosages = dosages?;
    let subject = value
        .get("subject")
        .and_then(|own| referred(own, "Patient"));
    let flag = |name: &str| {
        let own = one(value, name).and_then(|own| own.get("valueBoolean"));
        own.and_then(Value::as_bool) == Some(true)
    };
    let stop = one(value, "order-stop").and_then(|own| own.get_str("valueDateTime"));
    let stop = stop.map(|own| time(&own, "extension(order-stop)"));
    Ok(OrderFacts {
        id: id(text("id"), "id")?,
        resident: id(subject, "subject")?,
        start: start(value, &dosages, resolved.zone)?,
        article: resolved.article,
        dosages,
        status,
        stop: stop.transpose()?,
        pauses: pauses(value)?,
        window: window(value)?,
        apart_seconds: number(value, "order-apart", None)?.map(|minutes| minutes * 60),
        need: plan(value)?,
        covert: flag("order-covert"),
        homely: homely(value)?,
        witness: flag("order-witness"),
        replaces: replaced(value)?,
    })
}

fn start(
    value: Value<'_>,
    dosages: &[Dosage],
    zone: &jiff::tz::TimeZone,
) -> Result<Timestamp, ReadError> {
    let stated = dosages
        .iter()
        .filter_map(|own| match &own.repeat()?.bounds {
            Some(Bounds::Period { start, .. }) => start.as_ref().map(|own| own.starts(zone)),
            _ => None,
        });
    let written = value.get_str("authoredOn");
    let written = written.and_then(|own| crate::dosage::Moment::parse(&own));
    let written = written.map(|own| own.starts(zone));
    let missing = || refused("authoredOn", "is missing, and no dosage says from when");
    stated.min().or(written).ok_or_else(missing)
}

/// The order before this one.
fn replaced(value: Value<'_>) -> Result<Option<PrescriptionId>, ReadError> {
    let path = "priorPrescription";
    let prior = value.get(path);
    let prior = prior.and_then(|own| referred(own, "MedicationRequest"));
    prior.map(|own| id(Some(own), path)).transpose()
}

/// On how many days in a row a homely remedy may be given.
fn homely(value: Value<'_>) -> Result<Option<u32>, ReadError> {
    if one(value, "order-homely").is_none() {
        return Ok(None);
    }
    let wrong = || {
        refused(
            "extension(order-homely)",
            "states no number of days from 1 to 7",
        )
    };
    let days = number(value, "order-homely", None)?;
    let days = days.and_then(|own| u32::try_from(own).ok());
    let days = days.filter(|own| (1..=7).contains(own));
    days.map(Some).ok_or_else(wrong)
}

fn pauses(value: Value<'_>) -> Result<Vec<Pause>, ReadError> {
    let path = "extension(order-pause)";
    let read = |own: Value<'_>| {
        let at = |url| part_text(own, url, "valueDateTime").map(|text| time(&text, path));
        let from = at("from").transpose()?;
        let reason = part_text(own, "reason", "valueString");
        Ok(Pause {
            from: from.ok_or_else(|| refused(path, "does not say from when"))?,
            to: at("to").transpose()?,
            reason: reason.map(Cow::into_owned).unwrap_or_default(),
        })
    };
    all(value, "order-pause").map(read).collect()
}

/// A whole number that is not negative, of an extension or of a part of it.
fn number(value: Value<'_>, name: &str, url: Option<&str>) -> Result<Option<i64>, ReadError> {
    let Some(own) = one(value, name) else {
        return Ok(None);
    };
    let own = match url {
        Some(url) => part(own, url, "valueInteger"),
        None => own.get("valueInteger"),
    };
    let Some(own) = own else {
        return Ok(None);
    };
    let number = own.number_text().and_then(|text| text.parse::<u32>().ok());
    let wrong = || refused(&format!("extension({name})"), "is no whole number from 0");
    number.map(i64::from).map(Some).ok_or_else(wrong)
}

fn window(value: Value<'_>) -> Result<Window, ReadError> {
    let name = "order-window";
    let usual = Window::default();
    let critical = one(value, name).and_then(|own| part(own, "critical", "valueBoolean"));
    Ok(Window {
        early: number(value, name, Some("early"))?.unwrap_or(usual.early),
        late: number(value, name, Some("late"))?.unwrap_or(usual.late),
        critical: critical.and_then(Value::as_bool) == Some(true),
    })
}

fn plan(value: Value<'_>) -> Result<NeedPlan, ReadError> {
    let name = "order-need-plan";
    let count = |url| number(value, name, Some(url)).map(|own| own.map(|own| own as u32));
    let expected = one(value, name).and_then(|own| part_text(own, "expected", "valueString"));
    let escalate = count("escalateDoses")?.zip(count("escalateDays")?);
    Ok(NeedPlan {
        expected: expected.map(Cow::into_owned),
        effect_after: count("effectAfter")?,
        escalate: escalate.map(|(doses, days)| Escalate { doses, days }),
    })
}
