//! The Patient, the people around the patient and who pays.

use super::{Chart, hl7};
use crate::calendar::{Day, Moment};
use crate::names::Name;

/// Everything the Patient resource says.
#[derive(Debug)]
pub(crate) struct Person<'a> {
    /// System and value of each identifier, with its v2-0203 type.
    pub(crate) identifiers: &'a [(&'a str, &'a str, &'a str)],
    pub(crate) name: Name,
    pub(crate) prefix: &'a str,
    pub(crate) female: bool,
    pub(crate) born: Day,
    pub(crate) died: Option<Moment>,
    pub(crate) phone: &'a str,
    /// Line, town, postal code and ISO country code.
    pub(crate) address: [&'a str; 4],
    /// Code of v3-MaritalStatus.
    pub(crate) marital: &'static str,
    /// Practitioner responsible for the patient.
    pub(crate) doctor: &'a str,
    /// The branch that looks after the patient.
    pub(crate) organisation: &'a str,
}

/// Someone close to the patient.
#[derive(Debug)]
pub(crate) struct Relative<'a> {
    pub(crate) name: Name,
    pub(crate) female: bool,
    /// Code and text of v3-RoleCode.
    pub(crate) relation: (&'static str, &'static str),
    pub(crate) phone: &'a str,
}

/// Who pays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cover<'a> {
    /// The paying Organization; none when patients pay themselves.
    pub(crate) payor: Option<&'a str>,
    /// Code of v3-ActCode or coverage-selfpay.
    pub(crate) kind: &'a str,
    pub(crate) member: &'a str,
    pub(crate) start: Day,
}

impl Chart {
    /// The Patient; its id is the chart's.
    pub(crate) fn person(&mut self, person: &Person<'_>) {
        let id = self.patient.clone();
        self.bundle.put("Patient", &id, |j| {
            j.list("identifier", |j| {
                for (kind, system, value) in person.identifiers {
                    j.object(|j| {
                        j.text("use", "official");
                        hl7(j, "type", "v2-0203", kind);
                        j.text("system", system);
                        j.text("value", value);
                    });
                }
            });
            j.flag("active", person.died.is_none());
            j.one("name", |j| {
                j.text("use", "official");
                j.text("family", person.name.family);
                j.list("given", |j| {
                    j.item(person.name.given);
                    if !person.name.middle.is_empty() {
                        j.item(person.name.middle);
                    }
                });
                if !person.prefix.is_empty() {
                    j.list("prefix", |j| j.item(person.prefix));
                }
            });
            j.one("telecom", |j| {
                j.text("system", "phone");
                j.text("value", person.phone);
                j.text("use", "home");
            });
            j.text("gender", gender(person.female));
            j.date("birthDate", person.born);
            if let Some(died) = person.died {
                j.time("deceasedDateTime", died);
            }
            let [line, town, code, country] = person.address;
            j.one("address", |j| {
                j.text("use", "home");
                j.list("line", |j| j.item(line));
                j.text("city", town);
                j.text("postalCode", code);
                j.text("country", country);
            });
            hl7(j, "maritalStatus", "v3-MaritalStatus", person.marital);
            j.one("communication", |j| {
                j.status("language", "urn:ietf:bcp:47", person.name.language);
                j.flag("preferred", true);
            });
            j.refers("generalPractitioner", "Practitioner", person.doctor);
            j.refer("managingOrganization", "Organization", person.organisation);
        });
    }

    /// A RelatedPerson who is also the one to call.
    pub(crate) fn relative(&mut self, relative: &Relative<'_>) {
        self.put("RelatedPerson", "rp", |j, patient| {
            j.flag("active", true);
            j.refer("patient", "Patient", patient);
            j.list("relationship", |j| {
                for (system, code, text) in [
                    (ROLE_CODE, relative.relation.0, relative.relation.1),
                    (CONTACT_ROLE, "C", "Emergency Contact"),
                ] {
                    j.object(|j| j.list("coding", |j| j.coding(system, code, text)));
                }
            });
            j.one("name", |j| {
                j.text("use", "official");
                j.text("family", relative.name.family);
                j.list("given", |j| j.item(relative.name.given));
            });
            j.one("telecom", |j| {
                j.text("system", "phone");
                j.text("value", relative.phone);
                j.text("use", "mobile");
            });
            j.text("gender", gender(relative.female));
        });
    }

    /// A Coverage; gives its id.
    pub(crate) fn cover(&mut self, cover: &Cover<'_>) -> String {
        self.put("Coverage", "cov", |j, patient| {
            j.text("status", "active");
            let system = if cover.payor.is_some() {
                "v3-ActCode"
            } else {
                "coverage-selfpay"
            };
            hl7(j, "type", system, cover.kind);
            j.text("subscriberId", cover.member);
            j.refer("beneficiary", "Patient", patient);
            hl7(j, "relationship", "subscriber-relationship", "self");
            j.period("period", cover.start, None);
            match cover.payor {
                Some(payor) => j.refers("payor", "Organization", payor),
                None => j.refers("payor", "Patient", patient),
            }
        })
    }
}

const ROLE_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
const CONTACT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/v2-0131";

const fn gender(female: bool) -> &'static str {
    if female { "female" } else { "male" }
}
