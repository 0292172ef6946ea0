//! A resident's papers: an assessment of capacity as Observation, what may be done on its strength as
//! Consent.

use super::Chart;
use crate::calendar::{Day, Zone};
use crate::json::Json;

/// A paper to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filed<'a> {
    /// `capacity`, `covert-administration`, `self-administration`.
    pub(crate) kind: &'static str,
    /// What was found.
    pub(crate) finding: &'static str,
    /// The MedicationRequest that it is about; none: every medicine.
    pub(crate) order: Option<&'a str>,
    pub(crate) on: Day,
    /// The last day on which it holds.
    pub(crate) review: Option<Day>,
    pub(crate) by: &'static str,
    /// How it is given, as the pharmacist says.
    pub(crate) method: Option<&'static str>,
}

/// Codes of papers and of what they say.
const PAPERS: &str = "https://theriac.example.org/fhir/CodeSystem/resident-paper";
const METHOD: &str = "https://theriac.example.org/fhir/StructureDefinition/covert-method";

impl Chart {
    /// Files a paper.
    pub(crate) fn file(&mut self, paper: &Filed<'_>) {
        let at = paper.on.at(660, Zone::London);
        if paper.kind == "capacity" {
            self.put("Observation", "pa", |j, patient| {
                j.text("status", "final");
                j.status("code", PAPERS, paper.kind);
                j.refer("subject", "Patient", patient);
                j.time("effectiveDateTime", at);
                j.refers("performer", "Practitioner", paper.by);
                j.status("valueCodeableConcept", PAPERS, paper.finding);
            });
            return;
        }
        self.put("Consent", "pa", |j, patient| {
            if let Some(method) = paper.method {
                j.one("extension", |j| {
                    j.text("url", METHOD);
                    j.text("valueString", method);
                });
            }
            j.text("status", "active");
            j.status("scope", SCOPE, "treatment");
            j.list("category", |j| coded(j, paper.kind));
            j.refer("patient", "Patient", patient);
            j.time("dateTime", at);
            j.refers("performer", "Practitioner", paper.by);
            j.obj("policyRule", |j| {
                j.text("text", "Agreed by those who decide for or with the patient");
            });
            j.obj("provision", |j| provision(j, paper));
        });
    }
}

fn coded(j: &mut Json, code: &str) {
    j.object(|j| j.list("coding", |j| j.coding(PAPERS, code, "")));
}

fn provision(j: &mut Json, paper: &Filed<'_>) {
    j.text("type", "permit");
    if let Some(review) = paper.review {
        j.period("period", paper.on, Some(review));
    }
    if paper.method.is_some() {
        j.one("actor", |j| {
            j.status("role", PAPERS, "method-by");
            j.refer("reference", "Practitioner", "rh-s-pharmacist");
        });
    }
    if paper.kind == "self-administration" {
        j.list("code", |j| coded(j, paper.finding));
    }
    if let Some(order) = paper.order {
        j.one("data", |j| {
            j.text("meaning", "instance");
            j.refer("reference", "MedicationRequest", order);
        });
    }
}

const SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
