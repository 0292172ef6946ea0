//! The message that carries a request, in the shape of the electronic prescription service: a Bundle of
//! type message with its header, the medicines, the patient, the prescriber and, where it is a
//! prescription, the prescriber's signature. A home's request is a proposal; it becomes an order only with
//! that signature. Must not claim a signature that was not passed in.

use kernel::{Categorised, Category, Timestamp};
use sha2::{Digest as _, Sha256};

use super::super::key::IdempotencyKey;
use super::super::order::{Line, Order};
use super::{coded, coding, identifier, identifiers, medicine, resource};
use crate::dosage::print::{Object, concept, object, quantity};
use crate::quantity::Quantity;

const ODS: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
pub(super) const EVENT: &str = "https://fhir.nhs.uk/CodeSystem/message-event";
const OWN_EVENT: &str = "https://theriac.example.org/fhir/CodeSystem/message-event";
const UUIDS: &str = "https://tools.ietf.org/html/rfc4122";
/// Prescriptions by their number in its short form.
pub const NUMBER: &str = "https://fhir.nhs.uk/Id/prescription-order-number";
const ITEM_NUMBER: &str = "https://fhir.nhs.uk/Id/prescription-order-item-number";
const ROLE: &str = "https://fhir.nhs.uk/Id/sds-role-profile-id";
const COURSE: &str = "http://terminology.hl7.org/CodeSystem/medicationrequest-course-of-therapy";
const SITE: &str = "https://fhir.nhs.uk/StructureDefinition/Extension-DM-PerformerSiteType";
const SITES: &str = "https://fhir.nhs.uk/CodeSystem/dispensing-site-preference";
const CANCELLED: &str = "https://fhir.nhs.uk/CodeSystem/medicationrequest-status-reason";
const SIGNED_AS: &str = "urn:iso-astm:E1762-95:2013";

/// The patient as the message names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// NHS number.
    pub nhs_number: String,
    /// Family name.
    pub family: String,
    /// Given names.
    pub given: Vec<String>,
    /// `female`, `male`, `other` or `unknown`.
    pub gender: String,
    /// ISO date.
    pub born: String,
    /// Postcode.
    pub postcode: String,
}

/// The prescriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prescriber {
    /// The role profile.
    pub role: String,
    /// The name.
    pub name: String,
    /// ODS code of the practice.
    pub practice: String,
}

/// Who is involved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// ODS code of whoever sends it.
    pub sender: String,
    /// Its name and address on the network.
    pub source: (String, String),
    /// ODS code of whoever receives it.
    pub receiver: String,
    /// ODS code of the nominated pharmacy.
    pub pharmacy: String,
    /// The patient.
    pub patient: Patient,
    /// The prescriber.
    pub prescriber: Prescriber,
}

/// What the message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A home asks for a prescription.
    Request,
    /// A prescriber has signed: `prescription-order`.
    Prescription {
        /// The signature, in base64.
        signature: &'a str,
        /// When it was made.
        signed: Timestamp,
    },
    /// It is called off: `prescription-order-update`.
    Cancellation {
        /// The code of the reason.
        reason: &'a str,
    },
}

/// Why a prescription has no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ODS code of 1 to 6 letters and digits")]
pub struct ShortFormError(pub String);

impl Categorised for ShortFormError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

const DIGITS: &[u8; 37] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+";

/// The check character of ISO 7064 MOD 37-2.
pub(super) fn check_character(text: &str) -> char {
    let value = |letter: u8| DIGITS.iter().position(|own| *own == letter);
    let total = text
        .bytes()
        .filter_map(value)
        .fold(0, |total, value| (total + value) * 2 % 37);
    let place = (38 - total) % 37;
    DIGITS.get(place).copied().map_or('0', char::from)
}

/// A prescription's number in its short form, as `24F5DA-A83008-7EFE6Z`: twelve hexadecimal digits of the
/// key around the ODS code of the practice, the last a check character.
///
/// # Errors
/// A code that is none.
pub fn short_form(key: &IdempotencyKey, practice: &str) -> Result<String, ShortFormError> {
    let good = (1..=6).contains(&practice.len())
        && practice
            .bytes()
            .all(|own| own.is_ascii_uppercase() || own.is_ascii_digit());
    if !good {
        return Err(ShortFormError(practice.chars().take(20).collect()));
    }
    let digits = key.as_str().to_ascii_uppercase();
    let first = digits.get(..6).unwrap_or_default();
    let second = digits.get(6..11).unwrap_or_default();
    let check = check_character(&format!("{first}{practice:0>6}{second}"));
    Ok(format!("{first}-{practice:0>6}-{second}{check}"))
}

