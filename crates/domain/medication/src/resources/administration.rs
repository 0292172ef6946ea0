//! A record as MedicationAdministration, and back. Must not lose a digit or a moment.

use std::borrow::Cow;

use fhir::json::Value;
use kernel::Timestamp;

use super::{
    FUNCTIONS, NOT_GIVEN, OUTCOMES, Part, ReadError, all, complex, extension, id, one, part,
    part_text, reference, referred, refused, time,
};
use crate::administration::{Correction, How, NeedRecord, Outcome, Record, Right, Verified};
use crate::content::{Content, Substance, Unmeasured};
use crate::dosage::print::{Object, object, quantity};
use crate::dosage::read;
use crate::ids::ResidentId;

/// The record as a MedicationAdministration of a resident.
#[must_use]
pub fn administration(record: &Record, resident: &ResidentId) -> String {
    let mut into = Vec::new();
    let meaning = record.outcome.meaning();
    let void = record.corrects.as_ref().is_some_and(|own| own.void);
    object(&mut into, |o| {
        o.text("resourceType", Some("MedicationAdministration"));
        o.text("id", Some(record.id.as_str()));
        extensions(o, record);
        let status = if void {
            "entered-in-error"
        } else {
            meaning.status
        };
        o.text("status", Some(status));
        if meaning.status == "not-done" {
            reasons(o, record);
        }
        object(o.key("medicationCodeableConcept"), |o| {
            o.text("text", Some(&record.product));
        });
        reference("Patient", resident.as_str(), o.key("subject"));
        o.text("effectiveDateTime", Some(&record.happened.to_string()));
        let performers = [
            Some(("giver", &record.giver)),
            record.enterer.as_ref().map(|own| ("enterer", own)),
            record.witness.as_ref().map(|own| ("witness", own)),
        ];
        let performers: Vec<_> = performers.into_iter().flatten().collect();
        o.list("performer", &performers, |(function, person), into| {
            object(into, |o| {
                coded(o, "function", &[(FUNCTIONS, function)], None);
                reference("Practitioner", person.as_str(), o.key("actor"));
            });
        });
        if let Some(need) = &record.need {
            o.list("reasonCode", &[&need.reason], |reason, into| {
                object(into, |o| o.text("text", Some(reason)));
            });
        }
        reference("MedicationRequest", record.order.as_str(), o.key("request"));
        if let Some(device) = &record.device {
            o.list("device", &[device], |device, into| {
                reference("Device", device.as_str(), into);
            });
        }
        if let Some(dose) = &record.dose {
            object(o.key("dosage"), |o| quantity(dose, o.key("dose")));
        }
    });
    String::from_utf8(into).unwrap_or_default()
}

fn coded(o: &mut Object<'_>, name: &str, codes: &[(&str, &str)], text: Option<&str>) {
    object(o.key(name), |o| {
        o.list("coding", codes, |(system, code), into| {
            object(into, |o| {
                o.text("system", Some(system));
                o.text("code", Some(code));
            });
        });
        o.text("text", text);
    });
}

fn reasons(o: &mut Object<'_>, record: &Record) {
    let mut codes = vec![(OUTCOMES, record.outcome.code())];
    codes.extend(record.outcome.meaning().hl7.map(|code| (NOT_GIVEN, code)));
    let into = o.key("statusReason");
    into.push(b'[');
    object(into, |o| {
        o.list("coding", &codes, |(system, code), into| {
            object(into, |o| {
                o.text("system", Some(system));
                o.text("code", Some(code));
            });
        });
        o.text("text", record.reason.as_deref());
    });
    into.push(b']');
}

/// What is written as an extension.
enum Own<'a> {
    Simple(&'static str, &'static str, String),
    Complex(&'static str, Vec<Part>),
    Content(&'a Content),
}

/// The extensions of one value.
fn simple(record: &Record) -> Vec<Own<'_>> {
    let mut list = vec![
        Own::Simple(
            "administration-outcome",
            "valueCode",
            record.outcome.code().to_owned(),
        ),
        Own::Simple(
            "administration-entered",
            "valueInstant",
            record.entered.to_string(),
        ),
    ];
    if let Some(slot) = &record.slot {
        list.push(Own::Simple(
            "administration-slot",
            "valueString",
            slot.to_string(),
        ));
    }
    if let Some(place) = record.dosage {
        let place = place.saturating_add(1).to_string();
        list.push(Own::Simple("administration-dosage", "valueInteger", place));
    }
    if let Some(reason) = &record.reason {
        list.push(Own::Simple(
            "administration-reason",
            "valueString",
            reason.clone(),
        ));
    }
    list
}

