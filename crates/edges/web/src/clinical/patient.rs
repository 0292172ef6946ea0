//! The patient banner (NHS CUI Patient Banner): name, born with age, gender, number, in this order.
//! Must not show clinical content: allergies stand in their own section beside it.

use fhir::json::Value;
use jiff::civil::Date;

use super::address::{Address, Contact, addresses, contacts};
use super::code::{items, text};
use super::date::{FhirDate, When, Zone, age, age_from_instant};
use super::gender::gender;
use super::identifier::{Identifier, IdentifierKind, identifiers};
use super::name::PatientName;

/// Everything the banner shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// `SMITH, Jane (Mrs)`.
    pub name: String,
    /// What the patient likes to be called.
    pub preferred: Option<String>,
    /// Date of birth; "Not known" where unknown.
    pub born: When,
    /// Age of a living patient, without brackets.
    pub age: Option<String>,
    /// In full.
    pub gender: &'static str,
    /// The number shown first.
    pub number: Identifier,
    /// All other numbers.
    pub other_numbers: Vec<Identifier>,
    /// Set for a deceased patient.
    pub died: Option<Died>,
    /// Current addresses.
    pub addresses: Vec<Address>,
    /// Ways to reach the patient.
    pub contacts: Vec<Contact>,
    /// The managing organisation: the branch.
    pub branch: Option<String>,
    /// Whether the record is not active.
    pub inactive: bool,
}

/// Death, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Died {
    /// The date; "Date not recorded" where only the fact is.
    pub date: When,
    /// Age at death.
    pub age: Option<String>,
}

const BIRTH_TIME: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthTime";

impl Banner {
    /// From a Patient, as of a point in time.
    #[must_use]
    pub fn of(patient: Value<'_>, now: kernel::Timestamp, zone: &Zone) -> Self {
        let name = PatientName::of(patient);
        let today = zone.date_at(now);
        let birth_text = text(patient, "birthDate");
        let birth = birth_text.as_deref().and_then(FhirDate::parse);
        let died = died(patient, birth, zone);
        let mut numbers = identifiers(patient);
        let number = if numbers
            .first()
            .is_some_and(|first| first.kind < IdentifierKind::Other)
        {
            numbers.remove(0)
        } else {
            Identifier {
                kind: IdentifierKind::NhsNumber,
                label: "NHS\u{a0}No.".to_owned(),
                value: super::NOT_KNOWN.to_owned(),
                problem: None,
            }
        };
        Self {
            name: name.display(),
            preferred: name.preferred,
            born: birth_text.map_or_else(
                || When::unknown(super::NOT_KNOWN),
                |text| When::fhir(&text, zone),
            ),
            age: if died.is_some() {
                None
            } else {
                living_age(patient, birth, now, today)
            },
            gender: gender(patient),
            number,
            other_numbers: numbers,
            died,
            addresses: addresses(patient),
            contacts: contacts(patient),
            branch: super::code::reference(patient, "managingOrganization"),
            inactive: patient.get("active").and_then(Value::as_bool) == Some(false),
        }
    }
}

fn living_age(
    patient: Value<'_>,
    birth: Option<FhirDate>,
    now: kernel::Timestamp,
    today: Date,
) -> Option<String> {
    let birth_time = patient.get("_birthDate").and_then(|element| {
        items(element, "extension")
            .find(|extension| text(*extension, "url").as_deref() == Some(BIRTH_TIME))
            .and_then(|extension| text(extension, "valueDateTime"))
    });
    let instant = birth_time.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let now = jiff::Timestamp::from_microsecond(now.as_micros()).ok();
    match (instant, now) {
        (Some(born), Some(now)) => age_from_instant(born, now, today),
        _ => birth.and_then(|birth| age(birth, today)),
    }
}

fn died(patient: Value<'_>, birth: Option<FhirDate>, zone: &Zone) -> Option<Died> {
    if let Some(written) = text(patient, "deceasedDateTime") {
        let day = match FhirDate::parse(&written) {
            Some(FhirDate::Day(day)) => Some(day),
            Some(FhirDate::Instant(time)) => {
                Some(zone.date_at(kernel::Timestamp::from_micros(time.as_microsecond())))
            }
            _ => None,
        };
        let at_death = birth.zip(day).and_then(|(birth, day)| age(birth, day));
        return Some(Died {
            date: When::fhir(&written, zone),
            age: at_death,
        });
    }
    (patient.get("deceasedBoolean").and_then(Value::as_bool) == Some(true)).then(|| Died {
        date: When::unknown("Date not recorded"),
        age: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    fn banner(body: &str) -> Banner {
        let now = kernel::Timestamp::from_rfc3339("2026-03-05T12:00:00Z").unwrap();
        Banner::of(parse(body).root(), now, &Zone::named("Europe/London"))
    }
    fn plain(text: &str) -> String {
        text.replace('\u{2011}', "-").replace('\u{a0}', " ")
    }

    #[test]
    fn pab_0016_to_0024_living() {
        let shown = banner(
            r#"{"name":[{"family":"Smith","given":["Jane"],"prefix":["Mrs"]}],"birthDate":"1941-03-05","gender":"female","identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9434765919"}]}"#,
        );
        assert_eq!(
            (
                shown.name.as_str(),
                plain(&shown.born.text),
                shown.age.as_deref(),
                shown.gender,
                plain(&shown.number.value)
            ),
            (
                "SMITH, Jane (Mrs)",
                "05-Mar-1941".to_owned(),
                Some("85y"),
                "Female",
                "943 476 5919".to_owned()
            )
        );
    }

    #[test]
    fn pab_0018_deceased() {
        let shown = banner(r#"{"birthDate":"1941-03-05","deceasedDateTime":"2025-03-04"}"#);
        let died = shown.died.unwrap();
        assert_eq!(
            (plain(&died.date.text), died.age.as_deref(), shown.age),
            ("04-Mar-2025".to_owned(), Some("83y"), None)
        );
        assert_eq!(
            banner(r#"{"deceasedBoolean":true}"#)
                .died
                .unwrap()
                .date
                .text,
            "Date not recorded"
        );
        assert!(banner(r#"{"deceasedBoolean":false}"#).died.is_none());
    }

    #[test]
    fn pab_0019_unknown_is_said_in_words() {
        let shown = banner("{}");
        assert_eq!(
            (
                shown.born.text.as_str(),
                shown.gender,
                shown.number.value.as_str()
            ),
            ("Not known", "Not known", "Not known")
        );
        assert_eq!(shown.age, None);
    }
}
