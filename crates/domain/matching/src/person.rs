//! What of a Patient is compared, folded once. Must not keep anything else of it.

use fhir::json::Value;
use fhir::search::fold;

use crate::date::PartialDate;
use crate::number::{NumberKind, number_kind, plain_number};

/// Most values of a kind that are compared: a record with more says little with each.
const MOST: usize = 12;

/// A name, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The family name; empty where there is none.
    pub family: String,
    /// The given names, in order.
    pub given: Vec<String>,
}

/// A person as a record describes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Names, also former ones.
    pub names: Vec<Name>,
    /// The date of birth.
    pub birth: Option<PartialDate>,
    /// `male` or `female`; other codes say nothing here.
    pub gender: Option<String>,
    /// Identifiers that can be right, by kind and system.
    pub numbers: Vec<(NumberKind, String, String)>,
    /// Postcodes without spaces, folded.
    pub postcodes: Vec<String>,
    /// Address lines with their numbers, folded, each as one text.
    pub lines: Vec<String>,
    /// Phone numbers, the last nine digits; and e-mail addresses, folded.
    pub contacts: Vec<String>,
}

impl Person {
    /// Reads a Patient resource; what it lacks is left out.
    #[must_use]
    pub fn of(patient: Value<'_>) -> Self {
        let list = |name: &str| {
            let list = patient.get(name);
            list.into_iter().flat_map(Value::items).take(MOST)
        };
        let gender = patient.get_str("gender");
        Self {
            names: list("name").filter_map(name).collect(),
            birth: patient
                .get_str("birthDate")
                .and_then(|text| PartialDate::parse(&text)),
            gender: gender
                .filter(|code| matches!(&**code, "male" | "female"))
                .map(std::borrow::Cow::into_owned),
            numbers: list("identifier").filter_map(number).collect(),
            postcodes: list("address")
                .filter_map(|address| address.get_str("postalCode"))
                .map(|code| fold(&code).replace(' ', ""))
                .filter(|code| !code.is_empty())
                .collect(),
            lines: list("address").filter_map(line).collect(),
            contacts: list("telecom").filter_map(contact).collect(),
        }
    }
}

fn name(name: Value<'_>) -> Option<Name> {
    let family = name.get_str("family");
    let family = family.map(|text| fold(&text).into_owned());
    let given = name.get("given").into_iter().flat_map(Value::items);
    let given: Vec<String> = given
        .filter_map(Value::as_str)
        .map(|text| fold(&text).into_owned())
        .filter(|text| !text.is_empty())
        .take(MOST)
        .collect();
    let name = Name {
        family: family.unwrap_or_default(),
        given,
    };
    (!name.family.is_empty() || !name.given.is_empty()).then_some(name)
}

fn number(identifier: Value<'_>) -> Option<(NumberKind, String, String)> {
    let system = identifier.get_str("system")?;
    let kind = number_kind(&system);
    let value = plain_number(kind, &identifier.get_str("value")?)?;
    Some((kind, system.into_owned(), value))
}

fn line(address: Value<'_>) -> Option<String> {
    let lines = address.get("line").into_iter().flat_map(Value::items);
    let parts: Vec<String> = lines
        .filter_map(Value::as_str)
        .map(|text| fold(&text).replace([',', '.'], ""))
        .collect();
    let text = parts.join(" ");
    (!text.trim().is_empty()).then_some(text)
}

/// The last nine digits of a phone number leave out how the country or trunk is written.
fn contact(point: Value<'_>) -> Option<String> {
    let value = point.get_str("value")?;
    match point.get_str("system").as_deref() {
        Some("email") => Some(fold(&value).into_owned()),
        Some("phone" | "sms") => {
            let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
            let from = digits.len().checked_sub(9)?;
            Some(digits.get(from..)?.iter().collect())
        }
        _ => None,
    }
}