fn extensions(o: &mut Object<'_>, record: &Record) {
    let mut list = simple(record);
    for own in &record.rights {
        list.push(Own::Complex(
            "administration-right",
            vec![
                ("right", "valueCode", own.right.code().to_owned()),
                ("how", "valueCode", own.how.code().to_owned()),
                ("fits", "valueBoolean", own.fits.to_string()),
            ],
        ));
    }
    list.extend(record.contents.iter().map(Own::Content));
    if let Some(own) = &record.corrects {
        list.push(Own::Complex(
            "administration-corrects",
            vec![
                ("of", "valueId", own.of.as_str().to_owned()),
                ("reason", "valueString", own.reason.clone()),
                ("void", "valueBoolean", own.void.to_string()),
            ],
        ));
    }
    if let Some(need) = &record.need {
        let due = need
            .effect_due
            .map(|at| ("effectDue", "valueInstant", at.to_string()));
        let reason = ("reason", "valueString", need.reason.clone());
        let parts = core::iter::once(reason).chain(due).collect();
        list.push(Own::Complex("administration-need", parts));
    }
    o.list("extension", &list, |own, into| match own {
        Own::Simple(name, value, text) => match value {
            // A number stands without quotation marks.
            &"valueInteger" => extension(name, into, |o| o.plain(value, Some(text))),
            _ => extension(name, into, |o| o.text(value, Some(text))),
        },
        Own::Complex(name, parts) => complex(name, into, parts),
        Own::Content(own) => content(own, into),
    });
}

fn content(own: &Content, into: &mut Vec<u8>) {
    let name = "administration-content";
    let substance = (
        "substance",
        "valueString",
        own.substance.as_str().to_owned(),
    );
    let much = match &own.much {
        Ok(much) => much,
        Err(why) => {
            let mut parts = vec![substance];
            parts.push(("unknown", "valueCode", unknown(why).to_owned()));
            if let Unmeasured::Unit { dose, product } = why {
                parts.push(("dose", "valueString", dose.clone()));
                parts.push(("product", "valueString", product.clone()));
            }
            return complex(name, into, &parts);
        }
    };
    extension(name, into, |o| {
        let into = o.key("extension");
        into.push(b'[');
        object(into, |o| {
            o.text("url", Some("substance"));
            o.text("valueString", Some(own.substance.as_str()));
        });
        into.push(b',');
        object(into, |o| {
            o.text("url", Some("amount"));
            quantity(much, o.key("valueQuantity"));
        });
        into.push(b']');
    });
}

const fn unknown(why: &Unmeasured) -> &'static str {
    match why {
        Unmeasured::NoDose => "no-dose",
        Unmeasured::NoStrength => "no-strength",
        Unmeasured::Ambiguous => "ambiguous",
        Unmeasured::Rate => "rate",
        Unmeasured::Unit { .. } => "unit",
        Unmeasured::Range => "range",
    }
}

fn read_content(value: Value<'_>) -> Result<Content, ReadError> {
    let path = "extension(administration-content)";
    let text = |url: &str| part_text(value, url, "valueString").map(Cow::into_owned);
    let name = text("substance").ok_or_else(|| refused(path, "names no substance"))?;
    let much = if let Some(amount) = part(value, "amount", "valueQuantity") {
        Ok(read::quantity(amount, path).map_err(|error| refused(&error.path, error.what))?)
    } else {
        let code = part_text(value, "unknown", "valueCode");
        Err(match code.as_deref() {
            Some("no-dose") => Unmeasured::NoDose,
            Some("no-strength") => Unmeasured::NoStrength,
            Some("ambiguous") => Unmeasured::Ambiguous,
            Some("rate") => Unmeasured::Rate,
            Some("range") => Unmeasured::Range,
            Some("unit") => Unmeasured::Unit {
                dose: text("dose").unwrap_or_default(),
                product: text("product").unwrap_or_default(),
            },
            _ => return Err(refused(path, "has neither an amount nor why it has none")),
        })
    };
    Ok(Content {
        substance: Substance::recorded(&name),
        much,
    })
}