/// An id of the shape of a UUID (version 8) that is the same for the same key and name, so that a message
/// that is sent again is the same message.
fn uuid(key: &IdempotencyKey, name: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(key.as_str().as_bytes());
    hash.update([0]);
    hash.update(name.as_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf000 << 64) & !(0xc << 60) | (0x8000 << 64) | (0x8 << 60);
    let text = format!("{number:032x}");
    let part = |from, to| text.get(from..to).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    parts.join("-")
}

/// What the parts of one message share.
struct Made<'a> {
    order: &'a Order,
    parties: &'a Parties,
    content: Content<'a>,
    key: &'a IdempotencyKey,
    number: String,
    authored: Timestamp,
}

impl Made<'_> {
    fn id(&self, name: &str) -> String {
        // What calls an order off is another message about the same things.
        let own = matches!(name, "header" | "bundle")
            && matches!(self.content, Content::Cancellation { .. });
        if own {
            return uuid(self.key, &format!("{name} of a cancellation"));
        }
        uuid(self.key, name)
    }
    fn urn(&self, name: &str) -> String {
        format!("urn:uuid:{}", self.id(name))
    }
    fn link(&self, o: &mut Object<'_>, name: &str, to: &str) {
        object(o.key(name), |o| {
            o.text("reference", Some(&self.urn(to)));
        });
    }
    fn medicines(&self) -> Vec<String> {
        let lines = self.order.verb.lines().iter();
        lines
            .map(|line| format!("medicine {}", line.item))
            .collect()
    }
}

/// The message of an order. `course` is `acute`, `continuous` or `continuous-repeat-dispensing`; `texts`
/// are the doses in words, in the order of the lines.
///
/// # Errors
/// A practice whose ODS code is none.
pub fn message(
    order: &Order,
    parties: &Parties,
    content: Content<'_>,
    (key, course, texts): (&IdempotencyKey, &str, &[String]),
    authored: Timestamp,
) -> Result<String, ShortFormError> {
    let made = Made {
        number: short_form(key, &parties.prescriber.practice)?,
        order,
        parties,
        content,
        key,
        authored,
    };
    let mut entries = vec![("header".to_owned(), header(&made))];
    let lines = order.verb.lines().iter().zip(made.medicines());
    for (place, (line, name)) in lines.enumerate() {
        let text = texts.get(place).map_or("As directed", String::as_str);
        let request = medication_request(&made, line, &name, (course, text));
        entries.push((name, request));
    }
    entries.push(("patient".to_owned(), patient(&made)));
    entries.push(("prescriber".to_owned(), prescriber(&made)));
    entries.push(("practice".to_owned(), practice(&made)));
    if let Content::Prescription { signature, signed } = content {
        let own = provenance(&made, signature, signed);
        entries.push(("provenance".to_owned(), own));
    }
    Ok(resource("Bundle", |o| {
        o.text("id", Some(&made.id("bundle")));
        identifier(o, "identifier", UUIDS, &made.id("bundle"));
        o.text("type", Some("message"));
        o.text("timestamp", Some(&authored.to_fhir_instant()));
        o.list("entry", &entries, |(name, own), into| {
            object(into, |o| {
                o.text("fullUrl", Some(&made.urn(name)));
                o.key("resource").extend_from_slice(own.as_bytes());
            });
        });
    }))
}

fn header(made: &Made<'_>) -> String {
    let (system, event) = match made.content {
        Content::Request => (OWN_EVENT, "repeat-request"),
        Content::Prescription { .. } => (EVENT, "prescription-order"),
        Content::Cancellation { .. } => (EVENT, "prescription-order-update"),
    };
    resource("MessageHeader", |o| {
        o.text("id", Some(&made.id("header")));
        coding(o, "eventCoding", system, event);
        let receiver = &made.parties.receiver;
        o.list("destination", &[receiver], |receiver, into| {
            object(into, |o| {
                o.text(
                    "endpoint",
                    Some(&format!("urn:nhs-uk:addressing:ods:{receiver}")),
                );
                object(o.key("receiver"), |o| {
                    identifier(o, "identifier", ODS, receiver);
                });
            });
        });
        object(o.key("sender"), |o| {
            identifier(o, "identifier", ODS, &made.parties.sender);
        });
        let (name, endpoint) = &made.parties.source;
        object(o.key("source"), |o| {
            o.text("name", Some(name));
            o.text("endpoint", Some(endpoint));
        });
        let mut focus = vec!["patient".to_owned()];
        focus.extend(made.medicines());
        o.list("focus", &focus, |name, into| {
            object(into, |o| {
                o.text("reference", Some(&made.urn(name)));
            });
        });
    })
}

