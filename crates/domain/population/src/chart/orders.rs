//! Investigations that were ordered and what came back, and what was billed.

use super::{Chart, Seen, hl7};
use crate::calendar::{Day, Moment};
use crate::concepts::{Concept, Measure};
use crate::json::{Decimal, Json};

/// A laboratory report with its values.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) panel: &'a Concept,
    pub(crate) values: &'a [(Measure, i32)],
    pub(crate) seen: Seen<'a>,
    /// The Organization that runs the laboratory.
    pub(crate) laboratory: &'a str,
}

/// An imaging study and its report.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) what: &'a Concept,
    /// DICOM modality.
    pub(crate) modality: &'static str,
    pub(crate) images: u32,
    pub(crate) conclusion: &'a str,
    pub(crate) by: &'a str,
    pub(crate) at: Moment,
    pub(crate) encounter: &'a str,
}

/// A claim of one line for a consultation.
#[derive(Debug)]
pub(crate) struct Bill<'a> {
    pub(crate) coverage: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) what: &'a Concept,
    pub(crate) day: Day,
    /// Whole rupees.
    pub(crate) amount: i64,
    pub(crate) encounter: &'a str,
}

impl Chart {
    /// A ServiceRequest, the Observations and the DiagnosticReport that answers it.
    pub(crate) fn report(&mut self, report: &Report<'_>) {
        let seen = &report.seen;
        let request = self.request(report.panel, "108252007", seen);
        let ids: Vec<String> = report
            .values
            .iter()
            .map(|(measure, value)| self.observe(seen, measure, *value))
            .collect();
        self.put("DiagnosticReport", "dr", |j, patient| {
            report_head(j, patient, &request, ("LAB", report.panel), seen);
            j.refers("performer", "Organization", report.laboratory);
            j.list("result", |j| {
                for id in &ids {
                    j.object(|j| j.joined("reference", &["Observation/", id]));
                }
            });
        });
    }

    /// A ServiceRequest, the ImagingStudy and its DiagnosticReport.
    pub(crate) fn picture(&mut self, picture: &Picture<'_>) {
        let seen = Seen {
            at: picture.at,
            by: picture.by,
            encounter: Some(picture.encounter),
        };
        let request = self.request(picture.what, "363679005", &seen);
        let study = format!("2.25.{}", self.draw.bits());
        let series = format!("2.25.{}", self.draw.bits());
        let study_id = self.put("ImagingStudy", "is", |j, patient| {
            j.one("identifier", |j| {
                j.text("system", "urn:dicom:uid");
                j.joined("value", &["urn:oid:", &study]);
            });
            j.text("status", "available");
            j.list("modality", |j| j.coding(MODALITY, picture.modality, ""));
            j.refer("subject", "Patient", patient);
            j.refer("encounter", "Encounter", picture.encounter);
            j.time("started", picture.at);
            j.refers("basedOn", "ServiceRequest", &request);
            j.int("numberOfSeries", 1);
            j.int("numberOfInstances", i64::from(picture.images));
            j.text("description", picture.what.text);
            j.one("series", |j| {
                j.text("uid", &series);
                j.int("number", 1);
                j.obj("modality", |j| {
                    j.text("system", MODALITY);
                    j.text("code", picture.modality);
                });
                j.int("numberOfInstances", i64::from(picture.images));
            });
        });
        self.put("DiagnosticReport", "dr", |j, patient| {
            report_head(j, patient, &request, ("RAD", picture.what), &seen);
            j.refers("performer", "Practitioner", picture.by);
            j.refers("imagingStudy", "ImagingStudy", &study_id);
            j.text("conclusion", picture.conclusion);
        });
    }

    // The category codes are the SNOMED CT ones for a laboratory procedure and for imaging.
    fn request(&mut self, what: &Concept, category: &str, seen: &Seen<'_>) -> String {
        self.put("ServiceRequest", "sr", |j, patient| {
            j.text("status", "completed");
            j.text("intent", "order");
            j.one("category", |j| {
                j.list("coding", |j| {
                    j.coding("http://snomed.info/sct", category, "");
                });
            });
            j.concept("code", what);
            j.refer("subject", "Patient", patient);
            super::encounter(j, "encounter", seen.encounter);
            j.time("authoredOn", seen.at);
            j.refer("requester", "Practitioner", seen.by);
        })
    }

    /// A Claim.
    pub(crate) fn claim(&mut self, bill: &Bill<'_>) {
        self.put("Claim", "cl", |j, patient| {
            j.text("status", "active");
            hl7(j, "type", "claim-type", "professional");
            j.text("use", "claim");
            j.refer("patient", "Patient", patient);
            j.period("billablePeriod", bill.day, Some(bill.day));
            j.date("created", bill.day);
            j.refer("provider", "Organization", bill.provider);
            hl7(j, "priority", "processpriority", "normal");
            j.one("insurance", |j| {
                j.int("sequence", 1);
                j.flag("focal", true);
                j.refer("coverage", "Coverage", bill.coverage);
            });
            j.one("item", |j| {
                j.int("sequence", 1);
                j.concept("productOrService", bill.what);
                j.date("servicedDate", bill.day);
                money(j, "unitPrice", bill.amount);
                money(j, "net", bill.amount);
                j.refers("encounter", "Encounter", bill.encounter);
            });
            money(j, "total", bill.amount);
        });
    }
}

const MODALITY: &str = "http://dicom.nema.org/resources/ontology/DCM";

fn report_head(
    j: &mut Json,
    patient: &str,
    request: &str,
    (section, code): (&str, &Concept),
    seen: &Seen<'_>,
) {
    j.refers("basedOn", "ServiceRequest", request);
    j.text("status", "final");
    j.one("category", |j| {
        j.list("coding", |j| {
            j.coding("http://terminology.hl7.org/CodeSystem/v2-0074", section, "");
        });
    });
    j.concept("code", code);
    j.refer("subject", "Patient", patient);
    super::encounter(j, "encounter", seen.encounter);
    j.time("effectiveDateTime", seen.at);
    j.time("issued", seen.at.later(90));
}

fn money(j: &mut Json, key: &str, rupees: i64) {
    j.obj(key, |j| {
        let value = Decimal {
            scaled: rupees * 100,
            places: 2,
        };
        j.decimal("value", value);
        j.text("currency", "INR");
    });
}