fn flag(value: Value<'_>, url: &str) -> bool {
    part(value, url, "valueBoolean").and_then(Value::as_bool) == Some(true)
}

fn read_rights(value: Value<'_>) -> Result<Vec<Verified>, ReadError> {
    let path = "extension(administration-right)";
    let read = |own: Value<'_>| {
        let code = |url| part_text(own, url, "valueCode");
        let right = code("right").and_then(|code| Right::of(&code));
        let how = code("how").and_then(|code| How::of(&code));
        match (right, how) {
            (Some(right), Some(how)) => Ok(Verified {
                right,
                how,
                fits: flag(own, "fits"),
            }),
            _ => Err(refused(path, "names no right or not how it was verified")),
        }
    };
    all(value, "administration-right").map(read).collect()
}

fn outcome(value: Value<'_>) -> Result<Outcome, ReadError> {
    let stated = one(value, "administration-outcome");
    let stated = stated.and_then(|own| own.get_str("valueCode"));
    if let Some(code) = stated {
        let wrong = || refused("extension(administration-outcome)", "is no outcome");
        return Outcome::of(&code).ok_or_else(wrong);
    }
    // Written by others: the status says whether it was given, HL7's codes why not.
    let reasons = value.get("statusReason").into_iter().flat_map(Value::items);
    let mut codings = reasons.flat_map(|own| {
        let list = own.get("coding").into_iter();
        list.flat_map(Value::items).collect::<Vec<_>>()
    });
    let hl7 = codings.find(|own| own.get_str("system").as_deref() == Some(NOT_GIVEN));
    let hl7 = hl7.and_then(|own| own.get_str("code"));
    match (value.get_str("status").as_deref(), hl7.as_deref()) {
        (Some("completed"), _) => Ok(Outcome::Given),
        (Some("not-done"), Some("b")) => Ok(Outcome::Away),
        (Some("not-done"), Some("c")) => Ok(Outcome::Asleep),
        (Some("not-done"), _) => Ok(Outcome::Other),
        _ => Err(refused(
            "status",
            "says neither that it was given nor that it was not",
        )),
    }
}

fn performers(value: Value<'_>, function: &str) -> Option<String> {
    let list = value.get("performer").into_iter().flat_map(Value::items);
    let mut own = list.filter(|one| {
        let coding = one.get("function").and_then(|own| own.get("coding"));
        let mut codes = coding.into_iter().flat_map(Value::items);
        let code = codes.find(|own| own.get_str("system").as_deref() == Some(FUNCTIONS));
        let code = code.and_then(|own| own.get_str("code"));
        // Who is named without a function gave it.
        code.as_deref().unwrap_or("giver") == function
    });
    person(own.next()?.get("actor")?)
}

/// Who a reference to a person names: a practitioner by address, or somebody who is none by the UUID that
/// the reference identifies them with.
#[must_use]
pub fn person(reference: Value<'_>) -> Option<String> {
    referred(reference, "Practitioner").or_else(|| {
        let own = reference.get("identifier")?.get_str("value")?;
        own.strip_prefix("urn:uuid:").map(str::to_owned)
    })
}

/// The device: a resource, or by the UUID that it gave itself.
fn device(value: Value<'_>) -> Option<String> {
    let own = value.get("device")?.items().next()?;
    referred(own, "Device").or_else(|| {
        let own = own.get("identifier")?.get_str("value")?;
        own.strip_prefix("urn:uuid:").map(str::to_owned)
    })
}

fn words(value: Option<Value<'_>>) -> Option<String> {
    let first = value?.items().next()?;
    first.get_str("text").map(Cow::into_owned)
}

