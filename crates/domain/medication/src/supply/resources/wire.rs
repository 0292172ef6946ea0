//! What comes back over FHIR messaging, in the shape of the electronic prescription service: the answer to
//! a message, the Tasks of a prescription, a dispense notification. Must not take for an answer what is
//! none, or a notification of several prescriptions for one of one.

use fhir::json::{Document, Kind as Json, Limits, Value};
use kernel::Timestamp;

use super::super::state::{Dispensed, State};
use super::message::{EVENT, NUMBER};
use super::{DISPENSED, ReadError, SNOMED, code_in, fault, identified, is, need, text};
use crate::dosage::read;
use crate::quantity::Unit;
use crate::stock::Units;

/// Where a prescription stands, as the service codes it.
pub const STANDING: &str = "https://fhir.nhs.uk/CodeSystem/EPS-task-business-status";

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It was taken.
    Taken,
    /// It was refused for good, with what was said.
    Refused(String),
    /// It may be sent again later.
    Later(String),
}

/// Reads the answer to a message: a message with its response, or an OperationOutcome.
///
/// # Errors
/// Anything else, and a response to another message.
pub fn read_answer(body: &[u8], message: &str) -> Result<Answered, ReadError> {
    let document = parse(body)?;
    let root = document.root();
    match root.get_str("resourceType").as_deref() {
        Some("OperationOutcome") => outcome(root),
        Some("Bundle") => {
            let header = first(root, "MessageHeader")?;
            let response = need(header, "response")?;
            let known = text(response, "identifier")?;
            if !known.eq_ignore_ascii_case(message) {
                return Err(fault("response", "is to another message"));
            }
            let said = || said(root);
            match text(response, "code")?.as_str() {
                "ok" => Ok(Answered::Taken),
                "transient-error" => Ok(Answered::Later(said())),
                "fatal-error" => Ok(Answered::Refused(said())),
                _ => Err(fault("response", "has no code of a response")),
            }
        }
        _ => Err(fault("resourceType", "is no answer to a message")),
    }
}

fn parse(body: &[u8]) -> Result<Document, ReadError> {
    Document::parse(body.to_vec(), &Limits::default()).map_err(|error| fault("body", &error))
}

/// The resources of a Bundle.
fn resources(bundle: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let entries = bundle.get("entry").into_iter().flat_map(Value::items);
    entries.filter_map(|entry| entry.get("resource"))
}

fn first<'a>(bundle: Value<'a>, kind: &str) -> Result<Value<'a>, ReadError> {
    let mut all = resources(bundle);
    all.find(|own| own.get_str("resourceType").as_deref() == Some(kind))
        .ok_or_else(|| fault("entry", &format!("has no {kind}")))
}

fn outcome(root: Value<'_>) -> Result<Answered, ReadError> {
    let issues: Vec<Value<'_>> = need(root, "issue")?.items().collect();
    if issues.is_empty() {
        return Err(fault("issue", "is empty"));
    }
    let bad = issues.iter().find(|own| {
        own.get_str("severity")
            .is_some_and(|own| own == "error" || own == "fatal")
    });
    let Some(bad) = bad else {
        return Ok(Answered::Taken);
    };
    let words = words_of(*bad);
    Ok(match bad.get_str("code").as_deref() {
        Some("transient" | "lock-error" | "timeout" | "throttled" | "no-store" | "incomplete") => {
            Answered::Later(words)
        }
        _ => Answered::Refused(words),
    })
}

/// What an issue says, cut to what a person reads.
fn words_of(issue: Value<'_>) -> String {
    let details = issue.get("details");
    let own = issue
        .get_str("diagnostics")
        .or_else(|| details.and_then(|own| own.get_str("text")))
        .or_else(|| {
            let coding = details?.get("coding")?.items().next()?;
            coding.get_str("display")
        });
    own.unwrap_or_default().chars().take(200).collect()
}

fn said(bundle: Value<'_>) -> String {
    let found = first(bundle, "OperationOutcome").ok();
    let issue = found.and_then(|own| own.get("issue")?.items().next());
    issue.map(words_of).unwrap_or_default()
}

/// The state of a code of [`STANDING`].
#[must_use]
pub fn standing(code: &str) -> Option<State> {
    Some(match code {
        // To be dispensed: it is prescribed, and no dispenser has it.
        "0000" | "0001" => State::Prescribed,
        "0002" | "0003" => State::WithDispenser,
        "0004" => State::Expired,
        "0005" => State::Cancelled,
        // Dispensed, and claimed for since.
        "0006" | "0008" | "0009" => State::Dispatched,
        "0007" => State::Rejected,
        _ => return None,
    })
}