fn medication_request(
    made: &Made<'_>,
    line: &Line,
    name: &str,
    (course, text): (&str, &str),
) -> String {
    let (status, intent) = match made.content {
        Content::Request => ("active", "proposal"),
        Content::Prescription { .. } => ("active", "order"),
        Content::Cancellation { .. } => ("cancelled", "order"),
    };
    resource("MedicationRequest", |o| {
        o.text("id", Some(&made.id(name)));
        identifiers(o, &[(ITEM_NUMBER, &made.id(name))]);
        o.text("status", Some(status));
        if let Content::Cancellation { reason } = made.content {
            coded(o, "statusReason", CANCELLED, reason);
        }
        o.text("intent", Some(intent));
        let what = medicine(&line.code, None, &line.name);
        concept(&what, o.key("medicationCodeableConcept"));
        made.link(o, "subject", "patient");
        o.text("authoredOn", Some(&made.authored.to_fhir_instant()));
        made.link(o, "requester", "prescriber");
        identifier(o, "groupIdentifier", NUMBER, &made.number);
        coded(o, "courseOfTherapyType", COURSE, course);
        o.list("dosageInstruction", &[text], |text, into| {
            object(into, |o| o.text("text", Some(text)));
        });
        object(o.key("dispenseRequest"), |o| {
            let into = o.key("extension");
            into.push(b'[');
            object(into, |o| {
                o.text("url", Some(SITE));
                coding(o, "valueCoding", SITES, "P1");
            });
            into.push(b']');
            let amount = Quantity::new(line.quantity.get(), line.unit.clone());
            quantity(&amount, o.key("quantity"));
            object(o.key("performer"), |o| {
                identifier(o, "identifier", ODS, &made.parties.pharmacy);
            });
        });
        object(o.key("substitution"), |o| {
            o.plain("allowedBoolean", Some(false));
        });
    })
}

fn patient(made: &Made<'_>) -> String {
    let own = &made.parties.patient;
    resource("Patient", |o| {
        o.text("id", Some(&made.id("patient")));
        identifiers(o, &[(NHS_NUMBER, &own.nhs_number)]);
        o.list("name", &[own], |own, into| {
            object(into, |o| {
                o.text("family", Some(&own.family));
                o.list("given", &own.given, |given, into| {
                    fhir::print::write_string(given, into);
                });
            });
        });
        o.text("gender", Some(&own.gender));
        o.text("birthDate", Some(&own.born));
        o.list("address", &[&own.postcode], |postcode, into| {
            object(into, |o| o.text("postalCode", Some(postcode)));
        });
    })
}

fn prescriber(made: &Made<'_>) -> String {
    let own = &made.parties.prescriber;
    resource("PractitionerRole", |o| {
        o.text("id", Some(&made.id("prescriber")));
        identifiers(o, &[(ROLE, &own.role)]);
        object(o.key("practitioner"), |o| {
            o.text("display", Some(&own.name));
        });
        made.link(o, "organization", "practice");
    })
}

fn practice(made: &Made<'_>) -> String {
    resource("Organization", |o| {
        o.text("id", Some(&made.id("practice")));
        identifiers(o, &[(ODS, &made.parties.prescriber.practice)]);
    })
}

fn provenance(made: &Made<'_>, signature: &str, signed: Timestamp) -> String {
    let mut targets = vec!["header".to_owned(), "patient".to_owned()];
    targets.extend(made.medicines());
    let signed = signed.to_fhir_instant();
    resource("Provenance", |o| {
        o.text("id", Some(&made.id("provenance")));
        o.list("target", &targets, |name, into| {
            object(into, |o| {
                o.text("reference", Some(&made.urn(name)));
            });
        });
        o.text("recorded", Some(&signed));
        o.list("agent", &["prescriber"], |name, into| {
            object(into, |o| made.link(o, "who", name));
        });
        o.list("signature", &[signature], |signature, into| {
            object(into, |o| {
                o.list("type", &["1.2.840.10065.1.12.1.1"], |code, into| {
                    object(into, |o| {
                        o.text("system", Some(SIGNED_AS));
                        o.text("code", Some(code));
                    });
                });
                o.text("when", Some(&signed));
                made.link(o, "who", "prescriber");
                o.text("data", Some(signature));
            });
        });
    })
}