/// Reads a MedicationAdministration. What others wrote has no due dose, and is entered when it happened.
///
/// # Errors
/// What is missing or cannot be understood.
pub fn read_administration(value: Value<'_>) -> Result<Record, ReadError> {
    if value.get_str("resourceType").as_deref() != Some("MedicationAdministration") {
        return Err(refused("resourceType", "is no MedicationAdministration"));
    }
    let text = |name: &str| value.get_str(name).map(Cow::into_owned);
    let simple = |name: &str, member: &str| {
        let own = one(value, name)?.get_str(member)?;
        Some(own.into_owned())
    };
    let happened = text("effectiveDateTime").or_else(|| {
        let period = value.get("effectivePeriod")?;
        period.get_str("start").map(Cow::into_owned)
    });
    let happened = happened.ok_or_else(|| refused("effective[x]", "is missing"))?;
    let happened = time(&happened, "effective[x]")?;
    let entered = simple("administration-entered", "valueInstant");
    let entered: Option<Result<Timestamp, ReadError>> =
        entered.map(|own| time(&own, "extension(administration-entered)"));
    let slot = simple("administration-slot", "valueString").map(|own| {
        let wrong = || refused("extension(administration-slot)", "is no due dose");
        own.parse().map_err(|_| wrong())
    });
    let dose = value.get("dosage").and_then(|own| own.get("dose"));
    let dose = dose.map(|own| {
        read::quantity(own, "dosage.dose").map_err(|error| refused(&error.path, error.what))
    });
    let product = value.get("medicationCodeableConcept");
    let product = product.and_then(|own| read::concept(own, "").ok());
    let product = product.and_then(|own| own.words().map(str::to_owned));
    let device = device(value);
    let person = |function: &str| {
        let own = performers(value, function);
        own.map(|own| id(Some(own), "performer")).transpose()
    };
    let contents = all(value, "administration-content").map(read_content);
    let reason = simple("administration-reason", "valueString");
    Ok(Record {
        id: id(text("id"), "id")?,
        order: id(
            value
                .get("request")
                .and_then(|own| referred(own, "MedicationRequest")),
            "request",
        )?,
        slot: slot.transpose()?,
        dosage: place(value)?,
        outcome: outcome(value)?,
        reason: reason.or_else(|| words(value.get("statusReason"))),
        happened,
        entered: entered.transpose()?.unwrap_or(happened),
        giver: person("giver")?.ok_or_else(|| refused("performer", "names nobody who gave it"))?,
        enterer: person("enterer")?,
        witness: person("witness")?,
        dose: dose.transpose()?,
        contents: contents.collect::<Result<_, _>>()?,
        product: product.unwrap_or_default(),
        rights: read_rights(value)?,
        device: device.map(|own| id(Some(own), "device")).transpose()?,
        corrects: corrects(value)?,
        need: need(value)?,
    })
}

/// The place of a dosage, written from 1.
fn place(value: Value<'_>) -> Result<Option<usize>, ReadError> {
    let Some(own) = one(value, "administration-dosage") else {
        return Ok(None);
    };
    let wrong = || {
        refused(
            "extension(administration-dosage)",
            "is no place of a dosage",
        )
    };
    let text = own
        .get("valueInteger")
        .map(|own| String::from_utf8_lossy(own.raw()).into_owned());
    let number: usize = text.and_then(|own| own.parse().ok()).ok_or_else(wrong)?;
    number.checked_sub(1).map(Some).ok_or_else(wrong)
}

fn corrects(value: Value<'_>) -> Result<Option<Correction>, ReadError> {
    let Some(own) = one(value, "administration-corrects") else {
        return Ok(None);
    };
    let path = "extension(administration-corrects)";
    let of = part_text(own, "of", "valueId").map(Cow::into_owned);
    let reason = part_text(own, "reason", "valueString").unwrap_or_default();
    Ok(Some(Correction {
        of: id(of, path)?,
        reason: reason.into_owned(),
        void: flag(own, "void"),
    }))
}

fn need(value: Value<'_>) -> Result<Option<NeedRecord>, ReadError> {
    let own = one(value, "administration-need");
    let reason = own.and_then(|own| part_text(own, "reason", "valueString"));
    let reason = reason.map(Cow::into_owned);
    let Some(reason) = reason.or_else(|| words(value.get("reasonCode"))) else {
        return Ok(None);
    };
    let due = own.and_then(|own| part_text(own, "effectDue", "valueInstant"));
    let due = due.map(|own| time(&own, "extension(administration-need)"));
    Ok(Some(NeedRecord {
        reason,
        effect_due: due.transpose()?,
    }))
}