/// Where a prescription stands by a Bundle of Tasks, with since when; none where there is no Task of its
/// number.
///
/// # Errors
/// Not such a Bundle, or a status that is none of [`STANDING`].
pub fn read_standing(
    body: &[u8],
    number: &str,
) -> Result<Option<(State, Option<Timestamp>)>, ReadError> {
    let document = parse(body)?;
    let root = document.root();
    is(root, "Bundle")?;
    let of_it = |own: &Value<'_>| {
        let focus = own.get("focus").and_then(|own| own.get("identifier"));
        let group = own.get("groupIdentifier");
        own.get_str("resourceType").as_deref() == Some("Task")
            && [focus, group].into_iter().flatten().any(|own| {
                own.get_str("value")
                    .is_some_and(|own| own.eq_ignore_ascii_case(number))
            })
    };
    let mut found: Option<(State, Option<Timestamp>)> = None;
    for task in resources(root).filter(of_it) {
        let code = code_in(task, "businessStatus", STANDING)?;
        let state = standing(&code).ok_or_else(|| fault("businessStatus", "is not known"))?;
        let at = task
            .get_str("lastModified")
            .and_then(|own| Timestamp::from_rfc3339(&own));
        if found.as_ref().is_none_or(|own| own.1 <= at) {
            found = Some((state, at));
        }
    }
    Ok(found)
}

/// One item of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// The item's dm+d code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub dispensed: Dispensed,
    /// How much, where any was.
    pub quantity: Option<(Units, Unit)>,
}

/// A dispense notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The message's id: the same again is the same notification.
    pub message: String,
    /// The prescription's number in its short form.
    pub number: String,
    /// When it was dispensed, where it is said.
    pub at: Option<Timestamp>,
    /// The items.
    pub items: Vec<Notified>,
}

/// Reads a dispense notification.
///
/// # Errors
/// Another message, no item, an item without its prescription, items of several prescriptions.
pub fn read_notification(body: &[u8]) -> Result<Notification, ReadError> {
    let document = parse(body)?;
    let root = document.root();
    is(root, "Bundle")?;
    if text(root, "type")? != "message" {
        return Err(fault("type", "is not message"));
    }
    let header = first(root, "MessageHeader")?;
    let event = need(header, "eventCoding")?;
    if text(event, "system")? != EVENT || text(event, "code")? != "dispense-notification" {
        return Err(fault("eventCoding", "is not dispense-notification"));
    }
    let mut own = Notification {
        message: text(need(root, "identifier")?, "value")?,
        number: String::new(),
        at: None,
        items: Vec::new(),
    };
    let dispensed =
        |value: &Value<'_>| value.get_str("resourceType").as_deref() == Some("MedicationDispense");
    for value in resources(root).filter(dispensed) {
        let number = number_of(value)?;
        if !own.items.is_empty() && own.number != number {
            return Err(fault("entry", "is of several prescriptions"));
        }
        own.number = number;
        let handed = value
            .get_str("whenHandedOver")
            .or_else(|| value.get_str("whenPrepared"));
        let handed = handed.and_then(|own| Timestamp::from_rfc3339(&own));
        own.at = own.at.max(handed);
        own.items.push(item(value)?);
    }
    if own.items.is_empty() {
        return Err(fault("entry", "has no MedicationDispense"));
    }
    Ok(own)
}

fn item(value: Value<'_>) -> Result<Notified, ReadError> {
    let kind = code_in(value, "type", DISPENSED)?;
    let what = need(value, "medicationCodeableConcept")?;
    let what = read::concept(what, "medicationCodeableConcept")?;
    let code = what
        .code_in(SNOMED)
        .ok_or_else(|| fault("medicationCodeableConcept", "has no dm+d code"))?;
    let amount = value
        .get("quantity")
        .map(|own| read::quantity(own, "quantity"))
        .transpose()?;
    Ok(Notified {
        code: code.to_owned(),
        name: what.words().unwrap_or_default().to_owned(),
        dispensed: Dispensed::of(&kind).ok_or_else(|| fault("type", "is no code of an item"))?,
        // Nothing was dispensed where it is none.
        quantity: amount.and_then(|own| Some((Units::new(own.value.value()).ok()?, own.unit))),
    })
}

/// The number of the prescription that an item was dispensed for: of the MedicationRequest it contains.
fn number_of(value: Value<'_>) -> Result<String, ReadError> {
    let contained = value.get("contained").into_iter().flat_map(Value::items);
    let referred = value
        .get("authorizingPrescription")
        .and_then(|own| own.items().next());
    let id = referred.and_then(|own| own.get_str("reference"));
    for own in contained {
        let named = own.get_str("id").map(|own| format!("#{own}"));
        let is_it = own.get_str("resourceType").as_deref() == Some("MedicationRequest")
            && (id.is_none() || named.as_deref() == id.as_deref());
        let group = own.get("groupIdentifier").filter(|_| is_it);
        if let Some(group) = group.filter(|own| own.kind() == Json::Object)
            && text(group, "system")? == NUMBER
        {
            return text(group, "value").map(|own| own.to_ascii_uppercase());
        }
    }
    // A prescription that is not contained is named by its number.
    let named = referred.and_then(|own| own.get("identifier"));
    match named {
        Some(named) if text(named, "system")? == NUMBER => text(named, "value"),
        _ => identified(value, "identifier", NUMBER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(second: &str) -> String {
        let item = |number: &str, code: &str, kind: &str, value: &str| {
            format!(
                r##"{{"resource":{{"resourceType":"MedicationDispense","status":"unknown",
                "contained":[{{"resourceType":"PractitionerRole","id":"performer"}},{{"resourceType":"MedicationRequest","id":"m1",
                "groupIdentifier":{{"system":"{NUMBER}","value":"{number}"}}}}],
                "authorizingPrescription":[{{"reference":"#m1"}}],
                "medicationCodeableConcept":{{"coding":[{{"system":"{SNOMED}","code":"{code}"}}]}},
                "type":{{"coding":[{{"system":"{DISPENSED}","code":"{kind}"}}]}},
                "quantity":{{"value":{value},"unit":"tablet"}},"whenHandedOver":"2026-03-05T09:00:00Z"}}}}"##
            )
        };
        format!(
            r#"{{"resourceType":"Bundle","type":"message","identifier":{{"value":"msg-1"}},"entry":[{{"resource":{{"resourceType":"MessageHeader",
            "eventCoding":{{"system":"{EVENT}","code":"dispense-notification"}}}}}},{},{}]}}"#,
            item("24f5da-a83008-7efe6z", "1", "0003", "28"),
            item(second, "2", "0002", "0"),
        )
    }

    #[test]
    fn a_notification_is_of_one_prescription() {
        let own = read_notification(notification("24F5DA-A83008-7EFE6Z").as_bytes()).unwrap();
        assert_eq!(own.number, "24F5DA-A83008-7EFE6Z");
        assert_eq!(own.message, "msg-1");
        assert_eq!(own.at, Timestamp::from_rfc3339("2026-03-05T09:00:00Z"));
        let what: Vec<_> = own
            .items
            .iter()
            .map(|own| (own.code.as_str(), own.dispensed, own.quantity.is_some()))
            .collect();
        let expected = [
            ("1", Dispensed::Partially, true),
            ("2", Dispensed::Not, false),
        ];
        assert_eq!(what, expected);
        let two = read_notification(notification("24F5DA-A83008-7EFE70").as_bytes());
        assert_eq!(two.unwrap_err().what, "is of several prescriptions");
        for (from, to) in [
            ("dispense-notification", "dispense-claim"),
            ("\"message\"", "\"batch\""),
            ("MedicationDispense", "MedicationRequest"),
            ("0003", "9999"),
            ("#m1", "#m2"),
        ] {
            let other = notification("24F5DA-A83008-7EFE6Z").replace(from, to);
            assert!(read_notification(other.as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn answers_are_of_the_message_that_was_sent() {
        let answer = |code: &str, id: &str| {
            format!(
                r#"{{"resourceType":"Bundle","type":"message","entry":[{{"resource":{{"resourceType":"MessageHeader","response":{{"identifier":"{id}","code":"{code}"}}}}}},
                {{"resource":{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"business-rule","details":{{"text":"too late"}}}}]}}}}]}}"#
            )
        };
        let read = |text: &str| read_answer(text.as_bytes(), "A-1");
        assert_eq!(read(&answer("ok", "a-1")), Ok(Answered::Taken));
        let late = || "too late".to_owned();
        assert_eq!(
            read(&answer("fatal-error", "a-1")),
            Ok(Answered::Refused(late()))
        );
        assert_eq!(
            read(&answer("transient-error", "a-1")),
            Ok(Answered::Later(late()))
        );
        assert!(read(&answer("ok", "a-2")).is_err() && read(&answer("fine", "a-1")).is_err());
        let outcome = |severity: &str, code: &str| {
            format!(
                r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{severity}","code":"{code}","diagnostics":"too late"}}]}}"#
            )
        };
        assert_eq!(
            read(&outcome("information", "informational")),
            Ok(Answered::Taken)
        );
        assert_eq!(
            read(&outcome("error", "invalid")),
            Ok(Answered::Refused(late()))
        );
        assert_eq!(
            read(&outcome("error", "throttled")),
            Ok(Answered::Later(late()))
        );
        for text in [
            "<html>",
            "{}",
            r#"{"resourceType":"Patient"}"#,
            r#"{"resourceType":"OperationOutcome","issue":[]}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
